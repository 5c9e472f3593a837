"""Covariates of a regression: a table of numbers, or a formula with a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.splines import formula_functions

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """A design matrix without intercept, and how to make it again for new data.

    Attributes
    ----------
    values : (n, p) float64
        Columns of the design.
    columns : list of str
        Their names.
    terms : dict
        Column numbers of each term; a factor has one term and several columns.
    """

    values: Floats
    columns: list[str]
    terms: Mapping[str, list[int]]
    _spec: Any = field(default=None, repr=False)

    def again(self, data: Any) -> Floats:
        """Make the design of new data.

        Parameters
        ----------
        data : DataFrame or 2-D array
            With the columns that the first design was made from.

        Returns
        -------
        (n, p) float64
            The new design.

        Raises
        ------
        DataError
            If a column is missing or a value is not finite.
        """
        if self._spec is not None:
            return _evaluate(self._spec, _as_pandas(data))[0]
        native = nw.from_native(data, eager_only=True, pass_through=True)
        if isinstance(native, nw.DataFrame):
            missing = [name for name in self.columns if name not in native.columns]
            if missing:
                raise DataError(
                    "new data must have the columns of the model",
                    values={"missing": missing},
                    remedy="pass a table with those columns",
                )
            data = native.select(self.columns).to_native()
        values, _ = columns.matrix(data, "X")
        if values.shape[1] != len(self.columns):
            raise DataError(
                "new data must have the columns of the model",
                values={"columns": values.shape[1], "needed": len(self.columns)},
            )
        return values


def make_design(X: Any, data: Any = None, *, n: int) -> Design:
    """Make a design matrix.

    Parameters
    ----------
    X : DataFrame, 2-D array or str
        Numbers, or a formula such as ``"rcs(age, 4) + C(stage)"`` read by formulaic, which
        also knows ``bs`` and ``cr``; ``rcs`` is the restricted cubic spline.
    data : DataFrame, optional
        The table that a formula refers to.
    n : int
        Number of outcomes.

    Returns
    -------
    Design
        Checked: finite, of full rank, no constant column.

    Raises
    ------
    DataError
        Naming the column that is missing, constant or a combination of others.
    """
    if isinstance(X, str):
        if data is None:
            raise DataError(
                "a formula needs the table that it refers to",
                values={"formula": X},
                remedy="pass data=",
            )
        values, spec = _evaluate(X, _as_pandas(data))
        keep = [i for i, name in enumerate(spec.column_names) if name != "Intercept"]
        names = [str(spec.column_names[i]) for i in keep]
        place = {old: new for new, old in enumerate(keep)}
        terms = {
            str(term): [place[i] for i in indices if i in place]
            for term, indices in spec.term_indices.items()
            if any(i in place for i in indices)
        }
        if values.shape[0] != n:
            raise DataError(
                "data must have one row per outcome",
                values={"rows": values.shape[0], "outcomes": n},
                remedy="pass the table that the outcome was made from",
            )
        design = Design(values, names, terms, spec)
    else:
        if data is not None:
            raise DataError(
                "data goes with a formula only",
                remedy="pass a formula as X, or drop data",
            )
        values, names = columns.matrix(X, "X", n=n)
        design = Design(values, names, {name: [j] for j, name in enumerate(names)})
    require_full_rank(design)
    return design


def _as_pandas(data: Any) -> pd.DataFrame:
    if isinstance(data, pd.DataFrame):
        return data
    frame: pd.DataFrame = nw.from_native(data, eager_only=True).to_pandas()
    return frame


def _evaluate(formula: Any, data: pd.DataFrame) -> tuple[Floats, Any]:
    """Evaluate a formula, or a specification kept from an earlier one, without its intercept."""
    from formulaic import ModelSpec, model_matrix
    from formulaic.errors import FormulaicError

    try:
        matrix = model_matrix(
            formula,
            data,
            context=formula_functions(),
            na_action="ignore",
            ensure_full_rank=True,
        )
        spec = matrix.model_spec if not isinstance(formula, ModelSpec) else formula
    except (FormulaicError, KeyError, NameError, ValueError, TypeError) as cause:
        raise DataError(
            "the formula must refer to columns of the data",
            values={"formula": formula if isinstance(formula, str) else str(formula.formula)},
            remedy=f"check its names and functions ({cause})",
        ) from cause
    keep = [i for i, name in enumerate(matrix.columns) if name != "Intercept"]
    values = np.ascontiguousarray(matrix.to_numpy(dtype=np.float64)[:, keep])
    for j, i in enumerate(keep):
        columns.require_finite(values[:, j], str(matrix.columns[i]))
    return values, spec


def require_full_rank(design: Design) -> None:
    """Refuse constant and redundant columns.

    Parameters
    ----------
    design : Design
        The design.

    Raises
    ------
    DataError
        Naming the first such column.
    """
    values = design.values
    centred = values - values.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=0))
    scale = np.sqrt((values**2).sum(axis=0)) + 1e-300
    for j, name in enumerate(design.columns):
        if size[j] <= 1e-12 * scale[j]:
            raise DataError(
                "a covariate must vary",
                values={"column": name, "value": values[0, j]},
                remedy="drop the column",
            )
    gram = (centred / size).T @ (centred / size)
    factor = np.eye(len(design.columns))
    for j, name in enumerate(design.columns):
        column = gram[j, :j]
        row = np.linalg.solve(factor[:j, :j], column) if j else np.empty(0)
        rest = gram[j, j] - row @ row
        if rest < 1e-12:
            raise DataError(
                "a covariate must not be a combination of the others",
                values={"column": name},
                remedy="drop the column",
            )
        factor[j, :j] = row
        factor[j, j] = np.sqrt(rest)
