r"""Multiple imputation of covariates by chained equations, with the outcome among the predictors.

Each column with missing values is regressed on all others where it is observed, the coefficients are
drawn from the normal approximation of their distribution, and the missing values are drawn: of a number,
from the donors whose predictions are closest (predictive mean matching); of a category, from its predicted
probabilities (logistic or multinomial regression). This goes round the columns some cycles, in a chain of
its own for each imputation. The engine is statsmodels' ``MICEData``.

The model of a covariate given the outcome must hold the outcome, or effects are pulled to 0. For a model
with proportional hazards, the indicator of the event and the cumulative hazard at the patient's time,
:math:`\hat H(T)-\hat H(\text{entry})` by Nelson and Aalen, do so nearly (White and Royston 2009); with
several causes, one pair each. Values are supposed to be missing at random given what is observed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core import seeds
from fiac_survival.core.errors import ConvergenceError, DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.survival.nelson_aalen import nelson_aalen

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Imputations(Result):
    """Completed tables.

    Attributes
    ----------
    table : DataFrame
        column, kind ("number", "two classes", "classes"), n_missing, share_missing.
    frames : tuple of DataFrame
        One completed table an imputation, with the columns and the index of the original.
    trace : DataFrame
        imputation, cycle, column, mean, sd of the imputed values (codes, for categories): chains that
        have settled show no trend and mix.
    """

    frames: tuple[pd.DataFrame, ...]
    trace: pd.DataFrame

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter(self.frames)

    def map(self, analysis: Callable[[pd.DataFrame], T]) -> list[T]:
        """Analyse every completed table.

        Parameters
        ----------
        analysis : callable
            From a completed table to an estimate.

        Returns
        -------
        list
            For :func:`fiac_survival.survival.pool`.
        """
        return [analysis(frame) for frame in self.frames]


@dataclass(frozen=True, eq=False)
class Column:
    """A column in numbers: itself, or codes of its levels."""

    name: str
    kind: str
    values: Floats
    levels: list[Any] | None


@single_threaded_blas
def multiple_imputation(
    frame: Any,
    *,
    outcome: Outcome | None = None,
    n_imputations: int = 20,
    cycles: int = 10,
    donors: int = 5,
    seed: int = 0,
) -> Imputations:
    """Complete a table of covariates several times.

    Parameters
    ----------
    frame : DataFrame
        Numbers, two or more classes (text, bool, categorical); columns without missing values are
        predictors only. Leave out identifiers.
    outcome : Outcome, optional
        Of these rows: adds event indicators and cumulative hazards to the predictors. Leave it out
        only where no outcome is analysed afterwards.
    n_imputations : int, default 20
        Number of completed tables; at least the percentage of incomplete rows is a common rule.
    cycles : int, default 10
        Rounds of each chain.
    donors : int, default 5
        Closest predictions from which a number is drawn.
    seed : int, default 0
        Root seed.

    Returns
    -------
    Imputations
        Completed tables.

    Raises
    ------
    DataError
        If nothing is missing, or a column is empty, constant or has more than 20 classes.
    ConvergenceError
        If a column's model has no maximum.

    References
    ----------
    White IR, Royston P. Imputing missing covariate values for the Cox model. Stat Med
    2009;28:1982-1998.
    van Buuren S. Flexible Imputation of Missing Data. 2nd edition, CRC Press, 2018.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> frame = fs.datasets.load("gbsg").frame
    >>> x = frame[["age", "grade", "nodes"]].astype(float)
    >>> x.loc[x.index % 4 == 0, "nodes"] = float("nan")
    >>> y = fs.Outcome(frame["rfstime"], frame["status"])
    >>> completed = fs.survival.multiple_imputation(x, outcome=y, n_imputations=3, cycles=2)
    >>> completed.table[["column", "n_missing"]].values.tolist()
    [['age', 0], ['grade', 0], ['nodes', 172]]
    >>> models = completed.map(lambda table: fs.survival.cox(y, table))
    >>> fs.survival.pool(models).table["term"].tolist()
    ['age', 'grade', 'nodes']
    """
    table = frame if isinstance(frame, pd.DataFrame) else nw.from_native(frame).to_pandas()
    for name, value, least in (
        ("n_imputations", n_imputations, 2),
        ("cycles", cycles, 1),
        ("donors", donors, 1),
    ):
        if value < least:
            raise DataError(f"{name} must be at least {least}", values={name: value})
    if outcome is not None and len(outcome) != len(table):
        raise DataError(
            "the outcome must have one row per row of the table",
            values={"rows": len(table), "outcomes": len(outcome)},
            remedy="pass columns of the same table",
        )
    read = [_read(table[name]) for name in table.columns]
    missing = {c.name: np.isnan(c.values) for c in read}
    if not any(m.any() for m in missing.values()):
        raise DataError("something must be missing", remedy="analyse the table as it is")
    alone = np.flatnonzero(np.all(list(missing.values()), axis=0))
    if alone.size and outcome is None:
        raise DataError(
            "a row must have a value in some column",
            count=int(alone.size),
            row=int(alone[0]),
            remedy="drop rows in which everything is missing",
        )
    few = [
        c.name for c in read if 0 < (~missing[c.name]).sum() < 2 * donors and missing[c.name].any()
    ]
    if few:
        raise DataError(
            "an incomplete column must have observed values to draw from",
            values={"column": few[0], "observed": int((~missing[few[0]]).sum())},
            remedy="drop the column, or pass fewer donors",
        )
    predictors = _outcome_columns(outcome)
    frames, traces = [], []
    for k in range(n_imputations):
        rng = seeds.stream(seed, "multiple imputation", k)
        values, trace = _chain(read, predictors, cycles, donors, rng)
        frames.append(_write(table, read, missing, values))
        traces.append(trace.assign(imputation=k))
    trace = pd.concat(traces, ignore_index=True)
    return Imputations(
        table=pd.DataFrame(
            {
                "column": [c.name for c in read],
                "kind": [c.kind for c in read],
                "n_missing": [int(missing[c.name].sum()) for c in read],
                "share_missing": [float(missing[c.name].mean()) for c in read],
            }
        ),
        frames=tuple(frames),
        trace=trace[["imputation", "cycle", "column", "mean", "sd"]],
    )


def _read(column: pd.Series) -> Column:
    name = str(column.name)
    known = column.dropna()
    if known.empty or known.nunique() < 2:
        raise DataError(
            "a column must vary",
            values={"column": name, "distinct values": int(known.nunique())},
            remedy="drop it: it predicts nothing",
        )
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and known.nunique() > 2:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        bad = np.flatnonzero(np.isinf(values))
        if bad.size:
            raise DataError(
                "numbers must be finite", row=int(bad[0]), values={"column": name},
                remedy="code what is missing as missing",
            )  # fmt: skip
        return Column(name, "number", values, None)
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [v for v in column.cat.categories if (known == v).any()]
    else:
        levels = sorted(known.unique(), key=lambda v: (str(type(v)), v))
    if len(levels) > 20:
        raise DataError(
            "a column of classes must have at most 20",
            values={"column": name, "classes": len(levels)},
            remedy="merge classes, or drop an identifier",
        )
    place = {level: float(i) for i, level in enumerate(levels)}
    codes = np.array([np.nan if pd.isna(v) else place[v] for v in column])
    return Column(name, "two classes" if len(levels) == 2 else "classes", codes, levels)


def _outcome_columns(y: Outcome | None) -> dict[str, Floats]:
    out: dict[str, Floats] = {}
    if y is None:
        return out
    for cause in range(1, y.n_causes + 1):
        event = y.event == cause
        if not event.any():
            continue
        hazard = nelson_aalen(Outcome(y.time, event, entry=y.entry))
        grid = hazard.table["time"].to_numpy()
        steps = np.concatenate([[0.0], hazard.table["cumulative_hazard"].to_numpy()])
        spent = steps[np.searchsorted(grid, y.time, side="right")]
        if y.entry is not None:
            before = steps[np.searchsorted(grid, y.entry, side="right")]
            spent = spent - np.where(y.entry > 0, before, 0.0)
        out[f"event{cause}"] = event.astype(np.float64)
        out[f"hazard{cause}"] = spent
    return out


def _chain(
    read: list[Column],
    predictors: dict[str, Floats],
    cycles: int,
    donors: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Floats], pd.DataFrame]:
    """Run one chain: completed columns, and mean and spread of what was imputed in each cycle."""
    from fiac_survival.survival.imputation_chain import ImputationFailure, chain

    names = {c.name: f"v{j}" for j, c in enumerate(read)}
    data = pd.DataFrame({names[c.name]: c.values for c in read} | predictors)
    classes = {names[c.name]: len(c.levels) for c in read if c.levels is not None}
    back = {short: name for name, short in names.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # patsy, within statsmodels, still asks pandas for what pandas has renamed.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        try:
            completed, trace = chain(data, classes, cycles, donors, rng)
        except ImputationFailure as cause:
            raise ConvergenceError(
                "the model of an incomplete column must have a maximum",
                values={"column": back[cause.column]},
                remedy=f"merge rare classes or drop predictors ({cause})",
            ) from cause
    trace["column"] = trace["column"].map(back)
    return {c.name: completed[names[c.name]].to_numpy() for c in read}, trace


def _write(
    table: pd.DataFrame,
    read: list[Column],
    missing: dict[str, NDArray[np.bool_]],
    values: dict[str, Floats],
) -> pd.DataFrame:
    out = table.copy()
    for name, column in zip(table.columns, read, strict=True):
        holes = missing[column.name]
        if not holes.any():
            continue
        drawn = values[column.name][holes]
        filled: Any = drawn
        if column.levels is not None:
            filled = [column.levels[int(code)] for code in drawn]
        out.loc[holes, name] = filled
        if column.levels is not None and all(
            isinstance(v, (bool, np.bool_)) for v in column.levels
        ):
            out[name] = out[name].astype(bool)
    return out
