"""Curves of the same patients in two sources."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.compare.integration import one_group
from fiac_survival.core.errors import DataError


def pair(seed: int, n: int = 200) -> tuple[fs.Outcome, fs.Outcome]:
    rng = np.random.default_rng(seed)
    death = np.ceil(rng.exponential(40.0, n))
    late = np.where(rng.random(n) < 0.2, rng.integers(0, 5, n), 0)
    end = rng.integers(25, 40, n)
    ends = [np.minimum(end, rng.integers(20, 60, n)) + 5, end + 5]
    return tuple(
        fs.Outcome(np.minimum(d, e), d <= e)
        for d, e in zip((death + late, death), ends, strict=True)
    )  # type: ignore[return-value]


def bootstrap(a: fs.Outcome, b: fs.Outcome, t: float, draws: int = 200) -> float:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(draws):
        rows = rng.integers(0, len(a), len(a))
        curves = [fs.survival.kaplan_meier(y.take(rows)).at([t])["survival"][0] for y in (a, b)]
        values.append(curves[0] - curves[1])
    return float(np.std(values, ddof=1))


def test_difference_and_error():
    a, b = pair(1)
    found = fs.compare.paired_survival(a, b, times=[10.0, 20.0])
    for name, y in (("private", a), ("public", b)):
        curve = fs.survival.kaplan_meier(y).at([10.0, 20.0])
        np.testing.assert_allclose(found.table[name], curve["survival"], rtol=1e-12)
    np.testing.assert_allclose(
        found.table["difference"],
        found.table["private"] - found.table["public"],
        rtol=0,
        atol=1e-15,
    )
    row = found.table.iloc[1]
    assert row["std_error"] == pytest.approx(bootstrap(a, b, 20.0), rel=0.15)
    assert (found.table["std_error"] <= found.table["std_error_independent"]).all()
    assert row["std_error"] < 0.6 * row["std_error_independent"]
    # The band holds the intervals, and is no wider than Bonferroni's.
    assert 1.96 <= found.band_quantile <= 2.2414 + 0.05
    assert found.linked_patients == 200


def test_a_source_agrees_with_itself():
    a, _ = pair(2)
    found = fs.compare.paired_survival(a, a, times=[5.0, 20.0])
    assert (found.table[["difference", "std_error", "band_lower", "band_upper"]] == 0.0).all(
        axis=None
    )
    assert np.isnan(found.band_quantile)


def test_strangers_and_identifiers():
    a, b = pair(3)
    ids = np.arange(len(a))
    order = np.random.default_rng(0).permutation(len(b))
    plain = fs.compare.paired_survival(a, b, times=[10.0, 20.0])
    shuffled = fs.compare.paired_survival(
        a, b.take(order), times=[20.0, 10.0], patient_private=ids, patient_public=ids[order]
    )
    np.testing.assert_allclose(plain.table, shuffled.table, rtol=1e-10, atol=1e-12)
    strangers = fs.compare.paired_survival(
        a, b, times=[10.0, 20.0], patient_private=ids, patient_public=ids + 1000
    )
    assert strangers.linked_patients == 0
    np.testing.assert_allclose(
        strangers.table["std_error"], strangers.table["std_error_independent"], rtol=1e-12
    )


@pytest.mark.parametrize(("measure", "tau"), [("rmst", 20.0), ("milestone", 15.0)])
def test_one_arm(measure, tau):
    a, _ = pair(4)
    found = fs.compare.one_arm(a, measure=measure, tau=tau)
    value, influence = one_group(a, measure, tau)
    assert found.estimate == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(found.influence, influence, rtol=1e-12, atol=1e-15)
    # Whole weights are as many rows; weight 0 is no row.
    weights = np.arange(len(a)) % 3
    weighted = fs.compare.one_arm(a, measure=measure, tau=tau, weights=weights)
    rows = np.repeat(np.arange(len(a)), weights)
    again = fs.compare.one_arm(a.take(rows), measure=measure, tau=tau)
    assert weighted.estimate == pytest.approx(again.estimate, rel=1e-12)
    assert (weighted.influence[weights == 0] == 0).all()
    sums = np.bincount(rows, weights=again.influence, minlength=len(a))
    np.testing.assert_allclose(weighted.influence, sums, rtol=1e-9, atol=1e-14)


def test_agreement_takes_one_arm():
    a, b = pair(5)
    ids = np.arange(len(a))
    arms = [fs.compare.one_arm(y, measure="milestone", tau=20.0) for y in (a, b)]
    held = fs.compare.agreement(*arms, margin=0.1, patient_private=ids, patient_public=ids)
    found = fs.compare.paired_survival(a, b, times=[20.0]).table.iloc[0]
    assert held.difference == pytest.approx(found["difference"], abs=1e-14)
    assert held.std_error == pytest.approx(found["std_error"], rel=1e-10)


def test_refusals():
    a, b = pair(6)
    with pytest.raises(DataError, match="both sources or for neither"):
        fs.compare.paired_survival(a, b, times=[1.0], patient_private=np.arange(200))
    with pytest.raises(DataError, match="same patients, row by row"):
        fs.compare.paired_survival(a, b.take(np.arange(10)), times=[1.0])
    with pytest.raises(DataError, match="follow-up"):
        fs.compare.paired_survival(a, b, times=[1000.0])
    with pytest.raises(DataError, match="weights must not be negative"):
        fs.compare.one_arm(a, measure="rmst", tau=5.0, weights=-np.ones(200))
    with pytest.raises(DataError, match="measure"):
        fs.compare.one_arm(a, measure="median", tau=5.0)  # type: ignore[arg-type]


def test_few_patients_that_differ_skew_the_difference():
    a, b = pair(7)
    ids = np.arange(len(a))
    arms = [fs.compare.one_arm(y, measure="rmst", tau=20.0) for y in (a, b)]
    held = fs.compare.agreement(*arms, margin=1.0, patient_private=ids, patient_public=ids)
    moved = arms[0].influence - arms[1].influence
    assert held.acceleration == pytest.approx(np.sum(moved**3) / np.sum(moved**2) ** 1.5 / 6.0)
    assert held.acceleration > 0.02
    low, high = held.interval()
    assert high - held.difference > held.difference - low
    # The test rejects at the level of the interval that ends at the margin.
    for margin in (0.3, 0.5):
        found = fs.compare.agreement(*arms, margin=margin, patient_private=ids, patient_public=ids)
        low, high = found.interval(1.0 - 2.0 * found.p_equivalence)
        assert max(-low, high) == pytest.approx(margin)
    # Equivalence is a 90 % interval within the smallest margin.
    low, high = held.interval(0.90)
    assert max(-low, high) == pytest.approx(held.smallest_margin)
    found = fs.compare.paired_survival(a, b, times=[10.0, 20.0]).table.iloc[1]
    arms = [fs.compare.one_arm(y, measure="milestone", tau=20.0) for y in (a, b)]
    held = fs.compare.agreement(*arms, margin=1.0, patient_private=ids, patient_public=ids)
    assert found["acceleration"] == pytest.approx(held.acceleration)
    assert (found["lower"], found["upper"]) == pytest.approx(held.interval())
    strangers = fs.compare.agreement(*arms, margin=1.0)
    assert strangers.acceleration == 0.0
    low, high = strangers.interval()
    assert high - low == pytest.approx(2 * 1.959964 * strangers.std_error, rel=1e-6)


def test_where_all_say_the_same_there_is_no_standard_error():
    a, _ = pair(2)
    ids = np.arange(len(a))
    arm = fs.compare.one_arm(a, measure="rmst", tau=20.0)
    with pytest.raises(DataError, match="some linked patient must differ"):
        fs.compare.agreement(arm, arm, margin=1.0, patient_private=ids, patient_public=ids)


def test_numbers_at_risk():
    a = fs.Outcome([3, 5, 5, 8], [1, 1, 0, 0], entry=[0, 0, 4, 2])
    b = fs.Outcome([3, 5, 6, 8], [1, 1, 0, 0])
    found = fs.compare.paired_survival(a, b, times=[0, 2, 3, 4, 5, 6]).table
    assert found["private_n_risk"].tolist() == [2, 2, 3, 2, 3, 1]
    assert found["public_n_risk"].tolist() == [4, 4, 4, 3, 3, 2]
