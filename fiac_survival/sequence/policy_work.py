"""The estimators of one policy's value: g-formula, inverse-probability weighting, doubly robust."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import SupportError
from fiac_survival.core.seeds import stream
from fiac_survival.sequence.course_values import Kernels, Plan
from fiac_survival.sequence.evaluators import Evaluator, WeightedCurve
from fiac_survival.sequence.lines_table import DEATH, NEXT
from fiac_survival.sequence.observed_care import regimen_probability
from fiac_survival.sequence.policy_rules import PolicyRule, State, row_states
from fiac_survival.sequence.step_counts import weighted_counts

Floats = NDArray[np.float64]


class PolicyWork:
    """Estimators of one policy.

    Parameters
    ----------
    evaluator : Evaluator
        What does not depend on the policy.
    rule : PolicyRule
        The policy.
    """

    def __init__(self, evaluator: Evaluator, rule: PolicyRule) -> None:
        self.e, self.rule = evaluator, rule
        h, horizon = evaluator.h, evaluator.n_steps
        self.states: list[State] = row_states(h.formulary, h.line, h.regimen, rule)
        self.compliant = np.zeros(h.line.size, dtype=np.bool_)
        known: dict[Any, int] = {}
        following = False
        for i in range(h.line.size):
            if h.line[i] == 0:
                following = True
            if not following:
                continue
            start = int(h.start[i])
            if start >= horizon:
                self.compliant[i] = True
                continue
            key = (int(h.line[i]), self.states[i], int(h.group[i]), horizon - start)
            if key not in known:
                known[key] = rule.decide(*key)
            following = known[key] == h.regimen[i]
            self.compliant[i] = following
        person_used = evaluator.base[h.person] > 0
        if not (self.compliant & person_used).any():
            raise SupportError(
                "somebody must have been treated as the policy says",
                values={"line": 1, "compliant": 0},
                remedy="evaluate a policy that is closer to observed care",
            )

    def g_formula(self, of_person: Floats | None = None, kernels: Kernels | None = None) -> float:
        """Value in the estimated model, over the observed mix of groups.

        Parameters
        ----------
        of_person : (N,) float64, optional
            Weights of the patients.
        kernels : Kernels, optional
            Kernels that were fitted with these weights.

        Returns
        -------
        float
            In steps.
        """
        weights = self.e.base if of_person is None else of_person
        plan = Plan(self.rule, kernels or self.e.kernels(weights), self.e.n_steps)
        group = self.e.h.group[self.e.h.first]
        share = weighted_counts(group, weights, len(self.e.h.formulary.groups))
        share = share / share.sum()
        return float(
            sum(p * plan.course(0, (0, -1, 0), g, 0).value for g, p in enumerate(share) if p > 0)
        )

    def row_weight(self, of_person: Floats) -> Floats:
        """Inverse probability of the regimens up to each compliant row, 0 elsewhere.

        Parameters
        ----------
        of_person : (N,) float64
            Weights of the patients in the fit.

        Returns
        -------
        (n,) float64
            Weights.

        Raises
        ------
        SupportError
            If a regimen that was given has no probability in the fit.
        """
        h = self.e.h
        p = regimen_probability(h, of_person, self.e.propensity, self.e.model)
        needed = self.compliant & (h.start < self.e.n_steps)
        if (p[needed] <= 0).any():
            row = int(np.flatnonzero(needed & (p <= 0))[0])
            raise SupportError(
                "the regimens given must have a positive probability in every fold",
                values={
                    "line": int(h.line[row]) + 1,
                    "regimen": h.formulary.regimen_names[h.regimen[row]],
                },
                remedy='pass folds=1, or propensity="model"',
            )
        log_p = np.where(needed, np.log(np.where(needed, p, 1.0)), 0.0)
        total = np.cumsum(log_p)
        before = np.where(h.first > 0, total[np.maximum(h.first, 1) - 1], 0.0)
        return np.asarray(np.where(self.compliant, np.exp(-(total - before[h.person])), 0.0))

    def ipw(self, of_person: Floats | None = None) -> WeightedCurve:
        """Weighted Kaplan-Meier of compliant person-time.

        Parameters
        ----------
        of_person : (N,) float64, optional
            Weights of the patients.

        Returns
        -------
        WeightedCurve
            Curve, restricted mean, influences with those of the estimated propensities.
        """
        e = self.e
        weights = e.base if of_person is None else of_person
        inverse = self.row_weight(weights)
        s, o = e.segments, e.observation
        weight = inverse[s.row][o.segment] / o.probability(weights)
        found = e.curve(self.compliant[s.row], weight, weights)
        influence = self._without_scores(found.influence)
        return WeightedCurve(found.value, influence, found.survival, found.std_error)

    def ipw_mean(self, of_person: Floats | None = None) -> tuple[float, Floats]:
        """Mean of the whole life-times of those who complied to their end, weighted, not normalised.

        Parameters
        ----------
        of_person : (N,) float64, optional
            Weights of the patients.

        Returns
        -------
        value : float
            In steps.
        influence : (N,) float64
            Influence of each patient.
        """
        e = self.e
        weights = e.base if of_person is None else of_person
        inverse = self.row_weight(weights)
        s, o = e.segments, e.observation
        observed = o.probability(weights)
        person = s.person[s.order]
        final = s.order[np.r_[person[1:] != person[:-1], True]]
        whole = np.bincount(s.person, weights=s.steps, minlength=e.h.n_persons)
        total = np.zeros(e.h.n_persons)
        row = s.row[final]
        end = o.first[final] + np.maximum(s.steps[final], 1) - 1
        ok = self.compliant[row] & ~s.lost[final] & (s.steps[final] > 0)
        life = whole[s.person[final]] - 0.5 * (s.ending[final] == DEATH)
        total[s.person[final[ok]]] = (inverse[row] * life)[ok] / observed[end[ok]]
        n = float(weights.sum())
        value = float(np.sum(weights * total) / n)
        influence = weights * (total - value) / n
        return value, self._without_scores(influence)

    def _without_scores(self, influence: Floats) -> Floats:
        """Take out what the estimated propensities explain."""
        if self.e.model is None:
            return influence
        scores = self.e.model.patient_scores() * self.e.base[:, None]
        scores = scores[:, np.abs(scores).max(axis=0) > 0]
        if scores.shape[1] == 0 or scores.shape[1] >= self.e.base.sum() / 2:
            return influence
        # Scores of one line are collinear (a ridge keeps the fit unique): the pseudo-inverse projects.
        coef = np.linalg.pinv(scores.T @ scores, rcond=1e-12, hermitian=True) @ (
            scores.T @ influence
        )
        return np.asarray(influence - scores @ coef)

    def doubly_robust(self) -> tuple[float, Floats]:
        """Doubly robust value with cross-fitting.

        Returns
        -------
        value : float
            In steps.
        influence : (N,) float64
            Influence of each patient; the squares add to the variance.
        """
        e = self.e
        persons = np.flatnonzero(e.base > 0)
        fold = np.zeros(e.h.n_persons, dtype=np.int64)
        if e.folds > 1:
            order = stream(e.seed, "folds").permutation(persons)
            fold[order] = np.arange(order.size) % e.folds
        value = np.zeros(e.h.n_persons)
        for k in range(e.folds):
            held_out = fold == k
            train = e.base * (~held_out if e.folds > 1 else True)
            value[held_out] = self._increments(train, held_out)[held_out]
        weight = e.base / e.base.sum()
        estimate = float(weight @ value)
        influence = weight * (value - estimate)
        if e.propensity == "model" and e.model is not None:
            regimen_probability(e.h, e.base, "model", e.model)
            influence = self._without_scores(influence)
        return estimate, influence

    def _increments(self, train: Floats, persons: NDArray[np.bool_]) -> Floats:
        """Value of each patient: expected at the start, plus weighted increments along the course."""
        e, h = self.e, self.e.h
        plan = Plan(self.rule, e.kernels(train), e.n_steps)
        inverse = self.row_weight(train)
        s, o = e.segments, e.observation
        observed = o.probability(train)
        group_of = h.group[h.first]
        out = np.zeros(h.n_persons)
        for g in np.unique(group_of[persons]).tolist():
            out[group_of == g] = plan.course(0, (0, -1, 0), g, 0).value
        f = h.formulary
        after = f.group_after
        for i in np.flatnonzero(self.compliant[s.row] & persons[s.person]).tolist():
            row = int(s.row[i])
            line, state, group = int(h.line[row]), self.states[row], int(h.group[row])
            if s.after[i]:
                if after is not None:
                    group = int(after[line, group, h.steps[row] - 1])
                state = self.rule.after(state, int(h.regimen[row]))
                line += 1
            course = plan.course(line, state, group, int(s.start[i]))
            n = int(s.steps[i])
            q = course.remaining
            gains = 1.0 + q[1 : n + 1] - q[:n]
            if s.ending[i] == DEATH:
                gains[n - 1] = 0.5 - q[n - 1]
            elif s.ending[i] == NEXT:
                gains[n - 1] = 1.0 + course.following[n - 1] - q[n - 1]
            begin = int(o.first[i])
            weighted = gains / observed[begin : begin + n]
            out[h.person[row]] += inverse[row] * weighted.sum()
        return out

    def support(self) -> pd.DataFrame:
        """Count who stands behind the policy, line by line.

        Returns
        -------
        DataFrame
            line, started, compliant, ess, largest_weight.
        """
        e, h = self.e, self.e.h
        inverse = self.row_weight(e.base) * e.base[h.person]
        rows = []
        for line in range(h.formulary.lines):
            here = (h.line == line) & (e.base[h.person] > 0) & (h.start < e.n_steps)
            w = inverse[here & self.compliant]
            total = float(w.sum())
            rows.append(
                {
                    "line": line + 1,
                    "started": int(here.sum()),
                    "compliant": int((here & self.compliant).sum()),
                    "ess": total**2 / float(np.sum(w**2)) if total > 0 else 0.0,
                    "largest_weight": float(w.max()) / total if total > 0 else float("nan"),
                }
            )
        return pd.DataFrame(rows)
