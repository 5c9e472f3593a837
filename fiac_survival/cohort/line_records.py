"""Records of treatment as arrays, from frames or, block by block, from an engine."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.arrow_rows import frame_of
from fiac_survival.cohort.dialects import stream
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.expressions import epoch_days
from fiac_survival.core.errors import DataError

Ints = NDArray[np.int64]
ORDER = ("person", "fs_start", "fs_drug", "fs_end", "drug")


@dataclass(frozen=True, eq=False)
class Records:
    """Records of some patients, every patient with all of his.

    Attributes
    ----------
    person : (n,) ndarray
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
    names : (n,) ndarray
        Drugs as they were written.
    """

    person: NDArray[Any]
    start: Ints
    end: Ints
    drug: Ints
    horizon: Ints
    died: NDArray[np.bool_]
    row: Ints
    names: NDArray[Any]

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
    _require_columns(list(native.columns), needed, what)
    return native.to_pandas().reset_index(drop=True)


def _require_columns(columns: list[str], needed: list[str], what: str) -> None:
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
    _present(frame["person"].isna(), "person")
    start, missing = days_of(frame["date"], "date")
    _present(missing, "date")
    numbers = frame["drug"].map(drugs.codes).fillna(-1)
    drug: Ints = np.asarray(numbers.to_numpy(), dtype=np.int64)
    end = start + np.where(drug >= 0, drugs.days[drug], 1) - 1
    if "end" in frame:
        given, absent = days_of(frame["end"], "end")
        end = np.where(absent, end, given)
    horizon, died = _horizon(frame["person"], follow_up, end)
    return _checked(
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


def _horizon(person: pd.Series, follow_up: Any, end: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    if follow_up is None:
        last = pd.Series(end).groupby(person.to_numpy(), sort=False).transform("max")
        return last.to_numpy(dtype=np.int64), np.zeros(len(person), dtype=np.bool_)
    frame = _frame(follow_up, ["person", "follow_up_end"], "follow_up")
    _present(frame["person"].isna(), "person")
    twice = np.flatnonzero(frame["person"].duplicated().to_numpy())
    if twice.size:
        raise DataError(
            "follow_up must have one row a patient",
            count=int(twice.size),
            row=int(twice[0]),
            remedy="drop the others",
        )
    final, missing = days_of(frame["follow_up_end"], "follow_up_end")
    _present(missing, "follow_up_end")
    died = np.zeros(len(frame), dtype=np.bool_)
    if "death" in frame:
        death, alive = days_of(frame["death"], "death")
        died = ~alive & (death <= final)
        final = np.where(died, death, final)
    place = pd.Index(frame["person"]).get_indexer(pd.Index(person))
    absent = np.flatnonzero(place < 0)
    if absent.size:
        raise DataError(
            "every patient with records must have a follow-up",
            count=int(absent.size),
            row=int(absent[0]),
            remedy="add the patient to follow_up, or drop the records",
        )
    return final[place], died[place]


def _present(missing: Any, name: str) -> None:
    rows = np.flatnonzero(np.asarray(missing))
    if rows.size:
        raise DataError(
            f"{name} must not be missing",
            count=int(rows.size),
            row=int(rows[0]),
            remedy="drop or complete the rows",
        )


def _checked(records: Records) -> Records:
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


def from_engine(
    exposures: Any, follow_up: Any, drugs: DrugTable, records_per_block: int
) -> Iterator[Records]:
    """Take records from an engine in blocks of whole patients.

    The engine sorts by patient, numbers drugs and turns dates into days; rows arrive as a stream.

    Parameters
    ----------
    exposures : ibis.Table
        person, date, drug; `end` if known.
    follow_up : ibis.Table or None
        person, follow_up_end; `death` if known.
    drugs : DrugTable
        Numbers of drugs.
    records_per_block : int
        Records to hold at a time; a block ends with a patient.

    Yields
    ------
    Records
        Some patients.

    Raises
    ------
    DataError
        If a column is missing or a value breaks a rule.
    """
    rows = with_days(exposures, follow_up, drugs)
    batches = stream(rows, order_by=ORDER, rows=records_per_block)
    yield from _cut_into_blocks(batches, records_per_block)


def with_days(exposures: Any, follow_up: Any, drugs: DrugTable) -> Any:
    """Query that numbers drugs and turns dates into days.

    Parameters
    ----------
    exposures : ibis.Table
        person, date, drug; `end` if known.
    follow_up : ibis.Table or None
        person, follow_up_end; `death` if known.
    drugs : DrugTable
        Numbers of drugs.

    Returns
    -------
    ibis.Table
        person, fs_start, fs_end, fs_drug, drug; with follow-up also fs_horizon, fs_died.

    Raises
    ------
    DataError
        If a column is missing.
    """
    import ibis

    _require_columns(list(exposures.columns), ["person", "date", "drug"], "exposures")
    known = [(key, number) for key, number in sorted(drugs.codes.items())]
    length = [(number, int(days)) for number, days in enumerate(drugs.days)]
    rows = exposures.mutate(
        fs_start=epoch_days(exposures.date),
        fs_drug=exposures.drug.cases(*known, else_=-1).cast("int64"),
    )
    covered = rows.fs_start + rows.fs_drug.cases(*length, else_=1) - 1
    if "end" in exposures.columns:
        covered = ibis.coalesce(epoch_days(rows["end"]), covered)
    rows = rows.mutate(fs_end=covered.cast("int64"))
    chosen = ["person", "fs_start", "fs_end", "fs_drug", "drug"]
    if follow_up is not None:
        _require_columns(list(follow_up.columns), ["person", "follow_up_end"], "follow_up")
        final = epoch_days(follow_up.follow_up_end)
        death = ibis.null("int64")
        if "death" in follow_up.columns:
            death = epoch_days(follow_up.death)
        died = (death <= final).fill_null(False)
        known_to = follow_up.select(
            fs_person=follow_up.person,
            fs_horizon=died.ifelse(death, final).cast("int64"),
            fs_died=died,
        )
        rows = rows.left_join(known_to, rows.person == known_to.fs_person)
        chosen += ["fs_horizon", "fs_died"]
    return rows.select(chosen)


def _cut_into_blocks(batches: Any, records_per_block: int) -> Iterator[Records]:
    held: list[pd.DataFrame] = []
    n_held = n_given = 0
    for batch in batches:
        frame = frame_of(batch)
        if frame.empty:
            continue
        held.append(frame)
        n_held += len(frame)
        if n_held < records_per_block:
            continue
        block = pd.concat(held, ignore_index=True)
        codes = pd.factorize(block["person"])[0]
        begun = codes == codes[-1]
        if begun.all():
            held = [block]
            continue
        cut = int(np.flatnonzero(begun)[0])
        yield _of_block(block.iloc[:cut], n_given)
        n_given += cut
        held, n_held = [block.iloc[cut:]], len(block) - cut
    if held:
        yield _of_block(pd.concat(held, ignore_index=True), n_given)
    elif not n_given:
        raise DataError("exposures must have rows", values={"rows": 0})


def _of_block(block: pd.DataFrame, before: int) -> Records:
    _present(block["person"].isna(), "person")
    _present(block["fs_start"].isna(), "date")
    end = block["fs_end"].to_numpy(dtype=np.int64)
    if "fs_horizon" in block:
        absent = np.flatnonzero(block["fs_horizon"].isna())
        if absent.size:
            raise DataError(
                "every patient with records must have a follow-up",
                count=int(absent.size),
                row=before + int(absent[0]),
                remedy="add the patient to follow_up, or drop the records",
            )
        horizon = block["fs_horizon"].to_numpy(dtype=np.int64)
        died = block["fs_died"].to_numpy(dtype=np.bool_)
    else:
        horizon, died = _horizon(block["person"], None, end)
    return _checked(
        Records(
            person=block["person"].to_numpy(),
            start=block["fs_start"].to_numpy(dtype=np.int64),
            end=end,
            drug=block["fs_drug"].to_numpy(dtype=np.int64),
            horizon=horizon,
            died=died,
            row=before + np.arange(len(block)),
            names=block["drug"].to_numpy(),
        )
    )
