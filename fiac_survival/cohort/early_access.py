"""A cohort from the follow-up forms of an early-access programme.

The forms have four sections (access request, initiation, follow-up, stop), each a CSV file, an Excel
file or a sheet of one workbook. Headers and values are data (`cohort/data/early_access.toml`), which a
programme replaces by its own. Dates are read as dd/mm/yyyy (or as 2020-12-31): a column in which a date
can only be mm/dd is refused, since then none of its dates below 13/13 can be told apart.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fiac_survival.cohort.early_access_forms import (
    FormDefinitions,
    Section,
    read_section,
    refuse,
)
from fiac_survival.cohort.engine import Engine, connect
from fiac_survival.cohort.reading import Cohort
from fiac_survival.core.errors import DataError


def from_early_access(
    path: str | Path,
    *,
    engine: Engine | Any = "duckdb",
    forms: str | Path | FormDefinitions = "early_access",
) -> Cohort:
    r"""Read the follow-up forms of an early-access programme into a cohort.

    Parameters
    ----------
    path : str or Path
        A folder with one CSV or Excel file a section, or one Excel workbook with one sheet a section. CSV
        is UTF-8 with commas or semicolons; Excel needs openpyxl.
    engine : Engine or what :func:`connect` takes, default "duckdb"
        Where to put the tables.
    forms : str, Path or FormDefinitions, default "early_access"
        Files, headers and values of the programme.

    Returns
    -------
    Cohort
        person, exposure (from the start to the stop, or to the last news), event (diagnosis, response,
        progression, treatment stop with its reason) and linkage_key. Follow-up ends with the last date in
        any form, or with death.

    Raises
    ------
    DataError
        If a section or a header is missing, a date cannot be read or is ambiguous, a value is unknown, a
        patient stands twice in the access requests or only in other sections, or dates are reversed.

    Examples
    --------
    >>> import tempfile
    >>> import fiac_survival as fs
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name, text in {
    ...     "demande_acces": "Numéro patient;Année de naissance;Mois de naissance;Sexe;Département;FINESS;"
    ...         "Date du diagnostic;Date de la demande\n1;1954;7;F;75;750000001;12/01/2018;20/03/2018\n",
    ...     "initiation": "Numéro patient;Date de début de traitement\n1;02/04/2018\n",
    ...     "suivi": "Numéro patient;Date de la visite;Réponse;Date de progression;Statut vital;"
    ...         "Date de décès\n1;30/06/2018;RP;;Vivant;\n",
    ...     "arret": "Numéro patient;Date d'arrêt;Motif d'arrêt;Date de progression;Date de décès\n",
    ... }.items():
    ...     _ = (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    >>> cohort = fs.cohort.from_early_access(folder)
    >>> cohort.exposure.execute()[["date", "end", "drug"]].astype(str).values.tolist()
    [['2018-04-02', '2018-06-30', 'durvalumab']]
    >>> cohort.engine.close()
    """
    known = forms if isinstance(forms, FormDefinitions) else FormDefinitions.load(forms)
    place = Path(path)
    if not place.exists():
        raise DataError("the path must exist", values={"path": place}, remedy="check the path")
    read = {
        name: read_section(place, name, section, known) for name, section in known.sections.items()
    }
    _require_patients(read, known)
    connection = engine if isinstance(engine, Engine) else connect(engine)
    try:
        cohort = Cohort(connection, {})
        for name, frame in _canonical(read, known).items():
            cohort = cohort.with_table(name, frame)
    except BaseException:
        if connection is not engine:
            connection.close()
        raise
    return cohort


def _require_patients(read: dict[Section, pd.DataFrame], forms: FormDefinitions) -> None:
    asked = read["access_request"]["person"]
    for name, rows in read.items():
        refuse(rows["person"].isna(), None, f"{name}: each row must have its patient")
        if name != "access_request":
            refuse(
                ~rows["person"].isin(asked),
                None,
                f"{name}: patients must have an access request",
            )
    for name in ("access_request", "initiation", "stop"):
        rows = read[name]
        refuse(
            rows["person"].duplicated(),
            None,
            f"{name}: a patient must stand once",
        )
    both = read["initiation"].merge(read["stop"], on="person")
    refuse(
        both["stop_date"] < both["start_date"],
        both["stop_date"].astype(str),
        "stop: treatment must not stop before it starts",
    )


def _first(read: dict[Section, pd.DataFrame], field: str) -> pd.Series:
    """Earliest date of a field by patient, over all sections that have it."""
    rows = [frame[["person", field]] for frame in read.values() if field in frame]
    every = pd.concat(rows, ignore_index=True).dropna()
    return every.groupby("person")[field].min()


def _last_news(read: dict[Section, pd.DataFrame]) -> pd.Series:
    rows = [
        frame[["person", field]].rename(columns={field: "day"})
        for frame in read.values()
        for field in frame
        if str(field).endswith("_date")
    ]
    every = pd.concat(rows, ignore_index=True).dropna()
    return every.groupby("person")["day"].max()


def _canonical(
    read: dict[Section, pd.DataFrame], forms: FormDefinitions
) -> dict[str, pd.DataFrame]:
    asked = read["access_request"].sort_values("person").reset_index(drop=True)
    key = asked["person"]
    death, news = key.map(_first(read, "death_date")), key.map(_last_news(read))
    visits = read["follow_up"]
    said = visits["vital_status"] == "dead" if "vital_status" in visits else pd.Series(dtype=bool)
    unknown = key.isin(visits["person"][said]) & death.isna()
    refuse(unknown, None, "follow_up: the dead must have a date of death")
    late = news > death
    refuse(late, news.astype(str), "no date of a form may lie after death")
    start = key.map(read["initiation"].set_index("person")["start_date"])
    month = asked["birth_month"].fillna(1).astype("Int64").astype(str).str.zfill(2)
    birth = pd.to_datetime(asked["birth_year"].astype(str) + "-" + month + "-01", errors="coerce")
    sex = asked["sex"].fillna("unknown")
    person = pd.DataFrame(
        {
            "person": key,
            "birth": birth.astype("datetime64[s]"),
            "sex": sex,
            "diagnosis": asked["diagnosis_date"],
            "follow_up_start": asked["request_date"],
            "follow_up_end": death.fillna(news).astype("datetime64[s]"),
            "death": death.astype("datetime64[s]"),
            "department": asked["department"],
        }
    )
    begun = start.notna()
    stop = key.map(read["stop"].set_index("person")["stop_date"])
    exposure = pd.DataFrame(
        {
            "person": key[begun],
            "date": start[begun].astype("datetime64[s]"),
            "end": stop.fillna(person["follow_up_end"])[begun].astype("datetime64[s]"),
            "drug": forms.drug,
            "kind": "drug",
            "atc": forms.atc,
        }
    ).reset_index(drop=True)
    keys = pd.DataFrame(
        {
            "person": key,
            "birth_year": asked["birth_year"],
            "birth_month": asked["birth_month"],
            "sex": sex,
            "department": asked["department"],
            "centre": asked["centre"],
            "first_treatment": start.astype("datetime64[s]"),
        }
    )
    return {
        "person": person,
        "exposure": exposure,
        "event": _events(read, forms),
        "linkage_key": keys,
    }


def _events(read: dict[Section, pd.DataFrame], forms: FormDefinitions) -> pd.DataFrame:
    asked, visits, stop = read["access_request"], read["follow_up"], read["stop"]
    progressed = pd.concat(
        [frame[["person", "progression_date"]] for frame in (visits, stop)], ignore_index=True
    ).drop_duplicates()
    parts = [
        (asked, "diagnosis_date", "diagnosis", forms.code),
        (progressed, "progression_date", "progression", None),
        (visits[visits["response"].notna()], "visit_date", "response", visits["response"]),
        (stop, "stop_date", "treatment stop", stop["reason"]),
    ]
    frames = [
        pd.DataFrame(
            {"person": rows["person"], "date": rows[field], "event": event, "code": code}
        ).dropna(subset=["person", "date"])
        for rows, field, event, code in parts
    ]
    out = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    out["date"] = pd.to_datetime(out["date"]).astype("datetime64[s]")
    return out.sort_values(["person", "date", "event"], kind="stable").reset_index(drop=True)
