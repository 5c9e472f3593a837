r"""Propensity scores: logistic regression by maximum likelihood, or a learner with cross-fitting.

Maximum likelihood has the estimating equation :math:`\sum_i s_i=0`, :math:`s_i=(t_i-e_i)x_i`, so that a
row of the data moves the coefficients by :math:`I^{-1}s_i`, :math:`I=\sum e_i(1-e_i)x_ix_i'`. A learner
has no such equation: its propensities are predicted out of fold, and uncertainty is bootstrapped.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import ConvergenceError, DataError

Floats = NDArray[np.float64]
FOLDS = 5
EXTREME = 1e-8


@dataclass(frozen=True, eq=False)
class Propensity:
    """Propensity scores and how each row moves their coefficients.

    Attributes
    ----------
    score : (n,) float64
        P(treated | x).
    design : (n, q) float64
        Standardised covariates with intercept; the logit is linear in them. Empty for a learner.
    influence : (n, q) float64
        I⁻¹ s of each row. Empty for a learner.
    coef : (q,) float64
        Coefficients on the covariates' own scale, intercept first. Empty for a learner.
    n_iter : int
        Iterations.
    gradient_norm : float
        Largest absolute standardised score.
    """

    score: Floats
    design: Floats
    influence: Floats
    coef: Floats
    n_iter: int
    gradient_norm: float


def logistic(x: Floats, names: list[str], treated: NDArray[np.bool_]) -> Propensity:
    """Fit a logistic regression by maximum likelihood.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    names : list of str
        Their names, for messages.
    treated : (n,) bool
        Treatment.

    Returns
    -------
    Propensity
        Scores with the influence of each row.

    Raises
    ------
    ConvergenceError
        If some covariates predict treatment perfectly.
    """
    from statsmodels.discrete.discrete_model import Logit
    from statsmodels.tools.sm_exceptions import PerfectSeparationError

    centre, scale = x.mean(axis=0), x.std(axis=0)
    z = np.column_stack([np.ones(x.shape[0]), (x - centre) / scale])
    t = treated.astype(np.float64)
    try:
        with warnings.catch_warnings(), np.errstate(over="ignore"):
            warnings.simplefilter("ignore")
            fit = Logit(t, z).fit(method="newton", tol=1e-13, maxiter=100, disp=0)
    except (PerfectSeparationError, np.linalg.LinAlgError):
        raise _separation(z[:, 1:], names, treated) from None
    beta = np.asarray(fit.params, dtype=np.float64)
    score = 1.0 / (1.0 + np.exp(-(z @ beta)))
    information = z.T @ (z * (score * (1.0 - score))[:, None])
    residual = z * (t - score)[:, None]
    size = np.sqrt(np.maximum(np.diag(information), 1e-300))
    gradient = float(np.abs(residual.sum(axis=0) / size).max())
    if not fit.mle_retvals["converged"] or gradient > 1e-6 or np.abs(beta[1:]).max() > 30.0:
        raise _separation(z[:, 1:], names, treated)
    slope = beta[1:] / scale
    coef = np.concatenate([[beta[0] - centre @ slope], slope])
    return Propensity(
        score=score,
        design=z,
        influence=np.asarray(np.linalg.solve(information, residual.T).T, dtype=np.float64),
        coef=coef,
        n_iter=int(fit.mle_retvals["iterations"]),
        gradient_norm=gradient,
    )


def _separation(z: Floats, names: list[str], treated: NDArray[np.bool_]) -> ConvergenceError:
    """Name a covariate that separates the arms, if a single one does."""
    for j, name in enumerate(names):
        a, b = z[treated, j], z[~treated, j]
        if a.min() >= b.max() or b.min() >= a.max():
            return ConvergenceError(
                "the propensity model must have a maximum (separation)",
                values={"covariate": name},
                remedy="the arms share no value of it: drop it, or restrict to where both occur",
            )
    return ConvergenceError(
        "the propensity model must have a maximum (separation)",
        values={"covariates": ", ".join(names)},
        remedy="together they predict treatment perfectly: use fewer, or restrict the population",
    )


def cross_fitted(x: Floats, treated: NDArray[np.bool_], learner: Any, seed: int) -> Propensity:
    """Predict propensities out of fold with any classifier of scikit-learn.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    treated : (n,) bool
        Treatment.
    learner : classifier
        With ``fit`` and ``predict_proba``; it is cloned, never changed.
    seed : int
        Splits the folds; also the learner's ``random_state`` if it has one that is not set.

    Returns
    -------
    Propensity
        Scores only.

    Raises
    ------
    DataError
        If the learner is no classifier, an arm has fewer rows than folds, or a score is 0 or 1.
    """
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold

    if not (hasattr(learner, "fit") and hasattr(learner, "predict_proba")):
        raise DataError(
            "learner must be a classifier with predict_proba",
            values={"learner": type(learner).__name__},
            remedy="pass e.g. sklearn.linear_model.LogisticRegression()",
        )
    smaller = int(min(treated.sum(), (~treated).sum()))
    if smaller < FOLDS:
        raise DataError(
            "cross-fitting needs at least as many rows in each arm as folds",
            values={"rows in the smaller arm": smaller, "folds": FOLDS},
            remedy="leave learner out: maximum likelihood needs no folds",
        )
    score = np.empty(x.shape[0])
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    for train, test in folds.split(x, treated):
        model = clone(learner)
        if "random_state" in model.get_params() and model.get_params()["random_state"] is None:
            model.set_params(random_state=seed)
        model.fit(x[train], treated[train])
        score[test] = model.predict_proba(x[test])[:, 1]
    extreme = np.flatnonzero((score < EXTREME) | (score > 1.0 - EXTREME))
    if extreme.size:
        raise DataError(
            "propensities must lie strictly between 0 and 1",
            count=int(extreme.size),
            row=int(extreme[0]),
            values={"propensity": float(score[extreme[0]])},
            remedy="use a smoother learner, or restrict to the region of overlap",
        )
    empty = np.empty((0, 0))
    return Propensity(score, empty, empty, np.empty(0), 0, 0.0)
