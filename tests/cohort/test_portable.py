"""Queries are written so that another engine can run them."""

from __future__ import annotations

import datetime

import ibis
import pytest

from fiac_survival.cohort import canonical
from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.line_blocks import with_days
from fiac_survival.cohort.quality_rules import RULES

TYPES = {
    "key": "int64",
    "text": "string",
    "integer": "int64",
    "number": "int64",  # floating-point fields compile for Spark only where Spark is installed
    "date": "date",
    "flag": "boolean",
}


def unbound(name, **more):
    columns = canonical.schemas().tables[name].columns
    return ibis.table({c: TYPES[a.type] for c, a in columns.items()} | more, name=name)


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_rules_of_quality_and_schemas(dialect):
    joined = {"person_birth": "date", "person_death": "date", "person_known": "int64"}
    for rule in RULES:
        table = unbound(rule.table, **joined)
        bad = rule.bad(table, datetime.date(2020, 1, 1))
        assert ibis.to_sql(table.aggregate(n=bad.cast("int64").sum()), dialect=dialect)
    for name in canonical.schemas().tables:
        table = unbound(name)
        for _, bad in canonical.broken(table, name).values():
            assert ibis.to_sql(table.aggregate(n=bad.cast("int64").sum()), dialect=dialect)


@pytest.mark.parametrize("dialect", ["duckdb", "pyspark"])
def test_records_for_lines_of_therapy(dialect):
    query = with_days(unbound("exposure"), unbound("person"), DrugTable.load("myeloma"))
    text = ibis.to_sql(query, dialect=dialect)
    assert "INTERVAL" not in text
