"""Records of treatment as arrays, from frames in memory."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.core.errors import DataError

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Records:
    """Records of some patients, every patient with all of his.

    Attributes
    ----------
    person : (n,) ndarray or Categorical
        Patients.
    start, end : (n,) int64
        First and last day covered, in days since 1970-01-01.
    drug : (n,) int64
        Number in the drug table, -1 for those that it does not have.
    horizon : (n,) int64
        Day of death or of the end of follow-up.
    died : (n,) bool
        Whether that is death.
    row : (n,) int64
        Row in the table that they came from.
    names : (n,) ndarray or Categorical
        Drugs as they were written.
    """

    person: Any
    start: Ints
    end: Ints
    drug: Ints
    horizon: Ints
    died: NDArray[np.bool_]
    row: Ints
    names: Any

    def take(self, rows: NDArray[np.bool_]) -> Records:
        """Select records.

        Parameters
        ----------
        rows : (n,) bool
            Which.

        Returns
        -------
        Records
            Those.
        """
        fields = {f.name: getattr(self, f.name)[rows] for f in dataclasses.fields(self)}
        return Records(**fields)

    def name_of(self, place: int) -> str:
        """Drug as it was written.

        Parameters
        ----------
        place : int
            Which record.

        Returns
        -------
        str
            Its name.
        """
        return str(self.names[place])


def days_of(column: Any, name: str) -> tuple[Ints, NDArray[np.bool_]]:
    """Turn dates into days.

    Parameters
    ----------
    column : array-like
        Dates: datetime64, datetime.date, or text as 2020-12-31.
    name : str
        What to call it in an error.

    Returns
    -------
    days : (n,) int64
        Since 1970-01-01; 0 where missing.
    missing : (n,) bool
        Where there is no date.

    Raises
    ------
    DataError
        If it is no date, or has a time of day.
    """
    series = pd.Series(column).reset_index(drop=True)
    if series.dtype.kind in "biufc" and not series.isna().all():
        raise DataError(
            f"{name} must be a date",
            row=0,
            values={name: series.iloc[0]},
            remedy="convert it with pandas.to_datetime",
        )
    try:
        moments = pd.to_datetime(series, errors="raise", format=_format(series))
    except (ValueError, TypeError, OverflowError):
        parsed = pd.to_datetime(series, errors="coerce", format=_format(series))
        bad = np.flatnonzero((parsed.isna() & series.notna()).to_numpy())
        raise DataError(
            f"{name} must be a date",
            count=int(bad.size),
            row=int(bad[0]) if bad.size else 0,
            values={name: series.iloc[int(bad[0])] if bad.size else series.iloc[0]},
            remedy="write dates as 2020-12-31",
        ) from None
    missing = moments.isna().to_numpy()
    values = moments.to_numpy()
    days = values.astype("datetime64[D]")
    wrong = np.flatnonzero(~missing & (days != values))
    if wrong.size:
        raise DataError(
            f"{name} must be a date without a time of day",
            count=int(wrong.size),
            row=int(wrong[0]),
            values={name: values[wrong[0]]},
            remedy="use .dt.normalize() in the time zone of the source",
        )
    return np.where(missing, 0, days.astype(np.int64)), missing


def _format(series: pd.Series) -> str | None:
    text = series.dtype == object and series.map(lambda v: isinstance(v, str)).any()
    return "%Y-%m-%d" if text or isinstance(series.dtype, pd.StringDtype) else None


def _frame(data: Any, needed: list[str], what: str) -> pd.DataFrame:
    native = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(native, nw.DataFrame):
        raise DataError(
            f"{what} must be a table",
            values={"type": type(data).__name__},
            remedy="pass a DataFrame, or a table of an engine",
        )
    require_columns(list(native.columns), needed, what)
    return native.to_pandas().reset_index(drop=True)


def require_columns(columns: list[str], needed: list[str], what: str) -> None:
    """Refuse a table without some column.

    Parameters
    ----------
    columns : list of str
        What it has.
    needed : list of str
        What it must have.
    what : str
        What to call it in the error.

    Raises
    ------
    DataError
        If one is missing.
    """
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(
            f"{what} must have {'their' if what == 'exposures' else 'its'} columns",
            values={"missing": ", ".join(missing)},
            remedy="rename yours",
        )


def from_frames(exposures: Any, follow_up: Any, drugs: DrugTable) -> Records:
    """Take records from frames in memory.

    Parameters
    ----------
    exposures : DataFrame
        person, date, drug; `end` if known.
    follow_up : DataFrame or None
        person, follow_up_end; `death` if known.
    drugs : DrugTable
        Numbers of drugs.

    Returns
    -------
    Records
        All of them.

    Raises
    ------
    DataError
        If a column is missing or a value breaks a rule.
    """
    frame = _frame(exposures, ["person", "date", "drug"], "exposures")
    require_present(frame["person"].isna(), "person")
    start, missing = days_of(frame["date"], "date")
    require_present(missing, "date")
    numbers = frame["drug"].map(drugs.codes).fillna(-1)
    drug: Ints = np.asarray(numbers.to_numpy(), dtype=np.int64)
    end = start + np.where(drug >= 0, drugs.days[drug], 1) - 1
    if "end" in frame:
        given, absent = days_of(frame["end"], "end")
        end = np.where(absent, end, given)
    horizon, died = horizon_of(frame["person"], follow_up, end)
    return checked(
        Records(
            person=frame["person"].to_numpy(),
            start=start,
            end=end,
            drug=drug,
            horizon=horizon,
            died=died,
            row=np.arange(len(frame)),
            names=frame["drug"].to_numpy(),
        )
    )


def horizon_of(person: pd.Series, follow_up: Any, end: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Find the last day of each record's patient.

    Parameters
    ----------
    person : (n,) Series
        Patients.
    follow_up : DataFrame or None
        person, follow_up_end; `death` if known. None: the last day covered.
    end : (n,) int64
        Last day that each record covers.

    Returns
    -------
    horizon : (n,) int64
        Day of death or of the end of follow-up, in days since 1970-01-01.
    died : (n,) bool
        Whether that is death.

    Raises
    ------
    DataError
        If a patient has no follow-up or two, or a day is missing or no date.
    """
    if follow_up is None:
        last = pd.Series(end).groupby(person.to_numpy(), sort=False).transform("max")
        return last.to_numpy(dtype=np.int64), np.zeros(len(person), dtype=np.bool_)
    frame = _frame(follow_up, ["person", "follow_up_end"], "follow_up")
    require_present(frame["person"].isna(), "person")
    twice = np.flatnonzero(frame["person"].duplicated().to_numpy())
    if twice.size:
        raise DataError(
            "follow_up must have one row a patient",
            count=int(twice.size),
            row=int(twice[0]),
            remedy="drop the others",
        )
    final, missing = days_of(frame["follow_up_end"], "follow_up_end")
    require_present(missing, "follow_up_end")
    died = np.zeros(len(frame), dtype=np.bool_)
    if "death" in frame:
        death, alive = days_of(frame["death"], "death")
        died = ~alive & (death <= final)
        final = np.where(died, death, final)
    place = pd.Index(frame["person"]).get_indexer(pd.Index(person))
    require_follow_up(place < 0)
    return final[place], died[place]


def require_follow_up(missing: Any, before: int = 0) -> None:
    """Refuse patients without a follow-up.

    Parameters
    ----------
    missing : array of bool
        By record.
    before : int, default 0
        Records before the first of them.

    Raises
    ------
    DataError
        If a record's patient has none.
    """
    absent = np.flatnonzero(missing)
    if absent.size:
        raise DataError(
            "every patient with records must have a follow-up",
            count=int(absent.size),
            row=before + int(absent[0]),
            remedy="add the patient to follow_up, or drop the records",
        )


def require_present(missing: Any, name: str) -> None:
    """Refuse missing values.

    Parameters
    ----------
    missing : (n,) bool
        Where there is none.
    name : str
        Of the column.

    Raises
    ------
    DataError
        If there are any.
    """
    rows = np.flatnonzero(np.asarray(missing))
    if rows.size:
        raise DataError(
            f"{name} must not be missing",
            count=int(rows.size),
            row=int(rows[0]),
            remedy="drop or complete the rows",
        )


def checked(records: Records) -> Records:
    """Refuse no records, and records that end before they begin.

    Parameters
    ----------
    records : Records
        Of treatment.

    Returns
    -------
    Records
        The same.

    Raises
    ------
    DataError
        If there is none, or one is reversed.
    """
    if not records.start.size:
        raise DataError("exposures must have rows", values={"rows": 0})
    reversed_ = np.flatnonzero(records.end < records.start)
    if reversed_.size:
        first = int(reversed_[0])
        raise DataError(
            "end must not be before date",
            count=int(reversed_.size),
            row=int(records.row[first]),
            values={"days": int(records.end[first] - records.start[first])},
            remedy="correct or drop the records",
        )
    return records
