"""MaxCombo of two groups, 1,000,000 patients, times in whole days; the peer does one of its four tests."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import agree, where_installed

N = 1_000_000


def make() -> Contenders:
    from lifelines.statistics import logrank_test

    rng = np.random.default_rng(20261122)
    arm = rng.integers(0, 2, N)
    time = np.ceil(rng.exponential(1500.0 * np.exp(0.01 * arm))).clip(1, 4000)
    event = (time < 4000) & (rng.random(N) < 0.7)

    def ours() -> object:
        return fs.survival.maxcombo(fs.Outcome(time, event), arm).table["z"].iloc[0] ** 2

    def lifelines() -> object:
        treated = arm == 1
        return logrank_test(
            time[treated], time[~treated], event[treated], event[~treated]
        ).test_statistic

    def greenwood() -> object:
        import greenwood as gw

        weights = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)]
        found = gw.maxcombo_test(gw.Surv(time=time, event=event), group=arm, weights=weights)
        return found.z_statistics[0.0, 0.0] ** 2

    return {
        "fiac_survival": ours,
        "lifelines (log-rank only)": lifelines,
        "greenwood": where_installed("greenwood", greenwood),
    }


def check(results: Mapping[str, object]) -> str:
    return f"log-rank statistics agree within {agree(results, rtol=1e-6):.1e}"


TASK = Task("MaxCombo, 1,000,000 rows by day", make, 5, check)
