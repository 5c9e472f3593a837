r"""Aligning drug records with the schedules of regimens, and choosing the best set of alignments.

A record has events i with drug :math:`x_i` at day :math:`d_i`; a schedule has steps j = 1..m with drug
:math:`y_j`, :math:`e_j` days after the step before. With a similarity s, a penalty g for each event or
step that is left out and a penalty for wrong times, the temporal recurrence of Smith and Waterman is

.. math:: H_{ij} = \max\{f_j,\; H_{i-1,j-1} + s(x_i,y_j) - \ell(t_x,t_y),\; H_{i-1,j}-g,\; H_{i,j-1}-g\},
   \qquad \ell(t_x,t_y) = T\,\frac{|t_x-t_y|}{\max(t_x,t_y)},

where :math:`t_x` and :math:`t_y` are the times since the last aligned pair, accumulated through what was
left out in between; the first pair of an alignment has none, and two times of 0 agree. A new alignment
starts at :math:`f_j=0` (local), or at :math:`f_j=-gj`, so that steps left out before it count (end to end);
there an alignment that ends at step j also pays :math:`g(m-j)`. Each cell keeps one way to it. Among equal
values that is, in this order: no alignment, a further pair, an event left out, a step left out, a first
pair.

Every pair (i, j) that ends an alignment is a candidate: the days from its first to its last event, with
its score. The best set of candidates of which no two share a day is found by weighted interval scheduling,

.. math:: W_i = \max\{W_{i-1},\; \max_{c\text{ ends at }i} W_{b(c)} + \mathrm{score}(c)\},

b(c) being the last event before the first day of c. Persons are independent of each other.
"""

from __future__ import annotations

import numpy as np
from numba import prange

from fiac_survival.kernels._jit import jit_parallel
from fiac_survival.kernels._types import Floats, Ints

CHUNKS = 64
TIE = 1e-12


@jit_parallel
def align_records(
    first_event: Ints,
    day: Ints,
    drug: Ints,
    first_step: Ints,
    step_days: Ints,
    step_drug: Ints,
    similarity: Floats,
    penalties: tuple[float, float],
    local: bool,
    least: float,
    out_regimen: Ints,
    out_begin: Ints,
    out_score: Floats,
    out_matched: Ints,
    out_steps: Ints,
) -> None:
    """Find each person's best set of aligned regimens.

    Parameters
    ----------
    first_event : (P + 1,) int64
        Events of person p are first_event[p] .. first_event[p+1] - 1, by day.
    day, drug : (N,) int64
        Day and drug of the events.
    first_step : (R + 1,) int64
        Steps of regimen r are first_step[r] .. first_step[r+1] - 1.
    step_days, step_drug : (S,) int64
        Days since the step before, and drug of the steps.
    similarity : (D, D) float64
        s(drug of the event, drug of the step).
    penalties : (g, T)
        Of what is left out, and of wrong times.
    local : bool
        Local alignments; False counts all steps of the regimen.
    least : float
        A candidate's score must be greater.
    out_regimen : (N,) int64
        At the last event of a chosen alignment its regimen, -1 elsewhere.
    out_begin : (N,) int64
        Its first event.
    out_score : (N,) float64
        Its score.
    out_matched : (N,) int64
        Pairs of the same drug.
    out_steps : (N, 2) int64
        Its first and last step in the schedule, from 0.
    """
    gap, rush = penalties
    persons = first_event.size - 1
    regimens = first_step.size - 1
    cells = step_drug.size + regimens
    for chunk in prange(CHUNKS):
        value = np.empty(cells)
        begin = np.empty(cells, dtype=np.int64)
        begin_step = np.empty(cells, dtype=np.int64)
        event_time = np.empty(cells, dtype=np.int64)
        step_time = np.empty(cells, dtype=np.int64)
        matched = np.empty(cells, dtype=np.int64)
        for person in range(persons * chunk // CHUNKS, persons * (chunk + 1) // CHUNKS):
            begin_of_record = first_event[person]
            size = first_event[person + 1] - begin_of_record
            best = np.zeros(size + 1)
            before = np.zeros(size, dtype=np.int64)
            for r in range(regimens):
                row = first_step[r] + r
                for j in range(first_step[r + 1] - first_step[r] + 1):
                    value[row + j] = 0.0 if local else -gap * j
                    begin[row + j] = -1
            for i in range(size):
                e = begin_of_record + i
                passed = day[e] - day[e - 1] if i > 0 else 0
                before[i] = before[i - 1] if i > 0 and passed == 0 else i
                best[i + 1] = best[i]
                out_regimen[e] = -1
                for r in range(regimens):
                    row = first_step[r] + r
                    m = first_step[r + 1] - first_step[r]
                    # What stood at (i - 1, j - 1).
                    old = value[row]
                    old_begin = begin[row]
                    old_begin_step = 0
                    old_event_time = 0
                    old_step_time = 0
                    old_matched = 0
                    for j in range(1, m + 1):
                        c = row + j
                        y = first_step[r] + j - 1
                        new = 0.0 if local else -gap * j
                        way = 0
                        alike = similarity[drug[e], step_drug[y]]
                        pair = old + alike
                        if old_begin >= 0:
                            t_x = old_event_time + passed
                            t_y = old_step_time + step_days[y]
                            longer = max(t_x, t_y)
                            if longer > 0:
                                pair -= rush * abs(t_x - t_y) / longer
                        if old_begin >= 0 and pair > new:
                            new = pair
                            way = 1
                        if begin[c] >= 0 and value[c] - gap > new:
                            new = value[c] - gap
                            way = 2
                        if begin[c - 1] >= 0 and value[c - 1] - gap > new:
                            new = value[c - 1] - gap
                            way = 3
                        if old_begin < 0 and pair > new:
                            new = pair
                            way = 1
                        kept = value[c]
                        kept_begin = begin[c]
                        kept_begin_step = begin_step[c]
                        kept_event_time = event_time[c]
                        kept_step_time = step_time[c]
                        kept_matched = matched[c]
                        value[c] = new
                        if way == 0:
                            begin[c] = -1
                        elif way == 1:
                            begin[c] = i if old_begin < 0 else old_begin
                            begin_step[c] = j - 1 if old_begin < 0 else old_begin_step
                            matched[c] = 0 if old_begin < 0 else old_matched
                            if drug[e] == step_drug[y]:
                                matched[c] += 1
                            event_time[c] = 0
                            step_time[c] = 0
                            score = new if local else new - gap * (m - j)
                            total = best[before[begin[c]]] + score
                            better = total > best[i + 1] + TIE
                            if not better and out_regimen[e] >= 0:
                                # As good, but of fewer stretches.
                                better = total > best[i + 1] - TIE and score > out_score[e] + TIE
                            if better and score > least:
                                best[i + 1] = total
                                out_regimen[e] = r
                                out_begin[e] = begin_of_record + begin[c]
                                out_score[e] = score
                                out_matched[e] = matched[c]
                                out_steps[e, 0] = begin_step[c]
                                out_steps[e, 1] = j - 1
                        elif way == 2:
                            event_time[c] += passed
                        else:
                            begin[c] = begin[c - 1]
                            begin_step[c] = begin_step[c - 1]
                            matched[c] = matched[c - 1]
                            event_time[c] = event_time[c - 1]
                            step_time[c] = step_time[c - 1] + step_days[y]
                        old = kept
                        old_begin = kept_begin
                        old_begin_step = kept_begin_step
                        old_event_time = kept_event_time
                        old_step_time = kept_step_time
                        old_matched = kept_matched
            # Back from the last event: keep what the best set is made of.
            i = size - 1
            while i >= 0:
                e = begin_of_record + i
                if out_regimen[e] < 0:
                    i -= 1
                    continue
                stop = before[out_begin[e] - begin_of_record]
                for k in range(stop, i):
                    out_regimen[begin_of_record + k] = -1
                i = stop - 1
