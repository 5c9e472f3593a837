r"""Rows that stay in the risk sets after a competing event, and their weights.

With :math:`G(t-)` the probability of not being censored before t and, with delayed entry, :math:`H(t-)`
that of having entered before t, both by product limit, row i that ended at :math:`T_i` with a competing
event has at a later time s the weight

.. math:: \omega_i(s)=\frac{G(s-)H(s-)}{G(T_i-)H(T_i-)} .

G and H are estimated within censoring groups, H in reversed time: a row comes under risk of entering at
its exit, and of those with :math:`a_j\le a<T_j` the ones with :math:`a_j=a` enter at a.

At tied times censorings come after events: who has an event is not at risk of being censored. R's
``cmprsk`` counts such rows as at risk of it (``"with events"``).

The influence of row i on :math:`\log\omega_j(s)` through G is
:math:`-\sum_{T_j\le u<s} dM^c_i(u)/\{\pi(u)(1-d\Lambda^c(u))\}`, with π the number at risk of
censoring; through H the same in entry times with the sign reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.kernels import fine_gray as kernels
from fiac_survival.kernels.step_curves import sum_at_risk
from fiac_survival.survival.steps import place

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
CensoringTies = Literal["after events", "with events"]


@dataclass(frozen=True, eq=False)
class LimitCurve:
    """Product limit of censoring or of entry in one censoring group.

    Attributes
    ----------
    time : (m,) float64
        Times at which somebody is censored, or enters.
    hazard, at_risk : (m,) float64
        Increments and (weighted) numbers at risk.
    rows : (n,) int64
        Rows of the group, in the order of the fit.
    first, last : (n,) int64
        Indices between which each is at risk, both included.
    jump : (n,) int64
        Index at which it is censored, or enters; -1 if it is not.
    sign : float
        1 for censoring, -1 for entry.
    exact : bool
        Whether the influence has the factor 1-dΛ and closed limits.
    """

    time: Floats
    hazard: Floats
    at_risk: Floats
    rows: Ints
    first: Ints
    last: Ints
    jump: Ints
    sign: float
    exact: bool

    def log_before(self, times: Floats) -> Floats:
        """Logarithm of the probability just before given times, -inf where it is 0.

        Parameters
        ----------
        times : (k,) float64
            Times.

        Returns
        -------
        (k,) float64
            log G(t-) or log H(t-).
        """
        with np.errstate(divide="ignore"):
            steps = np.log1p(-self.hazard)
        here = np.searchsorted(self.time, times, side="left")
        if self.sign > 0:
            return np.concatenate([[0.0], np.cumsum(steps)])[here]
        return np.concatenate([np.cumsum(steps[::-1])[::-1], [0.0]])[here]

    def influence(self, gain: Floats) -> Floats:
        """Influence of the group's rows, given what a unit change of the logarithm brings.

        Parameters
        ----------
        gain : (m, p) float64
            Change of an estimate per unit fall of log ω from each time on.

        Returns
        -------
        (n, p) float64
            Sum of gain dM/(π(1-dΛ)), of rows of unit weight.
        """
        rate = np.zeros_like(self.hazard)
        left = 1.0 - self.hazard if self.exact else np.ones_like(self.hazard)
        np.divide(self.sign, self.at_risk * left, out=rate, where=left > 0)
        scaled = gain * rate[:, None]
        total = np.zeros((self.time.size + 1, gain.shape[1]))
        np.cumsum(scaled * self.hazard[:, None], axis=0, out=total[1:])
        out = total[self.first] - total[np.maximum(self.last + 1, self.first)]
        jumps = self.jump >= 0
        out[jumps] += scaled[self.jump[jumps]]
        return np.asarray(out)


@dataclass(frozen=True, eq=False)
class Tail:
    """Rows that have left by a competing event, in the order of the blocks at which they are gone.

    Attributes
    ----------
    row, stop, stratum, member : (t,) int64
        Row number in the order of the fit, first block at which it is gone, stratum, censoring group.
    factor : (t,) float64
        1/(G(T-)H(T-)), up to a constant of the group.
    keep : (C, B) float64
        G(s-)H(s-) at each block, up to the same constant.
    time : (t,) float64
        Time of the competing event.
    curves : list of (int, LimitCurve)
        Censoring group and product limit of censoring or of entry.
    """

    row: Ints
    stop: Ints
    stratum: Ints
    member: Ints
    factor: Floats
    keep: Floats
    time: Floats
    curves: list[tuple[int, LimitCurve]]

    def add_sums(
        self, x: Floats, risk: Floats, block_stratum: Ints, s0: Floats, s1: Floats
    ) -> None:
        """Add these rows to the risk-set sums, in place.

        Parameters
        ----------
        x : (n, p) float64
            Covariates.
        risk : (n,) float64
            w exp(eta).
        block_stratum : (B,) int64
            Stratum of each block.
        s0, s1 : (B,), (B, p) float64
            Sums to add to.
        """
        kernels.tail_sums(
            x,
            risk,
            self.factor,
            self.row,
            self.stop,
            self.stratum,
            self.member,
            self.keep,
            block_stratum,
            s0,
            s1,
        )

    def carried(self, increments: Floats, block_stratum: Ints) -> Floats:
        """Sum block increments over the blocks that each row has in its tail, weighted.

        Parameters
        ----------
        increments : (B, q) float64
            Increments.
        block_stratum : (B,) int64
            Stratum of each block.

        Returns
        -------
        (t, q) float64
            Sums of ω times increment.
        """
        out = np.zeros((self.row.size, increments.shape[1]))
        for c in range(self.keep.shape[0]):
            mine = np.flatnonzero(self.member == c)
            if mine.size:
                sums = self.later(c, increments, block_stratum)
                out[mine] = sums[self.stop[mine] + self.stratum[mine]] * self.factor[mine, None]
        return out

    def later(self, c: int, increments: Floats, block_stratum: Ints) -> Floats:
        """Sum block increments times `keep` from each position to the end of its stratum.

        Parameters
        ----------
        c : int
            Censoring group.
        increments : (B, q) float64
            Increments.
        block_stratum : (B,) int64
            Stratum of each block.

        Returns
        -------
        (B + S, q) float64
            Position b + stratum holds the sum over blocks b and later.
        """
        n_block = block_stratum.size
        n_stratum = int(max(block_stratum.max(), self.stratum.max(initial=0))) + 1
        out = np.zeros((n_block + n_stratum, increments.shape[1]))
        scaled = increments * self.keep[c][:, None]
        for s in range(n_stratum):
            a, b = np.searchsorted(block_stratum, [s, s + 1])
            out[a + s : b + s] = np.cumsum(scaled[a:b][::-1], axis=0)[::-1]
        return out


def make_tail(
    y: Outcome,
    cause: int,
    *,
    order: Ints,
    stop: Ints,
    stratum: Ints,
    member: Ints,
    weight: Floats,
    block_time: Floats,
    ties: CensoringTies,
) -> Tail:
    """Weigh the rows that have a competing event.

    Parameters
    ----------
    y : Outcome
        All rows.
    cause : int
        Code of the cause of interest.
    order : (n,) int64
        Rows of the outcome in the order of the fit, ascending in `stop`.
    stop, stratum, member : (n,) int64
        In that order: first block at which the row is gone, stratum, censoring group.
    weight : (n,) float64
        Case weights, in that order.
    block_time : (B,) float64
        Event times.
    ties : {"after events", "with events"}
        Whether rows with an event are at risk of being censored at its time.

    Returns
    -------
    Tail
        With its weights and the curves that they come from.

    Raises
    ------
    DataError
        If a weight is not defined because nobody bridges a gap in time.
    """
    time, status = y.time[order], y.event[order]
    entry = y.entry_or_zero()[order]
    rows = np.flatnonzero((status > 0) & (status != cause))
    n_group = int(member.max()) + 1
    keep = np.empty((n_group, block_time.size))
    own = np.zeros(rows.size)
    curves: list[tuple[int, LimitCurve]] = []
    for c in range(n_group):
        mine = np.flatnonzero(member == c)
        found = [_censoring(mine, entry[mine], time[mine], status[mine] == 0, weight[mine], ties)]
        if y.entry is not None:
            found.append(_entry(mine, entry[mine], time[mine], weight[mine]))
        curves += [(c, curve) for curve in found]
        here = member[rows] == c
        at_rows, at_blocks = np.zeros(np.count_nonzero(here)), np.zeros(block_time.size)
        for curve in found:
            at_rows += curve.log_before(time[rows[here]])
            at_blocks += curve.log_before(block_time)
        if not np.isfinite(at_rows).all():
            raise DataError(
                "the follow-up of each censoring group must have no gap",
                values={"rows in the gap": int(np.count_nonzero(~np.isfinite(at_rows)))},
                remedy="start follow-up later, or merge the censoring groups",
            )
        # On the scale of the largest weight, lest both over- and underflow.
        shift = float(at_rows.max(initial=0.0))
        own[here] = np.exp(shift - at_rows)
        keep[c] = np.exp(at_blocks - shift)
    return Tail(
        row=rows,
        stop=stop[rows],
        stratum=stratum[rows],
        member=member[rows],
        factor=own,
        keep=keep,
        time=time[rows],
        curves=curves,
    )


def _censoring(
    rows: Ints,
    entry: Floats,
    time: Floats,
    censored: NDArray[np.bool_],
    weight: Floats,
    ties: CensoringTies,
) -> LimitCurve:
    """Product limit of censoring."""
    grid = np.unique(time[censored])
    first, last = place(grid, entry, time)
    on_grid = last >= 0
    on_grid[on_grid] = grid[last[on_grid]] == time[on_grid]
    jump = np.where(censored, last, -1)
    if ties == "after events":
        last = np.where(on_grid & ~censored, last - 1, last)
    hazard, at_risk = _hazard(grid.size, first, last, jump, weight)
    return LimitCurve(
        grid, hazard, at_risk, rows, first, last, jump, sign=1.0, exact=ties == "after events"
    )


def _entry(rows: Ints, entry: Floats, time: Floats, weight: Floats) -> LimitCurve:
    """Product limit of entry in reversed time; entry 0 is the start, not an entry."""
    grid = np.unique(entry[entry > 0])
    first = np.searchsorted(grid, entry, side="left").astype(np.int64)
    last = np.searchsorted(grid, time, side="left").astype(np.int64) - 1
    jump = np.where(entry > 0, first, -1)
    hazard, at_risk = _hazard(grid.size, first, last, jump, weight)
    return LimitCurve(grid, hazard, at_risk, rows, first, last, jump, sign=-1.0, exact=True)


def _hazard(m: int, first: Ints, last: Ints, jump: Ints, weight: Floats) -> tuple[Floats, Floats]:
    """Increments and numbers at risk; the increment is exactly 1 where everybody at risk jumps."""
    at_risk, count = np.empty(m), np.empty(m)
    sum_at_risk(first, last, weight, at_risk)
    sum_at_risk(first, last, np.ones(first.size), count)
    jumps = jump >= 0
    amount = np.bincount(jump[jumps], weights=weight[jumps], minlength=m)
    number = np.bincount(jump[jumps], minlength=m)
    hazard = np.where(number == count, 1.0, amount / at_risk)
    return hazard, at_risk
