"""The harness of the benchmarks: peers that are missing are said to be, and no peer goes unchecked."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from benchmarks import harness, peers
from benchmarks.harness import TASKS, Task, load, measure_time

SMALL = {
    "aalen_johansen": 3_000,
    "aalen_johansen_weighted": 3_000,
    "aipw": 1_500,
    "cox": 3_000,
    "fine_gray": 2_000,
    "kaplan_meier": 3_000,
    "kaplan_meier_weighted": 3_000,
    "maxcombo": 3_000,
    "rmst": 3_000,
}


@pytest.mark.parametrize("name", SMALL)
def test_contenders_agree_on_small_data(name, monkeypatch):
    assert name in TASKS
    module = importlib.import_module(f"benchmarks.{name}")
    monkeypatch.setattr(module, "N", SMALL[name])
    monkeypatch.setattr(peers, "r_survival", lambda: False)
    task = load(name)
    assert task is not None
    once = Task(task.title, task.make, 1, task.check)
    seconds, absent, agreement = measure_time(once)
    assert agreement
    assert next(iter(seconds)).startswith("fiac_survival")
    if "R survival" in task.make():
        assert "R survival" in absent


def test_a_missing_peer_is_said_to_be(monkeypatch, capsys):
    task = Task(
        "Nothing", lambda: {"ours": lambda: 1, "theirs": None}, 1, lambda r: f"{len(r)} ran"
    )
    monkeypatch.setattr(harness, "load", lambda name, full=False: task)
    monkeypatch.setattr(harness, "measure_memory", lambda name, who: 0.0)
    harness.main(["nothing"])
    text = capsys.readouterr().out
    assert "not installed" in text
    assert "Nothing: 1 ran" in text


def test_a_peer_that_measures_itself_is_believed():
    task = Task("Timed", lambda: {"r": lambda: peers.Timed(3, 42.0)}, 2, lambda r: str(r["r"]))
    seconds, absent, agreement = measure_time(task)
    assert seconds == {"r": [42.0, 42.0]}
    assert agreement == "3"
    assert absent == []


def test_peers_that_disagree_are_an_error():
    assert peers.agree({"a": [1.0, 2.0], "b": [1.0, 2.5]}, rtol=0.0, atol=1.0) == 0.5
    with pytest.raises(AssertionError):
        peers.agree({"a": np.ones(2), "b": np.ones(2), "c": np.zeros(2)}, rtol=1e-6)
    assert not peers.installed("no_such_package_at_all")
    assert peers.where_installed("no_such_package_at_all", lambda: 1) is None
