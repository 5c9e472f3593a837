"""Drugs and procedures of a disease: code, class, role, days that a record covers."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fiac_survival.cohort.rule_files import fingerprint, parse, shipped

Role = Literal["drug", "steroid", "transplant", "apheresis", "cell therapy"]
ROLES: tuple[Role, ...] = ("drug", "steroid", "transplant", "apheresis", "cell therapy")
FOLDER = Path(__file__).parent / "data" / "drugs"
LARGEST = 62  # a set of drugs is one integer of 64 bits


class Drug(BaseModel):
    """One drug or procedure.

    Attributes
    ----------
    name : str
        As in the exposure table and in the names of regimens.
    class_name : str
        Its class ("class" in a file).
    atc : str
        ATC code; records may carry it instead of the name.
    role : str
        drug, steroid (never defines a line), transplant, apheresis, cell therapy.
    days : int
        Days that a record covers if it does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    name: str = Field(min_length=1, pattern=r"^[^+]+$")
    class_name: str = Field(alias="class")
    atc: str = ""
    role: Role = "drug"
    days: int = Field(1, ge=1)


class DrugTable(BaseModel):
    """The drugs and procedures of a disease.

    Attributes
    ----------
    name, version : str
        Which table.
    source : tuple of str
        Where it comes from.
    classes : dict
        Name and meaning of each class.
    drugs : tuple of Drug
        At most 62.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = fs.cohort.DrugTable.load("myeloma")
    >>> [drug.name for drug in table.drugs if drug.class_name == "PI"]
    ['bortezomib', 'carfilzomib', 'ixazomib']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    source: tuple[str, ...] = Field(min_length=1)
    classes: dict[str, str]
    drugs: tuple[Drug, ...] = Field(min_length=1, max_length=LARGEST)

    @model_validator(mode="after")
    def _consistent(self) -> DrugTable:
        keys = [key for drug in self.drugs for key in (drug.name, drug.atc) if key]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"names and codes must be unique: {', '.join(twice)}")
        unknown = sorted({drug.class_name for drug in self.drugs} - set(self.classes))
        if unknown:
            raise ValueError(f"every class must be described: {', '.join(unknown)}")
        return self

    @classmethod
    def load(cls, table: str | Path) -> DrugTable:
        """Read a table.

        Parameters
        ----------
        table : str or Path
            Name of one that comes with the package ("myeloma"), or a TOML file.

        Returns
        -------
        DrugTable
            Checked.

        Raises
        ------
        DataError
            If there is no such table, or it breaks a rule.
        """
        return parse(cls, shipped(FOLDER, table, "drug table"))

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return fingerprint(self)

    @functools.cached_property
    def codes(self) -> dict[str, int]:
        """Number of each drug, by name and by ATC code."""
        out = {drug.name: i for i, drug in enumerate(self.drugs)}
        return out | {drug.atc: i for i, drug in enumerate(self.drugs) if drug.atc}

    @functools.cached_property
    def roles(self) -> NDArray[np.int64]:
        """Number of each drug's role."""
        return np.array([ROLES.index(drug.role) for drug in self.drugs], dtype=np.int64)

    @functools.cached_property
    def class_numbers(self) -> NDArray[np.int64]:
        """Number of each drug's class."""
        order = {name: i for i, name in enumerate(self.classes)}
        return np.array([order[drug.class_name] for drug in self.drugs], dtype=np.int64)

    @functools.cached_property
    def days(self) -> NDArray[np.int64]:
        """Days that a record of each drug covers."""
        return np.array([drug.days for drug in self.drugs], dtype=np.int64)

    def members(self, mask: int) -> list[Drug]:
        """Drugs of a set.

        Parameters
        ----------
        mask : int
            Bit d for drug d.

        Returns
        -------
        list of Drug
            By name; apheresis is left out unless it stands alone.
        """
        chosen = [drug for i, drug in enumerate(self.drugs) if (mask >> i) & 1]
        given = [drug for drug in chosen if drug.role != "apheresis"]
        return sorted(given or chosen, key=lambda drug: drug.name)

    def regimen(self, mask: int) -> str:
        """Canonical name of a set of drugs.

        Parameters
        ----------
        mask : int
            Bit d for drug d.

        Returns
        -------
        str
            Names in alphabetical order, joined by "+".
        """
        return "+".join(drug.name for drug in self.members(mask))

    def regimen_classes(self, mask: int) -> str:
        """Classes of a set of drugs.

        Parameters
        ----------
        mask : int
            Bit d for drug d.

        Returns
        -------
        str
            Names in alphabetical order, joined by "+".
        """
        return "+".join(sorted({drug.class_name for drug in self.members(mask)}))
