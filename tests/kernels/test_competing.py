"""Kernels of competing risks against their twins, on generated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.kernels.competing import gray_sums, incidence_variance
from tests.kernels import naive_competing as naive
from tests.kernels.naive import numeric_gradient, numeric_hessian
from tests.kernels.test_step_curves import curve_of, orders, rows

causes = st.lists(st.integers(0, 3), min_size=24, max_size=24)


@given(rows(), causes, st.booleans(), st.integers(1, 3))
def test_incidence_variance(data, codes, clustered, cause):
    first, last, _, weight, cluster = data
    status = np.array(codes[: first.size])
    event = status > 0
    m, risk, _, all_fail, hazard, survival = curve_of(first, last, event, weight)
    before = np.concatenate([[1.0], survival[:-1]])
    mine = status == cause
    rise = before * np.bincount(last[mine], weights=weight[mine], minlength=m) / risk
    left = np.where(all_fail, 1.0, 1.0 - hazard)
    jump = np.where(all_fail, 0.0, 1.0 / (risk * left))
    if clustered:
        members, codes_of = np.unique(cluster, return_inverse=True)
        inner, multiple = weight, np.ones(members.size)
    else:
        cluster = codes_of = np.arange(first.size)
        inner, multiple = np.ones(first.size), weight**2
    out = np.empty(m)
    incidence_variance(
        rise,
        rise / risk,
        before / risk,
        hazard * jump,
        jump,
        first,
        last,
        event.astype(np.int8) + mine,
        inner,
        codes_of.astype(np.int64),
        multiple,
        *orders(first, last),
        out,
    )
    twin = naive.incidence_variance(first, last, status, weight, cluster, m, cause)
    np.testing.assert_allclose(out, twin, rtol=1e-8, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(2, 4), st.sampled_from([0.0, 1.0, 0.5]))
def test_gray(seed, k, rho):
    rng = np.random.default_rng(seed)
    m = int(rng.integers(1, 9))
    fail, other, censored = (rng.integers(0, 3, (k, m)) for _ in range(3))
    exits = fail + other + censored
    exits[:, -1] += rng.integers(1, 3, k)  # so that nobody's curve reaches 0 before the end
    risk = np.ascontiguousarray(np.cumsum(exits[:, ::-1], axis=1)[:, ::-1])
    score, covariance = np.empty(k), np.empty((k, k))
    gray_sums(risk, fail, other, rho, score, covariance)
    twin_score, twin = naive.gray(risk.tolist(), fail.tolist(), other.tolist(), rho)
    np.testing.assert_allclose(score, twin_score, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(covariance, twin, rtol=1e-9, atol=1e-11)


@settings(max_examples=25)
@given(
    st.integers(0, 10_000),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["after events", "with events"]),
)
def test_fine_gray(seed, late, stratified, efron, ties):
    rng = np.random.default_rng(seed)
    n = 30
    time = rng.integers(2, 10, n).astype(float)
    status = rng.choice(3, n, p=[0.25, 0.5, 0.25])
    status[:2] = 1, 2
    entry = np.zeros(n)
    if late:
        entry = np.where(rng.random(n) < 0.4, np.floor(rng.random(n) * time * 0.6), 0.0)
    x, weight = rng.normal(size=(n, 2)), rng.uniform(0.5, 2.0, n)
    stratum = rng.integers(0, 2, n) if stratified else np.zeros(n, dtype=int)
    group = rng.integers(0, 2, n)
    model = fs.survival.fine_gray(
        fs.Outcome(time, status, entry=entry),
        x,
        strata=stratum,
        censoring_strata=group,
        weights=weight,
        ties="efron" if efron else "breslow",
        censoring_ties=ties,
    )

    def twin(beta):
        return naive.subdistribution_log_likelihood(
            beta, x, time, status, entry, weight, stratum, group, 1, efron, ties == "with events"
        )

    beta = model.coef.to_numpy()
    assert model.log_likelihood_null == pytest.approx(twin(np.zeros(2)), rel=1e-10)
    assert model.log_likelihood == pytest.approx(twin(beta), rel=1e-10)
    np.testing.assert_allclose(numeric_gradient(twin, beta), 0.0, atol=1e-5)
    information = np.linalg.inv(model.model_covariance.to_numpy())
    np.testing.assert_allclose(-numeric_hessian(twin, beta), information, rtol=1e-4, atol=1e-4)
