"""One simulated cohort in three shapes: the readers give the same tables, lines and risk tables."""

from __future__ import annotations

import pandas as pd
import pytest

import fiac_survival as fs
from tests.cohort.source_cases import COMMON, YEARS, claims, collected, from_snds


@pytest.fixture(scope="module")
def engine():
    connection = fs.cohort.connect("duckdb")
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def cohorts(engine, tmp_path_factory):
    """The same persons read from canonical, SNDS and OMOP tables."""
    folder = tmp_path_factory.mktemp("shapes")
    simulated = claims()
    simulated.write(folder / "canonical")
    fs.simulate.write_snds(simulated, folder / "snds")
    fs.simulate.write_omop(simulated, folder / "omop")
    return {
        "canonical": fs.cohort.read(folder / "canonical", engine=engine),
        "snds": from_snds(folder / "snds", engine),
        "omop": fs.cohort.from_omop(folder / "omop", engine=engine),
    }


@pytest.mark.parametrize("shape", ["snds", "omop"])
@pytest.mark.parametrize("table", list(COMMON))
def test_tables(cohorts, shape, table):
    expected = collected(cohorts["canonical"], table)
    assert len(expected) >= 300
    pd.testing.assert_frame_equal(collected(cohorts[shape], table), expected)


def lines(cohort):
    found = fs.cohort.lines_of_therapy(cohort.exposure, "imwg", follow_up=cohort.person).table
    found["person"] = found["person"].astype("int64")
    return found.sort_values(["person", "line"]).reset_index(drop=True)


@pytest.mark.parametrize("shape", ["snds", "omop"])
def test_lines_and_risk_tables(cohorts, shape):
    expected = lines(cohorts["canonical"])
    found = lines(cohorts[shape])
    assert expected["line"].max() >= 3
    pd.testing.assert_frame_equal(found, expected)
    tables = []
    for cohort in (cohorts["canonical"], cohorts[shape]):
        person = cohort.person
        days = person.follow_up_end.epoch_days() - person.diagnosis.epoch_days()
        analysis = person.mutate(
            time=days.cast("int64"), event=person.death.notnull().cast("int64")
        )
        tables.append(fs.cohort.risk_table(analysis, by="sex").table)
    assert tables[0]["n"].sum() == 300
    pd.testing.assert_frame_equal(tables[1], tables[0])


@pytest.mark.parametrize("shape", ["snds", "omop"])
def test_quality_blocks_nothing(cohorts, shape):
    fs.cohort.quality(cohorts[shape]).raise_if_blocked()


def test_chunks_give_the_same_rows():
    simulated = claims(40)
    tables = {
        "snds": lambda p, x, e: fs.simulate.snds_tables(p, x, e, years=YEARS),
        "omop": fs.simulate.omop_tables,
    }
    for shape, make in tables.items():
        whole = make(simulated.person, simulated.exposure, simulated.event)
        parts = []
        for some in (range(13), range(13, 40)):
            frames = (simulated.person, simulated.exposure, simulated.event)
            parts.append(make(*(frame[frame["person"].isin(some)] for frame in frames)))
        for name, table in whole.items():
            if name == "location":
                pd.testing.assert_frame_equal(parts[0][name], table)
                continue
            both = pd.concat([part[name] for part in parts], ignore_index=True)
            assert sorted(map(str, both.itertuples(index=False))) == sorted(
                map(str, table.itertuples(index=False))
            ), (shape, name)


def test_keys_are_unique():
    tables = fs.simulate.snds_tables(
        *(getattr(claims(40), name) for name in ("person", "exposure", "event")), noise=()
    )
    keys = fs.cohort.SndsDefinitions.load().values.keys
    assert not tables["ER_PRS_F"].duplicated(list(keys)).any()
    for year in range(14, 24):
        assert not tables[f"T_MCO{year}B"].duplicated(["ETA_NUM", "RSA_NUM"]).any()
    omop = fs.simulate.omop_tables(
        *(getattr(claims(40), name) for name in ("person", "exposure", "event"))
    )
    assert omop["drug_exposure"]["drug_exposure_id"].is_unique
    assert (omop["drug_exposure"]["drug_concept_id"] == 0).any()
    assert (omop["drug_exposure"]["drug_concept_id"] > 0).any()


def test_records_that_cover_several_cycles_keep_their_day(engine, tmp_path):
    """Longer records have an end, which claims do not: the day stays that of the record."""
    simulated = fs.simulate.myeloma_claims(60, seed=2, days_per_record=224)
    assert "end" in simulated.exposure
    fs.simulate.write_snds(simulated, tmp_path, years=range(2013, 2024))
    cohort = from_snds(tmp_path, engine, years=range(2013, 2024))
    found = cohort.exposure.select("person", "date", "drug").execute()
    found["person"] = found["person"].astype("int64")
    found["date"] = found["date"].astype("datetime64[s]")
    order = ["person", "date", "drug"]
    expected = simulated.exposure[order].astype({"drug": object})
    pd.testing.assert_frame_equal(
        found.sort_values(order).reset_index(drop=True),
        expected.sort_values(order).reset_index(drop=True),
    )
