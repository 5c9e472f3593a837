"""Quality rules: each is seen to fire, and not to fire."""

from __future__ import annotations

import datetime

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.cohort.quality_rules import RULES
from fiac_survival.core.errors import DataError
from tests.cohort.test_reading import dates, good_tables, write

CUTOFF = "2021-01-01"
DAY = datetime.timedelta(days=1)
TABLES = list(good_tables())


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def quality_of(tables, engine, folder, **more):
    cohort = fs.cohort.read(write(folder, tables), engine=engine, check_rows=False)
    return fs.cohort.quality(cohort, **({"cutoff": CUTOFF} | more))


def one_person(number):
    """The first rows of the good tables, as person `number`, one of each table."""
    return {name: frame.iloc[:1].assign(person=number) for name, frame in good_tables().items()}


def violated(rule, number):
    """A person of whom exactly the rows that a rule is about are wrong."""
    tables = one_person(number)
    about = tables[rule.table]
    person = tables["person"]
    what = rule.name.partition(" ")[2]
    if what == "before 1900":
        about[rule.column] = [datetime.date(1899, 12, 31)]
    elif what == "in the future":
        about[rule.column] = [datetime.date(2021, 1, 2)]
    elif what == "before birth":
        about[rule.column] = [person["birth"].iloc[0] - DAY]
    elif what == "without person":
        tables["person"] = person.iloc[:0]
        tables = {k: v for k, v in tables.items() if k in {"person", rule.table}}
    elif what == "after death":
        if rule.table == "person":
            about["follow_up_end"] = [person["death"].iloc[0] + DAY]
        else:
            about[rule.column] = [person["death"].iloc[0] + DAY]
    else:
        early, late = rule.needs
        about[late] = [about[early].iloc[0] - DAY]
    return tables


def test_a_good_cohort_breaks_no_rule(engine, tmp_path):
    found = quality_of(good_tables(), engine, tmp_path / "a")
    assert (found.table["n"] == 0).all()
    assert not found.blocked
    found.raise_if_blocked()
    assert {rule.name for rule in RULES} <= set(found.table["rule"])
    assert found.table["first_row"].isna().all()
    assert found.rows.set_index("table")["rows"].to_dict() == {
        name: len(frame) for name, frame in good_tables().items()
    }
    absent = found.missing.set_index(["table", "column"])["n_missing"]
    for name, frame in good_tables().items():
        for column in frame:
            assert absent[name, column] == frame[column].isna().sum()


def test_every_rule_fires(engine, tmp_path):
    parts = [violated(rule, 10 + i) for i, rule in enumerate(RULES)]
    tables = {
        name: pd.concat([p[name] for p in parts if name in p], ignore_index=True) for name in TABLES
    }
    found = quality_of(tables, engine, tmp_path / "a").table.set_index("rule")
    for i, rule in enumerate(RULES):
        assert found.loc[rule.name, "n"] >= 1, rule.name
        assert found.loc[rule.name, "severity"] == rule.severity
        if rule.name.endswith("without person"):
            assert found.loc[rule.name, "n"] == 1
        table = tables[rule.table].sort_values("person", kind="stable")["person"].tolist()
        assert table[int(found.loc[rule.name, "first_row"])] <= 10 + i


@pytest.mark.parametrize(
    "rule", [r for r in RULES if r.name.endswith("death")], ids=lambda r: r.name
)
def test_rules_about_death_alone(rule, engine, tmp_path):
    tables = good_tables()
    mine = violated(rule, 1)
    tables[rule.table] = pd.concat([mine[rule.table], tables[rule.table].iloc[1:]])
    found = quality_of(tables, engine, tmp_path / "a").table
    broken = found[found["n"] > 0].set_index("rule")
    assert broken.loc[rule.name, "n"] == 1
    assert bool((broken["severity"] == "blocks").any()) == (rule.severity == "blocks") or (
        rule.table in {"exposure", "line_of_therapy"}  # the end of the record now comes before it
    )


def test_schema_rules_and_duplicates(engine, tmp_path):
    tables = good_tables()
    tables["person"] = pd.concat([tables["person"], tables["person"].iloc[[1]]])
    tables["exposure"] = pd.concat([tables["exposure"], tables["exposure"].iloc[[2]]])
    tables["exposure"].iloc[1, tables["exposure"].columns.get_loc("kind")] = "pill"
    tables["line_of_therapy"]["gap"] = [-3, 0]
    tables["event"]["event"] = [None, "relapse"]
    found = quality_of(tables, engine, tmp_path / "a").table.set_index("rule")
    expected = {
        "person duplicates": ("blocks", 1, 2),
        "exposure duplicates": ("warns", 1, 3),
        "schema: exposure.kind code": ("blocks", 1, 1),
        "schema: line_of_therapy.gap out of bounds": ("blocks", 1, 0),
        "schema: event.event missing": ("blocks", 1, 0),
    }
    broken = found[found["n"] > 0]
    assert set(broken.index) == set(expected)
    for rule, values in expected.items():
        assert tuple(broken.loc[rule, ["severity", "n", "first_row"]]) == values


def test_blocked_says_rule_count_row_and_remedy_and_no_person(engine, tmp_path):
    tables = good_tables()
    tables["event"]["person"] = [987654, 2]
    found = quality_of(tables, engine, tmp_path / "a")
    assert found.blocked
    with pytest.raises(DataError) as caught:
        found.raise_if_blocked()
    text = str(caught.value)
    assert text == (
        "every row of event must belong to a person: 1 row breaks this (first: row 1, rule=event "
        "without person, table=event, rules broken=1); add the persons, or drop their rows"
    )
    assert "987654" not in text
    assert "987654" not in repr(found.table)
    hidden = caught.value.message(show_values=False)
    assert "fewer than 11" in hidden
    assert "event without person" not in hidden


def test_cutoff(engine, tmp_path):
    found = quality_of(good_tables(), engine, tmp_path / "a", cutoff=None)
    assert found.cutoff == datetime.date(2020, 12, 31)
    assert not found.blocked
    early = quality_of(good_tables(), engine, tmp_path / "b", cutoff=datetime.date(2019, 2, 15))
    broken = early.table[early.table["n"] > 0].set_index("rule")["severity"].to_dict()
    assert broken == {
        "event.date in the future": "blocks",
        "exposure.date in the future": "blocks",
        "exposure.end in the future": "warns",
        "line_of_therapy.end in the future": "warns",
        "linkage_key.death in the future": "blocks",
        "line_of_therapy.start in the future": "blocks",
        "person.death in the future": "blocks",
        "person.follow_up_end in the future": "blocks",
    }
    with pytest.raises(DataError, match="cutoff must be a date"):
        quality_of(good_tables(), engine, tmp_path / "c", cutoff="soon")


def test_nobody_has_a_known_end(engine, tmp_path):
    tables = good_tables()
    tables["person"]["follow_up_end"] = pd.Series(dates(None, None)).astype("datetime64[s]").dt.date
    cohort = fs.cohort.read(write(tmp_path / "a", good_tables()), engine=engine)
    nobody = fs.cohort.Cohort(engine, {n: t.filter(t.person > 9) for n, t in cohort.tables.items()})
    found = fs.cohort.quality(nobody)
    assert found.cutoff is None
    assert not found.table["rule"].str.endswith("in the future").any()
    assert (found.table["share"] == 0).all()
    assert not found.blocked
