r"""Restricted mean survival time.

.. math:: \mathrm{RMST}(\tau)=\int_0^\tau S(t)\,dt .

Variance without weights and clusters: :math:`\sum_s (\int_s^\tau S)^2\, D(s)/(Y(s)(Y(s)-D(s)))`, the
Greenwood form; otherwise the infinitesimal jackknife
:math:`\sum_c(\sum_{i\in c} w_i U_i^R)^2` (see :mod:`fiac_survival.survival.influence`). The two agree
without weights and delayed entry. With covariates: the IPCW regression of Tian, Zhao and Wei (2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.contrasts import contrast_table, covariance_of_groups
from fiac_survival.survival.influence import Floats, areas, rmst_influence
from fiac_survival.survival.inputs import Source, as_risk_table, rows_by_group
from fiac_survival.survival.rmst_regression import rmst_regression
from fiac_survival.survival.steps import Steps, steps_by_group

BeyondFollowUp = Literal["error", "last value"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RestrictedMean(Result):
    """Restricted means by group and their contrasts.

    Attributes
    ----------
    table : DataFrame
        group, tau, rmst, std_error, lower, upper, in the unit of the times.
    contrast : DataFrame
        Each group against the first: difference, ratio, ratio of time lost; adjusted if covariates
        were given.
    coefficients : DataFrame or None
        With covariates: every coefficient of the three regressions.
    tau : float
        Horizon.
    level : float
        Confidence level.
    """

    contrast: pd.DataFrame
    tau: float
    level: float
    coefficients: pd.DataFrame | None = None


@single_threaded_blas
def rmst(
    y: Source,
    *,
    tau: float,
    group: Any = None,
    weights: Any = None,
    cluster: Any = None,
    covariates: Any = None,
    level: float = 0.95,
    beyond: BeyondFollowUp = "error",
) -> RestrictedMean:
    """Estimate restricted means by group, and compare them.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    tau : float
        Horizon, in the unit of the times.
    group : array-like, shape (n,), optional
        Labels; the first in order is the reference of the contrasts.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; they may span groups.
    covariates : DataFrame or 2-D array, shape (n, p), optional
        Adjusts the contrasts of two groups by IPCW regression; not with weights, clusters or
        delayed entry.
    level : float, default 0.95
        Confidence level.
    beyond : {"error", "last value"}, default "error"
        What to do if `tau` lies beyond a group's last time: refuse, or carry its last value on.

    Returns
    -------
    RestrictedMean
        Means and contrasts.

    Raises
    ------
    DataError
        If `tau` is not positive or lies beyond the follow-up of a group whose curve has not reached
        0.

    References
    ----------
    Royston P, Parmar MKB. Restricted mean survival time. BMC Med Res Methodol 2013;13:152.
    Tian L, Zhao L, Wei LJ. Predicting the restricted mean event time with the subject's baseline
    covariates in survival analysis. Biostatistics 2014;15:222-233.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 0, 0, 1, 0])
    >>> result = fs.survival.rmst(y, tau=8, group=["a", "a", "a", "b", "b", "b"])
    >>> result.table["rmst"].round(3).tolist()
    [5.333, 6.667]
    """
    require_choice(beyond, BeyondFollowUp, "beyond")
    z = normal_quantile(level)
    table = as_risk_table(
        y, "rmst", group=group, weights=weights, cluster=cluster, covariates=covariates
    )
    steps = steps_by_group(table)
    require_horizon(steps, tau, beyond)
    means = np.array([areas(s, tau)[1] for s in steps])
    if cluster is not None:
        rows = rows_by_group(y, steps, group=group, weights=weights, cluster=cluster)  # type: ignore[arg-type]
        influences = [
            r.weight * rmst_influence(s, r.first, r.last, r.event, tau)
            for s, r in zip(steps, rows, strict=True)
        ]
        covariance = covariance_of_groups(influences, [r.cluster for r in rows])
    else:
        covariance = np.diag([rmst_variance(s, tau) for s in steps])
    std_error = np.sqrt(np.diag(covariance))
    labels = [s.label for s in steps]
    out = pd.DataFrame(
        {
            "group": labels,
            "tau": tau,
            "rmst": means,
            "std_error": std_error,
            "lower": means - z * std_error,
            "upper": means + z * std_error,
        }
    )
    if covariates is None:
        contrast = contrast_table(
            labels,
            means,
            covariance,
            kinds=("difference", "ratio", "ratio of time lost"),
            level=level,
            horizon=tau,
        )
        return RestrictedMean(table=out, contrast=contrast, tau=float(tau), level=level)
    if weights is not None or cluster is not None:
        raise DataError(
            "the covariate-adjusted restricted mean takes no weights or clusters",
            values={"weights": weights is not None, "cluster": cluster is not None},
            remedy="weight for the covariates instead (fs.compare.weights and fs.compare.effect)",
        )
    assert isinstance(y, Outcome)
    coefficients, n_iter, gradient = rmst_regression(y, group, covariates, tau=tau, level=level)
    of_group = coefficients["term"] == f"group[{labels[1]}]"
    return RestrictedMean(
        table=out,
        contrast=coefficients[of_group].drop(columns="term").reset_index(drop=True),
        coefficients=coefficients,
        tau=float(tau),
        level=level,
        n_iter=n_iter,
        gradient_norm=gradient,
    )


def require_horizon(steps: list[Steps], tau: float, beyond: BeyondFollowUp = "error") -> None:
    """Refuse a horizon that some group's follow-up does not reach.

    Parameters
    ----------
    steps : list of Steps
        The groups.
    tau : float
        Horizon.
    beyond : {"error", "last value"}
        Whether to refuse.

    Raises
    ------
    DataError
        With the horizon and the last time of the group that ends first.
    """
    if not np.isfinite(tau) or tau <= 0:
        raise DataError("tau must be positive", values={"tau": tau}, remedy="pass e.g. tau=60")
    if beyond == "last value":
        return
    short = [s for s in steps if s.last_time < tau and s.survival[-1] > 0]
    if short:
        first = min(short, key=lambda s: s.last_time)
        raise DataError(
            "tau must not exceed the follow-up of any group",
            values={"tau": tau, "last time": first.last_time, "group": first.label},
            remedy=f"pass tau <= {first.last_time:g}, or ask for extrapolation by name: "
            'beyond="last value"',
        )


def rmst_variance(steps: Steps, tau: float) -> float:
    """Variance of one group's restricted mean, rows being independent.

    Parameters
    ----------
    steps : Steps
        The group.
    tau : float
        Horizon.

    Returns
    -------
    float
        Greenwood form without weights, infinitesimal jackknife with.
    """
    if steps.weighted:
        u = rmst_influence(steps, steps.first, steps.last, steps.event, tau)
        return float(np.sum(steps.mass * u * u))
    after, _ = areas(steps, tau)
    use = (steps.n_event > 0) & ~steps.all_fail
    events, at_risk = steps.w_event[use], steps.w_risk[use]
    terms: Floats = after[use] ** 2 * events / (at_risk * (at_risk - events))
    return float(np.sum(terms))
