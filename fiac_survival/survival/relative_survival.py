r"""Survival relative to the population: net survival, crude probabilities of death, one-sample log-rank.

Person i has the population hazard :math:`\lambda_i(u)` (:mod:`fiac_survival.survival.population`),
:math:`\Lambda_i` and :math:`S_i=e^{-\Lambda_i}`, is at risk when :math:`Y_i=1` and has died when
:math:`N_i` jumps; sums run over persons.

* **Pohar Perme** (net survival, what would be seen if the disease alone killed):
  :math:`d\hat\Lambda_E=\frac{\sum dN_i/S_i}{\sum Y_i/S_i}-\frac{\sum Y_i\,d\Lambda_i/S_i}{\sum
  Y_i/S_i}`, with variance :math:`\sum\frac{\sum dN_i/S_i^2}{(\sum Y_i/S_i)^2}`. The integral over each
  interval without entries and exits is :math:`|\Delta|\int\!\sum Y_i\lambda_i/S_i\big/\int\!\sum
  Y_i/S_i`, whose error is of second order in its length;
* **Ederer II**: the same without the weights :math:`1/S_i`: no estimator of net survival unless
  the population hazard does not vary between persons;
* **Ederer I** and **Hakulinen**: the observed curve over the expected one, :math:`\frac1n\sum S_i(t)`, or
  that of persons followed as long as they could have been;
* **crude probabilities** (Cronin and Feuer): :math:`\int S(u-)\,d\Lambda_E` and :math:`\int
  S(u-)\,d\Lambda_P` with the unweighted hazards: the shares that die of the disease and of other
  causes.

The curve is :math:`\prod(1-d\hat\Lambda_E)` over the intervals, its limits on the log scale; relative
survival may exceed 1 and rise. Conventions of R's ``relsurv``.

Sources: Pohar Perme, Stare and Estève 2012; Ederer and Heise 1959; Ederer, Axtell and Cutler 1961;
Hakulinen 1982; Cronin and Feuer 2000; Berry 1983.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.kernels.expected import expected_sums, potential_sums
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.population import Population
from fiac_survival.survival.population_rows import event_grid, require_matched_rows

Floats = NDArray[np.float64]
RelativeMethod = Literal["pohar-perme", "ederer2", "ederer1", "hakulinen"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class RelativeSurvival(Result):
    """Relative survival by group.

    Attributes
    ----------
    table : DataFrame
        group, time, n_risk, n_event, survival (relative), std_error, lower, upper,
        crude_disease, crude_population (probabilities of death), and the standard error of the first,
        crude_std_error (of both observed and expected deaths, the latter taken as known).
    method : str
        What was asked for.
    level : float
        Confidence level.
    """

    method: RelativeMethod
    level: float

    def at(self, times: Any) -> pd.DataFrame:
        """Read the curves at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times.

        Returns
        -------
        DataFrame
            group, time and the columns of the table; NaN beyond the last time of a group.
        """
        moments = times_array(times)
        parts = []
        for label, curve in self.table.groupby("group", sort=False):
            place = np.searchsorted(curve["time"].to_numpy(), moments, side="right") - 1
            found = curve.iloc[np.maximum(place, 0)].reset_index(drop=True)
            start = {
                "survival": 1.0, "lower": 1.0, "upper": 1.0, "std_error": 0.0, "n_event": 0,
                "crude_disease": 0.0, "crude_population": 0.0, "crude_std_error": 0.0,
            }  # fmt: skip
            for name, value in start.items():
                found[name] = found[name].where(place >= 0, value)
            ahead = np.searchsorted(curve["time"].to_numpy(), moments, side="left")
            at_risk = np.append(curve["n_risk"].to_numpy(), 0.0)
            found["n_risk"] = at_risk[ahead]
            beyond = moments > curve["time"].iloc[-1]
            found.loc[beyond, [*start, "n_risk"]] = np.nan
            parts.append(found.assign(group=label, time=moments))
        return pd.concat(parts, ignore_index=True)


def relative_survival(
    y: Outcome,
    population: Population,
    *,
    method: RelativeMethod = "pohar-perme",
    group: Any = None,
    weights: Any = None,
    potential: Any = None,
    step: float | None = None,
    level: float = 0.95,
) -> RelativeSurvival:
    """Estimate survival relative to that of the population.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1, times in the unit of the rate table (days); delayed entry is allowed
        except with "ederer1" and "hakulinen".
    population : Population
        The same persons, matched with a rate table.
    method : {"pohar-perme", "ederer2", "ederer1", "hakulinen"}, default "pohar-perme"
        The first alone estimates net survival.
    group : array-like, shape (n,), optional
        Labels.
    weights : array-like of float, shape (n,), optional
        Positive case weights; "pohar-perme" and "ederer2" only.
    potential : array-like of float, shape (n,), optional
        With "hakulinen": how long each person could have been followed. Left out: time for the
        censored, and for the dead up to the latest date that occurs.
    step : float, optional
        Longest interval of the integration; left out: from one entry or exit to the next.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    RelativeSurvival
        Curves with intervals, and crude probabilities of death.

    Raises
    ------
    DataError
        If lengths differ, or an option does not go with the method.

    References
    ----------
    Pohar Perme M, Stare J, Estève J. On estimation in relative survival. Biometrics 2012;68:113-120.
    Cronin KA, Feuer EJ. Cumulative cause-specific mortality for cancer patients in the presence of other
    causes. Stat Med 2000;19:1729-1740.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sex": ["f"] * 2, "age": [0, 50], "year": 2000, "rate": [1e-5, 4e-4]})
    >>> people = fs.survival.RateTable.from_frame(table).match([18000] * 3, [0] * 3, sex=["f"] * 3)
    >>> y = fs.Outcome([100, 400, 900], [1, 1, 0])
    >>> fs.survival.relative_survival(y, people).at([500])["survival"].round(3).tolist()
    [0.372]
    """
    require_choice(method, RelativeMethod, "method")
    normal_quantile(level)
    require_matched_rows(y, population, "relative_survival")
    n = len(y)
    if method in ("ederer1", "hakulinen") and (y.entry is not None or weights is not None):
        raise DataError(
            f"{method} takes neither delayed entry nor weights",
            values={"method": method},
            remedy='use "pohar-perme"',
        )
    if potential is not None and method != "hakulinen":
        raise DataError("potential goes with hakulinen only", values={"method": method})
    if step is not None and not step > 0:
        raise DataError("step must be positive", values={"step": step}, remedy="step=30, say")
    weight = np.ones(n) if weights is None else _positive(weights, n)
    until = _potential(y, population, potential) if method == "hakulinen" else None
    codes, labels = np.zeros(n, dtype=np.int64), ["all"]
    if group is not None:
        codes, labels = columns.labels(group, "group", n=n)
    parts = []
    for code, label in enumerate(labels):
        rows = np.flatnonzero(codes == code)
        mine = y.take(rows)
        ends = None if until is None else until[rows]
        curve = _curve(mine, population.take(rows), weight[rows], ends, method, step, level)
        curve.insert(0, "group", label)
        parts.append(curve)
    return RelativeSurvival(table=pd.concat(parts, ignore_index=True), method=method, level=level)


def _positive(weights: Any, n: int) -> Floats:
    from fiac_survival.core.risk_table import require_positive_weights

    return require_positive_weights(weights, n)


def _potential(y: Outcome, population: Population, potential: Any) -> Floats:
    """Potential follow-up: that of the censored is their time."""
    if potential is not None:
        given = columns.require_finite(
            columns.numeric(potential, "potential", n=len(y)), "potential"
        )
        short = np.flatnonzero(given < y.time)
        if short.size:
            raise DataError(
                "potential follow-up must not end before the observed one",
                count=int(short.size),
                row=int(short[0]),
                values={"potential": given[short[0]], "time": y.time[short[0]]},
            )
        return np.where(y.event > 0, given, y.time)
    last = float(np.max(y.time + population.date))
    return np.where(y.event > 0, last - population.date, y.time)


def population_sums(
    y: Outcome, population: Population, weight: Floats, grid: Floats, *, everybody: bool
) -> pd.DataFrame:
    """Add over persons on the intervals that end at the grid's times.

    Parameters
    ----------
    y : Outcome
        Rows.
    population : Population
        The same persons.
    weight : (n,) float64
        Case weights.
    grid : (m,) float64
        Ends of the intervals: all entries and exits among them.
    everybody : bool
        Follow persons beyond their exit for the expected survival of all.

    Returns
    -------
    DataFrame
        risk, hazard, events, events_sq, risk_net, events_net, events_net_sq, hazard_net, time_net,
        survival.
    """
    out = np.empty((grid.size, 10))
    table = population.table
    expected_sums(
        table.rates, table.age_cuts, table.date_cuts, population.key, population.age,
        population.date, y.entry_or_zero(), y.time, y.event > 0, weight, grid, everybody, out,
    )  # fmt: skip
    names = "risk hazard events events_sq risk_net events_net events_net_sq hazard_net time_net"
    return pd.DataFrame(out, columns=[*names.split(), "survival"])


def _curve(
    y: Outcome,
    population: Population,
    weight: Floats,
    until: Floats | None,
    method: RelativeMethod,
    step: float | None,
    level: float,
) -> pd.DataFrame:
    grid = event_grid(y, until, step)
    sums = population_sums(y, population, weight, grid, everybody=method == "ederer1")
    length = np.diff(grid, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        died = np.nan_to_num((sums["events"] / sums["risk"]).to_numpy())
        expected = np.nan_to_num((sums["hazard"] / sums["risk"]).to_numpy())
        spread = np.nan_to_num((sums["events_sq"] / sums["risk"] ** 2).to_numpy())
        over = np.ones(grid.size)
        match method:
            case "pohar-perme":
                excess = np.nan_to_num(
                    (sums["events_net"] / sums["risk_net"]).to_numpy()
                    - length * (sums["hazard_net"] / sums["time_net"]).to_numpy()
                )
                noise = np.nan_to_num((sums["events_net_sq"] / sums["risk_net"] ** 2).to_numpy())
            case "ederer2":
                excess, noise = died - expected, spread
            case "ederer1":
                excess, noise = died, spread
                over = sums["survival"].to_numpy() / weight.sum()
            case "hakulinen":
                assert until is not None
                excess, noise = died, spread
                over = _hakulinen(population, until, grid)
            case _:
                assert_never(method)
    survival = np.cumprod(1.0 - excess) / over
    std_error = np.sqrt(np.cumsum(noise))
    z = normal_quantile(level)
    observed = np.cumprod(1.0 - died)
    before = np.concatenate([[1.0], observed[:-1]])
    disease = np.cumsum(before * (died - expected))
    shifted = observed + disease
    crude = (
        np.cumsum(spread * shifted**2)
        - 2.0 * disease * np.cumsum(spread * shifted)
        + disease**2 * np.cumsum(spread)
    )
    return pd.DataFrame(
        {
            "time": grid,
            "n_risk": sums["risk"],
            "n_event": sums["events"],
            "survival": survival,
            "std_error": survival * std_error,
            "lower": survival * np.exp(-z * std_error),
            "upper": survival * np.exp(z * std_error),
            "crude_disease": disease,
            "crude_population": np.cumsum(before * expected),
            "crude_std_error": np.sqrt(np.maximum(crude, 0.0)),
        }
    )


def _hakulinen(population: Population, until: Floats, grid: Floats) -> Floats:
    out = np.empty((grid.size, 2))
    table = population.table
    potential_sums(
        table.rates, table.age_cuts, table.date_cuts, population.key, population.age,
        population.date, until, grid, out,
    )  # fmt: skip
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.exp(-np.cumsum(np.nan_to_num(out[:, 0] / out[:, 1])))


def expected_survival(
    y: Outcome | None, population: Population, times: Any, *, conditional: bool = False
) -> pd.DataFrame:
    """Estimate the expected survival of a group of persons.

    Parameters
    ----------
    y : Outcome or None
        Follow-up; needed if `conditional`.
    population : Population
        The persons.
    times : float or array-like of float
        Times.
    conditional : bool, default False
        False: mean of the persons' expected survival (Ederer I). True: of those still followed at each time
        (Ederer II).

    Returns
    -------
    DataFrame
        time, survival.

    Raises
    ------
    DataError
        If `conditional` comes without an outcome.

    References
    ----------
    Ederer F, Heise H. Instructions to IBM 650 programmers in processing survival computations. NCI, 1959.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> table = pd.DataFrame({"sex": ["f"] * 2, "age": [0, 50], "year": 2000, "rate": [1e-5, 4e-4]})
    >>> people = fs.survival.RateTable.from_frame(table).match([1000, 18000], [0, 0], sex=["f", "f"])
    >>> fs.survival.expected_survival(None, people, 365)["survival"].round(4).tolist()
    [0.9768]
    """
    moments = times_array(times)
    if not conditional:
        survival = [float(np.mean(np.exp(-population.cumulative_hazard(t)))) for t in moments]
        return pd.DataFrame({"time": moments, "survival": survival})
    if y is None:
        raise DataError("conditional expected survival needs follow-up", remedy="pass the outcome")
    require_matched_rows(y, population, "expected_survival")
    grid = np.union1d(event_grid(y, None, None), moments[moments > 0])
    sums = population_sums(y, population, np.ones(len(y)), grid, everybody=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.cumsum(np.nan_to_num((sums["hazard"] / sums["risk"]).to_numpy()))
    place = np.searchsorted(grid, moments, side="right")
    return pd.DataFrame(
        {"time": moments, "survival": np.exp(-np.concatenate([[0.0], hazard])[place])}
    )
