"""Second implementation of the audit: every table of small counts, tried one by one."""

from __future__ import annotations

import itertools

import pandas as pd


def consistent(released: pd.DataFrame, cap: int, rows: list[str], columns: list[str]):
    """All whole tables (as dicts) of two keys that agree with what is released; "all" is a margin.

    `released` is indexed by (x, y), with bounds low and high (high -1: withheld).
    """
    inner = [(r, c) for r in rows for c in columns]
    ranges = []
    for cell in inner:
        low, high = released.loc[cell, ["low", "high"]]
        ranges.append(range(low, (cap if high < 0 else high) + 1))
    for values in itertools.product(*ranges):
        table = dict(zip(inner, values, strict=True))
        for r in rows:
            table[r, "all"] = sum(table[r, c] for c in columns)
        for c in columns:
            table["all", c] = sum(table[r, c] for r in rows)
        table["all", "all"] = sum(values)
        if all(
            low <= table[cell] and (high < 0 or table[cell] <= high)
            for cell, low, high in released.itertuples()
        ):
            yield table


def widths(released: pd.DataFrame, cap: int, rows: list[str], columns: list[str]) -> dict:
    low: dict = {}
    high: dict = {}
    for table in consistent(released, cap, rows, columns):
        for cell, count in table.items():
            low[cell] = min(low.get(cell, count), count)
            high[cell] = max(high.get(cell, count), count)
    return {cell: high[cell] - low[cell] for cell in low}
