r"""Intervals and tests of a difference that rests on few patients.

Two sources that see the same patients differ in few of them. Let person c of n move the difference
:math:`\hat\theta` by :math:`\psi_c` (weights inside, :math:`\sum_c\psi_c=0`), so that

.. math:: \widehat{SE}^2=\sum_c\psi_c^2,\qquad a=\frac{\sum_c\psi_c^3}{6\,(\sum_c\psi_c^2)^{3/2}},\qquad
          \nu=2\Big/\Bigl(\frac{\sum_c\psi_c^4}{(\sum_c\psi_c^2)^2}-\frac1n\Bigr).

Deaths that one source misses all move it the same way: :math:`\hat\theta` is skewed, and its standard
error goes up and down with it, as a Poisson count's does. Then :math:`\hat\theta\pm z\,\widehat{SE}`
misses nearly always on one side, and a test against a margin says "equivalent" too often; Student's t
alone, which supposes that the two are independent, does not mend that. The limit at the normal quantile z
is instead

.. math:: \hat\theta+c_\nu\,\widehat{SE}\,\frac{w}{(1-a\,w)^2},\qquad w=a+z,\qquad
          c_\nu=1+\frac{z_{0.975}^2+1}{4\nu} .

The fraction is the ABC interval (approximate bootstrap confidence) of a statistic that is linear in the
patients, with the acceleration a: the limit that the accelerated bootstrap (BCa) of
:math:`\sum_c\psi_c` tends to, without drawing. Its one-sided errors are of order 1/n instead of
:math:`1/\sqrt n`. :math:`c_\nu` allows for a standard error that few patients determine: the first term of
the ratio of Student's t to the normal quantile, with Satterthwaite's degrees of freedom as for sandwich
variances, the same factor at all levels. Many patients and no skewness give the normal interval. What
curves the estimate beyond its influences (the products of a Kaplan-Meier curve) is left out: for linked
patients it nearly cancels between the sources.

With :math:`T=(\theta-\hat\theta)/(c_\nu\widehat{SE})` the inverse is

.. math:: z(T)=\frac{2T}{1+2aT+\sqrt{1+4aT}}-a ,

and a :math:`\theta` with :math:`1+4aT<0`, which no z reaches, counts as the last one that is reached.

Source: Efron 1987; DiCiccio and Efron 1992, 1996; Pan and Wall 2002 (degrees of freedom).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.intervals import normal_quantile

Floats = NDArray[np.float64]
STUDENT = (normal_quantile(0.95) ** 2 + 1.0) / 4.0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How far a difference may lie from its estimate.

    Attributes
    ----------
    std_error : float
        Standard error.
    acceleration : float
        A sixth of the skewness, between -1/6 and 1/6; 0 gives symmetric intervals.
    degrees_of_freedom : float
        Of the standard error, 2 or more; infinite ones give normal intervals.
    """

    std_error: float
    acceleration: float = 0.0
    degrees_of_freedom: float = float("inf")

    @classmethod
    def of(cls, moved: Floats) -> Spread:
        """Find the spread of a difference from what each person adds to it.

        Parameters
        ----------
        moved : (n,) float64
            Influence of each person on the difference.

        Returns
        -------
        Spread
            Of standard error 0 where nobody adds anything.

        Examples
        --------
        >>> import numpy as np
        >>> found = Spread.of(np.array([0.02, 0.02, -0.01, 0.0]))
        >>> round(found.std_error, 3), round(found.acceleration, 3)
        (0.03, 0.093)
        """
        error = float(np.sqrt(np.sum(moved * moved)))
        if error == 0.0:
            return cls(std_error=0.0)
        share = moved / error
        excess = float(np.sum(share**4)) - 1.0 / moved.size
        return cls(
            std_error=error,
            acceleration=float(np.sum(share**3)) / 6.0,
            degrees_of_freedom=2.0 / excess if excess > 1e-12 else float("inf"),
        )

    @property
    def widened(self) -> float:
        """Standard error, widened for being determined by few."""
        return self.std_error * (1.0 + STUDENT / self.degrees_of_freedom)

    def limit(self, z: float) -> float:
        """Find the distance from the estimate to its limit at a normal quantile.

        Parameters
        ----------
        z : float
            Normal quantile; below 0 for a lower limit.

        Returns
        -------
        float
            In the unit of the difference; infinite where the quantile is too extreme for so skewed a
            difference.

        Examples
        --------
        >>> spread = Spread(std_error=0.02, acceleration=0.1)
        >>> round(spread.limit(-1.96), 4), round(spread.limit(1.96), 4)
        (-0.0264, 0.0654)
        """
        w = self.acceleration + z
        room = 1.0 - self.acceleration * w
        if room <= 0.0:
            return float(np.copysign(np.inf, z))
        return self.widened * w / room**2

    def interval(self, difference: float, level: float) -> tuple[float, float]:
        """Give the interval of a difference.

        Parameters
        ----------
        difference : float
            Its estimate.
        level : float
            Confidence level.

        Returns
        -------
        lower, upper : float
            In the unit of the difference.

        Examples
        --------
        >>> low, high = Spread(std_error=0.02).interval(0.01, 0.95)
        >>> round(low, 4), round(high, 4)
        (-0.0292, 0.0492)
        """
        z = normal_quantile(level)
        return difference + self.limit(-z), difference + self.limit(z)

    def quantile(self, distance: float) -> float:
        """Find the normal quantile whose limit lies at a distance: the inverse of :meth:`limit`.

        Parameters
        ----------
        distance : float
            A supposed true difference minus its estimate.

        Returns
        -------
        float
            With the normal distribution function F of it, 1 - F is the p-value of the hypothesis that
            the true difference is this one or more, F that of this one or less.

        Examples
        --------
        >>> spread = Spread(std_error=0.02, acceleration=0.1)
        >>> round(spread.quantile(spread.limit(1.2816)), 4)
        1.2816
        """
        t, a = distance / self.widened, self.acceleration
        if 1.0 + 4.0 * a * t < 0.0:
            t = -0.25 / a
        return 2.0 * t / (1.0 + 2.0 * a * t + float(np.sqrt(1.0 + 4.0 * a * t))) - a
