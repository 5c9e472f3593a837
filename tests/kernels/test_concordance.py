"""Kernels of concordance, expected survival and quantiles against their twins, on generated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.kernels.concordance import count_pairs, mean_probability
from fiac_survival.kernels.expected import expected_sums, person_hazard, potential_sums
from fiac_survival.kernels.quantiles import weighted_quantile
from tests.conftest import generate
from tests.kernels import naive_concordance as naive


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_pairs(seed, late):
    y, rng = generate(seed, 40, late=late, ties=8)
    n = len(y)
    event = y.event > 0
    score, weight = rng.integers(0, 7, n).astype(float), rng.uniform(0.3, 2.0, n)
    stratum = rng.integers(0, 3, n)
    levels, by_time = rng.uniform(0.5, 2.0, (3, int(y.max_time) + 1)), y.time.astype(int)
    entry = np.where(y.entry_or_zero() > 0, y.entry_or_zero(), -1.0)
    order = np.lexsort((~event, y.time, stratum))
    arrays = [a[order] for a in (y.time, entry, score, weight, stratum)]
    t, a, x, w, s = arrays
    omega = levels[s, by_time[order]]
    bounds = np.searchsorted(s, np.arange(4))
    rank = np.empty(n, dtype=np.int64)
    for k in range(3):
        part = slice(bounds[k], bounds[k + 1])
        rank[part] = np.unique(x[part], return_inverse=True)[1]
    counts, influence = np.zeros((3, 5)), np.zeros((n, 3))
    status = event[order].astype(np.int64)
    count_pairs(bounds, t, a, np.lexsort((a, s)), status, rank, w, omega, counts, influence)
    expected, derivatives = naive.pairs(t, status, a, x, w, omega, s)
    np.testing.assert_allclose(counts.sum(axis=0), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(influence, derivatives, rtol=1e-10, atol=1e-10)


@given(st.integers(0, 1000))
def test_concordance_is_the_share_of_pairs(seed):
    y, rng = generate(seed, 30, late=False, ties=6)
    score, weight = rng.integers(0, 5, 30).astype(float), rng.uniform(0.3, 2.0, 30)
    found = fs.survival.concordance(y, score, weights=weight)
    one = np.ones(30)
    c, d, t = naive.pairs(y.time, y.event, -one, score, weight, one, one)[0][:3]
    assert found.estimate == pytest.approx((c + t / 2) / (c + d + t))
    # The influence is the derivative in the weights.
    up = weight.copy()
    up[3] += 1e-6
    change = (fs.survival.concordance(y, score, weights=up).estimate - found.estimate) / 1e-6
    assert found.influence[3] == pytest.approx(weight[3] * change, rel=1e-4, abs=1e-8)
    reverse = fs.survival.concordance(y, -score, weights=weight)
    assert reverse.estimate == pytest.approx(1 - found.estimate)


def test_whole_weights_are_repeated_rows():
    y, rng = generate(4, 30, late=True, ties=6)
    score, times = rng.normal(size=30), rng.integers(1, 4, 30)
    rows = np.repeat(np.arange(30), times)
    weighted = fs.survival.concordance(y, score, weights=times)
    repeated = fs.survival.concordance(y.take(rows), score[rows], cluster=rows)
    assert weighted.estimate == pytest.approx(repeated.estimate)
    assert weighted.std_error == pytest.approx(repeated.std_error)


def test_mean_probability():
    score = np.sort(np.random.default_rng(1).normal(size=20))
    out = np.empty(20)
    mean_probability(score, out)
    for i in range(20):
        expected = sum(1 / (1 + np.exp(score[i] - score[j])) for j in range(i + 1, 20))
        assert out[i] == pytest.approx(expected)


def population(seed, n=12):
    rng = np.random.default_rng(seed)
    age_cuts, date_cuts = np.array([0.0, 3.0, 7.5, 12.0]), np.array([-4.0, 1.0, 6.25])
    rates = rng.uniform(0.0, 0.2, (2, 4, 3))
    rates[0, 2, 1] = 0.0
    key, age, date = rng.integers(0, 2, n), rng.uniform(0, 11, n), rng.uniform(-8, 8, n)
    return rng, (rates, age_cuts, date_cuts, key, age, date)


@given(st.integers(0, 10_000))
def test_person_hazard(seed):
    rng, (rates, age_cuts, date_cuts, key, age, date) = population(seed)
    entry = rng.uniform(0, 5, key.size)
    time = entry + rng.uniform(0, 9, key.size)
    out = np.empty(key.size)
    person_hazard(rates, age_cuts, date_cuts, key, age, date, entry, time, out)
    for i in range(key.size):
        expected = naive.population_hazard(
            rates[key[i]], age_cuts, date_cuts, age[i], date[i], entry[i], time[i]
        )
        assert out[i] == pytest.approx(expected, rel=1e-10, abs=1e-13)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_expected_sums(seed):
    rng, (rates, age_cuts, date_cuts, key, age, date) = population(seed)
    n = key.size
    entry = rng.integers(0, 4, n).astype(float)
    time = entry + rng.integers(1, 6, n)
    event, weight = rng.random(n) < 0.6, rng.uniform(0.5, 2.0, n)
    grid = np.unique(np.concatenate([entry, time]))
    grid = grid[grid > 0]
    out, potential = np.empty((grid.size, 10)), np.empty((grid.size, 2))
    table = (rates, age_cuts, date_cuts, key, age, date)
    expected_sums(*table, entry, time, event, weight, grid, True, out)
    potential_sums(*table, time, grid, potential)

    def hazard(i, left, right):
        return naive.population_hazard(
            rates[key[i]], age_cuts, date_cuts, age[i], date[i], left, right
        )

    for j, end in enumerate(grid):
        begin = grid[j - 1] if j else 0.0
        row, mine = np.zeros(10), np.zeros(2)
        for i in range(n):
            inverse, step = np.exp(hazard(i, 0.0, end)), hazard(i, begin, end)
            row[9] += weight[i] / inverse
            if time[i] >= end:
                mine += [step / inverse, 1 / inverse]
            if entry[i] <= begin and time[i] >= end:
                fine = np.linspace(begin, end, 401)
                middle = (fine[1:] + fine[:-1]) / 2
                area = np.mean([np.exp(hazard(i, 0.0, u)) for u in middle]) * (end - begin)
                row[[0, 1, 4]] += weight[i] * np.array([1, step, inverse])
                row[7] += weight[i] * (inverse - np.exp(hazard(i, 0.0, begin)))
                row[8] += weight[i] * area
                if event[i] and time[i] == end:
                    row[[2, 5]] += weight[i] * np.array([1, inverse])
                    row[[3, 6]] += weight[i] ** 2 * np.array([1, inverse**2])
        np.testing.assert_allclose(np.delete(out[j], 8), np.delete(row, 8), rtol=1e-9, atol=1e-12)
        assert out[j, 8] == pytest.approx(row[8], rel=1e-4)
        np.testing.assert_allclose(potential[j], mine, rtol=1e-9)
        if seed > 3:  # the area is slow to check
            break


@given(st.integers(0, 1000), st.booleans(), st.sampled_from([0.25, 0.5, 0.75]))
def test_weighted_quantile_is_that_of_repeated_rows(seed, late, p):
    y, rng = generate(seed, 25, late=late, ties=9)
    counts = rng.integers(0, 3, 25)
    counts[0] = 1
    rows = np.repeat(np.arange(25), counts)
    grid = np.unique(y.time)
    first = np.searchsorted(grid, np.where(y.entry_or_zero() > 0, y.entry_or_zero(), -1), "right")
    found = weighted_quantile(
        grid,
        first,
        np.searchsorted(grid, y.time),
        y.event > 0,
        counts.astype(float),
        y.time,
        p,
        1e-8,
    )
    expected = fs.survival.kaplan_meier(y.take(rows)).quantile(p)["quantile"][0]
    assert found == pytest.approx(expected, nan_ok=True)
