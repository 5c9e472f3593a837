"""How regimens look: seven colours that the colour-blind can tell apart, then the same with a texture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import natural
from fiac_survival.report.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
)

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION, YELLOW)
TEXTURES = ("", "////", "....", "xxxx")
FURTHER, NO_FURTHER, DEATH, CENSORED = ("further lines", "no further line", "death", "censored")
ENDINGS = (FURTHER, NO_FURTHER, DEATH, CENSORED)


@dataclass(frozen=True)
class Look:
    """How a block is filled and which letters can be read on it.

    Attributes
    ----------
    face, hatch, edge, letters : str
        Colours and texture.
    """

    face: str
    hatch: str = ""
    edge: str = "white"
    letters: str = "black"

    @property
    def patch(self) -> dict[str, Any]:
        """Arguments of a patch."""
        return {"facecolor": self.face, "hatch": self.hatch or None, "edgecolor": self.edge}

    @property
    def text(self) -> dict[str, Any]:
        """Arguments of a text on the block."""
        around = [withStroke(linewidth=2.6, foreground=self.face)] if self.hatch else []
        return {"color": self.letters, "path_effects": around}


_ENDING_LOOKS = {
    FURTHER: Look("#D9D9D9"),
    NO_FURTHER: Look("#B3B3B3"),
    DEATH: Look("#333333", letters="white"),
    CENSORED: Look("#FFFFFF", edge=GREY),
}


def regimen_looks(
    names: Iterable[str], order: Sequence[str] | None = None, *, textured: bool = True
) -> dict[str, Look]:
    """Give each regimen a look; ways in which a pathway ends have looks of their own.

    Parameters
    ----------
    names : iterable of str
        Regimens, the most important first.
    order : sequence of str, optional
        Regimens in an order of colours that several figures share.
    textured : bool
        Whether the places of the letters allow textures.

    Returns
    -------
    dict
        Look by name, `order` first.

    Raises
    ------
    DataError
        If there are more than 28 regimens.
    """
    wanted = list(dict.fromkeys(names))
    first = [name for name in order or () if name not in ENDINGS]
    regimens = list(dict.fromkeys([*first, *(n for n in wanted if n not in ENDINGS)]))
    if len(regimens) > len(COLOURS) * len(TEXTURES):
        raise DataError(
            "a figure can tell at most 28 regimens apart",
            values={"regimens": len(regimens)},
            remedy='name the rarer ones alike, as "other regimens"',
        )
    out = {}
    for k, name in enumerate(regimens):
        face = COLOURS[k % len(COLOURS)]
        letters = "white" if face == BLUE else "black"
        out[name] = Look(face, TEXTURES[k // len(COLOURS)] if textured else "", letters=letters)
    return out | _ENDING_LOOKS


def legend_patches(
    looks: Mapping[str, Look], shown: Iterable[str], labels: Mapping[str, str] | None = None
) -> list[Patch]:
    """Make the patches of a legend, in the order of the looks.

    Parameters
    ----------
    looks : mapping
        Look by name.
    shown : iterable of str
        Names that the figure shows.
    labels : mapping, optional
        Text of the legend by name.

    Returns
    -------
    list of Patch
        One a name.
    """
    there = set(shown)
    return [
        Patch(label=(labels or {}).get(name, name), **(look.patch | _outline(look)))
        for name, look in looks.items()
        if name in there
    ]


def _outline(look: Look) -> dict[str, Any]:
    return {"linewidth": 0.8} if look.edge != "white" else {"linewidth": 0.0}


def by_frequency(counts: Mapping[str, float]) -> list[str]:
    """Sort names by falling count, ties by name.

    Parameters
    ----------
    counts : mapping
        Count by name.

    Returns
    -------
    list of str
        Names.
    """
    return sorted(counts, key=lambda name: (-counts[name], natural(name)))
