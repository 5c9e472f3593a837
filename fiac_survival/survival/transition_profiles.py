r"""Transition probabilities of a covariate profile, from Cox models of the transitions.

A profile x has increments :math:`dA_k(u|x)=e^{x'\beta_k}dA_{k0}(u)` and the product integral of
:mod:`fiac_survival.survival.transition_estimates`. They vary in two ways: the baseline given the
coefficients, whose increments are uncorrelated, with variance :math:`e^{2x'\beta}\,dN/S_0^2`; and the
coefficients, through :math:`\partial dA_k(u|x)/\partial\beta_k=e^{x'\beta_k}(x-\bar x_k(u))\,dA_{k0}(u)`,
which makes increments at different times correlated. ``variance="delta"`` carries both through the product
integral. ``variance="increments"`` takes the increments of the covariance of :math:`\hat A(t|x)` as that of
independent increments, as R's ``mstate`` does (``msfit``, ``probtrans``): it leaves out the correlation
over time.

Where few are at risk the increments of a profile out of one state may add up to more than 1. They are then
cut to 1; if the cut concerns more than 0.05 of the probability, there is no prediction (an error).

Sources: Andersen, Hansen, Keiding 1991; de Wreede, Fiocco, Putter 2010.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError, SupportError
from fiac_survival.core.intervals import Transform, require_choice
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import CoxModel, Ties
from fiac_survival.survival.cox_residuals import block_means
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.transition_counts import cut_to_one, hazard_steps
from fiac_survival.survival.transition_curves import (
    Panel,
    TransitionProbabilities,
    collect,
    make_panel,
)
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_steps import HazardSteps

Floats = NDArray[np.float64]
Transition = tuple[Any, Any]
ProfileVariance = Literal["delta", "increments"]

LARGEST_CUT = 0.05


@dataclass(frozen=True, eq=False)
class Block:
    """Transitions that share coefficients (mostly one), their model and its place.

    Attributes
    ----------
    codes : list of int
        The transitions.
    model : CoxModel
        Fitted to the stays from which they lead, with one stratum per transition.
    place : slice
        Position of its coefficients among all.
    """

    codes: list[int]
    model: CoxModel
    place: slice


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class TransitionCox(Result):
    """Cox models of all transitions.

    Attributes
    ----------
    table : DataFrame
        from_state, to_state, term, coef, hazard_ratio, std_error (of coef), lower, upper (of the hazard
        ratio), z, p_value; shared coefficients stand at each of their transitions.
    covariance : DataFrame
        Covariance of all coefficients, labelled ``term [from -> to]``; robust if so asked.
    log_likelihood, log_likelihood_null : float
        Partial log-likelihood at the estimate and at zero.
    tests : DataFrame
        test (likelihood ratio, wald, score), statistic, df, p_value, of all coefficients being 0.
    models : dict
        The Cox model of each transition that has covariates.
    ties, variance : str
        "efron" or "breslow"; "model" or "clustered" (by person).
    level : float
        Confidence level of the table.
    """

    covariance: pd.DataFrame
    log_likelihood: float
    log_likelihood_null: float
    tests: pd.DataFrame
    models: dict[Transition, CoxModel]
    ties: Ties
    variance: str
    level: float
    _data: TransitionData = field(repr=False)
    _blocks: list[Block] = field(repr=False)
    _weight: Floats = field(repr=False)

    @single_threaded_blas
    def predict(
        self,
        profile: Any,
        *,
        start: Any = None,
        from_time: float = 0.0,
        horizon: float | None = None,
        variance: ProfileVariance = "delta",
        level: float = 0.95,
        transform: Transform = "log-log",
    ) -> TransitionProbabilities:
        """Predict transition probabilities of covariate profiles.

        Parameters
        ----------
        profile : DataFrame or 2-D array
            One row per profile, with the columns that the model was fitted on. The index names the
            profiles.
        start : label or list of labels, optional
            States held at `from_time`; left out, every state that leads anywhere.
        from_time : float, default 0
            Time from which transitions are followed.
        horizon : float, optional
            Time up to which they are followed; left out, the end of follow-up.
        variance : {"delta", "increments"}, default "delta"
            "delta" carries the coefficients' uncertainty through the whole product integral;
            "increments" takes hazard increments as independent, as R's ``mstate`` does.
        level : float, default 0.95
            Confidence level.
        transform : str, default "log-log"
            Scale on which the interval is symmetric.

        Returns
        -------
        TransitionProbabilities
            One group per profile.

        Raises
        ------
        DataError
            If a column or a state is unknown, or no transition happened after `from_time`.
        SupportError
            If a profile's hazard increments out of a state exceed 1 where that matters: too few are at
            risk.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> import pandas as pd
        >>> data = fs.survival.TransitionData.from_intervals(
        ...     person=range(6), entry=[0] * 6, exit=[3, 5, 8, 10, 4, 9],
        ...     to_state=["dead", "dead", "dead", None, "dead", None], initial_state="alive")
        >>> grade = pd.DataFrame({"grade": [1, 2, 1, 0, 1, 0]})
        >>> model = fs.survival.transition_cox(data, grade)
        >>> profiles = pd.DataFrame({"grade": [0, 1]}, index=["low", "high"])
        >>> found = model.predict(profiles).at(6).query("to_state == 'dead'")
        >>> found[["group", "probability"]].round(2).values.tolist()
        [['low', 0.15], ['high', 0.44]]
        """
        require_choice(variance, ProfileVariance, "variance")
        since = float(times_array(from_time, "from_time")[0])
        end = np.inf if horizon is None else float(times_array(horizon, "horizon")[0])
        data = self._data
        listed = sorted(set(data.source.tolist()))
        if start is not None:
            listed = [
                data.code(s, "start") for s in (start if isinstance(start, list) else [start])
            ]
        names = (
            list(profile.index) if isinstance(profile, pd.DataFrame) else list(range(len(profile)))
        )
        panels = []
        for i, name in enumerate(names):
            one = profile.iloc[[i]] if isinstance(profile, pd.DataFrame) else [profile[i]]
            steps, excess = self._steps(one, since, end, variance)
            for j in listed:
                initial = np.eye(len(data.states))[j]
                panel = make_panel(
                    name, data.states[j], initial, np.zeros((1, initial.size)), steps
                )
                _require_little_cut(panel, excess, data)
                panels.append(panel)
        return collect(
            panels,
            transitions=data.transitions,
            states=data.states,
            from_time=since,
            variance=f"cox, {variance}",
            level=level,
            transform=transform,
        )

    def _steps(
        self, profile: Any, since: float, until: float, variance: ProfileVariance
    ) -> tuple[HazardSteps, Floats]:
        """Hazard increments of one profile and how they vary; what was cut off them."""
        data, size = self._data, self._data.source.size
        plain = hazard_steps(
            data, np.arange(len(data)), self._weight, since=since, variance="aalen"
        )
        time = plain.time[plain.time <= until]
        if time.size == 0:
            raise DataError(
                "a prediction needs a transition between from_time and horizon",
                values={"from_time": since, "horizon": until},
                remedy="choose an earlier from_time or a later horizon",
            )
        assert plain.noise is not None
        hazard, noise = plain.hazard[: time.size].copy(), plain.noise[: time.size].copy()
        parameters = self.covariance.shape[0]
        slope = np.zeros((time.size, size, parameters))
        for block in self._blocks:
            rows, end = block.model._rows, block.model._end
            x = block.model._design.again(profile)
            if x.shape[0] != 1:
                raise DataError("a profile must be one row", values={"rows": x.shape[0]})
            z = (x[0] - rows.centre) / rows.scale
            relative = float(np.exp(z @ end.beta))
            _, hazard_mean, _ = block_means(rows, end)
            for stratum, k in enumerate(block.codes):
                mine = (
                    (rows.block_stratum == stratum)
                    & (rows.block_time > since)
                    & (rows.block_time <= until)
                )
                place = np.searchsorted(time, rows.block_time[mine])
                step = end.ties[mine, 0]
                hazard[:, k], noise[:, k, k] = 0.0, 0.0
                hazard[place, k] = relative * step
                noise[place, k, k] = relative**2 * end.ties[mine, 2]
                change = relative * (z * step[:, None] - hazard_mean[mine]) * rows.scale
                slope[place, k, block.place] = change
        excess = cut_to_one(data, hazard)
        covariance = self.covariance.to_numpy()
        coefficients: Floats | None = covariance
        carried: Floats | None = slope
        if variance == "increments":
            total = np.cumsum(slope, axis=0)
            together = np.matmul(np.matmul(total, covariance), total.transpose(0, 2, 1))
            noise = noise + np.diff(together, axis=0, prepend=0.0)
            coefficients = carried = None
        steps = HazardSteps(
            time=time,
            source=data.source,
            target=data.target,
            states=len(data.states),
            hazard=hazard,
            last_time=min(plain.last_time, until),
            noise=noise,
            noise_updated=variance == "increments",
            slope=carried,
            coefficient_covariance=coefficients,
        )
        return steps, excess


def _require_little_cut(panel: Panel, excess: Floats, data: TransitionData) -> None:
    """Refuse a prediction if a state of more than LARGEST_CUT had its increments cut."""
    before = np.vstack([panel.initial[None, :], panel.curve])[:-1]
    concerned = np.where(excess > 0, before, 0.0)
    if concerned.max() <= LARGEST_CUT:
        return
    u, j = np.unravel_index(int(np.argmax(concerned > LARGEST_CUT)), concerned.shape)
    raise SupportError(
        "the hazard increments of a profile must not exceed 1 in a state that it may well be in",
        values={
            "profile": panel.group,
            "state": data.states[j],
            "time": float(panel.steps.time[u]),
            "increment": float(1.0 + excess[u, j]),
            "probability": float(before[u, j]),
        },
        remedy="too few are at risk there: pass an earlier horizon",
    )
