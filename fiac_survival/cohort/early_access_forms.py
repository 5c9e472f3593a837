"""Follow-up forms of early access: their sections, headers and values as data, and how they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.rule_files import fingerprint, parse, shipped
from fiac_survival.core.errors import DataError

Section = Literal["access_request", "initiation", "follow_up", "stop"]
FOLDER = Path(__file__).parent / "data"
FRENCH = r"^(\d{1,2})/(\d{1,2})/(\d{4})$"
ISO = r"^\d{4}-\d{2}-\d{2}( 00:00:00)?$"


class FormSection(BaseModel):
    """A section of the forms.

    Attributes
    ----------
    file : str
        Name of its file or sheet, without suffix.
    columns : dict of str to str
        Field to header.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    columns: dict[str, str]


class FormDefinitions(BaseModel):
    """Files, headers and values of the forms of a programme.

    Attributes
    ----------
    name, version : str
        Which forms.
    source : tuple of str
        Where they come from.
    verified : bool
        Whether headers were read in a form.
    drug, atc, code : str
        The drug of the programme, its ATC code, and the patients' diagnosis.
    sections : dict
        The four sections.
    values : dict
        What the values of a field mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    source: tuple[str, ...]
    verified: bool = False
    drug: str
    atc: str
    code: str
    sections: dict[Section, FormSection]
    values: dict[str, dict[str, str]]

    @classmethod
    def load(cls, forms: str | Path = "early_access") -> FormDefinitions:
        """Read definitions.

        Parameters
        ----------
        forms : str or Path, default "early_access"
            A TOML file, or those that come with the package.

        Returns
        -------
        FormDefinitions
            Checked.

        Raises
        ------
        DataError
            If there is no such file, or it breaks a rule.
        """
        return parse(cls, shipped(FOLDER, forms, "forms"))

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return fingerprint(self)


def read_section(
    place: Path, name: Section, section: FormSection, forms: FormDefinitions
) -> pd.DataFrame:
    """Read a section of the forms.

    Parameters
    ----------
    place : Path
        A folder of files, or a workbook.
    name : str
        Which section.
    section : FormSection
        Its file and headers.
    forms : FormDefinitions
        What values mean.

    Returns
    -------
    DataFrame
        One column a field.

    Raises
    ------
    DataError
        If it is missing or damaged, lacks a header, or a value cannot be read.
    """
    rows = _rows(place, section.file)
    missing = [header for header in section.columns.values() if header not in rows.columns]
    if missing:
        raise DataError(
            f"the section {name} must have its headers",
            values={"missing": ", ".join(missing), "file": section.file},
            remedy="put your headers into a copy of early_access.toml and pass it as forms",
        )
    out = pd.DataFrame()
    for field, header in section.columns.items():
        text = rows[header].str.strip()
        text = text.mask(text == "")
        label = f"{section.file}, {header}"
        if field.endswith("_date"):
            out[field] = read_dates(text, label)
        elif field in forms.values:
            out[field] = _meaning(text, forms.values[field], label)
        elif field in {"birth_year", "birth_month"}:
            out[field] = _whole(text, label)
        else:
            out[field] = text
    return out


def _rows(place: Path, name: str) -> pd.DataFrame:
    if place.is_file():
        return _excel(place, name)
    found = [f for suffix in (".csv", ".xlsx") if (f := place / f"{name}{suffix}").exists()]
    if len(found) != 1:
        raise DataError(
            "each section must stand in one file",
            values={"section": name, "found": ", ".join(f.name for f in found) or "none"},
            remedy=f"write {name}.csv or {name}.xlsx",
        )
    if found[0].suffix == ".xlsx":
        return _excel(found[0], 0)
    try:
        header = found[0].read_text(encoding="utf-8-sig").partition("\n")[0]
        separator = ";" if header.count(";") > header.count(",") else ","
        return pd.read_csv(
            found[0], sep=separator, dtype=str, encoding="utf-8-sig", keep_default_na=False
        )
    except (ValueError, OSError, pd.errors.ParserError) as cause:
        raise DataError(
            "the file must be readable as a table",
            values={"path": found[0], "reason": str(cause).splitlines()[0]},
            remedy="write it as UTF-8 text with commas or semicolons and one line of headers",
        ) from cause


def _excel(file: Path, sheet: str | int) -> pd.DataFrame:
    try:
        import openpyxl  # type: ignore[import-not-found, import-untyped, unused-ignore] # noqa: F401
    except ImportError:
        raise DataError(
            "Excel files need the package openpyxl",
            values={"path": file},
            remedy="pip install openpyxl, or save each sheet as CSV",
        ) from None
    try:
        return pd.read_excel(file, sheet_name=sheet, dtype=str, keep_default_na=False)
    except (ValueError, OSError, KeyError) as cause:
        raise DataError(
            "the file must be readable as a table",
            values={"path": file, "sheet": sheet, "reason": str(cause).splitlines()[0]},
            remedy="save it again as .xlsx with one sheet a section",
        ) from cause


def read_dates(text: pd.Series, label: str) -> pd.Series:
    """Read a column of dates written dd/mm/yyyy or 2020-12-31.

    Parameters
    ----------
    text : Series of str
        Dates; missing where there is none.
    label : str
        Of the column, for errors.

    Returns
    -------
    Series of datetime64[s]
        Days.

    Raises
    ------
    DataError
        If a date is of another form, does not exist, or can only be mm/dd/yyyy.
    """
    parts = text.str.extract(FRENCH).astype("float64")
    french = parts[0].notna()
    iso = text.fillna("").str.fullmatch(ISO).astype(bool)
    refuse(text.notna() & ~french & ~iso, text, f"{label}: dates must be dd/mm/yyyy or 2020-12-31")
    american = french & (parts[1] > 12) & (parts[0] <= 12)
    if american.any():
        both = bool((french & (parts[0] > 12) & (parts[1] <= 12)).any())
        rule = "must not mix dd/mm and mm/dd" if both else "must be dd/mm/yyyy, not mm/dd/yyyy"
        refuse(american, text, f"{label}: dates {rule}")
    day = pd.to_datetime(text.where(french), format="%d/%m/%Y", errors="coerce")
    other = pd.to_datetime(text.where(iso).str[:10], format="%Y-%m-%d", errors="coerce")
    days = day.fillna(other)
    refuse(text.notna() & days.isna(), text, f"{label}: dates must exist")
    return days.astype("datetime64[s]")


def refuse(bad: pd.Series, text: pd.Series | None, rule: str) -> None:
    """Refuse rows that break a rule.

    Parameters
    ----------
    bad : Series of bool
        True where it is broken.
    text : Series or None
        Values to show; None: none, as of patients.
    rule : str
        What must hold.

    Raises
    ------
    DataError
        If any row breaks it.
    """
    rows = np.flatnonzero(bad.to_numpy(dtype=bool))
    if rows.size:
        raise DataError(
            rule,
            count=int(rows.size),
            row=int(rows[0]),
            values=None if text is None else {"value": text.iloc[int(rows[0])]},
            remedy="correct the column",
        )


def _meaning(text: pd.Series, values: dict[str, str], label: str) -> pd.Series:
    known = {key.casefold(): meaning for key, meaning in values.items()}
    folded = text.str.casefold()
    refuse(
        text.notna() & ~folded.isin(list(known)),
        text,
        f"{label}: values must be known ({', '.join(values)})",
    )
    return folded.map(known)


def _whole(text: pd.Series, label: str) -> pd.Series:
    fine = text.isna() | text.fillna("").str.fullmatch(r"\d{1,4}").astype(bool)
    refuse(~fine, text, f"{label}: must be whole numbers")
    return text.astype("Int64")
