"""A sequence model as a finite-horizon decision process with tunnel states, as libraries take it.

Time in a line becomes the state: a decision state (line, exposed classes) chooses a regimen and lives
through its first step, a tunnel state (line, exposed classes, regimen, u) lives through step u, and the
salvage states follow after the last line. For models without learning, refractory classes or constraints,
in which every regimen is allowed everywhere.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from fiac_survival.sequence import SequenceModel


@dataclass(frozen=True, eq=False)
class Process:
    """State-action pairs, by state and then by action.

    Attributes
    ----------
    reward : (pairs,) float64
        Expected life within the step.
    transition : (pairs, states) sparse
        Where the step leads.
    state, action : (pairs,) int64
        State and regimen; 0 where there is no choice.
    start : int
        The state in which line 1 starts.
    n_steps : int
        Horizon.
    """

    reward: np.ndarray
    transition: Any
    state: np.ndarray
    action: np.ndarray
    start: int
    n_steps: int

    @property
    def n_states(self) -> int:
        """Number of states."""
        return int(self.transition.shape[1])


def hazards(next_prob: np.ndarray, death_prob: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability of moving on and of death in a step, of those who get there."""
    left = np.cumsum(next_prob + death_prob, axis=-1)
    before = 1.0 - np.concatenate([np.zeros_like(left[..., :1]), left[..., :-1]], axis=-1)
    there = before > 1e-15
    safe = np.where(there, before, 1.0)
    return np.where(there, next_prob / safe, 0.0), np.where(there, death_prob / safe, 1.0)


def decision_process(model: SequenceModel, group: int) -> Process:
    """Lay a model out for one group."""
    plain = model.group_after is None and model.next_refractory is None and model.allowed.all()
    lines = model.states.lines
    if not plain or any((states.after < 0).any() for states in lines):
        raise ValueError("tunnel states: a model without learning, constraints or exclusions")
    steps, n_regimens = model.n_steps, len(model.regimens)
    # 0 is death; then decision states, tunnel states (steps 2..T of each pair), salvage states.
    decision = 1 + np.concatenate([[0], np.cumsum([states.size for states in lines])])
    n_pairs = n_regimens * (int(decision[-1]) - 1)
    tunnel = int(decision[-1])
    salvage = tunnel + n_pairs * (steps - 1)

    onward, death, target = [], [], []
    for line, states in enumerate(lines):
        regimen = np.arange(n_regimens)[None]
        n, d = hazards(
            model.next_prob[line, regimen, group, states.level],
            model.death_prob[line, regimen, group, states.level],
        )
        onward.append(n.reshape(-1, steps))
        death.append(d.reshape(-1, steps))
        last = line + 1 == model.n_lines
        following = np.full(states.after.shape, salvage) if last else states.after
        target.append((following + (0 if last else decision[line + 1])).ravel())
    next_step, death_step = np.concatenate(onward), np.concatenate(death)
    nothing, salvage_death = hazards(np.zeros((1, steps)), model.salvage_death[group][None])

    # What follows if the line goes on: the next tunnel state, and after the last step nothing (death).
    going_on = tunnel + np.arange(n_pairs)[:, None] * (steps - 1) + np.arange(steps)[None]
    going_on[:, -1] = 0
    salvage_on = salvage + 1 + np.arange(steps)
    salvage_on[-1] = 0

    def rows(of_pairs: np.ndarray, of_salvage: np.ndarray, of_death: Any) -> np.ndarray:
        """First steps (decision states), later steps (tunnel states), salvage: in the order of states."""
        return np.concatenate([[of_death], of_pairs[:, 0], of_pairs[:, 1:].ravel(), of_salvage])

    moved_to = np.broadcast_to(np.concatenate(target)[:, None], next_step.shape)
    dies = rows(death_step, salvage_death[0], 1.0)
    moves = rows(next_step, nothing[0], 0.0)
    size = salvage + steps
    n_rows = dies.size
    columns = np.zeros((n_rows, 3), dtype=np.int32)
    columns[:, 1] = rows(moved_to, np.zeros(steps), 0)
    columns[:, 2] = rows(going_on, salvage_on, 0)
    mass = np.stack([dies, moves, np.maximum(1.0 - dies - moves, 0.0)], axis=1)
    transition = csr_matrix(
        (mass.ravel(), columns.ravel(), 3 * np.arange(n_rows + 1, dtype=np.int32)), (n_rows, size)
    )
    transition.sum_duplicates()
    reward = 1.0 - 0.5 * dies
    reward[0] = 0.0
    choices = np.arange(1, tunnel)
    state = np.concatenate([[0], np.repeat(choices, n_regimens), np.arange(tunnel, size)])
    action = np.zeros(n_rows, dtype=np.int64)
    action[1 : 1 + n_pairs] = np.tile(np.arange(n_regimens), choices.size)
    return Process(reward, transition, state, action, 1, steps)


def by_quantecon(process: Process) -> np.ndarray:
    """Value of the start by remaining steps 0..T: QuantEcon's backward induction."""
    from quantecon.markov import DiscreteDP, backward_induction

    problem = DiscreteDP(process.reward, process.transition, 0.99, process.state, process.action)
    problem.beta = 1.0  # given at once it warns of methods that are not used here
    values, _ = backward_induction(problem, process.n_steps)
    return np.array(values[::-1, process.start])


def dense_actions(process: Process) -> tuple[list[Any], np.ndarray]:
    """One matrix an action and a column of rewards an action, as pymdptoolbox takes them."""
    first = np.searchsorted(process.state, np.arange(process.n_states))
    count = np.bincount(process.state, minlength=process.n_states)
    pairs = [first + np.minimum(a, count - 1) for a in range(int(count.max()))]
    return (
        [process.transition[pair] for pair in pairs],
        np.stack([process.reward[pair] for pair in pairs], axis=1),
    )


def mdptoolbox_problem(transitions: list[Any], rewards: np.ndarray, n_steps: int) -> Any:
    """pymdptoolbox's finite-horizon problem, checked by it and not yet solved."""
    from mdptoolbox.mdp import FiniteHorizon

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        # It compares sparse matrices with 0, and prints that without discount nothing may converge.
        warnings.simplefilter("ignore")
        return FiniteHorizon(transitions, rewards, 1.0, n_steps)


def by_mdptoolbox(problem: Any, start: int) -> np.ndarray:
    """Value of the start by remaining steps 0..T: pymdptoolbox's finite horizon."""
    problem.run()
    return np.array(problem.V[start, ::-1])
