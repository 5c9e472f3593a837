"""Figures of a decision: what they draw is what the tables say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.report.decision_tables import DECISION_TABLES

VALUES = DECISION_TABLES["sequence_values"][0]


def test_intervals_and_truth_stand_where_they_are():
    axes = fs.report.sequence_values_figure(VALUES, title="T").axes[0]
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2]
    np.testing.assert_array_equal(spans, VALUES[["lower", "upper"]])
    diamonds = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    assert diamonds == VALUES["truth"].tolist()
    with pytest.raises(DataError, match="lower must not be above value"):
        fs.report.sequence_values_figure(VALUES.assign(lower=21.5), title="T")


def test_a_waterfall_goes_from_the_first_value_to_the_last():
    table = DECISION_TABLES["gain_waterfall"][0]
    axes = fs.report.gain_waterfall_figure(table, title="T").axes[0]
    assert [t.get_text() for t in axes.texts] == ["50.0", "\u22121.0", "+5.0", "54.0"]
    heights = [bar.get_height() for bar in axes.patches]
    assert heights[1:3] == [-1.0, 5.0]
    with pytest.raises(DataError, match="two steps"):
        fs.report.gain_waterfall_figure(table.head(1), title="T")


def test_a_tornado_puts_the_largest_above():
    table = DECISION_TABLES["tornado"][0]
    axes = fs.report.tornado_figure(table, title="T", value_label="months").axes[0]
    assert [bar.get_width() for bar in axes.patches] == [-2.0, 1.0, 0.1]
    with pytest.raises(DataError, match="finite"):
        fs.report.tornado_figure(table.assign(change=np.nan), title="T", value_label="months")


def test_published_and_here():
    table = DECISION_TABLES["published"][0]
    first, second = fs.report.published_figure(table, title="T").axes
    assert [line.get_xdata()[0] for line in first.lines[1:]] == [60.0, 58.0]
    assert [line.get_xdata()[0] for line in second.lines[1:]] == [0.2, 0.3]


def test_a_hostile_name_cannot_leave_its_script():
    values = pd.DataFrame(
        {"group": ["</script><script>alert(1)"], "line": [1], "exposed": [""], "regimen": ["A"],
         "value": [1.0], "difference": [0.0], "lower": [0.0], "upper": [0.0], "probability": [1.0],
         "patients": [3]}
    )  # fmt: skip
    curves = values[["group", "line", "exposed"]].assign(month=0, survival=1.0)
    html = fs.report.explore_page(
        values, curves, title="<b>T</b>", profiles=list(values["group"]), learnt={}, learnt_label="L",
        regimen_classes={}, first_lines={}, horizon=12, simulated=True,
    )  # fmt: skip
    assert "<script>alert" not in html
    assert "<b>T</b>" not in html
    assert html.count("</script>") == 2
