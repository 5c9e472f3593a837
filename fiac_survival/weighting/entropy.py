r"""Entropy balancing: the weights nearest to equal ones that meet given means exactly.

Within an arm, :math:`w_k\propto u_k=e^{\lambda'(x_k-m)}` where λ minimises the convex dual
:math:`\log\sum_k u_k`, so that the weighted mean of x is the target m. In the solution a row of the arm
moves λ by :math:`-H^{-1}u_i(x_i-m)` and a row of the target population, through m, by
:math:`H^{-1}(\sum u)\,(x_i-m)/N`, with :math:`H=\sum u_k(x_k-m)(x_k-m)'`.

Source: Hainmueller 2012; Zhao and Percival 2017.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import ConvergenceError

Floats = NDArray[np.float64]
MAX_ITERATIONS = 200


@dataclass(frozen=True, eq=False)
class Balanced:
    """Entropy weights of one arm.

    Attributes
    ----------
    weight : (n_arm,) float64
        Adding to 1.
    centred : (n_arm, p) float64
        Standardised covariates minus the target: the gradient of each log weight in λ.
    dual_influence : (n, p) float64
        Change of λ per unit of multiplicity of each row of the whole data.
    n_iter : int
        Newton steps.
    error : float
        Largest remaining difference of a mean from its target, in standard deviations.
    """

    weight: Floats
    centred: Floats
    dual_influence: Floats
    n_iter: int
    error: float


def balance_arm(
    x: Floats,
    arm: NDArray[np.bool_],
    target: NDArray[np.bool_],
    names: list[str],
    arm_name: str,
) -> Balanced:
    """Weight one arm so that its means are those of the target population.

    Parameters
    ----------
    x : (n, p) float64
        Covariates of all rows.
    arm : (n,) bool
        Rows to weight.
    target : (n,) bool
        Rows whose means are to be met.
    names : list of str
        Names of the covariates, for messages.
    arm_name : str
        Name of the arm, for messages.

    Returns
    -------
    Balanced
        Weights and the influence of each row on them.

    Raises
    ------
    ConvergenceError
        If no positive weights meet the means, naming the covariate furthest off.
    """
    scale = x.std(axis=0)
    z = x / scale
    m = z[target].mean(axis=0)
    c = z[arm] - m
    dual = np.zeros(c.shape[1])

    def evaluate(value: Floats) -> tuple[float, Floats]:
        exponent = c @ value
        top = float(exponent.max())
        u = np.exp(exponent - top)
        return top + float(np.log(u.sum())), u / u.sum()

    height, w = evaluate(dual)
    error = np.inf
    for n_iter in range(1, MAX_ITERATIONS + 1):
        mean = w @ c
        error = float(np.abs(mean).max())
        if error < 1e-14:
            break
        hessian = (c * w[:, None]).T @ c - np.outer(mean, mean)
        try:
            step = np.linalg.solve(hessian, mean)
        except np.linalg.LinAlgError:
            break
        size = 1.0
        while size > 1e-10:
            new_height, new_w = evaluate(dual - size * step)
            if new_height <= height - 1e-4 * size * float(mean @ step) + 1e-15:
                break
            size /= 2.0
        if size <= 1e-10:
            break
        dual, height, w = dual - size * step, new_height, new_w
    if not error < 1e-9 or np.abs(dual).max() > 1e4:
        # A target beyond the arm's own range is out of reach for certain; else name the covariate
        # that the dual pushed hardest.
        beyond = np.maximum(c.min(axis=0), -c.max(axis=0))
        certain = bool((beyond >= 0).any())
        worst = int(np.argmax(beyond) if certain else np.argmax(np.abs(dual)))
        raise ConvergenceError(
            "positive weights that meet the target means must exist",
            values={"arm": arm_name, "covariate": names[worst], "error in sd": error},
            remedy="the target mean lies outside what this arm can reach: balance fewer covariates, "
            "merge rare categories, or restrict the population",
        )
    hessian = (c * w[:, None]).T @ c
    moved = np.zeros((x.shape[0], c.shape[1]))
    moved[arm] -= w[:, None] * c
    moved[target] += (z[target] - m) / int(target.sum())
    return Balanced(
        weight=w,
        centred=c,
        dual_influence=np.linalg.solve(hessian, moved.T).T,
        n_iter=n_iter,
        error=error,
    )
