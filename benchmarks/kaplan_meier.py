"""Kaplan-Meier curve with Greenwood's interval, 12,000,000 patients, times in whole days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task

N = 12_000_000


def make() -> Contenders:
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(20261121)
    time = rng.integers(1, 4018, N)
    event = rng.random(N) < 0.4

    def ours() -> object:
        table = fs.survival.kaplan_meier(fs.Outcome(time, event)).table
        return table["survival"].to_numpy()

    def lifelines() -> object:
        fit = KaplanMeierFitter().fit(time, event)
        return fit.survival_function_.to_numpy()[1:, 0]

    return {"fiac_survival": ours, "lifelines": lifelines}


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    return f"curves agree at {a.size} times"


TASK = Task("Kaplan-Meier, 12,000,000 rows by day", make, 7, check)
