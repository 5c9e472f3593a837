r"""Relative effects from a file of a network meta-analysis.

The meta-analysis gives for categories of regimens the hazard ratio against the average mix of treatment.
A regimen is compared with one that is observed by the ratio of the two,

.. math:: \log\mathrm{HR}_{a:b}=\log\mathrm{HR}_a-\log\mathrm{HR}_b,\qquad
          \mathrm{se}^2_{a:b}=\mathrm{se}^2_a+\mathrm{se}^2_b,

the standard errors from the intervals, as if the two were independent.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
from pydantic import Field, ValidationError, model_validator

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.sequence.formulary_parts import Name, Part
from fiac_survival.sequence.relative_effects import RelativeEffects

FOLDER = Path(__file__).parent / "formularies"
Positive = Annotated[float, Field(gt=0)]
Ratio = tuple[Positive, Positive, Positive]


class Category(Part):
    """Ratios of a category against the average mix: estimate, lower, upper."""

    setting: Name
    category: Name
    next: Ratio
    death: Ratio

    @model_validator(mode="after")
    def _holds_its_estimate(self) -> Self:
        for estimate, lower, upper in (self.next, self.death):
            if not lower <= estimate <= upper:
                raise ValueError(f"the interval of {self.category!r} must hold its estimate")
        return self


class Compared(Part):
    """A regimen, the regimen that it is compared with, and their categories."""

    setting: Name
    lines: tuple[int, ...]
    regimen: Name
    category: Name
    reference: Name
    reference_category: Name


class NetworkEffects(Part):
    """A file of a network meta-analysis.

    Attributes
    ----------
    name, source : str
        Name, and where the figures are from.
    schema_version : int
        Of the file's format.
    categories : tuple of Category
        Ratios against the average mix.
    regimens : tuple of Compared
        What is compared with what.
    """

    name: Name
    source: str = Field(min_length=1)
    schema_version: Literal[1] = 1
    categories: tuple[Category, ...] = Field(min_length=1)
    regimens: tuple[Compared, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _categories_are_known(self) -> Self:
        known = {(c.setting, c.category) for c in self.categories}
        if len(known) < len(self.categories):
            raise ValueError("a category must stand once in its setting")
        for one in self.regimens:
            for category in (one.category, one.reference_category):
                if (one.setting, category) not in known:
                    raise ValueError(f"{one.regimen!r} names the unknown category {category!r}")
        return self


def network_effects(file: str | Path, *, level: float = 0.95) -> RelativeEffects:
    """Read relative effects of regimens from a network meta-analysis.

    Parameters
    ----------
    file : str or Path
        A TOML file, or the name of one that comes with the package ("myeloma").
    level : float, default 0.95
        Confidence level of the file's intervals.

    Returns
    -------
    RelativeEffects
        Regimens against references, by line, with standard errors.

    Raises
    ------
    DataError
        If the file cannot be read or breaks a rule.

    References
    ----------
    Bucher HC et al. J Clin Epidemiol 1997;50:683-691 (indirect comparison).

    Examples
    --------
    >>> effects = network_effects("myeloma").table.set_index(["line", "regimen"])
    >>> round(float(effects.loc[(2, "DVd"), "hazard_ratio_next"]), 3)
    0.489
    """
    path = FOLDER / f"{file}_effects.toml" if isinstance(file, str) else file
    path = path if path.is_file() else Path(file)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        found = NetworkEffects.model_validate(content)
    except OSError as cause:
        raise DataError(
            "the file of relative effects must exist and be readable", values={"file": path.name}
        ) from cause
    except ValidationError as cause:
        raise DataError(
            "the file of relative effects must follow its format",
            values={"file": path.name, "problem": cause.errors()[0]["msg"]},
        ) from cause
    except tomllib.TOMLDecodeError as cause:
        raise DataError(
            "the file of relative effects must follow its format",
            values={"file": path.name, "problem": str(cause)},
        ) from cause
    ratio = {(c.setting, c.category): c for c in found.categories}
    z = normal_quantile(level)
    rows = []
    for one in found.regimens:
        ours, theirs = (
            ratio[one.setting, category] for category in (one.category, one.reference_category)
        )
        row: dict[str, float | str] = {"regimen": one.regimen, "reference": one.reference}
        for name, a, b in (("next", ours.next, theirs.next), ("death", ours.death, theirs.death)):
            errors = [np.log(high / low) / (2 * z) for _, low, high in (a, b)]
            row[f"hazard_ratio_{name}"] = a[0] / b[0]
            row[f"log_se_{name}"] = float(np.hypot(*errors))
        rows += [{"line": line} | row | {"source": found.source} for line in one.lines]
    return RelativeEffects(pd.DataFrame(rows))
