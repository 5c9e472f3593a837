"""Rules about the dates and persons of a cohort, each an expression that is true where a row breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any, Literal

from fiac_survival.cohort.canonical import schemas

Severity = Literal["blocks", "warns"]
EARLIEST = date(1900, 1, 1)


@dataclass(frozen=True)
class Rule:
    """A rule about the rows of a table.

    Attributes
    ----------
    name : str
        Short name.
    table : str
        Canonical table.
    column : str
        Column whose value shows the matter.
    severity : {"blocks", "warns"}
        Whether an analysis may go on.
    statement, remedy : str
        What must hold; what to do if it does not.
    needs : tuple of str
        Columns without which the rule does not apply.
    bad : callable
        From the table, joined with persons (``person_`` before their columns), and the cut-off day to an
        expression.
    """

    name: str
    table: str
    column: str
    severity: Severity
    statement: str
    remedy: str
    needs: tuple[str, ...]
    bad: Callable[[Any, date | None], Any]


def _too_early(column: str, t: Any, cutoff: date | None) -> Any:
    return t[column] < EARLIEST


def _too_late(column: str, t: Any, cutoff: date | None) -> Any:
    return t[column] > cutoff


def _reversed(early: str, late: str, t: Any, cutoff: date | None) -> Any:
    return t[late] < t[early]


def _orphan(t: Any, cutoff: date | None) -> Any:
    return t.person_known.isnull()


def _dated() -> list[Rule]:
    """Rules about every date of every table."""
    out: list[Rule] = []
    for table, schema in schemas().tables.items():
        for column, about in schema.columns.items():
            if about.type != "date":
                continue
            out.append(
                Rule(
                    name=f"{table}.{column} before 1900",
                    table=table,
                    column=column,
                    severity="blocks",
                    statement=f"{table}.{column} must not be before 1900",
                    remedy="set placeholder dates to missing",
                    needs=(column,),
                    bad=partial(_too_early, column),
                )
            )
            out.append(
                Rule(
                    name=f"{table}.{column} in the future",
                    table=table,
                    column=column,
                    severity="warns" if column == "end" else "blocks",
                    statement=f"{table}.{column} must not be after the data cut-off",
                    remedy="correct the dates, or pass the right cutoff",
                    needs=(column, "cutoff"),
                    bad=partial(_too_late, column),
                )
            )
            if column == "birth":
                continue
            out.append(
                Rule(
                    name=f"{table}.{column} before birth",
                    table=table,
                    column=column,
                    severity="blocks",
                    statement=f"{table}.{column} must not be before birth",
                    remedy="correct birth or the date; a wrong link gives such rows",
                    needs=(column,),
                    bad=partial(_reversed, "person_birth", column),
                )
            )
    return out


def _related() -> list[Rule]:
    """Rules about two columns, and about persons."""
    out: list[Rule] = []
    for table in schemas().tables:
        if table == "person":
            continue
        out.append(
            Rule(
                name=f"{table} without person",
                table=table,
                column="person",
                severity="blocks",
                statement=f"every row of {table} must belong to a person",
                remedy="add the persons, or drop their rows",
                needs=(),
                bad=_orphan,
            )
        )
    dead: list[tuple[str, str, Severity, str]] = [
        (
            "exposure",
            "date",
            "warns",
            "a delivery may be dated late; drop it before lines of therapy",
        ),
        ("event", "date", "blocks", "correct the date of the event or of death"),
        ("line_of_therapy", "start", "blocks", "find the lines anew with these dates of death"),
    ]
    for table, column, severity, remedy in dead:
        out.append(
            Rule(
                name=f"{table} after death",
                table=table,
                column=column,
                severity=severity,
                statement=f"{table}.{column} must not be after death",
                remedy=remedy,
                needs=(column,),
                bad=partial(_reversed, column, "person_death"),
            )
        )
    pairs: list[tuple[str, str, str, Severity]] = [
        ("person", "follow_up_start", "follow_up_end", "blocks"),
        ("person", "diagnosis", "follow_up_end", "warns"),
        ("person", "death", "follow_up_end", "warns"),
        ("exposure", "date", "end", "blocks"),
        ("line_of_therapy", "start", "end", "blocks"),
    ]
    for table, early, late, severity in pairs:
        out.append(
            Rule(
                name=f"{table}.{late} before {early}",
                table=table,
                column=late,
                severity=severity,
                statement=f"{table}.{late} must not be before {early}",
                remedy="correct the dates",
                needs=(early, late),
                bad=partial(_reversed, early, late),
            )
        )
    out.append(
        Rule(
            name="person.follow_up_end after death",
            table="person",
            column="follow_up_end",
            severity="warns",
            statement="person.follow_up_end must not be after death",
            remedy="the dead are not followed up: set it to the day of death",
            needs=("follow_up_end", "death"),
            bad=partial(_reversed, "follow_up_end", "death"),
        )
    )
    return out


RULES: tuple[Rule, ...] = (*_related(), *_dated())
