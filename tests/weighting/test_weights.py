"""Weights and balance: definitions, exactness, and what they say about themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import fiac_survival as fs
from tests.oracle.reference import rows


def trial():
    d = rows("gbsg")
    x = d[["age", "meno", "nodes", "grade"]]
    return x, d["hormon"]


def test_definitions():
    x, t = trial()
    ate = fs.compare.weights(x, t)
    e, z = ate.propensity, t.to_numpy() == 1
    assert e.sum() == pytest.approx(z.sum(), rel=1e-10)  # a property of maximum likelihood
    for name, treated, control in (
        ("ate", 1 / e, 1 / (1 - e)),
        ("att", np.ones_like(e), e / (1 - e)),
        ("atc", (1 - e) / e, np.ones_like(e)),
        ("overlap", 1 - e, e),
        ("matching", np.minimum(e, 1 - e) / e, np.minimum(e, 1 - e) / (1 - e)),
    ):
        w = fs.compare.weights(x, t, estimand=name)
        np.testing.assert_allclose(w.weights, np.where(z, treated, control), rtol=1e-12)
        assert w.ess[1] == pytest.approx(w.weights[z].sum() ** 2 / (w.weights[z] ** 2).sum())


def test_the_propensity_is_that_of_another_library():
    x, t = trial()
    scaled = (x - x.mean()) / x.std()
    other = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10_000).fit(scaled, t)
    ours = fs.compare.weights(x, t).propensity
    np.testing.assert_allclose(ours, other.predict_proba(scaled)[:, 1], rtol=1e-5)


def test_overlap_weights_balance_exactly():
    x, t = trial()
    w = fs.compare.weights(x, t, estimand="overlap")
    assert fs.compare.balance(x, t, weights=w).table["smd_after"].abs().max() < 1e-10


def test_scale_is_stated():
    x, t = trial()
    z = t.to_numpy() == 1
    group = fs.compare.weights(x, t, normalise="group")
    assert group.weights[z].mean() == pytest.approx(1)
    assert group.weights[~z].mean() == pytest.approx(1)
    assert group.scale == "mean 1 in each arm"
    stable = fs.compare.weights(x, t, stabilised=True)
    assert "stabilised" in stable.scale
    plain = fs.compare.weights(x, t)
    np.testing.assert_allclose(stable.weights[z], plain.weights[z] * z.mean())
    total = fs.compare.weights(x, t, method="entropy", normalise="none")
    assert total.weights[z].sum() == pytest.approx(len(z))


def test_truncation_is_explicit_and_counted():
    x, t = trial()
    plain = fs.compare.weights(x, t)
    on_weight = fs.compare.weights(x, t, truncate={"on": "weight", "quantiles": (0.05, 0.95)})
    low, high = np.quantile(plain.weights, [0.05, 0.95])
    np.testing.assert_allclose(on_weight.weights, np.clip(plain.weights, low, high))
    assert on_weight.truncated == ((plain.weights < low) | (plain.weights > high)).sum()
    on_propensity = fs.compare.weights(
        x, t, truncate={"on": "propensity", "quantiles": (0.05, 0.95)}
    )
    assert not np.allclose(on_weight.weights, on_propensity.weights)
    assert plain.truncated == 0


def test_matching():
    x, t = trial()
    w = fs.compare.weights(x, t, method="nearest", estimand="att")
    z = t.to_numpy() == 1
    for pair in range(int(w.pair.max()) + 1):
        a, b = np.flatnonzero(w.pair == pair)
        assert z[a] != z[b]
        assert abs(w.propensity[a] - w.propensity[b]) <= 0.2 * w.propensity.std(ddof=1)
    assert set(np.unique(w.weights)) == {0.0, 1.0}
    assert w.weights[z].sum() == w.weights[~z].sum() == w.pair.max() + 1


def test_cross_fitting_predicts_out_of_fold():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(300, 3)), rng.random(300) < 0.5
    w = fs.compare.weights(x, t, learner=LogisticRegression(C=np.inf), seed=2)
    again = fs.compare.weights(x, t, learner=LogisticRegression(C=np.inf), seed=2)
    np.testing.assert_array_equal(w.weights, again.weights)
    # Out of fold, noise does not predict; in sample, maximum likelihood would.
    inside = fs.compare.weights(x, t).propensity
    assert np.corrcoef(w.propensity, t)[0, 1] < np.corrcoef(inside, t)[0, 1]


def test_balance_measures():
    x = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]})
    t = [0, 1, 0, 1, 0, 1]
    w = [1.0, 1.0, 2.0, 2.0, 1.0, 1.0]
    row = fs.compare.balance(x, t, weights=w).table.iloc[0]
    assert row["smd_before"] == pytest.approx(1.0 / 2.0)
    assert row["mean_treated_after"] == pytest.approx((2 + 8 + 6) / 4)
    assert row["mean_control_after"] == pytest.approx((1 + 6 + 5) / 4)
    assert row["variance_ratio"] == pytest.approx(1.0)
    assert row["ks"] == pytest.approx(0.5)
    gates = fs.compare.balance(x, t, weights=w).gates.set_index("gate")["passed"]
    assert not gates["largest |SMD|"]
    assert gates["smallest share of effective patients in an arm"]


def test_formula_and_table_agree():
    d = rows("gbsg")
    a = fs.compare.weights(d[["age", "nodes"]], d["hormon"]).weights
    b = fs.compare.weights("age + nodes", d["hormon"], data=d).weights
    np.testing.assert_allclose(a, b)
