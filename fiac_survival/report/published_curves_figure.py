"""Survival curves of several series, with the medians that others published."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require
from fiac_survival.report.sheet import new_sheet, text_width, thousands
from fiac_survival.report.style import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    SLIDE,
    VERMILLION,
    house_style,
    records,
)

LOOKS = (
    (BLUE, "-"),
    (VERMILLION, (0, (5, 1.5))),
    (GREEN, (0, (1.5, 1.2))),
    (PURPLE, (0, (6, 1.5, 1.5, 1.5))),
)
KINDS = ("curve", "target", "context")
LETTERS = 11.5


@house_style()
def published_curves_figure(
    table: pd.DataFrame,
    *,
    title: str,
    time_label: str = "Months since the start of the line",
    tick: float = 24.0,
    note: str = "",
) -> Figure:
    """Draw curves, and published medians at the height of one half.

    Parameters
    ----------
    table : DataFrame
        panel, series (at most four a panel), kind ("curve", or a published median: "target" of a
        calibration or "context"), month, survival; of curves lower, upper, n_risk.
    title : str
        Title.
    time_label : str
        Label of the axis below.
    tick : float, default 24
        Months between ticks; numbers at risk stand below them where the table has that month.
    note : str
        Line below.

    Returns
    -------
    Figure
        Two panels a row. A filled circle is a target, an open diamond context; the whisker leads to
        where the curve of the same colour comes down to one half.

    Raises
    ------
    DataError
        If a column is missing, a share is not in [0, 1], a band does not hold its curve, a kind is unknown,
        a published median has no curve, or a panel has more than four series.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = fs.simulate.myeloma_curves(fs.simulate.myeloma_lines(500, seed=1))
    >>> figure = published_curves_figure(table, title="Simulated and published")
    >>> len(figure.axes)
    4
    """
    shares = ["survival", "lower", "upper"]
    table = checked(table, ["panel", "series", "kind", "month", *shares, "n_risk"])
    known = table["kind"].isin(KINDS)
    require(table, known, f"kind must be one of {', '.join(KINDS)}", "kind")
    curves = checked(
        table[table["kind"] == "curve"],
        [],
        numbers=["month", *shares, "n_risk"],
        shares=shares,
        ascending=["lower", "survival", "upper"],
    )
    points = checked(
        table[table["kind"] != "curve"], [], numbers=["month", "survival"], shares=["survival"]
    )
    drawn = set(zip(curves["panel"], curves["series"], strict=True))
    has = [pair in drawn for pair in zip(points["panel"], points["series"], strict=True)]
    require(points, pd.Series(has, index=points.index), "a median needs its curve", "series")
    panels = list(dict.fromkeys(curves["panel"]))
    most = int(curves.groupby("panel")["series"].nunique().max())
    if most > len(LOOKS):
        raise DataError(
            "a panel holds four series",
            values={"series": most},
            remedy="give the others a panel of their own",
        )
    n_rows = -(-len(panels) // 2)
    below = 0.62 + 0.2 * most
    size = (SLIDE[0], 2.0 + n_rows * (2.6 + below))
    sheet = new_sheet(title, notes=[note], size=size)
    names = max(text_width(str(name), LETTERS) for name in curves["series"])
    box = sheet.box(max(0.95, names + 0.7), 0.35, above=0.85, below=below)
    free = sheet.top - sheet.bottom - 0.85 - below
    tall = (free - (n_rows - 1) * (below + 0.45)) / n_rows
    grid = sheet.figure.add_gridspec(
        n_rows, 2, hspace=(below + 0.45) / tall, wspace=0.02 + (names + 0.8) / 5.2, **box
    )
    for k, panel in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[k // 2, k % 2])
        _panel(
            axes,
            curves[curves["panel"] == panel],
            points[points["panel"] == panel],
            tick,
            tall,
            time_label,
        )
        axes.set_title(str(panel), fontsize=15)
    handles = [
        Line2D([], [], color="black", marker=_mark(kind), linestyle="", markersize=9,
               markerfacecolor="black" if kind == "target" else "white", label=label)
        for kind, label in (
            ("target", "published median, target of the calibration"),
            ("context", "published median, context"),
        )
    ]  # fmt: skip
    sheet.figure.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0.16 / sheet.width, (sheet.top + 0.1) / sheet.height),
        ncols=2,
    )
    return sheet.figure


def _mark(kind: str) -> str:
    return "o" if kind == "target" else "D"


def _panel(
    axes: Axes,
    curves: pd.DataFrame,
    points: pd.DataFrame,
    tick: float,
    tall: float,
    time_label: str,
) -> None:
    end = float(curves["month"].max())
    ticks = [k * tick for k in range(int(end // tick) + 1)]
    axes.axhline(0.5, color=GREY, linewidth=0.9, linestyle=":")
    for k, (series, part) in enumerate(curves.groupby("series", sort=False)):
        colour, line = LOOKS[k]
        curve = part.sort_values("month", kind="stable")
        month = curve["month"].to_numpy()
        axes.step(
            month, curve["survival"], where="post", color=colour, linestyle=line, label=str(series)
        )
        axes.fill_between(
            month, curve["lower"], curve["upper"], step="post", color=colour, alpha=0.15,
            linewidth=0,
        )  # fmt: skip
        low = month[curve["survival"].to_numpy() <= 0.5]
        for r in records(points[points["series"] == series]):
            if low.size:
                axes.plot([r.month, low[0]], [r.survival] * 2, color=colour, linewidth=1.4)
            axes.plot(
                [r.month], [r.survival], _mark(r.kind), color=colour, markersize=9,
                markerfacecolor=colour if r.kind == "target" else "white", markeredgewidth=1.8,
                zorder=5, clip_on=False,
            )  # fmt: skip
        y = -(0.62 + 0.2 * k) / tall
        axes.text(
            -0.075, y, str(series), transform=axes.transAxes, ha="right", va="center",
            fontsize=LETTERS, color=colour, weight="bold",
        )  # fmt: skip
        at = curve.set_index("month")["n_risk"]
        for t in ticks:
            if t in at.index:
                axes.text(
                    t, y, thousands(float(at.loc[t])), transform=axes.get_xaxis_transform(),
                    ha="center", va="center", fontsize=LETTERS,
                )  # fmt: skip
    axes.set(xlim=(0, end), ylim=(0, 1.02), xticks=ticks, yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.tick_params(labelsize=12)
    axes.set_xlabel(time_label, fontsize=12, labelpad=2)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    axes.legend(loc="upper right", fontsize=12, handlelength=2.6, borderaxespad=0.2)
