"""Standardised and augmented survival curves: what they reduce to, and the influence of a row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import isotonic_regression

import fiac_survival as fs
from fiac_survival.core import seeds
from fiac_survival.core.errors import ConvergenceError, DataError

TIMES, TAU = [1.0, 2.5, 4.0], 4.0


def patients(n: int = 160, seed: int = 1, *, ties: bool = False):
    rng = seeds.stream(seed, "adjusted survival")
    x = pd.DataFrame({"age": rng.normal(60, 8, n), "stage": rng.integers(0, 2, n)})
    linear = 0.06 * (x["age"] - 60) + 0.5 * x["stage"]
    treated = rng.random(n) < 1 / (1 + np.exp(-(linear - 0.3)))
    time = rng.exponential(3.0 * np.exp(-linear + 0.4 * treated))
    end = rng.uniform(1.0, 9.0, n)
    if ties:
        time, end = np.ceil(2 * time) / 2, np.ceil(2 * end) / 2
    y = fs.Outcome(np.minimum(time, end), time <= end)
    return y, treated, x


@pytest.mark.parametrize("ties", [False, True])
def test_without_covariates_augmented_curves_are_kaplan_meier_curves(ties):
    y, treated, x = patients(ties=ties)
    found = fs.compare.aipw_survival(
        y,
        treated,
        x,
        times=TIMES,
        tau=TAU,
        outcome_model="kaplan_meier",
        censoring_model="kaplan_meier",
        propensity=float(treated.mean()),
        folds=1,
    )
    curve = fs.survival.kaplan_meier(y, group=treated).at(TIMES)
    for name in ("survival", "std_error", "lower", "upper"):
        np.testing.assert_allclose(found.table[name], curve[name], rtol=1e-10)
    means = fs.survival.rmst(y, tau=TAU, group=treated)
    np.testing.assert_allclose(found.rmst["rmst"], means.table["rmst"], rtol=1e-10)
    np.testing.assert_allclose(found.rmst["std_error"], means.table["std_error"], rtol=1e-10)
    ours = found.contrast.query("measure == 'rmst'")
    for name in ("estimate", "std_error", "lower", "upper", "p_value"):
        np.testing.assert_allclose(ours[name], means.contrast[name], rtol=1e-9)
    milestone = fs.survival.milestone(y, times=TIMES, group=treated).contrast
    ours = found.contrast.query("measure == 'survival'")
    theirs = milestone[milestone["contrast"].isin(["difference", "ratio"])]
    np.testing.assert_allclose(ours["estimate"], theirs["estimate"], rtol=1e-10)
    np.testing.assert_allclose(ours["std_error"], theirs["std_error"], rtol=1e-9)


def plain_augmented(y, treated, s, g, score, arm, t):
    """The definition, row by row and time by time."""
    total = []
    for i in range(len(y)):
        value = s(i, t)
        if treated[i] == arm:
            integral, grid = 0.0, np.unique(y.time[(treated == arm) & (y.event > 0)])
            before = 1.0
            for u in grid[(grid <= t) & (grid <= y.time[i])]:
                hazard = 1 - s(i, u) / before
                jump = float(u == y.time[i] and y.event[i] == 1)
                integral += (jump - hazard) / (s(i, u) * g(i, u))
                before = s(i, u)
            value -= s(i, t) * integral / (score[i] if arm else 1 - score[i])
        total.append(value)
    return np.array(total)


def test_augmented_curves_follow_their_definition():
    y, treated, x = patients(45, ties=True)
    score = fs.compare.weights(x, treated).propensity
    found = fs.compare.aipw_survival(
        y, treated, x, times=TIMES, propensity=score, folds=1, isotonic=False
    )
    for arm in (False, True):
        rows = treated == arm
        arm_y, arm_x = y.take(rows), x[rows].to_numpy()
        survival = fs.survival.cox(arm_y, arm_x, ties="breslow")
        # A hair after the events of the same time.
        moved = fs.Outcome(arm_y.time + 0.01 * (arm_y.event == 0), arm_y.event == 0)
        lost = (moved.event == 1) & (moved.time < max(TIMES))
        censoring = fs.survival.cox(fs.Outcome(moved.time, lost), arm_x, ties="breslow")

        def curve(model, i, t):
            return model.predict_survival(x.iloc[[i]].to_numpy(), [t])["survival"].iloc[0]

        for k, t in enumerate(TIMES):
            value = plain_augmented(
                y,
                treated,
                lambda i, u, m=survival: curve(m, i, u),
                lambda i, u, m=censoring: curve(m, i, u - 0.005),
                score,
                arm,
                t,
            )
            column = int(arm) * len(TIMES) + k
            np.testing.assert_allclose(
                found.table["survival"].iloc[column], value.mean(), rtol=1e-9
            )
            np.testing.assert_allclose(
                found.influence[:, column], (value - value.mean()) / len(y), rtol=1e-7, atol=1e-12
            )


@pytest.mark.parametrize("model", ["cox", "weibull", "royston_parmar"])
@pytest.mark.parametrize("arms", ["separate", "interaction", "main effect"])
def test_influence_is_the_derivative_in_the_multiplicity_of_a_row(model, arms):
    y, treated, x = patients(240, seed=3)

    def fit(rows):
        return fs.compare.standardised_survival(
            y.take(rows),
            treated[rows],
            x.iloc[rows].reset_index(drop=True),
            times=TIMES,
            tau=TAU,
            model=model,
            arms=arms,
            knots=1 if model == "royston_parmar" else None,
        )

    def estimates(found):
        return np.concatenate([found.table["survival"], found.rmst["rmst"]])

    everyone = np.arange(len(y))
    whole = fit(everyone)
    influence = np.concatenate([whole.influence, whole.rmst_influence], axis=1)
    picked = [0, 5, 11, 17, 30]
    if model == "royston_parmar":
        picked = [i for i in picked if y.event[i] == 0][:3]  # the knots are made of event times
    for i in picked:
        more, fewer = np.append(everyone, i), np.delete(everyone, i)
        slope = (estimates(fit(more)) - estimates(fit(fewer))) / 2
        tolerance = 0.04 * np.abs(influence).max(axis=0)
        assert np.all(np.abs(slope - influence[i]) < tolerance), i
    np.testing.assert_allclose(influence.sum(axis=0), 0.0, atol=1e-6)


def test_influence_of_augmented_estimates_is_centred_and_additive_in_clusters():
    y, treated, x = patients()
    found = fs.compare.aipw_survival(y, treated, x, times=TIMES, tau=TAU, seed=4)
    np.testing.assert_allclose(found.influence.sum(axis=0), 0.0, atol=1e-12)
    variance = (found.influence**2).sum(axis=0)
    np.testing.assert_allclose(found.table["std_error"], np.sqrt(variance), rtol=1e-12)
    pairs = np.arange(len(y)) // 2
    grouped = fs.compare.aipw_survival(y, treated, x, times=TIMES, cluster=pairs, seed=4)
    sums = grouped.influence[0::2] + grouped.influence[1::2]
    np.testing.assert_allclose(
        grouped.table["std_error"], np.sqrt((sums**2).sum(axis=0)), rtol=1e-12
    )


def test_clusters_share_a_fold():
    from fiac_survival.compare.nuisances import deal_folds

    members = np.repeat(np.arange(40), 3)
    fold = deal_folds(4, np.zeros(120, dtype=np.int64), members, seed=1)
    assert all(np.unique(fold[members == c]).size == 1 for c in range(40))
    assert np.bincount(fold).tolist() == [30] * 4
    kinds = np.repeat([0, 1], [80, 20]).astype(np.int64)
    fold = deal_folds(5, kinds, None, seed=1)
    assert np.bincount(fold[kinds == 1]).tolist() == [4] * 5


@pytest.mark.parametrize("arms", ["separate", "main effect"])
def test_standardising_to_one_patient_is_predicting_that_patient(arms):
    y, treated, x = patients(ties=True)
    one = x.iloc[[3]]
    found = fs.compare.standardised_survival(
        y, treated, x, times=TIMES, population=one, arms=arms, variance="influence"
    )
    if arms == "separate":
        models = [
            fs.survival.cox(y.take(treated == a), x[treated == a], ties="breslow") for a in (0, 1)
        ]
        tables = [m.predict_survival(one, TIMES) for m in models]
    else:
        model = fs.survival.cox(y, x.assign(treated=treated), ties="breslow", robust=True)
        tables = [model.predict_survival(one.assign(treated=a), TIMES) for a in (0, 1)]
    predicted = pd.concat(tables)
    np.testing.assert_allclose(found.table["survival"], predicted["survival"], rtol=1e-10)
    # Model-based against influence: the same in large samples.
    np.testing.assert_allclose(found.table["std_error"], predicted["std_error"], rtol=0.25)


def test_standardised_parametric_curves_are_averages_of_the_model():
    y, treated, x = patients()
    found = fs.compare.standardised_survival(
        y, treated, x, times=TIMES, tau=TAU, model="weibull", population=x
    )
    for arm in (0, 1):
        rows = treated == arm
        model = fs.survival.parametric(y.take(rows), family="weibull", X=x[rows])
        each = model.survival(TIMES, x).groupby("time")["survival"].mean()
        ours = found.table[found.table["arm"] == arm]
        np.testing.assert_allclose(ours["survival"], each, rtol=1e-10)
        mean = model.rmst(TAU, x)["rmst"].mean()
        np.testing.assert_allclose(found.rmst["rmst"].iloc[arm], mean, rtol=1e-8)


def test_delayed_entry_needs_a_population_and_then_counts():
    y, treated, x = patients(400, seed=5)
    entry = np.where(np.arange(400) % 3 == 0, 0.3 * y.time, 0.0)
    late = fs.Outcome(y.time, y.event, entry=entry)
    with pytest.raises(DataError, match="no sample of a population at time zero"):
        fs.compare.standardised_survival(late, treated, x, times=TIMES)
    found = fs.compare.standardised_survival(late, treated, x, times=TIMES, population=x)
    again = fs.compare.standardised_survival(y, treated, x, times=TIMES, population=x)
    assert np.abs(found.table["survival"] - again.table["survival"]).max() > 1e-3
    rows = treated == 1
    model = fs.survival.cox(late.take(rows), x[rows], ties="breslow")
    mean = model.predict_survival(x, TIMES).groupby("time")["survival"].mean()
    np.testing.assert_allclose(found.table.query("arm == 1")["survival"], mean, rtol=1e-10)


@pytest.mark.slow
def test_bootstrap_agrees_with_the_influence():
    y, treated, x = patients(200, seed=6)
    options = {"times": TIMES, "tau": TAU}
    by_influence = fs.compare.standardised_survival(y, treated, x, **options)
    resampled = fs.compare.standardised_survival(
        y, treated, x, variance="bootstrap", replicates=80, seed=1, **options
    )
    np.testing.assert_allclose(
        resampled.table["std_error"], by_influence.table["std_error"], rtol=0.3
    )
    assert resampled.influence is None
    with pytest.raises(DataError, match="keeps the influence"):
        resampled.effect("rmst")


def test_bands_are_wider_than_intervals_and_curves_fall():
    y, treated, x = patients(100, seed=3)
    options = {
        "times": np.linspace(0.2, 4.0, 40),
        "outcome_model": "random_survival_forest",
        "censoring_model": "kaplan_meier",
        "folds": 2,
        "seed": 2,
    }
    table = fs.compare.aipw_survival(y, treated, x, band=True, **options).table
    known = table["std_error"] > 0
    assert (table["band_lower"] <= table["lower"])[known].all()
    assert (table["band_upper"] >= table["upper"])[known].all()
    raw = fs.compare.aipw_survival(y, treated, x, isotonic=False, **options).table
    for arm in (0, 1):
        curve = table.loc[table["arm"] == arm, "survival"].to_numpy()
        assert (np.diff(curve) <= 1e-12).all()
        unforced = raw.loc[raw["arm"] == arm, "survival"].to_numpy()
        closest = isotonic_regression(unforced, increasing=False).x
        np.testing.assert_allclose(curve, closest, rtol=1e-12)
    assert np.abs(raw["survival"] - table["survival"]).max() > 1e-3


def test_a_band_at_one_time_is_the_interval():
    y, treated, x = patients()
    table = fs.compare.standardised_survival(y, treated, x, times=[2.0], band=True).table
    np.testing.assert_allclose(table["band_lower"], table["lower"], atol=2e-3)


def test_effects_go_into_agreement():
    y, treated, x = patients()
    mine = fs.compare.aipw_survival(y, treated, x, times=TIMES, tau=TAU)
    other = fs.compare.standardised_survival(y, treated, x, times=TIMES, tau=TAU)
    people = np.arange(len(y))
    found = fs.compare.agreement(
        mine.effect("rmst"),
        other.effect("rmst"),
        margin=0.5,
        patient_private=people,
        patient_public=people,
    )
    both = mine.rmst_influence @ [-1, 1] - other.rmst_influence @ [-1, 1]
    assert found.std_error == pytest.approx(np.sqrt(both @ both), rel=1e-12)
    milestone = mine.effect("milestone", time=2.5)
    row = mine.contrast.query("time == 2.5 and contrast == 'difference'").iloc[0]
    assert milestone.estimate == row["estimate"]
    assert milestone.std_error == pytest.approx(np.sqrt((milestone.influence**2).sum()))


def test_clipping_is_counted_and_never_implicit():
    y, treated, x = patients()
    plain = fs.compare.aipw_survival(y, treated, x, times=TIMES)
    clipped = fs.compare.aipw_survival(
        y, treated, x, times=TIMES, propensity_limits=(0.3, 0.7), censoring_floor=0.6
    )
    counts = clipped.diagnostics.set_index("quantity")["value"]
    assert counts["propensities clipped"] > 0
    assert counts["uncensored probabilities clipped, treated"] > 0
    assert np.abs(plain.table["survival"] - clipped.table["survival"]).max() > 1e-6
    before = plain.diagnostics.set_index("quantity")["value"]
    assert before["propensities clipped"] == 0
    assert "uncensored probabilities clipped, treated" not in before
    with pytest.raises(DataError, match="lie strictly between 0 and 1.*propensity_limits"):
        fs.compare.aipw_survival(y, treated, x, times=TIMES, propensity=AlmostSure())


class AlmostSure:
    """A classifier that is sure of itself."""

    def get_params(self, deep=True):
        return {}

    def fit(self, x, t):
        return self

    def predict_proba(self, x):
        return np.column_stack([np.zeros(len(x)), np.ones(len(x))])


def test_seeds_and_learners():
    from sklearn.linear_model import LogisticRegression
    from sksurv.linear_model import CoxPHSurvivalAnalysis

    y, treated, x = patients(200)
    one = fs.compare.aipw_survival(y, treated, x, times=TIMES, seed=1)
    same = fs.compare.aipw_survival(y, treated, x, times=TIMES, seed=1)
    other = fs.compare.aipw_survival(y, treated, x, times=TIMES, seed=2)
    assert one.table.equals(same.table)
    assert not one.table.equals(other.table)
    learnt = fs.compare.aipw_survival(
        y,
        treated,
        x,
        times=TIMES,
        outcome_model=CoxPHSurvivalAnalysis(),
        propensity=LogisticRegression(C=1e8, max_iter=1000),
        seed=1,
    )
    np.testing.assert_allclose(learnt.table["survival"], one.table["survival"], atol=2e-3)
    forest = fs.compare.aipw_survival(
        y, treated, x, times=TIMES, outcome_model="random_survival_forest", folds=2, seed=1
    )
    np.testing.assert_allclose(forest.table["survival"], one.table["survival"], atol=0.08)


Y, T, X = patients(80)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"times": [99.0]}, "no further than the follow-up of both arms.*time=99"),
        ({"times": [1.0], "tau": 99.0}, "no further than the follow-up"),
        ({"times": [1.0], "tau": -1.0}, "tau must be positive"),
        ({"times": [1.0], "folds": 0}, "an event in each arm"),
        ({"times": [1.0], "folds": 70}, "an event in each arm.*folds=70"),
        ({"times": [1.0], "outcome_model": "forest"}, "outcome_model must be one of"),
        ({"times": [1.0], "censoring_model": object()}, "censoring_model must be one of"),
        ({"times": [1.0], "propensity": "probit"}, 'must be "logistic"'),
        ({"times": [1.0], "propensity": 1.0}, "known propensities.*row 0"),
        ({"times": [1.0], "propensity": [0.5]}, "propensity must have"),
        ({"times": [1.0], "propensity_limits": (0.5, 0.1)}, "propensity_limits must be"),
        ({"times": [1.0], "censoring_floor": 0.0}, "censoring_floor must lie"),
        ({"times": [1.0], "transform": "odds"}, "transform must be one of"),
        ({"times": []}, "times must hold at least one"),
    ],
)
def test_bad_input_of_augmented_curves(options, says):
    with pytest.raises(DataError, match=says):
        fs.compare.aipw_survival(Y, T, X, **options)


def test_a_model_without_maximum_is_named():
    apart = X.assign(soon=-Y.time)
    with pytest.raises(ConvergenceError, match="model of survival, control arm, fold 1 of 1.*soon"):
        fs.compare.aipw_survival(Y, T, apart, times=[1.0], folds=1, propensity=0.5)
    rare = X.assign(rare=(np.arange(80) == np.argmax(T)).astype(float))
    with pytest.raises(DataError, match="model of survival, control arm.*must vary.*rare"):
        fs.compare.aipw_survival(Y, T, rare, times=[1.0], folds=1, propensity=0.5)


def test_delayed_entry_and_several_causes_are_refused():
    late = fs.Outcome(Y.time, Y.event, entry=Y.time * (np.arange(80) == 7) / 2)
    with pytest.raises(DataError, match=r"no delayed entry.*1 row.*row 7.*survived so far"):
        fs.compare.aipw_survival(late, T, X, times=[1.0])
    causes = fs.Outcome(Y.time, Y.event * 2)
    for method in (fs.compare.aipw_survival, fs.compare.standardised_survival):
        with pytest.raises(DataError, match="event codes 0 and 1"):
            method(causes, T, X, times=[1.0])
        with pytest.raises(DataError, match="takes an Outcome"):
            method(fs.survival.RiskTable.from_outcome(Y), T, X, times=[1.0])
        with pytest.raises(DataError, match="both arms must occur"):
            method(Y, np.zeros(80), X, times=[1.0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "coxph"}, "model must be one of 'cox'"),
        ({"arms": "both"}, "arms must be one of"),
        ({"variance": "delta"}, "variance must be one of"),
        ({"knots": 2}, "only splines and cut points have knots"),
        ({"variance": "bootstrap", "replicates": 1}, "needs replicates"),
        ({"population": X[["age"]]}, "columns of the model.*stage"),
    ],
)
def test_bad_input_of_standardised_curves(options, says):
    with pytest.raises(DataError, match=says):
        fs.compare.standardised_survival(Y, T, X, times=[1.0], **options)


def test_milestones_of_an_effect_must_have_been_asked_for():
    found = fs.compare.standardised_survival(Y, T, X, times=[1.0])
    with pytest.raises(DataError, match="one of the times that were asked for"):
        found.effect("milestone", time=2.0)
    with pytest.raises(DataError, match="the horizon that it was estimated with"):
        found.effect("rmst")
