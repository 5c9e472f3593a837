r"""Multinomial logit by Newton's method, with weights and a ridge penalty.

For rows with weights :math:`n_{ik}` of category k (0 is the reference) and covariates :math:`x_i`,
:math:`p_{ik}\propto\exp(x_i^\top\beta_k)`. The penalty :math:`\frac12\sum_{jk}\lambda_j\beta_{kj}^2` is a
normal prior of variance :math:`1/\lambda_j` (0: none): partial pooling of deviations towards their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

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


def _objective(x: Floats, counts: Floats, coef: Floats, ridge: Floats) -> tuple[float, Floats]:
    eta = np.column_stack([np.zeros(len(x)), x @ coef.T])
    top = eta.max(axis=1, keepdims=True)
    e = np.exp(eta - top)
    total = e.sum(axis=1, keepdims=True)
    log_p = eta - top - np.log(total)
    return float(np.sum(counts * log_p) - 0.5 * np.sum(ridge * coef**2)), e / total


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
    penalty = np.broadcast_to(np.asarray(ridge, dtype=np.float64), (p,))
    coef = np.zeros((k, p)) if start is None else start.copy()
    total = counts.sum(axis=1)
    scale = max(float(total.sum()), 1.0)
    value, prob = _objective(x, counts, coef, penalty)
    diagonal = np.arange(k * p)
    for iteration in range(1, max_iter + 1):
        residual = counts[:, 1:] - total[:, None] * prob[:, 1:]
        gradient = (residual.T @ x - penalty * coef).ravel()
        information = np.empty((k * p, k * p))
        for i in range(k):
            for j in range(i, k):
                weight = -prob[:, i + 1] * prob[:, j + 1]
                if i == j:
                    weight += prob[:, i + 1]
                block = x.T @ (x * (total * weight)[:, None])
                information[i * p : (i + 1) * p, j * p : (j + 1) * p] = block
                information[j * p : (j + 1) * p, i * p : (i + 1) * p] = block.T
        information[diagonal, diagonal] += np.tile(penalty, k)
        try:
            step = cho_solve(cho_factor(information), gradient).reshape(k, p)
        except np.linalg.LinAlgError:
            break
        decrement = float(gradient @ step.ravel())
        if decrement <= TOLERANCE**2 * scale:
            if np.linalg.eigvalsh(information)[0] < FLAT:
                break
            plain = value + 0.5 * float(np.sum(penalty * coef**2))
            return MultinomialFit(coef, information, plain, iteration)
        length = 1.0
        while True:
            trial, trial_prob = _objective(x, counts, coef + length * step, penalty)
            if trial >= value - 1e-12 * abs(value) or length < 1e-8:
                break
            length *= 0.5
        coef = coef + length * step
        value, prob = trial, trial_prob
        if np.abs(coef).max() > 1e3:
            break
    raise ConvergenceError(
        f"the {what} must have an optimum",
        values={"rows": len(x), "coefficients": k * p},
        remedy="a category is separated by a covariate: pool rare regimens, drop the covariate, or "
        "lower pooling_sd",
    )
