"""The log-rank family against R's survdiff and the hypergeometric formula."""

from __future__ import annotations

import pandas as pd
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, records, rows

EXPECTED = records("logrank")
# The one-sample test needs a population table.
# Tested with relative survival, whose rate tables it needs.
ELSEWHERE = {"survdiff_onesample_mgus2"}


def cases():
    lung, veteran, myeloid, colon = rows("lung"), rows("veteran"), rows("myeloid"), rows("colon")
    colon = colon[(colon["etype"] == 2) & colon["differ"].notna()]
    arms = pd.CategoricalDtype(["Obs", "Lev", "Lev+5FU"])
    complete, mgus2 = lung.dropna(subset=["ecog"]), rows("mgus2")
    out = {
        "survdiff_lung_strat_ecog": (
            complete["time"],
            complete["status"] == 2,
            complete["sex"],
            {"strata": complete["ecog"]},
        ),
        "survdiff_mgus2_sex": (mgus2["futime"], mgus2["death"], mgus2["sex"], {}),
    }
    for rho in ("0", "1", "0.5"):
        option = {"rho": float(rho)}
        out |= {
            f"survdiff_lung_sex_rho{rho}": (
                lung["time"],
                lung["status"] == 2,
                lung["sex"],
                option,
            ),
            f"survdiff_veteran_celltype_rho{rho}": (
                veteran["time"],
                veteran["status"],
                veteran["celltype"],
                option,
            ),
            f"survdiff_myeloid_trt_rho{rho}": (
                myeloid["futime"],
                myeloid["death"],
                myeloid["trt"],
                option,
            ),
            f"survdiff_colon_rx_strat_differ_rho{rho}": (
                colon["time"],
                colon["status"],
                colon["rx"].astype(arms),
                option | {"strata": colon["differ"]},
            ),
        }
    return out


@pytest.mark.parametrize("name", list(cases()))
def test_survdiff(name):
    time, event, group, options = cases()[name]
    expected = EXPECTED[name]
    found = fs.survival.logrank(fs.Outcome(time, event), group, **options)
    if name.startswith("survdiff_veteran"):
        # R orders cell types as in its factor; the statistic does not depend on it.
        order = ["squamous", "smallcell", "adeno", "large"]
        found.table.index = found.table["group"]
        agree(found.table.loc[order, "observed"], expected["obs"])
        agree(found.table.loc[order, "expected"], expected["exp"])
    else:
        agree(found.table["observed"], expected["obs"])
        agree(found.table["expected"], expected["exp"])
        agree(found.covariance, expected["var"])
        agree(found.table["n"], expected["n"])
    agree(found.statistic, expected["chisq"])
    agree(found.p_value, expected["p"])
    assert found.df == expected["df"]


@pytest.mark.parametrize("name", ["lung", "veteran", "myeloid"])
def test_fleming_harrington(name):
    d = rows(name)
    time, status, group = {
        "lung": ("time", "status", "sex"),
        "veteran": ("time", "status", "trt"),
        "myeloid": ("futime", "death", "trt"),
    }[name]
    event = d[status] == d[status].max()
    for exponents, expected in EXPECTED[f"fleming_harrington_{name}"]["tests"].items():
        rho, gamma = map(float, exponents.split("_"))
        found = fs.survival.logrank(fs.Outcome(d[time], event), d[group], rho=rho, gamma=gamma)
        agree(found.statistic, expected["chisq"])
        agree(found.p_value, expected["p"])
        agree(found.table["observed"][1] - found.table["expected"][1], expected["U"])
        agree(found.covariance[1, 1], expected["V"])


@pytest.mark.parametrize("name", ["lung", "veteran", "myeloid"])
def test_maxcombo(name):
    d = rows(name)
    time, status, group = {
        "lung": ("time", "status", "sex"),
        "veteran": ("time", "status", "trt"),
        "myeloid": ("futime", "death", "trt"),
    }[name]
    y = fs.Outcome(d[time], d[status] == d[status].max())
    expected = EXPECTED[f"fleming_harrington_{name}"]["maxcombo"]
    found = fs.survival.maxcombo(y, d[group])
    order = [0, 2, 1, 3]  # R has (0,1) before (1,0)
    agree(found.table["z"].iloc[order], expected["Z"])
    agree(found.correlation[order][:, order], expected["cor"])
    agree(found.statistic, expected["max_abs_z"])
    # R integrates by quasi-Monte Carlo.
    agree(found.p_value, expected["maxcombo_p"], absolute=1e-4)


def test_statistic_of_survmisc():
    lung = rows("lung")
    y = fs.Outcome(lung["time"], lung["status"] == 2)
    expected = EXPECTED["survMisc_comp_lung"]
    found = fs.survival.logrank(y, lung["sex"])
    # Its first row is the log-rank test; its variance is not a reference.
    agree(abs(found.table["observed"][0] - found.table["expected"][0]), abs(expected["Q"][0]), 1e-4)


def test_every_record_is_used():
    used = {*cases(), "survMisc_comp_lung", *ELSEWHERE}
    used |= {f"fleming_harrington_{name}" for name in ("lung", "veteran", "myeloid")}
    assert used == set(EXPECTED)
