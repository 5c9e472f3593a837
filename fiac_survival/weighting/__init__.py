"""Weights that make arms comparable, and the balance that they reach."""

from fiac_survival.weighting.balance import Balance, balance
from fiac_survival.weighting.estimands import Estimand
from fiac_survival.weighting.options import Normalise, Truncate
from fiac_survival.weighting.result import Method, Weights
from fiac_survival.weighting.weights import weights

__all__ = [
    "Balance",
    "Estimand",
    "Method",
    "Normalise",
    "Truncate",
    "Weights",
    "balance",
    "weights",
]
