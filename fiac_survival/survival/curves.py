"""What step curves share: reading them at given times and inverting their bands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform
from fiac_survival.core.outcome import ROUNDING
from fiac_survival.core.results import Result
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.steps import Steps

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SurvivalCurve(Result):
    """Survival curves by group with pointwise intervals.

    Attributes
    ----------
    table : DataFrame
        group, time, n_risk, n_event, n_censor, survival, std_error, lower, upper: one row per group
        and distinct time. With weights the three counts are sums of weights.
    counts : DataFrame
        group, time, n_risk, n_event, n_censor in rows of data, whatever the weights.
    level : float
        Confidence level of the limits.
    transform : str
        Scale on which the interval is symmetric.
    variance : str
        "greenwood", "infinitesimal jackknife" or "clustered infinitesimal jackknife".
    """

    counts: pd.DataFrame
    level: float
    transform: Transform
    variance: str
    _steps: list[Steps] = field(repr=False)

    def at(self, times: Any) -> pd.DataFrame:
        """Read the curves at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times; beyond a group's last time its last value is carried on, with nobody at risk.

        Returns
        -------
        DataFrame
            group, time, n_risk (just before the time), survival, std_error, lower, upper.

        Raises
        ------
        DataError
            If a time is negative or not finite.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> km = fs.survival.kaplan_meier(fs.Outcome([2, 3, 5], [1, 1, 0]))
        >>> km.at([4])["survival"].round(3).tolist()
        [0.333]
        """
        return read_curve(
            self.table,
            self._steps,
            times_array(times),
            {"survival": 1.0, "std_error": 0.0, "lower": 1.0, "upper": 1.0},
        )

    def quantile(self, probability: Any = 0.5) -> pd.DataFrame:
        r"""Find the times by which given shares have had the event, with intervals.

        The p-quantile is the first time at which :math:`S(t)\le 1-p`; where the curve is flat at
        exactly :math:`1-p`, the middle of the flat part, as R does. The interval inverts the band
        (Brookmeyer-Crowley).

        Parameters
        ----------
        probability : float or array-like of float, default 0.5
            Shares between 0 and 1; 0.5 asks for the median.

        Returns
        -------
        DataFrame
            group, probability, quantile, lower, upper; NaN where the curve does not get there.

        Raises
        ------
        DataError
            If a share is not between 0 and 1.

        References
        ----------
        Brookmeyer R, Crowley J. A confidence interval for the median survival time. Biometrics
        1982;38:29-41.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> km = fs.survival.kaplan_meier(fs.Outcome([2, 3, 5], [1, 1, 1]))
        >>> km.quantile(0.5)["quantile"].tolist()
        [3.0]
        """
        shares = times_array(probability, "probability")
        if (shares >= 1).any() or (shares <= 0).any():
            raise DataError(
                "probability must lie between 0 and 1",
                values={"probability": shares.tolist()},
                remedy="0.5 asks for the median",
            )
        rows: list[dict[str, Any]] = []
        for label, curve in self.table.groupby("group", sort=False):
            time = curve["time"].to_numpy()
            rows += [
                {
                    "group": label,
                    "probability": p,
                    "quantile": _invert(time, curve["survival"].to_numpy(), p),
                    "lower": _invert(time, curve["lower"].to_numpy(), p),
                    "upper": _invert(time, curve["upper"].to_numpy(), p),
                }
                for p in shares
            ]
        return pd.DataFrame(rows)


def _invert(time: Floats, survival: Floats, p: float) -> float:
    """First time at which 1-S reaches p, the middle of the flat part if it stays there."""
    valid = np.isfinite(survival)
    failed, when = 1.0 - survival[valid], time[valid]
    if failed.size == 0:
        return float("nan")
    reached = np.flatnonzero(failed >= p - ROUNDING)
    if reached.size == 0:
        return float("nan")
    start = when[reached[0]]
    passed = np.flatnonzero(failed > p + ROUNDING)
    end = when[passed[0]] if passed.size else time[-1]
    flat = abs(failed[reached[0]] - p) <= ROUNDING
    return float((start + end) / 2.0 if flat else start)


def read_curve(
    table: pd.DataFrame, steps: list[Steps], times: Floats, before: dict[str, float]
) -> pd.DataFrame:
    """Read step functions at given times.

    Parameters
    ----------
    table : DataFrame
        group, time and the columns of `before`, sorted by time within group.
    steps : list of Steps
        The groups' grids, in the same order.
    times : (k,) float64
        Where to read.
    before : dict
        Columns to read, with their values before the first time.

    Returns
    -------
    DataFrame
        group, time, n_risk and those columns, one row per group and time.
    """
    parts = []
    start = 0
    for s in steps:
        curve = table.iloc[start : start + s.time.size]
        start += s.time.size
        last = np.searchsorted(s.time, times, side="right") - 1
        columns: dict[str, Any] = {"group": s.label, "time": times}
        columns["n_risk"] = s.at_risk(times, in_weight=True)
        if not s.weighted:
            columns["n_risk"] = columns["n_risk"].astype(np.int64)
        for name, first in before.items():
            values = curve[name].to_numpy()
            columns[name] = np.where(last >= 0, values[np.maximum(last, 0)], first)
        parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True)


def count_table(steps: list[Steps], *, in_weight: bool) -> pd.DataFrame:
    """Numbers at risk, events and censorings at each distinct time.

    Parameters
    ----------
    steps : list of Steps
        One per group.
    in_weight : bool
        Sums of weights instead of rows of data.

    Returns
    -------
    DataFrame
        group, time, n_risk, n_event, n_censor.
    """
    parts = []
    for s in steps:
        counts: tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
        if in_weight and s.weighted:
            counts = (s.w_risk, s.w_event, s.w_censor)
        else:
            counts = (s.n_risk, s.n_event, s.n_censor)
        names = ("n_risk", "n_event", "n_censor")
        parts.append(
            pd.DataFrame({"group": s.label, "time": s.time} | dict(zip(names, counts, strict=True)))
        )
    return pd.concat(parts, ignore_index=True)
