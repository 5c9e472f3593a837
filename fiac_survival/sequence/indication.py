"""Weights for confounding by indication: who was given what, and why.

For each line, the probability of the regimen that was given, among those given in that line, is modelled by
a multinomial logit: once on the state alone (numerator), once on the state and the confounders
(denominator). The stabilised weight is their ratio.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.multinomial import (
    MultinomialFit,
    fit_multinomial,
    probabilities,
    scores,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RIDGE = 1e-2


def numeric_covariates(covariates: pd.DataFrame, names: Sequence[str]) -> Floats:
    """Turn covariates into centred and scaled columns.

    Parameters
    ----------
    covariates : DataFrame
        By row of the histories.
    names : sequence of str
        Columns to take; text and categories become indicators.

    Returns
    -------
    (n, q) float64
        Mean 0 and standard deviation 1, constant columns left out.

    Raises
    ------
    DataError
        If a column is missing or not finite.
    """
    missing = [name for name in names if name not in covariates]
    if missing:
        raise DataError(
            "confounders must be columns of the histories",
            values={"missing": ", ".join(missing)},
            remedy="pass covariates= when reading the table of lines",
        )
    if not names:
        return np.zeros((len(covariates), 0))
    wide = pd.get_dummies(covariates[list(names)], drop_first=True, dtype=float)
    x = wide.to_numpy(np.float64)
    if not np.isfinite(x).all():
        column = wide.columns[int(np.flatnonzero(~np.isfinite(x).all(axis=0))[0])]
        raise DataError("confounders must be finite", values={"confounder": column})
    spread = x.std(axis=0)
    keep = spread > 0
    return np.asarray((x[:, keep] - x[:, keep].mean(axis=0)) / spread[keep])


def state_columns(h: Histories, rows: Ints) -> Floats:
    """Columns of the state: intercept, group, exposed classes.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    rows : (m,) int64
        Which rows.

    Returns
    -------
    (m, p) float64
        Constant columns left out.
    """
    group = (h.group[rows, None] == np.arange(len(h.formulary.groups))).astype(np.float64)
    classes = (h.exposed[rows, None] >> np.arange(len(h.formulary.classes)) & 1).astype(np.float64)
    x = np.column_stack([group, classes])
    return np.column_stack([np.ones(rows.size), x[:, x.std(axis=0) > 0]])


class _Patterns:
    """Distinct rows of covariates: the likelihood needs each of them once."""

    def __init__(self, x: Floats) -> None:
        self.x, of_row = np.unique(x, axis=0, return_inverse=True)
        self.of_row: Ints = of_row.ravel().astype(np.int64)

    def counts(self, category: Ints, n_categories: int, weights: Floats) -> Floats:
        """Add weights by pattern and category."""
        size = len(self.x) * n_categories
        place = self.of_row * n_categories + category
        total: Floats = np.bincount(place, weights=weights, minlength=size).astype(np.float64)
        return total.reshape(-1, n_categories)


class RegimenModel:
    """Model of the regimen given, line by line.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    confounders : sequence of str
        Columns of the histories.
    """

    def __init__(self, h: Histories, confounders: Sequence[str]) -> None:
        self.h = h
        extra = numeric_covariates(h.covariates, confounders)
        self.rows: list[Ints] = []
        self.full: list[Floats] = []
        self.patterns: list[tuple[_Patterns, _Patterns]] = []
        self.given: list[Ints] = []
        for line in range(h.formulary.lines):
            rows = np.flatnonzero(h.line == line)
            state = state_columns(h, rows)
            before = np.log1p(h.previous[rows].astype(np.float64))
            spread = before.std() if rows.size else 0.0
            parts = [state, extra[rows]]
            if spread > 0:
                parts.append(((before - before.mean()) / spread)[:, None])
            self.rows.append(rows)
            self.full.append(np.column_stack(parts))
            self.patterns.append((_Patterns(state), _Patterns(self.full[-1])))
            self.given.append(np.unique(h.regimen[rows]))
        self._starts: dict[tuple[int, bool], Floats] = {}
        self.fits: list[MultinomialFit | None] = [None] * h.formulary.lines

    def _fit(self, line: int, weights: Floats, *, full: bool) -> MultinomialFit:
        given, rows = self.given[line], self.rows[line]
        place = np.searchsorted(given, self.h.regimen[rows])
        x = self.patterns[line][full].x
        counts = self.patterns[line][full].counts(place, given.size, weights[rows])
        ridge = np.full(x.shape[1], RIDGE)
        ridge[0] = 1e-8
        fit = fit_multinomial(
            x,
            counts,
            ridge=ridge,
            start=self._starts.get((line, full)),
            what=f"model of the regimen given in line {line + 1}",
        )
        self._starts.setdefault((line, full), fit.coef)
        return fit

    def probability(self, weights: Floats, *, full: bool = True) -> Floats:
        """Probability of the regimen that each row was given.

        Parameters
        ----------
        weights : (n,) float64
            Weights of the rows in the fit.
        full : bool, default True
            With confounders, or on the state alone.

        Returns
        -------
        (n,) float64
            Probabilities; next to 0 for a regimen whose rows in the line have no weight.
        """
        out = np.ones(self.h.line.size)
        for line, rows in enumerate(self.rows):
            given = self.given[line]
            if rows.size == 0 or given.size < 2:
                continue
            fit = self._fit(line, weights, full=full)
            if full:
                self.fits[line] = fit
            patterns = self.patterns[line][full]
            p = probabilities(patterns.x, fit.coef)
            out[rows] = p[patterns.of_row, np.searchsorted(given, self.h.regimen[rows])]
        return out

    def patient_scores(self) -> Floats:
        """Scores of the fits with confounders, summed by patient.

        Returns
        -------
        (N, k) float64
            One column a coefficient.
        """
        parts = []
        for line, rows in enumerate(self.rows):
            fit = self.fits[line]
            if fit is None:
                continue
            counts = (self.h.regimen[rows][:, None] == self.given[line][None]).astype(np.float64)
            each = np.zeros((self.h.n_persons, fit.coef.size))
            np.add.at(each, self.h.person[rows], scores(self.full[line], counts, fit.coef))
            parts.append(each)
        return np.column_stack(parts) if parts else np.zeros((self.h.n_persons, 0))


def indication_weights(
    model: RegimenModel, weights: Floats, *, truncate: float | None = None
) -> Floats:
    """Stabilised weight of each line.

    Parameters
    ----------
    model : RegimenModel
        Model of the regimen given.
    weights : (n,) float64
        Weights of the rows (ones, or those of a bootstrap).
    truncate : float, optional
        Quantile beyond which weights are cut, at both ends.

    Returns
    -------
    (n,) float64
        P(regimen | state) / P(regimen | state, confounders).

    Raises
    ------
    SupportError
        If a regimen was given with a probability that is not positive.
    """
    top = model.probability(weights, full=False)
    bottom = model.probability(weights, full=True)
    if (bottom <= 0).any():
        row = int(np.flatnonzero(bottom <= 0)[0])
        raise SupportError(
            "every regimen given must have a positive probability",
            values={"line": int(model.h.line[row]) + 1, "probability": float(bottom[row])},
            remedy="pool rare regimens, or drop the confounder that determines the regimen",
        )
    out = top / bottom
    if truncate is not None:
        low, high = np.quantile(out, [truncate, 1.0 - truncate])
        out = np.clip(out, low, high)
    return np.asarray(out)
