"""Hazard increments of all transitions on a grid, and how what is computed from them varies.

State probabilities and lengths of stay are functions of the increments. They vary in one of three ways:
independent increments of known covariance (Aalen, Greenwood), increments that depend on estimated
coefficients (Cox), or the infinitesimal weight of each person (jackknife).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.kernels import multistate as kernels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PlacedRows:
    """Intervals of one group on its grid.

    Attributes
    ----------
    first, last : (n,) int64
        Grid indices between which each interval is at risk.
    state, transition, person : (n,) int64
        State held, transition at the end (-1 for none), person.
    weight : (n,) float64
        Case weights.
    persons : int
        Number of persons.
    """

    first: Ints
    last: Ints
    state: Ints
    transition: Ints
    person: Ints
    weight: Floats
    persons: int


@dataclass(frozen=True, eq=False)
class HazardSteps:
    """Hazard increments of all transitions on one grid, and how they vary.

    Attributes
    ----------
    time : (m,) float64
        Times at which anybody moves.
    source, target : (K,) int64
        States that the transitions lead from and to.
    states : int
        Number of states.
    hazard : (m, K) float64
        Increments.
    at_risk : (m, S) float64 or None
        Numbers at risk, if there are any.
    noise : (m, K, K) float64 or None
        Covariance of independent increments.
    noise_updated : bool
        Whether the noise is weighed by the probabilities after its time rather than before.
    slope : (m, K, P) float64 or None
        Derivative of the increments by estimated coefficients.
    coefficient_covariance : (P, P) float64 or None
        Their covariance.
    rows : PlacedRows or None
        The intervals, for the jackknife.
    last_time : float
        End of follow-up.
    """

    time: Floats
    source: Ints
    target: Ints
    states: int
    hazard: Floats
    last_time: float
    at_risk: Floats | None = None
    noise: Floats | None = None
    noise_updated: bool = False
    slope: Floats | None = None
    coefficient_covariance: Floats | None = None
    rows: PlacedRows | None = None

    def curve(self, initial: Floats) -> Floats:
        """State probabilities from an initial distribution.

        Parameters
        ----------
        initial : (S,) float64
            Distribution before the first grid time.

        Returns
        -------
        (m, S) float64
            Distribution after each grid time.
        """
        out = np.empty((self.time.size, self.states))
        kernels.product_integral(initial, self.hazard, self.source, self.target, out)
        return out

    def covariance(self, initial: Floats, influence: Floats, curve: Floats) -> Floats:
        """Covariance of state probabilities at each grid time.

        Parameters
        ----------
        initial : (S,) float64
            Distribution before the first grid time.
        influence : (C, S) float64
            Influence of each person on it; zeros if it is known.
        curve : (m, S) float64
            From :meth:`curve`.

        Returns
        -------
        (m, S, S) float64
            Covariances.
        """
        shape = (self.time.size, self.states, self.states)
        out = np.zeros(shape)
        if self.rows is not None and self.at_risk is not None:
            r = self.rows
            by_entry = np.argsort(r.first, kind="stable")
            kernels.jackknife_covariance(
                initial, influence, curve, self.hazard, self.at_risk,
                r.first, r.last, r.state, r.transition, r.weight, r.person, by_entry,
                self.source, self.target, out,
            )  # fmt: skip
            return out
        if self.noise is not None:
            kernels.increments_to_covariance(
                initial, curve, self.hazard, self.noise, self.noise_updated,
                self.source, self.target, out,
            )  # fmt: skip
        if self.slope is not None and self.coefficient_covariance is not None:
            gradient = np.empty((self.time.size, self.slope.shape[2], self.states))
            kernels.parameters_to_gradient(
                initial, curve, self.hazard, self.slope, self.source, self.target, gradient
            )
            middle = np.matmul(self.coefficient_covariance, gradient)
            out += np.matmul(gradient.transpose(0, 2, 1), middle)
        return out

    def hazard_variance(self) -> Floats:
        """Variance of the cumulative hazards.

        Returns
        -------
        (m, K) float64
            At each grid time.
        """
        out = np.zeros(self.hazard.shape)
        if self.rows is not None and self.at_risk is not None:
            r = self.rows
            kernels.jackknife_hazard_variance(
                self.hazard, self.at_risk, r.first, r.last, r.state, r.transition, r.weight,
                r.person, r.persons, self.source, out,
            )  # fmt: skip
            return out
        if self.noise is not None:
            out += np.cumsum(np.einsum("ukk->uk", self.noise), axis=0)
        if self.slope is not None and self.coefficient_covariance is not None:
            total = np.cumsum(self.slope, axis=0)
            out += np.einsum("ukp,pq,ukq->uk", total, self.coefficient_covariance, total)
        return out

    def stays(
        self, initial: Floats, influence: Floats, curve: Floats, since: float, tau: float
    ) -> tuple[Floats, Floats]:
        """Compute the expected time in each state between two times, and its variance.

        Parameters
        ----------
        initial, influence, curve
            As in :meth:`covariance`.
        since, tau : float
            From when to when.

        Returns
        -------
        stay, variance : (S,) float64
            Expected times and their variances.
        """
        size = self.states
        after = np.empty((self.time.size, size, size))
        kernels.stays_after(self.time, self.hazard, self.source, self.target, tau, after)
        edges = np.append(np.minimum(np.append(self.time, tau), tau), tau)
        before = np.vstack([initial[None, :], curve])
        width = np.diff(np.concatenate([[since], edges[:-1]]))
        stay = width @ before
        held = (curve if self.noise_updated else before[:-1])[:, self.source]
        # What one more move of each kind at each time would change, per unit of its hazard.
        gain = held[:, :, None] * (after[:, self.target, :] - after[:, self.source, :])
        if self.rows is not None and self.at_risk is not None:
            total = self._person_sums(gain, influence)
            if influence.any():
                from_start = np.empty((self.time.size + 1, size, size))
                kernels.stays_after(
                    np.append(since, self.time),
                    np.vstack([np.zeros(self.source.size), self.hazard]),
                    self.source,
                    self.target,
                    tau,
                    from_start,
                )
                total += influence @ from_start[0]
            return stay, (total**2).sum(axis=0)
        variance = np.zeros(size)
        if self.noise is not None:
            variance += np.einsum("uks,ukl,uls->s", gain, self.noise, gain, optimize=True)
        if self.slope is not None and self.coefficient_covariance is not None:
            gradient = np.einsum("ukp,uks->ps", self.slope, gain)
            variance += np.einsum("ps,pq,qs->s", gradient, self.coefficient_covariance, gradient)
        return stay, variance

    def _person_sums(self, gain: Floats, influence: Floats) -> Floats:
        """Influence of each person through the increments, weights inside."""
        assert self.rows is not None
        assert self.at_risk is not None
        r, size = self.rows, self.states
        total = np.zeros_like(influence)
        with np.errstate(divide="ignore", invalid="ignore"):
            per_row = np.where(self.at_risk > 0, 1.0 / self.at_risk, 0.0)
        for j in range(size):
            leaving = np.flatnonzero(self.source == j)
            mine = np.flatnonzero((r.state == j) & (r.first <= r.last))
            if leaving.size == 0 or mine.size == 0:
                continue
            jump = gain[:, leaving, :] * per_row[:, j, None, None]
            lost = np.einsum("uk,uks->us", self.hazard[:, leaving], jump)
            summed = np.vstack([np.zeros(size), np.cumsum(lost, axis=0)])
            value = summed[r.first[mine]] - summed[r.last[mine] + 1]
            for place, k in enumerate(leaving):
                moved = r.transition[mine] == k
                value[moved] += jump[r.last[mine][moved], place]
            np.add.at(total, r.person[mine], r.weight[mine, None] * value)
        return total
