"""Greedy one-to-one matching on a line."""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Floats, Ints


@jit
def _find(link: Ints, i: int) -> int:
    """First free place from i on, shortening the path on the way."""
    root = i
    while link[root] != root:
        root = link[root]
    while link[i] != root:
        link[i], i = root, link[i]
    return root


@jit
def match_greedily(
    case: Floats, value: Floats, start: Ints, row: Ints, width: float, out_partner: Ints
) -> None:
    """Give each case, in order, the nearest control that is still free, within a width.

    Two union-find lists lead to the next value with a free control to the right and to the left, so
    that the whole takes little more than linear time. At equal distance the control that stands first
    in the data is taken.

    Parameters
    ----------
    case : (a,) float64
        Values of the cases, in the order in which they choose.
    value : (v,) float64
        Distinct values of the controls, ascending.
    start : (v + 1,) int64
        Controls with value k stand at start[k] .. start[k+1]-1 of `row`.
    row : (b,) int64
        Row numbers of the controls, ascending within a value.
    width : float
        Largest distance allowed.
    out_partner : (a,) int64
        Row of the partner, -1 for none.
    """
    v = value.size
    # Places 0 .. v-1 are values; v ends the list to the right, and 0 the shifted one to the left.
    right = np.arange(v + 1)
    left = np.arange(v + 1)
    free = start.copy()
    place = np.searchsorted(value, case)
    for k in range(case.size):
        above = _find(right, place[k])
        below = _find(left, place[k]) - 1
        best = -1
        if below >= 0 and case[k] - value[below] <= width:
            best = below
        if above < v and value[above] - case[k] <= width:
            closer = best < 0 or value[above] - case[k] < case[k] - value[best]
            tied = best >= 0 and value[above] - case[k] == case[k] - value[best]
            if closer or (tied and row[free[above]] < row[free[best]]):
                best = above
        out_partner[k] = -1
        if best >= 0:
            out_partner[k] = row[free[best]]
            free[best] += 1
            if free[best] == start[best + 1]:
                right[best] = best + 1
                left[best + 1] = best
