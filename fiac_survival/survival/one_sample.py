r"""One-sample log-rank test: observed events against those expected from a reference.

With :math:`E_i=\Lambda_i(T_i)-\Lambda_i(a_i)` the reference's cumulative hazard over row i's follow-up,
the counting process minus its compensator is a martingale if the reference holds:
:math:`O=\sum\delta_i`, :math:`E=\sum E_i`, :math:`\chi^2=(O-E)^2/E`. The ratio O/E is a standardised
mortality ratio. Its interval and the exact p-value take O as Poisson with mean E × ratio, as if E were
fixed, although follow-up ends with the event.

Sources: Breslow 1975; Finkelstein, Muzikansky and Schoenfeld 2003; Ulm 1990 (exact interval).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc
from scipy.stats import chi2, poisson

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.survival.population import Population

Floats = NDArray[np.float64]
OneSampleP = Literal["normal", "exact"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class OneSampleLogRank(Result):
    """Observed against expected events.

    Attributes
    ----------
    table : DataFrame
        group, n, observed, expected, ratio, lower, upper (exact), statistic, p_value.
    statistic, p_value : float
        Of all groups together.
    df : int
        1.
    method : str
        "normal" or "exact".
    level : float
        Confidence level.
    """

    statistic: float
    p_value: float
    df: int
    method: OneSampleP
    level: float


def one_sample_logrank(
    y: Outcome,
    reference: Any,
    *,
    group: Any = None,
    method: OneSampleP = "normal",
    level: float = 0.95,
) -> OneSampleLogRank:
    """Test whether persons have the hazard of a reference.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1; delayed entry is allowed.
    reference : Population, callable or array-like of float
        Persons matched with a rate table; or the reference's cumulative hazard as a function of an
        array of times; or each row's expected events.
    group : array-like, shape (n,), optional
        Labels; the ratio is given for each group too.
    method : {"normal", "exact"}, default "normal"
        p-value from the chi-squared statistic, or from the Poisson distribution (twice the smaller
        tail).
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    OneSampleLogRank
        Observed, expected, ratio with its exact interval, test.

    Raises
    ------
    DataError
        If expected events are missing, negative, or 0 altogether.

    References
    ----------
    Breslow NE. Analysis of survival data under the proportional hazards model. Int Stat Rev 1975;43:45-57.
    Finkelstein DM, Muzikansky A, Schoenfeld DA. Comparing survival of a sample to that of a standard
    population. J Natl Cancer Inst 2003;95:1434-1439.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10], event=[1, 1, 1, 0])
    >>> test = fs.survival.one_sample_logrank(y, lambda t: 0.05 * t)
    >>> test.table[["observed", "expected", "ratio"]].round(3).values.tolist()
    [[3.0, 1.3, 2.308]]
    """
    require_choice(method, OneSampleP, "method")
    normal_quantile(level)
    if not isinstance(y, Outcome):
        raise DataError(
            "one_sample_logrank takes an Outcome",
            values={"type": type(y).__name__},
            remedy="make one: fs.Outcome(time, event)",
        )
    y.require_binary("one_sample_logrank", "one test a cause")
    expected = _expected(y, reference)
    codes, labels = np.zeros(len(y), dtype=np.int64), ["all"]
    if group is not None:
        codes, labels = columns.labels(group, "group", n=len(y))
    each = []
    for code, label in enumerate(labels):
        mine = codes == code
        row = _compare(int(np.sum(y.event[mine] > 0)), float(expected[mine].sum()), method, level)
        each.append({"group": label, "n": int(mine.sum()), **row})
    whole = _compare(int(np.sum(y.event > 0)), float(expected.sum()), method, level)
    return OneSampleLogRank(
        table=pd.DataFrame(each),
        statistic=whole["statistic"],
        p_value=whole["p_value"],
        df=1,
        method=method,
        level=level,
    )


def _expected(y: Outcome, reference: Any) -> Floats:
    """Compute the expected events of each row."""
    n = len(y)
    if isinstance(reference, Population):
        if len(reference) != n:
            raise DataError(
                "the population must have one row per outcome",
                values={"rows": len(reference), "outcomes": n},
                remedy="match the table that the outcome was made from",
            )
        expected = reference.cumulative_hazard(y.time, entry=y.entry_or_zero())
    elif callable(reference):
        expected = columns.numeric(reference(y.time), "reference", n=n)
        if y.entry is not None:
            expected = expected - columns.numeric(reference(y.entry), "reference", n=n)
    else:
        expected = columns.numeric(reference, "reference", n=n)
    columns.require_finite(expected, "expected events")
    negative = np.flatnonzero(expected < 0)
    if negative.size:
        raise DataError(
            "expected events must not be negative",
            count=int(negative.size),
            row=int(negative[0]),
            values={"expected": expected[negative[0]]},
            remedy="a cumulative hazard does not fall",
        )
    return expected


def _compare(observed: int, expected: float, method: OneSampleP, level: float) -> dict[str, float]:
    if not expected > 0:
        raise DataError(
            "the reference must expect events",
            values={"expected": expected},
            remedy="check units of time and of rates",
        )
    tail = (1.0 - level) / 2.0
    lower = float(chi2.ppf(tail, 2 * observed)) / 2.0 if observed else 0.0
    upper = float(chi2.ppf(1.0 - tail, 2 * (observed + 1))) / 2.0
    statistic = (observed - expected) ** 2 / expected
    match method:
        case "normal":
            p_value = float(chdtrc(1, statistic))
        case "exact":
            below = float(poisson.cdf(observed, expected))
            above = float(poisson.sf(observed - 1, expected))
            p_value = min(1.0, 2.0 * min(below, above))
        case _:
            assert_never(method)
    return {
        "observed": observed,
        "expected": expected,
        "ratio": observed / expected,
        "lower": lower / expected,
        "upper": upper / expected,
        "statistic": statistic,
        "p_value": p_value,
    }
