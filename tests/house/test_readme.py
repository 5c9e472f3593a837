"""The README says what happens."""

from __future__ import annotations

import doctest
import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_gives_its_output():
    found = doctest.testfile(
        str(ROOT / "README.md"),
        module_relative=False,
        optionflags=doctest.NORMALIZE_WHITESPACE,
        encoding="utf-8",
    )
    assert found.attempted == 10
    assert found.failed == 0


def test_links_lead_somewhere():
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_the_number_of_reference_records():
    from tests.oracle import (
        test_competing_risks,
        test_cox,
        test_kaplan_meier,
        test_logrank,
        test_multistate,
        test_parametric,
        test_relative_survival,
        test_rmst,
        test_sequences,
        test_time_dependent_treatment,
        test_validation,
        test_weighting,
    )

    used = (
        len(test_kaplan_meier.KM)
        + len(test_kaplan_meier.WEIGHTED)
        + len(test_rmst.EXPECTED)
        + len(test_logrank.EXPECTED)
        + len(test_cox.EXPECTED)
        + len(test_cox.ZPH)
        + len(test_weighting.EXPECTED)
        - len(test_weighting.NOT_REFERENCES)
        + len(test_multistate.EXPECTED)
        + len(test_sequences.EXPECTED)
        + len(test_parametric.EXPECTED)
        + len(test_competing_risks.EXPECTED)
        + len(test_time_dependent_treatment.EXPECTED)
        + len(test_relative_survival.EXPECTED)
        - len(test_relative_survival.LATER)
        + len(test_validation.EXPECTED)
    )
    assert f"on {used} reference records" in README
