"""Plain Python twins of the solver: recursion over states, and sums over every course."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from fiac_survival.sequence import Constraints, SequenceModel


def random_model(
    seed,
    *,
    n_classes=3,
    n_regimens=4,
    n_lines=3,
    n_groups=2,
    n_levels=2,
    n_steps=5,
    learning=False,
    refractory=False,
    economics=False,
    constraints=None,
    levels_table=False,
    overlap_counts="exposed",
    allow=0.8,
    step_months=1.0,
):
    """A model with random kernels in which every state has a regimen (the first is always allowed)."""
    rng = np.random.default_rng(seed)
    masks = rng.integers(0, 1 << n_classes, n_regimens)
    masks[0] = 0  # no further therapy
    shape = (n_lines, n_regimens, n_groups, n_levels, n_steps)
    raw = rng.dirichlet(np.ones(2 * n_steps + 1), shape[:4])
    allowed = rng.random(shape[:3]) < allow
    allowed[:, 0] = True
    salvage = rng.dirichlet(np.ones(n_steps + 1), n_groups)[:, :n_steps]
    extra = {}
    if learning:
        extra["group_after"] = rng.integers(0, n_groups, (n_lines, n_groups, n_steps))
    if refractory:
        extra["next_refractory"] = rng.random(shape)
        extra["overlap_counts"] = overlap_counts
    if levels_table:
        extra["overlap_level"] = rng.integers(0, n_levels, (n_regimens, 1 << n_classes))
    if economics:
        extra |= {
            "utility": rng.random(shape),
            "cost": rng.random(shape) * 10,
            "start_cost": rng.random(shape[:3]) * 5,
            "salvage_utility": rng.random((n_groups, n_steps)),
            "salvage_cost": rng.random((n_groups, n_steps)),
        }
    return SequenceModel(
        [f"c{i}" for i in range(n_classes)],
        [f"r{i}" for i in range(n_regimens)],
        masks,
        allowed,
        [f"g{i}" for i in range(n_groups)],
        raw[..., :n_steps],
        raw[..., n_steps : 2 * n_steps],
        salvage,
        constraints=constraints or Constraints(),
        step_months=step_months,
        **extra,
    )


class Recursion:
    """The Bellman equation as it is written, by elapsed time, with memory and nothing else."""

    def __init__(
        self,
        model,
        objective="life_time",
        at=None,
        discount=0.0,
        background=None,
        willingness_to_pay=None,
    ):
        self.m = model
        self.kind = objective
        self.horizon = model.n_steps if at is None else round(at / model.step_months)
        self.v = (1 + discount) ** (-model.step_months / 12)
        ones = np.ones((len(model.groups), model.n_steps + 1))
        self.b = ones if background is None else np.broadcast_to(background, ones.shape)
        self.rate = (willingness_to_pay or 0.0) * model.step_months / 12
        self.value = functools.cache(self._value)
        self.salvage = functools.cache(self._salvage)

    def weight(self, utility, cost):
        if self.kind == "life_time":
            return 1.0
        if self.kind == "quality_adjusted":
            return utility
        if self.kind == "cost":
            return cost
        return self.rate * utility - cost

    def lived(self, before, after, elapsed, u, g):
        """Expected part of step u spent alive, given alive at `elapsed`."""
        b = self.b[g]
        start = before * b[elapsed + u - 1] / b[elapsed]
        end = after * b[elapsed + u] / b[elapsed]
        return 0.5 * (start + end) * self.v ** (u - 0.5)

    def _salvage(self, g, r):
        m, elapsed = self.m, self.horizon - r
        s, total = 1.0, 0.0
        for u in range(1, r + 1):
            d = m.salvage_death[g, u - 1]
            if self.kind != "milestone":
                utility = m.salvage_utility[g, u - 1] if m.salvage_utility is not None else 1.0
                cost = m.salvage_cost[g, u - 1] if m.salvage_cost is not None else 0.0
                total += self.weight(utility, cost) * self.lived(s, s - d, elapsed, u, g)
            s -= d
        if self.kind == "milestone":
            return s * self.b[g, self.horizon] / self.b[g, elapsed]
        return total

    def options(self, line, exposed, refractory, last, used, g):
        m = self.m
        once = m.class_mask(m.constraints.class_once)
        for a in range(len(m.regimens)):
            if not m.allowed[line, a, g] or exposed & int(m.masks[a]) & once:
                continue
            pair = (m.regimens[last] if last >= 0 else None, m.regimens[a])
            if pair in m.constraints.forbidden_after:
                continue
            if m.constraints.regimen_once and used >> a & 1:
                continue
            yield a

    def level(self, a, exposed, refractory):
        m = self.m
        counted = refractory if m.overlap_counts == "refractory" else exposed
        if m.overlap_level is not None:
            return int(m.overlap_level[a, counted])
        return min((counted & int(m.masks[a])).bit_count(), m.n_levels - 1)

    def of_action(self, a, line, exposed, refractory, last, used, g, r, then):
        """Value of regimen a now and `then` afterwards."""
        m, elapsed = self.m, self.horizon - r
        h = self.level(a, exposed, refractory)
        s, total = 1.0, 0.0
        if self.kind in ("cost", "net_benefit") and m.start_cost is not None and r > 0:
            total += m.start_cost[line, a, g] * (1 if self.kind == "cost" else -1)
        for u in range(1, r + 1):
            n, d = m.next_prob[line, a, g, h, u - 1], m.death_prob[line, a, g, h, u - 1]
            if self.kind != "milestone":
                utility = m.utility[line, a, g, h, u - 1] if m.utility is not None else 1.0
                cost = m.cost[line, a, g, h, u - 1] if m.cost is not None else 0.0
                total += self.weight(utility, cost) * self.lived(s, s - d, elapsed, u, g)
            alive = self.b[g, elapsed + u] / self.b[g, elapsed] * self.v**u
            g2 = g if m.group_after is None else int(m.group_after[line, g, u - 1])
            mask = int(m.masks[a])
            share = 0.0 if m.next_refractory is None else m.next_refractory[line, a, g, h, u - 1]
            for part, r2 in ((1 - share, refractory), (share, refractory | mask)):
                if part:
                    rest = then(line + 1, exposed | mask, r2, a, used | 1 << a, g2, r - u)
                    total += part * n * alive * rest
            s -= n + d
        if self.kind == "milestone":
            total += max(s, 0.0) * self.b[g, self.horizon] / self.b[g, elapsed]
        return total

    def _value(self, line, exposed, refractory, last, used, g, r):
        if line == self.m.n_lines:
            return self.salvage(g, r)
        if not self.m.constraints.forbidden_after:
            last = -1
        if not self.m.constraints.regimen_once:
            used = 0
        best = min if self.kind == "cost" else max
        return best(
            self.of_action(a, line, exposed, refractory, last, used, g, r, self.value)
            for a in self.options(line, exposed, refractory, last, used, g)
        )

    def optimum(self, g):
        return self.value(0, 0, 0, -1, 0, g, self.horizon) * self.scale

    @property
    def scale(self):
        return self.m.step_months if self.kind in ("life_time", "quality_adjusted") else 1.0

    def of_sequence(self, sequence, g):
        """Value of a fixed sequence of regimen numbers, None if it is not allowed."""

        def then(line, exposed, refractory, last, used, g2, r):
            if line == self.m.n_lines:
                return self.salvage(g2, r)
            a = sequence[line]
            if a not in list(self.options(line, exposed, refractory, last, used, g2)):
                raise ValueError
            return self.of_action(a, line, exposed, refractory, last, used, g2, r, then)

        try:
            return then(0, 0, 0, -1, 0, g, self.horizon) * self.scale
        except ValueError:
            return None

    def best_sequences(self, g):
        """All allowed sequences with their values, best first, then in order of regimens."""
        found = []
        for sequence in itertools.product(range(len(self.m.regimens)), repeat=self.m.n_lines):
            value = self.of_sequence(sequence, g)
            if value is not None:
                found.append((value, sequence))
        sign = 1 if self.kind == "cost" else -1
        return sorted(found, key=lambda x: (sign * round(x[0], 11), x[1]))


def life_time_by_courses(model, sequence, g):
    """Expected life-time of a fixed sequence: every course, its probability times its length."""
    m, total = model, []

    def walk(line, exposed, group, elapsed, probability):
        left = m.n_steps - elapsed
        if line == m.n_lines:
            s = 1.0
            for u in range(1, left + 1):
                d = m.salvage_death[group, u - 1]
                total.append(probability * d * (elapsed + u - 0.5))
                s -= d
            total.append(probability * s * m.n_steps)
            return
        a = sequence[line]
        h = min((exposed & int(m.masks[a])).bit_count(), m.n_levels - 1)
        s = 1.0
        for u in range(1, left + 1):
            n = m.next_prob[line, a, group, h, u - 1]
            d = m.death_prob[line, a, group, h, u - 1]
            total.append(probability * d * (elapsed + u - 0.5))
            after = group if m.group_after is None else int(m.group_after[line, group, u - 1])
            walk(line + 1, exposed | int(m.masks[a]), after, elapsed + u, probability * n)
            s -= n + d
        total.append(probability * s * m.n_steps)

    walk(0, 0, g, 0, 1.0)
    return math.fsum(total) * m.step_months
