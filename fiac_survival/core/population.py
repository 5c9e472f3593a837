"""Parts of a protocol that say who is studied, from when, and what happens: records, not code.

Days count from time zero, which is day 0. A window [a, b] holds the days a ≤ day ≤ b.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]
Window = Annotated[list[int], Field(min_length=2, max_length=2)]


class Section(BaseModel):
    """A part of the protocol: frozen, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Records(Section):
    """Which records of the canonical tables count.

    Attributes
    ----------
    table : {"exposure", "event", "line_of_therapy"}
        Where they stand.
    drugs, atc : list of str or None
        Drugs by name, or by the first characters of their ATC code, in ``exposure``.
    events, codes : list of str or None
        Kinds of event, and the first characters of codes, in ``event``.
    regimens : list of str or None
        Regimens, in ``line_of_therapy``.
    lines : list of int or None
        Numbers of lines.
    window : list of two int or None
        Days from time zero, both included; None: any day.
    """

    table: Literal["exposure", "event", "line_of_therapy"]
    drugs: Texts | None = None
    atc: Texts | None = None
    events: Texts | None = None
    codes: Texts | None = None
    regimens: Texts | None = None
    lines: Annotated[list[int], Field(min_length=1)] | None = None
    window: Window | None = None

    @model_validator(mode="after")
    def _fits_its_table(self) -> Records:
        own = {
            "exposure": ("drugs", "atc"),
            "event": ("events", "codes"),
            "line_of_therapy": ("regimens", "lines"),
        }
        for table, keys in own.items():
            for key in keys:
                if table != self.table and getattr(self, key) is not None:
                    raise ValueError(f"{key} selects in the table {table}, not in {self.table}")
        if self.window is not None and self.window[0] > self.window[1]:
            raise ValueError("the window must not end before it starts")
        return self


class Criterion(Section):
    """One step of eligibility.

    Attributes
    ----------
    label : str
        In words.
    column, operator, value
        The condition that eligible patients meet.
    sources : list of str or None
        Where it applies; None means everywhere.
    """

    label: Text
    column: Text
    operator: Literal["==", "!=", "<", "<=", ">", ">=", "in", "not missing"]
    value: int | float | str | bool | list[int] | list[str] | None = None
    sources: list[Name] | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> Criterion:
        if (self.operator == "not missing") != (self.value is None):
            raise ValueError(f"operator {self.operator!r} and value do not go together")
        if (self.operator == "in") != isinstance(self.value, list):
            raise ValueError('a list of values goes with operator "in"')
        return self


class Variable(Section):
    """A variable made of records, one value a person.

    Attributes
    ----------
    name, label : str
        Column of the analysis table, and its name for readers.
    records : Records
        Which count; for a baseline variable the window must end by day 0.
    value : {"any", "days", "first_day", "last_day", "last_value"}
        Whether there is one; on how many days; day of the first or last from time zero; value of the last
        (the largest of several on that day).
    """

    name: Name
    label: Text
    records: Records
    value: Literal["any", "days", "first_day", "last_day", "last_value"] = "any"

    @model_validator(mode="after")
    def _is_baseline(self) -> Variable:
        if self.records.window is None or self.records.window[1] > 0:
            raise ValueError("a baseline variable needs a window that ends by day 0")
        if self.value == "last_value" and self.records.table != "event":
            raise ValueError('"last_value" needs the table event, which has values')
        return self


class Strategy(Section):
    """A treatment strategy.

    Attributes
    ----------
    name, label : str
        Short name, and name on figures.
    column, value
        The patients whose column, known at time zero, has the value.
    records : Records or None
        Instead: the patients who have such a record. By day 0, or, with `grace_days`, by then.
    grace_days : int or None
        Last day of the grace period; patients are then cloned, censored and weighted.
    none_of_the_others : bool
        Instead: the patients who begin none of the other strategies (within their grace period).
    """

    name: Name
    label: Text
    column: Text | None = None
    value: int | str | bool | None = None
    records: Records | None = None
    grace_days: Annotated[int, Field(ge=1)] | None = None
    none_of_the_others: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Strategy:
        ways = (self.column is not None, self.records is not None, self.none_of_the_others)
        if sum(ways) != 1:
            raise ValueError("a strategy has column and value, or records, or none_of_the_others")
        if (self.column is None) != (self.value is None):
            raise ValueError("column and value go together")
        if self.grace_days is not None and self.column is not None:
            raise ValueError("a grace period goes with records")
        if self.records is not None:
            end = None if self.records.window is None else self.records.window[1]
            if self.grace_days is None and (end is None or end > 0):
                raise ValueError(
                    "treatment that begins after time zero is immortal time: end the window by day 0, "
                    "or give grace_days"
                )
            if self.grace_days is not None and self.records.window is not None:
                raise ValueError("grace_days is the window: from day 0 to that day")
        return self


class TimeZero(Section):
    """When follow-up starts.

    Attributes
    ----------
    definition : str
        In words.
    column : str or None
        A date column of ``person``.
    records : Records or None
        Instead: the day of the first such record.
    between : list of two dates or None
        First and last calendar day on which time zero may lie.
    """

    definition: Text
    column: Text | None = None
    records: Records | None = None
    between: Annotated[list[datetime.date], Field(min_length=2, max_length=2)] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> TimeZero:
        if self.column is not None and self.records is not None:
            raise ValueError("time zero is a column or a record, not both")
        if self.records is not None and self.records.window is not None:
            raise ValueError("records that set time zero have no window around it")
        if self.between is not None and self.between[0] > self.between[1]:
            raise ValueError("between must not end before it starts")
        return self


class OutcomeEvent(Section):
    """One kind of event of the outcome.

    Attributes
    ----------
    code : int
        1, 2, ...: its event code; 0 is censored.
    label : str
        In words.
    column : str or None
        A date column of ``person``, such as death.
    records : Records or None
        Instead: the first such record from its window on; day 1 on unless the window says otherwise.
    """

    code: Annotated[int, Field(ge=1)]
    label: Text
    column: Text | None = None
    records: Records | None = None

    @model_validator(mode="after")
    def _one_way(self) -> OutcomeEvent:
        if (self.column is None) == (self.records is None):
            raise ValueError("an event is a column or a record")
        window = None if self.records is None else self.records.window
        if window is not None and window[0] < 1:
            raise ValueError(
                "an event must lie after time zero: its window starts on day 1 or later"
            )
        return self


class OutcomeDefinition(Section):
    """The outcome.

    Attributes
    ----------
    name, label, definition : str
        Short name, name on figures, and the definition in words.
    time, event : str
        Columns of the analysis table.
    rule : str or None
        Name of the rule where several are possible.
    events : list of OutcomeEvent
        What ends follow-up, for cohorts built from records: the first counts; on one day the first of this
        list.
    """

    name: Name
    label: Text
    definition: Text
    time: Text
    event: Text
    rule: str | None = None
    events: list[OutcomeEvent] = []


class FurtherOutcome(Section):
    """An outcome beside the first, made by the analysis.

    Attributes
    ----------
    name, label, definition : str
        Short name, name on figures, and the definition in words.
    unit : str
        Unit of the margin.
    margin : float or None
        Largest difference between sources that counts as none.
    """

    name: Name
    label: Text
    definition: Text
    unit: Text
    margin: Annotated[float, Field(gt=0)] | None = None


class FollowUp(Section):
    """Follow-up.

    Attributes
    ----------
    unit : {"day", "month", "year"}
        Unit of the analysis.
    horizon : float
        End of the time window of interest, in that unit.
    censoring : str
        What ends observation, in words: never implicit.
    ends : {"follow_up_end", "last_activity", "cutoff"} or None
        For cohorts built from records: the end that the source gives; the last record of any kind; or the
        data cut-off for everybody not known to have died before it.
    cutoff : date or None
        Data cut-off; nothing after it counts, whatever `ends` is.
    """

    unit: Literal["day", "month", "year"]
    horizon: Annotated[float, Field(gt=0)]
    censoring: Text
    ends: Literal["follow_up_end", "last_activity", "cutoff"] | None = None
    cutoff: datetime.date | None = None

    @model_validator(mode="after")
    def _cutoff_is_there(self) -> FollowUp:
        if self.ends == "cutoff" and self.cutoff is None:
            raise ValueError('ends = "cutoff" needs a cutoff')
        return self
