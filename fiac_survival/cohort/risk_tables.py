"""Risk tables counted where the rows are.

The engine groups by (group, stratum, entry, time, status) and counts; only the cells travel. They are
what :meth:`RiskTable.from_outcome` makes of the same rows, exactly: whole days and counts have no rounding.
Weights must be whole numbers: a parallel sum of floating-point numbers differs from run to run, one of
integers does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.building import Analysis
from fiac_survival.cohort.dialects import fetch_frame
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.expressions import EXACT, whole_sum
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import LARGEST_CODE
from fiac_survival.core.risk_table import RiskTable

KEYS = ("group", "stratum", "entry", "time", "status")
SUMS = ("n", "weight", "weight_sq")
LARGEST_WEIGHT = 10**6


def risk_table(
    analysis: Any,
    *,
    by: str | Sequence[str] | None,
    time: str = "time",
    event: str = "event",
    entry: str | None = None,
    strata: str | None = None,
    weights: str | None = None,
    engine: Engine | str | None = None,
) -> RiskTable:
    """Count a risk table in an engine.

    Parameters
    ----------
    analysis : Analysis, ibis.Table or DataFrame
        One row a patient.
    by : str, sequence of str, or None
        Group columns; several make groups called "sex=female, stage=3". None: one group.
    time : str, default "time"
        Column of times, whole days.
    event : str, default "event"
        Column of event codes, 0 = censored; or of booleans.
    entry : str, optional
        Column of entry times, whole days.
    strata : str, optional
        Column of strata.
    weights : str, optional
        Column of positive whole case weights. Scale others to whole units (a common factor changes no
        estimate, and no robust variance), or keep the rows in memory.
    engine : Engine or str, optional
        Where to count the rows of a DataFrame; DuckDB if left out. An Ibis table stays in its own.

    Returns
    -------
    RiskTable
        Equal to ``RiskTable.from_outcome`` of the same rows.

    Raises
    ------
    DataError
        If a column is missing or of another type, or a value is missing, negative, or out of order.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> rows = pd.DataFrame({"time": [5, 8, 8, 8], "event": [1, 0, 1, 1], "sex": ["f", "f", "m", "m"]})
    >>> table = fs.cohort.risk_table(rows, by="sex")
    >>> table.table[["group", "time", "status", "n"]].values.tolist()
    [['f', 5.0, 1, 1], ['f', 8.0, 0, 1], ['m', 8.0, 1, 2]]
    >>> fs.survival.rmst(table, tau=8).table["rmst"].tolist()
    [6.5, 8.0]
    """
    if isinstance(analysis, Analysis):
        analysis = analysis.rows
    if isinstance(analysis, pd.DataFrame):
        _require_rows(len(analysis))
        own = engine if isinstance(engine, Engine) else connect(engine or "duckdb")
        try:
            _require(list(analysis.columns), by, time, event, entry, strata, weights)
            table = own.register(analysis, table="analysis_rows")
            return _count(table, by, time, event, entry, strata, weights)
        finally:
            if own is not engine:
                own.close()
    _require(list(analysis.columns), by, time, event, entry, strata, weights)
    return _count(analysis, by, time, event, entry, strata, weights)


def _require_rows(rows: int) -> None:
    if not rows:
        raise DataError("an outcome needs at least one row", remedy="check the selection")


def _groups(by: str | Sequence[str] | None) -> list[str]:
    return [] if by is None else [by] if isinstance(by, str) else list(by)


def _require(
    columns: list[str],
    by: str | Sequence[str] | None,
    time: str,
    event: str,
    entry: str | None,
    strata: str | None,
    weights: str | None,
) -> None:
    wanted = [*_groups(by), time, event, *(c for c in (entry, strata, weights) if c is not None)]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(
            "the analysis table must have its columns",
            values={"missing": ", ".join(missing)},
            remedy=f"columns: {', '.join(columns)}",
        )


def _count(
    table: Any,
    by: str | Sequence[str] | None,
    time: str,
    event: str,
    entry: str | None,
    strata: str | None,
    weights: str | None,
) -> RiskTable:
    types = table.schema()
    for name in [time, *([] if entry is None else [entry])]:
        if not types[name].is_integer():
            raise DataError(
                f"{name} must be whole days",
                values={"type": types[name]},
                remedy="cast it to an integer type; engines round durations differently",
            )
    if not (types[event].is_integer() or types[event].is_boolean()):
        raise DataError(
            f"{event} must be an integer code or a boolean",
            values={"type": types[event]},
            remedy="recode the column",
        )
    groups = _groups(by)
    chosen: dict[str, Any] = {f"group_{i}": table[name] for i, name in enumerate(groups)}
    if strata is not None:
        chosen["stratum"] = table[strata]
    if entry is not None:
        chosen["entry"] = table[entry]
    chosen["time"] = table[time]
    chosen["status"] = table[event].cast("int64")
    keys = list(chosen)
    frame = _cells(table, chosen, keys, weights)
    named = {f"group_{i}": name for i, name in enumerate(groups)}
    named |= {"stratum": strata or "", "entry": entry or "entry", "time": time, "status": event}
    _check(frame, named)
    if len(groups) == 1:
        frame["group"] = frame["group_0"]
    elif groups:
        parts = [name + "=" + frame[f"group_{i}"].astype(str) for i, name in enumerate(groups)]
        frame["group"] = [", ".join(row) for row in zip(*parts, strict=True)]
    return RiskTable.from_table(frame[[k for k in (*KEYS, *SUMS) if k in frame]])


def _cells(
    table: Any, chosen: dict[str, Any], keys: list[str], weights: str | None
) -> pd.DataFrame:
    """Count in the engine; only cells travel."""
    if weights is None:
        cells = table.select(**chosen).group_by(keys).agg(n=lambda t: t.count())
        return fetch_frame(cells, order_by=keys)
    if not table.schema()[weights].is_integer():
        raise DataError(
            f"{weights} must be whole numbers",
            values={"type": table.schema()[weights]},
            remedy="scale the weights to whole units, or count the rows in memory",
        )
    rows = table.select(**chosen, fs_weight=table[weights].cast("int64"))
    bad = (rows.fs_weight <= 0) | (rows.fs_weight > LARGEST_WEIGHT) | rows.fs_weight.isnull()
    usable = bad.ifelse(0, rows.fs_weight)
    cells = rows.group_by(keys).agg(
        n=rows.count(),
        weight=whole_sum(usable),
        weight_sq=whole_sum(usable * usable),
        fs_bad=whole_sum(bad),
    )
    frame = fetch_frame(cells, order_by=keys)
    wrong = int(frame["fs_bad"].sum())
    if wrong:
        raise DataError(
            f"{weights} must be positive whole numbers up to {LARGEST_WEIGHT}",
            count=wrong,
            remedy="leave rows of weight zero out; scale large weights",
        )
    if len(frame) and int(frame["weight_sq"].max()) > EXACT:
        raise DataError(
            f"the sum of squares of {weights} must not go beyond 2**53",
            values={"largest": int(frame["weight_sq"].max())},
            remedy="scale the weights down",
        )
    return frame.drop(columns="fs_bad")


def _check(cells: pd.DataFrame, named: dict[str, str]) -> None:
    """Refuse cells that no outcome has; counts are of rows."""
    _require_rows(len(cells))
    n = cells["n"].to_numpy()

    def refuse(bad: Any, rule: str, show: list[str], remedy: str) -> None:
        rows = np.flatnonzero(np.asarray(bad, dtype=np.bool_))
        if rows.size:
            first = cells.iloc[int(rows[0])]
            raise DataError(
                rule,
                count=int(n[rows].sum()),
                values={named[key]: first[key] for key in show},
                remedy=remedy,
            )

    for key, name in named.items():
        if key in cells:
            refuse(
                cells[key].isna(), f"{name} must not be missing", [], "drop or complete those rows"
            )
    for key in [key for key in ("time", "entry") if key in cells]:
        remedy = "check time zero and the order of the dates"
        refuse(cells[key] < 0, f"{named[key]} must not be negative", [key], remedy)
    if "entry" in cells:
        late = cells["entry"] >= cells["time"]
        refuse(late, "entry must be before time", ["entry", "time"], "drop or correct them")
    refuse(
        (cells["status"] < 0) | (cells["status"] > LARGEST_CODE),
        f"{named['status']} must be a code 0 (censored), 1, 2, ...",
        ["status"],
        "recode the column",
    )
