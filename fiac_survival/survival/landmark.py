r"""Treatment that starts during follow-up: landmark, splitting, Simon-Makuch, immortal time.

Who is treated at time :math:`t_i^*` has, by definition, lived that long: counting the time before as
treated ("ever treated") makes treatment look good whatever it does. Three sound ways:

* landmark (Anderson, Cain and Gelber 1983): patients still at risk at L, grouped by treatment up to L,
  followed from L;
* time-dependent covariate: the time at risk is split at :math:`t_i^*`, untreated on
  :math:`(a_i, t_i^*]` and treated on :math:`(t_i^*, T_i]`;
* Simon and Makuch's curves (1984): Kaplan-Meier curves of these two parts, with delayed entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.survival.curves import SurvivalCurve
from fiac_survival.survival.kaplan_meier import CurveVariance, kaplan_meier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Landmark(Result):
    """Patients at risk at a landmark.

    Attributes
    ----------
    table : DataFrame
        treated, n, events: by treatment up to the landmark.
    outcome : Outcome
        Time from the landmark on.
    treated : (m,) bool
        Treatment up to the landmark.
    rows : (m,) int64
        Row numbers in the data.
    excluded : DataFrame
        reason ("event before", "censored before"), n.
    at : float
        The landmark.
    """

    outcome: Outcome
    treated: NDArray[np.bool_]
    rows: Ints
    excluded: pd.DataFrame
    at: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SplitOutcome(Result):
    """Time at risk, cut where covariates change.

    Attributes
    ----------
    table : DataFrame
        row (number in the data), entry, time, event and one 0/1 column a covariate.
    outcome : Outcome
        The pieces.
    covariates : DataFrame
        The 0/1 columns.
    row : (m,) int64
        Row of the data that each piece comes from: the cluster of robust variances.
    """

    outcome: Outcome
    covariates: pd.DataFrame
    row: Ints


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ImmortalTime(Result):
    """What an "ever treated" comparison would count as treated before treatment.

    Attributes
    ----------
    table : DataFrame
        n, treated, treated_later (after time zero), immortal_time, treated_time (after treatment), share
        of immortal time in all that "ever treated" would count as treated.
    """

    @property
    def share(self) -> float:
        """Share of immortal time in what "ever treated" counts as treated time."""
        return float(self.table["share"].iloc[0])

    def require_none(self) -> None:
        """Refuse treatment that is defined after time zero.

        Raises
        ------
        DataError
            Naming the immortal time.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> y = fs.Outcome(time=[3, 5, 8], event=[1, 0, 1])
        >>> fs.survival.immortal_time(y, [0, None, 0]).require_none()
        """
        found = self.table.iloc[0]
        if found["treated_later"] == 0:
            return
        raise DataError(
            "treatment must be known at time zero, or its groups carry immortal time: whoever was "
            "treated later had to live until then",
            count=int(found["treated_later"]),
            values={
                "immortal time": float(found["immortal_time"]),
                "share of treated time": float(found["share"]),
            },
            remedy="use landmark, simon_makuch, or cox on split_at_changes",
        )


def treatment_times(y: Outcome, treatment_time: Any, name: str = "treatment_time") -> Floats:
    """Check times at which treatment starts.

    Parameters
    ----------
    y : Outcome
        The rows.
    treatment_time : array-like of float, shape (n,)
        Missing (or infinite) for those who are never treated; treatment at or after a row's exit does
        not count.
    name : str
        Name of the option, for messages.

    Returns
    -------
    (n,) float64
        Infinite where treatment does not start during follow-up.

    Raises
    ------
    DataError
        If a time is negative or not a number.
    """
    column = pd.Series(columns.to_numpy(treatment_time, name))
    values = columns.numeric(
        column.where(column.notna(), np.inf).astype(np.float64), name, n=len(y)
    )
    bad = np.flatnonzero(values < 0)
    if bad.size:
        raise DataError(
            f"{name} must not be negative",
            count=int(bad.size),
            row=int(bad[0]),
            values={name: values[bad[0]]},
            remedy="0 means treated from the start; leave it missing for the never treated",
        )
    return np.where(values < y.time, values, np.inf)


def immortal_time(y: Outcome, treatment_time: Any) -> ImmortalTime:
    """Measure the immortal time of an "ever treated" comparison.

    Parameters
    ----------
    y : Outcome
        The rows.
    treatment_time : array-like of float, shape (n,)
        Start of treatment on the outcome's scale; missing for those who are never treated.

    Returns
    -------
    ImmortalTime
        How much there is; ``require_none()`` refuses it.

    Raises
    ------
    DataError
        If a time is negative or not a number.

    References
    ----------
    Suissa S. Immortal time bias in pharmacoepidemiology. Am J Epidemiol 2008;167:492-499.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10], event=[1, 0, 1, 0])
    >>> fs.survival.immortal_time(y, [None, None, 4, 2]).table.round(2).values.tolist()
    [[4.0, 2.0, 2.0, 6.0, 12.0, 0.33]]
    """
    start = treatment_times(y, treatment_time)
    entry = y.entry_or_zero()
    treated = np.isfinite(start)
    begun = np.maximum(start[treated], entry[treated])
    waited = float(np.sum(begun - entry[treated]))
    after = float(np.sum(y.time[treated] - begun))
    total = waited + after
    row = {
        "n": len(y),
        "treated": int(treated.sum()),
        "treated_later": int(np.count_nonzero(begun > entry[treated])),
        "immortal_time": waited,
        "treated_time": after,
        "share": waited / total if total > 0 else 0.0,
    }
    return ImmortalTime(table=pd.DataFrame([row]))


def landmark(y: Outcome, treatment_time: Any, *, at: float) -> Landmark:
    """Take the patients at risk at a landmark, grouped by treatment up to it.

    Parameters
    ----------
    y : Outcome
        The rows; event codes of any number of causes.
    treatment_time : array-like of float, shape (n,)
        Start of treatment on the outcome's scale; missing for those who are never treated.
    at : float
        The landmark.

    Returns
    -------
    Landmark
        Outcome from the landmark on, and treatment up to it, ready for any estimator.

    Raises
    ------
    DataError
        If nobody is at risk after the landmark.

    References
    ----------
    Anderson JR, Cain KC, Gelber RD. Analysis of survival by tumor response. J Clin Oncol
    1983;1:710-719.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10], event=[1, 0, 1, 0])
    >>> at = fs.survival.landmark(y, [None, None, 4, 2], at=3)
    >>> at.outcome.time.tolist(), at.treated.tolist(), at.excluded["n"].tolist()
    ([2.0, 5.0, 7.0], [False, False, True], [1, 0])
    """
    if not np.isfinite(at) or at < 0:
        raise DataError(
            "the landmark must not be negative", values={"at": at}, remedy="at=180, say"
        )
    start = treatment_times(y, treatment_time)
    stays = y.time > at
    rows = np.flatnonzero(stays)
    if rows.size == 0:
        raise DataError(
            "somebody must be at risk after the landmark",
            values={"at": at, "last time": y.max_time},
            remedy="take an earlier landmark",
        )
    entry = None if y.entry is None else np.maximum(y.entry[rows] - at, 0.0)
    outcome = Outcome(y.time[rows] - at, y.event[rows], entry=entry)
    treated = start[rows] <= at
    event = outcome.event > 0
    table = pd.DataFrame(
        {
            "treated": [False, True],
            "n": [int(np.sum(~treated)), int(np.sum(treated))],
            "events": [int(np.sum(event & ~treated)), int(np.sum(event & treated))],
        }
    )
    gone = y.event[~stays] > 0
    excluded = pd.DataFrame(
        {
            "reason": ["event before", "censored before"],
            "n": [int(np.sum(gone)), int(np.sum(~gone))],
        }
    )
    return Landmark(
        table=table, outcome=outcome, treated=treated, rows=rows, excluded=excluded, at=float(at)
    )


def split_at_changes(y: Outcome, changes: Mapping[str, Any]) -> SplitOutcome:
    """Cut the time at risk where covariates change from 0 to 1.

    Parameters
    ----------
    y : Outcome
        The rows.
    changes : mapping of str to array-like of float, shape (n,)
        Per covariate the time from which it is 1; missing if it stays 0. A piece (entry, time] has the
        values that held at its start, so that an event at the time of a change belongs to what was
        before.

    Returns
    -------
    SplitOutcome
        Pieces with their covariates, for ``cox`` with ``cluster=row``.

    Raises
    ------
    DataError
        If there is no covariate, or a time is negative.

    References
    ----------
    Therneau TM, Grambsch PM. Modeling Survival Data. Springer, 2000 (time-dependent covariates).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 8], event=[1, 0])
    >>> fs.survival.split_at_changes(y, {"treated": [None, 4]}).table.values.tolist()
    [[0.0, 0.0, 3.0, 1.0, 0.0], [1.0, 0.0, 4.0, 0.0, 0.0], [1.0, 4.0, 8.0, 0.0, 1.0]]
    """
    if not changes:
        raise DataError(
            "there must be at least one covariate that changes",
            values={"changes": 0},
            remedy='pass e.g. {"treated": times}',
        )
    at = {name: treatment_times(y, times, name) for name, times in changes.items()}
    entry = y.entry_or_zero()
    person, begins = [np.arange(len(y))], [entry]
    for times in at.values():
        cut = np.flatnonzero(np.isfinite(times) & (times > entry))
        person.append(cut)
        begins.append(times[cut])
    row, begin = np.concatenate(person), np.concatenate(begins)
    order = np.lexsort((begin, row))
    row, begin = row[order], begin[order]
    new = np.concatenate([[True], (row[1:] != row[:-1]) | (begin[1:] != begin[:-1])])
    row, begin = row[new], begin[new]
    last = np.concatenate([row[1:] != row[:-1], [True]])
    end = np.where(last, y.time[row], np.concatenate([begin[1:], [0.0]]))
    event = np.where(last, y.event[row], 0)
    covariates = pd.DataFrame(
        {name: (times[row] <= begin).astype(int) for name, times in at.items()}
    )
    outcome = Outcome(end, event, entry=begin)
    head = pd.DataFrame({"row": row, "entry": begin, "time": end, "event": event})
    return SplitOutcome(
        table=pd.concat([head, covariates], axis=1),
        outcome=outcome,
        covariates=covariates,
        row=row,
    )


def simon_makuch(
    y: Outcome,
    treatment_time: Any,
    *,
    level: float = 0.95,
    transform: Transform = "log-log",
    variance: CurveVariance = "default",
) -> SurvivalCurve:
    """Estimate Kaplan-Meier curves of time before and time on treatment.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    treatment_time : array-like of float, shape (n,)
        Start of treatment on the outcome's scale; missing for those who are never treated.
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale on which the interval is symmetric.
    variance : {"default", "greenwood", "infinitesimal jackknife"}, default "default"
        As in ``kaplan_meier``.

    Returns
    -------
    SurvivalCurve
        Groups "untreated" and "treated"; a patient leaves the first and enters the second at the start
        of treatment. The curves do not describe fixed groups of patients: read them as the hazards
        of two states.

    Raises
    ------
    DataError
        If there are several causes, or nobody is treated during follow-up.

    References
    ----------
    Simon R, Makuch RW. A non-parametric graphical representation of the relationship between survival
    and the occurrence of an event. Stat Med 1984;3:35-44.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10], event=[1, 0, 1, 1])
    >>> curves = fs.survival.simon_makuch(y, [None, None, 4, 2])
    >>> curves.at(9)[["group", "survival"]].round(3).values.tolist()
    [['untreated', 0.667], ['treated', 0.5]]
    """
    y.require_binary("simon_makuch", "aalen_johansen on split_at_changes")
    pieces = split_at_changes(y, {"treated": treatment_time})
    treated = pieces.covariates["treated"].to_numpy() == 1
    if not treated.any():
        raise DataError(
            "somebody must be treated during follow-up",
            values={"treated": 0},
            remedy="treatment at or after a patient's last time does not count",
        )
    group = pd.Categorical.from_codes(treated.astype(int), pd.Index(["untreated", "treated"]))
    return kaplan_meier(
        pieces.outcome,
        group=pd.Series(group),
        level=level,
        transform=transform,
        variance=variance,
    )
