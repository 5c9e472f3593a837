r"""How unlike courses of states are: optimal matching, Hamming, common parts, spells.

For sequences x and y of states, with c(a, b) the cost of substituting a by b and g of an insertion or a
deletion:

- ``"om"``: the least cost of substitutions, insertions and deletions that turn x into y (Needleman and
  Wunsch 1970; Abbott and Forrest 1986).
- ``"hamming"``: :math:`\sum_t c(x_t, y_t)`, equal lengths (Hamming 1950).
- ``"dhd"``: :math:`\sum_t c_t(x_t, y_t)` with costs that depend on time (Lesnard 2010).
- ``"lcs"``: |x| + |y| − 2·(length of the longest common subsequence); ``"lcp"`` and ``"rlcp"``: of the
  longest common prefix, and of the longest common suffix (Elzinga 2008).
- ``"omspell"``: the least cost of turning the spells of x into those of y (Studer and Ritschard 2016). With
  :math:`b=t^p-1` for a spell of t steps, p the power of durations and e the cost of expansion, inserting or
  deleting a spell of state a costs :math:`g+e\,b`, replacing it :math:`e\,|b-b'|` by a spell of the same
  state and :math:`c(a,a')+e\,(b+b')` by one of another.

Costs from transition rates: see `fiac_survival.sequence.substitution_costs`. Rows with the same sequence
are compared once. With u distinct sequences the condensed table has u (u − 1) / 2 numbers in the order of
SciPy's ``squareform``; it may be kept in a file, or not at all and be computed in blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path
from fiac_survival.core.results import Result
from fiac_survival.core.threads import numba_threads
from fiac_survival.sequence.distance_problem import (
    DistanceProblem,
    Method,
    Normalise,
    condensed_place,
    make_problem,
)
from fiac_survival.sequence.state_codes import read_states

Floats = NDArray[np.float64]


class DistanceBlock(NamedTuple):
    """Distances of some distinct sequences to others.

    Attributes
    ----------
    rows, columns : range
        Numbers of distinct sequences.
    distances : (rows, columns) float64
        Distances.
    """

    rows: range
    columns: range
    distances: Floats


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StateDistances(Result):
    """Distances between sequences of states.

    Attributes
    ----------
    table : DataFrame
        One row a distinct sequence: sequence, first_row, n, length, states.
    problem : DistanceProblem
        The sequences and their costs.
    distinct : (u (u - 1) / 2,) float64 or None
        Condensed distances of distinct sequences; a mapped file if one was asked for, None if they
        are not kept.
    threads : int or None
        Threads of later calls.
    """

    problem: DistanceProblem
    distinct: Floats | None
    threads: int | None

    def _title(self) -> str:
        return (
            f"State sequences, {self.n_distinct} distinct of {self.n_rows}, {self.problem.method}"
        )

    @property
    def n_rows(self) -> int:
        """Number of sequences."""
        return int(self.problem.sequences.of_row.size)

    @property
    def n_distinct(self) -> int:
        """Number of distinct sequences."""
        return self.problem.sequences.size

    @property
    def row_sequence(self) -> NDArray[np.int64]:
        """(n,) int64, the distinct sequence of each row."""
        return self.problem.sequences.of_row

    @property
    def substitution(self) -> Floats | None:
        """Substitution costs, (K, K), or (L, K, K) for dynamic Hamming distances."""
        return self.problem.substitution

    @property
    def indel(self) -> Floats | None:
        """(K,) costs of insertion and deletion."""
        return self.problem.indel

    @property
    def alphabet(self) -> tuple[Any, ...]:
        """The states, in the order of the costs."""
        return self.problem.sequences.alphabet

    @property
    def condensed(self) -> Floats:
        """(n (n - 1) / 2,) float64, distances of all pairs of rows, in SciPy's order.

        Raises
        ------
        DataError
            If distances were not kept.
        """
        kept = self._kept()
        n, of_row = self.n_rows, self.row_sequence
        if self.n_distinct == n:
            return kept
        out = np.empty(n * (n - 1) // 2)
        for i in range(n - 1):
            at = int(condensed_place(np.int64(i), n)) + i + 1
            out[at : at + n - 1 - i] = self._row(of_row[i], of_row[i + 1 :])
        return out

    def matrix(self, rows: Sequence[int] | NDArray[Any] | None = None) -> Floats:
        """Square table of distances.

        Parameters
        ----------
        rows : sequence of int, optional
            Rows to compare; all by default.

        Returns
        -------
        (r, r) float64
            Symmetric, 0 on the diagonal.

        Raises
        ------
        DataError
            If a row does not exist.
        """
        chosen = np.arange(self.n_rows) if rows is None else np.asarray(rows, dtype=np.int64)
        wrong = chosen[(chosen < 0) | (chosen >= self.n_rows)]
        if wrong.size:
            raise DataError(
                "rows must be among the sequences",
                values={"row": int(wrong[0]), "sequences": self.n_rows},
            )
        used, place = np.unique(self.row_sequence[chosen], return_inverse=True)
        square = np.zeros((used.size, used.size))
        for a, i in enumerate(used):
            if self.distinct is None:
                square[a, a:] = self._computed(int(i), used[a:])
            else:
                square[a, a:] = self._row(int(i), used[a:])
            square[a:, a] = square[a, a:]
        return square[np.ix_(place, place)]

    def blocks(self, size: int = 2048) -> Iterator[DistanceBlock]:
        """Compute the upper triangle of distinct sequences in blocks, whether they are kept or not.

        Parameters
        ----------
        size : int, default 2048
            Rows and columns of a block.

        Yields
        ------
        DistanceBlock
            Blocks with columns.start >= rows.start, row by row.

        Raises
        ------
        DataError
            If the size is not positive.
        """
        if size < 1:
            raise DataError("a block must have at least one row", values={"size": size})
        u = self.n_distinct
        for i in range(0, u, size):
            for j in range(i, u, size):
                rows, columns = range(i, min(i + size, u)), range(j, min(j + size, u))
                with numba_threads(self.threads):
                    block = self.problem.block((i, rows.stop), (j, columns.stop))
                yield DistanceBlock(rows, columns, block)

    def _kept(self) -> Floats:
        if self.distinct is None:
            raise DataError(
                "distances were not kept",
                values={"distinct sequences": self.n_distinct},
                remedy="use blocks(), matrix(rows), or keep them in memory or in a file",
            )
        return self.distinct

    def _row(self, i: int, others: NDArray[np.int64]) -> Floats:
        low, high = np.minimum(i, others), np.maximum(i, others)
        same = low == high
        at = np.where(same, 0, condensed_place(low, self.n_distinct) + high)
        if same.all():
            return np.zeros(others.size)
        return np.where(same, 0.0, self._kept()[at])

    def _computed(self, i: int, others: NDArray[np.int64]) -> Floats:
        first = int(others.min())
        with numba_threads(self.threads):
            row = self.problem.block((i, i + 1), (first, int(others.max()) + 1))[0]
        out: Floats = row[others - first]
        return out


def state_sequence_distances(
    states: Any,
    *,
    method: Method = "om",
    substitution: Any = None,
    substitution_cost: float | None = None,
    indel: Any = None,
    normalise: Normalise = "none",
    expansion_cost: float | None = None,
    duration_power: float | None = None,
    alphabet: Sequence[Any] | None = None,
    keep: Literal["memory", "nothing"] | Path = "memory",
    threads: int | None = None,
) -> StateDistances:
    """Compare sequences of states with each other.

    Parameters
    ----------
    states : DataFrame, 2-D array or list of sequences
        One row a sequence; in a table missing values at the end of a row are beyond its end.
    method : {"om", "hamming", "lcs", "dhd", "lcp", "rlcp", "omspell"}
        Optimal matching, Hamming, longest common subsequence, dynamic Hamming, longest common prefix
        and suffix, optimal matching of spells.
    substitution : "constant", "transition_rates" or array, optional
        Substitution costs, (K, K), or (L, K, K) for "dhd", in the alphabet's order. By default
        constant, for "dhd" from transition rates.
    substitution_cost : float, optional
        The constant, or the number from which transition rates are taken: 2 for "om" and "omspell",
        1 for "hamming" with constant costs (2 with rates), 4 for "dhd".
    indel : float, (K,) array or "auto", optional
        Cost of insertion and deletion, "om" and "omspell": 1 by default; "auto" is half the largest
        substitution cost.
    normalise : {"none", "longer_length", "geometric_mean", "yujian_bo"}
        Divide by the longer length; 1 − (common part) / √(|x||y|), "lcs", "lcp" and "rlcp" only; or
        2d / (g|x| + g|y| + d) of Yujian and Bo (2007), these and "om". None of them for "omspell".
    expansion_cost : float, optional
        What a spell's duration beyond one step costs, "omspell" only: 0.5 by default.
    duration_power : float, optional
        Power p of durations, "omspell" only: 1 by default; 0 compares the order of spells alone.
    alphabet : sequence, optional
        The states; by default those that occur, sorted.
    keep : {"memory", "nothing"} or Path, default "memory"
        Where the condensed distances of distinct sequences go; a path is a NumPy file (.npy), mapped
        into memory.
    threads : int, optional
        Threads; the numbers are the same for any.

    Returns
    -------
    StateDistances
        ``.condensed``, ``.matrix()``, ``.blocks()``, ``.table``.

    Raises
    ------
    DataError
        If a sequence is empty or has a gap, a state is unknown, lengths differ where they must not, a
        cost is missing, negative or not symmetric, or an option does not belong to the method.
    OutputError
        If the file cannot be written.

    References
    ----------
    L. Lesnard, Setting cost in optimal matching to uncover contemporaneous socio-temporal patterns,
    Sociological Methods & Research 38 (2010). C. H. Elzinga, Sequence analysis: metric representations
    of categorical time series (2008). M. Studer and G. Ritschard, What matters in differences between
    life trajectories, Journal of the Royal Statistical Society A 179 (2016). H. Hyyrö, Bit-parallel
    LCS-length computation revisited (2004).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> courses = ["AABB", "ABBB", "AAB"]
    >>> fs.sequence.state_sequence_distances(courses).condensed
    array([2., 1., 3.])
    >>> fs.sequence.state_sequence_distances(courses[:2], method="hamming").condensed
    array([1.])
    >>> fs.sequence.state_sequence_distances(courses, method="lcp").condensed
    array([6., 1., 5.])
    >>> fs.sequence.state_sequence_distances(courses, method="omspell").condensed
    array([1. , 0.5, 1.5])
    """
    sequences = read_states(states, alphabet=alphabet)
    problem = make_problem(
        sequences,
        method=method,
        substitution=substitution,
        substitution_cost=substitution_cost,
        indel=indel,
        normalise=normalise,
        expansion_cost=expansion_cost,
        duration_power=duration_power,
    )
    pairs = sequences.size * (sequences.size - 1) // 2
    distinct: Floats | None
    if isinstance(keep, Path):
        distinct = _in_file(problem, keep, pairs, threads)
    elif keep == "memory":
        distinct = _in_memory(pairs)
        problem.condensed(distinct, threads=threads)
        distinct.setflags(write=False)
    elif keep == "nothing":
        distinct = None
    else:
        raise DataError(
            "keep must be 'memory', 'nothing' or a Path",
            values={"keep": keep},
            remedy="pass pathlib.Path(name) for a file",
        )
    return StateDistances(
        table=sequences.table(), problem=problem, distinct=distinct, threads=threads
    )


def _in_memory(pairs: int) -> Floats:
    try:
        return np.empty(pairs)
    except MemoryError:
        raise DataError(
            "the distances must fit into memory",
            values={"pairs": pairs, "gigabytes": round(pairs * 8 / 1e9, 1)},
            remedy="keep them in a file, or compute them in blocks (keep='nothing')",
        ) from None


def _in_file(problem: DistanceProblem, path: Path, pairs: int, threads: int | None) -> Floats:
    if path.suffix != ".npy":
        raise DataError(
            "the file of distances must end in .npy", values={"file": path.name}, remedy="rename it"
        )
    if pairs == 0:
        raise DataError(
            "a file of distances needs at least two distinct sequences",
            values={"distinct": problem.sequences.size},
            remedy="keep them in memory",
        )
    with atomic_path(path) as temporary:
        file = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float64, shape=(pairs,))
        problem.condensed(file, threads=threads)
        file.flush()
        del file
    mapped: Floats = np.load(path, mmap_mode="r")
    return mapped
