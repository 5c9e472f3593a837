"""Options of weights, and the pairs of them that exclude each other."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from fiac_survival.core.errors import DataError

Normalise = Literal["group", "none"]


class Truncate(TypedDict):
    """How to truncate: on the weight or on the propensity, at which quantiles (lower, upper)."""

    on: Literal["weight", "propensity"]
    quantiles: tuple[float, float]


def check_truncate(truncate: Truncate | None) -> Truncate | None:
    """Check how to truncate.

    Parameters
    ----------
    truncate : dict or None
        What the caller passed.

    Returns
    -------
    dict or None
        The same.

    Raises
    ------
    DataError
        If it does not say on what, or its quantiles are not a lower and an upper share.
    """
    if truncate is None:
        return None
    if set(truncate) != {"on", "quantiles"} or truncate["on"] not in ("weight", "propensity"):
        raise DataError(
            "truncate must say on what and at which quantiles",
            values={"truncate": truncate},
            remedy='pass e.g. {"on": "weight", "quantiles": (0.05, 0.95)}',
        )
    low, high = truncate["quantiles"]
    if not 0.0 <= low < high <= 1.0:
        raise DataError(
            "quantiles must be a lower and an upper share",
            values={"quantiles": (low, high)},
            remedy="pass e.g. (0.05, 0.95), or (0, 0.99) for the upper end only",
        )
    return truncate


def refuse_impossible(options: dict[str, Any], normalise: Normalise | None) -> None:
    """Refuse options that would be ignored.

    Parameters
    ----------
    options : dict
        All options, with defaults filled in.
    normalise : {"group", "none"} or None
        What the caller passed.

    Raises
    ------
    DataError
        Naming the two options that exclude each other.
    """
    method, estimand = options["method"], options["estimand"]
    clash: tuple[str, dict[str, Any], str] | None = None
    if options["stabilised"] and (method != "propensity" or estimand != "ate"):
        clash = (
            "stabilised weights are ATE propensity weights",
            {"method": method, "estimand": estimand},
            "drop stabilised=True",
        )
    elif options["stabilised"] and options["normalise"] == "group":
        clash = (
            'normalise="group" cancels stabilisation',
            {"stabilised": True, "normalise": "group"},
            'choose one: stabilised=True or normalise="group"',
        )
    elif method == "entropy" and estimand in ("overlap", "matching"):
        clash = (
            "entropy balancing needs a target population with known means",
            {"estimand": estimand},
            'use estimand "ate", "att" or "atc", or method="propensity"',
        )
    elif method == "nearest" and estimand != "att":
        clash = (
            "nearest-neighbour matching estimates the effect in the treated",
            {"estimand": estimand},
            'pass estimand="att"; matching weights are method="propensity", estimand="matching"',
        )
    elif method != "propensity" and options["truncate"] is not None:
        clash = (
            "only propensity weights can be truncated",
            {"method": method},
            "drop truncate",
        )
    elif method == "entropy" and options["learner"] is not None:
        clash = ("entropy balancing has no propensity model", {"learner": "given"}, "drop learner")
    elif method == "nearest" and normalise == "none":
        clash = ("matched pairs have weight 1", {"normalise": "none"}, "drop normalise")
    if clash:
        raise DataError(clash[0], values=clash[1], remedy=clash[2])
