"""The door for lines of therapy: a table of them, or what was made of one already."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.histories import Histories, Unit, read_histories


def as_histories(
    lines: pd.DataFrame | Histories,
    formulary: Formulary | None,
    *,
    unit: Unit,
    covariates: Sequence[str],
    other: str | None = None,
    refractory: str | None = None,
) -> Histories:
    """Read a table of lines, or take histories as they are.

    Parameters
    ----------
    lines : DataFrame or Histories
        Table as :func:`read_histories` takes it, or what it made of one.
    formulary : Formulary or None
        Needed with a table.
    unit, covariates, other, refractory
        As in :func:`read_histories`; they are those of the table.

    Returns
    -------
    Histories
        Arrays by patient and line.

    Raises
    ------
    DataError
        If a table comes without a formulary, or breaks a rule.
    """
    if isinstance(lines, Histories):
        return lines
    if formulary is None:
        raise DataError(
            "a table of lines needs a formulary", remedy="pass formulary=; see read_formulary"
        )
    return read_histories(
        lines, formulary, unit=unit, covariates=covariates, other=other, refractory=refractory
    )
