"""Curves and risk tables: what is delayed, rounded and left out; and whether counts can be solved back."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError, DisclosureError
from fiac_survival.disclosure import (
    Cell,
    LinearOutputs,
    Released,
    Sum,
    audit,
    find_profile,
    solve_counts,
)
from fiac_survival.disclosure.courses import courses_of

RiskTable = fs.survival.RiskTable
CurveTable = fs.cohort.CurveTable
control = fs.cohort.control_disclosure


def outcome(n: int, seed: int = 0) -> fs.Outcome:
    rng = np.random.default_rng(seed)
    death = np.ceil(rng.exponential(900.0, n))
    end = np.ceil(rng.uniform(100.0, 2500.0, n))
    return fs.Outcome(np.minimum(death, end), death <= end)


def risk_table(n: int, seed: int = 0) -> RiskTable:
    return RiskTable.from_outcome(outcome(n, seed))


def curve(risk: RiskTable, **options):
    return control(CurveTable(fs.survival.kaplan_meier(risk), risk, **options))


def test_moments_by_hand():
    # Five events and five censorings a time: enough after the third of each, 15 and 15.
    rows = [{"time": t, "status": s, "n": 5} for t in range(1, 11) for s in (0, 1)]
    risk = RiskTable.from_table(pd.DataFrame(rows))
    course = courses_of(risk, find_profile("snds"))["all"]
    assert course.time[course.release].tolist() == [3.0, 6.0]  # not 9: ten are left, at 10 nobody
    table = curve(risk).table
    assert table["time"].tolist() == [0.0, 3.0, 6.0]
    assert table["n_event"].tolist() == [0, 18, 30]  # 15 and 30: classes 13..24 and 25..36
    assert table["n_censor"].tolist() == [0, 18, 30]
    assert table["n_risk"].tolist() == [102, 66, 42]  # 100, 70, 40
    exact = fs.survival.kaplan_meier(risk).at([3, 6])["survival"].round(3).tolist()
    assert table["survival"].tolist() == [1.0, *exact]


def test_at_least_the_threshold_is_censored_too():
    rows = [{"time": t, "status": 1, "n": 20} for t in range(1, 5)]
    rows.append({"time": 9, "status": 0, "n": 50})
    risk = RiskTable.from_table(pd.DataFrame(rows))
    assert curve(risk).table["time"].tolist() == [0.0]
    free = curve(risk, allow_no_censoring=True).table
    assert free["time"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert free["n_censor"].eq(0).all()


@settings(max_examples=10)
@given(n=st.integers(30, 400), seed=st.integers(0, 999), k=st.integers(2, 12))
def test_what_a_curve_never_shows(n, seed, k):
    risk = risk_table(n, seed)
    safe = control(CurveTable(fs.survival.kaplan_meier(risk), risk), threshold=k)
    course = courses_of(risk, safe.rules)["all"]
    steps = np.diff(course.cumulated, axis=0, prepend=0)
    assert (steps >= k).all()
    table = safe.table
    for name in ("n_risk", "n_event", "n_censor"):
        assert not table[name].between(1, k // 2).any()
    assert table["time"].max() < risk.table["time"].max()
    assert np.array_equal(table["survival"], table["survival"].round(3))
    assert audit(safe.outputs, threshold=k).passed


def test_ticks_repeat_the_last_release():
    risk = risk_table(400)
    table = curve(risk, ticks=[0.0, 365.0, 730.0, 99999.0]).table
    plain = curve(risk).table
    at_tick = table[table["time"] == 365.0].drop(columns="time").to_numpy()
    before = plain[plain["time"] <= 365.0].iloc[[-1]].drop(columns="time").to_numpy()
    assert np.array_equal(at_tick, before)
    assert table["time"].max() == plain["time"].max()


def test_groups_together_and_apart_are_audited_together():
    y = outcome(300)
    arm = np.arange(300) % 2
    risk = RiskTable.from_outcome(y, group=arm.astype(str))
    apart = fs.survival.kaplan_meier(risk).table
    whole = fs.survival.kaplan_meier(RiskTable.from_outcome(y)).table.assign(group="all")
    both = pd.concat([apart, whole], ignore_index=True)
    safe = control(CurveTable(both, risk, group="group", total="all"))
    moments = safe.table.groupby("group")["time"].agg(list)
    assert moments["0"] == moments["1"] == moments["all"]
    assert len(moments["all"]) > 3
    assert audit(safe.outputs).passed


def test_groups_together_and_apart_at_their_own_moments_would_leak():
    """Why the moments are common: the audit solves counts back from curves released one by one."""
    y, arm = outcome(160), np.arange(160) % 2
    parts = [("0", arm == 0), ("1", arm == 1), (None, arm < 2)]
    outputs, sums = [], []
    for label, rows in parts:
        risk = RiskTable.from_outcome(y.take(np.flatnonzero(rows)))
        group = {"group": label} if label else {}
        safe = curve(risk, population="p")
        where = tuple(group.items())
        rename = lambda c, w=where: c._replace(where=(*w, *c.where))  # noqa: E731
        o = safe.outputs
        outputs.append(
            LinearOutputs(
                tuple(r._replace(cell=rename(r.cell)) for r in o.released),
                tuple(Sum(rename(s.total), tuple(map(rename, s.parts))) for s in o.sums),
                {rename(c): n for c, n in o.truth.items()},
            )
        )
    assert all(audit(o).passed for o in outputs)
    cells = {c for o in outputs for c in o.truth}
    for cell in sorted(c for c in outputs[2].truth if c.where and c.where[0][0] == "#time"):
        apart = (cell._replace(where=(("group", g), *cell.where)) for g in "01")
        sums.append(Sum(cell, tuple(c for c in apart if c in cells)))
    assert not audit([*outputs, LinearOutputs((), tuple(sums))]).passed


def test_a_small_group_is_left_out():
    y = outcome(210)
    group = np.where(np.arange(210) < 10, "rare", "frequent")
    risk = RiskTable.from_outcome(y, group=group)
    km = fs.survival.kaplan_meier(risk)
    safe = control(CurveTable(km, risk, group="group"))
    assert set(safe.table["group"]) == {"frequent"}
    assert "withheld: fewer patients than the threshold" in safe.actions["action"].tolist()
    with pytest.raises(DisclosureError, match="as many patients as the threshold.*join groups"):
        curve(risk_table(10))


def test_weighted_curves_are_rounded_and_counted_in_patients():
    y = outcome(400)
    arm = np.arange(400) % 2
    curves = fs.compare.weighted_curves(
        y, arm, times=y.time, weights=np.linspace(0.5, 2, 400), weight_variance="fixed"
    )
    safe = control(CurveTable(curves, RiskTable.from_outcome(y, group=arm), group="arm"))
    assert safe.table.groupby("arm")["n_risk"].first().tolist() == [198, 198]


def test_several_causes_each_accumulate():
    rng = np.random.default_rng(5)
    y = fs.Outcome(rng.integers(1, 60, 600), rng.integers(0, 3, 600))
    risk = RiskTable.from_outcome(y)
    table = pd.DataFrame({"time": np.unique(y.time)})
    table["incidence"] = np.linspace(0, 0.5, len(table))
    safe = control(CurveTable(table, risk, estimates=["incidence"], start={"incidence": 0.0}))
    course = courses_of(risk, safe.rules)["all"]
    assert (np.diff(course.cumulated, axis=0, prepend=0) >= 11).all()
    assert {"n_event_1", "n_event_2"} <= set(safe.table)


# --- coarsened risk tables --------------------------------------------------------------------------


def test_a_coarsened_risk_table_serves_the_estimators():
    risk = risk_table(2000)
    safe = control(risk)
    coarse = safe.risk_table
    assert (coarse.table["n"] >= 11).all()
    assert coarse.table["n"].sum() == 2000
    exact, near = fs.survival.kaplan_meier(risk), fs.survival.kaplan_meier(coarse)
    times = np.unique(coarse.table["time"])[:-1]
    difference = near.at(times)["survival"].to_numpy() - exact.at(times)["survival"].to_numpy()
    assert np.abs(difference).max() < 0.02
    with pytest.raises(DisclosureError, match="weights of few"):
        control(RiskTable.from_outcome(outcome(50), weights=np.ones(50)))
    with pytest.raises(DisclosureError, match="as many events and censorings"):
        control(risk_table(12))


# --- solving back ------------------------------------------------------------------------------------


def attacked(seed: int, decimals: int | None) -> list[int]:
    """Number of explanations of every step of a delayed curve."""
    rules = find_profile("snds")
    coarse = control(risk_table(700, seed)).risk_table
    km = fs.survival.kaplan_meier(coarse).table
    km = km[(km["n_event"] > 0)].iloc[:-1]
    survival = km["survival"].to_numpy()
    at_risk = [rules.curve_interval(int(n)) for n in km["n_risk"]]
    total = np.cumsum(km["n_event"].to_numpy())
    known = [(0, 0), *(rules.curve_interval(int(n)) for n in total)]
    events = [(max(b[0] - a[1], 11), b[1] - a[0]) for a, b in itertools.pairwise(known)]
    half = 1e-12 if decimals is None else 0.5 * 10.0**-decimals
    shown = survival if decimals is None else np.round(survival, decimals)
    found = solve_counts(shown, at_risk, events, half_width=half)
    for pairs, n, d in zip(found, km["n_risk"], km["n_event"], strict=True):
        assert (int(n), int(d)) in pairs  # the truth is always among the explanations
    return [len(pairs) for pairs in found]


@pytest.mark.parametrize("seed", range(8))
def test_full_precision_gives_counts_back_and_three_decimals_do_not(seed):
    full, rounded = attacked(seed, None), attacked(seed, 3)
    assert len(full) >= 8
    assert sum(n == 1 for n in full) > 0.6 * len(full)
    assert min(rounded) > 1


# --- planted leaks --------------------------------------------------------------------------------


def test_planted_leak_in_a_margin():
    table = pd.DataFrame({"sex": ["F", "M", "all"], "n": [4, 30, 34]})
    safe = control(fs.cohort.CountTable(table, counts=["n"], by={"sex": "all"}))
    assert audit(safe.outputs).passed
    planted = Released(Cell("all", "n", (("sex", "M"),)), 30, 30)
    leaking = LinearOutputs(
        (*safe.outputs.released, planted), safe.outputs.sums, safe.outputs.truth
    )
    found = audit(leaking)
    assert not found.passed
    assert Cell("all", "n", (("sex", "F"),)) in found.leaks
    assert "4" not in found.table.to_string()
    with pytest.raises(DisclosureError, match="from 1 to 10 may be solved back.*join categories"):
        found.require()


def test_planted_leak_in_a_curve():
    safe = curve(risk_table(400))
    outputs = safe.outputs
    first = next(s for s in outputs.sums if len(s.parts) > 2 and s.total.where)
    count = outputs.truth[first.parts[1]]
    assert 1 <= count <= 10
    leaking = LinearOutputs(
        (*outputs.released, Released(first.parts[1], count, count)), outputs.sums, outputs.truth
    )
    assert first.parts[1] in audit(leaking).leaks


def test_planted_leak_of_at_risk_steps():
    """Exact numbers at risk at two neighbouring times show the few who left in between."""
    n, left = Cell("p", "n"), [Cell("p", "n", (("#after", t),)) for t in "12"]
    gone = [Cell("p", "gone", (("#until", t),)) for t in "12"]
    few = Cell("p", "gone", (("#time", "2"),))
    truth = {n: 100, left[0]: 80, gone[0]: 20, left[1]: 76, gone[1]: 24, few: 4}
    sums = (Sum(n, (left[0], gone[0])), Sum(n, (left[1], gone[1])), Sum(gone[1], (gone[0], few)))
    exact = LinearOutputs(tuple(Released(c, truth[c], truth[c]) for c in (n, *left)), sums, truth)
    assert audit(exact).leaks == (few,)
    rules = find_profile("snds")
    rounded = tuple(Released(c, *rules.curve_interval(truth[c])) for c in (n, *left))
    assert audit(LinearOutputs(rounded, sums, truth)).passed


def test_planted_leak_across_two_outputs():
    """Two tables that are safe alone: stage in everybody, and in the men."""
    control_of = lambda t, by: control(fs.cohort.CountTable(t, counts=["n"], by=by))  # noqa: E731
    everybody = control_of(pd.DataFrame({"stage": ["I", "II"], "n": [20, 40]}), ["stage"])
    men = pd.DataFrame({"stage": ["I", "II"], "sex": "M", "n": [19, 25]})
    both = [everybody.outputs, control_of(men, ["stage", "sex"]).outputs]
    assert all(audit(o).passed for o in both)
    assert [dict(c.where)["stage"] for c in audit(both).leaks] == ["I"]


def test_planted_leak_between_populations():
    one = pd.DataFrame({"stage": ["I"], "n": [50]})
    outer = control(fs.cohort.CountTable(one, counts=["n"], by=["stage"], population="national"))
    inner = control(
        fs.cohort.CountTable(
            one.assign(n=46), counts=["n"], by=["stage"], population="treated", within="national"
        )
    )
    both = [outer.outputs, inner.outputs]
    assert audit(both).passed
    assert not audit(both, within={"treated": "national"}).passed


# --- what is refused --------------------------------------------------------------------------------


def test_what_is_refused():
    y = outcome(60)
    risk = RiskTable.from_outcome(y, group=np.arange(60) % 2)
    km = fs.survival.kaplan_meier(risk)
    with pytest.raises(DataError, match="which is which.*pass group"):
        CurveTable(km, risk)
    with pytest.raises(DataError, match="those of the risk table"):
        CurveTable(km.table.assign(group="x"), risk, group="group")
    with pytest.raises(DataError, match="must be a risk table.*from_outcome"):
        CurveTable(km, km.table, group="group")
    late = fs.Outcome([3, 4], [1, 0], entry=[1, 0])
    with pytest.raises(DataError, match="delayed entry.*EstimateTable"):
        control(RiskTable.from_outcome(late))
    with pytest.raises(DataError, match="must exist.*missing=survival"):
        CurveTable(km.table.drop(columns="survival"), risk, group="group")


# --- estimates and summaries ------------------------------------------------------------------------


def test_estimates_are_rounded_and_withheld():
    table = pd.DataFrame({"term": ["a", "b"], "tau": [1826, 1826], "rmst": [1234.56, 987.6]})
    safe = control(fs.cohort.EstimateTable(table, basis=[10, 11], labels=["tau"])).table
    assert safe["tau"].tolist() == [1826, 1826]
    assert safe["rmst"].isna().tolist() == [True, False]
    assert safe["rmst"][1] == 988
    with pytest.raises(DataError, match="one number a row"):
        fs.cohort.EstimateTable(table, basis=[1, 2, 3])
    with pytest.raises(DataError, match="whole number of at least 0"):
        fs.cohort.EstimateTable(table, basis=-3)


def test_extremes_are_replaced():
    values = np.concatenate([np.arange(200), [10_000.0]])
    table = fs.cohort.describe_values(values).set_index("statistic")["value"]
    assert table["high"] < 200
    assert (values >= table["high"] - 1).sum() >= 11
    assert (values <= table["low"] + 1).sum() >= 11
    few = fs.cohort.describe_values(np.arange(25.0)).set_index("statistic")["value"]
    assert few[["lower_quartile", "upper_quartile"]].isna().all()
    with pytest.raises(DisclosureError, match="twice the threshold"):
        fs.cohort.describe_values(np.arange(21.0))
    assert fs.cohort.describe_values([1, 5], profile="none")["value"].max() == 5
