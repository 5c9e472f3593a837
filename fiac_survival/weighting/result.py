r"""Weights that make two arms comparable, with all that their uncertainty needs.

A weight is an estimate: it depends on coefficients γ (propensity) or on dual variables λ (entropy), and
on the constants that scale it. With :math:`g_j=w_jU_j` the influence of row j on an effect at fixed
weights, estimating the weights adds to row i

.. math:: \Bigl(\sum_j g_j\,\frac{\partial\log w_j}{\partial\gamma}\Bigr)'\,\frac{d\gamma}{d\varepsilon_i}
          + \sum_{a}\Bigl(\sum_{j\in a} g_j\Bigr)\frac{d\log c_a}{d\varepsilon_i},

ε being the multiplicity of a row and c the scale of an arm (curves and means do not depend on it, a
weighted Cox model does). :meth:`Weights.correction` computes it. Truncation bounds are taken as fixed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.weighting.estimands import Estimand

Floats = NDArray[np.float64]
Method = Literal["propensity", "entropy", "nearest"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Weights(Result):
    """Weights of each row, how they were made, and how each row moves them.

    Attributes
    ----------
    table : DataFrame
        arm (0 control, 1 treated), n, sum, mean, minimum, maximum, ess, ess_share.
    weights : (n,) float64
        Weight of each row; 0 for rows that matching leaves out.
    propensity : (n,) float64 or None
        Estimated probability of treatment; None for entropy balancing.
    coefficients : Series or None
        Of the logistic propensity model, "(intercept)" first.
    ess : Series
        Effective sample size (Σw)²/Σw² by arm.
    estimand, method : str
        What was asked for.
    scale : str
        How the weights of an arm are scaled, in words.
    truncated : int
        Rows whose weight or propensity was truncated.
    pair : (n,) int64 or None
        Pair number of matched rows, -1 for the others; None without matching.
    """

    weights: Floats
    propensity: Floats | None
    coefficients: pd.Series | None
    ess: pd.Series
    estimand: Estimand
    method: Method
    scale: str
    truncated: int
    pair: NDArray[np.int64] | None
    _treated: NDArray[np.bool_] = field(repr=False)
    _refit: Callable[[NDArray[np.int64]], Weights] = field(repr=False)
    _log_gradient: Floats | None = field(default=None, repr=False)
    _parameter_influence: Floats | None = field(default=None, repr=False)
    _scale_influence: Floats | None = field(default=None, repr=False)

    @property
    def has_influence(self) -> bool:
        """Whether the uncertainty of the weights has a closed form."""
        return self._parameter_influence is not None

    def correction(self, influence: Floats) -> Floats:
        """Compute what estimating the weights adds to each row's influence.

        Parameters
        ----------
        influence : (n,) or (n, k) float64
            Weight times influence of each row at fixed weights.

        Returns
        -------
        (n,) or (n, k) float64
            To be added to `influence`.

        Raises
        ------
        DataError
            If the weights come from a learner or from matching.
        """
        if (
            self._log_gradient is None
            or self._parameter_influence is None
            or self._scale_influence is None
        ):
            raise DataError(
                "the uncertainty of these weights has no closed form",
                values={"method": self.method},
                remedy="matched pairs are clusters; a learner needs the bootstrap",
            )
        arm = np.stack(
            [influence[~self._treated].sum(axis=0), influence[self._treated].sum(axis=0)]
        )
        through_parameters = self._parameter_influence @ (self._log_gradient.T @ influence)
        return np.asarray(through_parameters + self._scale_influence @ arm)

    def refit(self, rows: NDArray[np.int64]) -> Weights:
        """Estimate the weights again on some rows, as a bootstrap does.

        Parameters
        ----------
        rows : (m,) int64
            Row numbers, repeats allowed.

        Returns
        -------
        Weights
            Of those rows.
        """
        return self._refit(rows)
