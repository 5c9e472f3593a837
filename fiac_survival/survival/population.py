r"""Population hazards: rate tables, and the hazard that persons would have had in the population.

A rate table has one hazard per time unit for each key (sex, perhaps region), age band and calendar band.
From age :math:`\alpha_i` and date :math:`\kappa_i` at time 0, person i has
:math:`\Lambda_i(t)=\int_0^t\lambda_{k_i}(\alpha_i+u,\kappa_i+u)\,du`, exactly, from edge to edge of the
table (:mod:`fiac_survival.kernels.expected`). Beyond the table its outermost band holds.

Times, ages and dates have one unit, days as a rule. The tables of R's ``survival`` for the United States
let the calendar year change at a person's birthday (``birthday=True``); others at 1 January.

Sources: Ederer, Axtell and Cutler 1961; Therneau and Offord 1999 (expected survival based on hazard rates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.kernels.expected import person_hazard

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DAYS_PER_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class RateTable:
    """Hazards of a population.

    Attributes
    ----------
    rates : (K, A, C) float64
        Hazard per time unit by key, age band and calendar band.
    age_cuts, date_cuts : (A,), (C,) float64
        Lower edges of the bands, in time units; dates since 1970-01-01.
    keys : list of tuple
        Labels of the keys.
    by : list of str
        Names of their parts.
    birthday : bool
        Whether the calendar band changes at a person's birthday.
    """

    rates: Floats = field(repr=False)
    age_cuts: Floats = field(repr=False)
    date_cuts: Floats = field(repr=False)
    keys: list[tuple[Any, ...]]
    by: list[str]
    birthday: bool = False

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        by: Sequence[str] = ("sex",),
        age: str = "age",
        year: str = "year",
        rate: str = "rate",
        days_per_year: float = DAYS_PER_YEAR,
        birthday: bool = False,
    ) -> RateTable:
        """Read a table with one row per key, age and calendar year.

        Parameters
        ----------
        frame : DataFrame
            One row for each combination.
        by : sequence of str, default ("sex",)
            Columns of the key.
        age, year, rate : str
            Columns of age (whole years, lower edge), calendar year (lower edge) and hazard per day.
        days_per_year : float, default 365.25
            Length of a year of age.
        birthday : bool, default False
            Let the calendar band change at a person's birthday, as R does with tables of the United
            States.

        Returns
        -------
        RateTable
            The table, in days.

        Raises
        ------
        DataError
            If a combination is missing or doubled, or a rate is negative.

        References
        ----------
        Therneau TM, Offord J. Expected survival based on hazard rates (update). Mayo Clinic, 1999.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> import pandas as pd
        >>> table = pd.DataFrame({"sex": ["f"] * 2, "age": [0, 50], "year": 2000, "rate": [1e-5, 4e-5]})
        >>> people = fs.survival.RateTable.from_frame(table).match([18000], [0], sex=["f"])
        >>> people.cumulative_hazard([365.25]).round(6).tolist()
        [0.006735]
        """
        needed = [*by, age, year, rate]
        missing = [column for column in needed if column not in frame.columns]
        if missing:
            raise DataError(
                "a rate table must have the columns that are named",
                values={"missing": missing},
                remedy="rename them, or say their names",
            )
        hazard = columns.require_finite(columns.numeric(frame[rate], rate), rate)
        negative = np.flatnonzero(hazard < 0)
        if negative.size:
            raise DataError(
                "a rate must not be negative",
                count=int(negative.size),
                row=int(negative[0]),
                values={"rate": hazard[negative[0]]},
            )
        ages, years = np.unique(frame[age]), np.unique(frame[year])
        keys = sorted(set(zip(*(frame[name] for name in by), strict=True)))
        index = {k: i for i, k in enumerate(keys)}
        place = np.array([index[k] for k in zip(*(frame[name] for name in by), strict=True)])
        cell = np.ravel_multi_index(
            (place, np.searchsorted(ages, frame[age]), np.searchsorted(years, frame[year])),
            (len(keys), ages.size, years.size),
        )
        counts = np.bincount(cell, minlength=len(keys) * ages.size * years.size)
        if (counts != 1).any():
            raise DataError(
                "a rate table must have one row per key, age and year",
                count=int(np.count_nonzero(counts != 1)),
                values={"keys": len(keys), "ages": ages.size, "years": years.size},
                remedy="complete it, or drop what is doubled",
            )
        rates = np.empty(counts.size)
        rates[cell] = hazard
        dates = pd.to_datetime([f"{int(y)}-01-01" for y in years])
        return cls(
            rates=rates.reshape(len(keys), ages.size, years.size),
            age_cuts=ages.astype(np.float64) * days_per_year,
            date_cuts=_days(dates),
            keys=keys,
            by=list(by),
            birthday=birthday,
        )

    def match(self, age: Any, date: Any, **by: Any) -> Population:
        """Match persons with the table.

        Parameters
        ----------
        age : array-like of float, shape (n,)
            Age at time 0, in the table's unit (days).
        date : array-like, shape (n,)
            Date of time 0: datetimes, or days since 1970-01-01.
        **by : array-like, shape (n,)
            The parts of the key.

        Returns
        -------
        Population
            What estimators take.

        Raises
        ------
        DataError
            If a part of the key is missing or a label is not in the table.

        References
        ----------
        Ederer F, Axtell LM, Cutler SJ. The relative survival rate: a statistical methodology. NCI
        Monograph 1961;6:101-121.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> import pandas as pd
        >>> table = pd.DataFrame({"sex": ["f"] * 2, "age": [0, 50], "year": 2000, "rate": [1e-5, 4e-5]})
        >>> len(fs.survival.RateTable.from_frame(table).match([9000], ["2001-05-01"], sex=["f"]))
        1
        """
        if sorted(by) != sorted(self.by):
            raise DataError(
                "each part of the rate table's key must be given",
                values={"given": sorted(by), "needed": sorted(self.by)},
            )
        start_age = columns.require_finite(columns.numeric(age, "age"), "age")
        n = start_age.size
        negative = np.flatnonzero(start_age < 0)
        if negative.size:
            raise DataError(
                "age must not be negative",
                count=int(negative.size),
                row=int(negative[0]),
                values={"age": start_age[negative[0]]},
                remedy="give age at time 0 in days",
            )
        start_date = columns.require_finite(_as_days(date, n), "date")
        codes = [columns.labels(by[name], name, n=n) for name in self.by]
        joint = {
            tuple(levels[c] for (_, levels), c in zip(codes, each, strict=True)): each
            for each in set(zip(*(code.tolist() for code, _ in codes), strict=True))
        }
        unknown = [label for label in joint if label not in self.keys]
        if unknown:
            raise DataError(
                "labels must be in the rate table",
                values={"unknown": unknown[:3], "known": self.keys[:6]},
                remedy="recode them as the table has them",
            )
        place = {each: self.keys.index(label) for label, each in joint.items()}
        key = np.array(
            [place[each] for each in zip(*(c.tolist() for c, _ in codes), strict=True)],
            dtype=np.int64,
        )
        if self.birthday:
            birth = start_date - start_age
            born = np.floor(birth).astype("datetime64[D]")
            start_date = _days(born.astype("datetime64[Y]").astype("datetime64[D]")) + start_age
        return Population(self, key, start_age, start_date)


@dataclass(frozen=True, eq=False)
class Population:
    """Persons matched with a rate table.

    Attributes
    ----------
    table : RateTable
        The table.
    key : (n,) int64
        Each person's key.
    age, date : (n,) float64
        At time 0.
    """

    table: RateTable
    key: Ints = field(repr=False)
    age: Floats = field(repr=False)
    date: Floats = field(repr=False)

    def __len__(self) -> int:
        return int(self.key.size)

    def cumulative_hazard(self, time: Any, *, entry: Any = None) -> Floats:
        """Accumulate the population hazard of each person up to a time.

        Parameters
        ----------
        time : float or array-like of float, shape (n,)
            Times.
        entry : array-like of float, shape (n,), optional
            From then on; left out: from 0.

        Returns
        -------
        (n,) float64
            Cumulative hazards; exp of minus them is expected survival.

        Raises
        ------
        DataError
            If a time is missing or lengths differ.
        """
        n = len(self)
        end = np.broadcast_to(np.asarray(time, dtype=np.float64), n) if np.ndim(time) == 0 else time
        until = columns.require_finite(columns.numeric(end, "time", n=n), "time")
        begin = np.zeros(n) if entry is None else columns.numeric(entry, "entry", n=n)
        out = np.empty(n)
        person_hazard(
            self.table.rates,
            self.table.age_cuts,
            self.table.date_cuts,
            self.key,
            self.age,
            self.date,
            begin,
            until,
            out,
        )
        return out

    def take(self, rows: NDArray[Any]) -> Population:
        """Select persons.

        Parameters
        ----------
        rows : (m,) int or (n,) bool
            Row numbers or a mask.

        Returns
        -------
        Population
            Those persons.
        """
        return Population(self.table, self.key[rows], self.age[rows], self.date[rows])


def _days(dates: Any) -> Floats:
    return (
        np.asarray(dates, dtype="datetime64[ns]").astype("datetime64[s]").astype(np.int64) / 86400
    )


def _as_days(date: Any, n: int) -> Floats:
    array = columns.to_numpy(date, "date")
    columns.require_length(array, "date", n)
    if array.dtype.kind in "OUM" and not (
        array.dtype.kind == "O" and array.size and isinstance(array[0], (int, float))
    ):
        try:
            stamps = pd.to_datetime(pd.Series(array))
        except (ValueError, TypeError) as cause:
            raise DataError("date must be a date", remedy=str(cause)) from cause
        missing = np.flatnonzero(stamps.isna().to_numpy())
        if missing.size:
            raise DataError(
                "date must not be missing", count=int(missing.size), row=int(missing[0])
            )
        return _days(stamps.to_numpy())
    return columns.numeric(array, "date", n=n)
