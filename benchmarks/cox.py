"""Cox model, 1,000,000 patients, five covariates, times in whole days (so with ties), Efron."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import agree, in_r, where_installed

N = 1_000_000


def make() -> Contenders:
    from lifelines import CoxPHFitter

    rng = np.random.default_rng(20261121)
    x = pd.DataFrame(rng.normal(size=(N, 5)), columns=list("abcde"))
    risk = np.exp(x.to_numpy() @ [0.3, -0.2, 0.1, 0.0, 0.5])
    time = np.ceil(rng.exponential(1500.0 / risk)).clip(1, 3650)
    event = (time < 3650) & (rng.random(N) < 0.8)
    frame = x.assign(time=time, event=event)

    def ours() -> object:
        return fs.survival.cox(fs.Outcome(time, event), x).coef.to_numpy()

    def lifelines() -> object:
        fit = CoxPHFitter().fit(frame, "time", "event")
        return fit.params_.to_numpy()

    def scikit_survival() -> object:
        from sksurv.linear_model import CoxPHSurvivalAnalysis
        from sksurv.util import Surv

        fit = CoxPHSurvivalAnalysis(ties="efron").fit(x, Surv.from_arrays(event, time))
        return fit.coef_

    def greenwood() -> object:
        import greenwood as gw

        return gw.CoxPH().fit(gw.Surv(time=time, event=event), x).coef_

    return {
        "fiac_survival": ours,
        "lifelines": lifelines,
        "scikit-survival": scikit_survival,
        "greenwood": where_installed("greenwood", greenwood),
        "R survival": in_r(
            "coef(coxph(Surv(time, event) ~ a + b + c + d + e, data))",
            {name: x[name] for name in x} | {"time": time, "event": event.astype(int)},
        ),
    }


def check(results: Mapping[str, object]) -> str:
    return f"coefficients agree, largest difference {agree(results, rtol=0.0, atol=1e-5):.1e}"


TASK = Task("Cox, 1,000,000 x 5, ties (Efron)", make, 3, check)
