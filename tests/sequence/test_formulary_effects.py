"""Relative effects that stand in a formulary, and the ratios between regimens that are made of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.core.released import read_table
from fiac_survival.sequence import RelativeEffects, parse_formulary, read_formulary
from tests.conftest import ROOT

MYELOMA = Path(fs.__file__).parent / "sequence/formularies/myeloma.toml"
REFERENCES = {1: ["VRd + transplant", "VMP"], 2: "Vd", 3: "Vd", 4: "Vd"}


def effect(category, regimens, onward, death, **changes):
    names = ("ratio", "lower", "upper")
    return {
        "category": category,
        "against": "the mix",
        "regimens": regimens,
        "lines": [1],
        "next": dict(zip(names, onward, strict=True)),
        "death": dict(zip(names, death, strict=True)),
        "source": "a network meta-analysis",
    } | changes


FIRST = effect("first", ["A", "C"], (1.2, 1.0, 1.44), (1.0, 0.8, 1.25))
SECOND = effect("second", ["B"], (0.6, 0.5, 0.72), (0.8, 0.64, 1.0))


def formulary(*effects, **changes):
    return parse_formulary(
        {
            "name": "small",
            "lines": 2,
            "horizon_months": 6,
            "classes": {"x": "class x"},
            "groups": ["young", "old"],
            "regimens": [
                {"name": "A", "classes": ["x"]},
                {"name": "B", "groups": ["old"]},
                {"name": "C"},
            ],
            "effects": list(effects),
        }
        | changes
    )


def test_ratios_by_hand():
    table = RelativeEffects.from_formulary(formulary(FIRST, SECOND), {1: "A"}).table
    # C is of the reference's own category: what was observed of it stands.
    assert table[["line", "regimen", "reference"]].to_numpy().tolist() == [[1, "B", "A"]]
    assert table["hazard_ratio_next"][0] == pytest.approx(0.6 / 1.2)
    assert table["hazard_ratio_death"][0] == pytest.approx(0.8)
    z = 1.959963984540054
    each = [math.log(u / low) / (2 * z) for low, u in ((1.0, 1.44), (0.5, 0.72))]
    assert table["log_se_next"][0] == pytest.approx(math.hypot(*each))
    assert table["source"][0] == "a network meta-analysis"


def test_the_level_of_an_interval_counts():
    narrow = effect("second", ["B"], (0.6, 0.5, 0.72), (0.8, 0.64, 1.0), level=0.9)
    errors = [
        RelativeEffects.from_formulary(formulary(FIRST, e), {1: "A"}).table["log_se_next"][0]
        for e in (SECOND, narrow)
    ]
    assert errors[1] > errors[0]


def test_a_reference_is_allowed_where_the_regimen_is():
    f = formulary(FIRST, SECOND)
    with pytest.raises(DataError, match="in all groups in which the regimen is.*regimen=A"):
        RelativeEffects.from_formulary(f, {1: "B"})
    both = RelativeEffects.from_formulary(f, {1: ["B", "A"]}).table
    assert both.empty  # A and B are references, C has A's category
    assert both.columns[0] == "line"


def test_what_is_not_allowed_in_a_line_has_no_effect():
    f = formulary(
        FIRST,
        SECOND,
        regimens=[{"name": "A"}, {"name": "B", "lines": [2]}, {"name": "C"}],
    )
    assert RelativeEffects.from_formulary(f, {1: "A"}).table.empty


@pytest.mark.parametrize(
    ("references", "says"),
    [
        ({1: "D"}, "regimen with an effect in its line .reference=D, line=1"),
        ({2: "A"}, "regimen with an effect in its line .reference=A, line=2"),
        ({3: "A"}, "line must be one of the formulary's .line=3, lines=2"),
        ({0: "A"}, "line must be one of the formulary's"),
    ],
)
def test_references_that_are_refused(references, says):
    with pytest.raises(DataError, match=says):
        RelativeEffects.from_formulary(formulary(FIRST, SECOND), references)


def test_comparators_must_be_the_same():
    other = effect("second", ["B"], (0.6, 0.5, 0.72), (0.8, 0.64, 1.0), against="placebo")
    with pytest.raises(DataError, match="same comparator .regimen=B, reference=A"):
        RelativeEffects.from_formulary(formulary(FIRST, other), {1: "A"})


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (effect("c", ["D"], (1, 0.5, 2), (1, 0.5, 2)), "effect 'c' names the unknown regimen 'D'"),
        (effect("c", ["A"], (1, 0.5, 2), (1, 0.5, 2), lines=[3]), "effect 'c' names line 3 of 2"),
        (effect("c", ["A"], (3, 0.5, 2), (1, 0.5, 2)), "ratio must lie within its interval"),
        (effect("c", ["A"], (1, 1, 1), (1, 0.5, 2)), "ratio must lie within its interval"),
        (effect("c", ["A"], (1, 0, 2), (1, 0.5, 2)), "effects > 1 > next > lower"),
        (effect("c", ["A"], (1, 0.5, 2), (1, 0.5, 2)), "regimen 'A' has two effects in line 1"),
        (effect("c", ["B"], (1, 0.5, 2), (1, 0.5, 2), source=""), "effects > 1 > source"),
    ],
)
def test_effects_that_break_a_rule(broken, says):
    with pytest.raises(DataError, match=says):
        formulary(FIRST, broken)


# --- myeloma ------------------------------------------------------------------------------------


def test_myeloma_has_every_category_of_both_settings():
    effects = read_formulary(MYELOMA).effects
    assert [sum(e.category.startswith(s) for e in effects) for s in ("newly", "relapsed")] == [9, 6]
    assert {e.lines for e in effects} == {(1,), (2, 3, 4)}
    by_name = {e.category: e for e in effects}
    found = by_name["newly diagnosed: anti-CD38+PI+IMiD+transplant"]
    assert (found.next.ratio, found.next.lower, found.next.upper) == (0.333, 0.138, 0.801)
    assert (found.death.ratio, found.death.lower, found.death.upper) == (0.473, 0.197, 1.134)
    assert all(e.level == 0.95 for e in effects)


def test_intervals_are_symmetric_on_the_log_scale():
    for e in read_formulary(MYELOMA).effects:
        for ratio in (e.next, e.death):
            middle = math.sqrt(ratio.lower * ratio.upper)
            assert ratio.ratio == pytest.approx(middle, rel=0.005), e.category


def test_the_myeloma_study_takes_these_effects():
    found = RelativeEffects.from_formulary(read_formulary(MYELOMA), REFERENCES).table
    published = read_table(ROOT / "studies/myeloma_sequences/results/relative_effects.csv")
    key = ["line", "regimen"]
    both = found.merge(published, on=key, how="outer", suffixes=("", "_published"))
    assert len(both) == len(found) == len(published)
    for name in ("hazard_ratio_next", "hazard_ratio_death", "log_se_next", "log_se_death"):
        np.testing.assert_allclose(both[name], both[f"{name}_published"], rtol=1e-8)
    assert (both["reference"] == both["reference_published"]).all()
