"""The page that says what verification found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fiac_survival.core.files import write_text
from fiac_survival.report.page import verification_page
from fiac_survival.study.record import threads, versions
from fiac_survival.study.verification import Verification


def write_page(found: list[Verification], target: Path, *, rerun: bool) -> Path:
    """Write the page.

    Parameters
    ----------
    found : list of Verification
        One a study.
    target : Path
        Folder.
    rerun : bool
        Whether studies were run again.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    here = threads()
    summary: dict[str, Any] = {
        "What was done": "studies were run again and compared with what was published"
        if rerun
        else "published files were held against their recorded fingerprints, and figures drawn again "
        "from their tables",
        "Tolerance": "numbers within 1e-9 of each other count as WITHIN TOLERANCE",
        "Threads here": f"Numba {here['numba']}, BLAS {here['blas']}",
    }
    summary |= {f"{name} here": number for name, number in versions().items()}
    page = target / "verification.html"
    write_text(page, verification_page("Verification", found, summary))
    return page
