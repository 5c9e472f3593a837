"""Value against cost: the frontier of policies, the Pareto set of fixed sequences, and observed care."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require, texts
from fiac_survival.report.sheet import new_sheet, wrapped
from fiac_survival.report.style import BLUE, GREY, SLIDE, VERMILLION, house_style, records

if TYPE_CHECKING:
    from fiac_survival.sequence.budget import Frontier
    from fiac_survival.sequence.pareto import ParetoSet

POLICY, SEQUENCE, OBSERVED = "policy", "sequence", "observed"
COLUMNS = ["kind", "cost", "value", "supported", "label"]


def budget_table(
    frontier: Frontier,
    pareto: ParetoSet | None = None,
    *,
    observed: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Put a frontier, a Pareto set and observed care into one table.

    Parameters
    ----------
    frontier : Frontier
        Of policies.
    pareto : ParetoSet, optional
        Of fixed sequences, under the same objective and costs and for the same patients.
    observed : mapping, optional
        "cost" and "value" of observed care; "lower" and "upper" of its value where known.

    Returns
    -------
    DataFrame
        kind ("policy", "sequence", "observed"), cost, value, supported, label, and lower and upper if
        observed care has them. The first and the last policy, the sequence of highest value and observed
        care have labels.

    Raises
    ------
    DataError
        If observed care lacks its cost or value.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> cost = {"A": 400.0, "B": 100.0}
    >>> table = fs.report.budget_table(model.frontier(cost=cost), model.pareto(cost=cost))
    >>> sorted(table["kind"].unique())
    ['policy', 'sequence']
    """
    policies = frontier.table
    rows: list[dict[str, object]] = [
        {
            "kind": POLICY,
            "cost": r.cost,
            "value": r.value,
            "supported": True,
            "label": {0: "cheapest policy", len(policies) - 1: "best policy"}.get(k, ""),
        }
        for k, r in enumerate(records(policies[["cost", "value"]]))
    ]
    if len(policies) == 1:
        rows[0]["label"] = "best policy"
    if pareto is not None:
        best = int(pareto.table["value"].to_numpy().argmax())
        rows += [
            {
                "kind": SEQUENCE,
                "cost": r.cost,
                "value": r.value,
                "supported": bool(r.supported),
                "label": r.sequence if k == best else "",
            }
            for k, r in enumerate(records(pareto.table))
        ]
    if observed is not None:
        if "cost" not in observed or "value" not in observed:
            raise DataError(
                "observed care must have a cost and a value", values={"given": ", ".join(observed)}
            )
        rows.append(
            {"kind": OBSERVED, "supported": False, "label": "observed care"} | dict(observed)
        )
    names = COLUMNS + [name for name in ("lower", "upper") if name in (observed or {})]
    return pd.DataFrame(rows)[names]


@house_style()
def value_against_budget_figure(
    table: pd.DataFrame, *, title: str, value_label: str, cost_label: str, note: str = ""
) -> Figure:
    """Draw what can be had for which cost.

    Parameters
    ----------
    table : DataFrame
        kind ("policy", "sequence" or "observed"), cost, value; optional supported (bool: on the concave
        hull; read for sequences), label, lower and upper (of the value, drawn for observed care).
        :func:`fiac_survival.report.budget_table` makes it.
    title, value_label, cost_label : str
        Texts.
    note : str
        Line below.

    Returns
    -------
    Figure
        The frontier of policies with all its breakpoints, fixed sequences that no other beats, and
        observed care.

    Raises
    ------
    DataError
        If a column is missing, a kind is unknown, or a number is not finite.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> table = pd.DataFrame({"kind": ["policy", "policy", "observed"], "cost": [1.0, 2.0, 1.8],
    ...                       "value": [10.0, 14.0, 11.0]})
    >>> figure = fs.report.value_against_budget_figure(
    ...     table, title="Value and cost", value_label="Months", cost_label="Euros")
    >>> [handle.get_text() for handle in figure.axes[0].get_legend().get_texts()]
    ['policies: frontier with 2 points', 'observed care']
    """
    table = checked(table, ["kind", "cost", "value"], numbers=["cost", "value"])
    require(
        table,
        table["kind"].isin([POLICY, SEQUENCE, OBSERVED]),
        "kind must be policy, sequence or observed",
        "kind",
    )
    sheet = new_sheet(title, notes=[note], advice=True, size=SLIDE)
    axes = sheet.figure.add_subplot(
        sheet.figure.add_gridspec(1, 1, **sheet.box(1.15, 0.4, above=0.15, below=0.75))[0, 0]
    )
    policies = table[table["kind"] == POLICY].sort_values("cost", kind="stable")
    sequences = table[table["kind"] == SEQUENCE].sort_values("cost", kind="stable")
    if not policies.empty:
        many = len(policies) > 40
        axes.plot(
            policies["cost"],
            policies["value"],
            color=BLUE,
            marker="o",
            markersize=4 if many else 7,
            linewidth=1.8,
            zorder=4,
            label=f"policies: frontier with {len(policies)} points",
        )
    if not sequences.empty:
        supported = (
            sequences["supported"].astype(bool)
            if "supported" in sequences
            else pd.Series(False, index=sequences.index)
        )
        every = "fixed sequences that no other beats"
        for on_hull, face, label in (
            (False, "white", every),
            (True, VERMILLION, "the same, on their concave hull" if not supported.all() else every),
        ):
            rows = sequences[supported == on_hull]
            if not rows.empty:
                axes.plot(
                    rows["cost"],
                    rows["value"],
                    linestyle="none",
                    marker="s",
                    markersize=4 if len(sequences) > 60 else 7,
                    markerfacecolor=face,
                    markeredgecolor=VERMILLION,
                    markeredgewidth=1.2,
                    zorder=3,
                    label=label,
                )
    _observed(axes, table[table["kind"] == OBSERVED])
    axes.set(xlabel=cost_label, ylabel=value_label)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.10g}".replace(",", "\u202f"))
    axes.margins(0.07, 0.09)
    axes.grid(color="#EEEEEE")
    if "label" in table:
        _label_points(axes, table)
    axes.legend(loc="lower right")
    return sheet.figure


def _observed(axes: Axes, rows: pd.DataFrame) -> None:
    if rows.empty:
        return
    if {"lower", "upper"} <= set(rows.columns):
        axes.vlines(
            rows["cost"], rows["lower"], rows["upper"], color="black", linewidth=2, zorder=4
        )
    axes.plot(
        rows["cost"],
        rows["value"],
        linestyle="none",
        marker="D",
        markersize=12,
        markerfacecolor="#F0E442",
        markeredgecolor="black",
        markeredgewidth=1.5,
        zorder=5,
        label="observed care",
    )


def _label_points(axes: Axes, table: pd.DataFrame) -> None:
    middle = (table["cost"].min() + table["cost"].max()) / 2
    for r, label in zip(records(table), texts(table["label"]), strict=True):
        if not label:
            continue
        left = r.cost > middle
        above = r.kind == POLICY and left
        axes.annotate(
            wrapped(label, 3.6, 12),
            (r.cost, r.value),
            xytext=(-12 if left else 12, 10 if above else -12),
            textcoords="offset points",
            ha="right" if left else "left",
            va="bottom" if above else "top",
            fontsize=12,
            color={POLICY: BLUE, SEQUENCE: VERMILLION}.get(r.kind, GREY),
            zorder=6,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
