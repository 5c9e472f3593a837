"""Two sources, one estimand."""

from fiac_survival.compare.agreement import Agreement, agreement
from fiac_survival.compare.curves import weighted_curves
from fiac_survival.compare.effect import Effect, effect
from fiac_survival.compare.matching_adjusted import MatchingAdjusted, maic
from fiac_survival.compare.published_curves import ReconstructedCurve, reconstruct_curve
from fiac_survival.weighting import Balance, Weights, balance, weights

__all__ = [
    "Agreement",
    "Balance",
    "Effect",
    "MatchingAdjusted",
    "ReconstructedCurve",
    "Weights",
    "agreement",
    "balance",
    "effect",
    "maic",
    "reconstruct_curve",
    "weighted_curves",
    "weights",
]
