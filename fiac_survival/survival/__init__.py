"""Estimators on outcomes and risk tables: right on ties, delayed entry, weights and clusters."""

from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.survival.aalen_additive import AdditiveModel, aalen_additive
from fiac_survival.survival.aalen_johansen import CumulativeIncidence, aalen_johansen
from fiac_survival.survival.compare_families import FamilyComparison, compare_families
from fiac_survival.survival.concordance import Concordance, concordance
from fiac_survival.survival.cox import CoxModel, cox
from fiac_survival.survival.cox_exact import ExactCoxModel
from fiac_survival.survival.cox_frailty import FrailtyModel, cox_frailty
from fiac_survival.survival.cox_ridge import RidgeCoxModel, cox_ridge
from fiac_survival.survival.curves import SurvivalCurve
from fiac_survival.survival.explained_variation import explained_variation
from fiac_survival.survival.fine_gray import FineGrayModel, fine_gray
from fiac_survival.survival.gray import GrayTest, gray
from fiac_survival.survival.imputation import Imputations, multiple_imputation
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.landmark import (
    ImmortalTime,
    Landmark,
    SplitOutcome,
    immortal_time,
    landmark,
    simon_makuch,
    split_at_changes,
)
from fiac_survival.survival.logrank import LogRank, logrank
from fiac_survival.survival.maxcombo import MaxCombo, maxcombo
from fiac_survival.survival.milestone import Milestone, milestone
from fiac_survival.survival.nelson_aalen import CumulativeHazard, nelson_aalen
from fiac_survival.survival.net_survival_test import NetSurvivalTest, net_survival_test
from fiac_survival.survival.one_sample import OneSampleLogRank, one_sample_logrank
from fiac_survival.survival.parametric import parametric
from fiac_survival.survival.parametric_model import ParametricModel
from fiac_survival.survival.pooling import PooledEstimates, pool
from fiac_survival.survival.population import Population, RateTable
from fiac_survival.survival.prediction_error import PredictionError, prediction_error
from fiac_survival.survival.proportional_hazards import ProportionalHazardsTest
from fiac_survival.survival.quantile_contrast import QuantileContrast, quantile_contrast
from fiac_survival.survival.relative_survival import (
    RelativeSurvival,
    expected_survival,
    relative_survival,
)
from fiac_survival.survival.residual_smooth import smooth_residuals
from fiac_survival.survival.rmst import RestrictedMean, rmst
from fiac_survival.survival.rmtl import RestrictedTimeLost, rmtl
from fiac_survival.survival.smooth_hazard import SmoothedHazard, smoothed_hazard
from fiac_survival.survival.time_varying import (
    Episodes,
    TimeVarying,
    split_at_times,
    time_varying,
)
from fiac_survival.survival.transition_curves import TransitionProbabilities
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_estimates import state_occupation, transition_probabilities
from fiac_survival.survival.transition_models import transition_cox
from fiac_survival.survival.transition_profiles import TransitionCox
from fiac_survival.survival.varying_effects import VaryingEffects, varying_effects

__all__ = [
    "AdditiveModel",
    "Concordance",
    "CoxModel",
    "CumulativeHazard",
    "CumulativeIncidence",
    "Episodes",
    "ExactCoxModel",
    "FamilyComparison",
    "FineGrayModel",
    "FrailtyModel",
    "GrayTest",
    "ImmortalTime",
    "Imputations",
    "Landmark",
    "LogRank",
    "MaxCombo",
    "Milestone",
    "NetSurvivalTest",
    "OneSampleLogRank",
    "Outcome",
    "ParametricModel",
    "PooledEstimates",
    "Population",
    "PredictionError",
    "ProportionalHazardsTest",
    "QuantileContrast",
    "RateTable",
    "RelativeSurvival",
    "RestrictedMean",
    "RestrictedTimeLost",
    "RidgeCoxModel",
    "RiskTable",
    "SmoothedHazard",
    "SplitOutcome",
    "SurvivalCurve",
    "TimeVarying",
    "TransitionCox",
    "TransitionData",
    "TransitionProbabilities",
    "VaryingEffects",
    "aalen_additive",
    "aalen_johansen",
    "compare_families",
    "concordance",
    "cox",
    "cox_frailty",
    "cox_ridge",
    "expected_survival",
    "explained_variation",
    "fine_gray",
    "gray",
    "immortal_time",
    "kaplan_meier",
    "landmark",
    "logrank",
    "maxcombo",
    "milestone",
    "multiple_imputation",
    "nelson_aalen",
    "net_survival_test",
    "one_sample_logrank",
    "parametric",
    "pool",
    "prediction_error",
    "quantile_contrast",
    "relative_survival",
    "rmst",
    "rmtl",
    "simon_makuch",
    "smooth_residuals",
    "smoothed_hazard",
    "split_at_changes",
    "split_at_times",
    "state_occupation",
    "time_varying",
    "transition_cox",
    "transition_probabilities",
    "varying_effects",
]
