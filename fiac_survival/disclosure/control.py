"""The door of disclosure control: a table with its structure in, a table that may leave out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure.audit import audit
from fiac_survival.disclosure.count_tables import control_counts
from fiac_survival.disclosure.curves import control_curve, control_risk_table
from fiac_survival.disclosure.inputs import CountTable, CurveTable, EstimateTable
from fiac_survival.disclosure.outputs import LinearOutputs
from fiac_survival.disclosure.profiles import Profile, ProfileName, Rounding, find_profile
from fiac_survival.disclosure.rounding import control_estimates

Controllable = CountTable | CurveTable | EstimateTable | RiskTable


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class ControlledTable(Result):
    """A table that passed disclosure control.

    Attributes
    ----------
    table : DataFrame
        What may leave; a missing value is a count or an estimate that is withheld.
    actions : DataFrame
        item, action, cells: what was done to what, without the counts.
    rules : Profile
        The rules that were applied.
    risk_table : RiskTable or None
        For risk tables, the coarsened one.
    """

    actions: pd.DataFrame
    rules: Profile
    risk_table: RiskTable | None = None
    population: str = "all"
    within: str | None = None
    outputs: LinearOutputs = field(default_factory=lambda: LinearOutputs(()), repr=False)


def control_disclosure(
    table: Controllable,
    *,
    profile: ProfileName | Profile = "snds",
    threshold: int | None = None,
    rounding: Rounding | None = None,
) -> ControlledTable:
    """Make a table safe to release, and audit it.

    Counts from 1 to the threshold less one are withheld, further counts so that these cannot be solved
    back, as few as possible; or all are rounded. Curves and risk tables are delayed until enough has
    happened. Estimates are rounded, and withheld where they rest on too few.

    Parameters
    ----------
    table : CountTable, CurveTable, EstimateTable or RiskTable
        The table with its structure.
    profile : {"snds", "opensafely", "none"} or Profile, default "snds"
        Whose rules.
    threshold : int, optional
        Smallest count that may leave; by default the institution's own: 11 for "snds".
    rounding : {"none", "nearest", "midpoint"}, optional
        Rounding of the counts of tables; by default the institution's own.

    Returns
    -------
    ControlledTable
        What may leave, and what was done.

    Raises
    ------
    DataError
        If the structure is missing, a count is negative or a fraction, totals do not add up, or a profile
        is unknown.
    DisclosureError
        If nothing can be released safely.

    References
    ----------
    Fischetti M, Salazar-González JJ. Solving the cell suppression problem on tabular data with linear
    constraints. Management Science 2001;47:1008-1027.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> counts = pd.DataFrame({"sex": ["F", "M", "all"], "n": [4, 30, 34]})
    >>> safe = fs.cohort.control_disclosure(
    ...     fs.cohort.CountTable(counts, counts=["n"], by={"sex": "all"})
    ... )
    >>> safe.table["n"].isna().tolist()
    [True, True, False]
    """
    if isinstance(profile, Profile):
        rules = profile
    else:
        rules = find_profile(profile, threshold=threshold, rounding=rounding)
    coarse: RiskTable | None = None
    outputs = LinearOutputs(())
    match table:
        case CountTable():
            done = control_counts(table, rules)
            out, actions, outputs = done.table, done.actions, done.outputs
        case CurveTable():
            done = control_curve(table, rules)
            out, actions, outputs = done.table, done.actions, done.outputs
        case RiskTable():
            coarse, done = control_risk_table(table, rules)
            out, actions, outputs = done.table, done.actions, done.outputs
        case EstimateTable():
            out, actions = control_estimates(table, rules)
        case _:
            raise _no_structure(table)
    if rules.protects:
        audit(outputs, threshold=rules.threshold).require()
    return ControlledTable(
        table=out,
        converged=getattr(table, "converged", True),
        actions=pd.DataFrame(actions, columns=["item", "action", "cells"]),
        rules=rules,
        risk_table=coarse,
        population=getattr(table, "population", "all"),
        within=getattr(table, "within", None),
        outputs=outputs,
    )


def _no_structure(table: Any) -> DataError:
    return DataError(
        "disclosure control must know which columns are counts and which rows are totals",
        values={"type": type(table).__name__},
        remedy="wrap the table: CountTable, CurveTable or EstimateTable of fs.cohort",
    )
