"""Claims of the simulated lung cancer patients, in the canonical shape. Simulated.

Chemotherapy every three weeks and radiotherapy before durvalumab; infusions of durvalumab every two or four
weeks, now and then a week late, billed in hospital stays on the table of early-access drugs (MEDATU) while
the programme runs and on that of expensive drugs (MED) after it, or outside stays (ER_UCD_F); subsequent
treatments every three weeks; stays; the administrative date of death. Some infusions have no line, most
often the last ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fiac_survival.simulate.lung_course import NEVER, Flags, Ints, Population, dates
from fiac_survival.simulate.lung_keys import claims_keys
from fiac_survival.simulate.lung_parameters import LungErrors, lung_parameters

ATC = {
    "cisplatin": "L01XA01",
    "carboplatin": "L01XA02",
    "docetaxel": "L01CD02",
    "pemetrexed": "L01BA04",
    "gemcitabine": "L01BC05",
    "nivolumab": "L01FF01",
    "pembrolizumab": "L01FF02",
}
SEEN_FROM = 16_801  # 1 January 2016, in days since 1970
OUTSIDE_STAYS = 0.10  # assumed: share of hospitals that bill outside stays


@dataclass(frozen=True, eq=False)
class LungClaims:
    """Claims of simulated patients.

    Attributes
    ----------
    person, exposure, event, linkage_key : DataFrame
        Canonical tables. Exposures also have the UCD code, the table of the source and the hospital.
    """

    person: pd.DataFrame
    exposure: pd.DataFrame
    event: pd.DataFrame
    linkage_key: pd.DataFrame


def expand(count: Ints) -> tuple[Ints, Ints]:
    """Rows and turns of so many records each.

    Parameters
    ----------
    count : (n,) int64
        Records of each row.

    Returns
    -------
    row, turn : (sum,) int64
        Which row, and the number of the record within it, from 0.
    """
    row = np.repeat(np.arange(count.size), count)
    return row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count)


def true_infusions(p: pd.DataFrame, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Draw the days of the infusions of durvalumab.

    Parameters
    ----------
    p : DataFrame
        Patients.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    row, day : (infusions,) int64
        Patient (its place) and day, before the treatment's stop and the cut-off.
    """
    _, _, cut = lung_parameters().days()
    start, interval = p["start"].to_numpy(), p["interval"].to_numpy()
    until = np.minimum(p["stop"].to_numpy(), cut + 1)
    row, turn = expand((until - start - 1) // interval + 1)
    late = np.where((turn > 0) & (rng.random(row.size) < 0.03), 7, 0)
    total = np.cumsum(late)
    first = np.flatnonzero(turn == 0)
    day = (
        start[row]
        + interval[row] * turn
        + total
        - np.repeat(total[first], np.diff([*first, row.size]))
    )
    keep = day < until[row]
    return row[keep], day[keep]


def make_claims(
    population: Population,
    first_person: int,
    first_patient: int,
    errors: LungErrors,
    rng: np.random.Generator,
) -> tuple[LungClaims, pd.DataFrame]:
    """Make the claims of a chunk.

    Parameters
    ----------
    population : Population
        Patients.
    first_person, first_patient : int
        Lowest pseudonym, and number of the first patient.
    errors : LungErrors
        Rates.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    claims : LungClaims
        Canonical tables.
    truth : DataFrame
        One row a claims person: claims_person, patient, second_pseudonym, missing_death,
        infusions, unbilled_infusions.
    """
    p = population.patients
    n = population.claims.size - population.n_twice
    who, again = population.claims[:n], population.claims[n:]
    names = first_person + rng.permutation(population.claims.size)
    row, day, lost = _billed(p.iloc[who], errors, rng)
    hidden = (rng.random(n) < errors.missing_death_in_claims) & (
        p["death"].to_numpy()[who] <= _cut()
    )
    exposure = pd.concat(
        [_durvalumab(population, who, row[~lost], day[~lost], rng), *_others(p.iloc[who], rng)],
        ignore_index=True,
    )
    event = _events(p.iloc[who], exposure, rng)
    person = _persons(p.iloc[who], hidden)
    # A second pseudonym begins in the middle of what is seen from the first infusion on.
    at = np.full(n, NEVER)
    place = np.searchsorted(who, again)
    at[place] = (p["start"].to_numpy()[again] + person["follow_up_end"].to_numpy()[place]) // 2
    second = np.full(n, -1)
    second[place] = n + np.arange(again.size)
    rows = [_of_two(table, at, second) for table in (exposure, event)]
    later = person.iloc[place].assign(person=second[place], follow_up_start=at[place])
    split = at[person["person"]] < NEVER
    person.loc[split, "death"] = NEVER
    person.loc[split, "follow_up_end"] = at[split] - 1
    person = pd.concat([person, later], ignore_index=True)
    keys = claims_keys(population)
    given = rows[0][rows[0]["drug"] == lung_parameters().programme.drug]
    keys["first_treatment"] = given.groupby("person")["day"].min().reindex(range(len(keys)))
    keys["first_treatment"] = dates(keys["first_treatment"].fillna(NEVER).to_numpy(dtype=np.int64))
    keys["death"] = dates(person["death"].to_numpy())
    keys["drug"] = lung_parameters().programme.drug
    keys.insert(0, "person", np.arange(len(keys)))
    tables = [
        _finished(table, names, order)
        for table, order in (
            (person, ["person"]),
            (rows[0], ["person", "day", "drug"]),
            (rows[1], ["person", "day", "event", "code"]),
            (keys, ["person"]),
        )
    ]
    counts = np.bincount(row, minlength=n)
    truth = pd.DataFrame(
        {
            "claims_person": names,
            "patient": first_patient + population.claims,
            "second_pseudonym": np.arange(names.size) >= n,
            "missing_death": np.concatenate([hidden, hidden[place]]),
            "infusions": np.concatenate([counts, counts[place]]),
            "unbilled_infusions": np.concatenate(
                [np.bincount(row, lost, n), np.bincount(row, lost, n)[place]]
            ).astype(np.int64),
        }
    )
    return LungClaims(*tables), truth.sort_values("claims_person").reset_index(drop=True)


def _cut() -> int:
    return lung_parameters().days()[2]


def _billed(
    p: pd.DataFrame, errors: LungErrors, rng: np.random.Generator
) -> tuple[Ints, Ints, Flags]:
    """Infusions and which of them have no line; one at least has."""
    row, day = true_infusions(p, rng)
    count = np.bincount(row, minlength=len(p))
    start = np.cumsum(count) - count
    turn = np.arange(row.size) - start[row]
    # Failures before the first success: how many are missing at the end.
    tail = np.minimum(np.log(rng.random(len(p))) / _log(errors.unbilled_end), 1e6).astype(np.int64)
    lost = rng.random(row.size) < errors.unbilled_infusion
    lost |= turn >= (count - tail)[row]
    none = np.bincount(row, ~lost, len(p)) == 0
    lost[start[none]] = False
    return row, day, lost


def _log(rate: float) -> float:
    return float(np.log(rate)) if 0 < rate < 1 else (-np.inf if rate == 0 else -1e-12)


def _durvalumab(
    population: Population, who: Ints, row: Ints, day: Ints, rng: np.random.Generator
) -> pd.DataFrame:
    about = lung_parameters().programme
    p = population.patients
    centre = p["centre"].to_numpy()[who]
    outside = rng.random(len(population.centres)) < OUTSIDE_STAYS
    _, last, _ = lung_parameters().days()
    table = np.where(
        outside[centre][row], "ER_UCD_F", np.where(day <= last, "MEDATU", "MED")
    ).astype(object)
    # Vials of 500 mg that 10 mg/kg, or 20 mg/kg every four weeks, need.
    dose = p["weight"].to_numpy()[who] * np.where(p["interval"].to_numpy()[who] == 28, 20.0, 10.0)
    return pd.DataFrame(
        {
            "person": row,
            "day": day,
            "drug": about.drug,
            "kind": "drug",
            "atc": about.atc,
            "quantity": np.ceil(dose / 500.0)[row],
            "ucd": about.ucd,
            "table": table,
            "centre": population.centres["finess"].to_numpy()[centre][row],
        }
    )


def _others(p: pd.DataFrame, rng: np.random.Generator) -> list[pd.DataFrame]:
    """Chemotherapy, radiotherapy and the treatments after durvalumab."""
    n, start = len(p), p["start"].to_numpy()
    sequential = p["sequential"].to_numpy()
    irradiated = start - rng.integers(60, 80, n)
    begun = irradiated - np.where(sequential, 84, 14)
    platinum = np.where(rng.random(n) < 0.55, "cisplatin", "carboplatin").astype(object)
    row, turn = expand(rng.integers(3, 5, n))
    before = _frame(row, begun[row] + 21 * turn, platinum[row])
    rays = _frame(np.arange(n), irradiated, np.full(n, "radiotherapy", dtype=object))
    rays["kind"], rays["atc"] = "procedure", None
    begin = p["next_treatment"].to_numpy()
    until = np.minimum(np.minimum(p["death"].to_numpy(), _cut() + 1), begin + 180)
    row, turn = expand(np.where(begin < until, (until - begin - 1) // 21 + 1, 0).clip(min=0))
    after = _frame(row, begin[row] + 21 * turn, p["next_drug"].to_numpy()[row])
    return [before, rays, after]


def _frame(row: Ints, day: Ints, drug: object) -> pd.DataFrame:
    out = pd.DataFrame({"person": row, "day": day, "drug": drug, "kind": "drug"})
    out["atc"] = out["drug"].map(ATC)
    out["quantity"] = 1.0
    for column in ("ucd", "table", "centre"):
        out[column] = None
    return out


def _events(p: pd.DataFrame, exposure: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Diagnosis, sessions, stays with a diagnosis of lung cancer."""
    n = len(p)
    site = np.array(["C341", "C342", "C343", "C349"], dtype=object)[rng.integers(0, 4, n)]
    found = pd.DataFrame(
        {
            "person": np.arange(n),
            "day": p["diagnosis"].to_numpy(),
            "event": "diagnosis",
            "code": site,
        }
    )
    chemo = exposure[exposure["drug"].isin(ATC)]
    sessions = chemo[["person", "day"]].assign(event="chemotherapy session", code="Z511")
    rays = exposure.loc[exposure["kind"] == "procedure", ["person", "day"]]
    rays = rays.assign(event="radiotherapy session", code="Z5101")
    end = np.minimum(p["death"].to_numpy(), _cut())
    ill = np.flatnonzero((p["stop_reason"] == "adverse event") & (p["stop"] <= end))
    worse = np.flatnonzero(p["progression"] <= end)
    dying = np.flatnonzero((p["death"] <= _cut()) & (rng.random(n) < 0.7))
    starts = [p["stop"].to_numpy()[ill] - 3, p["progression"].to_numpy()[worse]]
    starts.append(np.maximum(p["death"].to_numpy()[dying] - rng.integers(1, 15, dying.size), 0))
    stays = [
        pd.DataFrame({"person": who, "day": day, "event": "hospital stay", "code": code})
        for who, day, code in zip(
            (ill, worse, dying), starts, ("J704", site[worse], site[dying]), strict=True
        )
    ]
    out = pd.concat([found, sessions, rays, *stays], ignore_index=True)
    return out.drop_duplicates(ignore_index=True)


def _persons(p: pd.DataFrame, hidden: Flags) -> pd.DataFrame:
    death = np.where((p["death"].to_numpy() > _cut()) | hidden, NEVER, p["death"].to_numpy())
    return pd.DataFrame(
        {
            "person": np.arange(len(p)),
            "birth": dates(p["birth"].to_numpy()).astype("datetime64[M]").astype("datetime64[s]"),
            "sex": p["sex"].to_numpy(),
            "diagnosis": dates(p["diagnosis"].to_numpy()),
            "follow_up_start": SEEN_FROM,
            "follow_up_end": np.minimum(death, _cut()),
            "death": death,
            "department": p["department"].to_numpy(),
        }
    )


def _of_two(table: pd.DataFrame, at: Ints, second: Ints) -> pd.DataFrame:
    """Give the later rows of those with two pseudonyms to the second."""
    person = table["person"].to_numpy()
    later = table["day"].to_numpy() >= at[person]
    return table.assign(person=np.where(later, second[person], person))


def _finished(table: pd.DataFrame, names: Ints, order: list[str]) -> pd.DataFrame:
    """Name the persons, sort the rows, turn days into dates."""
    table = table.assign(person=names[table["person"].to_numpy()])
    table = table.sort_values(order, kind="stable", na_position="first").reset_index(drop=True)
    for column in ("follow_up_start", "follow_up_end", "death", "day"):
        if column in table and table[column].dtype.kind == "i":
            table[column] = dates(table[column].to_numpy())
    return table.rename(columns={"day": "date"})
