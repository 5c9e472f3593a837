r"""Partition around medoids (Kaufman and Rousseeuw 1990).

k of u objects are medoids; the objective is :math:`\sum_j w_j \min_i d(m_i, j)`. BUILD takes the object
that lowers it most, k times. SWAP exchanges the medoid i and the object h that lower it most, until none
does. With :math:`d_1, d_2` the distances of j to its nearest and second medoid, an exchange changes it by

.. math:: \sum_j w_j \min\{d_{hj}-d_1, 0\} + \sum_{j\text{ at }i} w_j
   \left[\min\{d_{hj}, d_2\} - d_1 - \min\{d_{hj}-d_1, 0\}\right],

so that all k exchanges with one h take a single pass (Schubert and Rousseeuw 2021). Ties go to the lowest
h, then the lowest i; an object as near to two medoids belongs to the first of them. Sums are made in one
order for each h: results are the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Floats, Ints


@jit
def _nearest(
    distance: Floats, medoid: Ints, used: int, out_at: Ints, out_first: Floats, out_second: Floats
) -> None:
    """Find the nearest medoid, and the distances of the two nearest."""
    for j in range(distance.shape[0]):
        out_at[j] = -1
        out_first[j] = np.inf
        out_second[j] = np.inf
        for i in range(used):
            d = distance[medoid[i], j]
            if d < out_first[j]:
                out_second[j] = out_first[j]
                out_first[j] = d
                out_at[j] = i
            elif d < out_second[j]:
                out_second[j] = d


@jit_parallel
def _gains(distance: Floats, weight: Floats, first: Floats, out: Floats) -> None:
    """Find by how much one more medoid lowers the objective, for each object."""
    for h in prange(distance.shape[0]):
        total = 0.0
        for j in range(distance.shape[0]):
            total += weight[j] * min(distance[h, j] - first[j], 0.0)
        out[h] = total


@jit_parallel
def _changes(
    distance: Floats, weight: Floats, at: Ints, first: Floats, second: Floats, out: Floats
) -> None:
    """Find the change of the objective by each exchange of a medoid and an object."""
    k = out.shape[1]
    for h in prange(distance.shape[0]):
        shared = 0.0
        for i in range(k):
            out[h, i] = 0.0
        for j in range(distance.shape[0]):
            d = distance[h, j]
            closer = min(d - first[j], 0.0)
            shared += weight[j] * closer
            out[h, at[j]] += weight[j] * (min(d, second[j]) - first[j] - closer)
        for i in range(k):
            out[h, i] += shared


@jit
def partition_around_medoids(
    distance: Floats, weight: Floats, out_medoid: Ints, out_label: Ints, most: int
) -> tuple[float, float, int]:
    """Find medoids.

    Parameters
    ----------
    distance : (u, u) float64
        Distances.
    weight : (u,) float64
        How often each object occurs.
    out_medoid : (k,) int64
        The medoids.
    out_label : (u,) int64
        The medoid, 0 .. k-1, that each object is nearest to.
    most : int
        Exchanges to make at most.

    Returns
    -------
    built, swapped : float
        The objective after each phase.
    n_iter : int
        Exchanges made; `most` if more would lower the objective.
    """
    u, k = distance.shape[0], out_medoid.size
    first = np.empty(u)
    second = np.empty(u)
    gain = np.empty(u)
    taken = np.zeros(u, dtype=np.bool_)
    top = 0.0
    for h in range(u):
        for j in range(u):
            top = max(top, distance[h, j])
    for i in range(k):
        _nearest(distance, out_medoid, i, out_label, first, second)
        if i == 0:
            first[:] = top
        _gains(distance, weight, first, gain)
        best = -1
        for h in range(u):
            if not taken[h] and (best < 0 or gain[h] < gain[best]):
                best = h
        out_medoid[i] = best
        taken[best] = True
    _nearest(distance, out_medoid, k, out_label, first, second)
    objective = 0.0
    for j in range(u):
        objective += weight[j] * first[j]
    built = objective
    change = np.empty((u, k))
    done = 0
    while done < most:
        if k == 1:
            second[:] = top
        _changes(distance, weight, out_label, first, second, change)
        best_h, best_i, best_change = -1, -1, -1e-12 * max(objective, 1.0)
        for h in range(u):
            if not taken[h]:
                for i in range(k):
                    if change[h, i] < best_change:
                        best_h, best_i, best_change = h, i, change[h, i]
        if best_h < 0:
            break
        taken[out_medoid[best_i]] = False
        taken[best_h] = True
        out_medoid[best_i] = best_h
        _nearest(distance, out_medoid, k, out_label, first, second)
        objective = 0.0
        for j in range(u):
            objective += weight[j] * first[j]
        done += 1
    out_medoid[:] = np.sort(out_medoid)
    _nearest(distance, out_medoid, k, out_label, first, second)
    return built, objective, done
