"""What stands behind each cell: patients, effective sample size, events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.kernel_fitting import Cells
from fiac_survival.sequence.lines_table import DEATH, NEXT

Floats = NDArray[np.float64]
SUPPORT_COLUMNS = (
    "line",
    "regimen",
    "group",
    "overlap",
    "patients",
    "ess",
    "next",
    "death",
    "months",
)


def effective_support(
    h: Histories, weights: Floats, together: Mapping[str, str]
) -> tuple[Floats, Floats]:
    """Effective sample size and events of each cell, over groups that are counted together.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    weights : (n,) float64
        Weights of the rows.
    together : mapping of str to str
        Groups to be counted with another one.

    Returns
    -------
    ess, events : (L, A, G, H) float64
        The same for all groups of a pool.

    Raises
    ------
    DataError
        If a group is unknown.
    """
    f = h.formulary
    for name in (*together, *together.values()):
        if name not in f.groups:
            raise DataError(
                "groups counted together must be the formulary's",
                values={"group": name},
                remedy="known: " + ", ".join(f.groups),
            )
    pool = np.array([f.groups.index(together.get(name, name)) for name in f.groups])
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
    at = (h.line, h.regimen, pool[h.group], h.level)
    total, square, events = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(total, at, weights)
    np.add.at(square, at, weights**2)
    np.add.at(events, at, (h.ending == NEXT) | (h.ending == DEATH))
    ess = total**2 / np.where(square > 0, square, 1.0)
    return ess[:, :, pool], events[:, :, pool]


def support_table(h: Histories, weights: Floats, cells: Cells, least: int = 5) -> pd.DataFrame:
    """Count what stands behind each cell.

    Parameters
    ----------
    h : Histories
        Lines of therapy.
    weights : (n,) float64
        Weights of the rows.
    cells : Cells
        Cells of the histories.
    least : int, default 5
        Patients at risk up to whom months are counted.

    Returns
    -------
    DataFrame
        line, regimen, group, overlap, patients, ess, next, death, months, followed.
    """
    f = h.formulary
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels)
    at = (h.line, h.regimen, h.group, h.level)
    patients, total, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    onward, death, followed = np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=np.int64)
    np.add.at(patients, at, 1.0)
    np.add.at(total, at, weights)
    np.add.at(square, at, weights**2)
    np.add.at(onward, at, h.ending == NEXT)
    np.add.at(death, at, h.ending == DEATH)
    np.maximum.at(followed, at, np.minimum(h.steps, f.n_steps))
    counts = cells.counts(np.ones(h.line.size))
    months = np.zeros(shape)
    months[tuple(counts.cell.T)] = (counts.at_risk >= least).sum(axis=1) * f.step_months
    index = [axis.ravel() for axis in np.indices(shape)]
    return pd.DataFrame(
        {
            "line": index[0] + 1,
            "regimen": np.array(f.regimen_names)[index[1]],
            "group": np.array(f.groups)[index[2]],
            "overlap": index[3],
            "patients": patients.ravel().astype(int),
            "ess": (total**2 / np.where(square > 0, square, 1.0)).ravel(),
            "next": onward.ravel().astype(int),
            "death": death.ravel().astype(int),
            "months": months.ravel(),
            "followed": followed.ravel(),
        }
    )
