"""Draws of the parameters of a sequence model: 5 lines, 16 regimens, 4 groups, 180 months.

Each draw has kernels of its own, is solved, and the ten best fixed sequences of every group are found and
proved. 100 draws a call; 1,000 with ``--full``. Making a draw's kernels is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from fiac_survival.sequence import SequenceModel

BEST = 10


def draw(model: SequenceModel, number: int) -> SequenceModel:
    """Multiply the hazard of leaving each line by a log-normal number for each kernel."""
    rng = np.random.default_rng([20261121, number])
    ratio = np.exp(rng.normal(0.0, 0.15, model.next_prob.shape[:4]))[..., None]
    leaving = model.next_prob + model.death_prob
    survival = np.maximum(1.0 - np.cumsum(leaving, axis=-1), 0.0) ** ratio
    before = np.concatenate([np.ones_like(survival[..., :1]), survival[..., :-1]], axis=-1)
    scale = np.divide(before - survival, leaving, out=np.zeros_like(leaving), where=leaving > 0)
    return model.with_kernels(model.next_prob * scale, model.death_prob * scale)


def best_of_draws(model: SequenceModel, n_draws: int) -> list[fs.sequence.BestSequences]:
    """The best sequences of each draw and group."""
    out = []
    for number in range(n_draws):
        drawn = draw(model, number)
        solution = drawn.solve()
        out += [drawn.best_sequences(BEST, group, solution=solution) for group in drawn.groups]
    return out


def maker(n_draws: int) -> Callable[[], Contenders]:
    def make() -> Contenders:
        model = fs.sequence.examples.benchmark(n_lines=5, n_regimens=16, n_groups=4, n_steps=180)
        best_of_draws(model, 1)
        return {"fiac_survival": lambda: best_of_draws(model, n_draws)}

    return make


def check(results: Mapping[str, object]) -> str:
    (best,) = results.values()
    assert isinstance(best, list)
    assert all(b.certificate["proved"] and len(b.sequences) == BEST for b in best)
    first = {b.sequences[0] for b in best}
    return (
        f"the {BEST} best of {best[0].certificate['possible_sequences']:,} sequences proved "
        f"{len(best)} times; {len(first)} sequences were best"
    )


def task(n_draws: int) -> Task:
    def remark(seconds: Mapping[str, float]) -> str:
        (one,) = seconds.values()
        measured = "measured" if n_draws == 1000 else f"from {n_draws} measured"
        return f"1,000 draws take {one / n_draws * 1000 / 60:.1f} minutes ({measured})"

    return Task(
        f"Sequences: {n_draws:,} draws, {BEST} best, 4 groups", maker(n_draws), 1, check, remark
    )


TASK = task(100)
FULL = task(1000)
