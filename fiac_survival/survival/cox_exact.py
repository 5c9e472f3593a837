r"""The Cox model with exact treatment of ties: the discrete partial likelihood.

Time is taken as discrete, and the odds of an event at a time as proportional:
:math:`L=\prod_t e^{\sum_{i\in D_t}x_i'\beta}\big/\sum_{|A|=d_t}e^{\sum_{i\in A}x_i'\beta}`, the sum running
over all subsets of :math:`d_t` rows at risk at t (a conditional logistic regression). The sums and their
derivatives are those of :mod:`fiac_survival.kernels.cox_exact`. exp(β) is an odds ratio of the event at a
time; with few ties it is the hazard ratio. The baseline hazard is Breslow's at the estimate.

Sources: Cox 1972; Gail, Lubin and Rubinstein 1981. R: ``coxph(ties = "exact")``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.design import Design
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.kernels.cox_exact import exact_sums
from fiac_survival.survival.cox import CoxModel
from fiac_survival.survival.cox_fit import Pass, SortedRows, evaluate, maximise, sort_rows
from fiac_survival.survival.cox_residuals import Residual
from fiac_survival.survival.cox_tests import coefficient_table, near_separation, tests_of_fit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LARGEST_COST = 2e10


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ExactCoxModel(CoxModel):
    """A Cox model of the discrete partial likelihood.

    It has coefficients, tests, baseline, predictions, concordance, martingale and deviance residuals; what
    rests on score residuals is refused, since a subset's likelihood has no row's own part.
    """

    @property
    def influence(self) -> Floats:
        """Refused: see the class."""
        _refuse("influence")

    def residuals(self, kind: Residual = "martingale", *, by: Any = None) -> pd.DataFrame:
        """Martingale and deviance residuals of Breslow's hazard at the exact coefficients.

        Parameters
        ----------
        kind : str, default "martingale"
            "martingale" or "deviance".
        by : array-like, shape (n,), optional
            Persons over whose rows to add.

        Returns
        -------
        DataFrame
            One column.

        Raises
        ------
        DataError
            If another kind is asked for.
        """
        if kind in ("score", "schoenfeld", "scaled_schoenfeld", "dfbeta", "dfbetas"):
            _refuse(f"{kind} residuals")
        return super().residuals(kind, by=by)

    def test_proportional_hazards(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: see the class.

        Raises
        ------
        DataError
            Always.
        """
        _refuse("a test of proportional hazards")


def _refuse(what: str) -> NoReturn:
    raise DataError(
        "exact ties leave score residuals undefined, and all that is made of them",
        values={"asked for": what},
        remedy='fit ties="efron" for it',
    )


def fit_exact(
    y: Outcome,
    design: Design,
    *,
    strata: Any,
    weights: Any,
    cluster: Any,
    robust: bool | None,
    level: float,
) -> ExactCoxModel:
    """Fit the discrete partial likelihood.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    design : Design
        Covariates.
    strata : array-like or None
        Labels.
    weights, cluster, robust
        Refused unless they are left out.
    level : float
        Confidence level.

    Returns
    -------
    ExactCoxModel
        The model.

    Raises
    ------
    DataError
        If weights or a robust variance are asked for, or ties are too many to be counted.
    ConvergenceError
        If the likelihood has no maximum.
    """
    given = {
        "weights": weights is not None,
        "cluster": cluster is not None,
        "robust": bool(robust),
    }
    if any(given.values()):
        raise DataError(
            "exact ties take neither weights nor a robust variance",
            values={"given": [name for name, there in given.items() if there]},
            remedy='use ties="efron"',
        )
    rows = sort_rows(y, design, weight=None, strata=strata, efron=False)
    first, last = _places(rows)
    _require_small(rows, first, last)

    def exact(rows: SortedRows, beta: Floats) -> Pass:
        return evaluate_exact(rows, beta, first, last)

    start, end, n_iter = maximise(rows, design, evaluation=exact)
    inverse, names = np.linalg.inv(end.information), design.columns
    covariance = inverse / np.outer(rows.scale, rows.scale)
    beta = end.beta / rows.scale
    named = pd.DataFrame(covariance, index=names, columns=names)
    return ExactCoxModel(
        table=coefficient_table(names, beta, covariance, level),
        n_iter=n_iter,
        gradient_norm=float(np.max(np.abs(end.score) * np.sqrt(np.diag(inverse)))),
        coef=pd.Series(beta, index=names, name="coef"),
        covariance=named,
        model_covariance=named.copy(),
        log_likelihood=end.log_likelihood,
        log_likelihood_null=start.log_likelihood,
        tests=tests_of_fit(rows, start, end, beta, covariance, robust=False, members=None),
        n=len(y),
        n_event=int(np.count_nonzero(y.event)),
        ties="exact",
        variance="model",
        level=level,
        near_separation=near_separation(names, end),
        _rows=rows,
        _end=end,
        _design=design,
    )


def _places(rows: SortedRows) -> tuple[Ints, Ints]:
    """Where the rows stand that leave after each block, within its stratum."""
    blocks = np.arange(rows.block_time.size)
    ends = np.searchsorted(rows.block_stratum, rows.block_stratum, side="right")
    first = np.searchsorted(rows.stop, blocks, side="right")
    return first, np.searchsorted(rows.stop, ends, side="right")


def evaluate_exact(rows: SortedRows, beta: Floats, first: Ints, last: Ints) -> Pass:
    """Evaluate the discrete partial likelihood; the sums of the baseline are Breslow's.

    Parameters
    ----------
    rows : SortedRows
        The data.
    beta : (p,) float64
        Coefficients of the standardised covariates.
    first, last : (B,) int64
        Rows that leave after each block, of its stratum.

    Returns
    -------
    Pass
        With the discrete log-likelihood, score and information.
    """
    blocks, p = rows.block_time.size, rows.x.shape[1]
    log, score, information = np.empty(blocks), np.empty((blocks, p)), np.empty((blocks, p, p))
    with np.errstate(over="ignore", invalid="ignore"):
        exact_sums(
            rows.x, rows.x @ beta, rows.event, rows.start, rows.stop, first, last,
            log, score, information,
        )  # fmt: skip
    return replace(
        evaluate(rows, beta),
        log_likelihood=float(log.sum()),
        score=score.sum(axis=0),
        information=information.sum(axis=0),
    )


def _require_small(rows: SortedRows, first: Ints, last: Ints) -> None:
    """Refuse what would take hours: the cost of one evaluation, in multiplications."""
    happened = rows.event & (rows.start < rows.stop)
    events = np.bincount(rows.stop[happened] - 1, minlength=first.size)
    at_risk = last - first
    if rows.by_start.size:
        entered = np.searchsorted(np.sort(rows.start), np.arange(first.size), side="right")
        at_risk = np.minimum(at_risk, entered)
    p = rows.x.shape[1]
    cost = at_risk * np.minimum(events, np.maximum(at_risk - events, 1)) * (p * (p + 1.0))
    if cost.sum() > LARGEST_COST:
        worst = int(np.argmax(cost))
        raise DataError(
            "exact ties need rows at risk times tied events to stay small",
            values={
                "multiplications": float(cost.sum()),
                "at most": LARGEST_COST,
                "events at one time": int(events[worst]),
                "rows at risk then": int(at_risk[worst]),
            },
            remedy='use ties="efron", which is close to exact ties, or strata',
        )
