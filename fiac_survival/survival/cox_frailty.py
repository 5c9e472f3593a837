r"""The Cox model with a Gaussian frailty: a random effect shared by the rows of a cluster.

The hazard of row i of cluster c is :math:`\lambda_0(t)\,e^{x_i'\beta+b_c}`,
:math:`b_c\sim N(0,\theta)`. At given θ, β and b maximise the penalised partial likelihood
:math:`\ell(\beta,b)-b'b/2\theta`. With the information
I of :math:`(\beta,b)`, :math:`H=I+\mathrm{diag}(0,1/\theta)` and :math:`V=H^{-1}`:

* θ is given, or solves the restricted-likelihood equation :math:`q\,\theta=b'b+\operatorname{tr}V_{bb}`
  over q clusters; where it has no root the clusters vary no more than by chance, and θ is 0;
* the covariance of β is :math:`V_{\beta\beta}`, the sampling covariance at fixed θ
  :math:`(VIV)_{\beta\beta}`;
* the effective number of frailties is :math:`q-\operatorname{tr}V_{bb}/\theta`.

``information="diagonal"`` leaves out what lies between clusters in :math:`I_{bb}`, as R does with more than
five clusters; it moves θ, and at given θ nothing but variances.

Sources: Ripatti and Palmgren 2000; Therneau, Grambsch and Pankratz 2003. R: ``coxph`` with
``frailty(distribution = "gaussian")``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import chdtrc

from fiac_survival.core import columns
from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import Ties
from fiac_survival.survival.cox_fit import SortedRows, maximise, sort_rows
from fiac_survival.survival.cox_tests import coefficient_table, require_rows

Floats = NDArray[np.float64]
Information = Literal["full", "diagonal"]

LARGEST_ENTRIES = 1e8
GRID = np.arange(-12.0, 6.0)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FrailtyModel(Result):
    """A Cox model with a Gaussian frailty.

    Attributes
    ----------
    table : DataFrame
        term, coef, hazard_ratio (within a cluster), std_error, lower, upper, z, p_value.
    coef : Series
        Coefficients by term.
    covariance, sampling_covariance : DataFrame
        Of the coefficients: of the penalised likelihood, and at fixed theta.
    theta : float
        Variance of the frailties; 0 if clusters vary no more than by chance.
    theta_method : str
        "reml" or "fixed".
    frailties : DataFrame
        cluster, n, n_event, frailty (log relative hazard), std_error; in sorted order of the labels.
    log_likelihood, log_likelihood_null : float
        Partial log-likelihood at the estimate, without penalty, and at zero.
    degrees_of_freedom : Series
        Effective number of coefficients, by term, and of frailties.
    tests : DataFrame
        test (likelihood ratio of all, wald of the coefficients), statistic, df, p_value.
    n, n_event : int
        Rows and events.
    ties, information : str
        Options of the fit.
    level : float
        Confidence level.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    sampling_covariance: pd.DataFrame
    theta: float
    theta_method: str
    frailties: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    degrees_of_freedom: pd.Series
    tests: pd.DataFrame
    n: int
    n_event: int
    ties: Ties
    information: Information
    level: float


@dataclass(frozen=True, eq=False)
class _Fit:
    """A fit at one theta, in the covariates' own scale; frailties stand after the coefficients."""

    theta: float
    beta: Floats
    inverse: Floats
    information: Floats
    log_likelihood: float
    null: float
    gradient_norm: float
    n_iter: int


@dataclass(frozen=True, eq=False)
class _Problem:
    """The rows with one column a cluster after the covariates."""

    rows: SortedRows
    design: Design
    q: int
    diagonal: bool

    def at(self, theta: float) -> _Fit:
        p = len(self.design.columns) - self.q
        penalty = np.concatenate([np.zeros(p), np.full(self.q, 1.0 / theta)])
        scale = self.rows.scale
        start, end, n_iter = maximise(self.rows, self.design, penalty=penalty / scale**2)
        information = np.asarray(end.information * np.outer(scale, scale), dtype=np.float64)
        if self.diagonal:
            between = information[p:, p:]
            information[p:, p:] = np.diag(np.diag(between))
        inverse = np.asarray(np.linalg.inv(information + np.diag(penalty)), dtype=np.float64)
        beta = end.beta / scale
        gradient = end.score * scale - penalty * beta
        norm = float(np.max(np.abs(gradient) * np.sqrt(np.diag(inverse))))
        return _Fit(
            theta,
            beta,
            inverse,
            information,
            end.log_likelihood,
            start.log_likelihood,
            norm,
            n_iter,
        )

    def excess(self, log_theta: float) -> float:
        """How far theta is below what its frailties ask for, relative."""
        fit = self.at(float(np.exp(log_theta)))
        b, spread = fit.beta[-self.q :], np.diag(fit.inverse)[-self.q :]
        return float((b @ b + spread.sum()) / (self.q * fit.theta) - 1.0)

    def reml(self) -> _Fit | None:
        """Fit at the root of the restricted-likelihood equation; None if there is none."""
        low = self.excess(GRID[0])
        if low <= 0:
            return None
        for left, right in pairwise(GRID):
            if self.excess(right) <= 0:
                return self.at(float(np.exp(brentq(self.excess, left, right, xtol=1e-9))))
        raise DataError(
            "the variance of the frailties must be finite",
            values={"theta at least": float(np.exp(GRID[-1]))},
            remedy="clusters differ without bound (all or none of their rows have events): use strata",
        )


@single_threaded_blas
def cox_frailty(
    y: Outcome,
    X: Any,
    cluster: Any,
    *,
    data: Any = None,
    theta: float | None = None,
    information: Information = "full",
    ties: Ties = "efron",
    strata: Any = None,
    level: float = 0.95,
) -> FrailtyModel:
    """Fit a Cox model with a Gaussian frailty shared by the rows of a cluster.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    cluster : array-like, shape (n,)
        Labels of the clusters (hospitals, persons with several rows).
    data : DataFrame, optional
        The table that a formula refers to.
    theta : float, optional
        Variance of the frailties; left out: by restricted likelihood.
    information : {"full", "diagonal"}, default "full"
        "diagonal" leaves out the information between clusters, as R does with more than five.
    ties : {"efron", "breslow"}, default "efron"
        Treatment of tied events.
    strata : array-like, shape (n,), optional
        Labels; each stratum has its own baseline hazard.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    FrailtyModel
        Coefficients, variance of the frailties and each cluster's.

    Raises
    ------
    DataError
        If there is one cluster, theta is not positive, or clusters are too many for a dense fit.
    ConvergenceError
        If the penalised likelihood is not maximised.

    References
    ----------
    Ripatti S, Palmgren J. Estimation of multivariate frailty models using penalized partial
    likelihood. Biometrics 2000;56:1016-1022.
    Therneau TM, Grambsch PM, Pankratz VS. Penalized survival models and frailty. JCGS
    2003;12:156-175.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> model = fs.survival.cox_frailty(y, [[1], [2], [1], [0], [1], [0]], list("aabbcc"), theta=0.5)
    >>> model.frailties["frailty"].round(3).tolist()
    [0.054, -0.168, 0.114]
    """
    require_choice(ties, Ties, "ties")
    require_choice(information, Information, "information")
    normal_quantile(level)
    require_rows(y, "cox_frailty")
    n = len(y)
    design = make_design(X, data, n=n)
    codes, labels = columns.labels(cluster, "cluster", n=n)
    q = len(labels)
    _require(theta, q, n, len(design.columns))
    member = (codes[:, None] == np.arange(q)).astype(np.float64)
    joint = Design(
        np.column_stack([design.values, member]),
        [*design.columns, *(f"frailty {c}" for c in range(q))],
        {},
    )
    rows = sort_rows(y, joint, weight=None, strata=strata, efron=ties == "efron")
    problem = _Problem(rows, joint, q, information == "diagonal")
    fit = problem.reml() if theta is None else problem.at(theta)
    if fit is None:
        alone = sort_rows(y, design, weight=None, strata=strata, efron=ties == "efron")
        fit = _without_frailty(alone, design, q)
    event = y.event > 0
    frailties = pd.DataFrame(
        {
            "cluster": labels,
            "n": np.bincount(codes, minlength=q),
            "n_event": np.bincount(codes[event], minlength=q),
            "frailty": fit.beta[-q:],
            "std_error": np.sqrt(np.diag(fit.inverse)[-q:]),
        }
    )
    return _result(fit, design.columns, frailties, theta is None, information, ties, y, level)


def _require(theta: float | None, q: int, n: int, p: int) -> None:
    if theta is not None and not (np.isfinite(theta) and theta > 0):
        raise DataError(
            "theta must be positive",
            values={"theta": theta},
            remedy="without frailty use cox; leave theta out to estimate it",
        )
    if q < 2:
        raise DataError("a frailty needs at least two clusters", values={"clusters": q})
    if n * (p + q) > LARGEST_ENTRIES:
        raise DataError(
            "rows times clusters must stay small: the fit is dense",
            values={"rows": n, "clusters": q, "at most": LARGEST_ENTRIES},
            remedy="use cox with cluster= (robust variance) or strata=",
        )


def _without_frailty(rows: SortedRows, design: Design, q: int) -> _Fit:
    """Fit at theta 0: an ordinary Cox model, all frailties 0."""
    start, end, n_iter = maximise(rows, design)
    p = len(design.columns)
    information, inverse = np.zeros((p + q, p + q)), np.zeros((p + q, p + q))
    information[:p, :p] = end.information * np.outer(rows.scale, rows.scale)
    inverse[:p, :p] = np.linalg.inv(information[:p, :p])
    norm = float(np.max(np.abs(end.score * rows.scale) * np.sqrt(np.diag(inverse)[:p])))
    beta = np.concatenate([end.beta / rows.scale, np.zeros(q)])
    return _Fit(
        0.0, beta, inverse, information, end.log_likelihood, start.log_likelihood, norm, n_iter
    )


def _result(
    fit: _Fit,
    names: list[str],
    frailties: pd.DataFrame,
    estimated: bool,
    information: Information,
    ties: Ties,
    y: Outcome,
    level: float,
) -> FrailtyModel:
    p = len(names)
    beta, covariance = fit.beta[:p], fit.inverse[:p, :p]
    sampling = (fit.inverse @ fit.information @ fit.inverse)[:p, :p]
    of_frailty = 0.0
    if fit.theta > 0:
        of_frailty = len(frailties) - float(np.diag(fit.inverse)[p:].sum()) / fit.theta
    df = pd.Series([*np.diag(sampling) / np.diag(covariance), of_frailty], [*names, "frailty"])
    found = [
        ("likelihood ratio", 2.0 * (fit.log_likelihood - fit.null), float(df.sum())),
        ("wald", float(beta @ np.linalg.solve(covariance, beta)), float(p)),
    ]
    return FrailtyModel(
        table=coefficient_table(names, beta, covariance, level),
        n_iter=fit.n_iter,
        gradient_norm=fit.gradient_norm,
        coef=pd.Series(beta, index=names, name="coef"),
        covariance=pd.DataFrame(covariance, index=names, columns=names),
        sampling_covariance=pd.DataFrame(sampling, index=names, columns=names),
        theta=fit.theta,
        theta_method="reml" if estimated else "fixed",
        frailties=frailties,
        log_likelihood=fit.log_likelihood,
        log_likelihood_null=fit.null,
        degrees_of_freedom=df,
        tests=pd.DataFrame(
            [(name, value, d, float(chdtrc(d, value))) for name, value, d in found],
            columns=["test", "statistic", "df", "p_value"],
        ),
        n=len(y),
        n_event=int(np.count_nonzero(y.event)),
        ties=ties,
        information=information,
        level=level,
    )
