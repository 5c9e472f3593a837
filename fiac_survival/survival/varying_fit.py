"""The partial likelihood of effects that vary smoothly with time, and its maximum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import ConvergenceError
from fiac_survival.kernels.cox_varying import varying_sums
from fiac_survival.survival.cox_fit import MAX_ITERATIONS, SortedRows

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Point:
    """One evaluation of the likelihood."""

    beta: Floats
    log_likelihood: float
    score: Floats
    information: Floats


@dataclass(frozen=True, eq=False)
class SmoothLikelihood:
    """The likelihood with smoothly varying effects."""

    rows: SortedRows
    values: Floats
    levels: NDArray[np.int64]
    g: Floats

    def at(self, beta: Floats) -> Point:
        """Evaluate the likelihood.

        Parameters
        ----------
        beta : (p + k,) float64
            Coefficients, those of the time functions last.

        Returns
        -------
        Point
            Log-likelihood, score, information.
        """
        rows, p = self.rows, self.rows.x.shape[1]
        score, information = np.empty(beta.size), np.empty((beta.size, beta.size))
        with np.errstate(over="ignore", invalid="ignore"):
            height = varying_sums(
                rows.x, self.levels, np.ascontiguousarray(self.values), self.g, beta[:p], beta[p:],
                rows.weight, rows.event, rows.start, rows.stop, rows.by_start, rows.block_stratum,
                rows.efron, score, information,
            )  # fmt: skip
        return Point(beta, float(height), score, information)

    def maximise(self, names: list[str]) -> tuple[float, Point, int]:
        """Take Newton steps, halved where the likelihood would fall.

        Parameters
        ----------
        names : list of str
            Covariates, for messages.

        Returns
        -------
        null : float
            Log-likelihood at zero.
        end : Point
            The maximum.
        n_iter : int
            Steps.

        Raises
        ------
        ConvergenceError
            If the maximum is not reached.
        """
        now = self.at(np.zeros(len(names) + self.values.shape[1]))
        null = now.log_likelihood
        for n_iter in range(1, MAX_ITERATIONS + 1):
            try:
                step = np.linalg.solve(now.information, now.score)
            except np.linalg.LinAlgError:
                break
            decrement = float(now.score @ step)
            new = self.at(now.beta + step)
            floor = now.log_likelihood - 1e-9 * (1.0 + abs(now.log_likelihood))
            halvings = 0
            while not new.log_likelihood >= floor and halvings < 30:
                step, halvings = step / 2.0, halvings + 1
                new = self.at(now.beta + step)
            now = new
            if 0 <= decrement <= 1e-12 and halvings == 0:
                return null, now, n_iter
        worst = int(np.argmax(np.abs(now.beta)))
        raise ConvergenceError(
            "the partial likelihood must be maximised",
            values={"iterations": MAX_ITERATIONS, "covariate": names[worst % len(names)]},
            remedy="use fewer effects that vary, or a step function with few cuts",
        )
