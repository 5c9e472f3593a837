"""Eligibility applied in the engine, with the count of every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

import pandas as pd

from fiac_survival.cohort.dialects import fetch_whole
from fiac_survival.cohort.expressions import is_missing
from fiac_survival.core.errors import DataError
from fiac_survival.core.population import Criterion


def condition(table: Any, criterion: Criterion) -> Any:
    """Express a criterion on a table.

    Parameters
    ----------
    table : ibis.Table
        With the criterion's column.
    criterion : Criterion
        What must hold.

    Returns
    -------
    ibis boolean expression
        True where it holds; a missing value never does.

    Raises
    ------
    DataError
        If the column is not there.
    """
    if criterion.column not in table.columns:
        raise DataError(
            "a criterion must name a column of the source",
            values={"criterion": criterion.label, "column": criterion.column},
            remedy=f"columns: {', '.join(table.columns)}",
        )
    column = table[criterion.column]
    match criterion.operator:
        case "not missing":
            holds = ~is_missing(column)
        case "==":
            holds = column == criterion.value
        case "!=":
            holds = column != criterion.value
        case "<":
            holds = column < criterion.value
        case "<=":
            holds = column <= criterion.value
        case ">":
            holds = column > criterion.value
        case ">=":
            holds = column >= criterion.value
        case "in":
            holds = column.isin(criterion.value)
        case _:
            assert_never(criterion.operator)
    return holds.fill_null(False) & ~is_missing(column)


def apply_eligibility(
    table: Any, criteria: Sequence[Criterion], *, source: str
) -> tuple[Any, pd.DataFrame]:
    """Apply criteria one after the other.

    Parameters
    ----------
    table : ibis.Table
        One row a patient.
    criteria : sequence of Criterion
        In the order of the protocol; those of other sources are left out.
    source : str
        Name of the source.

    Returns
    -------
    eligible : ibis.Table
        The patients who meet all.
    attrition : DataFrame
        source, step, label, n_before, n_excluded, n_after; step 0 is the source as it came.

    Raises
    ------
    DataError
        If a column is missing or nobody is left.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> engine = fs.cohort.connect("duckdb")
    >>> table = engine.register(pd.DataFrame({"age": [40, 60, 70]}), table="patients")
    >>> adult = Criterion(label="50 or older", column="age", operator=">=", value=50)
    >>> _, attrition = apply_eligibility(table, [adult], source="registry")
    >>> attrition["n_after"].tolist()
    [3, 2]
    >>> engine.close()
    """
    before = fetch_whole(table.count())
    rows = [
        {
            "source": source,
            "step": 0,
            "label": "In the source",
            "n_before": before,
            "n_excluded": 0,
            "n_after": before,
        }
    ]
    step = 0
    for criterion in criteria:
        if criterion.sources is not None and source not in criterion.sources:
            continue
        step += 1
        table = table.filter(condition(table, criterion))
        after = fetch_whole(table.count())
        rows.append(
            {
                "source": source,
                "step": step,
                "label": criterion.label,
                "n_before": before,
                "n_excluded": before - after,
                "n_after": after,
            }
        )
        if after == 0:
            raise DataError(
                "eligibility must leave somebody",
                values={"source": source, "criterion": criterion.label},
                remedy="check the criterion against the coding of its column",
            )
        before = after
    return table, pd.DataFrame(rows)
