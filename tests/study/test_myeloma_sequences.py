"""The study of myeloma sequences: what it published, its identities, its page, and a small run."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.released import read_table
from tests.conftest import ROOT

STUDY = ROOT / "studies/myeloma_sequences"
RESULTS = STUDY / "results"


def released(name: str) -> pd.DataFrame:
    return read_table(RESULTS / f"{name}.csv")


@pytest.fixture(scope="module")
def analysis():
    spec = importlib.util.spec_from_file_location("myeloma_analysis", STUDY / "analysis.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["myeloma_analysis"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def truth(analysis):
    whole = fs.simulate.myeloma_lines(10, seed=1).formulary
    return analysis.true_model(analysis.with_horizon(whole, analysis.HORIZON))


def test_confounding_misleads_and_weighting_does_not():
    found = released("realised").query("profile == 'all'").set_index("analysis")
    assert found.loc["naive", "loss"] > 1.0
    assert found.loc["weighted", "loss"] < 0.2
    assert found.loc["external", "loss"] < 0.2
    first = released("recommended").set_index(["analysis", "profile"])["sequence"]
    assert first["weighted", "fit, standard risk"].startswith("DRd")
    assert not first["naive", "fit, standard risk"].startswith("DRd")


def test_no_policy_beats_the_optimum_and_gains_add_up():
    found = released("realised")
    assert (found["loss"] >= 0).sum() == len(found)
    top = found[found["analysis"] == "true optimum"].set_index("profile")["months"]
    base = found[found["analysis"] == "observed care"].set_index("profile")["months"]
    both = found["gain"] + found["loss"]
    np.testing.assert_allclose(both, found["profile"].map(top - base), atol=1e-6)


def test_sequences_are_proved_and_below_the_policy():
    best = released("best_sequences")
    assert best["proved"].all()
    first = best[best["rank"] == 1].set_index(["analysis", "profile"])["value"]
    policy = released("adaptivity").set_index(["analysis", "profile"])
    assert (policy["adaptivity"] >= 0).all()
    np.testing.assert_allclose(first, policy.loc[first.index, "best_fixed"], rtol=1e-9)


def test_published_true_values_are_those_of_the_simulation(truth):
    best = released("recommended")
    for row in best.itertuples():
        value = truth.value_of(tuple(row.sequence.split(" \u2192 ")), row.profile)
        assert value == pytest.approx(row.true_value, rel=1e-9)


def test_every_state_has_the_policy_first_and_the_optimum_where_it_starts():
    states = released("explore_values")
    key = ["group", "line", "exposed"]
    first = states.assign(exposed=states["exposed"].fillna("")).groupby(key).first().reset_index()
    assert (first["difference"] == 0).all()
    start = first[first["line"] == 1].set_index("group")["value"]
    optimal = released("adaptivity").query("analysis == 'weighted'").set_index("profile")["optimal"]
    np.testing.assert_allclose(start.loc[optimal.index], optimal, rtol=1e-9)


def test_survival_falls_and_bounds_the_value():
    curves = released("explore_curves")
    curves["exposed"] = curves["exposed"].fillna("")
    states = released("explore_values")
    states["exposed"] = states["exposed"].fillna("")
    key = ["group", "line", "exposed"]
    value = states.groupby(key)["value"].first()
    for state, part in curves.groupby(key):
        s = part.sort_values("month")["survival"].to_numpy()
        assert (np.diff(s) <= 1e-12).all()
        assert 6 * s[1:].sum() - 1e-6 <= value[state] <= 6 * s[:-1].sum() + 1e-6


def test_a_policy_put_into_its_own_model_keeps_its_value(truth):
    solution = truth.solve()
    same = fs.sequence.transferred(solution.actions, truth, truth)
    value = fs.sequence.policy_value(truth, same)
    for group in ("fit, high risk", "transplant, standard risk"):
        assert value.of_group(truth.group_index(group)) == pytest.approx(
            solution.value(group), rel=1e-12
        )


def test_relative_effects_are_ratios_to_the_reference():
    table = released("relative_effects").set_index(["line", "regimen"])
    assert table.loc[(2, "DVd"), "hazard_ratio_next"] == pytest.approx(0.640 / 1.310)
    assert table.loc[(1, "DRd"), "hazard_ratio_death"] == pytest.approx(0.872 / 0.949)
    assert table["source"].str.contains("meta-analysis").all()


def test_targets_are_met_and_context_is_told_apart():
    table = released("calibration")
    target = table["kind"] == "target"
    assert (table.loc[target, "relative_error"].abs() <= 0.10).all()
    assert (~target).sum() >= 10
    assert table["study_patients"].notna().all()


def test_lines_and_recommendation_do_not_depend_on_the_shape_of_the_files():
    files = released("shapes").set_index("shape")
    assert files["lines_as_canonical"].all()
    assert files.loc["SNDS", "lines"] == files.loc["OMOP", "lines"] > 5_000
    best = released("shapes_recommended")
    assert (best["snds"] == best["omop"]).all()
    assert (best["difference"] == 0).all()


def test_what_was_promised_on_one_half_is_held_against_the_other():
    report = released("split_report").set_index("quantity")
    splits = released("splits")
    held = report.loc["held out"]
    assert held["lower"] < splits["true_months"].mean() < held["upper"]
    by_split = splits.groupby("split")["reported"].mean()
    assert held["months"] == pytest.approx(by_split.median())
    assert report.loc["held out - observed care", "lower"] > 0
    top = released("realised").query("profile == 'all' and analysis == 'true optimum'")
    assert (splits["true_months"] < top["months"].iloc[0]).all()


def test_the_state_is_nearly_sufficient():
    found = released("markov_check")
    assert set(found["line"]) == {2, 3, 4}
    assert found["odds_ratio"].between(0.85, 1.15).all()


def test_every_choice_is_tried_and_its_sequences_told(truth):
    table = released("sensitivity")
    assert set(table["factor"]) == {
        "Main analysis",
        "Line rule",
        "Horizon",
        "Refractory after",
        "Never given twice",
        "Support",
        "Confounding",
        "External effects",
        "Robust policy",
    }
    refused = table["refused"].notna()
    assert table.loc[~refused, ["promised", "change", "true_loss"]].notna().all().all()
    assert (table.loc[~refused, "true_loss"] >= 0).all()
    sequences = released("sensitivity_sequences")
    tried = table[~refused & (table["factor"] != "Robust policy")]
    assert len(sequences) == 6 * len(tried)
    same = (~sequences["changed"]).groupby([sequences["factor"], sequences["choice"]]).sum()
    for row in tried.itertuples():
        assert same[row.factor, row.choice] == row.same_sequence
    for row in sequences.iloc[::7].itertuples():
        value = truth.value_of(tuple(row.sequence.split(" \u2192 ")), row.profile)
        assert value == pytest.approx(row.true_months, rel=1e-9)
    changed = released("sensitivity_changed")
    assert len(changed) == sequences.loc[sequences["factor"] != "Main analysis", "changed"].sum()


def test_the_robust_policy_is_safe_at_a_price():
    table = released("robust")
    assert (table["worst_case"] < table["value"]).all()
    assert (table["price"] >= -1e-9).all()
    np.testing.assert_allclose(table["optimal"] - table["value"], table["price"], atol=1e-7)
    optimal = released("adaptivity").query("analysis == 'weighted'").set_index("profile")["optimal"]
    np.testing.assert_allclose(table["optimal"], optimal.loc[table["group"]], rtol=1e-9)


@pytest.mark.slow
def test_a_small_version_runs(tmp_path):
    for folder in ("studies/myeloma_sequences",):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("results"))
    path = tmp_path / "studies/myeloma_sequences/analysis.py"
    text = path.read_text(encoding="utf-8")
    for old, new in (
        ("PEOPLE = 15_000", "PEOPLE = 12_000"),
        ("CALIBRATED = 100_000", "CALIBRATED = 8_000"),
        ("DRAWS = 30", "DRAWS = 2"),
        ("SPLITS = 3", "SPLITS = 1"),
        ("min_ess=10.0,\n", "min_ess=2.0,\n"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    layout = fs.study.load("myeloma_sequences", project=tmp_path).run(out=tmp_path / "out")
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "simulated data: no patient stands behind these numbers" in page
    assert (layout.base / layout.results / "explore.html").is_file()


# --- the page in a browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        context = browser.new_context(offline=True, viewport={"width": 1200, "height": 900})
        tab = context.new_page()
        tab.asked, tab.complaints = [], []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.goto((RESULTS / "explore.html").as_uri())
        yield tab
        browser.close()


def state(group: str, line: int, exposed: set[str]) -> pd.DataFrame:
    table = released("explore_values")
    sets = table["exposed"].fillna("").map(lambda text: set(filter(None, text.split(" + "))))
    return table[(table["group"] == group) & (table["line"] == line) & (sets == exposed)]


def shown(page) -> list[list[str]]:
    return page.eval_on_selector_all(
        "#regimens tbody tr", "rows => rows.map(row => [...row.cells].map(c => c.innerText.trim()))"
    )


@pytest.mark.browser
def test_the_page_says_what_the_solver_found(page):
    page.select_option("#profile", "fit, high risk")
    expected = state("fit, high risk", 1, set())
    assert page.inner_text("#recommended") == expected["regimen"].iloc[0]
    assert [row[0] for row in shown(page)] == expected["regimen"].tolist()
    assert [float(row[1]) for row in shown(page)] == expected["value"].round(2).tolist()
    page.select_option("#line1", "VRd")
    page.select_option("#early", "yes")
    expected = state("fit, high risk, early relapse", 2, {"proteasome", "lenalidomide"})
    assert len(expected) > 1
    assert page.inner_text("#recommended") == expected["regimen"].iloc[0]
    assert expected["regimen"].iloc[1] in page.inner_text("#difference")
    assert f"{expected['patients'].iloc[0]} patients" in page.inner_text("#support")
    assert "84:" in page.inner_text("#curve-text")
    page.select_option("#line2", "DVd")
    expected = state(
        "fit, high risk, early relapse", 3, {"proteasome", "lenalidomide", "anti_cd38"}
    )
    assert page.inner_text("#recommended") == expected["regimen"].iloc[0]
    assert page.complaints == []
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []


@pytest.mark.browser
def test_the_page_goes_by_keyboard_and_says_what_it_is_not(page):
    page.reload()
    page.focus("#profile")
    before = page.inner_text("#recommended")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.input_value("#profile") != "transplant, standard risk"
    assert page.inner_text("#recommended") != before
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "line1"
    words = page.inner_text("main")
    assert "Research use only, not medical advice." in words
    assert "no patient stands behind" in words
    page.emulate_media(media="print")
    assert page.is_visible("#recommended")
