"""From a risk table, or rows, to the grid on which every nonparametric estimator stands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.risk_table import RiskTable
from fiac_survival.kernels.step_curves import (
    jackknife_increments,
    jackknife_variance,
    jackknife_variance_clustered,
    product_limit,
    sum_at_risk,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Steps:
    """Counts of one group on its grid of distinct exit times, and the cells they came from.

    Attributes
    ----------
    label : object
        The group.
    time : (m,) float64
        Distinct exit times.
    n_risk, n_event, n_censor : (m,) int64
        Rows at risk, with event, censored.
    w_risk, w_event, w_censor : (m,) float64
        The same in weight; equal to the counts without weights.
    hazard, survival : (m,) float64
        Increments dΛ and the Kaplan-Meier curve.
    first, last : (k,) int64
        Grid indices between which each cell is at risk.
    event : (k,) bool
        Whether the cell's exit is an event.
    mass : (k,) float64
        Σw² of each cell.
    entry, cell_n, cell_weight : (k,) float64
        Entry time, rows and Σw of each cell.
    weighted : bool
        Whether weights were given.
    """

    label: Any
    time: Floats
    n_risk: Ints
    n_event: Ints
    n_censor: Ints
    w_risk: Floats
    w_event: Floats
    w_censor: Floats
    hazard: Floats
    survival: Floats
    first: Ints
    last: Ints
    event: NDArray[np.bool_]
    mass: Floats
    entry: Floats
    cell_n: Floats
    cell_weight: Floats
    weighted: bool

    @property
    def all_fail(self) -> NDArray[np.bool_]:
        """Where every row at risk has the event."""
        return np.asarray((self.n_risk == self.n_event) & (self.n_event > 0))

    @property
    def last_time(self) -> float:
        """Last exit time of the group."""
        return float(self.time[-1])

    def increments(self) -> tuple[Floats, Floats]:
        """Jackknife step and jump at each grid time.

        Returns
        -------
        step, jump : (m,) float64
            What a row at risk loses and what an event adds.
        """
        step, jump = np.empty_like(self.time), np.empty_like(self.time)
        jackknife_increments(self.w_risk, self.hazard, self.all_fail, step, jump)
        return step, jump

    def jackknife_variance(self) -> Floats:
        """Variance of the curve at each grid time, cells being independent.

        Returns
        -------
        (m,) float64
            Infinitesimal-jackknife variance.
        """
        step, jump = self.increments()
        out = np.empty_like(self.time)
        jackknife_variance(
            step,
            jump,
            self.survival,
            self.first,
            self.last,
            self.event,
            self.mass,
            np.argsort(self.first, kind="stable"),
            np.argsort(self.last, kind="stable"),
            out,
        )
        return out

    def clustered_variance(self, rows: RowsOfGroup) -> Floats:
        """Variance of the curve at each grid time, rows coming in clusters.

        Parameters
        ----------
        rows : RowsOfGroup
            Rows on this grid with their clusters.

        Returns
        -------
        (m,) float64
            Infinitesimal-jackknife variance.
        """
        step, jump = self.increments()
        out = np.empty_like(self.time)
        codes, n_cluster = _recode(rows.cluster)
        jackknife_variance_clustered(
            step,
            jump,
            self.survival,
            rows.first,
            rows.last,
            rows.event,
            rows.weight,
            codes,
            n_cluster,
            np.argsort(rows.first, kind="stable"),
            np.argsort(rows.last, kind="stable"),
            out,
        )
        return out

    def at_risk(self, times: Floats, *, in_weight: bool) -> Floats:
        """Count those at risk just before given times, on the grid or between.

        Parameters
        ----------
        times : (t,) float64
            Times.
        in_weight : bool
            Sums of weights instead of rows.

        Returns
        -------
        (t,) float64
            Those who have entered before and leave at or after each time.
        """
        here = np.searchsorted(self.time, times, side="left")
        risk = self.w_risk if in_weight and self.weighted else self.n_risk.astype(np.float64)
        out = np.append(risk, 0.0)[here]
        late = np.flatnonzero(self.entry > 0)
        if late.size:
            # Those who enter between the time and the next exit are at risk there, but not yet.
            amount = (self.cell_weight if in_weight and self.weighted else self.cell_n)[late]
            order = np.argsort(self.entry[late], kind="stable")
            entry = self.entry[late][order]
            entered = np.concatenate([[0.0], np.cumsum(amount[order])])
            until = np.append(self.time, np.inf)[here]
            coming = (
                entered[np.searchsorted(entry, until, side="left")]
                - entered[np.searchsorted(entry, times, side="left")]
            )
            out = np.where(here < self.time.size, out - coming, 0.0)
        return np.asarray(out)

    def place(self, entry: Floats, time: Floats) -> tuple[Ints, Ints]:
        """Grid indices between which rows are at risk.

        Parameters
        ----------
        entry, time : (n,) float64
            Entry and exit times of rows of this group.

        Returns
        -------
        first, last : (n,) int64
            Indices on the grid, both included.
        """
        return place(self.time, entry, time)


@dataclass(frozen=True, eq=False)
class RowsOfGroup:
    """Rows of one group placed on its grid, for variances that need rows."""

    index: Ints
    first: Ints
    last: Ints
    event: NDArray[np.bool_]
    weight: Floats
    cluster: Ints


def _recode(cluster: Ints) -> tuple[Ints, int]:
    used, codes = np.unique(cluster, return_inverse=True)
    return codes.astype(np.int64), int(used.size)


def place(grid: Floats, entry: Floats, time: Floats) -> tuple[Ints, Ints]:
    """Place rows on a grid of exit times.

    Parameters
    ----------
    grid : (m,) float64
        Distinct exit times, ascending.
    entry, time : (n,) float64
        Entry and exit of each row; entry 0 means at risk from the start, time 0 included.

    Returns
    -------
    first, last : (n,) int64
        Grid indices between which each row is at risk, both included.
    """
    last = np.searchsorted(grid, time, side="right") - 1
    first = np.searchsorted(grid, entry, side="right")
    first[entry == 0.0] = 0
    return first.astype(np.int64), last.astype(np.int64)


def steps_by_group(table: RiskTable) -> list[Steps]:
    """Make the grid of each group, strata added together.

    Parameters
    ----------
    table : RiskTable
        The sufficient statistic.

    Returns
    -------
    list of Steps
        In the order of the group labels.
    """
    frame = table.table
    labels = frame["group"].to_numpy()
    change = np.flatnonzero(np.concatenate([[True], labels[1:] != labels[:-1]]))
    bounds = np.append(change, labels.size)
    columns = {
        name: frame[name].to_numpy()
        for name in ("entry", "time", "status", "n", "weight", "weight_sq")
    }
    return [
        steps_from_cells(
            frame["group"].iloc[a],
            {name: column[a:b] for name, column in columns.items()},
            weighted=table.weighted,
        )
        for a, b in pairwise(bounds)
    ]


def steps_from_cells(label: Any, cells: dict[str, NDArray[Any]], *, weighted: bool) -> Steps:
    """Make the grid of one group from its cells.

    Parameters
    ----------
    label : object
        The group.
    cells : dict of arrays
        entry, time, status, n, weight, weight_sq.
    weighted : bool
        Whether weights were given.

    Returns
    -------
    Steps
        Counts, hazard increments and the Kaplan-Meier curve.
    """
    entry, exit_time = cells["entry"], cells["time"]
    grid = np.unique(exit_time)
    first, last = place(grid, entry, exit_time)
    event = cells["status"] > 0
    m = grid.size
    n = cells["n"].astype(np.float64)
    weight = cells["weight"]

    def total(amount: Floats, rows: NDArray[np.bool_]) -> Floats:
        return np.asarray(
            np.bincount(last[rows], weights=amount[rows], minlength=m), dtype=np.float64
        )

    def at_risk(amount: Floats) -> Floats:
        out = np.empty(m)
        sum_at_risk(first, last, amount, out)
        return out

    n_risk = at_risk(n).astype(np.int64)
    n_event = total(n, event).astype(np.int64)
    n_censor = total(n, ~event).astype(np.int64)
    if weighted:
        w_risk, w_event, w_censor = at_risk(weight), total(weight, event), total(weight, ~event)
    else:
        w_risk, w_event, w_censor = (c.astype(np.float64) for c in (n_risk, n_event, n_censor))
    hazard, survival = np.empty(m), np.empty(m)
    all_fail = (n_risk == n_event) & (n_event > 0)
    product_limit(w_risk, w_event, all_fail, hazard, survival)
    return Steps(
        label=label,
        time=grid,
        n_risk=n_risk,
        n_event=n_event,
        n_censor=n_censor,
        w_risk=w_risk,
        w_event=w_event,
        w_censor=w_censor,
        hazard=hazard,
        survival=survival,
        first=first,
        last=last,
        event=event,
        mass=cells["weight_sq"],
        entry=entry,
        cell_n=n,
        cell_weight=weight,
        weighted=weighted,
    )
