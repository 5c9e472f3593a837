"""The influence of a row, weights included, is the derivative in its multiplicity.

Each row is repeated 40 times and one of them once more or once less: the change of the estimate is the
influence, up to the square of 1/40. This runs through the estimation of the weights, their scale and
the effect, and shares no code with the closed forms.
"""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs

TIMES = 40


def data(n=90, seed=4):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    treated = rng.random(n) < 1 / (1 + np.exp(-(0.4 * x[:, 0] - 0.5 * x[:, 1])))
    time = rng.exponential(np.exp(-0.4 * x[:, 0] + 0.3 * treated)) * 10
    censor = rng.uniform(2, 25, n)
    return x, treated, np.minimum(time, censor), time <= censor


WEIGHTS = {
    "ate": {},
    "stabilised": {"stabilised": True},
    "ate, mean 1": {"normalise": "group"},
    "att": {"estimand": "att"},
    "atc": {"estimand": "atc"},
    "atc, mean 1": {"estimand": "atc", "normalise": "group"},
    "overlap": {"estimand": "overlap"},
    "matching": {"estimand": "matching"},
    "entropy ate": {"method": "entropy"},
    "entropy att": {"method": "entropy", "estimand": "att"},
    "entropy att, sum": {"method": "entropy", "estimand": "att", "normalise": "none"},
    "entropy atc": {"method": "entropy", "estimand": "atc"},
    "entropy ate, sum": {"method": "entropy", "normalise": "none"},
}
MEASURES = {
    "hazard_ratio": {},
    "rmst": {"tau": 8.0},
    "milestone": {"tau": 6.0},
}


def estimate(rows, options, measure):
    x, treated, time, event = (column[rows] for column in data())
    w = fs.compare.weights(x, treated, **options)
    return fs.compare.effect(
        fs.Outcome(time, event), treated, measure=measure, weights=w, **MEASURES[measure]
    )


@pytest.mark.parametrize("measure", list(MEASURES))
@pytest.mark.parametrize("name", list(WEIGHTS))
def test_influence_is_a_derivative(name, measure):
    n = len(data()[0])
    found = estimate(np.arange(n), WEIGHTS[name], measure)
    base = np.repeat(np.arange(n), TIMES)
    # Breslow ties would be needed for exactly repeated rows in Cox; Efron's differ by O(1/TIMES).
    tolerance = 0.05 if measure == "hazard_ratio" else 0.003
    scale = np.abs(found.influence).max()
    for row in (0, 17, 44, 71):
        more = estimate(np.append(base, row), WEIGHTS[name], measure).on_scale
        less = estimate(np.delete(base, row * TIMES), WEIGHTS[name], measure).on_scale
        derivative = (more - less) * TIMES / 2
        assert derivative == pytest.approx(found.influence[row], abs=tolerance * scale)


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_influences_sum_to_zero(name):
    for measure in MEASURES:
        found = estimate(np.arange(len(data()[0])), WEIGHTS[name], measure)
        size = np.abs(found.influence).sum()
        assert abs(found.influence.sum()) < 1e-8 * size


def test_fixed_and_estimated_differ_and_say_so():
    rows = np.arange(len(data()[0]))
    x, treated, time, event = data()
    y = fs.Outcome(time, event)
    w = fs.compare.weights(x, treated)
    estimated = fs.compare.effect(y, treated, measure="rmst", tau=8.0, weights=w)
    fixed = fs.compare.effect(
        y, treated, measure="rmst", tau=8.0, weights=w, weight_variance="fixed"
    )
    array = fs.compare.effect(y, treated, measure="rmst", tau=8.0, weights=w.weights)
    assert estimated.weight_variance == "estimated"
    assert fixed.weight_variance == array.weight_variance == "fixed"
    assert fixed.std_error == pytest.approx(array.std_error, rel=1e-12)
    assert estimated.std_error != pytest.approx(fixed.std_error, rel=1e-3)
    assert len(rows) == estimated.influence.size


def test_effects_without_weights_are_the_plain_estimates():
    _, treated, time, event = data()
    y = fs.Outcome(time, event)
    model = fs.survival.cox(y, treated.astype(float)[:, None], robust=True)
    found = fs.compare.effect(y, treated, measure="hazard_ratio")
    assert found.on_scale == pytest.approx(model.coef.iloc[0])
    assert found.std_error == pytest.approx(model.table["std_error"][0])
    means = fs.survival.rmst(y, tau=8.0, group=treated.astype(int))
    found = fs.compare.effect(y, treated, measure="rmst", tau=8.0)
    assert found.estimate == pytest.approx(means.contrast["estimate"][0])
    assert found.std_error == pytest.approx(means.contrast["std_error"][0])
    np.testing.assert_allclose(found.arms["estimate"], means.table["rmst"])
    at = fs.survival.milestone(y, times=6.0, group=treated.astype(int))
    found = fs.compare.effect(y, treated, measure="milestone", tau=6.0)
    assert found.estimate == pytest.approx(at.contrast["estimate"][0])
    np.testing.assert_allclose(
        found.arms[["estimate", "std_error", "lower", "upper"]],
        at.table[["survival", "std_error", "lower", "upper"]],
    )


def test_clusters_add_up():
    x, treated, time, event = data()
    y = fs.Outcome(time, event)
    person = np.arange(len(y)) // 2
    w = fs.compare.weights(x, treated)
    found = fs.compare.effect(y, treated, measure="rmst", tau=8.0, weights=w, cluster=person)
    expected = np.sqrt((np.bincount(person, weights=found.influence) ** 2).sum())
    assert found.std_error == pytest.approx(expected)
    rmst = fs.survival.rmst(y, tau=8.0, group=treated.astype(int), cluster=person)
    plain = fs.compare.effect(y, treated, measure="rmst", tau=8.0, cluster=person)
    assert plain.std_error == pytest.approx(rmst.contrast["std_error"][0])


def test_weighted_curves_are_the_milestones():
    x, treated, time, event = data()
    y = fs.Outcome(time, event)
    w = fs.compare.weights(x, treated, method="entropy")
    curves = fs.compare.weighted_curves(y, treated, times=[2.0, 6.0], weights=w)
    at = fs.compare.effect(y, treated, measure="milestone", tau=6.0, weights=w).arms
    here = curves[curves["time"] == 6.0]
    for name, theirs in {
        "survival": "estimate",
        "std_error": "std_error",
        "lower": "lower",
        "upper": "upper",
    }.items():
        np.testing.assert_allclose(here[name], at[theirs])
    counts = fs.survival.kaplan_meier(y, group=treated.astype(int)).at([6.0])
    np.testing.assert_array_equal(here["n_risk"], counts["n_risk"])
    for arm in (0, 1):
        mine = treated == bool(arm)
        gone = (time <= 6.0) & mine
        row = here[here["arm"] == arm].iloc[0]
        assert row["n_event"] == (gone & event).sum()
        assert row["n_censor"] == (gone & ~event).sum()


def test_matched_pairs_are_clusters():
    x, treated, time, event = data()
    y = fs.Outcome(time, event)
    w = fs.compare.weights(x, treated, method="nearest", estimand="att")
    found = fs.compare.effect(y, treated, measure="rmst", tau=8.0, weights=w)
    used = w.weights > 0
    assert found.influence[~used].tolist() == [0.0] * int((~used).sum())
    twin = fs.compare.effect(
        y.take(used), treated[used], measure="rmst", tau=8.0, cluster=w.pair[used]
    )
    assert found.estimate == pytest.approx(twin.estimate)
    assert found.std_error == pytest.approx(twin.std_error)


def test_a_learner_is_bootstrapped():
    linear_model = pytest.importorskip("sklearn.linear_model")
    x, treated, time, event = data(n=200)
    y = fs.Outcome(time, event)
    w = fs.compare.weights(x, treated, learner=linear_model.LogisticRegression(C=1.0), seed=1)
    assert not w.has_influence
    options = {"measure": "rmst", "tau": 8.0, "weights": w, "replicates": 60, "seed": 3}
    found = fs.compare.effect(y, treated, **options)
    again = fs.compare.effect(y, treated, **options)
    assert found.weight_variance == "bootstrap"
    assert found.std_error == again.std_error > 0
    plain = fs.compare.effect(y, treated, measure="rmst", tau=8.0)
    assert 0.6 < found.std_error / plain.std_error < 1.8
