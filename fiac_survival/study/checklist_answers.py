"""What a protocol and a run answer to the items of reporting checklists, in words.

Nothing is made up: an answer is there only if the protocol has the part that it is taken from, or the
run released the table or figure that it points to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.population import Criterion, Records, Strategy, Variable
from fiac_survival.core.protocol import Protocol, WeightingMethod
from fiac_survival.core.reporting import Shown
from fiac_survival.report.page import FigureItem, Item, Summary, TableItem

TEXTS = {
    "design": "design",
    "background": "background",
    "rationale": "rationale",
    "setting": "setting",
    "linkage": "linkage",
    "missing_data": "missing_data",
    "ethics": "ethics",
    "registration": "registration",
    "data_access": "data_access",
    "code_access": "code_access",
    "funding": "funding",
    "conflicts": "conflicts",
}
# Where an author writes what a part needs.
WRITTEN_IN = {name: f"[reporting] {key}" for name, key in TEXTS.items()} | {
    f"shown.{name}": f"[reporting.shown] {name}" for name in Shown.model_fields
}
WRITTEN_IN |= {
    "figure.selection": "[reporting.shown] selection, with a figure",
    "assumptions": "[reporting] assumptions",
    "analysis": "[[methods]] or [reporting] analysis",
    "adjustment": "[[methods]] with covariates",
    "covariates": "[covariates]",
    "variables_in_data": "[[variables]]",
    "eligibility_in_data": "[[eligibility]]",
    "time_zero_in_data": "[time_zero] column or records",
    "absolute_estimands": "[[estimands]] with rmst or milestone",
    "limits": "limits",
    "findings": "study.summary(...) in analysis.py",
}
VALUE = {
    "any": "whether there is one",
    "days": "number of days with one",
    "first_day": "day of the first",
    "last_day": "day of the last",
    "last_value": "value of the last",
}
ENDS = {
    "follow_up_end": "the end that the source gives",
    "last_activity": "the last record of any kind",
    "cutoff": "the data cut-off",
}


@dataclass(frozen=True)
class Answer:
    """Where something is answered, and what is said."""

    where: str
    text: str


@dataclass(frozen=True)
class Released:
    """What a run released.

    Attributes
    ----------
    tables, figures : dict
        Names, with title or caption ("" where the report does not show them).
    findings : bool
        Whether the report has a summary in plain words.
    """

    tables: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    findings: bool = False

    @classmethod
    def of_run(
        cls, items: Iterable[Item], tables: Iterable[str], figures: Iterable[str]
    ) -> Released:
        """Gather what a run released.

        Parameters
        ----------
        items : iterable of Item
            What the report shows.
        tables, figures : iterable of str
            Names of all tables and figures.

        Returns
        -------
        Released
            With their titles.
        """
        shown = list(items)
        titles = {i.name: i.title for i in shown if isinstance(i, TableItem)}
        captions = {i.name: i.caption for i in shown if isinstance(i, FigureItem)}
        return cls(
            {name: titles.get(name, "") for name in tables},
            {name: captions.get(name, "") for name in figures},
            any(isinstance(i, Summary) for i in shown),
        )


def answers(protocol: Protocol, released: Released | None) -> dict[str, Answer]:
    """Say what a protocol and a run answer.

    Parameters
    ----------
    protocol : Protocol
        The protocol.
    released : Released or None
        What the run released; None: the artefacts that the protocol names are not looked for.

    Returns
    -------
    dict of str to Answer
        By key of the checklists; what is not answered has no key.

    Raises
    ------
    ProtocolError
        If the protocol names a table or figure that the run did not release.
    """
    out = _population(protocol) | _estimates(protocol) | _artefacts(protocol, released)
    about = protocol.reporting
    for name, key in TEXTS.items():
        text = getattr(about, key)
        if text is not None:
            out[name] = Answer(WRITTEN_IN[name], text)
    if about.assumptions:
        out["assumptions"] = Answer(WRITTEN_IN["assumptions"], " ".join(about.assumptions))
    if protocol.limits:
        n = len(protocol.limits)
        out["limits"] = Answer("report: Limits", f"{n} limit{'s' * (n > 1)}, listed in the report")
    if released is not None and released.findings:
        out["findings"] = Answer("report: In plain words", "said at the top of the report")
    return out


def _population(protocol: Protocol) -> dict[str, Answer]:
    follow_up, zero, outcome = protocol.follow_up, protocol.time_zero, protocol.outcome
    outcomes = [f"{outcome.label}: {outcome.definition}"]
    outcomes += [f"{o.label}: {o.definition}" for o in protocol.further_outcomes]
    out = {
        "question": Answer("protocol: question", protocol.question),
        "sources": Answer(
            "protocol: sources",
            "; ".join(
                f"{s.label} ({s.role}{', simulated' if s.simulated else ''}): "
                + s.description.rstrip(".")
                for s in protocol.sources
            ),
        ),
        "eligibility": Answer(
            "protocol: eligibility",
            "; ".join(_with_sources(c.label, c) for c in protocol.eligibility)
            or "everybody in the source",
        ),
        "time_zero": Answer("protocol: time zero", zero.definition),
        "strategies": Answer(
            "protocol: strategies", "; ".join(s.label for s in protocol.strategies)
        ),
        "strategies_in_data": Answer(
            "protocol: strategies",
            "; ".join(f"{s.label}: {_strategy(s)}" for s in protocol.strategies),
        ),
        "follow_up": Answer(
            "protocol: follow-up",
            f"from {zero.definition} to {follow_up.horizon:g} {follow_up.unit}s",
        ),
        "follow_up_in_data": Answer("protocol: follow-up", _censoring(protocol)),
        "outcomes": Answer("protocol: outcome", "; ".join(outcomes)),
        "outcomes_in_data": Answer(
            "protocol: outcome",
            "; ".join(
                f"{e.label}: "
                + (f"date in column {e.column}" if e.records is None else _records(e.records))
                for e in outcome.events
            )
            or f"columns {outcome.time} and {outcome.event} of the analysis table",
        ),
    }
    if protocol.eligibility:
        out["eligibility_in_data"] = Answer(
            "protocol: eligibility",
            "in this order: " + "; ".join(_criterion(c) for c in protocol.eligibility),
        )
    parts = [f"column {zero.column}"] if zero.column else []
    parts += [f"the first such record: {_records(zero.records)}"] if zero.records else []
    parts += [f"from {zero.between[0]} to {zero.between[1]}"] if zero.between else []
    if zero.column or zero.records:
        out["time_zero_in_data"] = Answer("protocol: time zero", ", ".join(parts))
    if protocol.variables:
        out["variables_in_data"] = Answer(
            "protocol: variables", "; ".join(_variable(v) for v in protocol.variables)
        )
    return out


def _estimates(protocol: Protocol) -> dict[str, Answer]:
    unit = protocol.follow_up.unit
    made = [
        f"{e.label}: {e.measure}"
        + (f" at {e.tau:g} {unit}s" if e.tau is not None else "")
        + (f", follow-up cut at {e.censor_at:g} {unit}s" if e.censor_at is not None else "")
        + f", equivalence margin {e.margin:g}"
        for e in protocol.estimands
    ]
    held = protocol.comparison
    if held is not None:
        made.append(
            f"{held.private} ({held.private_method}) against {held.public} ({held.public_method}), "
            f"level {held.level:g}"
        )
    out = {
        "estimands": Answer("protocol: estimands", "; ".join(e.label for e in protocol.estimands)),
        "estimands_in_data": Answer("protocol: estimands", "; ".join(made)),
    }
    absolute = [e.label for e in protocol.estimands if e.measure != "hazard_ratio"]
    if absolute:
        out["absolute_estimands"] = Answer("protocol: estimands", "; ".join(absolute))
    adjusted = [_method(m) for m in protocol.methods if m.method != "none"]
    if adjusted:
        out["adjustment"] = Answer("protocol: methods", "; ".join(adjusted))
    said = [_method(m) for m in protocol.methods]
    said += [protocol.reporting.analysis] if protocol.reporting.analysis else []
    where = ["protocol: methods"] if protocol.methods else []
    where += ["[reporting] analysis"] if protocol.reporting.analysis else []
    if said:
        out["analysis"] = Answer("; ".join(where), "; ".join(said))
    if protocol.covariates:
        out["covariates"] = Answer(
            "protocol: covariates",
            "; ".join(
                f"{name}: {', '.join(protocol.label(c) for c in columns)}"
                for name, columns in protocol.covariates.items()
            ),
        )
    return out


def _artefacts(protocol: Protocol, released: Released | None) -> dict[str, Answer]:
    out = {}
    for part in Shown.model_fields:
        names = getattr(protocol.reporting.shown, part)
        if not names:
            continue
        if released is None:
            text = "named in the protocol, not held against a run"
            out[f"shown.{part}"] = Answer(", ".join(names), text)
            continue
        where, titles = [], []
        for name in names:
            if name not in released.tables and name not in released.figures:
                raise ProtocolError(
                    "[reporting.shown] must name tables and figures that the run releases",
                    values={"part": part, "name": name},
                    remedy="correct the name in study.toml",
                )
            if name in released.tables:
                where.append(f"results/{name}.csv")
                titles += [released.tables[name]] if released.tables[name] else []
            if name in released.figures:
                where.append(f"figure {name}")
        text = "; ".join(titles) or "see there"
        out[f"shown.{part}"] = Answer(", ".join(where), text)
        drawn = [name for name in names if name in released.figures]
        if part == "selection" and drawn:
            caption = "; ".join(filter(None, (released.figures[n] for n in drawn))) or "see there"
            out["figure.selection"] = Answer(", ".join(f"figure {n}" for n in drawn), caption)
    return out


def _with_sources(text: str, criterion: Criterion) -> str:
    return f"{text} ({', '.join(criterion.sources)})" if criterion.sources else text


def _criterion(criterion: Criterion) -> str:
    value = criterion.value
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    condition = f"{criterion.column} {criterion.operator}" + ("" if value is None else f" {shown}")
    return _with_sources(f"{criterion.label}: {condition}", criterion)


def _records(records: Records) -> str:
    chosen = [
        f"{key} {', '.join(map(str, getattr(records, key)))}"
        for key in ("drugs", "atc", "events", "codes", "regimens", "lines")
        if getattr(records, key) is not None
    ]
    text = f"record in {records.table}" + (f" ({'; '.join(chosen)})" if chosen else "")
    if records.window is None:
        return text
    first, last = records.window
    days = f"day {first}" if first == last else f"days {first} to {last}"
    return f"{text} on {days}"


def _strategy(strategy: Strategy) -> str:
    if strategy.column is not None:
        return f"{strategy.column} is {strategy.value}"
    if strategy.records is None:
        return "none of the others begun"
    text = _records(strategy.records)
    if strategy.grace_days is None:
        return text
    return f"{text} by day {strategy.grace_days} (patients cloned, censored and weighted)"


def _variable(variable: Variable) -> str:
    return f"{variable.label}: {VALUE[variable.value]}, {_records(variable.records)}"


def _method(method: WeightingMethod) -> str:
    if method.method == "none":
        return f"{method.label}: not adjusted"
    parts = [method.method, f"covariates {method.covariates}", method.estimand.upper()]
    parts += ["stabilised"] if method.stabilised else []
    if method.truncate is not None:
        low, high = method.truncate.quantiles
        parts.append(f"{method.truncate.on} truncated at quantiles {low:g} and {high:g}")
    parts += [f"in {', '.join(method.sources)}"] if method.sources else []
    return f"{method.label}: {', '.join(parts)}"


def _censoring(protocol: Protocol) -> str:
    follow_up = protocol.follow_up
    parts = [follow_up.censoring]
    parts += [f"ends at {ENDS[follow_up.ends]}"] if follow_up.ends else []
    parts += [f"cut-off {follow_up.cutoff}"] if follow_up.cutoff else []
    return "; ".join(parts)
