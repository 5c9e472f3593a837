r"""Which identifiers two sources must share: every subset of candidates, linked and judged.

For each subset the persons of both sides are grouped by their values, persons with a missing value left
out, in one ``GROUP BY`` of DuckDB; no pair is ever made. A group with one person of either side is a
link. The rate is links over all private persons; uniqueness is the share of a side's persons who are
alone in their group on that side. Precision is the share of links that are right against known persons;
without them, of the links whose private person the full set of identifiers links too, the share to the
same public person: that measures what identifiers lose against all of them, not truth. Limits are
Wilson's. With k candidates there are :math:`2^k-1` subsets, so k is at most ten.

A subset is a Pareto subset if none with as few identifiers or fewer has a rate and a precision as high or
higher, one of the three better.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.dialects import fresh
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.linkage_keys import LinkageKeys, read_keys
from fiac_survival.cohort.linkage_quality import read_truth, wilson
from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result

MOST = 10
TARGETS: Mapping[str, float] = {"rate": 0.8, "precision": 0.99}
_GROUP = """
    sum((side = 0)::BIGINT) AS a, sum((side = 1)::BIGINT) AS b,
    max(partner) AS partner, max(CASE WHEN side = 1 THEN id ELSE -1 END) AS other
"""
_LINK = "(a = 1 AND b = 1)"
_COUNT = f"""
    sum(a) AS complete_private, sum(b) AS complete_public,
    count(*) FILTER (a = 1) AS alone_private, count(*) FILTER (b = 1) AS alone_public,
    count(*) FILTER {_LINK} AS linked,
    count(*) FILTER ({_LINK} AND partner >= 0) AS with_partner,
    count(*) FILTER ({_LINK} AND partner = other) AS correct
"""
_MEASURES = ("rate", "precision", "recall", "unique_private", "unique_public")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class MinimumDataSet(Result):
    """Subsets of identifiers and what they link.

    Attributes
    ----------
    table : DataFrame
        identifiers (joined by " + "), n_identifiers, complete_private, complete_public, linked, rate,
        rate_lower, rate_upper, judged (links that can be judged), correct, precision,
        precision_lower, precision_upper, recall, unique_private, unique_public, reached (all
        targets), pareto. Fewest identifiers first, then by rate.
    targets : dict of str to float
        What was to be reached.
    basis : str
        "truth", or "full set": what precision and recall are measured against.
    n_private, n_public : int
        Persons.
    """

    targets: dict[str, float]
    basis: str
    n_private: int
    n_public: int

    @property
    def smallest(self) -> pd.DataFrame:
        """The subsets that reach the targets with the fewest identifiers; no rows if none does."""
        reached = self.table[self.table["reached"]]
        fewest = reached["n_identifiers"].min()
        found: pd.DataFrame = reached[reached["n_identifiers"] == fewest]
        return found.reset_index(drop=True)


def minimum_data_set(
    private: Any,
    public: Any,
    *,
    candidates: Sequence[str],
    targets: Mapping[str, float] | None = None,
    truth: Any = None,
    level: float = 0.95,
    engine: Engine | None = None,
) -> MinimumDataSet:
    """Find the fewest identifiers that link two sources well enough.

    Parameters
    ----------
    private, public : DataFrame, ibis.Table or Cohort
        One row a person: person and candidates.
    candidates : sequence of str
        Identifiers, at most ten.
    targets : mapping of str to float, optional
        Smallest rate, precision, recall, unique_private or unique_public; default a rate of 0.8 with a
        precision of 0.99.
    truth : DataFrame, optional
        private and public of the persons on both sides; without it the full set is the yardstick.
    level : float, default 0.95
        Confidence level.
    engine : Engine, optional
        The DuckDB to count in; default one of the call's own.

    Returns
    -------
    MinimumDataSet
        One row a subset.

    Raises
    ------
    DataError
        If there are more than ten candidates, one is missing or empty, or a target is unknown.

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> forms = pd.DataFrame({"person": [1, 2, 3], "sex": ["F", "M", "M"], "birth_year": [1950, 1948, 1948],
    ...                       "department": ["75", "75", "13"]})
    >>> claims = forms.assign(person=["a", "b", "c"])
    >>> found = fs.cohort.minimum_data_set(
    ...     forms, claims, candidates=["sex", "birth_year", "department"], targets={"rate": 1})
    >>> found.smallest[["identifiers", "linked", "rate"]]
                    identifiers  linked  rate
    0  birth_year + department       3   1.0
    1         sex + department       3   1.0
    """
    wanted = _targets(targets)
    if not 1 <= len(candidates) <= MOST or len(set(candidates)) < len(candidates):
        raise DataError(
            f"candidates must be one to {MOST} identifiers, each once",
            values={"candidates": len(candidates)},
            remedy=f"{MOST} already make {2**MOST - 1} subsets: leave out those least in question",
        )
    keys = read_keys(private, public, list(candidates), optional=())
    names = [k for k in candidates if k in keys.names]
    if engine is not None and engine.name != "duckdb":
        raise DataError(
            "the engine of a minimum data set must be DuckDB",
            values={"engine": engine.name},
            remedy="leave engine out: the keys are then counted in a DuckDB of the call's own",
        )
    own = engine is None
    where = connect() if engine is None else engine
    try:
        rows = _count(keys, names, truth, where)
    finally:
        if own:
            where.close()
    table = _judge(pd.DataFrame(rows), keys.n, level, wanted, truth is not None)
    return MinimumDataSet(
        table=table,
        targets=wanted,
        basis="full set" if truth is None else "truth",
        n_private=keys.n[0],
        n_public=keys.n[1],
    )


def _targets(targets: Mapping[str, float] | None) -> dict[str, float]:
    wanted = dict(TARGETS if targets is None else targets)
    for name, value in wanted.items():
        if name not in _MEASURES or not 0.0 <= value <= 1.0:
            raise DataError(
                "a target must be a share of a known measure",
                values={name: value, "known": ", ".join(_MEASURES)},
            )
    return wanted


def _count(keys: LinkageKeys, names: list[str], truth: Any, engine: Engine) -> list[dict[str, Any]]:
    """Group both sides by every subset of the identifiers, in the engine."""
    partner, known = _partners(keys, names, truth)
    n1, n2 = keys.n
    frame = pd.DataFrame(
        {
            "side": np.repeat([0, 1], [n1, n2]),
            "id": np.concatenate([np.arange(n1), np.arange(n2)]),
            "partner": np.concatenate([partner, np.full(n2, -1)]),
            **{
                f"key_{k}": np.concatenate([keys.codes[0][name], keys.codes[1][name]])
                for k, name in enumerate(names)
            },
        }
    )
    label = fresh("identifiers")
    engine.register(frame, table=label)
    table = engine.backend.con.table(label)
    try:
        return [
            {
                "identifiers": " + ".join(subset),
                "n_identifiers": len(subset),
                **_links(table, [f"key_{names.index(name)}" for name in subset]),
                "known": known,
            }
            for size in range(1, len(names) + 1)
            for subset in itertools.combinations(names, size)
        ]
    finally:
        engine.backend.drop_table(label, force=True)


def _partners(keys: LinkageKeys, names: list[str], truth: Any) -> tuple[Any, int]:
    """Give the public row that each private person belongs to (-1: not known), and how many have one."""
    n1 = keys.n[0]
    if truth is not None:
        known = read_truth(truth, keys.frames)
        rows = [
            pd.Index(frame["person"]).get_indexer(known[side])
            for frame, side in zip(keys.frames, ("private", "public"), strict=True)
        ]
        partner = np.full(n1, -1, dtype=np.int64)
        partner[rows[0]] = rows[1]
        return partner, len(known)
    a, b = keys.groups(names)
    size = int(max(a.max(initial=-1), b.max(initial=-1))) + 1
    alone = [np.bincount(x[x >= 0], minlength=size) == 1 for x in (a, b)]
    first = np.full(size, -1, dtype=np.int64)
    first[b[b >= 0]] = np.flatnonzero(b >= 0)
    single = np.append(alone[0] & alone[1], False)
    partner = np.where(single[a], np.append(first, -1)[a], -1)
    return partner, int((partner >= 0).sum())


def _links(table: Any, columns: list[str]) -> dict[str, int]:
    """Count persons, links and right links of one subset."""
    complete = table.filter(" AND ".join(f"{column} >= 0" for column in columns))
    groups = complete.aggregate(_GROUP, ", ".join(columns))
    found = groups.aggregate(_COUNT)
    row = found.fetchone()
    return {k: int(v or 0) for k, v in zip(found.columns, row, strict=True)}


def _judge(
    rows: pd.DataFrame, n: tuple[int, int], level: float, targets: Mapping[str, float], truth: bool
) -> pd.DataFrame:
    """Make shares of the counts, and say which subsets reach the targets."""
    judged = rows["linked"] if truth else rows["with_partner"]
    out = rows[["identifiers", "n_identifiers", "complete_private", "complete_public", "linked"]]
    out = out.assign(judged=judged, correct=rows["correct"])
    for name, hits, whole in (
        ("rate", rows["linked"], pd.Series(n[0], index=rows.index)),
        ("precision", rows["correct"], judged),
    ):
        limits = [wilson(h, w, level) for h, w in zip(hits, whole, strict=True)]
        for k, part in enumerate((name, f"{name}_lower", f"{name}_upper")):
            out[part] = [limit[k] for limit in limits]
    out["recall"] = rows["correct"] / rows["known"].where(rows["known"] > 0)
    out["unique_private"] = rows["alone_private"] / n[0]
    out["unique_public"] = rows["alone_public"] / n[1]
    reached = pd.Series(True, index=out.index)
    for name, least in targets.items():
        reached &= out[name] >= least
    out["reached"] = reached
    out["pareto"] = pareto(out)
    order = ["n_identifiers", "rate", "identifiers"]
    return out.sort_values(order, ascending=[True, False, True], ignore_index=True)


def pareto(table: pd.DataFrame) -> pd.Series:
    """Say which subsets no other beats.

    Parameters
    ----------
    table : DataFrame
        n_identifiers, rate, precision.

    Returns
    -------
    Series of bool
        True for Pareto subsets; never where there is no precision.
    """
    size = table["n_identifiers"].to_numpy()
    rate, precision = table["rate"].to_numpy(), table["precision"].fillna(-1.0).to_numpy()
    out = []
    for k in range(len(table)):
        as_good = (size <= size[k]) & (rate >= rate[k]) & (precision >= precision[k])
        better = (size < size[k]) | (rate > rate[k]) | (precision > precision[k])
        out.append(bool(precision[k] >= 0.0 and not (as_good & better).any()))
    return pd.Series(out, index=table.index)
