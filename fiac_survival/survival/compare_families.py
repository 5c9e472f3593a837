r"""Several parametric families on the same data, side by side.

Criteria compare fits, not extrapolations: families whose AIC differ by a point or two may tell very
different stories beyond the data. The table therefore goes with the families' extrapolated means and
hazards. Akaike weights are :math:`e^{-\Delta_k/2}/\sum_j e^{-\Delta_j/2}` with Δ the distance to the
smallest AIC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.parametric import parametric
from fiac_survival.survival.parametric_model import ParametricModel
from fiac_survival.survival.smooth_hazard import hazard_comparison

STANDARD = (
    "exponential",
    "weibull",
    "gompertz",
    "lognormal",
    "loglogistic",
    "gamma",
    "gengamma",
    "royston_parmar",
)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class FamilyComparison(Result):
    """Parametric families fitted to the same rows.

    Attributes
    ----------
    table : DataFrame
        family, n_parameters, log_likelihood, aic, bic, delta_aic, akaike_weight, converged; smallest
        AIC first, families without a maximum last.
    models : dict
        The fitted models by family.
    failures : dict
        What a family without a maximum said.
    level : float
        Confidence level.
    """

    models: Mapping[str, ParametricModel]
    failures: Mapping[str, str]
    level: float
    _y: Outcome = field(repr=False)
    _weights: Any = field(repr=False)

    def _each(self, method: str, *args: Any, **options: Any) -> pd.DataFrame:
        frames = [
            getattr(model, method)(*args, **options).assign(family=name)
            for name, model in self.models.items()
        ]
        out = pd.concat(frames, ignore_index=True)
        names = ["family", *[c for c in out.columns if c != "family"]]
        table: pd.DataFrame = out[names]
        return table

    def survival(self, t: Any, X: Any = None, **options: Any) -> pd.DataFrame:
        """Give the survival of each family.

        Parameters
        ----------
        t, X, **options
            As in :meth:`ParametricModel.survival`.

        Returns
        -------
        DataFrame
            family, row, time, survival, std_error, lower, upper.
        """
        return self._each("survival", t, X, **options)

    def rmst(self, tau: Any, X: Any = None, **options: Any) -> pd.DataFrame:
        """Give the restricted means of each family, and their shares beyond the data.

        Parameters
        ----------
        tau, X, **options
            As in :meth:`ParametricModel.rmst`.

        Returns
        -------
        DataFrame
            family, row, tau, rmst, ..., share_beyond.
        """
        return self._each("rmst", tau, X, **options)

    def extrapolation(self, tau: float, *, n_times: int = 121) -> pd.DataFrame:
        """Put the curves of all families, up to a horizon, beside the Kaplan-Meier curve.

        Parameters
        ----------
        tau : float
            Horizon.
        n_times : int, default 121
            Times of each family's curve, from 0 to the horizon.

        Returns
        -------
        DataFrame
            family ("Kaplan-Meier" first), time, survival, lower, upper, data_end.

        Raises
        ------
        DataError
            If the horizon is not positive.
        """
        if not (np.isfinite(tau) and tau > 0):
            raise DataError("tau must be positive", values={"tau": tau}, remedy="pass e.g. tau=60")
        names = ["time", "survival", "lower", "upper"]
        observed = kaplan_meier(self._y, weights=self._weights, level=self.level).table
        start = pd.DataFrame({"time": [0.0], "survival": 1.0, "lower": 1.0, "upper": 1.0})
        steps = pd.concat([start, observed.loc[observed["time"] > 0, names]])
        steps = steps[steps["time"] <= tau].assign(family="Kaplan-Meier")
        fitted = self.survival(np.linspace(0.0, tau, n_times))
        out = pd.concat([steps, fitted], ignore_index=True).assign(data_end=self._y.max_time)
        table: pd.DataFrame = out[["family", *names, "data_end"]]
        return table

    def hazards(self, t: Any = None, *, bandwidth: float | None = None) -> pd.DataFrame:
        """Put the hazards of all families beside a kernel estimate.

        Parameters
        ----------
        t : float or array-like of float, optional
            Positive times; left out, 100 from the first to the last event.
        bandwidth : float, optional
            Of the kernel; see :func:`fiac_survival.survival.smoothed_hazard`.

        Returns
        -------
        DataFrame
            source ("kernel" or the family), time, hazard, std_error, lower, upper.
        """
        return hazard_comparison(
            self._y,
            self.models,
            weights=self._weights,
            times=t,
            bandwidth=bandwidth,
            level=self.level,
        )


@single_threaded_blas
def compare_families(
    y: Outcome,
    *,
    families: Sequence[Any] | Mapping[str, Mapping[str, Any]] = STANDARD,
    X: Any = None,
    data: Any = None,
    weights: Any = None,
    cluster: Any = None,
    level: float = 0.95,
) -> FamilyComparison:
    """Fit several parametric families and compare their criteria.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1.
    families : sequence of str, or mapping
        Names of families; or labels with the options of
        :func:`fiac_survival.survival.parametric`, e.g.
        ``{"spline, odds": {"family": "royston_parmar", "scale": "odds"}}``.
    X, data, weights, cluster, level
        As :func:`fiac_survival.survival.parametric` has them, for all families.

    Returns
    -------
    FamilyComparison
        Criteria, models, extrapolations. A family without a maximum is listed with what it said, and
        the comparison then counts as not converged.

    Raises
    ------
    DataError
        If the data or an option break a rule, or no family is named.
    ConvergenceError
        If none of the families has a maximum.

    References
    ----------
    Burnham KP, Anderson DR. Model Selection and Multimodel Inference. Springer, 2002.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> found = fs.survival.compare_families(y, families=["exponential", "weibull"])
    >>> found.table[["family", "aic"]].round(2).values.tolist()
    [['exponential', 28.22], ['weibull', 28.5]]
    """
    wanted = (
        {label: dict(options) for label, options in families.items()}
        if isinstance(families, Mapping)
        else {str(name): {"family": name} for name in families}
    )
    if not wanted:
        raise DataError("a comparison needs at least one family", remedy="name some in families")
    models: dict[str, ParametricModel] = {}
    failures: dict[str, str] = {}
    first: ConvergenceError | None = None
    for label, options in wanted.items():
        try:
            models[label] = parametric(
                y,
                **({"X": X, "data": data, "weights": weights} | options),
                cluster=cluster,
                level=level,
            )
        except ConvergenceError as error:
            failures[label], first = str(error), first or error
    if first is not None and not models:
        raise first
    table = pd.DataFrame(
        {
            "family": list(models),
            "n_parameters": [m.coef.size for m in models.values()],
            "log_likelihood": [m.log_likelihood for m in models.values()],
            "aic": [m.aic for m in models.values()],
            "bic": [m.bic for m in models.values()],
        }
    ).sort_values("aic", kind="stable", ignore_index=True)
    delta = table["aic"] - table["aic"].min()
    weight = np.exp(-0.5 * delta)
    table = table.assign(delta_aic=delta, akaike_weight=weight / weight.sum(), converged=True)
    if failures:
        failed = pd.DataFrame({"family": list(failures), "converged": False})
        table = table.merge(failed, how="outer", on=["family", "converged"], sort=False)
        order = {name: k for k, name in enumerate([*_by_aic(models), *failures])}
        table = table.sort_values("family", key=lambda s: s.map(order), ignore_index=True)
    return FamilyComparison(
        table=table,
        converged=not failures,
        n_iter=max(m.n_iter for m in models.values()),
        gradient_norm=max(m.gradient_norm for m in models.values()),
        models={name: models[name] for name in _by_aic(models)},
        failures=failures,
        level=level,
        _y=y,
        _weights=weights,
    )


def _by_aic(models: Mapping[str, ParametricModel]) -> list[str]:
    return sorted(models, key=lambda name: models[name].aic)
