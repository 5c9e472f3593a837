"""A policy in the states of another model: what is found by one model, valued by another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.kernels.sequences import NO_ACTION
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.policies import Actions
from fiac_survival.sequence.states import StateSpace, state_parts

Ints = NDArray[np.int64]


def transferred(policy: Actions, source: SequenceModel, target: SequenceModel) -> Actions:
    """Put a policy of one model into the states of another, as to value it where the truth is known.

    Parameters
    ----------
    policy : list of (G, n, T+1) uint8
        Regimens by line, group, state and remaining steps, as ``Solution.actions`` has them.
    source, target : SequenceModel
        The policy's model, and one with the same classes, regimens, groups, lines and horizon. Where the
        target's states tell refractory classes or regimens apart that the source does not know of, the
        policy does not ask for them.

    Returns
    -------
    list of (G, n, T+1) uint8
        255 in states that the source does not have.

    Raises
    ------
    DataError
        If the models differ in what must be the same, or the source knows what the target does not.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> solution = model.solve()
    >>> same = fs.sequence.transferred(solution.actions, model, model)
    >>> value = fs.sequence.policy_value(model, same).of_group(0)
    >>> bool(abs(value - solution.value("all")) < 1e-12)
    True
    """
    for name in ("classes", "regimens", "groups", "n_lines", "n_steps"):
        ours, theirs = getattr(source, name), getattr(target, name)
        if ours != theirs:
            raise DataError(
                "a policy can be put only into a model of the same regimens, groups and horizon",
                values={"differs in": name},
            )
    one, two = source.states, target.states
    for name in ("has_refractory", "has_last", "has_used"):
        if getattr(one, name) and not getattr(two, name):
            raise DataError(
                "the target's states must tell apart what the policy asks for",
                values={"missing": name.removeprefix("has_")},
                remedy="make the target with the same constraints and next_refractory",
            )
    actions = []
    for given, ours, theirs in zip(policy, one.lines, two.lines, strict=True):
        place = {key: i for i, key in enumerate(_keys(one, two, ours.code, of_target=False))}
        found = np.full((len(target.groups), theirs.size, target.n_steps + 1), NO_ACTION, np.uint8)
        for i, key in enumerate(_keys(one, two, theirs.code, of_target=True)):
            if key in place:
                found[:, i] = given[:, place[key]]
        actions.append(found)
    return actions


def _keys(
    source: StateSpace, target: StateSpace, code: Ints, *, of_target: bool
) -> list[tuple[int, ...]]:
    """Take from states what those of the source tell: exposed classes, and what else."""
    exposed, refractory, last, used = state_parts(target if of_target else source, code)
    told = [exposed]
    told += [refractory] * source.has_refractory
    told += [last] * source.has_last
    told += [used] * source.has_used
    return [tuple(key) for key in np.column_stack(told).tolist()]
