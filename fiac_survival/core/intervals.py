r"""Confidence intervals: normal quantiles and the scales on which survival is nearly normal.

With :math:`z` the two-sided normal quantile and :math:`\sigma` the standard error of :math:`S`, the
interval is symmetric on the scale :math:`g(S)` and has half-width :math:`z\,\sigma\,|g'(S)|`:

========== ==================================== =====================
name       g(S)                                 g'(S)
========== ==================================== =====================
plain      S                                    1
log        log S                                1/S
log-log    log(-log S)                          1/(S log S)
logit      log(S/(1-S))                         1/(S(1-S))
arcsine    arcsin(sqrt S)                       1/(2 sqrt(S(1-S)))
========== ==================================== =====================

Before the first event (S = 1, σ = 0) the interval is the point 1; where S = 0 there is none (NaN).
The limits never leave [0, 1].
"""

from __future__ import annotations

from typing import Literal, assert_never, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from fiac_survival.core.errors import DataError

Floats = NDArray[np.float64]
Transform = Literal["log-log", "log", "logit", "plain", "arcsine"]


def require_choice(value: object, choices: object, name: str) -> None:
    """Refuse a string option that is not one of its Literal's values.

    Parameters
    ----------
    value : object
        What the caller passed.
    choices : Literal type
        The permitted values.
    name : str
        Name of the option.

    Raises
    ------
    DataError
        Naming the permitted values.

    Examples
    --------
    >>> require_choice("log", Transform, "transform")
    """
    allowed = get_args(choices)
    if value not in allowed:
        raise DataError(
            f"{name} must be one of {', '.join(map(repr, allowed))}",
            values={name: value},
            remedy="see the documentation of this option",
        )


def normal_quantile(level: float) -> float:
    """Two-sided normal quantile of a confidence level.

    Parameters
    ----------
    level : float
        Between 0 and 1, both excluded.

    Returns
    -------
    float
        1.96 for level 0.95.

    Raises
    ------
    DataError
        If the level is not between 0 and 1.

    Examples
    --------
    >>> round(normal_quantile(0.95), 3)
    1.96
    """
    if not 0.0 < level < 1.0:
        raise DataError(
            "level must lie between 0 and 1",
            values={"level": level},
            remedy="0.95 asks for a 95 % interval",
        )
    return float(ndtri(0.5 + level / 2.0))


def two_sided_p(z: float) -> float:
    """Two-sided normal p-value.

    Parameters
    ----------
    z : float
        A standardised statistic.

    Returns
    -------
    float
        2 (1 - Φ(|z|)), NaN for NaN.

    Examples
    --------
    >>> round(two_sided_p(1.96), 3)
    0.05
    """
    return float(2.0 * ndtr(-abs(z)))


def survival_interval(
    survival: Floats, std_error: Floats, *, level: float = 0.95, transform: Transform = "log-log"
) -> tuple[Floats, Floats]:
    """Interval for a survival probability.

    Parameters
    ----------
    survival : (m,) float64
        Estimates in [0, 1].
    std_error : (m,) float64
        Their standard errors, on the probability scale.
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale on which the interval is symmetric.

    Returns
    -------
    lower, upper : (m,) float64
        Limits within [0, 1].

    References
    ----------
    Borgan O, Liestøl K. A note on confidence intervals and bands for the survival function based on
    transformations. Scand J Stat 1990;17:35-41.

    Examples
    --------
    >>> low, high = survival_interval(np.array([0.5]), np.array([0.05]))
    >>> low.round(3), high.round(3)
    (array([0.399]), array([0.593]))
    """
    require_choice(transform, Transform, "transform")
    z = normal_quantile(level)
    s = np.asarray(survival, dtype=np.float64)
    half = z * np.asarray(std_error, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        match transform:
            case "plain":
                lower, upper = s - half, s + half
            case "log":
                factor = half / s
                lower, upper = s * np.exp(-factor), s * np.exp(factor)
            case "log-log":
                factor = np.exp(half / (s * np.log(s)))
                lower, upper = s ** (1.0 / factor), s**factor
            case "logit":
                centre, factor = np.log(s / (1.0 - s)), half / (s * (1.0 - s))
                lower = 1.0 / (1.0 + np.exp(-(centre - factor)))
                upper = 1.0 / (1.0 + np.exp(-(centre + factor)))
            case "arcsine":
                centre, factor = np.arcsin(np.sqrt(s)), half / (2.0 * np.sqrt(s * (1.0 - s)))
                lower = np.sin(np.maximum(centre - factor, 0.0)) ** 2
                upper = np.sin(np.minimum(centre + factor, np.pi / 2.0)) ** 2
            case _:
                assert_never(transform)
    lower, upper = np.clip(lower, 0.0, 1.0), np.clip(upper, 0.0, 1.0)
    certain = s >= 1.0
    lower, upper = np.where(certain, 1.0, lower), np.where(certain, 1.0, upper)
    none = s <= 0.0
    return np.where(none, np.nan, lower), np.where(none, np.nan, upper)
