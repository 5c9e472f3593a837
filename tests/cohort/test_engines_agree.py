"""Memory, DuckDB and Spark agree exactly on generated cohorts, a few hundred in one table."""

from __future__ import annotations

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.cohort.dialects import fetch_frame
from fiac_survival.cohort.eligibility import condition
from fiac_survival.core.population import Criterion
from tests.cohort import generated_cohorts as made

pytestmark = pytest.mark.xdist_group("spark")
RiskTable = fs.survival.RiskTable


@pytest.fixture(scope="module")
def engines(spark):
    embedded = fs.cohort.connect("duckdb")
    yield [embedded, spark]
    embedded.close()


def test_risk_tables(engines):
    rows = made.together(made.gathered(made.outcomes()))
    assert rows["case"].nunique() > made.CASES // 2
    y = fs.Outcome(rows["time"], rows["event"])
    late = fs.Outcome(rows["time"], rows["event"], entry=rows["entry"])
    label = "case=" + rows["case"].astype(str) + ", group=" + rows["group"]
    by = ["case", "group"]
    expected = [
        (RiskTable.from_outcome(y, group=label), {}),
        (
            RiskTable.from_outcome(late, group=label, strata=rows["stratum"]),
            {"entry": "entry", "strata": "stratum"},
        ),
        (
            RiskTable.from_outcome(late, group=label, weights=rows["weight"]),
            {"entry": "entry", "weights": "weight"},
        ),
    ]
    for engine in engines:
        table = engine.register(rows, table="rows")
        for known, options in expected:
            found = fs.cohort.risk_table(table, by=by, **options)
            pd.testing.assert_frame_equal(found.table, known.table)
            assert found.weighted == known.weighted


CRITERIA = [
    ("age", ">", 0),
    ("age", "in", [1, 2]),
    ("age", "!=", 1),
    ("age", "<=", 0.5),
    ("score", ">=", 0.0),
    ("score", "==", 0.0),
    ("score", "<", 1e300),
    ("score", "not missing", None),
    ("sex", "==", "Ä"),
    ("sex", "!=", "female"),
    ("sex", "<", "male"),
    ("sex", "in", ["male", ""]),
    ("day", ">=", "2018-06-01"),
    ("day", "<", "1600-01-01"),
    ("day", "not missing", None),
    ("treated", "==", True),
    ("treated", "!=", True),
]


def test_eligibility(engines):
    cases = made.gathered(made.patients())
    rows = made.together(cases)
    plain = rows.astype({"age": "Int64", "treated": "boolean"})
    criteria = [
        Criterion(label=f"{c} {o} {v}", column=c, operator=o, value=v) for c, o, v in CRITERIA
    ]
    for engine in engines:
        table = engine.register(plain, table="patients")
        kept = {f"n{i}": condition(table, c).cast("int64").sum() for i, c in enumerate(criteria)}
        found = fetch_frame(table.group_by("case").agg(**kept), order_by=["case"])
        assert len(found) == len(cases)
        for i, criterion in enumerate(criteria):
            known = [sum(made.holds(criterion, row) for row in rows_) for rows_ in cases]
            assert found[f"n{i}"].tolist() == known, criterion.label
        steps = [criteria[2], criteria[7], criteria[14]]
        _, attrition = fs.cohort.apply_eligibility(table, steps, source="s")
        left = [row for rows_ in cases for row in rows_]
        for step, after in zip(steps, attrition["n_after"][1:], strict=True):
            left = [row for row in left if made.holds(step, row)]
            assert after == len(left)


@pytest.mark.parametrize("text", [False, True], ids=["numbers", "texts"])
def test_lines_of_therapy(engines, text):
    tables = made.one_cohort(made.gathered(made.cohorts(faults=False)))
    exposure, person = tables["exposure"], tables["person"]
    if text:
        for frame in (exposure, person):
            frame["person"] = "é" + frame["person"].astype(str)
    for rules in ("imwg", "ohdsi") if not text else ("gap60",):
        known = fs.cohort.lines_of_therapy(exposure, rules, follow_up=person)
        assert known.table["person"].nunique() > made.CASES // 2
        for engine in engines:
            rows = engine.register(exposure, table="exposure")
            people = engine.register(person, table="people")
            for block in (10**6,) if rules == "ohdsi" else (500,):
                found = fs.cohort.lines_of_therapy(
                    rows, rules, follow_up=people, records_per_block=block
                )
                pd.testing.assert_frame_equal(found.table, known.table)


def test_quality_and_files(engines, tmp_path):
    tables = made.one_cohort(made.gathered(made.cohorts()))
    folder = made.folder_of(tables, tmp_path / "cohort")
    known = made.broken_rows(tables)
    answers = []
    for engine in engines:
        cohort = fs.cohort.read(folder, engine=engine, check_rows=False)
        assert "bucket" in cohort.exposure.columns
        found = fs.cohort.quality(cohort, cutoff=made.CUTOFF)
        counted = found.table[~found.table["rule"].str.startswith("schema")]
        assert dict(zip(counted["rule"], counted["n"], strict=True)) == known
        assert (found.table["n"] > 0).sum() > 15
        cohort.write(tmp_path / engine.name)
        answers.append([found.table, found.rows, found.missing])
    for one, other in zip(*answers, strict=True):
        pd.testing.assert_frame_equal(one, other)
    for file in (tmp_path / "duckdb").iterdir():
        assert file.read_bytes() == (tmp_path / "pyspark" / file.name).read_bytes()
    rules = found.table.set_index("rule")["n"]
    person, exposure = tables["person"], tables["exposure"]
    assert rules["schema: person.sex missing"] == person["sex"].isna().sum()
    assert rules["schema: exposure.kind code"] == (exposure["kind"] == "pill").sum()
