r"""Kernels for competing risks: the variance of a cumulative incidence, and Gray's test.

On a grid of distinct exit times, with the hazard of any event :math:`d\Lambda_j`, the curve
:math:`S_j=\prod_{l\le j}(1-d\Lambda_l)` and the rise :math:`f_j=S_{j-1}D_{kj}/Y_j` of the incidence of
cause k, the influence of a row on :math:`F_k` obeys, at each grid time at which it is at risk,

.. math:: G_j = G_{j-1} - f_j A_{j-1} + \frac{S_{j-1}}{Y_j}\,dN_{kj} - \frac{f_j}{Y_j}, \qquad
          A_j = A_{j-1} + \frac{dN_j-d\Lambda_j}{Y_j(1-d\Lambda_j)},

and :math:`G_j=G_{j-1}-f_jA_{j-1}` once it has left. The variance is the sum of squares of G.
"""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Floats, Ints


@jit
def incidence_variance(
    rise: Floats,
    drift: Floats,
    own: Floats,
    step: Floats,
    jump: Floats,
    first: Ints,
    last: Ints,
    kind: Ints,
    weight: Floats,
    cluster: Ints,
    multiple: Floats,
    by_entry: Ints,
    by_exit: Ints,
    out_variance: Floats,
) -> None:
    """Infinitesimal-jackknife variance of a cumulative incidence at each grid time.

    Each cluster's sums of weighted G and A follow the same linear recursion with β, the weight of its
    members at risk. So six sums over clusters (of G², GA, A², βG, βA, β²) carry the total from one
    time to the next, and a cluster is brought up to date only when a member enters or leaves. One
    pass, O(n + m).

    Parameters
    ----------
    rise, drift, own : (m,) float64
        f, f/Y and S/Y (S just before the time) at each grid time; 0 where nobody is at risk.
    step, jump : (m,) float64
        dΛ/(Y(1-dΛ)) and 1/(Y(1-dΛ)), 0 where every row at risk has an event.
    first, last : (n,) int64
        Grid indices between which each row (or cell) is at risk, both included.
    kind : (n,) int8
        How the row ends: 0 censored, 1 by another cause, 2 by this cause.
    weight : (n,) float64
        Weight of the row within its cluster (1 for a cell of independent rows).
    cluster : (n,) int64
        Codes 0 .. C-1; each row its own code if rows are independent.
    multiple : (C,) float64
        What multiplies the square of each cluster (1; for a cell Σw² of its rows).
    by_entry, by_exit : (n,) int64
        Orders of the rows by `first` and by `last`.
    out_variance : (m,) float64
        Variance.
    """
    n = first.size
    m = rise.size
    n_cluster = multiple.size
    total_step = np.zeros(m + 1)
    total_rise = np.zeros(m + 1)
    total_drift = np.zeros(m + 1)
    moment = np.zeros(m + 1)
    for j in range(m):
        total_step[j + 1] = total_step[j] + step[j]
        total_rise[j + 1] = total_rise[j] + rise[j]
        total_drift[j + 1] = total_drift[j] + drift[j]
        moment[j + 1] = moment[j] + rise[j] * total_step[j]
    a = np.zeros(n_cluster)
    g = np.zeros(n_cluster)
    beta = np.zeros(n_cluster)
    seen = np.zeros(n_cluster, dtype=np.int64)
    members = np.zeros(n_cluster, dtype=np.int64)
    gg = 0.0
    ga = 0.0
    aa = 0.0
    bg = 0.0
    ba = 0.0
    bb = 0.0
    next_in = 0
    next_out = 0
    for j in range(m):
        while next_in < n and first[by_entry[next_in]] <= j:
            i = by_entry[next_in]
            next_in += 1
            if first[i] > last[i]:
                continue
            c = cluster[i]
            s = seen[c]
            up = total_rise[j] - total_rise[s]
            g[c] += beta[c] * (moment[j] - moment[s] - total_step[s] * up) - a[c] * up
            g[c] -= beta[c] * (total_drift[j] - total_drift[s])
            a[c] -= beta[c] * (total_step[j] - total_step[s])
            seen[c] = j
            w = weight[i]
            k = multiple[c]
            bg += k * w * g[c]
            ba += k * w * a[c]
            bb += k * w * (2.0 * beta[c] + w)
            beta[c] += w
            members[c] += 1
        f = rise[j]
        d = drift[j]
        h = step[j]
        gg += f * (f * aa - 2.0 * ga) + d * (d * bb - 2.0 * bg + 2.0 * f * ba)
        ga += h * ((f * ba - bg) + d * bb) - f * aa - d * ba
        aa += h * (h * bb - 2.0 * ba)
        bg -= f * ba + d * bb
        ba -= h * bb
        while next_out < n and last[by_exit[next_out]] == j:
            i = by_exit[next_out]
            next_out += 1
            if first[i] > j:
                continue
            c = cluster[i]
            s = seen[c]
            up = total_rise[j + 1] - total_rise[s]
            g[c] += beta[c] * (moment[j + 1] - moment[s] - total_step[s] * up) - a[c] * up
            g[c] -= beta[c] * (total_drift[j + 1] - total_drift[s])
            a[c] -= beta[c] * (total_step[j + 1] - total_step[s])
            seen[c] = j + 1
            old_g = g[c]
            old_a = a[c]
            old_beta = beta[c]
            w = weight[i]
            if kind[i] > 0:
                a[c] += w * jump[j]
            if kind[i] == 2:
                g[c] += w * own[j]
            members[c] -= 1
            beta[c] = 0.0 if members[c] == 0 else beta[c] - w
            k = multiple[c]
            gg += k * (g[c] * g[c] - old_g * old_g)
            ga += k * (g[c] * a[c] - old_g * old_a)
            aa += k * (a[c] * a[c] - old_a * old_a)
            bg += k * (beta[c] * g[c] - old_beta * old_g)
            ba += k * (beta[c] * a[c] - old_beta * old_a)
            bb += k * (beta[c] * beta[c] - old_beta * old_beta)
        out_variance[j] = max(gg, 0.0)


@jit
def gray_sums(
    at_risk: Ints,
    fail: Ints,
    other: Ints,
    rho: float,
    out_score: Floats,
    out_covariance: Floats,
) -> None:
    r"""Gray's score for each group and its covariance, in one stratum.

    With :math:`h_g=Y_g/S_g` and :math:`R_g=h_g(1-F_g)` just before each time, the weight
    :math:`\omega=(1-F^0)^\rho` and the pooled increment :math:`dF^0=D/\sum h_g` of the null, the score
    is :math:`\sum\omega(D_g-D\,R_g/\sum R)`. The covariance is that of Gray (1988, section 3), with
    the correction for ties of his program.

    Parameters
    ----------
    at_risk, fail, other : (k, m) int64
        Per group and distinct time: rows at risk, events of the cause, events of other causes.
    rho : float
        Exponent of the weight.
    out_score : (k,) float64
        Observed minus expected.
    out_covariance : (k, k) float64
        Covariance of the score.
    """
    n_group, m = at_risk.shape
    score = np.zeros(n_group)
    covariance = np.zeros((n_group, n_group))
    incidence = np.zeros(n_group)
    alive = np.ones(n_group)
    alive_after = np.ones(n_group)
    now = np.zeros((n_group, n_group))
    carried = np.zeros((n_group, n_group))
    noise = np.zeros(n_group)
    cross = np.zeros((n_group, n_group))
    pooled = 0.0
    for j in range(m):
        events = 0
        others = 0
        for g in range(n_group):
            events += fail[g, j]
            others += other[g, j]
        if events == 0 and others == 0:
            continue
        total_h = 0.0
        total_r = 0.0
        for g in range(n_group):
            if at_risk[g, j] > 0:
                lost = fail[g, j] + other[g, j]
                alive_after[g] = alive[g] * (at_risk[g, j] - lost) / at_risk[g, j]
                total_h += at_risk[g, j] / alive[g]
                total_r += at_risk[g, j] * (1.0 - incidence[g]) / alive[g]
        pooled_after = pooled + events / total_h
        omega = (1.0 - pooled) ** rho
        growth = events / (total_h * (1.0 - pooled))
        for g in range(n_group):
            for q in range(n_group):
                now[g, q] = 0.0
                if at_risk[g, j] > 0 and at_risk[q, j] > 0:
                    share = (at_risk[q, j] / alive[q]) / total_h
                    kept = 1.0 - share if g == q else -share
                    now[g, q] = omega * (at_risk[g, j] / alive[g]) * kept
                    if now[g, q] != 0.0:
                        carried[g, q] += now[g, q] * growth
        for g in range(n_group):
            if at_risk[g, j] > 0:
                part = at_risk[g, j] * (1.0 - incidence[g]) / (alive[g] * total_r)
                score[g] += omega * (fail[g, j] - events * part)
        for q in range(n_group):
            if at_risk[q, j] == 0:
                continue
            if events > 0:
                u = 1.0
                if alive_after[q] > 0.0:
                    u = 1.0 - (1.0 - pooled_after) / alive_after[q]
                ties = 1.0
                if events > 1:
                    ties = 1.0 - (events - 1.0) / (total_h * alive[q] - 1.0)
                spread = ties * alive[q] * events / (total_h * at_risk[q, j])
                noise[q] += u * u * spread
                for g in range(n_group):
                    left = now[g, q] - u * carried[g, q]
                    cross[g, q] += left * u * spread
                    for r in range(n_group):
                        covariance[g, r] += left * (now[r, q] - u * carried[r, q]) * spread
            if other[q, j] > 0 and alive_after[q] > 0.0:
                u = (1.0 - pooled_after) / alive_after[q]
                ties = 1.0
                if other[q, j] > 1:
                    ties = 1.0 - (other[q, j] - 1.0) / (at_risk[q, j] - 1.0)
                spread = ties * alive[q] * alive[q] * other[q, j] / float(at_risk[q, j]) ** 2
                noise[q] += u * u * spread
                for g in range(n_group):
                    cross[g, q] -= u * carried[g, q] * u * spread
                    for r in range(n_group):
                        covariance[g, r] += u * u * carried[g, q] * carried[r, q] * spread
        pooled = pooled_after
        for g in range(n_group):
            if at_risk[g, j] > 0:
                incidence[g] += alive[g] * fail[g, j] / at_risk[g, j]
                alive[g] = alive_after[g]
    for g in range(n_group):
        out_score[g] = score[g]
        for r in range(n_group):
            total = covariance[g, r]
            for q in range(n_group):
                total += carried[g, q] * carried[r, q] * noise[q]
                total += carried[g, q] * cross[r, q] + carried[r, q] * cross[g, q]
            out_covariance[g, r] = total
