"""What the estimators of a policy's value share: nuisance models, observed care, the bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.core.intervals import (
    Transform,
    require_choice,
    survival_interval,
)
from fiac_survival.core.seeds import stream
from fiac_survival.sequence.course_values import ElapsedKernels, Kernels, StateKernels
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.indication import RegimenModel
from fiac_survival.sequence.kernel_fitting import Estimator
from fiac_survival.sequence.lines_table import DEATH
from fiac_survival.sequence.observed_care import (
    Censoring,
    Observation,
    Propensity,
    Segments,
)
from fiac_survival.sequence.policy_rules import PolicyRule
from fiac_survival.sequence.step_counts import weighted_counts

if TYPE_CHECKING:
    from fiac_survival.sequence.policy_work import PolicyWork

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Outcome = Literal["spline", "state", "elapsed"]
TRANSFORM: Transform = "log-log"


@dataclass(frozen=True, eq=False)
class WeightedCurve:
    """Weighted Kaplan-Meier curve and its restricted mean.

    Attributes
    ----------
    value : float
        Restricted mean, in steps.
    influence : (N,) float64
        Influence of each patient on it; the squares add to the variance.
    survival : (T+1,) float64
        Survival at 0..T steps.
    std_error : (T+1,) float64
        Its standard error.
    """

    value: float
    influence: Floats
    survival: Floats
    std_error: Floats

    def curve(self, step_months: float, level: float) -> pd.DataFrame:
        """Tidy table of the curve.

        Parameters
        ----------
        step_months : float
            Length of a step.
        level : float
            Confidence level.

        Returns
        -------
        DataFrame
            month, survival, std_error, lower, upper.
        """
        lower, upper = survival_interval(
            self.survival, self.std_error, level=level, transform=TRANSFORM
        )
        return pd.DataFrame(
            {
                "month": np.arange(self.survival.size) * step_months,
                "survival": self.survival,
                "std_error": self.std_error,
                "lower": lower,
                "upper": upper,
            }
        )


class Evaluator:
    """What does not depend on the policy.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    horizon : float or None
        Months.
    confounders, outcome, propensity, censoring, censoring_confounders, folds, seed
        As in :func:`fiac_survival.sequence.evaluate`.
    salvage_death, truncate, persons, weights
        As there.
    """

    def __init__(
        self,
        h: Histories,
        *,
        horizon: float | None,
        confounders: Sequence[str],
        outcome: Outcome,
        propensity: Propensity,
        censoring: Censoring,
        censoring_confounders: Sequence[str],
        folds: int,
        seed: int,
        salvage_death: Any,
        truncate: float | None,
        persons: Any,
        weights: str | None,
    ) -> None:
        require_choice(outcome, Outcome, "outcome")
        require_choice(propensity, Propensity, "propensity")
        require_choice(censoring, Censoring, "censoring")
        if confounders and propensity != "model":
            raise DataError(
                "frequencies take no confounders",
                values={"propensity": propensity, "confounders": ", ".join(confounders)},
                remedy='pass propensity="model"',
            )
        if h.overlap_counts == "refractory":
            raise DataError(
                "policies are evaluated without refractory classes",
                values={"overlap_counts": h.overlap_counts},
                remedy="read the lines without refractory=",
            )
        self.h, self.seed, self.folds = h, seed, folds
        self.outcome, self.propensity = outcome, propensity
        self.n_steps = _steps(h, horizon)
        self.base = np.ones(h.n_persons)
        if weights is not None:
            self.base = _person_weights(h, weights)
        if persons is not None:
            known = pd.Index(h.persons)
            unknown = [p for p in persons if p not in known]
            if unknown:
                raise DataError("persons must be in the table", values={"person": unknown[0]})
            self.base = self.base * known.isin(list(persons))
            if np.sum(self.base > 0) < 2:
                raise DataError("there must be two persons or more", values={"n": len(persons)})
        self.estimator = Estimator(
            h,
            confounders,
            "spline" if outcome == "spline" else "product_limit",
            4,
            0.5,
            truncate,
            salvage_death,
        )
        self.model = RegimenModel(h, confounders) if propensity == "model" else None
        self.segments = Segments(h, self.n_steps)
        cells = None
        if outcome == "elapsed":
            masks = h.formulary.masks
            cells = self.segments.cells(
                [h.line, h.regimen, h.exposed, h.start],
                after=[h.exposed | masks[h.regimen], h.start + h.steps],
            )
        self.observation = Observation(
            h, self.segments, self.n_steps, censoring, censoring_confounders, cells
        )

    def on(self, policy: Any) -> PolicyWork:
        """Prepare a policy.

        Parameters
        ----------
        policy : Solution, sequence of str, or callable
            The policy.

        Returns
        -------
        PolicyWork
            Its estimators.
        """
        from fiac_survival.sequence.policy_work import PolicyWork

        return PolicyWork(self, PolicyRule(self.h.formulary, policy))

    def kernels(self, of_person: Floats) -> Kernels:
        """Kernels from patients of given weights.

        Parameters
        ----------
        of_person : (N,) float64
            Weights.

        Returns
        -------
        Kernels
            As `outcome` says.
        """
        fit = self.estimator.fit(of_person)
        state = StateKernels(self.estimator, fit, of_person)
        if self.outcome != "elapsed":
            return state
        return ElapsedKernels(self.h, self.estimator.row_weights(of_person), of_person)

    def bootstrap(
        self, work: Mapping[str, PolicyWork], methods: Sequence[str], draws: int
    ) -> dict[tuple[str, str], Floats]:
        """Bayesian bootstrap of patients; all policies on the same draws.

        Parameters
        ----------
        work : mapping
            Policies by name.
        methods : sequence of {"g_formula", "ipw", "ipw_mean"}
            Estimators.
        draws : int
            Number of draws.

        Returns
        -------
        dict
            (policy, method) to values in steps, (draws,).
        """
        out = {(name, method): np.empty(draws) for name in work for method in methods}
        for b in range(draws):
            weights = stream(self.seed, "evaluate", b).exponential(size=self.h.n_persons)
            weights *= self.base
            weights *= self.base.sum() / weights.sum()
            kernels = self.kernels(weights) if "g_formula" in methods else None
            for name, each in work.items():
                for method in methods:
                    if method == "g_formula":
                        value = each.g_formula(weights, kernels)
                    elif method == "ipw":
                        value = each.ipw(weights).value
                    else:
                        value = each.ipw_mean(weights)[0]
                    out[name, method][b] = value
        return out

    def observed(self) -> WeightedCurve:
        """Survival under the care that was observed.

        Returns
        -------
        WeightedCurve
            Kaplan-Meier, weighted for censoring.
        """
        keep = np.ones(self.segments.row.size, dtype=np.bool_)
        weight = 1.0 / self.observation.probability(self.base)
        return self.curve(keep, weight, self.base)

    def curve(self, keep: Bools, weight: Floats, of_person: Floats) -> WeightedCurve:
        """Weighted Kaplan-Meier over the steps of some segments.

        Parameters
        ----------
        keep : (m,) bool
            Segments.
        weight : (m_steps,) float64
            Weight of each step of each segment.
        of_person : (N,) float64
            Weights of the patients.

        Returns
        -------
        WeightedCurve
            Curve, restricted mean, influences.

        Raises
        ------
        SupportError
            If nobody is left before the horizon.
        """
        o, s, horizon = self.observation, self.segments, self.n_steps
        used = keep[o.segment] & ~o.lost_now
        segment, t = o.segment[used], o.elapsed[used]
        person = s.person[segment]
        w = weight[used] * of_person[person]
        death = (s.ending[segment] == DEATH) & (o.step[used] == s.steps[segment] - 1)
        at_risk = weighted_counts(t, w, horizon)
        deaths = weighted_counts(t, w * death, horizon)
        hazard = deaths / np.where(at_risk > 0, at_risk, 1.0)
        survival = np.concatenate([[1.0], np.cumprod(1.0 - hazard)])
        empty = (at_risk <= 0) & (survival[:-1] > 1e-12)
        if empty.any():
            raise SupportError(
                "patients must be followed to the horizon under the policy",
                values={
                    "followed for": int(np.flatnonzero(empty)[0]) * self.h.formulary.step_months,
                    "horizon": horizon * self.h.formulary.step_months,
                },
                remedy="shorten the horizon; see the table of support",
            )
        area = np.concatenate([[0.5], np.ones(horizon - 1), [0.5]]) * survival
        to_come = np.cumsum(area[::-1])[::-1][1:]
        value = float(area.sum())
        safe = np.where(at_risk > 0, at_risk, 1.0)
        odds = 1.0 / np.where(hazard < 1.0, 1.0 - hazard, 1.0)
        martingale = w * (death - hazard[t]) / safe[t] * odds[t]
        n = self.h.n_persons
        influence = -weighted_counts(person, martingale * to_come[t], n)
        by_person = np.zeros((n, horizon))
        np.add.at(by_person, (person, t), martingale)
        total = np.cumsum(by_person, axis=1)
        error = np.sqrt((total**2).sum(axis=0)) * survival[1:]
        return WeightedCurve(value, influence, survival, np.concatenate([[0.0], error]))


def _person_weights(h: Histories, column: str) -> Floats:
    if column not in h.covariates:
        raise DataError(
            "weights must be a column of the lines",
            values={"weights": column},
            remedy="pass it as a covariate when reading the table of lines",
        )
    by_row = h.covariates[column].to_numpy(np.float64)
    first = by_row[h.first]
    bad = (by_row != first[h.person]) | ~np.isfinite(by_row) | (by_row < 0)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            "weights must be finite, not negative, and the same in all lines of a patient",
            count=int(bad.sum()),
            row=row,
            values={"person": h.persons[h.person[row]], "weight": by_row[row]},
        )
    return np.asarray(first * (first.size / first.sum()))


def _steps(h: Histories, horizon: float | None) -> int:
    f = h.formulary
    if horizon is None:
        return f.n_steps
    steps = round(horizon / f.step_months)
    if abs(steps * f.step_months - horizon) > 1e-9 or not 1 <= steps <= f.n_steps:
        raise DataError(
            "horizon must be a whole number of steps within the formulary's",
            values={"horizon": horizon, "step": f.step_months, "formulary": f.horizon_months},
        )
    return steps
