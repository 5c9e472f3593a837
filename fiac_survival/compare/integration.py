r"""The ladder of integration rules: the same linked patients, one estimate per rule.

Where two sources record the same event differently, an analysis has to choose. For a patient with event
times :math:`t^A,t^B` (missing: none) and last activities :math:`\ell^A,\ell^B`:

=========== ============================== ====================== =======================
rule        event if                       time of the event      followed to
=========== ============================== ====================== =======================
private     A has it                       :math:`t^A`            :math:`\ell^A`
public      B has it                       :math:`t^B`            :math:`\ell^B`
earliest    either has it                  the earlier            the later of both
latest      either has it                  the later              the later of both
union       either has it                  :math:`t^A`, else      the later of both
                                           :math:`t^B`
confirmed   both have it, at most `window` :math:`t^A`            the earlier of both
            apart
=========== ============================== ====================== =======================

Two ways of ending the follow-up of those without an event cross every rule: at the last activity, which
drops the time in which a healthy patient is not seen (biases survival downward if those with events are
seen more), or at the data cut-off, which counts as event-free the time in which an event would have been
missed (upward). Events after the cut-off, where there is one, do not count in either.

All rungs are of the same patients, so that the standard error of a difference from the reference rung is
:math:`\sqrt{\sum_i(\mathrm{IF}_i-\mathrm{IF}_i^{ref})^2}`. Few of them differ, and
intervals of differences allow for skewness (:mod:`fiac_survival.compare.paired_intervals`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, assert_never, get_args

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.effect import Effect, effect
from fiac_survival.compare.paired_intervals import Spread
from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.influence import areas, rmst_influence, survival_influence
from fiac_survival.survival.inputs import rows_by_group
from fiac_survival.survival.milestone import require_within
from fiac_survival.survival.rmst import require_horizon
from fiac_survival.survival.steps import steps_by_group

Floats = NDArray[np.float64]
Rule = Literal["private", "public", "earliest", "latest", "union", "confirmed"]
Censoring = Literal["last_activity", "cutoff"]
RungMeasure = Literal["rmst", "milestone", "hazard_ratio"]
Estimator = Callable[[Outcome], Effect | tuple[float, Floats]]
COLUMNS = ("private_event", "public_event", "private_last", "public_last")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Ladder(Result):
    """One estimate per integration rule, on the same patients.

    Attributes
    ----------
    table : DataFrame
        rule, censoring, n_event, person_time, estimate, std_error, lower, upper; difference,
        difference_std_error, difference_lower, difference_upper from the reference. For hazard ratios
        the standard errors and differences are of logarithms.
    reference : tuple of str
        Rule and censoring that the differences are from.
    influence : DataFrame
        Influence of each patient (rows) on each rung (columns).
    outcomes : dict
        The outcome of each rung, by rule and censoring.
    """

    reference: tuple[str, str]
    influence: pd.DataFrame
    outcomes: dict[tuple[str, str], Outcome]


def integrate(
    data: Any, *, rule: Rule, censoring: Censoring = "last_activity", window: float = 30.0
) -> Outcome:
    """Make one outcome of what two sources say of the same patients.

    Parameters
    ----------
    data : DataFrame
        One row per linked patient, times since time zero: private_event, public_event (missing if
        the source has none), private_last, public_last (last activity in each source), and cutoff
        (data cut-off), which censoring at the cut-off needs.
    rule : {"private", "public", "earliest", "latest", "union", "confirmed"}
        Which events count, and when.
    censoring : {"last_activity", "cutoff"}, default "last_activity"
        Where the follow-up of patients without an event ends.
    window : float, default 30.0
        For "confirmed": largest difference of the two times, in their unit.

    Returns
    -------
    Outcome
        One row per patient.

    Raises
    ------
    DataError
        If a column is missing, a time is negative, or an event comes after its source's last activity.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> data = pd.DataFrame({"private_event": [5, None, 9], "public_event": [7, 4, None],
    ...     "private_last": [5, 12, 9], "public_last": [7, 4, 20], "cutoff": [20, 20, 20]})
    >>> fs.compare.integrate(data, rule="union").time.tolist()
    [5.0, 4.0, 9.0]
    >>> fs.compare.integrate(data, rule="confirmed", censoring="cutoff").event.tolist()
    [1, 0, 0]
    """
    require_choice(rule, Rule, "rule")
    require_choice(censoring, Censoring, "censoring")
    return _outcome(_times(data, censoring == "cutoff"), rule, censoring, window)


@single_threaded_blas
def ladder(
    data: Any,
    *,
    measure: RungMeasure = "rmst",
    tau: float | None = None,
    treated: Any = None,
    weights: Any = None,
    estimate: Estimator | None = None,
    rules: Sequence[Rule] = get_args(Rule),
    censoring: Sequence[Censoring] | None = None,
    reference: tuple[Rule, Censoring] | None = None,
    window: float = 30.0,
    level: float = 0.95,
) -> Ladder:
    """Estimate the same quantity under each rule of integration.

    Parameters
    ----------
    data : DataFrame
        As for :func:`fiac_survival.compare.integrate`.
    measure : {"rmst", "milestone", "hazard_ratio"}, default "rmst"
        Of all patients together, or of treatment, if `treated` is given (hazard ratios need it).
    tau : float, optional
        Horizon or time of the milestone; inside the follow-up of every rung.
    treated : array-like of 0 and 1, optional
        Treatment, for the contrast of two arms.
    weights : Weights or array-like, optional
        As for :func:`fiac_survival.compare.effect`; with `treated`.
    estimate : callable, optional
        Instead of a measure: takes the outcome of a rung, returns an Effect, or an estimate and the
        influence of each patient.
    rules : sequence of str, optional
        Rules, in order. Default: all six.
    censoring : sequence of str, optional
        Ends of follow-up. Default: last activity, and the cut-off too if there is one.
    reference : pair of str, optional
        Rung from which the others differ. Default: the first.
    window : float, default 30.0
        For the rule "confirmed", in the unit of the times.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Ladder
        A row per rung, with its difference from the reference.

    Raises
    ------
    DataError
        If a column is missing, the reference is not a rung, or the horizon lies outside one.

    Examples
    --------
    >>> import pandas as pd, fiac_survival as fs
    >>> data = pd.DataFrame({"private_event": [5, None, 9, None], "public_event": [7, 4, None, None],
    ...     "private_last": [5, 12, 9, 12], "public_last": [7, 4, 20, 20]})
    >>> found = fs.compare.ladder(data, tau=9.0, rules=["private", "public"])
    >>> found.table[["rule", "n_event", "estimate"]].to_numpy().tolist()
    [['private', 2, 8.0], ['public', 2, 7.25]]
    """
    require_choice(measure, RungMeasure, "measure")
    z = normal_quantile(level)
    times = _times(data, False)
    if censoring is None:
        censoring = get_args(Censoring) if "cutoff" in times else ("last_activity",)
    for rule in rules:
        require_choice(rule, Rule, "rules")
    for end in censoring:
        require_choice(end, Censoring, "censoring")
    if "cutoff" in censoring:
        times = _times(data, True)
    rungs = list(product(rules, censoring))
    first = reference or (rungs[0] if rungs else None)
    if first not in rungs:
        raise DataError(
            "the reference must be one of the rungs",
            values={"reference": first},
            remedy="add its rule to rules and its end of follow-up to censoring",
        )
    if estimate is None:
        estimate = _estimator(measure, tau, treated, weights)
    outcomes = {rung: _outcome(times, *rung, window) for rung in rungs}
    found = {rung: _as_point(estimate(y), len(y)) for rung, y in outcomes.items()}
    log = any(point[2] for point in found.values())
    zero, zero_influence, _ = found[first]
    rows = []
    for (rule, end), (value, influence, _) in found.items():
        y = outcomes[rule, end]
        error = float(np.sqrt(np.sum(influence**2)))
        gap, spread = value - zero, Spread.of(influence - zero_influence)
        low, high = spread.interval(gap, level)
        shown = [value, value - z * error, value + z * error]
        shown = [float(np.exp(v)) for v in shown] if log else shown
        rows.append(
            {
                "rule": rule,
                "censoring": end,
                "n_event": int(np.count_nonzero(y.event)),
                "person_time": float(y.time.sum()),
                "estimate": shown[0],
                "std_error": error,
                "lower": shown[1],
                "upper": shown[2],
                "difference": gap,
                "difference_std_error": spread.std_error,
                "difference_lower": low,
                "difference_upper": high,
            }
        )
    influences = {f"{rule}, {end}": found[rule, end][1] for rule, end in rungs}
    return Ladder(
        table=pd.DataFrame(rows),
        reference=first,
        influence=pd.DataFrame(influences),
        outcomes={(str(rule), str(end)): y for (rule, end), y in outcomes.items()},
    )


def _times(data: Any, need_cutoff: bool) -> dict[str, Floats]:
    native = nw.from_native(data, eager_only=True)
    needed = COLUMNS + (("cutoff",) if need_cutoff else ())
    missing = [name for name in needed if name not in native.columns]
    if missing:
        raise DataError(
            f"data must have the columns {', '.join(needed)}",
            values={"missing": ", ".join(missing)},
            remedy="one row per linked patient, times since time zero",
        )
    names = [*COLUMNS, *(["cutoff"] if "cutoff" in native.columns else [])]
    times = {name: columns.numeric(native[name].to_numpy(), name) for name in names}
    for name, values in times.items():
        wrong = values < 0 if name.endswith("event") else ~(values >= 0)
        bad = np.flatnonzero(wrong | np.isinf(values))
        if bad.size:
            raise DataError(
                f"{name} must be a time since time zero, not negative"
                + ("" if name.endswith("event") else " and not missing"),
                count=int(bad.size),
                row=int(bad[0]),
                values={name: float(values[bad[0]])},
                remedy="check time zero and the order of the dates",
            )
    for source in ("private", "public"):
        event, last = times[f"{source}_event"], times[f"{source}_last"]
        bad = np.flatnonzero(event > last)
        if bad.size:
            raise DataError(
                f"{source}_event must not come after {source}_last",
                count=int(bad.size),
                row=int(bad[0]),
                values={"event": float(event[bad[0]]), "last": float(last[bad[0]])},
                remedy="an event is an activity: last activity is at least as late",
            )
    return times


def _outcome(times: dict[str, Floats], rule: Rule, censoring: Censoring, window: float) -> Outcome:
    a, b = times["private_event"], times["public_event"]
    end_a, end_b = times["private_last"], times["public_last"]
    match rule:
        case "private":
            event, end = a, end_a
        case "public":
            event, end = b, end_b
        case "earliest":
            event, end = np.fmin(a, b), np.maximum(end_a, end_b)
        case "latest":
            event, end = np.fmax(a, b), np.maximum(end_a, end_b)
        case "union":
            event, end = np.where(np.isnan(a), b, a), np.maximum(end_a, end_b)
        case "confirmed":
            event, end = np.where(np.abs(a - b) <= window, a, np.nan), np.minimum(end_a, end_b)
        case _:
            assert_never(rule)
    if "cutoff" in times:
        event = np.where(event <= times["cutoff"], event, np.nan)
        end = np.minimum(end, times["cutoff"])
    match censoring:
        case "last_activity":
            pass
        case "cutoff":
            end = times["cutoff"]
        case _:
            assert_never(censoring)
    happened = ~np.isnan(event)
    return Outcome(np.where(happened, event, end), happened)


def _estimator(measure: RungMeasure, tau: float | None, treated: Any, weights: Any) -> Estimator:
    if treated is not None:
        return lambda y: effect(y, treated, measure=measure, tau=tau, weights=weights)
    if measure == "hazard_ratio" or weights is not None or tau is None:
        raise DataError(
            "without treated, the measure is rmst or milestone at tau, unweighted",
            values={
                "measure": measure,
                "tau": tau,
                "weights": "none" if weights is None else "given",
            },
            remedy="pass tau, or treated=, or your own estimate=",
        )
    return lambda y: one_group(y, measure, tau)


def one_group(
    y: Outcome, measure: Literal["rmst", "milestone"], tau: float
) -> tuple[float, Floats]:
    """Estimate a restricted mean or a survival probability with the influence of each patient.

    Parameters
    ----------
    y : Outcome
        Rows.
    measure : {"rmst", "milestone"}
        What to estimate.
    tau : float
        Horizon or time.

    Returns
    -------
    estimate : float
        At `tau`.
    influence : (n,) float64
        The variance is the sum of their squares.
    """
    steps = steps_by_group(RiskTable.from_outcome(y))
    (s,) = steps
    (r,) = rows_by_group(y, steps, group=None, weights=None, cluster=None)
    influence = np.zeros(len(y))
    match measure:
        case "rmst":
            require_horizon(steps, tau)
            influence[r.index] = rmst_influence(s, r.first, r.last, r.event, tau)
            return float(areas(s, tau)[1]), influence
        case "milestone":
            require_within(steps, np.array([tau]))
            influence[r.index] = survival_influence(s, r.first, r.last, r.event, tau)
            last = int(np.searchsorted(s.time, tau, side="right")) - 1
            return float(s.survival[last]) if last >= 0 else 1.0, influence
        case _:
            assert_never(measure)


def _as_point(found: Effect | tuple[float, Floats], n: int) -> tuple[float, Floats, bool]:
    """Estimate on its scale, influence, and whether the scale is logarithmic."""
    if isinstance(found, Effect):
        return found.on_scale, found.influence, found.scale == "log"
    value, influence = found
    array = columns.numeric(influence, "influence", n=n)
    return float(value), array, False
