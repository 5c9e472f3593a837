"""The solver against plain recursion, enumeration and closed forms; the same for any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fiac_survival as fs
from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence import Constraints, SequenceModel, solving
from fiac_survival.sequence.solving import sweep
from tests.sequence.naive import Recursion, random_model

KINDS = [
    {},
    {"objective": "milestone", "at": 4.0},
    {"discount": 0.05},
    {"objective": "quality_adjusted", "discount": 0.03},
    {"objective": "cost", "discount": 0.04},
    {"objective": "net_benefit", "willingness_to_pay": 60.0},
    {"background": "falling"},
    {"objective": "milestone", "at": 3.0, "background": "falling"},
    {
        "objective": "net_benefit",
        "willingness_to_pay": 40.0,
        "background": "falling",
        "discount": 0.02,
    },
]
MODELS = [
    {},
    {"learning": True},
    {"refractory": True},
    {"refractory": True, "overlap_counts": "refractory", "learning": True},
    {"levels_table": True, "n_levels": 3},
    {"constraints": Constraints(class_once=("c0",))},
    {"constraints": Constraints(forbidden_after=(("r1", "r2"), ("r2", "r2")))},
    {"constraints": Constraints(regimen_once=True), "n_lines": 3, "allow": 1.0},
]


def falling(model):
    t = np.arange(model.n_steps + 1)
    return np.exp(-0.03 * t - 0.01 * t**1.5)


def options_for(kind, model):
    options = dict(kind)
    if options.get("background") == "falling":
        options["background"] = falling(model)
    return options


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from(MODELS), st.sampled_from(KINDS))
def test_optimum_is_that_of_plain_recursion(seed, shape, kind):
    model = random_model(seed, economics=True, **shape)
    options = options_for(kind, model)
    solution = model.solve(**options)
    twin = Recursion(model, **options)
    for g, group in enumerate(model.groups):
        assert solution.value(group) == pytest.approx(twin.optimum(g), abs=1e-10, rel=1e-12)
    # Not only at the start: a state of a later line, with less time.
    for line in range(1, model.n_lines):
        states = model.states.lines[line]
        for place, g in np.argwhere(states.reached)[:6]:
            if model.states.has_last or model.states.has_used:
                continue
            for remaining in range(solution.problem.horizon + 1):
                ours = solution.problem.report(
                    solution.values[line][g, place, remaining], g, remaining
                )
                theirs = twin.value(
                    line,
                    int(states.exposed[place]),
                    int(states.refractory[place]),
                    -1,
                    0,
                    int(g),
                    remaining,
                )
                assert ours == pytest.approx(theirs * twin.scale, abs=1e-10, rel=1e-12)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from(MODELS))
def test_the_policy_attains_the_value(seed, shape):
    from fiac_survival.sequence.policies import policy_value

    model = random_model(seed, **shape)
    solution = model.solve()
    again = policy_value(model, solution)
    for g in range(len(model.groups)):
        np.testing.assert_allclose(
            again.values[0][g, 0], solution.values[0][g, 0], rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("shape", MODELS)
def test_threads_and_repetition_change_no_bit(shape):
    model = random_model(3, n_steps=60, n_groups=5, **shape)
    first = model.solve(threads=1)
    for threads in (2, 3, 1):
        again = model.solve(threads=threads)
        for one, two in zip(first.values, again.values, strict=True):
            assert one.tobytes() == two.tobytes()
        for one, two in zip(first.actions, again.actions, strict=True):
            assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("block", [1, 3, 7, 48, 100])
def test_blocks_change_rounding_only(block):
    model = random_model(5, n_steps=50, learning=True)
    expected = model.solve()
    values, _ = sweep(model, expected.problem, threads=2, block=block)
    for one, two in zip(values, expected.values, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", MODELS)
@pytest.mark.parametrize("kind", [{}, {"objective": "net_benefit", "willingness_to_pay": 60.0}])
def test_elimination_changes_no_action(monkeypatch, shape, kind):
    model = random_model(6, n_steps=70, n_regimens=6, economics=True, **shape)
    expected = model.solve(**kind)
    monkeypatch.setattr(solving, "SLACK", 1e12)  # eliminates nothing
    whole = model.solve(**kind)
    for one, two in zip(whole.values, expected.values, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-11)
    for one, two in zip(whole.actions, expected.actions, strict=True):
        np.testing.assert_array_equal(one, two)


def test_ties_go_to_the_first_regimen():
    model = random_model(1, n_regimens=3, n_classes=2)
    same_next, same_death = (np.array(x) for x in (model.next_prob, model.death_prob))
    same_next[:, 1:] = same_next[:, :1]
    same_death[:, 1:] = same_death[:, :1]
    tied = model.with_kernels(same_next * (1 + 1e-15), same_death)
    solution = tied.solve()
    for actions in solution.actions:
        assert set(np.unique(actions)) <= {0, 255}


def test_one_step_and_one_line():
    model = random_model(2, n_steps=1, n_lines=1)
    solution = model.solve()
    for g, group in enumerate(model.groups):
        lived = [
            1 - 0.5 * model.death_prob[0, a, g, 0, 0] for a in range(4) if model.allowed[0, a, g]
        ]
        assert solution.value(group) == pytest.approx(max(lived), abs=1e-12)


def test_saved_and_restored(tmp_path):
    model = random_model(4, learning=True)
    solution = model.solve()
    solution.save(tmp_path / "deep" / "solution.npz")
    again = model.solve(threads=1).restored(tmp_path / "deep" / "solution.npz")
    for one, two in zip(solution.values, again.values, strict=True):
        assert one.tobytes() == two.tobytes()
    with pytest.raises(DataError, match="of this model and objective.*life_time"):
        model.solve(objective="milestone", at=5.0).restored(tmp_path / "deep" / "solution.npz")
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(DataError, match="must be a saved solution"):
        solution.restored(tmp_path / "bad.npz")


def test_asking_for_states():
    model = random_model(0, n_classes=2, n_regimens=3, allow=1.0)
    solution = model.solve()
    with pytest.raises(DataError, match="group must be one of the model's.*g0, g1"):
        solution.value("g9")
    with pytest.raises(DataError, match="line must be one of the model's.*lines=3"):
        solution.value("g0", line=4)
    with pytest.raises(SupportError, match="allowed regimens lead to"):
        solution.value("g0", line=1, exposed=["c0"])
    with pytest.raises(DataError, match="class must be one of the model's"):
        solution.value("g0", line=2, exposed=["x"])
    with pytest.raises(DataError, match="whole number of steps"):
        solution.value("g0", remaining=2.5)
    assert solution.value("g0", remaining=0) == 0.0
    assert solution.policy("g0") in model.regimens
    table = solution.map()
    assert len(table) == sum(int(s.reached.sum()) for s in model.states.lines)
    assert "not medical advice" in solution.note


def test_states_of_other_groups_are_refused():
    model = random_model(7, n_groups=2, learning=False, allow=1.0)
    closed = np.array(model.allowed)
    closed[0, 1:, 1] = False  # group g1 starts with no further therapy only
    again = fs.sequence.SequenceModel(
        model.classes,
        model.regimens,
        model.masks,
        closed,
        model.groups,
        model.next_prob,
        model.death_prob,
        model.salvage_death,
    )
    solution = again.solve()
    exposed = next(again.class_names(int(m)) for m in again.masks if m)
    assert solution.value("g0", line=2, exposed=exposed) > 0
    with pytest.raises(SupportError, match="reached in this group.*g1"):
        solution.value("g1", line=2, exposed=exposed)


def test_support_by_overlap_level():
    """A regimen that is not supported at a level is as good as one whose kernel there kills at once."""
    model = random_model(31, n_levels=3, allow=1.0)
    rng = np.random.default_rng(0)
    supported = rng.random(model.next_prob.shape[:4]) < 0.6
    supported[:, 0] = True
    parts = {
        name: getattr(model, name)
        for name in ("classes", "regimens", "allowed", "groups", "salvage_death")
    }
    narrowed = SequenceModel(
        **parts,
        regimen_classes=model.masks,
        next_prob=model.next_prob,
        death_prob=model.death_prob,
        supported=supported,
    )
    deadly, onward = model.death_prob.copy(), model.next_prob.copy()
    deadly[~supported] = 0.0
    deadly[~supported, 0] = 1.0
    onward[~supported] = 0.0
    killing = model.with_kernels(onward, deadly)
    for group in model.groups:
        assert narrowed.solve().value(group) == pytest.approx(
            killing.solve().value(group), abs=1e-12
        )
        best = narrowed.best_sequences(1, group)
        assert best.table["value"][0] == pytest.approx(
            killing.best_sequences(1, group).table["value"][0], abs=1e-12
        )
    with pytest.raises(DataError, match="yes or no by line"):
        SequenceModel(
            **parts,
            regimen_classes=model.masks,
            next_prob=model.next_prob,
            death_prob=model.death_prob,
            supported=supported[0],
        )


def test_groups_that_are_only_learnt():
    """A group without regimens in line 1 that others change to is no group to start in."""
    whole = random_model(41, learning=True, n_groups=3, allow=1.0)
    after = np.array(whole.group_after)
    after[0, :2, 0] = 2
    parts = {
        name: getattr(whole, name)
        for name in ("classes", "regimens", "groups", "next_prob", "death_prob", "salvage_death")
    }
    allowed = np.array(whole.allowed)
    allowed[0, :, 2] = False
    model = SequenceModel(**parts, allowed=allowed, regimen_classes=whole.masks, group_after=after)
    again = SequenceModel(
        **parts, allowed=whole.allowed, regimen_classes=whole.masks, group_after=after
    )
    solution = model.solve()
    assert solution.table["group"].tolist() == ["g0", "g1"]
    for group in ("g0", "g1"):
        assert solution.value(group) == again.solve().value(group)
        assert model.best_sequences(2, group).sequences == again.best_sequences(2, group).sequences
    with pytest.raises(SupportError, match="can be reached in this group"):
        solution.value("g2")
    cost = dict.fromkeys(model.regimens, 1.0)
    assert model.frontier(cost=cost).mix == {"g0": 0.5, "g1": 0.5, "g2": 0.0}
    with pytest.raises(DataError, match="in which line 1 starts.*g2"):
        model.frontier(cost=cost, mix={"g2": 1.0})
    with pytest.raises(DataError, match="must have an allowed regimen.*line=1.*g2"):
        SequenceModel(**parts, allowed=allowed, regimen_classes=whole.masks)
