r"""Pooling the estimates of several completed tables by Rubin's rules.

For m estimates :math:`q_k` with variances :math:`u_k`:

.. math:: \bar q=\frac1m\sum q_k,\quad \bar u=\frac1m\sum u_k,\quad
          b=\frac{\sum(q_k-\bar q)^2}{m-1},\quad t=\bar u+(1+\tfrac1m)b .

With :math:`\lambda=(1+1/m)b/t` and :math:`r=(1+1/m)b/\bar u`, intervals and tests use the t distribution on
:math:`\nu_1=(m-1)/\lambda^2` degrees of freedom or, where the complete data would have :math:`\nu_0`,
on :math:`\nu_1\nu_2/(\nu_1+\nu_2)` with :math:`\nu_2=\frac{\nu_0+1}{\nu_0+3}\nu_0(1-\lambda)` (Barnard and
Rubin 1999). The fraction of missing information is :math:`(r+2/(\nu+3))/(r+1)`.

Ratios are pooled on the log scale, probabilities of survival and incidences on the scale log(-log p), where
they are nearly normal and on which their own intervals are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.results import Result
from fiac_survival.survival.aalen_johansen import CumulativeIncidence
from fiac_survival.survival.curves import SurvivalCurve
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]
PooledScale = Literal["identity", "log", "log-log"]
VALUES = ("estimate", "survival", "incidence", "rmst", "rmtl")
RESERVED = {
    "estimate", "std_error", "lower", "upper", "p_value", "scale", "z", "n_risk",
    "survival", "incidence", "rmst", "rmtl", "n_event", "coef", "hazard_ratio", "band_lower", "band_upper",
}  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PooledEstimates(Result):
    """Estimates pooled over imputations.

    Attributes
    ----------
    table : DataFrame
        term, estimate, std_error, scale, lower, upper, statistic, df, p_value, within, between,
        relative_increase, lambda, fraction_missing. Estimate and limits are on their own scale
        (ratios, probabilities), standard error and variances on `scale`.
    coef : Series
        Pooled values on `scale`, by term.
    covariance : DataFrame
        Total covariance on `scale`; off the diagonal only if the estimates brought covariances.
    n_imputations : int
        How many were pooled.
    level : float
        Confidence level.
    """

    coef: pd.Series
    covariance: pd.DataFrame
    n_imputations: int
    level: float


@dataclass(frozen=True, eq=False)
class Read:
    """One estimate, in parts: terms, values and covariance on the scale of pooling."""

    terms: list[str]
    scales: list[PooledScale]
    values: Floats
    covariance: Floats


def pool(
    estimates: Sequence[Any],
    *,
    times: Any = None,
    scale: PooledScale = "identity",
    complete_df: float | None = None,
    level: float = 0.95,
) -> PooledEstimates:
    """Pool estimates from several completed tables.

    Parameters
    ----------
    estimates : sequence
        One an imputation, all of a kind: models (with `coef` and `covariance`), restricted means,
        milestones, adjusted curves (their table and contrasts), effects, curves of survival or incidence
        (with `times`), or pairs (estimates, covariance or variances).
    times : array-like of float, optional
        Times at which curves are read.
    scale : {"identity", "log", "log-log"}, default "identity"
        Scale that pairs are on; the result shows them back on their own.
    complete_df : float, optional
        Degrees of freedom that the complete data would have (rows or events minus coefficients);
        left out, infinitely many.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    PooledEstimates
        Pooled estimates with their missing information.

    Raises
    ------
    DataError
        If there are fewer than two, their terms differ, or a value is not finite.

    References
    ----------
    Rubin DB. Multiple Imputation for Nonresponse in Surveys. Wiley, 1987.
    Barnard J, Rubin DB. Small-sample degrees of freedom with multiple imputation. Biometrika
    1999;86:948-955.
    Marshall A et al. Combining estimates of interest in prognostic modelling studies after multiple
    imputation. BMC Med Res Methodol 2009;9:57.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> pooled = fs.survival.pool([([1.0], [0.25]), ([1.4], [0.25]), ([1.2], [0.25])])
    >>> pooled.table[["estimate", "std_error", "df", "fraction_missing"]].round(3).values.tolist()
    [[1.2, 0.551, 64.695, 0.2]]
    """
    require_choice(scale, PooledScale, "scale")
    normal_quantile(level)
    if complete_df is not None and not complete_df > 0:
        raise DataError("complete_df must be positive", values={"complete_df": complete_df})
    given = list(estimates)
    if len(given) < 2:
        raise DataError(
            "pooling needs at least two estimates",
            values={"estimates": len(given)},
            remedy="pass one a completed table",
        )
    read = [_read(e, times, scale) for e in given]
    for k, one in enumerate(read):
        if one.terms != read[0].terms:
            other = sorted(set(one.terms) ^ set(read[0].terms))
            raise DataError(
                "all estimates must have the same terms",
                values={"imputation": k, "terms that differ": other[:3]},
                remedy="fit the same model to every completed table",
            )
    m = len(read)
    values = np.stack([r.values for r in read])
    within = np.mean([r.covariance for r in read], axis=0)
    centred = values - values.mean(axis=0)
    between = centred.T @ centred / (m - 1)
    total = within + (1.0 + 1.0 / m) * between
    terms = read[0].terms
    return PooledEstimates(
        table=_table(read[0], values, np.diag(within), np.diag(between), complete_df, level),
        coef=pd.Series(values.mean(axis=0), index=terms, name="coef"),
        covariance=pd.DataFrame(total, index=terms, columns=terms),
        n_imputations=m,
        level=level,
    )


def _table(
    first: Read,
    values: Floats,
    within: Floats,
    between: Floats,
    complete_df: float | None,
    level: float,
) -> pd.DataFrame:
    m = values.shape[0]
    mean = values.mean(axis=0)
    extra = (1.0 + 1.0 / m) * between
    total = within + extra
    with np.errstate(divide="ignore", invalid="ignore"):
        increase = extra / within
        share = np.where(total > 0, extra / total, 0.0)
        df = (m - 1) / share**2
        if complete_df is not None:
            observed = (complete_df + 1.0) / (complete_df + 3.0) * complete_df * (1.0 - share)
            df = np.where(np.isinf(df), observed, df * observed / (df + observed))
        missing = (increase + 2.0 / (df + 3.0)) / (increase + 1.0)
        std_error = np.sqrt(total)
        statistic = mean / std_error
        half = stats.t.ppf(0.5 + level / 2.0, df) * std_error
    low, high = _back(first.scales, mean - half), _back(first.scales, mean + half)
    return pd.DataFrame(
        {
            "term": first.terms,
            "estimate": _back(first.scales, mean),
            "std_error": std_error,
            "scale": first.scales,
            "lower": np.minimum(low, high),
            "upper": np.maximum(low, high),
            "statistic": statistic,
            "df": df,
            "p_value": 2.0 * stats.t.sf(np.abs(statistic), df),
            "within": within,
            "between": between,
            "relative_increase": increase,
            "lambda": share,
            "fraction_missing": missing,
        }
    )


def _back(scales: list[PooledScale], values: Floats) -> Floats:
    out = []
    for scale, value in zip(scales, values, strict=True):
        match scale:
            case "identity":
                out.append(value)
            case "log":
                out.append(np.exp(value))
            case "log-log":
                out.append(np.exp(-np.exp(value)))
            case _:
                assert_never(scale)
    return np.array(out)


def _read(estimate: Any, times: Any, scale: PooledScale) -> Read:
    if isinstance(estimate, (SurvivalCurve, CumulativeIncidence)):
        if times is None:
            raise DataError("curves are pooled at times", remedy="pass times=, e.g. [365, 730]")
        found = _of_tables([estimate.at(times_array(times))])
    elif times is not None:
        raise DataError("times go with curves only", values={"type": type(estimate).__name__})
    elif isinstance(estimate, tuple):
        found = _of_pair(estimate, scale)
    elif hasattr(estimate, "coef") and hasattr(estimate, "covariance"):
        log = "hazard_ratio" in estimate.table
        found = _of_pair((estimate.coef, estimate.covariance), "log" if log else "identity")
    elif hasattr(estimate, "contrast"):
        means = [getattr(estimate, "rmst", None)]
        tables = [estimate.table, *(t for t in means if t is not None), estimate.contrast]
        found = _of_tables(tables)
    elif hasattr(estimate, "on_scale"):
        log = estimate.scale == "log"
        found = Read(
            [str(estimate.measure)],
            ["log" if log else "identity"],
            np.array([estimate.on_scale]),
            np.array([[estimate.std_error**2]]),
        )
    else:
        raise DataError(
            "pool takes models, restricted means, milestones, effects, curves or pairs",
            values={"type": type(estimate).__name__},
            remedy="pass pairs (estimates, covariance)",
        )
    bad = np.flatnonzero(~np.isfinite(found.values) | ~np.isfinite(np.diag(found.covariance)))
    if bad.size:
        raise DataError(
            "an estimate to be pooled must be finite, with a finite variance",
            count=int(bad.size),
            values={"term": found.terms[bad[0]], "value": float(found.values[bad[0]])},
            remedy="probabilities of 0 and 1 have no log(-log): leave those times out",
        )
    return found


def _of_pair(pair: tuple[Any, Any], scale: PooledScale) -> Read:
    value, spread = pair
    terms = [str(t) for t in value.index] if isinstance(value, pd.Series) else None
    values = np.atleast_1d(np.asarray(value, dtype=np.float64))
    covariance = np.asarray(spread, dtype=np.float64)
    if covariance.ndim < 2:
        covariance = np.diag(np.atleast_1d(covariance))
    if values.ndim != 1 or covariance.shape != (values.size, values.size):
        raise DataError(
            "a pair holds estimates and their covariance (or variances)",
            values={"estimates": values.shape, "covariance": covariance.shape},
        )
    if (np.diag(covariance) < 0).any():
        raise DataError("variances must not be negative", values={"pair": "second part"})
    terms = terms or [f"x{j}" for j in range(values.size)]
    return Read(terms, [scale] * values.size, values, covariance)


def _of_tables(tables: list[pd.DataFrame]) -> Read:
    terms: list[str] = []
    scales: list[PooledScale] = []
    values: list[float] = []
    variances: list[float] = []
    for table in tables:
        column = next(c for c in VALUES if c in table)
        labels = [c for c in table.columns if c not in RESERVED]
        for row in table.to_dict("records"):
            name = "" if column == "estimate" else f"{column}, "
            terms.append(name + ", ".join(f"{c}={row[c]}" for c in labels))
            value, error = float(row[column]), float(row["std_error"])
            scale: PooledScale = "identity"
            if column in {"survival", "incidence"}:
                scale, probability = "log-log", value
                with np.errstate(divide="ignore", invalid="ignore"):
                    value = float(np.log(-np.log(probability)))
                    error = float(np.divide(error, np.abs(probability * np.log(probability))))
            elif column == "estimate" and row["scale"] == "log":
                scale, value = "log", float(np.log(value))
            scales.append(scale)
            values.append(value)
            variances.append(error**2)
    return Read(terms, scales, np.array(values), np.diag(variances))
