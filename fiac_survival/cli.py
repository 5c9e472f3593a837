"""The command line: ``fiac``. Thin; no statistics here.

Exit codes: 0 ok, 1 unexpected, 2 usage, 3 data, 4 protocol, 5 convergence, 6 disclosure, 7 support,
8 verification or conformance found a difference, 9 not run, 10 output cannot be written.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from fiac_survival._version import __version__
from fiac_survival.core.errors import FiacError, OutputError
from fiac_survival.core.progress import Progress, logger

if TYPE_CHECKING:
    from fiac_survival.study import Project, Study, Verification

P = ParamSpec("P")

app = typer.Typer(
    name="fiac",
    help="Run, verify and redraw studies of fiac_survival.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass
class Options:
    """What stands before the command."""

    project: Path | None = None
    quiet: bool = False
    as_json: bool = False
    debug: bool = False
    show_values: bool = False
    progress: Progress = field(default_factory=Progress)

    def find(self) -> Project:
        """Find the project."""
        from fiac_survival.study import find_project

        return find_project(given=self.project)

    def load(self, name: str) -> Study:
        """Load a study of the project."""
        from fiac_survival.study import load

        return load(name, project=self.find().root)

    def out(self, text: str, data: Any) -> None:
        """Print a result, as text or as JSON."""
        if self.as_json:
            typer.echo(json.dumps(data, ensure_ascii=False, default=str))
        elif not self.quiet:
            typer.echo(text)


options = Options()


@app.callback()
def before(
    project: Annotated[
        Path | None, typer.Option(help="Folder above studies/; default: the nearest parent.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print results as JSON.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    show_values: Annotated[
        bool,
        typer.Option("--show-values", help="Show offending values of protected sources too."),
    ] = False,
    log_file: Annotated[Path | None, typer.Option(help="Write a log to this file.")] = None,
) -> None:
    """Run, verify and redraw studies of fiac_survival."""
    options.project, options.quiet, options.as_json = project, quiet, as_json
    options.debug, options.show_values = debug, show_values
    options.progress = Progress(quiet=quiet or as_json)
    if log_file is not None:
        try:
            handler = logging.FileHandler(log_file, encoding="utf-8")
        except OSError as cause:
            raise OutputError(
                "the log file must be writable",
                values={"path": log_file, "reason": cause.strerror},
                remedy="choose another path",
            ) from cause
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)


def _protected(name: str | None) -> bool:
    """Whether messages about a study must hide values."""
    if options.show_values:
        return False
    try:
        return name is not None and options.load(name).protocol.protected
    except FiacError:
        return False


def _guarded(command: Callable[P, None]) -> Callable[P, None]:
    """Turn errors into messages and exit codes."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except FiacError as error:
            study = kwargs.get("study")
            hidden = _protected(study if isinstance(study, str) else None)
            _fail(error, error.message(show_values=not hidden), error.exit_code)

    return run


def _fail(error: BaseException, message: str, code: int) -> None:
    logger.error("%s: %s", type(error).__name__, message)
    if options.debug:
        traceback.print_exception(error)
    typer.echo(f"{type(error).__name__}: {message}", err=True)
    raise typer.Exit(code)


@app.command("list")
@_guarded
def list_studies() -> None:
    """List the studies with their question and status."""
    project = options.find()
    rows = []
    for name in project.names():
        study = options.load(name)
        record = study.record()
        rows.append(
            {
                "study": name,
                "question": study.protocol.question,
                "status": study.protocol.status,
                "run": record is not None,
                "simulated": study.protocol.simulated,
            }
        )
    if not rows:
        options.out(f"no studies in {project.studies}; make one: fiac init NAME", rows)
        return
    lines = []
    for row in rows:
        state = f"{row['status']}, {'run' if row['run'] else 'never run'}"
        lines.append(f"{row['study']}  ({state}{', simulated' if row['simulated'] else ''})")
        lines.append(f"  {row['question']}")
    options.out("\n".join(lines), rows)


@app.command()
@_guarded
def run(
    study: Annotated[str, typer.Argument(help="Name of a study.")],
    data: Annotated[Path | None, typer.Option(help="Folder with the sources' files.")] = None,
    engine: Annotated[
        str, typer.Option(help="duckdb, duckdb:///FILE, spark or spark://HOST:PORT.")
    ] = "duckdb",
    out: Annotated[
        Path | None, typer.Option(help="Separate folder; default: the published place.")
    ] = None,
    packets: Annotated[
        list[Path] | None, typer.Option(help="Pool site packets, FILE FILE ...; with --out.")
    ] = None,
    more: Annotated[list[Path] | None, typer.Argument(hidden=True)] = None,
) -> None:
    """Run a study: tables, figures, report, record; from site packets if they are given."""
    files, wanted = [*(packets or []), *(more or [])], options.load(study)
    if files and (not packets or out is None or data is not None):
        raise typer.BadParameter("--packets FILE FILE needs --out, and no --data")
    if out is not None and files:
        layout = wanted.run_packets(files, out=out, progress=options.progress)
    else:
        layout = wanted.run(data=data, out=out, engine=engine, progress=options.progress)
    report = layout.base / layout.report
    options.out(f"report: {report}", {"study": study, "report": report})


@app.command()
@_guarded
def packet(
    study: Annotated[str, typer.Argument(help="Name of a study.")],
    site: Annotated[str, typer.Option(help="The source of the protocol that is at this site.")],
    out: Annotated[Path, typer.Option(help="File to write; it must not exist yet.")],
    data: Annotated[Path | None, typer.Option(help="Folder with the source's file.")] = None,
    engine: Annotated[
        str, typer.Option(help="duckdb, duckdb:///FILE, spark or spark://HOST:PORT.")
    ] = "duckdb",
) -> None:
    """Make the packet that may leave a site, and print all that it holds."""
    made = options.load(study).packet(site, data=data, engine=engine, progress=options.progress)
    made.write(out, replace=False)
    options.out(
        f"{made.preview()}\npacket: {out}",
        {"study": study, "site": site, "packet": out, "sha256": made.content["sha256"]},
    )


@app.command()
@_guarded
def verify(
    study: Annotated[str | None, typer.Argument(help="Name of a study.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every study of the project.")] = False,
    rerun: Annotated[
        bool, typer.Option("--rerun", help="Run again and compare artefact by artefact.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder with the sources' files.")] = None,
    engine: Annotated[
        str, typer.Option(help="duckdb, duckdb:///FILE, spark or spark://HOST:PORT.")
    ] = "duckdb",
    out: Annotated[Path | None, typer.Option(help="Folder for the new run and the page.")] = None,
) -> None:
    """Hold published results against their record, or against a new run."""
    from fiac_survival.study.verification_page import write_page

    if (study is None) != every:
        raise typer.BadParameter("name one study, or pass --all")
    project = options.find()
    names = project.names() if study is None else [study]
    target = (out or project.root / "reproduced").resolve()
    found = []
    for name in names:
        options.progress.say(f"study {name}")
        found.append(
            options.load(name).verify(
                rerun=rerun, data=data, out=target, engine=engine, progress=options.progress
            )
        )
    page = write_page(found, target, rerun=rerun)
    _report_verification(found, page, target if rerun else None)
    code = max((v.exit_code for v in found), default=0)
    if code:
        raise typer.Exit(code)


def _report_verification(found: list[Verification], page: Path, target: Path | None) -> None:
    from fiac_survival.study import Status

    lines = []
    for verification in found:
        table = verification.table
        counts = table["status"].value_counts()
        tally = ", ".join(f"{counts[s.value]} {s.value}" for s in Status if s.value in counts)
        lines.append(f"{verification.study}: {verification.status.value} ({tally})")
        shown = table[table["status"] != Status.IDENTICAL.value]
        lines += [f"  {r.status}  {r.artefact}  {r.detail}" for r in shown.itertuples()]
        report = None if target is None else target / verification.study / "report.html"
        if report is not None and report.is_file():
            lines.append(f"  report: {report}")
    lines.append(f"verification: {page}")
    data = {
        "page": page,
        "studies": [
            {
                "study": v.study,
                "status": v.status.value,
                "artefacts": json.loads(v.table.to_json(orient="records")),
            }
            for v in found
        ],
    }
    options.out("\n".join(lines), data)


@app.command()
@_guarded
def figures(
    study: Annotated[str | None, typer.Argument(help="Name of a study; default: all.")] = None,
) -> None:
    """Draw figures again from their tables; needs no patient data."""
    project = options.find()
    names = [study] if study is not None else project.names()
    drawn = []
    for name in names:
        drawn += options.load(name).figures(progress=options.progress)
    options.out(f"{len(drawn)} files drawn", {"files": drawn})


@app.command()
@_guarded
def init(
    name: Annotated[str, typer.Argument(help="Name of the new study.")],
) -> None:
    """Make a study that runs, to be changed into one's own."""
    from fiac_survival.study.template import make_study

    folder = make_study(options.project or Path.cwd(), name)
    options.out(f"made {folder}; next: fiac run {name}", {"folder": folder})


@app.command()
@_guarded
def simulate(
    name: Annotated[str, typer.Argument(help="What to simulate: myeloma or lung.")],
    people: Annotated[int, typer.Option(help="How many people.")],
    out: Annotated[Path, typer.Option(help="Folder to write; it must not exist yet.")],
    seed: Annotated[int, typer.Option(help="Root of the random streams.")] = 1,
    shape: Annotated[
        str, typer.Option(help="Tables of which source: canonical, ...")
    ] = "canonical",
    buckets: Annotated[int, typer.Option(help="Folders that a table is spread over.")] = 16,
    processes: Annotated[
        int | None, typer.Option(help="Processes at once; default: the machine's cores.")
    ] = None,
    days_per_record: Annotated[
        int | None,
        typer.Option(help="Myeloma: days that a record of a drug covers (28, 56, ... 364)."),
    ] = None,
) -> None:
    """Write simulated people, with the truth behind them, in constant memory."""
    import os

    from fiac_survival.simulate import write

    chosen = {} if days_per_record is None else {"days_per_record": days_per_record}
    found = write(
        name,
        out,
        people=people,
        seed=seed,
        shape=shape,
        buckets=buckets,
        processes=processes if processes is not None else os.cpu_count() or 1,
        options=chosen,
        progress=options.progress,
    )
    rows = {str(name): int(n) for name, n in found.table.set_index("table")["rows"].items()}
    lines = [f"  {count:>15,}  {table}" for table, count in rows.items()]
    options.out(
        "\n".join([f"simulated, not real: {found.folder}", *lines]),
        {"folder": found.folder, "people": people, "seed": seed, "simulated": True, "rows": rows},
    )


@app.command()
@_guarded
def doctor(
    conformance: Annotated[
        str | None,
        typer.Option(
            "--conformance",
            metavar="ENGINE",
            help="Check that an engine gives the embedded one's results: duckdb, spark, spark://HOST:PORT.",
        ),
    ] = None,
    folder: Annotated[
        Path | None, typer.Option(help="For --conformance: folder that every machine sees.")
    ] = None,
) -> None:
    """Say what is installed, what is missing, and the command that installs it."""
    if conformance is not None:
        _conformance(conformance, folder)
        return
    from fiac_survival.study.doctor import examine

    rows = examine()
    width = max(len(row["what"]) for row in rows)
    lines = []
    for row in rows:
        mark = {True: "ok     ", False: "missing"}[row["found"]]
        lines.append(f"{mark}  {row['what']:<{width}}  {row['detail']}")
        if not row["found"]:
            lines.append(f"         {'':<{width}}  {row['remedy']}")
    options.out("\n".join(lines), rows)


def _conformance(engine: str, folder: Path | None) -> None:
    from fiac_survival.study.doctor import conform

    found = conform(engine, folder=folder)
    wrong = [row for row in found if not row["passed"]]
    lines = [f"{engine}: {len(found) - len(wrong)} of {len(found)} checks give the expected answer"]
    for row in wrong:
        lines += [f"DIFFERENT  {row['check']}: {row['what']}"]
        lines += [f"  expected  {row['expected']}", f"  got       {row['got']}"]
    options.out("\n".join(lines), {"engine": engine, "passed": not wrong, "checks": found})
    if wrong:
        raise typer.Exit(8)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except FiacError as error:
        # Raised before a command began.
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        logger.exception("unexpected")
        if options.debug:
            raise
        typer.echo(
            f"unexpected {type(error).__name__}: {error} (run again with --debug for a traceback)",
            err=True,
        )
        sys.exit(1)
