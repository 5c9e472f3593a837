"""Reporting checklists: every item, nothing that the protocol does not say, nothing that is not there."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

import fiac_survival as fs
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.protocol import parse_protocol
from fiac_survival.core.released import read_table
from fiac_survival.core.reporting import Standard
from fiac_survival.study.checklist import STATUSES, read_checklist, reporting_checklist
from fiac_survival.study.checklist_answers import WRITTEN_IN, Released, answers
from fiac_survival.study.template import FOLDER
from tests.conftest import ROOT
from tests.study.test_release import PROTECTED, SAFE, SNDS, edit

TEMPLATE = (FOLDER / "study.toml.template").read_text(encoding="utf-8").replace("@NAME@", "demo")
STANDARDS = get_args(Standard)
RUN = Released({"attrition": "Attrition", "effect": ""}, {"survival": "Curves."}, findings=True)


def protocol(reporting: str = ""):
    return parse_protocol(TEMPLATE + f"\n[reporting]\n{reporting}\n")


def rows(reporting: str = "", standard: Standard = "target", released: Released | None = RUN):
    found = reporting_checklist(protocol(reporting), standard=standard, released=released)
    return found.table.set_index("number")


# --- the checklists -----------------------------------------------------------------------------


def test_target_has_21_items():
    numbers = [item.number for item in read_checklist("target").items]
    assert len(set(numbers)) == len(numbers) == 39
    assert [int(re.match(r"\d+", n)[0]) for n in numbers] == sorted(
        int(re.match(r"\d+", n)[0]) for n in numbers
    )
    assert {int(re.match(r"\d+", n)[0]) for n in numbers} == set(range(1, 22))
    # The trial and its emulation are said part by part.
    assert {n[1:2] for n in numbers if n.startswith("6")} == {
        n[1:2] for n in numbers if n.startswith("7")
    }


def test_record_pe_extends_strobe_and_record():
    items = read_checklist("record_pe").items
    assert Counter(i.origin for i in items) == {"STROBE": 34, "RECORD": 13, "RECORD-PE": 15}
    strobe = [i.number for i in items if i.origin == "STROBE"]
    assert {int(re.match(r"\d+", n)[0]) for n in strobe} == set(range(1, 23))
    for item in items:
        assert bool(item.extends) == (item.origin != "STROBE"), item.number
        base = re.match(r"\d+", item.number)[0]
        assert re.match(r"\d+", item.extends or base)[0] == base


@pytest.mark.parametrize("standard", STANDARDS)
def test_every_item_can_be_answered(standard):
    always = set(answers(protocol(), None))
    for item in read_checklist(standard).items:
        assert item.needs, item.number
        assert set(item.needs) | set(item.also) <= always | set(WRITTEN_IN) | {"own"}, item.number
    about = read_checklist(standard)
    assert "doi:" in about.source
    assert about.checked


def test_an_unknown_checklist():
    with pytest.raises(DataError, match="must be known .standard=consort, known=target"):
        read_checklist("consort")


# --- filling them -------------------------------------------------------------------------------


def test_what_the_protocol_does_not_say_is_missing():
    table = rows(released=None)
    for number in ("2", "4", "9", "13", "15", "17", "18", "19", "20", "21"):
        assert table.loc[number, "status"] == "missing", number
        assert table.loc[number, ["where", "answer"]].tolist() == ["", ""]
        assert table.loc[number, "lacks"]
    assert table.loc["17", "lacks"] == "[reporting] ethics"
    assert table.loc["15", "lacks"] == "study.summary(...) in analysis.py"


def test_the_protocol_answers():
    table = rows()
    said = protocol()
    assert table.loc["3", "answer"] == said.question
    assert table.loc["6a", "answer"] == "Postmenopausal."
    assert table.loc["7a", "answer"] == "In this order: Postmenopausal: meno == 1."
    assert table.loc["7b", "answer"] == (
        "Hormone therapy: hormon is 1; No hormone therapy: hormon is 0."
    )
    assert "rmst at 1826 days, equivalence margin 60" in table.loc["7f", "answer"]
    assert table.loc["15", "status"] == "answered"
    assert table.loc["16", "answer"] == "1 limit, listed in the report."


def test_records_are_said_in_words():
    study = fs.study.load("lung_early_access", project=ROOT).protocol
    table = reporting_checklist(study).table.set_index("number")
    assert table.loc["7d", "answer"].startswith(
        "The first such record: record in exposure (drugs durvalumab), from 2017-10-01 to 2018-12-31"
    )
    assert "sessions >= 2 (claims)" in table.loc["7a", "answer"]
    assert table.loc["7e", "answer"] == "Death: date in column death."
    wide = reporting_checklist(study, standard="record_pe").table.set_index("number")
    assert (
        "number of days with one, record in event (events chemotherapy session)"
        in (wide.loc["8", "answer"])
    )


def test_part_of_an_answer():
    table = rows('data_access = "On request."')
    assert table.loc["19", ["status", "answer", "lacks"]].tolist() == [
        "partly",
        "On request.",
        "[reporting] code_access",
    ]
    table = rows('data_access = "On request."\ncode_access = "With the paper."')
    assert table.loc["19", "answer"] == "On request. With the paper."
    assert table.loc["19", "status"] == "answered"
    # Words of one's own on an item that asks for something else answer a part of it.
    table = rows('[reporting.answers.target]\n9 = "They were old."')
    assert table.loc["9", ["status", "answer", "lacks"]].tolist() == [
        "partly",
        "They were old.",
        "[reporting.shown] baseline",
    ]


def test_what_does_not_apply_has_a_reason():
    table = rows('[reporting.not_applicable.target]\n6c = "one strategy"')
    assert table.loc["6c", ["status", "answer", "lacks"]].tolist() == [
        "not applicable",
        "One strategy.",
        "",
    ]
    found = reporting_checklist(protocol(), standard="target")
    assert sum(found.counts.values()) == 39
    assert tuple(found.counts) == STATUSES


def test_tables_and_figures_must_be_there():
    shown = '[reporting.shown]\nselection = ["attrition", "survival"]'
    table = rows(shown, "record_pe")
    assert table.loc["13a", "where"] == "results/attrition.csv, figure survival"
    assert table.loc["13a", "answer"] == "Attrition."
    assert table.loc["13c", "where"] == "figure survival"
    assert rows('[reporting.shown]\nselection = ["attrition"]', "record_pe").loc[
        "13c", "status"
    ] == ("missing")
    with pytest.raises(ProtocolError, match="must name tables and figures.*part=selection.*flow"):
        rows('[reporting.shown]\nselection = ["flow"]')
    unchecked = rows('[reporting.shown]\nselection = ["flow"]', released=None)
    assert unchecked.loc["8", "answer"] == "Named in the protocol, not held against a run."


@pytest.mark.parametrize(
    ("reporting", "says"),
    [
        ('ethic = "none"', r"reporting.ethic\b.*did you mean 'ethics'"),
        ('checklists = ["target", "target"]', "two of the same checklist: target"),
        ('checklists = ["consort"]', "'target' or 'record_pe'"),
        ('[reporting.shown]\nselction = ["a"]', "did you mean 'selection'"),
        ("[reporting.shown]\nselection = []", "at least 1 item"),
        (
            '[reporting.answers.target]\n6c = "a"\n[reporting.not_applicable.target]\n6c = "b"',
            "item 6c of target has an answer and does not apply",
        ),
    ],
)
def test_a_protocol_that_breaks_a_rule(reporting, says):
    with pytest.raises(ProtocolError, match=says):
        protocol(reporting)


@pytest.mark.parametrize("place", ["answers", "not_applicable"])
def test_items_must_be_known(place):
    with pytest.raises(ProtocolError, match=rf"reporting.{place}.target.*item=7.1.a"):
        rows(f'[reporting.{place}.target]\n"7.1.a" = "text"')


# --- in a run -----------------------------------------------------------------------------------


def add(project: Path, reporting: str) -> None:
    path = project / "studies/demo/study.toml"
    path.write_text(
        path.read_text(encoding="utf-8") + f"\n[reporting]\n{reporting}\n", encoding="utf-8"
    )


ASKED = 'checklists = ["target", "record_pe"]\nethics = "<b>None</b> needed."\n'
SHOWN = '[reporting.shown]\nselection = ["attrition"]\neffects = ["effect"]\n'


def test_a_run_releases_them(project):
    add(project, ASKED + SHOWN)
    layout = fs.study.load("demo", project=project).run()
    for standard in STANDARDS:
        table = read_table(layout.base / layout.results / f"checklist_{standard}.csv")
        assert len(table) == len(read_checklist(standard).items)
    target = read_table(layout.base / layout.results / "checklist_target.csv")
    target = target.set_index("number")
    assert target.loc["13", "where"] == "results/effect.csv"
    assert target.loc["1c", "status"] == "partly"
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert 'id="reporting-checklists"' in page
    assert 'id="table-checklist_target"' in page
    assert "&lt;b&gt;None&lt;/b&gt; needed" in page
    assert page.count("item-missing") >= (target["status"] == "missing").sum()
    assert fs.study.load("demo", project=project).verify(rerun=True).status.name == "IDENTICAL"


def test_a_wrong_name_is_found_and_nothing_is_published(project):
    add(project, ASKED + '[reporting.shown]\nselection = ["flow"]\n')
    with pytest.raises(ProtocolError, match="name=flow"):
        fs.study.load("demo", project=project).run()
    assert not (project / "studies/demo/results").exists()


def test_the_name_of_a_checklist_may_not_be_taken(project):
    add(project, ASKED)
    path = project / "studies/demo/analysis.py"
    text = path.read_text(encoding="utf-8").replace('"effect", found', '"checklist_target", found')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ProtocolError, match="a name of its own.*checklist_target"):
        fs.study.load("demo", project=project).run()


def test_checklists_leave_a_guarded_study_and_are_to_be_read(project):
    edit(project, PROTECTED, SNDS)
    (project / "studies/demo/analysis.py").write_text(SAFE, encoding="utf-8")
    add(project, ASKED + SHOWN)
    study = fs.study.load("demo", project=project)
    layout = study.run()
    assert (layout.base / layout.results / "checklist_target.csv").is_file()
    # The analysis has one paragraph; the section and both checklists have the authors' words too.
    assert study.record()["disclosure"]["texts_to_read"] == 4


@pytest.mark.parametrize("name", ["lung_early_access", "myeloma_sequences"])
def test_studies_name_what_they_release(name):
    study = fs.study.load(name, project=ROOT)
    paths = [Path(a["path"]) for a in study.record()["artefacts"]]
    tables = {p.stem: "" for p in paths if p.parent.name == "results" and p.suffix == ".csv"}
    figures = {p.stem: "" for p in paths if p.suffix == ".svg"}
    released = Released(tables, figures, findings=True)
    for standard in study.protocol.reporting.checklists:
        found = reporting_checklist(study.protocol, standard=standard, released=released)
        assert found.counts["answered"] > found.counts["partly"]
        # Nobody paid and nothing was registered: the checklists must not say otherwise.
        lacks = " ".join(found.table["lacks"])
        assert "[reporting] funding" in lacks
