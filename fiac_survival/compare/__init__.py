"""Two sources, one estimand."""

from fiac_survival.compare.adjusted_survival import AdjustedSurvival
from fiac_survival.compare.agreement import Agreement, agreement
from fiac_survival.compare.ascertainment import Ascertainment, ascertainment
from fiac_survival.compare.augmented import aipw_survival
from fiac_survival.compare.censoring import CensoringWeights, censoring_weights
from fiac_survival.compare.curves import weighted_curves
from fiac_survival.compare.decomposition import Decomposition, decompose
from fiac_survival.compare.effect import Effect, effect
from fiac_survival.compare.integration import Ladder, integrate, ladder
from fiac_survival.compare.matching_adjusted import MatchingAdjusted, maic
from fiac_survival.compare.misclassification import (
    Misclassification,
    Validated,
    misclassified_events,
)
from fiac_survival.compare.negative_controls import SystematicError, negative_controls
from fiac_survival.compare.packet import SitePacket
from fiac_survival.compare.packet_pooling import PooledPackets, packet_agreement, pool_packets
from fiac_survival.compare.paired import PairedAgreement, paired_agreement
from fiac_survival.compare.paired_curves import PairedSurvival, one_arm, paired_survival
from fiac_survival.compare.published_curves import ReconstructedCurve, reconstruct_curve
from fiac_survival.compare.standardised import standardised_survival
from fiac_survival.compare.unmeasured import (
    EValue,
    UnmeasuredConfounder,
    e_value,
    unmeasured_confounder,
)
from fiac_survival.weighting import Balance, Weights, balance, weights

__all__ = [
    "AdjustedSurvival",
    "Agreement",
    "Ascertainment",
    "Balance",
    "CensoringWeights",
    "Decomposition",
    "EValue",
    "Effect",
    "Ladder",
    "MatchingAdjusted",
    "Misclassification",
    "PairedAgreement",
    "PairedSurvival",
    "PooledPackets",
    "ReconstructedCurve",
    "SitePacket",
    "SystematicError",
    "UnmeasuredConfounder",
    "Validated",
    "Weights",
    "agreement",
    "aipw_survival",
    "ascertainment",
    "balance",
    "censoring_weights",
    "decompose",
    "e_value",
    "effect",
    "integrate",
    "ladder",
    "maic",
    "misclassified_events",
    "negative_controls",
    "one_arm",
    "packet_agreement",
    "paired_agreement",
    "paired_survival",
    "pool_packets",
    "reconstruct_curve",
    "standardised_survival",
    "unmeasured_confounder",
    "weighted_curves",
    "weights",
]
