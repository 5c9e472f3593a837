r"""Aalen's additive hazards model.

The hazard of a patient with covariates :math:`x_i` (a leading 1 among them) is :math:`x_i'\beta(t)`, with
coefficients that may change at any time. With X the rows at risk at t,
:math:`dB(t)=(X'X)^{-1}\sum_{i} x_i\,dN_i(t)`; events at one time are taken one by one with the same X, and
the covariance of B(t) is :math:`\sum dB\,dB'` over events. B is estimated up to the last event time with
enough rows at risk and X of full rank.

A coefficient's test adds its increments with weights :math:`K(t)`: "aalen", one over the diagonal of
:math:`(X'X)^{-1}`, or "n_risk", the number at risk; :math:`Z=\sum K\,dB`, covariance
:math:`\sum (K\,dB)(K\,dB)'`. ``coef`` is :math:`Z/\sum K`, a mean increment per event. ``slope`` is
:math:`\sum t\,Z(t)/\sum K t^2` over events, a mean excess hazard per unit of time.

Sources: Aalen 1989; Therneau and Grambsch 2000. Conventions of R's ``aareg``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import (
    normal_quantile,
    require_choice,
    two_sided_p,
)
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.additive import risk_set_products
from fiac_survival.survival.cox_fit import SortedRows, sort_rows
from fiac_survival.survival.cox_tests import require_rows
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]
AdditiveTest = Literal["aalen", "n_risk"]

SMALLEST_EIGENVALUE = 1e-9


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class AdditiveModel(Result):
    """A fitted additive model.

    Attributes
    ----------
    table : DataFrame
        term (Intercept first), slope, coef, std_error (of coef), z, p_value.
    cumulative : DataFrame
        time, term, estimate, std_error, lower, upper: cumulative coefficients at event times.
    statistic, df, p_value : float, int, float
        Test that no covariate matters.
    test : str
        Weights of the tests.
    last_time : float
        Where the estimates end.
    n, n_event : int
        Rows; events up to there.
    level : float
        Confidence level.
    """

    cumulative: pd.DataFrame
    statistic: float
    df: int
    p_value: float
    test: AdditiveTest
    last_time: float
    n: int
    n_event: int
    level: float
    _time: Floats = field(repr=False)
    _increments: Floats = field(repr=False)
    _design: Design = field(repr=False)

    def at(self, times: Any) -> pd.DataFrame:
        """Read the cumulative coefficients at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times.

        Returns
        -------
        DataFrame
            The columns of `cumulative`; NaN beyond the last time.
        """
        names = ["Intercept", *self._design.columns]
        moments = times_array(times)
        return _cumulative(names, self._time, self._increments, moments, self.level)

    def predict_survival(self, X: Any, times: Any) -> pd.DataFrame:
        """Predict survival curves of new patients.

        Parameters
        ----------
        X : DataFrame or 2-D array, shape (m, p)
            Covariates, or the columns that the model's formula refers to.
        times : float or array-like of float
            Times.

        Returns
        -------
        DataFrame
            row, time, survival exp(-x'B), std_error, lower, upper (log scale). It may exceed 1 or rise:
            nothing keeps an additive hazard above 0. NaN beyond the last time.

        Raises
        ------
        DataError
            If a column is missing.
        """
        new = self._design.again(X)
        x = np.column_stack([np.ones(len(new)), new])
        moments = times_array(times)
        hazards, variances = _sums(x @ self._increments.T, self._time, moments)
        survival, spread = np.exp(-hazards), np.sqrt(variances)
        z = normal_quantile(self.level)
        beyond = np.broadcast_to(moments > self.last_time, survival.shape)
        values = {
            "survival": survival,
            "std_error": survival * spread,
            "lower": survival * np.exp(-z * spread),
            "upper": survival * np.exp(z * spread),
        }
        table = {name: np.where(beyond, np.nan, each).ravel() for name, each in values.items()}
        rows = np.repeat(np.arange(len(x)), moments.size)
        return pd.DataFrame({"row": rows, "time": np.tile(moments, len(x)), **table})


@single_threaded_blas
def aalen_additive(
    y: Outcome,
    X: Any,
    *,
    data: Any = None,
    test: AdditiveTest = "aalen",
    min_at_risk: int | None = None,
    level: float = 0.95,
) -> AdditiveModel:
    """Fit Aalen's additive hazards model.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates without intercept, or a formula.
    data : DataFrame, optional
        The table that a formula refers to.
    test : {"aalen", "n_risk"}, default "aalen"
        Weights of the tests.
    min_at_risk : int, optional
        Rows that must be at risk; left out: three times the number of covariates, as in R.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    AdditiveModel
        Tests, cumulative coefficients and predictions.

    Raises
    ------
    DataError
        If a covariate is redundant, or risk sets are too small or without full rank.

    References
    ----------
    Aalen OO. A linear regression model for the analysis of life times. Stat Med 1989;8:907-925.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> model = fs.survival.aalen_additive(y, [[1], [2], [1], [0], [1], [0]], min_at_risk=2)
    >>> model.at(5)["estimate"].round(3).tolist()
    [0.17, 0.585]
    """
    require_choice(test, AdditiveTest, "test")
    normal_quantile(level)
    require_rows(y, "aalen_additive")
    design = make_design(X, data, n=len(y))
    p = len(design.columns)
    if min_at_risk is not None and not min_at_risk >= 1:
        raise DataError(
            "min_at_risk must be at least 1",
            values={"min_at_risk": min_at_risk},
            remedy="leave it out for three times the number of covariates",
        )
    rows = sort_rows(y, design, weight=None, strata=None, efron=False)
    least = 3 * p if min_at_risk is None else min_at_risk
    time, increments, inverse, at_risk = _increments(rows, least)
    match test:
        case "aalen":
            weight = 1.0 / np.diagonal(inverse, axis1=1, axis2=2)
        case "n_risk":
            weight = np.repeat(at_risk[:, None], p + 1, axis=1)
        case _:
            assert_never(test)
    weighted = weight * increments
    total, covariance = weighted.sum(axis=0), weighted.T @ weighted
    scale, std_error = weight.sum(axis=0), np.sqrt(np.diag(covariance))
    slope = (np.cumsum(weighted, axis=0) * time[:, None]).sum(axis=0)
    try:
        statistic = float(total[1:] @ np.linalg.solve(covariance[1:, 1:], total[1:]))
    except np.linalg.LinAlgError as cause:
        raise DataError(
            "a test needs at least as many events as covariates",
            values={"events": len(time), "covariates": p},
            remedy="take fewer covariates, or a smaller min_at_risk",
        ) from cause
    names = ["Intercept", *design.columns]
    return AdditiveModel(
        table=pd.DataFrame(
            {
                "term": names,
                "slope": slope / (weight * time[:, None] ** 2).sum(axis=0),
                "coef": total / scale,
                "std_error": std_error / scale,
                "z": total / std_error,
                "p_value": [two_sided_p(v) for v in total / std_error],
            }
        ),
        cumulative=_cumulative(names, time, increments, np.unique(time), level),
        statistic=statistic,
        df=p,
        p_value=float(chdtrc(p, statistic)),
        test=test,
        last_time=float(time[-1]),
        n=len(y),
        n_event=len(time),
        level=level,
        _time=time,
        _increments=increments,
        _design=design,
    )


def _increments(rows: SortedRows, least: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Time, increment of B, inverse of X'X and number at risk of each event, in order of time."""
    x = np.column_stack([np.ones(len(rows.x)), rows.x])
    blocks, q = rows.block_time.size, x.shape[1]
    gram, count = np.empty((blocks, q, q)), np.empty(blocks, dtype=np.int64)
    risk_set_products(x, rows.start, rows.stop, rows.by_start, gram, count)
    usable = (count >= least) & _full_rank(gram, count)
    if not usable.any():
        raise DataError(
            "some risk set must be large enough and of full rank",
            values={"min_at_risk": least, "largest risk set": int(count.max())},
            remedy="take fewer covariates, or a smaller min_at_risk",
        )
    last = int(np.flatnonzero(usable)[-1])
    gap = np.flatnonzero(~usable[:last])
    if gap.size:
        raise DataError(
            "each risk set before the last must be large enough and of full rank",
            values={"time": rows.block_time[gap[0]], "at risk": int(count[gap[0]])},
            remedy="take fewer covariates, or start follow-up later (delayed entry leaves few at risk)",
        )
    block = rows.stop - 1
    happened = np.flatnonzero(rows.event & (rows.start < rows.stop) & (block <= last))
    block = block[happened]
    # Back to the covariates' own scale: x = centre + scale * z.
    back = np.diag(np.concatenate([[1.0], 1.0 / rows.scale]))
    back[0, 1:] = -rows.centre / rows.scale
    inverse = back @ np.linalg.inv(gram[: last + 1]) @ back.T
    own = np.column_stack([np.ones(happened.size), rows.x[happened] * rows.scale + rows.centre])
    step = (inverse[block] @ own[:, :, None])[:, :, 0]
    return rows.block_time[block], step, inverse[block], count[block].astype(np.float64)


def _full_rank(gram: Floats, count: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the standardised covariates vary independently in each risk set."""
    smallest = np.linalg.eigvalsh(gram)[:, 0]
    return np.asarray(smallest > SMALLEST_EIGENVALUE * np.maximum(count, 1))


def _sums(steps: Floats, time: Floats, moments: Floats) -> tuple[Floats, Floats]:
    """Add steps, and of their squares, up to given times; shape (m, k)."""
    place = np.searchsorted(time, moments, side="right")
    start = np.zeros((len(steps), 1))
    whole = np.hstack([start, np.cumsum(steps, axis=1)])
    squares = np.hstack([start, np.cumsum(steps**2, axis=1)])
    return whole[:, place], squares[:, place]


def _cumulative(
    names: list[str], time: Floats, increments: Floats, moments: Floats, level: float
) -> pd.DataFrame:
    estimate, variance = _sums(increments.T, time, moments)
    std_error, z = np.sqrt(variance), normal_quantile(level)
    values = {
        "estimate": estimate,
        "std_error": std_error,
        "lower": estimate - z * std_error,
        "upper": estimate + z * std_error,
    }
    beyond = np.broadcast_to(moments > time[-1], estimate.shape)
    table = {name: np.where(beyond, np.nan, each).T.ravel() for name, each in values.items()}
    return pd.DataFrame(
        {"time": np.repeat(moments, len(names)), "term": np.tile(names, moments.size), **table}
    )
