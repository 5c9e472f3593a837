"""Figures, tables and pages. They draw and write; they compute nothing."""

from fiac_survival.report.attrition_figure import attrition_figure
from fiac_survival.report.balance_figures import love_plot, overlap_figure
from fiac_survival.report.drawing import draw, draw_from_csv
from fiac_survival.report.forest_figures import agreement_figure, forest_figure
from fiac_survival.report.style import house_style, save_figure
from fiac_survival.report.survival_figure import survival_figure

__all__ = [
    "agreement_figure",
    "attrition_figure",
    "draw",
    "draw_from_csv",
    "forest_figure",
    "house_style",
    "love_plot",
    "overlap_figure",
    "save_figure",
    "survival_figure",
]
