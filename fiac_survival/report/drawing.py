"""Drawing a figure from its table, by name: what a record needs to draw it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from fiac_survival.core.errors import DataError
from fiac_survival.core.released import read_table
from fiac_survival.report.adjusted_survival_figure import adjusted_survival_figure
from fiac_survival.report.alluvial_figure import alluvial_figure
from fiac_survival.report.attrition_figure import attrition_figure
from fiac_survival.report.balance_figures import love_plot, overlap_figure
from fiac_survival.report.budget_figure import value_against_budget_figure
from fiac_survival.report.calibration_figure import calibration_figure
from fiac_survival.report.cost_growth_figure import cost_growth_figure
from fiac_survival.report.decision_figures import (
    gain_waterfall_figure,
    published_figure,
    sequence_values_figure,
    tornado_figure,
)
from fiac_survival.report.extrapolation_figures import extrapolation_figure, hazard_figure
from fiac_survival.report.forest_figures import agreement_figure, forest_figure
from fiac_survival.report.gap_figures import (
    ascertainment_figure,
    decomposition_figure,
    ladder_figure,
)
from fiac_survival.report.linkage_figures import linkage_flow_figure, minimum_data_set_curve
from fiac_survival.report.paired_figures import bland_altman_figure, paired_survival_figure
from fiac_survival.report.policy_map_figure import policy_map_figure
from fiac_survival.report.policy_tree_figure import policy_tree_figure
from fiac_survival.report.published_curves_figure import published_curves_figure
from fiac_survival.report.residual_figure import residual_figure
from fiac_survival.report.sequence_index_figure import sequence_index_figure
from fiac_survival.report.stacked_figure import stacked_probability_figure
from fiac_survival.report.state_occupation_figure import state_occupation_figure
from fiac_survival.report.style import house_style, mark_simulated, save_figure
from fiac_survival.report.survival_figure import survival_figure
from fiac_survival.report.uncertainty_figures import probability_best_figure, regret_figure

DRAWINGS: Mapping[str, Callable[..., Figure]] = {
    "adjusted_survival": adjusted_survival_figure,
    "agreement": agreement_figure,
    "alluvial": alluvial_figure,
    "ascertainment": ascertainment_figure,
    "attrition": attrition_figure,
    "bland_altman": bland_altman_figure,
    "calibration": calibration_figure,
    "cost_growth": cost_growth_figure,
    "decomposition": decomposition_figure,
    "extrapolation": extrapolation_figure,
    "forest": forest_figure,
    "gain_waterfall": gain_waterfall_figure,
    "hazard": hazard_figure,
    "ladder": ladder_figure,
    "linkage_flow": linkage_flow_figure,
    "love_plot": love_plot,
    "minimum_data_set": minimum_data_set_curve,
    "overlap": overlap_figure,
    "paired_survival": paired_survival_figure,
    "policy_map": policy_map_figure,
    "policy_tree": policy_tree_figure,
    "probability_best": probability_best_figure,
    "published": published_figure,
    "published_curves": published_curves_figure,
    "regret": regret_figure,
    "residuals": residual_figure,
    "sequence_index": sequence_index_figure,
    "sequence_values": sequence_values_figure,
    "stacked_probability": stacked_probability_figure,
    "state_occupation": state_occupation_figure,
    "survival": survival_figure,
    "tornado": tornado_figure,
    "value_against_budget": value_against_budget_figure,
}


def draw(kind: str, table: pd.DataFrame, options: Mapping[str, Any], *, simulated: bool) -> Figure:
    """Draw a figure.

    Parameters
    ----------
    kind : str
        One of :data:`DRAWINGS`.
    table : DataFrame
        What to draw.
    options : mapping
        Options of the drawing function.
    simulated : bool
        Whether to mark it as simulated.

    Returns
    -------
    Figure
        To be saved within :func:`fiac_survival.report.style.house_style`.

    Raises
    ------
    DataError
        If the kind is unknown or the table lacks a column.
    """
    if kind not in DRAWINGS:
        raise DataError(
            "the kind of figure must be known",
            values={"kind": kind, "known": ", ".join(DRAWINGS)},
        )
    try:
        return mark_simulated(DRAWINGS[kind](table, **options), simulated=simulated)
    except KeyError as cause:
        raise DataError(
            "the table must have the columns that the figure draws",
            values={"kind": kind, "missing": cause.args[0]},
            remedy="run the study again",
        ) from cause


def draw_from_csv(
    kind: str, csv: Path, stem: Path, options: Mapping[str, Any], *, simulated: bool
) -> list[Path]:
    """Draw a figure from its table as released, and save it in three formats.

    Parameters
    ----------
    kind : str
        One of :data:`DRAWINGS`.
    csv : Path
        The table; its bytes determine those of the figure.
    stem : Path
        Where to save, without extension.
    options : mapping
        Options of the drawing function.
    simulated : bool
        Whether to mark it as simulated.

    Returns
    -------
    list of Path
        SVG, PDF and PNG.
    """
    table = read_table(csv)
    with house_style():
        return save_figure(draw(kind, table, options, simulated=simulated), stem)
