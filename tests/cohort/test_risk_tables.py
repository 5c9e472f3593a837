"""Counting in the engine equals counting in memory, exactly."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError

RiskTable = fs.survival.RiskTable


@st.composite
def cohorts(draw):
    """Small cohorts with ties; late entry in some; groups of text, numbers or booleans."""
    n = draw(st.integers(1, 30))
    late = draw(st.booleans())
    groups = draw(st.sampled_from([["a", "b", "Ä"], [3, 1, 2], [True, False]]))
    rows = []
    for _ in range(n):
        time = draw(st.integers(1 if late else 0, 8))
        entry = draw(st.integers(0, time - 1)) if late else 0
        rows.append((time, draw(st.integers(0, 2)), entry, draw(st.sampled_from(groups))))
    frame = pd.DataFrame(rows, columns=["time", "event", "entry", "group"])
    frame["stratum"] = [draw(st.sampled_from(["x", "y"])) for _ in range(n)]
    return frame


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def test_equal_to_rows_in_memory(engine):
    @settings(max_examples=60)
    @given(rows=cohorts(), late=st.booleans(), grouped=st.booleans(), strata=st.booleans())
    def compare(rows, late, grouped, strata):
        late = late and bool((rows["entry"] < rows["time"]).all())
        y = fs.Outcome(rows["time"], rows["event"], entry=rows["entry"] if late else None)
        expected = RiskTable.from_outcome(
            y,
            group=rows["group"] if grouped else None,
            strata=rows["stratum"] if strata else None,
        )
        options = {
            "by": "group" if grouped else None,
            "entry": "entry" if late else None,
            "strata": "stratum" if strata else None,
        }
        table = engine.register(rows, table="rows")
        found = fs.cohort.risk_table(table, **options)
        pd.testing.assert_frame_equal(found.table, expected.table)
        assert not found.weighted

    compare()


def test_several_group_columns_and_other_names():
    rows = pd.DataFrame(
        {"t": [1, 2, 2], "e": [True, False, True], "a": [1, 1, 2], "b": list("xyx")}
    )
    label = "a=" + rows["a"].astype(str) + ", b=" + rows["b"]
    expected = RiskTable.from_outcome(fs.Outcome(rows["t"], rows["e"]), group=label)
    engine = fs.cohort.connect("duckdb")
    for where in (None, "duckdb", engine):
        found = fs.cohort.risk_table(rows, by=["a", "b"], time="t", event="e", engine=where)
        pd.testing.assert_frame_equal(found.table, expected.table)
    engine.close()


def test_refusals(engine):
    good = pd.DataFrame(
        {"time": [1, 2, 3], "event": [0, 1, 1], "entry": [0, 1, 1], "g": list("abb")}
    )

    def refuse(match, rows=good, **more):
        options = {"by": "g", "entry": "entry"} | more
        for data in (rows, engine.register(rows, table="bad")):
            with pytest.raises(DataError, match=match):
                fs.cohort.risk_table(data, **options)

    refuse("must have its columns.*missing=h.*columns: time, event", by="h")
    refuse("time must be whole days.*float64", good.assign(time=[1.0, 2.0, 3.0]))
    refuse("event must be an integer code", good.assign(event=list("abc")))
    refuse("g must not be missing: 1 row ", good.assign(g=["a", None, "b"]))
    refuse("time must not be missing", good.assign(time=pd.array([1, None, 2], dtype="Int64")))
    refuse("time must not be negative.*time=-1", good.assign(time=[-1, 2, 3]))
    refuse("entry must be before time: 3 rows.*entry=1, time=1", good.assign(entry=[1, 2, 3]))
    refuse("event must be a code 0.*event=-1", good.assign(event=[-1, 0, 1]))
    with pytest.raises(DataError, match="at least one row"):
        fs.cohort.risk_table(good.iloc[:0], by="g")
    nobody = engine.register(good, table="bad").filter(lambda t: t.time > 9)
    with pytest.raises(DataError, match="at least one row"):
        fs.cohort.risk_table(nobody, by="g")


def test_whole_weights(engine):
    rows = pd.DataFrame({"time": [1, 2, 2], "event": [1, 0, 1], "g": list("aab"), "w": [3, 1, 2]})
    y = fs.Outcome(rows["time"], rows["event"])
    found = fs.cohort.risk_table(rows, by="g", weights="w", engine=engine)
    known = RiskTable.from_outcome(y, group=rows["g"], weights=rows["w"])
    pd.testing.assert_frame_equal(found.table, known.table)
    assert found.weighted
    for weights, match in (
        ([0.5, 1.0, 2.0], "w must be whole numbers.*float64.*scale"),
        ([1, 0, -2], "w must be positive whole numbers.*2 rows"),
        (pd.array([1, None, 2], dtype="Int64"), "w must be positive whole numbers.*1 row "),
        ([1, 10**7, 1], "up to 1000000.*1 row "),
    ):
        with pytest.raises(DataError, match=match):
            fs.cohort.risk_table(rows.assign(w=weights), by="g", weights="w", engine=engine)
    many = pd.DataFrame({"time": [1] * 9100, "event": [1] * 9100, "w": [10**6] * 9100})
    with pytest.raises(DataError, match=r"sum of squares of w must not go beyond 2\*\*53"):
        fs.cohort.risk_table(many, by=None, weights="w", engine=engine)
