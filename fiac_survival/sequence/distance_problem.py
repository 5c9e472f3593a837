"""One problem of distances between sequences: its costs, checked, and any part of its table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.threads import numba_threads
from fiac_survival.kernels.state_sequences import (
    edit_distances,
    positional_distances,
    prefix_distances,
    spell_distances,
    subsequence_distances,
)
from fiac_survival.sequence.state_codes import Spells, StateSequences
from fiac_survival.sequence.substitution_costs import (
    check_costs,
    check_indel,
    constant_costs,
    costs_from_rates,
    costs_over_time,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Method = Literal["om", "hamming", "lcs", "dhd", "lcp", "rlcp", "omspell"]
Normalise = Literal["none", "longer_length", "geometric_mean", "yujian_bo"]
Substitution = Literal["constant", "transition_rates"]
COMMON_PARTS = {"lcs", "lcp", "rlcp"}
PAIRS_AT_ONCE = 1 << 25


@dataclass(frozen=True, eq=False)
class DistanceProblem:
    """Sequences with what it costs to change them.

    Attributes
    ----------
    sequences : StateSequences
        Distinct sequences.
    method : str
        One of `Method`.
    substitution : (K, K) or (L, K, K) float64 or None
        Substitution costs; None for "lcs", "lcp" and "rlcp".
    indel : (K,) float64 or None
        Costs of insertion and deletion; None where there are none.
    normalise : str
        How distances are scaled.
    expansion_cost : float or None
        What a spell's duration beyond one step costs, "omspell" only.
    spells : Spells or None
        The spells, their durations to the power asked for, "omspell" only.
    """

    sequences: StateSequences
    method: Method
    substitution: Floats | None
    indel: Floats | None
    normalise: Normalise
    expansion_cost: float | None = None
    spells: Spells | None = None

    def fill(
        self,
        rows: tuple[int, int],
        columns: tuple[int, int],
        place: Ints,
        out: Floats,
        *,
        triangle: bool,
    ) -> None:
        """Compute distances of some pairs.

        Parameters
        ----------
        rows, columns : (first, after the last)
            Distinct sequences.
        place : (rows,) int64
            Pair (i, j) goes to ``out[place[i - rows[0]] + j]``.
        out : float64 array
            Filled.
        triangle : bool
            Only pairs with row < column.
        """
        s = self.sequences
        sides = (rows, columns, triangle, place, out)
        if self.method in {"lcp", "rlcp"}:
            prefix_distances(s.code, s.length, self.method == "rlcp", *sides)
        elif self.spells is not None:
            self._fill_spells(sides)
        elif self.substitution is None or self._is_subsequence():
            step = 1.0 if self.indel is None else float(self.indel[0])
            subsequence_distances(s.code, s.length, len(s.alphabet), step, *sides)
        elif self.indel is None:
            costs = self.substitution
            positional_distances(s.code, costs if costs.ndim == 3 else costs[None], *sides)
        else:
            edit_distances(s.code, s.length, self.substitution, self.indel, *sides)
        self._scale(rows, columns, place, out, triangle)

    def _fill_spells(self, sides: tuple[Any, ...]) -> None:
        spells, costs, prices = self.spells, self.substitution, self.indel
        if spells is None or costs is None or prices is None or self.expansion_cost is None:
            raise AssertionError("omspell has spells and all costs")
        spell_distances(
            spells.state, spells.beyond, spells.count, costs, prices, self.expansion_cost, *sides
        )

    def _is_subsequence(self) -> bool:
        """Whether a substitution is never cheaper than a deletion and an insertion, of one cost."""
        costs, indel = self.substitution, self.indel
        if costs is None or indel is None or (indel != indel[0]).any():
            return False
        between = ~np.eye(costs.shape[0], dtype=bool)
        return bool((costs[between] >= 2.0 * indel[0]).all())

    def _scale(
        self,
        rows: tuple[int, int],
        columns: tuple[int, int],
        place: Ints,
        out: Floats,
        triangle: bool,
    ) -> None:
        if self.normalise == "none":
            return
        length = self.sequences.length.astype(np.float64)
        for i in range(*rows):
            first = max(columns[0], i + 1) if triangle else columns[0]
            if first >= columns[1]:
                continue
            at = int(place[i - rows[0]])
            part = out[at + first : at + columns[1]]
            mine, theirs = length[i], length[first : columns[1]]
            match self.normalise:
                case "longer_length":
                    part /= np.maximum(mine, theirs)
                case "geometric_mean":
                    part[:] = 1.0 - 0.5 * (mine + theirs - part) / np.sqrt(mine * theirs)
                case "yujian_bo":
                    step = 1.0 if self.indel is None else self.indel[0]
                    part[:] = 2.0 * part / (step * (mine + theirs) + part)
                case _:
                    assert_never(self.normalise)

    def condensed(self, out: Floats, *, threads: int | None) -> None:
        """Compute the distances of all pairs i < j, row by row.

        Parameters
        ----------
        out : (u (u - 1) / 2,) float64
            An array or a mapped file; filled.
        threads : int or None
            Threads.
        """
        u = self.sequences.size
        with numba_threads(threads):
            for first, last in _row_blocks(u):
                row = np.arange(first, last, dtype=np.int64)
                start = condensed_place(row, u)
                base = int(start[0]) + first + 1
                end = int(condensed_place(np.int64(last), u)) + last + 1
                self.fill((first, last), (first, u), start - base, out[base:end], triangle=True)

    def block(self, rows: tuple[int, int], columns: tuple[int, int]) -> Floats:
        """Distances of every sequence of `rows` to every one of `columns`.

        Parameters
        ----------
        rows, columns : (first, after the last)
            Distinct sequences.

        Returns
        -------
        (rows, columns) float64
            A block.
        """
        height, width = rows[1] - rows[0], columns[1] - columns[0]
        out = np.empty(height * width)
        place = np.arange(height, dtype=np.int64) * width - columns[0]
        self.fill(rows, columns, place, out, triangle=False)
        return out.reshape(height, width)


def condensed_place(row: Any, u: int) -> Any:
    """Where rows of a condensed table of u sequences stand: pair (i, j), i < j, at place(i) + j.

    Parameters
    ----------
    row : int64 or int64 array
        i.
    u : int
        Number of sequences.

    Returns
    -------
    int64 or int64 array
        place(i), so that the numbers do not overflow for u beyond 46,340.
    """
    return row * np.int64(u) - row * (row + 1) // 2 - row - 1


def _row_blocks(u: int) -> Iterator[tuple[int, int]]:
    first = 0
    while first < u - 1:
        last = min(u, first + max(1, PAIRS_AT_ONCE // (u - first)))
        yield first, last
        first = last


def make_problem(
    sequences: StateSequences,
    *,
    method: Method,
    substitution: Any,
    substitution_cost: float | None,
    indel: Any,
    normalise: Normalise,
    expansion_cost: float | None = None,
    duration_power: float | None = None,
) -> DistanceProblem:
    """Check the options of a method and make its costs.

    Parameters
    ----------
    sequences : StateSequences
        Distinct sequences.
    method, substitution, substitution_cost, indel, normalise, expansion_cost, duration_power
        See :func:`fiac_survival.sequence.state_sequence_distances`.

    Returns
    -------
    DistanceProblem
        Ready to compute.

    Raises
    ------
    DataError
        If an option is unknown or does not belong to the method, lengths differ where they must not,
        or a cost breaks a rule.
    """
    require_choice(method, Method, "method")
    require_choice(normalise, Normalise, "normalise")
    if method in {"hamming", "dhd"}:
        _require_equal_lengths(sequences, method)
    if method in COMMON_PARTS:
        _refuse("substitution", substitution, method)
        _refuse("substitution_cost", substitution_cost, method)
    if method not in {"om", "omspell"}:
        _refuse("indel", indel, method)
    if method != "omspell":
        _refuse("expansion_cost", expansion_cost, method)
        _refuse("duration_power", duration_power, method)
    _check_scale(method, normalise)
    costs = _costs(sequences, method, substitution, substitution_cost)
    prices = None
    if method in {"om", "omspell"} and costs is not None:
        prices = check_indel(1.0 if indel is None else indel, costs, sequences.alphabet)
        if normalise == "yujian_bo" and (prices != prices[0]).any():
            raise DataError(
                "normalise='yujian_bo' needs one cost of insertion and deletion",
                values={"indel": prices.tolist()},
                remedy="pass one number as indel",
            )
    if method != "omspell":
        return DistanceProblem(sequences, method, costs, prices, normalise)
    expansion = 0.5 if expansion_cost is None else expansion_cost
    power = 1.0 if duration_power is None else duration_power
    for name, value in (("expansion_cost", expansion), ("duration_power", power)):
        if not (np.isfinite(value) and value >= 0):
            raise DataError(f"{name} must be finite and at least 0", values={name: value})
    spells = sequences.spells(power=power)
    return DistanceProblem(sequences, method, costs, prices, normalise, float(expansion), spells)


def _check_scale(method: Method, normalise: Normalise) -> None:
    if normalise != "none" and method == "omspell":
        raise DataError(
            "distances between spells are not normalised",
            values={"normalise": normalise},
            remedy="leave it out",
        )
    if normalise == "geometric_mean" and method not in COMMON_PARTS:
        raise DataError(
            "normalise='geometric_mean' belongs to method='lcs', 'lcp' and 'rlcp'",
            values={"method": method},
            remedy="choose 'longer_length'",
        )
    if normalise == "yujian_bo" and method not in {"om", *COMMON_PARTS}:
        raise DataError(
            "normalise='yujian_bo' needs insertions and deletions",
            values={"method": method},
            remedy="choose 'longer_length'",
        )


def _costs(
    sequences: StateSequences, method: Method, substitution: Any, base: float | None
) -> Floats | None:
    k = len(sequences.alphabet)
    shape: tuple[int, ...]
    match method:
        case "lcs" | "lcp" | "rlcp":
            return None
        case "om" | "omspell":
            usual, shape, default = 2.0, (k, k), "constant"
        case "hamming":
            usual, shape, default = 1.0, (k, k), "constant"
        case "dhd":
            usual, shape, default = 4.0, (sequences.code.shape[1], k, k), "transition_rates"
        case _:
            assert_never(method)
    kind = default if substitution is None else substitution
    if not isinstance(kind, str):
        _refuse("substitution_cost", base, "a matrix of costs")
        return check_costs(kind, shape, sequences.alphabet)
    require_choice(kind, Substitution, "substitution")
    if base is not None and not (np.isfinite(base) and base >= 0):
        raise DataError(
            "substitution_cost must be finite and at least 0",
            values={"substitution_cost": base},
            remedy=f"the usual one is {usual:g}",
        )
    if kind == "constant":
        if method == "dhd":
            raise DataError(
                "dynamic Hamming distances need costs that depend on time",
                values={"substitution": kind},
                remedy="use method='hamming'",
            )
        return constant_costs(k, usual if base is None else base)
    if method == "dhd":
        return costs_over_time(sequences, usual if base is None else base)
    base = 2.0 if base is None else base
    if base < 2.0:
        raise DataError(
            "costs from transition rates need a substitution_cost of at least 2",
            values={"substitution_cost": base},
            remedy="a smaller one may make a cost negative",
        )
    return costs_from_rates(sequences, base)


def _refuse(name: str, value: Any, owner: str) -> None:
    if value is not None:
        raise DataError(
            f"{name} does not belong to {owner}",
            values={name: value if isinstance(value, (str, float, int)) else "given"},
            remedy="leave it out",
        )


def _require_equal_lengths(sequences: StateSequences, method: str) -> None:
    other = np.flatnonzero(sequences.length != sequences.length[0])
    if other.size:
        first = int(other[0])
        raise DataError(
            f"method={method!r} needs sequences of equal length",
            count=int(sequences.count[other].sum()),
            row=int(sequences.first[first]),
            values={
                "length": int(sequences.length[first]),
                "length of row 0": int(sequences.length[0]),
            },
            remedy="cut them to a common length, or use method='om' or 'lcs'",
        )
