r"""How strong an unmeasured confounder would have to be.

**E-value.** For a risk ratio :math:`RR>1` (below 1: its inverse), an unmeasured confounder explains the
estimate away only if its risk ratios with treatment and with outcome are both at least

.. math:: E=RR+\sqrt{RR(RR-1)}

or one more and the other less. For the limit of the interval nearer to 1 the same, and 1 if the interval
holds 1. Towards another truth :math:`\theta`: E of :math:`RR/\theta`. Other measures are brought to risk
ratios first: with a rare outcome (below 15 % at the end of follow-up) hazard and odds ratios as they
are; with a common one :math:`RR\approx(1-0.5^{\sqrt{HR}})/(1-0.5^{\sqrt{1/HR}})` and
:math:`RR\approx\sqrt{OR}`.

**A named confounder.** A binary confounder with prevalences :math:`p_1` (treated) and :math:`p_0`
(control) and hazard ratio γ for the outcome biases the hazard ratio by

.. math:: B=\frac{1+(\gamma-1)p_1}{1+(\gamma-1)p_0},\qquad HR_{\text{corrected}}=HR/B :

exact for risk ratios, and for hazard ratios where the outcome is rare. The tipping point is the γ at which
the corrected quantity L is 1: :math:`\gamma=1+(L-1)/(p_1-Lp_0)`, where that is positive.

Source: VanderWeele and Ding 2017; Ding and VanderWeele 2016; Schneeweiss 2006; Lin, Psaty, Kronmal 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, assert_never

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.compare.effect import Effect
from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]
Ratio = Literal["hazard_ratio", "risk_ratio", "odds_ratio"]
Frequency = Literal["rare", "common"]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EValue(Result):
    """E-value of an estimate and of its interval.

    Attributes
    ----------
    table : DataFrame
        quantity ("estimate", "limit"), ratio, risk_ratio, e_value.
    estimate : float
        E-value of the estimate.
    limit : float
        E-value of the limit nearer to the truth asked about; NaN without an interval.
    """

    estimate: float
    limit: float


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class UnmeasuredConfounder(Result):
    """An estimate under assumed confounders.

    Attributes
    ----------
    table : DataFrame
        prevalence_treated, prevalence_control, confounder_hazard_ratio, bias_factor, estimate,
        lower, upper: a row for each combination.
    tipping : DataFrame
        prevalence_treated, prevalence_control, estimate, limit: the confounder's hazard ratio at
        which the estimate, and the limit nearer to 1, become 1; NaN where no hazard ratio does that.
    """

    tipping: pd.DataFrame


def e_value(
    estimate: float | Effect,
    lower: float | None = None,
    upper: float | None = None,
    *,
    measure: Ratio | None = None,
    outcome: Frequency | None = None,
    true: float = 1.0,
) -> EValue:
    """Compute the E-value: the least confounding that could explain an estimate.

    Parameters
    ----------
    estimate : float or Effect
        A ratio; or a hazard ratio from :func:`fiac_survival.compare.effect`, with its interval.
    lower, upper : float, optional
        Its interval; one of them may be missing.
    measure : {"hazard_ratio", "risk_ratio", "odds_ratio"}, optional
        What the ratio is; needed for numbers.
    outcome : {"rare", "common"}, optional
        Whether fewer than 15 % have the event by the end of follow-up; needed for hazard and odds
        ratios.
    true : float, default 1.0
        The ratio towards which confounding might have moved the estimate, on the same measure.

    Returns
    -------
    EValue
        For the estimate and for the nearer limit.

    Raises
    ------
    DataError
        If the measure is a difference, a ratio is not positive, or the limits do not hold the
        estimate.

    References
    ----------
    VanderWeele TJ, Ding P. Sensitivity analysis in observational research: introducing the E-value.
    Ann Intern Med 2017;167:268-274.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.compare.e_value(0.71, 0.57, 0.88, measure="hazard_ratio", outcome="common")
    >>> round(found.estimate, 2), round(found.limit, 2)
    (1.85, 1.41)
    """
    if isinstance(estimate, Effect):
        if measure is not None or lower is not None or upper is not None:
            raise DataError(
                "an Effect brings its measure and its interval",
                values={"measure": measure, "lower": lower, "upper": upper},
                remedy="pass the Effect alone, with outcome",
            )
        given = estimate
        measure = _ratio_of(given.measure)
        estimate, lower, upper = given.estimate, given.lower, given.upper
    measure = _ratio_of(measure)
    if measure != "risk_ratio" and outcome is None:
        raise DataError(
            "the E-value of a hazard or odds ratio depends on how common the outcome is",
            values={"measure": measure, "outcome": outcome},
            remedy='pass outcome="rare" (below 15 % by the end of follow-up) or "common"',
        )
    if outcome is not None:
        require_choice(outcome, Frequency, "outcome")
    _check_interval(estimate, lower, upper)
    _require_positive(true, "true")
    truth = _risk_ratio(true, measure, outcome)
    rows = [("estimate", estimate, _risk_ratio(estimate, measure, outcome))]
    values = [_e_value(rows[0][2] / truth)]
    above = estimate >= true
    nearer = lower if above else upper
    limit = float("nan")
    if nearer is not None:
        ratio = _risk_ratio(nearer, measure, outcome)
        held = nearer <= true if above else nearer >= true
        limit = 1.0 if held else _e_value(ratio / truth)
        rows.append(("limit", nearer, ratio))
        values.append(limit)
    table = pd.DataFrame(rows, columns=["quantity", "ratio", "risk_ratio"]).assign(e_value=values)
    return EValue(table=table, estimate=values[0], limit=limit)


def unmeasured_confounder(
    estimate: float | Effect,
    lower: float | None = None,
    upper: float | None = None,
    *,
    prevalence_treated: Any,
    prevalence_control: Any,
    hazard_ratio: Any,
) -> UnmeasuredConfounder:
    """Correct a hazard ratio for a binary confounder that was not measured.

    Parameters
    ----------
    estimate : float or Effect
        A hazard (or risk) ratio; or an Effect, with its interval.
    lower, upper : float, optional
        Its interval, which is moved with it.
    prevalence_treated, prevalence_control : float or array-like of float
        Assumed shares of patients with the confounder, each from 0 to 1.
    hazard_ratio : float or array-like of float
        Assumed hazard ratios of the confounder for the outcome.

    Returns
    -------
    UnmeasuredConfounder
        All combinations of what was assumed, and for each pair of prevalences the tipping point.

    Raises
    ------
    DataError
        If a prevalence is not between 0 and 1 or a ratio not positive.

    References
    ----------
    Schneeweiss S. Sensitivity analysis and external adjustment for unmeasured confounders in
    epidemiologic database studies of therapeutics. Pharmacoepidemiol Drug Saf 2006;15:291-303.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.compare.unmeasured_confounder(
    ...     0.71, 0.57, 0.88, prevalence_treated=0.2, prevalence_control=0.4, hazard_ratio=2.0)
    >>> found.table["estimate"].round(3).tolist()
    [0.828]
    >>> found.tipping[["estimate", "limit"]].round(2).to_numpy().tolist()
    [[4.45, 1.79]]
    """
    if isinstance(estimate, Effect):
        given = estimate
        _ratio_of(given.measure)
        estimate, lower, upper = given.estimate, given.lower, given.upper
    _check_interval(estimate, lower, upper)
    treated = _shares(prevalence_treated, "prevalence_treated")
    control = _shares(prevalence_control, "prevalence_control")
    gammas = columns.numeric(np.atleast_1d(np.asarray(hazard_ratio)), "hazard_ratio")
    for value in gammas:
        _require_positive(float(value), "hazard_ratio")
    nan = float("nan")
    limits = (nan if lower is None else lower, nan if upper is None else upper)
    rows = []
    for p1, p0, gamma in product(treated, control, gammas):
        factor = (1.0 + (gamma - 1.0) * p1) / (1.0 + (gamma - 1.0) * p0)
        corrected = [value / factor for value in (estimate, *limits)]
        rows.append((p1, p0, gamma, factor, *corrected))
    nearer = limits[0] if estimate >= 1.0 else limits[1]
    held = nearer <= 1.0 if estimate >= 1.0 else nearer >= 1.0
    tipping = [
        (p1, p0, _tipping(estimate, p1, p0), 1.0 if held else _tipping(nearer, p1, p0))
        for p1, p0 in product(treated, control)
    ]
    prevalences = ["prevalence_treated", "prevalence_control"]
    return UnmeasuredConfounder(
        table=pd.DataFrame(
            rows,
            columns=[
                *prevalences,
                "confounder_hazard_ratio",
                "bias_factor",
                "estimate",
                "lower",
                "upper",
            ],
        ),
        tipping=pd.DataFrame(tipping, columns=[*prevalences, "estimate", "limit"]),
    )


def _ratio_of(measure: object) -> Ratio:
    """Refuse differences: an E-value speaks of ratios."""
    match measure:
        case "hazard_ratio" | "risk_ratio" | "odds_ratio":
            return measure
        case "rmst" | "milestone":
            raise DataError(
                "an E-value is of a ratio, and this measure is a difference",
                values={"measure": measure},
                remedy="estimate a hazard ratio, or a risk ratio at that time, and take its E-value",
            )
        case _:
            require_choice(measure, Ratio, "measure")
            raise AssertionError(measure)


def _risk_ratio(value: float, measure: Ratio, outcome: Frequency | None) -> float:
    if measure == "risk_ratio" or outcome == "rare":
        return value
    match measure:
        case "hazard_ratio":
            return float((1.0 - 0.5 ** np.sqrt(value)) / (1.0 - 0.5 ** np.sqrt(1.0 / value)))
        case "odds_ratio":
            return float(np.sqrt(value))
        case _:
            assert_never(measure)


def _e_value(ratio: float) -> float:
    up = max(ratio, 1.0 / ratio)
    return float(up + np.sqrt(up * (up - 1.0)))


def _tipping(value: float, p1: float, p0: float) -> float:
    """Hazard ratio of the confounder at which the corrected value is 1."""
    if np.isnan(value) or value == 1.0:
        return value
    bottom = p1 - value * p0
    gamma = 1.0 + (value - 1.0) / bottom if bottom != 0.0 else float("nan")
    return float(gamma) if gamma > 0.0 else float("nan")


def _require_positive(value: float, name: str) -> None:
    if not np.isfinite(value) or value <= 0.0:
        raise DataError(
            f"{name} must be a positive ratio",
            values={name: value},
            remedy="give the ratio itself, not its logarithm",
        )


def _check_interval(estimate: float, lower: float | None, upper: float | None) -> None:
    for name, value in (("estimate", estimate), ("lower", lower), ("upper", upper)):
        if value is not None:
            _require_positive(value, name)
    if (lower is not None and lower > estimate) or (upper is not None and upper < estimate):
        raise DataError(
            "the interval must hold the estimate",
            values={"lower": lower, "estimate": estimate, "upper": upper},
            remedy="check the order of the arguments: estimate, lower, upper",
        )


def _shares(values: Any, name: str) -> Floats:
    array = columns.require_finite(columns.numeric(np.atleast_1d(np.asarray(values)), name), name)
    bad = np.flatnonzero((array < 0.0) | (array > 1.0))
    if bad.size:
        raise DataError(
            f"{name} must lie between 0 and 1",
            count=int(bad.size),
            row=int(bad[0]),
            values={name: float(array[bad[0]])},
            remedy="divide percentages by 100",
        )
    return array
