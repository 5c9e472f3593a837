"""Simulated myeloma patients with a known truth: lines of therapy confounded by indication.

Hazards of moving on and of death in each line are a baseline (by line and eligibility for a transplant)
times ratios: of the regimen against the average mix (a network meta-analysis), of cytogenetic risk and
frailty, of an early relapse, of overlap with classes given before, and of severity at the line's start.
Severity is new at each line; the severe are given antibodies against CD38 more often and fare worse, so
that an analysis that does not ask who was severe finds these drugs harmful. Averaged over severity the
model is a :class:`~fiac_survival.sequence.SequenceModel`: the truth. Everything is simulated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.seeds import stream
from fiac_survival.sequence import Formulary, SequenceModel, read_formulary
from fiac_survival.sequence.cohorts import cumulated, draw_endings
from fiac_survival.sequence.kernel_fitting import to_kernels
from fiac_survival.simulate.myeloma_parameters import (
    AFTER_LAST,
    AVOID_OVERLAP,
    DEATH,
    EARLY_DEATH,
    EARLY_NEXT,
    EFFECT_FIRST,
    EFFECT_LATER,
    FRAIL_USE,
    HIGH_RISK,
    NEXT,
    NEXT_SHAPE,
    NO_EVENT_MONTHS,
    OVERLAP_DEATH,
    OVERLAP_NEXT,
    RATIO,
    SEVERE,
    SHAPE_MONTHS,
    SHARES,
    USE,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK = 10_000  # patients that share a random stream
FILE = Path(__file__).parent.parent / "sequence" / "formularies" / "myeloma.toml"


@cache
def formulary() -> Formulary:
    """Read the formulary of myeloma that comes with the package.

    Returns
    -------
    Formulary
        Four lines, 120 months, 12 groups.
    """
    return read_formulary(FILE)


def _of_group(name: str) -> tuple[str, bool, bool, bool]:
    return (
        "transplant" if name.startswith("transplant") else "other",
        "high risk" in name,
        name.startswith("frail"),
        "early" in name,
    )


def _centred(kind: int, name: str, share: float) -> tuple[float, float]:
    """Ratios of those without and with a feature whose average over the patients is 1."""
    ratio = RATIO[name][kind]
    low = 1.0 / (1.0 - share + share * ratio)
    return low, low * ratio


@cache
def hazards() -> tuple[Floats, Floats]:
    """Monthly probabilities of moving on and of death by severity.

    Returns
    -------
    onward, death : (L, A, G, H, 2, T) float64
        The last but one axis: not severe, severe.
    """
    f = formulary()
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels, 2, f.n_steps)
    frail_share = SHARES["frail"] / (SHARES["fit"] + SHARES["frail"])
    rates = []
    for kind, base in ((0, NEXT), (1, DEATH)):
        rate = np.zeros(shape)
        overlap = np.array((OVERLAP_NEXT, OVERLAP_DEATH)[kind])[:, None, None]
        severity = np.array(_centred(kind, "severe", SEVERE))[None, :, None]
        for line in range(f.lines):
            effects = EFFECT_FIRST if line == 0 else EFFECT_LATER
            for a, regimen in enumerate(f.regimen_names):
                effect = effects.get(regimen, (1.0, 1.0))[kind]
                for g, group in enumerate(f.groups):
                    eligible, high, frail, early = _of_group(group)
                    value = base[eligible][line] * effect
                    value *= _centred(kind, "high risk", HIGH_RISK)[high]
                    if eligible == "other":
                        value *= _centred(kind, "frail", frail_share)[frail]
                    if early and line > 0:
                        value *= EARLY_NEXT[line - 1] if kind == 0 else EARLY_DEATH
                    rate[line, a, g] = value * overlap * severity
        for g, group in enumerate(f.groups):
            if _of_group(group)[0] == "transplant":
                rate[0, :, g, :, :, :NO_EVENT_MONTHS] *= 0.0 if kind == 0 else 0.5
            elif kind == 0:
                rate[0, :, g] *= ((np.arange(f.n_steps) + 0.5) / SHAPE_MONTHS) ** NEXT_SHAPE
        rates.append(rate)
    total = rates[0] + rates[1]
    leave = -np.expm1(-total)
    safe = np.where(total > 0, total, 1.0)
    return leave * rates[0] / safe, leave * rates[1] / safe


@cache
def truth() -> SequenceModel:
    """Model that the simulated patients follow, severity averaged.

    Returns
    -------
    SequenceModel
        Marked as simulated.

    Examples
    --------
    >>> truth().best_sequences(1, "fit, standard risk").sequences[0][0]
    'DRd'
    """
    f = formulary()
    onward, death = to_kernels(*hazards())
    share = np.array([1.0 - SEVERE, SEVERE])
    steps = np.arange(f.n_steps)
    salvage = np.broadcast_to(AFTER_LAST * (1.0 - AFTER_LAST) ** steps, (len(f.groups), f.n_steps))
    return f.model(
        np.einsum("laghst,s->laght", onward, share),
        np.einsum("laghst,s->laght", death, share),
        salvage,
        simulated=True,
    )


@dataclass(frozen=True, eq=False)
class MyelomaLines:
    """Simulated patients and their lines of therapy. Simulated.

    Attributes
    ----------
    person : DataFrame
        person, group, diagnosis and follow_up_end (days since the first day of the study), death (or
        missing).
    lines : DataFrame
        person, line, regimen, group, severe, start, ttnt (days), end_reason: up to the time after the
        last line.
    formulary : Formulary
        Of the regimens.
    """

    person: pd.DataFrame
    lines: pd.DataFrame
    formulary: Formulary
    simulated: bool = True


def myeloma_lines(
    n: int,
    *,
    seed: int,
    confounding: float = 1.2,
    years: float = 4.0,
    cut_off: float = 9.0,
) -> MyelomaLines:
    """Simulate patients and their lines of therapy.

    Parameters
    ----------
    n : int
        Patients.
    seed : int
        Root of the random streams; blocks of 10,000 patients have their own, so that the first patients
        of a larger simulation are those of a smaller one.
    confounding : float, default 1.2
        Log odds by which severity moves the choice towards antibodies against CD38; 0 is a trial.
    years, cut_off : float
        Diagnoses are spread over so many years; follow-up ends so many years after the first day.

    Returns
    -------
    MyelomaLines
        Marked as simulated.

    Raises
    ------
    DataError
        If n is not positive or the cut-off is before the last diagnosis.

    Examples
    --------
    >>> found = myeloma_lines(100, seed=1)
    >>> found.person["person"].nunique(), found.simulated
    (100, True)
    """
    if n < 1 or not 0 < years < cut_off:
        raise DataError(
            "n must be positive, and the cut-off after the last diagnosis",
            values={"n": n, "years": years, "cut_off": cut_off},
        )
    person, lines = [], []
    for block in range(-(-n // BLOCK)):
        found = one_block(block, seed, confounding, years, cut_off)
        person.append(kept(found.person, block, n))
        lines.append(kept(found.lines, block, n))
    return MyelomaLines(
        pd.concat(person, ignore_index=True), pd.concat(lines, ignore_index=True), formulary()
    )


def one_block(
    block: int, seed: int, confounding: float, years: float = 4.0, cut_off: float = 9.0
) -> MyelomaLines:
    """Make a block of patients, from a random stream of its own.

    Parameters
    ----------
    block : int
        Number of the block.
    seed, confounding, years, cut_off
        As in :func:`myeloma_lines`.

    Returns
    -------
    MyelomaLines
        :data:`BLOCK` patients, numbered from 0.
    """
    rng = stream(seed, "myeloma", block)
    person, lines = _block(rng, BLOCK, confounding, years, cut_off)
    return MyelomaLines(person, lines, formulary())


def kept(table: pd.DataFrame, block: int, n: int) -> pd.DataFrame:
    """Keep the rows of a block's table that belong to the first n patients, and number them anew.

    Parameters
    ----------
    table : DataFrame
        Rows of patients numbered from 0 within the block.
    block, n : int
        Number of the block, and patients in all.

    Returns
    -------
    DataFrame
        Numbered as in the whole simulation.
    """
    first = block * BLOCK
    inside = table["person"].to_numpy() < n - first
    rows = table.copy() if inside.all() else table[inside].reset_index(drop=True)
    rows["person"] += first
    return rows


def _block(
    rng: np.random.Generator, n: int, confounding: float, years: float, cut_off: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    f = formulary()
    names, groups = np.array(f.regimen_names), np.array(f.groups)
    onward, death = to_kernels(*hazards())
    cumulative = cumulated(onward, death)
    kind = rng.choice(3, n, p=list(SHARES.values()))
    group = 2 * kind + (rng.random(n) < HIGH_RISK)
    first_group = group.copy()
    month = 30.4375
    diagnosis = np.floor(rng.random(n) * years * 365.25).astype(np.int64)
    start = diagnosis + rng.integers(5, 45, n)
    end = np.full(n, int(cut_off * 365.25))
    died_on = np.full(n, -1, dtype=np.int64)
    exposed = np.zeros(n, dtype=np.int64)
    active = np.arange(n)
    rows: list[pd.DataFrame] = []
    for line in range(f.lines + 1):
        m = active.size
        if m == 0:
            break
        severe = rng.random(m) < SEVERE
        u, wobble = rng.random(m), rng.random(m)
        if line < f.lines:
            regimen = _choose(rng, f, line, group[active], exposed[active], severe, confounding)
            common = np.bitwise_count(f.masks[regimen] & exposed[active]).astype(np.int64)
            level = np.minimum(common, f.overlap_levels - 1)
            table = cumulative[line, regimen, group[active], level, severe.astype(int)]
            moved, died, steps = draw_endings(table, u)
            shown = names[regimen]
        else:
            regimen = np.full(m, -1)
            steps = np.ceil(np.log(u) / np.log1p(-AFTER_LAST)).astype(np.int64).clip(min=1)
            moved, died = np.zeros(m, dtype=bool), np.ones(m, dtype=bool)
            shown = np.full(m, "later")
        days = np.maximum(np.floor((steps - wobble) * month), 1).astype(np.int64)
        left = end[active] - start[active]
        cut = days > left
        moved, died = moved & ~cut, died & ~cut
        days = np.minimum(days, np.maximum(left, 0))
        reason = np.where(moved, "switch", np.where(died, "death", "censored"))
        rows.append(
            pd.DataFrame(
                {
                    "person": active,
                    "line": line + 1,
                    "regimen": shown,
                    "group": groups[first_group[active]],
                    "severe": severe.astype(np.int64),
                    "start": start[active],
                    "ttnt": days,
                    "end_reason": reason,
                }
            )
        )
        died_on[active[died]] = (start[active] + days)[died]
        if line < f.lines:
            exposed[active] |= f.masks[regimen]
            if f.group_after is not None:
                at = np.minimum(steps, f.n_steps) - 1
                group[active] = np.where(
                    moved, f.group_after[line, group[active], at], group[active]
                )
        start[active] += days
        active = active[moved]
    person = pd.DataFrame(
        {
            "person": np.arange(n),
            "group": groups[first_group],
            "diagnosis": diagnosis,
            "follow_up_end": np.where(died_on >= 0, died_on, end),
            "death": pd.array(np.where(died_on >= 0, died_on, 0), dtype="Int64"),
        }
    )
    person.loc[died_on < 0, "death"] = pd.NA
    lines = pd.concat(rows, ignore_index=True).sort_values(["person", "line"], kind="stable")
    return person, lines.reset_index(drop=True)


def _choose(
    rng: np.random.Generator,
    f: Formulary,
    line: int,
    group: Ints,
    exposed: Ints,
    severe: NDArray[np.bool_],
    confounding: float,
) -> Ints:
    """Regimens as doctors choose them: by use, eligibility, earlier classes and severity."""
    use = np.array([USE[line].get(name, 0.0) for name in f.regimen_names])
    weight = use[None] * f.allowed[line][:, group].T
    if line == 0:
        frail = np.array([_of_group(name)[2] for name in f.groups])[group]
        times = np.array([FRAIL_USE.get(name, 1.0) for name in f.regimen_names])
        weight = np.where(frail[:, None], weight * times[None], weight)
    overlap = np.bitwise_count(f.masks[None] & exposed[:, None]).astype(np.float64)
    weight = weight * np.exp(-AVOID_OVERLAP * overlap)
    anti_cd38 = 1 << list(f.classes).index("anti_cd38")
    weight *= np.exp(confounding * severe[:, None] * ((f.masks & anti_cd38) > 0)[None])
    cumulative: Any = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    return np.asarray((rng.random(group.size)[:, None] > cumulative).sum(axis=1)).clip(
        max=len(f.regimens) - 1
    )
