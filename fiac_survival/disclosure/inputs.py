"""Tables that state their structure, which is what disclosure control needs to know.

A tidy table does not say which columns are counts, which rows are totals of which, or how many patients
an estimate rests on. These three kinds do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable

ALL = "all"


def _frame(table: Any) -> tuple[pd.DataFrame, bool]:
    if isinstance(table, Result):
        return table.table.reset_index(drop=True), table.converged
    if isinstance(table, pd.DataFrame):
        return table.reset_index(drop=True), True
    raise DataError(
        "a table must be a data frame or a result",
        values={"type": type(table).__name__},
        remedy="pass a pandas DataFrame",
    )


def _require_columns(table: pd.DataFrame, names: Sequence[str], role: str) -> None:
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise DataError(
            "a column that the structure names must exist",
            values={"role": role, "missing": missing[0]},
            remedy="name columns of the table",
        )


def _require_roles(table: pd.DataFrame, named: Sequence[str]) -> None:
    """Every numeric column has a role, so that none leaves unseen."""
    for name in table.columns:
        numeric = pd.api.types.is_numeric_dtype(table[name].dtype)
        if numeric and table[name].dtype.kind != "b" and name not in named:
            raise DataError(
                "every numeric column must have a role",
                values={"column": name},
                remedy="name it among by, counts, ratios, statistics or labels, or drop it",
            )


@dataclass(frozen=True, eq=False)
class CountTable:
    """A table of counts with its margins.

    Parameters
    ----------
    table : DataFrame
        One row a combination of keys.
    counts : sequence of str
        Columns that count patients.
    by : mapping of str to (str or None), or sequence of str
        Keys of the rows, each with the label of its total rows: ``{"sex": "all", "stage": None}``.
        None (or a sequence): the key has no total row.
    column_totals : mapping of str to sequence of str, optional
        Count columns that are the sum of others in every row: ``{"n": ["n_event", "n_censor"]}``.
    steps : mapping of str to (str or None), optional
        Count columns whose rows, in order along the first key, are each contained in the one before (a
        flow of patients); with the column of what was excluded at that row, if there is one.
    ratios : mapping of str to (str, str), optional
        Columns that are one count divided by another; they are computed anew from what is released.
    statistics : sequence of str, optional
        Estimates; rounded, and withheld where a count of their row is.
    labels : sequence of str, optional
        Numeric columns that only describe the row and carry no data.
    population : str, default "all"
        Which patients are counted. Tables of the same patients have the same, in every study.
    within : str, optional
        The population that contains this one.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sex": ["F", "M", "all"], "n": [4, 30, 34]})
    >>> CountTable(table, counts=["n"], by={"sex": "all"}).population
    'all'
    """

    table: pd.DataFrame
    counts: Sequence[str] = field(kw_only=True)
    by: Mapping[str, str | None] | Sequence[str] = field(kw_only=True)
    column_totals: Mapping[str, Sequence[str]] = field(default_factory=dict, kw_only=True)
    steps: Mapping[str, str | None] = field(default_factory=dict, kw_only=True)
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict, kw_only=True)
    statistics: Sequence[str] = field(default=(), kw_only=True)
    labels: Sequence[str] = field(default=(), kw_only=True)
    population: str = field(default=ALL, kw_only=True)
    within: str | None = field(default=None, kw_only=True)
    converged: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        table, converged = _frame(self.table)
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "converged", converged)
        by = self.by if isinstance(self.by, Mapping) else dict.fromkeys(self.by)
        object.__setattr__(self, "by", dict(by))
        if not self.counts:
            raise DataError(
                "a table of counts must have counts",
                remedy="name them, or use EstimateTable",
            )
        columns = [name for total in self.column_totals.items() for name in (total[0], *total[1])]
        flows = [n for pair in self.steps.items() for n in pair if n is not None]
        sides = [n for pair in self.ratios.values() for n in pair]
        _require_columns(table, [*columns, *flows, *sides, *self.counts], "counts")
        _require_columns(table, [*by, *self.ratios, *self.statistics, *self.labels], "by")
        for name in (*columns, *flows, *sides):
            if name not in self.counts:
                raise DataError(
                    "totals, steps and ratios are of counts",
                    values={"column": name},
                    remedy="name it among the counts",
                )
        if self.steps and not by:
            raise DataError("steps run along the first key", remedy="name the key in by")
        given = [*by, *self.counts, *self.ratios, *self.statistics, *self.labels]
        _require_roles(table, given)
        repeated = table.duplicated(list(by)) if by else pd.Series(np.arange(len(table)) > 0)
        if repeated.any():
            raise DataError(
                "the keys must name each row once",
                row=int(np.flatnonzero(repeated)[0]),
                remedy="name every key in by, or aggregate",
            )
        for name in self.counts:
            require_counts(table[name], name)


def require_counts(column: pd.Series, name: str) -> None:
    """Check that a column counts.

    Parameters
    ----------
    column : Series
        Its values; missing ones are cells without a count.
    name : str
        Its name.

    Raises
    ------
    DataError
        If a value is negative, a fraction or no number.
    """
    if not pd.api.types.is_numeric_dtype(column.dtype) or column.dtype.kind == "b":
        raise DataError(
            "a count must be a number", values={"column": name}, remedy="convert the column"
        )
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.flatnonzero(~np.isnan(values) & ((values < 0) | (values != np.floor(values))))
    if bad.size:
        raise DataError(
            "a count must be a whole number of at least 0",
            count=int(bad.size),
            row=int(bad[0]),
            values={name: values[bad[0]]},
            remedy="name sums of weights among the statistics",
        )


@dataclass(frozen=True, eq=False)
class CurveTable:
    """Curves with the counts behind them.

    Parameters
    ----------
    table : DataFrame or Result
        One row a group and time, with estimates (survival, lower, upper…). Columns of counts in it are
        replaced.
    risk : RiskTable
        The counts by group, time and status, with the table's groups; entry at 0.
    group : str, optional
        Column of the group, which must have the risk table's labels.
    estimates : sequence of str, default ("survival", "std_error", "lower", "upper")
        Columns to release, rounded.
    start : mapping of str to float, optional
        Values of the estimates at time 0, by default 1 for all but ``std_error``, which is 0.
    times : sequence of float, optional
        Moments at which a release may happen; all observed times by default.
    ticks : sequence of float, optional
        Moments at which the last release is repeated, for the numbers below a figure.
    total : str, optional
        Label of the group that is all others together.
    allow_no_censoring : bool, default False
        Whether a release may happen where nobody was censored since the last. False: at least the
        threshold must have been.
    population : str, default "all"
        Which patients, as in :class:`CountTable`.
    within : str, optional
        The population that contains this one.
    """

    table: pd.DataFrame
    risk: RiskTable
    group: str | None = field(default=None, kw_only=True)
    estimates: Sequence[str] = field(
        default=("survival", "std_error", "lower", "upper"), kw_only=True
    )
    start: Mapping[str, float] = field(default_factory=dict, kw_only=True)
    times: Sequence[float] | None = field(default=None, kw_only=True)
    ticks: Sequence[float] = field(default=(), kw_only=True)
    total: str | None = field(default=None, kw_only=True)
    allow_no_censoring: bool = field(default=False, kw_only=True)
    population: str = field(default=ALL, kw_only=True)
    within: str | None = field(default=None, kw_only=True)
    converged: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        table, converged = _frame(self.table)
        object.__setattr__(self, "converged", converged)
        object.__setattr__(self, "table", table)
        keys = ["time"] if self.group is None else ["time", self.group]
        _require_columns(table, [*keys, *self.estimates], "curve")
        require_plain(self.risk)
        known = {str(g) for g in self.risk.groups} | ({self.total} if self.total else set())
        if self.group is None and len(self.risk.groups) > 1:
            raise DataError(
                "the curves of several groups must say which is which",
                values={"groups": len(self.risk.groups)},
                remedy="pass group",
            )
        if self.group is not None:
            strange = sorted(set(table[self.group].astype(str)) - known)
            if strange:
                raise DataError(
                    "the groups of the curves must be those of the risk table",
                    values={"group": strange[0]},
                    remedy="make both from the same rows",
                )


def require_plain(risk: RiskTable) -> None:
    """Check that a risk table can be coarsened in time.

    Parameters
    ----------
    risk : RiskTable
        The table.

    Raises
    ------
    DataError
        If there is delayed entry or a stratum.
    """
    if not isinstance(risk, RiskTable):
        raise DataError(
            "the counts behind a curve must be a risk table",
            values={"type": type(risk).__name__},
            remedy="fs.survival.RiskTable.from_outcome(y, group=…)",
        )
    if (risk.table["entry"] > 0).any() or len(set(risk.table["stratum"])) > 1:
        raise DataError(
            "curves with delayed entry or strata cannot be delayed in time",
            remedy="release estimates at single times with EstimateTable",
        )


@dataclass(frozen=True, eq=False)
class EstimateTable:
    """Estimates without counts: effects, coefficients, restricted means.

    Parameters
    ----------
    table : DataFrame or Result
        One row an estimate.
    basis : array-like of int
        For every row the smallest number that it rests on: patients, or events for a hazard ratio. One
        number stands for all rows. It is not released.
    decimals : mapping of str to int, optional
        Decimals of single columns; the profile's significant digits for the others.
    labels : sequence of str, optional
        Numeric columns that describe a row and carry no data (a horizon, a level): left as they are.

    Examples
    --------
    >>> import pandas as pd
    >>> EstimateTable(pd.DataFrame({"hazard_ratio": [0.7]}), basis=120).basis
    array([120])
    """

    table: pd.DataFrame
    basis: Any = field(kw_only=True)
    decimals: Mapping[str, int] = field(default_factory=dict, kw_only=True)
    labels: Sequence[str] = field(default=(), kw_only=True)
    converged: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        table, converged = _frame(self.table)
        object.__setattr__(self, "converged", converged)
        object.__setattr__(self, "table", table)
        _require_columns(table, [*self.decimals, *self.labels], "labels")
        basis = pd.Series(np.atleast_1d(np.asarray(self.basis)))
        require_counts(basis, "basis")
        values = basis.to_numpy(dtype=np.int64)
        if values.size == 1 and len(table) != 1:
            values = np.repeat(values, len(table))
        if values.size != len(table):
            raise DataError(
                "basis must have one number a row",
                values={"rows": len(table), "numbers": values.size},
                remedy="count the patients or events behind every row",
            )
        object.__setattr__(self, "basis", values)
