r"""Transition probabilities and state occupation by the Aalen-Johansen estimator.

With :math:`dA_{jl}(u)=dN_{jl}(u)/Y_j(u)` and :math:`dA_{jj}=-\sum_l dA_{jl}`,

.. math:: P(s,t) = \prod_{s<u\le t}\bigl(I+dA(u)\bigr), \qquad p(t) = p(s)\,P(s,t),

the probabilities of each state at t given the state at s, and the occupation of the states from the
distribution p(s) of those at risk just after s. Variances:

- Aalen: Poisson increments, :math:`dN_{jl}/Y_j^2`, those of different transitions uncorrelated, weighed by
  P(s,u) as R's ``mstate`` does.
- Greenwood: multinomial increments,
  :math:`\operatorname{Cov}(dA_{jl},dA_{jm})=dN_{jl}(\delta_{lm}Y_j-dN_{jm})/Y_j^3`, weighed by P(s,u-).
- Infinitesimal jackknife: the influence of each person,
  :math:`U_c(t)=\sum_{u\le t}\sum_{jl}p_j(u-)\frac{dN_{c,jl}-Y_{cj}dA_{jl}}{Y_j}(e_l-e_j)P(u,t)`, plus that
  on p(s) if it is estimated; the variance is the sum of squares over persons. It holds with weights, with
  several stays of a person in one state, and for state occupation in models that are not Markov.

State occupation probabilities are consistent without the Markov property. Transition probabilities are
not; the landmark estimator takes, for each start j, only persons who are in j at s, and is.

Sources: Aalen and Johansen 1978; Andersen, Borgan, Gill, Keiding 1993; Datta and Satten 2001; de Wreede,
Fiocco, Putter 2010 (R ``mstate``); Putter and Spitoni 2018 (landmark Aalen-Johansen); Therneau, R
``survival`` (``survfit`` of several states).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import Transform, normal_quantile, require_choice
from fiac_survival.core.risk_table import ALL, require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.inputs import times_array
from fiac_survival.survival.nelson_aalen import HazardTies
from fiac_survival.survival.transition_counts import hazard_steps
from fiac_survival.survival.transition_curves import (
    INITIAL,
    Panel,
    TransitionProbabilities,
    collect,
    make_panel,
)
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_steps import HazardSteps

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
TransitionVariance = Literal["aalen", "greenwood", "jackknife"]


@single_threaded_blas
def transition_probabilities(
    data: TransitionData,
    *,
    start: Any = None,
    from_time: float = 0.0,
    landmark: bool = False,
    ties: HazardTies = "breslow",
    variance: TransitionVariance = "aalen",
    group: Any = None,
    weights: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> TransitionProbabilities:
    r"""Estimate transition probabilities (Aalen-Johansen).

    Parameters
    ----------
    data : TransitionData
        Intervals in states.
    start : label or list of labels, optional
        States held at `from_time`; left out, every state that leads anywhere.
    from_time : float, default 0
        Time s from which transitions are followed.
    landmark : bool, default False
        Whether each start is estimated from those persons only who are in it at `from_time` (landmark
        Aalen-Johansen), which needs no Markov property.
    ties : {"breslow", "fleming-harrington"}, default "breslow"
        Hazard increment of d tied transitions of one kind: d/Y, or one after the other,
        :math:`\sum_{k<d} 1/(Y-k)`, which needs unit weights and Aalen's variance (R's ``LMAJ`` has it).
    variance : {"aalen", "greenwood", "jackknife"}, default "aalen"
        Variance of the probabilities and of the cumulative hazards.
    group : array-like, optional
        Labels, one per row of the table that the data were made from; one set of curves a label.
    weights : array-like of float, optional
        Positive case weights, one per row of that table, taken as known. Fractions need the jackknife;
        the other two read weights as numbers of repeated rows.
    level : float, default 0.95
        Confidence level.
    transform : {"log-log", "log", "logit", "plain", "arcsine"}, default "log-log"
        Scale on which the interval is symmetric.

    Returns
    -------
    TransitionProbabilities
        Probabilities, cumulative hazards, lengths of stay.

    Raises
    ------
    DataError
        If a state is unknown, nobody is at risk after `from_time`, nobody is in a start at a landmark, a
        person changes group, or an option does not go with the weights or the variance.
    SupportError
        If increments of ties taken one by one exceed 1 out of a state.

    References
    ----------
    Aalen OO, Johansen S. An empirical transition matrix for non-homogeneous Markov chains based on
    censored observations. Scand J Stat 1978;5:141-150.
    Putter H, Spitoni C. Non-parametric estimation of transition probabilities in non-Markov multi-state
    models: the landmark Aalen-Johansen estimator. Stat Methods Med Res 2018;27:2081-2092.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> data = fs.survival.TransitionData.from_intervals(
    ...     person=[1, 1, 2, 3, 4, 4], entry=[0, 2, 0, 0, 0, 3], exit=[2, 6, 4, 8, 3, 9],
    ...     from_state=["well", "ill", "well", "well", "well", "ill"],
    ...     to_state=["ill", "dead", "dead", None, "ill", None])
    >>> found = fs.survival.transition_probabilities(data, start="well", variance="greenwood")
    >>> found.at(7)[["to_state", "probability", "std_error"]].round(3).values.tolist()
    [['dead', 0.5, 0.25], ['ill', 0.25, 0.217], ['well', 0.25, 0.217]]
    """
    require_choice(variance, TransitionVariance, "variance")
    require_choice(ties, HazardTies, "ties")
    one_by_one = ties == "fleming-harrington"
    if one_by_one and (weights is not None or variance != "aalen"):
        raise DataError(
            "ties taken one by one need unit weights and Aalen's variance",
            values={"variance": variance, "weights": "given" if weights is not None else "none"},
            remedy='leave ties at "breslow"',
        )
    since, weight, groups = _checked(data, from_time, group, weights, variance, level)
    if start is None:
        chosen_states = sorted(set(data.source.tolist()))
    else:
        listed = (
            list(start) if isinstance(start, Sequence) and not isinstance(start, str) else [start]
        )
        if isinstance(start, tuple) and start in data.states:
            listed = [start]
        chosen_states = [data.code(label, "start") for label in listed]
    panels: list[Panel] = []
    for label, rows in groups:
        shared = None
        for j in chosen_states:
            if landmark:
                there = _persons_in(data, rows, j, since)
                if there.size == 0:
                    raise DataError(
                        "a landmark needs persons in the start at its time",
                        values={"state": data.states[j], "from_time": since, "group": label},
                        remedy="choose another time or start",
                    )
                mine = rows[np.isin(data.person[rows], there)]
                steps = hazard_steps(
                    data, mine, weight, since=since, variance=variance, one_by_one=one_by_one
                )
            else:
                if shared is None:
                    shared = hazard_steps(
                        data, rows, weight, since=since, variance=variance, one_by_one=one_by_one
                    )
                steps = shared
            initial = np.eye(len(data.states))[j]
            panels.append(
                make_panel(label, data.states[j], initial, _known(steps, initial.size), steps)
            )
    return collect(
        panels,
        transitions=data.transitions,
        states=data.states,
        from_time=since,
        variance=variance,
        level=level,
        transform=transform,
    )


@single_threaded_blas
def state_occupation(
    data: TransitionData,
    *,
    initial: Any = None,
    from_time: float = 0.0,
    variance: TransitionVariance = "jackknife",
    group: Any = None,
    weights: Any = None,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> TransitionProbabilities:
    """Estimate the probability of being in each state over time.

    Parameters
    ----------
    data : TransitionData
        Intervals in states.
    initial : array-like of float, shape (S,), optional
        Distribution over the states at `from_time`, in their order. Left out: that of the persons at
        risk just after it, whose uncertainty the jackknife takes along.
    from_time : float, default 0
        Time of the initial distribution.
    variance : {"jackknife", "aalen", "greenwood"}, default "jackknife"
        "aalen" and "greenwood" take the initial distribution as known and rest on the Markov property.
    group, weights, level, transform
        As in :func:`transition_probabilities`.

    Returns
    -------
    TransitionProbabilities
        With ``(initial)`` as from_state.

    Raises
    ------
    DataError
        As :func:`transition_probabilities`, or if `initial` is not a distribution over the states.

    References
    ----------
    Datta S, Satten GA. Validity of the Aalen-Johansen estimators of stage occupation probabilities and
    Nelson-Aalen estimators of integrated transition hazards for non-Markov models. Stat Probab Lett
    2001;55:403-411.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> data = fs.survival.TransitionData.from_intervals(
    ...     person=[1, 1, 2, 3], entry=[0, 2, 0, 0], exit=[2, 6, 4, 8],
    ...     to_state=["ill", "dead", "dead", None], initial_state="well")
    >>> found = fs.survival.state_occupation(data).at(5)
    >>> found[["to_state", "probability", "std_error"]].round(3).values.tolist()
    [['well', 0.333, 0.272], ['dead', 0.333, 0.272], ['ill', 0.333, 0.272]]
    """
    require_choice(variance, TransitionVariance, "variance")
    since, weight, groups = _checked(data, from_time, group, weights, variance, level)
    panels = []
    for label, rows in groups:
        steps = hazard_steps(data, rows, weight, since=since, variance=variance)
        if initial is None:
            share, influence = _observed_distribution(data, rows, weight, since, steps)
        else:
            share = _distribution(initial, data)
            influence = _known(steps, share.size)
        panels.append(make_panel(label, INITIAL, share, influence, steps))
    return collect(
        panels,
        transitions=data.transitions,
        states=data.states,
        from_time=since,
        variance=variance,
        level=level,
        transform=transform,
    )


def _checked(
    data: TransitionData,
    from_time: float,
    group: Any,
    weights: Any,
    variance: TransitionVariance,
    level: float,
) -> tuple[float, Floats, list[tuple[Any, Ints]]]:
    """Check what both estimators take: time, weight of each interval, intervals of each group."""
    if not isinstance(data, TransitionData):
        raise DataError(
            "multistate estimators take a TransitionData",
            values={"type": type(data).__name__},
            remedy="make one: fs.survival.TransitionData.from_wide or .from_intervals",
        )
    normal_quantile(level)
    since = float(times_array(from_time, "from_time")[0])
    weight = np.ones(len(data))
    if weights is not None:
        per_row = require_positive_weights(weights, data.n_rows)
        if variance != "jackknife" and np.any(per_row != np.floor(per_row)):
            raise DataError(
                "weights that are fractions need the jackknife",
                values={"variance": variance},
                remedy='pass variance="jackknife"',
            )
        weight = per_row[data.row]
    groups: list[tuple[Any, Ints]] = [(ALL, np.arange(len(data)))]
    if group is not None:
        codes, labels = columns.labels(group, "group", n=data.n_rows)
        mine = codes[data.row]
        lowest = np.full(len(data.persons), len(labels))
        np.minimum.at(lowest, data.person, mine)
        changed = np.flatnonzero(mine != lowest[data.person])
        if changed.size:
            raise DataError(
                "a person must stay in one group",
                count=int(changed.size),
                row=int(data.row[changed[0]]),
                values={"group": labels[mine[changed[0]]]},
                remedy="group by what is known at the start; a state can hold what changes",
            )
        groups = [(label, np.flatnonzero(mine == c)) for c, label in enumerate(labels)]
        groups = [(label, rows) for label, rows in groups if rows.size]
    for label, rows in groups:
        late = data.outcome.time[rows] > since
        if not (late & (data.transition[rows] >= 0)).any():
            raise DataError(
                "a multistate estimator needs a transition after from_time in every group",
                values={"from_time": since, "group": label},
                remedy="choose an earlier time",
            )
    return since, weight, groups


def _known(steps: HazardSteps, states: int) -> Floats:
    return np.zeros((1 if steps.rows is None else steps.rows.persons, states))


def _persons_in(data: TransitionData, rows: Ints, state: int, when: float) -> Ints:
    begin, end = data.outcome.entry_or_zero()[rows], data.outcome.time[rows]
    there = (data.state[rows] == state) & (begin <= when) & (when < end)
    return np.unique(data.person[rows][there])


def _observed_distribution(
    data: TransitionData, rows: Ints, weight: Floats, since: float, steps: HazardSteps
) -> tuple[Floats, Floats]:
    """Distribution over the states of those at risk just after a time, and each person's influence."""
    kept = rows[data.outcome.time[rows] > since]
    at_start = data.outcome.entry_or_zero()[kept] <= since
    if not at_start.any():
        raise DataError(
            "an initial distribution needs persons at risk at from_time",
            values={"from_time": since},
            remedy="choose a later time, or pass initial=",
        )
    size = len(data.states)
    mine = kept[at_start]
    total = np.bincount(data.state[mine], weights=weight[mine], minlength=size)
    share = total / weight[mine].sum()
    influence = _known(steps, size)
    if steps.rows is not None:
        moved = (np.eye(size)[data.state[mine]] - share) * weight[mine, None] / weight[mine].sum()
        np.add.at(influence, steps.rows.person[at_start], moved)
    return share, influence


def _distribution(initial: Any, data: TransitionData) -> Floats:
    share = columns.require_finite(
        columns.numeric(initial, "initial", n=len(data.states)), "initial"
    )
    if (share < 0).any() or abs(share.sum() - 1.0) > 1e-9:
        raise DataError(
            "initial must be a distribution over the states",
            values={"sum": float(share.sum()), "states": data.states},
            remedy="pass shares that are not negative and add up to 1",
        )
    return share
