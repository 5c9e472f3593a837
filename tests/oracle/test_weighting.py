"""Weights, balance and two-source effects against R (glm, survfit, coxph, exact entropy balancing)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("weighting")
X = ["age", "meno", "s2", "s3", "grade3", "nodes", "lpgr", "ler"]
OPTIONS = {
    "ate": {},
    "stab": {"stabilised": True},
    "att": {"estimand": "att"},
    "atc": {"estimand": "atc"},
    "overlap": {"estimand": "overlap"},
    "matching": {"estimand": "matching"},
    "ate_trim99": {"truncate": {"on": "weight", "quantiles": (0.0, 0.99)}},
}
# Other packages' optimisers or methods that the package does not have.
NOT_REFERENCES = {
    "weightit_ebal_ATT_rotterdam",
    "weightit_ebal_ATE_rotterdam",
    "weightit_ebal_moments2_rotterdam",
    "matchit_nn_rotterdam",
    "matchit_lalonde_ps",
    "ate_riskregression_rotterdam",
    "evalue_formula",
}


def rotterdam():
    d = rows("rotterdam")
    d["rfs"] = d[["recur", "death"]].max(axis=1)
    d["t"] = np.where(d["recur"] == 1, d["rtime"], d["dtime"])
    d = d[d["nodes"] > 0].assign(
        grade3=lambda x: (x["grade"] == 3).astype(int),
        s2=lambda x: (x["size"] == "20-50").astype(int),
        s3=lambda x: (x["size"] == ">50").astype(int),
        lpgr=lambda x: np.log(x["pgr"] + 1),
        ler=lambda x: np.log(x["er"] + 1),
    )
    return d.reset_index(drop=True), fs.Outcome(d["t"], d["rfs"])


def hazard_ratio(y, treated, w, **options):
    return fs.compare.effect(
        y, treated, measure="hazard_ratio", weights=w, weight_variance="fixed", **options
    )


def check_cox(found, expected) -> None:
    row = dict(
        zip(
            expected["coefficients"]["colnames"],
            numbers(expected["coefficients"])[0],
            strict=True,
        )
    )
    agree(found.on_scale, row["coef"], 1e-6)
    agree(found.std_error, row.get("robust se", row["se(coef)"]), 1e-6)
    agree(
        [found.estimate, found.lower, found.upper],
        numbers(expected["conf_int_hr"])[0, [0, 2, 3]],
        1e-6,
    )


@pytest.mark.parametrize("name", list(OPTIONS))
def test_inverse_probability_weights(name):
    d, y = rotterdam()
    expected = EXPECTED[f"iptw_rotterdam_{name}"]
    w = fs.compare.weights(d[X], d["hormon"], **OPTIONS[name])
    agree(w.coefficients, list(expected["ps_coef"].values()), 1e-6)
    agree(w.propensity[:5], expected["ps_first5"], 1e-7)
    agree(w.weights[:5], expected["w_first5"], 1e-7)
    agree(w.ess, expected["ess"], 1e-7)
    balance = fs.compare.balance(d[X], d["hormon"], weights=w).table
    agree(balance["smd_before"], expected["smd_unweighted"])
    agree(balance["smd_after"], expected["smd_weighted"], 1e-6, 1e-8)
    check_cox(hazard_ratio(y, d["hormon"], w), expected["cox_efron"])
    breslow = fs.survival.cox(y, d[["hormon"]], weights=w.weights, robust=True, ties="breslow")
    agree(breslow.coef, expected["cox_breslow"]["coefficients"]["values"][0][0], 1e-6)
    for measure, value in (("milestone", expected["surv5"]), ("rmst", None)):
        found = fs.compare.effect(
            y,
            d["hormon"],
            measure=measure,
            tau=1826.25,
            weights=w,
            weight_variance="fixed",
        ).arms
        if measure == "milestone":
            agree(found["estimate"], value, 1e-8)
            agree(found["std_error"], expected["surv5_se"], 1e-8)
        else:
            agree(found["estimate"], numbers(expected["rmst5"])[:, 0], 1e-8)


def test_unadjusted():
    d, y = rotterdam()
    model = fs.survival.cox(y, d[["hormon"]])
    expected = EXPECTED["unadjusted_rotterdam"]["unadjusted"]
    agree(model.coef, expected["coefficients"]["values"][0][0], 1e-6)
    adjusted = fs.survival.cox(y, d[["hormon", *X]])
    reference = numbers(EXPECTED["unadjusted_rotterdam"]["adjusted"]["coefficients"])
    agree(adjusted.coef, reference[:, 0], 1e-6)


def test_entropy_balancing():
    d, y = rotterdam()
    treated = d["hormon"] == 1
    exact = EXPECTED["ebal_exact_rotterdam"]
    w = fs.compare.weights(d[X], treated, method="entropy", estimand="att")
    control = w.weights[~treated]
    agree(control[:10] / control.sum(), exact["att_control_weights_first10_sum1"])
    agree(w.ess[0], exact["ess_control"])
    balance = fs.compare.balance(d[X], treated, weights=w).table
    assert balance["smd_after"].abs().max() < 1e-12
    check_cox(hazard_ratio(y, treated, w), exact["att_scaled_to_n_control"])
    w = fs.compare.weights(d[X], treated, method="entropy", estimand="att", normalise="none")
    agree(w.weights[~treated].sum(), treated.sum())
    check_cox(hazard_ratio(y, treated, w), exact["att_scaled_to_n_treated"])
    w = fs.compare.weights(d[X], treated, method="entropy")
    agree(w.weights[treated][:5] / treated.sum(), exact["ate_first5_treated"])
    agree(w.weights[~treated][:5] / (~treated).sum(), exact["ate_first5_control"])
    check_cox(hazard_ratio(y, treated, w), exact["ate_mean1_per_group"])


def test_entropy_balancing_of_another_package():
    """R's ebal stops at a moment difference of 1e-3 or so, and agrees to about that."""
    d, _ = rotterdam()
    expected = EXPECTED["ebal_att_rotterdam"]
    w = fs.compare.weights(d[X], d["hormon"], method="entropy", estimand="att", normalise="none")
    control = w.weights[d["hormon"] == 0]
    agree(control[:5], expected["w_control_first5"], 1e-2)
    agree(control.sum(), expected["w_control_sum"], 1e-4)
    agree(w.ess, expected["ess"], 1e-3)


def both_sources():
    d, _ = rotterdam()
    a = d[["t", "rfs", *X, "hormon"]].assign(src=0)
    g = rows("gbsg")
    b = pd.DataFrame(
        {
            "t": g["rfstime"],
            "rfs": g["status"],
            "age": g["age"],
            "meno": g["meno"],
            "s2": ((g["size"] > 20) & (g["size"] <= 50)).astype(int),
            "s3": (g["size"] > 50).astype(int),
            "grade3": (g["grade"] == 3).astype(int),
            "nodes": g["nodes"],
            "lpgr": np.log(g["pgr"] + 1),
            "ler": np.log(g["er"] + 1),
            "hormon": g["hormon"],
            "src": 1,
        }
    )
    both = pd.concat([a, b], ignore_index=True)
    return both, fs.Outcome(both["t"], both["rfs"])


def test_two_sources():
    """Registry patients weighted to the trial's population: the source as treatment."""
    d, y = both_sources()
    covariates = [*X, "hormon"]
    expected = EXPECTED["two_source_rotterdam_vs_gbsg"]
    agree(d["src"].value_counts().sort_index(), expected["n"])
    agree(fs.survival.logrank(y, d["src"]).statistic, expected["logrank"])
    plain = fs.survival.cox(y, d[["src"]])
    agree(plain.coef, expected["unadjusted"]["coefficients"]["values"][0][0], 1e-6)
    agree(
        plain.test_proportional_hazards().table["statistic"], numbers(expected["zph"])[:, 0], 1e-6
    )
    adjusted = fs.survival.cox(y, d[["src", *covariates]])
    agree(adjusted.coef.iloc[0], expected["adjusted"]["coefficients"]["values"][0][0], 1e-6)

    odds = fs.compare.weights(d[covariates], d["src"], estimand="att")
    check_cox(hazard_ratio(y, d["src"], odds), expected["standardised_odds"])
    agree(odds.ess[0], expected["ess_odds"], 1e-6)
    for scale, key in (("none", "entropy_exact_scaled_n1"), ("group", "entropy_exact_scaled_n0")):
        w = fs.compare.weights(
            d[covariates], d["src"], estimand="att", method="entropy", normalise=scale
        )
        check_cox(hazard_ratio(y, d["src"], w), expected[key])
        agree(w.ess[0], expected["ess_entropy_exact"], 1e-7)
    # R looks `weights=w` up in the data first: all four km_ fields of this record hold the curves
    # weighted by the odds.
    reference = expected["km_odds"]
    assert reference["surv"] == expected["km_raw"]["surv"] == expected["km_entropy"]["surv"]
    curve = fs.survival.kaplan_meier(y, group=d["src"], weights=odds.weights)
    ours = curve.at(sorted(set(reference["time"])))
    for name, theirs in {
        "survival": "surv",
        "std_error": "se",
        "lower": "lower",
        "upper": "upper",
    }.items():
        agree(ours[name], reference[theirs], 1e-7)


def test_every_record_is_used():
    used = {f"iptw_rotterdam_{name}" for name in OPTIONS}
    used |= {
        "unadjusted_rotterdam",
        "ebal_att_rotterdam",
        "ebal_exact_rotterdam",
        "two_source_rotterdam_vs_gbsg",
    }
    assert used | NOT_REFERENCES == set(EXPECTED)
