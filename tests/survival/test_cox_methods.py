"""What surrounds a Cox model: residuals, penalty, baseline, covariates and effects that vary with time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.conftest import generate
from tests.oracle.reference import rows

ROW_RESIDUALS = ("martingale", "deviance", "score", "dfbeta", "dfbetas")


def fitted(seed, ties="efron", late=True, n=60):
    y, rng = generate(seed, n, late=late, ties=10)
    x = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    return y, x, fs.survival.cox(y, x, ties=ties, weights=rng.integers(1, 4, n).astype(float))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_residuals_add_up(ties):
    y, x, model = fitted(3, ties)
    weight = np.empty(len(y))
    weight[model._rows.order] = model._rows.weight
    martingale = model.residuals()["martingale"]
    assert weight @ martingale == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(weight @ model.residuals("score").to_numpy(), 0, atol=1e-5)
    np.testing.assert_allclose(
        model.residuals("dfbeta"), model.influence * weight[:, None], rtol=1e-9, atol=1e-14
    )
    scaled = model.residuals("dfbeta") / np.sqrt(np.diag(model.model_covariance))
    np.testing.assert_allclose(model.residuals("dfbetas"), scaled, rtol=1e-12)
    expected = (y.event > 0) - martingale
    # Breslow's hazard of each row is that of its own baseline.
    if ties == "breslow":
        np.testing.assert_allclose(model.expected_events(y, x), expected, rtol=1e-8, atol=1e-12)
    schoenfeld = model.residuals("schoenfeld")
    assert len(schoenfeld) == model.n_event
    np.testing.assert_array_equal(schoenfeld["time"], y.time[schoenfeld["row"]])
    trend = model.test_proportional_hazards().residuals[["a", "b"]]
    np.testing.assert_allclose(
        model.residuals("scaled_schoenfeld")[["a", "b"]], trend, rtol=1e-8, atol=1e-10
    )


def test_residuals_of_split_rows_add_up_to_those_of_persons():
    y, rng = generate(8, 50, late=True)
    x = pd.DataFrame(rng.normal(size=(50, 2)), columns=["a", "b"])
    whole = fs.survival.cox(y, x)
    pieces = fs.survival.split_at_times(y, [3, 5, 8])
    parts = fs.survival.cox(pieces.outcome, x.iloc[pieces.row])
    for kind in ROW_RESIDUALS:
        np.testing.assert_allclose(
            parts.residuals(kind, by=pieces.row), whole.residuals(kind), rtol=1e-7, atol=1e-9
        )
    ours, theirs = parts.concordance(), whole.concordance()
    assert ours.estimate == pytest.approx(theirs.estimate)
    clustered = fs.survival.cox(pieces.outcome, x.iloc[pieces.row], cluster=pieces.row)
    assert clustered.concordance().std_error == pytest.approx(theirs.std_error)


def test_the_baseline_is_the_prediction_at_zero():
    y, x, model = fitted(5)
    baseline = model.baseline()
    at_zero = model.predict_survival(x.head(1) * 0, baseline["time"])
    for name in ("survival", "std_error", "lower", "upper"):
        np.testing.assert_allclose(baseline[name], at_zero[name], rtol=1e-10)
    np.testing.assert_allclose(
        baseline["std_error"], baseline["survival"] * baseline["hazard_std_error"]
    )
    assert (baseline["hazard_std_error"].diff().dropna() > -1e-12).all()
    assert len(y) == model.n


def test_ridge_shrinks_to_nothing_and_back():
    y, rng = generate(2, 80)
    x = pd.DataFrame(rng.normal(size=(80, 3)), columns=list("abc"))
    plain = fs.survival.cox(y, x)
    none = fs.survival.cox_ridge(y, x, theta=0)
    np.testing.assert_allclose(none.coef, plain.coef, rtol=1e-6)
    assert none.degrees_of_freedom == pytest.approx(3)
    much = fs.survival.cox_ridge(y, x, theta=1e8)
    assert np.abs(much.coef).max() < 1e-5
    assert much.degrees_of_freedom < 1e-4
    # Scaling a covariate changes nothing but its unit.
    scaled = fs.survival.cox_ridge(y, x.assign(a=x["a"] * 100), theta=5)
    same = fs.survival.cox_ridge(y, x, theta=5)
    assert scaled.coef["a"] * 100 == pytest.approx(same.coef["a"])
    part = fs.survival.cox_ridge(y, x, theta=1e8, penalise=["b"])
    np.testing.assert_allclose(
        part.coef[["a", "c"]], fs.survival.cox(y, x[["a", "c"]]).coef, rtol=1e-4
    )


def test_ridge_needs_no_maximum_of_the_likelihood():
    y = fs.Outcome([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 1, 0, 0, 0, 0, 0])
    x = pd.DataFrame({"grade": [3, 3, 3, 1, 1, 2, 1, 2]})
    assert 0 < fs.survival.cox_ridge(y, x, theta=1).coef["grade"] < 10


def test_transplants_from_dated_changes():
    """The rows that R has as heart, from one row a person and the dates of transplants."""
    d = rows("heart")
    base = d.groupby("id", as_index=False).agg(
        time=("stop", "max"), event=("event", "max"), age=("age", "first"), year=("year", "first"),
        surgery=("surgery", "first"), transplant=("transplant", "first"),
    )  # fmt: skip
    moved = d[(d["transplant"] == 1) & (d["start"] > 0)]
    changes = moved[["id", "start"]].rename(columns={"start": "time"}).assign(value=1)
    shuffled = changes.sample(frac=1, random_state=1)
    built = fs.survival.time_varying(base, person="id", values={"transplant": shuffled})
    names = ["age", "year", "surgery", "transplant"]
    ordered = d.sort_values(["id", "start"])
    np.testing.assert_array_equal(
        built.table[["id", "entry", "time", "event", *names]],
        ordered[["id", "start", "stop", "event", *names]],
    )
    ours = fs.survival.cox(built.outcome, built.covariates[names], cluster=built.person)
    y = fs.Outcome(d["stop"], d["event"], entry=d["start"])
    theirs = fs.survival.cox(y, d[names], cluster=d["id"])
    np.testing.assert_allclose(ours.table.iloc[:, 1:], theirs.table.iloc[:, 1:], rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_time_varying_is_what_a_loop_finds(seed):
    rng = np.random.default_rng(seed)
    n = 8
    entry = rng.integers(0, 4, n)
    base = pd.DataFrame({"person": rng.permutation(n) + 10, "from": entry})
    base["time"] = entry + rng.integers(1, 9, n)
    base["event"] = rng.integers(0, 2, n)
    keys = rng.permutation([(p, t) for p in base["person"] for t in range(-2, 12)])[:30]
    stage = pd.DataFrame(keys, columns=["person", "time"]).assign(value=rng.integers(1, 9, 30))
    visits = pd.DataFrame(
        {"person": rng.choice(base["person"], 15), "time": rng.integers(-2, 12, 15)}
    ).assign(value=rng.integers(1, 4, 15))
    found = fs.survival.time_varying(
        base,
        entry="from",
        values={"stage": stage},
        counts={"days": visits, "visits": visits.drop(columns="value")},
        initial={"stage": 0},
    ).table
    for row, person in base.iterrows():
        mine = found[found["row"] == row].sort_values("entry")
        assert mine["entry"].iloc[0] == person["from"]
        assert mine["time"].iloc[-1] == person["time"]
        assert (mine["entry"].to_numpy()[1:] == mine["time"].to_numpy()[:-1]).all()
        assert mine["event"].sum() == mine["event"].iloc[-1] == person["event"]
        cuts = set(mine["entry"])
        for table in (stage, visits):
            own = table[table["person"] == person["person"]]["time"]
            assert {t for t in own if person["from"] < t < person["time"]} <= cuts
        for _, piece in mine.iterrows():
            before = stage[(stage["person"] == piece["person"]) & (stage["time"] <= piece["entry"])]
            value = before.sort_values("time")["value"].iloc[-1] if len(before) else 0
            assert piece["stage"] == value
            past = visits[
                (visits["person"] == piece["person"]) & (visits["time"] <= piece["entry"])
            ]
            assert piece["visits"] == len(past)
            assert piece["days"] == past["value"].sum()


def test_persons_may_have_several_rows():
    base = pd.DataFrame({"person": [1, 1], "from": [0, 6], "time": [4, 9], "event": [0, 1]})
    dose = pd.DataFrame({"person": [1, 1], "time": [2, 5], "value": [10, 20]})
    found = fs.survival.time_varying(base, entry="from", values={"dose": dose}, initial={"dose": 0})
    assert found.table[["row", "entry", "time", "dose"]].values.tolist() == [
        [0, 0, 2, 0],
        [0, 2, 4, 10],
        [1, 6, 9, 20],
    ]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.sampled_from(["efron", "breslow"]))
def test_smooth_effects_are_those_of_rows_split_at_every_event(seed, late, strata, ties):
    y, rng = generate(seed, 80, late=late, ties=9)
    x = pd.DataFrame({"a": rng.integers(0, 3, 80), "b": rng.normal(size=80).round(1)})
    stratum = rng.integers(0, 2, 80) if strata else None
    ours = fs.survival.varying_effects(
        y, x, {"a": "log", "b": "identity"}, ties=ties, strata=stratum
    )
    events = np.unique(y.time[y.event > 0])
    pieces = fs.survival.split_at_times(y, events)
    long = x.iloc[pieces.row].reset_index(drop=True)
    time = pieces.outcome.time
    long["a:log(time)"], long["b:time"] = long["a"] * np.log(time), long["b"] * time
    rows_strata = None if stratum is None else stratum[pieces.row]
    theirs = fs.survival.cox(pieces.outcome, long, ties=ties, strata=rows_strata)
    np.testing.assert_allclose(ours.coef, theirs.coef, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours.covariance, theirs.covariance, rtol=1e-5, atol=1e-9)
    assert ours.log_likelihood == pytest.approx(theirs.log_likelihood)
    assert list(ours.coef.index) == list(theirs.coef.index)


def test_hazard_ratio_over_time():
    y, rng = generate(6, 120)
    x = pd.DataFrame({"a": rng.integers(0, 2, 120)})
    smooth = fs.survival.varying_effects(y, x, {"a": "log"})
    at = smooth.hazard_ratio("a", [1.0, np.e])
    assert at["coef"][0] == pytest.approx(smooth.coef["a"])
    assert at["coef"][1] == pytest.approx(smooth.coef.sum())
    steps = fs.survival.varying_effects(y, x, {"a": [4, 8]})
    at = steps.hazard_ratio("a", [4, 4.5, 9])
    np.testing.assert_allclose(at["coef"], steps.coef)
    constant = fs.survival.cox(y, x)
    assert steps.log_likelihood > constant.log_likelihood
    assert steps.tests["test"].iloc[-1] == "constant effect of a"
    with pytest.raises(DataError, match="does not vary"):
        steps.hazard_ratio("b", 1)


def test_a_step_has_the_robust_variance_of_persons():
    y, rng = generate(6, 120)
    x = pd.DataFrame({"a": rng.integers(0, 2, 120)})
    weight = rng.uniform(0.5, 2, 120)
    weighted = fs.survival.varying_effects(y, x, {"a": [5]}, weights=weight)
    named = fs.survival.varying_effects(y, x, {"a": [5]}, weights=weight, cluster=np.arange(120))
    np.testing.assert_allclose(weighted.covariance, named.covariance)


def test_prediction_error_influence_is_the_jackknife():
    y, rng = generate(1, 150, ties=40)
    risk, t = np.clip(rng.random(150).round(2), 0.01, 0.99), 20.0
    whole = fs.survival.prediction_error(y, risk, t)
    for name, influence in (("brier", whole.brier_influence), ("auc", whole.auc_influence)):
        for row in range(0, 150, 11):
            keep = np.arange(150) != row
            less = fs.survival.prediction_error(y.take(keep), risk[keep], t)
            change = whole.table[name][0] - less.table[name][0]
            assert influence[row, 0] == pytest.approx(change, rel=0.05, abs=3e-4)


def test_perfect_and_useless_predictions():
    y = fs.Outcome(np.arange(1, 21), np.ones(20))
    perfect = fs.survival.prediction_error(y, (y.time <= 10).astype(float), 10).table.iloc[0]
    assert perfect["brier"] == 0
    assert perfect["auc"] == 1
    useless = fs.survival.prediction_error(y, np.full(20, 0.5), 10).table.iloc[0]
    assert useless["auc"] == 0.5
    assert useless["scaled_brier"] == pytest.approx(0)


def test_bootstrap_of_quantiles():
    d = rows("lung")
    y = fs.Outcome(d["time"], d["status"] == 2)
    found = fs.survival.quantile_contrast(y, d["sex"], draws=400)
    curve = fs.survival.kaplan_meier(y, group=d["sex"]).quantile(0.5)
    np.testing.assert_array_equal(found.table["quantile"], curve["quantile"])
    # Percentiles of the bootstrap are near the limits that invert the band.
    np.testing.assert_allclose(found.table["lower"], curve["lower"], rtol=0.06)
    np.testing.assert_allclose(found.table["upper"], curve["upper"], rtol=0.12)
    again = fs.survival.quantile_contrast(y, d["sex"], draws=400)
    np.testing.assert_array_equal(found.draws, again.draws)
    alone = fs.survival.quantile_contrast(y, d["sex"], draws=400, cluster=np.arange(len(d)))
    np.testing.assert_allclose(alone.table["lower"], found.table["lower"], rtol=0.06)
    rare = fs.survival.quantile_contrast(y, d["sex"], probability=0.93, draws=200)
    assert rare.table["undefined"].max() > 0.2
    assert np.isinf(rare.table["upper"]).any()


def test_influence_on_quantiles():
    rng = np.random.default_rng(3)
    n = 600
    arm = rng.integers(0, 2, n)
    time, end = rng.weibull(1.3, n) * (2 + arm), rng.uniform(0.5, 6, n)
    y = fs.Outcome(np.minimum(time, end), time <= end)

    def contrast(**options):
        return fs.survival.quantile_contrast(y, arm, **options)

    found, drawn = contrast(variance="influence"), contrast(draws=1000)
    np.testing.assert_array_equal(found.table["quantile"], drawn.table["quantile"])
    np.testing.assert_allclose(found.table["std_error"], drawn.table["std_error"], rtol=0.25)
    np.testing.assert_allclose(found.contrast["std_error"], drawn.contrast["std_error"], rtol=0.25)
    np.testing.assert_array_equal(found.contrast["estimate"], drawn.contrast["estimate"])
    assert found.draws.shape == (0, 2)
    assert found.method == "influence, density by interval inversion"
    # Groups are independent: variances add.
    parts = (found.table["std_error"] ** 2).sum()
    assert found.contrast["std_error"][0] ** 2 == pytest.approx(parts)
    # Weights are repeated rows of a cluster; the scale of weights does not matter.
    times = rng.integers(1, 4, n)
    rows_of = np.repeat(np.arange(n), times)
    a = contrast(variance="influence", weights=times)
    b = fs.survival.quantile_contrast(
        y.take(rows_of), arm[rows_of], variance="influence", cluster=rows_of
    )
    names = ["estimate", "std_error", "lower", "upper", "p_value"]
    np.testing.assert_allclose(a.contrast[names], b.contrast[names])
    c = contrast(variance="influence", weights=times / 7)
    np.testing.assert_allclose(a.contrast[names], c.contrast[names])
    # A quantile that one arm does not reach.
    late = contrast(variance="influence", probability=0.93)
    assert late.table["undefined"].max() == 1
    assert np.isnan(late.contrast["p_value"]).all()


def test_weighted_maxcombo_is_made_of_weighted_logranks():
    d = rows("lung")
    y, weight = fs.Outcome(d["time"], d["status"] == 2), d["age"] / d["age"].mean()
    found = fs.survival.maxcombo(y, d["sex"], weights=weight)
    for _, test in found.table.iterrows():
        one = fs.survival.logrank(y, d["sex"], weights=weight, rho=test["rho"], gamma=test["gamma"])
        assert test["z"] ** 2 == pytest.approx(one.statistic)
    assert found.table["p_value"].min() < found.p_value < 4 * found.table["p_value"].min()
    table = fs.survival.RiskTable.from_outcome(y, group=d["sex"], weights=weight)
    assert fs.survival.maxcombo(table).p_value == found.p_value


def test_net_survival_without_excess_is_one():
    """Simulated persons who die as the population does."""
    frame = pd.DataFrame(
        {
            "sex": "f",
            "age": np.arange(0, 100, 10),
            "year": 2000,
            "rate": 1e-5 * 2.0 ** np.arange(10),
        }
    )
    rng = np.random.default_rng(12)
    n = 4000
    age = rng.uniform(40, 80, n) * 365.25
    people = fs.survival.RateTable.from_frame(frame).match(
        age, np.full(n, 11_000.0), sex=np.full(n, "f")
    )
    grid = np.arange(0.0, 4000.0, 50.0)
    hazard = np.stack([people.cumulative_hazard(t) for t in grid], axis=1)
    time = np.array(
        [
            np.interp(e, h, grid, right=4000.0)
            for e, h in zip(rng.exponential(size=n), hazard, strict=True)
        ]
    )
    end = np.minimum(np.round(time) + 1, 3000)
    y = fs.Outcome(end, time < 2999)
    net = fs.survival.relative_survival(y, people).at([1000, 2900])
    assert (np.abs(net["survival"] - 1) < 3.5 * net["std_error"]).all()
    test = fs.survival.one_sample_logrank(y, people)
    assert test.p_value > 0.001
    exact = fs.survival.one_sample_logrank(y, people, method="exact")
    assert exact.p_value == pytest.approx(test.p_value, abs=0.02)
    whole = net["crude_disease"] + net["crude_population"]
    observed = 1 - fs.survival.kaplan_meier(y).at([1000, 2900])["survival"]
    np.testing.assert_allclose(whole, observed, atol=1e-3)
