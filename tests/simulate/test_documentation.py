"""docs/simulation.md shows what the calibration functions give."""

from __future__ import annotations

import pandas as pd

import fiac_survival as fs
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "simulation.md"


def markdown(table: pd.DataFrame) -> str:
    """Calibration table as it stands in the page."""
    kind = "kind" in table
    lines = [
        f"| figure | published | simulated | error |{' kind |' if kind else ''} source |",
        f"|---|---|---|---|{'---|' if kind else ''}---|",
    ]
    for row in table.itertuples():
        published = f"{row.published:.10g}"
        error = f"{100 * row.relative_error:+.0f} %".replace("-0 %", "+0 %")
        cells = [row.figure, published, f"{row.simulated:.3g}", error]
        cells += [row.kind] if kind else []
        lines.append(f"| {' | '.join([*cells, row.source])} |")
    return "\n".join(lines)


def test_the_page_shows_what_is_simulated(programmes):
    text = PAGE.read_text(encoding="utf-8")
    for found in (
        fs.simulate.myeloma_calibration(fs.simulate.myeloma_lines(200_000, seed=1)),
        fs.simulate.lung_calibration(programmes),
    ):
        table = markdown(found)
        missing = [line for line in table.splitlines() if line not in text]
        assert not missing, f"put these lines into docs/simulation.md:\n{table}"
