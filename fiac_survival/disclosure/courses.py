"""When curves may be released: each group's counts by time, and the moments at which enough happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure.profiles import Profile

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Course:
    """One group's counts by time.

    Attributes
    ----------
    time : (m,) float64
        Distinct times.
    count : (m, K + 1) int64
        Censorings (column 0) and events of each cause at each time.
    release : (r,) int64
        Positions of the times of release.
    """

    time: Floats
    count: Counts
    release: NDArray[np.int64]

    @property
    def total(self) -> int:
        """Number of patients."""
        return int(self.count.sum())

    @property
    def cumulated(self) -> Counts:
        """Censorings and events up to each release."""
        return np.asarray(np.cumsum(self.count, axis=0)[self.release])


def courses_of(
    risk: RiskTable,
    profile: Profile,
    *,
    total: str | None = None,
    times: Sequence[float] | None = None,
    allow_no_censoring: bool = False,
) -> dict[str, Course]:
    """Find the moments of release of every group.

    Parameters
    ----------
    risk : RiskTable
        Counts by group, time and status.
    profile : Profile
        The rules.
    total : str, optional
        Label of all groups together.
    times : sequence of float, optional
        Moments at which a release may happen.
    allow_no_censoring : bool, default False
        Whether none censored is enough.

    Returns
    -------
    dict of str to Course
        By group.
    """
    causes = int(max(risk.table["status"].max(), 1))
    frames = {str(g): part for g, part in risk.table.groupby("group", sort=False)}
    if total is not None and total not in frames:
        frames[total] = risk.table
    together = np.unique(risk.table["time"].to_numpy(dtype=np.float64))
    counted: dict[str, tuple[Floats, Counts, NDArray[np.bool_]]] = {}
    for label, part in frames.items():
        here = part["time"].to_numpy(dtype=np.float64)
        time = np.unique(here) if total is None else together
        count = np.zeros((time.size, causes + 1), dtype=np.int64)
        status = part["status"].to_numpy(dtype=np.int64)
        np.add.at(count, (np.searchsorted(time, here), status), part["n"].to_numpy(dtype=np.int64))
        counted[label] = time, count, _allowed(time, times)
    if total is None:
        return {
            label: Course(time, count, _releases([count], allowed, profile, allow_no_censoring))
            for label, (time, count, allowed) in counted.items()
        }
    parts = [count for label, (_, count, _) in counted.items() if label != total]
    joint = _releases(parts, _allowed(together, times), profile, allow_no_censoring)
    return {label: Course(time, count, joint) for label, (time, count, _) in counted.items()}


def _allowed(time: Floats, times: Sequence[float] | None) -> NDArray[np.bool_]:
    """Mark observed times at which a release may happen: for a moment, the last at or before it."""
    if times is None:
        return np.ones(time.size, dtype=bool)
    out = np.zeros(time.size, dtype=bool)
    last = np.searchsorted(time, np.asarray(times, dtype=np.float64), side="right") - 1
    out[last[last >= 0]] = True
    return out


def _releases(
    counts: list[Counts], allowed: NDArray[np.bool_], profile: Profile, allow_no_censoring: bool
) -> NDArray[np.int64]:
    """Find the moments at which enough has happened in every one of some groups."""
    if not profile.protects:
        return np.flatnonzero(allowed)
    cumulated = [np.cumsum(count, axis=0) for count in counts]
    last = [np.zeros(count.shape[1], dtype=np.int64) for count in counts]
    out = []
    for k in np.flatnonzero(allowed):
        ready = all(
            _ready(c[k], c[k] - before, int(c[-1].sum()), profile, allow_no_censoring)
            for c, before in zip(cumulated, last, strict=True)
        )
        if ready:
            out.append(int(k))
            last = [c[k] for c in cumulated]
    return np.array(out, dtype=np.int64)


def _ready(
    upto: Counts, new: Counts, total: int, profile: Profile, allow_no_censoring: bool
) -> bool:
    enough = new >= profile.threshold
    if allow_no_censoring:
        enough[0] |= new[0] == 0
    left = total - int(upto.sum())
    shown = [*upto.tolist(), left]
    return bool(
        enough.all() and left > 0 and all(profile.curve_interval(c) is not None for c in shown)
    )


def measures(causes: int) -> list[str]:
    """Name the counts of censorings and events.

    Parameters
    ----------
    causes : int
        Number of causes.

    Returns
    -------
    list of str
        n_censor, then n_event or n_event_1, n_event_2…
    """
    events = ["n_event"] if causes == 1 else [f"n_event_{k}" for k in range(1, causes + 1)]
    return ["n_censor", *events]
