"""A second interpreter of the rule sets: plain Python on sets of names, one patient at a time."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Regimen:
    role: str
    start: int
    end: int
    drugs: set[str]

    @property
    def days(self):
        return self.end - self.start + 1


@dataclass
class Line:
    start: int
    end: int
    drugs: set[str] = field(default_factory=set)
    regimens: list[Regimen] = field(default_factory=list)
    current: set[str] = field(default_factory=set)  # drugs of the latest drug regimen

    def latest_drugs(self):
        found = [r for r in self.regimens if r.role == "drug"]
        return found[-1] if found else None

    def dates(self, role):
        return [r.start for r in self.regimens if r.role == role]


def lines_of(records, rules, drugs):
    """Lines of one patient. records: (first day, last day, name); gives (start, end, set of names)."""
    role = {d.name: d.role for d in drugs.drugs}
    klass = {d.name: d.class_name for d in drugs.drugs}
    order = {d.name: i for i, d in enumerate(drugs.drugs)}
    records = sorted(records, key=lambda r: (r[0], order[r[2]], r[1]))
    lines = join(cut(counted(records, rules, role), rules, role), rules, klass)
    return [(x.start, x.end, x.drugs) for x in bring_together(lines, rules, role)]


def counted(records, rules, role):
    out, used = [], set()
    for start, end, name in records:
        if role[name] == "steroid":
            continue
        if role[name] == "apheresis":
            if rules.cell_therapy is None:
                continue
            reach = start + rules.cell_therapy.within_days
            cells = [
                k
                for k, (day, _, other) in enumerate(records)
                if role[other] == "cell therapy" and start <= day <= reach
            ]
            if not cells or cells[0] in used:
                continue
            used.add(cells[0])
        prepared = any(
            name in p.drugs and role[other] == p.procedure and 0 <= day - start <= p.days_before
            for p in rules.preparation
            for day, _, other in records
        )
        if not prepared:
            out.append((start, end, name))
    return out


def cut(records, rules, role):
    regimens, every = [], records
    while records:
        start, _, name = records[0]
        if role[name] != "drug":
            regimens.append(Regimen(role[name], start, records[0][1], {name}))
            records = records[1:]
            continue
        regimen, records = first_regimen(records, every, rules, role)
        regimens.append(regimen)
    return regimens


def first_regimen(records, every, rules, role):
    start = records[0][0]
    before = every[: len(every) - len(records)]
    # Records that began before and go on for longer than the window: drugs that are kept.
    kept = [r for r in before if role[r[2]] == "drug" and r[1] > start + rules.window_days]
    taken = list(kept)
    stop = None
    for i, (day, _, name) in enumerate(records):
        if role[name] != "drug":
            stop = i
            break
        reach = max((end for _, end, _ in taken), default=day)
        if day - reach - 1 > rules.gap_days:
            stop = i
            break
        names = {n for _, _, n in taken}
        if rules.dropped_drug == "ends regimen":
            covered = {n: max(e for _, e, m in taken if m == n) for n in names}
            gone = [e for e in covered.values() if day - e - 1 > rules.gap_days]
            if gone:
                given_up = day_given_up(min(gone), names, kept + records, rules)
                rest = [r for r in records if r[0] > given_up]
                end = max(start, min(given_up, rest[0][0] - 1))
                return Regimen("drug", start, end, names), rest
        if name not in names and day - start > rules.window_days:
            stop = min(k for k, r in enumerate(records) if r[0] == day)
            taken = [r for r in taken if r[0] < day]
            break
        taken.append(records[i])
    reach = max(end for _, end, _ in taken)
    rest = [] if stop is None else records[stop:]
    if rest:
        reach = max(start, min(reach, rest[0][0] - 1))
    return Regimen("drug", start, reach, {n for _, _, n in taken}), rest


def day_given_up(first, names, records, rules):
    limit = first + rules.dropped_tolerance_days
    days = [first]
    for name in names:
        mine = [(s, e) for s, e, n in records if n == name]
        until = max((e for s, e in mine if s <= limit), default=None)
        if until is None:
            continue
        later = [s for s, _ in mine if s > limit]
        if until > limit + rules.window_days:
            continue
        if not later or later[0] - until - 1 > rules.gap_days:
            days.append(min(until, limit))
    return max(days)


def join(regimens, rules, klass):
    lines = []
    for i, r in enumerate(regimens):
        line = lines[-1] if lines else None
        if line is None or not belongs(r, line, len(lines), rules, klass):
            too_short = r.role == "drug" and r.days < rules.minimum_days
            if too_short and i + 1 < len(regimens) and regimens[i + 1].role == "drug":
                continue
            line = Line(r.start, r.end)
            lines.append(line)
        elif r.role == "drug" and only_by_addition(r, line, len(lines), rules, klass):
            r = Regimen("drug", r.start, r.end, r.drugs | line.latest_drugs().drugs)
        line.end = max(line.end, r.end)
        line.drugs |= r.drugs
        line.regimens.append(r)
    return lines


def belongs(r, line, number, rules, klass):
    free = r.start - line.end - 1
    if r.role == "transplant":
        limit = rules.transplant.tandem_days
        before = line.dates("transplant")
        tandem = not before or limit is None or r.start - before[0] <= limit
        return tandem and free <= rules.transplant.before_days
    if r.role == "apheresis":
        return False
    if r.role == "cell therapy":
        again = line.dates("cell therapy")
        return awaits(line, r.start, rules) or bool(
            again and r.start - again[-1] <= rules.window_days
        )
    return without_addition(r, line, rules) or adds(r, line, number, rules, klass)


def only_by_addition(r, line, number, rules, klass):
    return not without_addition(r, line, rules) and adds(r, line, number, rules, klass)


def awaits(line, day, rules):
    if rules.cell_therapy is None or line.dates("cell therapy"):
        return False
    return any(day <= a + rules.cell_therapy.within_days for a in line.dates("apheresis"))


def without_addition(r, line, rules):
    before = line.latest_drugs()
    free = r.start - line.end - 1
    if before is not None:
        same = r.drugs <= before.drugs
        if rules.dropped_drug == "ends regimen":
            same = r.drugs == before.drugs
        if same and (rules.restart == "continues" or free <= rules.gap_days):
            return True
    t = rules.transplant
    for day in line.dates("transplant")[-1:]:
        since = r.start - day
        if t.after_days is not None and since <= t.after_days:
            return True
        single = len(r.drugs) == 1 and t.single_after_days is not None
        named = t.single_after_drugs is None or r.drugs <= set(t.single_after_drugs)
        if single and since <= t.single_after_days and named:
            return True
    m = rules.maintenance
    if m is not None and before is not None and len(r.drugs) == 1 < len(before.drugs):
        fits = r.drugs <= set(m.drugs) or (
            r.drugs <= set(m.repeated_drugs) and r.drugs <= before.drugs
        )
        if (
            fits
            and r.days > m.longer_than_days
            and before.days > m.previous_longer_than_days
            and r.start - before.end <= m.within_days
        ):
            return True
    if awaits(line, r.start, rules):
        bridging = rules.cell_therapy.bridging
        return bridging == "any" or r.drugs <= set(bridging)
    return False


def adds(r, line, number, rules, klass):
    before = line.latest_drugs()
    if before is None:
        return False
    added = r.drugs - before.drugs
    if not added:
        return False
    for a in rules.additions:
        allowed = all(d in a.drugs or klass[d] in a.classes for d in added)
        soon = r.start - before.start <= a.within_days
        present = set(a.needs) <= before.drugs
        here = a.line is None or a.line == number
        old = {klass[d] for d in before.drugs}
        new = [klass[d] for d in added]
        fresh = not a.new_class or (not old & set(new) and len(new) == len(set(new)))
        if allowed and soon and present and here and fresh:
            return True
    return False


def bring_together(lines, rules, role):
    out = []
    for line in lines:
        if out and any(role[d] == "transplant" for d in line.drugs):
            before = out[-1]
            free = not any(role[d] == "transplant" for d in before.drugs)
            if free and any(set(s) <= before.drugs for s in rules.joined_by_transplant):
                before.end = max(before.end, line.end)
                before.drugs |= line.drugs
                continue
        out.append(line)
    return out
