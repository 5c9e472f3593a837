"""Linkage: what few identifiers already link, and how persons came to be linked."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiac_survival.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SLIDE,
    VERMILLION,
    house_style,
    new_figure,
    records,
)

MOST_LABELS = 12
FLOOR = 75.0
_LOOK = {
    "persons": (GREY, ""),
    "pass": (BLUE, ""),
    "probability": (GREEN, "//"),
    "ambiguous": (ORANGE, "xx"),
    "unlinked": ("white", ""),
    "linked": (PURPLE, ""),
}


@house_style()
def minimum_data_set_curve(
    table: pd.DataFrame,
    *,
    title: str,
    rate_target: float | None = None,
    precision_target: float | None = None,
    precision_label: str = "precision",
) -> Figure:
    """Draw rate and precision of every subset of identifiers against its size.

    Parameters
    ----------
    table : DataFrame
        identifiers, n_identifiers, rate, precision, pareto; further columns are passed over.
    title : str
        Title.
    rate_target, precision_target : float, optional
        Drawn as lines.
    precision_label : str, default "precision"
        What the precision is of, e.g. "precision against the full set".

    Returns
    -------
    Figure
        Two panels; Pareto subsets are numbered and listed, the best twelve of them by rate.
    """
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    grid = figure.add_gridspec(
        2, 2, left=0.075, right=0.985, top=0.87, bottom=0.12, hspace=0.36, width_ratios=(1.25, 1.0)
    )
    best = _labelled(table)
    for row, (column, label, target, colour) in enumerate(
        (
            ("rate", "linked, % of private persons", rate_target, BLUE),
            ("precision", f"{precision_label}, %", precision_target, VERMILLION),
        )
    ):
        axes = figure.add_subplot(grid[row, 0])
        _cloud(axes, table, column, colour, target)
        _mark(axes, best, column, colour)
        axes.set_title(label + ("" if target is None else f"; target {100 * target:g}"))
        if row:
            figure.text(0.33, 0.025, "identifiers in the subset", ha="center")
    _list(figure.add_subplot(grid[:, 1]), best, int(table["pareto"].sum()))
    return figure


def _labelled(table: pd.DataFrame) -> pd.DataFrame:
    """Choose the Pareto subsets to name: those of highest rate, numbered by size."""
    front = table[table["pareto"].astype(bool)]
    front = front.sort_values(["rate", "identifiers"], ascending=[False, True])[:MOST_LABELS]
    front = front.sort_values(
        ["n_identifiers", "rate", "identifiers"], ascending=[True, False, True]
    )
    return front.assign(number=np.arange(1, len(front) + 1))


def _cloud(axes: Axes, table: pd.DataFrame, column: str, colour: str, target: float | None) -> None:
    """Draw every subset as a dot, spread within its size, and the best of each size as a line."""
    sizes = table["n_identifiers"].to_numpy()
    share = 100.0 * table[column].to_numpy(dtype=np.float64)
    rank = table.groupby("n_identifiers").cumcount().to_numpy()
    many = table.groupby("n_identifiers")["rate"].transform("size").to_numpy()
    x = sizes + 0.6 * (rank / np.maximum(many - 1, 1) - 0.5) * (many > 1)
    floor = FLOOR if float(np.nanmedian(share)) > 90.0 and np.nanmin(share) < FLOOR else 0.0
    low = share < floor
    look = {"color": GREY, "alpha": 0.4, "markersize": 5, "linewidth": 0, "clip_on": False}
    axes.plot(x[~low], share[~low], "o", **look)
    axes.plot(x[low], np.full(low.sum(), floor), "v", **look)
    top = table.groupby("n_identifiers")[column].max()
    axes.plot(top.index, 100 * top, color=colour, zorder=3)
    if floor:
        axes.set_xlabel(f"triangles: below {floor:g} %", loc="left", fontsize=13, color=GREY)
    if target is not None:
        axes.axhline(100 * target, color=BLACK, linewidth=1.3, linestyle=(0, (4, 3)))
    axes.set_xlim(sizes.min() - 0.5, sizes.max() + 0.5)
    axes.set_xticks(np.arange(sizes.min(), sizes.max() + 1))
    axes.set_ylim(floor, 100 + 0.06 * (100 - floor))


def _mark(axes: Axes, best: pd.DataFrame, column: str, colour: str) -> None:
    """Write the numbers of the Pareto subsets, side by side where they have one size."""
    place = best.groupby("n_identifiers").cumcount().to_numpy()
    many = best.groupby("n_identifiers")["rate"].transform("size").to_numpy()
    low, _ = axes.get_ylim()
    for k, r in enumerate(records(best)):
        step = min(0.29, 0.9 / many[k])
        x = r.n_identifiers + step * (place[k] - (many[k] - 1) / 2)
        y = max(100 * getattr(r, column), low)
        axes.plot(
            x, y, "o", color=colour, markersize=18, markeredgecolor="white", zorder=5, clip_on=False
        )
        axes.text(
            x,
            y,
            str(r.number),
            ha="center",
            va="center_baseline",
            fontsize=10.5,
            color="white",
            weight="bold",
            zorder=6,
        )


def _list(axes: Axes, best: pd.DataFrame, total: int) -> None:
    """Name the numbered subsets."""
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(0, 1))
    more = "" if total <= len(best) else f" ({len(best)} of {total})"
    axes.set_title(f"no smaller one is better{more}", fontsize=15)
    axes.text(0.80, 0.985, "linked", ha="right", fontsize=13, color=GREY)
    axes.text(1.0, 0.985, "precision", ha="right", fontsize=13, color=GREY)
    step = 0.96 / max(MOST_LABELS, 1)
    for k, r in enumerate(records(best)):
        y = 0.95 - k * step
        names = r.identifiers.replace("_", " ")
        lines = textwrap.wrap(f"{r.number}. {names}", 36, subsequent_indent="    ")
        axes.text(0.0, y, "\n".join(lines), va="top", fontsize=11.5, linespacing=1.15)
        axes.text(0.80, y, f"{100 * r.rate:.1f} %", ha="right", va="top", fontsize=12)
        axes.text(1.0, y, f"{100 * r.precision:.1f} %", ha="right", va="top", fontsize=12)


@house_style()
def linkage_flow_figure(table: pd.DataFrame, *, title: str) -> Figure:
    """Draw how the private persons came to be linked.

    Parameters
    ----------
    table : DataFrame
        kind, step, n, share: the table of a linkage.
    title : str
        Title.

    Returns
    -------
    Figure
        A bar for each step, beginning where the one before ended.
    """
    figure = new_figure(SLIDE)
    figure.suptitle(title, x=0.012, y=0.975, ha="left", fontsize=20, weight="bold")
    axes = figure.add_axes((0.38, 0.11, 0.6, 0.78))
    bars = table[table["share"].notna()].reset_index(drop=True)
    total = int(bars.loc[bars["kind"] == "persons", "n"].iloc[0])
    begun = 0
    height = 0.62
    for k, r in enumerate(records(bars)):
        colour, hatch = _LOOK[r.kind]
        left = begun if r.kind in ("pass", "probability", "ambiguous", "unlinked") else 0
        axes.barh(
            -k,
            r.n,
            left=left,
            height=height,
            color=colour,
            edgecolor=BLACK,
            linewidth=1.0,
            hatch=hatch,
        )
        _amount(axes, r, left, -k, total)
        if left + r.n and r.kind != "linked" and r.kind != "unlinked":
            edge = left + r.n if r.kind != "persons" else 0
            if edge:
                axes.plot(
                    [edge, edge], [-k - height / 2, -k - 1 + height / 2], color=GREY, linewidth=1
                )
        if r.kind not in ("persons", "linked"):
            begun += r.n
    axes.set_yticks([-k for k in range(len(bars))])
    size = 12.0 if len(bars) <= 12 else 9.0
    axes.set_yticklabels([_words(r) for r in records(bars)], fontsize=size, linespacing=1.0)
    axes.set_xlim(0, 1.17 * total)
    axes.set_xlabel(_footing(table))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return figure


def _amount(axes: Axes, r: Any, left: float, y: float, total: int) -> None:
    text = f"{r.n:,}".replace(",", "\u202f") + (
        "" if r.kind == "persons" else f"  ({100 * r.share:.1f} %)"
    )
    axes.text(left + r.n + 0.012 * total, y, text, va="center", fontsize=13)


def _words(r: Any) -> str:
    text = r.step.replace("_", " ")
    if r.kind == "pass":
        text = f"agree on {text}"
    return "\n".join(textwrap.wrap(text, 54))


def _footing(table: pd.DataFrame) -> str:
    """Say what stands beside the private persons."""
    said = ["private persons"]
    public = table.loc[table["step"] == "public persons", "n"]
    if len(public):
        said.append(f"public file: {int(public.iloc[0]):,} persons".replace(",", "\u202f"))
    compared = table.loc[table["kind"] == "candidates", "n"]
    if len(compared):
        said.append(f"{int(compared.iloc[0]):,} pairs compared".replace(",", "\u202f"))
    return "; ".join(said)
