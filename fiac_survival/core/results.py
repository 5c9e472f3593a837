"""What every result has in common: it is frozen, has a table, and says whether it converged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import pandas as pd


class HasTable(Protocol):
    """Anything that carries a tidy table."""

    @property
    def table(self) -> pd.DataFrame:
        """Tidy table, one row per estimate."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """Base of the frozen results.

    Attributes
    ----------
    table : DataFrame
        Tidy table of the estimates.
    converged : bool
        False never reaches a release: ``fiac run`` refuses it.
    n_iter : int
        Iterations of the fit, 0 for closed forms.
    gradient_norm : float
        Largest absolute component of the scaled gradient at the solution, 0 for closed forms.
    """

    table: pd.DataFrame
    converged: bool = True
    n_iter: int = 0
    gradient_norm: float = 0.0

    def _title(self) -> str:
        return type(self).__name__

    def __repr__(self) -> str:
        state = "" if self.converged else " (NOT CONVERGED)"
        return f"{self._title()}{state}\n{self.table.to_string(index=False, max_rows=20)}"

    def _repr_html_(self) -> str:
        from html import escape

        state = "" if self.converged else " <strong>not converged</strong>"
        body = self.table.to_html(index=False, max_rows=40, border=0, escape=True)
        return f"<figure><figcaption>{escape(self._title())}{state}</figcaption>{body}</figure>"
