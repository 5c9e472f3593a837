"""Studies: run them, keep their record, verify them."""

from fiac_survival.core.protocol import Protocol, read_protocol
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
    "SiteRows",
    "Status",
    "Study",
    "StudyRun",
    "StudySources",
    "Verification",
    "find_project",
    "load",
    "read_protocol",
]
