"""One patient's recommendation, with the runner-up, the uncertainty and the support."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.kernels.sequences import convolve
from fiac_survival.sequence.lines_table import DEATH
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.solution import NOTE, Solution

if TYPE_CHECKING:
    from fiac_survival.sequence.kernel_estimation import KernelEstimate

Floats = NDArray[np.float64]


def action_values(solution: Solution, line: int, group: int, place: int) -> Floats:
    """Value of starting a line with each regimen and going on optimally.

    Parameters
    ----------
    solution : Solution
        Optimal values.
    line : int
        From 0.
    group, place : int
        Group, and place of the state.

    Returns
    -------
    (A, T+1) float64
        Solver's values by remaining steps; -inf where a regimen is not possible.
    """
    model, problem = solution.model, solution.problem
    states, horizon = model.states.lines[line], problem.horizon
    last = line + 1 == model.n_lines
    following = problem.terminal[:, None, :] if last else solution.values[line + 1]
    out = np.full((len(model.regimens), horizon + 1), -np.inf)
    targets = np.full(horizon, group)
    if model.group_after is not None:
        targets = model.group_after[line, group, :horizon]
    for a in range(len(model.regimens)):
        h = int(states.level[place, a])
        if states.after[place, a] < 0 or not model.usable[line, a, group, h]:
            continue
        total = problem.reward[line, a, group, h].copy()
        share = np.zeros(horizon)
        if model.next_refractory is not None:
            share = model.next_refractory[line, a, group, h, :horizon]
        for to, part in (
            (states.after[place, a], 1.0 - share),
            (states.after_refractory[place, a], share),
        ):
            for target in np.unique(targets).tolist():
                chain = np.zeros(horizon + 1)
                kept = problem.chain[line, a, group, h, 1:] * part
                chain[1:] = np.where(targets == target, kept, 0.0)
                if chain.any():
                    convolve(chain, np.ascontiguousarray(following[target, to]), total)
        out[a] = total
    return out


def _require_same_states(model: SequenceModel, other: SequenceModel, line: int) -> None:
    ours, theirs = model.states.lines[line], other.states.lines[line]
    if not (np.array_equal(ours.code, theirs.code) and np.array_equal(model.usable, other.usable)):
        raise DataError(
            "draws must have the states and regimens of the solution's model",
            values={"line": line + 1},
            remedy="pass draws(..., model=solution.model)",
        )


def _whole_line(estimate: KernelEstimate, line: int, group: int) -> dict[str, float]:
    """Count who stands behind the observed care mix."""
    h = estimate.histories
    here = (h.line == line) & (h.group == group)
    w = estimate.weights[here]
    ess = float(w.sum() ** 2 / (w**2).sum()) if w.size else 0.0
    return {"patients": w.size, "ess": ess, "death": int((h.ending[here] == DEATH).sum())}


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Recommendation(Result):
    """What the model would start a line with, for one profile, and how sure that is.

    Attributes
    ----------
    table : DataFrame
        One row a regimen that may be given, the best first: regimen, value, difference to the best,
        and, with draws, its interval and the probability of being best; with an estimate, patients,
        effective sample size and deaths behind the regimen.
    regimen, runner_up : str
        The best and the second ("" if there is one only).
    difference : float
        Between the two, positive.
    lower, upper : float
        Interval of the difference over the draws; NaN without.
    probability : float
        Probability that the first is best; NaN without draws.
    text : str
        One sentence.
    """

    regimen: str
    runner_up: str
    difference: float
    lower: float
    upper: float
    probability: float
    text: str
    simulated: bool
    note: str = NOTE


def recommend(
    solution: Solution,
    group: str,
    *,
    line: int = 1,
    exposed: Iterable[str] = (),
    remaining: float | None = None,
    refractory: Iterable[str] = (),
    last: str | None = None,
    used: Iterable[str] = (),
    draws: Iterable[SequenceModel] | None = None,
    estimate: KernelEstimate | None = None,
    level: float = 0.95,
) -> Recommendation:
    """Recommend a regimen for one profile, with runner-up, difference, interval and support.

    Parameters
    ----------
    solution : Solution
        Optimal policy.
    group : str
        Group of the patient.
    line : int, default 1
        Line that starts.
    exposed : iterable of str
        Classes that the patient has been exposed to.
    remaining : float, optional
        Months to the horizon; all of them by default.
    refractory, last, used
        As in :meth:`Solution.value`, where the model needs them.
    draws : KernelDraws or iterable of SequenceModel, optional
        For the interval; each is solved. They must have the states of the solution's model.
    estimate : KernelEstimate, optional
        For the support in the data.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Recommendation
        Research use, not medical advice.

    Raises
    ------
    SupportError
        If no supported regimens lead to the profile.
    DataError
        If a name is unknown, or the draws are of a model with other states or regimens.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.sequence.recommend(fs.sequence.examples.textbook().solve(), "all").regimen
    'A'
    """
    model, options = solution.model, dict(solution.problem.options)
    exposed = tuple(exposed)
    g, place, r = solution.locate(
        group,
        line=line,
        exposed=exposed,
        remaining=remaining,
        refractory=refractory,
        last=last,
        used=used,
    )
    q = action_values(solution, line - 1, g, place)[:, r]
    possible = np.flatnonzero(np.isfinite(q))
    order = possible[np.argsort(-np.round(q[possible], 12), kind="stable")]
    values = np.array([solution.problem.report(q[a], g, r) for a in order])
    table = pd.DataFrame(
        {
            "regimen": [model.regimens[a] for a in order],
            "value": values,
            "difference": values - values[0],
        }
    )
    lower = upper = probability = float("nan")
    if draws is not None:
        if options.pop("background"):
            raise DataError(
                "with draws the recommendation takes no background survival",
                remedy="leave out draws, or solve without background",
            )
        drawn = []
        sign = float(np.sign(solution.problem.factor))
        for each in draws:
            _require_same_states(model, each, line - 1)
            again = each.solve(**options)
            values_b = action_values(again, line - 1, g, place)[:, r]
            drawn.append([again.problem.report(values_b[a], g, r) for a in order])
        if len(drawn) < 2:
            raise DataError("there must be two draws or more", values={"draws": len(drawn)})
        tail = (1 - level) / 2
        reported = np.array(drawn)
        apart, sample = reported - reported[:, :1], sign * reported
        table["lower"] = np.quantile(apart, tail, axis=0)
        table["upper"] = np.quantile(apart, 1 - tail, axis=0)
        best = sample >= sample.max(axis=1, keepdims=True) - 1e-12
        table["probability"] = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
        probability = float(table["probability"].iloc[0])
        if order.size > 1:
            ends = (-sign * float(table["lower"].iloc[1]), -sign * float(table["upper"].iloc[1]))
            lower, upper = min(ends), max(ends)
    if estimate is not None:
        level_of = model.states.lines[line - 1].level[place]
        found = estimate.table.set_index(["line", "regimen", "group", "overlap"])
        keys = [(line, model.regimens[a], group, int(level_of[a])) for a in order]
        behind = found.reindex(pd.MultiIndex.from_tuples(keys))
        mix = estimate.formulary.observed_care
        for column in ("patients", "ess", "death"):
            count = behind[column].to_numpy(np.float64, copy=True)
            if mix is not None:  # all who were treated in this line and group stand behind the mix
                count[order == mix] = _whole_line(estimate, line - 1, g)[column]
            table[column] = count if column == "ess" else count.astype(np.int64)
    runner_up = str(table["regimen"].iloc[1]) if order.size > 1 else ""
    difference = abs(float(table["difference"].iloc[1])) if order.size > 1 else float("nan")
    return Recommendation(
        table=table,
        regimen=str(table["regimen"].iloc[0]),
        runner_up=runner_up,
        difference=difference,
        lower=lower,
        upper=upper,
        probability=probability,
        text=_sentence(table, solution.problem.unit, difference, lower, upper, level),
        simulated=model.simulated,
    )


def _sentence(
    table: pd.DataFrame, unit: str, difference: float, lower: float, upper: float, level: float
) -> str:
    first = table.iloc[0]
    amount = {"months": " months", "probability": "", "currency": " units of currency"}[unit]
    text = f"{first['regimen']} ({first['value']:.2f}{amount})"
    if len(table) > 1:
        second = table.iloc[1]
        text += f", before {second['regimen']} by {difference:.2f}{amount}"
        if np.isfinite(lower):
            text += f" ({level:.0%} interval {lower:.2f} to {upper:.2f}"
            text += f"; best in {first['probability']:.0%} of the draws)"
    else:
        text += ", the only regimen that may be given"
    if "patients" in table:
        text += f"; {int(first['patients'])} patients behind it"
    return f"{text}. {NOTE}"
