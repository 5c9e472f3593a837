"""What this machine has, what it lacks, and the command that installs it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fiac_survival._version import __version__


def _row(what: str, found: bool, detail: str, remedy: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "detail": detail, "remedy": remedy}


def _package(name: str, extra: str) -> dict[str, Any]:
    try:
        return _row(name, True, version(name))
    except PackageNotFoundError:
        return _row(name, False, f"optional ({extra})", f"pip install 'fiac_survival[{extra}]'")


def _java() -> dict[str, Any]:
    path = shutil.which("java")
    remedy = "apt install openjdk-17-jre-headless (Debian), brew install openjdk@17 (macOS)"
    if path is None:
        return _row("Java 17", False, "optional (Spark)", remedy)
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, encoding="utf-8", timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as cause:
        return _row("Java 17", False, str(cause), remedy)
    return _row("Java 17", True, (done.stderr or done.stdout).splitlines()[0])


def _chromium() -> dict[str, Any]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        return _row("Chromium", False, "optional (tests of pages)", "apt install chromium (Debian)")
    return _row("Chromium", True, path)


def _engine() -> dict[str, Any]:
    from fiac_survival.cohort import connect
    from fiac_survival.core.errors import DataError

    try:
        engine = connect("duckdb")
        answer = int(engine.backend.raw_sql("select 41 + 1").fetchone()[0])
        engine.close()
    except (DataError, ImportError) as cause:
        return _row(
            "DuckDB through Ibis", False, str(cause), "pip install 'ibis-framework[duckdb]'"
        )
    return _row("DuckDB through Ibis", answer == 42, f"DuckDB {version('duckdb')}")


def _kernels() -> dict[str, Any]:
    import numba

    import fiac_survival.compare  # noqa: F401  loads every kernel
    from fiac_survival.kernels._jit import cache_available

    kept = "kept between runs" if cache_available() else "compiled anew in each process"
    return _row(
        "compiled kernels",
        cache_available(),
        f"Numba {numba.__version__}, {kept}",
        "slower start only; set NUMBA_CACHE_DIR to a folder that you may write to",
    )


def examine() -> list[dict[str, Any]]:
    """Examine this machine.

    Returns
    -------
    list of dict
        what, found, detail, remedy.

    Examples
    --------
    >>> examine()[0]["what"]
    'fiac_survival'
    """
    import numba

    right_python = (3, 11) <= sys.version_info[:2] < (3, 14)
    return [
        _row("fiac_survival", True, __version__),
        _row("Python 3.11-3.13", right_python, platform.python_version(), "install Python 3.13"),
        _row("processors", True, f"{os.cpu_count()}, Numba uses {numba.get_num_threads()}"),
        _engine(),
        _kernels(),
        *(
            _package(name, extra)
            for name, extra in (
                ("jupytext", "notebooks"),
                ("splink", "linkage"),
                ("pyspark", "spark"),
                ("edsnlp", "text"),
            )
        ),
        _java(),
        _chromium(),
    ]
