r"""Parametric survival models, to smooth and to extrapolate.

A model says log hazard and cumulative hazard of each row as functions of its coefficients θ. They
maximise :math:`\ell(\theta)=\sum_i w_i\{\delta_i\log h_i(T_i)-H_i(T_i)+H_i(a_i)\}`, rows being at risk
on (a, T]. Covariance: inverse observed information V; robust or clustered,
:math:`V\{\sum_c(\sum_{i\in c}w_is_i)(\cdot)'\}V` with s the rows' scores. AIC is
:math:`-2\ell+2p`, BIC :math:`-2\ell+p\log\sum w_i`.

Families and their parameters: :mod:`fiac_survival.survival.families`,
:mod:`fiac_survival.survival.family_models`, :mod:`fiac_survival.survival.spline_model`; maximisation:
:mod:`fiac_survival.survival.parametric_fit`; curves: :mod:`fiac_survival.survival.parametric_curves`.
Against R's ``survreg``: its intercept is log(scale) of the Weibull and log-logistic families here and
minus the log rate of the exponential one, its scale is 1/shape; its effects on log time are those here,
with the opposite sign for the exponential family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.intervals import normal_quantile, two_sided_p
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.families import Cure, Link, natural
from fiac_survival.survival.parametric_curves import Estimated
from fiac_survival.survival.parametric_fit import Fit, Sample, fit, make_sample
from fiac_survival.survival.parametric_model import ParametricModel
from fiac_survival.survival.parametric_setup import FamilyName, make_model
from fiac_survival.survival.spline_model import Scale, SplineModel

Floats = NDArray[np.float64]


@single_threaded_blas
def parametric(
    y: Outcome,
    *,
    family: FamilyName = "weibull",
    X: Any = None,
    data: Any = None,
    ancillary: Mapping[str, Any] | None = None,
    weights: Any = None,
    cluster: Any = None,
    robust: bool | None = None,
    knots: Any = None,
    boundary: tuple[float, float] | None = None,
    scale: Scale = "hazard",
    time_varying: Mapping[str, Any] | None = None,
    cure: Cure = "mixture",
    level: float = 0.95,
) -> ParametricModel:
    """Fit a parametric survival model by maximum likelihood.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry and several rows a person are allowed.
    family : str, default "weibull"
        "exponential", "weibull" (covariates stretch time), "weibull_ph" (covariates multiply the
        hazard), "gompertz", "lognormal", "loglogistic", "gamma", "gengamma", "piecewise" (constant
        hazards between cut points), "royston_parmar" (spline in log time), or "cure_" before
        exponential, weibull, lognormal, loglogistic, gamma or gengamma.
    X : DataFrame or 2-D array of shape (n, p), or str, optional
        Covariates or a formula. They act on the rate or scale of the family, on the spline, or on
        the logit of the cured share.
    data : DataFrame, optional
        The table that formulas refer to.
    ancillary : mapping, optional
        Covariates (or a formula) of further parameters, e.g. ``{"shape": "arm"}``.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; makes the variance robust.
    robust : bool, optional
        Sandwich variance. Left out: True with clusters or with weights that are not whole numbers.
    knots : int or array-like of float, optional
        Number of inner knots (royston_parmar: at quantiles of the log event times, 2 if left out) or
        of cut points (piecewise: at quantiles of the event times, 4 if left out); or their times.
    boundary : (float, float), optional
        Times of the boundary knots; left out, the first and the last event.
    scale : {"hazard", "odds", "normal"}, default "hazard"
        What the spline of royston_parmar is: log cumulative hazard, log odds, normal quantile.
    time_varying : mapping, optional
        For royston_parmar, columns whose effect varies with time, and the inner knots (number or
        times) of each effect's spline.
    cure : {"mixture", "non_mixture"}, default "mixture"
        How the cured share enters.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    ParametricModel
        Coefficients, criteria and curves.

    Raises
    ------
    DataError
        If an option does not go with the family, a value is missing, an event happens at time 0, or
        knots coincide.
    ConvergenceError
        If the likelihood has no maximum, naming the term and what to try.

    References
    ----------
    Royston P, Parmar MKB. Flexible parametric proportional-hazards and proportional-odds models for
    censored survival data. Stat Med 2002;21:2175-2197.
    Prentice RL. A log gamma model and its maximum likelihood estimation. Biometrika 1974;61:539-544.
    Farewell VT. The use of mixture models for the analysis of survival data with long-term
    survivors. Biometrics 1982;38:1041-1046.
    Jackson CH. flexsurv: a platform for parametric survival modeling in R. J Stat Softw 2016;70(8).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> model = fs.survival.parametric(y, family="weibull")
    >>> model.table[["term", "estimate"]].round(3).values.tolist()
    [['shape', 1.898], ['scale', 8.622]]
    >>> model.rmst(20)[["rmst", "share_beyond"]].round(3).values.tolist()
    [[7.637, 0.109]]
    """
    normal_quantile(level)
    if not isinstance(y, Outcome):
        raise DataError(
            "parametric takes an Outcome",
            values={"type": type(y).__name__},
            remedy="a parametric model needs rows, not a risk table",
        )
    y.require_binary("parametric", "one model a cause")
    y.require_events("parametric")
    n = len(y)
    weight = None if weights is None else require_positive_weights(weights, n)
    if robust is False and cluster is not None:
        raise DataError(
            "clusters ask for a robust variance",
            values={"robust": robust},
            remedy="leave robust out, or drop cluster",
        )
    model, designs = make_model(
        y,
        family=family,
        X=X,
        ancillary=ancillary,
        data=data,
        knots=knots,
        boundary=boundary,
        scale=scale,
        time_varying=time_varying,
        cure=cure,
    )
    sample = make_sample(y, weight, {name: d.values for name, d in designs.items()})
    found = fit(model, sample, family=family)
    if isinstance(model, SplineModel):
        _require_rising(model, sample, found)
    if robust is None:
        fractional = weight is not None and bool(np.any(weight != np.floor(weight)))
        robust = cluster is not None or fractional
    covariance, kind = found.covariance, "model"
    if robust:
        kind = "robust" if cluster is None else "clustered"
        sums = found.row_scores * sample.weight[:, None]
        if cluster is not None:
            codes = columns.labels(cluster, "cluster", n=n)[0][sample.kept]
            sums = np.stack([np.bincount(codes, weights=s) for s in sums.T], axis=1)
        covariance = found.covariance @ (sums.T @ sums) @ found.covariance
    terms = model.terms
    minus_two = -2.0 * found.log_likelihood
    count = float(n if weight is None else weight.sum())
    return ParametricModel(
        table=_table(model.meanings, model.links, terms, found.coef, covariance, level),
        converged=True,
        n_iter=found.n_iter,
        gradient_norm=found.gradient_norm,
        coef=pd.Series(found.coef, index=terms, name="coef"),
        covariance=pd.DataFrame(covariance, index=terms, columns=terms),
        model_covariance=pd.DataFrame(found.covariance, index=terms, columns=terms),
        log_likelihood=found.log_likelihood,
        aic=minus_two + 2.0 * len(terms),
        bic=minus_two + len(terms) * float(np.log(count)),
        knots=model.breaks,
        n=n,
        n_event=int(np.count_nonzero(y.event)),
        family=family,
        variance=kind,
        level=level,
        _fitted=Estimated(model, found.coef, covariance),
        _fit=found,
        _sample=sample,
        _designs=designs,
        _y=y,
    )


def _require_rising(model: SplineModel, sample: Sample, found: Fit) -> None:
    """Refuse a spline that falls: survival would rise."""
    late = sample.entry > 0
    checks = [(sample.time, sample.profiles)]
    if late.any():
        rows = {name: x[late] for name, x in sample.profiles.items()}
        checks.append((sample.entry[late], rows))
    for times, profiles in checks:
        rise = model.predictors(times, profiles)[1] @ found.coef
        bad = np.flatnonzero(rise <= 0)
        if bad.size:
            raise ConvergenceError(
                "the fitted cumulative hazard must rise, but it falls at some times of follow-up",
                count=int(bad.size),
                row=int(bad[0]),
                values={"time": float(times[bad[0]])},
                remedy="use fewer knots, or pass the times of the knots",
            )


def _table(
    meanings: list[str],
    links: list[Link],
    terms: list[str],
    coef: Floats,
    covariance: Floats,
    level: float,
) -> pd.DataFrame:
    z = normal_quantile(level)
    std_error = np.sqrt(np.diag(covariance))
    plain = ("parameter", "difference")
    shown: list[Link] = [k if m in plain else "log" for k, m in zip(links, meanings, strict=True)]
    limits = {"estimate": coef, "lower": coef - z * std_error, "upper": coef + z * std_error}
    own = {
        name: [float(natural(k, v)) for k, v in zip(shown, values, strict=True)]
        for name, values in limits.items()
    }
    return pd.DataFrame(
        {"term": terms, "meaning": meanings, "coef": coef, "std_error": std_error}
        | own
        | {"z": coef / std_error, "p_value": [two_sided_p(v) for v in coef / std_error]}
    )
