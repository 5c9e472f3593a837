"""What every nonparametric estimator accepts: rows (an Outcome) or a risk table."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import ALL, RiskTable, require_positive_weights
from fiac_survival.survival.steps import RowsOfGroup, Steps, place

Source = Outcome | RiskTable


def as_risk_table(
    y: Source,
    method: str,
    *,
    group: Any = None,
    weights: Any = None,
    causes: bool = False,
    **needs_rows: Any,
) -> RiskTable:
    """Reduce rows to a risk table, or take the one that is given.

    Parameters
    ----------
    y : Outcome or RiskTable
        Rows, or their sufficient statistic.
    method : str
        Name of the estimator, for messages.
    group, weights : array-like, optional
        Only with rows.
    causes : bool, default False
        Whether the method knows several causes.
    **needs_rows
        Further options that only rows can serve (cluster, covariates, ...).

    Returns
    -------
    RiskTable
        Status codes 0 and 1 only, unless the method knows several causes.

    Raises
    ------
    DataError
        If a risk table comes with options that need rows, or there are several causes.
    """
    if isinstance(y, RiskTable):
        options = {"group": group, "weights": weights, **needs_rows}
        given = sorted(name for name, value in options.items() if value is not None)
        if given:
            raise DataError(
                f"{method} of a risk table takes no {', '.join(given)}",
                values={"given": given},
                remedy="pass an Outcome (rows), or put groups and weights into the risk table",
            )
        worst = int(y.table["status"].max())
        if worst > 1 and not causes:
            raise DataError(
                f"{method} takes event codes 0 and 1",
                values={"status": worst},
                remedy="use a method for competing risks, or recode the status",
            )
        return y
    if not isinstance(y, Outcome):
        raise DataError(
            f"{method} takes an Outcome or a RiskTable",
            values={"type": type(y).__name__},
            remedy="make one: fs.Outcome(time, event)",
        )
    if not causes:
        y.require_binary(method, "a method for competing risks")
    return RiskTable.from_outcome(y, group=group, weights=weights)


def rows_by_group(
    y: Outcome, steps: list[Steps], *, group: Any, weights: Any, cluster: Any
) -> list[RowsOfGroup]:
    """Place the rows of each group on its grid.

    Parameters
    ----------
    y : Outcome
        The rows.
    steps : list of Steps
        The groups' grids, in order of their labels.
    group, weights, cluster : array-like or None
        Labels of group and cluster, case weights; without clusters each row is its own.

    Returns
    -------
    list of RowsOfGroup
        In the order of `steps`.
    """
    n = len(y)
    weight = np.ones(n) if weights is None else require_positive_weights(weights, n)
    codes = np.zeros(n, dtype=np.int64)
    if group is not None:
        codes, _ = columns.labels(group, "group", n=n)
    member = np.arange(n, dtype=np.int64)
    if cluster is not None:
        member, _ = columns.labels(cluster, "cluster", n=n)
    entry = y.entry_or_zero()
    out = []
    for code, group_steps in enumerate(steps):
        index = np.flatnonzero(codes == code)
        first, last = place(group_steps.time, entry[index], y.time[index])
        out.append(
            RowsOfGroup(index, first, last, y.event[index] > 0, weight[index], member[index])
        )
    return out


def require_two_groups(labels: list[Any], method: str) -> None:
    """Refuse a comparison of one group.

    Parameters
    ----------
    labels : list
        The group labels.
    method : str
        Name of the method, for the message.

    Raises
    ------
    DataError
        If there are fewer than two groups.
    """
    if len(labels) < 2:
        raise DataError(
            f"{method} compares at least two groups",
            values={"groups": labels},
            remedy="pass group= with two or more labels that occur",
        )


def times_array(times: Any, name: str = "times") -> NDArray[np.float64]:
    """Check times at which a curve is asked for.

    Parameters
    ----------
    times : float or array-like of float
        Finite, not negative.
    name : str, default "times"
        Name of the option.

    Returns
    -------
    (k,) float64
        At least one time.

    Raises
    ------
    DataError
        If a time is missing or negative.
    """
    values = columns.require_finite(columns.numeric(np.atleast_1d(times), name), name)
    bad = np.flatnonzero(values < 0)
    if values.size == 0 or bad.size:
        raise DataError(
            f"{name} must hold at least one time, none negative",
            values={name: values[bad[:1]].tolist()},
            remedy="pass e.g. times=[365, 730]",
        )
    return values


__all__ = [
    "ALL",
    "Source",
    "as_risk_table",
    "require_two_groups",
    "rows_by_group",
    "times_array",
]
