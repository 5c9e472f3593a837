"""Alluvial figure: how patients flow from regimen to regimen, one panel for each way of care."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from fiac_survival.core.errors import SMALL_COUNT, DataError
from fiac_survival.report.checks import checked, natural, require
from fiac_survival.report.regimens import (
    ENDINGS,
    FURTHER,
    NO_FURTHER,
    Look,
    by_frequency,
    legend_patches,
    regimen_looks,
)
from fiac_survival.report.sheet import new_sheet, shortened, text_width, thousands, wrapped
from fiac_survival.report.style import GREY, house_style, records

SIZE = (16.0, 9.0)
GAP, END_GAP, SWEEPS = 0.012, 0.035, 6
# Half the width of a block, as a share of the distance between columns.
HALF = 0.28
SHORT = {NO_FURTHER: "no further", FURTHER: "further", "other regimens": "other"}


@dataclass(frozen=True)
class _Flow:
    """Patients who go from a block of one column to a block of the next."""

    column: int
    start: str
    end: str
    n: float


@dataclass
class _Block:
    """A block: its upper edge, its size, and how much of either side is taken by flows."""

    top: float
    size: float
    left: float = 0.0
    right: float = 0.0


@house_style()
def alluvial_figure(
    table: pd.DataFrame,
    *,
    title: str,
    minimum_count: int = SMALL_COUNT,
    short_names: Mapping[str, str] | None = None,
    regimen_order: Sequence[str] | None = None,
    note: str = "",
) -> Figure:
    """Draw pathways: lines as columns, regimens as blocks, patients as flows between them.

    Parameters
    ----------
    table : DataFrame
        panel, line, from_regimen, to_regimen, n. `to_regimen` is a regimen of the next line or one of
        "further lines", "no further line", "death", "censored".
        :func:`fiac_survival.report.pathway_flows` makes it.
    title : str
        Title.
    minimum_count : int, default 11
        Blocks of fewer patients have no label, and a smaller panel does not say how many it has. Their
        flows are drawn: take small counts out of the table where they must not be seen.
    short_names : mapping, optional
        Text in the blocks by regimen.
    regimen_order : sequence of str, optional
        Regimens in the order of their colours, to share it between figures.
    note : str
        Line below.

    Returns
    -------
    Figure
        One panel for each value of `panel`; heights are shares of the patients who start line 1. Blocks
        are ordered so that few flows cross; ends of the pathway stand below the regimens.

    Raises
    ------
    DataError
        If a column is missing, a count is negative, or a panel has no line 1.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"panel": "Observed", "line": [1, 1], "from_regimen": "A",
    ...                       "to_regimen": ["death", "censored"], "n": [30, 70]})
    >>> figure = fs.report.alluvial_figure(table, title="Pathways")
    >>> figure.axes[0].get_title(loc="left")
    'Observed (100 patients)'
    """
    table = checked(
        table, ["panel", "line", "from_regimen", "to_regimen", "n"], numbers=["line", "n"]
    )
    require(table, table["n"] >= 0, "n must not be negative", "n")
    require(
        table,
        ~table["from_regimen"].isin(ENDINGS),
        "no patient may leave an end of the pathway",
        "from_regimen",
    )
    panels = list(dict.fromkeys(table["panel"]))
    counts: dict[str, float] = {}
    for r in records(table):
        counts[r.from_regimen] = counts.get(r.from_regimen, 0.0) + r.n
    nexts = [name for name in table["to_regimen"] if name not in ENDINGS]
    looks = regimen_looks([*by_frequency(counts), *nexts], regimen_order)
    notes = [
        "Heights are shares of the patients who start line 1."
        + (f" Blocks of fewer than {minimum_count} patients have no label." if minimum_count > 1 else ""),
        note,
    ]  # fmt: skip
    sheet = new_sheet(title, notes=notes, advice=True, size=SIZE)
    shown = {*table["from_regimen"], *table["to_regimen"]}
    labels = {name: wrapped(name, 3.0, 12) for name in looks}
    handles = legend_patches(looks, shown, labels)
    columns = 5
    rows = -(-len(handles) // columns)
    tallest = max(str(h.get_label()).count("\n") + 1 for h in handles)
    under = 0.24 * rows * min(tallest, 2) + 0.2
    grid = sheet.figure.add_gridspec(
        1, len(panels), wspace=0.06, **sheet.box(0.2, 0.2, above=0.75, below=under)
    )
    last = int(table["line"].max())
    width = (SIZE[0] - 0.4) / len(panels) * 0.96 / (last + 0.75)
    drawn: list[tuple[Axes, dict[tuple[int, str], _Block], float]] = []
    for k, panel in enumerate(panels):
        part = table[table["panel"] == panel]
        flows = [
            _Flow(int(r.line), str(r.from_regimen), str(r.to_regimen), float(r.n))
            for r in records(part)
            if r.n > 0
        ]
        total = sum(flow.n for flow in flows if flow.column == 1)
        if not total:
            raise DataError(
                "a panel must have patients in line 1",
                values={"panel": panel},
                remedy="number lines from 1",
            )
        axes = sheet.figure.add_subplot(grid[0, k])
        number = thousands(total) if total >= minimum_count else f"fewer than {minimum_count}"
        axes.set_title(f"{panel} ({number} patients)", pad=28)
        axes.set(xlim=(0.7, last + 1.33), yticks=[])
        axes.spines[:].set_visible(False)
        axes.xaxis.tick_top()
        axes.tick_params(length=0)
        axes.set_xticks(range(1, last + 1), [f"Line {i}" for i in range(1, last + 1)])
        blocks = _blocks(flows, total)
        _ribbons(axes, flows, blocks, looks, total)
        drawn.append((axes, blocks, total))
    low = max(b.top + b.size for _, blocks, _ in drawn for b in blocks.values()) + 0.01
    inch = (low + 0.01) / (sheet.top - sheet.bottom - 0.75 - under)
    short = SHORT | dict(short_names or {})
    for axes, blocks, total in drawn:
        axes.set_ylim(low, -0.01)
        _labels(axes, blocks, looks, _Letters(total, minimum_count, short, width, inch))
    sheet.figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.1 / SIZE[0], (sheet.bottom - 0.02) / SIZE[1]),
        ncols=columns,
        fontsize=12,
        handlelength=1.4,
        columnspacing=1.4,
    )
    return sheet.figure


def block_order(flows: Sequence[_Flow]) -> dict[int, list[str]]:
    """Order the blocks of each column so that few patients' flows cross.

    Parameters
    ----------
    flows : sequence of flows
        Of one panel.

    Returns
    -------
    dict
        Names by column; ends of the pathway come last, ties go by size and name.
    """
    sizes: dict[int, dict[str, float]] = {}
    for flow in flows:
        sizes.setdefault(flow.column, {}).setdefault(flow.start, 0.0)
        sizes[flow.column][flow.start] += flow.n
        sizes.setdefault(flow.column + 1, {}).setdefault(flow.end, 0.0)
    order = {
        column: by_frequency({n: s for n, s in names.items() if n not in ENDINGS})
        + [name for name in ENDINGS if name in names]
        for column, names in sorted(sizes.items())
    }
    best, fewest = order, _crossings(flows, order)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        order = dict(order)
        for column in sorted(order, reverse=not forward):
            order[column] = _by_neighbours(flows, order, column, forward)
        crossed = _crossings(flows, order)
        if crossed < fewest - 1e-9:
            best, fewest = order, crossed
    return best


def _by_neighbours(
    flows: Sequence[_Flow], order: Mapping[int, list[str]], column: int, forward: bool
) -> list[str]:
    """Sort a column by the mean place of the blocks that its patients come from or go to."""
    beside = order.get(column - 1 if forward else column + 1)
    if beside is None:
        return order[column]
    weight: dict[str, float] = {}
    place: dict[str, float] = {}
    for flow in flows:
        if flow.column != (column - 1 if forward else column):
            continue
        here, there = (flow.end, flow.start) if forward else (flow.start, flow.end)
        weight[here] = weight.get(here, 0.0) + flow.n
        place[here] = place.get(here, 0.0) + flow.n * beside.index(there)
    regimens = [name for name in order[column] if name not in ENDINGS]
    rank = {name: k for k, name in enumerate(regimens)}
    regimens.sort(
        key=lambda n: (place[n] / weight[n] if n in weight else rank[n], -weight.get(n, 0.0), natural(n))
    )  # fmt: skip
    return regimens + [name for name in order[column] if name in ENDINGS]


def _crossings(flows: Sequence[_Flow], order: Mapping[int, list[str]]) -> float:
    """Add up, over pairs of flows that cross, the product of their patients."""
    total = 0.0
    for column in order:
        here = [
            (order[column].index(f.start), order[column + 1].index(f.end), f.n)
            for f in flows
            if f.column == column
        ]
        total += sum(
            n * m
            for k, (a, b, n) in enumerate(here)
            for c, d, m in here[k + 1 :]
            if (a - c) * (b - d) < 0
        )
    return total


def _blocks(flows: Sequence[_Flow], total: float) -> dict[tuple[int, str], _Block]:
    blocks: dict[tuple[int, str], _Block] = {}
    for column, names in block_order(flows).items():
        top = 0.0
        for k, name in enumerate(names):
            leaving = sum(f.n for f in flows if f.column == column and f.start == name)
            arriving = sum(f.n for f in flows if f.column == column - 1 and f.end == name)
            if name in ENDINGS and k and names[k - 1] not in ENDINGS:
                top += END_GAP - GAP
            size = max(leaving, arriving) / total
            blocks[column, name] = _Block(top, size)
            top += size + GAP
    return blocks


def _ribbons(
    axes: Axes,
    flows: Sequence[_Flow],
    blocks: Mapping[tuple[int, str], _Block],
    looks: Mapping[str, Look],
    total: float,
) -> None:
    def places(flow: _Flow) -> tuple[int, float, float]:
        return (
            flow.column,
            blocks[flow.column, flow.start].top,
            blocks[flow.column + 1, flow.end].top,
        )

    ends: dict[_Flow, float] = {}
    for flow in sorted(flows, key=lambda f: (f.column, places(f)[2], places(f)[1])):
        block = blocks[flow.column + 1, flow.end]
        ends[flow] = block.top + block.left
        block.left += flow.n / total
    for flow in sorted(flows, key=places):
        block = blocks[flow.column, flow.start]
        start, size = block.top + block.right, flow.n / total
        block.right += size
        x, y, end = flow.column + HALF, flow.column + 1 - HALF, ends[flow]
        middle = (x + y) / 2
        vertices = [
            (x, start), (middle, start), (middle, end), (y, end),
            (y, end + size), (middle, end + size), (middle, start + size), (x, start + size), (x, start),
        ]  # fmt: skip
        codes = [Path.MOVETO, *[Path.CURVE4] * 3, Path.LINETO, *[Path.CURVE4] * 3, Path.CLOSEPOLY]
        axes.add_patch(
            PathPatch(
                Path(vertices, codes), facecolor=looks[flow.start].face, alpha=0.42, linewidth=0
            )
        )


@dataclass(frozen=True)
class _Letters:
    """What labels need to know: patients of the panel, inches a column, shares an inch."""

    total: float
    minimum: int
    short: Mapping[str, str]
    width: float
    inch: float


def _labels(
    axes: Axes,
    blocks: Mapping[tuple[int, str], _Block],
    looks: Mapping[str, Look],
    letters: _Letters,
) -> None:
    size = 10.5 if letters.width > 1.6 else 9.0
    line = 1.18 * size / 72 * letters.inch
    for (column, name), block in blocks.items():
        look = looks[name]
        edge = 0.8 if look.edge == GREY else 0.0
        axes.add_patch(
            Rectangle(
                (column - HALF, block.top),
                2 * HALF,
                block.size,
                **(look.patch | {"linewidth": edge}),
            )
        )
        number = block.size * letters.total
        if number < letters.minimum or block.size < line:
            continue
        room = letters.width * 2 * HALF - 0.06
        label, count = letters.short.get(name, name), thousands(number)
        text = wrapped(label, room, size)
        if block.size < line * (text.count("\n") + 2):
            text = shortened(label, room, size)
        if block.size >= line * (text.count("\n") + 2):
            text += f"\n{count}"
        elif text_width(f"{label} {count}", size) <= room:
            text += f" {count}"
        axes.text(
            column,
            block.top + block.size / 2,
            text,
            ha="center",
            va="center",
            fontsize=size,
            linespacing=1.05,
            **look.text,
        )
