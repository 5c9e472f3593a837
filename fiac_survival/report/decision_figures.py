"""What a decision gives and what moves it: values with intervals, a waterfall of gains, a tornado."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.report.checks import checked, require
from fiac_survival.report.sheet import new_sheet, text_width, wrapped_sequence
from fiac_survival.report.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    SLIDE,
    VERMILLION,
    house_style,
    records,
)

LETTERS, NAMES = 12.5, 5.6


def _names(labels: list[str], room: float = NAMES) -> tuple[list[str], float]:
    """Wrap names at their arrows; returns their width in inches too."""
    shown = [wrapped_sequence(label, room, LETTERS) for label in labels]
    widest = max(text_width(line, LETTERS) for label in shown for line in label.split("\n"))
    return shown, max(widest, 1.0)


@house_style()
def sequence_values_figure(
    table: pd.DataFrame, *, title: str, unit: str = "months", note: str = ""
) -> Figure:
    """Draw the value of sequences with its interval, and the true one where it is known.

    Parameters
    ----------
    table : DataFrame
        panel (one block of rows each), sequence, value, lower, upper; optional truth.
    title : str
        Title.
    unit : str, default "months"
        Unit of the values.
    note : str
        Line below.

    Returns
    -------
    Figure
        One row a sequence, in the order of the table.

    Raises
    ------
    DataError
        If a column is missing or an interval does not hold its value.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "all", "sequence": ["A → B", "B → A"], "value": [20.0, 18.0],
    ...                       "lower": [18.0, 15.0], "upper": [22.0, 21.0]})
    >>> figure = fs.report.sequence_values_figure(table, title="Values")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['all', '20.0 (18.0 to 22.0)', '18.0 (15.0 to 21.0)']
    """
    numbers = ["value", "lower", "upper"] + ["truth"] * ("truth" in table)
    table = checked(
        table,
        ["panel", "sequence", *numbers],
        numbers=numbers,
        ascending=["lower", "value", "upper"],
    )
    labels, width = _names([str(name) for name in table["sequence"]])
    panels = table["panel"].ne(table["panel"].shift())
    rows = len(table) + int(panels.sum())
    said = "Dot and bar: estimate and interval."
    if "truth" in table:
        said += " Diamond: true value."
    size = (SLIDE[0], max(SLIDE[1] * 0.6, 2.3 + 0.36 * rows))
    sheet = new_sheet(title, notes=[said, note], advice=True, size=size)
    box = sheet.box(width + 0.35, 2.3, above=0.1, below=0.75)
    axes = sheet.figure.add_subplot(sheet.figure.add_gridspec(1, 1, **box)[0, 0])
    places, y = [], -1
    for r, new in zip(records(table), panels, strict=True):
        y += 1
        if new:
            axes.text(
                0.0, y, str(r.panel), transform=axes.get_yaxis_transform(), va="center",
                fontsize=LETTERS, weight="bold",
            )  # fmt: skip
            y += 1
        places.append(y)
        axes.plot([r.lower, r.upper], [y, y], color=BLUE, linewidth=2.6)
        axes.plot([r.value], [y], "o", color=BLUE, markersize=9)
        if "truth" in table:
            axes.plot([r.truth], [y], "D", color=VERMILLION, markersize=8, markeredgecolor="white")
        text = f"{r.value:.1f} ({r.lower:.1f} to {r.upper:.1f})"
        axes.text(
            1.02, y, text, transform=axes.get_yaxis_transform(), va="center", fontsize=LETTERS
        )
    axes.set_ylim(y + 0.6, -0.7)
    axes.set_yticks(places, labels, fontsize=LETTERS)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#E3E3E3")
    axes.set_xlabel(unit.capitalize())
    return sheet.figure


@house_style()
def gain_waterfall_figure(
    table: pd.DataFrame, *, title: str, unit: str = "months", note: str = ""
) -> Figure:
    """Draw how a value grows from step to step, and what is left to the best.

    Parameters
    ----------
    table : DataFrame
        label, value: one row a step, in order; the first is the base, the last the best possible.
    title : str
        Title.
    unit : str, default "months"
        Unit of the values.
    note : str
        Line below.

    Returns
    -------
    Figure
        Columns: the base, the gains (or losses), the best.

    Raises
    ------
    DataError
        If a column is missing or there are fewer than two rows.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"label": ["Care", "Policy", "Best"], "value": [50.0, 53.0, 54.0]})
    >>> figure = fs.report.gain_waterfall_figure(table, title="Gain")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['50.0', '+3.0', '+1.0', '54.0']
    """
    table = checked(table, ["label", "value"], numbers=["value"])
    require(table, table["label"].notna() & (len(table) > 1), "there must be two steps", "label")
    values, labels = table["value"].tolist(), [str(x) for x in table["label"]]
    sheet = new_sheet(title, notes=[note], advice=True, size=SLIDE)
    box = sheet.box(1.15, 0.3, above=0.2, below=1.25)
    axes = sheet.figure.add_subplot(sheet.figure.add_gridspec(1, 1, **box)[0, 0])
    low = min(values) - 0.6 * (max(values) - min(values) or 1.0)
    reach = max(values) - low
    axes.bar(0, values[0] - low, bottom=low, color="#9A9A9A", width=0.62)
    axes.text(0, values[0] + 0.015 * reach, f"{values[0]:.1f}", ha="center", fontsize=16)
    for k in range(1, len(values)):
        step = values[k] - values[k - 1]
        colour = BLUE if step >= 0 else ORANGE
        if k == len(values) - 1:
            colour = GREEN
        axes.bar(k, step, bottom=values[k - 1], color=colour, width=0.62)
        axes.plot([k - 0.69, k + 0.31], [values[k - 1]] * 2, color=GREY, linewidth=1.0)
        top = max(values[k], values[k - 1])
        axes.text(
            k, top + 0.015 * reach, f"{step:+.1f}".replace("-", "\u2212"), ha="center", fontsize=16
        )
    last = len(values)
    axes.bar(last, values[-1] - low, bottom=low, color=GREEN, width=0.62)
    axes.text(last, values[-1] + 0.015 * reach, f"{values[-1]:.1f}", ha="center", fontsize=16)
    axes.set_ylim(low, max(values) + 0.1 * reach)
    names = [wrapped_label(text) for text in [*labels[:-1], f"Left to: {labels[-1]}", labels[-1]]]
    axes.set_xticks(range(last + 1), names, fontsize=13.5)
    axes.set_ylabel(unit.capitalize())
    axes.grid(axis="y", color="#E3E3E3")
    return sheet.figure


def wrapped_label(text: str, most: int = 16) -> str:
    """Break a label into lines of some letters.

    Parameters
    ----------
    text : str
        The label.
    most : int, default 16
        Letters a line.

    Returns
    -------
    str
        With line breaks.
    """
    lines: list[str] = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > most:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


@house_style()
def tornado_figure(
    table: pd.DataFrame,
    *,
    title: str,
    value_label: str,
    loss_label: str = "",
    note: str = "",
) -> Figure:
    """Draw what one changed choice at a time does to a result.

    Parameters
    ----------
    table : DataFrame
        factor, choice, change (of the result, against the main analysis); optional loss.
    title : str
        Title.
    value_label : str
        What changes, with its unit.
    loss_label : str
        What `loss` is; it has a panel of its own.
    note : str
        Line below.

    Returns
    -------
    Figure
        One bar a choice, the largest above.

    Raises
    ------
    DataError
        If a column is missing or not finite.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"factor": "line rule", "choice": ["60 days", "90 days"],
    ...                       "change": [-0.4, 0.1]})
    >>> figure = fs.report.tornado_figure(table, title="T", value_label="months")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['line rule: 60 days', 'line rule: 90 days']
    """
    panels = [("change", value_label)] + ([("loss", loss_label)] if "loss" in table else [])
    columns = [name for name, _ in panels]
    table = checked(table, ["factor", "choice", *columns], numbers=columns)
    size_of = table[columns].abs().max(axis=1)
    table = table.loc[size_of.sort_values(ascending=False, kind="stable").index]
    labels = [f"{r.factor}: {r.choice}" for r in records(table)]
    width = max(text_width(label, LETTERS) for label in labels)
    size = (SLIDE[0], max(SLIDE[1] * 0.6, 2.3 + 0.5 * len(table)))
    sheet = new_sheet(title, notes=[note], advice=True, size=size)
    box = sheet.box(width + 0.35, 0.45, above=0.1, below=0.8)
    grid = sheet.figure.add_gridspec(1, len(panels), wspace=0.12, **box)
    for k, (name, label) in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[0, k])
        values = table[name].to_numpy()
        colours = [VERMILLION if name == "loss" else BLUE if v >= 0 else ORANGE for v in values]
        axes.barh(range(len(values)), values, color=colours, height=0.62)
        span = max(float(abs(values).max()), 1e-9)
        for y, value in enumerate(values):
            side = 1 if value >= 0 else -1
            text = (
                f"{value:+.2f}" if name == "change" and abs(value) >= 0.005 else f"{abs(value):.2f}"
            )
            axes.text(
                value + side * 0.03 * span, y, text.replace("-", "\u2212"), va="center",
                ha="left" if side > 0 else "right", fontsize=LETTERS,
            )  # fmt: skip
        low = min(0.0, float(values.min())) - (0.5 * span if values.min() < 0 else 0.0)
        axes.set_xlim(low, max(0.0, float(values.max())) + 0.35 * span)
        axes.axvline(0.0, color="black", linewidth=1.2)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_yticks(range(len(values)), labels if k == 0 else [], fontsize=LETTERS)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(label)
    return sheet.figure


@house_style()
def published_figure(table: pd.DataFrame, *, title: str, note: str = "") -> Figure:
    """Draw figures of a simulation or a cohort beside the published ones.

    Parameters
    ----------
    table : DataFrame
        panel, figure, published, simulated.
    title : str
        Title.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel a kind of figure, each with a scale of its own.

    Raises
    ------
    DataError
        If a column is missing or not finite.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "months", "figure": ["survival"], "published": [61.0],
    ...                       "simulated": [60.5]})
    >>> figure = fs.report.published_figure(table, title="T")
    >>> [text.get_text() for text in figure.axes[0].get_yticklabels()]
    ['survival']
    """
    numbers = ["published", "simulated"]
    table = checked(table, ["panel", "figure", *numbers], numbers=numbers)
    panels = list(dict.fromkeys(table["panel"]))
    sizes = [int((table["panel"] == panel).sum()) for panel in panels]
    width = max(text_width(str(name), LETTERS) for name in table["figure"])
    size = (SLIDE[0], max(SLIDE[1] * 0.7, 2.2 + 0.34 * len(table) + 0.75 * len(panels)))
    sheet = new_sheet(title, notes=["Circle: published. Cross: here.", note], size=size)
    box = sheet.box(width + 0.35, 0.35, above=0.45, below=0.55)
    grid = sheet.figure.add_gridspec(
        len(panels), 1, height_ratios=sizes, hspace=3.2 / len(table) * len(panels), **box
    )
    for k, panel in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[k, 0])
        rows = records(table[table["panel"] == panel])
        for y, r in enumerate(rows):
            axes.plot([r.published, r.simulated], [y, y], color=GREY, linewidth=1.2)
            axes.plot(
                [r.published], [y], "o", color=BLUE, markersize=12, markerfacecolor="white",
                markeredgewidth=2.4,
            )  # fmt: skip
            axes.plot([r.simulated], [y], "x", color=VERMILLION, markersize=9, markeredgewidth=2.6)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.set_yticks(range(len(rows)), [str(r.figure) for r in rows], fontsize=LETTERS)
        axes.tick_params(axis="y", length=0)
        axes.set_title(str(panel), fontsize=15)
        axes.grid(color="#EDEDED")
    return sheet.figure
