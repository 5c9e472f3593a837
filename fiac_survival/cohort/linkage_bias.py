r"""Whom the linkage left out, and weights that make up for it.

Linked and unlinked persons of the private side are compared covariate by covariate (standardised
difference of the unweighted groups, as everywhere in the package); a covariate with levels has one row a
level, and one with missing values a row for being missing. Inverse-probability-of-linkage weights are
:math:`1/e_i` for the linked, :math:`e_i=P(\text{linked}\mid x_i)` from a logistic regression, 0 for the
others. They remove bias only as far as linkage depends on the covariates in the model.

Source: Harron et al. 2017 (linkage error); Seaman and White 2013 (inverse probability weighting of those
observed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.weighting.balance import SMD_GATE, balance
from fiac_survival.weighting.propensity import logistic
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
_FOUND = ("mean_treated_before", "mean_control_before")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LinkageBias(Result):
    """Linked against unlinked persons.

    Attributes
    ----------
    table : DataFrame
        covariate, level, n_linked, n_unlinked (persons with a value; of a level, those who have it),
        linked, unlinked (mean or share), smd, variance_ratio, ks, passed.
    n_linked, n_unlinked : int
        Persons.
    """

    n_linked: int
    n_unlinked: int


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class LinkageWeights(Result):
    """Inverse-probability-of-linkage weights.

    Attributes
    ----------
    table : DataFrame
        n, n_linked, sum, ess, largest_weight, smallest_probability.
    weights : DataFrame
        person, linked, probability, weight (0 for the unlinked), in the order of the frame.
    balance : DataFrame
        covariate, all, linked, linked_weighted (means), smd_before, smd_after: the linked against all.
    """

    weights: pd.DataFrame
    balance: pd.DataFrame


def compare_linked(frame: pd.DataFrame, linked: NDArray[np.bool_], person: str) -> LinkageBias:
    """Compare linked and unlinked persons.

    Parameters
    ----------
    frame : DataFrame
        One row a person.
    linked : (n,) bool
        Who is linked.
    person : str
        Column that is no covariate.

    Returns
    -------
    LinkageBias
        One row a covariate or level.
    """
    as_treated(linked)
    rows: list[dict[str, Any]] = []
    for name in frame.columns:
        if name == person:
            continue
        column = frame[name].reset_index(drop=True)
        known = column.notna().to_numpy()
        if not known.all():
            rows.append(_row(name, "(missing)", ~known, linked))
        if _is_number(column):
            values = column[known].astype(float).to_numpy()
            rows.append(_row(name, "", values, linked[known]))
        else:
            for level in sorted(column[known].unique(), key=str):
                has = np.asarray(column[known] == level)
                rows.append(_row(name, str(level), has, linked[known]))
    if not rows:
        raise DataError(
            "the frame must have a covariate", remedy="pass the person and what to compare"
        )
    return LinkageBias(
        table=pd.DataFrame(rows),
        n_linked=int(linked.sum()),
        n_unlinked=int((~linked).sum()),
    )


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _row(name: str, level: str, values: NDArray[Any], linked: NDArray[np.bool_]) -> dict[str, Any]:
    """Compare one column; of a level, count the persons who have it."""
    x = values.astype(np.float64)
    count = [int(x[g].sum()) if level else int(g.sum()) for g in (linked, ~linked)]
    if min(linked.sum(), (~linked).sum()) < 2:  # too few of a group have a value
        found: dict[Any, Any] = dict.fromkeys(
            (*_FOUND, "smd_before", "variance_ratio", "ks"), float("nan")
        )
    else:
        found = dict(balance(x[:, None], linked).table.iloc[0].items())
    return {
        "covariate": name,
        "level": level,
        "n_linked": count[0],
        "n_unlinked": count[1],
        "linked": float(found[_FOUND[0]]),
        "unlinked": float(found[_FOUND[1]]),
        "smd": float(found["smd_before"]),
        "variance_ratio": float(found["variance_ratio"]),
        "ks": float(found["ks"]),
        "passed": bool(abs(found["smd_before"]) <= SMD_GATE),
    }


def weigh_linked(
    frame: pd.DataFrame,
    linked: NDArray[np.bool_],
    covariates: Any,
    person: str,
    *,
    stabilised: bool,
) -> LinkageWeights:
    """Weight the linked persons to stand for all.

    Parameters
    ----------
    frame : DataFrame
        One row a person.
    linked : (n,) bool
        Who is linked.
    covariates : list of str or str
        Numeric columns, or a formula such as ``"age + C(stage)"``.
    person : str
        Column of the person.
    stabilised : bool
        Multiply by the share linked, so that weights are about 1 on average.

    Returns
    -------
    LinkageWeights
        Weights, their effective size, and the linked against all before and after.
    """
    as_treated(linked)
    rows = frame.reset_index(drop=True)
    if isinstance(covariates, str):
        design = make_design(covariates, rows, n=len(rows))
    else:
        wanted = list(covariates)
        missing = [name for name in wanted if name not in rows.columns]
        if missing:
            raise DataError(
                "the frame must have the covariates", values={"missing": ", ".join(missing)}
            )
        design = make_design(rows[wanted], n=len(rows))
    fit = logistic(design.values, design.columns, linked)
    factor = float(linked.mean()) if stabilised else 1.0
    weight = np.where(linked, factor / fit.score, 0.0)
    one = weight[linked]
    table = pd.DataFrame(
        {
            "n": [len(rows)],
            "n_linked": [int(linked.sum())],
            "sum": [float(one.sum())],
            "ess": [float(one.sum() ** 2 / np.sum(one * one))],
            "largest_weight": [float(one.max())],
            "smallest_probability": [float(fit.score.min())],
        }
    )
    return LinkageWeights(
        table=table,
        weights=pd.DataFrame(
            {
                "person": rows[person],
                "linked": linked,
                "probability": fit.score,
                "weight": weight,
            }
        ),
        balance=_against_all(design.values, design.columns, linked, weight),
        n_iter=fit.n_iter,
        gradient_norm=fit.gradient_norm,
    )


def _against_all(
    x: Floats, names: list[str], linked: NDArray[np.bool_], weight: Floats
) -> pd.DataFrame:
    """Means of the linked, plain and weighted, against those of all, in standard deviations of all."""
    whole, spread = x.mean(axis=0), x.std(axis=0, ddof=1)
    plain = x[linked].mean(axis=0)
    weighted = np.average(x[linked], axis=0, weights=weight[linked])
    return pd.DataFrame(
        {
            "covariate": names,
            "all": whole,
            "linked": plain,
            "linked_weighted": weighted,
            "smd_before": (plain - whole) / spread,
            "smd_after": (weighted - whole) / spread,
        }
    )
