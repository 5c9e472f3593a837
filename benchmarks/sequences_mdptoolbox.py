"""The sequence solver against pymdptoolbox, on the largest tunnel-state process that it holds.

pymdptoolbox wants a matrix of all states for each regimen, and checks those when it is given them, with
memory and time that grow with the square of the states. The instance is the benchmark's with two lines, one
group and as many regimens as it takes in within 8 GB and a minute: 6, which makes 10,286 states. Its time
is that of the recursion alone: neither laying the states out nor its check is counted.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.sequences import our_solve, small_instance
from benchmarks.tunnel_states import (
    by_mdptoolbox,
    decision_process,
    dense_actions,
    mdptoolbox_problem,
)

N_LINES, N_REGIMENS = 2, 6
checking: list[float] = []


def make() -> Contenders:
    our_solve(small_instance())
    model = fs.sequence.examples.benchmark(n_lines=N_LINES, n_regimens=N_REGIMENS, n_groups=1)
    process = decision_process(model, 0)
    actions = dense_actions(process)
    begun = time.perf_counter()
    problem = mdptoolbox_problem(*actions, process.n_steps)
    checking.append(time.perf_counter() - begun)
    return {
        "fiac_survival": lambda: our_solve(model)[0],
        "pymdptoolbox": lambda: by_mdptoolbox(problem, process.start),
    }


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    return f"value at {a.size} horizons agrees, largest difference {np.abs(a - b).max():.0e} months"


def remark(seconds: Mapping[str, float]) -> str:
    return f"pymdptoolbox's check before the recursion took {checking[0]:.1f} s, not counted"


TASK = Task("Sequences as a tunnel-state process, 2 lines, 6 regimens", make, 5, check, remark)
