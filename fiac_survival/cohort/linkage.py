"""Linkage of two sources that share no identifier: passes of agreeing keys, a model, one-to-one pairs.

Early-access records and claims know the same persons by sex, month and year of birth, hospital,
department and dates of treatment. `link` accepts pairs that agree on sets of keys and are unique
(linkage_passes), weighs pairs by a Fellegi-Sunter model (linkage_model) and assigns them one to one
(linkage_assignment). With ``method="both"`` the passes come first and the model links whom they leave,
estimated on everybody.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import pdtrc

from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.linkage_assignment import assign
from fiac_survival.cohort.linkage_blocking import choose_rules
from fiac_survival.cohort.linkage_comparisons import comparisons
from fiac_survival.cohort.linkage_keys import LinkageKeys, read_keys
from fiac_survival.cohort.linkage_model import Scored, require_splink, score_pairs
from fiac_survival.cohort.linkage_passes import (
    NOT_BY_DEFAULT,
    Among,
    Passes,
    check_passes,
    expected_by_chance,
    run_passes,
)
from fiac_survival.cohort.linkage_result import Linkage, Method
from fiac_survival.cohort.reading import Cohort
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice

WITHIN: Mapping[str, int] = {"first_treatment": 7, "death": 7}
CHANCE = 0.001
_PAIRS = ("private", "public", "method", "pass", "probability", "confidence", "bits")


def link(
    private: Any,
    public: Any,
    *,
    keys: Sequence[str] | None = None,
    passes: Sequence[Sequence[str]] | None = None,
    method: Method = "both",
    within: Mapping[str, int] | None = None,
    unique_among: Among = "all",
    max_false: float = 0.05,
    threshold: float = 0.9,
    max_pairs: int | None = None,
    seed: int = 0,
    engine: Engine | None = None,
) -> Linkage:
    """Link the persons of two sources, one to one.

    Parameters
    ----------
    private, public : DataFrame, ibis.Table or Cohort
        One row a person: person and keys; of a cohort its table linkage_key.
    keys : sequence of str, optional
        Keys to use. Default: sex, birth_year, birth_month, department, centre, drug, first_treatment and
        death, as far as both sides have them.
    passes : sequence of sequences of str, optional
        Key sets of the deterministic passes, strict to loose, all of them used. Default: every set that
        leaves out at most two keys and is expected to be safe.
    method : {"both", "deterministic", "probabilistic"}, default "both"
        Passes, the model, or the model for whom the passes leave.
    within : mapping of str to int, optional
        Days by which a date may differ in a pass; default 7 for first_treatment and death.
    unique_among : {"all", "remaining"}, default "all"
        A pair of a pass must be unique among all persons, or among those not linked yet.
    max_false : float, default 0.05
        Largest share of false links to be expected of a default pass.
    threshold : float, default 0.9
        Smallest confidence that links a pair of the model.
    max_pairs : int, optional
        Most pairs to compare; default 5 million and 10 a person.
    seed : int, default 0
        For the random pairs that the model draws.
    engine : Engine, optional
        Where pairs are compared: DuckDB or Spark. Default: the Spark that a source lives in, else a
        DuckDB of the call's own.

    Returns
    -------
    Linkage
        Pairs, ambiguous pairs, the flow, and what it was made of. The same for any order of rows and any
        number of threads.

    Raises
    ------
    DataError
        If a key is missing, empty, unreadable or without a shared value, a person is repeated, an option
        is impossible, or Splink is not installed.
    ConvergenceError
        If the model cannot be estimated.

    References
    ----------
    Fellegi IP, Sunter AB. A theory for record linkage. JASA 1969;64:1183-1210.
    Linacre R et al. Splink: free software for probabilistic record linkage at scale. Int J Popul Data Sci
    2022;7(3).

    Examples
    --------
    >>> import pandas as pd
    >>> import fiac_survival as fs
    >>> forms = pd.DataFrame({"person": [1, 2, 3], "sex": ["F", "M", "M"], "birth_year": [1950, 1948, 1961],
    ...                       "birth_month": [2, 11, 5], "department": ["75", "1", None]})
    >>> claims = pd.DataFrame({"person": ["x", "y", "z"], "sex": ["male", "female", "male"],
    ...                        "birth_year": [1948, 1950, 1961], "birth_month": [11, 2, 5],
    ...                        "department": ["001", "075", "013"]})
    >>> passes = [["sex", "birth_year", "birth_month", "department"], ["sex", "birth_year", "birth_month"]]
    >>> found = fs.cohort.link(forms, claims, passes=passes, method="deterministic")
    >>> found.pairs[["private", "public", "pass"]]
       private public  pass
    0        1      y     1
    1        2      x     1
    2        3      z     2
    >>> found.rate
    1.0
    """
    _check(method, unique_among, max_false, threshold, max_pairs)
    if method != "deterministic":
        require_splink()
    days = dict(WITHIN if within is None else within)
    if passes is not None:
        check_passes(passes, days)
        named = [k for one in passes for k in one if keys is None or k not in keys]
        keys = None if keys is None and not named else [*(keys or []), *dict.fromkeys(named)]
    if within is not None and (
        unknown := [k for k in within if keys is not None and k not in keys]
    ):
        raise DataError("within must name keys", values={"unknown": ", ".join(unknown)})
    read = read_keys(private, public, keys)
    by_pass = None
    if method != "probabilistic":
        usable = None if passes is None else [[k for k in p if k in read.names] for p in passes]
        by_pass = run_passes(
            read, usable, within=_dates_only(read, days), among=unique_among, max_false=max_false
        )
    scored, blocking, note = None, pd.DataFrame(), ""
    if method != "deterministic":
        if not _shares_persons(read):
            note = "no more pairs agree than chance makes: no model"
        else:
            compared = comparisons(read)
            most = 5_000_000 + 10 * sum(read.n) if max_pairs is None else max_pairs
            rules = choose_rules(read, {c.name: c.keys for c in compared}, max_pairs=most)
            blocking = rules.table
            with _engine(private, public, engine) as where:
                scored = score_pairs(read, compared, rules, where, seed=seed)
    return _result(read, by_pass, scored, blocking, method, threshold, note)


def _check(
    method: Method, unique_among: Among, max_false: float, threshold: float, max_pairs: int | None
) -> None:
    require_choice(method, Method, "method")
    require_choice(unique_among, Among, "unique_among")
    if not 0.5 <= threshold < 1.0:
        raise DataError(
            "threshold must lie from 0.5 to below 1",
            values={"threshold": threshold},
            remedy="below 0.5 another reading of the data is more probable than the link",
        )
    if not 0.0 <= max_false <= 1.0:
        raise DataError("max_false must lie from 0 to 1", values={"max_false": max_false})
    if max_pairs is not None and max_pairs < 1:
        raise DataError("max_pairs must be at least 1", values={"max_pairs": max_pairs})


def _dates_only(keys: LinkageKeys, within: Mapping[str, int]) -> dict[str, int]:
    for name, days in within.items():
        if name in keys.names and keys.kinds[name] != "date" and days:
            raise DataError("within must name dates", values={"key": name})
        if days < 0 or days != int(days):
            raise DataError("within must be whole days", values={name: days})
    return {name: int(days) for name, days in within.items() if name in keys.names}


def _shares_persons(keys: LinkageKeys) -> bool:
    """Whether more pairs agree than strangers would make, on all keys or on all but the dates."""
    names = [k for k in keys.names if k not in NOT_BY_DEFAULT]
    sets = {tuple(names), tuple(k for k in names if keys.kinds[k] != "date")}
    for subset in sorted(sets - {()}):
        observed, expected = expected_by_chance(keys, subset)
        if observed and pdtrc(observed - 1, expected) < CHANCE:
            return True
    return False


@contextlib.contextmanager
def _engine(private: Any, public: Any, given: Engine | None) -> Iterator[Engine]:
    """Take the engine given, else the Spark of a source, else a DuckDB of our own."""
    if given is not None:
        yield given
        return
    for source in (private, public):
        table = source.linkage_key if isinstance(source, Cohort) else source
        if hasattr(table, "get_backend") and table.get_backend().name == "pyspark":
            yield connect(table.get_backend())
            return
    own = connect()
    try:
        yield own
    finally:
        own.close()


def _result(
    keys: LinkageKeys,
    by_pass: Passes | None,
    scored: Scored | None,
    blocking: pd.DataFrame,
    method: Method,
    threshold: float,
    note: str,
) -> Linkage:
    """Put passes and model together."""
    persons = [frame["person"].to_numpy() for frame in keys.frames]
    empty = pd.DataFrame({name: [] for name in _PAIRS})
    parts = []
    free = [np.ones(n, dtype=bool) for n in keys.n]
    scores = _scores(scored)
    if by_pass is not None:
        rows = pd.DataFrame({"i": by_pass.private, "j": by_pass.public, "pass": by_pass.number})
        rows = rows.merge(scores, on=["i", "j"], how="left").assign(method="pass")
        free[0][by_pass.private], free[1][by_pass.public] = False, False
        parts.append(rows)
    ambiguous = pd.DataFrame(columns=["i", "j", "probability", "confidence", "reason"])
    if scored is not None:
        chosen, ambiguous = _assigned(scored, free, threshold)
        parts.append(chosen)
    pairs = pd.concat([p for p in parts if len(p)] or [scores.iloc[:0]], ignore_index=True)
    pairs = _named(pairs.sort_values("i", kind="stable"), persons)
    for name in _PAIRS:
        if name not in pairs.columns:
            pairs[name] = empty[name].reindex(pairs.index)
    pairs["pass"] = pairs["pass"].astype("Int64")
    found = _named(scores, persons)
    return Linkage(
        table=_flow(keys, by_pass, pairs, blocking, ambiguous, note),
        pairs=pairs[list(_PAIRS)],
        ambiguous=_named(ambiguous, persons),
        passes=pd.DataFrame() if by_pass is None else by_pass.table,
        blocking=blocking,
        model=pd.DataFrame() if scored is None else scored.model,
        keys=keys.table,
        candidates=found,
        method=method,
        threshold=threshold,
        share_present=float("nan") if scored is None else scored.share,
        frames=keys.frames,
        n_iter=0 if scored is None else scored.n_iter,
    )


def _scores(scored: Scored | None) -> pd.DataFrame:
    none = np.zeros(0)
    return pd.DataFrame(
        {
            "i": none.astype(np.int64) if scored is None else scored.private,
            "j": none.astype(np.int64) if scored is None else scored.public,
            "probability": none if scored is None else scored.probability,
            "bits": none if scored is None else scored.bits,
        }
    )


def _named(rows: pd.DataFrame, persons: list[NDArray[Any]]) -> pd.DataFrame:
    """Put the persons in the place of row numbers."""
    out = rows.drop(columns=["i", "j"]).reset_index(drop=True)
    out.insert(0, "private", persons[0][rows["i"].to_numpy(dtype=np.int64)])
    out.insert(1, "public", persons[1][rows["j"].to_numpy(dtype=np.int64)])
    return out


def _assigned(
    scored: Scored, free: list[NDArray[np.bool_]], threshold: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Assign the free persons by the model; what is probable but not certain is ambiguous."""
    open_ = free[0][scored.private] & free[1][scored.public]
    i, j = scored.private[open_], scored.public[open_]
    least = float(np.log2(threshold / (1.0 - threshold)))
    found = assign(i, j, scored.odds[open_], least=least)
    rows = pd.DataFrame(
        {
            "i": i,
            "j": j,
            "probability": scored.probability[open_],
            "bits": scored.bits[open_],
            "confidence": 1.0 / (1.0 + np.exp2(-found.regret)),
        }
    )
    chosen = rows[found.linked].assign(method="probability")
    left = (scored.odds[open_] >= least) & ~found.linked
    left &= ~np.isin(i, chosen["i"]) & ~np.isin(j, chosen["j"])
    reason = np.where(found.crowded, "too many rivals", "another fits nearly as well")
    columns = ["i", "j", "probability", "confidence"]
    return chosen, rows.loc[left, columns].assign(reason=reason[left])


def _flow(
    keys: LinkageKeys,
    by_pass: Passes | None,
    pairs: pd.DataFrame,
    blocking: pd.DataFrame,
    ambiguous: pd.DataFrame,
    note: str,
) -> pd.DataFrame:
    """Count from the persons of both sides to the linked."""
    n = keys.n[0]
    rows: list[tuple[str, str, int, float, float]] = [
        ("persons", "private persons", n, 1.0, float("nan")),
        ("persons", "public persons", keys.n[1], float("nan"), float("nan")),
    ]
    if by_pass is not None:
        used = by_pass.table[by_pass.table["used"]] if len(by_pass.table) else by_pass.table
        rows += [
            (
                "pass",
                str(one["keys"]),
                int(one["linked"]),
                int(one["linked"]) / n,
                float(one["expected_false"]),
            )
            for one in used.to_dict("records")
        ]
    if len(blocking):
        compared = int(blocking.loc[blocking["purpose"] == "candidates", "pairs"].sum())
        rows.append(("candidates", "pairs compared", compared, float("nan"), float("nan")))
        linked = pairs[pairs["method"] == "probability"]
        expected = float((1.0 - linked["probability"].astype(float)).sum())
        rows.append(("probability", "linked by the model", len(linked), len(linked) / n, expected))
    elif note:
        rows.append(("probability", note, 0, 0.0, 0.0))
    unsure = int(ambiguous["i"].nunique())
    left = n - len(pairs) - unsure
    rows += [
        ("ambiguous", "not linked: several fit", unsure, unsure / n, float("nan")),
        ("unlinked", "not linked: none fits", left, left / n, float("nan")),
        ("linked", "linked", len(pairs), len(pairs) / n, float("nan")),
    ]
    return pd.DataFrame(rows, columns=["kind", "step", "n", "share", "expected_false"])
