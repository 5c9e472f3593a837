"""Residuals and concordance of a large Cox model stay within bounds of memory."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT

SCRIPT = r"""
import resource
import re
import numpy as np
import fiac_survival as fs

def fit(n):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, 5))
    time = np.ceil(1000 * rng.exponential(np.exp(-0.3 * x[:, 0])))
    y = fs.Outcome(time, rng.random(n) < 0.6)
    del time
    return y, x

def use(y, x):
    model = fs.survival.cox(y, x)
    for kind in ("martingale", "deviance", "score", "dfbeta", "schoenfeld", "scaled_schoenfeld"):
        model.residuals(kind)
    return model.concordance().estimate

use(*fit(2_000))  # compiled now, so that compiling is not counted
y, x = fit(1_000_000)
with open("/proc/self/statm") as file:
    before = int(file.read().split()[1]) * resource.getpagesize()
assert 0.5 < use(y, x) < 0.7
# VmHWM, not ru_maxrss: that one starts at the peak of the process that started this one
with open("/proc/self/status") as file:
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", file.read())[1]) * 1024
print(peak - before)
"""


def test_a_million_rows_take_less_than_a_gigabyte_beyond_the_input():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(ROOT)},
    )
    assert int(done.stdout) < 1e9, done.stdout
