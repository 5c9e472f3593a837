"""The gate that outputs of a study pass: disclosure control, the joint audit, and the log of both.

Every output of a study with a protected source, or with a profile that protects, must come from
disclosure control; what did not is named at the end of the run and nothing is published. All outputs
are then audited together with those of earlier releases of the project on the same data. On other data
(an update) the difference of two counts of the same name must not be small.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from fiac_survival.core.errors import DataError, DisclosureError
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.results import Result
from fiac_survival.core.risk_table import RiskTable
from fiac_survival.disclosure import (
    ControlledTable,
    CountTable,
    CurveTable,
    EstimateTable,
    LinearOutputs,
    Profile,
    audit,
    control_disclosure,
    find_profile,
)
from fiac_survival.disclosure.outputs import join
from fiac_survival.study.project import Project

Releasable = pd.DataFrame | Result | CountTable | CurveTable | EstimateTable | RiskTable
STRUCTURED = (CountTable, CurveTable, EstimateTable, RiskTable)


class Gate:
    """What a study releases, and whether it may.

    Attributes
    ----------
    rules : Profile
        The protocol's profile.
    guarded : bool
        Whether outputs must have passed disclosure control.
    """

    def __init__(self, protocol: Protocol) -> None:
        release = protocol.release
        self.rules: Profile = find_profile(
            release.profile, threshold=release.threshold, rounding=release.rounding
        )
        self.guarded = protocol.protected or self.rules.protects
        self._outputs: list[LinearOutputs] = []
        self._actions: list[dict[str, Any]] = []
        self._within: dict[str, str] = {}
        self._released: dict[str, pd.DataFrame] = {}
        self._unchecked: list[str] = []

    def admit(self, name: str, table: Any) -> pd.DataFrame | Result:
        """Take an output in.

        Parameters
        ----------
        name : str
            Its name.
        table : CountTable, CurveTable, EstimateTable, RiskTable, ControlledTable, Result or DataFrame
            The first four are controlled here, by the protocol's profile.

        Returns
        -------
        DataFrame or Result
            What is to be written.
        """
        if isinstance(table, STRUCTURED):
            table = control_disclosure(table, profile=self.rules)
        if isinstance(table, ControlledTable):
            self._note(name, table)
        elif self.guarded:
            self._unchecked.append(name)
        out: pd.DataFrame | Result = table
        return out

    def _note(self, name: str, table: ControlledTable) -> None:
        strict = table.rules.protects and table.rules.threshold >= self.rules.threshold
        if self.guarded and not (strict and self.rules.protects):
            self._unchecked.append(name)
        self._outputs.append(table.outputs)
        self._actions += [
            {"output": name} | {str(key): value for key, value in row.items()}
            for row in table.actions.to_dict("records")
        ]
        if table.actions.empty:
            self._actions.append(
                {"output": name, "item": "table", "action": "nothing had to be done", "cells": 0}
            )
        if table.within is not None:
            self._within[table.population] = table.within

    def released(self, name: str, table: pd.DataFrame) -> None:
        """Note a table as it was written, so that figures can be held against it.

        Parameters
        ----------
        name : str
            Its name.
        table : DataFrame
            Read back.
        """
        if self.guarded and name not in self._unchecked:
            self._released[name] = table

    def admit_figure(self, name: str, table: Any) -> pd.DataFrame | Result:
        """Take in what a figure is drawn from: a controlled table, or rows of a released one.

        Parameters
        ----------
        name : str
            Name of the figure.
        table : ControlledTable, structured table or DataFrame
            A data frame must have its numbers from one released table.

        Returns
        -------
        DataFrame or Result
            What is to be drawn.
        """
        plain = isinstance(table, pd.DataFrame)
        if plain and any(_numbers_come_from(table, t) for t in self._released.values()):
            self._actions.append(
                {
                    "output": name,
                    "item": "figure",
                    "action": "drawn from a released table",
                    "cells": 0,
                }
            )
            return pd.DataFrame(table)
        return self.admit(name, table)

    def close(
        self, earlier: Mapping[str, Mapping[str, Any]], data: Mapping[str, str], study: str
    ) -> dict[str, Any] | None:
        """Check all outputs together, and give the log of the release.

        Parameters
        ----------
        earlier : mapping
            For every study of the project its log of releases.
        data : mapping of str to str
            Fingerprint of each source.
        study : str
            Name of this study.

        Returns
        -------
        dict or None
            For the record; None where nothing is guarded.

        Raises
        ------
        DisclosureError
            If an output was not checked, or a small count can be solved back from all together.
        """
        if not self.guarded:
            return None
        if not self.rules.protects:
            raise DisclosureError(
                "results of a protected source need a disclosure-control profile",
                values={"profile": self.rules.name},
                remedy='state one in [release], e.g. profile = "snds"',
            )
        if self._unchecked:
            raise DisclosureError(
                "every output of a protected source must have passed disclosure control",
                values={"outputs": ", ".join(dict.fromkeys(self._unchecked))},
                remedy="pass CountTable, CurveTable or EstimateTable; draw figures from what "
                "study.table returned",
            )
        ours = join(self._outputs)
        within = dict(self._within)
        together = [ours]
        for entry in _entries(earlier):
            within = dict(entry["within"]) | within
            before = LinearOutputs.from_json(entry["outputs"])
            if _same_data(entry["data"], data):
                together.append(before)
            else:
                require_no_small_change(ours, before, self.rules.threshold)
        found = audit(together, threshold=self.rules.threshold, within=within)
        found.require()
        log: dict[str, Any] = {
            "profile": self.rules.name,
            "threshold": self.rules.threshold,
            "rounding": self.rules.rounding,
            "audit": "passed",
            "releases_held_together": len(together),
            "actions": self._actions,
            "current": {"data": dict(data), "within": self._within, "outputs": ours.to_json()},
        }
        past = earlier.get(study)
        entries = [] if past is None else [*past["earlier"], past["current"]]
        log["earlier"] = [e for e in entries if e != _plain(log["current"])]
        return log


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _entries(earlier: Mapping[str, Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    for name in sorted(earlier):
        yield from (*earlier[name]["earlier"], earlier[name]["current"])


def _same_data(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    return all(before[source] == now[source] for source in set(before) & set(now))


def _numbers_come_from(table: pd.DataFrame, released: pd.DataFrame) -> bool:
    """Tell whether all numeric columns of a table are, row by row, those of a released one."""
    numeric = [
        c
        for c in table.columns
        if pd.api.types.is_numeric_dtype(table[c].dtype) and table[c].dtype.kind != "b"
    ]
    if not numeric or not set(numeric) <= set(released.columns):
        return False
    rows = set(released[numeric].astype(float).round(12).fillna(-1e300).itertuples(index=False))
    mine = table[numeric].astype(float).round(12).fillna(-1e300).itertuples(index=False)
    return set(mine) <= rows


def require_no_small_change(now: LinearOutputs, before: LinearOutputs, threshold: int) -> None:
    """Refuse two releases of which the difference is a small count.

    Parameters
    ----------
    now, before : LinearOutputs
        Releases on different states of the same data.
    threshold : int
        Smallest count that may leave.

    Raises
    ------
    DisclosureError
        Naming the first count that changed by 1 to the threshold less one, for all that a reader knows.
    """
    then = {r.cell: r for r in before.released}
    for new in now.released:
        old = then.get(new.cell)
        if old is None:
            continue
        low, high = new.low - old.high, new.high - old.low
        if (low, high) != (0, 0) and max(abs(low), abs(high)) < threshold:
            raise DisclosureError(
                "the change of a count between two releases must not be small",
                values={"count": str(new.cell)},
                remedy="round the counts, or wait until more has changed",
            )


def earlier_releases(project: Project) -> dict[str, Mapping[str, Any]]:
    """Read the logs of what the studies of a project released.

    Parameters
    ----------
    project : Project
        The project.

    Returns
    -------
    dict
        By study, where there is a log.

    Raises
    ------
    DataError
        If a record is damaged.
    """
    out: dict[str, Mapping[str, Any]] = {}
    for name in project.names():
        path = project.studies / name / "record.json"
        if not path.is_file():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as cause:
            raise DataError(
                "the record must be whole",
                values={"file": path, "reason": str(cause)},
                remedy="restore it, or run that study again",
            ) from cause
        if record.get("disclosure"):
            out[name] = record["disclosure"]
    return out
