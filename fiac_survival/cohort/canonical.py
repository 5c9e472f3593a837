"""The canonical tables as schemas, and what checks a table against its schema.

The checker is ours, over Ibis expressions: one query counts every broken rule of a table, on any engine,
and an error names rule, count, first row and remedy. (The engine-side checks of a general library hand back
values and pass over some rules that were declared, uniqueness of a column among them.)
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.dialects import fetch, fetch_whole
from fiac_survival.cohort.expressions import full_order, is_missing, numbered, whole_sum
from fiac_survival.cohort.rule_files import parse
from fiac_survival.core.errors import DataError

FILE = Path(__file__).parent / "data" / "schemas.toml"
Kind = Literal["key", "text", "integer", "number", "date", "flag"]
KINDS: dict[Kind, str] = {
    "key": "integer or text",
    "text": "text",
    "integer": "integer",
    "number": "number",
    "date": "date",
    "flag": "boolean",
}


class Column(BaseModel):
    """A column of a canonical table.

    Attributes
    ----------
    type : {"key", "text", "integer", "number", "date", "flag"}
        Kind of its values.
    description, unit : str
        What it means, and in what unit.
    required, missing : bool
        Whether the column must be there, and whether values may be missing.
    codes : tuple of str
        Values allowed; empty: any.
    minimum, maximum : int, optional
        Bounds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Kind
    description: str
    unit: str = ""
    required: bool = True
    missing: bool = False
    codes: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None


class Table(BaseModel):
    """A canonical table.

    Attributes
    ----------
    title : str
        What a row is.
    required : bool
        Whether a cohort must have it.
    unique, order : tuple of str
        Columns that identify a row, and those that rows are ordered by.
    columns : dict of str to Column
        In order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    required: bool
    unique: tuple[str, ...]
    order: tuple[str, ...]
    columns: dict[str, Column]


class Schemas(BaseModel):
    """All canonical tables.

    Attributes
    ----------
    version : str
        Of the schemas.
    tables : dict of str to Table
        By name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    tables: dict[str, Table]


@functools.cache
def schemas() -> Schemas:
    """Read the canonical tables' schemas.

    Returns
    -------
    Schemas
        As shipped.
    """
    return parse(Schemas, FILE)


def markdown() -> str:
    """Write the page that documents the canonical tables.

    Returns
    -------
    str
        Content of docs/canonical.md.
    """
    lines = [
        "# Canonical tables",
        "",
        f"Version {schemas().version}. A cohort is a folder with one file a table, parquet or CSV.",
        "Dates are dates (in CSV as 2020-12-31), durations whole days. Further columns may stand in",
        "a table and are kept. Made from `fiac_survival/cohort/data/schemas.toml`.",
    ]
    for name, table in schemas().tables.items():
        state = "required" if table.required else "optional"
        lines += ["", f"## {name}", "", f"{table.title} ({state})."]
        if table.unique:
            lines[-1] += f" Unique: {', '.join(table.unique)}."
        lines += ["", "| column | type | unit | | meaning |", "|---|---|---|---|---|"]
        for column, about in table.columns.items():
            marks = [] if about.required else ["optional column"]
            marks += ["may be missing"] if about.missing else []
            meaning = about.description
            if about.codes:
                meaning += f": {', '.join(about.codes)}"
            bounds = [str(b) for b in (about.minimum, about.maximum) if b is not None]
            if bounds:
                meaning += f" ({'from ' + bounds[0] if len(bounds) == 1 else ' to '.join(bounds)})"
            lines.append(
                f"| {column} | {KINDS[about.type]} | {about.unit} | {'; '.join(marks)} | {meaning} |"
            )
    return "\n".join(lines) + "\n"


def is_of_type(type_: Any, kind: Kind) -> bool:
    """Say whether an engine's type is the one that a column needs.

    Parameters
    ----------
    type_ : ibis data type
        What the engine says.
    kind : str
        What the schema says.

    Returns
    -------
    bool
        True if it fits.
    """
    match kind:
        case "key":
            return bool(type_.is_integer() or type_.is_string())
        case "text":
            return bool(type_.is_string())
        case "integer":
            return bool(type_.is_integer())
        case "number":
            return bool(type_.is_numeric())
        case "date":
            return bool(type_.is_date())
        case "flag":
            return bool(type_.is_boolean())
        case _:
            assert_never(kind)


def check_columns(name: str, table: Any) -> None:
    """Refuse a table that lacks a column or has one of another type.

    Parameters
    ----------
    name : str
        Of the canonical table.
    table : ibis.Table
        What stands for it.

    Raises
    ------
    DataError
        Naming the first column.
    """
    schema, types = schemas().tables[name], table.schema()
    missing = [c for c, about in schema.columns.items() if about.required and c not in types]
    if missing:
        raise DataError(
            f"the table {name} must have its columns",
            values={"missing": ", ".join(missing)},
            remedy="rename yours; docs/canonical.md lists them",
        )
    for column, about in schema.columns.items():
        if column in types and not is_of_type(types[column], about.type):
            raise DataError(
                f"{name}.{column} must be of type {KINDS[about.type]}",
                values={"type": types[column]},
                remedy="cast it in the source; a moment becomes a date in the source's time zone",
            )


def broken(table: Any, name: str) -> dict[str, tuple[str, Any]]:
    """Rules of a table's values, as expressions that are true where one is broken.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    name : str
        Of the canonical table.

    Returns
    -------
    dict
        Rule to (column, expression).
    """
    out: dict[str, tuple[str, Any]] = {}
    for column, about in schemas().tables[name].columns.items():
        if column not in table.columns:
            continue
        values = table[column]
        if not about.missing:
            out[f"{name}.{column} must not be missing"] = (column, is_missing(values))
        if about.codes:
            rule = f"{name}.{column} must be one of its codes ({', '.join(about.codes)})"
            out[rule] = (column, values.notnull() & values.notin(about.codes))
        if about.minimum is not None:
            rule = f"{name}.{column} must be at least {about.minimum}"
            out[rule] = (column, values < about.minimum)
        if about.maximum is not None:
            rule = f"{name}.{column} must be at most {about.maximum}"
            out[rule] = (column, values > about.maximum)
    return out


def check_values(name: str, table: Any) -> None:
    """Refuse a table whose values break its schema.

    Parameters
    ----------
    name : str
        Of the canonical table.
    table : ibis.Table
        Rows; their columns are checked already.

    Raises
    ------
    DataError
        Naming the rule, how many rows break it, and the first of them in the table's order.
    """
    rules = broken(table, name)
    sums = {
        f"rule_{i}": whole_sum(bad.fill_null(False)) for i, (_, bad) in enumerate(rules.values())
    }
    counts = fetch(table.aggregate(**sums)).to_pylist()[0]
    for i, (rule, (column, bad)) in enumerate(rules.items()):
        found = counts[f"rule_{i}"]
        if found:
            row, value = first_row(
                table, bad.fill_null(False), schemas().tables[name].order, column
            )
            values = {} if column == "person" else {column: value}
            raise DataError(
                rule, count=found, row=row, values=values, remedy="correct or drop the rows"
            )
    unique = schemas().tables[name].unique
    if unique:
        repeated = table.group_by(list(unique)).agg(fs_n=lambda t: t.count())
        repeated = repeated.filter(repeated.fs_n > 1).fs_n
        extra = fetch_whole(repeated.sum() - repeated.count())
        if extra:
            raise DataError(
                f"{name} must have one row for each {' and '.join(unique)}",
                count=extra,
                remedy="drop the others",
            )


def first_row(table: Any, bad: Any, order: tuple[str, ...], column: str) -> tuple[int, object]:
    """Find the first row that breaks a rule, in the table's order.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    bad : ibis boolean expression
        True where the rule is broken.
    order : tuple of str
        Columns that rows are ordered by.
    column : str
        Whose value to give.

    Returns
    -------
    row : int
        Number of the row, from 0, with the rows sorted by the table's order, then by the other columns.
    value : object
        Value of the column there.
    """
    keys = full_order(table, [c for c in order if c in table.columns])
    rows = table.select(
        fs_bad=bad, fs_value=table[column], fs_row=numbered([table[c] for c in keys])
    )
    first = fetch(rows.filter(rows.fs_bad).order_by("fs_row").limit(1)).to_pylist()[0]
    return first["fs_row"], first["fs_value"]


def first_rows(table: Any, bad: dict[int, Any], order: tuple[str, ...]) -> dict[int, int]:
    """Find the first row that breaks each of several rules, in the table's order.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    bad : dict of int to ibis boolean expression
        True where a rule is broken; each is, somewhere.
    order : tuple of str
        Columns that rows are ordered by; the other columns break ties.

    Returns
    -------
    dict of int to int
        Numbers of rows, from 0, by rule.
    """
    if not bad:
        return {}
    keys = full_order(table, [c for c in order if c in table.columns])
    flags = {f"fs_bad_{i}": expression for i, expression in bad.items()}
    rows = table.select(**flags, fs_row=numbered([table[c] for c in keys]))
    firsts = {f"fs_bad_{i}": rows.fs_row.min(where=rows[f"fs_bad_{i}"]) for i in bad}
    found = fetch(rows.aggregate(**firsts)).to_pylist()[0]
    return {i: found[f"fs_bad_{i}"] for i in bad}
