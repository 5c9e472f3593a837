"""Kernel of Aalen's additive model: cross-products of the covariates over each risk set."""

from __future__ import annotations

import numpy as np

from fiac_survival.kernels._jit import jit
from fiac_survival.kernels._types import Floats, Ints


@jit
def risk_set_products(
    x: Floats, start: Ints, stop: Ints, by_start: Ints, out_gram: Floats, out_count: Ints
) -> None:
    """Add x x' over the rows at risk at each block.

    Parameters
    ----------
    x : (n, q) float64
        Covariates with a column of ones, rows in ascending order of `stop`.
    start, stop, by_start
        As :mod:`fiac_survival.kernels.cox` has them; one stratum.
    out_gram : (B, q, q) float64
        Cross-products.
    out_count : (B,) int64
        Rows at risk.
    """
    n, q = x.shape
    gram = np.zeros((q, q))
    count = 0
    i = n - 1
    late = by_start.size - 1
    for b in range(out_count.size - 1, -1, -1):
        while i >= 0 and stop[i] > b:
            if start[i] < stop[i]:
                count += 1
                for u in range(q):
                    for v in range(q):
                        gram[u, v] += x[i, u] * x[i, v]
            i -= 1
        while late >= 0 and start[by_start[late]] > b:
            row = by_start[late]
            late -= 1
            if start[row] < stop[row]:
                count -= 1
                for u in range(q):
                    for v in range(q):
                        gram[u, v] -= x[row, u] * x[row, v]
        out_count[b] = count
        for u in range(q):
            for v in range(q):
                out_gram[b, u, v] = gram[u, v]
