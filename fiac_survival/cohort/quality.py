"""Data quality of a cohort: rules that block, rules that warn, counted in the engine.

A rule is an expression that is true where a row breaks it. For each table one query counts all of its
rules, and one looks up the first row of those that are broken. No person identifiers are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from fiac_survival.cohort.canonical import broken, first_rows, schemas
from fiac_survival.cohort.dialects import fetch, fetch_whole
from fiac_survival.cohort.expressions import is_missing, numbered, whole_sum
from fiac_survival.cohort.quality_rules import RULES, Rule, Severity
from fiac_survival.cohort.reading import Cohort
from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result


@dataclass(frozen=True, eq=False, kw_only=True)
class Quality(Result):
    """Data quality of a cohort.

    Attributes
    ----------
    table : DataFrame
        One row a rule that applies: rule, table, severity, statement, n (rows that break it), total, share,
        first_row (with the table's rows in order), remedy.
    rows : DataFrame
        table, rows, persons.
    missing : DataFrame
        table, column, n_missing, total, share.
    cutoff : date or None
        The day after which nothing can have been seen.
    """

    rows: pd.DataFrame
    missing: pd.DataFrame
    cutoff: date | None

    @property
    def blocked(self) -> bool:
        """Whether a rule that blocks is broken."""
        return bool(((self.table["severity"] == "blocks") & (self.table["n"] > 0)).any())

    def raise_if_blocked(self) -> None:
        """Refuse a cohort that breaks a rule that blocks.

        Raises
        ------
        DataError
            Naming the first such rule, how many rows break it, the first of them, and the remedy.
        """
        found = self.table[(self.table["severity"] == "blocks") & (self.table["n"] > 0)]
        if len(found):
            first = found.iloc[0]
            raise DataError(
                first["statement"],
                count=int(first["n"]),
                row=int(first["first_row"]),
                values={"rule": first["rule"], "table": first["table"], "rules broken": len(found)},
                remedy=first["remedy"],
            )


def quality(cohort: Cohort, *, cutoff: date | str | None = None) -> Quality:
    """Count what is wrong with a cohort.

    Parameters
    ----------
    cohort : Cohort
        Canonical tables.
    cutoff : date or str, optional
        Day of the data cut-off; the latest end of follow-up if left out.

    Returns
    -------
    Quality
        Counts of rows, of broken rules and of missing values.

    Raises
    ------
    DataError
        If the cut-off is no date.

    Examples
    --------
    >>> import tempfile
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> folder = tempfile.mkdtemp()
    >>> for name, columns in {
    ...     "person": {"person": [1], "birth": ["1950-01-01"], "sex": ["male"],
    ...                "follow_up_end": ["2020-06-01"], "death": ["2020-06-01"]},
    ...     "exposure": {"person": [1, 1], "date": ["2020-01-01", "2020-06-05"],
    ...                  "drug": ["lenalidomide"] * 2, "kind": ["drug"] * 2},
    ...     "event": {"person": [2], "date": ["2020-01-01"], "event": ["relapse"]},
    ... }.items():
    ...     pd.DataFrame(columns).to_csv(f"{folder}/{name}.csv", index=False)
    >>> found = fs.cohort.quality(fs.cohort.read(folder), cutoff="2020-12-31")
    >>> found.table.loc[found.table["n"] > 0, ["rule", "severity", "n", "first_row"]]
                       rule severity  n  first_row
    0  event without person   blocks  1          0
    1  exposure after death    warns  1          1
    >>> found.blocked
    True
    """
    day = _cutoff(cohort, cutoff)
    kept: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for name, table in cohort.tables.items():
        joined = _with_person(cohort, name, table)
        rules = [r for r in RULES if r.table == name and _applies(r, table, day)]
        bad = [rule.bad(joined, day).fill_null(False) for rule in rules]
        own = broken(joined, name)
        bad += [expression.fill_null(False) for _, expression in own.values()]
        absent = [c for c in schemas().tables[name].columns if c in table.columns]
        sums = {f"rule_{i}": whole_sum(expression) for i, expression in enumerate(bad)}
        sums |= {f"missing_{c}": whole_sum(is_missing(joined[c])) for c in absent}
        counts = joined.aggregate(total=joined.count(), persons=joined.person.nunique(), **sums)
        found = fetch(counts).to_pylist()[0]
        total = found["total"]
        rows.append({"table": name, "rows": total, "persons": found["persons"]})
        missing += [
            _share({"table": name, "column": c}, "n_missing", found[f"missing_{c}"], total)
            for c in absent
        ]
        n = [found[f"rule_{i}"] for i in range(len(bad))]
        places = first_rows(
            joined, {i: bad[i] for i, k in enumerate(n) if k}, schemas().tables[name].order
        )
        for i, rule in enumerate(rules):
            kept.append(
                _line(
                    rule.name,
                    name,
                    rule.severity,
                    rule.statement,
                    n[i],
                    total,
                    places.get(i),
                    rule.remedy,
                )
            )
        for i, statement in enumerate(own, len(rules)):
            short = f"schema: {statement.partition(' must ')[0]} {_short(statement)}"
            remedy = "correct or drop the rows"
            kept.append(_line(short, name, "blocks", statement, n[i], total, places.get(i), remedy))
        kept.append(_repeated(name, table, total))
    frame = pd.DataFrame(kept)
    order = {"blocks": 0, "warns": 1}
    frame["_rank"] = frame["severity"].map(order)
    frame["_ok"] = frame["n"] == 0
    frame = frame.sort_values(["_ok", "_rank", "table", "rule"], kind="stable")
    frame = frame.drop(columns=["_rank", "_ok"]).reset_index(drop=True)
    frame["first_row"] = frame["first_row"].astype("Int64")
    return Quality(table=frame, rows=pd.DataFrame(rows), missing=pd.DataFrame(missing), cutoff=day)


def _cutoff(cohort: Cohort, cutoff: date | str | None) -> date | None:
    if cutoff is None:
        latest = fetch(cohort.person.follow_up_end.max().as_table()).column(0)[0].as_py()
        return latest if isinstance(latest, date) else None
    try:
        return pd.Timestamp(cutoff).date()
    except (ValueError, TypeError):
        raise DataError(
            "cutoff must be a date", values={"cutoff": cutoff}, remedy="write it as 2020-12-31"
        ) from None


def _applies(rule: Rule, table: Any, cutoff: date | None) -> bool:
    return all(
        cutoff is not None if needed == "cutoff" else needed in table.columns
        for needed in rule.needs
    )


def _with_person(cohort: Cohort, name: str, table: Any) -> Any:
    """Rows with their person's birth and death; persons that stand twice count once."""
    if name == "person":
        return table.mutate(person_birth=table.birth, person_death=table.death)
    one = cohort.person.group_by("person").agg(
        person_birth=cohort.person.birth.min(), person_death=cohort.person.death.min()
    )
    one = one.rename(person_known="person")
    return table.left_join(one, table.person == one.person_known)


def _share(head: dict[str, Any], name: str, n: int, total: int) -> dict[str, Any]:
    return head | {name: n, "total": total, "share": n / total if total else 0.0}


def _line(
    rule: str,
    table: str,
    severity: Severity,
    statement: str,
    n: int,
    total: int,
    place: int | None,
    remedy: str,
) -> dict[str, Any]:
    head = {"rule": rule, "table": table, "severity": severity, "statement": statement}
    return _share(head, "n", n, total) | {"first_row": place, "remedy": remedy}


def _short(statement: str) -> str:
    if "missing" in statement:
        return "missing"
    return "code" if "codes" in statement else "out of bounds"


def _repeated(name: str, table: Any, total: int) -> dict[str, Any]:
    """Rows that stand twice: by what identifies them, else in every column."""
    unique = schemas().tables[name].unique
    keys = list(unique) if unique else list(table.columns)
    groups = table.group_by(keys).agg(fs_n=lambda t: t.count())
    several = groups.filter(groups.fs_n > 1)
    n = fetch_whole(several.fs_n.sum() - several.count())
    place = None
    if n:
        columns = [table[k] for k in keys]
        copies = table.mutate(fs_copy=numbered(columns, group_by=columns))
        order = tuple(dict.fromkeys([*schemas().tables[name].order, *keys, "fs_copy"]))
        place = first_rows(copies, {0: copies.fs_copy > 0}, order)[0]
    what = " and ".join(unique) if unique else "all columns"
    return _line(
        f"{name} duplicates",
        name,
        "blocks" if unique else "warns",
        f"no two rows of {name} must agree in {what}",
        n,
        total,
        place,
        "drop the others",
    )
