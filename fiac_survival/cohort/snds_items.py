"""What a record of care can be of: a code in a table of the SNDS, numbered.

Numbers are what records carry through joins and sums; names come back in the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from fiac_survival.cohort.codelists import System, meanings
from fiac_survival.cohort.snds_source import SndsSource

# Where records come from, and the systems of their codes.
CHANNELS: dict[str, tuple[System, ...]] = {
    "ER_PHA_F": ("CIP13",),
    "ER_UCD_F": ("UCD7",),
    "T_MCOaaMED": ("UCD7",),
    "T_MCOaaMEDATU": ("UCD7",),
    "T_MCOaaA": ("CCAM", "GHM"),
}


def items(source: SndsSource) -> pd.DataFrame:
    """Give numbers to what the codelists know.

    Parameters
    ----------
    source : SndsSource
        With codelists and a drug table.

    Returns
    -------
    DataFrame
        item (from 0), channel, system, code, fs_drug (number of the drug or procedure), drug, kind ("drug"
        or "procedure"), atc, class; one row a channel and code.
    """
    rows = [
        (channel, system, code, drug)
        for channel, systems in CHANNELS.items()
        for system in systems
        for code, drug in meanings(source.codelists, system).items()
    ]
    found = pd.DataFrame(rows, columns=["channel", "system", "code", "drug"])
    procedures = [d.name for d in source.drugs.drugs if d.role in {"transplant", "apheresis"}]
    found["item"] = range(len(found))
    found["fs_drug"] = pd.factorize(found["drug"])[0].astype("int64")
    found["kind"] = ["procedure" if drug in procedures else "drug" for drug in found["drug"]]
    about = {one.name: one for one in source.drugs.drugs}
    atc = [about[drug].atc or None if drug in about else None for drug in found["drug"]]
    class_name = [about[drug].class_name if drug in about else None for drug in found["drug"]]
    found["atc"] = np.array(atc, dtype=object)
    found["class"] = np.array(class_name, dtype=object)
    return found


def codes(source: SndsSource, channel: str, system: System) -> Any:
    """Codes of a channel.

    Parameters
    ----------
    source : SndsSource
        What is read.
    channel : str
        Name of the definition.
    system : str
        Coding system.

    Returns
    -------
    ibis.Table or None
        code, item; None if no codelist has a code of the system.
    """
    import ibis

    found = items(source)
    found = found[(found["channel"] == channel) & (found["system"] == system)]
    if found.empty:
        return None
    return ibis.memtable(found[["code", "item"]], schema={"code": "string", "item": "int64"})


def drug_numbers(source: SndsSource) -> Any:
    """Which drug an item is.

    Parameters
    ----------
    source : SndsSource
        What is read.

    Returns
    -------
    ibis.Table
        item, fs_drug.
    """
    import ibis

    return ibis.memtable(items(source)[["item", "fs_drug"]])


def drug_names(source: SndsSource) -> Any:
    """Names of drugs and procedures.

    Parameters
    ----------
    source : SndsSource
        What is read.

    Returns
    -------
    ibis.Table
        fs_drug, drug, kind, atc, class; one row a drug.
    """
    import ibis

    columns = ["fs_drug", "drug", "kind", "atc", "class"]
    schema = {"fs_drug": "int64"} | dict.fromkeys(columns[1:], "string")
    return ibis.memtable(items(source)[columns].drop_duplicates("fs_drug"), schema=schema)
