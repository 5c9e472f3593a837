"""The house: floors, lazy imports, locks, environments, documentation."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import fiac_survival as fs
from tests.conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HEAVY = [
    "matplotlib",
    "statsmodels",
    "sklearn",
    "sksurv",
    "ibis",
    "duckdb",
    "pyspark",
    "lifelines",
    "splink",
]
# conda-forge calls some packages otherwise.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "duckdb": "python-duckdb",
    "ibis-framework": "ibis-duckdb",
    "great-tables": "great_tables",
}


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_is_light():
    assert loaded_after("import fiac_survival").isdisjoint(HEAVY)


def test_help_is_light():
    code = (
        "from typer.testing import CliRunner\nfrom fiac_survival.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert loaded_after(code).isdisjoint(HEAVY)


def test_estimators_load_no_library_of_models():
    code = (
        "import fiac_survival as fs\n"
        "fs.survival.kaplan_meier(fs.Outcome([1, 2], [1, 0]))\n"
        "fs.survival.cox(fs.Outcome([1, 2, 3], [1, 1, 1]), [[1], [0], [1]])"
    )
    assert loaded_after(code).isdisjoint(HEAVY)


def test_subpackages_are_the_namespaces():
    for name in ("cohort", "compare", "datasets", "report", "study", "survival"):
        assert getattr(fs, name) is importlib.import_module(f"fiac_survival.{name}")
    assert set(fs.__all__) <= set(dir(fs))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = fs.nothing
    assert fs.survival.RiskTable is fs.core.risk_table.RiskTable
    assert fs.compare.weights is fs.weighting.weights


# --- locks and environments ---------------------------------------------------------------------


def locked(name: str) -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for line in (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)==([^ ;\\]+)", line)
        if found:
            out.setdefault(found[1].lower(), []).append(found[2])
    return out


@pytest.mark.parametrize("name", ["bootstrap", "reproduce", "test"])
def test_locks(name):
    text = (ROOT / "locks" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "index" not in text.lower().replace("pathspec", "")
    versions = locked(name)
    assert versions
    assert all(len(v) == 1 for v in versions.values())
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_locks_agree_and_meet_the_bounds():
    reproduce, test = locked("reproduce"), locked("test")
    assert set(reproduce) <= set(test)
    for name, versions in reproduce.items():
        assert test[name] == versions
    for name in set(locked("bootstrap")) & set(test):
        assert locked("bootstrap")[name] == test[name]
    for text in PYPROJECT["project"]["dependencies"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(reproduce[requirement.name.lower()][0])


def test_dependencies_have_lower_bounds():
    extras = PYPROJECT["project"]["optional-dependencies"]
    for text in [*PYPROJECT["project"]["dependencies"], *(t for e in extras.values() for t in e)]:
        requirement = Requirement(text)
        if requirement.name == "fiac_survival":
            continue
        assert any(s.operator == ">=" for s in requirement.specifier), text


def test_conda_environment_says_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = {}
    for line in environment["dependencies"]:
        if isinstance(line, str):
            name, _, bounds = line.partition(" ")
            conda[name] = set(filter(None, bounds.replace(" ", "").split(",")))
    python = conda.pop("python")
    assert python == set(PYPROJECT["project"]["requires-python"].split(","))
    conda.pop("pip")
    expected = {}
    wanted = PYPROJECT["project"]["dependencies"]
    wanted = wanted + PYPROJECT["project"]["optional-dependencies"]["notebooks"]
    for text in wanted:
        requirement = Requirement(text)
        name = CONDA_NAMES.get(requirement.name, requirement.name)
        expected[name] = {str(s) for s in requirement.specifier}
    assert conda == expected


# --- files --------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"], capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        pytest.skip("not in a git repository")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_file_names_a_place_of_one_machine():
    wrong = re.compile(r"(?<![A-Za-z0-9_.])/(work|root|home/\w+)/")
    for path in tracked():
        if path.suffix in {".png", ".pdf", ".svg"} or path.name == "LICENSE":
            continue
        assert not wrong.search(path.read_text(encoding="utf-8")), path


def python_files(*folders: str) -> list[Path]:
    return [p for folder in folders for p in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("path", python_files("fiac_survival"), ids=lambda p: p.stem)
def test_files_have_one_subject(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    # Kernels that call each other must stand in one file; the protocol is one model.
    longer = {"kernels": 560, "protocol.py": 500}
    limit = longer.get(path.parent.name, longer.get(path.name, 420))
    assert lines <= limit, f"{path}: {lines} lines"


def test_every_open_says_its_encoding():
    for path in python_files("fiac_survival", "studies", "benchmarks"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in {"read_text", "write_text"} and not _is_ours(node):
                assert any(k.arg == "encoding" for k in node.keywords), (path, node.lineno)


def _is_ours(node: ast.Call) -> bool:
    return (
        isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id == "files")
    )


# --- documentation ------------------------------------------------------------------------------


def public() -> list[tuple[str, object]]:
    out = [("Outcome", fs.Outcome)]
    for module in (fs.survival, fs.compare, fs.cohort, fs.datasets):
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                out.append((f"{module.__name__}.{name}", value))
    return out


@pytest.mark.parametrize(("name", "value"), public(), ids=[name for name, _ in public()])
def test_public_functions_are_documented(name, value):
    from numpydoc.docscrape import FunctionDoc

    document = FunctionDoc(inspect.unwrap(value)) if inspect.isfunction(value) else None
    text = inspect.getdoc(value)
    assert text
    assert ">>> " in text, f"{name}: no example"
    assert "Raises" in text or name.endswith("names"), f"{name}: no errors"
    if document is not None:
        parameters = list(inspect.signature(inspect.unwrap(value)).parameters)
        written = [n.strip() for p in document["Parameters"] for n in p.name.split(",")]
        assert written == parameters, f"{name}: {written} != {parameters}"
        assert document["Returns"]


def test_modules_that_compute_open_with_what_they_compute():
    for path in python_files(
        "fiac_survival/survival", "fiac_survival/weighting", "fiac_survival/compare"
    ):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        assert text, path


def test_citation_and_changelog_name_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == fs.__version__
    assert citation["license"] == PYPROJECT["project"]["license"]
    assert f"## {fs.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_published_records_are_of_these_studies():
    for path in (ROOT / "studies").glob("*/record.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        from fiac_survival.core.protocol import protocol_hash

        assert record["protocol_sha256"] == protocol_hash(path.parent / "study.toml")
