"""Compiled kernels are kept safely; where no folder is writable they are compiled without a cache."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numba
import numpy as np
import pytest

from fiac_survival.kernels import _cache
from fiac_survival.kernels._cache import KernelFiles
from tests.conftest import ROOT

CODE = """
import fiac_survival as fs
from fiac_survival.kernels._jit import cache_available
km = fs.survival.kaplan_meier(fs.Outcome([1, 2], [1, 0]))
print(cache_available(), km.table["survival"].tolist())
"""


def test_kernels_compile_where_nothing_is_writable(tmp_path):
    shutil.copytree(
        ROOT / "fiac_survival",
        tmp_path / "fiac_survival",
        ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"),
    )
    # A file where Numba wants a folder: works for root too, whom no permission stops.
    for folder in (tmp_path / "fiac_survival").rglob("kernels"):
        (folder / "__pycache__").write_text("", encoding="utf-8")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".cache").write_text("", encoding="utf-8")
    environment = os.environ | {
        "HOME": str(tmp_path / "home"),
        "XDG_CACHE_HOME": str(tmp_path / "home" / ".cache"),
        "PYTHONPATH": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False [0.5, 0.5]"


RUN = """
import sys
import numpy as np
from fiac_survival.kernels.trial import total
print(total(np.arange(1, 5).astype(sys.argv[1])), total.stats.cache_hits and "kept" or "compiled")
"""

TRIAL = """
from fiac_survival.kernels._jit import jit
from fiac_survival.kernels.factor import FACTOR


@jit
def total(values):
    return FACTOR * values.sum()
"""


@pytest.fixture
def package(tmp_path):
    """Make a copy of the kernels alone with one more, and a way to call it in a process."""
    kernels = tmp_path / "fiac_survival" / "kernels"
    kernels.mkdir(parents=True)
    (kernels.parent / "__init__.py").write_text("", encoding="utf-8")
    for name in ("__init__.py", "_jit.py", "_cache.py"):
        shutil.copy(ROOT / "fiac_survival" / "kernels" / name, kernels)
    (kernels / "factor.py").write_text("FACTOR = 2\n", encoding="utf-8")
    (kernels / "trial.py").write_text(TRIAL, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    environment.pop("NUMBA_CACHE_DIR", None)

    def start(kind: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", RUN, kind],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            cwd=tmp_path,
            env=environment,
        )

    return kernels, lambda kind: start(kind).communicate()[0].split(), start


def test_a_kernel_is_kept_until_any_kernel_changes(package):
    kernels, run, _ = package
    assert run("int64") == ["20", "compiled"]
    assert run("int64") == ["20", "kept"]
    # Another file's constant is compiled in: Numba's own cache would go on with 2.
    (kernels / "factor.py").write_text("FACTOR = 3\n", encoding="utf-8")
    assert run("int64") == ["30", "compiled"]
    kept = list((kernels / "__pycache__").glob("trial.total*"))
    assert len(kept) == 1


def test_a_damaged_file_is_compiled_anew(tmp_path):
    files = KernelFiles(tmp_path, "kernel")
    files.save("key", ["a compiled kernel"] * 10)
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:-10], whole[:40], b"", whole[:-3] + b"xyz"):
        path.write_bytes(damaged)
        assert files.load("key") is None
    path.write_bytes(whole)
    assert files.load("key") == ["a compiled kernel"] * 10


def test_processes_that_compile_at_once_keep_each_their_own(package):
    _, run, start = package
    kinds = ["int64", "float64"]
    first = [start(kind) for kind in kinds]
    said = [process.communicate()[0].split() for process in first]
    assert [words[0] for words in said] == ["20", "20.0"]
    assert [run(kind) for kind in kinds] == [["20", "kept"], ["20.0", "kept"]]


def test_every_set_of_types_has_its_file(tmp_path, monkeypatch):
    # Both begin with nothing kept, as two processes do: neither may take the other's name.
    one, other = KernelFiles(tmp_path, "kernel"), KernelFiles(tmp_path, "kernel")
    keys = [(numba.typeof(np.zeros(1, kind)),) for kind in (np.int64, np.float64)]
    for files, key in zip((one, other), keys, strict=True):
        assert files.load(key) is None
    for files, key in zip((one, other), keys, strict=True):
        files.save(key, str(key))
    assert [one.load(key) for key in keys] == [str(key) for key in keys]
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".nbc", ".nbc"]
    monkeypatch.setattr(_cache, "sources", lambda: "other")
    assert one.load(keys[0]) is None
    one.flush()
    assert not list(tmp_path.iterdir())
