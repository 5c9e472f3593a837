"""Rule sets of lines of therapy as data.

One interpreter reads them all (:mod:`fiac_survival.kernels.lines`). It cuts a patient's records into
regimens and joins regimens into lines; what cuts and what joins stands here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fiac_survival.cohort.drugs import ROLES, DrugTable
from fiac_survival.cohort.rule_files import fingerprint, parse, shipped
from fiac_survival.core.errors import DataError
from fiac_survival.kernels import lines as kernel

FOLDER = Path(__file__).parent / "data" / "rules"
FOREVER = 2**40
Days = int


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TransplantRules(_Part):
    """When a transplant, and what follows it, belongs to the line.

    Attributes
    ----------
    before_days : int
        Largest treatment-free time before a transplant of the line.
    tandem_days : int, optional
        A transplant this soon after the line's first belongs to the line; without it, always.
    after_days : int, optional
        Any regimen that starts this soon after a transplant belongs to the line.
    single_after_days : int, optional
        A single drug that starts this soon after a transplant belongs to the line.
    single_after_drugs : tuple of str, optional
        Which drugs; all if left out.
    """

    before_days: Days = Field(ge=0)
    tandem_days: Days | None = Field(None, ge=0)
    after_days: Days | None = Field(None, ge=0)
    single_after_days: Days | None = Field(None, ge=0)
    single_after_drugs: tuple[str, ...] | None = None


class MaintenanceRules(_Part):
    """A single drug after a combination that belongs to the line.

    Attributes
    ----------
    drugs, repeated_drugs : tuple of str
        Which drugs; which only if the combination had them.
    within_days : int
        It starts this soon after the combination's end.
    longer_than_days, previous_longer_than_days : int
        It, and the combination, cover more days than these.
    """

    drugs: tuple[str, ...]
    repeated_drugs: tuple[str, ...] = ()
    within_days: Days = Field(ge=1)
    longer_than_days: Days = Field(0, ge=0)
    previous_longer_than_days: Days = Field(0, ge=0)


class CellTherapyRules(_Part):
    """Apheresis, bridging and cell therapy as one line.

    Attributes
    ----------
    within_days : int
        An apheresis counts if the cell therapy follows within this time.
    bridging : "any" or tuple of str
        Drugs in between that belong to the line.
    """

    within_days: Days = Field(ge=1)
    bridging: Literal["any"] | tuple[str, ...] = "any"


class Preparation(_Part):
    """Drugs that prepare a procedure: they define neither regimen nor line.

    Attributes
    ----------
    procedure : {"transplant", "cell therapy"}
        What they prepare.
    drugs : tuple of str
        Which.
    days_before : int
        How long before it at most.
    """

    procedure: Literal["transplant", "cell therapy"]
    drugs: tuple[str, ...]
    days_before: Days = Field(ge=0)


class Addition(_Part):
    """Drugs whose addition does not advance the line.

    Attributes
    ----------
    drugs, classes : tuple of str
        Which drugs, or drugs of which classes.
    within_days : int
        After the start of the regimen before.
    new_class : bool
        Only if the regimen had no drug of their class.
    needs : tuple of str
        Only if the regimen had these drugs.
    line : int, optional
        Only in this line.
    """

    drugs: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    within_days: Days = Field(ge=0)
    new_class: bool = False
    needs: tuple[str, ...] = ()
    line: int | None = Field(None, ge=1)


class PackedRules(NamedTuple):
    """A rule set as the kernel's arrays, in the order of its arguments."""

    role: NDArray[np.int64]
    drug_class: NDArray[np.int64]
    rule: NDArray[np.int64]
    sets: NDArray[np.int64]
    prep_role: NDArray[np.int64]
    prep_set: NDArray[np.int64]
    prep_days: NDArray[np.int64]
    add_set: NDArray[np.int64]
    add_days: NDArray[np.int64]
    add_needs: NDArray[np.int64]
    add_new_class: NDArray[np.int64]
    add_line: NDArray[np.int64]
    pairs: NDArray[np.int64]


class LineRules(_Part):
    """A rule set.

    Attributes
    ----------
    name, title, version : str
        Which rule set.
    source, notes : tuple of str
        Where it comes from; how it was read.
    window_days : int
        Drugs begun within this time of the regimen's start belong to it; a later one ends it.
    gap_days : int
        More days without treatment end the regimen.
    dropped_drug : {"continues", "ends regimen"}
        Whether a drug of the regimen that is not given for more than `gap_days` ends it.
    dropped_tolerance_days : int
        Drugs given up within this time after the first are given up with it.
    restart : {"continues", "advances"}
        Whether the same drugs after a gap continue the line.
    minimum_days : int
        A regimen that covers fewer days opens no line if another one follows.
    stop_days : int, optional
        After more days without treatment a line is said to have ended by planned stop.
    transplant : TransplantRules
        Transplants.
    maintenance : MaintenanceRules, optional
        Maintenance without transplant.
    cell_therapy : CellTherapyRules, optional
        Cell therapy; without it apheresis does not count.
    preparation : tuple of Preparation
        Conditioning, mobilisation, lymphodepletion.
    additions : tuple of Addition
        Additions that do not advance the line.
    joined_by_transplant : tuple of tuple of str
        A line with all drugs of one of these sets and no transplant takes up the next line if that has one.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> rules = fs.cohort.LineRules.load("imwg")
    >>> rules.restart, rules.transplant.tandem_days
    ('continues', 180)
    >>> wider = rules.model_copy(update={"name": "imwg, 60 days", "window_days": 60})
    >>> wider.sha256 == rules.sha256
    False
    """

    name: str
    title: str = ""
    version: str = "1"
    source: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    window_days: Days = Field(ge=0)
    gap_days: Days = Field(ge=0)
    dropped_drug: Literal["continues", "ends regimen"] = "continues"
    dropped_tolerance_days: Days = Field(0, ge=0)
    restart: Literal["continues", "advances"]
    minimum_days: Days = Field(0, ge=0)
    stop_days: Days | None = Field(None, ge=0)
    transplant: TransplantRules
    maintenance: MaintenanceRules | None = None
    cell_therapy: CellTherapyRules | None = None
    preparation: tuple[Preparation, ...] = ()
    additions: tuple[Addition, ...] = ()
    joined_by_transplant: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> LineRules:
        if self.dropped_tolerance_days > self.gap_days:
            raise ValueError("dropped_tolerance_days must not be larger than gap_days")
        return self

    @classmethod
    def load(cls, rules: str | Path) -> LineRules:
        """Read a rule set.

        Parameters
        ----------
        rules : str or Path
            Name of one that comes with the package, or a TOML file.

        Returns
        -------
        LineRules
            Checked.

        Raises
        ------
        DataError
            If there is no such rule set, or it breaks a rule.
        """
        return parse(cls, shipped(FOLDER, rules, "rule set"))

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return fingerprint(self)

    def pack(self, drugs: DrugTable) -> PackedRules:
        """Turn the rules into the kernel's arrays.

        Parameters
        ----------
        drugs : DrugTable
            Numbers of drugs.

        Returns
        -------
        PackedRules
            Arrays.

        Raises
        ------
        DataError
            If a rule names a drug or a class that the table does not have.
        """
        transplant, keeping, cells = self.transplant, self.maintenance, self.cell_therapy
        everything = (1 << len(drugs.drugs)) - 1
        rule = _integers([0] * kernel.N_RULES)
        rule[kernel.WINDOW] = self.window_days
        rule[kernel.GAP] = self.gap_days
        rule[kernel.DROP] = self.dropped_drug == "ends regimen"
        rule[kernel.DROP_TOLERANCE] = self.dropped_tolerance_days
        rule[kernel.RESTART] = self.restart == "continues"
        rule[kernel.MINIMUM] = self.minimum_days
        rule[kernel.BEFORE] = transplant.before_days
        rule[kernel.TANDEM] = _or_else(transplant.tandem_days, FOREVER)
        rule[kernel.AFTER] = _or_else(transplant.after_days, -1)
        rule[kernel.AFTER_SINGLE] = _or_else(transplant.single_after_days, -1)
        sets = _integers([0] * kernel.N_SETS)
        single = transplant.single_after_drugs
        sets[kernel.SINGLE_AFTER] = everything if single is None else self._set(single, drugs)
        if keeping is not None:
            rule[kernel.MAINTENANCE_WITHIN] = keeping.within_days
            rule[kernel.MAINTENANCE_MINIMUM] = keeping.longer_than_days
            rule[kernel.MAINTENANCE_PREVIOUS] = keeping.previous_longer_than_days
            sets[kernel.MAINTENANCE] = self._set(keeping.drugs, drugs)
            sets[kernel.MAINTENANCE_REPEATED] = self._set(keeping.repeated_drugs, drugs)
        if cells is not None:
            rule[kernel.CELL_WITHIN] = cells.within_days
            some = cells.bridging
            sets[kernel.BRIDGING] = everything if some == "any" else self._set(some, drugs)
        return PackedRules(
            role=drugs.roles,
            drug_class=drugs.class_numbers,
            rule=rule,
            sets=sets,
            prep_role=_integers([ROLES.index(p.procedure) for p in self.preparation]),
            prep_set=_integers([self._set(p.drugs, drugs) for p in self.preparation]),
            prep_days=_integers([p.days_before for p in self.preparation]),
            add_set=_integers([self._addition(a, drugs) for a in self.additions]),
            add_days=_integers([a.within_days for a in self.additions]),
            add_needs=_integers([self._set(a.needs, drugs) for a in self.additions]),
            add_new_class=_integers([a.new_class for a in self.additions]),
            add_line=_integers([_or_else(a.line, 0) for a in self.additions]),
            pairs=_integers([self._set(names, drugs) for names in self.joined_by_transplant]),
        )

    def _set(self, names: tuple[str, ...], drugs: DrugTable) -> int:
        unknown = [name for name in names if name not in drugs.codes]
        if unknown:
            raise DataError(
                "a rule set must name drugs of the drug table",
                values={"rules": self.name, "drug": unknown[0], "table": drugs.name},
                remedy="pass the drug table that belongs to the rules",
            )
        return sum(1 << code for code in {drugs.codes[name] for name in names})

    def _addition(self, addition: Addition, drugs: DrugTable) -> int:
        unknown = [name for name in addition.classes if name not in drugs.classes]
        if unknown:
            raise DataError(
                "a rule set must name classes of the drug table",
                values={"rules": self.name, "class": unknown[0], "table": drugs.name},
                remedy="pass the drug table that belongs to the rules",
            )
        of_classes = [d.name for d in drugs.drugs if d.class_name in addition.classes]
        return self._set((*addition.drugs, *of_classes), drugs)


def _integers(values: list[Any]) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def _or_else(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
