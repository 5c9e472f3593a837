r"""Can a small count be solved back? An integer programme over all linear outputs.

For every count :math:`1,\dots,k-1` behind the outputs (:math:`k` the threshold), with :math:`X` the set
of all whole-number counts that agree with every statement (:mod:`fiac_survival.disclosure.outputs`),

.. math:: \max_{x\in X} x_c - \min_{x\in X} x_c \ge k

must hold. Both ends are found exactly by branch and bound (HiGHS, without a gap). A count that is not
known here (of an earlier release) must not be certain to be small: its largest feasible value must be 0
or at least :math:`k`.

Two reductions lose nothing. Statements that share no cell are solved apart. Parts that enter one sum and
nothing else can stand for each other: if there are two or more, each has the range from 0 to the largest
value of their sum.

Source: Fischetti and Salazar-González 2001 for the attacker's problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from fiac_survival.core.errors import DisclosureError
from fiac_survival.disclosure.outputs import (
    Cell,
    LinearOutputs,
    Sum,
    complete_truth,
    join,
    nested_rests,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes
    ----------
    threshold : int
        Smallest count that may be solved back.
    n_outputs, n_counts : int
        Released numbers, and small or unknown counts that were examined.
    leaks : tuple of Cell
        Counts that can be solved back, or too nearly.
    """

    threshold: int
    n_outputs: int
    n_counts: int
    leaks: tuple[Cell, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.leaks

    @property
    def table(self) -> pd.DataFrame:
        """Names of the counts that leak, without the counts: population, measure, where."""
        rows = [
            (c.population, c.measure, ", ".join(f"{k}={v}" for k, v in c.where)) for c in self.leaks
        ]
        return pd.DataFrame(rows, columns=["population", "measure", "where"])

    def require(self) -> None:
        """Refuse what did not pass.

        Raises
        ------
        DisclosureError
            Naming the first count that leaks; the count itself is not shown.
        """
        if self.leaks:
            raise DisclosureError(
                f"no count from 1 to {self.threshold - 1} may be solved back from the outputs",
                values={"first": str(self.leaks[0]), "counts": len(self.leaks)},
                remedy="leave an output out, join categories, or round",
            )

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else f"{len(self.leaks)} counts leak"
        return f"Audit({verdict}; {self.n_outputs} outputs, {self.n_counts} counts examined)"


def audit(
    outputs: LinearOutputs | Iterable[LinearOutputs],
    *,
    threshold: int = 11,
    within: Mapping[str, str] | None = None,
) -> Audit:
    """Try to solve small counts back from outputs.

    Parameters
    ----------
    outputs : LinearOutputs or iterable of LinearOutputs
        All outputs of a study, and those of earlier releases.
    threshold : int, default 11
        No count below it, zero apart, may be known to less than this width.
    within : mapping of str to str, optional
        For a population the one that contains it.

    Returns
    -------
    Audit
        What was found.

    Raises
    ------
    DisclosureError
        If outputs of the same name contradict each other.

    Examples
    --------
    >>> from fiac_survival.disclosure import Cell, LinearOutputs, Released, Sum, audit
    >>> total, small, large = (Cell("all", "n", w) for w in ((), (("sex", "F"),), (("sex", "M"),)))
    >>> known = LinearOutputs(
    ...     (Released(total, 40, 40), Released(large, 37, 37)),
    ...     (Sum(total, (small, large)),),
    ...     {total: 40, small: 3, large: 37},
    ... )
    >>> audit(known).passed
    False
    """
    parts = [outputs] if isinstance(outputs, LinearOutputs) else list(outputs)
    whole = with_rests(join(parts), threshold, within or {})
    system = System(whole)
    leaks, examined = [], 0
    for cell in whole.cells:
        count = whole.truth.get(cell)
        if count is not None and not 1 <= count < threshold:
            continue
        examined += 1
        if count is not None:
            leaking = not system.wide(cell, threshold)
        else:
            leaking = 1 <= system.interval(cell)[1] < threshold
        if leaking:
            leaks.append(cell)
    return Audit(threshold, len(whole.released), examined, tuple(leaks))


def with_rests(
    outputs: LinearOutputs, threshold: int, within: Mapping[str, str] | None = None
) -> LinearOutputs:
    """Add the differences of nested counts, where they are small or not known.

    Parameters
    ----------
    outputs : LinearOutputs
        What is released.
    threshold : int
        Smallest count that may leave.
    within : mapping of str to str, optional
        For a population the one that contains it.

    Returns
    -------
    LinearOutputs
        With further sums.
    """
    known = complete_truth(outputs)
    seen = {r.cell for r in outputs.released}
    kept: list[Sum] = []
    for rest in nested_rests(known, within or {}):
        counts = [known.truth.get(c) for c in (rest.total, rest.parts[0])]
        if counts[0] is not None and counts[1] is not None:
            if 1 <= counts[0] - counts[1] < threshold:
                kept.append(rest)
        elif rest.total in seen and rest.parts[0] in seen:
            kept.append(rest)
    return complete_truth(LinearOutputs(known.released, (*known.sums, *kept), known.truth))


class System:
    """The statements as a system of equations and bounds, in parts that share no cell."""

    def __init__(self, outputs: LinearOutputs) -> None:
        self.cells = outputs.cells
        self._index = {cell: k for k, cell in enumerate(self.cells)}
        n = len(self.cells)
        self._low, self._high = np.zeros(n), np.full(n, np.inf)
        for r in outputs.released:
            k = self._index[r.cell]
            self._low[k] = max(self._low[k], r.low)
            self._high[k] = min(self._high[k], r.high)
        self._check_bounds()
        finite = self._high[np.isfinite(self._high)]
        self._cap = float(finite.sum() + finite.max(initial=0.0) + 1_000)
        rows, columns, values = self._coefficients(outputs.sums)
        shape = (len(outputs.sums), n)
        self._matrix = csr_array(coo_array((values, (rows, columns)), shape=shape))
        self._twins(n)
        self._parts(n)
        self._found: dict[tuple[int, int], float] = {}
        self._problems: dict[int, tuple[NDArray[np.int64], csr_array]] = {}

    def _check_bounds(self) -> None:
        wrong = np.flatnonzero(self._low > self._high)
        if wrong.size:
            raise contradiction(self.cells[wrong[0]])

    def _coefficients(
        self, sums: Sequence[Sum]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
        rows, columns, values = [], [], []
        for row, s in enumerate(sums):
            for cell, value in ((s.total, 1.0), *((p, -1.0) for p in s.parts)):
                rows.append(row)
                columns.append(self._index[cell])
                values.append(value)
        return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64), np.array(values)

    def _twins(self, n: int) -> None:
        """Find cells that enter one and the same sum as parts, and nothing else."""
        by_column = self._matrix.tocsc()
        first: dict[int, int] = {}
        self._stands_for = np.arange(n)
        self._size = np.ones(n, dtype=np.int64)
        for k in range(n):
            start, end = by_column.indptr[k], by_column.indptr[k + 1]
            free = self._low[k] == 0 and np.isinf(self._high[k])
            if end - start == 1 and by_column.data[start] == -1.0 and free:
                row = int(by_column.indices[start])
                leader = first.setdefault(row, k)
                self._stands_for[k] = leader
                if leader != k:
                    self._size[leader] += 1

    def _parts(self, n: int) -> None:
        kept = self._stands_for == np.arange(n)
        matrix = self._matrix
        sides = coo_array(abs(matrix))
        links = coo_array(
            (sides.data, (sides.coords[0] + n, sides.coords[1])),
            shape=(n + matrix.shape[0], n + matrix.shape[0]),
        )
        _, self._part = connected_components(links, directed=False)
        self._kept = np.flatnonzero(kept)

    def _problem(self, part: int) -> tuple[NDArray[np.int64], csr_array]:
        if part not in self._problems:
            columns = self._kept[self._part[self._kept] == part]
            rows = np.flatnonzero(self._part[len(self.cells) :] == part)
            self._problems[part] = columns, self._matrix[rows][:, columns]
        return self._problems[part]

    def _extreme(self, k: int, sign: int) -> float:
        """Smallest (sign 1) or largest (sign -1) feasible value of a cell or of its twins' sum."""
        if (k, sign) in self._found:
            return self._found[k, sign]
        columns, matrix = self._problem(int(self._part[k]))
        if matrix.shape[0] == 0:
            value = self._low[k] if sign == 1 else self._high[k]
        else:
            high = np.minimum(self._high[columns], self._cap)
            goal = np.where(columns == k, float(sign), 0.0)
            found = milp(
                goal,
                integrality=np.ones(columns.size, dtype=np.int64),
                bounds=Bounds(self._low[columns], high),
                constraints=LinearConstraint(matrix, 0.0, 0.0),
                options={"mip_rel_gap": 0.0},
            )
            if found.status == 2:
                raise contradiction(self.cells[k])
            if found.status != 0:
                raise DisclosureError(
                    "the audit must come to an end",
                    values={"solver": found.message},
                    remedy="release fewer outputs at once",
                )
            value = float(np.rint(sign * found.fun))
            if value >= self._cap:
                value = np.inf
        self._found[k, sign] = value
        return float(value)

    def interval(self, cell: Cell) -> tuple[float, float]:
        """Find what a reader knows of a cell.

        Parameters
        ----------
        cell : Cell
            Which.

        Returns
        -------
        tuple of float
            Smallest and largest feasible count.
        """
        k = int(self._stands_for[self._index[cell]])
        high = self._extreme(k, -1)
        return (0.0 if self._size[k] > 1 else self._extreme(k, 1)), high

    def wide(self, cell: Cell, width: int) -> bool:
        """Tell whether the feasible counts of a cell span a width.

        Parameters
        ----------
        cell : Cell
            Which.
        width : int
            Largest minus smallest.

        Returns
        -------
        bool
            True if they do.
        """
        k = int(self._stands_for[self._index[cell]])
        high = self._extreme(k, -1)
        if high < width:
            return False
        return self._size[k] > 1 or high - self._extreme(k, 1) >= width


def contradiction(cell: Cell) -> DisclosureError:
    """Describe outputs that cannot all be true.

    Parameters
    ----------
    cell : Cell
        One that they speak of.

    Returns
    -------
    DisclosureError
        To be raised.
    """
    return DisclosureError(
        "outputs of the same name must not contradict each other",
        values={"near": str(cell)},
        remedy="give other patients another population; check that totals add up",
    )
