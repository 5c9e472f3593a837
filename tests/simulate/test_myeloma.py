"""Simulated myeloma: calibrated, deterministic, coherent, with a truth that the right analysis finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.simulate import claims as claims_module


@pytest.fixture(scope="module")
def found():
    return fs.simulate.myeloma_lines(20_000, seed=1)


def test_calibration():
    """Pathways, survival by line and single regimens: every figure is met within 10 %."""
    table = fs.simulate.myeloma_calibration(fs.simulate.myeloma_lines(200_000, seed=1))
    targets = table[table["kind"] == "target"]
    assert len(targets) == 23
    assert targets["within_10_percent"].all(), targets[~targets["within_10_percent"]]
    assert table["source"].str.len().min() > 10
    assert table["simulated"].notna().all()


def test_curves_come_down_to_one_half_at_the_medians_of_the_calibration(found):
    curves = fs.simulate.myeloma_curves(found)
    table = fs.simulate.myeloma_calibration(found).set_index("figure")["simulated"]
    for panel, series, name in (
        ("Survival, by line", "Line 4", "median survival from line 4, months"),
        ("Time to next treatment, line 1, by regimen", "Rd",
         "median time to next treatment, Rd in line 1, months"),
    ):  # fmt: skip
        curve = curves[(curves["panel"] == panel) & (curves["series"] == series)]
        curve = curve[curve["kind"] == "curve"]
        below = curve.loc[curve["survival"] <= 0.5, "month"].iloc[0]
        median = table[name]
        assert below - 1 <= (median if np.isscalar(median) else median.iloc[0]) <= below


def test_blocks_do_not_depend_on_the_number_of_patients():
    few, many = (fs.simulate.myeloma_lines(n, seed=3) for n in (300, 10_500))
    for name in ("person", "lines"):
        a, b = getattr(few, name), getattr(many, name)
        pd.testing.assert_frame_equal(a, b[b["person"] < 300].reset_index(drop=True))
    other = fs.simulate.myeloma_lines(300, seed=4)
    assert not other.lines.equals(few.lines)


def test_lines_are_coherent(found):
    lines, person = found.lines, found.person.set_index("person")
    assert (lines["ttnt"] >= 0).all()
    following = lines.groupby("person")["start"].shift(-1)
    moved = lines["end_reason"] == "switch"
    assert (following[moved] == (lines["start"] + lines["ttnt"])[moved]).all()
    assert following[~moved].isna().all()
    last = lines[~moved].set_index("person")
    died = last["end_reason"] == "death"
    ends = (last["start"] + last["ttnt"])[died]
    assert (ends == person.loc[ends.index, "death"]).all()
    assert person.loc[last.index[~died], "death"].isna().all()
    allowed = found.formulary.allowed
    names, groups = found.formulary.regimen_names, found.formulary.groups
    first = lines[lines["line"] == 1]
    for regimen, group in first[["regimen", "group"]].drop_duplicates().itertuples(index=False):
        assert allowed[0, names.index(regimen), groups.index(group)]


def test_the_truth_is_what_is_simulated():
    """Without confounding the share still in line 1 at two years is that of the truth."""
    found = fs.simulate.myeloma_lines(20_000, seed=5, confounding=0.0, years=1.0, cut_off=40.0)
    truth = fs.simulate.myeloma_truth()
    assert truth.simulated
    first = found.lines[found.lines["line"] == 1]
    for regimen, group in (("DRd", "fit, standard risk"), ("Rd", "frail, standard risk")):
        here = first[(first["regimen"] == regimen) & (first["group"] == group)]
        a, g = truth.regimens.index(regimen), truth.groups.index(group)
        leaving = truth.next_prob[0, a, g, 0] + truth.death_prob[0, a, g, 0]
        stay = 1 - leaving[:24].sum()
        share = (here["ttnt"] >= np.floor(24 * 30.4375)).mean()
        assert abs(share - stay) < 4 * np.sqrt(stay * (1 - stay) / len(here))
        died = truth.death_prob[0, a, g, 0].sum() / leaving.sum()
        ended = here[here["ttnt"] <= 119 * 30]
        assert abs((ended["end_reason"] == "death").mean() - died) < 0.05


def test_antibodies_look_harmful_to_who_does_not_ask_about_severity(found):
    """In line 2 anti-CD38 regimens are given to the severe: the crude hazard ratio is too high."""
    second = found.lines[(found.lines["line"] == 2)].copy()
    second["antibody"] = second["regimen"].isin(["DRd", "DVd", "IsaKd"])
    share = second.groupby("antibody")["severe"].mean()
    assert share[True] > share[False] + 0.15
    y = fs.Outcome(np.maximum(second["ttnt"], 1), second["end_reason"] == "death")
    crude = fs.survival.cox(y, second[["antibody"]].astype(float)).table["hazard_ratio"].iloc[0]
    asked = fs.survival.cox(y, second[["antibody", "severe"]].astype(float)).table
    assert crude > asked["hazard_ratio"].iloc[0] * 1.1


# --- claims ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def claims():
    return fs.simulate.myeloma_claims(2_000, seed=1)


def test_claims_tell_the_same_story(claims):
    person = claims.person.set_index("person")
    assert claims.simulated
    assert (
        claims.exposure["date"] >= person.loc[claims.exposure["person"], "diagnosis"].to_numpy()
    ).all()
    assert (
        claims.exposure["date"] <= person.loc[claims.exposure["person"], "follow_up_end"].to_numpy()
    ).all()
    dead = person["death"].notna()
    assert (person.loc[dead, "death"] == person.loc[dead, "follow_up_end"]).all()
    assert set(claims.exposure["kind"]) == {"drug", "procedure"}
    first = claims.truth.lines[claims.truth.lines["line"] == 1].set_index("person")
    opening = claims.exposure.groupby("person")["date"].min()
    expected = claims_module.FIRST_DAY + first["start"].to_numpy().astype("timedelta64[D]")
    assert (opening.loc[first.index].to_numpy() == expected).all()
    at_start = claims.exposure.merge(opening.rename("first"), left_on="person", right_index=True)
    at_start = at_start[
        (at_start["date"] == at_start["first"]) & (at_start["drug"] != "dexamethasone")
    ]
    given = at_start.groupby("person")["drug"].agg(lambda d: tuple(sorted(d)))
    assert (
        given == first["regimen"].map(claims_module.DRUGS).map(lambda d: tuple(sorted(d)))
    ).all()
    severe = claims.event[claims.event["code"] == claims_module.SEVERITY_CODE]
    assert len(severe) == (claims.truth.lines["severe"] == 1).sum()


def test_claims_are_written_whole_and_labelled(claims, tmp_path):
    claims.write(tmp_path / "claims")
    assert "Simulated" in (tmp_path / "claims" / "SIMULATED.txt").read_text(encoding="utf-8")
    again = pd.read_parquet(tmp_path / "claims" / "exposure.parquet")
    again["date"] = pd.to_datetime(again["date"]).astype("datetime64[s]")
    pd.testing.assert_frame_equal(again, claims.exposure)
    other = fs.simulate.myeloma_claims(2_000, seed=1)
    pd.testing.assert_frame_equal(other.person, claims.person)
    pd.testing.assert_frame_equal(other.exposure, claims.exposure)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fs.simulate.myeloma_lines(0, seed=1),
        lambda: fs.simulate.myeloma_lines(10, seed=1, years=5.0, cut_off=4.0),
        lambda: fs.simulate.myeloma_claims(-1, seed=1),
    ],
)
def test_bad_input(call):
    with pytest.raises(DataError, match="n must be"):
        call()
