r"""Objectives: every one becomes rewards, chained kernels and a value after the last line.

With remaining steps r at a line's start (elapsed :math:`\tau=T-r`) every objective has the form

.. math::

    V_\ell(E,g,r)=\max_a\Bigl\{R_k(r)+\sum_{u=1}^{r}K_k[u]\,
    V_{\ell+1}(E\cup m_a,\gamma(\ell,g,u),r-u)\Bigr\}

for the kernel k of (ℓ, a, g, overlap), which one solver serves:

================= ========================================================= ==================
objective         R(r)                                                      K[u]
================= ========================================================= ==================
life_time         Σ_{u≤r} (S(u-1) - ½ death[u])                             next[u]
milestone         S(r), horizon t*                                          next[u]
quality_adjusted  the same with the step's utility                          next[u]
cost              the same with the step's cost, plus the cost of starting  next[u]
net_benefit       willingness to pay per year × quality-adjusted - cost     next[u]
================= ========================================================= ==================

A discount of d a year, :math:`v=(1+d)^{-step/12}` a step, multiplies the reward of step u by
:math:`v^{u-1/2}` and K[u] by :math:`v^u`. Background survival B on elapsed time, for kernels of **excess**
mortality, is carried by :math:`W(\tau)=B_\tau V(\tau)`, in which the recursion is the same with K unchanged
and rewards :math:`\tfrac12[S(u-1)B_{\tau+u-1}+(S(u-1)-death[u])B_{\tau+u}]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
Objective = Literal["life_time", "milestone", "quality_adjusted", "cost", "net_benefit"]


@dataclass(frozen=True, eq=False)
class Problem:
    """What the solver works on.

    Attributes
    ----------
    objective : str
        Which objective.
    horizon : int
        Steps.
    reward : (L, A, G, H, horizon+1) float64
        R by remaining steps.
    chain : (L, A, G, H, horizon+1) float64
        K by step; the first is 0.
    terminal : (G, horizon+1) float64
        Value after the last line by remaining steps.
    background : (G, horizon+1) float64
        Background survival by elapsed steps; ones without.
    factor : float
        From the solver's unit to the reported one.
    unit : str
        "months", "probability" or "currency".
    options : dict
        What was asked for.
    """

    objective: Objective
    horizon: int
    reward: Floats
    chain: Floats
    terminal: Floats
    background: Floats
    factor: float
    unit: str
    options: dict[str, Any]

    def report(self, value: Floats | float, group: int, remaining: int) -> float:
        """Turn a solver's value into the reported unit.

        Parameters
        ----------
        value : float
            W at (group, remaining).
        group, remaining : int
            Group and remaining steps.

        Returns
        -------
        float
            V in the reported unit.
        """
        return float(value / self.background[group, self.horizon - remaining] * self.factor)


def make_problem(
    model: SequenceModel,
    *,
    objective: Objective = "life_time",
    at: float | None = None,
    discount: float = 0.0,
    background: Any = None,
    willingness_to_pay: float | None = None,
) -> Problem:
    """Turn an objective into rewards, chained kernels and terminal values.

    Parameters
    ----------
    model : SequenceModel
        The model.
    objective : {"life_time", "milestone", "quality_adjusted", "cost", "net_benefit"}
        What is to be large (a cost: small, it is reported as it is and minimised).
    at : float, optional
        Months of the milestone.
    discount : float, default 0
        Annual effective discount rate.
    background : (T+1,) or (G, T+1) float, optional
        Background survival at 0, 1, ..., T elapsed steps.
    willingness_to_pay : float, optional
        Currency per quality-adjusted year, for the net benefit.

    Returns
    -------
    Problem
        For the solver.

    Raises
    ------
    DataError
        If options are missing, exclude each other, or the model lacks utilities or costs.
    """
    require_choice(objective, Objective, "objective")
    horizon = _horizon(model, objective, at)
    if not np.isfinite(discount) or discount < 0:
        raise DataError(
            "discount must be an annual rate, not negative",
            values={"discount": discount},
            remedy="0.03 means 3 % a year",
        )
    if discount and objective == "milestone":
        raise DataError(
            "a milestone has no discount", values={"discount": discount}, remedy="drop discount"
        )
    if (objective == "net_benefit") != (willingness_to_pay is not None):
        raise DataError(
            "willingness_to_pay goes with net_benefit, and only with it",
            values={"objective": objective, "willingness_to_pay": willingness_to_pay},
        )
    survival_background = _background(model, background, horizon)
    maker = _Rewards(model, horizon, discount, survival_background)
    chain = np.zeros((*model.next_prob.shape[:4], horizon + 1))
    chain[..., 1:] = model.next_prob[..., :horizon] * maker.step_discount[1:]
    factor, unit = model.step_months, "months"
    match objective:
        case "life_time":
            reward, terminal = maker.time(None, None)
        case "milestone":
            reward, terminal = maker.alive()
            factor, unit = 1.0, "probability"
        case "quality_adjusted":
            reward, terminal = maker.quality()
        case "cost":
            # The solver makes values large: a cost is its own negative until it is reported.
            money, money_terminal = maker.money()
            reward, terminal = -money, -money_terminal
            factor, unit = -1.0, "currency"
        case "net_benefit":
            quality, quality_terminal = maker.quality()
            money, money_terminal = maker.money()
            rate = float(willingness_to_pay or 0.0) * model.step_months / 12.0
            reward, terminal = rate * quality - money, rate * quality_terminal - money_terminal
            factor, unit = 1.0, "currency"
        case _:
            assert_never(objective)
    options = {
        "objective": objective,
        "at": at,
        "discount": discount,
        "background": background is not None,
        "willingness_to_pay": willingness_to_pay,
    }
    return Problem(
        objective, horizon, reward, chain, terminal, survival_background, factor, unit, options
    )


def _horizon(model: SequenceModel, objective: Objective, at: float | None) -> int:
    if (objective == "milestone") != (at is not None):
        raise DataError(
            "at goes with milestone, and only with it",
            values={"objective": objective, "at": at},
            remedy="pass at= in months for a milestone",
        )
    if at is None:
        return model.n_steps
    steps = at / model.step_months
    whole = round(steps)
    if abs(steps - whole) > 1e-9 or not 1 <= whole <= model.n_steps:
        raise DataError(
            "a milestone must be a whole number of steps within the horizon",
            values={
                "at": at,
                "step in months": model.step_months,
                "horizon": model.horizon_months,
            },
        )
    return int(whole)


def _background(model: SequenceModel, background: Any, horizon: int) -> Floats:
    n_groups = len(model.groups)
    if background is None:
        return np.ones((n_groups, horizon + 1))
    array = np.array(background, dtype=np.float64)
    if array.ndim == 1:
        array = np.tile(array, (n_groups, 1))
    if array.shape != (n_groups, model.n_steps + 1):
        raise DataError(
            "background must be survival at 0, 1, ..., T steps, for all groups or each",
            values={"shape": array.shape, "needed": (n_groups, model.n_steps + 1)},
        )
    falls = (np.diff(array, axis=1) <= 0).all() and (array > 0).all()
    if not (falls and np.allclose(array[:, 0], 1.0, atol=1e-12)):
        raise DataError(
            "background must start at 1, never rise, and stay above 0",
            values={"first": float(array[0, 0]), "smallest": float(array.min())},
        )
    if model.group_after is not None:
        for g in range(n_groups):
            for other in np.unique(model.group_after[:, g]):
                if not np.array_equal(array[g], array[other]):
                    raise DataError(
                        "groups that a patient can move between must share their background survival",
                        values={"from": model.groups[g], "to": model.groups[int(other)]},
                    )
    return array[:, : horizon + 1]


class _Rewards:
    """Rewards of kernels and of the salvage kernel."""

    def __init__(
        self, model: SequenceModel, horizon: int, discount: float, background: Floats
    ) -> None:
        self.model, self.horizon = model, horizon
        v = (1.0 + discount) ** (-model.step_months / 12.0)
        self.step_discount = v ** np.arange(horizon + 1)
        self.middle_discount = v ** (np.arange(1, horizon + 1) - 0.5)
        self.background = background
        next_prob, death = model.next_prob[..., :horizon], model.death_prob[..., :horizon]
        self.before, self.survival = _survival(next_prob + death)
        self.death = death
        self.salvage = model.salvage_death[:, :horizon]
        self.salvage_before, self.salvage_survival = _survival(self.salvage)

    def time(self, weight: Floats | None, salvage_weight: Floats | None) -> tuple[Floats, Floats]:
        """Time alive, each step weighted."""
        reward = self._accumulate(self.before, self.death, weight, group_axis=2)
        terminal = self._accumulate(self.salvage_before, self.salvage, salvage_weight, group_axis=0)
        return reward, terminal

    def quality(self) -> tuple[Floats, Floats]:
        """Quality-adjusted time."""
        model = self.model
        if model.utility is None or model.salvage_utility is None:
            raise DataError(
                "quality-adjusted time needs utilities",
                values={
                    "utility": model.utility is not None,
                    "salvage_utility": model.salvage_utility is not None,
                },
                remedy="pass utility and salvage_utility to the model",
            )
        return self.time(
            model.utility[..., : self.horizon], model.salvage_utility[:, : self.horizon]
        )

    def money(self) -> tuple[Floats, Floats]:
        """Cost."""
        model = self.model
        if model.cost is None or model.salvage_cost is None:
            raise DataError(
                "costs need to be given",
                values={
                    "cost": model.cost is not None,
                    "salvage_cost": model.salvage_cost is not None,
                },
                remedy="pass cost and salvage_cost to the model",
            )
        reward, terminal = self.time(
            model.cost[..., : self.horizon], model.salvage_cost[:, : self.horizon]
        )
        if model.start_cost is not None:
            # Paid at the start of a line by those who are alive then, if any time remains.
            alive = self.background[:, ::-1].copy()
            alive[:, 0] = 0.0
            reward = reward + model.start_cost[..., None, None] * alive[None, None, :, None, :]
        return reward, terminal

    def alive(self) -> tuple[Floats, Floats]:
        """Being alive at the horizon."""
        at_end = self.background[:, -1]
        reward = self.survival * at_end[None, None, :, None, None]
        return reward, self.salvage_survival * at_end[:, None]

    def _accumulate(
        self, before: Floats, death: Floats, weight: Floats | None, *, group_axis: int
    ) -> Floats:
        """Σ over the steps that remain, by remaining steps 0..horizon."""
        factor = self.middle_discount if weight is None else self.middle_discount * weight
        out = np.zeros((*before.shape[:-1], self.horizon + 1))
        if (self.background == 1.0).all():
            np.cumsum((before - 0.5 * death) * factor, axis=-1, out=out[..., 1:])
            return out
        starts, ends = 0.5 * before * factor, 0.5 * (before - death) * factor
        moved_out = np.moveaxis(out, group_axis, 0)
        moved_starts, moved_ends = (np.moveaxis(x, group_axis, 0) for x in (starts, ends))
        horizon = self.horizon
        for g in range(self.background.shape[0]):
            # Row u-1, column r: background at elapsed (horizon - r) + u - 1, for u <= r.
            at = np.arange(horizon)[:, None] + (horizon - np.arange(horizon + 1))[None, :]
            inside = at < horizon
            b = self.background[g]
            first = np.where(inside, b[np.minimum(at, horizon)], 0.0)
            second = np.where(inside, b[np.minimum(at + 1, horizon)], 0.0)
            moved_out[g] = moved_starts[g] @ first + moved_ends[g] @ second
        return out


def _survival(leaving: Floats) -> tuple[Floats, Floats]:
    """S(u-1) for u = 1.., and S(r) for r = 0.., never below 0 by rounding."""
    left = np.cumsum(leaving, axis=-1)
    survival = np.ones((*leaving.shape[:-1], leaving.shape[-1] + 1))
    survival[..., 1:] = np.maximum(1.0 - left, 0.0)
    return survival[..., :-1], survival
