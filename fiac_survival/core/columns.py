"""The door: columns of numpy, pandas, polars or pyarrow become checked arrays.

Everything behind the door sees contiguous numpy arrays only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError

Floats = NDArray[np.float64]


def to_numpy(column: Any, name: str) -> NDArray[Any]:
    """Turn a column into a one-dimensional array, whatever library it comes from.

    Parameters
    ----------
    column : array-like
        A list, an array, or a pandas, polars or pyarrow column.
    name : str
        What to call it in an error.

    Returns
    -------
    ndarray
        One-dimensional.

    Raises
    ------
    DataError
        If it has more than one dimension.

    Examples
    --------
    >>> to_numpy([1, 2, 3], "time")
    array([1, 2, 3])
    """
    if not isinstance(column, np.ndarray):
        native = nw.from_native(column, series_only=True, pass_through=True)
        column = native.to_numpy() if isinstance(native, nw.Series) else np.asarray(column)
    array: NDArray[Any] = np.asarray(column)
    if array.ndim != 1:
        raise DataError(
            f"{name} must have one dimension",
            values={"shape": array.shape},
            remedy="pass one column",
        )
    return array


def numeric(column: Any, name: str, *, n: int | None = None) -> Floats:
    """Turn a column into float64, refusing text, dates and a wrong length.

    Parameters
    ----------
    column : array-like
        Numbers or booleans; missing values become NaN (the caller decides about them).
    name : str
        What to call it in an error.
    n : int, optional
        The length that it must have.

    Returns
    -------
    (n,) float64
        A new contiguous array.

    Raises
    ------
    DataError
        If the column is not numeric or has another length.

    Examples
    --------
    >>> numeric([True, False], "event")
    array([1., 0.])
    """
    array = real(column, name, n=n)
    return np.array(array, dtype=np.float64, order="C")


def real(column: Any, name: str, *, n: int | None = None) -> NDArray[Any]:
    """Turn a column into an array of real numbers of whatever type, perhaps the caller's own.

    Parameters
    ----------
    column : array-like
        Numbers or booleans.
    name : str
        What to call it in an error.
    n : int, optional
        The length that it must have.

    Returns
    -------
    (n,) bool, int or float
        To be copied before it is kept.

    Raises
    ------
    DataError
        If the column is not numeric or has another length.
    """
    array = to_numpy(column, name)
    if array.dtype.kind in "mM":
        raise DataError(
            f"{name} must be a number, not a date or a time span",
            values={"type": array.dtype},
            remedy="pass a duration, e.g. (end - start).dt.days",
        )
    if array.dtype.kind not in "biuf":
        try:
            array = np.asarray(pd.to_numeric(pd.Series(array), errors="raise"), dtype=np.float64)
        except (ValueError, TypeError):
            row, value = _first_not_numeric(array)
            raise DataError(
                f"{name} must be numeric",
                row=row,
                values={name: value},
                remedy="convert the column to numbers",
            ) from None
    require_length(array, name, n)
    return array


def _first_not_numeric(array: NDArray[Any]) -> tuple[int, object]:
    for row, value in enumerate(array):
        try:
            float(value)
        except (TypeError, ValueError):
            return row, value
    return 0, array[0]


def require_length(array: NDArray[Any], name: str, n: int | None) -> None:
    """Refuse a column whose length differs from the rest.

    Parameters
    ----------
    array : ndarray
        The column.
    name : str
        What to call it in an error.
    n : int or None
        The length that it must have; None allows any.

    Raises
    ------
    DataError
        If the lengths differ.
    """
    if n is not None and array.size != n:
        raise DataError(
            f"{name} must have one value per row",
            values={"rows": n, f"length of {name}": array.size},
            remedy="pass columns of the same table",
        )


def labels(column: Any, name: str, *, n: int | None = None) -> tuple[NDArray[np.int64], list[Any]]:
    """Code a column of labels as integers.

    Parameters
    ----------
    column : array-like
        Labels of any type; an ordered pandas categorical keeps its order.
    name : str
        What to call it in an error.
    n : int, optional
        The length that it must have.

    Returns
    -------
    codes : (n,) int64
        Position of each row's label in ``levels``.
    levels : list
        The labels that occur, sorted (numbers by value, text alphabetically).

    Raises
    ------
    DataError
        If a label is missing or the length is wrong.

    Examples
    --------
    >>> codes, levels = labels(["b", "a", "b"], "group")
    >>> codes, levels
    (array([1, 0, 1]), ['a', 'b'])
    """
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        codes = np.asarray(column.cat.codes, dtype=np.int64)
        levels = list(column.cat.categories)
        require_length(codes, name, n)
        _require_no_missing(codes, name)
        used = np.unique(codes)
        return np.searchsorted(used, codes).astype(np.int64), [levels[i] for i in used]
    array = to_numpy(column, name)
    require_length(array, name, n)
    raw_codes, raw_levels = pd.factorize(array, sort=False)
    _require_no_missing(raw_codes, name)
    levels = [value.item() if isinstance(value, np.generic) else value for value in raw_levels]
    try:
        order = sorted(range(len(levels)), key=lambda i: levels[i])
    except TypeError:
        order = sorted(range(len(levels)), key=lambda i: str(levels[i]))
    rank = np.empty(len(levels), dtype=np.int64)
    rank[order] = np.arange(len(levels))
    return rank[raw_codes], [levels[i] for i in order]


def _require_no_missing(codes: NDArray[Any], name: str) -> None:
    missing = np.flatnonzero(codes < 0)
    if missing.size:
        raise DataError(
            f"{name} must not be missing",
            count=int(missing.size),
            row=int(missing[0]),
            remedy="drop those rows or give them a label of their own",
        )


def require_finite(array: Floats, name: str) -> Floats:
    """Refuse NaN and infinite values.

    Parameters
    ----------
    array : float64 array of one or two dimensions
        Values.
    name : str
        What to call it in an error.

    Returns
    -------
    ndarray
        The same array.

    Raises
    ------
    DataError
        Naming the first row that is not finite.
    """
    bad = ~np.isfinite(array)
    if bad.any():
        rows = np.flatnonzero(bad if array.ndim == 1 else bad.any(axis=1))
        raise DataError(
            f"{name} must be finite",
            count=int(rows.size),
            row=int(rows[0]),
            values={name: array[rows[0]]},
            remedy="drop those rows or impute them",
        )
    return array


def matrix(data: Any, name: str = "X", *, n: int | None = None) -> tuple[Floats, list[str]]:
    """Turn a table of covariates into a float matrix and its column names.

    Parameters
    ----------
    data : DataFrame (pandas, polars, pyarrow) or 2-D array
        Numeric columns; text must be coded first (a formula does it).
    name : str, default "X"
        What to call it in an error.
    n : int, optional
        The number of rows that it must have.

    Returns
    -------
    values : (n, p) float64
        C-contiguous, finite.
    names : list of str
        Column names; x0, x1, ... for an array.

    Raises
    ------
    DataError
        If a column is text, a value is missing, or the number of rows is wrong.

    Examples
    --------
    >>> import pandas as pd
    >>> matrix(pd.DataFrame({"age": [50, 60]}))
    (array([[50.], [60.]]), ['age'])
    """
    native = nw.from_native(data, eager_only=True, pass_through=True)
    columns: Sequence[Any]
    if isinstance(native, nw.DataFrame):
        names = [str(column) for column in native.columns]
        columns = [native[column].to_numpy() for column in native.columns]
        rows = native.shape[0]
    else:
        array = np.asarray(data)
        if array.ndim == 1:
            array = array[:, None]
        if array.ndim != 2:
            raise DataError(f"{name} must be a table", values={"shape": array.shape})
        names = [f"x{j}" for j in range(array.shape[1])]
        columns = [array[:, j] for j in range(array.shape[1])]
        rows = array.shape[0]
    if not names:
        raise DataError(f"{name} must have at least one column")
    if n is not None and rows != n:
        raise DataError(
            f"{name} must have one row per outcome",
            values={"rows": rows, "outcomes": n},
            remedy="pass columns of the same table",
        )
    values = np.empty((rows, len(names)), dtype=np.float64)
    for j, column in enumerate(columns):
        try:
            values[:, j] = numeric(column, names[j])
        except DataError as error:
            if error.rule.endswith("must be numeric"):
                error.remedy = f"code it, e.g. with the formula 'C({names[j]})'"
            raise
        require_finite(values[:, j], names[j])
    return values, names
