"""Fitting the Cox model: rows in order, Newton steps, and what happens when there is no maximum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import Design
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.kernels import cox as kernels
from fiac_survival.kernels.fine_gray import log_risk_sets
from fiac_survival.survival.fine_gray_tail import Tail

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAX_ITERATIONS = 40
SMALL_DECREMENT = 1e-9
SMALL_STEP = 1e-4
LARGE_COEFFICIENT = 5.0


@dataclass(frozen=True, eq=False)
class SortedRows:
    """Rows in the order that the kernels want, with standardised covariates.

    Attributes
    ----------
    x : (n, p) float64
        Covariates minus `centre`, over `scale`, rows ascending in `stop`.
    order : (n,) int64
        Row numbers of the outcome, in this order.
    time, entry : (n,) float64
        Times of the outcome.
    weight, event, start, stop, stratum, by_start
        As :mod:`fiac_survival.kernels.cox` has them.
    block_time : (B,) float64
        Distinct event times, ascending within stratum.
    block_stratum : (B,) int64
        Their strata.
    strata : list
        Labels of the strata.
    centre, scale : (p,) float64
        What standardises the covariates.
    efron : bool
        Treatment of ties.
    tail : Tail or None
        Rows that stay in the risk sets after a competing event (Fine-Gray); None in a Cox model.
    """

    x: Floats
    order: Ints
    time: Floats
    entry: Floats
    weight: Floats
    event: NDArray[np.bool_]
    start: Ints
    stop: Ints
    stratum: Ints
    by_start: Ints
    block_time: Floats
    block_stratum: Ints
    strata: list[Any]
    centre: Floats
    scale: Floats
    efron: bool
    tail: Tail | None = None


@dataclass(frozen=True, eq=False)
class Pass:
    """One evaluation of the partial likelihood, on standardised covariates."""

    beta: Floats
    log_likelihood: float
    score: Floats
    information: Floats
    risk: Floats
    expected: Floats
    s0: Floats
    s1: Floats
    d0: Floats
    d1: Floats
    event_weight: Floats
    count: Ints
    ties: Floats
    cumulated: Floats


def sort_rows(
    y: Outcome, design: Design, *, weight: Floats | None, strata: Any, efron: bool
) -> SortedRows:
    """Put rows in the kernels' order.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    design : Design
        Covariates.
    weight : (n,) float64 or None
        Case weights.
    strata : array-like or None
        Labels.
    efron : bool
        Efron's treatment of ties.

    Returns
    -------
    SortedRows
        Rows ascending in the block at which they leave.

    Raises
    ------
    DataError
        If no event occurs.
    """
    n = len(y)
    stratum, labels = np.zeros(n, dtype=np.int64), ["all"]
    if strata is not None:
        stratum, labels = columns.labels(strata, "strata", n=n)
    event = y.event > 0
    start, stop = np.zeros(n, dtype=np.int64), np.empty(n, dtype=np.int64)
    times, owners, offset = [], [], 0
    for s in range(len(labels)):
        rows = slice(None) if len(labels) == 1 else np.flatnonzero(stratum == s)
        grid = _distinct(y.time[rows][event[rows]], whole=y.whole_times)
        stop[rows] = offset + np.searchsorted(grid, y.time[rows], side="right")
        start[rows] = offset
        if y.entry is not None:
            late = np.where(
                y.entry[rows] > 0, np.searchsorted(grid, y.entry[rows], side="right"), 0
            )
            start[rows] = offset + late
        times.append(grid)
        owners.append(np.full(grid.size, s, dtype=np.int64))
        offset += grid.size
    # Numpy sorts 16-bit integers by radix, in linear time.
    small = offset < np.iinfo(np.uint16).max
    order = np.argsort(stop.astype(np.uint16) if small else stop, kind="stable")
    centre = design.values.mean(axis=0)
    scale = np.abs(design.values - centre).mean(axis=0)
    x = (design.values[order] - centre) / scale
    sorted_start = start[order]
    by_start = np.empty(0, dtype=np.int64)
    if y.entry is not None:
        by_start = np.argsort(sorted_start, kind="stable")
    return SortedRows(
        x=np.ascontiguousarray(x),
        order=order,
        time=y.time[order],
        entry=y.entry_or_zero()[order],
        weight=np.ones(n) if weight is None else weight[order],
        event=event[order],
        start=sorted_start,
        stop=stop[order],
        stratum=stratum[order],
        by_start=by_start,
        block_time=np.concatenate(times),
        block_stratum=np.concatenate(owners),
        strata=labels,
        centre=centre,
        scale=scale,
        efron=efron,
    )


def _distinct(time: Floats, *, whole: bool) -> Floats:
    """Distinct times, ascending; whole numbers are counted instead of sorted."""
    if whole and time.size and time.max() < 4 * time.size:
        return np.flatnonzero(np.bincount(time.astype(np.int64))).astype(np.float64)
    return np.unique(time)


def evaluate(rows: SortedRows, beta: Floats) -> Pass:
    """Evaluate partial log-likelihood, score and information.

    Parameters
    ----------
    rows : SortedRows
        The data.
    beta : (p,) float64
        Coefficients of the standardised covariates.

    Returns
    -------
    Pass
        All sums that the estimates are made of.
    """
    n, p = rows.x.shape
    blocks = rows.block_time.size
    risk, expected = np.empty(n), np.empty(n)
    s0, d0, event_weight = np.empty(blocks), np.empty(blocks), np.empty(blocks)
    s1, d1 = np.empty((blocks, p)), np.empty((blocks, p))
    count = np.empty(blocks, dtype=np.int64)
    ties = np.empty((blocks, 5))
    cumulated = np.empty(blocks + len(rows.strata))
    with np.errstate(over="ignore", invalid="ignore"):
        log_likelihood = kernels.risk_sums(
            rows.x,
            rows.x @ beta,
            rows.weight,
            rows.event,
            rows.start,
            rows.stop,
            rows.by_start,
            rows.block_stratum,
            rows.efron,
            risk,
            s0,
            s1,
            d0,
            d1,
            event_weight,
            count,
        )
        if rows.tail is not None:
            rows.tail.add_sums(rows.x, risk, rows.block_stratum, s0, s1)
            log_likelihood = np.sum((rows.weight * (rows.x @ beta))[_happened(rows)])
            log_likelihood -= log_risk_sets(s0, d0, event_weight, count, rows.efron)
    kernels.tie_sums(s0, d0, event_weight, count, rows.efron, ties)
    cumulated[:] = 0.0
    kernels.cumulate(np.ascontiguousarray(ties[:, 0]), rows.block_stratum, cumulated)
    kernels.rows_hazard(
        risk,
        rows.event,
        rows.start,
        rows.stop,
        rows.stratum,
        cumulated,
        np.ascontiguousarray(ties[:, 1]),
        expected,
    )
    if rows.tail is not None:
        hazard = rows.tail.carried(ties[:, :1], rows.block_stratum)[:, 0]
        expected[rows.tail.row] += risk[rows.tail.row] * hazard
    score, information = np.empty(p), np.empty((p, p))
    kernels.score_and_information(
        rows.x,
        rows.weight * _happened(rows) - expected,
        expected,
        s1,
        d1,
        ties,
        score,
        information,
    )
    return Pass(
        beta=beta,
        log_likelihood=float(log_likelihood),
        score=score,
        information=information,
        risk=risk,
        expected=expected,
        s0=s0,
        s1=s1,
        d0=d0,
        d1=d1,
        event_weight=event_weight,
        count=count,
        ties=ties,
        cumulated=cumulated,
    )


def _happened(rows: SortedRows) -> NDArray[np.bool_]:
    """Rows whose event counts."""
    return np.asarray(rows.event & (rows.start < rows.stop))


def maximise(
    rows: SortedRows,
    design: Design,
    *,
    penalty: Floats | None = None,
    evaluation: Callable[[SortedRows, Floats], Pass] = evaluate,
) -> tuple[Pass, Pass, int]:
    """Find the maximum of the partial likelihood by Newton's method with step halving.

    Parameters
    ----------
    rows : SortedRows
        The data.
    design : Design
        For the names in messages.
    penalty : (p,) float64, optional
        Ridge penalty: half the sum of penalty times squared coefficient (of standardised covariates)
        is taken off the log-likelihood.
    evaluation : callable
        What computes a pass; :func:`evaluate` if left out.

    Returns
    -------
    start, end : Pass
        At zero and at the maximum; their parts are those of the likelihood without penalty.
    n_iter : int
        Newton steps.

    Raises
    ------
    DataError
        If a covariate does not vary within any risk set.
    ConvergenceError
        If the likelihood has no maximum (separation) or is not reached.
    """
    p = rows.x.shape[1]
    ridge = np.zeros(p) if penalty is None else penalty

    def height(at: Pass) -> float:
        return at.log_likelihood - float(np.sum(ridge * at.beta**2)) / 2.0

    start = now = evaluation(rows, np.zeros(p))
    _require_information(start, rows, design, np.flatnonzero(ridge == 0))
    for n_iter in range(1, MAX_ITERATIONS + 1):
        score = now.score - ridge * now.beta
        try:
            step = np.linalg.solve(now.information + np.diag(ridge), score)
        except np.linalg.LinAlgError:
            break
        decrement = float(score @ step)
        if not np.isfinite(decrement):
            break
        new = evaluation(rows, now.beta + step)
        floor = height(now) - 1e-9 * (1.0 + abs(now.log_likelihood))
        halvings = 0
        while not height(new) >= floor and halvings < 30:
            step = step / 2.0
            halvings += 1
            new = evaluation(rows, now.beta + step)
        now = new
        small_step = np.all(np.abs(step) <= SMALL_STEP * np.maximum(1.0, np.abs(now.beta)))
        if decrement <= SMALL_DECREMENT and small_step and halvings == 0:
            return start, now, n_iter
        if decrement <= SMALL_DECREMENT and n_iter >= 12:
            break
    _explain(rows, design, now)
    raise AssertionError("unreachable")  # pragma: no cover


def _require_information(start: Pass, rows: SortedRows, design: Design, free: Ints) -> None:
    """Refuse covariates without a penalty that have no information of their own."""
    if not free.size:
        return
    information = start.information[np.ix_(free, free)]
    diagonal = np.diag(information)
    total = float(start.event_weight.sum())
    for j, value in zip(free, diagonal, strict=True):
        if value <= 1e-10 * total:
            raise DataError(
                "a covariate must vary within the risk sets",
                values={"column": design.columns[j], "strata": len(rows.strata)},
                remedy="drop it: it is constant among those compared (within strata)",
            )
    correlation = information / np.sqrt(np.outer(diagonal, diagonal))
    smallest, vectors = np.linalg.eigh(correlation)
    if smallest[0] < 1e-12:
        worst = int(np.argmax(np.abs(vectors[:, 0])))
        raise DataError(
            "a covariate must not be a combination of the others within the risk sets",
            values={"column": design.columns[free[worst]]},
            remedy="drop the column",
        )


def _explain(rows: SortedRows, design: Design, now: Pass) -> None:
    """Say why there is no maximum: name the covariates along which the likelihood rises."""
    order, stop = np.arange(rows.stop.size), rows.stop
    if rows.tail is not None:
        # After a competing event a row stays to the end of its stratum.
        stop = stop.copy()
        stop[rows.tail.row] = np.searchsorted(rows.block_stratum, rows.tail.stratum, side="right")
        order = np.argsort(stop, kind="stable")
    late = np.argsort(rows.start[order], kind="stable") if rows.by_start.size else rows.by_start
    direction = now.beta / max(float(np.abs(now.beta).max()), 1e-300)
    big = [j for j in np.argsort(-np.abs(direction)) if abs(direction[j]) > 0.05]
    for columns_used in ([big[0]], big):
        value = rows.x[:, columns_used] @ direction[columns_used]
        spread = float(value.max() - value.min())
        if kernels.is_monotone(
            np.ascontiguousarray(value[order]),
            rows.event[order],
            rows.start[order],
            stop[order],
            late,
            rows.block_stratum,
            1e-7 * spread,
        ):
            names = [design.columns[j] for j in columns_used]
            signs = ["+" if direction[j] > 0 else "-" for j in columns_used]
            raise ConvergenceError(
                "the partial likelihood must have a maximum, but it rises without end "
                "(separation: every event has the highest risk score of those at risk)",
                values={
                    "covariates": ", ".join(names),
                    "coefficients go to": ", ".join(f"{s}infinity" for s in signs),
                },
                remedy="merge rare categories, drop the covariate, or compare the groups without a "
                "model (kaplan_meier, rmst)",
            )
    growing = [design.columns[j] for j in big if abs(now.beta[j]) > LARGE_COEFFICIENT]
    if growing:
        raise ConvergenceError(
            "the partial likelihood must have a maximum within reach, but it was still rising when "
            "coefficients had grown very large (near-separation)",
            values={"covariates": ", ".join(growing)},
            remedy="merge rare categories, use fewer covariates, or compare the groups without a model",
        )
    raise ConvergenceError(
        "the partial likelihood must be maximised",
        values={"iterations": MAX_ITERATIONS, "covariate still moving": design.columns[big[0]]},
        remedy="rescale or drop the covariate named",
    )
