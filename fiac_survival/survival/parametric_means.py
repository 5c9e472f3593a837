r"""Means and quantiles of a fitted parametric model.

The restricted mean is the area under the survival curve up to the horizon, also where that lies beyond
the data; the part after the end of the data is given by itself. It is a Gauss-Legendre sum on panels that
halve towards zero and break at knots, at quantiles of the times and at the end of the data, so that its
gradient is the same sum of gradients. The time t by which a share p has failed solves S(t) = 1 - p; its
gradient is that of S over the density.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.intervals import normal_quantile
from fiac_survival.survival import jets
from fiac_survival.survival.parametric_curves import (
    Estimated,
    Targets,
    collapse,
    curves,
    limits,
    simulated_curves,
    standard_errors,
)

Floats = NDArray[np.float64]

NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(10)
HALVINGS = 18


def integration_nodes(tau: float, breaks: Floats) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on (0, tau].

    Parameters
    ----------
    tau : float
        End.
    breaks : (m,) float64
        Times at which panels end.

    Returns
    -------
    nodes, weights : (k,) float64
        Ascending.
    """
    edges = tau * 0.5 ** np.arange(HALVINGS)
    inside = breaks[(breaks > 0) & (breaks < tau)]
    edges = np.unique(np.concatenate([[0.0], edges, inside]))
    nodes = [a + 0.5 * (b - a) * (1.0 + NODES) for a, b in pairwise(edges)]
    weights = [0.5 * (b - a) * NODE_WEIGHTS for a, b in pairwise(edges)]
    return np.concatenate(nodes), np.concatenate(weights)


def rmst_table(
    fitted: Estimated,
    targets: Targets,
    taus: Floats,
    *,
    data_end: float,
    breaks: Floats,
    level: float,
    draws: Floats | None,
) -> pd.DataFrame:
    """Tabulate restricted means with intervals; see :meth:`ParametricModel.rmst`."""
    z = normal_quantile(level)
    frames = []
    for tau in taus:
        ends = np.concatenate([breaks, fitted.model.breaks, [data_end]])
        nodes, weight = integration_nodes(float(tau), ends)
        survival, _, gradient, _ = curves(fitted, targets, nodes)
        mean = survival @ weight
        within = survival @ np.where(nodes <= data_end, weight, 0.0)
        if draws is None:
            std_error = standard_errors(np.einsum("gkp,k->gp", gradient, weight), fitted.covariance)
            lower, upper = (
                np.maximum(mean - z * std_error, 0.0),
                np.minimum(mean + z * std_error, tau),
            )
        else:
            simulated, _ = simulated_curves(fitted, targets, nodes, draws)
            std_error, lower, upper = limits(simulated @ weight, level)
        frames.append(
            pd.DataFrame(
                {
                    "row": targets.labels,
                    "tau": float(tau),
                    "rmst": mean,
                    "std_error": std_error,
                    "lower": lower,
                    "upper": upper,
                    "data_end": data_end,
                    "within_data": within,
                    "beyond_data": mean - within,
                    "share_beyond": (mean - within) / mean,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def quantile_table(
    fitted: Estimated, targets: Targets, probabilities: Floats, *, level: float, unit: float
) -> pd.DataFrame:
    """Tabulate times by which given shares have failed; see :meth:`ParametricModel.quantile`."""
    z = normal_quantile(level)
    frames = []
    for share in probabilities:
        low = np.full(len(targets.labels), np.log(unit) - 60.0)
        high = np.full(len(targets.labels), np.log(unit) + 60.0)
        for _ in range(90):
            middle = 0.5 * (low + high)
            below = _survival_at(fitted, targets, np.exp(middle)) > 1.0 - share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        last = _survival_at(fitted, targets, np.full_like(low, unit * np.exp(60.0)))
        finite = last < 1.0 - share
        time = np.where(finite, np.exp(0.5 * (low + high)), np.inf)
        std_error = np.full_like(time, np.nan)
        for i in np.flatnonzero(finite):
            survival, log_hazard, gradient, _ = curves(fitted, targets, time[i : i + 1])
            slope = survival[i, 0] * np.exp(log_hazard[i, 0]) * time[i]
            std_error[i] = standard_errors(gradient[i, 0] / slope, fitted.covariance)
        frames.append(
            pd.DataFrame(
                {
                    "row": targets.labels,
                    "probability": float(share),
                    "time": time,
                    "std_error": time * std_error,
                    "lower": time * np.exp(-z * std_error),
                    "upper": time * np.exp(z * std_error),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _survival_at(fitted: Estimated, targets: Targets, times: Floats) -> Floats:
    """Survival of each row of the answer at its own time."""
    owned = times[targets.owner]
    z = fitted.model.predictors(owned, targets.profiles)
    with np.errstate(all="ignore"):
        _, cum = fitted.model.curves(owned, jets.constants([m @ fitted.coef for m in z]))
    return collapse(targets, targets.share * np.exp(-cum.value))
