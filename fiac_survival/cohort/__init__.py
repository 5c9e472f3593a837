"""From sources to a cohort: engines and eligibility."""

from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect

__all__ = ["Engine", "apply_eligibility", "connect"]
