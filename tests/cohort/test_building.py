"""From a protocol to the analysis table, and clones of strategies that time zero cannot tell apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.protocol import Protocol
from tests.cohort import invented_cohorts, naive_building

RECORDS = {"table": "exposure", "drugs": ["lenalidomide"]}


def protocol(**parts: Any) -> Protocol:
    """The example's protocol with parts replaced."""
    cohort, example = fs.cohort.example_cohort()
    cohort.engine.close()
    return Protocol.model_validate(example.model_dump() | parts)


VARIABLES = [
    {"name": "renal", "label": "-", "records": {"table": "event", "codes": ["N18"], "window": [-200, 0]}},
    {"name": "visits", "label": "-", "value": "days",
     "records": {"table": "event", "window": [-100, -1]}},
    {"name": "since", "label": "-", "value": "last_day",
     "records": {"table": "event", "codes": ["C9", "C34"], "window": [-700, 0]}},
    {"name": "first", "label": "-", "value": "first_day",
     "records": {"table": "event", "events": ["diagnosis"], "window": [-700, 0]}},
    {"name": "weight", "label": "-", "value": "last_value",
     "records": {"table": "event", "events": ["weight"], "window": [-700, 0]}},
]  # fmt: skip
STRATEGIES = [
    {
        "name": "dara",
        "label": "-",
        "records": {"table": "exposure", "atc": ["L01FC"], "window": [-30, 0]},
    },
    {"name": "rest", "label": "-", "none_of_the_others": True},
]
OUTCOME = {
    "name": "pfs", "label": "-", "definition": "-", "time": "time", "event": "event",
    "events": [
        {"code": 2, "label": "progression", "records": {"table": "event", "events": ["progression"]}},
        {"code": 1, "label": "death", "column": "death"},
    ],
}  # fmt: skip


def follow_up(ends: str, cutoff: str | None) -> dict[str, Any]:
    given = None if cutoff is None else pd.Timestamp(cutoff).date()
    return {"unit": "month", "horizon": 12.0, "censoring": "-", "ends": ends, "cutoff": given}


@pytest.mark.parametrize(
    ("ends", "cutoff"),
    [
        ("follow_up_end", None),
        ("follow_up_end", "2019-06-01"),
        ("last_activity", None),
        ("last_activity", "2019-03-01"),
        ("cutoff", "2019-09-01"),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_the_table_made_by_hand(seed: int, ends: str, cutoff: str | None) -> None:
    frames = invented_cohorts.frames(seed)
    asked = protocol(
        variables=VARIABLES,
        strategies=STRATEGIES,
        outcome=OUTCOME,
        follow_up=follow_up(ends, cutoff),
        time_zero={"definition": "-", "records": RECORDS,
                   "between": [pd.Timestamp("2018-01-15").date(), pd.Timestamp("2019-08-01").date()]},
        eligibility=[
            {"label": "Adult", "column": "age", "operator": ">=", "value": 18},
            {"label": "Renal", "column": "renal", "operator": "==", "value": False},
        ],
    )  # fmt: skip
    cohort = fs.cohort.from_frames(frames)
    analysis = fs.cohort.build(cohort, asked)
    by_hand = naive_building.build(frames, asked)
    steps = pd.Series([r.get("excluded_at", "") for r in by_hand.values()])
    for _, step in analysis.attrition.iloc[1:].iterrows():
        assert step["n_excluded"] == (steps == step["label"]).sum(), step["label"]
    kept = {who: row for who, row in by_hand.items() if "excluded_at" not in row}
    assert analysis.table["person"].tolist() == sorted(kept)
    assert len(kept) > 3
    for _, row in analysis.table.iterrows():
        expected = kept[row["person"]]
        for name, value in expected.items():
            got = row[name].date() if name == "time_zero" else row[name]
            assert (value is None and pd.isna(got)) or got == value, (name, row["person"])
    assert np.allclose(analysis.outcome().time * 30.4375, analysis.table["time"])
    cohort.engine.close()


def test_its_risk_table_is_counted_in_the_engine() -> None:
    cohort = fs.cohort.from_frames(invented_cohorts.frames(5, 200))
    asked = protocol(outcome=OUTCOME, strategies=STRATEGIES)
    analysis = fs.cohort.build(cohort, asked)
    pushed = fs.cohort.risk_table(analysis, by="strategy")
    table = analysis.table
    memory = fs.survival.RiskTable.from_outcome(
        fs.Outcome(table["time"], table["event"]), group=table["strategy"]
    )
    pd.testing.assert_frame_equal(pushed.table, memory.table)
    cohort.engine.close()


@pytest.mark.xdist_group("spark")
def test_spark_builds_the_same_table(spark: fs.cohort.Engine) -> None:
    frames = invented_cohorts.frames(11, 150)
    asked = protocol(variables=VARIABLES, outcome=OUTCOME, strategies=STRATEGIES)
    graced = protocol(
        outcome=OUTCOME,
        follow_up=follow_up("last_activity", "2019-09-01"),
        strategies=[
            {"name": "dara", "label": "-", "grace_days": 90,
             "records": {"table": "exposure", "drugs": ["daratumumab"]}},
            {"name": "none", "label": "-", "none_of_the_others": True},
        ],
    )  # fmt: skip
    embedded = fs.cohort.connect("duckdb")
    for one in (asked, graced):
        found = [
            fs.cohort.build(fs.cohort.from_frames(frames, engine=engine), one)
            for engine in (embedded, spark)
        ]
        pd.testing.assert_frame_equal(found[0].attrition, found[1].attrition)
        pd.testing.assert_frame_equal(found[0].table, found[1].table)
        by = "strategy" if one is asked else "sex"
        tables = [fs.cohort.risk_table(a, by=by).table for a in found]
        pd.testing.assert_frame_equal(*tables)
    embedded.close()


def test_the_order_of_rows_does_not_matter() -> None:
    frames = invented_cohorts.frames(9)
    asked = protocol(variables=VARIABLES, outcome=OUTCOME, strategies=STRATEGIES)
    tables = []
    for seed in (None, 1):
        mixed = {
            k: v if seed is None else v.sample(frac=1, random_state=seed) for k, v in frames.items()
        }
        cohort = fs.cohort.from_frames(mixed)
        tables.append(fs.cohort.build(cohort, asked).table)
        cohort.engine.close()
    pd.testing.assert_frame_equal(*tables)


# --- what is refused ----------------------------------------------------------------------------


def test_what_a_protocol_leaves_open_is_named() -> None:
    cohort, asked = fs.cohort.example_cohort()
    for part, hint in (
        ({"time_zero": {"definition": "surgery"}}, "time_zero"),
        ({"outcome": OUTCOME | {"events": []}}, "outcome"),
        ({"follow_up": follow_up("follow_up_end", None) | {"ends": None}}, "follow_up"),
    ):
        opened = Protocol.model_validate(asked.model_dump() | part)
        with pytest.raises(fs.errors.ProtocolError, match=f"section={hint}"):
            fs.cohort.build(cohort, opened)
    cohort.engine.close()


@pytest.mark.parametrize(
    ("part", "rule"),
    [
        ({"strategies": [{"name": "later", "label": "-",
                          "records": RECORDS | {"window": [0, 30]}}]}, "immortal time"),
        ({"strategies": [{"name": "never", "label": "-", "records": RECORDS}]}, "immortal time"),
        ({"variables": [{"name": "v", "label": "-",
                         "records": {"table": "event", "window": [-5, 1]}}]}, "ends by day 0"),
        ({"variables": [{"name": "v", "label": "-", "value": "last_value",
                         "records": RECORDS | {"window": [-5, 0]}}]}, "which has values"),
        ({"time_zero": {"definition": "-", "records": RECORDS | {"codes": ["C90"]}}}, "codes selects"),
        ({"time_zero": {"definition": "-", "records": RECORDS | {"window": [1, 2]}}}, "no window"),
        ({"follow_up": follow_up("cutoff", None)}, "needs a cutoff"),
        ({"outcome": OUTCOME | {"events": [{"code": 1, "label": "-"}]}}, "a column or a record"),
        ({"outcome": OUTCOME | {"events": [{"code": 1, "label": "-", "records": RECORDS | {
            "window": [0, 9]}}]}}, "day 1 or later"),
    ],
)  # fmt: skip
def test_a_protocol_that_contradicts_itself_is_refused(part: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        protocol(**part)


def test_a_person_in_two_strategies_is_refused() -> None:
    both = [
        {"name": "a", "label": "-", "records": RECORDS | {"window": [-9, 0]}},
        {"name": "b", "label": "-", "records": RECORDS | {"window": [-5, 0]}},
    ]
    cohort, _ = fs.cohort.example_cohort()
    with pytest.raises(fs.errors.DataError, match="must follow one strategy"):
        fs.cohort.build(cohort, protocol(strategies=both))
    cohort.engine.close()


def test_missing_tables_and_columns_are_named() -> None:
    cohort, _ = fs.cohort.example_cohort()
    lines = {"definition": "-", "records": {"table": "line_of_therapy", "lines": [2]}}
    with pytest.raises(fs.errors.DataError, match="table=line_of_therapy"):
        fs.cohort.build(cohort, protocol(time_zero=lines))
    atc = {"definition": "-", "records": {"table": "exposure", "atc": ["L01"]}}
    with pytest.raises(fs.errors.DataError, match="column=atc"):
        fs.cohort.build(cohort, protocol(time_zero=atc))
    with pytest.raises(fs.errors.DataError, match="column=surgery"):
        fs.cohort.build(cohort, protocol(time_zero={"definition": "-", "column": "surgery"}))
    nobody = [{"label": "Nobody", "column": "age", "operator": ">=", "value": 150}]
    with pytest.raises(fs.errors.DataError, match="step=Nobody"):
        fs.cohort.build(cohort, protocol(eligibility=nobody))
    cohort.engine.close()


# --- assurance patients -------------------------------------------------------------------------

ASSURANCE = """
[[patients]]
name = "dies on the day of the first dispensing"
why = "has no time at risk"
person = {birth = 1950-01-01, sex = "male", follow_up_end = 2020-05-01, death = 2020-05-01}
exposure = [{date = 2020-05-01, drug = "lenalidomide", kind = "drug"}]
expect = {included = false, step = "Free of the outcome on day 0"}

[[patients]]
name = "bortezomib a week before"
why = "one prescription, two pharmacies"
person = {birth = 1950-01-01, sex = "male", follow_up_end = 2020-06-01}
exposure = [
  {date = 2020-05-01, drug = "lenalidomide", kind = "drug"},
  {date = 2020-04-24, drug = "bortezomib", kind = "drug"},
]
expect = {included = true, strategy = "with_bortezomib", time = 31, event = 0, time_zero = 2020-05-01}
"""


def test_assurance_patients_say_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "assurance.toml"
    path.write_text(ASSURANCE, encoding="utf-8")
    found = fs.cohort.assure(protocol(), path)
    assert found.passed
    assert len(found.table) == 7
    found.raise_if_failed()
    path.write_text(ASSURANCE.replace("time = 31", "time = 30"), encoding="utf-8")
    wrong = fs.cohort.assure(protocol(), path)
    assert not wrong.passed
    with pytest.raises(
        fs.errors.ProtocolError, match="bortezomib a week before.*expected=30, got=31"
    ):
        wrong.raise_if_failed()
    # A changed definition is caught: the window no longer reaches a week back.
    shorter = [STRATEGIES[1], {"name": "with_bortezomib", "label": "-", "records": {
        "table": "exposure", "drugs": ["bortezomib"], "window": [-6, 0]}}]  # fmt: skip
    path.write_text(ASSURANCE, encoding="utf-8")
    assert not fs.cohort.assure(protocol(strategies=shorter), path).passed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no \\[\\[patients\\]\\]"),
        ("[[patients]]\nname = 'a'\nwhy = '-'\nperson = {}\nexpect = {}", "nothing is expected"),
        ("[[patients]]\nname = 'a'\nexpect = {included = true}", "no person"),
        ("[[patients]]\nname = 'a'\nwhere = 'b'", "unknown where"),
        ("patients = [", "valid TOML"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "assurance.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(fs.errors.DataError, match=problem):
        fs.cohort.assure(protocol(), path)
