r"""MaxCombo: the largest of four Fleming-Harrington tests, judged by their joint distribution.

With :math:`U_a=\sum\omega_a(D_1-D\,Y_1/Y)` for the weights :math:`\omega_a=S(s-)^{\rho}(1-S(s-))^{\gamma}`,
(ρ, γ) in {(0,0), (1,0), (0,1), (1,1)}, the covariance of two of them is the hypergeometric

.. math:: \operatorname{Cov}(U_a,U_b)=\sum_s \omega_a\omega_b\,\frac{D(Y-D)}{Y-1}\,\frac{Y_0Y_1}{Y^2},

(with weights the robust one, :math:`\sum_i w_i^2 r_{ai}r_{bi}` over the score residuals), and the
statistic is :math:`c=\max_a|U_a|/\sqrt{V_{aa}}`, with p-value :math:`1-P(|Z_a|\le c\ \text{for all }
a)` for Z jointly normal. Since the first weight is the sum of the second and third, that is a normal
integral over a polygon, which is computed by Gauss-Legendre rules between its corners: no simulation,
the same number in every run.

Sources: Lee 2007; Karrison 2016; Lin, Lin, Roychoudhury and others 2020.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import two_sided_p
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.inputs import Source, as_risk_table, require_two_groups
from fiac_survival.survival.logrank import compare_stratum, with_codes

Floats = NDArray[np.float64]

EXPONENTS = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
NODES = 60
FAR = 9.0


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MaxCombo(Result):
    """The largest of four weighted log-rank tests.

    Attributes
    ----------
    table : DataFrame
        rho, gamma, z (positive: the second group has more events than expected), p_value (of that test
        alone).
    statistic : float
        Largest absolute z.
    p_value : float
        Of the largest, from the joint distribution.
    correlation : (4, 4) float64
        Of the four tests; NaN where a test has no variance.
    """

    statistic: float
    p_value: float
    correlation: Floats


@single_threaded_blas
def maxcombo(y: Source, group: Any = None, *, strata: Any = None, weights: Any = None) -> MaxCombo:
    """Test whether two groups have the same hazard, against early, late and middle differences.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    group : array-like, shape (n,)
        Labels of two groups.
    strata : array-like, shape (n,), optional
        Labels; groups are compared within strata.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known; the covariance is then robust.

    Returns
    -------
    MaxCombo
        The four tests, the largest, and its p-value.

    Raises
    ------
    DataError
        If there are not two groups, no event, or the groups are never at risk together.

    References
    ----------
    Lee JW. On the versatility of the combination of the weighted log-rank statistics. Comput Stat
    Data Anal 2007;51:6557-6564.
    Karrison TG. Versatile tests for comparing survival curves based on weighted log-rank statistics.
    Stata J 2016;16:678-690.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> test = fs.survival.maxcombo(y, ["a", "a", "a", "b", "b", "b"])
    >>> round(test.statistic, 3), round(test.p_value, 3)
    (1.444, 0.255)
    """
    if isinstance(y, Outcome):
        y.require_binary("maxcombo", "gray")
        y.require_events("maxcombo")
        table = RiskTable.from_outcome(y, group=group, weights=weights, strata=strata)
    else:
        table = as_risk_table(y, "maxcombo", group=group, weights=weights, strata=strata)
    labels = table.groups
    require_two_groups(labels, "maxcombo")
    if len(labels) > 2:
        raise DataError(
            "maxcombo compares two groups",
            values={"groups": labels},
            remedy="compare them in pairs (for more groups the joint distribution is no polygon's "
            "integral), or use logrank",
        )
    score, covariance = np.zeros(4), np.zeros((4, 4))
    for _, cells in with_codes(table).groupby("stratum", sort=True):
        found = compare_stratum(cells, 2)
        if found is None:
            continue
        omega = np.stack([found.omega(*pair) for pair in EXPONENTS])
        for a in range(4):
            observed, expected = found.scores(omega[a])
            score[a] += observed[1] - expected[1]
        if table.weighted:
            residual = np.stack([found.residuals(omega[a])[1] for a in range(4)])
            covariance += (residual * cells["weight_sq"].to_numpy()) @ residual.T
        else:
            each = found.spread * found.share[0] * found.share[1]
            covariance += (omega * each) @ omega.T
    spread = np.sqrt(np.diag(covariance))
    if not spread[0] > 0:
        raise DataError(
            "the groups must be at risk together at some event",
            values={"groups": labels},
            remedy="their follow-up does not overlap (within strata), or no event occurs",
        )
    known = spread > 1e-10 * spread[0]
    z = np.full(4, np.nan)
    z[known] = score[known] / spread[known]
    scale = np.where(known, spread, np.nan)
    largest = float(np.nanmax(np.abs(z)))
    return MaxCombo(
        table=pd.DataFrame(
            {
                "rho": [pair[0] for pair in EXPONENTS],
                "gamma": [pair[1] for pair in EXPONENTS],
                "z": z,
                "p_value": [two_sided_p(value) for value in z],
            }
        ),
        statistic=largest,
        p_value=float(np.clip(1.0 - _inside(covariance, largest), 0.0, 1.0)),
        correlation=covariance / np.outer(scale, scale),
    )


def _inside(covariance: Floats, c: float) -> float:
    """Probability that all four tests stay within ±c."""
    s00, s10, s01, s11 = np.sqrt(np.diag(covariance))
    if s01 <= 1e-10 * s00 or s10 <= 1e-10 * s00:
        # One event time: the four tests are one.
        return float(1.0 - two_sided_p(c))
    slope = covariance[1, 2] / s10
    rest = np.sqrt(max(s01**2 - slope**2, (1e-9 * s01) ** 2))
    load = covariance[3, 1] / s10
    other = (covariance[3, 2] - slope * load) / rest
    own = np.sqrt(max(s11**2 - load**2 - other**2, (1e-9 * s11) ** 2))
    # The first is the sum of the second (s10 u) and the third (slope u + rest v).
    lines = ((s01, slope), (s00, s10 + slope))
    corners = [c * (s01 - s00) / s10, c * (s01 + s00) / s10]
    corners += [c * width / abs(tilt) for width, tilt in lines if tilt != 0.0]
    inner = sorted({x for at in corners for x in (at, -at) if abs(x) < c})
    node, mass = np.polynomial.legendre.leggauss(NODES)
    total = 0.0
    for left, right in pairwise([-c, *inner, c]):
        u = (left + right) / 2.0 + (right - left) / 2.0 * node
        low = np.max([(-c * width - tilt * u) / rest for width, tilt in lines], axis=0)
        high = np.min([(c * width - tilt * u) / rest for width, tilt in lines], axis=0)
        low, high = np.clip(low, -FAR, FAR), np.clip(high, -FAR, FAR)
        half = np.maximum(high - low, 0.0) / 2.0
        v = (low + high)[:, None] / 2.0 + half[:, None] * node
        centre = load * u[:, None] + other * v
        within = ndtr((c * s11 - centre) / own) - ndtr((-c * s11 - centre) / own)
        density = np.exp(-(v**2) / 2.0) * within
        line = (density @ mass) * half * np.exp(-(u**2) / 2.0)
        total += float(line @ mass) * (right - left) / 2.0
    return total / (2.0 * np.pi)
