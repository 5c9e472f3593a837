"""Rows that go with persons matched with a rate table: their checks, and their grid of times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.population import Population

Floats = NDArray[np.float64]


def require_matched_rows(y: Outcome, population: Population, method: str) -> None:
    """Refuse what cannot be compared with a population.

    Parameters
    ----------
    y : Outcome
        Rows.
    population : Population
        The same persons.
    method : str
        Name of the method, for messages.

    Raises
    ------
    DataError
        If either is of another kind, there are several causes, or lengths differ.
    """
    if not isinstance(y, Outcome):
        raise DataError(
            f"{method} takes an Outcome",
            values={"type": type(y).__name__},
            remedy="make one: fs.Outcome(time, event)",
        )
    y.require_binary(method, "aalen_johansen")
    if not isinstance(population, Population):
        raise DataError(
            f"{method} takes persons matched with a rate table",
            values={"type": type(population).__name__},
            remedy="pass RateTable.from_frame(...).match(age, date, sex=...)",
        )
    if len(population) != len(y):
        raise DataError(
            "the population must have one row per outcome",
            values={"rows": len(population), "outcomes": len(y)},
            remedy="match the table that the outcome was made from",
        )


def event_grid(y: Outcome, until: Floats | None, step: float | None) -> Floats:
    """List the ends of the intervals of integration: all entries and exits, and what is asked for.

    Parameters
    ----------
    y : Outcome
        Rows.
    until : (n,) float64 or None
        Further times, cut at the last exit.
    step : float or None
        Longest interval.

    Returns
    -------
    (m,) float64
        Ascending, positive.
    """
    points = [y.time, y.entry_or_zero()]
    if until is not None:
        points.append(np.minimum(until, y.max_time))
    if step is not None:
        points.append(np.arange(step, y.max_time, step))
    grid = np.unique(np.concatenate(points))
    return np.asarray(grid[grid > 0])
