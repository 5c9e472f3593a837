r"""Agreement of two sources on the same estimand.

With estimates :math:`\theta_A` (private, the reference) and :math:`\theta_B` (public) on the scale of
inference, :math:`d=\theta_A-\theta_B` and its standard error

.. math:: SE^2 = V_A+V_B \quad\text{(independent patients)}, \qquad
          SE^2=\sum_c(\mathrm{IF}_c^A-\mathrm{IF}_c^B)^2 \quad\text{(same patients in both)},

the second over the union of persons, 0 where one is absent. Linked patients differ in few persons, most of
them in the same direction: their intervals and tests allow for the skewness of the difference and for
the few that determine its standard error (:mod:`fiac_survival.compare.paired_intervals`). Those of
independent patients are normal: packets, for one, hold no influences.

Measures (RCT-DUPLICATE, Franklin 2021):
estimate agreement (B inside A's interval), regulatory agreement (same significance, and same direction
where significant), standardised difference :math:`|d|/SE<z`. "Not different" is not agreement, so
there is also equivalence: two one-sided tests against a margin, each at 1-level; the smallest margin
that would have been met (the farther limit of the 90 % interval); and the difference that the data could
have detected with 80 % power, :math:`(z_{0.975}+z_{0.80})c_\nu SE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from fiac_survival.compare.effect import Effect
from fiac_survival.compare.paired_intervals import Spread
from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Agreement(Result):
    """Agreement of a public with a private source.

    Attributes
    ----------
    table : DataFrame
        quantity, value: everything below, one row each.
    verdicts : DataFrame
        verdict, holds, meaning: the yes-or-no measures in plain words.
    difference, std_error : float
        Private minus public on the scale of inference (log for hazard ratios).
    estimate_agreement, regulatory_agreement : bool
        As in RCT-DUPLICATE.
    expected_estimate_agreement : float
        How often estimate agreement would hold if both sources had the same truth.
    standardised_difference : float
        |difference| / std_error.
    not_different : bool
        Whether the interval of the difference holds 0.
    equivalent : bool
        Whether both one-sided tests reject.
    p_equivalence : float
        The larger of the two one-sided p-values.
    margin : float
        On the scale of inference.
    smallest_margin : float
        The smallest margin for which the sources would have been equivalent; a ratio for hazard
        ratios.
    minimum_detectable_difference : float
        On the scale of inference, 80 % power.
    linked_patients : int
        Patients in both sources whose covariance was used.
    acceleration : float
        A sixth of the skewness of the difference; 0 for independent patients.
    degrees_of_freedom : float
        Of the standard error; infinite for independent patients.
    """

    verdicts: pd.DataFrame
    difference: float
    std_error: float
    estimate_agreement: bool
    regulatory_agreement: bool
    expected_estimate_agreement: float
    standardised_difference: float
    not_different: bool
    equivalent: bool
    p_equivalence: float
    margin: float
    smallest_margin: float
    minimum_detectable_difference: float
    linked_patients: int
    acceleration: float
    degrees_of_freedom: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Give the interval of the difference.

        Parameters
        ----------
        level : float, default 0.95
            Confidence level.

        Returns
        -------
        lower, upper : float
            On the scale of inference.
        """
        spread = Spread(
            std_error=self.std_error,
            acceleration=self.acceleration,
            degrees_of_freedom=self.degrees_of_freedom,
        )
        return spread.interval(self.difference, level)


def agreement(
    private: Effect,
    public: Effect,
    *,
    margin: float,
    level: float = 0.95,
    patient_private: Any = None,
    patient_public: Any = None,
) -> Agreement:
    """Compare the same estimand in two sources.

    Parameters
    ----------
    private : Effect
        The reference (trial, early access).
    public : Effect
        The other source (claims, registry).
    margin : float
        Equivalence margin: for hazard ratios a ratio above 1 (1.25 means 0.8 to 1.25), else a
        difference above 0 in the unit of the measure.
    level : float, default 0.95
        Confidence level; each one-sided test is at 1-level, so that equivalence is a 90 % interval
        inside the margin at 0.95.
    patient_private, patient_public : array-like, optional
        Person identifiers of the rows of each source, in both or in neither: the covariance of
        patients who are in both is then used.

    Returns
    -------
    Agreement
        Measures and verdicts.

    Raises
    ------
    DataError
        If the estimands differ, the margin has the wrong sign, identifiers are given on one side, or
        linked patients do not differ at all.

    References
    ----------
    Franklin JM et al. Emulating randomized clinical trials with nonrandomized real-world evidence
    studies. Circulation 2021;143:1002-1013.
    DiCiccio T, Efron B. More accurate confidence intervals in exponential families. Biometrika
    1992;79:231-245.
    Schuirmann DJ. A comparison of the two one-sided tests procedure and the power approach. J
    Pharmacokinet Biopharm 1987;15:657-680.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> e = fs.compare.effect(y, [0, 0, 1, 1, 0, 1], measure="rmst", tau=8)
    >>> fs.compare.agreement(e, e, margin=1.0).equivalent
    False
    """
    if private.measure != public.measure or private.tau != public.tau:
        raise DataError(
            "both sources must estimate the same thing",
            values={
                "private": f"{private.measure} at {private.tau}",
                "public": f"{public.measure} at {public.tau}",
            },
            remedy="estimate both with the same measure and tau",
        )
    log = private.scale == "log"
    if not np.isfinite(margin) or margin <= (1.0 if log else 0.0):
        raise DataError(
            "margin must be above 1 for a ratio and above 0 for a difference",
            values={"margin": margin, "measure": private.measure},
            remedy="pass e.g. 1.25 for a hazard ratio, 3 for months",
        )
    bound = float(np.log(margin)) if log else float(margin)
    z = normal_quantile(level)
    difference = private.on_scale - public.on_scale
    spread, linked = _spread(private, public, patient_private, patient_public)
    std_error = spread.std_error
    ends = -spread.quantile(bound - difference), spread.quantile(-bound - difference)
    p_equivalence = float(ndtr(max(ends)))
    inside = bool(abs(public.on_scale - private.on_scale) <= z * private.std_error)
    same = _regulatory(private, public, z)
    low, high = spread.interval(difference, level)
    one_sided = float(ndtri(level))
    smallest = max(abs(difference + spread.limit(q)) for q in (-one_sided, one_sided))
    detectable = (z + float(ndtri(0.8))) * spread.widened
    expected = float(2.0 * ndtr(z * private.std_error / std_error) - 1.0)
    standardised = abs(difference) / std_error
    values: dict[str, Any] = {
        "difference": difference,
        "std_error": std_error,
        "estimate_agreement": inside,
        "regulatory_agreement": same,
        "expected_estimate_agreement": expected,
        "standardised_difference": standardised,
        "not_different": bool(low <= 0.0 <= high),
        "equivalent": bool(p_equivalence < 1.0 - level),
        "p_equivalence": p_equivalence,
        "margin": bound,
        "smallest_margin": float(np.exp(smallest)) if log else smallest,
        "minimum_detectable_difference": detectable,
        "linked_patients": linked,
    }
    table = pd.DataFrame(
        {"quantity": list(values), "value": [float(value) for value in values.values()]}
    )
    return Agreement(
        table=table,
        verdicts=_verdicts(values, margin, level),
        acceleration=spread.acceleration,
        degrees_of_freedom=spread.degrees_of_freedom,
        **values,
    )


def _spread(
    private: Effect, public: Effect, patient_private: Any, patient_public: Any
) -> tuple[Spread, int]:
    if (patient_private is None) != (patient_public is None):
        raise DataError(
            "person identifiers must be given for both sources or for neither",
            values={"private": patient_private is not None, "public": patient_public is not None},
            remedy="pass patient_private and patient_public",
        )
    if patient_private is None:
        return Spread(std_error=float(np.hypot(private.std_error, public.std_error))), 0
    for side, name in ((private, "private"), (public, "public")):
        if side.weight_variance == "bootstrap":
            raise DataError(
                "estimates on the same patients need their influence",
                values={"source": name, "weight_variance": "bootstrap"},
                remedy="use weights with a closed form (logistic propensity or entropy)",
            )
    a = columns.to_numpy(patient_private, "patient_private")
    b = columns.to_numpy(patient_public, "patient_public")
    columns.require_length(a, "patient_private", private.influence.size)
    columns.require_length(b, "patient_public", public.influence.size)
    codes, _ = columns.labels(np.concatenate([a, b]), "patient")
    signed = np.concatenate([private.influence, -public.influence])
    sums = np.bincount(codes, weights=signed)
    both = np.intersect1d(codes[: a.size], codes[a.size :])
    spread = Spread.of(sums.astype(np.float64))
    if spread.std_error == 0.0:
        raise DataError(
            "some linked patient must differ between the sources",
            values={"measure": private.measure, "linked patients": int(both.size)},
            remedy="where all say the same there is no standard error: report that, and how many they are",
        )
    return (spread if both.size else Spread(std_error=spread.std_error)), int(both.size)


def _regulatory(private: Effect, public: Effect, z: float) -> bool:
    def sign(side: Effect) -> int:
        return int(np.sign(side.on_scale)) if abs(side.on_scale) > z * side.std_error else 0

    return sign(private) == sign(public)


def _verdicts(values: dict[str, Any], margin: float, level: float) -> pd.DataFrame:
    percent = f"{100 * level:g} %"
    inside = "inside" if values["estimate_agreement"] else "outside"
    both = "agree" if values["regulatory_agreement"] else "do not agree"
    shown = "is shown" if values["equivalent"] else "could not be shown"
    rows = [
        (
            "estimate agreement",
            values["estimate_agreement"],
            f"the public estimate lies {inside} the private source's {percent} interval; were the truth "
            f"the same in both, it would lie inside in "
            f"{100 * values['expected_estimate_agreement']:.0f} % of studies",
        ),
        (
            "regulatory agreement",
            values["regulatory_agreement"],
            f"the sources {both} on whether the effect is significant, and in which direction",
        ),
        (
            "no significant difference",
            values["not_different"],
            f"the difference is {values['standardised_difference']:.2f} standard errors; a difference "
            "that is not significant is not agreement",
        ),
        (
            "equivalence",
            values["equivalent"],
            f"that the difference lies within the margin {margin:g} {shown} "
            f"(p = {values['p_equivalence']:.2g}); the smallest margin for which it could is "
            f"{values['smallest_margin']:.3g}",
        ),
    ]
    return pd.DataFrame(rows, columns=["verdict", "holds", "meaning"])
