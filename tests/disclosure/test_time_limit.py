"""An audit that does not come to an end in time says so, and does not pass."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from fiac_survival.core.errors import DataError, DisclosureError
from fiac_survival.disclosure import Cell, LinearOutputs, Released, Sum, audit, feasible

TOTAL, *PARTS = (Cell("all", "n", w) for w in ((), (("k", "a"),), (("k", "b"),), (("k", "c"),)))


def small_table(high: int) -> LinearOutputs:
    """A total of 60; a is 5 and withheld, b is 25 and withheld, c is known to lie in an interval."""
    return LinearOutputs(
        (Released(TOTAL, 60, 60), Released(PARTS[2], 30, high), Released(PARTS[1], 15, 40)),
        (Sum(TOTAL, tuple(PARTS)),),
        {TOTAL: 60, PARTS[0]: 5, PARTS[1]: 25, PARTS[2]: 30},
    )


def stopped(x, bound):
    def solver(goal, **options):
        assert options["options"]["time_limit"] == 3.0
        return SimpleNamespace(
            status=1,
            x=None if x is None else np.array(x, dtype=float),
            mip_dual_bound=bound,
            message="Time limit reached.",
        )

    return solver


def test_no_answer_in_time_is_no_pass(monkeypatch):
    assert audit(small_table(45)).passed
    monkeypatch.setattr(feasible, "milp", stopped(None, None))
    found = audit(small_table(45), seconds=3.0)
    assert not found.passed
    assert found.leaks == ()
    assert found.undecided == (PARTS[0],)
    assert found.table["verdict"].tolist() == ["undecided"]
    assert "1 undecided" in repr(found)
    with pytest.raises(DisclosureError, match=r"in time .*first=n of all \(k a\)"):
        found.require()


def test_what_was_found_until_then_counts_if_it_is_feasible(monkeypatch):
    cells = sorted([TOTAL, *PARTS])
    other = {TOTAL: 60, PARTS[0]: 16, PARTS[1]: 15, PARTS[2]: 29}
    monkeypatch.setattr(feasible, "milp", stopped([other[c] for c in cells], -16.0))
    assert audit(small_table(45), seconds=3.0).undecided == (PARTS[0],)  # 29 is not in 30..45
    other[PARTS[1]], other[PARTS[2]] = 14, 30
    monkeypatch.setattr(feasible, "milp", stopped([other[c] for c in cells], -16.0))
    assert audit(small_table(45), seconds=3.0).undecided == (PARTS[0],)  # 14 is not in 15..40
    loose = small_table(45)
    wider = LinearOutputs(
        (loose.released[0], loose.released[1], Released(PARTS[1], 10, 40)), loose.sums, loose.truth
    )
    monkeypatch.setattr(feasible, "milp", stopped([other[c] for c in cells], -16.0))
    assert audit(wider, seconds=3.0).passed  # 5 and 16 both agree with all


def test_a_bound_that_was_proved_until_then_counts(monkeypatch):
    monkeypatch.setattr(feasible, "milp", stopped(None, -9.0))
    found = audit(small_table(45), seconds=3.0)
    assert found.leaks == (PARTS[0],)  # at most 9, so never 11 apart
    assert found.undecided == ()


def test_a_count_of_an_earlier_release_that_is_not_decided(monkeypatch):
    unknown = LinearOutputs(small_table(45).released, small_table(45).sums)
    assert audit(unknown).passed
    monkeypatch.setattr(feasible, "milp", stopped(None, None))
    assert PARTS[0] in audit(unknown, seconds=3.0).undecided


def test_real_searches_end_at_the_limit():
    """Whatever is decided in a moment, nothing that is not decided passes."""
    rng = np.random.default_rng(3)
    counts = rng.poisson(6.0, (5, 5, 5))
    truth, released, sums = {}, [], []

    def cell(*at):
        return Cell("p", "n", tuple((k, str(i)) for k, i in zip("xyz", at, strict=True) if i >= 0))

    for a in range(5):
        for b in range(5):
            for line in ((a, b, -1), (a, -1, b), (-1, a, b)):
                inside = [tuple(j if i < 0 else i for i in line) for j in range(5)]
                total = int(sum(counts[at] for at in inside))
                truth[cell(*line)] = total
                released.append(Released(cell(*line), total, total))
                sums.append(Sum(cell(*line), tuple(cell(*at) for at in inside)))
                truth |= {cell(*at): int(counts[at]) for at in inside}
    found = audit(LinearOutputs(tuple(released), tuple(sums), truth), seconds=1e-3)
    small = sum(1 <= n < 11 for n in truth.values())
    assert found.n_counts == small
    assert found.passed == (not found.leaks and not found.undecided)
    assert len(found.leaks) + len(found.undecided) <= small
    with pytest.raises(DataError, match="needs time"):
        audit(small_table(45), seconds=0.0)
