r"""Balance of covariates between two arms, before and after weighting.

The standardised mean difference divides by :math:`\sqrt{(s_1^2+s_0^2)/2}` of the **unweighted** arms,
before and after alike, so that weighting cannot improve it by changing the yardstick. After weighting,
variances are weighted ones and the Kolmogorov-Smirnov distance is between weighted distributions.
Equipoise is the share of patients whose preference score (Walker 2013) lies between 0.3 and 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.weighting.result import Weights
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
SMD_GATE = 0.1
ESS_GATE = 0.5
EQUIPOISE_GATE = 0.5


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Balance(Result):
    """Balance of covariates, and whether it passes.

    Attributes
    ----------
    table : DataFrame
        covariate, mean_treated_before, mean_control_before, mean_treated_after, mean_control_after,
        smd_before, smd_after, variance_ratio, ks; the last two after weighting.
    gates : DataFrame
        gate, value, threshold, passed. Equipoise only where there is a propensity score.
    """

    gates: pd.DataFrame


def balance(
    X: Any,
    treated: Any,
    *,
    weights: Any = None,
    data: Any = None,
    smd_gate: float = SMD_GATE,
    ess_gate: float = ESS_GATE,
    equipoise_gate: float = EQUIPOISE_GATE,
) -> Balance:
    """Compare covariates between arms.

    Parameters
    ----------
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    weights : Weights or array-like of float, optional
        Weights; none compares the arms as they are.
    data : DataFrame, optional
        The table that a formula refers to.
    smd_gate : float, default 0.1
        Largest absolute standardised mean difference that passes.
    ess_gate : float, default 0.5
        Smallest effective sample size of an arm, as a share of its patients, that passes.
    equipoise_gate : float, default 0.5
        Smallest share of patients in equipoise that passes.

    Returns
    -------
    Balance
        One row a covariate, and the gates.

    Raises
    ------
    DataError
        If weights are negative or of another length.

    References
    ----------
    Austin PC. Balance diagnostics for comparing the distribution of baseline covariates between
    treatment groups in propensity-score matched samples. Stat Med 2009;28:3083-3107.
    Walker AM et al. A tool for assessing the feasibility of comparative effectiveness research.
    Comp Eff Res 2013;3:11-20.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.compare.balance([[50], [60], [70], [55]], [0, 1, 0, 1]).table["smd_before"].round(3)
    0   -0.243
    Name: smd_before, dtype: float64
    """
    t = as_treated(treated)
    design = make_design(X, data, n=t.size)
    w = np.ones(t.size)
    propensity = None
    if isinstance(weights, Weights):
        w, propensity = weights.weights, weights.propensity
    elif weights is not None:
        w = columns.require_finite(columns.numeric(weights, "weights", n=t.size), "weights")
    if w.size != t.size or (w < 0).any():
        raise DataError(
            "weights must be one per row and not negative",
            values={"rows": t.size, "weights": w.size, "smallest": float(w.min())},
            remedy="pass the weights of these rows",
        )
    rows = []
    for j, name in enumerate(design.columns):
        a, b = design.values[t, j], design.values[~t, j]
        wa, wb = w[t], w[~t]
        yardstick = float(np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2.0))
        ma, mb = float(np.average(a, weights=wa)), float(np.average(b, weights=wb))
        rows.append(
            {
                "covariate": name,
                "mean_treated_before": float(a.mean()),
                "mean_control_before": float(b.mean()),
                "mean_treated_after": ma,
                "mean_control_after": mb,
                "smd_before": _ratio(float(a.mean() - b.mean()), yardstick),
                "smd_after": _ratio(ma - mb, yardstick),
                "variance_ratio": _ratio(_variance(a, wa), _variance(b, wb)),
                "ks": _kolmogorov_smirnov(a, wa, b, wb),
            }
        )
    table = pd.DataFrame(rows)
    share = min(_ess(w[t]) / t.sum(), _ess(w[~t]) / (~t).sum())
    gates = [
        ("largest |SMD|", float(table["smd_after"].abs().max()), smd_gate, "at most"),
        ("smallest share of effective patients in an arm", float(share), ess_gate, "at least"),
    ]
    if propensity is not None:
        gates.append(("share in equipoise", _equipoise(propensity, t), equipoise_gate, "at least"))
    return Balance(
        table=table,
        gates=pd.DataFrame(
            [
                {
                    "gate": name,
                    "value": value,
                    "threshold": f"{rule} {threshold:g}",
                    "passed": value <= threshold if rule == "at most" else value >= threshold,
                }
                for name, value, threshold, rule in gates
            ]
        ),
    )


def _ratio(a: float, b: float) -> float:
    return a / b if b > 0 else (0.0 if a == 0 else float("inf"))


def _ess(w: Floats) -> float:
    return float(w.sum() ** 2 / np.sum(w * w))


def _variance(x: Floats, w: Floats) -> float:
    mean = np.average(x, weights=w)
    total = w.sum()
    freedom = total - np.sum(w * w) / total
    return float(np.sum(w * (x - mean) ** 2) / freedom) if freedom > 0 else 0.0


def _kolmogorov_smirnov(a: Floats, wa: Floats, b: Floats, wb: Floats) -> float:
    values = np.concatenate([a, b])
    signed = np.concatenate([wa / wa.sum(), -wb / wb.sum()])
    order = np.argsort(values, kind="stable")
    gap = np.cumsum(signed[order])
    last_of_ties = np.append(np.diff(values[order]) > 0, True)
    return float(np.abs(gap[last_of_ties]).max())


def _equipoise(propensity: Floats, treated: NDArray[np.bool_]) -> float:
    """Share of patients with a preference score between 0.3 and 0.7."""
    share = treated.mean()
    logit = np.log(propensity / (1.0 - propensity)) - np.log(share / (1.0 - share))
    preference = 1.0 / (1.0 + np.exp(-logit))
    return float(np.mean((preference >= 0.3) & (preference <= 0.7)))
