r"""The standardised log-gamma distribution, smooth through the normal.

For :math:`q\ne 0` and :math:`a=q^{-2}`, :math:`W=\log(G/a)/q` with G gamma distributed of shape a has
the density

.. math:: f(w;q)=\exp\{-w^2 E(qw) - r(q)\}/\sqrt{2\pi}, \qquad E(z)=(e^z-1-z)/z^2,

where r is the remainder of Stirling's formula, :math:`\log\Gamma(a)=a\log a-a-\tfrac12\log a+
\tfrac12\log 2\pi+r`. At q = 0 it is the standard normal; :math:`f(-w;-q)=f(w;q)`. The generalised gamma
distribution of Prentice is :math:`\log T=\mu+\sigma W`.

The tail :math:`S(w;q)=\int_w^\infty f` and its derivatives in q,
:math:`\int \ell_q f` and :math:`\int(\ell_{qq}+\ell_q^2)f` with :math:`\ell=\log f`, come from
Gauss-Legendre quadrature over the smaller of the two tails, which keeps their relative precision.

Source: Prentice 1974; Cox, Chu, Schneider and Muñoz 2007 (the distribution).
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from fiac_survival.survival.jets import LOG_ROOT_TWO_PI, Jet, exponential_quotients

Floats = NDArray[np.float64]


def _panels(edges: tuple[float, ...], order: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on panels of [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(order)
    pairs = list(itertools.pairwise(edges))
    nodes = [a + (b - a) * 0.5 * (1.0 + x) for a, b in pairs]
    return np.concatenate(nodes), np.concatenate([(b - a) * 0.5 * w for a, b in pairs])


NODES, WEIGHTS = _panels((0.0, 0.08, 0.35, 1.0), 20)
AT_ONCE = 2048
DROP = 42.0  # log f falls by this much over the range of integration
# Stirling: r = 1/(12 a) - 1/(360 a^3) + 1/(1260 a^5) - 1/(1680 a^7) + 1/(1188 a^9) with a = q^-2
STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360)


def _remainder(q: Floats) -> tuple[Floats, Floats, Floats]:
    """Stirling's remainder as a function of q, and two derivatives."""
    near = np.abs(q) < 0.2
    x = np.where(near, q, 0.0)
    series = [np.zeros_like(x) for _ in range(3)]
    for j, c in enumerate(STIRLING):
        power = 4 * j + 2
        series[0] += c * x**power
        series[1] += c * power * x ** (power - 1)
        series[2] += c * power * (power - 1) * x ** (power - 2)
    y = np.where(near, 1.0, q)
    a = y**-2
    value = gammaln(a) - (a - 0.5) * np.log(a) + a - LOG_ROOT_TWO_PI
    in_a = digamma(a) - np.log(a) + 0.5 / a
    in_aa = polygamma(1, a) - 1.0 / a - 0.5 / a**2
    a1, a2 = -2.0 * a / y, 6.0 * a * a
    closed = (value, in_a * a1, in_aa * a1**2 + in_a * a2)
    r0, r1, r2 = (np.where(near, s, c) for s, c in zip(series, closed, strict=True))
    return r0, r1, r2


def _log_density(
    w: Floats, q: Floats, remainder: tuple[Floats, ...], derivatives: int = 2
) -> tuple[Floats, ...]:
    """Log f and its derivatives: value, in q, in qq."""
    e0, e1, e2 = exponential_quotients(q * w, 2, derivatives)
    r0, r1, r2 = remainder
    square = w * w
    return (
        -square * e0 - r0 - LOG_ROOT_TWO_PI,
        -square * w * e1 - r1,
        -square * square * e2 - r2,
    )


def _upper(w: Floats, q: Floats, derivatives: int) -> tuple[Floats, Floats, Floats]:
    """Upper tail of w >= 0 and its derivatives in q; a few thousand at once stay in the cache."""
    parts = [
        _upper_part(w[i : i + AT_ONCE], q[i : i + AT_ONCE], derivatives)
        for i in range(0, w.size, AT_ONCE)
    ]
    tail, slope, curvature = (np.concatenate(part) for part in zip(*parts, strict=True))
    return tail, slope, curvature


def _upper_part(w: Floats, q: Floats, derivatives: int) -> tuple[Floats, Floats, Floats]:
    width = _where_density_ends(w, q) - w
    v = w[:, None] + width[:, None] * NODES
    remainder = tuple(r[:, None] for r in _remainder(q))
    value, slope, curvature = _log_density(v, q[:, None], remainder, derivatives)
    mass = np.exp(value) * WEIGHTS * width[:, None]
    if not derivatives:
        none = np.zeros_like(w)
        return mass.sum(axis=1), none, none
    return (
        mass.sum(axis=1),
        (mass * slope).sum(axis=1),
        (mass * (curvature + slope * slope)).sum(axis=1),
    )


def _where_density_ends(w: Floats, q: Floats) -> Floats:
    """Point above w >= 0 at which log f has fallen by DROP; log f is concave, so Newton is safe."""
    target = w * w * exponential_quotients(q * w, 2, 0)[0] + DROP
    # Above its mode the fall is convex: after one step the iterates come down to the solution. An
    # argument of exp above 300 is as good as infinity.
    limit = np.where(q > 0.0, 300.0 / np.where(q > 0.0, q, 1.0), np.inf)
    v = np.maximum(w, 1.0)
    for _ in range(60):
        at = np.minimum(v, limit)
        fall = at * at * exponential_quotients(q * at, 2, 0)[0]
        slope = at * exponential_quotients(q * at, 1, 0)[0]
        new = np.maximum(at + (target - fall) / slope, w)
        done = bool(np.all(np.abs(new - v) <= 1e-2 * (1.0 + np.abs(v))))
        v = new
        if done:
            break
    return np.asarray(v)


def log_tail(w: Jet, q: Jet) -> Jet:
    """Log S(w; q) of jets.

    Parameters
    ----------
    w, q : Jet
        Standardised log time and shape.

    Returns
    -------
    Jet
        log S.
    """
    up = w.value >= 0.0
    flip = np.where(up, 1.0, -1.0)
    derivatives = 2 if len(w.first) else 0
    tail, in_q, in_qq = _upper(flip * w.value, flip * q.value, derivatives)
    # f(-w; -q) = f(w; q): the lower tail of q is the upper tail of -q.
    s = np.where(up, tail, 1.0 - tail)
    log_s = np.where(up, np.log(tail), np.log1p(-tail))
    s_q = in_q  # lower tail: d/dq (1 - tail(-q)) = + tail'
    s_qq = flip * in_qq
    ell, ell_q, _ = _log_density(w.value, q.value, _remainder(q.value))
    density = np.exp(ell)
    ell_w = -w.value * exponential_quotients(q.value * w.value, 1)[0]
    s_w, s_wq, s_ww = -density, -density * ell_q, -density * ell_w
    l_w, l_q = s_w / s, s_q / s
    l_ww, l_wq, l_qq = s_ww / s - l_w**2, s_wq / s - l_w * l_q, s_qq / s - l_q**2
    return _of_two(w, q, log_s, (l_w, l_q), (l_ww, l_wq, l_qq))


def log_density(w: Jet, q: Jet) -> Jet:
    """Log f(w; q) of jets.

    Parameters
    ----------
    w, q : Jet
        Standardised log time and shape.

    Returns
    -------
    Jet
        log f.
    """
    ell, ell_q, ell_qq = _log_density(w.value, q.value, _remainder(q.value))
    z = q.value * w.value
    d0, d1, _ = exponential_quotients(z, 1)
    ell_w = -w.value * d0
    ell_ww = -np.exp(z)
    ell_wq = -w.value * w.value * d1
    return _of_two(w, q, ell, (ell_w, ell_q), (ell_ww, ell_wq, ell_qq))


def _of_two(
    a: Jet,
    b: Jet,
    value: Floats,
    slopes: tuple[Floats, Floats],
    curvatures: tuple[Floats, Floats, Floats],
) -> Jet:
    """Chain rule of a function of two jets."""
    fa, fb = slopes
    faa, fab, fbb = curvatures
    ab = a.first[:, None, :] * b.first[None, :, :]
    return Jet(
        value,
        fa * a.first + fb * b.first,
        fa * a.second
        + fb * b.second
        + faa * a.first[:, None, :] * a.first[None, :, :]
        + fab * (ab + ab.transpose(1, 0, 2))
        + fbb * b.first[:, None, :] * b.first[None, :, :],
    )
