r"""Counting transitions on a grid of times.

On the grid of times at which anybody moves, :math:`Y_j` is the (weighted) number at risk in state j,
:math:`D_{jl}` the (weighted) number of moves from j to l, and :math:`dA_{jl}=D_{jl}/Y_j`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import SupportError
from fiac_survival.kernels import multistate as kernels
from fiac_survival.kernels.step_curves import sum_at_risk
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_steps import HazardSteps, PlacedRows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def place_rows(
    data: TransitionData, chosen: Ints, weight: Floats, since: float
) -> tuple[Floats, PlacedRows]:
    """Put intervals on the grid of the times at which they end by a transition.

    Parameters
    ----------
    data : TransitionData
        The data.
    chosen : (n,) int64
        Intervals to take.
    weight : (N,) float64
        Weight of every interval of the data.
    since : float
        Time after which they count.

    Returns
    -------
    time : (m,) float64
        Grid.
    rows : PlacedRows
        The intervals that end after `since`.
    """
    chosen = chosen[data.outcome.time[chosen] > since]
    begin, end = data.outcome.entry_or_zero()[chosen], data.outcome.time[chosen]
    transition = data.transition[chosen]
    time = np.unique(end[transition >= 0])
    person, labels = np.unique(data.person[chosen], return_inverse=True)[::-1]
    first = np.searchsorted(time, np.maximum(begin, since), side="right").astype(np.int64)
    last = np.searchsorted(time, end, side="right").astype(np.int64) - 1
    rows = PlacedRows(
        first=first,
        last=last,
        state=np.ascontiguousarray(data.state[chosen]),
        transition=np.ascontiguousarray(transition),
        person=person.astype(np.int64),
        weight=np.ascontiguousarray(weight[chosen]),
        persons=int(labels.size),
    )
    return time, rows


def count_transitions(
    data: TransitionData, time: Floats, rows: PlacedRows
) -> tuple[Floats, Floats]:
    """Count those at risk and those who move.

    Parameters
    ----------
    data : TransitionData
        For states and transitions.
    time : (m,) float64
        Grid.
    rows : PlacedRows
        The intervals.

    Returns
    -------
    at_risk : (m, S) float64
        Weighted numbers at risk in each state.
    events : (m, K) float64
        Weighted transitions.
    """
    m, size = time.size, len(data.states)
    at_risk, events = np.zeros((m, size)), np.zeros((m, data.source.size))
    members, leavers = np.zeros((m, size)), np.zeros((m, size))
    for j in range(size):
        mine = rows.state == j
        for amount, out in ((rows.weight[mine], at_risk), (np.ones(int(mine.sum())), members)):
            column = np.zeros(m)
            sum_at_risk(rows.first[mine], rows.last[mine], amount, column)
            out[:, j] = column
    moved = rows.transition >= 0
    where = (rows.last[moved], rows.transition[moved])
    np.add.at(events, where, rows.weight[moved])
    np.add.at(leavers, (rows.last[moved], rows.state[moved]), 1.0)
    for j in range(size):
        # Where all leave, the increments must add up to exactly 1.
        everybody = (leavers[:, j] > 0) & (leavers[:, j] == members[:, j])
        at_risk[everybody, j] = events[everybody][:, data.source == j].sum(axis=1)
    return at_risk, events


def hazard_steps(
    data: TransitionData,
    chosen: Ints,
    weight: Floats,
    *,
    since: float,
    variance: Any,
    one_by_one: bool = False,
) -> HazardSteps:
    """Nelson-Aalen increments of all transitions.

    Parameters
    ----------
    data : TransitionData
        The data.
    chosen : (n,) int64
        Intervals to take.
    weight : (N,) float64
        Weight of every interval of the data.
    since : float
        Time after which they count.
    variance : {"aalen", "greenwood", "jackknife"}
        How the increments vary.
    one_by_one : bool, default False
        Take tied transitions of one kind one after the other (Fleming and Harrington), which needs unit
        weights and Aalen's variance.

    Returns
    -------
    HazardSteps
        Increments and what is needed for their variance.

    Raises
    ------
    SupportError
        If increments taken one by one exceed 1.
    """
    time, rows = place_rows(data, chosen, weight, since)
    at_risk, events = count_transitions(data, time, rows)
    risk_of_source = at_risk[:, data.source]
    hazard = np.divide(events, risk_of_source, out=np.zeros_like(events), where=events > 0)
    noise = None
    if variance != "jackknife":
        noise = np.empty((time.size, data.source.size, data.source.size))
        kernels.increment_covariance(at_risk, events, data.source, variance == "greenwood", noise)
    if one_by_one and noise is not None:
        for u, k in np.argwhere(events > 1):
            left = risk_of_source[u, k] - np.arange(events[u, k])
            hazard[u, k], noise[u, k, k] = (1.0 / left).sum(), (1.0 / left**2).sum()
        require_support(data, "all", time, hazard)
    return HazardSteps(
        time=time,
        source=data.source,
        target=data.target,
        states=len(data.states),
        hazard=hazard,
        last_time=float(data.outcome.time[chosen].max()) if chosen.size else since,
        at_risk=at_risk,
        noise=noise,
        noise_updated=variance == "aalen",
        rows=rows if variance == "jackknife" else None,
    )


def require_support(data: TransitionData, name: Any, time: Floats, hazard: Floats) -> None:
    """Refuse increments out of a state that add up to more than 1.

    Parameters
    ----------
    data : TransitionData
        For the states.
    name : object
        Label of the group or profile, for the message.
    time : (m,) float64
        Grid.
    hazard : (m, K) float64
        Increments.

    Raises
    ------
    SupportError
        Naming the first time.
    """
    for j in range(len(data.states)):
        leaving = hazard[:, data.source == j].sum(axis=1)
        bad = np.flatnonzero(leaving > 1.0 + 1e-9)
        if bad.size:
            raise SupportError(
                "hazard increments must not exceed 1 out of any state",
                values={
                    "group": name,
                    "state": data.states[j],
                    "time": float(time[bad[0]]),
                    "increment": float(leaving[bad[0]]),
                },
                remedy='too few are at risk there: leave ties at "breslow"',
            )


def cut_to_one(data: TransitionData, hazard: Floats) -> Floats:
    """Cut increments out of a state that add up to more than 1, in place and in proportion.

    Parameters
    ----------
    data : TransitionData
        For the states.
    hazard : (m, K) float64
        Increments.

    Returns
    -------
    (m, S) float64
        By how much the sums exceeded 1.
    """
    excess = np.zeros((hazard.shape[0], len(data.states)))
    for j in range(len(data.states)):
        leaving = data.source == j
        total = hazard[:, leaving].sum(axis=1)
        excess[:, j] = np.maximum(total - 1.0, 0.0)
        hazard[:, leaving] /= np.maximum(total, 1.0)[:, None]
    return excess
