"""Small tables for each figure of treatment sequences, with the options it is drawn with."""

from __future__ import annotations

from typing import Any

import pandas as pd

LINES = pd.DataFrame(
    {
        "person": [1, 1, 2, 2, 3, 4],
        "line": [1, 2, 1, 2, 1, 1],
        "regimen": ["A", "B", "A", "A", "B", "A"],
        "start": [0.0, 12.0, 3.0, 9.0, 0.0, 1.0],
        "end": [10.0, 20.0, 9.0, 30.0, 40.0, 5.0],
        "end_reason": ["switch", "death", "switch", "censored", "planned stop", "death"],
    }
)
FLOWS = pd.DataFrame(
    {
        "panel": ["Observed"] * 6 + ["Optimal"] * 3,
        "line": [1, 1, 1, 2, 2, 2, 1, 1, 2],
        "from_regimen": ["A", "A", "B", "A", "B", "B", "A", "A", "B"],
        "to_regimen": [
            "A", "B", "B", "death", "censored", "no further line", "B", "death", "further lines",
        ],
        "n": [300, 500, 200, 300, 600, 100, 900, 100, 900],
    }
)  # fmt: skip
MAP = pd.DataFrame(
    {
        "group": ["fit", "fit", "fit", "fit", "frail"],
        "line": [1, 2, 2, 3, 1],
        "exposed": ["", "x", "x + y", "x + y", ""],
        "refractory": ["", "", "x", "x", ""],
        "regimen": ["A", "B", "a regimen with a name that is much too long for a cell", "B", "C"],
        "value": [40.0, 30.0, 25.0, 12.0, 20.0],
        "supported": [True, True, False, True, True],
    }
)
BUDGET = pd.DataFrame(
    {
        "kind": ["policy", "policy", "policy", "sequence", "sequence", "observed"],
        "cost": [100.0, 150.0, 300.0, 100.0, 200.0, 220.0],
        "value": [20.0, 25.0, 28.0, 20.0, 25.5, 22.0],
        "supported": [True, True, True, True, False, False],
        "label": ["cheapest policy", "", "best policy", "", "A → B", "observed care"],
        "lower": [None] * 5 + [20.0],
        "upper": [None] * 5 + [24.0],
    }
)
PROBABILITY = pd.DataFrame(
    {
        "sequence": ["A → B", "B → A", "A → A"],
        "probability": [0.3, 0.65, 0.05],
        "lower": [0.2, 0.5, 0.0],
        "upper": [0.4, 0.8, 0.1],
    }
)
REGRET = pd.DataFrame(
    {
        "sequence": ["A → B", "B → A"],
        "mean": [1.5, 0.4],
        "q05": [0.1, 0.0],
        "q25": [0.5, 0.1],
        "median": [1.2, 0.3],
        "q75": [2.0, 0.6],
        "q95": [4.0, 1.2],
    }
)
CALIBRATION = pd.DataFrame(
    {
        "outcome": ["next line or death"] * 4 + ["survival"] * 2,
        "line": [1, 1, 2, 2, 1, 1],
        "month": [0.0, 24.0] * 3,
        "observed": [1.0, 0.4, 1.0, 0.3, 1.0, 0.7],
        "lower": [1.0, 0.3, 1.0, 0.2, 1.0, 0.6],
        "upper": [1.0, 0.5, 1.0, 0.4, 1.0, 0.8],
        "predicted": [1.0, 0.45, 1.0, 0.28, 1.0, 0.72],
        "at_risk": [1234.0, 567.0, 89.0, None, 1234.0, 890.0],
    }
)
STATES = ["line 1", "line 2", "after the last line", "dead"]
OCCUPATION = pd.DataFrame(
    {
        "policy": ["Optimal"] * 8 + ["Observed"] * 8,
        "month": ([0.0] * 4 + [24.0] * 4) * 2,
        "state": STATES * 4,
        "probability": [1, 0, 0, 0, 0.4, 0.3, 0.1, 0.2, 1, 0, 0, 0, 0.3, 0.2, 0.1, 0.4],
    }
)
GROWTH = pd.DataFrame(
    {
        "axis": ["lines"] * 4 + ["classes"] * 4,
        "size": [2, 4, 2, 4, 5, 10, 5, 10],
        "solver": ["backward sweep", "backward sweep", "enumeration", "enumeration"] * 2,
        "seconds": [0.001, 0.004, 0.01, 3.0, 0.002, 0.02, 0.01, 20.0],
    }
)
TREE = pd.DataFrame(
    {
        "node": [1, 2, 3, 4, 5],
        "parent": [None, 1, 1, 3, 3],
        "condition": [None, "line 1", "line 2 or later", "not exposed to x", "exposed to x"],
        "regimen": [None, "A", None, "B", "C"],
        "share": [1.0, 0.5, 0.5, 0.3, 0.2],
        "loss": [0.2, 0.1, 0.3, 0.2, 0.45],
    }
)
SEQUENCE_TABLES: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "policy_map": (MAP, {"title": "T", "group": "fit", "show_value": True}),
    "alluvial": (FLOWS, {"title": "T"}),
    "sequence_index": (LINES, {"title": "T", "most_patients": 3, "seed": 1, "tick": 12.0}),
    "value_against_budget": (BUDGET, {"title": "T", "value_label": "v", "cost_label": "c"}),
    "probability_best": (PROBABILITY, {"title": "T", "most_sequences": 2}),
    "regret": (REGRET, {"title": "T"}),
    "calibration": (CALIBRATION, {"title": "T"}),
    "state_occupation": (OCCUPATION, {"title": "T"}),
    "cost_growth": (GROWTH, {"title": "T"}),
    "policy_tree": (TREE, {"title": "T"}),
}
