"""Counting by step: weights by place, and who is at risk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def weighted_counts(place: Ints, weights: Any, size: int) -> Floats:
    """Add up weights by place.

    Parameters
    ----------
    place : (n,) int64
        Places from 0.
    weights : (n,) float or None
        Weights; None: ones.
    size : int
        Number of places.

    Returns
    -------
    (size,) float64
        Sums.
    """
    return np.asarray(np.bincount(place, weights=weights, minlength=size), dtype=np.float64)


def at_risk_of(total: Floats) -> Floats:
    """Count who is at risk in each step, from those whose follow-up ends there.

    Parameters
    ----------
    total : (..., T+1) float64
        Those whose follow-up ends after 0..T steps.

    Returns
    -------
    (..., T) float64
        At risk in steps 1..T.
    """
    return np.cumsum(total[..., ::-1], axis=-1)[..., ::-1][..., 1:]
