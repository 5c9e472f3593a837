"""Checks of multistate data: possible transitions, and whether each person's path holds together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome

Ints = NDArray[np.int64]


def last_entered(
    person: Ints, to: NDArray[Any], moved: NDArray[np.bool_], order: Ints, initial: Any
) -> NDArray[Any]:
    """Find the state held during each interval from the states entered before it.

    Parameters
    ----------
    person : (n,) int64
        Person codes.
    to : (n,) object
        State entered at the end of each interval.
    moved : (n,) bool
        Whether one was.
    order : (n,) int64
        Order of the intervals by person and time.
    initial : object
        State before the first transition.

    Returns
    -------
    (n,) object
        Labels.
    """
    held = np.empty(person.size, dtype=object)
    now, last = initial, -1
    for i in order:
        if person[i] != last:
            now, last = initial, person[i]
        held[i] = now
        if moved[i]:
            now = to[i]
    return held


def state_order(
    states: Sequence[Any] | None, held: NDArray[Any], entered: NDArray[Any], initial: Any
) -> tuple[Any, ...]:
    """Order the states: as given, or sorted after the initial one.

    Parameters
    ----------
    states : sequence or None
        The order asked for.
    held, entered : object arrays
        Labels that occur.
    initial : object
        Label to stand first, or None.

    Returns
    -------
    tuple
        Labels.

    Raises
    ------
    DataError
        If a label is repeated.
    """
    if states is not None:
        if len(set(states)) != len(states):
            raise DataError("states must differ", values={"states": list(states)})
        return tuple(states)
    found = columns.labels(np.concatenate([held, entered]), "states")[1]
    if initial is not None:
        found = [initial, *(label for label in found if label != initial)]
    return tuple(found)


def structure(states: tuple[Any, ...], pairs: Sequence[tuple[Any, Any]]) -> tuple[Ints, Ints]:
    """Code the possible transitions.

    Parameters
    ----------
    states : tuple
        Labels.
    pairs : sequence of (from, to)
        Possible transitions.

    Returns
    -------
    source, target : (K,) int64
        States that they lead from and to, in order.

    Raises
    ------
    DataError
        If there is none, one is unknown, or one leads from a state to itself.
    """
    place = {label: j for j, label in enumerate(states)}
    for j, to in pairs:
        if j not in place or to not in place or j == to:
            raise DataError(
                "transitions must lead from one state to another of the states",
                values={"from": j, "to": to, "states": states},
                remedy="check the labels; staying in a state is no transition",
            )
    if not pairs:
        raise DataError(
            "multistate data need at least one transition",
            remedy="check the coding of to_state (missing means no transition)",
        )
    codes = np.array(sorted({(place[j], place[to]) for j, to in pairs}), dtype=np.int64)
    return np.ascontiguousarray(codes[:, 0]), np.ascontiguousarray(codes[:, 1])


def require_continuity(
    person: Ints, outcome: Outcome, state: Ints, entered: Ints, row: Ints, states: tuple[Any, ...]
) -> None:
    """Refuse overlapping intervals, and a state other than the one entered last.

    Parameters
    ----------
    person, state, entered, row : (n,) int64
        Codes of person, state held, state entered (-1 for none); row of the table.
    outcome : Outcome
        Entry and exit.
    states : tuple
        Labels, for messages.

    Raises
    ------
    DataError
        Naming the first row that breaks the rule.
    """
    begin, end = outcome.entry_or_zero(), outcome.time
    order = np.lexsort((begin, person))
    before, after = order[:-1], order[1:]
    same = person[before] == person[after]
    overlap = np.flatnonzero(same & (begin[after] < end[before]))
    if overlap.size:
        i, j = before[overlap[0]], after[overlap[0]]
        raise DataError(
            "the intervals of one person must not overlap",
            count=int(overlap.size),
            row=int(row[j]),
            values={"entry": float(begin[j]), "end of the interval before": float(end[i])},
            remedy="cut or merge the intervals",
        )
    expected = np.where(entered >= 0, entered, state)
    jump = np.flatnonzero(same & (state[after] != expected[before]))
    if jump.size:
        i, j = before[jump[0]], after[jump[0]]
        raise DataError(
            "a person must be found in the state entered last",
            count=int(jump.size),
            row=int(row[j]),
            values={"expected": states[expected[i]], "found": states[state[j]]},
            remedy="add the transition to the interval before, or correct the state",
        )
