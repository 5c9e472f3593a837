"""Plain Python twins for competing risks: slow, and obviously what the formulas say."""

from __future__ import annotations

import math

import numpy as np

from tests.kernels.naive import at_risk


def influence_on_incidence(first, last, status, weight, m, cause):
    """G_i(t_j) by the definition: what row i adds at each time, and what it prevents later."""
    n = len(first)
    alive, incidence = 1.0, [0.0] * m
    direct, prevented = np.zeros((n, m)), np.zeros((n, m))
    reached = 0.0
    for j in range(m):
        risk = at_risk(first, last, j)
        y = math.fsum(weight[i] for i in risk)
        fail = [i for i in risk if status[i] > 0 and last[i] == j]
        mine = [i for i in fail if status[i] == cause]
        any_hazard = math.fsum(weight[i] for i in fail) / y if risk else 0.0
        hazard = math.fsum(weight[i] for i in mine) / y if risk else 0.0
        for i in risk:
            direct[i, j] = alive / y * ((i in mine) - hazard)
            if len(fail) < len(risk):
                prevented[i, j] = ((i in fail) - any_hazard) / (y * (1.0 - any_hazard))
        reached += alive * hazard
        incidence[j] = reached
        alive = 0.0 if risk and len(fail) == len(risk) else alive * (1.0 - any_hazard)
    out = np.zeros((n, m))
    for j in range(m):
        for u in range(j + 1):
            out[:, j] += direct[:, u] - (incidence[j] - incidence[u]) * prevented[:, u]
    return incidence, out


def incidence_variance(first, last, status, weight, cluster, m, cause):
    _, g = influence_on_incidence(first, last, status, weight, m, cause)
    total = np.zeros(m)
    for c in sorted(set(cluster)):
        rows = [i for i in range(len(first)) if cluster[i] == c]
        total += sum(weight[i] * g[i] for i in rows) ** 2
    return total


def gray(at_risk, fail, other, rho):
    """Score, and covariance as a sum over times and groups of squares of one vector."""
    k, m = len(at_risk), len(at_risk[0])
    alive, own, pooled = [1.0] * k, [0.0] * k, 0.0
    score, carried = np.zeros(k), np.zeros((k, k))
    noise = []
    for j in range(m):
        y = [at_risk[g][j] for g in range(k)]
        d, e = [fail[g][j] for g in range(k)], [other[g][j] for g in range(k)]
        if sum(d) + sum(e) == 0:
            continue
        h = np.array([y[g] / alive[g] if y[g] else 0.0 for g in range(k)])
        r = h * (1.0 - np.array(own))
        omega = (1.0 - pooled) ** rho
        now = omega * (np.diag(h) - np.outer(h, h) / h.sum())
        carried = carried + now * sum(d) / (h.sum() * (1.0 - pooled))
        score += omega * (np.array(d) - sum(d) * r / r.sum())
        pooled_after = pooled + sum(d) / h.sum()
        for g in range(k):
            if y[g] == 0:
                continue
            after = alive[g] * (y[g] - d[g] - e[g]) / y[g]
            if sum(d):
                u = 1.0 - (1.0 - pooled_after) / after if after > 0 else 1.0
                ties = 1.0 - (sum(d) - 1) / (h.sum() * alive[g] - 1) if sum(d) > 1 else 1.0
                size = ties * alive[g] * sum(d) / (h.sum() * y[g])
                noise.append((g, now[:, g], u, carried[:, g], size))
            if e[g] and after > 0:
                u = (1.0 - pooled_after) / after
                ties = 1.0 - (e[g] - 1) / (y[g] - 1) if e[g] > 1 else 1.0
                size = ties * alive[g] ** 2 * e[g] / y[g] ** 2
                noise.append((g, np.zeros(k), u, carried[:, g], size))
            own[g] += alive[g] * d[g] / y[g]
            alive[g] = after
        pooled = pooled_after
    covariance = np.zeros((k, k))
    for g, direct, u, so_far, size in noise:
        vector = direct + u * (carried[:, g] - so_far)
        covariance += size * np.outer(vector, vector)
    return score, covariance


def still_followed(t, rows, time, status, entry, weight, with_events):
    """G(t-) H(t-) among some rows, by the product over earlier censorings and later entries."""
    value = 1.0
    for u in sorted({time[i] for i in rows if status[i] == 0 and time[i] < t}):
        risk = [i for i in rows if time[i] >= u and (entry[i] < u or entry[i] == 0)]
        if not with_events:
            risk = [i for i in risk if time[i] > u or status[i] == 0]
        gone = [i for i in risk if time[i] == u and status[i] == 0]
        value *= 1.0 - sum(weight[i] for i in gone) / sum(weight[i] for i in risk)
    for a in sorted({entry[i] for i in rows if entry[i] > 0 and entry[i] >= t}):
        risk = [i for i in rows if entry[i] <= a < time[i]]
        come = [i for i in risk if entry[i] == a]
        value *= 1.0 - sum(weight[i] for i in come) / sum(weight[i] for i in risk)
    return value


def subdistribution_log_likelihood(
    beta, x, time, status, entry, weight, stratum, group, cause, efron, with_events
):
    """The Fine-Gray partial log-likelihood, every row in every risk set with its weight."""
    total, eta = 0.0, x @ beta
    everyone = range(len(time))
    curve = {}

    def kept(i, t):
        key = (group[i], t)
        if key not in curve:
            rows = [j for j in everyone if group[j] == group[i]]
            curve[key] = still_followed(t, rows, time, status, entry, weight, with_events)
        return curve[key]

    for s in sorted(set(stratum)):
        mine = [i for i in everyone if stratum[i] == s]
        for t in sorted({time[i] for i in mine if status[i] == cause}):
            risk = {}
            for i in mine:
                if time[i] >= t and (entry[i] < t or entry[i] == 0):
                    risk[i] = weight[i] * math.exp(eta[i])
                elif time[i] < t and status[i] not in (0, cause):
                    risk[i] = weight[i] * math.exp(eta[i]) * kept(i, t) / kept(i, time[i])
            dead = [i for i in risk if status[i] == cause and time[i] == t]
            d, mean = len(dead), math.fsum(weight[i] for i in dead) / len(dead)
            s0, d0 = math.fsum(risk.values()), math.fsum(risk[i] for i in dead)
            total += math.fsum(weight[i] * eta[i] for i in dead)
            for k in range(d):
                total -= mean * math.log(s0 - (k / d if efron else 0.0) * d0)
    return total
