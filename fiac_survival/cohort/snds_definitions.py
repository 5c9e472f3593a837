"""Tables, filters and codes of the SNDS, kept as data."""

from __future__ import annotations

import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.rule_files import parse
from fiac_survival.cohort.source_filters import Filter
from fiac_survival.cohort.source_tables import SourceTable

FILE = Path(__file__).parent / "data" / "snds.toml"


class Values(BaseModel):
    """Codes of the SNDS that mean something to the reader.

    Attributes
    ----------
    no_date, no_year
        What stands where a date, or a year of birth, is missing.
    male, female, unknown_sex : tuple of str
        Values of BEN_SEX_COD.
    died_in_hospital : tuple of str
        Values of SOR_MOD.
    treatment_stays : tuple of str
        Beginnings of the main diagnosis of stays made for a treatment.
    early_access : tuple of str
        Values of PRS_NAT_REF.
    keys : tuple of str
        Columns on which tables of reimbursed care are joined.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    no_date: datetime.date
    no_year: int
    male: tuple[str, ...]
    female: tuple[str, ...]
    unknown_sex: tuple[str, ...]
    died_in_hospital: tuple[str, ...]
    treatment_stays: tuple[str, ...]
    early_access: tuple[str, ...]
    keys: tuple[str, ...]


class SndsDefinitions(BaseModel):
    """Tables, filters and codes of the SNDS.

    Attributes
    ----------
    version : str
        Of the definitions.
    source : tuple of str
        Where they come from.
    values : Values
        Codes.
    tables : dict of str to SourceTable
        By name; "aa" stands for the year.
    filters : tuple of Filter
        In order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    source: tuple[str, ...]
    values: Values
    tables: dict[str, SourceTable]
    filters: tuple[Filter, ...]

    @classmethod
    def load(cls, path: str | Path | None = None) -> SndsDefinitions:
        """Read definitions.

        Parameters
        ----------
        path : str or Path, optional
            A TOML file; those that come with the package if left out.

        Returns
        -------
        SndsDefinitions
            Checked.

        Raises
        ------
        DataError
            If the file breaks a rule.
        """
        return parse(cls, FILE if path is None else Path(path))
