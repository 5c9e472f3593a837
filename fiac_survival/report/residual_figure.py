"""Residuals with their smooth, one panel a term: against time, or against a covariate."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require
from fiac_survival.report.sheet import new_sheet, wrapped
from fiac_survival.report.style import BLUE, GREY, SLIDE, house_style

KINDS = ("residual", "smooth", "reference")


@house_style()
def residual_figure(
    table: pd.DataFrame, *, title: str, x_label: str, residual_label: str, note: str = ""
) -> Figure:
    """Draw residuals and the smooth through them.

    Parameters
    ----------
    table : DataFrame
        term, kind, x, residual, lower, upper, as ``fs.survival.smooth_residuals`` gives them. Rows of
        kind "residual" are points, of kind "smooth" a line with its band; rows of kind "reference"
        (optional) a dashed line, as the coefficient of a scaled Schoenfeld plot. Without reference
        rows the dashed line is 0.
    title, x_label, residual_label : str
        Texts; `x_label` "" writes each term below its own panel.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `term`, three in a row.

    Raises
    ------
    DataError
        If a column is missing, or a kind is unknown.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = fs.survival.smooth_residuals([0.1, -0.2, 0.3, 0.0, -0.1], [1, 2, 3, 4, 5], df=1)
    >>> figure = fs.report.residual_figure(
    ...     table, title="T", x_label="Months", residual_label="Residual"
    ... )
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['residual']
    """
    table = checked(
        table, ["term", "kind", "x", "residual", "lower", "upper"], numbers=["x", "residual"]
    )
    require(table, table["kind"].isin(KINDS), f"kind must be one of {', '.join(KINDS)}", "kind")
    terms = list(dict.fromkeys(table["term"]))
    if len(terms) > 12:
        raise DataError("a figure has at most 12 panels", values={"terms": len(terms)})
    columns = min(len(terms), 3)
    rows = -(-len(terms) // columns)
    sheet = new_sheet(title, notes=[note], size=(SLIDE[0], max(SLIDE[1], 1.6 + 3.2 * rows)))
    panel = (sheet.top - sheet.bottom - 0.85 - 0.4 - (rows - 1) * 1.15) / rows
    grid = sheet.figure.add_gridspec(
        rows, columns, hspace=1.15 / panel, wspace=0.2, **sheet.box(1.2, 0.3, above=0.4, below=0.85)
    )
    each = (SLIDE[0] - 1.5) / columns * 0.85
    for k, term in enumerate(terms):
        axes = sheet.figure.add_subplot(grid[k // columns, k % columns])
        part = table[table["term"] == term]
        points = part[part["kind"] == "residual"]
        smooth = part[part["kind"] == "smooth"]
        reference = part[part["kind"] == "reference"]
        faint = float(np.clip(60.0 / max(len(points), 1) ** 0.75, 0.08, 0.55))
        axes.plot(
            points["x"], points["residual"], linestyle="", marker="o", markersize=4.5, color=GREY,
            markeredgewidth=0.0, alpha=faint, rasterized=len(points) > 2_000,
        )  # fmt: skip
        if len(reference):
            axes.plot(reference["x"], reference["residual"], color="black", linestyle="--", lw=1.3)
        else:
            axes.axhline(0.0, color="black", linestyle="--", linewidth=1.3)
        axes.plot(smooth["x"], smooth["residual"], color=BLUE)
        axes.fill_between(
            smooth["x"], smooth["lower"], smooth["upper"], color=BLUE, alpha=0.2, linewidth=0
        )
        axes.set_title(wrapped(str(term), each, 15, bold=True), fontsize=15)
        axes.set_xlabel(x_label or str(term))
        if k % columns == 0:
            axes.set_ylabel(residual_label)
        axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    return sheet.figure
