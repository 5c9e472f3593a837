"""Intervals of differences that rest on few patients: closed forms, exact limits, the bootstrap."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fiac_survival as fs
from fiac_survival.compare.paired_intervals import Spread


@pytest.mark.parametrize("k", [1, 2, 4, 8, 16, 32])
def test_patients_that_all_differ_alike_are_a_poisson_count(k):
    # k of many patients moved by 1: Garwood's exact limits, which are a little wide by construction.
    spread = Spread.of(np.concatenate([np.ones(k), np.zeros(2000 - k)]))
    assert spread.std_error == pytest.approx(np.sqrt(k))
    assert spread.acceleration == pytest.approx(1.0 / (6.0 * np.sqrt(k)))
    assert spread.degrees_of_freedom == pytest.approx(2.0 * k, rel=0.02)
    exact = stats.chi2.ppf(0.025, 2 * k) / 2, stats.chi2.ppf(0.975, 2 * k + 2) / 2
    skewed = replace(spread, degrees_of_freedom=np.inf)
    low, high = skewed.interval(float(k), 0.95)
    assert low == pytest.approx(exact[0], abs=0.4)
    assert high == pytest.approx(exact[1], abs=0.6)
    # The normal interval is far from them at the upper end, where a margin is.
    assert exact[1] - (k + 1.96 * np.sqrt(k)) > 2.0 * abs(exact[1] - high)
    # Degrees of freedom widen both sides by the same factor.
    wide = spread.interval(float(k), 0.95)
    factor = 1.0 + (stats.norm.ppf(0.975) ** 2 + 1.0) / (4.0 * spread.degrees_of_freedom)
    student = stats.t.ppf(0.975, spread.degrees_of_freedom) / stats.norm.ppf(0.975)
    assert factor == pytest.approx(student, abs=0.1 if k > 2 else 0.6)
    assert np.subtract(wide, k) == pytest.approx(np.subtract((low, high), k) * factor)


def test_the_limits_are_those_of_the_accelerated_bootstrap():
    rng = np.random.default_rng(5)
    x = np.where(rng.random(300) < 0.08, rng.uniform(0.0, 24.0, 300), 0.0)
    moved = (x - x.mean()) / x.size
    spread = Spread.of(moved)
    assert spread.acceleration == pytest.approx(stats.skew(x) / np.sqrt(x.size) / 6.0)
    low, high = replace(spread, degrees_of_freedom=np.inf).interval(float(x.mean()), 0.95)
    drawn = stats.bootstrap(
        (x,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    width = high - low
    assert low == pytest.approx(drawn.low, abs=0.03 * width)
    assert high == pytest.approx(drawn.high, abs=0.03 * width)
    # Far enough from the normal limits to tell the two apart.
    assert high - (x.mean() + 1.96 * spread.std_error) > 0.06 * width


def test_restricted_means_of_uncensored_patients_are_paired_means():
    rng = np.random.default_rng(8)
    death = rng.exponential(20.0, 120)
    late = np.where(rng.random(120) < 0.2, rng.uniform(0.0, 9.0, 120), 0.0)
    ids = np.arange(120)
    arms = [
        fs.compare.one_arm(fs.Outcome(t, np.ones(120)), measure="rmst", tau=15.0)
        for t in (death + late, death)
    ]
    held = fs.compare.agreement(*arms, margin=1.0, patient_private=ids, patient_public=ids)
    d = np.minimum(death + late, 15.0) - np.minimum(death, 15.0)
    assert held.difference == pytest.approx(d.mean())
    assert held.std_error == pytest.approx(d.std() / np.sqrt(120))
    assert held.acceleration == pytest.approx(stats.skew(d) / np.sqrt(120) / 6.0)
    # Kurtosis 3 and no skewness would be the paired t test, but for n where it has n - 1.
    kurtosis = stats.kurtosis(d, fisher=False)
    assert held.degrees_of_freedom == pytest.approx(2.0 * 120 / (kurtosis - 1.0))


def test_limits_and_quantiles_are_each_others_inverse():
    for a in (-1.0 / 6.0, -0.05, 0.0, 0.05, 1.0 / 6.0):
        spread = Spread(std_error=2.0, acceleration=a, degrees_of_freedom=7.0)
        grid = np.linspace(-3.5, 3.5, 29)
        limits = [spread.limit(z) for z in grid]
        assert (np.diff(limits) > 0).all()
        np.testing.assert_allclose([spread.quantile(x) for x in limits], grid, atol=1e-9)
        # Turned round, the limits change places.
        turned = Spread(std_error=2.0, acceleration=-a, degrees_of_freedom=7.0)
        np.testing.assert_allclose([-turned.limit(-z) for z in grid], limits)
    assert Spread(std_error=2.0).interval(1.0, 0.95) == pytest.approx(
        (1.0 - 2.0 * stats.norm.ppf(0.975), 1.0 + 2.0 * stats.norm.ppf(0.975))
    )


def test_what_no_quantile_reaches():
    spread = Spread(std_error=1.0, acceleration=1.0 / 6.0)
    assert spread.quantile(-50.0) == spread.quantile(-1.5) == pytest.approx(-6.0 - 1.0 / 6.0)
    assert spread.limit(6.0) == np.inf
    assert Spread(std_error=1.0, acceleration=-1.0 / 6.0).limit(-6.0) == -np.inf


def test_rungs_and_contributions_have_the_same_intervals_as_agreement():
    rng = np.random.default_rng(3)
    n = 250
    death = rng.exponential(40.0, n)
    missed = rng.random(n) < 0.05
    end = rng.uniform(25.0, 40.0, n)
    public = np.where(death <= end, death, np.nan)
    data = pd.DataFrame(
        {
            "private_event": np.where(missed, np.nan, public),
            "public_event": public,
            "private_last": np.fmin(end, np.where(missed, np.inf, death)),
            "public_last": np.fmin(end, death),
        }
    )
    rungs = fs.compare.ladder(data, tau=24.0, rules=["public", "private"])
    ids = np.arange(n)
    arms = [
        fs.compare.one_arm(fs.compare.integrate(data, rule=rule), measure="rmst", tau=24.0)
        for rule in ("private", "public")
    ]
    held = fs.compare.agreement(*arms, margin=1.0, patient_private=ids, patient_public=ids)
    low, high = held.interval()
    # Missed deaths lengthen one tail; the normal interval would be even.
    assert high - held.difference > 1.15 * (held.difference - low)
    row = rungs.table.iloc[1]
    assert (row["difference_lower"], row["difference_upper"]) == pytest.approx((low, high))
    steps = {
        (): (arms[0].estimate, pd.Series(arms[0].influence)),
        ("deaths",): (arms[1].estimate, pd.Series(arms[1].influence)),
    }
    found = fs.compare.decompose(steps, ["deaths"]).table.iloc[0]
    assert (found["lower"], found["upper"]) == pytest.approx((-high, -low))
    assert found["std_error"] == pytest.approx(held.std_error)
