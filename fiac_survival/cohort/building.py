r"""From canonical tables to the analysis table that a protocol asks for, with the count of every step.

Days are whole and count from time zero :math:`z` (day 0). With :math:`e` the end of observation by the
protocol's rule and :math:`d_k` the day of the first event of kind k, a person has
:math:`T=\min(\min_k d_k,\,e)-z` and the code of the first event if it lies in :math:`(z, e]`, else 0.
Everything is one query in the engine; nothing depends on the order of rows.

Steps, in this order: a time zero; its calendar window; the criteria of the protocol; no event on or
before day 0; observed after day 0; one of the strategies.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, assert_never

import numpy as np
import pandas as pd

from fiac_survival.cohort.eligibility import condition
from fiac_survival.cohort.engine import Engine
from fiac_survival.cohort.expressions import epoch_days, floor_divide
from fiac_survival.cohort.reading import Cohort
from fiac_survival.cohort.selection import around, select, with_variable
from fiac_survival.core.errors import DataError, ProtocolError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.population import OutcomeEvent, Records, Strategy
from fiac_survival.core.protocol import Protocol

FAR = 10**6
UNITS = {"day": 1.0, "month": 30.4375, "year": 365.25}
OWN = ("time_zero", "age", "year", "known_days", "time", "event", "strategy", "excluded_at")


@dataclass(frozen=True, eq=False)
class Analysis:
    """The analysis table of a protocol.

    Attributes
    ----------
    rows : ibis.Table
        One row an eligible person: the columns of ``person``, time_zero, age (completed years, of 365.25
        days), year, the variables, strategy, time (days), event; with a grace period ``start_<strategy>``,
        the day on which each was begun.
    attrition : DataFrame
        source, step, label, n_before, n_excluded, n_after.
    protocol : Protocol
        What it was built from.
    source : str
        Name of the source.
    engine : Engine
        Where it is.
    """

    rows: Any
    attrition: pd.DataFrame
    protocol: Protocol
    source: str
    engine: Engine = field(repr=False)
    verdicts: Any = field(repr=False)

    @functools.cached_property
    def table(self) -> pd.DataFrame:
        """Rows in memory, ordered by person."""
        return self.engine.collect(self.rows, order_by=["person"])

    def outcome(self) -> Outcome:
        """Give times in the protocol's unit, and event codes, in the order of :attr:`table`.

        Returns
        -------
        Outcome
            Ready for the estimators.
        """
        unit = UNITS[self.protocol.follow_up.unit]
        return Outcome(self.table["time"].to_numpy() / unit, self.table["event"].to_numpy())

    def _repr_html_(self) -> str:
        return str(self.attrition.to_html(index=False, border=0))


def build(
    cohort: Cohort, protocol: Protocol, *, source: str | None = None, allow_empty: bool = False
) -> Analysis:
    """Build the analysis table of a protocol.

    Parameters
    ----------
    cohort : Cohort
        Canonical tables.
    protocol : Protocol
        With time zero as records or a column, the outcome's events, and the end of follow-up.
    source : str, optional
        Name of the source; the protocol's only one if it has one.
    allow_empty : bool, default False
        Whether nobody may be left.

    Returns
    -------
    Analysis
        Eligible persons, and how many each step left out.

    Raises
    ------
    ProtocolError
        If the protocol leaves something open that records need.
    DataError
        If the cohort lacks what the protocol names, if a person follows two strategies, or if nobody is
        eligible.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> cohort, protocol = fs.cohort.example_cohort()
    >>> analysis = fs.cohort.build(cohort, protocol)
    >>> analysis.attrition[["label", "n_after"]].values.tolist()
    [['In the source', 4], ['Time zero: first lenalidomide', 3], ['Aged 18 or more', 3],
     ['Free of the outcome on day 0', 3], ['Observed after day 0', 3],
     ['Follows one of the strategies', 3]]
    >>> analysis.table[["person", "strategy", "time", "event"]].values.tolist()
    [[1, 'with_bortezomib', 300, 1], [2, 'alone', 366, 0], [3, 'alone', 366, 0]]
    >>> cohort.engine.close()
    """
    name = _source(protocol, source)
    _closed(protocol)
    base = _with_time_zero(cohort, protocol)
    zero = base.filter(base.fs_zero.notnull()).select("person", "fs_zero")
    base = _with_end(base, cohort, protocol)
    for variable in protocol.variables:
        base = with_variable(base, cohort, variable, zero)
    base = _with_outcome(base, cohort, protocol, zero)
    base, following = _with_strategies(base, cohort, protocol, zero)
    verdicts, labels = _verdicts(base, protocol, name, following, cohort.engine)
    attrition = _attrition(verdicts, labels, name, cohort.engine)
    inside = verdicts.filter(verdicts.excluded_at == 0)
    hidden = [c for c in inside.columns if c.startswith("fs_")]
    rows = inside.drop("excluded_at", *hidden)
    if not allow_empty and int(attrition["n_after"].iloc[-1]) == 0:
        empty = attrition[attrition["n_after"] == 0].iloc[0]
        raise DataError(
            "the protocol must leave somebody",
            values={"source": name, "step": empty["label"]},
            remedy="check that step against the coding of the source",
        )
    return Analysis(rows, attrition, protocol, name, cohort.engine, verdicts)


def _source(protocol: Protocol, source: str | None) -> str:
    if source is not None:
        return protocol.source(source).name
    if len(protocol.sources) > 1:
        raise ProtocolError(
            "which source the cohort is must be said",
            values={"sources": [s.name for s in protocol.sources]},
            remedy="pass source=",
        )
    return protocol.sources[0].name


def _closed(protocol: Protocol) -> None:
    """Refuse a protocol that leaves open what records need."""
    open_: list[tuple[str, str]] = []
    if protocol.time_zero.column is None and protocol.time_zero.records is None:
        open_.append(("time_zero", "column or records"))
    if not protocol.outcome.events:
        open_.append(("outcome", "events"))
    if protocol.follow_up.ends is None:
        open_.append(("follow_up", "ends: follow_up_end, last_activity or cutoff"))
    if open_:
        raise ProtocolError(
            "the protocol must say what a cohort is built from",
            values={"section": open_[0][0], "missing": open_[0][1], "open": len(open_)},
            remedy="add it to study.toml; how observation ends is never implicit",
        )


def _date_column(table: Any, column: str, what: str) -> Any:
    if column not in table.columns or not table.schema()[column].is_date():
        raise DataError(
            f"{what} must be a date column of person",
            values={"column": column},
            remedy=f"columns: {', '.join(table.columns)}",
        )
    return table[column]


def _with_time_zero(cohort: Cohort, protocol: Protocol) -> Any:
    import ibis

    person, about = cohort.person, protocol.time_zero
    taken = [c for c in person.columns if c in OWN or c.startswith("fs_")]
    if taken:
        raise DataError(
            "the table person must leave the names of the analysis table free",
            values={"column": taken[0]},
            remedy="rename it",
        )
    if about.records is not None:
        found = select(cohort, about.records)
        first = found.group_by("person").agg(fs_first=found.fs_date.min())
        first = first.select(fs_person=first.person, fs_first=first.fs_first)
        base = person.left_join(first, person.person == first.fs_person).drop("fs_person")
        base = base.rename(time_zero="fs_first")
    else:
        assert about.column is not None
        base = person.mutate(time_zero=_date_column(person, about.column, "time zero"))
    base = base.mutate(fs_zero=epoch_days(base.time_zero))
    age = floor_divide((base.fs_zero - epoch_days(base.birth)) * 4, 1461)
    base = base.mutate(age=age, year=base.time_zero.year().cast("int64"))
    known = ibis.null("int64")
    if "follow_up_start" in base.columns:
        known = base.fs_zero - epoch_days(base.follow_up_start)
    return base.mutate(known_days=known)


def _with_end(base: Any, cohort: Cohort, protocol: Protocol) -> Any:
    """Add fs_end, the last day observed, and fs_death, the day of a death that counts."""
    import ibis

    rule, cutoff = protocol.follow_up.ends, protocol.follow_up.cutoff
    death, limit = epoch_days(base.death), FAR
    if cutoff is not None:
        limit = int(np.datetime64(cutoff, "D").astype(np.int64))
    match rule:
        case "follow_up_end":
            last = ibis.least(epoch_days(base.follow_up_end), limit)
            counts = death <= last
        case "cutoff":
            last = ibis.literal(limit, "int64")
            counts = death <= last
        case "last_activity":
            base, activity = _with_activity(base, cohort, limit)
            last = activity
            counts = death <= limit
        case None:
            raise AssertionError
        case _:
            assert_never(rule)
    counts = counts.fill_null(False)
    return base.mutate(
        fs_death=counts.ifelse(death, ibis.null("int64")), fs_end=counts.ifelse(death, last)
    ).drop(*([] if rule != "last_activity" else ["fs_active"]))


def _with_activity(base: Any, cohort: Cohort, limit: int) -> tuple[Any, Any]:
    tables = [cohort.exposure, cohort.event]
    parts = [
        t.filter(t.date.notnull()).select(fs_person=t.person, fs_day=epoch_days(t.date))
        for t in tables
    ]
    seen = parts[0].union(parts[1])
    seen = seen.filter(seen.fs_day <= limit)
    last = seen.group_by("fs_person").agg(fs_active=seen.fs_day.max())
    joined = base.left_join(last, base.person == last.fs_person).drop("fs_person")
    return joined, joined.fs_active


def _with_outcome(base: Any, cohort: Cohort, protocol: Protocol, zero: Any) -> Any:
    """Add time and event, and fs_free: no event by a column on or before day 0."""
    import ibis

    for number, event in enumerate(protocol.outcome.events):
        base = _with_event(base, cohort, event, f"fs_event_{number}", zero)
    columns = [f"fs_event_{n}" for n in range(len(protocol.outcome.events))]
    numbered = list(zip(columns, protocol.outcome.events, strict=True))
    free = ibis.literal(True)
    for column, _ in numbered:
        free &= (base[column] > base.fs_zero).fill_null(True)
    capped = [(base[c] <= base.fs_end).ifelse(base[c], FAR).fill_null(FAR) for c in columns]
    first = capped[0] if len(capped) == 1 else ibis.least(*capped)
    base = base.mutate(fs_free=free, fs_first=first)
    hit = base.fs_first < FAR
    code = ibis.cases(*[(hit & (base[c] == base.fs_first), e.code) for c, e in numbered], else_=0)
    ends = hit.ifelse(base.fs_first, base.fs_end)
    return base.mutate(time=(ends - base.fs_zero).cast("int64"), event=code.cast("int64"))


def _with_event(base: Any, cohort: Cohort, event: OutcomeEvent, name: str, zero: Any) -> Any:
    if event.column is not None:
        dated = _date_column(base, event.column, f"the event {event.label!r}")
        return base.mutate(
            **{name: base.fs_death if event.column == "death" else epoch_days(dated)}
        )
    assert event.records is not None
    window = event.records.window or [1, FAR]
    joined = _with_first(base, cohort, event.records, zero, (window[0], window[1]))
    return joined.mutate(**{name: joined.fs_zero + joined.fs_when}).drop("fs_when")


def _with_first(
    base: Any, cohort: Cohort, records: Records, zero: Any, window: tuple[int, int]
) -> Any:
    """Add fs_when, the day of the first such record in a window; missing where there is none."""
    found = around(cohort, records, zero, window)
    first = found.group_by("person").agg(fs_when=found.fs_day.min())
    first = first.select(fs_person=first.person, fs_when=first.fs_when)
    return base.left_join(first, base.person == first.fs_person).drop("fs_person")


def _with_strategies(base: Any, cohort: Cohort, protocol: Protocol, zero: Any) -> tuple[Any, bool]:
    """Add strategy, or with a grace period the day on which each was begun."""
    import ibis

    graced = any(s.grace_days is not None for s in protocol.strategies)
    for strategy in protocol.strategies:
        base = _with_begun(base, cohort, strategy, zero, graced)
    if graced:
        return base, False
    begun = [base[f"fs_follows_{s.name}"] for s in protocol.strategies if not s.none_of_the_others]
    several = begun[0].cast("int64")
    for one in begun[1:]:
        several += one.cast("int64")
    none = several == 0
    found = ibis.cases(
        *[
            (none if s.none_of_the_others else base[f"fs_follows_{s.name}"], s.name)
            for s in protocol.strategies
        ],
        else_=ibis.null("string"),
    )
    return base.mutate(strategy=found, fs_several=several), True


def _with_begun(base: Any, cohort: Cohort, strategy: Strategy, zero: Any, graced: bool) -> Any:
    if strategy.none_of_the_others:
        return base
    flag = f"fs_follows_{strategy.name}"
    if strategy.column is not None:
        if graced:
            raise ProtocolError(
                "strategies with and without a grace period cannot be mixed",
                values={"strategy": strategy.name},
                remedy="give each records and grace_days, and at most one none_of_the_others",
            )
        if strategy.column not in base.columns:
            raise DataError(
                "a strategy must name a column that is known at time zero",
                values={"strategy": strategy.name, "column": strategy.column},
                remedy="name a column of person or a variable of the protocol",
            )
        holds = base[strategy.column] == strategy.value
        return base.mutate(**{flag: holds.fill_null(False)})
    assert strategy.records is not None
    if graced and strategy.grace_days is None:
        raise ProtocolError(
            "every strategy of a protocol with a grace period needs one",
            values={"strategy": strategy.name},
            remedy="add grace_days",
        )
    window = (0, strategy.grace_days) if graced else strategy.records.window
    assert window is not None
    assert window[1] is not None
    ends = (int(window[0] or 0), int(window[1]))
    joined = _with_first(base, cohort, strategy.records, zero, ends)
    made: dict[str, Any] = {flag: joined.fs_when.notnull()}
    if graced:
        made = {f"start_{strategy.name}": joined.fs_when.cast("int64")}
    return joined.mutate(**made).drop("fs_when")


def _verdicts(
    base: Any, protocol: Protocol, source: str, following: bool, engine: Engine
) -> tuple[Any, list[str]]:
    """Give each person the number of the first step that leaves it out; 0 to the eligible."""
    import ibis

    about = protocol.time_zero
    steps: list[tuple[str, Any]] = [(f"Time zero: {about.definition}", base.fs_zero.notnull())]
    if about.between is not None:
        first, last = (np.datetime64(d, "D").astype(np.int64) for d in about.between)
        inside = (base.fs_zero >= int(first)) & (base.fs_zero <= int(last))
        label = f"Time zero from {about.between[0]} to {about.between[1]}"
        steps.append((label, inside))
    steps += [
        (criterion.label, condition(base, criterion))
        for criterion in protocol.eligibility
        if criterion.sources is None or source in criterion.sources
    ]
    steps.append(("Free of the outcome on day 0", base.fs_free))
    steps.append(("Observed after day 0", base.time > 0))
    if following:
        steps.append(("Follows one of the strategies", base.strategy.notnull()))
    cases = [(~met.fill_null(False), number) for number, (_, met) in enumerate(steps, start=1)]
    verdict = ibis.cases(*cases, else_=0).cast("int64")
    verdicts = engine.keep(base.mutate(excluded_at=verdict))
    if following:
        double = verdicts.filter((verdicts.excluded_at == 0) & (verdicts.fs_several > 1))
        count = int(double.count().execute())
        if count:
            raise DataError(
                "a person must follow one strategy at time zero",
                count=count,
                remedy="make the strategies exclude each other, or give them a grace period",
            )
    return verdicts, [label for label, _ in steps]


def _attrition(verdicts: Any, labels: list[str], source: str, engine: Engine) -> pd.DataFrame:
    counted = verdicts.group_by("excluded_at").agg(n=verdicts.count())
    frame = engine.collect(counted, order_by=["excluded_at"])
    lost = dict(zip(frame["excluded_at"].tolist(), frame["n"].tolist(), strict=True))
    left = int(frame["n"].sum())
    rows = [(source, 0, "In the source", left, 0, left)]
    for number, label in enumerate(labels, start=1):
        excluded = int(lost.get(number, 0))
        rows.append((source, number, label, left, excluded, left - excluded))
        left -= excluded
    names = ["source", "step", "label", "n_before", "n_excluded", "n_after"]
    return pd.DataFrame(rows, columns=names)
