r"""Outcome models averaged over a population, with the influence of every row.

For a Cox model write :math:`r_j=e^{x_j'\beta}`, :math:`S_j=e^{-r_jH}`. The average over the population
changes with the cumulative hazard by :math:`-A(t)=-\overline{S_jr_j}` and with β by
:math:`-H(t)\,\overline{S_jr_jx_j}`, x being centred. For a parametric model the gradient comes with the
curve. Restricted means integrate curve and influence: exactly (steps) or at quadrature nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.cox import cox
from fiac_survival.survival.parametric import parametric
from fiac_survival.survival.parametric_curves import curves, each_of
from fiac_survival.survival.parametric_means import integration_nodes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
CELLS = 2_000_000


@dataclass(frozen=True, eq=False)
class Standardised:
    """Curves and means of both arms, and the influence of the rows on them.

    Attributes
    ----------
    survival : (2, k) float64
        Control, treated.
    rmst : (2,) float64
        NaN without a horizon.
    influence : (n, 2 k) or (n, 2 k + 2) float64 or None
        As :class:`fiac_survival.compare.adjusted_survival.Curves` has it.
    n_iter, gradient_norm : int, float
        Of the fits.
    """

    survival: Floats
    rmst: Floats
    influence: Floats | None
    n_iter: int
    gradient_norm: float


@dataclass(frozen=True, eq=False)
class Average:
    """An averaged curve: at the times asked for, and its mean up to the horizon at the end.

    Attributes
    ----------
    value : (k,) or (k + 1,) float64
        Estimates.
    own : (m, k or k + 1) float64 or None
        The same of each member of the population.
    influence : (rows, k or k + 1) float64 or None
        Of the rows that the model was fitted to, through the model.
    """

    value: Floats
    own: Floats | None
    influence: Floats | None


def standardise(
    y: Outcome,
    t: Bools,
    x: Floats,
    names: list[str],
    target: Floats,
    *,
    times: Floats,
    tau: float | None,
    model: str,
    arms: str,
    knots: int | None,
    sampled: bool,
    influence: bool,
) -> Standardised:
    """Fit the outcome models and average them.

    Parameters
    ----------
    y : Outcome
        Rows.
    t : (n,) bool
        Treatment.
    x : (n, p) float64
        Covariates.
    names : list of str
        Their names.
    target : (m, p) float64
        Covariates of the population.
    times : (k,) float64
        Times.
    tau : float or None
        Horizon.
    model, arms, knots
        As in :func:`fiac_survival.compare.standardised_survival`.
    sampled : bool
        Whether the population is the rows themselves.
    influence : bool
        Whether to compute influences.

    Returns
    -------
    Standardised
        Curves of both arms.
    """
    n, found, n_iter, gradient = len(y), [], 0, 0.0
    everyone = np.arange(n)
    together = None
    if arms != "separate":
        together = _fit(y, _with_arm(x, t, arms), _names(names, arms), model, knots)
    for a in (False, True):
        if together is None:
            rows = np.flatnonzero(t == a)
            fitted, profile = _fit(y.take(rows), x[rows], names, model, knots), target
        else:
            rows, fitted = everyone, together
            profile = _with_arm(target, np.full(target.shape[0], a), arms)
        n_iter, gradient = max(n_iter, fitted.n_iter), max(gradient, fitted.gradient_norm)
        average = fitted.average(profile, times, tau, influence)
        whole = None
        if influence:
            whole = np.zeros((n, average.value.size))
            assert average.influence is not None
            whole[rows] += average.influence
            if sampled:
                assert average.own is not None
                whole += (average.own - average.value) / n
        found.append((average.value, whole))
    k = times.size
    joined = None
    if influence:
        both = [w for _, w in found if w is not None]
        joined = np.concatenate([w[:, :k] for w in both] + [w[:, k:] for w in both], axis=1)
    return Standardised(
        survival=np.stack([v[:k] for v, _ in found]),
        rmst=np.array([v[k] if tau is not None else np.nan for v, _ in found]),
        influence=joined,
        n_iter=n_iter,
        gradient_norm=gradient,
    )


def _with_arm(x: Floats, t: Bools, arms: str) -> Floats:
    arm = t.astype(np.float64)[:, None]
    parts = [arm, x, arm * x] if arms == "interaction" else [arm, x]
    return np.concatenate(parts, axis=1)


def _names(names: list[str], arms: str) -> list[str]:
    products = [f"treated x {name}" for name in names] if arms == "interaction" else []
    return ["treated", *names, *products]


def _fit(
    y: Outcome, x: Floats, names: list[str], model: str, knots: int | None
) -> CoxAverage | ParametricAverage:
    return (
        CoxAverage(y, x, names) if model == "cox" else ParametricAverage(y, x, names, model, knots)
    )


class CoxAverage:
    """A Cox model with Breslow's baseline, to be averaged."""

    def __init__(self, y: Outcome, x: Floats, names: list[str]) -> None:
        self.centre = x.mean(axis=0)
        z = x - self.centre
        model = cox(y, pd.DataFrame(z, columns=names), ties="breslow")
        self.n_iter, self.gradient_norm = model.n_iter, model.gradient_norm
        self.coef = model.coef.to_numpy()
        self.coef_influence = model.influence
        self.risk = np.exp(z @ self.coef)
        self.y = y
        event = y.event > 0
        self.grid, deaths = np.unique(y.time[event], return_counts=True)
        self.s0 = self._at_risk(self.risk)
        s1 = np.stack([self._at_risk(self.risk * column) for column in z.T], axis=1)
        self.step = deaths / self.s0
        self.hazard = np.cumsum(self.step)
        self.mean = np.cumsum(s1 / self.s0[:, None] * self.step[:, None], axis=0)

    def _at_risk(self, value: Floats) -> Floats:
        """Sum of a value over those at risk at each event time."""

        def later(times: Floats) -> Floats:
            order = np.argsort(times, kind="stable")
            sums = np.concatenate([np.cumsum(value[order][::-1])[::-1], [0.0]])
            return np.asarray(sums[np.searchsorted(times[order], self.grid, side="left")])

        total = later(self.y.time)
        if self.y.entry is not None:
            # Without delayed entry a row is at risk from the start, time 0 included.
            total = total - later(np.where(self.y.entry > 0, self.y.entry, -1.0))
        return total

    def average(
        self, profile: Floats, times: Floats, tau: float | None, influence: bool
    ) -> Average:
        """Average over profiles.

        Parameters
        ----------
        profile : (m, p) float64
            Covariates.
        times : (k,) float64
            Times.
        tau : float or None
            Horizon.
        influence : bool
            Whether to compute influences.

        Returns
        -------
        Average
            Curve and mean.
        """
        z = profile - self.centre
        with np.errstate(over="ignore"):
            relative = np.exp(z @ self.coef)
        used = self.grid if tau is None else self.grid[self.grid < tau]
        at = np.searchsorted(self.grid, times, side="right")
        k, p = times.size, self.coef.size
        # Steps: before the first event time, then from each event time on.
        points = np.unique(np.concatenate([at, np.arange(used.size + 1)])) if tau else np.unique(at)
        length = np.zeros(points.size)
        if tau is not None:
            edges = np.concatenate([[0.0], used, [tau]])
            length[: used.size + 1] = np.diff(edges)
        place = np.searchsorted(points, at)
        value = np.zeros(k + (tau is not None))
        own = np.zeros((profile.shape[0], value.size)) if influence else None
        moved = np.zeros((len(self.y), value.size)) if influence else None
        size = max(1, CELLS // max(profile.shape[0], len(self.y)))
        for start in range(0, points.size, size):
            part = points[start : start + size]
            hazard = np.concatenate([[0.0], self.hazard])[part]
            curve = np.exp(-relative[:, None] * hazard[None, :])
            pick = np.zeros((part.size, value.size))
            inside = (place >= start) & (place < start + part.size)
            pick[place[inside] - start, np.flatnonzero(inside)] = 1.0
            if tau is not None:
                pick[:, k] = length[start : start + part.size]
            value += curve.mean(axis=0) @ pick
            if own is not None and moved is not None:
                own += curve @ pick
                steep = curve * np.where(curve > 0, relative[:, None], 0.0)
                by_coef = hazard[:, None] * (steep.T @ z / profile.shape[0])
                moved -= (self._hazard_influence(part) * steep.mean(axis=0)) @ pick
                moved -= self.coef_influence @ (by_coef.T @ pick).reshape(p, value.size)
        return Average(value, own, moved)

    def _hazard_influence(self, points: Ints) -> Floats:
        """Influence of the rows on the cumulative hazard after `points` event times, (n, points)."""
        y, grid = self.y, self.grid
        last = np.searchsorted(grid, y.time, side="right")
        first = np.zeros(last.size, dtype=np.int64)
        if y.entry is not None:
            late = np.searchsorted(grid, y.entry, side="right")
            first = np.where(y.entry > 0, late, 0)
        spent = np.concatenate([[0.0], np.cumsum(self.step / self.s0)])
        upto = spent[np.minimum(points[None, :], last[:, None])]
        since = spent[np.minimum(points[None, :], first[:, None])]
        event = y.event > 0
        own = np.where(event, 1.0 / self.s0[np.maximum(last - 1, 0)], 0.0)
        happened = (last[:, None] <= points[None, :]) * own[:, None]
        through = np.concatenate([np.zeros((1, self.mean.shape[1])), self.mean])[points]
        return np.asarray(
            happened - self.risk[:, None] * (upto - since) - self.coef_influence @ through.T
        )


class ParametricAverage:
    """A parametric model, to be averaged."""

    def __init__(
        self, y: Outcome, x: Floats, names: list[str], family: str, knots: int | None
    ) -> None:
        self.model = parametric(
            y,
            family=family,  # type: ignore[arg-type]
            X=pd.DataFrame(x, columns=names),
            knots=knots,
        )
        self.names = names
        self.n_iter, self.gradient_norm = self.model.n_iter, self.model.gradient_norm

    def average(
        self, profile: Floats, times: Floats, tau: float | None, influence: bool
    ) -> Average:
        """Average over profiles.

        Parameters
        ----------
        profile : (m, p) float64
            Covariates.
        times : (k,) float64
            Times.
        tau : float or None
            Horizon.
        influence : bool
            Whether to compute influences.

        Returns
        -------
        Average
            Curve and mean.
        """
        k, m = times.size, profile.shape[0]
        nodes, weight = np.empty(0), np.empty(0)
        if tau is not None:
            inner = np.quantile(self.model._sample.time, np.linspace(0.1, 0.9, 9))
            breaks = np.concatenate([inner, self.model._fitted.model.breaks])
            nodes, weight = integration_nodes(float(tau), breaks)
        moments = np.concatenate([times, nodes])
        pick = np.zeros((moments.size, k + (tau is not None)))
        pick[np.arange(k), np.arange(k)] = 1.0
        pick[k:, k:] = weight[:, None]
        value = np.zeros(pick.shape[1])
        own = np.zeros((m, pick.shape[1]))
        gradient = np.zeros((pick.shape[1], self.model.coef.size))
        size = max(1, CELLS // (moments.size * self.model.coef.size))
        for start in range(0, m, size):
            part = pd.DataFrame(profile[start : start + size], columns=self.names)
            targets = each_of({name: d.again(part) for name, d in self.model._designs.items()})
            survival, _, slope, _ = curves(self.model._fitted, targets, moments)
            own[start : start + size] = survival @ pick
            gradient += np.einsum("rkp,kv->vp", slope, pick) / m
        value = own.mean(axis=0)
        moved = self.model.influence @ gradient.T if influence else None
        return Average(value, own, moved)
