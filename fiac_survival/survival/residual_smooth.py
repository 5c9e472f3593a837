r"""A smooth through residuals, with its interval: what a residual plot draws.

Residuals :math:`r_i` against :math:`x_i` (Schoenfeld against time, martingale or deviance against a
covariate) are regressed on a natural cubic spline of x by least squares, knots at quantiles of x. With B
the basis and :math:`\hat\sigma^2` the residual variance, the band at x is
:math:`b(x)'\hat\gamma\pm t\,\hat\sigma\sqrt{b(x)'(B'B)^{-1}b(x)}`, as R's ``plot.cox.zph`` has it. A curve
that stays within its band of 0 (Schoenfeld, not scaled: of 0; scaled: of the coefficient) shows no
departure; the band is pointwise and supposes equal variances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.spline_model import spline_basis


@single_threaded_blas
def smooth_residuals(
    residuals: Any, x: Any, *, df: int = 4, points: int = 80, level: float = 0.95
) -> pd.DataFrame:
    """Smooth residuals against time or a covariate.

    Parameters
    ----------
    residuals : DataFrame or array-like of float, shape (n, q) or (n,)
        One column a term.
    x : array-like of float, shape (n,)
        Time or covariate.
    df : int, default 4
        Degrees of freedom of the spline; 1 is a straight line.
    points : int, default 80
        Points of the curve.
    level : float, default 0.95
        Confidence level of the band.

    Returns
    -------
    DataFrame
        term, kind ("residual" or "smooth"), x, residual, lower, upper (NaN for residuals), as
        :func:`fiac_survival.report.residual_figure` draws it.

    Raises
    ------
    DataError
        If x has fewer distinct values than the spline needs, or a value is not finite.

    References
    ----------
    Grambsch PM, Therneau TM. Proportional hazards tests and diagnostics based on weighted residuals.
    Biometrika 1994;81:515-526.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = fs.survival.smooth_residuals([0.1, -0.2, 0.3, 0.0, -0.1], [1, 2, 3, 4, 5], df=1)
    >>> table[table["kind"] == "smooth"]["residual"].iloc[[0, -1]].round(2).tolist()
    [0.06, -0.02]
    """
    normal_quantile(level)
    at = columns.require_finite(columns.numeric(x, "x"), "x")
    values, names = columns.matrix(residuals, "residuals", n=at.size)
    if np.ndim(residuals) == 1:
        names = ["residual"]
    if df < 1 or points < 2:
        raise DataError("df must be at least 1, points 2", values={"df": df, "points": points})
    distinct = np.unique(at)
    if distinct.size < df + 2 or at.size < df + 3:
        raise DataError(
            "a smooth needs more distinct values of x than degrees of freedom",
            values={"distinct": int(distinct.size), "df": df},
            remedy="lower df",
        )
    knots = np.unique(np.quantile(at, np.linspace(0.0, 1.0, df + 1)))
    centre, unit = float(at.mean()), float(np.ptp(at))
    grid = np.linspace(at.min(), at.max(), points)

    def basis(where: Any) -> Any:
        inner = spline_basis((where - centre) / unit, (knots - centre) / unit)[0]
        return np.column_stack([np.ones(where.size), inner])

    fitted, curve = basis(at), basis(grid)
    inverse = np.linalg.inv(fitted.T @ fitted)
    free = at.size - fitted.shape[1]
    reach = np.sqrt(np.einsum("ij,jk,ik->i", curve, inverse, curve))
    quantile = float(stats.t.ppf(0.5 + level / 2.0, free))
    parts = []
    for name, column in zip(names, values.T, strict=True):
        gamma = inverse @ (fitted.T @ column)
        sigma = float(np.sqrt(np.sum((column - fitted @ gamma) ** 2) / free))
        smooth, half = curve @ gamma, quantile * sigma * reach
        parts.append(
            pd.DataFrame(
                {
                    "term": name,
                    "kind": np.repeat(["residual", "smooth"], [at.size, points]),
                    "x": np.concatenate([at, grid]),
                    "residual": np.concatenate([column, smooth]),
                    "lower": np.concatenate([np.full(at.size, np.nan), smooth - half]),
                    "upper": np.concatenate([np.full(at.size, np.nan), smooth + half]),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
