r"""The Fine-Gray model of the subdistribution hazard.

For the cause of interest with cumulative incidence F, the subdistribution hazard
:math:`-d\log\{1-F(t|x)\}/dt=\lambda_0(t)\,e^{x'\beta}` is estimated from risk sets in which a patient
stays after a competing event, with weight G(t-)/G(T-) for the chance of still being followed up (see
:mod:`fiac_survival.survival.fine_gray_tail`; with delayed entry also for that of having entered). So

.. math:: F(t|x)=1-\exp\{-\Lambda_0(t)e^{x'\beta}\}.

β maximises the partial likelihood of the Cox model over these risk sets, whose sums are running sums: rows
are not repeated, and a Newton step costs :math:`O(np^2)`. The variance is the sum of squares of each
cluster's influence, that through the estimated weights included (Fine and Gray's sandwich).

Sources: Fine and Gray 1999; Geskus 2011; Zhou, Latouche, Rocha and Fine 2011 (strata).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import (
    Transform,
    normal_quantile,
    require_choice,
    survival_interval,
    two_sided_p,
)
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival import cox_baseline
from fiac_survival.survival.cox import Ties
from fiac_survival.survival.cox_fit import Pass, SortedRows, maximise, sort_rows
from fiac_survival.survival.cox_tests import tests_of_fit
from fiac_survival.survival.fine_gray_influence import baseline_influence, coefficient_influence
from fiac_survival.survival.fine_gray_tail import CensoringTies, make_tail
from fiac_survival.survival.gray import require_cause
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]
WeightVariance = Literal["estimated", "fixed"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FineGrayModel(Result):
    """A fitted Fine-Gray model.

    Attributes
    ----------
    table : DataFrame
        term, coef, subdistribution_hazard_ratio, std_error (of coef), lower, upper (of the ratio), z,
        p_value.
    coef : Series
        Coefficients by term.
    covariance : DataFrame
        Their covariance.
    model_covariance : DataFrame
        Inverse information, which is not a valid covariance here.
    log_likelihood, log_likelihood_null : float
        Partial log-pseudolikelihood at the estimate and at zero.
    tests : DataFrame
        test (likelihood ratio, wald, score, robust score), statistic, df, p_value. Only the Wald test
        counts the estimation of the weights.
    n, n_event, n_competing : int
        Rows, events of the cause, competing events.
    cause : int
        Code of the cause.
    ties, variance : str
        "efron" or "breslow"; "model", "robust" or "clustered".
    weight_variance : str
        "estimated" or "fixed".
    level : float
        Confidence level of the table.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    model_covariance: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    tests: pd.DataFrame
    n: int
    n_event: int
    n_competing: int
    cause: int
    ties: Ties
    variance: str
    weight_variance: WeightVariance
    level: float
    _rows: SortedRows = field(repr=False)
    _end: Pass = field(repr=False)
    _design: Design = field(repr=False)
    _members: NDArray[np.int64] | None = field(repr=False)

    @cached_property
    def influence(self) -> Floats:
        """Change of each coefficient per unit of each row's weight, shape (n, p)."""
        estimated = self.weight_variance == "estimated"
        found = coefficient_influence(self._rows, self._end, estimated=estimated)
        out = np.empty_like(found)
        out[self._rows.order] = found
        return out / self._rows.scale

    def baseline(self) -> pd.DataFrame:
        """Baseline cumulative subdistribution hazard and incidence, at covariates of 0.

        Returns
        -------
        DataFrame
            stratum, time, cumulative_hazard, incidence at each event time of the cause.
        """
        table = cox_baseline.baseline_hazard(self._rows, self._end)
        return table.assign(incidence=-np.expm1(-table["cumulative_hazard"])).drop(
            columns="survival"
        )

    @single_threaded_blas
    def predict_incidence(
        self,
        X: Any,
        times: Any,
        *,
        strata: Any = None,
        level: float = 0.95,
        transform: Transform = "log-log",
    ) -> pd.DataFrame:
        """Predict the cumulative incidence of the cause for new patients.

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
            Scale of the incidence on which the interval is symmetric.

        Returns
        -------
        DataFrame
            row, time, incidence, std_error, lower, upper. The standard error is that of the joint
            influence of each row on baseline and coefficients.

        Raises
        ------
        DataError
            If a column or a stratum is unknown.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9, 7], event=[1, 1, 2, 0, 1, 1, 0])
        >>> model = fs.survival.fine_gray(y, [[1], [2], [1], [0], [1], [0], [2]])
        >>> model.predict_incidence([[0], [1]], times=6)["incidence"].round(3).tolist()
        [0.307, 0.39]
        """
        moments = times_array(times)
        rows, end = self._rows, self._end
        design = self._design.again(X)
        stratum = cox_baseline.strata_of(strata, rows.strata, design.shape[0])
        z = (design - rows.centre) / rows.scale
        relative = np.exp(z @ end.beta)
        estimated = self.weight_variance == "estimated"
        weighted = coefficient_influence(rows, end, estimated=estimated) * rows.weight[:, None]
        beta = _cluster_sums(weighted, self._members)
        parts = []
        for s in sorted(set(stratum)):
            mine = np.flatnonzero(np.asarray(stratum) == s)
            for t in moments:
                hazard, mean, moved = baseline_influence(rows, end, s, t, estimated=estimated)
                base = _cluster_sums((moved * rows.weight)[:, None], self._members)[:, 0]
                q = z[mine] * hazard - mean
                spread = base @ base + 2.0 * (q @ (beta.T @ base))
                spread = spread + ((q @ (beta.T @ beta)) * q).sum(axis=1)
                incidence = -np.expm1(-relative[mine] * hazard)
                error = (1.0 - incidence) * relative[mine] * np.sqrt(np.maximum(spread, 0.0))
                columns_of = {"row": mine, "time": t, "incidence": incidence, "std_error": error}
                parts.append(pd.DataFrame(columns_of))
        out = pd.concat(parts).sort_values(["row", "time"], kind="stable", ignore_index=True)
        lower, upper = survival_interval(
            out["incidence"].to_numpy(),
            out["std_error"].to_numpy(),
            level=level,
            transform=transform,
        )
        return out.assign(lower=lower, upper=upper)


@single_threaded_blas
def fine_gray(
    y: Outcome,
    X: Any,
    *,
    cause: int = 1,
    data: Any = None,
    ties: Ties = "breslow",
    strata: Any = None,
    censoring_strata: Any = None,
    weights: Any = None,
    cluster: Any = None,
    robust: bool = True,
    weight_variance: WeightVariance = "estimated",
    censoring_ties: CensoringTies = "after events",
    level: float = 0.95,
) -> FineGrayModel:
    """Fit a Fine-Gray model of the subdistribution hazard of one cause.

    Parameters
    ----------
    y : Outcome
        One row a person, event codes 0 (censored), 1, 2, ...; delayed entry is allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, known at the start; or a formula such as ``"age + C(stage)"``.
    cause : int, default 1
        Event code of interest; other codes compete.
    data : DataFrame, optional
        The table that a formula refers to.
    ties : {"breslow", "efron"}, default "breslow"
        Treatment of tied events.
    strata : array-like, shape (n,), optional
        Labels; each stratum has its own baseline.
    censoring_strata : array-like, shape (n,), optional
        Labels; each has its own distribution of censoring (and of entry). Left out: the strata.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together.
    robust : bool, default True
        False: inverse information, which takes the weights of the risk sets for numbers of patients.
    weight_variance : {"estimated", "fixed"}, default "estimated"
        Whether the variance counts that the censoring distribution is estimated, as R's ``cmprsk``
        does; "fixed" is the robust variance of ``coxph`` on the rows of ``finegray``.
    censoring_ties : {"after events", "with events"}, default "after events"
        Whether rows with an event count as at risk of being censored at the same time: no, as in
        ``finegray``; or yes, as in ``cmprsk``, whose variance is then taken too.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    FineGrayModel
        Coefficients, baseline, predictions.

    Raises
    ------
    DataError
        If the cause does not occur, a value is missing, or a covariate is constant or redundant.
    ConvergenceError
        If the likelihood has no maximum, naming the covariates (separation).

    References
    ----------
    Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing risk. JASA
    1999;94:496-509.
    Geskus RB. Cause-specific cumulative incidence estimation and the Fine and Gray model under both
    left truncation and right censoring. Biometrics 2011;67:39-49.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9, 7], event=[1, 1, 2, 0, 1, 1, 0])
    >>> model = fs.survival.fine_gray(y, pd.DataFrame({"grade": [1, 2, 1, 0, 1, 0, 2]}))
    >>> model.table[["term", "subdistribution_hazard_ratio"]].round(3).values.tolist()
    [['grade', 1.347]]
    """
    require_choice(ties, Ties, "ties")
    require_choice(weight_variance, WeightVariance, "weight_variance")
    require_choice(censoring_ties, CensoringTies, "censoring_ties")
    normal_quantile(level)
    if not isinstance(y, Outcome):
        raise DataError(
            "fine_gray takes an Outcome",
            values={"type": type(y).__name__},
            remedy="a regression needs rows, not a risk table",
        )
    require_cause(np.unique(y.event), cause, "fine_gray")
    n = len(y)
    weight = None if weights is None else require_positive_weights(weights, n)
    if not robust and cluster is not None:
        raise DataError(
            "clusters ask for a robust variance",
            values={"robust": robust},
            remedy="leave robust out, or drop cluster",
        )
    design = make_design(X, data, n=n)
    of_cause = Outcome(y.time, y.event == cause, entry=y.entry)
    rows = sort_rows(of_cause, design, weight=weight, strata=strata, efron=ties == "efron")
    member = np.zeros(n, dtype=np.int64)
    groups = strata if censoring_strata is None else censoring_strata
    if groups is not None:
        member, _ = columns.labels(groups, "censoring_strata", n=n)
    tail = make_tail(
        y,
        cause,
        order=rows.order,
        stop=rows.stop,
        stratum=rows.stratum,
        member=member[rows.order],
        weight=rows.weight,
        block_time=rows.block_time,
        ties=censoring_ties,
    )
    rows = replace(rows, tail=tail)
    start, end, n_iter = maximise(rows, design)
    unscale = 1.0 / rows.scale
    inverse = np.linalg.inv(end.information)
    model_covariance = inverse * np.outer(unscale, unscale)
    covariance, kind, members = model_covariance, "model", None
    if robust:
        kind = "robust"
        if cluster is not None:
            kind, members = "clustered", columns.labels(cluster, "cluster", n=n)[0]
        estimated = weight_variance == "estimated"
        influence = coefficient_influence(rows, end, estimated=estimated) * rows.weight[:, None]
        of_row = None if members is None else members[rows.order]
        sums = _cluster_sums(influence * unscale, of_row)
        covariance = sums.T @ sums
    beta = end.beta * unscale
    names = design.columns
    return FineGrayModel(
        table=_table(names, beta, covariance, level),
        converged=True,
        n_iter=n_iter,
        gradient_norm=float(np.max(np.abs(end.score) * np.sqrt(np.diag(inverse)))),
        coef=pd.Series(beta, index=names, name="coef"),
        covariance=pd.DataFrame(covariance, index=names, columns=names),
        model_covariance=pd.DataFrame(model_covariance, index=names, columns=names),
        log_likelihood=end.log_likelihood,
        log_likelihood_null=start.log_likelihood,
        tests=tests_of_fit(rows, start, end, beta, covariance, robust=robust, members=members),
        n=n,
        n_event=int(np.count_nonzero(of_cause.event)),
        n_competing=int(tail.row.size),
        cause=int(cause),
        ties=ties,
        variance=kind,
        weight_variance=weight_variance,
        level=level,
        _rows=rows,
        _end=end,
        _design=design,
        _members=None if members is None else members[rows.order],
    )


def _table(names: list[str], beta: Floats, covariance: Floats, level: float) -> pd.DataFrame:
    z = normal_quantile(level)
    std_error = np.sqrt(np.diag(covariance))
    return pd.DataFrame(
        {
            "term": names,
            "coef": beta,
            "subdistribution_hazard_ratio": np.exp(beta),
            "std_error": std_error,
            "lower": np.exp(beta - z * std_error),
            "upper": np.exp(beta + z * std_error),
            "z": beta / std_error,
            "p_value": [two_sided_p(v) for v in beta / std_error],
        }
    )


def _cluster_sums(values: Floats, members: NDArray[np.int64] | None) -> Floats:
    """Add rows within clusters; without clusters each row stands alone."""
    if members is None:
        return values
    size = int(members.max()) + 1
    return np.stack(
        [np.bincount(members, weights=column, minlength=size) for column in values.T], axis=1
    )
