"""Policy map: which regimen a policy chooses, line by line and exposed set by exposed set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, natural, texts
from fiac_survival.report.regimens import Look, by_frequency, legend_patches, regimen_looks
from fiac_survival.report.sheet import new_sheet, shortened, side_legend, text_width, thousands
from fiac_survival.report.style import GREY, LIGHT, SLIDE, house_style

ROW, DOT, LEGEND = 0.29, 0.34, 2.75
_State = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True)
class _Cells:
    """Rows of the table by line and state."""

    rows: dict[tuple[int, _State], pd.DataFrame]
    lines: list[int]
    states: list[_State]
    classes: list[str]
    n_states: int

    def of(self, line: int, shown: Iterable[_State]) -> list[pd.DataFrame]:
        return [self.rows[line, s] for s in shown if (line, s) in self.rows]


@house_style()
def policy_map_figure(
    table: pd.DataFrame,
    *,
    title: str,
    group: str | None = None,
    states: Sequence[str] | None = None,
    most_states: int = 24,
    show_value: bool = False,
    short_names: Mapping[str, str] | None = None,
    regimen_order: Sequence[str] | None = None,
    note: str = "",
) -> Figure:
    """Draw the regimen that a policy chooses for each line and exposed set.

    Parameters
    ----------
    table : DataFrame
        group, line, exposed (classes joined by " + ", empty for none), regimen; optional refractory
        (like exposed), value, supported (bool: whether the data support the choice) and reach
        (probability of getting there). :meth:`fiac_survival.sequence.Solution.map` makes it.
    title : str
        Title.
    group : str, optional
        Which group; may be left out if the table has one.
    states : sequence of str, optional
        Exposed sets to show. By default those with the largest reach or, without that column, those that
        make up most of the states of their lines.
    most_states : int, default 24
        Largest number of exposed sets with a row of their own; the others are summed up line by line.
    show_value : bool, default False
        Whether to write the value below the regimen.
    short_names : mapping, optional
        Text in the cells by regimen.
    regimen_order : sequence of str, optional
        Regimens in the order of their colours, to share it between figures.
    note : str
        Line below.

    Returns
    -------
    Figure
        Dots for the classes of the exposed set (crossed where refractory), and one cell a line.

    Raises
    ------
    DataError
        If a column is missing, the group is not in the table, or nothing is left to show.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = fs.sequence.examples.textbook().solve().map()
    >>> figure = fs.report.policy_map_figure(table, title="Optimal policy")
    >>> [text.get_text() for text in figure.axes[1].texts]
    ['A', 'A', 'A']
    """
    needed = ["group", "line", "exposed", "regimen"] + ["value"] * show_value
    table = checked(table, needed, numbers=["line"] + ["value"] * show_value)
    part, name = _of_group(table, group)
    cells = _cells(part)
    shown = _chosen(cells, states, most_states, "reach" in part)
    hidden = [s for s in cells.states if s not in set(shown)]
    looks = regimen_looks(by_frequency(Counter(part["regimen"])), regimen_order)
    n_shown = sum(len(rows) for line in cells.lines for rows in cells.of(line, shown))
    head = 0.35 + min(0.068 * max(map(len, cells.classes), default=0), 2.0)
    height = ROW * (1.45 if show_value else 1.0)
    below = (len(shown) + (2.4 if hidden else 0)) * height
    said = f"Group: {name}. {thousands(n_shown)} of {thousands(cells.n_states)} states shown."
    if any(refractory for _, refractory in shown):
        said += " Dots: classes exposed to; with a cross: refractory to."
    if hidden:
        said += (
            " The last row sums up the others: the share of states in which each regimen is chosen."
        )
    size = (SLIDE[0], max(5.0, 2.25 + head + below))
    sheet = new_sheet(title, notes=[said, note], advice=True, size=size)
    figure = sheet.figure
    dots = max(DOT * len(cells.classes), 1.2)
    box = sheet.box(0.35, LEGEND + 0.15, above=head + 0.1, below=0.1)
    # Few rows keep their height rather than fill the sheet.
    used = min(below * 1.6, (box["top"] - box["bottom"]) * sheet.height)
    box["bottom"] = box["top"] - used / sheet.height
    inner = sheet.width - 0.5 - LEGEND
    grid = figure.add_gridspec(1, 2, width_ratios=[dots, inner - dots - 0.2], wspace=0.03, **box)
    left, right = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[0, 1])
    bottom = len(shown) + (2.4 if hidden else 0)
    for axes in (left, right):
        axes.set_ylim(bottom, 0)
        axes.set_yticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    _dots(left, cells.classes, shown, bool(hidden))
    cell_width = (inner - dots - 0.2) / len(cells.lines)
    _draw_cells(right, cells, shown, looks, short_names or {}, cell_width, show_value)
    if hidden:
        _others(right, cells, hidden, looks, len(shown))
    handles = legend_patches(looks, part["regimen"])
    if "supported" in part and not part["supported"].astype(bool).all():
        handles.append(
            Patch(facecolor="white", edgecolor="black", linewidth=1.6, linestyle="--",
                  label="not supported by the data")
        )  # fmt: skip
    side_legend(sheet, handles, width=LEGEND, top=box["top"] * sheet.height - 0.05, title="Regimen")
    return figure


def _of_group(table: pd.DataFrame, group: str | None) -> tuple[pd.DataFrame, str]:
    groups = list(dict.fromkeys(texts(table["group"])))
    if group is None and len(groups) == 1:
        group = groups[0]
    if group is None or group not in groups:
        raise DataError(
            "group must be one of the table's",
            values={"group": group, "known": ", ".join(groups)},
            remedy="a policy map shows one group",
        )
    return table[[g == group for g in texts(table["group"])]].reset_index(drop=True), group


def _classes(text: str) -> frozenset[str]:
    return frozenset(filter(None, (name.strip() for name in text.split(" + "))))


def _cells(part: pd.DataFrame) -> _Cells:
    refractory = texts(part["refractory"]) if "refractory" in part else [""] * len(part)
    keys = [
        (int(line), (_classes(e), _classes(r)))
        for line, e, r in zip(part["line"], texts(part["exposed"]), refractory, strict=True)
    ]
    places: dict[tuple[int, _State], list[int]] = {}
    for k, key in enumerate(keys):
        places.setdefault(key, []).append(k)
    states = list(dict.fromkeys(state for _, state in keys))
    classes = sorted({name for e, r in states for name in e | r}, key=natural)
    rank = {name: k for k, name in enumerate(classes)}
    states.sort(
        key=lambda s: (len(s[0]), sorted(rank[n] for n in s[0]), sorted(rank[n] for n in s[1]))
    )
    return _Cells(
        {key: part.iloc[rows] for key, rows in places.items()},
        sorted({line for line, _ in keys}),
        states,
        classes,
        len(part),
    )


def _chosen(cells: _Cells, states: Sequence[str] | None, most: int, reach: bool) -> list[_State]:
    if most < 1:
        raise DataError("most_states must be at least 1", values={"most_states": most})
    if states is not None:
        wanted = {_classes(text) for text in states}
        found = [s for s in cells.states if s[0] in wanted]
        if not found:
            raise DataError(
                "states must be exposed sets of the table",
                values={"states": "; ".join(states)},
                remedy='join the classes by " + ", as the table does',
            )
        return found
    sizes: Counter[int] = Counter()
    for (line, _), rows in cells.rows.items():
        sizes[line] += len(rows)
    weight = dict.fromkeys(cells.states, 0.0)
    for (line, state), rows in cells.rows.items():
        weight[state] += float(rows["reach"].sum()) if reach else len(rows) / sizes[line]
    order = sorted(range(len(cells.states)), key=lambda k: (-weight[cells.states[k]], k))
    return [cells.states[k] for k in sorted(order[:most])]


def _dots(axes: Axes, classes: list[str], shown: list[_State], more: bool) -> None:
    axes.set_xlim(-0.6, max(len(classes), 1) - 0.4)
    for y, (exposed, refractory) in enumerate(shown):
        if y % 2 == 0:
            axes.axhspan(y, y + 1, color="#F4F4F4", linewidth=0)
        if not exposed and not refractory:
            axes.text(-0.45, y + 0.5, "no class so far", va="center", fontsize=11, color=GREY)
            continue
        places = [k for k, name in enumerate(classes) if name in exposed | refractory]
        axes.plot(range(len(classes)), [y + 0.5] * len(classes), ".", color="#CFCFCF", zorder=2)
        axes.plot(places, [y + 0.5] * len(places), "o", color="black", markersize=8, zorder=3)
        crossed = [k for k, name in enumerate(classes) if name in refractory]
        axes.plot(crossed, [y + 0.5] * len(crossed), "x", color="white", markersize=5, zorder=4)
    if more:
        axes.text(-0.45, len(shown) + 1.0, "other states", va="center", fontsize=12)
        axes.text(-0.45, len(shown) + 1.95, "their number", va="center", fontsize=11, color=GREY)
    axes.xaxis.tick_top()
    axes.set_xticks(
        range(len(classes)), classes, rotation=55, ha="left", rotation_mode="anchor", fontsize=12
    )


def _draw_cells(
    axes: Axes,
    cells: _Cells,
    shown: list[_State],
    looks: Mapping[str, Look],
    short: Mapping[str, str],
    width: float,
    show_value: bool,
) -> None:
    size = 11.0 if width > 1.0 else 9.5
    axes.set_xlim(-0.5, len(cells.lines) - 0.5)
    axes.xaxis.tick_top()
    axes.set_xticks(range(len(cells.lines)), [f"Line {line}" for line in cells.lines], fontsize=13)
    for y, state in enumerate(shown):
        for x, line in enumerate(cells.lines):
            rows = cells.rows.get((line, state))
            if rows is None:
                axes.plot([x], [y + 0.5], marker="_", color="#BBBBBB", markersize=7)
                continue
            counts = Counter(rows["regimen"])
            regimen = by_frequency(counts)[0]
            look = looks[regimen]
            unsupported = "supported" in rows and not rows["supported"].astype(bool).all()
            axes.add_patch(Rectangle((x - 0.49, y + 0.03), 0.98, 0.94, linewidth=0, **look.patch))
            if unsupported:
                axes.add_patch(
                    Rectangle((x - 0.47, y + 0.08), 0.94, 0.84, fill=False, linestyle="--",
                              edgecolor=look.letters, linewidth=1.6)
                )  # fmt: skip
            several = f" ({counts[regimen]} of {len(rows)})" if len(counts) > 1 else ""
            room = width * 0.92 - text_width(several, size)
            text = shortened(short.get(regimen, regimen), room, size) + several
            if show_value and len(rows) == 1:
                text += f"\n{rows['value'].iloc[0]:.1f}"
            axes.text(
                x, y + 0.5, text, ha="center", va="center", fontsize=size, linespacing=1.0,
                **look.text,
            )  # fmt: skip


def _others(
    axes: Axes, cells: _Cells, hidden: list[_State], looks: Mapping[str, Look], top: int
) -> None:
    for x, line in enumerate(cells.lines):
        rows = cells.of(line, hidden)
        if not rows:
            continue
        counts = Counter(name for part in rows for name in part["regimen"])
        total = sum(counts.values())
        left = x - 0.49
        axes.add_patch(Rectangle((left, top + 0.5), 0.98, 1.0, facecolor=LIGHT, linewidth=0))
        for name, look in looks.items():
            if counts[name]:
                share = 0.98 * counts[name] / total
                axes.add_patch(
                    Rectangle((left, top + 0.5), share, 1.0, linewidth=0.4, **look.patch)
                )
                left += share
        axes.text(x, top + 1.95, thousands(total), ha="center", va="center", fontsize=11)
