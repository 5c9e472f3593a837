"""Records that a protocol selects, as queries: one row a record, in whole days."""

from __future__ import annotations

from typing import Any, assert_never

from fiac_survival.cohort.expressions import epoch_days
from fiac_survival.cohort.reading import Cohort
from fiac_survival.core.errors import DataError
from fiac_survival.core.population import Records, Variable

DATES = {"exposure": "date", "event": "date", "line_of_therapy": "start"}


def select(cohort: Cohort, records: Records) -> Any:
    """Select records.

    Parameters
    ----------
    cohort : Cohort
        Canonical tables.
    records : Records
        Which; the window is not applied here.

    Returns
    -------
    ibis.Table
        person, fs_day and, of events with values, fs_value.

    Raises
    ------
    DataError
        If the cohort lacks the table, or the table a column that the selection needs.
    """
    if records.table not in cohort.tables:
        raise DataError(
            "the protocol's records must stand in a table of the cohort",
            values={"table": records.table},
            remedy=f"tables: {', '.join(cohort.tables)}",
        )
    table = cohort.tables[records.table]
    keep: Any = None

    def among(column: str, values: list[Any] | None, *, starts: bool = False) -> None:
        nonlocal keep
        if values is None:
            return
        if column not in table.columns:
            raise DataError(
                "the protocol's records must name a column that the table has",
                values={"table": records.table, "column": column},
                remedy="add the column to the table, or select by another",
            )
        if starts:
            found = table[column].startswith(values[0])
            for value in values[1:]:
                found |= table[column].startswith(value)
        else:
            found = table[column].isin(values)
        found = found.fill_null(False)
        keep = found if keep is None else keep & found

    among("drug", records.drugs)
    among("atc", records.atc, starts=True)
    among("event", records.events)
    among("code", records.codes, starts=True)
    among("regimen", records.regimens)
    among("line", records.lines)
    kept = table if keep is None else table.filter(keep)
    date = DATES[records.table]
    columns = {"person": kept.person, "fs_date": kept[date], "fs_day": epoch_days(kept[date])}
    if "value" in table.columns:
        columns["fs_value"] = kept["value"].cast("float64")
    return kept.filter(kept[date].notnull()).select(**columns)


def around(cohort: Cohort, records: Records, zero: Any, window: tuple[int, int]) -> Any:
    """Select records in a window around time zero.

    Parameters
    ----------
    cohort : Cohort
        Canonical tables.
    records : Records
        Which.
    zero : ibis.Table
        person and fs_zero, the day of time zero.
    window : tuple of two int
        First and last day, from time zero.

    Returns
    -------
    ibis.Table
        person, fs_day (from time zero) and, of events with values, fs_value.
    """
    found = select(cohort, records)
    origin = zero.select(fs_person=zero.person, fs_zero=zero.fs_zero)
    joined = found.inner_join(origin, found.person == origin.fs_person)
    joined = joined.mutate(fs_day=joined.fs_day - joined.fs_zero)
    inside = joined.filter((joined.fs_day >= window[0]) & (joined.fs_day <= window[1]))
    return inside.drop("fs_person", "fs_zero", "fs_date")


def value_of(cohort: Cohort, variable: Variable, zero: Any) -> Any:
    """Make a variable, one row a person who has such records.

    Parameters
    ----------
    cohort : Cohort
        Canonical tables.
    variable : Variable
        What it is.
    zero : ibis.Table
        person and fs_zero.

    Returns
    -------
    ibis.Table
        fs_person and the variable.

    Raises
    ------
    DataError
        If values are asked of a table without any.
    """
    assert variable.records.window is not None
    first, last = variable.records.window
    found = around(cohort, variable.records, zero, (first, last))
    match variable.value:
        case "any" | "days":
            made = found.group_by("person").agg(fs_made=found.fs_day.nunique())
        case "first_day":
            made = found.group_by("person").agg(fs_made=found.fs_day.min())
        case "last_day":
            made = found.group_by("person").agg(fs_made=found.fs_day.max())
        case "last_value":
            if "fs_value" not in found.columns:
                raise DataError(
                    "a variable of values needs the column event.value",
                    values={"variable": variable.name},
                    remedy="add the column, or use another kind of variable",
                )
            given = found.filter(found.fs_value.notnull())
            last_days = given.group_by("person").agg(fs_last=given.fs_day.max())
            latest = last_days.select(fs_who=last_days.person, fs_last=last_days.fs_last)
            on_it = given.inner_join(
                latest, (given.person == latest.fs_who) & (given.fs_day == latest.fs_last)
            )
            made = on_it.group_by("person").agg(fs_made=on_it.fs_value.max())
        case _:
            assert_never(variable.value)
    return made.select(fs_person=made.person, fs_made=made.fs_made)


def with_variable(table: Any, cohort: Cohort, variable: Variable, zero: Any) -> Any:
    """Add a variable to a table of persons.

    Parameters
    ----------
    table : ibis.Table
        One row a person.
    cohort : Cohort
        Canonical tables.
    variable : Variable
        What to add.
    zero : ibis.Table
        person and fs_zero.

    Returns
    -------
    ibis.Table
        With the variable: false or 0 where a person has no such record, missing where it has no meaning.

    Raises
    ------
    DataError
        If the name is taken.
    """
    if variable.name in table.columns:
        raise DataError(
            "a variable must have a name of its own",
            values={"variable": variable.name},
            remedy="rename it in the protocol",
        )
    made = value_of(cohort, variable, zero)
    joined = table.left_join(made, table.person == made.fs_person)
    match variable.value:
        case "any":
            value = joined.fs_made.notnull()
        case "days":
            value = joined.fs_made.fill_null(0).cast("int64")
        case "first_day" | "last_day":
            value = joined.fs_made.cast("int64")
        case "last_value":
            value = joined.fs_made
        case _:
            assert_never(variable.value)
    return joined.mutate(**{variable.name: value}).drop("fs_person", "fs_made")
