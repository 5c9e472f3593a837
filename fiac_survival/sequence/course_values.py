r"""Values of a policy along the observed course: the pieces of the doubly robust estimator.

At the start of line ℓ in history H with r steps left, on the policy's regimen with kernel (next, death):

.. math:: G(u)=\sum_{v=u}^{r}\bigl\{S(v-1)-\tfrac12\mathrm{death}[v]
          +\mathrm{next}[v]V_{\ell+1}(H',r-v)\bigr\},
          \qquad q(u)=G(u+1)/S(u),\qquad V_\ell(H,r)=q(0).

q(u) is what is still expected after u steps in the line. A patient under observation contributes in
step u the increment 1 + q(u) - q(u-1) if the line goes on, 1 + V' - q(u-1) if it ends by the next line,
and 1/2 - q(u-1) if by death; they add up to what was earned minus what was expected, and each has mean
0 under the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import SupportError
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.kernel_fitting import Estimator, Fit, to_kernels
from fiac_survival.sequence.lines_table import DEATH, NEXT
from fiac_survival.sequence.policy_rules import PolicyRule, State
from fiac_survival.sequence.step_counts import at_risk_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Kernels(Protocol):
    """Where kernels come from."""

    def line(
        self, line: int, regimen: int, state: State, group: int, start: int
    ) -> tuple[Floats, Floats, int]:
        """Next and death by step, and the steps up to which they are known."""
        ...

    def salvage(self, state: State, group: int, start: int) -> tuple[Floats, int]:
        """Death by step after the last line, and the steps up to which it is known."""
        ...


class StateKernels:
    """Kernels by line, regimen, group and overlap level, smooth or product-limit.

    Parameters
    ----------
    estimator : Estimator
        What made them.
    fit : Fit
        The fit.
    """

    def __init__(self, estimator: Estimator, fit: Fit, of_person: Floats) -> None:
        self.formulary, self.fit = estimator.h.formulary, fit
        f = self.formulary
        shape = fit.next_prob.shape[:4]
        self.followed = np.full(shape, f.n_steps)
        self.followed_salvage = np.full(len(f.groups), f.n_steps)
        if estimator.form == "product_limit":
            counts = estimator.cells.counts(of_person[estimator.h.person])
            self.followed = np.zeros(shape, dtype=np.int64)
            self.followed[tuple(counts.cell.T)] = (counts.at_risk > 0).sum(axis=1)
            if estimator.salvage is not None:
                at_risk, _ = estimator.salvage.counts(of_person[estimator.salvage.persons])
                self.followed_salvage = (at_risk > 0).sum(axis=1)

    def line(
        self, line: int, regimen: int, state: State, group: int, start: int
    ) -> tuple[Floats, Floats, int]:
        """Kernel of a line; see :class:`Kernels`.

        Parameters
        ----------
        line, regimen, state, group, start
            Where.

        Returns
        -------
        next_prob, death_prob, followed
            Kernel, and steps up to which it is known.
        """
        at = (line, regimen, group, self.formulary.level(regimen, state[0]))
        return self.fit.next_prob[at], self.fit.death_prob[at], int(self.followed[at])

    def salvage(self, state: State, group: int, start: int) -> tuple[Floats, int]:
        """Salvage kernel; see :class:`Kernels`.

        Parameters
        ----------
        state, group, start
            Where.

        Returns
        -------
        death_prob, followed
            Kernel, and steps up to which it is known.
        """
        return self.fit.salvage_death[group], int(self.followed_salvage[group])


class ElapsedKernels:
    """Product-limit kernels by line, regimen, exposed classes, group and elapsed steps at the line's start.

    After the last line: by exposed classes, group and elapsed steps.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    row_weights : (n,) float64
        Weights of the rows.
    of_person : (N,) float64
        Weights of the patients, for the time after the last line.
    """

    def __init__(self, h: Histories, row_weights: Floats, of_person: Floats) -> None:
        self.n_steps, self.n_lines = h.formulary.n_steps, h.formulary.lines
        last = np.flatnonzero((h.salvage_ending[h.person] >= 0) & (h.line == h.formulary.lines - 1))
        person = h.person[last]
        n_lines = np.full(last.size, h.formulary.lines)
        after = [
            n_lines,
            np.full(last.size, -1),
            h.exposed[last] | h.formulary.masks[h.regimen[last]],
            h.salvage_group[person],
            h.start[last] + h.steps[last],
        ]
        key = np.column_stack([h.line, h.regimen, h.exposed, h.group, h.start])
        key = np.concatenate([key, np.column_stack(after)])
        cells, of_row = np.unique(key, axis=0, return_inverse=True)
        self.place = {tuple(cell): i for i, cell in enumerate(cells.tolist())}
        steps = np.concatenate([h.steps, h.salvage_steps[person]])
        ending = np.concatenate([h.ending, h.salvage_ending[person]])
        ending = np.where(steps > self.n_steps, 0, ending)
        ended = np.zeros((len(cells), 3, self.n_steps + 1))
        weights = np.concatenate([row_weights, of_person[person]])
        np.add.at(ended, (of_row.ravel(), ending, np.minimum(steps, self.n_steps)), weights)
        self.at_risk = at_risk_of(ended.sum(axis=1))
        safe = np.where(self.at_risk > 0, self.at_risk, 1.0)
        self.next_prob, self.death_prob = to_kernels(
            ended[:, NEXT, 1:] / safe, ended[:, DEATH, 1:] / safe
        )

    def line(
        self, line: int, regimen: int, state: State, group: int, start: int
    ) -> tuple[Floats, Floats, int]:
        """Kernel of a line; see :class:`Kernels`.

        Parameters
        ----------
        line, regimen, state, group, start
            Where.

        Returns
        -------
        next_prob, death_prob, followed
            Kernel, and steps up to which it is known.
        """
        i = self.place.get((line, regimen, state[0], group, start))
        if i is None:
            zero = np.zeros(self.n_steps)
            return zero, zero, 0
        return self.next_prob[i], self.death_prob[i], int((self.at_risk[i] > 0).sum())

    def salvage(self, state: State, group: int, start: int) -> tuple[Floats, int]:
        """Salvage kernel; see :class:`Kernels`.

        Parameters
        ----------
        state, group, start
            Where.

        Returns
        -------
        death_prob, followed
            Kernel, and steps up to which it is known.
        """
        _, death, followed = self.line(self.n_lines, -1, state, group, start)
        return death, followed


@dataclass(frozen=True, eq=False)
class Course:
    """Expected values from a line's start.

    Attributes
    ----------
    value : float
        V, in steps.
    remaining : (r+1,) float64
        q(u), u = 0..r.
    following : (r,) float64
        V of the next line if this one ends in step u = 1..r.
    """

    value: float
    remaining: Floats
    following: Floats


class Plan:
    """Expected values under a policy, from any history that it leads to.

    Parameters
    ----------
    rule : PolicyRule
        The policy.
    kernels : Kernels
        Kernels.
    n_steps : int
        Horizon in steps.
    """

    def __init__(self, rule: PolicyRule, kernels: Kernels, n_steps: int) -> None:
        self.rule, self.kernels, self.n_steps = rule, kernels, n_steps
        self.after = rule.formulary.group_after
        self._known: dict[tuple[int, State, int, int], Course] = {}

    def course(self, line: int, state: State, group: int, start: int) -> Course:
        """Find the expected values of starting a line.

        Parameters
        ----------
        line : int
            From 0; L is the time after the last line.
        state : State
            History.
        group, start : int
            Group and elapsed steps.

        Returns
        -------
        Course
            Values.

        Raises
        ------
        SupportError
            If a kernel is not known for as long as it is needed.
        """
        key = (line, state, group, start)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._make(line, state, group, start)
        return found

    def _make(self, line: int, state: State, group: int, start: int) -> Course:
        f = self.rule.formulary
        r = self.n_steps - start
        following = np.zeros(r)
        regimen = -1
        if line == f.lines:
            death, known = self.kernels.salvage(state, group, start)
            onward = np.zeros(r)
            death = death[:r]
        else:
            regimen = self.rule.decide(line, state, group, r)
            onward, death, known = self.kernels.line(line, regimen, state, group, start)
            onward, death = onward[:r], death[:r]
        survival = np.ones(r + 1)
        survival[1:] = np.maximum(1.0 - np.cumsum(onward + death), 0.0)
        if known < r and survival[known] > 1e-12:
            raise SupportError(
                "follow-up must reach the horizon in every cell that the policy needs",
                values={
                    "line": line + 1 if line < f.lines else "after the last",
                    "regimen": f.regimen_names[regimen] if regimen >= 0 else "any",
                    "group": f.groups[group],
                    "followed for": known * f.step_months,
                    "needed": r * f.step_months,
                },
                remedy='shorten the horizon, or pass outcome="spline"',
            )
        if line < f.lines:
            to = self.rule.after(state, regimen)
            for u in np.flatnonzero(onward > 0).tolist():
                if u + 1 < r:
                    g = group if self.after is None else int(self.after[line, group, u])
                    following[u] = self.course(line + 1, to, g, start + u + 1).value
        earned = survival[:-1] - 0.5 * death + onward * following
        tail = np.concatenate([np.cumsum(earned[::-1])[::-1], [0.0]])
        remaining = np.where(survival > 1e-14, tail / np.maximum(survival, 1e-14), 0.0)
        return Course(float(remaining[0]) if r else 0.0, remaining, following)
