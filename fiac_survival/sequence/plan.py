"""The distinct chained values that a line needs, and which of them each state uses.

They depend on the states alone, not on the kernels, and are shared by all draws of the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from fiac_survival.sequence.states import LineStates

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LinePlan:
    """Which products a line may need, and which of them each state uses.

    Products stand family by family.

    Attributes
    ----------
    regimen, level : (F,) int64
        Kernel of each family.
    progression : (F,) bool
        Whether it is the part that ends with progression on treatment.
    indptr : (F+1,) int64
        Where the products of each family begin.
    columns : (n_rows,) int64
        Next state of each product.
    family : (n_rows,) int64
        Family of each product.
    row, row_refractory : (n, A) int64
        Product of each state and regimen, -1 for none.
    """

    regimen: Ints
    level: Ints
    progression: NDArray[np.bool_]
    indptr: Ints
    columns: Ints
    family: Ints
    row: Ints
    row_refractory: Ints


def plan_line(states: LineStates, *, refractory: bool) -> LinePlan:
    """Find the distinct products of a line.

    Parameters
    ----------
    states : LineStates
        The line's states.
    refractory : bool
        Whether endings split by progression on treatment.

    Returns
    -------
    LinePlan
        Families in the order of regimens and levels.
    """
    row = np.full(states.after.shape, -1, dtype=np.int64)
    row_refractory = np.full(states.after.shape, -1, dtype=np.int64)
    families: list[tuple[int, int, bool]] = []
    columns: list[Ints] = []
    offset = 0
    parts = [(states.after, row, False)]
    if refractory:
        parts.append((states.after_refractory, row_refractory, True))
    for after, rows, progression in parts:
        for a in range(after.shape[1]):
            possible = after[:, a] >= 0
            for level in np.unique(states.level[possible, a]):
                here = np.flatnonzero(possible & (states.level[:, a] == level))
                targets, place = np.unique(after[here, a], return_inverse=True)
                rows[here, a] = offset + place
                families.append((a, int(level), progression))
                columns.append(targets)
                offset += targets.size
    sizes = np.array([c.size for c in columns], dtype=np.int64)
    return LinePlan(
        regimen=np.array([f[0] for f in families], dtype=np.int64),
        level=np.array([f[1] for f in families], dtype=np.int64),
        progression=np.array([f[2] for f in families], dtype=np.bool_),
        indptr=np.concatenate([[0], np.cumsum(sizes)]),
        columns=np.concatenate([np.empty(0, dtype=np.int64), *columns]),
        family=np.repeat(np.arange(sizes.size), sizes),
        row=row,
        row_refractory=row_refractory,
    )
