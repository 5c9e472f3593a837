"""Pages: self-contained, escaped, readable by keyboard, and showing the numbers of the tables."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

import fiac_survival as fs
from fiac_survival.core.released import read_table
from fiac_survival.report.tables import displayed, html_table, number
from tests.conftest import ROOT
from tests.study.test_run import demo

HOSTILE = '<script>alert("x")</script><img src=x onerror=alert(1)>'


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.6774, 3, "0.677"),
        (-0.05, 2, "\u22120.05"),
        (-0.0001, 2, "0.00"),
        (2982.0, 0, "2\u202f982"),
        (1234567.0, 0, "1\u202f234\u202f567"),
        (float("nan"), 2, "\u2013"),
        (0.000123456, None, "0.0001235"),
        (1546.0, None, "1\u202f546"),
        (-4321.0, None, "\u22124\u202f321"),
    ],
)
def test_numbers_for_readers(value, digits, text):
    assert number(value, digits) == text


def test_tables_are_escaped():
    html = html_table("t", pd.DataFrame({HOSTILE: [HOSTILE], "n": [1]}))
    assert "<script>alert" not in html
    assert "<img src=x" not in html
    assert "&lt;script&gt;" in html


def test_tables_show_what_was_asked_for():
    table = pd.DataFrame({"a": [0.12345, 2.0], "b": [True, False], "c": ["x", None], "d": [1, 2]})
    shown = displayed(table, columns={"a": "A", "b": "B", "c": "C"}, digits={"a": 2})
    assert shown.to_numpy().tolist() == [["0.12", "yes", "x"], ["2.00", "no", ""]]


def test_text_from_data_and_protocol_is_escaped(project):
    toml = project / "studies/demo/study.toml"
    text = toml.read_text(encoding="utf-8")
    quoted = HOSTILE.replace('"', '\\"')
    text = text.replace('title = "Hormone', f'title = "{quoted}Hormone')
    text = text.replace('label = "Postmenopausal"', f'label = "{quoted}"')
    toml.write_text(text, encoding="utf-8")
    layout = demo(project).run()
    page = (layout.base / layout.report).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert page.count("&lt;script&gt;") >= 3


def published_report() -> Path:
    return ROOT / "studies/trial_vs_registry/report.html"


def test_reports_ask_for_nothing():
    page = published_report().read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']+""", page)
    assert "<script" not in page
    assert "@import" not in page
    assert not re.findall(r"url\((?!data:)", page)


# --- in a browser -------------------------------------------------------------------------------


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
        tab.asked = []
        tab.complaints = []
        tab.on("request", lambda request: tab.asked.append(request.url))
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        yield tab
        browser.close()


def cells(page, name: str) -> list[list[str]]:
    """Text of a table on the page, row by row; rows that head a group have one cell."""
    return page.eval_on_selector_all(
        f"#table-{name} tbody tr",
        "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))",
    )


def shown_tables(analysis: Path) -> list[str]:
    page_text = (analysis.parent / "report.html").read_text(encoding="utf-8")
    return re.findall(r'<div id="table-([a-z0-9_]+)"', page_text)


@pytest.mark.browser
def test_report_in_a_browser(page):
    path = published_report()
    page.asked.clear()
    page.goto(path.as_uri())
    outside = [url for url in page.asked if not url.startswith(("file:", "data:"))]
    assert outside == []
    assert page.complaints == []
    assert page.evaluate("document.documentElement.lang") == "en"
    # Every picture is there and has a description.
    pictures = page.eval_on_selector_all(
        "img", "all => all.map(i => [i.complete && i.naturalWidth > 0, i.alt.length > 10])"
    )
    assert len(pictures) == 7
    assert all(loaded and described for loaded, described in pictures)
    # No horizontal overflow of the page itself.
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_numbers_on_the_page_are_those_of_the_tables(page):
    path = published_report()
    page.goto(path.as_uri())
    names = shown_tables(path.parent / "analysis.py")
    assert {"attrition", "hazard_ratios_conventional", "agreement", "verdicts", "gates"} <= set(
        names
    )
    compared = 0
    for name in names:
        table = read_table(path.parent / "results" / f"{name}.csv")
        rows = [row for row in cells(page, name) if len(row) > 1]
        assert len(rows) == len(table)
        for row, (_, released) in zip(rows, table.iterrows(), strict=True):
            numbers = [
                v for v in released if isinstance(v, int | float) and not isinstance(v, bool)
            ]
            for text in row:
                plain = text.replace("\u2212", "-").replace("\u202f", "")
                if not re.fullmatch(r"-?\d+(\.\d+)?", plain):
                    continue
                digits = len(plain.partition(".")[2])
                near = min(abs(float(plain) - v) for v in [*numbers, *_in_text(released)])
                assert near <= 0.5000001 * 10.0**-digits, (name, text, released.to_dict())
                compared += 1
    assert compared > 200


def _in_text(row) -> list[float]:
    """Numbers within cells that are text, such as "12 (3.4 %)"."""
    return [
        float(found)
        for value in row
        if isinstance(value, str)
        for found in re.findall(r"-?\d+(?:\.\d+)?", value)
    ]


@pytest.mark.browser
def test_hazard_ratios_of_the_benchmark_are_on_the_page(page):
    page.goto(published_report().as_uri())
    rows = [row for row in cells(page, "hazard_ratios_conventional") if len(row) > 1]
    shown = {tuple(row[2:]) for row in rows}
    assert {
        ("0.695", "0.544", "0.888"),
        ("0.842", "0.722", "0.982"),
        ("0.677", "0.547", "0.836"),
        ("0.758", "0.646", "0.889"),
    } <= shown


@pytest.mark.browser
def test_keyboard_and_print(page, tmp_path):
    page.goto(published_report().as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.goto(published_report().as_uri())
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.tagName"))
    assert {"A", "DIV", "SUMMARY"} <= reached
    page.focus("summary")
    page.keyboard.press("Enter")
    assert page.evaluate("document.querySelector('details').open")
    page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert (tmp_path / "report.pdf").stat().st_size > 50_000


@pytest.mark.browser
def test_a_checklist_on_the_page(page, project):
    path = project / "studies/demo/study.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text + '\n[reporting]\nchecklists = ["target"]\n', encoding="utf-8")
    layout = demo(project).run()
    table = read_table(layout.base / layout.results / "checklist_target.csv")
    page.goto((layout.base / layout.report).as_uri())
    assert not page.is_visible("#table-checklist_target")
    page.focus("details.checklist summary")
    page.keyboard.press("Enter")
    assert page.is_visible("#table-checklist_target")
    rows = [row for row in cells(page, "checklist_target") if len(row) > 1]
    assert [[row[0], row[2].lower()] for row in rows] == table[
        ["number", "status"]
    ].to_numpy().tolist()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_verification_page(page, project):
    from typer.testing import CliRunner

    from fiac_survival.cli import app

    fs.study.load("demo", project=project).run()
    result = CliRunner().invoke(app, ["--project", str(project), "verify", "demo", "--quiet"])
    assert result.exit_code != 0  # options of the program stand before the command
    result = CliRunner().invoke(app, ["--quiet", "--project", str(project), "verify", "demo"])
    assert result.exit_code == 0
    page.asked.clear()
    page.goto((project / "reproduced/verification.html").as_uri())
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.text_content("#status-demo") == "IDENTICAL"
    found = page.eval_on_selector_all(
        "tbody tr", "rows => rows.map(r => [r.cells[0].innerText, r.cells[2].innerText])"
    )
    assert len(found) == 7
    assert {status for _, status in found} == {"IDENTICAL"}
