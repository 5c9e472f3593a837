"""Figures of linkage: what is on them."""

from __future__ import annotations

import numpy as np
import pandas as pd

import fiac_survival as fs
from fiac_survival.report.drawing import DRAWINGS
from fiac_survival.report.linkage_figures import MOST_LABELS
from fiac_survival.report.style import house_style
from tests.report.test_figures import TABLES


def drawn(kind, table=None):
    given, options = TABLES[kind]
    with house_style():
        figure = DRAWINGS[kind](given if table is None else table, **options)
        figure.canvas.draw()
    return figure


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_the_bars_of_a_flow_add_up():
    figure = drawn("linkage_flow")
    bars = [p for p in figure.axes[0].patches if p.get_width()]
    assert [p.get_width() for p in bars] == [450, 380, 20, 5, 45, 400]
    assert [p.get_x() for p in bars] == [0, 0, 380, 400, 405, 0]
    assert "380  (84.0 %)" in texts(figure)
    assert figure.axes[0].get_xlabel() == (
        "private persons; public file: 700 persons; 315\u202f000 pairs compared"
    )


def test_pareto_subsets_are_numbered_and_named():
    figure = drawn("minimum_data_set")
    rates, precisions, names = figure.axes
    for axes in (rates, precisions):
        assert [t.get_text() for t in axes.texts] == ["1", "2", "3", "4"]
    assert "2. a + c" in texts(figure)
    assert "98.0 %" in [t.get_text() for t in names.texts]
    assert rates.get_title(loc="left").endswith("target 80")


def test_many_pareto_subsets_are_named_in_part():
    n = 30
    table = pd.DataFrame(
        {
            "identifiers": [f"key_{k}" for k in range(n)],
            "n_identifiers": np.repeat([1, 2, 3], 10),
            "rate": np.linspace(0.2, 0.9, n),
            "precision": np.linspace(1.0, 0.95, n),
            "pareto": True,
        }
    )
    figure = drawn("minimum_data_set", table)
    assert figure.axes[2].get_title(loc="left") == f"no smaller one is better (12 of {n})"
    assert len(figure.axes[0].texts) == MOST_LABELS
    assert fs.report.minimum_data_set_curve is DRAWINGS["minimum_data_set"]
