"""Spans cut a table into ranges that have every row once."""

from __future__ import annotations

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.cohort.source_parts import spans

ROWS = pd.DataFrame(
    {"row": range(10), "year": [2014, 2014, 2015, 2015, 2015, 2016, 2018, 2018, None, None]}
)


@pytest.mark.parametrize(("rows", "n"), [(None, 1), (100, 1), (5, 2), (3, 3), (1, 4)])
def test_every_row_once(rows, n):
    engine = fs.cohort.connect("duckdb")
    table = engine.register(ROWS.astype({"year": "Int64"}), table="rows")
    found = spans(table, "year", rows)
    assert len(found) == n
    parts = [set(engine.collect(s.of(table), order_by=["row"])["row"]) for s in found]
    assert sum(len(part) for part in parts) == len(ROWS)
    assert set().union(*parts) == set(ROWS["row"])
    assert {8, 9} <= parts[0]
    engine.close()


def test_a_table_that_is_forgotten_is_gone():
    engine = fs.cohort.connect("duckdb")
    before = len(engine.backend.list_tables())
    table = engine.register(ROWS, table="rows")
    kept = engine.keep(table.filter(table.row > 3))
    assert len(engine.backend.list_tables()) == before + 2
    engine.forget(kept)
    assert len(engine.backend.list_tables()) == before + 1
    assert int(table.count().execute()) == len(ROWS)
    engine.close()
