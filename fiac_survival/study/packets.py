"""A study whose rows may not leave their sites: packets made at each site, and pooled by a run.

``analysis.py`` may define ``site_rows(study, source)``, which gives the rows of one source ready for
analysis (:class:`SiteRows`). `make_packet` turns them into a site packet under the protocol's disclosure
profile; `release_pooled` makes the tables and the figure of a run from packets alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.engine import connect
from fiac_survival.compare import PooledPackets, SitePacket, packet_agreement, pool_packets
from fiac_survival.compare.packet_pooling import pooled_risk_table
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.files import sha256
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.progress import Progress
from fiac_survival.core.protocol import Protocol, protocol_hash
from fiac_survival.core.threads import one_blas_thread
from fiac_survival.study.context import StudyRun
from fiac_survival.study.project import separate
from fiac_survival.weighting import Weights

ARM_LABELS = ("treated", "control")
TICKS = 6


@dataclass(frozen=True, eq=False)
class SiteRows:
    """Rows of one source, ready for a packet. Made by ``site_rows`` of a study's ``analysis.py``.

    Attributes
    ----------
    y : Outcome
        Rows, in the protocol's unit; event codes 0 and 1.
    treated : array-like of bool, shape (n,)
        Whether the row follows the protocol's first strategy.
    weights : mapping of str to Weights
        For each method of the protocol that weights, the weights made on these rows.
    covariates : DataFrame or None
        For the balance moments.
    """

    y: Outcome
    treated: Any
    weights: Mapping[str, Weights] = field(default_factory=dict)
    covariates: pd.DataFrame | None = None


def make_packet(
    protocol: Protocol,
    folder: Path,
    site_rows: Callable[[StudyRun, str], SiteRows] | None,
    *,
    site: str,
    data: Path | None,
    engine: str,
    progress: Progress,
) -> SitePacket:
    """Make the packet of one site.

    Parameters
    ----------
    protocol : Protocol
        The study's protocol.
    folder : Path
        The study's folder.
    site_rows : callable or None
        Of its ``analysis.py``.
    site : str
        Name of a source of the protocol.
    data : Path or None
        Folder with the source's file.
    engine : str
        Where queries run.
    progress : Progress
        Where steps are reported.

    Returns
    -------
    SitePacket
        To preview and to write.

    Raises
    ------
    ProtocolError
        If the analysis does not say how to get a site's rows, or the source is unknown.
    """
    about = protocol.source(site)
    if site_rows is None:
        raise ProtocolError(
            "analysis.py must define site_rows(study, source) for a packet",
            values={"study": protocol.name},
            remedy="let it return fs.study.SiteRows(y, treated, weights, covariates)",
        )
    with one_blas_thread(), tempfile.TemporaryDirectory() as nowhere:
        connection = connect(engine)
        try:
            place = Path(nowhere)
            run = StudyRun(
                protocol,
                connection,
                separate(place, protocol.name),
                place,
                data=data,
                progress=progress,
            )
            rows = site_rows(run, site)
            run.require_converged(*rows.weights.values())
        finally:
            connection.close()
        with progress.step(f"making the packet of {about.label}"):
            return SitePacket.build(
                rows.y,
                rows.treated,
                site=site,
                role=about.role,
                protocol=protocol,
                protocol_sha256=protocol_hash(folder / "study.toml"),
                weights=rows.weights,
                covariates=rows.covariates,
                simulated=about.simulated,
            )


def read_packets(paths: Sequence[Path], folder: Path) -> list[SitePacket]:
    """Read packets that were made under the study's protocol.

    Parameters
    ----------
    paths : sequence of Path
        Two files or more.
    folder : Path
        The study's folder.

    Returns
    -------
    list of SitePacket
        In the order given.

    Raises
    ------
    DataError
        If one is missing, damaged or edited, or there are fewer than two.
    ProtocolError
        If one was made under another protocol.
    """
    if len(paths) < 2:
        raise DataError("pooling needs two packets or more", values={"packets": len(paths)})
    expected = protocol_hash(folder / "study.toml")
    return [SitePacket.read(path, protocol_sha256=expected) for path in paths]


def release_pooled(run: StudyRun, packets: Sequence[SitePacket], paths: Sequence[Path]) -> None:
    """Make the tables and the figure of a run from packets.

    Parameters
    ----------
    run : StudyRun
        Where they go.
    packets : sequence of SitePacket
        Of different sites.
    paths : sequence of Path
        Their files, for the record.

    Raises
    ------
    DisclosureError
        If a small count can be solved back from the packets together.
    """
    protocol = run.protocol
    comparison = protocol.comparison
    # What packets hold was controlled where they were made, and pooling audits them together: the tables
    # here follow from what has left the sites already.
    run.gate.guarded = False
    run.data_used += [
        {
            "source": p.site,
            "file": path.name,
            "sha256": sha256(path),
            "rows": None,
            "simulated": bool(p.content["simulated"]),
        }
        for p, path in zip(packets, paths, strict=True)
    ]
    level = 0.95 if comparison is None else comparison.level
    with run.step("pooling packets"):
        pooled = pool_packets(packets, protocol, level=level)
    run.section(
        "Site packets",
        f"Made from packets of {', '.join(pooled.sites)}; no rows of patients were read here.",
    )
    run.table("site_estimates", _site_estimates(packets), title="Estimates of each site")
    _pooled_tables(run, pooled)
    _figure(run, pooled, packets)
    _agreement(run, packets, level)


def _site_estimates(packets: Sequence[SitePacket]) -> pd.DataFrame:
    parts = []
    for p in packets:
        for part in p.content["methods"]:
            estimates = p.estimates(part["method"])
            parts.append(
                estimates.assign(site=p.site, role=p.content["role"], method=part["method"])
            )
    table = pd.concat(parts, ignore_index=True)
    first = ["site", "role", "method"]
    return table[[*first, *(c for c in table if c not in first)]]


def _pooled_tables(run: StudyRun, pooled: PooledPackets) -> None:
    run.table(
        "pooled",
        pooled.table,
        title="Pooled estimates",
        note="What the rows of all sites together would have given lies between lowest and highest; "
        "hazard ratios and tests are stratified by site.",
    )
    run.table("pooled_arms", pooled.arms, title="Pooled estimates of each arm", show=False)
    run.table("pooled_curves", pooled.curves, title="Pooled curves and their bounds", show=False)
    run.table("pooled_tests", pooled.tests, title="Log-rank tests, stratified by site")


def _figure(run: StudyRun, pooled: PooledPackets, packets: Sequence[SitePacket]) -> None:
    protocol = run.protocol
    held = list(dict.fromkeys(pooled.curves["method"]))
    wanted = [] if protocol.comparison is None else [protocol.comparison.public_method]
    shown = [m for m in dict.fromkeys(["unadjusted", *wanted, *held]) if m in held][:2]
    labels = {m.name: m.label for m in protocol.methods}
    horizon = float(protocol.follow_up.horizon)
    strategies = dict(zip(ARM_LABELS, (s.label for s in protocol.strategies), strict=False))
    parts = []
    for method in shown:
        risk = pooled_risk_table(packets, method).table
        for arm in ARM_LABELS:
            curve = pooled.curves[
                (pooled.curves["method"] == method) & (pooled.curves["arm"] == arm)
            ]
            rows = _curve_rows(curve, risk[risk["group"] == arm], horizon)
            rows.insert(0, "arm_label", strategies.get(arm, arm))
            rows.insert(0, "arm", arm)
            rows.insert(0, "panel", labels.get(method, method))
            parts.append(rows)
    run.figure(
        "pooled_curves",
        "survival",
        pd.concat(parts, ignore_index=True),
        title=f"{protocol.outcome.label}, sites pooled",
        time_label=f"{protocol.follow_up.unit.capitalize()}s",
        survival_label=protocol.outcome.label,
        tick=horizon / TICKS,
        caption="Kaplan-Meier curves of the pooled packets with pointwise 95 % intervals. Between moments "
        "of release a coarsened curve stands still; its bounds are in the table.",
        alt="Pooled survival curves by strategy, one panel a method.",
    )


def _curve_rows(curve: pd.DataFrame, risk: pd.DataFrame, horizon: float) -> pd.DataFrame:
    """Curve and counts at the ticks and at every moment of the curve until the horizon."""
    own = curve[curve["time"] <= horizon].sort_values("time")
    times = np.unique(np.r_[np.arange(TICKS + 1) * (horizon / TICKS), own["time"].to_numpy()])
    place = np.searchsorted(own["time"].to_numpy(), times, side="right") - 1
    out = pd.DataFrame({"time": times})
    for column in ("survival", "lower", "upper", "lowest", "highest"):
        values = np.r_[1.0, own[column].to_numpy(dtype=np.float64)]
        out[column] = values[place + 1]
    entry, time, n = (risk[c].to_numpy() for c in ("entry", "time", "n"))
    happened = risk["status"].to_numpy() > 0
    at = times[:, None]
    out["n_risk"] = (((entry < at) | (entry == 0)) & (time >= at)) @ n
    out["n_event"] = ((time <= at) & happened) @ n
    out["n_censor"] = ((time <= at) & ~happened) @ n
    return out


def _agreement(run: StudyRun, packets: Sequence[SitePacket], level: float) -> None:
    """Where two packets are the sides of the protocol's comparison."""
    comparison = run.protocol.comparison
    if comparison is None:
        return
    by_site = {p.site: p for p in packets}
    sides = [
        (comparison.private, comparison.private_method),
        (comparison.public, comparison.public_method),
    ]
    for site, method in sides:
        if site not in by_site:
            return
        if method not in {part["method"] for part in by_site[site].content["methods"]}:
            return
    found = packet_agreement(
        by_site[comparison.private], by_site[comparison.public], run.protocol, level=level
    )
    rows = []
    for estimand in run.protocol.estimands:
        quantities = found[estimand.name].table
        values = dict(zip(quantities["quantity"], quantities["value"], strict=True))
        rows.append({"estimand": estimand.name, "estimand_label": estimand.label} | values)
    run.section(
        "Do the sites agree?",
        "Patients of two packets count as different people: packets cannot be paired.",
    )
    run.table("agreement", pd.DataFrame(rows), title="Agreement of the two sides")
    verdicts = [
        found[e.name].verdicts.assign(estimand=e.name, estimand_label=e.label)
        for e in run.protocol.estimands
    ]
    run.table(
        "verdicts",
        pd.concat(verdicts, ignore_index=True),
        title="Verdicts",
        columns={"verdict": "Verdict", "holds": "Holds", "meaning": "What it means"},
        group_by="estimand_label",
    )
