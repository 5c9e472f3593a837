"""A run that is killed at any moment leaves all of the old results or all of the new.

The published results come from one analysis, the run that is killed from another, so that a mixture of
the two would be seen. Ten kills come at seeded times, ten at seeded file operations, most of them within
the short moment of publication; most come with the slow tests.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import fiac_survival as fs
from tests.study.test_run import change, demo, tree

KILLS = 10
RNG = np.random.default_rng(20261121)
MOMENTS = RNG.uniform(0.05, 1.05, KILLS).round(3).tolist()
OPERATIONS = sorted(RNG.choice(np.arange(1, 35), KILLS, replace=False).tolist())


def mostly_slow(values: list) -> list:
    return [pytest.param(v, marks=pytest.mark.slow) if i % 5 else v for i, v in enumerate(values)]


# Counts renames and flushes, and kills its own process at the k-th.
SCRIPT = """
import os, signal, sys
from pathlib import Path
import fiac_survival as fs
from fiac_survival.core import files

target, count = int(sys.argv[2]), 0

def counting(function):
    def call(*arguments, **options):
        global count
        count += 1
        if count == target:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return call

Path.replace = counting(Path.replace)
os.fsync = counting(os.fsync)
fs.study.load("demo", project=Path(sys.argv[1])).run()
print(count)
"""


@pytest.fixture(scope="module")
def states(tmp_path_factory):
    """The project with old results and a changed analysis, and the trees of both outcomes."""
    from fiac_survival.study.template import make_study

    root = tmp_path_factory.mktemp("kill")
    make_study(root, "demo")
    demo(root).run()
    change(root, "range(0, 1827, 365)", "range(0, 1827, 73)")
    change(root, '"attrition", attrition', '"flow", attrition')
    old = tree(root)
    after = tmp_path_factory.mktemp("after") / "project"
    shutil.copytree(root, after)
    begun = time.perf_counter()
    run_script(after, 0)
    duration = time.perf_counter() - begun
    return root, old, tree(after), duration


def run_script(root: Path, target: int) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(root), str(target)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def check(root: Path, old: dict, new: dict) -> str:
    """All old or all new, for whoever reads through the package; then a rerun is identical."""
    record = demo(root).record()
    assert record is not None
    found = tree(root)
    leftovers = {name for name in found if "/." in f"/{name}"}
    visible = {name: found[name] for name in found if name not in leftovers}
    assert visible in (old, new)
    assert demo(root).verify().exit_code == 0
    demo(root).run()
    assert tree(root) == new
    return "new" if visible == new else "old"


def test_the_number_of_operations_is_known(states, tmp_path):
    """The seeded operations reach from the first file to the last move."""
    root, *_ = states
    shutil.copytree(root, tmp_path / "project")
    total = int(run_script(tmp_path / "project", 0).stdout)
    assert max(OPERATIONS) <= total <= 40


@pytest.mark.parametrize("target", mostly_slow(OPERATIONS))
def test_killed_at_a_file_operation(states, tmp_path, target):
    root, old, new, _ = states
    shutil.copytree(root, tmp_path / "project")
    done = run_script(tmp_path / "project", target)
    assert done.returncode == -signal.SIGKILL
    check(tmp_path / "project", old, new)


@pytest.mark.slow
@pytest.mark.parametrize("share", MOMENTS)
def test_killed_at_a_time(states, tmp_path, share):
    root, old, new, duration = states
    shutil.copytree(root, tmp_path / "project")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "project"), "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(share * duration)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    check(tmp_path / "project", old, new)


def test_publication_is_finished_by_a_reader(states, tmp_path):
    """Killed between the journal and the last move: the files are mixed, and a reader mends them."""
    root, old, new, _ = states
    project = tmp_path / "project"
    shutil.copytree(root, project)
    total = int(run_script(tmp_path_copy(root, tmp_path / "count"), 0).stdout)
    run_script(project, total - 3)
    assert (project / "studies/demo/.publishing.json").exists()
    assert tree(project) not in (old, new)
    assert fs.study.load("demo", project=project).verify().exit_code == 0
    assert tree(project) == new


def tmp_path_copy(root: Path, target: Path) -> Path:
    shutil.copytree(root, target)
    return target
