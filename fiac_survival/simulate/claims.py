"""From simulated lines of therapy to records of care in the canonical shape. Simulated.

Each drug of a line's regimen is dispensed every 28 days for as long as the line is treated; steroids go
with it. A line is treated until shortly before the next one. Line 1 of those eligible for a transplant
is induction for four cycles, apheresis, the transplant after about five months, and lenalidomide
maintenance in three of four.

Records are made as whole numbers, one a record: person, day, drug, and the days that it covers, from the
highest bits to the lowest, so that sorting the numbers sorts the records.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.errors import DataError
from fiac_survival.core.seeds import stream
from fiac_survival.simulate.chunks import CHUNK, Chunk
from fiac_survival.simulate.myeloma import BLOCK, MyelomaLines, formulary, kept, one_block
from fiac_survival.simulate.parquet import write_label, write_table

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
PROCEDURES = ("apheresis", "transplant")
SEVERITY_CODE = "N189"
NAMES = sorted({d for drugs in DRUGS.values() for d in drugs} | {STEROID, *PROCEDURES})
DRUG = pd.CategoricalDtype(NAMES)
KIND = pd.CategoricalDtype(["drug", "procedure"])
CODE = {name: code for code, name in enumerate(NAMES)}
IS_PROCEDURE = np.array([name in PROCEDURES for name in NAMES])
DEPARTMENTS = np.array([f"{d:02d}" for d in range(1, 96) if d != 20], dtype=object)
DRUG_BITS, COVER_BITS, DAY_BITS = 5, 9, 14


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

    @property
    def linked(self) -> dict[str, pd.DataFrame]:
        """Canonical tables, the patient's group in `person`: as if linked with a clinical register."""
        group = self.truth.person["group"].to_numpy()
        return {
            "person": self.person.assign(group=group),
            "exposure": self.exposure,
            "event": self.event,
        }

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
        for name in ("person", "exposure", "event"):
            write_table(getattr(self, name), Path(folder) / f"{name}.parquet")
        write_label(Path(folder))


def myeloma_claims(
    n: int, *, seed: int, confounding: float = 1.2, days_per_record: int = CYCLE
) -> SimulatedClaims:
    """Simulate claims of myeloma patients whose best treatment sequence is known.

    Parameters
    ----------
    n : int
        Patients.
    seed : int
        Root of the random streams; the first patients of a larger simulation are those of a smaller one.
    confounding : float, default 1.2
        As in :func:`myeloma_lines`.
    days_per_record : int, default 28
        Days that a record of a drug covers, a multiple of 28 up to 364. Above 28, cycles that follow each
        other are one record with its `end`: fewer rows, the same days under treatment.

    Returns
    -------
    SimulatedClaims
        Canonical tables and truth, marked as simulated.

    Raises
    ------
    DataError
        If n is not positive, or the days are no such multiple.

    Examples
    --------
    >>> claims = myeloma_claims(50, seed=1)
    >>> sorted(claims.exposure.columns)
    ['date', 'drug', 'kind', 'person']
    """
    if n < 1:
        raise DataError("n must be at least 1", values={"n": n})
    tables, truth = _claims(0, n, seed, confounding, days_per_record)
    person, exposure, event = tables
    for column in ("drug", "kind"):
        exposure[column] = exposure[column].astype(object)
    return SimulatedClaims(person, exposure, event, truth)


def myeloma_chunk(
    chunk: int,
    people: int,
    *,
    seed: int,
    confounding: float = 1.2,
    days_per_record: int = CYCLE,
) -> Chunk:
    """Make one chunk of a simulation in chunks: the same patients as :func:`myeloma_claims` makes.

    Parameters
    ----------
    chunk, people : int
        Number of the chunk, and people in the whole simulation.
    seed, confounding, days_per_record
        As in :func:`myeloma_claims`.

    Returns
    -------
    Chunk
        Claims, and the truth: the lines of therapy that were simulated.

    Raises
    ------
    DataError
        If the days are no multiple of 28 up to 364.
    """
    first = chunk * CHUNK
    n = min(CHUNK, people - first)
    (person, exposure, event), truth = _claims(first, n, seed, confounding, days_per_record)
    return Chunk(person, exposure, event, further={"truth/lines": truth.lines})


def _claims(
    first: int, n: int, seed: int, confounding: float, days_per_record: int
) -> tuple[list[pd.DataFrame], MyelomaLines]:
    if days_per_record % CYCLE or not CYCLE <= days_per_record <= 364:
        raise DataError(
            "days_per_record must be a multiple of 28 up to 364",
            values={"days_per_record": days_per_record},
        )
    found = []
    for block in range(first // BLOCK, -(-(first + n) // BLOCK)):
        truth = one_block(block, seed, confounding)
        rng = stream(seed, "claims", block)
        tables = (
            _persons(truth, rng),
            _exposures(truth, rng, days_per_record),
            _events(truth, rng),
            truth.person,
            truth.lines,
        )
        found.append([kept(table, block, first + n) for table in tables])
    whole = [pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True)]
    return whole[:3], MyelomaLines(whole[3], whole[4], formulary())


def _dates(days: Ints) -> NDArray[np.datetime64]:
    return (FIRST_DAY + days.astype("timedelta64[D]")).astype("datetime64[s]")


def _persons(truth: MyelomaLines, rng: np.random.Generator) -> pd.DataFrame:
    p = truth.person
    group = p["group"].astype("category")
    names = group.cat.categories
    mean = np.where(names.str.startswith("transplant"), 60.6, 73.0)
    mean = np.where(names.str.startswith("frail"), 80.0, mean)[group.cat.codes]
    spread = np.where(names.str.startswith("transplant"), 6.0, 5.0)[group.cat.codes]
    age = (mean + spread * rng.standard_normal(len(p))).clip(25, 98)
    born = _dates(p["diagnosis"].to_numpy() - np.floor(age * 365.25).astype(np.int64))
    death = p["death"].to_numpy(dtype=np.float64, na_value=np.nan)
    died = _dates(np.nan_to_num(death).astype(np.int64))
    died[np.isnan(death)] = np.datetime64("NaT")
    return pd.DataFrame(
        {
            "person": p["person"],
            "birth": born.astype("datetime64[M]").astype("datetime64[s]"),
            "sex": np.where(rng.random(len(p)) < 0.54, "male", "female"),
            "diagnosis": _dates(p["diagnosis"].to_numpy()),
            "follow_up_end": _dates(p["follow_up_end"].to_numpy()),
            "death": died,
            "department": DEPARTMENTS[rng.integers(0, DEPARTMENTS.size, len(p))],
        }
    )


def _exposures(truth: MyelomaLines, rng: np.random.Generator, every: int) -> pd.DataFrame:
    lines = truth.lines
    ttnt = lines["ttnt"].to_numpy()
    gap = np.minimum(rng.exponential(45.0, len(lines)), 0.35 * ttnt).astype(np.int64)
    treated = np.maximum(ttnt - gap, 1)
    maintained = rng.random(len(lines)) < 0.75
    day = np.maximum(np.floor(rng.normal(150.0, 12.0, len(lines))), 115).astype(np.int64)
    person, start = lines["person"].to_numpy(), lines["start"].to_numpy()
    regimen = lines["regimen"].astype("category")
    which, names = regimen.cat.codes.to_numpy(), list(regimen.cat.categories)
    ends = truth.person["follow_up_end"].to_numpy()
    keys: list[Ints] = []
    for number, name in enumerate(names):
        rows = np.flatnonzero(which == number)
        zero = np.zeros(rows.size, dtype=np.int64)
        transplanted = name.endswith("transplant")
        last = np.minimum(treated[rows], 4 * CYCLE) if transplanted else treated[rows]
        spans = [(CODE[drug], zero, last) for drug in (*DRUGS[name], STEROID)]
        if transplanted:
            until = np.where(maintained[rows], treated[rows], 0)
            spans.append((CODE["lenalidomide"], day[rows] + 90, until))
            done = rows[ttnt[rows] > day[rows]]
            for what, ahead in (("apheresis", 30), ("melphalan", 2), ("transplant", 0)):
                at = start[done] + day[done] - ahead
                keys.append(_key(person[done], at, CODE[what], np.int64(1)))
        for code, first, stop in spans:
            keys.append(_records(person[rows], start[rows] + first, stop - first, code, every))
    key = np.concatenate(keys)
    people, days, codes, cover = _parts(key)
    key = key[days <= ends[people]]
    key.sort()
    people, days, codes, cover = _parts(key)
    out = {
        "person": people,
        "date": _dates(days),
        "drug": _coded(codes, DRUG),
        "kind": _coded(IS_PROCEDURE[codes].astype(np.int8), KIND),
    }
    if every != CYCLE:
        out["end"] = _dates(days + cover - 1)
    return pd.DataFrame(out, copy=False)


def _coded(codes: Any, names: pd.CategoricalDtype) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, dtype=names)


def _key(person: Ints, day: Ints, code: int, cover: Ints | np.int64) -> Ints:
    packed = ((person << DAY_BITS | day) << DRUG_BITS | code) << COVER_BITS | cover
    return np.asarray(packed, dtype=np.int64)


def _parts(key: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    cover = key & ((1 << COVER_BITS) - 1)
    rest = key >> COVER_BITS
    codes = rest & ((1 << DRUG_BITS) - 1)
    rest >>= DRUG_BITS
    return rest >> DAY_BITS, rest & ((1 << DAY_BITS) - 1), codes, cover


def _records(person: Ints, first: Ints, length: Ints, code: int, every: int) -> Ints:
    """Make the records of one drug, whose cycles begin on every 28th day before the treatment's end."""
    covered = np.maximum(-(-length // CYCLE), 0) * CYCLE
    count = -(-covered // every)
    row = np.repeat(np.arange(person.size), count)
    turn = np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)
    cover = np.minimum(covered[row] - every * turn, every)
    return _key(person[row], first[row] + every * turn, code, cover)


def _events(truth: MyelomaLines, rng: np.random.Generator) -> pd.DataFrame:
    p, lines = truth.person, truth.lines
    severe = lines[lines["severe"] == 1]
    ahead = rng.integers(1, 20, len(severe))
    person = np.concatenate([p["person"].to_numpy(), severe["person"].to_numpy()])
    day = np.concatenate([p["diagnosis"].to_numpy(), severe["start"].to_numpy() - ahead])
    code = np.repeat(np.array(["C900", SEVERITY_CODE], dtype=object), [len(p), len(severe)])
    order = np.lexsort((np.repeat([0, 1], [len(p), len(severe)]), day, person))
    return pd.DataFrame(
        {
            "person": person[order],
            "date": _dates(day[order]),
            "event": np.repeat(np.array(["diagnosis"], dtype=object), order.size),
            "code": code[order],
        }
    )
