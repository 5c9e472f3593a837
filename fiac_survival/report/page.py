"""Pages: one self-contained HTML file a study, and one a verification.

No script, no request to anywhere: style and pictures are inside. All text is escaped by the templates.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fiac_survival.core.protocol import Protocol
from fiac_survival.report.tables import html_table


@dataclass(frozen=True)
class Section:
    """A heading of the report, with a paragraph."""

    title: str
    text: str = ""
    kind: str = field(default="section", init=False)

    @property
    def anchor(self) -> str:
        """Identifier for links."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower()).strip("-")


@dataclass(frozen=True)
class Prose:
    """A paragraph of the report."""

    text: str
    kind: str = field(default="prose", init=False)


@dataclass(frozen=True)
class Summary:
    """What the study found, shown at the top of the report."""

    text: str
    kind: str = field(default="summary", init=False)


@dataclass(frozen=True, eq=False)
class TableItem:
    """A table of the report."""

    name: str
    title: str
    note: str
    table: pd.DataFrame
    columns: dict[str, str] | None
    digits: dict[str, int]
    group_by: str | None
    kind: str = field(default="table", init=False)

    @property
    def html(self) -> Markup:
        """The rendered table."""
        return Markup(
            html_table(
                self.name,
                self.table,
                columns=self.columns,
                digits=self.digits,
                group_by=self.group_by,
            )
        )


@dataclass(frozen=True)
class FigureItem:
    """A figure of the report."""

    name: str
    caption: str
    alt: str
    svg: Path
    kind: str = field(default="figure", init=False)

    @property
    def source(self) -> str:
        """The picture as a data URI."""
        content = base64.b64encode(self.svg.read_bytes()).decode("ascii")
        return f"data:image/svg+xml;base64,{content}"


@dataclass(frozen=True, eq=False)
class ChecklistItem:
    """A filled reporting checklist, folded."""

    name: str
    title: str
    scope: str
    source: str
    checked: str
    counts: Mapping[str, int]
    table: pd.DataFrame
    kind: str = field(default="checklist", init=False)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Rows as text; empty where the table has nothing."""
        return [
            {str(key): "" if pd.isna(value) else str(value) for key, value in row.items()}
            for row in self.table.to_dict("records")
        ]


Item = Section | Prose | Summary | TableItem | FigureItem | ChecklistItem


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("fiac_survival.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def study_page(protocol: Protocol, items: Sequence[Item], record: Mapping[str, Any]) -> str:
    """Render the report of a study.

    Parameters
    ----------
    protocol : Protocol
        Question, estimand, limits.
    items : sequence of Item
        Sections, paragraphs, tables and figures in order.
    record : mapping
        Provenance; put into a block that comparisons leave out.

    Returns
    -------
    str
        HTML.
    """
    return (
        _environment()
        .get_template("study.html.j2")
        .render(
            protocol=protocol,
            items=items,
            sections=[item for item in items if isinstance(item, Section)],
            summaries=[item for item in items if isinstance(item, Summary)],
            record=record,
        )
    )


def verification_page(title: str, studies: Sequence[Any], summary: Mapping[str, Any]) -> str:
    """Render the outcome of a verification.

    Parameters
    ----------
    title : str
        Heading.
    studies : sequence of Verification
        One a study.
    summary : mapping
        Facts about the run, shown at the end.

    Returns
    -------
    str
        HTML.
    """
    return (
        _environment()
        .get_template("verification.html.j2")
        .render(title=title, studies=studies, summary=summary)
    )
