"""Kernels of the Cox model against the definition of the partial likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.design import make_design
from fiac_survival.kernels.cox import is_monotone
from fiac_survival.kernels.cox_exact import block_moments
from fiac_survival.survival.cox_exact import _places, evaluate_exact
from fiac_survival.survival.cox_fit import evaluate, sort_rows
from fiac_survival.survival.cox_residuals import score_residuals
from tests.conftest import generate
from tests.kernels import naive


def problem(seed, n=30, late=True, strata=True):
    y, rng = generate(seed, n, late=late, ties=8)
    x = rng.normal(size=(n, 2)).round(2)
    weight = rng.uniform(0.2, 3.0, n)
    stratum = rng.integers(0, 3, n) if strata else np.zeros(n, dtype=np.int64)
    # Every stratum needs an event for the definition and the kernel to agree on what it has.
    return y, x, weight, stratum


def standardised(rows, x):
    return (x - rows.centre) / rows.scale


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.booleans())
def test_likelihood_score_information(seed, late, strata, efron):
    y, x, weight, stratum = problem(seed, late=late, strata=strata)
    design = make_design(x, n=len(y))
    rows = sort_rows(y, design, weight=weight, strata=stratum, efron=efron)
    z = standardised(rows, x)
    entry = y.entry_or_zero()
    beta = np.array([0.3, -0.5])

    def twin(b):
        return naive.partial_log_likelihood(
            b, z, y.time, y.event > 0, entry, weight, stratum, efron
        )

    found = evaluate(rows, beta)
    assert found.log_likelihood == pytest.approx(twin(beta), rel=1e-10)
    np.testing.assert_allclose(
        found.score, naive.numeric_gradient(twin, beta), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        found.information, -naive.numeric_hessian(twin, beta), rtol=1e-3, atol=1e-3
    )
    residuals = score_residuals(rows, found) * rows.weight[:, None]
    np.testing.assert_allclose(residuals.sum(axis=0), found.score, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans(), st.booleans(), st.floats(0.2, 0.95))
def test_exact_ties_are_a_sum_over_subsets(seed, late, strata, events):
    y, rng = generate(seed, 14, late=late, ties=3, events=events)
    x = rng.normal(size=(14, 2)).round(2)
    stratum = rng.integers(0, 2, 14) if strata else np.zeros(14, dtype=np.int64)
    rows = sort_rows(y, make_design(x, n=14), weight=None, strata=stratum, efron=False)
    z, entry, beta = standardised(rows, x), y.entry_or_zero(), np.array([1.3, -0.7])

    def twin(b):
        return naive.discrete_log_likelihood(b, z, y.time, y.event > 0, entry, stratum)

    found = evaluate_exact(rows, beta, *_places(rows))
    assert found.log_likelihood == pytest.approx(twin(beta), rel=1e-9)
    np.testing.assert_allclose(
        found.score, naive.numeric_gradient(twin, beta), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(
        found.information, -naive.numeric_hessian(twin, beta), rtol=1e-3, atol=1e-3
    )


def test_exact_ties_neither_overflow_nor_vanish():
    rng = np.random.default_rng(1)
    x, eta = rng.normal(size=(3000, 1)), 20 * rng.normal(size=3000)
    mean, covariance = np.empty(1), np.empty((1, 1))
    many = block_moments(x, eta, 1200, mean, covariance)
    most = block_moments(x, eta, 1800, mean, covariance)
    assert np.isfinite([many, most, mean[0]]).all()
    assert covariance[0, 0] > 0
    # By symmetry: choosing 1,800 is leaving out 1,200.
    assert most == pytest.approx(eta.sum() + block_moments(x, -eta, 1200, mean, covariance))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_additive_increments_are_regressions(seed):
    y, rng = generate(seed, 60, ties=8)
    x = rng.normal(size=(60, 2)).round(2) + 5
    model = fs.survival.aalen_additive(y, x)
    twin = naive.additive_increments(x, y.time, y.event, y.entry_or_zero(), model.last_time)
    for t in np.unique(twin[:, 0]):
        upto = twin[:, 0] <= t
        at = model.at(t)
        np.testing.assert_allclose(at["estimate"], twin[upto, 1:].sum(axis=0), atol=1e-10)
        np.testing.assert_allclose(at["std_error"] ** 2, (twin[upto, 1:] ** 2).sum(axis=0))


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [False, True])
def test_influence_is_the_derivative_in_the_weights(ties, late):
    """Refit with one weight changed a little: that is what the influence must say (Breslow exactly;
    Efron's weighted likelihood changes with the mean weight of the tied, which R's residual leaves
    out, so only untied data are exact there)."""
    rng = np.random.default_rng(5)
    n = 40
    time = rng.integers(1, 9, n).astype(float) if ties == "breslow" else rng.permutation(n) + 1.0
    entry = np.floor(rng.random(n) * time) if late else None
    y = fs.Outcome(time, rng.random(n) < 0.7, entry=entry)
    x = pd.DataFrame(rng.normal(size=(n, 2)), columns=["a", "b"])
    weight = rng.uniform(0.5, 2.0, n)
    model = fs.survival.cox(y, x, weights=weight, ties=ties)
    for row in range(0, n, 7):
        up, down = weight.copy(), weight.copy()
        up[row] += 1e-4
        down[row] -= 1e-4
        change = (
            fs.survival.cox(y, x, weights=up, ties=ties).coef
            - fs.survival.cox(y, x, weights=down, ties=ties).coef
        ) / 2e-4
        np.testing.assert_allclose(model.influence[row], change, rtol=1e-4, atol=1e-7)


def test_one_pass_a_stratum_equals_separate_likelihoods():
    y, x, weight, stratum = problem(11)
    beta = np.array([0.2, 0.1])
    design = make_design(x, n=len(y))
    together = sort_rows(y, design, weight=weight, strata=stratum, efron=True)
    z = standardised(together, x)
    total = 0.0
    for s in np.unique(stratum):
        mine = stratum == s
        part = naive.partial_log_likelihood(
            beta,
            z[mine],
            y.time[mine],
            y.event[mine] > 0,
            y.entry_or_zero()[mine],
            weight[mine],
            np.zeros(mine.sum()),
            True,
        )
        total += part
    assert evaluate(together, beta).log_likelihood == pytest.approx(total, rel=1e-10)


def test_is_monotone():
    y = fs.Outcome([1, 2, 3, 4], [1, 1, 0, 0])
    x = np.array([[4.0], [3.0], [2.0], [1.0]])
    rows = sort_rows(y, make_design(x, n=4), weight=None, strata=None, efron=True)
    arguments = (rows.event, rows.start, rows.stop, rows.by_start, rows.block_stratum, 1e-9)
    assert is_monotone(np.ascontiguousarray(rows.x[:, 0]), *arguments)
    assert not is_monotone(np.ascontiguousarray(-rows.x[:, 0]), *arguments)
