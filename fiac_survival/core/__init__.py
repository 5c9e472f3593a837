"""What every floor shares: errors, outcomes, risk tables, protocol, results, files, threads."""

from fiac_survival.core import errors
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.risk_table import RiskTable

__all__ = ["Outcome", "RiskTable", "errors"]
