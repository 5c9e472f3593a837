r"""From one row per person, with a time and a status per state, to stays in states.

With the person in state j since :math:`t_0`, let :math:`T_l, \delta_l` be time and status of each state l
that j leads to. The stay ends at :math:`\min\{T_l: \delta_l=1\}` in the state of that time or, if no status
is 1, at :math:`\min T_l` without a transition. Then the same from the state entered, until a state leads
nowhere or the stay ends without a transition.

Source: Putter, Fiocco, Geskus 2007; de Wreede, Fiocco, Putter 2011 (R ``mstate``, ``msprep``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Columns = Mapping[Any, tuple[str, str] | None]


def stays_of_wide_table(
    frame: pd.DataFrame,
    *,
    states: Columns,
    transitions: Mapping[Any, Sequence[Any]],
    person: str | None,
    start_state: str | None,
    start_time: str | None,
    simultaneous: str,
) -> dict[str, Any]:
    """Follow each person from state to state.

    Parameters
    ----------
    frame, states, transitions, person, start_state, start_time, simultaneous
        As in :meth:`fiac_survival.survival.TransitionData.from_wide`.

    Returns
    -------
    dict
        person, persons, entry, exit, state, entered (-1 for none), row.

    Raises
    ------
    DataError
        As in :meth:`fiac_survival.survival.TransitionData.from_wide`.
    """
    if simultaneous not in {"refuse", "first"}:
        raise DataError(
            "simultaneous must be 'refuse' or 'first'", values={"simultaneous": simultaneous}
        )
    labels = tuple(states)
    time, status = _times_and_status(frame, states, transitions)
    reach = _reachable(labels, transitions)
    n = len(frame)
    code, persons = np.arange(n, dtype=np.int64), tuple(range(n))
    if person is not None:
        code, found = columns.labels(_column(frame, person), person, n=n)
        persons = tuple(found)
        repeated = np.flatnonzero(pd.Series(code).duplicated())
        if repeated.size:
            raise DataError(
                "a wide table must have one row per person",
                count=int(repeated.size),
                row=int(repeated[0]),
                values={"person": persons[code[repeated[0]]]},
                remedy="use from_intervals for several rows a person",
            )
    now = _start_states(frame, start_state, labels)
    since = np.zeros(n)
    if start_time is not None:
        since = columns.require_finite(
            columns.numeric(_column(frame, start_time), start_time), start_time
        )
    parts: list[tuple[Ints, Floats, Floats, Ints, Ints]] = []
    active = np.arange(n)
    while active.size:
        following = []
        held = now[active]
        for j in range(len(labels)):
            rows = active[held == j]
            if rows.size and reach[j]:
                end, entered = _one_stay(
                    rows, since[rows], time, status, np.array(reach[j]), labels, j, simultaneous
                )
                parts.append((rows, since[rows], end, np.full(rows.size, j), entered))
                on = rows[entered >= 0]
                now[on], since[on] = entered[entered >= 0], end[entered >= 0]
                following.append(on)
        active = np.concatenate(following) if following else np.empty(0, dtype=np.int64)
    if not parts:
        raise DataError(
            "nobody starts in a state that leads anywhere",
            values={"states": labels},
            remedy="check transitions and the starting states",
        )
    row, entry, end, state, entered = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.lexsort((entry, row))
    row = row[order].astype(np.int64)
    return {
        "person": code[row],
        "persons": persons,
        "entry": entry[order],
        "exit": end[order],
        "state": state[order].astype(np.int64),
        "entered": entered[order].astype(np.int64),
        "row": row,
    }


def _column(frame: pd.DataFrame, name: str) -> Any:
    if name not in frame.columns:
        raise DataError(
            "the table must have the columns named",
            values={"missing": name, "columns": ", ".join(map(str, frame.columns))},
            remedy="check the spelling",
        )
    return frame[name]


def _times_and_status(
    frame: pd.DataFrame, states: Columns, transitions: Mapping[Any, Sequence[Any]]
) -> tuple[Floats, NDArray[np.bool_]]:
    entered = {label for to in transitions.values() for label in to}
    n = len(frame)
    time = np.full((n, len(states)), np.inf)
    status = np.zeros((n, len(states)), dtype=bool)
    for j, (label, names) in enumerate(states.items()):
        if names is None:
            if label in entered:
                raise DataError(
                    "a state that is entered needs a time and a status",
                    values={"state": label},
                    remedy="name its two columns in states",
                )
            continue
        time[:, j] = columns.require_finite(
            columns.numeric(_column(frame, names[0]), names[0]), names[0]
        )
        values = columns.require_finite(
            columns.numeric(_column(frame, names[1]), names[1]), names[1]
        )
        bad = np.flatnonzero((values != 0) & (values != 1))
        if bad.size:
            raise DataError(
                "a status must be 0 or 1",
                count=int(bad.size),
                row=int(bad[0]),
                values={names[1]: float(values[bad[0]])},
                remedy="1 says that the state was entered at the time beside it",
            )
        status[:, j] = values == 1
    return time, status


def _reachable(
    labels: tuple[Any, ...], transitions: Mapping[Any, Sequence[Any]]
) -> list[list[int]]:
    place = {label: j for j, label in enumerate(labels)}
    unknown = [label for j, to in transitions.items() for label in (j, *to) if label not in place]
    if unknown:
        raise DataError(
            "transitions must be between the states",
            values={"unknown": unknown[0], "states": labels},
            remedy="check the labels",
        )
    return [sorted(place[to] for to in transitions.get(label, ())) for label in labels]


def _start_states(frame: pd.DataFrame, name: str | None, labels: tuple[Any, ...]) -> Ints:
    if name is None:
        return np.zeros(len(frame), dtype=np.int64)
    values = columns.to_numpy(_column(frame, name), name)
    place = {label: j for j, label in enumerate(labels)}
    bad = [i for i, value in enumerate(values) if value not in place]
    if bad:
        raise DataError(
            "each person must start in one of the states",
            count=len(bad),
            row=bad[0],
            values={name: values[bad[0]], "states": labels},
            remedy="correct the label",
        )
    return np.array([place[value] for value in values], dtype=np.int64)


def _one_stay(
    rows: Ints,
    since: Floats,
    time: Floats,
    status: NDArray[np.bool_],
    reach: Ints,
    labels: tuple[Any, ...],
    held: int,
    simultaneous: str,
) -> tuple[Floats, Ints]:
    """End of the stay of each row in one state, and the state entered then (-1 for none)."""
    t, happened = time[np.ix_(rows, reach)], status[np.ix_(rows, reach)]
    early = np.flatnonzero((t <= since[:, None]).any(axis=1))
    if early.size:
        i = int(early[0])
        k = int(np.argmax(t[i] <= since[i]))
        raise DataError(
            "the time of a state must be after that of the state it is reached from",
            count=int(early.size),
            row=int(rows[i]),
            values={
                "from": labels[held],
                "since": float(since[i]),
                "to": labels[reach[k]],
                "time": float(t[i, k]),
            },
            remedy="correct the times, or separate events of the same day",
        )
    event_time = np.where(happened, t, np.inf)
    nearest = event_time.min(axis=1)
    end_of_follow_up = np.where(happened, np.inf, t).min(axis=1)
    gap = np.flatnonzero((end_of_follow_up < nearest) & np.isfinite(nearest))
    if gap.size:
        i = int(gap[0])
        raise DataError(
            "follow-up for one state must not end before another state is entered from the same one",
            count=int(gap.size),
            row=int(rows[i]),
            values={
                "from": labels[held],
                "end of follow-up": float(end_of_follow_up[i]),
                "entered": float(nearest[i]),
            },
            remedy="end all follow-up at the earlier time, or extend it to the later",
        )
    tied = np.flatnonzero(np.isfinite(nearest) & ((event_time == nearest[:, None]).sum(axis=1) > 1))
    if tied.size and simultaneous == "refuse":
        i = int(tied[0])
        both = [labels[reach[k]] for k in np.flatnonzero(event_time[i] == nearest[i])]
        raise DataError(
            "a person must not enter two states at the same time",
            count=int(tied.size),
            row=int(rows[i]),
            values={"from": labels[held], "states": both, "time": float(nearest[i])},
            remedy='separate the times, add a state for both, or say simultaneous="first"',
        )
    entered = np.where(np.isfinite(nearest), reach[np.argmin(event_time, axis=1)], -1)
    return np.where(entered >= 0, nearest, end_of_follow_up), entered
