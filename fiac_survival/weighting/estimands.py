r"""Target populations and the weights that stand for them.

With propensity e(x) = P(treated | x) and a tilting function h(e), a treated patient has weight h/e and
a control h/(1-e): weighting both arms to the population with density proportional to h.

=========== ============= ==================== =====================
estimand    h             treated              control
=========== ============= ==================== =====================
ate         1             1/e                  1/(1-e)
att         e             1                    e/(1-e)
atc         1-e           (1-e)/e              1
overlap     e(1-e)        1-e                  e
matching    min(e, 1-e)   min(1, (1-e)/e)      min(1, e/(1-e))
=========== ============= ==================== =====================

Source: Li, Morgan, Zaslavsky 2018; Li and Greene 2013 (matching weights).
"""

from __future__ import annotations

from typing import Literal, assert_never

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Estimand = Literal["ate", "att", "atc", "overlap", "matching"]


def weight_and_slope(
    propensity: Floats, treated: NDArray[np.bool_], estimand: Estimand
) -> tuple[Floats, Floats]:
    """Weight of each row, and the derivative of its logarithm in the logit of the propensity.

    Parameters
    ----------
    propensity : (n,) float64
        Between 0 and 1, both excluded.
    treated : (n,) bool
        Treatment.
    estimand : {"ate", "att", "atc", "overlap", "matching"}
        Target population.

    Returns
    -------
    weight, slope : (n,) float64
        h/e or h/(1-e), and d log weight / d logit e.
    """
    e, rest = propensity, 1.0 - propensity
    match estimand:
        case "ate":
            return np.where(treated, 1.0 / e, 1.0 / rest), np.where(treated, -rest, e)
        case "att":
            return np.where(treated, 1.0, e / rest), np.where(treated, 0.0, 1.0)
        case "atc":
            return np.where(treated, rest / e, 1.0), np.where(treated, -1.0, 0.0)
        case "overlap":
            return np.where(treated, rest, e), np.where(treated, -e, rest)
        case "matching":
            low = e < 0.5
            return (
                np.where(treated, np.minimum(1.0, rest / e), np.minimum(1.0, e / rest)),
                np.where(treated, np.where(low, 0.0, -1.0), np.where(low, 1.0, 0.0)),
            )
        case _:
            assert_never(estimand)
