r"""Can a small count be solved back? An integer programme over all linear outputs.

For every count :math:`1,\dots,k-1` behind the outputs (:math:`k` the threshold), with :math:`X` the set
of all whole-number counts that agree with every statement (:mod:`fiac_survival.disclosure.outputs`),

.. math:: \max_{x\in X} x_c - \min_{x\in X} x_c \ge k

must hold. Both ends are found by branch and bound (HiGHS, without a gap). A count that is not
known here (of an earlier release) must not be certain to be small: its largest feasible value must be 0
or at least :math:`k`.

Four reductions lose nothing. Statements that share no cell are solved apart. Parts that enter one sum and
nothing else can stand for each other: if there are two or more, each has the range from 0 to the largest
value of their sum. The counts themselves are feasible, so that :math:`x_c+k` need only be reached from
below, or :math:`x_c-k` from above: no search goes beyond, and one of the two is often enough. And a table
that shows a distance of k is remembered for the other counts in it.

Each search has a limit of time. What it found until then is checked and counts; if that decides nothing the
count is **undecided**, and an audit with an undecided count has not passed.

Source: Fischetti and Salazar-González 2001 for the attacker's problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from fiac_survival.core.errors import DisclosureError
from fiac_survival.disclosure.feasible import SECONDS, System, Verdict
from fiac_survival.disclosure.outputs import (
    Cell,
    LinearOutputs,
    Sum,
    complete_truth,
    join,
    nested_rests,
)


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit found.

    Attributes
    ----------
    threshold : int
        Smallest count that may be solved back.
    n_outputs, n_counts : int
        Released numbers, and small or unknown counts that were examined.
    leaks : tuple of Cell
        Counts that can be solved back, or too nearly.
    undecided : tuple of Cell
        Counts for which the time did not suffice.
    """

    threshold: int
    n_outputs: int
    n_counts: int
    leaks: tuple[Cell, ...]
    undecided: tuple[Cell, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every count was decided, and none leaks."""
        return not self.leaks and not self.undecided

    @property
    def table(self) -> pd.DataFrame:
        """Names of counts that did not pass, without the counts: population, measure, where, verdict."""
        rows = [
            (c.population, c.measure, ", ".join(f"{k}={v}" for k, v in c.where), verdict)
            for verdict, cells in (("leaks", self.leaks), ("undecided", self.undecided))
            for c in cells
        ]
        return pd.DataFrame(rows, columns=["population", "measure", "where", "verdict"])

    def require(self) -> None:
        """Refuse what did not pass.

        Raises
        ------
        DisclosureError
            Naming the first count that leaks or is undecided; the count itself is not shown.
        """
        if self.leaks:
            raise DisclosureError(
                f"no count from 1 to {self.threshold - 1} may be solved back from the outputs",
                values={"first": str(self.leaks[0]), "counts": len(self.leaks)},
                remedy="leave an output out, join categories, or round",
            )
        if self.undecided:
            raise DisclosureError(
                "the audit must decide on every small count in time",
                values={"first": str(self.undecided[0]), "counts": len(self.undecided)},
                remedy="release fewer outputs at once, or give the audit more seconds",
            )

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else f"{len(self.leaks)} counts leak"
        if self.undecided:
            verdict += f", {len(self.undecided)} undecided"
        return f"Audit({verdict}; {self.n_outputs} outputs, {self.n_counts} counts examined)"


def audit(
    outputs: LinearOutputs | Iterable[LinearOutputs],
    *,
    threshold: int = 11,
    within: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Audit:
    """Try to solve small counts back from outputs.

    Parameters
    ----------
    outputs : LinearOutputs or iterable of LinearOutputs
        All outputs of a study, and those of earlier releases.
    threshold : int, default 11
        No count below it, zero apart, may be known to less than this width.
    within : mapping of str to str, optional
        For a population the one that contains it.
    seconds : float, default 20
        Longest time for one search; there are at most two for each count from 1 to threshold - 1.

    Returns
    -------
    Audit
        What was found.

    Raises
    ------
    DisclosureError
        If outputs of the same name contradict each other, or the seconds are not positive.

    Examples
    --------
    >>> from fiac_survival.disclosure import Cell, LinearOutputs, Released, Sum, audit
    >>> total, small, large = (Cell("all", "n", w) for w in ((), (("sex", "F"),), (("sex", "M"),)))
    >>> known = LinearOutputs(
    ...     (Released(total, 40, 40), Released(large, 37, 37)),
    ...     (Sum(total, (small, large)),),
    ...     {total: 40, small: 3, large: 37},
    ... )
    >>> audit(known).passed
    False
    """
    parts = [outputs] if isinstance(outputs, LinearOutputs) else list(outputs)
    whole = with_rests(join(parts), threshold, within or {})
    system = System(whole, seconds=seconds)
    found: dict[Verdict, list[Cell]] = {"safe": [], "leaks": [], "undecided": []}
    for cell in whole.cells:
        count = whole.truth.get(cell)
        if count is None:
            found[system.known_small(cell, threshold)].append(cell)
        elif 1 <= count < threshold:
            found[system.judge(cell, threshold)].append(cell)
    return Audit(
        threshold,
        len(whole.released),
        sum(map(len, found.values())),
        tuple(found["leaks"]),
        tuple(found["undecided"]),
    )


def with_rests(
    outputs: LinearOutputs, threshold: int, within: Mapping[str, str] | None = None
) -> LinearOutputs:
    """Add the differences of nested counts, where they are small or not known.

    Parameters
    ----------
    outputs : LinearOutputs
        What is released.
    threshold : int
        Smallest count that may leave.
    within : mapping of str to str, optional
        For a population the one that contains it.

    Returns
    -------
    LinearOutputs
        With further sums.
    """
    known = complete_truth(outputs)
    seen = {r.cell for r in outputs.released}
    kept: list[Sum] = []
    for rest in nested_rests(known, within or {}):
        counts = [known.truth.get(c) for c in (rest.total, rest.parts[0])]
        if counts[0] is not None and counts[1] is not None:
            if 1 <= counts[0] - counts[1] < threshold:
                kept.append(rest)
        elif rest.total in seen and rest.parts[0] in seen:
            kept.append(rest)
    return complete_truth(LinearOutputs(known.released, (*known.sums, *kept), known.truth))
