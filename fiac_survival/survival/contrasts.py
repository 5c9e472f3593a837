"""Differences and ratios between groups, from estimates and their joint covariance."""

from __future__ import annotations

from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.intervals import normal_quantile, two_sided_p

Floats = NDArray[np.float64]
Contrast = Literal["difference", "ratio", "ratio of time lost", "log-log difference"]


def contrast_table(
    labels: list[Any],
    estimates: Floats,
    covariance: Floats,
    *,
    kinds: tuple[Contrast, ...],
    level: float,
    horizon: float,
) -> pd.DataFrame:
    """Compare each group with the first.

    Parameters
    ----------
    labels : list, length k
        Groups; the first is the reference.
    estimates : (k,) float64
        Means or probabilities.
    covariance : (k, k) float64
        Of the estimates.
    kinds : tuple of str
        Which contrasts; ratios and log-log differences have their standard error on the log scale.
    level : float
        Confidence level.
    horizon : float
        τ, for the time lost.

    Returns
    -------
    DataFrame
        group, reference, contrast, estimate, std_error, scale, lower, upper, p_value.

    Notes
    -----
    The log-log difference of survival probabilities, log(-log S₁) - log(-log S₀), is the log hazard
    ratio under proportional hazards.
    """
    z = normal_quantile(level)
    rows = []
    for g in range(1, len(labels)):
        pair = np.array([estimates[0], estimates[g]])
        cov = covariance[np.ix_([0, g], [0, g])]
        for kind in kinds:
            value, gradient, exponentiate = _on_scale(pair, kind, horizon)
            with np.errstate(invalid="ignore"):
                variance = float(gradient @ cov @ gradient)
            se = float(np.sqrt(variance)) if variance >= 0 else float("nan")
            lower, upper = value - z * se, value + z * se
            rows.append(
                {
                    "group": labels[g],
                    "reference": labels[0],
                    "contrast": kind,
                    "estimate": np.exp(value) if exponentiate else value,
                    "std_error": se,
                    "scale": "log" if exponentiate else "identity",
                    "lower": np.exp(lower) if exponentiate else lower,
                    "upper": np.exp(upper) if exponentiate else upper,
                    "p_value": two_sided_p(value / se) if se > 0 else float("nan"),
                }
            )
    return pd.DataFrame(rows)


def _on_scale(pair: Floats, kind: Contrast, horizon: float) -> tuple[float, Floats, bool]:
    """Value on the scale of inference, gradient in (reference, group), and whether to exponentiate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        match kind:
            case "difference":
                return float(pair[1] - pair[0]), np.array([-1.0, 1.0]), False
            case "ratio":
                return (
                    float(np.log(pair[1] / pair[0])),
                    np.array([-1.0 / pair[0], 1.0 / pair[1]]),
                    True,
                )
            case "ratio of time lost":
                lost = horizon - pair
                return (
                    float(np.log(lost[1] / lost[0])),
                    np.array([1.0 / lost[0], -1.0 / lost[1]]),
                    True,
                )
            case "log-log difference":
                transformed = np.log(-np.log(pair))
                gradient = 1.0 / (pair * np.log(pair))
                return (
                    float(transformed[1] - transformed[0]),
                    np.array([-gradient[0], gradient[1]]),
                    False,
                )
            case _:
                assert_never(kind)


def covariance_of_groups(influences: list[Floats], clusters: list[NDArray[Any]] | None) -> Floats:
    """Covariance of group estimates from the influence of their rows.

    Parameters
    ----------
    influences : list of (n_g,) float64
        Weight times influence of the rows of each group.
    clusters : list of (n_g,) int, or None
        Cluster codes shared between the groups; None if rows are independent.

    Returns
    -------
    (k, k) float64
        Covariance; off-diagonal only where clusters span groups.
    """
    k = len(influences)
    if clusters is None:
        return np.diag([float(np.sum(u * u)) for u in influences])
    size = int(max(c.max() for c in clusters)) + 1
    sums = np.stack(
        [
            np.bincount(c, weights=u, minlength=size)
            for u, c in zip(influences, clusters, strict=True)
        ]
    )
    out: Floats = np.empty((k, k))
    for a in range(k):
        for b in range(a, k):
            out[a, b] = out[b, a] = float(np.sum(sums[a] * sums[b]))
    return out
