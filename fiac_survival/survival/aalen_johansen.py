r"""Cumulative incidence of competing risks (Aalen-Johansen), weighted and clustered.

.. math:: F_k(t)=\sum_{s\le t} S(s-)\,\frac{D_k(s)}{Y(s)},

with :math:`D_k` the (weighted) events of cause k, Y the (weighted) number at risk and S the
Kaplan-Meier curve of the first event of whatever cause. Variance: the infinitesimal jackknife
:math:`\sum_c(\sum_{i\in c}w_iG_i(t))^2` with the influence of
:mod:`fiac_survival.survival.incidence_steps`, weights taken as known. Without clusters it depends on
(entry, time, status) only, so a risk table is enough. With one cause and without weights and delayed
entry it is Greenwood's.

Sources: Aalen and Johansen 1978; Andersen, Borgan, Gill and Keiding 1993; Therneau, R ``survival``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.intervals import (
    Transform,
    normal_quantile,
    require_choice,
    survival_interval,
)
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.incidence_steps import CauseSteps, cause_steps
from fiac_survival.survival.inputs import Source, rows_by_group, times_array

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CumulativeIncidence(Result):
    """Cumulative incidences by group and cause with pointwise intervals.

    Attributes
    ----------
    table : DataFrame
        group, cause, time, n_risk, n_event (of the cause), incidence, std_error, lower, upper: one row
        per group, cause and distinct time. With weights the two counts are sums of weights. There is
        no interval where the incidence is 0.
    event_free : DataFrame
        group, time, n_risk, n_event (of any cause), survival: the Kaplan-Meier curve of the first
        event; with the incidences it adds to 1.
    level : float
        Confidence level of the limits.
    transform : str
        Scale on which the interval is symmetric.
    variance : str
        "infinitesimal jackknife" or "clustered infinitesimal jackknife".
    """

    event_free: pd.DataFrame
    level: float
    transform: Transform
    variance: str
    _steps: list[CauseSteps] = field(repr=False)

    def at(self, times: Any) -> pd.DataFrame:
        """Read the incidences at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times; beyond a group's last time its last value is carried on, with nobody at risk.

        Returns
        -------
        DataFrame
            group, cause, time, n_risk (just before the time), incidence, std_error, lower, upper.

        Raises
        ------
        DataError
            If a time is negative or not finite.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> result = fs.survival.aalen_johansen(fs.Outcome([2, 3, 5, 7], [1, 2, 1, 0]))
        >>> result.at(6)[["cause", "incidence"]].values.tolist()
        [[1.0, 0.5], [2.0, 0.25]]
        """
        moments = times_array(times)
        values = {"incidence": 0.0, "std_error": 0.0, "lower": np.nan, "upper": np.nan}
        columns = {name: self.table[name].to_numpy() for name in values}
        parts = []
        start = 0
        for s in self._steps:
            m = s.steps.time.size
            last = np.searchsorted(s.steps.time, moments, side="right") - 1
            n_risk = s.steps.at_risk(moments, in_weight=True)
            if not s.steps.weighted:
                n_risk = n_risk.astype(np.int64)
            for cause in s.causes:
                read = {
                    name: np.where(last >= 0, columns[name][start + np.maximum(last, 0)], first)
                    for name, first in values.items()
                }
                start += m
                head = {"group": s.steps.label, "cause": cause, "time": moments, "n_risk": n_risk}
                parts.append(pd.DataFrame(head | read))
        return pd.concat(parts, ignore_index=True)


@single_threaded_blas
def aalen_johansen(
    y: Source,
    *,
    group: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> CumulativeIncidence:
    """Estimate the cumulative incidence of each cause by group.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic; event codes 0 (censored), 1, 2, ...
    group : array-like, shape (n,), optional
        Labels; one curve a label and cause.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together (one person's rows, a matched pair).
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale of the incidence on which the interval is symmetric; R's ``survfit`` takes "log".

    Returns
    -------
    CumulativeIncidence
        Its table has the unit of the outcome's times.

    Raises
    ------
    DataError
        If no event occurs, a weight is not positive, or a risk table comes with `group`, `weights`
        or `cluster`.

    References
    ----------
    Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based on
    censored observations. Scand J Stat 1978;5:141-150.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 5, 8, 10, 12], event=[1, 2, 0, 1, 0, 2])
    >>> result = fs.survival.aalen_johansen(y)
    >>> last = result.table.groupby("cause")["incidence"].last()
    >>> last.round(3).to_dict()
    {1: 0.389, 2: 0.611}
    """
    require_choice(transform, Transform, "transform")
    normal_quantile(level)
    steps = cause_steps(y, "aalen_johansen", group=group, weights=weights, cluster=cluster)
    kind = "infinitesimal jackknife"
    variances: list[Floats] = []
    if cluster is None:
        variances = [s.variance(k, None, None) for s in steps for k in range(s.causes.size)]
    else:
        assert isinstance(y, Outcome)
        kind = "clustered infinitesimal jackknife"
        base = [s.steps for s in steps]
        rows = rows_by_group(y, base, group=group, weights=weights, cluster=cluster)
        for s, r in zip(steps, rows, strict=True):
            variances += [s.variance(k, r, y.event[r.index]) for k in range(s.causes.size)]
    std_error = np.sqrt(np.concatenate(variances))
    out = _table(steps)
    incidence = np.concatenate([s.incidence.ravel() for s in steps])
    lower, upper = survival_interval(incidence, std_error, level=level, transform=transform)
    return CumulativeIncidence(
        table=out.assign(incidence=incidence, std_error=std_error, lower=lower, upper=upper),
        event_free=_event_free(steps),
        level=level,
        transform=transform,
        variance=kind,
        _steps=steps,
    )


def _table(steps: list[CauseSteps]) -> pd.DataFrame:
    """Group, cause, time and counts, one row per group, cause and time."""
    labels = np.empty(len(steps), dtype=object)
    labels[:] = [s.steps.label for s in steps]
    labels = pd.Series(labels).infer_objects().to_numpy()
    sizes = [s.incidence.size for s in steps]
    weighted = steps[0].steps.weighted
    return pd.DataFrame(
        {
            "group": np.repeat(labels, sizes),
            "cause": np.concatenate([np.repeat(s.causes, s.steps.time.size) for s in steps]),
            "time": np.concatenate([np.tile(s.steps.time, s.causes.size) for s in steps]),
            "n_risk": np.concatenate(
                [
                    np.tile(s.steps.w_risk if weighted else s.steps.n_risk, s.causes.size)
                    for s in steps
                ]
            ),
            "n_event": np.concatenate(
                [(s.w_event if weighted else s.n_event).ravel() for s in steps]
            ),
        }
    )


def _event_free(steps: list[CauseSteps]) -> pd.DataFrame:
    parts = []
    for s in (each.steps for each in steps):
        risk, event = (s.w_risk, s.w_event) if s.weighted else (s.n_risk, s.n_event)
        columns = {"time": s.time, "n_risk": risk, "n_event": event, "survival": s.survival}
        parts.append(pd.DataFrame({"group": s.label} | columns))
    return pd.concat(parts, ignore_index=True)
