"""Figures of the same patients in two sources: what is on them."""

from __future__ import annotations

import numpy as np
import pytest

from fiac_survival.core.errors import DataError
from fiac_survival.report.drawing import DRAWINGS, draw
from fiac_survival.report.style import house_style
from tests.report.test_figures import TABLES


def drawn(kind, **options):
    table, given = TABLES[kind]
    with house_style():
        figure = DRAWINGS[kind](table, **(given | options))
        figure.canvas.draw()
    return figure


def texts(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def test_curves_stand_above_their_difference():
    figure = drawn("paired_survival")
    assert len(figure.axes) == 4
    above, below = figure.axes[:2]
    assert [t.get_text() for t in above.get_legend().get_texts()] == ["Forms", "Claims"]
    np.testing.assert_array_equal(above.lines[0].get_ydata(), [1.0, 0.7, 0.4])
    difference = below.lines[-1]
    np.testing.assert_array_equal(difference.get_ydata(), [0.0, -0.02, -0.01])
    margins = {float(line.get_ydata()[0]) for line in below.lines if len(line.get_ydata()) == 2}
    assert margins == {0.0, -0.05, 0.05}
    assert below.get_xlim() == above.get_xlim()


def test_numbers_at_risk_stand_below():
    table, options = TABLES["paired_survival"]
    counted = table.assign(private_n_risk=[90, 60, 30] * 2, public_n_risk=[91, 61, 31] * 2)
    figure = draw("paired_survival", counted, options, simulated=False)
    numbers = [axes for axes in figure.axes if not axes.axison]
    assert len(numbers) == 2
    first = ["At risk", "Forms", "90", "60", "30", "Claims", "91", "61", "31"]
    assert [t.get_text() for t in numbers[0].texts] == first
    assert [t.get_text() for t in numbers[1].texts] == first[2:5] + first[6:]
    assert numbers[0].get_xlim() == figure.axes[0].get_xlim()
    with pytest.raises(DataError, match="row at every tick"):
        draw("paired_survival", counted, options | {"tick": 2.0}, simulated=False)


def test_patients_and_events_are_counted():
    figure = drawn("ascertainment")
    words = texts(figure)
    assert {"30\n(30.0 %)", "1\n(1.0 %)", "4\n(4.0 %)", "65\n(65.0 %)"} <= set(words)
    assert "kappa 0.90 (0.80 to 0.95)" in words
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    np.testing.assert_allclose(widths, [28 / 35, 2 / 35, 1 / 35, 4 / 35])


def test_rungs_have_their_number_of_events():
    figure = drawn("ladder")
    assert texts(figure) == ["10", "12", "10", "12"]
    left, right = figure.axes
    assert [t.get_text() for t in left.get_yticklabels()] == ["forms", "claims"]
    np.testing.assert_array_equal(left.lines[0].get_xdata(), [20.0, 19.0])
    np.testing.assert_array_equal(right.lines[1].get_xdata(), [0.0, -1.0])


def test_bars_lead_from_level_to_level():
    (axes,) = drawn("decomposition").axes
    bars = [(p.get_y(), p.get_height()) for p in axes.patches]
    np.testing.assert_allclose(bars, [(19.5, 0.5), (19.5, 0.2)])
    assert [t.get_text() for t in axes.texts] == ["20.00", "\u22120.50", "+0.20", "19.70"]


def test_limits_of_agreement_have_their_numbers():
    (axes,) = drawn("bland_altman").axes
    assert [t.get_text() for t in axes.texts] == [
        "bias\n\u22125",
        "lower limit\n\u221231",
        "upper limit\n21",
    ]
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), [10.0, 50.0, 90.0])


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("paired_survival", "band_lower"),
        ("ascertainment", "part"),
        ("ladder", "n_event"),
        ("decomposition", "smallest"),
        ("bland_altman", "mean"),
    ],
)
def test_what_lacks_is_named(kind, column):
    table, options = TABLES[kind]
    with pytest.raises(DataError, match=column):
        draw(kind, table.drop(columns=column), options, simulated=False)
