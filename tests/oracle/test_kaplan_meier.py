"""Kaplan-Meier, Nelson-Aalen, quantiles, weights and left truncation against R's survfit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, records, rows

KM = records("kaplan_meier")
WEIGHTED = records("weighted_kaplan_meier")
COLUMNS = {
    "n_risk": "n_risk",
    "survival": "surv",
    "std_error": "std_err",
    "lower": "lower",
    "upper": "upper",
}


def check_at(curve, expected: dict, columns: dict | None = None) -> None:
    """Compare a curve with R's summary at given times, group by group."""
    reference = pd.DataFrame({k: np.atleast_1d(np.array(v, object)) for k, v in expected.items()})
    ours = curve.at(sorted(set(reference["time"])))
    ours["strata"] = ours["group"].astype(str)
    reference["strata"] = reference["strata"].str.replace(r"^.*=", "", regex=True)
    for label, part in reference.groupby("strata", sort=False):
        mine = ours if label == "all" else ours[ours["strata"] == label]
        mine = mine.set_index("time").loc[part["time"]]
        for name, theirs in (columns or COLUMNS).items():
            agree(mine[name], part[theirs].to_list())


def check_quantiles(curve, expected: dict, strata: list | None = None) -> None:
    ours = curve.quantile(expected["probs"])
    if strata is not None:
        ours = pd.concat([ours[ours["group"].astype(str) == s] for s in strata])
    for name in ("quantile", "lower", "upper"):
        agree(ours[name], expected[name])


def lung_outcome():
    lung = rows("lung")
    return fs.Outcome(lung["time"], lung["status"] == 2), lung


@pytest.mark.parametrize("transform", ["log-log", "log", "plain"])
def test_lung(transform):
    y, _ = lung_outcome()
    expected = KM[f"km_lung_{transform}"]
    curve = fs.survival.kaplan_meier(y, transform=transform)
    check_at(curve, expected["at"])
    check_quantiles(curve, expected["quantiles"])
    assert len(y) == expected["n"]
    assert int(curve.counts["n_event"].sum()) == expected["events"]


def test_full_curve_and_cumulative_hazard():
    y, _ = lung_outcome()
    expected = KM["km_lung_full_curve"]
    table = fs.survival.kaplan_meier(y).table
    for name, theirs in {
        "time": "time",
        "n_risk": "n_risk",
        "n_event": "n_event",
        "n_censor": "n_censor",
        "survival": "surv",
    }.items():
        agree(table[name], expected[theirs])
    agree((table["std_error"] / table["survival"]), expected["std_err_log"])
    hazard = fs.survival.nelson_aalen(y).table
    agree(hazard["cumulative_hazard"], expected["cumhaz"])
    agree(hazard["std_error"], expected["std_chaz"])


def grouped():
    rotterdam = rows("rotterdam")
    rotterdam["rfs"] = rotterdam[["recur", "death"]].max(axis=1)
    rotterdam["t"] = np.where(rotterdam["recur"] == 1, rotterdam["rtime"], rotterdam["dtime"])
    lung = rows("lung")
    lung["dead"] = lung["status"] == 2
    return {
        "km_lung_sex_loglog": (lung, "time", "dead", "sex"),
        "km_veteran_trt": (rows("veteran"), "time", "status", "trt"),
        "km_veteran_celltype": (rows("veteran"), "time", "status", "celltype"),
        "km_mgus2_sex": (rows("mgus2"), "futime", "death", "sex"),
        "km_myeloid_trt": (rows("myeloid"), "futime", "death", "trt"),
        "km_flchain": (rows("flchain"), "futime", "death", "sex"),
        "km_rotterdam_rfs": (rotterdam, "t", "rfs", "hormon"),
        "km_alloauto": (rows("alloauto"), "time", "delta", "type"),
    }


@pytest.mark.parametrize("name", list(grouped()))
def test_groups(name):
    frame, time, event, group = grouped()[name]
    expected = KM[name]
    curve = fs.survival.kaplan_meier(fs.Outcome(frame[time], frame[event]), group=frame[group])
    check_at(curve, expected["at"])
    strata = list(dict.fromkeys(s.split("=")[1] for s in expected["at"]["strata"]))
    check_quantiles(curve, expected["quantiles"], strata)


@pytest.mark.parametrize("key", ["left_truncated", "ignoring_entry"])
def test_left_truncation(key):
    d = rows("myeloma")
    d = d[d["futime"] > d["entry"]]
    expected = KM["km_myeloma_lefttrunc"]
    assert len(d) == expected["n"]
    entry = d["entry"] if key == "left_truncated" else None
    curve = fs.survival.kaplan_meier(fs.Outcome(d["futime"], d["death"], entry=entry))
    check_at(curve, expected[key]["at"])
    check_quantiles(curve, expected[key]["quantiles"])


@pytest.mark.parametrize(
    ("key", "hazard", "ties"),
    [
        ("breslow_exp_minus_NA", "cumhaz1", "breslow"),
        ("fleming_harrington_ties", "cumhaz2", "fleming-harrington"),
    ],
)
def test_nelson_aalen(key, hazard, ties):
    y, _ = lung_outcome()
    expected = KM["fleming_harrington_surv_lung"]
    found = fs.survival.nelson_aalen(y, ties=ties)
    check_at(found.survival_curve("log"), expected[key])
    agree(found.at([100, 365, 700])["cumulative_hazard"], expected[hazard])


def test_reverse_kaplan_meier():
    lung = rows("lung")
    curve = fs.survival.kaplan_meier(fs.Outcome(lung["time"], lung["status"] == 1))
    check_quantiles(curve, KM["reverse_km_followup_lung"]["potential_followup"])


def test_case_weights():
    y, lung = lung_outcome()
    weight = lung["age"] / lung["age"].mean()
    robust = fs.survival.kaplan_meier(y, group=lung["sex"], weights=weight)
    check_at(robust, WEIGHTED["wkm_lung_caseweights"]["at"])
    check_quantiles(robust, WEIGHTED["wkm_lung_caseweights"]["quantiles"])
    check_at(robust, WEIGHTED["wkm_lung_robust_true"]["at"])
    clustered = fs.survival.kaplan_meier(
        y, group=lung["sex"], weights=weight, cluster=np.arange(len(y))
    )
    check_at(clustered, WEIGHTED["wkm_lung_robust_true"]["at"])
    counts = fs.survival.kaplan_meier(y, group=lung["sex"], weights=weight, variance="greenwood")
    check_at(counts, WEIGHTED["wkm_lung_robust_false"]["at"])
    # The two variances differ, so agreeing with both says something.
    assert abs(robust.table["std_error"] / counts.table["std_error"] - 1).max() > 0.001


def test_robust_without_weights():
    y, _ = lung_outcome()
    expected = WEIGHTED["wkm_lung_robust_unweighted"]["at"]
    check_at(fs.survival.kaplan_meier(y, variance="infinitesimal jackknife"), expected)
    check_at(fs.survival.kaplan_meier(y, cluster=np.arange(len(y))), expected)


def test_inverse_probability_weights():
    d = rows("rotterdam")
    d["rfs"] = d[["recur", "death"]].max(axis=1)
    d["t"] = np.where(d["recur"] == 1, d["rtime"], d["dtime"])
    d = d[d["nodes"] > 0]
    d = d.assign(s2=d["size"] == "20-50", s3=d["size"] == ">50")
    formula = "age + meno + s2 + s3 + C(grade) + nodes + np.log(pgr + 1) + np.log(er + 1)"
    y = fs.Outcome(d["t"], d["rfs"])
    expected = WEIGHTED["wkm_rotterdam_iptw"]
    assert len(d) == expected["n"]
    w = fs.compare.weights(formula, d["hormon"], data=d)
    agree(w.coefficients, expected["ps_coef"], 1e-6)
    agree(w.weights.sum(), expected["weight_sum"])
    agree([w.weights.min(), w.weights.max()], expected["weight_range"])
    agree(w.ess, expected["ess"])
    robust = fs.survival.kaplan_meier(y, group=d["hormon"], weights=w.weights)
    check_at(robust, expected["robust"])
    naive = fs.survival.kaplan_meier(y, group=d["hormon"], weights=w.weights, variance="greenwood")
    check_at(naive, expected["greenwood_weighted"])
    s = fs.compare.weights(formula, d["hormon"], data=d, stabilised=True)
    check_at(
        fs.survival.kaplan_meier(y, group=d["hormon"], weights=s.weights), expected["stabilised"]
    )


def test_every_record_is_used():
    used = {
        "km_lung_log-log",
        "km_lung_log",
        "km_lung_plain",
        "km_lung_full_curve",
        "km_myeloma_lefttrunc",
        "fleming_harrington_surv_lung",
        "reverse_km_followup_lung",
        *grouped(),
    }
    assert used == set(KM)
    assert set(WEIGHTED) == {
        "wkm_lung_caseweights",
        "wkm_lung_robust_false",
        "wkm_lung_robust_true",
        "wkm_lung_robust_unweighted",
        "wkm_rotterdam_iptw",
    }
