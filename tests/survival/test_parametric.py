"""Parametric models: closed forms, second implementations, laws, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.survival.parametric_curves import Estimated
from fiac_survival.survival.parametric_fit import Likelihood

parametric = fs.survival.parametric
SIMPLE = (
    "exponential",
    "weibull",
    "weibull_ph",
    "gompertz",
    "lognormal",
    "loglogistic",
    "gamma",
    "gengamma",
)
OPTIONS = {name: {"family": name} for name in SIMPLE} | {
    "piecewise": {"family": "piecewise", "knots": [4.0, 9.0]},
    "spline": {"family": "royston_parmar", "knots": 2},
    "spline odds": {"family": "royston_parmar", "knots": [6.0], "scale": "odds"},
    "spline normal": {"family": "royston_parmar", "knots": 1, "scale": "normal"},
    "spline varying": {"family": "royston_parmar", "knots": 1, "time_varying": {"arm": 0}},
    "cure": {"family": "cure_weibull"},
    "cure lognormal": {"family": "cure_lognormal"},
    "cure gamma": {"family": "cure_gamma"},
    "non-mixture cure": {"family": "cure_weibull", "cure": "non_mixture"},
    "non-mixture exponential": {"family": "cure_exponential", "cure": "non_mixture"},
    "non-mixture loglogistic": {"family": "cure_loglogistic", "cure": "non_mixture"},
}


def sample(n=240, *, seed=1, late=True, cured=0.25):
    rng = np.random.default_rng(seed)
    x = pd.DataFrame(
        {"arm": rng.integers(0, 2, 3 * n), "age": 50.0 + 5 * rng.integers(0, 5, 3 * n)}
    )
    time = 8 * rng.weibull(1.4, 3 * n) * np.exp(0.3 * x["arm"] - 0.01 * (x["age"] - 60))
    time = np.where(rng.random(3 * n) < cured * (1 + 0.5 * x["arm"]), np.inf, time)
    censor = rng.uniform(8, 50, 3 * n)
    entry = np.where(rng.random(3 * n) < 0.3, rng.uniform(0, 3, 3 * n), 0.0) * late
    end = np.minimum(time, censor)
    keep = np.flatnonzero(end > entry)[:n]
    y = fs.Outcome(end[keep], (time <= censor)[keep], entry=entry[keep])
    return y, x.iloc[keep].reset_index(drop=True)


Y, X = sample()
PROFILES = pd.DataFrame({"arm": [0, 1], "age": [55.0, 70.0]})


@pytest.fixture(scope="module")
def models():
    return {name: parametric(Y, X=X, **options) for name, options in OPTIONS.items()}


# --- closed forms -------------------------------------------------------------------------------


def test_exponential_in_closed_form():
    y, x = sample(seed=2)
    group = x["arm"].to_numpy()
    model = parametric(y, family="exponential", X=x[["arm"]])
    entry = y.entry_or_zero()
    deaths = np.array([np.sum(y.event[group == g]) for g in (0, 1)])
    exposure = np.array([np.sum((y.time - entry)[group == g]) for g in (0, 1)])
    rate = deaths / exposure
    np.testing.assert_allclose(model.coef, [np.log(rate[0]), np.log(rate[1] / rate[0])], rtol=1e-12)
    expected = [[1 / deaths[0], -1 / deaths[0]], [-1 / deaths[0], (1 / deaths).sum()]]
    np.testing.assert_allclose(model.covariance, expected, rtol=1e-10)
    assert model.log_likelihood == pytest.approx((deaths * np.log(rate) - deaths).sum(), rel=1e-13)
    p = pd.DataFrame({"arm": [0, 1]})
    tau = np.array([1.0, 12.0, 100.0])
    found = model.rmst(tau, p)
    closed = (1 - np.exp(-np.outer(tau, rate))) / rate
    np.testing.assert_allclose(found["rmst"].to_numpy().reshape(3, 2), closed, rtol=1e-12)
    beyond = (np.exp(-y.max_time * rate) - np.exp(-100 * rate)) / rate
    np.testing.assert_allclose(found["beyond_data"][4:], beyond, rtol=1e-10)
    # d/dr (1 - exp(-r tau))/r, by the chain rule, times r (log scale), over the root of the deaths
    slope = tau[1] * np.exp(-rate * tau[1]) - (1 - np.exp(-rate * tau[1])) / rate
    np.testing.assert_allclose(found["std_error"][2:4], np.abs(slope) / np.sqrt(deaths), rtol=1e-10)
    quantile = model.quantile([0.5], p)
    np.testing.assert_allclose(quantile["time"], np.log(2) / rate, rtol=1e-12)
    np.testing.assert_allclose(
        quantile["std_error"], np.log(2) / rate / np.sqrt(deaths), rtol=1e-10
    )


def test_piecewise_in_closed_form():
    y, _ = sample(seed=3)
    model = parametric(y, family="piecewise", knots=[3.0, 10.0])
    edges, entry = [0.0, 3.0, 10.0, np.inf], y.entry_or_zero()
    for j in range(3):
        inside = (y.time > edges[j]) & (y.time <= edges[j + 1])
        deaths = np.sum(y.event[inside])
        spent = np.clip(y.time, edges[j], edges[j + 1]) - np.clip(entry, edges[j], edges[j + 1])
        assert model.coef.iloc[j] == pytest.approx(np.log(deaths / spent.sum()), abs=1e-11)
        assert model.covariance.iloc[j, j] == pytest.approx(1 / deaths, rel=1e-9)


def test_nested_families():
    y, x = sample(seed=4, cured=0.0)
    ph, aft = parametric(y, family="weibull_ph", X=x), parametric(y, X=x)
    spline = parametric(y, family="royston_parmar", knots=0, X=x)
    assert ph.log_likelihood == pytest.approx(aft.log_likelihood, rel=1e-12)
    assert spline.log_likelihood == pytest.approx(aft.log_likelihood, rel=1e-12)
    shape = np.exp(aft.coef["shape"])
    np.testing.assert_allclose(ph.coef[["arm", "age"]], -shape * aft.coef[["arm", "age"]])
    np.testing.assert_allclose(spline.coef["gamma1"], shape)
    assert parametric(y, family="royston_parmar", knots=0, scale="odds").log_likelihood == (
        pytest.approx(parametric(y, family="loglogistic").log_likelihood, rel=1e-12)
    )
    assert parametric(y, family="royston_parmar", knots=0, scale="normal").log_likelihood == (
        pytest.approx(parametric(y, family="lognormal").log_likelihood, rel=1e-12)
    )
    general = parametric(y, family="gengamma", X=x).log_likelihood
    for inner in ("weibull", "lognormal", "gamma"):
        assert parametric(y, family=inner, X=x).log_likelihood <= general + 1e-9


# --- second implementations -----------------------------------------------------------------------


def scipy_distribution(model):
    value = model._fitted.coef
    match model.family:
        case "exponential":
            return stats.expon(scale=np.exp(-value[0]))
        case "weibull":
            return stats.weibull_min(np.exp(value[0]), scale=np.exp(value[1]))
        case "weibull_ph":
            shape = np.exp(value[0])
            return stats.weibull_min(shape, scale=np.exp(-value[1] / shape))
        case "gompertz":
            return stats.gompertz(np.exp(value[1]) / value[0], scale=1 / value[0])
        case "lognormal":
            return stats.lognorm(np.exp(value[1]), scale=np.exp(value[0]))
        case "loglogistic":
            return stats.fisk(np.exp(value[0]), scale=np.exp(value[1]))
        case "gamma":
            return stats.gamma(np.exp(value[0]), scale=np.exp(-value[1]))
        case _:
            mu, sigma, q = value[0], np.exp(value[1]), value[2]
            scale = np.exp(mu) * (q * q) ** (sigma / q)
            return stats.gengamma(1 / q**2, q / sigma, scale=scale)


@pytest.mark.parametrize("family", SIMPLE)
def test_against_scipy(family):
    y, _ = sample(seed=5, cured=0.0)
    model = parametric(y, family=family)
    reference = scipy_distribution(model)
    entry = y.entry_or_zero()
    total = np.where(y.event > 0, reference.logpdf(y.time), reference.logsf(y.time)).sum()
    assert model.log_likelihood == pytest.approx(total - reference.logsf(entry).sum(), rel=1e-9)
    t = np.array([0.01, 1.0, 7.0, 40.0])
    np.testing.assert_allclose(model.survival(t)["survival"], reference.sf(t), rtol=1e-9)
    hazard = reference.pdf(t) / reference.sf(t)
    np.testing.assert_allclose(model.hazard(t)["hazard"], hazard, rtol=1e-8)
    area = quad(reference.sf, 0, 60, epsabs=1e-12, epsrel=1e-12, limit=200)[0]
    assert model.rmst(60)["rmst"][0] == pytest.approx(area, rel=1e-9)
    assert model.quantile(0.3)["time"][0] == pytest.approx(reference.ppf(0.3), rel=1e-9)


@pytest.mark.parametrize("q", [2.4, 0.7, 1e-3, 0.0, -0.4, -1.7])
def test_generalised_gamma_through_the_normal(q):
    """The likelihood is smooth in Q, through 0, and equals that of scipy's distributions."""
    y, _ = sample(seed=6)
    model = parametric(y, family="gengamma")
    sigma, mu = 0.8, 2.0
    if q == 0.0:
        reference = stats.lognorm(sigma, scale=np.exp(mu))
    else:
        reference = stats.gengamma(1 / q**2, q / sigma, scale=np.exp(mu) * (q * q) ** (sigma / q))
    if abs(q) >= 0.01 or q == 0:
        total = np.where(y.event > 0, reference.logpdf(y.time), reference.logsf(y.time)).sum()
        total -= reference.logsf(y.entry_or_zero()).sum()
        found = model.log_likelihood_at([mu, np.log(sigma), q])
        assert found == pytest.approx(total, rel=1e-10)
    else:
        around = [model.log_likelihood_at([mu, np.log(sigma), q + d]) for d in (-1e-4, 0, 1e-4)]
        assert around[0] + around[2] - 2 * around[1] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_derivatives_by_differences(models, name):
    """Score and information are those of the likelihood, away from its maximum too."""
    model = models[name]
    likelihood = Likelihood(model._fitted.model, model._sample)
    rng = np.random.default_rng(7)
    at_maximum = np.linalg.solve(likelihood.rotation, model.coef.to_numpy())
    for point in (at_maximum, at_maximum + 0.02 * rng.normal(size=at_maximum.size)):
        score, information = likelihood.derivatives(point)
        numeric, curvature = np.empty_like(score), np.empty_like(information)
        for j in range(point.size):
            step = np.zeros_like(point)
            step[j] = 1e-4
            value = [likelihood.value(point + k * step) for k in (-2, -1, 1, 2)]
            numeric[j] = (value[0] - 8 * value[1] + 8 * value[2] - value[3]) / 12e-4
            side = [likelihood.derivatives(point + k * step)[0] for k in (-2, -1, 1, 2)]
            curvature[j] = -(side[0] - 8 * side[1] + 8 * side[2] - side[3]) / 12e-4
        size = np.abs(information).max()
        np.testing.assert_allclose(score, numeric, atol=1e-8 * size, rtol=1e-7)
        np.testing.assert_allclose(information, curvature, atol=1e-7 * size)
    total = likelihood.row_scores(point).sum(axis=0)
    np.testing.assert_allclose(likelihood.rotation.T @ total, score, atol=1e-8 * size)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_intervals_by_differences(models, name):
    """Delta-method standard errors from numerical gradients of the curves."""
    model = models[name]
    t = np.array([0.5, 6.0, 50.0])

    def read(coef, X):
        other = dataclasses.replace(
            model, _fitted=Estimated(model._fitted.model, coef, model._fitted.covariance)
        )
        return np.concatenate(
            [
                other.survival(t, X)["survival"],
                np.log(other.hazard(t, X)["hazard"]),
                other.rmst(40, X)["rmst"],
            ]
        )

    for profiles in (PROFILES, None):
        coef = model.coef.to_numpy()
        gradient = []
        for j, error in enumerate(np.sqrt(np.diag(model.covariance))):
            step = np.zeros_like(coef)
            step[j] = 1e-4 * error
            gradient.append((read(coef + step, profiles) - read(coef - step, profiles)) / 2e-4)
            gradient[-1] /= error
        g = np.array(gradient)
        expected = np.sqrt(np.einsum("pk,pq,qk->k", g, model.covariance.to_numpy(), g))
        hazard = model.hazard(t, profiles)
        found = np.concatenate(
            [
                model.survival(t, profiles)["std_error"],
                hazard["std_error"] / hazard["hazard"],
                model.rmst(40, profiles)["std_error"],
            ]
        )
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-9)


def test_simulated_intervals_are_near_the_delta_method(models):
    model = models["spline"]
    for method, argument in (("survival", 8.0), ("hazard", 8.0), ("rmst", 30.0)):
        delta = getattr(model, method)(argument, PROFILES)
        drawn = getattr(model, method)(argument, PROFILES, interval="simulation", n_draws=2000)
        again = getattr(model, method)(argument, PROFILES, interval="simulation", n_draws=2000)
        pd.testing.assert_frame_equal(drawn, again)
        for column in ("lower", "upper", "std_error"):
            np.testing.assert_allclose(drawn[column], delta[column], rtol=0.12)


def test_robust_variance_is_the_influence(models):
    rng = np.random.default_rng(8)
    weight, cluster = rng.uniform(0.5, 2.0, len(Y)), rng.integers(0, 60, len(Y))
    model = parametric(Y, X=X, weights=weight)
    assert model.variance == "robust"
    scores = weight[:, None] * model.influence
    np.testing.assert_allclose(model.covariance, scores.T @ scores, rtol=1e-9)
    clustered = parametric(Y, X=X, weights=weight, cluster=cluster)
    assert clustered.variance == "clustered"
    sums = pd.DataFrame(scores).groupby(cluster).sum().to_numpy()
    np.testing.assert_allclose(clustered.covariance, sums.T @ sums, rtol=1e-9)
    # The influence is the derivative of the estimate in a row's weight.
    more = weight.copy()
    more[5] += 1e-4
    moved = (parametric(Y, X=X, weights=more).coef - model.coef) / 1e-4
    np.testing.assert_allclose(moved, model.influence[5], rtol=1e-3, atol=1e-7)


# --- laws ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(OPTIONS))
def test_time_in_another_unit(models, name):
    model, options = models[name], dict(OPTIONS[name])
    if isinstance(options.get("knots"), list):
        options["knots"] = [12.0 * k for k in options["knots"]]
    y = fs.Outcome(12 * Y.time, Y.event, entry=12 * Y.entry)
    other = parametric(y, X=X, **options)
    shift = np.count_nonzero(Y.event) * np.log(12)
    assert other.log_likelihood == pytest.approx(model.log_likelihood - shift, rel=1e-10)
    t = np.array([1.0, 5.0, 40.0])
    columns = ["survival", "std_error", "lower", "upper"]
    np.testing.assert_allclose(
        other.survival(12 * t, PROFILES)[columns], model.survival(t, PROFILES)[columns], rtol=1e-6
    )
    np.testing.assert_allclose(
        12 * other.hazard(12 * t)["hazard"], model.hazard(t)["hazard"], rtol=1e-6
    )
    np.testing.assert_allclose(other.rmst(360)["rmst"], 12 * model.rmst(30)["rmst"], rtol=1e-8)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_whole_weights_are_repeated_rows(models, name):
    options = dict(OPTIONS[name])
    if options["family"] == "royston_parmar":  # knots count rows, not weights
        options |= {"knots": [6.0], "boundary": (0.3, 25.0)}
    weight = np.random.default_rng(9).integers(1, 4, len(Y))
    rows = np.repeat(np.arange(len(Y)), weight)
    weighted = parametric(Y, X=X, weights=weight, **options)
    repeated = parametric(Y.take(rows), X=X.iloc[rows], **options)
    np.testing.assert_allclose(weighted.coef, repeated.coef, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(weighted.covariance, repeated.covariance, rtol=1e-6, atol=1e-9)
    for name_of in ("log_likelihood", "aic", "bic"):
        assert getattr(weighted, name_of) == pytest.approx(getattr(repeated, name_of), rel=1e-10)
    np.testing.assert_allclose(weighted.rmst(30)["rmst"], repeated.rmst(30)["rmst"], rtol=1e-8)


@pytest.mark.parametrize("name", list(OPTIONS))
def test_splitting_time_at_risk_changes_nothing(models, name):
    model = models[name]
    options = dict(OPTIONS[name])
    if options["family"] == "royston_parmar":
        options |= {"knots": model.knots[1:-1], "boundary": tuple(model.knots[[0, -1]])}
    entry, cut = Y.entry_or_zero(), 5.0
    both = (entry < cut) & (Y.time > cut)
    y = fs.Outcome(
        np.concatenate([np.where(both, cut, Y.time), Y.time[both]]),
        np.concatenate([np.where(both, 0, Y.event), Y.event[both]]),
        entry=np.concatenate([entry, np.full(both.sum(), cut)]),
    )
    split = parametric(y, X=pd.concat([X, X[both]]), **options)
    np.testing.assert_allclose(split.coef, model.coef, rtol=1e-6, atol=1e-8)
    assert split.log_likelihood == pytest.approx(model.log_likelihood, rel=1e-11)


def test_entry_at_zero_is_no_entry():
    y, x = sample(late=False)
    zero = fs.Outcome(y.time, y.event, entry=np.zeros(len(y)))
    for family in ("weibull", "gengamma", "royston_parmar"):
        assert (
            parametric(zero, family=family, X=x).coef.tolist()
            == parametric(y, family=family, X=x).coef.tolist()
        )


def test_shifted_covariates_move_the_intercept_only(models):
    moved = parametric(Y, X=X.assign(age=X["age"] + 1e4))
    np.testing.assert_allclose(
        moved.coef[["shape", "arm", "age"]],
        models["weibull"].coef[["shape", "arm", "age"]],
        rtol=1e-7,
    )


def test_average_over_patients(models):
    model = models["loglogistic"]
    t = np.array([2.0, 10.0])
    each = model.survival(t, X)["survival"].to_numpy().reshape(len(X), 2)
    hazard = model.hazard(t, X)["hazard"].to_numpy().reshape(len(X), 2)
    np.testing.assert_allclose(model.survival(t)["survival"], each.mean(axis=0), rtol=1e-12)
    alive = (each * hazard).sum(axis=0) / each.sum(axis=0)
    np.testing.assert_allclose(model.hazard(t)["hazard"], alive, rtol=1e-12)
    assert model.survival(0.0)["survival"][0] == pytest.approx(1.0, abs=1e-15)
    assert model.survival(t)["row"].unique().tolist() == ["average"]


def test_cured_share():
    y, x = sample(4000, seed=10, late=False, cured=0.3)
    for kind in ("mixture", "non_mixture"):
        model = parametric(y, family="cure_weibull", cure=kind)
        theta = model.table.set_index("term").loc["theta"]
        assert theta["lower"] < 0.375 < theta["upper"] or kind == "non_mixture"
        late = model.survival(1e4)["survival"][0]
        assert late == pytest.approx(theta["estimate"], abs=1e-9)
        assert np.isinf(model.quantile(0.9)["time"][0])
    effect = parametric(y, family="cure_weibull", X=x[["arm"]], ancillary={"scale": x[["arm"]]})
    assert list(effect.coef.index) == ["theta", "shape", "scale", "arm", "scale(arm)"]
    assert effect.coef["scale(arm)"] == pytest.approx(0.3, abs=0.1)


def test_formula_and_profiles():
    frame = X.assign(group=np.where(X["arm"] == 1, "b", "a"))
    by_formula = parametric(Y, X="C(group) + age", ancillary={"shape": "C(group)"}, data=frame)
    by_table = parametric(Y, X=X, ancillary={"shape": X[["arm"]]})
    np.testing.assert_allclose(by_formula.coef, by_table.coef, rtol=1e-8)
    new = pd.DataFrame({"group": ["a", "b"], "age": [55.0, 70.0]})
    np.testing.assert_allclose(
        by_formula.survival(5, new)["survival"], by_table.survival(5, PROFILES)["survival"]
    )
    assert by_table.table["meaning"].tolist() == ["parameter"] * 2 + ["time ratio"] * 2 + [
        "ratio of shape"
    ]


# --- comparison and smoothing -------------------------------------------------------------------


def test_compare_families():
    found = fs.survival.compare_families(Y, X=X)
    assert found.converged
    table = found.table
    assert table["aic"].is_monotonic_increasing
    assert table["akaike_weight"].sum() == pytest.approx(1)
    assert table["delta_aic"][0] == 0
    means = found.rmst(60)
    assert list(means["family"]) == list(found.models)
    assert means["share_beyond"].between(0.03, 0.6).all()
    hazards = found.hazards([2.0, 10.0])
    assert hazards["source"].unique().tolist() == ["kernel", *found.models]
    curves = found.extrapolation(80, n_times=5)
    assert curves["family"].unique().tolist() == ["Kaplan-Meier", *found.models]
    observed = curves[curves["family"] == "Kaplan-Meier"]
    assert observed["time"].max() <= Y.max_time == curves["data_end"][0]
    with pytest.raises(DataError, match="tau must be positive"):
        found.extrapolation(0)
    labelled = fs.survival.compare_families(
        Y, families={"odds": {"family": "royston_parmar", "scale": "odds"}}
    )
    assert labelled.survival([1, 2])["family"].tolist() == ["odds", "odds"]


def test_a_family_without_a_maximum_is_listed():
    y = fs.Outcome([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 1, 1, 1, 1, 1, 1])
    found = fs.survival.compare_families(y, families=["weibull", "cure_weibull"])
    assert not found.converged
    assert found.table["converged"].tolist() == [True, False]
    assert "plateau" in found.failures["cure_weibull"]
    with pytest.raises(ConvergenceError, match="cure_weibull"):
        fs.survival.compare_families(y, families=["cure_weibull"])


def test_smoothed_hazard_of_a_known_hazard():
    """The kernel reproduces a constant and a line, also at the ends; the interval holds them."""
    rng = np.random.default_rng(11)
    time = rng.exponential(10, 40_000)
    y = fs.Outcome(np.minimum(time, 15), time <= 15)
    found = fs.survival.smoothed_hazard(y, bandwidth=2.0)
    assert np.abs(found.table["hazard"] - 0.1).max() < 0.012
    inside = (found.table["lower"] <= 0.1) & (found.table["upper"] >= 0.1)
    assert inside.mean() > 0.85
    # As many rows as a sum over events, written out, in the middle
    b, t = 2.0, 7.0
    order = np.argsort(y.time)
    at_risk = len(y) - np.arange(len(y))
    u = (t - y.time[order]) / b
    kernel = np.where(np.abs(u) < 1, 0.75 * (1 - u**2), 0) / b
    direct = np.sum(kernel * (y.event[order] > 0) / at_risk)
    one = fs.survival.smoothed_hazard(y, times=[t, 20.0], bandwidth=b).table["hazard"]
    assert one[0] == pytest.approx(direct, rel=1e-7)
    assert np.isnan(one[1])


def test_hazards_side_by_side(models):
    table = models["spline"].compare_hazard([2.0, 5.0])
    assert table["source"].tolist() == ["kernel"] * 2 + ["royston_parmar"] * 2
    kernel, fitted = table["hazard"][:2].to_numpy(), table["hazard"][2:].to_numpy()
    np.testing.assert_allclose(kernel, fitted, rtol=0.35)
    weighted = parametric(Y, X=X, weights=np.full(len(Y), 2.0)).compare_hazard([2.0, 5.0])
    np.testing.assert_allclose(weighted["hazard"][:2], kernel)


# --- bad input ----------------------------------------------------------------------------------

SMALL = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: parametric(SMALL, family="weibul"), "family must be one of 'exponential'"),
        (lambda: parametric(SMALL, scale="odds"), "scale does not go with this family.*weibull"),
        (lambda: parametric(SMALL, knots=2), "knots does not go with this family"),
        (lambda: parametric(SMALL, cure="non_mixture"), "cure does not go with this family"),
        (lambda: parametric(SMALL, family="piecewise", boundary=(1, 2)), "boundary does not go"),
        (lambda: parametric(SMALL, time_varying={"x": 1}), "time_varying does not go"),
        (
            lambda: parametric(SMALL, ancillary={"scale": [[0], [1], [0], [1], [0], [1]]}),
            "other than its location.*scale.*possible=shape.*go into X",
        ),
        (
            lambda: parametric(SMALL, family="royston_parmar", time_varying={"arm": 1}),
            "time_varying names columns of the design.*column=arm",
        ),
        (
            lambda: parametric(SMALL, family="royston_parmar", knots=[20.0]),
            "knots must ascend between the boundary knots",
        ),
        (lambda: parametric(SMALL, family="royston_parmar", knots=-1), "must not be negative"),
        (
            lambda: parametric(SMALL, family="royston_parmar", knots=[-2.0]),
            "knots are times and must be positive.*knots=-2",
        ),
        (
            lambda: parametric(SMALL, family="piecewise", knots=[1.5, 1.7]),
            "every interval needs an event.*.1.5, 1.7.*merge",
        ),
        (lambda: parametric(SMALL, family="piecewise", knots=[3.0, 2.0]), "knots must ascend"),
        (
            lambda: parametric(fs.Outcome([0, 2, 3], [1, 1, 0])),
            "event at time 0 has no likelihood.*row 0",
        ),
        (lambda: parametric(fs.Outcome([1, 2], [0, 0])), "needs at least one event"),
        (lambda: parametric(fs.Outcome([1, 2], [1, 2])), "event codes 0 and 1"),
        (lambda: parametric([1, 2, 3]), "parametric takes an Outcome.*list"),
        (lambda: parametric(SMALL, cluster=[1] * 6, robust=False), "clusters ask for a robust"),
        (lambda: parametric(SMALL, weights=[1, 1, 0, 1, 1, 1]), "weights must be positive"),
        (lambda: parametric(SMALL, level=95), "level must lie"),
        (lambda: parametric(SMALL).survival(-1), "t must hold at least one time"),
        (lambda: parametric(SMALL).survival(1, [[0]]), "this model has no covariates"),
        (lambda: parametric(SMALL).survival(1, interval="bootstrap"), "interval must be one of"),
        (lambda: parametric(SMALL).survival(1, interval="simulation", n_draws=1), "needs draws"),
        (lambda: parametric(SMALL).hazard(0), "hazard is asked for at positive times"),
        (lambda: parametric(SMALL).rmst(0), "tau must be positive"),
        (lambda: parametric(SMALL).rmst(3, data_end=-1), "data_end must be positive"),
        (lambda: parametric(SMALL).quantile(1.0), "p must lie between 0 and 1"),
        (lambda: parametric(SMALL).log_likelihood_at([1.0]), "coef must have one value per row"),
        (lambda: fs.survival.compare_families(SMALL, families=[]), "at least one family"),
        (lambda: fs.survival.smoothed_hazard(SMALL, bandwidth=0), "bandwidth must be positive"),
        (
            lambda: fs.survival.smoothed_hazard(fs.Outcome([1, 1, 2], [1, 1, 0])),
            "at least two event times.*event times=1",
        ),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=f"(?s){says}"):
        call()


def test_no_maximum_names_the_term():
    arm = [0, 1, 0, 0, 1, 0]  # nobody of arm 1 has an event
    for family in ("exponential", "weibull", "lognormal", "gompertz"):
        with pytest.raises(ConvergenceError, match="arm.*merge or drop"):
            parametric(SMALL, family=family, X=pd.DataFrame({"arm": arm}))
    with pytest.raises(ConvergenceError, match="theta.*no plateau"):
        parametric(fs.Outcome(np.arange(1, 30), np.ones(29)), family="cure_weibull")


def test_censored_at_zero_says_nothing():
    with_zero = fs.Outcome([0, 1, 2, 3, 4, 5, 6], [0, 1, 0, 1, 1, 0, 1])
    found = parametric(with_zero)
    np.testing.assert_allclose(found.coef, parametric(SMALL).coef, rtol=1e-12)
    assert found.influence[0].tolist() == [0.0, 0.0]
    assert found.n == 7
