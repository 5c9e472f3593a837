"""What this machine has, what it lacks, and the command that installs it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from fiac_survival._version import __version__

GIGABYTE = 2**30


def _row(what: str, found: bool, detail: str, remedy: str = "") -> dict[str, Any]:
    return {"what": what, "found": found, "detail": detail, "remedy": remedy}


def _package(name: str, extra: str) -> dict[str, Any]:
    try:
        return _row(name, True, version(name))
    except PackageNotFoundError:
        return _row(name, False, f"optional ({extra})", f"pip install 'fiac_survival[{extra}]'")


def _pyspark() -> dict[str, Any]:
    from fiac_survival.cohort.spark_session import INSTALL_PYSPARK

    row = _package("pyspark", "spark")
    if row["found"] and not row["detail"].startswith("4.0."):
        return _row("pyspark", False, f"{row['detail']}, needs 4.0", INSTALL_PYSPARK)
    return row


def _java() -> dict[str, Any]:
    from fiac_survival.cohort.spark_session import (
        INSTALL_JAVA,
        JAVA_VERSIONS,
        java_executable,
        java_version,
    )

    path = java_executable()
    if path is None:
        return _row("Java 17", False, "optional (Spark)", INSTALL_JAVA)
    number, text = java_version(path)
    remedy = f"{INSTALL_JAVA}; then set JAVA_HOME to it"
    return _row("Java 17", number in JAVA_VERSIONS, f"{text}, {path}", remedy)


def _spark_memory() -> dict[str, Any]:
    what, remedy = "memory for Spark", "use DuckDB here, or connect to a cluster: spark://HOST:7077"
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return _row(what, True, "cannot be told on this system; a session needs 1 GB")
    return _row(what, size >= 2 * GIGABYTE, f"{size / GIGABYTE:.0f} GB, needs 2 GB", remedy)


def _spark_settings() -> dict[str, Any]:
    from fiac_survival.cohort.spark_session import settings_that_differ

    wrong = settings_that_differ()
    detail = "; ".join(f"{key}={found}" for key, found, _ in wrong)
    return _row(
        "settings of Spark",
        not wrong,
        detail or "time zone UTC and strict arithmetic, set by this package for its sessions",
        "in spark-defaults.conf: " + "; ".join(f"{key} {value}" for key, _, value in wrong),
    )


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
                ("edsnlp", "text"),
            )
        ),
        _pyspark(),
        _java(),
        _spark_memory(),
        _spark_settings(),
        _chromium(),
    ]


def conform(engine: str, *, folder: Path | None = None) -> list[dict[str, Any]]:
    """Check that an engine gives the results of the embedded one.

    Parameters
    ----------
    engine : str
        "duckdb", "spark", "spark://host:port".
    folder : Path, optional
        That every machine of the engine sees.

    Returns
    -------
    list of dict
        check, what, expected, got, passed.

    Raises
    ------
    DataError
        If the engine cannot be reached.
    """
    from fiac_survival.cohort import conformance

    rows = conformance(engine, folder=folder).table.to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]
