"""Estimating weights that make two arms comparable."""

from __future__ import annotations

from functools import partial
from typing import Any, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.weighting.entropy import balance_arm
from fiac_survival.weighting.estimands import Estimand, weight_and_slope
from fiac_survival.weighting.nearest import CALIPER, match_pairs
from fiac_survival.weighting.options import (
    Normalise,
    Truncate,
    check_truncate,
    refuse_impossible,
)
from fiac_survival.weighting.propensity import Propensity, cross_fitted, logistic
from fiac_survival.weighting.result import Method, Weights

Floats = NDArray[np.float64]


def as_treated(treated: Any, *, n: int | None = None) -> NDArray[np.bool_]:
    """Check a column of treatment.

    Parameters
    ----------
    treated : array-like of bool or of 0 and 1, shape (n,)
        1 = treated.
    n : int, optional
        The length that it must have.

    Returns
    -------
    (n,) bool
        Treatment.

    Raises
    ------
    DataError
        If there is another value, or only one arm.
    """
    values = columns.require_finite(columns.numeric(treated, "treated", n=n), "treated")
    bad = np.flatnonzero((values != 0.0) & (values != 1.0))
    if bad.size:
        raise DataError(
            "treated must be 0 or 1",
            count=int(bad.size),
            row=int(bad[0]),
            values={"treated": values[bad[0]]},
            remedy="code the arm of interest as 1 and the comparator as 0",
        )
    out = np.asarray(values == 1.0)
    if out.all() or not out.any():
        raise DataError(
            "both arms must occur",
            values={"treated": int(out.sum()), "control": int((~out).sum())},
            remedy="check the selection: there is one group only",
        )
    return out


@single_threaded_blas
def weights(
    X: Any,
    treated: Any,
    *,
    data: Any = None,
    estimand: Estimand = "ate",
    method: Method = "propensity",
    stabilised: bool = False,
    normalise: Normalise | None = None,
    truncate: Truncate | None = None,
    learner: Any = None,
    caliper: float = CALIPER,
    seed: int = 0,
) -> Weights:
    """Estimate weights that make two arms comparable.

    Parameters
    ----------
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula such as ``"age + C(stage)"``.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    data : DataFrame, optional
        The table that a formula refers to.
    estimand : {"ate", "att", "atc", "overlap", "matching"}, default "ate"
        Target population; entropy balancing serves the first three, matching on nearest neighbours
        the treated ("att").
    method : {"propensity", "entropy", "nearest"}, default "propensity"
        Inverse propensity, entropy balancing (exact means), or 1:1 matching without replacement.
    stabilised : bool, default False
        Multiply ATE weights by the arm's share of patients.
    normalise : {"group", "none"}, optional
        "group": mean weight 1 in each arm. "none": as the formula gives them (entropy: each arm adds
        to the size of the target population). Default: "none" for propensity, "group" for entropy.
    truncate : dict, optional
        ``{"on": "weight" or "propensity", "quantiles": (lower, upper)}``, at pooled quantiles. Never
        implicit, and the two are not the same thing.
    learner : classifier, optional
        Any scikit-learn classifier, cross-fitted; default is logistic regression by maximum
        likelihood.
    caliper : float, default 0.2
        For matching: largest distance in standard deviations of the propensity.
    seed : int, default 0
        For the folds of a learner.

    Returns
    -------
    Weights
        Weights, propensities, effective sample sizes, and the influence of each row on them.

    Raises
    ------
    DataError
        If options exclude each other or a column is not usable.
    ConvergenceError
        If treatment is perfectly predicted, or no weights meet the means.

    References
    ----------
    Li F, Morgan KL, Zaslavsky AM. Balancing covariates via propensity score weighting. JASA
    2018;113:390-400.
    Hainmueller J. Entropy balancing for causal effects. Political Analysis 2012;20:25-46.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> X = [[50], [60], [70], [55], [65], [75]]
    >>> w = fs.compare.weights(X, [0, 1, 0, 1, 0, 1], method="entropy", estimand="att")
    >>> w.table[["arm", "n", "sum", "ess"]].round(2)
       arm  n  sum   ess
    0    0  3  3.0  2.89
    1    1  3  3.0  3.00
    """
    require_choice(estimand, Estimand, "estimand")
    require_choice(method, Method, "method")
    if normalise is not None:
        require_choice(normalise, Normalise, "normalise")
    t = as_treated(treated)
    design = make_design(X, data, n=t.size)
    options: dict[str, Any] = {
        "estimand": estimand,
        "method": method,
        "stabilised": stabilised,
        "normalise": normalise or ("none" if method == "propensity" else "group"),
        "truncate": check_truncate(truncate),
        "learner": learner,
        "caliper": caliper,
        "seed": seed,
    }
    refuse_impossible(options, normalise)
    return _make(design.values, design.columns, t, options)


def _make(
    x: Floats,
    names: list[str],
    treated: NDArray[np.bool_],
    options: dict[str, Any],
) -> Weights:
    method: Method = options["method"]
    common: dict[str, Any] = {
        "estimand": options["estimand"],
        "method": method,
        "_treated": treated,
        "_refit": partial(_again, x, names, treated, options),
    }
    match method:
        case "entropy":
            return _entropy(x, names, treated, common, options)
        case "propensity":
            return _propensity(_scores(x, names, treated, options), names, treated, common, options)
        case "nearest":
            found = _scores(x, names, treated, options)
            pair = match_pairs(found.score, treated, caliper=options["caliper"])
            w = (pair >= 0).astype(np.float64)
            return _result(
                w,
                treated,
                common,
                scale="matched pairs, weight 1",
                propensity=found,
                names=names,
                pair=pair,
            )
        case _:
            assert_never(method)


def _again(
    x: Floats,
    names: list[str],
    treated: NDArray[np.bool_],
    options: dict[str, Any],
    rows: NDArray[np.int64],
) -> Weights:
    return _make(x[rows], names, treated[rows], options)


def _scores(
    x: Floats, names: list[str], treated: NDArray[np.bool_], options: dict[str, Any]
) -> Propensity:
    if options["learner"] is None:
        return logistic(x, names, treated)
    return cross_fitted(x, treated, options["learner"], options["seed"])


def _propensity(
    found: Propensity,
    names: list[str],
    treated: NDArray[np.bool_],
    common: dict[str, Any],
    options: dict[str, Any],
) -> Weights:
    truncate = options["truncate"]
    e = found.score
    fixed = np.zeros(e.size, dtype=np.bool_)
    if truncate and truncate["on"] == "propensity":
        low, high = np.quantile(e, truncate["quantiles"])
        fixed = (e < low) | (e > high)
        e = np.clip(e, low, high)
    w, slope = weight_and_slope(e, treated, options["estimand"])
    n, n1 = treated.size, int(treated.sum())
    scale = "inverse propensity, not normalised"
    scale_influence = np.zeros((n, 2))
    if options["stabilised"]:
        w = w * np.where(treated, n1 / n, 1.0 - n1 / n)
        scale = "inverse propensity times the arm's share (stabilised)"
        scale_influence[:, 1] = treated / n1 - 1.0 / n
        scale_influence[:, 0] = ~treated / (n - n1) - 1.0 / n
    if truncate and truncate["on"] == "weight":
        low, high = np.quantile(w, truncate["quantiles"])
        fixed = (w < low) | (w > high)
        w = np.clip(w, low, high)
    gradient = None
    if found.design.size:
        gradient = found.design * np.where(fixed, 0.0, slope)[:, None]
    if options["normalise"] == "group":
        scale = "mean 1 in each arm"
        for arm, rows in ((0, ~treated), (1, treated)):
            total, size = float(w[rows].sum()), int(rows.sum())
            if gradient is not None:
                gradient[rows] -= (w[rows] @ gradient[rows]) / total
            scale_influence[rows, arm] = 1.0 / size - w[rows] / total
            w[rows] *= size / total
    return _result(
        w,
        treated,
        common,
        scale=scale,
        propensity=found,
        names=names,
        truncated=int(fixed.sum()),
        gradient=gradient,
        parameter=found.influence if found.design.size else None,
        scale_influence=scale_influence,
    )


def _entropy(
    x: Floats,
    names: list[str],
    treated: NDArray[np.bool_],
    common: dict[str, Any],
    options: dict[str, Any],
) -> Weights:
    n, p = x.shape
    everyone = np.ones(n, dtype=np.bool_)
    target = {"ate": everyone, "att": treated, "atc": ~treated}[options["estimand"]]
    group = options["normalise"] == "group"
    w = np.ones(n)
    gradient, parameter = np.zeros((n, 2 * p)), np.zeros((n, 2 * p))
    scale_influence = np.zeros((n, 2))
    n_iter, error = 0, 0.0
    for arm, rows in ((0, ~treated), (1, treated)):
        if np.array_equal(rows, target):
            continue
        found = balance_arm(x, rows, target, names, "treated" if arm else "control")
        size = int(rows.sum()) if group else int(target.sum())
        w[rows] = found.weight * size
        gradient[rows, arm * p : (arm + 1) * p] = found.centred
        parameter[:, arm * p : (arm + 1) * p] = found.dual_influence
        scale_influence[rows, arm] -= found.weight
        scale_influence[rows if group else target, arm] += 1.0 / size
        n_iter, error = max(n_iter, found.n_iter), max(error, found.error)
    return _result(
        w,
        treated,
        common,
        scale="mean 1 in each arm"
        if group
        else "each arm adds to the size of the target population",
        gradient=gradient,
        parameter=parameter,
        scale_influence=scale_influence,
        n_iter=n_iter,
        gradient_norm=error,
    )


def _result(
    w: Floats,
    treated: NDArray[np.bool_],
    common: dict[str, Any],
    *,
    scale: str,
    propensity: Propensity | None = None,
    names: list[str] | None = None,
    truncated: int = 0,
    pair: NDArray[np.int64] | None = None,
    gradient: Floats | None = None,
    parameter: Floats | None = None,
    scale_influence: Floats | None = None,
    n_iter: int = 0,
    gradient_norm: float = 0.0,
) -> Weights:
    rows = []
    for arm, members in ((0, ~treated), (1, treated)):
        v = w[members]
        ess = float(v.sum() ** 2 / np.sum(v * v))
        rows.append(
            {
                "arm": arm,
                "n": int(members.sum()),
                "sum": float(v.sum()),
                "mean": float(v.mean()),
                "minimum": float(v.min()),
                "maximum": float(v.max()),
                "ess": ess,
                "ess_share": ess / int(members.sum()),
            }
        )
    table = pd.DataFrame(rows)
    coefficients = None
    if propensity is not None and propensity.coef.size and names is not None:
        coefficients = pd.Series(propensity.coef, index=["(intercept)", *names])
    return Weights(
        table=table,
        n_iter=propensity.n_iter if propensity else n_iter,
        gradient_norm=propensity.gradient_norm if propensity else gradient_norm,
        weights=w,
        propensity=propensity.score if propensity else None,
        coefficients=coefficients,
        ess=table.set_index("arm")["ess"],
        scale=scale,
        truncated=truncated,
        pair=pair,
        _log_gradient=gradient,
        _parameter_influence=parameter,
        _scale_influence=scale_influence,
        **common,
    )
