r"""Residuals of a fitted Cox model.

With :math:`\hat\Lambda_i` the hazard that row i has gone through (under Efron's treatment an event
carries only part of the hazard of its own time), of unit weight:

=================== ===============================================================================
martingale          :math:`M_i=\delta_i-e^{\eta_i}\hat\Lambda_i`
deviance            :math:`\operatorname{sign}(M_i)\{-2[M_i+\delta_i\log(\delta_i-M_i)]\}^{1/2}`
score               :math:`r_i=\int(x_i-\bar x(t))\,dM_i(t)`
dfbeta, dfbetas     :math:`w_i I^{-1}r_i`, the approximate change of β when row i goes; over √diag(I⁻¹)
schoenfeld          :math:`x_i-\bar x(T_i)` of each event
scaled schoenfeld   :math:`\hat\beta+d\,I^{-1}` times it, d events: a trend over time shows how β varies
=================== ===============================================================================

Sources: Therneau, Grambsch and Fleming 1990; Grambsch and Therneau 1994; R ``residuals.coxph``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.kernels import cox as kernels
from fiac_survival.survival.cox_fit import Pass, SortedRows

Floats = NDArray[np.float64]
Residual = Literal[
    "martingale", "deviance", "score", "schoenfeld", "scaled_schoenfeld", "dfbeta", "dfbetas"
]


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


def linear_predictor(rows: SortedRows, end: Pass) -> Floats:
    """Linear predictor of each row, of standardised covariates; equal rows give equal ones to the bit.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.

    Returns
    -------
    (n,) float64
        In the order of `rows`.
    """
    out = np.zeros(rows.x.shape[0])
    for j, beta in enumerate(end.beta):
        out += rows.x[:, j] * beta
    return out


def residual_table(
    rows: SortedRows,
    end: Pass,
    names: list[str],
    coef: Floats,
    covariance: Floats,
    kind: Residual,
    *,
    members: NDArray[np.int64] | None,
) -> pd.DataFrame:
    """Residuals of a fitted model.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.
    names : list of str
        Covariates.
    coef, covariance : (p,), (p, p) float64
        Coefficients and their model-based covariance.
    kind : str
        Which residual.
    members : (n,) int64 or None
        Codes of persons, in the order of the outcome, over whose rows to add.

    Returns
    -------
    DataFrame
        As said at :meth:`fiac_survival.survival.cox.CoxModel.residuals`.

    Raises
    ------
    DataError
        If the kind is unknown, or Schoenfeld residuals are to be added by person.
    """
    require_choice(kind, Residual, "kind")
    if kind in ("schoenfeld", "scaled_schoenfeld"):
        if members is not None:
            raise DataError(
                "Schoenfeld residuals belong to events and are not added by person",
                values={"kind": kind},
                remedy="leave by out",
            )
        table = schoenfeld_residuals(rows, end, names)
        if kind == "scaled_schoenfeld":
            events = len(table)
            table[names] = table[names].to_numpy() @ covariance * events + coef
        return table
    if kind in ("martingale", "deviance"):
        happened = (rows.event & (rows.start < rows.stop)).astype(np.float64)
        residual = happened - end.expected / rows.weight
        residual = _by_row(rows, residual[:, None], members)[:, 0]
        if kind == "martingale":
            return pd.DataFrame({"martingale": residual})
        happened = _by_row(rows, happened[:, None], members)[:, 0]
        return pd.DataFrame({"deviance": deviance(residual, happened)})
    values = score_residuals(rows, end) * rows.scale
    if kind != "score":
        values = (values * rows.weight[:, None]) @ covariance
    if kind == "dfbetas":
        values = values / np.sqrt(np.diag(covariance))
    return pd.DataFrame(_by_row(rows, values, members), columns=names)


def deviance(martingale: Floats, events: Floats) -> Floats:
    """Martingale residuals made nearly symmetric.

    Parameters
    ----------
    martingale, events : (n,) float64
        Residuals and observed events.

    Returns
    -------
    (n,) float64
        Deviance residuals.
    """
    expected = np.maximum(events - martingale, 1e-300)
    log = np.log(np.where(events > 0, expected, 1.0))
    inside = np.maximum(-2.0 * (martingale + events * log), 0.0)
    return np.asarray(np.sign(martingale) * np.sqrt(inside))


def schoenfeld_residuals(rows: SortedRows, end: Pass, names: list[str]) -> pd.DataFrame:
    """Schoenfeld residual of each event.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.
    names : list of str
        Covariates.

    Returns
    -------
    DataFrame
        row, stratum, time and one column a covariate; by stratum and time, tied events as the data
        have them.
    """
    mean, _, _ = block_means(rows, end)
    happened = np.flatnonzero(rows.event & (rows.start < rows.stop))
    happened = happened[np.lexsort((rows.order[happened], rows.stop[happened]))]
    block = rows.stop[happened] - 1
    out = pd.DataFrame((rows.x[happened] - mean[block]) * rows.scale, columns=names)
    out.insert(0, "time", rows.block_time[block])
    out.insert(0, "stratum", [rows.strata[s] for s in rows.block_stratum[block]])
    out.insert(0, "row", rows.order[happened])
    return out


def _by_row(rows: SortedRows, values: Floats, members: NDArray[np.int64] | None) -> Floats:
    """Put rows into the order of the outcome, or add them by person."""
    out = np.empty_like(values)
    out[rows.order] = values
    if members is None:
        return out
    return np.stack([np.bincount(members, weights=column) for column in out.T], axis=1)
