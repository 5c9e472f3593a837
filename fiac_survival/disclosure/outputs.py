r"""What a reader knows after a release, as linear statements about counts.

A **cell** is a count :math:`x_c\in\{0,1,2,\dots\}` with a name: the patients it is taken of, what is
counted, and where. Outputs say two things about cells: that a released cell lies in an interval
(a single number if it is not rounded), and that a total is the sum of its parts:

.. math:: l_c \le x_c \le u_c ,\qquad x_t = \sum_{c\in P(t)} x_c .

Margins, differences (the larger is the sum of the smaller and the rest), cumulated events and numbers
at risk are all of this form. Cells of the same name are the same count, so the outputs of a study and
of earlier releases are held together by joining their statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from fiac_survival.core.errors import DisclosureError


class Cell(NamedTuple):
    """The name of a count: whose, of what, where."""

    population: str
    measure: str
    where: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        place = ", ".join(f"{key} {value}" for key, value in self.where)
        return f"{self.measure} of {self.population}" + (f" ({place})" if place else "")


class Released(NamedTuple):
    """A released cell: the counts that would be released in the same way."""

    cell: Cell
    low: int
    high: int


class Sum(NamedTuple):
    """A total and its parts."""

    total: Cell
    parts: tuple[Cell, ...]


@dataclass(frozen=True, eq=False)
class LinearOutputs:
    """Statements about counts, and the counts themselves where they are known.

    Attributes
    ----------
    released : tuple of Released
        What is said about single cells.
    sums : tuple of Sum
        What is known about their structure.
    truth : mapping of Cell to int
        The counts; never written to a file, not shown.
    """

    released: tuple[Released, ...]
    sums: tuple[Sum, ...] = ()
    truth: Mapping[Cell, int] = field(default_factory=dict, repr=False)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells that are named, sorted."""
        names = {r.cell for r in self.released} | set(self.truth)
        for total in self.sums:
            names |= {total.total, *total.parts}
        return tuple(sorted(names))

    def to_json(self) -> dict[str, Any]:
        """Write down what is public: the released intervals and the sums; not the counts behind.

        Returns
        -------
        dict
            JSON values.
        """
        public = self._public()
        cells = public.cells
        number = {cell: k for k, cell in enumerate(cells)}
        return {
            "cells": [[c.population, c.measure, [list(pair) for pair in c.where]] for c in cells],
            "released": [[number[r.cell], r.low, r.high] for r in public.released],
            "sums": [[number[s.total], [number[p] for p in s.parts]] for s in public.sums],
        }

    def _public(self) -> LinearOutputs:
        """Leave single times out, since a time at which something happened is one person's."""
        sums = []
        for s in self.sums:
            if any(key == "#time" for key, _ in s.total.where):
                continue
            parts = [p for p in s.parts if all(key != "#time" for key, _ in p.where)]
            if len(parts) < len(s.parts):
                parts.append(s.total._replace(where=(*s.total.where, ("#since", "last release"))))
            sums.append(Sum(s.total, tuple(parts)))
        return LinearOutputs(self.released, tuple(sums))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> LinearOutputs:
        """Read what :meth:`to_json` wrote.

        Parameters
        ----------
        content : mapping
            JSON values.

        Returns
        -------
        LinearOutputs
            Without the counts.

        Raises
        ------
        DisclosureError
            If it is damaged.
        """
        try:
            cells = [
                Cell(str(p), str(m), tuple((str(k), str(v)) for k, v in where))
                for p, m, where in content["cells"]
            ]
            return cls(
                tuple(Released(cells[c], int(a), int(b)) for c, a, b in content["released"]),
                tuple(Sum(cells[t], tuple(cells[p] for p in ps)) for t, ps in content["sums"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as cause:
            raise DisclosureError(
                "the log of an earlier release must be whole",
                values={"reason": str(cause)},
                remedy="restore the record of that study",
            ) from cause


def join(outputs: Iterable[LinearOutputs]) -> LinearOutputs:
    """Hold several outputs together.

    Parameters
    ----------
    outputs : iterable of LinearOutputs
        Of one study and of earlier releases.

    Returns
    -------
    LinearOutputs
        Every statement once.

    Raises
    ------
    DisclosureError
        If two outputs count differently what has the same name.
    """
    released: dict[Released, None] = {}
    sums: dict[Sum, None] = {}
    truth: dict[Cell, int] = {}
    for output in outputs:
        released |= dict.fromkeys(output.released)
        sums |= dict.fromkeys(output.sums)
        for cell, count in output.truth.items():
            if truth.setdefault(cell, count) != count:
                raise DisclosureError(
                    "what has one name must be counted once",
                    values={"count": str(cell)},
                    remedy="give other patients another population, or count alike",
                )
    return LinearOutputs(tuple(released), tuple(sums), truth)


def nested_rests(outputs: LinearOutputs, within: Mapping[str, str]) -> tuple[Sum, ...]:
    """Name what lies between two counts of which one contains the other.

    A cell contains another one of the same measure if it has a part of its conditions, or if its
    population contains the other's. Their difference counts patients too.

    Parameters
    ----------
    outputs : LinearOutputs
        What is released.
    within : mapping of str to str
        For a population the one that contains it.

    Returns
    -------
    tuple of Sum
        Larger cell = smaller cell + rest.
    """
    cells = sorted({r.cell for r in outputs.released} | set(outputs.truth))
    known = {(s.total, part) for s in outputs.sums if len(s.parts) == 2 for part in s.parts}
    by_place: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if not any(key.startswith("#") for key, _ in cell.where):
            by_place.setdefault((cell.population, cell.measure), []).append(cell)
    out = []
    for (population, measure), inner in by_place.items():
        outer = list(inner)
        if population in within:
            outer += by_place.get((within[population], measure), [])
        for small in inner:
            for large in outer:
                if large == small or (large, small) in known:
                    continue
                if set(large.where) <= set(small.where):
                    label = ("#rest of", f"{population} {dict(small.where)}")
                    rest = Cell(large.population, measure, (*large.where, label))
                    out.append(Sum(large, (small, rest)))
    return tuple(out)


def complete_truth(outputs: LinearOutputs) -> LinearOutputs:
    """Fill in counts that follow from known ones by a sum with one unknown.

    Parameters
    ----------
    outputs : LinearOutputs
        With some counts.

    Returns
    -------
    LinearOutputs
        With those that follow.
    """
    truth = dict(outputs.truth)
    changed = True
    while changed:
        changed = False
        for s in outputs.sums:
            unknown = [c for c in (s.total, *s.parts) if c not in truth]
            if len(unknown) != 1:
                continue
            if unknown[0] == s.total:
                truth[s.total] = sum(truth[p] for p in s.parts)
            else:
                rest = truth[s.total] - sum(truth[p] for p in s.parts if p in truth)
                truth[unknown[0]] = rest
            changed = True
    return LinearOutputs(outputs.released, outputs.sums, truth)
