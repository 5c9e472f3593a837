"""Parquet files, and folders of parquet parts, as tables of an engine.

A folder's parts are all files below it that end in .parquet, except where a name starts with "." or "_".
Folders called ``key=value`` give every part below them a column ``key``. All parts must have one schema:
it is read from their footers before an engine sees them, so that a part cut short is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fiac_survival.cohort.arrow_rows import plain_type
from fiac_survival.cohort.dialects import Dialect, explained, stream
from fiac_survival.core.errors import DataError

ROWS_PER_GROUP = 1_000_000
MISSING_VALUE = "__HIVE_DEFAULT_PARTITION__"


def parts_of(path: Path) -> list[Path]:
    """Parquet files of a table.

    Parameters
    ----------
    path : Path
        A file, or a folder of parts.

    Returns
    -------
    list of Path
        By name.

    Raises
    ------
    DataError
        If a folder has none.
    """
    if path.is_file():
        return [path]
    parts = [
        part
        for part in sorted(path.rglob("*.parquet"))
        if part.is_file() and not any(n[0] in "._" for n in part.relative_to(path).parts)
    ]
    if not parts:
        raise DataError(
            "a folder of a table must have parquet files",
            values={"path": path},
            remedy="write its parts as .parquet; names that start with . or _ are passed over",
        )
    return parts


def schema_of(path: Path, parts: list[Path]) -> Any:
    """Read the schema that all parts of a table have.

    Parameters
    ----------
    path : Path
        The table.
    parts : list of Path
        Its files.

    Returns
    -------
    pyarrow.Schema
        Columns with the types that rows travel in, folder keys last.

    Raises
    ------
    DataError
        If a part is damaged or differs from the first.
    """
    import pyarrow as pa

    first: Any = None
    for part in parts:
        own = [(f.name, plain_type(f.type)) for f in _footer(part)]
        first = own if first is None else first
        if own != first:
            wrong = sorted({name for name, _ in set(own) ^ set(first)}) or [n for n, _ in own]
            raise DataError(
                "the parts of a table must have the same columns, of the same types",
                values={"part": part, "columns": ", ".join(wrong)},
                remedy="write them with one schema",
            )
    keys = {tuple(_folders(path, part)) for part in parts}
    if len(keys) > 1:
        raise DataError(
            "the parts of a table must lie in folders of the same keys",
            values={"path": path, "keys": "; ".join(",".join(k) or "none" for k in sorted(keys))},
            remedy="move the parts, or write them anew",
        )
    names = keys.pop()
    twice = [name for name, _ in first if name in names]
    if twice:
        raise DataError(
            "a key of folders must not be a column of the parts too",
            values={"path": path, "key": twice[0]},
            remedy="drop the column, or rename the folders",
        )
    return pa.schema([*first, *((name, _key_type(path, parts, name)) for name in names)])


def _footer(part: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(part)
    except (OSError, pa.ArrowException) as cause:
        raise unreadable(part, str(cause).splitlines()[0]) from cause


def unreadable(path: Path, reason: str) -> DataError:
    """Error about a file that is no table.

    Parameters
    ----------
    path : Path
        The file.
    reason : str
        What its reader said.

    Returns
    -------
    DataError
        To be raised.
    """
    return DataError(
        "the file must be readable as a table",
        values={"path": path, "reason": reason},
        remedy="write it again: it is damaged, cut short or not what its name says",
    )


def _folders(path: Path, part: Path) -> dict[str, str | None]:
    """Keys and values in the names of the folders between a table and a part."""
    if part == path:
        return {}
    names = part.relative_to(path).parts[:-1]
    pairs = [name.partition("=") for name in names]
    if any(sign for _, sign, _ in pairs) and not all(sign for _, sign, _ in pairs):
        raise DataError(
            "folders of parts must be called key=value all, or none of them",
            values={"part": part},
            remedy="rename or move them",
        )
    return {
        key: None if value == MISSING_VALUE else unquote(value)
        for key, sign, value in pairs
        if sign
    }


def _key_type(path: Path, parts: list[Path], key: str) -> Any:
    """Whole numbers where every value is written as one, else text; engines would guess."""
    import pyarrow as pa

    values = [v for part in parts if (v := _folders(path, part)[key]) is not None]
    whole = bool(values) and all(re.fullmatch(r"0|-?[1-9]\d{0,17}", v) for v in values)
    return pa.int64() if whole else pa.string()


def load(
    dialect: Dialect, backend: Any, path: Path, *, table: str, empty: dict[str, str] | None = None
) -> Any:
    """Make a parquet file, or a folder of parts, a table; the rows stay where they are.

    Parameters
    ----------
    dialect : Dialect
        Of the engine.
    backend : ibis backend
        The engine.
    path : Path
        The file or folder, which every machine of the engine must see.
    table : str
        Name to give it.
    empty : dict of str to str, optional
        Types of columns that parquet keeps without one since they have no value; text if not named.

    Returns
    -------
    ibis.Table
        Rows, with equal types on every engine.

    Raises
    ------
    DataError
        If a part is damaged or the engine cannot read it.
    """
    import ibis
    import pyarrow as pa

    parts = parts_of(path)
    for part in parts:
        if re.search(r"[*?\[\]{}]", str(part.resolve())):
            raise DataError(
                "paths of parquet files must not have any of * ? [ ] { }",
                values={"path": part},
                remedy="rename the file or its folder: engines read these signs as wildcards",
            )
    schema = schema_of(path, parts)
    keys = list(_folders(path, parts[0]))
    if dialect.name == "pyspark":
        _require_microseconds(path, parts[0])
    with explained():
        rows = dialect.load(backend, [p.resolve() for p in parts], path.resolve(), keys, table)
        columns: dict[str, Any] = {}
        for one in schema:
            if pa.types.is_null(one.type):
                columns[one.name] = ibis.null((empty or {}).get(one.name, "string"))
                continue
            wanted = ibis.Schema.from_pyarrow(pa.schema([one]))[one.name]
            own = rows[one.name]
            number = wanted.is_integer() or wanted.is_floating()
            columns[one.name] = own.cast(wanted) if number and own.type() != wanted else own
        return rows.select(**columns)


def described(path: Path, *, empty: dict[str, str]) -> Any:
    """Columns of a parquet file or a folder of parts, before an engine reads it.

    Parameters
    ----------
    path : Path
        The file or folder.
    empty : dict of str to str
        Types of columns that parquet keeps without one.

    Returns
    -------
    ibis.Table
        Bound to no engine.

    Raises
    ------
    DataError
        If a part is damaged or differs from the first.
    """
    import ibis

    types = ibis.Schema.from_pyarrow(schema_of(path, parts_of(path)))
    named = {c: empty.get(c, "string") if t.is_null() else t for c, t in types.items()}
    return ibis.table(named, name="file")


def write(path: Path, table: Any, *, order_by: Sequence[str]) -> None:
    """Write a query's rows; equal rows give equal bytes on every engine.

    Parameters
    ----------
    path : Path
        A file.
    table : ibis.Table
        A query.
    order_by : sequence of str
        What orders its rows fully.

    Raises
    ------
    DataError
        If the engine cannot run it.
    OutputError
        If a disk of the engine is full.
    OSError
        If the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = [pa.field(f.name, plain_type(f.type)) for f in table.schema().to_pyarrow()]
    with pq.ParquetWriter(path, pa.schema(fields)) as writer:
        held: list[Any] = []
        n_held = 0
        for part in stream(table, order_by=order_by):
            held.append(part)
            n_held += part.num_rows
            if n_held >= ROWS_PER_GROUP:
                rows = pa.concat_tables(held)
                whole = n_held - n_held % ROWS_PER_GROUP
                writer.write_table(rows.slice(0, whole), row_group_size=ROWS_PER_GROUP)
                held, n_held = [rows.slice(whole)], n_held - whole
        if n_held:
            writer.write_table(pa.concat_tables(held), row_group_size=ROWS_PER_GROUP)


def _require_microseconds(path: Path, part: Path) -> None:
    """Spark reads no moments in nanoseconds."""
    for one in _footer(part):
        if str(one.type).startswith("timestamp[ns"):
            raise DataError(
                "moments in parquet files for Spark must be in microseconds",
                values={"path": path, "column": one.name},
                remedy='write dates as dates, or moments with coerce_timestamps="us"',
            )
