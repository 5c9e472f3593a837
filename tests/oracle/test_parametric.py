"""Parametric models against R's survreg, flexsurv and rstpm2.

R's optimisers stop before the maximum (flexsurv at a relative change of 1e-8 of the log-likelihood). So
each record is checked in a way that does not depend on where R stopped: our likelihood, information and
curves **at R's coefficients** are what R says they are, our maximum is not lower than R's, and our
coefficients differ from R's by no more than the gap in log-likelihood D allows, sqrt(2 D) standard
errors.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.survival.parametric_curves import Estimated
from fiac_survival.survival.parametric_fit import Likelihood
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("parametric")
DATA = ("lung", "veteran", "mgus2", "gbsg")
SURVREG = {
    "exponential": "exponential",
    "weibull": "weibull",
    "lognormal": "lognormal",
    "loglogistic": "loglogistic",
}
FLEXSURV = {
    "exp": "exponential",
    "weibull": "weibull",
    "weibullPH": "weibull_ph",
    "lnorm": "lognormal",
    "llogis": "loglogistic",
    "gompertz": "gompertz",
    "gamma": "gamma",
    "gengamma": "gengamma",
}
SPLINES = [("hazard", k) for k in range(4)] + [(s, k) for s in ("odds", "normal") for k in (1, 2)]
PROFILES = pd.DataFrame({"x": [0, 1]})


def outcome(name: str) -> tuple[fs.Outcome, pd.DataFrame]:
    d = rows(name)
    match name:
        case "lung":
            return fs.Outcome(d["time"], d["status"] == 2), pd.DataFrame({"x": d["sex"] == 2})
        case "veteran":
            return fs.Outcome(d["time"], d["status"]), pd.DataFrame({"x": d["trt"] == 2})
        case "mgus2":
            d = d[d["futime"] > 0]
            return fs.Outcome(d["futime"], d["death"]), pd.DataFrame({"x": d["sex"] == "M"})
        case _:
            return fs.Outcome(d["rfstime"] / 365.25, d["status"]), pd.DataFrame({"x": d["hormon"]})


def at(model: fs.survival.ParametricModel, coef: np.ndarray) -> fs.survival.ParametricModel:
    """The model with other coefficients, and the information there."""
    likelihood = Likelihood(model._fitted.model, model._sample)
    rotation = likelihood.rotation
    _, information = likelihood.derivatives(np.linalg.solve(rotation, coef))
    covariance = rotation @ np.linalg.inv(information) @ rotation.T
    return dataclasses.replace(model, _fitted=Estimated(model._fitted.model, coef, covariance))


# flexsurv takes second derivatives of these numerically, with errors up to 0.6 % of a standard error;
# tests/survival/test_parametric.py checks ours by differences of the likelihood.
NUMERICAL_IN_R = ("gamma", "gengamma", "normal")
ANALYTIC, NUMERICAL = 5e-5, 1e-2


def check_maximum(model, coef, log_likelihood, std_error, covariance=None):
    """Compare a fit with R's; returns the model at R's coefficients."""
    scale_of_spline = getattr(model._fitted.model, "scale", "")
    loose = model.family in NUMERICAL_IN_R or scale_of_spline in NUMERICAL_IN_R
    relative = NUMERICAL if loose else ANALYTIC
    coef = numbers(coef)
    agree(model.log_likelihood_at(coef), log_likelihood, 1e-11)
    gap = model.log_likelihood - log_likelihood
    assert gap >= -1e-12 * abs(log_likelihood)  # R never finds a higher maximum
    assert gap <= 4e-7 * abs(log_likelihood)
    ours = np.sqrt(np.diag(model.covariance))
    distance = np.abs(model.coef.to_numpy() - coef) / ours
    assert distance.max() <= 1.05 * np.sqrt(2.0 * max(gap, 0.0)) + 1e-6
    there = at(model, coef)
    if covariance is not None:
        scale = np.sqrt(np.diag(there._fitted.covariance))
        difference = there._fitted.covariance - numbers(covariance)
        assert np.abs(difference / np.outer(scale, scale)).max() < relative
    agree(np.sqrt(np.diag(there._fitted.covariance)), std_error, relative)
    return there


def natural_se(model, values):
    """R's standard errors of parameters on their own scale, back on the scale of estimation."""
    table = numbers(values)
    links = model._fitted.model.links
    return [
        row[3] / row[0] if link == "log" else row[3] for row, link in zip(table, links, strict=True)
    ]


# --- survreg ------------------------------------------------------------------------------------


def as_survreg(model) -> tuple[np.ndarray, np.ndarray, float]:
    """Coefficients in survreg's order and signs, and the matrix that made them, and its scale."""
    names = list(model.coef.index)
    effect = [name for name in names if name == "x"]
    if model.family == "exponential":
        turn = {"rate": -1.0, "x": -1.0}
        order, scale = ["rate", *effect], 1.0
    elif model.family == "lognormal":
        turn = {"meanlog": 1.0, "x": 1.0, "sdlog": 1.0}
        order, scale = ["meanlog", *effect, "sdlog"], float(np.exp(model.coef["sdlog"]))
    else:
        turn = {"scale": 1.0, "x": 1.0, "shape": -1.0}
        order, scale = ["scale", *effect, "shape"], float(np.exp(-model.coef["shape"]))
    matrix = np.zeros((len(order), len(names)))
    for i, name in enumerate(order):
        matrix[i, names.index(name)] = turn[name]
    return matrix @ model.coef.to_numpy(), matrix, scale


@pytest.mark.parametrize("family", list(SURVREG))
@pytest.mark.parametrize("data", DATA)
def test_survreg(data, family):
    expected = EXPECTED[f"survreg_{data}_{family}"]
    y, x = outcome(data)
    for key, covariates in (("null", None), ("x", x)):
        model = fs.survival.parametric(y, family=SURVREG[family], X=covariates)
        theirs = expected[key]
        coef, matrix, scale = as_survreg(model)
        agree(model.log_likelihood, theirs["loglik"], 1e-10)
        assert model.log_likelihood >= theirs["loglik"] - 1e-11 * abs(theirs["loglik"])
        agree(coef[: len(theirs["coef"])], theirs["coef"], 1e-6)
        agree(scale, theirs["scale"], 1e-6)
        agree(matrix @ model.covariance.to_numpy() @ matrix.T, theirs["var"], 2e-5)
    agree(model.aic, expected["x"]["AIC"], 1e-10)
    quantiles = model.quantile([0.1, 0.5, 0.9], PROFILES)
    agree(quantiles.sort_values(["row", "probability"])["time"], expected["q"], 1e-6)


# --- flexsurv -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", list(FLEXSURV))
@pytest.mark.parametrize("data", DATA)
def test_flexsurv(data, family):
    expected = EXPECTED[f"flexsurv_{data}_{family}"]
    y, x = outcome(data)
    null = fs.survival.parametric(y, family=FLEXSURV[family])
    theirs = numbers(expected["null"]["res"])
    links = null._fitted.model.links
    coef = [np.log(v) if k == "log" else v for v, k in zip(theirs[:, 0], links, strict=True)]
    check_maximum(null, coef, expected["null"]["loglik"], natural_se(null, theirs))
    agree(null.aic, expected["null"]["AIC"], 1e-7)

    model = fs.survival.parametric(y, family=FLEXSURV[family], X=x)
    theirs = expected["x"]
    there = check_maximum(
        model,
        theirs["coefs"],
        theirs["loglik"],
        natural_se(model, theirs["res"]),
        expected["vcov_t"],
    )
    assert model.coef.size == theirs["npars"]
    t = expected["t"]
    survival = there.survival(t, PROFILES)["survival"].to_numpy().reshape(2, -1)
    mean, median = there.rmst(t[2], PROFILES), there.quantile(0.5, PROFILES)
    for row, key in enumerate(("x=0", "x=1")):
        agree(survival[row], expected["surv"][key]["est"], 1e-9)
        # R integrates to a tolerance of 1.2e-4 of its own, and finds quantiles with another.
        agree(mean["rmst"][row], expected["rmst"][key]["est"], 1e-6)
        agree(median["time"][row], expected["median"][key]["est"], 1e-6)


@pytest.mark.parametrize(("scale", "k"), SPLINES)
@pytest.mark.parametrize("data", DATA)
def test_royston_parmar(data, scale, k):
    expected = EXPECTED[f"rp_{data}_{scale}_k{k}"]
    y, x = outcome(data)
    model = fs.survival.parametric(y, family="royston_parmar", X=x, knots=k, scale=scale)
    agree(np.log(model.knots), expected["knots"], 1e-10)
    there = check_maximum(
        model,
        expected["coefs"],
        expected["loglik"],
        natural_se(model, expected["res"]),
        expected["vcov"],
    )
    agree(model.aic, expected["AIC"], 1e-6)
    t = expected["t"]
    survival = there.survival(t, PROFILES)["survival"].to_numpy().reshape(2, -1)
    hazard = there.hazard(t, PROFILES)["hazard"].to_numpy().reshape(2, -1)
    for row, key in enumerate(("x=0", "x=1")):
        agree(survival[row], expected["surv"][key]["est"], 1e-9)
        agree(hazard[row], expected["hazard"][key]["est"], 1e-9)


# --- delayed entry, several covariates, effects on shape, effects that vary with time -------------


def test_delayed_entry():
    expected = EXPECTED["flexsurv_myeloma_lefttrunc_weibull"]
    d = rows("myeloma")
    d = d[d["futime"] > d["entry"]]
    y = fs.Outcome(d["futime"] / 365.25, d["death"], entry=d["entry"] / 365.25)
    x = pd.DataFrame({"x": (d["year"] - 70) / 10})
    for key, options in (
        ("weibull", {"family": "weibull"}),
        ("gompertz", {"family": "gompertz"}),
        ("rp_k2", {"family": "royston_parmar", "knots": 2}),
    ):
        model = fs.survival.parametric(y, X=x, **options)
        theirs = numbers(expected[key]["res"])
        links = model._fitted.model.links
        coef = [np.log(v) if k == "log" else v for v, k in zip(theirs[:, 0], links, strict=True)]
        check_maximum(model, coef, expected[key]["loglik"], natural_se(model, theirs))
        if key == "rp_k2":
            agree(np.log(model.knots), expected[key]["knots"], 1e-10)


def test_several_covariates():
    expected = EXPECTED["flexsurv_gbsg_multicov"]
    d = rows("gbsg")
    y = fs.Outcome(d["rfstime"] / 365.25, d["status"])
    formula = "age + hormon + nodes + np.log1p(pgr)"
    for key, options in (
        ("rp", {"family": "royston_parmar", "knots": 2, "X": formula}),
        ("gengamma", {"family": "gengamma", "X": formula}),
        (
            "weibull_anc",
            {"family": "weibull", "X": "hormon + nodes", "ancillary": {"shape": "hormon"}},
        ),
    ):
        model = fs.survival.parametric(y, data=d, **options)
        theirs = numbers(expected[key]["res"])
        links = model._fitted.model.links
        coef = [np.log(v) if k == "log" else v for v, k in zip(theirs[:, 0], links, strict=True)]
        check_maximum(model, coef, expected[key]["loglik"], natural_se(model, theirs))
    assert list(model.coef.index) == ["shape", "scale", "hormon", "nodes", "shape(hormon)"]


def test_stpm2():
    expected = EXPECTED["stpm2_gbsg"]
    d = rows("gbsg")
    y = fs.Outcome(d["rfstime"] / 365.25, d["status"])
    x = d[["hormon"]]
    model = fs.survival.parametric(y, family="royston_parmar", X=x, knots=2)
    agree(model.log_likelihood, expected["loglik"], 1e-8)
    agree(model.coef["hormon"], expected["coef"]["hormon"], 1e-4)
    agree(np.sqrt(model.covariance.loc["hormon", "hormon"]), expected["se"]["hormon"], 1e-4)
    two_years = model.survival(2, pd.DataFrame({"hormon": [0, 1]}), transform="log-log")
    agree(two_years["survival"], expected["surv2y"]["Estimate"], 1e-5)
    agree(two_years["lower"], expected["surv2y"]["lower"], 1e-4)
    agree(two_years["upper"], expected["surv2y"]["upper"], 1e-4)
    varying = fs.survival.parametric(
        y, family="royston_parmar", X=x, knots=2, time_varying={"hormon": 1}
    )
    agree(varying.log_likelihood, expected["tvc_loglik"], 1e-8)
    assert varying.coef.size == len(expected["tvc_coef"])


def test_where_r_stopped_early():
    """The gap in log-likelihood is R's alone: our score vanishes, theirs does not."""
    expected = EXPECTED["rp_veteran_normal_k2"]
    y, x = outcome("veteran")
    model = fs.survival.parametric(y, family="royston_parmar", X=x, knots=2, scale="normal")
    likelihood = Likelihood(model._fitted.model, model._sample)

    def scaled_score(coef):
        score, information = likelihood.derivatives(np.linalg.solve(likelihood.rotation, coef))
        return np.sqrt(score @ np.linalg.solve(information, score))

    assert scaled_score(model.coef.to_numpy()) < 1e-9
    assert scaled_score(numbers(expected["coefs"])) > 1e-2
    assert model.log_likelihood - expected["loglik"] > 2e-4


def test_every_record_is_used():
    assert set(EXPECTED) == {
        *(f"survreg_{data}_{family}" for data in DATA for family in SURVREG),
        *(f"flexsurv_{data}_{family}" for data in DATA for family in FLEXSURV),
        *(f"rp_{data}_{scale}_k{k}" for data in DATA for scale, k in SPLINES),
        "flexsurv_myeloma_lefttrunc_weibull",
        "flexsurv_gbsg_multicov",
        "stpm2_gbsg",
    }
