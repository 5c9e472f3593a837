r"""Costs of substituting one state by another.

With p(a, b) the share of steps in state a that are followed by state b, costs from transition rates are

.. math:: c(a, b) = v - p(a,b) - p(b,a), \qquad a \ne b,\; v = 2 ,

and, where they depend on time (dynamic Hamming, Lesnard 2010), with :math:`p_t` the rates from t to t+1,

.. math:: c_t(a, b) = \max\{0,\; v - p_{t-1}(a,b) - p_{t-1}(b,a) - p_t(a,b) - p_t(b,a)\}, \qquad v = 4 ,

where the one term that exists at the first and at the last step counts twice.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.sequence.state_codes import StateSequences

Floats = NDArray[np.float64]


def transition_rates(sequences: StateSequences) -> Floats:
    """Share of steps in each state that are followed by each state.

    Parameters
    ----------
    sequences : StateSequences
        Coded sequences.

    Returns
    -------
    (L - 1, K, K) float64
        Rates from step t to t + 1; 0 where nobody leaves a state.
    """
    return _shares(_counts(sequences))


def overall_transition_rates(sequences: StateSequences) -> Floats:
    """Share of steps in each state that are followed by each state, over all time.

    Parameters
    ----------
    sequences : StateSequences
        Coded sequences.

    Returns
    -------
    (K, K) float64
        Rates.
    """
    return _shares(_counts(sequences).sum(axis=0))


def _counts(sequences: StateSequences) -> NDArray[np.int64]:
    k = len(sequences.alphabet)
    code, steps = sequences.code.astype(np.int64), sequences.code.shape[1]
    out = np.zeros((max(steps - 1, 0), k * k), dtype=np.int64)
    for t in range(steps - 1):
        there = sequences.length > t + 1
        moves = code[there, t] * k + code[there, t + 1]
        np.add.at(out[t], moves, sequences.count[there])
    return out.reshape(-1, k, k)


def _shares(count: NDArray[np.int64]) -> Floats:
    leaving = count.sum(axis=-1, keepdims=True)
    out: Floats = count / np.maximum(leaving, 1)
    return out


def constant_costs(n_states: int, cost: float) -> Floats:
    """One cost for every substitution.

    Parameters
    ----------
    n_states : int
        K.
    cost : float
        The cost.

    Returns
    -------
    (K, K) float64
        0 on the diagonal.
    """
    return np.where(np.eye(n_states, dtype=bool), 0.0, cost)


def costs_from_rates(sequences: StateSequences, base: float) -> Floats:
    """Costs from transition rates.

    Parameters
    ----------
    sequences : StateSequences
        Coded sequences.
    base : float
        v.

    Returns
    -------
    (K, K) float64
        0 on the diagonal.
    """
    rates = overall_transition_rates(sequences)
    out = base - rates - rates.T
    np.fill_diagonal(out, 0.0)
    return out


def costs_over_time(sequences: StateSequences, base: float) -> Floats:
    """Costs from transition rates at each step.

    Parameters
    ----------
    sequences : StateSequences
        Coded sequences of equal length L >= 2.
    base : float
        v.

    Returns
    -------
    (L, K, K) float64
        0 on the diagonals.

    Raises
    ------
    DataError
        If sequences have one step only.
    """
    rates = transition_rates(sequences)
    if rates.shape[0] == 0:
        raise DataError(
            "costs over time need sequences of at least two steps",
            values={"steps": sequences.code.shape[1]},
            remedy="pass substitution costs",
        )
    both = rates + rates.swapaxes(1, 2)
    out = np.empty((both.shape[0] + 1, *both.shape[1:]))
    out[0], out[-1] = base - 2.0 * both[0], base - 2.0 * both[-1]
    out[1:-1] = base - both[:-1] - both[1:]
    out = np.maximum(out, 0.0)
    diagonal = np.arange(out.shape[1])
    out[:, diagonal, diagonal] = 0.0
    return out


def check_costs(costs: Any, shape: tuple[int, ...], alphabet: tuple[Any, ...]) -> Floats:
    """Check substitution costs that were given.

    Parameters
    ----------
    costs : array-like
        Of the shape wanted.
    shape : tuple of int
        (K, K) or (L, K, K).
    alphabet : tuple
        The states, for messages.

    Returns
    -------
    float64 array
        A copy.

    Raises
    ------
    DataError
        If the shape is wrong, a cost is not finite or negative, the diagonal is not 0, or the costs of
        two states differ by direction; the first pair of states is named.
    """
    try:
        array = np.array(costs, dtype=np.float64, order="C")
    except (TypeError, ValueError) as error:
        raise DataError("substitution costs must be numbers", values={"problem": error}) from None
    if array.shape != shape:
        raise DataError(
            "substitution costs must have one row and one column for each state"
            + (" at each step" if len(shape) == 3 else ""),
            values={"shape": array.shape, "needed": shape},
            remedy=f"states: {', '.join(map(str, alphabet))}",
        )
    diagonal = np.eye(shape[-1], dtype=bool)
    for rule, bad, remedy in (
        ("substitution costs must be finite", ~np.isfinite(array), "replace missing costs"),
        ("substitution costs must not be negative", array < 0, "costs are at least 0"),
        ("a state must cost nothing against itself", diagonal & (array != 0), "set it to 0"),
        (
            "substitution costs must be symmetric",
            array != array.swapaxes(-1, -2),
            "use (costs + costs.T) / 2",
        ),
    ):
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            values: dict[str, object] = {"step": at[0]} if len(at) == 3 else {}
            values |= {"from": alphabet[at[-2]], "to": alphabet[at[-1]], "cost": float(array[at])}
            raise DataError(rule, values=values, remedy=remedy)
    return array


def check_indel(indel: Any, costs: Floats, alphabet: tuple[Any, ...]) -> Floats:
    """Check costs of insertion and deletion.

    Parameters
    ----------
    indel : float, (K,) array-like or "auto"
        One cost, or one for each state; "auto" is half the largest substitution cost.
    costs : (K, K) float64
        Substitution costs.
    alphabet : tuple
        The states.

    Returns
    -------
    (K,) float64
        One cost for each state.

    Raises
    ------
    DataError
        If it is none of these, not finite or not positive.
    """
    k = len(alphabet)
    if isinstance(indel, str):
        if indel != "auto":
            raise DataError(
                "indel must be a number, one for each state, or 'auto'", values={"indel": indel}
            )
        indel = float(costs.max()) / 2.0
    try:
        array = np.array(indel, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.full(0, np.nan)
    if array.shape not in {(), (k,)}:
        raise DataError(
            "indel must be a number, one for each state, or 'auto'",
            values={"shape": array.shape, "states": k},
        )
    array = np.broadcast_to(array, (k,)).copy()
    bad = ~(np.isfinite(array) & (array > 0))
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise DataError(
            "insertions and deletions must have a positive cost",
            values={"state": alphabet[first], "indel": float(array[first])},
            remedy="half the usual substitution cost is common",
        )
    return array
