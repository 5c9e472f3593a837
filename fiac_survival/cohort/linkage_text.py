"""Keys in one spelling: what two sources write differently and mean alike.

============ ==================================================================================
kind         what is made of it
============ ==================================================================================
sex          female, male; missing where unknown (also f, m, h, homme, femme, 1 = male, 2 = female)
integer      whole numbers, from numbers or text
department   two or three characters: "1", 1, "001" are "01"; "2a", "02A" are "2A"; "971" stays
centre       FINESS numbers with nine characters (a lost leading zero is put back); else as text
date         YYYY-MM-DD or DD/MM/YYYY, one way for a whole column; days that could be read both ways
             (no day of the month above 12) are refused
text         no accents, no capitals, one blank for anything that is neither letter nor digit
============ ==================================================================================
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError

Kind = Literal["sex", "integer", "department", "centre", "date", "text"]
KINDS: dict[str, Kind] = {
    "sex": "sex",
    "birth_year": "integer",
    "birth_month": "integer",
    "department": "department",
    "centre": "centre",
    "drug": "text",
    "first_treatment": "date",
    "death": "date",
}
BOUNDS = {"birth_year": (1850, 2100), "birth_month": (1, 12)}
FINESS = re.compile(r"(?:\d{2}|2[AB])\d{7}")
_SEXES = {
    "female": ("female", "f", "femme", "feminin", "2"),
    "male": ("male", "m", "h", "homme", "masculin", "1"),
    "": ("unknown", "inconnu", "u", "0", "9"),
}
_SEX = {spelling: sex for sex, spellings in _SEXES.items() for spelling in spellings}
_ISO, _FRENCH = r"\d{4}-\d{2}-\d{2}", r"\d{2}/\d{2}/\d{4}"


def standardise_key(column: Any, name: str, *, kind: Kind | None = None) -> pd.Series:
    """Write a key in one spelling.

    Parameters
    ----------
    column : array-like
        Values as the source has them.
    name : str
        Of the key; it says how to read the values, unless `kind` does.
    kind : {"sex", "integer", "department", "centre", "date", "text"}, optional
        How to read them. Of a key that the package does not know: dates if they are, else text.

    Returns
    -------
    Series
        Text (object), whole numbers (Int64) or days (datetime64), missing where empty or unknown.

    Raises
    ------
    DataError
        If a value cannot be read, naming the first row.

    Examples
    --------
    >>> standardise_key([1, "2a", "075", None], "department").tolist()
    ['01', '2A', '75', None]
    >>> standardise_key(["Hôpital  Saint-Éloi", ""], "hospital").tolist()
    ['hopital saint eloi', None]
    >>> standardise_key([10780054, "750100042"], "centre").tolist()
    ['010780054', '750100042']
    """
    values = pd.Series(column).reset_index(drop=True)
    how = KINDS.get(name, "date" if _has_dates(values) else "text") if kind is None else kind
    match how:
        case "integer":
            return _integers(values, name)
        case "date":
            return _dates(values, name)
        case "sex":
            return _each(values, name, _sex)
        case "department":
            return _each(values, name, _department)
        case "centre":
            return _each(values, name, _centre)
        case "text":
            return _each(values, name, _plain)
        case _:
            assert_never(how)


def _has_dates(values: pd.Series) -> bool:
    if pd.api.types.is_datetime64_any_dtype(values):
        return True
    present = values.dropna()
    return bool(len(present)) and hasattr(present.iloc[0], "isoformat")


def _each(values: pd.Series, name: str, read: Callable[[str], str]) -> pd.Series:
    """Read every spelling once."""
    codes, spellings = pd.factorize(values, use_na_sentinel=True)
    out = np.empty(len(spellings) + 1, dtype=object)
    out[-1] = None
    for k, spelling in enumerate(spellings):
        try:
            out[k] = read(_as_text(spelling)) or None
        except ValueError:
            rows = np.flatnonzero(codes == k)
            raise DataError(
                f"{name} must be readable",
                count=int(rows.size),
                row=int(rows[0]),
                values={name: spelling},
                remedy="docs/linkage.md says how it is read",
            ) from None
    return pd.Series(out[codes], dtype=object, name=name)


def _as_text(value: object) -> str:
    """Write a value as text; 75.0 is 75."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _plain(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text)
    bare = "".join(c for c in bare if not unicodedata.combining(c)).casefold()
    return " ".join(re.findall(r"[^\W_]+", bare))


def _sex(text: str) -> str:
    plain = _plain(text)
    if plain and plain not in _SEX:
        raise ValueError(text)
    return _SEX.get(plain, "")


def _department(text: str) -> str:
    code = text.upper()
    if not re.fullmatch(r"[0-9][0-9AB]?[0-9AB]?", code):
        return _plain(text)
    if len(code) == 3 and code[0] == "0":
        code = code[1:]
    return code.zfill(2)


def _centre(text: str) -> str:
    code = re.sub(r"\s", "", text).upper()
    if re.fullmatch(r"\d{8}", code):
        code = code.zfill(9)
    return code if FINESS.fullmatch(code) else _plain(text)


def _integers(values: pd.Series, name: str) -> pd.Series:
    read = ["" if pd.isna(v) else _as_text(v) for v in values]
    text = pd.Series([t or None for t in read], dtype=object)
    numbers = pd.to_numeric(text, errors="coerce")
    low, high = BOUNDS.get(name, (-(2**53), 2**53))
    bad = text.notna() & (numbers.isna() | (numbers % 1 != 0) | (numbers < low) | (numbers > high))
    _refuse(bad, text, name, f"{name} must be a whole number from {low} to {high}")
    return pd.Series(numbers, dtype="Int64", name=name)


def _dates(values: pd.Series, name: str) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        if getattr(values.dt, "tz", None) is not None:
            raise DataError(
                f"{name} must be days, not moments",
                values={"type": values.dtype},
                remedy="convert them to days in the source's time zone",
            )
        bad = values.notna() & (values != values.dt.normalize())
        _refuse(bad, values, name, f"{name} must be days, not moments")
        return values.astype("datetime64[ns]").rename(name)
    read = ["" if pd.isna(v) else getattr(v, "isoformat", v.__str__)().strip() for v in values]
    midnight = re.compile(r"[T ]00:00(:00(\.0+)?)?$")
    text = pd.Series([midnight.sub("", t) or None for t in read], dtype=object)
    missing = text.isna()
    present = text[~missing]
    french = bool(len(present)) and bool(re.fullmatch(_FRENCH, present.iloc[0]))
    pattern, form = (_FRENCH, "%d/%m/%Y") if french else (_ISO, "%Y-%m-%d")
    days = pd.to_datetime(text, format=form, errors="coerce")
    wrong = ~missing & (days.isna() | ~text.astype(str).str.fullmatch(pattern))
    _refuse(wrong, text, name, f"{name} must be dates written YYYY-MM-DD or DD/MM/YYYY, all alike")
    if french and bool((days.dropna().dt.day <= 12).all()) and len(set(present)) > 1:
        raise DataError(
            f"{name} must not be readable both as DD/MM/YYYY and MM/DD/YYYY",
            values={"dates": int((~missing).sum())},
            remedy="no day of the month is above 12: write the dates YYYY-MM-DD",
        )
    return pd.Series(days, dtype="datetime64[ns]", name=name)


def _refuse(bad: pd.Series, values: pd.Series, name: str, rule: str) -> None:
    rows = np.flatnonzero(bad.to_numpy(dtype=bool))
    if rows.size:
        raise DataError(
            rule,
            count=int(rows.size),
            row=int(rows[0]),
            values={name: values.iloc[int(rows[0])]},
            remedy="correct them or set them to missing",
        )
