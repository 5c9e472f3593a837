r"""What courses of states look like: how mixed, how changeable, who is where and when.

Of a sequence x of length m over K states, with shares of time :math:`p_a`, n spells of mean duration
:math:`\bar t` and variance :math:`s^2` (divided by n):

- **entropy** :math:`-\sum_a p_a\log p_a/\log K`, from 0 (one state) to 1 (all states equally);
- **turbulence** :math:`\log_2\bigl(\phi\,(s_{\max}^2+1)/(s^2+1)\bigr)`, with :math:`\phi` the number of
  distinct subsequences of the order of spells, the empty one among them, and
  :math:`s_{\max}^2=(n-1)(1-\bar t)^2` (Elzinga and Liefbroer 2007);
- **complexity** :math:`\sqrt{(n-1)/(m-1)\cdot\text{entropy}}` (Gabadinho et al. 2011), 0 if m = 1.

Of all sequences at a step: shares of states among those that are still observed, and their entropy. Over
all steps: mean time in each state, and transition rates (see
`fiac_survival.sequence.substitution_costs`). The conventions are those of R's TraMineR without weights:
``seqient``, ``seqST``, ``seqici``, ``seqstatd``, ``seqmeant``, ``seqtrate``, ``seqtab``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.results import Result
from fiac_survival.sequence.state_codes import Spells, StateSequences, read_states
from fiac_survival.sequence.substitution_costs import overall_transition_rates

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class StateDescription(Result):
    """Description of sequences of states.

    Attributes
    ----------
    table : DataFrame
        One row a sequence: row, length, spells, transitions, entropy, turbulence, complexity.
    states : DataFrame
        One row a state: state, mean_time (steps a sequence), share (of all steps).
    over_time : DataFrame
        One row a step and state: step, state, n, observed, share.
    steps : DataFrame
        One row a step: step, observed, entropy, modal_state.
    transition_rates : DataFrame
        One row a pair of states: from, to, rate.
    frequent : DataFrame
        One row a distinct sequence, the most frequent first (equals: the earlier one): states, n, share.
    """

    states: pd.DataFrame
    over_time: pd.DataFrame
    steps: pd.DataFrame
    transition_rates: pd.DataFrame
    frequent: pd.DataFrame

    def _title(self) -> str:
        return f"State sequences, {len(self.table)}, {len(self.frequent)} distinct"


def describe_state_sequences(
    states: Any, *, alphabet: Sequence[Any] | None = None
) -> StateDescription:
    """Describe sequences of states, one by one and together.

    Parameters
    ----------
    states : DataFrame, 2-D array or list of sequences
        One row a sequence; in a table missing values at the end of a row are beyond its end.
    alphabet : sequence, optional
        The K states; by default those that occur, sorted. Entropy is relative to log K.

    Returns
    -------
    StateDescription
        ``.table``, ``.states``, ``.over_time``, ``.steps``, ``.transition_rates``, ``.frequent``.

    Raises
    ------
    DataError
        If a sequence is empty or has a gap, or a state is unknown.

    References
    ----------
    C. H. Elzinga and A. C. Liefbroer, De-standardization of family-life trajectories of young adults,
    European Journal of Population 23 (2007). A. Gabadinho, G. Ritschard, N. S. Müller and M. Studer,
    Analyzing and visualizing state sequences in R with TraMineR, Journal of Statistical Software 40 (2011).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> found = fs.sequence.describe_state_sequences(["AABB", "ABAB", "AAAA"])
    >>> found.table[["entropy", "turbulence", "complexity"]].round(3).values.tolist()
    [[1.0, 3.0, 0.577], [1.0, 3.585, 1.0], [0.0, 1.0, 0.0]]
    >>> found.states["mean_time"].round(3).tolist()
    [2.667, 1.333]
    """
    s = read_states(states, alphabet=alphabet)
    over_time = _over_time(s)
    names = np.array([*s.alphabet, None], dtype=object)[:-1]
    rates = overall_transition_rates(s)
    k = len(s.alphabet)
    total = over_time.groupby("state", sort=False)["n"].sum().to_numpy()
    return StateDescription(
        table=_each(s),
        states=pd.DataFrame(
            {"state": names, "mean_time": total / s.of_row.size, "share": total / total.sum()}
        ),
        over_time=over_time,
        steps=_steps(over_time, names),
        transition_rates=pd.DataFrame(
            {"from": np.repeat(names, k), "to": np.tile(names, k), "rate": rates.ravel()}
        ),
        frequent=_frequent(s),
    )


def _each(s: StateSequences) -> pd.DataFrame:
    spells = s.spells()
    entropy = shannon(_time_in_states(s))
    moves = spells.count - 1
    complexity = np.sqrt(moves / np.maximum(s.length - 1, 1) * entropy)
    columns: dict[str, NDArray[Any]] = {
        "length": s.length,
        "spells": spells.count,
        "transitions": moves,
        "entropy": entropy,
        "turbulence": turbulence(spells),
        "complexity": complexity,
    }
    table = pd.DataFrame(columns).iloc[s.of_row].reset_index(drop=True)
    table.insert(0, "row", np.arange(s.of_row.size))
    return table


def _time_in_states(s: StateSequences) -> NDArray[np.int64]:
    inside = np.arange(s.code.shape[1]) < s.length[:, None]
    return np.stack([((s.code == a) & inside).sum(axis=1) for a in range(len(s.alphabet))], axis=1)


def shannon(count: NDArray[np.int64]) -> Floats:
    """Entropy of each row of counts, over the logarithm of the number of columns.

    Parameters
    ----------
    count : (n, K) int64
        Counts with a positive sum.

    Returns
    -------
    (n,) float64
        From 0 to 1; 0 if K = 1.
    """
    share = count / count.sum(axis=1, keepdims=True)
    terms = np.where(count > 0, share * np.log(np.where(count > 0, share, 1.0)), 0.0)
    most = np.log(count.shape[1]) if count.shape[1] > 1 else 1.0
    found: Floats = np.abs(terms.sum(axis=1)) / most
    return found


def turbulence(spells: Spells) -> Floats:
    """Find the turbulence of each sequence.

    Parameters
    ----------
    spells : Spells
        Of each sequence.

    Returns
    -------
    (u,) float64
        At least 1.
    """
    n = spells.count.astype(np.float64)
    there = np.arange(spells.steps.shape[1]) < spells.count[:, None]
    mean = spells.steps.sum(axis=1) / n
    variance = np.where(there, (spells.steps - mean[:, None]) ** 2, 0.0).sum(axis=1) / n
    largest = (n - 1.0) * (1.0 - mean) ** 2
    out: Floats = _log2_subsequences(spells) + np.log2((largest + 1.0) / (variance + 1.0))
    return out


def _log2_subsequences(spells: Spells) -> Floats:
    """Logarithm of the number of distinct subsequences, the empty one among them.

    A further state doubles them, less those that its previous occurrence had already made.
    """
    u, longest = spells.state.shape
    found, power = np.ones(u), np.zeros(u)
    before = np.zeros((u, int(spells.state.max()) + 1))
    rows = np.arange(u)
    for t in range(longest):
        at = rows[t < spells.count]
        a = spells.state[at, t]
        now = found[at]
        found[at], before[at, a] = 2.0 * now - before[at, a], now
        large = np.flatnonzero(found > 2.0**900)
        found[large] *= 2.0**-900
        before[large] *= 2.0**-900
        power[large] += 900.0
    out: Floats = np.log2(found) + power
    return out


def _over_time(s: StateSequences) -> pd.DataFrame:
    k, longest = len(s.alphabet), s.code.shape[1]
    count = np.zeros((longest, k), dtype=np.int64)
    for t in range(longest):
        there = s.length > t
        np.add.at(count[t], s.code[there, t], s.count[there])
    kept = count.sum(axis=1) > 0
    step = np.flatnonzero(kept)
    observed = count[kept].sum(axis=1)
    return pd.DataFrame(
        {
            "step": np.repeat(step, k),
            "state": np.tile(np.array([*s.alphabet, None], dtype=object)[:-1], step.size),
            "n": count[kept].ravel(),
            "observed": np.repeat(observed, k),
            "share": (count[kept] / observed[:, None]).ravel(),
        }
    )


def _steps(over_time: pd.DataFrame, names: NDArray[Any]) -> pd.DataFrame:
    count = over_time["n"].to_numpy().reshape(-1, names.size)
    return pd.DataFrame(
        {
            "step": over_time["step"].to_numpy()[:: names.size],
            "observed": count.sum(axis=1),
            "entropy": shannon(count),
            "modal_state": names[np.argmax(count, axis=1)],
        }
    )


def _frequent(s: StateSequences) -> pd.DataFrame:
    table = s.table().sort_values("n", ascending=False, kind="stable", ignore_index=True)
    share = table["n"] / s.of_row.size
    return table[["states", "n"]].assign(share=share)
