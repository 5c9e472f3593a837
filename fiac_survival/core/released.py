r"""The one writer and the one reader of released tables.

UTF-8, "\n", fixed column and row order, floats with ten significant digits. Figures are drawn from
the table as read back, so their bytes depend on the file alone.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import write_text

SIGNIFICANT_DIGITS = 10


def to_csv_text(table: pd.DataFrame) -> str:
    """Render a table as it is released.

    Parameters
    ----------
    table : DataFrame
        Tidy table; the index is left out.

    Returns
    -------
    str
        CSV text with a header.

    Examples
    --------
    >>> print(to_csv_text(pd.DataFrame({"a": [1 / 3], "b": ["x"]})), end="")
    a,b
    0.3333333333,x
    """
    frame = table.copy()
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind == "f":
            # -0.0 and 0.0 are one number: give it one spelling.
            frame[name] = column.to_numpy() + 0.0
        elif column.dtype.kind == "b":
            frame[name] = np.where(column, "true", "false")
    text = frame.to_csv(
        index=False,
        lineterminator="\n",
        float_format=lambda value: f"{value:.{SIGNIFICANT_DIGITS}g}",
        na_rep="",
    )
    return str(text)


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a released table, whole or not at all.

    Parameters
    ----------
    path : Path
        A name that ends in .csv.
    table : DataFrame
        Tidy table.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_text(path, to_csv_text(table))


def read_table(path: Path) -> pd.DataFrame:
    """Read a released table back, digit for digit.

    Parameters
    ----------
    path : Path
        A file that :func:`write_table` wrote.

    Returns
    -------
    DataFrame
        Booleans as booleans, empty cells as missing.

    Raises
    ------
    DataError
        If the file is missing or is not such a table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return parse_table(text)
    except OSError as cause:
        raise DataError(
            "the table must exist and be readable",
            values={"path": path, "reason": cause.strerror},
            remedy="run the study first",
        ) from cause
    except (ValueError, UnicodeDecodeError) as cause:
        raise DataError(
            "the file must be a table with a header",
            values={"path": path, "reason": str(cause)},
            remedy="run the study again",
        ) from cause


def parse_table(text: str) -> pd.DataFrame:
    r"""Read a released table from its text.

    Parameters
    ----------
    text : str
        What :func:`to_csv_text` made.

    Returns
    -------
    DataFrame
        The table; "NA" and the like stay text, only empty cells are missing.

    Examples
    --------
    >>> parse_table("a,b\n1.5,NA\n")["b"].tolist()
    ['NA']
    """
    return pd.read_csv(
        io.StringIO(text),
        float_precision="round_trip",
        keep_default_na=False,
        na_values=[""],
        true_values=["true"],
        false_values=["false"],
    )
