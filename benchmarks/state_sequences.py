"""Optimal matching of courses of states: ours, plain Numba loops, and sequenzo where it is installed.

1,500 courses of 60 months in 6 states (``--full``: 6,000, without the plain loops), substitution costs
between 1 and 2. The plain loops are the recurrence for one pair after the other. sequenzo (C++) is not a
dependency: it asks for an older SciPy than the lock has, and for a dozen packages besides; the table says
"not installed" unless it is in the environment that runs this.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping

import numba
import numpy as np
import pandas as pd

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import where_installed

N_STATES, LENGTH, INDEL = 6, 60, 1.0
STATES = list("ABCDEF")
FEW, MANY = 1_500, 6_000


def courses(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Courses that stay in a state nine times of ten, and costs of substitution."""
    rng = np.random.default_rng(seed)
    code = np.empty((n, LENGTH), dtype=np.int64)
    code[:, 0] = rng.integers(0, N_STATES, n)
    for t in range(1, LENGTH):
        new = rng.integers(0, N_STATES, n)
        code[:, t] = np.where(rng.random(n) < 0.9, code[:, t - 1], new)
    cost = np.round(rng.uniform(1.0, 2.0, (N_STATES, N_STATES)), 3)
    cost = np.triu(cost, 1)
    return code, cost + cost.T


@numba.njit
def plain_loops(code: np.ndarray, cost: np.ndarray, indel: float) -> np.ndarray:
    """The recurrence, pair by pair."""
    n, length = code.shape
    out = np.empty(n * (n - 1) // 2)
    line = np.empty(length + 1)
    place = 0
    for i in range(n):
        for j in range(i + 1, n):
            for b in range(length + 1):
                line[b] = indel * b
            for a in range(length):
                corner = line[0]
                line[0] += indel
                for b in range(length):
                    above = line[b + 1]
                    line[b + 1] = min(
                        corner + cost[code[i, a], code[j, b]], above + indel, line[b] + indel
                    )
                    corner = above
            out[place] = line[length]
            place += 1
    return out


def by_sequenzo(table: pd.DataFrame, cost: np.ndarray) -> np.ndarray:
    from sequenzo import SequenceData, get_distance_matrix

    with contextlib.redirect_stdout(io.StringIO()):
        times = [str(t) for t in range(LENGTH)]
        data = SequenceData(
            table.set_axis(times, axis=1).assign(id=range(len(table))),
            time=times,
            states=STATES,
            id_col="id",
        )
        square = get_distance_matrix(data, method="OM", sm=cost, indel=INDEL)
    square = np.asarray(square)
    return square[np.triu_indices(len(square), 1)]


def contenders(n: int, *, plain: bool) -> Contenders:
    code, cost = courses(n)
    table = pd.DataFrame(np.array(STATES)[code])
    fs.sequence.state_sequence_distances(table.iloc[:20], substitution=cost, alphabet=STATES)
    plain_loops(code[:20], cost, INDEL)
    out: dict[str, Callable[[], object] | None] = {
        "fiac_survival": lambda: (
            fs.sequence.state_sequence_distances(
                table, substitution=cost, indel=INDEL, alphabet=STATES
            ).condensed
        )
    }
    if plain:
        out["Numba loops, pair by pair"] = lambda: plain_loops(code, cost, INDEL)
    out["sequenzo"] = where_installed("sequenzo", lambda: by_sequenzo(table, cost))
    return out


def check(results: Mapping[str, object]) -> str:
    ours, *others = (np.asarray(value) for value in results.values())
    for other in others:
        np.testing.assert_allclose(ours, other, rtol=0, atol=1e-10)
    most = max((float(np.abs(ours - other).max()) for other in others), default=0.0)
    return f"{ours.size:,} distances agree, largest difference {most:.0e}"


TASK = Task(
    f"Optimal matching, {FEW:,} courses of {LENGTH} months",
    lambda: contenders(FEW, plain=True),
    3,
    check,
)
FULL = Task(
    f"Optimal matching, {MANY:,} courses of {LENGTH} months",
    lambda: contenders(MANY, plain=False),
    1,
    check,
)
