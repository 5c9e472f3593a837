r"""What a rule set for lines of therapy makes of patients whose lines are known. Simulated.

Lines are found in simulated claims under each rule set and held against the lines that were simulated:
agreement as in :func:`fiac_survival.cohort.line_accuracy`, and the median time from the start of line
:math:`\ell` to the next line or death (Kaplan-Meier, among all who have an :math:`\ell`-th line by that
rule set). A found set of drugs counts as the regimen of the formulary that it records, so that induction
with and without maintenance is one regimen; a set that records none stays what it is, and is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from fiac_survival.cohort import LineRules, LinesOfTherapy, line_accuracy, lines_of_therapy
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.simulate.claims import DRUGS, FIRST_DAY, SimulatedClaims
from fiac_survival.simulate.myeloma import MyelomaLines, formulary
from fiac_survival.survival import kaplan_meier

MONTH = 30.4375
RULE_SETS = ("imwg", "ohdsi", "gap60", "gap90", "gap180")
TRUTH = "truth"


class RuleSetComparison(Result):
    """Rule sets against the truth.

    `table` has one row a rule set, after one named "truth": rules, lines (of all patients),
    line_count_kappa, line_count_equal, start_within_14, start_within_30, regimen_f1, and
    median_ttnt_1, median_ttnt_2, ... in months (missing where the curve does not reach one half).
    """


def compare_rule_sets(
    claims: SimulatedClaims,
    *,
    rules: Sequence[str | Path | LineRules] = RULE_SETS,
    lines: int = 4,
) -> RuleSetComparison:
    """Find lines of therapy under several rule sets, and hold them against the truth.

    Parameters
    ----------
    claims : SimulatedClaims
        From :func:`fiac_survival.simulate.myeloma_claims`.
    rules : sequence of str, Path or LineRules
        Rule sets; by default the five that come with the package.
    lines : int, default 4
        Up to which line to give the median time to next treatment.

    Returns
    -------
    RuleSetComparison
        ``.table``.

    Raises
    ------
    DataError
        If there is no rule set or no line, two rule sets have one name, or one does not fit the drugs.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = compare_rule_sets(fs.simulate.myeloma_claims(200, seed=1), rules=["imwg"], lines=1)
    >>> found.table["rules"].tolist()
    ['truth', 'imwg']
    """
    if not rules or lines < 1:
        raise DataError(
            "there must be a rule set and a line to compare",
            values={"rule sets": len(rules), "lines": lines},
        )
    truth = _true_lines(claims.truth)
    rows = [{"rules": TRUTH, "lines": len(truth)} | _medians(truth, lines)]
    for rule_set in rules:
        found = lines_of_therapy(claims.exposure, rule_set, follow_up=claims.person)
        mine = _named(found)
        accuracy = line_accuracy(mine, truth).table.set_index("metric")["value"]
        name = found.rules.name
        if any(row["rules"] == name for row in rows):
            raise DataError("each rule set must have a name of its own", values={"rules": name})
        rows.append({"rules": name, "lines": len(mine)} | dict(accuracy) | _medians(mine, lines))
    table = pd.DataFrame(rows)
    last = [column for column in table if str(column).startswith("median_ttnt")]
    return RuleSetComparison(table=table[[c for c in table if c not in last] + last])


def _true_lines(truth: MyelomaLines) -> pd.DataFrame:
    table = truth.lines
    return pd.DataFrame(
        {
            "person": table["person"],
            "line": table["line"],
            "regimen": table["regimen"],
            "start": FIRST_DAY + table["start"].to_numpy().astype("timedelta64[D]"),
            "ttnt": table["ttnt"],
            "ended": table["end_reason"] != "censored",
        }
    )


def _named(found: LinesOfTherapy) -> pd.DataFrame:
    """Found lines, with the formulary's names for the regimens that their drugs record."""
    names = {
        record: regimen.name
        for regimen in formulary().regimens
        for record in regimen.records or (regimen.name,)
    }
    names["+".join(sorted(DRUGS["later"]))] = "later"
    table = found.table
    following = table.groupby("person")["line"].transform("max") > table["line"]
    return table.assign(
        regimen=table["regimen"].map(names).fillna(table["regimen"]),
        ended=following | table["died"],
    )


def _medians(table: pd.DataFrame, lines: int) -> dict[str, float]:
    out = {}
    for number in range(1, lines + 1):
        rows = table[table["line"] == number]
        out[f"median_ttnt_{number}"] = np.nan
        if len(rows):
            months = np.maximum(rows["ttnt"].to_numpy(dtype=np.float64), 1.0) / MONTH
            curve = kaplan_meier(Outcome(months, rows["ended"].to_numpy()))
            out[f"median_ttnt_{number}"] = float(curve.quantile(0.5)["quantile"].iloc[0])
    return out
