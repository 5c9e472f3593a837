"""Reimbursed care (DCIR) and hospital stays (PMSI-MCO) as records of drugs, procedures and diagnoses.

A record's person is found by the pseudonym: DCIR lines by BEN_NIR_PSA and BEN_RNG_GEM, stays by
NIR_ANO_17, which is BEN_NIR_PSA without the rank, so that stays of a pseudonym shared by twins are left
out. Lines taken back stand as negative quantities: quantities of the same person, day, code and table
are added up, and what does not remain positive is left out. Quantities are added as whole thousandths,
which no engine rounds.
"""

from __future__ import annotations

from typing import Any

from fiac_survival.cohort.codelists import System, begins_with
from fiac_survival.cohort.snds_events import icd
from fiac_survival.cohort.snds_items import codes, drug_names, drug_numbers, items
from fiac_survival.cohort.snds_source import STAYS, SndsSource
from fiac_survival.core.errors import DataError

BACKWARD = "Ends before it begins"


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
        The nine keys, person, EXE_SOI_DTD, PRS_NAT_REF, centre; kept as long as the part.
    """
    import ibis

    every, step = source.distinct("ER_PRS_F", source.table("ER_PRS_F"))
    # Every pseudonym and rank has one person: the join neither adds nor drops lines.
    lines = every.left_join(pseudonyms, ["BEN_NIR_PSA", "BEN_RNG_GEM"])
    known = lines.EXE_SOI_DTD.notnull()
    within = lines.EXE_SOI_DTD.between(source.data_start, source.data_end)
    own = [
        ("No date of care", known),
        ("Outside the years, or after the end of complete data", within.fill_null(False)),
        ("Pseudonym not among the beneficiaries", lines.person.notnull()),
    ]
    centre = lines.ETB_PRE_FIN if "ETB_PRE_FIN" in lines.columns else ibis.null("string")
    wanted = {c: lines[c] for c in (*source.values.keys, "person", "EXE_SOI_DTD", "PRS_NAT_REF")}
    wanted["centre"] = centre
    return source.filtered(lines, "ER_PRS_F", own, columns=wanted, earlier=step)


def stays(source: SndsSource, alone: Any) -> Any:
    """Hospital stays that pass the filters, with their person.

    Parameters
    ----------
    source : SndsSource
        What is read.
    alone : ibis.Table
        Of :func:`~fiac_survival.cohort.snds_persons.without_rank`.

    Returns
    -------
    ibis.Table
        year, ETA_NUM, RSA_NUM, person, EXE_SOI_DTD, EXE_SOI_DTF, GRG_GHM, SOR_MOD, NBR_SEA, DGN_PAL,
        DGN_REL (in capitals, without dots); kept as long as the part.
    """
    what, whose = source.unique("T_MCOaaB"), source.unique("T_MCOaaC")
    joined = what.inner_join(whose, ["year", "ETA_NUM", "RSA_NUM"])
    joined = joined.left_join(alone, joined.NIR_ANO_17 == alone.BEN_NIR_PSA)
    ordered = (joined.EXE_SOI_DTF >= joined.EXE_SOI_DTD).fill_null(True)
    within = (source.data_end >= joined.EXE_SOI_DTD).fill_null(False)
    own = [
        ("No date of admission", joined.EXE_SOI_DTD.notnull()),
        ("After the end of complete data", within),
        (BACKWARD, ordered),
        ("Pseudonym not among the beneficiaries", joined.person.notnull()),
        ("Pseudonym of several persons (twins)", (joined.fs_persons == 1).fill_null(False)),
    ]
    as_they_are = (
        "year",
        "ETA_NUM",
        "RSA_NUM",
        "person",
        "EXE_SOI_DTD",
        "EXE_SOI_DTF",
        "GRG_GHM",
        "SOR_MOD",
        "NBR_SEA",
    )
    wanted = {c: joined[c] for c in as_they_are}
    wanted |= {"DGN_PAL": icd(joined.DGN_PAL), "DGN_REL": icd(joined.DGN_REL)}
    before = int(what.count().execute())
    kept = source.filtered(
        joined, STAYS, own, columns=wanted, earlier=("Without a row in T_MCOaaC", before)
    )
    source.let_go(what, whose)
    return kept


def refuse_reversed(source: SndsSource) -> None:
    """Refuse stays that end before they begin, unless they are to be dropped.

    Parameters
    ----------
    source : SndsSource
        After all stays were read.

    Raises
    ------
    DataError
        If there are any.
    """
    rows = source.report.rows
    found = next(r for r in rows if r["table"] == STAYS and r["label"] == BACKWARD)
    if source.reversed_dates == "refuse" and found["n_excluded"]:
        raise DataError(
            "a stay must not end before it begins (EXE_SOI_DTF before EXE_SOI_DTD)",
            count=int(str(found["n_excluded"])),
            remedy='correct the dates, or pass reversed_dates="drop"',
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


def dispensed(source: SndsSource, lines: Any) -> list[Any]:
    """Drugs of reimbursed care.

    Parameters
    ----------
    source : SndsSource
        What is read.
    lines : ibis.Table
        Of :func:`care_lines`.

    Returns
    -------
    list of ibis.Table
        person, date, item, thousandths, centre, early: records, by table.
    """
    found = (
        _dispensed(source, lines, "ER_PHA_F", "PHA_PRS_C13", "PHA_ACT_QSN", "CIP13"),
        _dispensed(source, lines, "ER_UCD_F", "UCD_UCD_COD", "UCD_DLV_NBR", "UCD7"),
    )
    return [one for one in found if one is not None]


def administered(source: SndsSource, kept_stays: Any) -> list[Any]:
    """Drugs and procedures of stays.

    Parameters
    ----------
    source : SndsSource
        What is read.
    kept_stays : ibis.Table
        Of :func:`stays`.

    Returns
    -------
    list of ibis.Table
        Records as of :func:`dispensed`.
    """
    found = (
        _administered(source, kept_stays, "T_MCOaaMED", "DELAI", early=False),
        _administered(source, kept_stays, "T_MCOaaMEDATU", "DAT_DELAI", early=True),
        _acts(source, kept_stays),
    )
    return [one for one in found if one is not None]


def exposures(source: SndsSource, records: Any) -> Any:
    """Drugs and procedures by their numbers, taken-back lines netted out.

    Parameters
    ----------
    source : SndsSource
        What is read.
    records : ibis.Table
        Of :func:`dispensed` and :func:`administered`, of one part of the days or of all.

    Returns
    -------
    ibis.Table
        person, date, fs_drug, thousandths, centre, early; one row a person, day, drug. Kept.
    """
    group = ["person", "date", "item"]
    netted = records.group_by(group).agg(
        thousandths=records.thousandths.sum(),
        centre=records.centre.min(),
        early=records.early.max(),
    )
    netted = source.hold(netted)
    before, after = int(records.count().execute()), int(netted.count().execute())
    source.report.add("RECORDS", "Of drugs and procedures", before, before)
    source.report.add("RECORDS", "Added up by person, day and code", before, after)
    given = _given(source, netted)
    given = given.inner_join(drug_numbers(source), "item")
    days = given.group_by(["person", "date", "fs_drug"]).agg(
        thousandths=given.thousandths.sum(), centre=given.centre.min(), early=given.early.max()
    )
    return source.engine.keep(days)


def with_names(source: SndsSource, numbers: Any) -> Any:
    """Say what the drugs and procedures are.

    Parameters
    ----------
    source : SndsSource
        What is read.
    numbers : ibis.Table
        Of :func:`exposures`.

    Returns
    -------
    ibis.Table
        person, date, drug, kind, atc, class, centre, quantity, early_access; worked out when it is used.
    """
    joined = numbers.inner_join(drug_names(source), "fs_drug")
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


def _dispensed(
    source: SndsSource, lines: Any, name: str, code: str, quantity: str, system: System
) -> Any:
    import ibis

    table = source.table(name)
    known = codes(source, name, system)
    if table is None or known is None:
        return None
    table, step = source.distinct(name, table)
    table = table.mutate(code=ucd7(table[code]) if system == "UCD7" else table[code])
    table = table.left_join(known, "code")
    readable = [("Code of another form", table.code.notnull())]
    wanted = {c: table[c] for c in (*source.values.keys, quantity, "item")}
    table = source.filtered(table, name, readable, columns=wanted, earlier=step)
    table = table.filter(table.item.notnull())
    joined = table.inner_join(lines, _on_keys(source, table, lines))
    early = joined.PRS_NAT_REF.isin(source.values.early_access).fill_null(False)
    return joined.select(
        person=joined.person,
        date=joined.EXE_SOI_DTD,
        item=joined.item,
        thousandths=joined[quantity].fill_null(0) * 1000,
        centre=joined.centre,
        early=early.cast("int64") if system == "UCD7" else ibis.literal(0, type="int64"),
    )


def _on_keys(source: SndsSource, left: Any, right: Any) -> list[Any]:
    """Equality of the nine keys; as whole numbers where both tables have them."""
    conditions = []
    for key in source.values.keys:
        one, other = left[key], right[key]
        if one.type() != other.type():
            one, other = one.cast("string"), other.cast("string")
        conditions.append(one == other)
    return conditions


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
    known = codes(source, name, "UCD7")
    if table is None or known is None:
        return None
    table = table.mutate(code=ucd7(table.UCD_UCD_COD))
    table = source.filtered(table, name, [("Code of another form", table.code.notnull())])
    joined = table.inner_join(kept_stays, ["year", "ETA_NUM", "RSA_NUM"]).inner_join(known, "code")
    return joined.select(
        person=joined.person,
        date=after(joined.EXE_SOI_DTD, joined[delay]),
        item=joined.item,
        thousandths=(joined.ADM_NBR.fill_null(0.0) * 1000).round().cast("int64"),
        centre=joined.ETA_NUM,
        early=ibis.literal(int(early), type="int64"),
    )


def _acts(source: SndsSource, kept_stays: Any) -> Any:
    """Procedures by CCAM; by GHM where the stay has no act that means the same."""
    import ibis

    stay = ["year", "ETA_NUM", "RSA_NUM"]
    name = "T_MCOaaA"
    acts, known, every_item = source.table(name), codes(source, name, "CCAM"), items(source)
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
            item=joined.item,
        ).distinct()
        parts.append(found)
    own = every_item[every_item["channel"] == name]
    for prefix, number, drug in own[own["system"] == "GHM"][["code", "item", "drug"]].to_numpy():
        grouped = kept_stays.filter(begins_with(kept_stays.GRG_GHM, [prefix]))
        if parts:
            same = own[own["drug"] == drug]["item"].tolist()
            said = parts[0].filter(parts[0].item.isin(same)).select(*stay).distinct()
            grouped = grouped.anti_join(said, stay)
        parts.append(
            grouped.select(
                *stay,
                person=grouped.person,
                date=grouped.EXE_SOI_DTD,
                item=ibis.literal(int(number), type="int64"),
            )
        )
    if not parts:
        return None
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return every.select(
        person=every.person,
        date=every.date,
        item=every.item,
        thousandths=one,
        centre=every.ETA_NUM,
        early=ibis.literal(0, type="int64"),
    )
