r"""Kernels of the Cox model.

Rows stand in ascending order of ``stop``. Distinct event times ("blocks") are numbered 0 .. B-1, stratum
after stratum, ascending within each. For a row, ``stop`` is the number of the block just after the
last one at which it is at risk, and ``start`` the block at which it comes under observation: it is at
risk at blocks start .. stop-1, all of its own stratum. An event happens at block stop-1.

With :math:`e_i=w_i e^{\eta_i}`, :math:`S_0=\sum e_i`, :math:`S_1=\sum e_i x_i` over the rows at risk at
a block, :math:`s_0, s_1` the same over its d events, and their mean weight :math:`\bar w`, tied events
are taken with shares :math:`f_k` of themselves removed: Efron :math:`f_k=k/d`, k = 0..d-1; Breslow
:math:`f_k=0`. Then :math:`D_k=S_0-f_k s_0`, the hazard increment is :math:`\sum_k \bar w/D_k`, and an
event of the block itself carries :math:`\sum_k (1-f_k)\bar w/D_k`.

The score is :math:`X'(w\delta-e\Lambda)` with Λ each row's cumulated hazard, and the information
:math:`X'\mathrm{diag}(e\Lambda)X-\sum \bar w\,\mu_k\mu_k'` with :math:`\mu_k=(S_1-f_k s_1)/D_k`: one
pass over the rows backward, one forward, :math:`O(n p^2)`.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Floats, Ints

CHUNKS = 16


@jit
def risk_sums(
    x: Floats,
    eta: Floats,
    weight: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    by_start: Ints,
    block_stratum: Ints,
    efron: bool,
    out_risk: Floats,
    out_s0: Floats,
    out_s1: Floats,
    out_d0: Floats,
    out_d1: Floats,
    out_weight: Floats,
    out_count: Ints,
) -> float:
    """Sum over the risk set and the events of each block; return the partial log-likelihood.

    Parameters
    ----------
    x : (n, p) float64
        Covariates, rows in ascending order of `stop`.
    eta, weight : (n,) float64
        Linear predictor and case weights.
    event : (n,) bool
        Whether the row ends with an event.
    start, stop : (n,) int64
        Blocks at which the row is at risk: start .. stop-1.
    by_start : (n,) int64 or (0,) int64
        Order of the rows by `start`; empty if every row is at risk from its stratum's first block.
    block_stratum : (B,) int64
        Stratum of each block.
    efron : bool
        Efron's treatment of ties, else Breslow's.
    out_risk : (n,) float64
        w exp(eta).
    out_s0, out_d0, out_weight : (B,) float64
        Risk-set sum, sum over events, and summed weight of events.
    out_s1, out_d1 : (B, p) float64
        Risk-set sum of e·x and the sum over events.
    out_count : (B,) int64
        Number of events.

    Returns
    -------
    float
        Partial log-likelihood.
    """
    n, p = x.shape
    n_block = block_stratum.size
    for i in range(n):
        out_risk[i] = weight[i] * np.exp(eta[i])
    s0 = 0.0
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    log_likelihood = 0.0
    open_rows = 0
    i = n - 1
    late = by_start.size - 1
    for b in range(n_block - 1, -1, -1):
        new_stratum = b == n_block - 1 or block_stratum[b] != block_stratum[b + 1]
        if new_stratum:
            s0 = 0.0
            s1[:] = 0.0
            open_rows = 0
        d0 = 0.0
        d1[:] = 0.0
        event_weight = 0.0
        count = 0
        while i >= 0 and stop[i] > b:
            if start[i] < stop[i]:
                r = out_risk[i]
                s0 += r
                for q in range(p):
                    s1[q] += r * x[i, q]
                open_rows += 1
                if event[i]:
                    d0 += r
                    for q in range(p):
                        d1[q] += r * x[i, q]
                    event_weight += weight[i]
                    count += 1
                    log_likelihood += weight[i] * eta[i]
            i -= 1
        while late >= 0 and start[by_start[late]] > b:
            row = by_start[late]
            late -= 1
            if start[row] < stop[row] and not new_stratum:
                r = out_risk[row]
                s0 -= r
                for q in range(p):
                    s1[q] -= r * x[row, q]
                open_rows -= 1
        if open_rows == count:
            # Everybody left has the event: take the sum without what cancellation left behind.
            s0 = d0
            s1[:] = d1
        out_s0[b] = s0
        out_d0[b] = d0
        for q in range(p):
            out_s1[b, q] = s1[q]
            out_d1[b, q] = d1[q]
        out_weight[b] = event_weight
        out_count[b] = count
        mean_weight = event_weight / count
        for k in range(count):
            share = k / count if efron else 0.0
            log_likelihood -= mean_weight * np.log(s0 - share * d0)
    return log_likelihood


@jit
def tie_sums(
    s0: Floats, d0: Floats, event_weight: Floats, count: Ints, efron: bool, out: Floats
) -> None:
    """Add over the tied events of each block.

    Parameters
    ----------
    s0, d0, event_weight : (B,) float64
        From :func:`risk_sums`.
    count : (B,) int64
        Number of events.
    efron : bool
        Efron's treatment of ties.
    out : (B, 5) float64
        With g = w̄/D: Σ g, Σ f g, Σ g/D, Σ f g/D, Σ f² g/D. The third is also the variance of the
        baseline hazard's increment.
    """
    for b in range(s0.size):
        mean_weight = event_weight[b] / count[b]
        for q in range(5):
            out[b, q] = 0.0
        for k in range(count[b]):
            share = k / count[b] if efron else 0.0
            d = s0[b] - share * d0[b]
            g = mean_weight / d
            out[b, 0] += g
            out[b, 1] += share * g
            out[b, 2] += g / d
            out[b, 3] += share * g / d
            out[b, 4] += share * share * g / d


@jit
def cumulate(increment: Floats, block_stratum: Ints, out: Floats) -> None:
    """Cumulate block increments within strata, with a 0 before each stratum's first block.

    Parameters
    ----------
    increment : (B,) float64
        Hazard increments.
    block_stratum : (B,) int64
        Stratum of each block, ascending.
    out : (B + S,) float64
        Position b + stratum holds the sum before block b, the next position the sum after it.
    """
    for b in range(increment.size):
        s = block_stratum[b]
        if b == 0 or block_stratum[b - 1] != s:
            out[b + s] = 0.0
        out[b + s + 1] = out[b + s] + increment[b]


@jit_parallel
def rows_hazard(
    risk: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    stratum: Ints,
    cumulated: Floats,
    removed: Floats,
    out: Floats,
) -> None:
    """Compute the expected number of events of each row, e Λ.

    Parameters
    ----------
    risk : (n,) float64
        w exp(eta).
    event : (n,) bool
        Whether the row ends with an event.
    start, stop, stratum : (n,) int64
        As in :func:`risk_sums`, and each row's stratum.
    cumulated : (B + S,) float64
        From :func:`cumulate`.
    removed : (B,) float64
        Σ f g of each block: what an event of the block itself does not carry.
    out : (n,) float64
        Expected events.
    """
    for i in prange(risk.size):
        if start[i] >= stop[i]:
            out[i] = 0.0
        else:
            hazard = cumulated[stop[i] + stratum[i]] - cumulated[start[i] + stratum[i]]
            if event[i]:
                hazard -= removed[stop[i] - 1]
            out[i] = risk[i] * hazard


@jit_parallel
def score_and_information(
    x: Floats,
    residual: Floats,
    expected: Floats,
    s1: Floats,
    d1: Floats,
    ties: Floats,
    out_score: Floats,
    out_information: Floats,
) -> None:
    """Score vector and information matrix, summed in a fixed order of chunks.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    residual, expected : (n,) float64
        Weighted martingale residual, and expected events.
    s1, d1 : (B, p) float64
        From :func:`risk_sums`.
    ties : (B, 5) float64
        From :func:`tie_sums`.
    out_score : (p,) float64
        Score.
    out_information : (p, p) float64
        Information.
    """
    n, p = x.shape
    n_block = s1.shape[0]
    score = np.zeros((CHUNKS, p))
    information = np.zeros((CHUNKS, p, p))
    for chunk in prange(CHUNKS):
        for i in range(n * chunk // CHUNKS, n * (chunk + 1) // CHUNKS):
            for q in range(p):
                score[chunk, q] += residual[i] * x[i, q]
                scaled = expected[i] * x[i, q]
                for r in range(q + 1):
                    information[chunk, q, r] += scaled * x[i, r]
        for b in range(n_block * chunk // CHUNKS, n_block * (chunk + 1) // CHUNKS):
            for q in range(p):
                for r in range(q + 1):
                    information[chunk, q, r] -= (
                        ties[b, 2] * s1[b, q] * s1[b, r]
                        - ties[b, 3] * (s1[b, q] * d1[b, r] + d1[b, q] * s1[b, r])
                        + ties[b, 4] * d1[b, q] * d1[b, r]
                    )
    for q in range(p):
        out_score[q] = 0.0
        for r in range(p):
            out_information[q, r] = 0.0
    for chunk in range(CHUNKS):
        for q in range(p):
            out_score[q] += score[chunk, q]
            for r in range(q + 1):
                out_information[q, r] += information[chunk, q, r]
    for q in range(p):
        for r in range(q):
            out_information[r, q] = out_information[q, r]


@jit
def mean_covariates(
    s0: Floats,
    d0: Floats,
    s1: Floats,
    d1: Floats,
    event_weight: Floats,
    count: Ints,
    efron: bool,
    out_mean: Floats,
    out_hazard_mean: Floats,
    out_event_mean: Floats,
) -> None:
    """Averages of the risk-set mean of the covariates over the tied events of each block.

    Parameters
    ----------
    s0, d0, s1, d1, event_weight, count, efron
        From :func:`risk_sums`.
    out_mean : (B, p) float64
        Σ μ/d.
    out_hazard_mean : (B, p) float64
        Σ g μ: the hazard increment times the mean.
    out_event_mean : (B, p) float64
        Σ (1-f) g μ: the same as carried by an event of the block itself.
    """
    n_block, p = s1.shape
    for b in range(n_block):
        mean_weight = event_weight[b] / count[b]
        for q in range(p):
            out_mean[b, q] = 0.0
            out_hazard_mean[b, q] = 0.0
            out_event_mean[b, q] = 0.0
        for k in range(count[b]):
            share = k / count[b] if efron else 0.0
            d = s0[b] - share * d0[b]
            for q in range(p):
                mean = (s1[b, q] - share * d1[b, q]) / d
                out_mean[b, q] += mean / count[b]
                out_hazard_mean[b, q] += mean_weight * mean / d
                out_event_mean[b, q] += (1.0 - share) * mean_weight * mean / d


@jit
def score_residuals(
    x: Floats,
    relative_risk: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    stratum: Ints,
    cumulated: Floats,
    removed: Floats,
    cumulated_mean: Floats,
    hazard_mean: Floats,
    event_mean: Floats,
    mean: Floats,
    out: Floats,
) -> None:
    """Score residual of each row, of unit weight.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    relative_risk : (n,) float64
        exp(eta), without the weight.
    event, start, stop, stratum, cumulated, removed
        As in :func:`rows_hazard`.
    cumulated_mean : (B + S, p) float64
        Cumulated `hazard_mean`.
    hazard_mean, event_mean, mean : (B, p) float64
        From :func:`mean_covariates`.
    out : (n, p) float64
        ∫ (x - mean)(dN - e^η dΛ).
    """
    n, p = x.shape
    for i in range(n):
        if start[i] >= stop[i]:
            for q in range(p):
                out[i, q] = 0.0
            continue
        after = stop[i] + stratum[i]
        before = start[i] + stratum[i]
        block = stop[i] - 1
        hazard = cumulated[after] - cumulated[before]
        if event[i]:
            hazard -= removed[block]
        for q in range(p):
            carried = cumulated_mean[after, q] - cumulated_mean[before, q]
            own = 0.0
            if event[i]:
                carried += event_mean[block, q] - hazard_mean[block, q]
                own = x[i, q] - mean[block, q]
            out[i, q] = own - relative_risk[i] * (x[i, q] * hazard - carried)


@jit
def weighted_information(
    x: Floats,
    risk: Floats,
    weight: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    by_start: Ints,
    block_stratum: Ints,
    efron: bool,
    g: Floats,
    out_score: Floats,
    out_cross: Floats,
    out_square: Floats,
    out_residual: Floats,
) -> None:
    """Score and information of the interactions of all covariates with a function g of time.

    Parameters
    ----------
    x, weight, event, start, stop, by_start, block_stratum, efron
        As in :func:`risk_sums`.
    risk : (n,) float64
        w exp(eta) at the estimate.
    g : (B,) float64
        Value of the function of time at each block.
    out_score : (p,) float64
        Σ g (observed - expected covariates).
    out_cross, out_square : (p, p) float64
        Σ g V and Σ g² V, V being the covariance of the covariates over the risk set.
    out_residual : (n, p) float64
        Schoenfeld residual of each event's row, x minus the block's mean; other rows untouched.
    """
    n, p = x.shape
    n_block = block_stratum.size
    s1 = np.zeros(p)
    d1 = np.zeros(p)
    s2 = np.zeros((p, p))
    d2 = np.zeros((p, p))
    observed = np.zeros(p)
    mean = np.zeros(p)
    s0 = 0.0
    i = n - 1
    late = by_start.size - 1
    for b in range(n_block - 1, -1, -1):
        new_stratum = b == n_block - 1 or block_stratum[b] != block_stratum[b + 1]
        if new_stratum:
            s0 = 0.0
            s1[:] = 0.0
            s2[:, :] = 0.0
        d0 = 0.0
        d1[:] = 0.0
        d2[:, :] = 0.0
        observed[:] = 0.0
        event_weight = 0.0
        count = 0
        last_row = i
        while i >= 0 and stop[i] > b:
            if start[i] < stop[i]:
                r = risk[i]
                s0 += r
                for q in range(p):
                    s1[q] += r * x[i, q]
                    for u in range(p):
                        s2[q, u] += r * x[i, q] * x[i, u]
                if event[i]:
                    d0 += r
                    event_weight += weight[i]
                    count += 1
                    for q in range(p):
                        d1[q] += r * x[i, q]
                        observed[q] += weight[i] * x[i, q]
                        for u in range(p):
                            d2[q, u] += r * x[i, q] * x[i, u]
            i -= 1
        while late >= 0 and start[by_start[late]] > b:
            row = by_start[late]
            late -= 1
            if start[row] < stop[row] and not new_stratum:
                r = risk[row]
                s0 -= r
                for q in range(p):
                    s1[q] -= r * x[row, q]
                    for u in range(p):
                        s2[q, u] -= r * x[row, q] * x[row, u]
        mean_weight = event_weight / count
        block_mean = np.zeros(p)
        for k in range(count):
            share = k / count if efron else 0.0
            d = s0 - share * d0
            for q in range(p):
                mean[q] = (s1[q] - share * d1[q]) / d
                block_mean[q] += mean[q] / count
            for q in range(p):
                out_score[q] -= g[b] * mean_weight * mean[q]
                for u in range(p):
                    v = (s2[q, u] - share * d2[q, u]) / d - mean[q] * mean[u]
                    out_cross[q, u] += g[b] * mean_weight * v
                    out_square[q, u] += g[b] * g[b] * mean_weight * v
        for q in range(p):
            out_score[q] += g[b] * observed[q]
        for row in range(last_row, i, -1):
            if event[row] and start[row] < stop[row]:
                for q in range(p):
                    out_residual[row, q] = x[row, q] - block_mean[q]


@jit
def is_monotone(
    value: Floats,
    event: Bools,
    start: Ints,
    stop: Ints,
    by_start: Ints,
    block_stratum: Ints,
    tolerance: float,
) -> bool:
    """Say whether at each block every event has the largest value of its risk set.

    Parameters
    ----------
    value : (n,) float64
        A linear combination of the covariates.
    event, start, stop, by_start, block_stratum
        As in :func:`risk_sums`. With delayed entry the maximum is taken over all rows that are not
        yet gone, so that True is certain and False may be too cautious.
    tolerance : float
        Slack.

    Returns
    -------
    bool
        True: the partial likelihood rises without end along this combination.
    """
    largest = -np.inf
    i = value.size - 1
    for b in range(block_stratum.size - 1, -1, -1):
        if b == block_stratum.size - 1 or block_stratum[b] != block_stratum[b + 1]:
            largest = -np.inf
        top = i
        while i >= 0 and stop[i] > b:
            if start[i] < stop[i]:
                largest = max(largest, value[i])
            i -= 1
        for row in range(top, i, -1):
            if event[row] and start[row] < stop[row] and value[row] < largest - tolerance:
                return False
    return True
