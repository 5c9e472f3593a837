"""Second implementation of the audit: every table of small counts, all of them tried."""

from __future__ import annotations

import numpy as np
import pandas as pd


def widths(released: pd.DataFrame, cap: int, rows: list[str], columns: list[str]) -> dict:
    """Largest less smallest count of each cell, over all whole tables that agree with the release.

    `released` is indexed by (x, y), "all" being a margin, with bounds low and high (high -1: withheld);
    withheld counts within the margins are tried up to `cap`.
    """
    inner = [(r, c) for r in rows for c in columns]
    ranges = []
    for cell in inner:
        low, high = released.loc[cell, ["low", "high"]]
        ranges.append(np.arange(low, (cap if high < 0 else high) + 1, dtype=np.int16))
    grids = np.meshgrid(*ranges, indexing="ij")
    table = dict(zip(inner, (g.ravel() for g in grids), strict=True))
    for r in rows:
        table[r, "all"] = sum(table[r, c] for c in columns)
    for c in columns:
        table["all", c] = sum(table[r, c] for r in rows)
    table["all", "all"] = sum(table[r, "all"] for r in rows)
    fits = np.ones(grids[0].size, dtype=bool)
    for cell, low, high in released.itertuples():
        if high >= 0:
            fits &= (table[cell] >= low) & (table[cell] <= high)
    assert fits.any()
    return {cell: int(np.ptp(values[fits])) for cell, values in table.items()}
