r"""Families with covariates: from coefficients to the predictors that log h and H are made of.

A model has coefficients :math:`\theta` and predictors :math:`u_k(t)=Z_k(t)\,\theta`. For a family of
:mod:`fiac_survival.survival.families` the :math:`u_k` are its parameters and :math:`Z_k` holds a 1 and
covariates. For the piecewise exponential model, with cut points :math:`0=c_0<c_1<\dots`,
:math:`u_j` is the log hazard in interval j: :math:`H(t)=\sum_j e^{u_j}\,|(0,t]\cap(c_j,c_{j+1}]|`.

Source: Friedman 1982 (piecewise exponential).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.design import Design
from fiac_survival.survival import jets
from fiac_survival.survival.families import Family, Link, Summary
from fiac_survival.survival.jets import Jet

Floats = NDArray[np.float64]
Profiles = Mapping[str, Floats]
LOCATION = "location"


class Model(Protocol):
    """What likelihood and predictions need of a family with covariates."""

    @property
    def terms(self) -> list[str]:
        """Names of the coefficients."""
        ...

    @property
    def links(self) -> list[Link]:
        """Scale of each coefficient that is a parameter of its own; "identity" for effects."""
        ...

    @property
    def meanings(self) -> list[str]:
        """What each coefficient is: "parameter", or what exp(coefficient) is."""
        ...

    @property
    def breaks(self) -> Floats:
        """Times at which the hazard is not smooth."""
        ...

    def predictors(self, t: Floats, x: Profiles) -> list[Floats]:
        """Matrices Z_k(t), each (n, p); rows of `x` belong to the times."""
        ...

    def curves(self, t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
        """Log hazard and cumulative hazard at positive times."""
        ...

    def starts(self, summary: Summary) -> list[Floats]:
        """Coefficients to start from."""
        ...


@dataclass(frozen=True, eq=False)
class ParameterModel:
    """A family whose parameters depend on covariates."""

    family: Family
    designs: Mapping[str, Design | None]
    breaks: Floats = field(default_factory=lambda: np.empty(0))

    def _blocks(self) -> list[tuple[int, str, Design | None]]:
        """Effects: number of the parameter, where its profile is found, design."""
        out: list[tuple[int, str, Design | None]] = [
            (self.family.location, LOCATION, self.designs[LOCATION])
        ]
        for k, name in enumerate(self.family.parameters):
            if name in self.designs:
                out.append((k, name, self.designs[name]))
        return [(k, name, d) for k, name, d in out if d is not None]

    @property
    def terms(self) -> list[str]:
        """Names of the coefficients: parameters, effects on the location, further effects."""
        names = list(self.family.parameters)
        for k, where, design in self._blocks():
            assert design is not None
            wrap = "{}" if where == LOCATION else self.family.parameters[k] + "({})"
            names += [wrap.format(column) for column in design.columns]
        return names

    @property
    def links(self) -> list[Link]:
        """Link of each parameter, identity of effects."""
        rest: list[Link] = ["identity"] * (len(self.terms) - len(self.family.links))
        return [*self.family.links, *rest]

    @property
    def meanings(self) -> list[str]:
        """Parameters, effects on the location, ratios or differences of other parameters."""
        out = ["parameter"] * len(self.family.parameters)
        for k, where, design in self._blocks():
            assert design is not None
            if where == LOCATION:
                meaning = self.family.effect
            elif self.family.links[k] == "identity":
                meaning = "difference"
            else:
                kind = "odds ratio" if self.family.links[k] == "logit" else "ratio"
                meaning = f"{kind} of {self.family.parameters[k]}"
            out += [meaning] * len(design.columns)
        return out

    def predictors(self, t: Floats, x: Profiles) -> list[Floats]:
        """Give each parameter a 1 and its covariates."""
        p = len(self.terms)
        out = [np.zeros((t.size, p)) for _ in self.family.parameters]
        for k, z in enumerate(out):
            z[:, k] = 1.0
        at = len(out)
        for k, where, design in self._blocks():
            assert design is not None
            width = len(design.columns)
            out[k][:, at : at + width] = x[where]
            at += width
        return out

    def curves(self, t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
        """Those of the family."""
        return self.family.curves(t, u)

    def starts(self, summary: Summary) -> list[Floats]:
        """Those of the family, effects at zero."""
        p = len(self.terms)
        return [
            np.concatenate([start, np.zeros(p - len(start))])
            for start in self.family.starts(summary)
        ]


@dataclass(frozen=True, eq=False)
class PiecewiseModel:
    """Constant hazards between cut points, with proportional effects."""

    cuts: Floats
    design: Design | None

    @property
    def terms(self) -> list[str]:
        """Log hazards of the intervals, effects."""
        edges = [0.0, *self.cuts.tolist(), np.inf]
        names = [f"rate({a:g},{b:g}]" for a, b in itertools.pairwise(edges)]
        return names + ([] if self.design is None else self.design.columns)

    @property
    def links(self) -> list[Link]:
        """Log for the hazards."""
        effects: list[Link] = ["identity"] * (len(self.terms) - self.cuts.size - 1)
        rates: list[Link] = ["log"] * (self.cuts.size + 1)
        return [*rates, *effects]

    @property
    def meanings(self) -> list[str]:
        """Hazards and hazard ratios."""
        m = self.cuts.size + 1
        return ["parameter"] * m + ["hazard ratio"] * (len(self.terms) - m)

    @property
    def breaks(self) -> Floats:
        """The cut points."""
        return self.cuts

    def predictors(self, t: Floats, x: Profiles) -> list[Floats]:
        """Log hazard of each interval."""
        m = self.cuts.size + 1
        out = [np.zeros((t.size, len(self.terms))) for _ in range(m)]
        for j, z in enumerate(out):
            z[:, j] = 1.0
            if self.design is not None:
                z[:, m:] = x[LOCATION]
        return out

    def curves(self, t: Floats, u: list[Jet]) -> tuple[Jet, Jet]:
        """Take the interval's log hazard, and add up hazards times time spent."""
        inside = np.searchsorted(self.cuts, t, side="left")
        edges = np.concatenate([[0.0], self.cuts, [np.inf]])
        log_hazard = sum((v.where(inside == j) for j, v in enumerate(u)), u[0] * 0.0)
        spent = [np.clip(t - edges[j], 0.0, edges[j + 1] - edges[j]) for j in range(len(u))]
        cumulative = u[0] * 0.0
        for j, v in enumerate(u):
            cumulative = cumulative + jets.exp(v) * spent[j]
        return log_hazard, cumulative

    def starts(self, summary: Summary) -> list[Floats]:
        """One hazard for all."""
        start = np.zeros(len(self.terms))
        start[: self.cuts.size + 1] = np.log(summary.rate)
        return [start]
