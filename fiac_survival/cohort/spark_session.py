"""Spark sessions: what they need on this machine, started by us, or handed in and checked.

A session of ours has its page for browsers off, UTC as time zone and strict (ANSI) arithmetic. One that
is handed in keeps its settings: those that change results are checked and named where they are wrong.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fiac_survival.core.errors import DataError

JAVA_VERSIONS = (17, 21)
INSTALL_JAVA = "apt install openjdk-17-jre-headless (Debian), brew install openjdk@17 (macOS)"
INSTALL_PYSPARK = "pip install 'fiac_survival[spark]'"

# Setting, the value that equal results need, what goes wrong otherwise.
SETTINGS = (
    ("spark.sql.session.timeZone", "UTC", "dates of moments depend on the time zone"),
    ("spark.sql.ansi.enabled", "true", "overflow and bad casts pass without an error"),
    ("spark.sql.files.ignoreCorruptFiles", "false", "damaged files are passed over"),
    ("spark.sql.files.ignoreMissingFiles", "false", "missing files are passed over"),
    ("spark.sql.parser.escapedStringLiterals", "false", "patterns are read differently"),
    ("spark.sql.parquet.datetimeRebaseModeInRead", "CORRECTED", "dates before 1582 are shifted"),
)


def java_executable() -> str | None:
    """Java as Spark finds it.

    Returns
    -------
    str or None
        Its path: that of JAVA_HOME, else the first on the search path.
    """
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")


def java_version(path: str) -> tuple[int, str]:
    """Version of a Java.

    Parameters
    ----------
    path : str
        Its executable.

    Returns
    -------
    number : int
        17 for Java 17; 0 if it cannot be told.
    text : str
        As it describes itself.
    """
    try:
        done = subprocess.run(
            [path, "-version"], capture_output=True, encoding="utf-8", timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as cause:
        return 0, str(cause)
    text = (done.stderr or done.stdout).strip()
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return (int(found.group(1)) if found else 0), (text.splitlines() or ["no answer"])[0]


def require_spark() -> None:
    """Make sure that Spark can be started here.

    Raises
    ------
    DataError
        If pyspark or Java is missing; it names the command that installs it.
    """
    if find_spec("pyspark") is None:
        raise DataError("the engine spark needs pyspark", remedy=INSTALL_PYSPARK)
    path = java_executable()
    if path is None:
        raise DataError("the engine spark needs Java 17", remedy=INSTALL_JAVA)
    number, text = java_version(path)
    if number not in JAVA_VERSIONS:
        raise DataError(
            "the engine spark needs Java 17 or 21",
            values={"java": path, "found": text},
            remedy=f"{INSTALL_JAVA}; then set JAVA_HOME to it",
        )


class _Shared:
    """The Spark context of this process that is ours; Java holds one at a time."""

    context: Any = None
    master: str = ""
    sessions: int = 0


def start(
    master: str,
    *,
    memory_limit: str | None,
    temp_directory: str | Path | None,
    settings: Mapping[str, str],
    timeout: float,
) -> Any:
    """Start a session, or another one beside those of ours that run.

    Parameters
    ----------
    master : str
        local[...] or spark://host:port.
    memory_limit, temp_directory : optional
        Of the driver where it works alone, else of each executor; where to spill.
    settings : mapping
        Further settings of Spark.
    timeout : float
        Seconds to wait for a cluster.

    Returns
    -------
    SparkSession
        Tables and settings are its own.

    Raises
    ------
    DataError
        If Spark is not installed, a cluster does not answer, or another session runs.
    """
    require_spark()
    from pyspark import SparkContext

    active = SparkContext._active_spark_context
    if active is not None and active is not _Shared.context:
        raise DataError(
            "a process must have one Spark context, and this one has another",
            values={"master": active.master},
            remedy="hand that session in: connect(session)",
        )
    if active is not None and master != _Shared.master:
        raise DataError(
            "a process must have one Spark context at a time",
            values={"running": _Shared.master, "asked for": master},
            remedy="close the engine that runs first",
        )
    if active is None:
        local = master.startswith("local")
        if not local:
            require_answer(master, timeout)
        session = _started(master, local, memory_limit, temp_directory, settings)
        _Shared.context, _Shared.master, _Shared.sessions = session.sparkContext, master, 0
        if not local:
            _require_workers(session, timeout)
    else:
        from pyspark.sql import SparkSession

        session = SparkSession(active).newSession()
        _strict(session)
    _Shared.sessions += 1
    return session


def stop(session: Any) -> None:
    """End a session of ours; the last one ends Spark.

    Parameters
    ----------
    session : SparkSession
        From :func:`start`.
    """
    _Shared.sessions -= 1
    if _Shared.sessions <= 0:
        _Shared.context, _Shared.master, _Shared.sessions = None, "", 0
        session.stop()


def _started(
    master: str,
    local: bool,
    memory_limit: str | None,
    temp_directory: str | Path | None,
    settings: Mapping[str, str],
) -> Any:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("fiac_survival")
    chosen = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "FATAL" if local else "ERROR",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
    }
    if local:
        chosen |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if memory_limit is not None:
        # Spark wants "8g" where DuckDB takes "8GB" too.
        size = re.sub(r"(?i)\s*([kmgt])i?b?$", lambda m: m.group(1).lower(), memory_limit.strip())
        chosen["spark.driver.memory" if local else "spark.executor.memory"] = size
    if temp_directory is not None:
        chosen["spark.local.dir"] = str(temp_directory)
        chosen["spark.sql.warehouse.dir"] = str(Path(temp_directory) / "warehouse")
    for key, value in (chosen | dict(settings)).items():
        builder = builder.config(key, value)
    # Errors reach the caller as exceptions: this logger would print each of them once more.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)
    try:
        with _loopback(local):
            session = builder.getOrCreate()
    except Exception as cause:
        from pyspark import SparkContext

        if SparkContext._active_spark_context is not None:
            SparkContext._active_spark_context.stop()
        raise DataError(
            "the engine must be reachable",
            values={"engine": master, "reason": reason_of(cause)},
            remedy="check the master's address, its version of Spark and the settings",
        ) from cause
    _strict(session)
    return session


def _strict(session: Any) -> None:
    for key, value, _ in SETTINGS:
        session.conf.set(key, value)


@contextlib.contextmanager
def _loopback(local: bool) -> Iterator[None]:
    """Keep a Spark that works alone from looking for the machine's address."""
    before = os.environ.get("SPARK_LOCAL_IP")
    if local and before is None:
        os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    try:
        yield
    finally:
        if local and before is None:
            del os.environ["SPARK_LOCAL_IP"]


def require_answer(master: str, timeout: float) -> None:
    """Make sure that a host of a master's address takes connections.

    Parameters
    ----------
    master : str
        spark://host:port, several separated by commas.
    timeout : float
        Seconds for each.

    Raises
    ------
    DataError
        If the address has no port or none answers.
    """
    reason = ""
    for place in master.removeprefix("spark://").split(","):
        host, _, port = place.rpartition(":")
        if not host or not port.isdigit():
            raise DataError(
                "a Spark master must be given as spark://host:port",
                values={"master": master},
                remedy="standalone masters listen on port 7077",
            )
        try:
            socket.create_connection((host, int(port)), timeout=timeout).close()
        except OSError as cause:
            reason = str(cause)
            continue
        return
    raise DataError(
        "the engine must be reachable",
        values={"engine": master, "reason": reason},
        remedy="check host and port, and that the master runs",
    )


def _require_workers(session: Any, timeout: float) -> None:
    """Refuse a master without free workers: queries would wait for ever."""
    status = session.sparkContext._jsc.sc()
    until = time.monotonic() + timeout
    while status.getExecutorMemoryStatus().size() < 2:
        if time.monotonic() > until:
            master = _Shared.master
            stop(session)
            raise DataError(
                "the Spark master must have a free worker",
                values={"engine": master, "seconds waited": int(timeout)},
                remedy="start workers, free some, or ask for less memory and fewer threads",
            )
        time.sleep(0.2)


def settings_that_differ() -> list[tuple[str, str, str]]:
    """Read which settings of this machine's Spark would change results of sessions begun elsewhere.

    Returns
    -------
    list of (str, str, str)
        Setting, its value in spark-defaults.conf, the value that it needs.
    """
    home = os.environ.get("SPARK_HOME")
    place = os.environ.get("SPARK_CONF_DIR") or (str(Path(home) / "conf") if home else None)
    file = None if place is None else Path(place) / "spark-defaults.conf"
    if file is None or not file.is_file():
        return []
    given = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        words = re.split(r"[\s=]+", line.strip(), maxsplit=1)
        if len(words) == 2 and not words[0].startswith("#"):
            given[words[0]] = words[1]
    return [
        (key, given[key], value)
        for key, value, _ in SETTINGS
        if key in given and not _is_right(given[key], value)
    ]


def _is_right(found: str, wanted: str) -> bool:
    alike = {"utc": {"etc/utc", "z", "+00:00", "gmt"}, "corrected": {"exception"}}
    own, right = found.lower(), wanted.lower()
    return own == right or own in alike.get(right, set())


def check_settings(session: Any) -> None:
    """Refuse a session whose settings change results.

    Parameters
    ----------
    session : SparkSession
        Handed in; nothing of it is changed.

    Raises
    ------
    DataError
        Naming each such setting and the command that sets it.
    """
    wrong = []
    for key, value, why in SETTINGS:
        found = str(session.conf.get(key))
        if not _is_right(found, value):
            wrong.append((key, found, value, why))
    if wrong:
        raise DataError(
            "the Spark session must have the settings that equal results need",
            values={key: f"{found} ({why})" for key, found, _, why in wrong},
            remedy="; ".join(f'session.conf.set("{key}", "{value}")' for key, _, value, _ in wrong),
        )


@contextlib.contextmanager
def untouched(session: Any) -> Iterator[None]:
    """Undo what Ibis sets in a session that it is connected to.

    Parameters
    ----------
    session : SparkSession
        Handed in.
    """
    keys = ("spark.sql.session.timeZone", "spark.sql.mapKeyDedupPolicy")
    before = {key: session.conf.get(key) for key in keys}
    try:
        yield
    finally:
        for key, value in before.items():
            session.conf.set(key, value)


def reason_of(cause: BaseException) -> str:
    """First line of an engine's error that says something.

    Parameters
    ----------
    cause : BaseException
        What the engine raised.

    Returns
    -------
    str
        One line.
    """
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    roots = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    plain = [line for line in lines if not line.startswith(("An error occurred", "at "))]
    return (roots[-1:] or plain[:1] or lines[:1] or [type(cause).__name__])[0].removeprefix(": ")
