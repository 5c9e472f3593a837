"""Events in two sources: classes by hand, exact pairing, kappa, intervals, durations."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm, t
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

import fiac_survival as fs
from fiac_survival.compare.event_pairs import match_dates
from fiac_survival.compare.paired import intraclass_correlation
from fiac_survival.core.errors import DataError


def table(rows, dates=False):
    frame = pd.DataFrame(rows, columns=["person_id", "date"])
    if dates:
        frame["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["date"], unit="D")
    return frame


A = [("p", 10), ("p", 100), ("q", 50), ("r", None), ("s", 5), ("u", None), ("only a", 3)]
B = [("p", 97), ("p", 400), ("p", 20), ("q", 90), ("r", 7), ("s", None), ("u", None), ("only b", 1)]


@pytest.mark.parametrize("dates", [False, True])
def test_classes_by_hand(dates):
    found = fs.compare.ascertainment(table(A, dates), table(B, dates))
    assert dict(zip(found.counts["class"], found.counts["events"], strict=True)) == {
        "matched": 2,  # p: 10 with 20, 100 with 97
        "shifted": 1,  # q: 50 with 90
        "missed": 1,  # s
        "extra": 2,  # p: 400, r
    }
    assert sorted(found.events["days"].dropna()) == [-3, 10, 40]
    assert (found.n_linked, found.only_private, found.only_public) == (5, 1, 1)
    assert found.sensitivity == 2 / 4
    assert found.predictive_value == 2 / 5
    values = found.table.set_index("measure")["estimate"]
    assert values["sensitivity_any_date"] == 3 / 4
    assert values["predictive_value_any_date"] == 3 / 5
    assert found.patients["patients"].tolist() == [2, 1, 1, 1]
    assert found.kappa == pytest.approx((0.6 - 0.52) / 0.48)
    assert found.dates.bias == pytest.approx(47 / 3)
    days = found.days.set_index("statistic")["value"]
    assert days["pairs"] == 3
    assert days["quantile 0.5"] == 10
    assert days["share within 30 days"] == pytest.approx(2 / 3)
    if dates:
        row = found.events[found.events["class"] == "shifted"].iloc[0]
        assert row["public_date"] == pd.Timestamp("2020-03-31")


def test_persons_windows_and_other_tables():
    events = [table([r for r in rows if r[1] is not None]) for rows in (A, B)]
    linked = ["p", "q", "r", "s", "u"]
    found = fs.compare.ascertainment(*events, persons=linked)
    assert found.table.equals(fs.compare.ascertainment(table(A), table(B)).table)
    polars = [pl.DataFrame({"id": e["person_id"], "day": e["date"]}) for e in events]
    again = fs.compare.ascertainment(*polars, on="id", date="day", persons=linked)
    assert again.table.equals(found.table)
    wide = fs.compare.ascertainment(table(A), table(B), window_days=40)
    assert wide.counts["events"].tolist() == [3, 0, 1, 2]
    strict = fs.compare.ascertainment(table(A), table(B), max_days=30)
    assert strict.counts["events"].tolist() == [2, 0, 2, 3]


def test_swapping_the_sources():
    there, back = (
        fs.compare.ascertainment(x, y) for x, y in [(table(A), table(B)), (table(B), table(A))]
    )
    assert there.kappa == pytest.approx(back.kappa)
    assert there.sensitivity == back.predictive_value
    assert sorted(there.events["days"].dropna()) == sorted(-back.events["days"].dropna())


def brute_force(a, b, limit):
    """Try all one-to-one pairings."""
    best = (0, 0.0)
    for k in range(1, min(len(a), len(b)) + 1):
        for chosen in combinations(a, k):
            for partners in permutations(b, k):
                gaps = [abs(x - y) for x, y in zip(chosen, partners, strict=True)]
                if limit is None or max(gaps) <= limit:
                    best = min(best, (-k, sum(gaps)))
    return best


days = st.lists(st.integers(0, 60).map(float), max_size=4).map(sorted)


@given(days, days, st.sampled_from([None, 0.0, 5.0, 20.0]))
def test_pairing_is_optimal(a, b, limit):
    pairs = match_dates(np.array(a), np.array(b), limit)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    total = sum(abs(a[i] - b[j]) for i, j in pairs)
    assert (-len(pairs), total) == pytest.approx(brute_force(a, b, limit))


def test_greedy_pairing_would_be_worse():
    """The nearest pair first (20 with 19) leaves 0 with 40; together 41, not 39."""
    pairs = match_dates(np.array([0.0, 20.0]), np.array([19.0, 40.0]))
    assert pairs == [(0, 0), (1, 1)]


def many(seed, n=400):
    rng = np.random.default_rng(seed)
    a = np.where(rng.random(n) < 0.4, rng.integers(0, 700, n).astype(float), np.nan)
    b = np.where(rng.random(n) < 0.85, a + rng.normal(0, 25, n).round(), np.nan)
    b = np.where(rng.random(n) < 0.1, 300.0, b)
    return [table(list(enumerate(x))) for x in (a, b)]


@pytest.mark.parametrize("seed", range(3))
def test_kappa_and_wilson_by_another_library(seed):
    found = fs.compare.ascertainment(*many(seed))
    cells = found.patients["patients"].to_numpy().reshape(2, 2)
    other = cohens_kappa(cells)
    row = found.table.set_index("measure").loc["kappa"]
    assert row["estimate"] == pytest.approx(other.kappa)
    half = norm.ppf(0.975) * np.sqrt(other.var_kappa)
    assert row["upper"] - row["estimate"] == pytest.approx(half)
    for measure, column in (("sensitivity", "missed"), ("predictive_value", "extra")):
        counts = found.counts.set_index("class")["events"]
        size = counts[["matched", "shifted", column]].sum()
        low, high = proportion_confint(counts["matched"], size, method="wilson")
        row = found.table.set_index("measure").loc[measure]
        assert (row["lower"], row["upper"]) == pytest.approx((low, high))
        assert row["n"] == size


def test_several_events_of_a_patient_widen_the_interval():
    once = many(1)
    twice = [pd.concat([x, x.assign(date=x["date"] + 2000)], ignore_index=True) for x in once]
    a, b = (fs.compare.ascertainment(*x).table.set_index("measure") for x in (once, twice))
    for measure in ("sensitivity", "predictive_value"):
        assert a.loc[measure, "estimate"] == b.loc[measure, "estimate"]
        assert a.loc[measure, "lower"] == pytest.approx(b.loc[measure, "lower"])


def test_sources_that_agree_on_everybody():
    found = fs.compare.ascertainment(table([(1, 5), (2, 9)]), table([(1, 5), (2, 9)]))
    assert np.isnan(found.kappa)
    assert found.sensitivity == 1.0
    assert found.dates is None
    nobody = fs.compare.ascertainment(table([(1, None)]), table([(1, None)]))
    assert np.isnan(nobody.sensitivity)


# --- durations ------------------------------------------------------------------------------------


def test_shrout_and_fleiss():
    """Their table of six targets and four judges: ICC(2,1) = 0.29 (0.02 to 0.76)."""
    x = np.array(
        [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float
    )
    found = intraclass_correlation(x)
    assert found == pytest.approx((0.2898, 0.0188, 0.7611), abs=5e-5)


def test_bland_and_altman():
    rng = np.random.default_rng(0)
    a = rng.normal(300, 80, 50)
    b = a - 20 + rng.normal(0, 15, 50)
    b[3] = np.nan
    found = fs.compare.paired_agreement(a, b)
    d = np.delete(b - a, 3)
    s = d.std(ddof=1)
    assert found.n == 49
    assert found.limits == pytest.approx((d.mean() - 1.959964 * s, d.mean() + 1.959964 * s))
    row = found.table.set_index("quantity").loc["upper limit"]
    error = s * np.sqrt(1 / 49 + 1.959964**2 / 96)
    assert row["upper"] == pytest.approx(found.limits[1] + t.ppf(0.975, 48) * error)
    shifted = fs.compare.paired_agreement(a, b + 20)
    assert shifted.icc > found.icc
    assert shifted.std_dev == pytest.approx(found.std_dev)


def test_intraclass_interval_covers():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(400):
        x = rng.normal(0, 2, (40, 1)) + rng.normal(0, 1, (40, 2))
        _, lower, upper = intraclass_correlation(x)
        hits += lower <= 0.8 <= upper
    assert hits / 400 == pytest.approx(0.95, abs=0.03)


def test_durations_of_linked_patients():
    a, b = (table(rows).assign(months=3.0) for rows in (A, B))
    a["months"] = a["person_id"].map({"p": 11.0, "q": 9.0, "r": 4.0, "s": 6.0, "u": np.nan})
    b["months"] = b["person_id"].map({"p": 10.0, "q": 9.0, "r": 3.0, "s": 5.0, "u": 2.0})
    found = fs.compare.ascertainment(a, b, duration="months").durations
    assert (found.n, found.bias) == (4, -0.75)
    assert fs.compare.paired_agreement([1, 2, 3], [1, 2, 3]).icc == 1.0
    a.loc[0, "months"] = 12.0
    with pytest.raises(DataError, match="one duration.*source=private, column=months"):
        fs.compare.ascertainment(a, b, duration="months")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda f: f(table(A).drop(columns="date"), table(B)),
            "private source must have.*missing=date",
        ),
        (lambda f: f(table(A), table(B, dates=True)), "both sources must have dates, or both days"),
        (lambda f: f(table(A), table([("z", 1)])), "at least one person must be linked"),
        (lambda f: f(table([(None, 3)]), table(B)), "person_id must not be missing.*row 0"),
        (lambda f: f(table([("p", "soon")]), table(B)), "date of the private source must be dates"),
        (lambda f: f(table(A), table(B), window_days=-1), "window_days must not be negative"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call(fs.compare.ascertainment)


def test_bad_pairs():
    with pytest.raises(DataError, match="at least 3 complete pairs.*pairs=1"):
        fs.compare.paired_agreement([1, 2, np.nan], [1, np.nan, 3])
