"""How figures look, and how their bytes are kept stable.

Sizes are those of a 16:9 slide, letters are readable from the back of the room, colours are Okabe and
Ito's, and what a colour tells is told by a line style or a marker too. Figures are made without pyplot,
from matplotlib's own defaults (never the user's), with the one font that matplotlib ships, a fixed salt
for SVG identifiers and no dates: the same table gives the same bytes.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fiac_survival.core.files import atomic_path

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
GREY, LIGHT = "#595959", "#E8E8E8"
ARMS = ((BLUE, "-", "o"), (VERMILLION, (0, (5, 1.5)), "s"))
SOURCES = ((GREEN, "o"), (PURPLE, "D"), (ORANGE, "s"), (SKY, "^"))
SLIDE = (13.333, 7.5)
FORMATS = ("svg", "pdf", "png")
DPI = 150

_RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 15,
    "axes.titlesize": 17,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 15,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 1.1,
    "axes.axisbelow": True,
    "xtick.labelsize": 14,
    "ytick.labelsize": 14,
    "legend.fontsize": 14,
    "legend.frameon": False,
    "lines.linewidth": 2.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "fiac_survival",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify": False,
}
_METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Draw within this block: matplotlib's defaults and the settings of the house.

    Yields
    ------
    None
        The user's own settings are back afterwards.
    """
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_RC)
        yield


class HouseFigure(Figure):
    """A figure that notebooks show by themselves."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata=_METADATA["png"])
        return buffer.getvalue()


def new_figure(size: tuple[float, float] = SLIDE) -> Figure:
    """Make an empty figure.

    Parameters
    ----------
    size : (float, float), default 13.333 x 7.5
        Width and height in inches.

    Returns
    -------
    matplotlib.figure.Figure
        With an Agg canvas.
    """
    figure = HouseFigure(figsize=size)
    FigureCanvasAgg(figure)
    return figure


def records(table: pd.DataFrame) -> list[Any]:
    """Take a table row by row.

    Parameters
    ----------
    table : DataFrame
        The table.

    Returns
    -------
    list of named tuples
        One a row.
    """
    return list(table.itertuples(index=False))


def mark_simulated(figure: Figure, *, simulated: bool) -> Figure:
    """Write "SIMULATED DATA" across a figure that no patient stands behind.

    Parameters
    ----------
    figure : Figure
        The figure.
    simulated : bool
        Whether to.

    Returns
    -------
    Figure
        The same figure.
    """
    if simulated:
        figure.text(
            0.5,
            0.5,
            "SIMULATED DATA",
            rotation=24,
            ha="center",
            va="center",
            fontsize=64,
            color="#000000",
            alpha=0.09,
            weight="bold",
            zorder=100,
        )
        figure.text(
            0.995, 0.005, "simulated data", ha="right", va="bottom", fontsize=12, color=VERMILLION
        )
    return figure


def save_figure(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as SVG, PDF and PNG, each whole or not at all.

    Parameters
    ----------
    figure : Figure
        Drawn within :func:`house_style`.
    stem : Path
        Path without the extension.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    OutputError
        If one cannot be written.
    """
    out = []
    for extension in FORMATS:
        path = stem.with_name(f"{stem.name}.{extension}")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=extension, dpi=DPI, metadata=_METADATA[extension])
        out.append(path)
    return out
