"""Compiled kernels kept between processes, safely.

Numba's own store has two faults that end in wrong numbers or an abort, not in an error message:

* Its data files are numbered. Two processes that compile the same kernel for different types at
  the same moment both write number 1, and the index that is written last may name the other's
  machine code: arrays of integers are then read as floating-point numbers.
* It looks at the age of the kernel's own file only. A kernel with another file's kernel or constant
  compiled into it goes on with the old one after an update.

Here each kernel and set of types has a file of its own, named by both; the file says what it was
made from (all sources of this package, the version of Numba, the processor) and is compiled anew if
that differs. Files are written under a temporary name and renamed, so that no reader sees half of one.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.serialize import dumps


@cache
def sources() -> str:
    """Say what all kernels are made from.

    Returns
    -------
    str
        SHA-256 of the version of Numba and of every source file of this package.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class KernelFiles:
    """One file for each kernel and set of types; there is no index.

    Parameters
    ----------
    folder : Path
        Folder of the files.
    base : str
        How the names of this kernel's files begin.
    """

    def __init__(self, folder: Path, base: str) -> None:
        self._folder = folder
        self._base = base

    def _file(self, key: object) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
        return self._folder / f"{self._base}.{name}.nbc"

    @staticmethod
    def _origin(key: object) -> bytes:
        return f"{sources()} {key!r}\n".encode()

    def flush(self) -> None:
        """Remove the files of this kernel."""
        for path in self._folder.glob(f"{self._base}.*.nbc"):
            path.unlink(missing_ok=True)

    def save(self, key: object, data: object) -> None:
        """Keep a compiled kernel.

        Parameters
        ----------
        key : object
            Types of the arguments, processor and digest of the function, as Numba gives them.
        data : object
            The compiled kernel, in the form that Numba can store.
        """
        path = self._file(key)
        content: bytes = dumps(data)  # type: ignore[no-untyped-call]
        whole = self._origin(key) + hashlib.sha256(content).digest() + content
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_bytes(whole)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, key: object) -> Any:
        """Fetch a compiled kernel.

        Parameters
        ----------
        key : object
            Types of the arguments, processor and digest of the function, as Numba gives them.

        Returns
        -------
        object or None
            What was kept; None if there is nothing, nothing made from these sources, or a file that
            is not whole.
        """
        try:
            whole = self._file(key).read_bytes()
        except FileNotFoundError:
            return None
        origin = self._origin(key)
        digest, content = whole[len(origin) :][:32], whole[len(origin) + 32 :]
        if not whole.startswith(origin) or hashlib.sha256(content).digest() != digest:
            return None
        return pickle.loads(content)


def keep_safely(kernel: Any) -> None:
    """Give a kernel that Numba caches the files of this module.

    Parameters
    ----------
    kernel : numba.core.dispatcher.Dispatcher
        A kernel compiled with ``cache=True``.
    """
    files = kernel._cache._cache_file
    base = str(files._index_name).removesuffix(".nbi")
    kernel._cache._cache_file = KernelFiles(Path(files._cache_path), base)
