"""Verification: every status, from every cause."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.files import sha256
from fiac_survival.core.released import write_table
from fiac_survival.study.verification import Status, compare_tables


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    from fiac_survival.study.template import make_study

    root = tmp_path_factory.mktemp("published")
    make_study(root, "demo")
    fs.study.load("demo", project=root).run()
    return root


@pytest.fixture
def copy(published, tmp_path) -> Path:
    import shutil

    shutil.copytree(published, tmp_path / "project")
    return tmp_path / "project"


def statuses(verification) -> dict[str, str]:
    return {Path(f.artefact).name: f.status.value for f in verification.findings}


def load(root: Path) -> fs.study.Study:
    return fs.study.load("demo", project=root)


def forge(root: Path, name: str, edit) -> None:
    """Change a published file and its fingerprint: what another machine would have published."""
    record_path = root / "studies/demo/record.json"
    record = json.loads(record_path.read_text(encoding="utf-8"))
    (artefact,) = [a for a in record["artefacts"] if Path(a["path"]).name == name]
    path = root / artefact["path"]
    edit(path)
    artefact["sha256"] = sha256(path)
    record_path.write_text(json.dumps(record), encoding="utf-8")


def nudge(column: str, factor: float):
    def edit(path: Path) -> None:
        table = pd.read_csv(path)
        table[column] = table[column].astype(float) * factor
        table.to_csv(path, index=False, float_format="%.17g")

    return edit


def test_identical(copy):
    verification = load(copy).verify()
    assert set(statuses(verification).values()) == {"IDENTICAL"}
    assert verification.exit_code == 0
    again = load(copy).verify(rerun=True)
    assert set(statuses(again).values()) == {"IDENTICAL"}
    assert (copy / "reproduced/demo/report.html").is_file()


def test_never_run(copy):
    (copy / "studies/demo/record.json").unlink()
    verification = load(copy).verify()
    assert verification.status is Status.NOT_RUN
    assert verification.exit_code == 9


@pytest.mark.parametrize("rerun", [False, True])
def test_a_file_changed_after_the_run(copy, rerun):
    path = copy / "studies/demo/results/effect.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("rmst", "rmSt"), encoding="utf-8")
    verification = load(copy).verify(rerun=rerun)
    found = statuses(verification)
    assert found["effect.csv"] == "DIFFERENT"
    assert found["attrition.csv"] == "IDENTICAL"
    assert verification.exit_code == 8


@pytest.mark.parametrize("rerun", [False, True])
def test_a_missing_file(copy, rerun):
    (copy / "figures/demo/survival.svg").unlink()
    verification = load(copy).verify(rerun=rerun)
    assert statuses(verification)["survival.svg"] == "NOT RUN"
    assert verification.exit_code == 9


def test_numbers_within_tolerance(copy):
    forge(copy, "effect.csv", nudge("estimate", 1 + 3e-10))
    (finding,) = [
        f for f in load(copy).verify(rerun=True).findings if f.artefact.endswith("effect.csv")
    ]
    assert finding.status is Status.WITHIN_TOLERANCE
    assert finding.difference == pytest.approx(3e-10, rel=0.3)
    assert "estimate, row 1" in finding.detail


def test_numbers_beyond_tolerance(copy):
    forge(copy, "effect.csv", nudge("estimate", 1.001))
    verification = load(copy).verify(rerun=True)
    (finding,) = [f for f in verification.findings if f.artefact.endswith("effect.csv")]
    assert finding.status is Status.DIFFERENT
    assert finding.difference == pytest.approx(0.001, rel=0.01)
    assert verification.exit_code == 8


def test_a_figure_of_a_table_within_tolerance(copy):
    forge(copy, "survival.csv", nudge("survival", 1 + 1e-10))
    forge(copy, "survival.svg", lambda path: path.write_bytes(path.read_bytes() + b" "))
    found = statuses(load(copy).verify(rerun=True))
    assert found["survival.csv"] == found["survival.svg"] == "WITHIN TOLERANCE"
    assert found["survival.png"] == "IDENTICAL"


def test_a_figure_drawn_by_another_matplotlib(copy):
    forge(copy, "survival.png", lambda path: path.write_bytes(path.read_bytes() + b" "))
    assert statuses(load(copy).verify(rerun=True))["survival.png"] == "DIFFERENT"
    assert statuses(load(copy).verify())["survival.png"] == "DIFFERENT"
    path = copy / "studies/demo/record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["figures_drawn_by"] = "3.0.0"
    path.write_text(json.dumps(record), encoding="utf-8")
    for rerun in (True, False):
        verification = load(copy).verify(rerun=rerun)
        (finding,) = [f for f in verification.findings if f.artefact.endswith("survival.png")]
        assert finding.status is Status.WITHIN_TOLERANCE
        assert "another matplotlib (3.0.0" in finding.detail


def test_a_figure_that_its_table_does_not_give(copy):
    """Someone edits the table and the record, and leaves the picture."""
    forge(copy, "survival.csv", nudge("survival", 0.9))
    found = statuses(load(copy).verify())
    assert found["survival.csv"] == "IDENTICAL"  # as recorded
    assert found["survival.svg"] == found["survival.png"] == "DIFFERENT"


def test_reports(copy):
    def reword(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("The difference is", "The difference was"), encoding="utf-8")

    forge(copy, "report.html", reword)
    assert statuses(load(copy).verify(rerun=True))["report.html"] == "DIFFERENT"


def test_provenance_does_not_count(copy):
    def other_machine(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert "Numba" in text
        path.write_text(text.replace("<dd>Numba", "<dd>Numba 99,"), encoding="utf-8")

    forge(copy, "report.html", other_machine)
    assert statuses(load(copy).verify(rerun=True))["report.html"] == "IDENTICAL"


def test_an_artefact_more_and_one_less(copy):
    path = copy / "studies/demo/analysis.py"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"attrition", attrition', '"flow", attrition'), encoding="utf-8")
    found = statuses(load(copy).verify(rerun=True))
    assert found["attrition.csv"] == "NOT RUN"
    assert found["flow.csv"] == "DIFFERENT"


def test_figures_again_without_patient_data(copy, monkeypatch):
    before = {p: sha256(p) for p in (copy / "figures/demo").iterdir()}
    (copy / "figures/demo/survival.svg").unlink()
    monkeypatch.setattr(fs.datasets.shipped, "FOLDER", copy / "nowhere")
    drawn = load(copy).figures()
    assert sorted(p.name for p in drawn) == ["survival.pdf", "survival.png", "survival.svg"]
    assert {p: sha256(p) for p in (copy / "figures/demo").iterdir()} == before


@pytest.mark.parametrize(
    ("edit", "status", "says"),
    [
        (lambda t: t, Status.WITHIN_TOLERANCE, ""),
        (lambda t: t.assign(x=t["x"] * (1 + 5e-10)), Status.WITHIN_TOLERANCE, "5e-10"),
        (lambda t: t.assign(x=t["x"] + 1e-6), Status.DIFFERENT, "x, row"),
        (lambda t: t.assign(x=[np.nan, *t["x"][1:]]), Status.DIFFERENT, "inf"),
        (lambda t: t.assign(tiny=t["tiny"] + 1e-18), Status.WITHIN_TOLERANCE, ""),
        (lambda t: t.assign(s=["b", "b", "c"]), Status.DIFFERENT, "text differs in s"),
        (lambda t: t[:2], Status.DIFFERENT, "rows or columns differ"),
        (lambda t: t.rename(columns={"x": "z"}), Status.DIFFERENT, "rows or columns differ"),
    ],
)
def test_tables_by_number(tmp_path, edit, status, says):
    table = pd.DataFrame({"x": [1.0, -2.5, 3e8], "tiny": [1e-16, 0.0, 1.0], "s": ["a", "b", "c"]})
    write_table(tmp_path / "a.csv", table)
    edit(table).to_csv(tmp_path / "b.csv", index=False, float_format="%.17g")
    finding = compare_tables("t", tmp_path / "a.csv", tmp_path / "b.csv")
    assert finding.status is status
    assert says in finding.detail


def test_figures_drawn_again_are_in_the_record(copy):
    """Drawn here, they count as drawn here, even if another matplotlib drew them before."""
    forge(copy, "survival.png", lambda path: path.write_bytes(path.read_bytes() + b" "))
    path = copy / "studies/demo/record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["figures_drawn_by"] = "3.0.0"
    path.write_text(json.dumps(record), encoding="utf-8")
    load(copy).figures()
    assert set(statuses(load(copy).verify()).values()) == {"IDENTICAL"}
    assert load(copy).record()["figures_drawn_by"] != "3.0.0"
