r"""How near found lines of therapy come to true ones.

- **Line count**: Cohen's kappa of the number of lines per patient with quadratic weights,
  :math:`\kappa = 1 - \sum_{ij} (i-j)^2 o_{ij} / \sum_{ij} (i-j)^2 e_{ij}`, where :math:`o` are the observed
  pairs and :math:`e` those expected from the margins (Cohen, 1968); and the share with the same number.
- **Starts**: share of true lines whose found line of the same number starts within 14, and within 30 days.
- **Regimens**: with the regimens of a patient as a multiset of sets of drugs, the F1 score
  :math:`2 t / (f + r)`: :math:`t` in both, :math:`f` found and :math:`r` true, summed over patients.

Patients without lines on one side count with zero lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result

NEEDED = ("person", "line", "regimen", "start")


class LineAccuracy(Result):
    """How near found lines come to true ones; `table` has metric, value, n (what it is a share of)."""

    def __getitem__(self, metric: str) -> float:
        rows = self.table.loc[self.table["metric"] == metric, "value"]
        if rows.empty:
            raise KeyError(metric)
        return float(rows.iloc[0])


def line_accuracy(found: Any, truth: Any) -> LineAccuracy:
    """Compare found lines of therapy with true ones.

    Parameters
    ----------
    found, truth : DataFrame or LinesOfTherapy
        One row a line: person, line (1, 2, ...), regimen (drugs joined by "+", in any order), start.

    Returns
    -------
    LineAccuracy
        Metrics line_count_kappa, line_count_equal, start_within_14, start_within_30, regimen_f1. Kappa is
        missing where all patients have the same number of lines on both sides.

    Raises
    ------
    DataError
        If a column is missing, a line stands twice, or there is no true line.

    References
    ----------
    Cohen J. Weighted kappa. Psychological Bulletin 1968;70:213-220.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> truth = pd.DataFrame({"person": [1, 1, 2], "line": [1, 2, 1], "regimen": ["a+b", "c", "a"],
    ...                       "start": pd.to_datetime(["2020-01-01", "2021-01-01", "2020-05-01"])})
    >>> found = truth.assign(start=truth["start"] + pd.Timedelta(days=20), regimen=["b+a", "c", "d"])
    >>> fs.cohort.line_accuracy(found, truth).table
                 metric     value  n
    0  line_count_kappa  1.000000  2
    1  line_count_equal  1.000000  2
    2   start_within_14  0.000000  3
    3   start_within_30  1.000000  3
    4        regimen_f1  0.666667  3
    """
    mine, real = _lines(found, "found"), _lines(truth, "truth")
    if real.empty:
        raise DataError("truth must have lines", values={"rows": 0})
    counts = pd.DataFrame(
        {"found": mine.groupby("person").size(), "truth": real.groupby("person").size()}
    )
    number = counts.fillna(0).to_numpy(dtype=np.int64)
    both = real.merge(mine, on=["person", "line"], suffixes=("_true", "_found"))
    off = (both["start_found"] - both["start_true"]).abs()
    regimens = [
        lines.groupby(["person", "drugs"]).size().rename(name)
        for name, lines in (("found", mine), ("truth", real))
    ]
    paired = pd.concat(regimens, axis=1).fillna(0)
    shared = float(paired.min(axis=1).sum())
    rows: list[tuple[str, float, int]] = [
        ("line_count_kappa", _weighted_kappa(number[:, 0], number[:, 1]), len(number)),
        ("line_count_equal", float(np.mean(number[:, 0] == number[:, 1])), len(number)),
        *(
            (f"start_within_{d}", float((off <= pd.Timedelta(days=d)).sum()) / len(real), len(real))
            for d in (14, 30)
        ),
        ("regimen_f1", 2.0 * shared / (len(mine) + len(real)), len(real)),
    ]
    return LineAccuracy(table=pd.DataFrame(rows, columns=["metric", "value", "n"]))


def _lines(lines: Any, name: str) -> pd.DataFrame:
    frame = lines.table if isinstance(lines, Result) else lines
    missing = [column for column in NEEDED if column not in frame]
    if missing:
        raise DataError(
            f"{name} must have the columns of lines of therapy",
            values={"missing": ", ".join(missing)},
            remedy="see fs.cohort.lines_of_therapy",
        )
    out = pd.DataFrame({column: frame[column] for column in NEEDED}).reset_index(drop=True)
    twice = np.flatnonzero(out.duplicated(["person", "line"]).to_numpy())
    if twice.size:
        raise DataError(
            f"{name} must have each line once",
            count=int(twice.size),
            row=int(twice[0]),
            values={"line": out["line"].iloc[int(twice[0])]},
            remedy="count the lines of each patient 1, 2, ...",
        )
    out["start"] = pd.to_datetime(out["start"])
    out["drugs"] = out["regimen"].map(lambda text: "+".join(sorted(str(text).split("+"))))
    return out


def _weighted_kappa(a: Any, b: Any) -> float:
    observed = float(np.mean((a - b) ** 2))
    expected = float(np.mean((a[:, None] - np.unique(b)[None, :]) ** 2 * _shares(b)[None, :]))
    expected *= np.unique(b).size
    return 1.0 - observed / expected if expected > 0 else float("nan")


def _shares(values: Any) -> Any:
    return np.unique(values, return_counts=True)[1] / values.size
