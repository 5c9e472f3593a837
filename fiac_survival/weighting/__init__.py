"""Weights that make arms comparable, and the balance that they reach."""

from fiac_survival.weighting.balance import Balance, balance
from fiac_survival.weighting.estimands import Estimand
from fiac_survival.weighting.weights import Method, Normalise, Truncate, Weights, weights

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
