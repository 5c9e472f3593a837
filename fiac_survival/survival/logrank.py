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

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

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
    code = {label: g for g, label in enumerate(labels)}
    frame = table.table.assign(code=table.table["group"].map(code))
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


def _stratum(
    cells: pd.DataFrame, k: int, rho: float, gamma: float, *, weighted: bool
) -> tuple[Floats, Floats, Floats]:
    """Observed, expected and covariance of one stratum."""
    entry, exit_time = cells["entry"].to_numpy(), cells["time"].to_numpy()
    code, event = cells["code"].to_numpy(), cells["status"].to_numpy() > 0
    n = cells["n"].to_numpy().astype(np.float64)
    weight = cells["weight"].to_numpy()
    grid = np.unique(exit_time[event])
    m = grid.size
    if m == 0:
        return np.zeros(k), np.zeros(k), np.zeros((k, k))
    first, last = place(grid, entry, exit_time)

    def at_risk(amount: Floats, rows: NDArray[np.bool_]) -> Floats:
        out = np.empty(m)
        sum_at_risk(first[rows], last[rows], amount[rows], out)
        return out

    risk = np.stack([at_risk(weight, code == g) for g in range(k)])
    fail = np.stack(
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
    before = np.concatenate([[1.0], survival[:-1]])
    omega = before**rho * (1.0 - before) ** gamma
    share = risk / total_risk
    observed = (omega * fail).sum(axis=1)
    expected = (omega * total_fail * share).sum(axis=1)
    if not weighted:
        spread = np.zeros(m)
        np.divide(
            omega**2 * total_fail * (total_risk - total_fail),
            total_risk - 1.0,
            out=spread,
            where=total_risk > 1.0,
        )
        covariance = np.diag((spread * share).sum(axis=1)) - (share * spread) @ share.T
        return observed, expected, covariance
    ours = np.zeros((k, m + 1))
    ours[:, 1:] = np.cumsum(omega * hazard * share, axis=1)
    own = np.concatenate([[0.0], np.cumsum(omega * hazard)])
    residual = ours[:, last + 1] - ours[:, first]
    residual[code, np.arange(code.size)] -= own[last + 1] - own[first]
    residual[:, event] -= (omega * share)[:, last[event]]
    residual[code[event], np.flatnonzero(event)] += omega[last[event]]
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
