"""Running a study: what it leaves, what it refuses, and that a failed run leaves nothing."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, OutputError, ProtocolError
from fiac_survival.core.files import sha256
from fiac_survival.study.record import SCHEMA_VERSION


def demo(project: Path) -> fs.study.Study:
    return fs.study.load("demo", project=project)


def tree(folder: Path) -> dict[str, str]:
    """Fingerprints of all files below a folder, housekeeping and caches included."""
    return {
        str(path.relative_to(folder)): sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def change(project: Path, old: str, new: str) -> None:
    path = project / "studies/demo/analysis.py"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_a_run_leaves(project):
    layout = demo(project).run()
    assert sorted(tree(project)) == [
        "figures/demo/survival.csv",
        "figures/demo/survival.pdf",
        "figures/demo/survival.png",
        "figures/demo/survival.svg",
        "studies/demo/README.md",
        "studies/demo/analysis.py",
        "studies/demo/record.json",
        "studies/demo/report.html",
        "studies/demo/results/attrition.csv",
        "studies/demo/results/effect.csv",
        "studies/demo/study.toml",
    ]
    record = json.loads((layout.base / layout.record).read_text(encoding="utf-8"))
    assert record["schema_version"] == SCHEMA_VERSION
    assert record["data"][0]["sha256"] == fs.datasets.load("gbsg").card.sha256
    assert record["data"][0]["rows"] == 686
    assert record["versions"]["duckdb"].startswith("1.")
    assert record["engine"] == "duckdb"
    for artefact in record["artefacts"]:
        path = layout.base / artefact["path"]
        assert sha256(path) == artefact["sha256"]
        assert path.stat().st_size == artefact["bytes"]


def test_a_second_run_gives_the_same_bytes(project):
    demo(project).run()
    first = tree(project)
    demo(project).run()
    assert tree(project) == first


def test_numbers_are_those_of_the_estimators(project):
    demo(project).run()
    g = fs.datasets.load("gbsg").frame
    g = g[g["meno"] == 1]
    expected = fs.compare.effect(
        fs.Outcome(g["rfstime"], g["status"]), g["hormon"], measure="rmst", tau=1826
    )
    table = pd.read_csv(project / "studies/demo/results/effect.csv")
    assert table["estimate"][0] == pytest.approx(expected.estimate, rel=1e-9)
    assert table["std_error"][0] == pytest.approx(expected.std_error, rel=1e-9)


def test_artefacts_of_an_earlier_run_go(project):
    demo(project).run()
    change(project, '"attrition", attrition', '"flow", attrition')
    demo(project).run()
    names = {p.name for p in (project / "studies/demo/results").iterdir()}
    assert names == {"flow.csv", "effect.csv"}


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        ("tau=estimand.tau", "tau=9e9", DataError, "tau must not exceed"),
        ('"attrition", attrition', '"Attrition!", attrition', ProtocolError, "lower-case"),
        ('"effect", found', '"attrition", found', ProtocolError, "a name of its own"),
        (
            '"survival",\n        "survival"',
            '"survival",\n        "pie"',
            DataError,
            "kind of figure",
        ),
        ("arm_label=", "label=", DataError, "columns that the figure draws.*arm_label"),
        ('study.source("gbsg")', 'study.source("x")', ProtocolError, "must have the source"),
        ("def analyse", "def analyze", ProtocolError, "must define analyse"),
    ],
)
def test_a_failed_run_leaves_what_stood(project, old, new, error, says):
    demo(project).run()
    change(project, old, new)
    before = tree(project)
    with pytest.raises(error, match=says):
        demo(project).run()
    assert tree(project) == before
    out = project / "elsewhere"
    with pytest.raises(error, match=says):
        demo(project).run(out=out)
    assert not out.exists()


def test_results_that_did_not_converge_are_refused(project):
    change(
        project,
        'study.section("Results")',
        "from dataclasses import replace\n    real = fs.compare.effect\n"
        "    fs.compare.effect = lambda *a, **k: replace(real(*a, **k), converged=False)\n"
        "    study.section('Results')",
    )
    original = fs.compare.effect
    try:
        with pytest.raises(fs.errors.ConvergenceError, match="must have converged.*Effect"):
            demo(project).run()
    finally:
        fs.compare.effect = original


def test_a_full_disk_leaves_what_stood(project, monkeypatch):
    demo(project).run()
    before = tree(project)
    from matplotlib.figure import Figure

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OutputError, match="No space left on device.*free disk space"):
        demo(project).run()
    assert tree(project) == before


def test_an_unwritable_output_folder(project):
    (project / "file").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match="must be writable"):
        demo(project).run(out=project / "file")


def test_data_given_by_the_user(project, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    frame = fs.datasets.load("gbsg").frame
    frame.to_parquet(folder / "gbsg.parquet")
    out = tmp_path / "a"
    demo(project).run(data=folder, out=out)
    record = demo(project).record(out=out)
    assert record["data"][0]["file"] == "gbsg.parquet"
    demo(project).run(out=tmp_path / "b")
    for name in ("results/effect.csv", "results/attrition.csv", "figures/survival.svg"):
        assert (out / "demo" / name).read_bytes() == (tmp_path / "b/demo" / name).read_bytes()


def test_missing_and_damaged_data(project, tmp_path):
    text = (project / "studies/demo/study.toml").read_text(encoding="utf-8")
    (project / "studies/demo/study.toml").write_text(
        text.replace('dataset = "gbsg"\n', ""), encoding="utf-8"
    )
    with pytest.raises(DataError, match="data of a source must be given.*--data"):
        demo(project).run()
    (tmp_path / "gbsg.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match="readable as a table"):
        demo(project).run(data=tmp_path)


def test_one_run_at_a_time(project):
    from fiac_survival.study.publishing import exclusive

    study = demo(project)
    with (
        exclusive(study.layout()),
        pytest.raises(OutputError, match="one run of a study at a time"),
    ):
        study.run()
    study.run()


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "Demo", "..", "demo/", ""])
def test_names_that_are_paths_are_refused(project, name):
    with pytest.raises(ProtocolError, match="a study's name|must exist"):
        fs.study.load(name, project=project)


def test_links_out_of_the_project_are_refused(project, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "other"
    (project / "studies/demo").rename(outside)
    (project / "studies/demo").symlink_to(outside, target_is_directory=True)
    with pytest.raises(ProtocolError, match="must lie within its project"):
        demo(project)


def test_load_by_folder(project):
    assert fs.study.load(project / "studies" / "demo").name == "demo"
    with pytest.raises(ProtocolError, match="must exist.*studies here: demo"):
        fs.study.load("none", project=project)
    with pytest.raises(ProtocolError, match="must have a folder studies"):
        fs.study.load("demo", project=project / "studies")


def test_a_damaged_record(project):
    study = demo(project)
    layout = study.run()
    path = layout.base / layout.record
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2], encoding="utf-8")
    with pytest.raises(DataError, match="record must be whole"):
        study.verify()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 99'), encoding="utf-8")
    with pytest.raises(ProtocolError, match="must not be newer"):
        study.verify()


def test_simulated_data_is_labelled(project):
    path = project / "studies/demo/study.toml"
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            'role = "private"', 'role = "private"\nsimulated = true'
        ),
        encoding="utf-8",
    )
    layout = demo(project).run()
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "simulated data: no patient stands behind these numbers" in page
    record = demo(project).record()
    assert record["simulated"]
    assert record["figures"]["survival"]["simulated"]
    plain = project / "plain"
    path.write_text(
        path.read_text(encoding="utf-8").replace("\nsimulated = true", ""), encoding="utf-8"
    )
    demo(project).run(out=plain)
    svg = (layout.base / layout.figures / "survival.svg").read_bytes()
    assert svg != (plain / "demo/figures/survival.svg").read_bytes()
