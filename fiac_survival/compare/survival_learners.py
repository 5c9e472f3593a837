r"""Models of survival given covariates, by name, for estimators that need them as a part.

Each gives :math:`S(t\mid x)` as a right-continuous step function of t: the Kaplan-Meier curve (no
covariates), a Cox model with Breslow's baseline, a random survival forest, or any estimator of
scikit-survival that predicts survival functions.

The distribution of censoring is estimated by the same models with the roles exchanged. At equal times
events come before censorings, so who has the event at u is not at risk of being censored at u: times are
recoded as 2k for an event at the k-th distinct time and 2k+1 for a censoring, which puts them in that
order for every model. :math:`G(u-\mid x)=P(C\ge u\mid x)` is the curve read just below 2k.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.cox import cox

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
SurvivalLearner = Literal["cox", "kaplan_meier", "random_survival_forest"]
# Rows of covariates and ascending times to survival, shape (rows, times).
Predict = Callable[[Floats, Floats], Floats]
TREES, SMALLEST_LEAF = 200, 15


def check_learner(learner: Any, name: str) -> None:
    """Refuse what is neither a known name nor an estimator.

    Parameters
    ----------
    learner : str or estimator
        What the caller passed.
    name : str
        Name of the option.

    Raises
    ------
    DataError
        Naming what is allowed.
    """
    names = get_args(SurvivalLearner)
    if isinstance(learner, str):
        if learner in names:
            return
    elif hasattr(learner, "fit") and hasattr(learner, "predict_survival_function"):
        return
    raise DataError(
        f"{name} must be one of {', '.join(map(repr, names))} or an estimator of scikit-survival",
        values={name: learner if isinstance(learner, str) else type(learner).__name__},
        remedy="an estimator needs fit and predict_survival_function",
    )


def learn(
    learner: Any, time: Floats, event: Bools, x: Floats, names: list[str], *, seed: int
) -> Predict:
    """Fit a model of survival given covariates.

    Parameters
    ----------
    learner : {"cox", "kaplan_meier", "random_survival_forest"} or estimator
        The model; an estimator is cloned, never changed.
    time : (n,) float64
        Times.
    event : (n,) bool
        True = event.
    x : (n, p) float64
        Covariates.
    names : list of str
        Their names, for messages.
    seed : int
        ``random_state`` of a learner that has one that is not set.

    Returns
    -------
    callable
        Covariates (r, p) and ascending times (m,) to survival (r, m).

    Raises
    ------
    DataError
        If a covariate does not vary among these rows.
    """
    if not event.any():
        return lambda rows, times: np.ones((rows.shape[0], times.size))
    if not isinstance(learner, str):
        return _estimator(learner, time, event, x, seed)
    match learner:
        case "kaplan_meier":
            return _kaplan_meier(time, event)
        case "cox":
            return _cox(time, event, x, names)
        case "random_survival_forest":
            from sksurv.ensemble import RandomSurvivalForest

            forest = RandomSurvivalForest(n_estimators=TREES, min_samples_leaf=SMALLEST_LEAF)
            return _estimator(forest, time, event, x, seed)
        case _:
            raise AssertionError(learner)  # check_learner refuses it


def _kaplan_meier(time: Floats, event: Bools) -> Predict:
    grid, deaths = np.unique(time[event], return_counts=True)
    at_risk = time.size - np.searchsorted(np.sort(time), grid, side="left")
    curve = np.concatenate([[1.0], np.cumprod(1.0 - deaths / at_risk)])

    def predict(rows: Floats, times: Floats) -> Floats:
        one = curve[np.searchsorted(grid, times, side="right")]
        return np.broadcast_to(one, (rows.shape[0], times.size))

    return predict


def _cox(time: Floats, event: Bools, x: Floats, names: list[str]) -> Predict:
    import pandas as pd

    centre = x.mean(axis=0)
    design = pd.DataFrame(x - centre, columns=names)
    model = cox(Outcome(time, event), design, ties="breslow")
    baseline = model.baseline()
    grid = baseline["time"].to_numpy()
    hazard = np.concatenate([[0.0], baseline["cumulative_hazard"].to_numpy()])
    coef = model.coef.to_numpy()

    def predict(rows: Floats, times: Floats) -> Floats:
        with np.errstate(over="ignore"):
            relative = np.exp((rows - centre) @ coef)
        here = hazard[np.searchsorted(grid, times, side="right")]
        return np.asarray(np.exp(-relative[:, None] * here[None, :]))

    return predict


def _estimator(learner: Any, time: Floats, event: Bools, x: Floats, seed: int) -> Predict:
    from sklearn.base import clone
    from sksurv.util import Surv

    model = clone(learner)
    parameters = model.get_params()
    if "random_state" in parameters and parameters["random_state"] is None:
        model.set_params(random_state=seed)
    model.fit(x, Surv.from_arrays(event, time))
    grid = np.asarray(model.unique_times_, dtype=np.float64)

    def predict(rows: Floats, times: Floats) -> Floats:
        curves = np.asarray(model.predict_survival_function(rows, return_array=True))
        curves = np.column_stack([np.ones(rows.shape[0]), curves])
        return np.asarray(np.clip(curves[:, np.searchsorted(grid, times, side="right")], 0.0, 1.0))

    return predict


def learn_censoring(
    learner: Any,
    y: Outcome,
    x: Floats,
    names: list[str],
    *,
    horizon: float,
    seed: int,
) -> Predict:
    r"""Fit a model of the distribution of censoring.

    Parameters
    ----------
    learner : {"cox", "kaplan_meier", "random_survival_forest"} or estimator
        The model.
    y : Outcome
        Rows.
    x : (n, p) float64
        Covariates.
    names : list of str
        Their names.
    horizon : float
        Censorings from here on are not needed and not modelled.
    seed : int
        For learners.

    Returns
    -------
    callable
        Covariates (r, p) and ascending times (m,) to P(C >= time | x), shape (r, m).
    """
    grid = np.unique(y.time)
    code = 2.0 * np.searchsorted(grid, y.time) + (y.event == 0)
    lost = (y.event == 0) & (y.time < horizon)
    stop = 2.0 * np.searchsorted(grid, horizon)
    # Code 0 is an event at the first distinct time; times of a model are positive.
    curve = learn(learner, np.minimum(code, stop) + 1.0, lost, x, names, seed=seed)

    def predict(rows: Floats, times: Floats) -> Floats:
        return curve(rows, 2.0 * np.searchsorted(grid, times, side="left").astype(np.float64))

    return predict
