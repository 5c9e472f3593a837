"""Diagnoses of stays, long-term illnesses and causes of death of the SNDS."""

from __future__ import annotations

import re
from typing import Any

from fiac_survival.cohort.codelists import begins_with
from fiac_survival.cohort.snds_persons import by_number
from fiac_survival.cohort.snds_source import SndsSource

POSITIONS = ("main", "related", "associated")


def events(source: SndsSource, diagnoses: Any, pairs: Any, names: Any) -> Any:
    """Diagnoses of stays, long-term illnesses, causes of death.

    Parameters
    ----------
    source : SndsSource
        What is read.
    diagnoses : ibis.Table
        Of :func:`codes_of_stays`.
    pairs : ibis.Table
        Of :func:`pseudonyms`.
    names : ibis.Table
        Of :func:`~fiac_survival.cohort.snds_persons.numbered`.

    Returns
    -------
    ibis.Table
        person, date, event, code, value, fs_place.
    """
    import ibis

    parts = [diagnoses]
    granted = source.unique("IR_IMB_R")
    if granted is not None:
        granted = granted.mutate(code=icd(granted.MED_MTF_COD))
        granted = source.filtered(
            granted, "IR_IMB_R", [("No date of beginning", granted.IMB_ALD_DTD.notnull())]
        )
        granted = granted.filter(_wanted(source, granted.code))
        granted = granted.inner_join(pairs, ["BEN_NIR_PSA", "BEN_RNG_GEM"])
        granted = granted.filter(source.data_end >= granted.IMB_ALD_DTD)
        parts.append(_event(granted, granted.IMB_ALD_DTD, "long-term illness", granted.code))
    died = source.table("KI_CCI_R")
    if died is not None and "DCD_CIM_COD" in died.columns:
        died = died.filter(source.data_end >= died.BEN_DCD_DTE)
        died = by_number(died, names, "BEN_IDT_ANO")
        parts.append(_event(died, died.BEN_DCD_DTE, "death", icd(died.DCD_CIM_COD)))
    return ibis.union(*parts) if len(parts) > 1 else parts[0]


def icd(code: Any) -> Any:
    """Bring a code of ICD-10 to capitals without dots.

    Parameters
    ----------
    code : ibis string expression
        Code.

    Returns
    -------
    ibis string expression
        Code.
    """
    return code.replace(".", "").replace(" ", "").upper()


def _wanted(source: SndsSource, code: Any) -> Any:
    import ibis

    wanted = source.diagnoses
    if wanted is None:
        return ibis.literal(True)
    # One pattern: a test for each beginning would work the code out anew each time.
    return code.re_search(f"^({'|'.join(map(re.escape, wanted))})").fill_null(False)


def _event(table: Any, day: Any, event: str, code: Any) -> Any:
    import ibis

    return table.select(
        person=table.person,
        date=day,
        event=ibis.literal(event),
        code=code,
        value=ibis.literal(0, type="int64"),
        fs_place=ibis.literal(len(POSITIONS), type="int64"),
    )


def codes_of_stays(source: SndsSource, kept_stays: Any) -> Any:
    """Codes of stays: main, related, associated; sessions of a treatment as its value.

    Parameters
    ----------
    source : SndsSource
        What is read.
    kept_stays : ibis.Table
        Of :func:`~fiac_survival.cohort.snds_care.stays`.

    Returns
    -------
    ibis.Table
        person, date, event, code, value, fs_place.
    """
    import ibis

    stay = ["year", "ETA_NUM", "RSA_NUM"]
    sessions = ibis.greatest(kept_stays.NBR_SEA.fill_null(1), 1)
    known = kept_stays.mutate(
        fs_treatment=begins_with(kept_stays.DGN_PAL, source.values.treatment_stays),
        fs_sessions=sessions.cast("int64"),
    )
    parts = [
        _told(source, known, known.DGN_PAL, 0, main=known.fs_treatment),
        _told(source, known, known.DGN_REL, 1, main=ibis.literal(False)),
    ]
    others = []
    for name, columns in (("T_MCOaaUM", ("DGN_PAL", "DGN_REL")), ("T_MCOaaD", ("ASS_DGN",))):
        table = source.table(name)
        for column in columns if table is not None else ():
            coded = table.select(*stay, code=icd(table[column]))
            others.append(coded.filter(_wanted(source, coded.code) & coded.code.notnull()))
    if others:
        about = known.select(
            *stay,
            "person",
            "EXE_SOI_DTD",
            "fs_treatment",
            fs_main=known.DGN_PAL,
            fs_related=known.DGN_REL,
            fs_sessions=ibis.literal(0, type="int64"),
        )
        joined = ibis.union(*others).inner_join(about, stay)
        said = (joined.code == joined.fs_main) | (joined.code == joined.fs_related)
        joined = joined.filter(~said.fill_null(False))
        parts.append(_told(source, joined, joined.code, 2, main=ibis.literal(False)))
    return ibis.union(*parts)


def _told(source: SndsSource, table: Any, code: Any, place: int, *, main: Any) -> Any:
    """Events of a column of codes; sessions of a stay for treatment at its main diagnosis, else 0."""
    import ibis

    kept = (_wanted(source, code) | main) & (code != "")
    return table.filter(kept.fill_null(False)).select(
        person=table.person,
        date=table.EXE_SOI_DTD,
        event=table.fs_treatment.ifelse("treatment stay", "diagnosis"),
        code=code,
        value=main.ifelse(table.fs_sessions, ibis.literal(0, type="int64")),
        fs_place=ibis.literal(place, type="int64"),
    )


def of_a_day(said: Any) -> Any:
    """Add up equal events of a day.

    Parameters
    ----------
    said : ibis.Table
        Of :func:`events`, of one part of the days or of all.

    Returns
    -------
    ibis.Table
        person, date, event, code, value, position; one row a person, day, event and code.
    """
    each = said.group_by(["person", "date", "event", "code"]).agg(
        value=said.value.sum(), fs_place=said.fs_place.min()
    )
    place = each.fs_place.cases(*enumerate(POSITIONS), else_=None)
    value = each.value.nullif(0).cast("float64")
    return each.select("person", "date", "event", "code", value=value, position=place)
