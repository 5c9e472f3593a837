"""Simulated sources with a known truth. Everything that comes from here is marked as simulated."""

from fiac_survival.simulate.calibration import myeloma_calibration, myeloma_curves
from fiac_survival.simulate.claims import SimulatedClaims, myeloma_claims
from fiac_survival.simulate.lung import LungEarlyAccess, LungTruth, lung_early_access
from fiac_survival.simulate.lung_claims import LungClaims
from fiac_survival.simulate.lung_figures import lung_calibration
from fiac_survival.simulate.lung_forms import LungForms
from fiac_survival.simulate.lung_parameters import LungErrors
from fiac_survival.simulate.myeloma import MyelomaLines, myeloma_lines
from fiac_survival.simulate.myeloma import truth as myeloma_truth
from fiac_survival.simulate.omop_shape import omop_tables
from fiac_survival.simulate.rule_sets import RuleSetComparison, compare_rule_sets
from fiac_survival.simulate.snds_shape import snds_tables
from fiac_survival.simulate.source_folders import write_omop, write_snds
from fiac_survival.simulate.writing import WrittenSimulation, write

__all__ = [
    "LungClaims",
    "LungEarlyAccess",
    "LungErrors",
    "LungForms",
    "LungTruth",
    "MyelomaLines",
    "RuleSetComparison",
    "SimulatedClaims",
    "WrittenSimulation",
    "compare_rule_sets",
    "lung_calibration",
    "lung_early_access",
    "myeloma_calibration",
    "myeloma_claims",
    "myeloma_curves",
    "myeloma_lines",
    "myeloma_truth",
    "omop_tables",
    "snds_tables",
    "write",
    "write_omop",
    "write_snds",
]
