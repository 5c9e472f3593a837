"""Clones: against a table made by hand, against a truth that is known, and against their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.protocol import Protocol

GRACE, DAYS = 60, 240
ZERO = np.datetime64("2020-01-01")


def protocol(*, three: bool = False) -> Protocol:
    cohort, example = fs.cohort.example_cohort()
    cohort.engine.close()
    names = ["early", "other"] if three else ["early"]
    strategies: list[dict[str, Any]] = [
        {"name": n, "label": n, "grace_days": GRACE, "records": {"table": "exposure", "drugs": [n]}}
        for n in names
    ]
    strategies.append({"name": "none", "label": "none", "none_of_the_others": True})
    return Protocol.model_validate(
        example.model_dump()
        | {
            "strategies": strategies,
            "variables": [],
            "eligibility": [],
            "time_zero": {"definition": "diagnosis", "column": "diagnosis"},
        }
    )


def course(
    rng: np.random.Generator, n: int, policy: str, *, three: bool = False
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Day by day: who begins what, and who dies; frailty moves both."""
    frail = rng.random(n) < 0.4
    begun = {"early": np.full(n, np.inf), "other": np.full(n, np.inf)}
    death = np.full(n, np.inf)
    for day in range(DAYS + 1):
        treated = np.minimum(begun["early"], begun["other"]) < np.inf
        for name, share in (("early", 1.0), ("other", 0.5 if three else 0.0)):
            chance = share * np.where(frail, 0.004, 0.02)
            starts = (rng.random(n) < chance) & ~treated
            if policy == "none" and day <= GRACE:
                starts[:] = False
            if policy == "early" and name == "other" and day <= GRACE:
                starts[:] = False
            if policy == "early" and name == "early" and day == GRACE:
                starts = ~treated
            begun[name][starts & (death == np.inf)] = day
            treated |= starts
        hazard = np.where(frail, 0.006, 0.0015) * np.where(begun["early"] <= day, 0.5, 1.0)
        dies = (rng.random(n) < hazard) & (death == np.inf)
        death[dies] = day + 1
    return frail, death, begun


def analysis_of(seed: int, n: int, *, three: bool = False) -> fs.cohort.Analysis:
    rng = np.random.default_rng(seed)
    frail, death, begun = course(rng, n, "natural", three=three)
    last = np.where(death <= DAYS, death, DAYS)

    def date(days: np.ndarray) -> np.ndarray:
        return (ZERO + days.astype("timedelta64[D]")).astype("datetime64[s]")

    died = date(last)
    died[death > DAYS] = np.datetime64("NaT")
    person = pd.DataFrame(
        {
            "person": np.arange(n),
            "birth": np.datetime64("1950-01-01", "s"),
            "sex": "female",
            "diagnosis": date(np.zeros(n)),
            "follow_up_end": date(last),
            "death": died,
            "frail": frail,
        }
    )
    parts = []
    for drug, day in begun.items():
        here = np.flatnonzero(day <= last)
        parts.append(
            pd.DataFrame({"person": here, "date": date(day[here]), "drug": drug, "kind": "drug"})
        )
    exposure = pd.concat(parts)
    event = pd.DataFrame({"person": [0], "date": date(np.zeros(1)), "event": ["diagnosis"]})
    cohort = fs.cohort.from_frames({"person": person, "exposure": exposure, "event": event})
    analysis = fs.cohort.build(cohort, protocol(three=three))
    assert len(analysis.table) == n
    cohort.engine.close()
    return analysis


def survival(clones: fs.cohort.Clones, *, weighted: bool = True) -> pd.Series:
    km = fs.survival.milestone(
        clones.outcome,
        times=[DAYS - 10],
        group=clones.group,
        weights=clones.weights if weighted else None,
        cluster=clones.cluster,
    )
    return km.table.set_index("group")["survival"]


@pytest.mark.slow
@pytest.mark.parametrize("three", [False, True])
def test_weights_bring_back_what_each_strategy_would_give(three: bool) -> None:
    analysis = analysis_of(1, 12_000, three=three)
    truth = {}
    for name in ("early", "none"):
        _, death, _ = course(np.random.default_rng(2), 200_000, name, three=three)
        truth[name] = (death > DAYS - 10).mean()
    clones = fs.cohort.clone_censor_weight(analysis, covariates=["frail"], step_days=3)
    naive = fs.cohort.clone_censor_weight(analysis, covariates=None, step_days=3)
    weighted, marginal = survival(clones), survival(naive)
    for name, value in truth.items():
        assert abs(weighted[name] - value) < 0.015, name
    # Frail people begin later and die sooner: without covariates both arms are wrong.
    assert marginal["early"] - truth["early"] > 0.02
    assert truth["none"] - marginal["none"] > 0.008
    assert {"ess_after_grace", "largest_weight"} <= set(clones.table.columns)


def test_steps_of_one_day_are_the_product_limit_of_censoring() -> None:
    """Without covariates a weight is one over the Kaplan-Meier curve of censoring."""
    analysis = analysis_of(3, 400)
    clones = fs.cohort.clone_censor_weight(analysis, covariates=None, step_days=1)
    start = analysis.table["start_early"].to_numpy(np.float64, na_value=np.inf)
    time = analysis.table["time"].to_numpy()
    rows = clones.rows[clones.rows["strategy"] == "none"]
    kept = 1.0
    for day in range(1, GRACE + 1):
        at_risk = (
            (time > day - 1) & (start > day - 1) if day > 1 else np.ones(len(time), dtype=bool)
        )
        if day == 1:
            kept *= 1 - (start == 0).mean()
            at_risk = (time > 0) & (start > 0)
        here = rows[(rows["entry"] == day - 1)]
        assert np.allclose(here["weight"], 1 / kept, rtol=1e-10)
        gone = at_risk & (start <= day) & (start <= time)
        kept *= 1 - gone.sum() / at_risk.sum()
    after = rows[rows["entry"] == GRACE]
    assert np.allclose(after["weight"], 1 / kept, rtol=1e-10)
    # Weighted up, those left after the grace period stand for all who lived to its end.
    alive = rows[(rows["entry"] == GRACE)]["weight"].sum()
    survivors = fs.survival.kaplan_meier(
        clones.outcome, group=clones.group, weights=clones.weights
    ).at([GRACE])
    value = survivors.loc[survivors["group"] == "none", "survival"].iloc[0]
    assert alive == pytest.approx(len(time) * value, rel=0.02)


def test_every_clone_ends_where_its_treatment_leaves_the_strategy() -> None:
    analysis = analysis_of(4, 600, three=True)
    clones = fs.cohort.clone_censor_weight(analysis, covariates=None)
    table = analysis.table.set_index("person")
    last = clones.rows.groupby(["strategy", "person"])[["time", "event"]].max()
    for (strategy, person), (time, event) in zip(
        last.index.tolist(), last.to_numpy().tolist(), strict=True
    ):
        row = table.loc[person]
        begun = {n: row[f"start_{n}"] for n in ("early", "other") if pd.notna(row[f"start_{n}"])}
        end = row["time"]
        own = begun.pop(strategy, None)
        foreign = min(begun.values(), default=None)
        if foreign is not None and (own is None or foreign <= own):
            end = min(end, foreign)
        elif strategy != "none" and own is None and end > GRACE:
            end = GRACE
        assert time == end, (strategy, person)
        assert event == (row["event"] if end == row["time"] else 0)
    rows = clones.rows
    joined = rows.groupby(["strategy", "person"])
    assert (joined["entry"].first() == 0).all()
    gaps = rows["entry"] != joined["time"].shift().fillna(0)
    assert not gaps.any()


def test_what_cannot_be_cloned_is_refused() -> None:
    cohort, example = fs.cohort.example_cohort()
    plain = fs.cohort.build(cohort, example)
    with pytest.raises(fs.errors.ProtocolError, match="grace period"):
        fs.cohort.clone_censor_weight(plain, covariates=None)
    cohort.engine.close()
    analysis = analysis_of(5, 100)
    with pytest.raises(fs.errors.DataError, match="missing=wealth"):
        fs.cohort.clone_censor_weight(analysis, covariates=["wealth"])
    with pytest.raises(fs.errors.DataError, match="step_days is at least 1"):
        fs.cohort.clone_censor_weight(analysis, covariates=None, step_days=0)
    with pytest.raises(fs.errors.DataError, match="begun by somebody"):
        fs.cohort.clone_censor_weight(_without(analysis), covariates=None)
    separated = _with(analysis, analysis.table["start_early"].notna())
    with pytest.raises(fs.errors.ConvergenceError, match="separation"):
        fs.cohort.clone_censor_weight(separated, covariates=["marker"])


def _with(analysis: fs.cohort.Analysis, marker: pd.Series) -> fs.cohort.Analysis:
    import dataclasses

    changed = dataclasses.replace(analysis)
    changed.__dict__["table"] = analysis.table.assign(marker=marker.to_numpy())
    return changed


def _without(analysis: fs.cohort.Analysis) -> fs.cohort.Analysis:
    import dataclasses

    changed = dataclasses.replace(analysis)
    changed.__dict__["table"] = analysis.table.assign(start_early=np.nan)
    return changed


def test_truncation_caps_weights_and_is_asked_for() -> None:
    analysis = analysis_of(6, 2_000)
    whole = fs.cohort.clone_censor_weight(analysis, covariates=["frail"])
    cut = fs.cohort.clone_censor_weight(analysis, covariates=["frail"], truncate=0.6)
    assert cut.weights.max() < whole.weights.max()
    assert (cut.weights <= whole.weights + 1e-12).all()


@pytest.mark.slow
def test_bias_is_gone_over_replicates_and_intervals_cover() -> None:
    truth = {}
    for name in ("early", "none"):
        _, death, _ = course(np.random.default_rng(7), 1_000_000, name)
        truth[name] = (death > DAYS - 10).mean()
    errors: dict[str, list[float]] = {"early": [], "none": []}
    inside: dict[str, list[bool]] = {"early": [], "none": []}
    for seed in range(300):
        clones = fs.cohort.clone_censor_weight(
            analysis_of(100 + seed, 1_000), covariates=["frail"], step_days=4
        )
        table = fs.survival.milestone(
            clones.outcome,
            times=[DAYS - 10],
            group=clones.group,
            weights=clones.weights,
            cluster=clones.cluster,
        ).table.set_index("group")
        for name, value in truth.items():
            errors[name].append(table.loc[name, "survival"] - value)
            inside[name].append(bool(table.loc[name, "lower"] <= value <= table.loc[name, "upper"]))
    for name in truth:
        e = np.array(errors[name])
        assert abs(e.mean()) < 3.5 * e.std() / np.sqrt(e.size) + 0.002, (name, e.mean())
        assert 0.93 <= np.mean(inside[name]) <= 0.995, (name, np.mean(inside[name]))
