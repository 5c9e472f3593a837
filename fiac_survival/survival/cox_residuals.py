"""Score residuals of a fitted Cox model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.kernels import cox as kernels
from fiac_survival.survival.cox_fit import Pass, SortedRows

Floats = NDArray[np.float64]


def block_means(rows: SortedRows, end: Pass) -> tuple[Floats, Floats, Floats]:
    """Averages of the risk-set mean of the covariates over the tied events of each block.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        An evaluation of the likelihood.

    Returns
    -------
    mean, hazard_mean, event_mean : (B, p) float64
        Plain, times the hazard increment, and as carried by the block's own events.
    """
    shape = end.s1.shape
    mean, hazard_mean, event_mean = np.empty(shape), np.empty(shape), np.empty(shape)
    kernels.mean_covariates(
        end.s0,
        end.d0,
        end.s1,
        end.d1,
        end.event_weight,
        end.count,
        rows.efron,
        mean,
        hazard_mean,
        event_mean,
    )
    return mean, hazard_mean, event_mean


def cumulate_columns(rows: SortedRows, increments: Floats) -> Floats:
    """Cumulate block increments of several columns within strata.

    Parameters
    ----------
    rows : SortedRows
        The data.
    increments : (B, p) float64
        Increments.

    Returns
    -------
    (B + S, p) float64
        Sums before and after each block.
    """
    out = np.zeros((increments.shape[0] + len(rows.strata), increments.shape[1]))
    for j in range(increments.shape[1]):
        column = np.zeros(out.shape[0])
        kernels.cumulate(np.ascontiguousarray(increments[:, j]), rows.block_stratum, column)
        out[:, j] = column
    return out


def score_residuals(rows: SortedRows, end: Pass) -> Floats:
    """Score residual of each row, of unit weight, for standardised covariates.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        An evaluation of the likelihood.

    Returns
    -------
    (n, p) float64
        In the order of `rows`.
    """
    mean, hazard_mean, event_mean = block_means(rows, end)
    out = np.empty_like(rows.x)
    kernels.score_residuals(
        rows.x,
        end.risk / rows.weight,
        rows.event,
        rows.start,
        rows.stop,
        rows.stratum,
        end.cumulated,
        np.ascontiguousarray(end.ties[:, 1]),
        cumulate_columns(rows, hazard_mean),
        hazard_mean,
        event_mean,
        mean,
        out,
    )
    if rows.tail is not None:
        later = np.column_stack([end.ties[:, 0], hazard_mean])
        carried = rows.tail.carried(later, rows.block_stratum)
        i = rows.tail.row
        relative = (end.risk[i] / rows.weight[i])[:, None]
        out[i] -= relative * (rows.x[i] * carried[:, :1] - carried[:, 1:])
    return out
