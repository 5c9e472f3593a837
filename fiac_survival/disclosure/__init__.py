"""Disclosure control: what may leave a protected source, what is done to it, and the audit of that.

Profiles hold the rules of institutions; tables of counts, curves and estimates state their structure;
:func:`control_disclosure` makes them safe one by one, and :func:`audit` holds all outputs together.
"""

from fiac_survival.disclosure.attack import solve_counts
from fiac_survival.disclosure.audit import Audit, audit
from fiac_survival.disclosure.control import ControlledTable, control_disclosure
from fiac_survival.disclosure.inputs import CountTable, CurveTable, EstimateTable
from fiac_survival.disclosure.outputs import Cell, LinearOutputs, Released, Sum
from fiac_survival.disclosure.profiles import PROFILES, Profile, ProfileName, Rounding, find_profile
from fiac_survival.disclosure.summaries import describe_values

__all__ = [
    "PROFILES",
    "Audit",
    "Cell",
    "ControlledTable",
    "CountTable",
    "CurveTable",
    "EstimateTable",
    "LinearOutputs",
    "Profile",
    "ProfileName",
    "Released",
    "Rounding",
    "Sum",
    "audit",
    "control_disclosure",
    "describe_values",
    "find_profile",
    "solve_counts",
]
