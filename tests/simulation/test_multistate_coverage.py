"""Coverage of 95 % intervals of multistate estimates, by simulation with known truth.

An illness-death process with constant hazards and one binary covariate that acts on every transition;
censoring is uniform. Truths are closed forms. Estimates without covariates are asked about the whole
population, where the process is not Markov (a mixture), so that only state occupation from the start is
asked for; predictions are asked about the exposed. A share of 2,000 replicates has a standard error of
0.5 %.
"""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds

pytestmark = pytest.mark.slow

REPLICATES, PATIENTS = 2_000, 300
HAZARD, EFFECT = np.array([0.5, 0.2, 0.6]), np.array([0.5, 0.3, 0.4])
TIMES, TAU = [0.5, 1.5], 1.5
EXPOSED = pd.DataFrame({"x": [1.0]})


def simulate(rng: np.random.Generator):
    x = rng.integers(0, 2, PATIENTS).astype(float)
    rate = HAZARD * np.exp(EFFECT * x[:, None])
    ill, dead, later = rng.exponential(1 / rate).T
    death = np.where(ill < dead, ill + later, dead)
    end = rng.uniform(1.6, 6.0, PATIENTS)
    first = np.minimum(dead, end)
    wide = pd.DataFrame(
        {
            "ill": np.minimum(ill, first),
            "fell_ill": (ill < first).astype(int),
            "end": np.minimum(death, end),
            "died": (death <= end).astype(int),
            "x": x,
        }
    )
    data = fs.survival.TransitionData.from_wide(
        wide,
        states={"well": None, "ill": ("ill", "fell_ill"), "dead": ("end", "died")},
        transitions={"well": ["ill", "dead"], "ill": ["dead"]},
    )
    return data, wide[["x"]]


def truth(x: float) -> dict[object, np.ndarray]:
    """Probabilities at each time, and expected times in each state up to τ."""
    a, b, c = HAZARD * np.exp(EFFECT * x)
    out: dict[object, np.ndarray] = {}
    for t in TIMES:
        well, late = np.exp(-(a + b) * t), np.exp(-c * t)
        ill = a / (c - a - b) * (well - late)
        out[t] = np.array([well, ill, 1 - well - ill])
    well, late = (1 - np.exp(-(a + b) * TAU)) / (a + b), (1 - np.exp(-c * TAU)) / c
    ill = a / (c - a - b) * (well - late)
    out["stay"] = np.array([well, ill, TAU - well - ill])
    return out


def read(found: fs.survival.TransitionProbabilities):
    """Estimates and standard errors, of what `truth` has."""
    at = found.at(TIMES)
    for t in TIMES:
        mine = at.query("time == @t")
        yield t, mine["probability"].to_numpy(), mine["std_error"].to_numpy()
    stays = found.length_of_stay(TAU)
    yield "stay", stays["stay"].to_numpy(), stays["std_error"].to_numpy()


def test_coverage():
    overall = {key: (value + truth(1.0)[key]) / 2 for key, value in truth(0.0).items()}
    exposed = truth(1.0)
    inside: dict[tuple[str, object], np.ndarray] = {}
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for replicate in range(REPLICATES):
            data, x = simulate(seeds.stream(1, "multistate coverage", replicate))
            jobs = {
                kind: (fs.survival.state_occupation(data, variance=kind), overall)
                for kind in ("aalen", "greenwood", "jackknife")
            }
            model = fs.survival.transition_cox(data, x)
            for kind in ("delta", "increments"):
                found = model.predict(EXPOSED, start="well", horizon=1.6, variance=kind)
                jobs[kind] = found, exposed
            for kind, (found, true) in jobs.items():
                for key, estimate, error in read(found):
                    hit = np.abs(estimate - true[key]) <= 1.959964 * error
                    inside[kind, key] = inside.get((kind, key), 0) + hit
    finally:
        numba.set_num_threads(threads)
    share = {key: 100 * hits / REPLICATES for key, hits in inside.items()}
    for key, values in share.items():
        print(*key, values.round(1))
    for kind, key in share:
        if kind != "increments":
            assert np.all(np.abs(share[kind, key] - 95.0) < 2.0), (kind, key, share[kind, key])
