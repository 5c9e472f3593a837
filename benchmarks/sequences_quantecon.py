"""The sequence solver against QuantEcon, on the largest tunnel-state process that it holds.

QuantEcon's backward induction keeps value and action of every state and step, 16 bytes each. The instance
is the benchmark's with one group and as many lines as fit into 8 GB: 3, which makes 1.3 million states; a
fourth would take 18 GB. What it is given is ready: laying the states out is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.sequences import our_solve, small_instance
from benchmarks.tunnel_states import by_quantecon, decision_process

N_LINES = 3


def make() -> Contenders:
    our_solve(small_instance())
    model = fs.sequence.examples.benchmark(n_lines=N_LINES, n_groups=1)
    process = decision_process(model, 0)
    return {
        "fiac_survival": lambda: our_solve(model)[0],
        "QuantEcon": lambda: by_quantecon(process),
    }


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    return f"value at {a.size} horizons agrees, largest difference {np.abs(a - b).max():.0e} months"


TASK = Task("Sequences as a tunnel-state process, 3 lines", make, 3, check)
