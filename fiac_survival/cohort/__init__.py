"""From sources to a cohort: engines and eligibility; and what may leave: disclosure control."""

from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.disclosure import (
    ControlledTable,
    CountTable,
    CurveTable,
    EstimateTable,
    control_disclosure,
    describe_values,
)

__all__ = [
    "ControlledTable",
    "CountTable",
    "CurveTable",
    "Engine",
    "EstimateTable",
    "apply_eligibility",
    "connect",
    "control_disclosure",
    "describe_values",
]
