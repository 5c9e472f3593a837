"""Part of a protocol that only readers need: what reporting checklists ask and no other part says.

Everything is optional. What is left out is shown as missing in the checklists, never made up.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fiac_survival.core.population import Name, Section, Text, Texts

Standard = Literal["target", "record_pe"]
ItemTexts = dict[Standard, dict[str, Text]]
Artefacts = Annotated[list[Name], Field(min_length=1)]


class Shown(Section):
    """Names of the study's tables and figures, by what they show. Each must be released by the run.

    Attributes
    ----------
    selection : list of str or None
        Numbers of patients at each step of eligibility.
    linkage : list of str or None
        How sources were linked, and how well.
    data_quality : list of str or None
        Checks of the data and what they found.
    baseline : list of str or None
        Characteristics of patients.
    missing_data : list of str or None
        How often values are missing.
    follow_up : list of str or None
        Length of follow-up and why it ended.
    outcomes : list of str or None
        Numbers of events, or curves.
    effects : list of str or None
        Estimates with their precision.
    assumption_checks : list of str or None
        Checks of the assumptions: balance, calibration, support.
    sensitivity : list of str or None
        The same estimate under other choices.
    design_diagram : list of str or None
        A drawing of the design.
    """

    selection: Artefacts | None = None
    linkage: Artefacts | None = None
    data_quality: Artefacts | None = None
    baseline: Artefacts | None = None
    missing_data: Artefacts | None = None
    follow_up: Artefacts | None = None
    outcomes: Artefacts | None = None
    effects: Artefacts | None = None
    assumption_checks: Artefacts | None = None
    sensitivity: Artefacts | None = None
    design_diagram: Artefacts | None = None


class Reporting(Section):
    """What reporting checklists ask and no other part of the protocol says.

    Attributes
    ----------
    checklists : list of {"target", "record_pe"}
        Checklists that the runner fills and shows in the report.
    design : str or None
        The kind of study, and whether it emulates a target trial.
    background, rationale : str or None
        What is known and what is not; why this design with these data.
    setting : str or None
        Country, kind of care, and period.
    linkage : str or None
        How sources were linked.
    assumptions : list of str or None
        What must hold for the estimate to mean what it is said to mean.
    analysis : str or None
        How estimates are made, where ``[[methods]]`` does not say it.
    missing_data : str or None
        How missing values are handled.
    ethics, registration, data_access, code_access, funding, conflicts : str or None
        Approval; where and when registered; how to get data and code; who paid and what they did;
        conflicts of interest.
    shown : Shown
        Tables and figures that answer items.
    answers : dict
        The authors' own words on single items, by checklist and number.
    not_applicable : dict
        Items that do not apply, with the reason, by checklist and number.
    """

    checklists: list[Standard] = Field(default_factory=list)
    design: Text | None = None
    background: Text | None = None
    rationale: Text | None = None
    setting: Text | None = None
    linkage: Text | None = None
    assumptions: Texts | None = None
    analysis: Text | None = None
    missing_data: Text | None = None
    ethics: Text | None = None
    registration: Text | None = None
    data_access: Text | None = None
    code_access: Text | None = None
    funding: Text | None = None
    conflicts: Text | None = None
    shown: Shown = Shown()
    answers: ItemTexts = Field(default_factory=dict)
    not_applicable: ItemTexts = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> Reporting:
        for name in self.checklists:
            if self.checklists.count(name) > 1:
                raise ValueError(f"two of the same checklist: {name}")
        for standard, items in self.not_applicable.items():
            for number in items:
                if number in self.answers.get(standard, {}):
                    raise ValueError(
                        f"item {number} of {standard} has an answer and does not apply"
                    )
        return self
