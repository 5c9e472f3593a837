r"""Estimates from the packets of several sites.

Risk tables add, once every table has been coarsened to the moments that all sites released: curves and
restricted means of the sum, with the bounds of :mod:`fiac_survival.compare.packet_bounds` on what the
pooled rows would have given. Without coarsening they are what the rows would have given. Hazard ratios and
log-rank tests are stratified by site and come from what each site computed on its rows.

The agreement of two packets is that of :func:`fiac_survival.compare.agreement` for independent patients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import chdtrc

from fiac_survival.compare.agreement import Agreement, agreement
from fiac_survival.compare.effect import Effect
from fiac_survival.compare.packet import ARMS, SitePacket
from fiac_survival.compare.packet_bounds import bounds, coarsen, rmst_bounds
from fiac_survival.compare.packet_score import pool_scores
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.intervals import normal_quantile, two_sided_p
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure import audit
from fiac_survival.survival.kaplan_meier import kaplan_meier
from fiac_survival.survival.milestone import milestone
from fiac_survival.survival.rmst import rmst


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PooledPackets(Result):
    """Estimates over several sites.

    Attributes
    ----------
    table : DataFrame
        method, estimand, measure, tau, estimate, std_error, scale, lower, upper, lowest, highest: treated
        minus control or their hazard ratio; what the rows pooled would have given lies between the last
        two, which are missing for hazard ratios.
    arms : DataFrame
        The same of each arm, for restricted means and milestones.
    curves : DataFrame
        method, arm, time, n_risk, survival, std_error, lower, upper, lowest, highest.
    tests : DataFrame
        method, statistic, df, p_value of the log-rank test stratified by site.
    sites : tuple of str
        Their names.
    simulated : bool
        Whether any packet is of simulated data.
    """

    arms: pd.DataFrame
    curves: pd.DataFrame
    tests: pd.DataFrame
    sites: tuple[str, ...]
    simulated: bool
    level: float = 0.95
    packets: tuple[SitePacket, ...] = field(default=(), repr=False)


def pool_packets(
    packets: Sequence[SitePacket], protocol: Protocol, *, level: float = 0.95
) -> PooledPackets:
    """Pool packets that sites made under one protocol.

    Parameters
    ----------
    packets : sequence of SitePacket
        Two or more, of different sites.
    protocol : Protocol
        Under which they were made.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    PooledPackets
        Estimates by method.

    Raises
    ------
    DataError
        If a site stands twice, or no moment of release is common.
    ProtocolError
        If packets are of different protocols.
    DisclosureError
        If a small count can be solved back from the packets together.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> cohort, protocol = fs.cohort.example_cohort()
    >>> cohort.engine.close()
    >>> y = fs.Outcome([300, 366, 366, 200, 400, 380], [1, 0, 1, 1, 0, 0])
    >>> treated = [True, False, True, False, True, False]
    >>> made = [fs.compare.SitePacket.build(y, treated, site=site, role="public", protocol=protocol,
    ...                                     protocol_sha256="0" * 64) for site in ("north", "south")]
    >>> pooled = fs.compare.pool_packets(made, protocol)
    >>> pooled.table[["estimand", "estimate"]].round(3).values.tolist()
    [['survival_1_year', 0.0]]
    """
    given = list(packets)
    _together(given, protocol)
    exact = all(p.content["exact"] for p in given)
    if not exact:
        threshold = max(p.profile.threshold for p in given)
        audit([p.outputs for p in given], threshold=threshold).require()
    z = normal_quantile(level)
    effects, arms, curves, tests = [], [], [], []
    for method in _common_methods(given):
        risk = pooled_risk_table(given, method)
        curve = _curves(risk, exact, level)
        curves.append(curve.assign(method=method))
        contrasts, of_arms = _contrasts(risk, curve, exact, protocol, level)
        effects += [row | {"method": method} for row in contrasts]
        arms += [row | {"method": method} for row in of_arms]
        parts = [p._method(method) for p in given]
        for estimand in protocol.estimands:
            if estimand.measure == "hazard_ratio":
                scores = [_score(p, estimand.censor_at) for p in parts]
                ratio = pool_scores(scores, robust=risk.weighted)
                effects.append(
                    {"method": method, "estimand": estimand.name}
                    | _row("hazard_ratio", np.nan, ratio.log_hazard_ratio, ratio.std_error, z)
                )
        tests.append({"method": method} | _logrank(parts))
    order = ["method", "estimand", "measure", "tau", "estimate", "std_error", "scale"]
    ends = ["lower", "upper", "lowest", "highest"]
    table = pd.DataFrame(effects)
    return PooledPackets(
        table=table.reindex(columns=[*order, *ends]),
        arms=pd.DataFrame(arms).reindex(
            columns=["method", "estimand", "measure", "tau", "arm", "estimate", "std_error", *ends]
        ),
        curves=pd.concat(curves, ignore_index=True),
        tests=pd.DataFrame(tests),
        sites=tuple(p.site for p in given),
        simulated=any(p.content["simulated"] for p in given),
        level=level,
        packets=tuple(given),
    )


def _together(packets: list[SitePacket], protocol: Protocol) -> None:
    if len(packets) < 2:
        raise DataError("pooling needs two packets or more", values={"packets": len(packets)})
    names = [p.site for p in packets]
    if len(set(names)) < len(names):
        raise DataError(
            "every site must send one packet",
            values={"site": next(n for n in names if names.count(n) > 1)},
            remedy="leave the older one out",
        )
    prints = {p.content["protocol_sha256"] for p in packets}
    strange = [p.site for p in packets if p.content["study"] != protocol.name]
    if len(prints) > 1 or strange:
        raise ProtocolError(
            "packets must have been made under one protocol",
            values={"site": strange[0] if strange else names[-1], "study": protocol.name},
            remedy="send every site the same study.toml and ask for new packets",
        )


def _common_methods(packets: list[SitePacket]) -> list[str]:
    first = [part["method"] for part in packets[0].content["methods"]]
    others = [{part["method"] for part in p.content["methods"]} for p in packets[1:]]
    return [name for name in first if all(name in other for other in others)]


def pooled_risk_table(packets: Sequence[SitePacket], method: str) -> RiskTable:
    """Add the risk tables of several packets, at the moments that all of them released.

    Parameters
    ----------
    packets : sequence of SitePacket
        Of different sites.
    method : str
        Name of a method that all have.

    Returns
    -------
    RiskTable
        By arm; as it would be of the pooled rows if no packet is coarsened.

    Raises
    ------
    DataError
        If there is no common moment.
    """
    tables = [p.risk(method) for p in packets]
    coarse = [t for t, p in zip(tables, packets, strict=True) if not p.content["exact"]]
    if coarse:
        moments: dict[Any, list[float]] = {}
        for arm in ARMS:
            released = [set(t.table.loc[t.table["group"] == arm, "time"].tolist()) for t in coarse]
            moments[arm] = sorted(set.intersection(*released))
            if not moments[arm]:
                raise DataError(
                    "every arm must have a moment of release that all sites have",
                    values={"arm": arm, "sites": len(packets)},
                    remedy="set a longer [release] every in the protocol, and ask for new packets",
                )
        tables = [coarsen(t, moments) for t in tables]
    total = tables[0]
    for table in tables[1:]:
        total = total + table
    return total


def _curves(risk: RiskTable, exact: bool, level: float) -> pd.DataFrame:
    found = kaplan_meier(risk, level=level).table.rename(columns={"group": "arm"})
    columns = ["arm", "time", "n_risk", "survival", "std_error", "lower", "upper"]
    found = found[columns]
    if exact:
        return found.assign(lowest=found["survival"], highest=found["survival"])
    ends = bounds(risk).rename(columns={"group": "arm"})
    return found.merge(ends, on=["arm", "time"], how="left", validate="one_to_one")


def _contrasts(
    risk: RiskTable, curve: pd.DataFrame, exact: bool, protocol: Protocol, level: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    z = normal_quantile(level)
    effects: list[dict[str, Any]] = []
    arms: list[dict[str, Any]] = []
    for estimand in protocol.estimands:
        if estimand.measure == "hazard_ratio":
            continue
        tau = float(estimand.tau or 0.0)
        if estimand.measure == "rmst":
            found = _by_group(rmst(risk, tau=tau, level=level).table)
            value = "rmst"
        else:
            found = _by_group(milestone(risk, times=[tau], level=level).table)
            value = "survival"
        ends: dict[str, tuple[float, float]] = {}
        for arm in ARMS:
            estimate = float(found[arm][value])
            own = curve[curve["arm"] == arm]
            ends[arm] = (estimate, estimate) if exact else _ends(own, estimand.measure, tau)
            arms.append(
                {
                    "estimand": estimand.name,
                    "measure": estimand.measure,
                    "tau": tau,
                    "arm": arm,
                    "estimate": estimate,
                    "std_error": float(found[arm]["std_error"]),
                    "lower": float(found[arm]["lower"]),
                    "upper": float(found[arm]["upper"]),
                    "lowest": ends[arm][0],
                    "highest": ends[arm][1],
                }
            )
        control, treated = arms[-2], arms[-1]
        row = _row(
            estimand.measure,
            tau,
            treated["estimate"] - control["estimate"],
            float(np.hypot(treated["std_error"], control["std_error"])),
            z,
        )
        row["lowest"] = ends["treated"][0] - ends["control"][1]
        row["highest"] = ends["treated"][1] - ends["control"][0]
        effects.append({"estimand": estimand.name} | row)
    return effects, arms


def _by_group(table: pd.DataFrame) -> dict[Any, dict[Any, Any]]:
    return {row["group"]: row for row in table.to_dict("records")}


def _ends(
    curve: pd.DataFrame, measure: Literal["rmst", "milestone"], tau: float
) -> tuple[float, float]:
    last = float(curve["time"].max())
    if tau > last:
        raise DataError(
            "the horizon must not lie beyond the last moment that all sites released",
            values={"tau": tau, "last moment": last, "arm": curve["arm"].iloc[0]},
            remedy="use an earlier horizon in the protocol",
        )
    if measure == "rmst":
        return rmst_bounds(curve, tau)
    # Between two moments the curve lies between its ends.
    before, after = curve[curve["time"] <= tau], curve[curve["time"] >= tau]
    high = float(before["highest"].iloc[-1]) if len(before) else 1.0
    return float(after["lowest"].iloc[0]), high


def _row(measure: str, tau: float, value: float, std_error: float, z: float) -> dict[str, Any]:
    log = measure == "hazard_ratio"
    low, high = value - z * std_error, value + z * std_error
    return {
        "measure": measure,
        "tau": tau,
        "estimate": float(np.exp(value)) if log else value,
        "std_error": std_error,
        "scale": "log" if log else "identity",
        "lower": float(np.exp(low)) if log else low,
        "upper": float(np.exp(high)) if log else high,
    }


def _score(part: Any, end: float | None) -> dict[str, list[float]]:
    rows = next(s["curve"] for s in part["scores"] if s["censor_at"] == end)
    return {name: [row[name] for row in rows] for name in rows[0]}


def _logrank(parts: list[Any]) -> dict[str, float]:
    difference = sum(p["logrank"]["observed_minus_expected"] for p in parts)
    variance = sum(p["logrank"]["variance"] for p in parts)
    statistic = difference**2 / variance
    return {"statistic": statistic, "df": 1, "p_value": float(chdtrc(1, statistic))}


def packet_agreement(
    private: SitePacket, public: SitePacket, protocol: Protocol, *, level: float = 0.95
) -> dict[str, Agreement]:
    """Hold the estimates of two packets against each other.

    Parameters
    ----------
    private, public : SitePacket
        Of the two sources; their patients count as independent, since packets cannot be paired.
    protocol : Protocol
        Margins, and under ``[comparison]`` the method of each source.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    dict of str to Agreement
        By estimand.

    Raises
    ------
    ProtocolError
        If the protocol has no comparison, or the packets are of different protocols.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> fs.compare.packet_agreement.__name__
    'packet_agreement'
    """
    if protocol.comparison is None:
        raise ProtocolError(
            "the protocol must say what is compared", remedy="add [comparison] to study.toml"
        )
    _together([private, public], protocol)
    tables = [
        private.estimates(protocol.comparison.private_method),
        public.estimates(protocol.comparison.public_method),
    ]
    of_each = [{row["estimand"]: row for row in t.to_dict("records")} for t in tables]
    out = {}
    for estimand in protocol.estimands:
        sides = [_as_effect(rows[estimand.name], level) for rows in of_each]
        out[estimand.name] = agreement(sides[0], sides[1], margin=estimand.margin, level=level)
    return out


def _as_effect(row: dict[Any, Any], level: float) -> Effect:
    """Make an effect of what a packet holds: no rows, so no influence."""
    if pd.isna(row["estimate"]):
        raise DataError(
            "the packet must hold the estimate",
            values={"estimand": row["estimand"]},
            remedy="it rests on too few events to leave; compare another estimand",
        )
    tau = None if pd.isna(row["tau"]) else float(row["tau"])
    estimate, se = float(row["estimate"]), float(row["std_error"])
    log = row["scale"] == "log"
    return Effect(
        table=pd.DataFrame([row]),
        arms=None,
        measure=row["measure"],
        tau=tau,
        estimate=estimate,
        std_error=se,
        lower=float(row["lower"]),
        upper=float(row["upper"]),
        p_value=two_sided_p((np.log(estimate) if log else estimate) / se),
        level=level,
        scale="log" if log else "identity",
        influence=np.empty(0),
        weight_variance=str(row["weight_variance"]),
    )
