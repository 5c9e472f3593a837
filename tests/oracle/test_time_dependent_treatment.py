"""Treatment that starts during follow-up, against R's survival."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("time_dependent_treatment")


def myeloid():
    d = rows("myeloid")
    return d, fs.Outcome(d["futime"], d["death"])


def like_coxph(model, expected):
    table = numbers(expected["coefficients"])
    robust = expected["naive_var"] is not None
    agree(model.coef, table[:, 0])
    agree(model.table["std_error"], table[:, 3 if robust else 2])
    agree(model.table["p_value"], table[:, -1])
    agree(model.covariance, expected["var"])
    agree([model.log_likelihood_null, model.log_likelihood], expected["loglik"])
    agree(model.table[["lower", "upper"]], numbers(expected["conf_int_hr"])[:, 2:])
    tests = model.tests.set_index("test")["statistic"]
    agree(tests["score"], expected["score"]["test"])
    agree(tests["likelihood ratio"], expected["lrt"]["test"])
    assert (model.n, model.n_event) == (expected["n"], expected["nevent"])


def arm(d):
    return (d["trt"] == "B").to_numpy(dtype=float)


def test_cox_by_flt3():
    d, y = myeloid()
    expected = EXPECTED["cox_myeloid_flt3"]
    x = pd.DataFrame({"trtB": arm(d), "B": d["flt3"] == "B", "C": d["flt3"] == "C"}).astype(float)
    like_coxph(fs.survival.cox(y, x.assign(m=(d["sex"] == "m") * 1.0)), expected["cox"])
    like_coxph(fs.survival.cox(y, x[["trtB"]], strata=d["flt3"]), expected["cox_stratified"])
    test = fs.survival.logrank(y, d["trt"], strata=d["flt3"])
    theirs = expected["stratified_logrank"]
    agree(test.statistic, theirs["chisq"])
    for name, key in (("observed", "obs"), ("expected", "exp")):
        by_stratum = numbers(theirs[key]).reshape(2, -1)
        agree(test.table[name], by_stratum.sum(axis=1))


def test_time_dependent_covariates():
    d, y = myeloid()
    expected = EXPECTED["cox_myeloid_timedep_transplant"]
    changes = {"tx": d["txtime"], "cr": d["crtime"], "rl": d["rltime"]}
    pieces = fs.survival.split_at_changes(y, changes)
    assert len(pieces.row) == expected["rows"]
    trt = pd.Series(arm(d)[pieces.row], name="trtB")
    x = pd.concat([trt, pieces.covariates], axis=1)
    like_coxph(fs.survival.cox(pieces.outcome, x), expected["main"])
    both = pd.DataFrame({"trtB": trt, "tx": x["tx"], "trtB:tx": trt * x["tx"]})
    like_coxph(
        fs.survival.cox(pieces.outcome, both, cluster=pieces.row), expected["interaction_robust"]
    )


def test_landmarks():
    d, y = myeloid()
    expected = EXPECTED["landmark_myeloid_transplant"]
    for e in expected["landmarks"]:
        at = fs.survival.landmark(y, d["txtime"], at=e["L"])
        assert at.table["n"].sum() == e["n"]
        assert at.table["n"].iloc[1] == e["n_tx"]
        assert at.excluded["n"].sum() == len(d) - e["n"]
        x = pd.DataFrame({"tx": at.treated.astype(float), "trtB": arm(d)[at.rows]})
        model = fs.survival.cox(at.outcome, x)
        agree(model.coef, list(e["coef"].values()), relative=1e-6)
        agree(model.table["std_error"], list(e["se"].values()), relative=1e-6)
        curves = fs.survival.kaplan_meier(at.outcome, group=at.treated).at([365, 730])
        agree(curves["survival"], e["surv"])
    naive = pd.DataFrame({"ever": d["txtime"].notna().astype(float), "trtB": arm(d)})
    like_coxph(fs.survival.cox(y, naive), expected["naive_ever_treated"])


def test_the_heart_transplants():
    """The immortal time of "ever transplanted" turns no effect into one of 0.27."""
    expected = EXPECTED["heart_naive_vs_timedep"]
    d = rows("heart")
    y = fs.Outcome(d["stop"], d["event"], entry=d["start"])
    like_coxph(fs.survival.cox(y, d[["transplant"]].astype(float)), expected["time_dependent"])
    j = rows("jasa")
    y = fs.Outcome(np.maximum(j["futime"], 0.5), j["fustat"])
    like_coxph(fs.survival.cox(y, j[["transplant"]].astype(float)), expected["naive"])
    waited = j["wait.time"].where(j["transplant"] == 1)
    with pytest.raises(fs.errors.DataError, match="immortal time.*landmark, simon_makuch"):
        fs.survival.immortal_time(y, waited).require_none()


def test_simon_makuch():
    d, y = myeloid()
    expected = EXPECTED["simon_makuch_myeloid"]
    curves = fs.survival.simon_makuch(y, d["txtime"])
    times = expected["time"][:5]
    found = curves.at(times)
    agree(found["survival"], expected["surv"])
    agree(found["std_error"], expected["std_err"])
    agree(found["lower"], expected["lower"])
    agree(found["upper"], expected["upper"])
    # Between two times R gives those at risk at the later one, whoever enters in between included.
    n_risk = [
        curve.loc[curve["time"] >= t, "n_risk"].iloc[0]
        for _, curve in curves.table.groupby("group", sort=False)
        for t in times
    ]
    agree(n_risk, expected["n_risk"])


def test_every_record_is_used():
    assert set(EXPECTED) == {
        "cox_myeloid_flt3",
        "cox_myeloid_timedep_transplant",
        "landmark_myeloid_transplant",
        "heart_naive_vs_timedep",
        "simon_makuch_myeloid",
    }
