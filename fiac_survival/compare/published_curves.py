r"""Pseudo-patients behind a published Kaplan-Meier curve.

Given are points :math:`(t_k,S_k)` read off the curve and the printed numbers at risk :math:`n_i` at times
:math:`\tau_i`, perhaps also the total number of events D. Sought are whole numbers of events
:math:`d_k` at :math:`t_k` and of censorings between the points whose Kaplan-Meier curve
:math:`\hat S` and numbers at risk are those given. On each interval :math:`[\tau_i,\tau_{i+1})`, for
a number :math:`c_i` of censorings spread evenly over it,

.. math:: d_k=\Bigl[\,\hat n_k\bigl(1-S_k/\hat S_{k-1}\bigr)\Bigr],\quad
          \hat S_k=\hat S_{k-1}(1-d_k/\hat n_k),\quad
          \hat n_{k+1}=\hat n_k-d_k-(\text{censored in }[t_k,t_{k+1})),

[·] to the nearest whole number: since :math:`\hat S` and not S stands in the denominator, errors of
rounding do not add up. The :math:`c_i` is the one whose number at risk at :math:`\tau_{i+1}` is
nearest to the printed one. After the last printed number, :math:`c` is the one that meets D, or,
without D, goes on with the censoring hazard so far.

Points that were read with noise are first made to fall by isotonic regression.

Source: Guyot, Ades, Ouwens, Welton 2012. Their fixed-point iteration for the :math:`c_i` can cycle; here
the whole number is searched for, the number at risk being all but monotone in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OVERSHOOT = 0.02
NEIGHBOURS = 4


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ReconstructedCurve(Result):
    """Pseudo-patients behind a published curve, and how well they reproduce it.

    Attributes
    ----------
    table : DataFrame
        time, n_risk, n_event, n_censor, survival: the reconstructed curve, a row for each time at
        which a pseudo-patient has an event or is censored.
    outcome : Outcome
        One row per pseudo-patient. They have no covariates, and their censoring times are spread
        evenly, not observed.
    check : DataFrame
        quantity ("survival", "n_risk", "n_event"), time, given, reconstructed, difference.
    largest_survival_difference : float
        Largest absolute difference from the points given, after they were made to fall.
    largest_at_risk_difference : int
        Largest absolute difference from the printed numbers at risk.
    largest_correction : float
        How far a point given had to be moved to make the curve fall: the noise of the reading.
    """

    outcome: Outcome
    check: pd.DataFrame
    largest_survival_difference: float
    largest_at_risk_difference: int
    largest_correction: float


@dataclass(frozen=True, eq=False)
class Stretch:
    """What happens on one interval for a number of censorings."""

    events: Ints
    censored_at: Floats
    n_end: int
    survival_end: float


def reconstruct_curve(
    times: Any,
    survival: Any,
    at_risk_times: Any,
    at_risk: Any,
    total_events: int | None = None,
) -> ReconstructedCurve:
    """Reconstruct pseudo-patients from a published Kaplan-Meier curve.

    Parameters
    ----------
    times : array-like of float, shape (m,)
        Times of the points read off the curve, in any order.
    survival : array-like of float, shape (m,)
        Survival at those times, from 0 to 1. Where the curve drops at a time that was read twice, the
        lower value counts.
    at_risk_times : array-like of float, shape (k,)
        Times of the printed numbers at risk; the first is 0.
    at_risk : array-like of int, shape (k,)
        Numbers at risk.
    total_events : int, optional
        Number of events of the whole curve, if it was reported: worth having, since it says how the
        last interval divides into events and censorings.

    Returns
    -------
    ReconstructedCurve
        Outcome of the pseudo-patients, their curve, and its check against what was given.

    Raises
    ------
    DataError
        If a value is missing or out of range, the numbers at risk rise or do not start at time 0, or
        the total number of events exceeds the number of patients.

    References
    ----------
    Guyot P, Ades AE, Ouwens MJNM, Welton NJ. Enhanced secondary analysis of survival data:
    reconstructing the data from published Kaplan-Meier survival curves. BMC Med Res Methodol
    2012;12:9.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.compare.reconstruct_curve(
    ...     [0, 2, 3, 5, 7], [1.0, 0.9, 0.8, 0.67, 0.44], [0, 4, 6], [10, 6, 3])
    >>> found.outcome
    Outcome(10 patients, 4 events, follow-up to 7)
    >>> found.largest_at_risk_difference
    0
    """
    t, s, correction = _points(times, survival)
    moments, numbers = _risk_table(at_risk_times, at_risk)
    if total_events is not None and not 0 <= total_events <= numbers[0]:
        raise DataError(
            "total_events must lie between 0 and the number of patients",
            values={"total_events": total_events, "patients": int(numbers[0])},
            remedy="give the events of this arm alone",
        )
    grid = np.union1d(t, moments)
    place = np.searchsorted(t, grid, side="right") - 1
    height = np.where(place >= 0, s[np.maximum(place, 0)], 1.0)
    start = np.searchsorted(grid, moments)
    events = np.zeros(grid.size, dtype=np.int64)
    censored: list[Floats] = []
    n, level = int(numbers[0]), 1.0
    for i in range(moments.size - 1):
        inside = slice(int(start[i]), int(start[i + 1]))
        end = float(moments[i + 1])
        target = min(int(numbers[i + 1]), n)
        chosen = _choose(
            lambda c, a=inside, b=end, at=n, top=level: _follow(  # type: ignore[misc]
                grid[a], height[a], b, at, top, c
            ),
            lambda found, wanted=target: found.n_end - wanted,  # type: ignore[misc]
            n,
        )
        events[inside] = chosen.events
        censored.append(chosen.censored_at)
        n, level = chosen.n_end, chosen.survival_end
    last, end = slice(int(start[-1]), grid.size), float(grid[-1])

    def finish(c: int) -> Stretch:
        return _follow(grid[last], height[last], end, n, level, c)

    before = int(events.sum())
    if total_events is None:
        chosen = finish(_as_before(grid, events, censored, float(moments[-1]), n, finish))
    else:
        chosen = _choose(
            finish, lambda found: before + int(found.events.sum()) - int(total_events), n
        )
    events[last] = chosen.events
    censored.append(chosen.censored_at)
    censored.append(np.full(chosen.n_end, end))
    away = np.concatenate(censored)
    time = np.concatenate([np.repeat(grid, events), away])
    event = np.concatenate([np.ones(int(events.sum())), np.zeros(away.size)])
    order = np.lexsort((-event, time))
    outcome = Outcome(time[order], event[order].astype(np.int64))
    return _checked(outcome, t, s, moments, numbers, total_events, correction)


def _points(times: Any, survival: Any) -> tuple[Floats, Floats, float]:
    """Points in order of time, falling, from (0, 1) on; and the largest correction."""
    t = columns.require_finite(columns.numeric(times, "times"), "times")
    s = columns.require_finite(columns.numeric(survival, "survival", n=t.size), "survival")
    if not t.size or t.max() <= 0:
        raise DataError(
            "the curve needs a point after time 0",
            values={"points": t.size},
            remedy="read more points off it",
        )
    for name, values, low, high, remedy in (
        ("times", t, -OVERSHOOT * float(t.max()), np.inf, "calibrate the axis of time again"),
        (
            "survival",
            s,
            -OVERSHOOT,
            1.0 + OVERSHOOT,
            "divide percentages by 100, or calibrate again",
        ),
    ):
        bad = np.flatnonzero((values < low) | (values > high))
        if bad.size:
            raise DataError(
                f"{name} must not be negative" + ("" if name == "times" else " nor above 1"),
                count=int(bad.size),
                row=int(bad[0]),
                values={name: float(values[bad[0]])},
                remedy=remedy,
            )
    t, s = np.maximum(t, 0.0), np.clip(s, 0.0, 1.0)
    order = np.lexsort((-s, t))
    t, s = t[order], s[order]
    lowest = np.append(np.diff(t) > 0, True)
    t, s = t[lowest], s[lowest]
    if t[0] > 0:
        t, s = np.append(0.0, t), np.append(1.0, s)
    s[0] = 1.0
    falling = np.asarray(isotonic_regression(s, increasing=False).x, dtype=np.float64)
    correction = float(np.abs(falling - s).max())
    falling[0] = 1.0
    return t, falling, correction


def _risk_table(at_risk_times: Any, at_risk: Any) -> tuple[Floats, Ints]:
    moments = columns.require_finite(
        columns.numeric(at_risk_times, "at_risk_times"), "at_risk_times"
    )
    numbers = columns.require_finite(columns.numeric(at_risk, "at_risk", n=moments.size), "at_risk")
    if not moments.size or moments[0] != 0.0:
        raise DataError(
            "numbers at risk must start at time 0",
            values={"first": float(moments[0]) if moments.size else None},
            remedy="put the number of patients of the curve at time 0",
        )
    bad = np.flatnonzero(np.diff(moments) <= 0) + 1
    if bad.size:
        raise DataError(
            "at_risk_times must rise",
            count=int(bad.size),
            row=int(bad[0]),
            values={"at_risk_times": float(moments[bad[0]])},
            remedy="give each printed number once, in order of time",
        )
    bad = np.flatnonzero((numbers < 0) | (numbers != np.floor(numbers)))
    if not bad.size and numbers[0] < 1:
        bad = np.array([0])
    if bad.size:
        raise DataError(
            "at_risk must be whole numbers, the first at least 1",
            count=int(bad.size),
            row=int(bad[0]),
            values={"at_risk": float(numbers[bad[0]])},
            remedy="copy them from below the curve",
        )
    bad = np.flatnonzero(np.diff(numbers) > 0) + 1
    if bad.size:
        raise DataError(
            "numbers at risk must not rise",
            count=int(bad.size),
            row=int(bad[0]),
            values={"at_risk": int(numbers[bad[0]]), "before": int(numbers[bad[0] - 1])},
            remedy="check the printed table; with delayed entry the method does not apply",
        )
    return moments, numbers.astype(np.int64)


def _follow(grid: Floats, height: Floats, end: float, n: int, level: float, c: int) -> Stretch:
    """Events and numbers at risk on one interval with c censorings spread over it."""
    start = float(grid[0])
    away = start + np.arange(1, c + 1) * (end - start) / (c + 1)
    cell = np.bincount(np.searchsorted(grid, away, side="right") - 1, minlength=grid.size)
    events = np.zeros(grid.size, dtype=np.int64)
    kept = 0
    for k in range(grid.size):
        if n > 0 and level > 0.0:
            d = min(max(int(np.floor(n * (1.0 - height[k] / level) + 0.5)), 0), n)
            events[k] = d
            level *= 1.0 - d / n
            n -= d
        gone = min(int(cell[k]), n)
        kept += gone
        n -= gone
    return Stretch(events, away[:kept], n, level)


def _choose(
    follow: Callable[[int], Stretch], surplus: Callable[[Stretch], int], largest: int
) -> Stretch:
    """Make the surplus nearest to 0; it falls, but for rounding, as censorings rise."""
    low, high = 0, largest
    while high - low > 1:
        middle = (low + high) // 2
        if surplus(follow(middle)) > 0:
            low = middle
        else:
            high = middle
    near = range(max(low - NEIGHBOURS, 0), min(high + NEIGHBOURS, largest) + 1)
    return min((follow(c) for c in near), key=lambda found: abs(surplus(found)))


def _as_before(
    grid: Floats,
    events: Ints,
    censored: list[Floats],
    since: float,
    n: int,
    finish: Callable[[int], Stretch],
) -> int:
    """Censorings after the last printed number at risk, at the hazard of censoring so far."""
    gone = int(sum(part.size for part in censored))
    if not gone or n == 0 or grid[-1] <= since:
        return 0
    times = np.concatenate([np.repeat(grid, events), *censored])
    exposure = float(times.sum()) + n * since
    share = -np.expm1(-gone / exposure * (float(grid[-1]) - since))
    # Those who have an event do not live to be censored: half of them, on average, in the interval.
    exposed = n - int(finish(0).events.sum()) / 2.0
    return int(np.floor(share * exposed + 0.5))


def _checked(
    outcome: Outcome,
    t: Floats,
    s: Floats,
    moments: Floats,
    numbers: Ints,
    total_events: int | None,
    correction: float,
) -> ReconstructedCurve:
    time, event = outcome.time, outcome.event
    at, first = np.unique(time, return_index=True)
    counts = np.diff(np.append(first, time.size))
    d = np.add.reduceat(event, first).astype(np.int64)
    n_risk = time.size - first
    curve = np.cumprod(1.0 - d / n_risk)
    table = pd.DataFrame(
        {"time": at, "n_risk": n_risk, "n_event": d, "n_censor": counts - d, "survival": curve}
    )
    place = np.searchsorted(at, t, side="right")
    fitted = np.append(1.0, curve)[place]
    present = time.size - np.searchsorted(time, moments, side="left")
    parts = [
        pd.DataFrame({"quantity": "survival", "time": t, "given": s, "reconstructed": fitted}),
        pd.DataFrame(
            {"quantity": "n_risk", "time": moments, "given": numbers, "reconstructed": present}
        ).astype({"given": float, "reconstructed": float}),
    ]
    if total_events is not None:
        parts.append(
            pd.DataFrame(
                {
                    "quantity": ["n_event"],
                    "time": [float(at[-1])],
                    "given": [float(total_events)],
                    "reconstructed": [float(d.sum())],
                }
            )
        )
    check = pd.concat(parts, ignore_index=True)
    check["difference"] = check["reconstructed"] - check["given"]
    return ReconstructedCurve(
        table=table,
        outcome=outcome,
        check=check,
        largest_survival_difference=float(np.abs(fitted - s).max()),
        largest_at_risk_difference=int(np.abs(present - numbers).max()),
        largest_correction=correction,
    )
