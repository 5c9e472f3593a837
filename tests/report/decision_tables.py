"""Tables of the figures of a decision."""

from __future__ import annotations

from typing import Any

import pandas as pd

DECISION_TABLES: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = {
    "sequence_values": (
        pd.DataFrame(
            {
                "panel": ["a", "a", "b"],
                "sequence": ["A → B", "B → A", "A → A"],
                "value": [20.0, 18.0, 9.0],
                "lower": [18.0, 15.0, 8.0],
                "upper": [22.0, 21.0, 11.0],
                "truth": [19.0, 18.5, 9.5],
            }
        ),
        {"title": "T"},
    ),
    "gain_waterfall": (
        pd.DataFrame({"label": ["x", "y", "z"], "value": [50.0, 49.0, 54.0]}),
        {"title": "T"},
    ),
    "tornado": (
        pd.DataFrame({"factor": "f", "choice": list("abc"), "change": [0.1, -2.0, 1.0]}),
        {"title": "T", "value_label": "months"},
    ),
    "published": (
        pd.DataFrame(
            {
                "panel": ["m", "s"],
                "figure": ["x", "y"],
                "published": [60.0, 0.2],
                "simulated": [58.0, 0.3],
            }
        ),
        {"title": "T"},
    ),
    "published_curves": (
        pd.DataFrame(
            {
                "panel": ["p"] * 4 + ["q"] * 3,
                "series": ["a", "a", "b", "a", "a", "a", "a"],
                "kind": ["curve", "curve", "curve", "target", "curve", "curve", "context"],
                "month": [0, 24, 0, 20, 0, 36, 30],
                "survival": [1.0, 0.4, 1.0, 0.5, 1.0, 0.6, 0.5],
                "lower": [1.0, 0.3, 1.0, None, 1.0, 0.5, None],
                "upper": [1.0, 0.5, 1.0, None, 1.0, 0.7, None],
                "n_risk": [90, 40, 50, None, 90, 50, None],
            }
        ),
        {"title": "T"},
    ),
}
