"""Engines: where tables live and queries run.

The embedded engine is DuckDB, reached through Ibis; the cluster is Spark, with the same queries and equal
results. A Spark session, or an Ibis connection to either engine, that exists already may be handed in.
Tables come back ordered: without an order, parallel engines return rows as they please.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort import parquet_tables, spark_session
from fiac_survival.cohort.arrow_rows import plain
from fiac_survival.cohort.dialects import Dialect, dialect_of, explained, fetch_frame, fresh
from fiac_survival.cohort.spark_session import reason_of
from fiac_survival.core.errors import DataError

KNOWN = "duckdb, duckdb:///FILE, spark, spark+local[N], spark://HOST:PORT"
WAIT = 60.0


@dataclass(frozen=True, eq=False)
class Engine:
    """A connection to an engine.

    Attributes
    ----------
    backend : ibis backend
        For queries of your own.
    name : str
        "duckdb" or "pyspark".
    """

    backend: Any
    name: str
    _end: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def dialect(self) -> Dialect:
        """What this engine says in its own way."""
        return dialect_of(self.backend)

    def read(self, path: str | Path, *, table: str) -> Any:
        """Register a CSV file, a parquet file or a folder of parquet parts as a table.

        Parameters
        ----------
        path : str or Path
            The file or folder. Parquet for Spark stays where it is, which every worker must see; CSV is
            read here, by the embedded engine, so that its columns have the same types on both.
        table : str
            Name to give it.

        Returns
        -------
        ibis.Table
            The table.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of another kind.
        """
        file = Path(path)
        if not file.exists():
            raise DataError("the file must exist", values={"path": file}, remedy="check the path")
        if file.is_dir() or file.suffix == ".parquet":
            loaded = parquet_tables.load(self.dialect, self.backend, file, table=table)
            if self.name != "duckdb":
                return loaded
            with explained():
                return self.backend.create_table(f"{table}_rows", loaded, overwrite=True)
        if file.suffix != ".csv":
            raise DataError(
                "the file must be CSV or parquet",
                values={"path": file},
                remedy="convert it, or load it with pandas and pass the frame",
            )
        if self.name != "duckdb":
            with explained():
                return self.dialect.register(self.backend, _read_csv(file), f"{table}_rows")
        try:
            rows = self.backend.read_csv(str(file), table_name=table)
            return self.backend.create_table(f"{table}_rows", rows, overwrite=True)
        except Exception as cause:
            raise parquet_tables.unreadable(file, reason_of(cause)) from cause

    def register(self, frame: pd.DataFrame, *, table: str) -> Any:
        """Put a frame into the engine.

        Parameters
        ----------
        frame : DataFrame
            Rows.
        table : str
            Name to give the table.

        Returns
        -------
        ibis.Table
            The table.

        Raises
        ------
        DataError
            If a column holds values of several kinds.
        OutputError
            If the engine's disk is full.
        """
        rows = arrow_of(frame)
        with explained():
            return self.dialect.register(self.backend, rows, table)

    def collect(self, table: Any, *, order_by: list[str]) -> pd.DataFrame:
        """Fetch a table's rows in a fixed order, with equal dtypes on every engine.

        Parameters
        ----------
        table : ibis.Table
            A query.
        order_by : list of str
            Columns that come first in the order; the other columns break ties.

        Returns
        -------
        DataFrame
            The rows.

        Raises
        ------
        DataError
            If the engine cannot run the query.
        """
        return fetch_frame(table, order_by=order_by)

    def keep(self, table: Any) -> Any:
        """Compute a query once and keep its rows in the engine until the connection ends.

        Parameters
        ----------
        table : ibis.Table
            A query.

        Returns
        -------
        ibis.Table
            Its rows.

        Raises
        ------
        OutputError
            If the engine's disk is full.
        """
        with explained():
            kept = self.dialect.keep(self.backend, table, fresh("kept"))
        # An engine may keep a whole number in fewer bits than the query says.
        wanted, found = table.schema(), kept.schema()
        narrowed = {c: kept[c].cast(wanted[c]) for c in wanted if wanted[c] != found[c]}
        return kept.mutate(**narrowed) if narrowed else kept

    def forget(self, kept: Any) -> None:
        """Free what a table that was kept takes; nothing that is computed later may need it.

        Parameters
        ----------
        kept : ibis.Table
            Of :meth:`keep`.
        """
        import ibis.expr.operations as ops

        for held in kept.op().find(ops.DatabaseTable):
            self.dialect.forget(self.backend, held.name)

    def close(self) -> None:
        """End the connection."""
        if self._end is not None:
            self._end()


def connect(
    engine: Any = "duckdb",
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    temp_directory: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    wait: float = WAIT,
) -> Engine:
    """Connect to an engine.

    Parameters
    ----------
    engine : str, SparkSession or ibis backend, default "duckdb"
        "duckdb" (in memory), "duckdb:///file.duckdb" (a file), "spark" (this machine), "spark+local[4]"
        (this machine, 4 threads), "spark://host:7077" (a standalone cluster). For YARN, Kubernetes and
        hosted platforms: the Spark session that they give, or an Ibis connection to it.
    threads : int, optional
        Of DuckDB, of Spark on this machine, or cores to take of a cluster.
    memory_limit : str, optional
        E.g. "8GB": of DuckDB (its own default is 80 % of the machine's memory), of Spark on this machine,
        or of each worker's process in a cluster.
    temp_directory : str or Path, optional
        Where to spill.
    settings : mapping of str to str, optional
        Further settings of a Spark session that is started here.
    wait : float, default 60
        Seconds to wait for a cluster to take a connection, and for its workers; Spark itself gives up on a
        master that takes one but does not answer after a minute.

    Returns
    -------
    Engine
        The connection. Closing it ends what was started here, and leaves alone what was handed in.

    Raises
    ------
    DataError
        If the engine is unknown, not installed or cannot be reached; or if a Spark session is handed in
        whose settings change results.

    Examples
    --------
    >>> engine = connect("duckdb")
    >>> engine.name
    'duckdb'
    >>> engine.close()
    """
    given = {"threads": threads, "memory_limit": memory_limit, "temp_directory": temp_directory}
    if not isinstance(engine, str):
        idle = [
            name for name, value in (given | {"settings": settings}).items() if value is not None
        ]
        if idle:
            raise DataError(
                "an engine that is handed in keeps its own settings",
                values={"option": idle[0]},
                remedy="set it there, and leave the option out",
            )
        return _handed_in(engine)
    if threads is not None and threads < 1:
        raise DataError("threads must be at least 1", values={"threads": threads})
    scheme, _, rest = engine.partition("://")
    if scheme == "duckdb":
        if settings:
            raise DataError("settings are for Spark", remedy="leave them out")
        return _duckdb(engine, rest, given)
    return _spark(_master(engine, threads), threads, given, dict(settings or {}), wait)


def _duckdb(engine: str, rest: str, given: dict[str, Any]) -> Engine:
    import ibis

    options = {name: value for name, value in given.items() if value is not None}
    if "temp_directory" in options:
        options["temp_directory"] = str(options["temp_directory"])
    path = rest.removeprefix("/") if rest else ":memory:"
    try:
        backend = ibis.duckdb.connect(path, **options)
    except Exception as cause:
        raise DataError(
            "the engine must be reachable",
            values={"engine": engine, "reason": str(cause).splitlines()[0]},
            remedy="check the path and that no other process has the file open",
        ) from cause
    return Engine(backend, "duckdb", backend.disconnect)


def _master(engine: str, threads: int | None) -> str:
    """Master of Spark that a name asks for."""
    local = f"local[{'*' if threads is None else threads}]"
    if engine in {"spark", "spark+local"}:
        return local
    if engine.startswith("spark+local[") and engine.endswith("]"):
        number = engine.removeprefix("spark+local[").removesuffix("]")
        if threads is None and (number == "*" or (number.isdigit() and int(number) > 0)):
            return f"local[{number}]"
    elif engine.startswith("spark://"):
        return engine
    raise DataError(
        "the engine must be one that this package knows",
        values={"engine": engine, "known": KNOWN},
        remedy="pass one of them, a Spark session or an Ibis connection; threads once only",
    )


def _spark(
    master: str, threads: int | None, given: dict[str, Any], settings: dict[str, str], wait: float
) -> Engine:
    if not master.startswith("local") and threads is not None:
        settings = {"spark.cores.max": str(threads)} | settings
    session = spark_session.start(
        master,
        memory_limit=given["memory_limit"],
        temp_directory=given["temp_directory"],
        settings=settings,
        timeout=wait,
    )
    import ibis

    backend = ibis.pyspark.connect(session)
    return Engine(backend, "pyspark", lambda: spark_session.stop(session))


def _handed_in(engine: Any) -> Engine:
    if type(engine).__module__.startswith("pyspark.sql") and hasattr(engine, "createDataFrame"):
        import ibis

        spark_session.check_settings(engine)
        with spark_session.untouched(engine):
            return Engine(ibis.pyspark.connect(engine), "pyspark")
    if not hasattr(engine, "create_table"):
        raise DataError(
            "engine must be a name, a Spark session or an Ibis connection",
            values={"type": type(engine).__name__},
            remedy='pass "duckdb", or what ibis.<backend>.connect() returns',
        )
    if dialect_of(engine).name == "pyspark":
        spark_session.check_settings(engine._session)
    return Engine(engine, str(engine.name))


def arrow_of(frame: pd.DataFrame) -> Any:
    """Arrow table of a frame, with the types that rows travel in.

    Parameters
    ----------
    frame : DataFrame
        Rows.

    Returns
    -------
    pyarrow.Table
        Not-a-number is missing.

    Raises
    ------
    DataError
        If a column holds values of several kinds.
    """
    import pyarrow as pa

    try:
        return plain(pa.Table.from_pandas(frame, preserve_index=False))
    except (pa.ArrowException, TypeError, ValueError) as cause:
        raise DataError(
            "every column must hold values of one kind",
            values={"reason": str(cause).splitlines()[0]},
            remedy="convert the column",
        ) from cause


def _read_csv(file: Path) -> Any:
    """Rows of a CSV file, read by the embedded engine."""
    import ibis

    reader = ibis.duckdb.connect()
    try:
        return plain(reader.read_csv(str(file)).to_pyarrow())
    except Exception as cause:
        raise parquet_tables.unreadable(file, reason_of(cause)) from cause
    finally:
        reader.disconnect()
