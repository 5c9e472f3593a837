"""Plain twins of distances between sequences, of medoids and of the quality of clusters."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np


def edit(x, y, cost, indel):
    @functools.cache
    def d(i, j):
        if i == j == 0:
            return 0.0
        ways = []
        if i and j:
            ways.append(d(i - 1, j - 1) + cost[x[i - 1]][y[j - 1]])
        if i:
            ways.append(d(i - 1, j) + indel[x[i - 1]])
        if j:
            ways.append(d(i, j - 1) + indel[y[j - 1]])
        return min(ways)

    return d(len(x), len(y))


def common(x, y):
    """Length of the longest common subsequence, by trying subsequences of x from the longest."""
    for size in range(len(x), 0, -1):
        for places in itertools.combinations(range(len(x)), size):
            rest = iter(y)
            if all(x[p] in rest for p in places):
                return size
    return 0


def prefix(x, y):
    return next(k for k in range(min(len(x), len(y)), -1, -1) if x[:k] == y[:k])


def spells(x):
    """State and duration of every spell."""
    return [(state, len(list(steps))) for state, steps in itertools.groupby(x)]


def spell_edit(x, y, cost, indel, expansion, power):
    """The least cost of any sequence of changes of spells, by recursion."""
    (a, b) = ([(s, t**power - 1.0) for s, t in spells(z)] for z in (x, y))

    @functools.cache
    def d(i, j):
        if i == j == 0:
            return 0.0
        ways = []
        if i:
            ways.append(d(i - 1, j) + indel[a[i - 1][0]] + expansion * a[i - 1][1])
        if j:
            ways.append(d(i, j - 1) + indel[b[j - 1][0]] + expansion * b[j - 1][1])
        if i and j:
            (s, t), (r, u) = a[i - 1], b[j - 1]
            moved = abs(t - u) if s == r else t + u
            ways.append(d(i - 1, j - 1) + (0.0 if s == r else cost[s][r]) + expansion * moved)
        return min(ways)

    return d(len(a), len(b))


def subsequences(x):
    """How many distinct subsequences there are, the empty one among them, by making them all."""
    return len(
        {tuple(itertools.compress(x, kept)) for kept in itertools.product([0, 1], repeat=len(x))}
    )


def turbulence(x):
    order, steps = zip(*spells(x), strict=True)
    n, mean = len(steps), np.mean(steps)
    largest = (n - 1) * (1 - mean) ** 2
    return math.log2(subsequences(order) * (largest + 1) / (np.var(steps) + 1))


def entropy(x, k):
    shares = [x.count(a) / len(x) for a in set(x)]
    return -sum(p * math.log(p) for p in shares) / math.log(k)


def positional(x, y, cost):
    return sum(cost[t][a][b] for t, (a, b) in enumerate(zip(x, y, strict=True)))


def rates(rows, k, step=None):
    """Share of moves from a to b among steps in a, at one step or over all."""
    moves = np.zeros((k, k))
    for row in rows:
        for t in range(len(row) - 1):
            if step is None or t == step:
                moves[row[t], row[t + 1]] += 1
    leaving = moves.sum(axis=1, keepdims=True)
    return np.divide(moves, leaving, out=np.zeros_like(moves), where=leaving > 0)


def costs_over_time(rows, k, base):
    steps = len(rows[0])
    out = np.zeros((steps, k, k))
    for t in range(steps):
        for a in range(k):
            for b in range(k):
                terms = []
                if t > 0:
                    p = rates(rows, k, t - 1)
                    terms.append(p[a, b] + p[b, a])
                if t < steps - 1:
                    p = rates(rows, k, t)
                    terms.append(p[a, b] + p[b, a])
                if a != b:
                    out[t, a, b] = max(0.0, base - 2.0 * sum(terms) / len(terms))
    return out


def best_medoids(matrix, k):
    """The least sum of distances to k medoids, over all sets of k."""
    n = len(matrix)
    return min(
        matrix[list(chosen)].min(axis=0).sum() for chosen in itertools.combinations(range(n), k)
    )


def swap_gain(matrix, medoids):
    """The largest gain of exchanging one medoid."""
    now = matrix[medoids].min(axis=0).sum()
    best = now
    for i in range(len(medoids)):
        for h in range(len(matrix)):
            other = [*medoids[:i], h, *medoids[i + 1 :]]
            best = min(best, matrix[other].min(axis=0).sum())
    return now - best


def quality(matrix, label):
    """Average silhouette width, point biserial correlation, Hubert's C, share of discrepancy."""
    n, groups = len(label), sorted(set(label))
    widths = []
    for i in range(n):
        own = [matrix[i][j] for j in range(n) if label[j] == label[i] and j != i]
        if not own:
            widths.append(0.0)
            continue
        a = math.fsum(own) / len(own)
        b = min(
            np.mean([matrix[i][j] for j in range(n) if label[j] == g])
            for g in groups
            if g != label[i]
        )
        widths.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    pairs = list(itertools.combinations(range(n), 2))
    d = np.array([matrix[i][j] for i, j in pairs])
    apart = np.array([label[i] != label[j] for i, j in pairs], dtype=float)
    inside = int((apart == 0).sum())
    ordered = np.sort(d)
    least, most = ordered[:inside].sum(), ordered[len(ordered) - inside :].sum()
    hubert = (d[apart == 0].sum() - least) / (most - least) if most > least else 0.0
    within = sum(
        matrix[np.ix_(at, at)].sum() / 2 / len(at)
        for at in ([i for i in range(n) if label[i] == g] for g in groups)
    )
    total = d.sum() / n
    return np.mean(widths), np.corrcoef(d, apart)[0, 1], hubert, 1 - within / total
