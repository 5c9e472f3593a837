r"""Which cells must be withheld so that no small count can be solved back, with the least lost.

Cells :math:`i` with counts :math:`a_i` are released as intervals :math:`[l_i,u_i]\ni a_i`, or withheld
(:math:`z_i=1`). For every count :math:`p` from 1 to :math:`k-1` a reader must be able to imagine two
tables :math:`a+\delta^{p+}` and :math:`a+\delta^{p-}` that agree with all that is released:

.. math::
    \min_z \sum_i c_i z_i \quad\text{with}\quad
    \delta^{p\pm}\in\ker M,\quad
    l_i-a_i-l_i z_i \le \delta^{p\pm}_i \le u_i-a_i+U z_i,\quad
    \delta^{p+}_p-\delta^{p-}_p \ge k ,\quad \delta\ \text{whole},

:math:`M` the sums of totals and parts. Costs :math:`c_i` make it the fewest cells, and among these the
smallest sum of counts. Blocks of :math:`\delta` are added for the counts that the audit still solves
back, until it finds none: the last programme has fewer rules than the full one and its solution meets
them all, so it is optimal. No count moves by more than :math:`U=4k` (and twice the widest interval), which
tables of two keys never need and tables of more keys hardly ever.

Source: Kelly, Golden and Assad 1992; Fischetti and Salazar-González 2001.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import block_array, coo_array, csr_array, vstack

from fiac_survival.core.errors import DisclosureError
from fiac_survival.disclosure.audit import with_rests
from fiac_survival.disclosure.feasible import System
from fiac_survival.disclosure.outputs import Cell, LinearOutputs, Released, Sum
from fiac_survival.disclosure.profiles import Profile

TIME_LIMIT = 120.0


@dataclass(frozen=True, eq=False)
class Suppression:
    """Which cells of a table are withheld.

    Attributes
    ----------
    primary : frozenset of Cell
        Withheld since they are small.
    complementary : frozenset of Cell
        Withheld so that those cannot be solved back.
    outputs : LinearOutputs
        What the release says.
    """

    primary: frozenset[Cell]
    complementary: frozenset[Cell]
    outputs: LinearOutputs


def suppress(
    truth: Mapping[Cell, int],
    sums: tuple[Sum, ...],
    profile: Profile,
    *,
    releasable: frozenset[Cell],
) -> Suppression:
    """Choose the cells to withhold.

    Parameters
    ----------
    truth : mapping of Cell to int
        All counts.
    sums : tuple of Sum
        Which are totals of which.
    profile : Profile
        The rules.
    releasable : frozenset of Cell
        Cells that stand in the table; the others are behind it.

    Returns
    -------
    Suppression
        Fewest cells; among equals, the smallest counts.

    Raises
    ------
    DisclosureError
        If no choice is found in time.
    """
    intervals = {c: profile.interval(truth[c]) for c in releasable}
    primary = frozenset(c for c, known in intervals.items() if known is None)
    open_cells = sorted(releasable - primary)
    withheld: frozenset[Cell] = frozenset()
    blocks: list[Cell] = []
    while True:
        released = tuple(
            Released(c, *known)
            for c in open_cells
            if c not in withheld and (known := intervals[c]) is not None
        )
        outputs = LinearOutputs(released, sums, dict(truth))
        if not profile.protects:
            break
        whole = with_rests(outputs, profile.threshold)
        system = System(whole)
        small = [c for c in whole.cells if 1 <= whole.truth.get(c, 0) < profile.threshold]
        leaks = [c for c in small if not system.wide(c, profile.threshold)]
        if not leaks:
            break
        new = [c for c in leaks if c not in blocks]
        if not new:
            raise _no_choice("the solver's tolerance was exceeded")
        blocks += new
        # The sums of all differences that may matter, whatever is withheld in the end.
        full = with_rests(LinearOutputs((), sums, dict(truth)), profile.threshold)
        known_intervals = {c: known for c in open_cells if (known := intervals[c]) is not None}
        withheld = _choose(full, known_intervals, blocks, profile.threshold)
    return Suppression(primary, withheld, outputs)


def _choose(
    full: LinearOutputs,
    intervals: Mapping[Cell, tuple[int, int]],
    blocks: list[Cell],
    threshold: int,
) -> frozenset[Cell]:
    """Solve the programme for some of the small counts."""
    cells = full.cells
    index = {cell: k for k, cell in enumerate(cells)}
    n, open_cells = len(cells), sorted(intervals)
    m = len(open_cells)
    a = np.array([full.truth[c] for c in cells], dtype=np.float64)
    at = np.array([index[c] for c in open_cells], dtype=np.int64)
    low = np.array([intervals[c][0] for c in open_cells], dtype=np.float64)
    high = np.array([intervals[c][1] for c in open_cells], dtype=np.float64)
    reach = float(4 * threshold + 2 * (high - low).max(initial=0.0))
    counts = a[at]
    cost = 1.0 + counts / (counts.sum() + 1.0) / 2.0

    matrix = _sums_matrix(full.sums, index, n)
    pick = csr_array((np.ones(m), (np.arange(m), at)), shape=(m, n))
    # Movements stay above minus the count, and within the released interval unless withheld.
    floor = np.maximum(-a, -reach)
    one = csr_array(vstack([matrix, pick, pick]))
    z_low = np.minimum(low, low - counts + reach)
    z_high = reach - (high - counts)
    rows_low = np.concatenate([np.zeros(matrix.shape[0]), low - counts, np.full(m, -np.inf)])
    rows_high = np.concatenate([np.zeros(matrix.shape[0]), np.full(m, np.inf), high - counts])
    z_part = csr_array(
        vstack([csr_array((matrix.shape[0], m)), _diagonal(z_low), _diagonal(-z_high)])
    )
    grid: list[list[csr_array | None]] = []
    lower: list[NDArray[np.float64]] = []
    upper: list[NDArray[np.float64]] = []
    moves = 2 * len(blocks)
    for b, cell in enumerate(blocks):
        for side in (0, 1):
            line: list[csr_array | None] = [z_part, *([None] * moves)]
            line[1 + 2 * b + side] = one
            grid.append(line)
            lower.append(rows_low)
            upper.append(rows_high)
        pair: list[csr_array | None] = [csr_array((1, m)), *([None] * moves)]
        unit = csr_array(([1.0], ([0], [index[cell]])), shape=(1, n))
        pair[1 + 2 * b], pair[2 + 2 * b] = unit, -unit
        grid.append(pair)
        lower.append(np.array([float(threshold)]))
        upper.append(np.array([np.inf]))
    variables = m + moves * n
    found = milp(
        np.concatenate([cost, np.zeros(moves * n)]),
        integrality=np.ones(variables, dtype=np.int64),
        bounds=Bounds(
            np.concatenate([np.zeros(m), np.tile(floor, moves)]),
            np.concatenate([np.ones(m), np.full(moves * n, reach)]),
        ),
        constraints=LinearConstraint(
            block_array(grid).tocsr(), np.concatenate(lower), np.concatenate(upper)
        ),
        options={"mip_rel_gap": 0.0, "time_limit": TIME_LIMIT},
    )
    if found.status != 0 or found.x is None:
        raise _no_choice(found.message)
    return frozenset(c for c, z in zip(open_cells, found.x[:m], strict=True) if z > 0.5)


def _diagonal(values: NDArray[np.float64]) -> csr_array:
    at = np.arange(values.size)
    return csr_array((values, (at, at)), shape=(values.size, values.size))


def _sums_matrix(sums: tuple[Sum, ...], index: Mapping[Cell, int], n: int) -> csr_array:
    rows, columns, values = [], [], []
    for row, s in enumerate(sums):
        for cell, value in ((s.total, 1.0), *((p, -1.0) for p in s.parts)):
            rows.append(row)
            columns.append(index[cell])
            values.append(value)
    return csr_array(coo_array((values, (rows, columns)), shape=(len(sums), n)))


def _no_choice(reason: str) -> DisclosureError:
    return DisclosureError(
        "the cells to withhold must be found",
        values={"solver": reason},
        remedy="join categories, release a smaller table, or round",
    )
