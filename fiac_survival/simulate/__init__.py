"""Simulated sources with a known truth. Everything that comes from here is marked as simulated."""

from fiac_survival.simulate.calibration import myeloma_calibration
from fiac_survival.simulate.claims import SimulatedClaims, myeloma_claims
from fiac_survival.simulate.myeloma import MyelomaLines, myeloma_lines
from fiac_survival.simulate.myeloma import truth as myeloma_truth
from fiac_survival.simulate.omop_shape import omop_tables
from fiac_survival.simulate.snds_shape import snds_tables
from fiac_survival.simulate.source_folders import write_omop, write_snds

__all__ = [
    "MyelomaLines",
    "SimulatedClaims",
    "myeloma_calibration",
    "myeloma_claims",
    "myeloma_lines",
    "myeloma_truth",
    "omop_tables",
    "snds_tables",
    "write_omop",
    "write_snds",
]
