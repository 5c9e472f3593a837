"""Refractory classes from lines of therapy, and policies put into the states of another model."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import estimate_kernels, parse_formulary, read_histories
from fiac_survival.sequence.refractory import refractory_share
from tests.sequence.naive import random_model

THREE = {
    "name": "three",
    "lines": 3,
    "horizon_months": 24,
    "overlap_levels": 2,
    "classes": {"x": "class x", "y": "class y"},
    "regimens": [{"name": "A", "classes": ["x"]}, {"name": "B", "classes": ["y"]}],
}


def lines_of(*patients):
    """Each patient: lines as (regimen, steps, progressed); the last ends in death."""
    rows = [
        (p, k + 1, a, steps, "death" if k + 1 == len(lines) else "switch", bad)
        for p, lines in enumerate(patients)
        for k, (a, steps, bad) in enumerate(lines)
    ]
    columns = ["person", "line", "regimen", "ttnt", "end_reason", "progressed"]
    return pd.DataFrame(rows, columns=columns)


def test_the_overlap_counts_what_is_refractory():
    lines = lines_of(
        [("A", 3, 1), ("A", 4, 0), ("B", 2, 0)], [("A", 3, 0), ("A", 4, 1), ("A", 2, 0)]
    )
    f = parse_formulary(THREE)
    h = read_histories(lines, f, unit="steps", refractory="progressed")
    assert h.level.tolist() == [0, 1, 0, 0, 0, 1]
    assert h.exposed.tolist() == [0, 1, 1, 0, 1, 1]
    assert read_histories(lines, f, unit="steps").level.tolist() == [0, 1, 0, 0, 1, 1]
    assert h.subset(np.array([False, True])).level.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="progressed must be true or false"):
        read_histories(lines.assign(progressed=2), f, unit="steps", refractory="progressed")


def test_shares_are_pooled_towards_those_of_the_line_and_band():
    short = [[("A", 3, 1), ("B", 1, 0)]] * 30 + [[("B", 3, 0), ("B", 1, 0)]] * 10
    long = [[("A", 15, 1), ("B", 1, 0)]] * 5 + [[("A", 15, 0), ("B", 1, 0)]] * 15
    h = read_histories(
        lines_of(*short, *long), parse_formulary(THREE), unit="steps", refractory="progressed"
    )
    share = refractory_share(h, pool=20.0)
    everyone = 30 / 40
    assert share[0, 0, 0, 0, 2] == pytest.approx((30 + 20 * everyone) / 50)
    assert share[0, 1, 0, 0, 5] == pytest.approx((0 + 20 * everyone) / 30)
    assert share[0, 0, 0, 0, 14] == pytest.approx((5 + 20 * 0.25) / 40)
    assert share[0, 1, 0, 0, 14] == pytest.approx(0.25)
    assert share[0, 0, 0, 0, 6] == 0.0
    plain = read_histories(lines_of(*short), parse_formulary(THREE), unit="steps")
    with pytest.raises(DataError, match="read with refractory"):
        refractory_share(plain)


def test_a_model_with_refractory_classes_is_estimated_and_refused_where_it_cannot_be_used():
    lines, f = fs.sequence.examples.cohort(1500, seed=2)
    lines["progressed"] = (lines["line"] == 1) & (lines["ttnt"] <= 12)
    kernels = estimate_kernels(lines, f, unit="steps", refractory="progressed", simulated=True)
    model = kernels.model(min_ess=None)
    assert model.overlap_counts == "refractory"
    assert model.states.has_refractory
    # Nobody is refractory without having been given the class.
    for states in model.states.lines:
        assert (states.refractory & ~states.exposed == 0).all()
    assert model.solve().value(f.groups[0]) > 0
    with pytest.raises(DataError, match="without refractory"):
        kernels.calibration()
    with pytest.raises(DataError, match="without refractory"):
        fs.sequence.evaluate(
            kernels.histories, model.solve(), methods=("g_formula",), draws=0, simulated=True
        )


# --- a policy in another model's states ---------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_policy_that_does_not_ask_for_refractory_classes_keeps_its_value(seed):
    """Kernels by exposed classes: telling refractory ones apart changes no value."""
    plain, told = random_model(seed), random_model(seed, refractory=True)
    np.testing.assert_array_equal(plain.next_prob, told.next_prob)
    solution = plain.solve()
    moved = fs.sequence.transferred(solution.actions, plain, told)
    value = fs.sequence.policy_value(told, moved)
    for g in range(len(plain.groups)):
        assert value.of_group(g) == pytest.approx(solution.value(plain.groups[g]), rel=1e-12)
    with pytest.raises(DataError, match="tell apart what the policy asks for"):
        fs.sequence.transferred(told.solve().actions, told, plain)


def test_a_policy_needs_the_same_regimens():
    one = fs.sequence.examples.textbook()
    other = fs.sequence.examples.geometric(
        {"A": (0.05, 0.02), "C": (0.15, 0.05)}, n_lines=2, n_steps=24, salvage=0.12
    )
    with pytest.raises(DataError, match="same regimens.*differs in=classes"):
        fs.sequence.transferred(one.solve().actions, one, other)


def test_survival_from_a_state_is_the_milestone_of_its_policy():
    model = fs.sequence.examples.textbook()
    solution = model.solve()
    curves = fs.sequence.state_survival(solution, every=8)
    start = curves[curves["line"] == 1].set_index("month")["survival"]
    for month in (8, 16, 24):
        best = max(
            model.value_of(pair, "all", objective="milestone", at=float(month))
            for pair in itertools.product("AB", repeat=2)
        )
        assert 0 < start[month] <= best + 1e-12
    whole = fs.sequence.policy_value(model, solution, objective="milestone", at=24.0)
    assert start[24] == pytest.approx(whole.of_group(0), rel=1e-12)
    with pytest.raises(DataError, match="every must be at least 1"):
        fs.sequence.state_survival(solution, every=0)


def test_values_of_states_start_with_the_solver_s_choice():
    lines, f = fs.sequence.examples.cohort(800, seed=1)
    kernels = estimate_kernels(lines, f, unit="steps", simulated=True)
    solution = kernels.model().solve()
    draws = kernels.draws(4, seed=1, model=solution.model)
    table = fs.sequence.state_values(solution, draws, kernels)
    for (group, line, exposed), part in table.groupby(["group", "line", "exposed"]):
        given = tuple(filter(None, exposed.split(" + ")))
        state = {"line": line, "exposed": given, "remaining": solution.model.n_steps}
        assert part["regimen"].iloc[0] == solution.policy(group, **state)
        assert part["value"].iloc[0] == pytest.approx(solution.value(group, **state), rel=1e-12)
        assert part["probability"].sum() == pytest.approx(1.0)
        assert (part["difference"] <= 0).all()
    with pytest.raises(DataError, match="there must be draws"):
        fs.sequence.state_values(solution, [], kernels)
