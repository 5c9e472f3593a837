r"""Test that groups have the same net survival: a log-rank test of excess hazards.

With the symbols of :mod:`fiac_survival.survival.relative_survival`, group h has the weighted excess events
:math:`dN_{Eh}=\sum_{i\in h}(dN_i-Y_i\,d\Lambda_i)/S_i` and the weighted risk set
:math:`Y_h=\sum_{i\in h}Y_i/S_i`; :math:`Z_h=\int dN_{Eh}-\frac{Y_h}{Y}dN_E` with covariance
:math:`\sum_k\int(\delta_{hk}-Y_h/Y)(\delta_{lk}-Y_l/Y)\sum_{i\in k}dN_i/S_i^2`. Strata are added up. The
integral over an interval without entries and exits takes the shares :math:`Y_h/Y` of the time in it.

Source: Grafféo, Castell, Belot and Giorgi 2016. R: ``relsurv::rs.diff``, which takes shares day by day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.survival.inputs import require_two_groups
from fiac_survival.survival.population import Population
from fiac_survival.survival.population_rows import event_grid, require_matched_rows
from fiac_survival.survival.relative_survival import population_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class NetSurvivalTest(Result):
    """Weighted excess events against those under one net survival.

    Attributes
    ----------
    table : DataFrame
        group, n, n_event, excess (weighted), expected (under one excess hazard), difference.
    statistic, df, p_value : float, int, float
        Chi-squared test.
    covariance : DataFrame
        Of the differences.
    """

    statistic: float
    df: int
    p_value: float
    covariance: pd.DataFrame


def net_survival_test(
    y: Outcome,
    population: Population,
    group: Any,
    *,
    strata: Any = None,
    step: float | None = None,
) -> NetSurvivalTest:
    """Test whether groups have the same net survival.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1, times in the unit of the rate table (days); delayed entry is allowed.
    population : Population
        The same persons, matched with a rate table.
    group : array-like, shape (n,)
        Labels of the groups to compare.
    strata : array-like, shape (n,), optional
        Labels; groups are compared within strata.
    step : float, optional
        Longest interval of integration; left out: between entries and exits.

    Returns
    -------
    NetSurvivalTest
        Differences by group, and the test.

    Raises
    ------
    DataError
        If there is one group, a step is not positive, or the groups are never at risk together.

    References
    ----------
    Grafféo N, Castell F, Belot A, Giorgi R. A log-rank-type test to compare net survival distributions.
    Biometrics 2016;72:760-769.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sex": ["f"] * 2, "age": [0, 50], "year": 2000, "rate": [1e-5, 4e-4]})
    >>> people = fs.survival.RateTable.from_frame(table).match(
    ...     [18000] * 6, [0] * 6, sex=["f"] * 6)
    >>> y = fs.Outcome([100, 200, 300, 400, 500, 600], [1, 1, 1, 0, 1, 1])
    >>> test = fs.survival.net_survival_test(y, people, ["a", "a", "a", "b", "b", "b"])
    >>> round(test.statistic, 2)
    2.91
    """
    require_matched_rows(y, population, "net_survival_test")
    y.require_events("net_survival_test")
    if step is not None and not step > 0:
        raise DataError("step must be positive", values={"step": step}, remedy="step=30, say")
    n = len(y)
    codes, labels = columns.labels(group, "group", n=n)
    require_two_groups(labels, "net_survival_test")
    parts, _ = (
        (np.zeros(n, dtype=np.int64), ["all"])
        if strata is None
        else columns.labels(strata, "strata", n=n)
    )
    k = len(labels)
    excess, expected, covariance = np.zeros(k), np.zeros(k), np.zeros((k, k))
    for part in np.unique(parts):
        mine = np.flatnonzero(parts == part)
        found = _stratum(y.take(mine), population.take(mine), codes[mine], k, step)
        excess, expected, covariance = (
            a + b for a, b in zip((excess, expected, covariance), found, strict=True)
        )
    difference = excess - expected
    spread = np.sqrt(np.diag(covariance))
    free = np.flatnonzero(spread > 1e-12 * max(float(spread.max()), 1e-300))[:-1]
    if not free.size:
        raise DataError(
            "groups must be at risk together when events happen",
            values={"groups": labels},
            remedy="look at the times at which each group is at risk",
        )
    some = covariance[np.ix_(free, free)]
    statistic = float(difference[free] @ np.linalg.solve(some, difference[free]))
    return NetSurvivalTest(
        table=pd.DataFrame(
            {
                "group": labels,
                "n": np.bincount(codes, minlength=k),
                "n_event": np.bincount(codes[y.event > 0], minlength=k),
                "excess": excess,
                "expected": expected,
                "difference": difference,
            }
        ),
        statistic=statistic,
        df=int(free.size),
        p_value=float(chdtrc(free.size, statistic)),
        covariance=pd.DataFrame(covariance, index=labels, columns=labels),
    )


def _stratum(
    y: Outcome, population: Population, codes: NDArray[np.int64], k: int, step: float | None
) -> tuple[Floats, Floats, Floats]:
    """Add weighted excess events by group, those under one excess hazard, covariance of the difference."""
    grid = event_grid(y, None, step)
    names = ["events_net", "hazard_net", "risk_net", "time_net", "events_net_sq"]
    sums = np.zeros((k, len(names), grid.size))
    for code in np.unique(codes):
        rows = np.flatnonzero(codes == code)
        found = population_sums(
            y.take(rows), population.take(rows), np.ones(rows.size), grid, everybody=False
        )
        sums[code] = found[names].to_numpy().T
    events, hazard, risk, time, squares = np.moveaxis(sums, 1, 0)
    at_event, over_time = _shares(risk), _shares(time)
    excess = (events - hazard).sum(axis=1)
    expected = (at_event * events.sum(axis=0) - over_time * hazard.sum(axis=0)).sum(axis=1)
    centred = np.eye(k)[:, :, None] - at_event[:, None, :]  # group, k of the events, time
    covariance = np.einsum("hkt,lkt,kt->hl", centred, centred, squares)
    return excess, expected, covariance


def _shares(amount: Floats) -> Floats:
    total = amount.sum(axis=0)
    return np.asarray(np.divide(amount, total, out=np.zeros_like(amount), where=total > 0))
