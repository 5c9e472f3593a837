r"""Kernel of the Cox model with exact (discrete) treatment of ties.

At a time with d events among m rows at risk, the likelihood of who has them is
:math:`\exp(\sum_{i\in D}\eta_i)/B_d`, :math:`B_d=\sum_{|A|=d}\exp(\sum_{i\in A}\eta_i)` over all subsets of
the risk set. Gail, Lubin and Rubinstein's recursion adds rows one by one,
:math:`B_k(m)=B_k(m-1)+e^{\eta_m}B_{k-1}(m-1)`. Here it runs on probabilities: with
:math:`p_i=\operatorname{logit}^{-1}(\eta_i+a)` and independent :math:`Z_i\sim p_i`,
:math:`\log B_d=\sum\log(1+e^{\eta_i+a})-ad+\log P(\sum Z_i=d)` for any a; a is chosen so that
:math:`\sum p_i=d`, and nothing overflows or vanishes. The first two moments of :math:`\sum Z_ix_i` on
:math:`\sum Z_i=k` follow the same recursion; given d they are the score's expectation and the information.
Of events and non-events the fewer are counted. Cost: rows at risk times fewer of the two times p².

Sources: Gail, Lubin and Rubinstein 1981; Chen and Liu 1997.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Floats, Ints


@jit
def tilt(eta: Floats, count: int) -> float:
    """Find a with Σ 1/(1+exp(-eta-a)) near `count`.

    Parameters
    ----------
    eta : (m,) float64
        Linear predictors.
    count : int
        Between 1 and m-1.

    Returns
    -------
    float
        The shift; any value gives the same likelihood.
    """
    low = -eta.max() - 50.0
    high = -eta.min() + 50.0
    a = np.log(count / (eta.size - count)) - eta.mean()
    for _ in range(60):
        total = 0.0
        slope = 0.0
        for i in range(eta.size):
            p = 1.0 / (1.0 + np.exp(-eta[i] - a))
            total += p
            slope += p * (1.0 - p)
        if abs(total - count) < 1e-6 * count:
            break
        if total > count:
            high = a
        else:
            low = a
        a = a - (total - count) / slope if slope > 0.0 else high
        if not low < a < high:
            a = 0.5 * (low + high)
    return float(a)


@jit
def block_moments(
    x: Floats, eta: Floats, count: int, out_mean: Floats, out_covariance: Floats
) -> float:
    """Log of the sum over subsets, with mean and covariance of their covariates.

    Parameters
    ----------
    x, eta : (m, p), (m,) float64
        Covariates and linear predictors of the rows at risk.
    count : int
        Events, 1 .. m.
    out_mean, out_covariance : (p,), (p, p) float64
        Of the sum of the covariates of those who have the event.

    Returns
    -------
    float
        log B.
    """
    m, p = x.shape
    out_covariance[:, :] = 0.0
    if count == m:
        for q in range(p):
            out_mean[q] = x[:, q].sum()
        return float(eta.sum())
    a = tilt(eta, count)
    chance = np.empty(m)
    log_sum = -a * count
    centre = np.zeros(p)
    for i in range(m):
        u = eta[i] + a
        chance[i] = 1.0 / (1.0 + np.exp(-u))
        log_sum += max(u, 0.0) + np.log1p(np.exp(-abs(u)))
        for q in range(p):
            centre[q] += chance[i] * x[i, q] / count
    swap = 2 * count > m
    few = m - count if swap else count
    zeroth = np.zeros(few + 1)
    first = np.zeros((few + 1, p))
    second = np.zeros((few + 1, p, p))
    z = np.empty(p)
    zeroth[0] = 1.0
    for i in range(m):
        yes = 1.0 - chance[i] if swap else chance[i]
        no = 1.0 - yes
        for q in range(p):
            z[q] = x[i, q] - centre[q]
        for k in range(min(i + 1, few), max(0, few - (m - 1 - i)) - 1, -1):
            if k == 0:
                zeroth[0] *= no
                continue
            before = zeroth[k - 1]
            for q in range(p):
                moved = first[k - 1, q]
                for r in range(q + 1):
                    second[k, q, r] = no * second[k, q, r] + yes * (
                        second[k - 1, q, r]
                        + z[q] * first[k - 1, r]
                        + z[r] * (moved + z[q] * before)
                    )
            for q in range(p):
                first[k, q] = no * first[k, q] + yes * (first[k - 1, q] + z[q] * before)
            zeroth[k] = no * zeroth[k] + yes * before
    total = zeroth[few]
    for q in range(p):
        mean = first[few, q] / total
        out_mean[q] = x[:, q].sum() - mean - few * centre[q] if swap else mean + few * centre[q]
        for r in range(q + 1):
            value = second[few, q, r] / total - mean * first[few, r] / total
            out_covariance[q, r] = value
            out_covariance[r, q] = value
    return float(log_sum + np.log(total))


@jit_parallel
def exact_sums(
    x: Floats,
    eta: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    first: Ints,
    last: Ints,
    out_log: Floats,
    out_score: Floats,
    out_information: Floats,
) -> None:
    """Contribution of each event time to log-likelihood, score and information.

    Parameters
    ----------
    x, eta, event, start, stop
        As in :mod:`fiac_survival.kernels.cox`, without weights.
    first, last : (B,) int64
        Rows first .. last-1 are those of the block's stratum that leave after it.
    out_log : (B,) float64
        Log-likelihood.
    out_score, out_information : (B, p), (B, p, p) float64
        Score and information.
    """
    p = x.shape[1]
    for b in prange(first.size):
        size = 0
        for i in range(first[b], last[b]):
            if start[i] <= b:
                size += 1
        here = np.empty((size, p))
        linear = np.empty(size)
        place = 0
        count = 0
        out_log[b] = 0.0
        for q in range(p):
            out_score[b, q] = 0.0
        for i in range(first[b], last[b]):
            if start[i] <= b:
                linear[place] = eta[i]
                for q in range(p):
                    here[place, q] = x[i, q]
                place += 1
                if event[i] and stop[i] == b + 1:
                    count += 1
                    out_log[b] += eta[i]
                    for q in range(p):
                        out_score[b, q] += x[i, q]
        mean = np.empty(p)
        covariance = np.empty((p, p))
        out_log[b] -= block_moments(here, linear, count, mean, covariance)
        for q in range(p):
            out_score[b, q] -= mean[q]
            for r in range(p):
                out_information[b, q, r] = covariance[q, r]
