"""Simulated cohorts with confounding by indication, and the truth behind them.

At the start of each line a patient is frail or not, independently of the past; the frail die earlier
and are given the gentler regimen more often. Given line, exposed classes and group the marginal kernel
of a regimen is the mixture over frailty: a :class:`~fiac_survival.sequence.SequenceModel` is exactly
true, and an analysis that ignores frailty is confounded.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.seeds import stream
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.formulary_file import read_formulary
from fiac_survival.sequence.kernel_fitting import to_kernels
from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
FILE = Path(__file__).parent / "data" / "simulated_cohort.toml"
#                 strong gentle both
RATE_NEXT = np.array([0.060, 0.045, 0.050])
RATE_DEATH = np.array([0.022, 0.014, 0.026])
PREFERENCE = np.array([0.3, 0.0, -0.2])
FRAIL_SHARE = 0.4


@cache
def formulary() -> Formulary:
    """Read the formulary of the simulated cohort, which comes with the package.

    Returns
    -------
    Formulary
        Two lines, three regimens, two groups, 48 months.
    """
    return read_formulary(FILE)


def _hazards() -> tuple[Floats, Floats]:
    """Hazards by line, regimen, group, level, frailty and step."""
    f = formulary()
    line = np.array([1.0, 1.5])[:, None, None, None, None, None]
    group = np.array([1.0, 1.5])[None, None, :, None, None, None]
    level = np.array([1.0, 2.2])[None, None, None, :, None, None]
    frail_next = np.array([1.0, 1.2])[None, None, None, None, :, None]
    frail_death = np.array([1.0, 4.0])[None, None, None, None, :, None]
    step = np.arange(1, f.n_steps + 1)[None, None, None, None, None, :]
    shape = step**-0.15
    onward = RATE_NEXT[None, :, None, None, None, None] * line * group * level * frail_next * shape
    death = RATE_DEATH[None, :, None, None, None, None] * line * group * frail_death
    death = death * level**0.5 * np.ones_like(onward)
    total = onward + death
    leave = -np.expm1(-total)
    return leave * onward / total, leave * death / total


def truth() -> SequenceModel:
    """Model that the simulated cohort follows, frailty averaged.

    Returns
    -------
    SequenceModel
        Marked as simulated.

    Examples
    --------
    >>> truth().best_sequences(1, "standard risk").sequences[0]
    ('gentle', 'strong')
    """
    onward, death = to_kernels(*_hazards())
    share = np.array([1.0 - FRAIL_SHARE, FRAIL_SHARE])
    f = formulary()
    return f.model(
        np.einsum("laghft,f->laght", onward, share),
        np.einsum("laghft,f->laght", death, share),
        _salvage(),
    )


def _salvage() -> Floats:
    steps = np.arange(formulary().n_steps)
    hazard = np.array([0.10, 0.14])[:, None]
    return np.asarray(hazard * (1.0 - hazard) ** steps[None])


def choice(frail: NDArray[np.bool_], exposed: NDArray[np.int64], confounding: float) -> Floats:
    """Probability of each regimen given frailty and exposed classes.

    Parameters
    ----------
    frail : (n,) bool
        Frailty at the line's start.
    exposed : (n,) int64
        Bitmask of classes given before.
    confounding : float
        Log odds by which frailty moves the choice towards the gentle regimen and away from the strong.

    Returns
    -------
    (n, 3) float64
        Rows add to 1.
    """
    eta = np.tile(PREFERENCE, (frail.size, 1))
    eta[:, 1] += confounding * frail
    eta[:, 0] -= 0.5 * confounding * frail
    eta -= 0.4 * (formulary().masks[None] & exposed[:, None] > 0)
    e = np.exp(eta)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def cumulated(onward: Floats, death: Floats) -> Floats:
    """Cumulate kernels to draw from.

    Parameters
    ----------
    onward, death : (..., T) float64
        Kernels.

    Returns
    -------
    (..., 2 T + 1) float64
        Moving on in steps 1..T, death in steps 1..T, neither; cumulative.
    """
    stay = np.maximum(1.0 - (onward + death).sum(axis=-1, keepdims=True), 0.0)
    return np.cumsum(np.concatenate([onward, death, stay], axis=-1), axis=-1)


def draw_endings(
    table: Floats, uniform: Floats
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Draw how lines end, and when.

    Parameters
    ----------
    table : (n, 2 T + 1) float64
        Rows of :func:`cumulated`.
    uniform : (n,) float64
        Uniform random numbers.

    Returns
    -------
    moved, died : (n,) bool
        How the line ended.
    steps : (n,) int64
        In which step; 40 T, beyond any follow-up, where it did not end.
    """
    n_steps = (table.shape[1] - 1) // 2
    drawn = (uniform[:, None] > table).sum(axis=1).clip(max=2 * n_steps)
    moved, stays = drawn < n_steps, drawn == 2 * n_steps
    return moved, ~moved & ~stays, np.where(stays, 40 * n_steps, drawn % n_steps + 1)


def cohort(
    n: int,
    *,
    seed: int,
    confounding: float = 1.6,
    censoring: float | None = 24.0,
) -> tuple[pd.DataFrame, Formulary]:
    """Simulate patients who are treated as their frailty suggests.

    Parameters
    ----------
    n : int
        Patients.
    seed : int
        Root of the random stream.
    confounding : float, default 1.6
        Log odds by which frailty moves the choice; 0 is a trial.
    censoring : float or None, default 24
        Follow-up ends uniformly between so many months and twice the horizon; None: complete.

    Returns
    -------
    lines : DataFrame
        Lines of therapy in steps: person, line, regimen, group, frail, ttnt, end_reason. Simulated.
    formulary : Formulary
        Its formulary.

    Raises
    ------
    DataError
        If n is not positive.

    Examples
    --------
    >>> lines, formulary = cohort(200, seed=1)
    >>> lines["regimen"].nunique(), formulary.simulated
    (3, True)
    """
    if n < 1:
        raise DataError("n must be at least 1", values={"n": n})
    f = formulary()
    rng = stream(seed, "cohort")
    onward, death = to_kernels(*_hazards())
    cumulative = cumulated(onward, death)
    group = (rng.random(n) < 0.35).astype(np.int64)
    end = np.full(n, 10 * f.n_steps, dtype=np.int64)
    if censoring is not None:
        end = np.floor(rng.uniform(censoring, 2 * f.n_steps, n)).astype(np.int64)
    elapsed = np.zeros(n, dtype=np.int64)
    exposed = np.zeros(n, dtype=np.int64)
    active = np.arange(n)
    rows: list[pd.DataFrame] = []
    for line in range(f.lines + 1):
        m = active.size
        if m == 0:
            break
        frail = rng.random(m) < FRAIL_SHARE
        p = choice(frail, exposed[active], confounding)
        regimen = (rng.random(m)[:, None] > np.cumsum(p, axis=1)).sum(axis=1).clip(max=2)
        u = rng.random(m)
        if line < f.lines:
            common = np.bitwise_count(f.masks[regimen] & exposed[active]).astype(np.int64)
            level = np.minimum(common, f.overlap_levels - 1)
            table = cumulative[line, regimen, group[active], level, frail.astype(int)]
            moved, died, length = draw_endings(table, u)
        else:
            hazard = np.array([0.10, 0.14])[group[active]]
            length = np.ceil(np.log(u) / np.log1p(-hazard)).astype(np.int64).clip(min=1)
            moved, died = np.zeros(m, dtype=bool), np.ones(m, dtype=bool)
        left = end[active] - elapsed[active]
        cut = length > left
        moved, died = moved & ~cut, died & ~cut
        rows.append(
            pd.DataFrame(
                {
                    "person": active,
                    "line": line + 1,
                    "regimen": np.array(f.regimen_names)[regimen],
                    "group": np.array(f.groups)[group[active]],
                    "frail": frail.astype(int),
                    "ttnt": np.minimum(length, left),
                    "end_reason": np.where(moved, "switch", np.where(died, "death", "censored")),
                }
            )
        )
        exposed[active] |= f.masks[regimen]
        elapsed[active] += np.minimum(length, left)
        active = active[moved]
    lines = pd.concat(rows, ignore_index=True).sort_values(["person", "line"], kind="stable")
    return lines.reset_index(drop=True), f
