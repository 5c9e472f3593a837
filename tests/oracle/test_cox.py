"""Cox models and tests of proportional hazards against R's coxph and cox.zph."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("cox")
ZPH = records("proportional_hazards")


def check(model, expected) -> None:
    """Everything that summary(coxph) prints; R stops iterating at 1e-9 of the log-likelihood."""
    table = expected["coefficients"]
    reference = dict(zip(table["colnames"], numbers(table).T, strict=True))
    agree(model.coef, reference["coef"], 1e-6)
    agree(np.sqrt(np.diag(model.model_covariance)), reference["se(coef)"], 1e-6)
    robust = reference.get("robust se", reference["se(coef)"])
    agree(model.table["std_error"], robust, 1e-6)
    agree(model.table["z"], reference["z"], 1e-6)
    agree(model.table["p_value"], reference["Pr(>|z|)"], 1e-5)
    agree(model.covariance, expected["var"], 1e-6)
    interval = numbers(expected["conf_int_hr"])
    agree(model.table[["hazard_ratio", "lower", "upper"]], interval[:, [0, 2, 3]], 1e-6)
    agree([model.log_likelihood_null, model.log_likelihood], expected["loglik"], 1e-8)
    tests = model.tests.set_index("test")["statistic"]
    agree(tests["likelihood ratio"], expected["lrt"]["test"], 1e-8)
    agree(tests["score"], expected["score"]["test"], 1e-8)
    agree(tests["wald"], expected["wald"]["test"], 1e-2, 0.006)
    if expected["robust_score"]:
        agree(tests["robust score"], expected["robust_score"]["test"], 1e-8)
    found = model.concordance()
    agree([found.estimate, found.std_error], expected["concordance"], 1e-7)
    assert model.n == expected["n"]
    assert model.n_event == expected["nevent"]


def lung(**drop):
    d = rows("lung").dropna(subset=["ecog", *drop])
    return d, fs.Outcome(d["time"], d["status"] == 2)


def veteran():
    d = rows("veteran")
    d["celltype"] = pd.Categorical(d["celltype"], ["squamous", "smallcell", "adeno", "large"])
    formula = "trt + celltype + karno + diagtime + age + prior"
    return d, fs.Outcome(d["time"], d["status"]), formula


@pytest.mark.parametrize("ties", ["efron", "breslow", "exact"])
def test_ties(ties):
    d, y = lung()
    check(fs.survival.cox(y, d[["age", "sex", "ecog"]], ties=ties), EXPECTED[f"cox_lung_{ties}"])
    d, y, formula = veteran()
    check(fs.survival.cox(y, formula, data=d, ties=ties), EXPECTED[f"cox_veteran_{ties}"])


def test_efron_is_not_breslow():
    d, y = lung()
    efron, breslow = (
        fs.survival.cox(y, d[["sex"]], ties=ties).coef.iloc[0] for ties in ("efron", "breslow")
    )
    assert abs(efron / breslow - 1) > 1e-4


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_clusters(ties):
    d, y = lung(inst=True)
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]], ties=ties, cluster=d["inst"])
    check(model, EXPECTED[f"cox_lung_cluster_inst_{ties}"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_strata(ties):
    d, y = lung()
    model = fs.survival.cox(y, d[["age", "ecog"]], ties=ties, strata=d["sex"])
    check(model, EXPECTED[f"cox_lung_strata_{ties}"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_weights(ties):
    d, y = lung()
    weight = d["age"] / rows("lung")["age"].mean()
    model = fs.survival.cox(y, d[["sex", "ecog"]], ties=ties, weights=weight)
    assert model.variance == "robust"
    check(model, EXPECTED[f"cox_lung_weights_{ties}"])


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_counting_process(ties):
    d = rows("heart")
    y = fs.Outcome(d["stop"], d["event"], entry=d["start"])
    model = fs.survival.cox(y, d[["age", "year", "surgery", "transplant"]], ties=ties)
    check(model, EXPECTED[f"cox_heart_countingprocess_{ties}"])


def test_age_as_time_scale():
    d = rows("mgus").dropna(subset=["hgb", "mspike"])
    y = fs.Outcome(d["age"] + d["futime"] / 365.25, d["death"], entry=d["age"])
    model = fs.survival.cox(y, "sex + hgb + mspike", data=d)
    check(model, EXPECTED["cox_mgus_agescale"])


@pytest.mark.parametrize(
    ("key", "late", "ties"),
    [
        ("left_truncated_efron", True, "efron"),
        ("left_truncated_breslow", True, "breslow"),
        ("ignoring_entry", False, "efron"),
    ],
)
def test_left_truncation(key, late, ties):
    d = rows("myeloma")
    d = d[d["futime"] > d["entry"]].assign(decade=lambda x: (x["year"] - 70) / 10)
    y = fs.Outcome(d["futime"], d["death"], entry=d["entry"] if late else None)
    model = fs.survival.cox(y, d[["decade"]], ties=ties)
    check(model, EXPECTED["cox_myeloma_lefttrunc"][key])


def test_other_models():
    d = rows("lung")
    y = fs.Outcome(d["time"], d["status"] == 2)
    check(fs.survival.cox(y, d[["sex"]]), EXPECTED["cox_lung_sex_ph"])
    d = rows("pbc").dropna(subset=["protime"])
    formula = "age + edema + log(bili) + log(protime) + log(albumin)"
    model = fs.survival.cox(fs.Outcome(d["time"], d["status"] == 2), formula, data=d)
    check(model, EXPECTED["cox_pbc_model"])
    d = rows("gbsg")
    formula = "age + meno + size + C(grade) + nodes + np.log1p(pgr) + np.log1p(er) + hormon"
    model = fs.survival.cox(fs.Outcome(d["rfstime"], d["status"]), formula, data=d)
    check(model, EXPECTED["cox_gbsg"])
    d = rows("flchain").dropna(subset=["creatinine"])
    formula = "age + sex + flc + creatinine + mgus"
    model = fs.survival.cox(fs.Outcome(d["futime"], d["death"]), formula, data=d)
    check(model, EXPECTED["cox_flchain"])


def test_one_model_a_cause():
    d = rows("mgus2")
    time = np.where(d["pstat"] == 0, d["futime"], d["ptime"])
    code = np.where(d["pstat"] == 0, 2 * d["death"], 1)
    expected = EXPECTED["cox_competing_cause_specific_mgus2"]
    for cause, key in ((1, "pcm"), (2, "death")):
        model = fs.survival.cox(fs.Outcome(time, code == cause), "age + sex", data=d)
        check(model, expected[key])


def test_baseline_and_prediction():
    d = rows("lung")
    y = fs.Outcome(d["time"], d["status"] == 2)
    expected = EXPECTED["cox_baseline_predict_lung"]
    new = pd.DataFrame({"age": [50, 60, 70], "sex": [1, 2, 1]})
    for ties in ("efron", "breslow"):
        model = fs.survival.cox(y, d[["age", "sex"]], ties=ties)
        ours = model.predict_survival(new, [100, 365, 700]).sort_values(["time", "row"])
        for name, theirs in {
            "survival": "surv",
            "std_error": "se",
            "lower": "lower",
            "upper": "upper",
        }.items():
            if theirs in expected[ties][0]:
                agree(ours[name], np.concatenate([t[theirs] for t in expected[ties]]), 1e-7)
    model = fs.survival.cox(y, d[["age", "sex"]])
    baseline = model.baseline().set_index("time")["cumulative_hazard"]
    reference = expected["basehaz_uncentered"]
    agree(baseline.loc[reference["time"]], reference["hazard"], 1e-6)
    agree(new.to_numpy() @ model.coef, expected["lp"], 1e-6, 1e-7)  # terms of size 1 cancel


@pytest.mark.parametrize("transform", ["km", "identity", "rank", "log"])
def test_proportional_hazards(transform):
    d, y = lung()
    expected = ZPH[f"zph_lung_{transform}"]
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]])
    found = model.test_proportional_hazards(transform)
    agree(found.table[["statistic", "df", "p_value"]], expected["table"], 1e-6)
    agree(found.residuals["transformed_time"][:5], expected["x_first5"])
    agree(found.residuals.iloc[:3, 2:], expected["y_first3"], 1e-6)
    d, y, formula = veteran()
    expected = ZPH[f"zph_veteran_{transform}"]
    model = fs.survival.cox(y, formula, data=d)
    for terms, key in ((True, "table_terms"), (False, "table_columns")):
        found = model.test_proportional_hazards(transform, terms=terms)
        agree(found.table[["statistic", "df", "p_value"]], expected[key], 1e-6)


def test_proportional_hazards_elsewhere():
    d, y = lung()
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]], ties="breslow")
    agree(
        model.test_proportional_hazards().table[["statistic", "df", "p_value"]],
        ZPH["zph_lung_breslow_km"]["table"],
        1e-6,
    )
    d = rows("gbsg")
    formula = "age + size + C(grade) + nodes + np.log1p(pgr) + hormon"
    model = fs.survival.cox(fs.Outcome(d["rfstime"], d["status"]), formula, data=d)
    agree(
        model.test_proportional_hazards().table[["statistic", "df", "p_value"]],
        ZPH["zph_gbsg_km"]["table"],
        1e-6,
    )


@pytest.mark.parametrize("transform", ["identity", "km"])
def test_grambsch_therneau(transform):
    d, y = lung()
    expected = ZPH["zph_lung_GT1994_identity_km"][transform]
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]])
    found = model.test_proportional_hazards(transform, method="grambsch-therneau")
    agree(found.table["statistic"], expected["chisq"], 1e-6)
    agree(found.table["p_value"], expected["p"], 1e-6)
    exact = model.test_proportional_hazards(transform).table["statistic"]
    assert abs(found.table["statistic"] / exact - 1).max() > 1e-3


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("martingale", "martingale_first10"),
        ("deviance", "deviance_first10"),
        ("score", "score_first5"),
        ("dfbeta", "dfbeta_first5"),
        ("schoenfeld", "schoenfeld_first5"),
        ("scaled_schoenfeld", "scaledsch_first5"),
    ],
)
def test_residuals(kind, key):
    d, y = lung()
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]])
    expected = numbers(EXPECTED["cox_residuals_lung"][key])
    ours = model.residuals(kind).iloc[: len(expected), -max(1, expected.size // len(expected)) :]
    # R stops iterating earlier; residuals move by 1e-7 of their size with the coefficients.
    agree(ours, expected, 1e-6, 1e-7 * np.abs(expected).max())
    if kind == "score":
        sums = EXPECTED["cox_residuals_lung"]["score_colsums"]
        agree(model.residuals(kind).sum(), sums, absolute=1e-6)


def test_ridge():
    d = rows("pbc")[["time", "status", "age", "bili", "albumin", "protime"]].dropna()
    y = fs.Outcome(d["time"], d["status"] == 2)
    model = fs.survival.cox_ridge(y, d.iloc[:, 2:], theta=10, scale=False)
    expected = EXPECTED["cox_ridge_pbc"]
    agree(model.coef, expected["coef"], 1e-8)
    agree([model.log_likelihood_null, model.log_likelihood], expected["loglik"])
    agree(model.degrees_of_freedom, expected["df"])
    again = fs.survival.cox_ridge(y, d.iloc[:, 2:], degrees_of_freedom=expected["df"], scale=False)
    assert again.theta == pytest.approx(10, rel=1e-6)


def test_step_function():
    d, y, _ = veteran()
    model = fs.survival.varying_effects(y, d[["trt", "prior", "karno"]], {"karno": [90, 180]})
    check(model.model, EXPECTED["cox_stepfunction_veteran"])


def test_additive_hazards():
    d, y = lung()
    model = fs.survival.aalen_additive(y, d[["age", "sex", "ecog"]], min_at_risk=1)
    expected = EXPECTED["aareg_lung"]
    names = ["slope", "coef", "std_error", "z", "p_value"]
    agree(model.table[names], expected["table"])
    agree([model.statistic], expected["chisq"])


def test_gaussian_frailty():
    d, y = lung(inst=True)
    expected = EXPECTED["cox_frailty_gamma_lung"]

    def fit(**options):
        return fs.survival.cox_frailty(y, d[["sex", "ecog"]], d["inst"], **options)

    # The record's theta is R's next guess, its fit that of the guess before: found by its likelihood.
    estimated = fit(information="diagonal")
    assert estimated.theta == pytest.approx(expected["theta"], rel=1e-4)

    def short(theta):
        return fit(theta=theta, information="diagonal").log_likelihood - expected["loglik"][1]

    theta = brentq(short, 0.02, 0.022, xtol=1e-13)
    assert theta == pytest.approx(expected["theta"], rel=5e-3)
    model = fit(theta=theta, information="diagonal")
    agree(model.coef, expected["coef"], 1e-6)
    agree([model.log_likelihood_null], expected["loglik"][:1])
    agree(model.degrees_of_freedom, expected["df"], 1e-5)
    full = fit(theta=theta)
    agree(full.coef, expected["coef"], 1e-6)
    assert abs(full.degrees_of_freedom["frailty"] / expected["df"][2] - 1) > 1e-3


def test_every_record_is_used():
    used = {f"cox_{d}_{t}" for d in ("lung", "veteran") for t in ("efron", "breslow", "exact")}
    for ties in ("efron", "breslow"):
        used |= {
            f"cox_lung_cluster_inst_{ties}",
            f"cox_lung_strata_{ties}",
            f"cox_lung_weights_{ties}",
            f"cox_heart_countingprocess_{ties}",
        }
    used |= {
        "cox_lung_sex_ph",
        "cox_mgus_agescale",
        "cox_myeloma_lefttrunc",
        "cox_pbc_model",
        "cox_gbsg",
        "cox_flchain",
        "cox_competing_cause_specific_mgus2",
        "cox_baseline_predict_lung",
        "cox_residuals_lung",
        "cox_ridge_pbc",
        "cox_stepfunction_veteran",
        "aareg_lung",
        "cox_frailty_gamma_lung",
    }
    assert used == set(EXPECTED)
    transforms = ("km", "identity", "rank", "log")
    assert set(ZPH) == {f"zph_{d}_{t}" for d in ("lung", "veteran") for t in transforms} | {
        "zph_gbsg_km",
        "zph_lung_breslow_km",
        "zph_lung_GT1994_identity_km",
    }
