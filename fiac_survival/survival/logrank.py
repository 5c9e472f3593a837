r"""The log-rank family: Fleming-Harrington weights, strata, case weights, k groups.

At each event time s of a stratum, with D(s) events among Y(s) at risk, of whom :math:`Y_g(s)` in group
g, and with the pooled left-continuous Kaplan-Meier curve S(s-) of the stratum,

.. math:: \omega(s)=S(s-)^{\rho}(1-S(s-))^{\gamma}, \qquad
          O_g=\sum_s \omega D_g, \qquad E_g=\sum_s \omega D\,Y_g/Y,

.. math:: V_{gh}=\sum_s \omega^2\,\frac{D(Y-D)}{Y-1}\,\frac{Y_g}{Y}\Bigl(1\{g=h\}-\frac{Y_h}{Y}\Bigr),

and :math:`(O-E)'V^-(O-E)` is chi-squared on k-1 degrees of freedom. With case weights the counts are
weighted and V is the robust :math:`\sum_i w_i^2 r_i r_i'` with the score residuals
:math:`r_i=\int \omega\,(Z_i-\bar z)(dN_i-Y_i\,d\Lambda)`, never the hypergeometric variance.

ρ=γ=0 is the log-rank test, ρ=1 Peto and Peto's Wilcoxon; the conventions are those of R's ``survdiff``.
Sources: Fleming and Harrington 1991; Lin and Wei 1989 for the robust variance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from fiac_survival.kernels.step_curves import product_limit, sum_at_risk
from fiac_survival.survival.inputs import Source, as_risk_table, require_two_groups
from fiac_survival.survival.steps import place

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LogRank(Result):
    """A test of equal hazards.

    Attributes
    ----------
    table : DataFrame
        group, n, observed, expected; the last two carry the weights ω.
    statistic : float
        Chi-squared statistic.
    df : int
        Degrees of freedom.
    p_value : float
        Upper tail.
    covariance : (k, k) float64
        Of observed minus expected.
    variance : str
        "hypergeometric" or "robust".
    """

    statistic: float
    df: int
    p_value: float
    covariance: Floats
    variance: str

    def trend(self, scores: Any = None) -> LogRank:
        r"""Test for a trend of the hazard over ordered groups.

        With scores c, :math:`(c'(O-E))^2/(c'Vc)` is chi-squared on one degree of freedom (Tarone 1975).

        Parameters
        ----------
        scores : array-like of float, shape (k,), optional
            One per group, in the order of the table; 0, 1, 2, ... if left out.

        Returns
        -------
        LogRank
            Statistic and p-value of the trend.

        Raises
        ------
        DataError
            If there is not one score a group, or they are all equal.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> y = fs.Outcome([3, 5, 8, 10, 4, 9], [1, 1, 1, 0, 1, 0])
        >>> test = fs.survival.logrank(y, [2, 2, 1, 0, 1, 0])
        >>> round(test.trend().statistic, 3)
        4.547
        """
        k = len(self.table)
        values = np.arange(float(k))
        if scores is not None:
            values = columns.require_finite(columns.numeric(scores, "scores", n=k), "scores")
        if np.ptp(values) == 0:
            raise DataError(
                "scores must differ between groups",
                values={"scores": values.tolist()},
                remedy="leave them out for 0, 1, 2, ...",
            )
        # Covariances add up to 0 over groups: centring the scores only helps the arithmetic.
        values = values - values.mean()
        difference = (self.table["observed"] - self.table["expected"]).to_numpy()
        spread = float(values @ self.covariance @ values)
        statistic = float(values @ difference) ** 2 / spread if spread > 0 else 0.0
        p_value = float(chdtrc(1, statistic)) if spread > 0 else float("nan")
        return replace(self, statistic=statistic, df=int(spread > 0), p_value=p_value)


@single_threaded_blas
def logrank(
    y: Source,
    group: Any = None,
    *,
    strata: Any = None,
    weights: Any = None,
    rho: float = 0.0,
    gamma: float = 0.0,
) -> LogRank:
    """Test whether groups have the same hazard.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic (which then holds groups and strata).
    group : array-like, shape (n,)
        Labels; at least two.
    strata : array-like, shape (n,), optional
        Labels; groups are compared within strata.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known; the variance is then robust.
    rho, gamma : float, default 0
        Fleming-Harrington exponents: `rho` stresses early, `gamma` late differences.

    Returns
    -------
    LogRank
        Statistic, p-value, observed and expected events.

    Raises
    ------
    DataError
        If there is one group, no event, an exponent is negative, or groups are never at risk
        together.

    References
    ----------
    Fleming TR, Harrington DP. Counting Processes and Survival Analysis. Wiley, 1991.
    Lin DY, Wei LJ. The robust inference for the Cox proportional hazards model. JASA
    1989;84:1074-1078.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> test = fs.survival.logrank(y, ["a", "a", "a", "b", "b", "b"])
    >>> round(test.statistic, 3), test.df, round(test.p_value, 3)
    (1.667, 1, 0.197)
    """
    if not (rho >= 0 and gamma >= 0):
        raise DataError(
            "rho and gamma must not be negative",
            values={"rho": rho, "gamma": gamma},
            remedy="rho=0, gamma=0 is the log-rank test",
        )
    if isinstance(y, Outcome):
        y.require_binary("logrank", "gray")
        y.require_events("logrank")
        table = RiskTable.from_outcome(y, group=group, weights=weights, strata=strata)
    else:
        table = as_risk_table(y, "logrank", group=group, weights=weights, strata=strata)
    labels = table.groups
    require_two_groups(labels, "logrank")
    frame = with_codes(table)
    if not (frame["status"] > 0).any():
        raise DataError(
            "logrank needs at least one event",
            values={"events": 0},
            remedy="all rows are censored: check the coding of event (0 = censored)",
        )
    k = len(labels)
    observed, expected, covariance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for _, cells in frame.groupby("stratum", sort=True):
        o, e, v = _stratum(cells, k, rho, gamma, weighted=table.weighted)
        observed, expected, covariance = observed + o, expected + e, covariance + v
    statistic, df = _chi_squared(observed - expected, covariance, expected)
    n = frame.groupby("code")["n"].sum().reindex(range(k)).to_numpy()
    return LogRank(
        table=pd.DataFrame({"group": labels, "n": n, "observed": observed, "expected": expected}),
        statistic=statistic,
        df=df,
        p_value=float(chdtrc(df, statistic)) if df else float("nan"),
        covariance=covariance,
        variance="robust" if table.weighted else "hypergeometric",
    )


def with_codes(table: RiskTable) -> pd.DataFrame:
    """Add the number of each cell's group to a risk table.

    Parameters
    ----------
    table : RiskTable
        The sufficient statistic.

    Returns
    -------
    DataFrame
        Its cells with a column ``code``.
    """
    code = {label: g for g, label in enumerate(table.groups)}
    return table.table.assign(code=table.table["group"].map(code))


@dataclass(frozen=True, eq=False)
class Comparison:
    """One stratum on the grid of its event times.

    Attributes
    ----------
    fail, share : (k, m) float64
        Events of each group, and its share of those at risk.
    hazard, before : (m,) float64
        Pooled hazard increments and the pooled curve just before each time.
    spread : (m,) float64
        D(Y-D)/(Y-1) of the hypergeometric variance.
    first, last : (n,) int64
        Grid indices between which each cell is at risk.
    code : (n,) int64
        Group of each cell.
    event : (n,) bool
        Whether the cell's exit is an event.
    """

    fail: Floats
    share: Floats
    hazard: Floats
    before: Floats
    spread: Floats
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    code: NDArray[np.int64]
    event: NDArray[np.bool_]

    def omega(self, rho: float, gamma: float) -> Floats:
        """Fleming-Harrington weight at each event time, shape (m,)."""
        return np.asarray(self.before**rho * (1.0 - self.before) ** gamma)

    def scores(self, omega: Floats) -> tuple[Floats, Floats]:
        """Weighted observed and expected events of each group, shapes (k,)."""
        expected = (omega * self.fail.sum(axis=0) * self.share).sum(axis=1)
        return (omega * self.fail).sum(axis=1), expected

    def covariance(self, square: Floats) -> Floats:
        """Hypergeometric covariance, given the product of two weights, shape (k, k)."""
        scaled = self.share * (square * self.spread)
        return np.diag(scaled.sum(axis=1)) - self.share @ scaled.T

    def residuals(self, omega: Floats) -> Floats:
        """Score residual of each cell, of unit weight, shape (k, n)."""
        k, m = self.share.shape
        ours = np.zeros((k, m + 1))
        ours[:, 1:] = np.cumsum(omega * self.hazard * self.share, axis=1)
        own = np.concatenate([[0.0], np.cumsum(omega * self.hazard)])
        code, event, first, last = self.code, self.event, self.first, self.last
        out = ours[:, last + 1] - ours[:, first]
        out[code, np.arange(code.size)] -= own[last + 1] - own[first]
        out[:, event] -= (omega * self.share)[:, last[event]]
        out[code[event], np.flatnonzero(event)] += omega[last[event]]
        return np.asarray(out)


def compare_stratum(cells: pd.DataFrame, k: int) -> Comparison | None:
    """Put one stratum on the grid of its event times.

    Parameters
    ----------
    cells : DataFrame
        Cells of a risk table with the number of their group as ``code``.
    k : int
        Number of groups.

    Returns
    -------
    Comparison or None
        None if no event occurs.
    """
    entry, exit_time = cells["entry"].to_numpy(), cells["time"].to_numpy()
    code, event = cells["code"].to_numpy(), cells["status"].to_numpy() > 0
    n = cells["n"].to_numpy().astype(np.float64)
    weight = cells["weight"].to_numpy()
    grid = np.unique(exit_time[event])
    m = grid.size
    if m == 0:
        return None
    first, last = place(grid, entry, exit_time)

    def at_risk(amount: Floats, rows: NDArray[np.bool_]) -> Floats:
        out = np.empty(m)
        sum_at_risk(first[rows], last[rows], amount[rows], out)
        return out

    risk = np.stack([at_risk(weight, code == g) for g in range(k)])
    fail: Floats = np.stack(
        [
            np.bincount(last[event & (code == g)], weights=weight[event & (code == g)], minlength=m)
            for g in range(k)
        ]
    )
    everyone = np.ones(code.size, dtype=np.bool_)
    total_risk, total_fail = at_risk(weight, everyone), fail.sum(axis=0)
    n_risk = at_risk(n, everyone)
    all_fail = n_risk == np.bincount(last[event], weights=n[event], minlength=m)
    hazard, survival = np.empty(m), np.empty(m)
    product_limit(total_risk, total_fail, all_fail, hazard, survival)
    spread = np.zeros(m)
    np.divide(
        total_fail * (total_risk - total_fail),
        total_risk - 1.0,
        out=spread,
        where=total_risk > 1.0,
    )
    return Comparison(
        fail=fail,
        share=risk / total_risk,
        hazard=hazard,
        before=np.concatenate([[1.0], survival[:-1]]),
        spread=spread,
        first=first,
        last=last,
        code=code,
        event=event,
    )


def _stratum(
    cells: pd.DataFrame, k: int, rho: float, gamma: float, *, weighted: bool
) -> tuple[Floats, Floats, Floats]:
    """Observed, expected and covariance of one stratum."""
    found = compare_stratum(cells, k)
    if found is None:
        return np.zeros(k), np.zeros(k), np.zeros((k, k))
    omega = found.omega(rho, gamma)
    observed, expected = found.scores(omega)
    if not weighted:
        return observed, expected, found.covariance(omega**2)
    residual = found.residuals(omega)
    return observed, expected, (residual * cells["weight_sq"].to_numpy()) @ residual.T


def _chi_squared(difference: Floats, covariance: Floats, expected: Floats) -> tuple[float, int]:
    """Quadratic form over the groups that were ever at risk at an event, the first left out."""
    use = np.flatnonzero(expected > 0)[1:]
    if use.size == 0:
        return 0.0, 0
    v = covariance[np.ix_(use, use)]
    scale = np.sqrt(np.diag(v))
    if not (scale > 0).all() or np.linalg.matrix_rank(v / np.outer(scale, scale)) < use.size:
        raise DataError(
            "each group must be at risk together with another at some event",
            values={"events that compare": int(np.count_nonzero(scale > 0))},
            remedy="the groups' follow-up does not overlap (within strata): merge groups or strata",
        )
    return float(difference[use] @ np.linalg.solve(v, difference[use])), int(use.size)
