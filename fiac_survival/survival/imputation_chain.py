r"""One chain of statsmodels' ``MICEData``, with categories drawn from their predicted probabilities.

Numbers: linear regression and predictive mean matching, as the library has it. Two classes: logistic
regression; more: multinomial regression with the first class as reference. Their coefficients are drawn
from the normal approximation, then each missing value from the probabilities that follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from statsmodels.discrete.discrete_model import MNLogit
from statsmodels.imputation.mice import MICEData
from statsmodels.regression.linear_model import OLS

Floats = NDArray[np.float64]


class ImputationFailure(Exception):  # noqa: N818
    """A column's model failed; `column` is its short name."""

    def __init__(self, column: str, cause: Exception) -> None:
        super().__init__(f"{type(cause).__name__}: {cause}")
        self.column = column


class Chain(MICEData):  # type: ignore[misc]
    """Chained equations in which some columns hold codes of classes.

    Parameters
    ----------
    data : DataFrame
        Columns in numbers, NaN where missing.
    classes : dict
        Number of classes of the columns that hold codes.
    donors : int
        Donors of a number.
    rng : Generator
        Random numbers.
    """

    def __init__(
        self, data: pd.DataFrame, classes: dict[str, int], donors: int, rng: np.random.Generator
    ) -> None:
        self.classes = classes
        super().__init__(data, k_pmm=donors, rng=rng)
        for name in self._cycle_order:
            self.set_imputer(name, model_class=MNLogit if name in classes else OLS, k_pmm=donors)

    def design(self, vname: str) -> Floats:
        """Intercept and all other columns, classes as indicators: what the formula would give."""
        parts = [np.ones(len(self.data))]
        for name in self.data.columns:
            if name == vname:
                continue
            values = self.data[name].to_numpy()
            several = self.classes.get(name, 0) > 2
            levels = range(1, self.classes[name]) if several else ()
            parts += [(values == k).astype(np.float64) for k in levels] or [values]
        return np.column_stack(parts)

    def get_fitting_data(self, vname: str) -> tuple[Floats, Floats, dict[str, Any], dict[str, Any]]:
        """Observed values of a column, and what predicts them."""
        rows = self.ix_obs[vname]
        return self.data[vname].to_numpy()[rows], self.design(vname)[rows], {}, {}

    def get_split_data(
        self, vname: str
    ) -> tuple[Floats, Floats, Floats, dict[str, Any], dict[str, Any]]:
        """Observed values of a column, their predictors, and those of the missing ones."""
        design = self.design(vname)
        observed, missing = self.ix_obs[vname], self.ix_miss[vname]
        return self.data[vname].to_numpy()[observed], design[observed], design[missing], {}, {}

    def perturb_params(self, vname: str) -> None:
        """Draw the coefficients of one column's model."""
        if vname not in self.classes:
            super().perturb_params(vname)
            return
        endog, exog, _, _ = self.get_fitting_data(vname)
        self.models[vname] = MNLogit(endog, exog)
        result = self.models[vname].fit(method="newton", disp=0, maxiter=100)
        covariance = np.asarray(result.cov_params())
        if not result.mle_retvals["converged"] or not np.isfinite(covariance).all():
            raise ArithmeticError("no maximum (separation)")
        mean = np.asarray(result.params).ravel(order="F")
        drawn = self.rng.multivariate_normal(mean, covariance)
        self.params[vname] = drawn.reshape(np.asarray(result.params).shape, order="F")

    def impute(self, vname: str) -> None:
        """Draw the missing values of one column."""
        if vname not in self.classes:
            super().impute_pmm(vname)
            return
        _, _, exog, *_ = self.get_split_data(vname)
        shares = np.asarray(self.models[vname].predict(self.params[vname], exog))
        edges = np.cumsum(shares, axis=1)[:, :-1]
        code = (self.rng.random(len(edges))[:, None] > edges).sum(axis=1)
        self._store_changes(vname, code.astype(np.float64))


def chain(
    data: pd.DataFrame,
    classes: dict[str, int],
    cycles: int,
    donors: int,
    rng: np.random.Generator,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Run a chain.

    Parameters
    ----------
    data : DataFrame
        Columns in numbers, NaN where missing.
    classes : dict
        Number of classes of the columns that hold codes.
    cycles : int
        Rounds.
    donors : int
        Donors of a number.
    rng : Generator
        Random numbers.

    Returns
    -------
    completed : DataFrame
        Without missing values.
    trace : DataFrame
        cycle, column, mean, sd of the imputed values.

    Raises
    ------
    ImputationFailure
        Naming the column.
    """
    running = Chain(data, classes, donors, rng)
    trace: list[dict[str, Any]] = []
    for cycle in range(cycles):
        for name in running._cycle_order:
            try:
                running.update(name)
            except (ArithmeticError, ValueError, Warning, np.linalg.LinAlgError) as cause:
                raise ImputationFailure(name, cause) from cause
            drawn = running.data[name].to_numpy()[running.ix_miss[name]]
            trace.append({"cycle": cycle, "column": name, "mean": drawn.mean(), "sd": drawn.std()})
    return running.data, pd.DataFrame(trace)
