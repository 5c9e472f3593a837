r"""Nelson-Aalen cumulative hazard and the survival curve that it implies.

.. math:: H(t) = \sum_{s\le t} dH(s), \qquad S(t) = e^{-H(t)} .

With the Breslow treatment of ties :math:`dH = D/Y` and its variance increment is :math:`D/Y^2`; with
Fleming and Harrington's, the d tied events are taken one after the other:
:math:`dH=\sum_{k<d} 1/(Y-k)` and :math:`\sum_{k<d} 1/(Y-k)^2`. These are the conventions of R's
``survfit(stype=2, ctype=1 or 2)``. With weights the variance is the infinitesimal jackknife (Breslow
ties only).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import (
    Transform,
    normal_quantile,
    require_choice,
    survival_interval,
)
from fiac_survival.core.results import Result
from fiac_survival.kernels.step_curves import jackknife_variance
from fiac_survival.survival.curves import Floats, SurvivalCurve, count_table, read_curve
from fiac_survival.survival.inputs import Source, as_risk_table, times_array
from fiac_survival.survival.steps import Steps, steps_by_group

HazardTies = Literal["breslow", "fleming-harrington"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CumulativeHazard(Result):
    """Cumulative hazards by group.

    Attributes
    ----------
    table : DataFrame
        group, time, n_risk, n_event, n_censor, cumulative_hazard, std_error, lower, upper. The
        interval is symmetric on the log scale.
    counts : DataFrame
        The counts in rows of data, whatever the weights.
    level : float
        Confidence level.
    """

    counts: pd.DataFrame
    level: float
    _steps: list[Steps] = field(repr=False)

    def at(self, times: Any) -> pd.DataFrame:
        """Read the cumulative hazards at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times.

        Returns
        -------
        DataFrame
            group, time, n_risk, cumulative_hazard, std_error, lower, upper.
        """
        names = ("cumulative_hazard", "std_error", "lower", "upper")
        return read_curve(self.table, self._steps, times_array(times), dict.fromkeys(names, 0.0))

    def survival_curve(self, transform: Transform = "log-log") -> SurvivalCurve:
        """Survival curve exp(-H), with standard error S times that of H.

        Parameters
        ----------
        transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
            Scale on which the interval is symmetric.

        Returns
        -------
        SurvivalCurve
            Fleming and Harrington's estimator of survival.
        """
        survival = np.exp(-self.table["cumulative_hazard"].to_numpy())
        std_error = survival * self.table["std_error"].to_numpy()
        lower, upper = survival_interval(survival, std_error, level=self.level, transform=transform)
        kept = self.table[["group", "time", "n_risk", "n_event", "n_censor"]]
        return SurvivalCurve(
            table=kept.assign(survival=survival, std_error=std_error, lower=lower, upper=upper),
            counts=self.counts,
            level=self.level,
            transform=transform,
            variance="Nelson-Aalen",
            _steps=self._steps,
        )


def nelson_aalen(
    y: Source,
    *,
    group: Any = None,
    weights: Any = None,
    ties: HazardTies = "breslow",
    level: float = 0.95,
) -> CumulativeHazard:
    """Estimate cumulative hazards by group.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    group : array-like, shape (n,), optional
        Labels; one curve a label.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    ties : {"breslow", "fleming-harrington"}, default "breslow"
        How tied events are taken.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    CumulativeHazard
        Its ``survival_curve()`` is exp(-H).

    Raises
    ------
    DataError
        If there are several causes, or weights come with Fleming-Harrington ties.

    References
    ----------
    Aalen OO. Nonparametric inference for a family of counting processes. Ann Stat 1978;6:701-726.
    Fleming TR, Harrington DP. Nonparametric estimation of the survival distribution in censored
    data. Comm Stat 1984;13:2469-2486.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.survival.nelson_aalen(fs.Outcome([3, 5, 8], [1, 1, 0])).at(6)["cumulative_hazard"].round(3)
    0    0.833
    Name: cumulative_hazard, dtype: float64
    """
    require_choice(ties, HazardTies, "ties")
    z = normal_quantile(level)
    table = as_risk_table(y, "nelson_aalen", group=group, weights=weights)
    steps = steps_by_group(table)
    if table.weighted and ties == "fleming-harrington":
        raise DataError(
            "weighted cumulative hazards take Breslow ties",
            values={"ties": ties},
            remedy='pass ties="breslow"',
        )
    hazards, variances = zip(*(_hazard(s, ties) for s in steps), strict=True)
    hazard, std_error = np.concatenate(hazards), np.sqrt(np.concatenate(variances))
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.exp(z * std_error / hazard)
        lower = np.where(hazard > 0, hazard / factor, 0.0)
        upper = np.where(hazard > 0, hazard * factor, 0.0)
    out = count_table(steps, in_weight=True).assign(
        cumulative_hazard=hazard, std_error=std_error, lower=lower, upper=upper
    )
    return CumulativeHazard(
        table=out, counts=count_table(steps, in_weight=False), level=level, _steps=steps
    )


def _hazard(s: Steps, ties: HazardTies) -> tuple[Floats, Floats]:
    """Cumulative hazard of one group and its variance."""
    match ties:
        case "breslow":
            increments = np.divide(
                s.w_event, s.w_risk, out=np.zeros_like(s.time), where=s.w_event > 0
            )
            if s.weighted:
                return np.cumsum(increments), _jackknife(s, increments)
            squares = np.divide(
                s.w_event, s.w_risk**2, out=np.zeros_like(s.time), where=s.w_event > 0
            )
        case "fleming-harrington":
            increments, squares = np.zeros_like(s.time), np.zeros_like(s.time)
            for j in np.flatnonzero(s.n_event):
                remaining = s.n_risk[j] - np.arange(s.n_event[j], dtype=np.float64)
                increments[j] = (1.0 / remaining).sum()
                squares[j] = (1.0 / remaining**2).sum()
        case _:
            assert_never(ties)
    return np.cumsum(increments), np.cumsum(squares)


def _jackknife(s: Steps, increments: Floats) -> Floats:
    """Variance of H by the infinitesimal jackknife: the kernel with S = 1 and jump 1/Y."""
    jump = np.divide(1.0, s.w_risk, out=np.zeros_like(s.time), where=s.w_risk > 0)
    out = np.empty_like(s.time)
    jackknife_variance(
        increments * jump,
        jump,
        np.ones_like(s.time),
        s.first,
        s.last,
        s.event,
        s.mass,
        np.argsort(s.first, kind="stable"),
        np.argsort(s.last, kind="stable"),
        out,
    )
    return out
