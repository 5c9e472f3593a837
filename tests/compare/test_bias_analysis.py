"""E-values, a named confounder, wrongly recorded events, negative controls."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize
from scipy.stats import beta, norm

import fiac_survival as fs
from fiac_survival.compare.negative_controls import fit
from fiac_survival.core.errors import DataError, SupportError

# Hazard ratio, E-value with a common outcome, with a rare one: the published formulas in R 4.2.2.
REFERENCE = [
    (0.5, 2.60640926553089, 3.41421356237309),
    (0.588, 2.24305556409233, 2.79229976434566),
    (0.75, 1.7391389405706, 2.0),
    (0.9, 1.36122063133893, 1.46247529557426),
    (1.2, 1.52553091757873, 1.68989794855664),
    (1.5, 1.97854138688807, 2.36602540378444),
    (2.0, 2.60640926553089, 3.41421356237309),
    (3.0, 3.6595815384121, 5.44948974278318),
]


@pytest.mark.parametrize(("ratio", "common", "rare"), REFERENCE)
def test_e_values_of_hazard_ratios(ratio, common, rare):
    for outcome, expected in (("common", common), ("rare", rare)):
        found = fs.compare.e_value(ratio, measure="hazard_ratio", outcome=outcome)
        assert found.estimate == pytest.approx(expected, rel=1e-12)
        assert np.isnan(found.limit)


def test_published_e_value():
    """VanderWeele and Ding's example: risk ratio 3.9 (1.8 to 8.7) gives 7.26 and 3.0."""
    found = fs.compare.e_value(3.9, 1.8, 8.7, measure="risk_ratio")
    assert round(found.estimate, 2) == 7.26
    assert round(found.limit, 1) == 3.0
    assert found.table["quantity"].tolist() == ["estimate", "limit"]


@given(st.floats(1.01, 20))
def test_a_confounder_as_strong_as_the_e_value_explains_the_estimate(ratio):
    e = fs.compare.e_value(ratio, measure="risk_ratio").estimate
    assert e * e / (2 * e - 1) == pytest.approx(ratio)
    mirrored = fs.compare.e_value(1 / ratio, measure="risk_ratio").estimate
    assert mirrored == pytest.approx(e)
    towards = fs.compare.e_value(2 * ratio, measure="risk_ratio", true=2.0).estimate
    assert towards == pytest.approx(e)


def test_an_interval_that_holds_the_truth_needs_no_confounding():
    assert fs.compare.e_value(0.8, 0.6, 1.1, measure="risk_ratio").limit == 1.0
    assert fs.compare.e_value(1.3, 0.9, 1.8, measure="risk_ratio").limit == 1.0
    odds = fs.compare.e_value(4.0, measure="odds_ratio", outcome="common")
    assert odds.estimate == fs.compare.e_value(2.0, measure="risk_ratio").estimate


def effects():
    rng = np.random.default_rng(0)
    treated = rng.random(300) < 0.5
    time = rng.exponential(10 * np.exp(0.6 * treated))
    y = fs.Outcome(np.minimum(time, 20), time <= 20)
    options = [{"measure": "hazard_ratio"}, {"measure": "rmst", "tau": 15.0}]
    return [fs.compare.effect(y, treated, **option) for option in options]


def test_an_effect_brings_its_interval():
    ratio, difference = effects()
    found = fs.compare.e_value(ratio, outcome="common")
    by_hand = fs.compare.e_value(
        ratio.estimate, ratio.lower, ratio.upper, measure="hazard_ratio", outcome="common"
    )
    assert found.table.equals(by_hand.table)
    with pytest.raises(DataError, match="is a difference.*measure=rmst.*hazard ratio"):
        fs.compare.e_value(difference)
    assumed = {"prevalence_treated": 0.2, "prevalence_control": 0.4, "hazard_ratio": 2.0}
    moved = fs.compare.unmeasured_confounder(ratio, **assumed)
    assert moved.table["lower"].item() == pytest.approx(ratio.lower / (1.2 / 1.4))
    with pytest.raises(DataError, match="is a difference"):
        fs.compare.unmeasured_confounder(difference, **assumed)


def test_bias_factor_is_exact_for_risk_ratios():
    """A population by hand: no effect, a confounder of risk ratio 3 in 50 % and 20 %."""
    treated, control = 0.5 * 0.3 + 0.5 * 0.1, 0.2 * 0.3 + 0.8 * 0.1
    found = fs.compare.unmeasured_confounder(
        treated / control, prevalence_treated=0.5, prevalence_control=0.2, hazard_ratio=[1.0, 3.0]
    )
    assert found.table["estimate"].tolist() == pytest.approx([treated / control, 1.0])
    assert found.tipping["estimate"].item() == pytest.approx(3.0)
    assert np.isnan(found.tipping["limit"].item())


@given(st.floats(0.3, 3.0), st.floats(0, 1), st.floats(0, 1))
def test_tipping_points_tip(ratio, p1, p0):
    found = fs.compare.unmeasured_confounder(
        ratio, prevalence_treated=p1, prevalence_control=p0, hazard_ratio=2.0
    ).tipping["estimate"]
    gamma = found.item()
    if np.isnan(gamma):
        extremes = [p1 / p0 if p0 else np.inf, (1 - p1) / (1 - p0) if p0 < 1 else np.inf]
        assert not min(extremes) + 1e-9 < ratio < max(extremes) - 1e-9 or p1 == ratio * p0
    elif gamma < 1e8:
        factor = (1 + (gamma - 1) * p1) / (1 + (gamma - 1) * p0)
        assert ratio / factor == pytest.approx(1.0, rel=1e-5)


def test_all_combinations():
    found = fs.compare.unmeasured_confounder(
        1.5,
        1.2,
        1.9,
        prevalence_treated=[0.3, 0.5],
        prevalence_control=[0.1, 0.2],
        hazard_ratio=[1.5, 2, 4],
    )
    assert len(found.table) == 12
    assert len(found.tipping) == 4
    both = found.tipping.dropna()
    assert len(both) == 3
    assert (both["limit"] < both["estimate"]).all()


# --- wrongly recorded events ----------------------------------------------------------------------


def test_recorded_events_are_undone():
    """From the truth to the record and back, with different errors in the arms."""
    n, true = np.array([400.0, 500.0]), np.array([100.0, 200.0])
    se, sp = {"treated": 0.9, "control": 0.7}, {"treated": 0.98, "control": 0.95}
    recorded = true * [0.9, 0.7] + (n - true) * [0.02, 0.05]
    found = fs.compare.misclassified_events(
        recorded.round(), n, sensitivity=se, specificity=sp, draws=0
    )
    np.testing.assert_allclose(found.events["corrected"], true, atol=0.8)
    ppv = dict(zip(found.events["arm"], found.events["positive_predictive_value"], strict=True))
    npv = dict(zip(found.events["arm"], found.events["negative_predictive_value"], strict=True))
    again = fs.compare.misclassified_events(
        recorded.round(), n, positive_predictive_value=ppv, negative_predictive_value=npv, draws=0
    )
    assert again.estimate == pytest.approx(found.estimate, rel=1e-12)
    np.testing.assert_allclose(again.events["sensitivity"], [0.9, 0.7])
    np.testing.assert_allclose(again.events["specificity"], [0.98, 0.95])


def test_perfect_records_change_nothing():
    found = fs.compare.misclassified_events(
        [60, 80], [200, 200], sensitivity=1.0, specificity=1.0, draws=20_000, seed=1
    )
    row = found.table.set_index("analysis")
    assert found.estimate == row.loc["as recorded", "estimate"] == pytest.approx(0.75)
    assert row.loc["systematic error", ["lower", "upper"]].tolist() == pytest.approx([0.75, 0.75])
    total, recorded = row.loc["systematic and chance error"], row.loc["as recorded"]
    assert np.log(total["lower"]) == pytest.approx(np.log(recorded["lower"]), abs=0.02)
    assert np.log(total["upper"]) == pytest.approx(np.log(recorded["upper"]), abs=0.02)


def test_specificity_one_leaves_the_risk_ratio_alone():
    found = fs.compare.misclassified_events(
        [60, 80], [400, 400], sensitivity=0.6, specificity=1.0, draws=0
    )
    assert found.estimate == pytest.approx(0.75)
    difference = fs.compare.misclassified_events(
        [60, 80], [400, 400], sensitivity=0.6, specificity=1.0, draws=0, measure="risk_difference"
    )
    assert difference.estimate == pytest.approx(-0.05 / 0.6)


def test_chance_with_known_errors_has_rogan_and_gladens_variance():
    found = fs.compare.misclassified_events(
        [300, 400],
        [1000, 1000],
        sensitivity=0.8,
        specificity=0.9,
        measure="risk_difference",
        draws=40_000,
    )
    expected = np.sqrt(0.3 * 0.7 / 1000 + 0.4 * 0.6 / 1000) / 0.7
    assert found.draws["total"].std() == pytest.approx(expected, rel=0.02)
    assert found.draws["systematic"].std() < 1e-12


def test_draws_widen_with_smaller_validation_and_repeat_with_the_seed():
    def run(of, seed=0, **options):
        return fs.compare.misclassified_events(
            [150, 200],
            [1000, 1000],
            sensitivity=fs.compare.Validated(int(0.8 * of), of),
            specificity=fs.compare.Validated(int(0.97 * of), of),
            seed=seed,
            draws=4000,
            **options,
        )

    def width(found, analysis):
        row = found.table.set_index("analysis").loc[analysis]
        return np.log(row["upper"] / row["lower"])

    small, large = run(200), run(2000)
    assert width(small, "systematic error") > 2 * width(large, "systematic error")
    assert width(small, "systematic and chance error") > width(small, "systematic error")
    assert run(200).draws.equals(small.draws)
    assert not run(200, seed=1).draws.equals(small.draws)
    assert run(200).share_dropped == 0.0
    few = fs.compare.misclassified_events(
        [40, 60],
        [1000, 1000],
        sensitivity=0.8,
        specificity=fs.compare.Validated(97, 100),
        draws=4000,
    )
    possible = beta.sf(0.96, 97.5, 3.5)  # false positives must not exceed the 4 % recorded
    assert few.share_dropped == pytest.approx(1 - possible, abs=0.03)
    rate = run(2000, measure="rate_ratio", person_time=[900.0, 800.0])
    assert rate.estimate == pytest.approx(large.estimate * 1000 / 900 / (1000 / 800))
    assert run(2000, measure="odds_ratio").estimate < large.estimate


ARMS = ([60, 80], [200, 200])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (
            lambda f: f(*ARMS, sensitivity=0.8),
            DataError,
            "give sensitivity and specificity.*given=sensitivity",
        ),
        (
            lambda f: f(*ARMS, sensitivity=0.8, positive_predictive_value=0.9),
            DataError,
            "or both predictive values",
        ),
        (
            lambda f: f(*ARMS, sensitivity=80, specificity=0.9),
            DataError,
            "sensitivity must lie between 0 and 1.*sensitivity=80.*percentages",
        ),
        (
            lambda f: f([60, 300], [200, 200], sensitivity=0.8, specificity=0.9),
            DataError,
            "arm=control, events=300, persons=200",
        ),
        (
            lambda f: f(*ARMS, sensitivity=0.4, specificity=0.5),
            SupportError,
            "must add to more than 1.*sum=0.9",
        ),
        (
            lambda f: f(*ARMS, sensitivity=0.9, specificity=0.6),
            SupportError,
            "arm=treated, corrected=-40, persons=200",
        ),
        (
            lambda f: f(*ARMS, sensitivity=0.9, specificity=0.9, measure="rate_ratio"),
            DataError,
            "the rate ratio needs it",
        ),
        (
            lambda f: f(*ARMS, sensitivity={"treated": 0.9}, specificity=0.9),
            DataError,
            "for treated and control.*given=treated",
        ),
        (lambda f: fs.compare.Validated(5, 4), DataError, "correct=5, of=4"),
    ],
)
def test_bad_misclassification(call, error, says):
    with pytest.raises(error, match=says):
        call(fs.compare.misclassified_events)


# --- negative controls ----------------------------------------------------------------------------


def controls(seed, k=60, mean=0.2, std_dev=0.15):
    rng = np.random.default_rng(seed)
    s = rng.uniform(0.05, 0.4, k)
    return rng.normal(mean, np.hypot(std_dev, s)), s


@pytest.mark.parametrize("seed", range(5))
def test_maximum_likelihood_by_a_general_minimiser(seed):
    theta, s = controls(seed)
    found = fs.compare.negative_controls(theta, s)

    def cost(parameter):
        return -norm.logpdf(theta, parameter[0], np.hypot(np.exp(parameter[1]), s)).sum()

    best = minimize(
        cost, [0.0, -1.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    assert found.mean == pytest.approx(best.x[0], abs=1e-6)
    assert found.std_dev == pytest.approx(np.exp(best.x[1]), abs=1e-5)
    assert found.log_likelihood == pytest.approx(-best.fun)


def test_equal_standard_errors_in_closed_form():
    theta = np.array([0.1, 0.5, -0.2, 0.4, 0.3])
    found = fs.compare.negative_controls(theta, np.full(5, 0.1))
    assert found.mean == pytest.approx(theta.mean())
    assert found.std_dev == pytest.approx(np.sqrt(theta.var() - 0.01), rel=1e-6)
    quiet = fs.compare.negative_controls(theta, np.full(5, 0.5))
    assert quiet.std_dev == 0.0
    assert quiet.mean_std_error == pytest.approx(0.5 / np.sqrt(5))


def test_no_systematic_error_calibrates_to_itself():
    theta = np.array([0.1, -0.1, 0.1, -0.1])
    found = fs.compare.negative_controls(theta, np.full(4, 0.5))
    row = found.calibrate(0.7, 0.2).iloc[0]
    assert row["p_calibrated"] == pytest.approx(2 * norm.sf(3.5))
    assert row["lower"] == pytest.approx(0.7 - norm.ppf(0.975) * 0.2)


def test_calibration_by_hand():
    theta, s = controls(1)
    found = fs.compare.negative_controls(theta, s, names=[f"outcome {j}" for j in range(60)])
    row = found.calibrate([0.9], [0.1], level=0.9).iloc[0]
    spread = np.hypot(found.std_dev, 0.1)
    assert row["p_calibrated"] == pytest.approx(2 * norm.sf(abs(0.9 - found.mean) / spread))
    assert row["upper"] == pytest.approx(0.9 - found.mean + norm.ppf(0.95) * spread)
    assert found.table["control"].iloc[3] == "outcome 3"
    # The limits are the values whose calibrated test is at the level.
    edge = brentq(
        lambda v: 2 * norm.sf(abs(0.9 - found.mean - v) / spread) - 0.1, -5, 0.9 - found.mean
    )
    assert row["lower"] == pytest.approx(edge)


def test_calibrated_p_values_hold_their_level():
    """Where 27 % of controls are significant, about 5 % are after calibration: 6 % with 50 controls."""
    before, after = [], []
    for seed in range(1500):
        theta, s = controls(seed, k=51)
        mean, std_dev = fit(theta[:50], s[:50])
        before.append(abs(theta[50]) / s[50] > 1.96)
        after.append(abs(theta[50] - mean) / np.hypot(std_dev, s[50]) > 1.96)
    assert np.mean(before) > 0.25
    assert np.mean(after) == pytest.approx(0.0575, abs=0.015)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0.1, 0.2], [0.1, 0.1]), "at least 3 negative controls.*controls=2"),
        (([0.1, 0.2, 0.3], [0.1, 0.0, 0.1]), "std_error must be positive.*row 1"),
        (([0.1, np.nan, 0.3], [0.1, 0.1, 0.1]), "estimate must be finite.*row 1"),
        (([0.1, 0.2, 0.3], [0.1, 0.1]), "std_error must have one value per row"),
    ],
)
def test_bad_controls(arguments, says):
    with pytest.raises(DataError, match=says):
        fs.compare.negative_controls(*arguments)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda f: f(0.7, measure="hazard_ratio"), 'how common the outcome is.*outcome="rare"'),
        (
            lambda f: f(-0.3, measure="risk_ratio"),
            "estimate must be a positive ratio.*estimate=-0.3",
        ),
        (lambda f: f(0.7, 0.8, 0.9, measure="risk_ratio"), "interval must hold the estimate"),
        (lambda f: f(0.7), "measure must be one of"),
        (lambda f: f(2.0, measure="rmst"), "is a difference"),
        (lambda f: f(0.7, measure="hazard_ratio", outcome="often"), "outcome must be one of"),
    ],
)
def test_bad_e_values(call, says):
    with pytest.raises(DataError, match=says):
        call(fs.compare.e_value)


def test_bad_confounder():
    with pytest.raises(
        DataError, match=r"prevalence_control must lie.*row 1, prevalence_control=20"
    ):
        fs.compare.unmeasured_confounder(
            0.7, prevalence_treated=0.2, prevalence_control=[0.2, 20], hazard_ratio=2.0
        )
    with pytest.raises(DataError, match="hazard_ratio must be a positive ratio"):
        fs.compare.unmeasured_confounder(
            0.7, prevalence_treated=0.2, prevalence_control=0.2, hazard_ratio=[2.0, 0.0]
        )
