"""Checks of the table that a figure draws, and the reading of its columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError


def natural(text: str) -> list[tuple[int, int, str]]:
    """Make a key that sorts "class 2" before "class 10".

    Parameters
    ----------
    text : str
        Name.

    Returns
    -------
    list
        Key.
    """
    parts = re.split(r"(\d+)", text)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def texts(column: Iterable[object]) -> list[str]:
    """Take a column as text, missing cells as "".

    Parameters
    ----------
    column : iterable
        Cells.

    Returns
    -------
    list of str
        One a cell.
    """
    return ["" if pd.isna(value) else str(value) for value in column]  # type: ignore[call-overload]


def checked(
    table: pd.DataFrame,
    columns: Sequence[str],
    *,
    numbers: Sequence[str] = (),
    shares: Sequence[str] = (),
    ascending: Sequence[str] = (),
) -> pd.DataFrame:
    """Hold a table against what a figure needs.

    Parameters
    ----------
    table : DataFrame
        What to draw.
    columns : sequence of str
        Columns that must be there.
    numbers : sequence of str
        Columns that must hold finite numbers.
    shares : sequence of str
        Columns that must lie in [0, 1].
    ascending : sequence of str
        Columns that must not fall from left to right, as lower, estimate, upper.

    Returns
    -------
    DataFrame
        The table with a fresh index.

    Raises
    ------
    DataError
        If a rule is broken.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise DataError(
            "the table must have the columns that the figure draws",
            values={"missing": ", ".join(missing), "given": ", ".join(map(str, table.columns))},
            remedy="the figure's description lists its columns",
        )
    if table.empty:
        raise DataError(
            "the table of a figure must have a row",
            values={"rows": 0},
            remedy="draw no figure where there is nothing to show",
        )
    table = table.reset_index(drop=True)
    for name in numbers:
        require(
            table,
            np.isfinite(pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)),
            f"{name} must be finite numbers",
            name,
        )
    for name in shares:
        require(table, table[name].between(0.0, 1.0), f"{name} must lie between 0 and 1", name)
    for low, high in pairwise(ascending):
        require(table, table[low] <= table[high], f"{low} must not be above {high}", low, high)
    return table


def require(table: pd.DataFrame, holds: object, rule: str, *names: str) -> None:
    """Raise an error that names the first row where a rule is broken.

    Parameters
    ----------
    table : DataFrame
        Table.
    holds : (n,) bool
        Where the rule holds.
    rule : str
        The rule.
    *names : str
        Columns to show.

    Raises
    ------
    DataError
        If it is broken anywhere.
    """
    wrong = np.flatnonzero(~np.asarray(holds, dtype=np.bool_))
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            rule,
            count=int(wrong.size),
            row=row,
            values={name: table[name].iloc[row] for name in names},
            remedy="correct the table",
        )
