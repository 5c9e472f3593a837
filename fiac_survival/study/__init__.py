"""Studies: run them, keep their record, verify them."""

from fiac_survival.core.protocol import Protocol, read_protocol
from fiac_survival.study.checklist import (
    ReportingChecklist,
    read_checklist,
    reporting_checklist,
)
from fiac_survival.study.checklist_answers import Released
from fiac_survival.study.context import StudyRun
from fiac_survival.study.packets import SiteRows
from fiac_survival.study.project import Project, find_project
from fiac_survival.study.sources import StudySources
from fiac_survival.study.study import Study, load
from fiac_survival.study.verification import Finding, Status, Verification

__all__ = [
    "Finding",
    "Project",
    "Protocol",
    "Released",
    "ReportingChecklist",
    "SiteRows",
    "Status",
    "Study",
    "StudyRun",
    "StudySources",
    "Verification",
    "find_project",
    "load",
    "read_checklist",
    "read_protocol",
    "reporting_checklist",
]
