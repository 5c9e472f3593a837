"""Evaluation of policies: exact equalities, the small worked example, support, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence import cohorts, parse_formulary, policy_value

EXACT = {"unit": "steps", "folds": 1, "draws": 0, "censoring": "none"}
ALL = ("g_formula", "ipw", "ipw_mean", "dr")


def months(result, method, policy=None):
    table = result.table[result.table["method"] == method]
    if policy is not None:
        table = table[table["policy"] == policy]
    return float(table["months"].iloc[0])


# --- a worked example -----------------------------------------------------------------------------


def worked_example():
    """Twelve patients; four steps; the policy is A, then B."""
    formulary = parse_formulary(
        {
            "name": "worked example",
            "lines": 2,
            "horizon_months": 4.0,
            "classes": {"a": "a", "b": "b", "c": "c"},
            "regimens": [
                {"name": "A", "classes": ["a"]},
                {"name": "B", "classes": ["b"]},
                {"name": "C", "classes": ["c"]},
            ],
        }
    )
    second = [(1, "B", 1), (1, "B", 3), (1, "C", 2), (2, "B", 2), (2, "C", 1), (2, "C", 2)]
    rows = []
    for i, (u, regimen, death) in enumerate(second):
        rows += [(i, 1, "A", u, "switch"), (i, 2, regimen, death, "death")]
    rows += [(6, 1, "A", 2, "death"), (7, 1, "A", 4, "censored")]
    rows += [(i, 1, "B", 2, "death") for i in range(8, 12)]
    columns = ["person", "line", "regimen", "ttnt", "end_reason"]
    return pd.DataFrame(rows, columns=columns), formulary


@pytest.mark.parametrize(
    ("outcome", "propensity", "expected"),
    [
        (
            "elapsed",
            "elapsed",
            {"g_formula": 2.9375, "ipw": 2.9375, "ipw_mean": 2.9375, "dr": 2.9375},
        ),
        ("state", "elapsed", {"g_formula": 2.8750, "dr": 2.9375}),
        ("elapsed", "state", {"ipw_mean": 2.8125, "dr": 2.9375}),
        ("state", "state", {"g_formula": 2.8750, "ipw_mean": 2.8125, "dr": 2.9 + 1 / 60}),
    ],
)
def test_worked_example(outcome, propensity, expected):
    lines, formulary = worked_example()
    result = fs.sequence.evaluate(
        lines,
        ("A", "B"),
        formulary=formulary,
        methods=ALL,
        outcome=outcome,
        propensity=propensity,
        **EXACT,
    )
    for method, value in expected.items():
        assert months(result, method) == pytest.approx(value, abs=1e-10), method
    support = result.support
    assert support["started"].tolist() == [12, 6]
    assert support["compliant"].tolist() == [8, 3]


# --- all courses of a model, weighted by their probability ---------------------------------------


def small_formulary(n_steps=4, levels=2):
    return parse_formulary(
        {
            "name": "small",
            "lines": 2,
            "horizon_months": float(n_steps),
            "overlap_levels": levels,
            "classes": {"x": "x", "y": "y"},
            "groups": ["late", "early"],
            "regimens": [
                {"name": "A", "classes": ["x"]},
                {"name": "B", "classes": ["x", "y"]},
                {"name": "none", "classes": []},
            ],
            "group_updates": [{"start": "late", "to": "early", "within_months": 1}],
        }
    )


def random_kernels(f, seed):
    rng = np.random.default_rng(seed)
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
    raw = rng.dirichlet(np.ones(2 * f.n_steps + 1), shape)
    salvage = rng.dirichlet(np.ones(f.n_steps + 1), len(f.groups))[:, : f.n_steps]
    return raw[..., : f.n_steps], raw[..., f.n_steps : 2 * f.n_steps], salvage


def all_courses(f, onward, death, salvage, behaviour, mix):
    """Every course up to the horizon as rows, with its probability as weight."""
    names, after, n_steps = f.regimen_names, f.group_after, f.n_steps
    rows, person = [], 0

    def keep(path, weight, group):
        nonlocal person
        if weight > 0:
            for line, (regimen, length, reason) in enumerate(path):
                rows.append((person, line + 1, regimen, length, reason, f.groups[group], weight))
            person += 1

    def walk(path, weight, first, line, exposed, group, elapsed):
        left = n_steps - elapsed
        if left == 0 and line < f.lines:
            for a, name in enumerate(names):
                p = weight * behaviour(line, exposed, group)[a]
                keep([*path, (name, 0, "censored")], p, first)
            return
        if left == 0:
            keep([*path, (names[0], 0, "censored")], weight, first)
            return
        if line == f.lines:
            for u in range(left):
                keep([*path, (names[0], u + 1, "death")], weight * salvage[group, u], first)
            alive = 1 - salvage[group, :left].sum()
            keep([*path, (names[0], left, "censored")], weight * alive, first)
            return
        for a, name in enumerate(names):
            p = weight * behaviour(line, exposed, group)[a]
            at = (line, a, group, f.level(a, exposed))
            for u in range(left):
                keep([*path, (name, u + 1, "death")], p * death[at][u], first)
                walk(
                    [*path, (name, u + 1, "switch")],
                    p * onward[at][u],
                    first,
                    line + 1,
                    exposed | int(f.masks[a]),
                    int(after[line, group, u]),
                    elapsed + u + 1,
                )
            alive = 1 - (onward[at] + death[at])[:left].sum()
            keep([*path, (name, left, "censored")], p * alive, first)

    for g, share in enumerate(mix):
        walk([], share, g, 0, 0, g, 0)
    columns = ["person", "line", "regimen", "ttnt", "end_reason", "group", "w"]
    return pd.DataFrame(rows, columns=columns)


@pytest.mark.parametrize("outcome", ["state", "elapsed"])
@pytest.mark.parametrize("kind", ["sequence", "optimal"])
def test_all_courses_enumerated(outcome, kind):
    """With every course at its probability the three estimators and the solver agree."""
    f = small_formulary()
    onward, death, salvage = random_kernels(f, 5)
    model = f.model(onward, death, salvage)
    rng = np.random.default_rng(6)
    table = {}

    def behaviour(line, exposed, group):
        return table.setdefault((line, exposed, group), rng.dirichlet(np.ones(3) * 4))

    lines = all_courses(f, onward, death, salvage, behaviour, (0.6, 0.4))
    policy = ("B", "A") if kind == "sequence" else model.solve()
    result = fs.sequence.evaluate(
        lines,
        {"it": policy},
        formulary=f,
        methods=ALL,
        outcome=outcome,
        propensity=outcome,
        weights="w",
        **EXACT,
    )
    followed = policy_value(model, policy)
    exact = 0.6 * followed.of_group(0) + 0.4 * followed.of_group(1)
    for method in ALL:
        assert months(result, method, "it") == pytest.approx(exact, abs=1e-10), method
    alive = policy_value(model, policy, objective="milestone", at=4.0)
    curve = result.curves[result.curves["policy"] == "it"]
    assert curve["survival"].iloc[-1] == pytest.approx(
        0.6 * alive.of_group(0) + 0.4 * alive.of_group(1), abs=1e-10
    )


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_saturated_estimators_are_equal_with_censoring(seed):
    """Product-limit censoring in the kernels' own cells: the equality holds on any data."""
    f = small_formulary(n_steps=3, levels=1)
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(400):
        for line in (1, 2):
            regimen = f.regimen_names[rng.integers(0, 2)]
            reason = rng.choice(["switch", "death", "censored"], p=[0.55, 0.25, 0.2])
            length = rng.integers(0 if reason == "censored" else 1, 4)
            if line == 2 and reason == "switch":
                reason = "death"
            # One group at the start: the group later on is then a function of the elapsed time.
            rows.append((person, line, regimen, length, reason, "late"))
            if reason != "switch":
                break
    lines = pd.DataFrame(rows, columns=["person", "line", "regimen", "ttnt", "end_reason", "group"])
    options = EXACT | {"censoring": "cells"}
    result = fs.sequence.evaluate(
        lines,
        ("A", "B"),
        formulary=f,
        methods=ALL,
        outcome="elapsed",
        propensity="elapsed",
        **options,
    )
    g = months(result, "g_formula")
    for method in ("ipw", "ipw_mean", "dr"):
        assert months(result, method) == pytest.approx(g, abs=1e-10), method


# --- with models of everything ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def simulated():
    return cohorts.cohort(4_000, seed=11)


def truth_of(policy, lines):
    model = cohorts.truth()
    share = (lines.loc[lines["line"] == 1, "group"] == "high risk").mean()
    value = policy_value(model, policy)
    return (1 - share) * value.of_group(0) + share * value.of_group(1)


def test_confounding_is_removed_by_all_three(simulated):
    lines, f = simulated
    policies = {"gentle first": ("gentle", "strong"), "strong twice": ("strong", "strong")}
    options = {"formulary": f, "unit": "steps", "draws": 30, "simulated": True}
    adjusted = fs.sequence.evaluate(lines, policies, confounders=["frail"], **options)
    crude = fs.sequence.evaluate(lines, policies, **options)
    for name, policy in policies.items():
        exact = truth_of(policy, lines)
        for method in ("g_formula", "ipw", "dr"):
            row = adjusted.table.query("policy == @name and method == @method").iloc[0]
            assert abs(row["months"] - exact) < 3.3 * row["std_error"], (name, method)
            bad = crude.table.query("policy == @name and method == @method").iloc[0]
            assert abs(bad["months"] - exact) > 3.3 * bad["std_error"], (name, method)
    assert adjusted.simulated
    assert "specified beforehand" in adjusted.note
    assert "not medical advice" in adjusted.note
    contrast = adjusted.contrast("gentle first", "strong twice").iloc[0]
    apart = truth_of(policies["gentle first"], lines) - truth_of(policies["strong twice"], lines)
    assert abs(contrast["difference"] - apart) < 3.3 * contrast["std_error"]
    by_draws = adjusted.contrast("gentle first", "strong twice", method="g_formula").iloc[0]
    assert 0.3 < by_draws["std_error"] / contrast["std_error"] < 1.2
    assert adjusted.contrast("gentle first", "observed care")["p_value"].iloc[0] < 1e-4


def test_the_same_policy_in_three_guises(simulated):
    lines, f = simulated

    def gentle_first(_group, line, _exposed, _remaining):
        return "gentle" if line == 1 else "strong"

    model = fs.sequence.estimate_kernels(lines, f, confounders=["frail"], unit="steps").model()
    options = {"formulary": f, "unit": "steps", "confounders": ["frail"], "draws": 0}
    one = fs.sequence.evaluate(lines, ("gentle", "strong"), **options)
    two = fs.sequence.evaluate(lines, gentle_first, **options)
    assert two.table["policy"].iloc[0] == "gentle_first"
    assert one.table["months"].tolist() == two.table["months"].tolist()
    optimal = fs.sequence.evaluate(lines, model.solve(), **options)
    assert optimal.table["policy"].iloc[0] == "optimal policy"
    again = fs.sequence.evaluate(lines, ("gentle", "strong"), **options)
    pd.testing.assert_frame_equal(one.table, again.table)


@pytest.mark.parametrize("censoring", ["elapsed", "cells", "model"])
def test_informative_censoring(censoring):
    """Frail patients are lost early: the model with frailty removes the bias that the others leave."""
    lines, f = cohorts.cohort(8_000, seed=12, censoring=None)
    rng = np.random.default_rng(3)
    frail_first = lines.groupby("person")["frail"].first()
    rate = np.where(frail_first == 1, 0.09, 0.005)
    lost = np.ceil(rng.exponential(1 / rate))
    start = lines.groupby("person")["ttnt"].cumsum() - lines["ttnt"]
    left = lost[lines["person"]] - start
    kept = lines[left >= 0].copy()
    cut = (left[left >= 0] < kept["ttnt"]).to_numpy()
    kept["ttnt"] = np.minimum(kept["ttnt"], left[left >= 0])
    kept.loc[cut, "end_reason"] = "censored"
    first = kept.groupby("person")["frail"].transform("first")
    kept["frail_first"] = first
    result = fs.sequence.evaluate(
        kept,
        ("gentle", "strong"),
        formulary=f,
        unit="steps",
        methods=("ipw",),
        confounders=["frail", "frail_first"],
        censoring=censoring,
        censoring_confounders=["frail_first"] if censoring == "model" else (),
        draws=0,
    )
    row = result.table.iloc[0]
    far = abs(row["months"] - truth_of(("gentle", "strong"), lines)) / row["std_error"]
    assert far < 3 if censoring == "model" else far > 3


def test_cross_fitting_and_subsets(simulated):
    lines, f = simulated
    options = {"formulary": f, "unit": "steps", "confounders": ["frail"], "methods": ("dr",)}
    plain = months(fs.sequence.evaluate(lines, ("gentle", "strong"), folds=1, **options), "dr")
    crossed = fs.sequence.evaluate(lines, ("gentle", "strong"), folds=4, **options)
    assert months(crossed, "dr") == pytest.approx(plain, abs=0.5)
    assert months(crossed, "dr") != plain
    half = fs.sequence.evaluate(lines, ("gentle", "strong"), persons=range(2_000), **options)
    assert half.support["started"].iloc[0] == 2_000
    assert np.count_nonzero(half.influence["gentle → strong", "dr"]) == 2_000


# --- support and bad input -----------------------------------------------------------------------


def test_support_errors(simulated):
    lines, f = simulated
    with pytest.raises(SupportError, match="nobody may be lost.*elapsed"):
        fs.sequence.evaluate(lines, ("gentle", "strong"), formulary=f, **EXACT)
    options = EXACT | {"censoring": "elapsed"}
    with pytest.raises(SupportError, match=r"follow-up must reach the horizon.*spline"):
        fs.sequence.evaluate(
            lines.query("ttnt < 20 or end_reason == 'censored'")
            .groupby("person")
            .filter(
                lambda rows: (
                    rows["line"].iloc[0] == 1
                    and len(rows) == rows["line"].iloc[-1]
                    and rows["end_reason"].iloc[-1] != "switch"
                )
            )
            .assign(ttnt=lambda t: t["ttnt"].clip(upper=25)),
            ("gentle", "strong"),
            formulary=f,
            outcome="state",
            propensity="state",
            **options,
        )
    never = lines.query("regimen != 'both'")
    never = never[never.groupby("person")["line"].transform(lambda s: (np.diff(s) == 1).all())]
    never = never[never.groupby("person")["line"].transform("min") == 1]
    ends = never.groupby("person")["end_reason"].transform("last")
    never = never[ends != "switch"]
    with pytest.raises(SupportError, match="treated as the policy says"):
        fs.sequence.evaluate(never, ("both", "both"), formulary=f, unit="steps", draws=0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"methods": ("dr", "magic")}, "methods must be one of"),
        ({"policy": "gentle"}, "one regimen a line"),
        ({"policy": ("gentle",)}, "one regimen a line.*lines=2"),
        ({"policy": ("gentle", "new")}, "one of the formulary's.*new"),
        ({"policy": {"observed care": ("gentle", "strong")}}, "name of what was observed"),
        ({"policy": lambda *_: "new"}, "known regimens"),
        ({"formulary": None}, "needs a formulary"),
        ({"horizon": 100.0}, "whole number of steps"),
        ({"folds": 0}, "folds be at least 1"),
        ({"confounders": ["age"]}, "must have its columns.*age"),
        ({"propensity": "state"}, "frequencies take no confounders"),
        ({"persons": [-5]}, "persons must be in the table.*-5"),
        ({"weights": "ttnt"}, "the same in all lines"),
        ({"outcome": "forest"}, "outcome must be one of"),
    ],
)
def test_bad_input(simulated, change, says):
    lines, f = simulated
    call = {"formulary": f, "confounders": ["frail"], "unit": "steps", "draws": 0} | change
    policy = call.pop("policy", ("gentle", "strong"))
    with pytest.raises(DataError, match=says):
        fs.sequence.evaluate(lines, policy, **call)


def test_contrast_of_what_was_not_evaluated(simulated):
    lines, f = simulated
    result = fs.sequence.evaluate(
        lines, ("gentle", "strong"), formulary=f, unit="steps", methods=("g_formula",), draws=2
    )
    with pytest.raises(DataError, match="must have been evaluated"):
        result.contrast("gentle → strong", "strong → strong")
    with pytest.raises(DataError, match="between policies only"):
        result.contrast("gentle → strong", "observed care", method="g_formula")
