"""Engines: where tables live and queries run.

The embedded engine is DuckDB, reached through Ibis. An Ibis connection that exists already may be handed
in. Tables come back ordered: without an order, parallel engines return rows as they please.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.core.errors import DataError

SCHEMES = ("duckdb",)


@dataclass(frozen=True, eq=False)
class Engine:
    """A connection to an engine.

    Attributes
    ----------
    backend : ibis backend
        For queries of your own.
    name : str
        "duckdb", or the name of the backend handed in.
    """

    backend: Any
    name: str

    def read(self, path: str | Path, *, table: str) -> Any:
        """Register a CSV or parquet file as a table.

        Parameters
        ----------
        path : str or Path
            The file.
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
        if not file.is_file():
            raise DataError("the file must exist", values={"path": file}, remedy="check the path")
        readers = {".csv": "read_csv", ".parquet": "read_parquet"}
        if file.suffix not in readers:
            raise DataError(
                "the file must be CSV or parquet",
                values={"path": file},
                remedy="convert it, or load it with pandas and pass the frame",
            )
        try:
            lazy = getattr(self.backend, readers[file.suffix])(str(file), table_name=table)
            return self.backend.create_table(f"{table}_rows", lazy, overwrite=True)
        except Exception as cause:
            raise DataError(
                "the file must be readable as a table",
                values={"path": file, "reason": str(cause).splitlines()[0]},
                remedy="write it again: it is damaged, cut short or not what its name says",
            ) from cause

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
        """
        return self.backend.create_table(table, frame, overwrite=True)

    def collect(self, table: Any, *, order_by: list[str]) -> pd.DataFrame:
        """Fetch a table's rows in a fixed order.

        Parameters
        ----------
        table : ibis.Table
            A query.
        order_by : list of str
            Columns that determine the order fully.

        Returns
        -------
        DataFrame
            The rows.
        """
        frame: pd.DataFrame = table.order_by(order_by).execute()
        return frame.reset_index(drop=True)

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
        """
        return self.backend.create_table(f"kept_{uuid.uuid4().hex}", table, temp=True)

    def close(self) -> None:
        """End the connection."""
        self.backend.disconnect()


def connect(
    engine: Any = "duckdb",
    *,
    threads: int | None = None,
    memory_limit: str | None = None,
    temp_directory: str | Path | None = None,
) -> Engine:
    """Connect to an engine.

    Parameters
    ----------
    engine : str or ibis backend, default "duckdb"
        "duckdb" (in memory), "duckdb:///file.duckdb" (a file), or an Ibis connection.
    threads : int, optional
        For DuckDB.
    memory_limit : str, optional
        For DuckDB, e.g. "8GB"; its own default is 80 % of the machine's memory.
    temp_directory : str or Path, optional
        For DuckDB: where to spill.

    Returns
    -------
    Engine
        The connection.

    Raises
    ------
    DataError
        If the engine is unknown or cannot be reached.

    Examples
    --------
    >>> engine = connect("duckdb")
    >>> engine.name
    'duckdb'
    >>> engine.close()
    """
    if not isinstance(engine, str):
        if not hasattr(engine, "create_table"):
            raise DataError(
                "engine must be a name or an Ibis connection",
                values={"type": type(engine).__name__},
                remedy='pass "duckdb", or what ibis.<backend>.connect() returns',
            )
        return Engine(engine, str(engine.name))
    scheme, _, rest = engine.partition("://")
    if scheme not in SCHEMES:
        raise DataError(
            "the engine must be one that this package knows",
            values={"engine": engine, "known": ", ".join(SCHEMES)},
            remedy='pass "duckdb" or an Ibis connection',
        )
    import ibis

    options: dict[str, Any] = {}
    if threads is not None:
        options["threads"] = threads
    if memory_limit is not None:
        options["memory_limit"] = memory_limit
    if temp_directory is not None:
        options["temp_directory"] = str(temp_directory)
    path = rest.removeprefix("/") if rest else ":memory:"
    try:
        backend = ibis.duckdb.connect(path, **options)
    except Exception as cause:
        raise DataError(
            "the engine must be reachable",
            values={"engine": engine, "reason": str(cause).splitlines()[0]},
            remedy="check the path and that no other process has the file open",
        ) from cause
    return Engine(backend, "duckdb")
