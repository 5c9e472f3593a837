r"""Covariate-adjusted restricted means by regression with censoring weights (Tian, Zhao, Wei 2014).

With :math:`Y_i=\min(T_i,\tau)`, :math:`d_i=1` if :math:`Y_i` is an event or τ itself, and G the
Kaplan-Meier curve of censoring within the arm, the weights :math:`\omega_i=d_i/G(Y_i)` make complete
observations stand for the censored ones. With :math:`x_i=(1, arm_i, z_i)`, β solves
:math:`\sum_i \omega_i x_i (Y_i-g(x_i'\beta))=0`, with g the identity (difference of means), exp (ratio
of means), or exp on :math:`\tau-Y_i` (ratio of time lost). The sandwich adds to each row's score what
estimating G contributes. G takes censorings at :math:`Y_i` itself into account and is kept above
0.001, as R's ``survRM2`` does, which this follows.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.intervals import normal_quantile, two_sided_p
from fiac_survival.core.outcome import Outcome

Floats = NDArray[np.float64]
Model = Literal["difference", "ratio", "ratio of time lost"]
MODELS: tuple[Model, ...] = ("difference", "ratio", "ratio of time lost")


def rmst_regression(
    y: Outcome, group: Any, covariates: Any, *, tau: float, level: float
) -> tuple[pd.DataFrame, int, float]:
    """Fit the three regressions.

    Parameters
    ----------
    y : Outcome
        Rows, without delayed entry.
    group : array-like, shape (n,)
        Two labels; the first in order is the reference.
    covariates : DataFrame or 2-D array, shape (n, p)
        Baseline covariates.
    tau : float
        Horizon.
    level : float
        Confidence level.

    Returns
    -------
    table : DataFrame
        contrast, term, group, reference, estimate, std_error, scale, lower, upper, p_value; one row
        per regression and coefficient.
    n_iter : int
        Largest number of iterations.
    gradient_norm : float
        Largest absolute mean score at the solutions.

    Raises
    ------
    DataError
        If there are not two groups, or entries are delayed.
    ConvergenceError
        If a regression does not converge.
    """
    if y.entry is not None:
        raise DataError(
            "the covariate-adjusted restricted mean takes no delayed entry",
            values={"late entries": int(np.count_nonzero(y.entry))},
            remedy="compare restricted means without covariates, or with weights",
        )
    n = len(y)
    codes, groups = columns.labels(group, "group", n=n) if group is not None else ([], [])
    if len(groups) != 2:
        raise DataError(
            "the covariate-adjusted restricted mean compares two groups",
            values={"groups": len(groups)},
            remedy="pass group= with two labels",
        )
    z, names = columns.matrix(covariates, "covariates", n=n)
    arm = np.asarray(codes, dtype=np.float64)
    x = np.column_stack([np.ones(n), arm, z])
    terms = ["(intercept)", f"group[{groups[1]}]", *names]
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise DataError(
            "covariates must not be collinear",
            values={"columns": terms},
            remedy="drop a column that the others determine",
        )
    restricted = np.minimum(y.time, tau)
    complete = ((y.event > 0) | (restricted >= tau)).astype(np.float64)
    weight = np.zeros(n)
    for a in (0, 1):
        rows = arm == a
        weight[rows] = complete[rows] / _censoring_curve(restricted[rows], complete[rows])
    quantile = normal_quantile(level)
    out, iterations, gradients = [], [0], [0.0]
    for model in MODELS:
        beta, covariance, n_iter, gradient = _fit(model, x, restricted, complete, weight, arm, tau)
        iterations.append(n_iter)
        gradients.append(gradient)
        for j, term in enumerate(terms):
            se = float(np.sqrt(covariance[j, j]))
            low, high = beta[j] - quantile * se, beta[j] + quantile * se
            log = model != "difference"
            out.append(
                {
                    "contrast": model,
                    "term": term,
                    "group": groups[1],
                    "reference": groups[0],
                    "estimate": np.exp(beta[j]) if log else beta[j],
                    "std_error": se,
                    "scale": "log" if log else "identity",
                    "lower": np.exp(low) if log else low,
                    "upper": np.exp(high) if log else high,
                    "p_value": two_sided_p(beta[j] / se),
                }
            )
    return pd.DataFrame(out), max(iterations), max(gradients)


def _censoring_curve(time: Floats, complete: Floats) -> Floats:
    """Kaplan-Meier curve of censoring, read at each row's own time, at least 0.001."""
    place = np.unique(time, return_inverse=True)[1]
    at_risk = np.cumsum(np.bincount(place)[::-1])[::-1]
    censored = np.bincount(place, weights=1.0 - complete)
    curve = np.cumprod(1.0 - censored / at_risk)
    return np.asarray(np.maximum(curve, 0.001)[place])


def _fit(
    model: Model,
    x: Floats,
    restricted: Floats,
    complete: Floats,
    weight: Floats,
    arm: Floats,
    tau: float,
) -> tuple[Floats, Floats, int, float]:
    target = tau - restricted if model == "ratio of time lost" else restricted
    log = model != "difference"
    beta = np.zeros(x.shape[1])
    if log:
        beta[0] = np.log(np.average(target, weights=weight))
    scale = max(float(np.abs(target).mean()), 1e-300)
    size = np.inf
    for n_iter in range(1, 51):
        mean = np.exp(x @ beta) if log else x @ beta
        slope = mean if log else np.ones_like(mean)
        score = x.T @ (weight * (target - mean))
        beta = beta + np.linalg.solve(x.T @ (x * (weight * slope)[:, None]), score)
        size = float(np.abs(score).max()) / (x.shape[0] * scale)
        if size < 1e-13 or not log:
            break
    else:
        raise ConvergenceError(
            "the restricted-mean regression must converge",
            values={"contrast": model, "mean score": size},
            remedy="drop covariates that predict almost perfectly",
        )
    mean = np.exp(x @ beta) if log else x @ beta
    scores = x * (weight * (target - mean))[:, None]
    adjusted = np.empty_like(scores)
    for a in (0.0, 1.0):
        rows = np.flatnonzero(arm == a)
        adjusted[rows] = _add_censoring(scores[rows], restricted[rows], complete[rows])
    meat = adjusted.T @ adjusted
    bread = np.linalg.inv(x.T @ (x * (mean if log else np.ones_like(mean))[:, None]))
    final = float(np.abs(scores.sum(axis=0)).max()) / (x.shape[0] * scale)
    return beta, bread @ meat @ bread, n_iter, final


def _add_censoring(scores: Floats, time: Floats, complete: Floats) -> Floats:
    """Add to each score what its row contributes through the estimated censoring curve."""
    grid, place = np.unique(time, return_inverse=True)
    at_risk = np.cumsum(np.bincount(place)[::-1])[::-1]
    sums = np.zeros((grid.size, scores.shape[1]))
    np.add.at(sums, place, scores)
    later = np.cumsum(sums[::-1], axis=0)[::-1]
    own = (1.0 - complete)[:, None] * (later / at_risk[:, None])[place]
    censored = np.bincount(place, weights=1.0 - complete)
    running = np.cumsum(later * (censored / at_risk**2)[:, None], axis=0)
    return np.asarray(scores + own - running[place])
