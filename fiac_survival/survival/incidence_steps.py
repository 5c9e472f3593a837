r"""Competing risks on a grid: events by cause, the event-free curve, cumulative incidences.

With :math:`d\Lambda_k=D_k/Y` for cause k and :math:`S(t)=\prod_{s\le t}(1-\sum_k d\Lambda_k(s))`,

.. math:: F_k(t)=\sum_{s\le t} S(s-)\,d\Lambda_k(s), \qquad S(t)+\sum_k F_k(t)=1 .

The influence of row i (of unit weight) on :math:`F_k(t)`, with :math:`dM_k=dN_k-Y_i\,d\Lambda_k` and
:math:`dM=\sum_k dM_k`, is

.. math:: G_i(t)=\sum_{s\le t}\Bigl\{\frac{S(s-)}{Y(s)}dM_{ik}(s)
          -\frac{F_k(t)-F_k(s)}{Y(s)(1-d\Lambda(s))}dM_i(s)\Bigr\},

and on :math:`\int_0^\tau F_k` its integral. The second addend is 0 where every row at risk has an event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import ALL, RiskTable, require_positive_weights
from fiac_survival.kernels.competing import incidence_variance
from fiac_survival.survival.inputs import Source, as_risk_table
from fiac_survival.survival.steps import RowsOfGroup, Steps, steps_from_cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CauseSteps:
    """One group on its grid, by cause.

    Attributes
    ----------
    steps : Steps
        Counts and curve of the first event, of whatever cause.
    causes : (K,) int64
        Codes of the causes that occur anywhere in the data.
    status : (k,) int32 or int64
        Status of each cell of `steps`.
    n_event : (K, m) int64
        Rows with an event of each cause.
    w_event : (K, m) float64
        The same in weight.
    rise : (K, m) float64
        Increments S(s-) dΛ_k(s).
    incidence : (K, m) float64
        Cumulative incidences.
    """

    steps: Steps
    causes: Ints
    status: NDArray[Any]
    n_event: Ints
    w_event: Floats
    rise: Floats
    incidence: Floats

    @property
    def before(self) -> Floats:
        """Event-free curve just before each grid time, shape (m,)."""
        return np.concatenate([[1.0], self.steps.survival[:-1]])

    @property
    def own(self) -> Floats:
        """S(s-)/Y(s) at each grid time, 0 where nobody is at risk, shape (m,)."""
        out = np.zeros_like(self.steps.time)
        np.divide(self.before, self.steps.w_risk, out=out, where=self.steps.n_risk > 0)
        return out

    def certain(self, k: int) -> NDArray[np.bool_]:
        """Where everybody has had an event, all of them of cause number k, shape (m,)."""
        total = np.cumsum(self.n_event, axis=1)
        return np.asarray((self.steps.survival == 0.0) & (total[k] == total.sum(axis=0)))

    def variance(self, k: int, rows: RowsOfGroup | None, event: NDArray[Any] | None) -> Floats:
        """Variance of the incidence of one cause at each grid time.

        Parameters
        ----------
        k : int
            Number of the cause in `causes`.
        rows : RowsOfGroup or None
            Rows with clusters; None if the cells are of independent rows.
        event : (n,) int or None
            Event codes of those rows.

        Returns
        -------
        (m,) float64
            Infinitesimal-jackknife variance.
        """
        s = self.steps
        step, jump = s.increments()
        own = self.own
        drift = np.zeros_like(own)
        np.divide(self.rise[k], s.w_risk, out=drift, where=s.n_risk > 0)
        first, last = (s.first, s.last) if rows is None else (rows.first, rows.last)
        status = self.status if rows is None else event
        assert status is not None
        if rows is None:
            weight = np.ones(first.size)
            cluster, multiple = np.arange(first.size), s.mass
        else:
            weight = rows.weight
            used, cluster = np.unique(rows.cluster, return_inverse=True)
            multiple = np.ones(used.size)
        kind = (status > 0).astype(np.int8) + (status == self.causes[k])
        out = np.empty_like(s.time)
        incidence_variance(
            self.rise[k],
            drift,
            own,
            step,
            jump,
            first,
            last,
            kind,
            weight,
            cluster.astype(np.int64),
            multiple,
            np.argsort(first, kind="stable"),
            np.argsort(last, kind="stable"),
            out,
        )
        out[self.certain(k)] = 0.0
        return out

    def influence(
        self, k: int, first: Ints, last: Ints, status: NDArray[Any], horizon: float
    ) -> Floats:
        """Influence of rows on the incidence of one cause at a time, each of unit weight.

        Parameters
        ----------
        k : int
            Number of the cause in `causes`.
        first, last : (n,) int64
            Grid indices between which each row is at risk.
        status : (n,) int
            Event codes of the rows.
        horizon : float
            Time.

        Returns
        -------
        (n,) float64
            G_i(t).
        """
        inside = self.steps.time <= horizon
        end = int(np.count_nonzero(inside))
        level = self.incidence[k, end - 1] if end else 0.0
        coming = np.where(inside, level - self.incidence[k], 0.0)
        return self._influence(k, first, last, status, inside.astype(np.float64), coming)

    def _influence(
        self,
        k: int,
        first: Ints,
        last: Ints,
        status: NDArray[Any],
        direct: Floats,
        after: Floats,
    ) -> Floats:
        """Influence with weights `direct` of an event of the cause and `after` of what it prevents."""
        step, jump = self.steps.increments()
        own = self.own * direct
        drift = np.zeros_like(own)
        np.divide(self.rise[k] * direct, self.steps.w_risk, out=drift, where=self.steps.n_risk > 0)
        lost = np.concatenate([[0.0], np.cumsum(drift - step * after)])
        stop = np.maximum(last + 1, first)
        out = lost[first] - lost[stop]
        seen = first <= last
        ended = seen & (status > 0)
        out[ended] -= (jump * after)[last[ended]]
        mine = seen & (status == self.causes[k])
        out[mine] += own[last[mine]]
        return np.asarray(out)

    def lost_time(self, k: int, tau: float) -> float:
        """Area under the incidence of one cause between 0 and a horizon.

        Parameters
        ----------
        k : int
            Number of the cause in `causes`.
        tau : float
            Horizon.

        Returns
        -------
        float
            Restricted mean time lost.
        """
        return float(np.sum(self.rise[k] * np.maximum(tau - self.steps.time, 0.0)))

    def lost_time_influence(
        self, k: int, first: Ints, last: Ints, status: NDArray[Any], tau: float
    ) -> Floats:
        """Influence of rows on the restricted mean time lost, each of unit weight.

        Parameters
        ----------
        k, first, last, status
            As in :meth:`influence`.
        tau : float
            Horizon.

        Returns
        -------
        (n,) float64
            Integral of G_i from 0 to τ.
        """
        left = np.maximum(tau - self.steps.time, 0.0)
        rise = self.rise[k] * left
        coming = np.concatenate([np.cumsum(rise[::-1])[::-1][1:], [0.0]])
        return self._influence(k, first, last, status, left, coming)


def cause_steps(
    y: Source, method: str, *, group: Any = None, weights: Any = None, **needs_rows: Any
) -> list[CauseSteps]:
    """Put each group on its grid, by cause.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    method : str
        Name of the estimator, for messages.
    group, weights : array-like, optional
        Only with rows.
    **needs_rows
        Further options that only rows can serve.

    Returns
    -------
    list of CauseSteps
        In the order of the group labels.

    Raises
    ------
    DataError
        If a risk table comes with options that need rows, or there is no event.
    """
    by_row = isinstance(y, Outcome) and not (y.whole_times and y.entry is None)
    if by_row:
        assert isinstance(y, Outcome)
        parts, weighted = _cells_of_rows(y, group, weights)
    else:
        table = as_risk_table(y, method, group=group, weights=weights, causes=True, **needs_rows)
        parts, weighted = _cells_of_table(table), table.weighted
    seen = [np.unique(cells["status"]) for _, cells in parts]
    causes = np.unique(np.concatenate(seen)).astype(np.int64)
    causes = causes[causes > 0]
    if causes.size == 0:
        raise DataError(
            f"{method} needs at least one event",
            values={"events": 0},
            remedy="all rows are censored: check the coding of event (0 = censored)",
        )
    return [
        _by_cause(steps_from_cells(label, cells, weighted=weighted), cells["status"], causes)
        for label, cells in parts
    ]


def _cells_of_table(table: RiskTable) -> list[tuple[Any, dict[str, NDArray[Any]]]]:
    names = ("entry", "time", "status", "n", "weight", "weight_sq")
    frame = table.table
    return [
        (label, {name: part[name].to_numpy() for name in names})
        for label, part in frame.groupby("group", sort=False)
    ]


def _cells_of_rows(
    y: Outcome, group: Any, weights: Any
) -> tuple[list[tuple[Any, dict[str, NDArray[Any]]]], bool]:
    """Each row a cell of its own, in order of time: cheaper than adding up what hardly repeats."""
    n = len(y)
    weight = None if weights is None else require_positive_weights(weights, n)
    codes, labels = np.zeros(n, dtype=np.int64), [ALL]
    if group is not None:
        codes, labels = columns.labels(group, "group", n=n)
    order = np.argsort(y.time, kind="stable")
    codes, entry = codes[order], y.entry_or_zero()
    out = []
    for code, label in enumerate(labels):
        rows = order[codes == code]
        w = np.ones(rows.size) if weight is None else weight[rows]
        cells = {
            "entry": entry[rows],
            "time": y.time[rows],
            "status": y.event[rows],
            "n": np.ones(rows.size, dtype=np.int64),
            "weight": w,
            "weight_sq": w * w,
        }
        out.append((label, cells))
    return out, weight is not None


def _by_cause(steps: Steps, status: NDArray[Any], causes: Ints) -> CauseSteps:
    m = steps.time.size
    n_event = np.zeros((causes.size, m), dtype=np.int64)
    w_event = np.zeros((causes.size, m))
    for k, cause in enumerate(causes):
        rows = status == cause
        n_event[k] = np.bincount(steps.last[rows], weights=steps.cell_n[rows], minlength=m)
        w_event[k] = np.bincount(steps.last[rows], weights=steps.cell_weight[rows], minlength=m)
    # Shares of the hazard of any event, so that incidences and survival add to 1.
    total = w_event.sum(axis=0)
    share = np.zeros_like(w_event)
    np.divide(w_event, total, out=share, where=total > 0)
    before = np.concatenate([[1.0], steps.survival[:-1]])
    rise = share * (before * steps.hazard)
    return CauseSteps(
        steps=steps,
        causes=causes,
        status=status,
        n_event=n_event,
        w_event=w_event,
        rise=rise,
        incidence=np.cumsum(rise, axis=1),
    )
