"""Pseudonyms, identifiers and numbers of simulated records: functions of the person's number. Simulated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

LARGEST_PERSON = 99_999_999
Ints = NDArray[np.int64]


def made_of(values: NDArray[Any], make: Callable[[Any], Any]) -> NDArray[np.object_]:
    """Apply a function to every value; to equal ones once.

    Parameters
    ----------
    values : (n,) ndarray
        Values.
    make : callable
        What to make of one.

    Returns
    -------
    (n,) object
        What was made.
    """
    place, known = pd.factorize(values)
    made = np.empty(len(known), dtype=object)
    made[:] = [make(value) for value in known.tolist()]
    return made[place]


def pseudonym(person: Ints, number: int = 0) -> NDArray[np.object_]:
    """Make the pseudonym of a person (BEN_NIR_PSA), 17 characters.

    Parameters
    ----------
    person : (n,) int64
        Persons.
    number : int, default 0
        0: the first; 1: that of the time before the person was insured on her own account.

    Returns
    -------
    (n,) object
        Pseudonyms.
    """
    return made_of(person, lambda p: f"SIM{number}{p:013d}")


def identifier(person: Ints) -> NDArray[np.object_]:
    """Make the identifier of a person (BEN_IDT_ANO), 17 characters.

    Parameters
    ----------
    person : (n,) int64
        Persons.

    Returns
    -------
    (n,) object
        Identifiers.
    """
    return made_of(person, lambda p: f"{p:017d}")


def has_two(person: Ints) -> NDArray[np.bool_]:
    """Tell who has two pseudonyms: one in nine.

    Parameters
    ----------
    person : (n,) int64
        Persons.

    Returns
    -------
    (n,) bool
        True for those.
    """
    return np.equal(person % 9, 4)


def pseudonym_on(person: Ints, day: NDArray[np.datetime64]) -> NDArray[np.object_]:
    """Find the pseudonym in use on a day: those with two change on 1 January 2016.

    Parameters
    ----------
    person : (n,) int64
        Persons.
    day : (n,) datetime64
        Days.

    Returns
    -------
    (n,) object
        Pseudonyms.
    """
    early = has_two(person) & (day < np.datetime64("2016-01-01"))
    found = pseudonym(person)
    found[early] = pseudonym(person[early], 1)
    return found


def rank_within(person: Ints) -> Ints:
    """Count the rows of each person, in the order of the rows.

    Parameters
    ----------
    person : (n,) int64
        Persons.

    Returns
    -------
    (n,) int64
        From 0.
    """
    count = pd.Series(person).groupby(person).cumcount()
    return count.to_numpy().astype(np.int64)


def dates(days: NDArray[np.datetime64] | pd.Series) -> pd.Series:
    """Turn days into Python dates, which parquet keeps as dates.

    Parameters
    ----------
    days : array or Series of datetime64
        Days.

    Returns
    -------
    Series
        Objects of type date.
    """
    numbers = np.asarray(days).astype("datetime64[D]")
    place, known = pd.factorize(numbers.astype(np.int64))
    made = np.empty(len(known), dtype=object)
    made[:] = known.astype("datetime64[D]").tolist()
    return pd.Series(made[place], dtype=object)
