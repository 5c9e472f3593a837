r"""What a coarsened risk table says for certain about the curve behind it.

Between two released moments an arm has W at risk at the start, D events, c censored and m entries (sums of
weights), at unknown times in between. The factor of the Kaplan-Meier curve over the stretch is smallest
when all censorings come first and largest when all events do:

.. math:: \max\Bigl(0,\,1-\frac D{W-c}\Bigr)\le\frac{S(t_j)}{S(t_{j-1})}\le1-\frac D{W+m},

the lower end 0 if :math:`W\le c`. Restricted means put the events at the stretch's beginning or its end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.risk_table import RiskTable


def coarsen(risk: RiskTable, moments: dict[Any, list[float]]) -> RiskTable:
    """Move what happens between moments to the later one; who stays longer is censored at the last.

    Parameters
    ----------
    risk : RiskTable
        No delayed entry.
    moments : dict
        For every group its moments, ascending; groups without any are left out.

    Returns
    -------
    RiskTable
        Coarser.

    Raises
    ------
    DataError
        If entry is delayed, or no group has a moment.
    """
    table = risk.table
    if (table["entry"] > 0).any():
        raise DataError(
            "a risk table with delayed entry cannot be coarsened for pooling",
            remedy="its margins do not determine a robust variance; pool estimates instead",
        )
    parts = []
    for group, rows in table.groupby("group", sort=False):
        grid = np.asarray(moments.get(group, []), dtype=np.float64)
        if not grid.size:
            continue
        place = np.searchsorted(grid, rows["time"].to_numpy())
        late = place == grid.size
        parts.append(
            rows.assign(
                time=grid[np.minimum(place, grid.size - 1)],
                status=np.where(late, 0, rows["status"]),
                stratum="all",
            )
        )
    kept = pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]
    if kept.empty:
        raise DataError(
            "the packets must have a moment of release in common",
            remedy="release at the same times at every site, or lower the number of arms",
        )
    coarse = RiskTable.from_table(kept)
    return RiskTable(coarse.table, weighted=risk.weighted)


def bounds(risk: RiskTable) -> pd.DataFrame:
    """Bound the curve behind a coarsened risk table at its moments.

    Parameters
    ----------
    risk : RiskTable
        Coarsened; no delayed entry.

    Returns
    -------
    DataFrame
        group, time, lowest, highest.
    """
    out = []
    for group, rows in risk.table.groupby("group", sort=False):
        sums = rows.assign(event=rows["weight"].where(rows["status"] > 0, 0.0))
        by_time = sums.groupby("time", sort=True)[["event", "weight"]].sum()
        at_risk = float(rows["weight"].sum())
        low = high = 1.0
        for time, (events, leaving) in zip(by_time.index, by_time.to_numpy(), strict=True):
            censored = leaving - events
            remaining = at_risk - censored
            low *= max(0.0, 1.0 - events / remaining) if remaining > 1e-9 * at_risk else 0.0
            high *= max(0.0, 1.0 - events / at_risk)
            at_risk -= leaving
            out.append((group, float(time), low, high))
            if at_risk <= 0:
                break
    # At the last moment those who are followed longer stand as censored: the lower end is far there.
    return pd.DataFrame(out, columns=["group", "time", "lowest", "highest"])


def rmst_bounds(curve: pd.DataFrame, tau: float) -> tuple[float, float]:
    """Bound the restricted mean of one group.

    Parameters
    ----------
    curve : DataFrame
        Rows of :func:`bounds` of one group.
    tau : float
        Horizon, at most the last moment.

    Returns
    -------
    low, high : float
        The restricted mean lies between them.
    """
    time = np.concatenate([[0.0], np.minimum(curve["time"].to_numpy(), tau)])
    length = np.diff(time)
    low = float(np.sum(length * curve["lowest"].to_numpy()))
    high = float(np.sum(length * np.concatenate([[1.0], curve["highest"].to_numpy()[:-1]])))
    return low, high
