r"""Adjusted survival curves of two arms and their contrasts, from the influence of every row.

An estimator of the curves :math:`\theta_a(t)` in two arms comes with the influence of each row,
:math:`\hat\theta_a(t)-\theta_a(t)\approx\sum_i\mathrm{IF}_{ia}(t)`. So the covariance of any two of its
estimates is :math:`\sum_c(\sum_{i\in c}\mathrm{IF}_{i})(\sum_{i\in c}\mathrm{IF}'_{i})`: between arms,
between times, and between sources that share patients. Ratios have their standard error on the log scale.

The uniform band replaces the normal quantile by that of :math:`\max_t|Z(t)|`, Z being normal with the
estimates' correlation: it holds the whole curve (at the times asked for), not each point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from fiac_survival.compare.effect import Effect, cluster_covariance
from fiac_survival.core import seeds
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import (
    Transform,
    normal_quantile,
    require_choice,
    survival_interval,
)
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.survival.contrasts import contrast_table
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]
CurveMeasure = Literal["rmst", "milestone"]
DRAWS = 10_000


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class AdjustedSurvival(Result):
    """Adjusted survival of two arms.

    Attributes
    ----------
    table : DataFrame
        arm (0 control, 1 treated), time, survival, std_error, lower, upper; with a uniform band also
        band_lower and band_upper.
    rmst : DataFrame or None
        arm, tau, rmst, std_error, lower, upper, if a horizon was given.
    contrast : DataFrame
        measure ("survival" or "rmst"), time (or horizon), group, reference, contrast (difference,
        ratio; of restricted means also ratio of time lost), estimate, std_error, scale, lower, upper,
        p_value: treated against control.
    influence : (n, m) float64 or None
        Influence of each row on the m rows of `table`; None with a bootstrap.
    rmst_influence : (n, 2) float64 or None
        The same for the rows of `rmst`.
    covariance : (m, m) or (m + 2, m + 2) float64
        Of the rows of `table`, then of `rmst`.
    diagnostics : DataFrame
        quantity, value: what the estimate rests on.
    method, variance : str
        How the curves and their standard errors were made.
    level : float
        Confidence level.
    n_treated, n_control : int
        Rows.
    """

    rmst: pd.DataFrame | None
    contrast: pd.DataFrame
    influence: Floats | None
    rmst_influence: Floats | None
    covariance: Floats
    diagnostics: pd.DataFrame
    method: str
    variance: str
    level: float
    n_treated: int
    n_control: int

    def effect(self, measure: CurveMeasure, *, time: float | None = None) -> Effect:
        """Take one contrast as an effect, for the comparison of two sources.

        Parameters
        ----------
        measure : {"rmst", "milestone"}
            Difference of restricted means, or of survival at one time.
        time : float, optional
            Time of the milestone, one of those that were asked for.

        Returns
        -------
        Effect
            Difference treated minus control, as :func:`fiac_survival.compare.agreement` takes it.

        Raises
        ------
        DataError
            If it was not estimated, or there is no influence to keep.
        """
        require_choice(measure, CurveMeasure, "measure")
        if self.influence is None:
            raise DataError(
                "an effect keeps the influence of every row",
                values={"variance": self.variance},
                remedy='pass variance="influence"',
            )
        if measure == "rmst":
            if self.rmst is None or self.rmst_influence is None or time is not None:
                raise DataError(
                    "the restricted mean has the horizon that it was estimated with",
                    values={"time": time, "estimated": self.rmst is not None},
                    remedy="pass tau= to the estimator, and no time here",
                )
            moment = float(self.rmst["tau"].iloc[0])
            arms = self.rmst.drop(columns="tau").rename(columns={"rmst": "estimate"})
            influence = self.rmst_influence[:, 1] - self.rmst_influence[:, 0]
        else:
            known = self.table["time"].to_numpy()
            if time is None or not np.any(known == time):
                raise DataError(
                    "a milestone is one of the times that were asked for",
                    values={"time": time, "known": np.unique(known).tolist()},
                )
            moment = float(time)
            rows = np.flatnonzero(known == time)
            arms = self.table.loc[rows, ["arm", "survival", "std_error", "lower", "upper"]]
            arms = arms.rename(columns={"survival": "estimate"})
            influence = self.influence[:, rows[1]] - self.influence[:, rows[0]]
        kinds = {"rmst": "rmst", "milestone": "survival"}
        chosen = (self.contrast["measure"] == kinds[measure]) & (self.contrast["time"] == moment)
        row = self.contrast[chosen & (self.contrast["contrast"] == "difference")].iloc[0]
        names = ["estimate", "std_error", "lower", "upper", "p_value"]
        table = pd.DataFrame([row[names]]).assign(
            measure=measure,
            tau=moment,
            scale="identity",
            n_treated=self.n_treated,
            n_control=self.n_control,
            weight_variance="none",
        )
        return Effect(
            table=table.reset_index(drop=True),
            arms=arms.assign(arm=["control", "treated"]).reset_index(drop=True),
            measure=measure,
            tau=moment,
            estimate=float(row["estimate"]),
            std_error=float(row["std_error"]),
            lower=float(row["lower"]),
            upper=float(row["upper"]),
            p_value=float(row["p_value"]),
            level=self.level,
            scale="identity",
            influence=influence,
            weight_variance="none",
        )


@dataclass(frozen=True, eq=False)
class Curves:
    """What an estimator hands over.

    Attributes
    ----------
    times : (k,) float64
        Ascending.
    survival : (2, k) float64
        Control, then treated.
    tau : float or None
        Horizon.
    rmst : (2,) float64
        Restricted means; not used without a horizon.
    influence : (n, 2 k) or (n, 2 k + 2) float64 or None
        Control at all times, treated at all times, the two restricted means.
    covariance : (m, m) float64 or None
        Instead of the influence.
    """

    times: Floats
    survival: Floats
    tau: float | None
    rmst: Floats
    influence: Floats | None
    covariance: Floats | None = None


def check_moments(
    y: Outcome, t: NDArray[np.bool_], times: Any, tau: float | None, method: str
) -> Floats:
    """Check the times and the horizon against the follow-up of both arms.

    Parameters
    ----------
    y : Outcome
        Rows.
    t : (n,) bool
        Treatment.
    times : array-like of float
        Times.
    tau : float or None
        Horizon.
    method : str
        Name of the estimator, for messages.

    Returns
    -------
    (k,) float64
        Distinct times, ascending.

    Raises
    ------
    DataError
        If one lies beyond the follow-up of an arm, or the horizon is not positive.
    """
    moments = np.unique(times_array(times))
    if tau is not None and not (np.isfinite(tau) and tau > 0):
        raise DataError("tau must be positive", values={"tau": tau}, remedy="pass e.g. tau=60")
    latest = max(float(moments[-1]), 0.0 if tau is None else float(tau))
    for name, rows in (("control", ~t), ("treated", t)):
        end = float(y.time[rows].max())
        if latest > end:
            raise DataError(
                f"{method} goes no further than the follow-up of both arms",
                values={"time": latest, "last time": end, "arm": name},
                remedy=f"pass times and tau <= {end:g}",
            )
    return moments


def assemble(
    found: Curves,
    *,
    members: NDArray[np.int64] | None,
    treated: NDArray[np.bool_],
    level: float,
    transform: Transform,
    band: bool,
    seed: int,
    diagnostics: dict[str, float],
    method: str,
    variance: str,
    n_iter: int = 0,
    gradient_norm: float = 0.0,
) -> AdjustedSurvival:
    """Make tables and contrasts of curves and their influence.

    Parameters
    ----------
    found : Curves
        Estimates.
    members : (n,) int64 or None
        Cluster codes of the rows.
    treated : (n,) bool
        Treatment.
    level : float
        Confidence level.
    transform : str
        Scale of the curves' intervals.
    band : bool
        Whether to add a uniform band.
    seed : int
        Root seed of the band's draws.
    diagnostics : dict
        What the estimate rests on.
    method, variance : str
        Names for the result.
    n_iter, gradient_norm : int, float
        Of the fits.

    Returns
    -------
    AdjustedSurvival
        The result.
    """
    k = found.times.size
    covariance = found.covariance
    if covariance is None:
        assert found.influence is not None
        covariance = cluster_covariance(found.influence, members)
    std_error = np.sqrt(np.diag(covariance))
    flat = found.survival.ravel()
    lower, upper = survival_interval(flat, std_error[: 2 * k], level=level, transform=transform)
    table = pd.DataFrame(
        {
            "arm": np.repeat([0, 1], k),
            "time": np.tile(found.times, 2),
            "survival": flat,
            "std_error": std_error[: 2 * k],
            "lower": lower,
            "upper": upper,
        }
    )
    if band:
        limits = [
            uniform_band(
                found.survival[a],
                covariance[a * k : (a + 1) * k, a * k : (a + 1) * k],
                level=level,
                transform=transform,
                seed=seed,
            )
            for a in (0, 1)
        ]
        table["band_lower"] = np.concatenate([b[0] for b in limits])
        table["band_upper"] = np.concatenate([b[1] for b in limits])
    rmst = None
    if found.tau is not None:
        z = normal_quantile(level)
        rmst = pd.DataFrame(
            {
                "arm": [0, 1],
                "tau": found.tau,
                "rmst": found.rmst,
                "std_error": std_error[2 * k :],
                "lower": found.rmst - z * std_error[2 * k :],
                "upper": found.rmst + z * std_error[2 * k :],
            }
        )
    return AdjustedSurvival(
        table=table,
        n_iter=n_iter,
        gradient_norm=gradient_norm,
        rmst=rmst,
        contrast=_contrasts(found, covariance, level),
        influence=None if found.influence is None else found.influence[:, : 2 * k],
        rmst_influence=None
        if found.influence is None or found.tau is None
        else found.influence[:, 2 * k :],
        covariance=covariance,
        diagnostics=pd.DataFrame(
            {"quantity": list(diagnostics), "value": list(diagnostics.values())}
        ),
        method=method,
        variance=variance,
        level=level,
        n_treated=int(treated.sum()),
        n_control=int((~treated).sum()),
    )


def _contrasts(found: Curves, covariance: Floats, level: float) -> pd.DataFrame:
    k, parts = found.times.size, []
    for j, moment in enumerate(found.times):
        part = contrast_table(
            ["control", "treated"],
            found.survival[:, j],
            covariance[np.ix_([j, k + j], [j, k + j])],
            kinds=("difference", "ratio"),
            level=level,
            horizon=float(moment),
        )
        parts.append(part.assign(measure="survival", time=moment))
    if found.tau is not None:
        part = contrast_table(
            ["control", "treated"],
            found.rmst,
            covariance[2 * k :, 2 * k :],
            kinds=("difference", "ratio", "ratio of time lost"),
            level=level,
            horizon=found.tau,
        )
        parts.append(part.assign(measure="rmst", time=found.tau))
    table = pd.concat(parts, ignore_index=True)
    first = ["measure", "time"]
    return table[first + [name for name in table.columns if name not in first]]


def uniform_band(
    survival: Floats, covariance: Floats, *, level: float, transform: Transform, seed: int
) -> tuple[Floats, Floats]:
    """Limits that hold the curve at all its times at once.

    Parameters
    ----------
    survival : (k,) float64
        The curve.
    covariance : (k, k) float64
        Of its points.
    level : float
        Confidence level.
    transform : str
        Scale on which the band is symmetric.
    seed : int
        Root seed of the draws.

    Returns
    -------
    lower, upper : (k,) float64
        The band; as wide everywhere in standard errors.
    """
    std_error = np.sqrt(np.diag(covariance))
    known = std_error > 0
    wider = level
    if known.any():
        scaled = covariance[np.ix_(known, known)] / np.outer(std_error[known], std_error[known])
        values, vectors = np.linalg.eigh(scaled)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = seeds.stream(seed, "uniform band").standard_normal((DRAWS, values.size))
        quantile = float(np.quantile(np.abs(normal @ root.T).max(axis=1), level))
        wider = float(2.0 * ndtr(quantile) - 1.0)
    return survival_interval(survival, std_error, level=wider, transform=transform)
