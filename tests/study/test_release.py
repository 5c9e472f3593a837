"""The gate of a study: what a protected source may not release, and what the record says of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DisclosureError, ProtocolError
from fiac_survival.core.protocol import Release
from fiac_survival.disclosure import PROFILES

SAFE = '''"""The analysis: everything that the study computes."""

import pandas as pd

import fiac_survival as fs


def analyse(study: fs.study.StudyRun) -> None:
    protocol = study.protocol
    patients, attrition = fs.cohort.apply_eligibility(
        study.source("gbsg"), protocol.eligibility, source="gbsg"
    )
    frame = study.engine.collect(patients, order_by=["pid"])
    y = fs.Outcome(frame["rfstime"], frame["status"])
    study.table(
        "attrition",
        fs.cohort.CountTable(
            attrition,
            counts=["n_before", "n_excluded", "n_after"],
            by=["step", "source"],
            column_totals={"n_before": ["n_excluded", "n_after"]},
            steps={"n_after": "n_excluded"},
            population="gbsg flow",
        ),
        title="Attrition",
    )
    counts = frame.groupby("grade", as_index=False).size().rename(columns={"size": "n"})
    # planted
    study.table(
        "grades", fs.cohort.CountTable(counts, counts=["n"], by=["grade"]), title="Grades"
    )
    found = fs.compare.effect(y, frame["hormon"], measure="rmst", tau=1826)
    study.table("effect", fs.cohort.EstimateTable(found, basis=100, labels=["tau"]), title="Effect")
    curves = fs.compare.weighted_curves(y, frame["hormon"], times=y.time)
    labels = {s.value: s.label for s in protocol.strategies}
    curves = curves.assign(panel="GBSG", arm_label=curves["arm"].map(labels))
    released = study.table(
        "curves",
        fs.cohort.CurveTable(
            curves,
            fs.survival.RiskTable.from_outcome(y, group=frame["hormon"]),
            group="arm",
            ticks=[365, 730],
        ),
        title="Curves",
    )
    study.figure(
        "survival",
        "survival",
        released[released["time"] >= 0],
        title="Survival",
        time_label="Days",
        survival_label="Survival",
        tick=365,
        caption="Curves.",
        alt="Two curves.",
    )
    study.prose("Text.")
'''


def edit(project: Path, *changes: tuple[str, str], file: str = "study.toml") -> None:
    path = project / "studies/demo" / file
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


PROTECTED = ('role = "private"', 'role = "private"\nprotected = true')
SNDS = ('profile = "none"', 'profile = "snds"')


@pytest.fixture
def protected(project: Path) -> Path:
    edit(project, PROTECTED, SNDS)
    (project / "studies/demo/analysis.py").write_text(SAFE, encoding="utf-8")
    return project


def run(project: Path):
    return fs.study.load("demo", project=project).run()


def record(project: Path) -> dict:
    return json.loads((project / "studies/demo/record.json").read_text(encoding="utf-8"))


def nothing_left(project: Path) -> bool:
    return not (project / "studies/demo/results").exists()


def test_outputs_that_were_not_controlled_are_refused(project):
    edit(project, PROTECTED, SNDS)
    with pytest.raises(
        DisclosureError, match="must have passed.*attrition, effect, survival.*Count"
    ):
        run(project)
    assert nothing_left(project)


def test_a_protected_source_needs_a_profile(project):
    edit(project, PROTECTED)
    with pytest.raises(DisclosureError, match='need a disclosure-control profile.*"snds"'):
        run(project)
    assert nothing_left(project)


def test_public_data_keep_their_record(project):
    run(project)
    assert "disclosure" not in record(project)
    assert record(project)["data"][0]["rows"] == 686


def test_a_controlled_study_is_released_with_its_log(protected):
    layout = run(protected)
    found = record(protected)
    log = found["disclosure"]
    assert (log["profile"], log["threshold"], log["audit"]) == ("snds", 11, "passed")
    assert found["data"][0]["rows"] is None
    assert {a["output"] for a in log["actions"]} == {
        "attrition",
        "grades",
        "effect",
        "curves",
        "survival",
    }
    assert log["texts_to_read"] == 1
    names = [k for _, _, where in log["current"]["outputs"]["cells"] for k, _ in where]
    assert "#until" in names
    assert "#time" not in names  # when something happened to one person
    # The figure is drawn from rows of the controlled table.
    table = fs.core.released.read_table(layout.base / layout.results / "curves.csv")
    drawn = fs.core.released.read_table(layout.base / layout.figures / "survival.csv")
    assert drawn.equals(table)
    assert not table[["n_risk", "n_event", "n_censor"]].isin(range(1, 11)).any().any()
    assert fs.study.load("demo", project=protected).verify().exit_code == 0
    report = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "number of rows withheld" in report


def test_running_again_changes_nothing(protected):
    run(protected)
    first = record(protected)
    run(protected)
    assert record(protected)["disclosure"]["earlier"] == []
    assert record(protected)["artefacts"] == first["artefacts"]


def test_a_figure_from_other_numbers_is_refused(protected):
    edit(
        protected,
        ('released[released["time"] >= 0]', "released.assign(survival=released.survival - 0.01)"),
        file="analysis.py",
    )
    with pytest.raises(DisclosureError, match="outputs=survival"):
        run(protected)
    assert nothing_left(protected)


def test_differencing_within_a_study_is_refused(protected):
    """A second table, safe alone, that leaves out few of the first."""
    planted = (
        "study.table('some', fs.cohort.CountTable(counts.assign(n=counts.n - 3, part='a'), "
        "counts=['n'], by=['grade', 'part']), title='Some')"
    )
    edit(protected, ("# planted", planted), file="analysis.py")
    with pytest.raises(DisclosureError, match="from 1 to 10 may be solved back"):
        run(protected)
    assert nothing_left(protected)


def test_differencing_against_an_earlier_release_is_refused(protected):
    run(protected)
    edit(
        protected,
        ("counts, counts=", 'counts.assign(n=counts.n - 3, part="a"), counts='),
        ('by=["grade"]', 'by=["grade", "part"]'),
        file="analysis.py",
    )
    before = (protected / "studies/demo/record.json").read_bytes()
    with pytest.raises(DisclosureError, match="may be solved back"):
        run(protected)
    assert (protected / "studies/demo/record.json").read_bytes() == before


def test_what_contradicts_an_earlier_release_is_refused(protected):
    run(protected)
    edit(
        protected, ("counts, counts=", "counts.assign(n=counts.n - 3), counts="), file="analysis.py"
    )
    with pytest.raises(DisclosureError, match="must not contradict.*another population"):
        run(protected)


def test_a_small_change_of_the_data_is_refused(protected, tmp_path):
    frame = fs.datasets.load("gbsg").frame
    for drop, refused in ((3, True), (80, False)):
        data = tmp_path / f"data_{drop}"
        data.mkdir()
        kept = frame.drop(frame.index[(frame["meno"] == 1) & (frame["grade"] == 2)][:drop])
        kept.to_csv(data / "gbsg.csv", index=False)
        run(protected)
        study = fs.study.load("demo", project=protected)
        if refused:
            with pytest.raises(DisclosureError, match="change of a count between two releases"):
                study.run(data=data)
        else:
            study.run(data=data)
            assert len(record(protected)["disclosure"]["earlier"]) == 1


def test_the_same_analysis_runs_on_public_data(project):
    (project / "studies/demo/analysis.py").write_text(SAFE, encoding="utf-8")
    layout = run(project)
    table = fs.core.released.read_table(layout.base / layout.results / "curves.csv")
    assert len(table) > 200
    assert "disclosure" not in record(project)


def test_protocols_state_profiles_that_exist(project):
    assert set(Release.model_fields["profile"].annotation.__args__) == set(PROFILES)
    edit(project, ('profile = "none"', 'profile = "sndz"'))
    with pytest.raises(ProtocolError, match="release.profile"):
        run(project)
    edit(project, ('profile = "sndz"', 'profile = "snds"\nthreshold = 0'))
    with pytest.raises(ProtocolError, match="release.threshold"):
        run(project)
