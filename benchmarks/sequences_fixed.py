"""744 fixed sequences of a four-line model, each valued exactly.

Ten regimens, two groups, 240 months; the first 744 sequences in the order of regimens that give none twice.
Published for context: a decision model of renal cell carcinoma enumerated 744 sequences in 40-90
processor-minutes (NICE renal-cell pathway model). It is another model on another machine: no ratio.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from fiac_survival.sequence import SequenceModel
from fiac_survival.sequence.fixed import Prefix, extend, finish, start
from fiac_survival.sequence.objectives import make_problem

N_SEQUENCES = 744


def sequences_of(model: SequenceModel, n: int) -> list[tuple[int, ...]]:
    """The first sequences that give no regimen twice."""
    every = itertools.permutations(range(len(model.regimens)), model.n_lines)
    return list(itertools.islice(every, n))


def one_by_one(
    model: SequenceModel, sequences: Sequence[tuple[int, ...]], group: str
) -> np.ndarray:
    """Each sequence for itself."""
    return np.array(
        [model.value_of([model.regimens[a] for a in regimens], group) for regimens in sequences]
    )


def sharing_prefixes(
    model: SequenceModel, sequences: Sequence[tuple[int, ...]], group: str
) -> np.ndarray:
    """Sequences in order, so that what two of them begin with is computed once."""
    problem, g = make_problem(model), model.group_index(group)
    path: list[Prefix] = [start(model, problem, g)]
    out = []
    for regimens in sequences:
        common = len(path) - 1
        while path[common].regimens != regimens[:common]:
            common -= 1
        del path[common + 1 :]
        for a in regimens[common:]:
            longer = extend(model, problem, path[-1], a)
            assert longer is not None
            path.append(longer)
        out.append(problem.report(finish(problem, path[-1]), g, problem.horizon))
    return np.array(out)


def make() -> Contenders:
    model = fs.sequence.examples.benchmark(n_lines=4, n_regimens=10, n_groups=2)
    sequences, group = sequences_of(model, N_SEQUENCES), model.groups[0]
    one_by_one(model, sequences[:1], group)
    return {
        "fiac_survival, prefixes shared": lambda: sharing_prefixes(model, sequences, group),
        "fiac_survival, value_of each": lambda: one_by_one(model, sequences, group),
    }


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10)
    return (
        f"{a.size} values agree, largest difference {np.abs(a - b).max():.0e} months; published for "
        "another model: 744 sequences in 40-90 processor-minutes (NICE renal-cell pathway model)"
    )


TASK = Task(f"Sequences: {N_SEQUENCES} fixed ones, 4 lines", make, 3, check)
