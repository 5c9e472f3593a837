"""Sequences of states as integers: who is in which state at each step, each distinct sequence once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError

Ints = NDArray[np.int64]
MAX_STATES = 250


@dataclass(frozen=True, eq=False)
class Spells:
    """Sequences as spells: uninterrupted stays in a state.

    Attributes
    ----------
    state : (u, P) uint8
        States of the spells; 0 beyond a sequence's last.
    steps : (u, P) int64
        How many steps each lasts; 0 beyond.
    beyond : (u, P) float64
        steps**power - 1; 0 beyond.
    count : (u,) int64
        How many spells each sequence has.
    """

    state: NDArray[np.uint8]
    steps: Ints
    beyond: NDArray[np.float64]
    count: Ints


@dataclass(frozen=True, eq=False)
class StateSequences:
    """Distinct sequences in the order in which they first occur.

    Attributes
    ----------
    alphabet : tuple
        The K states.
    code : (u, L) uint8
        States of the distinct sequences; 0 beyond their length.
    length : (u,) int64
        Their lengths.
    count : (u,) int64
        How many rows have each.
    first : (u,) int64
        Row where each occurs first.
    of_row : (n,) int64
        The distinct sequence of each row.
    """

    alphabet: tuple[Any, ...]
    code: NDArray[np.uint8]
    length: Ints
    count: Ints
    first: Ints
    of_row: Ints

    @property
    def size(self) -> int:
        """Number of distinct sequences."""
        return int(self.length.size)

    def spells(self, *, power: float = 1.0) -> Spells:
        """Put equal states in a row together.

        Parameters
        ----------
        power : float, default 1.0
            Of durations in ``beyond``.

        Returns
        -------
        Spells
            Of the distinct sequences.
        """
        inside = np.arange(self.code.shape[1]) < self.length[:, None]
        starts = inside.copy()
        starts[:, 1:] &= self.code[:, 1:] != self.code[:, :-1]
        count = starts.sum(axis=1).astype(np.int64)
        place = np.cumsum(starts, axis=1) - 1
        row, step = np.nonzero(inside)
        steps = np.zeros((self.size, int(count.max())), dtype=np.int64)
        np.add.at(steps, (row, place[row, step]), 1)
        state = np.zeros(steps.shape, dtype=np.uint8)
        state[row, place[row, step]] = self.code[row, step]
        beyond = np.where(steps > 0, steps.astype(np.float64) ** power - 1.0, 0.0)
        return Spells(state, steps, beyond, count)

    def table(self) -> pd.DataFrame:
        """Describe the distinct sequences.

        Returns
        -------
        DataFrame
            Columns sequence, first_row, n, length, states (spells: state and number of steps).
        """
        return pd.DataFrame(
            {
                "sequence": np.arange(self.size),
                "first_row": self.first,
                "n": self.count,
                "length": self.length,
                "states": [self._spells(i) for i in range(self.size)],
            }
        )

    def _spells(self, i: int) -> str:
        states = self.code[i, : self.length[i]]
        starts = np.flatnonzero(np.r_[True, states[1:] != states[:-1]])
        steps = np.diff(np.r_[starts, states.size])
        spells = zip(states[starts], steps, strict=True)
        return " - ".join(f"{self.alphabet[state]}:{n}" for state, n in spells)


def read_states(states: Any, *, alphabet: Sequence[Any] | None = None) -> StateSequences:
    """Code sequences of states.

    Parameters
    ----------
    states : DataFrame, 2-D array or list of sequences
        One row a sequence. In a table or array missing values at the end of a row are beyond its end.
    alphabet : sequence, optional
        The states, in the order wanted; by default those that occur, sorted.

    Returns
    -------
    StateSequences
        Each distinct sequence once.

    Raises
    ------
    DataError
        If there is no sequence, one is empty or has a gap, or a state is not in the alphabet.
    """
    flat, present, shape = _flatten(states)
    codes, levels = pd.factorize(flat, sort=False)
    names = _alphabet(list(levels), alphabet)
    known = pd.Index(names, dtype=object)
    place = known.get_indexer(pd.Index(list(levels), dtype=object))
    unknown = np.flatnonzero(place < 0)
    if unknown.size:
        at = int(np.flatnonzero(np.isin(codes, unknown))[0])
        row = int(np.flatnonzero(present.ravel())[at]) // shape[1]
        raise DataError(
            "every state must be in the alphabet",
            count=int(np.isin(codes, unknown).sum()),
            row=row,
            values={"state": flat[at], "alphabet": ", ".join(map(str, names))},
            remedy="correct the state or add it to the alphabet",
        )
    table = np.zeros(shape, dtype=np.uint8)
    table[present] = place[codes]
    length = present.sum(axis=1).astype(np.int64)
    return _distinct(tuple(names), table, length)


def _flatten(states: Any) -> tuple[NDArray[Any], NDArray[np.bool_], tuple[int, int]]:
    """Values of all sequences one after the other, where they stand, and the table's shape."""
    native = nw.from_native(states, eager_only=True, pass_through=True)
    if isinstance(native, nw.DataFrame):
        array = native.to_pandas().to_numpy(dtype=object)
    elif isinstance(states, np.ndarray):
        array = states
    else:
        rows = [list(row) if not isinstance(row, str) else [*row] for row in states]
        widest = max((len(row) for row in rows), default=0)
        array = np.full((len(rows), widest), None, dtype=object)
        for i, row in enumerate(rows):
            array[i, : len(row)] = row
    if array.ndim != 2:
        raise DataError(
            "sequences must be the rows of a table",
            values={"shape": array.shape},
            remedy="pass a table, a 2-D array or a list of sequences",
        )
    if array.shape[0] == 0:
        raise DataError("there must be at least one sequence", values={"sequences": 0})
    present = ~np.asarray(pd.isna(array))
    length = present.sum(axis=1)
    empty = np.flatnonzero(length == 0)
    if empty.size:
        raise DataError(
            "a sequence must have at least one state",
            count=int(empty.size),
            row=int(empty[0]),
            remedy="drop empty sequences",
        )
    last = array.shape[1] - np.argmax(present[:, ::-1], axis=1)
    gap = np.flatnonzero(last != length)
    if gap.size:
        broken = int(gap[0])
        step = int(np.flatnonzero(~present[broken])[0])
        raise DataError(
            "a state may be missing only after a sequence's end",
            count=int(gap.size),
            row=broken,
            values={"step": step},
            remedy="give missing states a code of their own",
        )
    return array[present], present, (array.shape[0], array.shape[1])


def _alphabet(levels: list[Any], given: Sequence[Any] | None) -> list[Any]:
    if given is None:
        try:
            names = sorted(levels)
        except TypeError:
            names = sorted(levels, key=str)
    else:
        names = list(given)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise DataError("the alphabet must name each state once", values={"twice": twice})
    names = [name.item() if isinstance(name, np.generic) else name for name in names]
    if len(names) > MAX_STATES:
        raise DataError(
            f"there may be at most {MAX_STATES} states",
            values={"states": len(names)},
            remedy="merge states, or check that rows are sequences and not identifiers",
        )
    return names


def _distinct(alphabet: tuple[Any, ...], table: NDArray[np.uint8], length: Ints) -> StateSequences:
    # The length belongs to the key: what stands beyond it is state 0.
    key = np.ascontiguousarray(np.hstack([length[:, None].astype("<i4").view(np.uint8), table]))
    rows = key.view(np.dtype((np.void, key.shape[1]))).ravel()
    _, first, inverse, count = np.unique(
        rows, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    chosen = first[order].astype(np.int64)
    return StateSequences(
        alphabet=alphabet,
        code=np.ascontiguousarray(table[chosen]),
        length=length[chosen],
        count=count[order].astype(np.int64),
        first=chosen,
        of_row=rank[inverse].astype(np.int64),
    )
