"""Estimators on outcomes and risk tables: right on ties, delayed entry, weights and clusters."""

from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.survival.compare_families import FamilyComparison, compare_families
from fiac_survival.survival.cox import CoxModel, cox
from fiac_survival.survival.curves import SurvivalCurve
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.logrank import LogRank, logrank
from fiac_survival.survival.milestone import Milestone, milestone
from fiac_survival.survival.nelson_aalen import CumulativeHazard, nelson_aalen
from fiac_survival.survival.parametric import parametric
from fiac_survival.survival.parametric_model import ParametricModel
from fiac_survival.survival.proportional_hazards import ProportionalHazardsTest
from fiac_survival.survival.rmst import RestrictedMean, rmst
from fiac_survival.survival.smooth_hazard import SmoothedHazard, smoothed_hazard
from fiac_survival.survival.transition_curves import TransitionProbabilities
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_estimates import state_occupation, transition_probabilities
from fiac_survival.survival.transition_models import transition_cox
from fiac_survival.survival.transition_profiles import TransitionCox

__all__ = [
    "CoxModel",
    "CumulativeHazard",
    "FamilyComparison",
    "LogRank",
    "Milestone",
    "Outcome",
    "ParametricModel",
    "ProportionalHazardsTest",
    "RestrictedMean",
    "RiskTable",
    "SmoothedHazard",
    "SurvivalCurve",
    "TransitionCox",
    "TransitionData",
    "TransitionProbabilities",
    "compare_families",
    "cox",
    "kaplan_meier",
    "logrank",
    "milestone",
    "nelson_aalen",
    "parametric",
    "rmst",
    "smoothed_hazard",
    "state_occupation",
    "transition_cox",
    "transition_probabilities",
]
