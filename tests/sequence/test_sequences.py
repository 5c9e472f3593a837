"""Fixed sequences, k best with their certificate, budgets, microsimulation, occupation."""

from __future__ import annotations

import itertools

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import Constraints, occupation, policy_value
from tests.sequence.naive import Recursion, life_time_by_courses, random_model
from tests.sequence.test_solver import KINDS, MODELS, falling, options_for

seeds = st.integers(0, 10**6)


@settings(max_examples=40)
@given(seeds, st.sampled_from(MODELS), st.sampled_from(KINDS))
def test_value_of_every_sequence(seed, shape, kind):
    model = random_model(seed, economics=True, n_regimens=3, n_steps=4, **shape)
    options = options_for(kind, model)
    if "at" in options:
        options["at"] = 3.0
    twin = Recursion(model, **options)
    for g, group in enumerate(model.groups):
        for sequence in itertools.product(range(3), repeat=model.n_lines):
            expected = twin.of_sequence(sequence, g)
            names = [model.regimens[a] for a in sequence]
            if expected is None:
                with pytest.raises(DataError, match="allowed where it would be given"):
                    model.value_of(names, group, **options)
            else:
                found = model.value_of(names, group, **options)
                assert found == pytest.approx(expected, abs=1e-10, rel=1e-12)


@settings(max_examples=20)
@given(seeds, st.booleans())
def test_life_time_is_the_sum_over_every_course(seed, learning):
    model = random_model(seed, n_steps=6, learning=learning, allow=1.0, step_months=2.0)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        sequence = rng.integers(0, 4, model.n_lines)
        names = [model.regimens[a] for a in sequence]
        for g, group in enumerate(model.groups):
            expected = life_time_by_courses(model, sequence, g)
            assert model.value_of(names, group) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=40)
@given(seeds, st.sampled_from(MODELS), st.sampled_from(KINDS), st.integers(1, 12))
def test_best_sequences_are_those_of_enumeration(seed, shape, kind, k):
    model = random_model(seed, economics=True, n_regimens=4, n_steps=4, **shape)
    options = options_for(kind, model)
    if "at" in options:
        options["at"] = 3.0
    twin = Recursion(model, **options)
    for g, group in enumerate(model.groups):
        expected = twin.best_sequences(g)
        if not expected:
            with pytest.raises(DataError, match="some fixed sequence must be allowed"):
                model.best_sequences(k, group, **options)
            continue
        found = model.best_sequences(k, group, **options)
        assert len(found.table) == min(k, len(expected))
        np.testing.assert_allclose(
            found.table["value"], [v for v, _ in expected[:k]], rtol=1e-11, atol=1e-10
        )
        valued = {s: v for v, s in expected}
        for names, value in zip(found.sequences, found.table["value"], strict=True):
            index = tuple(model.regimen_index(name) for name in names)
            assert valued[index] == pytest.approx(value, abs=1e-10, rel=1e-11)
        assert len(set(found.sequences)) == len(found.sequences)
        assert found.certificate["proved"]
        if k >= len(expected):
            assert np.isnan(found.certificate["largest_bound_left"])


def test_the_certificate_prunes():
    model = fs.sequence.examples.benchmark(
        n_classes=6, n_regimens=10, n_lines=4, n_groups=2, n_steps=60
    )
    found = model.best_sequences(5, "group 1")
    assert found.certificate["possible_sequences"] == 10_000
    assert found.certificate["prefixes_bounded"] + found.certificate["sequences_valued"] < 2_000
    assert found.certificate["largest_bound_left"] <= found.certificate["last_value"]
    assert "not medical advice" in found.note


def test_adaptivity_and_horizon_effect():
    still = random_model(11, n_steps=12, allow=1.0)
    assert still.adaptivity("g0").kind == "horizon effect"
    learning = random_model(11, n_steps=12, allow=1.0, learning=True)
    found = learning.adaptivity("g0")
    assert found.kind == "adaptivity"
    assert found.difference >= -1e-10
    assert found.difference == pytest.approx(
        learning.solve().value("g0") - learning.value_of(found.best_sequence, "g0")
    )


# --- budgets ------------------------------------------------------------------------------------


@settings(max_examples=15)
@given(seeds, st.booleans())
def test_frontier(seed, learning):
    """At any willingness to pay some point of the frontier has the best net benefit there is."""
    model = random_model(seed, economics=True, learning=learning, n_steps=5, n_regimens=3)
    frontier = model.frontier(mix={"g0": 0.3, "g1": 0.7}, objective="quality_adjusted")
    table = frontier.table
    assert (np.diff(table["cost"]) > 0).all()
    assert (np.diff(table["value"]) > 0).all()
    slopes = np.diff(table["value"]) / np.diff(table["cost"])
    assert (np.diff(slopes) < 1e-9).all()
    np.testing.assert_allclose(slopes, table["price_from"][:-1])
    rng = np.random.default_rng(seed)
    for rate in [1e-6, *rng.uniform(0.1, 400, 6), 1e6]:
        twin = Recursion(model, objective="net_benefit", willingness_to_pay=rate)
        best = 0.3 * twin.optimum(0) + 0.7 * twin.optimum(1)
        ours = (rate / 12 * table["value"] - table["cost"]).max()
        assert ours == pytest.approx(best, rel=1e-6, abs=1e-6)
    for (_, row), policy in zip(table.iterrows(), frontier.policies, strict=True):
        for objective, column in (("quality_adjusted", "value"), ("cost", "cost")):
            worth = policy_value(model, policy, objective=objective)
            mixed = 0.3 * worth.of_group(0) + 0.7 * worth.of_group(1)
            assert mixed == pytest.approx(row[column], rel=1e-9)


@settings(max_examples=25)
@given(seeds, st.booleans())
def test_pareto_set_is_that_of_enumeration(seed, learning):
    model = random_model(seed, economics=True, learning=learning, n_steps=5, n_regimens=4)
    value, cost = (Recursion(model, objective=o) for o in ("life_time", "cost"))
    for g, group in enumerate(model.groups):
        points = [
            (cost.of_sequence(s, g), value.of_sequence(s, g), s)
            for s in itertools.product(range(4), repeat=model.n_lines)
        ]
        points = [p for p in points if p[0] is not None]
        if not points:
            with pytest.raises(DataError, match="some fixed sequence must be allowed"):
                model.pareto(group)
            continue
        front = [
            p
            for p in points
            if not any(
                q[0] <= p[0] + 1e-9
                and q[1] >= p[1] - 1e-9
                and (q[0] < p[0] - 1e-9 or q[1] > p[1] + 1e-9)
                for q in points
            )
        ]
        distinct = sorted({(round(c, 8), round(v, 8)) for c, v, _ in front})
        found = model.pareto(group)
        ours = sorted(
            {(round(c, 8), round(v, 8)) for c, v in found.table[["cost", "value"]].to_numpy()}
        )
        np.testing.assert_allclose(ours, distinct, atol=1e-7)
        for row in found.table.itertuples():
            names = row.sequence.split(" \u2192 ")
            assert model.value_of(names, group) == pytest.approx(row.value)
            assert model.value_of(names, group, objective="cost") == pytest.approx(row.cost)


def test_unsupported_points_are_found():
    """In the textbook instance B then A lies on the Pareto front, below its concave hull."""
    table = fs.sequence.examples.textbook().pareto(cost={"A": 10, "B": 1}).table
    assert table["supported"].tolist() == [True, False, True, True]


def test_costs_of_a_month():
    model = fs.sequence.examples.geometric(
        {"A": (0.1, 0.02), "B": (0.2, 0.05)}, n_lines=1, n_steps=10, salvage=0.1, step_months=0.5
    )
    table = model.pareto(cost={"A": 8.0, "B": 0.0}).table
    in_line = 0.5 * sum((1 - 0.12) ** u - 0.5 * 0.02 * (1 - 0.12) ** u for u in range(10))
    assert table["cost"].max() == pytest.approx(8.0 * in_line)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda m: m.frontier(cost={"A": 1.0}), "one amount a month.*missing=.'B'."),
        (lambda m: m.frontier(cost={"A": -1.0, "B": 0.0}), "finite and not negative"),
        (lambda m: m.frontier(cost={"A": 1, "B": 2}, mix={"x": 1.0}), "shares that add to 1.*x"),
        (lambda m: m.frontier(), "costs need to be given"),
        (lambda m: m.frontier(cost={"A": 1, "B": 2}, objective="cost"), "value on one axis"),
        (lambda m: m.pareto("x"), "group must be one of the model's"),
        (lambda m: m.best_sequences(0, "all"), "k must be at least 1"),
        (lambda m: m.value_of(["A"], "all"), "one regimen a line.*lines=2"),
        (lambda m: m.value_of(["A", "C"], "all"), "regimen must be one of the model's.*C.*A, B"),
        (lambda m: m.simulate(["A", "B"], 1, 0), "at least two patients"),
        (lambda m: m.simulate(["A", "Z"], 10, 0), "regimen must be one of the model's"),
        (lambda m: m.solve(objective="milestone"), "at goes with milestone"),
        (lambda m: m.solve(objective="milestone", at=2.5), "whole number of steps"),
        (lambda m: m.solve(at=3), "at goes with milestone"),
        (lambda m: m.solve(discount=-0.1), "annual rate, not negative"),
        (lambda m: m.solve(objective="quality_adjusted"), "needs utilities"),
        (lambda m: m.solve(objective="net_benefit"), "willingness_to_pay goes with"),
        (lambda m: m.solve(background=[1.0, 0.9]), "background must be survival at 0, 1"),
        (lambda m: m.solve(background=np.full(25, 0.9)), "never rise|start at 1"),
        (lambda m: m.solve(threads=0), "threads must be at least 1"),
        (lambda m: m.solve(objective="life"), "objective must be one of"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call(fs.sequence.examples.textbook())


# --- microsimulation ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", MODELS)
@pytest.mark.parametrize("with_background", [False, True])
def test_microsimulation_agrees(shape, with_background):
    model = random_model(21, n_steps=8, **shape)
    background = falling(model) if with_background else None
    solution = model.solve(background=background)
    for g, group in enumerate(model.groups):
        run = model.simulate(solution, 40_000, seed=5, group=group, background=background)
        error = run.months.mean() - solution.value(group)
        assert abs(error) < 4 * run.table["std_error"][0]
        alive = policy_value(
            model, solution, objective="milestone", at=8.0, background=background
        ).of_group(g)
        assert abs(run.alive.mean() - alive) < 4 * run.table["std_error"][1]


def test_microsimulation_does_not_depend_on_threads():
    model = random_model(22, n_steps=20, learning=True, refractory=True)
    solution = model.solve()
    runs = []
    before = numba.get_num_threads()
    try:
        for threads in (1, 2):
            numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
            runs.append(model.simulate(solution, 5_000, seed=9, group="g0"))
    finally:
        numba.set_num_threads(before)
    for name in ("months", "alive", "regimen", "start"):
        assert getattr(runs[0], name).tobytes() == getattr(runs[1], name).tobytes()
    fewer = model.simulate(solution, 100, seed=9, group="g0")
    assert (fewer.months == runs[0].months[:100]).all()
    other = model.simulate(solution, 100, seed=10, group="g0")
    assert (other.months != fewer.months).any()
    assert runs[0].simulated


def test_random_numbers_are_uniform():
    from fiac_survival.kernels.sequences import random_unit

    draws = np.array(
        [
            [random_unit(np.uint64(3), np.uint64(i), np.uint64(j)) for j in range(8)]
            for i in range(4000)
        ]
    )
    assert abs(draws.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(draws.T) - np.eye(8)).max() < 0.06
    counts, _ = np.histogram(draws, bins=50, range=(0, 1))
    assert ((counts - 640) ** 2 / 640).sum() < 95  # the 0.9999 quantile of chi-squared on 49


@settings(max_examples=25)
@given(seeds, st.sampled_from(MODELS))
def test_occupation_adds_up(seed, shape):
    model = random_model(seed, n_steps=6, **shape)
    solution = model.solve()
    for group in model.groups:
        table = occupation(model, solution, group)
        wide = table.pivot(index="month", columns="state", values="probability")
        np.testing.assert_allclose(wide.sum(axis=1), 1.0, atol=1e-12)
        assert (wide > -1e-12).all().all()
        alive = 1.0 - wide["dead"].to_numpy()
        assert np.trapezoid(alive, wide.index) == pytest.approx(solution.value(group), abs=1e-10)


def test_policies_of_other_kinds():
    model = fs.sequence.examples.textbook()
    names = ["A", "B"]
    by_name = policy_value(model, names).of_group(0)
    by_function = policy_value(
        model, lambda _group, line, _exposed, _left: names[line - 1]
    ).of_group(0)
    assert by_name == pytest.approx(by_function)
    assert by_name == pytest.approx(model.value_of(names, "all"))
    closed = random_model(4, constraints=Constraints(class_once=("c0",)), n_classes=1, allow=1.0)
    heavy = next(name for name, m in zip(closed.regimens, closed.masks, strict=True) if m)
    with pytest.raises(DataError, match="policy must give allowed regimens.*exposed=c0"):
        policy_value(closed, lambda *_: heavy)
