"""Tables of pathways: flows between lines of therapy, and the lines of simulated patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.report.checks import checked, require, texts
from fiac_survival.report.regimens import CENSORED, DEATH, FURTHER, NO_FURTHER, by_frequency

if TYPE_CHECKING:
    from fiac_survival.sequence.microsimulation import Microsimulation
    from fiac_survival.sequence.model import SequenceModel

OTHER = "other regimens"
_AFTER_LAST = {
    "death": DEATH,
    "censored": CENSORED,
    "switch": NO_FURTHER,
    "planned stop": NO_FURTHER,
}


def pathway_flows(
    lines: Mapping[str, pd.DataFrame],
    *,
    most_lines: int | None = None,
    most_regimens: int = 10,
) -> pd.DataFrame:
    """Count patients who go from each regimen to the next.

    Parameters
    ----------
    lines : mapping of str to DataFrame
        For each panel its lines of therapy: person, line (1, 2, ... within a person), regimen,
        end_reason ("switch", "death", "censored", "planned stop").
    most_lines : int, optional
        Lines to show; who starts a later one goes to "further lines".
    most_regimens : int, default 10
        Regimens to name; the rarer ones over all panels become "other regimens".

    Returns
    -------
    DataFrame
        panel, line, from_regimen, to_regimen, n. After the last line of a patient, to_regimen is "death",
        "censored" or, where the line ended and no other is known, "no further line".

    Raises
    ------
    DataError
        If a column is missing, lines of a person are not numbered 1, 2, ..., or a reason is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> lines = pd.DataFrame({"person": [1, 1, 2], "line": [1, 2, 1], "regimen": ["A", "B", "A"],
    ...                       "end_reason": ["switch", "death", "censored"]})
    >>> fs.report.pathway_flows({"Observed": lines})
          panel  line from_regimen to_regimen  n
    0  Observed     1            A          B  1
    1  Observed     1            A   censored  1
    2  Observed     2            B      death  1
    """
    if not lines:
        raise DataError("lines must have a panel", values={"panels": 0})
    for name, limit in (("most_regimens", most_regimens), ("most_lines", most_lines)):
        if limit is not None and limit < 1:
            raise DataError(f"{name} must be at least 1", values={name: limit})
    tables = {panel: _next_of_each(table) for panel, table in lines.items()}
    if most_lines is not None:
        tables = {panel: _cut(table, most_lines) for panel, table in tables.items()}
    counts: Counter[str] = Counter()
    for table in tables.values():
        counts.update(texts(table["from_regimen"]))
    kept = by_frequency(counts)
    if len(kept) > most_regimens:
        named = {*kept[: most_regimens - 1], FURTHER, NO_FURTHER, DEATH, CENSORED}
        for table in tables.values():
            for column in ("from_regimen", "to_regimen"):
                table[column] = table[column].where(table[column].isin(named), OTHER)
    keys = ["line", "from_regimen", "to_regimen"]
    parts = [
        table.groupby(keys, sort=True).size().rename("n").reset_index().assign(panel=panel)
        for panel, table in tables.items()
    ]
    return pd.concat(parts, ignore_index=True)[["panel", *keys, "n"]]


def _next_of_each(table: pd.DataFrame) -> pd.DataFrame:
    table = checked(table, ["person", "line", "regimen", "end_reason"], numbers=["line"])
    table = table.sort_values(["person", "line"], kind="stable").reset_index(drop=True)
    place = table.groupby("person", sort=False).cumcount() + 1
    require(table, place == table["line"], "lines of a person must be numbered 1, 2, ...", "line")
    require(
        table,
        table["end_reason"].isin(list(_AFTER_LAST)),
        "end_reason must be switch, death, censored or planned stop",
        "end_reason",
    )
    following = table.groupby("person", sort=False)["regimen"].shift(-1)
    ending = table["end_reason"].map(_AFTER_LAST)
    return pd.DataFrame(
        {
            "line": table["line"].astype(np.int64),
            "from_regimen": table["regimen"].astype(str),
            "to_regimen": following.where(following.notna(), ending).astype(str),
            "last": following.isna(),
        }
    )


def _cut(table: pd.DataFrame, most: int) -> pd.DataFrame:
    table = table[table["line"] <= most].copy()
    goes_on = (table["line"] == most) & ~table["last"]
    table["to_regimen"] = table["to_regimen"].where(~goes_on, FURTHER)
    return table


def simulated_lines(run: Microsimulation, model: SequenceModel) -> pd.DataFrame:
    """Write the lines that simulated patients went through as lines of therapy.

    Parameters
    ----------
    run : Microsimulation
        What :meth:`fiac_survival.sequence.SequenceModel.simulate` gave.
    model : SequenceModel
        The model that was simulated.

    Returns
    -------
    DataFrame
        person, line, regimen, start, end (months since line 1), end_reason, ttnt (months to the next line
        or the end), gap (0). Who is alive at the horizon is censored there. The last line of the model
        lasts until death or the horizon, for what follows it has no regimen.

    Raises
    ------
    DataError
        If the run is not of this model.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> lines = fs.report.simulated_lines(model.simulate(["A", "B"], 50, seed=1), model)
    >>> lines.loc[lines["line"] == 1, "regimen"].value_counts().to_dict()
    {'A': 50}
    """
    if run.regimen.shape[1] != model.n_lines or run.regimen.max() >= len(model.regimens):
        raise DataError(
            "the run must be of this model",
            values={"lines of the run": run.regimen.shape[1], "lines": model.n_lines},
            remedy="pass the model whose simulate() made the run",
        )
    person, line = np.nonzero(run.regimen >= 0)
    start = run.start[person, line] * model.step_months
    last = np.append(person[1:] != person[:-1], True)
    end = np.where(last, run.months[person], np.append(start[1:], 0.0))
    reason = np.where(run.alive[person], "censored", "death")
    return pd.DataFrame(
        {
            "person": person,
            "line": line + 1,
            "regimen": np.array(model.regimens)[run.regimen[person, line]],
            "start": start,
            "end": end,
            "end_reason": np.where(last, reason, "switch"),
            "ttnt": end - start,
            "gap": 0.0,
        }
    )
