"""Loading the data sets that come with the package."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import sha256

FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Card:
    """What there is to know about a data set.

    Attributes
    ----------
    name, title, description, kind, country : str
        What it is: "trial", "registry", ...
    source, licence : str
        Where it was taken from, and under which licence it may be passed on.
    references, caveats : tuple of str
        Publications, and what to beware of.
    rows : int
        Number of rows.
    columns : dict
        Meaning and unit of each column.
    simulated : bool
        True for data that no patient stands behind.
    sha256 : str
        Fingerprint of the file.
    path : Path
        The file.
    """

    name: str
    title: str
    description: str
    kind: str
    country: str
    source: str
    licence: str
    references: tuple[str, ...]
    caveats: tuple[str, ...]
    rows: int
    columns: dict[str, str]
    simulated: bool
    sha256: str
    path: Path


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set and its card.

    Attributes
    ----------
    frame : DataFrame
        The rows.
    card : Card
        What there is to know about them.
    """

    frame: pd.DataFrame
    card: Card


def names() -> list[str]:
    """List the data sets that come with the package.

    Returns
    -------
    list of str
        Names that :func:`load` takes.

    Examples
    --------
    >>> names()
    ['ebmt4', 'gbsg', 'rotterdam']
    """
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def card(name: str) -> Card:
    """Read the card of a data set.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Card
        What there is to know about it.

    Raises
    ------
    DataError
        If there is no such data set.

    Examples
    --------
    >>> card("gbsg").rows
    686
    """
    if name not in names():
        raise DataError(
            "the data set must be one that comes with the package",
            values={"name": name, "known": ", ".join(names())},
            remedy="check the spelling",
        )
    with (FOLDER / f"{name}.toml").open("rb") as file:
        content = tomllib.load(file)
    return Card(
        name=name,
        path=FOLDER / content.pop("file"),
        references=tuple(content.pop("references")),
        caveats=tuple(content.pop("caveats")),
        **content,
    )


def load(name: str) -> Dataset:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of :func:`names`.

    Returns
    -------
    Dataset
        Rows and card.

    Raises
    ------
    DataError
        If there is no such data set, or its file is not the one that the card describes.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.datasets.load("gbsg").frame.shape
    (686, 11)
    """
    about = card(name)
    if sha256(about.path) != about.sha256:
        raise DataError(
            "the file must be the one that its card describes",
            values={"file": about.path.name},
            remedy="install the package again: the file was changed",
        )
    return Dataset(pd.read_csv(about.path, float_precision="round_trip"), about)
