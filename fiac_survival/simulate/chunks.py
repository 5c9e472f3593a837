"""Simulations in chunks of people, so that any number of them needs the memory of one chunk.

A chunk has :data:`CHUNK` people and random streams of its own. The size is part of what a simulation is:
another size would give other people. Which process makes a chunk, and when, changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

CHUNK = 50_000


@dataclass(frozen=True, eq=False)
class Chunk:
    """Tables of some thousand simulated people.

    Attributes
    ----------
    person, exposure, event : DataFrame
        Canonical tables of the claims: what a shape turns into those of another source.
    folder : str
        Where they stand within the simulation; "" is its top.
    further : dict of str to DataFrame
        Other tables by their path, e.g. "truth/lines".
    """

    person: pd.DataFrame
    exposure: pd.DataFrame
    event: pd.DataFrame
    folder: str = ""
    further: dict[str, pd.DataFrame] = field(default_factory=dict)
