"""Bad input of what surrounds the Cox model: errors that name rule, value, first offender and remedy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError
from tests.kernels.test_concordance import population

GOOD = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1])
LATE = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1], entry=[0, 1, 0, 0, 0, 0])
CAUSES = fs.Outcome([1, 2, 3], [1, 2, 0])
NONE = fs.Outcome([1, 2, 3, 4, 5, 6], [0] * 6)
ARMS = [0, 1, 0, 1, 1, 0]
X = pd.DataFrame({"a": [0.0, 1, 0, 1, 1, 0]})
TABLE = pd.DataFrame({"sex": ["f", "f"], "age": [0, 50], "year": 2000, "rate": [1e-4, 4e-4]})
BASE = pd.DataFrame({"person": [1, 2], "time": [8, 5], "event": [1, 0], "age": [60, 70]})
CHANGE = pd.DataFrame({"person": [1], "time": [3], "value": [4]})


def people(n=6, **changed):
    return fs.survival.RateTable.from_frame(TABLE.assign(**changed)).match(
        [9000] * n, [0] * n, sex=["f"] * n
    )


def varying(base=BASE, change=CHANGE, **options):
    options = {"values": {"stage": change}, "initial": {"stage": 1}, **options}
    return fs.survival.time_varying(base, **options)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.survival.cox(GOOD, X).residuals("pearson"), "kind must be one of.*pearson"),
        (
            lambda: fs.survival.cox(GOOD, X).residuals("schoenfeld", by=ARMS),
            "belong to events.*leave by out",
        ),
        (lambda: fs.survival.cox(GOOD, X).residuals(by=[1, 2]), "by must have one value per row"),
        (
            lambda: fs.survival.cox(GOOD, X).expected_events(CAUSES, X),
            "y must have one value per row",
        ),
        (lambda: fs.survival.concordance([1], [1]), "concordance takes an Outcome"),
        (lambda: fs.survival.concordance(CAUSES, [1, 2, 3]), "event codes 0 and 1.*event=2"),
        (lambda: fs.survival.concordance(NONE, ARMS), "needs at least one event"),
        (lambda: fs.survival.concordance(GOOD, [1, 2]), "score must have one value per row"),
        (lambda: fs.survival.concordance(GOOD, [np.nan] * 6), "score must be finite.*row 0"),
        (lambda: fs.survival.concordance(GOOD, ARMS, time_weight="uno"), "time_weight must be one"),
        (lambda: fs.survival.concordance(GOOD, ARMS, until=0), "until must be positive"),
        (
            lambda: fs.survival.concordance(GOOD, ARMS, strata=range(6)),
            "at least one comparable pair.*outlive",
        ),
        (
            lambda: fs.survival.concordance(LATE, ARMS, time_weight="n/G2"),
            "takes no delayed entry.*time_weight=",
        ),
        (lambda: fs.survival.concordance(GOOD, ARMS, weights=[0] * 6), "weights must be positive"),
        (
            lambda: fs.survival.explained_variation(
                fs.survival.cox(GOOD, [[1], [0], [3], [1], [2], [1]], strata=ARMS)
            ),
            "without strata and weights.*strata=2",
        ),
        (lambda: fs.survival.cox_ridge(GOOD, X), "either theta or degrees_of_freedom"),
        (lambda: fs.survival.cox_ridge(GOOD, X, theta=-1), "theta must not be negative.*theta=-1"),
        (
            lambda: fs.survival.cox_ridge(GOOD, X, degrees_of_freedom=1),
            "between 0 and the number of penalised.*penalised=1",
        ),
        (
            lambda: fs.survival.cox_ridge(GOOD, X, theta=1, penalise=["b"]),
            "penalise must name columns.*unknown=.'b'",
        ),
        (lambda: fs.survival.cox_ridge(CAUSES, X, theta=1), "event codes 0 and 1"),
        (
            lambda: fs.survival.cox(GOOD, X, ties="exact", weights=[2] * 6),
            "exact ties take neither weights nor a robust variance.*weights",
        ),
        (
            lambda: fs.survival.cox(GOOD, X, ties="exact", cluster=ARMS),
            "neither weights nor a robust variance.*cluster",
        ),
        (lambda: fs.survival.cox(GOOD, X, ties="discrete"), "ties must be one of.*exact"),
        (
            lambda: fs.survival.cox(GOOD, X, ties="exact").residuals("dfbeta"),
            "score residuals undefined.*dfbeta.*efron",
        ),
        (
            lambda: fs.survival.cox(GOOD, X, ties="exact").influence,
            "score residuals undefined.*influence",
        ),
        (
            lambda: fs.survival.cox(GOOD, X, ties="exact").test_proportional_hazards(),
            "score residuals undefined.*test of proportional hazards",
        ),
        (lambda: fs.survival.aalen_additive([1], [1]), "aalen_additive takes an Outcome"),
        (lambda: fs.survival.aalen_additive(CAUSES, [1, 2, 3]), "event codes 0 and 1"),
        (lambda: fs.survival.aalen_additive(GOOD, X, test="nrisk"), "test must be one of.*nrisk"),
        (
            lambda: fs.survival.aalen_additive(GOOD, X, min_at_risk=0),
            "min_at_risk must be at least 1.*min_at_risk=0",
        ),
        (
            lambda: fs.survival.aalen_additive(GOOD, X, min_at_risk=7),
            "large enough and of full rank.*largest risk set=6",
        ),
        (
            lambda: fs.survival.aalen_additive(
                fs.Outcome(range(2, 8), [1] * 6, entry=[0, 0, 2, 2, 2, 2]), X
            ),
            "each risk set before the last.*time=2, at risk=2",
        ),
        (lambda: fs.survival.cox_frailty([1], [1], [1]), "cox_frailty takes an Outcome"),
        (lambda: fs.survival.cox_frailty(GOOD, X, [1] * 6), "at least two clusters.*clusters=1"),
        (lambda: fs.survival.cox_frailty(GOOD, X, [1, 2]), "cluster must have one value per row"),
        (
            lambda: fs.survival.cox_frailty(GOOD, X, ARMS, theta=0),
            "theta must be positive.*theta=0.*use cox",
        ),
        (
            lambda: fs.survival.cox_frailty(GOOD, X, ARMS, information="sparse"),
            "information must be one of",
        ),
        (lambda: fs.survival.split_at_times(GOOD, [5, 3]), "cuts must be positive and ascending"),
        (lambda: fs.survival.split_at_times(GOOD, [0]), "cuts must be positive and ascending"),
        (lambda: fs.survival.varying_effects(GOOD, X, {}), "effects must name columns"),
        (lambda: fs.survival.varying_effects(GOOD, X, {"b": "log"}), "unknown=.'b'"),
        (lambda: fs.survival.varying_effects(GOOD, X, {"a": "sqrt"}), "effects must be one of"),
        (
            lambda: fs.survival.varying_effects(GOOD, X.assign(b=range(6)), {"a": "log", "b": [3]}),
            "all functions of time or all step functions",
        ),
        (
            lambda: fs.survival.varying_effects(GOOD, X, {"a": "log"}, cluster=ARMS),
            "neither weights nor clusters.*use cuts",
        ),
        (
            lambda: fs.survival.varying_effects(
                fs.Outcome([0, 2, 3, 4, 5, 6], [1] * 6), X, {"a": "log"}
            ),
            "events after time 0",
        ),
        (
            lambda: fs.survival.varying_effects(fs.Outcome([3] * 6, [1] * 6), X, {"a": "identity"}),
            "at least two event times",
        ),
        (lambda: varying(values={}), "at least one covariate that changes"),
        (lambda: varying(BASE.drop(columns="event")), "columns that are named.*missing=.'event'"),
        (lambda: varying(change=CHANGE.drop(columns="value")), "missing=.'value'"),
        (lambda: varying(counts={"stage": CHANGE}), "either a value or a count"),
        (lambda: varying(pd.concat([BASE, BASE])), "must not overlap: 2 rows.*keep one row"),
        (
            lambda: varying(BASE.assign(since=[9, 0]), entry="since"),
            "entry must be before time: 1 row",
        ),
        (
            lambda: varying(change=CHANGE.assign(person=7)),
            "changes of stage must belong to persons: 1 row|must belong to persons of the baseline",
        ),
        (
            lambda: varying(change=pd.concat([CHANGE, CHANGE.assign(value=5)])),
            "stage must not change twice at one time: 1 row .*row 1, time=3",
        ),
        (lambda: varying(change=CHANGE.assign(time=np.nan)), "stage.time must be finite"),
        (lambda: varying(change=CHANGE.assign(value=np.nan)), "stage must not be missing.*row 0"),
        (lambda: varying(initial=None), "stage must be known from entry on: 2 rows.*initial="),
        (lambda: fs.survival.prediction_error([1], [1], 1), "prediction_error takes an Outcome"),
        (lambda: fs.survival.prediction_error(LATE, ARMS, 3), "takes no delayed entry"),
        (
            lambda: fs.survival.prediction_error(GOOD, [0, 1, 2, 0, 0, 0], 3),
            "risk must be a probability: 1 row .*row 2",
        ),
        (lambda: fs.survival.prediction_error(GOOD, ARMS, [3, 4]), "one column per time.*times=2"),
        (lambda: fs.survival.prediction_error(GOOD, ARMS, 6), "cases and controls.*controls=0"),
        (lambda: fs.survival.prediction_error(GOOD, [ARMS] * 2, [4, 3]), "times must ascend"),
        (lambda: fs.survival.quantile_contrast(GOOD, [1] * 6), "compares at least two groups"),
        (
            lambda: fs.survival.quantile_contrast(GOOD, ARMS, probability=1.5),
            "probability must lie between 0 and 1",
        ),
        (
            lambda: fs.survival.quantile_contrast(GOOD, ARMS, variance="delta"),
            "variance must be one of",
        ),
        (
            lambda: fs.survival.quantile_contrast(
                fs.Outcome([3] * 6, [1] * 6), ARMS, variance="influence"
            ),
            "around the quantile must not all be at one time.*time=3.*bootstrap",
        ),
        (lambda: fs.survival.quantile_contrast(GOOD, ARMS, draws=10), "draws must be at least 100"),
        (
            lambda: fs.survival.quantile_contrast(
                fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 0, 0, 0, 0]), ARMS
            ),
            "curve must reach the share.*rmst",
        ),
        (
            lambda: fs.survival.maxcombo(GOOD, [1, 2, 3, 1, 2, 3]),
            "maxcombo compares two groups.*in pairs",
        ),
        (lambda: fs.survival.one_sample_logrank(GOOD, [1, 2]), "reference must have one value"),
        (
            lambda: fs.survival.one_sample_logrank(GOOD, [-1.0] * 6),
            "expected events must not be negative: 6 rows",
        ),
        (lambda: fs.survival.one_sample_logrank(GOOD, [0] * 6), "the reference must expect events"),
        (lambda: fs.survival.one_sample_logrank(GOOD, people(3)), "one row per outcome.*rows=3"),
        (
            lambda: fs.survival.one_sample_logrank(GOOD, [1] * 6, method="mid"),
            "method must be one of",
        ),
        (lambda: fs.survival.relative_survival(GOOD, TABLE), "persons matched with a rate table"),
        (lambda: fs.survival.relative_survival(GOOD, people(), method="ederer"), "method must be"),
        (
            lambda: fs.survival.relative_survival(LATE, people(), method="ederer1"),
            "neither delayed entry nor weights",
        ),
        (
            lambda: fs.survival.relative_survival(GOOD, people(), potential=[9] * 6),
            "potential goes with hakulinen",
        ),
        (
            lambda: fs.survival.relative_survival(
                GOOD, people(), method="hakulinen", potential=[9, 9, 9, 1, 9, 9]
            ),
            "must not end before the observed one: 1 row .*row 3",
        ),
        (lambda: fs.survival.relative_survival(GOOD, people(), step=0), "step must be positive"),
        (
            lambda: fs.survival.net_survival_test(GOOD, people(), [1] * 6),
            "net_survival_test compares at least two groups",
        ),
        (
            lambda: fs.survival.net_survival_test(GOOD, TABLE, ARMS),
            "net_survival_test takes persons matched with a rate table",
        ),
        (lambda: fs.survival.net_survival_test(GOOD, people(), ARMS, step=-1), "step must be"),
        (
            lambda: fs.survival.net_survival_test(GOOD, people(), ARMS, strata=ARMS),
            "groups must be at risk together",
        ),
        (lambda: people(rate=-1.0), "a rate must not be negative: 2 rows"),
        (lambda: people(age=0), "one row per key, age and year"),
        (lambda: people(sex="m"), "labels must be in the rate table.*unknown=..'f'"),
        (
            lambda: fs.survival.RateTable.from_frame(TABLE.drop(columns="rate")),
            "columns that are named.*missing=.'rate'",
        ),
        (
            lambda: fs.survival.RateTable.from_frame(TABLE).match([1], [0]),
            "each part of the rate table's key.*needed=.'sex'",
        ),
        (
            lambda: fs.survival.RateTable.from_frame(TABLE).match([-1], [0], sex=["f"]),
            "age must not be negative.*age=-1",
        ),
        (
            lambda: fs.survival.RateTable.from_frame(TABLE).match([1], [None], sex=["f"]),
            "date must not be missing|date must be finite",
        ),
        (
            lambda: fs.survival.expected_survival(None, people(), 3, conditional=True),
            "needs follow-up.*pass the outcome",
        ),
        (
            lambda: fs.survival.cox(GOOD, "rcs(a, 9)", data=X),
            "number of knots must be between 3 and 7.*knots=9",
        ),
        (
            lambda: fs.survival.cox(GOOD, "rcs(a, [1, 1, 2])", data=X),
            "at least 3 distinct, ascending knots",
        ),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(DataError, match=says):
        call()


def test_too_many_exact_ties_are_counted_first():
    rng = np.random.default_rng(1)
    n = 100_000
    y = fs.Outcome(rng.integers(1, 5, n), np.ones(n))
    with pytest.raises(DataError, match=r"events at one time=2\d{4}, rows at risk then=\d+.*efron"):
        fs.survival.cox(y, rng.normal(size=(n, 3)), ties="exact")


def test_too_many_clusters_for_a_dense_fit():
    n = 20_000
    y = fs.Outcome(np.arange(1, n + 1), np.ones(n))
    with pytest.raises(DataError, match=r"rows times clusters.*clusters=10000.*cluster="):
        fs.survival.cox_frailty(y, np.arange(n) % 7, np.arange(n) // 2)


def test_smooth_effects_say_what_is_too_much():
    rng = np.random.default_rng(1)
    n = 200_000
    y = fs.Outcome(rng.permutation(n) + 1.0, np.ones(n))
    x = pd.DataFrame({"age": rng.normal(size=n)})
    with pytest.raises(DataError, match=r"few distinct values.*distinct values=200000.*use cuts"):
        fs.survival.varying_effects(y, x, {"age": "log"})


def test_messages_hold_no_person():
    with pytest.raises(DataError) as caught:
        varying(change=CHANGE.assign(person="secret"))
    assert "secret" not in str(caught.value)


def test_beyond_the_table_its_edge_holds():
    _, (rates, age_cuts, date_cuts, *_) = population(1)
    table = fs.survival.RateTable(rates, age_cuts, date_cuts, [("f",), ("m",)], ["sex"])
    old = table.match([500.0], [900.0], sex=["m"]).cumulative_hazard([2.0])
    assert old[0] == pytest.approx(2 * rates[1, -1, -1])
