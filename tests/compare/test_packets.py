"""Packets of several sites: exact without coarsening, within stated bounds with it, and safe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.protocol import Protocol
from fiac_survival.disclosure import Cell, LinearOutputs, Released, audit

PRINT = "a" * 64


def protocol(profile: str = "none", **parts: Any) -> Protocol:
    cohort, example = fs.cohort.example_cohort()
    cohort.engine.close()
    content = example.model_dump() | {
        "follow_up": {"unit": "month", "horizon": 24.0, "censoring": "-"},
        "estimands": [
            {"name": "hr", "label": "-", "measure": "hazard_ratio", "margin": 1.25},
            {"name": "hr_18", "label": "-", "measure": "hazard_ratio", "margin": 1.25,
             "censor_at": 18.0},
            {"name": "rmst", "label": "-", "measure": "rmst", "tau": 15.0, "margin": 2.0},
            {"name": "alive", "label": "-", "measure": "milestone", "tau": 12.0, "margin": 0.1},
        ],
        "covariates": {"age": ["age"]},
        "methods": [
            {"name": "unadjusted", "label": "-", "method": "none"},
            {"name": "iptw", "label": "-", "method": "propensity", "covariates": "age"},
        ],
        "release": {"profile": profile, "reason": "-"},
        "sources": [
            {"name": "a", "label": "-", "role": "private", "description": "-", "simulated": True},
            {"name": "b", "label": "-", "role": "public", "description": "-", "simulated": True},
        ],
        "comparison": {"private": "a", "public": "b", "private_method": "unadjusted",
                       "public_method": "iptw"},
    }  # fmt: skip
    return Protocol.model_validate(content | parts)


def site_rows(seed: int, n: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    age = rng.normal(65, 8, n)
    treated = rng.random(n) < 1 / (1 + np.exp(-(age - 65) / 10))
    death = rng.exponential(20 * np.exp(-(age - 65) / 30) * np.where(treated, 1.5, 1.0))
    end = rng.uniform(4, 40, n)
    return pd.DataFrame(
        {
            "age": age,
            "treated": treated,
            "time": np.maximum(np.minimum(death, end), 0.01),
            "event": death <= end,
        }
    )


def packet(
    rows: pd.DataFrame, site: str, asked: Protocol, role: Any = "public"
) -> fs.compare.SitePacket:
    y = fs.Outcome(rows["time"], rows["event"])
    w = fs.compare.weights(rows[["age"]], rows["treated"])
    return fs.compare.SitePacket.build(
        y,
        rows["treated"],
        site=site,
        role=role,
        protocol=asked,
        protocol_sha256=PRINT,
        weights={"iptw": w},
        covariates=rows[["age"]],
    )


@pytest.fixture(scope="module")
def sites() -> dict[str, pd.DataFrame]:
    return {"north": site_rows(1, 600), "south": site_rows(2, 900)}


def pooled_rows(sites: dict[str, pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for name, rows in sites.items():
        w = fs.compare.weights(rows[["age"]], rows["treated"]).weights
        parts.append(rows.assign(site=name, weight=w))
    return pd.concat(parts, ignore_index=True)


def test_without_coarsening_packets_give_what_pooled_rows_give(
    sites: dict[str, pd.DataFrame],
) -> None:
    asked = protocol()
    made = [packet(rows, name, asked) for name, rows in sites.items()]
    pooled = fs.compare.pool_packets(made, asked)
    rows = pooled_rows(sites)
    y = fs.Outcome(rows["time"], rows["event"])
    for method, weights in (("unadjusted", None), ("iptw", rows["weight"])):
        mine = pooled.table[pooled.table["method"] == method].set_index("estimand")
        rmst = fs.survival.rmst(y, tau=15, group=rows["treated"], weights=weights).contrast.iloc[0]
        assert mine.loc["rmst", "estimate"] == pytest.approx(rmst["estimate"], rel=1e-12)
        assert mine.loc["rmst", "std_error"] == pytest.approx(rmst["std_error"], rel=1e-10)
        at = fs.survival.milestone(y, times=[12], group=rows["treated"], weights=weights)
        arms = pooled.arms[(pooled.arms["method"] == method) & (pooled.arms["estimand"] == "alive")]
        assert np.allclose(arms["estimate"], at.table["survival"], rtol=1e-12)
        assert np.allclose(arms["std_error"], at.table["std_error"], rtol=1e-10)
        for name, end in (("hr", np.inf), ("hr_18", 18.0)):
            cut = fs.Outcome(np.minimum(y.time, end), (y.event > 0) & (y.time <= end))
            model = fs.survival.cox(
                cut,
                rows[["treated"]].astype(float),
                strata=rows["site"],
                weights=weights,
                robust=weights is not None,
            )
            row = model.table.iloc[0]
            assert mine.loc[name, "estimate"] == pytest.approx(row["hazard_ratio"], rel=1e-9)
            assert mine.loc[name, "std_error"] == pytest.approx(row["std_error"], rel=1e-8)
        test = pooled.tests.set_index("method").loc[method]
        if weights is None:
            whole = fs.survival.logrank(y, rows["treated"], strata=rows["site"])
            assert test["statistic"] == pytest.approx(whole.statistic, rel=1e-10)
    curves = fs.survival.kaplan_meier(y, group=rows["treated"]).table
    mine_curves = pooled.curves[pooled.curves["method"] == "unadjusted"]
    assert np.allclose(mine_curves["survival"], curves["survival"], rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_with_coarsening_the_stated_bounds_hold(seed: int) -> None:
    asked = protocol("snds")
    sites = {f"site {k}": site_rows(10 * seed + k, 1_000 + 500 * k) for k in range(2)}
    made = [packet(rows, name, asked) for name, rows in sites.items()]
    pooled = fs.compare.pool_packets(made, asked)
    rows = pooled_rows(sites)
    y = fs.Outcome(rows["time"], rows["event"])
    for method, weights in (("unadjusted", None), ("iptw", rows["weight"])):
        curve = pooled.curves[pooled.curves["method"] == method]
        assert len(curve) >= 8
        km = fs.survival.kaplan_meier(y, group=rows["treated"], weights=weights)
        for arm, label in (("control", False), ("treated", True)):
            mine = curve[curve["arm"] == arm]
            truth = km.at(mine["time"].tolist())
            truth = truth[truth["group"] == label]["survival"].to_numpy()
            slack = 1e-5
            assert (mine["lowest"].to_numpy() <= truth + slack).all()
            assert (truth <= mine["highest"].to_numpy() + slack).all()
            # The bound says something: but for the last moment it is narrow.
            assert (mine["highest"] - mine["lowest"]).iloc[:-1].max() < 0.15
        means = fs.survival.rmst(y, tau=15, group=rows["treated"], weights=weights).table["rmst"]
        of_arms = pooled.arms[
            (pooled.arms["method"] == method) & (pooled.arms["estimand"] == "rmst")
        ]
        assert (of_arms["lowest"].to_numpy() <= means.to_numpy() + 1e-4).all()
        assert (means.to_numpy() <= of_arms["highest"].to_numpy() + 1e-4).all()
        row = pooled.table.set_index(["method", "estimand"]).loc[(method, "rmst")]
        difference = means.iloc[1] - means.iloc[0]
        assert row["lowest"] - 1e-4 <= difference <= row["highest"] + 1e-4
        # The hazard ratio rests on rounded scores; its error is measured, not bounded.
        model = fs.survival.cox(
            y, rows[["treated"]].astype(float), strata=rows["site"], weights=weights,
            robust=weights is not None,
        )  # fmt: skip
        hr = pooled.table.set_index(["method", "estimand"]).loc[(method, "hr"), "estimate"]
        assert abs(np.log(hr) - model.coef.iloc[0]) < 0.1 * model.table["std_error"].iloc[0]


def test_an_exact_site_and_a_coarsened_one_pool_at_common_moments(
    sites: dict[str, pd.DataFrame],
) -> None:
    open_, closed = protocol(), protocol("snds")
    made = [packet(sites["north"], "north", open_), packet(sites["south"], "south", closed)]
    pooled = fs.compare.pool_packets(made, closed)
    moments = set(made[1].risk("unadjusted").table["time"])
    assert set(pooled.curves["time"]) <= moments
    n = made[0].risk("unadjusted").table["n"].sum() + made[1].risk("unadjusted").table["n"].sum()
    assert n == 1500


def test_no_small_count_is_in_a_packet_and_a_planted_leak_is_found(
    sites: dict[str, pd.DataFrame],
) -> None:
    asked = protocol("snds")
    made = [packet(rows, name, asked) for name, rows in sites.items()]
    for one in made:
        assert (one.risk("unadjusted").table["n"] >= 11).all()
        assert "1..10" not in one.preview()
        assert audit(one.outputs, threshold=11).passed
    assert audit([m.outputs for m in made], threshold=11).passed
    # A second packet that also tells how many of the north were treated and lived to a certain week.
    cell = Cell("north", "n", (("ward", "3"),))
    leak = LinearOutputs((Released(cell, 4, 4),))
    content = dict(made[1].content)
    content["outputs"] = leak.to_json()
    with pytest.raises(fs.errors.DisclosureError):
        fs.compare.pool_packets([made[0], fs.compare.SitePacket(content)], asked)


def test_agreement_of_two_packets_is_that_of_independent_patients(
    sites: dict[str, pd.DataFrame],
) -> None:
    asked = protocol()
    a = packet(sites["north"], "north", asked, "private")
    b = packet(sites["south"], "south", asked, "public")
    found = fs.compare.packet_agreement(a, b, asked)
    effects = []
    for rows, weighted in ((sites["north"], False), (sites["south"], True)):
        y = fs.Outcome(rows["time"], rows["event"])
        w = fs.compare.weights(rows[["age"]], rows["treated"]) if weighted else None
        effects.append(fs.compare.effect(y, rows["treated"], measure="rmst", tau=15, weights=w))
    direct = fs.compare.agreement(*effects, margin=2.0)
    assert found["rmst"].p_equivalence == pytest.approx(direct.p_equivalence, rel=1e-10)
    assert found["rmst"].difference == pytest.approx(direct.difference, rel=1e-10)
    assert set(found) == {"hr", "hr_18", "rmst", "alive"}


def test_a_packet_comes_back_as_it_was_written(
    sites: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    asked = protocol("snds")
    one = packet(sites["north"], "north", asked)
    path = tmp_path / "north.packet"
    one.write(path)
    again = fs.compare.SitePacket.read(path, protocol_sha256=PRINT)
    assert again.content == one.content
    text = again.preview()
    assert "SIMULATED" in text
    assert "profile snds" in text
    assert "north" in text


def test_a_packet_that_was_edited_is_refused(
    sites: dict[str, pd.DataFrame], tmp_path: Path
) -> None:
    path = tmp_path / "north.packet"
    packet(sites["north"], "north", protocol("snds")).write(path)
    with pytest.raises(fs.errors.ProtocolError, match="under this protocol"):
        fs.compare.SitePacket.read(path, protocol_sha256="b" * 64)
    content = json.loads(path.read_text(encoding="utf-8"))
    content["methods"][0]["risk"][0]["n"] += 1
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(fs.errors.DataError, match="as the site wrote it"):
        fs.compare.SitePacket.read(path)
    for text, rule in (
        ("{", "must be whole"),
        ("[]", "must be a site packet"),
        (json.dumps(content | {"schema_version": 99}), "newer"),
    ):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(fs.errors.DataError, match=rule):
            fs.compare.SitePacket.read(path)


def test_what_cannot_leave_or_be_pooled_is_refused(sites: dict[str, pd.DataFrame]) -> None:
    asked = protocol("snds")
    rows = sites["north"]
    y = fs.Outcome(rows["time"], rows["event"])
    about: dict[str, Any] = {"site": "north", "role": "public", "protocol_sha256": PRINT}
    late = fs.Outcome(rows["time"] + 1, rows["event"], entry=np.ones(len(rows)))
    with pytest.raises(fs.errors.DisclosureError, match="delayed entry"):
        fs.compare.SitePacket.build(late, rows["treated"], protocol=asked, **about)
    few = fs.Outcome(rows["time"][:30], rows["event"][:30])
    with pytest.raises(fs.errors.DisclosureError):
        fs.compare.SitePacket.build(few, rows["treated"][:30], protocol=asked, **about)
    matched = fs.compare.weights(rows[["age"]], rows["treated"], method="nearest", estimand="att")
    with pytest.raises(fs.errors.DisclosureError, match="subset"):
        fs.compare.SitePacket.build(
            y, rows["treated"], protocol=asked, weights={"iptw": matched}, **about
        )
    with pytest.raises(fs.errors.DataError, match="method=other"):
        fs.compare.SitePacket.build(
            y, rows["treated"], protocol=asked, weights={"other": matched}, **about
        )
    protected = protocol(
        sources=[
            {"name": "a", "label": "-", "role": "private", "description": "-", "protected": True},
            {"name": "b", "label": "-", "role": "public", "description": "-"},
        ]
    )
    with pytest.raises(fs.errors.DisclosureError, match="protected source"):
        fs.compare.SitePacket.build(y, rows["treated"], protocol=protected, **about)
    one, other = packet(rows, "north", asked), packet(sites["south"], "south", asked)
    with pytest.raises(fs.errors.DataError, match="site=north"):
        fs.compare.pool_packets([one, one], asked)
    with pytest.raises(fs.errors.DataError, match="two packets"):
        fs.compare.pool_packets([one], asked)
    foreign = fs.compare.SitePacket(dict(other.content) | {"protocol_sha256": "c" * 64})
    with pytest.raises(fs.errors.ProtocolError, match="one protocol"):
        fs.compare.pool_packets([one, foreign], asked)
    beyond = asked.model_copy(
        update={"estimands": [asked.estimands[2].model_copy(update={"tau": 39.0})]}
    )
    with pytest.raises(fs.errors.DataError, match="last moment|beyond|follow-up"):
        fs.compare.pool_packets([one, other], beyond)


def test_sites_without_a_common_moment_of_an_arm_are_told_so(
    sites: dict[str, pd.DataFrame],
) -> None:
    asked = protocol("snds")
    one, other = (packet(rows, name, asked) for name, rows in sites.items())
    content = json.loads(json.dumps(other.content))
    for row in content["methods"][0]["risk"]:
        row["time"] += 1.0  # between the moments of the other site
    moved = fs.compare.SitePacket(content)
    with pytest.raises(fs.errors.DataError, match=r"that all sites have \(arm=control, sites=2\)"):
        fs.compare.pool_packets([one, moved], asked)
