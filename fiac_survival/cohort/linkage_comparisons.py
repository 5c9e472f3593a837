"""What is compared between two records, level by level, in SQL that DuckDB and Spark both read.

============================ =====================================================================
comparison                   levels, best first; a pair is at the first that holds
============================ =====================================================================
sex, month, drug, other keys equal; different
year                         equal; one year apart; different
place (centre, department)   both equal; centre equal, department missing; centre equal; centre
                             missing, department equal; department equal; centres in one
                             department (first two signs of a FINESS number); different
dates                        equal; day and month swapped; within 3 days; within 14 days; different
============================ =====================================================================

A comparison in which a value is missing says nothing. Centre and department are one comparison because a
centre nearly tells the department: as two they would be counted twice. A centre's agreement weighs by the
centre's frequency (term-frequency adjustment): a rare hospital says more than a large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.linkage_keys import LinkageKeys
from fiac_survival.cohort.linkage_text import FINESS

DAYS = (3, 14)


@dataclass(frozen=True)
class Level:
    """A level of a comparison.

    Attributes
    ----------
    label : str
        In words.
    sql : str
        Condition.
    missing : bool
        Whether it is that of missing values.
    frequency : str
        Column by whose frequency the level's weight is adjusted; empty: none.
    """

    label: str
    sql: str
    missing: bool = False
    frequency: str = ""


@dataclass(frozen=True)
class Comparison:
    """A comparison.

    Attributes
    ----------
    name : str
        What is compared.
    keys : tuple of str
        Keys that it looks at.
    levels : tuple of Level
        Best first, missing before all.
    """

    name: str
    keys: tuple[str, ...]
    levels: tuple[Level, ...]


def column_of(keys: LinkageKeys, name: str) -> str:
    """Name a key's column in the engine.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    name : str
        Key.

    Returns
    -------
    str
        A plain name, whatever the key is called.
    """
    return f"key_{keys.names.index(name)}"


def comparisons(keys: LinkageKeys) -> list[Comparison]:
    """List what is compared.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.

    Returns
    -------
    list of Comparison
        In the order of the keys, place last.
    """
    out = []
    for name in keys.names:
        if name in ("centre", "department"):
            continue
        column = column_of(keys, name)
        match keys.kinds[name]:
            case "date":
                levels = _dates(column)
            case "integer":
                missing, equal, other = _equal(column)
                near = (_near(column, 1, "year"),) if name == "birth_year" else ()
                levels = (missing, equal, *near, other)
            case "sex" | "department" | "centre" | "text":
                levels = _equal(column)
            case _:
                assert_never(keys.kinds[name])
        out.append(Comparison(name, (name,), levels))
    places = tuple(k for k in ("centre", "department") if k in keys.names)
    if places:
        out.append(Comparison("place", places, _place(keys, places)))
    return out


_ELSE = Level("different", "ELSE")


def _null(*columns: str) -> str:
    return " AND ".join(f"({c}_l IS NULL OR {c}_r IS NULL)" for c in columns)


def _same(column: str) -> str:
    return f"{column}_l = {column}_r"


def _equal(column: str) -> tuple[Level, ...]:
    return (
        Level("missing", _null(column), missing=True),
        Level("equal", _same(column)),
        _ELSE,
    )


def _near(column: str, reach: int, unit: str) -> Level:
    words = f"within {reach} {unit}{'s' if reach > 1 else ''}"
    return Level(words, f"abs({column}_l - {column}_r) <= {reach}")


def _dates(column: str) -> tuple[Level, ...]:
    swapped = f"{column}_swapped_l = {column}_r"
    return (
        Level("missing", _null(column), missing=True),
        Level("equal", _same(column)),
        Level("day and month swapped", swapped),
        *(_near(column, reach, "day") for reach in DAYS),
        _ELSE,
    )


def _place(keys: LinkageKeys, places: tuple[str, ...]) -> tuple[Level, ...]:
    if places == ("department",):
        return _equal(column_of(keys, "department"))
    centre = column_of(keys, "centre")
    area = [Level("centres in one department", _same(f"{centre}_area"))] if _finess(keys) else []
    if places == ("centre",):
        missing, equal, other = _equal(centre)
        return missing, Level(equal.label, equal.sql, frequency=centre), *area, other
    department = column_of(keys, "department")
    absent = {k: any((side[k] < 0).any() for side in keys.codes) for k in places}
    both = f"{_same(centre)} AND {_same(department)}"
    only_centre = f"{_same(centre)} AND {_null(department)}"
    only_department = f"{_same(department)} AND {_null(centre)}"
    levels = [
        Level("missing", _null(centre, department), missing=True),
        Level("centre and department equal", both, frequency=centre),
        Level("centre equal, department missing", only_centre, frequency=centre),
        Level("centre equal, department different", _same(centre), frequency=centre),
        Level("department equal, centre missing", only_department),
        Level("department equal, centre different", _same(department)),
        *area,
        _ELSE,
    ]
    impossible = [only_centre] * (not absent["department"]) + [only_department] * (
        not absent["centre"]
    )
    return tuple(level for level in levels if level.sql not in impossible)


def _finess(keys: LinkageKeys) -> bool:
    """Whether each side's centres are mostly FINESS numbers."""
    shares = [f["centre"].dropna().map(_is_finess).mean() for f in keys.frames]
    return min(shares) > 0.5


def _is_finess(centre: str) -> bool:
    return FINESS.fullmatch(centre) is not None


def engine_frame(keys: LinkageKeys, side: int) -> pd.DataFrame:
    """Write one side's keys as the engine compares them: whole numbers only.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    side : {0, 1}
        Private or public.

    Returns
    -------
    DataFrame
        unique_id (the row), one column a key, a swapped date, the area of a centre.
    """
    frame = keys.frames[side]
    out: dict[str, object] = {"unique_id": np.arange(len(frame), dtype=np.int64)}
    for name in keys.names:
        column, code = column_of(keys, name), keys.codes[side][name]
        match keys.kinds[name]:
            case "date":
                out[column] = _nullable(keys.days[side][name], code >= 0)
                out[f"{column}_swapped"] = _swapped(frame[name])
            case "integer":
                out[column] = frame[name]
            case "sex" | "department" | "centre" | "text":
                out[column] = _nullable(code, code >= 0)
            case _:
                assert_never(keys.kinds[name])
        if name == "centre":
            areas = frame[name].map(lambda c: c[:2] if c and _is_finess(c) else None)
            codes = areas.map(lambda a: None if a is None else int(a, 36))
            out[f"{column}_area"] = codes.astype("Int64")
    return pd.DataFrame(out)


def _nullable(values: NDArray[np.int64], known: NDArray[np.bool_]) -> pd.Series:
    return pd.Series(pd.arrays.IntegerArray(values.astype(np.int64), ~known))


def _swapped(days: pd.Series) -> pd.Series:
    """Days since 1970 with day and month exchanged; missing where that is no date or the same."""
    day, month, year = days.dt.day, days.dt.month, days.dt.year
    possible = (days.notna() & (day <= 12) & (day != month)).to_numpy()
    months = 12 * (year.to_numpy()[possible] - 1970) + day.to_numpy()[possible] - 1
    first = months.astype(np.int64).astype("datetime64[M]").astype("datetime64[D]")
    number = np.zeros(len(days), dtype=np.int64)
    number[possible] = first.astype(np.int64) + month.to_numpy()[possible].astype(np.int64) - 1
    return _nullable(number, possible)
