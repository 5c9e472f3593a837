"""A cohort: the canonical tables in an engine, read from and written to a folder."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.canonical import Table, check_columns, check_values, schemas
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.line_records import days_of
from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path

SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True, eq=False)
class Cohort:
    """Canonical tables in an engine.

    Attributes
    ----------
    engine : Engine
        Where they are.
    tables : dict of str to ibis.Table
        By name: person, exposure, event, perhaps line_of_therapy and linkage_key. Nothing is computed
        before it is asked for.
    """

    engine: Engine = field(repr=False)
    tables: dict[str, Any]

    @property
    def person(self) -> Any:
        """Persons, one row each."""
        return self.tables["person"]

    @property
    def exposure(self) -> Any:
        """Drugs and procedures."""
        return self.tables["exposure"]

    @property
    def event(self) -> Any:
        """Events and diagnoses."""
        return self.tables["event"]

    @property
    def line_of_therapy(self) -> Any:
        """Lines of therapy; DataError if the cohort has none."""
        return self._optional("line_of_therapy", "fs.cohort.lines_of_therapy finds them")

    @property
    def linkage_key(self) -> Any:
        """What to link on; DataError if the cohort has none."""
        return self._optional("linkage_key", "write the table linkage_key")

    def _optional(self, name: str, remedy: str) -> Any:
        if name not in self.tables:
            raise DataError(f"the cohort must have the table {name}", remedy=remedy)
        return self.tables[name]

    def with_table(self, name: str, rows: Any) -> Cohort:
        """Add or replace a table.

        Parameters
        ----------
        name : str
            Of the canonical table.
        rows : DataFrame or ibis.Table
            Its rows.

        Returns
        -------
        Cohort
            With it; this one is as it was.

        Raises
        ------
        DataError
            If the rows break the table's schema.
        """
        if name not in schemas().tables:
            raise DataError(
                "the table must be a canonical one",
                values={"table": name},
                remedy=f"known: {', '.join(schemas().tables)}",
            )
        table = rows
        if isinstance(rows, pd.DataFrame):
            table = _register(self.engine, rows, name)
        check_columns(name, table)
        check_values(name, table)
        return Cohort(self.engine, self.tables | {name: table})

    def write(self, path: str | Path) -> None:
        """Write the tables as parquet, each whole or not at all, rows in the table's order.

        Parameters
        ----------
        path : str or Path
            A folder, made if missing.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        for name, table in self.tables.items():
            # Every column, so that equal tables give equal files.
            first = [c for c in schemas().tables[name].order if c in table.columns]
            order = [*first, *(c for c in table.columns if c not in first)]
            batches = table.order_by(order).to_pyarrow_batches()
            with atomic_path(Path(path) / f"{name}.parquet") as temporary:
                target = pa.schema([_dated(f) for f in batches.schema])
                with pq.ParquetWriter(temporary, target) as writer:
                    for batch in batches:
                        writer.write_table(pa.Table.from_batches([batch]).cast(target))

    def __repr__(self) -> str:
        return f"Cohort({', '.join(self.tables)}; {self.engine.name})"


def _dated(one: Any) -> Any:
    import pyarrow as pa

    return one.with_type(pa.string()) if pa.types.is_large_string(one.type) else one


def read(path: str | Path, *, engine: Engine | Any = "duckdb", check_rows: bool = True) -> Cohort:
    r"""Read a folder of canonical tables.

    Parameters
    ----------
    path : str or Path
        A folder with one file a table: person.parquet or person.csv, exposure, event, and if there are any
        line_of_therapy and linkage_key. Parquet files stay on disk; CSV files are read into the engine.
        A table may also be a folder of parts: person.parquet/part-0.parquet, with bucket=1/ between or not.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to put them.
    check_rows : bool, default True
        Check values too, not only columns and types: one pass over each table.

    Returns
    -------
    Cohort
        Tables that nothing is computed of yet.

    Raises
    ------
    DataError
        If a table or a column is missing, a file is damaged, or a value breaks the schema.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import fiac_survival as fs
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "person.csv").write_text(
    ...     "person,birth,sex,follow_up_end,death\n1,1950-03-01,female,2020-01-01,\n", encoding="utf-8")
    >>> _ = (folder / "exposure.csv").write_text(
    ...     "person,date,drug,kind\n1,2019-01-01,lenalidomide,drug\n", encoding="utf-8")
    >>> _ = (folder / "event.csv").write_text(
    ...     "person,date,event\n1,2018-12-01,diagnosis\n", encoding="utf-8")
    >>> cohort = fs.cohort.read(folder)
    >>> cohort
    Cohort(person, exposure, event; duckdb)
    >>> int(cohort.exposure.count().execute())
    1
    >>> cohort.engine.close()
    """
    folder = Path(path)
    if not folder.is_dir():
        raise DataError("the folder must exist", values={"path": folder}, remedy="check the path")
    connection = engine if isinstance(engine, Engine) else connect(engine)
    try:
        tables = _tables(folder, connection, check_rows)
    except BaseException:
        if connection is not engine:
            connection.close()
        raise
    return Cohort(connection, tables)


def _tables(folder: Path, engine: Engine, check_rows: bool) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, schema in schemas().tables.items():
        files = [f for suffix in SUFFIXES if (f := folder / f"{name}{suffix}").exists()]
        if len(files) > 1:
            raise DataError(
                "a table must stand in one file",
                values={"table": name, "files": ", ".join(f.name for f in files)},
                remedy="remove one of them",
            )
        if not files:
            if schema.required:
                raise DataError(
                    "the cohort must have its tables",
                    values={"missing": name, "path": folder},
                    remedy=f"write {name}.parquet or {name}.csv; docs/canonical.md says what is in it",
                )
            continue
        tables[name] = _read_file(engine, files[0], name, schema)
        check_columns(name, tables[name])
        if check_rows:
            check_values(name, tables[name])
    _same_key(tables)
    return tables


def _same_key(tables: dict[str, Any]) -> None:
    own = tables["person"].schema()["person"]
    for name, table in tables.items():
        other = table.schema()["person"]
        if other.is_string() != own.is_string():
            raise DataError(
                "person must be of one type in all tables",
                values={"person": own, name: other},
                remedy="write it as integer, or as text, everywhere",
            )


def _fresh(name: str) -> str:
    """Name that no other cohort of the engine has."""
    return f"{name}_{uuid.uuid4().hex}"


def _read_file(engine: Engine, file: Path, name: str, schema: Table) -> Any:
    if file.suffix == ".csv":
        return _register(engine, _read_csv(file, name, schema), name)
    parts = sorted(file.rglob("*.parquet")) if file.is_dir() else [file]
    if not parts:
        raise DataError(
            "a folder of parts must have a part", values={"path": file}, remedy="write it again"
        )
    source = file / "**" / "*.parquet" if file.is_dir() and engine.name == "duckdb" else file
    try:
        table = engine.backend.read_parquet(str(source), table_name=_fresh(name))
        return _typed_where_empty(table, parts[0], schema)
    except Exception as cause:
        raise DataError(
            "the file must be readable as a table",
            values={"path": file, "reason": str(cause).splitlines()[0]},
            remedy="write it again: it is damaged, cut short or not what its name says",
        ) from cause


def _typed_where_empty(table: Any, file: Path, schema: Table) -> Any:
    """Give columns without any value, which parquet keeps without a type, the type of the schema."""
    import ibis
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"text": "string", "integer": "int64", "number": "float64", "flag": "boolean"}
    empty = {
        one.name: ibis.null(kinds.get(schema.columns[one.name].type, schema.columns[one.name].type))
        for one in pq.read_schema(file)
        if pa.types.is_null(one.type)
        and one.name in schema.columns
        and schema.columns[one.name].type != "key"
    }
    return table.mutate(**empty) if empty else table


def _register(engine: Engine, frame: pd.DataFrame, name: str) -> Any:
    import ibis
    import pyarrow as pa

    arrow = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "date": pa.date32(),
        "flag": pa.bool_(),
    }
    fields = {}
    for column in frame.columns:
        about = schemas().tables[name].columns.get(str(column))
        kind = arrow.get(about.type) if about is not None else None
        if about is not None and about.type == "key" and frame.empty:
            kind = pa.int64()
        try:
            fields[str(column)] = pa.array(frame[column], type=kind, from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as cause:
            raise DataError(
                f"{name}.{column} must be of its type",
                values={"reason": str(cause).splitlines()[0]},
                remedy="convert the column; docs/canonical.md says to what",
            ) from cause
    rows = ibis.memtable(pa.table(fields))
    return engine.backend.create_table(_fresh(name), rows)


def _read_csv(file: Path, name: str, schema: Table) -> pd.DataFrame:
    try:
        frame = pd.read_csv(
            file, dtype=str, encoding="utf-8", na_values=[""], keep_default_na=False
        )
    except (ValueError, OSError, pd.errors.ParserError) as cause:
        raise DataError(
            "the file must be readable as a table",
            values={"path": file, "reason": str(cause).splitlines()[0]},
            remedy="write it as UTF-8 text with commas and one line of names",
        ) from cause
    for column, about in schema.columns.items():
        if column in frame:
            frame[column] = _parsed(frame[column], f"{name}.{column}", about.type)
    return frame


def _parsed(text: pd.Series, name: str, kind: str) -> Any:
    given = text.notna().to_numpy()
    if kind == "date":
        days, missing = days_of(text, name)
        moments = days.astype("datetime64[D]").astype("datetime64[s]")
        return pd.Series(moments).mask(missing)
    if kind in {"integer", "number"}:
        values = pd.to_numeric(text, errors="coerce").astype("float64")
        bad = given & ~np.isfinite(values.to_numpy())
        if kind == "integer":
            bad |= given & ~text.fillna("").str.fullmatch(r"[+-]?\d{1,18}").to_numpy(dtype=bool)
        _refuse(bad, text, name, kind)
        return text.astype("Int64") if kind == "integer" else values
    if kind == "flag":
        _refuse(given & ~text.isin(["true", "false"]).to_numpy(), text, name, "true or false")
        return text.map({"true": True, "false": False}).astype("boolean")
    if kind == "key" and text.fillna("x").str.fullmatch(r"0|-?[1-9]\d{0,17}").all():
        return text.astype("int64")
    return text


def _refuse(bad: Any, text: pd.Series, name: str, kind: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        raise DataError(
            f"{name} must be {kind}",
            count=int(rows.size),
            row=int(rows[0]),
            values={name.partition(".")[2]: text.iloc[int(rows[0])]},
            remedy="correct the column",
        )
