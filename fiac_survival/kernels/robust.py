"""Kernels of the robust policy: the worst distribution within an L1 distance of each kernel."""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Floats, Ints
from fiac_survival.kernels.sequences import NO_ACTION, TIE


@jit
def worst_case(payoff: Floats, probability: Floats, order: Ints, radius: float) -> float:
    """Smallest expectation of a payoff over distributions within an L1 distance.

    Moves mass radius/2 from the outcomes with the largest payoffs to the one with the smallest.

    Parameters
    ----------
    payoff, probability : (m,) float64
        Outcomes; the probabilities add to 1.
    order : (m,) int64
        Outcomes in ascending order of payoff.
    radius : float
        L1 distance, 0 to 2.

    Returns
    -------
    float
        Worst-case expectation.
    """
    total: float = 0.0
    for i in range(payoff.size):
        total += probability[i] * payoff[i]
    lowest = order[0]
    left = min(radius / 2.0, 1.0 - probability[lowest])
    total += left * payoff[lowest]
    for k in range(payoff.size - 1, 0, -1):
        if left <= 0.0:
            break
        i = order[k]
        moved = min(left, probability[i])
        total -= moved * payoff[i]
        left -= moved
    return total


@jit
def robust_value(
    onward: Floats,
    death: Floats,
    following: Floats,
    remaining: int,
    radius: float,
    payoff: Floats,
    probability: Floats,
) -> float:
    """Worst expected life-time of one line with its continuation.

    Parameters
    ----------
    onward, death : (T,) float64
        Kernel.
    following : (T,) float64
        Worst value of the next line if this one ends in step u = 1..r, at the steps that then remain.
    remaining : int
        Steps r to the horizon.
    radius : float
        L1 distance.
    payoff, probability : (2 T + 1,) float64
        Work space.

    Returns
    -------
    float
        In steps.
    """
    alive = 1.0
    for u in range(remaining):
        payoff[2 * u] = (u + 1) + following[u]
        probability[2 * u] = onward[u]
        payoff[2 * u + 1] = u + 0.5
        probability[2 * u + 1] = death[u]
        alive -= onward[u] + death[u]
    m = 2 * remaining + 1
    payoff[m - 1] = remaining
    probability[m - 1] = max(alive, 0.0)
    order = np.argsort(payoff[:m], kind="mergesort")
    return worst_case(payoff[:m], probability[:m], order, radius)


@jit_parallel
def robust_line(
    after: Ints,
    level: Ints,
    usable: Bools,
    onward: Floats,
    death: Floats,
    radius: Floats,
    group_after: Ints,
    value_next: Floats,
    out_value: Floats,
    out_action: Ints,
) -> None:
    """Best regimen against the worst kernel, in every state of a line and group.

    Parameters
    ----------
    after, level : (n, A) int64
        Place of the next line's state, -1 where forbidden; overlap level.
    usable : (A, H) bool
        Regimens that may be given.
    onward, death : (A, H, T) float64
        Kernels of this line and group.
    radius : (A, H) float64
        L1 distances.
    group_after : (T,) int64
        Group of the next line by step.
    value_next : (G, m, T+1) float64
        Worst values of the next line.
    out_value : (n, T+1) float64
        Worst values.
    out_action : (n, T+1) uint8
        Chosen regimen; 255 where none is possible.
    """
    n, n_regimens = after.shape
    horizon = onward.shape[2]
    for i in prange(n):
        payoff = np.empty(2 * horizon + 1)
        probability = np.empty(2 * horizon + 1)
        following = np.empty(horizon)
        for r in range(horizon + 1):
            best, choice = -1.0, NO_ACTION
            for a in range(n_regimens):
                h = level[i, a]
                if after[i, a] < 0 or not usable[a, h]:
                    continue
                for u in range(r):
                    following[u] = value_next[group_after[u], after[i, a], r - u - 1]
                value = robust_value(
                    onward[a, h], death[a, h], following, r, radius[a, h], payoff, probability
                )
                if value > best + TIE:
                    best, choice = value, a
            out_value[i, r] = max(best, 0.0)
            out_action[i, r] = choice
