"""Laws of competing risks that hold for any data, and influences against numerical derivatives."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

import fiac_survival as fs
from fiac_survival.survival.maxcombo import _inside
from tests.conftest import generate
from tests.properties.test_laws import comparable, same, split

RiskTable = fs.survival.RiskTable
seeds = st.integers(0, 100_000)
sizes = st.integers(6, 60)
MOMENTS = np.arange(1.0, 13.0)


def competing(seed, n, *, late=False, causes=3):
    y, rng = generate(seed, n, late=late)
    event = np.where(y.event > 0, rng.integers(1, causes + 1, n), 0)
    group = rng.integers(0, 2, n)
    if len(set(group)) < 2:
        group[0] = 1 - group[0]
    return fs.Outcome(y.time, event, entry=y.entry), group, rng


@given(seeds, sizes, st.booleans(), st.booleans(), st.booleans())
def test_one_cause_is_the_complement_of_kaplan_meier(seed, n, late, weighted, clustered):
    y, rng = generate(seed, n, late=late)
    w = rng.uniform(0.2, 3, n) if weighted else None
    cluster = rng.integers(0, n // 2, n) if clustered else None
    a = fs.survival.aalen_johansen(y, weights=w, cluster=cluster).table
    variance = "default" if clustered else "infinitesimal jackknife"
    b = fs.survival.kaplan_meier(y, weights=w, cluster=cluster, variance=variance).table
    np.testing.assert_allclose(a["incidence"], 1 - b["survival"], atol=1e-12)
    np.testing.assert_allclose(a["std_error"], b["std_error"], atol=2e-7)
    tau = float(y.time.max())
    lost = fs.survival.rmtl(y, tau=tau, weights=w, cluster=cluster).table
    kept = fs.survival.rmst(y, tau=tau, weights=w, cluster=cluster).table
    np.testing.assert_allclose(lost["rmtl"], tau - kept["rmst"], atol=1e-10)
    if not late or weighted or clustered:
        np.testing.assert_allclose(lost["std_error"], kept["std_error"], atol=1e-7)


@given(seeds, sizes, st.booleans(), st.booleans())
def test_incidences_and_survival_add_to_one(seed, n, late, weighted):
    y, group, rng = competing(seed, n, late=late)
    w = rng.uniform(0.2, 3, n) if weighted else None
    result = fs.survival.aalen_johansen(y, group=group, weights=w)
    first = fs.survival.kaplan_meier(
        fs.Outcome(y.time, y.event > 0, entry=y.entry), group=group, weights=w
    ).table
    total = result.table.groupby(["group", "time"])["incidence"].sum().to_numpy()
    np.testing.assert_allclose(total + result.event_free["survival"], 1.0, atol=1e-12)
    np.testing.assert_allclose(result.event_free["survival"], first["survival"], atol=1e-12)
    for _, curve in result.table.groupby(["group", "cause"]):
        assert (np.diff(curve["incidence"]) >= 0).all()
        inside = curve["lower"].notna()
        assert (curve["lower"][inside] <= curve["incidence"][inside] + 1e-9).all()
        assert (curve["upper"][inside] >= curve["incidence"][inside] - 1e-9).all()
    tau = min(y.time[group == g].max() for g in (0, 1))
    lost = fs.survival.rmtl(y, tau=tau, group=group, weights=w).table.groupby("group")["rmtl"].sum()
    free = fs.Outcome(y.time, y.event > 0, entry=y.entry)
    kept = fs.survival.rmst(free, tau=tau, group=group, weights=w).table["rmst"]
    np.testing.assert_allclose(lost + kept.to_numpy(), tau, atol=1e-9)


@given(seeds, sizes, st.booleans(), st.booleans())
def test_a_risk_table_is_enough_and_tables_merge(seed, n, late, weighted):
    y, group, rng = competing(seed, n, late=late)
    w = rng.integers(1, 64, n) / 16.0 if weighted else None
    site = rng.integers(0, 2, n)
    site[0], site[-1] = 0, 1
    tables = [
        RiskTable.from_outcome(
            y.take(site == s), group=group[site == s], weights=None if w is None else w[site == s]
        )
        for s in (0, 1)
    ]
    merged = tables[0] + tables[1]
    a = fs.survival.aalen_johansen(merged)
    b = fs.survival.aalen_johansen(y, group=group, weights=w)
    same(a.table, b.table, atol=1e-8)
    same(a.at(MOMENTS), b.at(MOMENTS), atol=1e-8)
    tau = min(y.time[group == g].max() for g in (0, 1))
    same(
        fs.survival.rmtl(merged, tau=tau).contrast,
        fs.survival.rmtl(y, tau=tau, group=group, weights=w).contrast,
        atol=1e-8,
    )


@given(seeds, sizes)
def test_gray_of_a_merged_table(seed, n):
    y, group, rng = competing(seed, n, causes=2)
    cause = int(y.event[y.event > 0][0])
    strata = rng.integers(0, 2, n)
    table = RiskTable.from_outcome(y, group=group, strata=strata)
    a = fs.survival.gray(table, cause=cause)
    b = fs.survival.gray(y, group, cause=cause, strata=strata)
    assert a.statistic == b.statistic
    assert a.table["events"].sum() == np.sum(y.event == cause)


@given(seeds, sizes, st.booleans())
def test_whole_weights_are_repeated_rows(seed, n, late):
    y, group, rng = competing(seed, n, late=late)
    times = rng.integers(1, 4, n)
    rows = np.repeat(np.arange(n), times)
    a = fs.survival.aalen_johansen(y, group=group, weights=times.astype(float))
    b = fs.survival.aalen_johansen(y.take(rows), group=group[rows], cluster=rows)
    same(a.table, b.table, atol=1e-7)


@settings(max_examples=20)
@given(seeds, st.integers(30, 60), st.booleans())
def test_whole_weights_are_repeated_rows_in_fine_gray(seed, n, late):
    y, _, rng = competing(seed, n, late=late, causes=2)
    x, times = rng.normal(size=(n, 2)), rng.integers(1, 4, n)
    rows = np.repeat(np.arange(n), times)
    a = fs.survival.fine_gray(y, x, weights=times.astype(float))
    b = fs.survival.fine_gray(y.take(rows), x[rows], cluster=rows)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-6, atol=1e-10)
    p, q = (m.predict_incidence([[0.5, 0.5]], [4.0, 8.0]) for m in (a, b))
    same(p, q, rtol=1e-6)


@given(seeds, sizes, st.booleans())
def test_splitting_time_at_risk_changes_nothing(seed, n, late):
    y, group, rng = competing(seed, n, late=late)
    w = rng.uniform(0.2, 3, n)
    pieces, person = split(y, rng)
    a = fs.survival.aalen_johansen(y, group=group, weights=w).at(MOMENTS)
    b = fs.survival.aalen_johansen(
        pieces, group=group[person], weights=w[person], cluster=person
    ).at(MOMENTS)
    same(a, b, atol=1e-7)


@settings(max_examples=20)
@given(seeds, st.integers(30, 60))
def test_one_cause_is_the_cox_model(seed, n):
    y, rng = generate(seed, n, events=0.8)
    x = rng.normal(size=(n, 2))
    a = fs.survival.fine_gray(y, x)
    b = fs.survival.cox(y, x, ties="breslow", robust=True)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-8)
    predicted = b.predict_survival(x[:2], [5.0])["survival"]
    np.testing.assert_allclose(a.predict_incidence(x[:2], 5.0)["incidence"], 1 - predicted)


def test_without_censoring_the_weights_are_one():
    """Fine-Gray is then a Cox model in which competing events never leave."""
    rng = np.random.default_rng(8)
    n = 200
    time, event, x = rng.exponential(1, n), rng.integers(1, 3, n), rng.normal(size=(n, 2))
    a = fs.survival.fine_gray(fs.Outcome(time, event), x)
    stays = fs.Outcome(np.where(event == 2, 100.0, time), event == 1)
    b = fs.survival.cox(stays, x, ties="breslow", robust=True)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-8)


@given(seeds, sizes, st.booleans(), st.sampled_from([30.4375, 365.25]))
def test_another_unit_of_time(seed, n, late, unit):
    y, group, _ = competing(seed, n, late=late)
    z = fs.Outcome(y.time / unit, y.event, entry=None if y.entry is None else y.entry / unit)
    a = fs.survival.aalen_johansen(y, group=group).table
    b = fs.survival.aalen_johansen(z, group=group).table
    same(a.drop(columns="time"), b.drop(columns="time"), atol=1e-7)
    if not late:
        cause = int(y.event[y.event > 0][0])
        p, q = (fs.survival.gray(o, group, cause=cause) for o in (y, z))
        np.testing.assert_allclose(p.statistic, q.statistic, rtol=1e-9, atol=1e-12)


def test_an_empty_group_is_no_group_and_a_cause_may_miss_in_one():
    y = fs.Outcome([1, 2, 3, 4], [1, 2, 0, 1])
    group = pd.Series(pd.Categorical(["a", "a", "c", "c"], categories=["a", "b", "c"]))
    found = fs.survival.aalen_johansen(y, group=group).at(5)
    assert found["group"].tolist() == ["a", "a", "c", "c"]
    assert found["incidence"].tolist() == [0.5, 0.5, 1.0, 0.0]
    assert found["std_error"].iloc[2] == 0.0
    assert found["lower"].isna().tolist() == [False, False, False, True]
    # A group that is never at risk at an event takes no part in the test.
    late = fs.Outcome([1, 2, 3, 4, 0.5], [1, 2, 1, 1, 0])
    assert fs.survival.gray(late, ["a", "a", "b", "b", "c"]).df == 1


def derivative(estimate, weights, step=1e-5):
    """Change of an estimate per unit of each row's weight."""
    out = []
    for i in range(weights.size):
        up, down = weights.copy(), weights.copy()
        up[i] += step
        down[i] -= step
        out.append((estimate(up) - estimate(down)) / (2 * step))
    return np.array(out)


@pytest.mark.parametrize("late", [False, True])
def test_influence_is_the_derivative_in_the_weights(late):
    y, _, rng = competing(11, 40, late=late)
    w = rng.uniform(0.5, 2, 40)
    cluster = rng.integers(0, 15, 40)

    def incidences(weights):
        return fs.survival.aalen_johansen(y, weights=weights).table["incidence"].to_numpy()

    def lost(weights):
        return fs.survival.rmtl(y, tau=7.5, weights=weights).table["rmtl"].to_numpy()

    for estimate, found, clustered in (
        (
            incidences,
            fs.survival.aalen_johansen(y, weights=w),
            fs.survival.aalen_johansen(y, weights=w, cluster=cluster),
        ),
        (
            lost,
            fs.survival.rmtl(y, tau=7.5, weights=w),
            fs.survival.rmtl(y, tau=7.5, weights=w, cluster=cluster),
        ),
    ):
        moved = derivative(estimate, w) * w[:, None]
        np.testing.assert_allclose(
            found.table["std_error"], np.sqrt((moved**2).sum(axis=0)), atol=1e-7
        )
        sums = np.stack([moved[cluster == c].sum(axis=0) for c in range(15)])
        np.testing.assert_allclose(
            clustered.table["std_error"], np.sqrt((sums**2).sum(axis=0)), atol=1e-7
        )


# Half of the triples hold every pair of choices; the other half comes with the slow tests.
STRATA = [None, "both", "baseline", "censoring"]
TRIPLES = [
    pytest.param(
        ties,
        late,
        strata,
        marks=pytest.mark.slow if (i + (ties == "efron") + late) % 2 else (),
    )
    for ties, late, (i, strata) in product(["breslow", "efron"], [False, True], enumerate(STRATA))
]


@pytest.mark.parametrize(("ties", "late", "strata"), TRIPLES)
def test_influence_on_fine_gray_is_the_derivative_in_the_weights(late, ties, strata):
    y, group, rng = competing(5, 40, late=late, causes=2)
    x, w = rng.normal(size=(40, 2)), rng.uniform(0.5, 2, 40)
    one = np.zeros(40, dtype=int)
    options = {
        None: {},
        "both": {"strata": group},
        "baseline": {"strata": group, "censoring_strata": one},
        "censoring": {"censoring_strata": group},
    }[strata]

    def fit(weights):
        return fs.survival.fine_gray(y, x, weights=weights, ties=ties, **options)

    of = {"strata": [0, 1]} if strata in ("both", "baseline") else {}

    def predict(model):
        return model.predict_incidence([[0.3, -0.2], [1.0, 1.0]], [5, 9], **of)

    model = fit(w)

    def both(weights):
        again = fit(weights)
        return np.concatenate([again.coef, predict(again)["incidence"]])

    moved = derivative(both, w, 1e-4)
    np.testing.assert_allclose(model.influence, moved[:, :2], atol=1e-7)
    predicted = moved[:, 2:] * w[:, None]
    np.testing.assert_allclose(
        predict(model)["std_error"], np.sqrt((predicted**2).sum(axis=0)), rtol=1e-6
    )


# --- MaxCombo, trend, treatment that starts later -------------------------------------------------


@settings(max_examples=15)
@given(seeds, st.integers(12, 60), st.booleans())
def test_maxcombo_holds_the_four_tests(seed, n, late):
    y, rng = generate(seed, n, late=late)
    group, strata = np.arange(n) % 2, rng.integers(0, 2, n)
    found = comparable(fs.survival.maxcombo, y, group, strata=strata)
    for rho, gamma, z in zip(*(found.table[c] for c in ("rho", "gamma", "z")), strict=True):
        if np.isfinite(z):
            test = fs.survival.logrank(y, group, strata=strata, rho=rho, gamma=gamma)
            np.testing.assert_allclose(z**2, test.statistic, rtol=1e-7, atol=1e-10)
    smallest = found.table["p_value"].min()
    assert smallest - 1e-9 <= found.p_value <= min(1.0, 4 * smallest) + 1e-9


def test_the_normal_integral_of_maxcombo():
    rng = np.random.default_rng(2)
    for _ in range(5):
        before = np.sort(rng.uniform(0.05, 1, 40))[::-1]
        omega = np.stack(
            [before**r * (1 - before) ** g for r, g in ((0, 0), (1, 0), (0, 1), (1, 1))]
        )
        covariance = (omega * rng.uniform(0.5, 1, 40)) @ omega.T
        spread = np.sqrt(np.diag(covariance))
        c = rng.uniform(1, 3)
        draws = multivariate_normal(cov=covariance, allow_singular=True).rvs(
            400_000, random_state=1
        )
        share = np.mean((np.abs(draws / spread) <= c).all(axis=1))
        assert _inside(covariance, c) == pytest.approx(share, abs=4e-3)


def test_trend():
    """Two groups: the trend is the log-rank test; the scores' scale and origin do not matter."""
    y, rng = generate(4, 80)
    two, three = rng.integers(0, 2, 80), rng.integers(0, 3, 80)
    test = fs.survival.logrank(y, two)
    assert test.trend().statistic == pytest.approx(test.statistic, rel=1e-10)
    test = fs.survival.logrank(y, three)
    a, b = test.trend([1, 2, 4]), test.trend([12, 14, 18])
    assert a.statistic == pytest.approx(b.statistic, rel=1e-10)
    assert (a.df, a.statistic <= test.statistic + 1e-9) == (1, True)
    difference = test.table["observed"] - test.table["expected"]
    scores = np.array([1.0, 2.0, 4.0])
    by_hand = (scores @ difference) ** 2 / (scores @ test.covariance @ scores)
    assert a.statistic == pytest.approx(by_hand, rel=1e-10)


@given(seeds, sizes, st.booleans())
def test_splitting_at_changes_keeps_time_and_events(seed, n, late):
    y, rng = generate(seed, n, late=late)
    at = np.where(rng.random(n) < 0.6, rng.integers(0, 14, n).astype(float), np.nan)
    other = np.where(rng.random(n) < 0.4, rng.integers(0, 14, n).astype(float), np.nan)
    pieces = fs.survival.split_at_changes(y, {"treated": at, "relapsed": other})
    entry = pieces.outcome.entry_or_zero()
    spent = np.bincount(pieces.row, weights=pieces.outcome.time - entry, minlength=n)
    np.testing.assert_allclose(spent, y.time - y.entry_or_zero())
    assert (np.bincount(pieces.row, weights=pieces.outcome.event, minlength=n) == y.event).all()
    treated = pieces.covariates["treated"] == 1
    assert (entry[treated] >= at[pieces.row][treated]).all()
    waiting = ~treated & ~np.isnan(at[pieces.row])
    assert (pieces.outcome.time[waiting] <= at[pieces.row][waiting]).all()
    lost = fs.survival.immortal_time(y, at).table.iloc[0]
    on = float((pieces.outcome.time - entry)[treated].sum())
    assert lost["treated_time"] == pytest.approx(on)
