"""Lines of therapy: patients worked out by hand, what the table says, what is refused."""

from __future__ import annotations

import tomllib

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.histories import read_histories
from tests.conftest import ROOT

PATIENTS = tomllib.loads(
    (ROOT / "tests/cohort/assurance_patients.toml").read_text(encoding="utf-8")
)["patients"]
RULE_SETS = ["imwg", "ohdsi", "gap60", "gap90", "gap180"]
ZERO = pd.Timestamp("2020-01-01")


def day(n):
    return ZERO + pd.Timedelta(days=n)


def exposures_of(patient, person=0):
    rows = []
    for record in patient["records"]:
        drug, days = record[0], record[1:]
        every = days if len(days) == 1 else range(days[0], days[1] + 1, days[2])
        rows += [(person, day(d), drug) for d in every]
    return pd.DataFrame(rows, columns=["person", "date", "drug"])


def follow_up_of(patients, died=False):
    frame = pd.DataFrame(
        {
            "person": range(len(patients)),
            "follow_up_end": [day(p["follow_up"]) for p in patients],
        }
    )
    frame["death"] = frame["follow_up_end"] if died else pd.NaT
    return frame


def all_exposures():
    return pd.concat([exposures_of(p, i) for i, p in enumerate(PATIENTS)])


@pytest.mark.parametrize("rules", RULE_SETS)
@pytest.mark.parametrize("patient", PATIENTS, ids=lambda p: p["name"])
def test_patients_worked_out_by_hand(patient, rules):
    found = fs.cohort.lines_of_therapy(
        exposures_of(patient), rules, follow_up=follow_up_of([patient])
    ).table
    starts = (found["start"] - ZERO).dt.days
    assert [list(x) for x in zip(found["regimen"], starts, strict=True)] == patient[rules]


def test_the_hand_made_patients_tell_the_rule_sets_apart():
    for a in RULE_SETS:
        assert len(PATIENTS) >= 8
        for b in RULE_SETS:
            assert a == b or any(p[a] != p[b] for p in PATIENTS), (a, b)


@pytest.mark.parametrize("died", [False, True])
@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_table_holds_together(rules, died):
    follow_up = follow_up_of(PATIENTS, died)
    result = fs.cohort.lines_of_therapy(all_exposures(), rules, follow_up=follow_up)
    table = result.table
    assert list(table.columns) == [
        *("person", "line", "regimen", "classes", "start", "end"),
        *("end_reason", "ttnt", "gap", "died"),
    ]
    assert set(table["person"]) == set(follow_up["person"])
    final = table["person"].map(follow_up.set_index("person")["follow_up_end"])
    last = ~table["person"].duplicated(keep="last")
    following = table.groupby("person")["start"].shift(-1).where(~last, final)
    assert ((following - table["start"]).dt.days == table["ttnt"]).all()
    assert (table["end"] >= table["start"]).all()
    assert (table["end"] <= final).all()
    free = (following - table["end"]).dt.days - (~last).astype(int)
    assert (free.clip(lower=0) == table["gap"]).all()
    stopped = table["gap"] > result.rules.stop_days
    assert (table["end_reason"].eq("planned stop") == stopped).all()
    assert (table["died"] == (last & died)).all()
    total = table.groupby("person")["ttnt"].sum()
    first = table.groupby("person")["start"].first()
    expected = (follow_up.set_index("person")["follow_up_end"] - first).dt.days
    assert total.tolist() == expected.tolist()


@pytest.mark.parametrize("rules", RULE_SETS)
def test_the_table_is_ready_for_sequences(rules):
    table = fs.cohort.lines_of_therapy(
        all_exposures(), rules, follow_up=follow_up_of(PATIENTS, True)
    ).table
    formulary = Formulary.model_validate(
        {
            "name": "example",
            "lines": 3,
            "horizon_months": 60,
            "classes": {"x": "any"},
            "regimens": [{"name": "lenalidomide", "classes": ["x"]}, {"name": "other"}],
        }
    )
    histories = read_histories(table, formulary, other="other")
    assert histories.n_persons == len(PATIENTS)
    assert (histories.line == 0).sum() == len(PATIENTS)


def test_classes_codes_and_covered_days():
    exposures = pd.DataFrame(
        {
            "person": ["a", "a", "a"],
            "date": ["2020-01-01", "2020-01-01", "2020-01-20"],
            "end": ["2020-02-15", None, None],
            "drug": ["L01XG01", "lenalidomide", "H02AB02"],
        }
    )
    row = fs.cohort.lines_of_therapy(exposures).table.iloc[0]
    assert row["regimen"] == "bortezomib+lenalidomide"
    assert row["classes"] == "IMiD+PI"
    assert row["end"] == pd.Timestamp("2020-02-15")
    assert row["end_reason"] == "censored"
    assert row["ttnt"] == 45


def spans(*records):
    rows = [(0, day(first), day(last), drug) for drug, first, last in records]
    return pd.DataFrame(rows, columns=["person", "date", "end", "drug"])


@pytest.mark.parametrize(
    ("old", "new"), [("lenalidomide", "daratumumab"), ("daratumumab", "lenalidomide")]
)
@pytest.mark.parametrize("rules", RULE_SETS)
def test_a_drug_dispensed_on_the_day_a_new_one_begins_belongs_to_the_new_line(rules, old, new):
    """Whichever comes first in the drug table; the long record leaves no second chance."""
    exposures = spans((old, 0, 223), (old, 224, 447), (new, 224, 447))
    found = fs.cohort.lines_of_therapy(exposures, rules).table
    assert found["regimen"].tolist() == [old, "daratumumab+lenalidomide"]
    assert (found["start"] - ZERO).dt.days.tolist() == [0, 224]
    assert found["gap"].tolist() == [0, 0]


@pytest.mark.parametrize("rules", RULE_SETS)
def test_a_record_that_goes_on_through_a_new_drugs_window_is_of_a_drug_that_is_kept(rules):
    """As the same days in records of four weeks say."""
    months = [("lenalidomide", d, d + 27) for d in range(0, 448, 28)]
    weeks = [("daratumumab", d, d + 27) for d in range(200, 448, 28)]
    short = fs.cohort.lines_of_therapy(spans(*months, *weeks), rules).table
    long = spans(("lenalidomide", 0, 447), ("daratumumab", 200, 447))
    found = fs.cohort.lines_of_therapy(long, rules).table
    assert found["regimen"].tolist() == ["lenalidomide", "daratumumab+lenalidomide"]
    columns = ["line", "regimen", "start", "end_reason", "gap"]
    pd.testing.assert_frame_equal(found[columns], short[columns])


@pytest.mark.parametrize("rules", ["imwg", "gap60", "gap90", "gap180"])
def test_what_is_left_of_the_old_drug_is_not_kept(rules):
    exposures = spans(("bortezomib", 0, 230), ("carfilzomib", 200, 400))
    found = fs.cohort.lines_of_therapy(exposures, rules).table
    assert found["regimen"].tolist() == ["bortezomib", "carfilzomib"]
    one_more = spans(("bortezomib", 0, 231), ("carfilzomib", 200, 400))
    found = fs.cohort.lines_of_therapy(one_more, rules).table
    assert found["regimen"].tolist() == ["bortezomib", "bortezomib+carfilzomib"]


def test_unknown_drugs_and_late_records_are_left_out_on_request():
    exposures = pd.DataFrame(
        {
            "person": [1, 1, 1],
            "date": pd.to_datetime(["2020-01-01", "2020-02-01", "2020-06-01"]),
            "drug": ["lenalidomide", "aspirin", "bortezomib"],
        }
    )
    follow_up = pd.DataFrame({"person": [1], "follow_up_end": [pd.Timestamp("2020-03-01")]})
    with pytest.raises(DataError, match=r"name or a code.*1 row .*row 1, drug=aspirin.*ignore"):
        fs.cohort.lines_of_therapy(exposures, follow_up=follow_up)
    with pytest.raises(DataError, match=r"after death or the end.*row 2, days after=92.*drop"):
        fs.cohort.lines_of_therapy(exposures, follow_up=follow_up, unknown="ignore")
    found = fs.cohort.lines_of_therapy(
        exposures, follow_up=follow_up, unknown="ignore", after_end="drop"
    )
    assert found.n_ignored == 2
    assert found.table["regimen"].tolist() == ["lenalidomide"]
    engine = fs.cohort.connect("duckdb")
    table = engine.register(exposures, table="e").cast({"date": "date"})
    people = engine.register(follow_up, table="f").cast({"follow_up_end": "date"})
    with pytest.raises(DataError, match=r"name or a code.*drug=aspirin"):
        fs.cohort.lines_of_therapy(table, follow_up=people)
    with pytest.raises(DataError, match=r"after death or the end"):
        fs.cohort.lines_of_therapy(table, follow_up=people, unknown="ignore")
    again = fs.cohort.lines_of_therapy(table, follow_up=people, unknown="ignore", after_end="drop")
    pd.testing.assert_frame_equal(found.table, again.table)
    with pytest.raises(DataError, match="must have a follow-up"):
        fs.cohort.lines_of_therapy(table, follow_up=people.filter(people.person > 1))
    with pytest.raises(DataError, match="must have rows"):
        fs.cohort.lines_of_therapy(table.filter(table.person > 1))
    engine.close()


def test_nobody_left():
    exposures = pd.DataFrame({"person": [1], "date": ["2020-01-01"], "drug": ["aspirin"]})
    found = fs.cohort.lines_of_therapy(exposures, unknown="ignore")
    assert found.table.empty
    assert found.n_ignored == 1


def test_refusals():
    good = pd.DataFrame(
        {"person": [1, 1], "date": ["2020-01-01"] * 2, "drug": ["lenalidomide"] * 2}
    )
    people = pd.DataFrame({"person": [1], "follow_up_end": ["2021-01-01"]})

    def refuse(match, exposures=good, **more):
        with pytest.raises(DataError, match=match):
            fs.cohort.lines_of_therapy(exposures, **more)

    refuse("exposures must have their columns.*missing=drug", good.drop(columns="drug"))
    refuse("follow_up must have its columns", follow_up=people.drop(columns="follow_up_end"))
    refuse("exposures must be a table.*type=int", 7)
    refuse("exposures must have rows", good.iloc[:0])
    refuse("date must not be missing.*row 1", good.assign(date=["2020-01-01", None]))
    refuse("person must not be missing.*row 1", good.assign(person=[1, None]))
    refuse("date must be a date.*row 1, date=soon", good.assign(date=["2020-01-01", "soon"]))
    refuse("date must be a date", good.assign(date=[18000, 18001]))
    refuse("without a time of day", good.assign(date=pd.to_datetime(["2020-01-01 10:00"] * 2)))
    refuse("end must not be before date.*row 1, days=-31", good.assign(end=[None, "2019-12-01"]))
    refuse("one row a patient.*row 1", follow_up=pd.concat([people, people]))
    refuse("every patient with records.*row 0", follow_up=people.assign(person=2))
    refuse("rule set must come with the package.*known: gap180, gap60", rules="imwgg")
    refuse("drug table must come with the package", drugs="lung")
    refuse("unknown must be", unknown="keep")
    refuse("after_end must be", after_end="keep")
    refuse("records_per_block must be at least 1", records_per_block=0)


def test_files_of_rules_and_drugs(tmp_path):
    rules = tmp_path / "mine.toml"
    text = (ROOT / "fiac_survival/cohort/data/rules/gap90.toml").read_text(encoding="utf-8")
    rules.write_text(text, encoding="utf-8")
    assert fs.cohort.LineRules.load(rules).sha256 == fs.cohort.LineRules.load("gap90").sha256
    rules.write_text(text.replace("gap_days = 90", "gap_days = 91"), encoding="utf-8")
    assert fs.cohort.LineRules.load(rules).sha256 != fs.cohort.LineRules.load("gap90").sha256
    for wrong, message in (
        (text.replace("window_days = 30", "window = 30"), "window_days"),
        (text.replace('restart = "advances"', 'restart = "maybe"'), "place=restart"),
        (text.replace("window_days = 30", "window_days = -1"), "place=window_days"),
        (text.replace("window_days = 30", "window_days ="), "valid TOML"),
        (text + "\n[maintenance]\ndrugs = []\nwithin_days = 0\n", "maintenance > within_days"),
        (
            text.replace("gap_days = 90", "gap_days = 90\ndropped_tolerance_days = 91"),
            "must not be larger",
        ),
    ):
        rules.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            fs.cohort.LineRules.load(rules)
    with pytest.raises(DataError, match="exist and be readable"):
        fs.cohort.LineRules.load(tmp_path / "none.toml")
    drugs = tmp_path / "drugs.toml"
    small = (
        'name = "small"\nversion = "1"\nsource = ["invented"]\n[classes]\nx = "any"\n'
        '[[drugs]]\nname = "a"\nclass = "x"\n[[drugs]]\nname = "b"\nclass = "x"\n'
    )
    drugs.write_text(small, encoding="utf-8")
    table = fs.cohort.DrugTable.load(drugs)
    exposures = pd.DataFrame({"person": [1], "date": ["2020-01-01"], "drug": ["b"]})
    rules.write_text(
        'name = "simple"\nwindow_days = 30\ngap_days = 60\nrestart = "advances"\n'
        "[transplant]\nbefore_days = 0\n",
        encoding="utf-8",
    )
    found = fs.cohort.lines_of_therapy(exposures, rules, drugs=table)
    assert found.table["regimen"].tolist() == ["b"]
    assert found.drugs.sha256 == table.sha256
    with pytest.raises(DataError, match="drugs of the drug table.*rules=imwg, drug=.*table=small"):
        fs.cohort.lines_of_therapy(exposures, "imwg", drugs=table)
    additions = fs.cohort.LineRules.load(rules).model_dump() | {
        "additions": [{"classes": ["IMiD"], "within_days": 9}]
    }
    with pytest.raises(DataError, match="classes of the drug table.*class=IMiD"):
        fs.cohort.lines_of_therapy(
            exposures, fs.cohort.LineRules.model_validate(additions), drugs=table
        )
    for wrong, message in (
        (small.replace('"b"', '"a"'), "unique: a"),
        (small.replace('class = "x"', 'class = "y"', 1), "must be described: y"),
        (small.replace('"b"', '"a+b"'), "drugs > 1 > name"),
    ):
        drugs.write_text(wrong, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            fs.cohort.DrugTable.load(drugs)


@pytest.mark.parametrize("name", RULE_SETS)
def test_rule_sets_say_where_they_come_from(name):
    rules = fs.cohort.LineRules.load(name)
    assert rules.name == name
    assert rules.title
    assert rules.source
    assert rules.notes


def test_roles_have_the_numbers_of_the_kernel():
    from fiac_survival.cohort.drugs import ROLES
    from fiac_survival.kernels import lines as kernel

    assert [
        ROLES.index(r) for r in ("drug", "steroid", "transplant", "apheresis", "cell therapy")
    ] == [
        kernel.DRUG,
        kernel.IGNORED,
        kernel.TRANSPLANT,
        kernel.APHERESIS,
        kernel.CELL_THERAPY,
    ]
    assert np.unique(fs.cohort.DrugTable.load("myeloma").roles).size == 5
