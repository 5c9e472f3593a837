r"""The Cox proportional-hazards model.

For patient i with covariates :math:`x_i` in stratum s the hazard is
:math:`\lambda_s(t)\,e^{x_i'\beta}`. β maximises the partial likelihood over risk sets
:math:`\{j: a_j < t \le T_j\}` within strata, weighted by case weights, with tied events after Efron or
Breslow (see :mod:`fiac_survival.kernels.cox`). Model-based covariance: inverse information. Robust:
:math:`\sum_c (\sum_{i\in c} w_i D_i)(\cdot)'` with :math:`D_i = I^{-1} r_i` and r the score residuals
(Lin and Wei). Conventions are those of R's ``coxph``.

Sources: Cox 1972; Efron 1977; Breslow 1974; Lin and Wei 1989; Therneau and Grambsch 2000.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import Design, make_design
from fiac_survival.core.intervals import Transform, normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival import cox_baseline, proportional_hazards
from fiac_survival.survival.concordance import Concordance, TimeWeight, concordance_of
from fiac_survival.survival.cox_fit import Pass, SortedRows, maximise, sort_rows
from fiac_survival.survival.cox_residuals import (
    Residual,
    linear_predictor,
    residual_table,
    score_residuals,
)
from fiac_survival.survival.cox_tests import (
    coefficient_table,
    near_separation,
    require_robust,
    require_rows,
    sandwich,
    tests_of_fit,
)

Floats = NDArray[np.float64]
Ties = Literal["efron", "breslow"]
CoxTies = Literal["efron", "breslow", "exact"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class CoxModel(Result):
    """A fitted Cox model.

    Attributes
    ----------
    table : DataFrame
        term, coef, hazard_ratio, std_error (of coef), lower, upper (of the hazard ratio), z, p_value.
    coef : Series
        Coefficients by term.
    covariance, model_covariance : DataFrame
        Their covariance, robust if so asked, and the inverse information.
    log_likelihood, log_likelihood_null : float
        Partial log-likelihood at the estimate and at zero.
    tests : DataFrame
        test (likelihood ratio, wald, score, and robust score with a robust variance), statistic, df,
        p_value.
    n, n_event : int
        Rows and events.
    ties, variance : str
        "efron", "breslow" or "exact"; "model", "robust" or "clustered".
    level : float
        Confidence level of the table.
    near_separation : list of str
        Terms that almost order the events: beyond e⁵ for a mean deviation; their numbers mean little.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    model_covariance: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    tests: pd.DataFrame
    n: int
    n_event: int
    ties: CoxTies
    variance: str
    level: float
    near_separation: list[str] = field(default_factory=list)
    _rows: SortedRows = field(repr=False)
    _end: Pass = field(repr=False)
    _design: Design = field(repr=False)
    _members: NDArray[np.int64] | None = field(default=None, repr=False)

    @cached_property
    def influence(self) -> Floats:
        """Change of each coefficient per unit of each row's weight, shape (n, p).

        Weight times influence is R's weighted dfbeta; its sums of squares give the robust variance.
        """
        residuals = score_residuals(self._rows, self._end)
        out = np.empty_like(residuals)
        out[self._rows.order] = residuals @ np.linalg.inv(self._end.information)
        return out / self._rows.scale

    def baseline(self) -> pd.DataFrame:
        """Baseline cumulative hazard and survival, of a patient whose covariates are all 0.

        Returns
        -------
        DataFrame
            stratum, time, cumulative_hazard, hazard_std_error, survival, std_error (of survival),
            lower, upper at each event time. The interval is the log-log one at the model's level.
        """
        return cox_baseline.baseline(
            self._rows, self._end, self.covariance.to_numpy(), level=self.level
        )

    @single_threaded_blas
    def residuals(self, kind: Residual = "martingale", *, by: Any = None) -> pd.DataFrame:
        """Residuals, of unit weight as in R.

        Parameters
        ----------
        kind : str, default "martingale"
            "martingale", "deviance", "score", "dfbeta", "dfbetas" (one row a row of the data),
            "schoenfeld" or "scaled_schoenfeld" (one row an event).
        by : array-like, shape (n,), optional
            Persons over whose rows to add; their labels come in sorted order.

        Returns
        -------
        DataFrame
            One column, or one a covariate; for Schoenfeld also row, stratum and time of the event.

        Raises
        ------
        DataError
            If the kind is unknown, or Schoenfeld residuals are to be added by person.
        """
        members = None if by is None else columns.labels(by, "by", n=self.n)[0]
        return residual_table(
            self._rows,
            self._end,
            list(self.coef.index),
            self.coef.to_numpy(),
            self.model_covariance.to_numpy(),
            kind,
            members=members,
        )

    def concordance(
        self, *, time_weight: TimeWeight = "n", until: float | None = None, level: float = 0.95
    ) -> Concordance:
        """Concordance of the linear predictor with survival, within the model's strata.

        Parameters
        ----------
        time_weight, until, level
            As in :func:`fiac_survival.survival.concordance`.

        Returns
        -------
        Concordance
            With the model's weights and clusters; on the data of the fit, so optimistic.
        """
        rows = self._rows
        score = linear_predictor(rows, self._end)
        return concordance_of(
            rows.time,
            rows.event,
            rows.entry,
            score,
            stratum=rows.stratum,
            labels=rows.strata,
            weight=rows.weight,
            members=None if self._members is None else self._members[rows.order],
            time_weight=time_weight,
            until=until,
            level=level,
        )

    @single_threaded_blas
    def expected_events(self, y: Outcome, X: Any, *, strata: Any = None) -> Floats:
        """Events that the model expects in the follow-up of (new) rows.

        Parameters
        ----------
        y : Outcome
            Their follow-up; its sum of events over the sum of these is the observed/expected ratio.
        X : DataFrame or 2-D array
            Their covariates.
        strata : array-like, optional
            Their strata; needed if the model has strata.

        Returns
        -------
        (m,) float64
            Cumulative hazard of each row over its follow-up.

        Raises
        ------
        DataError
            If a column or a stratum is unknown, or lengths differ.
        """
        return cox_baseline.expected_events(
            self._rows, self._end, self._design.again(X), y, strata=strata
        )

    @single_threaded_blas
    def predict_survival(
        self,
        X: Any,
        times: Any,
        *,
        strata: Any = None,
        level: float = 0.95,
        transform: Transform = "log-log",
    ) -> pd.DataFrame:
        """Predict survival curves of new patients.

        Parameters
        ----------
        X : DataFrame or 2-D array, shape (m, p)
            Covariates, or the columns that the model's formula refers to.
        times : float or array-like of float
            Times.
        strata : array-like, shape (m,), optional
            Each patient's stratum; needed if the model has strata.
        level : float, default 0.95
            Confidence level.
        transform : str, default "log-log"
            Scale on which the interval is symmetric.

        Returns
        -------
        DataFrame
            row, time, survival, std_error, lower, upper. The standard error has the part of the
            baseline and that of the coefficients.

        Raises
        ------
        DataError
            If a column or a stratum is unknown.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
        >>> model = fs.survival.cox(y, [[1], [2], [1], [0], [1], [0]])
        >>> model.predict_survival([[0], [1]], times=6)["survival"].round(3).tolist()
        [0.853, 0.594]
        """
        return cox_baseline.predict(
            self._rows,
            self._end,
            self._design.again(X),
            self.covariance.to_numpy(),
            times=times,
            strata=strata,
            level=level,
            transform=transform,
        )

    @single_threaded_blas
    def test_proportional_hazards(
        self,
        transform: proportional_hazards.TimeTransform = "km",
        *,
        method: proportional_hazards.PHMethod = "score",
        terms: bool = True,
    ) -> proportional_hazards.ProportionalHazardsTest:
        """Test proportional hazards.

        Parameters
        ----------
        transform : {"km", "identity", "rank", "log"}, default "km"
            Function of time with which each coefficient might vary.
        method : {"score", "grambsch-therneau"}, default "score"
            "score" is the exact score test (R survival 3), "grambsch-therneau" the approximation of
            1994 (R survival 2, lifelines), which takes the covariates' variance as constant over
            time.
        terms : bool, default True
            One test a term of the formula; False: one a column.

        Returns
        -------
        ProportionalHazardsTest
            Statistic by term, and all together.

        Raises
        ------
        DataError
            If an option is unknown.
        """
        return proportional_hazards.test(
            self._rows,
            self._end,
            self._design,
            self.coef.to_numpy(),
            self.model_covariance.to_numpy(),
            transform=transform,
            method=method,
            terms=terms,
        )


@single_threaded_blas
def cox(
    y: Outcome,
    X: Any,
    *,
    data: Any = None,
    ties: CoxTies = "efron",
    strata: Any = None,
    weights: Any = None,
    cluster: Any = None,
    robust: bool | None = None,
    level: float = 0.95,
) -> CoxModel:
    """Fit a Cox proportional-hazards model.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry and several rows a person are allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula such as ``"age + C(stage)"``.
    data : DataFrame, optional
        The table that a formula refers to.
    ties : {"efron", "breslow", "exact"}, default "efron"
        Treatment of tied events; "exact" is the discrete partial likelihood, for few rows.
    strata : array-like, shape (n,), optional
        Labels; each stratum has its own baseline hazard.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; makes the variance robust.
    robust : bool, optional
        Lin-Wei variance. Left out, as in R: with clusters and with weights that are no whole numbers.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    CoxModel
        Coefficients, tests, baseline, residuals and predictions.

    Raises
    ------
    DataError
        If a value is missing, a covariate is constant or redundant, or exact ties are too many.
    ConvergenceError
        If the likelihood has no maximum, naming the covariates (separation).

    References
    ----------
    Cox DR. Regression models and life-tables. JRSS B 1972;34:187-220.
    Efron B. The efficiency of Cox's likelihood function for censored data. JASA 1977;72:557-565.
    Lin DY, Wei LJ. The robust inference for the Cox model. JASA 1989;84:1074-1078.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> model = fs.survival.cox(y, pd.DataFrame({"grade": [1, 2, 1, 0, 1, 0]}))
    >>> model.table[["term", "hazard_ratio"]].round(3).values.tolist()
    [['grade', 3.263]]
    """
    require_choice(ties, CoxTies, "ties")
    normal_quantile(level)
    require_rows(y, "cox")
    n = len(y)
    weight = None if weights is None else require_positive_weights(weights, n)
    require_robust(robust, cluster)
    design = make_design(X, data, n=n)
    if ties == "exact":
        from fiac_survival.survival.cox_exact import fit_exact

        return fit_exact(
            y, design, strata=strata, weights=weights, cluster=cluster, robust=robust, level=level
        )
    rows = sort_rows(y, design, weight=weight, strata=strata, efron=ties == "efron")
    start, end, n_iter = maximise(rows, design)
    if robust is None:
        fractional = weight is not None and bool(np.any(weight != np.floor(weight)))
        robust = cluster is not None or fractional
    model_covariance = np.linalg.inv(end.information) / np.outer(rows.scale, rows.scale)
    covariance, kind, members = model_covariance, "model", None
    if robust:
        members = None if cluster is None else columns.labels(cluster, "cluster", n=n)[0]
        covariance = sandwich(rows, end, members)
        kind = "robust" if cluster is None else "clustered"
    beta = end.beta / rows.scale
    tests = tests_of_fit(rows, start, end, beta, covariance, robust=bool(robust), members=members)
    names, inverse = design.columns, np.diag(np.linalg.inv(end.information))
    return CoxModel(
        table=coefficient_table(names, beta, covariance, level),
        n_iter=n_iter,
        gradient_norm=float(np.max(np.abs(end.score) * np.sqrt(inverse))),
        coef=pd.Series(beta, index=names, name="coef"),
        covariance=pd.DataFrame(covariance, index=names, columns=names),
        model_covariance=pd.DataFrame(model_covariance, index=names, columns=names),
        log_likelihood=end.log_likelihood,
        log_likelihood_null=start.log_likelihood,
        tests=tests,
        n=n,
        n_event=int(np.count_nonzero(y.event)),
        ties=ties,
        variance=kind,
        level=level,
        near_separation=near_separation(names, end),
        _rows=rows,
        _end=end,
        _design=design,
        _members=members,
    )
