"""Explanations: values of actions, trees, recommendations, and reports on held-out patients."""

from __future__ import annotations

import functools
import re

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence import (
    Constraints,
    estimate_kernels,
    parse_formulary,
    policy_tree,
    policy_value,
    read_histories,
    recommend,
    robust_policy,
    split_patients,
    split_report,
    uncertainty,
)
from fiac_survival.sequence.recommendation import action_values
from fiac_survival.sequence.split_patients import _best_sequence
from tests.sequence.naive import Recursion, random_model
from tests.sequence.test_kernels_from_data import with_the_mix
from tests.sequence.test_uncertainty import drawn

NOTE = "Research use, not medical advice."
TIE = 1e-11

MODELS = [
    {"seed": 1},
    {"seed": 2, "learning": True},
    {"seed": 3, "refractory": True, "overlap_counts": "refractory"},
    {"seed": 4, "learning": True, "refractory": True, "economics": True},
    {"seed": 5, "constraints": Constraints(class_once=("c0",), regimen_once=False)},
    {"seed": 6, "constraints": Constraints(forbidden_after=(("r1", "r2"), ("r2", "r2")))},
    {"seed": 7, "learning": True, "levels_table": True, "economics": True, "step_months": 3.0},
]
OBJECTIVES = [
    {},
    {"objective": "milestone", "at": 3.0},
    {"objective": "quality_adjusted", "discount": 0.04},
    {"objective": "cost"},
    {"objective": "net_benefit", "willingness_to_pay": 7.0},
]


def pairs():
    for m, options in enumerate(MODELS):
        yield options, {}
        if options.get("economics"):
            for objective in OBJECTIVES[2:]:
                yield options, objective
        elif m % 2:
            yield options, OBJECTIVES[1]


# --- values of actions --------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "objective"), list(pairs()))
def test_action_values(model, objective):
    model = random_model(**model)
    solution = model.solve(**objective)
    steps = solution.problem.horizon
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached):
            q = action_values(solution, line, int(g), int(place))
            assert q.shape == (len(model.regimens), steps + 1)
            best = q.max(axis=0)
            assert best == pytest.approx(solution.values[line][g, place], abs=1e-10)
            # The lowest number within the tie is the policy's.
            choice = (q >= best - TIE).argmax(axis=0)
            assert choice.tolist() == solution.actions[line][g, place].tolist()


@pytest.mark.parametrize(("model", "objective"), [(MODELS[1], {}), (MODELS[3], OBJECTIVES[3])])
def test_action_values_by_recursion(model, objective):
    model = random_model(**model)
    solution = model.solve(**objective)
    naive = Recursion(model, **objective)
    sign = -1.0 if objective else 1.0
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached)[:4]:
            exposed, refractory = int(states.exposed[place]), int(states.refractory[place])
            q = action_values(solution, line, int(g), int(place))
            possible = list(naive.options(line, exposed, refractory, -1, 0, int(g)))
            assert np.flatnonzero(np.isfinite(q[:, -1])).tolist() == possible
            for a in possible:
                for r in (1, model.n_steps):
                    exact = naive.of_action(
                        a, line, exposed, refractory, -1, 0, int(g), r, naive.value
                    )
                    assert sign * q[a, r] == pytest.approx(exact, abs=1e-10)


# --- trees --------------------------------------------------------------------------------------


def allowed_everywhere(model, actions):
    for line, (states, action) in enumerate(zip(model.states.lines, actions, strict=True)):
        for place, g in np.argwhere(states.reached):
            for a in action[g, place]:
                assert a < len(model.regimens)
                assert states.after[place, a] >= 0
                assert model.usable[line, a, g, states.level[place, a]]


@pytest.mark.parametrize(("model", "objective"), list(pairs()))
def test_trees_are_policies_with_an_exact_loss(model, objective):
    model = random_model(**model)
    solution = model.solve(**objective)
    mix = {"g0": 0.3, "g1": 0.7}
    optimal = sum(s * solution.value(g) for g, s in mix.items())
    losses = []
    for leaves, depth, remaining in ((2, 1, False), (4, 3, True), (60, 12, True)):
        tree = policy_tree(solution, leaves=leaves, depth=depth, remaining=remaining, mix=mix)
        allowed_everywhere(model, tree.actions)
        value = policy_value(model, tree.actions, **objective)
        total = sum(s * value.of_group(model.groups.index(g)) for g, s in mix.items())
        assert tree.value == pytest.approx(total, abs=1e-10)
        assert tree.optimal == pytest.approx(optimal, abs=1e-10)
        sign = -1 if objective.get("objective") == "cost" else 1
        assert sign * (tree.optimal - tree.value) > -1e-10
        assert tree.loss == pytest.approx(abs(optimal - total), abs=1e-10)
        assert tree.seen == pytest.approx(1.0)
        assert tree.unit == solution.problem.unit
        table = tree.table
        ends = table[table["regimen"] != ""]
        assert 1 <= len(ends) <= leaves
        losses.append(tree.loss)
    scale = abs(optimal)
    assert losses[2] <= losses[0] + 0.02 * scale
    assert losses[2] <= losses[1] + 0.02 * scale
    assert losses[2] < 0.02 * scale


def test_the_table_of_a_tree():
    model = random_model(2, learning=True, n_steps=12)
    tree = policy_tree(model.solve(), leaves=10, depth=5, remaining=True)
    table = tree.table.set_index("node")
    assert table.index.is_unique
    inner = table[table["regimen"] == ""]
    leaves = table[table["regimen"] != ""]
    assert len(leaves) > 2
    assert table.iloc[0][["condition", "share"]].tolist() == ["every decision", 1.0]
    assert table["parent"].isna().tolist() == [True] + [False] * (len(table) - 1)
    assert leaves["share"].sum() == pytest.approx(1.0)
    assert set(leaves["regimen"]) <= set(model.regimens)
    assert (leaves["loss"] >= -1e-12).all()
    for node, row in inner.iterrows():
        children = table[table["parent"].eq(node).fillna(False).astype(bool)]
        below = (children["share"] * children["loss"]).sum() / children["share"].sum()
        assert row["loss"] == pytest.approx(below)
        assert len(children) == 2
        assert children["share"].sum() == pytest.approx(row["share"])
        # Two leaves of one parent would say the same.
        first, second = children["regimen"]
        assert first != second or first == ""
    assert not set(leaves.index) & set(table["parent"].dropna())
    said = r"(line \d( or (earlier|later))?|months to the horizon [≤>] [\d.]+|group is (not )?g\d"
    said += r"|(not )?exposed to c\d)"
    assert all(re.fullmatch(said, c) for c in table["condition"].iloc[1:])


def test_shares_and_losses_by_hand():
    # A kills less in line 1, B in line 2; nobody decides at the horizon.
    death = np.zeros((2, 2, 1, 1, 4))
    death[0, 1] = death[1, 0] = 0.15
    model = fs.sequence.SequenceModel(
        ["x"], ["A", "B"], [0, 0], np.ones((2, 2, 1), bool), ["all"],
        np.full((2, 2, 1, 1, 4), 0.1), death, np.full((1, 4), 0.25),
    )  # fmt: skip
    tree = policy_tree(model.solve(), leaves=2, depth=1)
    table = tree.table.set_index("condition")
    assert table["regimen"].to_dict() == {"every decision": "", "line 1": "A", "line 2": "B"}
    # Line 2 starts after 1, 2 or 3 steps with probability 0.1 each.
    assert table.loc["line 1", "share"] == pytest.approx(1 / 1.3)
    assert table.loc["line 2", "share"] == pytest.approx(0.3 / 1.3)
    assert table["loss"].to_numpy() == pytest.approx(0.0)
    assert tree.loss == pytest.approx(0.0)
    assert tree.seen == pytest.approx(1.0)


def follow_table(table, decision):
    """Walk down the table of a tree, reading its conditions."""
    node = 0
    while True:
        row = table[table["node"] == node].iloc[0]
        if row["regimen"]:
            return row["regimen"]
        children = table[table["parent"].eq(node).fillna(False).astype(bool)]
        node = next(c.node for c in children.itertuples() if holds(c.condition, decision))


def holds(condition, decision):
    group, line, exposed, remaining = decision
    words = condition.split()
    if condition == f"line {words[-1]}":
        return line == int(words[-1])
    if words[0] == "line":
        return line <= int(words[1]) if words[-1] == "earlier" else line >= int(words[1])
    if words[0] == "months":
        edge = float(words[-1])
        return remaining <= edge if words[-2] == "≤" else remaining > edge
    if words[0] == "group":
        return (group == words[-1]) != ("not" in words)
    return (words[-1] in exposed) != ("not" in words)


@pytest.mark.parametrize("remaining", [False, True])
def test_a_tree_does_what_its_table_says(remaining):
    model = random_model(11, learning=True, n_steps=8, allow=1.0)
    tree = policy_tree(model.solve(), leaves=7, depth=4, remaining=remaining)
    assert tree.table["condition"].str.contains("months").any() == remaining
    checked = 0
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached):
            exposed = model.class_names(int(states.exposed[place]))
            for r in range(model.n_steps + 1):
                decision = (model.groups[g], line + 1, exposed, r * model.step_months)
                name = model.regimens[tree.actions[line][g, place, r]]
                assert name == follow_table(tree.table, decision)
                checked += 1
    assert checked > 100


def test_few_decisions_to_fit_to():
    solution = random_model(2, learning=True).solve()
    one = policy_tree(solution, most=1)
    assert 0 < one.seen < 0.9
    assert policy_tree(solution, most=5).seen > one.seen
    allowed_everywhere(solution.model, one.actions)


def test_trees_refuse():
    solution = fs.sequence.examples.textbook().solve()
    for options in ({"leaves": 1}, {"depth": 0}):
        with pytest.raises(DataError, match="two leaves and one question"):
            policy_tree(solution, **options)
    with pytest.raises(DataError, match="one decision or more .most=0"):
        policy_tree(solution, most=0)
    with pytest.raises(DataError):
        policy_tree(random_model(1).solve(), mix={"g0": 0.5})


# --- recommendations ----------------------------------------------------------------------------


def brute_force(model, objective, profile):
    """Value of each regimen at a profile, by recursion."""
    line, exposed, g, r = profile
    naive = Recursion(model, **objective)
    mask = model.class_mask(exposed)
    return {
        model.regimens[a]: naive.scale
        * naive.of_action(a, line - 1, mask, 0, -1, 0, g, r, naive.value)
        for a in naive.options(line - 1, mask, 0, -1, 0, g)
    }


@pytest.mark.parametrize("objective", [{}, OBJECTIVES[3], OBJECTIVES[4]])
def test_recommendations_by_brute_force(objective):
    model = random_model(21, learning=True, economics=True, allow=1.0)
    solution = model.solve(**objective)
    draws = drawn(model, 15, 3)
    states = model.states.lines[1]
    place = int(np.flatnonzero(states.reached[:, 1])[-1])
    exposed = model.class_names(int(states.exposed[place]))
    sign = -1 if objective.get("objective") == "cost" else 1
    for profile in ((1, (), 0, 5), (2, exposed, 1, 3)):
        line, classes, g, r = profile
        found = recommend(
            solution, f"g{g}", line=line, exposed=classes, remaining=float(r), draws=draws
        )
        table = found.table.set_index("regimen")
        exact = brute_force(model, objective, profile)
        assert set(table.index) == set(exact)
        for name, value in exact.items():
            assert table.loc[name, "value"] == pytest.approx(value, abs=1e-10)
        ranked = sorted(exact, key=lambda name: -sign * exact[name])
        assert table.index.tolist() == ranked
        first, second = ranked[:2]
        assert (found.regimen, found.runner_up) == (first, second)
        assert found.difference == pytest.approx(abs(exact[first] - exact[second]))
        sample = [brute_force(d, objective, profile) for d in draws]
        gain = [sign * (s[first] - s[second]) for s in sample]
        assert found.lower == pytest.approx(np.quantile(gain, 0.025), abs=1e-10)
        assert found.upper == pytest.approx(np.quantile(gain, 0.975), abs=1e-10)
        wins = [max(s, key=lambda name: sign * s[name]) for s in sample]
        for name in ranked:
            assert table.loc[name, "probability"] == pytest.approx(wins.count(name) / 15)
            apart = [s[name] - s[first] for s in sample]
            assert table.loc[name, "lower"] == pytest.approx(np.quantile(apart, 0.025), abs=1e-10)
            assert table.loc[name, "upper"] == pytest.approx(np.quantile(apart, 0.975), abs=1e-10)
            assert table.loc[name, "difference"] == pytest.approx(exact[name] - exact[first])
        assert found.probability == table.loc[first, "probability"]
        assert found.text.endswith(NOTE)
        assert found.text.startswith(f"{first} ({exact[first]:.2f}")
        assert f"before {second} by {found.difference:.2f}" in found.text
        assert f"95% interval {found.lower:.2f} to {found.upper:.2f}" in found.text


def test_a_recommendation_without_choice():
    model = random_model(1, n_regimens=1)
    found = recommend(model.solve(), "g0")
    assert (found.regimen, found.runner_up) == ("r0", "")
    assert np.isnan([found.difference, found.lower, found.probability]).all()
    assert "the only regimen that may be given" in found.text
    assert NOTE in found.text


def test_recommendations_where_the_state_has_memory():
    pair = Constraints(forbidden_after=(("r1", "r2"), ("r2", "r1"), ("r1", "r1")))
    model = random_model(9, constraints=pair, allow=1.0)
    solution = model.solve()
    exposed = model.class_names(int(model.masks[1]))
    found = recommend(solution, "g0", line=2, exposed=exposed, last="r1")
    assert found.regimen == solution.policy("g0", line=2, exposed=exposed, last="r1")
    assert set(found.table["regimen"]) == {"r0", "r3"}
    with pytest.raises(SupportError, match="allowed regimens lead to"):
        recommend(solution, "g0", line=2, exposed=exposed)
    memory = random_model(9, refractory=True, allow=1.0).solve()
    found = recommend(memory, "g0", line=2, exposed=exposed, refractory=exposed)
    assert found.regimen == memory.policy("g0", line=2, exposed=exposed, refractory=exposed)


@functools.cache
def estimate(n=1500, confounders=("frail",)):
    lines, f = fs.sequence.examples.cohort(n, seed=1)
    return estimate_kernels(lines, f, confounders=confounders, unit="steps")


def test_support_behind_a_recommendation():
    kernels = estimate()
    solution = kernels.model().solve()
    found = recommend(solution, "high risk", line=2, exposed=["y"], estimate=kernels)
    h, f = kernels.histories, kernels.formulary
    for row in found.table.itertuples():
        a = f.regimen_names.index(row.regimen)
        here = (h.line == 1) & (h.group == 1) & (h.regimen == a) & (h.level == f.level(a, 2))
        w = kernels.weights[here]
        assert row.patients == here.sum()
        assert row.ess == pytest.approx(w.sum() ** 2 / (w**2).sum())
        assert row.death == (h.ending[here] == 2).sum()
    assert f"; {found.table['patients'].iloc[0]} patients behind it. {NOTE}" in found.text


def test_support_behind_observed_care():
    lines, f = fs.sequence.examples.cohort(400, seed=1)
    kernels = estimate_kernels(lines, with_the_mix(f), unit="steps")
    found = recommend(kernels.model(min_ess=None).solve(), "high risk", estimate=kernels)
    h = kernels.histories
    here = (h.line == 0) & (h.group == 1)
    row = found.table.set_index("regimen").loc["mix"]
    assert row[["patients", "ess", "death"]].tolist() == [
        here.sum(),
        here.sum(),
        (h.ending[here] == 2).sum(),
    ]
    only = found.table[found.table["regimen"] != "mix"]
    assert only["patients"].sum() == here.sum()


def test_draws_of_the_same_model():
    kernels = estimate()
    solution = kernels.model().solve()
    draws = kernels.draws(8, seed=2, model=solution.model)
    found = recommend(solution, "standard risk", draws=draws, estimate=kernels)
    assert found.lower <= found.upper
    assert 0 <= found.probability <= 1
    assert found.table["probability"].sum() == pytest.approx(1)
    assert found.simulated
    fewer = np.ones((2, 3, 2, 2), bool)
    fewer[0, 2] = False
    other = kernels.formulary.model(
        kernels.fit.next_prob, kernels.fit.death_prob, kernels.fit.salvage_death, supported=fewer
    )
    with pytest.raises(DataError, match="states and regimens of the .*model=solution.model"):
        recommend(other.solve(), "standard risk", line=2, exposed=["x"], draws=draws)


def test_recommendations_refuse():
    model = random_model(1)
    solution = model.solve()
    with pytest.raises(DataError, match="group must be one of the model's"):
        recommend(solution, "nobody")
    with pytest.raises(DataError, match="class must be one of the model's"):
        recommend(solution, "g0", line=2, exposed=["z"])
    with pytest.raises(DataError, match="line must be one of the model's .line=4"):
        recommend(solution, "g0", line=4)
    with pytest.raises(SupportError, match="allowed regimens lead to"):
        recommend(solution, "g0", line=1, exposed=["c0"])
    with pytest.raises(DataError, match="whole number of steps"):
        recommend(solution, "g0", remaining=2.5)
    with pytest.raises(DataError, match="two draws or more .draws=1"):
        recommend(solution, "g0", draws=drawn(model, 1, 1))
    falling = np.linspace(1, 0.8, model.n_steps + 1)
    with pytest.raises(DataError, match="no background survival.*leave out draws"):
        recommend(model.solve(background=falling), "g0", draws=drawn(model, 2, 1))
    only_g0 = random_model(1, n_regimens=2, allow=1.0)
    # A group that a line cannot start in is not a profile.
    moved = np.ones((3, 2, 5), dtype=int)
    learnt = fs.sequence.SequenceModel(
        only_g0.classes, only_g0.regimens, only_g0.masks, only_g0.allowed, only_g0.groups,
        only_g0.next_prob, only_g0.death_prob, only_g0.salvage_death, group_after=moved,
    ).solve()  # fmt: skip
    with pytest.raises(SupportError, match="reached in this group .group=g0, line=2"):
        recommend(learnt, "g0", line=2)


# --- held-out patients --------------------------------------------------------------------------


def test_split_reports():
    lines, f = fs.sequence.examples.cohort(1200, seed=3)
    options = {"confounders": ["frail"], "unit": "steps", "min_ess": 10.0}
    found = split_report(lines, f, repeats=2, seed=5, **options)
    again = split_report(
        read_histories(lines, f, unit="steps", covariates=["frail"]),
        confounders=["frail"],
        min_ess=10.0,
        repeats=2,
        seed=5,
    )
    assert found.table.equals(again.table)
    assert found.splits.equals(again.splits)
    assert list(found.table) == ["quantity", "months", "std_error", "lower", "upper"]
    assert found.table["quantity"].tolist() == [
        "promised",
        "held out",
        "observed care",
        "held out - observed care",
    ]
    splits = found.splits
    assert splits[["split", "fold"]].to_numpy().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert (
        splits["sequences"].str.fullmatch(r"standard risk: \w+ → \w+; high risk: \w+ → \w+").all()
    )
    apart = splits["reported"] - splits["observed"]
    assert splits["difference"].to_numpy() == pytest.approx(apart.to_numpy())
    # Medians over the splits of means over the folds, by hand.
    table = found.table.set_index("quantity")
    for quantity, column in (("held out", "reported"), ("held out - observed care", "difference")):
        means = [splits.loc[splits["split"] == s, column].mean() for s in (1, 2)]
        centre = np.median(means)
        assert table.loc[quantity, "months"] == pytest.approx(centre)
        total = [
            (splits.loc[splits["split"] == s, f"{column}_error"] ** 2).sum() / 4 + (m - centre) ** 2
            for s, m in zip((1, 2), means, strict=True)
        ]
        error = np.sqrt(np.median(total))
        assert table.loc[quantity, "std_error"] == pytest.approx(error)
        assert table.loc[quantity, "upper"] == pytest.approx(centre + 1.959964 * error, abs=1e-5)
    assert np.isnan(table.loc["promised", "std_error"])
    assert found.simulated
    assert found.note == NOTE
    other = split_report(lines, f, repeats=2, seed=6, **options)
    assert not found.splits["reported"].equals(other.splits["reported"])


def test_policies_are_chosen_on_other_patients(monkeypatch):
    lines, f = fs.sequence.examples.cohort(900, seed=3)
    chosen_on, reported_on = [], []
    estimate_there, evaluate_here = split_patients.estimate_kernels, split_patients.evaluate

    def estimate_on(h, **options):
        chosen_on.append(set(h.persons.tolist()))
        return estimate_there(h, **options)

    def evaluate_on(h, *policies, **options):
        reported_on.append(set(h.persons.tolist()))
        return evaluate_here(h, *policies, **options)

    monkeypatch.setattr(split_patients, "estimate_kernels", estimate_on)
    monkeypatch.setattr(split_patients, "evaluate", evaluate_on)
    found = split_report(lines, f, folds=3, repeats=1, unit="steps", min_ess=5.0)
    assert found.splits["fold"].tolist() == [1, 2, 3]
    assert [len(p) for p in reported_on] == [300] * 3
    assert set.union(*reported_on) == set(range(900))
    for chosen, reported in zip(chosen_on, reported_on, strict=True):
        assert chosen == set(range(900)) - reported


def test_what_is_learnt_may_leave_no_fixed_sequence():
    model = random_model(1, n_lines=2, n_regimens=3, allow=1.0)
    after = np.tile(np.array([0, 1, 0, 1, 0]), (2, 2, 1))
    allowed = np.ones((2, 3, 2), bool)
    allowed[1] = [[True, False], [False, True], [False, False]]
    parts = (model.groups, model.next_prob, model.death_prob, model.salvage_death)
    names = (model.classes, model.regimens, model.masks)
    learnt = fs.sequence.SequenceModel(*names, allowed, *parts, group_after=after)
    said = _best_sequence(learnt, learnt.solve(), "g0")
    assert said == "none is allowed whatever is learnt"
    plain = fs.sequence.SequenceModel(*names, allowed, *parts)
    first = plain.solve().policy("g1")
    assert _best_sequence(plain, plain.solve(), "g1") == f"{first} → r1"


def test_split_reports_refuse():
    lines, f = fs.sequence.examples.cohort(100, seed=3)
    with pytest.raises(DataError, match="folds must be at least 2 .*folds=1"):
        split_report(lines, f, folds=1)
    with pytest.raises(DataError, match="repeats=0"):
        split_report(lines, f, repeats=0)
    with pytest.raises(DataError, match="needs a formulary"):
        split_report(lines)


# --- what every result says ---------------------------------------------------------------------


@pytest.mark.parametrize("simulated", [False, True])
def test_results_say_whether_their_kernels_are_simulated(simulated):
    lines, f = fs.sequence.examples.cohort(600, seed=1)
    f = parse_formulary(f.model_dump() | {"simulated": simulated})
    kernels = estimate_kernels(lines, f, unit="steps")
    model = kernels.model(min_ess=None)
    solution = model.solve()
    draws = kernels.draws(2, seed=1, model=model)
    results = [
        kernels,
        model,
        solution.model,
        draws.model,
        *draws,
        policy_tree(solution),
        recommend(solution, "high risk"),
        uncertainty(draws, group="high risk", k=1),
        robust_policy(model, 0.1),
        split_report(lines, f, repeats=1, unit="steps", min_ess=None),
    ]
    assert [r.simulated for r in results] == [simulated] * len(results)
    for result in (results[0], solution, *results[6:]):
        assert result.note.startswith(NOTE)
