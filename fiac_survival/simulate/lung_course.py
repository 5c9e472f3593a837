"""Latent patients with stage III lung cancer under durvalumab: who they are, what truly happens.

Simulated. From the first infusion on, in days: progression is Weibull, with ratios for PD-L1
negative tumours and sequential chemoradiation; death before progression is exponential, death after
it Weibull from the progression. The drug stops at the first of planned completion, an adverse event
(Weibull), another reason (exponential), shortly after progression, and death. The next treatment
follows most progressions after a log-normal delay, and sometimes begins without one. All else
(forms, claims, keys) is made from this.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.core.seeds import stream
from fiac_survival.simulate.lung_parameters import LungErrors, lung_parameters

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
NEVER = 2**30
REASONS = np.array(["completed", "adverse event", "other", "progression", "death"], dtype=object)
NEXT = np.array(["docetaxel", "pemetrexed", "gemcitabine", "nivolumab", "pembrolizumab"], object)
NEXT_SHARE = (0.30, 0.20, 0.10, 0.25, 0.15)
DEPARTMENTS = np.array([f"{d:02d}" for d in range(1, 96) if d != 20], dtype=object)


@dataclass(frozen=True, eq=False)
class Population:
    """Latent patients of a chunk, and who of them is in which source.

    Attributes
    ----------
    patients : DataFrame
        One row a patient; days since 1970, NEVER where nothing happens.
    centres : DataFrame
        finess (geographic entity), legal, department.
    files : (files,) int64
        Patient of each file of the programme, duplicates last.
    n_twice : int
        Patients of the claims, the last ones, who have a second pseudonym.
    claims : (persons,) int64
        Patient of each claims person, second pseudonyms last.
    """

    patients: pd.DataFrame
    centres: pd.DataFrame
    files: Ints
    claims: Ints
    n_twice: int


def dates(days: Ints) -> NDArray[np.datetime64]:
    """Turn days since 1970 into dates; NEVER is a missing one.

    Parameters
    ----------
    days : (n,) int64
        Days.

    Returns
    -------
    (n,) datetime64[s]
        Dates.
    """
    known = days < NEVER
    out = np.where(known, days, 0).astype("datetime64[D]").astype("datetime64[s]")
    out[~known] = np.datetime64("NaT")
    return out


def make_centres(n_files: int) -> pd.DataFrame:
    """Make the hospitals of a programme: the same for every seed.

    Parameters
    ----------
    n_files : int
        Files of the whole programme.

    Returns
    -------
    DataFrame
        finess, legal, department, weight. Two hospitals of a department share a legal entity.
    """
    about = lung_parameters().patients
    n = int(min(about["most_centres"].value, max(10, round(n_files / about["per_centre"].value))))
    rng = stream(0, "lung", "centres", n)
    department = np.sort(rng.integers(0, DEPARTMENTS.size, n))
    place = np.arange(n) - np.searchsorted(department, department)
    names = DEPARTMENTS[department]
    return pd.DataFrame(
        {
            "finess": [f"{d}0{k:06d}" for k, d in enumerate(names)],
            "legal": [f"{d}9{k:06d}" for k, d in zip(place // 2, names, strict=True)],
            "department": names,
            "weight": rng.exponential(1.0, n) + 0.1,
        }
    )


def make_population(
    n_files: int, centres: pd.DataFrame, errors: LungErrors, rng: np.random.Generator
) -> Population:
    """Draw the patients of a chunk.

    Parameters
    ----------
    n_files : int
        Files of the programme, duplicates among them.
    centres : DataFrame
        Hospitals.
    errors : LungErrors
        For duplicates and twins.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Population
        Patients of the programme first, then those of the claims alone.
    """
    about = {name: p.value for name, p in lung_parameters().patients.items()}
    n_again = min(int(rng.binomial(n_files, errors.duplicate_form)), n_files // 2)
    n_programme = n_files - n_again
    inside = rng.random(n_programme) < about["in_extract"]
    n_claims = max(round(n_files * about["per_file_in_claims"]), int(inside.sum()))
    room = n_claims - int(inside.sum())
    n_twice = min(int(rng.binomial(n_claims, errors.duplicate_claims)), room, n_claims // 2)
    n_only = room - n_twice
    patients = _patients(n_programme + n_only, centres, rng)
    patients["in_programme"] = np.arange(len(patients)) < n_programme
    patients["in_extract"] = np.concatenate([inside, np.ones(n_only, dtype=bool)])
    patients["twin_of"] = NEVER
    with_twin = np.flatnonzero(inside & (rng.random(n_programme) < errors.twin))[:n_only]
    twins = n_programme + np.arange(with_twin.size)
    for column in ("sex", "birth", "department", "centre"):
        patients.loc[twins, column] = patients.loc[with_twin, column].to_numpy()
    patients.loc[twins, "twin_of"] = with_twin
    again = rng.choice(n_programme, n_again, replace=False) if n_again else np.array([], dtype=int)
    in_claims = np.flatnonzero(patients["in_extract"].to_numpy())
    twice = np.sort(rng.choice(in_claims, n_twice, replace=False)) if n_twice else in_claims[:0]
    return Population(
        patients,
        centres,
        np.concatenate([np.arange(n_programme), again]).astype(np.int64),
        np.concatenate([in_claims, twice]).astype(np.int64),
        n_twice,
    )


def _patients(n: int, centres: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    about = {name: p.value for name, p in lung_parameters().patients.items()}
    first, last, _ = lung_parameters().days()
    start = rng.integers(first, last + 1, n)
    age = np.clip(rng.normal(about["age"], about["age_spread"], n), 30.0, 90.0)
    weight = centres["weight"].to_numpy()
    centre = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(n)).clip(
        max=len(weight) - 1
    )
    elsewhere = DEPARTMENTS[rng.integers(0, DEPARTMENTS.size, n)]
    home = rng.random(n) < about["same_department"]
    negative = about["pdl1_negative"]
    positive = about["pdl1_positive"]
    iiib, iiic = about["stage_iiib"], about["stage_iiic"]
    who = pd.DataFrame(
        {
            "sex": np.where(rng.random(n) < about["men"], "male", "female").astype(object),
            "birth": start - np.floor(age * 365.25).astype(np.int64),
            "department": np.where(home, centres["department"].to_numpy()[centre], elsewhere),
            "centre": centre.astype(np.int64),
            "stage": _classes(rng.random(n), {"IIIB": iiib, "IIIC": iiic}, "IIIA"),
            "pdl1": _classes(
                rng.random(n), {"positive": positive, "negative": negative}, "unknown"
            ),
            "histology": _classes(
                rng.random(n), {"squamous": 0.35, "other": 0.08}, "adenocarcinoma"
            ),
            "smoking": _classes(rng.random(n), {"current": 0.40, "never": 0.08}, "former"),
            "ecog": rng.choice(3, n, p=(0.45, 0.50, 0.05)).astype(np.int64),
            "weight": np.round(np.clip(rng.normal(74.0, 14.0, n), 38.0, 140.0)),
            "sequential": rng.random(n) < about["sequential"],
            "interval": np.where(rng.random(n) < about["every_four_weeks"], 28, 14),
            "diagnosis": start - rng.integers(110, 240, n),
            "start": start,
        }
    )
    who["diagnosis"] -= np.where(who["sequential"], 70, 0)
    # PD-L1 acts whether or not it was tested; of the unknown as many are negative as of the known.
    hidden = (who["pdl1"] == "unknown") & (rng.random(n) < negative / (negative + positive))
    acts = ((who["pdl1"] == "negative") | hidden).to_numpy()
    for column, values in _course(start, acts, who["sequential"].to_numpy(), rng).items():
        who[column] = values
    return who


def _classes(uniform: Floats, shares: dict[str, float], rest: str) -> NDArray[np.object_]:
    names = np.array([*shares, rest], dtype=object)
    bounds = np.cumsum(list(shares.values()))
    return np.asarray(names[np.searchsorted(bounds, uniform, side="right")])


def _course(
    start: Ints, negative: Flags, sequential: Flags, rng: np.random.Generator
) -> dict[str, NDArray[np.generic]]:
    """Draw what happens from the first infusion on."""
    c = {name: p.value for name, p in lung_parameters().course.items()}
    n = start.size

    def whole(days: Floats) -> Ints:
        return np.ceil(np.minimum(days, 100_000.0)).astype(np.int64)

    ratio = np.where(negative, c["negative_ratio"], 1.0)
    ratio = ratio * np.where(sequential, c["sequential_ratio"], 1.0)
    shape = c["progression_shape"]
    progression = whole(c["progression_scale"] * (rng.exponential(1.0, n) / ratio) ** (1 / shape))
    sooner = whole(rng.exponential(1.0 / c["death_before_progression"], n))
    later = rng.exponential(1.0, n) ** (1.0 / c["after_progression_shape"])
    progressed = progression < sooner
    death = np.where(
        progressed, progression + whole(c["after_progression_scale"] * later).clip(min=1), sooner
    )
    adverse = rng.exponential(1.0, n) ** (1.0 / c["adverse_event_shape"])
    ends = [
        whole(rng.normal(c["completed"], c["completed_spread"], n)),
        whole(c["adverse_event_scale"] * adverse),
        whole(rng.exponential(1.0 / c["other_stop"], n)),
        np.where(
            progressed, progression + whole(rng.exponential(c["stop_after_progression"], n)), NEVER
        ),
        death,
    ]
    stop, why = np.min(ends, axis=0), np.argmin(ends, axis=0)
    delay = c["next_delay"] * np.exp(c["next_delay_spread"] * rng.standard_normal(n))
    treated = progressed & (rng.random(n) < c["next_after_progression"])
    after = np.where(treated, np.maximum(progression + whole(delay), stop + 7), NEVER)
    alone = stop + 7 + whole(rng.exponential(1.0 / c["next_without_progression"], n))
    following = np.where(alone < np.where(progressed, progression, NEVER), alone, after)
    drug = NEXT[rng.choice(NEXT.size, n, p=NEXT_SHARE)]
    return {
        "progression": np.where(progressed, start + progression, NEVER),
        "death": start + death,
        "stop": start + stop,
        "stop_reason": REASONS[why],
        "next_treatment": np.where(following < death, start + following, NEVER),
        "next_drug": drug,
    }


def true_table(population: Population, first: int) -> pd.DataFrame:
    """Table of the truth, up to the cut-off.

    Parameters
    ----------
    population : Population
        Patients.
    first : int
        Number of the first patient.

    Returns
    -------
    DataFrame
        One row a patient; what happens after the cut-off is missing.
    """
    _, _, cut = lung_parameters().days()
    p = population.patients
    out = pd.DataFrame(
        {
            "patient": first + np.arange(len(p)),
            "in_programme": p["in_programme"],
            "in_extract": p["in_extract"],
            "sex": p["sex"],
            "birth": dates(p["birth"].to_numpy()),
            "department": p["department"],
            "centre": population.centres["finess"].to_numpy()[p["centre"]],
            "pdl1": p["pdl1"],
            "sequential": p["sequential"],
        }
    )
    twin = p["twin_of"].to_numpy()
    out["twin_of"] = pd.array(np.where(twin < NEVER, first + twin, 0), dtype="Int64")
    out.loc[twin == NEVER, "twin_of"] = pd.NA
    for column in ("diagnosis", "start", "progression", "stop", "next_treatment", "death"):
        day = p[column].to_numpy()
        out[column] = dates(np.where(day <= cut, day, NEVER))
    for column, when in (("stop_reason", "stop"), ("next_drug", "next_treatment")):
        out[column] = p[column].mask(out[when].isna().to_numpy(), None)
    return out
