r"""Kernels of concordance: pairs counted with binary indexed trees.

An event of row i at time t and a row j that is at risk at t and outlives i (its time is later, or equal
and censored) make a comparable pair of weight :math:`w_iw_j\omega(t)`. Rows stand in ascending order of
time within strata, events before censorings at equal times. One pass backward in time keeps the weights of
who is at risk in a tree over the ranks of the score, and asks it at each event; one pass forward keeps
the events that have happened, and asks it what each row has outlived since its entry. Together
:math:`O(n\log n)`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Floats, Ints


@jit
def _add(tree: Floats, rank: int, amount: float, size: int) -> None:
    position = rank + 1
    while position <= size:
        tree[position] += amount
        position += position & -position


@jit
def _sum_below(tree: Floats, rank: int) -> float:
    """Sum over ranks 0 .. rank-1."""
    total = 0.0
    position = rank
    while position > 0:
        total += tree[position]
        position -= position & -position
    return total


@jit
def count_pairs(
    bounds: Ints,
    time: Floats,
    entry: Floats,
    by_entry: Ints,
    last_event: Ints,
    rank: Ints,
    weight: Floats,
    time_weight: Floats,
    out_counts: Floats,
    out_influence: Floats,
) -> None:
    """Count concordant, discordant and tied pairs, and differentiate the counts by each weight.

    Parameters
    ----------
    bounds : (S + 1,) int64
        Where each stratum's rows begin; the last is n.
    time, entry : (n,) float64
        Rows ascending in time within strata, events first; entry -1 where observation starts at 0.
    by_entry : (n,) int64
        Order of the rows by entry within strata.
    last_event : (n,) int64
        1 for an event, 0 for a censoring.
    rank : (n,) int64
        Rank of the score within its stratum, from 0, ties sharing one; a higher score foretells an
        earlier event.
    weight, time_weight : (n,) float64
        Case weights, and ω at the row's own time (read for events only).
    out_counts : (S, 5) float64
        Per stratum: concordant, discordant, tied score, tied time, both tied.
    out_influence : (n, 3) float64
        Derivatives of the first three by each row's weight.
    """
    n_strata = bounds.size - 1
    longest = 0
    for s in range(n_strata):
        longest = max(longest, bounds[s + 1] - bounds[s])
    tree = np.zeros(longest + 1)
    same = np.zeros(longest)
    same_time = np.zeros(longest)
    for s in range(n_strata):
        low, high = bounds[s], bounds[s + 1]
        size = high - low
        tree[: size + 1] = 0.0
        same[:size] = 0.0
        same_time[:size] = 0.0
        total = 0.0
        late = high - 1
        i = high - 1
        while i >= low:
            first = i
            while first > low and time[first - 1] == time[i]:
                first -= 1
            t = time[i]
            while i >= first and last_event[i] == 0:
                _add(tree, rank[i], weight[i], size)
                same[rank[i]] += weight[i]
                total += weight[i]
                i -= 1
            while late >= low and entry[by_entry[late]] >= t:
                row = by_entry[late]
                _add(tree, rank[row], -weight[row], size)
                same[rank[row]] -= weight[row]
                total -= weight[row]
                late -= 1
            tied = 0.0
            for row in range(first, i + 1):
                below = _sum_below(tree, rank[row])
                equal = same[rank[row]]
                above = total - below - equal
                omega = time_weight[row]
                out_influence[row, 0] = omega * below
                out_influence[row, 1] = omega * above
                out_influence[row, 2] = omega * equal
                out_counts[s, 0] += weight[row] * omega * below
                out_counts[s, 1] += weight[row] * omega * above
                out_counts[s, 2] += weight[row] * omega * equal
                out_counts[s, 4] += weight[row] * omega * same_time[rank[row]]
                out_counts[s, 3] += weight[row] * omega * (tied - same_time[rank[row]])
                same_time[rank[row]] += weight[row]
                tied += weight[row]
            for row in range(first, i + 1):
                same_time[rank[row]] = 0.0
                _add(tree, rank[row], weight[row], size)
                same[rank[row]] += weight[row]
                total += weight[row]
            i = first - 1
    _outlived(bounds, time, entry, by_entry, last_event, rank, weight, time_weight, out_influence)


@jit
def _outlived(
    bounds: Ints,
    time: Floats,
    entry: Floats,
    by_entry: Ints,
    last_event: Ints,
    rank: Ints,
    weight: Floats,
    time_weight: Floats,
    out_influence: Floats,
) -> None:
    """Add what each row contributes as the one that outlives."""
    longest = 0
    for s in range(bounds.size - 1):
        longest = max(longest, bounds[s + 1] - bounds[s])
    tree = np.zeros(longest + 1)
    same = np.zeros(longest)
    for s in range(bounds.size - 1):
        low, high = bounds[s], bounds[s + 1]
        size = high - low
        tree[: size + 1] = 0.0
        same[:size] = 0.0
        total = 0.0
        late = low
        i = low
        while i < high:
            t = time[i]
            # Who enters before t has missed the events up to now.
            while late < high and entry[by_entry[late]] < t:
                row = by_entry[late]
                below = _sum_below(tree, rank[row])
                out_influence[row, 0] -= total - below - same[rank[row]]
                out_influence[row, 1] -= below
                out_influence[row, 2] -= same[rank[row]]
                late += 1
            after = i
            while after < high and time[after] == t and last_event[after] == 1:
                row = after
                below = _sum_below(tree, rank[row])
                out_influence[row, 0] += total - below - same[rank[row]]
                out_influence[row, 1] += below
                out_influence[row, 2] += same[rank[row]]
                after += 1
            for row in range(i, after):
                amount = weight[row] * time_weight[row]
                _add(tree, rank[row], amount, size)
                same[rank[row]] += amount
                total += amount
            while after < high and time[after] == t:
                row = after
                below = _sum_below(tree, rank[row])
                out_influence[row, 0] += total - below - same[rank[row]]
                out_influence[row, 1] += below
                out_influence[row, 2] += same[rank[row]]
                after += 1
            i = after


@jit_parallel
def mean_probability(score: Floats, out: Floats) -> None:
    """For each row, sum over the rows after it of the probability that the higher risk goes first.

    Parameters
    ----------
    score : (n,) float64
        Linear predictor, ascending.
    out : (n,) float64
        Σ_{j>i} 1/(1 + exp(score_i - score_j)).
    """
    for i in prange(score.size):
        total = 0.0
        for j in range(i + 1, score.size):
            total += 1.0 / (1.0 + np.exp(score[i] - score[j]))
        out[i] = total
