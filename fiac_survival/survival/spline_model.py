r"""Royston and Parmar's flexible parametric model.

The predictors are :math:`u_1=s(\log t)+x'\beta` and :math:`u_2=\partial u_1/\partial\log t`,
s being a cubic spline in log time that is linear beyond its boundary knots,

.. math:: s(x)=\gamma_0+\gamma_1x+\sum_j\gamma_{j+1}\{(x-k_j)_+^3-\lambda_j(x-k_{\min})_+^3
          -(1-\lambda_j)(x-k_{\max})_+^3\},\quad \lambda_j=\frac{k_{\max}-k_j}{k_{\max}-k_{\min}},

and :math:`u_1=\log H` (scale "hazard"), :math:`\log\{(1-S)/S\}` ("odds") or :math:`-\Phi^{-1}(S)`
("normal"). An effect that varies with time is the covariate times a spline of its own.

Source: Royston and Parmar 2002; knots at quantiles of the log event times, as ``flexsurv``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import Design
from fiac_survival.core.errors import DataError
from fiac_survival.survival import jets
from fiac_survival.survival.families import Link, Summary
from fiac_survival.survival.family_models import LOCATION, Profiles
from fiac_survival.survival.jets import Jet

Floats = NDArray[np.float64]
Scale = Literal["hazard", "odds", "normal"]


def spline_basis(x: Floats, knots: Floats) -> tuple[Floats, Floats]:
    """Restricted cubic spline in x, without its constant.

    Parameters
    ----------
    x : (n,) float64
        Where.
    knots : (m,) float64
        Ascending; the first and last are the boundary.

    Returns
    -------
    basis, slope : (n, m - 1) float64
        x itself and one column an inner knot; their derivatives.
    """
    low, high = knots[0], knots[-1]
    columns, slopes = [x], [np.ones_like(x)]
    for k in knots[1:-1]:
        share = (high - k) / (high - low)
        parts = [np.maximum(x - a, 0.0) for a in (k, low, high)]
        columns.append(parts[0] ** 3 - share * parts[1] ** 3 - (1.0 - share) * parts[2] ** 3)
        slopes.append(3.0 * (parts[0] ** 2 - share * parts[1] ** 2 - (1.0 - share) * parts[2] ** 2))
    return np.stack(columns, axis=1), np.stack(slopes, axis=1)


@dataclass(frozen=True, eq=False)
class SplineModel:
    """Royston and Parmar's model."""

    knots: Floats
    scale: Scale
    design: Design | None
    varying: Mapping[str, Floats]

    @property
    def terms(self) -> list[str]:
        """gamma0, gamma1, ...; effects; effects that vary with time."""
        names = [f"gamma{j}" for j in range(self.knots.size)]
        names += [] if self.design is None else self.design.columns
        for column, knots in self.varying.items():
            names += [f"{column}:gamma{j}" for j in range(1, knots.size)]
        return names

    @property
    def links(self) -> list[Link]:
        """Identity throughout."""
        return ["identity"] * len(self.terms)

    @property
    def meanings(self) -> list[str]:
        """Parameters of the spline, and ratios on its scale."""
        effect = {"hazard": "hazard ratio", "odds": "odds ratio", "normal": "difference"}
        p = 0 if self.design is None else len(self.design.columns)
        m = self.knots.size
        constant = [
            "parameter" if c in self.varying else effect[self.scale]
            for c in ([] if self.design is None else self.design.columns)
        ]
        return ["parameter"] * m + constant + ["parameter"] * (len(self.terms) - m - p)

    @property
    def breaks(self) -> Floats:
        """The knots."""
        return np.exp(self.knots)

    def predictors(self, t: Floats, x: Profiles) -> list[Floats]:
        """Spline and its derivative in log time."""
        log_t = np.log(t)
        basis, slope = spline_basis(log_t, self.knots)
        level, rise = [np.ones((t.size, 1)), basis], [np.zeros((t.size, 1)), slope]
        if self.design is not None:
            level.append(x[LOCATION])
            rise.append(np.zeros_like(x[LOCATION]))
            for column, knots in self.varying.items():
                value = x[LOCATION][:, [self.design.columns.index(column)]]
                basis, slope = spline_basis(log_t, knots)
                level.append(basis * value)
                rise.append(slope * value)
        return [np.concatenate(level, axis=1), np.concatenate(rise, axis=1)]

    def curves(self, t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
        """By scale; the log hazard needs a rising spline."""
        level, rise = u
        with np.errstate(invalid="ignore", divide="ignore"):
            speed = jets.log(rise) - np.log(t)
        match self.scale:
            case "hazard":
                return level + speed, jets.exp(level)
            case "odds":
                cumulative = jets.softplus(level)
                return level - cumulative + speed, cumulative
            case "normal":
                cumulative = -jets.log_normal_tail(level)
                return jets.log_normal_density(level) + cumulative + speed, cumulative
            case _:
                assert_never(self.scale)

    def starts(self, summary: Summary) -> list[Floats]:
        """Exponential, log-logistic, log-normal: the models without inner knots."""
        log_rate = float(np.log(summary.rate))
        first = {
            "hazard": (log_rate, 1.0),
            "odds": (log_rate + 0.37, 1.0),
            "normal": ((log_rate + 0.37) / 1.3, 1.0 / 1.3),
        }
        start = np.zeros(len(self.terms))
        start[:2] = first[self.scale]
        return [start]


def spline_knots(
    log_times: Floats, knots: Any, boundary: tuple[float, float] | None, *, name: str = "knots"
) -> Floats:
    """Place the knots of a spline in log time.

    Parameters
    ----------
    log_times : (d,) float64
        Log times of the events.
    knots : int or array-like of float
        Number of inner knots, put at quantiles of the log event times; or their times.
    boundary : (float, float) or None
        Times of the boundary knots; None: first and last event.
    name : str, default "knots"
        Name of the option, for messages.

    Returns
    -------
    (m,) float64
        Log times, boundary included.

    Raises
    ------
    DataError
        If knots coincide, are out of order or lie outside the boundary.
    """
    ends = (
        [float(log_times.min()), float(log_times.max())]
        if boundary is None
        else np.log(positive_times(boundary, "boundary")).tolist()
    )
    if is_count(knots, name):
        inner = np.quantile(log_times, np.arange(1, int(knots) + 1) / (int(knots) + 1))
        if boundary is not None:
            inner = inner[(inner > ends[0]) & (inner < ends[1])]
    else:
        inner = np.log(positive_times(knots, name))
    out = np.array([ends[0], *inner.tolist(), ends[1]])
    if np.any(np.diff(out) <= 1e-9):
        raise DataError(
            f"{name} must ascend between the boundary knots",
            values={name: np.exp(out).round(6).tolist()},
            remedy="ask for fewer knots (tied event times), or pass other times",
        )
    return out


def is_count(value: Any, name: str) -> bool:
    """Tell a number of knots from their times, and refuse a negative number.

    Parameters
    ----------
    value : int or array-like
        What was passed.
    name : str
        Name of the option.

    Returns
    -------
    bool
        True for a whole number.

    Raises
    ------
    DataError
        If the number is negative.
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if value < 0:
            raise DataError(f"{name} must not be negative", values={name: value})
        return True
    return False


def positive_times(values: Any, name: str) -> Floats:
    """Check times of knots.

    Parameters
    ----------
    values : array-like of float
        Times.
    name : str
        Name of the option.

    Returns
    -------
    (k,) float64
        Positive and finite.

    Raises
    ------
    DataError
        If one is not.
    """
    out = columns.require_finite(columns.numeric(np.atleast_1d(values), name), name)
    if np.any(out <= 0):
        raise DataError(
            f"{name} are times and must be positive",
            values={name: float(out[out <= 0][0])},
            remedy="pass times in the unit of the outcome, or a whole number of knots",
        )
    return out
