"""Files are written whole or not at all.

A file is written under a temporary name in the same folder, flushed to disk and then renamed, so
that a reader, or a run after a power cut, sees the old file or the new one and never a part.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from fiac_survival.core.errors import DataError, FiacError, OutputError


def output_error(path: Path, cause: OSError) -> OutputError:
    """Explain why a path cannot be written.

    Parameters
    ----------
    path : Path
        What should have been written.
    cause : OSError
        What the operating system said.

    Returns
    -------
    OutputError
        To be raised from `cause`.
    """
    remedies = {
        errno.ENOSPC: "free disk space, then run again; what stood there before still stands",
        errno.EDQUOT: "free disk space, then run again; what stood there before still stands",
        errno.EACCES: "choose a folder that you may write to",
        errno.EPERM: "choose a folder that you may write to",
        errno.EROFS: "choose a folder on a writable disk",
        errno.ENOTDIR: "choose a path whose parents are folders",
    }
    return OutputError(
        "the output must be writable",
        values={"path": path, "reason": cause.strerror or str(cause)},
        remedy=remedies.get(cause.errno or 0, "check the path and the disk"),
    )


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path that becomes `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The final name; its folder is made if missing.

    Yields
    ------
    Path
        A name in the same folder to write to.

    Raises
    ------
    OutputError
        If the folder cannot be written or the disk is full; the temporary file is removed and what
        stood at `path` still stands.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_path(folder / "a.txt") as temporary:
    ...     _ = temporary.write_text("whole", encoding="utf-8")
    >>> (folder / "a.txt").read_text(encoding="utf-8")
    'whole'
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=f".tmp{path.suffix}", dir=path.parent)
        temporary = Path(name)
        os.close(handle)
        yield temporary
        flush_to_disk(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as cause:
        raise output_error(path, cause) from cause
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make sure that a file's content has reached the disk.

    Parameters
    ----------
    path : Path
        An existing file.
    """
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all.

    Parameters
    ----------
    path : Path
        Where.
    content : bytes
        What.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    r"""Write a UTF-8 text with "\n" line ends, whole or not at all.

    Parameters
    ----------
    path : Path
        Where.
    content : str
        What.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    write_bytes(path, content.encode("utf-8"))


def read_text(path: Path, error: type[FiacError] = DataError) -> str:
    """Read a UTF-8 text.

    Parameters
    ----------
    path : Path
        Which file.
    error : FiacError class, default DataError
        What to raise if it is not there.

    Returns
    -------
    str
        Its content.

    Raises
    ------
    FiacError
        If the file is missing or unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise error(
            "the file must exist and be readable",
            values={"path": path, "reason": reason},
            remedy="check the path",
        ) from cause


def sha256(path: Path) -> str:
    """Fingerprint of a file.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_text(text: str) -> str:
    """Fingerprint of a text.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> sha256_text("abc")[:8]
    'ba7816bf'
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
