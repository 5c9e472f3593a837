"""Figures: stable bytes, drawn from the table alone, and refusing what they cannot draw."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import matplotlib as mpl
import pandas as pd
import pytest

from fiac_survival.core.errors import DataError
from fiac_survival.core.released import write_table
from fiac_survival.report.drawing import DRAWINGS, draw, draw_from_csv
from fiac_survival.report.style import house_style
from tests.report.decision_tables import DECISION_TABLES
from tests.report.sequence_tables import SEQUENCE_TABLES

SURVIVAL = pd.DataFrame(
    {
        "panel": "Source",
        "arm": [0, 0, 0, 1, 1, 1],
        "arm_label": ["No"] * 3 + ["Yes"] * 3,
        "time": [0.0, 5.0, 10.0] * 2,
        "survival": [1.0, 0.7, 0.4, 1.0, 0.8, 0.6],
        "lower": [1.0, 0.6, 0.3, 1.0, 0.7, 0.5],
        "upper": [1.0, 0.8, 0.5, 1.0, 0.9, 0.7],
        "n_risk": [9, 7, 3] * 2,
        "n_event": [0, 2, 5] * 2,
        "n_censor": [0, 0, 1] * 2,
    }
)
TABLES = (
    {
        "linkage_flow": (
            pd.DataFrame(
                {
                    "kind": [
                        *("persons", "persons", "pass", "candidates"),
                        *("probability", "ambiguous", "unlinked", "linked"),
                    ],
                    "step": [
                        *(
                            "private persons",
                            "public persons",
                            "sex + birth_year",
                            "pairs compared",
                        ),
                        *("linked by the model", "several fit", "none fits", "linked"),
                    ],
                    "n": [450, 700, 380, 315000, 20, 5, 45, 400],
                    "share": [1.0, None, 0.84, None, 0.04, 0.01, 0.1, 0.89],
                }
            ),
            {"title": "T"},
        ),
        "minimum_data_set": (
            pd.DataFrame(
                {
                    "identifiers": ["a", "b", "a + b", "a + c", "b + c", "a + b + c"],
                    "n_identifiers": [1, 1, 2, 2, 2, 3],
                    "rate": [0.1, 0.0, 0.6, 0.7, 0.2, 0.8],
                    "precision": [0.5, None, 0.99, 0.98, 0.97, 1.0],
                    "pareto": [True, False, True, True, False, True],
                }
            ),
            {"title": "T", "rate_target": 0.8, "precision_target": 0.99},
        ),
        "survival": (
            SURVIVAL,
            {"title": "T", "time_label": "Months", "survival_label": "S", "tick": 5.0},
        ),
        "love_plot": (
            pd.DataFrame(
                {
                    "panel": "Source",
                    "covariate": ["Age", "Sex"] * 2,
                    "method": ["Before"] * 2 + ["After"] * 2,
                    "smd": [0.5, -0.3, 0.02, 0.0],
                }
            ),
            {"title": "T", "gate": 0.1, "limit": 1.0, "x_label": "SMD"},
        ),
        "overlap": (
            pd.DataFrame(
                {
                    "panel": "Source",
                    "arm_label": ["No", "No", "Yes", "Yes"],
                    "left": [0.0, 0.5] * 2,
                    "right": [0.5, 1.0] * 2,
                    "share": [0.7, 0.3, 0.4, 0.6],
                }
            ),
            {"title": "T", "x_label": "x", "y_label": "y"},
        ),
        "forest": (
            pd.DataFrame(
                {
                    "panel": ["HR", "HR", "RMST", "RMST"],
                    "scale": ["log", "log", "identity", "identity"],
                    "null": [1.0, 1.0, 0.0, 0.0],
                    "low": [0.4, 0.4, -3.0, -3.0],
                    "high": [1.5, 1.5, 9.0, 9.0],
                    "ticks": ["0.5;1", "0.5;1", "0;5", "0;5"],
                    "digits": [2, 2, 1, 1],
                    "source_label": ["A", "B", "A", "B"],
                    "method_label": "Unadjusted",
                    "estimate": [0.7, 0.8, 4.0, 11.0],
                    "lower": [0.5, 0.2, 1.0, 8.0],
                    "upper": [0.9, 1.9, 7.0, 14.0],
                    "primary": [True, False, True, False],
                }
            ),
            {"title": "T", "note": "n"},
        ),
        "agreement": (
            pd.DataFrame(
                {
                    "panel": "HR",
                    "method_label": ["a", "b"],
                    "difference": [0.0, 0.3],
                    "lower": [-0.1, 0.1],
                    "upper": [0.1, 0.5],
                    "lower_equivalence": [-0.08, 0.15],
                    "upper_equivalence": [0.08, 0.45],
                    "margin": 0.22,
                    "unit": "log hazard ratio",
                    "equivalent": [True, False],
                    "primary": [True, False],
                }
            ),
            {"title": "T", "note": "n"},
        ),
        "extrapolation": (
            pd.DataFrame(
                {
                    "family": ["Kaplan-Meier"] * 3 + ["weibull"] * 3 + ["royston_parmar"] * 3,
                    "time": [0.0, 4.0, 8.0] + [0.0, 8.0, 20.0] * 2,
                    "survival": [1.0, 0.7, 0.5, 1.0, 0.5, 0.2, 1.0, 0.52, 0.3],
                    "lower": [1.0, 0.6, None, 1.0, 0.4, 0.1, 1.0, 0.4, 0.1],
                    "upper": [1.0, 0.8, None, 1.0, 0.6, 0.3, 1.0, 0.6, 0.5],
                    "data_end": 9.0,
                }
            ),
            {"title": "T", "time_label": "Months", "survival_label": "S"},
        ),
        "hazard": (
            pd.DataFrame(
                {
                    "source": ["kernel"] * 3 + ["gompertz"] * 3,
                    "time": [1.0, 2.0, 3.0] * 2,
                    "hazard": [0.1, None, 0.3, 0.12, 0.2, 0.28],
                    "lower": [0.05, None, 0.1, 0.1, 0.15, 0.2],
                    "upper": [0.2, None, 0.9, 0.14, 0.25, 0.4],
                }
            ),
            {"title": "T", "time_label": "Months", "hazard_label": "h"},
        ),
        "adjusted_survival": (
            pd.concat(
                [SURVIVAL, SURVIVAL.assign(panel="Other", band_lower=0.2, band_upper=1.0)],
                ignore_index=True,
            ).drop(columns=["n_risk", "n_event", "n_censor"]),
            {"title": "T", "time_label": "Months", "survival_label": "S", "tick": 5.0, "note": "n"},
        ),
        "residuals": (
            pd.DataFrame(
                {
                    "term": ["age"] * 5 + ["a term with a long name that must be broken"] * 4,
                    "kind": ["residual"] * 3
                    + ["smooth"] * 2
                    + ["residual", "smooth", "smooth"]
                    + ["reference"],
                    "x": [1.0, 2.0, 4.0, 1.0, 4.0, 2.0, 1.0, 4.0, 1.0],
                    "residual": [0.3, -0.2, 0.1, 0.2, 0.0, 0.4, 0.1, 0.2, 0.3],
                    "lower": [None] * 3 + [-0.1, -0.2, None, -0.3, -0.1, None],
                    "upper": [None] * 3 + [0.4, 0.2, None, 0.5, 0.6, None],
                }
            ),
            {"title": "T", "x_label": "Months", "residual_label": "Residual"},
        ),
        "paired_survival": (
            pd.DataFrame(
                {
                    "panel": ["Survival"] * 3 + ["Progression"] * 3,
                    "private_label": "Forms",
                    "public_label": "Claims",
                    "time": [0.0, 5.0, 10.0] * 2,
                    "private": [1.0, 0.7, 0.4] * 2,
                    "private_lower": [1.0, 0.6, 0.3] * 2,
                    "private_upper": [1.0, 0.8, 0.5] * 2,
                    "public": [1.0, 0.72, 0.41] * 2,
                    "public_lower": [1.0, 0.6, 0.3] * 2,
                    "public_upper": [1.0, 0.8, 0.5] * 2,
                    "difference": [0.0, -0.02, -0.01] * 2,
                    "lower": [0.0, -0.04, -0.03] * 2,
                    "upper": [0.0, 0.0, 0.01] * 2,
                    "band_lower": [0.0, -0.05, -0.04] * 2,
                    "band_upper": [0.0, 0.01, 0.02] * 2,
                    "margin": 0.05,
                }
            ),
            {"title": "T", "time_label": "Months", "survival_label": "S", "tick": 5.0, "note": "n"},
        ),
        "bland_altman": (
            pd.DataFrame(
                {
                    "panel": "Days",
                    "kind": ["patient"] * 3 + ["line"] * 3,
                    "label": [None] * 3 + ["bias", "lower limit", "upper limit"],
                    "mean": [10.0, 50.0, 90.0] + [None] * 3,
                    "difference": [1.0, -20.0, 4.0, -5.0, -31.0, 21.0],
                    "lower": [None] * 3 + [-9.0, -40.0, 15.0],
                    "upper": [None] * 3 + [-1.0, -22.0, 27.0],
                }
            ),
            {"title": "T", "x_label": "x", "y_label": "y", "note": "n"},
        ),
        "ascertainment": (
            pd.DataFrame(
                {
                    "panel": "Deaths",
                    "part": ["patients"] * 4 + ["events"] * 4 + ["measure"],
                    "label": [
                        *("both", "only private", "only public", "neither"),
                        *("matched", "shifted", "missed", "extra", "kappa"),
                    ],
                    "value": [30.0, 1.0, 4.0, 65.0, 28.0, 2.0, 1.0, 4.0, 0.9],
                    "lower": [None] * 8 + [0.8],
                    "upper": [None] * 8 + [0.95],
                }
            ),
            {"title": "T", "private_label": "forms", "public_label": "claims", "note": "n"},
        ),
        "ladder": (
            pd.DataFrame(
                {
                    "rule_label": ["forms", "forms", "claims", "claims"],
                    "censoring": ["last_activity", "cutoff"] * 2,
                    "n_event": [10, 10, 12, 12],
                    "estimate": [20.0, 20.5, 19.0, 20.1],
                    "lower": [19.0, 19.5, 18.0, 19.1],
                    "upper": [21.0, 21.5, 20.0, 21.1],
                    "difference": [0.0, 0.5, -1.0, 0.1],
                    "difference_lower": [0.0, 0.3, -1.2, -0.1],
                    "difference_upper": [0.0, 0.7, -0.8, 0.3],
                }
            ),
            {"title": "T", "x_label": "months", "difference_label": "d", "note": "n"},
        ),
        "decomposition": (
            pd.DataFrame(
                {
                    "panel": "Survival",
                    "kind": ["level", "step", "step", "level"],
                    "label": ["forms", "deaths recorded", "end of follow-up", "claims"],
                    "value": [20.0, -0.5, 0.2, 19.7],
                    "lower": [None, -0.8, 0.1, None],
                    "upper": [None, -0.2, 0.3, None],
                    "smallest": [None, -0.6, 0.2, None],
                    "largest": [None, -0.4, 0.2, None],
                }
            ),
            {"title": "T", "y_label": "months", "note": "n"},
        ),
        "stacked_probability": (
            pd.DataFrame(
                {
                    "panel": ["A"] * 6 + ["B"] * 6,
                    "time": [0.0, 5.0, 10.0] * 4,
                    "state": (["relapse"] * 3 + ["death"] * 3) * 2,
                    "probability": [0.0, 0.2, 0.3, 0.0, 0.1, 0.2, 0.0, 0.1, 0.5, 0.0, 0.3, 0.5],
                }
            ),
            {"title": "T", "time_label": "Months", "tick": 5.0, "rest": "event-free"},
        ),
        "attrition": (
            pd.DataFrame(
                {
                    "panel": "Source",
                    "kind": ["step", "step", "arm", "arm"],
                    "label": ["In the source", "Eligible", "No", "Yes"],
                    "n": [1000, 700, 400, 300],
                    "n_excluded": [0, 300, 0, 0],
                }
            ),
            {"title": "T"},
        ),
    }
    | SEQUENCE_TABLES
    | DECISION_TABLES
)


def test_every_drawing_is_tested():
    assert set(TABLES) == set(DRAWINGS)


DRAW_ALL = """
import json, sys
from pathlib import Path
from fiac_survival.report.drawing import draw_from_csv
folder = Path(sys.argv[1])
for kind, options in json.loads((folder / "options.json").read_text()).items():
    draw_from_csv(kind, folder / f"{kind}.csv", folder / kind, options, simulated=False)
"""


@pytest.fixture(scope="module")
def drawn_elsewhere(tmp_path_factory):
    """Draw every figure in another process, whose hashes are other ones."""
    folder = tmp_path_factory.mktemp("elsewhere")
    for kind, (table, _) in TABLES.items():
        write_table(folder / f"{kind}.csv", table)
    options = {kind: options for kind, (_, options) in TABLES.items()}
    (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-c", DRAW_ALL, str(folder)],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    return folder


@pytest.mark.slow  # the published figures are drawn again by tests/study/test_published.py
def test_bytes_depend_on_the_table_alone(tmp_path, drawn_elsewhere):
    for kind, (table, options) in TABLES.items():
        write_table(tmp_path / "t.csv", table)
        # The user's own settings, another folder and other hashes change nothing.
        with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
            drawn = draw_from_csv(
                kind, tmp_path / "t.csv", tmp_path / kind, options, simulated=False
            )
        assert drawn
        for path in drawn:
            assert path.read_bytes() == (drawn_elsewhere / path.name).read_bytes(), path.name


@pytest.mark.parametrize("kind", list(TABLES))
def test_simulated_figures_say_so(kind):
    table, options = TABLES[kind]
    with house_style():
        plain = draw(kind, table, options, simulated=False)
        marked = draw(kind, table, options, simulated=True)
    assert not any("SIMULATED" in t.get_text() for t in plain.texts)
    assert any("SIMULATED DATA" in t.get_text() for t in marked.texts)


def test_refusals():
    table, options = TABLES["survival"]
    with pytest.raises(DataError, match="kind of figure must be known.*pie"):
        draw("pie", table, options, simulated=False)
    with pytest.raises(DataError, match="columns that the figure draws.*lower"):
        draw("survival", table.drop(columns="lower"), options, simulated=False)


def test_refusals_of_stacks_and_residuals():
    table, options = TABLES["stacked_probability"]
    with pytest.raises(DataError, match="must not add to more than 1.*panel=B"):
        draw("stacked_probability", table.assign(probability=table["probability"].replace(0.5, 0.7)),
             options, simulated=False)  # fmt: skip
    with pytest.raises(DataError, match="one row a time"):
        draw("stacked_probability", pd.concat([table, table]), options, simulated=False)
    with pytest.raises(DataError, match="order must hold every state once"):
        draw("stacked_probability", table, options | {"order": ["death"]}, simulated=False)
    table, options = TABLES["residuals"]
    with pytest.raises(DataError, match="kind must be one of"):
        draw("residuals", table.assign(kind="point"), options, simulated=False)
    table, options = TABLES["adjusted_survival"]
    with pytest.raises(DataError, match="survival must lie between 0 and 1"):
        draw("adjusted_survival", table.assign(survival=1.2), options, simulated=False)


def test_drawing_leaves_the_settings_of_the_user():
    before = dict(mpl.rcParams)
    with house_style():
        assert mpl.rcParams["svg.hashsalt"] == "fiac_survival"
    assert dict(mpl.rcParams) == before


def test_numbers_at_risk_stand_below_the_curves():
    table, options = TABLES["survival"]
    with house_style():
        figure = draw("survival", table, options, simulated=False)
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert texts.count("9") == 2
    assert texts.count("3") == 2
    assert {"At risk", "Events", "Censored"} <= set(texts)
    assert "Entered" not in texts


def test_late_entries_have_a_line_of_their_own():
    table, options = TABLES["survival"]
    with house_style():
        figure = draw("survival", table.assign(n_entered=[0, 44, 55] * 2), options, simulated=False)
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert texts.count("Entered") == texts.count("44") == 2
