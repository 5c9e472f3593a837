"""The formulary: classes, regimens, where the label allows them, what they cost, and who says so.

A formulary is a file (TOML or YAML) that a clinician can read. It holds everything about a model but the
kernels, which come from data. Every figure (cost, utility) names its source.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.constraints import Constraints
from fiac_survival.sequence.formulary_parts import (
    CategoryEffect,
    ConstraintRules,
    GroupUpdate,
    Name,
    Part,
    Regimen,
    Salvage,
)

if TYPE_CHECKING:
    from fiac_survival.sequence.model import SequenceModel
    from fiac_survival.sequence.parts import OverlapCounts

Floats = NDArray[np.float64]


class Formulary(Part):
    """Everything about a sequence model but its kernels.

    Attributes
    ----------
    name : str
        Of the formulary.
    schema_version : int
        Of the file's format.
    simulated : bool
        Whether it describes an invented disease.
    lines : int
        Number of lines L.
    horizon_months, step_months : float
        Horizon and length of a step.
    overlap_levels : int
        Number of overlap levels H.
    classes : dict
        Class names and what they stand for.
    groups : tuple of str
        Groups.
    regimens : tuple of Regimen
        Regimens.
    group_updates : tuple of GroupUpdate
        Rules of the group at a line's end; the first that applies counts.
    constraints : ConstraintRules
        What a sequence must not do.
    salvage : Salvage
        After the last line.
    effects : tuple of CategoryEffect
        Relative effects from publications; used where
        :meth:`~fiac_survival.sequence.RelativeEffects.from_formulary` is asked for them.

    Examples
    --------
    >>> formulary = Formulary.model_validate({
    ...     "name": "example", "lines": 2, "horizon_months": 12, "classes": {"x": "class x"},
    ...     "groups": ["all"], "regimens": [{"name": "A", "classes": ["x"]}]})
    >>> formulary.n_steps, formulary.masks.tolist()
    (12, [1])
    """

    name: Name
    schema_version: Literal[1] = 1
    simulated: bool = False
    lines: int = Field(ge=1, le=20)
    horizon_months: float = Field(gt=0)
    step_months: float = Field(default=1.0, gt=0)
    overlap_levels: int = Field(default=1, ge=1, le=16)
    classes: dict[Name, str]
    groups: tuple[Name, ...] = ("all",)
    regimens: tuple[Regimen, ...] = Field(min_length=1)
    group_updates: tuple[GroupUpdate, ...] = ()
    constraints: ConstraintRules = ConstraintRules()
    salvage: Salvage = Salvage()
    effects: tuple[CategoryEffect, ...] = ()

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        names = [regimen.name for regimen in self.regimens]
        for kind, found in (("regimens", names), ("groups", list(self.groups))):
            twice = [name for name in found if found.count(name) > 1]
            if twice:
                raise ValueError(f"{kind} must have names of their own: {twice[0]!r} stands twice")
        recorded = [name for r in self.regimens for name in r.records]
        shared = [name for name in recorded if recorded.count(name) > 1 or name in names]
        if shared:
            raise ValueError(f"{shared[0]!r} must be what lines call one regimen only")
        mixes = [r for r in self.regimens if r.observed_care]
        if len(mixes) > 1 or any(r.classes for r in mixes):
            raise ValueError("observed_care stands for one regimen, which has no classes")
        known = {"class": [*self.classes], "group": self.groups, "regimen": names}
        used = [("class", c, f"regimen {r.name!r}") for r in self.regimens for c in r.classes]
        at = [(f"regimen {r.name!r}", place) for r in self.regimens for place in r.places]
        used += [("group", g, name) for name, place in at for g in place.groups or ()]
        used += [("group", g, "group_updates") for u in self.group_updates for g in (u.start, u.to)]
        used += [("regimen", r, f"effect {e.category!r}") for e in self.effects for r in e.regimens]
        used += [("class", c, "constraints") for c in self.constraints.class_once]
        used += [
            ("regimen", r, "constraints") for pair in self.constraints.forbidden_after for r in pair
        ]
        for kind, name, place in used:
            if name not in known[kind]:
                raise ValueError(f"{place} names the unknown {kind} {name!r}")
        stated = [(line, name) for name, place in at for line in place.lines or ()]
        stated += [(u.line, "group_updates") for u in self.group_updates if u.line is not None]
        stated += [(line, f"effect {e.category!r}") for e in self.effects for line in e.lines]
        for line, place in stated:
            if not 1 <= line <= self.lines:
                raise ValueError(f"{place} names line {line} of {self.lines}")
        placed = [(r, line) for e in self.effects for r in e.regimens for line in e.lines]
        twice_placed = [place for place in placed if placed.count(place) > 1]
        if twice_placed:
            name, line = twice_placed[0]
            raise ValueError(f"regimen {name!r} has two effects in line {line}")
        if abs(self.n_steps * self.step_months - self.horizon_months) > 1e-9:
            raise ValueError("horizon_months must be a whole number of steps")
        if any(u.within_months < self.step_months for u in self.group_updates):
            raise ValueError("within_months must be one step or more")
        return self

    @cached_property
    def n_steps(self) -> int:
        """Number of steps."""
        return round(self.horizon_months / self.step_months)

    @cached_property
    def regimen_names(self) -> tuple[str, ...]:
        """Names of the regimens."""
        return tuple(regimen.name for regimen in self.regimens)

    @cached_property
    def observed_care(self) -> int | None:
        """Place of the regimen that stands for observed care; None without."""
        return next((a for a, r in enumerate(self.regimens) if r.observed_care), None)

    @cached_property
    def masks(self) -> NDArray[np.int64]:
        """Bitmask of the classes of each regimen, (A,)."""
        place = {name: i for i, name in enumerate(self.classes)}
        return np.array([sum(1 << place[c] for c in set(r.classes)) for r in self.regimens])

    @cached_property
    def allowed(self) -> NDArray[np.bool_]:
        """Where label and eligibility allow a regimen, (L, A, G)."""
        out = np.zeros((self.lines, len(self.regimens), len(self.groups)), dtype=np.bool_)
        for a, regimen in enumerate(self.regimens):
            for place in regimen.places:
                lines = [line - 1 for line in place.lines or range(1, self.lines + 1)]
                groups = [self.groups.index(g) for g in place.groups or self.groups]
                out[np.ix_(lines, [a], groups)] = True
        return out

    @cached_property
    def group_after(self) -> NDArray[np.int64] | None:
        """Group in which the next line starts, (L, G, T); None without rules."""
        if not self.group_updates:
            return None
        shape = (self.lines, len(self.groups), self.n_steps)
        out = np.broadcast_to(np.arange(shape[1])[None, :, None], shape).copy()
        done = np.zeros(shape, dtype=np.bool_)
        for rule in self.group_updates:
            start, to = self.groups.index(rule.start), self.groups.index(rule.to)
            last = min(math.floor(rule.within_months / self.step_months + 1e-9), self.n_steps)
            where = slice(None) if rule.line is None else slice(rule.line - 1, rule.line)
            open_here = ~done[where, start, :last]
            out[where, start, :last] = np.where(open_here, to, out[where, start, :last])
            done[where, start, :last] = True
        return out

    def level(self, regimen: int, exposed: int) -> int:
        """Overlap level of a regimen after exposure to classes.

        Parameters
        ----------
        regimen : int
            Place of the regimen.
        exposed : int
            Bitmask of classes.

        Returns
        -------
        int
            Number of common classes, at most H - 1.
        """
        return min((int(self.masks[regimen]) & exposed).bit_count(), self.overlap_levels - 1)

    def levels_that_occur(self) -> NDArray[np.bool_]:
        """Overlap levels at which allowed regimens can be given.

        Returns
        -------
        (L, A, H) bool
            By line and regimen, some group and some history.
        """
        masks, allowed = self.masks.tolist(), np.asarray(self.allowed.any(axis=2))
        out = np.zeros((*allowed.shape, self.overlap_levels), dtype=np.bool_)
        reached = {0}
        for line in range(self.lines):
            following = set()
            for a in np.flatnonzero(allowed[line]).tolist():
                for exposed in reached:
                    level = min((masks[a] & exposed).bit_count(), self.overlap_levels - 1)
                    out[line, a, level] = True
                    following.add(exposed | masks[a])
            reached = following
        return out

    def economics(self, on_treatment: Floats | None = None) -> dict[str, Any]:
        """Costs and utilities by step, treatment-free intervals included.

        Parameters
        ----------
        on_treatment : (A, T) float, optional
            Share of each step that the patients in the line are on treatment; by default all of it up to
            `treatment_months`, and nothing after.

        Returns
        -------
        dict
            utility, cost, start_cost, salvage_utility, salvage_cost as
            :class:`~fiac_survival.sequence.SequenceModel` takes them; None where no figure is given.

        Raises
        ------
        DataError
            If only some regimens have a figure, a figure lacks the one that it goes with, or the shares
            have another shape.
        """
        n_regimens, n_steps = len(self.regimens), self.n_steps
        full = (self.lines, n_regimens, len(self.groups), self.overlap_levels, n_steps)
        if on_treatment is None:
            ends = np.array([r.treatment_months or np.inf for r in self.regimens])
            on_treatment = np.clip(ends[:, None] / self.step_months - np.arange(n_steps), 0.0, 1.0)
        shares = np.asarray(on_treatment, dtype=np.float64)
        if shares.shape != (n_regimens, n_steps) or not ((shares >= 0) & (shares <= 1)).all():
            raise DataError(
                "on_treatment must be shares by regimen and step",
                values={"shape": shares.shape, "needed": (n_regimens, n_steps)},
            )
        out: dict[str, Any] = dict.fromkeys(
            ("utility", "cost", "start_cost", "salvage_utility", "salvage_cost")
        )
        cost = self._figures("cost_month")
        if cost is not None:
            by_step = cost[:, None] * self.step_months * shares
            out["cost"] = np.broadcast_to(by_step[None, :, None, None], full)
            amount = self.salvage.cost_month.value if self.salvage.cost_month else 0.0
            out["salvage_cost"] = np.full((len(self.groups), n_steps), amount * self.step_months)
            if any(r.start_cost for r in self.regimens):
                each = [r.start_cost.value if r.start_cost else 0.0 for r in self.regimens]
                out["start_cost"] = np.broadcast_to(np.array(each)[None, :, None], full[:3])
        utility = self._figures("utility")
        if utility is not None:
            pairs = zip(self.regimens, utility, strict=True)
            off = np.array([r.utility_off.value if r.utility_off else u for r, u in pairs])
            by_step = utility[:, None] * shares + off[:, None] * (1.0 - shares)
            out["utility"] = np.broadcast_to(by_step[None, :, None, None], full)
            if self.salvage.utility is None:
                raise DataError(
                    "utilities need one for the time after the last line",
                    values={"formulary": self.name},
                    remedy="give [salvage] a utility with its source",
                )
            after_last = self.salvage.utility.value
            out["salvage_utility"] = np.full((len(self.groups), n_steps), after_last)
        return out

    def _figures(self, field: str) -> Floats | None:
        found = [getattr(r, field) for r in self.regimens]
        if all(f is None for f in found):
            second = {"cost_month": "start_cost", "utility": "utility_off"}[field]
            alone = next((r.name for r in self.regimens if getattr(r, second)), None)
            if alone is not None:
                raise DataError(f"{second} needs {field}", values={"regimen": alone})
            return None
        missing = [r.name for r, f in zip(self.regimens, found, strict=True) if f is None]
        if missing:
            raise DataError(
                f"{field} must be given for every regimen or for none",
                values={"missing": missing[0], "number missing": len(missing)},
                remedy="0 with its source says that there is none",
            )
        return np.array([f.value for f in found])

    def model(
        self,
        next_prob: Any,
        death_prob: Any,
        salvage_death: Any,
        *,
        supported: Any = None,
        on_treatment: Floats | None = None,
        simulated: bool | None = None,
        next_refractory: Any = None,
        overlap_counts: OverlapCounts = "exposed",
    ) -> SequenceModel:
        """Make the sequence model with these kernels.

        Parameters
        ----------
        next_prob, death_prob : (L, A, G, H, T) float
            Kernels.
        salvage_death : (G, T) float
            Salvage kernel.
        supported : (L, A, G, H) bool, optional
            Where data support a regimen.
        on_treatment : (A, T) float, optional
            As in :meth:`economics`.
        simulated : bool, optional
            Whether the kernels come from simulated data; what the formulary says by default.
        next_refractory, overlap_counts
            As :class:`~fiac_survival.sequence.SequenceModel` takes them.

        Returns
        -------
        SequenceModel
            The model.

        Raises
        ------
        DataError
            If the kernels break a rule.
        """
        from fiac_survival.sequence.model import SequenceModel

        rules = self.constraints
        return SequenceModel(
            list(self.classes),
            self.regimen_names,
            self.masks,
            self.allowed,
            self.groups,
            next_prob,
            death_prob,
            salvage_death,
            group_after=self.group_after,
            step_months=self.step_months,
            constraints=Constraints(rules.class_once, rules.forbidden_after, rules.regimen_once),
            simulated=self.simulated if simulated is None else simulated,
            supported=supported,
            next_refractory=next_refractory,
            overlap_counts=overlap_counts,
            **self.economics(on_treatment),
        )
