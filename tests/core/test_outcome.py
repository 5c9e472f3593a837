"""Outcomes: what is checked, and how times that differ by rounding are tied."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs


def test_arrays_are_read_only_and_own():
    time = np.array([3.0, 4.0])
    y = fs.Outcome(time, [True, False])
    time[0] = 99.0
    assert y.time[0] == 3.0
    with pytest.raises(ValueError, match="read-only"):
        y.time[0] = 5.0
    with pytest.raises(AttributeError):
        y.time = time


def test_rounding_is_tied():
    months = np.array([1.1, 2.2, 3.3])
    y = fs.Outcome(np.concatenate([months, months * 3.0 / 3.0 + 1e-12]), [1] * 6)
    assert np.unique(y.time).size == 3
    apart = fs.Outcome([1.0, 1.0001], [1, 1])
    assert np.unique(apart.time).size == 2


def test_entry_of_zero_is_no_entry():
    assert fs.Outcome([1, 2], [1, 0], entry=[0, 0]).entry is None


def test_time_zero_is_at_risk():
    """R counts patients who fail or leave at time 0."""
    km = fs.survival.kaplan_meier(fs.Outcome([0, 0, 5], [1, 0, 1]))
    assert km.table["n_risk"].tolist() == [3, 1]
    assert km.table["survival"][0] == pytest.approx(2 / 3)


def test_take():
    y = fs.Outcome([1, 2, 3], [1, 0, 2], entry=[0, 1, 2])
    z = y.take(np.array([2, 2]))
    assert z.time.tolist() == [3.0, 3.0]
    assert z.event.tolist() == [2, 2]
    assert z.entry.tolist() == [2.0, 2.0]


def test_repr():
    y = fs.Outcome([1, 2, 3], [1, 0, 2], entry=[0, 1, 2])
    assert repr(y) == "Outcome(3 patients, 2 events, 2 late entries, follow-up to 3)"
