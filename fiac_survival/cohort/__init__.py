"""From sources to a cohort: engines, eligibility, regimens in drug records."""

from fiac_survival.cohort.alignment import AlignedRegimens, align_regimens
from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.regimens import Regimen, RegimenStep, read_regimens

__all__ = [
    "AlignedRegimens",
    "Engine",
    "Regimen",
    "RegimenStep",
    "align_regimens",
    "apply_eligibility",
    "connect",
    "read_regimens",
]
