"""The parts of a formulary: figures with sources, regimens, rules."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(min_length=1, max_length=80)]


class Part(BaseModel):
    """A part of a formulary: nothing unknown in it, and not to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Amount(Part):
    """A figure and its source.

    Attributes
    ----------
    value : float
        The figure.
    source : str
        Publication, price list or assumption it comes from.
    """

    value: float
    source: Name


class Place(Part):
    """Lines and groups together, where a regimen may be given.

    Attributes
    ----------
    lines : tuple of int, optional
        Lines, counted from 1; all by default.
    groups : tuple of str, optional
        Groups; all by default.
    """

    lines: tuple[int, ...] | None = Field(default=None, min_length=1)
    groups: tuple[Name, ...] | None = Field(default=None, min_length=1)


class Regimen(Part):
    """A regimen of the formulary.

    Attributes
    ----------
    name : str
        Its name.
    classes : tuple of str
        Its drug classes; none for "no further therapy" and for the observed care mix.
    lines : tuple of int, optional
        Lines for which the label allows it, counted from 1; all by default.
    groups : tuple of str, optional
        Groups that are eligible; all by default.
    records : tuple of str
        What lines of therapy call it: drugs in alphabetical order, joined by +.
    where : tuple of Place, optional
        In place of lines and groups: several combinations of them, each of which will do.
    label : str
        What the label says.
    cost_month, start_cost : Amount, optional
        Cost of a month on treatment and of starting.
    utility, utility_off : Amount, optional
        Utility of a month in the line, and of one after the treatment has stopped.
    treatment_months : float, optional
        Planned length of treatment; what remains of the line is free of treatment.
    observed_care : bool, default False
        Whether this stands for the mix of regimens observed in a line. It adds no classes to the history:
        where exposure harms later lines, what follows it is valued too high.
    """

    name: Name
    classes: tuple[Name, ...] = ()
    lines: tuple[int, ...] | None = Field(default=None, min_length=1)
    groups: tuple[Name, ...] | None = Field(default=None, min_length=1)
    records: tuple[Name, ...] = ()
    where: tuple[Place, ...] | None = Field(default=None, min_length=1)
    label: str = ""
    cost_month: Amount | None = None
    start_cost: Amount | None = None
    utility: Amount | None = None
    utility_off: Amount | None = None
    treatment_months: float | None = Field(default=None, gt=0)
    observed_care: bool = False

    @model_validator(mode="after")
    def _one_way_to_say_where(self) -> Self:
        if self.where is not None and (self.lines is not None or self.groups is not None):
            raise ValueError(
                f"regimen {self.name!r} must say where by lines and groups, or by where"
            )
        return self

    @property
    def places(self) -> tuple[Place, ...]:
        """Where the regimen may be given; any of these will do."""
        return self.where or (Place(lines=self.lines, groups=self.groups),)


class Ratio(Part):
    """A hazard ratio with its interval.

    Attributes
    ----------
    ratio, lower, upper : float
        Estimate and limits.
    """

    ratio: float = Field(gt=0)
    lower: float = Field(gt=0)
    upper: float = Field(gt=0)

    @model_validator(mode="after")
    def _inside(self) -> Self:
        if not self.lower <= self.ratio <= self.upper or self.lower == self.upper:
            raise ValueError("a ratio must lie within its interval")
        return self


class CategoryEffect(Part):
    """What a publication says of a category of regimens, against what all of its categories share.

    Attributes
    ----------
    category : str
        As the publication calls it.
    against : str
        What the publication compares it with; the same for all categories that are to be compared.
    regimens : tuple of str
        Regimens of the formulary that stand for it; may be none.
    lines : tuple of int
        Lines that it holds for, counted from 1.
    next, death : Ratio
        Hazard ratios of moving on (relapse, progression, next treatment) and of death.
    level : float, default 0.95
        Confidence level of the intervals.
    source : str
        The publication.
    """

    category: Name
    against: Name
    regimens: tuple[Name, ...] = ()
    lines: tuple[int, ...] = Field(min_length=1)
    next: Ratio
    death: Ratio
    level: float = Field(default=0.95, gt=0.5, lt=1)
    source: str = Field(min_length=1, max_length=300)


class GroupUpdate(Part):
    """A rule by which the group changes when a line ends.

    Attributes
    ----------
    start, to : str
        Group before and after.
    line : int, optional
        Line that ends, counted from 1; every line by default.
    within_months : float
        The line ended within so many months.
    """

    start: Name
    to: Name
    line: int | None = None
    within_months: float = Field(gt=0)


class Salvage(Part):
    """What is known about the time after the last line."""

    cost_month: Amount | None = None
    utility: Amount | None = None


class ConstraintRules(Part):
    """Constraints as they stand in the file; see :class:`Constraints`."""

    class_once: tuple[Name, ...] = ()
    forbidden_after: tuple[tuple[Name, Name], ...] = ()
    regimen_once: bool = False
