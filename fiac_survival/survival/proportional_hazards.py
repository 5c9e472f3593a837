r"""Tests of proportional hazards.

The coefficient of covariate j might vary as :math:`\beta_j+\theta_j g(t)`. The score test of θ = 0 at the
fitted β: with the score :math:`u=\sum_t g(t)\,(x_{obs}-\mu(t))` and, V(t) being the covariance of the
covariates over the risk set, :math:`A=\sum V`, :math:`B=\sum gV`, :math:`C=\sum g^2V`,

.. math:: \chi^2_J = u_J'\,(C_{JJ}-B_{J\cdot}A^{-1}B_{\cdot J})^{-1}\,u_J

for the columns J of a term. This is ``cox.zph`` of R survival 3. The approximation of Grambsch and
Therneau (1994) takes V as constant over time; it is ``cox.zph`` of R survival 2 and what lifelines
computes. The two can differ a lot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core.design import Design
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result
from fiac_survival.kernels.cox import weighted_information
from fiac_survival.survival.cox_fit import Pass, SortedRows

Floats = NDArray[np.float64]
TimeTransform = Literal["km", "identity", "rank", "log"]
PHMethod = Literal["score", "grambsch-therneau"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ProportionalHazardsTest(Result):
    """Tests of proportional hazards by term and all together.

    Attributes
    ----------
    table : DataFrame
        term, statistic, df, p_value; the last row, "GLOBAL", tests all.
    residuals : DataFrame
        time, transformed_time, and for each column the scaled Schoenfeld residual of each event plus
        the coefficient: their trend over transformed time estimates how the coefficient varies.
    transform, method : str
        What was asked for.
    """

    residuals: pd.DataFrame
    transform: TimeTransform
    method: PHMethod


def test(
    rows: SortedRows,
    end: Pass,
    design: Design,
    coef: Floats,
    covariance: Floats,
    *,
    transform: TimeTransform,
    method: PHMethod,
    terms: bool,
) -> ProportionalHazardsTest:
    """Run the test for a fitted model.

    Parameters
    ----------
    rows : SortedRows
        The data.
    end : Pass
        The fit.
    design : Design
        For terms and names.
    coef : (p,) float64
        Coefficients.
    covariance : (p, p) float64
        Model-based covariance.
    transform, method, terms
        As in :meth:`fiac_survival.survival.cox.CoxModel.test_proportional_hazards`.

    Returns
    -------
    ProportionalHazardsTest
        Statistics and residuals.
    """
    require_choice(transform, TimeTransform, "transform")
    require_choice(method, PHMethod, "method")
    g = _transformed_times(rows, end, transform)
    mean = float(np.average(g, weights=end.count))
    p = rows.x.shape[1]
    score, cross, square = np.zeros(p), np.zeros((p, p)), np.zeros((p, p))
    schoenfeld = np.zeros_like(rows.x)
    weighted_information(
        rows.x,
        end.risk,
        rows.weight,
        rows.event,
        rows.start,
        rows.stop,
        rows.by_start,
        rows.block_stratum,
        rows.efron,
        g - mean,
        score,
        cross,
        square,
        schoenfeld,
    )
    happened = np.flatnonzero(rows.event & (rows.start < rows.stop))
    block = rows.stop[happened] - 1
    # In order of time within stratum, tied events in the order of the data.
    happened = happened[np.lexsort((rows.order[happened], block))]
    block = rows.stop[happened] - 1
    residual = schoenfeld[happened] * rows.scale
    events = happened.size
    scaled = residual @ covariance * events
    groups = dict(design.terms) if terms else {name: [j] for j, name in enumerate(design.columns)}
    groups["GLOBAL"] = list(range(p))
    out = []
    for name, members in groups.items():
        match method:
            case "score":
                value = _score_statistic(score, cross, square, end.information, members)
            case "grambsch-therneau":
                value = _approximate_statistic(g[block] - mean, residual, covariance, members)
            case _:
                assert_never(method)
        df = len(members)
        out.append(
            {"term": name, "statistic": value, "df": df, "p_value": float(chdtrc(df, value))}
        )
    table = pd.DataFrame({"time": rows.block_time[block], "transformed_time": g[block]})
    for j, name in enumerate(design.columns):
        table[name] = scaled[:, j] + coef[j]
    return ProportionalHazardsTest(
        table=pd.DataFrame(out), residuals=table, transform=transform, method=method
    )


def _score_statistic(
    score: Floats, cross: Floats, square: Floats, information: Floats, members: list[int]
) -> float:
    rows = cross[members]
    rest = square[np.ix_(members, members)] - rows @ np.linalg.solve(information, rows.T)
    u = score[members]
    return float(np.sum(u * np.linalg.solve(rest, u)))


def _approximate_statistic(
    g: Floats, residual: Floats, covariance: Floats, members: list[int]
) -> float:
    events = residual.shape[0]
    centred = g - g.mean()
    spread = float(np.sum(centred * centred))
    trend = (centred @ residual @ covariance * events)[members]
    block = covariance[np.ix_(members, members)]
    return float(np.sum(trend * np.linalg.solve(block, trend)) / (events * spread))


def _transformed_times(rows: SortedRows, end: Pass, transform: TimeTransform) -> Floats:
    """Value of g at each block; strata share one function of time.

    Ranks are those among the times of all rows, tied ones sharing their mean, as in R.
    """
    time = rows.block_time
    match transform:
        case "identity":
            return time
        case "log":
            return np.log(time)
        case "rank":
            every = np.sort(rows.time)
            before = np.searchsorted(every, time, side="left")
            after = np.searchsorted(every, time, side="right")
            return np.asarray((before + after + 1.0) / 2.0)
        case "km":
            return _one_minus_km(rows, end)
        case _:
            assert_never(transform)


def _one_minus_km(rows: SortedRows, end: Pass) -> Floats:
    """1 - S(t-) at each block, S being the unweighted Kaplan-Meier curve of all rows."""
    grid, place = np.unique(rows.block_time, return_inverse=True)
    events = np.bincount(place, weights=end.count)
    at_risk = np.zeros(grid.size)
    entry = np.where(rows.entry > 0, rows.entry, -1.0)
    last = np.searchsorted(grid, rows.time, side="right")
    first = np.searchsorted(grid, entry, side="right")
    np.add.at(at_risk, first[first < grid.size], 1.0)
    np.add.at(at_risk, last[last < grid.size], -1.0)
    survival = np.cumprod(1.0 - events / np.cumsum(at_risk))
    before = np.concatenate([[1.0], survival[:-1]])
    return np.asarray(1.0 - before[place])
