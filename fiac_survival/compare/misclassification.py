r"""Events that a source records wrongly, corrected with what validation says about them.

Of n persons of an arm, a are recorded as events. With sensitivity Se and specificity Sp, the number that
truly had the event is expected to be

.. math:: A=\frac{a-(1-Sp)\,n}{Se+Sp-1},\qquad
          A=a\,\mathrm{PPV}+(n-a)(1-\mathrm{NPV})

with predictive values. Risk ratio, odds ratio, risk difference and, with person-time held as recorded,
rate ratio follow from the corrected numbers.

**Probabilistic.** Validation studies are finite, so that a proportion of k correct of m is drawn from its
Beta(k + 1/2, m - k + 1/2) distribution (Jeffreys), once for both arms or once for each. Each draw gives
one corrected estimate: the systematic interval. For the total interval the recorded events are drawn anew
too, Bin(n, a/n) (Poisson for rates), and corrected with the draw's own proportions, so that chance counts
as it does in the corrected estimate: with known Se and Sp the risk has the variance
:math:`\tfrac{a}{n}(1-\tfrac{a}{n})/(n\,(Se+Sp-1)^2)`. Proportions that the recorded events cannot have
come from (A < 0 or A > n) are dropped and counted.

Source: Lash, Fox, Fink 2009; Fox, Lash, Greenland 2005; Rogan, Gladen 1978 (correction and variance).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns, seeds
from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
Contrast = Literal["risk_ratio", "odds_ratio", "risk_difference", "rate_ratio"]
ARMS = ("treated", "control")
DRAWS = 10_000
NAMES = ("sensitivity", "specificity", "positive_predictive_value", "negative_predictive_value")


@dataclass(frozen=True)
class Validated:
    """A proportion known from a validation study.

    Parameters
    ----------
    correct : int
        Records found correct.
    of : int
        Records checked.

    Raises
    ------
    DataError
        If `correct` is not between 0 and `of`.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.compare.Validated(correct=45, of=50).share
    0.9
    """

    correct: int
    of: int

    def __post_init__(self) -> None:
        if self.of < 1 or not 0 <= self.correct <= self.of:
            raise DataError(
                "correct must lie between 0 and of",
                values={"correct": self.correct, "of": self.of},
                remedy="give numbers of records, not shares",
            )

    @property
    def share(self) -> float:
        """Share found correct."""
        return self.correct / self.of


Proportion = float | Validated | Mapping[str, float | Validated]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Misclassification(Result):
    """An estimate corrected for wrongly recorded events.

    Attributes
    ----------
    table : DataFrame
        analysis ("as recorded", "corrected", "systematic error", "systematic and chance error"),
        estimate, lower, upper. The last two are medians and quantiles of the draws; draws=0
        leaves them out.
    events : DataFrame
        arm, persons, recorded, corrected, sensitivity, specificity, positive_predictive_value,
        negative_predictive_value (at the shares given).
    estimate : float
        Corrected estimate.
    draws : DataFrame
        systematic, total: a row for each draw that was kept.
    share_dropped : float
        Share of draws that could not have given the recorded data.
    """

    events: pd.DataFrame
    estimate: float
    draws: pd.DataFrame
    share_dropped: float


def misclassified_events(
    events: Any,
    persons: Any,
    *,
    sensitivity: Proportion | None = None,
    specificity: Proportion | None = None,
    positive_predictive_value: Proportion | None = None,
    negative_predictive_value: Proportion | None = None,
    measure: Contrast = "risk_ratio",
    person_time: Any = None,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = 0.95,
) -> Misclassification:
    """Correct a comparison of two arms for wrongly recorded events.

    Parameters
    ----------
    events, persons : pair of int
        Recorded events and persons: treated, control.
    sensitivity, specificity : float, Validated or mapping, optional
        Both, or neither. A number is taken as known, a :class:`Validated` is drawn from; one value
        holds (and is drawn) for both arms, a mapping ``{"treated": ..., "control": ...}`` for each.
    positive_predictive_value, negative_predictive_value : float, Validated or mapping, optional
        Instead of the two above.
    measure : {"risk_ratio", "odds_ratio", "risk_difference", "rate_ratio"}, default "risk_ratio"
        What is estimated.
    person_time : pair of float, optional
        For the rate ratio.
    draws : int, default 10000
        Monte Carlo draws; 0 gives the corrected estimate alone.
    seed : int, default 0
        Of the draws.
    level : float, default 0.95
        Level of the intervals.

    Returns
    -------
    Misclassification
        As recorded, corrected, and with the error of the proportions and of chance.

    Raises
    ------
    DataError
        If a number is out of range, or the two ways of saying it are mixed.
    SupportError
        If the proportions contradict the recorded events.

    References
    ----------
    Fox MP, Lash TL, Greenland S. A method to automate probabilistic sensitivity analyses of
    misclassified binary variables. Int J Epidemiol 2005;34:1370-1376.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.compare.misclassified_events(
    ...     [60, 80], [200, 200], sensitivity=0.8, specificity=0.95, draws=0)
    >>> found.events["corrected"].round(2).tolist()
    [66.67, 93.33]
    >>> round(found.estimate, 4)
    0.7143
    """
    require_choice(measure, Contrast, "measure")
    z = normal_quantile(level)
    a, n = _pair(events, "events"), _pair(persons, "persons")
    _check_counts(a, n)
    time = _person_time(person_time, measure)
    predictive = _which(
        sensitivity, specificity, positive_predictive_value, negative_predictive_value
    )
    first = positive_predictive_value if predictive else sensitivity
    second = negative_predictive_value if predictive else specificity
    names = NAMES[2:] if predictive else NAMES[:2]
    known = np.stack([_shares(first, names[0]), _shares(second, names[1])])
    if not predictive and (known.sum(axis=0) <= 1.0).any():
        raise SupportError(
            "sensitivity and specificity must add to more than 1",
            values={"sum": float(known.sum(axis=0).min())},
            remedy="a record no better than chance says nothing",
        )
    corrected = _true_events(a, n, known, predictive)
    bad = np.flatnonzero((corrected < 0) | (corrected > n))
    if bad.size:
        k = int(bad[0])
        raise SupportError(
            "corrected events must lie between 0 and the number of persons",
            values={"arm": ARMS[k], "corrected": float(corrected[k]), "persons": int(n[k])},
            remedy=f"these values of {names[0]} and {names[1]} cannot have given the recorded events",
        )
    recorded = float(_contrast(a[:, None], n, time, measure)[0])
    estimate = float(_contrast(corrected[:, None], n, time, measure)[0])
    error = _std_error(a, n, measure)
    log = measure != "risk_difference"
    low, high = (
        (recorded * np.exp(-z * error), recorded * np.exp(z * error))
        if log
        else (recorded - z * error, recorded + z * error)
    )
    nan = float("nan")
    rows = [("as recorded", recorded, low, high), ("corrected", estimate, nan, nan)]
    kept, dropped = pd.DataFrame({"systematic": [], "total": []}, dtype=np.float64), 0.0
    if draws > 0:
        kept, dropped = _draw(a, n, time, (first, second), predictive, measure, draws, seed)
        tail = (1.0 - level) / 2.0
        for label, column in (
            ("systematic error", "systematic"),
            ("systematic and chance error", "total"),
        ):
            quantiles = np.quantile(kept[column], [0.5, tail, 1.0 - tail], method="inverted_cdf")
            rows.append((label, float(quantiles[0]), float(quantiles[1]), float(quantiles[2])))
    return Misclassification(
        table=pd.DataFrame(rows, columns=["analysis", "estimate", "lower", "upper"]),
        events=_events(a, n, corrected, known, predictive),
        estimate=estimate,
        draws=kept,
        share_dropped=dropped,
    )


def _true_events(a: Floats, n: Floats, shares: Floats, predictive: bool) -> Floats:
    """Correct events; shares (2, 2, ...): which share, arm, draw."""
    if predictive:
        return np.asarray(a * shares[0] + (n - a) * (1.0 - shares[1]))
    return np.asarray((a - (1.0 - shares[1]) * n) / (shares[0] + shares[1] - 1.0))


def _contrast(events: Floats, n: Floats, time: Floats | None, measure: Contrast) -> Floats:
    """Estimates from events (2, draws)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        risk = events / n[:, None]
        match measure:
            case "risk_ratio":
                value = risk[0] / risk[1]
            case "odds_ratio":
                value = risk[0] * (1.0 - risk[1]) / (risk[1] * (1.0 - risk[0]))
            case "risk_difference":
                value = risk[0] - risk[1]
            case "rate_ratio":
                assert time is not None
                value = (events[0] / time[0]) / (events[1] / time[1])
            case _:
                assert_never(measure)
    return np.asarray(value)


def _std_error(a: Floats, n: Floats, measure: Contrast) -> float:
    """Compute a standard error by the delta method, on the log scale for ratios."""
    with np.errstate(divide="ignore"):
        match measure:
            case "risk_ratio":
                variance = np.sum(1.0 / a - 1.0 / n)
            case "odds_ratio":
                variance = np.sum(1.0 / a + 1.0 / (n - a))
            case "risk_difference":
                variance = np.sum(a / n * (1.0 - a / n) / n)
            case "rate_ratio":
                variance = np.sum(1.0 / a)
            case _:
                assert_never(measure)
    return float(np.sqrt(variance))


def _draw(
    a: Floats,
    n: Floats,
    time: Floats | None,
    given: tuple[Proportion | None, Proportion | None],
    predictive: bool,
    measure: Contrast,
    draws: int,
    seed: int,
) -> tuple[pd.DataFrame, float]:
    rng = seeds.stream(seed, "misclassified events")
    shares = np.stack([_drawn(value, rng, draws) for value in given])
    a2, n2 = a[:, None], n[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        true = _true_events(a2, n2, shares, predictive)
        possible = ((true >= 0) & (true <= n2)).all(axis=0)
        if not predictive:
            possible &= (shares.sum(axis=0) > 1.0).all(axis=0)
    if possible.sum() < draws / 20:
        raise SupportError(
            "at least one draw in twenty must be able to have given the recorded events",
            values={"draws": draws, "possible": int(possible.sum())},
            remedy="the proportions contradict the data: check them",
        )
    shares, true = shares[:, :, possible], true[:, possible]
    if measure == "rate_ratio":
        again = np.minimum(rng.poisson(np.broadcast_to(a2, true.shape)), n2)
    else:
        again = rng.binomial(n2.astype(np.int64), np.broadcast_to(a2 / n2, true.shape))
    by_chance = np.clip(_true_events(again, n2, shares, predictive), 0.0, n2)
    table = pd.DataFrame(
        {
            "systematic": _contrast(true, n, time, measure),
            "total": _contrast(by_chance, n, time, measure),
        }
    )
    return table.dropna(ignore_index=True), float(1.0 - possible.mean())


def _drawn(value: Any, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of one proportion for both arms: (2, draws)."""
    if isinstance(value, Mapping):
        return np.stack([_one(value[arm], rng, draws) for arm in ARMS])
    one = _one(value, rng, draws)
    return np.stack([one, one])


def _one(value: float | Validated, rng: np.random.Generator, draws: int) -> Floats:
    if isinstance(value, Validated):
        return rng.beta(value.correct + 0.5, value.of - value.correct + 0.5, draws)
    return np.full(draws, float(value))


def _shares(value: Any, name: str) -> Floats:
    """Proportions of both arms, as given."""
    if isinstance(value, Mapping):
        if set(value) != set(ARMS):
            raise DataError(
                f"{name} must be given for treated and control",
                values={"given": ", ".join(map(str, value))},
                remedy='pass {"treated": ..., "control": ...}, or one value for both',
            )
        values = [value[arm] for arm in ARMS]
    else:
        values = [value, value]
    shares = np.array([v.share if isinstance(v, Validated) else float(v) for v in values])
    if not ((shares >= 0.0) & (shares <= 1.0)).all():
        raise DataError(
            f"{name} must lie between 0 and 1",
            values={name: float(shares[0])},
            remedy="divide percentages by 100",
        )
    return shares


def _which(*given: Proportion | None) -> bool:
    """Whether predictive values were given."""
    there = [value is not None for value in given]
    if there not in ([True, True, False, False], [False, False, True, True]):
        raise DataError(
            "give sensitivity and specificity, or both predictive values",
            values={"given": ", ".join(n for n, t in zip(NAMES, there, strict=True) if t) or None},
            remedy="a missing one may be set to 1 if records of that kind are never wrong",
        )
    return there[2]


def _pair(values: Any, name: str) -> Floats:
    return columns.require_finite(columns.numeric(values, name, n=2), name)


def _check_counts(a: Floats, n: Floats) -> None:
    bad = np.flatnonzero((a < 0) | (a > n) | (n < 1) | (a != np.floor(a)) | (n != np.floor(n)))
    if bad.size:
        k = int(bad[0])
        raise DataError(
            "events must be whole numbers from 0 to the number of persons",
            values={"arm": ARMS[k], "events": float(a[k]), "persons": float(n[k])},
            remedy="pass events and persons in the order treated, control",
        )


def _person_time(person_time: Any, measure: Contrast) -> Floats | None:
    if (person_time is None) == (measure == "rate_ratio"):
        raise DataError(
            "person_time goes with the rate ratio, and the rate ratio needs it",
            values={
                "measure": measure,
                "person_time": "missing" if person_time is None else "given",
            },
            remedy="pass person_time=[treated, control], or another measure",
        )
    if person_time is None:
        return None
    time = _pair(person_time, "person_time")
    if (time <= 0).any():
        rule = "person_time must be positive"
        raise DataError(rule, values={"person_time": float(time.min())}, remedy="pass time at risk")
    return time


def _events(a: Floats, n: Floats, true: Floats, known: Floats, predictive: bool) -> pd.DataFrame:
    with np.errstate(divide="ignore", invalid="ignore"):
        if predictive:
            ppv, npv = known
            se, sp = a * ppv / true, (n - a) * npv / (n - true)
        else:
            se, sp = known
            ppv, npv = se * true / a, sp * (n - true) / (n - a)
    return pd.DataFrame(
        {
            "arm": ARMS,
            "persons": n.astype(np.int64),
            "recorded": a.astype(np.int64),
            "corrected": true,
            "sensitivity": se,
            "specificity": sp,
            "positive_predictive_value": ppv,
            "negative_predictive_value": npv,
        }
    )
