"""Rows as they travel between engines and memory: Arrow tables of few types.

Whole numbers are int64, fractions float64, text string, dates date32, moments microseconds of UTC without a
zone; on every engine alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.expressions import EXACT


def plain_type(kind: Any) -> Any:
    """Arrow type that a column travels in.

    Parameters
    ----------
    kind : pyarrow.DataType
        As it came.

    Returns
    -------
    pyarrow.DataType
        One for whole numbers, fractions, text, dates and moments each; others as they are.
    """
    import pyarrow as pa

    kinds = pa.types
    if kinds.is_dictionary(kind):
        return plain_type(kind.value_type)
    if kinds.is_integer(kind):
        return pa.int64()
    if kinds.is_floating(kind):
        return pa.float64()
    if kinds.is_large_string(kind) or kinds.is_string_view(kind):
        return pa.string()
    if kinds.is_date(kind):
        return pa.date32()
    if kinds.is_timestamp(kind):
        return pa.timestamp("us")
    return kind


def plain(rows: Any, schema: Any = None) -> Any:
    """Give an Arrow table the types that rows travel in.

    Parameters
    ----------
    rows : pyarrow.Table
        Rows.
    schema : pyarrow.Schema, optional
        Types to give them first.

    Returns
    -------
    pyarrow.Table
        The same rows; no metadata.
    """
    import pyarrow as pa

    kinds = [(f.name, plain_type(f.type)) for f in (schema or rows.schema)]
    # A column that never had a value has no type of its own.
    fields = [pa.field(n, pa.string() if pa.types.is_null(k) else k) for n, k in kinds]
    columns = [_cast(rows.column(i), f.type) for i, f in enumerate(fields)]
    return pa.table(columns, schema=pa.schema(fields))


def _cast(column: Any, kind: Any) -> Any:
    import pyarrow as pa

    own = column.type
    if pa.types.is_timestamp(own) and own.tz is not None and pa.types.is_timestamp(kind):
        # A moment with a zone is kept as UTC: its days do not depend on where it is read.
        column = column.cast(pa.timestamp(own.unit, tz="UTC")).cast(pa.timestamp(own.unit))
    return column if column.type == kind else column.cast(kind)


def frame_of(rows: Any) -> pd.DataFrame:
    """Frame of an Arrow table.

    Parameters
    ----------
    rows : pyarrow.Table
        With the types of :func:`plain`.

    Returns
    -------
    DataFrame
        Dates as datetime64[s]. Whole numbers with missing values as float64 where that is exact, else as
        Int64.
    """
    return pd.DataFrame({n: _column(rows.column(n)) for n in rows.column_names})


def _column(values: Any) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_date(values.type):
        days = values.cast(pa.int32()).cast(pa.int64())
        moments = days.fill_null(0).to_numpy().astype("datetime64[D]").astype("datetime64[s]")
        moments[values.is_null().to_numpy()] = np.datetime64("NaT")
        return moments
    if pa.types.is_integer(values.type) and values.null_count:
        low, high = (v.as_py() or 0 for v in pc.min_max(values).values())
        if max(-low, high) > EXACT:
            return values.to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    return values.to_pandas()
