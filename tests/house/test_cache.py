"""Where no folder is writable, kernels are compiled without a cache instead of failing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

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
