"""Cost of the myeloma analysis against the number of patients: where the time goes, and the memory.

    python -m benchmarks.myeloma_cost 1000 10000 100000

From simulated claims to the evaluated policy, as the study does it: simulate, lines of therapy, kernels
(weighted against confounding), solve, draws of the bootstrap, evaluation. Every size runs in a process of
its own, after a small run that compiles. Results go into benchmarks/results/myeloma_cost.csv, a row a step.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

import fiac_survival as fs
from fiac_survival.core.released import write_table

RESULTS = Path(__file__).parent / "results" / "myeloma_cost.csv"
SIZES = (1_000, 10_000, 100_000)
DRAWS, SEED = 10, 1
SEVERITY, OTHER = "N189", "bendamustine"
PROFILES = 6


def at_start(lines: pd.DataFrame, claims: fs.simulate.SimulatedClaims) -> pd.DataFrame:
    """The patient's group, and whether severity was recorded in the 30 days before the line."""
    group = claims.linked["person"].set_index("person")["group"]
    events = claims.event[claims.event["code"] == SEVERITY][["person", "date"]]
    table = pd.merge_asof(
        lines.assign(group=lines["person"].map(group)).sort_values("start", kind="stable"),
        events.rename(columns={"date": "recorded"}).sort_values("recorded", kind="stable"),
        left_on="start",
        right_on="recorded",
        by="person",
        tolerance=pd.Timedelta(days=30),
    )
    table["severe"] = table.pop("recorded").notna().astype(int)
    return table.sort_values(["person", "line"], kind="stable", ignore_index=True)


def analyse(people: int) -> dict[str, float]:
    """Seconds by step; the recommendation is found with whatever support there is."""
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        seconds[step] = time.perf_counter() - begun

    with timed("simulate"):
        claims = fs.simulate.myeloma_claims(people, seed=SEED)
    with timed("lines of therapy"):
        found = fs.cohort.lines_of_therapy(
            claims.exposure, "imwg", follow_up=claims.person, unknown="ignore"
        )
        lines = at_start(found.table, claims)
    f = claims.truth.formulary
    f = fs.sequence.Formulary.model_validate(f.model_dump() | {"horizon_months": 84.0})
    with timed("kernels"):
        kernels = fs.sequence.estimate_kernels(
            lines, f, confounders=["severe"], deviations=("regimen:line", "group:line"),
            other=OTHER, simulated=True,
        )  # fmt: skip
    with timed("solve"):
        model = kernels.model(min_ess=None)
        solution = model.solve()
        for profile in f.groups[:PROFILES]:
            model.best_sequences(10, profile, solution=solution)
    with timed("uncertainty"):
        draws = list(kernels.draws(DRAWS, seed=SEED, model=model))
        for profile in f.groups[:PROFILES]:
            fs.sequence.uncertainty(draws, group=profile, k=3)
    with timed("evaluation"):
        fs.sequence.evaluate(
            lines, {"guideline": guideline}, formulary=f, confounders=["severe"], other=OTHER,
            methods=("g_formula", "ipw", "dr"), draws=DRAWS, folds=2, seed=SEED, simulated=True,
        )  # fmt: skip
    return seconds


def guideline(group: str, line: int, exposed: tuple[str, ...], remaining: float) -> str:
    """A sequence fixed beforehand."""
    if line == 1:
        return "VRd + transplant" if group.startswith("transplant") else "DRd"
    if line == 2:
        return "DVd" if "lenalidomide" in exposed else "DRd"
    return "Pd" if line == 3 else "BCMA"


def measure(people: int) -> pd.DataFrame:
    command = [sys.executable, "-m", "benchmarks.myeloma_cost", "--one", str(people)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    told = json.loads(done.stdout.splitlines()[-1])
    return pd.DataFrame(
        {
            "people": people,
            "step": list(told["seconds"]),
            "seconds": np.round(list(told["seconds"].values()), 2),
            "peak_gb": round(told["peak_gb"], 2),
        }
    )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        analyse(SIZES[0])
        seconds = analyse(int(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps({"seconds": seconds, "peak_gb": peak}))
        return
    sizes = [int(n) for n in sys.argv[1:]] or list(SIZES)
    table = pd.concat([measure(people) for people in sizes], ignore_index=True)
    write_table(RESULTS, table)
    print(table.pivot_table(index="step", columns="people", values="seconds").to_string())


if __name__ == "__main__":
    main()
