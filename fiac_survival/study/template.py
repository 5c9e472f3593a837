"""A new study: small, complete, and running as it is."""

from __future__ import annotations

from pathlib import Path

from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.files import write_text
from fiac_survival.core.population import NAME

FOLDER = Path(__file__).parent / "templates"


def make_study(project: Path, name: str) -> Path:
    """Make a study.

    Parameters
    ----------
    project : Path
        Folder that has, or gets, a folder ``studies``.
    name : str
        Name of the new study.

    Returns
    -------
    Path
        Its folder.

    Raises
    ------
    ProtocolError
        If the name is not one or is taken.
    OutputError
        If the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise ProtocolError(
            "a study's name has lower-case letters, digits and _ only",
            values={"study": name},
            remedy="choose a name such as lung_overall_survival",
        )
    folder = project.resolve() / "studies" / name
    if folder.exists():
        raise ProtocolError(
            "a new study must not exist yet",
            values={"folder": folder},
            remedy="choose another name",
        )
    for template, target in (
        ("study.toml.template", "study.toml"),
        ("analysis.py.template", "analysis.py"),
        ("README.md.template", "README.md"),
    ):
        text = (FOLDER / template).read_text(encoding="utf-8")
        write_text(folder / target, text.replace("@NAME@", name))
    return folder
