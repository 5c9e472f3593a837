r"""Doubly robust survival curves and restricted means of two arms, with cross-fitted nuisance models.

Nuisances: survival :math:`S(t\mid a,x)`, probability of staying uncensored
:math:`G(t-\mid a,x)=P(C\ge t\mid a,x)`, propensity :math:`\pi_a(x)`. With
:math:`d\Lambda=1-S(u)/S(u-)` and Y the follow-up time, the curve of arm a is the mean over all rows of

.. math:: \varphi_a(t)=S(t\mid a,x)\Bigl[1-\frac{1\{A=a\}}{\pi_a(x)}\int_0^t
          \frac{dN(u)-1\{Y\ge u\}\,d\Lambda(u\mid a,x)}{S(u\mid a,x)\,G(u-\mid a,x)}\Bigr] ,

its efficient influence function plus the curve itself. The restricted mean is the mean of
:math:`\int_0^\tau\varphi_a(t)\,dt`. Both are consistent if the model of survival is right, or if those of
treatment and of censoring both are; and nearly normal with the variance of the influence if all converge
fast enough, which cross-fitting (each row predicted by models that did not see it) allows of flexible
learners too.

A curve of means need not fall: it is replaced by its closest falling one (isotonic regression over the
times asked for), which does not change its large-sample distribution. Restricted means are not corrected.

Sources: Zhang and Schaubel 2012; Bai, Tsiatis, Lu, Song 2017; Westling, Luedtke, Gilbert, Carone 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from fiac_survival.compare.adjusted_survival import (
    AdjustedSurvival,
    Curves,
    assemble,
    check_moments,
)
from fiac_survival.compare.nuisances import Nuisances, estimate_nuisances
from fiac_survival.compare.survival_learners import check_learner
from fiac_survival.core import columns
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Clipping:
    """Limits on the nuisances, and how often they were met."""

    propensity: tuple[float, float] | None
    censoring: float | None


@single_threaded_blas
def aipw_survival(
    y: Outcome,
    treated: Any,
    X: Any,
    *,
    times: Any,
    tau: float | None = None,
    data: Any = None,
    outcome_model: Any = "cox",
    censoring_model: Any = "cox",
    propensity: Any = "logistic",
    X_propensity: Any = None,
    X_censoring: Any = None,
    folds: int = 5,
    seed: int = 0,
    propensity_limits: tuple[float, float] | None = None,
    censoring_floor: float | None = None,
    cluster: Any = None,
    isotonic: bool = True,
    band: bool = False,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> AdjustedSurvival:
    """Estimate survival had all been treated, and had none, by augmented inverse probability weighting.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1, one row a patient, no delayed entry.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    times : array-like of float
        Times of the curves, within the follow-up of both arms.
    tau : float, optional
        Horizon of restricted means.
    data : DataFrame, optional
        The table that formulas refer to.
    outcome_model, censoring_model : str or estimator, default "cox"
        "cox", "kaplan_meier" (no covariates), "random_survival_forest", or an estimator of
        scikit-survival; fitted in each arm.
    propensity : "logistic", classifier, or array-like of float, default "logistic"
        Model of treatment; an array holds known probabilities, as by randomisation.
    X_propensity, X_censoring : DataFrame, 2-D array or str, optional
        Covariates of those models, if others.
    folds : int, default 5
        Folds of cross-fitting; 1 fits and predicts on the same rows.
    seed : int, default 0
        Splits the folds; also for learners and the band.
    propensity_limits : (float, float), optional
        Propensities are clipped to these. Never implicit; the count is in `diagnostics`.
    censoring_floor : float, optional
        Probabilities of staying uncensored are not taken below this. Never implicit either.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; they share a fold.
    isotonic : bool, default True
        Make the curves fall.
    band : bool, default False
        Add a uniform band over `times`.
    level : float, default 0.95
        Confidence level.
    transform : str, default "log-log"
        Scale of the curves' intervals.

    Returns
    -------
    AdjustedSurvival
        Curves, restricted means, contrasts, influence, diagnostics.

    Raises
    ------
    DataError
        With delayed entry; if a probability is so small that a row's weight has no bound, unless
        clipped; if a fold has a covariate that does not vary.

    References
    ----------
    Zhang M, Schaubel DE. Contrasting treatment-specific survival using double-robust estimators.
    Stat Med 2012;31:4255-4268.
    Westling T, Luedtke A, Gilbert PB, Carone M. Inference for treatment-specific survival curves
    using machine learning. JASA 2024;119:1541-1553.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> frame = fs.datasets.load("gbsg").frame
    >>> y = fs.Outcome(frame["rfstime"] / 30.4375, frame["status"])
    >>> found = fs.compare.aipw_survival(
    ...     y, frame["hormon"], "age + grade + nodes", data=frame, times=[24, 48], tau=48, seed=1
    ... )
    >>> found.rmst[["arm", "rmst", "std_error"]].round(1).values.tolist()
    [[0.0, 35.9, 0.7], [1.0, 38.9, 1.0]]
    """
    normal_quantile(level)
    require_choice(transform, Transform, "transform")
    t, clipping = _check(
        y, treated, outcome_model, censoring_model, propensity_limits, censoring_floor
    )
    n = len(y)
    moments = check_moments(y, t, times, tau, "aipw_survival")
    designs = [
        make_design(choice, data if isinstance(choice, str) else None, n=n)
        for choice in (
            X,
            X if X_propensity is None else X_propensity,
            X if X_censoring is None else X_censoring,
        )
    ]
    members = None if cluster is None else columns.labels(cluster, "cluster", n=n)[0]
    latest = max(float(moments[-1]), 0.0 if tau is None else float(tau))
    nuisances = estimate_nuisances(
        y,
        t,
        designs,
        outcome_model=outcome_model,
        censoring_model=censoring_model,
        propensity=propensity,
        folds=folds,
        members=members,
        horizon=latest,
        seed=seed,
    )
    diagnostics: dict[str, float] = {"folds": float(folds)}
    score = _clip_propensity(nuisances.propensity, clipping.propensity, diagnostics)
    values = [
        _arm(y, t == bool(a), score, nuisances, a, moments, tau, clipping.censoring, diagnostics)
        for a in (0, 1)
    ]
    k = moments.size
    raw = np.stack([v[:, :k].mean(axis=0) for v in values])
    influence = np.concatenate(
        [v[:, :k] - raw[a] for a, v in enumerate(values)]
        + ([v[:, k:] - v[:, k:].mean(axis=0) for v in values] if tau is not None else []),
        axis=1,
    )
    survival = np.clip(raw, 0.0, 1.0)
    if isotonic:
        survival = np.stack([isotonic_regression(s, increasing=False).x for s in survival])
        diagnostics["largest isotonic change"] = float(np.abs(survival - raw).max())
    return assemble(
        Curves(
            times=moments,
            survival=survival,
            tau=None if tau is None else float(tau),
            rmst=np.array([v[:, -1].mean() for v in values]),
            influence=influence / n,
        ),
        members=members,
        treated=t,
        level=level,
        transform=transform,
        band=band,
        seed=seed,
        diagnostics=diagnostics,
        method="augmented inverse probability weighting",
        variance="influence",
    )


def _check(
    y: Outcome,
    treated: Any,
    outcome_model: Any,
    censoring_model: Any,
    propensity_limits: tuple[float, float] | None,
    censoring_floor: float | None,
) -> tuple[Bools, Clipping]:
    if not isinstance(y, Outcome):
        raise DataError(
            "aipw_survival takes an Outcome",
            values={"type": type(y).__name__},
            remedy="it needs rows, not a risk table",
        )
    y.require_binary("aipw_survival", "one cause at a time")
    y.require_events("aipw_survival")
    if y.entry is not None:
        late = np.flatnonzero(y.entry > 0)
        raise DataError(
            "aipw_survival takes no delayed entry",
            count=int(late.size),
            row=int(late[0]),
            values={"entry": float(y.entry[late[0]])},
            remedy="who enters late has survived so far: covariates and treatment of those observed "
            "are not those of the population that the estimate is for; start time at entry, or "
            "use standardised_survival with population=",
        )
    check_learner(outcome_model, "outcome_model")
    check_learner(censoring_model, "censoring_model")
    if propensity_limits is not None and not 0 < propensity_limits[0] < propensity_limits[1] < 1:
        raise DataError(
            "propensity_limits must be a lower and an upper probability",
            values={"propensity_limits": propensity_limits},
            remedy="pass e.g. (0.01, 0.99)",
        )
    if censoring_floor is not None and not 0 < censoring_floor < 1:
        raise DataError(
            "censoring_floor must lie between 0 and 1", values={"censoring_floor": censoring_floor}
        )
    return as_treated(treated, n=len(y)), Clipping(propensity_limits, censoring_floor)


def _clip_propensity(
    score: Floats, limits: tuple[float, float] | None, diagnostics: dict[str, float]
) -> Floats:
    diagnostics["smallest propensity"] = float(score.min())
    diagnostics["largest propensity"] = float(score.max())
    low, high = limits or (1e-8, 1.0 - 1e-8)
    outside = np.flatnonzero((score < low) | (score > high))
    if limits is None and outside.size:
        raise DataError(
            "propensities must lie strictly between 0 and 1",
            count=int(outside.size),
            row=int(outside[0]),
            values={"propensity": float(score[outside[0]])},
            remedy="restrict to the region of overlap, or clip by name: propensity_limits=(0.01, 0.99)",
        )
    diagnostics["propensities clipped"] = float(outside.size)
    return np.clip(score, low, high)


def _arm(
    y: Outcome,
    own: Bools,
    score: Floats,
    nuisances: Nuisances,
    a: int,
    times: Floats,
    tau: float | None,
    floor: float | None,
    diagnostics: dict[str, float],
) -> Floats:
    """Values of every row for one arm: at each time, then the restricted mean if there is one."""
    latest = max(float(times[-1]), 0.0 if tau is None else float(tau))
    grid = np.unique(y.time[own & (y.event > 0) & (y.time <= latest)])
    probability = 1.0 - score if a == 0 else score
    weight = np.where(own, 1.0 / probability, 0.0)
    out = np.empty((len(y), times.size + (tau is not None)))
    smallest, clipped, largest = 1.0, 0, 0.0
    at = np.searchsorted(grid, times, side="right")
    step = np.empty(0)
    if tau is not None:
        step = np.diff(np.concatenate([[0.0], np.minimum(grid, tau), [tau]]))
    size = max(1, CELLS // (grid.size + 1))
    for fold, rows in nuisances.blocks(size):
        s = nuisances.survival(fold, a, rows, grid)
        g = nuisances.uncensored(fold, a, rows, grid)
        mine, end = own[rows], y.time[rows]
        needed = mine[:, None] & (grid[None, :] <= end[:, None])
        if needed.any():
            smallest = min(smallest, float(g[needed].min()))
        _require_bounded(g, needed, floor, rows)
        if floor is not None:
            clipped += int(np.count_nonzero((g < floor) & needed))
            g = np.maximum(g, floor)
        curve, augmentation = _augmentation(s, g, grid, end, y.event[rows] > 0, needed)
        value = curve * (1.0 - weight[rows, None] * augmentation)
        out[rows, : times.size] = value[:, at]
        if tau is not None:
            out[rows, -1] = value @ step
        largest = max(largest, float(weight[rows].max()))
    name = ("control", "treated")[a]
    diagnostics[f"smallest uncensored probability, {name}"] = smallest
    if floor is not None:
        diagnostics[f"uncensored probabilities clipped, {name}"] = float(clipped)
    diagnostics[f"largest propensity weight, {name}"] = largest
    used = weight[own]
    diagnostics[f"effective sample size, {name}"] = float(used.sum() ** 2 / (used @ used))
    return out


def _augmentation(
    s: Floats, g: Floats, grid: Floats, end: Floats, event: Bools, at_risk: Bools
) -> tuple[Floats, Floats]:
    """Curves with their value 1 before the first time, and the martingale integral at each."""
    one = np.ones((s.shape[0], 1))
    before = np.concatenate([one, s[:, :-1]], axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.where(before > 0, 1.0 - s / before, 0.0)
        happened = (grid[None, :] == end[:, None]) & event[:, None]
        # Where the curve has reached 0 it stays there, and nothing is left to correct.
        term = np.where(at_risk & (s > 0), (happened - hazard) / (s * g), 0.0)
    integral = np.concatenate([0.0 * one, np.cumsum(term, axis=1)], axis=1)
    return np.concatenate([one, s], axis=1), integral


def _require_bounded(
    g: Floats, needed: Bools, floor: float | None, rows: NDArray[np.int64]
) -> None:
    if floor is not None:
        return
    bad = np.flatnonzero(((g < 1e-6) & needed).any(axis=1))
    if bad.size:
        raise DataError(
            "the probability of staying uncensored must not vanish while patients are at risk",
            count=int(bad.size),
            row=int(rows[bad[0]]),
            values={"probability": float(g[bad[0]][needed[bad[0]]].min())},
            remedy="ask for earlier times, or clip by name: censoring_floor=0.05",
        )
