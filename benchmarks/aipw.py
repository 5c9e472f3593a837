"""Augmented curves and restricted means, five folds of Cox models, 10,000 patients, four covariates.

No Python package that could be a peer has the estimator.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task

N = 10_000


def make() -> Contenders:
    rng = np.random.default_rng(20261123)
    x = rng.normal(size=(N, 4))
    treated = rng.random(N) < 1 / (1 + np.exp(-x[:, 0]))
    time = np.ceil(rng.exponential(1500.0 * np.exp(-0.4 * x[:, 0] + 0.3 * treated)))
    end = np.ceil(rng.uniform(1000.0, 4000.0, N))
    y = fs.Outcome(np.minimum(time, end), time <= end)

    def augmented() -> object:
        found = fs.compare.aipw_survival(y, treated, x, times=[365.0, 730.0], tau=900.0)
        return found.contrast

    def standardised() -> object:
        found = fs.compare.standardised_survival(y, treated, x, times=[365.0, 730.0], tau=900.0)
        return found.contrast

    return {"fiac_survival, augmented": augmented, "fiac_survival, standardised": standardised}


def check(results: Mapping[str, object]) -> str:
    gains = [
        float(table.query("measure == 'rmst'")["estimate"].iloc[0])  # type: ignore[attr-defined]
        for table in results.values()
    ]
    assert abs(gains[0] - gains[1]) < 15.0, gains
    return f"no peer; gains within 900 days: {gains[0]:.1f} and {gains[1]:.1f} days"


TASK = Task("Adjusted survival, 10,000 x 4", make, 3, check)
