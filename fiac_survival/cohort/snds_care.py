"""Reimbursed care (DCIR) and hospital stays (PMSI-MCO) as records of drugs, procedures and diagnoses.

A record's person is found by the pseudonym: DCIR lines by BEN_NIR_PSA and BEN_RNG_GEM, stays by
NIR_ANO_17, which is BEN_NIR_PSA without the rank, so that stays of a pseudonym shared by twins are left
out. Lines taken back stand as negative quantities: quantities of the same person, day, code and table
are added up, and what does not remain positive is left out. Quantities are added as whole thousandths,
which no engine rounds.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from fiac_survival.cohort.codelists import System, begins_with, meanings
from fiac_survival.cohort.snds_source import STAYS, SndsSource
from fiac_survival.core.errors import DataError


def care_lines(source: SndsSource, pseudonyms: Any) -> Any:
    """Lines of reimbursed care that pass the filters, with their person.

    Parameters
    ----------
    source : SndsSource
        What is read.
    pseudonyms : ibis.Table
        BEN_NIR_PSA, BEN_RNG_GEM, person.

    Returns
    -------
    ibis.Table
        The nine keys, person, EXE_SOI_DTD, PRS_NAT_REF, centre.
    """
    import ibis

    lines = source.unique("ER_PRS_F")
    lines = lines.left_join(pseudonyms, ["BEN_NIR_PSA", "BEN_RNG_GEM"])
    known = lines.EXE_SOI_DTD.notnull()
    within = lines.EXE_SOI_DTD.between(source.data_start, source.data_end)
    own = [
        ("No date of care", known),
        ("Outside the years, or after the end of complete data", within.fill_null(False)),
        ("Pseudonym not among the beneficiaries", lines.person.notnull()),
    ]
    lines = source.filtered(lines, "ER_PRS_F", own)
    centre = lines.ETB_PRE_FIN if "ETB_PRE_FIN" in lines.columns else ibis.null("string")
    lines = lines.mutate(centre=centre)
    return lines.select(*source.values.keys, "person", "EXE_SOI_DTD", "PRS_NAT_REF", "centre")


def stays(source: SndsSource, pseudonyms: Any) -> Any:
    """Hospital stays that pass the filters, with their person.

    Parameters
    ----------
    source : SndsSource
        What is read.
    pseudonyms : ibis.Table
        BEN_NIR_PSA, BEN_RNG_GEM, person.

    Returns
    -------
    ibis.Table
        year, ETA_NUM, RSA_NUM, person, EXE_SOI_DTD, EXE_SOI_DTF, DGN_PAL, DGN_REL, GRG_GHM, SOR_MOD,
        NBR_SEA.

    Raises
    ------
    DataError
        If a stay ends before it begins, unless such stays are to be dropped.
    """
    what, whose = source.unique("T_MCOaaB"), source.unique("T_MCOaaC")
    joined = what.inner_join(whose, ["year", "ETA_NUM", "RSA_NUM"])
    before = int(what.count().execute())
    source.report.add(STAYS, "Without a row in T_MCOaaC", before, int(joined.count().execute()))
    alone = pseudonyms.group_by("BEN_NIR_PSA").agg(
        fs_persons=pseudonyms.person.nunique(), person=pseudonyms.person.min()
    )
    joined = joined.left_join(alone, joined.NIR_ANO_17 == alone.BEN_NIR_PSA)
    ordered = (joined.EXE_SOI_DTF >= joined.EXE_SOI_DTD).fill_null(True)
    within = (source.data_end >= joined.EXE_SOI_DTD).fill_null(False)
    own = [
        ("No date of admission", joined.EXE_SOI_DTD.notnull()),
        ("After the end of complete data", within),
        ("Ends before it begins", ordered),
        ("Pseudonym not among the beneficiaries", joined.person.notnull()),
        ("Pseudonym of several persons (twins)", (joined.fs_persons == 1).fill_null(False)),
    ]
    kept = source.filtered(joined, STAYS, own)
    rows = source.report.rows
    backward = next(r for r in rows if r["table"] == STAYS and r["label"] == own[2][0])
    if source.reversed_dates == "refuse" and backward["n_excluded"]:
        raise DataError(
            "a stay must not end before it begins (EXE_SOI_DTF before EXE_SOI_DTD)",
            count=int(str(backward["n_excluded"])),
            remedy='correct the dates, or pass reversed_dates="drop"',
        )
    return kept.select(
        "year",
        "ETA_NUM",
        "RSA_NUM",
        "person",
        "EXE_SOI_DTD",
        "EXE_SOI_DTF",
        "DGN_PAL",
        "DGN_REL",
        "GRG_GHM",
        "SOR_MOD",
        "NBR_SEA",
    )


def ucd7(code: Any) -> Any:
    """Bring a UCD code to its seven digits.

    Parameters
    ----------
    code : ibis string expression
        Seven digits; seven behind six zeros; or 13 digits (34008, the seven, a check digit).

    Returns
    -------
    ibis string expression
        Seven digits, missing where the code is of another form.
    """
    import ibis

    short, padded = code.re_search("^[0-9]{7}$"), code.re_search("^0{6}[0-9]{7}$")
    full = code.re_search("^34008[0-9]{8}$")
    return ibis.cases(
        (short, code), (padded, code.substr(6, 7)), (full, code.substr(5, 7)), else_=None
    )


def exposures(source: SndsSource, lines: Any, kept_stays: Any) -> Any:
    """Drugs and procedures, taken-back lines netted out.

    Parameters
    ----------
    source : SndsSource
        What is read.
    lines, kept_stays : ibis.Table
        Of :func:`care_lines` and :func:`stays`.

    Returns
    -------
    ibis.Table
        person, date, drug, kind, atc, class, quantity, centre, early_access; one row a person, day, drug.
    """
    import ibis

    parts = [
        part
        for part in (
            _dispensed(source, lines, "ER_PHA_F", "PHA_PRS_C13", "PHA_ACT_QSN", "CIP13"),
            _dispensed(source, lines, "ER_UCD_F", "UCD_UCD_COD", "UCD_DLV_NBR", "UCD7"),
            _administered(source, kept_stays, "T_MCOaaMED", "DELAI", early=False),
            _administered(source, kept_stays, "T_MCOaaMEDATU", "DAT_DELAI", early=True),
            _acts(source, kept_stays),
        )
        if part is not None
    ]
    records = source.engine.keep(ibis.union(*parts))
    group = ["person", "date", "drug", "kind", "code", "channel"]
    netted = records.group_by(group).agg(
        thousandths=records.thousandths.sum(),
        centre=records.centre.min(),
        early=records.early.max(),
    )
    netted = source.engine.keep(netted)
    source.report.add("RECORDS", "Of drugs and procedures", *[int(records.count().execute())] * 2)
    source.report.add(
        "RECORDS",
        "Added up by person, day and code",
        int(records.count().execute()),
        int(netted.count().execute()),
    )
    netted = _given(source, netted)
    days = netted.group_by(["person", "date", "drug", "kind"]).agg(
        thousandths=netted.thousandths.sum(), centre=netted.centre.min(), early=netted.early.max()
    )
    about = _drug_rows(source)
    joined = days.left_join(about, days.drug == about.fs_drug)
    return joined.select(
        "person",
        "date",
        "drug",
        "kind",
        "atc",
        "class",
        "centre",
        quantity=joined.thousandths / 1000.0,
        early_access=joined.early == 1,
    )


def _given(source: SndsSource, netted: Any) -> Any:
    """Leave out what was taken back and what lies after the end of complete data."""
    before = int(netted.count().execute())
    given = netted.filter(netted.thousandths > 0)
    after = int(given.count().execute())
    source.report.add("RECORDS", "Taken back", before, after)
    within = given.filter(given.date <= source.data_end)
    source.report.add(
        "RECORDS", "After the end of complete data", after, int(within.count().execute())
    )
    return within


def _codes(source: SndsSource, system: System, name: str) -> Any:
    """Codes of a system: fs_code, drug, kind; None if no codelist has any."""
    import ibis

    known = meanings(source.codelists, system)
    if not known:
        return None
    rows = {
        name: list(known),
        "drug": list(known.values()),
        "kind": [_kind(source, concept) for concept in known.values()],
    }
    return ibis.memtable(pd.DataFrame(rows))


def _kind(source: SndsSource, concept: str) -> str:
    role = {drug.name: drug.role for drug in source.drugs.drugs}.get(concept, "drug")
    return "procedure" if role in {"transplant", "apheresis"} else "drug"


def _drug_rows(source: SndsSource) -> Any:
    import ibis

    rows = [(d.name, d.atc or None, d.class_name) for d in source.drugs.drugs]
    frame = pd.DataFrame(rows, columns=["fs_drug", "atc", "class"])
    schema = {"fs_drug": "string", "atc": "string", "class": "string"}
    return ibis.memtable(frame, schema=schema)


def _dispensed(
    source: SndsSource, lines: Any, name: str, code: str, quantity: str, system: System
) -> Any:
    import ibis

    table = source.unique(name)
    known = _codes(source, system, "code")
    if table is None or known is None:
        return None
    own = ucd7(table[code]) if system == "UCD7" else table[code]
    table = table.mutate(code=own)
    table = source.filtered(table, name, [("Code of another form", table.code.notnull())])
    joined = table.inner_join(lines, list(source.values.keys)).inner_join(known, "code")
    early = joined.PRS_NAT_REF.isin(source.values.early_access).fill_null(False)
    return joined.select(
        person=joined.person,
        date=joined.EXE_SOI_DTD,
        drug=joined.drug,
        kind=joined.kind,
        code=joined.code,
        channel=ibis.literal(name),
        thousandths=joined[quantity].fill_null(0) * 1000,
        centre=joined.centre,
        early=early.cast("int64") if system == "UCD7" else ibis.literal(0, type="int64"),
    )


def after(day: Any, delay: Any) -> Any:
    """Day some days later.

    Parameters
    ----------
    day : ibis date expression
        A day.
    delay : ibis integer expression
        Days; missing counts as none.

    Returns
    -------
    ibis date expression
        The later day.
    """
    return (day + delay.fill_null(0).cast("int32").as_interval("D")).cast("date")


def _administered(
    source: SndsSource, kept_stays: Any, name: str, delay: str, *, early: bool
) -> Any:
    import ibis

    table = source.table(name)
    known = _codes(source, "UCD7", "code")
    if table is None or known is None:
        return None
    table = table.mutate(code=ucd7(table.UCD_UCD_COD))
    table = source.filtered(table, name, [("Code of another form", table.code.notnull())])
    joined = table.inner_join(kept_stays, ["year", "ETA_NUM", "RSA_NUM"]).inner_join(known, "code")
    return joined.select(
        person=joined.person,
        date=after(joined.EXE_SOI_DTD, joined[delay]),
        drug=joined.drug,
        kind=joined.kind,
        code=joined.code,
        channel=ibis.literal(name),
        thousandths=(joined.ADM_NBR.fill_null(0.0) * 1000).round().cast("int64"),
        centre=joined.ETA_NUM,
        early=ibis.literal(int(early), type="int64"),
    )


def _acts(source: SndsSource, kept_stays: Any) -> Any:
    """Procedures by CCAM; by GHM where the stay has no act that means the same."""
    import ibis

    stay = ["year", "ETA_NUM", "RSA_NUM"]
    acts, known = source.table("T_MCOaaA"), _codes(source, "CCAM", "code")
    one = ibis.literal(1000, type="int64")
    parts = []
    if acts is not None and known is not None:
        acts = acts.mutate(code=acts.CDC_ACT.substr(0, 7))
        delay = acts.ENT_DAT_DEL if "ENT_DAT_DEL" in acts.columns else ibis.literal(0, type="int64")
        joined = acts.mutate(fs_delay=delay).inner_join(known, "code").inner_join(kept_stays, stay)
        found = joined.select(
            *stay,
            person=joined.person,
            date=after(joined.EXE_SOI_DTD, joined.fs_delay),
            drug=joined.drug,
            kind=joined.kind,
            code=joined.code,
        ).distinct()
        parts.append(found)
    for prefix, concept in meanings(source.codelists, "GHM").items():
        grouped = kept_stays.filter(begins_with(kept_stays.GRG_GHM, [prefix]))
        if parts:
            said = parts[0].filter(parts[0].drug == concept).select(*stay).distinct()
            grouped = grouped.anti_join(said, stay)
        parts.append(
            grouped.select(
                *stay,
                person=grouped.person,
                date=grouped.EXE_SOI_DTD,
                drug=ibis.literal(concept),
                kind=ibis.literal(_kind(source, concept)),
                code=ibis.literal(prefix),
            )
        )
    if not parts:
        return None
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return every.select(
        person=every.person,
        date=every.date,
        drug=every.drug,
        kind=every.kind,
        code=every.code,
        channel=ibis.literal("T_MCOaaA"),
        thousandths=one,
        centre=every.ETA_NUM,
        early=ibis.literal(0, type="int64"),
    )
