r"""Kernels of the Fine-Gray model: what the Cox kernels lack.

A row that ends with a competing event stays in the risk sets of later event times s of its stratum with
weight :math:`\omega_i(s)=r_i\,k_{c}(s)`: a factor of its own and one of its censoring group c and the
time. So its part of every risk-set sum is a running sum over such rows times :math:`k_c(s)`, and no row
is ever repeated. Rows and blocks are those of :mod:`fiac_survival.kernels.cox`.
"""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Floats, Ints


@jit
def tail_sums(
    x: Floats,
    risk: Floats,
    factor: Floats,
    row: Ints,
    stop: Ints,
    stratum: Ints,
    member: Ints,
    keep: Floats,
    block_stratum: Ints,
    out_s0: Floats,
    out_s1: Floats,
) -> None:
    """Add the rows that have left by a competing event to the risk-set sums.

    Parameters
    ----------
    x : (n, p) float64
        Covariates of all rows.
    risk : (n,) float64
        w exp(eta) of all rows.
    factor : (t,) float64
        r of each such row.
    row, stop, stratum, member : (t,) int64
        Its row number, first block at which it is gone, stratum, censoring group; ascending in `stop`.
    keep : (C, B) float64
        k of each censoring group at each block.
    block_stratum : (B,) int64
        Stratum of each block.
    out_s0 : (B,) float64
        Risk-set sums, added to.
    out_s1 : (B, p) float64
        Risk-set sums of covariates, added to.
    """
    p = x.shape[1]
    n_group = keep.shape[0]
    sum0 = np.zeros(n_group)
    sum1 = np.zeros((n_group, p))
    t = 0
    for b in range(block_stratum.size):
        if b > 0 and block_stratum[b] != block_stratum[b - 1]:
            sum0[:] = 0.0
            sum1[:, :] = 0.0
        while t < row.size and stop[t] <= b:
            if stratum[t] == block_stratum[b]:
                i = row[t]
                r = risk[i] * factor[t]
                c = member[t]
                sum0[c] += r
                for q in range(p):
                    sum1[c, q] += r * x[i, q]
            t += 1
        for c in range(n_group):
            k = keep[c, b]
            if k > 0.0 and sum0[c] > 0.0:
                out_s0[b] += k * sum0[c]
                for q in range(p):
                    out_s1[b, q] += k * sum1[c, q]


@jit
def log_risk_sets(s0: Floats, d0: Floats, event_weight: Floats, count: Ints, efron: bool) -> float:
    """Sum of the logarithms of the risk-set sums, weighted by events.

    Parameters
    ----------
    s0, d0, event_weight : (B,) float64
        Risk-set sum, sum over events, and summed weight of events of each block.
    count : (B,) int64
        Number of events.
    efron : bool
        Efron's treatment of ties.

    Returns
    -------
    float
        What the log-likelihood subtracts.
    """
    total = 0.0
    for b in range(s0.size):
        mean_weight = event_weight[b] / count[b]
        for k in range(count[b]):
            share = k / count[b] if efron else 0.0
            total += mean_weight * np.log(s0[b] - share * d0[b])
    return total
