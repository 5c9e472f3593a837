r"""Smoothed hazard, without a model.

With dΛ the increments of the Nelson-Aalen estimator at the event times s and bandwidth b,

.. math:: \hat h(t)=\frac1b\sum_s K\!\left(\frac{t-s}{b}\right)d\Lambda(s), \qquad
          \widehat{\mathrm{var}}=\frac1{b^2}\sum_s K^2\!\left(\frac{t-s}{b}\right)\frac{D(s)}{Y(s)^2},

with Epanechnikov's kernel :math:`K(u)=\tfrac34(1-u^2)` on [-1, 1]. Within b of either end of the range
of events, only the part of the kernel inside the range is used, multiplied by a line so that it has
integral 1 and mean 0 (no bias of first order). With weights, D(s) is :math:`\sum w^2` over the events.

Sources: Ramlau-Hansen 1983; Gasser and Müller 1979 (kernels at a boundary); Müller and Wang 1994.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result
from fiac_survival.survival.inputs import Source, as_risk_table, times_array
from fiac_survival.survival.steps import Steps, steps_by_group

Floats = NDArray[np.float64]
GRID = 100


class HasHazard(Protocol):
    """A fitted model that gives hazards."""

    def hazard(self, t: Any, *, level: float | None = None) -> pd.DataFrame:
        """Give row, time, hazard, std_error, lower, upper."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SmoothedHazard(Result):
    """Kernel estimates of the hazard by group.

    Attributes
    ----------
    table : DataFrame
        group, time, hazard, std_error, lower, upper; the interval is symmetric on the log scale and
        does not count the bias of smoothing.
    bandwidth : dict
        Bandwidth of each group.
    level : float
        Confidence level.
    """

    bandwidth: Mapping[Any, float]
    level: float


def smoothed_hazard(
    y: Source,
    *,
    times: Any = None,
    bandwidth: float | None = None,
    group: Any = None,
    weights: Any = None,
    level: float = 0.95,
) -> SmoothedHazard:
    """Estimate hazards by smoothing the Nelson-Aalen increments.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    times : float or array-like of float, optional
        Times from the first to the last event; left out, 100 of them. Elsewhere the estimate is
        missing.
    bandwidth : float, optional
        Half-width of the kernel, in the unit of the times. Left out: the range of the event times
        over twice the fifth root of the number of events.
    group : array-like, shape (n,), optional
        Labels; one hazard a label.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    SmoothedHazard
        Hazards with pointwise intervals.

    Raises
    ------
    DataError
        If the bandwidth is not positive or a group has fewer than two event times.

    References
    ----------
    Ramlau-Hansen H. Smoothing counting process intensities by means of kernel functions. Ann Stat
    1983;11:453-466.
    Müller HG, Wang JL. Hazard rate estimation under random censoring with varying kernels and
    bandwidths. Biometrics 1994;50:61-76.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> fs.survival.smoothed_hazard(y, times=[4, 6], bandwidth=3).table["hazard"].round(3).tolist()
    [0.249, 0.141]
    """
    z = normal_quantile(level)
    if bandwidth is not None and not (np.isfinite(bandwidth) and bandwidth > 0):
        raise DataError("bandwidth must be positive", values={"bandwidth": bandwidth})
    table = as_risk_table(y, "smoothed_hazard", group=group, weights=weights)
    frames, used = [], {}
    for steps in steps_by_group(table):
        events = steps.time[steps.n_event > 0]
        if events.size < 2:
            raise DataError(
                "a smoothed hazard needs at least two event times in each group",
                values={"group": steps.label, "event times": int(events.size)},
            )
        width = float(events[-1] - events[0])
        b = width / (2.0 * steps.n_event.sum() ** 0.2) if bandwidth is None else float(bandwidth)
        t = (
            np.linspace(events[0], events[-1], GRID)
            if times is None
            else times_array(times, "times")
        )
        hazard, std_error = _smooth(steps, t, b, float(events[0]), float(events[-1]))
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(z * std_error / hazard)
        frames.append(
            pd.DataFrame(
                {
                    "group": steps.label,
                    "time": t,
                    "hazard": hazard,
                    "std_error": std_error,
                    "lower": hazard / factor,
                    "upper": hazard * factor,
                }
            )
        )
        used[steps.label] = b
    return SmoothedHazard(table=pd.concat(frames, ignore_index=True), bandwidth=used, level=level)


def _smooth(steps: Steps, t: Floats, b: float, low: float, high: float) -> tuple[Floats, Floats]:
    """Hazard and standard error at each time; missing outside the range of events."""
    at = steps.n_event > 0
    jumps = steps.w_event[at] / steps.w_risk[at]
    squares = _squared_event_weights(steps)[at] / steps.w_risk[at] ** 2
    u = (t[:, None] - steps.time[at][None, :]) / b
    left = np.clip((t - high) / b, -1.0, 1.0)
    right = np.clip((t - low) / b, -1.0, 1.0)
    # Moments of the kernel on [left, right], and the line that restores integral 1 and mean 0.
    m0, m1, m2 = (_moment(right, k) - _moment(left, k) for k in range(3))
    determinant = m0 * m2 - m1 * m1
    outside = (t < low) | (t > high)
    with np.errstate(divide="ignore", invalid="ignore"):
        line = (m2[:, None] - m1[:, None] * u) / determinant[:, None]
        kernel = np.where(np.abs(u) < 1.0, 0.75 * (1.0 - u * u), 0.0) * line / b
    hazard = np.maximum(kernel @ jumps, 0.0)
    std_error = np.sqrt(kernel**2 @ squares)
    return np.where(outside, np.nan, hazard), np.where(outside, np.nan, std_error)


def _moment(x: Floats, k: int) -> Floats:
    """Integral of u^k K(u), up to a constant."""
    return 0.75 * (x ** (k + 1) / (k + 1) - x ** (k + 3) / (k + 3))


def _squared_event_weights(steps: Steps) -> Floats:
    """Σw² of the events at each grid time; their number without weights."""
    mass = steps.mass[steps.event]
    return np.bincount(steps.last[steps.event], weights=mass, minlength=steps.time.size).astype(
        np.float64
    )


def hazard_comparison(
    y: Source,
    models: Mapping[str, HasHazard],
    *,
    weights: Any = None,
    times: Any = None,
    bandwidth: float | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Put fitted hazards beside the smoothed one.

    Parameters
    ----------
    y : Outcome or RiskTable
        What the models were fitted to.
    models : mapping
        Fitted models by name.
    weights, times, bandwidth, level
        As in :func:`smoothed_hazard`.

    Returns
    -------
    DataFrame
        source ("kernel" or a model's name), time, hazard, std_error, lower, upper.
    """
    smooth = smoothed_hazard(y, weights=weights, times=times, bandwidth=bandwidth, level=level)
    kernel = smooth.table.drop(columns="group")
    frames = [kernel.assign(source="kernel")]
    for name, model in models.items():
        fitted = model.hazard(kernel["time"].to_numpy(), level=level)
        frames.append(fitted.drop(columns="row").assign(source=name))
    out = pd.concat(frames, ignore_index=True)
    return out[["source", *kernel.columns]]
