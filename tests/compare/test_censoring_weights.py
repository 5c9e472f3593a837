"""Censoring weights: what they reduce to, how rows may be cut, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds
from fiac_survival.core.errors import DataError

AT = [1.0, 2.0, 4.0, 6.0]


def patients(n: int = 300, *, ties: bool = True, late: bool = False):
    rng = seeds.stream(3, "censoring weights")
    x = pd.DataFrame({"x": rng.normal(size=n), "z": rng.integers(0, 2, n)})
    time = rng.exponential(4 * np.exp(-0.8 * x["x"]))
    end = np.minimum(rng.exponential(4 * np.exp(-0.8 * x["x"])), 12.0)
    if ties:
        time, end = np.ceil(2 * time) / 2, np.ceil(2 * end) / 2
    y = fs.Outcome(np.minimum(time, end), time <= end)
    entry = np.where(rng.random(n) < 0.3, 0.4 * y.time, 0.0)
    return (fs.Outcome(y.time, y.event, entry=entry) if late else y), x


def curve(w, at=AT, **options):
    return fs.survival.kaplan_meier(w.outcome, weights=w.weights, cluster=w.person, **options).at(
        at
    )


def test_product_limit_weights_change_no_curve():
    y, x = patients()
    group = x["z"].to_numpy()
    w = fs.compare.censoring_weights(y, model="kaplan_meier", group=group, stabilised=False)
    found = curve(w, group=group[w.row])
    plain = fs.survival.kaplan_meier(y, group=group).at(AT)
    np.testing.assert_allclose(found["survival"], plain["survival"], rtol=1e-12)
    assert w.weights.max() > 1.5


def test_with_delayed_entry_weights_start_at_1():
    y, x = patients(late=True)
    w = fs.compare.censoring_weights(y, x, stabilised=False, cut=np.unique(y.time))
    first = np.flatnonzero(np.append(True, w.row[1:] != w.row[:-1]))
    assert y.entry is not None
    assert np.all(w.weights[first] == 1.0)
    assert np.all(w.weights >= 1.0)


def test_without_delayed_entry_the_weights_are_one_over_the_reversed_curve():
    y, _ = patients(ties=False)
    w = fs.compare.censoring_weights(y, model="kaplan_meier", stabilised=False)
    reverse = fs.survival.kaplan_meier(fs.Outcome(y.time, y.event == 0))
    ends = np.flatnonzero(w.outcome.event == 1)
    before = reverse.at(w.outcome.time[ends] - 1e-9)["survival"]
    np.testing.assert_allclose(1 / w.weights[ends], before, rtol=1e-12)


@pytest.mark.parametrize("late", [False, True])
def test_pieces_are_the_rows(late):
    y, x = patients(late=late)
    w = fs.compare.censoring_weights(y, x)
    whole = fs.survival.cox(y, x)
    pieces = fs.survival.cox(w.outcome, x.iloc[w.row].reset_index(drop=True), cluster=w.person)
    np.testing.assert_allclose(whole.coef, pieces.coef, rtol=1e-9)
    assert int(w.outcome.event.sum()) == int(y.event.sum())
    spent = np.bincount(w.row, weights=w.outcome.time - w.outcome.entry_or_zero())
    np.testing.assert_allclose(spent, y.time - y.entry_or_zero())


@pytest.mark.parametrize("model", ["cox", "pooled_logistic"])
def test_cutting_the_rows_of_a_person_changes_nothing(model):
    y, x = patients()
    options = {"model": model, "cut": np.arange(0.5, 12.0, 0.5) if model != "cox" else None}
    later = np.flatnonzero(y.time > 1.5)
    row = np.concatenate([np.arange(len(y)), later])
    start = np.concatenate([np.zeros(len(y)), np.full(later.size, 1.5)])
    stop = np.concatenate([np.minimum(y.time, 1.5), y.time[later]])
    event = np.concatenate([np.where(y.time > 1.5, 0, y.event), y.event[later]])
    cut = fs.Outcome(stop, event, entry=start)
    one = fs.compare.censoring_weights(y, x, **options)
    two = fs.compare.censoring_weights(
        cut, x.iloc[row].reset_index(drop=True), person=row, **options
    )
    a, b = curve(one), curve(two)
    np.testing.assert_allclose(a["survival"], b["survival"], rtol=1e-8)
    np.testing.assert_allclose(a["std_error"], b["std_error"], rtol=1e-8)


def test_cox_weights_by_hand():
    y, x = patients(60)
    w = fs.compare.censoring_weights(y, x, stabilised=False)
    moved = fs.Outcome(y.time + 0.1 * (y.event == 0), y.event == 0)
    model = fs.survival.cox(moved, x, ties="breslow")
    for piece in np.flatnonzero(w.outcome.event == 1):
        i = w.row[piece]
        stays = model.predict_survival(x.iloc[[i]], [y.time[i] - 0.1])["survival"].iloc[0]
        assert 1 / w.weights[piece] == pytest.approx(stays, rel=1e-9)
    stabilised = fs.compare.censoring_weights(y, x)
    numerator = fs.compare.censoring_weights(y, model="kaplan_meier", stabilised=False)
    np.testing.assert_allclose(stabilised.weights, w.weights / numerator.weights, rtol=1e-12)


def test_strata_of_censoring_have_their_own_baseline():
    y, x = patients()
    group = x["z"].to_numpy()
    both = fs.compare.censoring_weights(y, x[["x"]], group=group)
    model = fs.survival.cox(
        fs.Outcome(y.time + 0.1 * (y.event == 0), y.event == 0), x[["x"]], ties="breslow",
        strata=group,
    )  # fmt: skip
    np.testing.assert_allclose(both.coefficients["coef"], model.coef, rtol=1e-8)


def test_pooled_logistic_weights_by_hand():
    y, x = patients(200)
    cut = [1.0, 3.0, 6.0]
    w = fs.compare.censoring_weights(y, x, model="pooled_logistic", cut=cut, stabilised=False)
    table = w.coefficients.set_index("term")["coef"]
    i = int(np.flatnonzero((y.time > 3.0) & (y.event == 1))[0])
    linear = table["(intercept)"] + table["x"] * x["x"][i] + table["z"] * x["z"][i]
    stay = 1 / (1 + np.exp(linear)) / (1 + np.exp(linear + table["interval 2"]))
    mine = w.row == i
    expected = [1.0, 1 + np.exp(linear), 1 / stay]
    np.testing.assert_allclose(w.weights[mine][:3], expected, rtol=1e-9)


def test_administrative_censoring_can_be_left_out():
    y, x = patients()
    lost = (y.event == 0) & (y.time < 3.0)
    some = fs.compare.censoring_weights(y, x, lost=lost)
    every = fs.compare.censoring_weights(y, x)
    after = some.outcome.time > 3.0
    spread = [np.ptp(some.weights[(some.row == r) & after]) for r in np.unique(some.row[after])]
    assert max(spread) < 1e-12
    assert every.outcome.time.size > some.outcome.time.size


def test_truncation_is_counted():
    y, x = patients()
    w = fs.compare.censoring_weights(y, x, truncate=0.95)
    full = fs.compare.censoring_weights(y, x)
    assert w.truncated == np.count_nonzero(full.weights > np.quantile(full.weights, 0.95))
    assert w.weights.max() == pytest.approx(np.quantile(full.weights, 0.95))
    assert full.truncated == 0


def test_weights_undo_dependent_censoring():
    rng = seeds.stream(8, "dependent censoring")
    n = 6_000
    x = rng.normal(size=n)
    time = rng.exponential(4 * np.exp(-x))
    end = rng.exponential(6 * np.exp(-x))
    y = fs.Outcome(np.minimum(time, end), time <= end)
    truth = fs.survival.kaplan_meier(fs.Outcome(time, np.ones(n))).at([1.0, 2.0, 4.0])["survival"]
    naive = fs.survival.kaplan_meier(y).at([1.0, 2.0, 4.0])["survival"]
    cut = np.linspace(0.02, 5.0, 250)
    w = fs.compare.censoring_weights(y, x[:, None], cut=cut)
    weighted = curve(w, [1.0, 2.0, 4.0])["survival"]
    assert np.abs(naive - truth).max() > 0.05
    assert np.abs(weighted - truth).max() < 0.015


Y, X = patients(40)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.compare.censoring_weights(Y), "takes no covariates, the other models need"),
        (
            lambda: fs.compare.censoring_weights(Y, X, model="kaplan_meier", stabilised=False),
            "takes no covariates",
        ),
        (lambda: fs.compare.censoring_weights(Y, model="kaplan_meier"), "are all 1"),
        (
            lambda: fs.compare.censoring_weights(Y, X, model="pooled_logistic"),
            "the ends of its intervals",
        ),
        (lambda: fs.compare.censoring_weights(Y, X, model="aalen"), "model must be one of"),
        (lambda: fs.compare.censoring_weights(Y, X, truncate=0.01), "an upper quantile"),
        (
            lambda: fs.compare.censoring_weights(Y, X, lost=Y.event == 1),
            "who has an event was not lost.*row",
        ),
        (
            lambda: fs.compare.censoring_weights(Y, X, lost=np.zeros(40)),
            "somebody must have been lost",
        ),
        (
            lambda: fs.compare.censoring_weights(Y, X, person=np.zeros(40)),
            "rows of a person must not overlap",
        ),
        (
            lambda: fs.compare.censoring_weights(
                fs.Outcome(np.append(Y.time[:-1], 0.0), Y.event), X
            ),
            "need positive times.*row 39",
        ),
        (lambda: fs.compare.censoring_weights(Y, X, cut=[-1.0]), "cut must hold"),
        (
            lambda: fs.compare.censoring_weights(fs.survival.RiskTable.from_outcome(Y), X),
            "takes an Outcome",
        ),
    ],
)  # fmt: skip
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()
