r"""Baseline hazard and predicted survival of a Cox model.

With :math:`H_0` the cumulative baseline hazard of the model's own treatment of ties,
:math:`S(t|x)=\exp(-H_0(t)e^{x'\beta})`. Its variance on the log scale has two parts (Tsiatis 1981):
:math:`e^{2x'\beta}\sum_{s\le t}\sum_k \bar w/D_k^2` for the baseline, and :math:`q'Vq` with
:math:`q=e^{x'\beta}\sum_{s\le t}(x-\mu(s))\,dH_0(s)` for the coefficients.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, survival_interval
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.cox_fit import Pass, SortedRows
from fiac_survival.survival.cox_residuals import block_means, cumulate_columns
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]


def baseline_hazard(rows: SortedRows, end: Pass) -> pd.DataFrame:
    """Cumulative baseline hazard at covariates 0.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.

    Returns
    -------
    DataFrame
        stratum, time, cumulative_hazard, survival.
    """
    shift = float(np.exp(-(rows.centre / rows.scale) @ end.beta))
    position = np.arange(rows.block_time.size) + rows.block_stratum + 1
    hazard = end.cumulated[position] * shift
    return pd.DataFrame(
        {
            "stratum": [rows.strata[s] for s in rows.block_stratum],
            "time": rows.block_time,
            "cumulative_hazard": hazard,
            "survival": np.exp(-hazard),
        }
    )


def baseline(rows: SortedRows, end: Pass, covariance: Floats, *, level: float) -> pd.DataFrame:
    """Cumulative baseline hazard at covariates 0, with standard errors and intervals.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.
    covariance : (p, p) float64
        Of the coefficients.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        stratum, time, cumulative_hazard, hazard_std_error, survival, std_error, lower, upper.
    """
    table = baseline_hazard(rows, end)
    position = np.arange(rows.block_time.size) + rows.block_stratum + 1
    spread = _Spread(rows, end, covariance)
    variance = spread.variance(-(rows.centre / rows.scale), position)
    survival = table["survival"].to_numpy()
    hazard_std_error = np.sqrt(variance)
    std_error = survival * hazard_std_error
    lower, upper = survival_interval(survival, std_error, level=level, transform="log-log")
    table.insert(3, "hazard_std_error", hazard_std_error)
    return table.assign(std_error=std_error, lower=lower, upper=upper)


class _Spread:
    """Variance of the cumulative hazard of given covariates at given positions."""

    def __init__(self, rows: SortedRows, end: Pass, covariance: Floats) -> None:
        _, hazard_mean, _ = block_means(rows, end)
        self.cumulated, self.beta = end.cumulated, end.beta
        self.mean_sum = cumulate_columns(rows, hazard_mean)
        self.variance_sum = cumulate_columns(rows, end.ties[:, 2:3])[:, 0]
        self.scaled = covariance * np.outer(rows.scale, rows.scale)

    def variance(self, z: Floats, position: NDArray[np.int64]) -> Floats:
        """Variance of the cumulative hazard of standardised covariates z, shape (k,)."""
        relative = float(np.exp(z @ self.beta))
        q = relative * (z * self.cumulated[position][:, None] - self.mean_sum[position])
        own = relative**2 * self.variance_sum[position]
        return np.asarray(own + ((q @ self.scaled) * q).sum(axis=1))


def predict(
    rows: SortedRows,
    end: Pass,
    design: Floats,
    covariance: Floats,
    *,
    times: Any,
    strata: Any,
    level: float,
    transform: Transform,
) -> pd.DataFrame:
    """Predicted survival with intervals.

    Parameters
    ----------
    rows : SortedRows
        The data of the fit.
    end : Pass
        The fit.
    design : (m, p) float64
        Covariates of the new patients.
    covariance : (p, p) float64
        Of the coefficients.
    times : array-like of float
        Times.
    strata : array-like or None
        Strata of the new patients.
    level : float
        Confidence level.
    transform : str
        Scale of the interval.

    Returns
    -------
    DataFrame
        row, time, survival, std_error, lower, upper.

    Raises
    ------
    DataError
        If a stratum is missing or unknown.
    """
    moments = times_array(times)
    m, k = design.shape[0], moments.size
    stratum = strata_of(strata, rows.strata, m)
    z = (design - rows.centre) / rows.scale
    spread = _Spread(rows, end, covariance)
    hazard, variance = np.empty((m, k)), np.empty((m, k))
    places = [_positions(rows, s, moments) for s in range(len(rows.strata))]
    for i in range(m):
        position = places[stratum[i]]
        hazard[i] = end.cumulated[position] * np.exp(z[i] @ end.beta)
        variance[i] = spread.variance(z[i], position)
    survival = np.exp(-hazard).ravel()
    std_error = survival * np.sqrt(variance).ravel()
    lower, upper = survival_interval(survival, std_error, level=level, transform=transform)
    return pd.DataFrame(
        {
            "row": np.repeat(np.arange(m), k),
            "time": np.tile(moments, m),
            "survival": survival,
            "std_error": std_error,
            "lower": lower,
            "upper": upper,
        }
    )


def _positions(rows: SortedRows, stratum: int, times: Floats) -> NDArray[np.int64]:
    """Where the sums up to and including each time stand."""
    first, last = np.searchsorted(rows.block_stratum, [stratum, stratum + 1])
    grid = rows.block_time[first:last]
    return np.asarray(first + stratum + np.searchsorted(grid, times, side="right"))


def expected_events(
    rows: SortedRows, end: Pass, design: Floats, y: Outcome, *, strata: Any
) -> Floats:
    """Cumulative hazard of new rows over their follow-up.

    Parameters
    ----------
    rows : SortedRows
        The data of the fit.
    end : Pass
        The fit.
    design : (m, p) float64
        Covariates of the new rows.
    y : Outcome
        Their follow-up.
    strata : array-like or None
        Their strata.

    Returns
    -------
    (m,) float64
        Expected events.

    Raises
    ------
    DataError
        If lengths differ, or a stratum is missing or unknown.
    """
    m = design.shape[0]
    columns.require_length(y.time, "y", m)
    stratum = np.asarray(strata_of(strata, rows.strata, m), dtype=np.int64)
    entry = y.entry_or_zero()
    out = np.empty(m)
    for s in range(len(rows.strata)):
        mine = np.flatnonzero(stratum == s)
        gained = end.cumulated[_positions(rows, s, y.time[mine])]
        before = end.cumulated[_positions(rows, s, entry[mine])]
        out[mine] = gained - np.where(entry[mine] > 0, before, 0.0)
    return np.asarray(out * np.exp((design - rows.centre) / rows.scale @ end.beta))


def strata_of(strata: Any, known: list[Any], m: int) -> list[int]:
    """Find the number of each new patient's stratum.

    Parameters
    ----------
    strata : array-like or None
        Labels.
    known : list
        Labels of the model's strata.
    m : int
        Number of patients.

    Returns
    -------
    list of int
        Numbers.

    Raises
    ------
    DataError
        If a stratum is missing or unknown.
    """
    if strata is None:
        if len(known) > 1:
            raise DataError(
                "a model with strata needs the stratum of each new patient",
                values={"strata": known},
                remedy="pass strata=",
            )
        return [0] * m
    codes, labels = columns.labels(strata, "strata", n=m)
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise DataError(
            "strata must be among the model's",
            values={"unknown": unknown, "known": known},
            remedy="pass labels that the model was fitted with",
        )
    place = [known.index(label) for label in labels]
    return [place[c] for c in codes]
