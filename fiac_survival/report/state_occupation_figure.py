"""State occupation: where patients are, month by month, under one or several policies."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, natural, require
from fiac_survival.report.regimens import COLOURS, Look, legend_patches
from fiac_survival.report.sheet import new_sheet, side_legend, wrapped_sequence
from fiac_survival.report.style import ORANGE, SLIDE, house_style

DEAD, AFTER = "dead", "after the last line"


@house_style()
def state_occupation_figure(
    table: pd.DataFrame, *, title: str, tick: float = 24.0, note: str = ""
) -> Figure:
    """Draw the probability of each state over time as stacked areas.

    Parameters
    ----------
    table : DataFrame
        policy, month, state, probability. States are those that
        :func:`fiac_survival.sequence.occupation` gives: "line 1", "line 2", ..., "after the last line",
        "dead"; others may stand beside them. In each month of a policy they add to 1.
    title : str
        Title.
    tick : float, default 24
        Months between ticks.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `policy`; lines from the bottom, death at the top.

    Raises
    ------
    DataError
        If a column is missing, a state is given twice, or probabilities of a month do not add to 1.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> table = fs.sequence.occupation(model, ["A", "B"], "all").assign(policy="A → B")
    >>> figure = fs.report.state_occupation_figure(table, title="Where patients are", tick=6)
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['A → B']
    """
    table = checked(
        table, ["policy", "month", "state", "probability"], numbers=["month", "probability"]
    )
    require(
        table,
        table["probability"].between(-1e-9, 1.0 + 1e-9),
        "probability must lie between 0 and 1",
        "probability",
    )
    require(
        table,
        ~table.duplicated(["policy", "month", "state"]),
        "each state must have one row a month",
        "policy", "month", "state",
    )  # fmt: skip
    sums = table.groupby(["policy", "month"], sort=False)["probability"].sum()
    if (sums - 1.0).abs().max() > 1e-6:
        place = (sums - 1.0).abs().idxmax()
        raise DataError(
            "probabilities of the states must add to 1 in every month",
            values={"policy and month": place, "sum": float(sums[place])},
            remedy='add the states that are missing, "dead" among them',
        )
    policies = list(dict.fromkeys(table["policy"]))
    looks = _looks(list(dict.fromkeys(table["state"])))
    columns = min(len(policies), 3)
    rows = -(-len(policies) // columns)
    legend = 2.2
    each = (SLIDE[0] - legend - 1.4) / columns * 0.92
    # Long names of sequences stand in smaller letters.
    size = 13.0
    headings = [wrapped_sequence(str(policy), each, size, bold=True) for policy in policies]
    if max(text.count("\n") for text in headings) > 2:
        size = 11.0
        headings = [wrapped_sequence(str(p), each, size, bold=True) for p in policies]
    head = 0.3 + size * 1.28 / 72 * max(text.count("\n") for text in headings)
    area = (SLIDE[0], max(SLIDE[1], 1.6 + (3.4 + head) * rows))
    sheet = new_sheet(title, notes=[note], advice=True, size=area)
    panel = (sheet.top - sheet.bottom - 0.75 - head - (rows - 1) * (head + 0.8)) / rows
    grid = sheet.figure.add_gridspec(
        rows,
        columns,
        hspace=(head + 0.8) / panel,
        wspace=0.14,
        **sheet.box(1.15, legend + 0.25, above=head, below=0.75),
    )
    for k, policy in enumerate(policies):
        axes = sheet.figure.add_subplot(grid[k // columns, k % columns])
        part = table[table["policy"] == policy].pivot_table(
            index="month", columns="state", values="probability", sort=True
        )
        shown = [name for name in looks if name in part]
        below = np.zeros(len(part))
        months = part.index.to_numpy(dtype=np.float64)
        for name in shown:
            above = below + part[name].fillna(0.0).to_numpy()
            look = looks[name]
            axes.fill_between(
                months, below, above, facecolor=look.face, edgecolor="white", linewidth=0.5,
                hatch=look.hatch or None,
            )  # fmt: skip
            below = above
        end = float(months.max())
        axes.set(xlim=(0, end), ylim=(0, 1))
        axes.set_xticks([j * tick for j in range(int(end // tick) + 1)])
        axes.yaxis.set_major_formatter(lambda y, _: f"{100 * y:.0f} %")
        axes.tick_params(labelleft=k % columns == 0, labelsize=13)
        axes.set_xlabel("Months since the start of line 1", fontsize=13)
        axes.set_title(headings[k], fontsize=size)
        if k % columns == 0:
            axes.set_ylabel("Patients")
    handles = legend_patches(looks, table["state"])
    side_legend(sheet, handles[::-1], width=legend, top=sheet.top - head)
    return sheet.figure


def _looks(states: list[str]) -> dict[str, Look]:
    """Order the states: lines, others, after the last line, dead; lines from dark to light."""
    lines = sorted((s for s in states if s.startswith("line ")), key=natural)
    others = [s for s in states if s not in {*lines, AFTER, DEAD}]
    shades = mpl.colormaps["viridis"](np.linspace(0.12, 0.92, max(len(lines), 2)))
    looks = {name: Look(to_hex(shade)) for name, shade in zip(lines, shades, strict=False)}
    looks |= {name: Look(COLOURS[k % len(COLOURS)], "////") for k, name in enumerate(others)}
    if AFTER in states:
        looks[AFTER] = Look(ORANGE, "....")
    if DEAD in states:
        looks[DEAD] = Look("#BDBDBD")
    return looks
