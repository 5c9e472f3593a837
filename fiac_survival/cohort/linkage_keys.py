"""The keys of two sources side by side: read, written alike, sorted by person and coded as integers.

A code is the same number on both sides for the same value, -1 where the value is missing, so that
agreement on any set of keys is equality of one group number. Rows are sorted by person: the order in
which they came plays no part in what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.linkage_text import KINDS, Kind, standardise_key
from fiac_survival.cohort.reading import Cohort
from fiac_survival.core.errors import DataError

Ints = NDArray[np.int64]
SIDES = ("private", "public")
_DAY_ZERO = np.datetime64("1970-01-01", "D")


@dataclass(frozen=True, eq=False)
class LinkageKeys:
    """Keys of two sources.

    Attributes
    ----------
    names : tuple of str
        Keys in use.
    kinds : dict of str to str
        How each was read.
    frames : (DataFrame, DataFrame)
        Private and public: person and keys, sorted by person.
    codes : (dict, dict)
        By key: int64 codes, alike on both sides, -1 where missing.
    days : (dict, dict)
        By key that is a date: days since 1970; meaningless where the code is -1.
    table : DataFrame
        key, kind, missing and distinct values of each side, values in common.
    """

    names: tuple[str, ...]
    kinds: dict[str, Kind]
    frames: tuple[pd.DataFrame, pd.DataFrame]
    codes: tuple[dict[str, Ints], dict[str, Ints]]
    days: tuple[dict[str, Ints], dict[str, Ints]]
    table: pd.DataFrame

    @property
    def n(self) -> tuple[int, int]:
        """Persons on each side."""
        return len(self.frames[0]), len(self.frames[1])

    def groups(self, subset: Sequence[str]) -> tuple[Ints, Ints]:
        """Give a number to the combinations of values of several keys.

        Parameters
        ----------
        subset : sequence of str
            Keys; none puts all persons in one group.

        Returns
        -------
        private, public : int64 arrays
            Group of each person, alike on both sides; -1 where a key is missing.
        """
        n1, n2 = self.n
        group = np.zeros(n1 + n2, dtype=np.int64)
        for name in subset:
            code = np.concatenate([self.codes[0][name], self.codes[1][name]])
            size = int(code.max()) + 1
            missing = (group < 0) | (code < 0)
            group, _ = pd.factorize(np.where(missing, -1, group * size + code))
            if missing.any():
                absent = int(group[np.flatnonzero(missing)[0]])
                group = np.where(group == absent, -1, group)
            group = group.astype(np.int64)
        return group[:n1], group[n1:]

    def pairs(self, subset: Sequence[str]) -> int:
        """Count the pairs that agree on several keys, without making them.

        Parameters
        ----------
        subset : sequence of str
            Keys.

        Returns
        -------
        int
            Pairs of a private and a public person.
        """
        a, b = self.groups(subset)
        size = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
        counts = [np.bincount(x[x >= 0], minlength=size) for x in (a, b)]
        return int(np.sum(counts[0].astype(np.int64) * counts[1]))


def read_keys(
    private: Any, public: Any, names: Sequence[str] | None, *, optional: Sequence[str] = ()
) -> LinkageKeys:
    """Read the keys of two sources.

    Parameters
    ----------
    private, public : DataFrame, ibis.Table or Cohort
        One row a person: person and keys.
    names : sequence of str, optional
        Keys; without them those that the package knows and both sides have.
    optional : sequence of str
        Keys that are passed over where they say nothing about anyone.

    Returns
    -------
    LinkageKeys
        Read and coded.

    Raises
    ------
    DataError
        If a column is missing, empty, unreadable or shares no value, or a person is missing or repeated.
    """
    raw = [_frame(private, "private", names), _frame(public, "public", names)]
    if names is None:
        names = [k for k in KINDS if all(k in frame.columns for frame in raw)]
        optional = ("drug", "death", *optional)
        if not names:
            raise DataError(
                "both sides must have a key in common",
                values={"known": ", ".join(KINDS)},
                remedy="name yours in keys=",
            )
    sides = [_persons(frame, side) for frame, side in zip(raw, SIDES, strict=True)]
    kinds: dict[str, Kind] = {}
    used: list[str] = []
    rows: list[dict[str, Any]] = []
    codes: tuple[dict[str, Ints], dict[str, Ints]] = ({}, {})
    days: tuple[dict[str, Ints], dict[str, Ints]] = ({}, {})
    for name in names:
        kind = _kind(name, [side[name] for side in raw])
        for k, side in enumerate(SIDES):
            try:
                column = standardise_key(raw[k][name], name, kind=kind)
            except DataError as error:
                error.rule = f"{side}: {error.rule}"
                raise
            sides[k][name] = column.take(sides[k]["_row"].to_numpy()).reset_index(drop=True)
        row = _compare(name, kind, sides)
        rows.append(row)
        if _says_nothing(row, name in optional):
            continue
        kinds[name] = kind
        used.append(name)
        both = pd.concat([sides[0][name], sides[1][name]], ignore_index=True)
        code = pd.factorize(both)[0].astype(np.int64)
        for k, part in enumerate((code[: len(sides[0])], code[len(sides[0]) :])):
            codes[k][name] = part
            if kind == "date":
                filled = sides[k][name].fillna(pd.Timestamp(_DAY_ZERO))
                days[k][name] = (filled.to_numpy().astype("datetime64[D]") - _DAY_ZERO).astype(
                    np.int64
                )
    if not used:
        raise DataError(
            "a key must tell persons apart",
            values={"keys": ", ".join(names)},
            remedy="all persons share one value: pass further keys",
        )
    frames = [side.drop(columns="_row") for side in sides]
    return LinkageKeys(tuple(used), kinds, (frames[0], frames[1]), codes, days, pd.DataFrame(rows))


def _frame(source: Any, side: str, names: Sequence[str] | None) -> pd.DataFrame:
    """Fetch person and keys of one side."""
    table = source.linkage_key if isinstance(source, Cohort) else source
    if hasattr(table, "execute") and hasattr(table, "columns"):
        present = [c for c in table.columns if c == "person" or names is None or c in names]
        frame: pd.DataFrame = table.select(present).execute()
    elif isinstance(table, pd.DataFrame):
        frame = table
    else:
        native = nw.from_native(table, eager_only=True, pass_through=True)
        if not isinstance(native, nw.DataFrame):
            raise DataError(
                f"the {side} side must be a table or a cohort",
                values={"type": type(source).__name__},
                remedy="pass a DataFrame, an ibis table or what fs.cohort.read returns",
            )
        frame = native.to_pandas()
    needed = ["person", *(names or [])]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"the {side} side must have the columns of the linkage",
            values={"missing": ", ".join(missing)},
            remedy="rename yours, or leave the key out of keys=",
        )
    if not len(frame):
        raise DataError(f"the {side} side must have a person", remedy="check the selection")
    return frame.reset_index(drop=True)


def _persons(frame: pd.DataFrame, side: str) -> pd.DataFrame:
    """Sort the persons of one side and keep the row that each came from."""
    person = frame["person"]
    for rule, bad in (
        ("must not be missing", person.isna()),
        ("must not be repeated", person.duplicated()),
    ):
        rows = np.flatnonzero(bad.to_numpy())
        if rows.size:
            raise DataError(
                f"{side}: person {rule}",
                count=int(rows.size),
                row=int(rows[0]),
                remedy="keep one row a person",
            )
    out = pd.DataFrame({"person": person, "_row": np.arange(len(person))})
    try:
        out = out.sort_values("person", kind="stable", ignore_index=True)
    except TypeError:
        raise DataError(
            f"{side}: person must be of one type",
            remedy="write all as text or all as numbers",
        ) from None
    return out


def _kind(name: str, columns: list[pd.Series]) -> Kind:
    if name in KINDS:
        return KINDS[name]
    dated = any(
        pd.api.types.is_datetime64_any_dtype(c)
        or (c.notna().any() and hasattr(c.dropna().iloc[0], "isoformat"))
        for c in columns
    )
    return "date" if dated else "text"


def _compare(name: str, kind: Kind, sides: list[pd.DataFrame]) -> dict[str, Any]:
    values = [side[name].dropna() for side in sides]
    distinct = [pd.Index(v.unique()) for v in values]
    return {
        "key": name,
        "kind": kind,
        "missing_private": int(len(sides[0]) - len(values[0])),
        "missing_public": int(len(sides[1]) - len(values[1])),
        "values_private": len(distinct[0]),
        "values_public": len(distinct[1]),
        "values_in_common": len(distinct[0].intersection(distinct[1])),
        "used": True,
    }


def _says_nothing(row: dict[str, Any], optional: bool) -> bool:
    """Say whether a key is of no use; refuse it where it was asked for."""
    name = row["key"]
    for side in SIDES:
        if row[f"values_{side}"] == 0:
            if optional:
                row["used"] = False
                return True
            raise DataError(
                f"{side}: {name} must not be missing for all",
                remedy="leave the key out: name the others in keys=",
            )
    if row["values_in_common"] == 0 and row["kind"] not in ("date", "integer"):
        raise DataError(
            f"{name} must have a value that both sides share",
            values={"private values": row["values_private"], "public": row["values_public"]},
            remedy="check how each side codes it, or leave the key out of keys=",
        )
    if row["values_private"] == row["values_public"] == row["values_in_common"] == 1:
        row["used"] = False
        return True
    return False
