"""Difference of restricted means of two groups with its standard error, 1,000,000 patients by day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import agree, where_installed

N, TAU = 1_000_000, 3_000.0


def make() -> Contenders:
    from lifelines import KaplanMeierFitter
    from lifelines.utils import restricted_mean_survival_time

    rng = np.random.default_rng(20261123)
    arm = rng.integers(0, 2, N)
    time = np.ceil(rng.exponential(1500.0 * np.exp(0.1 * arm))).clip(1, 4000)
    event = (time < 4000) & (rng.random(N) < 0.7)

    def ours() -> object:
        found = fs.survival.rmst(fs.Outcome(time, event), tau=TAU, group=arm)
        return found.contrast["estimate"].iloc[0]

    def lifelines() -> object:
        # Its variance is not that of the restricted mean, so it is asked for the estimate alone.
        means = [
            restricted_mean_survival_time(
                KaplanMeierFitter().fit(time[arm == a], event[arm == a]), t=TAU
            )
            for a in (0, 1)
        ]
        return means[1] - means[0]

    def greenwood() -> object:
        import greenwood as gw

        found = gw.rmst_test(gw.Surv(time=time, event=event), TAU, group=arm)
        return abs(float(found.estimate))

    return {
        "fiac_survival": ours,
        "lifelines (no standard error)": lifelines,
        "greenwood": where_installed("greenwood", greenwood),
    }


def check(results: Mapping[str, object]) -> str:
    return f"differences agree within {agree(results, rtol=1e-8):.1e} days"


TASK = Task("RMST difference, 1,000,000 rows by day", make, 5, check)
