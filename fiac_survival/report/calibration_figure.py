"""Calibration: predicted against observed curves, outcome by outcome and line by line."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fiac_survival.report.checks import checked
from fiac_survival.report.sheet import new_sheet, thousands, wrapped
from fiac_survival.report.style import GREY, SLIDE, VERMILLION, house_style


@house_style()
def calibration_figure(
    table: pd.DataFrame,
    *,
    title: str,
    tick: float = 24.0,
    band_label: str = "95 % band",
    note: str = "",
) -> Figure:
    """Draw predicted against observed time to the next line and survival.

    Parameters
    ----------
    table : DataFrame
        outcome ("next line or death", "survival", ...), line, month, observed, lower, upper, predicted
        (probabilities of having had no event), at_risk (observed; missing where it may not be shown).
    title : str
        Title.
    tick : float, default 24
        Months between ticks; numbers at risk stand below them where the table has that month.
    band_label : str, default "95 % band"
        What the band is.
    note : str
        Line below.

    Returns
    -------
    Figure
        One row of panels an outcome (being free of it, unless it is survival), one column a line:
        observed step curve with its band, and the predicted curve.

    Raises
    ------
    DataError
        If a column is missing, a probability is not in [0, 1], or a band does not hold its curve.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"outcome": "survival", "line": 1, "month": [0, 12], "observed": [1.0, 0.8],
    ...                       "lower": [1.0, 0.7], "upper": [1.0, 0.9], "predicted": [1.0, 0.78],
    ...                       "at_risk": [50, 40]})
    >>> figure = fs.report.calibration_figure(table, title="Calibration", tick=12)
    >>> figure.axes[0].get_title(loc="left")
    'Line 1'
    """
    curves = ["observed", "lower", "upper", "predicted"]
    table = checked(
        table,
        ["outcome", "line", "month", *curves, "at_risk"],
        numbers=["line", "month", *curves],
        shares=curves,
        ascending=["lower", "observed", "upper"],
    )
    outcomes = list(dict.fromkeys(table["outcome"]))
    lines = sorted(table["line"].unique())
    size = (max(SLIDE[0], 1.4 + 2.3 * len(lines)), max(SLIDE[1], 1.9 + 2.9 * len(outcomes)))
    sheet = new_sheet(title, notes=[note], size=size)
    grid = sheet.figure.add_gridspec(
        len(outcomes),
        len(lines),
        hspace=0.42,
        wspace=0.1,
        **sheet.box(1.25, 0.25, above=0.85, below=1.0),
    )
    tallest = (sheet.top - sheet.bottom - 1.85) / (len(outcomes) + 0.42 * (len(outcomes) - 1))
    for i, outcome in enumerate(outcomes):
        for j, line in enumerate(lines):
            part = table[(table["outcome"] == outcome) & (table["line"] == line)]
            axes = sheet.figure.add_subplot(grid[i, j])
            if part.empty:
                axes.set_axis_off()
                continue
            _panel(axes, part.sort_values("month", kind="stable"), tick, -0.52 / tallest)
            axes.tick_params(labelleft=j == 0, labelsize=12)
            if i == 0:
                axes.set_title(f"Line {line:g}", fontsize=15)
            if j == 0:
                said = "Survival" if outcome == "survival" else f"Free of {outcome}"
                axes.set_ylabel(wrapped(said, tallest, 14), fontsize=14)
                axes.text(
                    -0.06, -0.52 / tallest, "At risk", transform=axes.transAxes, ha="right",
                    va="center", fontsize=11, color=GREY,
                )  # fmt: skip
    sheet.figure.supxlabel(
        "Months since the start of the line", fontsize=14, y=(sheet.bottom + 0.08) / sheet.height
    )
    sheet.figure.legend(
        handles=[
            Line2D([], [], color="black", linewidth=2, label="observed"),
            Patch(facecolor="black", alpha=0.16, label=band_label),
            Line2D([], [], color=VERMILLION, linestyle=(0, (5, 1.5)), label="predicted"),
        ],
        loc="upper left",
        bbox_to_anchor=(0.16 / sheet.width, (sheet.top + 0.1) / sheet.height),
        ncols=3,
    )
    return sheet.figure


def _panel(axes: Axes, part: pd.DataFrame, tick: float, below: float) -> None:
    month = part["month"].to_numpy()
    axes.fill_between(
        month, part["lower"], part["upper"], step="post", color="black", alpha=0.16, linewidth=0
    )
    axes.step(month, part["observed"], where="post", color="black", linewidth=2)
    axes.plot(month, part["predicted"], color=VERMILLION, linestyle=(0, (5, 1.5)), linewidth=2.2)
    end = float(month.max())
    ticks = [k * tick for k in range(int(end // tick) + 1)]
    axes.set(xlim=(0, end), ylim=(0, 1.02), xticks=ticks, yticks=[0, 0.25, 0.5, 0.75, 1])
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    at = part.set_index("month")["at_risk"]
    for t in ticks:
        if t in at.index and pd.notna(at.loc[t]):
            axes.text(
                t, below, thousands(float(at.loc[t])), transform=axes.get_xaxis_transform(),
                ha="left" if t == 0 else "center", va="center", fontsize=10.5,
            )  # fmt: skip
