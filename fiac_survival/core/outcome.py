r"""A time-to-event outcome, validated once and trusted ever after.

For patient i: entry :math:`a_i` (0 unless observation starts late), time :math:`T_i` and event code
:math:`\delta_i` (0 = censored, 1..K = causes). The patient is at risk on the half-open interval
:math:`(a_i, T_i]`; at equal times events come before censorings. A patient without delayed entry
(:math:`a_i = 0`) is at risk from the very start, time 0 included.

Times that differ only by rounding are tied: two neighbouring times are taken as equal if they differ
by less than :math:`1.5\cdot10^{-8}` of the mean time, as R's ``survival`` does (its ``timefix``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.kernels.counting import copy_codes, copy_times

LARGEST_CODE = 1_000_000
ROUNDING = float(np.sqrt(np.finfo(np.float64).eps))


@dataclass(frozen=True, eq=False, init=False)
class Outcome:
    """Entry, time and event code of each patient.

    Parameters
    ----------
    time : array-like of float, shape (n,)
        Time of the event or of censoring, in any one unit; finite and not negative.
    event : array-like of bool or int, shape (n,)
        0 (or False) = censored, 1..K = cause of the event.
    entry : array-like of float, shape (n,), optional
        Time at which observation starts (left truncation); before `time`.

    Attributes
    ----------
    time, entry : (n,) float64
        Read-only arrays; `entry` is None without left truncation.
    event : (n,) int32
        Read-only codes.
    whole_times : bool
        True if times are whole numbers (days, say).
    max_time : float
        Largest time.
    n_causes : int
        Largest event code.

    Raises
    ------
    DataError
        If a value is missing, negative or not a code, or an entry is not before its time.

    References
    ----------
    Therneau TM, Grambsch PM. Modeling Survival Data. Springer, 2000 (the counting process form).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[5, 8, 8, 12], event=[1, 0, 1, 0])
    >>> y
    Outcome(4 patients, 2 events, follow-up to 12)
    """

    time: NDArray[np.float64]
    event: NDArray[np.int32]
    entry: NDArray[np.float64] | None
    whole_times: bool = field(repr=False)
    max_time: float = field(repr=False)
    n_causes: int = field(repr=False)

    def __init__(self, time: Any, event: Any, *, entry: Any = None) -> None:
        checked_time, whole, max_time = _check_times(columns.real(time, "time"), "time")
        n = checked_time.size
        if n == 0:
            raise DataError("an outcome needs at least one row", remedy="check the selection")
        codes, n_causes = _check_event(event, n)
        checked_entry = None
        if entry is not None:
            checked_entry, whole_entry, _ = _check_times(columns.real(entry, "entry", n=n), "entry")
            whole = whole and whole_entry
        if not whole:
            checked_time, checked_entry = _merge_rounding(checked_time, checked_entry)
        if checked_entry is not None:
            bad = np.flatnonzero(checked_entry >= checked_time)
            if bad.size:
                first = int(bad[0])
                raise DataError(
                    "entry must be before time",
                    count=int(bad.size),
                    row=first,
                    values={"entry": checked_entry[first], "time": checked_time[first]},
                    remedy="drop or correct them",
                )
            if not checked_entry.any():
                checked_entry = None
        for array in (checked_time, codes, checked_entry):
            if array is not None:
                array.flags.writeable = False
        object.__setattr__(self, "time", checked_time)
        object.__setattr__(self, "event", codes)
        object.__setattr__(self, "entry", checked_entry)
        object.__setattr__(self, "whole_times", bool(whole))
        object.__setattr__(self, "max_time", float(max_time))
        object.__setattr__(self, "n_causes", n_causes)

    def __len__(self) -> int:
        return int(self.time.size)

    def __repr__(self) -> str:
        events = int(np.count_nonzero(self.event))
        late = "" if self.entry is None else f", {int(np.count_nonzero(self.entry))} late entries"
        return (
            f"Outcome({len(self)} patients, {events} events{late}, follow-up to {self.max_time:g})"
        )

    def entry_or_zero(self) -> NDArray[np.float64]:
        """Entry times, zeros where there is no left truncation.

        Returns
        -------
        (n,) float64
            Entry times.
        """
        return np.zeros_like(self.time) if self.entry is None else self.entry

    def take(self, rows: NDArray[Any]) -> Outcome:
        """Select rows.

        Parameters
        ----------
        rows : (m,) int or (n,) bool
            Row numbers (repeats allowed, as in a bootstrap) or a mask.

        Returns
        -------
        Outcome
            The outcome of those rows.

        Raises
        ------
        DataError
            If no row is left.
        """
        return Outcome(
            self.time[rows],
            self.event[rows],
            entry=None if self.entry is None else self.entry[rows],
        )

    def require_binary(self, method: str, instead: str) -> None:
        """Refuse several causes where a method knows only "event" and "censored".

        Parameters
        ----------
        method : str
            Name of the method, for the message.
        instead : str
            What to use for several causes.

        Raises
        ------
        DataError
            If a code above 1 occurs.
        """
        bad = np.flatnonzero(self.event > 1)
        if bad.size:
            raise DataError(
                f"{method} takes event codes 0 and 1",
                count=int(bad.size),
                row=int(bad[0]),
                values={"event": int(self.event[bad[0]])},
                remedy=f"use {instead}, or say which code is the event: Outcome(time, event == 1)",
            )

    def require_events(self, method: str) -> None:
        """Refuse an outcome in which everybody is censored.

        Parameters
        ----------
        method : str
            Name of the method, for the message.

        Raises
        ------
        DataError
            If no event occurs.
        """
        if not self.event.any():
            raise DataError(
                f"{method} needs at least one event",
                values={"rows": len(self), "events": 0},
                remedy="all rows are censored: check the coding of event (0 = censored)",
            )


def _check_times(column: NDArray[Any], name: str) -> tuple[NDArray[np.float64], bool, float]:
    """Copy a column of times and check it."""
    values = np.empty(column.size)
    not_finite, negative, maximum, whole = copy_times(column, values)
    if not_finite >= 0:
        raise DataError(
            f"{name} must be finite",
            count=int(np.count_nonzero(~np.isfinite(values))),
            row=int(not_finite),
            values={name: values[not_finite]},
            remedy="drop those rows or complete them",
        )
    if negative >= 0:
        raise DataError(
            f"{name} must not be negative",
            count=int(np.count_nonzero(values < 0)),
            row=int(negative),
            values={name: values[negative]},
            remedy="check time zero and the order of the dates",
        )
    return values, bool(whole), float(maximum)


def _check_event(event: Any, n: int) -> tuple[NDArray[np.int32], int]:
    """Copy event codes and check them; also the largest."""
    array = columns.real(event, "event", n=n)
    bad = np.empty(0, dtype=np.int64)
    codes = np.empty(n, dtype=np.int32)
    low = high = 0
    if array.dtype.kind == "f":
        columns.require_finite(array, "event")
        bad = np.flatnonzero((array != np.floor(array)) | (array < 0) | (array > LARGEST_CODE))
        array = array.astype(np.int64)
    if not bad.size:
        low, high = copy_codes(array, codes)
    if low < 0 or high > LARGEST_CODE:
        bad = np.flatnonzero((array < 0) | (array > LARGEST_CODE))
    if bad.size:
        raise DataError(
            "event must be a code 0 (censored), 1, 2, ...",
            count=int(bad.size),
            row=int(bad[0]),
            values={"event": columns.real(event, "event")[bad[0]]},
            remedy="recode the column",
        )
    return codes, int(high)


def _merge_rounding(
    time: NDArray[np.float64], entry: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    values = np.unique(time if entry is None else np.concatenate([time, entry]))
    gaps = np.diff(values)
    tied = gaps <= ROUNDING * np.abs(values).mean()
    if not tied.any():
        return time, entry
    kept = values[np.concatenate([[True], ~tied])]

    def snap(column: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(kept[np.searchsorted(kept, column, side="right") - 1])

    return snap(time), None if entry is None else snap(entry)
