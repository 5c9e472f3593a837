r"""Value against cost: the frontier of policies.

For a price λ of money, the policy that is best for value - λ cost is found exactly; as λ grows from 0 the
policies trace the supported points of the frontier (the corners of its concave hull). Every breakpoint is
found by asking, between two neighbours, for the λ at which they tie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.objectives import Objective, Problem, make_problem
from fiac_survival.sequence.policies import Actions, follow
from fiac_survival.sequence.solution import NOTE
from fiac_survival.sequence.solving import sweep

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
SLACK = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Frontier(Result):
    """Supported points of value against cost.

    Attributes
    ----------
    table : DataFrame
        point, cost, value, price_from, price_to: the prices of money (value per unit of cost) at which
        the point's policy is best, and regimens of line 1 by group.
    mix : dict
        Share of each group.
    policies : list
        Regimens by line of each point, for :func:`fiac_survival.sequence.policies.policy_value`.
    """

    mix: dict[str, float]
    policies: list[Actions]
    note: str = NOTE


def with_costs(model: SequenceModel, cost: Mapping[str, float] | None) -> SequenceModel:
    """Give a model costs per month of each regimen, or keep its own.

    Parameters
    ----------
    model : SequenceModel
        The model.
    cost : mapping or None
        Cost of a month of each regimen.

    Returns
    -------
    SequenceModel
        With the costs.

    Raises
    ------
    DataError
        If a regimen has no cost, or a cost is not finite or negative.
    """
    if cost is None:
        return model
    unknown = [name for name in cost if name not in model.regimens]
    missing = [name for name in model.regimens if name not in cost]
    if unknown or missing:
        raise DataError(
            "cost must have one amount a month for each regimen",
            values={"unknown": unknown, "missing": missing},
        )
    per_step = np.array([float(cost[name]) for name in model.regimens]) * model.step_months
    if not (np.isfinite(per_step).all() and (per_step >= 0).all()):
        raise DataError("costs must be finite and not negative", values={"cost": dict(cost)})
    amounts = np.broadcast_to(per_step[None, :, None, None, None], model.next_prob.shape).copy()
    nothing = np.zeros_like(model.salvage_death)
    return model.replaced(cost=amounts, start_cost=None, salvage_cost=nothing)


def value_and_cost(
    model: SequenceModel, objective: Objective, discount: float, at: float | None
) -> tuple[Problem, Problem]:
    """Make the two objectives of a frontier.

    Parameters
    ----------
    model : SequenceModel
        The model.
    objective : {"life_time", "quality_adjusted"}
        Value.
    discount : float
        Annual rate for both.
    at : float or None
        Milestone, which is refused.

    Returns
    -------
    tuple of Problem
        Value and cost.

    Raises
    ------
    DataError
        If the objective has no frontier.
    """
    if objective in ("cost", "net_benefit"):
        raise DataError(
            "a frontier has value on one axis and cost on the other",
            values={"objective": objective},
            remedy='pass "life_time", "quality_adjusted" or "milestone"',
        )
    if objective == "milestone":
        raise DataError(
            "a milestone has another horizon than costs",
            values={"objective": objective, "at": at},
            remedy='pass "life_time" or "quality_adjusted"',
        )
    value = make_problem(model, objective=objective, discount=discount)
    return value, make_problem(model, objective="cost", discount=discount)


@single_threaded_blas
def frontier(
    model: SequenceModel,
    *,
    cost: Mapping[str, float] | None = None,
    mix: Mapping[str, float] | None = None,
    objective: Objective = "life_time",
    discount: float = 0.0,
    threads: int | None = None,
    most: int = 1_000,
) -> Frontier:
    """Find all supported points of value against cost; see :meth:`SequenceModel.frontier`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    cost : mapping, optional
        Cost of a month of each regimen; the model's own costs by default.
    mix : mapping, optional
        Share of each group; equal shares by default.
    objective : {"life_time", "quality_adjusted"}
        Value.
    discount : float
        Annual rate for both.
    threads : int, optional
        For solving.
    most : int
        Largest number of points.

    Returns
    -------
    Frontier
        From the cheapest to the most valuable.

    Raises
    ------
    DataError
        If shares or costs break a rule, or there are more points than `most`.
    """
    priced = with_costs(model, cost)
    shares = shares_of_groups(model, mix)
    value_problem, cost_problem = value_and_cost(priced, objective, discount, None)

    def point(weight: float, price: float) -> tuple[float, float, Actions]:
        """Best policy for weight·value - price·cost, with its own value and cost."""
        reward = weight * value_problem.reward + price * cost_problem.reward
        terminal = weight * value_problem.terminal + price * cost_problem.terminal
        mixed = Problem(
            objective,
            value_problem.horizon,
            reward,
            value_problem.chain,
            terminal,
            value_problem.background,
            1.0,
            "",
            {},
        )
        _, actions = sweep(priced, mixed, threads=threads)
        worth, spent = (
            sum(
                shares[g] * follow(priced, problem, actions).of_group(g)
                for g in range(len(priced.groups))
                if shares[g]
            )
            for problem in (value_problem, cost_problem)
        )
        return spent, worth, actions

    scale = _scale(point)
    # Each extreme with a hint of the other criterion, so that ties fall the right way.
    cheap, dear = point(1e-7, scale), point(1.0, 1e-7 * scale)
    corners = [cheap] if dear[1] <= cheap[1] + SLACK else [cheap, dear]
    breakpoints: list[float] = []
    k = 0
    while k + 1 < len(corners):
        (c1, v1, _), (c2, v2, _) = corners[k], corners[k + 1]
        if c2 - c1 <= SLACK * max(1.0, abs(c2)):
            corners.pop(k)
            continue
        price = (v2 - v1) / (c2 - c1)
        # The cost problem's rewards are negative costs in the solver's unit.
        middle = point(1.0, price * _per_value(value_problem))
        gain = (middle[1] - price * middle[0]) - (v1 - price * c1)
        if gain > SLACK * max(1.0, abs(v2)):
            corners.insert(k + 1, middle)
            if len(corners) > most:
                raise DataError(
                    "the frontier must have at most the asked number of points",
                    values={"most": most},
                    remedy="pass a larger most",
                )
        else:
            breakpoints.append(price)
            k += 1
    prices = [*breakpoints, 0.0]
    rows = []
    for i, (spent, worth, actions) in enumerate(corners):
        first = {
            f"line 1, {name}": priced.regimens[int(actions[0][g, 0, -1])]
            for g, name in enumerate(priced.groups)
            if priced.states.lines[0].reached[0, g]
        }
        rows.append(
            {
                "point": i + 1,
                "cost": spent,
                "value": worth,
                "price_from": prices[i],
                "price_to": breakpoints[i - 1] if i else float("inf"),
            }
            | first
        )
    return Frontier(
        table=pd.DataFrame(rows),
        mix=dict(zip(model.groups, shares, strict=True)),
        policies=[actions for *_, actions in corners],
    )


def _per_value(problem: Problem) -> float:
    """Convert a price in reported units to one in the solver's units of value."""
    return 1.0 / problem.factor


def _scale(point: Any) -> float:
    """Rough price at which cost and value weigh alike."""
    spent, worth, _ = point(1.0, 0.0)
    return float(abs(worth) / abs(spent)) if spent else 1.0


def shares_of_groups(model: SequenceModel, mix: Mapping[str, float] | None) -> list[float]:
    """Check the shares of the groups.

    Parameters
    ----------
    model : SequenceModel
        The model.
    mix : mapping or None
        Share of each group; None: equal shares of those in which line 1 starts.

    Returns
    -------
    list of float
        By group, adding to 1.

    Raises
    ------
    DataError
        If a group is unknown, or shares are negative or do not add to 1.
    """
    starts = model.states.lines[0].reached[0]
    if mix is None:
        return [float(here) / int(starts.sum()) for here in starts]
    unknown = [name for name in mix if name not in model.groups]
    shares = [float(mix.get(name, 0.0)) for name in model.groups]
    if unknown or min(shares) < 0 or abs(sum(shares) - 1.0) > 1e-9:
        raise DataError(
            "mix must give groups shares that add to 1",
            values={"unknown": unknown, "sum": sum(shares)},
        )
    learnt = [g for g, s, at in zip(model.groups, shares, starts, strict=True) if s > 0 and not at]
    if learnt:
        raise DataError(
            "mix must give shares to groups in which line 1 starts",
            values={"group": learnt[0]},
            remedy="a group without regimens in line 1 is only learnt later",
        )
    return shares
