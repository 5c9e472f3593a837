"""Balance of covariates: love plot, and overlap of propensity scores."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fiac_survival.report.style import ARMS, BLACK, GREY, LIGHT, SLIDE, house_style, new_figure

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
COLOURS = ("#595959", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


@house_style()
def love_plot(
    table: pd.DataFrame, *, title: str, gate: float, x_label: str, limit: float
) -> Figure:
    """Draw standardised mean differences, covariate by covariate.

    Parameters
    ----------
    table : DataFrame
        panel, covariate (label), method (label), smd. The first method is drawn hollow.
    title, x_label : str
        Texts.
    gate : float
        Absolute difference that passes, shown as a band.
    limit : float
        Largest absolute difference shown.

    Returns
    -------
    Figure
        One panel for each value of `panel`.
    """
    panels = list(dict.fromkeys(table["panel"]))
    covariates = list(dict.fromkeys(table["covariate"]))
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        1, len(panels), left=0.17, right=0.975, top=0.86, bottom=0.2, wspace=0.12
    )
    handles: list[Line2D] = []
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, k])
        axes.axvspan(-gate, gate, color=LIGHT, zorder=0)
        axes.axvline(0, color=BLACK, linewidth=1)
        part = table[table["panel"] == panel]
        handles = []
        for j, method in enumerate(methods):
            rows = part[part["method"] == method].set_index("covariate").reindex(covariates)
            first = j == 0
            (handle,) = axes.plot(
                rows["smd"],
                range(len(covariates)),
                linestyle="none",
                marker=MARKERS[j % len(MARKERS)],
                markersize=12 if first else 10,
                markerfacecolor="white" if first else COLOURS[j % len(COLOURS)],
                markeredgecolor=COLOURS[j % len(COLOURS)],
                markeredgewidth=2.2 if first else 0.8,
                label=method,
                zorder=3 + j,
            )
            handles.append(handle)
        axes.set(xlim=(-limit, limit), ylim=(len(covariates) - 0.5, -0.5), xlabel=x_label)
        axes.set_yticks(range(len(covariates)), covariates if k == 0 else [""] * len(covariates))
        axes.set_xticks([-limit, -limit / 2, 0, limit / 2, limit])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color="#EEEEEE")
        axes.set_title(panel)
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.012, 0.005),
        ncols=min(5, len(methods)),
        columnspacing=1.3,
        handletextpad=0.3,
    )
    return figure


@house_style()
def overlap_figure(table: pd.DataFrame, *, title: str, x_label: str, y_label: str) -> Figure:
    """Draw the distribution of propensity scores in both arms, one up and one down.

    Parameters
    ----------
    table : DataFrame
        panel, arm_label (two values), left, right (edges of the bin), share (of the arm's patients).
    title, x_label, y_label : str
        Texts.

    Returns
    -------
    Figure
        One panel for each value of `panel`.
    """
    panels = list(dict.fromkeys(table["panel"]))
    arms = list(dict.fromkeys(table["arm_label"]))
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        1, len(panels), left=0.085, right=0.975, top=0.86, bottom=0.115, wspace=0.14
    )
    top = float(table["share"].max()) * 1.12
    for k, panel in enumerate(panels):
        axes = figure.add_subplot(grid[0, k])
        part = table[table["panel"] == panel]
        for j, arm in enumerate(arms):
            rows = part[part["arm_label"] == arm]
            sign = -1.0 if j == 0 else 1.0
            axes.bar(
                rows["left"],
                sign * rows["share"],
                width=rows["right"] - rows["left"],
                align="edge",
                color=ARMS[j][0],
                alpha=0.85,
                edgecolor="white",
                linewidth=0.8,
                hatch="//" if j == 1 else None,
            )
            axes.text(
                0.98,
                0.04 if j == 0 else 0.96,
                arm,
                transform=axes.transAxes,
                ha="right",
                va="bottom" if j == 0 else "top",
                color=ARMS[j][0],
                fontsize=15,
                weight="bold",
            )
        axes.axhline(0, color=BLACK, linewidth=1)
        axes.set(xlim=(0, 1), ylim=(-top, top), xlabel=x_label)
        axes.yaxis.set_major_formatter(lambda value, _: f"{abs(100 * value):.0f} %")
        if k == 0:
            axes.set_ylabel(y_label, color=GREY)
        axes.set_title(panel)
    return figure
