r"""Concordance of a score with survival, and its standard error.

An event of row i at t and a row j at risk at t that outlives it (:math:`T_j>t`, or :math:`T_j=t` and
censored; :math:`a_j<t`) make a comparable pair, of weight :math:`w_iw_j\omega(t)`. It is concordant if
i has the higher score. With the sums c, d and t of concordant, discordant and score-tied pairs,

.. math:: C=\frac{c+t/2}{c+d+t},

and its variance is the infinitesimal jackknife's: :math:`\sum_i (w_i\,\partial C/\partial w_i)^2`, summed
within clusters first; ω is taken as known. Pairs are made within strata. ω = 1 gives Harrell's C,
:math:`1/G(t-)^2` Uno's, with G the Kaplan-Meier curve of censoring; :math:`S(t-)/Y(t)` and
:math:`S(t-)/(G(t-)Y(t))` weigh an event time by the survivors that there are, or would be without
censoring.

Sources: Harrell, Califf, Pryor and others 1982; Uno, Cai, Pencina and others 2011; Therneau and Watson 2015
(R ``concordance``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.kernels.concordance import count_pairs

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TimeWeight = Literal["n", "S", "S/G", "n/G2"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Concordance(Result):
    """Concordance of a score with survival.

    Attributes
    ----------
    table : DataFrame
        concordance, std_error, lower, upper.
    counts : DataFrame
        stratum and the weighted pairs: concordant, discordant, tied_score, tied_time, tied_both.
    influence : (n,) float64
        Weight of each row times the derivative of the concordance by it.
    time_weight : str
        What was asked for.
    level : float
        Confidence level.
    """

    counts: pd.DataFrame
    influence: Floats
    time_weight: TimeWeight
    level: float

    @property
    def estimate(self) -> float:
        """The concordance."""
        return float(self.table["concordance"].iloc[0])

    @property
    def std_error(self) -> float:
        """Its standard error."""
        return float(self.table["std_error"].iloc[0])


def concordance(
    y: Outcome,
    score: Any,
    *,
    strata: Any = None,
    weights: Any = None,
    cluster: Any = None,
    time_weight: TimeWeight = "n",
    until: float | None = None,
    level: float = 0.95,
) -> Concordance:
    """Estimate how often the higher score has the earlier event.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    score : array-like of float, shape (n,)
        A risk score: higher foretells earlier events. Pass ``-score`` for a predicted survival time.
    strata : array-like, shape (n,), optional
        Labels; pairs are made within strata.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together.
    time_weight : {"n", "S", "S/G", "n/G2"}, default "n"
        Weight of the pairs at each event time: "n" is Harrell's C, "n/G2" Uno's. Those with G need
        outcomes without delayed entry.
    until : float, optional
        Leave out pairs whose event is later.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Concordance
        Estimate, standard error, pairs.

    Raises
    ------
    DataError
        If no pair is comparable, or the option is unknown.

    References
    ----------
    Harrell FE, Califf RM, Pryor DB and others. Evaluating the yield of medical tests. JAMA
    1982;247:2543-2546.
    Uno H, Cai T, Pencina MJ, D'Agostino RB, Wei LJ. On the C-statistics for evaluating overall adequacy
    of risk prediction procedures with censored survival data. Stat Med 2011;30:1105-1117.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> found = fs.survival.concordance(y, [2, 3, 1, 0, 4, 1])
    >>> round(found.estimate, 4), found.counts["concordant"].tolist()
    (0.8214, [11.0])
    """
    require_choice(time_weight, TimeWeight, "time_weight")
    if not isinstance(y, Outcome):
        raise DataError(
            "concordance takes an Outcome",
            values={"type": type(y).__name__},
            remedy="make one: fs.Outcome(time, event)",
        )
    y.require_binary("concordance", "one concordance a cause")
    y.require_events("concordance")
    n = len(y)
    values = columns.require_finite(columns.numeric(score, "score", n=n), "score")
    weight = np.ones(n) if weights is None else require_positive_weights(weights, n)
    stratum, labels = np.zeros(n, dtype=np.int64), ["all"]
    if strata is not None:
        stratum, labels = columns.labels(strata, "strata", n=n)
    members = None if cluster is None else columns.labels(cluster, "cluster", n=n)[0]
    return concordance_of(
        y.time,
        y.event > 0,
        y.entry,
        values,
        stratum=stratum,
        labels=labels,
        weight=weight,
        members=members,
        time_weight=time_weight,
        until=until,
        level=level,
    )


def concordance_of(
    time: Floats,
    event: NDArray[np.bool_],
    entry: Floats | None,
    score: Floats,
    *,
    stratum: Ints,
    labels: list[Any],
    weight: Floats,
    members: Ints | None,
    time_weight: TimeWeight,
    until: float | None,
    level: float,
) -> Concordance:
    """Concordance of checked arrays.

    Parameters
    ----------
    time, event, entry, score, stratum, weight : (n,)
        Rows; entry None without left truncation.
    labels : list
        Labels of the strata.
    members : (n,) int64 or None
        Cluster codes.
    time_weight, until, level
        As in :func:`concordance`.

    Returns
    -------
    Concordance
        Estimate, standard error, pairs.

    Raises
    ------
    DataError
        If no pair is comparable, or G is asked for with delayed entry.
    """
    z = normal_quantile(level)
    if until is not None and not until > 0:
        raise DataError("until must be positive", values={"until": until}, remedy="until=365, say")
    n = time.size
    order = np.lexsort((~event, time, stratum))
    bounds = np.searchsorted(stratum[order], np.arange(len(labels) + 1))
    begin = np.full(n, -1.0) if entry is None else np.where(entry > 0, entry, -1.0)
    t, e, a, w = time[order], event[order], begin[order], weight[order]
    rank = _ranks(score[order], stratum[order], bounds)
    omega = np.ones(n)
    for s in range(len(labels)):
        part = slice(bounds[s], bounds[s + 1])
        if np.count_nonzero(e[part]) > 1:
            omega[part] = _time_weights(t[part], e[part], a[part], w[part], time_weight)
    if until is not None:
        omega[t > until] = 0.0
    counts, influence = np.zeros((len(labels), 5)), np.zeros((n, 3))
    by_entry = np.lexsort((a, stratum[order]))
    count_pairs(bounds, t, a, by_entry, e.astype(np.int64), rank, w, omega, counts, influence)
    concordant, discordant, tied = counts[:, :3].sum(axis=0)
    pairs = concordant + discordant + tied
    if not pairs > 0:
        raise DataError(
            "concordance needs at least one comparable pair",
            values={"rows": n, "events": int(e.sum())},
            remedy="somebody must outlive an event (within strata, up to until)",
        )
    estimate = (concordant + tied / 2.0) / pairs
    each = np.empty(n)
    each[order] = (
        w * (influence[:, 0] + influence[:, 2] / 2.0 - estimate * influence.sum(axis=1)) / pairs
    )
    sums = each if members is None else np.bincount(members, weights=each)
    std_error = float(np.sqrt(np.sum(sums * sums)))
    names = ["concordant", "discordant", "tied_score", "tied_time", "tied_both"]
    table = pd.DataFrame(counts, columns=names)
    table.insert(0, "stratum", labels)
    return Concordance(
        table=pd.DataFrame(
            {
                "concordance": [estimate],
                "std_error": std_error,
                "lower": max(estimate - z * std_error, 0.0),
                "upper": min(estimate + z * std_error, 1.0),
            }
        ),
        counts=table,
        influence=each,
        time_weight=time_weight,
        level=level,
    )


def _ranks(score: Floats, stratum: Ints, bounds: Ints) -> Ints:
    """Rank of each score within its stratum, ties sharing one."""
    order = np.lexsort((score, stratum))
    changed = np.ones(score.size, dtype=np.int64)
    changed[1:] = (np.diff(score[order]) != 0) | (np.diff(stratum[order]) != 0)
    dense = np.cumsum(changed) - 1
    first = dense[bounds[:-1]]
    out = np.empty(score.size, dtype=np.int64)
    out[order] = dense - first[stratum[order]]
    return out


def _time_weights(
    time: Floats, event: NDArray[np.bool_], entry: Floats, weight: Floats, kind: TimeWeight
) -> Floats:
    """ω at the time of each row of one stratum, rows ascending in time."""
    if kind == "n":
        return np.ones(time.size)
    grid, place = np.unique(time, return_inverse=True)
    risk = _at_risk(grid, place, entry, weight)
    died = np.bincount(place, weights=weight * event)
    before = np.concatenate([[1.0], np.cumprod(1.0 - died / risk)[:-1]])
    if kind == "S":
        return np.asarray((weight.sum() * before / risk)[place])
    if (entry > 0).any():
        raise DataError(
            "a time weight with the curve of censoring takes no delayed entry",
            values={"time_weight": kind},
            remedy='use time_weight="n" or "S"',
        )
    lost = np.bincount(place, weights=weight * ~event)
    # Events come before censorings at equal times.
    left = np.divide(lost, risk - died, out=np.zeros(grid.size), where=lost > 0)
    uncensored = np.concatenate([[1.0], np.cumprod(1.0 - left)[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        match kind:
            case "S/G":
                omega = weight.sum() * before / (uncensored * risk)
            case "n/G2":
                omega = 1.0 / uncensored**2
            case _:
                assert_never(kind)
    return np.where(event, omega[place], 0.0)


def _at_risk(grid: Floats, place: Ints, entry: Floats, weight: Floats) -> Floats:
    """Weight at risk at each grid time."""
    left = np.bincount(place, weights=weight, minlength=grid.size)
    begun = np.bincount(
        np.searchsorted(grid, entry, side="right"), weights=weight, minlength=grid.size + 1
    )[: grid.size]
    return np.asarray(np.cumsum(begun) - np.concatenate([[0.0], np.cumsum(left)[:-1]]))
