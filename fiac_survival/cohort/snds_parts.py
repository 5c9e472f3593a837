"""Reimbursed care and stays, part by part: what each part says is kept, its rows are forgotten.

Reimbursed care is cut by the month of the flow, which is one of the nine keys: equal rows, and rows to be
joined, fall into one part. Stays are cut by year, which is part of their key. Records are cut by their day
before quantities are added up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fiac_survival.cohort import snds_care, snds_events, snds_persons
from fiac_survival.cohort.snds_source import SndsSource
from fiac_survival.cohort.source_parts import spans
from fiac_survival.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Care:
    """What reimbursed care and stays say.

    Attributes
    ----------
    exposure : ibis.Table
        Drugs and procedures; kept by their numbers, named when they are used.
    diagnoses : ibis.Table
        person, date, event, code, value, fs_place.
    died : ibis.Table
        person, death: stays that ended in death.
    seen : ibis.Table
        person, fs_last: one row a person who is seen.
    """

    exposure: Any
    diagnoses: Any
    died: Any
    seen: Any


def read_care(source: SndsSource, pairs: Any) -> Care:
    """Read reimbursed care and stays.

    Parameters
    ----------
    source : SndsSource
        What is read.
    pairs : ibis.Table
        Pseudonyms and the number of their person.

    Returns
    -------
    Care
        Kept in the engine.

    Raises
    ------
    DataError
        If stays end before they begin and such stays are refused, or no codelist has a code that is read.
    """
    records, seen, diagnoses, died = [], [], [], []
    for part in source.flow_parts():
        lines = snds_care.care_lines(part, pairs)
        records += [source.hold(one) for one in snds_care.dispensed(part, lines)]
        seen.append(source.hold(snds_persons.seen_in_lines(lines)))
    alone = source.hold(snds_persons.without_rank(pairs))
    for part in source.stay_parts():
        stays = snds_care.stays(part, alone)
        records += [source.hold(one) for one in snds_care.administered(part, stays)]
        diagnoses.append(source.engine.keep(snds_events.codes_of_stays(part, stays)))
        died.append(source.engine.keep(snds_persons.ended_in_death(part, stays)))
        seen.append(source.hold(snds_persons.seen_in_stays(stays)))
    snds_care.refuse_reversed(source)
    if not records:
        raise DataError(
            "codelists must have codes of drugs or procedures",
            values={"codelists": ", ".join(one.name for one in source.codelists) or "none"},
            remedy="pass codelists of CIP13, UCD7, CCAM or GHM codes",
        )
    exposure = [snds_care.exposures(part, rows) for part, rows in source.day_parts(_one(records))]
    last = source.engine.keep(snds_persons.last_care(_one(seen)))
    source.release()
    named = snds_care.with_names(source, _one(exposure))
    return Care(named, _one(diagnoses), _one(died), last)


def by_day(source: SndsSource, table: Any, compute: Callable[[Any], Any]) -> Any:
    """Compute something of every day's rows, some days at a time.

    Parameters
    ----------
    source : SndsSource
        What is read.
    table : ibis.Table
        Rows with a `date`.
    compute : callable
        From rows to a query; what it gives must not depend on rows of other days.

    Returns
    -------
    ibis.Table
        All of it, kept in the engine.
    """
    parts = spans(table, "date", source.rows_per_part)
    return _one([source.engine.keep(compute(span.of(table))) for span in parts])


def _one(tables: list[Any]) -> Any:
    import ibis

    return ibis.union(*tables) if len(tables) > 1 else tables[0]
