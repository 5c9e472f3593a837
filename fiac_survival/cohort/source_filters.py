"""Filters of a source kept as data, applied one after the other, with the count of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, assert_never

import pandas as pd
from pydantic import BaseModel, ConfigDict

from fiac_survival.cohort.codelists import begins_with

Operator = Literal["in", "not in", "does not begin with"]


class Filter(BaseModel):
    """Which rows pass.

    Attributes
    ----------
    label : str
        What is left out.
    table, column : str
        Where.
    operator, values
        Rows whose value is (not) one of `values`, or does not begin with one, pass.
    missing : {"keep", "drop"}
        What becomes of rows without a value.
    from_year, to_year : int, optional
        Years in which it applies, in tables by year.
    source : str
        Where it comes from.
    verified : bool
        False if from memory.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    table: str
    column: str
    operator: Operator
    values: tuple[str, ...]
    missing: Literal["keep", "drop"] = "keep"
    from_year: int | None = None
    to_year: int | None = None
    source: str
    verified: bool = True

    def passes(self, table: Any) -> Any:
        """Express which rows pass.

        Parameters
        ----------
        table : ibis.Table
            With the column and, for filters of certain years, `year`.

        Returns
        -------
        ibis boolean expression
            Never missing.
        """
        column = table[self.column]
        text = column if column.type().is_string() else column.cast("string")
        match self.operator:
            case "in":
                holds = text.isin(self.values)
            case "not in":
                holds = text.notin(self.values)
            case "does not begin with":
                holds = ~begins_with(text, self.values)
            case _:
                assert_never(self.operator)
        missing = column.isnull()
        holds = (holds.fill_null(False) | missing) if self.missing == "keep" else holds & ~missing
        if self.from_year is not None:
            holds |= table.year < self.from_year
        if self.to_year is not None:
            holds |= table.year > self.to_year
        return holds.fill_null(False)


class Report:
    """Rows that came and went, in the order in which things were done."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []

    def add(self, table: str, label: str, before: int, after: int) -> None:
        """Note a step.

        Parameters
        ----------
        table : str
            Name of the source's table.
        label : str
            What was left out.
        before, after : int
            Rows.
        """
        step = sum(row["table"] == table for row in self.rows)
        row = {"table": table, "step": step, "label": label}
        self.rows.append(row | {"n_before": before, "n_excluded": before - after, "n_after": after})

    def extend(self, parts: Sequence[Report]) -> None:
        """Add up the reports of the parts of tables, which have the same steps.

        Parameters
        ----------
        parts : sequence of Report
            Of each part.
        """
        sums: dict[tuple[str, str], list[int]] = {}
        for part in parts:
            for row in part.rows:
                both = sums.setdefault((str(row["table"]), str(row["label"])), [0, 0])
                both[0] += int(str(row["n_before"]))
                both[1] += int(str(row["n_after"]))
        for (table, label), (before, after) in sums.items():
            self.add(table, label, before, after)

    @property
    def table(self) -> pd.DataFrame:
        """table, step, label, n_before, n_excluded, n_after; step 0 is the table as it came."""
        columns = ["table", "step", "label", "n_before", "n_excluded", "n_after"]
        return pd.DataFrame(self.rows, columns=columns)


def apply_filters(
    table: Any,
    filters: Sequence[tuple[str, Any]],
    *,
    name: str,
    report: Report,
    columns: Mapping[str, Any] | None = None,
    hold: Callable[[Any], Any] | None = None,
    earlier: tuple[str, int] | None = None,
) -> Any:
    """Leave out rows by conditions, one after the other, counted in one query.

    Parameters
    ----------
    table : ibis.Table
        Rows.
    filters : sequence of (str, ibis boolean expression)
        What is left out, and which rows pass; conditions on `table`, never missing.
    name : str
        Of the source's table.
    report : Report
        Where the counts go.
    columns : mapping of str to ibis expression, optional
        What is wanted of the rows, by name; all columns if left out.
    hold : callable, optional
        What computes a query once. With it `table` is worked out a single time, the rows that are left out
        among them; without, once for the counts and again whenever the rows are used.
    earlier : (str, int), optional
        What `table` itself leaves out, and how many rows there were before: the first step of the report.

    Returns
    -------
    ibis.Table
        Rows that pass all.
    """
    import ibis

    last = len(filters)
    # Number of the first condition that a row does not meet.
    first = ibis.literal(last)
    if filters:
        first = ibis.cases(*((~passes, i) for i, (_, passes) in enumerate(filters)), else_=last)
    wanted = {c: table[c] for c in table.columns} if columns is None else dict(columns)
    marked = table.select(**wanted, fs_first=first.cast("int64"))
    if hold is not None:
        marked = hold(marked)
    counted = marked.group_by("fs_first").agg(fs_n=marked.count()).execute()
    left_out = dict(zip(counted["fs_first"].tolist(), counted["fs_n"].tolist(), strict=True))
    before = int(sum(left_out.values()))
    if earlier is not None:
        report.add(name, *earlier, before)
    elif all(row["table"] != name for row in report.rows):
        report.add(name, "In the source", before, before)
    for i, (label, _) in enumerate(filters):
        after = before - int(left_out.get(i, 0))
        report.add(name, label, before, after)
        before = after
    return (marked.filter(marked.fs_first == last) if filters else marked).drop("fs_first")
