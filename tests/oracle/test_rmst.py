"""Restricted means against R's survRM2 and survfit."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from tests.oracle.reference import agree, numbers, records, rows

EXPECTED = records("rmst")


def two_arms():
    lung, veteran, myeloid, bmt = rows("lung"), rows("veteran"), rows("myeloid"), rows("bmt")
    bmt = bmt[bmt["group"].isin([2, 3])]
    of_lung = (lung["time"], lung["status"] == 2, lung["sex"] == 2)
    return {
        "rmst_lung_tau365": (*of_lung, 365),
        "rmst_lung_tau500": (*of_lung, 500),
        "rmst_lung_tau700": (*of_lung, 700),
        "rmst_veteran_240": (veteran["time"], veteran["status"], veteran["trt"] == 2, 240),
        "rmst_myeloid_1460": (myeloid["futime"], myeloid["death"], myeloid["trt"] == "B", 1460),
        "rmst_bmtKM_dfs": (bmt["t2"], bmt["d3"], bmt["group"] == 3, 1000),
    }


@pytest.mark.parametrize("name", list(two_arms()))
def test_two_arms(name):
    time, event, arm, tau = two_arms()[name]
    expected = EXPECTED[name]
    found = fs.survival.rmst(fs.Outcome(time, event), tau=tau, group=arm.astype(int))
    for row, key in ((0, "arm0"), (1, "arm1")):
        ours = found.table.loc[row, ["rmst", "std_error", "lower", "upper"]]
        agree(ours, expected[key]["values"][0])
    agree(found.table["std_error"] ** 2, [expected["rmst_var0"], expected["rmst_var1"]])
    agree(found.contrast[["estimate", "lower", "upper", "p_value"]], expected["contrasts"])


def test_survfit_and_hand_formula():
    lung = rows("lung")
    found = fs.survival.rmst(
        fs.Outcome(lung["time"], lung["status"] == 2), tau=500, group=lung["sex"]
    ).table
    agree(found[["rmst", "std_error"]], numbers(EXPECTED["rmst_survfit_lung"])[:, 2:])
    hand = EXPECTED["rmst_hand_lung"]
    for row, sex in enumerate("12"):
        agree(found.loc[row, ["rmst", "std_error"]], [hand[sex]["rmst"], hand[sex]["se"]])


def test_covariates():
    lung = rows("lung").dropna(subset=["ecog"])
    found = fs.survival.rmst(
        fs.Outcome(lung["time"], lung["status"] == 2),
        tau=500,
        group=lung["sex"],
        covariates=lung[["age", "ecog"]],
    )
    expected = EXPECTED["rmst_lung_ancova"]
    agree(found.contrast[["estimate", "lower", "upper", "p_value"]], expected["adjusted"], 1e-6)
    table = found.coefficients
    difference = table[table["contrast"] == "difference"]
    reference = numbers(expected["RMST.difference.adjusted"])
    agree(difference[["estimate", "std_error"]], reference[:, :2], 1e-8)
    ratio = table[table["contrast"] == "ratio"]
    reference = numbers(expected["RMST.ratio.adjusted"])
    agree(np.log(ratio["estimate"]), reference[:, 0], 1e-6)
    agree(ratio["std_error"], reference[:, 1], 1e-6)


def test_every_record_is_used():
    assert set(EXPECTED) == {
        *two_arms(),
        "rmst_lung_ancova",
        "rmst_survfit_lung",
        "rmst_hand_lung",
    }
