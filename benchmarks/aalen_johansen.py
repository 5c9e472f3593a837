"""Cumulative incidence of two causes, 1,000,000 patients, times in whole days, with standard errors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import Timed, agree, in_r, where_installed

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

    def greenwood() -> object:
        import greenwood as gw

        code = pd.Categorical.from_codes(event, ["censored", "1", "2"])
        table = gw.AalenJohansen().fit(gw.Surv(time=time, event=code)).to_frame(format="pandas")
        at = [
            part["estimate"].to_numpy()[np.searchsorted(part["time"], DAYS, side="right") - 1]
            for _, part in table.groupby("cause")
        ]
        return np.stack(at)

    r = in_r(
        "summary(survfit(Surv(time, factor(event)) ~ 1, data, id = seq_along(time)), "
        f"times = c({', '.join(map(str, DAYS))}))$pstate[, -1]",
        {"time": time, "event": event},
    )

    def in_rows() -> object:
        assert r is not None
        found = r()
        assert isinstance(found, Timed)
        return Timed(np.reshape(found.value, (2, -1)), found.seconds)

    return {
        "fiac_survival": ours,
        "scikit-survival": scikit_survival,
        "greenwood": where_installed("greenwood", greenwood),
        "R survival": None if r is None else in_rows,
    }


def check(results: Mapping[str, object]) -> str:
    return f"incidences agree within {agree(results, rtol=1e-9):.1e}"


TASK = Task("Aalen-Johansen, 1,000,000 rows by day", make, 5, check)
