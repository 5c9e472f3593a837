"""Multistate models against R's mstate, survival and etm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("multistate")
TIGHT = 1e-12
FITTED = 1e-8  # R stops iterating at 1e-9 of the log-likelihood


def factor(column: pd.Series, name: str, levels: list[str]) -> dict[str, pd.Series]:
    """Indicators of all levels but the first, named as mstate does."""
    suffixes = [""] if len(levels) == 1 else [str(i + 1) for i in range(len(levels))]
    pairs = zip(suffixes, levels, strict=True)
    return {name + suffix: (column == level).astype(float) for suffix, level in pairs}


def ebmt3():
    d = rows("ebmt3")
    d["prtime"], d["rfstime"] = d["prtime"] / 365.25, d["rfstime"] / 365.25
    data = fs.survival.TransitionData.from_wide(
        d,
        person="id",
        states={"Tx": None, "PR": ("prtime", "prstat"), "RelDeath": ("rfstime", "rfsstat")},
        transitions={"Tx": ["PR", "RelDeath"], "PR": ["RelDeath"]},
    )
    covariates = pd.DataFrame(
        factor(d["dissub"], "dissub", ["ALL", "CML"])
        | factor(d["age"], "age", ["20-40", ">40"])
        | factor(d["drmatch"], "drmatch", ["Gender mismatch"])
        | factor(d["tcd"], "tcd", ["TCD"])
    )
    return data, covariates


def ebmt4():
    d = rows("ebmt4")
    data = fs.survival.TransitionData.from_wide(
        d,
        person="id",
        states={
            "Tx": None,
            "Rec": ("rec", "rec.s"),
            "AE": ("ae", "ae.s"),
            "Rec+AE": ("recae", "recae.s"),
            "Rel": ("rel", "rel.s"),
            "Death": ("srv", "srv.s"),
        },
        transitions={
            "Tx": ["Rec", "AE", "Rel", "Death"],
            "Rec": ["Rec+AE", "Rel", "Death"],
            "AE": ["Rec+AE", "Rel", "Death"],
            "Rec+AE": ["Rel", "Death"],
        },
    )
    covariates = pd.DataFrame(
        factor(d["match"], "match", ["gender mismatch"])
        | factor(d["proph"], "proph", ["yes"])
        | factor(d["year"], "year", ["1990-1994", "1995-1998"])
        | factor(d["agecl"], "agecl", ["20-40", ">40"])
    )
    return data, covariates


def cut(d: pd.DataFrame, end: str, events: dict[str, str], indicators: dict[str, str]):
    """Intervals between a person's events, as tmerge makes them; the last of `events` has precedence."""
    out = []
    for i, person in enumerate(d.to_dict("records")):
        at: dict[float, str | None] = {float(person[end]): None}
        for state, column in events.items():
            time = person[column]
            happened = state not in indicators or person[indicators[state]] == 1
            if happened and not pd.isna(time) and 0 < time <= person[end]:
                at[float(time)] = state
        begin = 0.0
        for time in sorted(at):
            out.append((i, begin, time, at[time]))
            begin = time
    return pd.DataFrame(out, columns=["row", "entry", "exit", "to"])


def myeloid():
    d = rows("myeloid")
    events = {"CR": "crtime", "SCT": "txtime", "relapse": "rltime", "death": "futime"}
    intervals = cut(d, "futime", events, {"death": "death"})
    data = fs.survival.TransitionData.from_intervals(
        intervals["row"],
        intervals["entry"],
        intervals["exit"],
        intervals["to"],
        initial_state="(s0)",
        states=["(s0)", "CR", "SCT", "relapse", "death"],
    )
    return data, d.loc[intervals["row"]].reset_index(drop=True)


def mgus2():
    d = rows("mgus2")
    same = (d["pstat"] == 1) & (d["ptime"] == d["futime"])
    d["ptime2"] = np.where(same, d["ptime"] - 0.1, d["ptime"])
    intervals = cut(
        d, "futime", {"pcm": "ptime2", "death": "futime"}, {"pcm": "pstat", "death": "death"}
    )
    data = fs.survival.TransitionData.from_intervals(
        intervals["row"],
        intervals["entry"],
        intervals["exit"],
        intervals["to"],
        initial_state="(s0)",
        states=["(s0)", "pcm", "death"],
    )
    return data, d.loc[intervals["row"]].reset_index(drop=True)


def compare(found: fs.survival.TransitionProbabilities, start, expected, times) -> None:
    """Probabilities and standard errors of one start, and the grid on which they stand."""
    at = found.at(times).query("from_state == @start")
    size = len(found.states)
    for name, column in (("pstate", "probability"), ("se", "std_error")):
        theirs = np.concatenate([numbers(expected[f"{name}{j + 1}"]) for j in range(size)])
        agree(at[column], theirs, TIGHT, 1e-13)


def wide(table: pd.DataFrame, column: str) -> np.ndarray:
    """One row per group and time, one column per state."""
    keys = ["group", "time"]
    found = table.pivot_table(index=keys, columns="to_state", values=column, sort=False)
    return found.to_numpy()


def transitions_of_survfit(data: fs.survival.TransitionData) -> np.ndarray:
    """Count as survfit does: as censored only who has spent time in the last state."""
    last = data.intervals().groupby("person", sort=False).tail(1)
    censored = last.loc[last["to_state"].isna(), "from_state"].value_counts()
    table = data.events()[[*data.states[1:]]]
    return table.assign(censored=censored.reindex(table.index, fill_value=0)).to_numpy()


def test_events_of_ebmt3():
    expected = EXPECTED["mstate_ebmt3_events"]
    data, _ = ebmt3()
    events = data.events()
    assert events.columns.tolist() == expected["freq"]["colnames"]
    assert events.index.tolist() == expected["freq"]["rownames"]
    np.testing.assert_array_equal(events.to_numpy(), numbers(expected["freq"]))
    leading = pd.Series(data.source).value_counts()
    assert int(leading.reindex(data.state, fill_value=0).sum()) == expected["rows"]


def test_aalen_johansen_of_ebmt3():
    expected = EXPECTED["mstate_ebmt3_AJ"]
    data, _ = ebmt3()
    found = fs.survival.transition_probabilities(data)
    for j, start in enumerate(("Tx", "PR")):
        compare(found, start, expected[f"aalen_from0_state{j + 1}"], [0.5, 1, 2, 3, 5])
    later = fs.survival.transition_probabilities(data, from_time=0.5)
    for j, start in enumerate(("Tx", "PR")):
        compare(later, start, expected[f"aalen_from05_state{j + 1}"], [1, 2, 5])
    other = fs.survival.transition_probabilities(data, variance="greenwood")
    compare(other, "Tx", expected["greenwood_from0_state1"], [0.5, 1, 2, 3, 5])
    assert not np.allclose(other.at(1)["std_error"], found.at(1)["std_error"], rtol=1e-4, atol=0)
    hazards = expected["cumhaz"]
    ours = []
    for (j, to), curve in found.hazards.groupby(["from_state", "to_state"], sort=False):
        del j, to
        place = np.searchsorted(curve["time"], [0.5, 1, 2, 5], side="right") - 1
        ours += curve["cumulative_hazard"].iloc[place].tolist()
    agree(ours, hazards["Haz"], TIGHT)


def test_grid_of_ebmt3():
    """The last transition up to a time is where the reference has it."""
    data, _ = ebmt3()
    time = fs.survival.transition_probabilities(data, start="Tx").table["time"].unique()
    theirs = numbers(EXPECTED["mstate_ebmt3_AJ"]["aalen_from0_state1"]["time"])
    agree([time[time <= t].max() for t in (0.5, 1, 2, 3, 5)], theirs, 1e-14)


def test_etm_of_ebmt3():
    expected = EXPECTED["etm_ebmt3"]
    data, _ = ebmt3()
    found = fs.survival.transition_probabilities(data, start="Tx", variance="greenwood")
    at = found.at([0.5, 1, 2, 5]).set_index("to_state")
    agree(at.loc["PR", "probability"], expected["p12"], TIGHT)
    agree(at.loc["RelDeath", "probability"], expected["p13"], TIGHT)
    agree(at.loc["RelDeath", "std_error"] ** 2, expected["var13"], TIGHT)


def test_length_of_stay_of_ebmt3():
    data, _ = ebmt3()
    expected = numbers(EXPECTED["mstate_ebmt3_elos"]["elos5"])
    found = fs.survival.transition_probabilities(data, start=["Tx", "PR", "RelDeath"])
    agree(found.length_of_stay(5)["stay"], expected, TIGHT)


def test_cox_of_ebmt3():
    expected = EXPECTED["mstate_ebmt3_cox"]
    data, covariates = ebmt3()
    model = fs.survival.transition_cox(data, covariates)
    table = expected["cox"]["coefficients"]
    reference = dict(zip(table["colnames"], numbers(table).T, strict=True))
    agree(model.table["coef"], reference["coef"], FITTED)
    agree(model.table["std_error"], reference["se(coef)"], FITTED)
    agree(model.table["z"], reference["z"], FITTED)
    agree(model.table["p_value"], reference["Pr(>|z|)"], 1e-7)
    interval = numbers(expected["cox"]["conf_int_hr"])
    agree(model.table[["hazard_ratio", "lower", "upper"]], interval[:, [0, 2, 3]], FITTED)
    agree(model.covariance, expected["cox"]["var"], FITTED)
    agree([model.log_likelihood_null, model.log_likelihood], expected["cox"]["loglik"], TIGHT)
    tests = model.tests.set_index("test")
    agree(tests.loc["likelihood ratio", "statistic"], expected["cox"]["lrt"]["test"], 1e-9)
    agree(tests.loc["score", "statistic"], expected["cox"]["score"]["test"], 1e-9)
    agree(tests.loc["wald", "statistic"], expected["cox"]["wald"]["test"], 0, 0.005)
    assert set(tests["df"]) == {expected["cox"]["lrt"]["df"]}
    profile = pd.DataFrame(0.0, index=["A"], columns=covariates.columns)
    found = model.predict(profile, variance="increments")
    for j, start in enumerate(("Tx", "PR")):
        at = found.at([0.5, 1, 2, 5]).query("from_state == @start")
        theirs = expected[f"from0_state{j + 1}"]
        for name, column in (("pstate", "probability"), ("se", "std_error")):
            wanted = np.concatenate([numbers(theirs[f"{name}{k + 1}"]) for k in range(3)])
            agree(at[column], wanted, 1e-8, 1e-13)


def test_aalen_johansen_of_ebmt4():
    expected = EXPECTED["mstate_ebmt4_AJ"]
    data, _ = ebmt4()
    assert data.events().to_numpy().tolist() == expected["freq"]["values"]
    everything = list(data.states)
    found = fs.survival.transition_probabilities(data, start=everything, variance="greenwood")
    compare(found, "Tx", expected["from0_state1"], [30, 100, 365, 730, 1826])
    agree(found.length_of_stay(1826)["stay"], expected["elos_1826"], TIGHT)
    later = fs.survival.transition_probabilities(data, from_time=100, variance="greenwood")
    for j in range(4):
        compare(later, data.states[j], expected["from100"][j], [200, 365, 730, 1826])


def test_cox_of_ebmt4():
    expected = EXPECTED["mstate_ebmt4_cox"]
    data, covariates = ebmt4()
    model = fs.survival.transition_cox(data, covariates)
    names = [f"{term}.{k + 1}" for k in range(12) for term in covariates.columns]
    agree(model.table["coef"], [expected["coef"][name] for name in names], FITTED)
    agree(model.table["std_error"], [expected["se"][name] for name in names], FITTED)
    agree([model.log_likelihood_null, model.log_likelihood], expected["loglik"], TIGHT)


def test_landmark_of_ebmt4():
    expected = EXPECTED["lmaj_ebmt4"]["from_rec_at_100"]
    data, _ = ebmt4()
    times = [200, 365, 730, 1826]
    at_100 = {"start": "Rec", "from_time": 100}
    found = fs.survival.transition_probabilities(
        data, **at_100, landmark=True, ties="fleming-harrington"
    )
    compare(found, "Rec", expected, times)
    plain = fs.survival.transition_probabilities(data, **at_100, landmark=True)
    agree(plain.at(times)["probability"], found.at(times)["probability"], 2e-4)
    markov = fs.survival.transition_probabilities(data, **at_100)
    assert not np.allclose(markov.at(365)["probability"], plain.at(365)["probability"], atol=1e-4)


def test_state_occupation_of_myeloid():
    expected = EXPECTED["survfit_multistate_myeloid"]
    data, frame = myeloid()
    assert list(data.states) == expected["states"]
    np.testing.assert_array_equal(transitions_of_survfit(data), numbers(expected["transitions"]))
    found = fs.survival.state_occupation(data, group=frame["trt"])
    at = found.at([90, 180, 365, 730, 1095])
    agree(wide(at, "probability"), expected["pstate"], TIGHT)
    agree(wide(at, "std_error"), expected["std_err"], TIGHT)
    stays = found.length_of_stay(1095).sort_values(["state", "group"], kind="stable")
    table = {
        (s, g): v for s, g, v in zip(stays["state"], stays["group"], stays["stay"], strict=True)
    }
    reference = expected["rmean1095"]
    values = numbers(reference)
    for name, (n, n_event, mean) in zip(reference["rownames"], values, strict=True):
        arm, state = name.removeprefix("trt=").split(", ")
        agree(table[state, arm], mean, TIGHT)
        mine = (frame["trt"] == arm).to_numpy()
        assert n == mine.sum()
        entered = [data.states[data.target[k]] for k in data.transition[mine] if k >= 0]
        assert n_event == entered.count(state)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_cox_of_myeloid(ties):
    expected = EXPECTED["coxph_multistate_myeloid"]
    data, frame = myeloid()
    arm = pd.DataFrame({"trtB": (frame["trt"] == "B").astype(float)})
    model = fs.survival.transition_cox(data, arm, ties=ties, robust=True)
    order = [f"trtB_{data.source[k] + 1}:{data.target[k] + 1}" for k in range(data.source.size)]
    assert sorted(order) == sorted("trtB_" + name for name in expected["cmap"]["colnames"])
    agree(model.table["coef"], [expected[ties]["coef"][name] for name in order], FITTED)
    agree(model.table["std_error"], [expected[ties]["se"][name] for name in order], FITTED)
    if ties == "breslow":
        likelihood = [model.log_likelihood_null, model.log_likelihood]
        agree(likelihood, expected["loglik_breslow"], TIGHT)


def test_illness_death_of_mgus2():
    expected = EXPECTED["multistate_mgus2_illnessdeath"]
    data, frame = mgus2()
    assert list(data.states) == expected["states"]
    np.testing.assert_array_equal(transitions_of_survfit(data), numbers(expected["transitions"]))
    at = fs.survival.state_occupation(data, group=frame["sex"]).at([60, 120, 240])
    agree(wide(at, "probability"), expected["pstate"], TIGHT)
    agree(wide(at, "std_error"), expected["std_err"], TIGHT)
    covariates = frame[["age"]].assign(sexM=(frame["sex"] == "M").astype(float))
    model = fs.survival.transition_cox(data, covariates, robust=True)
    names = [
        f"{term}_{data.source[k] + 1}:{data.target[k] + 1}"
        for k in range(data.source.size)
        for term in covariates.columns
    ]
    agree(model.table["coef"], [expected["coef"][name] for name in names], FITTED)
    agree(model.table["std_error"], [expected["se"][name] for name in names], FITTED)


def test_every_record_is_used():
    source = (fs.datasets.shipped.Path(__file__)).read_text(encoding="utf-8")
    assert all(f'EXPECTED["{name}"]' in source for name in EXPECTED)
