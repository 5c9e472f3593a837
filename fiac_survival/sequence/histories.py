"""Lines of therapy on the model's grid of steps: what estimation and evaluation work on.

Line 1 starts at 0. A line that ends by the next line or by death at time t since then ends in step
ceil(t) of the elapsed grid, so that errors of rounding do not add up over lines; each line takes at
least one step. A planned stop does not end a line: it runs to the next line's start or to death. Lines
after the model's last are the time after the last line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.columns import numeric
from fiac_survival.core.intervals import require_choice
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.lines_table import (
    CENSORED,
    DEATH,
    NEXT,
    checked_table,
    endings,
    refuse,
)
from fiac_survival.sequence.parts import OverlapCounts

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Unit = Literal["days", "months", "steps"]
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True, eq=False)
class Histories:
    """Lines of therapy as arrays, one row a line, by patient and line.

    Attributes
    ----------
    formulary : Formulary
        Classes, regimens, groups.
    persons : (N,) ndarray
        Patients.
    first : (N,) int64
        Row of each patient's line 1.
    person : (n,) int64
        Place of the row's patient.
    line, regimen, exposed, group, level : (n,) int64
        Line from 0, regimen, bitmask of classes given before, group at the line's start, overlap level.
    start : (n,) int64
        Elapsed steps at the line's start.
    steps : (n,) int64
        Step in which the line ended, or whole steps of follow-up if it was censored.
    ending : (n,) int64
        0 censored, 1 next line, 2 death.
    progressed : (n,) bool
        Whether the regimen's classes are refractory after the line; without such a column nowhere.
    overlap_counts : {"exposed", "refractory"}
        What the overlap level counts.
    previous : (n,) int64
        Steps of the line before, 0 in line 1.
    salvage_steps, salvage_ending, salvage_group : (N,) int64
        The same after the last line; ending -1 where it was not reached.
    covariates : DataFrame
        Further columns of the table, by row.
    """

    formulary: Formulary
    persons: NDArray[Any]
    first: Ints
    person: Ints
    line: Ints
    regimen: Ints
    exposed: Ints
    group: Ints
    level: Ints
    start: Ints
    steps: Ints
    ending: Ints
    previous: Ints
    salvage_steps: Ints
    salvage_ending: Ints
    salvage_group: Ints
    covariates: pd.DataFrame
    progressed: NDArray[np.bool_]
    overlap_counts: OverlapCounts = "exposed"

    @property
    def n_persons(self) -> int:
        """Number of patients."""
        return int(self.persons.size)

    def of(self, persons: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows of some patients.

        Parameters
        ----------
        persons : (N,) bool
            Which patients.

        Returns
        -------
        (n,) bool
            Which rows.
        """
        return np.asarray(persons[self.person])

    def subset(self, persons: NDArray[np.bool_]) -> Histories:
        """Take some patients.

        Parameters
        ----------
        persons : (N,) bool
            Which patients.

        Returns
        -------
        Histories
            Theirs.
        """
        rows = self.of(persons)
        by_row: dict[str, Any] = {
            name: getattr(self, name)[rows]
            for name in (
                "line",
                "regimen",
                "exposed",
                "group",
                "level",
                "start",
                "steps",
                "ending",
                "previous",
                "progressed",
            )
        }
        person = (np.cumsum(persons) - 1)[self.person[rows]]
        return Histories(
            formulary=self.formulary,
            persons=self.persons[persons],
            first=np.searchsorted(person, np.arange(int(persons.sum()))),
            person=person.astype(np.int64),
            salvage_steps=self.salvage_steps[persons],
            salvage_ending=self.salvage_ending[persons],
            salvage_group=self.salvage_group[persons],
            covariates=self.covariates.loc[rows].reset_index(drop=True),
            overlap_counts=self.overlap_counts,
            **by_row,
        )


def read_histories(
    lines: pd.DataFrame,
    formulary: Formulary,
    *,
    unit: Unit = "days",
    columns: Mapping[str, str] | None = None,
    covariates: Sequence[str] = (),
    other: str | None = None,
    refractory: str | None = None,
) -> Histories:
    """Put a table of lines of therapy on the model's grid.

    Parameters
    ----------
    lines : DataFrame
        One row a line: person, line (1, 2, ...), regimen (its name or one of its `records`), ttnt (time
        from the line's start to the next line's, to death, or to the end of follow-up), end_reason
        (switch, death, censored, planned stop), and group (may be left out if there is one), constant
        for each patient. After a planned stop without a next line a column `died` says whether the
        patient died at ttnt.
    formulary : Formulary
        Names, lines, groups and their updates.
    unit : {"days", "months", "steps"}, default "days"
        Unit of ttnt; a month has 30.4375 days.
    columns : mapping, optional
        Other names of these columns.
    covariates : sequence of str
        Further columns to keep, as at the line's start; none may be missing.
    other : str, optional
        Regimen of the formulary that stands for those it does not have.
    refractory : str, optional
        Column that says whether a line ended by progression on treatment: its classes are then refractory,
        and the overlap level counts refractory classes instead of all that were given.

    Returns
    -------
    Histories
        Arrays by patient and line.

    Raises
    ------
    DataError
        Naming the first patient that breaks a rule.

    Examples
    --------
    >>> import pandas as pd
    >>> formulary = Formulary.model_validate({
    ...     "name": "example", "lines": 2, "horizon_months": 12, "classes": {"x": "class x"},
    ...     "regimens": [{"name": "A", "classes": ["x"]}, {"name": "B"}]})
    >>> lines = pd.DataFrame({"person": [1, 1], "line": [1, 2], "regimen": ["A", "B"],
    ...                       "ttnt": [2.5, 4.0], "end_reason": ["switch", "death"]})
    >>> found = read_histories(lines, formulary, unit="months")
    >>> found.steps.tolist(), found.start.tolist(), found.exposed.tolist()
    ([3, 4], [0, 3], [0, 1])
    """
    require_choice(unit, Unit, "unit")
    keep = [*covariates, *([] if refractory is None else [refractory])]
    table = checked_table(lines, formulary, columns or {}, keep, other)
    months = {"days": 1.0 / DAYS_PER_MONTH, "months": 1.0, "steps": formulary.step_months}[unit]
    time = numeric(table["ttnt"], "ttnt") * months / formulary.step_months
    bad = ~np.isfinite(time) | (time < 0)
    refuse(table, bad, "ttnt must be a time, not negative", "ttnt", "correct or drop the patient")
    codes, persons = pd.factorize(table["person"])
    person = codes.astype(np.int64)
    n_rows = len(table)
    is_first = np.r_[True, person[1:] != person[:-1]]
    is_last = np.r_[is_first[1:], True]
    number = table["line"].to_numpy()
    expected = np.arange(n_rows) - np.flatnonzero(is_first)[person] + 1
    refuse(
        table,
        number != expected,
        "lines must be counted 1, 2, ... without gaps for each patient",
        "line",
        "one row a line; see fs.cohort.lines_of_therapy",
    )
    ending = endings(table, is_last, number, formulary.lines)
    progressed = np.zeros(n_rows, dtype=np.bool_)
    if refractory is not None:
        unclear = ~table[refractory].isin([0, 1]).to_numpy()
        refuse(table, unclear, f"{refractory} must be true or false", refractory, "fill it")
        progressed = table[refractory].to_numpy(dtype=np.bool_)
    return _on_grid(
        table,
        formulary,
        person,
        np.asarray(persons),
        time,
        ending,
        is_first,
        covariates,
        progressed,
        "exposed" if refractory is None else "refractory",
    )


def _on_grid(
    table: pd.DataFrame,
    formulary: Formulary,
    person: Ints,
    persons: NDArray[Any],
    time: Floats,
    ending: Ints,
    is_first: NDArray[np.bool_],
    covariates: Sequence[str],
    progressed: NDArray[np.bool_],
    overlap_counts: OverlapCounts,
) -> Histories:
    n_rows = len(table)
    regimens = {name: i for i, name in enumerate(formulary.regimen_names)}
    regimen: Ints = np.asarray(table["regimen"].map(regimens).to_numpy(), dtype=np.int64)
    first_group = table["group"].map({g: i for i, g in enumerate(formulary.groups)})
    group: Ints = np.asarray(first_group.to_numpy(), dtype=np.int64)
    masks, after, n_steps = formulary.masks, formulary.group_after, formulary.n_steps
    start, steps = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
    exposed, resistant = np.zeros(n_rows, dtype=np.int64), np.zeros(n_rows, dtype=np.int64)
    elapsed_end = pd.Series(time).groupby(person, sort=False).cumsum().to_numpy()
    number = table["line"].to_numpy(np.int64) - 1
    for line in range(int(number.max()) + 1):
        rows = np.flatnonzero(number == line)
        if line:
            before = rows - 1
            start[rows] = start[before] + steps[before]
            exposed[rows] = exposed[before] | masks[regimen[before]]
            met = np.where(progressed[before], masks[regimen[before]], 0)
            resistant[rows] = resistant[before] | met
            group[rows] = group[before]
            if after is not None and line <= formulary.lines:
                ended = np.minimum(steps[before], n_steps) - 1
                group[rows] = after[line - 1, group[before], ended]
        at_end = np.ceil(elapsed_end[rows] - 1e-9).astype(np.int64)
        whole = np.floor(elapsed_end[rows] + 1e-9).astype(np.int64)
        event = ending[rows] != CENSORED
        steps[rows] = np.where(
            event, np.maximum(at_end - start[rows], 1), np.maximum(whole - start[rows], 0)
        )
    counted = exposed if overlap_counts == "exposed" else resistant
    level = np.array(
        [formulary.level(int(a), int(e)) for a, e in zip(regimen, counted, strict=True)],
        dtype=np.int64,
    )
    previous = np.zeros(n_rows, dtype=np.int64)
    previous[~is_first] = steps[np.flatnonzero(~is_first) - 1]
    inside = number < formulary.lines
    n_persons = persons.size
    salvage_steps = np.zeros(n_persons, dtype=np.int64)
    salvage_ending = np.full(n_persons, -1, dtype=np.int64)
    salvage_group = np.zeros(n_persons, dtype=np.int64)
    last = np.flatnonzero(inside & (number == formulary.lines - 1) & (ending == NEXT))
    salvage_ending[person[last]] = CENSORED
    ended_group = group[last]
    if after is not None:
        ended_group = after[-1, group[last], np.minimum(steps[last], n_steps) - 1]
    salvage_group[person[last]] = ended_group
    outside = np.flatnonzero(~inside)
    np.add.at(salvage_steps, person[outside], steps[outside])
    died = outside[ending[outside] == DEATH]
    salvage_ending[person[died]] = DEATH
    keep = np.flatnonzero(inside)
    kept = person[keep]
    return Histories(
        formulary=formulary,
        persons=persons,
        first=np.searchsorted(kept, np.arange(n_persons)),
        person=kept,
        line=number[keep],
        regimen=regimen[keep].astype(np.int64),
        exposed=exposed[keep],
        group=group[keep].astype(np.int64),
        level=level[keep],
        start=start[keep],
        steps=steps[keep],
        ending=ending[keep],
        previous=previous[keep],
        salvage_steps=salvage_steps,
        salvage_ending=salvage_ending,
        salvage_group=salvage_group,
        covariates=table.iloc[keep][list(covariates)].reset_index(drop=True),
        progressed=progressed[keep],
        overlap_counts=overlap_counts,
    )
