r"""Values with their first and second derivatives, by the chain rule.

A jet holds, for n rows, a function f of q variables :math:`u_1..u_q`: its value, gradient
:math:`\partial f/\partial u_k` and second derivatives :math:`\partial^2 f/\partial u_k\partial u_l`.
Sums, products and functions of jets are jets:

.. math:: \partial_k\,g(f) = g'\,\partial_k f, \qquad
          \partial_{kl}\,g(f) = g'\,\partial_{kl}f + g''\,\partial_k f\,\partial_l f .

A log-likelihood that is written once in jets has exact derivatives (no finite differences). With q = 0
a jet is a plain array of values.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, factorial, log_ndtr

Floats = NDArray[np.float64]
LOG_ROOT_TWO_PI = 0.5 * float(np.log(2.0 * np.pi))


@dataclass(frozen=True, eq=False)
class Jet:
    """A function of q variables at n points, to second order.

    Attributes
    ----------
    value : (n,) float64
        Values.
    first : (q, n) float64
        First derivatives.
    second : (q, q, n) float64
        Second derivatives.
    """

    value: Floats
    first: Floats
    second: Floats

    # Makes numpy leave array * jet to the jet.
    __array_ufunc__ = None

    def through(self, value: Floats, slope: Floats, curvature: Floats) -> Jet:
        """Apply a function of one argument.

        Parameters
        ----------
        value, slope, curvature : (n,) float64
            The function and its two derivatives at this jet's values.

        Returns
        -------
        Jet
            The function of this jet.
        """
        return Jet(
            value,
            slope * self.first,
            slope * self.second + curvature * _outer(self.first, self.first),
        )

    def __add__(self, other: Jet | Floats | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(
                self.value + other.value, self.first + other.first, self.second + other.second
            )
        return Jet(self.value + other, self.first, self.second)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.first, -self.second)

    def __sub__(self, other: Jet | Floats | float) -> Jet:
        return self + (-other)

    def __rsub__(self, other: Floats | float) -> Jet:
        return -self + other

    def __mul__(self, other: Jet | Floats | float) -> Jet:
        if isinstance(other, Jet):
            return Jet(
                self.value * other.value,
                self.value * other.first + other.value * self.first,
                self.value * other.second
                + other.value * self.second
                + _outer(self.first, other.first)
                + _outer(other.first, self.first),
            )
        return Jet(self.value * other, self.first * other, self.second * other)

    __radd__ = __add__
    __rmul__ = __mul__

    def where(self, mask: NDArray[np.bool_]) -> Jet:
        """Keep some rows and set the others to zero, whatever they held.

        Parameters
        ----------
        mask : (n,) bool
            Rows to keep.

        Returns
        -------
        Jet
            Zero outside the mask.
        """
        return Jet(
            np.where(mask, self.value, 0.0),
            np.where(mask, self.first, 0.0),
            np.where(mask, self.second, 0.0),
        )


def _outer(a: Floats, b: Floats) -> Floats:
    return a[:, None, :] * b[None, :, :]


def variables(values: list[Floats]) -> list[Jet]:
    """Make the variables themselves.

    Parameters
    ----------
    values : list of (n,) float64
        Their values.

    Returns
    -------
    list of Jet
        Each with gradient one in its own direction.
    """
    q, n = len(values), values[0].size
    out = []
    for k, value in enumerate(values):
        first = np.zeros((q, n))
        first[k] = 1.0
        out.append(Jet(value, first, np.zeros((q, q, n))))
    return out


def constants(values: list[Floats]) -> list[Jet]:
    """Make jets without variables: plain values.

    Parameters
    ----------
    values : list of (n,) float64
        Values.

    Returns
    -------
    list of Jet
        With q = 0.
    """
    return [Jet(v, np.zeros((0, v.size)), np.zeros((0, 0, v.size))) for v in values]


def exp(u: Jet) -> Jet:
    """Exponential function of a jet."""
    value = np.exp(u.value)
    return u.through(value, value, value)


def expm1(u: Jet) -> Jet:
    """exp(u) - 1, precise near zero."""
    slope = np.exp(u.value)
    return u.through(np.expm1(u.value), slope, slope)


def log(u: Jet) -> Jet:
    """Natural logarithm of a jet."""
    inverse = 1.0 / u.value
    return u.through(np.log(u.value), inverse, -inverse * inverse)


def softplus(u: Jet) -> Jet:
    """log(1 + exp(u))."""
    p = np.asarray(expit(u.value))
    return u.through(np.logaddexp(0.0, u.value), p, p * (1.0 - p))


def log_normal_tail(z: Jet) -> Jet:
    """Log of the standard normal's upper tail 1 - Φ(z)."""
    value = np.asarray(log_ndtr(-z.value))
    ratio = np.exp(-0.5 * z.value**2 - LOG_ROOT_TWO_PI - value)
    return z.through(value, -ratio, -ratio * (ratio - z.value))


def log_normal_density(z: Jet) -> Jet:
    """Log of the standard normal density."""
    return z.through(-0.5 * z.value**2 - LOG_ROOT_TWO_PI, -z.value, np.full_like(z.value, -1.0))


def _series(order: int) -> tuple[Floats, Floats, Floats]:
    """Coefficients of the quotient's power series and of its derivatives', 16 terms each."""
    k = np.arange(18.0)
    value = 1.0 / np.asarray(factorial(k + order))
    slope = (k * value)[1:]
    return value[:16], slope[:16], (np.arange(17.0) * slope)[1:17]


SERIES = {1: _series(1), 2: _series(2)}


def exponential_quotients(
    z: Floats, order: int, derivatives: int = 2
) -> tuple[Floats, Floats, Floats]:
    r"""Remainders of the exponential series, and two derivatives.

    Parameters
    ----------
    z : float64 array
        Arguments.
    order : {1, 2}
        1: (e^z - 1)/z; 2: (e^z - 1 - z)/z².
    derivatives : {0, 2}, default 2
        0 leaves the derivatives out (they come back as zeros).

    Returns
    -------
    value, slope, curvature : float64 arrays
        Near zero by :math:`\sum_k z^k/(k+\mathrm{order})!`.
    """
    near = np.abs(z) < 0.7
    out = [np.zeros_like(z) for _ in range(3)]
    small, far = z[near], z[~near]
    for j in range(derivatives + 1):
        total = np.zeros_like(small)
        for c in SERIES[order][j][::-1]:
            total *= small
            total += c
        out[j][near] = total
    e, rest = np.exp(far), np.expm1(far)
    if order == 1:
        out[0][~near] = rest / far
        if derivatives:
            out[1][~near] = ((far - 1.0) * e + 1.0) / far**2
            out[2][~near] = ((far**2 - 2.0 * far + 2.0) * e - 2.0) / far**3
    else:
        out[0][~near] = (rest - far) / far**2
        if derivatives:
            out[1][~near] = ((far - 2.0) * e + far + 2.0) / far**3
            out[2][~near] = ((far**2 - 4.0 * far + 6.0) * e - 2.0 * far - 6.0) / far**4
    return out[0], out[1], out[2]
