"""Coverage and double robustness of adjusted survival curves, by simulation with known truth.

Three confounders, one of them binary; treatment, event and censoring depend on all of them, censoring on
treatment too. Events follow proportional hazards within each arm, so that a Cox model by arm is right, and
so are a logistic propensity and a Cox model of censoring. A wrong model sees only noise. Truths are
averages of exp(-Ht) over a million patients. A share of 2,000 replicates has a standard error of 0.5 %.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds

pytestmark = pytest.mark.slow

REPLICATES, TAU, AT = 2_000, 4.0, 3.0
N_STANDARDISED, N_AUGMENTED = 500, 1_000
RATE = (0.30, 0.22)
EFFECT = (np.array([0.5, -0.3, 0.6]), np.array([0.2, -0.5, 0.4]))


def covariates(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.column_stack([rng.normal(size=(n, 2)), rng.integers(0, 2, n)])


def simulate(rng: np.random.Generator, n: int):
    x = covariates(rng, n)
    treated = rng.random(n) < 1 / (1 + np.exp(-(x @ [0.6, -0.4, 0.5] - 0.3)))
    arm = treated.astype(int)
    effect = np.where(treated[:, None], EFFECT[1], EFFECT[0])
    rate = np.array(RATE)[arm] * np.exp((x * effect).sum(axis=1))
    time = rng.exponential(1 / rate)
    end = rng.exponential(1 / (0.08 * np.exp(x @ [0.4, 0.2, -0.3] + 0.2 * arm)))
    end = np.minimum(end, rng.uniform(4.5, 9.0, n))
    return fs.Outcome(np.minimum(time, end), time <= end), treated, pd.DataFrame(x).add_prefix("x")


@cache
def truths() -> dict[str, float]:
    x = covariates(seeds.stream(1, "adjusted truth"), 1_000_000)
    out, grid = {}, np.linspace(0.0, TAU, 161)
    curves = []
    for arm in (0, 1):
        rate = RATE[arm] * np.exp(x @ EFFECT[arm])
        curve = np.array([np.exp(-rate * t).mean() for t in grid])
        curves.append(curve)
        out[f"survival, arm {arm}"] = float(np.exp(-rate * AT).mean())
        out[f"rmst, arm {arm}"] = float(np.trapezoid(curve, grid))
    out["survival difference"] = out["survival, arm 1"] - out["survival, arm 0"]
    out["rmst difference"] = out["rmst, arm 1"] - out["rmst, arm 0"]
    return out


def read(found: fs.compare.AdjustedSurvival) -> dict[str, tuple[float, float, float]]:
    """Estimate and interval of each quantity."""
    out = {}
    for name, table in (("survival", found.table), ("rmst", found.rmst)):
        for row in table.itertuples():
            key = f"{name}, arm {row.arm}"
            out[key] = getattr(row, name), row.lower, row.upper
        chosen = found.contrast.query("measure == @name and contrast == 'difference'").iloc[0]
        out[f"{name} difference"] = chosen["estimate"], chosen["lower"], chosen["upper"]
    return out


def run(estimators, n: int, name: str, replicates: int = REPLICATES):
    """Share of intervals that hold the truth, and the bias in its own standard errors."""
    truth = truths()
    hits: dict[tuple[str, str], int] = {}
    values: dict[tuple[str, str], list[float]] = {}
    for k in range(replicates):
        y, treated, x = simulate(seeds.stream(1, name, k), n)
        noise = pd.DataFrame({"noise": seeds.stream(2, name, k).normal(size=n)})
        for label, estimator in estimators.items():
            for key, (estimate, low, high) in read(estimator(y, treated, x, noise)).items():
                hits[label, key] = hits.get((label, key), 0) + (low <= truth[key] <= high)
                values.setdefault((label, key), []).append(estimate)
    coverage = {key: 100 * count / replicates for key, count in hits.items()}
    bias = {key: float(np.mean(v)) - truth[key[1]] for key, v in values.items()}
    spread = {key: float(np.std(v, ddof=1)) for key, v in values.items()}
    for key in coverage:
        print(*key, f"coverage {coverage[key]:.1f}", f"bias {bias[key]:+.4f} sd {spread[key]:.4f}")
    return coverage, bias, spread


def standardised(model, **options):
    def fit(y, treated, x, noise):
        return fs.compare.standardised_survival(
            y, treated, x, times=[AT], tau=TAU, model=model, **options
        )

    return fit


def augmented(*, outcome=True, assignment=True, folds=5):
    def fit(y, treated, x, noise):
        return fs.compare.aipw_survival(
            y,
            treated,
            x if outcome else noise,
            X_propensity=x if assignment else noise,
            X_censoring=x if assignment else noise,
            times=[AT],
            tau=TAU,
            folds=folds,
        )

    return fit


def test_standardised_intervals_cover():
    coverage, _, _ = run(
        {
            "cox": standardised("cox"),
            "weibull": standardised("weibull_ph"),
            "royston_parmar": standardised("royston_parmar", knots=1),
        },
        N_STANDARDISED,
        "standardised coverage",
    )
    for key, share in coverage.items():
        assert abs(share - 95.0) < 2.0, (key, share)


def test_augmented_intervals_cover():
    coverage, _, _ = run({"aipw": augmented()}, N_AUGMENTED, "augmented coverage")
    for key, share in coverage.items():
        assert abs(share - 95.0) < 2.0, (key, share)


def test_one_wrong_model_is_forgiven_and_two_are_not():
    replicates = 500
    _, bias, spread = run(
        {
            "both right": augmented(),
            "outcome wrong": augmented(outcome=False),
            "treatment and censoring wrong": augmented(assignment=False),
            "both wrong": augmented(outcome=False, assignment=False),
        },
        N_AUGMENTED,
        "double robustness",
        replicates,
    )
    for (label, key), error in bias.items():
        if "difference" not in key:
            continue
        standardised_bias = abs(error) / spread[label, key]
        if label == "both wrong":
            assert standardised_bias > 1.0, (label, key, error)
        else:
            # Three Monte Carlo standard errors, and the bias of finite samples.
            assert standardised_bias < 3 / np.sqrt(replicates) + 0.1, (label, key, error)
