"""Lines of therapy, one patient at a time.

A patient's records are cut into **regimens** (drugs given together; a transplant or a cell therapy is a
regimen of its own), and regimens are joined into **lines**. What cuts and what joins is data: `rule` holds
the numbers, the masks hold sets of drugs, bit d for drug d. Days are whole; a record covers the days from
its start to its end, both included, and the days without treatment between two records are
``start - end - 1``.

A new drug begins a regimen on its day: all records of that day belong to it, in whatever order the drugs
are numbered. A record that began before, and goes on for longer than the window, is of a drug that is kept:
the drug belongs to the new regimen too. What ends within the window is left over from the old one.
"""

from __future__ import annotations

import numba
import numpy as np

from fiac_survival.kernels._jit import jit, jit_parallel
from fiac_survival.kernels._types import Bools, Ints

# Roles of drugs and procedures.
DRUG, IGNORED, TRANSPLANT, APHERESIS, CELL_THERAPY = 0, 1, 2, 3, 4
# Places in `rule`; all but the switches are days.
WINDOW = 0  # a drug first given later than this after the regimen's start ends the regimen
GAP = 1  # more days without treatment end the regimen
DROP = 2  # switch: a drug of the regimen that is not given for more than GAP days ends it
DROP_TOLERANCE = 3  # drugs given up within this time after the first are given up with it
RESTART = 4  # switch: the same drugs after a gap continue the line
MINIMUM = 5  # a regimen that covers fewer days opens no line if another regimen follows
BEFORE = 6  # largest treatment-free time before a transplant that belongs to the line
TANDEM = 7  # a transplant this soon after the line's first belongs to the line
AFTER = 8  # any regimen that starts this soon after a transplant belongs to the line
AFTER_SINGLE = 9  # so does a single drug of a set
MAINTENANCE_WITHIN = (
    10  # maintenance starts within this time after the regimen before; 0: no such rule
)
MAINTENANCE_MINIMUM = 11  # and lasts longer than this
MAINTENANCE_PREVIOUS = 12  # after a combination that lasted longer than this
CELL_WITHIN = 13  # apheresis counts if a cell therapy follows within this time; 0: never
N_RULES = 14
# Places in `sets`.
SINGLE_AFTER, MAINTENANCE, MAINTENANCE_REPEATED, BRIDGING = 0, 1, 2, 3
N_SETS = 4
NEVER = -(2**40)


@jit
def _count_bits(mask: int) -> int:
    n = 0
    while mask:
        mask &= mask - 1
        n += 1
    return n


@jit
def _mark(
    lo: int,
    hi: int,
    start: Ints,
    drug: Ints,
    role: Ints,
    rule: Ints,
    prep_role: Ints,
    prep_set: Ints,
    prep_days: Ints,
    active: Bools,
) -> None:
    """Say which records count: no steroids, no preparation, only the apheresis of a cell therapy."""
    claimed = -1
    for i in range(lo, hi):
        kind = role[drug[i]]
        active[i] = kind != IGNORED
        if kind != APHERESIS:
            continue
        active[i] = False
        for j in range(lo, hi):
            if start[j] > start[i] + rule[CELL_WITHIN]:
                break
            if role[drug[j]] == CELL_THERAPY and start[j] >= start[i]:
                active[i] = rule[CELL_WITHIN] > 0 and j != claimed
                claimed = j
                break
    for j in range(lo, hi):
        if role[drug[j]] < TRANSPLANT:
            continue
        for k in range(prep_role.size):
            if prep_role[k] != role[drug[j]]:
                continue
            for i in range(lo, hi):
                if start[i] > start[j]:
                    break
                chosen = (prep_set[k] >> drug[i]) & 1
                if chosen and start[j] - start[i] <= prep_days[k]:
                    active[i] = False


@jit
def _drop(
    lo: int,
    j: int,
    hi: int,
    start: Ints,
    end: Ints,
    drug: Ints,
    rule: Ints,
    active: Bools,
    mask: int,
    last: Ints,
    kept: Ints,
) -> int:
    """Day on which drugs were given up, if record j shows that one was; else NEVER."""
    cut = NEVER
    for d in range(last.size):
        if (
            (mask >> d) & 1
            and start[j] - last[d] - 1 > rule[GAP]
            and (cut == NEVER or last[d] < cut)
        ):
            cut = last[d]
    if cut == NEVER:
        return cut
    limit = cut + rule[DROP_TOLERANCE]
    out = cut
    for d in range(last.size):
        if not (mask >> d) & 1:
            continue
        covered, goes_on = kept[d], False
        for i in range(lo, hi):
            if not active[i] or drug[i] != d:
                continue
            if start[i] <= limit:
                covered = max(covered, end[i])
            else:
                goes_on = start[i] - covered - 1 <= rule[GAP]
                break
        goes_on |= covered - limit > rule[WINDOW]
        if covered != NEVER and not goes_on:
            out = max(out, min(covered, limit))
    return out


@jit
def _regimens(
    lo: int,
    hi: int,
    start: Ints,
    end: Ints,
    drug: Ints,
    role: Ints,
    rule: Ints,
    active: Bools,
    reg_start: Ints,
    reg_end: Ints,
    reg_set: Ints,
    reg_role: Ints,
) -> int:
    """Cut the records lo .. hi-1 into regimens, written from place lo on; how many."""
    last = np.empty(role.size, dtype=np.int64)
    kept = np.empty(role.size, dtype=np.int64)
    n, i = 0, lo
    while i < hi:
        if not active[i]:
            i += 1
            continue
        kind = role[drug[i]]
        reg_start[lo + n] = start[i]
        reg_role[lo + n] = kind
        if kind != DRUG:
            reg_end[lo + n] = end[i]
            reg_set[lo + n] = 1 << drug[i]
            n += 1
            i += 1
            continue
        mask, reach, following = 0, end[i], hi
        kept[:] = NEVER
        for k in range(lo, i):
            d = drug[k]
            if active[k] and role[d] == DRUG and end[k] - start[i] > rule[WINDOW]:
                mask |= 1 << d
                kept[d] = max(kept[d], end[k])
                reach = max(reach, end[k])
        last[:] = kept
        day, reach_before = start[i], reach
        for j in range(i, hi):
            if not active[j]:
                continue
            d = drug[j]
            if role[d] != DRUG or start[j] - reach - 1 > rule[GAP]:
                following = j
                break
            if start[j] > day:
                day, reach_before = start[j], reach
            if rule[DROP]:
                cut = _drop(i, j, hi, start, end, drug, rule, active, mask, last, kept)
                if cut != NEVER:
                    reach = cut
                    for k in range(i, j + 1):
                        if active[k] and start[k] > cut:
                            following = k
                            break
                    break
            if not (mask >> d) & 1 and start[j] - start[i] > rule[WINDOW]:
                following, reach = j, reach_before
                while start[following - 1] == day:
                    following -= 1
                break
            mask |= 1 << d
            last[d] = max(last[d], end[j])
            reach = max(reach, end[j])
        if following < hi:
            reach = max(start[i], min(reach, start[following] - 1))
        reg_end[lo + n] = reach
        reg_set[lo + n] = mask
        n += 1
        i = following
    return n


@jit
def _adds(
    mask: int,
    days: int,
    line: int,
    last_set: int,
    drug_class: Ints,
    add_set: Ints,
    add_days: Ints,
    add_needs: Ints,
    add_new_class: Ints,
    add_line: Ints,
) -> bool:
    """Say whether the drugs that a regimen adds belong to the line."""
    added = mask & ~last_set
    if added == 0:
        return False
    before, new, twice = 0, 0, 0
    for d in range(drug_class.size):
        bit = 1 << drug_class[d]
        if (last_set >> d) & 1:
            before |= bit
        elif (added >> d) & 1:
            twice |= new & bit
            new |= bit
    for k in range(add_set.size):
        allowed = added & ~add_set[k] == 0 and days <= add_days[k]
        allowed = allowed and add_needs[k] & ~last_set == 0
        allowed = allowed and (add_line[k] == 0 or add_line[k] == line)
        if allowed and (not add_new_class[k] or (before & new == 0 and twice == 0)):
            return True
    return False


@jit
def _lines(
    lo: int,
    n_reg: int,
    role: Ints,
    drug_class: Ints,
    rule: Ints,
    sets: Ints,
    add_set: Ints,
    add_days: Ints,
    add_needs: Ints,
    add_new_class: Ints,
    add_line: Ints,
    reg_start: Ints,
    reg_end: Ints,
    reg_set: Ints,
    reg_role: Ints,
    out_start: Ints,
    out_end: Ints,
    out_set: Ints,
) -> int:
    """Join regimens into lines, written from place lo on; how many."""
    n = 0
    last_set, last_start, last_end = 0, NEVER, NEVER
    transplant_first, transplant_last, awaited, cells = NEVER, NEVER, NEVER, NEVER
    for r in range(lo, lo + n_reg):
        begin, finish, mask, kind = reg_start[r], reg_end[r], reg_set[r], reg_role[r]
        line = lo + n - 1
        free = begin - out_end[line] - 1 if n else 0
        join = False
        if n and kind == DRUG:
            single = _count_bits(mask) == 1
            same = mask == last_set if rule[DROP] else mask & ~last_set == 0
            join = same and last_set != 0 and (rule[RESTART] != 0 or free <= rule[GAP])
            if transplant_last != NEVER:
                since = begin - transplant_last
                join = join or since <= rule[AFTER]
                chosen = single and mask & ~sets[SINGLE_AFTER] == 0
                join = join or (chosen and since <= rule[AFTER_SINGLE])
            if rule[MAINTENANCE_WITHIN] > 0 and single and _count_bits(last_set) > 1:
                fits = mask & sets[MAINTENANCE] != 0
                fits = fits or (mask & sets[MAINTENANCE_REPEATED] & last_set != 0)
                fits = fits and finish - begin + 1 > rule[MAINTENANCE_MINIMUM]
                fits = fits and last_end - last_start + 1 > rule[MAINTENANCE_PREVIOUS]
                join = join or (fits and begin - last_end <= rule[MAINTENANCE_WITHIN])
            join = join or (begin <= awaited and mask & ~sets[BRIDGING] == 0)
            if not join and last_set != 0:
                join = _adds(
                    mask,
                    begin - last_start,
                    n,
                    last_set,
                    drug_class,
                    add_set,
                    add_days,
                    add_needs,
                    add_new_class,
                    add_line,
                )
                if join:
                    mask |= last_set
        elif n and kind == TRANSPLANT:
            tandem = transplant_first == NEVER or begin - transplant_first <= rule[TANDEM]
            join = free <= rule[BEFORE] and tandem
        elif n and kind == CELL_THERAPY:
            join = begin <= awaited or (cells != NEVER and begin - cells <= rule[WINDOW])
        if not join:
            short = kind == DRUG and finish - begin + 1 < rule[MINIMUM]
            if short and r + 1 < lo + n_reg and reg_role[r + 1] == DRUG:
                continue
            line += 1
            n += 1
            out_start[line], out_end[line], out_set[line] = begin, finish, 0
            last_set, last_start, last_end = 0, NEVER, NEVER
            transplant_first, transplant_last, awaited, cells = NEVER, NEVER, NEVER, NEVER
        out_end[line] = max(out_end[line], finish)
        out_set[line] |= mask
        if kind == DRUG:
            last_set, last_start, last_end = mask, begin, finish
        elif kind == TRANSPLANT:
            transplant_last = begin
            if transplant_first == NEVER:
                transplant_first = begin
        elif kind == APHERESIS:
            awaited = begin + rule[CELL_WITHIN]
        else:
            cells, awaited = begin, NEVER
    return n


@jit
def _bring_to_transplant(
    lo: int, n: int, pairs: Ints, transplants: int, out_start: Ints, out_end: Ints, out_set: Ints
) -> int:
    """Join a line of certain drugs without transplant with the next, if that one has a transplant."""
    kept = 0
    for i in range(n):
        here = lo + i
        joined = False
        if kept and out_set[here] & transplants:
            before = out_set[lo + kept - 1]
            for k in range(pairs.size):
                joined |= pairs[k] & ~before == 0 and before & transplants == 0
        if joined:
            out_end[lo + kept - 1] = max(out_end[lo + kept - 1], out_end[here])
            out_set[lo + kept - 1] |= out_set[here]
        else:
            out_start[lo + kept] = out_start[here]
            out_end[lo + kept] = out_end[here]
            out_set[lo + kept] = out_set[here]
            kept += 1
    return kept


@jit_parallel
def find_lines(
    first: Ints,
    start: Ints,
    end: Ints,
    drug: Ints,
    role: Ints,
    drug_class: Ints,
    rule: Ints,
    sets: Ints,
    prep_role: Ints,
    prep_set: Ints,
    prep_days: Ints,
    add_set: Ints,
    add_days: Ints,
    add_needs: Ints,
    add_new_class: Ints,
    add_line: Ints,
    pairs: Ints,
    out_count: Ints,
    out_start: Ints,
    out_end: Ints,
    out_set: Ints,
) -> None:
    """Find the lines of therapy of each patient.

    Parameters
    ----------
    first : (N + 1,) int64
        Records of patient p stand at first[p] .. first[p+1]-1, by start, then drug.
    start, end : (n,) int64
        First and last day that a record covers.
    drug : (n,) int64
        Drug or procedure, 0 .. D-1, D at most 62.
    role, drug_class : (D,) int64
        Role, and number of the class.
    rule : (N_RULES,) int64
        Numbers of the rule set.
    sets : (N_SETS,) int64
        Sets of drugs of the rule set.
    prep_role, prep_set, prep_days : (a,) int64
        Drugs of a set given up to so many days before a procedure of a role prepare it.
    add_set, add_days, add_needs, add_new_class, add_line : (b,) int64
        Drugs whose addition so soon after the regimen's start stays in the line; drugs that must be in the
        regimen already; whether their class must be new; in which line only (0: any).
    pairs : (c,) int64
        Sets of drugs of a line that the next line's transplant belongs to.
    out_count : (N,) int64
        Number of lines.
    out_start, out_end, out_set : (n,) int64
        First and last day and drugs of the lines of patient p, from place first[p] on.
    """
    n = start.size
    active = np.empty(n, dtype=np.bool_)
    reg_start = np.empty(n, dtype=np.int64)
    reg_end = np.empty(n, dtype=np.int64)
    reg_set = np.empty(n, dtype=np.int64)
    reg_role = np.empty(n, dtype=np.int64)
    transplants = 0
    for d in range(role.size):
        if role[d] == TRANSPLANT:
            transplants |= 1 << d
    for p in numba.prange(first.size - 1):
        lo, hi = first[p], first[p + 1]
        _mark(lo, hi, start, drug, role, rule, prep_role, prep_set, prep_days, active)
        n_reg = _regimens(
            lo, hi, start, end, drug, role, rule, active, reg_start, reg_end, reg_set, reg_role
        )
        found = _lines(
            lo,
            n_reg,
            role,
            drug_class,
            rule,
            sets,
            add_set,
            add_days,
            add_needs,
            add_new_class,
            add_line,
            reg_start,
            reg_end,
            reg_set,
            reg_role,
            out_start,
            out_end,
            out_set,
        )
        out_count[p] = _bring_to_transplant(
            lo, found, pairs, transplants, out_start, out_end, out_set
        )
