"""Rounding of estimates: probabilities to decimals, all others to significant digits."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fiac_survival.disclosure.inputs import EstimateTable
from fiac_survival.disclosure.profiles import Profile


def round_estimates(
    column: pd.Series, profile: Profile, *, decimals: int | None = None
) -> pd.Series:
    """Round a column of estimates.

    Parameters
    ----------
    column : Series
        Numbers.
    profile : Profile
        The rules.
    decimals : int, optional
        Decimals; the profile's significant digits by default.

    Returns
    -------
    Series
        Rounded; unchanged where the profile protects nothing.

    Examples
    --------
    >>> from fiac_survival.disclosure.profiles import find_profile
    >>> round_estimates(pd.Series([0.64312, 1234.5]), find_profile("snds")).tolist()
    [0.643, 1230.0]
    """
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if not profile.protects:
        return pd.Series(values, index=column.index)
    if decimals is not None:
        return pd.Series(np.round(values, decimals), index=column.index)
    digits = profile.significant_digits
    return pd.Series([float(f"{v:.{digits}g}") for v in values], index=column.index)


def control_estimates(
    estimates: EstimateTable, profile: Profile
) -> tuple[pd.DataFrame, list[tuple[str, str, int]]]:
    """Control a table of estimates.

    Parameters
    ----------
    estimates : EstimateTable
        The table with the numbers that its rows rest on.
    profile : Profile
        The rules.

    Returns
    -------
    table : DataFrame
        Rounded, with missing values where a row rests on too few.
    actions : list of tuple
        Column, what was done, and in how many rows.
    """
    table = estimates.table.copy()
    actions: list[tuple[str, str, int]] = []
    few = estimates.basis < profile.threshold
    decimals: Mapping[str, int] = estimates.decimals
    for name in table.columns:
        kind = table[name].dtype.kind
        numeric = pd.api.types.is_numeric_dtype(table[name].dtype) and kind != "b"
        if not numeric or name in estimates.labels or not profile.protects:
            continue
        rounded = round_estimates(table[name], profile, decimals=decimals.get(name))
        table[name] = rounded.where(~few)
        actions.append((str(name), "rounded", int((~few).sum())))
        if few.any():
            actions.append(
                (str(name), "withheld: rests on fewer than the threshold", int(few.sum()))
            )
    return table, actions
