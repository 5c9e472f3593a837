"""What a sequence model is made of: names, arrays, and looking things up in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.checks import (
    Names,
    as_masks,
    check_kernels,
    check_levels,
    check_names,
    check_supported,
)
from fiac_survival.sequence.constraints import Constraints
from fiac_survival.sequence.states import StateSpace, build_states

Floats = NDArray[np.float64]
OverlapCounts = Literal["exposed", "refractory"]


@dataclass(frozen=True, eq=False, init=False, repr=False)
class ModelParts:
    """Names and arrays of a model, checked; see :class:`~fiac_survival.sequence.SequenceModel`."""

    classes: tuple[str, ...]
    regimens: tuple[str, ...]
    masks: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    groups: tuple[str, ...]
    next_prob: Floats
    death_prob: Floats
    salvage_death: Floats
    group_after: NDArray[np.int64] | None
    overlap_level: NDArray[np.int64] | None
    next_refractory: Floats | None
    step_months: float
    overlap_counts: OverlapCounts
    constraints: Constraints
    utility: Floats | None
    cost: Floats | None
    start_cost: Floats | None
    salvage_utility: Floats | None
    salvage_cost: Floats | None
    simulated: bool = field(repr=False)
    supported: NDArray[np.bool_] | None = field(repr=False)

    def __init__(
        self,
        classes: Sequence[str],
        regimens: Sequence[str],
        regimen_classes: Any,
        allowed: Any,
        groups: Sequence[str],
        next_prob: Any,
        death_prob: Any,
        salvage_death: Any,
        *,
        group_after: Any = None,
        overlap_level: Any = None,
        next_refractory: Any = None,
        step_months: float = 1.0,
        overlap_counts: OverlapCounts = "exposed",
        constraints: Constraints | None = None,
        utility: Any = None,
        cost: Any = None,
        start_cost: Any = None,
        salvage_utility: Any = None,
        salvage_cost: Any = None,
        simulated: bool = False,
        supported: Any = None,
    ) -> None:
        names = check_names(classes, regimens, groups)
        masks = as_masks(regimen_classes, names)
        kernels = check_kernels(
            names,
            allowed=allowed,
            next_prob=next_prob,
            death_prob=death_prob,
            salvage_death=salvage_death,
            group_after=group_after,
            next_refractory=next_refractory,
            extras={
                "utility": utility,
                "cost": cost,
                "start_cost": start_cost,
                "salvage_utility": salvage_utility,
                "salvage_cost": salvage_cost,
            },
        )
        if not np.isfinite(step_months) or step_months <= 0:
            raise DataError(
                "step_months must be positive",
                values={"step_months": step_months},
                remedy="1 means steps of a month",
            )
        if overlap_counts == "refractory" and next_refractory is None:
            raise DataError(
                "overlap with refractory classes needs next_refractory",
                values={"overlap_counts": overlap_counts},
                remedy='pass next_refractory, or leave overlap_counts at "exposed"',
            )
        level = check_levels(overlap_level, names, levels=kernels["next_prob"].shape[3])
        constraints = constraints or Constraints()
        constraints.check(names)
        values: dict[str, Any] = {
            "classes": names.classes,
            "regimens": names.regimens,
            "masks": masks,
            "groups": names.groups,
            "overlap_level": level,
            "step_months": float(step_months),
            "overlap_counts": overlap_counts,
            "constraints": constraints,
            "simulated": bool(simulated),
            "supported": check_supported(supported, kernels["next_prob"].shape[:4]),
            **kernels,
        }
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)
        self.states.require_actions(self)

    # --- sizes ---------------------------------------------------------------------------------

    @property
    def n_lines(self) -> int:
        """Number of lines L."""
        return int(self.next_prob.shape[0])

    @property
    def n_steps(self) -> int:
        """Number of steps T."""
        return int(self.next_prob.shape[4])

    @property
    def n_levels(self) -> int:
        """Number of overlap levels H."""
        return int(self.next_prob.shape[3])

    @property
    def horizon_months(self) -> float:
        """Length of the horizon."""
        return self.n_steps * self.step_months

    @cached_property
    def usable(self) -> NDArray[np.bool_]:
        """Regimens that label, eligibility and support allow, (L, A, G, H) bool."""
        wide = np.broadcast_to(self.allowed[..., None], self.next_prob.shape[:4])
        return np.asarray(wide if self.supported is None else wide & self.supported)

    @cached_property
    def states(self) -> StateSpace:
        """States that can be reached, line by line."""
        return build_states(self)

    def group_index(self, group: str) -> int:
        """Find a group.

        Parameters
        ----------
        group : str
            Its name.

        Returns
        -------
        int
            Its place.

        Raises
        ------
        DataError
            If the model has no such group.
        """
        return _place("group", group, self.groups)

    def regimen_index(self, regimen: str) -> int:
        """Find a regimen.

        Parameters
        ----------
        regimen : str
            Its name.

        Returns
        -------
        int
            Its place.

        Raises
        ------
        DataError
            If the model has no such regimen.
        """
        return _place("regimen", regimen, self.regimens)

    def class_mask(self, classes: Any) -> int:
        """Turn class names into a bitmask.

        Parameters
        ----------
        classes : iterable of str
            Class names.

        Returns
        -------
        int
            Bitmask.

        Raises
        ------
        DataError
            If the model has no such class.
        """
        mask = 0
        for name in classes:
            mask |= 1 << _place("class", name, self.classes)
        return mask

    def class_names(self, mask: int) -> tuple[str, ...]:
        """Turn a bitmask into class names.

        Parameters
        ----------
        mask : int
            Bitmask.

        Returns
        -------
        tuple of str
            Class names in order.
        """
        return tuple(name for i, name in enumerate(self.classes) if mask >> i & 1)

    def with_kernels(self, next_prob: Any, death_prob: Any, salvage_death: Any = None) -> Self:
        """Make the same model with other kernels, as for a draw of the parameters.

        Parameters
        ----------
        next_prob, death_prob : (L, A, G, H, T) float
            Kernels.
        salvage_death : (G, T) float, optional
            Salvage kernel; unchanged by default.

        Returns
        -------
        SequenceModel
            Sharing everything else, the states included.

        Raises
        ------
        DataError
            If the kernels break a rule.
        """
        kernels = check_kernels(
            Names(self.classes, self.regimens, self.groups),
            allowed=self.allowed,
            next_prob=next_prob,
            death_prob=death_prob,
            salvage_death=self.salvage_death if salvage_death is None else salvage_death,
            group_after=self.group_after,
            next_refractory=self.next_refractory,
            extras={},
        )
        return self.replaced(
            **{name: kernels[name] for name in ("next_prob", "death_prob", "salvage_death")}
        )

    def replaced(self, **arrays: Floats | None) -> Self:
        """Make the same model with other arrays, which are not checked.

        Parameters
        ----------
        **arrays
            By name of the attribute.

        Returns
        -------
        SequenceModel
            Sharing everything else, the states included.
        """
        other = object.__new__(type(self))
        for name, value in (vars(self) | arrays).items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(other, name, value)
        return other

    def __repr__(self) -> str:
        def count(n: int, noun: str) -> str:
            return f"{n} {noun}{'' if n == 1 else 's'}"

        month = "1 month" if self.step_months == 1 else f"{self.step_months:g} months"
        return (
            f"SequenceModel({len(self.classes)} class{'' if len(self.classes) == 1 else 'es'}, "
            f"{count(len(self.regimens), 'regimen')}, {count(self.n_lines, 'line')}, "
            f"{count(len(self.groups), 'group')}, {count(self.n_steps, 'step')} of {month}, "
            f"{count(self.states.total, 'state')})"
        )

    def only_group(self, group: str | None) -> str:
        """Name the group, which may be left out if there is one.

        Parameters
        ----------
        group : str or None
            Its name.

        Returns
        -------
        str
            Its name.

        Raises
        ------
        DataError
            If it is missing and there are several, or unknown.
        """
        if group is None:
            if len(self.groups) > 1:
                raise DataError(
                    "the group must be given",
                    values={"groups": ", ".join(self.groups)},
                    remedy="pass group=",
                )
            return self.groups[0]
        return self.groups[self.group_index(group)]


def _place(kind: str, name: str, known: tuple[str, ...]) -> int:
    if name not in known:
        raise DataError(
            f"the {kind} must be one of the model's",
            values={kind: name, "known": ", ".join(known)},
        )
    return known.index(name)
