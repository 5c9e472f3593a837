r"""How often a line leaves its classes refractory, from lines of therapy.

Of the lines that ended by the next line, those are counted that ended by progression on treatment, by line
:math:`\ell`, regimen :math:`a` and band :math:`b` of the line's length; shares are pooled towards that of
all regimens in the line and band:

.. math:: \hat\rho_{\ell ab} = \frac{n^{\mathrm{refr}}_{\ell ab} + m\,\hat\rho_{\ell b}}{n_{\ell ab} + m}.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.histories import Histories
from fiac_survival.sequence.lines_table import NEXT

BAND_MONTHS = (6.0, 12.0, 24.0)


def refractory_share(
    h: Histories, *, bands: tuple[float, ...] = BAND_MONTHS, pool: float = 20.0
) -> NDArray[np.float64]:
    """Share of the lines' endings by the next line that leave the classes refractory.

    Parameters
    ----------
    h : Histories
        Lines of therapy, read with `refractory`.
    bands : tuple of float, default (6, 12, 24)
        Months that end a band of the line's length; the last band is open.
    pool : float, default 20
        Lines that the share of all regimens counts for (m).

    Returns
    -------
    (L, A, G, H, T) float64
        As :class:`~fiac_survival.sequence.SequenceModel` takes `next_refractory`.

    Raises
    ------
    DataError
        If the lines were read without `refractory`, or the pool is not positive.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(500, seed=1)
    >>> lines["soon"] = lines["ttnt"] <= 12
    >>> h = fs.sequence.read_histories(lines, formulary, unit="steps", refractory="soon")
    >>> share = refractory_share(h)
    >>> bool(share[0, 0, 0, 0, 11] > 0.9 > 0.1 > share[0, 0, 0, 0, 30])
    True
    """
    if h.overlap_counts != "refractory" or pool <= 0:
        raise DataError(
            "refractory classes need lines read with refractory=, and a positive pool",
            values={"overlap_counts": h.overlap_counts, "pool": pool},
        )
    f = h.formulary
    edges = np.array([round(months / f.step_months) for months in bands])
    moved = h.ending == NEXT
    at = (h.line[moved], h.regimen[moved], np.searchsorted(edges, h.steps[moved]))
    n = np.zeros((f.lines, len(f.regimens), len(bands) + 1))
    met = np.zeros_like(n)
    np.add.at(n, at, 1.0)
    np.add.at(met, at, h.progressed[moved])
    everyone = met.sum(axis=1, keepdims=True) / np.maximum(n.sum(axis=1, keepdims=True), 1.0)
    share = (met + pool * everyone) / (n + pool)
    by_step = share[:, :, np.searchsorted(edges, np.arange(1, f.n_steps + 1))]
    shape = (f.lines, len(f.regimens), len(f.groups), f.overlap_levels, f.n_steps)
    return np.broadcast_to(by_step[:, :, None, None], shape).copy()
