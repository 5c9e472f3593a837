r"""Design of the hazard model: what the log-odds of moving on and of death depend on.

In line ℓ, on regimen a, in group g, at overlap level h, in step u:

.. math:: \eta = \alpha + \sum_c\kappa_c 1(c\in a) + \delta_a + \lambda_\ell + \gamma_g + \omega_h
          + \delta_{a\ell} + \delta_{ag} + \delta_{g\ell} + B(u)^\top(\beta + \beta_\ell + \beta_a)

with B a restricted cubic spline in log u. The deviations δ and :math:`\beta_\ell,\beta_a` are pooled
towards 0 by a normal prior; the main effects are free (but for a prior of standard deviation 30 that
keeps what the data leave open finite).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fiac_survival.sequence.formulary import Formulary

Floats = NDArray[np.float64]
Deviation = Literal["regimen:line", "regimen:group", "group:line"]
DEVIATIONS: tuple[Deviation, ...] = ("regimen:line", "regimen:group")
Ints = NDArray[np.int64]
WEAK = 1.0 / 30.0**2


def restricted_spline(x: Floats, knots: Floats) -> Floats:
    r"""Restricted cubic spline basis, linear beyond the outer knots.

    Parameters
    ----------
    x : (n,) float64
        Where.
    knots : (k,) float64
        At least 3, ascending.

    Returns
    -------
    (n, k-1) float64
        x itself, and k-2 curved terms.

    References
    ----------
    Harrell FE. Regression Modeling Strategies. 2nd ed. Springer, 2015, section 2.4.5.
    """
    k = knots.size
    scale = (knots[-1] - knots[0]) ** 2
    cube = np.maximum(x[:, None] - knots[None], 0.0) ** 3
    gap = knots[-1] - knots[-2]
    columns = [x]
    for j in range(k - 2):
        term = cube[:, j] - cube[:, k - 2] * (knots[-1] - knots[j]) / gap
        term += cube[:, k - 1] * (knots[-2] - knots[j]) / gap
        columns.append(term / scale)
    return np.column_stack(columns)


def spline_or_line(x: Floats, knots: Floats) -> Floats:
    """Restricted cubic spline, or a straight line where fewer than three knots are distinct.

    Parameters
    ----------
    x : (n,) float64
        Where.
    knots : (k,) float64
        Distinct, ascending.

    Returns
    -------
    (n, q) float64
        Basis.
    """
    return restricted_spline(x, knots) if knots.size > 2 else x[:, None]


@dataclass(frozen=True, eq=False)
class Design:
    """Columns of the hazard model.

    Attributes
    ----------
    formulary : Formulary
        Names and sizes.
    basis : (T, q) float64
        Spline in log u, centred.
    ridge : (p,) float64
        Penalty of each column.
    seen : (p,) bool
        Columns that the data use; the others are left out.
    deviations : tuple of str
        Which of regimen:line, regimen:group and group:line deviate, in this order.
    """

    formulary: Formulary
    basis: Floats
    ridge: Floats
    seen: NDArray[np.bool_]
    deviations: tuple[Deviation, ...] = DEVIATIONS

    def fixed_columns(self, line: Ints, regimen: Ints, group: Ints, level: Ints) -> Floats:
        """Columns that do not depend on the step.

        Parameters
        ----------
        line, regimen, group, level : (n,) int64
            Cells.

        Returns
        -------
        (n, p_fixed) float64
            Intercept, classes, lines, groups, levels, regimens, deviations.
        """
        return _fixed_columns(self.formulary, line, regimen, group, level, self.deviations)

    def time_columns(self, line: Ints, regimen: Ints) -> Floats:
        """Multipliers of the spline.

        Parameters
        ----------
        line, regimen : (n,) int64
            Cells.

        Returns
        -------
        (n, m) float64
            1, lines, regimens; each is multiplied by every column of the spline.
        """
        return _time_columns(self.formulary, line, regimen)

    def matrix(self, line: Ints, regimen: Ints, group: Ints, level: Ints, step: Ints) -> Floats:
        """Design matrix of cells and steps.

        Parameters
        ----------
        line, regimen, group, level : (n,) int64
            Cells.
        step : (n,) int64
            Steps from 0.

        Returns
        -------
        (n, p_seen) float64
            Columns that the data use.
        """
        fixed = self.fixed_columns(line, regimen, group, level)
        multipliers = self.time_columns(line, regimen)
        curved = (multipliers[:, :, None] * self.basis[step][:, None, :]).reshape(len(line), -1)
        return np.ascontiguousarray(np.column_stack([fixed, curved])[:, self.seen])

    def of_cells(self, cell: Ints, step: Ints) -> Floats:
        """Design matrix of cells and steps.

        Parameters
        ----------
        cell : (n, 4) int64
            Line, regimen, group, level.
        step : (n,) int64
            Steps from 0.

        Returns
        -------
        (n, p_seen) float64
            As :meth:`matrix`.
        """
        line, regimen, group, level = cell.T
        return self.matrix(line, regimen, group, level, step)

    def linear_predictor(self, coef: Floats) -> Floats:
        """Log-odds everywhere.

        Parameters
        ----------
        coef : (K, p_seen) float64
            Coefficients.

        Returns
        -------
        (K, L, A, G, H, T) float64
            Log-odds against staying in the line.
        """
        f = self.formulary
        sizes = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
        full = np.zeros((coef.shape[0], self.seen.size))
        full[:, self.seen] = coef
        cells = [axis.ravel() for axis in np.indices(sizes)]
        fixed = self.fixed_columns(*cells)
        out = (full[:, : fixed.shape[1]] @ fixed.T).reshape(-1, *sizes)
        pairs = [axis.ravel() for axis in np.indices(sizes[:2])]
        multipliers = self.time_columns(*pairs)
        slopes = full[:, fixed.shape[1] :].reshape(coef.shape[0], multipliers.shape[1], -1)
        curves = np.einsum("nm,kmq,uq->knu", multipliers, slopes, self.basis)
        curves = curves.reshape(-1, *sizes[:2], 1, 1, f.n_steps)
        return np.asarray(out[..., None] + curves)


def _one_hot(code: Ints, n: int, *, drop_first: bool = False) -> Floats:
    out: Floats = (code[:, None] == np.arange(n)[None]).astype(np.float64)
    return out[:, 1:] if drop_first else out


def _classes(f: Formulary, regimen: Ints) -> Floats:
    return (f.masks[regimen][:, None] >> np.arange(len(f.classes)) & 1).astype(np.float64)


def _fixed_columns(
    f: Formulary,
    line: Ints,
    regimen: Ints,
    group: Ints,
    level: Ints,
    deviations: Sequence[Deviation],
) -> Floats:
    n, n_regimens = len(line), len(f.regimens)
    by_line = _one_hot(line, f.lines, drop_first=True)
    by_group = _one_hot(group, len(f.groups), drop_first=True)
    by_regimen = _one_hot(regimen, n_regimens)
    by = {"regimen": by_regimen, "line": by_line, "group": by_group}
    together = []
    for name in deviations:
        one, other = (by[part] for part in name.split(":"))
        together.append((one[:, :, None] * other[:, None, :]).reshape(n, -1))
    return np.column_stack(
        [
            np.ones(n),
            _classes(f, regimen),
            by_line,
            by_group,
            _one_hot(level, f.overlap_levels, drop_first=True),
            by_regimen,
            *together,
        ]
    )


def _time_columns(f: Formulary, line: Ints, regimen: Ints) -> Floats:
    return np.column_stack(
        [
            np.ones(len(line)),
            _one_hot(line, f.lines, drop_first=True),
            _one_hot(regimen, len(f.regimens)),
        ]
    )


def make_design(
    f: Formulary,
    cell: Ints,
    step: Ints,
    *,
    event_steps: Ints,
    knots: int,
    pooling_sd: float,
    deviations: Sequence[Deviation] = DEVIATIONS,
) -> Design:
    """Choose knots and columns for the cells that data have.

    Parameters
    ----------
    f : Formulary
        Names and sizes.
    cell : (n, 4) int64
        Line, regimen, group and level with anybody at risk.
    step : (n,) int64
        Steps from 0.
    event_steps : (m,) int64
        Steps (from 1) of the events: knots are at their quantiles.
    knots : int
        Number of knots, at least 3; 2 means a straight line in log u.
    pooling_sd : float
        Standard deviation of the prior of the deviations.
    deviations : sequence of {"regimen:line", "regimen:group", "group:line"}
        Which there are.

    Returns
    -------
    Design
        The design.
    """
    log_step = np.log(np.arange(1, f.n_steps + 1))
    at = np.quantile(np.log(np.maximum(event_steps, 1)), np.linspace(0.05, 0.95, max(knots, 2)))
    distinct = np.unique(np.round(at, 12))
    basis = spline_or_line(log_step, distinct)
    occupied = basis[step]
    basis = (basis - occupied.mean(axis=0)) / np.maximum(occupied.std(axis=0), 1e-9)
    n_regimens, n_lines, n_groups = len(f.regimens), f.lines - 1, len(f.groups) - 1
    n_free = 1 + len(f.classes) + n_lines + n_groups + f.overlap_levels - 1
    chosen: tuple[Deviation, ...] = tuple(d for d in get_args(Deviation) if d in deviations)
    sizes = {"regimen": n_regimens, "line": n_lines, "group": n_groups}
    n_pooled = n_regimens
    for one, other in (name.split(":") for name in chosen):
        n_pooled += sizes[one] * sizes[other]
    strong = 1.0 / pooling_sd**2
    q = basis.shape[1]
    ridge = np.concatenate(
        [
            np.full(n_free, WEAK),
            np.full(n_pooled, strong),
            np.full(q, WEAK),
            np.full(q * (n_lines + n_regimens), strong),
        ]
    )
    ridge[0] = 1e-6  # nearly free, yet finite where an outcome never happens
    bare = Design(f, basis, ridge, np.ones(ridge.size, dtype=np.bool_), chosen)
    seen = np.asarray((np.abs(bare.of_cells(cell, step)) > 0).any(axis=0))
    return Design(f, basis, ridge, seen, chosen)
