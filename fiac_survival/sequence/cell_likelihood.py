r"""Log-likelihood of the hazard model, in which all steps of a cell share their columns.

In cell c and step t the log-odds are :math:`\eta_{ct}=f_c^\top\alpha+\sum_{mq}z_{cm}B_q(t)\beta_{mq}`: what
depends on the cell, and splines in time whose coefficients do. Gradient and information need only sums over
the steps of each cell, :math:`\sum_tw_{ct}`, :math:`\sum_tw_{ct}B(t)` and
:math:`\sum_tw_{ct}B(t)B(t)^\top`, so that their cost grows with cells, not with cells times steps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.sequence.kernel_design import Design

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class CellLikelihood:
    """Log-likelihood of moving on and death in the steps of cells.

    Parameters
    ----------
    design : Design
        Columns.
    cell : (C, 4) int64
        Line, regimen, group and overlap level.
    at_risk, onward, death : (C, T) float64
        Weighted person-steps.
    """

    def __init__(
        self, design: Design, cell: Ints, at_risk: Floats, onward: Floats, death: Floats
    ) -> None:
        line, regimen, group, level = cell.T
        self.fixed = design.fixed_columns(line, regimen, group, level)
        self.slopes = design.time_columns(line, regimen)
        self.basis, self.seen = design.basis, design.seen
        q = self.basis.shape[1]
        self.square = (self.basis[:, :, None] * self.basis[:, None, :]).reshape(-1, q * q)
        self.at_risk = at_risk
        self.ended = np.stack([onward, death])
        self.stay = np.maximum(at_risk - onward - death, 0.0)
        self.rows = int((at_risk > 0).sum())
        self.total = float(at_risk.sum())

    def value(self, coef: Floats) -> tuple[float, Floats]:
        """Compute the log-likelihood.

        Parameters
        ----------
        coef : (2, p) float64
            Coefficients.

        Returns
        -------
        float, (2, C, T) float64
            Log-likelihood, and probabilities of moving on and of death.
        """
        full = np.zeros((2, self.seen.size))
        full[:, self.seen] = coef
        n_fixed, q = self.fixed.shape[1], self.basis.shape[1]
        slopes = full[:, n_fixed:].reshape(2, -1, q)
        curves = np.stack([self.slopes @ each @ self.basis.T for each in slopes])
        eta = (full[:, :n_fixed] @ self.fixed.T)[:, :, None] + curves
        top = np.maximum(eta.max(axis=0), 0.0)
        e = np.exp(eta - top)
        total = np.exp(-top) + e.sum(axis=0)
        log_total = np.log(total) + top
        value = np.sum(self.ended * (eta - log_total)) - np.sum(self.stay * log_total)
        return float(value), e / total

    def derivatives(self, at: Floats) -> tuple[Floats, Floats]:
        """Compute gradient and negative second derivatives.

        Parameters
        ----------
        at : (2, C, T) float64
            Probabilities.

        Returns
        -------
        (2, p) float64, (2 p, 2 p) float64
            Without the penalty.
        """
        gradient = []
        for residual in self.ended - self.at_risk * at:
            by_time = self.slopes.T @ (residual @ self.basis)
            gradient.append(
                np.concatenate([residual.sum(axis=1) @ self.fixed, by_time.ravel()])[self.seen]
            )
        p = int(self.seen.sum())
        information = np.empty((2 * p, 2 * p))
        for i, j in ((0, 0), (0, 1), (1, 1)):
            weight = self.at_risk * at[i] * (float(i == j) - at[j])
            block = self._products(weight)
            information[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
            information[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
        return np.array(gradient), information

    def _products(self, weight: Floats) -> Floats:
        """Sum weighted products of the columns over cells and steps."""
        f, z, q = self.fixed, self.slopes, self.basis.shape[1]
        n_fixed, m = f.shape[1], z.shape[1]
        first = weight @ self.basis
        second = weight @ self.square
        out = np.empty((n_fixed + m * q, n_fixed + m * q))
        out[:n_fixed, :n_fixed] = f.T @ (f * weight.sum(axis=1)[:, None])
        mixed = f.T @ (z[:, :, None] * first[:, None, :]).reshape(len(f), -1)
        out[:n_fixed, n_fixed:] = mixed
        out[n_fixed:, :n_fixed] = mixed.T
        both = out[n_fixed:, n_fixed:].reshape(m, q, m, q)
        for i in range(q):
            for j in range(i, q):
                block = z.T @ (z * second[:, i * q + j][:, None])
                both[:, i, :, j] = block
                both[:, j, :, i] = block
        return np.asarray(out[np.ix_(self.seen, self.seen)])
