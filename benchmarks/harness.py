"""Measuring: each contender in a process of its own, calls in turn, medians and ratios.

A task makes its data once and gives one function a contender. Contenders run in turn (A B A B ...) in one
process, after one call that is not counted (compilation, caches), so that a drift of the machine's speed
meets both. Peak memory beyond the data is measured in a separate process a contender.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.peers import Timed

TASKS = (
    "aalen_johansen",
    "aalen_johansen_weighted",
    "aipw",
    "cox",
    "fine_gray",
    "kaplan_meier",
    "kaplan_meier_weighted",
    "maxcombo",
    "rmst",
    "sequences",
    "sequences_quantecon",
    "sequences_mdptoolbox",
    "sequences_draws",
    "sequences_fixed",
    "sequences_growth",
    "state_sequences",
    "alignment",
)
FULL = "--full"
# None stands for a peer that is not installed.
Contenders = Mapping[str, Callable[[], object] | None]


@dataclass(frozen=True)
class Task:
    """What is measured.

    Attributes
    ----------
    title : str
        For the table.
    make : callable
        Makes the data and returns the contenders, ours first.
    repeats : int
        Counted calls of each.
    check : callable
        Asserts that the contenders' results agree, and says how well.
    remark : callable, optional
        Says what the seconds of each contender come to.
    """

    title: str
    make: Callable[[], Contenders]
    repeats: int
    check: Callable[[Mapping[str, object]], str]
    remark: Callable[[Mapping[str, float]], str] | None = None


def load(name: str, *, full: bool = False) -> Task | None:
    """The task of a module; FULL instead of TASK if asked for. None if it measures for itself."""
    module = importlib.import_module(f"benchmarks.{name}")
    task: Task | None = getattr(module, "TASK", None)
    if full:
        task = getattr(module, "FULL", task)
    return task


def _reset_peak() -> None:
    """Forget the highest memory so far (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _megabytes(field: str) -> float:
    """Current (VmRSS) or highest (VmHWM) memory of this process; NaN where there is no /proc."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return float("nan")
    (line,) = [line for line in status.splitlines() if line.startswith(f"{field}:")]
    return int(line.split()[1]) / 1024


def measure_memory(name: str, contender: str) -> float:
    """Peak memory of one call beyond that after making the data, in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--memory", name, contender],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def _memory(name: str, contender: str) -> None:
    task = load(name)
    if task is None:
        raise SystemExit(f"{name} has no task")
    call = task.make()[contender]
    if call is None:
        raise SystemExit(f"{contender} is not installed")
    before = _megabytes("VmRSS")
    _reset_peak()
    call()
    print(json.dumps(_megabytes("VmHWM") - before))


def measure_time(task: Task) -> tuple[dict[str, list[float]], list[str], str]:
    contenders = task.make()
    here = {who: call for who, call in contenders.items() if call is not None}
    first = {who: call() for who, call in here.items()}
    agreement = task.check({who: _value(result) for who, result in first.items()})
    seconds: dict[str, list[float]] = {who: [] for who in here}
    for _ in range(task.repeats):
        for who, call in here.items():
            begun = time.perf_counter()
            result = call()
            spent = time.perf_counter() - begun
            seconds[who].append(result.seconds if isinstance(result, Timed) else spent)
    return seconds, [who for who in contenders if who not in here], agreement


def _value(result: object) -> object:
    return result.value if isinstance(result, Timed) else result


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--memory"]:
        _memory(*arguments[1:])
        return
    full = FULL in arguments
    names = [name for name in arguments if name != FULL] or list(TASKS)
    table = Table("task", "who", "median s", "min-max s", "times slower than ours", "peak MB")
    notes = []
    for name in names:
        task = load(name, full=full)
        if task is None:
            notes.append(importlib.import_module(f"benchmarks.{name}").run())
            continue
        seconds, absent, agreement = measure_time(task)
        medians = {who: statistics.median(times) for who, times in seconds.items()}
        notes.append(f"{task.title}: {agreement}")
        if task.remark is not None:
            notes.append(f"{task.title}: {task.remark(medians)}")
        ours = next(iter(seconds))
        for who, times in seconds.items():
            table.add_row(
                task.title if who == ours else "",
                who,
                f"{medians[who]:.3f}",
                f"{min(times):.3f}-{max(times):.3f}",
                "" if who == ours else f"{medians[who] / medians[ours]:.1f}",
                "" if who.startswith("R ") else f"{measure_memory(name, who):.0f}",
            )
        for who in absent:
            table.add_row("", who, "not installed", "", "", "")
    console = Console(width=120)
    if table.row_count:
        console.print(table)
    for note in notes:
        console.print(note, highlight=False)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}; "
        "peak memory is that of one call beyond the data, in a fresh process",
        highlight=False,
    )
