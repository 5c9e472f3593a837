"""Reading tables of the OMOP common data model: concepts, source values, bad input."""

from __future__ import annotations

import datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fiac_survival as fs
from fiac_survival.cohort.codelists import Code
from fiac_survival.core.errors import DataError
from fiac_survival.simulate.source_folders import write_tables
from tests.cohort.source_cases import claims

D = datetime.date


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


def tables():
    simulated = claims(20)
    return fs.simulate.omop_tables(simulated.person, simulated.exposure, simulated.event)


def written(folder, changed=None):
    write_tables(tables() | (changed or {}), folder, fs.cohort.OmopDefinitions.load().tables)
    return folder


def drugs_of(cohort):
    return cohort.exposure.execute()["drug"].value_counts().to_dict()


def test_concepts_and_source_values(engine, tmp_path):
    """The concept counts; the source value where the concept is 0; neither: not kept."""
    given = tables()["drug_exposure"]
    before = drugs_of(fs.cohort.from_omop(written(tmp_path / "a"), engine=engine))
    rows = given[given["drug_concept_id"] == 19026972].index[:3]
    given.loc[rows[0], "drug_source_value"] = "L01XG01"  # the concept says lenalidomide
    given.loc[rows[1], ["drug_concept_id", "drug_source_value"]] = [0, "L01XG01"]
    given.loc[rows[2], ["drug_concept_id", "drug_source_value"]] = [12, "L04AX04"]  # other drug
    after = drugs_of(
        fs.cohort.from_omop(written(tmp_path / "b", {"drug_exposure": given}), engine=engine)
    )
    assert after["lenalidomide"] == before["lenalidomide"] - 2
    assert after["bortezomib"] == before["bortezomib"] + 1


def test_mapping_of_a_site(engine, tmp_path):
    """A codelist of the site's own maps a concept below the ingredient."""
    given = tables()["drug_exposure"]
    row = given[given["drug_concept_id"] == 19026972].index[0]
    given.loc[row, "drug_concept_id"] = 777
    folder = written(tmp_path, {"drug_exposure": given})
    own = fs.cohort.Codelist.load("omop").model_copy(
        update={"codes": (Code(system="OMOP drug", code="777", concept="lenalidomide"),)}
    )
    lists = ("myeloma_drugs", "procedures", "omop")
    shipped = drugs_of(fs.cohort.from_omop(folder, engine=engine))
    extended = drugs_of(fs.cohort.from_omop(folder, engine=engine, codelists=(*lists, own)))
    assert extended["lenalidomide"] == shipped["lenalidomide"] + 1


def test_diagnoses(engine, tmp_path):
    """Source values with a dot; concepts where the source value is no ICD-10 code."""
    told = tables()["condition_occurrence"]
    told = told[told["condition_source_value"] == "C90.0"].reset_index(drop=True)
    told.loc[0, "condition_source_value"] = "myeloma!"
    told.loc[1, ["condition_source_value", "condition_concept_id"]] = ["C90.0", 0]
    told.loc[2, ["condition_source_value", "condition_concept_id"]] = ["myeloma!", 0]
    told.loc[3, "condition_status_concept_id"] = 32908  # one secondary diagnosis is not enough
    cohort = fs.cohort.from_omop(written(tmp_path, {"condition_occurrence": told}), engine=engine)
    persons = set(told["person_id"]) - {told.loc[2, "person_id"], told.loc[3, "person_id"]}
    assert set(cohort.person.execute()["person"]) == persons
    counts = cohort.report.set_index("label")["n_excluded"]
    assert counts["No ICD-10 code"] == 1


def test_persons(engine, tmp_path):
    changed = tables()
    person, period = changed["person"], changed["observation_period"]
    person.loc[0, "gender_concept_id"] = 0
    person["month_of_birth"] = person["month_of_birth"].astype("Int64")
    person.loc[1, "month_of_birth"] = pd.NA
    person.loc[2, "location_id"] = pd.NA
    second = period.iloc[[3]].assign(
        observation_period_start_date=D(2010, 1, 1), observation_period_end_date=D(2011, 1, 1)
    )
    period = pd.concat([period.iloc[[0, 1, 2, 3]], second], ignore_index=True)
    folder = written(tmp_path, {"person": person, "observation_period": period})
    found = fs.cohort.from_omop(folder, engine=engine).person.execute().set_index("person")
    assert sorted(found.index) == [0, 1, 2, 3]  # nobody without a period
    assert found.loc[0, "sex"] == "unknown"
    assert found.loc[1, "birth"].month == 1
    assert pd.isna(found.loc[2, "department"])
    assert found.loc[3, "follow_up_start"] == pd.Timestamp("2010-01-01")
    assert found.loc[3, "follow_up_end"] > pd.Timestamp("2014-01-01")


def test_optional_tables(engine, tmp_path):
    folder = written(tmp_path)
    for name in ("location", "visit_occurrence", "procedure_occurrence"):
        (folder / f"{name}.parquet").unlink()
    cohort = fs.cohort.from_omop(folder, engine=engine, phenotype=None)
    assert cohort.person.department.notnull().sum().execute() == 0
    assert "transplant" not in drugs_of(cohort)
    assert set(cohort.event.event.execute()) == {"diagnosis"}


def test_bad_input(engine, tmp_path):
    def refused(folder, match, **options):
        with pytest.raises(DataError, match=match):
            fs.cohort.from_omop(folder, engine=engine, **options)

    refused(tmp_path / "none", "folder must exist")
    folder = written(tmp_path / "a")
    whole = (folder / "death.parquet").read_bytes()
    (folder / "death.parquet").unlink()
    refused(folder, "must have its tables.*missing=death")
    (folder / "death.parquet").write_bytes(whole[:-8])
    refused(folder, "readable as a table.*death")
    (folder / "death.parquet").write_bytes(whole)
    table = pq.read_table(folder / "person.parquet")
    pq.write_table(table.drop_columns(["person_id"]), folder / "person.parquet")
    refused(folder, "person must have its columns.*missing=person_id")
    place = table.schema.get_field_index("gender_concept_id")
    text = table.set_column(place, "gender_concept_id", pa.array(["male"] * len(table)))
    pq.write_table(text, folder / "person.parquet")
    refused(folder, r"person\.gender_concept_id must be whole numbers: 20 rows")
    for name, column in (
        ("observation_period", "observation_period_end_date"),
        ("drug_exposure", "drug_exposure_end_date"),
        ("visit_occurrence", "visit_end_date"),
    ):
        frame = tables()[name]
        frame[column] = frame[column].astype(object)
        frame.loc[0, column] = D(1999, 1, 1)
        folder = written(tmp_path / name, {name: frame})
        refused(folder, rf"{name}\.{column} must not be before.*1 row")
        cohort = fs.cohort.from_omop(folder, engine=engine, reversed_dates="drop")
        assert cohort.report["n_excluded"].sum() >= 1
    with pytest.raises(DataError, match="10,000 records"):
        simulated = claims(20)
        one = simulated.event.iloc[[0]]
        many = pd.concat([one] * 10_001, ignore_index=True)
        fs.simulate.omop_tables(simulated.person, simulated.exposure, many)
