"""What a Cox model needs, and tables and tests of a fitted one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, two_sided_p
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.cox_fit import LARGE_COEFFICIENT, Pass, SortedRows
from fiac_survival.survival.cox_residuals import score_residuals

Floats = NDArray[np.float64]


def require_rows(y: Outcome, method: str) -> None:
    """Refuse what a Cox model cannot take.

    Parameters
    ----------
    y : Outcome
        The rows.
    method : str
        Name of the method, for messages.

    Raises
    ------
    DataError
        If it is no outcome, has several causes or no event.
    """
    if not isinstance(y, Outcome):
        raise DataError(
            f"{method} takes an Outcome",
            values={"type": type(y).__name__},
            remedy="a Cox model needs rows, not a risk table",
        )
    y.require_binary(method, "fine_gray or one model a cause")
    y.require_events(method)


def require_robust(robust: bool | None, cluster: Any) -> None:
    """Refuse clusters without a robust variance.

    Parameters
    ----------
    robust : bool or None
        Whether it is asked for.
    cluster : array-like or None
        Labels.

    Raises
    ------
    DataError
        If the two contradict each other.
    """
    if robust is False and cluster is not None:
        raise DataError(
            "clusters ask for a robust variance",
            values={"robust": robust},
            remedy="leave robust out, or drop cluster",
        )


def coefficient_table(
    names: list[str], beta: Floats, covariance: Floats, level: float
) -> pd.DataFrame:
    """Coefficients and hazard ratios with their intervals.

    Parameters
    ----------
    names : list of str
        Terms.
    beta, covariance : (p,), (p, p) float64
        Estimates and their covariance.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        term, coef, hazard_ratio, std_error, lower, upper, z, p_value.
    """
    z = normal_quantile(level)
    std_error = np.sqrt(np.diag(covariance))
    return pd.DataFrame(
        {
            "term": names,
            "coef": beta,
            "hazard_ratio": np.exp(beta),
            "std_error": std_error,
            "lower": np.exp(beta - z * std_error),
            "upper": np.exp(beta + z * std_error),
            "z": beta / std_error,
            "p_value": [two_sided_p(v) for v in beta / std_error],
        }
    )


def near_separation(names: list[str], end: Pass) -> list[str]:
    """Name the covariates that almost order the events.

    Parameters
    ----------
    names : list of str
        Terms.
    end : Pass
        The fit, on covariates in units of their mean deviation.

    Returns
    -------
    list of str
        Those whose coefficient is beyond 5 of that unit.
    """
    return [n for n, b in zip(names, end.beta, strict=True) if abs(b) > LARGE_COEFFICIENT]


def cluster_sums(residuals: Floats, rows: SortedRows, members: NDArray[np.int64] | None) -> Floats:
    """Add residuals within clusters; without clusters each row stands alone.

    Parameters
    ----------
    residuals : (n, k) float64
        In the order of `rows`.
    rows : SortedRows
        The data.
    members : (n,) int64 or None
        Cluster codes in the order of the outcome.

    Returns
    -------
    (n or number of clusters, k) float64
        Sums.
    """
    if members is None:
        return residuals
    codes = members[rows.order]
    size = int(members.max()) + 1
    return np.stack(
        [np.bincount(codes, weights=column, minlength=size) for column in residuals.T], axis=1
    )


def sandwich(rows: SortedRows, end: Pass, members: NDArray[np.int64] | None) -> Floats:
    """Lin and Wei's covariance of the coefficients.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.
    members : (n,) int64 or None
        Cluster codes in the order of the outcome.

    Returns
    -------
    (p, p) float64
        In the covariates' own scale.
    """
    residuals = cluster_sums(score_residuals(rows, end) * rows.weight[:, None], rows, members)
    bread = np.linalg.inv(end.information) / rows.scale[:, None]
    return np.asarray(bread @ (residuals.T @ residuals) @ bread.T)


def tests_of_fit(
    rows: SortedRows,
    start: Pass,
    end: Pass,
    beta: Floats,
    covariance: Floats,
    *,
    robust: bool,
    members: NDArray[np.int64] | None,
) -> pd.DataFrame:
    """Test that all coefficients are 0.

    Parameters
    ----------
    rows : SortedRows
        The data.
    start, end : Pass
        At zero and at the estimate.
    beta, covariance : (p,), (p, p) float64
        Estimate and covariance in the covariates' own scale.
    robust : bool
        Whether to give the robust score test too.
    members : (n,) int64 or None
        Cluster codes in the order of the outcome.

    Returns
    -------
    DataFrame
        test, statistic, df, p_value.
    """
    df = beta.size
    found = {
        "likelihood ratio": 2.0 * (end.log_likelihood - start.log_likelihood),
        "wald": float(beta @ np.linalg.solve(covariance, beta)),
        "score": float(start.score @ np.linalg.solve(start.information, start.score)),
    }
    if robust:
        sums = cluster_sums(score_residuals(rows, start) * rows.weight[:, None], rows, members)
        total = sums.sum(axis=0)
        found["robust score"] = float(total @ np.linalg.solve(sums.T @ sums, total))
    return pd.DataFrame(
        {
            "test": list(found),
            "statistic": list(found.values()),
            "df": df,
            "p_value": [float(chdtrc(df, value)) for value in found.values()],
        }
    )
