"""Uncertainty and robustness, against sums by hand and linear programmes."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog
from scipy.stats import binomtest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import (
    Constraints,
    l1_radius,
    policy_value,
    robust_policy,
    uncertainty,
    values_of,
)
from tests.sequence.naive import Recursion, random_model


def names(model):
    return list(itertools.product(model.regimens, repeat=model.n_lines))


def drawn(model, n, seed, spread=0.3):
    """Kernels around those of a model."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        factor = np.exp(spread * rng.standard_normal((2, *model.next_prob.shape[:4], 1)))
        onward, death = model.next_prob * factor[0], model.death_prob * factor[1]
        total = np.maximum((onward + death).sum(axis=-1, keepdims=True), 1.0)
        out.append(model.with_kernels(onward / total, death / total))
    return out


# --- values of many sequences -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_values_of_equals_value_of(seed):
    model = random_model(
        seed,
        learning=seed % 2 == 0,
        refractory=seed % 3 == 0,
        economics=True,
        constraints=Constraints(class_once=("c0",), forbidden_after=(("r1", "r2"),)),
        allow=0.85,
    )
    sequences = names(model)
    np.random.default_rng(seed).shuffle(sequences)
    options = [
        {},
        {"objective": "milestone", "at": 3.0},
        {"objective": "cost", "discount": 0.05},
        {"objective": "net_benefit", "willingness_to_pay": 5.0},
    ][seed % 4]
    for g, group in enumerate(model.groups):
        naive = Recursion(model, **options)
        found = values_of(model, sequences, group, **options)
        n_allowed = 0
        for sequence, value in zip(sequences, found, strict=True):
            exact = naive.of_sequence([model.regimens.index(name) for name in sequence], g)
            if exact is None:
                assert np.isnan(value)
                with pytest.raises(DataError, match="allowed"):
                    model.value_of(sequence, group, **options)
            else:
                n_allowed += 1
                assert value == pytest.approx(exact, abs=1e-10)
                assert value == pytest.approx(model.value_of(sequence, group, **options), abs=1e-12)
        assert 0 < n_allowed < len(sequences)


def test_values_of_refuses():
    model = fs.sequence.examples.textbook()
    with pytest.raises(DataError, match="one regimen a line .lines=2"):
        values_of(model, [("A",)], "all")
    with pytest.raises(DataError, match="one regimen a line"):
        values_of(model, ["AB"], "all")
    with pytest.raises(DataError, match="regimen must be one of the model's .regimen=Z"):
        values_of(model, [("A", "Z")], "all")
    with pytest.raises(DataError, match="group must be one of the model's"):
        values_of(model, [("A", "B")], "nobody")
    assert values_of(model, [], "all").shape == (0,)


# --- the choice among candidates ----------------------------------------------------------------


def one_line(deaths, **changes):
    """One line of one step: the value of a regimen is 1 - death / 2."""
    n = len(deaths)
    return fs.sequence.SequenceModel(
        ["x"],
        [f"r{a}" for a in range(n)],
        [0] * n,
        np.ones((1, n, 1), bool),
        ["all"],
        np.zeros((1, n, 1, 1, 1)),
        np.array(deaths, dtype=float).reshape(1, n, 1, 1, 1),
        np.zeros((1, 1)),
        **changes,
    )


def test_three_draws_by_hand():
    # Values: (0.9, 0.8, 0.6), (0.5, 0.7, 0.6), (0.8, 0.8, 0.6).
    draws = [one_line(d) for d in ([0.2, 0.4, 0.8], [1.0, 0.6, 0.8], [0.4, 0.4, 0.8])]
    found = uncertainty(draws, k=3)
    assert found.sequences == [("r1",), ("r0",), ("r2",)]
    table = found.table
    assert table["value"].to_numpy() == pytest.approx([2.3 / 3, 2.2 / 3, 0.6])
    # The tie in the third draw is split.
    assert table["probability"].to_numpy() == pytest.approx([0.5, 0.5, 0.0])
    assert found.evpi == pytest.approx(0.1 / 3)
    assert found.evpi_error == pytest.approx(np.std([0.1, 0, 0], ddof=1) / np.sqrt(3))
    assert table["regret"].to_numpy() == pytest.approx([0.1 / 3, 0.2 / 3, 0.6 / 3])
    assert found.optimal == pytest.approx([0.9, 0.7, 0.8])
    assert found.values == pytest.approx(
        np.array([[0.8, 0.9, 0.6], [0.7, 0.5, 0.6], [0.8, 0.8, 0.6]])
    )
    regret = found.regret.set_index("sequence")
    assert regret.loc["r0", "median"] == pytest.approx(0.0)
    assert regret.loc["r0", "q95"] == pytest.approx(np.quantile([0, 0.2, 0], 0.95))
    assert regret["mean"].tolist() == table["regret"].tolist()
    assert table["std_dev"].to_numpy()[1] == pytest.approx(np.std([0.9, 0.5, 0.8], ddof=1))
    assert table["lower"].to_numpy()[1] == pytest.approx(np.quantile([0.9, 0.5, 0.8], 0.025))


def test_the_smallest_cost_is_best():
    price = np.array([3.0, 5.0, 9.0]).reshape(1, 3, 1, 1, 1)
    extra = {"cost": price, "salvage_cost": np.zeros((1, 1))}
    draws = [one_line(d, **extra) for d in ([0, 0, 0], [0, 0.8, 0], [0, 1.0, 0])]
    # Costs: (3, 5, 9), (3, 3, 9), (3, 2.5, 9).
    found = uncertainty(draws, k=3, objective="cost")
    assert found.sequences == [("r0",), ("r1",), ("r2",)]
    assert found.table["value"].to_numpy() == pytest.approx([3.0, 3.5, 9.0])
    assert found.table["probability"].to_numpy() == pytest.approx([0.5, 0.5, 0.0])
    assert found.evpi == pytest.approx(0.5 / 3)
    assert found.table["regret"].to_numpy() == pytest.approx([0.5 / 3, 2 / 3, (6 + 6 + 6.5) / 3])
    assert (found.regret["q05"] >= 0).all()


def test_brute_force_over_draws():
    model = random_model(3, n_groups=1, n_lines=2)
    draws = drawn(model, 12, 1)
    found = uncertainty(draws, k=100)
    sequences = names(model)
    values = np.array(
        [[d.value_of(s, "g0") if _allowed(d, s) else np.nan for s in sequences] for d in draws]
    )
    keep = ~np.isnan(values).any(axis=0)
    values, kept = values[:, keep], [s for s, k in zip(sequences, keep, strict=True) if k]
    assert set(found.sequences) == set(kept)
    mean = dict(zip(kept, values.mean(axis=0), strict=True))
    assert found.table["value"].to_numpy() == pytest.approx([mean[s] for s in found.sequences])
    assert found.table["value"].is_monotonic_decreasing
    assert found.evpi == pytest.approx(values.max(axis=1).mean() - values.mean(axis=0).max())
    assert found.evpi >= 0
    assert found.table["probability"].sum() == pytest.approx(1)
    assert found.optimal == pytest.approx(values.max(axis=1))
    for row in found.table.itertuples():
        count = row.probability * 12
        if abs(count - round(count)) < 1e-9:
            wilson = binomtest(round(count), 12).proportion_ci(method="wilson")
            assert row.probability_lower == pytest.approx(wilson.low, abs=1e-9)
            assert row.probability_upper == pytest.approx(wilson.high, abs=1e-9)


def _allowed(model, sequence):
    return Recursion(model).of_sequence([model.regimens.index(n) for n in sequence], 0) is not None


def test_candidates():
    model = fs.sequence.examples.textbook()
    draws = drawn(model, 4, 2)
    few = uncertainty(draws, k=1)
    more = uncertainty(draws, k=1, candidates=[["B", "B"], ("A", "B")])
    assert {("B", "B"), ("A", "B")} <= set(more.sequences)
    assert set(few.sequences) <= set(more.sequences)
    assert not {("B", "B")} <= set(few.sequences)
    # A candidate that is not allowed is left out.
    limited = random_model(4, n_groups=1, n_lines=2, constraints=Constraints(regimen_once=True))
    out = uncertainty(drawn(limited, 3, 1), k=2, candidates=[("r0", "r0")])
    assert ("r0", "r0") not in out.sequences


def test_the_monte_carlo_error_shrinks():
    model = random_model(5, n_groups=1, n_lines=2)
    small = uncertainty(drawn(model, 10, 1), k=4)
    large = uncertainty(drawn(model, 160, 1), k=4)
    assert large.evpi > 0
    assert 0 < large.evpi_error < 0.6 * small.evpi_error
    assert large.evpi_error < large.evpi


def test_no_uncertainty_has_no_value():
    model = fs.sequence.examples.textbook()
    found = uncertainty([model, model])
    assert (found.evpi, found.evpi_error) == (0, 0)
    assert found.table["regret"].iloc[0] == 0
    assert found.table["std_dev"].max() == 0


def test_uncertainty_refuses():
    model = random_model(1)
    draws = drawn(model, 3, 1)
    with pytest.raises(DataError, match="two draws or more .draws=1"):
        uncertainty(draws[:1], group="g0")
    with pytest.raises(DataError, match="two draws or more .draws=0"):
        uncertainty(iter(()), group="g0")
    with pytest.raises(DataError, match="gone through twice .first=3, then=0.*KernelDraws"):
        uncertainty(iter(draws), group="g0")
    with pytest.raises(DataError, match="group must be given .groups=g0, g1"):
        uncertainty(draws)
    with pytest.raises(DataError):
        uncertainty(draws, group="g0", k=0)
    with pytest.raises(DataError):
        uncertainty(draws, group="g0", level=1.5)


def test_progress_and_flags():
    model = fs.sequence.examples.benchmark(
        n_classes=3, n_regimens=3, n_lines=2, n_groups=1, n_steps=12, n_levels=2
    )
    calls = []
    draws = drawn(model, 3, 1)
    found = uncertainty(draws, k=2, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(i, 6) for i in range(1, 7)]
    assert found.simulated
    assert "Research use, not medical advice." in found.note
    assert not uncertainty(drawn(fs.sequence.examples.textbook(), 2, 1)).simulated


# --- distances ----------------------------------------------------------------------------------


def test_l1_distances_by_hand():
    deaths = [np.array([0.2, 0.4]), np.array([0.6, 0.4]), np.array([0.4, 0.4])]
    draws = [one_line(d) for d in deaths]
    # The mean is 0.4: distances 0.2 + 0.2 (those who live), the same, and 0.
    found = l1_radius(draws, level=0.5)
    assert found.shape == (1, 2, 1, 1)
    assert found[0, :, 0, 0] == pytest.approx([0.4, 0.0])
    assert l1_radius(draws, level=0.25)[0, 0, 0, 0] == pytest.approx(0.2)


def test_l1_distances_lie_between_0_and_2():
    model = random_model(2)
    found = l1_radius(drawn(model, 8, 3, spread=2.0), level=0.9)
    assert ((found >= 0) & (found <= 2)).all()
    assert robust_policy(model, found).table["price"].min() > -1e-12


def test_l1_refuses():
    draws = drawn(random_model(1), 2, 1)
    with pytest.raises(DataError, match="two draws or more and a level.*draws=1"):
        l1_radius(draws[:1])
    with pytest.raises(DataError, match="level=1"):
        l1_radius(draws, level=1.0)
    with pytest.raises(DataError, match="gone through twice"):
        l1_radius(iter(draws))


# --- robust policies ----------------------------------------------------------------------------


def worst_by_programme(payoff, probability, radius):
    """Smallest expectation over all distributions within the distance: a linear programme."""
    m = len(payoff)
    cost = np.concatenate([payoff, np.zeros(m)])
    # p - q <= d, q - p <= d, sum d <= radius, sum p = 1.
    eye = np.eye(m)
    upper = np.block([[eye, -eye], [-eye, -eye], [np.zeros((1, m)), np.ones((1, m))]])
    bound = np.concatenate([probability, -probability, [radius]])
    total = np.concatenate([np.ones(m), np.zeros(m)])[None]
    done = linprog(cost, A_ub=upper, b_ub=bound, A_eq=total, b_eq=[1.0], bounds=(0, None))
    assert done.status == 0
    return done.fun


def robust_by_programmes(model, radius, salvage_radius):
    """Worst-case values by recursion over states, each a linear programme over the whole kernel."""
    naive = Recursion(model)
    known = {}

    def payoffs(r, following):
        n = model.n_steps
        u = np.arange(1, n + 1)
        onward = np.where(u <= r, u + following, r)
        death = np.where(u <= r, u - 0.5, r)
        return np.concatenate([onward, death, [r]])

    def value(line, exposed, g, r):
        key = (line, exposed, g, r)
        if key in known:
            return known[key]
        n = model.n_steps
        if line == model.n_lines:
            death = model.salvage_death[g]
            p = np.concatenate([np.zeros(n), death, [max(1 - death.sum(), 0)]])
            out = worst_by_programme(payoffs(r, np.zeros(n)), p, salvage_radius)
        else:
            out = -1.0
            for a in naive.options(line, exposed, 0, -1, 0, g):
                h = naive.level(a, exposed, 0)
                onward, death = model.next_prob[line, a, g, h], model.death_prob[line, a, g, h]
                following = np.zeros(n)
                for u in range(1, r + 1):
                    g2 = g if model.group_after is None else int(model.group_after[line, g, u - 1])
                    following[u - 1] = value(line + 1, exposed | int(model.masks[a]), g2, r - u)
                p = np.concatenate([onward, death, [max(1 - onward.sum() - death.sum(), 0)]])
                out = max(out, worst_by_programme(payoffs(r, following), p, radius[line, a, g, h]))
        known[key] = out
        return out

    return value


@pytest.mark.parametrize("learning", [False, True])
def test_robust_values_are_linear_programmes(learning):
    model = random_model(
        8, n_classes=2, n_regimens=2, n_lines=2, n_steps=3, learning=learning, step_months=2.0
    )
    rng = np.random.default_rng(1)
    radius = rng.uniform(0, 1.2, model.next_prob.shape[:4])
    found = robust_policy(model, radius, salvage_radius=0.3)
    value = robust_by_programmes(model, radius, 0.3)
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached):
            for r in range(model.n_steps + 1):
                expected = value(line, int(states.exposed[place]), int(g), r)
                assert found.values[line][g, place, r] == pytest.approx(expected, abs=1e-8)
    for g, row in enumerate(found.table.itertuples()):
        assert row.worst_case == pytest.approx(2.0 * value(0, 0, g, 3), abs=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_the_limits_of_the_distance(seed):
    model = random_model(seed, learning=seed % 2 == 1)
    solution = model.solve()
    exact = robust_policy(model, 0.0)
    for line in range(model.n_lines):
        reached = model.states.lines[line].reached.T
        ours, theirs = exact.values[line][reached], solution.values[line][reached]
        assert ours == pytest.approx(theirs, abs=1e-10)
    assert exact.table["price"].abs().max() < 1e-10
    # Nature may do as it likes: everybody dies in the first step.
    worst = robust_policy(model, 2.0, salvage_radius=2.0)
    assert worst.table["worst_case"].to_numpy() == pytest.approx(0.5)
    assert worst.values[0][:, 0, 0] == pytest.approx(0.0)
    before = np.full(len(model.groups), np.inf)
    for radius in (0.0, 0.1, 0.4, 0.9, 1.5, 2.0):
        table = robust_policy(model, radius).table
        now = table["worst_case"].to_numpy()
        assert (now <= before + 1e-12).all()
        assert (now <= table["value"] + 1e-12).all()
        assert (table["value"] <= table["optimal"] + 1e-12).all()
        assert table["price"].to_numpy() == pytest.approx(table["optimal"] - table["value"])
        before = now


def test_the_robust_policy_is_worth_what_it_says():
    model = random_model(6, learning=True)
    found = robust_policy(model, 0.5)
    value = policy_value(model, found.actions)
    for g, row in enumerate(found.table.itertuples()):
        assert row.value == pytest.approx(value.of_group(g), abs=1e-12)
        assert row.group == model.groups[g]
    # Within the distance no drawn kernel is worse than the worst.
    for other in drawn(model, 20, 4, spread=0.1):
        apart = np.abs(other.next_prob - model.next_prob).sum(axis=-1)
        apart += np.abs(other.death_prob - model.death_prob).sum(axis=-1)
        left = 1 - (other.next_prob + other.death_prob).sum(axis=-1)
        apart += np.abs(left - 1 + (model.next_prob + model.death_prob).sum(axis=-1))
        assert apart.max() < 0.5
        drawn_value = policy_value(other, found.actions)
        for g, row in enumerate(found.table.itertuples()):
            assert drawn_value.of_group(g) >= row.worst_case - 1e-12


@pytest.mark.parametrize(
    ("radius", "says"),
    [
        (-0.1, "between 0 and 2 .radius=-0.1"),
        (2.5, "between 0 and 2 .radius=2.5"),
        (np.nan, "between 0 and 2"),
        (np.zeros((2, 2)), "one number, or one for each kernel .shape=.2, 2., needed=.3, 4, 2, 2."),
    ],
)
def test_robust_refuses(radius, says):
    with pytest.raises(DataError, match=says):
        robust_policy(random_model(1), radius)


def test_robust_refuses_more():
    with pytest.raises(DataError, match="between 0 and 2 .radius=3"):
        robust_policy(random_model(1), 0.1, salvage_radius=3.0)
    with pytest.raises(DataError, match="without refractory classes.*without next_refractory"):
        robust_policy(random_model(1, refractory=True), 0.1)


def test_flags():
    model = fs.sequence.examples.textbook()
    found = robust_policy(model, 0.1)
    assert not found.simulated
    assert "Research use" in found.note
    small = fs.sequence.examples.benchmark(
        n_classes=2, n_regimens=2, n_lines=2, n_groups=1, n_steps=6, n_levels=1
    )
    assert robust_policy(small, 0.1).simulated
    assert isinstance(found.table, pd.DataFrame)
