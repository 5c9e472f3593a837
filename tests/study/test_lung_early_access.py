"""The study of an early-access programme and claims, on few patients, and its published tables."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.released import read_table
from tests.conftest import ROOT

STUDY = ROOT / "studies/lung_early_access"
PATIENTS = 240


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Results of the study on fewer patients."""
    root = tmp_path_factory.mktemp("small")
    folder = root / "studies/lung_early_access"
    folder.mkdir(parents=True)
    for name in ("study.toml", "README.md"):
        shutil.copy(STUDY / name, folder / name)
    text = (STUDY / "analysis.py").read_text(encoding="utf-8")
    assert "FILES = 457" in text
    text = text.replace("FILES = 457", f"FILES = {PATIENTS}")
    (folder / "analysis.py").write_text(text, encoding="utf-8")
    fs.study.load("lung_early_access", project=root).run()
    return root


def tables(root: Path) -> dict[str, pd.DataFrame]:
    folder = root / "studies/lung_early_access/results"
    return {path.stem: read_table(path) for path in sorted(folder.glob("*.csv"))}


@pytest.fixture(scope="module", params=["small", "published"])
def results(request) -> dict[str, pd.DataFrame]:
    return tables(request.getfixturevalue("small") if request.param == "small" else ROOT)


@pytest.mark.xdist_group("lung_early_access")
def test_contributions_add_to_the_gap(results):
    for _, part in results["decomposition"].groupby("panel"):
        gap = part["end"].iloc[0] - part["start"].iloc[0]
        # Ten digits are written.
        assert part["contribution"].sum() == pytest.approx(gap, abs=1e-8)
    levels = results["agreement"].query(
        "estimand == 'rmst_24' and method_label == 'All patients of each source'"
    )
    first = results["decomposition"].query("panel == 'Overall survival'").iloc[0]
    assert first["start"] == pytest.approx(levels["private"].iloc[0], rel=1e-9)
    assert first["end"] == pytest.approx(levels["public"].iloc[0], rel=1e-9)


@pytest.mark.xdist_group("lung_early_access")
def test_the_way_starts_and_ends_at_the_sources_own_estimates(results):
    # Linked patients by the forms' way, and by the claims' way, are what each source says of them.
    part = results["decomposition"].query("panel == 'Overall survival'")
    outer = part[part["place"] == "outer"]["contribution"]
    paired = results["agreement"].query("estimand == 'rmst_24' and primary").iloc[0]
    assert part["start"].iloc[0] + outer.iloc[0] == pytest.approx(paired["private"], rel=1e-8)
    assert part["end"].iloc[0] - outer.iloc[1] == pytest.approx(paired["public"], rel=1e-8)


@pytest.mark.xdist_group("lung_early_access")
def test_pairs_are_more_precise_than_strangers(results):
    table = results["agreement"].set_index(["estimand", "method_label"])["std_error"].unstack()
    paired, strangers = (
        table["Linked patients, paired"],
        table["Linked, as if they were strangers"],
    )
    assert (paired < 0.5 * strangers).all()
    curves = results["curves"]
    later = curves.query("panel == 'Overall survival' and time >= 12")
    assert (later["std_error"] < 0.5 * later["std_error_independent"]).all()
    assert (curves["band_upper"] >= curves["upper"] - 1e-12).all()


@pytest.mark.xdist_group("lung_early_access")
def test_tables_agree_with_each_other(results):
    rungs = results["ladder"].set_index(["rule", "censoring"])
    assert (rungs.loc["confirmed", "n_event"] <= rungs.loc["private", "n_event"]).all()
    assert (rungs.loc["union", "n_event"] >= rungs.loc["public", "n_event"]).all()
    # The forms alone, to their last news, are the forms' own estimate.
    paired = results["agreement"].query("estimand == 'rmst_24' and primary").iloc[0]
    assert rungs.loc[("private", "last_activity"), "estimate"] == pytest.approx(paired["private"])
    packets = results["packets"].query("profile == 'none'")
    assert packets["estimate"].to_numpy() == pytest.approx(packets["rows"].to_numpy(), rel=1e-9)
    flow = results["linkage"].set_index("kind")["n"]
    assert flow["pass"].sum() == flow["linked"]
    quality = results["linkage_quality"].query("basis == 'truth' and method_label == 'passes'")
    share = quality.set_index("measure")["estimate"]
    assert share["precision"] >= 0.99
    assert share["recall"] >= 0.85


@pytest.mark.xdist_group("lung_early_access")
def test_the_published_source_is_held_against_the_forms(results):
    table = results["external"]
    whole = table.query("group == 'all' and published_lower.notna() and forms == 'as they are'")
    if len(whole) and whole["estimate"].notna().all():
        # Pseudo-patients are whole ones: 1 in 1,154.
        gap = whole["estimate"] - whole["published"]
        np.testing.assert_allclose(whole["difference"], gap, atol=1e-3)
    half = (table["difference_upper"] - table["difference_lower"]) / 2
    own = (table["upper"] - table["lower"]) / 2
    known = table["difference"].notna()
    assert known.any()
    # Another source adds its own error to that of the forms.
    assert (half[known] > own[known]).all()
    assert (half[known] < own[known] + 0.04).all()
    assert table.loc[~table["group"].eq("all"), "difference"].isna().all()


@pytest.mark.xdist_group("lung_early_access")
def test_everything_says_that_it_is_simulated(small):
    study = fs.study.load("lung_early_access", project=small)
    record = study.record()
    assert record["simulated"]
    assert all(figure["simulated"] for figure in record["figures"].values())
    assert {d["parameters"]["n"] for d in record["data"]} == {PATIENTS}
    layout = study.layout()
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "simulated data: no patient stands behind these numbers" in page
    plain = (ROOT / "studies/trial_vs_registry/report.html").read_text(encoding="utf-8")
    assert "simulated data" not in plain


@pytest.mark.slow
@pytest.mark.xdist_group("lung_early_access")
def test_given_folders_take_the_place_of_the_simulation(small, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    found = fs.simulate.lung_early_access(200, seed=4)
    found.write(tmp_path / "made")
    for source, name in (("early_access", "forms"), ("claims", "claims")):
        shutil.copytree(tmp_path / "made" / name, data / source)
    shutil.copy(tmp_path / "made/SIMULATED.txt", data)
    fs.study.load("lung_early_access", project=small).run(data=data, out=out)
    folder = out / "lung_early_access"
    quality = read_table(folder / "results/linkage_quality.csv")
    assert set(quality["basis"]) == {"model"}
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert [d["rows"] for d in record["data"]] == [200, len(found.claims.person)]


def test_contributions_are_exact_before_they_are_written():
    from fiac_survival.study.study import _load_analysis

    analyse = _load_analysis(STUDY / "analysis.py", "lung_early_access")
    steps = analyse.__globals__["OS_STEPS"]
    values = {"time zero": 0.1, "deaths recorded": 0.7, "dates of death": -0.3}

    def run(taken: frozenset[str]) -> float:
        return 20.0 + sum(values.get(s, 1 / 3) for s in taken) + 0.1 * len(taken) ** 2

    found = fs.compare.decompose(run, steps, private=19.9, public=23.3)
    assert abs(found.table["contribution"].sum() - found.gap) < 1e-12
