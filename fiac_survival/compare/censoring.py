r"""Inverse-probability-of-censoring weights, as rows in counting-process form.

If leaving observation depends on covariates, those still observed at u are no sample of those who would
be. A row at risk at u gets the weight

.. math:: w_i(u) = \frac{G_0(u-\mid g_i)}{G(u-\mid x_i,g_i)},\qquad
          G(u-\mid x) = \prod_{c<u}\{1-d\Lambda_C(c\mid x)\},

the product over times of censoring before u; events come before censorings at equal times. The numerator
is the product-limit curve of censoring in the row's group (stabilised) or 1. With delayed entry both
count from the entry. Weights change with time, so each row is cut: at the event times between which
somebody was lost (then every risk set has its exact weights), or at times that the caller gives (then a
piece has the weight of its beginning).

Models of :math:`\Lambda_C`: product limit by group; Cox with covariates, stratified by group, also with
several rows a person whose covariates change; pooled logistic regression over the caller's intervals.
They are right if, given what the model has, being censored tells nothing of the time of the event. The
weights are then taken as known, which makes intervals too wide rather than too narrow.

Sources: Robins and Finkelstein 2000; Hernan, Brumback, Robins 2000 (pooled logistic).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.censoring_models import (
    CensoringRows,
    Hazards,
    cox_hazard,
    pooled_hazard,
    product_limit,
)
from fiac_survival.core import columns
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CensoringModel = Literal["kaplan_meier", "cox", "pooled_logistic"]
MOST_ROWS = 50_000_000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CensoringWeights(Result):
    """Rows cut where their weight changes, and the weights.

    Attributes
    ----------
    table : DataFrame
        time, n_risk, mean, minimum, maximum, ess: the weights of those at risk at times of follow-up.
    outcome : Outcome
        The pieces, for :func:`fiac_survival.survival.kaplan_meier`, ``cox`` and others.
    row : (m,) int64
        Row of the data that each piece is of: take covariates and groups by it.
    person : (m,) int64
        Person number, to be passed as `cluster`.
    weights : (m,) float64
        Weight of each piece.
    coefficients : DataFrame or None
        The model of censoring: term, coef, std_error (pooled logistic: term, coef).
    model : str
        What was asked for.
    stabilised : bool
        Whether the numerator is the curve of the group.
    truncated : int
        Pieces whose weight was truncated.
    """

    outcome: Outcome
    row: Ints
    person: Ints
    weights: Floats
    coefficients: pd.DataFrame | None
    model: CensoringModel
    stabilised: bool
    truncated: int


@single_threaded_blas
def censoring_weights(
    y: Outcome,
    X: Any = None,
    *,
    data: Any = None,
    model: CensoringModel = "cox",
    group: Any = None,
    person: Any = None,
    lost: Any = None,
    cut: Any = None,
    stabilised: bool = True,
    truncate: float | None = None,
) -> CensoringWeights:
    """Weigh those still observed for those like them who were lost.

    Parameters
    ----------
    y : Outcome
        Rows; several rows a person are allowed, with `person`. Any event codes.
    X : DataFrame or 2-D array of shape (n, p), or str, optional
        Covariates of the model of censoring, or a formula; not with "kaplan_meier".
    data : DataFrame, optional
        The table that a formula refers to.
    model : {"cox", "kaplan_meier", "pooled_logistic"}, default "cox"
        Model of censoring.
    group : array-like, shape (n,), optional
        Labels; each has its own baseline of censoring, and its own numerator.
    person : array-like, shape (n,), optional
        Whose row it is, if a person has several.
    lost : array-like of bool, shape (n,), optional
        Which censorings the model is about; left out, all. Censoring at the cut-off date that tells
        nothing of the patient can be left out of it.
    cut : array-like of float, optional
        Times at which weights may change; needed for "pooled_logistic". Left out: at event times.
    stabilised : bool, default True
        Numerator: the product-limit curve of the group. With "kaplan_meier" these weights are 1.
    truncate : float, optional
        Quantile above which weights are set to it, e.g. 0.99. Never implicit.

    Returns
    -------
    CensoringWeights
        Pieces and weights.

    Raises
    ------
    DataError
        If nobody was lost, options exclude each other, a time is 0, rows of a person overlap, or the
        pieces are too many.

    References
    ----------
    Robins JM, Finkelstein DM. Correcting for noncompliance and dependent censoring in an AIDS clinical
    trial with inverse probability of censoring weighted (IPCW) log-rank tests. Biometrics
    2000;56:779-788.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[2, 3, 4, 5, 6, 7], event=[1, 0, 1, 0, 1, 1])
    >>> w = fs.compare.censoring_weights(y, [[1], [1], [0], [0], [1], [0]])
    >>> w.weights[w.row == 5].round(2).tolist()
    [1.0, 0.93, 0.81]
    >>> km = fs.survival.kaplan_meier(w.outcome, weights=w.weights, cluster=w.person)
    >>> km.at([6])["survival"].round(2).tolist()
    [0.27]
    """
    require_choice(model, CensoringModel, "model")
    rows, cuts = _check(y, X, model, group, person, lost, cut, stabilised, truncate)
    design = None
    if X is not None:
        design = make_design(X, data, n=len(y))
    coefficients, n_iter, gradient = None, 0, 0.0
    numerator = product_limit(rows)
    found: Hazards
    match model:
        case "kaplan_meier":
            found = numerator
        case "cox":
            assert design is not None
            found = cox_hazard(rows, design)
        case "pooled_logistic":
            assert design is not None
            assert cuts is not None
            found = pooled_hazard(rows, design, cuts)
        case _:
            assert_never(model)
    coefficients, n_iter, gradient = found.coefficients, found.n_iter, found.gradient_norm
    breaks = _breaks(rows) if cuts is None else cuts
    piece = _pieces(rows, breaks)
    exact = cuts is None
    log_weight = -_log_curve(found, rows, piece, exact)
    if stabilised:
        log_weight += _log_curve(numerator, rows, piece, exact)
    weights = np.exp(log_weight)
    truncated = 0
    if truncate is not None:
        limit = float(np.quantile(weights, truncate))
        truncated = int(np.count_nonzero(weights > limit))
        weights = np.minimum(weights, limit)
    outcome = Outcome(piece.stop, piece.event, entry=piece.start)
    return CensoringWeights(
        table=_summary(piece, weights, rows),
        n_iter=n_iter,
        gradient_norm=gradient,
        outcome=outcome,
        row=piece.row,
        person=rows.person[piece.row],
        weights=weights,
        coefficients=coefficients,
        model=model,
        stabilised=stabilised,
        truncated=truncated,
    )


@dataclass(frozen=True, eq=False)
class Pieces:
    """Rows cut at times: which row, from where to where, and its event code at the end."""

    row: Ints
    start: Floats
    stop: Floats
    event: Ints


def _check(
    y: Outcome,
    X: Any,
    model: CensoringModel,
    group: Any,
    person: Any,
    lost: Any,
    cut: Any,
    stabilised: bool,
    truncate: float | None,
) -> tuple[CensoringRows, Floats | None]:
    if not isinstance(y, Outcome):
        raise DataError(
            "censoring_weights takes an Outcome",
            values={"type": type(y).__name__},
            remedy="it needs rows, not a risk table",
        )
    n = len(y)
    if (model == "kaplan_meier") != (X is None):
        raise DataError(
            '"kaplan_meier" takes no covariates, the other models need them',
            values={"model": model, "X": "missing" if X is None else "given"},
            remedy='pass X, or model="kaplan_meier" with group',
        )
    if model == "kaplan_meier" and stabilised:
        raise DataError(
            "stabilised product-limit weights are all 1",
            values={"model": model, "stabilised": True},
            remedy="pass stabilised=False, or a model with covariates",
        )
    if model == "pooled_logistic" and cut is None:
        raise DataError(
            "pooled logistic regression needs the ends of its intervals",
            values={"cut": None},
            remedy="pass cut=, e.g. every month of follow-up",
        )
    if truncate is not None and not 0.5 < truncate < 1:
        raise DataError(
            "truncate must be an upper quantile", values={"truncate": truncate}, remedy="e.g. 0.99"
        )
    if (y.time <= 0).any():
        raise DataError(
            "censoring weights need positive times",
            count=int((y.time <= 0).sum()),
            row=int(np.argmin(y.time)),
            remedy="drop patients without follow-up, or move their time by half a unit",
        )
    left = y.event == 0
    if lost is not None:
        chosen = columns.require_finite(columns.numeric(lost, "lost", n=n), "lost")
        bad = np.flatnonzero((chosen != 0) & (y.event > 0))
        if bad.size:
            raise DataError(
                "who has an event was not lost",
                count=int(bad.size),
                row=int(bad[0]),
                remedy="mark censored rows only",
            )
        left &= chosen != 0
    codes = np.zeros(n, dtype=np.int64)
    if group is not None:
        codes = columns.labels(group, "group", n=n)[0]
    whose = np.arange(n, dtype=np.int64)
    if person is not None:
        whose = columns.labels(person, "person", n=n)[0]
    rows = CensoringRows(y, codes, whose, left & _last_of_person(y, whose))
    if not rows.lost.any():
        raise DataError(
            "somebody must have been lost",
            values={"rows": n, "lost": 0},
            remedy="there is nothing to weigh for: analyse the rows as they are",
        )
    return rows, None if cut is None else np.unique(times_array(cut, "cut"))


def _last_of_person(y: Outcome, person: Ints) -> NDArray[np.bool_]:
    order = np.lexsort((y.time, person))
    same = person[order][1:] == person[order][:-1]
    begin, end = y.entry_or_zero()[order], y.time[order]
    bad = np.flatnonzero(same & (begin[1:] < end[:-1]))
    if bad.size:
        raise DataError(
            "rows of a person must not overlap",
            count=int(bad.size),
            row=int(order[bad[0] + 1]),
            values={"entry": begin[bad[0] + 1], "end of the row before": end[bad[0]]},
            remedy="give each row its entry",
        )
    out = np.empty(order.size, dtype=np.bool_)
    out[order] = np.append(~same, True)
    return out


def _breaks(rows: CensoringRows) -> Floats:
    """Event times after which somebody is lost before the next one."""
    times = np.unique(rows.y.time[rows.y.event > 0])
    after = np.searchsorted(times, rows.y.time[rows.lost], side="right")
    return np.asarray(times[np.unique(after[after > 0]) - 1])


def _pieces(rows: CensoringRows, breaks: Floats) -> Pieces:
    start, stop = rows.y.entry_or_zero(), rows.y.time
    first = np.searchsorted(breaks, start, side="right")
    last = np.searchsorted(breaks, stop, side="left")
    count = last - first + 1
    total = int(count.sum())
    if total > MOST_ROWS:
        raise DataError(
            "the rows must not fall into too many pieces",
            values={"pieces": total, "most": MOST_ROWS},
            remedy="pass cut=, times at which weights may change",
        )
    row = np.repeat(np.arange(stop.size), count)
    place = np.arange(total) - np.repeat(np.cumsum(count) - count, count)
    edge = first[row] + place
    padded = np.append(breaks, np.inf)
    begin = np.where(place == 0, start[row], padded[np.maximum(edge - 1, 0)])
    end = np.minimum(padded[edge], stop[row])
    final = place == count[row] - 1
    return Pieces(row, begin, end, np.where(final, rows.y.event[row], 0).astype(np.int64))


def _log_curve(found: Hazards, rows: CensoringRows, piece: Pieces, exact: bool) -> Floats:
    """Read log G of each piece: before its end if exact, else from its beginning on."""
    before = found.carried(rows)[piece.row]
    here = found.cumulative(piece.row, piece.stop if exact else piece.start, before=exact)
    return np.asarray(before - (here - found.cumulative(piece.row, rows.start_of(piece.row))))


def _summary(piece: Pieces, weights: Floats, rows: CensoringRows) -> pd.DataFrame:
    times = np.quantile(rows.y.time[rows.y.event > 0], np.linspace(0.0, 1.0, 11), method="lower")
    out = []
    for moment in np.unique(times):
        w = weights[(piece.start < moment) & (moment <= piece.stop)]
        out.append(
            {
                "time": float(moment),
                "n_risk": w.size,
                "mean": float(w.mean()),
                "minimum": float(w.min()),
                "maximum": float(w.max()),
                "ess": float(w.sum() ** 2 / (w @ w)),
            }
        )
    return pd.DataFrame(out)
