"""What the tests of sources share: the simulated cohort, and tables brought to one form."""

from __future__ import annotations

import functools

import pandas as pd

import fiac_survival as fs
from fiac_survival.cohort import canonical

YEARS = range(2014, 2024)
EXTRACTED = "2024-08-01"
# What every shape can carry: docs/sources.md.
COMMON = {
    "person": ["person", "birth", "sex", "diagnosis", "follow_up_end", "death", "department"],
    "exposure": ["person", "date", "drug", "kind"],
    "event": ["person", "date", "event", "code"],
}


@functools.cache
def claims(n=300, seed=3):
    return fs.simulate.myeloma_claims(n, seed=seed)


def collected(cohort, name):
    """A table's common columns and rows, persons as whole numbers, in order."""
    table = cohort.tables[name]
    if name == "event":
        table = table.filter(table.event == "diagnosis")
    frame = table.select(*COMMON[name]).execute()
    frame["person"] = frame["person"].astype("int64")
    for column in frame:
        if pd.api.types.is_datetime64_any_dtype(frame[column]):
            frame[column] = frame[column].astype("datetime64[s]")
        elif frame[column].dtype == object:
            frame[column] = frame[column].where(frame[column].notna(), None)
    order = list(canonical.schemas().tables[name].order) + ["code"] * (name == "event")
    return frame.sort_values(order).reset_index(drop=True)


def from_snds(folder, engine, **options):
    options = {"years": YEARS, "extracted": EXTRACTED, "follow_up": "last care"} | options
    return fs.cohort.from_snds(folder, engine=engine, **options)
