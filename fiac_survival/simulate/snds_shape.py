"""Simulated records in the shape of the SNDS: reimbursed care, beneficiaries, deaths. Simulated.

The inverse of :func:`fiac_survival.cohort.from_snds`: codelists are used backwards, and rows that a reader
must leave out (noise) stand among the others. Everything is a function of the person's number and of the
person's records, so that persons may be written in chunks of any size. Keys are unique over all persons:
DCT_ORD_NUM and RSA_NUM come from the person's number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd

from fiac_survival.cohort.codelists import Codelist, System
from fiac_survival.core.errors import DataError
from fiac_survival.core.intervals import require_choice
from fiac_survival.simulate.source_keys import (
    LARGEST_PERSON,
    dates,
    has_two,
    identifier,
    made_of,
    pseudonym,
    pseudonym_on,
    rank_within,
)

Noise = Literal[
    "information lines",
    "supplements",
    "fictitious persons",
    "duplicate lines",
    "taken back",
    "failed checks",
    "ungrouped stays",
    "duplicate hospitals",
    "other drugs",
]
NOISE: tuple[Noise, ...] = (
    "information lines",
    "supplements",
    "fictitious persons",
    "duplicate lines",
    "taken back",
    "failed checks",
    "ungrouped stays",
    "duplicate hospitals",
    "other drugs",
)
KEYS = (
    "DCT_ORD_NUM",
    "FLX_DIS_DTD",
    "FLX_EMT_ORD",
    "FLX_EMT_NUM",
    "FLX_EMT_TYP",
    "FLX_TRT_DTD",
    "ORG_CLE_NUM",
    "PRS_ORD_NUM",
    "REM_TYP_AFF",
)
NO_DATE = np.datetime64("1600-01-01")
COMMUNITY = ("dexamethasone", "melphalan", "cyclophosphamide", "prednisone", "prednisolone")
HOSPITAL_PHARMACY = ("lenalidomide", "thalidomide", "pomalidomide", "ixazomib", "panobinostat")
EARLY_ACCESS = ("teclistamab", "elranatamab", "talquetamab")
PROCEDURES = ("transplant", "apheresis")


@cache
def _lists() -> tuple[Codelist, ...]:
    return Codelist.load("myeloma_drugs"), Codelist.load("procedures")


@cache
def code_of(drug: str, system: System) -> str:
    """Code that stands for a drug or procedure.

    Parameters
    ----------
    drug : str
        Name.
    system : str
        Coding system.

    Returns
    -------
    str
        The first verified code, else the first.

    Raises
    ------
    DataError
        If the codelists have none.
    """
    codes = [code for one in _lists() for code in one.codes_of(drug, system=system)]
    if not codes:
        raise DataError(
            "a simulated drug must have a code of the system that it is written in",
            values={"drug": drug, "system": system},
            remedy="add one to the codelist",
        )
    return codes[0]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Canonical tables of one chunk of persons, sorted.

    Attributes
    ----------
    person, exposure, event : DataFrame
        Canonical tables.
    years : tuple of int
        Calendar years of the hospital tables.
    noise : frozenset of str
        Which rows to add that a reader must leave out.
    """

    person: pd.DataFrame
    exposure: pd.DataFrame
    event: pd.DataFrame
    years: tuple[int, ...]
    noise: frozenset[str]


def snds_tables(
    person: pd.DataFrame,
    exposure: pd.DataFrame,
    event: pd.DataFrame,
    *,
    years: Sequence[int] = tuple(range(2014, 2024)),
    noise: Sequence[Noise] = NOISE,
) -> dict[str, pd.DataFrame]:
    """Write canonical tables of a chunk of persons as tables of the SNDS.

    Parameters
    ----------
    person, exposure, event : DataFrame
        Canonical tables as :func:`myeloma_claims` makes them; persons are whole numbers up to 99,999,999.
        Every person has a diagnosis of myeloma. Of events, diagnoses are written.
    years : sequence of int
        Calendar years; each gives its hospital tables, empty ones included.
    noise : sequence of str
        Kinds of rows to add that a reader must leave out; () for none.

    Returns
    -------
    dict of str to DataFrame
        By name: ER_PRS_F, ER_PHA_F, ER_UCD_F, IR_BEN_R, IR_IMB_R, KI_CCI_R and, for each year aa, T_MCOaaB,
        C, D, UM, A, MED, MEDATU. The same persons give the same rows in any chunk. Dates are dates.

    Raises
    ------
    DataError
        If a person is not a whole number in range, a drug has no code, or a record lies outside the years.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> claims = fs.simulate.myeloma_claims(5, seed=1)
    >>> tables = fs.simulate.snds_tables(claims.person, claims.exposure, claims.event)
    >>> len(tables["IR_BEN_R"]) >= 5
    True
    """
    from fiac_survival.simulate.snds_stays import hospital_tables

    for one in noise:
        require_choice(one, Noise, "noise")
    chunk = _chunk(person, exposure, event, tuple(years), frozenset(noise))
    out = _care(chunk)
    out |= _register(chunk)
    return out | hospital_tables(chunk)


def _chunk(
    person: pd.DataFrame,
    exposure: pd.DataFrame,
    event: pd.DataFrame,
    years: tuple[int, ...],
    noise: frozenset[str],
) -> Chunk:
    number = person["person"]
    if not pd.api.types.is_integer_dtype(number) or not number.between(0, LARGEST_PERSON).all():
        raise DataError(
            "persons of simulated data must be whole numbers from 0 to 99,999,999",
            remedy="number them",
        )
    diagnoses = event[event["event"] == "diagnosis"]
    for name, days in (("exposure", exposure["date"]), ("event", diagnoses["date"])):
        outside = np.flatnonzero(~days.dt.year.isin(years).to_numpy())
        if outside.size:
            raise DataError(
                f"{name}.date must lie in the years that are written",
                count=int(outside.size),
                row=int(outside[0]),
                remedy="widen years",
            )
    return Chunk(
        person.sort_values("person").reset_index(drop=True),
        # Claims have no last day that a record covers.
        exposure.drop(columns="end", errors="ignore")
        .sort_values(["person", "date", "drug"])
        .reset_index(drop=True),
        diagnoses.sort_values(["person", "date", "code"]).reset_index(drop=True),
        years,
        noise,
    )


def _care(chunk: Chunk) -> dict[str, pd.DataFrame]:
    """ER_PRS_F, ER_PHA_F, ER_UCD_F."""
    rows = chunk.exposure
    rows = rows[rows["drug"].isin(COMMUNITY + HOSPITAL_PHARMACY)]
    lines = pd.DataFrame(
        {
            "person": rows["person"].to_numpy(),
            "day": rows["date"].to_numpy(),
            "drug": rows["drug"].to_numpy(),
            "quantity": 1,
            "nature": np.where(rows["drug"].isin(HOSPITAL_PHARMACY), "3317", "3313"),
        }
    )
    final = chunk.person
    seen = pd.DataFrame(
        {
            "person": final["person"],
            "day": final["follow_up_end"],
            "drug": "",
            "quantity": 0,
            "nature": "1111",
        }
    )
    lines = pd.concat([lines, seen], ignore_index=True)
    lines = lines.assign(qualifier="0", supplement=0, kind_of_nir="00")
    lines = pd.concat([lines, *_noise_lines(lines, chunk.noise)], ignore_index=True)
    lines = lines.sort_values("person", kind="stable").reset_index(drop=True)
    person = lines["person"].to_numpy(dtype=np.int64)
    day = lines["day"].to_numpy().astype("datetime64[D]")
    flow = (day + 45).astype("datetime64[M]").astype("datetime64[D]")
    keys = pd.DataFrame(
        {
            "DCT_ORD_NUM": person,
            "FLX_DIS_DTD": dates(flow),
            "FLX_EMT_ORD": 1,
            "FLX_EMT_NUM": person % 97,
            "FLX_EMT_TYP": 1,
            "FLX_TRT_DTD": dates(day + 10),
            "ORG_CLE_NUM": "01C750000",
            "PRS_ORD_NUM": rank_within(person) + 1,
            "REM_TYP_AFF": 0,
        }
    )
    prs = keys.assign(
        BEN_NIR_PSA=pseudonym_on(person, day),
        BEN_RNG_GEM=1,
        BEN_CDI_NIR=lines["kind_of_nir"].to_numpy(),
        EXE_SOI_DTD=dates(day),
        PRS_NAT_REF=lines["nature"].to_numpy().astype(np.int64),
        DPN_QLF=lines["qualifier"].to_numpy().astype(np.int64),
        CPL_MAJ_TOP=lines["supplement"].to_numpy().astype(np.int64),
        ETB_PRE_FIN=made_of(person % 40, lambda p: f"{75000000 + p:08d}"),
    )
    drug = lines["drug"].to_numpy()
    community = np.isin(drug, [*COMMUNITY, "paracetamol"])
    retail = keys[community].assign(
        PHA_ORD_NUM=1,
        PHA_PRS_C13=made_of(drug[community], _cip).astype(np.int64),
        PHA_ACT_QSN=lines["quantity"].to_numpy()[community].astype(np.int64),
    )
    hospital = np.isin(drug, HOSPITAL_PHARMACY)
    ucd = keys[hospital].assign(
        UCD_ORD_NUM=1,
        UCD_UCD_COD=made_of(drug[hospital], lambda name: f"000000{code_of(name, 'UCD7')}"),
        UCD_DLV_NBR=lines["quantity"].to_numpy()[hospital].astype(np.int64),
        UCD_TOP_UCD=0,
    )
    tables = {"ER_PRS_F": prs, "ER_PHA_F": retail, "ER_UCD_F": ucd}
    if "duplicate lines" in chunk.noise:
        tables = {name: _doubled(table) for name, table in tables.items()}
    # Reimbursed care arrives in flows.
    return {
        name: table.sort_values("FLX_DIS_DTD", kind="stable", ignore_index=True)
        for name, table in tables.items()
    }


def _cip(drug: str) -> int:
    return 3400900000000 if drug == "paracetamol" else int(code_of(drug, "CIP13"))


def _doubled(table: pd.DataFrame) -> pd.DataFrame:
    """Every line of one person in five stands twice."""
    again = table[table["DCT_ORD_NUM"] % 5 == 2]
    both = pd.concat([table, again], ignore_index=True)
    return both.sort_values(["DCT_ORD_NUM", "PRS_ORD_NUM"], kind="stable")


def _noise_lines(lines: pd.DataFrame, noise: frozenset[str]) -> list[pd.DataFrame]:
    """Lines that must be left out: after other lines of the same person, on days without treatment."""
    given = lines[lines["drug"] != ""]
    chosen = given[given["person"] % 3 == 0]
    chosen = chosen[rank_within(chosen["person"].to_numpy(dtype=np.int64)) % 7 == 3]
    away = chosen.assign(day=chosen["day"] + np.timedelta64(5, "D"))
    out = []
    if "information lines" in noise:
        out += [away.assign(qualifier="71"), away.assign(qualifier="72")]
    if "supplements" in noise:
        out.append(away.assign(supplement=2))
    if "fictitious persons" in noise:
        out.append(away.assign(kind_of_nir="09"))
    if "taken back" in noise:
        later = chosen.assign(day=chosen["day"] + np.timedelta64(9, "D"))
        out += [later.assign(quantity=2), later.assign(quantity=-2)]
    if "other drugs" in noise:
        out.append(away.assign(drug="paracetamol", nature="3313"))
    return out


def _register(chunk: Chunk) -> dict[str, pd.DataFrame]:
    """IR_BEN_R, IR_IMB_R, KI_CCI_R."""
    p = chunk.person
    number = p["person"].to_numpy(dtype=np.int64)
    death = p["death"].to_numpy().astype("datetime64[D]")
    died = ~np.isnat(death)
    told = died & (number % 11 != 0)
    department = np.array([code.zfill(3) for code in p["department"].tolist()], dtype=object)
    ben = pd.DataFrame(
        {
            "BEN_NIR_PSA": pseudonym(number),
            "BEN_RNG_GEM": 1,
            "BEN_IDT_ANO": identifier(number),
            "BEN_NAI_ANN": p["birth"].dt.year,
            "BEN_NAI_MOI": p["birth"].dt.month,
            "BEN_SEX_COD": p["sex"].map({"male": 1, "female": 2}).fillna(0).astype(np.int64),
            "BEN_DCD_DTE": dates(np.where(told, death, NO_DATE)),
            "BEN_RES_DPT": department,
        }
    )
    two = has_two(number)
    earlier = ben[two].assign(BEN_NIR_PSA=pseudonym(number[two], 1), BEN_DCD_DTE=NO_DATE.item())
    certified = died & (number % 22 != 0)
    diagnosis = p["diagnosis"].to_numpy().astype("datetime64[D]")
    # Long-term illness is granted to the living, 40 days after diagnosis.
    granted = (number % 4 != 1) & ~(died & (death < diagnosis + 40))
    return {
        "IR_BEN_R": pd.concat([ben, earlier], ignore_index=True),
        "IR_IMB_R": pd.DataFrame(
            {
                "BEN_NIR_PSA": pseudonym(number[granted]),
                "BEN_RNG_GEM": 1,
                "MED_MTF_COD": "C900",
                "IMB_ALD_DTD": dates(diagnosis[granted] + 40),
                "IMB_ALD_DTF": dates(np.full(int(granted.sum()), NO_DATE)),
                "IMB_ETM_NAT": 41,
            }
        ),
        "KI_CCI_R": pd.DataFrame(
            {
                "BEN_IDT_ANO": identifier(number[certified]),
                "BEN_DCD_DTE": dates(death[certified]),
                "DCD_CIM_COD": "C900",
            }
        ),
    }
