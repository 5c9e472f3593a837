r"""Matching-adjusted indirect comparison: patients reweighted to the published means of others.

Rows :math:`x_i` of the source with patients, published moments :math:`m` of the source without. Weights

.. math:: w_i\propto e^{\lambda'(x_i-m)},\qquad \lambda=\arg\min\sum_i e^{\lambda'(x_i-m)},

so that :math:`\sum w_i x_i/\sum w_i=m` exactly: the method of moments of Signorovitch, which is entropy
balancing towards fixed targets (:mod:`fiac_survival.weighting.entropy` does the work). For a covariate
with a published standard deviation s, :math:`x^2` is met at :math:`m^2+s^2` too. Positive weights exist
if and only if m lies inside the convex hull of the rows; where it does not, a linear programme says which
covariate, or which ones together, put it outside. The effective sample size is
:math:`(\sum w)^2/\sum w^2`.

The published means are taken as known. An estimate :math:`\hat\theta` of the weighted patients has the
influence :math:`w_iU_i+(\sum_j w_jU_j(x_j-m))'H^{-1}(-w_i(x_i-m))`, :math:`H=\sum w_k(x_k-m)(x_k-m)'`:
the second term, :meth:`MatchingAdjusted.correction`, is what estimating the weights adds.

Source: Signorovitch et al. 2010; Phillippo et al. 2018; Jackson, Rhodes, Ouwens 2021 (hull).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import linprog

from fiac_survival.core import columns
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import ConvergenceError, DataError, SupportError
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.weighting.entropy import balance_arm

Floats = NDArray[np.float64]
SUSPICIOUS = 1e-8  # a weight this small, in units of the mean: perhaps on the edge of the hull


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MatchingAdjusted(Result):
    """Weights that give patients the published moments of another source.

    Attributes
    ----------
    table : DataFrame
        covariate, moment ("mean", "second moment"), before, target, after.
    weights : (n,) float64
        Of mean 1; they go into :func:`fiac_survival.compare.effect` or
        :func:`fiac_survival.survival.kaplan_meier`.
    ess : float
        Effective sample size.
    ess_share : float
        The same as a share of the patients.
    largest_weight : float
        Largest weight, in units of the mean weight.
    """

    weights: Floats
    ess: float
    ess_share: float
    largest_weight: float
    _centred: Floats = field(repr=False)
    _dual_influence: Floats = field(repr=False)

    def correction(self, influence: Floats) -> Floats:
        """Compute what estimating the weights adds to each row's influence.

        Parameters
        ----------
        influence : (n,) or (n, k) float64
            Weight times influence of each row, weights taken as known.

        Returns
        -------
        (n,) or (n, k) float64
            To be added to `influence`; for estimates that do not change when all weights are
            multiplied.
        """
        return np.asarray(self._dual_influence @ (self._centred.T @ influence))


@single_threaded_blas
def maic(
    X: Any,
    target_means: Any,
    *,
    target_standard_deviations: Mapping[str, float] | None = None,
    data: Any = None,
) -> MatchingAdjusted:
    """Weight patients so that their means are the published ones of another source.

    Parameters
    ----------
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates of the patients, or a formula such as ``"age + stage_iii"``.
    target_means : mapping, Series or array-like of length p
        Published mean of each covariate (a share for 0 and 1), by name or in the order of the columns.
    target_standard_deviations : mapping, optional
        Published standard deviations of some covariates, by name; their second moments are then met
        too.
    data : DataFrame, optional
        The table that a formula refers to.

    Returns
    -------
    MatchingAdjusted
        Weights of mean 1, moments before and after, effective sample size.

    Raises
    ------
    DataError
        If a target is missing, unknown, not finite, or a standard deviation is not positive.
    SupportError
        If no positive weights meet the targets, naming what puts them out of reach.

    References
    ----------
    Signorovitch JE et al. Comparative effectiveness without head-to-head trials: a method for
    matching-adjusted indirect comparisons. Pharmacoeconomics 2010;28:935-945.
    Jackson D, Rhodes K, Ouwens M. Alternative weighting schemes when performing matching-adjusted
    indirect comparisons. Res Synth Methods 2021;12:333-346.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> patients = pd.DataFrame({"age": [50, 60, 70, 55], "male": [1, 0, 1, 0]})
    >>> found = fs.compare.maic(patients, {"age": 60, "male": 0.5})
    >>> found.table["after"].round(6).tolist()
    [60.0, 0.5]
    >>> round(found.ess, 2)
    3.89
    """
    rows = len(data) if isinstance(X, str) and data is not None else len(X)
    design = make_design(X, data, n=rows)
    means = _by_name(target_means, design.columns)
    spread = dict(target_standard_deviations or {})
    for name, value in spread.items():
        if name not in design.columns or not np.isfinite(value) or value <= 0:
            raise DataError(
                "target_standard_deviations must be positive and of covariates in X",
                values={"covariate": name, "standard deviation": value},
                remedy=f"the covariates are {', '.join(design.columns)}",
            )
    names, moments = list(design.columns), ["mean"] * len(design.columns)
    x, target = design.values, means
    for name, value in spread.items():
        j = design.columns.index(name)
        # About the target, so that the two moments of a covariate are not nearly collinear.
        x = np.column_stack([x, (design.values[:, j] - means[j]) ** 2])
        target = np.append(target, value**2)
        names.append(name)
        moments.append("second moment")
    labels = [n if m == "mean" else f"{n} squared" for n, m in zip(names, moments, strict=True)]
    stacked = np.vstack([x, target])
    here = np.append(np.ones(rows, dtype=np.bool_), False)
    if ((target <= x.min(axis=0)) | (target >= x.max(axis=0))).any():
        raise _out_of_reach(x, target, labels, moments)
    try:
        found = balance_arm(stacked, here, ~here, labels, "patients")
    except ConvergenceError as error:
        if _inside(x, target):
            raise
        raise _out_of_reach(x, target, labels, moments) from error
    if found.weight.min() * rows < SUSPICIOUS and not _inside(x, target):
        raise _out_of_reach(x, target, labels, moments)
    w = found.weight * rows
    before, after = x.mean(axis=0), found.weight @ x
    back = np.array(
        [
            means[design.columns.index(n)] if m != "mean" else 0.0
            for n, m in zip(names, moments, strict=True)
        ]
    )
    place = [design.columns.index(n) for n in names]

    def raw(centred: Floats, first: Floats) -> Floats:
        """Second moments about 0 from those about the target."""
        return np.where(back == 0.0, centred, centred + 2.0 * back * first[place] - back**2)

    ess = float(w.sum() ** 2 / np.sum(w * w))
    return MatchingAdjusted(
        table=pd.DataFrame(
            {
                "covariate": names,
                "moment": moments,
                "before": raw(before, before),
                "target": raw(target, target),
                "after": raw(after, after),
            }
        ),
        n_iter=found.n_iter,
        gradient_norm=found.error,
        weights=w,
        ess=ess,
        ess_share=ess / rows,
        largest_weight=float(w.max()),
        _centred=found.centred,
        _dual_influence=found.dual_influence[:rows],
    )


def _by_name(target: Any, names: list[str]) -> Floats:
    if isinstance(target, pd.Series | Mapping):
        given = {str(name): value for name, value in target.items()}
        wrong = sorted(set(given) ^ set(names))
        if wrong:
            raise DataError(
                "target_means must name the covariates of X, all of them and no others",
                count=len(wrong),
                values={"covariate": wrong[0]},
                remedy=f"the covariates are {', '.join(names)}",
            )
        target = [given[name] for name in names]
    return columns.require_finite(
        columns.numeric(target, "target_means", n=len(names)), "target_means"
    )


def _out_of_reach(x: Floats, target: Floats, labels: list[str], moments: list[str]) -> SupportError:
    """Say which targets no positive weights can meet."""
    rule = "the target must lie inside the convex hull of the patients"
    low, high = x.min(axis=0), x.max(axis=0)
    outside = np.flatnonzero((target <= low) | (target >= high))
    if outside.size:
        j = int(outside[0])
        about = "" if moments[j] == "mean" else " (squared distance from the target mean)"
        return SupportError(
            rule,
            values={
                "covariate": labels[j],
                "target" + about: float(target[j]),
                "smallest": float(low[j]),
                "largest": float(high[j]),
            },
            remedy="drop this covariate, or restrict the comparison: no patient here is like that",
        )
    kept = list(range(target.size))
    for j in range(target.size):
        rest = [k for k in kept if k != j]
        if rest and not _inside(x[:, rest], target[rest]):
            kept = rest
    return SupportError(
        rule,
        values={"out of reach together": ", ".join(labels[k] for k in kept)},
        remedy="each of these can be met alone, all together cannot: drop one of them",
    )


def _inside(x: Floats, target: Floats) -> bool:
    """Whether weights that are all positive meet the target: the largest smallest weight is above 0."""
    n = x.shape[0]
    z = (x - target) / (x.std(axis=0) + 1e-300)
    # w_i = t + v_i with v_i >= 0, of mean 1: maximise t.
    equal = np.column_stack([np.vstack([z.T, np.ones(n)]), np.append(z.sum(axis=0), n)])
    found = linprog(
        np.append(np.zeros(n), -1.0), A_eq=equal, b_eq=np.append(np.zeros(z.shape[1]), n)
    )
    return found.x is not None and found.status == 0 and float(found.x[-1]) > 1e-6
