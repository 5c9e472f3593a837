"""Cost against size: simulated people on disk, lines of therapy, risk table. Time, memory, bytes.

    python -m benchmarks.scale canonical 10000 100000 1000000 12000000
    python -m benchmarks.scale snds 10000 100000

Every step runs in a process of its own, whose peak memory (with its children) is measured. Results go into
benchmarks/results/scale.csv, a row a step. The simulated people are removed afterwards.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

RESULTS = Path(__file__).parent / "results" / "scale.csv"
DAYS_PER_RECORD = 224
YEARS = range(2013, 2024)
COLUMNS = ("shape", "people", "exposures", "step", "seconds", "peak_gb", "disk_gb", "rows")


def simulate(folder: Path, people: int, shape: str) -> dict[str, object]:
    import fiac_survival as fs

    found = fs.simulate.write(
        "myeloma",
        folder / "people",
        people=people,
        seed=1,
        shape=shape,
        processes=2,
        options={"days_per_record": DAYS_PER_RECORD},
    )
    rows = found.table.set_index("table")["rows"]
    name = "exposure" if shape == "canonical" else "ER_PRS_F"
    return {"rows": int(rows[name])}


def connect(folder: Path, memory: str):
    import fiac_survival as fs

    return fs.cohort.connect(
        f"duckdb:///{folder / 'engine.duckdb'}",
        threads=2,
        memory_limit=memory,
        temp_directory=folder / "spill",
    )


def lines(folder: Path, people: int, shape: str) -> dict[str, object]:
    """Canonical: gap rule of 90 days, a bucket at a time. SNDS: nine-key joins, then IMWG rules."""
    import fiac_survival as fs

    if shape == "canonical":
        engine = connect(folder, "3GB")
        cohort = fs.cohort.read(folder / "people", engine=engine, check_rows=False)
        rules, bucket = "gap90", "bucket" if people > 50_000 else None
    else:
        engine = connect(folder, "10GB")
        cohort = fs.cohort.from_snds(
            folder / "people", engine=engine, years=YEARS, extracted="2024-08-01",
            follow_up="last care",
        )  # fmt: skip
        rules, bucket = "imwg", None
    written = fs.cohort.write_lines_of_therapy(
        cohort.exposure, folder / "lines.parquet", rules, follow_up=cohort.person, bucket=bucket
    )
    engine.close()
    return {"rows": int(written.table["n"].sum())}


def risk(folder: Path, people: int, shape: str) -> dict[str, object]:
    import fiac_survival as fs

    engine = connect(folder, "3GB")
    table = engine.read(folder / "lines.parquet", table="lines")
    analysis = table.mutate(event=table.died.cast("int64"))
    analysis = analysis.filter(analysis.ttnt > 0)
    found = fs.cohort.risk_table(analysis, by="line", time="ttnt")
    fs.survival.kaplan_meier(found)
    engine.close()
    return {"rows": int(found.table["n"].sum())}


STEPS = {"simulate": simulate, "lines": lines, "risk table": risk}


def watched(command: list[str]) -> tuple[float, float, str]:
    """Seconds, peak resident memory of the process with its children in GB, and what it printed."""
    peak = 0.0
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    alive = True

    def watch() -> None:
        nonlocal peak
        mine = psutil.Process(process.pid)
        while alive:
            try:
                family = [mine, *mine.children(recursive=True)]
                peak = max(peak, sum(p.memory_info().rss for p in family) / 1e9)
            except psutil.Error:
                pass
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, _ = process.communicate()
    alive = False
    watcher.join()
    if process.returncode:
        raise SystemExit(process.returncode)
    return time.perf_counter() - start, peak, out


def measure(shape: str, people: int) -> list[dict[str, object]]:
    rows = []
    with tempfile.TemporaryDirectory(prefix="scale-") as folder:
        exposures = 0
        for step in STEPS:
            command = [
                sys.executable,
                "-m",
                "benchmarks.scale",
                "--step",
                step,
                folder,
                str(people),
                shape,
            ]
            seconds, peak, out = watched(command)
            told = json.loads(out.strip().splitlines()[-1])
            if step == "simulate":
                exposures = told["rows"]
            disk = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file()) / 1e9
            row = dict(zip(COLUMNS, (shape, people, exposures, step, round(seconds, 1), round(peak, 2),
                                     round(disk, 3), told["rows"]), strict=True))  # fmt: skip
            rows.append(row)
            print(row, flush=True)
        shutil.rmtree(Path(folder) / "people", ignore_errors=True)
    return rows


def main() -> None:
    if sys.argv[1] == "--step":
        step, folder, people, shape = sys.argv[2:6]
        print(json.dumps(STEPS[step](Path(folder), int(people), shape)))
        return
    shape, sizes = sys.argv[1], [int(n) for n in sys.argv[2:]]
    before = []
    if RESULTS.exists():
        with RESULTS.open(encoding="utf-8", newline="") as file:
            before = list(csv.DictReader(file))
    for people in sizes:
        made = measure(shape, people)
        kept = [r for r in before if (r["shape"], int(r["people"])) != (shape, people)]
        before = sorted([*kept, *made], key=lambda r: (str(r["shape"]), int(str(r["people"]))))
        with RESULTS.open("w", encoding="utf-8", newline="\n") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(before)


if __name__ == "__main__":
    main()
