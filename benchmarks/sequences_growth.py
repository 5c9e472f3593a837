"""How the cost of solving grows with lines, classes and horizon: a table, and its figure.

Around 6 lines, 10 classes, 24 regimens, 2 groups and 240 months one of them varies. The plain loops run
where they are expected to take at most PATIENCE seconds. Medians of three calls, after one that is not
counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import fiac_survival as fs
from benchmarks.sequences import our_solve, plain_solve, small_instance
from fiac_survival.core.released import write_table
from fiac_survival.sequence import SequenceModel

RESULTS = Path(__file__).parent / "results"
AXES = {
    "lines": ("n_lines", (2, 3, 4, 5, 6, 8)),
    "classes": ("n_classes", (4, 6, 8, 10, 12)),
    "horizon in months": ("n_steps", (60, 120, 240, 360, 480)),
}
PATIENCE = 8.0
LOOPS_PER_SECOND = 2e9
OURS, PLAIN = "fiac_survival", "Numba loops over (state, group)"


def plain_steps(model: SequenceModel) -> float:
    """Multiplications of the plain loops."""
    pairs = sum(int((states.after >= 0).sum()) for states in model.states.lines)
    return 0.5 * pairs * len(model.groups) * model.n_steps**2


def seconds_of(call: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def growth(sizes: dict[str, tuple[str, tuple[int, ...]]], **fixed: int) -> pd.DataFrame:
    """Seconds by axis, size and solver."""
    rows = []
    for axis, (argument, values) in sizes.items():
        for size in values:
            model = fs.sequence.examples.benchmark(**({"n_groups": 2} | fixed | {argument: size}))
            ours = our_solve(model)
            rows.append((axis, size, OURS, seconds_of(lambda m=model: our_solve(m))))
            if plain_steps(model) / LOOPS_PER_SECOND > PATIENCE:
                continue
            np.testing.assert_allclose(ours, plain_solve(model), rtol=0, atol=1e-10)
            rows.append((axis, size, PLAIN, seconds_of(lambda m=model: plain_solve(m))))
    return pd.DataFrame(rows, columns=["axis", "size", "solver", "seconds"])


def run() -> str:
    our_solve(small_instance())
    plain_solve(small_instance())
    table = RESULTS / "sequence_cost_growth.csv"
    write_table(table, growth(AXES))
    said = f"Growth of cost with lines, classes and horizon: {table.relative_to(RESULTS.parent.parent)}"
    from fiac_survival.report.drawing import DRAWINGS, draw_from_csv

    if "cost_growth" in DRAWINGS:
        options = {
            "title": "Seconds to solve a treatment-sequence model",
            "note": "Around 6 lines, 10 classes, 24 regimens, 2 groups, 240 months; median of 3 calls.",
        }
        draw_from_csv("cost_growth", table, table.with_suffix(""), options, simulated=False)
        said += ", drawn beside it"
    return said
