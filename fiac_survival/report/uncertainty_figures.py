"""Uncertainty of a choice: how probably each sequence is best, and what choosing it may lose."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require
from fiac_survival.report.sheet import Sheet, new_sheet, text_width, wrapped_sequence
from fiac_survival.report.style import BLUE, LIGHT, SLIDE, VERMILLION, house_style, records

NAMES, LETTERS = 5.0, 12.0


def _sheet(title: str, note: list[str], sequences: list[str]) -> tuple[Sheet, list[str], float]:
    """Make a sheet that is high enough for the names of all sequences; returns their width too."""
    labels = [wrapped_sequence(name, NAMES, LETTERS) for name in sequences]
    deepest = max(label.count("\n") + 1 for label in labels)
    height = max(SLIDE[1], 2.4 + len(labels) * (0.22 * deepest + 0.16))
    widest = max(text_width(line, LETTERS) for label in labels for line in label.split("\n"))
    sheet = new_sheet(title, notes=note, advice=True, size=(SLIDE[0], height))
    return sheet, labels, max(widest, 1.0)


def _first(table: pd.DataFrame, most: int) -> pd.DataFrame:
    if most < 1:
        raise DataError("most_sequences must be at least 1", values={"most_sequences": most})
    require(table, ~table["sequence"].duplicated(), "each sequence must have one row", "sequence")
    return table.head(most)


def _percent(share: float) -> str:
    """Write a share in per cent, small ones with a decimal."""
    return f"{100 * share:.0f}" if share == 0 or share >= 0.095 else f"{100 * share:.1f}"


@house_style()
def probability_best_figure(
    table: pd.DataFrame, *, title: str, most_sequences: int = 12, note: str = ""
) -> Figure:
    """Draw the probability that each sequence is the best one.

    Parameters
    ----------
    table : DataFrame
        sequence, probability, lower, upper.
    title : str
        Title.
    most_sequences : int, default 12
        How many to show, the most probable first; the figure says how much the others have together.
    note : str
        Line below.

    Returns
    -------
    Figure
        One bar a sequence.

    Raises
    ------
    DataError
        If a column is missing, a probability is not in [0, 1], or an interval does not hold its estimate.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"sequence": ["A → B", "B → A"], "probability": [0.7, 0.3],
    ...                       "lower": [0.6, 0.2], "upper": [0.8, 0.4]})
    >>> figure = fs.report.probability_best_figure(table, title="Which is best?")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['70 % (60 to 80)', '30 % (20 to 40)']
    """
    columns = ["probability", "lower", "upper"]
    table = checked(
        table,
        ["sequence", *columns],
        numbers=columns,
        shares=columns,
        ascending=["lower", "probability", "upper"],
    )
    total = float(table["probability"].sum())
    if total > 1.0 + 1e-6:
        raise DataError(
            "probabilities of being best must not add to more than 1", values={"sum": total}
        )
    table = table.sort_values("probability", ascending=False, kind="stable")
    shown = _first(table, most_sequences)
    said = ""
    if len(shown) < len(table):
        rest = table["probability"].iloc[len(shown) :].sum()
        said = (
            f"{len(shown)} of {len(table)} sequences shown; the others are best with a probability of "
            f"{100 * rest:.1f} % together."
        )
    sheet, labels, names = _sheet(title, [said, note], [str(name) for name in shown["sequence"]])
    box = sheet.box(names + 0.35, 1.9, above=0.15, below=0.75)
    axes = sheet.figure.add_subplot(sheet.figure.add_gridspec(1, 1, **box)[0, 0])
    for y, r in enumerate(records(shown)):
        axes.barh(y, r.probability, height=0.62, color=BLUE if y == 0 else "#7FB2D6")
        axes.plot([r.lower, r.upper], [y, y], color="black", linewidth=1.6, zorder=3)
        for end in (r.lower, r.upper):
            axes.plot([end, end], [y - 0.14, y + 0.14], color="black", linewidth=1.6, zorder=3)
        axes.text(
            1.02,
            y,
            f"{_percent(r.probability)} % ({_percent(r.lower)} to {_percent(r.upper)})",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=12.5,
        )
    limit = min(1.0, 1.08 * float(shown["upper"].max()))
    axes.set(xlim=(0, limit), ylim=(len(shown) - 0.4, -0.6))
    axes.set_xlabel("Probability of being the best sequence")
    axes.xaxis.set_major_formatter(lambda x, _: f"{100 * x:.0f} %")
    axes.grid(axis="x", color="#E3E3E3")
    axes.set_yticks(range(len(shown)), labels, fontsize=LETTERS)
    axes.tick_params(axis="y", length=0)
    return sheet.figure


@house_style()
def regret_figure(
    table: pd.DataFrame,
    *,
    title: str,
    unit: str = "months",
    most_sequences: int = 12,
    note: str = "",
) -> Figure:
    """Draw what each sequence loses against the best one, over draws of the parameters.

    Parameters
    ----------
    table : DataFrame
        sequence, mean, q05, q25, median, q75, q95.
    title : str
        Title.
    unit : str, default "months"
        Unit of regret.
    most_sequences : int, default 12
        How many to show, the smallest mean regret first.
    note : str
        Line below.

    Returns
    -------
    Figure
        For each sequence the mean, the median, and the central 50 and 90 % of draws.

    Raises
    ------
    DataError
        If a column is missing, quantiles do not ascend, or a regret is negative.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"sequence": ["A → B"], "mean": [1.2], "q05": [0.0], "q25": [0.4],
    ...                       "median": [1.0], "q75": [1.7], "q95": [3.1]})
    >>> figure = fs.report.regret_figure(table, title="Regret")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1.20 (0.00 to 3.10)']
    """
    quantiles = ["q05", "q25", "median", "q75", "q95"]
    columns = ["mean", *quantiles]
    table = checked(table, ["sequence", *columns], numbers=columns, ascending=quantiles)
    require(table, table["q05"] >= -1e-9, "regret must not be negative", "q05")
    shown = _first(table.sort_values("mean", kind="stable"), most_sequences)
    said = (
        "Thick: central 50 % of draws. Thin: central 90 %. Line: median. Diamond and number: mean."
    )
    if len(shown) < len(table):
        said += f" {len(shown)} of {len(table)} sequences shown, smallest mean first."
    sheet, labels, names = _sheet(title, [said, note], [str(name) for name in shown["sequence"]])
    box = sheet.box(names + 0.35, 2.2, above=0.15, below=0.75)
    axes = sheet.figure.add_subplot(sheet.figure.add_gridspec(1, 1, **box)[0, 0])
    for y, r in enumerate(records(shown)):
        if y % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color="#F6F6F6", linewidth=0, zorder=0)
        axes.plot([r.q05, r.q95], [y, y], color=BLUE, linewidth=2.0, solid_capstyle="butt")
        axes.barh(y, r.q75 - r.q25, left=r.q25, height=0.42, color="#7FB2D6", zorder=3)
        axes.plot([r.median] * 2, [y - 0.27, y + 0.27], color="black", linewidth=2.2, zorder=4)
        axes.plot(
            [r.mean], [y], "D", color=VERMILLION, markersize=8, markeredgecolor="white", zorder=5
        )
        axes.text(
            1.02,
            y,
            f"{r.mean:.2f} ({r.q05:.2f} to {r.q95:.2f})",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=12.5,
        )
    high = max(float(shown["q95"].max()), float(shown["mean"].max()))
    axes.set(xlim=(-0.01 * high, 1.05 * high or 1.0), ylim=(len(shown) - 0.5, -0.5))
    axes.set_xlabel(f"Regret against the best sequence of each draw, {unit}")
    axes.grid(axis="x", color=LIGHT)
    axes.set_yticks(range(len(shown)), labels, fontsize=LETTERS)
    axes.tick_params(axis="y", length=0)
    return sheet.figure
