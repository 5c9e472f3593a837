"""Sources as cohorts: read from a folder that is given, or simulated while the study runs.

A simulation stands in for sources that the protocol marks as simulated. What is recorded of it (simulator,
parameters, seed, fingerprint of the tables) is enough to make it again and to see that it is the same.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.canonical import schemas
from fiac_survival.cohort.engine import Engine
from fiac_survival.cohort.reading import Cohort, from_frames, read
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.files import sha256
from fiac_survival.core.protocol import Source
from fiac_survival.simulate.parquet import LABEL


@dataclass(frozen=True, eq=False)
class StudySources:
    """Cohorts of a study.

    Attributes
    ----------
    cohorts : dict of str to Cohort
        By name of the source.
    found : object or None
        What the simulator returned, the truth in it; None where folders were given.
    """

    cohorts: dict[str, Cohort]
    found: Any


def simulator_name(make: Callable[..., Any]) -> str:
    """Name a simulator.

    Parameters
    ----------
    make : callable
        The simulator.

    Returns
    -------
    str
        Module and name.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> simulator_name(fs.simulate.lung_early_access)
    'fiac_survival.simulate.lung.lung_early_access'
    """
    return f"{make.__module__}.{make.__qualname__}"


def tables_of(part: Any) -> dict[str, pd.DataFrame]:
    """Take the canonical tables of a simulated source.

    Parameters
    ----------
    part : mapping or object
        Tables by name, or as attributes.

    Returns
    -------
    dict of str to DataFrame
        Those that it has.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> list(tables_of(fs.simulate.lung_early_access(5, seed=1).forms))
    ['person', 'exposure', 'event', 'linkage_key']
    """
    if isinstance(part, Mapping):
        return dict(part)
    return {name: getattr(part, name) for name in schemas().tables if hasattr(part, name)}


def fingerprint_tables(tables: Mapping[str, pd.DataFrame]) -> str:
    """Fingerprint tables in memory: names, columns and every value, in the order of their rows.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Tables by name.

    Returns
    -------
    str
        64 hexadecimal digits; the order of the tables does not count.

    Examples
    --------
    >>> a = pd.DataFrame({"x": [1.5, None]})
    >>> fingerprint_tables({"a": a}) == fingerprint_tables({"a": a.fillna(0.0)})
    False
    """
    total = hashlib.sha256()
    for name in sorted(tables):
        text = tables[name].to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")
        total.update(f"{name}\n{text}".encode())
    return total.hexdigest()


def given_folders(about: Sequence[Source], data: Path | None) -> list[Path] | None:
    """Find the folders that are given in the place of a simulation.

    Parameters
    ----------
    about : sequence of Source
        The sources, as the protocol has them.
    data : Path or None
        Folder of the data.

    Returns
    -------
    list of Path or None
        A folder a source; None if there is none and the sources may be simulated.

    Raises
    ------
    DataError
        If only some are there, or none for sources that are not simulated.
    """
    folders = [] if data is None else [data / source.name for source in about]
    missing = [s.name for s in about if data is None or not (data / s.name).is_dir()]
    if len(missing) == len(about) and all(source.simulated for source in about):
        return None
    if missing:
        raise DataError(
            "the data of a source must be given",
            values={"source": missing[0], "looked for": f"{missing[0]}/"},
            remedy="pass --data with a folder of canonical tables for each source",
        )
    return folders


def read_folders(
    about: Sequence[Source], folders: Sequence[Path], engine: Engine
) -> tuple[StudySources, list[dict[str, Any]]]:
    """Read sources from their folders of canonical tables.

    Parameters
    ----------
    about : sequence of Source
        What the protocol says of them.
    folders : sequence of Path
        A folder each.
    engine : Engine
        Where to put them.

    Returns
    -------
    sources : StudySources
        A cohort a source.
    records : list of dict
        For the record of the run, one a source.

    Raises
    ------
    ProtocolError
        If folder and protocol do not agree on whether the data are simulated.
    DataError
        If a table is missing or damaged.
    """
    cohorts, records = {}, []
    for source, folder in zip(about, folders, strict=True):
        marked = any((place / LABEL).is_file() for place in (folder, folder.parent))
        if marked != source.simulated:
            raise ProtocolError(
                "a source must be declared for what it is, simulated or not",
                values={"source": source.name, "simulated": source.simulated, LABEL: marked},
                remedy=f"set simulated = {str(marked).lower()} for it in study.toml",
            )
        cohort = read(folder, engine=engine)
        total = hashlib.sha256()
        for path in sorted(p for p in folder.rglob("*") if p.suffix in (".parquet", ".csv")):
            total.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
        cohorts[source.name] = cohort
        records.append(
            {
                "source": source.name,
                "file": f"{source.name}/",
                "sha256": total.hexdigest(),
                "rows": None if source.protected else int(cohort.person.count().execute()),
                "simulated": source.simulated,
            }
        )
    return StudySources(cohorts, None), records


def simulate_sources(
    make: Callable[..., Any],
    parameters: Mapping[str, Any],
    seed: int,
    sources: Mapping[str, str],
    engine: Engine,
) -> tuple[StudySources, list[dict[str, Any]]]:
    """Simulate sources together.

    Parameters
    ----------
    make : callable
        The simulator: takes the parameters and `seed`.
    parameters : mapping
        Its parameters.
    seed : int
        Its seed.
    sources : mapping of str to str
        For each source the attribute of what the simulator returns.
    engine : Engine
        Where to put the tables.

    Returns
    -------
    sources : StudySources
        Cohorts, and all that the simulator returned.
    records : list of dict
        For the record of the run, one a source.
    """
    name, plain = simulator_name(make), {k: _plain(v) for k, v in parameters.items()}
    found = make(**parameters, seed=seed)
    written = ", ".join([*(f"{key}={value}" for key, value in plain.items()), f"seed={seed}"])
    cohorts, records = {}, []
    for source, attribute in sources.items():
        tables = tables_of(getattr(found, attribute))
        cohorts[source] = from_frames(tables, engine=engine)
        records.append(
            {
                "source": source,
                "file": f"made by {name}({written}).{attribute}",
                "sha256": fingerprint_tables(tables),
                "rows": len(tables["person"]),
                "simulated": True,
                "simulator": name,
                "parameters": plain,
                "seed": seed,
                "tables": {table: len(frame) for table, frame in tables.items()},
            }
        )
    return StudySources(cohorts, found), records


def _plain(value: Any) -> Any:
    """Turn a parameter into what JSON has."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    raise ProtocolError(
        "a parameter of a simulation must be a number, a text, a date, or a model",
        values={"type": type(value).__name__},
        remedy="the record must be able to hold it",
    )
