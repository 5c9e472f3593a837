"""``python -m benchmarks [TASK ...]``: every task, ours and the peer's in turn, in one table."""

from __future__ import annotations

import sys

from benchmarks.harness import main

main(sys.argv[1:])
