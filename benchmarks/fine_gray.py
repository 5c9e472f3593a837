"""Fine-Gray model with its sandwich, 100,000 patients, five covariates, all times distinct.

Neither lifelines nor scikit-survival has the model. What a user of theirs would do is repeat each row with
a competing event at every later censoring; the Cox model of lifelines on the rows as they are, without that
repetition, is a lower bound of its cost. greenwood has the model, at a cost that grows with the square of
the rows: it gets the first FEW patients, and is held against ours on the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import fiac_survival as fs
from benchmarks.harness import Contenders, Task
from benchmarks.peers import where_installed

N, FEW = 100_000, 3_000


def make() -> Contenders:
    from lifelines import CoxPHFitter

    rng = np.random.default_rng(20261122)
    x = pd.DataFrame(rng.normal(size=(N, 5)), columns=list("abcde"))
    risk = np.exp(x.to_numpy() @ [0.3, -0.2, 0.1, 0.0, 0.5])
    time, end = rng.exponential(1000.0 / risk), rng.uniform(0, 3000, N)
    event = np.where(time < end, rng.choice([1, 2], N, p=[0.6, 0.4]), 0)
    time = np.minimum(time, end)
    frame = x.assign(time=time, event=event == 1)

    def ours() -> object:
        return fs.survival.fine_gray(fs.Outcome(time, event), x).coef.to_numpy()

    def lifelines() -> object:
        return CoxPHFitter().fit(frame, "time", "event").params_.to_numpy()

    def greenwood() -> object:
        import greenwood as gw

        code = pd.Categorical.from_codes(event[:FEW], ["censored", "1", "2"])
        response = gw.Surv(time=time[:FEW], event=code)
        fit = gw.FineGray(cause="1").fit(response, x.iloc[:FEW])
        same = fs.survival.fine_gray(fs.Outcome(time[:FEW], event[:FEW]), x.iloc[:FEW])
        np.testing.assert_allclose(fit.coef_, same.coef, atol=1e-5)
        return fit.coef_

    return {
        "fiac_survival": ours,
        "lifelines (Cox, one cause)": lifelines,
        f"greenwood (first {FEW} patients)": where_installed("greenwood", greenwood),
    }


def check(results: Mapping[str, object]) -> str:
    ours, other = (np.asarray(value) for value in list(results.values())[:2])
    return f"Cox of one cause is another model, off by up to {np.abs(ours - other).max():.2f}"


TASK = Task("Fine-Gray, 100,000 x 5, distinct times", make, 5, check)
