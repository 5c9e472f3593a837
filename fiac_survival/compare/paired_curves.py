r"""Two sources' curves of the same patients, and their difference.

Patient c moves the private curve by :math:`U_c^A(t)` and the public one by :math:`U_c^B(t)`
(:mod:`fiac_survival.survival.influence`), 0 where a source has not got the patient. The difference
:math:`\hat\Delta(t)=\hat S_A(t)-\hat S_B(t)` has

.. math:: \widehat{SE}^2(t)=\sum_c\bigl(U_c^A(t)-U_c^B(t)\bigr)^2,

which is far below :math:`V_A+V_B` where both sources see the same deaths: taking linked patients for
strangers hides differences. Intervals allow for the skewness that few patients bring, and for the few
that determine the standard error (:mod:`fiac_survival.compare.paired_intervals`). The uniform band has
their form, with q in the place of the normal quantile: the quantile of
:math:`\max_t|\sum_c g_c(U_c^A-U_c^B)(t)|/\widehat{SE}(t)` over draws of independent standard normal
:math:`g_c`.

Source: Lin, Wei, Ying 1993 and Zhao et al. 2016 (multipliers); Murray 2001 (paired curves).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.effect import Effect
from fiac_survival.compare.paired_intervals import Spread
from fiac_survival.core import columns, seeds
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice, survival_interval
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.influence import areas, rmst_influence, survival_influence
from fiac_survival.survival.inputs import rows_by_group, times_array
from fiac_survival.survival.milestone import require_within
from fiac_survival.survival.rmst import require_horizon
from fiac_survival.survival.steps import steps_by_group

Floats = NDArray[np.float64]
OneArmMeasure = Literal["rmst", "milestone"]
DRAWS = 4000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PairedSurvival(Result):
    """Two curves of the same patients and their difference.

    Attributes
    ----------
    table : DataFrame
        time, private, private_lower, private_upper, private_n_risk, public, public_lower, public_upper,
        public_n_risk, difference (private minus public), std_error, std_error_independent (as if the
        patients were different ones), acceleration, degrees_of_freedom, lower, upper,
        band_lower, band_upper.
    band_quantile : float
        Normal quantile of the band; NaN if the curves are the same throughout.
    linked_patients : int
        Patients in both sources.
    """

    band_quantile: float
    linked_patients: int


@single_threaded_blas
def one_arm(
    y: Outcome,
    *,
    measure: OneArmMeasure,
    tau: float,
    weights: Any = None,
    level: float = 0.95,
) -> Effect:
    """Estimate a survival probability or a restricted mean of one group, with influences.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    measure : {"rmst", "milestone"}
        Restricted mean to `tau`, or survival at `tau`.
    tau : float
        Horizon or time.
    weights : array-like of float, shape (n,), optional
        Taken as known; those of weight 0 are left out.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Effect
        What :func:`fiac_survival.compare.agreement` takes, so that two sources' estimates of the same
        patients can be compared. It is not a contrast: `p_value` is missing.

    Raises
    ------
    DataError
        If `tau` lies beyond follow-up.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10], event=[1, 0, 1, 0])
    >>> fs.compare.one_arm(y, measure="milestone", tau=8).estimate
    0.375
    """
    require_choice(measure, OneArmMeasure, "measure")
    z = normal_quantile(level)
    y.require_binary("one_arm", "one cause at a time")
    n = len(y)
    w = np.ones(n) if weights is None else columns.numeric(weights, "weights", n=n)
    columns.require_finite(w, "weights")
    if (w < 0).any() or not (w > 0).any():
        raise DataError(
            "weights must not be negative, and one must be above 0",
            values={"smallest": float(w.min()) if n else None},
            remedy="drop rows that do not count",
        )
    used = np.flatnonzero(w > 0)
    value, moved = _point(y.take(used), w[used], measure, float(tau))
    influence = np.zeros(n)
    influence[used] = moved
    error = float(np.sqrt(np.sum(influence**2)))
    lower, upper = value - z * error, value + z * error
    if measure == "milestone":
        ends = survival_interval(np.array([value]), np.array([error]), level=level)
        lower, upper = float(ends[0][0]), float(ends[1][0])
    kind = "none" if weights is None else "fixed"
    row = {
        "measure": measure,
        "tau": float(tau),
        "estimate": value,
        "std_error": error,
        "scale": "identity",
        "lower": lower,
        "upper": upper,
        "n": int(used.size),
        "n_event": int(np.count_nonzero(y.event[used])),
        "ess": float(w.sum() ** 2 / np.sum(w * w)),
        "weight_variance": kind,
    }
    return Effect(
        table=pd.DataFrame([row]),
        arms=None,
        measure=measure,
        tau=float(tau),
        estimate=value,
        std_error=error,
        lower=lower,
        upper=upper,
        p_value=float("nan"),
        level=level,
        scale="identity",
        influence=influence,
        weight_variance=kind,
    )


def _point(y: Outcome, w: Floats, measure: OneArmMeasure, tau: float) -> tuple[float, Floats]:
    steps = steps_by_group(RiskTable.from_outcome(y, weights=w))
    (s,) = steps
    (r,) = rows_by_group(y, steps, group=None, weights=w, cluster=None)
    influence = np.zeros(len(y))
    match measure:
        case "rmst":
            require_horizon(steps, tau)
            moved = rmst_influence(s, r.first, r.last, r.event, tau)
            value = float(areas(s, tau)[1])
        case "milestone":
            require_within(steps, np.array([tau]))
            moved = survival_influence(s, r.first, r.last, r.event, tau)
            last = int(np.searchsorted(s.time, tau, side="right")) - 1
            value = float(s.survival[last]) if last >= 0 else 1.0
        case _:
            assert_never(measure)
    influence[r.index] = r.weight * moved
    return value, influence


@single_threaded_blas
def paired_survival(
    private: Outcome,
    public: Outcome,
    *,
    times: Any,
    patient_private: Any = None,
    patient_public: Any = None,
    level: float = 0.95,
    seed: int = 0,
) -> PairedSurvival:
    """Compare the survival curves of the same patients in two sources.

    Parameters
    ----------
    private, public : Outcome
        The outcome of each source.
    times : array-like of float
        Where, within the follow-up of both.
    patient_private, patient_public : array-like, optional
        Person of each row. Default: row i of both is the same person.
    level : float, default 0.95
        Of intervals and of the band.
    seed : int, default 0
        Of the draws behind the band.

    Returns
    -------
    PairedSurvival
        Both curves, the difference, its interval at each time and its band over all of them.

    Raises
    ------
    DataError
        If identifiers are given on one side, differ in number from the rows, or a time lies beyond
        follow-up.

    References
    ----------
    Murray S. Using weighted Kaplan-Meier statistics in nonparametric comparisons of paired censored
    survival outcomes. Biometrics 2001;57:361-368.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> a = fs.Outcome(time=[3, 5, 8, 10], event=[1, 1, 0, 0])
    >>> b = fs.Outcome(time=[3, 6, 8, 10], event=[1, 1, 0, 0])
    >>> found = fs.compare.paired_survival(a, b, times=[4, 5, 6])
    >>> found.table["difference"].tolist(), found.linked_patients
    ([0.0, -0.25, 0.0], 4)
    """
    z = normal_quantile(level)
    at = np.unique(times_array(times))
    codes, linked = _persons(private, public, patient_private, patient_public)
    curves, influences = [], []
    for y, code in zip((private, public), codes, strict=True):
        y.require_binary("paired_survival", "one cause at a time")
        survival, moved = _curve(y, at)
        total = np.zeros((int(max(c.max() for c in codes)) + 1, at.size))
        np.add.at(total, code, moved)
        curves.append(survival)
        influences.append(total)
    gap = curves[0] - curves[1]
    moved = influences[0] - influences[1]
    alone = [np.sqrt(np.sum(one**2, axis=0)) for one in influences]
    spreads = [Spread.of(column) for column in moved.T]
    if not linked:
        spreads = [Spread(std_error=s.std_error) for s in spreads]
    error = np.array([s.std_error for s in spreads])
    quantile = _band_quantile(moved, error, level, seed)
    reach = 0.0 if np.isnan(quantile) else quantile
    data: dict[str, Any] = {"time": at}
    for name, survival, own in zip(("private", "public"), curves, alone, strict=True):
        lower, upper = survival_interval(survival, own, level=level)
        data |= {name: survival, f"{name}_lower": lower, f"{name}_upper": upper}
        data[f"{name}_n_risk"] = _at_risk(private if name == "private" else public, at)
    data |= {
        "difference": gap,
        "std_error": error,
        "std_error_independent": np.hypot(*alone),
        "acceleration": np.array([s.acceleration for s in spreads]),
        "degrees_of_freedom": np.array([s.degrees_of_freedom for s in spreads]),
        "lower": gap + np.array([s.limit(-z) for s in spreads]),
        "upper": gap + np.array([s.limit(z) for s in spreads]),
        "band_lower": gap + np.array([s.limit(-reach) for s in spreads]),
        "band_upper": gap + np.array([s.limit(reach) for s in spreads]),
    }
    return PairedSurvival(table=pd.DataFrame(data), band_quantile=quantile, linked_patients=linked)


def _persons(
    private: Outcome, public: Outcome, a: Any, b: Any
) -> tuple[list[NDArray[np.int64]], int]:
    """Give the persons of both sources their numbers."""
    if (a is None) != (b is None):
        raise DataError(
            "person identifiers must be given for both sources or for neither",
            values={"private": a is not None, "public": b is not None},
            remedy="pass patient_private and patient_public",
        )
    if a is None:
        if len(private) != len(public):
            raise DataError(
                "without identifiers both sources must have the same patients, row by row",
                values={"private": len(private), "public": len(public)},
                remedy="pass patient_private and patient_public",
            )
        a = b = np.arange(len(private))
    first, second = columns.to_numpy(a, "patient_private"), columns.to_numpy(b, "patient_public")
    columns.require_length(first, "patient_private", len(private))
    columns.require_length(second, "patient_public", len(public))
    codes, _ = columns.labels(np.concatenate([first, second]), "patient")
    own = [codes[: first.size], codes[first.size :]]
    return own, int(np.intersect1d(own[0], own[1]).size)


def _curve(y: Outcome, at: Floats) -> tuple[Floats, Floats]:
    """Curve at some times, and the influence of each row on it."""
    steps = steps_by_group(RiskTable.from_outcome(y))
    (s,) = steps
    require_within(steps, at)
    (r,) = rows_by_group(y, steps, group=None, weights=None, cluster=None)
    last = np.searchsorted(s.time, at, side="right") - 1
    survival = np.where(last >= 0, s.survival[np.maximum(last, 0)], 1.0)
    influence = np.zeros((len(y), at.size))
    for k, moment in enumerate(at):
        influence[r.index, k] = survival_influence(s, r.first, r.last, r.event, float(moment))
    return survival, influence


def _at_risk(y: Outcome, at: Floats) -> NDArray[np.int64]:
    """Count who is at risk just before each time; at time 0, who enters there."""
    gone = np.searchsorted(np.sort(y.time), at, side="left")
    late = np.zeros(0) if y.entry is None else np.sort(y.entry[y.entry > 0])
    to_come = late.size - np.searchsorted(late, at, side="left")
    return np.asarray(len(y) - gone - to_come, dtype=np.int64)


def _band_quantile(moved: Floats, error: Floats, level: float, seed: int) -> float:
    known = error > 0
    if not known.any():
        return float("nan")
    scaled = moved[:, known] / error[known]
    rng = seeds.stream(seed, "paired band")
    largest = np.empty(DRAWS)
    for start in range(0, DRAWS, 500):
        normal = rng.standard_normal((500, scaled.shape[0]))
        largest[start : start + 500] = np.abs(normal @ scaled).max(axis=1)
    return float(np.quantile(largest, level))
