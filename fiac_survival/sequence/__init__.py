"""Treatment sequences: kernels, exact optimum, uncertainty, evaluation."""

from fiac_survival.sequence import examples
from fiac_survival.sequence.budget import Frontier
from fiac_survival.sequence.constraints import Constraints
from fiac_survival.sequence.fixed import Adaptivity, BestSequences
from fiac_survival.sequence.microsimulation import Microsimulation
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.pareto import ParetoSet
from fiac_survival.sequence.policies import PolicyValue, occupation, policy_value
from fiac_survival.sequence.solution import Solution

__all__ = [
    "Adaptivity",
    "BestSequences",
    "Constraints",
    "Frontier",
    "Microsimulation",
    "ParetoSet",
    "PolicyValue",
    "SequenceModel",
    "Solution",
    "examples",
    "occupation",
    "policy_value",
]
