"""A table of lines of therapy held against what a model needs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.formulary import Formulary

Ints = NDArray[np.int64]
CENSORED, NEXT, DEATH = 0, 1, 2
REASONS = ("switch", "death", "censored", "planned stop")
NEEDED = ("person", "line", "regimen", "ttnt", "end_reason")


def checked_table(
    lines: pd.DataFrame,
    formulary: Formulary,
    columns: Mapping[str, str],
    covariates: Sequence[str],
    other: str | None,
) -> pd.DataFrame:
    """Check a table of lines, and name its regimens as the formulary does.

    Parameters
    ----------
    lines, formulary, columns, covariates, other
        As in :func:`~fiac_survival.sequence.read_histories`.

    Returns
    -------
    DataFrame
        By person and line; the index says where the rows stood.

    Raises
    ------
    DataError
        Naming the first patient that breaks a rule.
    """
    if not isinstance(lines, pd.DataFrame):
        raise DataError(
            "the table of lines must be a pandas DataFrame",
            values={"type": f"{type(lines).__module__}.{type(lines).__name__}"},
            remedy="convert it, as by .to_pandas()",
        )
    renamed = [n for n, given in columns.items() if given in lines and n in lines]
    table = lines.drop(columns=[n for n in renamed if n not in columns.values()])
    table = table.rename(columns={given: name for name, given in columns.items()})
    table = table.reset_index(drop=True)
    needed = [*NEEDED, *covariates]
    if "group" not in table and len(formulary.groups) > 1:
        needed.append("group")
    missing = [name for name in needed if name not in table]
    if missing:
        raise DataError(
            "the table of lines must have its columns",
            values={"missing": ", ".join(missing)},
            remedy="pass columns={name: your name}",
        )
    if table.empty:
        raise DataError("the table of lines must have rows", values={"rows": 0})
    if "group" not in table:
        table = table.assign(group=formulary.groups[0])
    for name in needed:
        empty = table[name].isna().to_numpy()
        refuse(table, empty, f"{name} must not be missing", name, "impute or drop before")
    table = table.sort_values(["person", "line"], kind="stable")  # the index says where rows stood
    recorded = {name: r.name for r in formulary.regimens for name in r.records}
    if recorded:
        table["regimen"] = table["regimen"].replace(recorded)
    if other is not None:
        if other not in formulary.regimen_names:
            raise DataError("other must be a regimen of the formulary", values={"other": other})
        known = table["regimen"].isin(formulary.regimen_names)
        table["regimen"] = table["regimen"].where(known, other)
    for name, known_names in (
        ("regimen", formulary.regimen_names),
        ("group", formulary.groups),
        ("end_reason", REASONS),
    ):
        unknown = ~table[name].isin(list(known_names)).to_numpy()
        if name == "regimen" and formulary.observed_care is not None:
            unknown |= (table[name] == known_names[formulary.observed_care]).to_numpy()
        remedy = (
            'map it, or pass other="..."'
            if name == "regimen"
            else "known: " + ", ".join(known_names)
        )
        refuse(table, unknown, f"{name} must be one of the known names", name, remedy)
    several = table.groupby("person", sort=False)["group"].transform("nunique").to_numpy() > 1
    refuse(
        table,
        several,
        "group must be the patient's at the start of line 1",
        "group",
        "what is learnt later belongs into group_updates",
    )
    return table


def refuse(
    table: pd.DataFrame, bad: NDArray[np.bool_], rule: str, column: str, remedy: str
) -> None:
    """Raise an error that names the first patient who breaks a rule.

    Parameters
    ----------
    table : DataFrame
        Lines, the index as the rows stood.
    bad : (n,) bool
        Where the rule is broken.
    rule, column, remedy : str
        The rule, the column whose value is shown, and what to do.

    Raises
    ------
    DataError
        If it is broken anywhere.
    """
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise DataError(
            rule,
            count=int(bad.sum()),
            row=int(table.index[row]),
            values={"person": table["person"].iloc[row], column: table[column].iloc[row]},
            remedy=remedy,
        )


def endings(table: pd.DataFrame, is_last: NDArray[np.bool_], number: Any, n_lines: int) -> Ints:
    """Say how each line ended.

    Parameters
    ----------
    table : DataFrame
        Lines by person and line.
    is_last : (n,) bool
        Each person's last line.
    number : (n,) int
        Number of the line.
    n_lines : int
        Lines of the model.

    Returns
    -------
    (n,) int64
        0 censored, 1 next line, 2 death.

    Raises
    ------
    DataError
        If an ending does not fit what follows.
    """
    reason = table["end_reason"].to_numpy()
    refuse(
        table,
        ~is_last & np.isin(reason, ("death", "censored")),
        "a line before the last must end by switch or planned stop",
        "end_reason",
        "nothing follows death or the end of follow-up",
    )
    refuse(
        table,
        is_last & (reason == "switch") & (number < n_lines),
        "a line that ends by switch must be followed by the next line",
        "end_reason",
        'add the next line, or end it by "censored"',
    )
    ending = np.where(reason == "death", DEATH, CENSORED)
    # A switch that nothing follows, after the model's last line, ends follow-up.
    ending[~is_last | ((reason == "switch") & (number <= n_lines))] = NEXT
    stopped = is_last & (reason == "planned stop")
    if stopped.any():
        if "died" not in table:
            raise DataError(
                "after a planned stop the end of follow-up must be known",
                count=int(stopped.sum()),
                values={"person": table["person"].to_numpy()[stopped][0]},
                remedy="add a column died: whether the patient died at ttnt",
            )
        unclear = stopped & ~table["died"].isin([0, 1]).to_numpy()
        refuse(table, unclear, "died must be true or false after a planned stop", "died", "fill it")
        ending[stopped] = np.where(table["died"].to_numpy()[stopped] == 1, DEATH, CENSORED)
    return ending.astype(np.int64)
