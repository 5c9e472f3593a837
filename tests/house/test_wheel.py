"""The wheel has all that the package needs to run a study in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT


@pytest.fixture
def installed(tmp_path):
    """Build the wheel and unpack it."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    return installed


def test_the_wheel_has_all_files(installed):
    names = {path.name for path in (installed / "fiac_survival").rglob("*")}
    assert {"py.typed", "style.css", "study.html.j2", "gbsg.csv", "gbsg.toml"} <= names


@pytest.mark.slow
def test_the_wheel_runs_a_study(installed, tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    environment = os.environ | {"PYTHONPATH": str(installed)}
    for command in (["init", "demo"], ["run", "demo"], ["verify", "demo"]):
        done = subprocess.run(
            [sys.executable, "-m", "fiac_survival", *command],
            cwd=project,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
    where = subprocess.run(
        [sys.executable, "-c", "import fiac_survival; print(fiac_survival.__file__)"],
        cwd=project,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout
    assert str(installed) in where
