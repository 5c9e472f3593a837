"""Parts of the linkage against naive twins: spellings, passes, counted rules, assignment."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.cohort.linkage_assignment import LARGEST, assign
from fiac_survival.cohort.linkage_blocking import choose_rules
from fiac_survival.cohort.linkage_comparisons import comparisons, engine_frame
from fiac_survival.cohort.linkage_keys import read_keys
from fiac_survival.cohort.linkage_model import _posterior
from fiac_survival.cohort.linkage_passes import expected_by_chance
from fiac_survival.core.errors import DataError
from tests.cohort.linkage_pairs import ALL, PUBLISHED, sources

# --- spellings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "given_", "read"),
    [
        ("department", [1, "01", "001", "1"], ["01"] * 4),
        (
            "department",
            ["2a", "02A", "2B ", "971", 974, 75.0],
            ["2A", "2A", "2B", "971", "974", "75"],
        ),
        ("department", ["Côte-d'Or", ""], ["cote d or", None]),
        ("centre", [10780054, "010780054", "01 078 0054"], ["010780054"] * 3),
        ("centre", ["2a0000014", "CHU  Saint-Étienne"], ["2A0000014", "chu saint etienne"]),
        ("sex", ["F", "Femme", 2, "féminin"], ["female"] * 4),
        ("sex", ["M", "H", 1, "Homme"], ["male"] * 4),
        ("sex", ["unknown", 9, None, ""], [None] * 4),
        ("drug", ["Durvalumab ", "DURVALUMAB", "durvalumab\u00a0"], ["durvalumab"] * 3),
        ("ward", ["A_1", "a-1"], ["a 1"] * 2),
    ],
)
def test_spellings(name, given_, read):
    assert fs.cohort.standardise_key(given_, name).tolist() == read


def test_numbers_and_dates():
    years = fs.cohort.standardise_key(["1950", 1950.0, None, " "], "birth_year")
    assert years.dtype == "Int64"
    assert years.tolist()[:2] == [1950, 1950]
    assert years.isna().tolist() == [False, False, True, True]
    iso = fs.cohort.standardise_key(["2018-03-05", None, "2018-03-05 00:00:00"], "death")
    french = fs.cohort.standardise_key(["05/03/2018", "25/12/2018"], "death")
    assert iso[0] == iso[2] == french[0] == pd.Timestamp("2018-03-05")
    assert iso.isna().tolist() == [False, True, False]
    one = fs.cohort.standardise_key(["05/03/2018"] * 2, "death")
    assert one[0] == pd.Timestamp("2018-03-05")
    with pytest.raises(DataError, match="must be readable") as caught:
        fs.cohort.standardise_key(["f", "z", "z"], "sex")
    assert (caught.value.row, caught.value.count) == (1, 2)


def test_swapped_dates_are_what_a_calendar_says():
    private, public, _ = sources(0, 80, 80)
    keys = read_keys(private, public, ["first_treatment"])
    frame = engine_frame(keys, 0)
    for day, number, swapped in zip(
        keys.frames[0]["first_treatment"],
        frame["key_0"],
        frame["key_0_swapped"],
        strict=True,
    ):
        assert number == (day - pd.Timestamp("1970-01-01")).days
        if day.day <= 12 and day.day != day.month:
            other = pd.Timestamp(day.year, day.day, day.month)
            assert swapped == (other - pd.Timestamp("1970-01-01")).days
        else:
            assert pd.isna(swapped)


# --- groups, passes, rules ------------------------------------------------------------------------


def agree(x, y, subset, within):
    for name in subset:
        if pd.isna(x[name]) or pd.isna(y[name]):
            return False
        reach = pd.Timedelta(within.get(name, 0), "D")
        if x[name] != y[name] and not (name in within and abs(x[name] - y[name]) <= reach):
            return False
    return True


def naive_passes(private, public, passes, within, among):
    linked, free = [], (set(private["person"]), set(public["person"]))
    for number, subset in enumerate(passes, start=1):
        rows = [f.to_dict("records") for f in (private, public)]
        if among == "remaining":
            rows = [[r for r in side if r["person"] in free[k]] for k, side in enumerate(rows)]
        pairs = [
            (x["person"], y["person"])
            for x, y in itertools.product(*rows)
            if agree(x, y, subset, within)
        ]
        a, b = [p[0] for p in pairs], [p[1] for p in pairs]
        for x, y in pairs:
            if a.count(x) == 1 == b.count(y) and x in free[0] and y in free[1]:
                linked.append((x, y, number))
                free[0].discard(x)
                free[1].discard(y)
    return sorted(linked)


@pytest.mark.parametrize("among", ["all", "remaining"])
@pytest.mark.parametrize("days", [0, 7])
@pytest.mark.parametrize("seed", range(3))
def test_passes_against_a_naive_twin(among, days, seed):
    private, public, _ = sources(seed, 40, 60, centres=4)
    private.loc[private.index[:3], "first_treatment"] = pd.NaT
    passes = [("sex", "birth_year", "first_treatment"), ("centre", "birth_month"), ("department",)]
    within = {"first_treatment": days}
    found = fs.cohort.link(
        private,
        public,
        passes=passes,
        within=within,
        unique_among=among,
        method="deterministic",
    )
    private["sex"] = private["sex"].replace("unknown", None)
    public["sex"] = public["sex"].replace("unknown", None)
    expected = naive_passes(private, public, passes, within, among)
    rows = found.pairs[["private", "public", "pass"]].itertuples(index=False)
    assert sorted(map(tuple, rows)) == expected
    assert expected


def test_counted_pairs_are_those_that_a_join_makes():
    private, public, _ = sources(2, 60, 90, centres=5)
    keys = read_keys(private, public, ALL)
    for subset in (("sex",), ("centre", "department"), ("birth_year", "death"), PUBLISHED):
        joined = keys.frames[0].dropna(subset=list(subset)).merge(keys.frames[1], on=list(subset))
        assert keys.pairs(subset) == len(joined)
    assert keys.pairs(()) == 60 * 90
    observed, expected = expected_by_chance(keys, PUBLISHED)
    assert observed > 20 > expected


@pytest.mark.parametrize("max_pairs", [5_000, 20_000, 10**9])
def test_rules_keep_within_the_budget_and_let_errors_through(max_pairs):
    private, public, truth = sources(1, 400, 600)
    keys = read_keys(private, public, ALL)
    compared = {c.name: c.keys for c in comparisons(keys)}
    rules = choose_rules(keys, compared, max_pairs=max_pairs)
    table = rules.table[rules.table["purpose"] == "candidates"]
    assert table["pairs"].sum() <= max_pairs
    for text, pairs in zip(table["rule"], table["pairs"], strict=True):
        assert pairs == keys.pairs(() if text == "all pairs" else text.split(" + "))
    if max_pairs == 10**9:
        assert rules.candidates == [()]
        return
    for one, other in itertools.permutations(rules.candidates, 2):
        assert not set(one) <= set(other)
    # Every single key may differ, and nearly every true pair is a candidate.
    assert all(any(k not in rule for rule in rules.candidates) for k in ALL)
    sides = [f.set_index("person") for f in keys.frames]
    true = [sides[k].loc[truth[s]].reset_index() for k, s in enumerate(("private", "public"))]
    met = np.zeros(len(truth), dtype=bool)
    for rule in rules.candidates:
        equal = [(true[0][k] == true[1][k]) & true[0][k].notna() for k in rule]
        met |= np.logical_and.reduce([e.fillna(False).to_numpy(dtype=bool) for e in equal])
    assert met.mean() > 0.97


def test_links_by_rules_are_those_of_all_pairs():
    private, public, truth = sources(6, 200, 300)
    everything = fs.cohort.link(private, public, method="probabilistic")
    by_rules = fs.cohort.link(private, public, method="probabilistic", max_pairs=4_000)
    assert (by_rules.blocking["rule"] != "all pairs").any()
    both = everything.pairs.merge(by_rules.pairs, on=["private", "public"])
    assert len(both) >= 0.95 * len(everything.pairs)
    assert len(both) == len(by_rules.pairs)
    assert len(truth) >= len(both)


# --- assignment ----------------------------------------------------------------------------------


def best(weights, forbidden=None):
    """The largest sum of a matching, by trying all."""
    pairs = [p for p in weights if p != forbidden]
    top = (0.0, frozenset())
    for size in range(1, len(pairs) + 1):
        for chosen in itertools.combinations(pairs, size):
            if len({i for i, _ in chosen}) == size == len({j for _, j in chosen}):
                total = sum(weights[p] for p in chosen)
                if total > top[0]:
                    top = (total, frozenset(chosen))
    return top


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 4), st.integers(0, 4)),
        st.integers(-8, 60).map(lambda k: k / 4),
        min_size=1,
        max_size=9,
    )
)
def test_assignment_is_exact_with_exact_regrets(weights):
    pairs = list(weights)
    i, j = (np.array([p[k] for p in pairs], dtype=np.int64) for k in (0, 1))
    bits = np.array([weights[p] for p in pairs])
    found = assign(i, j, bits, least=2.0)
    total, chosen = best({p: w for p, w in weights.items() if w > 0})
    sure = {}
    for pair in chosen:
        without, _ = best({p: w for p, w in weights.items() if w > 0}, forbidden=pair)
        sure[pair] = total - without
    for k, pair in enumerate(pairs):
        # Where the optimum is not unique, a pair of one optimum has no regret in any.
        np.testing.assert_allclose(found.regret[k], sure.get(pair, 0.0), atol=1e-9)
        assert found.linked[k] == (sure.get(pair, 0.0) >= 2.0)
    order = np.random.default_rng(0).permutation(len(pairs))
    again = assign(i[order], j[order], bits[order], least=2.0)
    np.testing.assert_array_equal(again.regret, found.regret[order])


def test_a_crowd_is_not_resolved():
    n = LARGEST + 1
    i = np.append(np.zeros(n, dtype=np.int64), 1)
    j = np.append(np.arange(n), n + 5)
    found = assign(i, j, np.append(np.linspace(1, 9, n), 4.0), least=1.0)
    assert found.crowded.sum() == n
    assert found.linked.tolist() == [False] * n + [True]


def test_posterior_is_bayes():
    private = np.array([0, 0, 1])
    bits = np.array([10.0, 9.0, 3.0])
    p, odds, share = _posterior(private, bits, (3, 100))
    ratio = share * 2.0**bits / 100
    total = 1.0 - share + np.array([ratio[:2].sum()] * 2 + [ratio[2]])
    np.testing.assert_allclose(p, ratio / total, rtol=1e-9)
    np.testing.assert_allclose(share, (0.5 + p.sum()) / 4, rtol=1e-9)
    np.testing.assert_allclose(2.0**odds, ratio / (1 - share), rtol=1e-9)


def test_large_files_may_train_on_more_pairs():
    """A rule of four million pairs is too many for small files and few for large ones."""
    rules = {("a",): 4_000_000, ("b",): 4_000_000, ("a", "b"): 10, ("a", "c"): 10, ("b", "c"): 10}

    def keys(n: int) -> Any:
        return SimpleNamespace(
            names=("a", "b", "c"), n=(n, n), pairs=lambda rule: rules.get(rule, 10**9)
        )

    compared = {name: [name] for name in "abc"}
    with pytest.raises(DataError, match="keys that are compared while others select the pairs"):
        choose_rules(keys(100_000), compared, max_pairs=5_000_000)
    found = choose_rules(keys(1_000_000), compared, max_pairs=5_000_000)
    assert found.training == [("b",), ("a",)]
