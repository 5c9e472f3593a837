r"""Standardised survival: the g-formula of a fitted outcome model.

With a model of :math:`S_a(t\mid x)` in arm a, the curve of a population is the average over its
covariates, :math:`\hat\theta_a(t)=m^{-1}\sum_j\hat S_a(t\mid x_j)`. Row i of the data moves it by

.. math:: \frac{\hat S_a(t\mid x_i)-\hat\theta_a(t)}{n}
          + \frac{\partial\hat\theta_a(t)}{\partial\eta}\,\mathrm{IF}_i(\hat\eta),

the first addend being absent where the population is given from outside. η are the coefficients of a
parametric model; of a Cox model the coefficients and Breslow's cumulative hazard at the mean covariates,

.. math:: \mathrm{IF}_i\{\hat H(t)\}=\int_0^t\frac{dN_i-Y_ie^{x_i'\beta}dH}{S^{(0)}}
          -\Bigl(\int_0^t\bar x\,dH\Bigr)'\mathrm{IF}_i(\hat\beta).

The curve is right if the outcome model is. Sources: Robins 1986; Chen and Tsiatis 2001 (restricted means
of a Cox model by arm); Tsiatis 1981 (baseline hazard).
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fiac_survival.compare.adjusted_survival import (
    AdjustedSurvival,
    Curves,
    assemble,
    check_moments,
)
from fiac_survival.compare.standardised_fits import Standardised, standardise
from fiac_survival.core import columns, seeds
from fiac_survival.core.design import make_design
from fiac_survival.core.errors import DataError, FiacError
from fiac_survival.core.intervals import Transform, normal_quantile, require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.parametric_setup import FamilyName
from fiac_survival.weighting.weights import as_treated

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
ByArm = Literal["separate", "interaction", "main effect"]
StandardisedVariance = Literal["influence", "bootstrap"]


@single_threaded_blas
def standardised_survival(
    y: Outcome,
    treated: Any,
    X: Any,
    *,
    times: Any,
    tau: float | None = None,
    data: Any = None,
    model: str = "cox",
    arms: ByArm = "separate",
    knots: int | None = None,
    population: Any = None,
    cluster: Any = None,
    variance: StandardisedVariance = "influence",
    replicates: int = 500,
    seed: int = 0,
    band: bool = False,
    level: float = 0.95,
    transform: Transform = "log-log",
) -> AdjustedSurvival:
    """Standardise survival of both arms to one population (g-formula).

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1, one row a patient. With delayed entry pass `population`.
    treated : array-like of bool or of 0 and 1, shape (n,)
        Treatment.
    X : DataFrame or 2-D array of shape (n, p), or str
        Covariates, or a formula.
    times : array-like of float
        Times of the curves, within the follow-up of both arms.
    tau : float, optional
        Horizon of restricted means.
    data : DataFrame, optional
        The table that a formula refers to.
    model : str, default "cox"
        "cox" (Breslow ties), or a family of :func:`fiac_survival.survival.parametric`.
    arms : {"separate", "interaction", "main effect"}, default "separate"
        A model for each arm; one model with treatment and its products with all covariates; one
        model with treatment beside the covariates.
    knots : int, optional
        Inner knots of "royston_parmar", cut points of "piecewise".
    population : DataFrame or 2-D array, optional
        Covariates to average over, taken as known (another source, a standard). Left out: the rows
        themselves, whose being a sample is in the standard error.
    cluster : array-like, shape (n,), optional
        Labels of rows that belong together.
    variance : {"influence", "bootstrap"}, default "influence"
        Influence function of the whole estimate, or resampling of persons (clusters) with the model
        fitted anew.
    replicates : int, default 500
        Of the bootstrap.
    seed : int, default 0
        Of the bootstrap and of the band.
    band : bool, default False
        Add a uniform band over `times`.
    level : float, default 0.95
        Confidence level.
    transform : str, default "log-log"
        Scale of the curves' intervals.

    Returns
    -------
    AdjustedSurvival
        Curves, restricted means, contrasts, influence.

    Raises
    ------
    DataError
        With delayed entry and no population; if a covariate does not vary in an arm.
    ConvergenceError
        If the model has no maximum.

    References
    ----------
    Robins J. A new approach to causal inference in mortality studies with a sustained exposure
    period. Math Modelling 1986;7:1393-1512.
    Chen PY, Tsiatis AA. Causal inference on the difference of the restricted mean lifetime between
    two groups. Biometrics 2001;57:1030-1038.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> frame = fs.datasets.load("gbsg").frame
    >>> y = fs.Outcome(frame["rfstime"] / 30.4375, frame["status"])
    >>> found = fs.compare.standardised_survival(
    ...     y, frame["hormon"], "age + grade + nodes", data=frame, times=[24, 48], tau=48
    ... )
    >>> found.rmst[["arm", "rmst", "std_error"]].round(1).values.tolist()
    [[0.0, 35.8, 0.7], [1.0, 39.1, 1.0]]
    """
    normal_quantile(level)
    require_choice(transform, Transform, "transform")
    require_choice(arms, ByArm, "arms")
    require_choice(variance, StandardisedVariance, "variance")
    families = ("cox", *get_args(FamilyName))
    if model not in families:
        raise DataError(
            f"model must be one of {', '.join(map(repr, families))}", values={"model": model}
        )
    if knots is not None and model not in {"royston_parmar", "piecewise"}:
        raise DataError("only splines and cut points have knots", values={"model": model})
    t = _check(y, treated, population)
    n = len(y)
    moments = check_moments(y, t, times, tau, "standardised_survival")
    design = make_design(X, data, n=n)
    target = design.values if population is None else design.again(population)
    members = None if cluster is None else columns.labels(cluster, "cluster", n=n)[0]

    def fit(rows: Ints | None) -> Standardised:
        inside = population is None
        take = slice(None) if rows is None else rows
        return standardise(
            y if rows is None else y.take(rows),
            t[take],
            design.values[take],
            design.columns,
            target[take] if inside else target,
            times=moments,
            tau=tau,
            model=model,
            arms=arms,
            knots=knots,
            sampled=inside,
            influence=rows is None and variance == "influence",
        )

    found = fit(None)
    covariance = None
    if variance == "bootstrap":
        covariance = _bootstrap(fit, n, members, replicates, seed, tau is not None)
    return assemble(
        Curves(
            times=moments,
            survival=found.survival,
            tau=None if tau is None else float(tau),
            rmst=found.rmst,
            influence=found.influence,
            covariance=covariance,
        ),
        members=members,
        treated=t,
        level=level,
        transform=transform,
        band=band,
        seed=seed,
        diagnostics={"population": float(target.shape[0])},
        method=f"standardisation, {model}, {arms}",
        variance=variance,
        n_iter=found.n_iter,
        gradient_norm=found.gradient_norm,
    )


def _check(y: Outcome, treated: Any, population: Any) -> Bools:
    if not isinstance(y, Outcome):
        raise DataError(
            "standardised_survival takes an Outcome",
            values={"type": type(y).__name__},
            remedy="it needs rows, not a risk table",
        )
    y.require_binary("standardised_survival", "one cause at a time")
    y.require_events("standardised_survival")
    if y.entry is not None and population is None:
        late = np.flatnonzero(y.entry > 0)
        raise DataError(
            "with delayed entry the rows are no sample of a population at time zero",
            count=int(late.size),
            row=int(late[0]),
            values={"entry": float(y.entry[late[0]])},
            remedy="who enters late has survived so far: pass population=, covariates of those whom "
            "the curves are to describe",
        )
    return as_treated(treated, n=len(y))


def _bootstrap(
    fit: Any, n: int, members: Ints | None, replicates: int, seed: int, with_rmst: bool
) -> Floats:
    """Covariance over resampled persons or clusters."""
    if replicates < 2:
        raise DataError("a bootstrap needs replicates", values={"replicates": replicates})
    units = np.arange(n) if members is None else members
    order = np.argsort(units, kind="stable")
    labels, starts = np.unique(units[order], return_index=True)
    ends = np.append(starts[1:], n)
    values, failed = [], 0
    for b in range(replicates):
        rng = seeds.stream(seed, "standardised bootstrap", b)
        drawn = rng.integers(0, labels.size, labels.size)
        rows = np.concatenate([order[starts[u] : ends[u]] for u in drawn])
        try:
            found = fit(rows)
        except FiacError:
            failed += 1
            continue
        values.append(
            np.concatenate([found.survival.ravel(), found.rmst if with_rmst else np.empty(0)])
        )
    if failed > replicates // 20 or len(values) < 2:
        raise DataError(
            "the bootstrap must succeed in at least 95 % of its replicates",
            values={"replicates": replicates, "failed": failed},
            remedy="the data are too thin for this model: use fewer covariates",
        )
    return np.asarray(np.cov(np.stack(values), rowvar=False))
