"""Simulations of any size, on disk.

People are made and written in chunks of :data:`~fiac_survival.simulate.chunks.CHUNK`, each with random
streams of its own, so that memory does not grow with their number and files do not depend on how many
processes wrote them. A table is a folder, ``person.parquet/bucket=3/part-00019.parquet``, which DuckDB,
Spark and :func:`fiac_survival.cohort.read` take as one table; chunk c is in bucket c mod ``buckets``, and a
person is in one bucket. The folder gets its name when all is written; until then it has a temporary one.
"""

from __future__ import annotations

import inspect
import json
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd

from fiac_survival._version import __version__
from fiac_survival.core.errors import DataError, OutputError
from fiac_survival.core.files import output_error, write_text
from fiac_survival.core.progress import Progress
from fiac_survival.core.results import Result
from fiac_survival.simulate.chunks import CHUNK, Chunk
from fiac_survival.simulate.parquet import write_label, write_table
from fiac_survival.simulate.shapes import SHAPES, SOURCES, Shape, find, shaped

METADATA = "simulation.json"
Written = dict[str, tuple[int, dict[str, str]]]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class WrittenSimulation(Result):
    """A simulation on disk.

    Attributes
    ----------
    table : DataFrame
        table, rows, files.
    folder : Path
        Where it stands.
    people, seed : int
        What was asked for.
    """

    folder: Path
    people: int
    seed: int
    simulated: bool = True


@dataclass(frozen=True)
class _Job:
    """What a process needs to make a chunk and write it."""

    source: str
    shape: str | Shape
    folder: Path
    people: int
    seed: int
    buckets: int
    options: dict[str, Any]

    def chunk(self, number: int) -> Written:
        made = cast(
            "Chunk",
            find(SOURCES, self.source, "simulation")(
                number, self.people, seed=self.seed, **self.options
            ),
        )
        written: Written = {}
        for name, table in shaped(made, _function(self.shape), number).items():
            place = self.folder / f"{name}.parquet" / f"bucket={number % self.buckets}"
            types = write_table(table, place / f"part-{number:05d}.parquet")
            written[name] = (len(table), types)
        return written


def _function(shape: str | Shape) -> Shape:
    return cast("Shape", find(SHAPES, shape, "shape")) if isinstance(shape, str) else shape


def write(
    name: str,
    folder: str | Path,
    *,
    people: int,
    seed: int,
    shape: str | Shape = "canonical",
    buckets: int = 16,
    processes: int = 1,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> WrittenSimulation:
    r"""Simulate people and write their tables, in constant memory.

    Parameters
    ----------
    name : str
        "myeloma" (the patients of :func:`myeloma_claims`) or "lung" (those of :func:`lung_early_access`).
    folder : str or Path
        Where; it must not exist yet.
    people : int
        How many: patients with myeloma, or patients of the early-access programme.
    seed : int
        Root of the random streams.
    shape : str or callable, default "canonical"
        What the canonical tables are turned into: a name, or a function ``(person, exposure, event, *,
        chunk)`` that gives tables by name.
    buckets : int, default 16
        Folders that each table is spread over, so that one can be worked at a time.
    processes : int, default 1
        How many chunks are made at once. With more than one, a script must keep its own work under
        ``if __name__ == "__main__":``.
    options : mapping, optional
        Further arguments of the simulation, e.g. ``{"days_per_record": 224}``.
    progress : Progress, optional
        Told now and then how far it is.

    Returns
    -------
    WrittenSimulation
        Rows and files of each table. Beside the tables stand a note that they are simulated, and
        simulation.json with all that makes them again.

    Raises
    ------
    DataError
        If an argument breaks a rule, or a shape gives other columns for other chunks.
    OutputError
        If the folder exists or cannot be written; nothing is left then.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = Path(tempfile.mkdtemp()) / "myeloma"
    >>> found = fs.simulate.write("myeloma", folder, people=100, seed=1)
    >>> found.table["table"].tolist()
    ['event', 'exposure', 'person', 'truth/lines']
    >>> cohort = fs.cohort.read(folder)
    >>> int(cohort.person.count().execute())
    100
    >>> cohort.engine.close()
    """
    target = Path(folder)
    chosen = dict(options or {})
    _check(name, target, people, seed, shape, buckets, processes, chosen)
    progress = progress or Progress(quiet=True)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        job = _Job(name, shape, temporary, people, seed, buckets, chosen)
        with progress.step(f"simulating {people:,} people: {name}"):
            table = _all_chunks(job, processes, progress)
        write_label(temporary)
        write_text(temporary / METADATA, _metadata(job, table))
        temporary.chmod(0o755)
        if target.exists():
            raise _taken(target)
        temporary.rename(target)
    except OSError as cause:
        raise output_error(target, cause) from cause
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return WrittenSimulation(table=table, folder=target, people=people, seed=seed)


def _taken(target: Path) -> OutputError:
    return OutputError(
        "the folder must not exist yet",
        values={"path": target},
        remedy="name another one, or remove this one",
    )


def _check(
    name: str,
    target: Path,
    people: int,
    seed: int,
    shape: str | Shape,
    buckets: int,
    processes: int,
    options: dict[str, Any],
) -> None:
    source = find(SOURCES, name, "simulation")
    _function(shape)
    for what, value, least in (
        ("people", people, 1),
        ("seed", seed, 0),
        ("buckets", buckets, 1),
        ("processes", processes, 1),
    ):
        if value < least:
            raise DataError(f"{what} must be at least {least}", values={what: value})
    known = [
        p.name
        for p in inspect.signature(source).parameters.values()
        if p.kind is p.KEYWORD_ONLY and p.name != "seed"
    ]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise DataError(
            f"an option must be one that {name} has",
            values={"option": unknown[0]},
            remedy=f"known: {', '.join(known)}",
        )
    if target.exists():
        raise _taken(target)


def _all_chunks(job: _Job, processes: int, progress: Progress) -> pd.DataFrame:
    """Make every chunk; rows and files of each table, by name."""
    n_chunks = -(-job.people // CHUNK)
    rows: dict[str, int] = {}
    types: dict[str, dict[str, str]] = {}
    said = 0
    for done, written in enumerate(_run(job.chunk, n_chunks, processes), start=1):
        for name, (count, columns) in written.items():
            rows[name] = rows.get(name, 0) + count
            if types.setdefault(name, columns) != columns:
                raise DataError(
                    "a table must have the same columns for every chunk",
                    values={"table": name},
                    remedy="give its columns their types in the shape",
                )
        if 10 * done // n_chunks > said and done < n_chunks:
            said = 10 * done // n_chunks
            progress.say(f"{min(done * CHUNK, job.people):,} of {job.people:,} people")
    names = sorted(rows)
    return pd.DataFrame(
        {"table": names, "rows": [rows[name] for name in names], "files": [n_chunks] * len(names)}
    )


def _run(make: Callable[[int], Written], n_chunks: int, processes: int) -> Iterator[Written]:
    """Yield what the chunks give as they are ready; a few wait at a time, whatever their number."""
    workers = min(processes, n_chunks)
    if workers == 1:
        yield from map(make, range(n_chunks))
        return
    waiting: set[Future[Written]] = set()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for chunk in range(n_chunks):
            waiting.add(pool.submit(make, chunk))
            if len(waiting) >= 2 * workers:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (one.result() for one in done)
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (one.result() for one in done)
    except BrokenProcessPool as cause:
        raise DataError(
            "every process must live until its work is done",
            values={"processes": workers},
            remedy='keep a script\'s work under if __name__ == "__main__":, or use processes=1',
        ) from cause
    finally:
        pool.shutdown(cancel_futures=True)


def _metadata(job: _Job, table: pd.DataFrame) -> str:
    shape = job.shape
    if not isinstance(shape, str):
        shape = getattr(shape, "__qualname__", type(shape).__name__)
    content = {
        "simulated": True,
        "simulation": job.source,
        "people": job.people,
        "seed": job.seed,
        "shape": shape,
        "buckets": job.buckets,
        "people_per_chunk": CHUNK,
        "options": job.options,
        "fiac_survival": __version__,
        "rows": dict(zip(table["table"], map(int, table["rows"]), strict=True)),
    }
    return json.dumps(content, indent=2, sort_keys=True, default=_plain) + "\n"


def _plain(value: Any) -> Any:
    from pydantic import BaseModel

    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
