"""Concordance, prediction error and splines against R's survival, riskRegression and rms."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows
from tests.oracle.test_cox import check, lung

EXPECTED = records("validation")


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("harrell", {}),
        ("uno", {"time_weight": "n/G2"}),
        ("S_weight", {"time_weight": "S"}),
        ("harrell_500", {"until": 500}),
        ("uno_500", {"time_weight": "n/G2", "until": 500}),
    ],
)
def test_concordance(key, options):
    d, y = lung()
    model = fs.survival.cox(y, d[["age", "sex", "ecog"]])
    expected = EXPECTED["concordance_lung"][key]
    found = model.concordance(**options)
    agree([found.estimate, found.std_error**2], [expected["c"], expected["var"]])
    # Rounded: equal covariates must give equal scores, whatever the order of a product's sums.
    score = np.round(d[["age", "sex", "ecog"]].to_numpy() @ model.coef.to_numpy(), 12)
    agree([fs.survival.concordance(y, score, **options).estimate], [expected["c"]])
    if key == "harrell":
        agree(found.counts.iloc[0, 1:].astype(float), expected["counts"])


def test_explained_variation():
    d, y = lung()
    found = fs.survival.explained_variation(fs.survival.cox(y, d[["age", "sex", "ecog"]]))
    e = EXPECTED["concordance_lung"]["royston"]
    agree(found["estimate"], [e[k] for k in ("D", "R.D", "R.KO", "R.N", "C.GH")], 1e-7)
    agree(found["std_error"][:1], [e["se(D)"]], 1e-7)


def test_external_validation():
    """Developed on Rotterdam, judged on GBSG."""
    expected = EXPECTED["brier_auc_gbsg_external"]
    names, times = ["age", "nodes", "lpgr", "hormon"], [365.25, 730.5, 1095.75, 1826.25]
    r = rows("rotterdam").query("nodes > 0").assign(lpgr=lambda x: np.log1p(x["pgr"]))
    time = np.where(r["recur"] == 1, r["rtime"], r["dtime"])
    model = fs.survival.cox(fs.Outcome(time, np.maximum(r["recur"], r["death"])), r[names])
    agree(model.coef, list(expected["coef"].values()), 1e-6)
    g = rows("gbsg").assign(lpgr=lambda x: np.log1p(x["pgr"]))
    y = fs.Outcome(g["rfstime"], g["status"])
    predicted = model.predict_survival(g, times)["survival"].to_numpy().reshape(len(g), -1)
    agree(1 - predicted[:5, 2], expected["risk3y_first5"], 1e-6)
    ratio = y.event.sum() / model.expected_events(y, g).sum()
    agree([ratio], [expected["OE_ratio"]], 1e-6)
    score = g[names].to_numpy() @ model.coef.to_numpy()
    check(fs.survival.cox(y, score[:, None]), expected["calibration_slope"])
    found = fs.survival.concordance(y, score)
    agree([found.estimate, found.std_error**2], list(expected["cindex"].values()))

    table = fs.survival.prediction_error(y, 1 - predicted, times).table
    brier, auc = expected["brier"], expected["auc"]
    agree(table["brier_null"], brier["Brier"][:4])
    agree(table["brier"], brier["Brier"][4:], 1e-7)
    agree(table["integrated_brier"], brier["IBS"][4:], 1e-7)
    agree(table["auc"], auc["AUC"])
    # riskRegression divides by n - 1, and takes the martingale of censoring over all at risk.
    wider = np.sqrt(len(g) / (len(g) - 1))
    agree(table["auc_std_error"] * wider, auc["se"], 1e-5)
    agree(table["brier_std_error"] * wider, brier["se"][4:], 3e-4)
    agree(table["brier_null_std_error"][:3] * wider, brier["se"][:3], 3e-4)


def test_restricted_cubic_splines():
    expected = EXPECTED["rms_validate_calibration_gbsg"]
    d = rows("gbsg")
    y = fs.Outcome(d["rfstime"] / 365.25, d["status"])
    model = fs.survival.cox(y, "rcs(age, 4) + hormon + rcs(nodes, 3)", data=d)
    from fiac_survival.core.splines import knots_of

    agree(knots_of(d["age"], 4), expected["knots_age"])
    agree(knots_of(d["nodes"], 3), expected["knots_nodes"])
    # The score test at 0 knows the space that the basis spans, and no iterations.
    agree(model.tests["statistic"][2:3], [expected["stats"]["Score"]])
    agree([model.log_likelihood_null], expected["loglik"][:1])
    # cph stops 0.0006 below the maximum.
    assert 0 < model.log_likelihood - expected["loglik"][1] < 1e-3
    agree(model.coef, list(expected["coef"].values()), 5e-3)
    agree([2 * model.concordance().estimate - 1], [expected["stats"]["Dxy"]], 1e-3)
    given = "rcs(age, [36, 48, 58, 68]) + hormon + rcs(nodes, [1, 3, 11.5])"
    agree(fs.survival.cox(y, given, data=d).coef, model.coef.to_numpy())
    new = model.predict_survival(d.head(3), 2.0)["survival"]
    agree(new, model.predict_survival(d, 2.0)["survival"][:3])


def test_every_record_is_used():
    used = {"concordance_lung", "brier_auc_gbsg_external", "rms_validate_calibration_gbsg"}
    assert used == set(EXPECTED)
    assert np.isfinite(numbers(EXPECTED["concordance_lung"]["royston"])).all()
