r"""Agreement of two measurements of the same thing: Bland-Altman limits and intraclass correlation.

With differences :math:`d_i` (public minus private), mean :math:`\bar d` (bias) and standard deviation s,
95 % of differences lie within the limits :math:`\bar d\pm z s` if they are normal; the standard error of a
limit is :math:`s\sqrt{1/n+z^2/(2(n-1))}`. The intraclass correlation is that of absolute agreement of
single measurements, two-way random effects, ICC(A,1): with mean squares of rows (patients), columns
(sources) and the rest, for k columns,

.. math:: ICC=\frac{MS_R-MS_E}{MS_R+(k-1)MS_E+k(MS_C-MS_E)/n},

interval by the F distribution with Satterthwaite's degrees of freedom. It falls with a systematic shift,
and it rises with the spread of patients: the same days of error give another ICC in another cohort.

Source: Bland and Altman 1999; Shrout and Fleiss 1979; McGraw and Wong 1996.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtri, stdtrit

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
FEWEST = 3


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PairedAgreement(Result):
    """Agreement of two measurements of the same patients.

    Attributes
    ----------
    table : DataFrame
        quantity ("bias", "lower limit", "upper limit", "intraclass correlation"), estimate, lower,
        upper.
    bias : float
        Mean of public minus private.
    std_dev : float
        Standard deviation of the differences.
    limits : tuple of float
        Bland-Altman limits of agreement.
    icc : float
        Intraclass correlation of absolute agreement; NaN if nothing varies.
    n : int
        Pairs used.
    """

    bias: float
    std_dev: float
    limits: tuple[float, float]
    icc: float
    n: int


def paired_agreement(private: Any, public: Any, *, level: float = 0.95) -> PairedAgreement:
    """Compare two measurements of the same patients, a duration in two sources say.

    Parameters
    ----------
    private, public : array-like of float, shape (n,)
        One value per patient in the same order; pairs with a missing value are left out.
    level : float, default 0.95
        Of the limits and of all intervals.

    Returns
    -------
    PairedAgreement
        Bias, limits of agreement and intraclass correlation, each with its interval.

    Raises
    ------
    DataError
        If fewer than three pairs are complete.

    References
    ----------
    Bland JM, Altman DG. Measuring agreement in method comparison studies. Stat Methods Med Res
    1999;8:135-160.
    McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients. Psychol
    Methods 1996;1:30-46.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.compare.paired_agreement([300, 328, 340, 210], [295, 320, 342, 200])
    >>> found.bias, round(found.icc, 3)
    (-5.25, 0.993)
    """
    z = normal_quantile(level)
    a = columns.numeric(private, "private")
    b = columns.numeric(public, "public", n=a.size)
    complete = ~(np.isnan(a) | np.isnan(b))
    x = np.column_stack([a[complete], b[complete]])
    n = x.shape[0]
    columns.require_finite(x, "private and public")
    if n < FEWEST:
        raise DataError(
            f"agreement of measurements needs at least {FEWEST} complete pairs",
            values={"pairs": n},
            remedy="check that both columns are of the same patients in the same order",
        )
    d = x[:, 1] - x[:, 0]
    bias, s = float(d.mean()), float(d.std(ddof=1))
    t = float(stdtrit(n - 1, 0.5 + level / 2.0))
    low, high = bias - z * s, bias + z * s
    limit_error = s * np.sqrt(1.0 / n + z * z / (2.0 * (n - 1)))
    icc = intraclass_correlation(x, level=level)
    rows = [
        ("bias", bias, bias - t * s / np.sqrt(n), bias + t * s / np.sqrt(n)),
        ("lower limit", low, low - t * limit_error, low + t * limit_error),
        ("upper limit", high, high - t * limit_error, high + t * limit_error),
        ("intraclass correlation", *icc),
    ]
    return PairedAgreement(
        table=pd.DataFrame(rows, columns=["quantity", "estimate", "lower", "upper"]),
        bias=bias,
        std_dev=s,
        limits=(low, high),
        icc=icc[0],
        n=n,
    )


def intraclass_correlation(x: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """Compute ICC(A,1) with its interval.

    Parameters
    ----------
    x : (n, k) float64
        Rows are patients, columns measurements.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    estimate, lower, upper : float
        NaN if nothing varies.
    """
    n, k = x.shape
    mean = x.mean()
    rows, cols = x.mean(axis=1), x.mean(axis=0)
    ms_rows = float(k * np.sum((rows - mean) ** 2) / (n - 1))
    ms_cols = float(n * np.sum((cols - mean) ** 2) / (k - 1))
    rest = x - rows[:, None] - cols + mean
    ms_rest = float(np.sum(rest**2) / ((n - 1) * (k - 1)))
    bottom = ms_rows + (k - 1) * ms_rest + k * (ms_cols - ms_rest) / n
    if bottom <= 0.0:
        return float("nan"), float("nan"), float("nan")
    icc = (ms_rows - ms_rest) / bottom
    if ms_rest == 0.0 and ms_cols == 0.0:
        return 1.0, 1.0, 1.0
    a, b = k * icc / (n * (1.0 - icc)), 1.0 + k * icc * (n - 1) / (n * (1.0 - icc))
    parts = (a * ms_cols) ** 2 / (k - 1) + (b * ms_rest) ** 2 / ((n - 1) * (k - 1))
    freedom = (a * ms_cols + b * ms_rest) ** 2 / parts
    tail = 0.5 + level / 2.0
    f_low = float(fdtri(n - 1, freedom, tail))
    f_high = float(fdtri(freedom, n - 1, tail))
    mixed = k * ms_cols + (k * n - k - n) * ms_rest
    lower = n * (ms_rows - f_low * ms_rest) / (f_low * mixed + n * ms_rows)
    upper = n * (f_high * ms_rows - ms_rest) / (mixed + n * f_high * ms_rows)
    return icc, lower, upper
