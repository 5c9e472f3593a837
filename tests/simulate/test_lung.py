"""Simulated early-access programme: calibrated, coherent, deterministic, with the errors that it says."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.simulate import chunks, lung, lung_claims, lung_course, lung_figures, writing
from fiac_survival.simulate.lung_parameters import lung_parameters
from tests.simulate.test_writing import prints

NONE = fs.simulate.LungErrors.none()
CUT = pd.Timestamp(lung_parameters().programme.cut_off)
TABLES = ("person", "exposure", "event", "linkage_key")


@pytest.fixture(scope="module")
def found():
    return fs.simulate.lung_early_access(6_000, seed=2)


@pytest.fixture(scope="module")
def clean():
    return fs.simulate.lung_early_access(3_000, seed=2, errors=NONE)


def paired(found) -> pd.DataFrame:
    """Files with what is true, what they say, and the errors made in them."""
    truth = found.truth.pairs.merge(found.truth.patients, on="patient", suffixes=("", "_true"))
    forms = found.forms.person.merge(found.forms.linkage_key, on="person", suffixes=("", "_key"))
    forms = forms.merge(found.forms.exposure[["person", "date", "end"]], on="person")
    event = found.forms.event
    reported = event[event["event"] == "progression"].set_index("person")["date"]
    forms["reported"] = forms["person"].map(reported)
    return truth.merge(
        forms, left_on="form_person", right_on="person", suffixes=("_true", ""), validate="1:1"
    )


# --- calibration -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibration(programmes):
    return fs.simulate.lung_calibration(programmes)


def test_every_target_is_met(calibration):
    targets = calibration[calibration["kind"] != "context"]
    assert len(targets) == 22
    assert targets["within_10_percent"].all(), targets[~targets["within_10_percent"]]
    # Not by luck of the seeds: the standard error of a share of 13,710 files is below 0.4 points.
    assert targets.loc[targets["kind"] == "target", "relative_error"].abs().max() < 0.08
    assert calibration["relative_error"].abs().max() < 0.20
    assert calibration["source"].str.len().min() > 10


def test_dates_of_single_patients_disagree_although_curves_agree(programmes):
    """Next treatment in the claims and progression in the forms: as many, not the same days."""
    apart, both = 0, 0
    for one in programmes[:10]:
        pairs = lung_figures.linked_pairs(one)
        forms = lung_figures._form_patients(one).set_index("form_person")["progression"]
        claims = lung_figures._claims_patients(one).set_index("claims_person")
        a = pairs["form_person"].map(forms)
        b = pairs["claims_person"].map(claims["next_treatment"])
        apart += int((a.isna() != b.isna()).sum() + ((b - a).dt.days.abs() > 30).sum())
        both += int((a.notna() | b.notna()).sum())
    assert 0.4 < apart / both < 0.9


def test_links_are_mostly_right(programmes):
    """The published algorithms find few wrong pairs, and the truth says which."""
    wrong, n = 0, 0
    for one in programmes:
        for passes in (lung_figures.NARROW, lung_figures.WIDE):
            links = lung_figures.linked_pairs(one, passes)
            assert not links["form_person"].duplicated().any()
            assert not links["claims_person"].duplicated().any()
            links = links.merge(one.truth.pairs, on="form_person", suffixes=("", "_true"))
            right = (links["claims_person"] == links["claims_person_true"]) | (
                links["claims_person"] == links["other_claims_person"]
            )
            wrong, n = wrong + int((~right.fillna(False)).sum()), n + len(links)
    assert wrong / n < 0.01


# --- truth -------------------------------------------------------------------------------------------


def test_truth_is_coherent(found):
    p = found.truth.patients
    first, last, _ = lung_parameters().days()
    assert p["patient"].is_unique
    assert p["start"].between(*(pd.Timestamp(d, unit="D") for d in (first, last))).all()
    assert (p["birth"] < p["diagnosis"]).all()
    assert (p["diagnosis"] < p["start"]).all()
    for before, after in (
        ("start", "progression"),
        ("start", "stop"),
        ("start", "death"),
        ("stop", "next_treatment"),
    ):
        both = p[p[before].notna() & p[after].notna()]
        assert (both[before] < both[after]).all()
    for what in ("progression", "next_treatment"):
        assert not (p[what] >= p["death"]).any()
    assert not (p["stop"] > p["death"]).any()
    assert p["death"].notna().sum() > 1_000
    stopped = p["stop_reason"] == "progression"
    assert (p.loc[stopped, "progression"] <= p.loc[stopped, "stop"]).all()
    assert (
        p.loc[p["stop_reason"] == "death", "stop"] == p.loc[p["stop_reason"] == "death", "death"]
    ).all()
    assert (p["stop_reason"].notna() == p["stop"].notna()).all()
    for name in ("start", "progression", "stop", "next_treatment", "death"):
        assert not (p[name] > CUT).any()


def test_truth_names_who_is_where(found):
    pairs, patients = found.truth.pairs, found.truth.patients.set_index("patient")
    assert pairs["form_person"].tolist() == found.forms.person["person"].tolist()
    assert len(pairs) == 6_000
    who = patients.loc[pairs["patient"]]
    assert who["in_programme"].all()
    assert (pairs["claims_person"].notna().to_numpy() == who["in_extract"].to_numpy()).all()
    persons = found.truth.claims
    assert persons["claims_person"].tolist() == sorted(found.claims.person["person"])
    assert len(persons) == round(6_000 * 1.4573)
    assert patients.loc[persons["patient"], "in_extract"].all()
    assert persons.loc[~persons["second_pseudonym"], "patient"].is_unique
    by = persons.set_index("claims_person")["patient"]
    known = pairs[pairs["claims_person"].notna()]
    assert (by.loc[known["claims_person"]].to_numpy() == known["patient"].to_numpy()).all()
    alone = ~patients["in_programme"]
    assert 0.3 < alone.mean() < 0.4
    # Neither the number of a file nor its place says which person it is.
    rank = np.corrcoef(known["patient"], known["claims_person"].astype(float))[0, 1]
    assert abs(rank) < 0.05


def test_without_errors_both_sources_say_the_truth(clean):
    rows = paired(clean)
    assert len(rows) == 3_000
    flags = clean.truth.pairs.select_dtypes(bool)
    assert not flags.to_numpy().any()
    assert (rows["date"] == rows["start"]).all()
    for said, true in (("end", "stop"), ("death", "death_true"), ("reported", "progression")):
        pd.testing.assert_series_equal(rows[said], rows[true], check_names=False)
    assert (rows["sex"] == rows["sex_true"]).all()
    assert (rows["department"] == rows["department_true"]).all()
    assert (rows["centre"] == rows["centre_true"]).all()
    assert (rows["birth_year"] == rows["birth_true"].dt.year).all()
    assert (rows["birth_month"] == rows["birth_true"].dt.month).all()
    assert (rows.loc[rows["death"].isna(), "follow_up_end"] == CUT).all()
    claims, persons = clean.claims, clean.truth.claims
    true = persons.merge(clean.truth.patients, on="patient").set_index("claims_person")
    person = claims.person.set_index("person")
    pd.testing.assert_series_equal(
        person["death"], true["death"], check_names=False, check_index=True
    )
    given = claims.exposure[claims.exposure["drug"] == "durvalumab"].groupby("person")["date"]
    assert (given.min() == true["start"]).all()
    assert (given.size() == true["infusions"]).all()
    assert (true["unbilled_infusions"] == 0).all()
    stop = true["stop"].fillna(CUT + pd.Timedelta(days=1))
    assert (given.max() < stop).all()
    assert ((stop - given.max()).dt.days <= 35).all()
    later = claims.exposure[claims.exposure["drug"].isin(lung_course.NEXT)]
    opening = later.groupby("person")["date"].min().reindex(true.index)
    pd.testing.assert_series_equal(opening, true["next_treatment"], check_names=False)
    keys = claims.linkage_key.set_index("person")
    assert (keys["first_treatment"] == true["start"]).all()
    assert (keys["centre"] == true["centre"]).all()


# --- claims ------------------------------------------------------------------------------------------


def test_claims_are_coherent(found):
    claims = found.claims
    person = claims.person.set_index("person")
    for table in (claims.exposure, claims.event):
        end = person.loc[table["person"], "follow_up_end"].to_numpy()
        begin = person.loc[table["person"], "follow_up_start"].to_numpy()
        assert (table["date"] <= end).all()
        assert (table["date"] >= begin).all()
    truth = found.truth.claims.merge(found.truth.patients, on="patient").set_index("claims_person")
    said = person["death"].reindex(truth.index)
    split = truth.index[truth["second_pseudonym"]]
    first_of_two = truth.index[
        truth["patient"].isin(truth.loc[split, "patient"]) & ~truth["second_pseudonym"]
    ]
    usual = truth.index.difference(first_of_two)
    right = usual[~truth.loc[usual, "missing_death"]]
    pd.testing.assert_series_equal(said[right], truth.loc[right, "death"], check_names=False)
    assert said[truth.index[truth["missing_death"]]].isna().all()
    assert said[first_of_two].isna().all()
    drug = claims.exposure[claims.exposure["drug"] == "durvalumab"]
    early = drug["date"] <= pd.Timestamp(lung_parameters().programme.last_day)
    inside = drug["table"] != "ER_UCD_F"
    assert set(drug.loc[inside & early, "table"]) == {"MEDATU"}
    assert set(drug.loc[inside & ~early, "table"]) == {"MED"}
    assert 0.02 < (~inside).mean() < 0.25
    assert set(drug["ucd"]) == {lung_parameters().programme.ucd}
    apart = drug.groupby("person")["date"].diff().dt.days.dropna()
    assert apart.mode().iloc[0] == 14
    assert ((apart % 7) == 0).all()
    every_four = drug["quantity"].groupby(drug["person"]).first()
    assert (every_four >= 1).all()
    before = claims.exposure[claims.exposure["drug"].isin(["cisplatin", "carboplatin"])]
    start = truth["start"].reindex(before["person"]).to_numpy()
    assert (before["date"] < start).all()
    assert ((start - before["date"]).dt.days <= 183).all()
    assert before.groupby("person").size().min() >= 2


def test_two_pseudonyms_share_the_records_of_one_patient(found):
    second = found.truth.claims[found.truth.claims["second_pseudonym"]]
    assert len(second) > 30
    persons = found.truth.claims.set_index("claims_person")["patient"]
    end = found.claims.person.set_index("person")[["follow_up_start", "follow_up_end"]]
    for claims_person, patient in second[["claims_person", "patient"]].itertuples(index=False):
        other = persons.index[(persons == patient) & (persons.index != claims_person)]
        assert len(other) == 1
        gap = end.loc[claims_person, "follow_up_start"] - end.loc[other[0], "follow_up_end"]
        assert gap == pd.Timedelta(days=1)


# --- forms -------------------------------------------------------------------------------------------


def test_forms_know_nothing_after_their_last_contact(found):
    forms = found.forms
    person = forms.person.set_index("person")
    assert (person["follow_up_end"] <= CUT).all()
    assert (person["follow_up_end"] >= person["follow_up_start"]).all()
    dead = person["death"].notna()
    assert (person.loc[dead, "death"] == person.loc[dead, "follow_up_end"]).all()
    end = person.loc[forms.event["person"], "follow_up_end"].to_numpy()
    assert (forms.event["date"] <= end).all()
    stop = forms.exposure.set_index("person")["end"]
    assert not (stop > person["follow_up_end"]).any()
    raw = forms.raw
    assert list(raw) == ["demande_acces", "initiation", "suivi", "arret"]
    assert raw["demande_acces"]["numero_dossier"].tolist() == person.index.tolist()
    assert not (
        raw["demande_acces"]["date_demande"] >= raw["initiation"]["date_premiere_administration"]
    ).any()
    visit = raw["suivi"].merge(person, left_on="numero_dossier", right_index=True)
    assert (visit["date_visite"] <= visit["follow_up_end"]).all()
    assert set(raw["suivi"]["reponse"]) >= {"progression", "maladie stable"}
    told = raw["suivi"]["commentaire"].notna().mean()
    assert abs(told - fs.simulate.LungErrors().comment) < 0.02
    assert raw["suivi"]["commentaire"].dropna().str.len().max() < 60
    died = raw["arret"].set_index("numero_dossier")["date_deces"].reindex(person.index)
    pd.testing.assert_series_equal(died, person["death"], check_names=False)


def rates(found) -> dict[str, tuple[float, int]]:
    """Share of each error among those that could have it, and how many could."""
    rows = paired(found)
    born = rows["birth_true"]
    swap = (born.dt.day <= 12) & (born.dt.day != born.dt.month)
    centres = found.truth.centres.set_index("finess")["department"]
    elsewhere = centres.loc[rows["centre_true"]].to_numpy() != rows["department_true"]
    among = {
        "swapped_day_month": swap,
        "hospital_department": elsewhere,
        "wrong_month": ~rows["swapped_day_month"],
        "missing_month": ~rows["swapped_day_month"] & ~rows["wrong_month"],
        "other_centre": ~rows["legal_entity"],
        "missing_department": rows["patient"] >= 0,
    }
    for name in ("wrong_year", "wrong_sex", "legal_entity"):
        among[name] = rows["patient"] >= 0
    known = rows["death_true"].notna() & ~rows["lost_to_follow_up"]
    among["unreported_death"] = known
    among["misdated_death"] = known & ~rows["unreported_death"]
    among["unreported_progression"] = rows["progression"].notna() & ~rows["lost_to_follow_up"]
    return {
        name: (float(rows.loc[rule, name].mean()), int(rule.sum())) for name, rule in among.items()
    }


def test_errors_come_as_often_as_configured(found):
    for errors, one in (
        (fs.simulate.LungErrors(), found),
        (
            high := fs.simulate.LungErrors(wrong_month=0.3, unreported_death=0.4, other_centre=0.5),
            fs.simulate.lung_early_access(3_000, seed=5, errors=high),
        ),
    ):
        for name, (share, n) in rates(one).items():
            rate = getattr(errors, name)
            slack = 4.5 * np.sqrt(rate * (1 - rate) / n)
            # Half the departments that a hospital's could replace are missing or equal already.
            if name in {"hospital_department", "misdated_death"}:
                slack += 0.15 * rate
            assert abs(share - rate) < slack, name
        again = one.truth.pairs["duplicate_form"].mean()
        assert abs(again - errors.duplicate_form) < 0.006
        twice = one.truth.claims["second_pseudonym"].mean()
        assert abs(twice - errors.duplicate_claims) < 0.006
        twins = one.truth.patients["twin_of"].notna().sum() / len(one.truth.pairs)
        assert abs(twins - errors.twin) < 0.006


def test_errors_are_what_they_say(found):
    rows = paired(found)
    born = rows["birth_true"]
    month, year = rows["birth_month"], rows["birth_year"]
    plain = ~(rows["swapped_day_month"] | rows["wrong_month"] | rows["missing_month"])
    assert (month[plain] == born.dt.month[plain]).all()
    assert (month[rows["swapped_day_month"]] == born.dt.day[rows["swapped_day_month"]]).all()
    assert (month[rows["wrong_month"]] != born.dt.month[rows["wrong_month"]]).all()
    assert month[rows["missing_month"]].isna().all()
    assert ((year != born.dt.year) == rows["wrong_year"]).all()
    assert ((rows["sex"] != rows["sex_true"]) == rows["wrong_sex"]).all()
    assert (rows["department"].isna() == rows["missing_department"]).all()
    same = rows["department"] == rows["department_true"]
    assert (same | rows["missing_department"] | rows["hospital_department"]).all()
    legal = found.truth.centres.set_index("finess")["legal"]
    of_legal = legal.loc[rows["centre_true"]].to_numpy()
    assert (rows["centre"].to_numpy() == of_legal)[rows["legal_entity"]].all()
    assert legal.duplicated().any()  # hospitals that share an entity
    other = rows["other_centre"]
    assert rows.loc[other, "centre"].isin(legal.index).all()
    assert (rows["centre"] != rows["centre_true"])[other].all()
    untouched = ~(other | rows["legal_entity"])
    assert (rows["centre"] == rows["centre_true"])[untouched].all()
    shift = (rows["date"] - rows["start"]).dt.days
    assert ((shift != 0) == rows["shifted_first_infusion"]).all()
    assert shift.max() <= 10
    assert abs(rows["shifted_first_infusion"].mean() - 0.15) < 0.02
    gone = rows["unreported_death"]
    assert rows.loc[gone, "death"].isna().all()
    exact = rows["death"].notna() & ~rows["misdated_death"]
    late = rows["shifted_first_infusion"]
    assert (rows["death"] == rows["death_true"])[exact & ~late].all()
    twins = found.truth.patients[found.truth.patients["twin_of"].notna()]
    assert len(twins) > 10
    one = found.truth.patients.set_index("patient").loc[twins["twin_of"]]
    for column in ("sex", "birth", "department", "centre"):
        assert (twins[column].to_numpy() == one[column].to_numpy()).all()
    assert not twins["in_programme"].any()


def test_unbilled_infusions():
    errors = NONE.model_copy(update={"unbilled_end": 0.5, "unbilled_infusion": 0.0})
    one = fs.simulate.lung_early_access(4_000, seed=3, errors=errors).truth.claims
    long = one[one["infusions"] > 12]
    assert abs(long["unbilled_infusions"].mean() - 1.0) < 0.1  # q / (1 - q)
    errors = NONE.model_copy(update={"unbilled_infusion": 0.2})
    one = fs.simulate.lung_early_access(4_000, seed=3, errors=errors).truth.claims
    assert abs(one["unbilled_infusions"].sum() / one["infusions"].sum() - 0.2) < 0.01
    errors = NONE.model_copy(update={"unbilled_end": 1.0})
    one = fs.simulate.lung_early_access(200, seed=3, errors=errors).truth.claims
    assert (one["infusions"] - one["unbilled_infusions"] == 1).all()


def test_everything_may_go_wrong():
    worst = fs.simulate.LungErrors(**dict.fromkeys(fs.simulate.LungErrors.model_fields, 1.0))
    for n in (1, 2, 3, 200):
        one = fs.simulate.lung_early_access(n, seed=1, errors=worst)
        assert len(one.forms.person) == n
        assert len(one.claims.person) >= n
    assert one.truth.pairs["duplicate_form"].mean() == 0.5
    assert one.forms.person["death"].isna().all()


def test_everybody_can_be_lost_at_once():
    errors = NONE.model_copy(update={"lost_to_follow_up": 1.0, "missing_follow_up": 1.0})
    one = fs.simulate.lung_early_access(200, seed=3, errors=errors)
    assert one.truth.pairs["lost_to_follow_up"].sum() > 190
    assert one.forms.raw["suivi"].empty
    assert (
        one.forms.person["follow_up_end"]
        <= one.forms.person["follow_up_start"] + pd.Timedelta(days=1)
    ).all()


# --- on disk -----------------------------------------------------------------------------------------


def test_deterministic(tmp_path):
    one, same, other = (fs.simulate.lung_early_access(100, seed=s) for s in (1, 1, 2))
    assert one.simulated
    for source in ("forms", "claims"):
        for name in TABLES:
            a, b = (getattr(getattr(x, source), name) for x in (one, same))
            pd.testing.assert_frame_equal(a, b)
    assert not one.claims.linkage_key.equals(other.claims.linkage_key)
    one.write(tmp_path / "a")
    same.write(tmp_path / "b")
    assert prints(tmp_path / "a") == prints(tmp_path / "b")
    assert len(prints(tmp_path / "a")) == 4 + 4 + 4 + 4 + 1


def test_written_sources_are_cohorts(found, tmp_path):
    found.write(tmp_path / "lung")
    assert "Simulated" in (tmp_path / "lung" / "SIMULATED.txt").read_text(encoding="utf-8")
    for source in ("forms", "claims"):
        cohort = fs.cohort.read(tmp_path / "lung" / source)
        try:
            quality = fs.cohort.quality(cohort, cutoff=CUT.date().isoformat())
            quality.raise_if_blocked()
            assert int(cohort.linkage_key.count().execute()) == len(
                getattr(found, source).linkage_key
            )
        finally:
            cohort.engine.close()
    raw = pd.read_csv(tmp_path / "lung/forms/raw/suivi.csv", dtype={"numero_dossier": str})
    assert list(raw) == list(found.forms.raw["suivi"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", raw["date_visite"].iloc[0])


def test_chunks_on_disk_are_those_in_memory(tmp_path, monkeypatch):
    for module in (chunks, writing, lung):
        monkeypatch.setattr(module, "CHUNK", 300)
    errors = fs.simulate.LungErrors(wrong_month=0.2)
    memory = fs.simulate.lung_early_access(700, seed=4, errors=errors)
    found = fs.simulate.write(
        "lung", tmp_path / "l", people=700, seed=4, buckets=2, options={"errors": errors}
    )
    assert "wrong_month" in (found.folder / "simulation.json").read_text(encoding="utf-8")
    assert memory.truth.pairs["form_person"].is_unique
    assert memory.truth.patients["patient"].is_unique
    assert memory.claims.person["person"].is_unique
    for name, order in (
        ("claims/person", ["person"]),
        ("claims/exposure", ["person", "date", "drug"]),
        ("forms/linkage_key", ["person"]),
        ("forms/raw/demande_acces", ["numero_dossier"]),
        ("truth/pairs", ["form_person"]),
    ):
        *path, table = name.split("/")
        expected = memory
        for part in path:
            expected = getattr(expected, part)
        expected = expected[table] if isinstance(expected, dict) else getattr(expected, table)
        rows = pd.read_parquet(found.folder / f"{name}.parquet").drop(columns="bucket")
        assert list(rows) == list(expected)
        rows, expected = (
            t.sort_values(order, kind="stable").reset_index(drop=True) for t in (rows, expected)
        )
        for column in order:
            assert rows[column].astype(str).tolist() == [
                str(v)[:10] if column == "date" else str(v) for v in expected[column]
            ]
    centres = pd.read_parquet(found.folder / "truth/centres.parquet")
    assert centres.drop(columns="bucket").drop_duplicates().shape[0] == len(memory.truth.centres)


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    errors = fs.simulate.LungErrors(twin=0.1)
    found = [
        fs.simulate.write(
            "lung",
            tmp_path / str(n),
            people=50_400,
            seed=3,
            processes=n,
            options={"errors": errors},
        )
        for n in (1, 2)
    ]
    assert prints(found[0].folder) == prints(found[1].folder)


# --- parameters and bad input ------------------------------------------------------------------------


def test_every_parameter_has_a_source():
    parameters = lung_parameters()
    for group in (parameters.patients, parameters.course, parameters.errors):
        assert all(len(one.source) > 5 for one in group.values())
    assert set(parameters.errors) == set(fs.simulate.LungErrors.model_fields)
    defaults = fs.simulate.LungErrors().model_dump()
    assert defaults == {name: one.value for name, one in parameters.errors.items()}
    assert set(lung_claims.ATC) >= set(lung_course.NEXT)


def test_bad_input():
    with pytest.raises(DataError, match="n must be at least 1"):
        fs.simulate.lung_early_access(0, seed=1)
    with pytest.raises(DataError, match=r"a rate of error.*wrong_month.*known: wrong_month"):
        fs.simulate.LungErrors(wrong_month=1.5)
    with pytest.raises(DataError, match="a rate of error.*rate=colour"):
        fs.simulate.LungErrors(colour=0.1)
    with pytest.raises(DataError, match="there must be a programme"):
        fs.simulate.lung_calibration([])
    assert len(fs.simulate.lung_early_access(1, seed=1).forms.person) == 1
