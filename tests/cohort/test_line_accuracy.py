"""Accuracy of lines against truth, on numbers worked out by hand and against another library."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

import fiac_survival as fs
from fiac_survival.core.errors import DataError


def lines(rows):
    frame = pd.DataFrame(rows, columns=["person", "line", "regimen", "start"])
    frame["start"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["start"], unit="D")
    return frame


def test_by_hand():
    truth = lines([(1, 1, "a+b", 0), (1, 2, "c", 400), (2, 1, "a", 0), (3, 1, "a", 0)])
    found = lines([(1, 1, "b+a", 14), (1, 2, "d", 431), (1, 3, "c", 500), (2, 1, "a", 30)])
    result = fs.cohort.line_accuracy(found, truth)
    assert result["start_within_14"] == 1 / 4
    assert result["start_within_30"] == 2 / 4
    assert result["line_count_equal"] == 1 / 3
    assert result["regimen_f1"] == 2 * 3 / 8  # b+a, c and a are in both
    expected = cohen_kappa_score([3, 1, 0], [2, 1, 1], weights="quadratic", labels=[0, 1, 2, 3])
    assert result["line_count_kappa"] == pytest.approx(expected)
    with pytest.raises(KeyError):
        _ = result["nothing"]


def test_kappa_against_scikit_learn():
    rng = np.random.default_rng(5)
    a, b = rng.integers(1, 6, 200), rng.integers(1, 6, 200)
    b[:120] = a[:120]
    tables = [
        lines([(p, k, "a", 9 * k) for p, n in enumerate(counts) for k in range(1, n + 1)])
        for counts in (a, b)
    ]
    expected = cohen_kappa_score(a, b, weights="quadratic")
    assert fs.cohort.line_accuracy(*tables)["line_count_kappa"] == pytest.approx(expected)


def test_perfect_and_undefined():
    truth = lines([(1, 1, "a", 0), (2, 1, "a", 0)])
    result = fs.cohort.line_accuracy(truth, truth)
    assert np.isnan(result["line_count_kappa"])
    assert result.table["value"].iloc[1:].tolist() == [1, 1, 1, 1]


def test_refusals():
    truth = lines([(1, 1, "a", 0)])
    with pytest.raises(DataError, match="truth must have the columns.*missing=start"):
        fs.cohort.line_accuracy(truth, truth.drop(columns="start"))
    with pytest.raises(DataError, match="found must have each line once.*row 1, line=1"):
        fs.cohort.line_accuracy(pd.concat([truth, truth]), truth)
    with pytest.raises(DataError, match="truth must have lines"):
        fs.cohort.line_accuracy(truth, truth.iloc[:0])
