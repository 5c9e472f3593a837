r"""Kaplan-Meier curves, unweighted, weighted and clustered.

With :math:`Y(s)` the (weighted) number at risk and :math:`D(s)` the (weighted) events at s,

.. math:: d\Lambda(s) = D(s)/Y(s), \qquad S(t) = \prod_{s\le t} (1-d\Lambda(s)).

Variance. Without weights and clusters: Greenwood. Otherwise the infinitesimal jackknife: row i moves
the curve by

.. math:: U_i(t) = -S(t)\sum_{s\le t}\frac{Y_i(s)\,(dN_i(s)-d\Lambda(s))}{Y(s)\,(1-d\Lambda(s))},
          \qquad \operatorname{Var} S(t) = \sum_c \Bigl(\sum_{i\in c} w_i U_i(t)\Bigr)^2 ,

weights taken as known. Where every row at risk fails, the addend is 0. Without clusters U depends on
(entry, time, status) only, so a risk table is enough.

With whole-number weights that stand for repeated rows, ``variance="greenwood"`` gives Greenwood's
formula on the weighted counts, which is what repeating the rows would give.

Sources: Kaplan and Meier 1958; Greenwood 1926; Efron and Stein 1981; Therneau, R ``survival``
(``survfit`` with ``robust=TRUE``), which this follows on ties and on censoring.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, require_choice, survival_interval
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.kernels.step_curves import greenwood
from fiac_survival.survival.curves import Floats, SurvivalCurve, count_table
from fiac_survival.survival.inputs import Source, as_risk_table, rows_by_group
from fiac_survival.survival.steps import Steps, steps_by_group

CurveVariance = Literal["default", "greenwood", "infinitesimal jackknife"]


@single_threaded_blas
def kaplan_meier(
    y: Source,
    *,
    group: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
    variance: CurveVariance = "default",
) -> SurvivalCurve:
    """Estimate survival curves by group.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    group : array-like, shape (n,), optional
        Labels; one curve a label.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known; the variance is then the infinitesimal jackknife.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together (one person's rows, a matched pair).
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale on which the interval is symmetric.
    variance : {"default", "greenwood", "infinitesimal jackknife"}, default "default"
        "default" is Greenwood without weights and clusters, else the infinitesimal jackknife.
        "greenwood" with weights reads them as numbers of repeated rows.

    Returns
    -------
    SurvivalCurve
        Its table has the unit of the outcome's times and one row per group and distinct time.

    Raises
    ------
    DataError
        If there are several causes, a weight is not positive, or a risk table comes with `group`,
        `weights` or `cluster`, or Greenwood's variance is asked for with clusters.

    References
    ----------
    Kaplan EL, Meier P. Nonparametric estimation from incomplete observations. JASA 1958;53:457-481.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 5, 8, 10, 12], event=[1, 1, 0, 1, 0, 1])
    >>> km = fs.survival.kaplan_meier(y)
    >>> km.table[["time", "n_risk", "n_event", "survival"]].round(3)
       time  n_risk  n_event  survival
    0   3.0       6        1     0.833
    1   5.0       5        1     0.667
    2   8.0       3        1     0.444
    3  10.0       2        0     0.444
    4  12.0       1        1     0.000
    """
    require_choice(variance, CurveVariance, "variance")
    if cluster is not None and variance == "greenwood":
        raise DataError(
            "Greenwood's variance knows no clusters",
            values={"variance": variance},
            remedy='leave variance at "default"',
        )
    table = as_risk_table(y, "kaplan_meier", group=group, weights=weights, cluster=cluster)
    steps = steps_by_group(table)
    survival = np.concatenate([s.survival for s in steps])
    variances: list[Floats]
    if cluster is not None:
        rows = rows_by_group(y, steps, group=group, weights=weights, cluster=cluster)  # type: ignore[arg-type]
        variances = [s.clustered_variance(r) for s, r in zip(steps, rows, strict=True)]
        kind = "clustered infinitesimal jackknife"
    elif variance == "infinitesimal jackknife" or (variance == "default" and table.weighted):
        variances = [s.jackknife_variance() for s in steps]
        kind = "infinitesimal jackknife"
    else:
        variances = [greenwood_variance(s) for s in steps]
        kind = "greenwood"
    std_error = np.sqrt(np.concatenate(variances))
    lower, upper = survival_interval(survival, std_error, level=level, transform=transform)
    out = count_table(steps, in_weight=True).assign(
        survival=survival, std_error=std_error, lower=lower, upper=upper
    )
    return SurvivalCurve(
        table=out,
        counts=count_table(steps, in_weight=False),
        level=level,
        transform=transform,
        variance=kind,
        _steps=steps,
    )


def greenwood_variance(steps: Steps) -> Floats:
    """Greenwood's variance of one group's curve.

    Parameters
    ----------
    steps : Steps
        Counts without weights.

    Returns
    -------
    (m,) float64
        Variance at each grid time, NaN where the curve has reached 0.
    """
    out = np.empty_like(steps.time)
    greenwood(steps.w_risk, steps.w_event, steps.all_fail, steps.survival, out)
    return out
