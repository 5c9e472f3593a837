r"""Restricted cubic splines, for formulas.

With knots :math:`k_1<\dots<k_m` and :math:`(u)_+=\max(u,0)`, the basis is x and, for j = 1..m-2,

.. math::
\frac{(x-k_j)_+^3-(x-k_{m-1})_+^3\frac{k_m-k_j}{k_m-k_{m-1}}+(x-k_m)_+^3\frac{k_{m-1}-k_j}{k_m-k_{m-1}}}
{(k_m-k_1)^2},

cubic between knots and linear beyond the outer ones. Knots left out stand at the quantiles that Harrell
recommends for their number, of the data of the fit; new data take the same knots.

Sources: Harrell, Regression Modeling Strategies, 2nd edition 2015, section 2.4.5 (R ``rms::rcs``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError

Floats = NDArray[np.float64]
PLACES = {
    3: (0.10, 0.50, 0.90),
    4: (0.05, 0.35, 0.65, 0.95),
    5: (0.05, 0.275, 0.50, 0.725, 0.95),
    6: (0.05, 0.23, 0.41, 0.59, 0.77, 0.95),
    7: (0.025, 0.1833, 0.3417, 0.50, 0.6583, 0.8167, 0.975),
}


def knots_of(x: Any, knots: Any = 4) -> Floats:
    """Place knots.

    Parameters
    ----------
    x : array-like of float
        Data of the fit.
    knots : int or sequence of float, default 4
        Their number, 3 to 7, or their places.

    Returns
    -------
    (m,) float64
        Ascending.

    Raises
    ------
    DataError
        If there are fewer than 3 distinct knots, or no recommended places for their number.
    """
    if isinstance(knots, int):
        if knots not in PLACES:
            raise DataError(
                "the number of knots must be between 3 and 7",
                values={"knots": knots},
                remedy="pass their places instead",
            )
        places = np.quantile(np.asarray(x, dtype=np.float64), PLACES[knots])
    else:
        places = np.asarray(knots, dtype=np.float64)
    if places.size < 3 or (np.diff(places) <= 0).any():
        raise DataError(
            "a restricted cubic spline needs at least 3 distinct, ascending knots",
            values={"knots": places.tolist()},
            remedy="pass their places: rcs(x, [1, 3, 8])",
        )
    return places


def restricted_cubic(x: Any, knots: Floats) -> Floats:
    """Basis of a restricted cubic spline.

    Parameters
    ----------
    x : (n,) array-like of float
        Values.
    knots : (m,) float64
        Knots.

    Returns
    -------
    (n, m - 1) float64
        x itself, then the curved parts.
    """
    value = np.asarray(x, dtype=np.float64)
    last, before = knots[-1], knots[-2]

    def cube(knot: float) -> Floats:
        return np.asarray(np.maximum(value - knot, 0.0) ** 3)

    parts = [value]
    for knot in knots[:-2]:
        part = cube(knot) - cube(before) * (last - knot) / (last - before)
        part = part + cube(last) * (before - knot) / (last - before)
        parts.append(part / (last - knots[0]) ** 2)
    return np.stack(parts, axis=1)


def formula_functions() -> dict[str, Any]:
    """Functions that formulas know beside formulaic's own.

    Returns
    -------
    dict
        ``rcs(x, knots)``.
    """
    from formulaic.utils.stateful_transforms import stateful_transform

    @stateful_transform  # type: ignore[untyped-decorator]
    def rcs(data: Any, knots: Any = 4, _state: dict[str, Any] | None = None) -> Any:
        from formulaic.materializers.types import FactorValues

        state = {} if _state is None else _state
        if "knots" not in state:
            state["knots"] = knots_of(data, knots)
        basis = restricted_cubic(data, state["knots"])
        index = getattr(data, "index", None)
        names = [str(j) for j in range(basis.shape[1])]
        frame = pd.DataFrame(basis, columns=names, index=index)
        return FactorValues(
            {name: frame[name] for name in names}, kind="numerical", spans_intercept=False
        )

    return {"rcs": rcs}
