"""Formularies: files, rules of the schema, and what a model gets from them."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import yaml

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import Formulary, parse_formulary, read_formulary

TOML = """
name = "two lines"
simulated = true
lines = 2
horizon_months = 12
overlap_levels = 2
groups = ["standard", "early relapse"]

[classes]
x = "class x"
y = "class y"

[[regimens]]
name = "A"
classes = ["x"]
lines = [1]
cost_month = { value = 100, source = "price list" }
start_cost = { value = 40, source = "price list" }
utility = { value = 0.7, source = "survey" }
utility_off = { value = 0.9, source = "survey" }
treatment_months = 4

[[regimens]]
name = "A and B"
classes = ["x", "y"]
groups = ["standard"]
cost_month = { value = 300, source = "price list" }
utility = { value = 0.6, source = "survey" }

[[regimens]]
name = "no further therapy"
cost_month = { value = 0, source = "nothing is given" }
utility = { value = 0.5, source = "survey" }

[[group_updates]]
start = "standard"
to = "early relapse"
line = 1
within_months = 3

[constraints]
class_once = ["y"]
forbidden_after = [["A and B", "A"]]

[salvage]
cost_month = { value = 10, source = "price list" }
utility = { value = 0.4, source = "survey" }
"""

YAML = """
name: two lines
simulated: true
lines: 2
horizon_months: 12
overlap_levels: 2
groups: [standard, early relapse]
classes: {x: class x, y: class y}
regimens:
  - name: A
    classes: [x]
    lines: [1]
    cost_month: {value: 100, source: price list}
    start_cost: {value: 40, source: price list}
    utility: {value: 0.7, source: survey}
    utility_off: {value: 0.9, source: survey}
    treatment_months: 4
  - name: A and B
    classes: [x, y]
    groups: [standard]
    cost_month: {value: 300, source: price list}
    utility: {value: 0.6, source: survey}
  - name: no further therapy
    cost_month: {value: 0, source: nothing is given}
    utility: {value: 0.5, source: survey}
group_updates:
  - {start: standard, to: early relapse, line: 1, within_months: 3}
constraints:
  class_once: [y]
  forbidden_after: [[A and B, A]]
salvage:
  cost_month: {value: 10, source: price list}
  utility: {value: 0.4, source: survey}
"""


def content(**changes):
    return copy.deepcopy(yaml.safe_load(YAML)) | changes


def with_regimen(number, **changes):
    out = content()
    out["regimens"][number] |= changes
    return out


def without(number, *fields):
    out = content()
    for field in fields:
        del out["regimens"][number][field]
    return out


def small(**changes):
    return parse_formulary(
        {
            "name": "small",
            "lines": 2,
            "horizon_months": 6,
            "classes": {"x": "class x"},
            "regimens": [{"name": "A", "classes": ["x"]}, {"name": "B"}],
        }
        | changes
    )


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


# --- files --------------------------------------------------------------------------------------


def test_toml_and_yaml_read_equally(tmp_path):
    toml = read_formulary(write(tmp_path, "f.toml", TOML))
    for name in ("f.yaml", "f.yml"):
        assert read_formulary(str(write(tmp_path, name, YAML))) == toml
    assert toml.regimen_names == ("A", "A and B", "no further therapy")
    assert toml.masks.tolist() == [1, 3, 0]
    assert toml.regimens[0].cost_month.source == "price list"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("f.txt", TOML, r"must be a TOML or YAML file \(file=f.txt\); name it .toml"),
        ("f", TOML, "must be a TOML or YAML file"),
        ("f.toml", "lines = = 2", r"valid TOML or YAML \(file=f.toml, problem=.*line 1"),
        ("f.toml", 'name = "a"\nname = "b"', "valid TOML or YAML .*overwrite"),
        ("f.yaml", "a: [1, 2", "valid TOML or YAML .*file=f.yaml"),
        ("f.yaml", "name: a\nname: b", "valid TOML or YAML .*'name' stands twice"),
        ("f.yaml", "classes:\n  x: a\n  x: b", "'x' stands twice"),
        ("f.yaml", "!!python/object/apply:os.getcwd []", "valid TOML or YAML"),
        ("f.yaml", "", "place=the whole file"),
        ("f.yaml", "- 1\n- 2", "place=the whole file"),
    ],
)
def test_broken_files(tmp_path, name, text, says):
    with pytest.raises(DataError, match=says):
        read_formulary(write(tmp_path, name, text))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(DataError, match="must be readable .file=.*missing.toml"):
        read_formulary(tmp_path / "missing.toml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(DataError, match="must be readable"):
        read_formulary(tmp_path / "folder.yaml")
    (tmp_path / "latin.toml").write_bytes('name = "thérapie"'.encode("latin-1"))
    with pytest.raises(DataError, match="must be readable .*utf-8"):
        read_formulary(tmp_path / "latin.toml")


# --- the schema ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (with_regimen(0, classes=["z"]), "regimen 'A' names the unknown class 'z'"),
        (with_regimen(1, groups=["young"]), "regimen 'A and B' names the unknown group 'young'"),
        (with_regimen(0, lines=[3]), "regimen 'A' names line 3 of 2"),
        (with_regimen(0, lines=[0]), "regimen 'A' names line 0 of 2"),
        (with_regimen(0, lines=[]), "at least 1 item.*regimens > 0 > lines"),
        (with_regimen(0, groups=[]), "at least 1 item.*regimens > 0 > groups"),
        (with_regimen(1, name="A"), "regimens must have names of their own: 'A' stands twice"),
        (content(groups=["a", "a"]), "groups must have names of their own: 'a' stands twice"),
        (content(horizon_months=12.5), "horizon_months must be a whole number of steps"),
        (content(horizon_months=0.4), "horizon_months must be a whole number of steps"),
        (content(horizon_months=float("inf")), "finite number.*place=horizon_months"),
        (content(step_months=5), "horizon_months must be a whole number of steps"),
        (content(step_months=0), "greater than 0.*place=step_months"),
        (content(lines=0), "greater than or equal to 1.*place=lines"),
        (content(schema_version=2), "place=schema_version"),
        (content(regimens=[]), "at least 1 item.*place=regimens"),
        (content(colour="red"), "[Ee]xtra inputs are not permitted.*place=colour"),
        (
            with_regimen(2, cost_month={"value": 1}),
            "Field required.*place=regimens > 2 > cost_month > source",
        ),
        (
            with_regimen(2, cost_month={"value": 1, "source": ""}),
            "at least 1 character.*regimens > 2 > cost_month > source",
        ),
        (
            with_regimen(2, utility={"value": float("nan"), "source": "s"}),
            "finite number.*regimens > 2 > utility > value",
        ),
        (
            with_regimen(0, observed_care=True),
            "observed_care stands for one regimen, which has no classes",
        ),
        (
            content(
                regimens=[
                    {"name": "a", "observed_care": True},
                    {"name": "b", "observed_care": True},
                ]
            ),
            "observed_care stands for one regimen",
        ),
        (with_regimen(0, treatment_months=0), "greater than 0.*treatment_months"),
        (
            content(constraints={"class_once": ["q"]}),
            "constraints names the unknown class 'q'",
        ),
        (
            content(constraints={"forbidden_after": [["A", "Q"]]}),
            "constraints names the unknown regimen 'Q'",
        ),
        (
            content(group_updates=[{"start": "standard", "to": "x", "within_months": 2}]),
            "group_updates names the unknown group 'x'",
        ),
        (
            content(
                group_updates=[
                    {"start": "standard", "to": "standard", "line": 4, "within_months": 2}
                ]
            ),
            "group_updates names line 4 of 2",
        ),
        (
            content(group_updates=[{"start": "standard", "to": "standard", "within_months": 0.5}]),
            "within_months must be one step or more",
        ),
    ],
)
def test_rules_of_the_schema(broken, says):
    with pytest.raises(DataError, match=r"breaks a rule.*file=mine\.toml") as caught:
        parse_formulary(broken, "mine.toml")
    assert caught.match(says)
    assert caught.match("correct the file")


def test_the_number_of_problems_is_said():
    with pytest.raises(DataError, match="problems=2"):
        parse_formulary(content(lines=0, step_months=-1))


# --- what the rules make ------------------------------------------------------------------------


def test_allowed_by_hand():
    allowed = parse_formulary(content()).allowed
    assert allowed[:, 0].tolist() == [[True, True], [False, False]]
    assert allowed[:, 1].tolist() == [[True, False], [True, False]]
    assert allowed[:, 2].all()


def test_group_updates_by_hand():
    f = small(
        lines=3,
        horizon_months=12,
        step_months=2,
        groups=["a", "b", "c"],
        group_updates=[
            {"start": "a", "to": "b", "line": 2, "within_months": 4},
            {"start": "a", "to": "c", "within_months": 7},
            {"start": "b", "to": "a", "within_months": 100},
        ],
    )
    # Steps of 2 months: 4 months are 2 steps, 7 months 3 whole steps. The first rule that applies counts.
    assert f.group_after[0].tolist() == [[2, 2, 2, 0, 0, 0], [0] * 6, [2] * 6]
    assert f.group_after[1].tolist() == [[1, 1, 2, 0, 0, 0], [0] * 6, [2] * 6]
    assert f.group_after[2].tolist() == f.group_after[0].tolist()
    assert small().group_after is None


def test_costs_and_utilities_by_step():
    found = parse_formulary(content()).economics()
    cost, utility = found["cost"][1, :, 0, 1], found["utility"][0, :, 1, 0]
    assert cost[0].tolist() == [100] * 4 + [0] * 8  # free of treatment after 4 months
    assert cost[1].tolist() == [300] * 12
    assert utility[0] == pytest.approx([0.7] * 4 + [0.9] * 8)
    assert utility[1].tolist() == [0.6] * 12
    assert found["start_cost"][1].tolist() == [[40, 40], [0, 0], [0, 0]]
    assert found["salvage_cost"].tolist() == [[10] * 12] * 2
    assert found["salvage_utility"].tolist() == [[0.4] * 12] * 2


def test_treatment_that_ends_within_a_step():
    # 4 months in steps of 3: one step, and a third of the next.
    found = parse_formulary(content(step_months=3)).economics()
    assert found["cost"][0, 0, 0, 0] == pytest.approx([300, 100, 0, 0])
    assert found["utility"][0, 0, 0, 0] == pytest.approx([0.7, 0.7 / 3 + 0.9 * 2 / 3, 0.9, 0.9])
    shorter = with_regimen(0, treatment_months=1) | {"step_months": 3}
    assert parse_formulary(shorter).economics()["cost"][0, 0, 0, 0].tolist() == [100, 0, 0, 0]


def test_shares_on_treatment():
    f = parse_formulary(content())
    shares = np.full((3, 12), 0.25)
    found = f.economics(shares)
    assert found["cost"][0, 1, 0, 0].tolist() == [75] * 12
    assert found["utility"][0, 0, 0, 0] == pytest.approx([0.25 * 0.7 + 0.75 * 0.9] * 12)
    for wrong in (shares[:2], shares + 1, -shares, np.full((3, 12), np.nan)):
        with pytest.raises(DataError, match="shares by regimen and step.*needed=.3, 12."):
            f.economics(wrong)


def test_nothing_is_made_up():
    assert set(small().economics().values()) == {None}


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (without(1, "cost_month"), "cost_month must be given for every regimen.*missing=A and B"),
        (without(2, "utility"), "utility must be given for every.*number missing=1.*0 with its"),
        (content(salvage={}), "time after the last line.*formulary=two lines.*salvage"),
        (
            content(
                regimens=[{"name": "A", "start_cost": {"value": 1, "source": "s"}}],
                constraints={},
            ),
            "start_cost needs cost_month .regimen=A",
        ),
        (
            content(
                regimens=[{"name": "A", "utility_off": {"value": 1, "source": "s"}}],
                constraints={},
            ),
            "utility_off needs utility .regimen=A",
        ),
    ],
)
def test_figures_that_lack_their_company(broken, says):
    with pytest.raises(DataError, match=says):
        parse_formulary(broken).economics()


def test_levels_that_occur_by_brute_force():
    rng = np.random.default_rng(3)
    seen = set()
    for _ in range(25):
        n_regimens, n_lines, levels = rng.integers(1, 5), rng.integers(1, 4), rng.integers(1, 4)
        regimens = []
        for a in range(n_regimens):
            regimen = {"name": f"r{a}", "classes": [c for c in "wxyz" if rng.random() < 0.5]}
            if a:
                regimen["lines"] = [i for i in range(1, n_lines + 1) if rng.random() < 0.7] or [1]
            regimens.append(regimen)
        f = small(
            lines=int(n_lines),
            overlap_levels=int(levels),
            classes=dict.fromkeys("wxyz", "a class"),
            regimens=regimens,
        )
        expected = np.zeros((n_lines, n_regimens, levels), bool)
        for sequence in itertools.product(range(n_regimens), repeat=int(n_lines)):
            exposed = set()
            for line, a in enumerate(sequence):
                if line + 1 not in regimens[a].get("lines", range(1, n_lines + 1)):
                    break
                classes = set(regimens[a]["classes"])
                mask = sum(1 << "wxyz".index(c) for c in exposed)
                level = min(len(classes & exposed), levels - 1)
                assert f.level(a, mask) == level
                expected[line, a, level] = True
                exposed |= classes
        assert np.array_equal(f.levels_that_occur(), expected)
        seen |= set(expected.ravel().tolist())
    assert seen == {True, False}


# --- models -------------------------------------------------------------------------------------


def kernels(f, seed=1):
    rng = np.random.default_rng(seed)
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
    raw = rng.dirichlet(np.ones(2 * f.n_steps + 1), shape)
    salvage = rng.dirichlet(np.ones(f.n_steps + 1), len(f.groups))[:, : f.n_steps]
    return raw[..., : f.n_steps], raw[..., f.n_steps : 2 * f.n_steps], salvage


def test_a_model_has_what_the_formulary_says():
    from tests.sequence.naive import Recursion

    f = parse_formulary(content())
    model = f.model(*kernels(f))
    assert (model.classes, model.groups) == (("x", "y"), ("standard", "early relapse"))
    assert model.simulated
    assert not f.model(*kernels(f), simulated=False).simulated
    assert model.constraints.class_once == ("y",)
    assert np.array_equal(model.group_after, f.group_after)
    for options in (
        {},
        {"objective": "quality_adjusted"},
        {"objective": "cost", "discount": 0.03},
        {"objective": "net_benefit", "willingness_to_pay": 2000.0},
    ):
        solution, naive = model.solve(**options), Recursion(model, **options)
        for g, name in enumerate(f.groups):
            assert solution.value(name) == pytest.approx(naive.optimum(g), abs=1e-9)


def test_a_model_narrowed_by_support():
    f = parse_formulary(content())
    supported = np.ones((2, 3, 2, 2), bool)
    supported[0, :2] = False
    model = f.model(*kernels(f), supported=supported)
    assert model.solve().policy("standard") == "no further therapy"
    supported[0, 2, 1] = False
    with pytest.raises(DataError, match="allowed regimen .line=1, exposed=nothing, group=early"):
        f.model(*kernels(f), supported=supported)


def test_the_simulated_cohort_has_a_formulary():
    _, f = fs.sequence.examples.cohort(20, seed=1)
    assert isinstance(f, Formulary)
    assert f.simulated
