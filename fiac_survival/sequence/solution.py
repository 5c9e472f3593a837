"""What the solver found: values and policy for every line, exposed set, group and remaining time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.core.files import atomic_path
from fiac_survival.core.results import Result
from fiac_survival.sequence.objectives import Objective, Problem, make_problem
from fiac_survival.sequence.solving import sweep

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
SCHEMA_VERSION = 1
NOTE = "Research use, not medical advice."


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Solution(Result):
    """Optimal values and policy of a model under one objective.

    Attributes
    ----------
    table : DataFrame
        group, value, regimen: what line 1 is worth at the full horizon, and with which regimen it starts.
    model : SequenceModel
        The model.
    problem : Problem
        The objective as the solver saw it.
    values : list of (G, n, T+1) float64
        Solver's values by line.
    actions : list of (G, n, T+1) uint8
        Chosen regimens by line; 255 where none is possible.
    note : str
        What the result must not be taken for.
    """

    model: SequenceModel
    problem: Problem
    values: list[Floats] = field(repr=False)
    actions: list[NDArray[np.uint8]] = field(repr=False)
    note: str = NOTE

    def _place(
        self,
        group: str,
        line: int,
        exposed: Iterable[str],
        refractory: Iterable[str],
        last: str | None,
        used: Iterable[str],
        remaining: float | None,
    ) -> tuple[int, int, int]:
        model = self.model
        g = model.group_index(group)
        used_mask = sum(1 << model.regimen_index(name) for name in used)
        place = model.states.find(
            line,
            model.class_mask(exposed),
            model.class_mask(refractory),
            -1 if last is None else model.regimen_index(last),
            used_mask,
        )
        steps = self.problem.horizon
        if remaining is not None:
            exact = remaining / model.step_months
            steps = round(exact)
            if abs(exact - steps) > 1e-9 or not 0 <= steps <= self.problem.horizon:
                raise DataError(
                    "remaining must be a whole number of steps within the horizon",
                    values={
                        "remaining": remaining,
                        "step in months": model.step_months,
                        "horizon": self.problem.horizon * model.step_months,
                    },
                )
        if not model.states.lines[line - 1].reached[place, g]:
            raise SupportError(
                "the state must be one that can be reached in this group",
                values={"group": group, "line": line},
                remedy="another group starts this line: see group_after and allowed",
            )
        return g, place, steps

    def locate(
        self,
        group: str,
        *,
        line: int = 1,
        exposed: Iterable[str] = (),
        remaining: float | None = None,
        refractory: Iterable[str] = (),
        last: str | None = None,
        used: Iterable[str] = (),
    ) -> tuple[int, int, int]:
        """Find a profile.

        Parameters
        ----------
        group, line, exposed, remaining, refractory, last, used
            As in :meth:`value`.

        Returns
        -------
        group, place, steps : int
            Where its value stands.

        Raises
        ------
        DataError
            If a name is unknown or `remaining` is no whole number of steps.
        SupportError
            If no allowed regimens lead to the state.
        """
        return self._place(group, line, exposed, refractory, last, used, remaining)

    def value(
        self,
        group: str,
        *,
        line: int = 1,
        exposed: Iterable[str] = (),
        remaining: float | None = None,
        refractory: Iterable[str] = (),
        last: str | None = None,
        used: Iterable[str] = (),
    ) -> float:
        """Value of starting a line.

        Parameters
        ----------
        group : str
            Group of the patient.
        line : int, default 1
            Line, counted from 1.
        exposed, refractory : iterable of str
            Classes that the patient has been exposed to, and is refractory to.
        remaining : float, optional
            Months to the horizon; all of them by default.
        last : str, optional
            Last regimen, where the model's constraints need it.
        used : iterable of str
            Regimens used, where the model's constraints need them.

        Returns
        -------
        float
            In months, as a probability or in currency, by objective.

        Raises
        ------
        DataError
            If a name is unknown or `remaining` is no whole number of steps.
        SupportError
            If no allowed regimens lead to the state.
        """
        g, place, steps = self._place(group, line, exposed, refractory, last, used, remaining)
        return self.problem.report(self.values[line - 1][g, place, steps], g, steps)

    def policy(
        self,
        group: str,
        *,
        line: int = 1,
        exposed: Iterable[str] = (),
        remaining: float | None = None,
        refractory: Iterable[str] = (),
        last: str | None = None,
        used: Iterable[str] = (),
    ) -> str:
        """Regimen that the optimal policy starts a line with.

        Parameters
        ----------
        group, line, exposed, remaining, refractory, last, used
            As in :meth:`value`.

        Returns
        -------
        str
            Name of the regimen.

        Raises
        ------
        DataError
            If a name is unknown or `remaining` is no whole number of steps.
        SupportError
            If no allowed regimens lead to the state.
        """
        g, place, steps = self._place(group, line, exposed, refractory, last, used, remaining)
        return self.model.regimens[int(self.actions[line - 1][g, place, steps])]

    def map(self, *, remaining: float | None = None) -> pd.DataFrame:
        """Policy and value in every state that can be reached.

        Parameters
        ----------
        remaining : float, optional
            Months to the horizon; all of them by default.

        Returns
        -------
        DataFrame
            group, line, exposed, refractory, regimen, value.
        """
        model = self.model
        steps = self.problem.horizon
        if remaining is not None:
            steps = round(remaining / model.step_months)
        rows: list[dict[str, Any]] = []
        for line, states in enumerate(model.states.lines):
            for g, group in enumerate(model.groups):
                rows += [
                    {
                        "group": group,
                        "line": line + 1,
                        "exposed": " + ".join(model.class_names(int(states.exposed[i]))),
                        "refractory": " + ".join(model.class_names(int(states.refractory[i]))),
                        "regimen": model.regimens[int(self.actions[line][g, i, steps])],
                        "value": self.problem.report(self.values[line][g, i, steps], g, steps),
                    }
                    for i in np.flatnonzero(states.reached[:, g])
                ]
        return pd.DataFrame(rows)

    def save(self, path: str | Path) -> None:
        """Write values and policy, whole or not at all.

        Parameters
        ----------
        path : str or Path
            A name that ends in .npz.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        arrays: dict[str, Any] = {
            "schema_version": np.array(SCHEMA_VERSION),
            "objective": np.array(self.problem.objective),
        }
        for line, (value, action) in enumerate(zip(self.values, self.actions, strict=True)):
            arrays[f"value_{line}"] = value
            arrays[f"action_{line}"] = action
            arrays[f"code_{line}"] = self.model.states.lines[line].code
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)

    def restored(self, path: str | Path) -> Solution:
        """Read values and policy that :meth:`save` wrote for the same model and objective.

        Parameters
        ----------
        path : str or Path
            Which file.

        Returns
        -------
        Solution
            With the values of the file.

        Raises
        ------
        DataError
            If the file is missing, damaged, or of another model or objective.
        """
        values, actions = read_solution(Path(path), self.model, self.problem)
        return make_solution(self.model, self.problem, values, actions)


def read_solution(
    path: Path, model: SequenceModel, problem: Problem
) -> tuple[list[Floats], list[NDArray[np.uint8]]]:
    """Read values and policy from a file.

    Parameters
    ----------
    path : Path
        Which file.
    model : SequenceModel
        The model that it must be of.
    problem : Problem
        The objective that it must be of.

    Returns
    -------
    values, actions : list of arrays
        By line.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another model or objective.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError) as cause:
        raise DataError(
            "the file must be a saved solution",
            values={"path": path, "reason": str(cause)},
            remedy="solve again and save",
        ) from cause
    same = str(found.get("objective")) == problem.objective
    for line, states in enumerate(model.states.lines):
        code, value = found.get(f"code_{line}"), found.get(f"value_{line}")
        same = same and code is not None and np.array_equal(code, states.code)
        shape = (len(model.groups), states.size, problem.horizon + 1)
        same = same and value is not None and value.shape == shape
    if not same:
        raise DataError(
            "a saved solution must be of this model and objective",
            values={"path": path, "objective in the file": str(found.get("objective"))},
            remedy="solve again and save",
        )
    lines = range(model.n_lines)
    return [found[f"value_{i}"] for i in lines], [found[f"action_{i}"] for i in lines]


def make_solution(
    model: SequenceModel,
    problem: Problem,
    values: list[Floats],
    actions: list[NDArray[np.uint8]],
) -> Solution:
    """Wrap values and actions.

    Parameters
    ----------
    model : SequenceModel
        The model.
    problem : Problem
        The objective.
    values, actions : list of arrays
        By line.

    Returns
    -------
    Solution
        With its table.
    """
    steps = problem.horizon
    starts = np.flatnonzero(model.states.lines[0].reached[0]).tolist()
    table = pd.DataFrame(
        {
            "group": [model.groups[g] for g in starts],
            "value": [problem.report(values[0][g, 0, steps], g, steps) for g in starts],
            "unit": problem.unit,
            "regimen": [model.regimens[int(actions[0][g, 0, steps])] for g in starts],
        }
    )
    return Solution(table=table, model=model, problem=problem, values=values, actions=actions)


def solve(
    model: SequenceModel,
    *,
    objective: Objective = "life_time",
    at: float | None = None,
    discount: float = 0.0,
    background: Any = None,
    willingness_to_pay: float | None = None,
    threads: int | None = None,
) -> Solution:
    """Find the optimal policy of a model; see :meth:`SequenceModel.solve`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    objective, at, discount, background, willingness_to_pay
        As in :func:`fiac_survival.sequence.objectives.make_problem`.
    threads : int, optional
        Threads; results do not depend on their number.

    Returns
    -------
    Solution
        Values and policy.

    Raises
    ------
    DataError
        If options are missing or exclude each other.
    """
    problem = make_problem(
        model,
        objective=objective,
        at=at,
        discount=discount,
        background=background,
        willingness_to_pay=willingness_to_pay,
    )
    values, actions = sweep(model, problem, threads=threads)
    return make_solution(model, problem, values, actions)
