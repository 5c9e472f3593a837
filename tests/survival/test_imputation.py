"""Multiple imputation: what is filled and with what, the predictors from the outcome, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core import seeds
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.survival.imputation import _outcome_columns


def patients(n: int = 300):
    rng = seeds.stream(4, "imputation")
    age = rng.normal(60, 10, n)
    stage = pd.Categorical.from_codes(
        np.clip((rng.normal(size=n) + (age - 60) / 10 + 1.5).astype(int), 0, 2), ["I", "II", "III"]
    )
    frame = pd.DataFrame(
        {
            "age": age,
            "stage": stage,
            "smoker": np.where(rng.random(n) < 0.4, "yes", "no"),
            "treated": rng.random(n) < 0.5,
            "count": rng.poisson(3, n),
        }
    )
    rate = np.exp(0.03 * (age - 60) + 0.5 * stage.codes)
    time, end = rng.exponential(2 / rate), rng.uniform(0.5, 4, n)
    return frame, fs.Outcome(np.minimum(time, end), time <= end)


def with_holes(frame: pd.DataFrame, columns: list[str], share: float = 0.25) -> pd.DataFrame:
    rng = seeds.stream(5, "holes")
    out = frame.copy()
    for name in columns:
        out[name] = out[name].mask(rng.random(len(out)) < share)
    return out


ALL = ["age", "stage", "smoker", "treated", "count"]


@pytest.fixture(scope="module")
def completed():
    frame, y = patients()
    holes = with_holes(frame, ALL)
    return holes, fs.survival.multiple_imputation(
        holes, outcome=y, n_imputations=4, cycles=4, seed=2
    )


def test_only_holes_are_filled_and_only_with_what_occurs(completed):
    holes, found = completed
    assert len(found) == len(found.frames) == 4
    for frame in found:
        assert list(frame.columns) == ALL
        assert not frame.isna().any().any()
        for name in ALL:
            known = holes[name].notna()
            assert (frame.loc[known, name] == holes.loc[known, name]).all()
            assert set(frame[name]) <= set(holes.loc[known, name])
        assert isinstance(frame["stage"].dtype, pd.CategoricalDtype)
        assert frame["treated"].dtype == bool
    assert not found.frames[0].equals(found.frames[1])
    assert found.table.set_index("column")["kind"].to_dict() == {
        "age": "number",
        "stage": "classes",
        "smoker": "two classes",
        "treated": "two classes",
        "count": "number",
    }
    assert found.table["n_missing"].tolist() == holes.isna().sum().tolist()
    assert len(found.trace) == 4 * 4 * 5


def test_seeds_decide():
    frame, y = patients(120)
    holes = with_holes(frame, ["age", "smoker"])
    options = {"outcome": y, "n_imputations": 2, "cycles": 2}
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = fs.survival.multiple_imputation(holes, seed=1, **options)
    same = fs.survival.multiple_imputation(holes, seed=1, **options)
    other = fs.survival.multiple_imputation(holes, seed=2, **options)
    more = fs.survival.multiple_imputation(holes, seed=1, **(options | {"n_imputations": 3}))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    assert one.frames[1].equals(same.frames[1])
    assert one.frames[1].equals(more.frames[1])
    assert not one.frames[1].equals(other.frames[1])


def test_predictors_from_the_outcome():
    y = fs.Outcome([2.0, 3.0, 3.0, 5.0], [1, 2, 0, 1], entry=[0.0, 0.0, 2.0, 0.0])
    found = _outcome_columns(y)
    assert found["event1"].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert found["event2"].tolist() == [0.0, 1.0, 0.0, 0.0]
    # At 2 three are at risk, at 3 three (the third has come in), at 5 one.
    np.testing.assert_allclose(found["hazard1"], [1 / 3, 1 / 3, 0.0, 4 / 3])
    np.testing.assert_allclose(found["hazard2"], [0.0, 1 / 3, 1 / 3, 1 / 3])


def test_numbers_follow_the_regression():
    rng = seeds.stream(6, "imputation")
    n = 3_000
    a = rng.normal(size=n)
    frame = pd.DataFrame({"a": a, "b": 2 * a + rng.normal(size=n)})
    holes = frame.copy()
    gone = rng.random(n) < 1 / (1 + np.exp(-2 * a))
    holes.loc[gone, "b"] = np.nan
    found = fs.survival.multiple_imputation(holes, n_imputations=5, cycles=1, seed=1)
    slopes = [np.polyfit(f["a"], f["b"], 1)[0] for f in found]
    assert np.mean(slopes) == pytest.approx(2.0, abs=0.08)
    spread = [np.std(f.loc[gone, "b"] - 2 * a[gone]) for f in found]
    assert np.mean(spread) == pytest.approx(1.0, abs=0.1)
    assert abs(np.mean([f["b"].mean() for f in found]) - frame["b"].mean()) < 0.1
    assert abs(holes["b"].mean() - frame["b"].mean()) > 0.8


def test_classes_follow_their_model():
    rng = seeds.stream(8, "imputation")
    n = 6_000
    a = rng.normal(size=n)
    shares = np.exp(np.column_stack([np.zeros(n), 1.2 * a, -0.5 + 0.6 * a]))
    shares /= shares.sum(axis=1, keepdims=True)
    code = (rng.random(n)[:, None] > np.cumsum(shares, axis=1)[:, :2]).sum(axis=1)
    frame = pd.DataFrame({"a": a, "c": np.array(["x", "y", "z"])[code]})
    gone = rng.random(n) < 1 / (1 + np.exp(-a))
    holes = frame.assign(c=frame["c"].mask(gone))
    found = fs.survival.multiple_imputation(holes, n_imputations=5, cycles=1, seed=1)
    for place in (gone, gone & (a > 0.7), gone & (a < 0.0)):
        drawn = np.mean([(f.loc[place, "c"] == "y").mean() for f in found])
        assert drawn == pytest.approx(shares[place, 1].mean(), abs=0.05)
    assert abs((holes["c"].dropna() == "y").mean() - shares[gone, 1].mean()) > 0.15


def test_pooled_effects_of_completed_tables():
    frame, y = patients(400)
    holes = with_holes(frame, ["age"])
    found = fs.survival.multiple_imputation(holes, outcome=y, n_imputations=5, cycles=2, seed=3)
    models = found.map(lambda table: fs.survival.cox(y, "age + C(stage)", data=table))
    pooled = fs.survival.pool(models)
    full = fs.survival.cox(y, "age + C(stage)", data=frame)
    assert pooled.table["term"].tolist() == full.table["term"].tolist()
    assert (pooled.coef - full.coef).abs().max() < 0.1
    assert pooled.table["fraction_missing"].iloc[0] > 0.05
    assert pooled.table["std_error"].iloc[0] > full.table["std_error"].iloc[0]


FRAME, Y = patients(60)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.survival.multiple_imputation(FRAME), "something must be missing"),
        (
            lambda: fs.survival.multiple_imputation(with_holes(FRAME, ALL), n_imputations=1),
            "n_imputations must be at least 2",
        ),
        (
            lambda: fs.survival.multiple_imputation(with_holes(FRAME, ALL), cycles=0),
            "cycles must be",
        ),
        (
            lambda: fs.survival.multiple_imputation(with_holes(FRAME, ALL), donors=0),
            "donors must be",
        ),
        (
            lambda: fs.survival.multiple_imputation(
                with_holes(FRAME, ALL), outcome=Y.take(np.arange(5))
            ),
            "one row per row of the table.*outcomes=5",
        ),
        (
            lambda: fs.survival.multiple_imputation(with_holes(FRAME, ALL).assign(one=1.0)),
            "a column must vary.*column=one",
        ),
        (
            lambda: fs.survival.multiple_imputation(
                with_holes(FRAME, ["age"]).assign(who=[f"p{i}" for i in range(60)])
            ),
            "at most 20.*column=who.*identifier",
        ),
        (
            lambda: fs.survival.multiple_imputation(
                FRAME.assign(age=np.where(np.arange(60) < 5, FRAME["age"], np.nan))
            ),
            "observed values to draw from.*column=age.*observed=5",
        ),
        (
            lambda: fs.survival.multiple_imputation(
                with_holes(FRAME[["age", "count"]], ["age", "count"], 0.6)
            ),
            "a row must have a value",
        ),
        (
            lambda: fs.survival.multiple_imputation(
                FRAME.assign(age=FRAME["age"].where(np.arange(60) != 3, np.inf))
            ),
            "numbers must be finite.*row 3.*column=age",
        ),
    ],
)  # fmt: skip
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()


def test_separation_is_named():
    n = 80
    a = np.linspace(-1, 1, n)
    frame = pd.DataFrame({"a": a, "c": np.where(a > 0, "high", "low")})
    frame.loc[::5, "c"] = None
    with pytest.raises(ConvergenceError, match="incomplete column must have a maximum.*column=c"):
        fs.survival.multiple_imputation(frame, n_imputations=2)
