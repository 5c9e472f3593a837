"""Every state of a policy: the value of each regimen, its interval and support, survival from there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.policies import policy_value
from fiac_survival.sequence.recommendation import action_values
from fiac_survival.sequence.solution import Solution

if TYPE_CHECKING:
    from fiac_survival.sequence.kernel_estimation import KernelEstimate


def state_values(
    solution: Solution,
    draws: Iterable[SequenceModel],
    estimate: KernelEstimate,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Value of starting each line with each regimen in each state, and how sure the difference is.

    Parameters
    ----------
    solution : Solution
        Optimal values.
    draws : iterable of SequenceModel
        Drawn kernels, made with ``draws(..., model=solution.model)``.
    estimate : KernelEstimate
        Where the patients behind a regimen are counted.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    DataFrame
        group, line, exposed, regimen, value, difference (to the best, months), lower, upper, probability
        (of being best in a draw), patients. In each state the best regimen comes first.

    Raises
    ------
    DataError
        If there are no draws.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(800, seed=1)
    >>> kernels = fs.sequence.estimate_kernels(lines, formulary, unit="steps", simulated=True)
    >>> solution = kernels.model().solve()
    >>> draws = kernels.draws(3, seed=1, model=solution.model)
    >>> found = fs.sequence.state_values(solution, draws, kernels)
    >>> bool((found.groupby(["group", "line", "exposed"])["difference"].max() == 0).all())
    True
    """
    solutions = [model.solve() for model in draws]
    if not solutions:
        raise DataError("there must be draws", values={"draws": 0})
    model = solution.model
    horizon, tail = model.n_steps, (1 - level) / 2
    patients = estimate.table.set_index(["line", "regimen", "group", "overlap"])["patients"]
    rows: list[dict[str, Any]] = []
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached):
            q = action_values(solution, line, g, place)[:, horizon]
            order = np.flatnonzero(np.isfinite(q))
            order = order[np.argsort(-np.round(q[order], 12), kind="stable")]
            drawn = np.array([action_values(s, line, g, place)[order, horizon] for s in solutions])
            apart = drawn - drawn[:, :1]
            best = drawn >= drawn.max(axis=1, keepdims=True) - 1e-12
            chance = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
            lower = np.quantile(apart, tail, axis=0) * model.step_months
            upper = np.quantile(apart, 1 - tail, axis=0) * model.step_months
            for k, a in enumerate(order):
                at = (line + 1, model.regimens[a], model.groups[g], int(states.level[place, a]))
                rows.append(
                    {
                        "group": model.groups[g],
                        "line": line + 1,
                        "exposed": " + ".join(model.class_names(int(states.exposed[place]))),
                        "regimen": model.regimens[a],
                        "value": q[a] * model.step_months,
                        "difference": (q[a] - q[order[0]]) * model.step_months,
                        "lower": float(lower[k]),
                        "upper": float(upper[k]),
                        "probability": chance[k],
                        "patients": int(patients.loc[at]),
                    }
                )
    return pd.DataFrame(rows)


def state_survival(solution: Solution, *, every: int = 6) -> pd.DataFrame:
    """Survival from the start of each line in each state, under the policy for the whole horizon.

    Parameters
    ----------
    solution : Solution
        The policy.
    every : int, default 6
        Steps between the points of the curves.

    Returns
    -------
    DataFrame
        group, line, exposed, month, survival.

    Raises
    ------
    DataError
        If `every` is not positive.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> solution = fs.sequence.examples.textbook().solve()
    >>> curves = fs.sequence.state_survival(solution, every=1)
    >>> bool((curves.query("month == 0")["survival"] == 1).all())
    True
    """
    if every < 1:
        raise DataError("every must be at least 1", values={"every": every})
    model = solution.model
    rows: list[dict[str, Any]] = []
    for step in range(0, model.n_steps + 1, every):
        # With some steps of the horizon gone, the policy is the one for what then remains of it.
        later = [np.ascontiguousarray(a[:, :, model.n_steps - step :]) for a in solution.actions]
        at = step * model.step_months
        value = policy_value(model, later, objective="milestone", at=at) if step else None
        for line, states in enumerate(model.states.lines):
            for place, g in np.argwhere(states.reached):
                alive = 1.0 if value is None else value.values[line][g, place, step]
                rows.append(
                    {
                        "group": model.groups[g],
                        "line": line + 1,
                        "exposed": " + ".join(model.class_names(int(states.exposed[place]))),
                        "month": int(at) if at == int(at) else at,
                        "survival": alive,
                    }
                )
    return pd.DataFrame(rows)
