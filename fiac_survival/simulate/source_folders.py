"""Simulated claims as folders of source tables: SNDS and OMOP. Simulated, and marked so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.omop_source import OmopDefinitions
from fiac_survival.cohort.snds_definitions import SndsDefinitions
from fiac_survival.cohort.source_tables import SourceTable, name_of
from fiac_survival.core.files import atomic_path
from fiac_survival.simulate.claims import SimulatedClaims
from fiac_survival.simulate.omop_shape import omop_tables
from fiac_survival.simulate.parquet import write_label
from fiac_survival.simulate.snds_shape import NOISE, Noise, snds_tables

# Keys that are whole numbers in the source too; all others are text.
WHOLE_KEYS = frozenset(
    {"DCT_ORD_NUM", "FLX_EMT_ORD", "FLX_EMT_NUM", "FLX_EMT_TYP", "PRS_ORD_NUM", "REM_TYP_AFF"}
    | {"BEN_RNG_GEM", "PRS_NAT_REF", "DPN_QLF", "PHA_ORD_NUM", "PHA_PRS_C13", "UCD_ORD_NUM"}
    | {"UCD_TOP_UCD", "BEN_SEX_COD", "IMB_ETM_NAT"}
)
YEARS = tuple(range(2013, 2024))


def write_snds(
    claims: SimulatedClaims,
    folder: str | Path,
    *,
    years: Sequence[int] = YEARS,
    noise: Sequence[Noise] = NOISE,
) -> None:
    """Write simulated claims as tables of the SNDS, with a note that they are simulated.

    Parameters
    ----------
    claims : SimulatedClaims
        Canonical tables.
    folder : str or Path
        Where; it is made if it is not there.
    years : sequence of int
        Calendar years of the hospital tables.
    noise : sequence of str
        Kinds of rows to add that a reader must leave out.

    Raises
    ------
    DataError
        If a record cannot be written in this shape.
    OutputError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = tempfile.mkdtemp()
    >>> fs.simulate.write_snds(fs.simulate.myeloma_claims(5, seed=1), folder)
    >>> (Path(folder) / "ER_PRS_F.parquet").exists()
    True
    """
    tables = snds_tables(claims.person, claims.exposure, claims.event, years=years, noise=noise)
    write_tables(tables, folder, snds_shape(years))


def write_omop(claims: SimulatedClaims, folder: str | Path) -> None:
    """Write simulated claims as OMOP tables, with a note that they are simulated.

    Parameters
    ----------
    claims : SimulatedClaims
        Canonical tables.
    folder : str or Path
        Where; it is made if it is not there.

    Raises
    ------
    DataError
        If a record cannot be written in this shape.
    OutputError
        If a file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = tempfile.mkdtemp()
    >>> fs.simulate.write_omop(fs.simulate.myeloma_claims(5, seed=1), folder)
    >>> (Path(folder) / "drug_exposure.parquet").exists()
    True
    """
    tables = omop_tables(claims.person, claims.exposure, claims.event)
    write_tables(tables, folder, OmopDefinitions.load().tables)


def write_tables(
    tables: Mapping[str, pd.DataFrame], folder: str | Path, shape: Mapping[str, SourceTable]
) -> None:
    """Write tables as parquet, each whole or not at all, with a note that they are simulated.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        By name.
    folder : str or Path
        Where; it is made if it is not there.
    shape : mapping of str to SourceTable
        Definition of each table, by name.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    import pyarrow.parquet as pq

    place = Path(folder)
    for name, table in tables.items():
        with atomic_path(place / f"{name}.parquet") as temporary:
            pq.write_table(arrow_table(table, shape[name]), temporary)
    write_label(place)


def arrow_table(table: pd.DataFrame, definition: SourceTable) -> Any:
    """Give a table the types of its definition, also where it has no rows.

    Parameters
    ----------
    table : DataFrame
        Rows.
    definition : SourceTable
        Kinds of its columns.

    Returns
    -------
    pyarrow.Table
        The same types whatever the rows, so that parts of one table fit together.
    """
    import pyarrow as pa

    types = {"integer": pa.int64(), "number": pa.float64(), "date": pa.date32()}
    columns = {}
    for column in table.columns:
        kind = definition.columns[column].kind
        type_ = pa.int64() if column in WHOLE_KEYS else types.get(kind, pa.string())
        columns[column] = pa.array(table[column], type=type_, from_pandas=True)
    return pa.table(columns)


def snds_shape(years: Sequence[int]) -> dict[str, SourceTable]:
    """Definitions of the tables that :func:`snds_tables` makes, by name.

    Parameters
    ----------
    years : sequence of int
        Calendar years of the hospital tables.

    Returns
    -------
    dict of str to SourceTable
        By name, each year's hospital tables among them.
    """
    out = {}
    for name, definition in SndsDefinitions.load().tables.items():
        for year in years if definition.per_year else [None]:
            out[name_of(name, year)] = definition
    return out


def snds_chunk(
    person: pd.DataFrame, exposure: pd.DataFrame, event: pd.DataFrame, *, chunk: int
) -> dict[str, Any]:
    """Turn the people of a chunk into tables of the SNDS, with rows that a reader must leave out.

    Parameters
    ----------
    person, exposure, event : DataFrame
        Canonical tables.
    chunk : int
        Number of the chunk; the tables do not depend on it.

    Returns
    -------
    dict of str to pyarrow.Table
        By name.

    Raises
    ------
    DataError
        If a record cannot be written in this shape.
    """
    shape = snds_shape(YEARS)
    tables = snds_tables(person, exposure, event, years=YEARS)
    return {name: arrow_table(table, shape[name]) for name, table in tables.items()}


def omop_chunk(
    person: pd.DataFrame, exposure: pd.DataFrame, event: pd.DataFrame, *, chunk: int
) -> dict[str, Any]:
    """Turn the people of a chunk into OMOP tables.

    Parameters
    ----------
    person, exposure, event : DataFrame
        Canonical tables.
    chunk : int
        Number of the chunk: the first has the table of places, which all share.

    Returns
    -------
    dict of str to pyarrow.Table
        By name.

    Raises
    ------
    DataError
        If a record cannot be written in this shape.
    """
    shape = OmopDefinitions.load().tables
    tables = omop_tables(person, exposure, event)
    if chunk:
        tables["location"] = tables["location"].iloc[:0]
    return {name: arrow_table(table, shape[name]) for name, table in tables.items()}
