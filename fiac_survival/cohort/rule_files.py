"""Rules and tables kept as TOML files: read, checked, fingerprinted."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import read_text, sha256_text

M = TypeVar("M", bound=BaseModel)


def shipped(folder: Path, name: str | Path, what: str) -> Path:
    """Find a file that comes with the package, or take a path.

    Parameters
    ----------
    folder : Path
        Where the package keeps such files.
    name : str or Path
        Name without suffix, or a path that ends in .toml.
    what : str
        What to call it in an error.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    DataError
        If there is no such file.
    """
    path = Path(name)
    if path.suffix == ".toml":
        return path
    known = sorted(file.stem for file in folder.glob("*.toml"))
    if str(name) not in known:
        raise DataError(
            f"the {what} must come with the package or be a .toml file",
            values={what: name},
            remedy=f"known: {', '.join(known)}",
        )
    return folder / f"{name}.toml"


def parse(model: type[M], path: Path) -> M:
    """Read a TOML file into a model.

    Parameters
    ----------
    model : pydantic model class
        What it must be.
    path : Path
        The file.

    Returns
    -------
    model
        Checked.

    Raises
    ------
    DataError
        Naming the first place that breaks a rule.
    """
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as cause:
        raise DataError(
            "the file must be valid TOML",
            values={"file": path.name, "problem": cause},
            remedy="correct the file",
        ) from None
    try:
        return model.model_validate(content)
    except ValidationError as cause:
        first = cause.errors()[0]
        place = " > ".join(str(part) for part in first["loc"]) or "the whole file"
        raise DataError(
            f"the file breaks a rule: {first['msg'].removeprefix('Value error, ')}",
            values={"file": path.name, "place": place, "problems": cause.error_count()},
            remedy="correct the file",
        ) from None


def fingerprint(model: BaseModel) -> str:
    """Fingerprint of what a model says, however its file is written.

    Parameters
    ----------
    model : pydantic model
        Rules or a table.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return sha256_text(json.dumps(model.model_dump(mode="json"), sort_keys=True))
