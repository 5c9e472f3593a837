r"""Kernels of expected survival: persons walk through a table of population hazards.

The table has one hazard per key (sex, say), age band and calendar band, constant within; beyond its
edges the outermost band holds. From age :math:`\alpha_i` and date :math:`\kappa_i` at time 0 a person
has the population's hazard :math:`\lambda_i(u)` at age :math:`\alpha_i+u` and date :math:`\kappa_i+u`;
the walk is exact from one edge to the next.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Floats, Ints

CHUNKS = 16


@jit
def _band(cuts: Floats, value: float) -> int:
    """Find the band that holds a value: the last edge at or below it, or the first."""
    low = 0
    high = cuts.size
    while low < high:
        middle = (low + high) // 2
        if cuts[middle] <= value:
            low = middle + 1
        else:
            high = middle
    return max(low - 1, 0)


@jit
def _next_step(cuts: Floats, band: int, value: float, left: float) -> float:
    """Take the time to the next edge, at most what is left."""
    if value < cuts[0]:
        return min(left, float(cuts[0] - value))
    if band + 1 < cuts.size:
        return min(left, float(cuts[band + 1] - value))
    return left


@jit
def walk(
    rates: Floats,
    age_cuts: Floats,
    date_cuts: Floats,
    age: float,
    date: float,
    length: float,
    start_hazard: float,
    out: Floats,
) -> None:
    """Hazard and weighted time of one person over a stretch of time.

    Parameters
    ----------
    rates : (A, C) float64
        Hazards of the person's key, by age and calendar band.
    age_cuts, date_cuts : (A,), (C,) float64
        Lower edges.
    age, date : float
        At the begin of the stretch.
    length : float
        Length of the stretch.
    start_hazard : float
        Cumulative hazard up to there.
    out : (2,) float64
        Hazard of the stretch, and the integral of 1/S over it.
    """
    hazard = 0.0
    inverse = 0.0
    left = length
    while left > 0.0:
        a = _band(age_cuts, age)
        c = _band(date_cuts, date)
        step = _next_step(age_cuts, a, age, left)
        step = _next_step(date_cuts, c, date, step)
        rate = rates[a, c]
        base = np.exp(start_hazard + hazard)
        gain = rate * step
        if gain > 1e-12:
            inverse += base * np.expm1(gain) / rate
        else:
            inverse += base * step
        hazard += gain
        age += step
        date += step
        left = left - step if step < left else 0.0
    out[0] = hazard
    out[1] = inverse


@jit_parallel
def person_hazard(
    rates: Floats,
    age_cuts: Floats,
    date_cuts: Floats,
    key: Ints,
    age: Floats,
    date: Floats,
    entry: Floats,
    time: Floats,
    out: Floats,
) -> None:
    """Cumulative population hazard of each person between entry and time.

    Parameters
    ----------
    rates : (K, A, C) float64
        Hazards by key, age and calendar band.
    age_cuts, date_cuts : (A,), (C,) float64
        Lower edges.
    key : (n,) int64
        Each person's key.
    age, date : (n,) float64
        At time 0.
    entry, time : (n,) float64
        The stretch.
    out : (n,) float64
        Cumulative hazard.
    """
    for i in prange(key.size):
        found = np.empty(2)
        walk(
            rates[key[i]],
            age_cuts,
            date_cuts,
            age[i] + entry[i],
            date[i] + entry[i],
            time[i] - entry[i],
            0.0,
            found,
        )
        out[i] = found[0]


@jit_parallel
def expected_sums(
    rates: Floats,
    age_cuts: Floats,
    date_cuts: Floats,
    key: Ints,
    age: Floats,
    date: Floats,
    entry: Floats,
    time: Floats,
    event: Bools,
    weight: Floats,
    grid: Floats,
    everybody: bool,
    out: Floats,
) -> None:
    """Add over persons on each interval of a grid that holds all entries and exits.

    Parameters
    ----------
    rates, age_cuts, date_cuts, key, age, date
        As in :func:`person_hazard`.
    entry, time : (n,) float64
        When each person is at risk: entry < u <= time.
    event : (n,) bool
        Whether it ends with an event.
    weight : (n,) float64
        Case weights.
    grid : (m,) float64
        Ends of the intervals, ascending, positive.
    everybody : bool
        Follow persons to the end of the grid (for the last sum only).
    out : (m, 10) float64
        With S the population survival of a person since time 0, at the end of the interval, over those at
        risk: Σw, Σw dΛ, Σw dN, Σw² dN, Σw/S, Σw dN/S, Σw² dN/S², Σw∫dΛ/S, Σw∫du/S; and
        ΣwS over everybody.
    """
    n, m = key.size, grid.size
    parts = np.zeros((CHUNKS, m, 10))
    for chunk in prange(CHUNKS):
        found = np.empty(2)
        for i in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
            w = weight[i]
            hazard = 0.0
            begin = 0.0
            for j in range(m):
                if begin >= time[i] and not everybody:
                    break
                walk(
                    rates[key[i]],
                    age_cuts,
                    date_cuts,
                    age[i] + begin,
                    date[i] + begin,
                    grid[j] - begin,
                    hazard,
                    found,
                )
                before = np.exp(hazard)
                hazard += found[0]
                inverse = np.exp(hazard)
                if entry[i] <= begin and time[i] >= grid[j]:
                    part = parts[chunk, j]
                    part[0] += w
                    part[1] += w * found[0]
                    part[4] += w * inverse
                    part[7] += w * (inverse - before)
                    part[8] += w * found[1]
                    if event[i] and time[i] == grid[j]:
                        part[2] += w
                        part[3] += w * w
                        part[5] += w * inverse
                        part[6] += (w * inverse) ** 2
                parts[chunk, j, 9] += w / inverse
                begin = grid[j]
    out[:, :] = 0.0
    for chunk in range(CHUNKS):
        for j in range(m):
            for q in range(10):
                out[j, q] += parts[chunk, j, q]


@jit_parallel
def potential_sums(
    rates: Floats,
    age_cuts: Floats,
    date_cuts: Floats,
    key: Ints,
    age: Floats,
    date: Floats,
    until: Floats,
    grid: Floats,
    out: Floats,
) -> None:
    """Hakulinen's sums: persons at risk for as long as they could have been observed.

    Parameters
    ----------
    rates, age_cuts, date_cuts, key, age, date
        As in :func:`person_hazard`.
    until : (n,) float64
        Potential follow-up.
    grid : (m,) float64
        Ends of the intervals.
    out : (m, 2) float64
        Σ S dΛ and Σ S over those potentially followed to the end of the interval, S at its end.
    """
    n, m = key.size, grid.size
    parts = np.zeros((CHUNKS, m, 2))
    for chunk in prange(CHUNKS):
        found = np.empty(2)
        for i in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
            hazard = 0.0
            begin = 0.0
            for j in range(m):
                if until[i] < grid[j]:
                    break
                walk(
                    rates[key[i]],
                    age_cuts,
                    date_cuts,
                    age[i] + begin,
                    date[i] + begin,
                    grid[j] - begin,
                    hazard,
                    found,
                )
                hazard += found[0]
                survival = np.exp(-hazard)
                parts[chunk, j, 0] += survival * found[0]
                parts[chunk, j, 1] += survival
                begin = grid[j]
    out[:, :] = 0.0
    for chunk in range(CHUNKS):
        for j in range(m):
            out[j, 0] += parts[chunk, j, 0]
            out[j, 1] += parts[chunk, j, 1]
