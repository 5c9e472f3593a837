"""What the figures of treatment sequences share: the sheet, its texts, and the check of the table."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.style import GREY, SLIDE, new_figure
from fiac_survival.sequence.solution import NOTE

TITLE_SIZE, NOTE_SIZE = 20, 12.5


@dataclass(frozen=True)
class Sheet:
    """A figure with its title and notes, and the space that they leave.

    Attributes
    ----------
    figure : Figure
        The figure.
    width, height : float
        Inches.
    top, bottom : float
        Edges of the free space, in inches from the lower edge.
    """

    figure: Figure
    width: float
    height: float
    top: float
    bottom: float

    def box(
        self, left: float, right: float, *, above: float = 0.0, below: float = 0.0
    ) -> dict[str, float]:
        """Give the edges of a grid in shares of the figure.

        Parameters
        ----------
        left, right : float
            Margins in inches.
        above, below : float
            Inches to keep free between the grid and the title, and the grid and the notes.

        Returns
        -------
        dict
            left, right, top and bottom as matplotlib's grids take them.
        """
        return {
            "left": left / self.width,
            "right": 1.0 - right / self.width,
            "top": (self.top - above) / self.height,
            "bottom": (self.bottom + below) / self.height,
        }


def new_sheet(
    title: str,
    *,
    notes: Sequence[str] = (),
    advice: bool = False,
    size: tuple[float, float] = SLIDE,
) -> Sheet:
    """Make a figure with a title above and notes below, both wrapped.

    Parameters
    ----------
    title : str
        Title.
    notes : sequence of str
        Lines below; empty ones are left out.
    advice : bool
        Whether the figure shows what is recommended and must say what it is not.
    size : (float, float)
        Inches.

    Returns
    -------
    Sheet
        Figure and free space.
    """
    figure = new_figure(size)
    width, height = size
    heading = wrapped(title, width - 0.3, TITLE_SIZE * 1.08)
    figure.suptitle(
        heading,
        x=0.16 / width,
        y=1.0 - 0.16 / height,
        ha="left",
        va="top",
        fontsize=TITLE_SIZE,
        weight="bold",
    )
    below = [text for text in (*notes, NOTE if advice else "") if text]
    text = "\n".join(wrapped(line, width - 2.0, NOTE_SIZE) for line in below)
    figure.text(
        0.16 / width,
        0.1 / height,
        text,
        fontsize=NOTE_SIZE,
        color=GREY,
        ha="left",
        va="bottom",
        linespacing=1.25,
    )
    lines = text.count("\n") + 1 if text else 0
    return Sheet(
        figure,
        width,
        height,
        height - 0.3 - 0.34 * (heading.count("\n") + 1),
        0.16 + 0.225 * lines,
    )


def characters(width: float, size: float) -> int:
    """Say how many letters of a size fit into a width.

    Parameters
    ----------
    width : float
        Inches.
    size : float
        Points.

    Returns
    -------
    int
        At least 1.
    """
    return max(int(width / (size * 0.61 / 72)), 1)


def wrapped(text: str, width: float, size: float) -> str:
    """Break a text into lines that fit into a width.

    Parameters
    ----------
    text : str
        Text.
    width : float
        Inches.
    size : float
        Points.

    Returns
    -------
    str
        With line breaks; breaks that were there stay.
    """
    most = characters(width, size)
    return "\n".join("\n".join(textwrap.wrap(line, most)) for line in text.split("\n"))


def shortened(text: str, width: float, size: float) -> str:
    """Cut a text at what fits into a width.

    Parameters
    ----------
    text : str
        Text.
    width : float
        Inches.
    size : float
        Points.

    Returns
    -------
    str
        The text, or its beginning and an ellipsis.
    """
    most = characters(width, size)
    return text if len(text) <= most else text[: max(most - 1, 1)].rstrip() + "…"


def thousands(number: float) -> str:
    """Write a whole number with thin spaces between thousands.

    Parameters
    ----------
    number : float
        Number.

    Returns
    -------
    str
        As text.
    """
    return f"{number:,.0f}".replace(",", "\u202f")


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
