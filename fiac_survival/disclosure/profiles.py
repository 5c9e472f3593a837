r"""Rules of institutions for what may leave, as data.

A profile has a threshold :math:`k`: no count :math:`1,\dots,k-1` leaves, neither as it is nor by
solving for it. Counts are kept as they are, or replaced by one number for a whole class of them:

- *nearest*: the nearest multiple of a base :math:`b`; a released :math:`v` stands for
  :math:`v-\lfloor b/2\rfloor,\dots,v+\lceil b/2\rceil-1`;
- *midpoint*: classes :math:`1..b,\ b+1..2b,\dots` are replaced by :math:`b\lceil x/b\rceil-\lfloor
  b/2\rfloor`, which is unbiased and keeps zero apart.

Sources: profile ``snds`` follows the export rule of the French national claims data (no count below
11); profile ``opensafely`` the public documentation of OpenSAFELY (counts of 7 or fewer are redacted,
the others rounded to the nearest 5; midpoint 6 for life tables and rates).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, assert_never

from fiac_survival.core.errors import DataError

ProfileName = Literal["snds", "opensafely", "none"]
Rounding = Literal["none", "nearest", "midpoint"]


@dataclass(frozen=True)
class Profile:
    """The rules of one institution.

    Attributes
    ----------
    name : str
        "snds", "opensafely" or "none".
    threshold : int
        Smallest count above zero that may leave; 1 means that all may.
    rounding : {"none", "nearest", "midpoint"}
        What happens to counts of tables that may leave.
    base : int
        Base of that rounding; 1 without.
    curve_base : int
        Base of the midpoint rounding of numbers at risk, events and censorings of curves.
    survival_decimals, significant_digits : int
        Precision of probabilities, and of all other estimates.
    """

    name: ProfileName
    threshold: int
    rounding: Rounding
    base: int
    curve_base: int
    survival_decimals: int = 3
    significant_digits: int = 3

    @property
    def protects(self) -> bool:
        """Whether the profile does anything."""
        return self.name != "none"

    def interval(self, count: int) -> tuple[int, int] | None:
        """Say what the release of a count of a table tells a reader.

        Parameters
        ----------
        count : int
            The count.

        Returns
        -------
        tuple of int or None
            Smallest and largest count that would be released in the same way; None if it is withheld.

        Examples
        --------
        >>> find_profile("snds").interval(10) is None
        True
        >>> find_profile("opensafely").interval(23)
        (23, 27)
        """
        return _interval(count, self.threshold, self.rounding, self.base)

    def released(self, count: int) -> float:
        """Give a count of a table as it is released.

        Parameters
        ----------
        count : int
            The count.

        Returns
        -------
        float
            NaN if it is withheld.

        Examples
        --------
        >>> find_profile("opensafely").released(23)
        25.0
        """
        if self.interval(count) is None:
            return float("nan")
        return float(_round(count, self.rounding, self.base))

    def curve_interval(self, count: int) -> tuple[int, int] | None:
        """Say what the release of a count of a curve tells a reader.

        Parameters
        ----------
        count : int
            Number at risk, or cumulated events or censorings.

        Returns
        -------
        tuple of int or None
            As for :meth:`interval`.
        """
        return _interval(count, self.threshold, "midpoint", self.curve_base)

    def curve_released(self, count: int) -> float:
        """Give a count of a curve as it is released.

        Parameters
        ----------
        count : int
            Number at risk, or cumulated events or censorings.

        Returns
        -------
        float
            NaN if it is withheld.
        """
        if self.curve_interval(count) is None:
            return float("nan")
        return float(_round(count, "midpoint", self.curve_base))


def _round(count: int, rounding: Rounding, base: int) -> int:
    match rounding:
        case "none":
            return count
        case "nearest":
            return base * ((count + base // 2) // base)
        case "midpoint":
            return 0 if count == 0 else base * -(-count // base) - base // 2
        case _:
            assert_never(rounding)


def _interval(count: int, threshold: int, rounding: Rounding, base: int) -> tuple[int, int] | None:
    if count == 0:
        return 0, 0
    match rounding:
        case "none":
            low = high = count
        case "nearest":
            low = _round(count, rounding, base) - base // 2
            high = low + base - 1
        case "midpoint":
            high = base * -(-count // base)
            low = high - base + 1
            if low < threshold:  # a class is withheld whole, so that its name says nothing
                return None
        case _:
            assert_never(rounding)
    return None if count < threshold else (max(low, threshold), high)


PROFILES: dict[ProfileName, Profile] = {
    "snds": Profile("snds", threshold=11, rounding="none", base=1, curve_base=12),
    "opensafely": Profile("opensafely", threshold=8, rounding="nearest", base=5, curve_base=6),
    "none": Profile("none", threshold=1, rounding="none", base=1, curve_base=1),
}
# Base of midpoint rounding in tables; of snds: classes as wide as the threshold asks for.
MIDPOINT_BASE = {"opensafely": 6}


def find_profile(
    name: ProfileName = "snds",
    *,
    threshold: int | None = None,
    rounding: Rounding | None = None,
) -> Profile:
    """Find a profile, with a threshold or a rounding of one's own.

    Parameters
    ----------
    name : {"snds", "opensafely", "none"}, default "snds"
        Whose rules.
    threshold : int, optional
        Smallest count that may leave; the institution's own by default (11 and 8).
    rounding : {"none", "nearest", "midpoint"}, optional
        Rounding of the counts of tables; the institution's own by default.

    Returns
    -------
    Profile
        The rules.

    Raises
    ------
    DataError
        If the name or the rounding is unknown, or the threshold is no whole number of at least 1.

    Examples
    --------
    >>> find_profile("snds").threshold
    11
    >>> find_profile("snds", threshold=6, rounding="midpoint").base
    7
    """
    if name not in PROFILES:
        raise DataError(
            "the disclosure-control profile must be known",
            values={"profile": name, "known": ", ".join(PROFILES)},
            remedy="choose one of these",
        )
    profile = PROFILES[name]
    if isinstance(threshold, bool) or not isinstance(threshold, int | None):
        raise _bad_threshold(threshold)
    if threshold is not None and threshold < 1:
        raise _bad_threshold(threshold)
    if rounding not in (None, "none", "nearest", "midpoint"):
        raise DataError(
            "the rounding must be known",
            values={"rounding": rounding, "known": "none, nearest, midpoint"},
            remedy="choose one of these",
        )
    if not profile.protects:
        return profile
    k = profile.threshold if threshold is None else threshold
    curve_base = k + 1 if name == "snds" else profile.curve_base
    chosen = profile.rounding if rounding is None else rounding
    match chosen:
        case "none":
            base = 1
        case "nearest":
            base = 5
        case "midpoint":
            base = MIDPOINT_BASE.get(name, k + 1)
        case _:
            assert_never(chosen)
    return replace(profile, threshold=k, rounding=chosen, base=base, curve_base=curve_base)


def _bad_threshold(value: object) -> DataError:
    return DataError(
        "the threshold must be a whole number of at least 1",
        values={"threshold": value},
        remedy="leave it out for the institution's own",
    )
