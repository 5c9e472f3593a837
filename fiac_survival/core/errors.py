"""The errors of the package: each says the rule, what broke it, where first, and what to do.

The command line maps each class to its own exit code. On protected sources a message may show the
rule and a row number, never values, person identifiers or small counts:
:meth:`FiacError.message` with ``show_values=False`` renders it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

SMALL_COUNT = 11


class FiacError(Exception):
    """Base of all errors that the package raises on purpose.

    Parameters
    ----------
    rule : str
        What must hold, as a statement.
    count : int, optional
        How many rows (or items) break the rule.
    row : int, optional
        Number of the first offending row, counted from 0.
    values : mapping, optional
        Offending values by name; hidden on protected sources.
    remedy : str, optional
        What the user can do about it.

    Examples
    --------
    >>> from fiac_survival.core.errors import DataError
    >>> print(DataError("entry must be before time", count=3, row=17,
    ...                 values={"entry": 40, "time": 40}, remedy="drop or correct them"))
    entry must be before time: 3 rows break this (first: row 17, entry=40, time=40); drop or
    correct them
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        rule: str,
        *,
        count: int | None = None,
        row: int | None = None,
        values: Mapping[str, object] | None = None,
        remedy: str = "",
    ) -> None:
        super().__init__(rule)
        self.rule = rule
        self.count = count
        self.row = row
        self.values = dict(values or {})
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.rule, self.count, self.row, self.values, self.remedy)

    def message(self, *, show_values: bool = True) -> str:
        """Render the error.

        Parameters
        ----------
        show_values : bool, default True
            False hides values and counts below the small-count threshold.

        Returns
        -------
        str
            One line.
        """
        where = [] if self.row is None else [f"row {self.row}"]
        if show_values:
            where += [f"{name}={_short(value)}" for name, value in self.values.items()]
        place = ", ".join(where)
        if self.count is None:
            detail = f" ({place})" if place else ""
        else:
            number = str(self.count)
            if not show_values and self.count < SMALL_COUNT:
                number = f"fewer than {SMALL_COUNT}"
            noun = "row breaks" if self.count == 1 and show_values else "rows break"
            detail = f": {number} {noun} this" + (f" (first: {place})" if place else "")
        return f"{self.rule}{detail}" + (f"; {self.remedy}" if self.remedy else "")

    def __str__(self) -> str:
        return self.message()


def _rebuild(
    kind: type[FiacError],
    rule: str,
    count: int | None,
    row: int | None,
    values: dict[str, object],
    remedy: str,
) -> FiacError:
    return kind(rule, count=count, row=row, values=values, remedy=remedy)


def _short(value: object) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 200 else text[:197] + "..."


class DataError(FiacError):
    """The data, or an argument of a call, break a rule (exit code 3)."""

    exit_code = 3


class ProtocolError(FiacError):
    """The protocol of a study breaks a rule (exit code 4)."""

    exit_code = 4


class ConvergenceError(FiacError):
    """An iterative fit did not reach its optimum (exit code 5)."""

    exit_code = 5


class DisclosureError(FiacError):
    """A release was not shown to be safe (exit code 6)."""

    exit_code = 6


class SupportError(FiacError):
    """The data do not support what is asked of them (exit code 7)."""

    exit_code = 7


class OutputError(FiacError):
    """A result could not be written; what stood there before still stands (exit code 10)."""

    exit_code = 10
