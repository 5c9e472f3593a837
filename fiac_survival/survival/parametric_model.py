"""What a fitted parametric model can say: coefficients, criteria, curves and means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import Design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival import parametric_curves as curves
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.parametric_curves import Estimated, Interval, Targets
from fiac_survival.survival.parametric_fit import Fit, Likelihood, Sample
from fiac_survival.survival.parametric_means import quantile_table, rmst_table
from fiac_survival.survival.smooth_hazard import hazard_comparison

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ParametricModel(Result):
    """A fitted parametric model.

    Attributes
    ----------
    table : DataFrame
        term, meaning, coef and std_error (on the scale of estimation), estimate, lower, upper (a
        parameter on its own scale; of a covariate exp(coef), which `meaning` names), z, p_value.
    coef : Series
        Coefficients by term, on the scale of estimation: logs of positive parameters, logit of a
        cured share.
    covariance : DataFrame
        Their covariance; robust if so asked.
    model_covariance : DataFrame
        Inverse information.
    log_likelihood, aic, bic : float
        Maximum of the log-likelihood, and the criteria made of it.
    knots : (m,) float64
        Times of the knots of a spline, boundary included, or of the cut points.
    n, n_event : int
        Rows and events.
    family, variance : str
        Name of the family; "model", "robust" or "clustered".
    level : float
        Confidence level of the table and default of the curves.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    model_covariance: pd.DataFrame
    log_likelihood: float
    aic: float
    bic: float
    knots: Floats
    n: int
    n_event: int
    family: str
    variance: str
    level: float
    _fitted: Estimated = field(repr=False)
    _fit: Fit = field(repr=False)
    _sample: Sample = field(repr=False)
    _designs: Mapping[str, Design] = field(repr=False)
    _y: Outcome = field(repr=False)

    @property
    def influence(self) -> Floats:
        """Change of each coefficient per unit of each row's weight, shape (n, p)."""
        out = np.zeros((self.n, self.coef.size))
        out[self._sample.kept] = self._fit.row_scores @ self.model_covariance.to_numpy()
        return out

    def log_likelihood_at(self, coef: Any) -> float:
        """Evaluate the log-likelihood of these rows at other coefficients.

        Parameters
        ----------
        coef : array-like of float, shape (p,)
            In the order of :attr:`coef`, on the scale of estimation.

        Returns
        -------
        float
            Minus infinity where the model is not defined.

        Raises
        ------
        DataError
            If the number of coefficients differs.
        """
        values = columns.numeric(coef, "coef", n=self.coef.size)
        likelihood = Likelihood(self._fitted.model, self._sample)
        rotated: Floats = np.asarray(np.linalg.solve(likelihood.rotation, values), dtype=np.float64)
        return likelihood.value(rotated)

    def _targets(self, X: Any) -> Targets:
        if X is None:
            return curves.average_of(self._sample.profiles, self._sample.weight)
        if not self._designs:
            raise DataError(
                "this model has no covariates",
                values={"family": self.family},
                remedy="leave X out",
            )
        return curves.each_of({name: d.again(X) for name, d in self._designs.items()})

    def _draws(self, interval: Interval, n_draws: int, seed: int) -> Floats | None:
        require_choice(interval, Interval, "interval")
        return None if interval == "delta" else curves.draw(self._fitted, n_draws, seed)

    @single_threaded_blas
    def survival(
        self,
        t: Any,
        X: Any = None,
        *,
        level: float | None = None,
        transform: Transform = "log-log",
        interval: Interval = "delta",
        n_draws: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Give survival probabilities, also beyond the data.

        Parameters
        ----------
        t : float or array-like of float
            Times.
        X : DataFrame or 2-D array, shape (m, p), optional
            Covariates of new patients, or the columns that the model's formulas refer to. Left out:
            the average over the patients of the model (by weight).
        level : float, optional
            Confidence level; left out, that of the model.
        transform : str, default "log-log"
            Scale on which the delta-method interval is symmetric.
        interval : {"delta", "simulation"}, default "delta"
            Delta method, or quantiles over normal draws of the coefficients.
        n_draws, seed : int
            Draws of a simulated interval, and their root seed.

        Returns
        -------
        DataFrame
            row, time, survival, std_error, lower, upper.

        Raises
        ------
        DataError
            If a time is negative or a column is missing.
        """
        return curves.survival_table(
            self._fitted,
            self._targets(X),
            times_array(t, "t"),
            level=self.level if level is None else level,
            transform=transform,
            draws=self._draws(interval, n_draws, seed),
        )

    @single_threaded_blas
    def hazard(
        self,
        t: Any,
        X: Any = None,
        *,
        level: float | None = None,
        interval: Interval = "delta",
        n_draws: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Give hazards; of an average, the hazard of those still alive.

        Parameters
        ----------
        t : float or array-like of float
            Positive times.
        X, level, interval, n_draws, seed
            As in :meth:`survival`.

        Returns
        -------
        DataFrame
            row, time, hazard, std_error, lower, upper; the delta interval is symmetric on the log
            scale.

        Raises
        ------
        DataError
            If a time is not positive.
        """
        return curves.hazard_table(
            self._fitted,
            self._targets(X),
            times_array(t, "t"),
            level=self.level if level is None else level,
            draws=self._draws(interval, n_draws, seed),
        )

    @single_threaded_blas
    def rmst(
        self,
        tau: Any,
        X: Any = None,
        *,
        data_end: float | None = None,
        level: float | None = None,
        interval: Interval = "delta",
        n_draws: int = 1000,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Give restricted means, also extrapolated, and the share that lies beyond the data.

        Parameters
        ----------
        tau : float or array-like of float
            Horizons.
        X, level, interval, n_draws, seed
            As in :meth:`survival`.
        data_end : float, optional
            Where the data end; left out, at the last time of follow-up.

        Returns
        -------
        DataFrame
            row, tau, rmst, std_error, lower, upper, data_end, within_data and beyond_data (the two
            parts of the mean), share_beyond.

        Raises
        ------
        DataError
            If a horizon is not positive.
        """
        taus = times_array(tau, "tau")
        end = self._y.max_time if data_end is None else float(data_end)
        for name, value in (("tau", float(taus.min())), ("data_end", end)):
            if not value > 0:
                raise DataError(f"{name} must be positive", values={name: value})
        inner = np.quantile(self._sample.time, np.linspace(0.1, 0.9, 9))
        return rmst_table(
            self._fitted,
            self._targets(X),
            taus,
            data_end=end,
            breaks=inner,
            level=self.level if level is None else level,
            draws=self._draws(interval, n_draws, seed),
        )

    @single_threaded_blas
    def quantile(self, p: Any = 0.5, X: Any = None, *, level: float | None = None) -> pd.DataFrame:
        """Find the times by which given shares have failed.

        Parameters
        ----------
        p : float or array-like of float, default 0.5
            Shares between 0 and 1.
        X, level
            As in :meth:`survival`.

        Returns
        -------
        DataFrame
            row, probability, time, std_error, lower, upper; infinite where so many never fail. The
            interval is symmetric on the log scale.

        Raises
        ------
        DataError
            If a share is not between 0 and 1.
        """
        shares = columns.require_finite(columns.numeric(np.atleast_1d(p), "p"), "p")
        if np.any((shares <= 0) | (shares >= 1)):
            raise DataError("p must lie between 0 and 1", values={"p": shares.tolist()})
        return quantile_table(
            self._fitted,
            self._targets(X),
            shares,
            level=self.level if level is None else level,
            unit=float(np.median(self._sample.time)),
        )

    def compare_hazard(self, t: Any = None, *, bandwidth: float | None = None) -> pd.DataFrame:
        """Put the fitted hazard (averaged over the patients) beside a kernel estimate.

        Parameters
        ----------
        t : float or array-like of float, optional
            Positive times; left out, 100 from the first to the last event.
        bandwidth : float, optional
            Of the kernel; see :func:`fiac_survival.survival.smoothed_hazard`.

        Returns
        -------
        DataFrame
            source ("kernel" or the family), time, hazard, std_error, lower, upper.

        Raises
        ------
        DataError
            If a time is not positive.
        """
        weights = None if np.all(self._sample.weight == 1.0) else self._sample.weight
        return hazard_comparison(
            self._y.take(self._sample.kept),
            {self.family: self},
            weights=weights,
            times=t,
            bandwidth=bandwidth,
            level=self.level,
        )
