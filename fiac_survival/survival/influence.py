r"""Influence of each row on a survival probability and on a restricted mean.

With the symbols of :mod:`fiac_survival.survival.kaplan_meier`, row i (of unit weight) moves

.. math:: S(t) \text{ by } U_i(t), \qquad
          \mathrm{RMST}(\tau)=\int_0^\tau S \text{ by } U_i^{R}=\int_0^\tau U_i(t)\,dt
          = -\sum_{s\le\tau}\frac{Y_i(s)(dN_i(s)-d\Lambda(s))}{Y(s)(1-d\Lambda(s))}\int_s^\tau S .

Both need one cumulative sum over the grid and two look-ups a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.kernels.step_curves import area_after
from fiac_survival.survival.steps import Steps

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def _cumulated(step: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(step)])


def survival_influence(
    steps: Steps, first: Ints, last: Ints, event: NDArray[np.bool_], t: float
) -> Floats:
    """Influence of rows on S(t), each of unit weight.

    Parameters
    ----------
    steps : Steps
        The group's grid.
    first, last : (n,) int64
        Grid indices between which each row is at risk.
    event : (n,) bool
        Whether its exit is an event.
    t : float
        Time.

    Returns
    -------
    (n,) float64
        U_i(t); the variance of S(t) is the sum of squares of weight times influence.
    """
    end = int(np.searchsorted(steps.time, t, side="right"))
    if end == 0:
        return np.zeros(first.size)
    step, jump = steps.increments()
    total = _cumulated(step)
    lost = total[np.minimum(last + 1, end)] - total[np.minimum(first, end)]
    gained = np.where(event & (last < end), jump[last], 0.0)
    return np.asarray(-steps.survival[end - 1] * (gained - lost))


def rmst_influence(
    steps: Steps, first: Ints, last: Ints, event: NDArray[np.bool_], tau: float
) -> Floats:
    """Influence of rows on the restricted mean, each of unit weight.

    Parameters
    ----------
    steps, first, last, event
        As in :func:`survival_influence`.
    tau : float
        Horizon.

    Returns
    -------
    (n,) float64
        Influence of each row.
    """
    after, _ = areas(steps, tau)
    step, jump = steps.increments()
    total = _cumulated(step * after)
    gained = np.where(event, jump[last] * after[last], 0.0)
    return np.asarray(total[last + 1] - total[first] - gained)


def areas(steps: Steps, tau: float) -> tuple[Floats, float]:
    """Areas under the curve from each grid time to τ, and from 0.

    Parameters
    ----------
    steps : Steps
        The group's grid and curve.
    tau : float
        Horizon.

    Returns
    -------
    after : (m,) float64
        Area between each grid time and τ.
    rmst : float
        Area between 0 and τ.
    """
    after = np.empty_like(steps.time)
    rmst = area_after(steps.time, steps.survival, tau, after)
    return after, float(rmst)
