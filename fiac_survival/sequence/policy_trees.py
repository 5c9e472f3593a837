"""A policy that people can read: a shallow tree, with what it costs against the optimum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.results import Result
from fiac_survival.kernels.sequences import NO_ACTION
from fiac_survival.sequence.budget import shares_of_groups
from fiac_survival.sequence.model import SequenceModel
from fiac_survival.sequence.policies import Actions, arrivals, follow
from fiac_survival.sequence.recommendation import action_values
from fiac_survival.sequence.solution import NOTE, Solution

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class PolicyTree(Result):
    """A policy that a person can read.

    Attributes
    ----------
    table : DataFrame
        node, parent (missing at the root), condition (how it is reached from its parent), regimen (of
        leaves), share of the decisions under the optimal policy, loss (mean loss of one decision by the
        leaf's regimen, or by the leaves below).
    value, optimal, loss : float
        Exact value of the tree's policy over the mix of groups, the optimum, and their difference.
    actions : list of (G, n, T+1) uint8
        The policy, as :func:`fiac_survival.sequence.policy_value` and ``simulate`` take it.
    unit : str
        Of value, optimal and loss.
    seen : float
        Share of the optimal policy's decisions that the tree was fitted to.
    simulated : bool
        Whether the kernels come from simulated data.
    """

    value: float
    optimal: float
    loss: float
    actions: Actions = field(repr=False)
    unit: str
    seen: float
    simulated: bool
    note: str = NOTE


class _Features:
    """What a tree may ask about."""

    def __init__(self, model: SequenceModel, *, remaining: bool) -> None:
        self.model = model
        self.names: list[tuple[str, str]] = [("line", "")]
        self.names += [("remaining", "")] if remaining else []
        self.names += [("group", g) for g in model.groups] if len(model.groups) > 1 else []
        self.names += [("exposed", c) for c in model.classes]
        if model.next_refractory is not None:
            self.names += [("refractory", c) for c in model.classes]

    def rows(self, line: int, group: int, place: Ints, remaining: Ints) -> NDArray[np.float32]:
        """Describe decisions by numbers."""
        states, n = self.model.states.lines[line], place.size
        out = np.empty((n, len(self.names)), dtype=np.float32)
        for j, (kind, name) in enumerate(self.names):
            if kind == "line":
                out[:, j] = line + 1
            elif kind == "remaining":
                out[:, j] = remaining * self.model.step_months
            elif kind == "group":
                out[:, j] = self.model.groups[group] == name
            else:
                mask = states.exposed if kind == "exposed" else states.refractory
                out[:, j] = mask[place] >> self.model.classes.index(name) & 1
        return out

    def condition(self, feature: int, threshold: float, *, below: bool) -> str:
        """Say in words how a split is answered."""
        kind, name = self.names[feature]
        if kind == "line":
            edge = int(np.floor(threshold))
            if below:
                return "line 1" if edge == 1 else f"line {edge} or earlier"
            last = edge + 1 == self.model.n_lines
            return f"line {edge + 1}" if last else f"line {edge + 1} or later"
        if kind == "remaining":
            sign = "≤" if below else ">"
            return f"months to the horizon {sign} {threshold:g}"
        if kind == "group":
            return f"group is {'not ' if below else ''}{name}"
        word = "exposed to" if kind == "exposed" else "refractory to"
        return f"{'not ' if below else ''}{word} {name}"


def policy_tree(
    solution: Solution,
    *,
    leaves: int = 8,
    depth: int = 4,
    remaining: bool = False,
    mix: Mapping[str, float] | None = None,
    most: int = 20_000,
) -> PolicyTree:
    """Explain an optimal policy by a shallow tree, with the loss that it costs.

    Decisions are weighted by how often the optimal policy comes to them. A leaf gives the regimen with the
    smallest mean loss, or the next best one where a patient may not have it. The tree's policy is then
    evaluated exactly.

    Parameters
    ----------
    solution : Solution
        Optimal policy.
    leaves : int, default 8
        Most leaves.
    depth : int, default 4
        Most questions in a row.
    remaining : bool, default False
        Whether the tree may ask how many months remain to the horizon: a property of the analysis, not of
        the patient.
    mix : mapping, optional
        Share of each group; equal shares by default.
    most : int, default 20000
        Decisions to fit to, the most frequent (and those as frequent as the last).

    Returns
    -------
    PolicyTree
        The tree.

    Raises
    ------
    DataError
        If leaves, depth or most are too few, or the shares do not add to 1.

    References
    ----------
    Breiman L et al. Classification and Regression Trees. Wadsworth, 1984 (on the vector of losses).

    Examples
    --------
    >>> import fiac_survival as fs
    >>> tree = fs.sequence.policy_tree(fs.sequence.examples.textbook().solve(), leaves=2)
    >>> tree.loss < 0.01
    True
    """
    from sklearn.tree import DecisionTreeRegressor

    if leaves < 2 or depth < 1:
        raise DataError(
            "a tree must have two leaves and one question or more",
            values={"leaves": leaves, "depth": depth},
        )
    if most < 1:
        raise DataError("a tree must be fitted to one decision or more", values={"most": most})
    model = solution.model
    shares = shares_of_groups(model, mix)
    features = _Features(model, remaining=remaining)
    x, loss, weight, seen = _decisions(solution, shares, features, most)
    tree = DecisionTreeRegressor(max_leaf_nodes=leaves, max_depth=depth, random_state=0)
    tree.fit(x, loss, sample_weight=weight)
    ranking, merged = _rankings(tree, x, loss, weight)
    actions = _tree_actions(solution, features, tree, ranking, merged)
    value = follow(model, solution.problem, actions)
    total = sum(s * value.of_group(g) for g, s in enumerate(shares) if s > 0)
    optimal = sum(s * solution.value(model.groups[g]) for g, s in enumerate(shares) if s > 0)
    return PolicyTree(
        table=_tree_table(tree, features, model, x, loss, weight, ranking, solution.problem.factor),
        value=total,
        optimal=optimal,
        loss=abs(optimal - total),
        actions=actions,
        unit=solution.problem.unit,
        seen=seen,
        simulated=model.simulated,
    )


def _decisions(
    solution: Solution, shares: Sequence[float], features: _Features, most: int
) -> tuple[Any, Floats, Floats, float]:
    """Decisions that the optimal policy comes to: features, losses of all regimens, weights."""
    model, horizon = solution.model, solution.problem.horizon
    found: list[tuple[float, int, int, int, int]] = []
    by_line: list[Floats] = []
    for g, share in enumerate(shares):
        if share <= 0:
            continue
        for line, arrival in enumerate(arrivals(model, solution.actions, g, horizon)[:-1]):
            arrival[..., horizon] = 0.0  # no time remains: nothing to decide
            if line == len(by_line):
                by_line.append(np.zeros_like(arrival))
            by_line[line] += share * arrival
    flat = np.concatenate([a.ravel() for a in by_line])
    total = np.sort(flat)[::-1]
    floor = max(total[min(most, total.size) - 1], 1e-15)
    for line, arrival in enumerate(by_line):
        for g, place, tau in np.argwhere(arrival >= floor):
            found.append(
                (float(arrival[g, place, tau]), line, int(g), int(place), horizon - int(tau))
            )
    rows, losses, weights = [], [], []
    cache: dict[tuple[int, int, int], Floats] = {}
    for weight, line, g, place, r in found:
        key = (line, g, place)
        if key not in cache:
            cache[key] = action_values(solution, line, g, place)
        q = cache[key][:, r]
        lost = q[np.isfinite(q)].max() - q
        worst = lost[np.isfinite(lost)].max()
        losses.append(np.where(np.isfinite(lost), lost, 2.0 * worst))
        weights.append(weight)
        rows.append(features.rows(line, g, np.array([place]), np.array([r]))[0])
    w = np.array(weights)
    return np.array(rows), np.array(losses), w, float(w.sum() / flat.sum())


def _rankings(
    tree: Any, x: Any, loss: Floats, weight: Floats
) -> tuple[dict[int, Ints], dict[int, int]]:
    """Rank the regimens of each leaf by mean loss, the lowest index first in a tie.

    Two leaves with one parent and the same first regimen become one. The second answer says, for each
    leaf of the fit, the node that stands for it.
    """
    t, passed = tree.tree_, tree.decision_path(x).tocsc()
    ranking: dict[int, Ints] = {}
    merged: dict[int, int] = {}

    def rank(node: int) -> None:
        here = passed[:, node].indices
        mean = np.average(loss[here], axis=0, weights=weight[here])
        ranking[node] = np.argsort(np.round(mean, 12), kind="stable")

    def visit(node: int) -> list[int]:
        if t.children_left[node] < 0:
            rank(node)
            merged[node] = node
            return [node]
        left, right = int(t.children_left[node]), int(t.children_right[node])
        below = visit(left) + visit(right)
        if left in ranking and right in ranking and ranking[left][0] == ranking[right][0]:
            del ranking[left], ranking[right]
            rank(node)
            merged.update(dict.fromkeys(below, node))
        return below

    visit(0)
    return ranking, merged


def _tree_actions(
    solution: Solution,
    features: _Features,
    tree: Any,
    ranking: dict[int, Ints],
    merged: dict[int, int],
) -> Actions:
    model, horizon = solution.model, solution.problem.horizon
    steps = np.arange(horizon + 1)
    actions: Actions = []
    for line, states in enumerate(model.states.lines):
        action = np.full((len(model.groups), states.size, horizon + 1), NO_ACTION, dtype=np.uint8)
        possible = (states.after >= 0)[:, :, None] & states.usable(model, line)
        for g in range(len(model.groups)):
            reached = np.flatnonzero(states.reached[:, g])
            if reached.size == 0:
                continue
            place = np.repeat(reached, horizon + 1)
            leaf = tree.apply(features.rows(line, g, place, np.tile(steps, reached.size)))
            order = np.array([ranking[merged[int(node)]] for node in np.unique(leaf)])
            of_leaf = order[np.unique(leaf, return_inverse=True)[1]]
            ok = possible[place[:, None], of_leaf, g]
            first = of_leaf[np.arange(place.size), ok.argmax(axis=1)]
            action[g, reached] = first.reshape(reached.size, horizon + 1)
        actions.append(action)
    return actions


def _tree_table(
    tree: Any,
    features: _Features,
    model: SequenceModel,
    x: Any,
    loss: Floats,
    weight: Floats,
    ranking: dict[int, Ints],
    factor: float,
) -> pd.DataFrame:
    t = tree.tree_
    passed = tree.decision_path(x).tocsc()
    rows: list[dict[str, Any]] = []

    def add(node: int, parent: int | None, condition: str) -> None:
        here = passed[:, node].indices
        is_leaf = node in ranking
        regimen, lost = "", float("nan")
        if is_leaf:
            choice = int(ranking[node][0])
            regimen = model.regimens[choice]
            lost = float(np.average(loss[here, choice], weights=weight[here])) * abs(factor)
        rows.append(
            {
                "node": node,
                "parent": parent,
                "condition": condition,
                "regimen": regimen,
                "share": float(weight[here].sum() / weight.sum()),
                "loss": lost,
            }
        )
        if not is_leaf:
            at, edge = int(t.feature[node]), float(t.threshold[node])
            add(int(t.children_left[node]), node, features.condition(at, edge, below=True))
            add(int(t.children_right[node]), node, features.condition(at, edge, below=False))

    add(0, None, "every decision")
    # Inner nodes have the mean loss of the leaves below; children stand after their parents.
    place = {row["node"]: row for row in rows}
    for row in rows:
        if not row["regimen"]:
            row["loss"] = 0.0
    for row in reversed(rows[1:]):
        above = place[row["parent"]]
        above["loss"] += row["loss"] * row["share"] / above["share"]
    return pd.DataFrame(rows).astype({"parent": "Int64"})
