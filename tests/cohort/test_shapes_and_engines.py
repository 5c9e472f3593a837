"""One simulated cohort, three shapes, two engines: one analysis table, exactly."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.protocol import Protocol
from tests.cohort.source_cases import claims, from_snds

pytestmark = pytest.mark.xdist_group("spark")

PARTS: dict[str, Any] = {
    "name": "myeloma",
    "time_zero": {"definition": "start of the second line",
                  "records": {"table": "line_of_therapy", "lines": [2]}},
    "eligibility": [{"label": "Adult", "column": "age", "operator": ">=", "value": 18},
                    {"label": "Diagnosis seen", "column": "myeloma", "operator": "==", "value": True}],
    "variables": [
        {"name": "myeloma", "label": "-",
         "records": {"table": "event", "codes": ["C90"], "window": [-4000, 0]}},
        {"name": "severe", "label": "-",
         "records": {"table": "event", "codes": ["N18"], "window": [-30, 0]}},
        {"name": "days_treated", "label": "-", "value": "days",
         "records": {"table": "exposure", "window": [-365, -1]}},
    ],
    "strategies": [
        {"name": "antibody", "label": "-",
         "records": {"table": "exposure", "drugs": ["daratumumab", "isatuximab"], "window": [0, 0]}},
        {"name": "none", "label": "-", "none_of_the_others": True},
    ],
    "outcome": {
        "name": "ttnt", "label": "-", "definition": "-", "time": "time", "event": "event",
        "events": [
            {"code": 1, "label": "death", "column": "death"},
            {"code": 2, "label": "third line", "records": {"table": "line_of_therapy", "lines": [3]}},
        ],
    },
    "follow_up": {"unit": "day", "horizon": 365.0, "censoring": "-", "ends": "follow_up_end",
                  "cutoff": pd.Timestamp("2022-12-31").date()},
}  # fmt: skip


def protocol() -> Protocol:
    cohort, example = fs.cohort.example_cohort()
    cohort.engine.close()
    return Protocol.model_validate(example.model_dump() | PARTS)


@pytest.mark.slow
def test_every_shape_on_every_engine_gives_one_analysis_table(
    spark: fs.cohort.Engine, tmp_path: Any
) -> None:
    simulated = claims(120, seed=5)
    simulated.write(tmp_path / "canonical")
    fs.simulate.write_snds(simulated, tmp_path / "snds")
    fs.simulate.write_omop(simulated, tmp_path / "omop")
    embedded = fs.cohort.connect("duckdb")
    asked, found = protocol(), {}
    for engine in (embedded, spark):
        readers = {
            "canonical": lambda e=engine: fs.cohort.read(tmp_path / "canonical", engine=e),
            "snds": lambda e=engine: from_snds(tmp_path / "snds", e),
            "omop": lambda e=engine: fs.cohort.from_omop(tmp_path / "omop", engine=e),
        }
        for shape, read in readers.items():
            cohort = read()
            lines = fs.cohort.lines_of_therapy(cohort.exposure, "imwg", follow_up=cohort.person)
            analysis = fs.cohort.build(cohort.with_table("line_of_therapy", lines.table), asked)
            counted = fs.cohort.risk_table(analysis, by="strategy").table
            table = analysis.table[
                ["person", "sex", "birth", "department", "age", "year", "time_zero", "severe",
                 "days_treated", "strategy", "time", "event"]
            ]  # fmt: skip
            table = table.assign(person=table["person"].astype("int64"))
            table = table.sort_values("person").reset_index(drop=True)
            found[engine.name, shape] = table, analysis.attrition, counted
    embedded.close()
    first = found["duckdb", "canonical"]
    assert len(first[0]) > 30
    assert first[0]["event"].nunique() == 3
    assert first[0]["strategy"].nunique() == 2
    assert first[0]["severe"].any()
    for other in found.values():
        for expected, got in zip(first, other, strict=True):
            pd.testing.assert_frame_equal(got, expected)
