"""Adjusted survival curves (standardised, augmented, weighted) with intervals and uniform bands."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiac_survival.report.checks import checked
from fiac_survival.report.sheet import new_sheet, wrapped
from fiac_survival.report.style import ARMS, SLIDE, house_style


@house_style()
def adjusted_survival_figure(
    table: pd.DataFrame,
    *,
    title: str,
    time_label: str,
    survival_label: str,
    tick: float,
    steps: bool = True,
    note: str = "",
) -> Figure:
    """Draw adjusted survival curves of two arms, one panel a method or source.

    Parameters
    ----------
    table : DataFrame
        panel, arm_label, time, survival, lower, upper; optional band_lower and band_upper, drawn as
        thin lines around the interval. Adjusted curves have no numbers at risk of their own.
    title, time_label, survival_label : str
        Texts.
    tick : float
        Distance of the ticks.
    steps : bool, default True
        Step curves; False joins the points, as for a parametric model.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `panel`.

    Raises
    ------
    DataError
        If a column is missing or a probability lies outside 0 to 1.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> frame = fs.datasets.load("gbsg").frame
    >>> y = fs.Outcome(frame["rfstime"] / 30.4375, frame["status"])
    >>> found = fs.compare.standardised_survival(
    ...     y, frame["hormon"], frame[["age", "nodes"]], times=[0, 12, 24, 36], model="weibull"
    ... )
    >>> table = found.table.assign(panel="GBSG", arm_label=found.table["arm"].map({0: "No", 1: "Yes"}))
    >>> figure = fs.report.adjusted_survival_figure(
    ...     table, title="T", time_label="Months", survival_label="S", tick=12, steps=False
    ... )
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['No', 'Yes']
    """
    table = checked(
        table,
        ["panel", "arm_label", "time", "survival", "lower", "upper"],
        numbers=["time", "survival"],
        shares=["survival"],
    )
    panels = list(dict.fromkeys(table["panel"]))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    sheet = new_sheet(title, notes=[note], size=(SLIDE[0], max(SLIDE[1], 1.6 + 3.6 * rows)))
    panel_height = (sheet.top - sheet.bottom - 0.85 - 0.45 - (rows - 1) * 1.3) / rows
    grid = sheet.figure.add_gridspec(
        rows,
        columns,
        hspace=1.3 / panel_height,
        wspace=0.12,
        **sheet.box(1.1, 0.3, above=0.45, below=0.85),
    )
    each = (SLIDE[0] - 1.4) / columns * 0.92
    end = float(table["time"].max())
    for k, panel in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[k // columns, k % columns])
        _curves(axes, table[table["panel"] == panel], steps)
        axes.set(xlim=(0, end), ylim=(0, 1.0), xlabel=time_label)
        axes.set_xticks([j * tick for j in range(int(end // tick) + 1)])
        axes.tick_params(labelleft=k % columns == 0)
        axes.set_title(wrapped(str(panel), each, 15, bold=True), fontsize=15)
        axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
        if k % columns == 0:
            axes.set_ylabel(survival_label)
        axes.legend(loc="lower left", borderaxespad=0.3, handlelength=2.6)
    return sheet.figure


def _curves(axes: Axes, table: pd.DataFrame, steps: bool) -> None:
    style = "steps-post" if steps else "default"
    for k, (label, curve) in enumerate(table.groupby("arm_label", sort=False)):
        colour, line, _ = ARMS[k % len(ARMS)]
        axes.plot(
            curve["time"], curve["survival"], drawstyle=style, color=colour, linestyle=line,
            label=str(label),
        )  # fmt: skip
        known = curve.dropna(subset=["lower", "upper"])
        axes.fill_between(
            known["time"], known["lower"], known["upper"], step="post" if steps else None,
            color=colour, alpha=0.16, linewidth=0,
        )  # fmt: skip
        if "band_lower" in curve:
            for name in ("band_lower", "band_upper"):
                axes.plot(
                    curve["time"], curve[name], drawstyle=style, color=colour, linewidth=0.9,
                    alpha=0.75,
                )  # fmt: skip
