"""Coverage of 95 % intervals of weighted estimates, by simulation with known truth.

Two confounders, a logistic propensity of moderate strength (effective sample size above 0.75 n), and
exponential times whose hazard depends strongly on both. Truths come from numerical integration over the
confounders; the weighted Cox model is asked about the null, where its large-sample limit is 0. A share of
4,000 replicates has a standard error of 0.34 %.
"""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds

pytestmark = pytest.mark.slow

REPLICATES = 4_000
PROPENSITY = np.array([0.45, -0.35])
HAZARD = np.array([0.8, -0.6])
BASE, EFFECT = 0.12, -0.4
END, TAU, AT = 14.0, 10.0, 6.0


def simulate(rng: np.random.Generator, n: int, effect: float):
    x = rng.normal(size=(n, 2))
    treated = rng.random(n) < 1 / (1 + np.exp(-(x @ PROPENSITY)))
    rate = BASE * np.exp(x @ HAZARD + effect * treated)
    time = rng.exponential(1 / rate)
    censor = rng.uniform(4.0, 2 * END, n)
    return x, treated, fs.Outcome(np.minimum(time, censor), time <= censor)


def marginal_survival(t: np.ndarray, effect: float) -> np.ndarray:
    """E[exp(-t * hazard)] over x: the linear predictor is normal, so 200 Gauss-Hermite nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    spread = float(np.sqrt((HAZARD**2).sum()))
    rate = BASE * np.exp(spread * nodes + effect)
    return np.exp(-np.outer(t, rate)) @ (weights / weights.sum())


def truths() -> dict[str, float]:
    grid = np.linspace(0, TAU, 4001)
    area = [np.trapezoid(marginal_survival(grid, e), grid) for e in (0.0, EFFECT)]
    control, treated = (marginal_survival(np.array([AT]), e)[0] for e in (0.0, EFFECT))
    return {
        "rmst": area[1] - area[0],
        "milestone": treated - control,
        "control": control,
        "treated": treated,
        "hazard_ratio": 0.0,
    }


def coverage(n: int, *, variance: str, known: bool) -> tuple[dict[str, float], float]:
    """Share of intervals that hold the truth, and the mean effective share of patients."""
    truth = truths()
    inside = dict.fromkeys(truth, 0)
    effective = 0.0
    for replicate in range(REPLICATES):
        rng = seeds.stream(1, "weighted coverage", n, replicate)
        for effect, measures in ((EFFECT, ("rmst", "milestone")), (0.0, ("hazard_ratio",))):
            x, treated, y = simulate(rng, n, effect)
            if known:
                e = 1 / (1 + np.exp(-(x @ PROPENSITY)))
                w = np.where(treated, 1 / e, 1 / (1 - e))
                share = w.sum() ** 2 / (w @ w) / n
            else:
                w = fs.compare.weights(x, treated)
                share = float((w.ess * 1.0).sum()) / n
            effective += share / 2
            for measure in measures:
                found = fs.compare.effect(
                    y,
                    treated,
                    measure=measure,
                    tau={"rmst": TAU, "milestone": AT}.get(measure),
                    weights=w,
                    weight_variance=variance,
                )
                target = np.exp(truth[measure]) if measure == "hazard_ratio" else truth[measure]
                inside[measure] += found.lower <= target <= found.upper
                if measure == "milestone":
                    for arm, row in found.arms.set_index("arm").iterrows():
                        inside[arm] += row["lower"] <= truth[arm] <= row["upper"]
    shares = {name: float(count) / REPLICATES for name, count in inside.items()}
    return shares, float(effective) / REPLICATES


@pytest.mark.parametrize("n", [400, 1000])
@pytest.mark.parametrize("known", [False, True])
def test_intervals_cover(n, known, record_property):
    shares, effective = coverage(n, variance="fixed" if known else "estimated", known=known)
    record_property("coverage", shares)
    print(
        f"n={n}, {'known' if known else 'estimated'} weights: {shares}, effective {effective:.3f}"
    )
    assert effective > 0.75
    low = 0.930 if n == 400 else 0.935
    for name, share in shares.items():
        assert low <= share <= 0.965, (name, share)


def test_taking_estimated_weights_as_known_covers_too_often():
    shares, _ = coverage(400, variance="fixed", known=False)
    print(f"n=400, estimated weights taken as known: {shares}")
    for name in ("rmst", "milestone", "hazard_ratio"):
        assert shares[name] > 0.97, (name, shares[name])
