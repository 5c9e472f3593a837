"""Fitting kernels: counts of person-steps, hazards, the time after the last line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.cell_likelihood import CellLikelihood
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.indication import RegimenModel, indication_weights
from fiac_survival.sequence.kernel_design import (
    DEVIATIONS,
    Design,
    Deviation,
    make_design,
    spline_or_line,
)
from fiac_survival.sequence.lines_table import DEATH, NEXT
from fiac_survival.sequence.multinomial import (
    MultinomialFit,
    fit_multinomial,
    maximise,
    probabilities,
)
from fiac_survival.sequence.step_counts import at_risk_of, weighted_counts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Form = Literal["spline", "product_limit"]


@dataclass(frozen=True, eq=False)
class Counts:
    """Weighted person-steps.

    Attributes
    ----------
    cell : (K, 4) int64
        Line, regimen, group and overlap level of each cell that has patients.
    at_risk, onward, death : (K, T) float64
        At risk in, moving on in, and dying in each step.
    """

    cell: Ints
    at_risk: Floats
    onward: Floats
    death: Floats


class Cells:
    """Cells that the histories have, and the counts of any weights.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    """

    def __init__(self, h: Histories) -> None:
        self.n_steps = h.formulary.n_steps
        key = np.column_stack([h.line, h.regimen, h.group, h.level])
        self.cell, of_row = np.unique(key, axis=0, return_inverse=True)
        self.of_row = of_row.ravel()
        beyond = h.steps > self.n_steps
        steps = np.minimum(h.steps, self.n_steps)
        ending = np.where(beyond, 0, h.ending)
        self.place = (self.of_row * 3 + ending) * (self.n_steps + 1) + steps

    def counts(self, weights: Floats) -> Counts:
        """Aggregate weighted lines.

        Parameters
        ----------
        weights : (n,) float64
            Weights of the rows.

        Returns
        -------
        Counts
            By cell and step.
        """
        size = (len(self.cell), 3, self.n_steps + 1)
        ended = weighted_counts(self.place, weights, int(np.prod(size))).reshape(size)
        total = ended.sum(axis=1)
        at_risk = at_risk_of(total)
        return Counts(self.cell, at_risk, ended[:, NEXT, 1:], ended[:, DEATH, 1:])


def to_kernels(onward: Floats, death: Floats) -> tuple[Floats, Floats]:
    """Turn discrete hazards into kernels.

    Parameters
    ----------
    onward, death : (..., T) float64
        Probabilities of moving on and of death in a step, given that the line lasted so long.

    Returns
    -------
    next_prob, death_prob : (..., T) float64
        Unconditional probabilities.
    """
    stay = np.maximum(1.0 - onward - death, 0.0)
    before = np.ones_like(stay)
    np.cumprod(stay[..., :-1], axis=-1, out=before[..., 1:])
    return before * onward, before * death


class Salvage:
    """Hazard of death after the last line, by group.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    smooth : bool
        Logit with a spline in time, or each group's own product-limit hazards.
    """

    def __init__(self, h: Histories, *, smooth: bool) -> None:
        f = h.formulary
        self.persons = np.flatnonzero(h.salvage_ending >= 0)
        steps = np.minimum(h.salvage_steps[self.persons], f.n_steps)
        inside = h.salvage_steps[self.persons] <= f.n_steps
        died = (h.salvage_ending[self.persons] == DEATH) & inside
        self.shape = (len(f.groups), f.n_steps)
        self.smooth = smooth
        group = h.salvage_group[self.persons]
        self.place = (group * 2 + died) * (f.n_steps + 1) + steps
        at_risk, _ = self.counts(np.ones(self.persons.size))
        self.followed = (at_risk > 0).sum(axis=1)
        if not smooth:
            return
        if not died.any():
            raise DataError(
                "the time after the last line must have deaths",
                values={"patients": self.persons.size, "last line": f.lines},
                remedy="pass salvage_death=, or a formulary with fewer lines",
            )
        self.used = (at_risk > 0).ravel()
        log_step = np.log(np.arange(1, f.n_steps + 1))
        knots = np.unique(np.quantile(np.log(np.maximum(steps[died], 1)), [0.1, 0.5, 0.9]))
        basis = spline_or_line(log_step, knots)
        basis = (basis - basis.mean(axis=0)) / np.maximum(basis.std(axis=0), 1e-9)
        indicator = np.repeat(np.eye(self.shape[0])[:, 1:], f.n_steps, axis=0)
        every = np.tile(basis, (self.shape[0], 1))
        self.x = np.column_stack([np.ones(len(every)), indicator, every])

    def counts(self, weights: Floats) -> tuple[Floats, Floats]:
        """Count who is at risk, and who dies, in each step.

        Parameters
        ----------
        weights : (m,) float64
            Weights of the patients who reach this time.

        Returns
        -------
        at_risk, deaths : (G, T) float64
            Weighted counts.
        """
        size = (self.shape[0], 2, self.shape[1] + 1)
        ended = weighted_counts(self.place, weights, int(np.prod(size))).reshape(size)
        at_risk = at_risk_of(ended.sum(axis=1))
        return at_risk, ended[:, 1, 1:]

    def fit(self, of_person: Floats, start: MultinomialFit | None) -> tuple[Any, Floats]:
        """Fit the hazard.

        Parameters
        ----------
        of_person : (N,) float64
            Weights of all patients.
        start : MultinomialFit or None
            Where to begin.

        Returns
        -------
        fit : MultinomialFit or None
            None for the product-limit form.
        kernel : (G, T) float64
            Salvage kernel.
        """
        at_risk, deaths = self.counts(of_person[self.persons])
        if not self.smooth:
            hazard = deaths / np.where(at_risk > 0, at_risk, 1.0)
            return None, to_kernels(np.zeros_like(hazard), hazard)[1]
        counts = np.column_stack([(at_risk - deaths).ravel(), deaths.ravel()])[self.used]
        ridge = np.full(self.x.shape[1], 1.0 / 30.0**2)
        ridge[0] = 1e-8
        fit = fit_multinomial(
            self.x[self.used],
            np.maximum(counts, 0.0),
            ridge=ridge,
            start=None if start is None else start.coef,
            what="hazard after the last line",
        )
        return fit, self.kernel(fit.coef)

    def kernel(self, coef: Floats) -> Floats:
        """Salvage kernel of coefficients.

        Parameters
        ----------
        coef : (1, p) float64
            Coefficients.

        Returns
        -------
        (G, T) float64
            Salvage kernel.
        """
        hazard = probabilities(self.x, coef)[:, 1].reshape(self.shape)
        return to_kernels(np.zeros_like(hazard), hazard)[1]


@dataclass(frozen=True, eq=False)
class Fit:
    """One fit: coefficients, or hazards cell by cell.

    Attributes
    ----------
    hazard : MultinomialFit or None
        Of the spline form.
    salvage : MultinomialFit or None
        Of the time after the last line.
    next_prob, death_prob : (L, A, G, H, T) float64
        Kernels.
    salvage_death : (G, T) float64
        Salvage kernel.
    """

    hazard: MultinomialFit | None
    salvage: MultinomialFit | None
    next_prob: Floats
    death_prob: Floats
    salvage_death: Floats


class Estimator:
    """Everything that does not change between the fit and its bootstrap.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    confounders : sequence of str
        Columns for the weights; none means unweighted.
    form : {"spline", "product_limit"}
        Form of the hazards.
    knots : int
        Knots of the spline in log time.
    pooling_sd : float
        Standard deviation of the prior of the deviations.
    truncate : float or None
        Quantile at which weights are cut.
    salvage_death : (G, T) float or None
        Given salvage kernel; estimated by default.
    deviations : sequence of {"regimen:line", "regimen:group", "group:line"}
        Deviations of the spline form.
    """

    def __init__(
        self,
        h: Histories,
        confounders: Sequence[str],
        form: Form,
        knots: int,
        pooling_sd: float,
        truncate: float | None,
        salvage_death: Any,
        deviations: Sequence[Deviation] = DEVIATIONS,
    ) -> None:
        f = h.formulary
        self.h, self.form, self.truncate = h, form, truncate
        self.cells = Cells(h)
        self.regimens = RegimenModel(h, confounders) if confounders else None
        self.weights = self.row_weights(np.ones(h.n_persons))
        counts = self.cells.counts(np.ones(h.line.size))
        self.occupied = counts.at_risk > 0
        self.design: Design | None = None
        if form == "spline":
            row, step = np.nonzero(self.occupied)
            events = h.steps[(h.ending > 0) & (h.steps <= f.n_steps)]
            if events.size == 0:
                raise DataError("the lines must have events", values={"lines": h.line.size})
            self.design = make_design(
                f,
                counts.cell[row],
                step,
                event_steps=events,
                knots=knots,
                pooling_sd=pooling_sd,
                deviations=deviations,
            )
        self.salvage: Salvage | None = None
        self.given_salvage = None
        if salvage_death is not None:
            self.given_salvage = np.array(salvage_death, dtype=np.float64)
        else:
            self.salvage = Salvage(h, smooth=form == "spline")
        self.mix = self._shares_of_observed_care()

    def row_weights(self, of_person: Floats) -> Floats:
        """Weights of the rows: of the patient, times those against confounding.

        Parameters
        ----------
        of_person : (N,) float64
            Weights of the patients.

        Returns
        -------
        (n,) float64
            Weights of the rows.
        """
        base = of_person[self.h.person]
        if self.regimens is None:
            return base
        return base * indication_weights(self.regimens, base, truncate=self.truncate)

    def fit(self, of_person: Floats, start: Fit | None = None) -> Fit:
        """Fit with weights of patients.

        Parameters
        ----------
        of_person : (N,) float64
            Ones, or those of a bootstrap.
        start : Fit, optional
            Where to begin.

        Returns
        -------
        Fit
            Kernels and coefficients.
        """
        counts = self.cells.counts(self.row_weights(of_person))
        hazard = None
        if self.design is not None:
            p = int(self.design.seen.sum())
            hazard = maximise(
                CellLikelihood(
                    self.design, counts.cell, counts.at_risk, counts.onward, counts.death
                ),
                start.hazard.coef if start is not None and start.hazard else np.zeros((2, p)),
                ridge=self.design.ridge[self.design.seen],
                what="hazard model",
            )
        salvage, after = None, self.given_salvage
        if self.salvage is not None:
            salvage, after = self.salvage.fit(of_person, None if start is None else start.salvage)
        coef = None if hazard is None else hazard.coef
        next_prob, death_prob = self.kernels(coef, counts)
        assert after is not None
        return Fit(hazard, salvage, next_prob, death_prob, after)

    def kernels(self, coef: Floats | None, counts: Counts | None = None) -> tuple[Floats, Floats]:
        """Kernels of coefficients, or of counts.

        Parameters
        ----------
        coef : (2, p) float64 or None
            Coefficients of the spline form.
        counts : Counts, optional
            Counts for the product-limit form.

        Returns
        -------
        next_prob, death_prob : (L, A, G, H, T) float64
            Kernels.
        """
        f = self.h.formulary
        if self.design is not None and coef is not None:
            eta = self.design.linear_predictor(coef)
            top = np.maximum(eta.max(axis=0), 0.0)
            e = np.exp(eta - top)
            total = np.exp(-top) + e.sum(axis=0)
            onward, death = e[0] / total, e[1] / total
        else:
            assert counts is not None
            shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels, f.n_steps)
            onward, death = np.zeros(shape), np.zeros(shape)
            at_risk = np.where(counts.at_risk > 0, counts.at_risk, 1.0)
            onward[tuple(counts.cell.T)] = counts.onward / at_risk
            death[tuple(counts.cell.T)] = counts.death / at_risk
        next_prob, death_prob = to_kernels(onward, death)
        self._add_observed_care(next_prob, death_prob)
        return next_prob, death_prob

    def _shares_of_observed_care(self) -> Floats:
        """Share of each regimen and level in a line and group; in the line where the group has nobody."""
        h, f = self.h, self.h.formulary
        shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
        seen = np.zeros(shape)
        np.add.at(seen, (h.line, h.regimen, h.group, h.level), 1.0)
        total = seen.sum(axis=(1, 3), keepdims=True)
        pooled = seen.sum(axis=2, keepdims=True)
        whole = pooled.sum(axis=(1, 3), keepdims=True)
        share = np.where(total > 0, seen / np.maximum(total, 1.0), pooled / np.maximum(whole, 1.0))
        return np.asarray(share)

    def _add_observed_care(self, next_prob: Floats, death_prob: Floats) -> None:
        place = self.h.formulary.observed_care
        if place is None:
            return
        for kernel in (next_prob, death_prob):
            mixed = np.einsum("lagh,laght->lgt", self.mix, kernel)
            kernel[:, place] = mixed[:, :, None, :]
