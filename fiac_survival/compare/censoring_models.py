r"""Models of the hazard of censoring, read as cumulative hazards of single rows.

:math:`\log G(t\mid x) = -\{H(t)-H(\text{entry})\}` plus what a person's earlier rows add. Product limit:
H is minus the sum of :math:`\log(1-d/Y)`. Cox: :math:`e^{x'\beta}` times Breslow's cumulative hazard.
Pooled logistic regression: minus the sum of :math:`\log(1-p_j(x))` over the intervals that end by t.
Who has an event at c is not at risk of being censored at c.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.design import Design
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.cox import cox
from fiac_survival.weighting.propensity import logistic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class CensoringRows:
    """Rows, their group and person, and whether they end in being lost."""

    y: Outcome
    group: Ints
    person: Ints
    lost: Bools

    def start_of(self, row: Ints) -> Floats:
        """Entries of rows."""
        return self.y.entry_or_zero()[row]


@dataclass(frozen=True, eq=False)
class Hazards:
    """A cumulative hazard for each row: `read(rows, times, before)`, and the model that it is of."""

    read: Callable[[Ints, Floats, bool], Floats]
    coefficients: pd.DataFrame | None = None
    n_iter: int = 0
    gradient_norm: float = 0.0

    def cumulative(self, row: Ints, times: Floats, *, before: bool = False) -> Floats:
        """Cumulative hazard of rows at times, `before`: without censorings at the time itself."""
        return self.read(row, times, before)

    def carried(self, rows: CensoringRows) -> Floats:
        """Add up what a person's earlier rows contribute to log G."""
        every = np.arange(len(rows.y))
        spent = self.read(every, rows.y.time, False) - self.read(every, rows.start_of(every), False)
        # A row that ends in an event or in being lost is a person's last.
        order = np.lexsort((rows.y.time, rows.person))
        sums = np.cumsum(spent[order]) - spent[order]
        new = np.append(True, rows.person[order][1:] != rows.person[order][:-1])
        sums -= sums[np.flatnonzero(new)][np.cumsum(new) - 1]
        out = np.empty_like(sums)
        out[order] = -sums
        return out


def _at_risk(start: Floats, stop: Floats, leaves: Bools, times: Floats) -> Ints:
    """Numbers at risk of being censored at ascending times: `leaves` marks rows that end in an event."""
    n = np.searchsorted(np.sort(stop[leaves]), times, side="right")
    n += np.searchsorted(np.sort(stop[~leaves]), times, side="left")
    return np.asarray(np.searchsorted(np.sort(start), times, side="left") - n)


def product_limit(rows: CensoringRows) -> Hazards:
    """Product-limit curve of censoring in each group.

    Parameters
    ----------
    rows : CensoringRows
        The rows.

    Returns
    -------
    Hazards
        Where all at risk are lost at once nothing is carried on: nobody is left to weigh.
    """
    entry = rows.y.entry_or_zero()
    grids, sums = [], []
    for g in range(int(rows.group.max()) + 1):
        mine = rows.group == g
        grid, lost = np.unique(rows.y.time[mine & rows.lost], return_counts=True)
        n = _at_risk(entry[mine], rows.y.time[mine], rows.y.event[mine] > 0, grid)
        step = np.where(n > lost, -np.log1p(-lost / np.maximum(n, lost + 1)), 0.0)
        grids.append(grid)
        sums.append(np.concatenate([[0.0], np.cumsum(step)]))
    return Hazards(_by_group(rows.group, grids, sums, np.ones(len(rows.y))))


def _by_group(
    group: Ints, grids: list[Floats], sums: list[Floats], relative: Floats
) -> Callable[[Ints, Floats, bool], Floats]:
    def read(row: Ints, times: Floats, before: bool) -> Floats:
        out = np.empty(row.size)
        owner = group[row]
        for g, (grid, total) in enumerate(zip(grids, sums, strict=True)):
            mine = owner == g
            out[mine] = total[
                np.searchsorted(grid, times[mine], side="left" if before else "right")
            ]
        return out * relative[row]

    return read


def cox_hazard(rows: CensoringRows, design: Design) -> Hazards:
    """Cox model of censoring, stratified by group.

    Parameters
    ----------
    rows : CensoringRows
        The rows.
    design : Design
        Covariates.

    Returns
    -------
    Hazards
        With the model's coefficients.
    """
    y = rows.y
    entry = y.entry_or_zero()
    grid = np.unique(np.concatenate([y.time, entry]))
    # Events at the k-th time first, then censorings, then entries.
    stop = 2.0 * np.searchsorted(grid, y.time) + (y.event == 0) + 1.0
    start = np.where(entry > 0, 2.0 * np.searchsorted(grid, entry) + 2.0, 0.0)
    centre = design.values.mean(axis=0)
    z = pd.DataFrame(design.values - centre, columns=design.columns)
    late = None if y.entry is None else start
    several = int(rows.group.max()) > 0
    model = cox(
        Outcome(stop, rows.lost, entry=late),
        z,
        ties="breslow",
        strata=rows.group if several else None,
    )
    baseline = model.baseline()
    grids, sums = [], []
    for g in range(int(rows.group.max()) + 1):
        mine = baseline[baseline["stratum"] == g] if several else baseline
        place = ((mine["time"].to_numpy() - 2.0) / 2.0).astype(np.int64)
        grids.append(grid[place])
        sums.append(np.concatenate([[0.0], mine["cumulative_hazard"].to_numpy()]))
    relative = np.exp(z.to_numpy() @ model.coef.to_numpy())
    return Hazards(
        _by_group(rows.group, grids, sums, relative),
        model.table[["term", "coef", "std_error"]],
        model.n_iter,
        model.gradient_norm,
    )


def pooled_hazard(rows: CensoringRows, design: Design, cuts: Floats) -> Hazards:
    """Pooled logistic regression of being lost within an interval.

    Parameters
    ----------
    rows : CensoringRows
        The rows.
    design : Design
        Covariates.
    cuts : (m,) float64
        Ends of the intervals, ascending; after the last one nobody is lost to the model.

    Returns
    -------
    Hazards
        Steps at the ends of intervals.

    Raises
    ------
    DataError
        If nobody is lost within the intervals.
    """
    start, stop = rows.y.entry_or_zero(), rows.y.time
    first = np.searchsorted(cuts, start, side="right")
    last = np.minimum(np.searchsorted(cuts, stop, side="left"), cuts.size - 1)
    count = np.maximum(last - first + 1, 0)
    row = np.repeat(np.arange(stop.size), count)
    interval = first[row] + np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    gone = rows.lost[row] & (interval == np.searchsorted(cuts, stop, side="left")[row])
    several = int(rows.group.max()) > 0
    cell = rows.group[row] * cuts.size + interval
    lost = np.bincount(cell[gone], minlength=(int(rows.group.max()) + 1) * cuts.size)
    if not lost.any():
        raise DataError("somebody must be lost within the intervals", values={"cuts": cuts.size})
    # In a cell without losses the probability is 0: it has no coefficient.
    used = np.flatnonzero(lost[cell] > 0)
    cells = np.flatnonzero(lost > 0)
    dummies = (cell[used][:, None] == cells[None, 1:]).astype(np.float64)
    names = [
        f"interval {c % cuts.size + 1}" + (f", group {c // cuts.size}" if several else "")
        for c in cells[1:]
    ]
    fitted = logistic(
        np.concatenate([design.values[row[used]], dummies], axis=1),
        [*design.columns, *names],
        gone[used],
    )
    p = design.values.shape[1]
    level = np.full(lost.size, -np.inf)
    level[cells] = fitted.coef[0] + np.concatenate([[0.0], fitted.coef[1 + p :]])
    linear = design.values @ fitted.coef[1 : 1 + p]

    def read(which: Ints, times: Floats, before: bool) -> Floats:
        ended = np.searchsorted(cuts, times, side="left" if before else "right")
        out = np.zeros(which.size)
        for j in range(cuts.size):
            logit = level[rows.group[which] * cuts.size + j] + linear[which]
            out += np.where(ended > j, np.logaddexp(0.0, logit), 0.0)
        return out

    table = pd.DataFrame({"term": ["(intercept)", *design.columns, *names], "coef": fitted.coef})
    return Hazards(read, table, fitted.n_iter, fitted.gradient_norm)
