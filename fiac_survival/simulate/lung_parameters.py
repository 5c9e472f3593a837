"""Parameters of the simulated lung cancer programme, its rates of error and the published figures.

They stand in ``data/lung.toml``, each number beside its source.
"""

from __future__ import annotations

import functools
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fiac_survival.cohort.rule_files import parse
from fiac_survival.core.errors import DataError

FILE = Path(__file__).parent / "data" / "lung.toml"
Kind = Literal["target", "at least", "context"]


class Parameter(BaseModel):
    """A number and where it is from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    source: str


class Programme(BaseModel):
    """Period and drug of the programme."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_day: date
    last_day: date
    cut_off: date
    drug: str
    atc: str
    ucd: str
    source: tuple[str, ...]


class Figure(BaseModel):
    """A published figure, and what it is to the simulation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    published: float
    kind: Kind
    source: str


class LungParameters(BaseModel):
    """All that data/lung.toml says.

    Attributes
    ----------
    version : str
        Of the parameters.
    programme : Programme
        Period and drug.
    patients, course, errors : dict of str to Parameter
        Numbers with their sources.
    figures : tuple of Figure
        Published figures.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    programme: Programme
    patients: dict[str, Parameter]
    course: dict[str, Parameter]
    errors: dict[str, Parameter]
    figures: tuple[Figure, ...]

    def days(self) -> tuple[int, int, int]:
        """First and last day of the programme and the cut-off, in days since 1970."""
        p = self.programme
        origin = date(1970, 1, 1).toordinal()
        first, last, end = (d.toordinal() - origin for d in (p.first_day, p.last_day, p.cut_off))
        return first, last, end


@functools.cache
def lung_parameters() -> LungParameters:
    """Read the parameters that come with the package.

    Returns
    -------
    LungParameters
        As shipped.
    """
    return parse(LungParameters, FILE)


def _rate(name: str) -> float:
    return lung_parameters().errors[name].value


def _default(name: str) -> float:
    return Field(default_factory=functools.partial(_rate, name))


Rate = Annotated[float, Field(ge=0.0, le=1.0)]


class LungErrors(BaseModel):
    """How often something goes wrong in the forms and in the claims.

    All are probabilities: of a patient, of a form, of an infusion, or a year, as said. The defaults stand
    in data/lung.toml, with what they were fitted to.

    Attributes
    ----------
    wrong_month, wrong_year, wrong_sex, missing_month, missing_department : float
        Of the key in the forms, a patient.
    swapped_day_month : float
        The day of birth given as the month, of those born up to the 12th.
    hospital_department : float
        The department of the hospital instead of the patient's.
    legal_entity, other_centre : float
        FINESS of the legal entity; the hospital that prescribes.
    shifted_first_infusion : float
        First administration off by up to ten days.
    duplicate_form, duplicate_claims : float
        A second file, a second pseudonym for the same patient; of half of them at most.
    twin : float
        A twin in the claims who is not in the programme.
    missing_field : float
        Of a field before treatment.
    missing_follow_up, missing_stop, comment : float
        Follow-up forms and stop forms not sent; follow-up forms with free text.
    lost_to_follow_up : float
        A year.
    unreported_death, misdated_death, unreported_progression, misdated_progression : float
        Of those that the forms could have known.
    unbilled_infusion, unbilled_end : float
        Of an infusion; of each infusion in turn, from the last backwards.
    missing_death_in_claims : float
        Of a death.

    Examples
    --------
    >>> LungErrors(wrong_month=0.0).wrong_month
    0.0
    >>> LungErrors.none().missing_follow_up
    0.0
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    wrong_month: Rate = _default("wrong_month")
    swapped_day_month: Rate = _default("swapped_day_month")
    wrong_year: Rate = _default("wrong_year")
    wrong_sex: Rate = _default("wrong_sex")
    missing_month: Rate = _default("missing_month")
    missing_department: Rate = _default("missing_department")
    hospital_department: Rate = _default("hospital_department")
    legal_entity: Rate = _default("legal_entity")
    other_centre: Rate = _default("other_centre")
    shifted_first_infusion: Rate = _default("shifted_first_infusion")
    duplicate_form: Rate = _default("duplicate_form")
    duplicate_claims: Rate = _default("duplicate_claims")
    twin: Rate = _default("twin")
    missing_field: Rate = _default("missing_field")
    missing_follow_up: Rate = _default("missing_follow_up")
    missing_stop: Rate = _default("missing_stop")
    lost_to_follow_up: Rate = _default("lost_to_follow_up")
    unreported_death: Rate = _default("unreported_death")
    misdated_death: Rate = _default("misdated_death")
    unreported_progression: Rate = _default("unreported_progression")
    misdated_progression: Rate = _default("misdated_progression")
    comment: Rate = _default("comment")
    unbilled_infusion: Rate = _default("unbilled_infusion")
    unbilled_end: Rate = _default("unbilled_end")
    missing_death_in_claims: Rate = _default("missing_death_in_claims")

    def __init__(self, **rates: float) -> None:
        try:
            super().__init__(**rates)
        except ValidationError as cause:
            first = cause.errors()[0]
            raise DataError(
                "a rate of error must be a known one, and a probability",
                values={"rate": ".".join(map(str, first["loc"])), "reason": first["msg"]},
                remedy=f"known: {', '.join(LungErrors.model_fields)}",
            ) from None

    @classmethod
    def none(cls) -> LungErrors:
        """Give the rates of sources without any error.

        Returns
        -------
        LungErrors
            All zero.
        """
        return cls(**dict.fromkeys(cls.model_fields, 0.0))
