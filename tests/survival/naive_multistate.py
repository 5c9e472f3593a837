"""Aalen-Johansen and its variances in plain Python: slow, and obviously what the formulas say."""

from __future__ import annotations

import itertools

import numpy as np


def grid(rows, since):
    """Times after `since` at which anybody moves.

    A row is (person, entry, exit, from, to or None, weight).
    """
    return sorted({r[2] for r in rows if r[4] is not None and r[2] > since})


def at_risk(rows, state, t, since):
    return [r for r in rows if r[3] == state and max(r[1], since) < t <= r[2]]


def step_matrix(rows, size, t, since):
    """I + dA at one time."""
    out = np.eye(size)
    for j in range(size):
        risk = at_risk(rows, j, t, since)
        total = sum(r[5] for r in risk)
        for r in risk:
            if r[4] is not None and r[2] == t:
                out[j, r[4]] += r[5] / total
                out[j, j] -= r[5] / total
    return out


def observed_start(rows, size, since):
    """Distribution over the states of those at risk just after `since`."""
    out = np.zeros(size)
    for r in rows:
        if r[1] <= since < r[2]:
            out[r[3]] += r[5]
    return out / out.sum()


def occupation(rows, size, initial, since, until):
    """State probabilities at `until` from a distribution at `since`."""
    p = observed_start(rows, size, since) if initial is None else np.array(initial, dtype=float)
    for t in grid(rows, since):
        if t <= until:
            p = p @ step_matrix(rows, size, t, since)
    return p


def stays(rows, size, initial, since, tau):
    """Expected time in each state, piece by piece."""
    edges = [since, *(t for t in grid(rows, since) if t < tau), tau]
    return sum(
        (b - a) * occupation(rows, size, initial, since, a) for a, b in itertools.pairwise(edges)
    )


def jackknife(rows, value):
    """Covariance of `value(rows)`: sum over persons of squared derivatives by a factor on their weight."""
    h = 1e-5
    total = 0.0
    for person in sorted({r[0] for r in rows}):
        up = [(*r[:5], r[5] * (1 + h)) if r[0] == person else r for r in rows]
        down = [(*r[:5], r[5] * (1 - h)) if r[0] == person else r for r in rows]
        u = (value(up) - value(down)) / (2 * h)
        total = total + np.outer(u, u)
    return total


def product_of(rows, size, start, end, since):
    """P(start, end), the product over times after `start` up to `end`."""
    out = np.eye(size)
    for t in grid(rows, since):
        if start < t <= end:
            out = out @ step_matrix(rows, size, t, since)
    return out


def increment_variance(rows, size, initial, since, until, kind):
    """Sum over times of the noise of the increments, carried to `until` by the steps after it."""
    total = np.zeros((size, size))
    for t in grid(rows, since):
        if t > until:
            break
        before = [s for s in grid(rows, since) if s < t]
        p = np.array(initial, dtype=float)
        for s in before:
            p = p @ step_matrix(rows, size, s, since)
        if kind == "aalen":
            p = p @ step_matrix(rows, size, t, since)
        rest = product_of(rows, size, t, until, since)
        for j in range(size):
            risk = at_risk(rows, j, t, since)
            moves = np.zeros(size)
            for r in risk:
                if r[4] is not None and r[2] == t:
                    moves[r[4]] += r[5]
            y = sum(r[5] for r in risk)
            for k in np.flatnonzero(moves):
                for other in np.flatnonzero(moves):
                    covariance = 0.0
                    if k == other:
                        covariance += moves[k] / y**2
                    if kind == "greenwood":
                        covariance -= moves[k] * moves[other] / y**3
                    left = (np.eye(size)[k] - np.eye(size)[j]) @ rest
                    right = (np.eye(size)[other] - np.eye(size)[j]) @ rest
                    total += p[j] ** 2 * covariance * np.outer(left, right)
    return total
