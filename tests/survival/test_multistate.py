"""Multistate estimators against plain twins, laws, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError, SupportError
from tests.survival import naive_multistate as naive

TransitionData = fs.survival.TransitionData
SIZE = 3
WAYS = {0: [1, 2], 1: [0, 2]}  # ill and well again, and death from both


def random_rows(seed, persons=14, *, weighted=False, late=True):
    """Paths on whole times, so that there are ties, with delayed entries, recoveries and censoring."""
    rng = np.random.default_rng(seed)
    rows = []
    for person in range(persons):
        now, state = (int(rng.integers(0, 3)) if late else 0), int(rng.integers(0, 2))
        weight = float(rng.integers(1, 9)) / 4 if weighted else 1.0
        for _ in range(4):
            end = now + int(rng.integers(1, 5))
            to = int(rng.choice(WAYS[state])) if rng.random() < 0.8 else None
            rows.append((person, float(now), float(end), state, to, weight))
            if to is None or to == 2:
                break
            now, state = end, to
    return rows


def as_data(rows):
    person, entry, end, state, to, weight = zip(*rows, strict=True)
    data = TransitionData.from_intervals(
        person,
        entry,
        end,
        pd.Series(to, dtype=object),
        from_state=state,
        states=range(SIZE),
        transitions=WAYS,
    )
    return data, np.array(weight)


def probabilities(found, start, t):
    return found.at(t).query("from_state == @start")["probability"].to_numpy()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("since", [0.0, 2.0])
@pytest.mark.parametrize("kind", ["aalen", "greenwood"])
def test_probabilities_and_their_variances(seed, since, kind):
    rows = random_rows(seed)
    data, _ = as_data(rows)
    found = fs.survival.transition_probabilities(data, from_time=since, variance=kind)
    for start in (0, 1):
        initial = np.eye(SIZE)[start]
        for t in (since, 3.5, 6.0, 12.0):
            expected = naive.occupation(rows, SIZE, initial, since, t)
            np.testing.assert_allclose(probabilities(found, start, t), expected, atol=1e-12)
            expected = naive.increment_variance(rows, SIZE, initial, since, t, kind)
            ours = found.covariance(t, from_state=start)
            np.testing.assert_allclose(ours, expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("since", [0.0, 2.0])
def test_jackknife_is_the_derivative_by_each_persons_weight(seed, since):
    rows = random_rows(seed, weighted=True)
    data, weight = as_data(rows)
    options = {"from_time": since, "variance": "jackknife", "weights": weight}
    found = fs.survival.transition_probabilities(data, **options)
    occupied = fs.survival.state_occupation(data, **options)
    for t in (since, 4.0, 9.0):
        for initial, ours in ((np.eye(SIZE)[0], found.covariance(t, from_state=0)),
                              (None, occupied.covariance(t))):  # fmt: skip
            expected = naive.jackknife(
                rows, lambda r, i=initial, t=t: naive.occupation(r, SIZE, i, since, t)
            )
            np.testing.assert_allclose(ours, expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_lengths_of_stay_and_their_jackknife(seed):
    rows = random_rows(seed, weighted=True)
    data, weight = as_data(rows)
    tau = min(6.0, max(r[2] for r in rows))
    options = {"from_time": 1.0, "variance": "jackknife", "weights": weight}
    for initial, found in (
        (np.eye(SIZE)[1], fs.survival.transition_probabilities(data, start=1, **options)),
        (None, fs.survival.state_occupation(data, **options)),
    ):
        ours = found.length_of_stay(tau)
        expected = naive.stays(rows, SIZE, initial, 1.0, tau)
        np.testing.assert_allclose(ours["stay"], expected, atol=1e-12)
        assert ours["stay"].sum() == pytest.approx(tau - 1.0)
        variance = naive.jackknife(rows, lambda r, i=initial: naive.stays(r, SIZE, i, 1.0, tau))
        np.testing.assert_allclose(ours["std_error"], np.sqrt(np.diag(variance)), atol=1e-8)


def test_variance_of_stays_integrates_the_covariance_of_probabilities():
    """With one transition, the variance of the stay is that of a restricted mean."""
    time, event = [2, 3, 3, 5, 7, 8, 9, 12], [1, 1, 0, 1, 0, 1, 1, 0]
    to = ["dead" if e else None for e in event]
    data = TransitionData.from_intervals(range(8), [0] * 8, time, to, initial_state="alive")
    found = fs.survival.transition_probabilities(data, variance="greenwood")
    km = fs.survival.rmst(fs.Outcome(time, event), tau=10).table.iloc[0]
    stay = found.length_of_stay(10).set_index("state").loc["alive"]
    assert stay["stay"] == pytest.approx(km["rmst"])
    steps = naive.grid([(0, 0, t, 0, 1, 1) for t, e in zip(time, event, strict=True) if e], 0)
    survival = fs.survival.kaplan_meier(fs.Outcome(time, event))
    areas = [
        sum(
            survival.at(a)["survival"].iloc[0] * (b - a)
            for a, b in zip([s, *[u for u in steps if u > s and u < 10]],
                            [*[u for u in steps if u > s and u < 10], 10], strict=True)
        )
        for s in steps
    ]  # fmt: skip
    counts = survival.counts.set_index("time")
    # Greenwood's noise D(Y-D)/Y³ of dA, times S(u-) and the area after u per unit of S(u).
    expected = sum(
        (a / (1 - d / y)) ** 2 * d * (y - d) / y**3
        for a, d, y in zip(areas, counts.loc[steps, "n_event"], counts.loc[steps, "n_risk"],
                           strict=True)
    )  # fmt: skip
    assert stay["std_error"] ** 2 == pytest.approx(expected)


def test_two_states_are_kaplan_meier():
    d = fs.datasets.load("gbsg").frame
    to = pd.Series(np.where(d["status"] == 1, "event", None), dtype=object)
    data = TransitionData.from_intervals(
        d["pid"], np.zeros(len(d)), d["rfstime"], to, initial_state="free"
    )
    km = fs.survival.kaplan_meier(fs.Outcome(d["rfstime"], d["status"])).at([365, 1000, 2000])
    for kind in ("greenwood", "jackknife"):
        found = fs.survival.transition_probabilities(data, start="free", variance=kind)
        at = found.at([365, 1000, 2000]).query("to_state == 'free'")
        np.testing.assert_allclose(at["probability"], km["survival"], rtol=1e-12)
        np.testing.assert_allclose(at["std_error"], km["std_error"], rtol=1e-10)
        np.testing.assert_allclose(at["lower"], km["lower"], rtol=1e-9)


def test_cutting_time_at_risk_changes_nothing():
    rows = random_rows(3)
    cut = []
    for person, entry, end, state, to, weight in rows:
        middle = (entry + end) / 2
        cut += [
            (person, entry, middle, state, None, weight),
            (person, middle, end, state, to, weight),
        ]
    for kind in ("aalen", "greenwood", "jackknife"):
        ours, theirs = (
            fs.survival.transition_probabilities(as_data(r)[0], variance=kind).table
            for r in (rows, cut)
        )
        pd.testing.assert_frame_equal(ours, theirs)
    pd.testing.assert_frame_equal(as_data(rows)[0].events(), as_data(cut)[0].events())


def test_whole_weights_are_repeated_persons():
    rows = random_rows(5)
    twice = [(r[0] + 100 * i, *r[1:]) for i in range(2) for r in rows]
    data, _ = as_data(rows)
    for kind in ("aalen", "greenwood"):
        weighted = fs.survival.transition_probabilities(
            data, variance=kind, weights=np.full(len(rows), 2.0)
        )
        repeated = fs.survival.transition_probabilities(as_data(twice)[0], variance=kind)
        pd.testing.assert_frame_equal(weighted.table, repeated.table)


def test_hazards_jackknife():
    rows = random_rows(2, weighted=True)
    data, weight = as_data(rows)
    found = fs.survival.state_occupation(data, weights=weight).hazards

    def total(r, j=0, to=1):
        return np.array(
            [sum(naive.step_matrix(r, SIZE, t, 0.0)[j, to] for t in naive.grid(r, 0.0))]
        )

    last = found.query("from_state == 0 and to_state == 1").iloc[-1]
    assert last["cumulative_hazard"] == pytest.approx(total(rows)[0])
    assert last["std_error"] ** 2 == pytest.approx(naive.jackknife(rows, total)[0, 0], rel=1e-6)


def test_groups_are_estimated_apart():
    rows = random_rows(7, persons=20)
    data, _ = as_data(rows)
    arm = np.array([r[0] % 2 for r in rows])
    together = fs.survival.state_occupation(data, group=arm).table
    for label in (0, 1):
        alone = fs.survival.state_occupation(as_data([r for r in rows if r[0] % 2 == label])[0])
        mine = together.query("group == @label").reset_index(drop=True).drop(columns="group")
        pd.testing.assert_frame_equal(mine, alone.table.drop(columns="group"))


def test_landmark_takes_those_in_the_state():
    rows = random_rows(11, persons=30)
    data, _ = as_data(rows)
    there = {r[0] for r in rows if r[3] == 1 and r[1] <= 3 < r[2]}
    found = fs.survival.transition_probabilities(data, start=1, from_time=3, landmark=True)
    mine = [r for r in rows if r[0] in there]
    for t in (4, 6, 9):
        expected = naive.occupation(mine, SIZE, np.eye(SIZE)[1], 3, t)
        np.testing.assert_allclose(probabilities(found, 1, t), expected, atol=1e-12)


# --- Cox models ----------------------------------------------------------------------------------


def illness_death(n=300, seed=1):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    ill = rng.exponential(1 / (0.5 * np.exp(0.5 * x[:, 0])))
    dead = rng.exponential(1 / (0.3 * np.exp(0.3 * x[:, 1])), n)
    later = ill + rng.exponential(1 / (0.8 * np.exp(0.3 * x[:, 1])))
    end = rng.uniform(1, 4, n)
    death = np.where(ill < dead, later, dead)
    wide = pd.DataFrame(
        {
            "ill": np.minimum(ill, np.minimum(dead, end)),
            "fell_ill": (ill < np.minimum(dead, end)).astype(int),
            "end": np.minimum(death, end),
            "died": (death <= end).astype(int),
            "a": x[:, 0],
            "b": x[:, 1],
        }
    )
    data = TransitionData.from_wide(
        wide,
        states={"well": None, "ill": ("ill", "fell_ill"), "dead": ("end", "died")},
        transitions={"well": ["ill", "dead"], "ill": ["dead"]},
    )
    return data, wide


def test_shared_coefficients_are_a_stratified_model():
    data, wide = illness_death()
    shared = [("well", "dead"), ("ill", "dead")]
    model = fs.survival.transition_cox(data, "a + b", frame=wide, share=[shared])
    stays = [np.flatnonzero(data.state == j) for j in (0, 1)]
    rows = np.concatenate(stays)
    stratum = np.repeat([0, 1], [len(s) for s in stays])
    event = np.array([k >= 0 and data.target[k] == 2 for k in data.transition[rows]])
    y = fs.Outcome(data.outcome.time[rows], event, entry=data.outcome.entry_or_zero()[rows])
    x = wide.loc[data.row[rows], ["a", "b"]].reset_index(drop=True)
    one = fs.survival.cox(y, x, strata=stratum, ties="breslow")
    for start in ("well", "ill"):
        mine = model.table.query("from_state == @start and to_state == 'dead'")["coef"]
        np.testing.assert_allclose(mine, one.coef, rtol=1e-8)
    assert model.covariance.shape == (4, 4)
    free = fs.survival.transition_cox(data, "a + b", frame=wide)
    assert free.log_likelihood > model.log_likelihood


def test_delta_variance_is_the_derivative_through_the_whole_prediction():
    """The part of the coefficients, by numerical derivatives of the predicted probabilities."""
    import dataclasses

    data, wide = illness_death()
    model = fs.survival.transition_cox(data, wide[["a", "b"]])
    profile = pd.DataFrame({"a": [0.5], "b": [-0.5]})
    still = dataclasses.replace(model, covariance=model.covariance * 0.0)
    times = [0.5, 1.0, 2.0]

    def variances(m):
        return m.predict(profile, start="well", horizon=2.5).at(times)["std_error"].to_numpy() ** 2

    part = variances(model) - variances(still)
    gradient = []
    for block in model._blocks:
        for q in range(2):
            up, down = (
                moved_prediction(model, block, q, by, profile, times) for by in (1e-5, -1e-5)
            )
            gradient.append((up - down) / 2e-5)
    g = np.array(gradient)
    expected = np.einsum("pt,pq,qt->t", g, model.covariance.to_numpy(), g)
    np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-12)
    wide_of_mstate = model.predict(profile, start="well", variance="increments", horizon=2.5)
    assert not np.allclose(wide_of_mstate.at(times)["std_error"] ** 2, variances(model), rtol=1e-3)


def moved_prediction(model, block, q, by, profile, times):
    """Predict with one coefficient moved, the baseline estimated anew given the coefficients."""
    import dataclasses

    from fiac_survival.survival.cox_fit import evaluate

    rows = block.model._rows
    beta = block.model._end.beta.copy()
    beta[q] += by * rows.scale[q]
    moved = dataclasses.replace(block.model, _end=evaluate(rows, beta))
    blocks = [dataclasses.replace(b, model=moved) if b is block else b for b in model._blocks]
    other = dataclasses.replace(model, _blocks=blocks)
    return other.predict(profile, start="well", horizon=2.5).at(times)["probability"].to_numpy()


def test_transitions_without_covariates_keep_their_hazard():
    data, wide = illness_death()
    model = fs.survival.transition_cox(data, {("well", "ill"): "a"}, frame=wide)
    found = model.predict(pd.DataFrame({"a": [0.0]}), horizon=2).hazards
    plain = fs.survival.transition_probabilities(data).hazards
    for table in (found, plain):
        table["key"] = table["from_state"] + table["to_state"]
    for key in ("welldead", "illdead"):
        ours = found.query("key == @key")
        theirs = plain.query("key == @key").iloc[: len(ours)]
        np.testing.assert_allclose(ours["cumulative_hazard"], theirs["cumulative_hazard"])
        np.testing.assert_allclose(ours["std_error"], theirs["std_error"])


def test_whole_weights_in_cox_models():
    data, wide = illness_death(120)
    w = np.tile([1.0, 2.0], 60)
    model = fs.survival.transition_cox(data, wide[["a"]], weights=w)
    twice = pd.concat([wide, wide.iloc[1::2]], ignore_index=True)
    again = TransitionData.from_wide(
        twice,
        states={"well": None, "ill": ("ill", "fell_ill"), "dead": ("end", "died")},
        transitions={"well": ["ill", "dead"], "ill": ["dead"]},
    )
    other = fs.survival.transition_cox(again, twice[["a"]])
    np.testing.assert_allclose(model.table["coef"], other.table["coef"], rtol=1e-8)
    np.testing.assert_allclose(model.table["std_error"], other.table["std_error"], rtol=1e-8)
    assert fs.survival.transition_cox(data, wide[["a"]], weights=w / 4).variance == "clustered"


# --- bad input -----------------------------------------------------------------------------------

WIDE = pd.DataFrame(
    {"t": [3.0, 5.0, 4.0], "s": [1, 0, 1], "end": [7.0, 5.0, 9.0], "dead": [1, 0, 0]}
)
STATES = {"well": None, "ill": ("t", "s"), "dead": ("end", "dead")}
WAYS_OUT = {"well": ["ill", "dead"], "ill": ["dead"]}


def from_wide(change=None, **options):
    return TransitionData.from_wide(
        WIDE if change is None else WIDE.assign(**change),
        **({"states": STATES, "transitions": WAYS_OUT} | options),
    )


def from_intervals(**options):
    given = {"person": [1, 1, 2], "entry": [0, 4, 0], "exit": [4, 9, 6],
             "from_state": ["well", "ill", "well"], "to_state": ["ill", None, "dead"]}  # fmt: skip
    return TransitionData.from_intervals(**(given | options))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: from_wide({"t": [3, np.nan, 4]}), "t must be finite.*row 1"),
        (lambda: from_wide({"s": [1, 2, 0]}), "status must be 0 or 1.*row 1, s=2"),
        (lambda: from_wide({"t": [7.0, 5.0, 4.0]}), "two states at the same time.*row 0.*time=7"),
        (lambda: from_wide({"t": [0.0, 5.0, 4.0]}), "must be after that of the state.*row 0"),
        (
            lambda: from_wide({"t": [3.0, 4.0, 4.0], "dead": [1, 1, 0]}),
            "must not end before another state is entered.*row 1.*end of follow-up=4, entered=5",
        ),
        (lambda: from_wide(person="pid"), "columns named.*missing=pid"),
        (lambda: from_wide({"p": [1, 1, 2]}, person="p"), "one row per person.*row 1.*person=1"),
        (lambda: from_wide({"p": ["well", "x", "ill"]}, start_state="p"), "start in one.*row 1, p=x"),
        (lambda: from_wide(transitions={"well": ["gone"]}), "between the states.*unknown=gone"),
        (lambda: from_wide(transitions={"dead": ["well"]}), "needs a time and a status.*state=well"),
        (lambda: from_wide(transitions={"ill": ["dead"]}), "nobody starts in a state"),
        (lambda: from_wide(simultaneous="both"), "simultaneous must be"),
        (lambda: from_intervals(entry=[0, 3, 0]), "must not overlap: 1 row .*row 1, entry=3"),
        (lambda: from_intervals(entry=[0, 9, 0]), "entry must be before time.*row 1"),
        (
            lambda: from_intervals(from_state=["well", "well", "well"]),
            "found in the state entered last.*row 1, expected=ill, found=well",
        ),
        (lambda: from_intervals(to_state=["well", None, "dead"]), "one state to another.*to=well"),
        (lambda: from_intervals(to_state=[None, None, None]), "must be found|at least one transition"),
        (lambda: from_intervals(from_state=["well", None, "well"]), "from_state must not be missing"),
        (lambda: from_intervals(states=["well", "ill"]), "to_state must be among.*row 2.*dead"),
        (lambda: from_intervals(states=["a", "a"]), "states must differ"),
        (lambda: from_intervals(transitions={"well": ["ill"]}), "among the possible.*row 2.*to=dead"),
        (lambda: from_intervals(from_state=None), "must be given, or the state in which all start"),
        (lambda: from_intervals(initial_state="well"), "without from_state"),
        (lambda: from_intervals(to_state=["ill"]), "to_state must have one value per row"),
    ],
)  # fmt: skip
def test_bad_data(call, says):
    with pytest.raises(DataError, match=says):
        call()


def test_simultaneous_first():
    data = from_wide({"t": [7.0, 5.0, 4.0], "dead": [1, 0, 0]}, simultaneous="first",
                     transitions={"well": ["ill", "dead"]})  # fmt: skip
    assert data.events().loc["well", ["ill", "dead"]].tolist() == [2, 0]


GOOD = from_intervals()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda e: e(fs.Outcome([1], [1])), "take a TransitionData"),
        (lambda e: e(GOOD, from_time=20), "transition after from_time.*from_time=20"),
        (lambda e: e(GOOD, from_time=-1), "none negative"),
        (lambda e: e(GOOD, variance="robust"), "variance must be one of"),
        (lambda e: e(GOOD, level=2), "level must lie"),
        (lambda e: e(GOOD, group=["a", "b", "a"]), "stay in one group: 1 row .*row 1.*group=b"),
        (lambda e: e(GOOD, group=["a"]), "one value per row"),
        (lambda e: e(GOOD, weights=[1, 0, 1]), "weights must be positive"),
        (lambda e: e(GOOD, weights=[1, 0.5, 1], variance="aalen"), "fractions need the jackknife"),
        (lambda e: e(GOOD).at(-1), "none negative"),
        (lambda e: e(GOOD, from_time=3).at(2), "must not be before"),
        (lambda e: e(GOOD).length_of_stay(10), "within the follow-up.*follow-up=9"),
        (lambda e: e(GOOD).covariance(1, from_state="gone"), "must have the start"),
    ],
)
@pytest.mark.parametrize(
    "estimator", [fs.survival.transition_probabilities, fs.survival.state_occupation]
)
def test_bad_calls(estimator, call, says):
    with pytest.raises(DataError, match=says):
        call(estimator)


def test_bad_calls_of_one_estimator():
    estimate = fs.survival.transition_probabilities
    with pytest.raises(DataError, match="start must be one of the states.*gone"):
        estimate(GOOD, start="gone")
    with pytest.raises(DataError, match="landmark needs persons.*state=ill"):
        estimate(GOOD, start="ill", from_time=2, landmark=True)
    with pytest.raises(DataError, match="need unit weights and Aalen's variance"):
        estimate(GOOD, ties="fleming-harrington", variance="greenwood")
    tied = TransitionData.from_intervals([1, 2], [0, 0], [3, 3], ["d", "d"], initial_state="a")
    with pytest.raises(SupportError, match="must not exceed 1.*time=3, increment=1.5"):
        estimate(tied, ties="fleming-harrington")
    with pytest.raises(DataError, match="initial must be a distribution.*sum=2"):
        fs.survival.state_occupation(GOOD, initial=[1, 1, 0])


def test_bad_models():
    data, wide = illness_death(60)
    fit = fs.survival.transition_cox
    with pytest.raises(DataError, match="takes a TransitionData"):
        fit(fs.Outcome([1], [1]), wide)
    with pytest.raises(DataError, match="unknown=.'ill', 'well'."):
        fit(data, {("ill", "well"): "a"}, frame=wide)
    with pytest.raises(DataError, match="one row per row of the table.*rows=10"):
        fit(data, wide[["a"]].iloc[:10])
    with pytest.raises(DataError, match="at least one transition"):
        fit(data, {})
    with pytest.raises(DataError, match="same covariates, and be named once"):
        fit(data, wide[["a"]], share=[[("well", "dead")], [("well", "dead")]])
    same = wide.assign(c=1.0)
    with pytest.raises(DataError, match="must vary.*transition=well -> ill, column=c"):
        fit(data, same[["a", "c"]])
    split = wide.assign(c=wide["fell_ill"].astype(float))
    with pytest.raises((ConvergenceError, DataError), match="transition=well -> ill"):
        fit(data, {("well", "ill"): split[["c"]]})
    model = fit(data, wide[["a"]])
    with pytest.raises(DataError, match="columns of the model.*missing"):
        model.predict(pd.DataFrame({"z": [1.0]}))
    with pytest.raises(SupportError, match="must not exceed 1.*profile=0, state=.*earlier horizon"):
        model.predict(pd.DataFrame({"a": [8.0]}))


def test_few_at_risk_early_do_not_spoil_a_prediction():
    """The first to fall ill dies at once, alone in the state: increment exp(3.8 β) for the profile."""
    _, wide = illness_death(80)
    wide.loc[0] = {"ill": 1e-4, "fell_ill": 1, "end": 2e-4, "died": 1, "a": 0.0, "b": -3.0}
    data = TransitionData.from_wide(
        wide,
        states={"well": None, "ill": ("ill", "fell_ill"), "dead": ("end", "died")},
        transitions={"well": ["ill", "dead"], "ill": ["dead"]},
    )
    model = fs.survival.transition_cox(data, {("ill", "dead"): "b"}, frame=wide)
    profile = pd.DataFrame({"b": [0.8]})
    steps, excess = model._steps(profile, 0.0, 1.0, "delta")
    place = int(np.searchsorted(steps.time, 2e-4))
    assert excess[place, 1] == pytest.approx(np.exp(3.8 * model.table["coef"].iloc[0]) - 1)
    assert excess[place, 1] > 0
    table = model.predict(profile, start="well", horizon=1.0).table
    assert table["probability"].between(0, 1).all()
    with pytest.raises(SupportError, match="state=ill, time=0.0002.*probability=1"):
        model.predict(profile, start="ill", horizon=1.0)


def test_units_of_time_only_rescale():
    rows = random_rows(4)
    longer = [(r[0], r[1] * 30.5, r[2] * 30.5, *r[3:]) for r in rows]
    ours, theirs = (
        fs.survival.transition_probabilities(as_data(r)[0], variance="jackknife")
        for r in (rows, longer)
    )
    np.testing.assert_allclose(theirs.table["time"], ours.table["time"] * 30.5)
    names = ["probability", "std_error", "lower", "upper"]
    pd.testing.assert_frame_equal(ours.table[names], theirs.table[names])
    stays = [f.length_of_stay(t)[["stay", "std_error"]] for f, t in ((ours, 5), (theirs, 152.5))]
    np.testing.assert_allclose(stays[0] * 30.5, stays[1])
