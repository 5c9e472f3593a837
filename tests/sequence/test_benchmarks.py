"""The peers of the benchmarks solve the same problem: equal answers on small instances."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from benchmarks import (
    alignment,
    sequences,
    sequences_draws,
    sequences_growth,
    state_sequences,
)
from benchmarks.tunnel_states import (
    by_mdptoolbox,
    decision_process,
    dense_actions,
    mdptoolbox_problem,
)
from tests.sequence.naive import random_model
from tests.sequence.outside import by_quantecon_outside


@pytest.fixture(scope="module")
def small():
    return fs.sequence.examples.benchmark(
        n_classes=4, n_regimens=6, n_lines=3, n_groups=2, n_steps=15, n_levels=3
    )


@pytest.mark.parametrize("line_solver", [sequences.plain_line, sequences.plain_line_by_remaining])
def test_plain_loops(small, line_solver):
    for model in (small, random_model(3, n_steps=9)):
        ours, theirs = sequences.our_solve(model), sequences.plain_solve(model, line_solver)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_libraries_for_decision_processes(small):
    pytest.importorskip("mdptoolbox")
    processes = [decision_process(small, group) for group in (0, 1)]
    quantecon = by_quantecon_outside(processes)
    for process, ours, values in zip(processes, sequences.our_solve(small), quantecon, strict=True):
        np.testing.assert_allclose(np.asarray(process.transition.sum(axis=1)), 1.0, atol=1e-12)
        np.testing.assert_allclose(ours, values, rtol=0, atol=1e-10)
        problem = mdptoolbox_problem(*dense_actions(process), process.n_steps)
        theirs = by_mdptoolbox(problem, process.start)
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)


def test_tunnel_states_refuse_what_they_do_not_carry():
    with pytest.raises(ValueError, match="without learning"):
        decision_process(random_model(1, learning=True), 0)


def test_draws_are_models_and_are_proved(small):
    again, other = sequences_draws.draw(small, 4), sequences_draws.draw(small, 5)
    assert again.next_prob.tobytes() == sequences_draws.draw(small, 4).next_prob.tobytes()
    assert not np.array_equal(again.next_prob, other.next_prob)
    best = sequences_draws.best_of_draws(small, 2)
    assert "proved 4 times" in sequences_draws.check({"ours": best})


def test_growth_has_the_columns_of_its_figure():
    table = sequences_growth.growth({"lines": ("n_lines", (1, 2))}, n_regimens=4, n_steps=8)
    assert list(table.columns) == ["axis", "size", "solver", "seconds"]
    assert table.groupby("size").size().tolist() == [2, 2]
    assert (table["seconds"] > 0).all()


def test_the_benchmark_instance_exists_with_few_classes():
    model = fs.sequence.examples.benchmark(
        n_classes=2, n_regimens=24, n_lines=2, n_groups=1, n_steps=3
    )
    assert len(model.regimens) == 24


def test_plain_loops_of_state_sequences():
    contenders = state_sequences.contenders(30, plain=True)
    assert "435 distances agree" in state_sequences.check(
        {k: f() for k, f in contenders.items() if f is not None}
    )


def test_plain_alignment():
    assert "agree" in alignment.measure(patients=30, plain=3, repeats=1)
