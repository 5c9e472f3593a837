"""What tests share: data, generated outcomes, and what to do when a tool is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

import fiac_survival as fs

ROOT = Path(__file__).parents[1]

# The same examples in every run; kernels compile within the first, which no deadline may count.
# ``make test-all`` asks for the thorough profile.
settings.register_profile("house", deadline=None, derandomize=True, database=None, max_examples=20)
settings.register_profile("thorough", settings.get_profile("house"), max_examples=100)
settings.load_profile("house")


def missing(tool: str, command: str) -> None:
    """Skip a test whose tool is missing; in continuous integration that is a failure."""
    message = f"{tool} is missing: {command}"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def chromium() -> str:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("Chromium", "apt install chromium")
    return str(path)


@pytest.fixture(scope="session")
def spark() -> Iterator[fs.cohort.Engine]:
    """One small Spark for all tests; they stand in the same group of pytest-xdist."""
    small = {
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
        # Small queries live shorter than Java's second compiler takes: half the processor time.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    try:
        engine = fs.cohort.connect("spark+local[2]", memory_limit="1GB", settings=small)
    except fs.errors.DataError as error:
        if not error.rule.startswith("the engine spark needs"):
            raise
        missing(error.rule.removeprefix("the engine spark needs "), error.remedy)
    yield engine
    engine.close()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one small study, made as a user makes it."""
    from fiac_survival.study.template import make_study

    make_study(tmp_path, "demo")
    return tmp_path


def generate(
    seed: int, n: int, *, late: bool = False, ties: int = 12, events: float = 0.6
) -> tuple[fs.Outcome, np.random.Generator]:
    """An outcome with many ties and, if asked for, delayed entry."""
    rng = np.random.default_rng(seed)
    time = rng.integers(1, ties + 1, n).astype(float)
    event = rng.random(n) < events
    if not event.any():
        event[0] = True
    entry = None
    if late:
        entry = np.where(rng.random(n) < 0.5, np.floor(rng.random(n) * time), 0.0)
    return fs.Outcome(time, event, entry=entry), rng
