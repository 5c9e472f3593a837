"""Survival at fixed times, by group, and its contrasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.contrasts import contrast_table, covariance_of_groups
from fiac_survival.survival.influence import survival_influence
from fiac_survival.survival.inputs import Source, as_risk_table, rows_by_group, times_array
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.steps import Steps, steps_by_group


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Milestone(Result):
    """Survival at fixed times and its contrasts.

    Attributes
    ----------
    table : DataFrame
        group, time, n_risk, survival, std_error, lower, upper.
    contrast : DataFrame
        time, group, reference, contrast (difference, ratio, log-log difference), estimate,
        std_error, scale, lower, upper, p_value: each group against the first.
    level : float
        Confidence level.
    """

    contrast: pd.DataFrame
    level: float


@single_threaded_blas
def milestone(
    y: Source,
    *,
    times: Any,
    group: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> Milestone:
    """Estimate survival at fixed times by group, and compare.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    times : float or array-like of float
        Times, within the follow-up of every group.
    group : array-like, shape (n,), optional
        Labels; the first in order is the reference of the contrasts.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; they may span groups.
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale of the groups' intervals.

    Returns
    -------
    Milestone
        Probabilities and contrasts.

    Raises
    ------
    DataError
        If a time lies beyond the follow-up of a group whose curve has not reached 0.

    References
    ----------
    Klein JP, Logan B, Harhoff M, Andersen PK. Analyzing survival curves at a fixed point in time.
    Stat Med 2007;26:4505-4519.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 0, 0, 1, 0])
    >>> result = fs.survival.milestone(y, times=6, group=["a", "a", "a", "b", "b", "b"])
    >>> result.table["survival"].round(3).tolist()
    [0.333, 0.667]
    """
    moments = times_array(times)
    curve = kaplan_meier(
        y, group=group, weights=weights, cluster=cluster, level=level, transform=transform
    )
    steps = steps_by_group(as_risk_table(y, "milestone", group=group, weights=weights))
    require_within(steps, moments)
    table = curve.at(moments)
    labels = [s.label for s in steps]
    rows = None
    if cluster is not None:
        rows = rows_by_group(y, steps, group=group, weights=weights, cluster=cluster)  # type: ignore[arg-type]
    parts = []
    for t in moments:
        here = table[table["time"] == t].drop_duplicates("group")
        if rows is None:
            covariance = np.diag(here["std_error"].to_numpy() ** 2)
        else:
            influences = [
                r.weight * survival_influence(s, r.first, r.last, r.event, t)
                for s, r in zip(steps, rows, strict=True)
            ]
            covariance = covariance_of_groups(influences, [r.cluster for r in rows])
        contrast = contrast_table(
            labels,
            here["survival"].to_numpy(),
            covariance,
            kinds=("difference", "ratio", "log-log difference"),
            level=level,
            horizon=float(t),
        )
        contrast.insert(0, "time", t)
        parts.append(contrast)
    return Milestone(table=table, contrast=pd.concat(parts, ignore_index=True), level=level)


def require_within(steps: list[Steps], times: Any) -> None:
    """Refuse times that some group's follow-up does not reach.

    Parameters
    ----------
    steps : list of Steps
        The groups.
    times : (k,) float64
        Times.

    Raises
    ------
    DataError
        With the time and the last time of the group that ends first.
    """
    latest = float(np.max(times))
    short = [s for s in steps if s.last_time < latest and s.survival[-1] > 0]
    if short:
        first = min(short, key=lambda s: s.last_time)
        raise DataError(
            "a milestone must lie within the follow-up of every group",
            values={"time": latest, "last time": first.last_time, "group": first.label},
            remedy=f"pass times <= {first.last_time:g}",
        )
