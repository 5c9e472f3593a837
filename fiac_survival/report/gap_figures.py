"""What lies between two sources: shared events, rules of integration, steps between two answers."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fiac_survival.report.checks import checked
from fiac_survival.report.sheet import new_sheet, wrapped
from fiac_survival.report.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    LIGHT,
    ORANGE,
    PURPLE,
    SKY,
    SLIDE,
    VERMILLION,
    house_style,
    records,
)

CELLS = {"both": (0, 0), "only private": (0, 1), "only public": (1, 0), "neither": (1, 1)}
CLASSES = {
    "matched": (GREEN, ""),
    "shifted": (SKY, "//"),
    "missed": (ORANGE, "xx"),
    "extra": (PURPLE, ".."),
}
ENDS = (("last_activity", "o", BLUE), ("cutoff", "s", VERMILLION))


@house_style()
def ascertainment_figure(
    table: pd.DataFrame,
    *,
    title: str,
    private_label: str,
    public_label: str,
    note: str = "",
) -> Figure:
    """Draw which events two sources share: patients two by two, and events by class.

    Parameters
    ----------
    table : DataFrame
        panel, part, label, value, lower, upper. Part "patients" with the labels both, only private,
        only public, neither; part "events" with matched, shifted, missed, extra; part "measure" with
        shares and their limits, written below.
    title, private_label, public_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        One column for each value of `panel`.

    Raises
    ------
    DataError
        If a column is missing, or a label is unknown.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "Death", "part": ["patients"] * 4 + ["events"] * 4,
    ...     "label": ["both", "only private", "only public", "neither",
    ...               "matched", "shifted", "missed", "extra"],
    ...     "value": [30, 1, 4, 65, 28, 2, 1, 4], "lower": None, "upper": None})
    >>> figure = fs.report.ascertainment_figure(
    ...     table, title="T", private_label="forms", public_label="claims")
    >>> len(figure.axes)
    3
    """
    table = checked(table, ["panel", "part", "label", "value", "lower", "upper"], numbers=["value"])
    panels = list(dict.fromkeys(table["panel"]))
    sheet = new_sheet(title, notes=[note])
    grid = sheet.figure.add_gridspec(
        3,
        len(panels),
        height_ratios=(3.1, 0.75, 1.25),
        hspace=0.28,
        wspace=0.16,
        **sheet.box(1.35, 0.35, above=1.0, below=0.05),
    )
    width = (SLIDE[0] - 1.9) / len(panels) * 0.9
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        axes = sheet.figure.add_subplot(grid[0, k])
        _matrix(axes, part[part["part"] == "patients"], private_label, public_label, k == 0)
        axes.set_title(wrapped(str(panel), width, 16, bold=True), fontsize=16, pad=38)
        _classes(sheet.figure.add_subplot(grid[1, k]), part[part["part"] == "events"])
        _measures(sheet.figure.add_subplot(grid[2, k]), part[part["part"] == "measure"])
    return sheet.figure


def _matrix(axes: Axes, part: pd.DataFrame, private: str, public: str, first: bool) -> None:
    total = float(part["value"].sum())
    for r in records(part):
        row, column = CELLS[r.label]
        agree = row == column
        share = r.value / total if total else 0.0
        axes.add_patch(
            Rectangle(
                (column, 1 - row), 1, 1, facecolor=GREEN if agree else ORANGE,
                alpha=0.12 + 0.55 * share, edgecolor="none",
            )
        )  # fmt: skip
        axes.add_patch(
            Rectangle((column, 1 - row), 1, 1, fill=False, edgecolor=BLACK, linewidth=1.4)
        )
        axes.text(
            column + 0.5, 1.5 - row, f"{r.value:.0f}\n({100 * share:.1f} %)", ha="center",
            va="center", fontsize=16, linespacing=1.25, weight="bold",
        )  # fmt: skip
    axes.set(xlim=(0, 2), ylim=(0, 2))
    axes.set_xticks([0.5, 1.5], [f"{public}: yes", "no"])
    axes.set_yticks([1.5, 0.5], [f"{private}:\nyes", "no"] if first else ["", ""])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def _classes(axes: Axes, part: pd.DataFrame) -> None:
    total, left = max(float(part["value"].sum()), 1.0), 0.0
    for r in records(part):
        colour, hatch = CLASSES[r.label]
        share = r.value / total
        axes.barh(
            0, share, left=left, height=0.8, color=colour, hatch=hatch, edgecolor="white",
            linewidth=1.0, alpha=0.85,
        )  # fmt: skip
        if share > 0.07:
            axes.text(
                left + share / 2, 0, f"{r.value:.0f}", ha="center", va="center", fontsize=14,
                weight="bold",
                bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5},
            )  # fmt: skip
        left += share
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=CLASSES[r.label][0], hatch=CLASSES[r.label][1],
                  edgecolor="white", label=r.label)
        for r in records(part)
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=4, fontsize=12,
        handlelength=1.2, columnspacing=0.9, handletextpad=0.4, borderaxespad=0.1,
    )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(-0.45, 0.45))
    axes.set_axis_off()


def _measures(axes: Axes, part: pd.DataFrame) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.set_axis_off()
    for k, r in enumerate(records(part)):
        limits = "" if pd.isna(r.lower) else f" ({r.lower:.2f} to {r.upper:.2f})"
        axes.text(
            0.5, 0.86 - 0.34 * k, f"{r.label} {r.value:.2f}{limits}", ha="center", va="top",
            fontsize=14,
        )  # fmt: skip


@house_style()
def ladder_figure(
    table: pd.DataFrame, *, title: str, x_label: str, difference_label: str, note: str = ""
) -> Figure:
    """Draw the estimate under each rule of integration, and its difference from the reference.

    Parameters
    ----------
    table : DataFrame
        rule_label, censoring ("last_activity" or "cutoff"), n_event, estimate, lower, upper, difference,
        difference_lower, difference_upper.
    title, x_label, difference_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        Two panels; a row a rule, with a marker for each end of follow-up.

    Raises
    ------
    DataError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> table = pd.DataFrame({"rule_label": ["private", "public"], "censoring": "cutoff",
    ...     "n_event": [10, 12], "estimate": [20.0, 19.5], "lower": [19.0, 18.5], "upper": [21.0, 20.5],
    ...     "difference": [0.0, -0.5], "difference_lower": [0.0, -0.8], "difference_upper": [0.0, -0.2]})
    >>> figure = fs.report.ladder_figure(table, title="T", x_label="x", difference_label="d")
    >>> len(figure.axes)
    2
    """
    ends = ["difference", "difference_lower", "difference_upper"]
    columns = ["rule_label", "censoring", "n_event", "estimate", "lower", "upper", *ends]
    table = checked(table, columns, numbers=["estimate", "difference"])
    rules = list(dict.fromkeys(table["rule_label"]))
    sheet = new_sheet(title, notes=[note])
    grid = sheet.figure.add_gridspec(
        1, 2, wspace=0.08, **sheet.box(3.0, 0.95, above=0.35, below=1.35)
    )
    names = [("estimate", "lower", "upper"), ("difference", "difference_lower", "difference_upper")]
    for k, (value, low, high) in enumerate(names):
        axes = sheet.figure.add_subplot(grid[0, k])
        if k:
            axes.axvline(0, color=BLACK, linewidth=1)
        for end, marker, colour in ENDS:
            part = table[table["censoring"] == end]
            offset = -0.16 if end == ENDS[0][0] else 0.16
            y = [rules.index(rule) + offset for rule in part["rule_label"]]
            axes.hlines(y, part[low], part[high], color=colour, linewidth=2.6)
            axes.plot(
                part[value], y, marker, color=colour, markersize=10, markeredgecolor="white",
                label="followed to " + {"last_activity": "last activity", "cutoff": "data cut-off"}[end],
            )  # fmt: skip
            if k:
                for place, r in zip(y, records(part), strict=True):
                    axes.text(
                        1.02, place, f"{r.n_event:.0f}", transform=axes.get_yaxis_transform(),
                        va="center", fontsize=13, color=colour,
                    )  # fmt: skip
        axes.set(ylim=(len(rules) - 0.5, -0.5), xlabel=difference_label if k else x_label)
        axes.set_yticks(range(len(rules)), [""] * len(rules) if k else rules)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#E3E3E3", linewidth=0.8)
        if k:
            axes.set_title("events", loc="right", fontsize=13, weight="normal", x=1.09)
        else:
            axes.legend(loc="upper left", bbox_to_anchor=(0.0, -0.155), ncols=2, borderaxespad=0.0)
    return sheet.figure


@house_style()
def decomposition_figure(
    table: pd.DataFrame, *, title: str, y_label: str, digits: int = 2, note: str = ""
) -> Figure:
    """Draw the way from one source's estimate to the other's, a bar a step.

    Parameters
    ----------
    table : DataFrame
        panel, kind ("level" or "step"), label, value (a level, or a contribution), lower, upper
        (interval of the contribution), smallest, largest (over the orders of steps).
    title, y_label : str
        Texts.
    digits : int, default 2
        Decimals of the numbers written.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `panel`: levels at its ends, contributions between.

    Raises
    ------
    DataError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "Months", "kind": ["level", "step", "level"],
    ...     "label": ["forms", "ascertainment", "claims"], "value": [20.0, -0.5, 19.5],
    ...     "lower": [None, -0.8, None], "upper": [None, -0.2, None],
    ...     "smallest": [None, -0.6, None], "largest": [None, -0.4, None]})
    >>> figure = fs.report.decomposition_figure(table, title="T", y_label="months")
    >>> len(figure.axes)
    1
    """
    columns = ["panel", "kind", "label", "value", "lower", "upper", "smallest", "largest"]
    table = checked(table, columns, numbers=["value"])
    panels = list(dict.fromkeys(table["panel"]))
    sheet = new_sheet(title, notes=[note])
    grid = sheet.figure.add_gridspec(
        1, len(panels), wspace=0.2, **sheet.box(1.2, 0.25, above=0.45, below=1.25)
    )
    width = (SLIDE[0] - 1.6) / len(panels)
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel].reset_index(drop=True)
        axes = sheet.figure.add_subplot(grid[0, k])
        low, high = _waterfall(axes, part, digits)
        spread = max(high - low, 1e-9)
        axes.set_ylim(low - 0.18 * spread, high + 0.16 * spread)
        labels = [wrapped(str(text), 0.86 * width / len(part), 11.5) for text in part["label"]]
        axes.set_xticks(range(len(part)), labels, fontsize=11.5)
        axes.tick_params(axis="x", length=0)
        axes.set_title(wrapped(str(panel), 0.9 * width, 16, bold=True), fontsize=16)
        if k == 0:
            axes.set_ylabel(y_label)
    return sheet.figure


def _waterfall(axes: Axes, part: pd.DataFrame, digits: int) -> tuple[float, float]:
    """Draw levels and steps; give the lowest and the highest point drawn."""
    level, ends = 0.0, []
    for x, r in enumerate(records(part)):
        if r.kind == "level":
            level, previous = float(r.value), float(r.value)
            axes.plot([x - 0.4, x + 0.4], [level, level], color=BLACK, linewidth=5)
            text, top = f"{level:.{digits}f}", level
        else:
            previous, level = level, level + float(r.value)
            colour = BLUE if r.value >= 0 else VERMILLION
            axes.bar(
                x, abs(r.value), bottom=min(previous, level), width=0.62, color=colour, alpha=0.85
            )
            text, top = f"{r.value:+.{digits}f}".replace("-", "\u2212"), max(previous, level)
            if pd.notna(r.lower):
                low, high = previous + r.lower, previous + r.upper
                axes.plot([x, x], [low, high], color=BLACK, linewidth=1.6)
                ends += [low, high]
                top = max(top, high)
            if pd.notna(r.smallest):
                axes.plot(
                    [x + 0.2] * 2, [previous + r.smallest, previous + r.largest], color=GREY,
                    linewidth=4, solid_capstyle="butt",
                )  # fmt: skip
                ends += [previous + r.smallest, previous + r.largest]
        axes.text(
            x, top, text, ha="center", va="bottom", fontsize=13.5, weight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1.0},
        )  # fmt: skip
        if x + 1 < len(part):
            axes.plot([x + 0.31, x + 0.69], [level, level], color=GREY, linewidth=1)
        ends += [previous, level]
    axes.grid(axis="y", color=LIGHT, linewidth=0.8)
    return min(ends), max(ends)
