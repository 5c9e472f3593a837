"""Shapes of a simulated source: the tables that its canonical tables become.

A shape is a function ``(person, exposure, event, *, chunk) -> {path: table}`` at the top of a module,
so that another process finds it. It sees the people of one chunk at a time; what it makes of them must not
depend on other people. Columns must have the same types for every chunk.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.simulate.chunks import Chunk

Tables = Mapping[str, Any]


class Shape(Protocol):
    """What turns the canonical tables of a chunk into those of another source."""

    def __call__(
        self, person: pd.DataFrame, exposure: pd.DataFrame, event: pd.DataFrame, *, chunk: int
    ) -> Tables:
        """Make the tables of a chunk."""
        ...


# Name of a shape: module and function. They are imported when they are used.
SHAPES = {
    "canonical": "fiac_survival.simulate.shapes:canonical",
    "snds": "fiac_survival.simulate.source_folders:snds_chunk",
    "omop": "fiac_survival.simulate.source_folders:omop_chunk",
}
SOURCES = {
    "myeloma": "fiac_survival.simulate.claims:myeloma_chunk",
    "lung": "fiac_survival.simulate.lung:lung_chunk",
}


def canonical(
    person: pd.DataFrame, exposure: pd.DataFrame, event: pd.DataFrame, *, chunk: int
) -> Tables:
    """Leave the canonical tables as they are.

    Parameters
    ----------
    person, exposure, event : DataFrame
        Canonical tables.
    chunk : int
        Number of the chunk.

    Returns
    -------
    mapping of str to DataFrame
        The same, by name.
    """
    return {"person": person, "exposure": exposure, "event": event}


def find(known: dict[str, str], name: str, what: str) -> Callable[..., object]:
    """Import what stands behind a name.

    Parameters
    ----------
    known : dict of str to str
        Module and function by name.
    name : str
        Which.
    what : str
        What to call it in an error.

    Returns
    -------
    callable
        The function.

    Raises
    ------
    DataError
        If nothing has that name.
    """
    if name not in known:
        raise DataError(
            f"the {what} must be a known one",
            values={what: name},
            remedy=f"known: {', '.join(known)}",
        )
    module, _, function = known[name].partition(":")
    found: Callable[..., object] = getattr(importlib.import_module(module), function)
    return found


def shaped(made: Chunk, shape: Shape, chunk: int) -> Tables:
    """Give all tables of a chunk in a shape.

    Parameters
    ----------
    made : Chunk
        What was simulated.
    shape : callable
        For the canonical tables; the further ones stay as they are.
    chunk : int
        Number of the chunk.

    Returns
    -------
    mapping of str to DataFrame or pyarrow.Table
        By path within the simulation, without a suffix.
    """
    exposure = made.exposure
    if shape is not canonical:  # other shapes are promised plain text
        coded = [c for c in exposure if isinstance(exposure[c].dtype, pd.CategoricalDtype)]
        exposure = exposure.astype(dict.fromkeys(coded, object))
    tables = shape(made.person, exposure, made.event, chunk=chunk)
    named: dict[str, Any] = {f"{made.folder}{name}": table for name, table in tables.items()}
    return named | made.further
