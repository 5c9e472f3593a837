"""Which pairs are compared: blocking rules chosen from counted pairs.

A rule is a set of keys; the pairs that agree on it are compared. If all pairs are few enough there is no
rule. Otherwise every set of at most five keys is counted (from group sizes, without making a pair), and
rules are added one by one, each time the one that brings most per pair, while the sum of pairs stays
within the budget. What a rule brings are the errors that it lets through: a pair whose records differ in
one key (weight 1) or in two (weight 0.1), or in none (10), is found by a rule that uses none of those
keys. A rule that holds another is dropped.

For the estimation of m, a comparison needs pairs that were not chosen for agreeing on it: each gets the
loosest rule within the budget of training that leaves it, and at least two others, free.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiac_survival.cohort.linkage_keys import LinkageKeys
from fiac_survival.core.errors import DataError

MOST_KEYS = 5
TRAINING_PAIRS = 3_000_000
TRAINING_PAIRS_A_RECORD = 5  # in files so large that this is more
_WEIGHTS = {0: 10.0, 1: 1.0, 2: 0.1}
Rule = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Blocking:
    """Rules and what they are for.

    Attributes
    ----------
    candidates : list of tuple of str
        Rules for the pairs to be compared; an empty rule is all pairs.
    training : list of tuple of str
        Rules for the estimation of m.
    table : DataFrame
        purpose, rule, pairs, finds ("" or the keys that may differ).
    """

    candidates: list[Rule]
    training: list[Rule]
    table: pd.DataFrame


def choose_rules(
    keys: LinkageKeys, comparisons: Mapping[str, Sequence[str]], *, max_pairs: int
) -> Blocking:
    """Choose the rules.

    Parameters
    ----------
    keys : LinkageKeys
        Both sides.
    comparisons : mapping
        Name of each comparison to the keys that it looks at.
    max_pairs : int
        Most pairs to compare.

    Returns
    -------
    Blocking
        Rules with their numbers of pairs.

    Raises
    ------
    DataError
        If no rule keeps within the budget, or nothing can be trained.
    """
    names = [k for k in keys.names if any(k in used for used in comparisons.values())]
    total = keys.n[0] * keys.n[1]
    counts: dict[Rule, int] = {(): total}
    budget = max(TRAINING_PAIRS, TRAINING_PAIRS_A_RECORD * sum(keys.n))
    if total > min(max_pairs, budget):
        for size in range(1, min(MOST_KEYS, len(names)) + 1):
            for rule in itertools.combinations(names, size):
                counts[rule] = keys.pairs(rule)
    candidates: list[Rule] = [()] if total <= max_pairs else _candidates(names, counts, max_pairs)
    training = _training(counts, comparisons, budget)
    rows = [
        {
            "purpose": purpose,
            "rule": " + ".join(rule) or "all pairs",
            "pairs": counts[rule],
            "finds": "any differences"
            if not rule
            else "differences in " + (", ".join(k for k in names if k not in rule) or "no key"),
        }
        for purpose, rules in (("candidates", candidates), ("training", training))
        for rule in rules
    ]
    return Blocking(candidates, training, pd.DataFrame(rows))


def _candidates(names: list[str], counts: Mapping[Rule, int], max_pairs: int) -> list[Rule]:
    """Add rules, the one that brings most per pair first, while they keep within the budget."""
    errors = [frozenset(e) for size in _WEIGHTS for e in itertools.combinations(names, size)]
    open_errors, chosen, spent = set(errors), list[Rule](), 0
    while open_errors:
        best: tuple[float, Rule] | None = None
        for rule, pairs in counts.items():
            if not rule or pairs == 0 or spent + pairs > max_pairs:
                continue
            gain = sum(_WEIGHTS[len(e)] for e in open_errors if e.isdisjoint(rule))
            if gain > 0.0 and (best is None or (-gain / pairs, rule) < best):
                best = (-gain / pairs, rule)
        if best is None:
            break
        chosen.append(best[1])
        spent += counts[best[1]]
        open_errors = {e for e in open_errors if not e.isdisjoint(best[1])}
    if not chosen:
        raise DataError(
            "a set of keys must keep the pairs to compare within the budget",
            values={
                "max_pairs": max_pairs,
                "fewest pairs": min(n for rule, n in counts.items() if rule),
            },
            remedy="raise max_pairs, or pass further keys",
        )
    return [rule for rule in chosen if not any(set(o) < set(rule) for o in chosen)]


def _training(
    counts: Mapping[Rule, int], comparisons: Mapping[str, Sequence[str]], budget: int
) -> list[Rule]:
    """Choose for every comparison the loosest rule that leaves it free, within the budget."""
    out: list[Rule] = []
    for name, used in comparisons.items():
        if any(not set(rule) & set(used) for rule in out):
            continue
        fit = [
            (_locked(rule, comparisons), -pairs, rule)
            for rule, pairs in counts.items()
            if 0 < pairs <= budget and not set(rule) & set(used)
        ]
        if not fit:
            raise DataError(
                "every comparison must be estimable on pairs not chosen for agreeing on it",
                values={"comparison": name, "pairs at most": budget},
                remedy="pass further keys: those left do not narrow the pairs enough",
            )
        out.append(min(fit)[2])
    free = np.array([len(comparisons) - _locked(rule, comparisons) for rule in out])
    if (free < 2).any():
        raise DataError(
            "a model needs keys that are compared while others select the pairs",
            values={"comparisons": ", ".join(comparisons)},
            remedy='pass further keys, or ask for method="deterministic"',
        )
    return out


def _locked(rule: Rule, comparisons: Mapping[str, Sequence[str]]) -> int:
    return sum(bool(set(rule) & set(used)) for used in comparisons.values())
