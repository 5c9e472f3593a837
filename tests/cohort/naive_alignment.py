"""Plain twins of regimen alignment: the recurrence as a table, and every set of stretches."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Cell:
    value: float
    begin: int | None = None  # first event of the alignment
    first_step: int | None = None
    event_time: int = 0  # since the last pair
    step_time: int = 0
    matched: int = 0


@dataclass(frozen=True)
class Stretch:
    regimen: int
    begin: int
    end: int
    score: float
    matched: int
    first_step: int
    last_step: int


def table(days, drugs, schedule, gap, rush, local, score):
    """Cells of the recurrence, and which of them end with a pair."""
    m = len(schedule)
    floor = [0.0 if local else -gap * j for j in range(m + 1)]
    cells = [[Cell(floor[j]) for j in range(m + 1)]]
    pairs = set()
    for i, (day, drug) in enumerate(zip(days, drugs, strict=True), start=1):
        passed = day - days[i - 2] if i > 1 else 0
        row = [Cell(floor[0])]
        for j, (step_days, step_drug) in enumerate(schedule, start=1):
            ways = [Cell(floor[j])]
            corner, above, left = cells[i - 1][j - 1], cells[i - 1][j], row[j - 1]
            value = corner.value + score(drug, step_drug)
            if corner.begin is not None:
                t_x, t_y = corner.event_time + passed, corner.step_time + step_days
                if max(t_x, t_y) > 0:
                    value -= rush * abs(t_x - t_y) / max(t_x, t_y)
            new = corner.begin is None
            pair = Cell(
                value,
                i - 1 if new else corner.begin,
                j - 1 if new else corner.first_step,
                matched=(0 if new else corner.matched) + (drug == step_drug),
            )
            if not new:
                ways.append(pair)
            if above.begin is not None:
                ways.append(
                    replace(above, value=above.value - gap, event_time=above.event_time + passed)
                )
            if left.begin is not None:
                ways.append(
                    replace(left, value=left.value - gap, step_time=left.step_time + step_days)
                )
            if new:
                ways.append(pair)
            best = max(ways, key=lambda cell: cell.value)  # the first of equal ones
            if best is pair:
                pairs.add((i, j))
            row.append(best)
        cells.append(row)
    return cells, pairs


def stretches(days, drugs, schedules, gap, rush, local, score, least):
    """Every stretch that the recurrence proposes."""
    out = []
    for r, schedule in enumerate(schedules):
        cells, pairs = table(days, drugs, schedule, gap, rush, local, score)
        for i, j in pairs:
            cell = cells[i][j]
            points = cell.value if local else cell.value - gap * (len(schedule) - j)
            if points > least:
                out.append(
                    Stretch(r, cell.begin, i - 1, points, cell.matched, cell.first_step, j - 1)
                )
    return out


def best_total(days, candidates):
    """Highest sum of scores of stretches that share no day, by trying every set."""
    if not candidates:
        return 0.0
    one, *rest = candidates
    free = [c for c in rest if days[c.begin] > days[one.end] or days[c.end] < days[one.begin]]
    return max(best_total(days, rest), one.score + best_total(days, free))


def greedy_total(days, candidates):
    """The sum if always the highest score that still fits were taken."""
    total, taken = 0.0, []
    for c in sorted(candidates, key=lambda c: -c.score):
        if all(days[c.begin] > days[t.end] or days[c.end] < days[t.begin] for t in taken):
            taken.append(c)
            total += c.score
    return total
