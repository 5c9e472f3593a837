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
from fiac_survival.survival.cox_fit import Pass, SortedRows
from fiac_survival.survival.cox_residuals import block_means, cumulate_columns
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]


def baseline(rows: SortedRows, end: Pass) -> pd.DataFrame:
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
    m = design.shape[0]
    stratum = strata_of(strata, rows.strata, m)
    z = (design - rows.centre) / rows.scale
    relative = np.exp(z @ end.beta)
    _, hazard_mean, _ = block_means(rows, end)
    mean_sum = cumulate_columns(rows, hazard_mean)
    variance_sum = cumulate_columns(rows, end.ties[:, 2:3])[:, 0]
    scaled = covariance * np.outer(rows.scale, rows.scale)
    parts = []
    for i in range(m):
        grid = np.flatnonzero(rows.block_stratum == stratum[i])
        position = (
            grid[0] + stratum[i] + np.searchsorted(rows.block_time[grid], moments, side="right")
        )
        hazard = end.cumulated[position]
        q = relative[i] * (z[i] * hazard[:, None] - mean_sum[position])
        variance = relative[i] ** 2 * variance_sum[position] + ((q @ scaled) * q).sum(axis=1)
        survival = np.exp(-relative[i] * hazard)
        std_error = survival * np.sqrt(variance)
        lower, upper = survival_interval(survival, std_error, level=level, transform=transform)
        parts.append(
            pd.DataFrame(
                {
                    "row": i,
                    "time": moments,
                    "survival": survival,
                    "std_error": std_error,
                    "lower": lower,
                    "upper": upper,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


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
