"""BLAS on one thread inside every public estimator.

BLAS gives other last digits with two threads than with one, and its threads fight Numba's for the
cores. One controller is made at first use and reused; setting the limit costs about 0.01 ms a call.
Parallelism comes from Numba, over independent rows.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import ParamSpec, TypeVar

from threadpoolctl import ThreadpoolController

from fiac_survival.core.errors import DataError

P = ParamSpec("P")
R = TypeVar("R")


@functools.cache
def _controller() -> ThreadpoolController:
    import scipy.linalg  # noqa: F401  both BLAS libraries must be loaded before they are counted

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[object]:
    """Limit BLAS to one thread within a ``with`` block.

    Returns
    -------
    context manager
        Restores the former limit at the end.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    limit: AbstractContextManager[object] = _controller().limit(limits=1, user_api="blas")
    return limit


def single_threaded_blas(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function with BLAS on one thread.

    Parameters
    ----------
    function : callable
        A public estimator.

    Returns
    -------
    callable
        The same function; its results do not depend on the number of BLAS threads.
    """

    @functools.wraps(function)
    def limited(*args: P.args, **kwargs: P.kwargs) -> R:
        with one_blas_thread():
            return function(*args, **kwargs)

    return limited


@contextlib.contextmanager
def numba_threads(threads: int | None) -> Iterator[None]:
    """Run parallel kernels on a number of threads within a ``with`` block.

    Parameters
    ----------
    threads : int or None
        None leaves the number as it is; more than Numba was started with are not taken.

    Yields
    ------
    None
        The former number is restored at the end.

    Raises
    ------
    DataError
        If the number is not positive.

    Examples
    --------
    >>> with numba_threads(1):
    ...     pass
    """
    if threads is None:
        yield
        return
    if threads < 1:
        raise DataError("threads must be at least 1", values={"threads": threads})
    import numba

    most: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, most))
    try:
        yield
    finally:
        numba.set_num_threads(before)
