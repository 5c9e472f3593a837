r"""How well predicted risks fit, at fixed times: Brier score and area under the ROC curve.

:math:`r_i` is the predicted probability that person i has the event by t. With G the Kaplan-Meier curve of
censoring (events before censorings at equal times), the weights

.. math:: W_i=\frac{1\{T_i\le t,\delta_i=1\}}{G(T_i-)}+\frac{1\{T_i>t\}}{G(t)}

stand for those censored before t:

.. math:: \mathrm{Brier}(t)=\frac1n\sum_i W_i\,(1\{T_i\le t\}-r_i)^2,\qquad
   \mathrm{AUC}(t)=\frac{\sum_{i,j}W_iW_j1\{T_i\le t<T_j\}(1\{r_i>r_j\}+\frac12 1\{r_i=r_j\})}
   {\sum_{i,j}W_iW_j1\{T_i\le t<T_j\}} .

Standard errors are those of the infinitesimal jackknife: each person's own share, and what the person
changes in G, with :math:`\partial\log G(u)/\partial w_j=-\int_0^u dM^c_j/\sum Y^c`. The null model
predicts 1 - S(t), the Kaplan-Meier curve of the same data; the scaled Brier score is 1 - Brier/Brier of
the null model. Censoring must not depend on the covariates.

Sources: Graf, Schmoor, Sauerbrei and Schumacher 1999; Gerds and Schumacher 2006; Uno, Cai, Tian and Wei
2007; Blanche, Dartigues and Jacqmin-Gadda 2013.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.survival.inputs import times_array

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PredictionError(Result):
    """Brier score and AUC at fixed times.

    Attributes
    ----------
    table : DataFrame
        time, n_case, n_control, brier, brier_std_error, brier_lower, brier_upper, brier_null,
        brier_null_std_error, scaled_brier, integrated_brier, auc, auc_std_error, auc_lower, auc_upper.
        The integrated score is the mean over (0, time] of the step function that takes each time's
        score from that time on, 0 before the first.
    brier_influence, auc_influence : (n, k) float64
        Influence of each person; the variance is the sum of squares.
    level : float
        Confidence level.
    """

    brier_influence: Floats
    auc_influence: Floats
    level: float


def prediction_error(y: Outcome, risk: Any, times: Any, *, level: float = 0.95) -> PredictionError:
    """Judge predicted risks against outcomes.

    Parameters
    ----------
    y : Outcome
        Rows, event codes 0 and 1, without delayed entry: best people that the model has not seen.
    risk : array-like of float, shape (n,) or (n, k)
        Predicted probability of the event by each time.
    times : float or array-like of float, shape (k,)
        Times, ascending, before the last time.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    PredictionError
        Scores with standard errors.

    Raises
    ------
    DataError
        If a risk is not a probability, entries are delayed, or at a time nobody is a case or a
        control.

    References
    ----------
    Graf E, Schmoor C, Sauerbrei W, Schumacher M. Assessment and comparison of prognostic classification
    schemes for survival data. Stat Med 1999;18:2529-2545.
    Blanche P, Dartigues JF, Jacqmin-Gadda H. Estimating and comparing time-dependent areas under receiver
    operating characteristic curves for censored event times with competing risks. Stat Med
    2013;32:5381-5397.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> y = fs.Outcome(time=[3, 5, 8, 10, 4, 9], event=[1, 1, 1, 0, 1, 0])
    >>> found = fs.survival.prediction_error(y, [0.8, 0.4, 0.3, 0.1, 0.7, 0.2], 6)
    >>> found.table[["brier", "auc"]].round(4).values.tolist()
    [[0.105, 1.0]]
    """
    z = normal_quantile(level)
    if not isinstance(y, Outcome):
        raise DataError(
            "prediction_error takes an Outcome",
            values={"type": type(y).__name__},
            remedy="make one: fs.Outcome(time, event)",
        )
    y.require_binary("prediction_error", "one score a cause")
    y.require_events("prediction_error")
    if y.entry is not None:
        raise DataError(
            "prediction_error takes no delayed entry",
            values={"late entries": int(np.count_nonzero(y.entry))},
            remedy="judge predictions made at time zero",
        )
    moments = times_array(times)
    if (np.diff(moments) <= 0).any():
        raise DataError("times must ascend", values={"times": moments.tolist()})
    predicted = _risks(risk, len(y), moments.size)
    censoring = _Censoring.of(y)
    rows, brier_moved, auc_moved = [], [], []
    for k, t in enumerate(moments):
        case, control = (y.time <= t) & (y.event > 0), y.time > t
        if not case.any() or not control.any():
            raise DataError(
                "at each time there must be cases and controls",
                values={"time": t, "cases": int(case.sum()), "controls": int(control.sum())},
                remedy="take times within the follow-up",
            )
        weight = censoring.weights(case, control, float(t))
        brier, moved = _brier(censoring, weight, case, predicted[:, k], float(t))
        flat = float(np.sum(weight[case]) / np.sum(weight))
        null, null_moved = _brier(censoring, weight, case, np.full(len(y), flat), float(t))
        auc, auc_each = _auc(censoring, weight, case, control, predicted[:, k], float(t))
        brier_moved.append(moved)
        auc_moved.append(auc_each)
        se, null_se, auc_se = (
            float(np.sqrt(np.sum(each**2))) for each in (moved, null_moved, auc_each)
        )
        rows.append(
            {
                "time": t,
                "n_case": int(case.sum()),
                "n_control": int(control.sum()),
                "brier": brier,
                "brier_std_error": se,
                "brier_lower": max(brier - z * se, 0.0),
                "brier_upper": min(brier + z * se, 1.0),
                "brier_null": null,
                "brier_null_std_error": null_se,
                "scaled_brier": 1.0 - brier / null,
                "auc": auc,
                "auc_std_error": auc_se,
                "auc_lower": max(auc - z * auc_se, 0.0),
                "auc_upper": min(auc + z * auc_se, 1.0),
            }
        )
    table = pd.DataFrame(rows)
    held = np.concatenate([[0.0], table["brier"].to_numpy()[:-1]])
    area = np.cumsum(held * np.diff(moments, prepend=0.0))
    table.insert(10, "integrated_brier", area / moments)
    return PredictionError(
        table=table,
        brier_influence=np.stack(brier_moved, axis=1),
        auc_influence=np.stack(auc_moved, axis=1),
        level=level,
    )


def _risks(risk: Any, n: int, k: int) -> Floats:
    array = np.asarray(risk, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.shape != (n, k):
        raise DataError(
            "risk must have one row per outcome and one column per time",
            values={"shape": array.shape, "outcomes": n, "times": k},
        )
    bad = np.flatnonzero(~((array >= 0) & (array <= 1)).all(axis=1))
    if bad.size:
        raise DataError(
            "risk must be a probability",
            count=int(bad.size),
            row=int(bad[0]),
            values={"risk": array[bad[0]].tolist()},
            remedy="pass 1 - predicted survival",
        )
    return array


@dataclass(frozen=True, eq=False)
class _Censoring:
    """The curve of censoring, and how persons move it."""

    y: Outcome
    grid: Floats
    place: NDArray[np.int64]
    survival: Floats
    gained: Floats
    step: Floats

    @classmethod
    def of(cls, y: Outcome) -> _Censoring:
        grid, place = np.unique(y.time, return_inverse=True)
        lost = np.bincount(place, weights=y.event == 0)
        died = np.bincount(place, weights=y.event > 0)
        risk = np.cumsum((lost + died)[::-1])[::-1] - died
        hazard = np.divide(lost, risk, out=np.zeros(grid.size), where=lost > 0)
        scale = risk * (1.0 - hazard)
        inverse = np.divide(1.0, scale, out=np.zeros(grid.size), where=scale > 0)
        return cls(
            y,
            grid,
            place,
            np.asarray(np.cumprod(1.0 - hazard), dtype=np.float64),
            inverse,
            np.cumsum(hazard * inverse),
        )

    def before(self, place: NDArray[np.int64]) -> Floats:
        """G just before the grid times of given numbers."""
        return np.concatenate([[1.0], self.survival])[place]

    def weights(self, case: NDArray[np.bool_], control: NDArray[np.bool_], t: float) -> Floats:
        last = int(np.searchsorted(self.grid, t, side="right"))
        out = np.zeros(len(self.y))
        out[case] = 1.0 / self.before(self.place[case])
        out[control] = 1.0 / self.before(np.array([last]))[0]
        return out

    def carried(self, amount: Floats, case: NDArray[np.bool_], t: float) -> Floats:
        r"""Σ_i amount_i ∂log(1/G)/∂w_j for each j, G at T_i- for cases and at t for the rest."""
        last = int(np.searchsorted(self.grid, t, side="right"))
        at = np.where(case, self.place, last)
        mass = np.bincount(at, weights=amount, minlength=self.grid.size + 1)
        # later[k]: amounts that use G beyond grid time k.
        later = np.concatenate([np.cumsum(mass[::-1])[::-1], [0.0]])[1:-1]
        lost = self.y.event == 0
        increments = np.diff(self.step, prepend=0.0) * later
        cumulated = np.cumsum(increments)
        # A person with the event leaves the risk set of censoring just before it.
        through = np.concatenate([[0.0], cumulated])[np.where(lost, self.place + 1, self.place)]
        own = np.where(lost, (self.gained * later)[self.place], 0.0)
        return np.asarray(own - through)


def _brier(
    censoring: _Censoring, weight: Floats, case: NDArray[np.bool_], risk: Floats, t: float
) -> tuple[float, Floats]:
    n = risk.size
    residual = weight * (case - risk) ** 2
    score = float(np.mean(residual))
    return score, (residual - score + censoring.carried(residual, case, t)) / n


def _auc(
    censoring: _Censoring,
    weight: Floats,
    case: NDArray[np.bool_],
    control: NDArray[np.bool_],
    risk: Floats,
    t: float,
) -> tuple[float, Floats]:
    """AUC and its influence, by ranks."""
    cases, controls = np.flatnonzero(case), np.flatnonzero(control)
    better = np.zeros(risk.size)
    better[cases] = _beaten(risk[cases], risk[controls], weight[controls])
    better[controls] = _beaten(-risk[controls], -risk[cases], weight[cases])
    total_case, total_control = weight[case].sum(), weight[control].sum()
    pairs = total_case * total_control
    auc = float(np.sum(weight[cases] * better[cases]) / pairs)
    opposite = np.where(case, total_control, np.where(control, total_case, 0.0))
    own = weight * (better - auc * opposite) / pairs
    return auc, own + censoring.carried(own, case, t)


def _beaten(ours: Floats, theirs: Floats, weight: Floats) -> Floats:
    """Weight of those with a lower value, half of those with an equal one."""
    order = np.argsort(theirs, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    below = total[np.searchsorted(theirs[order], ours, side="left")]
    upto = total[np.searchsorted(theirs[order], ours, side="right")]
    return np.asarray((below + upto) / 2.0)
