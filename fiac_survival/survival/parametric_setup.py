"""From the options of a parametric model to the model: which family, which covariates act on what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.design import Design, make_design
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.core.outcome import Outcome
from fiac_survival.survival.families import FAMILIES, Cure, with_cure
from fiac_survival.survival.family_models import LOCATION, Model, ParameterModel, PiecewiseModel
from fiac_survival.survival.spline_model import (
    Scale,
    SplineModel,
    is_count,
    positive_times,
    spline_knots,
)

Floats = NDArray[np.float64]
FamilyName = Literal[
    "exponential",
    "weibull",
    "weibull_ph",
    "gompertz",
    "lognormal",
    "loglogistic",
    "gamma",
    "gengamma",
    "piecewise",
    "royston_parmar",
    "cure_exponential",
    "cure_weibull",
    "cure_lognormal",
    "cure_loglogistic",
    "cure_gamma",
    "cure_gengamma",
]
INNER_KNOTS = 2
CUTS = 4


def make_model(
    y: Outcome,
    *,
    family: FamilyName,
    X: Any,
    ancillary: Mapping[str, Any] | None,
    data: Any,
    knots: Any,
    boundary: tuple[float, float] | None,
    scale: Scale,
    time_varying: Mapping[str, Any] | None,
    cure: Cure,
) -> tuple[Model, dict[str, Design]]:
    """Build the model that the options describe.

    Parameters
    ----------
    y : Outcome
        For the number of rows and the event times that knots are put at.
    family, X, ancillary, data, knots, boundary, scale, time_varying, cure
        As :func:`fiac_survival.survival.parametric` has them.

    Returns
    -------
    model : Model
        Family and covariates.
    designs : dict
        The design of each parameter that has covariates.

    Raises
    ------
    DataError
        If an option is unknown or does not go with the family.
    """
    require_choice(family, FamilyName, "family")
    require_choice(scale, Scale, "scale")
    require_choice(cure, Cure, "cure")
    spline = family == "royston_parmar"
    _belongs(knots is None or spline or family == "piecewise", "knots", family)
    _belongs(boundary is None or spline, "boundary", family)
    _belongs(scale == "hazard" or spline, "scale", family)
    _belongs(not time_varying or spline, "time_varying", family)
    _belongs(cure == "mixture" or family.startswith("cure_"), "cure", family)
    _belongs(not ancillary or family in FAMILIES or family.startswith("cure_"), "ancillary", family)
    n = len(y)
    designs: dict[str, Design] = {}
    if X is not None:
        # The table may be there for the formulas of other parameters alone.
        designs[LOCATION] = make_design(X, data if isinstance(X, str) else None, n=n)
    times = y.time[(y.event > 0) & (y.time > 0)]
    if spline:
        return _spline(times, designs, knots, boundary, scale, time_varying or {}), designs
    if family == "piecewise":
        cuts = _cut_points(y, CUTS if knots is None else knots)
        return PiecewiseModel(cuts, designs.get(LOCATION)), designs
    chosen = FAMILIES[family.removeprefix("cure_")]
    if family.startswith("cure_"):
        chosen = with_cure(chosen, cure)
    others = [p for k, p in enumerate(chosen.parameters) if k != chosen.location]
    for name, formula in (ancillary or {}).items():
        if name not in others:
            raise DataError(
                "ancillary names parameters of the family other than its location",
                values={"parameter": name, "possible": ", ".join(others) or "none"},
                remedy=f"covariates of {chosen.parameters[chosen.location]} go into X",
            )
        designs[name] = make_design(formula, data if isinstance(formula, str) else None, n=n)
    used: dict[str, Design | None] = {LOCATION: designs.get(LOCATION)}
    return ParameterModel(chosen, used | cast("dict[str, Design | None]", designs)), designs


def _belongs(fits: bool, option: str, family: str) -> None:
    if not fits:
        raise DataError(
            f"{option} does not go with this family",
            values={"family": family},
            remedy=f"leave {option} out, or choose a family that has it",
        )


def _spline(
    times: Floats,
    designs: Mapping[str, Design],
    knots: Any,
    boundary: tuple[float, float] | None,
    scale: Scale,
    time_varying: Mapping[str, Any],
) -> SplineModel:
    log_times = np.log(times)
    inner = INNER_KNOTS if knots is None else knots
    places = spline_knots(log_times, inner, boundary)
    design = designs.get(LOCATION)
    varying = {}
    for column, count in time_varying.items():
        names = [] if design is None else design.columns
        if column not in names:
            raise DataError(
                "time_varying names columns of the design",
                values={"column": column, "columns": ", ".join(names) or "none"},
                remedy="add the covariate to X",
            )
        varying[column] = spline_knots(log_times, count, boundary, name="time_varying")
    return SplineModel(places, scale, design, varying)


def _cut_points(y: Outcome, knots: Any) -> Floats:
    """Cut points of the piecewise exponential model; each interval needs an event."""
    times = y.time[y.event > 0]
    if is_count(knots, "knots"):
        cuts = np.quantile(times, np.arange(1, int(knots) + 1) / (int(knots) + 1))
    else:
        cuts = positive_times(knots, "knots")
    if np.any(np.diff(cuts) <= 0):
        raise DataError(
            "knots must ascend",
            values={"knots": cuts.tolist()},
            remedy="ask for fewer intervals (tied event times), or pass other times",
        )
    count = np.bincount(np.searchsorted(cuts, times, side="left"), minlength=cuts.size + 1)
    empty = np.flatnonzero(count == 0)
    if empty.size:
        edges = [0.0, *cuts.tolist(), np.inf]
        first = int(empty[0])
        raise DataError(
            "every interval needs an event",
            values={"interval": f"({edges[first]:g}, {edges[first + 1]:g}]"},
            remedy="merge it with its neighbour",
        )
    return cuts
