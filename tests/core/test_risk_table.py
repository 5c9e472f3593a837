"""Risk tables: from rows, from an engine's GROUP BY, to parquet and back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, OutputError
from tests.conftest import generate

RiskTable = fs.survival.RiskTable


def frame(seed=1, n=400):
    y, rng = generate(seed, n, late=True, ties=40)
    return y, pd.DataFrame(
        {
            "grp": rng.choice(["a", "b"], n),
            "entry": y.entry_or_zero(),
            "time": y.time,
            "status": y.event,
            "w": rng.integers(1, 9, n) / 4.0,
        }
    )


@pytest.mark.parametrize("weighted", [False, True])
def test_group_by_in_an_engine_gives_the_same_table(weighted):
    y, d = frame()
    engine = fs.cohort.connect("duckdb")
    rows = engine.register(d, table="patients")
    sums = {"n": rows.count()}
    if weighted:
        sums |= {"weight": rows.w.sum(), "weight_sq": (rows.w * rows.w).sum()}
    keys = {"group": rows.grp, "entry": rows.entry, "time": rows.time, "status": rows.status}
    table = rows.group_by(**keys).aggregate(**sums).execute()
    engine.close()
    found = RiskTable.from_table(table.sample(frac=1, random_state=0))
    expected = RiskTable.from_outcome(y, group=d["grp"], weights=d["w"] if weighted else None)
    assert found.weighted == expected.weighted == weighted
    pd.testing.assert_frame_equal(found.table, expected.table)
    pd.testing.assert_frame_equal(
        fs.survival.kaplan_meier(found).table,
        fs.survival.kaplan_meier(y, group=d["grp"], weights=d["w"] if weighted else None).table,
    )


def test_dense_and_sorted_ways_agree():
    y, rng = generate(3, 5000, ties=30)
    group, w = rng.integers(0, 3, 5000), rng.random(5000) + 0.1
    dense = RiskTable.from_outcome(y, group=group, weights=w)
    sorted_way = RiskTable.from_outcome(
        y, group=group, weights=w, strata=np.full(5000, "all", dtype=object)
    )
    pd.testing.assert_frame_equal(dense.table, sorted_way.table)


@pytest.mark.parametrize("weighted", [False, True])
def test_parquet(tmp_path, weighted):
    y, d = frame()
    table = RiskTable.from_outcome(y, group=d["grp"], weights=d["w"] if weighted else None)
    path = tmp_path / "deep" / "risk.parquet"
    table.to_parquet(path)
    again = RiskTable.from_parquet(path)
    pd.testing.assert_frame_equal(again.table, table.table)
    assert again.weighted == weighted
    assert [p.name for p in path.parent.iterdir()] == ["risk.parquet"]


def test_half_written_parquet(tmp_path):
    y, _ = frame()
    path = tmp_path / "risk.parquet"
    RiskTable.from_outcome(y).to_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="whole parquet file.*damaged or was cut short"):
        RiskTable.from_parquet(path)


def test_other_parquet(tmp_path):
    path = tmp_path / "other.parquet"
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(DataError, match="must be a risk table"):
        RiskTable.from_parquet(path)
    with pytest.raises(DataError, match="must exist"):
        RiskTable.from_parquet(tmp_path / "none.parquet")


def test_unwritable_folder_and_full_disk(tmp_path, monkeypatch):
    y, _ = frame()
    table = RiskTable.from_outcome(y)
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="parents are folders|must be writable"):
        table.to_parquet(tmp_path / "file" / "risk.parquet")
    import errno

    import pyarrow.parquet as pq

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OutputError, match="No space left.*free disk space"):
        table.to_parquet(tmp_path / "risk.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"time": [1], "n": [1]}, "columns time, status and n.*missing=.'status'."),
        ({"time": [1], "status": [1], "n": [0]}, "n must be a whole number.*n=0"),
        ({"time": [-1], "status": [1], "n": [1]}, "time must not be negative"),
        (
            {"time": [1], "status": [1], "n": [1], "weight": [1.0]},
            "weight only with weight_sq",
        ),
        (
            {"entry": [2], "time": [1], "status": [1], "n": [1]},
            "entry must be before time",
        ),
    ],
)
def test_bad_tables(table, says):
    with pytest.raises(DataError, match=says):
        RiskTable.from_table(pd.DataFrame(table))


def test_weighted_and_unweighted_do_not_merge():
    y, d = frame()
    with pytest.raises(DataError, match="both be weighted, or neither"):
        RiskTable.from_outcome(y) + RiskTable.from_outcome(y, weights=d["w"])


def test_merging_keeps_labels_of_both_sites():
    y = fs.Outcome([1, 2], [1, 0])
    merged = RiskTable.from_outcome(y, group=["a", "b"]) + RiskTable.from_outcome(
        y, group=["b", "c"]
    )
    assert merged.groups == ["a", "b", "c"]
    assert merged.table["n"].sum() == 4
