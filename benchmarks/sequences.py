"""Treatment sequences: 10 classes, 24 regimens, 6 lines, 12 groups, 240 months, against plain loops.

The plain loops are the Bellman equation as it is written, one thread a (state, group), on the same states,
rewards and kernels. They come in
two orders: the sum over steps innermost, as the equation has it, and remaining steps innermost, which a
compiler can vectorise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numba import njit, prange

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from fiac_survival.sequence import SequenceModel
from fiac_survival.sequence.objectives import make_problem


@njit(parallel=True, nogil=True)
def plain_line(
    after: Any, level: Any, allowed: Any, reward: Any, chain: Any, value_next: Any, out: Any
) -> None:
    """One line: V(i, g, r) = max over a of R(r) + sum over u <= r of K[u] V'(r - u)."""
    n_groups, n, width = out.shape
    for place in prange(n * n_groups):
        i, g = place // n_groups, place % n_groups
        out[g, i, :] = -np.inf
        for a in range(after.shape[1]):
            if not allowed[a, g] or after[i, a] < 0:
                continue
            h, j = level[i, a], after[i, a]
            for r in range(width):
                total = reward[a, g, h, r]
                for u in range(1, r + 1):
                    total += chain[a, g, h, u] * value_next[g, j, r - u]
                out[g, i, r] = max(out[g, i, r], total)


@njit(parallel=True, nogil=True)
def plain_line_by_remaining(
    after: Any, level: Any, allowed: Any, reward: Any, chain: Any, value_next: Any, out: Any
) -> None:
    """The same sums with remaining steps innermost."""
    n_groups, n, width = out.shape
    for place in prange(n * n_groups):
        i, g = place // n_groups, place % n_groups
        out[g, i, :] = -np.inf
        total = np.empty(width)
        for a in range(after.shape[1]):
            if not allowed[a, g] or after[i, a] < 0:
                continue
            h, j = level[i, a], after[i, a]
            total[:] = reward[a, g, h]
            for u in range(1, width):
                weight = chain[a, g, h, u]
                for r in range(u, width):
                    total[r] += weight * value_next[g, j, r - u]
            for r in range(width):
                out[g, i, r] = max(out[g, i, r], total[r])


def plain_solve(model: SequenceModel, line_solver: Callable[..., None] = plain_line) -> np.ndarray:
    """Values of line 1 by group and remaining steps, in months; models without learning."""
    problem = make_problem(model)
    value = problem.terminal[:, None, :]
    for line in range(model.n_lines - 1, -1, -1):
        states = model.states.lines[line]
        out = np.empty((len(model.groups), states.size, problem.horizon + 1))
        line_solver(
            states.after,
            states.level,
            model.allowed[line],
            problem.reward[line],
            problem.chain[line],
            value,
            out,
        )
        value = out
    return value[:, 0] * problem.factor


def our_solve(model: SequenceModel) -> np.ndarray:
    """The same by the solver."""
    solution = model.solve()
    return solution.values[0][:, 0] * solution.problem.factor


def small_instance() -> SequenceModel:
    """What compiles everything and takes no time."""
    return fs.sequence.examples.benchmark(
        n_classes=3, n_regimens=4, n_lines=2, n_groups=2, n_steps=12, n_levels=2
    )


def make() -> Contenders:
    small = small_instance()
    our_solve(small)
    for line_solver in (plain_line, plain_line_by_remaining):
        plain_solve(small, line_solver)
    model = fs.sequence.examples.benchmark()
    return {
        "fiac_survival": lambda: our_solve(model),
        "Numba loops over (state, group)": lambda: plain_solve(model),
        "the same, vectorisable": lambda: plain_solve(model, plain_line_by_remaining),
    }


def check(results: Mapping[str, object]) -> str:
    ours, *peers = (np.asarray(value) for value in results.values())
    for theirs in peers:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10)
    worst = max(float(np.abs(ours - theirs).max()) for theirs in peers)
    return f"values of line 1 agree in {ours.size} places, largest difference {worst:.0e} months"


TASK = Task("Sequences: 6 lines, 24 regimens, 12 groups, 240 steps", make, 3, check)
