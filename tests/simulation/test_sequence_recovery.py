"""Recovery by simulation: confounded patients whose best sequence and whose policies' values are known."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.sequence import cohorts, policy_value

POLICY = ("gentle", "strong")
CONFOUNDING = 1.6


def mix_of(lines):
    return float((lines.loc[lines["line"] == 1, "group"] == "high risk").mean())


def over_groups(value, share):
    return (1 - share) * value.of_group(0) + share * value.of_group(1)


# --- estimates and intervals ------------------------------------------------------------------------


def one_evaluation(seed, n=1_500, draws=50):
    """Estimate, standard error and coverage of each method, for a policy specified beforehand."""
    lines, formulary = cohorts.cohort(n, seed=seed)
    result = fs.sequence.evaluate(
        lines,
        POLICY,
        formulary=formulary,
        confounders=["frail"],
        unit="steps",
        methods=("g_formula", "ipw", "dr"),
        draws=draws,
        seed=seed,
        simulated=True,
    )
    # The truth of the population that the patients are drawn from.
    exact = over_groups(policy_value(cohorts.truth(), POLICY), 0.35)
    out = {}
    for row in result.table.itertuples():
        if row.method != "observed":
            covered = row.lower <= exact <= row.upper
            out[row.method] = (row.months - exact, row.std_error, covered)
    return out


def coverage(replicates, workers=None, **options):
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        found = list(pool.map(one_evaluation, range(1, replicates + 1), chunksize=8))
    return {
        method: (
            float(np.mean([f[method][0] for f in found])),
            float(np.std([f[method][0] for f in found], ddof=1)),
            float(np.mean([f[method][1] for f in found])),
            float(np.mean([f[method][2] for f in found])),
        )
        for method in found[0]
    }


@pytest.mark.slow
def test_intervals_cover():
    """1,000 replicates of 1,500 patients: bias below 0.15 SD, coverage of the 95 % interval 93-97 %."""
    for method, (bias, spread, error, covered) in coverage(1_000).items():
        print(
            f"{method}: bias {bias:.3f}, SD {spread:.3f}, mean SE {error:.3f}, cover {covered:.3f}"
        )
        assert abs(bias) < 0.15 * spread, method
        assert 0.93 <= covered <= 0.97, method


# --- which sequence is best --------------------------------------------------------------------------


def one_choice(seed, n=5_000, confounding=CONFOUNDING):
    """True value of the policy that looks best, and what it promised, with and without weights."""
    lines, formulary = cohorts.cohort(n, seed=seed, confounding=confounding)
    truth, share = cohorts.truth(), mix_of(lines)
    best = over_groups(policy_value(truth, truth.solve()), share)
    out = {}
    for name, confounders in (("naive", ()), ("weighted", ("frail",))):
        kernels = fs.sequence.estimate_kernels(
            lines, formulary, confounders=confounders, unit="steps", simulated=True
        )
        model = kernels.model()
        solution = model.solve()
        promised = sum(
            s * solution.value(g) for g, s in zip(model.groups, (1 - share, share), strict=True)
        )
        # The estimated policy in the true model: same states, same order of regimens.
        real = over_groups(policy_value(truth, solution.actions), share)
        value = over_groups(policy_value(model, POLICY), share)
        exact = over_groups(policy_value(truth, POLICY), share)
        out[name] = (value - exact, promised - real, best - real)
    return out


def choices(replicates):
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(one_choice, range(1, replicates + 1)))
    return {
        name: tuple(float(np.mean([f[name][i] for f in found])) for i in range(3))
        for name in ("naive", "weighted")
    }


def test_naive_misleads_and_weighted_does_not():
    """A few replicates; the slow test has more."""
    found = [one_choice(seed) for seed in (1, 2, 3)]
    loss = {name: np.mean([f[name][2] for f in found]) for name in ("naive", "weighted")}
    bias = {name: np.mean([f[name][0] for f in found]) for name in ("naive", "weighted")}
    assert loss["naive"] > 1.0 > 0.3 > loss["weighted"] >= -1e-9
    assert bias["naive"] < -0.8
    assert abs(bias["weighted"]) < 0.6


@pytest.mark.slow
def test_recovery():
    """60 replicates of 5,000 patients: months lost by following the policy that looks best."""
    found = choices(60)
    for name, (bias, optimism, loss) in found.items():
        print(f"{name}: bias {bias:.3f}, promised - real {optimism:.3f}, lost {loss:.3f}")
    assert found["naive"][0] < -0.8
    assert abs(found["weighted"][0]) < 0.15
    assert found["naive"][2] > 1.0
    assert found["weighted"][2] < 0.1


# --- winner's curse ------------------------------------------------------------------------------------


def one_curse(seed, options=20, n=200, draws=50):
    """Optimism of the best of equal options: reported where chosen, on split draws, on split patients."""
    rng = np.random.default_rng(seed)
    data = rng.standard_normal((n, options))
    sd = 1 / np.sqrt(n)
    boot = np.array([data[rng.integers(0, n, n)].mean(axis=0) for _ in range(draws)])
    naive = data.mean(axis=0).max()
    first, second = boot[: draws // 2].mean(axis=0), boot[draws // 2 :].mean(axis=0)
    by_draws = second[first.argmax()]
    half = n // 2
    one, two = data[:half].mean(axis=0), data[half:].mean(axis=0)
    by_patients = (two[one.argmax()] + one[two.argmax()]) / 2
    return np.array([naive, by_draws, by_patients]) / sd


def test_winners_curse_in_principle():
    """Twenty equal options: splitting draws cures nothing, splitting patients does."""
    naive, by_draws, by_patients = np.mean([one_curse(s) for s in range(400)], axis=0)
    assert 1.7 < naive < 2.0
    assert by_draws > 1.6
    assert abs(by_patients) < 0.12


def one_split(seed, n=300):
    """Promise of the policy that looks best in few patients, and its value on the held out."""
    lines, formulary = cohorts.cohort(n, seed=seed, confounding=0.0, censoring=None)
    # Every regimen acts like the gentle one did: there is nothing to choose between.
    rng = np.random.default_rng(seed)
    names = np.array(formulary.regimen_names)
    lines = lines[lines["line"] <= 1].copy()
    lines["regimen"] = names[rng.integers(0, 3, len(lines))]
    lines["end_reason"] = "death"
    one = formulary.model_copy(update={"lines": 1})
    one = fs.sequence.parse_formulary(one.model_dump())
    salvage = np.full((2, one.n_steps), 0.0)
    salvage[:, 0] = 1.0
    h = fs.sequence.read_histories(lines, one, unit="steps", covariates=["frail"])
    report = fs.sequence.split_report(
        h,
        repeats=3,
        min_ess=None,
        seed=seed,
        propensity="model",
        salvage_death=salvage,
    )
    months = report.table.set_index("quantity")["months"]
    return months["promised"] - months["observed care"], months["held out"] - months[
        "observed care"
    ]


@pytest.mark.slow
def test_winners_curse_of_policies():
    """Regimens drawn by lot for courses that do not depend on them: false promise, true report."""
    promised, held_out = np.array([one_split(s) for s in range(1, 25)]).T
    error = held_out.std(ddof=1) / np.sqrt(held_out.size)
    assert promised.mean() > 5 * promised.std(ddof=1) / np.sqrt(promised.size)
    assert promised.mean() > 0.5
    assert abs(held_out.mean()) < 3 * error
    assert abs(held_out.mean()) < promised.mean() / 3
