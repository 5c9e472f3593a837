"""Linked patients in two sources: coverage of paired intervals, and the error of the equivalence test.

Both sources see the same deaths, at rate λ. The private one misses some for good (those patients count
as alive for ever) and reports others up to two months late; both end follow-up independently of death.
So the true curve of the private source is known: with probability u no event, else T or, with probability
m, T + D with D uniform on (0, 2).
"""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs

N, TAU, RATE = 300, 24.0, 0.0143
UNREPORTED, LATE, DELAY = 0.06, 0.3, 2.0
COVERAGE, LEVEL = 2000, 4000


def true_curve(t: np.ndarray, unreported: float) -> np.ndarray:
    """Survival in the private source."""
    plain = np.exp(-RATE * t)
    delay = (np.arange(400) + 0.5) / 400 * DELAY
    shifted = np.exp(-RATE * np.maximum(t[:, None] - delay, 0.0)).mean(axis=1)
    return unreported + (1.0 - unreported) * ((1.0 - LATE) * plain + LATE * shifted)


def reported(rng: np.random.Generator, death: np.ndarray, unreported: float) -> np.ndarray:
    """Date each death as a source has it; missing is never."""
    late = np.where(rng.random(death.size) < LATE, rng.uniform(0.0, DELAY, death.size), 0.0)
    return np.where(rng.random(death.size) < unreported, np.inf, death + late)


def observed(rng: np.random.Generator, event: np.ndarray) -> fs.Outcome:
    end = rng.uniform(TAU + 0.1, 38.0, event.size)
    return fs.Outcome(np.minimum(event, end), event <= end)


def pair(rng: np.random.Generator, unreported: float = UNREPORTED) -> tuple[fs.Outcome, fs.Outcome]:
    death = rng.exponential(1.0 / RATE, N)
    return observed(rng, reported(rng, death, unreported)), observed(rng, death)


def held(estimate: float, error: float, truth: float) -> bool:
    return abs(estimate - truth) <= 1.959964 * error


@pytest.mark.slow
def test_paired_intervals_cover_and_those_of_strangers_are_too_wide():
    grid = (np.arange(24000) + 0.5) / 24000 * TAU
    gap = true_curve(grid, UNREPORTED) - np.exp(-RATE * grid)
    true_rmst = float(gap.mean() * TAU)
    at = np.array([TAU])
    true_point = float((true_curve(at, UNREPORTED) - np.exp(-RATE * at))[0])
    rng = np.random.default_rng(20261122)
    rows = []
    ids = np.arange(N)
    for _ in range(COVERAGE):
        a, b = pair(rng)
        found = fs.compare.paired_survival(a, b, times=[TAU]).table.iloc[0]
        means = [fs.compare.one_arm(y, measure="rmst", tau=TAU) for y in (a, b)]
        both = fs.compare.agreement(*means, margin=1.0, patient_private=ids, patient_public=ids)
        rows.append(
            (
                found["difference"] - true_point,
                held(found["difference"], found["std_error"], true_point),
                found["std_error"],
                found["std_error_independent"],
                both.difference - true_rmst,
                held(both.difference, both.std_error, true_rmst),
                both.std_error,
                np.hypot(means[0].std_error, means[1].std_error),
            )
        )
    x = np.array(rows, dtype=np.float64)
    for name, first in (("survival", 0), ("rmst", 4)):
        error, covered, paired, strangers = (x[:, first + k] for k in range(4))
        print(
            f"{name}: coverage {covered.mean():.4f}, bias {error.mean():.5f}, "
            f"sd {error.std(ddof=1):.5f}, paired SE {paired.mean():.5f}, "
            f"independent SE {strangers.mean():.5f}"
        )
        assert 0.93 <= covered.mean() <= 0.97
        assert paired.mean() == pytest.approx(error.std(ddof=1), rel=0.07)
        assert strangers.mean() > 2.0 * error.std(ddof=1)


@pytest.mark.slow
def test_paired_hazard_ratios():
    # Both sources err alike, so that their hazard ratios have the same limit.
    rng = np.random.default_rng(20261123)
    ids, rows = np.arange(N), []
    for _ in range(COVERAGE):
        treated = rng.random(N) < 0.5
        death = rng.exponential(1.0 / np.where(treated, 0.7 * RATE, RATE))
        sources = [observed(rng, reported(rng, death, UNREPORTED)) for _ in range(2)]
        effects = [fs.compare.effect(y, treated, measure="hazard_ratio") for y in sources]
        both = fs.compare.agreement(*effects, margin=1.25, patient_private=ids, patient_public=ids)
        strangers = np.hypot(effects[0].std_error, effects[1].std_error)
        rows.append(
            (both.difference, held(both.difference, both.std_error, 0.0), both.std_error, strangers)
        )
    error, covered, paired, independent = np.array(rows, dtype=np.float64).T
    print(
        f"log hazard ratio: coverage {covered.mean():.4f}, sd {error.std(ddof=1):.5f}, "
        f"paired SE {paired.mean():.5f}, independent SE {independent.mean():.5f}"
    )
    assert 0.93 <= covered.mean() <= 0.97
    assert independent.mean() > 2.0 * error.std(ddof=1)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [0.05])
def test_equivalence_at_the_margin_is_found_as_often_as_it_may(margin):
    """A true difference of just the margin: sources that are called equivalent are errors."""
    survival = float(np.exp(-RATE * TAU))
    delay = (np.arange(400) + 0.5) / 400 * DELAY
    late = float(np.exp(-RATE * (TAU - delay)).mean())
    known = (1.0 - LATE) * survival + LATE * late
    unreported = (survival + margin - known) / (1.0 - known)
    assert true_curve(np.array([TAU]), unreported)[0] - survival == pytest.approx(margin)
    rng = np.random.default_rng(20261124)
    ids = np.arange(N)
    errors = 0
    for _ in range(LEVEL):
        a, b = pair(rng, unreported)
        means = [fs.compare.one_arm(y, measure="milestone", tau=TAU) for y in (a, b)]
        found = fs.compare.agreement(*means, margin=margin, patient_private=ids, patient_public=ids)
        errors += found.equivalent
    print(f"type I error at the margin: {errors / LEVEL:.4f}")
    assert errors / LEVEL <= 0.058
