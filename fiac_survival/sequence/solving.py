r"""The solver: one exact backward sweep over the states that can be reached.

The line number only grows, so line L is solved first. For each line and group the chained values
:math:`\sum_u K_k[u]V_{\ell+1}(E',\cdot)(r-u)` are needed once for each distinct (regimen, level, next
state), however many states share it. Those of one kernel are a **family**: a product of a matrix of values,
one row a next state, with the kernel's lower-triangular Toeplitz matrix. It is cut into blocks of
remaining steps so that little is multiplied by the zeros above the diagonal. After the last line the value
depends on the group alone, and one product a kernel suffices.

Most products are never needed. Kernels are not negative, so chaining the smallest and the largest value of
a family's next states bounds all its products; a regimen whose upper bound lies below another's lower
bound can be neither best nor tied with the best (action elimination: MacQueen 1967). A block of a product
is computed if some state may need it. This changes no value and no action.

Groups are independent within a line: threads take one group each, BLAS runs on one thread, and each product
has the same shape whatever their number, so that results are the same to the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.threads import one_blas_thread
from fiac_survival.kernels.sequences import bound_products, choose_actions, mark_needed
from fiac_survival.sequence.objectives import Problem
from fiac_survival.sequence.plan import LinePlan
from fiac_survival.sequence.states import LineStates

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
BLOCK = 48
SLACK = 1e-9


def toeplitz(chain: Floats, block: int) -> Floats:
    """Lay a kernel out so that one slice of it serves each block of remaining steps.

    Parameters
    ----------
    chain : (T+1,) float64
        Chained kernel; the first entry is not used.
    block : int
        Steps in a block.

    Returns
    -------
    (n·block, block) float64
        With n blocks, its rows from (n-1-i)·block on chain V(0..(i+1)·block-1) to the steps
        i·block+1 .. (i+1)·block.
    """
    width = chain.size
    n = -(-(width - 1) // block)
    size = n * block
    # Row x, column c is step (n-1)·block + 1 + c - x: a window that slides over the kernel, with zeros
    # before its first step.
    padded = np.zeros(2 * size + 1)
    padded[size + 1 : size + width] = chain[1:]
    (item,) = padded.strides
    windows = np.lib.stride_tricks.as_strided(
        padded[size + (n - 1) * block + 1 :],
        shape=(size, block),
        strides=(-item, item),
        writeable=False,
    )
    return windows.copy()


def add_products(
    product: Floats,
    needed: NDArray[np.bool_],
    columns: Ints,
    chain: Floats,
    value: Floats,
    block: int,
    *,
    first: bool,
) -> None:
    """Write a family's chained values to their rows, or add them, where they are needed.

    Parameters
    ----------
    product : (m, T) float64
        The family's rows; written to, at r = 1..T.
    needed : (n_blocks, m) bool
        Which blocks of which rows.
    columns : (m,) int64
        Next states.
    chain : (T+1,) float64
        Chained kernel.
    value : (n, T+1) float64
        Values of the next line's states.
    block : int
        Steps in a block.
    first : bool
        Write instead of adding.
    """
    horizon = product.shape[1]
    layout = toeplitz(chain, block)
    n = needed.shape[0]
    for i in range(n):
        rows = np.flatnonzero(needed[i])
        if rows.size == 0:
            continue
        begin, end = i * block, min((i + 1) * block, horizon)
        lead = (n - 1 - i) * block
        found = value[columns[rows], :end] @ layout[lead : lead + end, : end - begin]
        if first:
            product[rows, begin:end] = found
        else:
            product[rows, begin:end] += found


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
            plan = model.states.plans[line]
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
    horizon = problem.horizon
    allowed = np.ascontiguousarray(model.usable[line, :, group])
    reward = np.ascontiguousarray(problem.reward[line, :, group])
    chain = _chains(model, problem, plan, line, group)
    parts = [
        (value_next[target], chain if mask is None else chain * mask)
        for target, mask in _targets(model, line, group, horizon)
    ]
    lower = np.zeros((plan.regimen.size, horizon))
    upper = np.zeros((plan.regimen.size, horizon))
    scale = max(1.0, float(np.abs(reward).max()))
    for value, kernels in parts:
        bound_products(plan.indptr, plan.columns, kernels, value, lower, upper)
        scale = max(scale, float(np.abs(value).max()))
    states_rows = (plan.row, plan.row_refractory, states.level, allowed, reward)
    needed = np.zeros((-(-horizon // block), plan.columns.size), dtype=np.bool_)
    mark_needed(lower, upper, plan.family, *states_rows, SLACK * scale, block, needed)
    product = np.empty((plan.columns.size, horizon))
    for f in range(plan.regimen.size):
        here = slice(plan.indptr[f], plan.indptr[f + 1])
        if not needed[:, here].any():
            continue
        for k, (value, kernels) in enumerate(parts):
            add_products(
                product[here],
                needed[:, here],
                plan.columns[here],
                kernels[f],
                value,
                block,
                first=k == 0,
            )
    choose_actions(product, needed, block, *states_rows, out_value, out_action)


def _chains(
    model: SequenceModel, problem: Problem, plan: LinePlan, line: int, group: int
) -> Floats:
    """Chained kernel of each family."""
    chain: Floats = problem.chain[line, plan.regimen, group, plan.level]
    if model.next_refractory is not None:
        share = model.next_refractory[line, plan.regimen, group, plan.level, : problem.horizon]
        chain[:, 1:] *= np.where(plan.progression[:, None], share, 1.0 - share)
    return chain


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
