r"""Cox models whose effects vary with time.

The effect of covariate v at time t is, as asked for each covariate,

* a **step function**: :math:`\beta_k` on the k-th interval between cuts. The time at risk is split at the
  cuts and v enters as one column an interval: an ordinary Cox model on more rows;
* :math:`\beta+\gamma\,g(t)` with :math:`g(t)=\log t` or t (R's ``tt``). At each event time the whole risk
  set has another covariate; the sums over it are kept by distinct value of v
  (:mod:`fiac_survival.kernels.cox_varying`), exactly and without a row per event time.

Interactions of v with time must not be built as v times each person's own follow-up time: that uses the
future.

Sources: Cox 1972; Therneau, Crowson and Atkinson (vignette of R ``survival``); Thomas and Reyes 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core import columns
from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import CoxModel, Ties, cox
from fiac_survival.survival.cox_fit import SortedRows, sort_rows
from fiac_survival.survival.cox_tests import coefficient_table, require_rows
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.time_varying import split_at_times
from fiac_survival.survival.varying_fit import SmoothLikelihood

Floats = NDArray[np.float64]
TimeFunction = Literal["log", "identity"]
LARGEST_WORK = 2e10
LARGEST_SUMS = 5e7


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class VaryingEffects(Result):
    """A Cox model with effects that vary with time.

    Attributes
    ----------
    table : DataFrame
        term, coef, hazard_ratio, std_error, lower, upper, z, p_value.
    coef, covariance : Series, DataFrame
        Coefficients and their covariance.
    log_likelihood, log_likelihood_null : float
        Partial log-likelihood at the estimate and at zero.
    tests : DataFrame
        test, statistic, df, p_value: likelihood ratio and Wald against no effect at all, and per
        covariate "constant effect" (Wald).
    effects : dict
        Per covariate: "log", "identity" or its cuts.
    model : CoxModel or None
        With step functions: the model of the split rows.
    level : float
        Confidence level.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    tests: pd.DataFrame
    effects: dict[str, Any]
    model: CoxModel | None
    level: float

    def hazard_ratio(self, term: str, times: Any) -> pd.DataFrame:
        """Hazard ratio per unit of a covariate at given times.

        Parameters
        ----------
        term : str
            A covariate whose effect varies.
        times : float or array-like of float
            Times.

        Returns
        -------
        DataFrame
            time, coef, hazard_ratio, std_error (of coef), lower, upper.

        Raises
        ------
        DataError
            If the effect of the covariate does not vary.
        """
        if term not in self.effects:
            raise DataError(
                "the effect of this covariate does not vary",
                values={"term": term, "varying": sorted(self.effects)},
                remedy="read it from the table",
            )
        at = times_array(times)
        weights = np.zeros((at.size, len(self.coef)))
        names, kind = list(self.coef.index), self.effects[term]
        if isinstance(kind, str):
            weights[:, names.index(term)] = 1.0
            with np.errstate(divide="ignore"):
                weights[:, names.index(_time_name(term, kind))] = _function(kind, at)
        else:
            places = [names.index(name) for name in _step_names(term, kind)]
            weights[np.arange(at.size), np.array(places)[np.searchsorted(kind, at)]] = 1.0
        coef = weights @ self.coef.to_numpy()
        std_error = np.sqrt(((weights @ self.covariance.to_numpy()) * weights).sum(axis=1))
        z = normal_quantile(self.level)
        return pd.DataFrame(
            {
                "time": at,
                "coef": coef,
                "hazard_ratio": np.exp(coef),
                "std_error": std_error,
                "lower": np.exp(coef - z * std_error),
                "upper": np.exp(coef + z * std_error),
            }
        )


@single_threaded_blas
def varying_effects(
    y: Outcome,
    X: Any,
    effects: Mapping[str, Any],
    *,
    data: Any = None,
    ties: Ties = "efron",
    strata: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
) -> VaryingEffects:
    """Fit a Cox model in which the effects of some covariates vary with time.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    effects : mapping of str
        Per column of the design: "log" or "identity" (the effect is β + γ g(t)), or a list of cuts (a
        step function). All of one sort.
    data : DataFrame, optional
        The table that a formula refers to.
    ties : {"efron", "breslow"}, default "efron"
        Treatment of tied events.
    strata : array-like, shape (n,), optional
        Labels; each stratum has its own baseline hazard.
    weights, cluster : array-like, shape (n,), optional
        As in ``cox``; with step functions only.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    VaryingEffects
        Coefficients, tests of constant effects, hazard ratios over time.

    Raises
    ------
    DataError
        If a covariate is unknown, sorts are mixed, or the covariate has too many distinct values for
        so many event times.
    ConvergenceError
        If the likelihood is not maximised.

    References
    ----------
    Cox DR. Regression models and life-tables. JRSS B 1972;34:187-220.
    Thomas L, Reyes EM. Tutorial: survival estimation for Cox regression models with time-varying
    coefficients using SAS and R. J Stat Softw 2014;61(c1).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9, 7, 2], event=[1, 1, 1, 1, 1, 0, 1, 1])
    >>> X = pd.DataFrame({"treated": [1, 1, 0, 0, 0, 1, 1, 1]})
    >>> model = fs.survival.varying_effects(y, X, {"treated": [4]})
    >>> model.table["term"].tolist()
    ['treated (0, 4]', 'treated (4, inf)']
    """
    require_choice(ties, Ties, "ties")
    normal_quantile(level)
    require_rows(y, "varying_effects")
    design = make_design(X, data, n=len(y))
    kinds = _kinds(effects, design)
    if all(isinstance(kind, str) for kind in kinds.values()):
        if weights is not None or cluster is not None:
            raise DataError(
                "effects that vary smoothly take neither weights nor clusters",
                values={"effects": kinds},
                remedy="use cuts: a step function has the robust variance",
            )
        rows = sort_rows(y, design, weight=None, strata=strata, efron=ties == "efron")
        return _smooth(rows, design, kinds, level=level)
    return _steps(
        y, design, kinds, ties=ties, strata=strata, weights=weights, cluster=cluster, level=level
    )


def _kinds(effects: Mapping[str, Any], design: Design) -> dict[str, Any]:
    unknown = [name for name in effects if name not in design.columns]
    if unknown or not effects:
        raise DataError(
            "effects must name columns of the design",
            values={"unknown": unknown, "columns": design.columns},
            remedy='pass e.g. {"age": "log"}',
        )
    kinds: dict[str, Any] = {}
    for name, kind in effects.items():
        if isinstance(kind, str):
            require_choice(kind, TimeFunction, "effects")
            kinds[name] = kind
        else:
            kinds[name] = np.atleast_1d(np.asarray(kind, dtype=np.float64)).tolist()
    if len({isinstance(kind, str) for kind in kinds.values()}) > 1:
        raise DataError(
            "effects are all functions of time or all step functions",
            values={"effects": kinds},
            remedy="fit two models",
        )
    return kinds


def _time_name(term: str, kind: str) -> str:
    return f"{term}:log(time)" if kind == "log" else f"{term}:time"


def _function(kind: str, time: Floats) -> Floats:
    return np.log(time) if kind == "log" else np.asarray(time, dtype=np.float64)


def _step_names(term: str, cuts: list[float]) -> list[str]:
    edges = ["0", *(f"{cut:g}" for cut in cuts)]
    inner = [f"{term} ({a}, {b}]" for a, b in pairwise(edges)]
    return [*inner, f"{term} ({edges[-1]}, inf)"]


def _steps(
    y: Outcome,
    design: Design,
    kinds: dict[str, list[float]],
    *,
    ties: Ties,
    strata: Any,
    weights: Any,
    cluster: Any,
    level: float,
) -> VaryingEffects:
    cuts = sorted({cut for each in kinds.values() for cut in each})
    pieces = split_at_times(y, cuts)
    begin = pieces.table["entry"].to_numpy()
    parts, fixed = {}, {}
    for j, name in enumerate(design.columns):
        value = design.values[pieces.row, j]
        if name not in kinds:
            fixed[name] = value
            continue
        interval = np.searchsorted(kinds[name], begin, side="right")
        for k, step in enumerate(_step_names(name, kinds[name])):
            parts[step] = np.where(interval == k, value, 0.0)

    def spread(labels: Any, name: str) -> Any:
        if labels is None:
            return None
        return columns.to_numpy(labels, name)[pieces.row]

    for name, labels in (("strata", strata), ("weights", weights), ("cluster", cluster)):
        if labels is not None:
            columns.require_length(columns.to_numpy(labels, name), name, len(y))
    clusters = spread(cluster, "cluster")
    fractional = weights is not None and (np.asarray(weights) != np.floor(weights)).any()
    model = cox(
        pieces.outcome,
        pd.DataFrame({**fixed, **parts}),
        ties=ties,
        strata=spread(strata, "strata"),
        weights=spread(weights, "weights"),
        cluster=pieces.row if clusters is None and fractional else clusters,
        level=level,
    )
    return VaryingEffects(
        table=model.table,
        n_iter=model.n_iter,
        gradient_norm=model.gradient_norm,
        coef=model.coef,
        covariance=model.covariance,
        log_likelihood=model.log_likelihood,
        log_likelihood_null=model.log_likelihood_null,
        tests=_tests(model.coef, model.covariance, model.tests, kinds),
        effects=dict(kinds),
        model=model,
        level=level,
    )


def _smooth(
    rows: SortedRows, design: Design, kinds: dict[str, str], *, level: float
) -> VaryingEffects:
    names = design.columns
    varying = [names.index(name) for name in kinds]
    values, levels = np.unique(rows.x[:, varying], axis=0, return_inverse=True)
    p, k = len(names), len(varying)
    work = float(values.shape[0]) * rows.block_time.size * (p + k) ** 2
    if work > LARGEST_WORK or values.shape[0] * (p + 1) ** 2 > LARGEST_SUMS:
        raise DataError(
            "a smoothly varying effect needs few distinct values or few event times",
            values={"distinct values": values.shape[0], "event times": rows.block_time.size},
            remedy="round the covariate or the times, or use cuts (a step function)",
        )
    if "log" in kinds.values() and not (rows.block_time > 0).all():
        raise DataError(
            "a logarithm of time needs events after time 0",
            values={"time": 0.0},
            remedy='use "identity", or shift the times',
        )
    g = np.stack([_function(kind, rows.block_time) for kind in kinds.values()], axis=1)
    centre, spread = g.mean(axis=0), np.maximum(np.abs(g - g.mean(axis=0)).mean(axis=0), 1e-300)
    if (np.ptp(g, axis=0) == 0).any():
        raise DataError(
            "an effect that varies needs at least two event times",
            values={"event times": rows.block_time.size},
            remedy="use cox",
        )
    fit = SmoothLikelihood(rows, values, levels.reshape(-1).astype(np.int64), (g - centre) / spread)
    null, end, n_iter = fit.maximise(names)
    # Back to the covariates' and time's own scale: z-columns are v/scale and v/scale (g-centre)/spread.
    back = np.zeros((p + k, p + k))
    back[np.arange(p), np.arange(p)] = 1.0 / rows.scale
    for j, column in enumerate(varying):
        back[p + j, p + j] = 1.0 / (rows.scale[column] * spread[j])
        back[column, p + j] = -centre[j] / (rows.scale[column] * spread[j])
    beta = back @ end.beta
    covariance = back @ np.linalg.inv(end.information) @ back.T
    terms = [*names, *(_time_name(name, kind) for name, kind in kinds.items())]
    coef = pd.Series(beta, index=terms, name="coef")
    table = pd.DataFrame(covariance, index=terms, columns=terms)
    df = p + k
    whole = {
        "likelihood ratio": 2.0 * (end.log_likelihood - null),
        "wald": float(beta @ np.linalg.solve(covariance, beta)),
    }
    tests = pd.DataFrame(
        {
            "test": list(whole),
            "statistic": list(whole.values()),
            "df": df,
            "p_value": [float(chdtrc(df, value)) for value in whole.values()],
        }
    )
    inverse = np.sqrt(np.diag(np.linalg.inv(end.information)))
    return VaryingEffects(
        table=coefficient_table(terms, beta, covariance, level),
        n_iter=n_iter,
        gradient_norm=float(np.max(np.abs(end.score) * inverse)),
        coef=coef,
        covariance=table,
        log_likelihood=end.log_likelihood,
        log_likelihood_null=null,
        tests=_tests(coef, table, tests, kinds),
        effects=dict(kinds),
        model=None,
        level=level,
    )


def _tests(
    coef: pd.Series, covariance: pd.DataFrame, tests: pd.DataFrame, kinds: Mapping[str, Any]
) -> pd.DataFrame:
    """Add Wald tests that each effect is constant."""
    found = []
    for name, kind in kinds.items():
        if isinstance(kind, str):
            contrast = np.zeros((1, len(coef)))
            contrast[0, coef.index.get_loc(_time_name(name, kind))] = 1.0
        else:
            places = [coef.index.get_loc(step) for step in _step_names(name, kind)]
            contrast = np.zeros((len(places) - 1, len(coef)))
            for j, place in enumerate(places[1:]):
                contrast[j, places[0]], contrast[j, place] = -1.0, 1.0
        value = contrast @ coef.to_numpy()
        spread = contrast @ covariance.to_numpy() @ contrast.T
        statistic = float(value @ np.linalg.solve(spread, value))
        df = contrast.shape[0]
        found.append(
            {
                "test": f"constant effect of {name}",
                "statistic": statistic,
                "df": df,
                "p_value": float(chdtrc(df, statistic)),
            }
        )
    return pd.concat([tests, pd.DataFrame(found)], ignore_index=True)
