"""A cohort from tables of the SNDS: reimbursed care, hospital stays, beneficiaries, deaths.

What is read from which column, and what is left out and why, stands in docs/sources.md and, as data, in
`cohort/data/snds.toml`. Everything is computed in the engine; of the rows only counts come back.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fiac_survival.cohort import snds_events, snds_persons
from fiac_survival.cohort.canonical import check_columns, check_values
from fiac_survival.cohort.codelists import Codelist, load_codelists
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.phenotypes import Phenotype, kept_diagnoses, loaded
from fiac_survival.cohort.reading import Cohort
from fiac_survival.cohort.snds_definitions import SndsDefinitions
from fiac_survival.cohort.snds_parts import by_day, read_care
from fiac_survival.cohort.snds_source import (
    DeathSource,
    FollowUp,
    Reversed,
    SndsSource,
    day_of,
)
from fiac_survival.cohort.source_filters import Report
from fiac_survival.cohort.source_parts import ROWS_PER_PART
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice

DEATHS: tuple[DeathSource, ...] = ("beneficiary", "cause of death", "hospital")


def from_snds(
    path: str | Path,
    *,
    years: Sequence[int],
    extracted: datetime.date | str,
    lag_days: int = 213,
    engine: Engine | Any = "duckdb",
    phenotype: str | Path | Phenotype | None = "myeloma",
    codelists: Sequence[str | Path | Codelist] = ("myeloma_drugs", "procedures"),
    drugs: str | Path | DrugTable = "myeloma",
    diagnoses: str | Path | Codelist | None = "myeloma_diagnoses",
    follow_up: FollowUp = "data end",
    deaths: Sequence[DeathSource] = DEATHS,
    reversed_dates: Reversed = "refuse",
    without: Sequence[str] = (),
    definitions: str | Path | SndsDefinitions | None = None,
    rows_per_part: int | None = ROWS_PER_PART,
) -> Cohort:
    """Read a folder of SNDS tables into a cohort.

    Parameters
    ----------
    path : str or Path
        A folder with ER_PRS_F, ER_PHA_F, ER_UCD_F, IR_BEN_R, IR_IMB_R, KI_CCI_R, and for each year aa
        T_MCOaaB, C, D, UM, A, MED, MEDATU: parquet or CSV files, or folders of parts.
    years : sequence of int
        Calendar years, without a gap. Follow-up starts with the first.
    extracted : date or str
        Day of the extraction: the last flow of statements.
    lag_days : int, default 213
        Days before it that may still be incomplete: statements reach the SNDS with a delay of six to seven
        months. Complete data end then, or with the last year if that is earlier; nothing after is used.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to read.
    phenotype : str, Path, Phenotype or None, default "myeloma"
        Who is in the cohort; None: every beneficiary.
    codelists : sequence of str, Path or Codelist
        What the codes of drugs and procedures mean; all others are passed over.
    drugs : str, Path or DrugTable, default "myeloma"
        ATC code and class of each drug.
    diagnoses : str, Path, Codelist or None, default "myeloma_diagnoses"
        Which diagnoses become events, with those of the phenotype; None: all.
    follow_up : {"data end", "last care"}, default "data end"
        When follow-up of the living ends: when complete data end, or with the last care before.
    deaths : sequence of str
        Where a day of death is looked for, first choice first: "beneficiary" (IR_BEN_R), "cause of death"
        (KI_CCI_R), "hospital" (a stay that ends in death).
    reversed_dates : {"refuse", "drop"}, default "refuse"
        What to do about stays that end before they begin.
    without : sequence of str
        Tables that the extract does not have, e.g. "KI_CCI_R" or "T_MCOaaMEDATU".
    definitions : str, Path or SndsDefinitions, optional
        Tables, filters and codes other than those of the package.
    rows_per_part : int or None, default 10,000,000
        About how many rows of reimbursed care (by month of the flow), of stays (by year) and of records (by
        day) the engine works on at a time; None: all at once, for a cluster. The result is the same.

    Returns
    -------
    Cohort
        person (BEN_IDT_ANO), exposure, event, linkage_key; `report` counts what was left out.

    Raises
    ------
    DataError
        If a table, a year of a table, or a column is missing, damaged or of another type; if dates are
        reversed or a code of sex is unknown; if codelists disagree.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = tempfile.mkdtemp()
    >>> fs.simulate.write_snds(fs.simulate.myeloma_claims(20, seed=1), folder)
    >>> cohort = fs.cohort.from_snds(folder, years=range(2014, 2024), extracted="2023-08-31")
    >>> cohort
    Cohort(person, exposure, event, linkage_key; duckdb)
    >>> int(cohort.person.count().execute())
    20
    >>> cohort.engine.close()
    """
    require_choice(follow_up, FollowUp, "follow_up")
    require_choice(reversed_dates, Reversed, "reversed_dates")
    if rows_per_part is not None and rows_per_part < 1:
        raise DataError(
            "rows_per_part must be at least 1, or None", values={"rows_per_part": rows_per_part}
        )
    if not deaths:
        raise DataError("deaths must name a source", remedy='e.g. deaths=("beneficiary",)')
    for one in deaths:
        require_choice(one, DeathSource, "deaths")
    folder = Path(path)
    if not folder.is_dir():
        raise DataError("the folder must exist", values={"path": folder}, remedy="check the path")
    known = (
        definitions
        if isinstance(definitions, SndsDefinitions)
        else SndsDefinitions.load(definitions)
    )
    disease = loaded(phenotype)
    calendar = _years(years)
    connection = engine if isinstance(engine, Engine) else connect(engine)
    source = SndsSource(
        folder=folder,
        engine=connection,
        definitions=known,
        codelists=load_codelists(codelists),
        drugs=drugs if isinstance(drugs, DrugTable) else DrugTable.load(drugs),
        diagnoses=kept_diagnoses(diagnoses, disease),
        years=calendar,
        data_end=_data_end(day_of(extracted, "extracted"), lag_days, calendar),
        without=_without(without, known),
        reversed_dates=reversed_dates,
        report=Report(),
        rows_per_part=rows_per_part,
    )
    try:
        tables = _tables(source, disease, follow_up, tuple(deaths))
    except BaseException:
        if connection is not engine:
            connection.close()
        raise
    return Cohort(connection, tables, report=source.report.table)


def _years(years: Sequence[int]) -> tuple[int, ...]:
    found = tuple(sorted({int(year) for year in years}))
    if not found or found != tuple(range(found[0], found[-1] + 1)):
        raise DataError(
            "years must be calendar years without a gap",
            values={"years": ", ".join(map(str, found)) or "none"},
            remedy="e.g. range(2014, 2021)",
        )
    return found


def _data_end(extracted: datetime.date, lag_days: int, years: tuple[int, ...]) -> datetime.date:
    if lag_days < 0:
        raise DataError("lag_days must not be negative", values={"lag_days": lag_days})
    end = min(extracted - datetime.timedelta(days=lag_days), datetime.date(years[-1], 12, 31))
    if end < datetime.date(years[0], 1, 1):
        raise DataError(
            "complete data must not end before they begin",
            values={"end": end, "first year": years[0]},
            remedy="check years, extracted and lag_days",
        )
    return end


def _without(without: Sequence[str], known: SndsDefinitions) -> frozenset[str]:
    needed = {"ER_PRS_F", "IR_BEN_R", "T_MCOaaB", "T_MCOaaC"}
    for name in without:
        if name not in known.tables or name in needed:
            raise DataError(
                "without must name tables that can be done without",
                values={"table": name},
                remedy=f"these can: {', '.join(sorted(set(known.tables) - needed))}",
            )
    return frozenset(without)


def _tables(
    source: SndsSource,
    disease: Phenotype | None,
    follow_up: FollowUp,
    order: tuple[DeathSource, ...],
) -> dict[str, Any]:
    engine = source.engine
    called = source.hold(snds_persons.beneficiaries(source))
    names = engine.keep(snds_persons.numbered(called))
    pairs = engine.keep(snds_persons.by_number(snds_persons.pseudonyms(called), names))
    rows = engine.keep(snds_persons.by_number(called, names))
    source.release()
    care = read_care(source, pairs)
    exposure = care.exposure
    said = snds_events.events(source, care.diagnoses, pairs, names)
    event = by_day(source, said, snds_events.of_a_day)
    found = None if disease is None else disease.evaluate(event, exposure)
    died = snds_persons.deaths(source, rows, names, care.died, order)
    person = snds_persons.persons(source, rows, found, died, care.seen, follow_up)
    person = source.hold(person)
    everybody = int(rows.person.nunique().execute())
    source.report.add("COHORT", "Persons", everybody, everybody)
    chosen = int(person.count().execute())
    source.report.add("COHORT", "Without the phenotype", everybody, chosen)
    if chosen < everybody:
        names = engine.keep(names.semi_join(person, "person"))
    tables = {
        "person": engine.keep(snds_persons.by_name(person, names)),
        "exposure": _named(source, exposure, names),
        "event": _named(source, event, names),
        "linkage_key": engine.keep(snds_persons.by_name(_keys(person, exposure), names)),
    }
    source.release()
    for name, table in tables.items():
        check_columns(name, table)
        check_values(name, table)
    return tables


def _named(source: SndsSource, table: Any, names: Any) -> Any:
    """Call persons by their names: at once, or in a table of several parts when it is used."""
    named = snds_persons.by_name(table, names)
    if source.rows_per_part is None or int(table.count().execute()) <= source.rows_per_part:
        return source.engine.keep(named)
    return named


def _keys(person: Any, exposure: Any) -> Any:
    """Make what to link on: the centre is that of the first treatment."""
    drugs = exposure.filter(exposure.kind == "drug").select("person", "date", "centre")
    days = drugs.group_by("person").agg(date=drugs.date.min())
    drugs = drugs.semi_join(days, ["person", "date"])
    first = drugs.group_by("person").agg(
        first_treatment=drugs.date.min(), centre=drugs.centre.min()
    )
    joined = person.left_join(first, "person")
    return joined.select(
        person=joined.person,
        birth_year=joined.birth.year().cast("int64"),
        birth_month=joined.birth.month().cast("int64"),
        sex=joined.sex,
        department=joined.department,
        centre=joined.centre,
        first_treatment=joined.first_treatment,
    )
