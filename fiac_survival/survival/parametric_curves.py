r"""Curves of a fitted parametric model, and their intervals.

For profile r with covariates x the model gives H(t|x) and h(t|x). An average over profiles with weights
:math:`v_r` is that of the population that they make up (regression standardisation):

.. math:: S(t)=\frac{\sum_r v_r S(t|x_r)}{\sum_r v_r},\quad
          h(t)=\frac{\sum_r v_r S(t|x_r)h(t|x_r)}{\sum_r v_r S(t|x_r)},\quad
          \mathrm{RMST}(\tau)=\int_0^\tau S .

Delta method: with G the gradient in the coefficients and V their covariance, the variance is GVG'.
Simulation: the curve is computed from draws of a normal distribution with the estimates' mean and
covariance, and the interval runs between quantiles of the draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import seeds
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, normal_quantile, survival_interval
from fiac_survival.survival import jets
from fiac_survival.survival.family_models import Model

Floats = NDArray[np.float64]
Interval = Literal["delta", "simulation"]

POINTS_AT_ONCE = 100_000


@dataclass(frozen=True, eq=False)
class Targets:
    """The profiles to predict for, and how they are averaged.

    Attributes
    ----------
    labels : list
        Name of each row of the answer.
    profiles : mapping
        Covariates by parameter, each (r, p_k).
    owner : (r,) int64
        Row of the answer that each profile belongs to.
    share : (r,) float64
        Its share in it.
    """

    labels: list[Any]
    profiles: Mapping[str, Floats]
    owner: NDArray[np.int64]
    share: Floats


@dataclass(frozen=True, eq=False)
class Estimated:
    """A model with its estimates, as far as curves need them."""

    model: Model
    coef: Floats
    covariance: Floats


def average_of(profiles: Mapping[str, Floats], weight: Floats) -> Targets:
    """Average over the rows of a sample; equal profiles are taken together.

    Parameters
    ----------
    profiles : mapping
        Covariates by parameter, each (n, p_k).
    weight : (n,) float64
        Weights of the rows.

    Returns
    -------
    Targets
        One row, "average"; "all" if there are no covariates.
    """
    if not profiles:
        return Targets(["all"], {}, np.zeros(1, dtype=np.int64), np.ones(1))
    wide = np.concatenate(list(profiles.values()), axis=1)
    _, first, group = np.unique(wide, axis=0, return_index=True, return_inverse=True)
    total = np.bincount(group.ravel(), weights=weight)
    return Targets(
        labels=["average"],
        profiles={name: x[first] for name, x in profiles.items()},
        owner=np.zeros(first.size, dtype=np.int64),
        share=total / total.sum(),
    )


def each_of(profiles: Mapping[str, Floats]) -> Targets:
    """Take every profile by itself.

    Parameters
    ----------
    profiles : mapping
        Covariates by parameter, each (r, p_k).

    Returns
    -------
    Targets
        Rows 0 to r - 1.
    """
    r = len(next(iter(profiles.values())))
    return Targets(list(range(r)), profiles, np.arange(r), np.ones(r))


def _chunks(targets: Targets, times: Floats) -> Iterator[tuple[slice, Floats, dict[str, Floats]]]:
    """Profiles crossed with times, not too many at once."""
    r = targets.share.size
    size = max(1, POINTS_AT_ONCE // r)
    for start in range(0, times.size, size):
        part = times[start : start + size]
        rows = {name: np.repeat(x, part.size, axis=0) for name, x in targets.profiles.items()}
        yield slice(start, start + part.size), np.tile(part, r), rows


def collapse(targets: Targets, values: Floats) -> Floats:
    """Add up the profiles of each row of the answer: (r, ...) to (g, ...)."""
    if targets.owner.size == len(targets.labels):
        return values
    out = np.zeros((len(targets.labels), *values.shape[1:]))
    np.add.at(out, targets.owner, values)
    return out


def curves(
    fitted: Estimated, targets: Targets, times: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """Survival and log hazard with their gradients in the coefficients.

    Parameters
    ----------
    fitted : Estimated
        The model.
    targets : Targets
        Profiles.
    times : (k,) float64
        Times; at zero survival is 1 and the hazard missing.

    Returns
    -------
    survival, log_hazard : (g, k) float64
        Values.
    survival_gradient, hazard_gradient : (g, k, p) float64
        Gradients.
    """
    g, k, p = len(targets.labels), times.size, fitted.coef.size
    survival, log_hazard = np.ones((g, k)), np.full((g, k), np.nan)
    d_survival, d_hazard = np.zeros((g, k, p)), np.zeros((g, k, p))
    for part, t, x in _chunks(targets, times):
        shape = (targets.share.size, part.stop - part.start)
        share = np.broadcast_to(targets.share[:, None], shape)
        after = t > 0
        z = fitted.model.predictors(np.where(after, t, 1.0), x)
        with np.errstate(all="ignore"):
            log_h, cum = fitted.model.curves(
                np.where(after, t, 1.0), jets.variables([m @ fitted.coef for m in z])
            )
        h_grad = sum(a[:, None] * m for a, m in zip(log_h.first, z, strict=True))
        c_grad = sum(a[:, None] * m for a, m in zip(cum.first, z, strict=True))
        level = np.where(after, cum.value, 0.0).reshape(shape)
        c_grad = np.where(after[:, None], c_grad, 0.0).reshape(*shape, p)
        h_grad = np.asarray(h_grad).reshape(*shape, p)
        s = np.exp(-level)
        survival[:, part] = collapse(targets, share * s)
        steep = np.where(s[..., None] > 0, s[..., None] * c_grad, 0.0)
        d_survival[:, part] = -collapse(targets, share[..., None] * steep)
        # Weights relative to the best survivor, so that far tails do not underflow.
        lowest = np.full((g, shape[1]), np.inf)
        np.minimum.at(lowest, targets.owner, level)
        alive = share * np.exp(lowest[targets.owner] - level)
        dying = alive * np.exp(np.where(after, log_h.value, np.nan).reshape(shape))
        total, deaths = collapse(targets, alive), collapse(targets, dying)
        with np.errstate(all="ignore"):
            log_hazard[:, part] = np.log(deaths) - np.log(total)
            d_hazard[:, part] = (
                collapse(targets, dying[..., None] * (h_grad - c_grad)) / deaths[..., None]
                + collapse(targets, alive[..., None] * c_grad) / total[..., None]
            )
    return survival, log_hazard, d_survival, d_hazard


def simulated_curves(
    fitted: Estimated, targets: Targets, times: Floats, draws: Floats
) -> tuple[Floats, Floats]:
    """Survival and hazard for each draw of the coefficients.

    Parameters
    ----------
    fitted : Estimated
        The model.
    targets : Targets
        Profiles.
    times : (k,) float64
        Times.
    draws : (b, p) float64
        Coefficients.

    Returns
    -------
    survival, hazard : (b, g, k) float64
        Values.
    """
    shape_out = (len(draws), len(targets.labels), times.size)
    survival, hazard = np.ones(shape_out), np.full(shape_out, np.nan)
    for part, t, x in _chunks(targets, times):
        shape = (targets.share.size, part.stop - part.start)
        after = t > 0
        positive = np.where(after, t, 1.0)
        z = fitted.model.predictors(positive, x)
        share = targets.share[:, None]
        for b, theta in enumerate(draws):
            with np.errstate(all="ignore"):
                log_h, cum = fitted.model.curves(positive, jets.constants([m @ theta for m in z]))
                s = share * np.exp(-np.where(after, cum.value, 0.0)).reshape(shape)
                h = np.exp(np.where(after, log_h.value, np.nan)).reshape(shape)
                survival[b, :, part] = collapse(targets, s)
                hazard[b, :, part] = collapse(targets, s * h) / survival[b, :, part]
    return survival, hazard


def draw(fitted: Estimated, n_draws: int, seed: int) -> Floats:
    """Draw coefficients from the normal approximation of their distribution.

    Parameters
    ----------
    fitted : Estimated
        Estimates and covariance.
    n_draws : int
        How many, at least 2.
    seed : int
        Root seed.

    Returns
    -------
    (b, p) float64
        Draws.

    Raises
    ------
    DataError
        If fewer than two are asked for.
    """
    if n_draws < 2:
        raise DataError("a simulated interval needs draws", values={"n_draws": n_draws})
    values, vectors = np.linalg.eigh(fitted.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    normal = seeds.stream(seed, "parametric").standard_normal((n_draws, fitted.coef.size))
    return np.asarray(fitted.coef + normal @ root.T)


def limits(simulated: Floats, level: float) -> tuple[Floats, Floats, Floats]:
    """Reduce draws along the first axis to standard error and quantiles."""
    tail = 0.5 * (1.0 - level)
    low, high = np.nanquantile(simulated, [tail, 1.0 - tail], axis=0)
    return np.nanstd(simulated, axis=0, ddof=1), low, high


def _tidy(targets: Targets, times: Floats, **columns: Floats) -> pd.DataFrame:
    out = {
        "row": [label for label in targets.labels for _ in times],
        "time": np.tile(times, len(targets.labels)),
    }
    return pd.DataFrame(out | {name: values.ravel() for name, values in columns.items()})


def survival_table(
    fitted: Estimated,
    targets: Targets,
    times: Floats,
    *,
    level: float,
    transform: Transform,
    draws: Floats | None,
) -> pd.DataFrame:
    """Survival with intervals; see :meth:`ParametricModel.survival`."""
    survival, _, gradient, _ = curves(fitted, targets, times)
    if draws is None:
        std_error = standard_errors(gradient, fitted.covariance)
        lower, upper = survival_interval(survival, std_error, level=level, transform=transform)
    else:
        simulated, _ = simulated_curves(fitted, targets, times, draws)
        std_error, lower, upper = limits(simulated, level)
    return _tidy(targets, times, survival=survival, std_error=std_error, lower=lower, upper=upper)


def hazard_table(
    fitted: Estimated, targets: Targets, times: Floats, *, level: float, draws: Floats | None
) -> pd.DataFrame:
    """Hazard with intervals; see :meth:`ParametricModel.hazard`."""
    if np.any(times <= 0):
        raise DataError(
            "a hazard is asked for at positive times",
            values={"times": float(times.min())},
            remedy="start at a time above 0",
        )
    _, log_hazard, _, gradient = curves(fitted, targets, times)
    hazard = np.exp(log_hazard)
    if draws is None:
        log_error = standard_errors(gradient, fitted.covariance)
        half = normal_quantile(level) * log_error
        std_error, lower, upper = hazard * log_error, hazard * np.exp(-half), hazard * np.exp(half)
    else:
        _, simulated = simulated_curves(fitted, targets, times, draws)
        std_error, lower, upper = limits(simulated, level)
    return _tidy(targets, times, hazard=hazard, std_error=std_error, lower=lower, upper=upper)


def standard_errors(gradient: Floats, covariance: Floats) -> Floats:
    """Apply the delta method to gradients of shape (..., p)."""
    return np.asarray(
        np.sqrt(np.maximum(np.einsum("...p,pq,...q->...", gradient, covariance, gradient), 0.0))
    )
