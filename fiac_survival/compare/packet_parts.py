"""What a site packet is made of: tables under disclosure control, as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.effect import Effect, effect
from fiac_survival.compare.packet_bounds import coarsen
from fiac_survival.compare.packet_score import EXACT, FEW, score_curve
from fiac_survival.core.errors import DisclosureError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.protocol import Estimand, Protocol
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure import EstimateTable, LinearOutputs, Profile, control_disclosure
from fiac_survival.survival.logrank import logrank
from fiac_survival.weighting import Weights, balance

QUARTER = {"day": 91.0, "month": 3.0, "year": 0.25}
WEIGHT_DIGITS = 6


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Turn a table into JSON values.

    Parameters
    ----------
    frame : DataFrame
        Rows.

    Returns
    -------
    list of dict
        A dict a row; missing values are None.
    """
    plain: list[dict[str, Any]] = []
    for row in frame.to_dict("records"):
        values = {str(k): v.item() if isinstance(v, np.generic) else v for k, v in row.items()}
        plain.append({k: None if v != v else v for k, v in values.items()})
    return plain


def release_moments(
    risk: RiskTable, rules: Profile, protocol: Protocol, site: str
) -> tuple[dict[Any, list[float]] | None, LinearOutputs]:
    """Find the moments at which each arm may be released, on a grid that is the same for all sites.

    Parameters
    ----------
    risk : RiskTable
        By arm.
    rules : Profile
        The rules.
    protocol : Protocol
        For the unit.
    site : str
        Name of the population in the audit.

    Returns
    -------
    moments : dict or None
        For each arm; None where nothing has to be delayed.
    outputs : LinearOutputs
        What the release says about counts.

    Raises
    ------
    DisclosureError
        If rows have delayed entry, or too little happened in an arm.
    """
    if not rules.protects:
        return None, LinearOutputs(())
    if (risk.table["entry"] > 0).any():
        raise DisclosureError(
            "curves with delayed entry cannot be delayed in time",
            remedy="end the packet's estimands at single times, or start follow-up at time zero",
        )
    step = protocol.release.every or QUARTER[protocol.follow_up.unit]
    grid = np.round(np.ceil(risk.table["time"] / step - 1e-9) * step, 10)
    rounded = RiskTable.from_table(risk.table.assign(time=grid)[["group", "time", "status", "n"]])
    done = control_disclosure(rounded, profile=rules)
    coarse = done.risk_table
    assert coarse is not None
    if set(coarse.groups) != set(risk.groups):
        raise DisclosureError(
            "too little happened in an arm for a curve to leave",
            values={"arms released": ", ".join(map(str, coarse.groups)) or "none"},
            remedy="wait for more follow-up, or release estimates only",
        )
    moments = {g: sorted(set(rows["time"].tolist())) for g, rows in coarse.table.groupby("group")}
    renamed = LinearOutputs(
        tuple(r._replace(cell=r.cell._replace(population=site)) for r in done.outputs.released),
        tuple(
            s._replace(
                total=s.total._replace(population=site),
                parts=tuple(p._replace(population=site) for p in s.parts),
            )
            for s in done.outputs.sums
        ),
    )
    return moments, renamed


def method_part(
    name: str,
    weights: Weights | None,
    y: Outcome,
    t: NDArray[np.bool_],
    arm: NDArray[Any],
    rules: Profile,
    protocol: Protocol,
    moments: dict[Any, list[float]] | None,
) -> dict[str, Any]:
    """Make what a packet holds of one method.

    Parameters
    ----------
    name : str
        Of the method.
    weights : Weights or None
        Its weights.
    y : Outcome
        Rows.
    t : (n,) bool
        Treatment.
    arm : (n,) ndarray
        Label of the arm.
    rules : Profile
        Disclosure rules.
    protocol : Protocol
        Estimands.
    moments : dict or None
        Moments of release.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    DisclosureError
        If a subset of patients would stand beside all of them.
    """
    w = None if weights is None else weights.weights
    used = np.ones(len(y), dtype=bool) if w is None else w > 0
    mine = y if used.all() else y.take(np.flatnonzero(used))
    if rules.protects and not used.all():
        raise DisclosureError(
            "a subset of the patients must not stand beside all of them",
            values={"method": name},
            remedy="use weights instead of matching, or release matched estimates only",
        )
    if w is not None:
        w = w[used]
    risk = RiskTable.from_outcome(mine, group=arm[used], weights=w)
    if moments is not None:
        risk = coarsen(risk, moments)
    columns = ["group", "entry", "time", "status", "n", "weight", "weight_sq"]
    table = risk.table[columns].copy()
    events = _events(mine, t[used], None)
    if rules.protects:
        for column in ("weight", "weight_sq"):
            table[column] = [float(f"{v:.{WEIGHT_DIGITS}g}") for v in table[column]]
    ends = [None, *(e.censor_at for e in protocol.estimands if e.measure == "hazard_ratio")]
    scores = [
        {"censor_at": end, "curve": _score(mine, t[used], w, end, rules)}
        for end in dict.fromkeys(ends)
    ]
    test = logrank(mine, t[used], weights=w)
    row = test.table.set_index("group").loc[True]
    difference = float(row["observed"] - row["expected"])
    variance = difference**2 / test.statistic if test.statistic > 0 else float("nan")
    log = pd.DataFrame([{"observed_minus_expected": difference, "variance": variance}])
    return {
        "method": name,
        "weighted": w is not None,
        "risk": records(table),
        "estimates": _estimates(y, t, weights, protocol, rules),
        "logrank": _controlled(log, rules, events, ())[0],
        "scores": scores,
    }


def _score(
    y: Outcome, t: NDArray[np.bool_], w: Any, end: float | None, rules: Profile
) -> list[dict[str, Any]]:
    curve = score_curve(cut(y, end), t, w, FEW if rules.protects else EXACT)
    return _controlled(pd.DataFrame(curve), rules, _events(y, t, end), ("beta",))


def cut(y: Outcome, end: float | None) -> Outcome:
    """End follow-up at a common time.

    Parameters
    ----------
    y : Outcome
        Rows.
    end : float or None
        Where; None leaves them as they are.

    Returns
    -------
    Outcome
        Censored there.
    """
    if end is None:
        return y
    return Outcome(np.minimum(y.time, end), (y.event > 0) & (y.time <= end), entry=y.entry)


def _controlled(
    frame: pd.DataFrame, rules: Profile, basis: int | list[int], labels: Sequence[str]
) -> list[dict[str, Any]]:
    table = EstimateTable(frame, basis=basis, labels=list(labels))
    return records(control_disclosure(table, profile=rules).table)


def _events(y: Outcome, t: NDArray[np.bool_], end: float | None) -> int:
    """Events up to an end in the arm that has fewer."""
    happened = (y.event > 0) & (y.time <= (np.inf if end is None else end))
    return int(min(happened[t].sum(), happened[~t].sum()))


def _estimates(
    y: Outcome, t: NDArray[np.bool_], weights: Weights | None, protocol: Protocol, rules: Profile
) -> list[dict[str, Any]]:
    rows, basis = [], []
    for estimand in protocol.estimands:
        found = estimate(y, t, weights, estimand)
        basis.append(_events(y, t, estimand.tau or estimand.censor_at))
        rows.append(
            {
                "estimand": estimand.name,
                "measure": estimand.measure,
                "tau": np.nan if estimand.tau is None else estimand.tau,
                "estimate": found.estimate,
                "std_error": found.std_error,
                "scale": found.scale,
                "lower": found.lower,
                "upper": found.upper,
                "weight_variance": found.weight_variance,
            }
        )
    return _controlled(pd.DataFrame(rows), rules, basis, ("tau",))


def estimate(
    y: Outcome, t: NDArray[np.bool_], weights: Weights | None, estimand: Estimand
) -> Effect:
    """Estimate an estimand of the protocol at a site.

    Parameters
    ----------
    y : Outcome
        Rows.
    t : (n,) bool
        Treatment.
    weights : Weights or None
        Weights of the method.
    estimand : Estimand
        What to estimate.

    Returns
    -------
    Effect
        Estimate and interval.
    """
    return effect(
        cut(y, estimand.censor_at), t, measure=estimand.measure, weights=weights, tau=estimand.tau
    )


def balance_part(
    covariates: pd.DataFrame | None,
    t: NDArray[np.bool_],
    weights: Mapping[str, Weights],
    rules: Profile,
) -> list[dict[str, Any]]:
    """Make the balance moments of all methods.

    Parameters
    ----------
    covariates : DataFrame or None
        Covariates.
    t : (n,) bool
        Treatment.
    weights : mapping
        By method.
    rules : Profile
        Disclosure rules.

    Returns
    -------
    list of dict
        covariate, smd_before, smd_after, method.
    """
    if covariates is None:
        return []
    few = int(min(t.sum(), (~t).sum()))
    parts = []
    for name, w in {"unadjusted": None, **weights}.items():
        found = balance(covariates, t, weights=w).table
        keep = [c for c in ("covariate", "smd_before", "smd_after") if c in found]
        parts.append(found[keep].assign(method=name))
    frame = pd.concat(parts, ignore_index=True)
    return _controlled(frame, rules, few, ())
