"""Reporting checklists, filled from the protocol and from what a run released.

An item is *answered* if everything that it needs is there, *partly* answered if some of it is, *missing*
if nothing is, and *not applicable* if the authors say so and why. Whether an answer is good enough is for
readers to judge; that it is there, and where, is what is checked here.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict

from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.protocol import Protocol
from fiac_survival.core.released import read_table, write_table
from fiac_survival.core.reporting import Standard
from fiac_survival.core.results import Result
from fiac_survival.report.page import ChecklistItem, Section
from fiac_survival.study.checklist_answers import WRITTEN_IN, Answer, Released, answers
from fiac_survival.study.context import StudyRun
from fiac_survival.study.project import Layout

FOLDER = Path(__file__).parent / "data" / "checklists"
STATUSES = ("answered", "partly", "missing", "not applicable")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ChecklistEntry(_Part):
    """An item of a checklist.

    Attributes
    ----------
    number, section, topic, asks : str
        Its number, where it belongs, and what it asks, in our own words.
    origin : str
        Statement that it stands in.
    extends : str
        Item that it stands beside; "" for none.
    needs, also : list of str
        Answers that it must have; answers shown where they are there.
    """

    number: str
    section: str
    topic: str
    asks: str
    origin: str = ""
    extends: str = ""
    needs: list[str]
    also: list[str] = []


class Checklist(_Part):
    """A reporting checklist as data.

    Attributes
    ----------
    name, title : str
        Short name, and name for readers.
    version : int
        Of this file.
    scope, source, checked : str
        Which studies it is for; the statement; what its items were checked against.
    items : list of ChecklistEntry
        The items in order.
    """

    name: str
    title: str
    version: int
    scope: str
    source: str
    checked: str
    items: list[ChecklistEntry]


@dataclass(frozen=True, eq=False, kw_only=True)
class ReportingChecklist(Result):
    """A filled checklist.

    Attributes
    ----------
    table : DataFrame
        number, origin, extends, section, topic, asks, status, where, answer, lacks.
    about : Checklist
        The checklist: its title, source, and what it was checked against.
    """

    about: Checklist

    @property
    def counts(self) -> dict[str, int]:
        """Number of items by status."""
        found = self.table["status"].value_counts()
        return {status: int(found.get(status, 0)) for status in STATUSES}


@cache
def read_checklist(standard: Standard) -> Checklist:
    """Read a checklist that comes with the package.

    Parameters
    ----------
    standard : {"target", "record_pe"}
        Its name.

    Returns
    -------
    Checklist
        Its items and sources.

    Raises
    ------
    DataError
        If there is none of that name.

    Examples
    --------
    >>> len(read_checklist("target").items)
    39
    """
    if standard not in get_args(Standard):
        raise DataError(
            "the checklist must be known",
            values={"standard": standard, "known": ", ".join(get_args(Standard))},
        )
    text = (FOLDER / f"{standard}.toml").read_text(encoding="utf-8")
    return Checklist.model_validate(tomllib.loads(text))


def reporting_checklist(
    protocol: Protocol, *, standard: Standard = "target", released: Released | None = None
) -> ReportingChecklist:
    """Fill a reporting checklist from a protocol.

    Parameters
    ----------
    protocol : Protocol
        What it does not say is missing.
    standard : {"target", "record_pe"}, default "target"
        TARGET (studies that emulate a target trial), or RECORD-PE with the STROBE and RECORD items that
        it extends (drug studies with routinely collected data).
    released : Released, optional
        What a run released. Without it, tables and figures that the protocol names are taken as there.

    Returns
    -------
    ReportingChecklist
        One row an item.

    Raises
    ------
    DataError
        If the checklist is unknown.
    ProtocolError
        If the protocol names an item that the checklist does not have, or an artefact that was not
        released.

    References
    ----------
    Cashin AG, Hansford HJ, Hernán MA, et al. JAMA 2025;334:1084-1093 (TARGET).
    Langan SM, Schmidt SAJ, Wing K, et al. BMJ 2018;363:k3532 (RECORD-PE).

    Examples
    --------
    >>> from fiac_survival.core.protocol import parse_protocol
    >>> from fiac_survival.study.template import FOLDER as TEMPLATES
    >>> text = (TEMPLATES / "study.toml.template").read_text(encoding="utf-8")
    >>> found = reporting_checklist(parse_protocol(text.replace("@NAME@", "demo")))
    >>> rows = found.table.set_index("number")
    >>> rows.loc[["6b", "17"], ["status", "answer", "lacks"]]
                status                                 answer               lacks
    number
    6b        answered  Hormone therapy; No hormone therapy.
    17         missing                                         [reporting] ethics
    """
    about = read_checklist(standard)
    known = {item.number for item in about.items}
    own = protocol.reporting.answers.get(standard, {})
    refused = protocol.reporting.not_applicable.get(standard, {})
    for place, texts in (("answers", own), ("not_applicable", refused)):
        for number in texts:
            if number not in known:
                raise ProtocolError(
                    f"[reporting.{place}.{standard}] must name items of the checklist",
                    values={"item": number, "checklist": about.title},
                    remedy="see results/checklist_*.csv for the numbers",
                )
    found = answers(protocol, released)
    rows = [
        _row(
            item,
            found | _own_words(own.get(item.number), standard, item.number),
            refused.get(item.number),
            standard,
        )
        for item in about.items
    ]
    return ReportingChecklist(table=pd.DataFrame(rows), about=about)


def _own_words(text: str | None, standard: Standard, number: str) -> dict[str, Answer]:
    if text is None:
        return {}
    return {"own": Answer(f"[reporting.answers.{standard}] {number}", text)}


def _row(
    item: ChecklistEntry, found: dict[str, Answer], refused: str | None, standard: Standard
) -> dict[str, Any]:
    has = [key for key in item.needs if key in found]
    lacks = [key for key in item.needs if key not in found]
    shown = [key for key in ("own", *item.needs, *item.also) if key in found]
    given = [found[key] for key in dict.fromkeys(shown)]
    if refused is not None:
        status, lacks = "not applicable", []
        given = [Answer(f"[reporting.not_applicable.{standard}] {item.number}", refused)]
    elif not lacks:
        status = "answered"
    elif has or "own" in found:
        status = "partly"
    else:
        status = "missing"
        given = []
    wanted = WRITTEN_IN | {"own": f"[reporting.answers.{standard}] {item.number}"}
    return {
        "number": item.number,
        "origin": item.origin or "TARGET",
        "extends": item.extends,
        "section": item.section,
        "topic": item.topic,
        "asks": item.asks,
        "status": status,
        "where": "; ".join(dict.fromkeys(a.where for a in given)),
        "answer": " ".join(dict.fromkeys(_sentence(a.text) for a in given)),
        "lacks": "; ".join(wanted[key] for key in lacks),
    }


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + ("" if text[-1] in ".?!" else ".")


def release_checklists(run: StudyRun, layout: Layout, staging: Path) -> None:
    """Write the checklists that the protocol asks for, and put them into the report.

    They hold the protocol's words and names of artefacts, no number from patients, and so do not pass
    disclosure control.

    Parameters
    ----------
    run : StudyRun
        A run whose analysis is done.
    layout : Layout
        Where it goes.
    staging : Path
        Where it is written first.

    Raises
    ------
    ProtocolError
        If the protocol names what is not there, or the name of a checklist's table is taken.
    OutputError
        If a table cannot be written.
    """
    names = run.protocol.reporting.checklists
    tables = [Path(p).stem for p, kind in run.artefacts.items() if _is_result(p, kind, layout)]
    released = Released.of_run(run.items, tables, run.figures)
    if names:
        run.items.append(
            Section(
                "Reporting checklists",
                "Filled from the protocol and from what this run released. An item that nothing "
                "answers is missing; whether an answer is good enough is for readers to judge.",
            )
        )
    for name in names:
        filled = reporting_checklist(run.protocol, standard=name, released=released)
        path = f"{layout.results}/checklist_{name}.csv"
        if path in run.artefacts:
            raise ProtocolError(
                "each artefact of a study must have a name of its own",
                values={"artefact": path},
                remedy="rename the table of analysis.py",
            )
        write_table(staging / path, filled.table)
        run.artefacts[path] = "table"
        run.items.append(
            ChecklistItem(
                name=f"checklist_{name}",
                title=filled.about.title,
                scope=filled.about.scope,
                source=filled.about.source,
                checked=filled.about.checked,
                counts={s: n for s, n in filled.counts.items() if n},
                table=read_table(staging / path),
            )
        )


def _is_result(path: str, kind: str, layout: Layout) -> bool:
    return kind == "table" and path.startswith(f"{layout.results}/")
