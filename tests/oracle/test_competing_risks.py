"""Competing risks against R's survival, cmprsk and etm."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("competing_risks")
FITTED = 1e-6  # R's crr stops at a gradient of 1e-6 of the log-likelihood


def mgus2():
    d = rows("mgus2")
    time = np.where(d["pstat"] == 0, d["futime"], d["ptime"])
    event = np.where(d["pstat"] == 0, 2 * d["death"], 1)
    return d, fs.Outcome(time, event)


def bmt():
    d = rows("bmt")
    event = np.where(d["d3"] == 0, 0, np.where(d["d2"] == 1, 1, 2))
    return d, fs.Outcome(d["t2"], event)


def ebmt2():
    d = rows("ebmt2")
    return d, fs.Outcome(d["time"], d["status"])


def aidssi():
    d = rows("aidssi")
    d = d[d["ccr5"].notna()]
    return d, fs.Outcome(d["time"], d["status"])


def column(expected, key, cause):
    return numbers(expected[key]).reshape(len(expected["time"]), -1)[:, cause]


def incidences(y, group, expected, times):
    """Incidences, standard errors and limits, the event-free curve included."""
    result = fs.survival.aalen_johansen(y, group=group, transform="log")
    found = result.at(times)
    for cause, mine in found.groupby("cause"):
        agree(mine["incidence"], column(expected, "pstate", cause))
        agree(mine["std_error"], column(expected, "std_err", cause))
        if "lower" in expected:
            agree(mine["lower"], column(expected, "lower", cause))
            agree(mine["upper"], column(expected, "upper", cause))
            agree(mine["n_risk"], column(expected, "n_risk", 0))
    free = fs.survival.kaplan_meier(
        fs.Outcome(y.time, y.event > 0), group=group, variance="infinitesimal jackknife"
    ).at(times)
    agree(free["survival"], column(expected, "pstate", 0))
    agree(free["std_error"], column(expected, "std_err", 0))
    states = expected["states"]
    assert len(states) == 1 + found["cause"].nunique()


@pytest.mark.parametrize("name", ["aj_mgus2_all", "aj_mgus2_sex", "aj_bmtKM_group"])
def test_aalen_johansen(name):
    d, y = mgus2() if "mgus2" in name else bmt()
    group = {"all": None, "sex": "sex", "group": "group"}[name.split("_")[-1]]
    expected = EXPECTED[name]
    incidences(y, None if group is None else d[group], expected, sorted(set(expected["time"])))


def test_six_causes():
    d, y = ebmt2()
    expected = EXPECTED["aj_ebmt2_causes"]
    incidences(y, None, expected, expected["time"])
    for cause, (statistic, p, df) in enumerate(numbers(expected["gray_by_match"]), start=1):
        found = fs.survival.gray(y, d["match"], cause=cause)
        agree([found.statistic, found.p_value, found.df], [statistic, p, df])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("cuminc_mgus2_sex_gray", "gray"),
        ("gray_bmtKM_group", "gray_rho0"),
        ("gray_bmtKM_group", "gray_rho1"),
        ("aj_aidssi", "gray"),
        ("gray_bmtKM_strat", "gray"),
    ],
)
def test_gray(name, key):
    d, y = {"cum": mgus2, "gra": bmt, "aj_": aidssi}[name[:3]]()
    group = {"cum": "sex", "gra": "group", "aj_": "ccr5"}[name[:3]]
    strata = d["z10"] if "strat" in name else None
    rho = 1.0 if key == "gray_rho1" else 0.0
    for cause, (statistic, p, df) in enumerate(numbers(EXPECTED[name][key]), start=1):
        found = fs.survival.gray(y, d[group], cause=cause, strata=strata, rho=rho)
        agree([found.statistic, found.p_value, found.df], [statistic, p, df])


@pytest.mark.parametrize("name", ["cuminc_mgus2_sex_gray", "gray_bmtKM_group", "aj_aidssi"])
def test_cuminc(name):
    d, y = {"cum": mgus2, "gra": bmt, "aj_": aidssi}[name[:3]]()
    group = {"cum": "sex", "gra": "group", "aj_": "ccr5"}[name[:3]]
    estimate, variance = EXPECTED[name]["est"], EXPECTED[name]["var"]
    times = [float(t) for t in estimate["colnames"]]
    found = fs.survival.aalen_johansen(y, group=d[group]).at(times)
    for label, values, spread in zip(
        estimate["rownames"], numbers(estimate), numbers(variance), strict=True
    ):
        of, cause = label.split()
        mine = found[(found["group"].astype(str) == of) & (found["cause"] == int(cause))]
        agree(mine["incidence"], values)
        # cmprsk's variance is Aalen's, another estimator of the same thing.
        agree(mine["std_error"] ** 2, spread, relative=0.05)


def test_greenwood_type_variance_of_etm():
    _, y = mgus2()
    expected = EXPECTED["etm_mgus2"]
    for cause in (1, 2):
        e = expected[f"cause{cause}"]
        found = fs.survival.aalen_johansen(y).at([12, 60, 120, 180, 240]).query("cause == @cause")
        agree(found["incidence"], e["P"])
        # Without delayed entry the jackknife is Greenwood's.
        agree(found["std_error"] ** 2, e["var"])
        agree(found["n_risk"], e["n.risk"])
        table = fs.survival.aalen_johansen(y).table.query("cause == @cause")
        agree(table.set_index("time").loc[e["time"], "n_event"], e["n.event"])
        # Its limits are on the scale log(-log(1 - F)).
        beside = fs.survival.aalen_johansen(y).at([12, 60, 120, 180, 240])
        beside = beside.query("cause == @cause")
        f, s = beside["incidence"].to_numpy(), beside["std_error"].to_numpy()
        half = 1.959963984540054 * s / ((1 - f) * np.log(1 - f))
        agree(1 - (1 - f) ** np.exp(half), e["lower"])
        agree(1 - (1 - f) ** np.exp(-half), e["upper"])


def test_restricted_mean_time_lost():
    d, y = mgus2()
    expected = EXPECTED["rmtl_mgus2"]
    found = fs.survival.rmtl(y, tau=120, group=d["sex"]).table
    events = fs.survival.aalen_johansen(y, group=d["sex"]).table
    alive = fs.survival.rmst(fs.Outcome(y.time, y.event > 0), tau=120, group=d["sex"]).table
    by_name = dict(zip(expected["rownames"], numbers(expected), strict=True))
    for sex in ("F", "M"):
        agree(alive.set_index("group").loc[sex, "rmst"], by_name[f"sex={sex}, (s0)"][2])
        for cause, name in ((1, "pcm"), (2, "death")):
            n, n_event, mean = by_name[f"sex={sex}, {name}"]
            mine = found[(found["group"] == sex) & (found["cause"] == cause)]
            agree(mine["rmtl"], [mean])
            here = (events["group"] == sex) & (events["cause"] == cause)
            assert events.loc[here, "n_event"].sum() == n_event
            assert (d["sex"] == sex).sum() == n


# --- Fine-Gray ----------------------------------------------------------------------------------


def covariates(name, d):
    sex = (d["sex"] == "M").astype(float) if "sex" in d else None
    match name:
        case "finegray_mgus2" | "finegray_mgus2_survival":
            return pd.DataFrame({"age": d["age"], "sexM": sex, "mspike": d["mspike"]})
        case "finegray_mgus2_death":
            return pd.DataFrame({"age": d["age"], "sexM": sex})
        case "aj_aidssi":
            return pd.DataFrame({"WM": (d["ccr5"] == "WM").astype(float)})
        case _:
            low, high = ((d["group"] == g).astype(float) for g in (2, 3))
            return pd.DataFrame({"aml_low": low, "aml_high": high, "fab": d["z8"]})


def like_crr(model, coefficients, log_likelihood=None, absolute=0.0):
    table = numbers(coefficients)
    agree(model.coef, table[:, 0], FITTED, absolute)
    agree(model.table["subdistribution_hazard_ratio"], table[:, 1], FITTED)
    agree(model.table["std_error"], table[:, 2], FITTED)
    # crr prints p-values with two digits.
    agree(model.table["p_value"], table[:, 4], relative=0.06, absolute=1e-12)
    if log_likelihood is not None:
        agree(model.log_likelihood, log_likelihood)


def test_crr_mgus2():
    d, y = mgus2()
    use = d["mspike"].notna().to_numpy()
    expected = EXPECTED["finegray_mgus2"]
    model = fs.survival.fine_gray(
        y.take(use), covariates("finegray_mgus2", d[use]), censoring_ties="with events"
    )
    like_crr(model, expected["coef"], expected["loglik"])
    agree(model.log_likelihood_null, expected["loglik_null"])
    assert model.n == expected["n"]
    limits = numbers(expected["conf.int"])
    agree(model.table[["lower", "upper"]], limits[:, 2:], FITTED)
    at = numbers(expected["cif_pred"])
    found = model.predict_incidence([[60, 0, 1], [75, 1, 2]], at[:, 0])
    agree(found.query("row == 0")["incidence"], at[:, 1], FITTED)
    agree(found.query("row == 1")["incidence"], at[:, 2], FITTED)


def test_crr_mgus2_death():
    d, y = mgus2()
    expected = EXPECTED["finegray_mgus2_death"]
    model = fs.survival.fine_gray(
        y, covariates("finegray_mgus2_death", d), cause=2, censoring_ties="with events"
    )
    like_crr(model, expected["coef"], expected["loglik"])
    agree(model.table[["lower", "upper"]], numbers(expected["conf.int"])[:, 2:], FITTED)


def test_crr_bmt():
    d, y = bmt()
    expected = EXPECTED["finegray_bmtKM"]
    for cause, name in ((1, "relapse"), (2, "trm")):
        model = fs.survival.fine_gray(
            y, covariates("finegray_bmtKM", d), cause=cause, censoring_ties="with events"
        )
        # For treatment-related mortality crr stops one step early: 1e-6 on coefficients near 0.
        e = expected[name]
        like_crr(model, e["coef"], e["loglik"], absolute=2e-6 if name == "trm" else 0.0)


def test_crr_aidssi():
    d, y = aidssi()
    model = fs.survival.fine_gray(y, covariates("aj_aidssi", d), censoring_ties="with events")
    like_crr(model, EXPECTED["aj_aidssi"]["finegray"])


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_coxph_on_the_rows_of_finegray(ties):
    d, y = mgus2()
    use = d["mspike"].notna().to_numpy()
    expected = EXPECTED["finegray_mgus2_survival"][ties]
    model = fs.survival.fine_gray(
        y.take(use), covariates("finegray_mgus2", d[use]), ties=ties, weight_variance="fixed"
    )
    table = numbers(expected["coefficients"])
    agree(model.coef, table[:, 0])
    agree(model.table["std_error"], table[:, 3])
    agree(model.table["p_value"], table[:, 5])
    agree(model.table[["lower", "upper"]], numbers(expected["conf_int_hr"])[:, 2:])
    agree(model.covariance, expected["var"])
    agree(model.model_covariance, expected["naive_var"])
    agree([model.log_likelihood_null, model.log_likelihood], expected["loglik"])
    assert model.n_event == expected["nevent"]
    tests = model.tests.set_index("test")["statistic"]
    agree(tests["likelihood ratio"], expected["lrt"]["test"])
    agree(tests["score"], expected["score"]["test"])
    agree(tests["robust score"], expected["robust_score"]["test"])
    agree(tests["wald"], expected["wald"]["test"], absolute=5.001e-3)


def test_conventions_of_tied_censorings_differ():
    d, y = mgus2()
    use = d["mspike"].notna().to_numpy()
    x = covariates("finegray_mgus2", d[use])
    a = fs.survival.fine_gray(y.take(use), x)
    b = fs.survival.fine_gray(y.take(use), x, censoring_ties="with events")
    assert (np.abs(a.coef - b.coef) > 1e-5).all()


def test_every_record_is_used():
    used = {"aj_mgus2_all", "aj_mgus2_sex", "aj_bmtKM_group", "aj_ebmt2_causes", "aj_aidssi"}
    used |= {"cuminc_mgus2_sex_gray", "gray_bmtKM_group", "gray_bmtKM_strat", "etm_mgus2"}
    used |= {"finegray_mgus2", "finegray_mgus2_survival", "finegray_mgus2_death"}
    used |= {"finegray_bmtKM", "rmtl_mgus2"}
    assert used == set(EXPECTED)
