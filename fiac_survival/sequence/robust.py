r"""The policy that is best if the kernels are as bad as their uncertainty allows.

Each kernel may be any distribution within an L1 distance of the estimate, cell by cell (rectangular
uncertainty), and nature chooses the worst one for every decision:

.. math:: V_\ell(E,g,r)=\max_a\min_{\lVert p-\hat p_{\ell ag h}\rVert_1\le\varrho}
          E_p\bigl[\text{life-time}+V_{\ell+1}\bigr].

The minimum is exact: mass ρ/2 moves from the best outcomes to the worst.

References
----------
Iyengar GN. Robust dynamic programming. Math Oper Res 2005;30:257-280. Nilim A, El Ghaoui L. Oper Res
2005;53:780-798.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.kernels.robust import robust_line, robust_value
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.policies import Actions, policy_value
from fiac_survival.sequence.solution import NOTE

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RobustSolution(Result):
    """The policy that is best against the worst kernels.

    Attributes
    ----------
    table : DataFrame
        group, worst_case (value of the robust policy against the worst kernels), value (of the robust
        policy if the estimates are right), optimal (value of the optimal policy then), price (their
        difference), and the regimen of line 1. In months.
    actions : list of (G, n, T+1) uint8
        The policy, as :func:`fiac_survival.sequence.policy_value` and ``simulate`` take it.
    values : list of (G, n, T+1) float64
        Worst-case values in steps.
    simulated : bool
        Whether the kernels come from simulated data.
    """

    actions: Actions = field(repr=False)
    values: list[Floats] = field(repr=False)
    simulated: bool = False
    note: str = NOTE


def l1_radius(draws: Iterable[SequenceModel], *, level: float = 0.95) -> Floats:
    """L1 distance that a share of the draws keeps from their model, cell by cell.

    Parameters
    ----------
    draws : KernelDraws or sequence of SequenceModel
        Drawn kernels; the distance is to their mean.
    level : float, default 0.95
        Share of the draws.

    Returns
    -------
    (L, A, G, H) float64
        Distances, 0 to 2.

    Raises
    ------
    DataError
        If there are fewer than two draws.
    """
    total: Any = None
    count = 0
    for model in draws:
        both = model.next_prob, model.death_prob
        total = (
            [k.copy() for k in both]
            if total is None
            else [t + k for t, k in zip(total, both, strict=True)]
        )
        count += 1
    if count < 2 or not 0 < level < 1:
        raise DataError(
            "a distance needs two draws or more and a level between 0 and 1",
            values={"draws": count, "level": level},
        )
    onward, death = (t / count for t in total)
    alive = 1.0 - (onward + death).sum(axis=-1)
    distances = []
    for model in draws:
        apart = np.abs(model.next_prob - onward).sum(axis=-1)
        apart += np.abs(model.death_prob - death).sum(axis=-1)
        apart += np.abs(1.0 - (model.next_prob + model.death_prob).sum(axis=-1) - alive)
        distances.append(apart)
    if len(distances) != count:
        raise DataError(
            "draws must be such that they can be gone through twice",
            values={"first": count, "then": len(distances)},
            remedy="pass a list, or KernelDraws",
        )
    return np.asarray(np.quantile(np.array(distances), level, axis=0))


def robust_policy(
    model: SequenceModel, radius: Any, *, salvage_radius: float = 0.0
) -> RobustSolution:
    """Find the policy with the best worst-case expected life-time.

    Parameters
    ----------
    model : SequenceModel
        The model.
    radius : float or (L, A, G, H) float
        L1 distance of each kernel, 0 to 2; see :func:`l1_radius`.
    salvage_radius : float, default 0
        L1 distance of the salvage kernels.

    Returns
    -------
    RobustSolution
        Policy and values.

    Raises
    ------
    DataError
        If a distance is not between 0 and 2 or has another shape, or the model has refractory classes.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> exact = fs.sequence.robust_policy(model, 0.0).table["worst_case"][0]
    >>> bool(abs(exact - model.solve().value("all")) < 1e-10)
    True
    """
    if model.next_refractory is not None:
        raise DataError(
            "the robust policy is defined without refractory classes",
            values={"next_refractory": "given"},
            remedy="make the model without next_refractory",
        )
    cells = np.asarray(radius, dtype=np.float64)
    if cells.shape not in ((), model.next_prob.shape[:4]):
        raise DataError(
            "radius must be one number, or one for each kernel",
            values={"shape": cells.shape, "needed": model.next_prob.shape[:4]},
        )
    wide = np.broadcast_to(cells, model.next_prob.shape[:4])
    both = np.append(wide.ravel(), salvage_radius)
    if not ((both >= 0) & (both <= 2)).all():
        bad = both[~((both >= 0) & (both <= 2))][0]
        raise DataError("an L1 distance must lie between 0 and 2", values={"radius": bad})
    n_groups, n_steps = len(model.groups), model.n_steps
    work, share = np.empty(2 * n_steps + 1), np.empty(2 * n_steps + 1)
    nothing = np.zeros(n_steps)
    terminal = np.empty((n_groups, 1, n_steps + 1))
    for g in range(n_groups):
        for r in range(n_steps + 1):
            terminal[g, 0, r] = robust_value(
                nothing, model.salvage_death[g], nothing, r, salvage_radius, work, share
            )
    values: list[Floats] = []
    actions: Actions = []
    following = terminal
    for line in range(model.n_lines - 1, -1, -1):
        states = model.states.lines[line]
        value = np.empty((n_groups, states.size, n_steps + 1))
        action = np.empty((n_groups, states.size, n_steps + 1), dtype=np.uint8)
        for g in range(n_groups):
            after = np.full(n_steps, g, dtype=np.int64)
            if model.group_after is not None:
                after = np.ascontiguousarray(model.group_after[line, g])
            robust_line(
                states.after,
                states.level,
                np.ascontiguousarray(model.usable[line, :, g]),
                np.ascontiguousarray(model.next_prob[line, :, g]),
                np.ascontiguousarray(model.death_prob[line, :, g]),
                np.ascontiguousarray(wide[line, :, g]),
                after,
                following,
                value[g],
                action[g],
            )
        values.insert(0, value)
        actions.insert(0, action)
        following = value
    solution = model.solve()
    nominal = policy_value(model, actions)
    rows = []
    for g, group in enumerate(model.groups):
        if not model.states.lines[0].reached[0, g]:
            continue
        rows.append(
            {
                "group": group,
                "worst_case": float(values[0][g, 0, n_steps]) * model.step_months,
                "value": nominal.of_group(g),
                "optimal": solution.value(group),
                "price": solution.value(group) - nominal.of_group(g),
                "regimen": model.regimens[int(actions[0][g, 0, n_steps])],
            }
        )
    return RobustSolution(
        table=pd.DataFrame(rows), actions=actions, values=values, simulated=model.simulated
    )
