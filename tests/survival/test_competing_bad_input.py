"""Bad input to the methods for competing risks and for treatment that starts later."""

from __future__ import annotations

import numpy as np
import pytest

import fiac_survival as fs
from fiac_survival.core.errors import ConvergenceError, DataError

GOOD = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 2, 1, 0, 2, 1])
ONE = fs.Outcome([1, 2, 3, 4, 5, 6], [1, 0, 1, 1, 0, 1])
NONE = fs.Outcome([1, 2, 3], [0, 0, 0])
LATE = fs.Outcome([1, 2, 3, 4], [1, 2, 1, 0], entry=[0, 1, 0, 0])
ARMS = [0, 1, 0, 1, 0, 1]
X = [[0.0], [1.0], [3.0], [0.0], [2.0], [1.0]]
TABLE = fs.survival.RiskTable.from_outcome(GOOD, group=ARMS)
WEIGHTED = fs.survival.RiskTable.from_outcome(ONE, group=ARMS, weights=[1, 2, 1, 1, 2, 1])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: fs.survival.aalen_johansen(NONE), "aalen_johansen needs at least one event"),
        (lambda: fs.survival.aalen_johansen([1, 2]), "takes an Outcome or a RiskTable"),
        (lambda: fs.survival.aalen_johansen(TABLE, group=ARMS), "risk table takes no group"),
        (lambda: fs.survival.aalen_johansen(TABLE, cluster=ARMS), "risk table takes no cluster"),
        (lambda: fs.survival.aalen_johansen(GOOD, weights=[1, 0, 1, 1, 1, 1]), "row 1, weight=0"),
        (lambda: fs.survival.aalen_johansen(GOOD, level=95), "level must lie between"),
        (lambda: fs.survival.aalen_johansen(GOOD, transform="loglog"), "transform must be one of"),
        (lambda: fs.survival.aalen_johansen(GOOD).at(-1), "none negative"),
        (lambda: fs.survival.rmtl(GOOD, tau=0), "tau must be positive"),
        (lambda: fs.survival.rmtl(GOOD, tau=6, group=[1, 1, 0, 0, 1, 1]), "tau=6, last time=4"),
        (lambda: fs.survival.rmtl(GOOD, tau=3, beyond="carry"), "beyond must be one of"),
        (lambda: fs.survival.gray(GOOD, [1] * 6), "gray compares at least two groups"),
        (
            lambda: fs.survival.gray(GOOD, ARMS, cause=3),
            r"event code that occurs.*cause=3.*\[1, 2\]",
        ),
        (lambda: fs.survival.gray(GOOD, ARMS, cause=0), "event code that occurs"),
        (lambda: fs.survival.gray(GOOD, ARMS, cause=True), "event code that occurs"),
        (lambda: fs.survival.gray(GOOD, ARMS, rho=-1), "rho must not be negative"),
        (lambda: fs.survival.gray(LATE, [0, 1, 0, 1]), "neither weights nor delayed entry"),
        (lambda: fs.survival.gray(WEIGHTED), "neither weights nor delayed entry"),
        (lambda: fs.survival.fine_gray(GOOD, X, cause=5), "cause of fine_gray.*cause=5"),
        (lambda: fs.survival.fine_gray(TABLE, X), "regression needs rows"),
        (lambda: fs.survival.fine_gray(GOOD, [[1.0]] * 6), "covariate must vary"),
        (lambda: fs.survival.fine_gray(GOOD, X[:5]), "rows"),
        (lambda: fs.survival.fine_gray(GOOD, X, ties="exact"), "ties must be one of"),
        (lambda: fs.survival.fine_gray(GOOD, X, weight_variance="none"), "weight_variance must be"),
        (lambda: fs.survival.fine_gray(GOOD, X, censoring_ties="first"), "censoring_ties must be"),
        (lambda: fs.survival.fine_gray(GOOD, X, robust=False, cluster=ARMS), "clusters ask for"),
        (lambda: fs.survival.maxcombo(ONE, ["a"] * 6), "at least two groups"),
        (lambda: fs.survival.maxcombo(ONE, [0, 1, 2, 0, 1, 2]), "maxcombo compares two groups"),
        (lambda: fs.survival.maxcombo(GOOD, ARMS), "maxcombo takes event codes 0 and 1.*gray"),
        (
            lambda: fs.survival.maxcombo(WEIGHTED, weights=[1.0] * 6),
            "maxcombo of a risk table takes no",
        ),
        (
            lambda: fs.survival.maxcombo(fs.Outcome([1, 2, 5, 6], [0, 0, 1, 1]), [0, 0, 1, 1]),
            "at risk together",
        ),
        (lambda: fs.survival.logrank(ONE, ARMS).trend([1, 1]), "scores must differ"),
        (lambda: fs.survival.logrank(ONE, ARMS).trend([1, 2, 3]), "scores"),
        (lambda: fs.survival.landmark(ONE, [None] * 6, at=9), "at risk after the landmark.*at=9"),
        (lambda: fs.survival.landmark(ONE, [None] * 6, at=-1), "landmark must not be negative"),
        (lambda: fs.survival.landmark(ONE, [-1, 0, 0, 0, 0, 0], at=1), "not be negative.*row 0"),
        (lambda: fs.survival.landmark(ONE, [1, 2], at=1), "one value per row"),
        (lambda: fs.survival.split_at_changes(ONE, {}), "at least one covariate"),
        (lambda: fs.survival.simon_makuch(ONE, [None] * 6), "somebody must be treated"),
        (lambda: fs.survival.simon_makuch(GOOD, [0] * 6), "event codes 0 and 1"),
        (
            lambda: fs.survival.immortal_time(ONE, [None, 1, 2, None, 0, 3]).require_none(),
            "immortal time.*3 rows.*immortal time=6.*landmark, simon_makuch",
        ),
    ],
)
def test_message(call, says):
    with pytest.raises(DataError, match=says):
        call()


def test_separation_is_named_only_if_the_competing_rows_allow_it():
    time, event = [1, 2, 3, 4, 5, 6, 7, 8], np.array([1, 1, 1, 1, 0, 0, 0, 0])
    x = np.array([1, 1, 1, 1, 0, 0, 0, 0.0])[:, None]
    with pytest.raises(ConvergenceError, match="separation"):
        fs.survival.fine_gray(fs.Outcome(time, event), x)
    # A competing event of a patient with x = 1 keeps the highest risk among those at risk.
    event[0] = 2
    with pytest.raises(ConvergenceError, match="separation"):
        fs.survival.fine_gray(fs.Outcome(time, event), x)
    # With a risk set in which somebody without the event has more, there is a maximum.
    x[0] = 2.0
    assert fs.survival.fine_gray(fs.Outcome(time, event), x).converged


def test_a_gap_in_follow_up_has_no_weights():
    y = fs.Outcome([2, 3, 4, 8, 9, 10], [1, 2, 0, 1, 2, 1], entry=[0, 0, 0, 5, 5, 6])
    with pytest.raises(DataError, match="must have no gap"):
        fs.survival.fine_gray(y, X)
