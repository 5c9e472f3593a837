"""What the analysis of a study is given: its protocol, its data, and ways to release results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival import datasets
from fiac_survival.cohort.engine import Engine
from fiac_survival.core import seeds
from fiac_survival.core.errors import ConvergenceError, DataError, DisclosureError, ProtocolError
from fiac_survival.core.files import sha256, write_text
from fiac_survival.core.population import NAME
from fiac_survival.core.progress import Progress
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.released import read_table, write_table
from fiac_survival.core.results import Result
from fiac_survival.report.drawing import draw_from_csv
from fiac_survival.report.page import FigureItem, TableItem
from fiac_survival.study import sources as study_sources
from fiac_survival.study.narrative import Narrative
from fiac_survival.study.project import Layout
from fiac_survival.study.release import Gate, Releasable


class StudyRun(Narrative):
    """One run of a study. Made by the runner and passed to ``analyse`` in ``analysis.py``.

    Attributes
    ----------
    protocol : Protocol
        The protocol.
    engine : Engine
        Where the sources are.
    items : list
        What the report shows, in order.
    artefacts : dict
        Path to kind of all that was written.
    """

    def __init__(
        self,
        protocol: Protocol,
        engine: Engine,
        layout: Layout,
        staging: Path,
        *,
        data: Path | None,
        progress: Progress,
    ) -> None:
        self.protocol = protocol
        self.engine = engine
        super().__init__()
        self.artefacts: dict[str, str] = {}
        self.figures: dict[str, dict[str, Any]] = {}
        self.data_used: list[dict[str, Any]] = []
        self.seeds_used: dict[str, int] = {}
        self.gate = Gate(protocol)
        self._layout = layout
        self._staging = staging
        self._data = data
        self._progress = progress

    # --- input ---------------------------------------------------------------------------------

    def source(self, name: str) -> Any:
        """Load a source into the engine.

        Parameters
        ----------
        name : str
            Name of a source of the protocol.

        Returns
        -------
        ibis.Table
            Its rows as they came.

        Raises
        ------
        DataError
            If its file is missing or damaged.
        """
        about = self.protocol.source(name)
        path = self._path_of(name, about.dataset)
        simulated = about.simulated
        if about.dataset is not None and path.parent == datasets.shipped.FOLDER:
            card = datasets.load(about.dataset).card
            if card.simulated and not simulated:
                raise ProtocolError(
                    "a simulated data set must be declared as such",
                    values={"source": name, "dataset": about.dataset},
                    remedy="set simulated = true",
                )
        with self._progress.step(f"loading {about.label}"):
            table = self.engine.read(path, table=f"source_{name}")
            rows = int(table.count().execute())
        self.data_used.append(
            {
                "source": name,
                "file": path.name,
                "sha256": sha256(path),
                "rows": None if about.protected else rows,
                "simulated": simulated,
            }
        )
        return table

    def _path_of(self, name: str, dataset: str | None) -> Path:
        tried = []
        if self._data is not None:
            for suffix in (".parquet", ".csv"):
                path = self._data / f"{name}{suffix}"
                if path.is_file():
                    return path
                tried.append(str(path))
        if dataset is not None:
            return datasets.shipped.card(dataset).path
        raise DataError(
            "the data of a source must be given",
            values={"source": name, "looked for": tried or f"{name}.parquet or {name}.csv"},
            remedy="pass --data with the folder that holds it",
        )

    def simulated(
        self,
        make: Callable[..., Any],
        *,
        parameters: Mapping[str, Any],
        sources: Mapping[str, str],
    ) -> study_sources.StudySources:
        """Simulate sources, unless ``--data`` has a folder for each.

        Parameters
        ----------
        make : callable
            The simulator: takes the parameters and ``seed``, the protocol's.
        parameters : mapping
            Its parameters.
        sources : mapping of str to str
            For each source of the protocol, the attribute of the result that has its tables.

        Returns
        -------
        StudySources
            Cohorts, and what the simulator returned (None where folders were given).

        Raises
        ------
        DataError
            If folders are missing.
        """
        about = [self.protocol.source(name) for name in sources]
        names, given = (
            ", ".join(s.label for s in about),
            study_sources.given_folders(about, self._data),
        )
        if given is None:
            with self._progress.step(f"simulating {names}"):
                found, records = study_sources.simulate_sources(
                    make, parameters, self.protocol.seed, sources, self.engine
                )
            self.seeds_used["simulation"] = self.protocol.seed
        else:
            with self._progress.step(f"reading {names}"):
                found, records = study_sources.read_folders(about, given, self.engine)
        self.data_used += records
        return found

    def stream(self, *names: str | int) -> np.random.Generator:
        """Make the random generator of one use, from the protocol's seed.

        Parameters
        ----------
        *names : str or int
            What it is for.

        Returns
        -------
        numpy.random.Generator
            The same in every run.
        """
        self.seeds_used["/".join(map(str, names))] = self.protocol.seed
        return seeds.stream(self.protocol.seed, *names)

    # --- progress ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Report a step of the work.

        Parameters
        ----------
        text : str
            What is done within the block.

        Yields
        ------
        None
            Nothing.
        """
        with self._progress.step(text):
            yield

    # --- output --------------------------------------------------------------------------------

    def require_converged(self, *results: Result) -> None:
        """Refuse to go on with a result that did not converge.

        Parameters
        ----------
        *results : Result
            Results that are to be released.

        Raises
        ------
        ConvergenceError
            Naming the first that did not.
        """
        for result in results:
            if not result.converged:
                raise ConvergenceError(
                    "a released result must have converged",
                    values={
                        "result": type(result).__name__,
                        "iterations": result.n_iter,
                        "gradient": result.gradient_norm,
                    },
                    remedy="see the result's own advice",
                )

    def table(
        self,
        name: str,
        table: Releasable,
        *,
        title: str,
        note: str = "",
        columns: Mapping[str, str] | None = None,
        digits: Mapping[str, int] | None = None,
        group_by: str | None = None,
        show: bool = True,
    ) -> pd.DataFrame:
        """Release a table.

        Parameters
        ----------
        name : str
            Name of the file, without .csv.
        table : DataFrame, Result, CountTable, CurveTable, EstimateTable or RiskTable
            Tidy table. Where the protocol's profile protects, one with its structure: it is controlled
            here.
        title, note : str
            Heading and footnote in the report.
        columns : mapping, optional
            Columns to show, with their headings; all by default. The file has every column.
        digits : mapping, optional
            Decimals of numeric columns; four significant digits by default.
        group_by : str, optional
            Column whose values head groups of rows.
        show : bool, default True
            Whether the report shows it.

        Returns
        -------
        DataFrame
            The table as released, read back.

        Raises
        ------
        ConvergenceError
            If a result did not converge.
        ProtocolError
            If the name is taken, or rows of a group do not stand together.
        OutputError
            If it cannot be written.
        """
        table = self._admitted(self.gate.admit(name, table))
        if group_by is not None and table[group_by].ne(table[group_by].shift()).sum() > (
            table[group_by].nunique()
        ):
            raise ProtocolError(
                "rows of a group must stand together",
                values={"table": name, "group_by": group_by},
                remedy="sort the table by that column",
            )
        path = self._staging / self._new(f"{self._layout.results}/{_checked(name)}.csv", "table")
        write_table(path, table)
        released = read_table(path)
        self.gate.released(name, released)
        if show:
            self.items.append(
                TableItem(
                    name=name,
                    title=title,
                    note=note,
                    table=released,
                    columns=dict(columns) if columns else None,
                    digits=dict(digits or {}),
                    group_by=group_by,
                )
            )
        return released

    def figure(
        self,
        name: str,
        kind: str,
        table: Releasable,
        *,
        caption: str,
        alt: str,
        **options: Any,
    ) -> None:
        """Release a figure with the table that it is drawn from.

        Parameters
        ----------
        name : str
            Name of the files, without extension.
        kind : str
            One of :data:`fiac_survival.report.drawing.DRAWINGS`.
        table : DataFrame, CountTable, CurveTable or EstimateTable
            What to draw. Where the protocol's profile protects, rows of what :meth:`table` returned, or a
            table with its structure.
        caption, alt : str
            Caption, and what it shows for those who cannot see it.
        **options
            Options of the drawing function; JSON values.

        Raises
        ------
        OutputError
            If a file cannot be written.
        """
        stem = f"{self._layout.figures}/{_checked(name)}"
        csv = self._new(f"{stem}.csv", "table")
        drawn = self._admitted(self.gate.admit_figure(name, table))
        with self._progress.step(f"drawing {name}"):
            write_table(self._staging / csv, drawn)
            paths = draw_from_csv(
                kind,
                self._staging / csv,
                self._staging / stem,
                options,
                simulated=self.protocol.simulated,
            )
        for path in paths:
            self._new(f"{stem}{path.suffix}", "figure")
        self.figures[name] = {
            "kind": kind,
            "options": options,
            "simulated": self.protocol.simulated,
        }
        self.items.append(
            FigureItem(name=name, caption=caption, alt=alt, svg=self._staging / f"{stem}.svg")
        )

    def page(self, name: str, html: str, *, title: str) -> None:
        """Release a page that stands by itself, made from tables that were released before.

        Parameters
        ----------
        name : str
            Name of the file, without .html.
        html : str
            The page; it must not ask anything of anybody.
        title : str
            How the report speaks of it.

        Raises
        ------
        DisclosureError
            If outputs of the study are guarded: what a page holds cannot be checked.
        ProtocolError
            If the name is taken.
        OutputError
            If it cannot be written.
        """
        if self.gate.guarded:
            raise DisclosureError(
                "a page must not leave where outputs are checked",
                values={"page": name},
                remedy="release the tables that it is made of",
            )
        path = self._new(f"{self._layout.results}/{_checked(name)}.html", "report")
        write_text(self._staging / path, html)
        self.prose(f"{title}: results/{name}.html.")

    def _admitted(self, table: pd.DataFrame | Result) -> pd.DataFrame:
        if isinstance(table, Result):
            self.require_converged(table)
            return table.table
        return table

    def _new(self, path: str, kind: str) -> str:
        if path in self.artefacts:
            raise ProtocolError(
                "each artefact of a study must have a name of its own",
                values={"artefact": path},
                remedy="rename one of the two",
            )
        self.artefacts[path] = kind
        return path


def _checked(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ProtocolError(
            "an artefact's name has lower-case letters, digits and _ only",
            values={"artefact": name},
            remedy="rename it in analysis.py",
        )
    return name
