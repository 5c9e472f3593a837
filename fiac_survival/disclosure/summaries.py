r"""Summary of a variable without its extremes.

The smallest and the largest value belong to one person each. They are replaced by the quantiles at
:math:`q` and :math:`1-q` with :math:`q=\max(0.05, k/n)`, so that at least :math:`k` patients lie at or
beyond either; quartiles are given where :math:`n\ge 4k`, the median where :math:`n\ge 2k`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core import columns
from fiac_survival.core.errors import DisclosureError
from fiac_survival.disclosure.profiles import ProfileName, find_profile
from fiac_survival.disclosure.rounding import round_estimates


def describe_values(
    values: Any, *, profile: ProfileName = "snds", threshold: int | None = None
) -> pd.DataFrame:
    """Summarise a variable, with quantiles in place of its smallest and largest value.

    Parameters
    ----------
    values : array-like of float
        One value a patient, none missing.
    profile : {"snds", "opensafely", "none"}, default "snds"
        Whose rules. With "none" the extremes themselves are given.
    threshold : int, optional
        Of one's own.

    Returns
    -------
    DataFrame
        statistic and value: mean, sd, low, lower_quartile, median, upper_quartile, high; rounded, and
        missing where too few patients lie beyond.

    Raises
    ------
    DataError
        If a value is missing.
    DisclosureError
        If there are fewer than twice the threshold.

    Examples
    --------
    >>> table = describe_values(range(101))
    >>> dict(zip(table["statistic"], table["value"]))["high"]
    89.1
    """
    rules = find_profile(profile, threshold=threshold)
    x = columns.require_finite(columns.numeric(values, "values"), "values")
    k = rules.threshold if rules.protects else 0
    if x.size < max(2 * k, 1):
        raise DisclosureError(
            "a summary must rest on at least twice the threshold",
            remedy="leave the summary out or join groups",
        )
    share = max(0.05, k / x.size) if rules.protects else 0.0
    quartiles = not rules.protects or x.size >= 4 * k
    rows = {
        "mean": float(x.mean()),
        "sd": float(x.std(ddof=1)) if x.size > 1 else float("nan"),
        "low": float(np.quantile(x, share)),
        "lower_quartile": float(np.quantile(x, 0.25)) if quartiles else float("nan"),
        "median": float(np.quantile(x, 0.5)),
        "upper_quartile": float(np.quantile(x, 0.75)) if quartiles else float("nan"),
        "high": float(np.quantile(x, 1.0 - share)),
    }
    value = round_estimates(pd.Series(list(rows.values())), rules)
    return pd.DataFrame({"statistic": list(rows), "value": value})
