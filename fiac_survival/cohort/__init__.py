"""From sources to a cohort, and what may leave: engines, eligibility, lines of therapy, disclosure."""

from fiac_survival.cohort.alignment import AlignedRegimens, align_regimens
from fiac_survival.cohort.assurance import Assurance, assure
from fiac_survival.cohort.building import Analysis, build
from fiac_survival.cohort.clones import Clones, clone_censor_weight
from fiac_survival.cohort.codelists import Code, Codelist
from fiac_survival.cohort.conformance import Conformance, conformance
from fiac_survival.cohort.drugs import Drug, DrugTable
from fiac_survival.cohort.early_access import from_early_access
from fiac_survival.cohort.early_access_forms import FormDefinitions
from fiac_survival.cohort.eligibility import apply_eligibility
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.examples import example_cohort
from fiac_survival.cohort.line_accuracy import LineAccuracy, line_accuracy
from fiac_survival.cohort.line_rules import LineRules
from fiac_survival.cohort.lines import LinesOfTherapy, lines_of_therapy
from fiac_survival.cohort.linkage import link
from fiac_survival.cohort.linkage_bias import LinkageBias, LinkageWeights
from fiac_survival.cohort.linkage_minimum import MinimumDataSet, minimum_data_set
from fiac_survival.cohort.linkage_quality import LinkageQuality
from fiac_survival.cohort.linkage_result import Linkage
from fiac_survival.cohort.linkage_text import standardise_key
from fiac_survival.cohort.omop import from_omop
from fiac_survival.cohort.omop_source import OmopDefinitions
from fiac_survival.cohort.phenotypes import Phenotype
from fiac_survival.cohort.quality import Quality, quality
from fiac_survival.cohort.reading import Cohort, from_frames, read
from fiac_survival.cohort.regimens import Regimen, RegimenStep, read_regimens
from fiac_survival.cohort.risk_tables import risk_table
from fiac_survival.cohort.snds import from_snds
from fiac_survival.cohort.snds_definitions import SndsDefinitions
from fiac_survival.cohort.written_lines import WrittenLines, write_lines_of_therapy
from fiac_survival.disclosure import (
    ControlledTable,
    CountTable,
    CurveTable,
    EstimateTable,
    control_disclosure,
    describe_values,
)

__all__ = [
    "AlignedRegimens",
    "Analysis",
    "Assurance",
    "Clones",
    "Code",
    "Codelist",
    "Cohort",
    "Conformance",
    "ControlledTable",
    "CountTable",
    "CurveTable",
    "Drug",
    "DrugTable",
    "Engine",
    "EstimateTable",
    "FormDefinitions",
    "LineAccuracy",
    "LineRules",
    "LinesOfTherapy",
    "Linkage",
    "LinkageBias",
    "LinkageQuality",
    "LinkageWeights",
    "MinimumDataSet",
    "OmopDefinitions",
    "Phenotype",
    "Quality",
    "Regimen",
    "RegimenStep",
    "SndsDefinitions",
    "WrittenLines",
    "align_regimens",
    "apply_eligibility",
    "assure",
    "build",
    "clone_censor_weight",
    "conformance",
    "connect",
    "control_disclosure",
    "describe_values",
    "example_cohort",
    "from_early_access",
    "from_frames",
    "from_omop",
    "from_snds",
    "line_accuracy",
    "lines_of_therapy",
    "link",
    "minimum_data_set",
    "quality",
    "read",
    "read_regimens",
    "risk_table",
    "standardise_key",
    "write_lines_of_therapy",
]
