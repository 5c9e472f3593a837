r"""Covariates that change with time: from dated changes to counting-process rows.

A person at risk on :math:`(a,T]` whose covariates change at :math:`a<c_1<\dots<c_k<T` becomes the rows
:math:`(a,c_1],(c_1,c_2],\dots,(c_k,T]`, the event at the end of the last. A row has the values that held at
its start: a change at c takes effect just after c, so that an event at c still belongs to what was
before. A value holds until the next (last value carried forward), also from before entry; a count is the
number (or sum) of records up to the start of the row. This is what R's ``tmerge`` does with ``tdc``,
``cumtdc`` and ``event``.

Source: Therneau, Crowson and Atkinson, Using time dependent covariates and time dependent coefficients in
the Cox model (vignette of R ``survival``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TimeVarying(Result):
    """Counting-process rows.

    Attributes
    ----------
    table : DataFrame
        person, row (of the baseline table), entry, time, event, then the covariates.
    outcome : Outcome
        The rows.
    covariates : DataFrame
        Baseline covariates, carried values and counts of each row.
    person : Series
        Whom each row belongs to: the cluster of robust variances.
    row : (m,) int64
        Row of the baseline table.
    """

    outcome: Outcome
    covariates: pd.DataFrame
    person: pd.Series
    row: Ints


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Episodes(Result):
    """Time at risk, cut at fixed times.

    Attributes
    ----------
    table : DataFrame
        row (number in the data), episode, entry, time, event.
    outcome : Outcome
        The pieces.
    row : (m,) int64
        Row of the data that each piece comes from.
    episode : (m,) int64
        Number of the interval between cuts, from 0.
    cuts : list of float
        The cuts.
    """

    outcome: Outcome
    row: Ints
    episode: Ints
    cuts: list[float]


def split_at_times(y: Outcome, cuts: Any) -> Episodes:
    """Cut the time at risk at fixed times.

    Parameters
    ----------
    y : Outcome
        The rows; event codes of any number of causes.
    cuts : array-like of float
        Positive times, ascending; an event at a cut belongs to the piece that ends there.

    Returns
    -------
    Episodes
        Pieces, with the row and the interval that each belongs to.

    Raises
    ------
    DataError
        If a cut is not positive, or they do not ascend.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 8], event=[1, 0])
    >>> fs.survival.split_at_times(y, [5]).table.values.tolist()
    [[0.0, 0.0, 0.0, 3.0, 1.0], [1.0, 0.0, 0.0, 5.0, 0.0], [1.0, 1.0, 5.0, 8.0, 0.0]]
    """
    at = columns.require_finite(columns.numeric(np.atleast_1d(cuts), "cuts"), "cuts")
    if at.size == 0 or at[0] <= 0 or (np.diff(at) <= 0).any():
        raise DataError(
            "cuts must be positive and ascending",
            values={"cuts": at.tolist()},
            remedy="pass e.g. [90, 180]",
        )
    entry = y.entry_or_zero()
    first = np.searchsorted(at, entry, side="right")
    last = np.searchsorted(at, y.time, side="left")
    pieces = last - first + 1
    row = np.repeat(np.arange(len(y)), pieces)
    ends = np.cumsum(pieces)
    step = np.arange(row.size) - np.repeat(ends - pieces, pieces)
    episode = first[row] + step
    edges = np.concatenate([at, [np.inf]])
    begin = np.where(step == 0, entry[row], edges[np.maximum(episode - 1, 0)])
    final = np.zeros(row.size, dtype=np.bool_)
    final[ends - 1] = True
    end = np.where(final, y.time[row], edges[episode])
    event = np.where(final, y.event[row], 0)
    return Episodes(
        table=pd.DataFrame(
            {"row": row, "episode": episode, "entry": begin, "time": end, "event": event}
        ),
        outcome=Outcome(end, event, entry=begin),
        row=row,
        episode=episode,
        cuts=at.tolist(),
    )


def time_varying(
    baseline: Any,
    *,
    person: str = "person",
    time: str = "time",
    event: str = "event",
    entry: str | None = None,
    values: Mapping[str, Any] | None = None,
    counts: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    at: str = "time",
    value: str = "value",
) -> TimeVarying:
    """Build counting-process rows from a baseline table and tables of dated changes.

    Parameters
    ----------
    baseline : DataFrame
        One row a person (or several that do not overlap): person, time, event, perhaps entry; all
        other columns are baseline covariates.
    person, time, event, entry : str
        Names of these columns; `entry` left out: 0.
    values : mapping of str to DataFrame, optional
        Per covariate a table (person, time, value): the value from that time on.
    counts : mapping of str to DataFrame, optional
        Per covariate a table (person, time): the covariate counts its records; with a column value
        it sums them. 0 before the first.
    initial : mapping of str, optional
        Value of a covariate of `values` before a person's first change. Left out: the baseline column
        of the same name if there is one.
    at, value : str
        Names of the columns of time and value in the tables of changes.

    Returns
    -------
    TimeVarying
        Outcome, covariates, and the person of each row.

    Raises
    ------
    DataError
        If intervals of a person overlap or are reversed, a covariate has two changes of a person at
        one time, a change belongs to nobody, a time is missing, or a value is unknown at entry.

    References
    ----------
    Therneau TM, Grambsch PM. Modeling Survival Data. Springer, 2000, chapter 3.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> patients = pd.DataFrame({"person": [1, 2], "time": [8, 5], "event": [1, 0], "age": [60, 70]})
    >>> stage = pd.DataFrame({"person": [1, 2], "time": [3, 5], "value": [4, 4]})
    >>> rows = fs.survival.time_varying(patients, values={"stage": stage}, initial={"stage": 3})
    >>> rows.table.drop(columns="row").values.tolist()
    [[1.0, 0.0, 3.0, 0.0, 60.0, 3.0], [1.0, 3.0, 8.0, 1.0, 60.0, 4.0], [2.0, 0.0, 5.0, 0.0, 70.0, 3.0]]
    """
    base = _frame(baseline, "baseline")
    _require_columns(base, "baseline", [person, time, event, *([entry] if entry else [])])
    values, counts = dict(values or {}), dict(counts or {})
    if not values and not counts:
        raise DataError(
            "there must be at least one covariate that changes",
            values={"values": 0, "counts": 0},
            remedy='pass e.g. values={"treated": table}',
        )
    both = sorted(set(values) & set(counts))
    if both:
        raise DataError("a covariate is either a value or a count", values={"both": both})
    outcome = Outcome(base[time], base[event], entry=base[entry] if entry else None)
    code, people = columns.labels(base[person], person)
    _require_disjoint(code, outcome)
    changes = {
        name: _changes(table, name, people, person=person, at=at, value=value, sums=name in counts)
        for name, table in {**values, **counts}.items()
    }
    row, begin, end, status = _cut(outcome, code, list(changes.values()))
    fixed = [c for c in base.columns if c not in {person, time, event, entry, *changes}]
    covariates = base[fixed].iloc[row].reset_index(drop=True)
    for name in values:
        found, known = _latest(changes[name], code[row], begin)
        before = _initial(name, initial, base, row, ~known)
        covariates[name] = pd.Series(found).where(known, before) if before is not None else found
    for name in counts:
        found, known = _latest(changes[name], code[row], begin)
        covariates[name] = np.where(known, found, 0.0)
    head = pd.DataFrame(
        {
            person: base[person].iloc[row].to_numpy(),
            "row": row,
            "entry": begin,
            "time": end,
            "event": status,
        }
    )
    return TimeVarying(
        table=pd.concat([head, covariates], axis=1),
        outcome=Outcome(end, status, entry=begin),
        covariates=covariates,
        person=head[person],
        row=row,
    )


@dataclass(frozen=True, eq=False)
class _Changes:
    """Changes of one covariate, by person and time."""

    code: Ints
    when: Floats
    value: NDArray[Any]


def _frame(table: Any, name: str) -> pd.DataFrame:
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True)
    native = nw.from_native(table, eager_only=True, pass_through=True)
    if not isinstance(native, nw.DataFrame):
        raise DataError(
            f"{name} must be a table",
            values={"type": type(table).__name__},
            remedy="pass a pandas or polars DataFrame",
        )
    frame: pd.DataFrame = native.to_pandas()
    return frame


def _require_columns(table: pd.DataFrame, name: str, needed: Sequence[str]) -> None:
    missing = [column for column in needed if column not in table.columns]
    if missing:
        raise DataError(
            f"{name} must have the columns that are named",
            values={"missing": missing, "columns": [str(c) for c in table.columns]},
            remedy="rename them, or say their names",
        )


def _require_disjoint(code: Ints, y: Outcome) -> None:
    order = np.lexsort((y.time, code))
    entry = y.entry_or_zero()[order]
    same = code[order][1:] == code[order][:-1]
    bad = np.flatnonzero(same & (entry[1:] < y.time[order][:-1]))
    if bad.size:
        row = int(order[bad[0] + 1])
        raise DataError(
            "rows of a person must not overlap",
            count=int(bad.size),
            row=row,
            values={"entry": y.entry_or_zero()[row], "ends before": y.time[order[bad[0]]]},
            remedy="give each row its entry, or keep one row a person",
        )


def _changes(
    table: Any,
    name: str,
    people: list[Any],
    *,
    person: str,
    at: str,
    value: str,
    sums: bool,
) -> _Changes:
    """Check the changes of one covariate and put them in order."""
    frame = _frame(table, name)
    _require_columns(frame, name, [person, at] if sums else [person, at, value])
    when = columns.require_finite(columns.numeric(frame[at], f"{name}.{at}"), f"{name}.{at}")
    code = pd.Index(people).get_indexer(pd.Index(columns.to_numpy(frame[person], person)))
    stranger = np.flatnonzero(code < 0)
    if stranger.size:
        raise DataError(
            f"changes of {name} must belong to persons of the baseline table",
            count=int(stranger.size),
            row=int(stranger[0]),
            remedy="drop the others, or check the type of the person column",
        )
    held: NDArray[Any] = np.ones(when.size)
    if value in frame.columns:
        if sums:
            held = columns.require_finite(columns.numeric(frame[value], name), name)
        else:
            missing = np.flatnonzero(frame[value].isna().to_numpy())
            if missing.size:
                raise DataError(
                    f"a value of {name} must not be missing",
                    count=int(missing.size),
                    row=int(missing[0]),
                    remedy="drop the change: the last value is carried forward",
                )
            held = columns.to_numpy(frame[value], name)
    order = np.lexsort((when, code))
    code, when, held = code[order].astype(np.int64), when[order], held[order]
    again = (code[1:] == code[:-1]) & (when[1:] == when[:-1])
    if not sums and again.any():
        first = int(np.flatnonzero(again)[0])
        raise DataError(
            f"{name} must not change twice at one time",
            count=int(again.sum()),
            row=int(order[first + 1]),
            values={at: when[first]},
            remedy="keep one change a person and time",
        )
    if sums:
        total = np.cumsum(held)
        start = np.searchsorted(code, code, side="left")
        held = total - np.where(start > 0, total[start - 1], 0.0)
        last = np.append(~again, True)[: code.size]
        code, when, held = code[last], when[last], held[last]
    return _Changes(code, when, held)


def _cut(
    y: Outcome, code: Ints, changes: list[_Changes]
) -> tuple[Ints, Floats, Floats, NDArray[np.int32]]:
    """Row, begin, end and event of each piece."""
    entry = y.entry_or_zero()
    by_person = np.argsort(code, kind="stable")
    first = np.searchsorted(code[by_person], np.arange(code.max() + 2))
    rows, begins = [np.arange(len(y))], [entry]
    for change in changes:
        repeats = first[change.code + 1] - first[change.code]
        which = np.repeat(np.arange(change.code.size), repeats)
        inside = np.arange(which.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        candidate = by_person[first[change.code][which] + inside]
        when = change.when[which]
        use = (when > entry[candidate]) & (when < y.time[candidate])
        rows.append(candidate[use])
        begins.append(when[use])
    row, begin = np.concatenate(rows), np.concatenate(begins)
    order = np.lexsort((begin, row))
    row, begin = row[order], begin[order]
    new = np.concatenate([[True], (row[1:] != row[:-1]) | (begin[1:] != begin[:-1])])
    row, begin = row[new], begin[new]
    last = np.concatenate([row[1:] != row[:-1], [True]])
    end = np.where(last, y.time[row], np.concatenate([begin[1:], [0.0]]))
    return row, begin, end, np.where(last, y.event[row], 0).astype(np.int32)


def _latest(changes: _Changes, code: Ints, begin: Floats) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Value of the last change at or before each piece's begin, and whether there is one."""
    left = pd.DataFrame({"code": code, "at": begin, "piece": np.arange(code.size)})
    right = pd.DataFrame(
        {"code": changes.code, "at": changes.when, "place": np.arange(changes.code.size)}
    )
    found = pd.merge_asof(
        left.sort_values("at", kind="stable"), right.sort_values("at", kind="stable"),
        on="at", by="code",
    ).sort_values("piece")  # fmt: skip
    place = found["place"].to_numpy(dtype=np.float64, na_value=-1.0)
    known = np.isfinite(place) & (place >= 0)
    if changes.value.size == 0:
        return np.full(code.size, np.nan), known
    return changes.value[np.where(known, place, 0).astype(np.int64)], known


def _initial(
    name: str,
    initial: Mapping[str, Any] | None,
    base: pd.DataFrame,
    row: Ints,
    unknown: NDArray[np.bool_],
) -> Any:
    """Value before the first change, for each piece."""
    if initial is not None and name in initial:
        return pd.Series(initial[name], index=range(row.size))
    if name in base.columns:
        return base[name].iloc[row].reset_index(drop=True)
    if unknown.any():
        raise DataError(
            f"{name} must be known from entry on",
            count=int(np.unique(row[unknown]).size),
            row=int(row[unknown][0]),
            remedy=f'pass initial={{"{name}": ...}}, or give the baseline table a column {name}',
        )
    return None
