"""The sheet that a figure is drawn on: title and notes, and texts that fit where they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.ft2font import FT2Font, LoadFlags

from fiac_survival.report.style import GREY, SLIDE, new_figure
from fiac_survival.sequence.solution import NOTE

TITLE_SIZE, NOTE_SIZE = 20, 12.5
STEP, FONT = " → ", "DejaVu Sans"


@dataclass(frozen=True)
class Sheet:
    """A figure with its title and notes, and the space that they leave.

    Attributes
    ----------
    figure : Figure
        The figure.
    width, height : float
        Inches.
    top, bottom : float
        Edges of the free space, in inches from the lower edge.
    """

    figure: Figure
    width: float
    height: float
    top: float
    bottom: float

    def box(
        self, left: float, right: float, *, above: float = 0.0, below: float = 0.0
    ) -> dict[str, float]:
        """Give the edges of a grid in shares of the figure.

        Parameters
        ----------
        left, right : float
            Margins in inches.
        above, below : float
            Inches to keep free between the grid and the title, and the grid and the notes.

        Returns
        -------
        dict
            left, right, top and bottom as matplotlib's grids take them.
        """
        return {
            "left": left / self.width,
            "right": 1.0 - right / self.width,
            "top": (self.top - above) / self.height,
            "bottom": (self.bottom + below) / self.height,
        }


def new_sheet(
    title: str,
    *,
    notes: Sequence[str] = (),
    advice: bool = False,
    size: tuple[float, float] = SLIDE,
) -> Sheet:
    """Make a figure with a title above and notes below, both wrapped.

    Parameters
    ----------
    title : str
        Title.
    notes : sequence of str
        Lines below; empty ones are left out.
    advice : bool
        Whether the figure shows what is recommended and must say what it is not.
    size : (float, float)
        Inches.

    Returns
    -------
    Sheet
        Figure and free space.
    """
    figure = new_figure(size)
    width, height = size
    heading = wrapped(title, width - 0.4, TITLE_SIZE, bold=True)
    figure.suptitle(
        heading,
        x=0.16 / width,
        y=1.0 - 0.16 / height,
        ha="left",
        va="top",
        fontsize=TITLE_SIZE,
        weight="bold",
    )
    below = [text for text in (*notes, NOTE if advice else "") if text]
    text = "\n".join(wrapped(line, width - 2.0, NOTE_SIZE) for line in below)
    figure.text(
        0.16 / width,
        0.1 / height,
        text,
        fontsize=NOTE_SIZE,
        color=GREY,
        ha="left",
        va="bottom",
        linespacing=1.25,
    )
    lines = text.count("\n") + 1 if text else 0
    return Sheet(
        figure,
        width,
        height,
        height - 0.3 - 0.34 * (heading.count("\n") + 1),
        0.16 + 0.225 * lines,
    )


@cache
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter as a share of its size."""
    font = FT2Font(findfont(FontProperties(family=FONT, weight="bold" if bold else "normal")))
    font.set_size(100.0, 72)
    return font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Measure a line of text in the figures' font.

    Parameters
    ----------
    text : str
        One line.
    size : float
        Points.
    bold : bool, default False
        Whether in bold letters.

    Returns
    -------
    float
        Inches.

    Examples
    --------
    >>> 2 * text_width("line", 12) == text_width("line", 24)
    True
    """
    return sum(_advance(letter, bold) for letter in text) * size / 72


def wrapped(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Break a text into lines that fit into a width.

    Parameters
    ----------
    text : str
        Text; breaks that are there stay.
    width : float
        Inches.
    size : float
        Points.
    bold : bool, default False
        Whether in bold letters.

    Returns
    -------
    str
        With line breaks; a word that is too long is cut.
    """
    return "\n".join(
        _packed(line.split(), width, size, bold) if line else "" for line in text.split("\n")
    )


def _packed(parts: Sequence[str], width: float, size: float, bold: bool) -> str:
    """Put parts into lines, as many in each as fit."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} {part}" if lines else part
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
            continue
        rest = part
        while text_width(rest, size, bold=bold) > width and len(rest) > 1:
            fits = len(rest) - 1
            while fits > 1 and text_width(rest[:fits], size, bold=bold) > width:
                fits -= 1
            lines.append(rest[:fits])
            rest = rest[fits:]
        lines.append(rest)
    return "\n".join(lines)


def wrapped_sequence(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """Break the name of a sequence into lines, after its arrows where that is possible.

    Parameters
    ----------
    text : str
        Regimens joined by arrows.
    width : float
        Inches.
    size : float
        Points.
    bold : bool, default False
        Whether in bold letters.

    Returns
    -------
    str
        With line breaks.
    """
    steps = text.split(STEP)
    lines = [""]
    for k, step in enumerate(steps):
        part = step if k + 1 == len(steps) else f"{step} →"
        longer = f"{lines[-1]} {part}".strip()
        if text_width(longer, size, bold=bold) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(part)
    return wrapped("\n".join(lines), width, size, bold=bold)


def side_legend(
    sheet: Sheet, handles: Sequence[Artist], *, width: float, top: float, title: str = ""
) -> None:
    """Write a legend at the right edge, in letters so small that all of it can be seen.

    Parameters
    ----------
    sheet : Sheet
        Where.
    handles : sequence of Artist
        With their labels.
    width : float
        Inches.
    top : float
        Upper edge, inches from below.
    title : str
        Heading.
    """
    labels = [str(handle.get_label()) for handle in handles]
    room = top - sheet.bottom - (0.35 if title else 0.05)
    for size in (13.0, 12.0, 11.0, 10.0, 9.0, 8.0, 7.0):
        broken = [wrapped(label, width - 0.55 * size / 12 - 0.05, size) for label in labels]
        lines = sum(label.count("\n") + 1 for label in broken)
        if (1.22 * lines + 0.5 * len(labels)) * size / 72 <= room:
            break
    sheet.figure.legend(
        handles=list(handles),
        labels=broken,
        loc="upper left",
        bbox_to_anchor=(1.0 - width / sheet.width, top / sheet.height),
        borderaxespad=0.0,
        borderpad=0.0,
        fontsize=size,
        title_fontsize=13,
        handlelength=1.5,
        handleheight=1.1,
        title=title or None,
        alignment="left",
    )


def shortened(text: str, width: float, size: float) -> str:
    """Cut a text at what fits into a width.

    Parameters
    ----------
    text : str
        Text.
    width : float
        Inches.
    size : float
        Points.

    Returns
    -------
    str
        The text, or its beginning and an ellipsis.
    """
    if text_width(text, size) <= width:
        return text
    kept = len(text) - 1
    while kept > 1 and text_width(text[:kept] + "…", size) > width:
        kept -= 1
    return text[:kept].rstrip() + "…"


def thousands(number: float) -> str:
    """Write a whole number with thin spaces between thousands.

    Parameters
    ----------
    number : float
        Number.

    Returns
    -------
    str
        As text.
    """
    return f"{number:,.0f}".replace(",", "\u202f")
