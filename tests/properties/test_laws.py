"""Laws that hold for any data: generated with ties, delayed entry, weights and empty groups."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import fiac_survival as fs
from tests.conftest import generate

RiskTable = fs.survival.RiskTable
seeds = st.integers(0, 100_000)
sizes = st.integers(6, 60)


def same(a, b, **tolerance):
    """Two curve tables agree in every numeric column."""
    pd.testing.assert_frame_equal(
        a.reset_index(drop=True), b.reset_index(drop=True), check_dtype=False, **tolerance
    )


def comparable(call, *arguments, **options):
    """Run a test, or give the example up if its groups are never at risk together."""
    try:
        return call(*arguments, **options)
    except fs.errors.DataError as error:
        assume("at risk together" not in error.rule)
        raise


def split(y: fs.Outcome, rng, weight=None):
    """Cut each patient's time at risk at a random inner time."""
    entry = y.entry_or_zero()
    middle = np.where(y.time - entry > 1, np.floor((entry + y.time) / 2.0), np.nan)
    cut = np.flatnonzero((middle > entry) & (middle < y.time) & (rng.random(len(y)) < 0.7))
    person = np.concatenate([np.arange(len(y)), cut])
    times = np.concatenate([y.time, middle[cut]])
    events = np.concatenate([y.event, np.zeros(cut.size, dtype=int)])
    entries = np.concatenate([entry, entry[cut]])
    entries[cut] = middle[cut]
    out = fs.Outcome(times, events, entry=entries if entries.any() else None)
    return out, person


@given(seeds, sizes, st.booleans(), st.booleans())
def test_survival_is_a_survival_function(seed, n, late, weighted):
    y, rng = generate(seed, n, late=late)
    w = rng.uniform(0.2, 3, n) if weighted else None
    table = fs.survival.kaplan_meier(y, group=rng.integers(0, 2, n), weights=w).table
    for _, curve in table.groupby("group"):
        s = curve["survival"].to_numpy()
        assert ((s >= 0) & (s <= 1)).all()
        assert (np.diff(s) <= 1e-15).all()
        inside = curve["lower"].notna()
        assert (curve["lower"][inside] <= curve["survival"][inside] + 1e-12).all()
        assert (curve["upper"][inside] >= curve["survival"][inside] - 1e-12).all()


@given(seeds, sizes, st.booleans())
def test_whole_weights_are_repeated_rows(seed, n, late):
    y, rng = generate(seed, n, late=late)
    group, times = rng.integers(0, 2, n), rng.integers(1, 4, n)
    if len(set(group)) < 2:
        group[0] = 1 - group[0]
    rows = np.repeat(np.arange(n), times)
    repeated, whole = y.take(rows), times.astype(float)
    a = fs.survival.kaplan_meier(y, group=group, weights=whole, variance="greenwood")
    b = fs.survival.kaplan_meier(repeated, group=group[rows])
    same(a.table, b.table)
    robust = fs.survival.kaplan_meier(y, group=group, weights=whole)
    clustered = fs.survival.kaplan_meier(repeated, group=group[rows], cluster=rows)
    same(robust.table, clustered.table, atol=1e-9)
    tau = min(y.time[group == g].max() for g in (0, 1))
    means = fs.survival.rmst(y, tau=tau, group=group, weights=whole).table
    again = fs.survival.rmst(repeated, tau=tau, group=group[rows], cluster=rows).table
    same(means, again, atol=1e-9)
    counted = comparable(fs.survival.logrank, repeated, group[rows]).table
    weighted = comparable(fs.survival.logrank, y, group, weights=whole).table
    names = ["observed", "expected"]
    np.testing.assert_allclose(weighted[names], counted[names], rtol=1e-10)


@given(seeds, st.integers(25, 60), st.booleans())
def test_whole_weights_are_repeated_rows_in_cox(seed, n, late):
    y, rng = generate(seed, n, late=late, events=0.8)
    x, times = rng.normal(size=(n, 2)), rng.integers(1, 4, n)
    rows = np.repeat(np.arange(n), times)
    a = fs.survival.cox(y, x, weights=times.astype(float), ties="breslow", robust=True)
    b = fs.survival.cox(y.take(rows), x[rows], ties="breslow", cluster=rows)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-6, atol=1e-10)


@given(seeds, sizes, st.booleans(), st.booleans())
def test_splitting_time_at_risk_changes_nothing(seed, n, late, weighted):
    y, rng = generate(seed, n, late=late)
    group = rng.integers(0, 2, n)
    if len(set(group)) < 2:
        group[0] = 1 - group[0]
    w = rng.uniform(0.2, 3, n) if weighted else np.ones(n)
    pieces, person = split(y, rng)
    moments = np.arange(1.0, 13.0)
    a = fs.survival.kaplan_meier(y, group=group, weights=w).at(moments)
    b = fs.survival.kaplan_meier(pieces, group=group[person], weights=w[person], cluster=person).at(
        moments
    )
    same(a, b, atol=1e-9)
    np.testing.assert_allclose(
        comparable(fs.survival.logrank, y, group).statistic,
        fs.survival.logrank(pieces, group[person]).statistic,
        rtol=1e-9,
        atol=1e-12,
    )


@given(seeds, st.integers(25, 60), st.booleans())
def test_splitting_time_at_risk_changes_nothing_in_cox(seed, n, late):
    y, rng = generate(seed, n, late=late, events=0.8)
    x, w = rng.normal(size=(n, 2)), rng.uniform(0.5, 2, n)
    pieces, person = split(y, rng)
    a = fs.survival.cox(y, x, weights=w, robust=True)
    b = fs.survival.cox(pieces, x[person], weights=w[person], cluster=person)
    np.testing.assert_allclose(a.coef, b.coef, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(a.covariance, b.covariance, rtol=1e-6, atol=1e-10)


@given(seeds, sizes, st.booleans(), st.booleans())
def test_merging_tables_is_pooling_rows(seed, n, late, weighted):
    y, rng = generate(seed, n, late=late)
    group = np.array(["a", "b"])[rng.integers(0, 2, n)]
    w = rng.integers(1, 64, n) / 16.0 if weighted else None
    site = rng.integers(0, 3, n)
    tables = [
        RiskTable.from_outcome(
            y.take(site == s),
            group=group[site == s],
            weights=None if w is None else w[site == s],
        )
        for s in np.unique(site)
    ]
    merged = tables[0]
    for table in tables[1:]:
        merged = merged + table
    pooled = RiskTable.from_outcome(y, group=group, weights=w)
    pd.testing.assert_frame_equal(merged.table, pooled.table)
    same(
        fs.survival.kaplan_meier(merged).table,
        fs.survival.kaplan_meier(y, group=group, weights=w).table,
    )


@given(seeds, sizes, st.booleans(), st.booleans())
def test_a_risk_table_is_enough(seed, n, late, weighted):
    y, rng = generate(seed, n, late=late)
    group = rng.integers(0, 2, n)
    if len(set(group)) < 2:
        group[0] = 1 - group[0]
    w = rng.uniform(0.2, 3, n) if weighted else None
    strata = rng.integers(0, 2, n)
    table = RiskTable.from_outcome(y, group=group, weights=w, strata=strata)
    same(
        fs.survival.kaplan_meier(table).table,
        fs.survival.kaplan_meier(y, group=group, weights=w).table,
        atol=1e-12,
    )
    tau = min(y.time[group == g].max() for g in (0, 1))
    same(
        fs.survival.rmst(table, tau=tau).contrast,
        fs.survival.rmst(y, tau=tau, group=group, weights=w).contrast,
        atol=1e-12,
    )
    a = comparable(fs.survival.logrank, table, rho=1.0)
    b = fs.survival.logrank(y, group, strata=strata, weights=w, rho=1.0)
    same(a.table, b.table, atol=1e-12)
    np.testing.assert_allclose(a.covariance, b.covariance, atol=1e-12)


@given(seeds, sizes, st.booleans(), st.sampled_from([30.4375, 365.25, 7.0]))
def test_another_unit_of_time_rescales_and_nothing_else(seed, n, late, unit):
    y, rng = generate(seed, n, late=late)
    entry = None if y.entry is None else y.entry / unit
    z = fs.Outcome(y.time / unit, y.event, entry=entry)
    group = rng.integers(0, 2, n)
    if len(set(group)) < 2:
        group[0] = 1 - group[0]
    a = fs.survival.kaplan_meier(y, group=group).table
    b = fs.survival.kaplan_meier(z, group=group).table
    same(a.drop(columns="time"), b.drop(columns="time"))
    np.testing.assert_allclose(a["time"], b["time"] * unit)
    tau = min(y.time[group == g].max() for g in (0, 1))
    p = fs.survival.rmst(y, tau=tau, group=group).table[["rmst", "std_error"]]
    q = fs.survival.rmst(z, tau=tau / unit, group=group).table[["rmst", "std_error"]]
    np.testing.assert_allclose(p, q * unit, rtol=1e-9)
    np.testing.assert_allclose(
        comparable(fs.survival.logrank, y, group).statistic,
        fs.survival.logrank(z, group).statistic,
        rtol=1e-10,
    )


@given(seeds, sizes)
def test_jackknife_is_greenwood_without_weights_and_delayed_entry(seed, n):
    y, _ = generate(seed, n)
    greenwood = fs.survival.kaplan_meier(y).table["std_error"]
    jackknife = fs.survival.kaplan_meier(y, variance="infinitesimal jackknife").table["std_error"]
    known = greenwood.notna()
    np.testing.assert_allclose(jackknife[known], greenwood[known], rtol=1e-9, atol=1e-14)
    assert (jackknife[~known] == 0).all()
    tau = y.time.max()
    a = fs.survival.rmst(y, tau=tau).table["std_error"]
    b = fs.survival.rmst(y, tau=tau, weights=np.ones(n)).table["std_error"]
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-13)


@given(seeds, sizes, st.booleans())
def test_the_order_of_rows_does_not_matter(seed, n, late):
    y, rng = generate(seed, n, late=late)
    w, shuffled = rng.uniform(0.2, 3, n), rng.permutation(n)
    a = fs.survival.kaplan_meier(y, weights=w).table
    b = fs.survival.kaplan_meier(y.take(shuffled), weights=w[shuffled]).table
    same(a, b, atol=1e-11)


@given(seeds, sizes)
def test_the_restricted_mean_is_the_mean_without_censoring(seed, n):
    y, _ = generate(seed, n, events=1.1)
    result = fs.survival.rmst(y, tau=y.time.max() + 5)
    assert result.table["rmst"][0] == pytest.approx(y.time.mean(), rel=1e-12)


def test_an_empty_group_is_no_group():
    y = fs.Outcome([1, 2, 3, 4], [1, 1, 0, 1])
    group = pd.Categorical(["a", "a", "c", "c"], categories=["a", "b", "c"])
    table = fs.survival.kaplan_meier(y, group=pd.Series(group)).table
    assert table["group"].unique().tolist() == ["a", "c"]


def test_polars_and_pandas_and_lists_are_one():
    polars = pytest.importorskip("polars")
    time, event, group = [3, 1, 4, 1, 5], [1, 0, 1, 1, 0], ["b", "a", "b", "a", "a"]
    tables = [
        fs.survival.kaplan_meier(fs.Outcome(make(time), make(event)), group=make(group)).table
        for make in (list, np.array, pd.Series, polars.Series)
    ]
    for table in tables[1:]:
        same(table, tables[0])
