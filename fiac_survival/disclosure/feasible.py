r"""Counts that agree with all statements: how large, how small, and what is not decided in time.

Each question is an integer programme (HiGHS, without a gap) with a limit of time. A search has two ends:
the best table of counts that it found, which is checked against the statements before it counts, and the
bound that it proved. If they meet, the answer is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from fiac_survival.core.errors import DataError, DisclosureError
from fiac_survival.disclosure.outputs import Cell, LinearOutputs, Sum

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Verdict = Literal["safe", "leaks", "undecided"]
SECONDS = 20.0


class Reach(NamedTuple):
    """The end of the feasible counts of a cell: the best one found (NaN: none), and what is proved."""

    found: float
    proved: float

    @property
    def exact(self) -> bool:
        """Whether both are one."""
        return self.found == self.proved


class System:
    """The statements as a system of equations and bounds, in parts that share no cell.

    Parameters
    ----------
    outputs : LinearOutputs
        Statements.
    seconds : float
        Longest time for one search.

    Raises
    ------
    DataError
        If the seconds are not positive.
    DisclosureError
        If statements about one cell contradict each other.
    """

    def __init__(self, outputs: LinearOutputs, *, seconds: float = SECONDS) -> None:
        if not seconds > 0:
            raise DataError("a search needs time", values={"seconds": seconds})
        self.cells = outputs.cells
        self.seconds = seconds
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
        self._problems: dict[int, tuple[Ints, csr_array]] = {}
        # Smallest and largest count of each cell in any feasible table met so far.
        self._seen_low, self._seen_high = np.full(n, np.nan), np.full(n, np.nan)
        self._see_truth(outputs)

    def _check_bounds(self) -> None:
        wrong = np.flatnonzero(self._low > self._high)
        if wrong.size:
            raise contradiction(self.cells[wrong[0]])

    def _coefficients(self, sums: Sequence[Sum]) -> tuple[Ints, Ints, Floats]:
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

    def _see_truth(self, outputs: LinearOutputs) -> None:
        """Remember the counts themselves, where all of a part are known and agree with it."""
        value = np.array([float(outputs.truth.get(c, np.nan)) for c in self.cells])
        together = np.zeros(value.size)
        np.add.at(together, self._stands_for, value)
        for part in np.unique(self._part[self._kept]):
            columns, matrix = self._problem(int(part))
            if not np.isnan(together[columns]).any():
                self._see(columns, matrix, together[columns])

    def _see(self, columns: Ints, matrix: csr_array, point: Floats) -> bool:
        """Remember a table of counts if it is feasible."""
        whole = np.rint(point)
        inside = (whole >= self._low[columns]) & (whole <= self._high[columns])
        if not inside.all() or (matrix.shape[0] and np.any(matrix @ whole != 0)):
            return False
        self._seen_low[columns] = np.fmin(self._seen_low[columns], whole)
        self._seen_high[columns] = np.fmax(self._seen_high[columns], whole)
        return True

    def _problem(self, part: int) -> tuple[Ints, csr_array]:
        if part not in self._problems:
            columns = self._kept[self._part[self._kept] == part]
            rows = np.flatnonzero(self._part[len(self.cells) :] == part)
            self._problems[part] = columns, self._matrix[rows][:, columns]
        return self._problems[part]

    def _search(self, k: int, sign: int, stop: float) -> Reach:
        """Find the largest (sign 1) or smallest (sign -1) count of a cell or of its twins' sum.

        The search may end at `stop`, beyond which it does not look.
        """
        columns, matrix = self._problem(int(self._part[k]))
        low, high = self._low[columns], np.minimum(self._high[columns], self._cap)
        place = int(np.flatnonzero(columns == k)[0])
        if sign == 1:
            high[place] = min(high[place], max(stop, low[place]))
        else:
            low[place] = max(low[place], min(stop, high[place]))
        if matrix.shape[0] == 0:
            end = high[place] if sign == 1 else low[place]
            self._see(columns, matrix, np.where(np.arange(columns.size) == place, end, low))
            return Reach(end, end)
        found = milp(
            np.where(columns == k, -float(sign), 0.0),
            integrality=np.ones(columns.size, dtype=np.int64),
            bounds=Bounds(low, high),
            constraints=LinearConstraint(matrix, 0.0, 0.0),
            options={"mip_rel_gap": 0.0, "time_limit": self.seconds},
        )
        if found.status == 2:
            raise contradiction(self.cells[k])
        value = np.nan
        if found.x is not None and self._see(columns, matrix, found.x):
            value = float(np.rint(found.x[place]))
        if found.status == 0 and value == value:
            return Reach(value, value)
        bound = found.mip_dual_bound
        outer = high[place] if sign == 1 else low[place]
        if bound is not None and np.isfinite(bound):
            proved = -sign * float(bound)
            tighter = np.floor(proved + 1e-6) if sign == 1 else np.ceil(proved - 1e-6)
            outer = min(outer, tighter) if sign == 1 else max(outer, tighter)
        return Reach(value, outer)

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

        Raises
        ------
        DisclosureError
            If the time does not suffice.
        """
        k = int(self._stands_for[self._index[cell]])
        ends = [self._search(k, sign, sign * np.inf) for sign in (-1, 1)]
        if not all(end.exact for end in ends):
            raise DisclosureError(
                "the search must come to an end",
                values={"cell": str(cell), "seconds": self.seconds},
                remedy="release fewer outputs at once",
            )
        high = ends[1].found
        return (
            0.0 if self._size[k] > 1 else ends[0].found,
            np.inf if high >= self._cap else high,
        )

    def judge(self, cell: Cell, width: int) -> Verdict:
        """Tell whether the feasible counts of a cell span a width.

        Parameters
        ----------
        cell : Cell
            Which.
        width : int
            Largest minus smallest.

        Returns
        -------
        {"safe", "leaks", "undecided"}
            "safe" if they do.
        """
        k = int(self._stands_for[self._index[cell]])
        if self._size[k] > 1:
            # Each of several twins can be 0 while another takes all.
            self._seen_low[k] = 0.0
        if self._spans(k, width):
            return "safe"
        up = self._search(k, 1, np.nan_to_num(self._seen_low[k] + width, nan=np.inf))
        if self._spans(k, width):
            return "safe"
        if self._size[k] > 1 or up.proved < width:
            return "leaks" if up.proved < width else "undecided"
        down = self._search(k, -1, np.nan_to_num(self._seen_high[k] - width, nan=-np.inf))
        if self._spans(k, width):
            return "safe"
        return "leaks" if up.proved - down.proved < width else "undecided"

    def _spans(self, k: int, width: int) -> bool:
        return bool(self._seen_high[k] - self._seen_low[k] >= width)

    def wide(self, cell: Cell, width: int) -> bool:
        """Tell whether the feasible counts of a cell were shown to span a width.

        Parameters
        ----------
        cell : Cell
            Which.
        width : int
            Largest minus smallest.

        Returns
        -------
        bool
            True if they do; False if they do not, or it was not decided in time.
        """
        return self.judge(cell, width) == "safe"

    def known_small(self, cell: Cell, threshold: int) -> Verdict:
        """Tell whether a count that is not known here is certain to be small.

        Parameters
        ----------
        cell : Cell
            Which.
        threshold : int
            Smallest count that is not.

        Returns
        -------
        {"safe", "leaks", "undecided"}
            "safe" if it can be the threshold or more, or must be 0.
        """
        k = int(self._stands_for[self._index[cell]])
        if self._seen_high[k] >= threshold:
            return "safe"
        up = self._search(k, 1, float(threshold))
        if up.found >= threshold or up.proved < 1:
            return "safe"
        return "leaks" if up.found >= 1 and up.proved < threshold else "undecided"


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
