"""What was observed: who was still under observation, and how likely each regimen was.

Propensities and the probability of being under observation, from patients of given weights (all, a training
fold, or a bootstrap); both are products over the lines that a patient has gone through.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import SupportError
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.indication import RegimenModel, numeric_covariates
from fiac_survival.sequence.kernel_design import spline_or_line
from fiac_survival.sequence.lines_table import CENSORED
from fiac_survival.sequence.multinomial import fit_multinomial, probabilities

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Propensity = Literal["model", "state", "elapsed"]
Censoring = Literal["elapsed", "cells", "model", "none"]


def regimen_probability(
    h: Histories, of_person: Floats, how: Propensity, model: RegimenModel | None
) -> Floats:
    """Probability of the regimen that each row was given.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    of_person : (N,) float64
        Weights of the patients in the fit.
    how : {"model", "state", "elapsed"}
        Multinomial logit, or frequencies by line, exposed classes and group, with the elapsed steps or not.
    model : RegimenModel or None
        For "model".

    Returns
    -------
    (n,) float64
        Probabilities; 0 where the fit has nobody with this history and regimen.
    """
    weights = of_person[h.person]
    if how == "model":
        assert model is not None
        return model.probability(weights)
    key = [h.line, h.exposed, h.group, *([h.start] if how == "elapsed" else [])]
    cell = np.unique(np.column_stack(key), axis=0, return_inverse=True)[1].ravel()
    n_regimens = len(h.formulary.regimens)
    given = np.bincount(
        cell * n_regimens + h.regimen, weights=weights, minlength=(cell.max() + 1) * n_regimens
    )
    total = given.reshape(-1, n_regimens).sum(axis=1)[cell]
    return np.asarray(given[cell * n_regimens + h.regimen] / np.where(total > 0, total, 1.0))


class Segments:
    """Every stretch of observation: the rows, and the time after the last line.

    Attributes
    ----------
    row : (m,) int64
        Row of the histories; for the time after the last line that of the last line.
    after : (m,) bool
        Whether this is the time after the last line.
    start, steps, ending : (m,) int64
        Elapsed steps at its start, its steps, and how it ended; cut at the horizon.
    group, person : (m,) int64
        Group at its start, and patient.
    """

    def __init__(self, h: Histories, n_steps: int) -> None:
        last = np.flatnonzero(h.salvage_ending[h.person] >= 0)
        last = last[h.line[last] == h.formulary.lines - 1]
        person = h.person[last]
        self.row = np.concatenate([np.arange(h.line.size), last])
        self.after = np.concatenate([np.zeros(h.line.size, bool), np.ones(last.size, bool)])
        self.start = np.concatenate([h.start, h.start[last] + h.steps[last]])
        self.steps = np.concatenate([h.steps, h.salvage_steps[person]])
        self.ending = np.concatenate([h.ending, h.salvage_ending[person]])
        self.person = h.person[self.row]
        inside = self.start < n_steps
        self.group = np.concatenate([h.group, h.salvage_group[person]])
        for name in ("row", "after", "start", "steps", "ending", "person", "group"):
            setattr(self, name, getattr(self, name)[inside])
        left = n_steps - self.start
        self.cut = self.steps > left
        self.ending = np.where(self.cut, CENSORED, self.ending)
        self.steps = np.minimum(self.steps, left)
        # In the order of each patient's course.
        self.order = np.lexsort((self.after, self.row))
        # Follow-up that reaches the horizon is complete.
        self.lost = (self.ending == CENSORED) & ~self.cut & (self.steps < left)

    def cells(self, columns: Sequence[Ints], after: Sequence[Ints] = ()) -> Ints:
        """Cells of the segments by columns and group.

        Parameters
        ----------
        columns : sequence of (n,) int64
            Of the lines, by row of the histories.
        after : sequence of (n,) int64
            Of the time after the last line, by row of the last line; by default the group alone counts.

        Returns
        -------
        (m,) int64
            Cell of each segment.
        """
        parts = [np.where(self.after, -1, column[self.row]) for column in columns]
        parts += [np.where(self.after, column[self.row], -1) for column in after]
        key = np.column_stack([*parts, self.after, self.group])
        return np.unique(key, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


class Observation:
    """Probability of being under observation in each step of each segment.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    segments : Segments
        Its segments.
    n_steps : int
        Horizon.
    how : {"elapsed", "cells", "model", "none"}
        Product-limit over elapsed time; in the kernels' cells; a logit of elapsed time and confounders; or
        none, if nobody is lost.
    confounders : sequence of str
        For "model".
    """

    def __init__(
        self,
        h: Histories,
        segments: Segments,
        n_steps: int,
        how: Censoring,
        confounders: Sequence[str],
        cells: Ints | None = None,
    ) -> None:
        self.h, self.segments, self.n_steps, self.how = h, segments, n_steps, how
        s = segments
        # Steps under observation: those gone through, and the one before which a patient was lost.
        span = s.steps + s.lost
        self.segment = np.repeat(np.arange(s.row.size), span)
        first = np.cumsum(span) - span
        self.step = np.arange(self.segment.size) - first[self.segment]  # from 0
        self.elapsed = s.start[self.segment] + self.step
        self.lost_now = s.lost[self.segment] & (self.step == s.steps[self.segment])
        self.first = first
        if how == "none" and s.lost.any():
            i = int(np.flatnonzero(s.lost)[0])
            raise SupportError(
                "without a censoring model nobody may be lost before the horizon",
                values={"lost": int(s.lost.sum()), "first person": h.persons[s.person[i]]},
                remedy='pass censoring="elapsed" or "model"',
            )
        if how == "cells":
            if cells is None:
                cells = s.cells([h.line, h.regimen, h.level])
            self.cell = cells
        if how == "model":
            self.x = self._columns(confounders)

    def _columns(self, confounders: Sequence[str]) -> Floats:
        h, s = self.h, self.segments
        log_time = np.log1p(np.arange(self.n_steps, dtype=np.float64))
        knots = np.unique(np.quantile(log_time[self.elapsed], [0.1, 0.5, 0.9]))
        basis = spline_or_line(log_time, knots)
        basis = (basis - basis.mean(axis=0)) / basis.std(axis=0)
        extra = numeric_covariates(h.covariates, confounders)[s.row]
        group = (h.group[s.row][:, None] == np.arange(1, len(h.formulary.groups))).astype(float)
        line = ((h.line + 1)[s.row] + s.after).astype(np.float64)
        by_segment = np.column_stack([line - line.mean(), group, extra])
        ones = np.ones(self.segment.size)
        return np.column_stack([ones, basis[self.elapsed], by_segment[self.segment]])

    def probability(self, of_person: Floats) -> Floats:
        """Probability of still being under observation in each of the steps.

        Parameters
        ----------
        of_person : (N,) float64
            Weights of the patients in the fit.

        Returns
        -------
        (m_steps,) float64
            By step of each segment (`segment`, `step`); the product over all steps so far.

        Raises
        ------
        SupportError
            If nobody in the fit is under observation where a patient is.
        """
        if self.how == "none":
            return np.ones(self.segment.size)
        weights = of_person[self.segments.person[self.segment]]
        if self.how == "model":
            counts = np.column_stack([weights * ~self.lost_now, weights * self.lost_now])
            ridge = np.full(self.x.shape[1], 1e-2)
            ridge[0] = 1e-8
            fit = fit_multinomial(self.x, counts, ridge=ridge, what="model of censoring")
            hazard = probabilities(self.x, fit.coef)[:, 1]
        else:
            place = self.elapsed
            if self.how == "cells":
                place = self.cell[self.segment] * self.n_steps + self.step
            size = int(place.max()) + 1
            at_risk = np.bincount(place, weights=weights, minlength=size)
            lost = np.bincount(place, weights=weights * self.lost_now, minlength=size)
            hazard = (lost / np.where(at_risk > 0, at_risk, 1.0))[place]
        return self._chained(1.0 - hazard)

    def _chained(self, stay: Floats) -> Floats:
        """Multiply over the steps of a segment, and over the segments before."""
        log_stay = np.log(np.maximum(stay, 1e-300))
        total = np.cumsum(log_stay)
        before = np.where(self.first > 0, total[np.maximum(self.first, 1) - 1], 0.0)
        # Segments in their order within each patient: the row's own, then the time after the last line.
        s = self.segments
        sums = np.bincount(self.segment, weights=log_stay, minlength=s.row.size)
        person = s.person[s.order]
        ordered = sums[s.order]
        running = np.cumsum(ordered) - ordered
        new = np.r_[True, person[1:] != person[:-1]] if person.size else np.zeros(0, bool)
        base = running[new][np.cumsum(new) - 1] if person.size else running
        carried = np.empty_like(running)
        carried[s.order] = running - base
        return np.asarray(np.exp(total - before[self.segment] + carried[self.segment]))
