r"""Restricted mean time lost to each cause.

.. math:: \mathrm{RMTL}_k(\tau)=\int_0^\tau F_k(t)\,dt, \qquad
          \mathrm{RMST}(\tau)+\sum_k \mathrm{RMTL}_k(\tau)=\tau,

with the cumulative incidence :math:`F_k` of :mod:`fiac_survival.survival.aalen_johansen`. The influence
of a row is the integral of its influence on :math:`F_k`; the variance is the infinitesimal jackknife
:math:`\sum_c(\sum_{i\in c}w_i\int_0^\tau G_i)^2`.

Sources: Andersen 2013; Zhao, Tian, Claggett and Wei 2018.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.contrasts import contrast_table, covariance_of_groups
from fiac_survival.survival.incidence_steps import cause_steps
from fiac_survival.survival.inputs import Source, rows_by_group
from fiac_survival.survival.rmst import BeyondFollowUp, require_horizon


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RestrictedTimeLost(Result):
    """Restricted mean times lost by group and cause, and their contrasts.

    Attributes
    ----------
    table : DataFrame
        group, cause, tau, rmtl, std_error, lower, upper, in the unit of the times.
    contrast : DataFrame
        cause, group, reference, contrast (difference, ratio), estimate, std_error, scale, lower, upper,
        p_value: each group against the first.
    tau : float
        Horizon.
    level : float
        Confidence level.
    """

    contrast: pd.DataFrame
    tau: float
    level: float


@single_threaded_blas
def rmtl(
    y: Source,
    *,
    tau: float,
    group: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
    beyond: BeyondFollowUp = "error",
) -> RestrictedTimeLost:
    """Estimate the mean time lost to each cause before a horizon, and compare groups.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic; event codes 0 (censored), 1, 2, ...
    tau : float
        Horizon, in the unit of the times.
    group : array-like, shape (n,), optional
        Labels; the first in order is the reference of the contrasts.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; they may span groups.
    level : float, default 0.95
        Confidence level.
    beyond : {"error", "last value"}, default "error"
        What to do if `tau` lies beyond a group's last time: refuse, or carry its last values on.

    Returns
    -------
    RestrictedTimeLost
        Times lost and contrasts.

    Raises
    ------
    DataError
        If `tau` is not positive or lies beyond the follow-up of a group in which somebody is still
        free of events, or no event occurs.

    References
    ----------
    Andersen PK. Decomposition of number of life years lost according to causes of death. Stat Med
    2013;32:5278-5285.
    Zhao L, Tian L, Claggett B, et al. Estimating treatment effect with clinical interpretation from a
    comparative clinical trial with an end point subject to competing risks. JAMA Cardiol
    2018;3:357-358.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 2, 0, 0, 1, 0])
    >>> result = fs.survival.rmtl(y, tau=8, group=["a", "a", "a", "b", "b", "b"])
    >>> result.table[["group", "cause", "rmtl"]].round(3).values.tolist()
    [['a', 1, 1.667], ['a', 2, 1.0], ['b', 1, 1.333], ['b', 2, 0.0]]
    """
    require_choice(beyond, BeyondFollowUp, "beyond")
    z = normal_quantile(level)
    steps = cause_steps(y, "rmtl", group=group, weights=weights, cluster=cluster)
    base = [s.steps for s in steps]
    require_horizon(base, tau, beyond)
    rows = None
    if cluster is not None:
        assert isinstance(y, Outcome)
        rows = rows_by_group(y, base, group=group, weights=weights, cluster=cluster)
    labels = [s.label for s in base]
    tables, contrasts = [], []
    for k, cause in enumerate(steps[0].causes):
        estimates = np.array([s.lost_time(k, tau) for s in steps])
        if rows is None:
            influences = [
                np.sqrt(s.steps.mass)
                * s.lost_time_influence(k, s.steps.first, s.steps.last, s.status, tau)
                for s in steps
            ]
            covariance = covariance_of_groups(influences, None)
        else:
            assert isinstance(y, Outcome)
            influences = [
                r.weight * s.lost_time_influence(k, r.first, r.last, y.event[r.index], tau)
                for s, r in zip(steps, rows, strict=True)
            ]
            covariance = covariance_of_groups(influences, [r.cluster for r in rows])
        std_error = np.sqrt(np.diag(covariance))
        out = {
            "group": labels,
            "cause": cause,
            "tau": float(tau),
            "rmtl": estimates,
            "std_error": std_error,
            "lower": np.maximum(estimates - z * std_error, 0.0),
            "upper": np.minimum(estimates + z * std_error, tau),
        }
        tables.append(pd.DataFrame(out))
        contrast = contrast_table(
            labels,
            estimates,
            covariance,
            kinds=("difference", "ratio"),
            level=level,
            horizon=float(tau),
        )
        contrast.insert(0, "cause", cause)
        contrasts.append(contrast)
    table = pd.concat(tables, ignore_index=True)
    order = {label: g for g, label in enumerate(labels)}
    table = table.sort_values(
        ["group", "cause"], key=lambda c: c.map(order) if c.name == "group" else c
    )
    return RestrictedTimeLost(
        table=table.reset_index(drop=True),
        contrast=pd.concat(contrasts, ignore_index=True),
        tau=float(tau),
        level=level,
    )
