"""Transition probabilities as a result: tables, values at given times, lengths of stay."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, normal_quantile, survival_interval
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.transition_steps import HazardSteps

Floats = NDArray[np.float64]

INITIAL = "(initial)"


@dataclass(frozen=True, eq=False)
class Panel:
    """Probabilities from one starting point in one group.

    Attributes
    ----------
    group, start : object
        Labels of the group and of the state of the start.
    initial : (S,) float64
        Distribution at the start.
    influence : (C, S) float64
        Influence of each person on it; zeros if it is known.
    steps : HazardSteps
        Increments and their variation.
    curve : (m, S) float64
        Probabilities after each grid time.
    covariance : (m, S, S) float64
        Their covariance.
    """

    group: Any
    start: Any
    initial: Floats
    influence: Floats
    steps: HazardSteps
    curve: Floats
    covariance: Floats

    def read(self, times: Floats) -> tuple[Floats, Floats]:
        """Probabilities and standard errors at given times.

        Parameters
        ----------
        times : (k,) float64
            None before the start.

        Returns
        -------
        probability, std_error : (k, S) float64
            Values of the step functions.
        """
        start = self.influence.T @ self.influence
        place = np.searchsorted(self.steps.time, times, side="right")
        probability = np.vstack([self.initial[None, :], self.curve])[place]
        variances = np.einsum("ujj->uj", np.concatenate([start[None], self.covariance]))
        return probability, np.sqrt(np.maximum(variances[place], 0.0))


def make_panel(
    group: Any, start: Any, initial: Floats, influence: Floats, steps: HazardSteps
) -> Panel:
    """Run the product integral and its covariance.

    Parameters
    ----------
    group, start, initial, influence, steps
        As :class:`Panel` has them.

    Returns
    -------
    Panel
        With curve and covariance.
    """
    curve = steps.curve(initial)
    covariance = steps.covariance(initial, influence, curve)
    return Panel(group, start, initial, influence, steps, curve, covariance)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TransitionProbabilities(Result):
    """Probabilities of being in each state, by starting state and time.

    Attributes
    ----------
    table : DataFrame
        group, from_state, to_state, time, probability, std_error, lower, upper: the start and each time
        at which anybody moved. State occupation has ``(initial)`` as from_state.
    hazards : DataFrame
        group, from_state, to_state, time, cumulative_hazard, std_error: Nelson-Aalen (or predicted)
        cumulative transition hazards since `from_time`.
    states : tuple
        The states, in order.
    from_time : float
        Time at which the starting state is held.
    variance : str
        How standard errors were computed.
    level : float
        Confidence level of the limits.
    transform : str
        Scale on which the interval is symmetric.
    """

    hazards: pd.DataFrame
    states: tuple[Any, ...]
    from_time: float
    variance: str
    level: float
    transform: Transform
    _panels: list[Panel] = field(repr=False)

    def at(self, times: Any) -> pd.DataFrame:
        """Read the probabilities at given times.

        Parameters
        ----------
        times : float or array-like of float
            Times from `from_time` on; beyond the last transition its values are carried on.

        Returns
        -------
        DataFrame
            group, from_state, to_state, time, probability, std_error, lower, upper.

        Raises
        ------
        DataError
            If a time is before `from_time`.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals(
        ...     [1, 2, 3, 4], [0, 0, 0, 0], [2, 4, 6, 8], ["ill", "dead", "ill", None],
        ...     initial_state="well")
        >>> found = fs.survival.transition_probabilities(data).at(5)
        >>> found[["to_state", "probability"]].round(3).values.tolist()
        [['well', 0.5], ['dead', 0.25], ['ill', 0.25]]
        """
        moments = times_array(times)
        if (moments < self.from_time).any():
            raise DataError(
                "times must not be before the time of the start",
                values={"time": float(moments.min()), "from_time": self.from_time},
                remedy="choose an earlier from_time",
            )
        parts = [tidy(p, moments, self.states, self.level, self.transform) for p in self._panels]
        return pd.concat(parts, ignore_index=True)

    @single_threaded_blas
    def length_of_stay(self, tau: float) -> pd.DataFrame:
        """Compute the expected time spent in each state from `from_time` to τ.

        Parameters
        ----------
        tau : float
            Horizon, not beyond the follow-up of any group.

        Returns
        -------
        DataFrame
            group, from_state, state, stay, std_error, lower, upper; the stays of one start add up to
            τ minus `from_time`.

        Raises
        ------
        DataError
            If the horizon is not after `from_time`, or beyond the follow-up.

        References
        ----------
        Beyersmann J, Putter H. A note on computing average state occupation times. Demographic Research
        2014;30:1681-1696.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals(
        ...     [1, 2, 3, 4], [0, 0, 0, 0], [2, 4, 6, 8], ["ill", "dead", "ill", None],
        ...     initial_state="well")
        >>> probabilities = fs.survival.transition_probabilities(data, variance="greenwood")
        >>> probabilities.length_of_stay(8)["stay"].tolist()
        [5.0, 1.0, 2.0]
        """
        moment = float(times_array(tau, "tau")[0])
        end = min(panel.steps.last_time for panel in self._panels)
        if not self.from_time < moment <= end:
            raise DataError(
                "tau must lie after from_time and within the follow-up of every group",
                values={"tau": moment, "from_time": self.from_time, "follow-up": end},
                remedy="choose a horizon that the data reach",
            )
        z = normal_quantile(self.level)
        parts = []
        for p in self._panels:
            stay, variance = p.steps.stays(p.initial, p.influence, p.curve, self.from_time, moment)
            std_error = np.sqrt(np.maximum(variance, 0.0))
            parts.append(
                pd.DataFrame(
                    {
                        "group": p.group,
                        "from_state": p.start,
                        "state": list(self.states),
                        "stay": stay,
                        "std_error": std_error,
                        "lower": np.maximum(stay - z * std_error, 0.0),
                        "upper": np.minimum(stay + z * std_error, moment - self.from_time),
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def covariance(
        self, time: float, *, from_state: Any = INITIAL, group: Any = "all"
    ) -> pd.DataFrame:
        """Read the covariance of the state probabilities at one time.

        Parameters
        ----------
        time : float
            Time from `from_time` on.
        from_state : object
            Starting state; left out, the initial distribution of a state occupation.
        group : object, default "all"
            Group.

        Returns
        -------
        DataFrame
            Covariance matrix, states by states.

        Raises
        ------
        DataError
            If the result has no such start or group, or the time is before `from_time`.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> data = fs.survival.TransitionData.from_intervals(
        ...     [1, 2], [0, 0], [2, 4], ["dead", None], initial_state="alive")
        >>> found = fs.survival.state_occupation(data).covariance(3)
        >>> found.loc["alive", "dead"].round(3).tolist()
        -0.125
        """
        moment = float(times_array(time, "time")[0])
        chosen = [p for p in self._panels if p.start == from_state and p.group == group]
        if not chosen or moment < self.from_time:
            raise DataError(
                "the result must have the start, the group and the time",
                values={"from_state": from_state, "group": group, "time": moment},
                remedy="see the table for what there is",
            )
        p = chosen[0]
        place = int(np.searchsorted(p.steps.time, moment, side="right"))
        matrix = p.covariance[place - 1] if place else p.influence.T @ p.influence
        return pd.DataFrame(matrix, index=list(self.states), columns=list(self.states))


def collect(
    panels: list[Panel],
    *,
    transitions: tuple[tuple[Any, Any], ...],
    states: tuple[Any, ...],
    from_time: float,
    variance: str,
    level: float,
    transform: Transform,
) -> TransitionProbabilities:
    """Make the result of panels.

    Parameters
    ----------
    panels : list of Panel
        One per group and start.
    transitions, states : tuple
        Of the data.
    from_time, variance, level, transform
        As the result has them.

    Returns
    -------
    TransitionProbabilities
        With its tables.
    """
    tables = []
    hazards: list[pd.DataFrame] = []
    seen: set[int] = set()
    for p in panels:
        moments = np.append(from_time, p.steps.time)
        tables.append(tidy(p, moments, states, level, transform))
        if id(p.steps) not in seen:
            seen.add(id(p.steps))
            hazards += _hazard_tables(p, transitions)
    return TransitionProbabilities(
        table=pd.concat(tables, ignore_index=True),
        hazards=pd.concat(hazards, ignore_index=True),
        states=states,
        from_time=from_time,
        variance=variance,
        level=level,
        transform=transform,
        _panels=panels,
    )


def _hazard_tables(p: Panel, transitions: tuple[tuple[Any, Any], ...]) -> list[pd.DataFrame]:
    total = np.cumsum(p.steps.hazard, axis=0)
    std_error = np.sqrt(p.steps.hazard_variance())
    return [
        pd.DataFrame(
            {
                "group": p.group,
                "from_state": j,
                "to_state": to,
                "time": p.steps.time,
                "cumulative_hazard": total[:, k],
                "std_error": std_error[:, k],
            }
        )
        for k, (j, to) in enumerate(transitions)
    ]


def tidy(
    p: Panel, times: Floats, states: tuple[Any, ...], level: float, transform: Transform
) -> pd.DataFrame:
    """Read one panel at given times.

    Parameters
    ----------
    p : Panel
        The panel.
    times : (k,) float64
        Times.
    states : tuple
        Labels of the states.
    level : float
        Confidence level.
    transform : str
        Scale of the interval.

    Returns
    -------
    DataFrame
        group, from_state, to_state, time, probability, std_error, lower, upper.
    """
    probability, std_error = p.read(times)
    values, errors = probability.T.ravel(), std_error.T.ravel()
    lower, upper = survival_interval(
        np.clip(values, 0.0, 1.0), errors, level=level, transform=transform
    )
    never = np.repeat(~_reachable(p), times.size)
    return pd.DataFrame(
        {
            "group": p.group,
            "from_state": p.start,
            "to_state": np.repeat(np.array(states, dtype=object), times.size),
            "time": np.tile(times, len(states)),
            "probability": values,
            "std_error": errors,
            "lower": np.where(never, 0.0, lower),
            "upper": np.where(never, 0.0, upper),
        }
    )


def _reachable(p: Panel) -> NDArray[np.bool_]:
    """Find the states that can be held at all: their probability is not 0 by structure."""
    reached = p.initial > 0
    for _ in range(p.initial.size):
        for j, to in zip(p.steps.source, p.steps.target, strict=True):
            reached[to] |= reached[j]
    return np.asarray(reached)
