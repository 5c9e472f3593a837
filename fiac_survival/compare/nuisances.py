r"""Cross-fitted models of treatment, survival and censoring.

Rows are dealt into K folds (whole clusters at a time, even in arm and event); the models for a fold are
fitted on the others. With one fold, models are fitted and read on the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.compare.survival_learners import Predict, learn, learn_censoring
from fiac_survival.core import columns, seeds
from fiac_survival.core.design import Design
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.weighting.propensity import logistic

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Nuisances:
    """Fitted models, and which fold each row was held out in.

    Attributes
    ----------
    fold : (n,) int64
        Fold of each row.
    propensity : (n,) float64
        P(treated | x), out of fold.
    outcome, censoring : list of (control, treated)
        Models for each fold.
    x_outcome, x_censoring : (n, p) float64
        Covariates.
    """

    fold: Ints
    propensity: Floats
    outcome: list[tuple[Predict, Predict]]
    censoring: list[tuple[Predict, Predict]]
    x_outcome: Floats
    x_censoring: Floats

    def blocks(self, size: int) -> Iterator[tuple[int, Ints]]:
        """Rows of each fold, not too many at once.

        Parameters
        ----------
        size : int
            Most rows of a block.

        Yields
        ------
        int, (r,) int64
            Fold and rows.
        """
        for fold in range(len(self.outcome)):
            rows = np.flatnonzero(self.fold == fold)
            for start in range(0, rows.size, size):
                yield fold, rows[start : start + size]

    def survival(self, fold: int, arm: int, rows: Ints, times: Floats) -> Floats:
        """S(t | arm, x), shape (rows, times)."""
        return self.outcome[fold][arm](self.x_outcome[rows], times)

    def uncensored(self, fold: int, arm: int, rows: Ints, times: Floats) -> Floats:
        """P(C >= t | arm, x), shape (rows, times)."""
        return self.censoring[fold][arm](self.x_censoring[rows], times)


def deal_folds(folds: int, kind: Ints, members: Ints | None, *, seed: int) -> Ints:
    """Deal rows into folds, evenly by kind.

    Parameters
    ----------
    folds : int
        How many.
    kind : (n,) int64
        Kinds of rows that each fold should have its share of.
    members : (n,) int64 or None
        Cluster codes; a cluster goes as a whole, and is of the kind of its first row.
    seed : int
        Root seed.

    Returns
    -------
    (n,) int64
        Fold of each row.
    """
    units, first, back = np.unique(
        np.arange(kind.size) if members is None else members,
        return_index=True,
        return_inverse=True,
    )
    order = seeds.stream(seed, "folds").permutation(units.size)
    order = order[np.argsort(kind[first][order], kind="stable")]
    fold = np.empty(units.size, dtype=np.int64)
    fold[order] = np.arange(units.size) % folds
    return fold[back.ravel()]


def estimate_nuisances(
    y: Outcome,
    t: Bools,
    designs: list[Design],
    *,
    outcome_model: Any,
    censoring_model: Any,
    propensity: Any,
    folds: int,
    members: Ints | None,
    horizon: float,
    seed: int,
) -> Nuisances:
    """Fit all models.

    Parameters
    ----------
    y : Outcome
        Rows.
    t : (n,) bool
        Treatment.
    designs : list of Design
        Covariates of the models of survival, treatment and censoring.
    outcome_model, censoring_model, propensity
        As in :func:`fiac_survival.compare.aipw_survival`.
    folds : int
        Number of folds.
    members : (n,) int64 or None
        Cluster codes.
    horizon : float
        Latest time of interest.
    seed : int
        Root seed.

    Returns
    -------
    Nuisances
        The models.

    Raises
    ------
    DataError
        If an arm has too few patients or events for the folds, or the propensity is no model.
    """
    n = len(y)
    events = min(int((y.event[t] > 0).sum()), int((y.event[~t] > 0).sum()))
    if folds < 1 or folds > events:
        raise DataError(
            "each fold needs an event in each arm",
            values={"folds": folds, "events in the smaller arm": events},
            remedy="pass fewer folds; 1 takes no cross-fitting",
        )
    fold = deal_folds(folds, 2 * t.astype(np.int64) + (y.event > 0), members, seed=seed)
    known = _known_propensity(propensity, n)
    score = np.empty(n) if known is None else known
    outcome, censoring = [], []
    for k in range(folds):
        out = fold == k
        train = ~out if folds > 1 else out
        if known is None:
            score[out] = _propensity(propensity, designs[1], t, train, out, seed)
        where = f"fold {k + 1} of {folds}"
        outcome.append(_by_arm(outcome_model, y, t, train, designs[0], seed, where=where))
        censoring.append(
            _by_arm(censoring_model, y, t, train, designs[2], seed, where=where, horizon=horizon)
        )
    return Nuisances(fold, score, outcome, censoring, designs[0].values, designs[2].values)


def _by_arm(
    model: Any,
    y: Outcome,
    t: Bools,
    train: Bools,
    design: Design,
    seed: int,
    *,
    where: str,
    horizon: float | None = None,
) -> tuple[Predict, Predict]:
    role = "survival" if horizon is None else "censoring"
    found = []
    for arm, label in ((False, "control"), (True, "treated")):
        rows = np.flatnonzero(train & (t == arm))
        x, names = design.values[rows], design.columns
        try:
            if horizon is None:
                fitted = learn(model, y.time[rows], y.event[rows] > 0, x, names, seed=seed)
            else:
                fitted = learn_censoring(model, y.take(rows), x, names, horizon=horizon, seed=seed)
        except (ConvergenceError, DataError) as cause:
            raise type(cause)(
                f"model of {role}, {label} arm, {where}: {cause.rule}",
                values=cause.values,
                remedy="use fewer covariates or folds, a regularised learner, or "
                f'{"outcome" if horizon is None else "censoring"}_model="kaplan_meier"',
            ) from cause
        found.append(fitted)
    return found[0], found[1]


def _known_propensity(propensity: Any, n: int) -> Floats | None:
    if isinstance(propensity, str):
        if propensity != "logistic":
            raise DataError(
                'propensity must be "logistic", a classifier, or an array of probabilities',
                values={"propensity": propensity},
            )
        return None
    if hasattr(propensity, "fit"):
        if not hasattr(propensity, "predict_proba"):
            raise DataError(
                "propensity must be a classifier with predict_proba",
                values={"propensity": type(propensity).__name__},
                remedy="pass e.g. sklearn.linear_model.LogisticRegression()",
            )
        return None
    given = np.broadcast_to(propensity, n) if np.ndim(propensity) == 0 else propensity
    score = columns.require_finite(columns.numeric(given, "propensity", n=n), "propensity")
    bad = np.flatnonzero((score <= 0) | (score >= 1))
    if bad.size:
        raise DataError(
            "known propensities must lie strictly between 0 and 1",
            count=int(bad.size),
            row=int(bad[0]),
            values={"propensity": float(score[bad[0]])},
        )
    return score


def _propensity(
    model: Any, design: Design, t: Bools, train: Bools, out: Bools, seed: int
) -> Floats:
    x = design.values
    if isinstance(model, str):
        fitted = logistic(x[train], design.columns, t[train])
        logit = fitted.coef[0] + x[out] @ fitted.coef[1:]
        return np.asarray(1.0 / (1.0 + np.exp(-logit)))
    from sklearn.base import clone

    learner = clone(model)
    parameters = learner.get_params()
    if "random_state" in parameters and parameters["random_state"] is None:
        learner.set_params(random_state=seed)
    learner.fit(x[train], t[train])
    return np.asarray(learner.predict_proba(x[out])[:, 1], dtype=np.float64)
