"""Pairs of sources whose persons are known: an early-access file and claims, with errors (simulated)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

DEPARTMENTS = np.array([f"{d:02d}" for d in range(1, 96) if d != 20] + ["2A", "2B", "971", "974"])
ALL = (
    "sex",
    "birth_year",
    "birth_month",
    "department",
    "centre",
    "drug",
    "first_treatment",
    "death",
)
PUBLISHED = ALL[:5]


@dataclass(frozen=True)
class Errors:
    """Shares of records of one side that are wrong."""

    sex: float = 0.003
    year: float = 0.008
    month: float = 0.015
    department: float = 0.02
    no_department: float = 0.03
    legal_entity: float = 0.03
    centre: float = 0.01
    days: float = 0.15
    swapped: float = 0.02
    twins: float = 0.0
    duplicates: float = 0.0


def persons(rng, n, *, centres=188):
    """True persons: men 73 %, median age 64, hospitals of very different size."""
    size = 1.0 / np.arange(1, centres + 1) ** 0.7
    home = rng.integers(0, DEPARTMENTS.size, centres)
    centre = rng.choice(centres, n, p=size / size.sum())
    stays = rng.random(n) < 0.75
    department = np.where(stays, home[centre], rng.integers(0, DEPARTMENTS.size, n))
    start = pd.Timestamp("2017-10-01") + pd.to_timedelta(rng.integers(0, 457, n), "D")
    birth = start - pd.to_timedelta(np.clip(rng.normal(64, 9, n), 30, 90) * 365.25, "D")
    codes = np.array([f"{DEPARTMENTS[home[c]][:2]}{c:07d}" for c in range(centres)])
    frame = pd.DataFrame(
        {
            "sex": np.where(rng.random(n) < 0.73, "male", "female"),
            "birth_year": birth.year.astype(np.int64),
            "birth_month": birth.month.astype(np.int64),
            "department": DEPARTMENTS[department],
            "centre": codes[centre],
            "drug": np.where(rng.random(n) < 0.9, "durvalumab", "nivolumab"),
            "first_treatment": start,
        }
    )
    dies = rng.random(n) < 0.35
    death = start + pd.to_timedelta(rng.integers(30, 1000, n), "D")
    frame["death"] = pd.Series(death).where(dies)
    return frame


def spoil(rng, frame, errors):
    """Write one side's records with errors."""
    out, n = frame.copy(), len(frame)

    def hit(share):
        return rng.random(n) < share

    out.loc[hit(errors.sex), "sex"] = "unknown"
    out["birth_year"] += np.where(hit(errors.year), rng.choice([-1, 1, 10], n), 0)
    wrong = hit(errors.month)
    out.loc[wrong, "birth_month"] = rng.integers(1, 13, n)[wrong]
    wrong = hit(errors.department)
    out.loc[wrong, "department"] = rng.choice(DEPARTMENTS, n)[wrong]
    out.loc[hit(errors.no_department), "department"] = None
    legal = hit(errors.legal_entity)
    out.loc[legal, "centre"] = out.loc[legal, "centre"].str[:2] + "9999999"
    wrong = hit(errors.centre)
    out.loc[wrong, "centre"] = rng.permutation(frame["centre"].to_numpy())[wrong]
    for name in ("first_treatment", "death"):
        shift = np.where(hit(errors.days), rng.integers(-5, 6, n), 0)
        out[name] = out[name] + pd.to_timedelta(shift, "D")
        day, month = out[name].dt.day, out[name].dt.month
        turn = hit(errors.swapped) & (day <= 12) & (day != month)
        parts = pd.DataFrame({"year": out[name].dt.year, "month": day, "day": month})[turn]
        out.loc[turn, name] = pd.to_datetime(parts.astype(int))
    return out


def sources(seed=0, n_private=450, n_public=700, *, present=0.92, errors=Errors(), centres=188):
    """Private records, public records and the truth: private and public person of the same person."""
    rng = np.random.default_rng(seed)
    shared = round(present * n_private)
    n = n_private + n_public - shared
    true = persons(rng, n, centres=centres)
    if errors.twins:
        first = rng.permutation(n_private - 1)[: round(errors.twins * n_private)]
        same = ["sex", "birth_year", "birth_month", "department", "centre", "drug"]
        true.loc[first + 1, same] = true.loc[first, same].to_numpy()
    private = spoil(rng, true.iloc[:n_private], errors)
    public = spoil(rng, true.iloc[n_private - shared :], errors)
    private.insert(0, "person", rng.permutation(10 * n_private)[:n_private])
    labels = rng.permutation(10 * n_public)[:n_public]
    public.insert(0, "person", [f"B{k:07d}" for k in labels])
    truth = pd.DataFrame(
        {
            "private": private["person"].to_numpy()[n_private - shared :],
            "public": public["person"].to_numpy()[:shared],
        }
    )
    if errors.duplicates:
        again = public.sample(round(errors.duplicates * n_public), random_state=seed)
        again = again.assign(person=[f"D{k:07d}" for k in range(len(again))])
        public = pd.concat([public, again])
    shuffle = rng.permutation(len(public))
    return private.reset_index(drop=True), public.iloc[shuffle].reset_index(drop=True), truth


def scores(pairs, truth):
    """Precision and recall of linked pairs."""
    right = len(pairs.merge(truth, on=["private", "public"]))
    return right / max(len(pairs), 1), right / len(truth)
