"""Policies: what they are worth under any objective, and what patients go through under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.sequences import NO_ACTION, follow_policy
from fiac_survival.sequence.objectives import Objective, Problem, make_problem
from fiac_survival.sequence.solution import Solution

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
Actions = list[NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class PolicyValue:
    """What a policy is worth.

    Attributes
    ----------
    values : list of (G, n, T+1) float64
        Solver's values by line.
    problem : Problem
        The objective.
    """

    values: list[Floats]
    problem: Problem

    def of_group(self, group: int) -> float:
        """Value at the start of line 1 with the whole horizon.

        Parameters
        ----------
        group : int
            Place of the group.

        Returns
        -------
        float
            In the reported unit.
        """
        steps = self.problem.horizon
        return self.problem.report(self.values[0][group, 0, steps], group, steps)


def as_actions(model: SequenceModel, policy: Any, horizon: int | None = None) -> Actions:
    """Turn a policy into regimens by line, group, state and remaining steps.

    Parameters
    ----------
    model : SequenceModel
        The model.
    policy : Solution, sequence of str, list of arrays, or callable
        An optimal policy; one fixed sequence; regimens as the solver keeps them; or a function of
        (group, line, exposed class names, remaining months) that names a regimen.
    horizon : int, optional
        Steps; the model's by default.

    Returns
    -------
    list of (G, n, T+1) uint8
        By line; 255 in states that cannot be reached.

    Raises
    ------
    DataError
        If a regimen is unknown or not allowed in a state that can be reached.
    """
    steps = model.n_steps if horizon is None else horizon
    if isinstance(policy, Solution):
        return policy.actions
    if callable(policy):
        actions = _from_function(model, policy, steps)
    elif policy and isinstance(policy[0], str):
        actions = _from_sequence(model, policy, steps)
    else:
        actions = list(policy)
    _require_allowed(model, actions)
    return actions


def _from_sequence(model: SequenceModel, names: Sequence[str], steps: int) -> Actions:
    if len(names) != model.n_lines:
        raise DataError(
            "a sequence must name one regimen a line",
            values={"lines": model.n_lines, "regimens": len(names)},
            remedy='fill up with "no further therapy" if the model has it',
        )
    index = [model.regimen_index(name) for name in names]
    actions = []
    n_groups = len(model.groups)
    # Only the states on the sequence's own path matter; the others have no regimen.
    on_path = np.zeros((1, n_groups), dtype=np.bool_)
    on_path[0] = True
    for line, states in enumerate(model.states.lines):
        action = np.full((n_groups, states.size, steps + 1), NO_ACTION, dtype=np.uint8)
        action[on_path.T] = index[line]
        actions.append(action)
        if line + 1 == model.n_lines:
            break
        following = np.zeros((model.states.lines[line + 1].size, n_groups), dtype=np.bool_)
        for place, group in np.argwhere(on_path):
            targets = {int(states.after[place, index[line]])}
            targets.add(int(states.after_refractory[place, index[line]]))
            groups = [group]
            if model.group_after is not None:
                groups = np.unique(model.group_after[line, group, :steps]).tolist()
            for target in targets - {-1}:
                following[target, groups] = True
        on_path = following
    return actions


def _from_function(
    model: SequenceModel, policy: Callable[[str, int, tuple[str, ...], float], str], steps: int
) -> Actions:
    actions = []
    for line, states in enumerate(model.states.lines):
        action = np.full((len(model.groups), states.size, steps + 1), NO_ACTION, dtype=np.uint8)
        for place, group in np.argwhere(states.reached):
            exposed = model.class_names(int(states.exposed[place]))
            for r in range(steps + 1):
                name = policy(model.groups[group], line + 1, exposed, r * model.step_months)
                action[group, place, r] = model.regimen_index(name)
        actions.append(action)
    return actions


def _require_allowed(model: SequenceModel, actions: Actions) -> None:
    for line, (states, action) in enumerate(zip(model.states.lines, actions, strict=True)):
        possible = (states.after >= 0)[None] & states.usable(model, line).transpose(2, 0, 1)
        given = action.astype(np.int64)
        used = np.where(given == NO_ACTION, 0, given)
        ok = np.take_along_axis(possible, used, axis=2) | (given == NO_ACTION)
        if not ok.all():
            g, place, _ = (int(i) for i in np.argwhere(~ok)[0])
            exposed = model.class_names(int(states.exposed[place]))
            bad = model.regimens[int(given[~ok][0])]
            raise DataError(
                "a policy must give allowed regimens",
                values={
                    "regimen": bad,
                    "line": line + 1,
                    "group": model.groups[g],
                    "exposed": ", ".join(exposed) or "nothing",
                },
                remedy="see the model's allowed regimens and constraints",
            )


@single_threaded_blas
def policy_value(
    model: SequenceModel,
    policy: Any,
    *,
    objective: Objective = "life_time",
    at: float | None = None,
    discount: float = 0.0,
    background: Any = None,
    willingness_to_pay: float | None = None,
) -> PolicyValue:
    """Evaluate a policy exactly.

    Parameters
    ----------
    model : SequenceModel
        The model.
    policy : Solution, sequence of str, list of arrays, or callable
        As in :func:`as_actions`.
    objective, at, discount, background, willingness_to_pay
        As in :meth:`SequenceModel.solve`; they need not be those that the policy is optimal for.

    Returns
    -------
    PolicyValue
        Values in every state, 0 where the policy gives no regimen.

    Raises
    ------
    DataError
        If the policy gives a regimen that is not allowed.
    """
    problem = make_problem(
        model,
        objective=objective,
        at=at,
        discount=discount,
        background=background,
        willingness_to_pay=willingness_to_pay,
    )
    return follow(model, problem, as_actions(model, policy, problem.horizon))


def follow(model: SequenceModel, problem: Problem, actions: Actions) -> PolicyValue:
    """Evaluate regimens by line, group, state and remaining steps.

    Parameters
    ----------
    model : SequenceModel
        The model.
    problem : Problem
        The objective.
    actions : list of (G, n, T+1) uint8
        Regimens by line.

    Returns
    -------
    PolicyValue
        Values in every state.
    """
    width = problem.horizon + 1
    value_next = np.ascontiguousarray(problem.terminal[:, None, :])
    values: list[Floats] = [np.empty(0)] * model.n_lines
    none = np.zeros((0, 0, 0))
    for line in range(model.n_lines - 1, -1, -1):
        states = model.states.lines[line]
        value = np.empty((len(model.groups), states.size, width))
        for g in range(len(model.groups)):
            after = np.full(problem.horizon, g, dtype=np.int64)
            if model.group_after is not None:
                after = model.group_after[line, g, : problem.horizon]
            share = none
            if model.next_refractory is not None:
                share = np.ascontiguousarray(model.next_refractory[line, :, g])
            follow_policy(
                np.ascontiguousarray(actions[line][g, :, :width]),
                states.after,
                states.after_refractory,
                states.level,
                np.ascontiguousarray(problem.reward[line, :, g]),
                np.ascontiguousarray(problem.chain[line, :, g]),
                share,
                after,
                value_next,
                value[g],
            )
        values[line] = value
        value_next = value
    return PolicyValue(values, problem)


def arrivals(model: SequenceModel, actions: Actions, group: int, steps: int) -> list[Floats]:
    """Probability of starting each line in each state, by elapsed steps.

    Parameters
    ----------
    model : SequenceModel
        The model.
    actions : list of (G, n, T+1) uint8
        Regimens by line.
    group : int
        Group in which line 1 starts.
    steps : int
        Horizon.

    Returns
    -------
    list of (G, n, T+1) float64
        By line; the last is the time after the last line, with one state.
    """
    n_groups = len(model.groups)
    arrival = [np.zeros((n_groups, s.size, steps + 1)) for s in model.states.lines]
    arrival.append(np.zeros((n_groups, 1, steps + 1)))
    arrival[0][group, 0, 0] = 1.0
    for line, states in enumerate(model.states.lines):
        for g, place, tau in np.argwhere(arrival[line] > 0):
            mass = arrival[line][g, place, tau]
            left = steps - tau
            a = int(actions[line][g, place, left])
            h = int(states.level[place, a])
            moved = mass * model.next_prob[line, a, g, h, :left]
            after = np.full(left, g)
            if model.group_after is not None:
                after = model.group_after[line, g, :left]
            elapsed = np.arange(tau + 1, steps + 1)
            share = np.zeros(left)
            if model.next_refractory is not None:
                share = model.next_refractory[line, a, g, h, :left]
            following = arrival[line + 1]
            np.add.at(following, (after, states.after[place, a], elapsed), moved * (1 - share))
            target = states.after_refractory[place, a]
            np.add.at(following, (after, target, elapsed), moved * share)
    return arrival


def occupation(model: SequenceModel, policy: Any, group: str) -> pd.DataFrame:
    """Where patients are over time under a policy.

    Parameters
    ----------
    model : SequenceModel
        The model.
    policy : Solution, sequence of str, list of arrays, or callable
        As in :func:`as_actions`.
    group : str
        Group in which line 1 starts.

    Returns
    -------
    DataFrame
        month, state ("line 1", ..., "after the last line", "dead"), probability; they add to 1.
    """
    actions = as_actions(model, policy)
    steps, n_groups = model.n_steps, len(model.groups)
    arrival = arrivals(model, actions, model.group_index(group), steps)
    inside = np.zeros((model.n_lines + 1, steps + 1))
    survival = np.ones((*model.next_prob.shape[:4], steps + 1))
    survival[..., 1:] = np.maximum(
        1.0 - np.cumsum(model.next_prob + model.death_prob, axis=-1), 0.0
    )
    for line, states in enumerate(model.states.lines):
        for g, place, tau in np.argwhere(arrival[line] > 0):
            a = int(actions[line][g, place, steps - tau])
            h = int(states.level[place, a])
            mass = arrival[line][g, place, tau]
            inside[line, tau:] += mass * survival[line, a, g, h, : steps - tau + 1]
    ended = arrival[-1][:, 0]
    salvage = np.ones((n_groups, steps + 1))
    salvage[:, 1:] = np.maximum(1.0 - np.cumsum(model.salvage_death, axis=1), 0.0)
    for g, tau in np.argwhere(ended > 0):
        inside[-1, tau:] += ended[g, tau] * salvage[g, : steps + 1 - tau]
    names = [f"line {i + 1}" for i in range(model.n_lines)] + ["after the last line"]
    parts = [
        pd.DataFrame(
            {"month": np.arange(steps + 1) * model.step_months, "state": name, "probability": p}
        )
        for name, p in [*zip(names, inside, strict=True), ("dead", 1.0 - inside.sum(axis=0))]
    ]
    return pd.concat(parts, ignore_index=True)
