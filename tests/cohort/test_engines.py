"""Engines: connecting, what is refused, files and folders, full disks; without Spark where that can be."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fiac_survival as fs
from fiac_survival.cohort import dialects, expressions, parquet_tables, spark_session
from fiac_survival.cohort.conformance_checks import CHECKS
from fiac_survival.core.errors import DataError, OutputError
from tests.cohort.test_reading import collected, good_tables, write


@pytest.fixture
def embedded():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


# --- connecting ----------------------------------------------------------------------------------


def test_names_of_engines():
    for name in ("spark+yarn", "spark+local[0]", "spark+local[x]", "sparky", "spark+k8s://x"):
        with pytest.raises(DataError, match=r"one that this package knows.*spark://HOST:PORT"):
            fs.cohort.connect(name)
    with pytest.raises(DataError, match="threads once only"):
        fs.cohort.connect("spark+local[2]", threads=2)
    with pytest.raises(DataError, match="threads must be at least 1"):
        fs.cohort.connect("duckdb", threads=0)
    with pytest.raises(DataError, match="settings are for Spark"):
        fs.cohort.connect("duckdb", settings={"a": "b"})


def test_a_connection_handed_in_stays_open_and_keeps_its_settings():
    import ibis

    backend = ibis.duckdb.connect()
    with pytest.raises(DataError, match="keeps its own settings.*option=threads"):
        fs.cohort.connect(backend, threads=2)
    fs.cohort.connect(backend).close()
    assert backend.list_tables() == []
    backend.disconnect()
    other = ibis.sqlite.connect()
    with pytest.raises(DataError, match="must be DuckDB or Spark.*backend=sqlite"):
        fs.cohort.connect(other)
    other.disconnect()


def test_what_spark_needs(monkeypatch, tmp_path):
    monkeypatch.setattr(spark_session, "find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"needs pyspark; pip install 'fiac_survival\[spark\]'"):
        fs.cohort.connect("spark")
    monkeypatch.setattr(spark_session, "find_spec", lambda name: name)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(DataError, match="needs Java 17; apt install openjdk-17"):
        fs.cohort.connect("spark")
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    assert spark_session.java_version(str(java))[0] == 8
    with pytest.raises(DataError, match=r"needs Java 17 or 21.*1\.8\.0_402.*JAVA_HOME"):
        fs.cohort.connect("spark")


def test_a_master_that_is_not_there():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens
        port = held.getsockname()[1]
        for master in (f"spark://127.0.0.1:{port}", f"spark://127.0.0.1:{port},127.0.0.1:{port}"):
            with pytest.raises(DataError, match=r"must be reachable.*check host and port"):
                spark_session.require_answer(master, 2.0)
    for master in ("spark://127.0.0.1", "spark://:7077", "spark://host:port"):
        with pytest.raises(DataError, match="spark://host:port"):
            spark_session.require_answer(master, 2.0)


def test_settings_of_spark_elsewhere_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("SPARK_HOME", raising=False)
    monkeypatch.delenv("SPARK_CONF_DIR", raising=False)
    assert spark_session.settings_that_differ() == []
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    assert spark_session.settings_that_differ() == []
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "spark-defaults.conf").write_text(
        "# spark.sql.ansi.enabled false\nspark.sql.session.timeZone   Europe/Paris\n"
        "spark.sql.ansi.enabled=TRUE\nspark.executor.memory 4g\n",
        encoding="utf-8",
    )
    assert spark_session.settings_that_differ() == [
        ("spark.sql.session.timeZone", "Europe/Paris", "UTC")
    ]


# --- expressions ---------------------------------------------------------------------------------


UNSAFE = r"\w a\b (?i)a (?=a) a++ a*+ é [a&&b] [[:alpha:]] []a] a{,2} [a[b]] ( a{2 \1 [a--b]"


@pytest.mark.parametrize("pattern", [*UNSAFE.split(), "\n"])
def test_patterns_that_engines_read_differently(pattern):
    with pytest.raises(DataError, match="every engine reads alike"):
        expressions.pattern_of(pattern)


def test_patterns_as_written_for_engines():
    for given, written in {
        "^C90$": r"^C90\z",
        r"C\.9\d": r"C\.9[0-9]",
        r"[\d.$]{2,3}": r"[0-9.$]{2,3}",
        r"a\$": r"a\$",
        "a.b": r"a[^\n]b",
    }.items():
        assert expressions.pattern_of(given) == written


def test_every_expression_is_checked():
    """An expression without a check of conformance is one that nobody knows to be portable."""
    import inspect

    from fiac_survival.cohort import conformance_checks

    public = [n for n, f in inspect.getmembers(expressions, inspect.isfunction) if n[0] != "_"]
    own = [n for n in public if getattr(expressions, n).__module__ == expressions.__name__]
    text = inspect.getsource(conformance_checks)
    assert len(own) > 10
    assert [n for n in own if f"fx.{n}" not in text and n != "full_order"] == []
    assert len({check.name for check in CHECKS}) == len(CHECKS) > 20


# --- conformance ---------------------------------------------------------------------------------


@pytest.mark.slow  # the command is tested: tests/house/test_cli.py
def test_conformance_of_the_embedded_engine(embedded, tmp_path):
    found = fs.cohort.conformance(embedded, folder=tmp_path)
    assert found.passed, found.table.loc[~found.table["passed"]].to_string()
    assert len(found.table) == len(CHECKS) + 6
    assert not found.table["got"].str.contains("Error").any()
    assert list(tmp_path.iterdir()) == []


def test_conformance_names_what_diverges(embedded, monkeypatch):
    class Wrong(dialects.DuckDB):
        """An engine that loses the last row of a fetch and knows no folders."""

        def fetch(self, table):
            rows = super().fetch(table)
            return rows.slice(0, max(rows.num_rows - 1, 1))

        def load(self, backend, files, base, keys, table):
            raise OSError("no folders here")

    found = fs.cohort.conformance(embedded)
    assert found.passed
    monkeypatch.setitem(dialects.DIALECTS, "duckdb", Wrong())
    wrong = fs.cohort.conformance(embedded)
    assert not wrong.passed
    failed = wrong.table.loc[~wrong.table["passed"]].set_index("check")
    assert "epoch days" in failed.index
    assert failed.loc["epoch days", "got"] != failed.loc["epoch days", "expected"]
    assert "no folders here" in failed.loc["parquet folders", "got"]


# --- parquet -------------------------------------------------------------------------------------


def as_folders(folder, tables, kind):
    """The same tables as folders of parts."""
    for name, frame in tables.items():
        whole = pa.Table.from_pandas(frame, preserve_index=False)
        for i in range(len(frame)):
            place = folder / {"plain": name, "suffix": f"{name}.parquet"}.get(kind, name)
            place = place / f"bucket={i}" if kind == "keys" else place
            place.mkdir(parents=True, exist_ok=True)
            pq.write_table(whole.slice(i, 1), place / f"part-{i}.parquet")
        (place.parent if kind == "keys" else place).joinpath("_SUCCESS").touch()
    return folder


@pytest.mark.parametrize("kind", ["plain", "suffix", "keys"])
def test_folders_of_parts(embedded, tmp_path, kind):
    whole = collected(fs.cohort.read(write(tmp_path / "a", good_tables()), engine=embedded))
    cohort = fs.cohort.read(as_folders(tmp_path / "b", good_tables(), kind), engine=embedded)
    for name, frame in collected(cohort).items():
        if kind == "keys":
            assert sorted(frame.pop("bucket")) == list(range(len(frame)))
        pd.testing.assert_frame_equal(frame, whole[name])


def test_folders_that_are_refused(embedded, tmp_path):
    def refuse(match, folder="b"):
        with pytest.raises(DataError, match=match):
            fs.cohort.read(tmp_path / folder, engine=embedded)

    folder = as_folders(tmp_path / "b", good_tables(), "keys")
    part = folder / "event" / "bucket=1" / "part-1.parquet"
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])
    refuse(r"readable as a table.*part-1\.parquet.*cut short")
    part.write_bytes(whole)
    (folder / "event" / "bucket=2" / "deep=1").mkdir(parents=True)
    part.rename(folder / "event" / "bucket=2" / "deep=1" / "x.parquet")
    refuse("folders of the same keys.*bucket; bucket,deep")
    (folder / "event" / "other").mkdir()
    (folder / "event" / "bucket=2" / "deep=1" / "x.parquet").rename(
        folder / "event" / "other" / "x.parquet"
    )
    refuse("folders of the same keys.*none; bucket")
    (folder / "event" / "other" / "x.parquet").unlink()
    pq.write_table(pa.table({"person": ["1"]}), folder / "event" / "bucket=0" / "y.parquet")
    refuse(r"the same columns, of the same types.*y\.parquet")
    for file in (folder / "event").rglob("*.parquet"):
        file.unlink()
    refuse("must have parquet files")
    frame = good_tables()["event"].assign(bucket=1)
    frame.to_parquet(folder / "event" / "bucket=0" / "y.parquet", index=False)
    refuse("must not be a column of the parts too.*key=bucket")
    write(tmp_path / "c[1]", good_tables())
    refuse("must not have any of", "c[1]")


def test_large_numbers_are_never_rounded(embedded):
    large = 2**62 + 1
    frame = pd.DataFrame({"a": pd.array([large, None], dtype="Int64"), "b": [1.0, None]})
    table = embedded.register(frame, table="t")
    found = embedded.collect(table, order_by=["a"])
    assert found["a"][0] == large
    assert found["a"].dtype == "Int64"
    small = embedded.collect(table.filter(table.a.isnull()), order_by=["a"])
    assert small["a"].dtype == "float64"
    with pytest.raises(DataError, match="values of one kind"):
        embedded.register(pd.DataFrame({"x": [1, "a"]}), table="t")


def test_rows_of_files_come_in_groups(embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_tables, "ROWS_PER_GROUP", 10)
    table = embedded.register(pd.DataFrame({"x": range(35)}), table="t")
    parquet_tables.write(tmp_path / "x.parquet", table, order_by=["x"])
    file = pq.ParquetFile(tmp_path / "x.parquet")
    sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    assert sizes == [10, 10, 10, 5]
    assert file.read()["x"].to_pylist() == list(range(35))


# --- full disks ----------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path):
    """A disk of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can make a small disk")
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this system lets nobody make a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def wide(rows):
    return pd.DataFrame(
        {"x": range(rows), "t": [f"{i * 7919 % 1000003:x}" * 4 for i in range(rows)]}
    )


def large_cohort(embedded, rows=200_000):
    frame = wide(rows)
    exposure = pd.DataFrame(
        {"person": frame["x"], "date": pd.Timestamp("2020-01-01").date(), "drug": frame["t"]}
    ).assign(kind="drug")
    return fs.cohort.Cohort(embedded, {"exposure": embedded.register(exposure, table="exposure")})


def test_a_cohort_written_to_a_full_disk(embedded, tiny_disk):
    (tiny_disk / "exposure.parquet").write_bytes(b"old")
    with pytest.raises(OutputError, match="output must be writable.*No space left.*still stands"):
        large_cohort(embedded).write(tiny_disk)
    assert [f.name for f in tiny_disk.iterdir()] == ["exposure.parquet"]
    assert (tiny_disk / "exposure.parquet").read_bytes() == b"old"


def test_a_writer_that_fails(embedded, tmp_path, monkeypatch):
    """The same where nobody may make a small disk."""
    import errno

    class Full(pq.ParquetWriter):
        def write_table(self, *args, **kwargs):
            super().write_table(*args, **kwargs)
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(OutputError, match="No space left.*still stands"):
        large_cohort(embedded, 100).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_spilling_to_a_full_disk(tiny_disk):
    engine = fs.cohort.connect("duckdb", memory_limit="12MB", threads=1, temp_directory=tiny_disk)
    try:
        with pytest.raises(OutputError, match="room on disk.*another temp_directory"):
            for i in range(40):
                engine.register(wide(100_000), table=f"t{i}")
    finally:
        engine.close()


def test_errors_of_engines_are_explained():
    java = (
        "An error occurred while calling o1.x.\n: org.apache.spark.SparkException: Job aborted\n"
        "\tat a.b\nCaused by: java.io.IOException: No space left on device\n\tat c.d\n"
    )
    full = dialects.explanation(RuntimeError(java))
    assert isinstance(full, OutputError)
    assert full.values["reason"] == "java.io.IOException: No space left on device"
    for text in ("Out of Memory Error: x", "java.lang.OutOfMemoryError: heap"):
        assert "memory enough" in str(dialects.explanation(RuntimeError(text)))
    with pytest.raises(KeyError), dialects.explained():
        raise KeyError("a mistake in a program stays one")
