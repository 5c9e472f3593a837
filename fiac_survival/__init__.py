"""Cancer epidemiology across public and private data.

>>> import fiac_survival as fs
>>> y = fs.Outcome(time=[5, 8, 8, 12], event=[1, 0, 1, 0])
>>> fs.survival.kaplan_meier(y).at([8])["survival"].round(2).tolist()
[0.5]

The subpackages are the namespaces: ``fs.survival``, ``fs.cohort``, ``fs.compare``, ``fs.datasets``,
``fs.report``, ``fs.study``. Each loads when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fiac_survival._version import __version__
from fiac_survival.core import Outcome, errors

if TYPE_CHECKING:
    from fiac_survival import cohort, compare, datasets, report, sequence, simulate, study, survival

__all__ = [
    "Outcome",
    "__version__",
    "cohort",
    "compare",
    "datasets",
    "errors",
    "report",
    "sequence",
    "simulate",
    "study",
    "survival",
]

_LAZY = frozenset(
    {"cohort", "compare", "datasets", "report", "sequence", "simulate", "study", "survival"}
)


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"fiac_survival.{name}")
    raise AttributeError(f"module 'fiac_survival' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
