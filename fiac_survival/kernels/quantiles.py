"""Kernel of quantiles under bootstrap weights."""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Bools, Floats, Ints


@jit
def weighted_quantile(
    grid: Floats,
    first: Ints,
    last: Ints,
    event: Bools,
    weight: Floats,
    last_time: Floats,
    probability: float,
    tolerance: float,
) -> float:
    """Quantile of a weighted Kaplan-Meier curve.

    Parameters
    ----------
    grid : (m,) float64
        Times.
    first, last : (n,) int64
        Numbers of the grid times between which each row is at risk.
    event : (n,) bool
        Whether its exit is an event.
    weight : (n,) float64
        Weights; rows of weight 0 are absent.
    last_time : (n,) float64
        Each row's exit.
    probability : float
        Share that has had the event.
    tolerance : float
        Slack when the curve meets the share exactly.

    Returns
    -------
    float
        First time at which the share is reached, the middle of the flat part if the curve stays there;
        NaN if it is not.
    """
    m = grid.size
    change = np.zeros(m + 1)
    died = np.zeros(m)
    end = 0.0
    for i in range(first.size):
        if weight[i] > 0.0 and first[i] <= last[i]:
            change[first[i]] += weight[i]
            change[last[i] + 1] -= weight[i]
            if event[i]:
                died[last[i]] += weight[i]
            end = max(end, last_time[i])
    survival = 1.0
    at_risk = 0.0
    start = np.nan
    for j in range(m):
        at_risk += change[j]
        if died[j] > 0.0:
            survival *= max(1.0 - died[j] / at_risk, 0.0)
            failed = 1.0 - survival
            if np.isnan(start):
                if failed > probability + tolerance:
                    return float(grid[j])
                if failed >= probability - tolerance:
                    start = grid[j]
            else:
                return float((start + grid[j]) / 2.0)
    if np.isnan(start):
        return np.nan
    return (start + end) / 2.0
