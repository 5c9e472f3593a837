"""Simulated hospital stays in the shape of the PMSI-MCO. Simulated.

Diagnoses are stays of their own; drugs given in hospital and procedures are stays for treatment (main
diagnosis Z511, related C900), one a person and day, that begin up to two days before the drug is given. The
table of a stay is that of the year in which it ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.simulate.snds_shape import (
    COMMUNITY,
    EARLY_ACCESS,
    HOSPITAL_PHARMACY,
    PROCEDURES,
    Chunk,
    code_of,
)
from fiac_survival.simulate.source_keys import dates, made_of, pseudonym_on, rank_within

RETURNS = (
    "NIR_RET",
    "NAI_RET",
    "SEX_RET",
    "SEJ_RET",
    "FHO_RET",
    "PMS_RET",
    "DAT_RET",
    "COH_NAI_RET",
    "COH_SEX_RET",
)
HOSPITALS = 60
DUPLICATE_HOSPITAL, LAST_DUPLICATE = "750100042", 2017
STAYS_A_YEAR = 100


def hospital_tables(chunk: Chunk) -> dict[str, pd.DataFrame]:
    """Hospital tables of a chunk of persons, by year.

    Parameters
    ----------
    chunk : Chunk
        Canonical tables.

    Returns
    -------
    dict of str to DataFrame
        T_MCOaaB, C, D, UM, A, MED, MEDATU of each year.

    Raises
    ------
    DataError
        If a person has more stays in a year than RSA_NUM can number.
    """
    stays, given = _stays(chunk)
    stays = _with_noise(stays, chunk)
    stays = stays.sort_values(["person", "end"], kind="stable").reset_index(drop=True)
    group = stays["person"].to_numpy(dtype=np.int64) * 10_000 + stays["end"].dt.year.to_numpy()
    within = rank_within(group)
    if within.size and within.max() >= STAYS_A_YEAR:
        raise DataError(
            "a simulated person must have fewer than 100 stays a year",
            values={"stays": int(within.max()) + 1},
        )
    number = stays["person"].to_numpy(dtype=np.int64)
    stays["RSA_NUM"] = [f"{p * STAYS_A_YEAR + w:010d}" for p, w in zip(number, within, strict=True)]
    stays["year"] = stays["end"].dt.year
    parts = _parts(stays, given)
    out = {}
    for year in chunk.years:
        for name, table in parts.items():
            rows = table[table["year"] == year].drop(columns="year").reset_index(drop=True)
            out[f"T_MCO{year % 100:02d}{name}"] = rows
    return out


def _stays(chunk: Chunk) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Stays, and the drugs and procedures of each (by `stay`)."""
    columns = ["person", "begin", "end", "main", "related", "associated", "ghm", "sessions"]
    d = chunk.event
    associated = (d["code"] != "C900") & (d["person"] % 2 == 1)
    diagnoses = pd.DataFrame(
        {
            "person": d["person"],
            "begin": d["date"],
            "end": d["date"] + pd.to_timedelta(d["person"] % 4, unit="D"),
            "main": np.where(associated, "D649", d["code"]),
            "related": None,
            "associated": d["code"].where(associated),
            "ghm": "17M061",
            "sessions": None,
        }
    )
    hospital = ~chunk.exposure["drug"].isin(COMMUNITY + HOSPITAL_PHARMACY)
    given = chunk.exposure[hospital].reset_index(drop=True)
    each = given[["person", "date"]].drop_duplicates().reset_index(drop=True)
    ahead = pd.to_timedelta((each["person"] + each["date"].dt.day) % 3, unit="D")
    begin = each["date"] - ahead
    inside = begin >= np.datetime64(f"{min(chunk.years)}-01-01")
    procedure = given[given["kind"] == "procedure"][["person", "date"]].drop_duplicates()
    marked = each.merge(procedure.assign(acts=True), how="left", on=["person", "date"])["acts"]
    treatment = pd.DataFrame(
        {
            "person": each["person"],
            "begin": begin.where(inside, each["date"]),
            "end": each["date"],
            "main": "Z511",
            "related": "C900",
            "associated": None,
            "ghm": np.where(marked.notna(), "17M051", "28Z07Z"),
            "sessions": 1,
        }
    )
    keys = treatment.rename(columns={"end": "date"})[["person", "date", "begin"]]
    given = given.merge(keys, how="left", on=["person", "date"])
    p = chunk.person
    died = p[p["death"].notna()]
    died = died[(died["person"] % 2 == 0) & died["death"].dt.year.isin(chunk.years)]
    final = pd.DataFrame(
        {
            "person": died["person"],
            "begin": died["death"],
            "end": died["death"],
            "main": "R530",
            "related": None,
            "associated": None,
            "ghm": "23M20Z",
            "sessions": None,
        }
    )
    texts = ["main", "related", "associated", "ghm", "sessions"]
    parts = [part[columns] for part in (diagnoses, treatment, final)]
    stays = pd.concat(
        [part.astype(dict.fromkeys(texts, object)) for part in parts], ignore_index=True
    )
    for column in ("begin", "end"):
        stays[column] = stays[column].astype("datetime64[s]")
    last = np.datetime64(f"{max(chunk.years)}-12-31")
    stays["end"] = stays["end"].where(stays["end"] <= last, last)
    stays["discharge"] = np.where(stays["main"] == "R530", "9", "8")
    number = stays["person"].to_numpy() % HOSPITALS
    stays["hospital"] = made_of(number, lambda p: f"{310000000 + p:09d}")
    stays["failed"] = ""
    return stays, given


def _with_noise(stays: pd.DataFrame, chunk: Chunk) -> pd.DataFrame:
    """Add stays that must be left out, six days after others, with their drugs."""
    treated = stays[stays["main"] == "Z511"]
    chosen = treated[treated["person"] % 3 == 1]
    order = rank_within(chosen["person"].to_numpy(dtype=np.int64))
    chosen = chosen[(order % 10 == 4)]
    moved = chosen.assign(
        begin=chosen["begin"] + np.timedelta64(6, "D"), end=chosen["end"] + np.timedelta64(6, "D")
    )
    moved = moved[moved["end"].dt.year.isin(chunk.years)].assign(noise=True)
    parts = [stays.assign(noise=False)]
    if "failed checks" in chunk.noise:
        turn = (moved["person"].to_numpy(dtype=np.int64) + moved["end"].dt.day.to_numpy()) % len(
            RETURNS
        )
        parts.append(moved.assign(failed=np.array(RETURNS, dtype=object)[turn]))
    if "ungrouped stays" in chunk.noise:
        parts.append(moved.assign(ghm="90Z00Z"))
    if "duplicate hospitals" in chunk.noise:
        early = moved[moved["end"].dt.year <= LAST_DUPLICATE]
        parts.append(early.assign(hospital=DUPLICATE_HOSPITAL))
    return pd.concat(parts, ignore_index=True)


def _parts(stays: pd.DataFrame, given: pd.DataFrame) -> dict[str, pd.DataFrame]:
    keys = stays[["year"]].assign(ETA_NUM=stays["hospital"], RSA_NUM=stays["RSA_NUM"])
    person = stays["person"].to_numpy(dtype=np.int64)
    begin = stays["begin"].to_numpy().astype("datetime64[D]")
    b = keys.assign(
        DGN_PAL=stays["main"],
        DGN_REL=stays["related"],
        GRG_GHM=stays["ghm"],
        SOR_MOD=stays["discharge"],
        NBR_SEA=stays["sessions"].astype("Int64"),
    )
    c = keys.assign(
        NIR_ANO_17=pseudonym_on(person, begin),
        EXE_SOI_DTD=dates(begin),
        EXE_SOI_DTF=dates(stays["end"]),
    )
    for column in RETURNS:
        c[column] = np.where(stays["failed"] == column, "1", "0")
    has = stays["associated"].notna()
    d = keys[has].assign(ASS_DGN=stays["associated"][has])
    um = keys.assign(DGN_PAL=stays["main"], DGN_REL=stays["related"], ETA_NUM_GEO=stays["hospital"])
    drugs = _of_stays(stays, given)
    own = drugs[["year", "ETA_NUM", "RSA_NUM"]]
    act = drugs["drug"].isin(PROCEDURES)
    a = own[act].assign(
        CDC_ACT=made_of(drugs["drug"][act].to_numpy(), lambda name: code_of(name, "CCAM")),
        ENT_DAT_DEL=drugs["delay"][act],
    )
    early = drugs["drug"].isin(EARLY_ACCESS)
    med, atu = drugs[~act & ~early], drugs[early]
    return {
        "B": b,
        "C": c,
        "D": d,
        "UM": um,
        "A": a,
        "MED": own.loc[med.index].assign(
            UCD_UCD_COD=_ucd(med["drug"]),
            ADM_NBR=1.5,
            DELAI=med["delay"],
        ),
        "MEDATU": own.loc[atu.index].assign(
            UCD_UCD_COD=_ucd(atu["drug"]),
            ADM_NBR=1.0,
            DAT_DELAI=atu["delay"],
        ),
    }


def _ucd(drugs: pd.Series) -> np.ndarray[Any, np.dtype[np.object_]]:
    return made_of(drugs.to_numpy(), lambda name: f"000000{code_of(name, 'UCD7')}")


def _of_stays(stays: pd.DataFrame, given: pd.DataFrame) -> pd.DataFrame:
    """Drugs and procedures with the keys of their stay; noise stays give bortezomib."""
    treated = stays[(stays["main"] == "Z511") & ~stays["noise"]]
    real = given.merge(
        treated[["person", "begin", "end", "year", "hospital", "RSA_NUM"]],
        left_on=["person", "date"],
        right_on=["person", "end"],
        suffixes=("", "_stay"),
    )
    false = stays[stays["noise"]].assign(drug="bortezomib")
    columns = ["person", "year", "hospital", "RSA_NUM", "drug", "begin", "end"]
    rows = pd.concat([real[columns], false[columns]], ignore_index=True)
    rows = rows.sort_values(["person", "end", "drug"], kind="stable").reset_index(drop=True)
    rows["delay"] = (rows["end"] - rows["begin"]).dt.days.astype(np.int64)
    return rows.rename(columns={"hospital": "ETA_NUM"})
