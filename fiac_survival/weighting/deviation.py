"""Probability of leaving a treatment strategy in each step, by pooled logistic regression."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import ConvergenceError

Floats = NDArray[np.float64]
LARGE = 30.0


def probability(
    x: Floats, step: NDArray[np.int64], left: NDArray[np.bool_], weights: Floats, *, what: str
) -> Floats:
    """Fit P(leave | covariates, step) and predict it for the same rows.

    Parameters
    ----------
    x : (n, p) float64
        Covariates, p ≥ 0.
    step : (n,) int64
        Step of each row; each has a level of its own. A step in which nobody leaves has probability 0, one
        in which all leave probability 1.
    left : (n,) bool
        Whether the person leaves in that step.
    weights : (n,) float64
        Frequency weights.
    what : str
        What is modelled, for messages.

    Returns
    -------
    (n,) float64
        Probabilities.

    Raises
    ------
    ConvergenceError
        If covariates predict leaving perfectly.
    """
    from statsmodels.genmod.families import Binomial
    from statsmodels.genmod.generalized_linear_model import GLM
    from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning

    levels, code = np.unique(step, return_inverse=True)
    total = np.bincount(code, weights, levels.size)
    gone = np.bincount(code, weights * left, levels.size)
    rate = gone / total
    out = rate[code]
    open_ = (rate > 0.0) & (rate < 1.0)
    rows = open_[code]
    if not x.shape[1] or not rows.any():
        return out
    z, mean = x[rows], x[rows].mean(axis=0)
    scale = x[rows].std(axis=0)
    z = (z - mean)[:, scale > 0.0] / scale[scale > 0.0]
    kept, place = np.unique(code[rows], return_inverse=True)
    dummies = (place[:, None] == np.arange(kept.size)).astype(np.float64)
    design = np.column_stack([dummies, z])
    failed = ConvergenceError(
        f"the model of {what} must have a maximum (separation)",
        values={"rows": int(rows.sum()), "leaving": int(left[rows].sum())},
        remedy="use fewer covariates, longer steps, or restrict the population to where both occur",
    )
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PerfectSeparationWarning)
            model = GLM(
                left[rows].astype(np.float64), design, Binomial(), freq_weights=weights[rows]
            )
            fit = model.fit(tol=1e-12, maxiter=100, tol_criterion="params")
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError):
        raise failed from None
    slopes = np.asarray(fit.params)[kept.size :]
    if not fit.converged or not np.isfinite(slopes).all() or (np.abs(slopes) > LARGE).any():
        raise failed
    out[rows] = np.asarray(fit.fittedvalues, dtype=np.float64)
    return out
