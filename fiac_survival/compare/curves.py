"""Weighted survival curves of two arms whose bands know that weights are estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.effect import WeightVariance, _members, _weights_of, cluster_covariance
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, require_choice, survival_interval
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.influence import survival_influence
from fiac_survival.survival.inputs import rows_by_group, times_array
from fiac_survival.survival.steps import Steps, steps_by_group
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
CHUNK = 32


@single_threaded_blas
def weighted_curves(
    y: Outcome,
    treated: Any,
    *,
    times: Any,
    weights: Any = None,
    weight_variance: WeightVariance = "estimated",
    cluster: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> pd.DataFrame:
    """Survival of both arms at given times.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    times : array-like of float
        Times; those beyond an arm's follow-up are left out for that arm.
    weights : Weights or array-like of float, optional
        As in :func:`fiac_survival.compare.effect`.
    weight_variance : {"estimated", "fixed"}, default "estimated"
        Whether the band has the uncertainty of the weights.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together.
    level : float, default 0.95
        Confidence level.
    transform : str, default "log-log"
        Scale on which the interval is symmetric.

    Returns
    -------
    DataFrame
        arm (0 control, 1 treated), time, survival, std_error, lower, upper, and, in rows of data
        whatever the weights, n_risk (just before the time), n_event and n_censor (cumulated, the time
        included).

    Raises
    ------
    DataError
        If the weights come from a learner and "estimated" is asked for.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> curves = fs.compare.weighted_curves(y, [0, 0, 1, 1, 0, 1], times=[0, 4, 8])
    >>> curves.loc[curves["arm"] == 1, "survival"].round(3).tolist()
    [1.0, 1.0, 0.667]
    """
    require_choice(weight_variance, WeightVariance, "weight_variance")
    y.require_binary("weighted_curves", "one cause at a time")
    n = len(y)
    t = as_treated(treated, n=n)
    moments = np.unique(times_array(times))
    w, kind = _weights_of(weights, t, weight_variance)
    if kind == "bootstrap":
        raise DataError(
            "bands around curves have no closed form for weights from a learner",
            values={"weight_variance": weight_variance},
            remedy='pass weight_variance="fixed", or use effect() at single times',
        )
    members = _members(cluster, weights, n)
    used = np.flatnonzero(w > 0)
    inner = y.take(used) if used.size < n else y
    arm = t[used].astype(np.int64)
    steps = steps_by_group(RiskTable.from_outcome(inner, group=arm, weights=w[used]))
    rows = rows_by_group(inner, steps, group=arm, weights=w[used], cluster=None)
    parts = []
    for a, (s, r) in enumerate(zip(steps, rows, strict=True)):
        here = moments[(moments <= s.last_time) | (s.survival[-1] == 0.0)]
        variance = np.empty(here.size)
        for start in range(0, here.size, CHUNK):
            block = here[start : start + CHUNK]
            influence = np.zeros((n, block.size))
            for k, moment in enumerate(block):
                influence[used[r.index], k] = r.weight * survival_influence(
                    s, r.first, r.last, r.event, float(moment)
                )
            if kind == "estimated":
                influence += weights.correction(influence)
            variance[start : start + block.size] = np.diag(cluster_covariance(influence, members))
        parts.append(_arm_table(s, a, here, np.sqrt(variance), level, transform))
    return pd.concat(parts, ignore_index=True)


def _arm_table(
    s: Steps, arm: int, times: Floats, std_error: Floats, level: float, transform: Transform
) -> pd.DataFrame:
    last = np.searchsorted(s.time, times, side="right")
    survival = np.concatenate([[1.0], s.survival])[last]
    lower, upper = survival_interval(survival, std_error, level=level, transform=transform)
    return pd.DataFrame(
        {
            "arm": arm,
            "time": times,
            "survival": survival,
            "std_error": std_error,
            "lower": lower,
            "upper": upper,
            "n_risk": s.at_risk(times, in_weight=False).astype(np.int64),
            "n_event": np.concatenate([[0], np.cumsum(s.n_event)])[last],
            "n_censor": np.concatenate([[0], np.cumsum(s.n_censor)])[last],
        }
    )
