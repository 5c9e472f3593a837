"""Reading a formulary from a file."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.formulary import Formulary


def read_formulary(path: str | Path) -> Formulary:
    """Read a formulary file.

    Parameters
    ----------
    path : str or Path
        A file that ends in .toml, .yaml or .yml.

    Returns
    -------
    Formulary
        Checked.

    Raises
    ------
    DataError
        If the file is missing, cannot be parsed, or breaks a rule; the place in the file is named.
    """
    path = Path(path)
    if path.suffix not in (".toml", ".yaml", ".yml"):
        raise DataError(
            "a formulary must be a TOML or YAML file",
            values={"file": path.name},
            remedy="name it .toml, .yaml or .yml",
        )
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            "the formulary must be readable", values={"file": str(path), "problem": error}
        ) from None
    try:
        if path.suffix == ".toml":
            content: Any = tomllib.loads(text)
        else:
            import yaml

            content = yaml.safe_load(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise DataError(
            "the formulary must be valid TOML or YAML",
            values={"file": path.name, "problem": error},
        ) from None
    except Exception as error:
        if type(error).__module__.startswith("yaml"):
            raise DataError(
                "the formulary must be valid TOML or YAML",
                values={"file": path.name, "problem": error},
            ) from None
        raise
    return parse_formulary(content, path.name)


def parse_formulary(content: Any, name: str = "formulary") -> Formulary:
    """Check the content of a formulary.

    Parameters
    ----------
    content : mapping
        As read from a file.
    name : str
        What to call it in an error.

    Returns
    -------
    Formulary
        Checked.

    Raises
    ------
    DataError
        Naming the first place that breaks a rule.
    """
    try:
        return Formulary.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = " > ".join(str(part) for part in first["loc"]) or "the whole file"
        message = first["msg"].removeprefix("Value error, ")
        raise DataError(
            f"the formulary breaks a rule: {message}",
            values={"file": name, "place": place, "problems": error.error_count()},
            remedy="correct the file",
        ) from None
