"""Codelists: which codes of which system mean what, as versioned files with a fingerprint.

A codelist maps (system, code) to a concept: the name of a drug or procedure of a drug table, or a
diagnosis. A code that could not be verified in a public source says so, with the reason. ICD-10 and GHM
codes stand for all codes that begin with them; all others for themselves.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fiac_survival.cohort.rule_files import fingerprint, parse, shipped
from fiac_survival.core.errors import DataError

System = Literal[
    "UCD7",
    "CIP13",
    "ATC",
    "CCAM",
    "GHM",
    "ICD-10",
    "OMOP drug",
    "OMOP procedure",
    "OMOP condition",
]
SHAPES: dict[System, str] = {
    "UCD7": r"\d{7}",
    "CIP13": r"\d{13}",
    "ATC": r"[A-Z]\d{2}[A-Z]{2}\d{2}",
    "CCAM": r"[A-Z]{4}\d{3}",
    "GHM": r"\d{2}[A-Z]\d{2}[0-9A-Z]?",
    "ICD-10": r"[A-Z]\d[0-9A-Z]{1,4}",
    "OMOP drug": r"[1-9]\d*",
    "OMOP procedure": r"[1-9]\d*",
    "OMOP condition": r"[1-9]\d*",
}
FOLDER = Path(__file__).parent / "data" / "codelists"


class Code(BaseModel):
    """One code.

    Attributes
    ----------
    system : str
        Coding system. UCD codes are kept as seven digits, ICD-10 codes without the dot.
    code : str
        The code.
    concept : str
        What it means.
    label : str
        As in the source.
    verified : bool
        False if no public source was found for it.
    note : str
        Why it is not verified.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: System
    code: str
    concept: str = Field(min_length=1)
    label: str = ""
    verified: bool = True
    note: str = ""

    @model_validator(mode="after")
    def _well_formed(self) -> Code:
        if not re.fullmatch(SHAPES[self.system], self.code):
            raise ValueError(f"{self.code} is not a {self.system} code ({SHAPES[self.system]})")
        if not self.verified and not self.note:
            raise ValueError(f"{self.code} is not verified: its note must say why")
        return self


class Codelist(BaseModel):
    """A versioned list of codes.

    Attributes
    ----------
    name, version, title : str
        Which list.
    source : tuple of str
        Where it comes from.
    codes : tuple of Code
        Each (system, code) once.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> codes = fs.cohort.Codelist.load("myeloma_drugs")
    >>> codes.concept("9298113")
    'lenalidomide'
    >>> codes.concept("L01XG01")
    'bortezomib'
    >>> len(codes.sha256)
    64
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    title: str = ""
    source: tuple[str, ...] = Field(min_length=1)
    codes: tuple[Code, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> Codelist:
        keys = [(code.system, code.code) for code in self.codes]
        twice = sorted({key for key in keys if keys.count(key) > 1})
        if twice:
            raise ValueError(f"a code must stand once: {twice[0][0]} {twice[0][1]}")
        return self

    @classmethod
    def load(cls, codelist: str | Path) -> Codelist:
        """Read a codelist.

        Parameters
        ----------
        codelist : str or Path
            Name of one that comes with the package ("myeloma_drugs", "lung_drugs", "procedures",
            "myeloma_diagnoses", "lung_diagnoses", "omop"), or a TOML file.

        Returns
        -------
        Codelist
            Checked.

        Raises
        ------
        DataError
            If there is no such list, or it breaks a rule.
        """
        return parse(cls, shipped(FOLDER, codelist, "codelist"))

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return fingerprint(self)

    @property
    def table(self) -> pd.DataFrame:
        """One row a code."""
        return pd.DataFrame([code.model_dump() for code in self.codes])

    def concept(self, code: str, *, system: System | None = None) -> str:
        """Meaning of a code.

        Parameters
        ----------
        code : str
            A code of the list.
        system : str, optional
            Its system, where two systems share a code.

        Returns
        -------
        str
            The concept.

        Raises
        ------
        DataError
            If the list does not have the code, or two systems give it two meanings.
        """
        found = {
            one.concept
            for one in self.codes
            if one.code == code and (system is None or one.system == system)
        }
        if not found:
            raise DataError(
                "the code must be in the codelist",
                values={"code": code, "codelist": self.name, "version": self.version},
                remedy="add it to a copy of the list; Codelist.load reads a .toml file",
            )
        if len(found) > 1:
            raise DataError(
                "the code must have one meaning",
                values={"code": code, "meanings": ", ".join(sorted(found))},
                remedy="pass its system",
            )
        return found.pop()

    def codes_of(self, concept: str, *, system: System) -> list[str]:
        """Codes that mean a concept.

        Parameters
        ----------
        concept : str
            The concept.
        system : str
            Coding system.

        Returns
        -------
        list of str
            In the order of the list, verified ones first; empty if there are none.
        """
        chosen = [c for c in self.codes if c.concept == concept and c.system == system]
        return [c.code for c in sorted(chosen, key=lambda c: not c.verified)]


def load_codelists(codelists: Sequence[str | Path | Codelist]) -> tuple[Codelist, ...]:
    """Read several codelists that are used together.

    Parameters
    ----------
    codelists : sequence of str, Path or Codelist
        Names, TOML files, or lists.

    Returns
    -------
    tuple of Codelist
        Read.

    Raises
    ------
    DataError
        If one cannot be read, or two give a code two meanings.
    """
    loaded = tuple(c if isinstance(c, Codelist) else Codelist.load(c) for c in codelists)
    meaning: dict[tuple[System, str], str] = {}
    for codelist in loaded:
        for code in codelist.codes:
            known = meaning.setdefault((code.system, code.code), code.concept)
            if known != code.concept:
                raise DataError(
                    "codelists used together must agree on a code",
                    values={"code": code.code, "meanings": f"{known}, {code.concept}"},
                    remedy="leave one of the lists out",
                )
    return loaded


def meanings(codelists: Sequence[Codelist], system: System) -> dict[str, str]:
    """Code to concept in one system, over several codelists.

    Parameters
    ----------
    codelists : sequence of Codelist
        Lists that agree.
    system : str
        Coding system.

    Returns
    -------
    dict
        Code to concept.
    """
    return {
        c.code: c.concept for codelist in codelists for c in codelist.codes if c.system == system
    }


def begins_with(column: Any, prefixes: Sequence[str]) -> Any:
    """Express that a text begins with one of several prefixes.

    Parameters
    ----------
    column : ibis string expression
        The text.
    prefixes : sequence of str
        At least one.

    Returns
    -------
    ibis boolean expression
        True where it does; never missing.
    """
    each = (column.startswith(prefix) for prefix in prefixes)
    return functools.reduce(operator.or_, each).fill_null(False)
