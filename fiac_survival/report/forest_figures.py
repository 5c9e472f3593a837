"""Forest plots: all effects of all sources and methods, and the differences between sources."""

from __future__ import annotations

import textwrap

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fiac_survival.report.style import (
    BLACK,
    GREY,
    LIGHT,
    SLIDE,
    SOURCES,
    house_style,
    new_figure,
    records,
)


@house_style()
def forest_figure(table: pd.DataFrame, *, title: str, note: str = "") -> Figure:
    """Draw effects: one panel a measure, one row a source and method.

    Parameters
    ----------
    table : DataFrame
        panel, scale ("log" or "identity"), null, low, high (axis limits), ticks (as "0;5;10"), digits,
        source_label, method_label, estimate, lower, upper, primary (bool). Rows of the first panel give
        the order.
    title, note : str
        Title, and a line below.

    Returns
    -------
    Figure
        Estimates with intervals and their numbers.
    """
    panels = list(dict.fromkeys(table["panel"]))
    first = table[table["panel"] == panels[0]]
    sources = list(dict.fromkeys(first["source_label"]))
    places, y = {}, 0.0
    for source in sources:
        y += 1.0
        for method in first.loc[first["source_label"] == source, "method_label"]:
            places[source, method] = y
            y += 1.0
        y += 0.35
    figure = new_figure((SLIDE[0], max(SLIDE[1], 1.75 + 0.24 * y)))
    figure.suptitle(title, x=0.012, y=0.98, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        1, len(panels), left=0.26, right=0.992, top=0.845, bottom=0.105, wspace=0.05
    )
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, k])
        part = table[table["panel"] == panel]
        _panel(axes, part, places, sources)
        axes.set_ylim(y - 0.4, -0.4)
        axes.set_title(_wrap(panel), fontsize=14.5, pad=6)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        if k == 0:
            _row_labels(axes, part, places, sources)
    if note:
        figure.text(0.012, 0.012, note, fontsize=12.5, color=GREY, ha="left", va="bottom")
    return figure


def _panel(
    axes: Axes, part: pd.DataFrame, places: dict[tuple[str, str], float], sources: list[str]
) -> None:
    row = part.iloc[0]
    low, high, null = float(row["low"]), float(row["high"]), float(row["null"])
    log = row["scale"] == "log"
    if log:
        axes.set_xscale("log")
    span = (high / low) ** 1.05 if log else 1.05 * (high - low)
    right = high * span if log else high + span
    axes.set_xlim(low, right)
    axes.axvline(null, color=BLACK, linewidth=1)
    for r in records(part):
        y = places[r.source_label, r.method_label]
        colour, marker = SOURCES[sources.index(r.source_label) % len(SOURCES)]
        if r.primary:
            axes.axhspan(y - 0.5, y + 0.5, color=LIGHT, zorder=0, linewidth=0)
        axes.plot([max(r.lower, low), min(r.upper, high)], [y, y], color=colour, linewidth=2.6)
        for end, limit, arrow in ((r.lower, low, "<"), (r.upper, high, ">")):
            if (end < limit) if arrow == "<" else (end > limit):
                axes.plot([limit], [y], marker=arrow, color=colour, markersize=8)
        if low <= r.estimate <= high:
            axes.plot([r.estimate], [y], marker=marker, color=colour, markersize=9, zorder=4)
        digits = int(r.digits)
        axes.text(
            right,
            y,
            f"{r.estimate:.{digits}f} ({r.lower:.{digits}f} to {r.upper:.{digits}f})",
            ha="right",
            va="center",
            fontsize=12,
        )
    ticks = [float(t) for t in str(row["ticks"]).split(";")]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()


def _row_labels(
    axes: Axes, part: pd.DataFrame, places: dict[tuple[str, str], float], sources: list[str]
) -> None:
    transform = axes.get_yaxis_transform()
    for k, source in enumerate(sources):
        methods = part[part["source_label"] == source]
        top = min(places[source, m] for m in methods["method_label"])
        colour = SOURCES[k % len(SOURCES)][0]
        axes.text(
            -0.97, top - 1.0, source, transform=transform, weight="bold", fontsize=15, color=colour,
            va="center",
        )  # fmt: skip
        for r in records(methods):
            axes.text(
                -0.93,
                places[source, r.method_label],
                r.method_label,
                transform=transform,
                fontsize=12.5,
                va="center",
                weight="bold" if r.primary else "normal",
            )


@house_style()
def agreement_figure(table: pd.DataFrame, *, title: str, note: str = "", ticks: int = 5) -> Figure:
    """Draw differences between two sources against the equivalence margin.

    Parameters
    ----------
    table : DataFrame
        panel, method_label, difference, lower, upper (two-sided), lower_equivalence,
        upper_equivalence (narrower, for the two one-sided tests), margin, unit, equivalent (bool),
        primary (bool).
    title, note : str
        Title, and a line below.
    ticks : int, default 5
        Most intervals between ticks.

    Returns
    -------
    Figure
        One panel for each value of `panel`.
    """
    panels = list(dict.fromkeys(table["panel"]))
    methods = list(dict.fromkeys(table["method_label"]))
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        1, len(panels), left=0.27, right=0.975, top=0.82, bottom=0.185, wspace=0.12
    )
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, k])
        part = table[table["panel"] == panel].set_index("method_label").reindex(methods)
        margin = float(part["margin"].iloc[0])
        reach = 1.08 * float(max(part["upper"].abs().max(), part["lower"].abs().max(), margin))
        axes.axvspan(-margin, margin, color=LIGHT, zorder=0)
        axes.axvline(0, color=BLACK, linewidth=1)
        for y, r in enumerate(records(part)):
            colour = "#009E73" if r.equivalent else "#D55E00"
            axes.plot([r.lower, r.upper], [y, y], color=colour, linewidth=1.6)
            axes.plot(
                [r.lower_equivalence, r.upper_equivalence],
                [y, y],
                color=colour,
                linewidth=6,
                solid_capstyle="butt",
            )
            axes.plot(
                [r.difference],
                [y],
                marker="o" if r.equivalent else "X",
                color=colour,
                markersize=12,
                markeredgecolor="white",
                zorder=4,
            )
        axes.set(xlim=(-reach, reach), ylim=(len(methods) - 0.5, -0.5), xlabel=part["unit"].iloc[0])
        axes.xaxis.set_major_locator(MaxNLocator(ticks))
        axes.set_yticks(range(len(methods)), methods if k == 0 else [""] * len(methods))
        axes.tick_params(axis="y", length=0)
        if k == 0:
            for text, primary in zip(axes.get_yticklabels(), part["primary"], strict=True):
                text.set_fontweight("bold" if primary else "normal")
        axes.set_title(_wrap(panel), fontsize=14.5)
    if note:
        figure.text(0.012, 0.012, note, fontsize=12.5, color=GREY, ha="left", va="bottom")
    return figure


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, 21))
