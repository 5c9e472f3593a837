"""Weighted Kaplan-Meier curves of three groups with robust standard errors, 1,000,000 patients by day."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import agree, in_r, where_installed

N = 1_000_000
DAYS = [365.0, 1000.0, 2000.0]


def make() -> Contenders:
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(20261123)
    time = np.ceil(rng.exponential(1500.0, N)).clip(1, 4000)
    event = (time < 4000) & (rng.random(N) < 0.7)
    group, weights = rng.integers(0, 3, N), rng.uniform(0.5, 2.0, N)

    def ours() -> object:
        y = fs.Outcome(time, event)
        at = fs.survival.kaplan_meier(y, group=group, weights=weights).at(DAYS)
        return at["survival"].to_numpy()

    def lifelines() -> object:
        out = []
        with warnings.catch_warnings():
            # It says that its standard errors do not hold with such weights.
            warnings.simplefilter("ignore")
            for g in range(3):
                mine = group == g
                fit = KaplanMeierFitter().fit(time[mine], event[mine], weights=weights[mine])
                out.append(fit.survival_function_at_times(DAYS).to_numpy())
        return np.concatenate(out)

    def greenwood() -> object:
        import greenwood as gw

        fit = gw.KaplanMeier().fit(gw.Surv(time=time, event=event), by=group, weights=weights)
        parts = fit.to_frame(format="pandas").groupby("strata")
        return np.concatenate(
            [
                p["estimate"].to_numpy()[np.searchsorted(p["time"], DAYS, side="right") - 1]
                for _, p in parts
            ]
        )

    r = in_r(
        "summary(survfit(Surv(time, event) ~ group, data, weights = w, robust = TRUE), "
        f"times = c({', '.join(map(str, DAYS))}))$surv",
        {"time": time, "event": event.astype(int), "group": group, "w": weights},
    )
    return {
        "fiac_survival": ours,
        "lifelines (not robust)": lifelines,
        "greenwood": where_installed("greenwood", greenwood),
        "R survival": r,
    }


def check(results: Mapping[str, object]) -> str:
    return f"curves agree within {agree(results, rtol=1e-8):.1e}"


TASK = Task("Kaplan-Meier, weighted, robust, 3 groups, 1,000,000 rows", make, 5, check)
