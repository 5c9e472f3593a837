"""Models that come with the package: a textbook instance with a closed form, and the benchmark."""

from __future__ import annotations

import math

import numpy as np

from fiac_survival.sequence.cohorts import cohort
from fiac_survival.sequence.cohorts import truth as cohort_truth
from fiac_survival.sequence.model import SequenceModel

__all__ = ["benchmark", "cohort", "cohort_truth", "geometric", "textbook"]


def geometric(
    hazards: dict[str, tuple[float, float]],
    *,
    n_lines: int,
    n_steps: int,
    salvage: float,
    step_months: float = 1.0,
) -> SequenceModel:
    r"""Make a model whose lines last a geometric number of steps: values have closed forms.

    Parameters
    ----------
    hazards : dict
        For each regimen the probability in each step of moving on, and of death.
    n_lines, n_steps : int
        Lines and horizon.
    salvage : float
        Probability of death in each step after the last line.
    step_months : float, default 1
        Length of a step.

    Returns
    -------
    SequenceModel
        One class a regimen, one group, no overlap.

    Notes
    -----
    The time to the end of several lines is a sum of geometric times, so that with equal hazards the
    probability of being in line ℓ after t steps is negative binomial.
    """
    steps = np.arange(n_steps)
    shape = (n_lines, len(hazards), 1, 1, n_steps)
    next_prob, death_prob = np.empty(shape), np.empty(shape)
    for a, (onward, death) in enumerate(hazards.values()):
        survival = (1.0 - onward - death) ** steps
        next_prob[:, a, 0, 0] = survival * onward
        death_prob[:, a, 0, 0] = survival * death
    names = list(hazards)
    return SequenceModel(
        [f"class of {name}" for name in names],
        names,
        [1 << a for a in range(len(names))],
        np.ones(shape[:3], dtype=bool),
        ["all"],
        next_prob,
        death_prob,
        salvage * (1.0 - salvage) ** steps[None],
        step_months=step_months,
    )


def textbook() -> SequenceModel:
    """Make a small instance: two regimens, two lines, 24 months, geometric times.

    Returns
    -------
    SequenceModel
        A moves on slowly and kills rarely; B the other way round.

    Examples
    --------
    >>> textbook().value_of(["A", "B"], "all") > textbook().value_of(["B", "A"], "all")
    True
    """
    return geometric({"A": (0.05, 0.02), "B": (0.15, 0.05)}, n_lines=2, n_steps=24, salvage=0.12)


def benchmark(
    *,
    n_classes: int = 10,
    n_regimens: int = 24,
    n_lines: int = 6,
    n_groups: int = 12,
    n_steps: int = 240,
    n_levels: int = 4,
    seed: int = 20261121,
) -> SequenceModel:
    """Make the benchmark instance, of the size of multiple myeloma: 10 classes, 24 regimens, 6 lines.

    Kernels are mixtures of two discretised exponentials, drawn at random. They describe no disease.

    Parameters
    ----------
    n_classes, n_regimens, n_lines, n_groups, n_steps, n_levels : int
        Size.
    seed : int
        Of the kernels.

    Returns
    -------
    SequenceModel
        Marked as simulated.
    """
    rng = np.random.default_rng(seed)
    sizes = np.resize([1, 2, 2, 3, 2, 3, 1, 3], n_regimens)
    masks: list[int] = []
    while len(masks) < n_regimens:
        size = min(int(sizes[len(masks)]), n_classes)
        mask = int(sum(1 << int(c) for c in rng.choice(n_classes, size, replace=False)))
        alike = sum(other.bit_count() == size for other in masks)
        if mask not in masks or alike >= math.comb(n_classes, size):
            masks.append(mask)
    shape = (n_lines, n_regimens, n_groups, n_levels)
    line = np.arange(n_lines)[:, None, None, None]
    level = np.arange(n_levels)[None, None, None, :]
    quality = rng.uniform(0.6, 1.6, n_regimens)[None, :, None, None]
    risk = rng.uniform(0.7, 1.5, n_groups)[None, None, :, None]
    mean = 26.0 * quality * 0.72**line * 0.85**level / risk * rng.uniform(0.9, 1.1, shape)
    death_share = np.clip(0.12 + 0.07 * line + 0.06 * (risk - 1.0), 0.02, 0.9) * np.ones(shape)
    leave = 1.0 - np.exp(-1.0 / mean)
    fast = np.minimum(3.0 * leave, 0.9)
    steps = np.arange(n_steps)
    mass = 0.75 * leave[..., None] * (1.0 - leave[..., None]) ** steps
    mass += 0.25 * fast[..., None] * (1.0 - fast[..., None]) ** steps
    salvage = 1.0 - np.exp(-risk[0, 0, :, 0] / 7.0)
    return SequenceModel(
        [f"class {c + 1}" for c in range(n_classes)],
        [f"regimen {a + 1}" for a in range(n_regimens)],
        masks,
        np.ones(shape[:3], dtype=bool),
        [f"group {g + 1}" for g in range(n_groups)],
        mass * (1.0 - death_share[..., None]),
        mass * death_share[..., None],
        salvage[:, None] * (1.0 - salvage[:, None]) ** steps,
        simulated=True,
    )
