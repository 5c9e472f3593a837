"""``python -m benchmarks [--full] [TASK ...]``: every task, ours and the peer's in turn, in one table.

``--full`` takes the long form of tasks that have one.
"""

from __future__ import annotations

import sys

from benchmarks.harness import main

main(sys.argv[1:])
