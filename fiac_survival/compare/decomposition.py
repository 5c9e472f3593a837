r"""Where the gap between two sources comes from, step by step.

From the private estimate on all its patients to the public one on all of its, the path is

.. math:: A \;\to\; A_{\text{linked}}=v(\varnothing)\;\to\;\dots\;\to\; v(N)=B_{\text{linked}}\;\to\; B .

The outer steps have one order: what the sources say of the same patients can be asked of linked patients
only. Inside, N are steps (endpoint, ascertainment, censoring rule, adjustment, horizon) each of which can
be taken the private or the public way, and v(S) is the estimate with those in S taken the public way.
Step k is given its mean effect over all orders (Shapley),

.. math:: \phi_k=\sum_{S\not\ni k}\frac{u(S)\,d(S\cup k)}{u(N)}\,\bigl(v(S\cup k)-v(S)\bigr),

with u(S) the number of feasible orders from nothing to S and d(S) from S to N: |S|! and (|N|-|S|)! where
every order is feasible, fewer where one step must precede another. The contributions add to the gap
exactly. The smallest and the largest effect over the orders are shown beside the mean: where they
differ much, the steps act on each other and the mean is a convention.

With the influence of each person on each v(S), the same combination of influences has the variance of
:math:`\phi_k`, summed over the union of persons, 0 where a person is absent. Intervals allow for the
skewness that few persons bring (:mod:`fiac_survival.compare.paired_intervals`).

Take a scale that is a mean over patients (a restricted mean, a risk): a hazard ratio also changes with
what it is adjusted for, gap or no gap.

Source: Shapley 1953; Shorrocks 2013.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.paired_intervals import Spread
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
Estimate = float | tuple[float, pd.Series]
Value = Callable[[frozenset[str]], Estimate] | Mapping[Any, Estimate] | pd.DataFrame
MOST_STEPS = 12
TO_LINKED = "private: all to linked patients"
FROM_LINKED = "public: linked to all patients"


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Decomposition(Result):
    """Contributions of steps to the gap between two sources.

    Attributes
    ----------
    table : DataFrame
        step, place ("outer" or "inner"), contribution, std_error, lower, upper (NaN without
        influences), smallest, largest (effect over the feasible orders). Contributions add to `gap`.
    runs : DataFrame
        A column per inner step (True: the public way) and the estimate of each run.
    start, end, gap : float
        Private estimate, public estimate, and public minus private.
    n_orders : int
        Feasible orders of the inner steps.
    """

    runs: pd.DataFrame
    start: float
    end: float
    gap: float
    n_orders: int


def decompose(
    value: Value,
    steps: Sequence[str],
    *,
    precedence: Iterable[tuple[str, str]] = (),
    private: Estimate | None = None,
    public: Estimate | None = None,
    level: float = 0.95,
) -> Decomposition:
    """Divide the gap between two sources among the steps that lead from one to the other.

    Parameters
    ----------
    value : callable, mapping or DataFrame
        The estimate on linked patients for each set of steps taken the public way: a function of a
        frozenset of names; or a mapping from sets (or tuples) of names; or a table with a column of
        truth values per step and a column "estimate". An estimate is a number, or a number with the
        influence of each person (a Series indexed by person, weights inside).
    steps : sequence of str
        Names of the inner steps, 12 at most (each doubles the runs).
    precedence : iterable of pairs of str, optional
        (first, second): the first must be taken the public way before the second can be.
    private, public : float, or float and Series, optional
        Estimates on all patients of each source: the outer steps. Default: the linked patients are
        all there are.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    Decomposition
        Contributions that add to the gap, with their range over the orders.

    Raises
    ------
    DataError
        If a run is missing or not finite, a name is unknown or occurs twice, the precedence is
        circular, or only some estimates come with influences.

    References
    ----------
    Shorrocks AF. Decomposition procedures for distributional analysis: a unified framework based on the
    Shapley value. J Econ Inequal 2013;11:99-126.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> runs = {(): 20.0, ("endpoint",): 21.0, ("censoring",): 22.0, ("endpoint", "censoring"): 24.0}
    >>> found = fs.compare.decompose(runs, ["endpoint", "censoring"], private=19.5)
    >>> found.table[["step", "contribution", "smallest", "largest"]].to_numpy().tolist()
    [['private: all to linked patients', 0.5, 0.5, 0.5],
     ['endpoint', 1.5, 1.0, 2.0], ['censoring', 2.5, 2.0, 3.0]]
    """
    normal_quantile(level)
    names = list(steps)
    after = _check_steps(names, list(precedence))
    feasible = _feasible(names, after)
    up, down = _orders(feasible, names)
    everything = frozenset(names)
    runs = {s: _split(_run(value, s, names), s) for s in feasible}
    outer = [(TO_LINKED, private, frozenset[str](), 1), (FROM_LINKED, public, everything, -1)]
    ends = {label: _split(given, label) for label, given, _, _ in outer if given is not None}
    have = [part[1] is not None for part in (*runs.values(), *ends.values())]
    if any(have) and not all(have):
        raise DataError(
            "all estimates must come with influences, or none",
            values={"with": sum(have), "without": len(have) - sum(have)},
            remedy="return (estimate, Series by person) from every run, private and public included",
        )
    rows = []

    def add(step: str, place: str, terms: Mapping[Any, Fraction], effects: list[float]) -> None:
        pool: dict[Any, tuple[float, pd.Series | None]] = {**runs, **ends}
        total = sum((c * Fraction(pool[key][0]) for key, c in terms.items()), Fraction(0))
        spread = _spread([(float(c), pool[key][1]) for key, c in terms.items()])
        middle = float(total)
        lower, upper = spread.interval(middle, level)
        rows.append(
            {
                "step": step,
                "place": place,
                "contribution": middle,
                "std_error": spread.std_error,
                "lower": lower,
                "upper": upper,
                "smallest": min(effects),
                "largest": max(effects),
            }
        )

    def add_outer(label: str, linked: frozenset[str], sign: int) -> None:
        if label in ends:
            change = sign * (runs[linked][0] - ends[label][0])
            add(label, "outer", {linked: Fraction(sign), label: Fraction(-sign)}, [change])

    add_outer(TO_LINKED, outer[0][2], 1)
    for name in names:
        terms: dict[frozenset[str], Fraction] = {}
        effects = []
        for s in feasible:
            grown = s | {name}
            if name in s or grown not in runs:
                continue
            share = Fraction(up[s] * down[grown], up[everything])
            terms[grown] = terms.get(grown, Fraction(0)) + share
            terms[s] = terms.get(s, Fraction(0)) - share
            effects.append(runs[grown][0] - runs[s][0])
        add(name, "inner", terms, effects)
    add_outer(FROM_LINKED, everything, -1)
    start = ends[TO_LINKED][0] if TO_LINKED in ends else runs[frozenset()][0]
    end = ends[FROM_LINKED][0] if FROM_LINKED in ends else runs[everything][0]
    return Decomposition(
        table=pd.DataFrame(rows),
        runs=pd.DataFrame(
            [{**{n: n in s for n in names}, "estimate": runs[s][0]} for s in feasible]
        ),
        start=start,
        end=end,
        gap=end - start,
        n_orders=up[everything],
    )


def _check_steps(names: list[str], precedence: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Find the steps that must come before each step."""
    twice = [name for name in names if names.count(name) > 1]
    if not 1 <= len(names) <= MOST_STEPS or twice:
        raise DataError(
            f"steps must be 1 to {MOST_STEPS} different names",
            values={"steps": len(names), "twice": twice[0] if twice else None},
            remedy="join steps that belong together",
        )
    before: dict[str, set[str]] = {name: set() for name in names}
    for pair in precedence:
        unknown = [name for name in pair if name not in before]
        if unknown:
            raise DataError(
                "precedence must be pairs of steps: (first, second)",
                values={"pair": pair},
                remedy=f"the steps are {', '.join(names)}",
            )
        before[pair[1]].add(pair[0])
    return before


def _feasible(names: list[str], before: dict[str, set[str]]) -> list[frozenset[str]]:
    """List the sets of steps that some feasible order passes through, smaller ones first."""
    out = [
        frozenset(chosen)
        for size in range(len(names) + 1)
        for chosen in combinations(names, size)
        if all(before[name] <= set(chosen) for name in chosen)
    ]
    reached = {frozenset[str]()}
    for s in out:
        if s in reached:
            reached |= {s | {n} for n in names if n not in s and before[n] <= s}
    if frozenset(names) not in reached:
        raise DataError(
            "precedence must not be circular",
            values={"steps": ", ".join(n for n in names if before[n])},
            remedy="drop one of the pairs",
        )
    return [s for s in out if s in reached]


def _orders(
    feasible: list[frozenset[str]], names: list[str]
) -> tuple[dict[frozenset[str], int], dict[frozenset[str], int]]:
    """Numbers of feasible orders from nothing to each set, and from it to all steps."""
    up = {s: int(not s) for s in feasible}
    down = {s: int(len(s) == len(names)) for s in feasible}
    for s in feasible:
        for name in s:
            up[s] += up.get(s - {name}, 0)
    for s in reversed(feasible):
        for name in set(names) - s:
            down[s] += down.get(s | {name}, 0)
    return up, down


def _run(value: Value, chosen: frozenset[str], names: list[str]) -> Estimate | None:
    if isinstance(value, pd.DataFrame):
        missing = [name for name in (*names, "estimate") if name not in value.columns]
        if missing:
            raise DataError(
                "the table of runs must have a column per step, and estimate",
                values={"missing": ", ".join(missing)},
                remedy="one row for each combination of steps",
            )
        wanted = np.array([name in chosen for name in names])
        rows = np.flatnonzero((value[names].to_numpy(dtype=bool) == wanted).all(axis=1))
        return float(value["estimate"].iloc[rows[0]]) if rows.size == 1 else None
    if isinstance(value, Mapping):
        found = [v for key, v in value.items() if frozenset(_names_of(key)) == chosen]
        return found[0] if len(found) == 1 else None
    return value(chosen)


def _names_of(key: Any) -> tuple[str, ...]:
    return (key,) if isinstance(key, str) else tuple(key)


def _split(given: Estimate | None, where: frozenset[str] | str) -> tuple[float, pd.Series | None]:
    """Estimate and influence, checked."""
    label = where if isinstance(where, str) else (", ".join(sorted(where)) or "none")
    number, influence = given if isinstance(given, tuple) else (given, None)
    series: Any = influence
    if number is None or not np.isfinite(number):
        raise DataError(
            "each set of steps must have one finite estimate",
            values={"steps taken the public way": label, "estimate": number},
            remedy="give every combination of steps once",
        )
    if series is not None and not (
        isinstance(series, pd.Series) and np.isfinite(series.to_numpy(dtype=float)).all()
    ):
        raise DataError(
            "influences must be a Series of finite numbers, indexed by person",
            values={"steps taken the public way": label},
            remedy="pass pandas.Series(effect.influence, index=person)",
        )
    return float(number), series


def _spread(parts: list[tuple[float, pd.Series | None]]) -> Spread:
    """Find the spread of a combination of estimates, from the influences of persons."""
    given = [c * series for c, series in parts if series is not None]
    if not given:
        return Spread(std_error=float("nan"))
    sums = pd.concat(given)
    by_person = sums.groupby(sums.index, sort=False).sum().to_numpy(dtype=np.float64)
    return Spread.of(by_person)
