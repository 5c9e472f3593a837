"""Figures of treatment sequences: contents, notes, and refusals; their bytes are tested with all others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.report.alluvial_figure import _Flow, block_order
from fiac_survival.report.drawing import DRAWINGS, draw
from fiac_survival.report.regimens import COLOURS, TEXTURES, regimen_looks
from fiac_survival.report.sheet import shortened, text_width, wrapped, wrapped_sequence
from fiac_survival.report.style import house_style
from tests.report.sequence_tables import (
    FLOWS,
    LINES,
    MAP,
    OCCUPATION,
    SEQUENCE_TABLES,
    TREE,
)

ADVICE = "Research use, not medical advice"


def drawn(kind: str, table: pd.DataFrame | None = None, **options: object) -> Figure:
    given, defaults = SEQUENCE_TABLES[kind]
    with house_style():
        figure = DRAWINGS[kind](given if table is None else table, **(defaults | options))
        figure.canvas.draw()
    return figure


def texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.texts] + [
        t.get_text() for axes in figure.axes for t in axes.texts
    ]


def legend(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.legends[0].get_texts()]


@pytest.fixture(scope="module")
def small():
    return fs.sequence.examples.benchmark(
        n_classes=4, n_regimens=6, n_lines=3, n_groups=1, n_steps=36
    )


# --- what all of them share ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(SEQUENCE_TABLES))
def test_what_is_recommended_is_no_advice(kind):
    said = any(ADVICE in text for text in texts(drawn(kind)))
    assert said == (kind not in {"calibration", "cost_growth"})


@pytest.mark.parametrize("kind", list(SEQUENCE_TABLES))
def test_texts_stay_on_the_sheet(kind):
    figure = drawn(kind)
    width, height = figure.canvas.get_width_height()
    found = [*figure.texts, *(t for box in figure.legends for t in box.get_texts())]
    for axes in figure.axes:
        found += [*axes.texts, axes._left_title, axes.xaxis.label, axes.yaxis.label]
        # Ticks beyond the limits are not drawn.
        low, high = sorted(axes.get_ylim())
        ticks = axes.get_yticklabels() if axes.axison else []
        found += [t for t in ticks if low <= t.get_position()[1] <= high]
    for text in found:
        if text.get_text():
            box = text.get_window_extent()
            assert box.x0 >= -1, text
            assert box.x1 <= width + 1, text
            assert box.y0 >= -1, text
            assert box.y1 <= height + 1, text


@pytest.mark.parametrize("kind", list(SEQUENCE_TABLES))
def test_columns_and_rows_must_be_there(kind):
    table, options = SEQUENCE_TABLES[kind]
    needed = {"policy_map": "regimen", "value_against_budget": "cost"}.get(kind, table.columns[1])
    with pytest.raises(DataError, match=f"columns that the figure draws.*missing={needed}"):
        draw(kind, table.drop(columns=needed), options, simulated=False)
    with pytest.raises(DataError, match="must have a row"):
        draw(kind, table.iloc[:0], options, simulated=False)


@pytest.mark.parametrize(
    ("kind", "column", "value", "rule"),
    [
        ("alluvial", "n", -1, "n must not be negative.*row 1"),
        ("alluvial", "from_regimen", "death", "leave an end of the pathway"),
        ("sequence_index", "start", 999.0, "start must not be after end"),
        ("value_against_budget", "kind", "guess", "kind must be"),
        ("value_against_budget", "value", np.nan, "value must be finite"),
        ("probability_best", "probability", 1.2, "probability must lie between 0 and 1"),
        ("probability_best", "lower", 0.99, "lower must not be above probability"),
        ("probability_best", "sequence", "A → B", "one row"),
        ("regret", "q25", 3.0, "q25 must not be above median"),
        ("calibration", "predicted", -0.1, "predicted must lie"),
        ("state_occupation", "probability", 0.9, "add to 1 in every month"),
        ("cost_growth", "seconds", 0.0, "seconds must be positive"),
        ("policy_tree", "share", 2.0, "share must lie"),
        ("policy_tree", "parent", 99, "a parent must be a node"),
        ("policy_tree", "regimen", None, "leaves must have a regimen"),
        ("policy_tree", "node", 1, "each node must have one row"),
        ("policy_tree", "parent", None, "one root"),
    ],
)
def test_bad_values_are_refused(kind, column, value, rule):
    table, options = SEQUENCE_TABLES[kind]
    table = table.astype({column: object}) if not isinstance(value, int) else table.copy()
    table.loc[1, column] = value
    with pytest.raises(DataError, match=rule):
        draw(kind, table, options, simulated=False)


def test_letters_are_measured():
    text = "daratumumab + bortezomib + dexamethasone"
    lines = wrapped(text, 1.5, 12).split("\n")
    assert " ".join(lines) == text
    assert all(text_width(line, 12) <= 1.5 for line in lines)
    assert text_width(shortened(text, 1.5, 12), 12) <= 1.5
    assert text_width(text, 12, bold=True) > text_width(text, 12)
    assert wrapped_sequence("A B → C D", 0.5, 12).split("\n") == ["A B →", "C D"]
    assert "".join(wrapped("w" * 40, 1.0, 12).split("\n")) == "w" * 40


def test_regimens_can_be_told_apart():
    names = [f"regimen {k}" for k in range(len(COLOURS) * len(TEXTURES))]
    looks = regimen_looks(names)
    assert len({(looks[n].face, looks[n].hatch) for n in names}) == len(names)
    assert list(regimen_looks(["b", "a"], ["a", "b"]))[:2] == ["a", "b"]
    with pytest.raises(DataError, match="at most 28 regimens"):
        regimen_looks([*names, "one more"])


# --- policy map ---------------------------------------------------------------------------------


def test_policy_map_shows_each_cell():
    figure = drawn("policy_map")
    cells = [t.get_text() for t in figure.axes[1].texts]
    assert "A\n40.0" in cells
    assert any("…" in text for text in cells)
    assert any("4 of 4 states shown" in text for text in texts(figure))
    assert "not supported by the data" in " ".join(legend(figure)).replace("\n", " ")
    dashed = [p for p in figure.axes[1].patches if p.get_linestyle() == "--"]
    assert len(dashed) == 1


def test_policy_map_sums_up_what_it_does_not_show(small):
    table = small.solve().map()
    figure = drawn("policy_map", table, group=None, show_value=False, most_states=5)
    said = next(t for t in texts(figure) if "states shown" in t)
    shown = int(said.split(" of ")[0].split()[-1])
    assert f"of {len(table)} states shown" in said
    numbers = [int(t.get_text()) for t in figure.axes[1].texts if t.get_text().isdigit()]
    assert shown + sum(numbers) == len(table)
    assert "no class so far" in [t.get_text() for t in figure.axes[0].texts]


def test_policy_map_prefers_what_is_reached():
    table = MAP[MAP["group"] == "fit"].assign(reach=[0.0, 0.0, 0.9, 0.9])
    figure = drawn("policy_map", table, most_states=1)
    assert any("2 of 4 states shown" in text for text in texts(figure))


def test_policy_map_refusals():
    with pytest.raises(DataError, match="group must be one of the table's.*fit, frail"):
        drawn("policy_map", group=None)
    with pytest.raises(DataError, match="states must be exposed sets"):
        drawn("policy_map", states=["z"])
    with pytest.raises(DataError, match="most_states must be at least 1"):
        drawn("policy_map", most_states=0)


# --- pathways -----------------------------------------------------------------------------------


def heights(figure: Figure, panel: int) -> list[tuple[float, float]]:
    """Column from which each flow comes, and its height."""
    out = []
    for patch in figure.axes[panel].patches:
        if isinstance(patch, PathPatch):
            vertices = patch.get_path().vertices
            assert vertices[7, 1] - vertices[0, 1] == pytest.approx(vertices[4, 1] - vertices[3, 1])
            out.append((round(vertices[0, 0] - 0.28), vertices[7, 1] - vertices[0, 1]))
    return out


def test_widths_of_flows_add_up():
    figure = drawn("alluvial")
    for panel in (0, 1):
        flows = pd.DataFrame(heights(figure, panel), columns=["line", "height"])
        sums = flows.groupby("line")["height"].sum()
        assert sums[1] == pytest.approx(1.0)
        part = FLOWS[FLOWS["panel"] == ["Observed", "Optimal"][panel]]
        by_line = part.groupby("line")["n"].sum()
        assert sums[2] == pytest.approx(by_line[2] / by_line[1])
        blocks = [p for p in figure.axes[panel].patches if isinstance(p, Rectangle)]
        first = [p.get_height() for p in blocks if p.get_x() < 1]
        assert sum(first) == pytest.approx(1.0)


def test_blocks_of_few_patients_have_no_label():
    labels = [t.get_text() for t in drawn("alluvial", minimum_count=1).axes[0].texts]
    assert "no further\n100" in labels
    hidden = [t.get_text() for t in drawn("alluvial", minimum_count=101).axes[0].texts]
    assert not any("no further" in text for text in hidden)
    few = drawn("alluvial", minimum_count=5000)
    assert few.axes[0].get_title(loc="left") == "Observed (fewer than 5000 patients)"


def test_order_of_blocks_avoids_crossings():
    flows = [_Flow(1, "A", "X", 10), _Flow(1, "B", "Y", 9), _Flow(1, "C", "Z", 8),
             _Flow(2, "X", "c", 8), _Flow(2, "Y", "b", 9), _Flow(2, "Z", "a", 10),
             _Flow(1, "A", "death", 1)]  # fmt: skip
    order = block_order(flows)
    assert order[1] == ["A", "B", "C"]
    assert order[2] == ["X", "Y", "Z", "death"]
    assert order[3] == ["c", "b", "a"]
    assert block_order(flows[::-1]) == order


def test_flows_count_every_patient(small):
    lines = fs.report.simulated_lines(small.simulate(small.solve(), 500, seed=2), small)
    flows = fs.report.pathway_flows({"Optimal": lines}, most_regimens=3)
    assert flows.loc[flows["line"] == 1, "n"].sum() == 500
    for line in (1, 2):
        arrive = flows[(flows["line"] == line)].groupby("to_regimen")["n"].sum()
        leave = flows[(flows["line"] == line + 1)].groupby("from_regimen")["n"].sum()
        for name, n in leave.items():
            assert arrive[name] == n
    ends = flows[flows["to_regimen"].isin(["death", "censored"])]["n"].sum()
    assert ends == 500
    assert len(set(flows["from_regimen"])) <= 3


def test_flows_of_known_lines():
    flows = fs.report.pathway_flows({"P": LINES})
    found = {(r.line, r.from_regimen, r.to_regimen): r.n for r in flows.itertuples()}
    assert found == {
        (1, "A", "A"): 1,
        (1, "A", "B"): 1,
        (1, "A", "death"): 1,
        (1, "B", "no further line"): 1,
        (2, "A", "censored"): 1,
        (2, "B", "death"): 1,
    }
    cut = fs.report.pathway_flows({"P": LINES}, most_lines=1)
    assert cut.set_index("to_regimen")["n"].to_dict() == {
        "death": 1, "further lines": 2, "no further line": 1,
    }  # fmt: skip
    named = fs.report.pathway_flows({"P": LINES}, most_regimens=1)
    assert set(named["from_regimen"]) == {"other regimens"}


def test_lines_must_be_in_order(small):
    with pytest.raises(DataError, match="numbered 1, 2"):
        fs.report.pathway_flows({"P": LINES[LINES["line"] == 2]})
    with pytest.raises(DataError, match="end_reason must be"):
        fs.report.pathway_flows({"P": LINES.assign(end_reason="moved")})
    with pytest.raises(DataError, match="a panel"):
        fs.report.pathway_flows({})
    with pytest.raises(DataError, match="most_lines must be at least 1"):
        fs.report.pathway_flows({"P": LINES}, most_lines=0)
    textbook = fs.sequence.examples.textbook()
    with pytest.raises(DataError, match="the run must be of this model"):
        fs.report.simulated_lines(textbook.simulate(["A", "B"], 9, seed=1), small)


def test_alluvial_needs_line_1():
    with pytest.raises(DataError, match="patients in line 1"):
        drawn("alluvial", FLOWS[FLOWS["line"] == 2])


def test_simulated_lines_follow_the_patients():
    model = fs.sequence.examples.textbook()
    run = model.simulate(["A", "B"], 200, seed=4)
    lines = fs.report.simulated_lines(run, model)
    last = lines.groupby("person").tail(1)
    assert last["end"].to_numpy() == pytest.approx(run.months)
    assert ((last["end_reason"] == "censored").to_numpy() == run.alive).all()
    assert (lines["ttnt"] >= 0).all()
    assert lines.groupby("person")["ttnt"].sum().to_numpy() == pytest.approx(run.months)


def test_bars_are_sorted_and_sampled_with_a_stated_seed():
    figure = drawn("sequence_index")
    assert any("3 of 4 patients, drawn at random (seed 1)" in text for text in texts(figure))
    assert figure.axes[0].get_ylabel() == "3 of 4 patients"
    whole = drawn("sequence_index", most_patients=9, seed=None)
    bars = sorted((p.get_y() + 0.5, p.get_x(), p.get_width()) for p in whole.axes[0].patches)
    assert bars == [(0, 0, 10), (0, 12, 8), (1, 0, 6), (1, 6, 21), (2, 0, 4), (3, 0, 40)]
    with pytest.raises(DataError, match="a seed must be given.*pass seed"):
        drawn("sequence_index", seed=None)
    with pytest.raises(DataError, match="most_patients"):
        drawn("sequence_index", most_patients=0)


# --- value, uncertainty, calibration ------------------------------------------------------------


def test_budget_table_holds_every_point():
    model = fs.sequence.examples.textbook()
    cost = {"A": 400.0, "B": 100.0}
    frontier, pareto = model.frontier(cost=cost), model.pareto(cost=cost)
    table = fs.report.budget_table(frontier, pareto, observed={"cost": 3000.0, "value": 10.0})
    counts = table["kind"].value_counts()
    assert counts["policy"] == len(frontier.table)
    assert counts["sequence"] == len(pareto.table)
    figure = drawn("value_against_budget", table)
    line = figure.axes[0].lines[0]
    assert list(line.get_ydata()) == pytest.approx(list(frontier.table["value"]))
    assert {"cheapest policy", "best policy", "observed care"} <= set(texts(figure))
    with pytest.raises(DataError, match="a cost and a value"):
        fs.report.budget_table(frontier, observed={"cost": 1.0})


def test_probability_best_says_what_is_left_out():
    figure = drawn("probability_best")
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["B → A", "A → B"]
    assert "65 % (50 to 80)" in texts(figure)
    assert any("2 of 3 sequences shown" in t and "5.0 % together" in t for t in texts(figure))
    with pytest.raises(DataError, match="not add to more than 1"):
        drawn("probability_best", SEQUENCE_TABLES["probability_best"][0].assign(
            probability=0.4, lower=0.1, upper=0.9))  # fmt: skip
    with pytest.raises(DataError, match="most_sequences"):
        drawn("probability_best", most_sequences=0)


def test_regret_is_sorted_by_its_mean():
    figure = drawn("regret")
    assert [t.get_text() for t in figure.axes[0].texts] == [
        "0.40 (0.00 to 1.20)",
        "1.50 (0.10 to 4.00)",
    ]


def test_calibration_has_a_panel_for_each_outcome_and_line():
    figure = drawn("calibration")
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["Line 1", "Line 2"]
    assert not figure.axes[3].axison
    numbers = [t.get_text() for t in figure.axes[1].texts]
    assert numbers == ["89"]
    assert "1\u202f234" in [t.get_text() for t in figure.axes[0].texts]
    assert figure.axes[2].get_ylabel() == "Survival"


# --- occupation, growth, tree -------------------------------------------------------------------


def test_areas_are_stacked_up_to_one():
    figure = drawn("state_occupation")
    assert legend(figure)[0] == "dead"
    for axes in figure.axes:
        tops = [area.get_paths()[0].vertices[:, 1].max() for area in axes.collections]
        assert max(tops) == pytest.approx(1.0)
    model = fs.sequence.examples.textbook()
    table = fs.sequence.occupation(model, ["A", "B"], "all").assign(policy="A → B")
    assert len(drawn("state_occupation", table).axes[0].collections) == 4
    with pytest.raises(DataError, match="each state must have one row a month"):
        drawn("state_occupation", pd.concat([OCCUPATION, OCCUPATION]))


def test_growth_is_drawn_on_logarithmic_scales():
    figure = drawn("cost_growth")
    for axes in figure.axes:
        assert axes.get_xscale() == axes.get_yscale() == "log"
        assert len(axes.lines) == 2
    assert legend(figure) == ["backward sweep", "enumeration"]


def test_tree_shows_conditions_and_regimens():
    said = [t.get_text() for t in drawn("policy_tree").axes[0].texts]
    assert said[0] == "100 %\nloss 0.20"
    assert {"line 1", "line 2 or later", "not exposed to x", "exposed to x"} <= set(said)
    assert {"A\n50 %   loss 0.10", "C\n20 %   loss 0.45"} <= set(said)
    circle = TREE.assign(parent=[None, 1, 5, 3, 3])
    with pytest.raises(DataError, match="every node must hang on the root"):
        drawn("policy_tree", circle)


def test_marks_of_simulated_data_are_exported():
    table, options = SEQUENCE_TABLES["regret"]
    with house_style():
        figure = fs.report.mark_simulated(fs.report.regret_figure(table, **options), simulated=True)
    assert "simulated data" in [t.get_text() for t in figure.texts]
