"""Policy tree: a shallow decision tree that says which regimen to give."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, texts
from fiac_survival.report.regimens import Look, regimen_looks
from fiac_survival.report.sheet import new_sheet, wrapped
from fiac_survival.report.style import BLACK, GREY, SLIDE, house_style

LETTERS = 12.0


@dataclass
class _Node:
    """A node of the tree: the way to it, what it gives, and where it stands."""

    name: str
    parent: str
    condition: str
    regimen: str
    share: float
    loss: float
    children: list[_Node] = field(default_factory=list)
    depth: int = 0
    y: float = 0.0


@house_style()
def policy_tree_figure(
    table: pd.DataFrame,
    *,
    title: str,
    unit: str = "months",
    regimen_order: Sequence[str] | None = None,
    note: str = "",
) -> Figure:
    """Draw a decision tree from left to right.

    Parameters
    ----------
    table : DataFrame
        node, parent (empty for the root), condition (under which one comes from the parent to the node;
        empty for the root), regimen (empty for inner nodes), share (of patients who come to the node),
        loss (mean loss of value against the optimal policy among them).
    title : str
        Title.
    unit : str, default "months"
        Unit of the loss.
    regimen_order : sequence of str, optional
        Regimens in the order of their colours, to share it between figures.
    note : str
        Line below.

    Returns
    -------
    Figure
        Conditions on the branches, regimens in the leaves.

    Raises
    ------
    DataError
        If a column is missing, the rows are no tree, or a leaf has no regimen.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"node": [1, 2, 3], "parent": [None, 1, 1],
    ...                       "condition": ["", "line 1", "line 2 or later"], "regimen": ["", "A", "B"],
    ...                       "share": [1.0, 0.6, 0.4], "loss": [0.1, 0.0, 0.25]})
    >>> figure = fs.report.policy_tree_figure(table, title="A simple rule")
    >>> [text.get_text() for text in figure.axes[0].texts][1]
    'line 1'
    """
    table = checked(
        table,
        ["node", "parent", "condition", "regimen", "share", "loss"],
        numbers=["share", "loss"],
        shares=["share"],
    )
    root, leaves, depth = _tree(table)
    looks = regimen_looks(sorted({leaf.regimen for leaf in leaves}), regimen_order)
    notes = [
        f"In each box: share of patients, mean loss of value ({unit}) against the optimum.",
        note,
    ]
    width = SLIDE[0] - 0.2
    box, leaf = 1.05, 2.7
    step = (width - leaf - 0.1) / max(depth, 1)
    measures = _Measures(step, box, leaf)
    # Inches from leaf to leaf: room for the names of regimens and for the conditions.
    regimens = max(measures.regimen(node).count("\n") + 2 for node in leaves)
    conditions = max(measures.condition(text).count("\n") + 1 for text in texts(table["condition"]))
    high = 0.2 * regimens + 0.12
    spacing = max(high + 0.2, 0.195 * conditions + 0.2)
    size = (SLIDE[0], max(SLIDE[1], 1.8 + spacing * (len(leaves) + 0.3)))
    sheet = new_sheet(title, notes=notes, advice=True, size=size)
    axes = sheet.figure.add_axes(
        (
            0.1 / sheet.width,
            (sheet.bottom + 0.05) / sheet.height,
            1.0 - 0.2 / sheet.width,
            (sheet.top - sheet.bottom - 0.1) / sheet.height,
        )
    )
    # One unit is one inch across and one leaf down.
    axes.set(xlim=(0, width), ylim=(len(leaves) - 0.45, -0.75))
    axes.set_axis_off()
    inches = (sheet.top - sheet.bottom - 0.1) / (len(leaves) + 0.3)
    _draw(axes, root, looks, measures, high / inches)
    return sheet.figure


@dataclass(frozen=True)
class _Measures:
    """Inches from level to level, and widths of inner nodes and of leaves."""

    step: float
    box: float
    leaf: float

    def regimen(self, node: _Node) -> str:
        return wrapped(node.regimen, self.leaf - 0.15, LETTERS, bold=True)

    def condition(self, text: str) -> str:
        return wrapped(text, self.step - self.box - 0.3, LETTERS)


def _names(column: Iterable[object]) -> list[str]:
    """Take names of nodes as text; a column of whole numbers with gaps is read as 1.0, 2.0."""
    return [
        text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text for text in texts(column)
    ]


def _tree(table: pd.DataFrame) -> tuple[_Node, list[_Node], int]:
    rows = zip(
        _names(table["node"]),
        _names(table["parent"]),
        texts(table["condition"]),
        texts(table["regimen"]),
        table["share"],
        table["loss"],
        strict=True,
    )
    nodes: dict[str, _Node] = {}
    for row in rows:
        if row[0] in nodes:
            raise DataError("each node must have one row", values={"node": row[0]})
        nodes[row[0]] = _Node(*row)
    roots = [node for node in nodes.values() if not node.parent]
    if len(roots) != 1:
        raise DataError(
            "a tree must have one root",
            values={"roots": ", ".join(n.name for n in roots)},
            remedy="leave parent empty for the root alone",
        )
    for node in nodes.values():
        if node.parent and node.parent not in nodes:
            raise DataError(
                "a parent must be a node of the table",
                values={"node": node.name, "parent": node.parent},
            )
        if node.parent:
            nodes[node.parent].children.append(node)
    leaves: list[_Node] = []
    seen = _place(roots[0], 0, leaves)
    if seen < len(nodes):
        raise DataError(
            "every node must hang on the root",
            values={"nodes": len(nodes), "reached": seen},
            remedy="correct the parents",
        )
    wrong = [n.name for n in nodes.values() if bool(n.regimen) == bool(n.children)]
    if wrong:
        raise DataError(
            "leaves must have a regimen and inner nodes none", values={"nodes": ", ".join(wrong)}
        )
    return roots[0], leaves, max(leaf.depth for leaf in leaves)


def _place(node: _Node, depth: int, leaves: list[_Node]) -> int:
    """Give a node and those below it their places; returns how many they are."""
    node.depth = depth
    if not node.children:
        node.y = float(len(leaves))
        leaves.append(node)
        return 1
    seen = 1 + sum(_place(child, depth + 1, leaves) for child in node.children)
    node.y = (node.children[0].y + node.children[-1].y) / 2
    return seen


def _draw(
    axes: Axes, node: _Node, looks: Mapping[str, Look], measures: _Measures, height: float
) -> None:
    x = node.depth * measures.step + 0.05
    numbers = f"{100 * node.share:.0f} %   loss {node.loss:.2f}"
    width = measures.box if node.children else measures.leaf
    look = looks[node.regimen] if node.regimen else Look("white")
    edge = BLACK if node.children else look.face
    axes.add_patch(
        FancyBboxPatch(
            (x, node.y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            **(look.patch | {"edgecolor": edge if not look.hatch else look.edge, "linewidth": 1.4}),
        )
    )
    text = numbers.replace("   ", "\n")
    if node.regimen:
        text = f"{measures.regimen(node)}\n{numbers}"
    axes.text(
        x + width / 2, node.y, text, ha="center", va="center", fontsize=LETTERS, linespacing=1.15,
        weight="bold" if node.regimen else "normal", **look.text,
    )  # fmt: skip
    for child in node.children:
        end = child.depth * measures.step + 0.05
        bend = x + width + 0.18
        axes.plot(
            [x + width, bend, bend, end],
            [node.y, node.y, child.y, child.y],
            color=GREY,
            linewidth=1.6,
            zorder=1,
        )
        axes.text(
            bend + 0.06,
            child.y - 0.05,
            measures.condition(child.condition),
            ha="left",
            va="bottom",
            fontsize=LETTERS,
            linespacing=1.1,
        )
        _draw(axes, child, looks, measures, height)
