"""Bad input of weights, balance and effects."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 2))
T = RNG.random(40) < 0.5
Y = fs.Outcome(RNG.integers(1, 9, 40), RNG.random(40) < 0.7)
W = fs.compare.weights(X, T)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: fs.compare.weights(X, [0, 1, 2] * 13 + [0]),
            "treated must be 0 or 1.*row 2, treated=2",
        ),
        (lambda: fs.compare.weights(X, [1] * 40), "both arms must occur.*control=0"),
        (lambda: fs.compare.weights(X[:5], T), "one row per outcome"),
        (lambda: fs.compare.weights(X, T, estimand="all"), "estimand must be one of"),
        (
            lambda: fs.compare.weights(X, T, estimand="att", stabilised=True),
            "stabilised weights are ATE",
        ),
        (
            lambda: fs.compare.weights(X, T, stabilised=True, normalise="group"),
            "cancels stabilisation",
        ),
        (
            lambda: fs.compare.weights(X, T, method="entropy", estimand="overlap"),
            "target population with known means",
        ),
        (
            lambda: fs.compare.weights(X, T, method="nearest"),
            'effect in the treated.*estimand="att"',
        ),
        (
            lambda: fs.compare.weights(
                X, T, method="entropy", truncate={"on": "weight", "quantiles": (0.1, 0.9)}
            ),
            "only propensity weights can be truncated",
        ),
        (
            lambda: fs.compare.weights(X, T, truncate={"on": "weights", "quantiles": (0, 1)}),
            "truncate must say on what",
        ),
        (
            lambda: fs.compare.weights(X, T, truncate={"on": "weight", "quantiles": (0.9, 0.1)}),
            "lower and an upper share",
        ),
        (lambda: fs.compare.weights(X, T, learner="forest"), "classifier with predict_proba"),
        (
            lambda: fs.compare.weights(X, T, method="entropy", learner=object()),
            "no propensity model",
        ),
        (lambda: fs.compare.effect(Y, T, measure="rmst"), "rmst needs tau"),
        (lambda: fs.compare.effect(Y, T, measure="hazard_ratio", tau=3), "has no tau"),
        (lambda: fs.compare.effect(Y, T, measure="odds"), "measure must be one of"),
        (
            lambda: fs.compare.effect(Y, T, measure="rmst", tau=99.0),
            "tau must not exceed.*tau=99",
        ),
        (
            lambda: fs.compare.effect(Y, ~T, measure="rmst", tau=4.0, weights=W),
            "estimated on these rows and this treatment",
        ),
        (
            lambda: fs.compare.effect(Y, T, measure="rmst", tau=4.0, weights=[0.0] * 40),
            "weights must be positive",
        ),
        (
            lambda: fs.compare.effect(
                fs.Outcome([1, 2] * 20, [0, 2] * 20), T, measure="rmst", tau=2.0
            ),
            "effect takes event codes 0 and 1",
        ),
        (lambda: fs.compare.balance(X, T, weights=[-1.0] * 40), "not negative"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()


def test_separation_in_the_propensity_is_named():
    x = np.column_stack([X[:, 0], T + 0.1 * X[:, 1]])
    with pytest.raises(ConvergenceError, match=r"propensity model.*separation.*covariate=x1"):
        fs.compare.weights(x, T)


def test_entropy_balancing_out_of_reach_is_named():
    x = np.column_stack([X[:, 0], T * 5.0 + X[:, 1]])
    with pytest.raises(ConvergenceError, match=r"meet the target means.*arm=control.*x1"):
        fs.compare.weights(x, T, method="entropy", estimand="att")


def test_caliper_too_narrow():
    with pytest.raises(DataError, match="control within the caliper"):
        fs.compare.weights(X, T, method="nearest", estimand="att", caliper=1e-12)
