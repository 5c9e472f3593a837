"""Closed forms: geometric lines, exponential and Erlang times, and the tunnel-state decision process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import gamma, nbinom

import fiac_survival as fs
from benchmarks.tunnel_states import Process
from fiac_survival.sequence import SequenceModel
from tests.sequence.naive import random_model
from tests.sequence.outside import by_quantecon_outside


@pytest.mark.parametrize("n_lines", [1, 2, 5])
def test_geometric_lines_are_negative_binomial(n_lines):
    """With equal hazards the number of lines ended after t steps is negative binomial."""
    onward, death, steps = 0.11, 0.0, 40
    salvage = 0.25
    model = fs.sequence.examples.geometric(
        {"A": (onward, death)}, n_lines=n_lines, n_steps=steps, salvage=salvage
    )
    # Time of the n-th ending: n + a negative binomial number of failures.
    ends = np.zeros(steps + 1)
    t = np.arange(n_lines, steps + 1)
    ends[n_lines:] = nbinom.pmf(t - n_lines, n_lines, onward)
    lived = 0.0
    for tau, p in enumerate(ends):
        left = steps - tau
        after = sum((1 - salvage) ** (u - 1) * (1 - 0.5 * salvage) for u in range(1, left + 1))
        lived += p * (tau + after)
    lived += (1 - ends.sum()) * steps
    assert model.solve().value("all") == pytest.approx(lived, abs=1e-10)
    assert model.solve(objective="milestone", at=steps).value("all") == pytest.approx(
        1 - ends.sum() + sum(p * (1 - salvage) ** (steps - tau) for tau, p in enumerate(ends)),
        abs=1e-12,
    )


def test_geometric_lines_with_death():
    """Two lines with equal hazards of death: life is geometric whatever the order."""
    death, steps = 0.04, 60
    model = fs.sequence.examples.geometric(
        {"A": (0.1, death), "B": (0.3, death)}, n_lines=2, n_steps=steps, salvage=death
    )
    lived = sum((1 - death) ** (u - 1) * (1 - 0.5 * death) for u in range(1, steps + 1))
    assert model.solve().value("all") == pytest.approx(lived, abs=1e-10)
    for sequence in (["A", "B"], ["B", "A"]):
        assert model.value_of(sequence, "all") == pytest.approx(lived, abs=1e-10)


def discretised(cdf, death_share, step, horizon):
    """Kernel of a continuous time to the end of a line."""
    edges = np.arange(0, horizon + step / 2, step)
    mass = np.diff(cdf(edges))
    return mass * (1 - death_share), mass * death_share


def chain_of_lines(shape, step, horizon=48.0):
    """Three lines whose times are Erlang(shape); a share of endings is death."""
    kernels = [
        discretised(lambda t, m=mean: gamma.cdf(t, shape, scale=m / shape), share, step, horizon)
        for mean, share in ((14.0, 0.2), (9.0, 0.4), (6.0, 0.7))
    ]
    n = len(kernels[0][0])
    next_prob = np.stack([k[0] for k in kernels])[:, None, None, None]
    death_prob = np.stack([k[1] for k in kernels])[:, None, None, None]
    salvage = np.diff(-np.exp(-np.arange(0, horizon + step / 2, step) / 4.0))[None]
    return SequenceModel(
        [], ["A"], [0], np.ones((3, 1, 1), bool), ["all"], next_prob, death_prob, salvage[:, :n],
        step_months=step,
    )  # fmt: skip


def continuous(shape, horizon=48.0):
    """The same in continuous time, by integration on a fine grid of convolutions."""
    fine = 0.0025
    grid = np.arange(0, horizon + fine / 2, fine)
    arrive = np.zeros_like(grid)
    arrive[0] = 1 / fine  # density of starting line 1: all at 0
    lived = 0.0
    for mean, share in ((14.0, 0.2), (9.0, 0.4), (6.0, 0.7)):
        survival = gamma.sf(grid, shape, scale=mean / shape)
        area = np.concatenate([[0], np.cumsum((survival[1:] + survival[:-1]) / 2 * fine)])
        lived += float(np.sum(arrive * area[::-1]) * fine)
        density = gamma.pdf(grid, shape, scale=mean / shape) * (1 - share)
        if shape == 1:
            density[0] /= 2
        size = 2 * grid.size
        spectrum = np.fft.rfft(arrive, size) * np.fft.rfft(density, size)
        arrive = np.fft.irfft(spectrum, size)[: grid.size] * fine
    area = 4.0 * (1 - np.exp(-grid / 4.0))
    return lived + float(np.sum(arrive * area[::-1]) * fine)


@pytest.mark.parametrize("shape", [1, 3])
def test_the_error_halves_with_the_step(shape):
    truth = continuous(shape)
    errors = [
        abs(chain_of_lines(shape, step).solve().value("all") - truth)
        for step in (2.0, 1.0, 0.5, 0.25)
    ]
    ratios = [a / b for a, b in itertools.pairwise(errors)]
    assert all(1.7 < ratio < 2.4 for ratio in ratios), (errors, ratios)


def test_exponential_single_line():
    """One line and no salvage: the discretised mean is exact to the square of the step."""
    mean, horizon = 10.0, 30.0
    truth = quad(lambda t: np.exp(-t / mean), 0, horizon)[0]
    for step in (1.0, 0.5):
        _, death = discretised(lambda t: 1 - np.exp(-t / mean), 1.0, step, horizon)
        n = death.size
        model = SequenceModel(
            [], ["A"], [0], np.ones((1, 1, 1), bool), ["g"], np.zeros((1, 1, 1, 1, n)),
            death[None, None, None, None], np.zeros((1, n)), step_months=step,
        )  # fmt: skip
        assert abs(model.solve().value("g") - truth) < 0.01 * step**2


# --- the same as a Markov decision process ------------------------------------------------------


def tunnel_states(model, group):
    """A finite-horizon decision process with tunnel states: time in the line becomes the state.

    A decision state (line, exposed) chooses a regimen and lives through its first step; a tunnel state
    (line, place, regimen, u) lives through step u.
    """
    m = model
    names = {}

    def number(key):
        return names.setdefault(key, len(names))

    dead, steps = number("dead"), m.n_steps
    todo, moves = [("decide", 0, 0)], {}
    number(todo[0])
    while todo:
        key = todo.pop()
        kind, line, place = key[:3]
        if kind == "salvage":
            u = place
            s = 1 - m.salvage_death[group, : u - 1].sum()
            d = m.salvage_death[group, u - 1] / s if s > 1e-15 else 1.0
            following = ("salvage", line, u + 1)
            options = [(0, d, [(following, 1 - d)] if u < steps else [("gone", 1 - d)])]
        elif kind == "decide":
            states = m.states.lines[line]
            options = [
                (a, *step(m, line, place, a, group, 1))
                for a in range(len(m.regimens))
                if m.allowed[line, a, group] and states.after[place, a] >= 0
            ]
        else:
            a, u = key[3:]
            options = [(a, *step(m, line, place, a, group, u))]
        moves[key] = options
        for _, _, targets in options:
            for target, _ in targets:
                if target not in names and target != "gone":
                    number(target)
                    todo.append(target)
    return names, moves, dead


def step(m, line, place, a, g, u):
    """One step: probability of death, and the other targets."""
    states = m.states.lines[line]
    h = int(states.level[place, a])
    n, d = m.next_prob[line, a, g, h], m.death_prob[line, a, g, h]
    s = 1 - (n[: u - 1] + d[: u - 1]).sum()
    if s < 1e-15:
        return 1.0, []
    target = (
        ("salvage", 0, 1)
        if line + 1 == m.n_lines
        else ("decide", line + 1, int(states.after[place, a]))
    )
    stay = ("tunnel", line, place, a, u + 1) if u < m.n_steps else "gone"
    out = [(target, n[u - 1] / s), (stay, 1 - (n[u - 1] + d[u - 1]) / s)]
    return d[u - 1] / s, [(t, p) for t, p in out if p > 0]


def pairs_of(model, group):
    """State-action pairs with rewards and transitions, as libraries want them."""
    from scipy.sparse import csr_matrix

    names, moves, dead = tunnel_states(model, group)
    size = len(names)
    state, action, reward, rows, columns, mass = [dead], [0], [0.0], [0], [dead], [1.0]
    for key, options in sorted(moves.items(), key=lambda item: names[item[0]]):
        for a, d, targets in options:
            pair = len(state)
            state.append(names[key])
            action.append(a)
            reward.append(1.0 - 0.5 * d)
            rows.append(pair)
            columns.append(dead)
            mass.append(d)
            for target, p in targets:
                rows.append(pair)
                columns.append(dead if target == "gone" else names[target])
                mass.append(p)
    q = csr_matrix((mass, (rows, columns)), shape=(len(state), size))
    return np.array(reward), q, np.array(state), np.array(action), names


def test_the_tunnel_state_decision_process():
    models = [
        random_model(seed, n_steps=6, n_classes=3, n_regimens=4, n_lines=3) for seed in (0, 1, 2)
    ]
    processes = []
    for model in models:
        for g in range(len(model.groups)):
            reward, q, state, action, names = pairs_of(model, g)
            order = np.lexsort((action, state))
            start = names["decide", 0, 0]
            processes.append(
                Process(reward[order], q[order], state[order], action[order], start, model.n_steps)
            )
    values = iter(by_quantecon_outside(processes))
    for model in models:
        solution = model.solve()
        for group in model.groups:
            theirs = next(values)
            assert solution.value(group) == pytest.approx(theirs[-1], abs=1e-10)
            for left in range(model.n_steps + 1):
                ours = solution.value(group, remaining=left)
                assert ours == pytest.approx(theirs[left], abs=1e-10)
