"""Results appear together or not at all.

A run writes everything into a staging folder, flushed to disk. Publishing then writes a journal that
lists what goes where (from that moment the new results stand) and moves the files. If the machine stops
in between, the next command that touches the study finds the journal and finishes the move; before the
journal, it finds a staging folder that nobody owns and removes it. Either way readers who go through
this package see all of the old results or all of the new.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiac_survival.core.errors import OutputError
from fiac_survival.core.files import flush_to_disk, output_error, write_text
from fiac_survival.study.project import Layout

LOCK = ".run-lock"
STAGING = ".staging"
JOURNAL = ".publishing.json"


@dataclass(frozen=True)
class Place:
    """Where a layout keeps its housekeeping: beside its record."""

    folder: Path

    @property
    def staging(self) -> Path:
        """Folder that a run writes into."""
        return self.folder / STAGING

    @property
    def journal(self) -> Path:
        """List of moves that are under way."""
        return self.folder / JOURNAL


def place_of(layout: Layout) -> Place:
    """Say where a layout keeps its housekeeping.

    Parameters
    ----------
    layout : Layout
        The layout.

    Returns
    -------
    Place
        The folder of its record.
    """
    return Place((layout.base / layout.record).parent)


def _lock_file(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Keep other runs of the same study out, and finish or clear what an earlier one left.

    Parameters
    ----------
    layout : Layout
        Where the run goes.

    Yields
    ------
    None
        The lock is held within the block. If the block fails, what it staged is removed.

    Raises
    ------
    OutputError
        If another run is under way or the folder cannot be written.
    """
    place = place_of(layout)
    handle = _open_lock(place.folder)
    try:
        finish_or_clear(layout)
        try:
            yield
        except BaseException:
            # A failed run leaves nothing; a journal that stands is finished by the next command.
            if not place.journal.exists():
                shutil.rmtree(place.staging, ignore_errors=True)
            raise
    finally:
        with contextlib.suppress(OSError):
            (place.folder / LOCK).unlink()
        os.close(handle)
        with contextlib.suppress(OSError):
            (place.folder / LOCK).unlink(missing_ok=True)
        _remove_if_empty(place.folder)


def _open_lock(folder: Path) -> int:
    """Open and lock the lock file; the system releases it if the process dies."""
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
        except OSError as cause:
            raise output_error(folder, cause) from cause
        try:
            _lock_file(handle)
        except OSError as cause:
            os.close(handle)
            raise OutputError(
                "one run of a study at a time",
                values={"folder": folder},
                remedy="wait for the other run to end",
            ) from cause
        with contextlib.suppress(OSError):
            if os.fstat(handle).st_ino == (folder / LOCK).stat().st_ino:
                return handle
        os.close(handle)  # another run removed the file in between: open the new one


def _remove_if_empty(folder: Path) -> None:
    """Remove folders that a failed run made and left empty."""
    for candidate in (folder, folder.parent):
        try:
            candidate.rmdir()
        except OSError:
            return


def finish_or_clear(layout: Layout) -> None:
    """Finish a publication that was interrupted, or remove a staging folder that nobody owns.

    Parameters
    ----------
    layout : Layout
        Where the run went.
    """
    place = place_of(layout)
    if place.journal.exists():
        _move(layout, json.loads(place.journal.read_text(encoding="utf-8")))
    shutil.rmtree(place.staging, ignore_errors=True)


def recover(layout: Layout) -> None:
    """Finish a publication that was interrupted; leave a run that is under way alone.

    Parameters
    ----------
    layout : Layout
        The layout to be read.
    """
    if place_of(layout).journal.exists():
        with contextlib.suppress(OutputError), exclusive(layout):
            pass


def publish(layout: Layout, artefacts: list[str], stale: list[str]) -> None:
    """Move a staged run to its place.

    Parameters
    ----------
    layout : Layout
        Where it goes. The staging folder has the same paths below it.
    artefacts : list of str
        Paths below ``layout.base``; the record is the last to be moved.
    stale : list of str
        Paths of the earlier run that this one no longer has.

    Raises
    ------
    OutputError
        If a file cannot be written; the earlier results then still stand.
    """
    place = place_of(layout)
    try:
        for name in artefacts:
            flush_to_disk(place.staging / name)
    except OSError as cause:
        raise output_error(layout.base, cause) from cause
    journal = {"moves": artefacts, "removals": stale}
    # Written within the staging folder, so that a kill here leaves nothing elsewhere.
    draft = place.staging / JOURNAL
    write_text(draft, json.dumps(journal, indent=1))
    try:
        draft.replace(place.journal)
    except OSError as cause:
        raise output_error(place.journal, cause) from cause
    _move(layout, journal)
    shutil.rmtree(place.staging, ignore_errors=True)


def _move(layout: Layout, journal: dict[str, Any]) -> None:
    """Carry a journal out; doing so twice changes nothing."""
    place = place_of(layout)
    try:
        for name in journal["moves"]:
            source, target = place.staging / name, layout.base / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
        for name in journal["removals"]:
            (layout.base / name).unlink(missing_ok=True)
        place.journal.unlink(missing_ok=True)
    except OSError as cause:
        raise output_error(layout.base, cause) from cause
