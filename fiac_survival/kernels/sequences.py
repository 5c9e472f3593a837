r"""Kernels of the treatment-sequence solver and of what walks through its states.

Values of a line's states stand state-major: ``value[state, r]``, r = 0..T remaining steps. The products
:math:`\sum_{u\le r}K[u]V(r-u)` that a line needs are computed in batches (one matrix product a regimen) and
stand row by row in ``product``; several states share a row.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Floats, Ints

NO_ACTION = 255
TIE = 1e-12


@jit
def bound_products(
    indptr: Ints, columns: Ints, chain: Floats, value: Floats, out_lower: Floats, out_upper: Floats
) -> None:
    """Add bounds of the chained values of each family of products.

    A family is one kernel chained to several next states. Kernels are not negative, so that chaining the
    smallest and the largest of the values, step by step, bounds all products of the family.

    Parameters
    ----------
    indptr : (F+1,) int64
        Where the products of each family begin.
    columns : (n_rows,) int64
        Next state of each product.
    chain : (F, T+1) float64
        Chained kernels, not negative; the first entry of each is not used.
    value : (m, T+1) float64
        Values of the next line.
    out_lower, out_upper : (F, T) float64
        Added to, at r = 1..T.
    """
    horizon = out_lower.shape[1]
    low = np.empty(horizon)
    high = np.empty(horizon)
    for f in range(indptr.size - 1):
        low[:] = np.inf
        high[:] = -np.inf
        for p in range(indptr[f], indptr[f + 1]):
            j = columns[p]
            for r in range(horizon):
                x = value[j, r]
                low[r] = x if x < low[r] else low[r]
                high[r] = x if x > high[r] else high[r]
        for u in range(1, horizon + 1):
            weight = chain[f, u]
            if weight == 0.0:
                continue
            lower = out_lower[f, u - 1 :]
            upper = out_upper[f, u - 1 :]
            for k in range(lower.size):
                lower[k] += weight * low[k]
                upper[k] += weight * high[k]


@jit
def mark_needed(
    lower: Floats,
    upper: Floats,
    family: Ints,
    row: Ints,
    row_refractory: Ints,
    level: Ints,
    allowed: Bools,
    reward: Floats,
    slack: float,
    block: int,
    out_needed: Bools,
) -> None:
    """Mark the products that a best regimen may need, in blocks of remaining steps.

    A regimen whose upper bound lies below the lower bound of another by more than `slack` is neither best
    nor tied with the best.

    Parameters
    ----------
    lower, upper : (F, T) float64
        Bounds of the chained values of each family.
    family : (n_rows,) int64
        Family of each product.
    row, row_refractory, level, allowed, reward
        As in :func:`choose_actions`.
    slack : float
        More than what rounding and ties come to.
    block : int
        Steps in a block.
    out_needed : (n_blocks, n_rows) bool
        Set where needed; false before.
    """
    n, n_regimens = row.shape
    horizon = lower.shape[1]
    n_blocks = out_needed.shape[0]
    least = np.empty(horizon)
    for i in range(n):
        least[:] = -np.inf
        for a in range(n_regimens):
            if not allowed[a, level[i, a]] or row[i, a] < 0:
                continue
            earned = reward[a, level[i, a], 1:]
            one = lower[family[row[i, a]]]
            if row_refractory[i, a] < 0:
                for r in range(horizon):
                    x = earned[r] + one[r]
                    least[r] = x if x > least[r] else least[r]
            else:
                two = lower[family[row_refractory[i, a]]]
                for r in range(horizon):
                    x = earned[r] + (one[r] + two[r])
                    least[r] = x if x > least[r] else least[r]
        for r in range(horizon):
            least[r] -= slack
        for a in range(n_regimens):
            if not allowed[a, level[i, a]] or row[i, a] < 0:
                continue
            first = row[i, a]
            second = row_refractory[i, a]
            for b in range(n_blocks):
                if out_needed[b, first] and (second < 0 or out_needed[b, second]):
                    continue
                here = slice(b * block, min((b + 1) * block, horizon))
                earned = reward[a, level[i, a], 1:][here]
                one = upper[family[first]][here]
                beat = least[here]
                count = 0
                if second < 0:
                    for r in range(beat.size):
                        count += earned[r] + one[r] >= beat[r]
                else:
                    two = upper[family[second]][here]
                    for r in range(beat.size):
                        count += earned[r] + (one[r] + two[r]) >= beat[r]
                if count > 0:
                    out_needed[b, first] = True
                    if second >= 0:
                        out_needed[b, second] = True


@jit
def choose_actions(
    product: Floats,
    needed: Bools,
    block: int,
    row: Ints,
    row_refractory: Ints,
    level: Ints,
    allowed: Bools,
    reward: Floats,
    out_value: Floats,
    out_action: Ints,
) -> None:
    """Take the best regimen in each state and for each number of remaining steps.

    Regimens whose values differ by at most 1e-12 are tied; the lowest index is taken.

    Parameters
    ----------
    product : (n_rows, T) float64
        Chained values at r = 1..T, where they are needed.
    needed : (n_blocks, n_rows) bool
        Blocks of remaining steps in which a product may be needed, and has been computed.
    block : int
        Steps in a block.
    row, row_refractory : (n, A) int64
        Row of each state and regimen, -1 if the regimen is not possible; `row_refractory` is -1 where
        there is no second part.
    level : (n, A) int64
        Overlap level.
    allowed : (A, H) bool
        Regimens allowed in this line and group, by overlap level.
    reward : (A, H, T+1) float64
        Rewards of this line and group.
    out_value : (n, T+1) float64
        Values.
    out_action : (n, T+1) uint8
        Chosen regimen; 255 where none is possible.
    """
    n, n_regimens = row.shape
    horizon = product.shape[1]
    q = np.empty((n_regimens, block))
    largest = np.empty(block)
    index = np.empty(n_regimens, dtype=np.int64)
    for i in range(n):
        # No remaining step: rewards alone.
        best = -np.inf
        for a in range(n_regimens):
            if allowed[a, level[i, a]] and row[i, a] >= 0:
                best = max(best, reward[a, level[i, a], 0])
        if best == -np.inf:
            for r in range(horizon + 1):
                out_value[i, r] = 0.0
                out_action[i, r] = NO_ACTION
            continue
        out_value[i, 0] = best
        for a in range(n_regimens):
            if (
                allowed[a, level[i, a]]
                and row[i, a] >= 0
                and reward[a, level[i, a], 0] >= best - TIE
            ):
                out_action[i, 0] = a
                break
        for b in range(needed.shape[0]):
            start = b * block
            size = min(block, horizon - start)
            largest[:] = -np.inf
            count = 0
            for a in range(n_regimens):
                if not allowed[a, level[i, a]] or row[i, a] < 0 or not needed[b, row[i, a]]:
                    continue
                h = level[i, a]
                first = row[i, a]
                second = row_refractory[i, a]
                if second >= 0 and not needed[b, second]:
                    continue
                if second < 0:
                    for r in range(size):
                        q[count, r] = reward[a, h, start + r + 1] + product[first, start + r]
                else:
                    for r in range(size):
                        q[count, r] = reward[a, h, start + r + 1] + (
                            product[first, start + r] + product[second, start + r]
                        )
                for r in range(size):
                    largest[r] = q[count, r] if q[count, r] > largest[r] else largest[r]
                index[count] = a
                count += 1
            for r in range(size):
                k = 0
                while q[k, r] < largest[r] - TIE:
                    k += 1
                out_value[i, start + r + 1] = largest[r]
                out_action[i, start + r + 1] = index[k]


@jit_parallel
def follow_policy(
    action: Ints,
    after: Ints,
    after_refractory: Ints,
    level: Ints,
    reward: Floats,
    chain: Floats,
    refractory: Floats,
    group_after: Ints,
    value_next: Floats,
    out_value: Floats,
) -> None:
    """Value of a policy in one line and group, for every state and number of remaining steps.

    Parameters
    ----------
    action : (n, T+1) uint8
        Regimen that the policy gives; 255 for none.
    after, after_refractory, level : (n, A) int64
        Next states and overlap level.
    reward, chain : (A, H, T+1) float64
        Rewards and chained kernels of this line and group.
    refractory : (A, H, T) or (0, 0, 0) float64
        Share of progressions on treatment; empty without refractoriness.
    group_after : (T,) int64
        Group of the next line by step.
    value_next : (G, m, T+1) float64
        Values of the next line.
    out_value : (n, T+1) float64
        Values.
    """
    n, width = out_value.shape
    split = refractory.size > 0
    for i in prange(n):
        for r in range(width):
            a = action[i, r]
            if a == NO_ACTION:
                out_value[i, r] = 0.0
                continue
            h = level[i, a]
            j = after[i, a]
            total = 0.0
            if split:
                k = after_refractory[i, a]
                for u in range(1, r + 1):
                    g = group_after[u - 1]
                    share = refractory[a, h, u - 1]
                    total += chain[a, h, u] * (
                        (1.0 - share) * value_next[g, j, r - u] + share * value_next[g, k, r - u]
                    )
            else:
                for u in range(1, r + 1):
                    total += chain[a, h, u] * value_next[group_after[u - 1], j, r - u]
            out_value[i, r] = reward[a, h, r] + total


@jit
def convolve(chain: Floats, value: Floats, out: Floats) -> None:
    """Add Σ_{u=1..r} chain[u] value[r-u] to `out`.

    Parameters
    ----------
    chain, value : (T+1,) float64
        Chained kernel (its first entry is not used) and values.
    out : (T+1,) float64
        Added to.
    """
    for r in range(1, out.size):
        total = 0.0
        for u in range(1, r + 1):
            total += chain[u] * value[r - u]
        out[r] += total


@jit
def push_forward(arrival: Floats, chain: Floats, group_after: Ints, out: Floats) -> None:
    """Carry the time at which a line starts on to the next line.

    Parameters
    ----------
    arrival : (T+1,) float64
        (Discounted) probability of starting the line after 0..T elapsed steps.
    chain : (T+1,) float64
        Chained kernel.
    group_after : (T,) int64
        Group of the next line by step.
    out : (G, T+1) float64
        Added to: probability of starting the next line, by group and elapsed steps.
    """
    horizon = arrival.size - 1
    for tau in range(horizon):
        mass = arrival[tau]
        if mass == 0.0:
            continue
        for u in range(1, horizon - tau + 1):
            out[group_after[u - 1], tau + u] += mass * chain[u]


@jit
def random_unit(seed: np.uint64, stream: np.uint64, counter: np.uint64) -> float:
    """Make a uniform number of (0, 1) from a seed, a stream and a counter.

    SplitMix64 of the three: the same for any order of calls and any number of threads.

    Parameters
    ----------
    seed, stream, counter : uint64
        Study, patient and draw.

    Returns
    -------
    float
        Uniform.
    """
    z = seed + np.uint64(0x9E3779B97F4A7C15) * (stream + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = (z ^ (z >> np.uint64(31))) + np.uint64(0xD1B54A32D192ED03) * (counter + np.uint64(1))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (np.float64(z >> np.uint64(11)) + 0.5) / 9007199254740992.0


@jit
def draw_step(cumulated: Floats, horizon: int, uniform: float) -> int:
    """Draw the step in which something happens.

    Parameters
    ----------
    cumulated : (T,) float64
        Probability that it has happened by step 1..T.
    horizon : int
        Steps looked at.
    uniform : float
        Uniform number.

    Returns
    -------
    int
        Step 1..horizon, or horizon + 1 if it does not happen.
    """
    low = 0
    high = horizon
    while low < high:
        middle = (low + high) // 2
        if cumulated[middle] < uniform:
            low = middle + 1
        else:
            high = middle
    return low + 1


@jit_parallel
def simulate_patients(
    first_patient: int,
    seed: np.uint64,
    start_group: int,
    start_state: Ints,
    offset: Ints,
    action: Ints,
    after: Ints,
    after_refractory: Ints,
    level: Ints,
    leaving: Floats,
    next_share: Floats,
    refractory: Floats,
    group_after: Ints,
    salvage: Floats,
    background: Floats,
    out_steps: Floats,
    out_alive: Bools,
    out_lines: Ints,
    out_regimen: Ints,
    out_start: Ints,
) -> None:
    """Walk patients through the lines under a policy, one random stream a patient.

    Parameters
    ----------
    first_patient : int
        Number of the first patient: streams are numbered on from there.
    seed : uint64
        Root of the streams.
    start_group : int
        Group in which line 1 starts.
    start_state : (1,) int64
        State of line 1.
    offset : (L+1,) int64
        Where each line's states begin in `action`, `after` and `level`.
    action : (G, N, T+1) uint8
        Policy.
    after, after_refractory, level : (N, A) int64
        Next states (within their line) and overlap level.
    leaving : (L, A, G, H, T) float64
        Cumulated probability of having left the line.
    next_share : (L, A, G, H, T) float64
        Share of those leaving in a step who move on.
    refractory : (L, A, G, H, T) float64 or empty
        Share of those moving on who progress on treatment.
    group_after : (L, G, T) int64
        Group of the next line.
    salvage : (G, T) float64
        Cumulated probability of death after the last line.
    background : (G, T+1) float64
        Background survival.
    out_steps : (n,) float64
        Steps lived, deaths at mid-step.
    out_alive : (n,) bool
        Whether alive at the horizon.
    out_lines : (n,) int64
        Lines started.
    out_regimen, out_start : (n, L) int64
        Regimen and elapsed steps at the start of each line; -1 where not started.
    """
    n = out_steps.size
    n_lines = offset.size - 1
    horizon = action.shape[2] - 1
    has_refractory = refractory.size > 0
    for i in prange(n):
        stream = np.uint64(first_patient + i)
        counter = np.uint64(0)
        group = start_group
        # Background death: the first step at whose end background survival is below a uniform.
        uniform = random_unit(seed, stream, counter)
        counter += np.uint64(1)
        other = 1
        while other <= horizon and background[group, other] >= uniform:
            other += 1
        elapsed = 0
        state = start_state[0]
        dead = -1
        for line in range(n_lines):
            out_regimen[i, line] = -1
            out_start[i, line] = -1
        lines = 0
        for line in range(n_lines):
            remaining = horizon - elapsed
            if remaining <= 0:
                break
            place = offset[line] + state
            a = action[group, place, remaining]
            h = level[place, a]
            out_regimen[i, line] = a
            out_start[i, line] = elapsed
            lines += 1
            u = draw_step(leaving[line, a, group, h], remaining, random_unit(seed, stream, counter))
            counter += np.uint64(1)
            moves_on = random_unit(seed, stream, counter)
            counter += np.uint64(1)
            progresses = random_unit(seed, stream, counter)
            counter += np.uint64(1)
            if elapsed + u >= other and other <= horizon:
                dead = other
                break
            if u > remaining:
                elapsed = horizon
                break
            if moves_on >= next_share[line, a, group, h, u - 1]:
                dead = elapsed + u
                break
            target = after[place, a]
            if has_refractory and progresses < refractory[line, a, group, h, u - 1]:
                target = after_refractory[place, a]
            state = target
            elapsed += u
            group = group_after[line, group, u - 1]
            if line == n_lines - 1 and elapsed < horizon:
                remaining = horizon - elapsed
                u = draw_step(salvage[group], remaining, random_unit(seed, stream, counter))
                counter += np.uint64(1)
                if elapsed + u >= other and other <= horizon:
                    dead = other
                elif u <= remaining:
                    dead = elapsed + u
                elapsed = horizon
        out_lines[i] = lines
        out_alive[i] = dead < 0
        out_steps[i] = horizon if dead < 0 else dead - 0.5
