"""Packets of a study's sites, made from its analysis and pooled into a run of its own."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, OutputError, ProtocolError
from fiac_survival.core.files import sha256
from fiac_survival.core.released import read_table
from tests.conftest import ROOT

SITES = ("gbsg", "rotterdam")


def study(root=ROOT):
    return fs.study.load("trial_vs_registry", project=root)


pytestmark = pytest.mark.slow  # packets themselves: tests/compare/test_packets.py


@pytest.fixture(scope="module")
def packets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packets")
    for site in SITES:
        study().packet(site).write(folder / f"{site}.packet")
    return [folder / f"{site}.packet" for site in SITES]


@pytest.fixture(scope="module")
def pooled(packets, tmp_path_factory):
    layout = study().run_packets(packets, out=tmp_path_factory.mktemp("pooled"))
    return layout.base


def test_estimates_of_the_sites_are_the_published_ones(pooled):
    mine = read_table(pooled / "results/site_estimates.csv")
    published = read_table(ROOT / "studies/trial_vs_registry/results/effects.csv")
    published = published[published["weight_variance"].isin(["none", "estimated"])]
    both = mine.merge(
        published,
        left_on=["site", "method", "estimand"],
        right_on=["source", "method", "estimand"],
        suffixes=("", "_published"),
        validate="one_to_one",
    )
    assert len(both) == len(mine) > 60
    for column in ("estimate", "std_error", "lower", "upper"):
        np.testing.assert_allclose(both[column], both[f"{column}_published"], rtol=1e-8)


def test_agreement_is_the_published_one(pooled):
    mine = read_table(pooled / "results/agreement.csv").set_index("estimand")
    published = read_table(ROOT / "studies/trial_vs_registry/results/agreement.csv")
    published = published[published["primary"]].set_index("estimand").loc[mine.index]
    for column in ("standardised_difference", "p_equivalence", "minimum_detectable_difference"):
        np.testing.assert_allclose(mine[column], published[column], rtol=1e-7)
    assert set(read_table(pooled / "results/verdicts.csv")["estimand"]) == set(mine.index)


def test_curves_are_those_of_all_rows(pooled):
    curves = read_table(pooled / "results/pooled_curves.csv")
    assert (curves["lowest"] == curves["highest"]).all()  # the profile is "none": nothing was moved
    rows = [study_rows(site) for site in SITES]
    time = np.concatenate([y.time for y, _ in rows])
    event = np.concatenate([y.event for y, _ in rows])
    arm = np.concatenate([np.where(t, "treated", "control") for _, t in rows])
    km = fs.survival.kaplan_meier(fs.Outcome(time, event), group=arm).table
    mine = curves[curves["method"] == "unadjusted"]
    np.testing.assert_allclose(mine["survival"], km["survival"], rtol=1e-9)
    drawn = read_table(pooled / "figures/pooled_curves.csv")
    start = drawn[drawn["time"] == 0].groupby(["panel", "arm"])["n_risk"].first()
    assert start.groupby("panel").sum().tolist() == [686 + 1546] * 2
    at = drawn[(drawn["panel"] == "Unadjusted") & (drawn["time"] == 30)].set_index("arm")
    for name in ("treated", "control"):
        here = arm == name
        assert at.loc[name, "n_risk"] == (time[here] >= 30).sum()
        assert at.loc[name, "n_event"] == (event[here & (time <= 30)] > 0).sum()


def study_rows(site):
    card = fs.datasets.load(site).frame
    if site == "rotterdam":
        card = card[card["nodes"] > 0]
        days = card["rtime"].where(card["recur"] == 1, card["dtime"])
        late = (card["recur"] == 0) & (card["death"] == 1) & (card["rtime"] < card["dtime"])
        days = days.where(~late, card["rtime"])
        event = ((card["recur"] == 1) | (card["death"] == 1)) & ~late
    else:
        days, event = card["rfstime"], card["status"] == 1
    return fs.Outcome(days / 30.4375, event), card["hormon"].to_numpy() == 1


def test_the_record_names_packets_and_no_rows(pooled, packets):
    record = json.loads((pooled / "record.json").read_text(encoding="utf-8"))
    assert [d["source"] for d in record["data"]] == list(SITES)
    assert [d["sha256"] for d in record["data"]] == [sha256(p) for p in packets]
    assert all(d["rows"] is None for d in record["data"])
    assert record["engine"] == "none: site packets"


def changed(tmp_path, change):
    """A project with a changed copy of the study."""
    folder = tmp_path / "project" / "studies" / "trial_vs_registry"
    folder.mkdir(parents=True)
    for name in ("study.toml", "analysis.py"):
        shutil.copy(ROOT / "studies/trial_vs_registry" / name, folder / name)
    for name, old, new in change:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    return study(tmp_path / "project")


def test_under_a_profile_that_protects(tmp_path):
    protected = [
        ("study.toml", 'profile = "none"', 'profile = "snds"\nevery = 24.0'),
        ("study.toml", "tau = 60", "tau = 36"),
    ]
    mine = changed(tmp_path, protected)
    paths = []
    for site in SITES:
        packet = mine.packet(site)
        assert (packet.risk("unadjusted").table["n"] >= 11).all()
        packet.write(tmp_path / f"{site}.packet")
        paths.append(tmp_path / f"{site}.packet")
    base = mine.run_packets(paths, out=tmp_path / "out").base
    table = read_table(base / "results/pooled.csv")
    bounded = table[table["measure"] != "hazard_ratio"]
    assert (bounded["lowest"] < bounded["highest"]).all()
    drawn = read_table(base / "figures/pooled_curves.csv")
    assert drawn["survival"].between(0, 1).all()
    assert pd.read_csv(base / "results/pooled_curves.csv")["time"].isin([48, 72]).all()
    # A packet made under the protocol as published does not go with these.
    study().packet("gbsg").write(tmp_path / "other.packet")
    with pytest.raises(ProtocolError, match="under this protocol"):
        mine.run_packets([tmp_path / "other.packet", paths[1]], out=tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_what_is_refused(tmp_path, packets):
    with pytest.raises(OutputError, match="must not replace"):
        fs.compare.SitePacket.read(packets[0]).write(packets[1], replace=False)
    with pytest.raises(DataError, match="two packets"):
        study().run_packets(packets[:1], out=tmp_path)
    with pytest.raises(ProtocolError, match="source"):
        study().packet("elsewhere")
    without = changed(tmp_path, [("analysis.py", "def site_rows", "def rows_of_a_site")])
    with pytest.raises(ProtocolError, match="must define site_rows"):
        without.packet("gbsg")
