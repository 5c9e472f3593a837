"""A site packet: one file with all that a site lets go when its rows may not leave.

It holds, for each method of the protocol, risk tables by arm (coarsened by the disclosure profile, and with
sums of weights), the site's own estimates with their standard errors, balance moments, and the score of the
Cox model as a curve (:mod:`fiac_survival.compare.packet_score`); besides the protocol's fingerprint, the
rules that were applied, and a fingerprint of the packet itself. It is JSON, and :meth:`SitePacket.preview`
says in words what it holds. Packets are pooled by :func:`fiac_survival.compare.pool_packets`; patients of
two packets cannot be paired.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from fiac_survival.compare.packet_parts import balance_part, method_part, release_moments
from fiac_survival.core.errors import DataError, DisclosureError, OutputError, ProtocolError
from fiac_survival.core.files import read_text, sha256_text, write_text
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure import LinearOutputs, Profile, find_profile
from fiac_survival.weighting import Weights
from fiac_survival.weighting.weights import as_treated

SCHEMA_VERSION = 1
ARMS = ("control", "treated")
Role = Literal["private", "public"]


@dataclass(frozen=True, eq=False)
class SitePacket:
    """What a site lets go.

    Attributes
    ----------
    content : mapping
        JSON values, as they stand in the file.
    """

    content: Mapping[str, Any]

    @property
    def site(self) -> str:
        """Name of the site."""
        return str(self.content["site"])

    @property
    def profile(self) -> Profile:
        """Rules that were applied."""
        about = self.content["profile"]
        return find_profile(about["name"], threshold=about["threshold"], rounding=about["rounding"])

    def risk(self, method: str) -> RiskTable:
        """Risk table of a method, by arm.

        Parameters
        ----------
        method : str
            Name of a method of the protocol.

        Returns
        -------
        RiskTable
            Coarsened where the profile protects.

        Raises
        ------
        DataError
            If the packet has no such method.
        """
        part = self._method(method)
        table = RiskTable.from_table(pd.DataFrame(part["risk"]))
        return RiskTable(table.table, weighted=part["weighted"])

    def estimates(self, method: str) -> pd.DataFrame:
        """Give the site's own estimates by a method.

        Parameters
        ----------
        method : str
            Name of a method of the protocol.

        Returns
        -------
        DataFrame
            estimand, measure, tau, estimate, std_error, scale, lower, upper.

        Raises
        ------
        DataError
            If the packet has no such method.
        """
        return pd.DataFrame(self._method(method)["estimates"])

    def _method(self, method: str) -> Mapping[str, Any]:
        for part in self.content["methods"]:
            if part["method"] == method:
                found: Mapping[str, Any] = part
                return found
        raise DataError(
            "the packet must hold the method",
            values={"site": self.site, "method": method},
            remedy=f"it holds {', '.join(p['method'] for p in self.content['methods'])}",
        )

    @property
    def outputs(self) -> LinearOutputs:
        """Statements about counts, for the audit of several packets together."""
        return LinearOutputs.from_json(self.content["outputs"])

    @classmethod
    def build(
        cls,
        y: Outcome,
        treated: Any,
        *,
        site: str,
        role: Role,
        protocol: Protocol,
        protocol_sha256: str,
        weights: Mapping[str, Weights] | None = None,
        covariates: pd.DataFrame | None = None,
        simulated: bool | None = None,
    ) -> SitePacket:
        """Make a site's packet, under the protocol's disclosure profile.

        Parameters
        ----------
        y : Outcome
            Rows, in the protocol's unit, event codes 0 and 1.
        treated : array-like of bool, shape (n,)
            Whether the row follows the protocol's first strategy.
        site : str
            Name of the site.
        role : {"private", "public"}
            Which side of a comparison it is.
        protocol : Protocol
            Estimands, methods, and the profile under ``[release]``.
        protocol_sha256 : str
            Fingerprint of its file (:func:`fiac_survival.core.protocol.protocol_hash`).
        weights : mapping of str to Weights, optional
            For each method of the protocol that weights, the weights made at the site.
        covariates : DataFrame, optional
            For the balance moments.
        simulated : bool, optional
            Whether no patient stands behind the rows; by default as the protocol says.

        Returns
        -------
        SitePacket
            To preview and to write.

        Raises
        ------
        DataError
            If weights belong to other rows or to no method of the protocol.
        DisclosureError
            If the profile lets nothing go, or rows have delayed entry.

        Examples
        --------
        >>> import fiac_survival as fs
        >>> cohort, protocol = fs.cohort.example_cohort()
        >>> cohort.engine.close()
        >>> y = fs.Outcome([300, 366, 366, 200], [1, 0, 0, 1])
        >>> packet = fs.compare.SitePacket.build(
        ...     y, [True, False, True, False], site="north", role="public", protocol=protocol,
        ...     protocol_sha256="0" * 64)
        >>> packet.estimates("unadjusted")[["estimand", "measure"]].values.tolist()
        [['survival_1_year', 'milestone']]
        """
        t = as_treated(treated, n=len(y))
        y.require_binary("a site packet", "one cause at a time")
        rules = find_profile(
            protocol.release.profile,
            threshold=protocol.release.threshold,
            rounding=protocol.release.rounding,
        )
        if protocol.protected and not rules.protects:
            raise DisclosureError(
                "a packet of a protected source needs a disclosure-control profile",
                values={"profile": rules.name},
                remedy='state one in [release], e.g. profile = "snds"',
            )
        given = dict(weights or {})
        unknown = sorted(set(given) - {m.name for m in protocol.methods})
        if unknown:
            raise DataError(
                "weights must belong to a method of the protocol",
                values={"method": unknown[0]},
                remedy=f"methods: {', '.join(m.name for m in protocol.methods) or 'none'}",
            )
        arm = np.where(t, ARMS[1], ARMS[0])
        plain = RiskTable.from_outcome(y, group=arm)
        moments, outputs = release_moments(plain, rules, protocol, site)
        methods = [("unadjusted", None), *((n, w) for n, w in given.items() if n != "unadjusted")]
        parts = [method_part(name, w, y, t, arm, rules, protocol, moments) for name, w in methods]
        body: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "site": site,
            "role": role,
            "simulated": protocol.simulated if simulated is None else simulated,
            "study": protocol.name,
            "protocol_sha256": protocol_sha256,
            "unit": protocol.follow_up.unit,
            "profile": {
                "name": rules.name,
                "threshold": rules.threshold,
                "rounding": rules.rounding,
            },
            "exact": not rules.protects,
            "methods": parts,
            "balance": balance_part(covariates, t, given, rules),
            "outputs": outputs.to_json(),
        }
        return cls(_sealed(body))

    def preview(self) -> str:
        """Say in words and tables all that the packet holds.

        Returns
        -------
        str
            Plain text.
        """
        c = self.content
        lines = [
            f"Site packet of {self.site} ({c['role']} source) for the study {c['study']}",
            *(["SIMULATED DATA: no patient stands behind it."] if c["simulated"] else []),
            f"Rules: profile {c['profile']['name']}, no count from 1 to {c['profile']['threshold'] - 1}"
            if not c["exact"]
            else "Rules: none. Every count leaves as it is.",
            "This is all that leaves; nothing below refers to one person."
            if not c["exact"]
            else "Times at which something happened to single persons are in it.",
        ]
        for part in c["methods"]:
            name = part["method"]
            lines += ["", f"== {name}: risk table by arm", _shown(part["risk"])]
            lines += ["", f"== {name}: estimates of this site", _shown(part["estimates"])]
            lines += ["", f"== {name}: log-rank test", _shown([part["logrank"]])]
            for score in part["scores"]:
                end = "" if score["censor_at"] is None else f", follow-up to {score['censor_at']:g}"
                lines += ["", f"== {name}: score of the Cox model{end}", _shown(score["curve"])]
        if c["balance"]:
            lines += ["", "== balance of covariates", _shown(c["balance"])]
        lines += ["", f"Fingerprint {c['sha256']}, protocol {c['protocol_sha256']}"]
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return f"SitePacket({self.site}, {self.content['study']}; profile {self.profile.name})"

    def write(self, path: str | Path, *, replace: bool = True) -> None:
        """Write the packet, whole or not at all.

        Parameters
        ----------
        path : str or Path
            Where.
        replace : bool, default True
            Whether a file that stands there may be replaced.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        if not replace and Path(path).exists():
            raise OutputError(
                "a packet must not replace a file",
                values={"path": path},
                remedy="choose another name, or remove the file",
            )
        write_text(Path(path), json.dumps(self.content, indent=1, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: str | Path, *, protocol_sha256: str | None = None) -> SitePacket:
        """Read a packet and check that it is as it was written.

        Parameters
        ----------
        path : str or Path
            Which file.
        protocol_sha256 : str, optional
            Fingerprint that its protocol must have.

        Returns
        -------
        SitePacket
            Whole.

        Raises
        ------
        DataError
            If it is missing, damaged, edited, or of a later version.
        ProtocolError
            If it was made under another protocol.
        """
        file = Path(path)
        try:
            content = json.loads(read_text(file))
        except ValueError as cause:
            raise DataError(
                "a packet must be whole",
                values={"file": file.name, "reason": str(cause)},
                remedy="ask the site to send it again",
            ) from None
        if not isinstance(content, dict) or "sha256" not in content:
            raise DataError(
                "the file must be a site packet",
                values={"file": file.name},
                remedy="make one with fiac packet",
            )
        if int(content.get("schema_version", 0)) > SCHEMA_VERSION:
            raise DataError(
                "the packet must not be newer than this package",
                values={"schema_version": content["schema_version"], "known": SCHEMA_VERSION},
                remedy="upgrade fiac_survival",
            )
        body = {key: value for key, value in content.items() if key != "sha256"}
        if _sealed(body)["sha256"] != content["sha256"]:
            raise DataError(
                "a packet must be as the site wrote it",
                values={"file": file.name},
                remedy="it was edited or damaged: ask the site to make it again",
            )
        if protocol_sha256 is not None and content["protocol_sha256"] != protocol_sha256:
            raise ProtocolError(
                "a packet must have been made under this protocol",
                values={"file": file.name, "site": content["site"]},
                remedy="send the site the present study.toml and ask for a new packet",
            )
        return cls(content)


def _sealed(body: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(body, sort_keys=True))
    return plain | {"sha256": sha256_text(json.dumps(plain, sort_keys=True))}


def _shown(rows: Any) -> str:
    return str(pd.DataFrame(rows).to_string(index=False))
