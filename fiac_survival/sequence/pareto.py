r"""Value against cost: the exact Pareto set of fixed sequences.

Not every sequence on the Pareto front is supported by the hull. Suffixes of sequences are kept as labels
at (line, state): value and cost **for every number of remaining steps** r and every group that can be
there. One suffix is dropped only if another is at least as good and at most as dear for all r; a
comparison at r = T alone would drop suffixes that win later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.sequences import convolve
from fiac_survival.sequence.budget import value_and_cost, with_costs
from fiac_survival.sequence.fixed import ARROW
from fiac_survival.sequence.objectives import Objective, Problem
from fiac_survival.sequence.solution import NOTE

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
SLACK = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ParetoSet(Result):
    """Fixed sequences that no other beats in value and cost at once.

    Attributes
    ----------
    table : DataFrame
        sequence, value, cost, supported (on the concave hull), by ascending cost.
    sequences : list of tuple of str
        The regimens of each.
    labels : int
        Suffixes that were kept.
    """

    sequences: list[tuple[str, ...]]
    labels: int
    note: str = NOTE


@dataclass(frozen=True, eq=False)
class _Label:
    """A suffix of a sequence, by group and remaining steps."""

    regimens: tuple[int, ...]
    value: Floats
    cost: Floats


@single_threaded_blas
def pareto(
    model: SequenceModel,
    group: str,
    *,
    cost: Mapping[str, float] | None = None,
    objective: Objective = "life_time",
    discount: float = 0.0,
    most: int = 200_000,
) -> ParetoSet:
    """Find the exact Pareto set of fixed sequences; see :meth:`SequenceModel.pareto`.

    Parameters
    ----------
    model : SequenceModel
        The model, without refractory classes.
    group : str
        Group in which line 1 starts.
    cost : mapping, optional
        Cost of a month of each regimen; the model's own costs by default.
    objective : {"life_time", "quality_adjusted"}
        Value.
    discount : float
        Annual rate for both.
    most : int
        Largest number of suffixes to keep.

    Returns
    -------
    ParetoSet
        By ascending cost.

    Raises
    ------
    DataError
        If the model has refractory classes, or more suffixes than `most` are not dominated.
    """
    if model.next_refractory is not None:
        raise DataError(
            "the Pareto set of fixed sequences needs a model without refractory classes",
            values={"next_refractory": "given"},
            remedy="use the frontier of policies",
        )
    priced = with_costs(model, cost)
    value_problem, cost_problem = value_and_cost(priced, objective, discount, None)
    g = priced.group_index(group)
    there = _groups_there(priced, g)
    after_last = _Label((), value_problem.terminal, -cost_problem.terminal)
    labels: list[list[_Label]] = [[after_last]]
    kept = 0
    for line in range(priced.n_lines - 1, -1, -1):
        states = priced.states.lines[line]
        current: list[list[_Label]] = []
        for place in range(states.size):
            here = np.flatnonzero(there[line][place])
            candidates: list[_Label] = []
            for a in range(len(priced.regimens)):
                target = int(states.after[place, a])
                if (
                    target < 0
                    or here.size == 0
                    or not priced.usable[line, a, here, states.level[place, a]].all()
                ):
                    continue
                candidates += [
                    _prepend(priced, value_problem, cost_problem, line, place, a, here, suffix)
                    for suffix in labels[target]
                ]
            current.append(_undominated(candidates, here))
            kept += len(current[-1])
            if kept > most:
                raise DataError(
                    "the suffixes that are not dominated must be at most the asked number",
                    values={"most": most},
                    remedy="use fewer lines or regimens, or the frontier of policies",
                )
        labels = current
    return _pareto_set(priced, value_problem, labels[0], g, kept)


def _groups_there(model: SequenceModel, start: int) -> list[NDArray[np.bool_]]:
    """Find the groups in which each state can be reached from one starting group."""
    out = []
    there = np.zeros((1, len(model.groups)), dtype=np.bool_)
    there[0, start] = True
    for line, states in enumerate(model.states.lines):
        out.append(there)
        if line + 1 == model.n_lines:
            break
        following = np.zeros((model.states.lines[line + 1].size, len(model.groups)), np.bool_)
        for place, g in np.argwhere(there):
            groups = [g] if model.group_after is None else np.unique(model.group_after[line, g])
            for a in range(len(model.regimens)):
                if states.after[place, a] >= 0 and model.usable[line, a, g, states.level[place, a]]:
                    following[states.after[place, a], groups] = True
        there = following
    return out


def _prepend(
    model: SequenceModel,
    value_problem: Problem,
    cost_problem: Problem,
    line: int,
    place: int,
    regimen: int,
    groups: NDArray[np.int64],
    suffix: _Label,
) -> _Label:
    h = int(model.states.lines[line].level[place, regimen])
    n_groups, width = suffix.value.shape
    value, cost = np.zeros((n_groups, width)), np.zeros((n_groups, width))
    for g in groups:
        value[g] = value_problem.reward[line, regimen, g, h]
        cost[g] = -cost_problem.reward[line, regimen, g, h]
        chain = value_problem.chain[line, regimen, g, h]
        after = np.full(width - 1, g)
        if model.group_after is not None:
            after = model.group_after[line, g, : width - 1]
        for target in np.unique(after):
            masked = chain.copy()
            masked[1:] *= after == target
            convolve(masked, suffix.value[target], value[g])
            convolve(masked, suffix.cost[target], cost[g])
    return _Label((regimen, *suffix.regimens), value, cost)


def _undominated(candidates: list[_Label], groups: NDArray[np.int64]) -> list[_Label]:
    """Drop labels that another beats for every group and number of remaining steps."""
    if not candidates:
        return []
    value = np.stack([c.value[groups].ravel() for c in candidates])
    cost = np.stack([c.cost[groups].ravel() for c in candidates])
    slack = 1e-11
    # The best in value at the full horizon first: most others fall at once.
    order = np.lexsort((cost[:, -1], -value[:, -1]))
    kept: list[int] = []
    for i in order:
        if kept:
            better = (value[kept] >= value[i] - slack).all(axis=1)
            better &= (cost[kept] <= cost[i] + slack).all(axis=1)
            if better.any():
                continue
            worse = (value[i] >= value[kept] - slack).all(axis=1)
            worse &= (cost[i] <= cost[kept] + slack).all(axis=1)
            kept = [k for k, gone in zip(kept, worse, strict=True) if not gone]
        kept.append(int(i))
    return [candidates[i] for i in kept]


def _pareto_set(
    model: SequenceModel, problem: Problem, labels: list[_Label], g: int, kept: int
) -> ParetoSet:
    if not labels:
        raise DataError("some fixed sequence must be allowed", values={"group": model.groups[g]})
    steps = problem.horizon
    points = sorted(
        (float(label.cost[g, steps]), -float(label.value[g, steps]), label.regimens)
        for label in labels
    )
    front: list[tuple[float, float, tuple[int, ...]]] = []
    for spent, negative, regimens in points:
        if not front or -negative > front[-1][1] + 1e-10:
            front.append((spent, -negative, regimens))
    hull: list[int] = []
    for i, (c, v, _) in enumerate(front):
        while len(hull) >= 2:
            (c1, v1, _), (c2, v2, _) = front[hull[-2]], front[hull[-1]]
            if (v2 - v1) * (c - c1) > (v - v1) * (c2 - c1):
                break
            hull.pop()
        hull.append(i)
    sequences = [tuple(model.regimens[a] for a in regimens) for *_, regimens in front]
    table = pd.DataFrame(
        {
            "sequence": [ARROW.join(s) for s in sequences],
            "value": [problem.report(v, g, steps) for _, v, _ in front],
            "cost": [c for c, *_ in front],
            "supported": [i in hull for i in range(len(front))],
        }
    )
    return ParetoSet(table=table, sequences=sequences, labels=kept)
