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
def choose_actions(
    product: Floats,
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
        Chained values at r = 1..T.
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
    q = np.empty((n_regimens, horizon + 1))
    index = np.empty(n_regimens, dtype=np.int64)
    for i in range(n):
        count = 0
        for a in range(n_regimens):
            h = level[i, a]
            if not allowed[a, h] or row[i, a] < 0:
                continue
            first = row[i, a]
            second = row_refractory[i, a]
            q[count, 0] = reward[a, h, 0]
            if second < 0:
                for r in range(horizon):
                    q[count, r + 1] = reward[a, h, r + 1] + product[first, r]
            else:
                for r in range(horizon):
                    q[count, r + 1] = reward[a, h, r + 1] + (product[first, r] + product[second, r])
            index[count] = a
            count += 1
        if count == 0:
            for r in range(horizon + 1):
                out_value[i, r] = 0.0
                out_action[i, r] = NO_ACTION
            continue
        for r in range(horizon + 1):
            best = q[0, r]
            for k in range(1, count):
                best = max(best, q[k, r])
            k = 0
            while q[k, r] < best - TIE:
                k += 1
            out_value[i, r] = best
            out_action[i, r] = index[k]


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
