"""Plain twins: every pair looked at, every stretch of time walked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def pairs(time, event, entry, score, weight, omega, stratum):
    """Counts of pairs by kind, and their derivatives by weights."""
    n = time.size
    counts, influence = np.zeros(5), np.zeros((n, 3))
    for i in range(n):
        for j in range(n):
            if i == j or stratum[i] != stratum[j] or not event[i]:
                continue
            if event[j] and time[j] == time[i] and j > i:
                same = score[i] == score[j]
                counts[4 if same else 3] += weight[i] * weight[j] * omega[i]
            outlives = time[j] > time[i] or (time[j] == time[i] and not event[j])
            if not outlives or entry[j] >= time[i]:
                continue
            kind = 0 if score[i] > score[j] else 1 if score[i] < score[j] else 2
            counts[kind] += weight[i] * weight[j] * omega[i]
            influence[i, kind] += weight[j] * omega[i]
            influence[j, kind] += weight[i] * omega[i]
    return counts, influence


def population_hazard(rates, age_cuts, date_cuts, age, date, start, end):
    """Hazard between two times: cut at every edge, the rate read in the middle of each piece."""
    edges = {start, end}
    edges |= {c - age for c in age_cuts if start < c - age < end}
    edges |= {c - date for c in date_cuts if start < c - date < end}
    ordered = sorted(edges)
    total = 0.0
    for left, right in pairwise(ordered):
        middle = (left + right) / 2
        a = max(sum(c <= age + middle for c in age_cuts) - 1, 0)
        d = max(sum(c <= date + middle for c in date_cuts) - 1, 0)
        total += rates[a][d] * (right - left)
    return total
