"""A cohort from tables of the OMOP common data model, version 5.4.

A drug or procedure is found by its concept where the codelists have it, and by its source value (an
ATC, UCD, CIP or CCAM code) where the concept is 0. A diagnosis likewise: its code is the ICD-10 code of
the source value (without the dot), else what the codelists say of its concept. Everything is computed
in the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.canonical import check_columns, check_values
from fiac_survival.cohort.codelists import (
    Codelist,
    System,
    begins_with,
    load_codelists,
    meanings,
)
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.omop_source import OmopDefinitions, OmopSource
from fiac_survival.cohort.phenotypes import Phenotype, kept_diagnoses, loaded
from fiac_survival.cohort.reading import Cohort
from fiac_survival.cohort.snds_source import Reversed
from fiac_survival.cohort.source_filters import apply_filters
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice

DRUG_SYSTEMS: tuple[System, ...] = ("ATC", "UCD7", "CIP13")
CODES = ("myeloma_drugs", "procedures", "omop")


def from_omop(
    path: str | Path,
    *,
    engine: Engine | Any = "duckdb",
    phenotype: str | Path | Phenotype | None = "myeloma",
    codelists: Sequence[str | Path | Codelist] = CODES,
    drugs: str | Path | DrugTable = "myeloma",
    diagnoses: str | Path | Codelist | None = "myeloma_diagnoses",
    reversed_dates: Reversed = "refuse",
    definitions: str | Path | OmopDefinitions | None = None,
) -> Cohort:
    """Read a folder of OMOP tables into a cohort.

    Parameters
    ----------
    path : str or Path
        A folder with person, observation_period, death, condition_occurrence, drug_exposure, and if there
        are any procedure_occurrence, visit_occurrence, location: parquet or CSV files, or folders of parts.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to read.
    phenotype : str, Path, Phenotype or None, default "myeloma"
        Who is in the cohort; None: every person.
    codelists : sequence of str, Path or Codelist
        What concepts and source values mean; all others are passed over. Descendants of a concept must be
        listed too.
    drugs : str, Path or DrugTable, default "myeloma"
        ATC code and class of each drug.
    diagnoses : str, Path, Codelist or None, default "myeloma_diagnoses"
        Which diagnoses become events, with those of the phenotype; None: all.
    reversed_dates : {"refuse", "drop"}, default "refuse"
        What to do about periods, drugs and visits that end before they begin.
    definitions : str, Path or OmopDefinitions, optional
        Tables and concepts other than those of the package.

    Returns
    -------
    Cohort
        person, exposure, event; `report` counts what was left out.

    Raises
    ------
    DataError
        If a table or a column is missing, damaged or of another type; if dates are reversed; if codelists
        disagree.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = tempfile.mkdtemp()
    >>> fs.simulate.write_omop(fs.simulate.myeloma_claims(20, seed=1), folder)
    >>> cohort = fs.cohort.from_omop(folder)
    >>> int(cohort.person.count().execute())
    20
    >>> cohort.engine.close()
    """
    require_choice(reversed_dates, Reversed, "reversed_dates")
    folder = Path(path)
    if not folder.is_dir():
        raise DataError("the folder must exist", values={"path": folder}, remedy="check the path")
    disease = loaded(phenotype)
    known = definitions
    if not isinstance(known, OmopDefinitions):
        known = OmopDefinitions.load(known)
    connection = engine if isinstance(engine, Engine) else connect(engine)
    source = OmopSource(
        folder,
        connection,
        known,
        load_codelists(codelists),
        drugs if isinstance(drugs, DrugTable) else DrugTable.load(drugs),
        kept_diagnoses(diagnoses, disease),
        reversed_dates,
    )
    try:
        tables = _tables(source, disease)
    except BaseException:
        if connection is not engine:
            connection.close()
        raise
    return Cohort(connection, tables, report=source.report.table)


def _tables(source: OmopSource, disease: Phenotype | None) -> dict[str, Any]:
    engine = source.engine
    exposure = engine.keep(_exposures(source))
    event = engine.keep(_events(source))
    found = None if disease is None else disease.evaluate(event, exposure)
    person = engine.keep(_persons(source, found))
    everybody = int(source.table("person").count().execute())
    source.report.add("COHORT", "Persons", everybody, everybody)
    source.report.add(
        "COHORT", "Without phenotype or follow-up", everybody, int(person.count().execute())
    )
    tables = {
        "person": person,
        "exposure": engine.keep(exposure.semi_join(person, "person")),
        "event": engine.keep(event.semi_join(person, "person")),
    }
    for name, table in tables.items():
        check_columns(name, table)
        check_values(name, table)
    return tables


def _mapped(table: Any, concept: str, value: str | None, source: OmopSource, kind: str) -> Any:
    """Drug or procedure of each row: by its concept, else by its source value."""
    import ibis

    systems: tuple[System, ...] = DRUG_SYSTEMS if kind == "drug" else ("CCAM",)
    own: System = "OMOP drug" if kind == "drug" else "OMOP procedure"
    by_concept = {int(code): name for code, name in meanings(source.codelists, own).items()}
    by_value = {c: n for system in systems for c, n in meanings(source.codelists, system).items()}
    drug: Any = ibis.null("string")
    if by_concept:
        frame = pd.DataFrame({"fs_id": list(by_concept), "fs_drug": list(by_concept.values())})
        known = ibis.memtable(frame)
        table = table.left_join(known, table[concept] == known.fs_id)
        drug = table.fs_drug
    if by_value and value is not None and value in table.columns:
        frame = pd.DataFrame({"fs_code": list(by_value), "fs_said": list(by_value.values())})
        table, known = table.mutate(fs_drug=drug), ibis.memtable(frame)
        table = table.left_join(known, table[value] == known.fs_code)
        said = (table[concept] == 0).ifelse(table.fs_said, ibis.null("string"))
        drug = ibis.coalesce(table.fs_drug, said)
    return table.mutate(drug=drug).filter(drug.notnull())


def _exposures(source: OmopSource) -> Any:
    import ibis

    rows = source.table("drug_exposure").distinct()
    end = "drug_exposure_end_date"
    if end in rows.columns:
        rows = source.ordered(rows, "drug_exposure", "drug_exposure_start_date", end)
    rows = _mapped(rows, "drug_concept_id", "drug_source_value", source, "drug")
    quantity = rows.quantity if "quantity" in rows.columns else ibis.null("float64")
    parts = [
        rows.select(
            person=rows.person_id,
            date=rows.drug_exposure_start_date,
            end=rows[end] if end in rows.columns else ibis.null("date"),
            drug=rows.drug,
            kind=ibis.literal("drug"),
            quantity=quantity,
        )
    ]
    acts = source.table("procedure_occurrence")
    if acts is not None:
        acts = _mapped(
            acts.distinct(), "procedure_concept_id", "procedure_source_value", source, "procedure"
        )
        parts.append(
            acts.select(
                person=acts.person_id,
                date=acts.procedure_date,
                end=ibis.null("date"),
                drug=acts.drug,
                kind=ibis.literal("procedure"),
                quantity=ibis.null("float64"),
            )
        )
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    frame = pd.DataFrame(
        [(d.name, d.atc or None, d.class_name) for d in source.drugs.drugs],
        columns=["fs_drug", "atc", "class"],
    )
    schema = {"fs_drug": "string", "atc": "string", "class": "string"}
    about = ibis.memtable(frame, schema=schema)
    joined = every.left_join(about, every.drug == about.fs_drug)
    return joined.select("person", "date", "end", "drug", "kind", "atc", "class", "quantity")


def _events(source: OmopSource) -> Any:
    import ibis

    values = source.definitions.values
    rows = source.table("condition_occurrence").distinct()
    code: Any = ibis.null("string")
    known = meanings(source.codelists, "OMOP condition")
    if known:
        cases = [(int(concept), icd) for concept, icd in known.items()]
        code = rows.condition_concept_id.cases(*cases, else_=None)
    if "condition_source_value" in rows.columns:
        said = rows.condition_source_value.replace(".", "").replace(" ", "").upper()
        icd10 = said.re_search("^[A-Z][0-9][0-9A-Z]{1,4}$")
        code = ibis.coalesce(icd10.ifelse(said, ibis.null("string")), code)
    place: Any = ibis.null("string")
    if "condition_status_concept_id" in rows.columns:
        status = rows.condition_status_concept_id
        place = ibis.cases(
            (status.isin(values.main), "main"),
            (status.isin(values.associated), "associated"),
            else_=None,
        )
    rows = rows.mutate(code=code, position=place)
    wanted = source.diagnoses
    fits = ibis.literal(True) if wanted is None else begins_with(rows.code, wanted)
    rows = apply_filters(
        rows,
        [
            ("No date", rows.condition_start_date.notnull()),
            ("No ICD-10 code", rows.code.notnull()),
            ("Another diagnosis", fits),
        ],
        name="condition_occurrence",
        report=source.report,
    )
    parts = [
        rows.group_by(person=rows.person_id, date=rows.condition_start_date, code=rows.code).agg(
            position=rows.position.max()
        )
    ]
    parts[0] = parts[0].select(
        "person", "date", "code", "position", event=ibis.literal("diagnosis")
    )
    visits = source.table("visit_occurrence")
    if visits is not None:
        visits = source.ordered(
            visits.distinct(), "visit_occurrence", "visit_start_date", "visit_end_date"
        )
        visits = visits.filter(visits.visit_concept_id.isin(values.inpatient))
        stays = visits.select(person=visits.person_id, date=visits.visit_start_date).distinct()
        parts.append(
            stays.select(
                "person",
                "date",
                code=ibis.null("string"),
                position=ibis.null("string"),
                event=ibis.literal("hospital stay"),
            )
        )
    every = ibis.union(*parts) if len(parts) > 1 else parts[0]
    return every.select("person", "date", "event", "code", "position")


def _persons(source: OmopSource, found: Any) -> Any:
    import ibis

    values = source.definitions.values
    rows = source.table("person").distinct()
    month = rows.month_of_birth if "month_of_birth" in rows.columns else ibis.null("int64")
    day = rows.day_of_birth if "day_of_birth" in rows.columns else ibis.null("int64")
    month, day = month.fill_null(1).cast("int32"), day.fill_null(1).cast("int32")
    sex = ibis.cases(
        (rows.gender_concept_id.isin(values.male), "male"),
        (rows.gender_concept_id.isin(values.female), "female"),
        else_="unknown",
    )
    birth = ibis.date(rows.year_of_birth.cast("int32"), month, day).cast("date")
    rows = rows.mutate(person=rows.person_id, birth=birth, sex=sex)
    rows = _department(source, rows).select("person", "birth", "sex", "department")
    periods = source.table("observation_period")
    first, last = "observation_period_start_date", "observation_period_end_date"
    periods = source.ordered(periods, "observation_period", first, last)
    seen = periods.group_by(fs_seen=periods.person_id).agg(
        follow_up_start=periods[first].min(), fs_end=periods[last].max()
    )
    died = source.table("death")
    died = died.group_by(fs_dead=died.person_id).agg(death=died.death_date.min())
    rows = rows.inner_join(seen, rows.person == seen.fs_seen)
    rows = rows.left_join(died, rows.person == died.fs_dead)
    if found is None:
        rows = rows.mutate(diagnosis=ibis.null("date"), rule=ibis.null("string"))
    else:
        rows = rows.inner_join(found.rename(diagnosis="date"), "person")
    return rows.select(
        "person",
        "birth",
        "sex",
        "diagnosis",
        "follow_up_start",
        follow_up_end=ibis.coalesce(rows.death, rows.fs_end),
        death=rows.death,
        department=rows.department,
        rule=rows.rule,
    )


def _department(source: OmopSource, rows: Any) -> Any:
    import ibis

    places = source.table("location")
    if places is None or "location_id" not in rows.columns:
        return rows.mutate(department=ibis.null("string"))
    names = [places[c] for c in ("county", "location_source_value") if c in places.columns]
    named = ibis.coalesce(*names) if names else ibis.null("string")
    places = places.select(fs_place=places.location_id, department=named)
    return rows.left_join(places, rows.location_id == places.fs_place)
