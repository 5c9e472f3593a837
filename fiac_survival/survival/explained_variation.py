r"""Explained variation of a Cox model.

With the linear predictor η, its normal scores q (Blom's, tied η sharing the mean score) and β* the
coefficient of q in a Cox model of its own:

* Royston and Sauerbrei: :math:`D=\sqrt{8/\pi}\,\beta^*`, :math:`R^2_D=\beta^{*2}/(\pi^2/6+\beta^{*2})`;
* Kent and O'Quigley: :math:`\operatorname{Var}(\eta)/(\pi^2/6+\operatorname{Var}(\eta))`;
* Nagelkerke: :math:`(1-e^{-2(\ell-\ell_0)/n})/(1-e^{2\ell_0/n})`;
* Gönen and Heller's concordance: the mean over pairs of :math:`1/(1+e^{-|\eta_i-\eta_j|})`, which needs no
  outcomes and is right if the model is.

They describe the data of the fit and are optimistic there. Conventions of R's ``royston``.

Sources: Royston and Sauerbrei 2004; Kent and O'Quigley 1988; Nagelkerke 1991; Gönen and Heller 2005.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import ndtri

from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.kernels.concordance import mean_probability
from fiac_survival.survival.cox import CoxModel, cox
from fiac_survival.survival.cox_residuals import linear_predictor

LARGEST = 200_000
LATENT = np.pi**2 / 6.0


def explained_variation(model: CoxModel) -> pd.DataFrame:
    """Explained variation and separation of a Cox model.

    Parameters
    ----------
    model : CoxModel
        Without strata and weights, of at most 200,000 rows (pairs are counted).

    Returns
    -------
    DataFrame
        measure ("D", "R2 Royston-Sauerbrei", "R2 Kent-O'Quigley", "R2 Nagelkerke",
        "concordance Gönen-Heller"), estimate, std_error (of D; NaN for the others).

    Raises
    ------
    DataError
        If the model has strata or weights, or too many rows.

    References
    ----------
    Royston P, Sauerbrei W. A new measure of prognostic separation in survival data. Stat Med
    2004;23:723-748.
    Gönen M, Heller G. Concordance probability and discriminatory power in proportional hazards
    regression. Biometrika 2005;92:965-970.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> model = fs.survival.cox(y, [[1], [2], [1], [0], [1], [0]])
    >>> fs.survival.explained_variation(model)["estimate"].round(3).tolist()
    [1.754, 0.423, 0.325, 0.411, 0.714]
    """
    rows = model._rows
    if len(rows.strata) > 1 or np.ptp(rows.weight) > 0:
        raise DataError(
            "explained_variation takes a model without strata and weights",
            values={"strata": len(rows.strata)},
            remedy="fit one model a stratum, or use concordance",
        )
    n = model.n
    if n > LARGEST:
        raise DataError(
            "explained_variation counts pairs of rows",
            values={"rows": n, "at most": LARGEST},
            remedy="use concordance, or a sample of the rows",
        )
    eta = linear_predictor(rows, model._end)
    late = rows.entry if (rows.entry > 0).any() else None
    y = Outcome(rows.time, rows.event, entry=late)
    refit = cox(y, normal_scores(eta)[:, None], ties=model.ties)
    slope, spread = float(refit.coef.iloc[0]), float(refit.table["std_error"].iloc[0])
    variance = float(eta.var(ddof=1))
    gain = 2.0 * (model.log_likelihood - model.log_likelihood_null)
    ordered = np.sort(eta)
    each = np.empty(n)
    mean_probability(ordered, each)
    # The kernel weighs the lower first; its pairs have the higher value second.
    pairs = float(each.sum()) * 2.0 / (n * (n - 1.0))
    found = {
        "D": slope * np.sqrt(8.0 / np.pi),
        "R2 Royston-Sauerbrei": slope**2 / (LATENT + slope**2),
        "R2 Kent-O'Quigley": variance / (LATENT + variance),
        "R2 Nagelkerke": -np.expm1(-gain / n) / -np.expm1(2.0 * model.log_likelihood_null / n),
        "concordance Gönen-Heller": pairs,
    }
    out = pd.DataFrame({"measure": list(found), "estimate": list(found.values())})
    out["std_error"] = np.nan
    out.loc[0, "std_error"] = spread * np.sqrt(8.0 / np.pi)
    return out


def normal_scores(values: np.ndarray) -> np.ndarray:
    """Blom's normal scores, tied values sharing their mean score.

    Parameters
    ----------
    values : (n,) float64
        Values.

    Returns
    -------
    (n,) float64
        Scores.
    """
    n = values.size
    score = ndtri((np.arange(1, n + 1) - 0.375) / (n + 0.25))
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(values, kind="stable")
    sums = np.bincount(place[order], weights=score)
    return np.asarray((sums / np.bincount(place))[place])
