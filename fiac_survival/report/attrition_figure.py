"""Attrition flow: from the source to the arms, one column a source."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from fiac_survival.report.style import ARMS, BLACK, GREY, SLIDE, house_style, new_figure, records


@house_style()
def attrition_figure(table: pd.DataFrame, *, title: str) -> Figure:
    """Draw the flow of patients.

    Parameters
    ----------
    table : DataFrame
        panel, kind ("step" or "arm"), label, n, n_excluded. Steps come in order, then the arms.
    title : str
        Title.

    Returns
    -------
    Figure
        One column for each value of `panel`.
    """
    panels = list(dict.fromkeys(table["panel"]))
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        1, len(panels), left=0.012, right=0.988, top=0.87, bottom=0.02, wspace=0.03
    )
    longest = max(int((table["panel"] == panel).sum()) for panel in panels)
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, k])
        axes.set(xlim=(0, 10), ylim=(0, 10))
        axes.set_axis_off()
        axes.set_title(panel)
        part = table[table["panel"] == panel]
        _column(axes, part, height=9.8 / max(longest - 1, 3))
    return figure


def _box(
    axes: Axes, x: float, y: float, width: float, height: float, text: str, **look: str
) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.12",
            linewidth=1.6,
            edgecolor=look.get("edge", BLACK),
            facecolor=look.get("face", "white"),
        )
    )
    axes.text(
        x + width / 2,
        y,
        text,
        ha="center",
        va="center",
        fontsize=14,
        color=look.get("colour", BLACK),
        linespacing=1.35,
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": BLACK,
            "linewidth": 1.4,
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )


def _column(axes: Axes, part: pd.DataFrame, height: float) -> None:
    steps = part[part["kind"] == "step"]
    arms = part[part["kind"] == "arm"]
    box = min(1.6, 0.66 * height)
    y, before = 9.9 - box / 2, None
    for r in records(steps):
        text = f"{_wrap(r.label, 28)}\nn = {r.n:,}".replace(",", "\u202f")
        if before is not None:
            _arrow(axes, (2.9, before - box / 2), (2.9, y + box / 2))
            if r.n_excluded:
                middle = (before + y) / 2
                _arrow(axes, (2.9, middle), (6.1, middle))
                excluded = f"excluded: {r.n_excluded:,}".replace(",", "\u202f")
                _box(axes, 6.1, middle, 3.4, 0.62, excluded, edge=GREY, colour=GREY)
        _box(axes, 0.4, y, 5.0, box, text)
        before, y = y, y - height
    if before is None:
        return
    for k, r in enumerate(records(arms)):
        x = 0.05 + 5.0 * k
        colour = ARMS[k % len(ARMS)][0]
        _arrow(axes, (2.9, before - box / 2), (x + 2.35, y + box / 2))
        text = f"{_wrap(r.label, 26)}\nn = {r.n:,}".replace(",", "\u202f")
        _box(axes, x, y, 4.7, box, text, edge=colour, colour=colour)


def _wrap(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))
