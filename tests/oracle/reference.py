"""Reading the reference numbers, and comparing with them."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import fiac_survival as fs

FOLDER = Path(__file__).parent


@functools.cache
def records(topic: str) -> dict[str, Any]:
    text = (FOLDER / "expected" / f"{topic}.json").read_text(encoding="utf-8")
    return {record["id"]: record["result"] for record in json.loads(text)["records"]}


@functools.cache
def _rows(name: str) -> pd.DataFrame:
    path = FOLDER / "data" / f"{name}.csv"
    if not path.exists():  # two of them come with the package
        return fs.datasets.load(name).frame
    return pd.read_csv(path, float_precision="round_trip")


def rows(name: str) -> pd.DataFrame:
    frame = _rows(name).copy()
    return frame.rename(columns={"ph.ecog": "ecog", "flc.grp": "flc"})


def numbers(values: Any) -> np.ndarray:
    """Numbers of a record; null becomes NaN."""
    if isinstance(values, dict):
        values = values.get("values", list(values.values()))
    array = np.array(values, dtype=object)
    return np.where(array == None, np.nan, array).astype(float)  # noqa: E711


def agree(ours: Any, theirs: Any, relative: float = 1e-8, absolute: float = 1e-12) -> None:
    """Assert agreement to a relative tolerance, NaN only where the reference has none."""
    np.testing.assert_allclose(
        np.asarray(ours, dtype=float).ravel(),
        numbers(theirs).ravel(),
        rtol=relative,
        atol=absolute,
        equal_nan=True,
    )
