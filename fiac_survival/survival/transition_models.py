r"""Cox models of transitions.

For a person with covariates x, the hazard of transition k, among those in the state it leads from, is
:math:`\lambda_k(t)e^{x'\beta_k}`. Each transition has its own baseline and, unless shared, its own
coefficients, so that the model is a Cox model stratified by transition with transition-specific covariates.
Its covariance is the inverse information or, robust, the sum of squares of each person's influence on all
coefficients together.

Sources: Putter, Fiocco, Geskus 2007; Andersen, Hansen, Keiding 1991; Lin and Wei 1989.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import chdtrc

from fiac_survival.core import columns
from fiac_survival.core.errors import DataError, FiacError
from fiac_survival.core.intervals import normal_quantile, two_sided_p
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import require_positive_weights
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.cox import CoxModel, Ties, cox
from fiac_survival.survival.transition_data import TransitionData
from fiac_survival.survival.transition_profiles import Block, Transition, TransitionCox

Floats = NDArray[np.float64]


@single_threaded_blas
def transition_cox(
    data: TransitionData,
    X: Any,
    *,
    frame: pd.DataFrame | None = None,
    share: Sequence[Sequence[Transition]] = (),
    ties: Ties = "breslow",
    weights: Any = None,
    robust: bool | None = None,
    level: float = 0.95,
) -> TransitionCox:
    """Fit a Cox model to each transition.

    Parameters
    ----------
    data : TransitionData
        Intervals in states.
    X : DataFrame, 2-D array, formula, or mapping of (from, to) to one of these
        Covariates, one row per row of the table that the data were made from. A mapping gives each
        transition its own; transitions that it leaves out keep a baseline hazard only.
    frame : DataFrame, optional
        The table that formulas refer to.
    share : sequence of sequences of (from, to), default ()
        Transitions that have the same coefficients, each with its own baseline.
    ties : {"breslow", "efron"}, default "breslow"
        Treatment of tied events.
    weights : array-like of float, optional
        Positive case weights, one per row of the table.
    robust : bool, optional
        Variance by person, over all transitions. Left out: True with weights that are not whole numbers.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    TransitionCox
        Coefficients by transition; predictions for profiles.

    Raises
    ------
    DataError
        If a transition is unknown or shared twice, has no event, or its covariates are constant or
        redundant among those at risk (named).
    ConvergenceError
        If the likelihood of a transition (named) has no maximum.

    References
    ----------
    Putter H, Fiocco M, Geskus RB. Tutorial in biostatistics: competing risks and multi-state models.
    Stat Med 2007;26:2389-2430.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> import pandas as pd
    >>> data = fs.survival.TransitionData.from_intervals(
    ...     person=range(6), entry=[0] * 6, exit=[3, 5, 8, 10, 4, 9],
    ...     to_state=["dead", "dead", "dead", None, "dead", None], initial_state="alive")
    >>> model = fs.survival.transition_cox(data, pd.DataFrame({"grade": [1, 2, 1, 0, 1, 0]}))
    >>> model.table[["from_state", "to_state", "term", "hazard_ratio"]].round(2).values.tolist()
    [['alive', 'dead', 'grade', 3.26]]
    """
    if not isinstance(data, TransitionData):
        raise DataError(
            "transition_cox takes a TransitionData",
            values={"type": type(data).__name__},
            remedy="make one: fs.survival.TransitionData.from_wide or .from_intervals",
        )
    normal_quantile(level)
    weight = np.ones(data.n_rows)
    if weights is not None:
        weight = require_positive_weights(weights, data.n_rows)
    if robust is None:
        robust = bool(np.any(weight != np.floor(weight)))
    blocks: list[Block] = []
    gathered: list[Floats] = []
    begin = 0
    for codes, covariates in _plan(data, X, share):
        model, influence = _fit_block(
            data, codes, covariates, frame, weight, ties=ties, robust=robust, level=level
        )
        place = slice(begin, begin + model.coef.size)
        begin = place.stop
        blocks.append(Block(codes, model, place))
        gathered.append(influence)
    labels = [f"{term} [{_name(data, b.codes)}]" for b in blocks for term in b.model.coef.index]
    covariance = np.zeros((begin, begin))
    if robust:
        everything = np.concatenate(gathered, axis=1)
        covariance = everything.T @ everything
    else:
        for b in blocks:
            covariance[b.place, b.place] = b.model.model_covariance
    return TransitionCox(
        table=_table(data, blocks, covariance, level),
        converged=True,
        n_iter=max(b.model.n_iter for b in blocks),
        gradient_norm=max(b.model.gradient_norm for b in blocks),
        covariance=pd.DataFrame(covariance, index=labels, columns=labels),
        log_likelihood=sum(b.model.log_likelihood for b in blocks),
        log_likelihood_null=sum(b.model.log_likelihood_null for b in blocks),
        tests=_tests(blocks, covariance),
        models={data.transitions[k]: b.model for b in blocks for k in b.codes},
        ties=ties,
        variance="clustered" if robust else "model",
        level=level,
        _data=data,
        _blocks=blocks,
        _weight=weight[data.row],
    )


def _name(data: TransitionData, codes: list[int]) -> str:
    return ", ".join("{} -> {}".format(*data.transitions[k]) for k in codes)


def _plan(
    data: TransitionData, X: Any, share: Sequence[Sequence[Transition]]
) -> list[tuple[list[int], Any]]:
    """Which transitions are fitted together, and on what."""
    by_transition = dict(X) if isinstance(X, Mapping) else dict.fromkeys(data.transitions, X)
    named = [*by_transition, *(tuple(t) for together in share for t in together)]
    unknown = [t for t in named if t not in data.transitions]
    if unknown:
        raise DataError(
            "transitions must be among those of the data",
            values={"unknown": unknown[0], "transitions": data.transitions},
            remedy="write them as (from, to)",
        )
    if not by_transition:
        raise DataError("a model needs covariates for at least one transition")
    plan: list[tuple[list[int], Any]] = []
    taken: set[Transition] = set()
    for together in share:
        members = [tuple(t) for t in together]
        bad = [t for t in members if t in taken or t not in by_transition]
        bad += [
            t for t in members if t not in bad and by_transition[t] is not by_transition[members[0]]
        ]
        if bad:
            raise DataError(
                "transitions that share coefficients must have the same covariates, and be named once",
                values={"transition": bad[0]},
                remedy="give them the same entry in X, or share fewer",
            )
        taken |= set(members)
        plan.append((sorted(data.transitions.index(t) for t in members), by_transition[members[0]]))
    for t, covariates in by_transition.items():
        if t not in taken:
            plan.append(([data.transitions.index(t)], covariates))
    return sorted(plan, key=lambda item: item[0][0])


def _fit_block(
    data: TransitionData,
    codes: list[int],
    covariates: Any,
    frame: pd.DataFrame | None,
    weight: Floats,
    *,
    ties: Ties,
    robust: bool,
    level: float,
) -> tuple[CoxModel, Floats]:
    """Fit transitions that share coefficients; also the influence of each person, weights inside."""
    parts = [np.flatnonzero(data.state == data.source[k]) for k in codes]
    rows = np.concatenate(parts)
    stratum = np.concatenate([np.full(part.size, s) for s, part in enumerate(parts)])
    event = data.transition[rows] == np.array(codes)[stratum]
    y = Outcome(data.outcome.time[rows], event, entry=data.outcome.entry_or_zero()[rows])
    at = data.row[rows]
    formula = isinstance(covariates, str)
    table = frame if formula else covariates
    chosen: Any = None
    if table is not None:
        if not isinstance(table, pd.DataFrame):
            values, names = columns.matrix(table, "X")
            table = pd.DataFrame(values, columns=names)
        if len(table) != data.n_rows:
            raise DataError(
                "covariates must have one row per row of the table that the data were made from",
                values={"rows": len(table), "needed": data.n_rows},
                remedy="pass the table that the data were made from",
            )
        chosen = table.iloc[at].reset_index(drop=True)
    try:
        model = cox(
            y,
            covariates if formula else chosen,
            data=chosen if formula else None,
            ties=ties,
            strata=stratum if len(codes) > 1 else None,
            weights=weight[at],
            cluster=data.person[rows] if robust else None,
            robust=robust,
            level=level,
        )
    except FiacError as error:
        error.values = {"transition": _name(data, codes), **error.values}
        raise
    influence = np.zeros((len(data.persons), model.coef.size))
    if robust:
        np.add.at(influence, data.person[rows], model.influence * weight[at, None])
    return model, influence


def _table(
    data: TransitionData, blocks: list[Block], covariance: Floats, level: float
) -> pd.DataFrame:
    z = normal_quantile(level)
    parts = []
    for k in range(data.source.size):
        for b in blocks:
            if k not in b.codes:
                continue
            coef = b.model.coef.to_numpy()
            std_error = np.sqrt(np.diag(covariance)[b.place])
            parts.append(
                pd.DataFrame(
                    {
                        "from_state": data.states[data.source[k]],
                        "to_state": data.states[data.target[k]],
                        "term": list(b.model.coef.index),
                        "coef": coef,
                        "hazard_ratio": np.exp(coef),
                        "std_error": std_error,
                        "lower": np.exp(coef - z * std_error),
                        "upper": np.exp(coef + z * std_error),
                        "z": coef / std_error,
                        "p_value": [two_sided_p(v) for v in coef / std_error],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _tests(blocks: list[Block], covariance: Floats) -> pd.DataFrame:
    coef = np.concatenate([b.model.coef.to_numpy() for b in blocks])
    found = {"likelihood ratio": 0.0, "wald": float(coef @ np.linalg.solve(covariance, coef))}
    found["score"] = 0.0
    for b in blocks:
        single = b.model.tests.set_index("test")["statistic"]
        found["likelihood ratio"] += float(single["likelihood ratio"])
        found["score"] += float(single["score"])
    return pd.DataFrame(
        {
            "test": list(found),
            "statistic": list(found.values()),
            "df": coef.size,
            "p_value": [float(chdtrc(coef.size, value)) for value in found.values()],
        }
    )
