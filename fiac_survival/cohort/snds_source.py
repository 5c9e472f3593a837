"""What a folder of SNDS tables is read with: choices, parts, counts."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from fiac_survival.cohort.codelists import Codelist
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.engine import Engine
from fiac_survival.cohort.snds_definitions import SndsDefinitions, Values
from fiac_survival.cohort.source_filters import Report, apply_filters
from fiac_survival.cohort.source_parts import ROWS_PER_PART, Span, spans
from fiac_survival.cohort.source_tables import TYPES, open_table
from fiac_survival.core.errors import DataError

FollowUp = Literal["data end", "last care"]
DeathSource = Literal["beneficiary", "cause of death", "hospital"]
Reversed = Literal["refuse", "drop"]
STAYS = "STAYS"
FLOW = "FLX_DIS_DTD"


@dataclass(frozen=True, eq=False)
class SndsSource:
    """A folder of SNDS tables and how it is read.

    Attributes
    ----------
    folder, engine
        Where the tables are, and where they are read.
    definitions : SndsDefinitions
        Tables, filters, codes.
    codelists : tuple of Codelist
        What drug and procedure codes mean.
    drugs : DrugTable
        ATC code and class of each drug.
    diagnoses : tuple of str or None
        Beginnings of the diagnoses that are kept; None: all.
    years : tuple of int
        Calendar years, in order.
    data_end : date
        Last day of complete data.
    without : frozenset of str
        Tables that the extract does not have.
    reversed_dates : {"refuse", "drop"}
        What to do about stays that end before they begin.
    report : Report
        Rows that came and went.
    rows_per_part : int or None
        About how many rows of reimbursed care, of stays, or of records are worked on at a time.
    flow : Span or None
        Month of the flow, in a part of the tables of reimbursed care.
    stay_years : tuple of int or None
        Years of a part of the tables of stays.
    held : list of ibis.Table
        What is kept in the engine while a part is read.
    """

    folder: Path
    engine: Engine
    definitions: SndsDefinitions
    codelists: tuple[Codelist, ...]
    drugs: DrugTable
    diagnoses: tuple[str, ...] | None
    years: tuple[int, ...]
    data_end: datetime.date
    without: frozenset[str]
    reversed_dates: Reversed
    report: Report = field(default_factory=Report)
    rows_per_part: int | None = ROWS_PER_PART
    flow: Span | None = None
    stay_years: tuple[int, ...] | None = None
    held: list[Any] = field(default_factory=list)

    @property
    def values(self) -> Values:
        """Codes."""
        return self.definitions.values

    @property
    def data_start(self) -> datetime.date:
        """First day of the first year."""
        return datetime.date(self.years[0], 1, 1)

    def table(self, name: str) -> Any:
        """Open a table; one by year becomes one table with the column `year`.

        Parameters
        ----------
        name : str
            Name of the definition.

        Returns
        -------
        ibis.Table or None
            None if the extract does not have it.

        Raises
        ------
        DataError
            If it is missing, damaged, or has other columns or types.
        """
        import ibis

        if name in self.without:
            return None
        definition = self.definitions.tables[name]
        if not definition.per_year:
            keys = self.values.keys if set(self.values.keys) <= set(definition.columns) else ()
            table = self._dated(open_table(self.folder, self.engine, name, definition, whole=keys))
            within = self.flow is not None and self.flow.column in definition.columns
            return self.flow.of(table) if self.flow is not None and within else table
        years = []
        for year in self.years if self.stay_years is None else self.stay_years:
            table = open_table(self.folder, self.engine, name, definition, year=year)
            absent = {
                column: ibis.null(TYPES[about.kind])
                for column, about in definition.columns.items()
                if column not in table.columns
            }
            table = table.mutate(**absent, year=ibis.literal(year, type="int64"))
            years.append(table.select(*definition.columns, "year"))
        return self._dated(ibis.union(*years) if len(years) > 1 else years[0])

    def flow_parts(self) -> Iterator[SndsSource]:
        """Cut the tables of reimbursed care by the month of the flow, which is one of the nine keys.

        Yields
        ------
        SndsSource
            One part; the reports are added to this one's in the end.
        """
        yield from self._in_parts(
            {"flow": span} for span in spans(self.table("ER_PRS_F"), FLOW, self.rows_per_part)
        )

    def stay_parts(self) -> Iterator[SndsSource]:
        """Cut the tables of stays by year, which is part of a stay's key.

        Yields
        ------
        SndsSource
            One part; the reports are added to this one's in the end.
        """
        found = spans(self.table("T_MCOaaB"), "year", self.rows_per_part)
        yield from self._in_parts(
            {"stay_years": tuple(year for year in self.years if span.has(year))} for span in found
        )

    def day_parts(self, records: Any) -> Iterator[tuple[SndsSource, Any]]:
        """Cut records by their day.

        Parameters
        ----------
        records : ibis.Table
            With a `date`.

        Yields
        ------
        part : SndsSource
            One part; the reports are added to this one's in the end.
        rows : ibis.Table
            Its records.
        """
        found = spans(records, "date", self.rows_per_part)
        parts = self._in_parts({} for _ in found)
        for part, span in zip(parts, found, strict=True):
            yield part, span.of(records)

    def _in_parts(self, each: Iterable[Mapping[str, Any]]) -> Iterator[SndsSource]:
        """Give this source in parts; what a part holds is freed, and the reports are added up."""
        parts = [replace(self, report=Report(), held=[], **which) for which in each]
        for part in parts:
            yield part
            part.release()
        self.report.extend([part.report for part in parts])

    def _dated(self, table: Any) -> Any:
        """Make the date that stands for none a missing one."""
        import ibis

        none = ibis.literal(self.values.no_date)
        dates = {c: table[c].nullif(none) for c in table.columns if table.schema()[c].is_date()}
        return table.mutate(**dates) if dates else table

    def distinct(self, name: str, table: Any) -> tuple[Any, tuple[str, int]]:
        """Query a table without rows that are equal in all columns that are read.

        Parameters
        ----------
        name : str
            Name of the definition.
        table : ibis.Table
            Of :meth:`table`.

        Returns
        -------
        rows : ibis.Table
            Each row once; not worked out yet.
        step : (str, int)
            What this leaves out, and the rows before: the step for :meth:`filtered`.
        """
        before = int(table.count().execute())
        self.report.add(name, "In the source", before, before)
        return table.distinct(), ("Identical rows", before)

    def unique(self, name: str) -> Any:
        """Open a table and leave out rows that are equal in all columns that are read.

        Parameters
        ----------
        name : str
            Name of the definition.

        Returns
        -------
        ibis.Table or None
            None if the extract does not have it.

        Raises
        ------
        DataError
            If it is missing, damaged, or has other columns or types.
        """
        table = self.table(name)
        if table is None:
            return None
        query, (label, before) = self.distinct(name, table)
        rows = self.hold(query)
        self.report.add(name, label, before, int(rows.count().execute()))
        return rows

    def hold(self, table: Any) -> Any:
        """Compute a query once, for as long as the part is read.

        Parameters
        ----------
        table : ibis.Table
            A query.

        Returns
        -------
        ibis.Table
            Its rows, until :meth:`release`.

        Raises
        ------
        OutputError
            If the engine's disk is full.
        """
        kept = self.engine.keep(table)
        self.held.append(kept)
        return kept

    def let_go(self, *tables: Any) -> None:
        """Free some of what is held, of which nothing is needed any more.

        Parameters
        ----------
        *tables : ibis.Table
            Of :meth:`hold` or :meth:`unique`.
        """
        for table in tables:
            place = next(i for i, one in enumerate(self.held) if one is table)
            self.engine.forget(self.held.pop(place))

    def release(self) -> None:
        """Free what is held."""
        while self.held:
            self.engine.forget(self.held.pop())

    def filtered(
        self,
        table: Any,
        name: str,
        more: Sequence[tuple[str, Any]] = (),
        *,
        columns: Mapping[str, Any] | None = None,
        earlier: tuple[str, int] | None = None,
    ) -> Any:
        """Apply the filters of a table, then conditions of the reader's own.

        Parameters
        ----------
        table : ibis.Table
            Rows.
        name : str
            Of the table, as in the filters.
        more : sequence of (str, ibis boolean expression)
            What else is left out, and which rows pass.
        columns : mapping of str to ibis expression, optional
            What is wanted of the rows: worked out once and held, as with :meth:`hold`.
        earlier : (str, int), optional
            What `table` itself leaves out, and how many rows there were before.

        Returns
        -------
        ibis.Table
            Rows that pass.

        Raises
        ------
        DataError
            If a filter names a column that the table does not have.
        """
        chosen = []
        for one in self.definitions.filters:
            if one.table != name:
                continue
            if one.column not in table.columns:
                if self._optional(name, one.column):
                    continue
                raise DataError(
                    "a filter must name a column of its table",
                    values={"filter": one.label, "table": name, "column": one.column},
                    remedy="correct the definitions",
                )
            chosen.append((one.label, one.passes(table)))
        return apply_filters(
            table,
            [*chosen, *more],
            name=name,
            report=self.report,
            columns=columns,
            hold=None if columns is None else self.hold,
            earlier=earlier,
        )

    def _optional(self, name: str, column: str) -> bool:
        about = self.definitions.tables.get(name)
        return about is not None and column in about.columns and not about.columns[column].required


def day_of(value: datetime.date | str, name: str) -> datetime.date:
    """Read a day given as an argument.

    Parameters
    ----------
    value : date or str
        A date, or text as 2020-12-31.
    name : str
        Of the argument.

    Returns
    -------
    date
        The day.

    Raises
    ------
    DataError
        If it is not a date.
    """
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(value)
    except (TypeError, ValueError):
        raise DataError(
            f"{name} must be a date", values={name: value}, remedy='write it as "2020-12-31"'
        ) from None
