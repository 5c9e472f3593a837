"""Stacked probabilities over time: cumulative incidences of several causes, or states occupied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require
from fiac_survival.report.regimens import COLOURS, TEXTURES, Look, legend_patches
from fiac_survival.report.sheet import new_sheet, side_legend, wrapped
from fiac_survival.report.style import SLIDE, house_style

REST = Look("#E4E4E4")


@house_style()
def stacked_probability_figure(
    table: pd.DataFrame,
    *,
    title: str,
    time_label: str,
    tick: float,
    order: Sequence[str] | None = None,
    rest: str | None = None,
    steps: bool = True,
    note: str = "",
) -> Figure:
    """Draw probabilities of states over time as stacked areas.

    Parameters
    ----------
    table : DataFrame
        panel, time, state, probability; at each time of a panel they add to at most 1.
    title, time_label : str
        Texts.
    tick : float
        Distance of the ticks.
    order : sequence of str, optional
        States from the bottom; left out, in the order of the table.
    rest : str, optional
        Name of what is missing to 1 ("event-free"), drawn in grey on top; left out, white.
    steps : bool, default True
        Step curves, as estimates without a model are; False joins the points.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `panel`.

    Raises
    ------
    DataError
        If a column is missing, a state is given twice, or probabilities add to more than 1.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome([1, 2, 3, 4, 5], [1, 2, 0, 1, 2])
    >>> table = fs.survival.aalen_johansen(y).table.assign(panel="All")
    >>> table["state"] = table["cause"].map({1: "relapse", 2: "death"})
    >>> figure = fs.report.stacked_probability_figure(
    ...     table.rename(columns={"incidence": "probability"}), title="T", time_label="Years",
    ...     tick=1, rest="event-free",
    ... )
    >>> [text.get_text() for text in figure.legends[0].get_texts()]
    ['event-free', 'death', 'relapse']
    """
    table = checked(
        table, ["panel", "time", "state", "probability"], numbers=["time", "probability"]
    )
    require(
        table,
        table["probability"].between(-1e-9, 1.0 + 1e-9),
        "probability must lie between 0 and 1",
        "probability",
    )
    require(
        table,
        ~table.duplicated(["panel", "time", "state"]),
        "each state must have one row a time",
        "panel", "time", "state",
    )  # fmt: skip
    found = [str(s) for s in dict.fromkeys(table["state"])]
    states = found if order is None else [str(s) for s in order]
    if set(states) != set(found) or len(set(states)) != len(states):
        raise DataError(
            "order must hold every state once",
            values={"order": ", ".join(states), "states": ", ".join(found)},
        )
    looks = {
        name: Look(COLOURS[k % len(COLOURS)], TEXTURES[k // len(COLOURS) % len(TEXTURES)])
        for k, name in enumerate(states)
    }
    panels = list(dict.fromkeys(table["panel"]))
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    legend = 2.5
    sheet = new_sheet(title, notes=[note], size=(SLIDE[0], max(SLIDE[1], 1.6 + 3.6 * rows)))
    head = 0.45
    panel_height = (sheet.top - sheet.bottom - 0.85 - head - (rows - 1) * (head + 0.85)) / rows
    grid = sheet.figure.add_gridspec(
        rows,
        columns,
        hspace=(head + 0.85) / panel_height,
        wspace=0.14,
        **sheet.box(1.15, legend + 0.25, above=head, below=0.85),
    )
    each = (SLIDE[0] - legend - 1.4) / columns * 0.92
    for k, panel in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[k // columns, k % columns])
        part = table[table["panel"] == panel].pivot_table(
            index="time", columns="state", values="probability", sort=True
        )
        part = part.ffill().fillna(0.0)
        time = part.index.to_numpy(dtype=np.float64)
        below = np.zeros(time.size)
        kind: Literal["post"] | None = "post" if steps else None
        for name in [s for s in states if s in part]:
            above = below + part[name].to_numpy()
            if (above > 1.0 + 1e-6).any():
                bad = int(np.argmax(above))
                raise DataError(
                    "probabilities of the states must not add to more than 1",
                    values={"panel": panel, "time": time[bad], "sum": float(above[bad])},
                )
            look = looks[name]
            axes.fill_between(
                time, below, above, step=kind, facecolor=look.face, edgecolor="white",
                linewidth=0.5, hatch=look.hatch or None,
            )  # fmt: skip
            below = above
        if rest is not None:
            axes.fill_between(time, below, 1.0, step=kind, facecolor=REST.face, linewidth=0)
        end = float(time.max())
        axes.set(xlim=(0, end), ylim=(0, 1))
        axes.set_xticks([j * tick for j in range(int(end // tick) + 1)])
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.tick_params(labelleft=k % columns == 0, labelsize=13)
        axes.set_xlabel(time_label)
        axes.set_title(wrapped(str(panel), each, 15, bold=True), fontsize=15)
    shown = {rest: REST} if rest is not None else {}
    shown |= {name: looks[name] for name in reversed(states)}
    side_legend(sheet, legend_patches(shown, shown), width=legend, top=sheet.top - head)
    return sheet.figure
