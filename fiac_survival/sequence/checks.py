"""Checking what a sequence model is made of: names, masks, shapes and probabilities."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError

Floats = NDArray[np.float64]
MAX_CLASSES = 24
MAX_REGIMENS = 250
MASS_SLACK = 1e-9


@dataclass(frozen=True)
class Names:
    """Names of classes, regimens and groups."""

    classes: tuple[str, ...]
    regimens: tuple[str, ...]
    groups: tuple[str, ...]


def check_names(classes: Sequence[str], regimens: Sequence[str], groups: Sequence[str]) -> Names:
    """Check names: text, at least one, no two alike, no more than fit.

    Parameters
    ----------
    classes, regimens, groups : sequence of str
        Names.

    Returns
    -------
    Names
        As tuples.

    Raises
    ------
    DataError
        Naming the first that breaks a rule.
    """
    for kind, names, most in (
        ("classes", classes, MAX_CLASSES),
        ("regimens", regimens, MAX_REGIMENS),
        ("groups", groups, 10_000),
    ):
        if isinstance(names, str) or not all(n and isinstance(n, str) for n in names):
            raise DataError(f"{kind} must be a list of names", values={kind: names})
        twice = next((n for n in names if list(names).count(n) > 1), None)
        if twice is not None:
            raise DataError(f"{kind} must have names of their own", values={"twice": twice})
        if not names and kind != "classes":
            raise DataError(f"there must be at least one of {kind}", values={kind: 0})
        if len(names) > most:
            remedy = "merge classes that do not matter for the choice" if kind == "classes" else ""
            raise DataError(
                f"there must be at most {most} {kind}",
                values={kind: len(names)},
                remedy=remedy or "split the model",
            )
    return Names(tuple(classes), tuple(regimens), tuple(groups))


def as_masks(regimen_classes: Any, names: Names) -> NDArray[np.int64]:
    """Turn the classes of each regimen into a bitmask.

    Parameters
    ----------
    regimen_classes : sequence of int, or of collections of str
        One a regimen.
    names : Names
        Names of the model.

    Returns
    -------
    (A,) int64
        Bitmasks.

    Raises
    ------
    DataError
        If a class is unknown, a mask has a bit too many, or the length is wrong.
    """
    if len(regimen_classes) != len(names.regimens):
        raise DataError(
            "regimen_classes must have one entry per regimen",
            values={"regimens": len(names.regimens), "entries": len(regimen_classes)},
        )
    out = np.zeros(len(names.regimens), dtype=np.int64)
    for a, entry in enumerate(regimen_classes):
        if isinstance(entry, int | np.integer) and not isinstance(entry, bool):
            if not 0 <= int(entry) < 1 << len(names.classes):
                raise DataError(
                    "a bitmask must have bits of known classes only",
                    values={"regimen": names.regimens[a], "mask": int(entry)},
                    remedy=f"there are {len(names.classes)} classes",
                )
            out[a] = int(entry)
            continue
        members: Iterable[str] = [entry] if isinstance(entry, str) else entry
        for name in members:
            if name not in names.classes:
                raise DataError(
                    "a regimen's classes must be known",
                    values={"regimen": names.regimens[a], "class": name},
                    remedy=f"classes: {', '.join(names.classes)}",
                )
            out[a] |= 1 << names.classes.index(name)
    return out


def check_levels(overlap_level: Any, names: Names, *, levels: int) -> NDArray[np.int64] | None:
    """Check an explicit table of overlap levels.

    Parameters
    ----------
    overlap_level : (A, 2**C) int or None
        Level of each regimen in each set of exposed classes.
    names : Names
        Names of the model.
    levels : int
        Number of levels that the kernels have.

    Returns
    -------
    (A, 2**C) int64 or None
        A copy.

    Raises
    ------
    DataError
        If the shape is wrong or a level has no kernel.
    """
    if overlap_level is None:
        return None
    table = np.array(overlap_level)
    shape = (len(names.regimens), 1 << len(names.classes))
    if table.shape != shape or table.dtype.kind not in "iu":
        raise DataError(
            "overlap_level must hold whole numbers, one row a regimen and one column a set of classes",
            values={"shape": table.shape, "needed": shape},
        )
    if table.min() < 0 or table.max() >= levels:
        raise DataError(
            "an overlap level must have a kernel",
            values={"lowest": int(table.min()), "highest": int(table.max()), "levels": levels},
            remedy=f"use levels 0 to {levels - 1}",
        )
    return table.astype(np.int64)


def check_supported(supported: Any, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Check the table of support in the data.

    Parameters
    ----------
    supported : (L, A, G, H) bool or None
        The table.
    shape : tuple of int
        L, A, G, H.

    Returns
    -------
    (L, A, G, H) bool or None
        A copy.

    Raises
    ------
    DataError
        If the shape or the type is another.
    """
    if supported is None:
        return None
    array = np.array(supported)
    if array.shape != shape or array.dtype != np.bool_:
        raise DataError(
            "supported must say yes or no by line, regimen, group and overlap level",
            values={"shape": array.shape, "needed": shape, "type": array.dtype},
        )
    return array


def _shaped(value: Any, name: str, shape: tuple[int, ...]) -> Floats:
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise DataError(
            f"{name} must have the shape of the model",
            values={"shape": array.shape, "needed": shape},
            remedy="axes are line, regimen, group, overlap level, step, as far as they apply",
        )
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        raise DataError(
            f"{name} must be finite",
            count=int(bad.shape[0]),
            values={"first at": tuple(int(i) for i in bad[0])},
        )
    return array


def check_kernels(
    names: Names,
    *,
    allowed: Any,
    next_prob: Any,
    death_prob: Any,
    salvage_death: Any,
    group_after: Any,
    next_refractory: Any,
    extras: Mapping[str, Any],
) -> dict[str, Any]:
    """Check kernels and everything that has their shape.

    Parameters
    ----------
    names : Names
        Names of the model.
    allowed, next_prob, death_prob, salvage_death, group_after, next_refractory
        As in :class:`fiac_survival.sequence.model.SequenceModel`.
    extras : mapping
        utility, cost, start_cost, salvage_utility, salvage_cost, each an array or None.

    Returns
    -------
    dict
        Copies of all, by name.

    Raises
    ------
    DataError
        Naming line, regimen, group, level and step of the first offender.
    """
    next_array = np.asarray(next_prob, dtype=np.float64)
    if next_array.ndim != 5:
        raise DataError(
            "next_prob must have five axes",
            values={"shape": next_array.shape},
            remedy="line, regimen, group, overlap level, step",
        )
    n_lines, _, _, n_levels, n_steps = next_array.shape
    for what, size in (("lines", n_lines), ("overlap levels", n_levels), ("steps", n_steps)):
        if size < 1:
            raise DataError(
                f"a model must have at least one of {what}",
                values={what: size},
                remedy="a horizon of zero steps leaves nothing to decide",
            )
    full = (n_lines, len(names.regimens), len(names.groups), n_levels, n_steps)
    salvage = (len(names.groups), n_steps)
    out: dict[str, Any] = {
        "next_prob": _shaped(next_prob, "next_prob", full),
        "death_prob": _shaped(death_prob, "death_prob", full),
        "salvage_death": _shaped(salvage_death, "salvage_death", salvage),
        "allowed": _check_allowed(allowed, full[:3]),
        "group_after": _check_group_after(group_after, (n_lines, *salvage)),
        "next_refractory": None,
    }
    _check_mass(names, out["next_prob"], out["death_prob"])
    _check_salvage(names, out["salvage_death"])
    if next_refractory is not None:
        share = _shaped(next_refractory, "next_refractory", full)
        bad = np.argwhere((share < 0) | (share > 1))
        if bad.size:
            raise DataError(
                "next_refractory must hold shares between 0 and 1",
                values={**_where(names, bad[0]), "share": float(share[tuple(bad[0])])},
            )
        out["next_refractory"] = share
    shapes = {
        "utility": full,
        "cost": full,
        "start_cost": full[:3],
        "salvage_utility": salvage,
        "salvage_cost": salvage,
    }
    for name, value in extras.items():
        out[name] = None if value is None else _shaped(value, name, shapes[name])
    return out


def _check_allowed(allowed: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    array = np.array(allowed)
    if array.shape != shape or array.dtype.kind != "b":
        raise DataError(
            "allowed must be true or false for each line, regimen and group",
            values={"shape": array.shape, "needed": shape, "type": array.dtype},
        )
    return array


def _check_group_after(group_after: Any, shape: tuple[int, ...]) -> NDArray[np.int64] | None:
    if group_after is None:
        return None
    array = np.array(group_after)
    if array.shape != shape or array.dtype.kind not in "iu":
        raise DataError(
            "group_after must be a group's number for each line, group and step",
            values={"shape": array.shape, "needed": shape, "type": array.dtype},
        )
    if array.min() < 0 or array.max() >= shape[1]:
        raise DataError(
            "group_after must point to a group",
            values={"lowest": int(array.min()), "highest": int(array.max()), "groups": shape[1]},
        )
    return array.astype(np.int64)


def _where(names: Names, index: Any) -> dict[str, Any]:
    """Say in names which kernel an index points to."""
    line, regimen, group, level = (int(i) for i in index[:4])
    place: dict[str, Any] = {
        "line": line + 1,
        "regimen": names.regimens[regimen],
        "group": names.groups[group],
        "overlap level": level,
    }
    if len(index) > 4:
        place["step"] = int(index[4]) + 1
    return place


def _check_mass(names: Names, next_prob: Floats, death_prob: Floats) -> None:
    for name, array in (("next_prob", next_prob), ("death_prob", death_prob)):
        bad = np.argwhere((array < 0) | (array > 1))
        if bad.size:
            raise DataError(
                f"{name} must hold probabilities",
                count=int(bad.shape[0]),
                values={**_where(names, bad[0]), "value": float(array[tuple(bad[0])])},
            )
    mass = next_prob.sum(axis=-1) + death_prob.sum(axis=-1)
    bad = np.argwhere(mass > 1.0 + MASS_SLACK)
    if bad.size:
        raise DataError(
            "a kernel's probabilities must add to at most 1",
            count=int(bad.shape[0]),
            values={**_where(names, bad[0]), "sum": float(mass[tuple(bad[0])])},
            remedy="what is missing to 1 is the probability of still being in the line at the horizon",
        )


def _check_salvage(names: Names, salvage: Floats) -> None:
    bad = np.argwhere((salvage < 0) | (salvage > 1))
    if bad.size:
        group, step = (int(i) for i in bad[0])
        raise DataError(
            "salvage_death must hold probabilities",
            values={"group": names.groups[group], "step": step + 1, "value": salvage[group, step]},
        )
    total = salvage.sum(axis=1)
    if (total > 1.0 + MASS_SLACK).any():
        group = int(np.argmax(total))
        raise DataError(
            "salvage_death must add to at most 1",
            values={"group": names.groups[group], "sum": float(total[group])},
        )
