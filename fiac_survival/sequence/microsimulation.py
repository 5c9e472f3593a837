"""Microsimulation: patients walked through the lines one by one, as a check that shares no formula.

Each patient has a random stream of its own (a counter-based generator), so that results do not depend on
the number of threads, and patient i is the same whatever n.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result
from fiac_survival.kernels.sequences import simulate_patients
from fiac_survival.sequence.objectives import make_problem
from fiac_survival.sequence.policies import as_actions
from fiac_survival.sequence.solution import NOTE

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Microsimulation(Result):
    """Simulated patients under a policy.

    Attributes
    ----------
    table : DataFrame
        quantity ("life time within the horizon", months; "alive at the horizon"), estimate, std_error,
        lower, upper: the Monte Carlo error.
    months : (n,) float64
        Months lived within the horizon, deaths at mid-step.
    alive : (n,) bool
        Whether alive at the horizon.
    regimen, start : (n, L) int64
        Regimen and elapsed steps at the start of each line, -1 where it was not started.
    group : str
        Group in which line 1 started.
    """

    months: Floats
    alive: NDArray[np.bool_]
    regimen: NDArray[np.int64]
    start: NDArray[np.int64]
    group: str
    simulated: bool = True
    note: str = field(default=NOTE)


def simulate(
    model: SequenceModel,
    policy: Any,
    n: int,
    seed: int,
    *,
    group: str | None = None,
    background: Any = None,
    level: float = 0.95,
) -> Microsimulation:
    """Simulate patients; see :meth:`SequenceModel.simulate`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    policy : Solution, sequence of str, list of arrays, or callable
        As in :func:`fiac_survival.sequence.policies.as_actions`.
    n : int
        Patients.
    seed : int
        Root of the streams.
    group : str, optional
        Group in which line 1 starts; may be left out if there is one.
    background : (T+1,) or (G, T+1) float, optional
        Background survival.
    level : float
        Confidence level of the Monte Carlo interval.

    Returns
    -------
    Microsimulation
        Summary and patients.

    Raises
    ------
    DataError
        If n is not positive or the group is missing.
    """
    if n < 2:
        raise DataError("a simulation needs at least two patients", values={"n": n})
    g = model.group_index(model.only_group(group))
    problem = make_problem(model, background=background)
    actions = as_actions(model, policy)
    sizes = [states.size for states in model.states.lines]
    leaving = model.next_prob + model.death_prob
    share = np.divide(model.next_prob, leaving, out=np.zeros_like(leaving), where=leaving > 0)
    after = np.zeros((len(model.groups), model.n_steps), dtype=np.int64)
    after[:] = np.arange(len(model.groups))[:, None]
    group_after = np.broadcast_to(after, (model.n_lines, *after.shape))
    if model.group_after is not None:
        group_after = model.group_after
    none = np.zeros((0, 0, 0, 0, 0))
    steps, alive = np.empty(n), np.empty(n, dtype=np.bool_)
    lines = np.empty(n, dtype=np.int64)
    regimen = np.empty((n, model.n_lines), dtype=np.int64)
    start = np.empty((n, model.n_lines), dtype=np.int64)
    simulate_patients(
        0,
        np.uint64(seed),
        g,
        np.zeros(1, dtype=np.int64),
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        np.concatenate(actions, axis=1),
        np.concatenate([s.after for s in model.states.lines]),
        np.concatenate([s.after_refractory for s in model.states.lines]),
        np.concatenate([s.level for s in model.states.lines]),
        np.cumsum(leaving, axis=-1),
        share,
        none if model.next_refractory is None else np.array(model.next_refractory),
        np.ascontiguousarray(group_after),
        np.cumsum(model.salvage_death, axis=-1),
        problem.background,
        steps,
        alive,
        lines,
        regimen,
        start,
    )
    months = steps * model.step_months
    z = normal_quantile(level)
    rows = []
    for name, sample in (
        ("life time within the horizon", months),
        ("alive at the horizon", alive.astype(np.float64)),
    ):
        mean, error = float(sample.mean()), float(sample.std(ddof=1) / np.sqrt(n))
        rows.append(
            {
                "quantity": name,
                "estimate": mean,
                "std_error": error,
                "lower": mean - z * error,
                "upper": mean + z * error,
            }
        )
    return Microsimulation(
        table=pd.DataFrame(rows),
        months=months,
        alive=alive,
        regimen=regimen,
        start=start,
        group=model.groups[g],
    )
