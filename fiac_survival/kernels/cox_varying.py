r"""Kernel of a Cox model whose effects vary with a smooth function of time.

Rows have covariates x and a level l of the covariates v whose effects vary: at an event time t with
:math:`g(t)`, row i has :math:`z_i(t)=(x_i, g(t)\circ v_{l(i)})`. Within a level
:math:`e^{x_i'\beta}` alone differs between rows, so that the sums of :math:`e^{x'\beta}(1,x,xx')` of who is
at risk are kept by level, and those of z at each event time are put together from them: one pass,
:math:`O(np^2+BLp^2)` for B event times and L levels, never rows times times. Blocks, rows and ties are
those of :mod:`fiac_survival.kernels.cox`.
"""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Bools, Floats, Ints


@jit
def _move(
    risk: float,
    sign: float,
    x: Floats,
    a0: Floats,
    a1: Floats,
    a2: Floats,
    level: int,
) -> None:
    r = sign * risk
    a0[level] += r
    for q in range(x.size):
        a1[level, q] += r * x[q]
        for u in range(q + 1):
            a2[level, q, u] += r * x[q] * x[u]


@jit
def _add_moments(
    factor: float,
    z0: float,
    z1: Floats,
    z2: Floats,
    gv: Floats,
    s1: Floats,
    s2: Floats,
) -> float:
    """Add a level's (or a row's) sums, given those of x, to the sums of z = (x, gv)."""
    p, k = z1.size, gv.size
    r = factor * z0
    for q in range(p):
        s1[q] += factor * z1[q]
        for u in range(q + 1):
            s2[q, u] += factor * z2[q, u]
    for j in range(k):
        s1[p + j] += r * gv[j]
        for u in range(p):
            s2[p + j, u] += factor * z1[u] * gv[j]
        for u in range(j + 1):
            s2[p + j, p + u] += r * gv[j] * gv[u]
    return r


@jit
def varying_sums(
    x: Floats,
    level: Ints,
    level_value: Floats,
    g: Floats,
    beta: Floats,
    gamma: Floats,
    weight: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    by_start: Ints,
    block_stratum: Ints,
    efron: bool,
    out_score: Floats,
    out_information: Floats,
) -> float:
    """Partial log-likelihood, score and information.

    Parameters
    ----------
    x : (n, p) float64
        Covariates with constant effects, rows in ascending order of `stop`.
    level : (n,) int64
        Level of each row.
    level_value : (L, k) float64
        Covariates whose effects vary, by level.
    g : (B, k) float64
        Functions of time at each block.
    beta, gamma : (p,), (k,) float64
        Coefficients.
    weight, event, start, stop, by_start, block_stratum, efron
        As in :func:`fiac_survival.kernels.cox.risk_sums`.
    out_score : (p + k,) float64
        Score.
    out_information : (p + k, p + k) float64
        Information.

    Returns
    -------
    float
        Partial log-likelihood.
    """
    n, p = x.shape
    n_level, k = level_value.shape
    m = p + k
    a0, a1, a2 = np.zeros(n_level), np.zeros((n_level, p)), np.zeros((n_level, p, p))
    members = np.zeros(n_level, dtype=np.int64)
    s1, s2, d1, d2 = np.zeros(m), np.zeros((m, m)), np.zeros(m), np.zeros((m, m))
    one1, one2, gv, mean = np.zeros(p), np.zeros((p, p)), np.zeros(k), np.zeros(m)
    out_score[:] = 0.0
    out_information[:, :] = 0.0
    log_likelihood = 0.0
    i = n - 1
    late = by_start.size - 1
    for b in range(block_stratum.size - 1, -1, -1):
        new_stratum = b == block_stratum.size - 1 or block_stratum[b] != block_stratum[b + 1]
        if new_stratum:
            a0[:] = 0.0
            a1[:, :] = 0.0
            a2[:, :, :] = 0.0
            members[:] = 0
        top = i
        while i >= 0 and stop[i] > b:
            if start[i] < stop[i]:
                eta = 0.0
                for q in range(p):
                    eta += x[i, q] * beta[q]
                _move(weight[i] * np.exp(eta), 1.0, x[i], a0, a1, a2, level[i])
                members[level[i]] += 1
            i -= 1
        while late >= 0 and start[by_start[late]] > b:
            row = by_start[late]
            late -= 1
            if start[row] < stop[row] and not new_stratum:
                eta = 0.0
                for q in range(p):
                    eta += x[row, q] * beta[q]
                _move(weight[row] * np.exp(eta), -1.0, x[row], a0, a1, a2, level[row])
                members[level[row]] -= 1
        s0 = 0.0
        s1[:] = 0.0
        s2[:, :] = 0.0
        for el in range(n_level):
            if members[el] == 0:
                a0[el] = 0.0
                a1[el, :] = 0.0
                a2[el, :, :] = 0.0
                continue
            tilt = 0.0
            for j in range(k):
                gv[j] = g[b, j] * level_value[el, j]
                tilt += gv[j] * gamma[j]
            s0 += _add_moments(np.exp(tilt), a0[el], a1[el], a2[el], gv, s1, s2)
        d0 = 0.0
        d1[:] = 0.0
        d2[:, :] = 0.0
        event_weight = 0.0
        count = 0
        for row in range(i + 1, top + 1):
            if not event[row] or start[row] >= stop[row]:
                continue
            eta = 0.0
            for q in range(p):
                eta += x[row, q] * beta[q]
                one1[q] = x[row, q]
                out_score[q] += weight[row] * x[row, q]
                for u in range(q + 1):
                    one2[q, u] = x[row, q] * x[row, u]
            for j in range(k):
                gv[j] = g[b, j] * level_value[level[row], j]
                eta += gv[j] * gamma[j]
                out_score[p + j] += weight[row] * gv[j]
            log_likelihood += weight[row] * eta
            d0 += _add_moments(weight[row] * np.exp(eta), 1.0, one1, one2, gv, d1, d2)
            event_weight += weight[row]
            count += 1
        mean_weight = event_weight / count
        for tie in range(count):
            share = tie / count if efron else 0.0
            d = s0 - share * d0
            log_likelihood -= mean_weight * np.log(d)
            for q in range(m):
                mean[q] = (s1[q] - share * d1[q]) / d
                out_score[q] -= mean_weight * mean[q]
            for q in range(m):
                for u in range(q + 1):
                    second = (s2[q, u] - share * d2[q, u]) / d
                    out_information[q, u] += mean_weight * (second - mean[q] * mean[u])
    for q in range(m):
        for u in range(q):
            out_information[u, q] = out_information[q, u]
    return log_likelihood
