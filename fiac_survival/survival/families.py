r"""Parametric families: log hazard and cumulative hazard as functions of their parameters.

A family has q parameters, each on a scale without bounds (its link), :math:`u_1..u_q`, and says
:math:`\log h(t;u)` and :math:`H(t;u)`. Parameterisations are those of R's ``flexsurv``:

================ ===================== ==============================================================
family           parameters            definition
================ ===================== ==============================================================
exponential      rate                  h = rate
weibull          shape, scale          H = (t/scale)^shape; covariates stretch time (scale)
weibull_ph       shape, scale          H = scale t^shape; covariates multiply the hazard (scale)
gompertz         shape, rate           h = rate exp(shape t); shape may be negative (then some are cured)
lognormal        meanlog, sdlog        log T normal
loglogistic      shape, scale          S = 1/(1 + (t/scale)^shape)
gamma            shape, rate           T gamma distributed
gengamma         mu, sigma, Q          log T = mu + sigma W, W standardised log-gamma (Prentice);
                                       Q = 1 Weibull, Q = 0 log-normal, Q = sigma gamma
================ ===================== ==============================================================

A cured share :math:`\theta` (logit link) added to a family with survival :math:`S_0`:
mixture :math:`S=\theta+(1-\theta)S_0`, non-mixture :math:`S=\theta^{1-S_0}`.

Sources: Prentice 1974; Farewell 1982 (mixture cure); Yakovlev and Tsodikov 1996 (non-mixture);
Jackson 2016 (flexsurv).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from fiac_survival.survival import jets
from fiac_survival.survival.jets import Jet
from fiac_survival.survival.log_gamma_tail import log_density, log_tail

Floats = NDArray[np.float64]
Link = Literal["log", "identity", "logit"]
Cure = Literal["mixture", "non_mixture"]
Curves = Callable[[Floats, list[Jet]], tuple[Jet, Jet]]


@dataclass(frozen=True)
class Summary:
    """What starting values are made of.

    Attributes
    ----------
    rate : float
        Events per time at risk.
    event_rate : float
        One over the mean time of the events.
    tail : float
        Share without event at the end of follow-up, by Nelson and Aalen.
    """

    rate: float
    event_rate: float
    tail: float


@dataclass(frozen=True)
class Family:
    """A family of distributions.

    Attributes
    ----------
    name : str
        Its name.
    parameters : tuple of str
        Names of its parameters.
    links : tuple of {"log", "identity", "logit"}
        The scale on which each is estimated.
    location : int
        The parameter that covariates act on unless told otherwise.
    effect : str
        What exp(coefficient) of a covariate on the location is.
    curves : callable
        Times and parameters on the link scale to log hazard and cumulative hazard.
    starts : callable
        Summary to starting values.
    """

    name: str
    parameters: tuple[str, ...]
    links: tuple[Link, ...]
    location: int
    effect: str
    curves: Curves
    starts: Callable[[Summary], list[list[float]]]


def _exponential(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    (rate,) = u
    return rate + np.zeros_like(t), jets.exp(rate) * t


def _weibull(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    shape, scale = u
    log_cumulative = jets.exp(shape) * (np.log(t) - scale)
    return shape + log_cumulative - np.log(t), jets.exp(log_cumulative)


def _weibull_ph(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    shape, scale = u
    log_cumulative = scale + jets.exp(shape) * np.log(t)
    return shape + log_cumulative - np.log(t), jets.exp(log_cumulative)


def _gompertz(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    shape, rate = u
    z = shape * t
    # (e^z - 1)/z times t is the integral of e^(shape s) up to t, also where shape is 0.
    growth = z.through(*jets.exponential_quotients(z.value, 1))
    return rate + z, jets.exp(rate) * growth * t


def _lognormal(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    mean, sd = u
    z = (np.log(t) - mean) * jets.exp(-sd)
    cumulative = -jets.log_normal_tail(z)
    return jets.log_normal_density(z) - sd - np.log(t) + cumulative, cumulative


def _loglogistic(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    shape, scale = u
    z = jets.exp(shape) * (np.log(t) - scale)
    cumulative = jets.softplus(z)
    return shape + z - np.log(t) - cumulative, cumulative


def _log_gamma_shaped(t: Floats, mean: Jet, log_sd: Jet, q: Jet) -> tuple[Jet, Jet]:
    w = (np.log(t) - mean) * jets.exp(-log_sd)
    cumulative = -log_tail(w, q)
    return log_density(w, q) - log_sd - np.log(t) + cumulative, cumulative


def _gengamma(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    return _log_gamma_shaped(t, *u)


def _gamma(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
    shape, rate = u
    log_q = shape * -0.5
    return _log_gamma_shaped(t, shape - rate, log_q, jets.exp(log_q))


def _scale_of(s: Summary) -> float:
    return float(-np.log(s.rate))


FAMILIES = {
    "exponential": Family(
        "exponential",
        ("rate",),
        ("log",),
        0,
        "hazard ratio",
        _exponential,
        lambda s: [[np.log(s.rate)]],
    ),
    "weibull": Family(
        "weibull",
        ("shape", "scale"),
        ("log", "log"),
        1,
        "time ratio",
        _weibull,
        lambda s: [[0.0, _scale_of(s)]],
    ),
    "weibull_ph": Family(
        "weibull_ph",
        ("shape", "scale"),
        ("log", "log"),
        1,
        "hazard ratio",
        _weibull_ph,
        lambda s: [[0.0, np.log(s.rate)]],
    ),
    "gompertz": Family(
        "gompertz",
        ("shape", "rate"),
        ("identity", "log"),
        1,
        "hazard ratio",
        _gompertz,
        lambda s: [[0.0, np.log(s.rate)]],
    ),
    "lognormal": Family(
        "lognormal",
        ("meanlog", "sdlog"),
        ("identity", "log"),
        0,
        "time ratio",
        _lognormal,
        lambda s: [[_scale_of(s) - 0.37, 0.0]],
    ),
    "loglogistic": Family(
        "loglogistic",
        ("shape", "scale"),
        ("log", "log"),
        1,
        "time ratio",
        _loglogistic,
        lambda s: [[0.0, _scale_of(s) - 0.37]],
    ),
    "gamma": Family(
        "gamma",
        ("shape", "rate"),
        ("log", "log"),
        1,
        "rate ratio",
        _gamma,
        lambda s: [[0.0, np.log(s.rate)]],
    ),
    "gengamma": Family(
        "gengamma",
        ("mu", "sigma", "Q"),
        ("identity", "log", "identity"),
        0,
        "time ratio",
        _gengamma,
        lambda s: [[_scale_of(s) - 0.37 * (1.0 - q), 0.0, q] for q in (0.0, 1.0, -1.0)],
    ),
}


def with_cure(base: Family, kind: Cure) -> Family:
    """Add a cured share to a family.

    Parameters
    ----------
    base : Family
        Distribution of those who are not cured (mixture), or of the latent times (non-mixture).
    kind : {"mixture", "non_mixture"}
        How the share enters.

    Returns
    -------
    Family
        With the further first parameter theta, on which covariates act.
    """

    def curves(t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
        theta, *rest = u
        log_hazard, cumulative = base.curves(t, rest)
        log_cured, log_not = -jets.softplus(-theta), -jets.softplus(theta)
        if kind == "mixture":
            both = -(log_cured + jets.softplus(log_not - cumulative - log_cured))
            return log_not + log_hazard - cumulative + both, both
        rate = -log_cured
        return jets.log(rate) + log_hazard - cumulative, -(rate * jets.expm1(-cumulative))

    def starts(s: Summary) -> list[list[float]]:
        share = float(np.clip(s.tail, 0.02, 0.95))
        inner = Summary(s.event_rate, s.event_rate, s.tail)
        found = base.starts(inner)[0]
        return [[float(logit(c)), *found] for c in (share, 0.5 * share)]

    return Family(
        name=f"cure_{base.name}",
        parameters=("theta", *base.parameters),
        links=("logit", *base.links),
        location=0,
        effect="odds ratio of cure",
        curves=curves,
        starts=starts,
    )


def natural(link: Link, value: Floats) -> Floats:
    """Turn a parameter from its link scale to its own.

    Parameters
    ----------
    link : {"log", "identity", "logit"}
        The link.
    value : float64 array
        On the link scale.

    Returns
    -------
    float64 array
        On the parameter's own scale.
    """
    match link:
        case "log":
            return np.asarray(np.exp(value))
        case "logit":
            return np.asarray(expit(value))
        case "identity":
            return value
