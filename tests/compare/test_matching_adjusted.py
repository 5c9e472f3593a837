"""Matching-adjusted indirect comparison: closed form, second implementation, hull, influence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logit

import fiac_survival as fs
from fiac_survival.core.errors import DataError, SupportError

RNG = np.random.default_rng(3)
X = pd.DataFrame(
    {
        "age": RNG.normal(62, 9, 300),
        "male": (RNG.random(300) < 0.6).astype(float),
        "stage": (RNG.random(300) < 0.4).astype(float),
    }
)
TARGET = {"age": 65.0, "male": 0.7, "stage": 0.55}


def test_one_binary_covariate_in_closed_form():
    found = fs.compare.maic(X[["male"]], {"male": 0.8})
    share, male = X["male"].mean(), X["male"] == 1
    np.testing.assert_allclose(found.weights[male], 0.8 / share)
    np.testing.assert_allclose(found.weights[~male], 0.2 / (1 - share))
    expected = len(X) / (0.8**2 / share + 0.2**2 / (1 - share))
    assert found.ess == pytest.approx(expected)
    odds = np.log(found.weights[male][0] / found.weights[~male][0])
    assert odds == pytest.approx(logit(0.8) - logit(share))


@pytest.mark.parametrize("spread", [None, {"age": 7.0}])
def test_a_general_minimiser_finds_the_same(spread):
    found = fs.compare.maic(X, TARGET, target_standard_deviations=spread)
    c = X.to_numpy() - np.array(list(TARGET.values()))
    if spread:
        c = np.column_stack([c, X["age"] ** 2 - (65.0**2 + 7.0**2)])
    scale = c.std(axis=0)
    objective = lambda b: np.exp(c / scale @ b).sum()  # noqa: E731
    gradient = lambda b: np.exp(c / scale @ b) @ (c / scale)  # noqa: E731
    best = minimize(objective, np.zeros(c.shape[1]), jac=gradient, method="BFGS", tol=1e-10)
    w = np.exp(c / scale @ best.x)
    np.testing.assert_allclose(found.weights, w / w.mean(), rtol=2e-4)
    after = found.weights @ X.to_numpy() / len(X)
    np.testing.assert_allclose(after, list(TARGET.values()), atol=1e-9)
    if spread:
        sd = np.sqrt(np.average((X["age"] - 65.0) ** 2, weights=found.weights))
        assert sd == pytest.approx(7.0)
        row = found.table[found.table["moment"] == "second moment"].iloc[0]
        assert row["target"] == pytest.approx(65.0**2 + 7.0**2)
        assert row["after"] == pytest.approx(np.average(X["age"] ** 2, weights=found.weights))
        assert row["before"] == pytest.approx((X["age"] ** 2).mean())
    assert found.ess == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-4)
    assert found.weights.mean() == pytest.approx(1.0)


def test_own_means_change_nothing():
    found = fs.compare.maic(X, X.mean())
    np.testing.assert_allclose(found.weights, 1.0)
    assert found.ess_share == pytest.approx(1.0)


@given(st.integers(0, 10_000), st.floats(0.2, 5.0), st.floats(-50, 50))
def test_units_do_not_matter(seed, factor, shift):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(60, 2))
    target = np.array([0.2, -0.3])
    a = fs.compare.maic(x, target).weights
    b = fs.compare.maic(x * factor + shift, target * factor + shift).weights
    np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_formula_and_names_in_any_order():
    a = fs.compare.maic("age + male", {"male": 0.7, "age": 65}, data=X)
    b = fs.compare.maic(X[["age", "male"]], [65, 0.7])
    np.testing.assert_allclose(a.weights, b.weights)


def test_influence_is_the_derivative_of_the_estimate():
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(40, 2)), rng.normal(size=40)
    target = np.array([0.3, -0.2])

    def estimate(multiplicity):
        """Weighted mean of z, patients repeated: solved anew by Newton's method."""
        b = np.zeros(2)
        c = x - target
        for _ in range(50):
            w = multiplicity * np.exp(c @ b)
            b -= np.linalg.solve((c * w[:, None]).T @ c, w @ c)
        w = multiplicity * np.exp(c @ b)
        return w @ z / w.sum()

    found = fs.compare.maic(x, target)
    w = found.weights
    mean = w @ z / w.sum()
    assert estimate(np.ones(40)) == pytest.approx(mean)
    influence = w * (z - mean) / w.sum()
    ours = influence + found.correction(influence)
    for i in range(40):
        step = np.zeros(40)
        step[i] = 1e-5
        slope = (estimate(1 + step) - estimate(1 - step)) / 2e-5
        assert ours[i] == pytest.approx(slope, abs=1e-7)


def test_beyond_the_range():
    with pytest.raises(SupportError, match=r"convex hull.*covariate=male, target=1, smallest=0"):
        fs.compare.maic(X, {**TARGET, "male": 1.0})


def test_out_of_reach_together():
    """Each mean is within reach, but nobody has both: their shares cannot add to more than 1."""
    x = pd.DataFrame({"age": RNG.normal(size=90), "a": [1, 0, 0] * 30, "b": [0, 1, 0] * 30})
    with pytest.raises(SupportError, match=r"out of reach together=a, b\).*drop one"):
        fs.compare.maic(x, {"age": 0.1, "a": 0.6, "b": 0.6})


def test_on_the_edge_together():
    x = pd.DataFrame({"a": [1, 0, 0, 1, 0] * 30, "b": [0, 1, 0, 0, 0] * 30})
    with pytest.raises(SupportError, match="out of reach together=a, b"):
        fs.compare.maic(x, {"a": 0.6, "b": 0.4})


def test_standard_deviation_out_of_reach():
    with pytest.raises(SupportError, match=r"age squared"):
        fs.compare.maic(X, TARGET, target_standard_deviations={"age": 100.0})


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.compare.maic(X, {"age": 65}), "all of them and no others.*covariate=male"),
        (lambda: fs.compare.maic(X, {**TARGET, "x": 1}), r"covariate=x\)"),
        (lambda: fs.compare.maic(X, [65, 0.7]), "target_means must have one value per row"),
        (lambda: fs.compare.maic(X, {**TARGET, "age": np.nan}), "target_means must be finite"),
        (
            lambda: fs.compare.maic(X, TARGET, target_standard_deviations={"age": 0.0}),
            "must be positive.*standard deviation=0",
        ),
        (
            lambda: fs.compare.maic(X, TARGET, target_standard_deviations={"size": 1.0}),
            "covariate=size.*the covariates are age",
        ),
        (lambda: fs.compare.maic(X.assign(male=1.0), TARGET), "must vary.*male"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()
