"""What a sequence of regimens must not do. Values and best sequences obey the same constraints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fiac_survival.core.errors import DataError

if TYPE_CHECKING:
    from fiac_survival.sequence.checks import Names


@dataclass(frozen=True)
class Constraints:
    """Constraints that are carried in the state.

    Parameters
    ----------
    class_once : tuple of str
        Classes that may be given at most once.
    forbidden_after : tuple of (str, str)
        Pairs (first, second) of regimens: the second must not follow the first at once.
    regimen_once : bool, default False
        Whether each regimen may be given at most once.

    Examples
    --------
    >>> Constraints(class_once=("alkylator",), forbidden_after=(("VRd", "Rd"),))
    Constraints(class_once=('alkylator',), forbidden_after=(('VRd', 'Rd'),), regimen_once=False)
    """

    class_once: tuple[str, ...] = ()
    forbidden_after: tuple[tuple[str, str], ...] = ()
    regimen_once: bool = False

    def check(self, names: Names) -> None:
        """Refuse names that the model does not have.

        Parameters
        ----------
        names : Names
            Names of the model.

        Raises
        ------
        DataError
            Naming the class or regimen.
        """
        for name in self.class_once:
            if name not in names.classes:
                raise DataError(
                    "a constrained class must be one of the model's",
                    values={"class": name, "known": ", ".join(names.classes)},
                )
        for pair in self.forbidden_after:
            for name in pair:
                if name not in names.regimens:
                    raise DataError(
                        "a constrained regimen must be one of the model's",
                        values={"regimen": name, "known": ", ".join(names.regimens)},
                    )
