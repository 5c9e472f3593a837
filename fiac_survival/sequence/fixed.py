r"""Fixed sequences: their exact value, the best of them with a proof, and what adapting is worth.

A sequence :math:`a_1..a_L` is followed whatever happens. Let :math:`f_\ell(s,g,\tau)` be the (discounted)
probability of starting line ℓ in state s and group g after τ steps. Lines contribute
:math:`\sum f_\ell(s,g,\tau)\,R(T-\tau)`, and f is carried on by the regimen's chained kernel.

For a prefix :math:`a_1..a_j`, what the prefix has contributed plus :math:`\sum
f_{j+1}(s,g,\tau)V_{j+1}(s,g,T-\tau)` is at least the value of every sequence that begins so, since V may
choose anew for every τ. Best-first search with this bound returns the best sequences in order, and what
is left in the queue is the proof that none was missed.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.sequences import push_forward
from fiac_survival.sequence.objectives import Problem, make_problem
from fiac_survival.sequence.solution import NOTE, Solution, solve

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
ARROW = " \u2192 "


@dataclass(frozen=True, eq=False)
class Prefix:
    """The first regimens of a sequence.

    Attributes
    ----------
    regimens : tuple of int
        Regimens so far.
    earned : float
        What they have contributed, in the solver's unit.
    arrival : dict
        For each state of the next line, the probability of starting it: (G, T+1) by elapsed steps.
    """

    regimens: tuple[int, ...]
    earned: float
    arrival: dict[int, Floats]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class BestSequences(Result):
    """The best fixed sequences of a group, in order.

    Attributes
    ----------
    table : DataFrame
        rank, sequence, value, difference (to the first).
    sequences : list of tuple of str
        The regimens of each.
    certificate : dict
        prefixes_bounded, sequences_valued, largest_bound_left (of everything not returned; NaN if
        nothing is left), last_value, proved (whether no sequence that was left out can be better than
        the last returned), possible_sequences (an upper count).
    group : str
        Group.
    note : str
        What the result must not be taken for.
    """

    sequences: list[tuple[str, ...]]
    certificate: dict[str, Any]
    group: str
    note: str = NOTE


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Adaptivity(Result):
    """What adapting to the course of the disease is worth.

    Attributes
    ----------
    table : DataFrame
        One row: group, optimal, best_fixed, difference, kind.
    difference : float
        Value of the optimal policy minus that of the best fixed sequence.
    kind : str
        "adaptivity" if groups can change at a line's end; without, the policy adapts to the remaining
        time only, and the difference is a "horizon effect".
    best_sequence : tuple of str
        The best fixed sequence.
    """

    difference: float
    kind: str
    best_sequence: tuple[str, ...]
    note: str = field(default=NOTE)


def start(model: SequenceModel, problem: Problem, group: int) -> Prefix:
    """Begin a sequence.

    Parameters
    ----------
    model : SequenceModel
        The model.
    problem : Problem
        The objective.
    group : int
        Group in which line 1 starts.

    Returns
    -------
    Prefix
        Without regimens.
    """
    arrival = np.zeros((len(model.groups), problem.horizon + 1))
    arrival[group, 0] = 1.0
    return Prefix((), 0.0, {0: arrival})


def extend(model: SequenceModel, problem: Problem, prefix: Prefix, regimen: int) -> Prefix | None:
    """Add a regimen.

    Parameters
    ----------
    model : SequenceModel
        The model.
    problem : Problem
        The objective.
    prefix : Prefix
        The regimens before.
    regimen : int
        The regimen to add.

    Returns
    -------
    Prefix or None
        None if the regimen is not allowed in some group or state that the prefix leads to.
    """
    line = len(prefix.regimens)
    states = model.states.lines[line]
    n_groups, horizon = len(model.groups), problem.horizon
    last = line + 1 == model.n_lines
    earned = prefix.earned
    arrival: dict[int, Floats] = {}
    for place, mass in prefix.arrival.items():
        if states.after[place, regimen] < 0:
            return None
        h = int(states.level[place, regimen])
        targets = [(int(states.after[place, regimen]), False)]
        if model.next_refractory is not None:
            targets.append((int(states.after_refractory[place, regimen]), True))
        for g in range(n_groups):
            if not mass[g].any():
                continue
            if not model.usable[line, regimen, g, h]:
                return None
            earned += float(mass[g] @ problem.reward[line, regimen, g, h, ::-1])
            after = np.full(horizon, g, dtype=np.int64)
            if model.group_after is not None:
                after = model.group_after[line, g, :horizon]
            for target, progression in targets:
                chain = problem.chain[line, regimen, g, h]
                if model.next_refractory is not None:
                    share = model.next_refractory[line, regimen, g, h, :horizon]
                    chain = chain.copy()
                    chain[1:] *= share if progression else 1.0 - share
                out = arrival.setdefault(0 if last else target, np.zeros((n_groups, horizon + 1)))
                push_forward(mass[g], chain, after, out)
    return Prefix((*prefix.regimens, regimen), earned, arrival)


def finish(problem: Problem, prefix: Prefix) -> float:
    """Value of a whole sequence, in the solver's unit.

    Parameters
    ----------
    problem : Problem
        The objective.
    prefix : Prefix
        All regimens.

    Returns
    -------
    float
        What they contributed, and the time after the last line.
    """
    return prefix.earned + sum(
        float(np.sum(mass * problem.terminal[:, ::-1])) for mass in prefix.arrival.values()
    )


def bound(solution: Solution, prefix: Prefix) -> float:
    """Upper bound of all sequences that begin with a prefix.

    Parameters
    ----------
    solution : Solution
        Optimal values.
    prefix : Prefix
        The first regimens, not all.

    Returns
    -------
    float
        In the solver's unit.
    """
    values = solution.values[len(prefix.regimens)]
    return prefix.earned + sum(
        float(np.sum(mass * values[:, place, ::-1])) for place, mass in prefix.arrival.items()
    )


@single_threaded_blas
def value_of(model: SequenceModel, sequence: Sequence[str], group: str, **options: Any) -> float:
    """Value of a fixed sequence; see :meth:`SequenceModel.value_of`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    sequence : sequence of str
        One regimen a line.
    group : str
        Group in which line 1 starts.
    **options
        Objective.

    Returns
    -------
    float
        In the reported unit.

    Raises
    ------
    DataError
        If the length is wrong, a name is unknown, or a regimen is not allowed where it would be given.
    """
    if isinstance(sequence, str) or len(sequence) != model.n_lines:
        raise DataError(
            "a sequence must name one regimen a line",
            values={"lines": model.n_lines, "sequence": sequence},
            remedy='fill up with "no further therapy" if the model has it',
        )
    problem = make_problem(model, **options)
    g = model.group_index(group)
    prefix = start(model, problem, g)
    for line, name in enumerate(sequence):
        longer = extend(model, problem, prefix, model.regimen_index(name))
        if longer is None:
            raise DataError(
                "each regimen of a sequence must be allowed where it would be given",
                values={"regimen": name, "line": line + 1, "group": group},
                remedy="see the model's allowed regimens and constraints; a group that patients can "
                "move to counts too",
            )
        prefix = longer
    return problem.report(finish(problem, prefix), g, problem.horizon)


@single_threaded_blas
def best_sequences(
    model: SequenceModel,
    k: int,
    group: str,
    *,
    solution: Solution | None = None,
    threads: int | None = None,
    **options: Any,
) -> BestSequences:
    """Find the best fixed sequences; see :meth:`SequenceModel.best_sequences`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    k : int
        How many.
    group : str
        Group in which line 1 starts.
    solution : Solution, optional
        Solution under the same objective, if there is one already.
    threads : int, optional
        For solving.
    **options
        Objective.

    Returns
    -------
    BestSequences
        In order, with the certificate.

    Raises
    ------
    DataError
        If k is not positive or no sequence is allowed.
    """
    if k < 1:
        raise DataError("k must be at least 1", values={"k": k})
    solution = solution or solve(model, threads=threads, **options)
    problem = solution.problem
    g = model.group_index(group)
    first = start(model, problem, g)
    queue: list[tuple[float, tuple[int, ...], Prefix, bool]] = [
        (-bound(solution, first), (), first, model.n_lines == 0)
    ]
    found: list[tuple[float, tuple[int, ...]]] = []
    bounded, valued = 1, 0
    while queue and len(found) < k:
        height, regimens, prefix, complete = heapq.heappop(queue)
        if complete:
            found.append((-height, regimens))
            continue
        for a in range(len(model.regimens)):
            longer = extend(model, problem, prefix, a)
            if longer is None:
                continue
            whole = len(longer.regimens) == model.n_lines
            value = finish(problem, longer) if whole else bound(solution, longer)
            valued, bounded = valued + whole, bounded + (not whole)
            heapq.heappush(queue, (-value, longer.regimens, longer, whole))
    if not found:
        raise DataError(
            "some fixed sequence must be allowed",
            values={"group": group},
            remedy="in each line some regimen must be allowed in every group that patients can move to",
        )
    return _best(model, problem, g, found, queue, bounded=bounded, valued=valued)


def _best(
    model: SequenceModel,
    problem: Problem,
    g: int,
    found: list[tuple[float, tuple[int, ...]]],
    queue: list[tuple[float, tuple[int, ...], Prefix, bool]],
    *,
    bounded: int,
    valued: int,
) -> BestSequences:
    def report(value: float) -> float:
        return problem.report(value, g, problem.horizon)

    sequences = [tuple(model.regimens[a] for a in regimens) for _, regimens in found]
    values = [report(value) for value, _ in found]
    left = -queue[0][0] if queue else float("-inf")
    certificate = {
        "prefixes_bounded": bounded,
        "sequences_valued": valued,
        "largest_bound_left": report(left) if queue else float("nan"),
        "last_value": values[-1],
        "proved": bool(left <= found[-1][0] + 1e-10 * max(1.0, abs(found[-1][0]))),
        "possible_sequences": len(model.regimens) ** model.n_lines,
    }
    table = pd.DataFrame(
        {
            "rank": range(1, len(found) + 1),
            "sequence": [ARROW.join(s) for s in sequences],
            "value": values,
            "difference": [value - values[0] for value in values],
        }
    )
    return BestSequences(
        table=table, sequences=sequences, certificate=certificate, group=model.groups[g]
    )


def adaptivity(
    model: SequenceModel, group: str, *, threads: int | None = None, **options: Any
) -> Adaptivity:
    """Compare the optimal policy with the best fixed sequence; see :meth:`SequenceModel.adaptivity`.

    Parameters
    ----------
    model : SequenceModel
        The model.
    group : str
        Group in which line 1 starts.
    threads : int, optional
        For solving.
    **options
        Objective.

    Returns
    -------
    Adaptivity
        The difference, and what it comes from.
    """
    solution = solve(model, threads=threads, **options)
    best = best_sequences(model, 1, group, solution=solution)
    optimal, fixed = solution.value(group), float(best.table["value"][0])
    kind = "horizon effect" if model.group_after is None else "adaptivity"
    if model.next_refractory is not None:
        kind = "adaptivity"
    table = pd.DataFrame(
        [
            {
                "group": group,
                "optimal": optimal,
                "best_fixed": fixed,
                "difference": optimal - fixed,
                "kind": kind,
            }
        ]
    )
    return Adaptivity(
        table=table,
        difference=optimal - fixed,
        kind=kind,
        best_sequence=best.sequences[0],
    )
