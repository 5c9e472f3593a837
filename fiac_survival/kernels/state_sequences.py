r"""Distances between sequences of states.

A sequence x has length m and states :math:`x_1,\dots,x_m`. Substituting state a by b costs c(a, b),
inserting or deleting a costs g(a). **Optimal matching** is the least cost of turning x into y,

.. math:: D_{ij} = \min\{D_{i-1,j-1}+c(x_i,y_j),\; D_{i-1,j}+g(x_i),\; D_{i,j-1}+g(y_j)\},\quad D_{00}=0 .

Sixteen sequences y are taken together: their states lie side by side, so that one step of the recursion
is one step for all of them, and the costs c(a, y_j) are laid out once for each state a. **Positional**
distances (of Hamming, and dynamic Hamming whose costs depend on time) are :math:`\sum_t c_t(x_t, y_t)`.
The **longest common subsequence** is found by bits, 64 positions at a time (Hyyrö 2004): a word V holds
where the number of matches does not grow; a state with matches M takes V to (V + (V & M)) | (V & ~M).
The **common prefix** (or suffix) is counted state by state. **Spells** are matched like states, with
what a spell of a state lasts beyond one step as a price of its own: see `spell_distances`.

Each kernel fills rows of a table of distances; where row i stands is said by ``place``: the distance
of i and j goes to ``out[place[i - first_row] + j]``. A condensed triangle, a part of it, and a block are
thus one thing. Pairs are independent of each other: results are the same for any number of threads.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Floats, Ints

LANES = 16


@jit
def _ones(word: np.uint64) -> np.uint64:
    """Count the bits that are set."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    pairs = np.uint64(0x3333333333333333)
    word = (word & pairs) + ((word >> np.uint64(2)) & pairs)
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (word * np.uint64(0x0101010101010101)) >> np.uint64(56)


@jit_parallel
def edit_distances(
    code: Ints,
    length: Ints,
    cost: Floats,
    indel: Floats,
    rows: tuple[int, int],
    columns: tuple[int, int],
    triangle: bool,
    place: Ints,
    out: Floats,
) -> None:
    """Find the least costs of turning one sequence into the other (optimal matching).

    Parameters
    ----------
    code : (n, L) int
        States, 0 .. K-1; what stands beyond a sequence's length is a state too, and does not matter.
    length : (n,) int64
        Lengths.
    cost : (K, K) float64
        Substitution costs.
    indel : (K,) float64
        Costs of insertion and deletion.
    rows, columns : (first, after the last)
        Which pairs to fill.
    triangle : bool
        Only pairs with row < column.
    place : (rows,) int64
        Where each row stands.
    out : (.,) float64
        Distances.
    """
    first_row, last_row = rows
    first_column, last_column = columns
    n_states = cost.shape[0]
    tiles = (last_column - first_column + LANES - 1) // LANES
    for p in prange(tiles):
        # Tiles from both ends in turn: every thread gets short and long ones.
        tile = p // 2 if p % 2 == 0 else tiles - 1 - p // 2
        begin = first_column + tile * LANES
        used = min(LANES, last_column - begin)
        longest = 0
        for w in range(used):
            longest = max(longest, length[begin + w])
        price = np.zeros((n_states, longest, LANES))
        insert = np.zeros((longest, LANES))
        for w in range(LANES):
            j = begin + min(w, used - 1)
            for b in range(longest):
                y = code[j, b]
                insert[b, w] = indel[y]
                for a in range(n_states):
                    price[a, b, w] = cost[a, y]
        line = np.empty((longest + 1, LANES))
        left = np.empty(LANES)
        corner = np.empty(LANES)
        stop = last_row
        if triangle:
            stop = min(last_row, begin + used - 1)
        for i in range(first_row, stop):
            for w in range(LANES):
                line[0, w] = 0.0
            for b in range(longest):
                for w in range(LANES):
                    line[b + 1, w] = line[b, w] + insert[b, w]
            for a in range(length[i]):
                x = code[i, a]
                delete = indel[x]
                of_x = price[x]
                for w in range(LANES):
                    corner[w] = line[0, w]
                    left[w] = corner[w] + delete
                    line[0, w] = left[w]
                for b in range(longest):
                    for w in range(LANES):
                        above = line[b + 1, w]
                        here = corner[w] + of_x[b, w]
                        other = above + delete
                        here = other if other < here else here
                        other = left[w] + insert[b, w]
                        here = other if other < here else here
                        corner[w] = above
                        left[w] = here
                        line[b + 1, w] = here
            for w in range(used):
                j = begin + w
                if not triangle or j > i:
                    out[place[i - first_row] + j] = line[length[j], w]


@jit_parallel
def positional_distances(
    code: Ints,
    cost: Floats,
    rows: tuple[int, int],
    columns: tuple[int, int],
    triangle: bool,
    place: Ints,
    out: Floats,
) -> None:
    """Add costs at equal positions.

    Parameters
    ----------
    code : (n, L) int
        States, 0 .. K-1, of sequences of equal length.
    cost : (L, K, K) or (1, K, K) float64
        Substitution costs at each position, or at all of them.
    rows, columns, triangle, place, out
        See `edit_distances`.
    """
    first_row, last_row = rows
    first_column, last_column = columns
    n_states = cost.shape[1]
    longest = code.shape[1]
    tiles = (last_column - first_column + LANES - 1) // LANES
    for p in prange(tiles):
        tile = p // 2 if p % 2 == 0 else tiles - 1 - p // 2
        begin = first_column + tile * LANES
        used = min(LANES, last_column - begin)
        price = np.empty((longest, n_states, LANES))
        for w in range(LANES):
            j = begin + min(w, used - 1)
            for t in range(longest):
                for a in range(n_states):
                    price[t, a, w] = cost[t if cost.shape[0] > 1 else 0, a, code[j, t]]
        total = np.empty(LANES)
        stop = last_row
        if triangle:
            stop = min(last_row, begin + used - 1)
        for i in range(first_row, stop):
            for w in range(LANES):
                total[w] = 0.0
            for t in range(longest):
                of_x = price[t, code[i, t]]
                for w in range(LANES):
                    total[w] += of_x[w]
            for w in range(used):
                j = begin + w
                if not triangle or j > i:
                    out[place[i - first_row] + j] = total[w]


@jit_parallel
def subsequence_distances(
    code: Ints,
    length: Ints,
    n_states: int,
    indel: float,
    rows: tuple[int, int],
    columns: tuple[int, int],
    triangle: bool,
    place: Ints,
    out: Floats,
) -> None:
    """Count insertions and deletions that turn one sequence into the other, by the common subsequence.

    Parameters
    ----------
    code : (n, L) int
        States, 0 .. K-1.
    length : (n,) int64
        Lengths.
    n_states : int
        K.
    indel : float
        Cost of one insertion or deletion.
    rows, columns, triangle, place, out
        See `edit_distances`.
    """
    first_row, last_row = rows
    first_column, last_column = columns
    one = np.uint64(1)
    for p in prange(last_row - first_row):
        i = first_row + p // 2 if p % 2 == 0 else last_row - 1 - p // 2
        words = (length[i] + 63) // 64
        match = np.zeros((n_states, words), dtype=np.uint64)
        for a in range(length[i]):
            match[code[i, a], a // 64] |= one << np.uint64(a % 64)
        grown = np.empty(words, dtype=np.uint64)
        begin = first_column
        if triangle:
            begin = max(begin, i + 1)
        for j in range(begin, last_column):
            if words == 1:
                word = ~np.uint64(0)
                for b in range(length[j]):
                    of_y = match[code[j, b], 0]
                    word = (word + (word & of_y)) | (word & ~of_y)
                grown[0] = word
            else:
                for k in range(words):
                    grown[k] = ~np.uint64(0)
                for b in range(length[j]):
                    y = code[j, b]
                    carry = np.uint64(0)
                    for k in range(words):
                        word = grown[k]
                        both = word & match[y, k]
                        added = word + both
                        next_carry = one if added < word else np.uint64(0)
                        added += carry
                        if added < carry:
                            next_carry = one
                        carry = next_carry
                        grown[k] = added | (word & ~match[y, k])
            # Beyond the sequence nothing matches, and the bits stay set.
            common = np.int64(0)
            for k in range(words):
                common += np.int64(_ones(~grown[k]))
            out[place[i - first_row] + j] = indel * (length[i] + length[j] - 2 * common)


@jit_parallel
def prefix_distances(
    code: Ints,
    length: Ints,
    from_the_end: bool,
    rows: tuple[int, int],
    columns: tuple[int, int],
    triangle: bool,
    place: Ints,
    out: Floats,
) -> None:
    """Count the steps of both sequences that are not in their common prefix, or suffix.

    Parameters
    ----------
    code : (n, L) int
        States.
    length : (n,) int64
        Lengths.
    from_the_end : bool
        The common suffix.
    rows, columns, triangle, place, out
        See `edit_distances`.
    """
    first_row, last_row = rows
    first_column, last_column = columns
    for p in prange(last_row - first_row):
        i = first_row + p // 2 if p % 2 == 0 else last_row - 1 - p // 2
        begin = first_column
        if triangle:
            begin = max(begin, i + 1)
        for j in range(begin, last_column):
            shorter = min(length[i], length[j])
            common = 0
            if from_the_end:
                while (
                    common < shorter
                    and code[i, length[i] - 1 - common] == code[j, length[j] - 1 - common]
                ):
                    common += 1
            else:
                while common < shorter and code[i, common] == code[j, common]:
                    common += 1
            out[place[i - first_row] + j] = float(length[i] + length[j] - 2 * common)


@jit_parallel
def spell_distances(
    state: Ints,
    beyond: Floats,
    spells: Ints,
    cost: Floats,
    indel: Floats,
    expansion: float,
    rows: tuple[int, int],
    columns: tuple[int, int],
    triangle: bool,
    place: Ints,
    out: Floats,
) -> None:
    """Find the least costs of turning the spells of one sequence into those of the other.

    With b what a spell lasts beyond one step and e the price of it, inserting or deleting a spell of
    state a costs g(a) + e b; a spell becomes one of the same state for e |b - b'|, of another for
    c(a, a') + e (b + b').

    Parameters
    ----------
    state : (n, P) int
        States of the spells, 0 .. K-1.
    beyond : (n, P) float64
        b.
    spells : (n,) int64
        How many spells.
    cost : (K, K) float64
        Substitution costs.
    indel : (K,) float64
        Costs of insertion and deletion.
    expansion : float
        e.
    rows, columns, triangle, place, out
        See `edit_distances`.
    """
    first_row, last_row = rows
    first_column, last_column = columns
    for p in prange(last_row - first_row):
        i = first_row + p // 2 if p % 2 == 0 else last_row - 1 - p // 2
        line = np.empty(state.shape[1] + 1)
        begin = first_column
        if triangle:
            begin = max(begin, i + 1)
        for j in range(begin, last_column):
            line[0] = 0.0
            for b in range(spells[j]):
                line[b + 1] = line[b] + indel[state[j, b]] + expansion * beyond[j, b]
            for a in range(spells[i]):
                x, of_x = state[i, a], beyond[i, a]
                delete = indel[x] + expansion * of_x
                corner = line[0]
                line[0] += delete
                for b in range(spells[j]):
                    y, of_y = state[j, b], beyond[j, b]
                    above = line[b + 1]
                    if x == y:
                        here = corner + expansion * abs(of_x - of_y)
                    else:
                        here = corner + cost[x, y] + expansion * (of_x + of_y)
                    here = min(here, above + delete)
                    here = min(here, line[b] + indel[y] + expansion * of_y)
                    corner = above
                    line[b + 1] = here
            out[place[i - first_row] + j] = line[spells[j]]
