r"""Deterministic passes: pairs that agree on a set of keys, accepted where unique on both sides.

Passes run from strict to loose. A pair is accepted if its two persons agree on every key of the pass (a
date of the pass within some days, where that is allowed) and neither agrees with anyone else of the other
side: all persons count for that, those linked in an earlier pass too, unless only the remaining ones
shall.

What a pass costs is counted before it is used. Let :math:`r` be the mean number of *other* public persons
with whom a public person agrees on the keys (records equal in all keys, dates too, count once; half a
meeting is added, since none seen is not none), :math:`A` the pairs that agree and :math:`n` the private
persons still free. Of the pairs at least about :math:`t=A-nr-2\sqrt{nr}` belong together, which leaves
:math:`m=n-t` private persons without a partner in this pass; a stranger is the single one to agree with
them with probability :math:`re^{-r}`, a partner stays the single one with :math:`e^{-r}`, so that a share
:math:`mr/(mr+t)` of the links must be expected to be false. The default passes are all sets that leave
out at most two keys, a date of death not among them; one is used if that share stays within a limit, and
r within 0.25, beyond which the estimate is not to be trusted. (Published linkages of early-access records
use sex, month and year of birth, hospital and department in such combinations.)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.linkage_keys import LinkageKeys
from fiac_survival.core.errors import DataError

Ints = NDArray[np.int64]
Among = Literal["all", "remaining"]
LEFT_OUT = 2
MOST_RIVALS = 0.25
NOT_BY_DEFAULT = ("death",)


@dataclass(frozen=True, eq=False)
class Passes:
    """What the passes linked.

    Attributes
    ----------
    private, public, number : int64 arrays
        Rows of the pairs, and the pass of each (from 1).
    table : DataFrame
        pass, keys, complete_private, complete_public, rivals, false_share, unique, linked,
        expected_false, used.
    """

    private: Ints
    public: Ints
    number: Ints
    table: pd.DataFrame


def run_passes(
    keys: LinkageKeys,
    passes: Sequence[Sequence[str]] | None,
    *,
    within: Mapping[str, int],
    among: Among,
    max_false: float,
) -> Passes:
    """Link by passes.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    passes : sequence of sequences of str, optional
        Key sets; without them the default ones, as far as they are safe.
    within : mapping of str to int
        Days by which a date may differ.
    among : {"all", "remaining"}
        Persons among whom a pair must be unique.
    max_false : float
        Largest share of false links to be expected of a default pass.

    Returns
    -------
    Passes
        Pairs and the count of every pass.
    """
    wanted = default_passes(keys) if passes is None else [tuple(p) for p in passes]
    near = [{k: within[k] for k in p if within.get(k, 0)} for p in wanted]
    once = _without_copies(keys)
    rivals = [_rivals(keys, p, w, once) for p, w in zip(wanted, near, strict=True)]
    order = list(range(len(wanted)))
    if passes is None:
        order.sort(key=lambda k: (-len(wanted[k]), rivals[k], wanted[k]))
    free = tuple(np.ones(n, dtype=bool) for n in keys.n)
    found: list[tuple[Ints, Ints, int]] = []
    rows: list[dict[str, Any]] = []
    number = 0
    for k in order:
        taken = free if among == "remaining" else None
        (i, j), row = _try(keys, wanted[k], near[k], rivals[k], free, taken)
        safe = row["false_share"] <= max_false and rivals[k] <= MOST_RIVALS
        use = passes is not None or (i.size > 0 and safe)
        number += use
        rows.append(
            {
                "pass": number if use else pd.NA,
                "keys": " + ".join(wanted[k]),
                **row,
                "unique": int(i.size),
                "linked": int(i.size) if use else 0,
                "expected_false": row["false_share"] * i.size if use else 0.0,
                "used": bool(use),
            }
        )
        if use:
            found.append((i, j, number))
            free[0][i], free[1][j] = False, False
    return Passes(
        np.concatenate([np.zeros(0, np.int64), *(a for a, _, _ in found)]),
        np.concatenate([np.zeros(0, np.int64), *(b for _, b, _ in found)]),
        np.concatenate([np.zeros(0, np.int64), *(np.full(a.size, n) for a, _, n in found)]),
        pd.DataFrame(rows).astype({"pass": "Int64"}),
    )


def default_passes(keys: LinkageKeys) -> list[tuple[str, ...]]:
    """List the sets of keys that leave out at most two.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides. A date of death is not used: it would leave out the living.

    Returns
    -------
    list of tuple of str
        At least two keys each, or the single one that there is.
    """
    names = [k for k in keys.names if k not in NOT_BY_DEFAULT]
    if not names:
        raise DataError(
            "passes need a key other than death",
            remedy="name the passes: death alone leaves out the living",
        )
    sizes = range(len(names), max(min(2, len(names)), len(names) - LEFT_OUT) - 1, -1)
    return [subset for size in sizes for subset in itertools.combinations(names, size)]


def check_passes(passes: Sequence[Sequence[str]], within: Mapping[str, int]) -> None:
    """Refuse passes that cannot be run.

    Parameters
    ----------
    passes : sequence of sequences of str
        Key sets.
    within : mapping of str to int
        Days by which a date may differ.

    Raises
    ------
    DataError
        If a pass is empty, names a key twice, or has more than one date that may differ.
    """
    for number, one in enumerate(passes, start=1):
        if not len(one) or len(set(one)) < len(one):
            raise DataError(
                "a pass must name its keys, each once",
                values={"pass": number, "keys": ", ".join(one)},
            )
        loose = [k for k in one if within.get(k, 0)]
        if len(loose) > 1:
            raise DataError(
                "a pass may have one date that may differ by days",
                values={"pass": number, "dates": ", ".join(loose)},
                remedy="set the days of the others to 0 in within=",
            )


def _try(
    keys: LinkageKeys,
    subset: Sequence[str],
    near: Mapping[str, int],
    rivals: float,
    free: tuple[NDArray[np.bool_], ...],
    among: tuple[NDArray[np.bool_], ...] | None,
) -> tuple[tuple[Ints, Ints], dict[str, Any]]:
    """Find the free pairs that are unique on both sides, and what share of them must be false."""
    a, b, reach = _places(keys, subset, near)
    row: dict[str, Any] = {
        "complete_private": int((a >= 0).sum()),
        "complete_public": int((b >= 0).sum()),
        "rivals": rivals,
    }
    free_a, free_b = np.where(free[0], a, -1), np.where(free[1], b, -1)
    agree, _ = _neighbours(free_a, free_b, reach)
    n = int((free_a >= 0).sum())
    r = rivals * float((free_b >= 0).sum()) / max(row["complete_public"], 1)
    together = float(agree.sum()) - n * r - 2.0 * float(np.sqrt(n * r))
    together = min(max(together, 0.0), float(n))
    strangers = (n - together) * r
    row["false_share"] = strangers / (strangers + together) if strangers > 0.0 else 0.0
    if among is not None:
        a, b = free_a, free_b
    count_a, partner = _neighbours(a, b, reach)
    count_b, _ = _neighbours(b, a, reach)
    i = np.flatnonzero(count_a == 1)
    i = i[count_b[partner[i]] == 1]
    i = i[free[0][i] & free[1][partner[i]]]
    return (i.astype(np.int64), partner[i]), row


def _places(
    keys: LinkageKeys, subset: Sequence[str], near: Mapping[str, int]
) -> tuple[Ints, Ints, int]:
    """Put the persons on a line where agreement is a distance of at most `reach`; -1: off the line."""
    exact = [k for k in subset if k not in near]
    a, b = keys.groups(exact)
    if not near:
        return a, b, 0
    ((name, reach),) = near.items()
    days = [side[name] for side in keys.days]
    known = [side[name] >= 0 for side in keys.codes]
    low = min(int(d[k].min()) for d, k in zip(days, known, strict=True) if k.any())
    span = max(int(d[k].max()) for d, k in zip(days, known, strict=True) if k.any()) - low
    stride = span + reach + 1
    out = [
        np.where((g >= 0) & k, g * stride + d - low, -1)
        for g, k, d in zip((a, b), known, days, strict=True)
    ]
    # Kept off -1, which means "off the line", by more than any reach.
    out = [np.where(x >= 0, x + stride, -1) for x in out]
    return out[0], out[1], reach


def _neighbours(a: Ints, b: Ints, reach: int) -> tuple[Ints, Ints]:
    """Count for each of `a` those of `b` within reach, and give one of them (0 if there is none)."""
    order = np.argsort(b, kind="stable")
    line = b[order]
    first = np.searchsorted(line, a - reach, side="left")
    last = np.searchsorted(line, a + reach, side="right")
    count = np.where(a >= 0, last - first, 0)
    partner = order[np.minimum(first, b.size - 1)]
    return count.astype(np.int64), np.where(count > 0, partner, 0).astype(np.int64)


def expected_by_chance(keys: LinkageKeys, subset: Sequence[str]) -> tuple[int, float]:
    """Compare the pairs that agree on some keys with those that strangers would make.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    subset : sequence of str
        Keys.

    Returns
    -------
    observed : int
        Pairs that agree.
    expected : float
        Pairs if no person were on both sides.
    """
    complete = int((keys.groups(subset)[0] >= 0).sum())
    return keys.pairs(subset), complete * _rivals(keys, subset, {}, _without_copies(keys))


def _without_copies(keys: LinkageKeys) -> NDArray[np.bool_]:
    """Mark the public persons but for copies: equal to an earlier one in all keys, a date among them."""
    frame = keys.frames[1][list(keys.names)]
    dates = [k for k in keys.names if keys.kinds[k] == "date"]
    copy = frame.duplicated() & frame[dates].notna().any(axis=1)
    return np.asarray(~copy, dtype=bool)


def _rivals(
    keys: LinkageKeys, subset: Sequence[str], near: Mapping[str, int], once: NDArray[np.bool_]
) -> float:
    """Mean number of other public persons with whom a public person agrees, copies left out."""
    _, b, reach = _places(keys, subset, near)
    b = np.where(once, b, -1)
    complete = b >= 0
    if not complete.any():
        return 0.0
    count, _ = _neighbours(b, b, reach)
    return (float(count[complete].sum() - complete.sum()) + 0.5) / float(complete.sum())
