"""Simulated sources with a known truth. Everything that comes from here is marked as simulated."""

from fiac_survival.simulate.calibration import myeloma_calibration
from fiac_survival.simulate.claims import SimulatedClaims, myeloma_claims
from fiac_survival.simulate.myeloma import MyelomaLines, myeloma_lines
from fiac_survival.simulate.myeloma import truth as myeloma_truth
from fiac_survival.simulate.writing import WrittenSimulation, write

__all__ = [
    "MyelomaLines",
    "SimulatedClaims",
    "WrittenSimulation",
    "myeloma_calibration",
    "myeloma_claims",
    "myeloma_lines",
    "myeloma_truth",
    "write",
]
