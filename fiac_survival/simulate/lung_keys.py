"""What two sources of the same patients can be linked on, with the errors of the forms. Simulated.

The claims' key is right: birth, sex and department of the health insurance, geographic FINESS of
the hospital that gave the first billed infusion. The forms' key is typed by people: another month,
day and month swapped, another year, another sex, fields left empty, the hospital's department, the
FINESS of the legal entity or of the hospital that prescribes, a first administration some days off.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.simulate.lung_course import Flags, Ints, Population
from fiac_survival.simulate.lung_parameters import LungErrors


def year_and_month(days: Ints) -> tuple[Ints, Ints, Ints]:
    """Calendar year, month and day of the month of days since 1970.

    Parameters
    ----------
    days : (n,) int64
        Days.

    Returns
    -------
    year, month, day : (n,) int64
        As in the calendar.
    """
    when = days.astype("datetime64[D]")
    months = when.astype("datetime64[M]")
    year = months.astype("datetime64[Y]").astype(np.int64) + 1970
    month = months.astype(np.int64) % 12 + 1
    return year, month, (when - months).astype(np.int64) + 1


def form_keys(
    population: Population, errors: LungErrors, rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Make the keys as the forms have them.

    Parameters
    ----------
    population : Population
        Patients.
    errors : LungErrors
        Rates.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    keys : DataFrame
        One row a file: birth_year, birth_month, sex, department, centre, first_treatment (a day).
    flags : DataFrame
        One row a file: which errors it has.
    """
    p = population.patients.iloc[population.files]
    n = len(p)
    year, month, day = year_and_month(p["birth"].to_numpy())
    flags: dict[str, Flags] = {}

    def hit(name: str, rate: float, among: Flags | None = None) -> Flags:
        found = rng.random(n) < rate
        flags[name] = found if among is None else found & among
        return flags[name]

    swapped = hit("swapped_day_month", errors.swapped_day_month, (day <= 12) & (day != month))
    wrong_month = hit("wrong_month", errors.wrong_month, ~swapped)
    other_month = (month - 1 + rng.integers(1, 12, n)) % 12 + 1
    wrong_year = hit("wrong_year", errors.wrong_year)
    off = rng.choice(np.array([-10, -1, 1, 10]), n)
    no_month = hit("missing_month", errors.missing_month, ~swapped & ~wrong_month)
    given = np.where(swapped, day, np.where(wrong_month, other_month, month))
    sex = p["sex"].to_numpy()
    opposite = np.where(sex == "male", "female", "male").astype(object)
    no_department = hit("missing_department", errors.missing_department)
    geographic = population.centres["finess"].to_numpy()
    centre, own = p["centre"].to_numpy(), p["department"].to_numpy()
    nearby = population.centres["department"].to_numpy()[centre]
    hospitals = hit(
        "hospital_department", errors.hospital_department, (nearby != own) & ~no_department
    )
    department = np.where(hospitals, nearby, own)
    department[no_department] = None
    legal = hit("legal_entity", errors.legal_entity)
    elsewhere = hit("other_centre", errors.other_centre, ~legal & (geographic.size > 1))
    another = (centre + rng.integers(1, max(geographic.size, 2), n)) % geographic.size
    place: NDArray[np.object_] = np.where(
        legal, population.centres["legal"].to_numpy()[centre], geographic[centre]
    )
    place = np.where(elsewhere, geographic[another], place)
    wrong_sex = hit("wrong_sex", errors.wrong_sex)
    start, stop = p["start"].to_numpy(), p["stop"].to_numpy()
    shift = rng.integers(1, 11, n) * rng.choice(np.array([-1, 1]), n)
    first = np.minimum(start + shift, stop - 1)
    shifted = hit("shifted_first_infusion", errors.shifted_first_infusion, first != start)
    keys = pd.DataFrame(
        {
            "birth_year": year + np.where(wrong_year, off, 0),
            "birth_month": pd.array(given, dtype="Int64"),
            "sex": np.where(wrong_sex, opposite, sex),
            "department": department,
            "centre": place,
            "first_treatment": np.where(shifted, first, start),
        }
    )
    keys.loc[no_month, "birth_month"] = pd.NA
    return keys, pd.DataFrame(flags)


def claims_keys(population: Population) -> pd.DataFrame:
    """Make the keys as the claims have them, apart from the first billed infusion.

    Parameters
    ----------
    population : Population
        Patients.

    Returns
    -------
    DataFrame
        One row a claims person: birth_year, birth_month, sex, department, centre.
    """
    p = population.patients.iloc[population.claims]
    year, month, _ = year_and_month(p["birth"].to_numpy())
    return pd.DataFrame(
        {
            "birth_year": year,
            "birth_month": pd.array(month, dtype="Int64"),
            "sex": p["sex"].to_numpy(),
            "department": p["department"].to_numpy(),
            "centre": population.centres["finess"].to_numpy()[p["centre"]],
        }
    )
