r"""Strategies that cannot be told apart at time zero: clone, censor, weight.

Every person is cloned into each strategy s and followed there until the day on which the treatment given is
no longer compatible with it: the day another strategy is begun first (or on the same day), or the last day
:math:`g_s` of the grace period if s has not been begun by then. That censoring depends on covariates
:math:`L`, so that a clone still followed after step j has the weight

.. math:: w_j=\prod_{i\le j}\frac1{1-h_i(L)},\qquad
          w_{>g}=w_g\,/\,P(\text{s begun}\mid L,\ \text{followed beyond } g_s),

:math:`h_i` the probability of being censored in step i of those who have not begun s (pooled logistic
regression, a level for each step). A step's weight counts from the next step on; with steps of one day this
is exact. The grace period's estimand: during it everybody who deviates later is still compatible; those who
have not begun by its end are stood for by those who have, with the same covariates (Maringe et al., Int J
Epidemiol 2020;49:1719-1729; Hernán, BMJ 2018;360:k182; Cain et al., Int J Biostat 2010;6:18). It needs that
covariates at time zero explain who deviates.

Variances cluster by person, since clones share their fate; they take the weights as known.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.building import UNITS, Analysis
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.weighting.deviation import probability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Clones(Result):
    """Clones, censored and weighted.

    Attributes
    ----------
    table : DataFrame
        Per strategy: persons, clones followed, censored by deviation, events, effective sample size at the
        end of grace, largest weight.
    rows : DataFrame
        person, strategy, entry, time (days), event, weight: a row for each stretch of constant weight.
    outcome : Outcome
        Of the rows, in the protocol's unit.
    group, weights, cluster : ndarray
        Strategy, weight and person of each row, for the estimators.
    """

    rows: pd.DataFrame = field(repr=False)
    outcome: Outcome = field(repr=False)
    group: NDArray[np.object_] = field(repr=False)
    weights: Floats = field(repr=False)
    cluster: NDArray[np.object_] = field(repr=False)


def clone_censor_weight(
    analysis: Analysis,
    *,
    covariates: Sequence[str] | str | None,
    step_days: int = 7,
    truncate: float | None = None,
) -> Clones:
    """Clone, censor and weight the persons of an analysis whose strategies have a grace period.

    Parameters
    ----------
    analysis : Analysis
        What :func:`build` made of a protocol with ``grace_days``.
    covariates : sequence of str, formula, or None
        Columns known at time zero that explain who deviates; None censors as if nothing did.
    step_days : int, default 7
        Length of a step of the censoring model.
    truncate : float, optional
        Quantile of the weights after grace at which larger ones are cut, such as 0.99; not cut by default.

    Returns
    -------
    Clones
        Rows for :func:`~fiac_survival.survival.kaplan_meier`, :func:`~fiac_survival.survival.rmst` and
        :func:`~fiac_survival.survival.cox`, with ``weights`` and ``cluster``.

    Raises
    ------
    ProtocolError
        If the strategies have no grace period.
    DataError
        If a strategy is begun by nobody, or an option is out of range.
    ConvergenceError
        If covariates predict a deviation perfectly.

    References
    ----------
    Maringe C et al. Int J Epidemiol 2020;49:1719-1729.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> cohort, protocol = fs.cohort.example_cohort()
    >>> graced = protocol.model_dump() | {"strategies": [
    ...     {"name": "adds", "label": "Adds bortezomib within 60 days", "grace_days": 60,
    ...      "records": {"table": "exposure", "drugs": ["bortezomib"]}},
    ...     {"name": "does_not", "label": "Does not", "none_of_the_others": True}]}
    >>> analysis = fs.cohort.build(cohort, type(protocol).model_validate(graced))
    >>> clones = fs.cohort.clone_censor_weight(analysis, covariates=None)
    >>> clones.table[["strategy", "clones", "censored"]].values.tolist()
    [['adds', 3, 1], ['does_not', 2, 1]]
    >>> cohort.engine.close()
    """
    strategies = analysis.protocol.strategies
    graced = [s for s in strategies if s.grace_days is not None]
    if not graced:
        raise ProtocolError(
            "clones need strategies with a grace period",
            values={"strategies": [s.name for s in strategies]},
            remedy="add grace_days, or compare the strategies as they are at time zero",
        )
    if step_days < 1 or (truncate is not None and not 0.5 < truncate < 1.0):
        raise DataError(
            "step_days is at least 1, and truncate a quantile between 0.5 and 1",
            values={"step_days": step_days, "truncate": truncate},
        )
    frame = analysis.table
    begun = {s.name: frame[f"start_{s.name}"].to_numpy(np.float64, na_value=np.nan) for s in graced}
    for name, day in begun.items():
        if np.isnan(day).all():
            raise DataError(
                "a strategy must be begun by somebody",
                values={"strategy": name},
                remedy="lengthen its grace period, or correct its records",
            )
    x = _covariates(frame, covariates)
    longest = max(int(s.grace_days or 0) for s in graced)
    parts, report = [], []
    for strategy in strategies:
        own = begun.get(strategy.name, np.full(len(frame), np.nan))
        others = [day for name, day in begun.items() if name != strategy.name]
        grace = int(strategy.grace_days or longest)
        clone = _Clone(
            name=strategy.name,
            time=frame["time"].to_numpy(np.int64),
            event=frame["event"].to_numpy(np.int64),
            own=np.where(own <= grace, own, np.inf),
            other=_earliest(others, len(frame), grace),
            required=strategy.records is not None,
            grace=grace,
        )
        rows, summary = _follow(clone, x, step_days, truncate)
        rows.insert(0, "person", frame["person"].to_numpy()[rows.pop("row").to_numpy()])
        parts.append(rows)
        report.append(summary)
    rows = pd.concat(parts, ignore_index=True)
    unit = UNITS[analysis.protocol.follow_up.unit]
    return Clones(
        table=pd.DataFrame(report),
        rows=rows,
        outcome=Outcome(
            rows["time"].to_numpy() / unit,
            rows["event"].to_numpy(),
            entry=rows["entry"].to_numpy() / unit,
        ),
        group=rows["strategy"].to_numpy(dtype=object),
        weights=rows["weight"].to_numpy(),
        cluster=rows["person"].to_numpy(dtype=object),
    )


@dataclass(frozen=True, eq=False)
class _Clone:
    """Everybody in one strategy. Days begun are infinite where nothing was begun."""

    name: str
    time: Ints
    event: Ints
    own: Floats
    other: Floats
    required: bool
    grace: int

    @property
    def deviates(self) -> Floats:
        """Day on which another strategy is begun first or at once; infinite if none is."""
        return np.where(self.other <= self.own, self.other, np.inf)


def _covariates(frame: pd.DataFrame, covariates: Sequence[str] | str | None) -> Floats:
    if covariates is None or (not isinstance(covariates, str) and not len(covariates)):
        return np.empty((len(frame), 0))
    if isinstance(covariates, str):
        return make_design(covariates, frame, n=len(frame)).values
    missing = [c for c in covariates if c not in frame]
    if missing:
        raise DataError(
            "covariates must be columns of the analysis table",
            values={"missing": ", ".join(missing)},
            remedy=f"columns: {', '.join(frame.columns)}",
        )
    chosen = frame[list(covariates)]
    flags = [c for c in chosen if chosen[c].dtype == bool]
    return make_design(chosen.astype(dict.fromkeys(flags, np.float64)), n=len(frame)).values


def _earliest(days: list[Floats], n: int, grace: int) -> Floats:
    first = np.full(n, np.inf)
    for day in days:
        first = np.fmin(first, day)
    return np.where(first <= grace, first, np.inf)


def _follow(
    clone: _Clone, x: Floats, step_days: int, truncate: float | None
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Rows of constant weight of one strategy's clones."""
    bounds = np.unique(np.append(np.arange(0, clone.grace, step_days), clone.grace))
    deviates = clone.deviates
    late = clone.required & np.isinf(clone.own) & np.isinf(deviates) & (clone.time > clone.grace)
    end = np.minimum(clone.time, np.where(late, clone.grace, deviates)).astype(np.int64)
    event = np.where(clone.time <= end, clone.event, 0)
    weight = _factors(clone, x, bounds, deviates)
    after = weight[:, -1] * _beyond_grace(clone, x, weight[:, -1], deviates)
    cut = np.inf
    beyond = end > clone.grace
    if truncate is not None and beyond.any():
        cut = float(np.quantile(after[beyond], truncate))
    parts = []
    edges = [*bounds.tolist(), np.inf]
    for j, (start, stop) in enumerate(itertools.pairwise(edges)):
        here = np.flatnonzero(end > start)
        w = after[here] if stop == np.inf else weight[here, j]
        parts.append(
            pd.DataFrame(
                {
                    "row": here,
                    "strategy": clone.name,
                    "entry": int(start),
                    "time": np.minimum(end[here], stop).astype(np.int64),
                    "event": np.where(end[here] <= stop, event[here], 0),
                    "weight": np.minimum(w, cut),
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True)
    rows = rows.sort_values(["row", "entry"], kind="stable").reset_index(drop=True)
    late_weights = np.minimum(after[beyond], cut)
    summary: dict[str, object] = {
        "strategy": clone.name,
        "persons": clone.time.size,
        "clones": int((end > 0).sum()),
        "censored": int((((deviates <= clone.time) | late) & (end > 0) & (event == 0)).sum()),
        "events": int((event[end > 0] > 0).sum()),
        "ess_after_grace": float(late_weights.sum() ** 2 / (late_weights**2).sum())
        if late_weights.size
        else 0.0,
        "largest_weight": float(rows["weight"].max()),
    }
    return rows, summary


def _factors(clone: _Clone, x: Floats, bounds: Ints, deviates: Floats) -> Floats:
    """Weight of each person in each step, from the steps before: (n, number of bounds)."""
    n = clone.time.size
    rows, steps, left = [np.arange(n)], [np.zeros(n, dtype=np.int64)], [deviates == 0]
    for j, (start, stop) in enumerate(itertools.pairwise(bounds), start=1):
        at_risk = (clone.time > start) & (deviates > start) & (clone.own > start)
        here = np.flatnonzero(at_risk)
        gone = (deviates[here] <= stop) & (deviates[here] <= clone.time[here])
        rows.append(here)
        steps.append(np.full(here.size, j))
        left.append(gone)
    row, step = np.concatenate(rows), np.concatenate(steps)
    h = probability(
        x[row], step, np.concatenate(left), np.ones(row.size), what=f"leaving {clone.name!r}"
    )
    stays = np.ones((n, bounds.size))
    # A step in which all of those at risk leave leaves nobody to carry a weight.
    stays[row, step] = np.where(h < 1.0, 1.0 - h, 1.0)
    return np.asarray(1.0 / np.cumprod(stays, axis=1))


def _beyond_grace(clone: _Clone, x: Floats, weight: Floats, deviates: Floats) -> Floats:
    """Weight of those who began in time, for those who did not."""
    factor = np.ones(clone.time.size)
    if not clone.required:
        return factor
    here = np.flatnonzero((clone.time > clone.grace) & np.isinf(deviates))
    begun = np.isfinite(clone.own[here])
    p = probability(
        x[here],
        np.zeros(here.size, dtype=np.int64),
        begun,
        weight[here],
        what=f"beginning {clone.name!r}",
    )
    factor[here] = 1.0 / np.where(p > 0.0, p, 1.0)
    return factor
