"""Large tables in parts that fit into memory: ranges of a column.

Rows that are compared or joined must fall into one part: a part is a range of a column that all of them
have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fiac_survival.cohort.dialects import fetch

ROWS_PER_PART = 10_000_000


@dataclass(frozen=True)
class Span:
    """A range of a column: from `low` to below `high`; the first span has the missing values too.

    Attributes
    ----------
    column : str
        Which column.
    low, high : date, int, str or None
        Bounds; None: no bound.
    """

    column: str
    low: Any = None
    high: Any = None

    def of(self, table: Any) -> Any:
        """Select its rows.

        Parameters
        ----------
        table : ibis.Table
            With the column.

        Returns
        -------
        ibis.Table
            Rows in the range.
        """
        column = table[self.column]
        if self.low is None and self.high is None:
            return table
        if self.low is None:
            return table.filter((column < self.high) | column.isnull())
        if self.high is None:
            return table.filter(column >= self.low)
        return table.filter((column >= self.low) & (column < self.high))

    def has(self, value: Any) -> bool:
        """Tell whether a value that is not missing lies in the range.

        Parameters
        ----------
        value : date or int
            A value of the column.

        Returns
        -------
        bool
            True if it does.
        """
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


def spans(table: Any, column: str, rows: int | None) -> list[Span]:
    """Cut a table into ranges of a column.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    column : str
        Which column; rows of one value stay together.
    rows : int or None
        How many rows a part may have, unless one value has more; None: everything at once.

    Returns
    -------
    list of Span
        In order; together they have every row.
    """
    if rows is None:
        return [Span(column)]
    sizes = table.group_by(fs_value=table[column]).agg(fs_n=table.count())
    found = fetch(sizes.filter(sizes.fs_value.notnull()).order_by("fs_value")).to_pydict()
    cuts, held = [], 0
    for value, n in zip(found["fs_value"], found["fs_n"], strict=True):
        if held and held + n > rows:
            cuts.append(value)
            held = 0
        held += n
    return between(cuts, column)


def between(cuts: Sequence[Any], column: str) -> list[Span]:
    """Make the ranges that lie between values of a column.

    Parameters
    ----------
    cuts : sequence
        Values, in order; each begins a range.
    column : str
        Which column.

    Returns
    -------
    list of Span
        One more than there are values; in order, together they have every row.
    """
    return [Span(column, low, high) for low, high in zip([None, *cuts], [*cuts, None], strict=True)]
