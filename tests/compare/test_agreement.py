"""Agreement of two sources: closed forms, and linked patients."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.oracle.reference import rows


def source(seed, n=300, effect=0.5):
    rng = np.random.default_rng(seed)
    treated = rng.random(n) < 0.5
    time = rng.exponential(10 * np.exp(effect * treated))
    return fs.Outcome(np.minimum(time, 20), time <= 20), treated


def hazard_ratio(seed, **options):
    y, treated = source(seed, **options)
    return fs.compare.effect(y, treated, measure="hazard_ratio")


def test_closed_forms():
    a, b = hazard_ratio(1), hazard_ratio(2)
    found = fs.compare.agreement(a, b, margin=1.25)
    d = np.log(a.estimate) - np.log(b.estimate)
    se = np.hypot(a.std_error, b.std_error)
    assert found.difference == pytest.approx(d)
    assert found.std_error == pytest.approx(se)
    assert found.standardised_difference == pytest.approx(abs(d) / se)
    assert found.not_different == (abs(d) / se < norm.ppf(0.975))
    upper, lower = norm.cdf((d - np.log(1.25)) / se), norm.cdf((-d - np.log(1.25)) / se)
    assert found.p_equivalence == pytest.approx(max(upper, lower))
    assert found.equivalent == (max(upper, lower) < 0.05)
    assert found.smallest_margin == pytest.approx(np.exp(abs(d) + norm.ppf(0.95) * se))
    assert found.minimum_detectable_difference == pytest.approx(
        (norm.ppf(0.975) + norm.ppf(0.8)) * se
    )
    assert found.estimate_agreement == (a.lower <= b.estimate <= a.upper)
    expected = 2 * norm.cdf(norm.ppf(0.975) * a.std_error / se) - 1
    assert found.expected_estimate_agreement == pytest.approx(expected)


def test_equivalence_is_a_narrower_interval_inside_the_margin():
    a, b = hazard_ratio(1, n=4000), hazard_ratio(2, n=4000)
    found = fs.compare.agreement(a, b, margin=1.25)
    half = norm.ppf(0.95) * found.std_error
    inside = abs(found.difference) + half < np.log(1.25)
    assert found.equivalent == inside
    assert fs.compare.agreement(a, b, margin=found.smallest_margin * 1.0001).equivalent
    assert not fs.compare.agreement(a, b, margin=found.smallest_margin * 0.9999).equivalent


@pytest.mark.parametrize(("ratio", "share"), [(1.0, 0.834), (2.0, 0.619)])
def test_how_often_estimate_agreement_holds_with_equal_truths(ratio, share):
    """83 % at equal standard errors, 62 % when the public variance is four times the private."""
    z = norm.ppf(0.975)
    a, b = hazard_ratio(1), hazard_ratio(2)
    object.__setattr__(a, "std_error", 1.0)
    object.__setattr__(b, "std_error", ratio)
    found = fs.compare.agreement(a, b, margin=1.25)
    assert found.expected_estimate_agreement == pytest.approx(share, abs=5e-4)
    rng = np.random.default_rng(0)
    draws = np.abs(rng.normal(size=200_000) - ratio * rng.normal(size=200_000)) < z
    assert draws.mean() == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [(0.9, 0.9, True), (0.9, 0.0, False), (0.0, 0.02, True), (0.9, -0.9, False)],
)
def test_regulatory_agreement(first, second, same):
    a, b = hazard_ratio(5, effect=first), hazard_ratio(6, effect=second)
    assert fs.compare.agreement(a, b, margin=1.25).regulatory_agreement == same


def test_the_same_patients_in_both_sources():
    y, treated = source(3)
    a = fs.compare.effect(y, treated, measure="rmst", tau=15.0)
    rng = np.random.default_rng(0)
    later = fs.Outcome(np.minimum(y.time + rng.integers(0, 2, len(y)), 20.5), y.event)
    order = rng.permutation(len(y))
    b = fs.compare.effect(later.take(order), treated[order], measure="rmst", tau=15.0)
    person = np.array([f"p{i}" for i in range(len(y))])
    found = fs.compare.agreement(
        a, b, margin=1.0, patient_private=person, patient_public=person[order]
    )
    assert found.linked_patients == len(y)
    back = np.empty(len(y))
    back[order] = b.influence
    assert found.std_error == pytest.approx(np.sqrt(((a.influence - back) ** 2).sum()))
    assert found.std_error < 0.35 * fs.compare.agreement(a, b, margin=1.0).std_error
    apart = fs.compare.agreement(
        a, b, margin=1.0, patient_private=person, patient_public=[f"q{i}" for i in person]
    )
    assert apart.linked_patients == 0
    independent = fs.compare.agreement(a, b, margin=1.0).std_error
    assert apart.std_error == pytest.approx(independent)


def test_gbsg_restricted_mean():
    """Published beside the benchmark: 4.911 months (standard error 1.604) gained of 60."""
    g = rows("gbsg")
    found = fs.compare.effect(
        fs.Outcome(g["rfstime"] / 30.4375, g["status"]), g["hormon"], measure="rmst", tau=60
    )
    assert round(found.estimate, 3) == 4.911
    assert round(found.std_error, 3) == 1.604


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda a, b: fs.compare.agreement(a, b, margin=0.8),
            "margin must be above 1 for a ratio.*margin=0.8",
        ),
        (
            lambda a, b: fs.compare.agreement(a, b, margin=1.2, patient_private=[1]),
            "both sources or for neither",
        ),
        (
            lambda a, b: fs.compare.agreement(
                a, b, margin=1.2, patient_private=[1], patient_public=[1]
            ),
            "patient_private must have one value per row",
        ),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call(hazard_ratio(1), hazard_ratio(2))


def test_different_estimands_are_refused():
    y, treated = source(1)
    a = fs.compare.effect(y, treated, measure="rmst", tau=10.0)
    b = fs.compare.effect(y, treated, measure="rmst", tau=12.0)
    with pytest.raises(DataError, match="same thing.*rmst at 10.0.*rmst at 12.0"):
        fs.compare.agreement(a, b, margin=1.0)
