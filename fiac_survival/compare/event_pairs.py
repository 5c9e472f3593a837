r"""Pairing the events of a patient in two sources, one to one.

As many pairs as possible (no farther apart than `max_days`, if given), and among those the ones with the
smallest total difference of dates. Pairs that cross can be uncrossed without a larger total or a larger
single difference, so that a recursion over the sorted dates,

.. math:: C_{ij}=\min\{C_{i-1,j},\,C_{i,j-1},\,C_{i-1,j-1}+(-1,|a_i-b_j|)\}

in lexicographic order of (minus pairs, total), is exact.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def match_dates(a: Floats, b: Floats, max_days: float | None = None) -> list[tuple[int, int]]:
    """Pair two sorted lists of days one to one.

    Parameters
    ----------
    a, b : (n,), (m,) float64
        Days, rising.
    max_days : float, optional
        Largest difference of a pair.

    Returns
    -------
    list of (int, int)
        As many pairs as possible, with the smallest total difference; of equal ones the earlier
        events.

    Examples
    --------
    >>> match_dates(np.array([0.0, 100.0]), np.array([95.0]))
    [(1, 0)]
    """
    n, m = a.size, b.size
    best: list[list[tuple[int, float]]] = [[(0, 0.0)] * (m + 1) for _ in range(n + 1)]
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            choices = [best[i - 1][j], best[i][j - 1]]
            gap = abs(float(a[i - 1] - b[j - 1]))
            if max_days is None or gap <= max_days:
                pairs, total = best[i - 1][j - 1]
                choices.append((pairs - 1, total + gap))
            best[i][j] = min(choices)
    out = []
    i, j = n, m
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            out.append((i, j))
    return out[::-1]


def pair_events(
    private: tuple[NDArray[np.int64], Floats],
    public: tuple[NDArray[np.int64], Floats],
    max_days: float | None,
    window: float,
) -> pd.DataFrame:
    """Pair and classify the events of all persons.

    Parameters
    ----------
    private, public : pair of (n,) int64 and (n,) float64
        Persons and days, sorted by both.
    max_days : float or None
        Largest difference of a pair.
    window : float
        Largest difference of a matched pair.

    Returns
    -------
    DataFrame
        who, a, b, days (b minus a), class: one row per pair or event without a partner.
    """
    (who_a, day_a), (who_b, day_b) = private, public
    rows: list[tuple[int, float, float]] = []
    nan = float("nan")
    for person in np.union1d(who_a, who_b):
        a = day_a[np.searchsorted(who_a, person) : np.searchsorted(who_a, person, side="right")]
        b = day_b[np.searchsorted(who_b, person) : np.searchsorted(who_b, person, side="right")]
        pairs = match_dates(a, b, max_days)
        first, second = {i for i, _ in pairs}, {j for _, j in pairs}
        rows += [(int(person), float(a[i]), float(b[j])) for i, j in pairs]
        rows += [(int(person), float(a[i]), nan) for i in range(a.size) if i not in first]
        rows += [(int(person), nan, float(b[j])) for j in range(b.size) if j not in second]
    table = pd.DataFrame(rows, columns=["who", "a", "b"]).astype(
        {"who": np.int64, "a": np.float64, "b": np.float64}
    )
    table["days"] = table["b"] - table["a"]
    table["class"] = np.select(
        [table["b"].isna(), table["a"].isna(), table["days"].abs() <= window],
        ["missed", "extra", "matched"],
        "shifted",
    )
    return table
