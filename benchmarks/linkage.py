"""Linkage of two files of n persons each (argument: n, default 100000), 90 % of them on both sides.

Run as ``python -m benchmarks.linkage 1000000``: passes, then passes and model, each with its seconds, the
highest memory of the process so far, and precision and recall against the known persons (simulated).
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pandas as pd

import fiac_survival as fs


def files(n: int, seed: int = 20261121) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Two files with errors in every key, and who is who; centres grow with the files."""
    rng = np.random.default_rng(seed)
    shared = round(0.9 * n)
    total = 2 * n - shared
    centres = max(200, n // 200)
    size = 1.0 / np.arange(1, centres + 1) ** 0.7
    centre = rng.choice(centres, total, p=size / size.sum())
    home = rng.integers(1, 96, centres)
    department = np.where(rng.random(total) < 0.75, home[centre], rng.integers(1, 96, total))
    true = pd.DataFrame(
        {
            "sex": rng.choice(["female", "male"], total, p=[0.3, 0.7]),
            "birth_year": np.clip(rng.normal(1954, 9, total), 1920, 1995).astype(np.int64),
            "birth_month": rng.integers(1, 13, total),
            "department": department,
            "centre": home[centre] * 10**7 + centre,
            "first_treatment": np.datetime64("2017-10-01") + rng.integers(0, 1500, total),
        }
    )
    sides = []
    for k, rows in enumerate((slice(0, n), slice(n - shared, total))):
        side = true.iloc[rows].reset_index(drop=True)
        for name, share in (("birth_year", 0.01), ("birth_month", 0.015), ("department", 0.03)):
            wrong = rng.random(n) < share
            side.loc[wrong, name] = rng.permutation(side[name].to_numpy())[wrong]
        wrong = rng.random(n) < 0.04
        side.loc[wrong, "centre"] = rng.permutation(side["centre"].to_numpy())[wrong]
        shift = np.where(rng.random(n) < 0.15, rng.integers(-5, 6, n), 0)
        side["first_treatment"] += pd.to_timedelta(shift, "D")
        side["first_treatment"] = side["first_treatment"].astype("datetime64[ns]")
        side.insert(0, "person", rng.permutation(n) + k * 10 * n)
        sides.append(side)
    truth = pd.DataFrame(
        {
            "private": sides[0]["person"].to_numpy()[n - shared :],
            "public": sides[1]["person"].to_numpy()[:shared],
        }
    )
    return sides[0], sides[1], truth


def peak() -> float:
    """Highest memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def measure(n: int) -> str:
    private, public, truth = files(n)
    lines = [f"linkage of {n:,} and {n:,} persons (data: {peak():.1f} GB)"]
    for method in ("deterministic", "both"):
        begun = time.perf_counter()
        found = fs.cohort.link(private, public, method=method)
        seconds = time.perf_counter() - begun
        quality = found.quality(truth).table["estimate"].round(4).tolist()
        compared = 0
        if len(found.blocking):
            rules = found.blocking["purpose"] == "candidates"
            compared = int(found.blocking.loc[rules, "pairs"].sum())
        lines.append(
            f"{method}: {seconds:.1f} s, {peak():.1f} GB, {compared:,} pairs compared, "
            f"linked {found.rate:.3f}, precision {quality[0]}, recall {quality[1]}"
        )
    begun = time.perf_counter()
    keys = [k for k in private.columns if k != "person"]
    fs.cohort.minimum_data_set(private, public, candidates=keys, truth=truth)
    seconds = time.perf_counter() - begun
    lines.append(f"minimum data set, {2 ** len(keys) - 1} subsets: {seconds:.1f} s")
    return "\n".join(lines)


def run() -> str:
    return measure(100_000)


if __name__ == "__main__":
    print(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
