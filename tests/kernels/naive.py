"""Plain Python twins of the kernels: slow, and obviously what the formulas say."""

from __future__ import annotations

import itertools
import math

import numpy as np


def at_risk(first, last, j):
    return [i for i in range(len(first)) if first[i] <= j <= last[i]]


def sum_at_risk(first, last, amount, m):
    return [math.fsum(amount[i] for i in at_risk(first, last, j)) for j in range(m)]


def hazards(first, last, event, weight, m):
    """Hazard increments, exactly 1 where everybody at risk fails."""
    out = []
    for j in range(m):
        risk = at_risk(first, last, j)
        fail = [i for i in risk if event[i] and last[i] == j]
        if risk and len(fail) == len(risk):
            out.append(1.0)
        elif fail:
            out.append(math.fsum(weight[i] for i in fail) / math.fsum(weight[i] for i in risk))
        else:
            out.append(0.0)
    return out


def product_limit(hazard):
    curve, s = [], 1.0
    for h in hazard:
        s *= 1.0 - h
        curve.append(s)
    return curve


def influence_on_survival(first, last, event, weight, m):
    """U_i(t_j), by the definition: a sum over the grid times at which row i is at risk."""
    hazard = hazards(first, last, event, weight, m)
    survival = product_limit(hazard)
    n = len(first)
    out = np.zeros((n, m))
    for i in range(n):
        a = 0.0
        for j in range(m):
            if first[i] <= j <= last[i] and hazard[j] < 1.0:
                y = math.fsum(weight[k] for k in at_risk(first, last, j))
                dn = 1.0 if event[i] and last[i] == j else 0.0
                a += (dn - hazard[j]) / (y * (1.0 - hazard[j]))
            out[i, j] = -survival[j] * a
    return out


def jackknife_variance(first, last, event, weight, cluster, m):
    u = influence_on_survival(first, last, event, weight, m)
    total = np.zeros(m)
    for c in sorted(set(cluster)):
        rows = [i for i in range(len(first)) if cluster[i] == c]
        total += sum(weight[i] * u[i] for i in rows) ** 2
    return total


def area(time, survival, start, tau):
    """Area under the step curve between two times, piece by piece."""
    points = sorted({start, tau, *(t for t in time if start < t < tau)})
    total = 0.0
    for a, b in itertools.pairwise(points):
        s = 1.0
        for t, value in zip(time, survival, strict=True):
            if t <= a:
                s = value
        total += s * (b - a)
    return total


def match_greedily(case, control, width):
    """Each case in order takes the nearest free control, the first in the data at equal distance."""
    free, out = set(range(len(control))), []
    for value in case:
        best = None
        for k in sorted(free):
            distance = abs(control[k] - value)
            if distance <= width and (best is None or distance < abs(control[best] - value)):
                best = k
        out.append(-1 if best is None else best)
        if best is not None:
            free.remove(best)
    return out


def partial_log_likelihood(beta, x, time, event, entry, weight, stratum, efron):
    """By the definition: a sum over strata, event times and tied events."""
    total = 0.0
    eta = x @ beta
    for s in sorted(set(stratum)):
        mine = [i for i in range(len(time)) if stratum[i] == s]
        for t in sorted({time[i] for i in mine if event[i]}):
            risk = [i for i in mine if (entry[i] < t or entry[i] == 0) and time[i] >= t]
            dead = [i for i in risk if event[i] and time[i] == t]
            d = len(dead)
            s0 = math.fsum(weight[i] * math.exp(eta[i]) for i in risk)
            d0 = math.fsum(weight[i] * math.exp(eta[i]) for i in dead)
            mean = math.fsum(weight[i] for i in dead) / d
            total += math.fsum(weight[i] * eta[i] for i in dead)
            for k in range(d):
                total -= mean * math.log(s0 - (k / d if efron else 0.0) * d0)
    return total


def discrete_log_likelihood(beta, x, time, event, entry, stratum):
    """The chance of who had the event, among all subsets of the risk set of that size."""
    total = 0.0
    eta = x @ beta
    for s in sorted(set(stratum)):
        mine = [i for i in range(len(time)) if stratum[i] == s]
        for t in sorted({time[i] for i in mine if event[i]}):
            risk = [i for i in mine if (entry[i] < t or entry[i] == 0) and time[i] >= t]
            dead = [i for i in risk if event[i] and time[i] == t]
            every = itertools.combinations(risk, len(dead))
            total += math.fsum(eta[i] for i in dead)
            total -= math.log(math.fsum(math.exp(math.fsum(eta[i] for i in a)) for a in every))
    return total


def additive_increments(x, time, event, entry, last):
    """One least-squares regression an event, on the rows at risk, with an intercept."""
    out = []
    for t in sorted({t for t, d in zip(time, event, strict=True) if d and t <= last}):
        risk = [i for i in range(len(time)) if (entry[i] < t or entry[i] == 0) and time[i] >= t]
        z = np.column_stack([np.ones(len(risk)), x[risk]])
        for i in range(len(time)):
            if event[i] and time[i] == t:
                mine = np.array([float(j == i) for j in risk])
                out.append((t, *np.linalg.lstsq(z, mine, rcond=None)[0]))
    return np.array(out)


def numeric_gradient(function, point, step=1e-5):
    out = np.zeros(len(point))
    for j in range(len(point)):
        shift = np.zeros(len(point))
        shift[j] = step
        out[j] = (function(point + shift) - function(point - shift)) / (2 * step)
    return out


def numeric_hessian(function, point, step=1e-4):
    p = len(point)
    out = np.zeros((p, p))
    for a in range(p):
        for b in range(p):
            ea, eb = np.eye(p)[a] * step, np.eye(p)[b] * step
            out[a, b] = (
                function(point + ea + eb)
                - function(point + ea - eb)
                - function(point - ea + eb)
                + function(point - ea - eb)
            ) / (4 * step * step)
    return out
