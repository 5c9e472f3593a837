"""A study: its folder, its protocol, and what can be done with it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fiac_survival.cohort.engine import connect
from fiac_survival.compare import SitePacket
from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.files import sha256_text, write_text
from fiac_survival.core.progress import Progress
from fiac_survival.core.protocol import Protocol, read_protocol
from fiac_survival.core.threads import one_blas_thread
from fiac_survival.report.drawing import draw_from_csv
from fiac_survival.report.page import study_page
from fiac_survival.study.checklist import release_checklists
from fiac_survival.study.context import StudyRun
from fiac_survival.study.packets import make_packet, read_packets, release_pooled
from fiac_survival.study.project import Layout, Project, find_project, separate
from fiac_survival.study.publishing import exclusive, place_of, publish, recover
from fiac_survival.study.record import (
    drawn_by,
    fingerprint,
    make_record,
    read_record,
    to_json,
)
from fiac_survival.study.release import earlier_releases
from fiac_survival.study.verification import Verification, verify_against, verify_in_place


@dataclass(frozen=True)
class Study:
    """A study of a project.

    Attributes
    ----------
    project : Project
        The project that it belongs to.
    name : str
        Its name.
    protocol : Protocol
        Its protocol.
    """

    project: Project
    name: str
    protocol: Protocol

    @property
    def folder(self) -> Path:
        """Folder of the study."""
        return self.project.folder(self.name)

    def layout(self, out: Path | str | None = None) -> Layout:
        """Say where a run goes.

        Parameters
        ----------
        out : Path or str, optional
            A separate folder; by default the published place.

        Returns
        -------
        Layout
            Where results, figures, record and report stand.
        """
        return self.project.published(self.name) if out is None else separate(Path(out), self.name)

    def record(self, out: Path | str | None = None) -> dict[str, Any] | None:
        """Read the record of the last run.

        Parameters
        ----------
        out : Path or str, optional
            As for :meth:`run`.

        Returns
        -------
        dict or None
            None if there is none.
        """
        layout = self.layout(out)
        recover(layout)
        return read_record(layout)

    def run(
        self,
        *,
        data: Path | str | None = None,
        out: Path | str | None = None,
        engine: Any = "duckdb",
        progress: Progress | None = None,
    ) -> Layout:
        """Run the study: tables, figures, report, record.

        Parameters
        ----------
        data : Path or str, optional
            Folder with the files of the sources.
        out : Path or str, optional
            A separate folder for the results; by default they replace the published ones.
        engine : str or ibis backend, default "duckdb"
            Where queries run.
        progress : Progress, optional
            Where steps are reported; nowhere by default.

        Returns
        -------
        Layout
            Where the results stand.

        Raises
        ------
        FiacError
            Whatever the analysis raised; the earlier results then still stand.
        """
        progress = progress or Progress(quiet=True)
        layout = self.layout(out)
        analyse = _load_analysis(self.folder / "analysis.py", self.name)
        with exclusive(layout), one_blas_thread():
            staging = place_of(layout).staging
            connection = connect(engine)
            try:
                run = StudyRun(
                    self.protocol,
                    connection,
                    layout,
                    staging,
                    data=Path(data) if data is not None else None,
                    progress=progress,
                )
                analyse(run)
                release_checklists(run, layout, staging)
            finally:
                if isinstance(engine, str):
                    connection.close()
            with progress.step("writing report and record"):
                self._finish(run, layout, staging, connection.name)
        return layout

    def packet(
        self,
        site: str,
        *,
        data: Path | str | None = None,
        engine: str = "duckdb",
        progress: Progress | None = None,
    ) -> SitePacket:
        """Make what one site may let go, from the rows that ``site_rows`` of ``analysis.py`` gives.

        Parameters
        ----------
        site : str
            Name of a source of the protocol.
        data, engine, progress
            As for :meth:`run`.

        Returns
        -------
        SitePacket
            Under the protocol's disclosure profile; to preview and to write.

        Raises
        ------
        FiacError
            If the source or ``site_rows`` is not there, or nothing may leave.
        """
        module = _load_module(self.folder / "analysis.py", self.name)
        return make_packet(
            self.protocol,
            self.folder,
            getattr(module, "site_rows", None),
            site=site,
            data=Path(data) if data is not None else None,
            engine=engine,
            progress=progress or Progress(quiet=True),
        )

    def run_packets(
        self,
        packets: Sequence[Path | str],
        *,
        out: Path | str,
        progress: Progress | None = None,
    ) -> Layout:
        """Pool site packets: tables, figure, report, record, without rows of patients.

        Parameters
        ----------
        packets : sequence of Path or str
            Two files or more.
        out : Path or str
            A separate folder; results from packets never replace the published ones.
        progress : Progress, optional
            Where steps are reported.

        Returns
        -------
        Layout
            Where the results stand.

        Raises
        ------
        FiacError
            If a packet is damaged or of another protocol, or a small count can be solved back from all.
        """
        progress = progress or Progress(quiet=True)
        layout = self.layout(out)
        paths = [Path(path) for path in packets]
        given = read_packets(paths, self.folder)
        with exclusive(layout), one_blas_thread():
            staging = place_of(layout).staging
            connection = connect("duckdb")
            try:
                run = StudyRun(
                    self.protocol, connection, layout, staging, data=None, progress=progress
                )
                release_pooled(run, given, paths)
            finally:
                connection.close()
            with progress.step("writing report and record"):
                self._finish(run, layout, staging, "none: site packets")
        return layout

    def _finish(self, run: StudyRun, layout: Layout, staging: Path, engine: str) -> None:
        log = None
        if run.gate.guarded:
            fingerprints = {d["source"]: d["sha256"] for d in run.data_used}
            log = run.gate.close(earlier_releases(self.project), fingerprints, self.name)
        record = make_record(
            self.project,
            self.protocol,
            self.folder,
            engine=engine,
            data=run.data_used,
            staging=staging,
            artefacts=run.artefacts,
            figures=run.figures,
            seeds=run.seeds_used,
        )
        if log is not None:
            record["disclosure"] = log | {"texts_to_read": run.texts_to_read}
        write_text(staging / layout.report, study_page(self.protocol, run.items, record))
        run.artefacts[layout.report] = "report"
        record["artefacts"].append(fingerprint(staging, layout.report, "report"))
        write_text(staging / layout.record, to_json(record))
        earlier = read_record(layout) or {"artefacts": []}
        stale = [a["path"] for a in earlier["artefacts"] if a["path"] not in run.artefacts]
        publish(layout, [*sorted(run.artefacts), layout.record], stale)

    def figures(self, *, progress: Progress | None = None) -> list[Path]:
        """Draw the published figures again from their tables; needs no patient data.

        The record then has their new fingerprints and the matplotlib that drew them; the report keeps
        the pictures of its run.

        Parameters
        ----------
        progress : Progress, optional
            Where steps are reported.

        Returns
        -------
        list of Path
            The files.

        Raises
        ------
        ProtocolError
            If the study was never run.
        """
        progress = progress or Progress(quiet=True)
        layout = self.layout()
        with exclusive(layout):
            record = self._required_record(layout)
            staging = place_of(layout).staging
            drawn: list[str] = []
            for name, spec in record["figures"].items():
                stem = f"{layout.figures}/{name}"
                with progress.step(f"drawing {name}"):
                    paths = draw_from_csv(
                        spec["kind"],
                        layout.base / f"{stem}.csv",
                        staging / stem,
                        spec["options"],
                        simulated=spec["simulated"],
                    )
                drawn += [f"{stem}{path.suffix}" for path in paths]
            again = {path: fingerprint(staging, path, "figure") for path in drawn}
            record["artefacts"] = [again.get(a["path"], a) for a in record["artefacts"]]
            record["figures_drawn_by"] = drawn_by()
            write_text(staging / layout.record, to_json(record))
            publish(layout, [*drawn, layout.record], [])
        return [layout.base / path for path in drawn]

    def _required_record(self, layout: Layout) -> dict[str, Any]:
        record = read_record(layout)
        if record is None:
            raise ProtocolError(
                "the study must have been run",
                values={"study": self.name},
                remedy=f"fiac run {self.name}",
            )
        return record

    def verify(
        self,
        *,
        rerun: bool = False,
        data: Path | str | None = None,
        out: Path | str | None = None,
        engine: Any = "duckdb",
        progress: Progress | None = None,
    ) -> Verification:
        """Hold the published results against their record, or against a new run.

        Parameters
        ----------
        rerun : bool, default False
            False: each file against its fingerprint, each figure drawn again from its table. True:
            run the study into `out` and compare artefact by artefact.
        data, engine, progress
            As for :meth:`run`.
        out : Path or str, optional
            Folder of the new run; "reproduced" in the project by default.

        Returns
        -------
        Verification
            A status for each artefact.
        """
        progress = progress or Progress(quiet=True)
        layout = self.layout()
        recover(layout)
        record = read_record(layout)
        if record is None:
            return Verification.not_run(self.name, self.protocol.title)
        if not rerun:
            with progress.step("checking fingerprints and drawing figures again"):
                return verify_in_place(self.name, self.protocol.title, layout, record)
        target = Path(out) if out is not None else self.project.root / "reproduced"
        self.run(data=data, out=target, engine=engine, progress=progress)
        again = separate(target, self.name)
        new_record = read_record(again)
        assert new_record is not None
        with progress.step("comparing with the published results"):
            return verify_against(self.name, self.protocol.title, layout, record, again, new_record)


def _load_module(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise ProtocolError(
            "a study must have an analysis.py", values={"file": path}, remedy="write one"
        )
    module_name = f"fiac_study_{name}_{sha256_text(str(path))[:8]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return module


def _load_analysis(path: Path, name: str) -> Callable[[StudyRun], None]:
    module = _load_module(path, name)
    analyse: Callable[[StudyRun], None] | None = getattr(module, "analyse", None)
    if analyse is None:
        raise ProtocolError(
            "analysis.py must define analyse(study)",
            values={"file": path},
            remedy="add the function",
        )
    return analyse


def load(path: str | Path, *, project: Path | None = None) -> Study:
    """Load a study.

    Parameters
    ----------
    path : str or Path
        Its folder (``studies/<name>``), or its name within the project.
    project : Path, optional
        Folder above ``studies``; by default the nearest parent that has one.

    Returns
    -------
    Study
        Its protocol is checked.

    Raises
    ------
    ProtocolError
        If the study is not there, lies outside the project, or its protocol breaks a rule.
    """
    given = Path(path)
    if project is None and len(given.parts) > 1 and given.parent.name == "studies":
        found = find_project(given=given.resolve().parent.parent)
        name = given.name
    else:
        found = find_project(given=project)
        name = str(path)
    folder = found.folder(name)
    protocol = read_protocol(folder / "study.toml")
    if protocol.name != name:
        raise ProtocolError(
            "a study's name must be that of its folder",
            values={"name": protocol.name, "folder": name},
            remedy="make them the same",
        )
    return Study(found, name, protocol)
