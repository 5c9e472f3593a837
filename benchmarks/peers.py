"""Peers that may not be installed: the table then says so.

greenwood is imported where its package is there. R is run where ``Rscript`` and its package survival are;
it reads the data from a file before its clock starts, and its own seconds are taken (:class:`Timed`).
"""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Timed:
    """A result with the seconds that its maker measured itself."""

    value: object
    seconds: float


def installed(module: str) -> bool:
    """Whether a Python package is there."""
    return importlib.util.find_spec(module) is not None


def where_installed(module: str, call: Callable[[], object]) -> Callable[[], object] | None:
    """The contender, or None where its package is missing."""
    return call if installed(module) else None


@functools.cache
def r_survival() -> bool:
    """Whether R and its package survival are there."""
    if shutil.which("Rscript") is None:
        return False
    done = subprocess.run(["Rscript", "-e", "library(survival)"], capture_output=True, check=False)
    return done.returncode == 0


SCRIPT = """
suppressMessages(library(survival))
arguments <- commandArgs(TRUE)
data <- as.data.frame(read.csv(arguments[1]))
begun <- proc.time()[["elapsed"]]
value <- {{ {code} }}
seconds <- proc.time()[["elapsed"]] - begun
cat(sprintf('{{"seconds": %.6f, "value": [%s]}}\\n', seconds,
    paste(sprintf("%.15g", as.numeric(value)), collapse = ",")))
"""


def in_r(code: str, columns: Mapping[str, Any]) -> Callable[[], object] | None:
    """A contender in R: an expression in ``data`` whose value is a vector of numbers."""
    if not r_survival():
        return None

    def call() -> object:
        with tempfile.TemporaryDirectory() as folder:
            table, script = Path(folder) / "data.csv", Path(folder) / "run.R"
            pd.DataFrame({k: np.asarray(v) for k, v in columns.items()}).to_csv(table, index=False)
            script.write_text(SCRIPT.format(code=code), encoding="utf-8")
            done = subprocess.run(
                ["Rscript", str(script), str(table)],
                capture_output=True,
                encoding="utf-8",
                check=True,
            )
        found = json.loads(done.stdout.splitlines()[-1])
        return Timed(np.array(found["value"]), float(found["seconds"]))

    return call


def agree(results: Mapping[str, object], *, rtol: float, atol: float = 0.0) -> float:
    """Assert that all peers that ran agree with ours; the largest difference."""
    ours, *others = (np.asarray(value, dtype=np.float64) for value in results.values())
    largest = 0.0
    for other in others:
        np.testing.assert_allclose(ours, other, rtol=rtol, atol=atol)
        largest = max(largest, float(np.abs(ours - other).max()))
    return largest
