"""Regimens as schedules: which drug, how many days after the one before, how many cycles."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import read_text

Name = Annotated[str, Field(min_length=1)]


class RegimenStep(BaseModel):
    """One drug of a cycle.

    Attributes
    ----------
    drug : str
        Its code, as in the exposures.
    days : int
        Days since the step before; for the first step, since the last step of the cycle before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    drug: Name
    days: int = Field(ge=0)


class Regimen(BaseModel):
    """A regimen.

    Attributes
    ----------
    name : str
        Its name.
    steps : tuple of RegimenStep
        The drugs of one cycle in order. Drugs of one day (days = 0) may come in any order.
    cycles : int, default 1
        How often the cycle is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Name
    steps: Annotated[tuple[RegimenStep, ...], Field(min_length=1, strict=False)]
    cycles: int = Field(default=1, ge=1, le=1000)

    @field_validator("steps", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        """Take pairs of days and drug for steps."""
        if isinstance(value, list | tuple):
            return tuple(
                {"days": step[0], "drug": step[1]}
                if isinstance(step, list | tuple) and len(step) == 2
                else step
                for step in value
            )
        return value

    def schedule(self) -> list[tuple[int, str]]:
        """All steps of all cycles.

        Returns
        -------
        list of (int, str)
            Days since the step before, and drug; drugs of one day in alphabetical order.

        Examples
        --------
        >>> Regimen(name="Vd", steps=[(11, "V"), (0, "D"), (3, "V")], cycles=2).schedule()
        [(0, 'D'), (0, 'V'), (3, 'V'), (11, 'D'), (0, 'V'), (3, 'V')]
        """
        day, at = 0, []
        for cycle in range(self.cycles):
            for place, step in enumerate(self.steps):
                day += 0 if cycle == place == 0 else step.days
                at.append((day, step.drug))
        at.sort()
        return [(now - (at[i - 1][0] if i else now), drug) for i, (now, drug) in enumerate(at)]


def read_regimens(path: str | Path) -> tuple[Regimen, ...]:
    """Read regimens from a TOML file.

    Each regimen is a table ``[[regimen]]`` with name, steps and cycles; a step is
    ``{days = 7, drug = "bortezomib"}`` or ``[7, "bortezomib"]``.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    tuple of Regimen
        In the file's order.

    Raises
    ------
    DataError
        If the file is missing or is not TOML, a key is unknown, a name is used twice, days are negative
        or a regimen has no drugs; the place in the file is named.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "regimens.toml"
    >>> _ = file.write_text('''
    ... [[regimen]]
    ... name = "Vd"
    ... cycles = 2
    ... steps = [[10, "bortezomib"], [0, "dexamethasone"], [3, "bortezomib"]]
    ... ''', encoding="utf-8")
    >>> read_regimens(file)[0].cycles
    2
    """
    path = Path(path)
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise DataError(
            "regimens must be valid TOML", values={"file": path.name, "problem": error}
        ) from None
    unknown = sorted(set(content) - {"regimen"})
    if unknown or not isinstance(content.get("regimen"), list):
        raise DataError(
            "a file of regimens must have tables [[regimen]] and nothing else",
            values={"file": path.name, "found": ", ".join(sorted(content)) or "nothing"},
            remedy="write each regimen as [[regimen]]",
        )
    return check_regimens(content["regimen"], path.name)


def check_regimens(regimens: Any, name: str = "regimens") -> tuple[Regimen, ...]:
    """Check regimens.

    Parameters
    ----------
    regimens : sequence of Regimen or mapping
        At least one.
    name : str
        What to call them in an error.

    Returns
    -------
    tuple of Regimen
        Checked.

    Raises
    ------
    DataError
        Naming the first regimen and place that break a rule.
    """
    if isinstance(regimens, Regimen | dict | str):
        raise DataError(
            "regimens must be a list", values={"type": type(regimens).__name__}, remedy="use [...]"
        )
    out: list[Regimen] = []
    for number, item in enumerate(regimens):
        try:
            out.append(item if isinstance(item, Regimen) else Regimen.model_validate(item))
        except ValidationError as error:
            first = error.errors()[0]
            called = item.get("name", number) if isinstance(item, dict) else number
            raise DataError(
                f"a regimen breaks a rule: {first['msg']}",
                values={
                    "in": name,
                    "regimen": called,
                    "place": " > ".join(str(part) for part in first["loc"]) or "the whole regimen",
                    "value": first["input"],
                },
                remedy="correct it",
            ) from None
    if not out:
        raise DataError("there must be at least one regimen", values={"in": name})
    names = [regimen.name for regimen in out]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise DataError("regimens must have names of their own", values={"twice": twice})
    return tuple(out)
