r"""Step curves from counts: numbers at risk, product limit, and infinitesimal-jackknife variances.

All arrays of length m stand on one grid of distinct exit times :math:`t_0 < … < t_{m-1}`. A row of
data (or a cell of a risk table) is at risk from grid index ``first`` (the first grid time after its
entry) to grid index ``last`` (its exit), both included.

With :math:`d\Lambda_j = D_j/Y_j` and :math:`S_j=\prod_{l\le j}(1-d\Lambda_l)`, the influence of a row
on :math:`S_j` is :math:`U_j=-S_j A_j` where :math:`A_j` adds, over grid times at which the row is at
risk up to j, :math:`(dN-d\Lambda)/(Y(1-d\Lambda))`. Where :math:`d\Lambda=1` the addend is 0.
"""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Bools, Floats, Ints


@jit
def _add(total: float, lost: float, addend: float) -> tuple[float, float]:
    """Add with Neumaier's compensation: the sum and what rounding has lost of it so far."""
    new = total + addend
    if abs(total) >= abs(addend):
        return new, lost + ((total - new) + addend)
    return new, lost + ((addend - new) + total)


@jit
def sum_at_risk(first: Ints, last: Ints, amount: Floats, out: Floats) -> None:
    """Add up an amount over the rows at risk at each grid time.

    Runs forward, rows entering and leaving, with compensated sums: a few rows that are left after
    millions have gone keep their last digits.

    Parameters
    ----------
    first, last : (n,) int64
        Grid indices between which each row is at risk.
    amount : (n,) float64
        What to add.
    out : (m,) float64
        Sums.
    """
    m = out.size
    change = np.zeros(m + 1)
    change_lost = np.zeros(m + 1)
    count = np.zeros(m + 1, dtype=np.int64)
    for i in range(first.size):
        if first[i] <= last[i]:
            j = first[i]
            change[j], change_lost[j] = _add(change[j], change_lost[j], amount[i])
            count[j] += 1
            j = last[i] + 1
            change[j], change_lost[j] = _add(change[j], change_lost[j], -amount[i])
            count[j] -= 1
    total = 0.0
    lost = 0.0
    rows = 0
    for j in range(m):
        total, lost = _add(total, lost, change[j])
        lost += change_lost[j]
        rows += count[j]
        if rows == 0:
            total = 0.0
            lost = 0.0
        out[j] = total + lost


@jit
def product_limit(
    at_risk: Floats, events: Floats, all_fail: Bools, out_hazard: Floats, out_survival: Floats
) -> None:
    """Hazard increments and the Kaplan-Meier curve.

    Parameters
    ----------
    at_risk, events : (m,) float64
        (Weighted) numbers at risk and events at each grid time.
    all_fail : (m,) bool
        True where every row at risk has the event: the hazard increment is then exactly 1.
    out_hazard, out_survival : (m,) float64
        Increments dΛ and the curve S.
    """
    survival = 1.0
    for j in range(at_risk.size):
        hazard = 0.0
        if all_fail[j]:
            hazard = 1.0
        elif events[j] > 0.0:
            hazard = events[j] / at_risk[j]
        survival *= 1.0 - hazard
        out_hazard[j] = hazard
        out_survival[j] = survival


@jit
def greenwood(
    at_risk: Floats, events: Floats, all_fail: Bools, survival: Floats, out_variance: Floats
) -> None:
    """Greenwood's variance of the Kaplan-Meier curve, NaN where the curve has reached 0.

    Parameters
    ----------
    at_risk, events, survival : (m,) float64
        Numbers at risk, events and the curve.
    all_fail : (m,) bool
        As in :func:`product_limit`.
    out_variance : (m,) float64
        Variance of S.
    """
    total = 0.0
    for j in range(at_risk.size):
        if all_fail[j]:
            total = np.nan
        elif events[j] > 0.0:
            total += events[j] / (at_risk[j] * (at_risk[j] - events[j]))
        out_variance[j] = survival[j] * survival[j] * total


@jit
def jackknife_increments(
    at_risk: Floats, hazard: Floats, all_fail: Bools, out_step: Floats, out_jump: Floats
) -> None:
    """Compute what a row at risk loses (step) and what an event adds (jump) at each grid time.

    Parameters
    ----------
    at_risk, hazard : (m,) float64
        Weighted numbers at risk and hazard increments.
    all_fail : (m,) bool
        As in :func:`product_limit`: both are 0 there.
    out_step, out_jump : (m,) float64
        dΛ/(Y(1-dΛ)) and 1/(Y(1-dΛ)).
    """
    for j in range(at_risk.size):
        out_step[j] = 0.0
        out_jump[j] = 0.0
        if not all_fail[j] and at_risk[j] > 0.0:
            out_jump[j] = 1.0 / (at_risk[j] * (1.0 - hazard[j]))
            out_step[j] = hazard[j] * out_jump[j]


@jit
def jackknife_variance(
    step: Floats,
    jump: Floats,
    survival: Floats,
    first: Ints,
    last: Ints,
    event: Bools,
    mass: Floats,
    by_entry: Ints,
    by_exit: Ints,
    out_variance: Floats,
) -> None:
    """Infinitesimal-jackknife variance of a survival curve when rows are independent.

    Keeps, for the rows at risk, Q = Σ mass·A², L = Σ mass·A and M = Σ mass (A without its sign), and
    F = Σ mass·A² of those that have left. One pass, O(n + m).

    Parameters
    ----------
    step, jump, survival : (m,) float64
        From :func:`jackknife_increments` and :func:`product_limit`.
    first, last : (n,) int64
        Grid indices between which each row (or cell) is at risk.
    event : (n,) bool
        Whether its exit is an event.
    mass : (n,) float64
        Σw² of the row or cell.
    by_entry, by_exit : (n,) int64
        Orders of the rows by `first` and by `last`.
    out_variance : (m,) float64
        Variance of S.
    """
    n = first.size
    m = step.size
    total_step = np.empty(m)
    running = 0.0
    for j in range(m):
        running += step[j]
        total_step[j] = running
    next_in = 0
    next_out = 0
    open_rows = 0
    mass_open = 0.0
    linear = 0.0
    square = 0.0
    left = 0.0
    for j in range(m):
        while next_in < n and first[by_entry[next_in]] <= j:
            mass_open += mass[by_entry[next_in]]
            open_rows += 1
            next_in += 1
        h = step[j]
        square += 2.0 * h * linear + h * h * mass_open
        linear += h * mass_open
        while next_out < n and last[by_exit[next_out]] == j:
            i = by_exit[next_out]
            next_out += 1
            if first[i] > j:
                continue
            a = total_step[j] - (total_step[first[i] - 1] if first[i] > 0 else 0.0)
            mass_open -= mass[i]
            linear -= mass[i] * a
            square -= mass[i] * a * a
            open_rows -= 1
            if event[i]:
                a -= jump[j]
            left += mass[i] * a * a
        if open_rows == 0:
            mass_open = 0.0
            linear = 0.0
            square = 0.0
        out_variance[j] = survival[j] * survival[j] * (max(square, 0.0) + left)


@jit
def jackknife_variance_clustered(
    step: Floats,
    jump: Floats,
    survival: Floats,
    first: Ints,
    last: Ints,
    event: Bools,
    weight: Floats,
    cluster: Ints,
    n_cluster: int,
    by_entry: Ints,
    by_exit: Ints,
    out_variance: Floats,
) -> None:
    """Infinitesimal-jackknife variance of a survival curve when rows come in clusters.

    Each cluster's sum B = Σ w·A falls linearly in the cumulated step while its members are at risk,
    so B is brought up to date only when a member enters or leaves; Σ B², Σ βB and Σ β² (β = weight of
    the members at risk) carry the total. One pass, O(n + m).

    Parameters
    ----------
    step, jump, survival, first, last, event, by_entry, by_exit, out_variance
        As in :func:`jackknife_variance`.
    weight : (n,) float64
        Case weights.
    cluster : (n,) int64
        Cluster codes 0 .. n_cluster-1.
    n_cluster : int
        Number of clusters.
    """
    n = first.size
    m = step.size
    total = np.empty(m + 1)
    total[0] = 0.0
    for j in range(m):
        total[j + 1] = total[j] + step[j]
    value = np.zeros(n_cluster)
    slope = np.zeros(n_cluster)
    members = np.zeros(n_cluster, dtype=np.int64)
    seen = np.zeros(n_cluster)
    sum_square = 0.0
    sum_cross = 0.0
    sum_slope = 0.0
    next_in = 0
    next_out = 0
    for j in range(m):
        while next_in < n and first[by_entry[next_in]] <= j:
            i = by_entry[next_in]
            next_in += 1
            c = cluster[i]
            value[c] -= slope[c] * (total[j] - seen[c])
            seen[c] = total[j]
            sum_cross += weight[i] * value[c]
            sum_slope += weight[i] * (2.0 * slope[c] + weight[i])
            slope[c] += weight[i]
            members[c] += 1
        h = step[j]
        sum_square += h * (h * sum_slope - 2.0 * sum_cross)
        sum_cross -= h * sum_slope
        while next_out < n and last[by_exit[next_out]] == j:
            i = by_exit[next_out]
            next_out += 1
            if first[i] > j:
                continue
            c = cluster[i]
            value[c] -= slope[c] * (total[j + 1] - seen[c])
            seen[c] = total[j + 1]
            old_value = value[c]
            old_slope = slope[c]
            if event[i]:
                value[c] += weight[i] * jump[j]
            members[c] -= 1
            slope[c] = 0.0 if members[c] == 0 else slope[c] - weight[i]
            sum_square += value[c] * value[c] - old_value * old_value
            sum_cross += slope[c] * value[c] - old_slope * old_value
            sum_slope += slope[c] * slope[c] - old_slope * old_slope
        out_variance[j] = survival[j] * survival[j] * max(sum_square, 0.0)


@jit
def area_after(time: Floats, survival: Floats, tau: float, out: Floats) -> float:
    """Area under a step curve from each grid time to τ, and from 0 to τ.

    Parameters
    ----------
    time, survival : (m,) float64
        Grid and the curve, which is 1 before the first grid time.
    tau : float
        Horizon.
    out : (m,) float64
        Area from each grid time to τ, 0 at and after τ.

    Returns
    -------
    float
        Area from 0 to τ: the restricted mean.
    """
    area = 0.0
    end = tau
    for j in range(time.size - 1, -1, -1):
        if time[j] >= tau:
            out[j] = 0.0
            continue
        area += survival[j] * (end - time[j])
        end = time[j]
        out[j] = area
    return area + end
