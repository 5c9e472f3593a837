"""What a folder of OMOP tables is read with: definitions, choices, counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.codelists import Codelist
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.engine import Engine
from fiac_survival.cohort.rule_files import parse
from fiac_survival.cohort.snds_source import Reversed
from fiac_survival.cohort.source_filters import Report, apply_filters
from fiac_survival.cohort.source_tables import SourceTable, find, open_table
from fiac_survival.core.errors import DataError

FILE = Path(__file__).parent / "data" / "omop.toml"
OPTIONAL = ("location", "visit_occurrence", "procedure_occurrence")


class OmopValues(BaseModel):
    """Concepts that mean something to the reader.

    Attributes
    ----------
    male, female : tuple of int
        Values of gender_concept_id.
    main, associated : tuple of int
        Values of condition_status_concept_id.
    inpatient : tuple of int
        Values of visit_concept_id.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    male: tuple[int, ...]
    female: tuple[int, ...]
    main: tuple[int, ...]
    associated: tuple[int, ...]
    inpatient: tuple[int, ...]


class OmopDefinitions(BaseModel):
    """Tables of the common data model.

    Attributes
    ----------
    version : str
        Of the definitions.
    source : tuple of str
        Where they come from.
    values : OmopValues
        Concepts.
    tables : dict of str to SourceTable
        By name.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    source: tuple[str, ...]
    values: OmopValues
    tables: dict[str, SourceTable]

    @classmethod
    def load(cls, path: str | Path | None = None) -> OmopDefinitions:
        """Read definitions.

        Parameters
        ----------
        path : str or Path, optional
            A TOML file; those that come with the package if left out.

        Returns
        -------
        OmopDefinitions
            Checked.

        Raises
        ------
        DataError
            If the file breaks a rule.
        """
        return parse(cls, FILE if path is None else Path(path))


@dataclass(frozen=True, eq=False)
class OmopSource:
    """A folder of OMOP tables and how it is read.

    Attributes
    ----------
    folder, engine
        Where the tables are, and where they are read.
    definitions : OmopDefinitions
        Tables and concepts.
    codelists : tuple of Codelist
        What concepts and source values mean.
    drugs : DrugTable
        ATC code and class of each drug.
    diagnoses : tuple of str or None
        Beginnings of the diagnoses that are kept; None: all.
    reversed_dates : {"refuse", "drop"}
        What to do about rows that end before they begin.
    report : Report
        Rows that came and went.
    """

    folder: Path
    engine: Engine
    definitions: OmopDefinitions
    codelists: tuple[Codelist, ...]
    drugs: DrugTable
    diagnoses: tuple[str, ...] | None
    reversed_dates: Reversed
    report: Report = field(default_factory=Report)

    def table(self, name: str) -> Any:
        """Open a table.

        Parameters
        ----------
        name : str
            Of the table.

        Returns
        -------
        ibis.Table or None
            None if it is one that may be absent.

        Raises
        ------
        DataError
            If it is missing, damaged, or has other columns or types.
        """
        if name in OPTIONAL and find(self.folder, name) is None:
            return None
        return open_table(self.folder, self.engine, name, self.definitions.tables[name])

    def ordered(self, table: Any, name: str, first: str, last: str) -> Any:
        """Leave out rows without a beginning; refuse or leave out those that end before it.

        Parameters
        ----------
        table : ibis.Table
            Rows.
        name : str
            Of the table.
        first, last : str
            Columns of its dates.

        Returns
        -------
        ibis.Table
            Rows in order.

        Raises
        ------
        DataError
            If a row ends before it begins, unless such rows are to be dropped.
        """
        fine = (table[last] >= table[first]).fill_null(True)
        label = "Ends before it begins"
        kept = apply_filters(
            table,
            [("No date", table[first].notnull()), (label, fine)],
            name=name,
            report=self.report,
        )
        last_row = self.report.rows[-1]
        if self.reversed_dates == "refuse" and last_row["n_excluded"]:
            raise DataError(
                f"{name}.{last} must not be before {first}",
                count=int(str(last_row["n_excluded"])),
                remedy='correct the dates, or pass reversed_dates="drop"',
            )
        return kept
