r"""Multistate data: who was in which state, from when to when, and where each stay led.

A person moves between states :math:`1..S`. Each row is an interval :math:`(a, b]` that a person spends in
one state j under observation; it ends by a transition to another state l or without one (censoring, or
simply a cut of the interval). The person counts in :math:`Y_j(t)` for :math:`a<t\le b` and, if the interval
ends by a transition, in :math:`N_{jl}` at b. Intervals of one person do not overlap and continue each
other: who enters l at b is next seen in l.

Sources: Putter, Fiocco, Geskus 2007 (long format of multistate data); Therneau and Grambsch 2000 (counting
process form).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.transition_checks import (
    last_entered,
    require_continuity,
    state_order,
    structure,
)
from fiac_survival.survival.transition_wide import stays_of_wide_table

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Simultaneous = Literal["refuse", "first"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TransitionData:
    """Intervals in states, validated once and trusted ever after.

    Made by :meth:`from_wide` or :meth:`from_intervals`.

    Attributes
    ----------
    states : tuple
        Labels of the states, in order.
    transitions : tuple of (from, to)
        The transitions that are possible, ordered by the state they lead from and the one they lead to.
    persons : tuple
        Labels of the persons.
    person, state, transition : (n,) int64
        Codes of each interval: person, state held, and transition at its end (-1 for none).
    outcome : Outcome
        Entry and exit of each interval; the event says whether it ends by a transition.
    row : (n,) int64
        Row of the table that the interval was made from.
    n_rows : int
        Rows of that table.
    """

    states: tuple[Any, ...]
    transitions: tuple[tuple[Any, Any], ...]
    persons: tuple[Any, ...]
    person: Ints
    state: Ints
    transition: Ints
    outcome: Outcome
    row: Ints
    n_rows: int
    source: Ints = field(repr=False)
    target: Ints = field(repr=False)

    def __len__(self) -> int:
        return int(self.person.size)

    def __repr__(self) -> str:
        return (
            f"TransitionData({len(self.persons)} persons, {len(self.states)} states, "
            f"{len(self.transitions)} transitions, {int((self.transition >= 0).sum())} events)"
        )

    @classmethod
    def from_wide(
        cls,
        frame: pd.DataFrame,
        *,
        states: Mapping[Any, tuple[str, str] | None],
        transitions: Mapping[Any, Sequence[Any]],
        person: str | None = None,
        start_state: str | None = None,
        start_time: str | None = None,
        simultaneous: Simultaneous = "refuse",
    ) -> TransitionData:
        """Make intervals from a table with one row per person and one time and status per state.

        From the state held, the person moves to the reachable state with the earliest time of status 1,
        and stays to the earliest of the reachable states' times if none has status 1.

        Parameters
        ----------
        frame : DataFrame
            One row per person.
        states : mapping of label to (time, status) or None
            Columns of each state, in the order of the states: time of entry into it, or end of follow-up
            for it, and status 1 or 0. None for a state in which persons only start.
        transitions : mapping of label to sequence of labels
            The states that each state leads to; states without an entry are absorbing.
        person : str, optional
            Column of person labels; left out, the row numbers.
        start_state, start_time : str, optional
            Columns with each person's first state and the time from which it was observed. Left out:
            the first of `states`, and time 0.
        simultaneous : {"refuse", "first"}, default "refuse"
            What happens if a person enters two reachable states at the same time: an error, or the
            state that stands first in `states`.

        Returns
        -------
        TransitionData
            Rows in the order of the table, then of time.

        Raises
        ------
        DataError
            If a column, a state or a value is missing, a status is not 0 or 1, follow-up for one
            reachable state ends before another is entered, a state is entered no later than the one it
            is reached from, or two states are entered at once.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> import pandas as pd
        >>> wide = pd.DataFrame({"relapse": [3, 9, 5], "relapsed": [1, 0, 0],
        ...                      "end": [7, 9, 5], "died": [1, 0, 1]})
        >>> fs.survival.TransitionData.from_wide(
        ...     wide,
        ...     states={"remission": None, "relapse": ("relapse", "relapsed"), "death": ("end", "died")},
        ...     transitions={"remission": ["relapse", "death"], "relapse": ["death"]})
        TransitionData(3 persons, 3 states, 3 transitions, 3 events)
        """
        stays = stays_of_wide_table(
            frame,
            states=states,
            transitions=transitions,
            person=person,
            start_state=start_state,
            start_time=start_time,
            simultaneous=simultaneous,
        )
        return _build(
            states=tuple(states),
            pairs=[(j, to) for j, reached in transitions.items() for to in reached],
            n_rows=len(frame),
            **stays,
        )

    @classmethod
    def from_intervals(
        cls,
        person: Any,
        entry: Any,
        exit: Any,  # noqa: A002
        to_state: Any,
        *,
        from_state: Any = None,
        initial_state: Any = None,
        states: Sequence[Any] | None = None,
        transitions: Mapping[Any, Sequence[Any]] | None = None,
    ) -> TransitionData:
        """Make multistate data from intervals, several rows a person.

        Parameters
        ----------
        person : array-like, shape (n,)
            Labels of persons.
        entry, exit : array-like of float, shape (n,)
            Start and end of each interval.
        to_state : array-like, shape (n,)
            State entered at the end of the interval; missing (None or NaN) without a transition.
        from_state : array-like, shape (n,), optional
            State held during the interval. Left out: the state entered last, and `initial_state` before
            a person's first transition.
        initial_state : object, optional
            Label of the state in which everybody starts; only without `from_state`.
        states : sequence of labels, optional
            Order of the states; left out, they are sorted (after the initial state).
        transitions : mapping of label to sequence of labels, optional
            The transitions that are possible; left out, those that occur.

        Returns
        -------
        TransitionData
            Rows in the given order.

        Raises
        ------
        DataError
            If a value is missing or not finite, an entry is not before its exit, a person's intervals
            overlap, a person is found in another state than the one entered last, a transition leads
            from a state to itself, or is not among the possible ones.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> fs.survival.TransitionData.from_intervals(
        ...     person=[1, 1, 2], entry=[0, 4, 0], exit=[4, 9, 6],
        ...     from_state=["well", "ill", "well"], to_state=["ill", None, "dead"])
        TransitionData(2 persons, 3 states, 2 transitions, 2 events)
        """
        code, labels = columns.labels(person, "person")
        n = code.size
        begin = columns.require_finite(columns.numeric(entry, "entry", n=n), "entry")
        to = columns.to_numpy(to_state, "to_state").astype(object)
        columns.require_length(to, "to_state", n)
        moved = ~pd.isna(to)
        order = np.lexsort((begin, code))
        if from_state is not None:
            held = columns.to_numpy(from_state, "from_state").astype(object)
            columns.require_length(held, "from_state", n)
            if initial_state is not None:
                raise DataError(
                    "initial_state goes without from_state",
                    values={"initial_state": initial_state},
                    remedy="leave one of them out",
                )
        else:
            if initial_state is None:
                raise DataError(
                    "the state of each interval must be given, or the state in which all start",
                    remedy="pass from_state=, or initial_state=",
                )
            held = last_entered(code, to, moved, order, initial_state)
        missing = np.flatnonzero(pd.isna(held))
        if missing.size:
            raise DataError(
                "from_state must not be missing",
                count=int(missing.size),
                row=int(missing[0]),
                remedy="name the state of each interval",
            )
        known = state_order(states, held, to[moved], initial_state)
        place = {label: j for j, label in enumerate(known)}
        for name, values in (("from_state", held), ("to_state", to)):
            bad = [i for i in range(n) if not pd.isna(values[i]) and values[i] not in place]
            if bad:
                raise DataError(
                    f"{name} must be among the states",
                    count=len(bad),
                    row=bad[0],
                    values={name: values[bad[0]], "states": known},
                    remedy="add it to states, or correct the label",
                )
        state = np.array([place[v] for v in held], dtype=np.int64)
        entered = np.array([place[v] if m else -1 for v, m in zip(to, moved, strict=True)])
        if transitions is None:
            pairs = [
                (known[j], known[to]) for j, to in {*zip(state[moved], entered[moved], strict=True)}
            ]
        else:
            pairs = [(j, to) for j, reached in transitions.items() for to in reached]
        return _build(
            states=known,
            pairs=pairs,
            n_rows=n,
            person=code,
            persons=tuple(labels),
            entry=begin,
            exit=exit,
            state=state,
            entered=entered.astype(np.int64),
            row=np.arange(n, dtype=np.int64),
        )

    def events(self) -> pd.DataFrame:
        """Count stays by the state they were in and the state they led to.

        Returns
        -------
        DataFrame
            One row per state; columns: each state, ``no event`` (stays that ended without a transition)
            and ``total entering``.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals(
        ...     person=[1, 1, 2], entry=[0, 4, 0], exit=[4, 9, 6],
        ...     from_state=["well", "ill", "well"], to_state=["ill", None, "dead"])
        >>> data.events().loc["well"].tolist()
        [1, 1, 0, 0, 2]
        """
        size = len(self.states)
        counts = np.zeros((size, size), dtype=np.int64)
        moved = self.transition >= 0
        target = self.target[self.transition[moved]]
        np.add.at(counts, (self.state[moved], target), 1)
        order = np.lexsort((self.outcome.entry_or_zero(), self.person))
        following = np.roll(order, -1)
        same = self.person[order] == self.person[following]
        same[-1] = False
        open_end = order[~moved[order] & ~same]
        no_event = np.bincount(self.state[open_end], minlength=size)
        after = order[moved[order] & ~same]
        no_event += np.bincount(self.target[self.transition[after]], minlength=size)
        table = pd.DataFrame(counts, index=list(self.states), columns=list(self.states))
        table["no event"] = no_event
        table["total entering"] = counts.sum(axis=1) + no_event
        return table

    def intervals(self) -> pd.DataFrame:
        """List the intervals.

        Returns
        -------
        DataFrame
            person, entry, exit, from_state, to_state (None without a transition), row.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals([1], [0], [4], ["ill"], initial_state="well")
        >>> data.intervals()[["from_state", "to_state"]].values.tolist()
        [['well', 'ill']]
        """
        target = [self.states[self.target[k]] if k >= 0 else None for k in self.transition]
        return pd.DataFrame(
            {
                "person": [self.persons[c] for c in self.person],
                "entry": self.outcome.entry_or_zero(),
                "exit": self.outcome.time,
                "from_state": [self.states[j] for j in self.state],
                "to_state": pd.Series(target, dtype=object),
                "row": self.row,
            }
        )

    def code(self, state: Any, name: str = "state") -> int:
        """Find the position of a state.

        Parameters
        ----------
        state : object
            Its label.
        name : str, default "state"
            What to call it in an error.

        Returns
        -------
        int
            Its position in `states`.

        Raises
        ------
        DataError
            If there is no such state.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals([1], [0], [4], ["ill"], initial_state="well")
        >>> data.code("ill")
        1
        """
        if state not in self.states:
            raise DataError(
                f"{name} must be one of the states",
                values={name: state, "states": self.states},
                remedy="check the spelling",
            )
        return self.states.index(state)


def _build(
    *,
    states: tuple[Any, ...],
    pairs: Sequence[tuple[Any, Any]],
    n_rows: int,
    person: Ints,
    persons: tuple[Any, ...],
    entry: Floats,
    exit: Any,  # noqa: A002
    state: Ints,
    entered: Ints,
    row: Ints,
) -> TransitionData:
    source, target = structure(states, pairs)
    lookup = np.full((len(states), len(states)), -1, dtype=np.int64)
    lookup[source, target] = np.arange(source.size)
    moved = entered >= 0
    outcome = Outcome(exit, moved, entry=entry)
    transition = np.where(moved, lookup[state, entered], -1)
    bad = np.flatnonzero(moved & (transition < 0))
    if bad.size:
        first = int(bad[0])
        raise DataError(
            "each transition must be among the possible ones, and lead to another state",
            count=int(bad.size),
            row=int(row[first]),
            values={"from": states[state[first]], "to": states[entered[first]]},
            remedy="add it to transitions, or correct the states",
        )
    require_continuity(person, outcome, state, entered, row, states)
    for array in (person, state, transition, row, source, target):
        array.flags.writeable = False
    return TransitionData(
        states=states,
        transitions=tuple((states[j], states[to]) for j, to in zip(source, target, strict=True)),
        persons=persons,
        person=person,
        state=state,
        transition=transition,
        outcome=outcome,
        row=row,
        n_rows=n_rows,
        source=source,
        target=target,
    )
