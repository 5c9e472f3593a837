"""Simulated figures beside the published ones."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fiac_survival.core.outcome import Outcome
from fiac_survival.simulate.myeloma import MyelomaLines
from fiac_survival.survival import kaplan_meier

MONTH = 30.4375
PATHWAYS = "SNDS pathways of patients diagnosed in 2014-15, n=7,118 (OAb016)"
SURVIVAL = "SNDS survival, N=14,309 (Leleu 2023)"
PUBLISHED = (
    ("line 1, no transplant: still in line", 0.15, PATHWAYS),
    ("line 1, no transplant: died", 0.31, PATHWAYS),
    ("line 1, no transplant: next line", 0.54, PATHWAYS),
    ("line 1, transplant: still in line", 0.33, PATHWAYS),
    ("line 1, transplant: died", 0.04, PATHWAYS),
    ("line 1, transplant: next line", 0.63, PATHWAYS),
    ("line 2, no transplant: still in line", 0.26, PATHWAYS),
    ("line 2, no transplant: died", 0.29, PATHWAYS),
    ("line 2, no transplant: next line", 0.45, PATHWAYS),
    ("median survival from diagnosis, months", 63.8, SURVIVAL),
    ("dead two years after diagnosis", 0.24, SURVIVAL),
    ("median survival from line 1, months", 61.0, SURVIVAL),
    ("median survival from line 4, months", 14.8, SURVIVAL),
    ("median time to next treatment, VRd in line 1, months", 26.4, SURVIVAL),
    ("median survival, VRd in line 1, months", 61.7, SURVIVAL),
    ("median time to next treatment, Rd in line 1, months", 20.0, SURVIVAL),
    ("median survival, Rd in line 1, months", 39.6, SURVIVAL),
)


def myeloma_calibration(found: MyelomaLines) -> pd.DataFrame:
    """Compare simulated patients with the published figures.

    Parameters
    ----------
    found : MyelomaLines
        Simulated patients, some thousands.

    Returns
    -------
    DataFrame
        figure, published, simulated, relative_error, within_10_percent, source. All are targets.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = myeloma_calibration(fs.simulate.myeloma_lines(3_000, seed=1))
    >>> len(table)
    17
    """
    lines = found.lines
    person = found.person.set_index("person")
    eligible = lines["group"].str.startswith("transplant")
    first = lines[lines["line"] == 1].set_index("person")["start"]
    early = lines["person"].isin(first.index[first < 2 * 365])
    simulated = []
    for number, to_transplant in ((1, False), (1, True), (2, False)):
        simulated += _fates(lines[early & (lines["line"] == number) & (eligible == to_transplant)])
    dead = person["death"].notna().to_numpy()
    from_diagnosis = (person["follow_up_end"] - person["diagnosis"]).to_numpy() / MONTH
    curve = kaplan_meier(Outcome(from_diagnosis, dead))
    simulated += [_median(from_diagnosis, dead), 1.0 - float(curve.at([24.0])["survival"].iloc[0])]
    for number in (1, 4):
        simulated.append(_median(*_survival(lines[lines["line"] == number], person)))
    for regimen in ("VRd", "Rd"):
        rows = lines[(lines["line"] == 1) & (lines["regimen"] == regimen)]
        ended = (rows["end_reason"] != "censored").to_numpy()
        simulated.append(_median(rows["ttnt"].to_numpy() / MONTH, ended))
        simulated.append(_median(*_survival(rows, person)))
    table = pd.DataFrame(PUBLISHED, columns=["figure", "published", "source"])
    table.insert(2, "simulated", simulated)
    table.insert(3, "relative_error", table["simulated"] / table["published"] - 1.0)
    table.insert(4, "within_10_percent", table["relative_error"].abs() <= 0.10)
    return table


def _fates(rows: pd.DataFrame, cut: int = 6 * 365) -> list[float]:
    """Shares still in the line, dead and moved on when follow-up ends, six years after the first day."""
    rows = rows[rows["start"] < cut]
    still = (rows["start"] + rows["ttnt"] > cut) | (rows["end_reason"] == "censored")
    dead = (rows["end_reason"] == "death") & ~still
    return [float(still.mean()), float(dead.mean()), float((~still & ~dead).mean())]


def _survival(rows: pd.DataFrame, person: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    who = person.loc[rows["person"]]
    months = (who["follow_up_end"].to_numpy() - rows["start"].to_numpy()) / MONTH
    return np.maximum(months, 1.0 / MONTH), who["death"].notna().to_numpy()


def _median(months: np.ndarray, event: np.ndarray) -> float:
    return float(kaplan_meier(Outcome(months, event)).quantile(0.5)["quantile"].iloc[0])
