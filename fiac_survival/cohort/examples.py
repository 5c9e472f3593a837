"""Four invented patients and a protocol, for examples."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.canonical import schemas
from fiac_survival.cohort.engine import Engine
from fiac_survival.cohort.reading import Cohort, from_frames
from fiac_survival.core.files import read_text
from fiac_survival.core.protocol import Protocol

FILE = Path(__file__).parent / "data" / "example.toml"


@functools.cache
def _content() -> dict[str, Any]:
    return tomllib.loads(read_text(FILE))


def example_cohort(*, engine: Engine | Any = "duckdb") -> tuple[Cohort, Protocol]:
    """Make the example: invented patients, and a protocol to build from.

    Parameters
    ----------
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to put them.

    Returns
    -------
    cohort : Cohort
        Person, exposure and event of four invented patients.
    protocol : Protocol
        Lenalidomide with or without bortezomib.

    Raises
    ------
    DataError
        If the engine cannot be reached.

    Examples
    --------
    >>> cohort, protocol = example_cohort()
    >>> protocol.simulated
    True
    >>> cohort.engine.close()
    """
    content = _content()
    frames = {name: frame_of(name, content[name]) for name in ("person", "exposure", "event")}
    cohort = from_frames(frames, engine=engine)
    return cohort, Protocol.model_validate(content["protocol"])


def frame_of(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Make a canonical table of rows written by hand.

    Parameters
    ----------
    name : str
        Of the table.
    rows : list of dict
        Values by column; required columns that are left out are missing.

    Returns
    -------
    DataFrame
        With every required column.
    """
    about = schemas().tables[name].columns
    named = [c for c, column in about.items() if column.required or any(c in row for row in rows)]
    named += [c for row in rows for c in row if c not in about]
    frame = pd.DataFrame(rows, columns=list(dict.fromkeys(named)))
    for column in frame.columns:
        if column in about and about[column].type == "date":
            frame[column] = pd.to_datetime(frame[column]).astype("datetime64[s]")
    return frame
