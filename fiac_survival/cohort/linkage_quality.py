r"""How good a linkage is: against known persons, or by the model's own probabilities, and what to look at.

With known persons, precision is the share of links that are right, recall the share of persons on both
sides who are linked to themselves (Wilson's intervals). :math:`F_1=2J/(1+J)` grows with the Jaccard index
:math:`J=TP/(TP+FP+FN)`, a proportion, so that its limits are those of :math:`J` (Wilson) carried over.

Without, each candidate has a probability :math:`p` of being the person's record: the right links expected
are :math:`A=\sum_{linked}p`, the records expected among candidates not linked :math:`B=\sum_{others}p`;
precision :math:`A/n`, recall :math:`A/(A+B)`, :math:`F_1=2A/(n+A+B)`, with intervals from the variances
:math:`\sum p(1-p)` of A and B by the delta method. They are as good as the model: errors that occur
together (a centre and its department) make them too favourable. Hence the clerical sample.

Source: Wilson 1927; Blakely and Salmond 2002 (predictive value without truth); Harron et al. 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result
from fiac_survival.core.seeds import stream

Floats = NDArray[np.float64]
STRATA = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LinkageQuality(Result):
    """Quality of a linkage.

    Attributes
    ----------
    table : DataFrame
        measure (precision, recall, f1), estimate, lower, upper, numerator, denominator, basis ("truth" or
        "model").
    clerical : DataFrame
        Pairs for a person to judge: stratum, stratum_pairs (how many the sample stands for), private,
        public, linked, probability, and each key on both sides; empty where truth is known.
    """

    clerical: pd.DataFrame


def wilson(hits: float, n: float, level: float) -> tuple[float, float, float]:
    """Compute a proportion with Wilson's interval.

    Parameters
    ----------
    hits, n : float
        Numerator and denominator.
    level : float
        Confidence level.

    Returns
    -------
    estimate, lower, upper : float
        NaN of nothing.

    Examples
    --------
    >>> [round(x, 3) for x in wilson(9, 10, 0.95)]
    [0.9, 0.596, 0.982]
    """
    if n <= 0:
        return float("nan"), float("nan"), float("nan")
    z, p = normal_quantile(level), hits / n
    centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z * float(np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n))) / (1.0 + z * z / n)
    return p, min(max(centre - half, 0.0), p), max(min(centre + half, 1.0), p)


def against_truth(pairs: pd.DataFrame, truth: pd.DataFrame, level: float) -> pd.DataFrame:
    """Compare linked pairs with known ones.

    Parameters
    ----------
    pairs, truth : DataFrame
        private and public.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        precision, recall, f1.
    """
    right = len(pairs[["private", "public"]].merge(truth, on=["private", "public"]))
    n, true = len(pairs), len(truth)
    union = n + true - right
    jaccard = wilson(right, union, level)
    return _table(
        {
            "precision": (*wilson(right, n, level), right, n),
            "recall": (*wilson(right, true, level), right, true),
            "f1": (*(2.0 * j / (1.0 + j) for j in jaccard), 2 * right, n + true),
        },
        "truth",
    )


def by_model(linked: Floats, others: Floats, level: float) -> pd.DataFrame:
    """Estimate quality from probabilities.

    Parameters
    ----------
    linked, others : float64 arrays
        Probabilities of the linked pairs and of the other candidates.
    level : float
        Confidence level.

    Returns
    -------
    DataFrame
        precision, recall, f1.
    """
    z, n = normal_quantile(level), float(linked.size)
    a, b = float(linked.sum()), float(others.sum())
    va, vb = (float(np.sum(p * (1.0 - p))) for p in (linked, others))
    total = a + b

    def around(estimate: float, variance: float) -> tuple[float, float, float]:
        half = z * float(np.sqrt(variance))
        return estimate, max(estimate - half, 0.0), min(estimate + half, 1.0)

    nan = (float("nan"),) * 3
    both = n + total
    return _table(
        {
            "precision": (*(around(a / n, va / n**2) if n else nan), a, n),
            "recall": (
                *(around(a / total, (b * b * va + a * a * vb) / total**4) if total else nan),
                a,
                total,
            ),
            "f1": (
                *(
                    around(2.0 * a / both, 4.0 * ((n + b) ** 2 * va + a * a * vb) / both**4)
                    if both
                    else nan
                ),
                2.0 * a,
                both,
            ),
        },
        "model",
    )


def _table(values: dict[str, tuple[float, ...]], basis: str) -> pd.DataFrame:
    names = ["estimate", "lower", "upper", "numerator", "denominator"]
    return pd.DataFrame(
        [
            {"measure": measure, **dict(zip(names, map(float, row), strict=True)), "basis": basis}
            for measure, row in values.items()
        ]
    )


def read_truth(truth: Any, frames: tuple[pd.DataFrame, pd.DataFrame]) -> pd.DataFrame:
    """Check a table of known persons.

    Parameters
    ----------
    truth : DataFrame
        private and public: the same person's on either side, one row a person.
    frames : (DataFrame, DataFrame)
        Persons of both sides.

    Returns
    -------
    DataFrame
        The rows whose two persons are in the files.

    Raises
    ------
    DataError
        If a column lacks, a person is repeated, or no row is about these files.
    """
    if not isinstance(truth, pd.DataFrame) or not {"private", "public"} <= set(truth.columns):
        raise DataError(
            "truth must be a table with the columns private and public",
            values={"type": type(truth).__name__},
            remedy="one row for each person who is on both sides",
        )
    for side in ("private", "public"):
        again = np.flatnonzero(truth[side].duplicated().to_numpy() | truth[side].isna().to_numpy())
        if again.size:
            raise DataError(
                f"truth must name each {side} person once",
                count=int(again.size),
                row=int(again[0]),
            )
    known = truth["private"].isin(frames[0]["person"]) & truth["public"].isin(frames[1]["person"])
    if not known.any():
        raise DataError(
            "truth must be about the persons of both sides",
            values={"rows": len(truth)},
            remedy="check the type of the identifiers",
        )
    return truth.loc[known, ["private", "public"]].reset_index(drop=True)


def clerical_sample(
    pairs: pd.DataFrame,
    strata: pd.Series,
    frames: tuple[pd.DataFrame, pd.DataFrame],
    *,
    per_stratum: int,
    seed: int,
) -> pd.DataFrame:
    """Draw pairs for a person to judge, with what both sides say of them.

    Parameters
    ----------
    pairs : DataFrame
        private, public, linked, probability.
    strata : Series
        Stratum of each pair.
    frames : (DataFrame, DataFrame)
        Keys of both sides as they were compared.
    per_stratum : int
        Pairs to draw of each.
    seed : int
        Of the draw.

    Returns
    -------
    DataFrame
        The sample, by stratum.
    """
    out = []
    for stratum, part in pairs.groupby(strata, sort=True, observed=True):
        rng = stream(seed, "clerical", str(stratum))
        rows = np.sort(rng.permutation(len(part))[:per_stratum])
        drawn = part.iloc[rows].copy()
        drawn.insert(0, "stratum", str(stratum))
        drawn.insert(1, "stratum_pairs", len(part))
        out.append(drawn)
    columns = ["stratum", "stratum_pairs", *pairs.columns]
    drawn = pd.concat(out, ignore_index=True) if out else pd.DataFrame(columns=columns)
    for frame, side in zip(frames, ("private", "public"), strict=True):
        said = frame.set_index("person").add_suffix(f"_{side}")
        drawn = drawn.join(said, on=side)
    keys = [c for c in frames[0].columns if c != "person"]
    order = [f"{k}_{side}" for k in keys for side in ("private", "public")]
    return drawn[[*columns, *order]]
