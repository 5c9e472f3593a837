"""Checks of estimated kernels: a sufficient state, and predictions that agree with what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, survival_interval
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.lines_table import DEATH
from fiac_survival.sequence.multinomial import fit_multinomial, probabilities
from fiac_survival.sequence.solution import NOTE
from fiac_survival.sequence.step_counts import at_risk_of, weighted_counts

if TYPE_CHECKING:
    from fiac_survival.sequence.kernel_estimation import KernelEstimate

Floats = NDArray[np.float64]
NAMES = ("next line", "death")


@single_threaded_blas
def markov_check(estimate: KernelEstimate, level: float = 0.95) -> pd.DataFrame:
    """Test whether the length of the line before still matters, given the state.

    The hazard model is extended, line by line, by log2 of the previous line's length. If it matters,
    the state is not sufficient: let the group learn it (`group_updates`), or report the weighted
    estimate beside.

    Parameters
    ----------
    estimate : KernelEstimate
        Kernels of the spline form.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    DataFrame
        outcome, line, odds_ratio of each doubling of the previous line's length, lower, upper, p_value.

    Raises
    ------
    DataError
        If the kernels have another form, or there is one line only.
    """
    design, h = estimate.estimator.design, estimate.histories
    if design is None or h.formulary.lines < 2:
        raise DataError(
            "the check needs kernels of the spline form and two lines or more",
            values={"form": estimate.estimator.form, "lines": h.formulary.lines},
        )
    n_steps = h.formulary.n_steps
    span = np.minimum(h.steps, n_steps)
    row = np.repeat(np.arange(h.line.size), span)
    step = np.arange(row.size) - (np.cumsum(span) - span)[row]
    ended = (step == h.steps[row] - 1) & (h.steps[row] <= n_steps)
    code = np.where(ended, h.ending[row], 0)
    # Person-steps with the same cell, step and previous length have one design row.
    key = np.column_stack([h.line, h.regimen, h.group, h.level, h.previous])[row]
    columns = [*key.T, step]
    sizes = tuple(int(column.max()) + 1 for column in columns)
    packed, of_row = np.unique(np.ravel_multi_index(columns, sizes), return_inverse=True)
    counts = np.zeros((packed.size, 3))
    np.add.at(counts, (of_row.ravel(), code), 1.0)
    line, regimen, group, over, previous, at = np.unravel_index(packed, sizes)
    x = design.matrix(line, regimen, group, over, at)
    doubling = np.log2(np.maximum(previous, 1).astype(np.float64))
    extra = np.zeros((len(x), h.formulary.lines - 1))
    for later in range(1, h.formulary.lines):
        here = line == later
        if here.any():
            extra[here, later - 1] = doubling[here] - doubling[here].mean()
    ridge = np.concatenate([design.ridge[design.seen], np.full(extra.shape[1], 1e-6)])
    fit = fit_multinomial(np.column_stack([x, extra]), counts, ridge=ridge, what="Markov check")
    p = x.shape[1]
    error = np.sqrt(np.diag(fit.covariance)).reshape(fit.coef.shape)
    z = normal_quantile(level)
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(NAMES):
        for later in range(1, h.formulary.lines):
            if not (line == later).any():
                continue
            b, se = fit.coef[k, p + later - 1], error[k, p + later - 1]
            rows.append(
                {
                    "outcome": name,
                    "line": later + 1,
                    "odds_ratio": np.exp(b),
                    "lower": np.exp(b - z * se),
                    "upper": np.exp(b + z * se),
                    "p_value": 2 * ndtr(-abs(b / se)),
                }
            )
    return pd.DataFrame(rows)


def calibration(estimate: KernelEstimate, level: float = 0.95) -> pd.DataFrame:
    """Compare predicted with observed time to next treatment and survival, line by line.

    Observed: Kaplan-Meier from the line's start, weighted as the kernels are. Predicted: the mean of
    the model's curves over the same lines; for survival the course after the line follows the regimens
    observed in each state. With weights against confounding the predictions are for regimens given as
    if at random within a state: a survival that differs from the observed then shows confounding, not
    misfit.

    Parameters
    ----------
    estimate : KernelEstimate
        Kernels.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    DataFrame
        outcome, line, month, observed, lower, upper, predicted, at_risk.

    Raises
    ------
    DataError
        If the overlap counts refractory classes.
    """
    h, f = estimate.histories, estimate.formulary
    if h.overlap_counts == "refractory":
        raise DataError(
            "predictions are compared without refractory classes",
            values={"overlap_counts": h.overlap_counts},
            remedy="estimate the kernels without refractory=",
        )
    rows = []
    alive_after = _survival_of_observed_care(estimate)
    for line in range(f.lines):
        here = np.flatnonzero(h.line == line)
        if here.size == 0:
            continue
        w = estimate.weights[here]
        leaving = estimate.fit.next_prob + estimate.fit.death_prob
        stay = 1.0 - np.cumsum(leaving[line, h.regimen[here], h.group[here], h.level[here]], axis=1)
        rows.append(
            _compare(
                "next line or death",
                line,
                h.steps[here],
                h.ending[here] > 0,
                w,
                np.average(stay, axis=0, weights=w),
                f.n_steps,
                f.step_months,
                level,
            )
        )
        steps, died = _follow_up(h, here)
        key = np.column_stack([h.exposed[here], h.group[here]])
        states, of_row = np.unique(key, axis=0, return_inverse=True)
        share = np.bincount(of_row.ravel(), minlength=len(states)) / here.size
        predicted = sum(
            s * alive_after(line, int(e), int(g))
            for s, (e, g) in zip(share, states.tolist(), strict=True)
        )
        rows.append(
            _compare(
                "survival",
                line,
                steps,
                died,
                np.ones(here.size),
                np.asarray(predicted),
                f.n_steps,
                f.step_months,
                level,
            )
        )
    out = pd.concat(rows, ignore_index=True)
    out.attrs["note"] = NOTE
    return out


def _follow_up(h: Histories, rows: Any) -> tuple[Any, NDArray[np.bool_]]:
    """Count steps from a line's start to death or the end of follow-up."""
    last = np.r_[h.first[1:], h.line.size] - 1
    end = h.start[last] + h.steps[last] + np.where(h.salvage_ending >= 0, h.salvage_steps, 0)
    died = (h.ending[last] == DEATH) | (h.salvage_ending == DEATH)
    person = h.person[rows]
    return end[person] - h.start[rows], died[person]


def _compare(
    outcome: str,
    line: int,
    steps: Any,
    event: Any,
    weights: Floats,
    predicted: Floats,
    n_steps: int,
    step_months: float,
    level: float,
) -> pd.DataFrame:
    beyond = steps > n_steps
    at = np.minimum(steps, n_steps)
    happened = event & ~beyond
    total = weighted_counts(at, weights, n_steps + 1)
    events = np.bincount(at, weights=weights * happened, minlength=n_steps + 1)[1:]
    at_risk = at_risk_of(total)
    hazard = events / np.where(at_risk > 0, at_risk, 1.0)
    survival = np.cumprod(1.0 - hazard)
    # Weighted Kaplan-Meier: each row's martingale, weights held fixed.
    scale = 1.0 / np.where(at_risk > 0, at_risk, 1.0) / np.where(hazard < 1, 1.0 - hazard, 1.0)
    drift = np.concatenate([[0.0], np.cumsum(hazard * scale)])
    square = np.zeros(n_steps)
    order = np.arange(1, n_steps + 1)
    for t in range(n_steps):
        until = np.minimum(at, order[t])
        jump = happened & (at <= order[t])
        part = weights * (np.where(jump, scale[np.maximum(at, 1) - 1], 0.0) - drift[until])
        square[t] = np.sum(part**2)
    lower, upper = survival_interval(
        np.asarray(survival),
        np.asarray(survival * np.sqrt(square)),
        level=level,
        transform="log-log",
    )
    seen = at_risk > 0
    count = at_risk_of(weighted_counts(at, None, n_steps + 1)).astype(np.int64)
    table = pd.DataFrame(
        {
            "outcome": outcome,
            "line": line + 1,
            "month": order * step_months,
            "observed": survival,
            "lower": lower,
            "upper": upper,
            "predicted": np.clip(predicted, 0.0, 1.0),
            "at_risk": count,
        }
    )
    return table[seen]


def _survival_of_observed_care(estimate: KernelEstimate) -> Any:
    """Survival from a line's start if each state is treated as it was observed to be."""
    h, f = estimate.histories, estimate.formulary
    after = f.group_after
    onward, death = estimate.fit.next_prob, estimate.fit.death_prob
    key = np.column_stack([h.line, h.exposed, h.group, h.regimen])
    given, count = np.unique(key, axis=0, return_counts=True)
    mix: dict[tuple[int, int, int], list[tuple[int, float]]] = {}
    for (line, exposed, group, regimen), n in zip(given.tolist(), count.tolist(), strict=True):
        mix.setdefault((line, exposed, group), []).append((regimen, float(n)))
    salvage_dead = np.cumsum(estimate.fit.salvage_death, axis=1)
    pooled = [
        np.bincount(h.regimen[h.line == i], minlength=len(f.regimens)) for i in range(f.lines)
    ]
    known: dict[tuple[int, int, int], Floats] = {}

    def dead(line: int, exposed: int, group: int) -> Floats:
        """Cumulative probability of death, steps 0..T."""
        if line == f.lines:
            return np.concatenate([[0.0], salvage_dead[group]])
        place = (line, exposed, group)
        if place in known:
            return known[place]
        choices = mix.get(place)
        if choices is None:  # a state that the model leads to and nobody was in: the line's mix
            choices = [(a, float(n)) for a, n in enumerate(pooled[line].tolist()) if n]
        total = sum(n for _, n in choices)
        out = np.zeros(f.n_steps + 1)
        for regimen, n in choices:
            at = (line, regimen, group, f.level(regimen, exposed))
            out[1:] += n / total * np.cumsum(death[at])
            to = exposed | int(f.masks[regimen])
            targets = np.full(f.n_steps, group) if after is None else after[line, group]
            for target in np.unique(targets).tolist():
                moved = np.where(targets == target, onward[at], 0.0)
                if moved.any():
                    later = dead(line + 1, to, target)
                    out[1:] += n / total * np.convolve(moved, later)[: f.n_steps]
        known[place] = out
        return out

    return lambda line, exposed, group: 1.0 - dead(line, exposed, group)[1:]


def expected_hazards(estimate: KernelEstimate) -> pd.DataFrame:
    """Observed and fitted events by cell, for a look at the fit.

    Parameters
    ----------
    estimate : KernelEstimate
        Kernels of the spline form.

    Returns
    -------
    DataFrame
        line, regimen, group, overlap, outcome, observed, expected (weighted person-steps times hazards).

    Raises
    ------
    DataError
        If the kernels have another form.
    """
    design = estimate.estimator.design
    hazard = estimate.fit.hazard
    if design is None or hazard is None:
        raise DataError(
            "expected events need kernels of the spline form",
            values={"form": estimate.estimator.form},
        )
    f = estimate.formulary
    counts = estimate.estimator.cells.counts(estimate.weights)
    row, step = np.nonzero(counts.at_risk > 0)
    p = probabilities(design.of_cells(counts.cell[row], step), hazard.coef)
    tables = []
    for k, (name, seen) in enumerate(zip(NAMES, (counts.onward, counts.death), strict=True)):
        expected = np.bincount(
            row, weights=p[:, k + 1] * counts.at_risk[row, step], minlength=len(counts.cell)
        )
        tables.append(
            pd.DataFrame(
                {
                    "line": counts.cell[:, 0] + 1,
                    "regimen": np.array(f.regimen_names)[counts.cell[:, 1]],
                    "group": np.array(f.groups)[counts.cell[:, 2]],
                    "overlap": counts.cell[:, 3],
                    "outcome": name,
                    "observed": seen.sum(axis=1),
                    "expected": expected,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)
