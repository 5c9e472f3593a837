"""Rule sets for lines of therapy against simulated truth, and what docs/cohort.md says of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "cohort.md"
PATIENTS, SEED = 5_000, 1


@pytest.fixture(scope="module")
def claims():
    return fs.simulate.myeloma_claims(PATIENTS, seed=SEED)


@pytest.fixture(scope="module")
def compared(claims):
    return fs.simulate.compare_rule_sets(claims).table.set_index("rules")


def markdown(table):
    """The table as it stands in the page."""
    lines = [
        "| rule set | lines | line counts, κ | same count | start ±14 days | start ±30 days | regimens, F1 "
        "| median TTNT, lines 1 / 2 / 3 / 4, months |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in table.iterrows():
        medians = " / ".join(f"{row[f'median_ttnt_{k}']:.1f}" for k in range(1, 5))
        cells = [name, f"{row['lines']:,.0f}"]
        for metric, digits in (
            ("line_count_kappa", 3),
            ("line_count_equal", 2),
            ("start_within_14", 2),
            ("start_within_30", 2),
            ("regimen_f1", 3),
        ):
            cells.append("" if np.isnan(row[metric]) else f"{row[metric]:.{digits}f}")
        lines.append(f"| {' | '.join([*cells, medians])} |")
    return "\n".join(lines)


def test_the_page_shows_what_is_found(compared):
    table = markdown(compared)
    assert table in PAGE.read_text(encoding="utf-8"), f"put this into docs/cohort.md:\n{table}"


def test_a_row_is_what_the_parts_say(claims, compared):
    found = fs.cohort.lines_of_therapy(claims.exposure, "gap90", follow_up=claims.person).table
    assert compared.loc["gap90", "lines"] == len(found)
    true = claims.truth.lines
    first = claims.exposure["date"].min() - pd.Timedelta(
        days=int(true["start"].min())
    )  # the first record is the first line's first day
    renamed = true.assign(start=first + pd.to_timedelta(true["start"], unit="D"))
    accuracy = fs.cohort.line_accuracy(found, renamed)
    for metric in ("line_count_kappa", "line_count_equal", "start_within_14", "start_within_30"):
        assert compared.loc["gap90", metric] == accuracy[metric]
    # Without the formulary's names hardly a regimen is called alike.
    assert accuracy["regimen_f1"] < 0.1 < compared.loc["gap90", "regimen_f1"]
    second = true[true["line"] == 2]
    curve = fs.survival.kaplan_meier(
        fs.Outcome(second["ttnt"] / 30.4375, second["end_reason"] != "censored")
    )
    median = curve.quantile(0.5)["quantile"].iloc[0]
    assert compared.loc["truth", "median_ttnt_2"] == pytest.approx(median, rel=1e-12)


def test_records_that_tell_the_lines_apart_are_found_again(claims):
    """Patients of one line of treatment without a break: every rule set is right."""
    true = claims.truth.lines
    alone = true.groupby("person")["line"].transform("max") == 1
    kept = true[alone & (true["regimen"] == "DRd") & (true["ttnt"] > 60)]
    few = replace(
        claims,
        person=claims.person[claims.person["person"].isin(kept["person"])],
        exposure=claims.exposure[claims.exposure["person"].isin(kept["person"])],
        truth=replace(claims.truth, lines=kept),
    )
    found = fs.simulate.compare_rule_sets(few, rules=["imwg"], lines=1).table.iloc[1]
    assert found["line_count_equal"] == found["start_within_14"] == 1
    assert found["regimen_f1"] == 1
    assert found["lines"] == len(kept) > 50


def test_refusals(claims):
    with pytest.raises(DataError, match="a rule set and a line"):
        fs.simulate.compare_rule_sets(claims, rules=[])
    with pytest.raises(DataError, match="a rule set and a line"):
        fs.simulate.compare_rule_sets(claims, lines=0)
    with pytest.raises(DataError, match=r"name of its own \(rules=gap60\)"):
        fs.simulate.compare_rule_sets(claims, rules=["gap60", "gap60"])
