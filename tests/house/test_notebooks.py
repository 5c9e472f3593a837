"""Notebooks run from top to bottom."""

from __future__ import annotations

import ast

import jupytext
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
LONG = {"ebmt4_real_course", "multistate_ebmt4", "myeloma_sequences", "treatment_sequences"}
RUN = [pytest.param(p, marks=pytest.mark.slow if p.stem in LONG else ()) for p in NOTEBOOKS]


@pytest.mark.parametrize("path", RUN, ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
def test_notebooks_run(path):
    notebook = jupytext.read(path)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}
    ).execute()
    outputs = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.outputs]
    assert len(outputs) >= 5


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_define_nothing(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
    assert not [node for node in ast.walk(tree) if isinstance(node, kinds)]
