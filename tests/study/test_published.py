"""The published studies: rerun with one thread and with two, and held against what is committed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.released import read_table
from fiac_survival.study.project import separate
from fiac_survival.study.record import read_record
from fiac_survival.study.verification import Status, Verification, verify_against
from tests.conftest import ROOT

NAMES = fs.study.find_project(given=ROOT).names()


def rerun(name: str, out: Path, threads: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fiac_survival", "--quiet", "run", name, "--out", str(out)],
        capture_output=True,
        encoding="utf-8",
        cwd=ROOT,
        env=os.environ | {"NUMBA_NUM_THREADS": str(threads), "PYTHONHASHSEED": str(threads)},
        check=False,
    )
    assert done.returncode == 0, done.stderr


def against_the_published(name: str, out: Path) -> Verification:
    study = fs.study.load(name, project=ROOT)
    again = separate(out, name)
    return verify_against(name, "", study.layout(), study.record(), again, read_record(again))


def test_the_published_stand(tmp_path):
    """The quickest study; make reproduce reruns all."""
    name = "trial_vs_registry"
    rerun(name, tmp_path, 1)
    found = against_the_published(name, tmp_path)
    # Another processor may change the last digits, and nothing else.
    assert found.status in (Status.IDENTICAL, Status.WITHIN_TOLERANCE), found.table.to_string()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_threads_change_nothing_and_the_published_stand(name, tmp_path):
    for threads in (1, 2):
        rerun(name, tmp_path / str(threads), threads)
    one, two = tmp_path / "1" / name, tmp_path / "2" / name
    files = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(two) for p in two.rglob("*") if p.is_file())
    for path in files:
        if path.name not in ("record.json", "report.html"):  # they tell the number of threads
            assert (one / path).read_bytes() == (two / path).read_bytes(), path
    found = against_the_published(name, tmp_path / "1")
    assert found.status in (Status.IDENTICAL, Status.WITHIN_TOLERANCE), found.table.to_string()


@pytest.mark.parametrize("name", NAMES)
def test_published_files_are_whole(name):
    verification = fs.study.load(name, project=ROOT).verify()
    assert verification.exit_code == 0, verification.table.to_string()


# --- trial_vs_registry --------------------------------------------------------------------------

RESULTS = ROOT / "studies/trial_vs_registry/results"


def hazard_ratios() -> pd.DataFrame:
    table = read_table(RESULTS / "hazard_ratios_conventional.csv")
    return table.set_index(["source_label", "method_label"]).round(3)


@pytest.mark.parametrize(
    ("source", "method", "expected"),
    [
        ("GBSG trial", "Unadjusted", (0.695, 0.544, 0.888)),
        ("Rotterdam registry", "Unadjusted", (0.842, 0.722, 0.982)),
        ("Rotterdam registry", "IPTW, stabilised", (0.677, 0.547, 0.836)),
        ("Rotterdam registry", "IPTW, weights cut at 5–95 %", (0.758, 0.646, 0.889)),
    ],
)
def test_the_benchmark_made_in_r(source, method, expected):
    row = hazard_ratios().loc[(source, method)]
    assert tuple(row[["hazard_ratio", "lower", "upper"]]) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("IPTW, propensity cut at 5–95 %", 0.681),
        ("IPTW, raw, chemotherapy too", 0.631),
        ("… weights cut at 5–95 %", 0.741),
    ],
)
def test_specification_and_truncation_move_the_answer(method, expected):
    assert hazard_ratios().loc[("Rotterdam registry", method), "hazard_ratio"] == expected


def test_restricted_mean_of_the_trial():
    effects = read_table(RESULTS / "effects.csv")
    row = effects.query("source == 'gbsg' and method == 'unadjusted' and estimand == 'rmst_60'")
    assert row["estimate"].round(3).tolist() == [4.911]
    assert row["std_error"].round(3).tolist() == [1.604]


def test_attrition():
    attrition = read_table(RESULTS / "attrition.csv")
    last = attrition.groupby("source")["n_after"].last()
    assert last.to_dict() == {"gbsg": 686, "rotterdam": 1546}


def test_figures_hold_what_the_tables_say():
    effects = read_table(RESULTS / "effects.csv")
    drawn = read_table(ROOT / "figures/trial_vs_registry/effects.csv")
    shown = effects[effects["weight_variance"].isin(["none", "estimated"])]
    merged = drawn.merge(
        shown,
        left_on=["panel", "source_label", "method_label"],
        right_on=["estimand_label", "source_label", "method_label"],
        suffixes=("", "_released"),
    )
    assert len(merged) == len(drawn) == 60
    for column in ("estimate", "lower", "upper"):
        assert (merged[column] == merged[f"{column}_released"]).all()
