"""Comparing artefacts: tables by number, figures by their table and then by their bytes."""

from __future__ import annotations

import re
import tempfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import sha256
from fiac_survival.core.released import read_table
from fiac_survival.report.drawing import draw_from_csv
from fiac_survival.study.project import Layout
from fiac_survival.study.record import drawn_by

Floats = NDArray[np.float64]
TOLERANCE = 1e-9


class Status(StrEnum):
    """What the comparison of an artefact found."""

    IDENTICAL = "IDENTICAL"
    WITHIN_TOLERANCE = "WITHIN TOLERANCE"
    DIFFERENT = "DIFFERENT"
    NOT_RUN = "NOT RUN"


@dataclass(frozen=True)
class Finding:
    """The comparison of one artefact.

    Attributes
    ----------
    artefact, kind : str
        Its path, and "table", "figure" or "report".
    status : Status
        What was found.
    difference : float
        Largest relative difference of numbers, NaN where none was computed.
    detail : str
        In words.
    """

    artefact: str
    kind: str
    status: Status
    difference: float = float("nan")
    detail: str = ""


@dataclass(frozen=True)
class Verification:
    """The comparison of all artefacts of a study.

    Attributes
    ----------
    study, title : str
        Which study.
    findings : tuple of Finding
        One an artefact.
    """

    study: str
    title: str
    findings: tuple[Finding, ...]

    @classmethod
    def not_run(cls, study: str, title: str) -> Verification:
        """Describe a study that has no published results.

        Parameters
        ----------
        study, title : str
            Which study.

        Returns
        -------
        Verification
            One finding, NOT RUN.
        """
        finding = Finding("record.json", "record", Status.NOT_RUN, detail="never run")
        return cls(study, title, (finding,))

    @property
    def status(self) -> Status:
        """The worst status of all."""
        order = list(Status)
        return max((f.status for f in self.findings), key=order.index)

    @property
    def table(self) -> pd.DataFrame:
        """One row an artefact: artefact, kind, status, difference, detail."""
        return pd.DataFrame(
            [
                {
                    "artefact": f.artefact,
                    "kind": f.kind,
                    "status": f.status.value,
                    "difference": f.difference,
                    "detail": f.detail,
                }
                for f in self.findings
            ]
        )

    @property
    def exit_code(self) -> int:
        """0, 8 if something differs, 9 if something was not run."""
        return {Status.DIFFERENT: 8, Status.NOT_RUN: 9}.get(self.status, 0)


def verify_in_place(study: str, title: str, layout: Layout, record: dict[str, Any]) -> Verification:
    """Hold published files against their record, and figures against their tables.

    Parameters
    ----------
    study, title : str
        Which study.
    layout : Layout
        Where the files are.
    record : dict
        What was recorded.

    Returns
    -------
    Verification
        IDENTICAL where the fingerprint is the recorded one.
    """
    with tempfile.TemporaryDirectory() as name:
        redrawn = _redraw(layout, record, Path(name))
        findings = []
        for artefact in record["artefacts"]:
            path = layout.base / artefact["path"]
            if not path.is_file():
                status, detail = Status.NOT_RUN, "the file is missing"
            elif sha256(path) != artefact["sha256"]:
                status, detail = Status.DIFFERENT, "the file was changed after the run"
            elif artefact["kind"] == "figure":
                status, detail = _drawn_again(path, redrawn.get(path.name), record)
            else:
                status, detail = Status.IDENTICAL, "fingerprint as recorded"
            findings.append(Finding(artefact["path"], artefact["kind"], status, detail=detail))
    return Verification(study, title, tuple(findings))


def _redraw(layout: Layout, record: dict[str, Any], folder: Path) -> dict[str, Path]:
    out: dict[str, Path] = {}
    for name, spec in record["figures"].items():
        csv = layout.base / layout.figures / f"{name}.csv"
        try:
            paths = draw_from_csv(
                spec["kind"], csv, folder / name, spec["options"], simulated=spec["simulated"]
            )
        except DataError:
            continue
        out |= {path.name: path for path in paths}
    return out


def _matplotlib_versions(*records: dict[str, Any]) -> tuple[str, ...]:
    return tuple(r["figures_drawn_by"] for r in records)


def _drawn_again(path: Path, again: Path | None, record: dict[str, Any]) -> tuple[Status, str]:
    if again is None:
        return Status.DIFFERENT, "its table is missing or cannot be drawn"
    if again.read_bytes() == path.read_bytes():
        return Status.IDENTICAL, "fingerprint as recorded; drawn again from its table, same bytes"
    (then,) = _matplotlib_versions(record)
    now = drawn_by()
    if then != now:
        return Status.WITHIN_TOLERANCE, f"drawn by another matplotlib ({then}, here {now})"
    return Status.DIFFERENT, "drawing its table again gives other bytes"


def verify_against(
    study: str,
    title: str,
    layout: Layout,
    record: dict[str, Any],
    again: Layout,
    new_record: dict[str, Any],
) -> Verification:
    """Compare published artefacts with those of another run.

    Parameters
    ----------
    study, title : str
        Which study.
    layout, again : Layout
        Where the published and the new files are.
    record, new_record : dict
        Their records.

    Returns
    -------
    Verification
        A finding for each artefact of either run.
    """
    ours = {_short(layout, a["path"]): a for a in record["artefacts"]}
    theirs = {_short(again, a["path"]): a for a in new_record["artefacts"]}
    findings: dict[str, Finding] = {}
    kinds = ["table", "figure", "report"]
    for name in sorted(
        {*ours, *theirs}, key=lambda n: (kinds.index((ours | theirs)[n]["kind"]), n)
    ):
        artefact = (ours | theirs)[name]
        path, kind = artefact["path"], artefact["kind"]
        if name not in theirs:
            finding = Finding(path, kind, Status.NOT_RUN, detail="the new run did not make it")
        elif name not in ours:
            finding = Finding(path, kind, Status.DIFFERENT, detail="not among the published")
        else:
            finding = _compare(
                layout.base / ours[name]["path"],
                again.base / theirs[name]["path"],
                ours[name],
                findings,
                (record, new_record),
                name,
            )
        findings[name] = finding
    return Verification(study, title, tuple(findings.values()))


def _short(layout: Layout, path: str) -> str:
    """Name an artefact independently of where the run went."""
    for folder, short in ((layout.results, "results"), (layout.figures, "figures")):
        if path.startswith(f"{folder}/"):
            return f"{short}/{path.removeprefix(f'{folder}/')}"
    return Path(path).name


def _compare(
    ours: Path,
    theirs: Path,
    artefact: dict[str, Any],
    findings: dict[str, Finding],
    records: tuple[dict[str, Any], dict[str, Any]],
    name: str,
) -> Finding:
    path, kind = artefact["path"], artefact["kind"]
    if not ours.is_file():
        return Finding(path, kind, Status.NOT_RUN, detail="the published file is missing")
    if sha256(ours) != artefact["sha256"]:
        return Finding(
            path, kind, Status.DIFFERENT, detail="the published file was changed after its run"
        )
    if kind == "report":
        return _compare_reports(path, ours, theirs, findings)
    if ours.read_bytes() == theirs.read_bytes():
        return Finding(path, kind, Status.IDENTICAL, 0.0, "same bytes")
    if kind == "table":
        return compare_tables(path, ours, theirs)
    source = findings.get(str(Path(name).with_suffix(".csv")))
    if source is not None and source.status is Status.WITHIN_TOLERANCE:
        return Finding(
            path, kind, source.status, source.difference, "its table is within tolerance"
        )
    before, now = _matplotlib_versions(*records)
    if source is not None and source.status is Status.IDENTICAL and before != now:
        return Finding(
            path,
            kind,
            Status.WITHIN_TOLERANCE,
            detail=f"same table, drawn by another matplotlib ({before}, here {now})",
        )
    return Finding(path, kind, Status.DIFFERENT, detail="other bytes")


def compare_tables(name: str, ours: Path, theirs: Path) -> Finding:
    """Compare two released tables number by number.

    Parameters
    ----------
    name : str
        What to call them.
    ours, theirs : Path
        The files.

    Returns
    -------
    Finding
        WITHIN TOLERANCE if text and shape agree and numbers differ by at most 1e-9, relative to the
        larger of the two and of 1e-6 of the largest number in their column.
    """
    a, b = read_table(ours), read_table(theirs)
    if list(a.columns) != list(b.columns) or len(a) != len(b):
        shape = f"{len(a)} x {len(a.columns)} and {len(b)} x {len(b.columns)}"
        return Finding(name, "table", Status.DIFFERENT, detail=f"rows or columns differ: {shape}")
    worst, where = 0.0, ""
    for column in a.columns:
        x, y = a[column], b[column]
        if x.dtype.kind in "if" and y.dtype.kind in "if":
            difference = _relative(x.to_numpy(np.float64), y.to_numpy(np.float64))
            row = int(np.argmax(difference))
            if difference[row] > worst:
                worst, where = float(difference[row]), f"{column}, row {row + 1}"
        elif x.fillna("").astype(str).tolist() != y.fillna("").astype(str).tolist():
            return Finding(name, "table", Status.DIFFERENT, detail=f"text differs in {column}")
    status = Status.WITHIN_TOLERANCE if worst <= TOLERANCE else Status.DIFFERENT
    return Finding(name, "table", status, worst, f"largest difference {worst:.3g} in {where}")


def _relative(x: Floats, y: Floats) -> Floats:
    both = np.isnan(x) & np.isnan(y)
    size = np.nanmax(np.abs(np.concatenate([x, y, [0.0]])))
    scale = np.maximum(np.maximum(np.abs(x), np.abs(y)), 1e-6 * size)
    with np.errstate(divide="ignore", invalid="ignore"):
        out = np.where(x == y, 0.0, np.abs(x - y) / scale)
    out = np.where(both, 0.0, out)
    return np.asarray(np.nan_to_num(out, nan=np.inf))


PROVENANCE = re.compile(r"<!-- provenance -->.*?<!-- /provenance -->", re.DOTALL)
PICTURE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")
NUMBER = re.compile(r"[-\u2212]?\d[\d.]*(?:e[-+]?\d+)?")


def _compare_reports(name: str, ours: Path, theirs: Path, findings: dict[str, Finding]) -> Finding:
    """Compare two pages without their provenance; figures are compared on their own."""
    a, b = (
        PICTURE.sub("", PROVENANCE.sub("", path.read_text(encoding="utf-8")))
        for path in (ours, theirs)
    )
    if a == b:
        return Finding(name, "report", Status.IDENTICAL, 0.0, "same text, provenance aside")
    near = any(f.status is Status.WITHIN_TOLERANCE for f in findings.values())
    if near and NUMBER.sub("#", a) == NUMBER.sub("#", b):
        return Finding(
            name,
            "report",
            Status.WITHIN_TOLERANCE,
            detail="same text; last digits as in the tables",
        )
    return Finding(name, "report", Status.DIFFERENT, detail="the text differs")
