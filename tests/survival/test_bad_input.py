"""Bad input: a FiacError that names rule, value, first offender and remedy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError

GOOD = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1])
ARMS = [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.Outcome([1, np.nan], [1, 0]), "time must be finite: 1 row .*row 1, time=nan"),
        (lambda: fs.Outcome([1, np.inf], [1, 0]), "time must be finite.*time=inf"),
        (lambda: fs.Outcome([1, -2, -3], [1, 0, 1]), "negative: 2 rows .*row 1, time=-2.*dates"),
        (
            lambda: fs.Outcome([5, 40], [1, 0], entry=[0, 40]),
            "entry must be before time: 1 row breaks this .first: row 1, entry=40, time=40.; drop",
        ),
        (lambda: fs.Outcome([1, 2], [1]), "event must have one value per row.*rows=2"),
        (lambda: fs.Outcome([1, 2], [1, 0.5]), "event must be a code.*event=0.5"),
        (lambda: fs.Outcome([1, 2], [1, -1]), "event must be a code.*event=-1"),
        (lambda: fs.Outcome([1, 2], ["yes", "no"]), "event must be numeric.*event=yes"),
        (lambda: fs.Outcome(["a", "b"], [1, 0]), "time must be numeric.*row 0, time=a"),
        (lambda: fs.Outcome([], []), "at least one row"),
        (lambda: fs.Outcome([[1, 2]], [1, 0]), "one dimension"),
        (
            lambda: fs.Outcome(pd.to_datetime(["2020-01-01", "2020-02-01"]), [1, 0]),
            "time must be a number, not a date",
        ),
        (
            lambda: fs.survival.kaplan_meier(fs.Outcome([1, 2, 3], [1, 2, 0])),
            "kaplan_meier takes event codes 0 and 1.*row 1, event=2.*event == 1",
        ),
        (
            lambda: fs.survival.logrank(GOOD, ["a"] * 6),
            "logrank compares at least two groups.*groups=.'a'.",
        ),
        (
            lambda: fs.survival.logrank(fs.Outcome([1, 2], [0, 0]), ["a", "b"]),
            "logrank needs at least one event.*coding",
        ),
        (
            lambda: fs.survival.cox(fs.Outcome([1, 2], [0, 0]), [[1], [2]]),
            "cox needs at least one event",
        ),
        (
            lambda: fs.survival.kaplan_meier(GOOD, weights=[1, 1, 0, 1, 1, 1]),
            "weights must be positive: 1 row .*row 2, weight=0.*leave rows of weight zero out",
        ),
        (lambda: fs.survival.kaplan_meier(GOOD, weights=[1, np.nan, 1, 1, 1, 1]), "finite.*row 1"),
        (lambda: fs.survival.kaplan_meier(GOOD, group=["a", None, "a", "a", "b", "b"]), "missing"),
        (lambda: fs.survival.kaplan_meier(GOOD, level=95), "level must lie between 0 and 1"),
        (lambda: fs.survival.kaplan_meier(GOOD, transform="loglog"), "transform must be one of"),
        (lambda: fs.survival.kaplan_meier([1, 2, 3]), "takes an Outcome or a RiskTable"),
        (
            lambda: fs.survival.kaplan_meier(GOOD, cluster=ARMS, variance="greenwood"),
            "knows no clusters",
        ),
        (
            lambda: fs.survival.rmst(GOOD, tau=7, group=ARMS),
            "tau must not exceed the follow-up.*tau=7, last time=5, group=0.*tau <= 5",
        ),
        (lambda: fs.survival.rmst(GOOD, tau=0), "tau must be positive"),
        (
            lambda: fs.survival.milestone(GOOD, times=5.5, group=ARMS),
            "milestone must lie within.*time=5.5, last time=5",
        ),
        (lambda: fs.survival.kaplan_meier(GOOD).quantile(1.0), "between 0 and 1"),
        (lambda: fs.survival.kaplan_meier(GOOD).at([-1]), "none negative"),
        (
            lambda: fs.survival.nelson_aalen(GOOD, weights=[1.0] * 6, ties="fleming-harrington"),
            "take Breslow ties",
        ),
        (lambda: fs.survival.logrank(GOOD, ARMS, rho=-1), "must not be negative"),
        (lambda: fs.survival.cox(GOOD, [[1]] * 6), "a covariate must vary.*column=x0"),
        (
            lambda: fs.survival.cox(
                GOOD, np.column_stack([ARMS, np.arange(6), np.arange(6) + 1.0])
            ),
            "combination of the others.*column=x2",
        ),
        (
            lambda: fs.survival.cox(GOOD, pd.DataFrame({"a": list("uvwxyz")})),
            "a must be numeric.*C.a.",
        ),
        (lambda: fs.survival.cox(GOOD, [[np.nan]] + [[1.0]] * 5), "x0 must be finite.*row 0"),
        (lambda: fs.survival.cox(GOOD, [[1], [2]]), "one row per outcome.*rows=2, outcomes=6"),
        (lambda: fs.survival.cox(GOOD, "age"), "a formula needs the table"),
        (
            lambda: fs.survival.cox(GOOD, "age + sex", data=pd.DataFrame({"age": range(6)})),
            "formula must refer to columns.*age . sex",
        ),
        (
            lambda: fs.survival.cox(GOOD, [[i] for i in ARMS], ties="discrete"),
            "ties must be one of",
        ),
        (
            lambda: fs.survival.cox(GOOD, [[i] for i in ARMS], strata=ARMS),
            "must vary within the risk sets",
        ),
        (
            lambda: fs.survival.cox(GOOD, [[i] for i in ARMS], cluster=ARMS, robust=False),
            "clusters ask for a robust variance",
        ),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()


@pytest.mark.parametrize("option", ["group", "weights", "cluster", "covariates"])
def test_a_risk_table_takes_no_rows(option):
    table = fs.survival.RiskTable.from_outcome(GOOD, group=ARMS)
    with pytest.raises(DataError, match=f"takes no {option}.*pass an Outcome"):
        fs.survival.rmst(table, tau=3, **{option: [1.0] * 6})


def test_separation_is_named():
    y = fs.Outcome([1, 2, 3, 4, 5, 6, 7, 8], [1, 1, 1, 0, 0, 0, 0, 0])
    x = pd.DataFrame({"noise": [3, 1, 2, 5, 4, 3, 2, 1], "grade": [3, 3, 3, 1, 1, 2, 1, 2]})
    with pytest.raises(ConvergenceError, match=r"separation.*grade.*\+infinity.*kaplan_meier"):
        fs.survival.cox(y, x)
    with pytest.raises(ConvergenceError, match=r"grade.*-infinity"):
        fs.survival.cox(y, x[["grade"]] * -1)


def almost_separated(n, swaps):
    """A marker that orders the deaths but for a few neighbours, and noise."""
    rng = np.random.default_rng(n + swaps)
    marker = -np.arange(n, dtype=float)
    for _ in range(swaps):
        a = rng.integers(0, n - 1)
        marker[[a, a + 1]] = marker[[a + 1, a]]
    y = fs.Outcome(np.arange(1, n + 1), np.ones(n))
    return y, pd.DataFrame({"marker": marker / n, "age": rng.normal(size=n)})


@pytest.mark.parametrize("ties", ["efron", "exact"])
def test_near_separation_is_named_in_the_result(ties):
    y, x = almost_separated(60, 2)
    model = fs.survival.cox(y, x, ties=ties)
    assert model.near_separation == ["marker"]
    assert abs(model.coef["marker"]) > 100
    assert fs.survival.cox(y, x[["age"]], ties=ties).near_separation == []


def test_near_separation_beyond_reach_is_an_error():
    with pytest.raises(ConvergenceError, match=r"near-separation.*covariates=marker.*fewer"):
        fs.survival.cox(*almost_separated(400, 2))


def test_separation_by_a_combination_is_named():
    rng = np.random.default_rng(2)
    n = 60
    a, b = rng.normal(size=n), rng.normal(size=n)
    time = (a + b).argsort()[::-1].argsort() + 1.0
    with pytest.raises(ConvergenceError, match=r"separation.*a, b|separation.*b, a"):
        fs.survival.cox(fs.Outcome(time, np.ones(n)), pd.DataFrame({"a": a, "b": b}))


def test_errors_hide_values_on_protected_sources():
    with pytest.raises(DataError) as caught:
        fs.Outcome([1, -2], [1, 0])
    hidden = caught.value.message(show_values=False)
    assert "-2" not in hidden
    assert "row 1" in hidden
    assert "fewer than 11 rows" in hidden


def test_exit_codes_are_distinct():
    codes = [
        kind.exit_code
        for kind in (
            fs.errors.FiacError,
            fs.errors.DataError,
            fs.errors.ProtocolError,
            fs.errors.ConvergenceError,
            fs.errors.DisclosureError,
            fs.errors.SupportError,
            fs.errors.OutputError,
        )
    ]
    assert codes == [1, 3, 4, 5, 6, 7, 10]
