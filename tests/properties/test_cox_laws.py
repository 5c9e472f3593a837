"""Laws of what surrounds the Cox model, for any data: ties, delayed entry, weights."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from tests.conftest import generate
from tests.properties.test_laws import split

seeds = st.integers(0, 100_000)
sizes = st.integers(30, 60)
few = settings(max_examples=15, deadline=None)


def patients(seed, n, late):
    y, rng = generate(seed, n, late=late, events=0.8)
    return y, pd.DataFrame({"a": rng.normal(size=n), "b": rng.integers(0, 2, n)}), rng


def close(a, b, rtol=1e-7, atol=1e-9):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)


def in_months(y):
    entry = None if y.entry is None else y.entry / 30.4375
    return fs.Outcome(y.time / 30.4375, y.event, entry=entry)


@few
@given(seeds, sizes, st.booleans(), st.sampled_from(["n", "S"]))
def test_concordance_takes_ranks_only(seed, n, late, time_weight):
    y, x, rng = patients(seed, n, late)
    score = x["a"].round(1).to_numpy()
    weights = rng.uniform(0.3, 3, n)

    def found(values, outcome=y):
        return fs.survival.concordance(outcome, values, weights=weights, time_weight=time_weight)

    plain = found(score)
    for other in (3 * score - 7, np.exp(score), score**3):
        pd.testing.assert_frame_equal(found(other).table, plain.table, check_exact=True)
        assert (found(other).influence == plain.influence).all()
    close(found(-score).estimate, 1 - plain.estimate)
    close(found(-score).std_error, plain.std_error)
    close(found(score, in_months(y)).table, plain.table)


@few
@given(seeds, sizes, st.booleans())
def test_whole_weights_are_repeated_rows_in_concordance(seed, n, late):
    y, x, rng = patients(seed, n, late)
    times = rng.integers(1, 4, n)
    rows, score = np.repeat(np.arange(n), times), x["a"].to_numpy()
    a = fs.survival.concordance(y, score, weights=times.astype(float)).counts
    b = fs.survival.concordance(y.take(rows), score[rows]).counts
    names = ["concordant", "discordant"]  # copies of a row add pairs that are tied
    close(a[names], b[names])


@few
@given(seeds, sizes, st.booleans())
def test_splitting_time_at_risk_changes_nothing(seed, n, late):
    y, x, rng = patients(seed, n, late)
    pieces, person = split(y, rng)
    more = x.iloc[person].reset_index(drop=True)
    a, b = (
        fs.survival.cox_ridge(o, z, theta=2.0, scale=False) for o, z in ((y, x), (pieces, more))
    )
    close(a.coef, b.coef)
    close(a.covariance, b.covariance)
    a, b = (
        fs.survival.varying_effects(o, z, {"a": [4.0]}).model for o, z in ((y, x), (pieces, more))
    )
    close(a.coef, b.coef)
    close(a.model_covariance, b.model_covariance)
    a, b = (fs.survival.cox(o, z, ties="exact") for o, z in ((y, x), (pieces, more)))
    close(a.coef, b.coef)
    close(a.covariance, b.covariance)
    cluster = rng.integers(0, 4, n)
    a = fs.survival.cox_frailty(y, x, cluster, theta=0.3)
    b = fs.survival.cox_frailty(pieces, more, cluster[person], theta=0.3)
    close(a.coef, b.coef)
    close(a.frailties[["frailty", "std_error"]], b.frailties[["frailty", "std_error"]])
    if not late:  # who enters late may leave too few at risk at first
        a = fs.survival.aalen_additive(y, x).cumulative
        b = fs.survival.aalen_additive(pieces, more).cumulative
        close(a[["estimate", "std_error"]], b[["estimate", "std_error"]], atol=1e-8)


@few
@given(seeds, sizes, st.booleans())
def test_another_unit_of_time(seed, n, late):
    y, x, rng = patients(seed, n, late)
    z, cluster = in_months(y), rng.integers(0, 4, n)
    for fit in (
        lambda o: fs.survival.cox(o, x, ties="exact"),
        lambda o: fs.survival.cox_ridge(o, x, theta=2.0),
        lambda o: fs.survival.cox_frailty(o, x, cluster, theta=0.3),
    ):
        a, b = fit(y), fit(z)
        close(a.table.drop(columns="term"), b.table.drop(columns="term"))
    if not late:
        a, b = (fs.survival.aalen_additive(o, x).table for o in (y, z))
        close(a[["coef", "std_error", "z"]], b[["coef", "std_error", "z"]], atol=1e-8)
        close(a["slope"] * 30.4375, b["slope"], atol=1e-8)


@few
@given(seeds, sizes)
def test_the_scale_of_covariates_does_not_matter(seed, n):
    y, x, _ = patients(seed, n, False)
    other = pd.DataFrame({"a": 100 * x["a"] + 5, "b": x["b"]})
    a, b = (fs.survival.cox(y, z, ties="exact") for z in (x, other))
    close(a.coef["a"], 100 * b.coef["a"])
    close(a.log_likelihood, b.log_likelihood)
    a, b = (fs.survival.aalen_additive(y, z) for z in (x, other))
    close(a.table["z"][1:], b.table["z"][1:], atol=1e-8)
    close(a.statistic, b.statistic, atol=1e-8)


@few
@given(seeds, sizes)
def test_without_ties_exact_is_efron(seed, n):
    _, x, rng = patients(seed, n, False)
    y = fs.Outcome(rng.permutation(n) + 1, rng.random(n) < 0.8)
    a, b = (fs.survival.cox(y, x, ties=ties) for ties in ("exact", "efron"))
    close(a.coef, b.coef)
    close(a.covariance, b.covariance)
    close(a.log_likelihood, b.log_likelihood)


@few
@given(seeds, sizes, st.booleans())
def test_without_deaths_of_the_population_net_survival_is_the_logrank(seed, n, stratified):
    _, _, rng = patients(seed, n, False)
    y = fs.Outcome(rng.permutation(n) + 1, rng.random(n) < 0.8)
    nobody = pd.DataFrame({"sex": ["f"], "age": [0], "year": 2000, "rate": [0.0]})
    people = fs.survival.RateTable.from_frame(nobody).match([9000.0] * n, [0] * n, sex=["f"] * n)
    group, strata = rng.integers(0, 3, n), rng.integers(0, 2, n) if stratified else None
    a = fs.survival.net_survival_test(y, people, group, strata=strata)
    b = fs.survival.logrank(y, group, strata=strata)
    close(a.table[["excess", "expected"]], b.table[["observed", "expected"]])
    assert a.df == b.df
    # The covariance is that of the events' own groups, not the hypergeometric one.
    part, covariance = np.zeros(n) if strata is None else strata, np.zeros((3, 3))
    for i in np.flatnonzero(y.event):
        risk = (y.time >= y.time[i]) & (part == part[i])
        centred = np.eye(3)[group[i]] - np.bincount(group[risk], minlength=3) / risk.sum()
        covariance += np.outer(centred, centred)
    close(a.covariance, covariance)


def test_frailty_between_no_and_free_effects():
    rng = np.random.default_rng(5)
    cluster = np.repeat(np.arange(8), 40)
    x = rng.normal(size=320)
    b = rng.normal(0, 0.7, 8)
    y = fs.Outcome(rng.exponential(np.exp(-0.5 * x - b[cluster])), rng.random(320) < 0.8)
    small = fs.survival.cox_frailty(y, x, cluster, theta=1e-9)
    close(small.coef, fs.survival.cox(y, x).coef, rtol=1e-5)
    large = fs.survival.cox_frailty(y, x, cluster, theta=1e7)
    free = fs.survival.cox(y, np.column_stack([x, cluster[:, None] == np.arange(1, 8)]))
    close(large.coef.iloc[0], free.coef.iloc[0], rtol=1e-5)
    assert large.degrees_of_freedom["frailty"] == pytest.approx(7, abs=1e-3)
    found = fs.survival.cox_frailty(y, x, cluster)
    assert 0.15 < found.theta < 1.5
    assert np.corrcoef(found.frailties["frailty"], b)[0, 1] > 0.9
    # The equation that theta solves, and no sum of frailties.
    spread = (found.frailties["frailty"] ** 2 + found.frailties["std_error"] ** 2).sum()
    assert found.theta == pytest.approx(spread / 8, rel=1e-6)
    assert found.frailties["frailty"].sum() == pytest.approx(0, abs=1e-8)


def test_clusters_that_do_not_differ_have_no_variance():
    rng = np.random.default_rng(2)
    y = fs.Outcome(rng.permutation(200) + 1, np.ones(200))
    x = rng.normal(size=200)
    cluster = (np.argsort(np.argsort(y.time)) + 1) // 2 % 2  # pairs of neighbours, balanced
    model = fs.survival.cox_frailty(y, x, cluster)
    assert model.theta == 0.0
    assert (model.frailties["frailty"] == 0).all()
    close(model.coef, fs.survival.cox(y, x).coef)
    assert model.degrees_of_freedom["frailty"] == 0.0
