"""Models: what is refused, by name."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence import Constraints, SequenceModel


def parts(**changes):
    shape = (2, 2, 1, 1, 4)
    out = {
        "classes": ["x", "y"],
        "regimens": ["A", "B"],
        "regimen_classes": [("x",), ("y",)],
        "allowed": np.ones(shape[:3], bool),
        "groups": ["all"],
        "next_prob": np.full(shape, 0.1),
        "death_prob": np.full(shape, 0.05),
        "salvage_death": np.full((1, 4), 0.2),
    }
    return out | changes


def at(array, index, value):
    array = np.array(array, dtype=float)
    array[index] = value
    return array


BASE = parts()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"next_prob": at(BASE["next_prob"], (1, 0, 0, 0, 2), 0.9)},
            "add to at most 1: 1 row.*line=2, regimen=A, group=all, overlap level=0, sum=1.4",
        ),
        (
            {"death_prob": at(BASE["death_prob"], (0, 1, 0, 0, 3), -0.1)},
            "death_prob must hold probabilities.*regimen=B.*step=4, value=-0.1",
        ),
        ({"next_prob": at(BASE["next_prob"], (0, 0, 0, 0, 0), np.nan)}, "next_prob must be finite"),
        ({"salvage_death": np.full((1, 4), 0.3)}, "salvage_death must add to at most 1.*sum=1.2"),
        (
            {"salvage_death": np.full((1, 3), 0.1)},
            "salvage_death must have the shape.*needed=.1, 4.",
        ),
        ({"regimen_classes": [("x",), ("z",)]}, "classes must be known .*regimen=B, class=z.*x, y"),
        ({"regimen_classes": [1, 4]}, "bits of known classes only .*regimen=B, mask=4"),
        ({"regimen_classes": [1]}, "one entry per regimen"),
        ({"regimens": ["A", "A"]}, "names of their own .*twice=A"),
        ({"groups": []}, "at least one of groups"),
        ({"groups": "all"}, "groups must be a list of names"),
        ({"classes": [f"c{i}" for i in range(25)]}, "at most 24 classes.*classes=25.*merge"),
        ({"allowed": np.ones((2, 2), bool)}, "true or false for each line"),
        ({"allowed": np.ones((2, 2, 1))}, "true or false for each line"),
        ({"next_prob": np.zeros((2, 2, 1, 1, 0))}, "at least one of steps.*horizon of zero"),
        ({"next_prob": np.zeros((2, 2, 4))}, "five axes"),
        ({"step_months": 0}, "step_months must be positive"),
        ({"overlap_level": np.zeros((2, 3), int)}, "one column a set of classes.*needed=.2, 4."),
        ({"overlap_level": np.ones((2, 4), int)}, "overlap level must have a kernel.*levels=1"),
        ({"group_after": np.ones((2, 1, 4), int)}, "group_after must point to a group"),
        ({"group_after": np.zeros((2, 1, 3), int)}, "group_after must be a group's number"),
        (
            {"next_refractory": np.full((2, 2, 1, 1, 4), 1.5)},
            "shares between 0 and 1.*share=1.5",
        ),
        ({"overlap_counts": "refractory"}, "needs next_refractory"),
        ({"constraints": Constraints(class_once=("q",))}, "constrained class.*class=q"),
        ({"constraints": Constraints(forbidden_after=(("A", "Q"),))}, "constrained regimen.*Q"),
        ({"utility": np.ones((2, 2))}, "utility must have the shape"),
    ],
)
def test_refusals(changes, says):
    with pytest.raises(DataError, match=says):
        SequenceModel(**parts(**changes))


def test_a_state_without_regimens_is_named():
    allowed = np.ones((2, 2, 1), bool)
    allowed[1] = [[False], [True]]
    constraints = Constraints(class_once=("y",))
    with pytest.raises(
        DataError, match='must have an allowed regimen .line=2, exposed=y, group=all.*"no further'
    ):
        SequenceModel(**parts(allowed=allowed, constraints=constraints))


def test_too_many_bits():
    names = [f"c{i}" for i in range(24)]
    regimens = [f"r{i}" for i in range(20)]
    shape = (1, 20, 1, 1, 2)
    with pytest.raises(DataError, match="fit into 62 bits.*bits=68"):
        SequenceModel(
            names,
            regimens,
            [1] * 20,
            np.ones(shape[:3], bool),
            ["g"],
            np.zeros(shape),
            np.zeros(shape),
            np.zeros((1, 2)),
            next_refractory=np.zeros(shape),
            constraints=Constraints(regimen_once=True),
        )


def test_arrays_are_read_only():
    model = SequenceModel(**parts())
    with pytest.raises(ValueError, match="read-only"):
        model.next_prob[0, 0, 0, 0, 0] = 0.5


def test_other_kernels_share_the_states():
    model = SequenceModel(**parts())
    other = model.with_kernels(model.next_prob * 0.5, model.death_prob)
    assert other.states is model.states
    assert other.solve().value("all") > model.solve().value("all") - 1e-12
    assert model.next_prob[0, 0, 0, 0, 0] == 0.1
    with pytest.raises(DataError, match="add to at most 1"):
        model.with_kernels(model.next_prob * 9, model.death_prob)


def test_examples():
    model = fs.sequence.examples.benchmark()
    assert (len(model.classes), len(model.regimens), model.n_lines) == (10, 24, 6)
    assert (len(model.groups), model.n_steps) == (12, 240)
    assert model.simulated
