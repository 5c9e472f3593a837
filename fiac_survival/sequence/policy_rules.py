"""What a policy says at the start of a line, for patients as they were observed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.policies import Actions, as_actions
from fiac_survival.sequence.solution import Solution

State = tuple[int, int, int]
"""Exposed classes (bitmask), last regimen (-1: none), regimens used (bitmask)."""


@dataclass(eq=False)
class PolicyRule:
    """A policy on the histories' states.

    Parameters
    ----------
    formulary : Formulary
        Names.
    policy : Solution, sequence of str, or callable
        An optimal policy, one fixed sequence, or a function of (group, line, exposed class names, remaining
        months) that names a regimen.

    Raises
    ------
    DataError
        If a regimen is unknown or the sequence has another length.
    """

    formulary: Formulary
    policy: Any
    carries_last: bool = field(init=False, default=False)
    carries_used: bool = field(init=False, default=False)
    _fixed: list[int] | None = field(init=False, default=None)
    _actions: Actions | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        policy = self.policy
        if isinstance(policy, Solution):
            if policy.model.regimens != self.formulary.regimen_names:
                raise DataError(
                    "the policy must be of a model with the same regimens",
                    values={"regimens": ", ".join(policy.model.regimens)},
                )
            if policy.model.next_refractory is not None:
                raise DataError(
                    "a policy with refractory classes needs them in the table of lines",
                    remedy="evaluate a model without next_refractory",
                )
            self.carries_last = policy.model.states.has_last
            self.carries_used = policy.model.states.has_used
            self._actions = as_actions(policy.model, policy)
        elif not callable(policy):
            self._fixed = self._sequence(policy)

    def _sequence(self, names: Sequence[str]) -> list[int]:
        known = self.formulary.regimen_names
        if isinstance(names, str) or len(names) != self.formulary.lines:
            raise DataError(
                "a sequence must name one regimen a line",
                values={"lines": self.formulary.lines, "sequence": names},
            )
        for name in names:
            if name not in known:
                raise DataError(
                    "the regimen must be one of the formulary's",
                    values={"regimen": name, "known": ", ".join(known)},
                )
        return [known.index(name) for name in names]

    def after(self, state: State, regimen: int) -> State:
        """State after a regimen.

        Parameters
        ----------
        state : State
            Before.
        regimen : int
            Which regimen.

        Returns
        -------
        State
            After; parts that the policy does not look at stay empty.
        """
        exposed, _, used = state
        return (
            exposed | int(self.formulary.masks[regimen]),
            regimen if self.carries_last else -1,
            used | 1 << regimen if self.carries_used else 0,
        )

    def decide(self, line: int, state: State, group: int, remaining: int) -> int:
        """Regimen that the policy gives.

        Parameters
        ----------
        line : int
            From 0.
        state : State
            History.
        group : int
            Group at the line's start.
        remaining : int
            Steps.

        Returns
        -------
        int
            Place of the regimen.

        Raises
        ------
        SupportError
            If the policy says nothing there.
        """
        if self._fixed is not None:
            return self._fixed[line]
        f = self.formulary
        if self._actions is None:
            names = tuple(c for i, c in enumerate(f.classes) if state[0] >> i & 1)
            name = self.policy(f.groups[group], line + 1, names, remaining * f.step_months)
            if name not in f.regimen_names:
                raise DataError("the policy must name known regimens", values={"regimen": name})
            return f.regimen_names.index(name)
        model = self.policy.model
        place = model.states.find(line + 1, state[0], 0, state[1], state[2])
        regimen = int(self._actions[line][group, place, remaining])
        if regimen >= len(f.regimens):
            raise SupportError(
                "the policy must say what to give in every state that it leads to",
                values={"line": line + 1, "group": f.groups[group]},
            )
        return regimen


def row_states(formulary: Formulary, line: Any, regimen: Any, rule: PolicyRule) -> list[State]:
    """State at the start of each row.

    Parameters
    ----------
    formulary : Formulary
        Names.
    line, regimen : (n,) int64
        Rows by patient and line.
    rule : PolicyRule
        Which parts of the history count.

    Returns
    -------
    list of State
        One a row.
    """
    out: list[State] = []
    state: State = (0, -1, 0)
    for number, a in zip(np.asarray(line).tolist(), np.asarray(regimen).tolist(), strict=True):
        if number == 0:
            state = (0, -1, 0)
        out.append(state)
        state = rule.after(state, a)
    return out
