"""Simulated records in the shape of the OMOP common data model, version 5.4. Simulated.

The inverse of :func:`fiac_survival.cohort.from_omop`. Identifiers come from the person's number, so that
persons may be written in chunks of any size. Drugs whose concept no codelist has are written with concept 0
and their ATC code as source value, and so is every fifth person's record of the others.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from fiac_survival.cohort.codelists import Codelist, System
from fiac_survival.core.errors import DataError
from fiac_survival.simulate.snds_shape import code_of
from fiac_survival.simulate.source_keys import LARGEST_PERSON, Ints, dates, rank_within

RECORDS = 10_000  # a person
FIRST_DAY = np.datetime64("2014-01-01")
PRIMARY, SECONDARY = 32902, 32908
INPATIENT = 9201


@cache
def _concept(drug: str, kind: str) -> int:
    system = "OMOP drug" if kind == "drug" else "OMOP procedure"
    codes = [
        c.code
        for c in Codelist.load("omop").codes
        if c.concept == drug and c.system == system and c.verified
    ]
    return int(codes[0]) if codes else 0


def omop_tables(
    person: pd.DataFrame, exposure: pd.DataFrame, event: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Write canonical tables of a chunk of persons as OMOP tables.

    Parameters
    ----------
    person, exposure, event : DataFrame
        Canonical tables as :func:`myeloma_claims` makes them; persons are whole numbers up to 99,999,999.
        Of events, diagnoses are written.

    Returns
    -------
    dict of str to DataFrame
        person, location, observation_period, death, condition_occurrence, drug_exposure,
        procedure_occurrence, visit_occurrence. The same persons give the same rows in any chunk, but for
        location, which is the same whole table in each.

    Raises
    ------
    DataError
        If a person is not a whole number in range, has 10,000 records or more, or a drug has no code.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> claims = fs.simulate.myeloma_claims(5, seed=1)
    >>> tables = fs.simulate.omop_tables(claims.person, claims.exposure, claims.event)
    >>> len(tables["person"])
    5
    """
    number = person["person"]
    if not pd.api.types.is_integer_dtype(number) or not number.between(0, LARGEST_PERSON).all():
        raise DataError(
            "persons of simulated data must be whole numbers from 0 to 99,999,999",
            remedy="number them",
        )
    p = person.sort_values("person").reset_index(drop=True)
    drugs = exposure[exposure["kind"] == "drug"].sort_values(["person", "date", "drug"])
    acts = exposure[exposure["kind"] == "procedure"].sort_values(["person", "date", "drug"])
    told = event[event["event"] == "diagnosis"].sort_values(["person", "date", "code"])
    return (
        _persons(p)
        | {"drug_exposure": _given(drugs, "drug")}
        | {"procedure_occurrence": _given(acts, "procedure")}
        | _conditions(told)
    )


def _numbers(person: Ints) -> Ints:
    rank = rank_within(person)
    if rank.size and rank.max() >= RECORDS:
        raise DataError(
            "a simulated person must have fewer than 10,000 records",
            values={"records": int(rank.max()) + 1},
        )
    return person * RECORDS + rank


def _departments() -> list[str]:
    return [f"{d:02d}" for d in range(1, 96) if d != 20]


def _persons(p: pd.DataFrame) -> dict[str, pd.DataFrame]:
    number = p["person"].to_numpy(dtype=np.int64)
    places = pd.DataFrame({"county": _departments()})
    places.insert(0, "location_id", np.arange(len(places)) + 1)
    where = p["department"].map(dict(zip(places["county"], places["location_id"], strict=True)))
    died = p["death"].notna().to_numpy()
    start = np.minimum(p["diagnosis"].to_numpy().astype("datetime64[D]"), FIRST_DAY)
    return {
        "location": places.assign(location_source_value=places["county"]),
        "person": pd.DataFrame(
            {
                "person_id": number,
                "gender_concept_id": p["sex"].map({"male": 8507, "female": 8532}).fillna(0),
                "year_of_birth": p["birth"].dt.year,
                "month_of_birth": p["birth"].dt.month,
                "day_of_birth": pd.array([None] * len(p), dtype="Int64"),
                "location_id": where.astype("Int64"),
            }
        ).astype({"gender_concept_id": np.int64}),
        "observation_period": pd.DataFrame(
            {
                "person_id": number,
                "observation_period_start_date": dates(start),
                "observation_period_end_date": dates(p["follow_up_end"]),
            }
        ),
        "death": pd.DataFrame({"person_id": number[died], "death_date": dates(p["death"][died])}),
    }


def _given(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    person = rows["person"].to_numpy(dtype=np.int64)
    concept = np.array([_concept(d, kind) for d in rows["drug"].tolist()], dtype=np.int64)
    concept = np.where(person % 5 == 3, 0, concept)
    system: System = "ATC" if kind == "drug" else "CCAM"
    value = [code_of(d, system) for d in rows["drug"].tolist()]
    day = rows["date"]
    if kind == "procedure":
        return pd.DataFrame(
            {
                "procedure_occurrence_id": _numbers(person),
                "person_id": person,
                "procedure_concept_id": concept,
                "procedure_date": dates(day),
                "procedure_source_value": value,
            }
        )
    return pd.DataFrame(
        {
            "drug_exposure_id": _numbers(person),
            "person_id": person,
            "drug_concept_id": concept,
            "drug_exposure_start_date": dates(day),
            "drug_exposure_end_date": dates(np.full(len(rows), np.datetime64("NaT", "D"))),
            "quantity": 1.0,
            "drug_source_value": value,
        }
    )


def _conditions(rows: pd.DataFrame) -> dict[str, pd.DataFrame]:
    person = rows["person"].to_numpy(dtype=np.int64)
    number = _numbers(person)
    myeloma = (rows["code"] == "C900").to_numpy()
    code = np.where(myeloma, "C90.0", rows["code"])
    return {
        "condition_occurrence": pd.DataFrame(
            {
                "condition_occurrence_id": number,
                "person_id": person,
                "condition_concept_id": np.where(myeloma, 437233, 0).astype(np.int64),
                "condition_start_date": dates(rows["date"]),
                "condition_source_value": code,
                "condition_status_concept_id": np.where(myeloma, PRIMARY, SECONDARY),
                "visit_occurrence_id": number,
            }
        ),
        "visit_occurrence": pd.DataFrame(
            {
                "visit_occurrence_id": number,
                "person_id": person,
                "visit_concept_id": INPATIENT,
                "visit_start_date": dates(rows["date"]),
                "visit_end_date": dates(rows["date"] + np.timedelta64(2, "D")),
            }
        ),
    }
