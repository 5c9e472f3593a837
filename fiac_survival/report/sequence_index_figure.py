"""Sequence index figure: one bar a patient, coloured by regimen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require, texts
from fiac_survival.report.regimens import by_frequency, legend_patches, regimen_looks
from fiac_survival.report.sheet import new_sheet, side_legend, thousands
from fiac_survival.report.style import GREY, SLIDE, house_style

LEGEND = 3.0


@house_style()
def sequence_index_figure(
    table: pd.DataFrame,
    *,
    title: str,
    most_patients: int = 250,
    seed: int | None = None,
    tick: float | None = None,
    regimen_order: Sequence[str] | None = None,
    note: str = "",
) -> Figure:
    """Draw each patient's lines of therapy as one bar.

    Bars show single patients: draw them from simulated data or from data that may be shown so.

    Parameters
    ----------
    table : DataFrame
        person, line, regimen, start, end (months); optional end_reason ("death" and "censored" are
        marked at the end of the last line).
    title : str
        Title.
    most_patients : int, default 250
        Largest number of bars; of more patients a sample is shown.
    seed : int, optional
        Of the sample; must be given if there are more patients.
    tick : float, optional
        Distance of the ticks in months.
    regimen_order : sequence of str, optional
        Regimens in the order of their colours, to share it between figures.
    note : str
        Line below.

    Returns
    -------
    Figure
        Bars sorted by regimen of line 1, then by its duration. Months count from the start of line 1;
        time between lines is left white.

    Raises
    ------
    DataError
        If a column is missing, a line ends before it starts, or patients must be sampled without a seed.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> lines = fs.report.simulated_lines(model.simulate(["A", "B"], 400, seed=1), model)
    >>> figure = fs.report.sequence_index_figure(lines, title="Pathways", seed=7)
    >>> figure.axes[0].get_ylabel()
    '250 of 400 patients'
    """
    table = checked(
        table, ["person", "line", "regimen", "start", "end"], numbers=["line", "start", "end"]
    )
    require(table, table["start"] <= table["end"], "start must not be after end", "start", "end")
    if most_patients < 1:
        raise DataError("most_patients must be at least 1", values={"most_patients": most_patients})
    looks = regimen_looks(by_frequency(Counter(texts(table["regimen"]))), regimen_order)
    table = table.sort_values(["person", "line"], kind="stable").reset_index(drop=True)
    persons = table["person"].unique()
    said = f"All {thousands(len(persons))} patients."
    if len(persons) > most_patients:
        if seed is None:
            raise DataError(
                "a seed must be given where patients are sampled",
                values={"patients": len(persons), "most_patients": most_patients},
                remedy="pass seed, or a larger most_patients",
            )
        chosen = np.random.default_rng(seed).choice(len(persons), most_patients, replace=False)
        table = table[table["person"].isin(persons[np.sort(chosen)])].reset_index(drop=True)
        said = (
            f"{thousands(most_patients)} of {thousands(len(persons))} patients, "
            f"drawn at random (seed {seed})."
        )
    table, n = _placed(table, {name: k for k, name in enumerate(looks)})
    notes = [f"{said} Sorted by regimen of line 1, then by its duration.", note]
    sheet = new_sheet(title, notes=notes, advice=True, size=SLIDE)
    axes = sheet.figure.add_subplot(
        sheet.figure.add_gridspec(1, 1, **sheet.box(0.75, LEGEND + 0.2, above=0.1, below=0.65))[
            0, 0
        ]
    )
    for name, look in looks.items():
        rows = table[table["regimen"] == name]
        if not rows.empty:
            axes.barh(
                rows["place"],
                rows["end"] - rows["start"],
                left=rows["start"],
                height=1.0,
                linewidth=0.25 if n <= 120 else 0.0,
                **look.patch,
            )
    handles: list[Artist] = [*legend_patches(looks, table["regimen"])]
    handles += _ends(axes, table, n)
    end = float(table["end"].max())
    axes.set(xlim=(0, end * 1.01), ylim=(n - 0.5, -0.5), xlabel="Months since the start of line 1")
    axes.set_ylabel(
        f"{thousands(n)} of {thousands(len(persons))} patients"
        if n < len(persons)
        else f"{thousands(n)} patients",
        color=GREY,
    )
    axes.set_yticks([])
    if tick is not None:
        axes.set_xticks([k * tick for k in range(int(end // tick) + 1)])
    side_legend(sheet, handles, width=LEGEND, top=sheet.top - 0.1)
    return sheet.figure


def _placed(table: pd.DataFrame, rank: dict[str, int]) -> tuple[pd.DataFrame, int]:
    """Give each person a place from the top, and count months from the start of line 1."""
    first = table.groupby("person", sort=False).first()
    whole = table.groupby("person", sort=False)["end"].max()
    order = pd.DataFrame(
        {
            "rank": first["regimen"].map(rank),
            "line": -(first["end"] - first["start"]),
            "whole": -(whole - first["start"]),
        }
    ).sort_values(["rank", "line", "whole"], kind="stable")
    place = pd.Series(range(len(order)), index=order.index)
    zero = table["person"].map(first["start"])
    table = table.assign(
        place=table["person"].map(place), start=table["start"] - zero, end=table["end"] - zero
    )
    return table, len(order)


def _ends(axes: Axes, table: pd.DataFrame, n: int) -> list[Line2D]:
    """Mark deaths and censorings at the end of the last line."""
    if "end_reason" not in table:
        return []
    last = table.groupby("person", sort=False).tail(1)
    out = []
    size = 5.0 if n <= 120 else 3.0
    for reason, marker, face in (("death", "X", "black"), ("censored", "o", "white")):
        rows = last[last["end_reason"] == reason]
        if rows.empty:
            continue
        look: dict[str, Any] = {
            "marker": marker,
            "markerfacecolor": face,
            "markeredgecolor": "black",
        }
        axes.plot(
            rows["end"], rows["place"], linestyle="none", markersize=size, markeredgewidth=0.6,
            clip_on=False, **look,
        )  # fmt: skip
        out.append(Line2D([], [], linestyle="none", markersize=7, label=reason, **look))
    return out
