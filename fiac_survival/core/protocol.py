"""The protocol of a study: the estimand as data.

A protocol is read from ``study.toml``. Unknown keys are refused, with the nearest known one, so that a
misspelt option can never be ignored. Attrition flow, report and provenance come from it.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, model_validator

from fiac_survival.core.errors import ProtocolError
from fiac_survival.core.files import read_text, sha256_text
from fiac_survival.core.population import (
    Criterion,
    FollowUp,
    FurtherOutcome,
    Name,
    OutcomeDefinition,
    Section,
    Strategy,
    Text,
    TimeZero,
    Variable,
)
from fiac_survival.core.reporting import Reporting

SCHEMA_VERSION = 1


class Source(Section):
    """A source of data.

    Attributes
    ----------
    name : str
        Short name, used in tables.
    label, description : str
        For figures, and for the report.
    role : {"private", "public"}
        The private source is the reference of comparisons.
    dataset : str or None
        Name of a data set that comes with the package; None means that a file ``<name>.parquet`` or
        ``<name>.csv`` is to be given with ``--data``.
    simulated : bool
        Whether no patient stands behind it.
    protected : bool
        Whether messages must not show values.
    """

    name: Name
    label: Text
    description: Text
    role: Literal["private", "public"]
    dataset: Name | None = None
    simulated: bool = False
    protected: bool = False


class Estimand(Section):
    """What is estimated in each source.

    Attributes
    ----------
    name, label : str
        Short name, and name on figures.
    measure : {"hazard_ratio", "rmst", "milestone"}
        As in :func:`fiac_survival.compare.effect`.
    tau : float or None
        Horizon, in the unit of follow-up.
    censor_at : float or None
        Common end of follow-up that every source is cut to before the estimate is made.
    margin : float
        Equivalence margin: a ratio above 1 for hazard ratios, else a difference.
    """

    name: Name
    label: Text
    measure: Literal["hazard_ratio", "rmst", "milestone"]
    tau: Annotated[float, Field(gt=0)] | None = None
    censor_at: Annotated[float, Field(gt=0)] | None = None
    margin: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _tau_fits(self) -> Estimand:
        if (self.measure == "hazard_ratio") != (self.tau is None):
            raise ValueError("tau goes with rmst and milestone, and only with them")
        if self.measure == "hazard_ratio" and self.margin <= 1:
            raise ValueError("the margin of a hazard ratio is a ratio above 1")
        return self


class Truncation(Section):
    """Truncation of weights or propensities at pooled quantiles."""

    on: Literal["weight", "propensity"]
    quantiles: Annotated[list[float], Field(min_length=2, max_length=2)]


class WeightingMethod(Section):
    """A way to make arms comparable.

    Attributes
    ----------
    name, label : str
        Short name, and name on figures.
    method : {"none", "propensity", "entropy"}
        "none" compares the arms as they are.
    covariates : str or None
        Name of a list in ``[covariates]``.
    estimand, stabilised, normalise, truncate
        As in :func:`fiac_survival.compare.weights`.
    sources : list of str or None
        Where it can be used; None means everywhere.
    """

    name: Name
    label: Text
    method: Literal["none", "propensity", "entropy"]
    covariates: Name | None = None
    estimand: Literal["ate", "att", "atc", "overlap", "matching"] = "ate"
    stabilised: bool = False
    normalise: Literal["group", "none"] | None = None
    truncate: Truncation | None = None
    sources: list[Name] | None = None

    @model_validator(mode="after")
    def _covariates_fit(self) -> WeightingMethod:
        if (self.method == "none") != (self.covariates is None):
            raise ValueError('covariates go with every method but "none"')
        return self


class Comparison(Section):
    """Which estimates are held against each other.

    Attributes
    ----------
    private, public : str
        Names of the sources.
    private_method, public_method : str
        Names of the methods of the primary comparison.
    level : float
        Confidence level.
    """

    private: Name
    public: Name
    private_method: Name
    public_method: Name
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Release(Section):
    """Under which disclosure-control profile results leave, and why; its threshold and rounding.

    Attributes
    ----------
    profile, reason, threshold, rounding
        The institution's rules.
    every : float or None
        Curves of site packets leave at multiples of this, in the unit of follow-up; a quarter of a year by
        default. The same at all sites, or their packets have no moment in common.
    """

    profile: Literal["none", "snds", "opensafely"]
    reason: Text
    threshold: Annotated[int, Field(ge=1)] | None = None
    rounding: Literal["none", "nearest", "midpoint"] | None = None
    every: Annotated[float, Field(gt=0)] | None = None


class Protocol(Section):
    """The protocol of a study.

    Attributes
    ----------
    schema_version : int
        Of this format.
    name, title, question : str
        Short name (that of its folder), title, and the question in one sentence.
    status : {"draft", "published"}
        How far it is.
    seed : int
        Root of all random streams.
    sources, eligibility, variables, time_zero, strategies, outcome, further_outcomes, follow_up,
    covariates, methods, estimands, comparison, release
        The parts.
    labels : dict
        Names of columns for readers.
    limits : list of str
        What the study cannot say; printed in the report.
    references : list of str
        Publications.
    reporting : Reporting
        What reporting checklists ask and no other part says.
    """

    schema_version: Literal[1]
    name: Name
    title: Text
    question: Text
    status: Literal["draft", "published"]
    seed: Annotated[int, Field(ge=0)]
    sources: Annotated[list[Source], Field(min_length=1)]
    eligibility: list[Criterion] = Field(default_factory=list)
    variables: list[Variable] = Field(default_factory=list)
    time_zero: TimeZero
    strategies: Annotated[list[Strategy], Field(min_length=1)]
    outcome: OutcomeDefinition
    further_outcomes: list[FurtherOutcome] = Field(default_factory=list)
    follow_up: FollowUp
    covariates: dict[Name, Annotated[list[str], Field(min_length=1)]] = Field(default_factory=dict)
    methods: list[WeightingMethod] = Field(default_factory=list)
    estimands: Annotated[list[Estimand], Field(min_length=1)]
    comparison: Comparison | None = None
    release: Release
    labels: dict[str, str] = Field(default_factory=dict)
    limits: list[str] = Field(default_factory=list)
    references: list[str] = Field(default_factory=list)
    reporting: Reporting = Reporting()

    @model_validator(mode="after")
    def _names_agree(self) -> Protocol:
        sources = _unique("source", [s.name for s in self.sources])
        methods = _unique("method", [m.name for m in self.methods])
        _unique("estimand", [e.name for e in self.estimands])
        _unique("further outcome", [o.name for o in self.further_outcomes])
        _unique("strategy", [s.name for s in self.strategies])
        _unique("variable", [v.name for v in self.variables])
        _unique("code of the outcome's events", [str(e.code) for e in self.outcome.events])
        for criterion in self.eligibility:
            for name in criterion.sources or []:
                _known("source", name, sources)
        for method in self.methods:
            for name in method.sources or []:
                _known("source", name, sources)
            if method.covariates is not None:
                _known("list of covariates", method.covariates, list(self.covariates))
        if self.comparison is not None:
            for name in (self.comparison.private, self.comparison.public):
                _known("source", name, sources)
            for name in (self.comparison.private_method, self.comparison.public_method):
                _known("method", name, methods)
        return self

    @property
    def simulated(self) -> bool:
        """Whether any source is simulated."""
        return any(source.simulated for source in self.sources)

    @property
    def protected(self) -> bool:
        """Whether any source is protected."""
        return any(source.protected for source in self.sources)

    def label(self, column: str) -> str:
        """Name a column for readers.

        Parameters
        ----------
        column : str
            Its name in tables.

        Returns
        -------
        str
            From ``[labels]``, or the name itself.
        """
        return self.labels.get(column, column)

    def further_outcome(self, name: str) -> FurtherOutcome:
        """Find an outcome beside the first.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        FurtherOutcome
            Its definition and margin.

        Raises
        ------
        ProtocolError
            If the protocol has no such outcome.
        """
        for outcome in self.further_outcomes:
            if outcome.name == name:
                return outcome
        raise ProtocolError(
            "the protocol must have the outcome",
            values={"outcome": name, "known": [o.name for o in self.further_outcomes]},
        )

    def source(self, name: str) -> Source:
        """Find a source.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        Source
            Its description.

        Raises
        ------
        ProtocolError
            If the protocol has no such source.
        """
        for source in self.sources:
            if source.name == name:
                return source
        raise ProtocolError(
            "the protocol must have the source",
            values={"source": name, "known": [s.name for s in self.sources]},
        )


def _unique(kind: str, names: list[str]) -> list[str]:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two of the same {kind}: {name}")
    return names


def _known(kind: str, name: str, known: list[str]) -> None:
    if name not in known:
        raise ValueError(f"unknown {kind} {name!r} (known: {', '.join(known)})")


def parse_protocol(text: str, *, where: str = "study.toml") -> Protocol:
    """Read a protocol from its text.

    Parameters
    ----------
    text : str
        TOML.
    where : str, default "study.toml"
        Name of the file, for messages.

    Returns
    -------
    Protocol
        Checked.

    Raises
    ------
    ProtocolError
        Naming the key and, if it is misspelt, the nearest known one.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as cause:
        raise ProtocolError(
            "the protocol must be valid TOML",
            values={"file": where, "reason": str(cause)},
            remedy="correct that line",
        ) from cause
    try:
        return Protocol.model_validate(content)
    except ValidationError as cause:
        raise _explain(cause, where) from cause


def _explain(cause: ValidationError, where: str) -> ProtocolError:
    errors = sorted(cause.errors(), key=lambda e: e["type"] != "extra_forbidden")
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"]) or "the protocol"
    remedy, rule = "", str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        rule = "a key must be known"
        near = difflib.get_close_matches(str(first["loc"][-1]), _keys_at(first["loc"][:-1]), n=1)
        remedy = f"did you mean {near[0]!r}?" if near else "remove it"
    elif first["type"] == "missing":
        rule = "a key must not be missing"
        remedy = "add it"
    values: dict[str, Any] = {"file": where, "key": place}
    if first["type"] not in ("extra_forbidden", "missing") and not isinstance(
        first["input"], dict | list
    ):
        values["value"] = first["input"]
    if len(errors) > 1:
        values["further problems"] = len(errors) - 1
    return ProtocolError(rule, values=values, remedy=remedy)


def _keys_at(path: tuple[int | str, ...]) -> list[str]:
    """Names of the keys that are known at a place of the protocol."""
    model: Any = Protocol
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        model = _model_in(field.annotation) if field else None
        if model is None:
            return []
    return list(model.model_fields)


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_in(part)
        if found is not None:
            return found
    return None


def read_protocol(path: Path) -> Protocol:
    """Read the protocol of a study.

    Parameters
    ----------
    path : Path
        ``study.toml``.

    Returns
    -------
    Protocol
        Checked.

    Raises
    ------
    ProtocolError
        If the file is missing or breaks a rule.
    """
    return parse_protocol(read_text(path, ProtocolError), where=path.name)


def protocol_hash(path: Path) -> str:
    """Fingerprint of a protocol's text.

    Parameters
    ----------
    path : Path
        ``study.toml``.

    Returns
    -------
    str
        64 hexadecimal digits; line ends do not count.
    """
    return sha256_text(read_text(path, ProtocolError).replace("\r\n", "\n"))
