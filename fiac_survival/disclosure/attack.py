r"""Solving counts back from released survival: the attack that rounding must withstand.

In a delayed table every step is :math:`S_j/S_{j-1}=1-d_j/n_j`. A reader knows :math:`S` to a half-width
:math:`h`, and intervals for :math:`n_j` and :math:`d_j`; the pairs that fit are

.. math:: \Bigl\{(n,d): \frac{S_j-h}{S_{j-1}+h}\le 1-\frac dn\le \frac{S_j+h}{S_{j-1}-h}\Bigr\}.

A step is solved if one pair is left. With full precision most are. With three decimals and hundreds at
risk none is; with about a hundred some can be, and what is then known is a sum of at least the
threshold, as in a coarsened risk table. This is not linear, so the integer programme of the audit does
not cover it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fiac_survival.core import columns


def solve_counts(
    survival: Any,
    at_risk: Sequence[tuple[int, int]],
    events: Sequence[tuple[int, int]],
    *,
    half_width: float,
) -> list[list[tuple[int, int]]]:
    """Find the numbers at risk and of events that explain released survival.

    Parameters
    ----------
    survival : array-like of float, shape (m,)
        Released survival after each step; it is 1 before the first.
    at_risk, events : sequence of (int, int), length m
        What is known of the numbers at each step: smallest and largest.
    half_width : float
        Half the distance of two released values: 0.0005 for three decimals, about 1e-12 for a number
        in full.

    Returns
    -------
    list of list of (int, int)
        For each step all pairs (at risk, events) that fit.

    Raises
    ------
    DataError
        If survival is missing somewhere.

    Examples
    --------
    >>> solve_counts([1 - 13 / 101], [(97, 108)], [(11, 40)], half_width=1e-12)
    [[(101, 13)]]
    >>> len(solve_counts([0.87], [(493, 504)], [(11, 100)], half_width=0.0005)[0]) > 1
    True
    """
    values = columns.require_finite(columns.numeric(survival, "survival"), "survival")
    out = []
    before = 1.0
    known = 0.0  # survival at time 0 is known
    for value, (n_low, n_high), (d_low, d_high) in zip(values, at_risk, events, strict=True):
        low = max(value - half_width, 0.0) / (before + known)
        high = min((value + half_width) / max(before - known, 1e-300), 1.0)
        pairs = []
        for n in range(max(n_low, 1), n_high + 1):
            first = max(int(np.ceil(n * (1.0 - high) - 1e-9 * n)), d_low)
            last = min(int(np.floor(n * (1.0 - low) + 1e-9 * n)), d_high, n)
            pairs += [(n, d) for d in range(first, last + 1)]
        out.append(pairs)
        before, known = float(value), half_width
    return out
