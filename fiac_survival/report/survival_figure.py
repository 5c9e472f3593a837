"""Survival curves with bands and aligned numbers at risk, one panel a source."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiac_survival.report.style import ARMS, GREY, SLIDE, house_style, new_figure

COUNTS = (
    ("n_risk", "At risk"),
    ("n_entered", "Entered"),
    ("n_event", "Events"),
    ("n_censor", "Censored"),
)


@house_style()
def survival_figure(
    table: pd.DataFrame,
    *,
    title: str,
    time_label: str,
    survival_label: str,
    tick: float,
) -> Figure:
    """Draw survival curves.

    Parameters
    ----------
    table : DataFrame
        panel, arm, arm_label, time, survival, lower, upper, n_risk, n_event, n_censor; events and
        censorings cumulated, counts in rows of data. Rows exist at every multiple of `tick`. With
        delayed entry, n_entered (late entries so far) may stand beside them.
    title, time_label, survival_label : str
        Texts.
    tick : float
        Distance of the ticks and of the columns of numbers.

    Returns
    -------
    Figure
        One panel for each value of `panel`.
    """
    panels = list(dict.fromkeys(table["panel"]))
    figure = new_figure(SLIDE)
    grid = figure.add_gridspec(
        2,
        len(panels),
        height_ratios=[2.35, 1.0],
        left=0.075,
        right=0.985,
        top=0.86,
        bottom=0.02,
        hspace=0.3,
        wspace=0.2,
    )
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    end = float(table["time"].max())
    ticks = [k * tick for k in range(int(end // tick) + 1)]
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        axes = figure.add_subplot(grid[0, k])
        _curves(axes, part)
        axes.set(xlim=(0, end), ylim=(0, 1.0), xticks=ticks, xlabel=time_label)
        axes.set_title(panel, pad=12)
        axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
        if k == 0:
            axes.set_ylabel(survival_label)
        axes.legend(loc="lower left", borderaxespad=0.3, handlelength=2.6)
        _numbers(figure.add_subplot(grid[1, k], sharex=axes), part, ticks)
    return figure


def _curves(axes: Axes, table: pd.DataFrame) -> None:
    for k, (label, curve) in enumerate(table.groupby("arm_label", sort=False)):
        colour, line, _ = ARMS[k % len(ARMS)]
        time = curve["time"].to_numpy()
        axes.step(
            time, curve["survival"], where="post", color=colour, linestyle=line, label=str(label)
        )
        axes.fill_between(
            time,
            curve["lower"],
            curve["upper"],
            step="post",
            color=colour,
            alpha=0.16,
            linewidth=0,
        )


def _numbers(axes: Axes, table: pd.DataFrame, ticks: list[float]) -> None:
    """Write the numbers below the axis: per arm a heading and a line for each count."""
    axes.set_axis_off()
    arms = list(dict.fromkeys(table["arm_label"]))
    counts = [(column, name) for column, name in COUNTS if column in table or column != "n_entered"]
    lines = len(arms) * (len(counts) + 1)
    axes.set_ylim(lines, 0)
    row = 0.5
    for k, arm in enumerate(arms):
        colour = ARMS[k % len(ARMS)][0]
        curve = table[table["arm_label"] == arm].set_index("time")
        axes.text(
            -0.005,
            row,
            arm,
            transform=axes.get_yaxis_transform(),
            ha="left",
            va="center",
            fontsize=13,
            color=colour,
            weight="bold",
        )
        row += 1
        for column, name in counts:
            axes.text(
                -0.015,
                row,
                name,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=12,
                color=GREY,
            )
            for t in ticks:
                if t in curve.index:
                    edge = "left" if t == ticks[0] else "right" if t == ticks[-1] else "center"
                    axes.text(
                        t,
                        row,
                        f"{int(curve.loc[t, column])}",
                        ha=edge,
                        va="center",
                        fontsize=12.5,
                    )
            row += 1
