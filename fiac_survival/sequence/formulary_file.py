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
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the formulary must be readable", values={"file": str(path), "problem": error}
        ) from None
    try:
        if path.suffix == ".toml":
            content: Any = tomllib.loads(text)
        else:
            content = _parse_yaml(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise DataError(
            "the formulary must be valid TOML or YAML",
            values={"file": path.name, "problem": error},
        ) from None
    return parse_formulary(content, path.name)


def _parse_yaml(text: str) -> Any:
    """Parse YAML; a key that stands twice is an error, as it is in TOML."""
    try:
        import yaml
    except ImportError:
        raise DataError(
            "a YAML formulary needs PyYAML", remedy="install pyyaml, or write the file in TOML"
        ) from None

    class Loader(yaml.SafeLoader):
        """Mappings with keys of their own."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            found: list[Any] = [key.value for key, _ in node.value if key.tag.endswith(":str")]
            twice = [key for key in found if found.count(key) > 1]
            if twice:
                raise ValueError(f"the key {twice[0]!r} stands twice")
            return super().construct_mapping(node, deep=deep)

    try:
        return Loader(text).get_single_data()
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


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
