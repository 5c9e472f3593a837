"""Engines, eligibility and shipped data."""

from __future__ import annotations

import hashlib

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.core.population import Criterion


@pytest.fixture
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def criterion(column, operator, value=None, **more):
    return Criterion(
        label=f"{column} {operator}", column=column, operator=operator, value=value, **more
    )


@pytest.mark.parametrize(
    ("operator", "value", "kept"),
    [
        ("==", 2, [2]),
        ("!=", 2, [1, 3]),
        ("<", 2, [1]),
        ("<=", 2, [1, 2]),
        (">", 2, [3]),
        (">=", 2, [2, 3]),
        ("in", [1, 3], [1, 3]),
        ("not missing", None, [1, 2, 3]),
    ],
)
def test_operators(engine, operator, value, kept):
    table = engine.register(pd.DataFrame({"x": [1, 2, 3, None], "id": range(4)}), table="t")
    eligible, attrition = fs.cohort.apply_eligibility(
        table, [criterion("x", operator, value)], source="s"
    )
    found = engine.collect(eligible, order_by=["id"])
    assert found["x"].tolist() == kept  # a missing value never meets a criterion
    assert attrition["n_after"].tolist() == [4, len(kept)]
    assert attrition["n_excluded"].tolist() == [0, 4 - len(kept)]


def test_steps_add_up_and_stay_within_their_source(engine):
    table = engine.register(pd.DataFrame({"x": range(10)}), table="t")
    steps = [
        criterion("x", ">", 2),
        criterion("x", "<", 5, sources=["other"]),
        criterion("x", "!=", 7, sources=["s"]),
    ]
    _, attrition = fs.cohort.apply_eligibility(table, steps, source="s")
    assert attrition["n_after"].tolist() == [10, 7, 6]
    assert (attrition["n_before"] - attrition["n_excluded"] == attrition["n_after"]).all()


def test_refusals(engine, tmp_path):
    table = engine.register(pd.DataFrame({"x": [1]}), table="t")
    with pytest.raises(DataError, match="column of the source.*column=y.*columns: x"):
        fs.cohort.apply_eligibility(table, [criterion("y", ">", 2)], source="s")
    with pytest.raises(DataError, match="must leave somebody"):
        fs.cohort.apply_eligibility(table, [criterion("x", ">", 2)], source="s")
    with pytest.raises(DataError, match="must exist"):
        engine.read(tmp_path / "none.csv", table="a")
    (tmp_path / "a.xlsx").write_bytes(b"")
    with pytest.raises(DataError, match="CSV or parquet"):
        engine.read(tmp_path / "a.xlsx", table="a")
    path = tmp_path / "a.parquet"
    pd.DataFrame({"x": range(1000)}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="readable as a table.*damaged, cut short"):
        engine.read(path, table="a")
    with pytest.raises(DataError, match="engine must be one that this package knows"):
        fs.cohort.connect("oracle://x")
    with pytest.raises(DataError, match="name, a Spark session or an Ibis"):
        fs.cohort.connect(7)
    with pytest.raises(DataError, match="must be reachable"):
        fs.cohort.connect(f"duckdb:///{tmp_path}/no/such/folder/file.duckdb")


def test_a_file_and_a_connection_handed_in(tmp_path):
    import ibis

    engine = fs.cohort.connect(f"duckdb:///{tmp_path}/file.duckdb", threads=1, memory_limit="1GB")
    engine.register(pd.DataFrame({"x": [3, 1, 2]}), table="t")
    engine.close()
    backend = ibis.duckdb.connect(tmp_path / "file.duckdb")
    handed = fs.cohort.connect(backend)
    assert handed.name == "duckdb"
    assert handed.collect(backend.table("t"), order_by=["x"])["x"].tolist() == [1, 2, 3]
    handed.close()


@pytest.mark.parametrize("name", fs.datasets.names())
def test_cards_describe_their_files(name):
    data = fs.datasets.load(name)
    assert len(data.frame) == data.card.rows
    assert list(data.frame.columns) == list(data.card.columns)
    assert hashlib.sha256(data.card.path.read_bytes()).hexdigest() == data.card.sha256
    assert data.card.source
    assert data.card.licence
    assert data.card.caveats
    assert not data.card.simulated


def test_unknown_and_changed_data_sets(monkeypatch, tmp_path):
    with pytest.raises(DataError, match="comes with the package.*gbsg, rotterdam"):
        fs.datasets.load("gsbg")
    import shutil

    from fiac_survival.datasets import shipped

    shutil.copytree(shipped.FOLDER, tmp_path / "data")
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "data")
    with (tmp_path / "data" / "gbsg.csv").open("a", encoding="utf-8") as file:
        file.write("1,2,3\n")
    with pytest.raises(DataError, match="the one that its card describes"):
        fs.datasets.load("gbsg")


def test_deaths_after_recurrence_follow_up():
    """43 of 2982: what the card says."""
    d = fs.datasets.load("rotterdam").frame
    late = (d["recur"] == 0) & (d["death"] == 1) & (d["rtime"] < d["dtime"])
    assert late.sum() == 43
