r"""Gray's test of equal cumulative incidence.

For the cause of interest, with :math:`Y_g` at risk, :math:`S_g` the event-free curve and :math:`F_g`
the incidence of group g just before each time,

.. math:: R_g = Y_g\,\frac{1-F_g}{S_g}, \qquad
          z_g=\sum_s (1-F^0)^{\rho}\Bigl(D_g-D\,\frac{R_g}{\sum_h R_h}\Bigr),

where :math:`F^0` is the pooled incidence of the null hypothesis. :math:`z'V^-z` is chi-squared on k-1
degrees of freedom; V is that of Gray (1988) with the correction for ties of R's ``cmprsk``, whose numbers
this gives. Strata are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.competing import gray_sums
from fiac_survival.survival.inputs import Source, as_risk_table, require_two_groups

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class GrayTest(Result):
    """A test of equal cumulative incidence.

    Attributes
    ----------
    table : DataFrame
        group, n, events (of the cause), score.
    statistic : float
        Chi-squared statistic.
    df : int
        Degrees of freedom.
    p_value : float
        Upper tail.
    covariance : (k, k) float64
        Of the scores.
    cause : int
        Code of the cause.
    """

    statistic: float
    df: int
    p_value: float
    covariance: Floats
    cause: int


def require_cause(causes: NDArray[Any], cause: int, method: str) -> int:
    """Check that the cause of interest occurs.

    Parameters
    ----------
    causes : array of int
        Codes that occur.
    cause : int
        The cause of interest.
    method : str
        Name of the method, for the message.

    Returns
    -------
    int
        The code.

    Raises
    ------
    DataError
        If it does not occur, or is 0.
    """
    known = sorted({int(c) for c in causes} - {0})
    if isinstance(cause, bool) or cause not in known:
        raise DataError(
            f"the cause of {method} must be an event code that occurs",
            values={"cause": cause, "codes": known},
            remedy="0 means censored; check the coding of event",
        )
    return int(cause)


@single_threaded_blas
def gray(
    y: Source,
    group: Any = None,
    *,
    cause: int = 1,
    strata: Any = None,
    rho: float = 0.0,
) -> GrayTest:
    """Test whether groups have the same cumulative incidence of a cause.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows without delayed entry, or their sufficient statistic without weights.
    group : array-like, shape (n,)
        Labels; at least two.
    cause : int, default 1
        Event code of interest; other codes compete.
    strata : array-like, shape (n,), optional
        Labels; groups are compared within strata.
    rho : float, default 0
        Exponent of the weight (1-F)^ρ, which stresses early differences.

    Returns
    -------
    GrayTest
        Statistic, p-value and scores.

    Raises
    ------
    DataError
        If there is one group, the cause does not occur, or entries are delayed.

    References
    ----------
    Gray RJ. A class of K-sample tests for comparing the cumulative incidence of a competing risk. Ann
    Stat 1988;16:1141-1154.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9, 11, 2], event=[1, 1, 1, 0, 1, 2, 0, 2])
    >>> test = fs.survival.gray(y, ["a", "a", "a", "b", "b", "b", "b", "a"])
    >>> round(test.statistic, 3), test.df
    (1.344, 1)
    """
    if not rho >= 0:
        raise DataError("rho must not be negative", values={"rho": rho}, remedy="rho=0 is usual")
    if isinstance(y, Outcome):
        table = RiskTable.from_outcome(y, group=group, strata=strata)
    else:
        table = as_risk_table(y, "gray", group=group, strata=strata, causes=True)
    frame = table.table
    if table.weighted or (frame["entry"] > 0).any():
        raise DataError(
            "gray takes neither weights nor delayed entry",
            values={"weighted": table.weighted},
            remedy="compare with fine_gray, which takes both",
        )
    status = frame["status"].to_numpy()
    require_cause(np.unique(status), cause, "gray")
    labels = table.groups
    require_two_groups(labels, "gray")
    place = {label: g for g, label in enumerate(labels)}
    code = frame["group"].map(place).to_numpy()
    k = len(labels)
    score, covariance = np.zeros(k), np.zeros((k, k))
    n = frame["n"].to_numpy()
    time = frame["time"].to_numpy()
    stratum, levels = columns.labels(frame["stratum"], "strata")
    for level in range(len(levels)):
        here = stratum == level
        z, v = _stratum(time[here], code[here], status[here], n[here], k, cause, float(rho))
        score, covariance = score + z, covariance + v
    compared = np.flatnonzero(np.diag(covariance) > 0)[1:]
    statistic = 0.0
    if compared.size:
        part = covariance[np.ix_(compared, compared)]
        if np.linalg.matrix_rank(part) < compared.size:
            raise DataError(
                "each group must be at risk together with another at some event",
                values={"groups": labels},
                remedy="merge groups or strata",
            )
        statistic = float(score[compared] @ np.linalg.solve(part, score[compared]))
    df = int(compared.size)
    events = np.bincount(code, weights=n * (status == cause), minlength=k).astype(np.int64)
    total = np.bincount(code, weights=n, minlength=k).astype(np.int64)
    return GrayTest(
        table=pd.DataFrame({"group": labels, "n": total, "events": events, "score": score}),
        statistic=statistic,
        df=df,
        p_value=float(chdtrc(df, statistic)) if df else float("nan"),
        covariance=covariance,
        cause=int(cause),
    )


def _stratum(
    time: Floats,
    code: NDArray[Any],
    status: NDArray[Any],
    n: NDArray[Any],
    k: int,
    cause: int,
    rho: float,
) -> tuple[Floats, Floats]:
    """Score and covariance of one stratum."""
    grid, place = np.unique(time, return_inverse=True)
    shape = (k, grid.size)

    def count(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        cell = code[rows] * grid.size + place[rows]
        sums = np.bincount(cell, weights=n[rows], minlength=k * grid.size)
        return sums.astype(np.int64).reshape(shape)

    exits = count(np.ones(time.size, dtype=np.bool_))
    at_risk = np.ascontiguousarray(np.cumsum(exits[:, ::-1], axis=1)[:, ::-1])
    fail, other = count(status == cause), count((status > 0) & (status != cause))
    score, covariance = np.empty(k), np.empty((k, k))
    gray_sums(at_risk, fail, other, rho, score, covariance)
    return score, covariance
