r"""Which regimens a drug record shows, and when: alignment with schedules by dynamic programming.

The recurrence is that of Smith and Waterman (1981) with a penalty for wrong times (Syed and Das 2015): a
pair of the same drug counts 1, of different drugs −1, what is left out costs g, and a pair whose time since
the pair before is :math:`t_x` in the record and :math:`t_y` in the schedule costs
:math:`T\,|t_x-t_y|/\max(t_x,t_y)`; times add up through what is left out. See
`fiac_survival.kernels.alignment` for all of it. A regimen's score is end to end: steps of the schedule
that are missing before, within or after the stretch cost g each. Among all stretches of all regimens the
set with the highest sum of scores is chosen of which no two share a day. That set is exact for the
stretches that the recurrence proposes: for each event and step that ends one, the best begin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.regimens import Regimen, check_regimens
from fiac_survival.core.columns import labels, real, to_numpy
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result
from fiac_survival.core.threads import numba_threads
from fiac_survival.kernels.alignment import align_records

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MOST_DAYS = 1_000_000
OtherDrugs = Literal["refuse", "drop", "keep"]
Extent = Literal["end_to_end", "local"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class AlignedRegimens(Result):
    """Regimens found in drug records.

    Attributes
    ----------
    table : DataFrame
        One row an aligned regimen: person, alignment (1, 2, ... in time), regimen, start, end, score,
        n_drugs_matched, n_drugs_planned (of the whole schedule), n_records (the person's events from start
        to end), first_step and last_step (of the schedule, from 1).
    regimens : tuple of Regimen
        The schedules.
    n_persons : int
        Persons with a record.
    """

    regimens: tuple[Regimen, ...]
    n_persons: int

    def _title(self) -> str:
        return f"Aligned regimens: {len(self.table)} in {self.n_persons} persons"


@dataclass(frozen=True, eq=False)
class _Records:
    """Events by person, day and drug."""

    persons: list[Any]
    first_event: Ints
    day: Ints
    drug: Ints
    dates: bool


def align_regimens(
    exposures: Any,
    regimens: Iterable[Regimen | dict[str, Any]],
    *,
    gap_penalty: float = 0.4,
    time_penalty: float = 0.5,
    extent: Extent = "end_to_end",
    minimum_score: float = 0.0,
    similarity: pd.DataFrame | None = None,
    other_drugs: OtherDrugs = "refuse",
    person: str = "person",
    date: str = "date",
    drug: str = "drug",
    threads: int | None = None,
) -> AlignedRegimens:
    """Find in each person's drug record the regimens that it shows.

    Parameters
    ----------
    exposures : DataFrame (pandas, polars, pyarrow)
        One row a dispensing or administration, in any order. Equal rows count once.
    regimens : sequence of Regimen or dict
        Schedules, see :func:`read_regimens`. Of equally good ones the first is taken.
    gap_penalty : float, default 0.4
        For each drug of the record or of the schedule that is left out.
    time_penalty : float, default 0.5
        For a pair of drugs with wrong times, at most.
    extent : {"end_to_end", "local"}
        Score the whole schedule, or only the part of it that is aligned. Local scores favour many short
        stretches; give a `minimum_score` with them.
    minimum_score : float, default 0
        A regimen's score must be greater.
    similarity : DataFrame, optional
        Score of a pair, drug of the record by row, drug of the schedule by column; 1 for the same drug
        and −1 otherwise where it has no entry.
    other_drugs : {"refuse", "drop", "keep"}
        What to do with drugs that no regimen has: stop, leave their rows out, or keep them as
        events that fit nothing.
    person, date, drug : str
        Columns. Dates are dates or whole days; the time of day is left out.
    threads : int, optional
        Threads; the result is the same for any.

    Returns
    -------
    AlignedRegimens
        ``.table`` has one row an aligned regimen, by person and start.

    Raises
    ------
    DataError
        If a column is missing or has missing values, a date is neither a date nor a whole number of days,
        a drug is unknown, a penalty is negative, or a regimen breaks a rule.

    References
    ----------
    T. F. Smith and M. S. Waterman, Identification of common molecular subsequences (1981). H. Syed and
    A. K. Das, Temporal Needleman-Wunsch, IEEE DSAA (2015). J. Kleinberg and É. Tardos, Algorithm design,
    section 6.1, for weighted interval scheduling (2005).

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> record = pd.DataFrame({"person": 1, "date": [0, 7, 14, 60, 88], "drug": list("VVVDD")})
    >>> weekly = fs.cohort.Regimen(name="weekly V", steps=[(7, "V")], cycles=3)
    >>> monthly = fs.cohort.Regimen(name="monthly D", steps=[(28, "D")], cycles=3)
    >>> found = fs.cohort.align_regimens(record, [weekly, monthly]).table
    >>> found[["regimen", "start", "end", "score"]]
         regimen  start  end  score
    0   weekly V      0   14    3.0
    1  monthly D     60   88    1.6
    """
    require_choice(extent, Extent, "extent")
    require_choice(other_drugs, OtherDrugs, "other_drugs")
    for name, number in (("gap_penalty", gap_penalty), ("time_penalty", time_penalty)):
        if not (np.isfinite(number) and number >= 0):
            raise DataError(f"{name} must be finite and at least 0", values={name: number})
    if not np.isfinite(minimum_score):
        raise DataError("minimum_score must be finite", values={"minimum_score": minimum_score})
    checked = check_regimens(regimens)
    schedules = [regimen.schedule() for regimen in checked]
    known = sorted({name for schedule in schedules for _, name in schedule})
    records = _read(exposures, known, other_drugs, person, date, drug)
    scores = _similarity(similarity, known)
    sizes = [len(schedule) for schedule in schedules]
    steps = [step for schedule in schedules for step in schedule]
    place = {name: i for i, name in enumerate(known)}
    n = records.day.size
    regimen, begin, matched = (np.zeros(n, dtype=np.int64) for _ in range(3))
    score, step = np.zeros(n), np.zeros((n, 2), dtype=np.int64)
    with numba_threads(threads):
        align_records(
            records.first_event,
            records.day,
            records.drug,
            np.r_[0, np.cumsum(sizes)].astype(np.int64),
            np.array([days for days, _ in steps], dtype=np.int64),
            np.array([place[name] for _, name in steps], dtype=np.int64),
            scores,
            (float(gap_penalty), float(time_penalty)),
            extent == "local",
            float(minimum_score),
            regimen,
            begin,
            score,
            matched,
            step,
        )
    last = np.flatnonzero(regimen >= 0)
    who = np.searchsorted(records.first_event, last, side="right") - 1
    first = begin[last]
    fresh = np.r_[True, who[1:] != who[:-1]] if last.size else np.zeros(0, dtype=bool)
    order = np.arange(last.size)
    table = pd.DataFrame(
        {
            "person": pd.Series([records.persons[i] for i in who]),
            "alignment": order - np.maximum.accumulate(np.where(fresh, order, 0)) + 1,
            "regimen": pd.Series([checked[r].name for r in regimen[last]], dtype=object),
            "start": _as_dates(records.day[first], records.dates),
            "end": _as_dates(records.day[last], records.dates),
            "score": score[last],
            "n_drugs_matched": matched[last],
            "n_drugs_planned": np.array(sizes, dtype=np.int64)[regimen[last]],
            "n_records": last - first + 1,
            "first_step": step[last, 0] + 1,
            "last_step": step[last, 1] + 1,
        }
    )
    return AlignedRegimens(table=table, regimens=checked, n_persons=len(records.persons))


def _as_dates(days: Ints, dates: bool) -> Any:
    return days.astype("datetime64[D]").astype("datetime64[ns]") if dates else days


def _read(
    exposures: Any, known: list[str], other_drugs: OtherDrugs, person: str, date: str, drug: str
) -> _Records:
    frame = nw.from_native(exposures, eager_only=True, pass_through=True)
    if not isinstance(frame, nw.DataFrame):
        raise DataError("exposures must be a table", values={"type": type(exposures).__name__})
    for name in (person, date, drug):
        if name not in frame.columns:
            raise DataError(
                "exposures must have the columns of person, date and drug",
                values={"missing": name},
                remedy=f"columns: {', '.join(frame.columns)}",
            )
    if frame.shape[0] == 0:
        raise DataError("exposures must have at least one row", values={"rows": 0})
    who, persons = labels(frame[person].to_native(), person)
    what, names = labels(frame[drug].to_native(), drug)
    day, dates = _days(frame[date].to_native(), date)
    place = np.array([known.index(n) if n in known else len(known) for n in names], dtype=np.int64)
    code = place[what]
    unknown = code == len(known)
    keep = np.ones(code.size, dtype=bool)
    if unknown.any():
        if other_drugs == "refuse":
            row = int(np.flatnonzero(unknown)[0])
            raise DataError(
                "every drug must be part of a regimen",
                count=int(unknown.sum()),
                row=row,
                values={"drug": names[what[row]]},
                remedy="add a regimen, or say other_drugs='drop' or 'keep'",
            )
        if other_drugs == "drop":
            keep = ~unknown
    # Within a day drugs stand in alphabetical order, as in a schedule; two unknown drugs are two events.
    which = np.where(unknown, len(known) + what, code)[keep]
    who, day = who[keep], day[keep]
    early = int(day.min()) if day.size else 0
    span = int(day.max()) - early + 1 if day.size else 1
    kinds = len(known) + len(names)
    key = np.sort((who * span + (day - early)) * kinds + which)
    key = key[np.r_[True, key[1:] != key[:-1]]] if key.size else key
    who, rest = np.divmod(key, span * kinds)
    day, which = np.divmod(rest, kinds)
    first = np.searchsorted(who, np.arange(len(persons) + 1)).astype(np.int64)
    return _Records(persons, first, day + early, np.minimum(which, len(known)), dates)


def _days(column: Any, name: str) -> tuple[Ints, bool]:
    """Whole days, and whether they were dates."""
    array = to_numpy(column, name)
    if array.dtype.kind == "O" and not pd.isna(array).all():
        inferred = pd.api.types.infer_dtype(array, skipna=True)
        if inferred in {"date", "datetime", "datetime64"}:
            array = pd.to_datetime(pd.Series(array)).to_numpy()
    if array.dtype.kind == "M":
        missing = np.isnat(array)
        days = np.where(missing, 0, array.astype("datetime64[D]").astype(np.int64))
    else:
        number = real(array, name)
        missing = np.isnan(number) if number.dtype.kind == "f" else np.zeros(number.size, bool)
        with np.errstate(invalid="ignore"):
            broken = ~missing & ((number != np.floor(number)) | (np.abs(number) > MOST_DAYS))
        if broken.any():
            row = int(np.flatnonzero(broken)[0])
            raise DataError(
                f"{name} must be a date or a whole number of days",
                count=int(broken.sum()),
                row=row,
                values={name: number[row].item()},
                remedy=f"round it down to whole days, at most {MOST_DAYS:,} from day 0",
            )
        days = np.where(missing, 0, number).astype(np.int64)
    if missing.any():
        raise DataError(
            f"{name} must not be missing",
            count=int(missing.sum()),
            row=int(np.flatnonzero(missing)[0]),
            remedy="drop those rows",
        )
    return days, array.dtype.kind == "M"


def _similarity(given: pd.DataFrame | None, known: list[str]) -> Floats:
    """Scores of pairs; the last row and column are all drugs that no regimen has."""
    out = np.where(np.eye(len(known) + 1, dtype=bool), 1.0, -1.0)
    out[-1, -1] = -1.0
    if given is None:
        return out
    for side, names in (("row", given.index), ("column", given.columns)):
        wrong = next((name for name in names if name not in known), None)
        if wrong is not None:
            raise DataError(
                "similarity must name drugs of the regimens",
                values={side: wrong},
                remedy=f"drugs: {', '.join(known)}",
            )
        if names.has_duplicates:
            raise DataError(
                "similarity must name each drug once",
                values={side: names[names.duplicated()][0]},
            )
    for row in given.index:
        for column in given.columns:
            value = float(given.loc[row, column])
            if np.isnan(value):
                continue
            if not np.isfinite(value):
                raise DataError("similarity must be finite", values={"row": row, "column": column})
            out[known.index(row), known.index(column)] = value
    return out
