"""The smooth through residuals against ordinary least squares, and what it refuses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import fiac_survival as fs
from fiac_survival.core import seeds
from fiac_survival.core.errors import DataError


def residuals(n: int = 120):
    rng = seeds.stream(1, "smooth residuals")
    x = rng.uniform(0, 10, n)
    return x, pd.DataFrame({"a": np.sin(x) + rng.normal(size=n), "b": rng.normal(size=n)})


def test_a_straight_line_is_the_regression():
    x, table = residuals()
    found = fs.survival.smooth_residuals(table, x, df=1, points=5)
    for name in "ab":
        smooth = found[(found["term"] == name) & (found["kind"] == "smooth")]
        fit = sm.OLS(table[name].to_numpy(), sm.add_constant(x)).fit()
        band = fit.get_prediction(sm.add_constant(smooth["x"].to_numpy())).summary_frame(0.05)
        np.testing.assert_allclose(smooth["residual"], band["mean"], rtol=1e-9)
        np.testing.assert_allclose(smooth["lower"], band["mean_ci_lower"], rtol=1e-9)
        np.testing.assert_allclose(smooth["upper"], band["mean_ci_upper"], rtol=1e-9)
    points = found[(found["term"] == "a") & (found["kind"] == "residual")]
    np.testing.assert_array_equal(points["x"], x)
    np.testing.assert_array_equal(points["residual"], table["a"])


def test_a_spline_follows_a_bend_and_is_straight_at_the_ends():
    x, table = residuals(2_000)
    smooth = fs.survival.smooth_residuals(table["a"], x, df=6, points=400)
    smooth = smooth[smooth["kind"] == "smooth"]
    middle = smooth["x"].between(1, 9)
    assert np.abs(smooth["residual"] - np.sin(smooth["x"]))[middle].max() < 0.25
    bend = np.diff(smooth["residual"], 2)
    assert abs(bend[0]) < 0.1 * np.abs(bend).max()
    assert abs(bend[-1]) < 0.1 * np.abs(bend).max()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"df": 0}, "df must be at least 1"),
        ({"points": 1}, "df must be at least 1, points 2"),
        ({"df": 300}, "more distinct values of x"),
        ({"level": 2.0}, "level must lie"),
    ],
)
def test_bad_input(options, says):
    x, table = residuals()
    with pytest.raises(DataError, match=says):
        fs.survival.smooth_residuals(table, x, **options)


def test_lengths_and_missing_values():
    x, table = residuals()
    with pytest.raises(DataError, match="one row per outcome"):
        fs.survival.smooth_residuals(table.iloc[:5], x)
    with pytest.raises(DataError, match="x must be finite"):
        fs.survival.smooth_residuals(table, np.where(x > 9, np.nan, x))
