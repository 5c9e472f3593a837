"""Spark: sessions, files, errors."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fiac_survival as fs
from fiac_survival.cohort import spark_session
from fiac_survival.cohort.dialects import fetch
from fiac_survival.core.errors import DataError
from tests.cohort.test_engines import as_folders
from tests.cohort.test_reading import changed, collected, good_tables, write

pytestmark = pytest.mark.xdist_group("spark")


def test_conformance(spark):
    found = fs.cohort.conformance(spark)
    assert found.passed, found.table.loc[~found.table["passed"]].to_string()
    assert found.engine == "pyspark"


def test_sessions_of_ours_share_a_context(spark):
    other = fs.cohort.connect("spark+local[2]")
    other.register(pd.DataFrame({"x": [1]}), table="only_there")
    assert "only_there" not in spark.backend.list_tables()
    other.close()
    assert fetch(spark.register(pd.DataFrame({"x": [1]}), table="t")).num_rows == 1
    with pytest.raises(DataError, match=r"one Spark context at a time.*close the engine"):
        fs.cohort.connect("spark+local[1]")


def test_a_session_handed_in(spark):
    session = spark.backend._session.newSession()
    session.conf.set("spark.sql.session.timeZone", "Europe/Paris")
    session.conf.set("spark.sql.ansi.enabled", "false")
    with pytest.raises(DataError) as error:
        fs.cohort.connect(session)
    assert "timeZone=Europe/Paris (dates of moments" in str(error.value)
    assert 'session.conf.set("spark.sql.ansi.enabled", "true")' in str(error.value)
    assert session.conf.get("spark.sql.session.timeZone") == "Europe/Paris"
    for key, value, _ in spark_session.SETTINGS:
        session.conf.set(key, value)
    session.conf.set("spark.sql.mapKeyDedupPolicy", "EXCEPTION")
    with pytest.raises(DataError, match="keeps its own settings"):
        fs.cohort.connect(session, memory_limit="1GB")
    handed = fs.cohort.connect(session)
    assert session.conf.get("spark.sql.mapKeyDedupPolicy") == "EXCEPTION"
    table = handed.register(pd.DataFrame({"x": [2, 1]}), table="t")
    assert handed.collect(table, order_by=["x"])["x"].tolist() == [1, 2]
    again = fs.cohort.connect(handed.backend)
    again.close()
    handed.close()
    assert fetch(table).num_rows == 2  # what was handed in runs on
    session.conf.set("spark.sql.files.ignoreCorruptFiles", "true")
    with pytest.raises(DataError, match="damaged files are passed over"):
        fs.cohort.connect(handed.backend)


def test_another_context_is_not_taken_over(spark, monkeypatch):
    monkeypatch.setattr(spark_session._Shared, "context", None)
    with pytest.raises(DataError, match=r"has another.*hand that session in"):
        fs.cohort.connect("spark+local[2]")


def test_reading(spark, tmp_path):
    embedded = fs.cohort.connect("duckdb")
    parquet = write(tmp_path / "a", good_tables())
    csv = write(tmp_path / "b", good_tables(), "csv")
    folders = as_folders(tmp_path / "c", good_tables(), "keys")
    for folder in (parquet, csv, folders):
        known = fs.cohort.read(folder, engine=embedded)
        found = fs.cohort.read(folder, engine=spark, check_rows=folder is csv)
        frames = collected(found)
        for name, frame in collected(known).items():
            pd.testing.assert_frame_equal(frames[name], frame)
            assert found.tables[name].schema().names == known.tables[name].schema().names
    embedded.close()


def test_what_reading_refuses(spark, tmp_path):
    for tables, match in (
        (changed("person", sex=["female", "f"]), r"person\.sex must be one of.*row 1, sex=f"),
        (changed("person", person=[1, 1]), r"person must have one row for each person: 1 row"),
        (
            changed("exposure", date=pd.to_datetime(["2019-01-01"] * 3)),
            r"exposure\.date must be of type date.*type=timestamp",
        ),
        (changed("exposure", drug=[1, 2, 3]), r"exposure\.drug must be of type text.*type=int64"),
    ):
        with pytest.raises(DataError, match=match):
            fs.cohort.read(write(tmp_path / "a", tables), engine=spark)
    folder = write(tmp_path / "b", good_tables())
    whole = (folder / "person.parquet").read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-4], b"", b"not parquet"):
        (folder / "person.parquet").write_bytes(part)
        with pytest.raises(DataError, match=r"readable as a table.*person\.parquet.*cut short"):
            fs.cohort.read(folder, engine=spark)
    moments = pa.table({"x": pa.array([0], pa.timestamp("ns"))})
    pq.write_table(moments, tmp_path / "m.parquet")
    with pytest.raises(DataError, match=r"in microseconds.*column=x.*coerce_timestamps"):
        spark.read(tmp_path / "m.parquet", table="m")


def test_columns_without_any_value_and_narrow_types(spark, tmp_path):
    tables = good_tables()
    for column in tables["event"].columns[2:]:
        tables["event"][column] = None
    tables["linkage_key"]["birth_year"] = pd.array([1950, None], dtype="UInt64")
    tables["line_of_therapy"]["line"] = tables["line_of_therapy"]["line"].astype("int8")
    tables["exposure"]["quantity"] = tables["exposure"]["quantity"].astype("float32")
    tables["exposure"]["kind"] = tables["exposure"]["kind"].astype("category")
    folder = write(tmp_path / "a", tables)
    answers = []
    for engine in (fs.cohort.connect("duckdb"), spark):
        cohort = fs.cohort.read(folder, engine=engine, check_rows=False)
        answers.append((collected(cohort), {n: str(t.schema()) for n, t in cohort.tables.items()}))
        if engine is not spark:
            engine.close()
    assert answers[0][1] == answers[1][1]
    for name, frame in answers[0][0].items():
        pd.testing.assert_frame_equal(frame, answers[1][0][name])


def test_errors_of_spark_are_explained(spark):
    table = spark.register(pd.DataFrame({"x": [2**62, 2**62]}), table="t")
    with pytest.raises(DataError, match=r"able to run the query.*overflow"):
        fetch(table.aggregate(s=table.x.sum()))


def test_a_frame_with_a_risk_table(spark):
    rows = pd.DataFrame({"time": [5, 8, 8], "event": [True, False, True], "sex": ["f", "m", "m"]})
    known = fs.survival.RiskTable.from_outcome(
        fs.Outcome(rows["time"], rows["event"]), group=rows["sex"]
    )
    found = fs.cohort.risk_table(rows, by="sex", engine=spark)
    pd.testing.assert_frame_equal(found.table, known.table)
