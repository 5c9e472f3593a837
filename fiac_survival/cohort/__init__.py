"""From sources to a cohort: engines, eligibility, lines of therapy."""

from fiac_survival.cohort.drugs import Drug, DrugTable
from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.line_accuracy import LineAccuracy, line_accuracy
from fiac_survival.cohort.line_rules import LineRules
from fiac_survival.cohort.lines import LinesOfTherapy, lines_of_therapy
from fiac_survival.cohort.quality import Quality, quality
from fiac_survival.cohort.reading import Cohort, read
from fiac_survival.cohort.risk_tables import risk_table

__all__ = [
    "Cohort",
    "Drug",
    "DrugTable",
    "Engine",
    "LineAccuracy",
    "LineRules",
    "LinesOfTherapy",
    "Quality",
    "apply_eligibility",
    "connect",
    "line_accuracy",
    "lines_of_therapy",
    "quality",
    "read",
    "risk_table",
]
