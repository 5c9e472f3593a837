"""Two sources, one estimand."""

from fiac_survival.compare.agreement import Agreement, agreement
from fiac_survival.compare.curves import weighted_curves
from fiac_survival.compare.effect import Effect, effect
from fiac_survival.weighting import Balance, Weights, balance, weights

__all__ = [
    "Agreement",
    "Balance",
    "Effect",
    "Weights",
    "agreement",
    "balance",
    "effect",
    "weighted_curves",
    "weights",
]
