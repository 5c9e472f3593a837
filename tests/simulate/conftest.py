"""Simulated programmes that several tests look at."""

from __future__ import annotations

import pytest

import fiac_survival as fs


@pytest.fixture(scope="session")
def programmes():
    """Thirty programmes of the published size."""
    return [fs.simulate.lung_early_access(seed=seed) for seed in range(30)]
