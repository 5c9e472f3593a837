"""Splines in formulas against patsy, whose `bs` and `cr` are checked against R and mgcv."""

from __future__ import annotations

import numpy as np
import pandas as pd
import patsy
import pytest

import fiac_survival as fs
from fiac_survival.core.design import make_design

RNG = np.random.default_rng(3)
DATA = pd.DataFrame({"age": RNG.uniform(30, 80, 120).round(1), "x": RNG.normal(size=120)})
NEW = pd.DataFrame({"age": [40.0, 52.5, 75.0], "x": [0.0, 1.0, -1.0]})


def same_space(ours, theirs):
    """Every column of each is a combination of the other's, with the intercept."""
    one = np.ones((len(ours), 1))
    for a, b in ((ours, theirs), (theirs, ours)):
        basis = np.hstack([one, a])
        rest = b - basis @ np.linalg.lstsq(basis, b, rcond=None)[0]
        assert np.abs(rest).max() < 1e-8 * np.abs(b).max()


@pytest.mark.parametrize(
    "term", ["bs(age, df=4)", "bs(age, df=6, degree=3)", "bs(age, df=3, degree=2)"]
)
def test_b_splines_are_patsy_s(term):
    ours = make_design(term, DATA, n=120)
    theirs = patsy.dmatrix(term, DATA)
    np.testing.assert_allclose(ours.values, np.asarray(theirs)[:, 1:], atol=1e-12)
    again = patsy.build_design_matrices([theirs.design_info], NEW)[0]
    np.testing.assert_allclose(ours.again(NEW), np.asarray(again)[:, 1:], atol=1e-12)


@pytest.mark.parametrize("df", [3, 5])
def test_natural_splines_span_patsy_s(df):
    # With the intercept a natural spline of df columns has df - 1 of its own.
    ours = make_design(f"cr(age, df={df}, constraints='center')", DATA, n=120)
    theirs = np.asarray(patsy.dmatrix(f"cr(age, df={df}, constraints='center') - 1", DATA))
    assert ours.values.shape[1] == df
    same_space(ours.values, theirs)


def test_a_cox_model_of_a_spline_does_not_depend_on_its_basis():
    time = RNG.exponential(np.exp(-((DATA["age"] - 55) ** 2) / 400))
    y = fs.Outcome(time, RNG.random(120) < 0.8)
    theirs = np.asarray(patsy.dmatrix("bs(age, df=4)", DATA))[:, 1:]
    model = fs.survival.cox(y, "bs(age, df=4) + x", data=DATA)
    other = fs.survival.cox(y, np.column_stack([theirs, DATA["x"]]))
    assert model.log_likelihood == pytest.approx(other.log_likelihood, rel=1e-12)
    centred = np.asarray(patsy.dmatrix("cr(age, df=3, constraints='center') - 1", DATA))
    natural = fs.survival.cox(y, "cr(age, df=3, constraints='center')", data=DATA)
    assert natural.log_likelihood == pytest.approx(
        fs.survival.cox(y, centred).log_likelihood, rel=1e-10
    )
    found = model.predict_survival(NEW, 1.0)["survival"]
    assert ((found > 0) & (found < 1)).all()


def test_beyond_the_data_a_b_spline_says_so():
    design = make_design("bs(age, df=4)", DATA, n=120)
    with pytest.raises(fs.errors.DataError, match=r"beyond upper.*`extrapolation`"):
        design.again(NEW.assign(age=200.0))
