"""Relative effects from a file of a network meta-analysis."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from fiac_survival.sequence.network_effects import FOLDER

FILE = """
name = "two"
source = "invented"

[[categories]]
setting = "any"
category = "X"
next = [0.5, 0.25, 1.0]
death = [0.8, 0.4, 1.6]

[[categories]]
setting = "any"
category = "Y"
next = [2.0, 1.0, 4.0]
death = [1.6, 0.8, 3.2]

[[regimens]]
setting = "any"
lines = [1, 3]
regimen = "A"
category = "X"
reference = "B"
reference_category = "Y"
"""


def test_ratios_of_ratios_and_their_errors(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(FILE, encoding="utf-8")
    table = fs.sequence.network_effects(path).table
    assert table["line"].tolist() == [1, 3]
    assert table["hazard_ratio_next"].tolist() == [0.25, 0.25]
    assert table["hazard_ratio_death"].tolist() == [0.5, 0.5]
    each = np.log(4) / (2 * 1.959963984540054)
    np.testing.assert_allclose(table["log_se_next"], np.sqrt(2) * each, rtol=1e-12)
    wide = fs.sequence.network_effects(path, level=0.5).table
    assert (wide["log_se_next"] > table["log_se_next"]).all()


def test_the_file_of_myeloma_fits_its_formulary():
    table = fs.sequence.network_effects("myeloma").table
    formulary = fs.sequence.read_formulary(FOLDER / "myeloma.toml")
    place = {name: i for i, name in enumerate(formulary.regimen_names)}
    assert len(table) == 19
    for row in table.itertuples():
        for name in (row.regimen, row.reference):
            assert formulary.allowed[row.line - 1, place[name]].any()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0.5, 0.25, 1.0]", "[1.5, 0.25, 1.0]", "must hold its estimate"),
        ("[0.5, 0.25, 1.0]", "[0.5, 0.0, 1.0]", "greater than 0"),
        ('reference_category = "Y"', 'reference_category = "Z"', "unknown category 'Z'"),
        ('category = "Y"\nnext', 'category = "X"\nnext', "stand once"),
        ("lines = [1, 3]", "lines = [1, 3", "follow its format"),
        ('source = "invented"', "", "Field required"),
    ],
)
def test_files_that_are_refused(tmp_path, old, new, message):
    assert old in FILE
    path = tmp_path / "wrong.toml"
    path.write_text(FILE.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        fs.sequence.network_effects(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="exist and be readable"):
        fs.sequence.network_effects(tmp_path / "none.toml")
