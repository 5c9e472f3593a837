"""Control of tables of counts: their cells and sums, what is withheld, and the table that leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.disclosure.inputs import CountTable
from fiac_survival.disclosure.outputs import Cell, LinearOutputs, Sum
from fiac_survival.disclosure.profiles import Profile
from fiac_survival.disclosure.rounding import round_estimates
from fiac_survival.disclosure.suppression import suppress


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a table and how they add up.

    Attributes
    ----------
    at : dict
        (row, column) to cell.
    truth : dict
        Cell to count.
    sums : tuple of Sum
        Totals and parts.
    """

    at: dict[tuple[int, str], Cell]
    truth: dict[Cell, int]
    sums: tuple[Sum, ...]


def cells_of(counts: CountTable) -> Cells:
    """Name the cells of a table, and check that its totals add up.

    Parameters
    ----------
    counts : CountTable
        The table.

    Returns
    -------
    Cells
        Names, counts and sums.

    Raises
    ------
    DataError
        If a total is not the sum of its parts.
    """
    table, by = counts.table, dict(counts.by)  # type: ignore[arg-type]
    places = [_place(row, by) for row in table[list(by)].to_dict("records")] or [()] * len(table)
    at, truth = {}, {}
    for row, place in enumerate(places):
        for name in counts.counts:
            value = table[name].iloc[row]
            if not pd.isna(value):
                cell = Cell(counts.population, name, place)
                at[row, name] = cell
                truth[cell] = int(value)
    cells = Cells(at, truth, ())
    sums: dict[Sum, None] = {}
    for row, s in _row_sums(counts, by, cells):
        _require_sum(s, truth, row)
        sums[s] = None
    for row, s in _column_sums(counts, cells):
        _require_sum(s, truth, row)
        sums[s] = None
    for row, s in _step_sums(counts, by, places, cells):
        _require_sum(s, truth, row)
        sums[s] = None
    return Cells(at, truth, tuple(sums))


def _place(row: Mapping[Any, Any], by: Mapping[str, str | None]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((k, str(row[k])) for k, total in by.items() if str(row[k]) != total))


def _row_sums(
    counts: CountTable, by: Mapping[str, str | None], cells: Cells
) -> Iterator[tuple[int, Sum]]:
    text = counts.table[list(by)].astype(str)
    for key, total in by.items():
        if total is None:
            continue
        others = [k for k in by if k != key]
        rows = pd.Series(np.arange(len(text)))
        groups: list[Any] = (
            [g.to_numpy() for _, g in rows.groupby([text[k] for k in others])]
            if others
            else [rows.to_numpy()]
        )
        for group in groups:
            is_total = text[key].iloc[group].to_numpy() == total
            if is_total.sum() != 1 or is_total.all():
                continue
            row = int(group[is_total][0])
            for name in counts.counts:
                parts = [cells.at.get((int(r), name)) for r in group[~is_total]]
                whole = cells.at.get((row, name))
                if whole is not None:
                    yield row, Sum(whole, _complete(parts, row, name))


def _column_sums(counts: CountTable, cells: Cells) -> Iterator[tuple[int, Sum]]:
    for total, names in counts.column_totals.items():
        for row in range(len(counts.table)):
            whole = cells.at.get((row, total))
            if whole is not None:
                yield (
                    row,
                    Sum(whole, _complete([cells.at.get((row, n)) for n in names], row, total)),
                )


def _step_sums(
    counts: CountTable,
    by: Mapping[str, str | None],
    places: list[tuple[tuple[str, str], ...]],
    cells: Cells,
) -> Iterator[tuple[int, Sum]]:
    others = list(by)[1:]
    last: dict[Any, int] = {}
    for row in range(len(counts.table)):
        group = tuple(counts.table[others].iloc[row].astype(str))
        before = last.get(group)
        last[group] = row
        if before is None:
            continue
        for name, excluded in counts.steps.items():
            outer, inner = cells.at.get((before, name)), cells.at.get((row, name))
            if outer is None or inner is None:
                continue
            rest = Cell(counts.population, f"{name} excluded", places[row])
            if excluded is not None:
                rest = cells.at.get((row, excluded), rest)
            cells.truth.setdefault(rest, cells.truth[outer] - cells.truth[inner])
            yield row, Sum(outer, (inner, rest))


def _complete(parts: list[Cell | None], row: int, name: str) -> tuple[Cell, ...]:
    found = tuple(p for p in parts if p is not None)
    if len(found) < len(parts):
        raise DataError(
            "the parts of a total must all be counted",
            row=row,
            values={"column": name},
            remedy="write 0 where there is nobody",
        )
    return found


def _require_sum(s: Sum, truth: Mapping[Cell, int], row: int) -> None:
    total = sum(truth[p] for p in s.parts)
    negative = any(truth[p] < 0 for p in s.parts)
    if total != truth[s.total] or negative:
        raise DataError(
            "totals must be the sum of their parts",
            row=row,
            values={"column": s.total.measure, "total": truth[s.total], "parts": total},
            remedy="correct the table, or state its structure as it is",
        )


@dataclass(frozen=True, eq=False)
class Controlled:
    """What the control of one table gives: the table, its linear outputs, what was done."""

    table: pd.DataFrame
    outputs: LinearOutputs
    actions: list[tuple[str, str, int]]


def control_counts(counts: CountTable, profile: Profile) -> Controlled:
    """Control a table of counts.

    Parameters
    ----------
    counts : CountTable
        The table with its structure.
    profile : Profile
        The rules.

    Returns
    -------
    Controlled
        With missing values where a count is withheld.
    """
    cells = cells_of(counts)
    choice = suppress(cells.truth, cells.sums, profile, releasable=frozenset(cells.at.values()))
    withheld = choice.primary | choice.complementary
    table = counts.table.copy()
    actions: list[tuple[str, str, int]] = []
    gone = np.zeros(len(table), dtype=bool)
    for name in counts.counts:
        here = [cells.at.get((row, name)) for row in range(len(table))]
        values = [
            np.nan if c is None or c in withheld else profile.released(cells.truth[c]) for c in here
        ]
        gone |= np.array([c is not None and c in withheld for c in here], dtype=bool)
        table[name] = _whole(values)
        for label, group in (
            ("withheld: below the threshold", choice.primary),
            ("withheld: others could be solved back from it", choice.complementary),
        ):
            number = sum(c in group for c in here if c is not None)
            if number:
                actions.append((name, label, number))
        if profile.rounding != "none":
            label = f"rounded ({profile.rounding}, base {profile.base})"
            actions.append((name, label, sum(not np.isnan(v) for v in values)))
    for name, (top, bottom) in counts.ratios.items():
        a = table[top].to_numpy(dtype=np.float64, na_value=np.nan)
        b = table[bottom].to_numpy(dtype=np.float64, na_value=np.nan)
        table[name] = np.divide(a, b, out=np.full(len(table), np.nan), where=b > 0)
        actions.append((name, "computed from the released counts", len(table)))
    for name in counts.statistics:
        table[name] = round_estimates(table[name], profile).where(~gone)
        actions.append((name, "rounded; withheld with the counts of its row", len(table)))
    return Controlled(table, choice.outputs, actions)


def _whole(values: list[float]) -> pd.Series:
    if any(np.isnan(v) for v in values):
        return pd.Series(pd.array(np.array(values), dtype="Float64").astype("Int64"))
    return pd.Series(np.array(values, dtype=np.int64))
