"""The ladder of integration rules, and the decomposition of the gap between two sources."""

from __future__ import annotations

from itertools import chain, combinations, permutations
from math import factorial

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError

NAN = float("nan")
# Patient by patient: both agree nearly; both, far apart; private only; public only; neither;
# public after the cut-off.
DATA = pd.DataFrame(
    {
        "private_event": [10, 40, 20, NAN, NAN, NAN],
        "public_event": [12, 90, NAN, 30, NAN, 110],
        "private_last": [10, 40, 20, 50, 60, 70],
        "public_last": [12, 90, 80, 30, 99, 110],
        "cutoff": [100, 100, 100, 100, 100, 100],
    }
)
BY_HAND = {
    "private": ([10, 40, 20, 50, 60, 70], [1, 1, 1, 0, 0, 0]),
    "public": ([12, 90, 80, 30, 99, 100], [1, 1, 0, 1, 0, 0]),
    "earliest": ([10, 40, 20, 30, 99, 100], [1, 1, 1, 1, 0, 0]),
    "latest": ([12, 90, 20, 30, 99, 100], [1, 1, 1, 1, 0, 0]),
    "union": ([10, 40, 20, 30, 99, 100], [1, 1, 1, 1, 0, 0]),
    "confirmed": ([10, 40, 20, 30, 60, 70], [1, 0, 0, 0, 0, 0]),
}


@pytest.mark.parametrize("rule", BY_HAND)
def test_rules_by_hand(rule):
    time, event = BY_HAND[rule]
    found = fs.compare.integrate(DATA, rule=rule)
    assert found.time.tolist() == time
    assert found.event.tolist() == event
    cut = fs.compare.integrate(DATA, rule=rule, censoring="cutoff")
    assert cut.event.tolist() == event
    assert cut.time.tolist() == np.where(np.array(event) == 1, time, 100).tolist()
    assert fs.compare.integrate(pl.from_pandas(DATA), rule=rule).time.tolist() == time


def test_union_takes_the_private_date():
    data = DATA.assign(
        private_event=[15, 40, 20, NAN, NAN, NAN], private_last=[15, 40, 20, 50, 60, 70]
    )
    first = [fs.compare.integrate(data, rule=r).time[0] for r in ("union", "earliest", "latest")]
    assert first == [15, 12, 15]
    near = fs.compare.integrate(data, rule="confirmed", window=2.0)
    assert near.event[0] == 0


def simulated(seed, n=300):
    """Last activity is before the cut-off; each source misses some events and shifts others."""
    rng = np.random.default_rng(seed)
    true, cutoff = rng.exponential(30, n).round(1) + 0.1, np.full(n, 48.0)
    seen = [np.where((true <= 48) & (rng.random(n) < p), true, NAN) for p in (0.9, 0.95)]
    seen[1] = np.minimum(seen[1] + rng.exponential(0.5, n), 48.0)
    last = [np.where(np.isnan(s), rng.uniform(20, 48, n), s) for s in seen]
    last[0][:5] = last[1][:5] = 48.0
    seen[0][:5] = seen[1][:5] = NAN
    names = ["private_event", "public_event", "private_last", "public_last", "cutoff"]
    return pd.DataFrame(dict(zip(names, [*seen, *last, cutoff], strict=True)))


def test_ladder():
    data = simulated(0)
    found = fs.compare.ladder(data, tau=36.0)
    assert len(found.table) == 12
    assert found.reference == ("private", "last_activity")
    first = found.table.iloc[0]
    assert first["difference"] == first["difference_std_error"] == 0.0
    rows = found.table.set_index(["rule", "censoring"])
    for rung, y in found.outcomes.items():
        one = fs.survival.rmst(y, tau=36.0).table.iloc[0]
        assert rows.loc[rung, "estimate"] == pytest.approx(one["rmst"])
        assert rows.loc[rung, "n_event"] == y.event.sum()
    # Assuming everybody unseen to be well to the cut-off raises survival.
    for rule in BY_HAND:
        assert (
            rows.loc[(rule, "cutoff"), "estimate"] > rows.loc[(rule, "last_activity"), "estimate"]
        )
    assert rows.loc[("latest", "cutoff"), "estimate"] > rows.loc[("earliest", "cutoff"), "estimate"]
    gap = found.influence["public, cutoff"] - found.influence["private, last_activity"]
    error = rows.loc[("public", "cutoff"), "difference_std_error"]
    assert error == pytest.approx(np.sqrt((gap**2).sum()))


def product_limit(event, last, t):
    """Survival at t, from the definition."""
    time = np.where(np.isnan(event), last, event)
    moments = np.unique(event[event <= t])
    n = (time[:, None] >= moments).sum(axis=0)
    d = (event.to_numpy()[:, None] == moments).sum(axis=0)
    return np.prod(1 - d / n)


def test_differences_of_rungs_have_their_bootstrap_error():
    data = simulated(1)
    sources = ["private", "public"]
    options = {"measure": "milestone", "tau": 24.0, "rules": sources}
    found = fs.compare.ladder(data, censoring=["last_activity"], **options).table.iloc[1]
    rng = np.random.default_rng(0)
    gaps = []
    for _ in range(300):
        again = data.iloc[rng.integers(0, len(data), len(data))]
        a, b = (product_limit(again[f"{s}_event"], again[f"{s}_last"], 24.0) for s in sources)
        gaps.append(b - a)
    assert found["difference_std_error"] == pytest.approx(np.std(gaps), rel=0.12)


def test_ladder_of_a_treatment_effect_and_of_your_own_estimate():
    data = simulated(2)
    treated = np.arange(len(data)) % 2
    found = fs.compare.ladder(
        data, measure="hazard_ratio", treated=treated, rules=["private", "union"]
    )
    y = fs.compare.integrate(data, rule="union")
    e = fs.compare.effect(y, treated, measure="hazard_ratio")
    row = found.table[
        (found.table["rule"] == "union") & (found.table["censoring"] == "last_activity")
    ]
    assert row["estimate"].item() == pytest.approx(e.estimate)
    assert row["upper"].item() == pytest.approx(e.upper)

    def rate(y):
        events, time = y.event.sum(), y.time.sum()
        return events / time, (y.event - events / time * y.time) / time

    own = fs.compare.ladder(data, estimate=rate, reference=("union", "cutoff")).table
    assert own["estimate"].to_numpy() == pytest.approx(own["n_event"] / own["person_time"])
    zero = own[(own["rule"] == "union") & (own["censoring"] == "cutoff")]
    assert zero["difference"].item() == 0.0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: fs.compare.integrate(DATA.drop(columns="public_last"), rule="union"),
            "missing=public_last",
        ),
        (lambda: fs.compare.integrate(DATA, rule="both"), "rule must be one of"),
        (
            lambda: fs.compare.integrate(
                DATA.drop(columns="cutoff"), rule="union", censoring="cutoff"
            ),
            "missing=cutoff",
        ),
        (
            lambda: fs.compare.integrate(DATA.assign(private_last=39), rule="union"),
            "private_event must not come after private_last.*row 1, event=40, last=39",
        ),
        (
            lambda: fs.compare.integrate(DATA.assign(public_event=-1.0), rule="union"),
            "public_event must be a time.*row 0, public_event=-1",
        ),
        (
            lambda: fs.compare.integrate(DATA.assign(cutoff=NAN), rule="union"),
            "cutoff must be a time.*not missing",
        ),
        (lambda: fs.compare.ladder(DATA), "rmst or milestone at tau.*pass tau"),
        (lambda: fs.compare.ladder(DATA, measure="hazard_ratio"), "or treated="),
        (
            lambda: fs.compare.ladder(
                DATA, tau=10.0, rules=["union"], reference=("private", "cutoff")
            ),
            "reference must be one of the rungs",
        ),
        (lambda: fs.compare.ladder(DATA, tau=90.0), "tau must not exceed"),
    ],
)
def test_bad_ladder(call, says):
    with pytest.raises(DataError, match=says):
        call()


# --- decomposition --------------------------------------------------------------------------------

STEPS = ["endpoint", "ascertainment", "censoring", "adjustment"]


def subsets(steps):
    return chain.from_iterable(combinations(steps, k) for k in range(len(steps) + 1))


def by_orders(value, steps, precedence=()):
    """Walk every feasible order."""
    effects = {name: [] for name in steps}
    for order in permutations(steps):
        if any(order.index(a) > order.index(b) for a, b in precedence):
            continue
        for k, name in enumerate(order):
            change = value[frozenset(order[: k + 1])] - value[frozenset(order[:k])]
            effects[name].append(change)
    return effects


numbers = st.lists(st.floats(-1000, 1000), min_size=18, max_size=18)
orders = st.sampled_from(
    [
        [],
        [("endpoint", "ascertainment")],
        [("endpoint", "censoring"), ("ascertainment", "censoring")],
        [
            ("endpoint", "ascertainment"),
            ("ascertainment", "censoring"),
            ("censoring", "adjustment"),
        ],
    ]
)


@given(numbers, orders)
def test_against_walking_every_order(drawn, precedence):
    value = {frozenset(s): drawn[i] for i, s in enumerate(subsets(STEPS))}
    found = fs.compare.decompose(
        value, STEPS, precedence=precedence, private=drawn[16], public=drawn[17]
    )
    effects = by_orders(value, STEPS, precedence)
    assert found.n_orders == len(effects["endpoint"])
    inner = found.table[found.table["place"] == "inner"].set_index("step")
    for name in STEPS:
        assert inner.loc[name, "contribution"] == pytest.approx(np.mean(effects[name]), abs=1e-9)
        assert inner.loc[name, "smallest"] == min(effects[name])
        assert inner.loc[name, "largest"] == max(effects[name])
    scale = max(map(abs, drawn)) + 1
    assert abs(found.table["contribution"].sum() - found.gap) <= 1e-12 * scale
    assert found.gap == drawn[17] - drawn[16]


@given(numbers, st.permutations(STEPS))
def test_the_order_of_names_does_not_matter(drawn, shuffled):
    value = {frozenset(s): drawn[i] for i, s in enumerate(subsets(STEPS))}
    a = fs.compare.decompose(value, STEPS).table.set_index("step")["contribution"]
    b = fs.compare.decompose(value, shuffled).table.set_index("step")["contribution"]
    assert (a == b[a.index]).all()


def test_exchangeable_and_additive_steps():
    exchangeable = fs.compare.decompose(lambda s: float(len(s) ** 2), STEPS).table
    assert exchangeable["contribution"].tolist() == [4.0] * 4
    size = dict(zip(STEPS, [1.5, -2.0, 0.25, 0.0], strict=True))
    additive = fs.compare.decompose(lambda s: sum(size[n] for n in s), STEPS).table
    assert additive["contribution"].tolist() == list(size.values())
    assert (additive["smallest"] == additive["largest"]).all()
    assert additive["std_error"].isna().all()


def test_a_table_of_runs():
    value = {frozenset(s): float(i**2) for i, s in enumerate(subsets(STEPS))}
    expected = fs.compare.decompose(value, STEPS)
    again = fs.compare.decompose(expected.runs, STEPS)
    assert again.table.equals(expected.table)
    assert len(expected.runs) == 16
    assert expected.n_orders == factorial(4)
    bound = fs.compare.decompose(expected.runs, STEPS, precedence=[("endpoint", "censoring")])
    assert len(bound.runs) == 12


def test_standard_errors_from_joint_influences():
    """Means of a column, patients partly shared: each contribution is a mean of a combination."""
    rng = np.random.default_rng(0)
    person = np.arange(200)
    linked = person[50:150]
    x = {frozenset(s): rng.normal(size=100) for s in subsets(["a", "b"])}

    def mean(values, who):
        return float(values.mean()), pd.Series((values - values.mean()) / values.size, index=who)

    everyone = rng.normal(size=150)
    found = fs.compare.decompose(
        lambda s: mean(x[s], linked), ["a", "b"], private=mean(everyone, person[:150])
    ).table.set_index("step")
    nothing, a, b, both = (x[frozenset(s)] for s in ((), ("a",), ("b",), ("a", "b")))
    combined = (a - nothing + both - b) / 2
    assert found.loc["a", "contribution"] == pytest.approx(combined.mean())
    assert found.loc["a", "std_error"] == pytest.approx(combined.std() / 10)
    parts = np.zeros(200)
    parts[50:150] += (nothing - nothing.mean()) / 100
    parts[:150] -= (everyone - everyone.mean()) / 150
    outer = found.loc["private: all to linked patients"]
    assert outer["std_error"] == pytest.approx(np.sqrt((parts**2).sum()))
    assert outer["place"] == "outer"


def test_the_ladder_feeds_the_decomposition():
    """Ascertainment and censoring of the same patients: contributions add to the gap of two rungs."""
    data = simulated(3)
    found = fs.compare.ladder(data, tau=36.0, rules=["private", "public"])
    rows = found.table.set_index(["rule", "censoring"])["estimate"]

    def run(chosen):
        rule = "public" if "ascertainment" in chosen else "private"
        end = "cutoff" if "censoring" in chosen else "last_activity"
        return rows[rule, end], found.influence[f"{rule}, {end}"]

    gap = fs.compare.decompose(run, ["ascertainment", "censoring"])
    row = found.table.iloc[-1]
    assert gap.table["contribution"].sum() == pytest.approx(row["difference"], abs=1e-12)
    assert (gap.table["std_error"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "options", "says"),
    [
        (({(): 1.0}, ["a"]), {}, "one finite estimate.*public way=a, estimate=None"),
        (({(): 1.0, "a": NAN}, ["a"]), {}, "one finite estimate.*estimate=nan"),
        (({(): 1.0, "a": 2.0}, ["a", "a"]), {}, "different names.*twice=a"),
        (({}, []), {}, "steps=0"),
        (({(): 1.0, "a": 2.0}, ["a"]), {"precedence": [("a", "b")]}, "pairs of steps"),
        ((len, ["a", "b"]), {"precedence": [("a", "b"), ("b", "a")]}, "must not be circular"),
        ((pd.DataFrame({"a": [True]}), ["a"]), {}, "missing=estimate"),
        (
            (lambda s: (1.0, pd.Series([1.0])), ["a"]),
            {"private": 1.0},
            "with influences, or none.*with=2, without=1",
        ),
        ((lambda s: (1.0, np.ones(3)), ["a"]), {}, "must be a Series"),
    ],
)
def test_bad_decomposition(arguments, options, says):
    with pytest.raises(DataError, match=says):
        fs.compare.decompose(*arguments, **options)
