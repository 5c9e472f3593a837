"""A cohort: the canonical tables in an engine, read from and written to a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort import parquet_tables
from fiac_survival.cohort.arrow_rows import plain
from fiac_survival.cohort.canonical import Table, check_columns, check_values, schemas
from fiac_survival.cohort.dialects import explained, fresh
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.expressions import full_order
from fiac_survival.cohort.line_records import days_of
from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path

SUFFIXES = (".parquet", ".csv", "")


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
    report : DataFrame or None
        What a reader of raw sources left out: table, step, label, n_before, n_excluded, n_after.
    """

    engine: Engine = field(repr=False)
    tables: dict[str, Any]
    report: pd.DataFrame | None = field(default=None, repr=False)

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
        return replace(self, tables=self.tables | {name: table})

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
        for name, table in self.tables.items():
            # Every column, so that equal tables give equal files.
            order = full_order(
                table, [c for c in schemas().tables[name].order if c in table.columns]
            )
            with atomic_path(Path(path) / f"{name}.parquet") as temporary:
                parquet_tables.write(temporary, table, order_by=order)

    def __repr__(self) -> str:
        return f"Cohort({', '.join(self.tables)}; {self.engine.name})"


def read(path: str | Path, *, engine: Engine | Any = "duckdb", check_rows: bool = True) -> Cohort:
    r"""Read a folder of canonical tables.

    Parameters
    ----------
    path : str or Path
        A folder with one file a table: person.parquet or person.csv, exposure, event, and if there are any
        line_of_therapy and linkage_key. A table may also be a folder of parquet parts, person/ or
        person.parquet/, partitioned (bucket=3/) or not. Parquet stays on disk, where every machine of the
        engine must see it; CSV files are read into the engine.
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


def from_frames(frames: Mapping[str, pd.DataFrame], *, engine: Engine | Any = "duckdb") -> Cohort:
    """Make a cohort of tables in memory.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Canonical tables by name: person, exposure, event, perhaps others.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to put them.

    Returns
    -------
    Cohort
        Checked as :func:`read` checks files.

    Raises
    ------
    DataError
        If a table is missing or not canonical, or its rows break its schema.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> claims = fs.simulate.myeloma_claims(20, seed=1)
    >>> cohort = from_frames({"person": claims.person, "exposure": claims.exposure, "event": claims.event})
    >>> int(cohort.person.count().execute())
    20
    >>> cohort.engine.close()
    """
    missing = [n for n, s in schemas().tables.items() if s.required and n not in frames]
    unknown = [n for n in frames if n not in schemas().tables]
    if missing or unknown:
        raise DataError(
            "the cohort must have its tables, and no others",
            values={
                "missing": ", ".join(missing) or "none",
                "unknown": ", ".join(unknown) or "none",
            },
            remedy=f"known: {', '.join(schemas().tables)}",
        )
    connection = engine if isinstance(engine, Engine) else connect(engine)
    cohort = Cohort(connection, {})
    for name, frame in frames.items():
        cohort = cohort.with_table(name, frame)
    _same_key(cohort.tables)
    return cohort


def _tables(folder: Path, engine: Engine, check_rows: bool) -> dict[str, Any]:
    tables: dict[str, Any] = {}
    for name, schema in schemas().tables.items():
        places = [folder / f"{name}{suffix}" for suffix in SUFFIXES]
        files = [p for p in places if p.is_dir() or (p.suffix and p.exists())]
        if len(files) > 1:
            raise DataError(
                "a table must stand in one place",
                values={"table": name, "files": ", ".join(f.name for f in files)},
                remedy="remove one of them",
            )
        if not files:
            if schema.required:
                raise DataError(
                    "the cohort must have its tables",
                    values={"missing": name, "path": folder},
                    remedy=f"write {name}.parquet, {name}.csv or a folder {name} of parquet parts; "
                    "docs/canonical.md says what is in it",
                )
            continue
        tables[name] = _read_table(engine, files[0], name, schema)
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


def _read_table(engine: Engine, path: Path, name: str, schema: Table) -> Any:
    if path.suffix == ".csv":
        return _register(engine, _read_csv(path, name, schema), name)
    kinds = {"key": "int64", "text": "string", "integer": "int64", "number": "float64"}
    kinds |= {"flag": "boolean", "date": "date"}
    empty = {column: kinds[about.type] for column, about in schema.columns.items()}
    check_columns(name, parquet_tables.described(path, empty=empty))
    return parquet_tables.load(engine.dialect, engine.backend, path, table=fresh(name), empty=empty)


def _register(engine: Engine, frame: pd.DataFrame, name: str) -> Any:
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
    with explained():
        return engine.dialect.register(engine.backend, plain(pa.table(fields)), fresh(name))


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
