"""States that can be reached, line by line, and where each regimen leads.

A state is a code of 64 bits: exposed classes E, refractory classes R, the last regimen and the regimens
used, each part only where the model needs it. The line number only grows, so the states of line 1, 2, ...
are found one after the other, and one backward sweep over them is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.sequence.plan import LinePlan, plan_line

if TYPE_CHECKING:
    from fiac_survival.sequence.parts import ModelParts

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LineStates:
    """States in which a line can start.

    Attributes
    ----------
    code : (n,) int64
        Codes, ascending.
    exposed, refractory : (n,) int64
        Bitmasks of classes.
    reached : (n, G) bool
        Groups in which a state can be reached.
    after : (n, A) int64
        Place of the next line's state if the line ends without refractoriness; -1 where a constraint
        forbids the regimen. In the last line 0.
    after_refractory : (n, A) int64
        The same if it ends with progression on treatment; equal to `after` without refractoriness.
    level : (n, A) int64
        Overlap level.
    """

    code: Ints
    exposed: Ints
    refractory: Ints
    reached: NDArray[np.bool_]
    after: Ints
    after_refractory: Ints
    level: Ints

    @property
    def size(self) -> int:
        """Number of states."""
        return int(self.code.size)

    def usable(self, model: ModelParts, line: int) -> NDArray[np.bool_]:
        """Regimens that label, eligibility and support allow, constraints apart.

        Parameters
        ----------
        model : ModelParts
            The model.
        line : int
            Line, counted from 0.

        Returns
        -------
        (n, A, G) bool
            By state, regimen and group.
        """
        regimens = np.arange(self.level.shape[1])
        return np.asarray(model.usable[line].transpose(0, 2, 1)[regimens[None], self.level])


@dataclass(frozen=True, eq=False)
class StateSpace:
    """States of all lines."""

    lines: tuple[LineStates, ...]
    n_classes: int
    n_regimens: int
    has_refractory: bool
    has_last: bool
    has_used: bool

    @cached_property
    def plans(self) -> tuple[LinePlan, ...]:
        """Distinct chained values of each line."""
        return tuple(plan_line(line, refractory=self.has_refractory) for line in self.lines)

    @property
    def total(self) -> int:
        """Number of states over all lines."""
        return sum(line.size for line in self.lines)

    def code(self, exposed: int, refractory: int = 0, last: int = -1, used: int = 0) -> int:
        """Code of a state.

        Parameters
        ----------
        exposed, refractory : int
            Bitmasks of classes.
        last : int
            Last regimen, -1 for none.
        used : int
            Bitmask of regimens.

        Returns
        -------
        int
            The code.
        """
        value, shift = exposed, self.n_classes
        if self.has_refractory:
            value |= refractory << shift
            shift += self.n_classes
        if self.has_last:
            value |= (last + 1) << shift
            shift += 8
        if self.has_used:
            value |= used << shift
        return value

    def find(
        self, line: int, exposed: int, refractory: int = 0, last: int = -1, used: int = 0
    ) -> int:
        """Find a state.

        Parameters
        ----------
        line : int
            Line, counted from 1.
        exposed, refractory, last, used
            As in :meth:`code`.

        Returns
        -------
        int
            Its place among the states of the line.

        Raises
        ------
        DataError
            If there is no such line.
        SupportError
            If no sequence of allowed regimens leads there.
        """
        if not 1 <= line <= len(self.lines):
            raise DataError(
                "line must be one of the model's",
                values={"line": line, "lines": len(self.lines)},
                remedy="lines are counted from 1",
            )
        states = self.lines[line - 1]
        code = self.code(exposed, refractory, last, used)
        place = int(np.searchsorted(states.code, code))
        if place == states.size or states.code[place] != code:
            raise SupportError(
                "the state must be one that allowed regimens lead to",
                values={"line": line, "exposed classes (mask)": exposed},
                remedy="check the exposed classes against the regimens of earlier lines",
            )
        return place

    def require_actions(self, model: ModelParts) -> None:
        """Refuse a model in which a state that can be reached has no allowed regimen.

        Parameters
        ----------
        model : ModelParts
            The model.

        Raises
        ------
        DataError
            Naming line, exposed classes and group.
        """
        for line, states in enumerate(self.lines):
            open_regimens = (states.after >= 0)[:, :, None] & states.usable(model, line)
            stuck = states.reached & ~open_regimens.any(axis=1)
            if stuck.any():
                place, group = (int(i) for i in np.argwhere(stuck)[0])
                exposed = model.class_names(int(states.exposed[place]))
                raise DataError(
                    "every state that can be reached must have an allowed regimen",
                    values={
                        "line": line + 1,
                        "exposed": ", ".join(exposed) or "nothing",
                        "group": model.groups[group],
                    },
                    remedy='allow "no further therapy" or the observed care mix there',
                )


def starting_groups(model: ModelParts) -> NDArray[np.bool_]:
    """Find the groups in which line 1 starts: all but those that are only learnt later.

    Parameters
    ----------
    model : ModelParts
        The model.

    Returns
    -------
    (G,) bool
        False for a group that is allowed no regimen in line 1 and that another group changes to.
    """
    n_groups = len(model.groups)
    learnt = np.zeros(n_groups, dtype=np.bool_)
    if model.group_after is not None:
        own = np.arange(n_groups)[None, :, None]
        learnt[np.unique(model.group_after[model.group_after != own])] = True
    return np.asarray(~learnt | model.allowed[0].any(axis=0))


def build_states(model: ModelParts) -> StateSpace:
    """Find the states of each line.

    Parameters
    ----------
    model : ModelParts
        Classes, regimens, constraints and where regimens are allowed.

    Returns
    -------
    StateSpace
        States with the places that regimens lead to.

    Raises
    ------
    DataError
        If a state does not fit into 62 bits.
    """
    space = StateSpace(
        lines=(),
        n_classes=len(model.classes),
        n_regimens=len(model.regimens),
        has_refractory=model.next_refractory is not None,
        has_last=bool(model.constraints.forbidden_after),
        has_used=model.constraints.regimen_once,
    )
    bits = space.n_classes * (2 if space.has_refractory else 1)
    bits += (8 if space.has_last else 0) + (space.n_regimens if space.has_used else 0)
    if bits > 62:
        raise DataError(
            "a state must fit into 62 bits",
            values={"bits": bits},
            remedy="merge classes, or drop regimen_once",
        )
    code = np.array([space.code(0)], dtype=np.int64)
    reached = starting_groups(model)[None]
    lines = []
    for line in range(model.n_lines):
        current, code, reached = _expand(model, space, line, code, reached)
        lines.append(current)
    return StateSpace(
        lines=tuple(lines),
        n_classes=space.n_classes,
        n_regimens=space.n_regimens,
        has_refractory=space.has_refractory,
        has_last=space.has_last,
        has_used=space.has_used,
    )


def state_parts(space: StateSpace, code: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Split codes of states.

    Parameters
    ----------
    space : StateSpace
        Whose codes they are.
    code : (n,) int64
        Codes.

    Returns
    -------
    exposed, refractory, last, used : (n,) int64
        Bitmasks of classes; last regimen, -1 for none; bitmask of regimens.
    """
    classes = (1 << space.n_classes) - 1
    exposed, rest = code & classes, code >> space.n_classes
    refractory = np.zeros_like(code)
    if space.has_refractory:
        refractory, rest = rest & classes, rest >> space.n_classes
    last = np.full_like(code, -1)
    if space.has_last:
        last, rest = (rest & 255) - 1, rest >> 8
    return exposed, refractory, last, rest


def _expand(
    model: ModelParts, space: StateSpace, line: int, code: Ints, reached: NDArray[np.bool_]
) -> tuple[LineStates, Ints, NDArray[np.bool_]]:
    """Describe a line's states, and find those of the next."""
    n, n_regimens = code.size, len(model.regimens)
    exposed, refractory, last, used = state_parts(space, code)
    once = model.class_mask(model.constraints.class_once)
    after_pairs = {
        (model.regimens.index(a), model.regimens.index(b))
        for a, b in model.constraints.forbidden_after
    }
    target = np.full((n, n_regimens), -1, dtype=np.int64)
    target_refractory = np.full((n, n_regimens), -1, dtype=np.int64)
    level = np.zeros((n, n_regimens), dtype=np.int64)
    for a in range(n_regimens):
        mask = int(model.masks[a])
        open_here = (exposed & mask & once) == 0
        for first, second in after_pairs:
            if second == a:
                open_here &= last != first
        if space.has_used:
            open_here &= (used >> a & 1) == 0
        counted = refractory if model.overlap_counts == "refractory" else exposed
        if model.overlap_level is None:
            common = np.bitwise_count(counted & mask).astype(np.int64)
            level[:, a] = np.minimum(common, model.n_levels - 1)
        else:
            level[:, a] = model.overlap_level[a, counted]
        usable = reached & model.usable[line, a].T[level[:, a]]
        rows = np.flatnonzero(open_here & usable.any(axis=1))
        if rows.size == 0:
            continue
        used_after = used[rows] | (1 << a if space.has_used else 0)
        target[rows, a] = _codes(space, exposed[rows] | mask, refractory[rows], a, used_after)
        target_refractory[rows, a] = _codes(
            space, exposed[rows] | mask, refractory[rows] | mask, a, used_after
        )
    if line == model.n_lines - 1:
        ended = np.where(target >= 0, 0, -1)
        current = LineStates(code, exposed, refractory, reached, ended, ended, level)
        return current, code[:0], reached[:0]
    following = np.unique(np.concatenate([target[target >= 0], target_refractory[target >= 0]]))
    after = np.where(target >= 0, np.searchsorted(following, target), -1)
    after_refractory = np.where(target >= 0, np.searchsorted(following, target_refractory), -1)
    next_reached = np.zeros((following.size, reached.shape[1]), dtype=np.bool_)
    for a in range(n_regimens):
        rows = np.flatnonzero(target[:, a] >= 0)
        usable = reached[rows] & model.usable[line, a].T[level[rows, a]]
        groups = _groups_after(model, line, usable)
        for place in (after[rows, a], after_refractory[rows, a]):
            np.logical_or.at(next_reached, place, groups)
    current = LineStates(code, exposed, refractory, reached, after, after_refractory, level)
    return current, following, next_reached


def _codes(space: StateSpace, exposed: Ints, refractory: Ints, last: int, used: Ints) -> Ints:
    value, shift = exposed.copy(), space.n_classes
    if space.has_refractory:
        value |= refractory << shift
        shift += space.n_classes
    if space.has_last:
        value |= (last + 1) << shift
        shift += 8
    if space.has_used:
        value |= used << shift
    return value


def _groups_after(model: ModelParts, line: int, groups: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the groups in which the next line can start."""
    if model.group_after is None:
        return groups
    leads = np.zeros((groups.shape[1], groups.shape[1]), dtype=np.bool_)
    for g in range(groups.shape[1]):
        leads[g, np.unique(model.group_after[line, g])] = True
    return np.asarray(groups @ leads)
