r"""Influence of each row on a Fine-Gray model: through its risk sets, and through the weights.

With the weights :math:`\omega` of :mod:`fiac_survival.survival.fine_gray_tail`, baseline increments
:math:`d\Lambda_0` and risk-set means :math:`\bar x`, row i (of unit weight) moves the score by

.. math:: \int (x_i-\bar x)(dN_i-\omega_i Y_i e^{x_i'\beta}d\Lambda_0)
          + \int \frac{q(u)}{\pi(u)(1-d\Lambda^c(u))}\,dM^c_i(u), \qquad
          q(u)=\sum_{T_j\le u}\int_{s>u}(x_j-\bar x)\,\omega_j e^{x_j'\beta}d\Lambda_0(s),

the second part through the censoring distribution (and the same through that of entry). Both are sums
over the grid and look-ups a row. With ``censoring_ties="with events"`` the second part is that of R's
``cmprsk``: limits :math:`T_j<u\le s`, and no factor :math:`1-d\Lambda^c`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.survival.cox_fit import Pass, SortedRows
from fiac_survival.survival.cox_residuals import block_means, cumulate_columns, score_residuals

Floats = NDArray[np.float64]


def coefficient_influence(rows: SortedRows, end: Pass, *, estimated: bool) -> Floats:
    """Influence of rows on the coefficients of the standardised covariates.

    Parameters
    ----------
    rows : SortedRows
        The data, with a tail.
    end : Pass
        The fit.
    estimated : bool
        Whether to count the estimation of the weights.

    Returns
    -------
    (n, p) float64
        In the order of `rows`, rows of unit weight.
    """
    residual = score_residuals(rows, end)
    if estimated:
        _, hazard_mean, _ = block_means(rows, end)
        residual = residual + weight_term(rows, end, end.ties[:, 0], hazard_mean)
    return np.asarray(residual @ np.linalg.inv(end.information))


def weight_term(rows: SortedRows, end: Pass, slope: Floats | None, constant: Floats) -> Floats:
    r"""Influence of rows through the estimated weights.

    Parameters
    ----------
    rows : SortedRows
        The data, with a tail.
    end : Pass
        The fit.
    slope : (B,) float64 or None
        What a row in the tail contributes at each block per unit of ω e and of its covariates.
    constant : (B, q) float64
        What it contributes whatever its covariates, with the sign reversed.

    Returns
    -------
    (n, q) float64
        In the order of `rows`, rows of unit weight.
    """
    tail = rows.tail
    assert tail is not None
    out = np.zeros((rows.order.size, constant.shape[1]))
    load = end.risk[tail.row] * tail.factor
    for c, curve in tail.curves:
        below, above = ("right", "right") if curve.exact else ("left", "left")
        gain = np.zeros((curve.time.size, constant.shape[1]))
        mine = np.flatnonzero(tail.member == c)
        for s in np.unique(tail.stratum[mine]):
            here = mine[tail.stratum[mine] == s]
            here = here[np.argsort(tail.time[here], kind="stable")]
            gone = np.searchsorted(tail.time[here], curve.time, side=below)  # type: ignore[call-overload]
            a, b = np.searchsorted(rows.block_stratum, [s, s + 1])
            ahead = np.searchsorted(rows.block_time[a:b], curve.time, side=above)  # type: ignore[call-overload]
            keep = tail.keep[c, a:b, None]
            gain -= _sums(load[here, None])[gone] * _rest(keep * constant[a:b])[ahead]
            if slope is not None:
                weighted = load[here, None] * rows.x[tail.row[here]]
                gain += _sums(weighted)[gone] * _rest(keep * slope[a:b, None])[ahead]
        out[curve.rows] += curve.influence(gain)
    return out


def _sums(values: Floats) -> Floats:
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])


def _rest(values: Floats) -> Floats:
    return _sums(values[::-1])[::-1]


def baseline_influence(
    rows: SortedRows, end: Pass, stratum: int, time: float, *, estimated: bool
) -> tuple[float, Floats, Floats]:
    """Cumulative baseline hazard at a time, its slope in the coefficients, and influence of rows.

    Parameters
    ----------
    rows : SortedRows
        The data, with a tail.
    end : Pass
        The fit, of standardised covariates.
    stratum : int
        Number of the stratum.
    time : float
        Time.
    estimated : bool
        Whether to count the estimation of the weights.

    Returns
    -------
    hazard : float
        At covariates of mean value.
    mean : (p,) float64
        Minus its derivative in the coefficients.
    influence : (n,) float64
        Of rows of unit weight in the order of `rows`, at fixed coefficients.
    """
    inside = (rows.block_stratum == stratum) & (rows.block_time <= time)
    _, hazard_mean, _ = block_means(rows, end)
    hazard = float(np.sum(end.ties[inside, 0]))
    mean = hazard_mean[inside].sum(axis=0)
    variation = np.where(inside, end.ties[:, 2], 0.0)
    total = cumulate_columns(rows, variation[:, None])[:, 0]
    relative = end.risk / rows.weight
    out = -relative * (total[rows.stop + rows.stratum] - total[rows.start + rows.stratum])
    event = np.flatnonzero(rows.event & (rows.start < rows.stop))
    event = event[inside[rows.stop[event] - 1]]
    block = rows.stop[event] - 1
    out[event] += end.ties[block, 0] / end.event_weight[block]
    out[event] += relative[event] * end.ties[block, 3]
    tail = rows.tail
    assert tail is not None
    carried = tail.carried(variation[:, None], rows.block_stratum)[:, 0]
    out[tail.row] -= relative[tail.row] * carried
    if estimated:
        out += weight_term(rows, end, None, -variation[:, None])[:, 0]
    return hazard, mean, out
