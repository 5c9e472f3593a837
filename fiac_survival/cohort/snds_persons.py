"""Persons and deaths of the SNDS.

A person is BEN_IDT_ANO; where it is missing, BEN_NIR_PSA and BEN_RNG_GEM joined by "_". One person may
have several pseudonyms (BEN_NIR_PSA); all of them are followed. Birth is the first of the month. Where rows
of one person disagree, birth is the earliest, sex unknown, department the last in alphabetical order.
"""

from __future__ import annotations

from typing import Any, assert_never

from fiac_survival.cohort.snds_source import DeathSource, FollowUp, SndsSource
from fiac_survival.core.errors import DataError

OLDEST = 1850


def beneficiaries(source: SndsSource) -> Any:
    """Rows of IR_BEN_R with their person.

    Parameters
    ----------
    source : SndsSource
        What is read.

    Returns
    -------
    ibis.Table
        person, BEN_NIR_PSA, BEN_RNG_GEM and what is said of the person.

    Raises
    ------
    DataError
        If a code of sex is unknown.
    """
    import ibis

    rows = source.unique("IR_BEN_R")
    joined = rows.BEN_NIR_PSA.concat("_", rows.BEN_RNG_GEM)
    person = joined
    if "BEN_IDT_ANO" in rows.columns:
        person = ibis.coalesce(rows.BEN_IDT_ANO.nullif(""), joined)
    rows = rows.mutate(person=person)
    rows = source.filtered(rows, "IR_BEN_R", [("No identifier", rows.person.notnull())])
    values = source.values
    codes = [*values.male, *values.female, *values.unknown_sex]
    strange = rows.filter(rows.BEN_SEX_COD.notnull() & rows.BEN_SEX_COD.notin(codes))
    found = int(strange.count().execute())
    if found:
        raise DataError(
            "BEN_SEX_COD must be one of its codes",
            count=found,
            values={"codes": ", ".join(codes)},
            remedy="correct them, or add the code to the definitions",
        )
    return rows


def numbered(rows: Any) -> Any:
    """Give persons numbers, which are joined and added up several times faster than pseudonyms.

    Parameters
    ----------
    rows : ibis.Table
        Of :func:`beneficiaries`.

    Returns
    -------
    ibis.Table
        name (the person as it is called), person (a number, in the order of names).
    """
    import ibis

    names = rows.select(name="person").distinct()
    return names.mutate(person=ibis.row_number().over(order_by=names.name))


def by_number(table: Any, names: Any, column: str = "person") -> Any:
    """Put the number in the place of the name; rows of other persons go.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    names : ibis.Table
        Of :func:`numbered`.
    column : str
        Where the name is.

    Returns
    -------
    ibis.Table
        The same with `person`, a number.
    """
    rest = [c for c in table.columns if c not in (column, "person")]
    renamed = names.select(fs_name="name", fs_person="person")
    joined = table.inner_join(renamed, table[column] == renamed.fs_name)
    return joined.select(*rest, person=joined.fs_person)


def by_name(table: Any, names: Any) -> Any:
    """Put the name in the place of the number; rows of persons without a name go.

    Parameters
    ----------
    table : ibis.Table
        Rows with `person`, a number.
    names : ibis.Table
        Of :func:`numbered`, or some of its rows.

    Returns
    -------
    ibis.Table
        The same columns; `person` is the name.
    """
    renamed = names.select(fs_number="person", fs_name="name")
    joined = table.inner_join(renamed, table.person == renamed.fs_number)
    return joined.select(
        **{c: joined.fs_name if c == "person" else joined[c] for c in table.columns}
    )


def pseudonyms(rows: Any) -> Any:
    """Which pseudonym is whose.

    Parameters
    ----------
    rows : ibis.Table
        Of :func:`beneficiaries`.

    Returns
    -------
    ibis.Table
        BEN_NIR_PSA, BEN_RNG_GEM, person; each pair once.

    Raises
    ------
    DataError
        If a pseudonym and rank belong to two persons.
    """
    pairs = rows.select("BEN_NIR_PSA", "BEN_RNG_GEM", "person").distinct()
    shared = pairs.group_by(["BEN_NIR_PSA", "BEN_RNG_GEM"]).agg(fs_n=pairs.count())
    found = int(shared.filter(shared.fs_n > 1).count().execute())
    if found:
        raise DataError(
            "BEN_NIR_PSA and BEN_RNG_GEM must belong to one BEN_IDT_ANO",
            count=found,
            remedy="correct IR_BEN_R",
        )
    return pairs


def without_rank(pseudonyms: Any) -> Any:
    """Whose a pseudonym without its rank is.

    Parameters
    ----------
    pseudonyms : ibis.Table
        Of :func:`pseudonyms`, with numbers of persons.

    Returns
    -------
    ibis.Table
        BEN_NIR_PSA, fs_persons (how many), person (the first of them).
    """
    return pseudonyms.group_by("BEN_NIR_PSA").agg(
        fs_persons=pseudonyms.person.nunique(), person=pseudonyms.person.min()
    )


def _about(source: SndsSource, rows: Any) -> Any:
    """One row a person: birth, sex, department, death in the register."""
    import ibis

    values = source.values
    year = rows.BEN_NAI_ANN.nullif(values.no_year)
    year = (year >= OLDEST).ifelse(year, ibis.null("int64"))
    month = rows.BEN_NAI_MOI.between(1, 12).fill_null(False).ifelse(rows.BEN_NAI_MOI, 1)
    department = ibis.null("string")
    if "BEN_RES_DPT" in rows.columns:
        code = rows.BEN_RES_DPT.nullif("")
        three = (code.length() == 3) & code.startswith("0")
        department = three.ifelse(code.substr(1, 2), code)
    told = rows.mutate(
        fs_birth=ibis.date(year.cast("int32"), month.cast("int32"), 1).cast("date"),
        fs_male=rows.BEN_SEX_COD.isin(values.male).fill_null(False).cast("int64"),
        fs_female=rows.BEN_SEX_COD.isin(values.female).fill_null(False).cast("int64"),
        fs_department=department,
    )
    each = told.group_by("person").agg(
        birth=told.fs_birth.min(),
        fs_male=told.fs_male.max(),
        fs_female=told.fs_female.max(),
        department=told.fs_department.max(),
        died=told.BEN_DCD_DTE.min(),
    )
    sex = ibis.cases(
        ((each.fs_male == 1) & (each.fs_female == 0), "male"),
        ((each.fs_male == 0) & (each.fs_female == 1), "female"),
        else_="unknown",
    )
    return each.mutate(sex=sex).drop("fs_male", "fs_female")


def ended_in_death(source: SndsSource, kept_stays: Any) -> Any:
    """Days of death of stays that ended in death.

    Parameters
    ----------
    source : SndsSource
        What is read.
    kept_stays : ibis.Table
        Stays.

    Returns
    -------
    ibis.Table
        person, death.
    """
    ended = kept_stays.filter(kept_stays.SOR_MOD.isin(source.values.died_in_hospital))
    return ended.select("person", death="EXE_SOI_DTF")


def deaths(
    source: SndsSource, rows: Any, names: Any, in_hospital: Any, order: tuple[DeathSource, ...]
) -> Any:
    """Day of death by person, from the first source that has one.

    Parameters
    ----------
    source : SndsSource
        What is read.
    rows : ibis.Table
        Of :func:`beneficiaries`, with numbers of persons.
    names : ibis.Table
        Of :func:`numbered`.
    in_hospital : ibis.Table
        Of :func:`ended_in_death`.
    order : tuple of str
        Sources, first choice first.

    Returns
    -------
    ibis.Table
        person, death, fs_from; one row a person who died.
    """
    import ibis

    parts = []
    for rank, name in enumerate(order):
        match name:
            case "beneficiary":
                said = rows.select("person", death="BEN_DCD_DTE")
            case "cause of death":
                table = source.table("KI_CCI_R")
                if table is None:
                    continue
                said = table.select(person=table.BEN_IDT_ANO, death=table.BEN_DCD_DTE)
                said = by_number(said, names)
            case "hospital":
                said = in_hospital
            case _:
                assert_never(name)
        said = said.filter(said.death.notnull() & said.person.notnull())
        first = said.group_by("person").agg(death=said.death.min())
        parts.append(first.mutate(fs_from=ibis.literal(rank, type="int64")))
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    ranked = every.mutate(fs_rank=ibis.row_number().over(group_by="person", order_by=every.fs_from))
    return ranked.filter(ranked.fs_rank == 0).select("person", "death", "fs_from")


def seen_in_lines(lines: Any) -> Any:
    """Last day of reimbursed care of a person.

    Parameters
    ----------
    lines : ibis.Table
        Reimbursed care.

    Returns
    -------
    ibis.Table
        person, fs_last.
    """
    return lines.group_by("person").agg(fs_last=lines.EXE_SOI_DTD.max())


def seen_in_stays(kept_stays: Any) -> Any:
    """Last day of a person's stays.

    Parameters
    ----------
    kept_stays : ibis.Table
        Stays.

    Returns
    -------
    ibis.Table
        person, fs_last.
    """
    day = kept_stays.EXE_SOI_DTF.coalesce(kept_stays.EXE_SOI_DTD)
    return kept_stays.group_by("person").agg(fs_last=day.max())


def last_care(seen: Any) -> Any:
    """Last day on which a person is seen.

    Parameters
    ----------
    seen : ibis.Table
        person, fs_last: of :func:`seen_in_lines` and :func:`seen_in_stays`, of every part.

    Returns
    -------
    ibis.Table
        person, fs_last; one row a person.
    """
    return seen.group_by("person").agg(fs_last=seen.fs_last.max())


def persons(
    source: SndsSource, rows: Any, found: Any, died: Any, seen: Any, follow_up: FollowUp
) -> Any:
    """Canonical table of persons.

    Parameters
    ----------
    source : SndsSource
        What is read.
    rows : ibis.Table
        Of :func:`beneficiaries`.
    found : ibis.Table or None
        person, date, rule of the phenotype; None: everybody.
    died : ibis.Table
        Of :func:`deaths`.
    seen : ibis.Table
        Of :func:`last_care`.
    follow_up : {"data end", "last care"}
        When follow-up of the living ends.

    Returns
    -------
    ibis.Table
        The canonical columns, and `rule`.
    """
    import ibis

    about = _about(source, rows).drop("died")
    if found is None:
        about = about.mutate(diagnosis=ibis.null("date"), rule=ibis.null("string"))
    else:
        about = about.inner_join(found.rename(diagnosis="date"), "person")
    about = about.left_join(died, "person").drop("person_right")
    about = about.left_join(seen, "person").drop("person_right")
    start, end = ibis.literal(source.data_start), ibis.literal(source.data_end)
    death = (about.death <= end).fill_null(False).ifelse(about.death, ibis.null("date"))
    match follow_up:
        case "data end":
            alive: Any = end
        case "last care":
            alive = ibis.least(ibis.coalesce(about.fs_last, about.diagnosis, start), end)
        case _:
            assert_never(follow_up)
    return about.select(
        "person",
        "birth",
        "sex",
        "diagnosis",
        follow_up_start=start,
        follow_up_end=ibis.coalesce(death, alive),
        death=death,
        department=about.department,
        rule=about.rule,
    )
