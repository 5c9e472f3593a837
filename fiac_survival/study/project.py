"""Where studies are: a project is a folder with a folder ``studies``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.population import NAME


@dataclass(frozen=True)
class Layout:
    """Where the artefacts of one run go.

    Attributes
    ----------
    base : Path
        Folder that artefact paths are relative to.
    results, figures : str
        Folders below it.
    record, report : str
        Files below it.
    """

    base: Path
    results: str
    figures: str
    record: str
    report: str


@dataclass(frozen=True)
class Project:
    """A folder with studies.

    Attributes
    ----------
    root : Path
        Its absolute path.
    """

    root: Path

    @property
    def studies(self) -> Path:
        """Folder of the studies."""
        return self.root / "studies"

    def names(self) -> list[str]:
        """List the studies.

        Returns
        -------
        list of str
            Names of the folders that hold a ``study.toml``, sorted.
        """
        found = self.studies.glob("*/study.toml")
        return sorted(path.parent.name for path in found if NAME.fullmatch(path.parent.name))

    def folder(self, name: str) -> Path:
        """Find the folder of a study.

        Parameters
        ----------
        name : str
            Name of the study, not a path.

        Returns
        -------
        Path
            Within this project.

        Raises
        ------
        ProtocolError
            If the name is not one (``../x``), leads outside, or is not there.
        """
        if not NAME.fullmatch(name):
            raise ProtocolError(
                "a study's name has lower-case letters, digits and _ only",
                values={"study": name},
                remedy="name a folder of studies/, without a path",
            )
        path = self.studies / name
        if not (path / "study.toml").is_file():
            raise ProtocolError(
                "the study must exist",
                values={"study": name, "project": self.root},
                remedy=f"studies here: {', '.join(self.names()) or 'none'}",
            )
        if self.studies.resolve() not in path.resolve().parents:
            raise ProtocolError(
                "a study must lie within its project",
                values={"study": name, "leads to": path.resolve()},
                remedy="copy it into studies/ instead of linking it",
            )
        return path

    def published(self, name: str) -> Layout:
        """Describe where the published results of a study are.

        Parameters
        ----------
        name : str
            Name of the study.

        Returns
        -------
        Layout
            ``studies/<name>/`` and ``figures/<name>/``.
        """
        return Layout(
            self.root,
            f"studies/{name}/results",
            f"figures/{name}",
            f"studies/{name}/record.json",
            f"studies/{name}/report.html",
        )


def separate(out: Path, name: str) -> Layout:
    """Describe where a run goes that is not to be published.

    Parameters
    ----------
    out : Path
        Folder.
    name : str
        Name of the study.

    Returns
    -------
    Layout
        All below ``out/<name>/``.
    """
    return Layout(out.resolve() / name, "results", "figures", "record.json", "report.html")


def find_project(start: Path | None = None, *, given: Path | None = None) -> Project:
    """Find the project.

    Parameters
    ----------
    start : Path, optional
        Where to look from; the current folder by default.
    given : Path, optional
        The project itself.

    Returns
    -------
    Project
        The folder given, or the nearest parent that has a folder ``studies``.

    Raises
    ------
    ProtocolError
        If there is none.
    """
    if given is not None:
        if not (given / "studies").is_dir():
            raise ProtocolError(
                "a project must have a folder studies",
                values={"project": given},
                remedy="pass the folder above studies/, or make one: fiac init NAME",
            )
        return Project(given.resolve())
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "studies").is_dir():
            return Project(folder)
    raise ProtocolError(
        "a project must have a folder studies",
        values={"searched from": here},
        remedy="go to the project, pass --project DIR, or make one: fiac init NAME",
    )
