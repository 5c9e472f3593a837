"""Parametric models beside the data: survival beyond the follow-up, and hazards."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fiac_survival.report.checks import checked
from fiac_survival.report.regimens import COLOURS
from fiac_survival.report.sheet import new_sheet
from fiac_survival.report.style import GREY, house_style

LINES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
OBSERVED, KERNEL = "Kaplan-Meier", "kernel"
FAINT = "#F3F3F3"


@house_style()
def extrapolation_figure(
    table: pd.DataFrame, *, title: str, time_label: str, survival_label: str, note: str = ""
) -> Figure:
    """Draw survival curves of several models beyond the end of the data.

    Parameters
    ----------
    table : DataFrame
        family, time, survival, lower, upper, data_end, as
        ``fs.survival.compare_families(...).extrapolation(tau)`` gives them. The family
        "Kaplan-Meier" is drawn as a step with its band; those of models as lines, the highest at the
        end first in the legend.
    title, time_label, survival_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel; the time beyond the data is shaded.

    Raises
    ------
    DataError
        If a column is missing or a probability lies outside 0 to 1.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> found = fs.survival.compare_families(y, families=["exponential", "weibull"])
    >>> figure = fs.report.extrapolation_figure(
    ...     found.extrapolation(20), title="T", time_label="Months", survival_label="S"
    ... )
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['Kaplan-Meier', 'exponential', 'weibull']
    """
    table = checked(
        table,
        ["family", "time", "survival", "lower", "upper", "data_end"],
        numbers=["time", "survival", "data_end"],
        shares=["survival"],
    )
    sheet = new_sheet(title, notes=[note])
    axes = sheet.figure.add_subplot(
        sheet.figure.add_gridspec(1, 1, **sheet.box(1.05, 3.6, above=0.25, below=0.8))[0, 0]
    )
    end = float(table["time"].max())
    data_end = float(table["data_end"].max())
    if data_end < end:
        axes.axvspan(data_end, end, color=FAINT, zorder=0)
        axes.axvline(data_end, color=GREY, linewidth=1.0)
        axes.text(
            data_end, 1.01, " beyond the data", fontsize=12.5, color=GREY, ha="left", va="bottom"
        )
    observed = table[table["family"] == OBSERVED]
    if len(observed):
        axes.step(
            observed["time"], observed["survival"], where="post", color="black", label=OBSERVED
        )
        band = observed.dropna(subset=["lower", "upper"])
        axes.fill_between(
            band["time"], band["lower"], band["upper"], step="post", color="black", alpha=0.12,
            linewidth=0,
        )  # fmt: skip
    models = table[table["family"] != OBSERVED]
    last = models.sort_values("time", kind="stable").groupby("family", sort=False)["survival"]
    highest = last.last().sort_values(ascending=False, kind="stable").index
    _model_lines(axes, models, "survival", list(dict.fromkeys(models["family"])), list(highest))
    axes.set(xlim=(0, end), ylim=(0, 1), xlabel=time_label, ylabel=survival_label)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    return sheet.figure


@house_style()
def hazard_figure(
    table: pd.DataFrame, *, title: str, time_label: str, hazard_label: str, note: str = ""
) -> Figure:
    """Draw fitted hazards beside a smoothed one.

    Parameters
    ----------
    table : DataFrame
        source, time, hazard, lower, upper, as ``compare_hazard`` of a parametric model or ``hazards``
        of a comparison of families give them. The source "kernel" is drawn in black with its band.
    title, time_label, hazard_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel.

    Raises
    ------
    DataError
        If a column is missing or a time is not a number.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> table = fs.survival.parametric(y, family="weibull").compare_hazard()
    >>> figure = fs.report.hazard_figure(
    ...     table, title="T", time_label="Months", hazard_label="Hazard"
    ... )
    >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    ['kernel', 'weibull']
    """
    table = checked(table, ["source", "time", "hazard", "lower", "upper"], numbers=["time"]).dropna(
        subset=["hazard"]
    )
    sheet = new_sheet(title, notes=[note])
    axes = sheet.figure.add_subplot(
        sheet.figure.add_gridspec(1, 1, **sheet.box(1.25, 3.6, above=0.2, below=0.8))[0, 0]
    )
    kernel = table[table["source"] == KERNEL]
    if len(kernel):
        axes.plot(kernel["time"], kernel["hazard"], color="black", label=KERNEL)
        band = kernel.dropna(subset=["lower", "upper"])
        axes.fill_between(
            band["time"], band["lower"], band["upper"], color="black", alpha=0.12, linewidth=0
        )
    models = table[table["source"] != KERNEL].rename(columns={"source": "family"})
    names = list(dict.fromkeys(models["family"]))
    _model_lines(axes, models, "hazard", names, names)
    # A kernel estimate runs away where few are at risk: the models set the scale.
    top = 2.2 * float((models if len(models) else table)["hazard"].max())
    axes.set(xlim=(0, float(table["time"].max())), ylim=(0, top))
    axes.set(xlabel=time_label, ylabel=hazard_label)
    axes.grid(axis="y", color="#E3E3E3", linewidth=0.8)
    return sheet.figure


def _model_lines(
    axes: Axes, table: pd.DataFrame, column: str, names: list[str], legend: list[str]
) -> None:
    """One line a model: colours and dashes by `names`, legend in the order of `legend`."""
    for name in legend:
        k = names.index(name)
        part = table[table["family"] == name]
        axes.plot(
            part["time"],
            part[column],
            color=COLOURS[k % (len(COLOURS) - 1)],  # yellow is too faint for a line
            linestyle=LINES[k % len(LINES)],
            label=name.replace("_", " "),
        )
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), handlelength=3.0, borderaxespad=0.0)
