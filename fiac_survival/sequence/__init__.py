"""Treatment sequences: kernels, exact optimum, uncertainty, evaluation."""

from fiac_survival.sequence import examples
from fiac_survival.sequence.budget import Frontier
from fiac_survival.sequence.constraints import Constraints
from fiac_survival.sequence.evaluation import Evaluation, evaluate
from fiac_survival.sequence.fixed import Adaptivity, BestSequences
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.formulary_file import parse_formulary, read_formulary
from fiac_survival.sequence.histories import Histories, read_histories
from fiac_survival.sequence.kernel_draws import KernelDraws
from fiac_survival.sequence.kernel_estimation import KernelEstimate, estimate_kernels
from fiac_survival.sequence.microsimulation import Microsimulation
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.pareto import ParetoSet
from fiac_survival.sequence.policies import PolicyValue, occupation, policy_value
from fiac_survival.sequence.policy_transfer import transferred
from fiac_survival.sequence.policy_trees import PolicyTree, policy_tree
from fiac_survival.sequence.recommendation import Recommendation, recommend
from fiac_survival.sequence.relative_effects import RelativeEffects
from fiac_survival.sequence.robust import RobustSolution, l1_radius, robust_policy
from fiac_survival.sequence.solution import Solution
from fiac_survival.sequence.split_patients import SplitReport, split_report
from fiac_survival.sequence.state_clusters import (
    StateClusters,
    cluster_state_sequences,
    discrepancy,
)
from fiac_survival.sequence.state_descriptions import (
    StateDescription,
    describe_state_sequences,
)
from fiac_survival.sequence.state_distances import (
    DistanceBlock,
    StateDistances,
    state_sequence_distances,
)
from fiac_survival.sequence.state_tables import state_survival, state_values
from fiac_survival.sequence.uncertain import Uncertainty, uncertainty, values_of

__all__ = [
    "Adaptivity",
    "BestSequences",
    "Constraints",
    "DistanceBlock",
    "Evaluation",
    "Formulary",
    "Frontier",
    "Histories",
    "KernelDraws",
    "KernelEstimate",
    "Microsimulation",
    "ParetoSet",
    "PolicyTree",
    "PolicyValue",
    "Recommendation",
    "RelativeEffects",
    "RobustSolution",
    "SequenceModel",
    "Solution",
    "SplitReport",
    "StateClusters",
    "StateDescription",
    "StateDistances",
    "Uncertainty",
    "cluster_state_sequences",
    "describe_state_sequences",
    "discrepancy",
    "estimate_kernels",
    "evaluate",
    "examples",
    "l1_radius",
    "occupation",
    "parse_formulary",
    "policy_tree",
    "policy_value",
    "read_formulary",
    "read_histories",
    "recommend",
    "robust_policy",
    "split_report",
    "state_sequence_distances",
    "state_survival",
    "state_values",
    "transferred",
    "uncertainty",
    "values_of",
]
