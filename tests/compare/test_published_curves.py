"""Pseudo-patients from published curves: hand-made curves, simulated trials, noise, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError

POINTS, DECIMALS = 1000, 3  # resolution of the reading: a thousandth of either axis


def trial(seed, n=400, hazard_ratio=0.7):
    rng = np.random.default_rng(seed)
    arm = np.repeat([0, 1], n)
    time = rng.exponential(12 / np.where(arm, hazard_ratio, 1.0))
    censoring = np.minimum(rng.uniform(24, 42, 2 * n), rng.exponential(120, 2 * n))
    return fs.Outcome(np.minimum(time, censoring), time <= censoring), arm


def digitise(y, *, step, points=POINTS, decimals=DECIMALS, noise=0.0, seed=0):
    curve = fs.survival.kaplan_meier(y).table
    grid = np.linspace(0, y.max_time, points)
    place = np.searchsorted(curve["time"], grid, side="right")
    height = np.append(1.0, curve["survival"])[place]
    height = height + np.random.default_rng(seed).normal(0, noise, points)
    moments = np.arange(0, y.max_time, step) if step else np.zeros(1)
    at_risk = (y.time[:, None] >= moments).sum(axis=0)
    return grid, np.clip(height.round(decimals), 0, 1), moments, at_risk


def hazard_ratio(y, arm):
    return fs.survival.cox(y, np.asarray(arm, float)[:, None]).table["hazard_ratio"].iloc[0]


def median(y):
    return fs.survival.kaplan_meier(y).quantile(0.5)["quantile"].iloc[0]


def pooled(parts):
    time = np.concatenate([part.time for part in parts])
    event = np.concatenate([part.event for part in parts])
    return fs.Outcome(time, event), np.repeat(np.arange(len(parts)), [len(p) for p in parts])


def reconstruct(y, *, events=True, **options):
    total = int(y.event.sum()) if events else None
    return fs.compare.reconstruct_curve(*digitise(y, **options), total)


@pytest.mark.parametrize(("step", "events"), [(3, True), (6, True), (6, False)])
def test_simulated_trials(step, events):
    """Medians jump where a curve is flat near one half: within 2 % on average, 2.5 % each."""
    gaps = []
    for seed in range(4):
        y, arm = trial(seed)
        found = [reconstruct(y.take(arm == a), step=step, events=events) for a in (0, 1)]
        ratio = hazard_ratio(*pooled([part.outcome for part in found])) / hazard_ratio(y, arm)
        assert abs(ratio - 1) < 0.02
        for a, part in enumerate(found):
            given_y = y.take(arm == a)
            assert len(part.outcome) == len(given_y)
            assert part.largest_at_risk_difference <= 1
            gaps.append(abs(median(part.outcome) / median(given_y) - 1))
            there = fs.survival.kaplan_meier(given_y).at([median(part.outcome)])["survival"]
            assert abs(there.item() - 0.5) < 0.005
            if events:
                row = part.check[part.check["quantity"] == "n_event"]
                assert row["difference"].abs().item() <= 2
    assert max(gaps) < 0.025
    assert np.mean(gaps) < 0.01


def test_a_coarser_table_of_numbers_at_risk_costs_accuracy():
    errors = {}
    for step in (6, 24, None):
        errors[step] = []
        for seed in range(6):
            y, arm = trial(seed)
            parts = [reconstruct(y.take(arm == a), step=step, events=False) for a in (0, 1)]
            ours = hazard_ratio(*pooled([part.outcome for part in parts]))
            errors[step].append(abs(np.log(ours / hazard_ratio(y, arm))))
    mean = {step: np.mean(values) for step, values in errors.items()}
    assert mean[6] < 0.01
    assert mean[6] < mean[24] < 0.05
    assert mean[6] < mean[None] < 0.05


def test_noise_is_made_to_fall():
    y, _ = trial(1)
    clean = reconstruct(y, step=6)
    noisy = reconstruct(y, step=6, noise=0.005, seed=3)
    assert clean.largest_correction < 1e-12
    assert 0.005 < noisy.largest_correction < 0.03
    assert (np.diff(noisy.table["survival"]) <= 0).all()
    assert abs(median(noisy.outcome) / median(y) - 1) < 0.03
    shuffled = np.random.default_rng(0).permutation(POINTS)
    t, s, moments, at_risk = digitise(y, step=6, noise=0.005, seed=3)
    again = fs.compare.reconstruct_curve(
        t[shuffled], s[shuffled], moments, at_risk, int(y.event.sum())
    )
    assert again.table.equals(noisy.table)


def test_by_hand():
    """Two of ten leave before 4, at 4/3 and 8/3: an event of 9, then of 7; and so on."""
    heights = [1.0, 0.9, 0.8, 0.8 * 5 / 6, 0.8 * 5 / 6 * 2 / 3]
    found = fs.compare.reconstruct_curve([0, 2, 3, 5, 7], heights, [0, 4, 6], [10, 6, 3])
    events = found.table[found.table["n_event"] > 0]
    assert events["time"].tolist() == [2, 3, 5, 7]
    assert events["n_event"].tolist() == [1, 1, 1, 1]
    assert events["n_risk"].tolist() == [9, 7, 5, 3]
    away = found.table[found.table["n_censor"] > 0]
    np.testing.assert_allclose(away["time"], [4 / 3, 8 / 3, 14 / 3, 16 / 3, 7])
    assert found.largest_at_risk_difference == 0
    expected = 8 / 9 * 6 / 7 * 4 / 5 * 2 / 3
    assert found.largest_survival_difference == pytest.approx(heights[3] - 8 / 9 * 6 / 7 * 4 / 5)
    assert found.table["survival"].iloc[-1] == pytest.approx(expected)


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.booleans()), min_size=2, max_size=60),
    st.sampled_from([3, 7, 50]),
)
def test_laws(patients, step):
    time, event = np.array(patients).T
    y = fs.Outcome(time, event)
    t, s, moments, at_risk = digitise(y, step=step, points=int(y.max_time) + 1, decimals=12)
    found = fs.compare.reconstruct_curve(t, s, moments, at_risk, int(event.sum()))
    assert len(found.outcome) == len(y)
    curve = fs.survival.kaplan_meier(found.outcome).table
    np.testing.assert_allclose(curve["survival"], found.table["survival"], atol=1e-12)
    n_risk = found.table["n_risk"].to_numpy()
    leaving = (found.table["n_event"] + found.table["n_censor"]).to_numpy()
    assert (n_risk[1:] == n_risk[:-1] - leaving[:-1]).all()
    assert leaving.sum() == len(y)
    scaled = fs.compare.reconstruct_curve(2 * t, s, 2 * moments, at_risk, int(event.sum()))
    np.testing.assert_allclose(scaled.outcome.time, 2 * found.outcome.time)


def test_with_every_time_printed_the_data_come_back():
    """Numbers at risk at every time leave nothing to guess but the order within a day."""
    rng = np.random.default_rng(5)
    y = fs.Outcome(rng.integers(1, 30, 200), rng.random(200) < 0.6)
    found = reconstruct(y, step=1, points=int(y.max_time) + 1, decimals=12)
    assert found.outcome.event.sum() == y.event.sum()
    ours = fs.survival.kaplan_meier(found.outcome).at(np.arange(1, 30))["survival"]
    truth = fs.survival.kaplan_meier(y).at(np.arange(1, 30))["survival"]
    np.testing.assert_allclose(ours, truth, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 2], [90, 50], [0], [10]), "nor above 1.*2 rows.*row 0, survival=90.*percentages"),
        (([1, -2], [0.9, 1.0], [0], [10]), "times must not be negative.*row 1, times=-2"),
        (([1, 2], [0.9, np.nan], [0], [10]), "survival must be finite.*row 1"),
        (([], [], [0], [10]), "point after time 0"),
        (([1, 2], [0.9], [0], [10]), "survival must have one value per row"),
        (([1, 2], [0.9, 0.8], [1], [10]), "must start at time 0.*first=1"),
        (([1, 2], [0.9, 0.8], [0, 1, 1], [10, 8, 7]), "at_risk_times must rise.*row 2"),
        (([1, 2], [0.9, 0.8], [0, 1], [10, 12]), "must not rise.*row 1, at_risk=12, before=10"),
        (([1, 2], [0.9, 0.8], [0, 1], [10, 8.5]), "whole numbers.*row 1, at_risk=8.5"),
        (([1, 2], [0.9, 0.8], [0], [0]), "the first at least 1"),
        (([1, 2], [0.9, 0.8], [0], [10], 11), "total_events=11, patients=10.*this arm alone"),
    ],
)
def test_bad_input(arguments, says):
    with pytest.raises(DataError, match=says):
        fs.compare.reconstruct_curve(*arguments)
