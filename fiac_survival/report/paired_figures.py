"""The same patients in two sources: their curves with the difference, and their measurements."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked
from fiac_survival.report.sheet import Sheet, new_sheet, shortened, wrapped
from fiac_survival.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    PURPLE,
    SLIDE,
    house_style,
    records,
)

PRIVATE, PUBLIC = (GREEN, "-"), (PURPLE, (0, (5, 1.5)))
_CURVES = ["private", "private_lower", "private_upper", "public", "public_lower", "public_upper"]
_AT_RISK = ["private_n_risk", "public_n_risk"]
_GAP = ["difference", "lower", "upper", "band_lower", "band_upper"]


@house_style()
def paired_survival_figure(
    table: pd.DataFrame,
    *,
    title: str,
    time_label: str,
    survival_label: str,
    tick: float,
    note: str = "",
) -> Figure:
    """Draw two curves of the same patients, and below them the difference with interval and band.

    Parameters
    ----------
    table : DataFrame
        panel, private_label, public_label, time, private, private_lower, private_upper, public,
        public_lower, public_upper, difference, lower, upper, band_lower, band_upper; optional margin,
        drawn as lines; optional private_n_risk and public_n_risk, written below (then rows exist at
        every multiple of `tick`). Step curves: rows at every time at which a curve jumps.
    title, time_label, survival_label : str
        Texts.
    tick : float
        Distance of the ticks.
    note : str
        Line below.

    Returns
    -------
    Figure
        One column for each value of `panel`.

    Raises
    ------
    DataError
        If a column is missing, a probability lies outside 0 to 1, or the numbers at risk lack a tick.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> a = fs.Outcome(time=[3, 5, 8, 10], event=[1, 1, 0, 0])
    >>> b = fs.Outcome(time=[3, 6, 8, 10], event=[1, 1, 0, 0])
    >>> table = fs.compare.paired_survival(a, b, times=[0, 2, 3, 4, 5, 6, 8]).table.assign(
    ...     panel="Survival", private_label="Forms", public_label="Claims")
    >>> figure = fs.report.paired_survival_figure(
    ...     table, title="T", time_label="Months", survival_label="S", tick=2)
    >>> len(figure.axes)
    3
    """
    table = checked(
        table,
        ["panel", "private_label", "public_label", "time", *_CURVES, *_GAP],
        numbers=["time", "private", "public", "difference"],
        shares=["private", "public"],
    )
    panels = list(dict.fromkeys(table["panel"]))
    counted = set(_AT_RISK) <= set(table.columns)
    sheet = new_sheet(title, notes=[note])
    grid = sheet.figure.add_gridspec(
        2,
        len(panels),
        height_ratios=(1.75, 1.0),
        hspace=0.16,
        wspace=0.10,
        **sheet.box(1.15, 0.3, above=0.45, below=0.75 + (0.85 if counted else 0.0)),
    )
    reach = float(table[["band_lower", "band_upper", "lower", "upper"]].abs().max().max())
    if "margin" in table.columns:
        reach = max(reach, float(table["margin"].max()))
    reach = max(1.12 * reach, 0.01)
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        above = sheet.figure.add_subplot(grid[0, k])
        below = sheet.figure.add_subplot(grid[1, k], sharex=above)
        _pair(above, part)
        _difference(below, part, reach)
        end = float(part["time"].max())
        above.set(xlim=(0, end), ylim=(0, 1.0))
        ticks = [j * tick for j in range(int(end // tick) + 1)]
        above.set_xticks(ticks)
        width = (SLIDE[0] - 1.6) / len(panels) * 0.92
        above.set_title(wrapped(str(panel), width, 16, bold=True), fontsize=16)
        above.tick_params(labelbottom=False, labelleft=k == 0)
        below.tick_params(labelleft=k == 0)
        below.set_xlabel(time_label)
        if k == 0:
            above.set_ylabel(survival_label)
            below.set_ylabel("difference")
        if counted:
            _at_risk(sheet, below, part, ticks, named=k == 0)
    return sheet.figure


def _at_risk(
    sheet: Sheet, below: Axes, part: pd.DataFrame, ticks: list[float], *, named: bool
) -> None:
    """Write the numbers at risk below the axis label, a line for each source in its colour."""
    rows = part.set_index("time")
    missing = [t for t in ticks if t not in rows.index]
    if missing:
        raise DataError(
            "numbers at risk need a row at every tick",
            values={"panel": part["panel"].iloc[0], "tick": missing[0]},
            remedy="ask paired_survival for these times too, or drop the columns of numbers at risk",
        )
    box = below.get_position()
    bottom = (sheet.bottom + 0.1) / sheet.height
    axes = sheet.figure.add_axes((box.x0, bottom, box.width, 0.78 / sheet.height), sharex=below)
    axes.set_axis_off()
    axes.set_ylim(3, 0)
    left, end = axes.get_yaxis_transform(), float(part["time"].max())
    if named:
        axes.text(-0.025, 0.5, "At risk", transform=left, ha="right", va="center", fontsize=12.5)
    for line, (name, (colour, _)) in enumerate((("private", PRIVATE), ("public", PUBLIC))):
        label = str(part[f"{name}_label"].iloc[0])
        if named:
            axes.text(
                -0.025, line + 1.5, shortened(label, 1.0, 12.5), transform=left, ha="right",
                va="center", fontsize=12.5, color=colour, weight="bold",
            )  # fmt: skip
        for t in ticks:
            n = int(rows[f"{name}_n_risk"].loc[t])
            edge = "left" if t == ticks[0] else "right" if t == end else "center"
            axes.text(t, line + 1.5, f"{n}", ha=edge, va="center", fontsize=12.5)


def _pair(axes: Axes, part: pd.DataFrame) -> None:
    for name, (colour, line) in (("private", PRIVATE), ("public", PUBLIC)):
        axes.plot(
            part["time"], part[name], drawstyle="steps-post", color=colour, linestyle=line,
            label=str(part[f"{name}_label"].iloc[0]),
        )  # fmt: skip
        axes.fill_between(
            part["time"], part[f"{name}_lower"], part[f"{name}_upper"], step="post", color=colour,
            alpha=0.15, linewidth=0,
        )  # fmt: skip
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    axes.legend(loc="lower left", borderaxespad=0.3, handlelength=2.6)


def _difference(axes: Axes, part: pd.DataFrame, reach: float) -> None:
    time = part["time"]
    axes.axhline(0, color=BLACK, linewidth=1)
    if "margin" in part.columns:
        margin = float(part["margin"].iloc[0])
        for side in (-margin, margin):
            axes.axhline(side, color=BLACK, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.fill_between(
        time, part["band_lower"], part["band_upper"], step="post", color=BLUE, alpha=0.16,
        linewidth=0,
    )  # fmt: skip
    axes.fill_between(
        time, part["lower"], part["upper"], step="post", color=BLUE, alpha=0.28, linewidth=0
    )
    axes.plot(time, part["difference"], drawstyle="steps-post", color=BLUE)
    axes.set_ylim(-reach, reach)


@house_style()
def bland_altman_figure(
    table: pd.DataFrame, *, title: str, x_label: str, y_label: str, note: str = ""
) -> Figure:
    """Draw the differences of two measurements against their means, with the limits of agreement.

    Parameters
    ----------
    table : DataFrame
        panel, kind ("patient" or "line"), label, mean (of patients), difference, lower, upper (the
        interval of a line). One dot a patient: where patients must not be seen, do not release it.
    title, x_label, y_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `panel`.

    Raises
    ------
    DataError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "Days", "kind": ["patient", "patient", "line"],
    ...     "label": ["", "", "bias"], "mean": [10.0, 30.0, None], "difference": [1.0, -3.0, -1.0],
    ...     "lower": [None, None, -4.0], "upper": [None, None, 2.0]})
    >>> figure = fs.report.bland_altman_figure(table, title="T", x_label="x", y_label="y")
    >>> len(figure.axes)
    1
    """
    columns = ["panel", "kind", "label", "mean", "difference", "lower", "upper"]
    table = checked(table, columns, numbers=["difference"])
    panels = list(dict.fromkeys(table["panel"]))
    sheet = new_sheet(title, notes=[note])
    grid = sheet.figure.add_gridspec(
        1, len(panels), wspace=0.55, **sheet.box(1.15, 1.9, above=0.45, below=0.8)
    )
    width = (SLIDE[0] - 3.0) / len(panels) * 0.8
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        axes = sheet.figure.add_subplot(grid[0, k])
        _dots(axes, part[part["kind"] == "patient"])
        _lines(axes, part[part["kind"] == "line"])
        axes.set_title(wrapped(str(panel), width, 16, bold=True), fontsize=16)
        axes.set_xlabel(x_label)
        if k == 0:
            axes.set_ylabel(y_label)
    return sheet.figure


def _dots(axes: Axes, part: pd.DataFrame) -> None:
    axes.plot(
        part["mean"], part["difference"], "o", color=BLUE, alpha=0.4, markersize=6,
        markeredgewidth=0,
    )  # fmt: skip
    axes.axhline(0, color=BLACK, linewidth=1)


def _lines(axes: Axes, part: pd.DataFrame) -> None:
    for r in records(part):
        bias = r.label == "bias"
        axes.axhspan(r.lower, r.upper, color=LIGHT, zorder=0, linewidth=0)
        axes.axhline(
            r.difference, color=PURPLE if bias else GREY, linewidth=2.2,
            linestyle="-" if bias else (0, (4, 3)),
        )  # fmt: skip
        text = f"{r.label}\n{r.difference:.0f}".replace("-", "\u2212")
        axes.text(
            1.015, r.difference, text, transform=axes.get_yaxis_transform(), va="center", fontsize=13,
            linespacing=1.15, color=PURPLE if bias else BLACK,
        )  # fmt: skip
