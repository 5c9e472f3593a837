"""Sources that are simulated while a study runs, or given as folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.study.sources import fingerprint_tables, tables_of

ANALYSIS = """
import fiac_survival as fs

def analyse(study):
    made = study.simulated(
        fs.simulate.lung_early_access, parameters={"n": 40},
        sources={"forms": "forms", "claims": "claims"},
    )
    persons = made.cohorts["forms"].person.count().execute()
    import pandas as pd
    study.table("persons", pd.DataFrame({"n": [persons], "truth": [made.found is not None]}), title="P")
"""
SOURCE = """
[[sources]]
name = "{name}"
label = "{name}"
role = "{role}"
simulated = {simulated}
description = "simulated"
"""


def change(project: Path, simulated: str) -> None:
    folder = project / "studies/demo"
    text = (folder / "study.toml").read_text(encoding="utf-8")
    start, end = text.index("[[sources]]"), text.index("[[eligibility]]")
    given = "".join(
        SOURCE.format(name=name, role=role, simulated=simulated)
        for name, role in (("forms", "private"), ("claims", "public"))
    )
    (folder / "study.toml").write_text(text[:start] + given + text[end:], encoding="utf-8")
    (folder / "analysis.py").write_text(ANALYSIS, encoding="utf-8")


@pytest.fixture
def simulated(project: Path) -> Path:
    change(project, "true")
    return project


def load(project: Path) -> fs.study.Study:
    return fs.study.load("demo", project=project)


def results(project: Path, out: Path) -> str:
    return (out / "demo/results/persons.csv").read_text(encoding="utf-8")


def test_a_simulation_is_recorded_and_labelled(simulated):
    layout = load(simulated).run()
    record = load(simulated).record()
    assert record["simulated"]
    assert record["seeds"] == {"root": 1, "simulation": 1}
    found = fs.simulate.lung_early_access(40, seed=1)
    for entry, part in zip(record["data"], (found.forms, found.claims), strict=True):
        assert entry["simulated"]
        assert entry["simulator"] == "fiac_survival.simulate.lung.lung_early_access"
        assert entry["parameters"] == {"n": 40}
        assert entry["seed"] == 1
        assert entry["sha256"] == fingerprint_tables(tables_of(part))
        assert entry["rows"] == len(part.person)
        assert entry["tables"]["event"] == len(part.event)
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "simulated data: no patient stands behind these numbers" in page
    assert "made by fiac_survival.simulate.lung.lung_early_access(n=40, seed=1).forms" in page
    verification = load(simulated).verify(rerun=True, out=simulated / "again")
    assert verification.status is fs.study.Status.IDENTICAL


def test_folders_come_before_the_simulation(simulated, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    fs.simulate.lung_early_access(25, seed=9).write(data)
    load(simulated).run(data=data, out=out)
    assert results(simulated, out) == "n,truth\n25,false\n"
    record = json.loads((out / "demo/record.json").read_text(encoding="utf-8"))
    assert [d["file"] for d in record["data"]] == ["forms/", "claims/"]
    assert all(d["simulated"] for d in record["data"])
    first = record["data"][0]["sha256"]
    fs.simulate.lung_early_access(25, seed=10).write(data)
    load(simulated).run(data=data, out=out)
    record = json.loads((out / "demo/record.json").read_text(encoding="utf-8"))
    assert record["data"][0]["sha256"] != first


def test_a_source_is_declared_for_what_it_is(simulated, tmp_path):
    data = tmp_path / "data"
    fs.simulate.lung_early_access(25, seed=9).write(data)
    (data / "SIMULATED.txt").unlink()
    with pytest.raises(ProtocolError, match="declared for what it is.*simulated = false"):
        load(simulated).run(data=data)
    change(simulated, "false")
    load(simulated).run(data=data)
    assert not load(simulated).record()["simulated"]
    (data / "forms" / "SIMULATED.txt").write_text("x", encoding="utf-8")
    with pytest.raises(ProtocolError, match="declared for what it is.*simulated = true"):
        load(simulated).run(data=data)


def test_folders_are_all_there_or_none(simulated, tmp_path):
    data = tmp_path / "data"
    fs.simulate.lung_early_access(25, seed=9).write(data)
    (data / "claims").rename(data / "elsewhere")
    with pytest.raises(DataError, match="data of a source must be given.*claims.*--data"):
        load(simulated).run(data=data)
    change(simulated, "false")
    with pytest.raises(DataError, match="data of a source must be given.*forms"):
        load(simulated).run()


def test_parameters_must_fit_into_the_record(simulated):
    path = simulated / "studies/demo/analysis.py"
    text = path.read_text(encoding="utf-8")
    errors = '{"n": 40, "errors": fs.simulate.LungErrors.none()}'
    path.write_text(text.replace('{"n": 40}', errors), encoding="utf-8")
    load(simulated).run()
    assert load(simulated).record()["data"][0]["parameters"]["errors"]["wrong_sex"] == 0.0
    path.write_text(text.replace('{"n": 40}', '{"n": 40, "errors": {1: 2}}'), encoding="utf-8")
    with pytest.raises(ProtocolError, match="parameter of a simulation.*type=dict"):
        load(simulated).run()


def test_fingerprints_see_every_value():
    tables = tables_of(fs.simulate.lung_early_access(20, seed=1).claims)
    first = fingerprint_tables(tables)
    assert fingerprint_tables(dict(reversed(tables.items()))) == first
    changed = tables["person"].assign(department="99")
    assert fingerprint_tables(tables | {"person": changed}) != first
    assert fingerprint_tables({f"x{k}": v for k, v in tables.items()}) != first
