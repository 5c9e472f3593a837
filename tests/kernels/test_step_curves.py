"""Kernels of step curves against their twins, on generated data with ties and delayed entry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiac_survival.kernels import step_curves as kernels
from fiac_survival.kernels.counting import CHUNKS, copy_codes, copy_times, count_cells, weigh_cells
from fiac_survival.kernels.matching import match_greedily
from tests.kernels import naive


@st.composite
def rows(draw, largest=24, grid=7):
    """Rows on a grid: at risk from `first` to `last`, every grid time being somebody's last."""
    n = draw(st.integers(1, largest))
    m = draw(st.integers(1, min(n, grid)))
    last = [*range(m), *draw(st.lists(st.integers(0, m - 1), min_size=n - m, max_size=n - m))]
    first = [draw(st.integers(0, end)) if draw(st.booleans()) else 0 for end in last]
    event = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    weight = draw(st.lists(st.floats(0.05, 20.0), min_size=n, max_size=n))
    cluster = draw(st.lists(st.integers(0, max(0, n // 2)), min_size=n, max_size=n))
    return tuple(
        np.array(v, dtype=d)
        for v, d in (
            (first, np.int64),
            (last, np.int64),
            (event, np.bool_),
            (weight, np.float64),
            (cluster, np.int64),
        )
    )


def orders(first, last):
    return np.argsort(first, kind="stable"), np.argsort(last, kind="stable")


def curve_of(first, last, event, weight):
    """What the kernels need of a set of rows, computed by the kernels."""
    m = int(last.max()) + 1
    risk, count = np.empty(m), np.empty(m)
    kernels.sum_at_risk(first, last, weight, risk)
    kernels.sum_at_risk(first, last, np.ones(first.size), count)
    fail = np.bincount(last[event], weights=weight[event], minlength=m)
    all_fail = (count == np.bincount(last[event], minlength=m)) & (count > 0)
    hazard, survival = np.empty(m), np.empty(m)
    kernels.product_limit(risk, fail, all_fail, hazard, survival)
    return m, risk, fail, all_fail, hazard, survival


@given(rows())
def test_sum_at_risk(data):
    first, last, _, weight, _ = data
    m = int(last.max()) + 1
    out = np.empty(m)
    kernels.sum_at_risk(first, last, weight, out)
    np.testing.assert_allclose(out, naive.sum_at_risk(first, last, weight, m), rtol=1e-12)


def test_sum_at_risk_keeps_the_last_digits():
    """One row of weight 1/3 left after a million of weight about 1e6."""
    n = 1_000_000
    rng = np.random.default_rng(0)
    amount = np.append(rng.random(n) * 1e6, 1 / 3)
    last = np.append(np.zeros(n, dtype=np.int64), 1)
    out = np.empty(2)
    kernels.sum_at_risk(np.zeros(n + 1, dtype=np.int64), last, amount, out)
    assert out[1] == pytest.approx(1 / 3, rel=1e-9)


@given(rows())
def test_product_limit(data):
    first, last, event, weight, _ = data
    m, _, _, _, hazard, survival = curve_of(first, last, event, weight)
    twin = naive.hazards(first, last, event, weight, m)
    np.testing.assert_allclose(hazard, twin, rtol=1e-12)
    np.testing.assert_allclose(survival, naive.product_limit(twin), rtol=1e-11)


@given(rows())
def test_greenwood(data):
    first, last, event, weight, _ = data
    ones = np.ones_like(weight)
    m, risk, fail, all_fail, _, survival = curve_of(first, last, event, ones)
    out = np.empty(m)
    kernels.greenwood(risk, fail, all_fail, survival, out)
    total, failed = 0.0, False
    for j in range(m):
        failed = failed or bool(all_fail[j])
        if not failed and fail[j]:
            total += fail[j] / (risk[j] * (risk[j] - fail[j]))
        if failed:
            assert np.isnan(out[j])
        else:
            assert out[j] == pytest.approx(survival[j] ** 2 * total, rel=1e-12)


@given(rows())
def test_jackknife_variance(data):
    first, last, event, weight, _ = data
    m, risk, _, all_fail, hazard, survival = curve_of(first, last, event, weight)
    step, jump, out = np.empty(m), np.empty(m), np.empty(m)
    kernels.jackknife_increments(risk, hazard, all_fail, step, jump)
    kernels.jackknife_variance(
        step, jump, survival, first, last, event, weight**2, *orders(first, last), out
    )
    twin = naive.jackknife_variance(first, last, event, weight, range(first.size), m)
    np.testing.assert_allclose(out, twin, rtol=1e-8, atol=1e-14)


@given(rows())
def test_jackknife_variance_clustered(data):
    first, last, event, weight, cluster = data
    m, risk, _, all_fail, hazard, survival = curve_of(first, last, event, weight)
    step, jump, out = np.empty(m), np.empty(m), np.empty(m)
    kernels.jackknife_increments(risk, hazard, all_fail, step, jump)
    kernels.jackknife_variance_clustered(
        step,
        jump,
        survival,
        first,
        last,
        event,
        weight,
        cluster,
        int(cluster.max()) + 1,
        *orders(first, last),
        out,
    )
    twin = naive.jackknife_variance(first, last, event, weight, cluster, m)
    np.testing.assert_allclose(out, twin, rtol=1e-8, atol=1e-13)


@given(
    st.lists(st.floats(0.1, 9.9), min_size=1, max_size=12, unique=True),
    st.floats(0.5, 12.0),
)
def test_area_after(times, tau):
    time = np.sort(np.array(times))
    survival = np.linspace(0.9, 0.05, time.size)
    out = np.empty_like(time)
    total = kernels.area_after(time, survival, tau, out)
    assert total == pytest.approx(naive.area(time, survival, 0.0, tau), rel=1e-12)
    for j, t in enumerate(time):
        twin = naive.area(time, survival, t, tau) if t < tau else 0.0
        assert out[j] == pytest.approx(twin, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64, np.int32, np.uint8])
def test_copy_times(kind):
    rng = np.random.default_rng(1)
    for n in (0, 1, 5, 100):
        time = rng.integers(0, 90, n).astype(kind)
        out = np.empty(n)
        assert copy_times(time, out) == (-1, -1, float(time.max(initial=0)), True)
        assert (out == time).all()


def test_copy_times_finds_the_first_offender():
    rng = np.random.default_rng(2)
    for _ in range(50):
        time = rng.choice([1.0, 2.5, -1.0, np.nan, np.inf], 40, p=[0.8, 0.05, 0.05, 0.05, 0.05])
        finite = np.isfinite(time)
        found = copy_times(time, np.empty(40))
        where = [np.flatnonzero(bad) for bad in (~finite, finite & (time < 0))]
        assert found[:2] == tuple(int(w[0]) if w.size else -1 for w in where)
        assert found[2] == max(0.0, time[finite].max())
        assert found[3] == (time[finite] == np.floor(time[finite])).all()


def test_copy_codes():
    for codes in ([True, False], [0, 3, 2], [-1, 5], []):
        event = np.array(codes) if codes else np.empty(0, dtype=np.int64)
        out = np.empty(len(codes), dtype=np.int32)
        assert copy_codes(event, out) == (min([0, *codes]), max([0, *codes]))
        assert out.tolist() == [int(c) for c in codes]


def test_cells():
    rng = np.random.default_rng(3)
    n, n_time, n_status, n_group = 500, 9, 3, 2
    time = rng.integers(0, n_time, n).astype(float)
    status = rng.integers(0, n_status, n).astype(np.int32)
    group = rng.integers(0, n_group, n)
    weight = rng.random(n)
    size = n_group * n_time * n_status
    counts = np.zeros((CHUNKS, size), dtype=np.int64)
    count_cells(time, status, group, n_time, n_status, counts)
    n_cells, w, w2 = np.zeros(size, dtype=np.int64), np.zeros(size), np.zeros(size)
    weigh_cells(time, status, group, weight, n_time, n_status, n_cells, w, w2)
    for g in range(n_group):
        for t in range(n_time):
            for s in range(n_status):
                here = (group == g) & (time == t) & (status == s)
                cell = (g * n_time + t) * n_status + s
                assert counts[:, cell].sum() == n_cells[cell] == here.sum()
                assert w[cell] == pytest.approx(weight[here].sum())
                assert w2[cell] == pytest.approx((weight[here] ** 2).sum())


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.lists(st.integers(0, 12), min_size=1, max_size=12),
    st.integers(0, 5),
)
def test_matching(cases, controls, width):
    case, control = np.array(cases, dtype=float), np.array(controls, dtype=float)
    order = np.argsort(control, kind="stable")
    value, start = np.unique(control[order], return_index=True)
    partner = np.empty(case.size, dtype=np.int64)
    match_greedily(case, value, np.append(start, control.size), order, float(width), partner)
    assert partner.tolist() == naive.match_greedily(case, control, width)
