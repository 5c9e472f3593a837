"""Choosing a policy on some patients and reporting its value on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result
from fiac_survival.core.seeds import stream
from fiac_survival.sequence.evaluation import evaluate
from fiac_survival.sequence.fixed import ARROW
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.histories import Histories, Unit
from fiac_survival.sequence.kernel_design import DEVIATIONS, Deviation
from fiac_survival.sequence.kernel_estimation import estimate_kernels
from fiac_survival.sequence.kernel_fitting import Form
from fiac_survival.sequence.lines_door import as_histories
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.solution import NOTE, Solution


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class SplitReport(Result):
    """Values of policies that were chosen on other patients.

    Attributes
    ----------
    table : DataFrame
        One row a quantity: the value promised where the policy was chosen (median over the splits), the
        value on held-out patients with its interval, that of the care observed, and their difference.
    splits : DataFrame
        split, fold, group sequences chosen, promised, reported, std_error, observed.
    policies : list of Solution
        The policy chosen in each row of `splits`.
    """

    splits: pd.DataFrame
    policies: list[Solution] = field(repr=False)
    simulated: bool
    note: str = NOTE


def split_report(
    lines: pd.DataFrame | Histories,
    formulary: Formulary | None = None,
    *,
    confounders: Sequence[str] = (),
    folds: int = 2,
    repeats: int = 5,
    nuisance_folds: int = 5,
    form: Form = "spline",
    min_ess: float | None = 20.0,
    min_events: float = 5.0,
    together: Mapping[str, str] | None = None,
    deviations: Sequence[Deviation] = DEVIATIONS,
    level: float = 0.95,
    seed: int = 0,
    unit: Unit = "days",
    salvage_death: Any = None,
    simulated: bool = False,
    **options: Any,
) -> SplitReport:
    """Choose the best policy on some patients, and report its doubly robust value on the others.

    In each fold the kernels are estimated, and the optimal policy is found, on the patients outside;
    its value is then estimated on those inside with nuisance models of their own. Values are averaged
    over folds and the median is taken over repeated splits (with the spread between the splits in the
    standard error).

    Parameters
    ----------
    lines, formulary, confounders, form, unit, salvage_death, simulated
        As in :func:`estimate_kernels`.
    folds : int, default 2
        Folds of each split.
    repeats : int, default 5
        Splits.
    nuisance_folds : int, default 5
        Folds of cross-fitting within the held-out patients.
    min_ess, min_events : float
        Support that a regimen needs to be chosen.
    together : mapping of str to str, optional
        As in :meth:`KernelEstimate.supported`.
    deviations : sequence of str
        As in :func:`estimate_kernels`.
    level : float, default 0.95
        Confidence level.
    seed : int, default 0
        Root of the splits.
    **options
        Further arguments of :func:`evaluate` (horizon, censoring, ...).

    Returns
    -------
    SplitReport
        What was promised, and what held.

    Raises
    ------
    DataError
        If folds or repeats are too few.

    References
    ----------
    Chernozhukov V et al. Econom J 2018;21:C1-C68 (medians over splits).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(1500, seed=1)
    >>> report = fs.sequence.split_report(lines, formulary, confounders=["frail"], unit="steps", repeats=1)
    >>> report.table["quantity"].tolist()
    ['promised', 'held out', 'observed care', 'held out - observed care']
    """
    if folds < 2 or repeats < 1:
        raise DataError(
            "folds must be at least 2 and repeats at least 1",
            values={"folds": folds, "repeats": repeats},
        )
    keep = list(dict.fromkeys([*confounders, *options.get("censoring_confounders", ())]))
    h = as_histories(lines, formulary, unit=unit, covariates=keep)
    share = np.bincount(h.group[h.first], minlength=len(h.formulary.groups)) / h.n_persons
    groups = [g for g, s in zip(h.formulary.groups, share, strict=True) if s > 0]
    rows: list[dict[str, Any]] = []
    policies = []
    for split in range(repeats):
        order = stream(seed, "split", split).permutation(h.n_persons)
        fold = np.empty(h.n_persons, dtype=np.int64)
        fold[order] = np.arange(h.n_persons) % folds
        for k in range(folds):
            inside = fold == k
            kernels = estimate_kernels(
                h.subset(~inside),
                confounders=confounders,
                form=form,
                salvage_death=salvage_death,
                deviations=deviations,
            )
            model = kernels.model(min_ess=min_ess, min_events=min_events, together=together)
            solution = model.solve()
            promised = sum(
                s * solution.value(g)
                for g, s in zip(h.formulary.groups, share, strict=True)
                if s > 0
            )
            found = evaluate(
                h.subset(inside),
                solution,
                methods=("dr",),
                confounders=confounders,
                folds=nuisance_folds,
                seed=seed,
                level=level,
                salvage_death=salvage_death,
                **options,
            )
            policies.append(solution)
            chosen = [_best_sequence(model, solution, g) for g in groups]
            apart = found.contrast("optimal policy", "observed care")
            rows.append(
                {
                    "split": split + 1,
                    "fold": k + 1,
                    "sequences": "; ".join(
                        f"{g}: {c}" for g, c in zip(groups, chosen, strict=True)
                    ),
                    "promised": promised,
                    "reported": float(found.table["months"].iloc[0]),
                    "reported_error": float(found.table["std_error"].iloc[0]),
                    "observed": float(found.table["months"].iloc[-1]),
                    "observed_error": float(found.table["std_error"].iloc[-1]),
                    "difference": float(apart["difference"].iloc[0]),
                    "difference_error": float(apart["std_error"].iloc[0]),
                }
            )
    splits = pd.DataFrame(rows)
    return SplitReport(
        table=_medians(splits, folds, level),
        splits=splits,
        policies=policies,
        simulated=simulated or h.formulary.simulated,
    )


def _best_sequence(model: SequenceModel, solution: Solution, group: str) -> str:
    try:
        return ARROW.join(model.best_sequences(1, group, solution=solution).sequences[0])
    except DataError:  # what is learnt leads to groups with no supported regimen in common
        return "none is allowed whatever is learnt"


def _medians(splits: pd.DataFrame, folds: int, level: float) -> pd.DataFrame:
    z = normal_quantile(level)
    rows = []
    for quantity, column in (
        ("promised", "promised"),
        ("held out", "reported"),
        ("observed care", "observed"),
        ("held out - observed care", "difference"),
    ):
        by_split = splits.groupby("split")[column].mean()
        centre = float(by_split.median())
        error = float("nan")
        if f"{column}_error" in splits:
            # Folds are made of different patients; splits are not.
            variance = splits.groupby("split")[f"{column}_error"].apply(
                lambda e: float(np.sum(e**2)) / folds**2
            )
            error = float(np.sqrt((variance + (by_split - centre) ** 2).median()))
        rows.append(
            {
                "quantity": quantity,
                "months": centre,
                "std_error": error,
                "lower": centre - z * error,
                "upper": centre + z * error,
            }
        )
    return pd.DataFrame(rows)
