"""What the report of a study says between its tables and figures."""

from __future__ import annotations

from fiac_survival.report.page import Item, Prose, Section, Summary


class Narrative:
    """Items of a report, in order.

    Attributes
    ----------
    items : list
        What the report shows.
    """

    def __init__(self) -> None:
        self.items: list[Item] = []

    @property
    def texts_to_read(self) -> int:
        """Number of items with words of the authors, which no disclosure control can judge."""
        worded = {"summary", "prose", "section", "checklist"}
        return sum(item.kind in worded for item in self.items)

    def summary(self, text: str) -> None:
        """Say what the study found, in plain words, at the top of the report.

        Parameters
        ----------
        text : str
            Plain text; it is escaped.
        """
        self.items.append(Summary(text))

    def section(self, title: str, text: str = "") -> None:
        """Begin a section of the report.

        Parameters
        ----------
        title : str
            Its heading.
        text : str, optional
            A paragraph.
        """
        self.items.append(Section(title, text))

    def prose(self, text: str) -> None:
        """Add a paragraph to the report.

        Parameters
        ----------
        text : str
            Plain text; it is escaped.
        """
        self.items.append(Prose(text))
