"""From sources to a cohort: engines, eligibility, lines of therapy."""

from fiac_survival.cohort.drugs import Drug, DrugTable
from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.line_rules import LineRules
from fiac_survival.cohort.lines import LinesOfTherapy, lines_of_therapy

__all__ = [
    "Drug",
    "DrugTable",
    "Engine",
    "LineRules",
    "LinesOfTherapy",
    "apply_eligibility",
    "connect",
    "lines_of_therapy",
]
