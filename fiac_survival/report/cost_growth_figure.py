"""Growth of computing time with the size of the model, on logarithmic scales."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from fiac_survival.report.balance_figures import COLOURS, MARKERS
from fiac_survival.report.checks import checked, require
from fiac_survival.report.sheet import new_sheet
from fiac_survival.report.style import SLIDE, house_style

LINES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))


@house_style()
def cost_growth_figure(table: pd.DataFrame, *, title: str, note: str = "") -> Figure:
    """Draw seconds against the number of lines, classes, steps, or whatever was varied.

    Parameters
    ----------
    table : DataFrame
        axis (what was varied: "lines", "classes", "horizon in months", ...), size, solver, seconds.
    title : str
        Title.
    note : str
        Line below: the machine, and what was kept fixed.

    Returns
    -------
    Figure
        One panel for each value of `axis`, both scales logarithmic.

    Raises
    ------
    DataError
        If a column is missing, or a size or a time is not positive.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"axis": "lines", "size": [2, 4, 8], "solver": "backward sweep",
    ...                       "seconds": [0.01, 0.04, 0.2]})
    >>> fs.report.cost_growth_figure(table, title="Growth").axes[0].get_xlabel()
    'lines'
    """
    table = checked(table, ["axis", "size", "solver", "seconds"], numbers=["size", "seconds"])
    require(table, table["size"] > 0, "size must be positive", "size")
    require(table, table["seconds"] > 0, "seconds must be positive", "seconds")
    panels = list(dict.fromkeys(table["axis"]))
    solvers = list(dict.fromkeys(table["solver"]))
    sheet = new_sheet(title, notes=[note], size=SLIDE)
    per_row = min(len(solvers), 3)
    legend = 0.3 * -(-len(solvers) // per_row) + 0.15
    grid = sheet.figure.add_gridspec(
        1, len(panels), wspace=0.12, **sheet.box(1.2, 0.35, above=0.2, below=0.8 + legend)
    )
    low, high = float(table["seconds"].min()) / 1.8, float(table["seconds"].max()) * 1.8
    handles = []
    for k, panel in enumerate(panels):
        axes = sheet.figure.add_subplot(grid[0, k])
        part = table[table["axis"] == panel]
        axes.set(xscale="log", yscale="log", ylim=(low, high), xlabel=panel)
        for j, solver in enumerate(solvers):
            rows = part[part["solver"] == solver].sort_values("size", kind="stable")
            (handle,) = axes.plot(
                rows["size"],
                rows["seconds"],
                color=("#000000", *COLOURS[1:7])[j % 7],
                linestyle=LINES[j % len(LINES)],
                marker=MARKERS[j % len(MARKERS)],
                markersize=9,
                label=solver,
            )
            if k == 0:
                handles.append(handle)
        sizes = sorted(part["size"].unique())
        axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.minorticks_off()
        axes.yaxis.set_major_formatter(FuncFormatter(_seconds))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.tick_params(labelleft=k == 0)
        axes.grid(which="major", color="#E3E3E3")
        if k == 0:
            axes.set_ylabel("Time")
    sheet.figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.1 / sheet.width, sheet.bottom / sheet.height),
        ncols=per_row,
        columnspacing=1.4,
    )
    return sheet.figure


def _seconds(value: float, _: int | None = None) -> str:
    return f"{value:g} s" if value >= 0.1 else f"{1000 * value:g} ms"
