"""Phenotypes: who has a disease, and since when, by published rules kept as data.

A rule counts what a person's events show. Without an index it has one condition, and its date is the day
on which the condition is met: the first day for one event, the second for two (so that nothing after the
date is looked at). With an index (the first record of a drug) all conditions look back from that day, the
day itself left out, and the date is the index. A person is in if one rule holds; the date is the earliest
of the rules' dates, and the rule is the one that gives it (in a tie, the first in the file).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, assert_never

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fiac_survival.cohort.codelists import Codelist, begins_with
from fiac_survival.cohort.expressions import epoch_days
from fiac_survival.cohort.rule_files import fingerprint, parse, shipped

Count = Literal["days", "sessions"]
FOLDER = Path(__file__).parent / "data" / "phenotypes"


class Condition(BaseModel):
    """What a person's events must show.

    Attributes
    ----------
    events : tuple of str
        Kinds of events that count, as in the event table.
    codes : tuple of str
        Beginnings of their codes; empty: those of the phenotype.
    positions : tuple of str
        Positions of the code in a stay (main, related, associated); empty: any.
    missing_position : bool
        Whether an event counts where the source does not say its position.
    count : {"days", "sessions"}
        What is counted: days with such an event, or sessions (the event's value, 1 where it has none).
    minimum : int
        How many it takes.
    within_days : int, optional
        In how many days; with an index, how far back.
    title : str
        In words.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    events: tuple[str, ...] = Field(min_length=1)
    codes: tuple[str, ...] = ()
    positions: tuple[str, ...] = ()
    missing_position: bool = False
    count: Count = "days"
    minimum: int = Field(1, ge=1)
    within_days: int | None = Field(None, ge=1)
    title: str = ""


class PhenotypeRule(BaseModel):
    """A rule of a phenotype.

    Attributes
    ----------
    name, title, source : str
        What it is called, what it says, where it was published.
    verified : bool
        False where no published validation was read.
    index : tuple of str
        Drugs whose first record is the index; empty: none.
    conditions : tuple of Condition
        All must hold; without an index exactly one. In a file a single condition may stand in the rule.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    title: str
    source: str
    verified: bool = True
    index: tuple[str, ...] = ()
    conditions: tuple[Condition, ...] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _single(cls, content: Any) -> Any:
        if isinstance(content, dict) and "events" in content:
            own = set(Condition.model_fields) - {"title"}
            condition = {key: content[key] for key in content.keys() & own}
            rest = {key: value for key, value in content.items() if key not in own}
            return rest | {"conditions": [condition]}
        return content

    @model_validator(mode="after")
    def _dated(self) -> PhenotypeRule:
        if not self.index:
            if len(self.conditions) > 1:
                raise ValueError(f"rule {self.name}: several conditions need an index")
            if self.conditions[0].count != "days":
                raise ValueError(f"rule {self.name}: sessions are counted before an index only")
        return self


class Phenotype(BaseModel):
    """Who has a disease.

    Attributes
    ----------
    name, version, title : str
        Which phenotype.
    codes : tuple of str
        Beginnings of the disease's ICD-10 codes, without the dot.
    rules : tuple of PhenotypeRule
        One is enough.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> phenotype = fs.cohort.Phenotype.load("lung_durvalumab")
    >>> phenotype.codes
    ('C34',)
    >>> [rule.name for rule in phenotype.rules]
    ['durvalumab after chemotherapy']
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    title: str
    codes: tuple[str, ...] = Field(min_length=1)
    rules: tuple[PhenotypeRule, ...] = Field(min_length=1)

    @classmethod
    def load(cls, phenotype: str | Path) -> Phenotype:
        """Read a phenotype.

        Parameters
        ----------
        phenotype : str or Path
            Name of one that comes with the package ("myeloma", "lung", "lung_durvalumab"), or a TOML file.

        Returns
        -------
        Phenotype
            Checked.

        Raises
        ------
        DataError
            If there is no such phenotype, or it breaks a rule.
        """
        return parse(cls, shipped(FOLDER, phenotype, "phenotype"))

    @property
    def sha256(self) -> str:
        """Fingerprint of the content."""
        return fingerprint(self)

    def evaluate(self, event: Any, exposure: Any) -> Any:
        """Find who has the disease.

        Parameters
        ----------
        event : ibis.Table
            Events: person, date, event, code; `position` and `value` where the source has them.
        exposure : ibis.Table
            Drugs and procedures: person, date, drug.

        Returns
        -------
        ibis.Table
            person, date, rule; one row a person.
        """
        import ibis

        n = len(self.rules)
        found = []
        for i, rule in enumerate(self.rules):
            dates = _rule_dates(rule, self.codes, event, exposure)
            # Day and rule as one number: the least is the first rule of the earliest day.
            found.append(dates.mutate(fs_first=epoch_days(dates.date) * n + i))
        every = ibis.union(*found) if n > 1 else found[0]
        first = every.group_by("person").agg(date=every.date.min(), fs_first=every.fs_first.min())
        order = first.fs_first - epoch_days(first.date) * n
        rule = order.cases(*enumerate(one.name for one in self.rules), else_=None)
        return first.select("person", "date", rule=rule)


def loaded(phenotype: str | Path | Phenotype | None) -> Phenotype | None:
    """Read a phenotype if there is one.

    Parameters
    ----------
    phenotype : str, Path, Phenotype or None
        What to read.

    Returns
    -------
    Phenotype or None
        Read.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    if phenotype is None or isinstance(phenotype, Phenotype):
        return phenotype
    return Phenotype.load(phenotype)


def kept_diagnoses(
    diagnoses: str | Path | Codelist | None, disease: Phenotype | None
) -> tuple[str, ...] | None:
    """Beginnings of the diagnoses that become events.

    Parameters
    ----------
    diagnoses : str, Path, Codelist or None
        The list; None: all become events.
    disease : Phenotype or None
        Whose codes are kept too.

    Returns
    -------
    tuple of str or None
        In order; None for all.

    Raises
    ------
    DataError
        If the list cannot be read.
    """
    if diagnoses is None:
        return None
    kept = diagnoses if isinstance(diagnoses, Codelist) else Codelist.load(diagnoses)
    codes = {code.code for code in kept.codes if code.system == "ICD-10"}
    return tuple(sorted(codes | set(disease.codes if disease else ())))


def _rule_dates(rule: PhenotypeRule, codes: tuple[str, ...], event: Any, exposure: Any) -> Any:
    if not rule.index:
        return _met(rule.conditions[0], codes, event)
    given = exposure.filter(exposure.drug.isin(rule.index))
    held = given.group_by("person").agg(date=given.date.min())
    for condition in rule.conditions:
        enough = _before(condition, codes, event, held)
        held = held.semi_join(enough, "person")
    return held.select("person", "date")


def _counted(condition: Condition, codes: tuple[str, ...], event: Any) -> Any:
    """Events that count."""
    import ibis

    chosen = event.event.isin(condition.events) & begins_with(event.code, condition.codes or codes)
    if condition.positions and "position" in event.columns:
        there = event.position.isin(condition.positions)
        chosen &= there.fill_null(condition.missing_position)
    elif condition.positions and not condition.missing_position:
        chosen &= ibis.literal(False)
    value = event["value"] if "value" in event.columns else ibis.null("float64")
    kept = event.mutate(fs_value=value.fill_null(1.0)).filter(chosen)
    match condition.count:
        case "days":
            return kept.select("person", "date", fs_n=ibis.literal(1, type="int64")).distinct()
        case "sessions":
            number = kept.fs_value.round().cast("int64")
            return kept.select("person", "date", fs_n=ibis.greatest(number, 1))
        case _:
            assert_never(condition.count)


def _met(condition: Condition, codes: tuple[str, ...], event: Any) -> Any:
    """Day on which a condition without an index is met for the first time."""
    days = _counted(condition, codes, event)
    if condition.minimum > 1:
        earlier = days.date.lag(condition.minimum - 1).over(group_by="person", order_by="date")
        days = days.mutate(fs_earlier=earlier)
        apart = epoch_days(days.date) - epoch_days(days.fs_earlier)
        near = apart.notnull()
        if condition.within_days is not None:
            near &= apart <= condition.within_days
        days = days.filter(near)
    return days.group_by("person").agg(date=days.date.min())


def _before(condition: Condition, codes: tuple[str, ...], event: Any, index: Any) -> Any:
    """Persons who meet a condition before the index."""
    days = _counted(condition, codes, event)
    joined = days.inner_join(index.select("person", fs_index="date"), "person")
    back = epoch_days(joined.fs_index) - epoch_days(joined.date)
    near = back > 0
    if condition.within_days is not None:
        near &= back <= condition.within_days
    joined = joined.filter(near)
    total = joined.group_by("person").agg(fs_total=joined.fs_n.sum())
    return total.filter(total.fs_total >= condition.minimum).select("person")
