"""Coverage of 95 % intervals for competing risks, by simulation with known truth.

A binary covariate x and, in the regressions, a normal one z; the incidence of cause 1 is
1-{1-p(1-exp(-t))}^exp(linear predictor), as in Fine and Gray (1999), so that its subdistribution
hazards are proportional; cause 2 follows an exponential law. Censoring is uniform. With delayed entry
half of the patients enter at a uniform time, if they are still free of events. A share of 2,000
replicates has a standard error of 0.5 %.
"""

from __future__ import annotations

import numba
import numpy as np
import pytest
from scipy.integrate import quad

import fiac_survival as fs
from fiac_survival.core import seeds

pytestmark = pytest.mark.slow

REPLICATES, PATIENTS = 2_000, 500
P, EFFECT, OTHER = 0.4, np.array([0.5, 0.3]), 0.3
TIMES, TAU = [0.5, 1.5], 2.0


def first_cause(t, predictor):
    return 1 - (1 - P * (1 - np.exp(-t))) ** np.exp(predictor)


def incidence(t, x):
    """Of cause 1 and cause 2 at z = 0."""
    never = (1 - P) ** np.exp(EFFECT[0] * x)
    return first_cause(t, EFFECT[0] * x), never * (1 - np.exp(-t * np.exp(OTHER * x)))


def draw(rng: np.random.Generator, n: int, *, spread: float):
    x, z = rng.integers(0, 2, n).astype(float), spread * rng.normal(size=n)
    predictor = EFFECT[0] * x + EFFECT[1] * z
    never = (1 - P) ** np.exp(predictor)
    is_first = rng.random(n) > never
    u = rng.random(n) * (1 - never)
    first = -np.log(1 - (1 - (1 - u) ** np.exp(-predictor)) / P)
    other = rng.exponential(np.exp(-OTHER * x))
    time = np.where(is_first, first, other)
    end = rng.uniform(0.6, 5.0, n)
    event = np.where(time <= end, np.where(is_first, 1, 2), 0)
    return np.minimum(time, end), event, x, z


def simulate(rng: np.random.Generator, *, spread: float = 0.0, late: bool = False):
    time, event, x, z = draw(rng, 3 * PATIENTS if late else PATIENTS, spread=spread)
    entry = None
    if late:
        entry = np.where(rng.random(time.size) < 0.5, rng.uniform(0, 0.8, time.size), 0.0)
        seen = np.flatnonzero(entry < time)[:PATIENTS]
        time, event, x, z, entry = time[seen], event[seen], x[seen], z[seen], entry[seen]
    return fs.Outcome(time, event, entry=entry), x, np.column_stack([x, z])


def curves(rng, hits, name, *, late=False, weighted=False, clustered=False):
    y, x, _ = simulate(rng, late=late)
    weights = rng.choice([0.5, 1.0, 3.0], len(y)) if weighted else None
    cluster = None
    if clustered:  # each patient twice
        rows = np.repeat(np.arange(len(y)), 2)
        y, x, cluster = y.take(rows), x[rows], rows
    found = fs.survival.aalen_johansen(y, group=x, weights=weights, cluster=cluster).at(TIMES)
    for g, cause, t, low, high in zip(
        *(found[c] for c in ("group", "cause", "time", "lower", "upper")), strict=True
    ):
        key = f"incidence, {name}", cause, g, t
        hits[key] = hits.get(key, 0) + (low <= incidence(t, g)[cause - 1] <= high)
    lost = fs.survival.rmtl(
        y, tau=TAU, group=x, weights=weights, cluster=cluster, beyond="last value"
    )
    difference = lost.contrast.query("contrast == 'difference'")
    for cause, low, high in zip(*(difference[c] for c in ("cause", "lower", "upper")), strict=True):
        key = f"rmtl difference, {name}", cause
        hits[key] = hits.get(key, 0) + (low <= TRUE_DIFFERENCE[cause - 1] <= high)


TRUE_DIFFERENCE = [
    quad(lambda t, k=k: incidence(t, 1)[k] - incidence(t, 0)[k], 0, TAU)[0] for k in (0, 1)
]


def regression(rng, hits, name, *, late=False):
    y, _, covariates = simulate(rng, spread=1.0, late=late)
    model = fs.survival.fine_gray(y, covariates)
    for j in range(2):
        error = np.abs(model.coef.iloc[j] - EFFECT[j])
        key = f"fine_gray, {name}", f"coefficient {j}"
        hits[key] = hits.get(key, 0) + (error <= 1.959964 * model.table["std_error"].iloc[j])
    found = model.predict_incidence([[1.0, 0.5]], TIMES)
    for t, low, high in zip(found["time"], found["lower"], found["upper"], strict=True):
        key = f"fine_gray, {name}", f"incidence at {t}"
        hits[key] = hits.get(key, 0) + (low <= first_cause(t, EFFECT @ [1.0, 0.5]) <= high)


def test_coverage():
    hits: dict[tuple[object, ...], int] = {}
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        for replicate in range(REPLICATES):
            rng = seeds.stream(1, "competing coverage", replicate)
            curves(rng, hits, "plain")
            curves(rng, hits, "weighted", weighted=True)
            curves(rng, hits, "clustered", clustered=True)
            curves(rng, hits, "delayed entry", late=True)
            regression(rng, hits, "plain")
            regression(rng, hits, "delayed entry", late=True)
    finally:
        numba.set_num_threads(threads)
    share = {key: 100 * count / REPLICATES for key, count in hits.items()}
    for key, value in share.items():
        print(*key, round(value, 1))
    for key, value in share.items():
        assert abs(value - 95.0) < 2.0, (key, value)
