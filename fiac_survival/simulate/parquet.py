"""Writing simulated tables: parquet that is the same for the same rows, and a note that says simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.core.files import atomic_path, write_text

LABEL = "SIMULATED.txt"
NOTE = "Simulated data: no patient stands behind these tables.\n"
# Small enough that a reader who asks for a range of a sorted column passes over most of a file.
ROWS_PER_GROUP = 50_000


def to_arrow(frame: pd.DataFrame) -> Any:
    """Turn a frame into an Arrow table whose dates are dates.

    Parameters
    ----------
    frame : DataFrame
        Rows. Moments become days; a column of text without any value stays text.

    Returns
    -------
    pyarrow.Table
        Without metadata of pandas, so that its files depend on the rows alone.
    """
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    fields = []
    for one in table.schema:
        if pa.types.is_timestamp(one.type):
            one = one.with_type(pa.date32())
        elif pa.types.is_null(one.type) or pa.types.is_large_string(one.type):
            one = one.with_type(pa.string())
        fields.append(one)
    return table.cast(pa.schema(fields))


def write_table(frame: Any, path: Path) -> dict[str, str]:
    """Write a table whole or not at all.

    Parameters
    ----------
    frame : DataFrame or pyarrow.Table
        Rows.
    path : Path
        A parquet file; its folder is made if missing.

    Returns
    -------
    dict of str to str
        Type of each column.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    import pyarrow.parquet as pq

    table = to_arrow(frame) if isinstance(frame, pd.DataFrame) else frame
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=1,
            row_group_size=ROWS_PER_GROUP,
        )
    return {one.name: str(one.type) for one in table.schema}


def write_label(folder: Path) -> None:
    """Write the note that says that the tables of a folder are simulated.

    Parameters
    ----------
    folder : Path
        Where.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(folder / LABEL, NOTE)
