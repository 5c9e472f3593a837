"""Nearest-neighbour matching on the propensity score: greedy, one to one, without replacement."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.kernels.matching import match_greedily

Floats = NDArray[np.float64]
CALIPER = 0.2


def match_pairs(
    propensity: Floats, treated: NDArray[np.bool_], *, caliper: float
) -> NDArray[np.int64]:
    """Match each treated patient to the nearest control that is still free.

    Treated patients are taken in descending order of their propensity, which gives those who are
    hardest to match the first choice.

    Parameters
    ----------
    propensity : (n,) float64
        Propensity scores.
    treated : (n,) bool
        Treatment.
    caliper : float
        Largest distance allowed, in standard deviations of the propensity.

    Returns
    -------
    (n,) int64
        Pair number of each row, -1 if unmatched.

    Raises
    ------
    DataError
        If nobody can be matched.

    References
    ----------
    Rosenbaum PR, Rubin DB. Constructing a control group using multivariate matched sampling methods
    that incorporate the propensity score. Am Stat 1985;39:33-38.
    """
    if not caliper > 0:
        raise DataError(
            "caliper must be positive",
            values={"caliper": caliper},
            remedy="0.2 standard deviations is customary",
        )
    cases, controls = np.flatnonzero(treated), np.flatnonzero(~treated)
    cases = cases[np.argsort(-propensity[cases], kind="stable")]
    controls = controls[np.argsort(propensity[controls], kind="stable")]
    value, start = np.unique(propensity[controls], return_index=True)
    width = caliper * float(np.std(propensity, ddof=1))
    partner = np.full(cases.size, -1, dtype=np.int64)
    match_greedily(
        propensity[cases], value, np.append(start, controls.size), controls, width, partner
    )
    pair = np.full(propensity.size, -1, dtype=np.int64)
    found = np.flatnonzero(partner >= 0)
    if found.size == 0:
        raise DataError(
            "some treated patient must have a control within the caliper",
            values={"caliper": caliper, "in propensity": width},
            remedy="widen the caliper, or use weights",
        )
    pair[cases[found]] = np.arange(found.size)
    pair[partner[found]] = np.arange(found.size)
    return pair
