"""What differs between engines: frames in, rows out, parquet, errors.

Everything else that cohort code asks is an expression (:mod:`fiac_survival.cohort.expressions`).
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from fiac_survival.cohort.arrow_rows import frame_of, plain
from fiac_survival.cohort.expressions import floor_divide, full_order
from fiac_survival.cohort.spark_session import reason_of
from fiac_survival.core.errors import DataError, FiacError, OutputError

ROWS_PER_BLOCK = 5_000_000
ROWS_PER_BATCH = 1_000_000


class Dialect(Protocol):
    """What cohort code asks of an engine beyond Ibis."""

    name: str

    def register(self, backend: Any, rows: Any, table: str) -> Any:
        """Put an Arrow table into the engine, in place of one of that name."""
        ...

    def keep(self, backend: Any, query: Any, table: str) -> Any:
        """Compute a query once and keep its rows until the connection ends."""
        ...

    def forget(self, backend: Any, table: str) -> None:
        """Free what a table that was kept takes."""
        ...

    def load(
        self, backend: Any, files: Sequence[Path], base: Path, keys: Sequence[str], table: str
    ) -> Any:
        """Make parquet files of one schema a table; `keys` are named in folders, as text."""
        ...

    def fetch(self, table: Any) -> Any:
        """Rows of a query as an Arrow table, as the engine gives them."""
        ...

    def stream(self, table: Any, order_by: Sequence[str], rows: int) -> Iterator[Any]:
        """Rows of a query in order, about `rows` at a time, as Arrow tables."""
        ...


class DuckDB:
    """The embedded engine."""

    name = "duckdb"

    def register(self, backend: Any, rows: Any, table: str) -> Any:
        """Put an Arrow table into the engine."""
        return backend.create_table(table, rows, overwrite=True)

    def keep(self, backend: Any, query: Any, table: str) -> Any:
        """Compute a query into a temporary table."""
        return backend.create_table(table, query, temp=True)

    def forget(self, backend: Any, table: str) -> None:
        """Drop the temporary table."""
        backend.drop_table(table, force=True)

    def load(
        self, backend: Any, files: Sequence[Path], base: Path, keys: Sequence[str], table: str
    ) -> Any:
        """Make parquet files a table; they stay on disk."""
        names = [str(f) for f in files]
        folders = {"hive_partitioning": bool(keys), "hive_types_autocast": False}
        return backend.read_parquet(names, table_name=table, **folders)

    def fetch(self, table: Any) -> Any:
        """Rows of a query."""
        return table.to_pyarrow()

    def stream(self, table: Any, order_by: Sequence[str], rows: int) -> Iterator[Any]:
        """Rows as the engine produces them."""
        import pyarrow as pa

        size = min(rows, ROWS_PER_BATCH)
        for batch in table.order_by(list(order_by)).to_pyarrow_batches(chunk_size=size):
            yield pa.Table.from_batches([batch])


class Spark:
    """Spark, on one machine or many."""

    name = "pyspark"

    def register(self, backend: Any, rows: Any, table: str) -> Any:
        """Put an Arrow table into the session, as a temporary view."""
        backend._session.createDataFrame(rows).createOrReplaceTempView(table)
        return backend.table(table)

    def keep(self, backend: Any, query: Any, table: str) -> Any:
        """Compute a query into the workers' memory and disks, as a temporary view.

        A checkpoint cuts what led to the rows off: plans that only grow take Spark minutes to print. It is
        made without inferred constraints: Spark 4.0 cannot unite checkpoints whose constraints name a
        column of a join that is not among theirs (NoSuchElementException).
        """
        backend._run_pre_execute_hooks(query)
        with _without_constraints(backend._session):
            rows = backend._session.sql(backend.compile(query)).localCheckpoint(eager=True)
        rows.createOrReplaceTempView(table)
        return backend.table(table)

    def forget(self, backend: Any, table: str) -> None:
        """Drop the view; Spark frees a checkpoint to which nothing leads any more."""
        backend._session.catalog.dropTempView(table)

    def load(
        self, backend: Any, files: Sequence[Path], base: Path, keys: Sequence[str], table: str
    ) -> Any:
        """Make parquet files a temporary view; the driver and every worker read them."""
        import pyarrow.parquet as pq
        from pyspark.sql.types import StringType, StructField, StructType

        session, names = backend._session, [str(f) for f in files]
        empty = {c.name for c in pq.read_schema(files[0]) if str(c.type) == "null"}
        # Spark reads no column without a type; the caller puts one in its place.
        known = [c for c in session.read.parquet(names[0]).schema if c.name not in empty]
        known = [c for c in known if c.name not in keys]
        columns = [*known, *(StructField(k, StringType()) for k in keys)]
        reader = session.read.schema(StructType(columns))
        if keys:
            reader = reader.option("basePath", str(base))
        reader.parquet(*names).createOrReplaceTempView(table)
        return backend.table(table)

    def fetch(self, table: Any) -> Any:
        """Rows of a query."""
        backend = table.get_backend()
        backend._run_pre_execute_hooks(table)
        return backend.raw_sql(backend.compile(table)).toArrow()

    def stream(self, table: Any, order_by: Sequence[str], rows: int) -> Iterator[Any]:
        """Rows in ranges of the first column: Spark hands a result over whole."""
        key = order_by[0]
        starts, missing = self._ranges(table, key, rows)
        order = list(order_by)
        if len(starts) + missing < 2:
            yield self.fetch(table.order_by(order))
            return
        with table.cache() as held:
            for first, following in zip(starts, [*starts[1:], None], strict=True):
                part = held.filter(held[key] >= first)
                part = part if following is None else part.filter(part[key] < following)
                yield self.fetch(part.order_by(order))
            if missing:
                yield self.fetch(held.filter(held[key].isnull()).order_by(order))

    def _ranges(self, table: Any, key: str, rows: int) -> tuple[list[Any], bool]:
        """First key of each range of about `rows` rows, and whether some rows have none."""
        import ibis

        sizes = table.group_by(fs_key=table[key]).agg(fs_n=table.count())
        before = (
            sizes.fs_n.sum().over(ibis.window(order_by=sizes.fs_key, preceding=(None, 0)))
            - sizes.fs_n
        )
        placed = sizes.mutate(fs_range=floor_divide(before, rows))
        ranges = placed.group_by("fs_range").agg(
            fs_first=placed.fs_key.min(), fs_missing=placed.fs_key.isnull().any()
        )
        found = self.fetch(ranges.order_by("fs_range")).to_pydict()
        starts = [first for first in found["fs_first"] if first is not None]
        return starts, any(found["fs_missing"])


@contextlib.contextmanager
def _without_constraints(session: Any) -> Iterator[None]:
    """Have Spark infer no constraints for a while."""
    name = "spark.sql.constraintPropagation.enabled"
    before = session.conf.get(name)
    session.conf.set(name, "false")
    try:
        yield
    finally:
        session.conf.set(name, before)


DIALECTS: dict[str, Dialect] = {one.name: one for one in (DuckDB(), Spark())}


def fresh(name: str) -> str:
    """Make a name that no other table of the engine has.

    Parameters
    ----------
    name : str
        How it begins.

    Returns
    -------
    str
        A name.
    """
    return f"{name}_{uuid.uuid4().hex}"


def dialect_of(backend: Any) -> Dialect:
    """Dialect of an Ibis connection.

    Parameters
    ----------
    backend : ibis backend
        A connection.

    Returns
    -------
    Dialect
        How to speak to it.

    Raises
    ------
    DataError
        If equal results are not known of this engine.
    """
    name = str(backend.name)
    if name not in DIALECTS:
        raise DataError(
            "the engine must be DuckDB or Spark",
            values={"backend": name},
            remedy="hand in a Spark session or an Ibis connection to one of the two",
        )
    return DIALECTS[name]


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Turn an engine's errors into this package's.

    Raises
    ------
    OutputError
        If a disk is full.
    DataError
        If memory is short or the engine could not run the query.
    """
    try:
        yield
    except FiacError:
        raise
    except Exception as cause:
        origin = type(cause).__module__.partition(".")[0].lstrip("_")
        if origin not in {"duckdb", "py4j", "pyspark", "pyarrow"} and not isinstance(
            cause, OSError
        ):
            raise
        raise explanation(cause) from cause


def explanation(cause: BaseException) -> FiacError:
    """Say what an engine's error means.

    Parameters
    ----------
    cause : BaseException
        What the engine raised.

    Returns
    -------
    FiacError
        To be raised from `cause`.
    """
    text, values = str(cause), {"reason": reason_of(cause)}
    full = ("No space left on device", "max_temp_directory_size", "Disk quota exceeded")
    if any(sign in text for sign in full):
        return OutputError(
            "the engine must have room on disk",
            values=values,
            remedy="free disk space, or connect with another temp_directory",
        )
    if "Out of Memory" in text or "OutOfMemoryError" in text or "maxResultSize" in text:
        return DataError(
            "the engine must have memory enough",
            values=values,
            remedy="connect with a larger memory_limit, fewer threads or a temp_directory",
        )
    return DataError(
        "the engine must be able to run the query",
        values=values,
        remedy="check the tables' files and columns; fiac doctor examines the engine",
    )


def fetch(table: Any) -> Any:
    """Rows of a query as an Arrow table, with equal types on every engine.

    Parameters
    ----------
    table : ibis.Table
        A query.

    Returns
    -------
    pyarrow.Table
        Rows as they come.

    Raises
    ------
    DataError
        If the engine cannot run it.
    """
    with explained():
        return plain(dialect_of(table.get_backend()).fetch(table), table.schema().to_pyarrow())


def fetch_frame(table: Any, *, order_by: Sequence[str] = ()) -> pd.DataFrame:
    """Rows of a query as a frame, in one order and with equal dtypes on every engine.

    Parameters
    ----------
    table : ibis.Table
        A query.
    order_by : sequence of str
        What comes first; the other columns break ties. None: rows as they come.

    Returns
    -------
    DataFrame
        The rows.

    Raises
    ------
    DataError
        If the engine cannot run it.
    """
    ordered = table.order_by(full_order(table, order_by)) if order_by else table
    return frame_of(fetch(ordered))


def fetch_whole(value: Any) -> int:
    """Value of a count or a sum.

    Parameters
    ----------
    value : ibis integer scalar
        To be computed.

    Returns
    -------
    int
        The value, 0 if it is missing.
    """
    return int(fetch(value.as_table()).column(0)[0].as_py() or 0)


def stream(table: Any, *, order_by: Sequence[str], rows: int = ROWS_PER_BLOCK) -> Iterator[Any]:
    """Rows of a query in order, block by block.

    Parameters
    ----------
    table : ibis.Table
        A query.
    order_by : sequence of str
        What orders them; Spark cuts where the first of them changes.
    rows : int
        About how many at a time.

    Yields
    ------
    pyarrow.Table
        Rows, with equal types on every engine.

    Raises
    ------
    DataError
        If the engine cannot run it.
    OutputError
        If its disk is full.
    """
    with explained():
        schema = table.schema().to_pyarrow()
        for part in dialect_of(table.get_backend()).stream(table, order_by, rows):
            yield plain(part, schema)
