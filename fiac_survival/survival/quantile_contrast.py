r"""Quantiles of survival time by group, and their contrasts.

The p-quantile is :math:`t_p=\inf\{t:1-S(t)\ge p\}`. Its standard error needs the density at the
quantile, which :mod:`fiac_survival.survival.quantile_influence` takes from a window that shrinks with the
data. Without it, and by default, persons are drawn with replacement (within groups; whole clusters where
they are given, which may span groups) and each draw's quantiles are compared. A draw in which a curve does
not reach p has no quantile: the share of such draws is reported, an undefined quantile counts as infinite,
and an interval whose limit falls among them is open (infinite or NaN). The p-value is twice the smaller
share of draws on either side of no difference, at least 2/(draws + 1).

Sources: Efron 1981; Brookmeyer and Crowley 1982; Davison and Hinkley 1997.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import ROUNDING, Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable, require_positive_weights
from fiac_survival.core.seeds import stream
from fiac_survival.kernels.quantiles import weighted_quantile
from fiac_survival.survival.inputs import require_two_groups, rows_by_group
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.quantile_influence import (
    group_quantile,
    quantile_contrasts,
)
from fiac_survival.survival.steps import RowsOfGroup, Steps, steps_by_group

Floats = NDArray[np.float64]
QuantileVariance = Literal["bootstrap", "influence"]
TABLE = ("group", "probability", "quantile", "std_error", "lower", "upper", "undefined")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class QuantileContrast(Result):
    """Quantiles by group, and their differences and ratios.

    Attributes
    ----------
    table : DataFrame
        group, probability, quantile, std_error, lower, upper (percentiles of the draws, or the band
        inverted), undefined (share of draws without a quantile).
    contrast : DataFrame
        group, reference, contrast ("difference", "ratio"), estimate, std_error (of the log, for a ratio),
        lower, upper, p_value, undefined (share of draws in which it cannot be computed: both quantiles
        are undefined). Standard errors are missing where a draw is undefined.
    draws : (B, k) float64
        Quantiles by draw and group; infinite where undefined; no rows without a bootstrap.
    seed : int
        Seed of the draws.
    method : str
        "bootstrap of persons", "bootstrap of clusters", or "influence, density by interval inversion".
    level : float
        Confidence level.
    """

    contrast: pd.DataFrame
    draws: Floats
    seed: int
    method: str
    level: float


def quantile_contrast(
    y: Outcome,
    group: Any,
    *,
    probability: float = 0.5,
    variance: QuantileVariance = "bootstrap",
    weights: Any = None,
    cluster: Any = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> QuantileContrast:
    """Compare quantiles (medians) of survival between groups.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    group : array-like, shape (n,)
        Labels; the first in order is the reference.
    probability : float, default 0.5
        Share that has had the event; 0.5 asks for medians.
    variance : {"bootstrap", "influence"}, default "bootstrap"
        Draws of persons, or the influence of every row: no draws, for smooth event times.
    weights : array-like of float, shape (n,), optional
        Positive case weights, taken as known.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together; they are drawn together, and may span groups.
    draws : int, default 2000
        Number of draws, at least 100.
    seed : int, default 0
        Seed.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    QuantileContrast
        Quantiles and contrasts with intervals.

    Raises
    ------
    DataError
        If there is one group, the share is not between 0 and 1, draws are few, no group's curve
        reaches the share, or ties leave no density to be seen.

    References
    ----------
    Efron B. Censored data and the bootstrap. JASA 1981;76:312-319.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 1, 1, 1])
    >>> found = fs.survival.quantile_contrast(y, ["a", "a", "a", "b", "b", "b"], draws=200)
    >>> found.contrast["estimate"].tolist()
    [4.0, 1.8]
    """
    z = normal_quantile(level)
    require_choice(variance, QuantileVariance, "variance")
    if not isinstance(y, Outcome):
        raise DataError(
            "quantile_contrast takes an Outcome",
            values={"type": type(y).__name__},
            remedy="persons are drawn: pass rows, not a risk table",
        )
    y.require_binary("quantile_contrast", "aalen_johansen")
    y.require_events("quantile_contrast")
    if not 0 < probability < 1:
        raise DataError(
            "probability must lie between 0 and 1",
            values={"probability": probability},
            remedy="0.5 asks for medians",
        )
    if draws < 100:
        raise DataError("draws must be at least 100", values={"draws": draws})
    n = len(y)
    codes, _ = columns.labels(group, "group", n=n)
    weight = np.ones(n) if weights is None else require_positive_weights(weights, n)
    steps = steps_by_group(RiskTable.from_outcome(y, group=group))
    labels = [s.label for s in steps]
    require_two_groups(labels, "quantile_contrast")
    rows = rows_by_group(y, steps, group=group, weights=None, cluster=cluster)

    def quantiles(w: Floats) -> Floats:
        found = [_quantile(y, s, r, w, probability) for s, r in zip(steps, rows, strict=True)]
        return np.where(np.isnan(found), np.inf, found)

    whole = quantiles(weight)
    if np.isinf(whole).all():
        raise DataError(
            "some group's curve must reach the share",
            values={"probability": probability},
            remedy="compare restricted means (rmst) or milestones instead",
        )
    match variance:
        case "influence":
            curve = kaplan_meier(y, group=group, weights=weights, cluster=cluster, level=level)
            bands = curve.quantile(probability)
            curves = steps_by_group(RiskTable.from_outcome(y, group=group, weights=weights))
            given = rows_by_group(y, curves, group=group, weights=weights, cluster=cluster)
            each = [
                group_quantile(s, r, t, probability, n)
                for s, r, t in zip(curves, given, whole, strict=True)
            ]
            return QuantileContrast(
                table=bands.assign(
                    std_error=[found.std_error for found in each],
                    undefined=bands["quantile"].isna().astype(np.float64),
                )[list(TABLE)],
                contrast=quantile_contrasts(labels, each, z),
                draws=np.empty((0, len(labels))),
                seed=seed,
                method="influence, density by interval inversion",
                level=level,
            )
        case "bootstrap":
            pass
        case _:
            assert_never(variance)
    members = None if cluster is None else columns.labels(cluster, "cluster", n=n)[0]
    generator = stream(seed, "quantile_contrast")
    found = np.empty((draws, len(labels)))
    for b in range(draws):
        found[b] = quantiles(weight * _counts(generator, codes, len(labels), members))
    tail = (1.0 - level) / 2.0
    lower, upper = (_percentile(found, q) for q in (tail, 1.0 - tail))
    return QuantileContrast(
        table=pd.DataFrame(
            {
                "group": labels,
                "probability": probability,
                "quantile": np.where(np.isinf(whole), np.nan, whole),
                "std_error": _spread(found),
                "lower": lower,
                "upper": upper,
                "undefined": np.isinf(found).mean(axis=0),
            }
        ),
        contrast=_contrasts(labels, whole, found, tail),
        draws=found,
        seed=seed,
        method="bootstrap of persons" if cluster is None else "bootstrap of clusters",
        level=level,
    )


def _quantile(y: Outcome, steps: Steps, rows: RowsOfGroup, weight: Floats, p: float) -> float:
    return float(
        weighted_quantile(
            steps.time,
            rows.first,
            rows.last,
            rows.event,
            weight[rows.index],
            y.time[rows.index],
            p,
            ROUNDING,
        )
    )


def _counts(
    generator: np.random.Generator, codes: NDArray[Any], k: int, members: NDArray[Any] | None
) -> Floats:
    """How often each row is drawn."""
    if members is not None:
        size = int(members.max()) + 1
        drawn = np.bincount(generator.integers(0, size, size), minlength=size)
        return np.asarray(drawn[members], dtype=np.float64)
    out = np.zeros(codes.size)
    for code in range(k):
        mine = np.flatnonzero(codes == code)
        drawn = np.bincount(generator.integers(0, mine.size, mine.size), minlength=mine.size)
        out[mine] = drawn
    return out


def _percentile(draws: Floats, q: float) -> Floats:
    """Percentile that is a draw, so that infinite ones need no arithmetic."""
    ordered = np.sort(draws, axis=0)
    place = int(np.clip(np.ceil(q * (draws.shape[0] + 1)) - 1, 0, draws.shape[0] - 1))
    return np.asarray(ordered[place])


def _spread(draws: Floats) -> Floats:
    """Take the standard deviation of draws; missing where one is undefined."""
    known = np.isfinite(draws).all(axis=0)
    finite = np.where(np.isfinite(draws), draws, 0.0)
    return np.where(known, finite.std(axis=0, ddof=1), np.nan)


def _contrasts(labels: list[Any], whole: Floats, draws: Floats, tail: float) -> pd.DataFrame:
    out = []
    for g in range(1, len(labels)):
        for kind in ("difference", "ratio"):
            with np.errstate(invalid="ignore", divide="ignore"):
                if kind == "difference":
                    estimate, each = whole[g] - whole[0], draws[:, g] - draws[:, 0]
                    none = 0.0
                else:
                    estimate, each = whole[g] / whole[0], draws[:, g] / draws[:, 0]
                    none = 1.0
            known = each[~np.isnan(each)]
            scale = each if kind == "difference" else np.log(np.maximum(each, 1e-300))
            if known.size:
                lower, upper = (_percentile(known[:, None], q)[0] for q in (tail, 1.0 - tail))
                side = min(np.sum(known <= none), np.sum(known >= none)) + 1.0
                p_value = min(1.0, 2.0 * side / (known.size + 1.0))
            else:
                lower = upper = p_value = np.nan
            out.append(
                {
                    "group": labels[g],
                    "reference": labels[0],
                    "contrast": kind,
                    "estimate": estimate if np.isfinite(estimate) else np.nan,
                    "std_error": float(_spread(scale[:, None])[0]),
                    "lower": lower,
                    "upper": upper,
                    "p_value": p_value,
                    "undefined": float(np.isnan(each).mean()),
                }
            )
    return pd.DataFrame(out)
