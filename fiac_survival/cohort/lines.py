r"""Lines of therapy from dated records of treatment.

A record covers days :math:`[s, e]`: from its date to its end, or as many days as the drug table says.
Records are cut into regimens and these are joined into lines by a rule set (:class:`LineRules`), one
interpreter for all. For line :math:`l` of a patient whose follow-up ends on day :math:`c` (death or last
news):

- ``ttnt`` :math:`= s_{l+1} - s_l`, in the last line :math:`c - s_l`: days to the next treatment, to death
  or to the end of follow-up;
- ``gap`` :math:`= s_{l+1} - e_l - 1`, in the last line :math:`c - e_l`: days without treatment at its end;
- ``end_reason``: planned stop if the gap is longer than the rule set's `stop_days`; else switch, or in the
  last line death or censored. Records of care do not say why a treatment ended: "planned stop" is a break
  that a rule calls so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.cohort.drugs import DrugTable
from fiac_survival.cohort.line_blocks import from_engine
from fiac_survival.cohort.line_records import Records, from_frames
from fiac_survival.cohort.line_rules import LineRules, PackedRules
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result
from fiac_survival.kernels.lines import find_lines

RuleSet = Literal["imwg", "ohdsi", "gap60", "gap90", "gap180"]
Unknown = Literal["refuse", "ignore"]
AfterEnd = Literal["refuse", "drop"]


@dataclass(frozen=True, eq=False, kw_only=True)
class LinesOfTherapy(Result):
    """Lines of therapy.

    Attributes
    ----------
    table : DataFrame
        One row a line, by person and line: person, line (1, 2, ...), regimen (drugs in alphabetical order,
        joined by "+"), classes, start, end, end_reason, ttnt, gap (days), died (the patient died at ttnt).
    rules : LineRules
        The rule set; `rules.sha256` is its fingerprint.
    drugs : DrugTable
        The drug table.
    n_ignored : int
        Records that were left out: drugs that the table does not have, records after the end of follow-up.
    """

    rules: LineRules
    drugs: DrugTable
    n_ignored: int = 0


def lines_of_therapy(
    exposures: Any,
    rules: RuleSet | str | Path | LineRules = "imwg",
    *,
    follow_up: Any = None,
    drugs: str | Path | DrugTable = "myeloma",
    unknown: Unknown = "refuse",
    after_end: AfterEnd = "refuse",
    records_per_block: int = 20_000_000,
) -> LinesOfTherapy:
    """Find lines of therapy in dated records.

    Parameters
    ----------
    exposures : DataFrame or ibis.Table
        One row a record: person, date, drug (name or ATC code of the drug table), and `end`, the last day
        covered, if known. Tables of an engine are worked through in blocks of patients.
    rules : str, Path or LineRules, default "imwg"
        Rule set: one that comes with the package ("imwg", "ohdsi", "gap60", "gap90", "gap180"), a TOML
        file, or rules of your own.
    follow_up : DataFrame or ibis.Table, optional
        One row a patient: person, follow_up_end (last news), and `death` (date, missing for the living),
        as in the canonical table `person`. Without it follow-up ends with the last day covered.
    drugs : str, Path or DrugTable, default "myeloma"
        Drug table.
    unknown : {"refuse", "ignore"}, default "refuse"
        What to do about drugs that the table does not have.
    after_end : {"refuse", "drop"}, default "refuse"
        What to do about records after death or the end of follow-up.
    records_per_block : int, default 20,000,000
        Records of an engine's table to hold in memory at a time.

    Returns
    -------
    LinesOfTherapy
        Its table goes into :func:`fiac_survival.sequence.read_histories`.

    Raises
    ------
    DataError
        If a column is missing, a date is missing or reversed, a drug is unknown, a patient has no
        follow-up, or a rule set does not fit the drug table.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> exposures = pd.DataFrame({
    ...     "person": [1, 1, 1, 1],
    ...     "date": pd.to_datetime(["2020-01-01", "2020-01-01", "2020-02-01", "2021-03-01"]),
    ...     "drug": ["bortezomib", "lenalidomide", "lenalidomide", "daratumumab"]})
    >>> follow_up = pd.DataFrame({"person": [1], "follow_up_end": pd.to_datetime(["2022-01-01"])})
    >>> found = fs.cohort.lines_of_therapy(exposures, "imwg", follow_up=follow_up)
    >>> found.table[["line", "regimen", "ttnt", "gap", "end_reason"]]
       line                  regimen  ttnt  gap    end_reason
    0     1  bortezomib+lenalidomide   425  366  planned stop
    1     2              daratumumab   306  293  planned stop
    """
    finder = Finder(rules, drugs, unknown, after_end, records_per_block)
    parts = list(finder.blocks(exposures, follow_up))
    out = pd.concat([lines for lines, _ in parts], ignore_index=True)
    ignored = sum(n for _, n in parts)
    return LinesOfTherapy(table=out, rules=finder.rules, drugs=finder.drugs, n_ignored=ignored)


class Finder:
    """Finds the lines of one table of records after another, under one rule set.

    Parameters
    ----------
    rules, drugs, unknown, after_end, records_per_block
        As for :func:`lines_of_therapy`.
    """

    def __init__(
        self,
        rules: RuleSet | str | Path | LineRules,
        drugs: str | Path | DrugTable,
        unknown: Unknown,
        after_end: AfterEnd,
        records_per_block: int,
    ) -> None:
        require_choice(unknown, Unknown, "unknown")
        require_choice(after_end, AfterEnd, "after_end")
        if records_per_block < 1:
            raise DataError(
                "records_per_block must be at least 1",
                values={"records_per_block": records_per_block},
            )
        self.rules = rules if isinstance(rules, LineRules) else LineRules.load(rules)
        self.drugs = drugs if isinstance(drugs, DrugTable) else DrugTable.load(drugs)
        self._packed = self.rules.pack(self.drugs)
        self._unknown: Unknown = unknown
        self._after_end: AfterEnd = after_end
        self._records_per_block = records_per_block

    def blocks(self, exposures: Any, follow_up: Any) -> Iterator[tuple[pd.DataFrame, int]]:
        """Find lines, some patients at a time.

        Parameters
        ----------
        exposures, follow_up
            As for :func:`lines_of_therapy`.

        Yields
        ------
        lines : DataFrame
            Of some patients.
        n_ignored : int
            Records that were left out.

        Raises
        ------
        DataError
            If a value breaks a rule.
        """
        blocks: Iterator[Records]
        if hasattr(exposures, "to_pyarrow_batches"):
            blocks = from_engine(exposures, follow_up, self.drugs, self._records_per_block)
        else:
            blocks = iter([from_frames(exposures, follow_up, self.drugs)])
        for block in blocks:
            kept = _usable(block, self._unknown, self._after_end, self.drugs)
            lines = _lines_of_block(kept, self._packed, self.drugs, self.rules.stop_days)
            yield lines, block.start.size - kept.start.size


def _usable(block: Records, unknown: Unknown, after_end: AfterEnd, drugs: DrugTable) -> Records:
    strange = np.flatnonzero(block.drug < 0)
    if strange.size and unknown == "refuse":
        raise DataError(
            "drug must be a name or a code of the drug table",
            count=int(strange.size),
            row=int(block.row[strange[0]]),
            values={"drug": block.name_of(int(strange[0])), "table": drugs.name},
            remedy='add it to the table, or pass unknown="ignore"',
        )
    block = block.take(block.drug >= 0) if strange.size else block
    late = np.flatnonzero(block.start > block.horizon)
    if late.size and after_end == "refuse":
        raise DataError(
            "records must not lie after death or the end of follow-up",
            count=int(late.size),
            row=int(block.row[late[0]]),
            values={"days after": int(block.start[late[0]] - block.horizon[late[0]])},
            remedy='correct the dates, or pass after_end="drop"',
        )
    return block.take(block.start <= block.horizon) if late.size else block


def _lines_of_block(
    block: Records, packed: PackedRules, drugs: DrugTable, stop_days: int | None
) -> pd.DataFrame:
    codes, persons = pd.factorize(block.person, sort=True)
    order = _order(codes, block.start, block.drug)
    codes, start, end, drug = (x[order] for x in (codes, block.start, block.end, block.drug))
    n = start.size
    first = np.searchsorted(codes, np.arange(len(persons) + 1)).astype(np.int64)
    count = np.zeros(len(persons), dtype=np.int64)
    line_start, line_end, drug_set = (np.zeros(n, dtype=np.int64) for _ in range(3))
    find_lines(first, start, end, drug, *packed, count, line_start, line_end, drug_set)
    person = np.repeat(np.arange(len(persons)), count)
    number = np.arange(person.size) - np.repeat(np.cumsum(count) - count, count)
    place = first[person] + number
    last = number == count[person] - 1
    line_start, line_end, drug_set = (x[place] for x in (line_start, line_end, drug_set))
    horizon = block.horizon[order][first[person]]
    died = block.died[order][first[person]]
    following = np.where(last, horizon, np.r_[line_start[1:], 0])
    line_end = np.minimum(line_end, np.where(last, following, following - 1))
    line_end = np.maximum(line_end, line_start)
    gap = np.maximum(following - line_end - ~last, 0)
    reason = np.where(last, np.where(died, "death", "censored"), "switch").astype(object)
    if stop_days is not None:
        reason[gap > stop_days] = "planned stop"
    which, sets = pd.factorize(drug_set)
    return pd.DataFrame(
        {
            "person": np.asarray(persons)[person],
            "line": number + 1,
            "regimen": _names([drugs.regimen(int(s)) for s in sets])[which],
            "classes": _names([drugs.regimen_classes(int(s)) for s in sets])[which],
            "start": line_start.astype("datetime64[D]").astype("datetime64[s]"),
            "end": line_end.astype("datetime64[D]").astype("datetime64[s]"),
            "end_reason": reason,
            "ttnt": following - line_start,
            "gap": gap,
            "died": died & last,
        }
    )


def _order(
    person: NDArray[Any], start: NDArray[np.int64], drug: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Order by person, day and drug: one whole number to sort by, if it fits."""
    if not start.size:
        return np.empty(0, dtype=np.int64)
    since = start - start.min()
    span = int(since.max()) + 1
    if (int(person.max()) + 1) * span < 2**56:
        key = (person.astype(np.int64) * span + since) * 64 + drug
        return np.argsort(key, kind="stable")
    return np.lexsort((drug, start, person))


def _names(names: list[str]) -> NDArray[Any]:
    out = np.empty(len(names), dtype=object)
    out[:] = names
    return out
