"""One way to compile a kernel.

Numba keeps compiled kernels beside the module or, failing that, in the user's cache folder. Where
neither is writable ``cache=True`` fails when the module is imported; the kernel is then compiled
afresh in each process, and :func:`cache_available` says so (``fiac doctor`` shows it). How they are
kept is in :mod:`fiac_survival.kernels._cache`.

No blanket ``fastmath``: it would let the compiler drop the checks for NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

from fiac_survival.kernels._cache import keep_safely

F = TypeVar("F", bound=Callable[..., Any])

_uncached: list[str] = []


def _compile(function: F, parallel: bool) -> F:
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "parallel": parallel}
    try:
        compiled: F = numba.njit(cache=True, **options)(function)
        keep_safely(compiled)
    except RuntimeError:
        _uncached.append(function.__name__)
        compiled = numba.njit(cache=False, **options)(function)
    return compiled


def jit(function: F) -> F:
    """Compile a serial kernel.

    Parameters
    ----------
    function : callable
        A function of arrays and scalars.

    Returns
    -------
    callable
        The same function, compiled at its first call for each set of types.
    """
    return _compile(function, parallel=False)


def jit_parallel(function: F) -> F:
    """Compile a kernel whose ``prange`` runs over independent rows or adds integers.

    Parameters
    ----------
    function : callable
        A function of arrays and scalars that adds no floating-point numbers across iterations.

    Returns
    -------
    callable
        The same function, compiled at its first call for each set of types.
    """
    return _compile(function, parallel=True)


def cache_available() -> bool:
    """Say whether compiled kernels are kept between processes.

    Returns
    -------
    bool
        False if some kernel had to be compiled without a cache.
    """
    return not _uncached
