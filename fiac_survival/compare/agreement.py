r"""Agreement of two sources on the same estimand.

With estimates :math:`\theta_A` (private, the reference) and :math:`\theta_B` (public) on the scale of
inference, :math:`d=\theta_A-\theta_B` and its standard error

.. math:: SE^2 = V_A+V_B \quad\text{(independent patients)}, \qquad
          SE^2=\sum_c(\mathrm{IF}_c^A-\mathrm{IF}_c^B)^2 \quad\text{(same patients in both)},

the second over the union of persons, 0 where one is absent. Where few patients differ between the sources
the second is itself uncertain: with :math:`\psi_c=\mathrm{IF}_c^A-\mathrm{IF}_c^B` for n persons, quantiles
are those of Student's t with

.. math:: \nu = 2\Big/\Bigl(\frac{\sum_c\psi_c^4}{(\sum_c\psi_c^2)^2}-\frac1n\Bigr)

degrees of freedom (Satterthwaite's, as for sandwich variances: Pan and Wall 2002).

Measures (RCT-DUPLICATE, Franklin 2021):
estimate agreement (B inside A's interval), regulatory agreement (same significance, and same direction
where significant), standardised difference :math:`|d|/SE<z`. "Not different" is not agreement, so
there is also equivalence: two one-sided tests against a margin, each at 1-level; the smallest margin
that would have been met, :math:`|d|+z_{0.95}SE`; and the difference that the data could have detected
with 80 % power, :math:`(z_{0.975}+z_{0.80})SE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from fiac_survival.compare.effect import Effect
from fiac_survival.core import columns
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result

Floats = NDArray[np.float64]


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
        Whether it is below the normal quantile.
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
        normal_quantile(level)
        half = float(_quantile(0.5 + level / 2.0, self.degrees_of_freedom)) * self.std_error
        return self.difference - half, self.difference + half


def _quantile(p: float, freedom: float) -> float:
    return float(ndtri(p) if np.isinf(freedom) else stdtrit(freedom, p))


def _tail(x: float, freedom: float) -> float:
    return float(ndtr(x) if np.isinf(freedom) else stdtr(freedom, x))


def degrees_of_freedom(moved: Floats) -> float:
    """Degrees of freedom of a variance that is a sum of squares over persons.

    Parameters
    ----------
    moved : (n,) float64
        What each person adds to the difference.

    Returns
    -------
    float
        Few, where few persons make the difference; infinite if all add as much.

    Examples
    --------
    >>> import numpy as np
    >>> round(degrees_of_freedom(np.array([3.0, 0.0, 0.0, 0.0])), 2)
    2.67
    """
    squares = np.asarray(moved, dtype=np.float64) ** 2
    total = float(squares.sum())
    if total <= 0.0:
        return float("inf")
    spread = float(np.sum((squares / total) ** 2)) - 1.0 / squares.size
    return 2.0 / spread if spread > 1e-12 else float("inf")


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
        If the estimands differ, the margin has the wrong sign, or identifiers are given on one side.

    References
    ----------
    Franklin JM et al. Emulating randomized clinical trials with nonrandomized real-world evidence
    studies. Circulation 2021;143:1002-1013.
    Pan W, Wall MM. Small-sample adjustments in using the sandwich variance estimator in generalized
    estimating equations. Stat Med 2002;21:1429-1441.
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
    std_error, linked, freedom = _standard_error(private, public, patient_private, patient_public)
    p_equivalence = max(
        _tail((difference - bound) / std_error, freedom),
        _tail(-(difference + bound) / std_error, freedom),
    )
    inside = bool(abs(public.on_scale - private.on_scale) <= z * private.std_error)
    same = _regulatory(private, public, z)
    smallest = abs(difference) + _quantile(level, freedom) * std_error
    two_sided = _quantile(0.5 + level / 2.0, freedom)
    detectable = (two_sided + _quantile(0.8, freedom)) * std_error
    expected = float(2.0 * ndtr(z * private.std_error / std_error) - 1.0)
    standardised = abs(difference) / std_error
    values: dict[str, Any] = {
        "difference": difference,
        "std_error": std_error,
        "estimate_agreement": inside,
        "regulatory_agreement": same,
        "expected_estimate_agreement": expected,
        "standardised_difference": standardised,
        "not_different": bool(standardised < two_sided),
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
        degrees_of_freedom=freedom,
        **values,
    )


def _standard_error(
    private: Effect, public: Effect, patient_private: Any, patient_public: Any
) -> tuple[float, int, float]:
    if (patient_private is None) != (patient_public is None):
        raise DataError(
            "person identifiers must be given for both sources or for neither",
            values={"private": patient_private is not None, "public": patient_public is not None},
            remedy="pass patient_private and patient_public",
        )
    if patient_private is None:
        return float(np.hypot(private.std_error, public.std_error)), 0, float("inf")
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
    freedom = degrees_of_freedom(sums.astype(np.float64)) if both.size else float("inf")
    return float(np.sqrt(np.sum(sums * sums))), int(both.size), freedom


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
