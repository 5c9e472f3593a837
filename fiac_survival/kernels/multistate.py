r"""Multistate transition probabilities: product integral, covariances, and times spent in states.

A process moves between S states by K transitions; transition k leads from state ``source[k]`` to state
``target[k]``. On a grid of m times, :math:`dA_k(u)` is the hazard increment of transition k and
:math:`\delta_k=e_{\mathrm{target}}-e_{\mathrm{source}}`. A row vector of state probabilities follows

.. math:: p(u) = p(u-)\,(I+dA(u)) = p(u-) + \sum_k p_{\mathrm{source}(k)}(u-)\,dA_k(u)\,\delta_k .

Three covariances of p follow the same recursion. From the covariance :math:`\Sigma(u)` of independent
increments,

.. math:: C(u) = (I+dA)'C(u-)(I+dA) + \sum_{k,l} p_{s(k)}p_{s(l)}\,\Sigma_{kl}(u)\,\delta_k'\delta_l ;

from parameters β on which the increments depend, :math:`J(u)=J(u-)(I+dA)+\sum_k
(\partial dA_k/\partial\beta)\,p_{s(k)}\,\delta_k`; and from persons c, whose weights move p
by :math:`U_c(u)=U_c(u-)(I+dA)+\sum_k p_{s(k)}(dN_{ck}-Y_{cs(k)}dA_k)/Y_{s(k)}\,\delta_k`, the sum of
squares :math:`\sum_c U_c'U_c`.
"""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Floats, Ints


@jit
def product_integral(
    initial: Floats, hazard: Floats, source: Ints, target: Ints, out: Floats
) -> None:
    """State probabilities from an initial distribution.

    Parameters
    ----------
    initial : (S,) float64
        Distribution before the first grid time.
    hazard : (m, K) float64
        Hazard increments.
    source, target : (K,) int64
        States that the transitions lead from and to.
    out : (m, S) float64
        Distribution after each grid time.
    """
    states = initial.size
    now = initial.copy()
    before = np.empty(states)
    for u in range(hazard.shape[0]):
        for j in range(states):
            before[j] = now[j]
        for k in range(source.size):
            if hazard[u, k] != 0.0:
                moved = before[source[k]] * hazard[u, k]
                now[source[k]] -= moved
                now[target[k]] += moved
        for j in range(states):
            if now[j] < 0.0 and now[j] > -1e-12:
                now[j] = 0.0
            out[u, j] = now[j]


@jit
def increment_covariance(
    at_risk: Floats, events: Floats, source: Ints, binomial: bool, out: Floats
) -> None:
    """Covariance of the hazard increments at each grid time.

    Parameters
    ----------
    at_risk : (m, S) float64
        Numbers at risk in each state.
    events : (m, K) float64
        Transitions.
    source : (K,) int64
        States that the transitions lead from.
    binomial : bool
        True: multinomial (Greenwood), D(Y-D)/Y³ and -D D'/Y³ for two transitions from one state.
        False: Poisson (Aalen), D/Y² and no covariance.
    out : (m, K, K) float64
        Covariances.
    """
    size = source.size
    for u in range(events.shape[0]):
        for k in range(size):
            for other in range(size):
                out[u, k, other] = 0.0
        for k in range(size):
            y = at_risk[u, source[k]]
            if events[u, k] == 0.0 or y <= 0.0:
                continue
            out[u, k, k] = events[u, k] / (y * y)
            if binomial:
                for other in range(size):
                    if source[other] == source[k]:
                        out[u, k, other] -= events[u, k] * events[u, other] / (y * y * y)


@jit
def _move_rows(matrix: Floats, hazard: Floats, u: int, source: Ints, target: Ints) -> None:
    """Multiply each row of a matrix by I + dA(u) in place."""
    width = matrix.shape[1]
    before = np.empty(width)
    for i in range(matrix.shape[0]):
        for j in range(width):
            before[j] = matrix[i, j]
        for k in range(source.size):
            moved = before[source[k]] * hazard[u, k]
            if moved != 0.0:
                matrix[i, source[k]] -= moved
                matrix[i, target[k]] += moved


@jit
def _move_both(matrix: Floats, hazard: Floats, u: int, source: Ints, target: Ints) -> None:
    """Replace a symmetric matrix C by (I + dA)'C(I + dA)."""
    _move_rows(matrix, hazard, u, source, target)
    turned = matrix.T.copy()
    _move_rows(turned, hazard, u, source, target)
    for i in range(matrix.shape[0]):
        for j in range(matrix.shape[1]):
            matrix[i, j] = turned[j, i]


@jit
def increments_to_covariance(
    initial: Floats,
    curve: Floats,
    hazard: Floats,
    noise: Floats,
    updated: bool,
    source: Ints,
    target: Ints,
    out: Floats,
) -> None:
    """Covariance of state probabilities from that of independent hazard increments.

    Parameters
    ----------
    initial : (S,) float64
        Distribution before the first grid time, taken as known.
    curve : (m, S) float64
        From :func:`product_integral`.
    hazard : (m, K) float64
        Hazard increments.
    noise : (m, K, K) float64
        Their covariance at each grid time.
    updated : bool
        Which probabilities weigh the noise: those before the grid time (False), or those after it (True,
        the convention of R's ``mstate`` for Aalen's variance).
    source, target : (K,) int64
        States that the transitions lead from and to.
    out : (m, S, S) float64
        Covariance after each grid time.
    """
    states = initial.size
    now = np.zeros((states, states))
    held = np.empty(states)
    for u in range(hazard.shape[0]):
        _move_both(now, hazard, u, source, target)
        for j in range(states):
            if updated:
                held[j] = curve[u, j]
            else:
                held[j] = initial[j] if u == 0 else curve[u - 1, j]
        for k in range(source.size):
            if held[source[k]] == 0.0:
                continue
            for other in range(source.size):
                if noise[u, k, other] == 0.0:
                    continue
                amount = held[source[k]] * held[source[other]] * noise[u, k, other]
                now[source[k], source[other]] += amount
                now[target[k], target[other]] += amount
                now[source[k], target[other]] -= amount
                now[target[k], source[other]] -= amount
        for i in range(states):
            for j in range(states):
                out[u, i, j] = now[i, j]


@jit
def parameters_to_gradient(
    initial: Floats,
    curve: Floats,
    hazard: Floats,
    slope: Floats,
    source: Ints,
    target: Ints,
    out: Floats,
) -> None:
    """Differentiate state probabilities by the parameters of the hazard increments.

    Parameters
    ----------
    initial, curve, hazard, source, target
        As in :func:`increments_to_covariance`.
    slope : (m, K, P) float64
        Derivatives of the hazard increments.
    out : (m, P, S) float64
        Derivatives of the state probabilities.
    """
    states, parameters = initial.size, slope.shape[2]
    now = np.zeros((parameters, states))
    for u in range(hazard.shape[0]):
        _move_rows(now, hazard, u, source, target)
        for k in range(source.size):
            weight = initial[source[k]] if u == 0 else curve[u - 1, source[k]]
            if weight == 0.0:
                continue
            for q in range(parameters):
                amount = weight * slope[u, k, q]
                now[q, source[k]] -= amount
                now[q, target[k]] += amount
        for q in range(parameters):
            for j in range(states):
                out[u, q, j] = now[q, j]


@jit
def jackknife_covariance(
    initial: Floats,
    initial_influence: Floats,
    curve: Floats,
    hazard: Floats,
    at_risk: Floats,
    first: Ints,
    last: Ints,
    state: Ints,
    transition: Ints,
    weight: Floats,
    person: Ints,
    by_entry: Ints,
    source: Ints,
    target: Ints,
    out: Floats,
) -> None:
    """Infinitesimal-jackknife covariance of state probabilities, rows gathered by person.

    Parameters
    ----------
    initial : (S,) float64
        Distribution before the first grid time.
    initial_influence : (C, S) float64
        Influence of each person on it, weights inside; zeros if it is known.
    curve, hazard, source, target
        As in :func:`increments_to_covariance`.
    at_risk : (m, S) float64
        Weighted numbers at risk in each state.
    first, last : (n,) int64
        Grid indices between which each row is at risk.
    state : (n,) int64
        State of each row.
    transition : (n,) int64
        Transition at its end, -1 for none.
    weight : (n,) float64
        Case weights.
    person : (n,) int64
        Person codes 0 .. C-1.
    by_entry : (n,) int64
        Order of the rows by `first`.
    out : (m, S, S) float64
        Covariance after each grid time.
    """
    n, states, size = first.size, initial.size, source.size
    value = initial_influence.copy()
    open_rows = np.empty(n, dtype=np.int64)
    n_open = 0
    next_in = 0
    for u in range(hazard.shape[0]):
        while next_in < n and first[by_entry[next_in]] <= u:
            i = by_entry[next_in]
            next_in += 1
            if first[i] <= last[i]:
                open_rows[n_open] = i
                n_open += 1
        _move_rows(value, hazard, u, source, target)
        kept = 0
        for r in range(n_open):
            i = open_rows[r]
            j = state[i]
            before = initial[j] if u == 0 else curve[u - 1, j]
            if before != 0.0:
                share = weight[i] * before / at_risk[u, j]
                for k in range(size):
                    if source[k] == j:
                        amount = -share * hazard[u, k]
                        if last[i] == u and transition[i] == k:
                            amount += share
                        value[person[i], j] -= amount
                        value[person[i], target[k]] += amount
            if last[i] > u:
                open_rows[kept] = i
                kept += 1
        n_open = kept
        for a in range(states):
            for b in range(states):
                out[u, a, b] = 0.0
        for c in range(value.shape[0]):
            for a in range(states):
                if value[c, a] != 0.0:
                    for b in range(a, states):
                        out[u, a, b] += value[c, a] * value[c, b]
        for a in range(states):
            for b in range(a):
                out[u, a, b] = out[u, b, a]


@jit
def jackknife_hazard_variance(
    hazard: Floats,
    at_risk: Floats,
    first: Ints,
    last: Ints,
    state: Ints,
    transition: Ints,
    weight: Floats,
    person: Ints,
    persons: int,
    source: Ints,
    out: Floats,
) -> None:
    """Infinitesimal-jackknife variance of cumulative transition hazards, rows gathered by person.

    Parameters
    ----------
    hazard, at_risk, first, last, state, transition, weight, person, source
        As in :func:`jackknife_covariance`.
    persons : int
        Number of persons.
    out : (m, K) float64
        Variances.
    """
    m = hazard.shape[0]
    value = np.empty(persons)
    for k in range(source.size):
        value[:] = 0.0
        open_rows = np.flatnonzero((state == source[k]) & (first <= last))
        order = open_rows[np.argsort(first[open_rows], kind="mergesort")]
        n_open = 0
        next_in = 0
        total = 0.0
        for u in range(m):
            while next_in < order.size and first[order[next_in]] <= u:
                open_rows[n_open] = order[next_in]
                n_open += 1
                next_in += 1
            kept = 0
            for r in range(n_open):
                i = open_rows[r]
                if hazard[u, k] != 0.0:
                    amount = -hazard[u, k]
                    if last[i] == u and transition[i] == k:
                        amount += 1.0
                    c = person[i]
                    total -= value[c] * value[c]
                    value[c] += weight[i] * amount / at_risk[u, source[k]]
                    total += value[c] * value[c]
                if last[i] > u:
                    open_rows[kept] = i
                    kept += 1
            n_open = kept
            out[u, k] = max(total, 0.0)


@jit
def stays_after(
    time: Floats, hazard: Floats, source: Ints, target: Ints, tau: float, out: Floats
) -> None:
    """Compute the expected time in each state from each grid time to τ, by the state held then.

    Runs backward: before grid time u the stays are those of the state that the step at u leads to, and
    until then the time is spent where one is.

    Parameters
    ----------
    time : (m,) float64
        Grid.
    hazard : (m, K) float64
        Hazard increments.
    source, target : (K,) int64
        States that the transitions lead from and to.
    tau : float
        Horizon.
    out : (m, S, S) float64
        Entry (u, j, l): expected time in l between time u and τ of one who is in j just after u; 0 at
        and after τ.
    """
    m, states = time.size, out.shape[1]
    end = tau
    stays = np.zeros((states, states))
    later = np.empty((states, states))
    for u in range(m - 1, -1, -1):
        for i in range(states):
            for j in range(states):
                out[u, i, j] = 0.0
        if time[u] >= tau:
            continue
        for j in range(states):
            stays[j, j] += end - time[u]
        end = time[u]
        for i in range(states):
            for j in range(states):
                out[u, i, j] = stays[i, j]
                later[i, j] = stays[i, j]
        for k in range(source.size):
            if hazard[u, k] != 0.0:
                for j in range(states):
                    stays[source[k], j] += hazard[u, k] * (
                        later[target[k], j] - later[source[k], j]
                    )
