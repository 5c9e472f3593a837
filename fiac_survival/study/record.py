"""The provenance record: what ran, on what, with what, and the fingerprint of all that came out."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fiac_survival._version import __version__
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.files import sha256, sha256_text
from fiac_survival.core.protocol import Protocol, protocol_hash
from fiac_survival.study.project import Layout, Project

SCHEMA_VERSION = 1
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "numba",
    "statsmodels",
    "matplotlib",
    "duckdb",
    "ibis-framework",
    "great-tables",
    "formulaic",
)


def _git(root: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    try:
        done = subprocess.run(
            [git, "-C", str(root), *arguments],
            capture_output=True,
            encoding="utf-8",
            timeout=30,
            check=True,
        )
    except (subprocess.SubprocessError, OSError):
        return None
    return done.stdout.strip()


def code_state(project: Project) -> dict[str, Any]:
    """Describe the code: commit, and whether files other than results differ from it.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    dict
        commit and dirty, both None outside a git repository.
    """
    commit = _git(project.root, "rev-parse", "HEAD")
    if commit is None:
        return {"commit": None, "dirty": None}
    changed = _git(
        project.root,
        "status",
        "--porcelain",
        "--",
        ".",
        ":(exclude)studies/*/results/*",
        ":(exclude)studies/*/record.json",
        ":(exclude)studies/*/report.html",
        ":(exclude)studies/*/.*",
        ":(exclude)figures/*",
    )
    return {"commit": commit, "dirty": bool(changed) if changed is not None else None}


def versions() -> dict[str, str]:
    """List the versions of the packages that results depend on.

    Returns
    -------
    dict
        Name to version; "not installed" where missing.
    """
    out = {"fiac_survival": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "not installed"
    return out


def lock_hash(project: Project) -> str | None:
    """Fingerprint the lock file that the environment was installed from.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    str or None
        None if the project has no ``locks/reproduce.txt``.
    """
    path = project.root / "locks" / "reproduce.txt"
    if not path.is_file():
        return None
    return sha256_text(path.read_text(encoding="utf-8"))


def threads() -> dict[str, Any]:
    """Describe the threads of this process.

    Returns
    -------
    dict
        numba, blas and processors.
    """
    import numba

    return {
        "numba": int(numba.get_num_threads()),
        "blas": 1,
        "processors": os.cpu_count(),
    }


def make_record(
    project: Project,
    protocol: Protocol,
    folder: Path,
    *,
    engine: str,
    data: list[dict[str, Any]],
    staging: Path,
    artefacts: Mapping[str, str],
    figures: Mapping[str, Mapping[str, Any]],
    seeds: Mapping[str, int],
) -> dict[str, Any]:
    """Assemble the record of a run.

    Parameters
    ----------
    project : Project
        The project.
    protocol : Protocol
        The protocol that ran.
    folder : Path
        The study's folder.
    engine : str
        Name of the engine.
    data : list of dict
        source, file, sha256, rows, simulated.
    staging : Path
        Folder below which the artefacts stand.
    artefacts : mapping
        Path to kind ("table", "figure", "report").
    figures : mapping
        For each figure: kind, csv, options, simulated.
    seeds : mapping
        Named streams that were used, with the root seed.

    Returns
    -------
    dict
        To be written as JSON.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "study": protocol.name,
        "title": protocol.title,
        "status": protocol.status,
        "simulated": protocol.simulated,
        "converged": True,
        "release": {"profile": protocol.release.profile, "reason": protocol.release.reason},
        "protocol_sha256": protocol_hash(folder / "study.toml"),
        "analysis_sha256": sha256_text(
            (folder / "analysis.py").read_text(encoding="utf-8").replace("\r\n", "\n")
        ),
        "code": code_state(project),
        "lock_sha256": lock_hash(project),
        "versions": versions(),
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "engine": engine,
        "threads": threads(),
        "seeds": {"root": protocol.seed} | dict(seeds),
        "data": data,
        "figures_drawn_by": drawn_by(),
        "figures": {name: dict(figures[name]) for name in sorted(figures)},
        "artefacts": [fingerprint(staging, path, artefacts[path]) for path in sorted(artefacts)],
    }


def drawn_by() -> str:
    """Say which matplotlib draws figures here.

    Returns
    -------
    str
        Its version.
    """
    return version("matplotlib")


def to_json(record: Mapping[str, Any]) -> str:
    """Render a record.

    Parameters
    ----------
    record : mapping
        The record.

    Returns
    -------
    str
        JSON with a line end.
    """
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def fingerprint(folder: Path, path: str, kind: str) -> dict[str, Any]:
    """Describe an artefact.

    Parameters
    ----------
    folder : Path
        Folder below which it stands.
    path : str
        Its path.
    kind : str
        "table", "figure" or "report".

    Returns
    -------
    dict
        path, kind, sha256, bytes.
    """
    file = folder / path
    return {"path": path, "kind": kind, "sha256": sha256(file), "bytes": file.stat().st_size}


def read_record(layout: Layout) -> dict[str, Any] | None:
    """Read the record of a run.

    Parameters
    ----------
    layout : Layout
        Where the run went.

    Returns
    -------
    dict or None
        None if the study was never run.

    Raises
    ------
    DataError
        If the file is damaged.
    ProtocolError
        If it was written by a later version of the package.
    """
    path = layout.base / layout.record
    if not path.is_file():
        return None
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        schema = int(record["schema_version"])
    except (ValueError, KeyError, TypeError) as cause:
        raise DataError(
            "the record must be whole",
            values={"file": path, "reason": str(cause)},
            remedy="restore it, or run the study again",
        ) from cause
    if schema > SCHEMA_VERSION:
        raise ProtocolError(
            "the record must not be newer than this package",
            values={"schema_version": schema, "known": SCHEMA_VERSION},
            remedy="upgrade fiac_survival",
        )
    return record
