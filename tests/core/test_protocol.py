"""Protocols: unknown keys are refused, names must agree."""

from __future__ import annotations

import re

import pytest

from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.protocol import parse_protocol, read_protocol
from fiac_survival.study.template import FOLDER
from tests.conftest import ROOT

TEMPLATE = (FOLDER / "study.toml.template").read_text(encoding="utf-8").replace("@NAME@", "demo")


def test_template_and_studies_are_valid():
    assert parse_protocol(TEMPLATE).name == "demo"
    for path in (ROOT / "studies").glob("*/study.toml"):
        assert read_protocol(path).name == path.parent.name


@pytest.mark.parametrize(
    ("pattern", "replacement", "says"),
    [
        ("horizon = ", "horizn = ", r"key must be known.*follow_up.horizn.*did you mean 'horizon'"),
        ("^title = ", "titel = ", r"titel.*did you mean 'title'"),
        ('column = "meno"\n', "", r"must not be missing.*eligibility.0.column"),
        ("schema_version = 1", "schema_version = 2", "schema_version"),
        (
            "value = 1\n\n\\[time_zero",
            "value = [1]\n\n[time_zero",
            'list of values goes with operator "in"',
        ),
        ('measure = "rmst"', 'measure = "hazard_ratio"', "tau goes with rmst"),
        ("tau = 1826\n", "", "tau goes with rmst"),
        ("horizon = 1826", "horizon = -1", "greater than 0.*value=-1"),
        ("seed = 1", 'seed = "1"', "seed"),
        ('role = "private"', 'role = "secret"', "'private' or 'public'.*value=secret"),
        ("seed = 1", "seed = = 1", r"valid TOML.*line 6"),
        ('name = "no_hormone"', 'name = "hormone"', "two of the same strategy: hormone"),
    ],
)
def test_refusals(pattern, replacement, says):
    text, changed = re.subn(pattern, replacement, TEMPLATE, count=1, flags=re.MULTILINE)
    assert changed
    with pytest.raises(ProtocolError, match=says):
        parse_protocol(text)


def test_names_must_be_known():
    text = (ROOT / "studies/trial_vs_registry/study.toml").read_text(encoding="utf-8")
    for old, new, says in (
        ('public_method = "iptw"', 'public_method = "iptv"', "unknown method 'iptv'"),
        ('private = "gbsg"', 'private = "gsbg"', "unknown source 'gsbg'"),
        ('covariates = "raw_receptors"\n', 'covariates = "raw"\n', "unknown list of covariates"),
        ('sources = ["rotterdam"]', 'sources = ["delft"]', "unknown source 'delft'"),
    ):
        assert old in text
        with pytest.raises(ProtocolError, match=says):
            parse_protocol(text.replace(old, new, 1))


def test_missing_file(tmp_path):
    with pytest.raises(ProtocolError, match="must exist"):
        read_protocol(tmp_path / "study.toml")
