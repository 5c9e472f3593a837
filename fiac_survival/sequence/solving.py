r"""The solver: one exact backward sweep over the states that can be reached.

The line number only grows, so line L is solved first. For each line and group the chained values
:math:`\sum_u K_k[u]V_{\ell+1}(E',\cdot)(r-u)` are needed once for each distinct (regimen, level, next
state), however many states share it. Those of one regimen form a product of a matrix of values, one row a
next state, with a lower-triangular Toeplitz matrix of its kernels, one block of columns a level. It is
cut into blocks of remaining steps so that little is multiplied by the zeros above the diagonal. After the
last line the value depends on the group alone, and one product a kernel suffices.

Groups are independent within a line: threads take one group each, BLAS runs on one thread, and each product
has the same shape whatever their number, so that results are the same to the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.threads import one_blas_thread
from fiac_survival.kernels.sequences import choose_actions
from fiac_survival.sequence.objectives import Problem
from fiac_survival.sequence.states import LineStates

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK = 48


@dataclass(frozen=True, eq=False)
class Family:
    """Products of one regimen: its levels and the next states that they are needed for."""

    regimen: int
    levels: Ints
    columns: Ints
    offset: int

    @property
    def rows(self) -> int:
        """Number of products."""
        return int(self.levels.size * self.columns.size)


@dataclass(frozen=True, eq=False)
class LinePlan:
    """Which products a line needs, and which of them each state uses.

    Attributes
    ----------
    families, families_refractory : list of Family
        Products without and with progression on treatment.
    row, row_refractory : (n, A) int64
        Product of each state and regimen, -1 for none.
    n_rows : int
        Number of products.
    """

    families: list[Family]
    families_refractory: list[Family]
    row: Ints
    row_refractory: Ints
    n_rows: int


def plan_line(states: LineStates, *, refractory: bool) -> LinePlan:
    """Find the distinct products of a line.

    Parameters
    ----------
    states : LineStates
        The line's states.
    refractory : bool
        Whether endings split by progression on treatment.

    Returns
    -------
    LinePlan
        Families in the order of regimens.
    """
    row = np.full(states.after.shape, -1, dtype=np.int64)
    row_refractory = np.full(states.after.shape, -1, dtype=np.int64)
    offset = 0
    families: list[Family] = []
    families_refractory: list[Family] = []
    for after, rows, out in (
        (states.after, row, families),
        (states.after_refractory, row_refractory, families_refractory),
    ):
        if out is families_refractory and not refractory:
            break
        for a in range(after.shape[1]):
            here = np.flatnonzero(after[:, a] >= 0)
            if here.size == 0:
                continue
            columns, column = np.unique(after[here, a], return_inverse=True)
            levels, place = np.unique(states.level[here, a], return_inverse=True)
            rows[here, a] = offset + column * levels.size + place
            family = Family(a, levels, columns, offset)
            out.append(family)
            offset += family.rows
    return LinePlan(families, families_refractory, row, row_refractory, offset)


def toeplitz(chain: Floats, block: int) -> Floats:
    """Lay kernels out so that one slice of it serves each block of remaining steps.

    Parameters
    ----------
    chain : (k, T+1) float64
        Chained kernels; the first entry of each is not used.
    block : int
        Steps in a block.

    Returns
    -------
    (n·block, k·block) float64
        With n blocks, its rows from (n-1-i)·block on chain V(0..(i+1)·block-1) to the steps
        i·block+1 .. (i+1)·block.
    """
    kernels, width = chain.shape
    n = -(-(width - 1) // block)
    size = n * block
    # Row x, column c of a kernel is its step (n-1)·block + 1 + c - x: a window that slides over the
    # kernel, with zeros before its first step.
    padded = np.zeros((kernels, 2 * size + 1))
    padded[:, size + 1 : size + width] = chain[:, 1:]
    along, item = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded[:, size + (n - 1) * block + 1 :],
        shape=(size, kernels, block),
        strides=(-item, along, item),
        writeable=False,
    )
    return windows.reshape(size, kernels * block)


def add_products(
    product: Floats, family: Family, chain: Floats, value: Floats, block: int, *, first: bool
) -> None:
    """Write a family's chained values to their rows, or add them.

    Parameters
    ----------
    product : (n_rows, T) float64
        Written to, at r = 1..T.
    family : Family
        Which rows.
    chain : (levels, T+1) float64
        Chained kernels of the family's levels.
    value : (m, T+1) float64
        Values of the next line's states, or of one row if they are all alike.
    block : int
        Steps in a block.
    first : bool
        Write instead of adding.
    """
    horizon = product.shape[1]
    layout = toeplitz(chain, block)
    n = layout.shape[0] // block
    values = np.zeros((family.columns.size, n * block))
    values[:, :horizon] = value[family.columns, :horizon]
    levels = family.levels.size
    here = product[family.offset : family.offset + family.rows].reshape(-1, levels, horizon)
    for i in range(n):
        known = (i + 1) * block
        end = min(known, horizon)
        found = values[:, :known] @ layout[(n - 1 - i) * block :]
        part = found.reshape(-1, levels, block)[:, :, : end - i * block]
        if first:
            here[:, :, i * block : end] = part
        else:
            here[:, :, i * block : end] += part


def sweep(
    model: SequenceModel, problem: Problem, *, threads: int | None, block: int = BLOCK
) -> tuple[list[Floats], list[NDArray[np.uint8]]]:
    """Solve all lines, the last first.

    Parameters
    ----------
    model : SequenceModel
        The model.
    problem : Problem
        Rewards, chained kernels and terminal values.
    threads : int or None
        Threads; the processors by default.
    block : int, default 48
        Steps in a block.

    Returns
    -------
    values : list of (G, n, T+1) float64
        Value of each line's states by group and remaining steps.
    actions : list of (G, n, T+1) uint8
        Chosen regimen, 255 where none is possible.

    Raises
    ------
    DataError
        If the number of threads is not positive.
    """
    if threads is not None and threads < 1:
        raise DataError("threads must be at least 1", values={"threads": threads})
    n_groups, width = len(model.groups), problem.horizon + 1
    values: list[Floats] = [np.empty(0)] * model.n_lines
    actions: list[NDArray[np.uint8]] = [np.empty(0, dtype=np.uint8)] * model.n_lines
    value_next = problem.terminal[:, None, :]
    with one_blas_thread(), ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        for line in range(model.n_lines - 1, -1, -1):
            states = model.states.lines[line]
            plan = plan_line(states, refractory=model.next_refractory is not None)
            value = np.empty((n_groups, states.size, width))
            action = np.empty((n_groups, states.size, width), dtype=np.uint8)
            work = [
                pool.submit(
                    _solve_group,
                    model,
                    problem,
                    plan,
                    states,
                    line,
                    g,
                    value_next,
                    value[g],
                    action[g],
                    block,
                )
                for g in range(n_groups)
            ]
            for done in work:
                done.result()
            values[line], actions[line] = value, action
            value_next = value
    return values, actions


def _solve_group(
    model: SequenceModel,
    problem: Problem,
    plan: LinePlan,
    states: LineStates,
    line: int,
    group: int,
    value_next: Floats,
    out_value: Floats,
    out_action: NDArray[np.uint8],
    block: int,
) -> None:
    product = np.empty((plan.n_rows, problem.horizon))
    targets = _targets(model, line, group, problem.horizon)
    for families, progression in ((plan.families, False), (plan.families_refractory, True)):
        for family in families:
            if not model.usable[line, family.regimen, group].any():
                continue
            chain = problem.chain[line, family.regimen, group][family.levels]
            if model.next_refractory is not None:
                share = model.next_refractory[line, family.regimen, group][family.levels]
                share = share[:, : problem.horizon]
                chain = chain.copy()
                chain[:, 1:] *= share if progression else 1.0 - share
            for k, (target, mask) in enumerate(targets):
                masked = chain if mask is None else chain * mask
                add_products(product, family, masked, value_next[target], block, first=k == 0)
    choose_actions(
        product,
        plan.row,
        plan.row_refractory,
        states.level,
        np.ascontiguousarray(model.usable[line, :, group]),
        problem.reward[line, :, group],
        out_value,
        out_action,
    )


def _targets(model: SequenceModel, line: int, group: int, horizon: int) -> list[tuple[int, Any]]:
    """Find the groups in which the next line can start, with the steps in which it does (None: all)."""
    if model.group_after is None:
        return [(group, None)]
    after = model.group_after[line, group, :horizon]
    out: list[tuple[int, Any]] = []
    for target in np.unique(after):
        mask = np.zeros(horizon + 1)
        mask[1:] = after == target
        out.append((int(target), None if mask[1:].all() else mask))
    return out
