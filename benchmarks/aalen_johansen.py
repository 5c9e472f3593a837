"""Cumulative incidence of two causes, 1,000,000 patients, times in whole days, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task

N = 1_000_000
DAYS = [365.0, 1000.0, 2000.0]


def make() -> Contenders:
    from sksurv.nonparametric import cumulative_incidence_competing_risks

    rng = np.random.default_rng(20261122)
    time = np.ceil(rng.exponential(1500.0, N)).clip(1, 4000)
    event = np.where(time < 4000, rng.choice(3, N, p=[0.4, 0.35, 0.25]), 0)

    def ours() -> object:
        at = fs.survival.aalen_johansen(fs.Outcome(time, event)).at(DAYS)
        return at["incidence"].to_numpy().reshape(2, -1)

    def scikit_survival() -> object:
        grid, incidence, _ = cumulative_incidence_competing_risks(
            event, time, conf_type="log-log", var_type="Aalen"
        )
        return incidence[1:, np.searchsorted(grid, DAYS, side="right") - 1]

    return {"fiac_survival": ours, "scikit-survival": scikit_survival}


def check(results: Mapping[str, object]) -> str:
    a, b = (np.asarray(value) for value in results.values())
    np.testing.assert_allclose(a, b, rtol=1e-9)
    return f"incidences agree at {a.size} points"


TASK = Task("Aalen-Johansen, 1,000,000 rows by day", make, 5, check)
