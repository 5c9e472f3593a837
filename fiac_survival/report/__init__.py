"""Figures, tables and pages. They draw and write; they compute nothing."""

from fiac_survival.report.adjusted_survival_figure import adjusted_survival_figure
from fiac_survival.report.alluvial_figure import alluvial_figure
from fiac_survival.report.attrition_figure import attrition_figure
from fiac_survival.report.balance_figures import love_plot, overlap_figure
from fiac_survival.report.budget_figure import budget_table, value_against_budget_figure
from fiac_survival.report.calibration_figure import calibration_figure
from fiac_survival.report.cost_growth_figure import cost_growth_figure
from fiac_survival.report.decision_figures import (
    gain_waterfall_figure,
    published_figure,
    sequence_values_figure,
    tornado_figure,
)
from fiac_survival.report.drawing import draw, draw_from_csv
from fiac_survival.report.explore import explore_page
from fiac_survival.report.extrapolation_figures import extrapolation_figure, hazard_figure
from fiac_survival.report.forest_figures import agreement_figure, forest_figure
from fiac_survival.report.gap_figures import (
    ascertainment_figure,
    decomposition_figure,
    ladder_figure,
)
from fiac_survival.report.linkage_figures import linkage_flow_figure, minimum_data_set_curve
from fiac_survival.report.paired_figures import bland_altman_figure, paired_survival_figure
from fiac_survival.report.pathway_tables import pathway_flows, simulated_lines
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

__all__ = [
    "adjusted_survival_figure",
    "agreement_figure",
    "alluvial_figure",
    "ascertainment_figure",
    "attrition_figure",
    "bland_altman_figure",
    "budget_table",
    "calibration_figure",
    "cost_growth_figure",
    "decomposition_figure",
    "draw",
    "draw_from_csv",
    "explore_page",
    "extrapolation_figure",
    "forest_figure",
    "gain_waterfall_figure",
    "hazard_figure",
    "house_style",
    "ladder_figure",
    "linkage_flow_figure",
    "love_plot",
    "mark_simulated",
    "minimum_data_set_curve",
    "overlap_figure",
    "paired_survival_figure",
    "pathway_flows",
    "policy_map_figure",
    "policy_tree_figure",
    "probability_best_figure",
    "published_curves_figure",
    "published_figure",
    "regret_figure",
    "residual_figure",
    "save_figure",
    "sequence_index_figure",
    "sequence_values_figure",
    "simulated_lines",
    "stacked_probability_figure",
    "state_occupation_figure",
    "survival_figure",
    "tornado_figure",
    "value_against_budget_figure",
]
