r"""Multinomial logit by Newton's method, with weights and a ridge penalty.

For rows with weights :math:`n_{ik}` of category k (0 is the reference) and covariates :math:`x_i`,
:math:`p_{ik}\propto\exp(x_i^\top\beta_k)`. The penalty :math:`\frac12\sum_{jk}\lambda_j\beta_{kj}^2` is a
normal prior of variance :math:`1/\lambda_j` (0: none): partial pooling of deviations towards their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from fiac_survival.core.errors import ConvergenceError

Floats = NDArray[np.float64]
TOLERANCE = 1e-9
FLAT = 1e-11  # the likelihood has no curvature left: a coefficient runs away


@dataclass(frozen=True, eq=False)
class MultinomialFit:
    """Coefficients of a multinomial logit.

    Attributes
    ----------
    coef : (K, p) float64
        By category, the reference left out.
    information : (K p, K p) float64
        Negative second derivative of the penalised log-likelihood.
    log_likelihood : float
        Without the penalty.
    n_iter : int
        Newton steps.
    """

    coef: Floats
    information: Floats
    log_likelihood: float
    n_iter: int

    @property
    def covariance(self) -> Floats:
        """Inverse of the information, (K p, K p)."""
        return np.asarray(np.linalg.inv(self.information))


def probabilities(x: Floats, coef: Floats) -> Floats:
    """Probabilities of all categories.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    coef : (K, p) float64
        Coefficients.

    Returns
    -------
    (n, K+1) float64
        The reference first; rows add to 1.
    """
    eta = np.column_stack([np.zeros(len(x)), x @ coef.T])
    eta -= eta.max(axis=1, keepdims=True)
    np.exp(eta, out=eta)
    eta /= eta.sum(axis=1, keepdims=True)
    return eta


def scores(x: Floats, counts: Floats, coef: Floats) -> Floats:
    """Scores of the rows.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    counts : (n, K+1) float64
        Weights by category.
    coef : (K, p) float64
        Coefficients.

    Returns
    -------
    (n, K p) float64
        Derivatives of the log-likelihood.
    """
    p = probabilities(x, coef)
    residual = counts[:, 1:] - counts.sum(axis=1, keepdims=True) * p[:, 1:]
    return np.asarray((residual[:, :, None] * x[:, None, :]).reshape(len(x), -1))


def fit_multinomial(
    x: Floats,
    counts: Floats,
    *,
    ridge: Floats | float = 0.0,
    start: Floats | None = None,
    max_iter: int = 100,
    what: str = "multinomial model",
) -> MultinomialFit:
    """Fit a multinomial logit.

    Parameters
    ----------
    x : (n, p) float64
        Covariates, the intercept included.
    counts : (n, K+1) float64
        Weights by category, the reference first.
    ridge : (p,) float or float, default 0
        Penalty of each covariate.
    start : (K, p) float64, optional
        Where to begin.
    max_iter : int, default 100
        Most Newton steps.
    what : str
        What to call it in an error.

    Returns
    -------
    MultinomialFit
        At the optimum.

    Raises
    ------
    ConvergenceError
        If there is no optimum, as when a covariate separates a category, or a category never occurs, and
        nothing is penalised.
    """
    p, k = x.shape[1], counts.shape[1] - 1
    return maximise(
        DenseLikelihood(x, counts),
        np.zeros((k, p)) if start is None else start,
        ridge=ridge,
        max_iter=max_iter,
        what=what,
    )


class Likelihood(Protocol):
    """Log-likelihood of a multinomial logit, and its derivatives."""

    @property
    def rows(self) -> int:
        """Number of rows."""

    @property
    def total(self) -> float:
        """Sum of the weights."""

    def value(self, coef: Floats) -> tuple[float, Any]:
        """Log-likelihood, and what the derivatives need to know of it."""

    def derivatives(self, at: Any) -> tuple[Floats, Floats]:
        """Gradient (K, p) and negative second derivatives (K p, K p)."""


class DenseLikelihood:
    """Log-likelihood of rows with covariates of their own.

    Parameters
    ----------
    x : (n, p) float64
        Covariates.
    counts : (n, K+1) float64
        Weights by category, the reference first.
    """

    def __init__(self, x: Floats, counts: Floats) -> None:
        self.x, self.counts = x, counts
        self.of_row = counts.sum(axis=1)
        self.rows, self.total = len(x), float(self.of_row.sum())

    def value(self, coef: Floats) -> tuple[float, Floats]:
        """Compute the log-likelihood.

        Parameters
        ----------
        coef : (K, p) float64
            Coefficients.

        Returns
        -------
        float, (n, K+1) float64
            Log-likelihood, and probabilities.
        """
        eta = np.column_stack([np.zeros(self.rows), self.x @ coef.T])
        top = eta.max(axis=1, keepdims=True)
        e = np.exp(eta - top)
        total = e.sum(axis=1, keepdims=True)
        log_p = eta - top - np.log(total)
        return float(np.sum(self.counts * log_p)), e / total

    def derivatives(self, at: Floats) -> tuple[Floats, Floats]:
        """Compute gradient and negative second derivatives.

        Parameters
        ----------
        at : (n, K+1) float64
            Probabilities.

        Returns
        -------
        (K, p) float64, (K p, K p) float64
            Without the penalty.
        """
        x, prob, total = self.x, at, self.of_row
        p, k = x.shape[1], prob.shape[1] - 1
        residual = self.counts[:, 1:] - total[:, None] * prob[:, 1:]
        information = np.empty((k * p, k * p))
        for i in range(k):
            for j in range(i, k):
                weight = -prob[:, i + 1] * prob[:, j + 1]
                if i == j:
                    weight += prob[:, i + 1]
                block = x.T @ (x * (total * weight)[:, None])
                information[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
                information[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
        return residual.T @ x, information


def maximise(
    likelihood: Likelihood,
    start: Floats,
    *,
    ridge: Floats | float = 0.0,
    max_iter: int = 100,
    what: str = "multinomial model",
) -> MultinomialFit:
    """Maximise a penalised log-likelihood by Newton's method with halved steps.

    Parameters
    ----------
    likelihood : Likelihood
        Log-likelihood and its derivatives.
    start : (K, p) float64
        Where to begin.
    ridge : (p,) float64 or float
        Penalty of each coefficient.
    max_iter : int, default 100
        Most Newton steps.
    what : str
        What to call it in an error.

    Returns
    -------
    MultinomialFit
        At the optimum.

    Raises
    ------
    ConvergenceError
        If there is no optimum.
    """
    coef = start.copy()
    k, p = coef.shape
    penalty = np.broadcast_to(np.asarray(ridge, dtype=np.float64), (p,))
    scale = max(likelihood.total, 1.0)
    plain, at = likelihood.value(coef)
    value = plain - 0.5 * float(np.sum(penalty * coef**2))
    diagonal = np.arange(k * p)
    for iteration in range(1, max_iter + 1):
        gradient, information = likelihood.derivatives(at)
        gradient = (gradient - penalty * coef).ravel()
        information[diagonal, diagonal] += np.tile(penalty, k)
        try:
            step = cho_solve(cho_factor(information), gradient).reshape(k, p)
        except np.linalg.LinAlgError:
            break
        decrement = float(gradient @ step.ravel())
        if decrement <= TOLERANCE**2 * scale:
            if np.linalg.eigvalsh(information)[0] < FLAT:
                break
            return MultinomialFit(coef, information, plain, iteration)
        length = 1.0
        while True:
            trial_coef = coef + length * step
            trial_plain, trial_at = likelihood.value(trial_coef)
            trial = trial_plain - 0.5 * float(np.sum(penalty * trial_coef**2))
            if trial >= value - 1e-12 * abs(value) or length < 1e-8:
                break
            length *= 0.5
        coef, plain, value, at = trial_coef, trial_plain, trial, trial_at
        if np.abs(coef).max() > 1e3:
            break
    raise ConvergenceError(
        f"the {what} must have an optimum",
        values={"rows": likelihood.rows, "coefficients": k * p},
        remedy="a category is separated by a covariate: pool rare regimens, drop the covariate, or "
        "lower pooling_sd",
    )
