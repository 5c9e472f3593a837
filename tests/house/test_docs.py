"""The examples of the documentation give what the pages say."""

from __future__ import annotations

import doctest
import re
import shlex

import pytest
from typer.testing import CliRunner

from fiac_survival.cli import app
from tests.conftest import ROOT

PAGES = sorted(p for p in (ROOT / "docs").glob("*.md") if ">>> " in p.read_text(encoding="utf-8"))


def test_pages_with_examples():
    assert {p.stem for p in PAGES} >= {"tutorial", "formulary"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_examples(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert found.attempted >= 5
    assert found.failed == 0


def test_commands_of_the_tutorial(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    commands = re.findall(r"^ +\$ fiac (.+)$", text, flags=re.MULTILINE)
    assert [shlex.split(c)[0] for c in commands] == ["init", "run", "verify"]
    for command in commands:
        done = CliRunner().invoke(app, shlex.split(command))
        assert done.exit_code == 0, done.output
    assert (tmp_path / "studies/my_study/report.html").is_file()
