"""From simulated lines of therapy to records of care in the canonical shape. Simulated.

Each drug of a line's regimen is dispensed every 28 days for as long as the line is treated; steroids go
with it. A line is treated until shortly before the next one. Line 1 of those eligible for a transplant
is induction for four cycles, apheresis, the transplant after about five months, and lenalidomide
maintenance in three of four.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import atomic_path
from fiac_survival.core.seeds import stream
from fiac_survival.simulate.myeloma import MyelomaLines, myeloma_lines

Ints = NDArray[np.int64]
FIRST_DAY = np.datetime64("2014-01-01")
CYCLE = 28
DRUGS = {
    "VRd + transplant": ("bortezomib", "lenalidomide"),
    "VTd + transplant": ("bortezomib", "thalidomide"),
    "DVTd + transplant": ("bortezomib", "daratumumab", "thalidomide"),
    "VMP": ("bortezomib", "melphalan"),
    "Rd": ("lenalidomide",),
    "VRd": ("bortezomib", "lenalidomide"),
    "DRd": ("daratumumab", "lenalidomide"),
    "KRd": ("carfilzomib", "lenalidomide"),
    "Vd": ("bortezomib",),
    "Kd": ("carfilzomib",),
    "DVd": ("bortezomib", "daratumumab"),
    "IsaKd": ("carfilzomib", "isatuximab"),
    "Pd": ("pomalidomide",),
    "IsaPd": ("isatuximab", "pomalidomide"),
    "BCMA": ("teclistamab",),
    "bendamustine": ("bendamustine",),
    "later": ("cyclophosphamide",),
}
STEROID = "dexamethasone"
SEVERITY_CODE = "N189"


@dataclass(frozen=True, eq=False)
class SimulatedClaims:
    """Canonical tables of simulated patients, and the truth behind them.

    Attributes
    ----------
    person, exposure, event : DataFrame
        Canonical tables; dates are dates.
    truth : MyelomaLines
        The lines that were simulated.
    """

    person: pd.DataFrame
    exposure: pd.DataFrame
    event: pd.DataFrame
    truth: MyelomaLines
    simulated: bool = True

    def write(self, folder: str | Path) -> None:
        """Write the tables as parquet, each whole or not at all, with a note that they are simulated.

        Parameters
        ----------
        folder : str or Path
            Where; it is made if it is not there.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("person", "exposure", "event"):
            with atomic_path(folder / f"{name}.parquet") as temporary:
                table = pa.Table.from_pandas(getattr(self, name), preserve_index=False)
                days = [
                    pa.field(f.name, pa.date32()) if pa.types.is_timestamp(f.type) else f
                    for f in table.schema
                ]
                pq.write_table(table.cast(pa.schema(days)), temporary)
        with atomic_path(folder / "SIMULATED.txt") as temporary:
            temporary.write_text(
                "Simulated data: no patient stands behind these tables.\n", encoding="utf-8"
            )


def myeloma_claims(n: int, *, seed: int, confounding: float = 1.2) -> SimulatedClaims:
    """Simulate claims of myeloma patients whose best treatment sequence is known.

    Parameters
    ----------
    n : int
        Patients.
    seed : int
        Root of the random streams.
    confounding : float, default 1.2
        As in :func:`myeloma_lines`.

    Returns
    -------
    SimulatedClaims
        Canonical tables and truth, marked as simulated.

    Raises
    ------
    DataError
        If n is not positive.

    Examples
    --------
    >>> claims = myeloma_claims(50, seed=1)
    >>> sorted(claims.exposure.columns)
    ['date', 'drug', 'kind', 'person']
    """
    if n < 1:
        raise DataError("n must be at least 1", values={"n": n})
    truth = myeloma_lines(n, seed=seed, confounding=confounding)
    rng = stream(seed, "claims")
    person = _persons(truth, rng)
    exposure = _exposures(truth, rng)
    event = _events(truth, rng)
    return SimulatedClaims(person, exposure, event, truth)


def _dates(days: Ints) -> NDArray[np.datetime64]:
    return FIRST_DAY + days.astype("timedelta64[D]")


def _persons(truth: MyelomaLines, rng: np.random.Generator) -> pd.DataFrame:
    p = truth.person
    age = np.where(
        p["group"].str.startswith("transplant"),
        rng.normal(60.6, 6.0, len(p)),
        np.where(
            p["group"].str.startswith("frail"), rng.normal(80, 5, len(p)), rng.normal(73, 5, len(p))
        ),
    ).clip(25, 98)
    born = _dates(p["diagnosis"].to_numpy() - np.floor(age * 365.25).astype(np.int64))
    death = p["death"].to_numpy(dtype=np.float64, na_value=np.nan)
    died = np.where(
        np.isnan(death), np.datetime64("NaT"), _dates(np.nan_to_num(death).astype(np.int64))
    )
    return pd.DataFrame(
        {
            "person": p["person"],
            "birth": born.astype("datetime64[M]").astype("datetime64[s]"),
            "sex": np.where(rng.random(len(p)) < 0.54, "male", "female"),
            "diagnosis": _dates(p["diagnosis"].to_numpy()).astype("datetime64[s]"),
            "follow_up_end": _dates(p["follow_up_end"].to_numpy()).astype("datetime64[s]"),
            "death": died.astype("datetime64[s]"),
            "department": rng.choice([f"{d:02d}" for d in range(1, 96) if d != 20], len(p)),
        }
    )


def _exposures(truth: MyelomaLines, rng: np.random.Generator) -> pd.DataFrame:
    lines = truth.lines
    gap = np.minimum(rng.exponential(45.0, len(lines)), 0.35 * lines["ttnt"]).astype(np.int64)
    treated = np.maximum(lines["ttnt"].to_numpy() - gap, 1)
    transplant = lines["regimen"].str.endswith("transplant").to_numpy()
    maintained = rng.random(len(lines)) < 0.75
    day = np.maximum(np.floor(rng.normal(150.0, 12.0, len(lines))), 115).astype(np.int64)
    parts: list[pd.DataFrame] = []
    persons, starts = lines["person"].to_numpy(), lines["start"].to_numpy()
    names = lines["regimen"].to_numpy()
    for regimen in np.unique(names).tolist():
        rows = np.flatnonzero(names == regimen)
        spans = [
            (drug, np.zeros(rows.size, dtype=np.int64), treated[rows]) for drug in DRUGS[regimen]
        ]
        if transplant[rows[0]]:
            spans = [(drug, first, np.minimum(last, 4 * CYCLE)) for drug, first, last in spans]
            kept = np.where(maintained[rows], treated[rows], 0)
            spans.append(("lenalidomide", day[rows] + 90, kept))
        spans.append((STEROID, spans[0][1], spans[0][2]))
        for drug, first, last in spans:
            parts.append(
                _every_cycle(drug, persons[rows], starts[rows] + first, starts[rows] + last)
            )
    done = np.flatnonzero(transplant & (lines["ttnt"].to_numpy() > day))
    for drug, days in (
        ("apheresis", day[done] - 30),
        ("melphalan", day[done] - 2),
        ("transplant", day[done]),
    ):
        kind = "drug" if drug == "melphalan" else "procedure"
        at = starts[done] + days
        parts.append(pd.DataFrame({"person": persons[done], "day": at, "drug": drug, "kind": kind}))
    out = pd.concat(parts, ignore_index=True)
    end = truth.person["follow_up_end"].to_numpy()[out["person"].to_numpy()]
    out = out[out["day"].to_numpy() <= end]
    out = out.sort_values(["person", "day", "drug"], kind="stable").reset_index(drop=True)
    out["date"] = _dates(out["day"].to_numpy()).astype("datetime64[s]")
    return pd.DataFrame(out[["person", "date", "drug", "kind"]])


def _every_cycle(drug: str, person: Ints, first: Ints, last: Ints) -> pd.DataFrame:
    """One dispensing every 28 days from the first day on, before the last."""
    count = np.maximum(-(-(last - first) // CYCLE), 0)
    row = np.repeat(np.arange(person.size), count)
    turn = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    return pd.DataFrame(
        {"person": person[row], "day": first[row] + CYCLE * turn, "drug": drug, "kind": "drug"}
    )


def _events(truth: MyelomaLines, rng: np.random.Generator) -> pd.DataFrame:
    p, lines = truth.person, truth.lines
    severe = lines[lines["severe"] == 1]
    ahead = rng.integers(1, 20, len(severe))
    out = pd.concat(
        [
            pd.DataFrame({"person": p["person"], "day": p["diagnosis"], "code": "C900"}),
            pd.DataFrame(
                {
                    "person": severe["person"].to_numpy(),
                    "day": severe["start"].to_numpy() - ahead,
                    "code": SEVERITY_CODE,
                }
            ),
        ],
        ignore_index=True,
    )
    out = out.sort_values(["person", "day", "code"], kind="stable").reset_index(drop=True)
    out["date"] = _dates(out["day"].to_numpy()).astype("datetime64[s]")
    out["event"] = "diagnosis"
    return pd.DataFrame(out[["person", "date", "event", "code"]])
