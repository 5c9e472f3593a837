"""Tables as a source has them: found in a folder, checked against a definition, brought to known types.

A definition (a TOML file) names the columns that are read and their kinds. A table is a parquet file, a
folder of parquet parts, or a CSV file or folder of CSV parts. Parquet stays where it is; CSV is read into
the engine with the types of the definition, so that no engine guesses.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.arrow_rows import plain
from fiac_survival.cohort.dialects import fresh
from fiac_survival.cohort.engine import Engine
from fiac_survival.core.errors import DataError

Kind = Literal["text", "key", "integer", "number", "date"]
TYPES: dict[Kind, str] = {
    "text": "string",
    "key": "string",
    "integer": "int64",
    "number": "float64",
    "date": "date",
}
ACCEPTED: dict[Kind, str] = {
    "text": "text",
    "key": "text or integer",
    "integer": "integer, or text of digits",
    "number": "number",
    "date": "date",
}


class SourceColumn(BaseModel):
    """A column of a source.

    Attributes
    ----------
    kind : {"text", "key", "integer", "number", "date"}
        Kind of its values.
    required : bool
        Whether it must be there.
    from_year : int, optional
        First year in which it must be there, in tables by year.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    required: bool = True
    from_year: int | None = None


class SourceTable(BaseModel):
    """A table of a source.

    Attributes
    ----------
    title, note : str
        What a row is.
    per_year : bool
        Whether there is one table a year; "aa" in its name stands for the year's two last digits.
    columns : dict of str to SourceColumn
        What is read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    note: str = ""
    per_year: bool = False
    columns: dict[str, SourceColumn]


def name_of(name: str, year: int | None) -> str:
    """Name of a table in a year.

    Parameters
    ----------
    name : str
        Name of the definition.
    year : int or None
        Calendar year.

    Returns
    -------
    str
        With "aa" replaced by the two last digits.
    """
    return name if year is None else name.replace("aa", f"{year % 100:02d}")


def find(folder: Path, name: str) -> Path | None:
    """Find a table's file or folder.

    Parameters
    ----------
    folder : Path
        Where to look.
    name : str
        Name of the table; upper and lower case are the same.

    Returns
    -------
    Path or None
        name.parquet, name.csv, or a folder called name; None if there is none.

    Raises
    ------
    DataError
        If there are several.
    """
    names = {name.lower(), f"{name.lower()}.parquet", f"{name.lower()}.csv"}
    found = sorted(path for path in folder.iterdir() if path.name.lower() in names)
    if len(found) > 1:
        raise DataError(
            "a table must stand in one file or folder",
            values={"table": name, "found": ", ".join(path.name for path in found)},
            remedy="remove the others",
        )
    return found[0] if found else None


def open_table(
    folder: Path,
    engine: Engine,
    name: str,
    definition: SourceTable,
    *,
    year: int | None = None,
    whole: Collection[str] = (),
) -> Any:
    """Open a table with the columns and types of its definition.

    Parameters
    ----------
    folder : Path
        Where the tables are.
    engine : Engine
        Where to read them.
    name : str
        Name of the definition.
    definition : SourceTable
        What is read.
    year : int, optional
        Calendar year, for tables by year.
    whole : collection of str
        Keys that stay whole numbers if the table has them as such, instead of text.

    Returns
    -------
    ibis.Table
        The columns that are there, in the order of the definition, of known types.

    Raises
    ------
    DataError
        If the table or a column is missing, a file is damaged, or a column is of another type.
    """
    own = name_of(name, year)
    place = find(folder, own)
    if place is None:
        values: dict[str, object] = {"missing": own, "folder": folder}
        raise DataError(
            "the source must have its tables" + (" of every year" if year else ""),
            values=values | ({"year": year} if year else {}),
            remedy=f"write {own}.parquet, a folder {own} of parts, or {own}.csv; "
            "or say that the source does not have it",
        )
    parts = _parts(place, own)
    table, without_type = (
        _open_csv(engine, parts, own, definition)
        if parts[0].suffix == ".csv"
        else _open_parquet(engine, place, parts, own)
    )
    return _typed(table, own, definition, year, without_type, whole)


def _parts(place: Path, name: str) -> list[Path]:
    if place.is_file():
        return [place]
    for suffix in (".parquet", ".csv"):
        parts = sorted(p for p in place.rglob(f"*{suffix}") if not p.name.startswith((".", "_")))
        if parts:
            return parts
    raise DataError(
        "a table's folder must hold parts",
        values={"table": name, "folder": place},
        remedy="write parquet or CSV files into it",
    )


def _damaged(name: str, part: Path, cause: Exception) -> DataError:
    return DataError(
        "the file must be readable as a table",
        values={"table": name, "path": part, "reason": str(cause).splitlines()[0]},
        remedy="write it again: it is damaged, cut short or not what its name says",
    )


def _open_parquet(
    engine: Engine, place: Path, parts: list[Path], name: str
) -> tuple[Any, set[str]]:
    """Table, and columns without any value, which parquet keeps without a type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    without_type: set[str] | None = None
    for part in parts:
        try:
            schema = pq.read_schema(part)
        except (OSError, pa.ArrowInvalid) as cause:
            raise _damaged(name, part, cause) from cause
        empty = {one.name for one in schema if pa.types.is_null(one.type)}
        without_type = empty if without_type is None else without_type & empty
    source = str(place)
    if place.is_dir() and engine.name == "duckdb":
        source = f"{place}/**/*.parquet"
    try:
        table = engine.backend.read_parquet(source, table_name=fresh(name))
    except Exception as cause:
        raise _damaged(name, place, cause) from cause
    return table, without_type or set()


def _open_csv(
    engine: Engine, parts: list[Path], name: str, definition: SourceTable
) -> tuple[Any, set[str]]:
    import pyarrow as pa
    import pyarrow.csv as pc

    arrow = {"integer": pa.int64(), "number": pa.float64(), "date": pa.date32()}
    types = {c: arrow.get(about.kind, pa.string()) for c, about in definition.columns.items()}
    tables = []
    for part in parts:
        try:
            with part.open(encoding="utf-8-sig") as file:
                header = file.readline().strip()
            separator = ";" if header.count(";") > header.count(",") else ","
            names = [column.strip('"') for column in header.split(separator)]
            tables.append(
                pc.read_csv(
                    part,
                    read_options=pc.ReadOptions(use_threads=False),
                    parse_options=pc.ParseOptions(delimiter=separator),
                    convert_options=pc.ConvertOptions(
                        column_types=types,
                        include_columns=[column for column in names if column in types],
                        null_values=[""],
                        strings_can_be_null=True,
                    ),
                )
            )
        except (OSError, UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowKeyError) as cause:
            raise _damaged(name, part, cause) from cause
    rows = pa.concat_tables(tables, promote_options="default")
    return engine.dialect.register(engine.backend, plain(rows), fresh(name)), set()


def _typed(
    table: Any,
    name: str,
    definition: SourceTable,
    year: int | None,
    without_type: set[str],
    whole: Collection[str],
) -> Any:
    import ibis

    schema = table.schema()
    missing = [
        column
        for column, about in definition.columns.items()
        if column not in schema and about.required and _applies(about, year)
    ]
    if missing:
        raise DataError(
            f"the table {name} must have its columns",
            values={"missing": ", ".join(missing)},
            remedy="ask for them in the extract, or rename yours",
        )
    chosen: dict[str, Any] = {}
    doubtful: list[str] = []
    for column, about in definition.columns.items():
        if column in without_type:
            chosen[column] = ibis.null(TYPES[about.kind])
        elif column in schema:
            stays = column in whole and schema[column].is_integer()
            kind = "integer" if stays else about.kind
            chosen[column] = _cast(table[column], f"{name}.{column}", kind)
            if about.kind == "integer" and not schema[column].is_integer():
                doubtful.append(column)
    if doubtful:
        _require_whole(table, name, doubtful)
    return table.select(**chosen)


def _applies(about: SourceColumn, year: int | None) -> bool:
    return about.from_year is None or year is None or year >= about.from_year


def _cast(column: Any, name: str, kind: Kind) -> Any:
    type_ = column.type()
    match kind:
        case "text":
            if type_.is_string():
                return column
        case "key":
            if type_.is_string():
                return column
            if type_.is_integer():
                return column.cast("string")
        case "integer":
            if type_.is_integer():
                return column.cast("int64")
            if type_.is_string():
                return column.try_cast("int64")
            if type_.is_numeric():
                return column.round().cast("int64")
        case "number":
            if type_.is_numeric():
                return column.cast("float64")
        case "date":
            if type_.is_date():
                return column
            if type_.is_timestamp():
                return column.date()
        case _:
            assert_never(kind)
    remedy = "cast it in the source"
    if kind == "text":
        remedy += "; a code kept as a number has lost its leading zeros"
    raise DataError(
        f"{name} must be of type {ACCEPTED[kind]}", values={"type": type_}, remedy=remedy
    )


def _require_whole(table: Any, name: str, columns: list[str]) -> None:
    """Refuse text that is no whole number, and numbers with a fraction."""
    bad = {}
    for column in columns:
        values = table[column]
        if values.type().is_string():
            wrong = ~values.re_search(r"^[+-]?[0-9]{1,18}$")
        else:
            wrong = values != values.round()
        bad[column] = wrong.fill_null(False).cast("int64").sum()
    counts = table.aggregate(**bad).execute().iloc[0]
    for column in columns:
        found = counts[column]
        if found == found and int(found):
            raise DataError(
                f"{name}.{column} must be whole numbers",
                count=int(found),
                remedy="correct the column",
            )
