r"""What a policy would achieve, from data on patients who were treated otherwise.

Three estimators of the expected life-time within the horizon, side by side:

* **g-formula**: kernels estimated, then the policy's value in the model;
* **inverse-probability weighting** (clone-censor-weight): each patient is followed for as long as the
  policy was, censored at the first line that departs from it, and weighted by 1 / probability of the
  regimens given and of being under observation; weighted Kaplan-Meier, restricted mean ("ipw"). The plain
  mean of the weighted whole life-times ("ipw_mean") uses those who complied to their end alone, and is not
  normalised;
* **doubly robust**: the g-formula plus weighted increments of what was observed over what was expected,
  with nuisance models from other patients (cross-fitting). Consistent if, line by line, the propensities
  or the kernels are right.

Intervals are for a policy that was specified beforehand: the value of an estimated optimum is
non-regular, and is to be reported on other patients (see :func:`~fiac_survival.sequence.split_report`).

References
----------
Robins JM, Rotnitzky A, Zhao LP. J Am Stat Assoc 1995;90:106-121. Jiang N, Li L. Doubly
robust off-policy value evaluation. ICML 2016. Cain LE et al. Int J Biostat 2010;6(2):18. Lunceford JK,
Davidian M, Tsiatis AA. Biometrics 2002;58:48-57 (survival under two-stage regimes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile, require_choice
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.evaluators import Evaluator, Outcome
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.histories import Histories, Unit
from fiac_survival.sequence.lines_door import as_histories
from fiac_survival.sequence.observed_care import Censoring, Propensity
from fiac_survival.sequence.solution import NOTE, Solution

Floats = NDArray[np.float64]
Method = Literal["g_formula", "ipw", "ipw_mean", "dr"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Evaluation(Result):
    """Values of policies.

    Attributes
    ----------
    table : DataFrame
        policy, method, months, std_error, lower, upper; the last row is the care observed.
    support : DataFrame
        policy, line, patients who started it, compliant up to and with it, effective sample size of their
        weights, largest weight as a share of the sum.
    curves : DataFrame
        policy, month, survival, std_error, lower, upper: weighted Kaplan-Meier of the compliant ("ipw").
    influence : dict
        (policy, method) to the influence of each patient on the estimate, (N,); not for the g-formula.
    draws : dict
        policy to the bootstrap draws of the g-formula.
    level : float
        Confidence level.
    simulated : bool
        Whether the data are simulated.
    note : str
        What the intervals are, and are not, for.
    """

    support: pd.DataFrame
    curves: pd.DataFrame
    influence: dict[tuple[str, str], Floats] = field(repr=False)
    draws: dict[str, Floats] = field(repr=False)
    level: float
    simulated: bool
    note: str = "Intervals are for policies specified beforehand. " + NOTE

    def contrast(self, policy: str, reference: str, *, method: Method = "dr") -> pd.DataFrame:
        """Compare two policies on the same patients.

        Parameters
        ----------
        policy, reference : str
            Names of policies; for all methods but the g-formula also "observed care".
        method : {"g_formula", "ipw", "ipw_mean", "dr"}, default "dr"
            Estimator.

        Returns
        -------
        DataFrame
            One row: difference in months, std_error, lower, upper, p_value.

        Raises
        ------
        DataError
            If a policy was not evaluated so.
        """
        from scipy.special import ndtr

        means, spreads = [], []
        for name in (policy, reference):
            key: tuple[str, str] = (name, "observed" if name == "observed care" else method)
            row = self.table[(self.table["policy"] == name) & (self.table["method"] == key[1])]
            if row.empty:
                raise DataError(
                    "the policy must have been evaluated by this method",
                    values={"policy": name, "method": method},
                )
            means.append(float(row["months"].iloc[0]))
            spreads.append(
                self.draws.get(name) if method == "g_formula" else self.influence.get(key)
            )
        if spreads[0] is None or spreads[1] is None:
            raise DataError(
                "the g-formula is compared between policies only",
                values={"policy": policy, "reference": reference},
            )
        apart = spreads[0] - spreads[1]
        by_draws = method == "g_formula"
        error = float(apart.std(ddof=1) if by_draws else np.sqrt(np.sum(apart**2)))
        difference = means[0] - means[1]
        z = normal_quantile(self.level)
        p = float(2 * ndtr(-abs(difference) / error)) if error > 0 else float("nan")
        return pd.DataFrame(
            {
                "policy": [policy],
                "reference": [reference],
                "method": [method],
                "difference": [difference],
                "std_error": [error],
                "lower": [difference - z * error],
                "upper": [difference + z * error],
                "p_value": [p],
            }
        )


@single_threaded_blas
def evaluate(
    lines: pd.DataFrame | Histories,
    policy: Any,
    *,
    formulary: Formulary | None = None,
    methods: Sequence[Method] = ("g_formula", "ipw", "dr"),
    confounders: Sequence[str] = (),
    horizon: float | None = None,
    outcome: Outcome = "spline",
    propensity: Propensity = "model",
    censoring: Censoring = "elapsed",
    censoring_confounders: Sequence[str] = (),
    folds: int = 5,
    draws: int = 100,
    level: float = 0.95,
    seed: int = 0,
    unit: Unit = "days",
    other: str | None = None,
    salvage_death: Any = None,
    truncate: float | None = None,
    persons: Any = None,
    weights: str | None = None,
    simulated: bool = False,
) -> Evaluation:
    """Evaluate policies on observed patients.

    Parameters
    ----------
    lines : DataFrame or Histories
        Lines of therapy, as :func:`read_histories` takes them.
    policy : Solution, sequence of str, callable, or mapping of names to these
        What is evaluated; a callable takes (group, line, exposed class names, remaining months) and names a
        regimen.
    formulary : Formulary, optional
        Names, lines, groups; a Solution brings none, so it is needed with a table.
    methods : sequence of {"g_formula", "ipw", "ipw_mean", "dr"}
        Estimators.
    confounders : sequence of str
        Columns, as at the line's start, that regimen and outcome may depend on.
    horizon : float, optional
        Months; the formulary's by default.
    outcome : {"spline", "state", "elapsed"}, default "spline"
        Kernels: smooth and pooled; product-limit by line, regimen, group and overlap level; or
        product-limit by line, regimen, exposed classes, group and elapsed time. The last two must be
        followed to the horizon.
    propensity : {"model", "state", "elapsed"}, default "model"
        Probability of the regimens: multinomial logit on state, previous line's length and confounders; or
        frequencies by line, exposed classes and group, with elapsed time or not.
    censoring : {"elapsed", "cells", "model", "none"}, default "elapsed"
        Probability of being under observation: product-limit over elapsed time; in the cells of the
        kernels; a logit of elapsed time, line, group and `censoring_confounders`; none, if nobody is
        lost.
    censoring_confounders : sequence of str
        For "model".
    folds : int, default 5
        Folds of cross-fitting by patient for "dr"; 1: none.
    draws : int, default 100
        Bootstrap draws for the intervals of the g-formula, and of the frequencies' weighting; 0: no
        interval.
    level : float, default 0.95
        Confidence level.
    seed : int, default 0
        Root of folds and draws.
    unit, other, salvage_death, truncate
        As in :func:`estimate_kernels`.
    persons : sequence, optional
        Patients to evaluate on; all by default.
    weights : str, optional
        Column of weights of the patients, as of a survey or to a target population.
    simulated : bool, default False
        Whether the lines are simulated.

    Returns
    -------
    Evaluation
        Values, curves, support, influences.

    Raises
    ------
    DataError
        If an option or the table breaks a rule.
    SupportError
        If nobody was treated as the policy says, or follow-up is too short for it.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(400, seed=3)
    >>> result = fs.sequence.evaluate(lines, ("gentle", "strong"), formulary=formulary,
    ...     confounders=["frail"], unit="steps", draws=20, simulated=True)
    >>> result.table["method"].tolist()
    ['g_formula', 'ipw', 'dr', 'observed']
    """
    for asked in methods:
        require_choice(asked, Method, "methods")
    if not 0 < level < 1 or folds < 1 or draws < 0 or draws == 1:
        raise DataError(
            "level must lie between 0 and 1, folds be at least 1, draws 0 or at least 2",
            values={"level": level, "folds": folds, "draws": draws},
        )
    keep = list(
        dict.fromkeys([*confounders, *censoring_confounders, *([weights] if weights else [])])
    )
    h = as_histories(lines, formulary, unit=unit, covariates=keep, other=other)
    named = dict(policy) if isinstance(policy, Mapping) else {_name(policy): policy}
    if "observed care" in named:
        raise DataError('"observed care" is the name of what was observed; take another')
    evaluator = Evaluator(
        h,
        horizon=horizon,
        confounders=confounders,
        outcome=outcome,
        propensity=propensity,
        censoring=censoring,
        censoring_confounders=censoring_confounders,
        folds=folds,
        seed=seed,
        salvage_death=salvage_death,
        truncate=truncate,
        persons=persons,
        weights=weights,
    )
    rows: list[dict[str, Any]] = []
    influence: dict[tuple[str, str], Floats] = {}
    drawn: dict[str, Floats] = {}
    support, curves = [], []
    months = h.formulary.step_months
    z = normal_quantile(level)

    def add(name: str, method: str, estimate: float, error: float) -> None:
        rows.append(
            {
                "policy": name,
                "method": method,
                "months": estimate * months,
                "std_error": error * months,
                "lower": (estimate - z * error) * months,
                "upper": (estimate + z * error) * months,
            }
        )

    work = {name: evaluator.on(each) for name, each in named.items()}
    by_bootstrap = [m for m in methods if m == "g_formula" or (m != "dr" and propensity != "model")]
    boot = evaluator.bootstrap(work, by_bootstrap, draws) if draws else {}
    for name, each in work.items():
        for method in methods:
            error = float("nan")
            if method == "g_formula":
                estimate = each.g_formula()
                drawn[name] = boot.get((name, method), np.zeros(0)) * months
            elif method == "ipw":
                found = each.ipw()
                estimate, parts = found.value, found.influence
                curves.append(found.curve(months, level).assign(policy=name))
            else:
                estimate, parts = each.ipw_mean() if method == "ipw_mean" else each.doubly_robust()
            if method != "g_formula":
                influence[name, method] = parts * months
                error = float(np.sqrt(np.sum(parts**2)))
            if (name, method) in boot:
                error = float(boot[name, method].std(ddof=1))
            add(name, method, estimate, error)
        support.append(each.support().assign(policy=name))
    observed = evaluator.observed()
    influence["observed care", "observed"] = observed.influence * months
    add("observed care", "observed", observed.value, float(np.sqrt(np.sum(observed.influence**2))))
    curves.append(observed.curve(months, level).assign(policy="observed care"))
    order = ["policy", "month", "survival", "std_error", "lower", "upper"]
    return Evaluation(
        table=pd.DataFrame(rows),
        support=pd.concat(support, ignore_index=True)[
            ["policy", "line", "started", "compliant", "ess", "largest_weight"]
        ],
        curves=pd.concat(curves, ignore_index=True)[order],
        influence=influence,
        draws=drawn,
        level=level,
        simulated=simulated or h.formulary.simulated,
    )


def _name(policy: Any) -> str:
    if isinstance(policy, Solution):
        return "optimal policy"
    if callable(policy):
        return getattr(policy, "__name__", "policy")
    if isinstance(policy, str):
        raise DataError(
            "a sequence must name one regimen a line",
            values={"policy": policy},
            remedy='pass a tuple of names, e.g. ("VRd", "Kd")',
        )
    return " → ".join(map(str, policy))
