"""744 fixed sequences of a four-line model, each valued exactly.

Ten regimens, two groups, 240 months; the first 744 sequences in the order of regimens that give none twice.
Published for context: a decision model of renal cell carcinoma enumerated 744 sequences in 40-90
processor-minutes (NICE renal-cell pathway model). It is another model on another machine: no ratio.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task

N_SEQUENCES = 744


def make() -> Contenders:
    model = fs.sequence.examples.benchmark(n_lines=4, n_regimens=10, n_groups=2)
    every = itertools.permutations(model.regimens, model.n_lines)
    sequences, group = list(itertools.islice(every, N_SEQUENCES)), model.groups[0]
    fs.sequence.values_of(model, sequences[:1], group)
    return {
        "fiac_survival, values_of": lambda: fs.sequence.values_of(model, sequences, group),
        "fiac_survival, value_of each": lambda: np.array(
            [model.value_of(sequence, group) for sequence in sequences]
        ),
    }


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    return (
        f"{a.size} values agree, largest difference {np.abs(a - b).max():.0e} months; published for "
        "another model: 744 sequences in 40-90 processor-minutes (NICE renal-cell pathway model)"
    )


TASK = Task(f"Sequences: {N_SEQUENCES} fixed ones, 4 lines", make, 3, check)
