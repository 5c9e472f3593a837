"""External relative effects, as from a network meta-analysis, on an observed baseline.

A regimen's hazards are those of its reference (same line, group and overlap level) times hazard ratios,
on the scale of rates: the probability of leaving in a step is 1 - exp(-(rate of moving on + rate of
death)).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.columns import numeric
from fiac_survival.core.errors import DataError
from fiac_survival.sequence.formulary import Formulary
from fiac_survival.sequence.formulary_parts import Ratio

Floats = NDArray[np.float64]
COLUMNS = ("regimen", "reference", "hazard_ratio_next", "hazard_ratio_death", "source")
ERRORS = ("log_se_next", "log_se_death")


@dataclass(frozen=True, eq=False)
class RelativeEffects:
    """Hazard ratios of regimens against references.

    Parameters
    ----------
    table : DataFrame
        regimen, reference, hazard_ratio_next, hazard_ratio_death, source; optionally log_se_next and
        log_se_death (standard errors of the log hazard ratios; 0 by default) and line.

    Raises
    ------
    DataError
        If a column is missing, a ratio is not positive, an error negative, or a source missing.

    Examples
    --------
    >>> import pandas as pd
    >>> effects = RelativeEffects(pd.DataFrame({
    ...     "regimen": ["B"], "reference": ["A"], "hazard_ratio_next": [0.6],
    ...     "hazard_ratio_death": [0.8], "source": ["a network meta-analysis"]}))
    >>> len(effects.table)
    1
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        missing = [name for name in COLUMNS if name not in self.table]
        if missing:
            raise DataError(
                "relative effects must have their columns",
                values={"missing": ", ".join(missing)},
            )
        for name in ("hazard_ratio_next", "hazard_ratio_death"):
            ratio = numeric(self.table[name], name)
            if not (np.isfinite(ratio) & (ratio > 0)).all():
                row = int(np.flatnonzero(~(np.isfinite(ratio) & (ratio > 0)))[0])
                raise DataError(f"{name} must be positive", row=row, values={name: ratio[row]})
        for name in ERRORS:
            error = numeric(self.table[name], name) if name in self.table else np.zeros(1)
            if not (np.isfinite(error) & (error >= 0)).all():
                row = int(np.flatnonzero(~(np.isfinite(error) & (error >= 0)))[0])
                raise DataError(f"{name} must not be negative", row=row, values={name: error[row]})
        unsourced = self.table["source"].isna() | (self.table["source"].astype(str) == "")
        if unsourced.any():
            row = int(np.flatnonzero(unsourced)[0])
            raise DataError("every relative effect must name its source", row=row)

    @classmethod
    def from_formulary(
        cls, formulary: Formulary, references: Mapping[int, str | Sequence[str]]
    ) -> RelativeEffects:
        """Make ratios between regimens from what a formulary says of their categories.

        With hazard ratios r of two categories against the same comparator, that of one against the other is
        their quotient, and the variances of their logarithms are added, as if they were independent.
        Regimens of the reference's own category keep what was observed of them.

        Parameters
        ----------
        formulary : Formulary
            With ``[[effects]]``.
        references : mapping of int to str or sequence of str
            For each line the observed regimens to compare with: each regimen takes the first that is
            allowed in all of its groups.

        Returns
        -------
        RelativeEffects
            One row a line and regimen with an effect of another category, in the formulary's order.

        Raises
        ------
        DataError
            If a reference is unknown or has no effect, no reference is allowed where a regimen is, or two
            effects are against different comparators.

        Examples
        --------
        >>> found = {"against": "mix", "lines": [1], "source": "a network meta-analysis"}
        >>> formulary = Formulary.model_validate({
        ...     "name": "example", "lines": 1, "horizon_months": 12, "classes": {"x": "class x"},
        ...     "regimens": [{"name": "A", "classes": ["x"]}, {"name": "B"}],
        ...     "effects": [
        ...         found | {"category": "a", "regimens": ["A"],
        ...                  "next": {"ratio": 1.2, "lower": 1.0, "upper": 1.44},
        ...                  "death": {"ratio": 1.0, "lower": 0.8, "upper": 1.25}},
        ...         found | {"category": "b", "regimens": ["B"],
        ...                  "next": {"ratio": 0.6, "lower": 0.5, "upper": 0.72},
        ...                  "death": {"ratio": 0.8, "lower": 0.64, "upper": 1.0}}]})
        >>> table = RelativeEffects.from_formulary(formulary, {1: "A"}).table
        >>> table[["regimen", "reference", "hazard_ratio_next", "log_se_next"]].round(3)
          regimen reference  hazard_ratio_next  log_se_next
        0       B         A                0.5        0.132
        """
        placed = {
            (name, line): e for e in formulary.effects for name in e.regimens for line in e.lines
        }
        rows: list[dict[str, Any]] = []
        for line, given in references.items():
            if not 1 <= line <= formulary.lines:
                raise DataError(
                    "line must be one of the formulary's",
                    values={"line": line, "lines": formulary.lines},
                    remedy="lines are counted from 1",
                )
            chosen = [given] if isinstance(given, str) else list(given)
            for name in chosen:
                if (name, line) not in placed:
                    raise DataError(
                        "a reference must be a regimen with an effect in its line",
                        values={"reference": name, "line": line},
                        remedy="choose another, or add it to [[effects]]",
                    )
            for name in formulary.regimen_names:
                ours = placed.get((name, line))
                allowed = formulary.allowed[line - 1, formulary.regimen_names.index(name)]
                if ours is None or name in chosen or not allowed.any():
                    continue
                reference = _reference_of(formulary, line, name, chosen)
                theirs = placed[reference, line]
                if theirs.category == ours.category:
                    continue
                if theirs.against != ours.against:
                    raise DataError(
                        "effects must be against the same comparator",
                        values={"regimen": name, "reference": reference, "line": line},
                    )
                row: dict[str, Any] = {"line": line, "regimen": name, "reference": reference}
                for kind in ("next", "death"):
                    pair = [(getattr(e, kind), e.level) for e in (ours, theirs)]
                    errors = [_log_error(ratio, level) for ratio, level in pair]
                    row[f"hazard_ratio_{kind}"] = pair[0][0].ratio / pair[1][0].ratio
                    row[f"log_se_{kind}"] = math.hypot(*errors)
                sources = dict.fromkeys((ours.source, theirs.source))
                rows.append(row | {"source": "; ".join(sources)})
        return cls(
            pd.DataFrame(
                rows, columns=["line", *COLUMNS[:3], ERRORS[0], COLUMNS[3], ERRORS[1], COLUMNS[4]]
            )
        )

    def draw(self, rng: np.random.Generator) -> RelativeEffects:
        """Draw log hazard ratios from normal distributions.

        Parameters
        ----------
        rng : numpy.random.Generator
            Random stream.

        Returns
        -------
        RelativeEffects
            Drawn.
        """
        table = self.table.copy()
        for name, error in zip(("hazard_ratio_next", "hazard_ratio_death"), ERRORS, strict=True):
            noise = rng.standard_normal(len(table))
            if error in table:
                table[name] = table[name] * np.exp(noise * table[error].to_numpy(np.float64))
        return RelativeEffects(table)

    def apply(
        self, formulary: Formulary, next_prob: Floats, death_prob: Floats, supported: Any
    ) -> tuple[Floats, Floats, Any]:
        """Put the effects on the references' kernels.

        Parameters
        ----------
        formulary : Formulary
            Names.
        next_prob, death_prob : (L, A, G, H, T) float64
            Observed kernels; they are not changed.
        supported : (L, A, G, H) bool or None
            Support; a regimen with an external effect has its reference's.

        Returns
        -------
        next_prob, death_prob, supported
            New arrays.

        Raises
        ------
        DataError
            If a regimen, reference or line is unknown, a reference has an external effect itself, or a
            regimen has two effects in a line.
        """
        onward, death = next_prob.copy(), death_prob.copy()
        support = None if supported is None else supported.copy()
        names = formulary.regimen_names
        replaced = set(self.table["regimen"])
        done: set[tuple[int, int]] = set()
        for row in self.table.to_dict("records"):
            for column in ("regimen", "reference"):
                if row[column] not in names:
                    raise DataError(
                        f"{column} must be one of the formulary's regimens",
                        values={column: row[column]},
                    )
            if row["reference"] in replaced:
                raise DataError(
                    "a reference must be observed, without an external effect of its own",
                    values={"reference": row["reference"]},
                    remedy="chain the effects to one observed reference",
                )
            to, source = names.index(row["regimen"]), names.index(row["reference"])
            stated = row.get("line")
            lines = list(range(formulary.lines))
            if stated is not None and not pd.isna(stated):
                if stated - 1 not in lines:
                    raise DataError(
                        "line must be one of the formulary's",
                        values={"line": stated, "lines": formulary.lines},
                        remedy="lines are counted from 1",
                    )
                lines = [int(stated) - 1]
            again = [line + 1 for line in lines if (line, to) in done]
            if again:
                raise DataError(
                    "a regimen must have one external effect in a line",
                    values={"regimen": row["regimen"], "line": again[0]},
                )
            done.update((line, to) for line in lines)
            onward[lines, to], death[lines, to] = scale_rates(
                next_prob[lines, source],
                death_prob[lines, source],
                float(row["hazard_ratio_next"]),
                float(row["hazard_ratio_death"]),
            )
            if support is not None:
                support[lines, to] = supported[lines, source]
        return onward, death, support


def _reference_of(formulary: Formulary, line: int, name: str, chosen: Sequence[str]) -> str:
    names = formulary.regimen_names
    mine = formulary.allowed[line - 1, names.index(name)]
    for reference in chosen:
        if not (mine & ~formulary.allowed[line - 1, names.index(reference)]).any():
            return reference
    raise DataError(
        "a reference must be allowed in all groups in which the regimen is",
        values={"regimen": name, "line": line, "references": ", ".join(chosen)},
        remedy="name a further reference for that line",
    )


def _log_error(ratio: Ratio, level: float) -> float:
    return math.log(ratio.upper / ratio.lower) / (2.0 * NormalDist().inv_cdf(0.5 + level / 2.0))


def scale_rates(
    next_prob: Floats, death_prob: Floats, ratio_next: float, ratio_death: float
) -> tuple[Floats, Floats]:
    """Multiply the rates of a kernel.

    Parameters
    ----------
    next_prob, death_prob : (..., T) float64
        Kernel.
    ratio_next, ratio_death : float
        Hazard ratios.

    Returns
    -------
    next_prob, death_prob : (..., T) float64
        New kernel.

    Examples
    --------
    >>> import numpy as np
    >>> onward, death = scale_rates(np.array([0.2, 0.1]), np.array([0.1, 0.1]), 1.0, 1.0)
    >>> np.round(onward, 12).tolist(), np.round(death, 12).tolist()
    ([0.2, 0.1], [0.1, 0.1])
    """
    leave = next_prob + death_prob
    before = np.ones_like(leave)
    before[..., 1:] = np.maximum(1.0 - np.cumsum(leave, axis=-1)[..., :-1], 0.0)
    safe = np.where(before > 1e-15, before, 1.0)
    hazard = np.clip(leave / safe, 0.0, 1.0 - 1e-15)
    rate = -np.log1p(-hazard)
    share = np.where(leave > 0, next_prob / np.where(leave > 0, leave, 1.0), 0.0)
    rate_next, rate_death = rate * share * ratio_next, rate * (1.0 - share) * ratio_death
    total = rate_next + rate_death
    stay = np.exp(-total)
    alive = np.ones_like(stay)
    np.cumprod(stay[..., :-1], axis=-1, out=alive[..., 1:])
    ended = alive * -np.expm1(-total)
    part = np.where(total > 0, rate_next / np.where(total > 0, total, 1.0), 0.0)
    return ended * part, ended * (1.0 - part)
