r"""The effect of a treatment on a time-to-event outcome, in one source, with what each row adds to it.

Three measures: hazard ratio (weighted Cox model with treatment alone), difference of restricted means,
difference of survival at one time. Each is a smooth function of the weighted data, so that

.. math:: \hat\theta-\theta\approx\sum_i \mathrm{IF}_i, \qquad
          \operatorname{Var}\hat\theta=\sum_c\Bigl(\sum_{i\in c}\mathrm{IF}_i\Bigr)^2 ,

with :math:`\mathrm{IF}_i=w_iU_i` for known weights, plus the part of
:meth:`fiac_survival.weighting.result.Weights.correction` for estimated ones. Kept with the result, the
influences give the covariance of two estimates on the same patients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns, seeds
from fiac_survival.core.errors import DataError, FiacError
from fiac_survival.core.intervals import (
    normal_quantile,
    require_choice,
    survival_interval,
    two_sided_p,
)
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable, require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import cox
from fiac_survival.survival.influence import areas, rmst_influence, survival_influence
from fiac_survival.survival.inputs import rows_by_group
from fiac_survival.survival.milestone import require_within
from fiac_survival.survival.rmst import require_horizon
from fiac_survival.survival.steps import steps_by_group
from fiac_survival.weighting.result import Weights
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
Measure = Literal["hazard_ratio", "rmst", "milestone"]
WeightVariance = Literal["estimated", "fixed"]
REPLICATES = 1000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Effect(Result):
    """An estimated effect of treatment.

    Attributes
    ----------
    table : DataFrame
        One row: measure, tau, estimate, std_error, scale, lower, upper, p_value, n_treated,
        n_control, ess_treated, ess_control, weight_variance.
    arms : DataFrame or None
        For restricted means and milestones: arm, estimate, std_error, lower, upper (log-log interval
        for survival).
    measure, tau : str, float or None
        What was estimated.
    estimate : float
        Hazard ratio, or difference treated minus control.
    std_error : float
        On `scale`.
    lower, upper, p_value, level : float
        Interval on the estimate's own scale, two-sided p-value, confidence level.
    scale : str
        "log" for the hazard ratio, else "identity".
    influence : (n,) float64
        Influence of each row on `scale`, weights inside: the variance is the sum over clusters of its
        squared sums. With a bootstrap, the influence at fixed weights.
    weight_variance : str
        "none", "fixed", "estimated" (influence of the weights' estimation) or "bootstrap".
    """

    arms: pd.DataFrame | None
    measure: Measure
    tau: float | None
    estimate: float
    std_error: float
    lower: float
    upper: float
    p_value: float
    level: float
    scale: Literal["log", "identity"]
    influence: Floats
    weight_variance: str

    @property
    def on_scale(self) -> float:
        """Estimate on the scale of its standard error."""
        return float(np.log(self.estimate)) if self.scale == "log" else self.estimate


@dataclass(frozen=True, eq=False)
class Point:
    """Estimates at given weights: the contrast, then control and treated arm where they exist."""

    value: Floats
    influence: Floats


@single_threaded_blas
def effect(
    y: Outcome,
    treated: Any,
    *,
    measure: Measure,
    weights: Any = None,
    weight_variance: WeightVariance = "estimated",
    tau: float | None = None,
    cluster: Any = None,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Effect:
    """Estimate the effect of a treatment.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    measure : {"hazard_ratio", "rmst", "milestone"}
        Hazard ratio, difference of restricted means to `tau`, difference of survival at `tau`.
    weights : Weights or array-like of float, shape (n,), optional
        From :func:`fiac_survival.compare.weights`; or an array, then taken as known.
    weight_variance : {"estimated", "fixed"}, default "estimated"
        Whether the interval has the uncertainty of the weights. "fixed" is usually too wide.
    tau : float, optional
        Horizon or time of the milestone.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; matched pairs are clusters by themselves.
    level : float, default 0.95
        Confidence level.
    replicates : int, default 1000
        Bootstrap replicates, where weights come from a learner.
    seed : int, default 0
        Of the bootstrap.

    Returns
    -------
    Effect
        Estimate, interval and the influence of each row.

    Raises
    ------
    DataError
        If `tau` is missing or beyond follow-up, or there is one arm.

    References
    ----------
    Hajage D et al. Closed-form variance estimator for weighted propensity score estimators with
    survival outcome. Biom J 2018;60:1151-1163.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> e = fs.compare.effect(y, [0, 0, 1, 1, 0, 1], measure="rmst", tau=8)
    >>> round(e.estimate, 2), round(e.std_error, 2)
    (4.0, 0.47)
    """
    require_choice(measure, Measure, "measure")
    require_choice(weight_variance, WeightVariance, "weight_variance")
    z = normal_quantile(level)
    y.require_binary("effect", "one cause at a time")
    n = len(y)
    t = as_treated(treated, n=n)
    if measure == "hazard_ratio" and tau is not None:
        raise DataError(
            "a hazard ratio has no tau", values={"tau": tau}, remedy="drop tau, or censor at it"
        )
    if measure != "hazard_ratio" and tau is None:
        raise DataError(
            f"{measure} needs tau", values={"tau": tau}, remedy="pass the horizon, e.g. tau=60"
        )
    w, kind = _weights_of(weights, t, weight_variance)
    used = np.flatnonzero(w > 0)
    point = _estimate(y.take(used) if used.size < n else y, t[used], w[used], measure, tau)
    influence = np.zeros((n, point.value.size))
    influence[used] = point.influence
    members = _members(cluster, weights, n)
    if kind == "estimated":
        influence = influence + weights.correction(influence)
    if kind == "bootstrap":
        variance = _bootstrap(
            weights, y, t, measure, tau, members=members, replicates=replicates, seed=seed
        )
    else:
        variance = np.diag(cluster_covariance(influence, members))
    std_error = np.sqrt(variance)
    value, se = float(point.value[0]), float(std_error[0])
    log = measure == "hazard_ratio"
    low, high = value - z * se, value + z * se
    estimate = float(np.exp(value)) if log else value
    lower, upper = (float(np.exp(low)), float(np.exp(high))) if log else (low, high)
    p_value = two_sided_p(value / se) if se > 0 else float("nan")
    row = {
        "measure": measure,
        "tau": np.nan if tau is None else float(tau),
        "estimate": estimate,
        "std_error": se,
        "scale": "log" if log else "identity",
        "lower": lower,
        "upper": upper,
        "p_value": p_value,
        "n_treated": int(np.sum(t & (w > 0))),
        "n_control": int(np.sum(~t & (w > 0))),
        "ess_treated": float(w[t].sum() ** 2 / np.sum(w[t] ** 2)),
        "ess_control": float(w[~t].sum() ** 2 / np.sum(w[~t] ** 2)),
        "weight_variance": kind,
    }
    return Effect(
        table=pd.DataFrame([row]),
        arms=_arms(point, std_error, measure, level),
        measure=measure,
        tau=None if tau is None else float(tau),
        estimate=estimate,
        std_error=se,
        lower=lower,
        upper=upper,
        p_value=p_value,
        level=level,
        scale="log" if log else "identity",
        influence=influence[:, 0],
        weight_variance=kind,
    )


def _weights_of(
    weights: Any, t: NDArray[np.bool_], weight_variance: WeightVariance
) -> tuple[Floats, str]:
    """Weights of the rows, and how their own uncertainty is to be handled."""
    if weights is None:
        return np.ones(t.size), "none"
    if not isinstance(weights, Weights):
        return require_positive_weights(weights, t.size), "fixed"
    if weights.weights.size != t.size or not np.array_equal(weights._treated, t):
        raise DataError(
            "weights must have been estimated on these rows and this treatment",
            values={"rows": t.size, "weights": weights.weights.size},
            remedy="estimate them again on the rows that you analyse",
        )
    if weight_variance == "fixed" or weights.pair is not None:
        return weights.weights, "fixed"
    return weights.weights, "estimated" if weights.has_influence else "bootstrap"


def _members(cluster: Any, weights: Any, n: int) -> NDArray[np.int64] | None:
    """Cluster codes: those given, or matched pairs."""
    pair = weights.pair if isinstance(weights, Weights) else None
    if cluster is not None and pair is not None:
        raise DataError(
            "matched pairs are the clusters",
            values={"cluster": "given"},
            remedy="drop cluster, or use weights instead of matching",
        )
    if cluster is not None:
        return columns.labels(cluster, "cluster", n=n)[0]
    if pair is None:
        return None
    alone = pair.max() + 1 + np.arange(n)
    return np.where(pair >= 0, pair, alone)


def cluster_covariance(influence: Floats, members: NDArray[np.int64] | None) -> Floats:
    """Covariance of estimates from the influence of rows.

    Parameters
    ----------
    influence : (n, k) float64
        Influence of each row, weights inside.
    members : (n,) int64 or None
        Cluster codes.

    Returns
    -------
    (k, k) float64
        Sum over clusters of outer products of summed influences.
    """
    if members is not None:
        size = int(members.max()) + 1
        influence = np.stack(
            [np.bincount(members, weights=column, minlength=size) for column in influence.T],
            axis=1,
        )
    return np.asarray(influence.T @ influence)


def _estimate(
    y: Outcome, t: NDArray[np.bool_], w: Floats, measure: Measure, tau: float | None
) -> Point:
    match measure:
        case "hazard_ratio":
            model = cox(y, t.astype(np.float64)[:, None], weights=w, robust=True)
            return Point(model.coef.to_numpy(), model.influence * w[:, None])
        case "rmst" | "milestone":
            return _from_curves(y, t, w, measure, float(tau or 0.0))
        case _:
            assert_never(measure)


def _from_curves(
    y: Outcome, t: NDArray[np.bool_], w: Floats, measure: Literal["rmst", "milestone"], tau: float
) -> Point:
    arm = t.astype(np.int64)
    steps = steps_by_group(RiskTable.from_outcome(y, group=arm, weights=w))
    rows = rows_by_group(y, steps, group=arm, weights=w, cluster=None)
    value = np.empty(3)
    influence = np.zeros((len(y), 3))
    rmst = measure == "rmst"
    if rmst:
        require_horizon(steps, tau)
    else:
        require_within(steps, np.array([tau]))
    function: Callable[..., Floats] = rmst_influence if rmst else survival_influence
    for a, (s, r) in enumerate(zip(steps, rows, strict=True)):
        if rmst:
            value[1 + a] = areas(s, tau)[1]
        else:
            last = int(np.searchsorted(s.time, tau, side="right")) - 1
            value[1 + a] = s.survival[last] if last >= 0 else 1.0
        influence[r.index, 1 + a] = r.weight * function(s, r.first, r.last, r.event, tau)
    value[0] = value[2] - value[1]
    influence[:, 0] = influence[:, 2] - influence[:, 1]
    return Point(value, influence)


def _arms(point: Point, std_error: Floats, measure: Measure, level: float) -> pd.DataFrame | None:
    if measure == "hazard_ratio":
        return None
    value, se = point.value[1:], std_error[1:]
    if measure == "milestone":
        lower, upper = survival_interval(value, se, level=level)
    else:
        z = normal_quantile(level)
        lower, upper = value - z * se, value + z * se
    return pd.DataFrame(
        {
            "arm": ["control", "treated"],
            "estimate": value,
            "std_error": se,
            "lower": lower,
            "upper": upper,
        }
    )


def _bootstrap(
    weights: Weights,
    y: Outcome,
    t: NDArray[np.bool_],
    measure: Measure,
    tau: float | None,
    *,
    members: NDArray[np.int64] | None,
    replicates: int,
    seed: int,
) -> Floats:
    """Variance over resampled persons (or clusters), weights estimated anew in each."""
    n = t.size
    units = np.arange(n) if members is None else members
    order = np.argsort(units, kind="stable")
    used, starts = np.unique(units[order], return_index=True)
    ends = np.append(starts[1:], n)
    values, failed = [], 0
    for b in range(replicates):
        rng = seeds.stream(seed, "effect bootstrap", b)
        drawn = rng.integers(0, used.size, used.size)
        rows = np.concatenate([order[starts[u] : ends[u]] for u in drawn])
        try:
            again = weights.refit(rows)
            values.append(_estimate(y.take(rows), t[rows], again.weights, measure, tau).value)
        except FiacError:
            failed += 1
    if failed > replicates // 20 or len(values) < 2:
        raise DataError(
            "the bootstrap must succeed in at least 95 % of its replicates",
            values={"replicates": replicates, "failed": failed},
            remedy="the data are too thin for these weights: use fewer covariates",
        )
    return np.asarray(np.var(np.stack(values), axis=0, ddof=1))
