r"""The Cox model with a ridge penalty.

β maximises :math:`\ell(\beta)-\tfrac{\theta}{2}\sum_j s_j\beta_j^2` over the penalised covariates, with
:math:`s_j=1`, or the variance of the covariate so that the penalty does not depend on its unit. With the
information I of the likelihood and :math:`H=I+\theta\,\mathrm{diag}(s)`:

* the covariance is :math:`H^{-1}` (a Bayesian one, with the penalty as prior; R's ``var``) and the
  sandwich :math:`H^{-1}IH^{-1}` is the sampling covariance at fixed θ (R's ``var2``);
* the effective degrees of freedom are :math:`\operatorname{tr}(H^{-1}I)`.

θ is given, or found so that the effective degrees of freedom are what is asked for. These are the
conventions of R's ``ridge`` within ``coxph``. Penalised coefficients are biased towards 0: their
intervals do not cover like those of ``cox``.

Sources: Gray 1992; Verweij and van Houwelingen 1994; Therneau and Grambsch 2000, chapter 5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc

from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import CoxModel, Ties
from fiac_survival.survival.cox_fit import Pass, SortedRows, maximise, sort_rows
from fiac_survival.survival.cox_tests import coefficient_table, require_rows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RidgeCoxModel(CoxModel):
    """A Cox model with a ridge penalty.

    Attributes
    ----------
    theta : float
        The penalty.
    degrees_of_freedom : float
        Effective number of coefficients.
    sampling_covariance : DataFrame
        The sandwich; ``covariance`` is the inverse of the penalised information.
    penalised : list of str
        Covariates that are penalised.
    """

    theta: float
    degrees_of_freedom: float
    sampling_covariance: pd.DataFrame
    penalised: list[str]


@single_threaded_blas
def cox_ridge(
    y: Outcome,
    X: Any,
    *,
    data: Any = None,
    theta: float | None = None,
    degrees_of_freedom: float | None = None,
    scale: bool = True,
    penalise: list[str] | None = None,
    ties: Ties = "efron",
    strata: Any = None,
    weights: Any = None,
    level: float = 0.95,
) -> RidgeCoxModel:
    """Fit a Cox model with a ridge penalty.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    data : DataFrame, optional
        The table that a formula refers to.
    theta : float, optional
        The penalty; 0 is none.
    degrees_of_freedom : float, optional
        Instead of `theta`: the effective number of penalised coefficients, between 0 and their number.
    scale : bool, default True
        Multiply the penalty of each covariate by its variance.
    penalise : list of str, optional
        Columns of the design to penalise; left out: all.
    ties : {"efron", "breslow"}, default "efron"
        Treatment of tied events.
    strata, weights
        As in :func:`fiac_survival.survival.cox`; the variance takes weights as frequencies.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    RidgeCoxModel
        Coefficients and all that a Cox model gives; its likelihood ratio test takes the effective
        degrees of freedom.

    Raises
    ------
    DataError
        If neither or both of `theta` and `degrees_of_freedom` are given, or they are out of range.
    ConvergenceError
        If the penalised likelihood is not maximised.

    References
    ----------
    Gray RJ. Flexible methods for analyzing survival data using splines. JASA 1992;87:942-951.
    Verweij PJM, van Houwelingen HC. Penalized likelihood in Cox regression. Stat Med
    1994;13:2427-2436.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> X = pd.DataFrame({"grade": [1, 2, 1, 0, 1, 0]})
    >>> model = fs.survival.cox_ridge(y, X, theta=2.0)
    >>> round(float(model.coef["grade"]), 3), round(model.degrees_of_freedom, 3)
    (0.725, 0.633)
    """
    require_choice(ties, Ties, "ties")
    normal_quantile(level)
    require_rows(y, "cox_ridge")
    n = len(y)
    weight = None if weights is None else require_positive_weights(weights, n)
    design = make_design(X, data, n=n)
    chosen = _penalised(design, penalise)
    _require_one(theta, degrees_of_freedom, len(chosen))
    rows = sort_rows(y, design, weight=weight, strata=strata, efron=ties == "efron")
    size = np.zeros(len(design.columns))
    size[chosen] = 1.0 / rows.scale[chosen] ** 2
    if scale:
        size[chosen] *= design.values[:, chosen].var(axis=0, ddof=1)
    if theta is None:
        assert degrees_of_freedom is not None
        theta = _theta_for(rows, design, size, chosen, degrees_of_freedom)
    return _fitted(y, rows, design, size, chosen, theta, ties=ties, level=level)


def _penalised(design: Design, names: list[str] | None) -> list[int]:
    if names is None:
        return list(range(len(design.columns)))
    unknown = [name for name in names if name not in design.columns]
    if unknown or not names:
        raise DataError(
            "penalise must name columns of the design",
            values={"unknown": unknown, "columns": design.columns},
            remedy="leave it out to penalise all",
        )
    return [design.columns.index(name) for name in names]


def _require_one(theta: float | None, df: float | None, p: int) -> None:
    if (theta is None) == (df is None):
        raise DataError(
            "either theta or degrees_of_freedom must be given",
            values={"theta": theta, "degrees_of_freedom": df},
            remedy="pass theta=1.0, say",
        )
    if theta is not None and not (np.isfinite(theta) and theta >= 0):
        raise DataError("theta must not be negative", values={"theta": theta}, remedy="theta=1.0")
    if df is not None and not 0 < df < p:
        raise DataError(
            "degrees_of_freedom must lie between 0 and the number of penalised covariates",
            values={"degrees_of_freedom": df, "penalised": p},
            remedy="without a penalty use cox",
        )


def _degrees(end: Pass, ridge: Floats, chosen: list[int]) -> float:
    """Effective number of the chosen coefficients."""
    share = np.linalg.solve(end.information + np.diag(ridge), end.information)
    return float(np.trace(share[np.ix_(chosen, chosen)]))


def _theta_for(
    rows: SortedRows, design: Design, size: Floats, chosen: list[int], df: float
) -> float:
    """Find the penalty with the effective degrees of freedom asked for."""

    def excess(log_theta: float) -> float:
        ridge = size * np.exp(log_theta)
        _, end, _ = maximise(rows, design, penalty=ridge)
        return _degrees(end, ridge, chosen) - df

    centre = float(np.log(len(rows.event) / 10.0))
    low, high = centre - 2.0, centre + 2.0
    while excess(low) < 0 and low > centre - 40.0:
        low -= 4.0
    while excess(high) > 0 and high < centre + 40.0:
        high += 4.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-10, rtol=1e-10)))


def _fitted(
    y: Outcome,
    rows: SortedRows,
    design: Design,
    size: Floats,
    chosen: list[int],
    theta: float,
    *,
    ties: Ties,
    level: float,
) -> RidgeCoxModel:
    ridge = size * theta
    start, end, n_iter = maximise(rows, design, penalty=ridge)
    unscale = np.outer(1.0 / rows.scale, 1.0 / rows.scale)
    inverse = np.linalg.inv(end.information + np.diag(ridge))
    covariance = inverse * unscale
    beta = end.beta / rows.scale
    names = design.columns
    df = float(np.trace(inverse @ end.information))
    found = {
        "likelihood ratio": 2.0 * (end.log_likelihood - start.log_likelihood),
        "wald": float(beta @ np.linalg.solve(covariance, beta)),
    }
    gradient = end.score - ridge * end.beta

    def named(matrix: Floats) -> pd.DataFrame:
        return pd.DataFrame(matrix, index=names, columns=names)

    return RidgeCoxModel(
        table=coefficient_table(names, beta, covariance, level),
        n_iter=n_iter,
        gradient_norm=float(np.max(np.abs(gradient) * np.sqrt(np.diag(inverse)))),
        coef=pd.Series(beta, index=names, name="coef"),
        covariance=named(covariance),
        model_covariance=named(covariance),
        sampling_covariance=named(inverse @ end.information @ inverse * unscale),
        log_likelihood=end.log_likelihood,
        log_likelihood_null=start.log_likelihood,
        tests=pd.DataFrame(
            {
                "test": list(found),
                "statistic": list(found.values()),
                "df": df,
                "p_value": [float(chdtrc(df, value)) for value in found.values()],
            }
        ),
        n=len(y),
        n_event=int(np.count_nonzero(y.event)),
        ties=ties,
        variance="penalised",
        level=level,
        theta=float(theta),
        degrees_of_freedom=df,
        penalised=[names[j] for j in chosen],
        _rows=rows,
        _end=end,
        _design=design,
    )
