"""Cumulative incidence, 1,000,000 patients in three groups, weighted, all times distinct."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task

N = 1_000_000


def make() -> Contenders:
    rng = np.random.default_rng(20261122)
    y = fs.Outcome(rng.exponential(1500.0, N), rng.choice(3, N, p=[0.4, 0.35, 0.25]))
    group, weights = rng.integers(0, 3, N), rng.uniform(0.5, 2.0, N)

    def ours() -> object:
        return fs.survival.aalen_johansen(y, group=group, weights=weights).at(1000.0)

    return {"fiac_survival": ours}


def check(results: Mapping[str, object]) -> str:
    (at,) = results.values()
    return f"no peer takes weights and groups; {len(at)} incidences at day 1000"  # type: ignore[arg-type]


TASK = Task("Aalen-Johansen, weighted, 1,000,000 distinct times", make, 5, check)
