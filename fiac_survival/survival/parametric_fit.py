r"""Maximum likelihood of parametric models.

Rows i with entry :math:`a_i`, time :math:`T_i`, event :math:`\delta_i` and weight :math:`w_i` give

.. math:: \ell(\theta)=\sum_i w_i\{\delta_i\log h(T_i)-H(T_i)+H(a_i)\} .

Score and observed information follow by the chain rule from the derivatives of log h and H in the
predictors (:mod:`fiac_survival.survival.jets`). Newton's method runs on coefficients that are rotated
and scaled so that the predictors' columns are orthonormal; directions of negative curvature are turned
round, steps that change a predictor by more than 3 or lower the likelihood are shortened. At the end the
score must vanish on the scale of the standard errors, and the information must be positive definite and
not nearly singular; otherwise there is a :class:`ConvergenceError`, never an estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival import jets
from fiac_survival.survival.families import Summary
from fiac_survival.survival.family_models import Model, Profiles
from fiac_survival.survival.jets import Jet

Floats = NDArray[np.float64]

MAX_ITERATIONS = 200
LARGEST_CHANGE = 3.0
SMALL_DECREMENT = 1e-18
SMALL_GRADIENT = 1e-6
FLAT = 1e-8


@dataclass(frozen=True, eq=False)
class Sample:
    """The rows that the likelihood is made of.

    Attributes
    ----------
    time, entry, weight : (n,) float64
        Times above zero; entry zero without late entry.
    event : (n,) bool
        Whether the time is that of an event.
    profiles : mapping
        Covariates by parameter, each (n, p_k).
    kept : (n,) int64
        Their row numbers; rows of time zero say nothing.
    """

    time: Floats
    entry: Floats
    weight: Floats
    event: NDArray[np.bool_]
    profiles: Profiles
    kept: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fit:
    """A maximum of the likelihood.

    Attributes
    ----------
    coef : (p,) float64
        Estimates.
    log_likelihood : float
        Its value.
    covariance : (p, p) float64
        Inverse of the observed information.
    row_scores : (n, p) float64
        Score of each row of the sample, for weight 1.
    n_iter : int
        Newton steps.
    gradient_norm : float
        Largest component of the score times its standard error.
    """

    coef: Floats
    log_likelihood: float
    covariance: Floats
    row_scores: Floats
    n_iter: int
    gradient_norm: float


def make_sample(y: Outcome, weight: Floats | None, profiles: Profiles) -> Sample:
    """Collect the rows; those that leave at time zero say nothing about a continuous time.

    Parameters
    ----------
    y : Outcome
        Event codes 0 and 1.
    weight : (n,) float64 or None
        Case weights.
    profiles : mapping
        Covariates by parameter.

    Returns
    -------
    Sample
        Rows with a positive time.

    Raises
    ------
    DataError
        If an event happens at time zero.
    """
    event = y.event > 0
    bad = np.flatnonzero(event & (y.time <= 0))
    if bad.size:
        raise DataError(
            "an event at time 0 has no likelihood in a parametric model",
            count=int(bad.size),
            row=int(bad[0]),
            remedy="count time from an earlier day, or add half a day to those times",
        )
    kept = np.flatnonzero(y.time > 0)
    return Sample(
        time=y.time[kept],
        entry=y.entry_or_zero()[kept],
        weight=np.ones(kept.size) if weight is None else weight[kept],
        event=event[kept],
        profiles={name: values[kept] for name, values in profiles.items()},
        kept=kept,
    )


def summarise(sample: Sample) -> Summary:
    """Rates and the final share without event.

    Parameters
    ----------
    sample : Sample
        The rows.

    Returns
    -------
    Summary
        What starting values are made of.
    """
    w, event = sample.weight, sample.event
    deaths = float(w[event].sum())
    times, index = np.unique(sample.time[event], return_inverse=True)
    at = np.bincount(index, weights=w[event])
    later = _weight_at_or_after(sample.time, w, times) - _weight_at_or_after(sample.entry, w, times)
    return Summary(
        rate=deaths / float((w * (sample.time - sample.entry)).sum()),
        event_rate=deaths / float((w * sample.time)[event].sum()),
        tail=float(np.exp(-np.sum(at / later))),
    )


def _weight_at_or_after(values: Floats, weight: Floats, times: Floats) -> Floats:
    order = np.argsort(values)
    total = np.concatenate([np.cumsum(weight[order][::-1])[::-1], [0.0]])
    return total[np.searchsorted(values[order], times, side="left")]


class Likelihood:
    """The log-likelihood on rotated and scaled coefficients.

    Parameters
    ----------
    model : Model
        Family and covariates.
    sample : Sample
        The rows.
    """

    def __init__(self, model: Model, sample: Sample) -> None:
        self.model, self.sample = model, sample
        self.late = sample.entry > 0
        at_exit = model.predictors(sample.time, sample.profiles)
        stacked = np.concatenate(at_exit)
        triangle = np.linalg.qr(stacked, mode="r")
        size = np.abs(np.diag(triangle))
        if size.min() <= 1e-11 * size.max():
            worst = model.terms[int(np.argmin(size))]
            raise DataError(
                "the terms of the model must not be combinations of each other",
                values={"term": worst},
                remedy="drop the term, use fewer knots, or centre the covariate",
            )
        self.rotation: Floats = np.linalg.inv(triangle) * np.sqrt(len(sample.time))
        self.at_exit = [z @ self.rotation for z in at_exit]
        self.at_entry: list[Floats] = []
        if self.late.any():
            rows = {name: x[self.late] for name, x in sample.profiles.items()}
            z = model.predictors(sample.entry[self.late], rows)
            self.at_entry = [part @ self.rotation for part in z]

    def rows(self, phi: Floats, *, derivatives: bool = True) -> tuple[Jet, Jet | None]:
        """Contributions of the rows at exit and at entry, of weight 1.

        Parameters
        ----------
        phi : (p,) float64
            Rotated coefficients.
        derivatives : bool, default True
            Whether to have derivatives.

        Returns
        -------
        at_exit : Jet
            δ log h(T) - H(T).
        at_entry : Jet or None
            H(a) of the late rows.
        """
        make = jets.variables if derivatives else jets.constants
        with np.errstate(all="ignore"):
            log_hazard, cumulative = self.model.curves(
                self.sample.time, make([z @ phi for z in self.at_exit])
            )
            at_exit = log_hazard.where(self.sample.event) - cumulative
            if not self.at_entry:
                return at_exit, None
            entry = self.sample.entry[self.late]
            _, before = self.model.curves(entry, make([z @ phi for z in self.at_entry]))
        return at_exit, before

    def value(self, phi: Floats) -> float:
        """Log-likelihood; minus infinity where it is not defined."""
        at_exit, before = self.rows(phi, derivatives=False)
        total = float(self.sample.weight @ at_exit.value)
        if before is not None:
            total += float(self.sample.weight[self.late] @ before.value)
        return total if np.isfinite(total) else -np.inf

    def derivatives(self, phi: Floats) -> tuple[Floats, Floats]:
        """Score and observed information."""
        at_exit, before = self.rows(phi)
        score, information = _collect(at_exit, self.at_exit, self.sample.weight)
        if before is not None:
            more = _collect(before, self.at_entry, self.sample.weight[self.late])
            score, information = score + more[0], information + more[1]
        return score, information

    def row_scores(self, phi: Floats) -> Floats:
        """Score of each row, of weight 1, in the coefficients themselves."""
        at_exit, before = self.rows(phi)
        out = sum(g[:, None] * z for g, z in zip(at_exit.first, self.at_exit, strict=True))
        if before is not None:
            late = sum(g[:, None] * z for g, z in zip(before.first, self.at_entry, strict=True))
            out[self.late] += late
        return np.asarray(out @ np.linalg.inv(self.rotation))


def _collect(rows: Jet, z: list[Floats], weight: Floats) -> tuple[Floats, Floats]:
    p = z[0].shape[1]
    score, information = np.zeros(p), np.zeros((p, p))
    for k, zk in enumerate(z):
        score += zk.T @ (weight * rows.first[k])
        for m in range(k + 1):
            second = weight * rows.second[k, m]
            if not np.any(second):
                continue
            block = zk.T @ (second[:, None] * z[m])
            information -= block if k == m else block + block.T
    return score, information


def fit(model: Model, sample: Sample, *, family: str) -> Fit:
    """Maximise the likelihood, from each starting value; the highest maximum counts.

    Parameters
    ----------
    model : Model
        Family and covariates.
    sample : Sample
        The rows.
    family : str
        Name of the family, for messages.

    Returns
    -------
    Fit
        The maximum.

    Raises
    ------
    ConvergenceError
        If no maximum is reached from any start.
    """
    likelihood = Likelihood(model, sample)
    best: tuple[float, Fit] | None = None
    failure: ConvergenceError | None = None
    for start in model.starts(summarise(sample)):
        try:
            found = _newton(likelihood, start, family)
        except ConvergenceError as error:
            failure = failure or error
            continue
        if best is None or found.log_likelihood > best[0] + 1e-9:
            best = (found.log_likelihood, found)
    if best is None:
        assert failure is not None
        raise failure
    return best[1]


def _newton(likelihood: Likelihood, start: Floats, family: str) -> Fit:
    rotation = likelihood.rotation
    phi: Floats = np.asarray(np.linalg.solve(rotation, start), dtype=np.float64)
    value = likelihood.value(phi)
    score, information = likelihood.derivatives(phi)
    for n_iter in range(1, MAX_ITERATIONS + 1):
        if not (np.all(np.isfinite(score)) and np.all(np.isfinite(information))):
            raise _failure(likelihood, family, phi, information)
        step, decrement = _ascent(score, information)
        change = max(float(np.abs(z @ step).max()) for z in likelihood.at_exit)
        fraction = min(1.0, LARGEST_CHANGE / max(change, 1e-300))
        for _ in range(60):
            new_value = likelihood.value(phi + fraction * step)
            # Rounding of the sum may hide the last gains.
            if new_value >= value - 1e-13 * (1.0 + abs(value)) * (decrement < 1e-6):
                break
            fraction *= 0.5
        else:
            if decrement > 1e-8:
                raise _failure(likelihood, family, phi, information)
            fraction = 0.0
        phi, value = phi + fraction * step, max(value, new_value) if fraction else value
        score, information = likelihood.derivatives(phi)
        if fraction == 0.0 or (fraction == 1.0 and decrement <= SMALL_DECREMENT):
            break
    return _finish(likelihood, phi, score, information, n_iter, family)


def _ascent(score: Floats, information: Floats) -> tuple[Floats, float]:
    """Newton step; directions in which the likelihood is convex are turned uphill."""
    values, vectors = np.linalg.eigh(information)
    floor = 1e-10 * max(float(np.abs(values).max()), 1e-300)
    along = vectors.T @ score / np.maximum(np.abs(values), floor)
    step = vectors @ along
    return step, float(score @ step)


def _finish(
    likelihood: Likelihood,
    phi: Floats,
    score: Floats,
    information: Floats,
    n_iter: int,
    family: str,
) -> Fit:
    """Check that this is a maximum, and turn back to the coefficients themselves."""
    total = float(likelihood.sample.weight[likelihood.sample.event].sum())
    finite = np.all(np.isfinite(information))
    smallest = float(np.linalg.eigvalsh(information)[0]) if finite else -np.inf
    if smallest <= FLAT * total:
        raise _failure(likelihood, family, phi, information)
    inverse = np.linalg.inv(information)
    gradient = float(np.max(np.abs(score) * np.sqrt(np.diag(inverse))))
    if not gradient <= SMALL_GRADIENT:
        raise _failure(likelihood, family, phi, information)
    rotation = likelihood.rotation
    covariance = rotation @ inverse @ rotation.T
    return Fit(
        coef=rotation @ phi,
        log_likelihood=likelihood.value(phi),
        covariance=0.5 * (covariance + covariance.T),
        row_scores=likelihood.row_scores(phi),
        n_iter=n_iter,
        gradient_norm=gradient,
    )


REMEDIES = {
    "royston_parmar": "use fewer knots, another scale, or pass the times of the knots",
    "piecewise": "use fewer intervals, or drop covariates without events in a category",
    "gengamma": "fit weibull, gamma or lognormal, which it contains",
    "gompertz": "fit weibull, or express times in a larger unit",
    "cure": "use the family without cure (the data may show no plateau), a simpler latency "
    '(cure_exponential, cure_weibull), or the other cure= ("mixture", "non_mixture")',
}


def _failure(
    likelihood: Likelihood, family: str, phi: Floats, information: Floats
) -> ConvergenceError:
    """Name the term along which the likelihood is flat or still rising."""
    worst = likelihood.model.terms[0]
    if np.all(np.isfinite(information)):
        _, vectors = np.linalg.eigh(information)
        direction = likelihood.rotation @ vectors[:, 0]
        spread = np.sqrt(np.diag(likelihood.rotation @ likelihood.rotation.T))
        worst = likelihood.model.terms[int(np.argmax(np.abs(direction) / spread))]
    coef = likelihood.rotation @ phi
    at = likelihood.model.terms.index(worst)
    remedy = REMEDIES.get("cure" if family.startswith("cure_") else family, "try another family")
    return ConvergenceError(
        f"the likelihood of {family} must have a maximum, but it was flat or still rising",
        values={"term": worst, "value": float(coef[at])},
        remedy=f"{remedy}; a covariate whose category has no event has no finite effect: "
        "merge or drop it",
    )
