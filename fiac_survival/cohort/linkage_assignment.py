r"""One-to-one assignment of scored pairs, with what each pair's best alternative is worth.

With independent presence of each private person, the posterior odds of a matching against the empty one
multiply over its pairs, so that the most probable one-to-one matching maximises the sum of the pairs'
log2 odds :math:`w_{ij}` over pairs with :math:`w_{ij}>0`. It is found exactly in each connected component
of those pairs (Jonker-Volgenant). For a pair of the optimum the **regret** is what the sum loses if that
pair is forbidden: :math:`\min(w_{ij}, c_i)`, :math:`c_i` the cheapest cycle of exchanges through person
:math:`i`, from all shortest paths between the persons of the component (Floyd-Warshall on reduced costs;
there are no negative cycles at an optimum). A pair is linked if :math:`2^{regret}` reaches the odds of
the threshold; so two candidates that fit a person alike are both left, and reported.

Source: Sadinle 2017 (bipartite record linkage); Crouse 2016 (assignment in scipy).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
LARGEST = 800


@dataclass(frozen=True, eq=False)
class Assignment:
    """Which of the pairs are linked.

    Attributes
    ----------
    linked : (m,) bool
        Pair is linked.
    regret : (m,) float64
        Bits that its best alternative costs; 0 for pairs outside the optimum.
    crowded : (m,) bool
        Pair lies in a component too large to be resolved.
    """

    linked: NDArray[np.bool_]
    regret: Floats
    crowded: NDArray[np.bool_]


def assign(private: Ints, public: Ints, bits: Floats, *, least: float) -> Assignment:
    """Choose pairs, at most one a person.

    Parameters
    ----------
    private, public : (m,) int64
        Rows of the pairs.
    bits : (m,) float64
        Log2 odds of each; pairs at or below 0 are never chosen.
    least : float
        Smallest regret, in bits, that links.

    Returns
    -------
    Assignment
        Does not depend on the order of the pairs.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    regret = np.zeros(bits.size)
    crowded = np.zeros(bits.size, dtype=bool)
    keep = np.flatnonzero(bits > 0.0)
    if keep.size:
        a, i = np.unique(private[keep], return_inverse=True)
        b, j = np.unique(public[keep], return_inverse=True)
        size = a.size + b.size
        graph = coo_array((np.ones(keep.size), (i, a.size + j)), shape=(size, size))
        _, label = connected_components(graph, directed=False)
        part = label[i]
        order = np.lexsort((j, i, part))
        starts = np.flatnonzero(np.append(True, np.diff(part[order]) > 0))
        for start, stop in zip(starts, np.append(starts[1:], keep.size), strict=True):
            edges = order[start:stop]
            if edges.size == 1:
                regret[keep[edges]] = bits[keep[edges]]
                continue
            rows, r = np.unique(i[edges], return_inverse=True)
            cols, c = np.unique(j[edges], return_inverse=True)
            if max(rows.size, cols.size) > LARGEST:
                crowded[keep[edges]] = True
                continue
            weight = np.zeros((rows.size, cols.size))
            weight[r, c] = bits[keep[edges]]
            if rows.size > cols.size:
                weight, r, c = weight.T, c, r
            regret[keep[edges]] = _regrets(weight)[r, c]
    return Assignment(regret >= max(least, 1e-9), regret, crowded)


def _regrets(weight: Floats) -> Floats:
    """Regret of every pair of the optimum; no more rows than columns, 0 where there is no pair."""
    from scipy.optimize import linear_sum_assignment

    n, k = weight.shape[1], weight.shape[0]
    square = np.zeros((n, n))
    square[:k] = weight
    _, chosen = linear_sum_assignment(square, maximize=True)
    have = square[np.arange(n), chosen]
    step = have[:, None] - square[:, chosen]  # person i takes the partner of person k
    away = step.copy()
    for middle in range(n):
        np.minimum(away, away[:, middle, None] + away[None, middle, :], out=away)
    np.fill_diagonal(step, np.inf)
    cycle = (step + away.T).min(axis=1) if n > 1 else np.array([np.inf])
    out = np.zeros((n, n))
    out[np.arange(n), chosen] = np.maximum(np.minimum(have, cycle), 0.0)
    return np.asarray(out[:k], dtype=np.float64)
