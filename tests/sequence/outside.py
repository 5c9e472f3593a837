"""QuantEcon in a process of its own.

While it is imported it compiles one function for two targets and stores both under one name; in a process
that has compiled much before, with nothing stored yet, reading that back can abort inside LLVM.
"""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np

from benchmarks.tunnel_states import Process
from tests.conftest import ROOT

CODE = """
import pickle, sys
from benchmarks.tunnel_states import by_quantecon
processes = pickle.load(sys.stdin.buffer)
pickle.dump([by_quantecon(process) for process in processes], sys.stdout.buffer)
"""


def by_quantecon_outside(processes: list[Process]) -> list[np.ndarray]:
    """Values of the start by remaining steps, of each process."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        input=pickle.dumps(processes),
        stdout=subprocess.PIPE,
        check=True,
        cwd=ROOT,
    )
    return list(pickle.loads(done.stdout))
