r"""How sure a recommendation is: probability of being best, regret, value of perfect information.

Over B draws of the kernels and the candidates D (the union of each draw's K best sequences):

.. math:: \mathrm{EVPI}=\frac1B\sum_b\max_{d\in D}V_b(d)-\max_{d\in D}\frac1B\sum_bV_b(d),\qquad
          \mathrm{regret}_b(d)=\max_{d'\in D}V_b(d')-V_b(d).

That the best of many estimates is too good to be true (the winner's curse) is not cured by splitting
draws: they all come from the same patients. :func:`split_report` chooses on some patients and reports
on others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import normal_quantile
from fiac_survival.core.results import Result
from fiac_survival.core.threads import single_threaded_blas
from fiac_survival.sequence.fixed import ARROW, extend, finish, start
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.objectives import Problem, make_problem
from fiac_survival.sequence.solution import NOTE

if TYPE_CHECKING:
    from fiac_survival.sequence.fixed import Prefix

Floats = NDArray[np.float64]


@single_threaded_blas
def values_of(
    model: SequenceModel, sequences: Sequence[Sequence[str]], group: str, **options: Any
) -> Floats:
    """Values of many fixed sequences, exactly; what they have in common is computed once.

    Parameters
    ----------
    model : SequenceModel
        The model.
    sequences : sequence of sequence of str
        One regimen a line each.
    group : str
        Group in which line 1 starts.
    **options
        Objective, as in :meth:`SequenceModel.solve`.

    Returns
    -------
    (n,) float64
        In the reported unit; NaN where a regimen is not allowed.

    Raises
    ------
    DataError
        If a sequence has another length or an unknown regimen.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> model = fs.sequence.examples.textbook()
    >>> values = fs.sequence.values_of(model, [("A", "B"), ("B", "A")], "all")
    >>> bool(abs(values[1] - model.value_of(("B", "A"), "all")) < 1e-12)
    True
    """
    g = model.group_index(group)
    index = []
    for sequence in sequences:
        if isinstance(sequence, str) or len(sequence) != model.n_lines:
            raise DataError(
                "a sequence must name one regimen a line",
                values={"lines": model.n_lines, "sequence": sequence},
            )
        index.append(tuple(model.regimen_index(name) for name in sequence))
    problem = make_problem(model, **options)
    return _values(model, problem, index, g)


def _values(
    model: SequenceModel, problem: Problem, sequences: Sequence[tuple[int, ...]], group: int
) -> Floats:
    out = np.full(len(sequences), np.nan)
    # In lexical order neighbours share the longest beginnings: a stack holds those of the last.
    stack: list[Prefix | None] = [start(model, problem, group)]
    before: tuple[int, ...] = ()
    for i in sorted(range(len(sequences)), key=lambda i: sequences[i]):
        sequence = sequences[i]
        common = 0
        while common < len(before) and before[common] == sequence[common]:
            common += 1
        del stack[common + 1 :]
        for regimen in sequence[common:]:
            prefix = stack[-1]
            stack.append(None if prefix is None else extend(model, problem, prefix, regimen))
        before = sequence
        if stack[-1] is not None:
            out[i] = problem.report(finish(problem, stack[-1]), group, problem.horizon)
    return out


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Uncertainty(Result):
    """What the uncertainty of the kernels does to the recommendation.

    Attributes
    ----------
    table : DataFrame
        One row a candidate, the best on average first: sequence, value (mean over the draws), std_dev,
        lower, upper (quantiles), probability of being best, its Monte Carlo interval, mean regret.
    regret : DataFrame
        sequence, mean, q05, q25, median, q75, q95.
    sequences : list of tuple of str
        The candidates, in the order of the table.
    values : (B, n) float64
        Value of each candidate in each draw.
    evpi, evpi_error : float
        Expected value of perfect information about the kernels, and its Monte Carlo standard error.
    optimal : (B,) float64
        Value of each draw's own best sequence.
    group : str
        Group in which line 1 starts.
    """

    regret: pd.DataFrame
    sequences: list[tuple[str, ...]]
    values: Floats = field(repr=False)
    evpi: float
    evpi_error: float
    optimal: Floats = field(repr=False)
    group: str
    simulated: bool
    note: str = NOTE + " The value of the best candidate is optimistic; see split_report."

    @property
    def probabilities(self) -> pd.DataFrame:
        """Probability of each candidate of being best: sequence, probability, lower, upper."""
        columns = ["sequence", "probability", "probability_lower", "probability_upper"]
        names = {"probability_lower": "lower", "probability_upper": "upper"}
        return self.table[columns].rename(columns=names)


def uncertainty(
    draws: Iterable[SequenceModel],
    *,
    group: str | None = None,
    k: int = 10,
    candidates: Sequence[Sequence[str]] = (),
    level: float = 0.95,
    threads: int | None = None,
    progress: Any = None,
    **options: Any,
) -> Uncertainty:
    """Carry the uncertainty of the kernels through to the choice of a sequence.

    Parameters
    ----------
    draws : KernelDraws, or iterable of SequenceModel that can be gone through twice
        Models of the same regimens.
    group : str, optional
        Group in which line 1 starts; may be left out if there is one.
    k : int, default 10
        Best sequences of each draw that become candidates.
    candidates : sequence of sequence of str
        Further candidates.
    level : float, default 0.95
        Confidence level.
    threads : int, optional
        For solving.
    progress : callable, optional
        Called with (draws done, draws in all).
    **options
        Objective, as in :meth:`SequenceModel.solve`.

    Returns
    -------
    Uncertainty
        Probability of being best, regret, value of perfect information.

    Raises
    ------
    DataError
        If there are fewer than two draws or no sequence is allowed.

    References
    ----------
    Claxton K. J Health Econ 1999;18:341-364.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> lines, formulary = fs.sequence.examples.cohort(800, seed=1)
    >>> kernels = fs.sequence.estimate_kernels(
    ...     lines, formulary, confounders=["frail"], unit="steps", simulated=True)
    >>> found = fs.sequence.uncertainty(kernels.draws(20, seed=1), group="high risk", k=3)
    >>> bool(abs(found.table["probability"].sum() - 1) < 1e-12)
    True
    """
    if isinstance(draws, Sized) and len(draws) < 2:
        raise DataError("there must be two draws or more", values={"draws": len(draws)})
    total = len(draws) if isinstance(draws, Sized) else None
    found: dict[tuple[str, ...], None] = {tuple(c): None for c in candidates}
    optimal = []
    model: SequenceModel | None = None
    for b, model in enumerate(draws):
        best = model.best_sequences(k, model.only_group(group), threads=threads, **options)
        optimal.append(float(best.table["value"].iloc[0]))
        found.update(dict.fromkeys(best.sequences))
        if progress is not None:
            progress(b + 1, None if total is None else 2 * total)
    if model is None or len(optimal) < 2:
        raise DataError("there must be two draws or more", values={"draws": len(optimal)})
    name = model.only_group(group)
    sequences = sorted(found)
    values = []
    for b, each in enumerate(draws):
        values.append(values_of(each, sequences, name, **options))
        if progress is not None:
            progress(len(optimal) + b + 1, None if total is None else 2 * total)
    matrix = np.array(values)
    if matrix.shape[0] != len(optimal):
        raise DataError(
            "draws must be such that they can be gone through twice",
            values={"first": len(optimal), "then": matrix.shape[0]},
            remedy="pass a list, or KernelDraws",
        )
    sign = -1.0 if options.get("objective") == "cost" else 1.0
    return _summary(matrix, sequences, np.array(optimal), name, level, model, sign)


def _summary(
    matrix: Floats,
    sequences: list[tuple[str, ...]],
    optimal: Floats,
    group: str,
    level: float,
    model: SequenceModel,
    sign: float,
) -> Uncertainty:
    allowed = np.asarray(~np.isnan(matrix).any(axis=0))
    matrix, sequences = (
        matrix[:, allowed],
        [s for s, ok in zip(sequences, allowed, strict=True) if ok],
    )
    if not sequences:
        raise DataError("a candidate must be allowed in every draw", values={"allowed": 0})
    # A cost is small where it is best: gains are values times the sign.
    order = np.argsort(-sign * matrix.mean(axis=0), kind="stable")
    matrix, sequences = matrix[:, order], [sequences[i] for i in order]
    n_draws = matrix.shape[0]
    gain_of = sign * matrix
    top = gain_of.max(axis=1)
    is_best = gain_of >= top[:, None] - 1e-12
    share = is_best / is_best.sum(axis=1, keepdims=True)
    probability = share.mean(axis=0)
    regret = top[:, None] - gain_of
    gain = top - gain_of[:, 0]
    z = normal_quantile(level)
    centre = (probability + z**2 / (2 * n_draws)) / (1 + z**2 / n_draws)
    half = np.sqrt(probability * (1 - probability) / n_draws + z**2 / (4 * n_draws**2))
    half *= z / (1 + z**2 / n_draws)
    names = [ARROW.join(s) for s in sequences]
    tail = (1 - level) / 2
    table = pd.DataFrame(
        {
            "sequence": names,
            "value": matrix.mean(axis=0),
            "std_dev": matrix.std(axis=0, ddof=1),
            "lower": np.quantile(matrix, tail, axis=0),
            "upper": np.quantile(matrix, 1 - tail, axis=0),
            "probability": probability,
            "probability_lower": np.maximum(centre - half, 0.0),
            "probability_upper": np.minimum(centre + half, 1.0),
            "regret": regret.mean(axis=0),
        }
    )
    by_quantile = {
        label: np.quantile(regret, q, axis=0)
        for label, q in (
            ("q05", 0.05),
            ("q25", 0.25),
            ("median", 0.5),
            ("q75", 0.75),
            ("q95", 0.95),
        )
    }
    return Uncertainty(
        table=table,
        regret=pd.DataFrame({"sequence": names, "mean": regret.mean(axis=0), **by_quantile}),
        sequences=sequences,
        values=matrix,
        evpi=float(gain.mean()),
        evpi_error=float(gain.std(ddof=1) / np.sqrt(n_draws)),
        optimal=optimal,
        group=group,
        simulated=model.simulated,
    )
