"""Kaplan-Meier curve with Greenwood's interval, 12,000,000 patients, times in whole days."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import agree, in_r, where_installed

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

    def greenwood() -> object:
        import greenwood as gw

        fit = gw.KaplanMeier().fit(gw.Surv(time=time, event=event))
        return fit.to_frame(format="pandas")["estimate"].to_numpy()

    return {
        "fiac_survival": ours,
        "lifelines": lifelines,
        "greenwood": where_installed("greenwood", greenwood),
        "R survival": in_r(
            "survfit(Surv(time, event) ~ 1, data)$surv", {"time": time, "event": event.astype(int)}
        ),
    }


def check(results: Mapping[str, object]) -> str:
    return f"curves agree within {agree(results, rtol=1e-9, atol=1e-12):.1e}"


TASK = Task("Kaplan-Meier, 12,000,000 rows by day", make, 7, check)
