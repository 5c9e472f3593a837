"""Drawing a figure from its table, by name: what a record needs to draw it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.core.released import read_table
from fiac_survival.report.attrition_figure import attrition_figure
from fiac_survival.report.balance_figures import love_plot, overlap_figure
from fiac_survival.report.forest_figures import agreement_figure, forest_figure
from fiac_survival.report.style import house_style, mark_simulated, save_figure
from fiac_survival.report.survival_figure import survival_figure

DRAWINGS: Mapping[str, Callable[..., Figure]] = {
    "agreement": agreement_figure,
    "attrition": attrition_figure,
    "forest": forest_figure,
    "love_plot": love_plot,
    "overlap": overlap_figure,
    "survival": survival_figure,
}


def draw(kind: str, table: pd.DataFrame, options: Mapping[str, Any], *, simulated: bool) -> Figure:
    """Draw a figure.

    Parameters
    ----------
    kind : str
        One of :data:`DRAWINGS`.
    table : DataFrame
        What to draw.
    options : mapping
        Options of the drawing function.
    simulated : bool
        Whether to mark it as simulated.

    Returns
    -------
    Figure
        To be saved within :func:`fiac_survival.report.style.house_style`.

    Raises
    ------
    DataError
        If the kind is unknown or the table lacks a column.
    """
    if kind not in DRAWINGS:
        raise DataError(
            "the kind of figure must be known",
            values={"kind": kind, "known": ", ".join(DRAWINGS)},
        )
    try:
        return mark_simulated(DRAWINGS[kind](table, **options), simulated=simulated)
    except KeyError as cause:
        raise DataError(
            "the table must have the columns that the figure draws",
            values={"kind": kind, "missing": cause.args[0]},
            remedy="run the study again",
        ) from cause


def draw_from_csv(
    kind: str, csv: Path, stem: Path, options: Mapping[str, Any], *, simulated: bool
) -> list[Path]:
    """Draw a figure from its table as released, and save it in three formats.

    Parameters
    ----------
    kind : str
        One of :data:`DRAWINGS`.
    csv : Path
        The table; its bytes determine those of the figure.
    stem : Path
        Where to save, without extension.
    options : mapping
        Options of the drawing function.
    simulated : bool
        Whether to mark it as simulated.

    Returns
    -------
    list of Path
        SVG, PDF and PNG.
    """
    table = read_table(csv)
    with house_style():
        return save_figure(draw(kind, table, options, simulated=simulated), stem)
