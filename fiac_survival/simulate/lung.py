"""A durvalumab early-access programme and the claims of the same patients, with the truth. Simulated.

One latent course a patient (:mod:`~fiac_survival.simulate.lung_course`) becomes forms
(:mod:`~fiac_survival.simulate.lung_forms`) and claims (:mod:`~fiac_survival.simulate.lung_claims`),
each with errors of its own, and keys that the two can be linked on
(:mod:`~fiac_survival.simulate.lung_keys`). Some patients are in one source only. Patients are made
in chunks of 50,000 files.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from fiac_survival.core.errors import DataError
from fiac_survival.core.files import write_text
from fiac_survival.core.seeds import stream
from fiac_survival.simulate.chunks import CHUNK, Chunk
from fiac_survival.simulate.lung_claims import LungClaims, make_claims
from fiac_survival.simulate.lung_course import make_centres, make_population, true_table
from fiac_survival.simulate.lung_forms import LungForms, make_forms
from fiac_survival.simulate.lung_keys import form_keys
from fiac_survival.simulate.lung_parameters import LungErrors
from fiac_survival.simulate.parquet import write_label, write_table

TABLES = ("person", "exposure", "event", "linkage_key")


@dataclass(frozen=True, eq=False)
class LungTruth:
    """What is true of the patients of both sources.

    Attributes
    ----------
    patients : DataFrame
        One row a latent patient: sex, birth, department, hospital, and the true dates up to the cut-off.
    pairs : DataFrame
        One row a file of the programme: form_person, patient, claims_person and other_claims_person
        (missing where there is none), and a column for each error that was made in it.
    claims : DataFrame
        One row a claims person: claims_person, patient, second_pseudonym, missing_death, infusions,
        unbilled_infusions.
    centres : DataFrame
        finess (geographic entity), legal (entity), department.
    """

    patients: pd.DataFrame
    pairs: pd.DataFrame
    claims: pd.DataFrame
    centres: pd.DataFrame


@dataclass(frozen=True, eq=False)
class LungEarlyAccess:
    """A simulated early-access programme, the claims, and the truth.

    Attributes
    ----------
    forms : LungForms
        person, exposure, event, linkage_key; raw: the four sections with French headers.
    claims : LungClaims
        person, exposure, event, linkage_key.
    truth : LungTruth
        Pairs of persons, true dates.
    """

    forms: LungForms
    claims: LungClaims
    truth: LungTruth
    simulated: bool = True

    def write(self, folder: str | Path) -> None:
        """Write all tables, each whole or not at all, with a note that they are simulated.

        forms/ and claims/ are cohorts that :func:`fiac_survival.cohort.read` reads; forms/raw/ has the four
        sections as CSV, truth/ the truth.

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
        for name, table in _tables(self).items():
            if name.startswith("forms/raw/"):
                text = table.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")
                write_text(folder / f"{name}.csv", text)
            else:
                write_table(table, folder / f"{name}.parquet")
        write_label(folder)


def _tables(found: LungEarlyAccess) -> dict[str, pd.DataFrame]:
    """All tables by path."""
    out = {f"claims/{name}": getattr(found.claims, name) for name in TABLES}
    out |= {f"forms/{name}": getattr(found.forms, name) for name in TABLES}
    out |= {f"forms/raw/{name}": table for name, table in found.forms.raw.items()}
    return out | {f"truth/{f.name}": getattr(found.truth, f.name) for f in fields(found.truth)}


def lung_early_access(
    n: int = 457, *, seed: int, errors: LungErrors | None = None
) -> LungEarlyAccess:
    """Simulate a durvalumab early-access programme and the claims of the same patients.

    Parameters
    ----------
    n : int, default 457
        Files of the programme, second files of the same patient among them. The claims have 1.46 times as
        many persons.
    seed : int
        Root of the random streams.
    errors : LungErrors, optional
        How often what goes wrong; by default as often as the published figures need.

    Returns
    -------
    LungEarlyAccess
        Forms, claims and truth, marked as simulated.

    Raises
    ------
    DataError
        If n is not positive.

    Examples
    --------
    >>> found = lung_early_access(seed=1)
    >>> len(found.forms.person), len(found.claims.person), found.simulated
    (457, 666, True)
    >>> list(found.forms.raw)
    ['demande_acces', 'initiation', 'suivi', 'arret']
    """
    if n < 1:
        raise DataError("n must be at least 1", values={"n": n})
    parts = [_one(chunk, n, seed, errors or LungErrors()) for chunk in range(-(-n // CHUNK))]
    if len(parts) == 1:
        return parts[0]
    forms = {name: _joined([getattr(part.forms, name) for part in parts]) for name in TABLES}
    raw = {name: _joined([part.forms.raw[name] for part in parts]) for name in parts[0].forms.raw}
    claims = {name: _joined([getattr(part.claims, name) for part in parts]) for name in TABLES}
    truth = {
        name: _joined([getattr(part.truth, name) for part in parts])
        for name in ("patients", "pairs", "claims")
    }
    return LungEarlyAccess(
        LungForms(**forms, raw=raw),
        LungClaims(**claims),
        LungTruth(**truth, centres=parts[0].truth.centres),
    )


def _joined(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


def lung_chunk(chunk: int, people: int, *, seed: int, errors: LungErrors | None = None) -> Chunk:
    """Make one chunk of a simulation in chunks.

    Parameters
    ----------
    chunk, people : int
        Number of the chunk, and files of the whole programme.
    seed, errors
        As in :func:`lung_early_access`.

    Returns
    -------
    Chunk
        The claims; forms, their sections and the truth as further tables.
    """
    found = _one(chunk, people, seed, errors or LungErrors())
    tables = _tables(found)
    main = [tables.pop(f"claims/{name}") for name in TABLES[:3]]
    return Chunk(main[0], main[1], main[2], folder="claims/", further=tables)


def _one(chunk: int, people: int, seed: int, errors: LungErrors) -> LungEarlyAccess:
    n = min(CHUNK, people - chunk * CHUNK)
    centres = make_centres(people)
    first_patient, first_person = 4 * CHUNK * chunk, 2 * CHUNK * chunk
    population = make_population(n, centres, errors, stream(seed, "lung", chunk, "patients"))
    keys, wrong = form_keys(population, errors, stream(seed, "lung", chunk, "keys"))
    names = np.array([f"D{chunk * CHUNK + i + 1:08d}" for i in range(n)], dtype=object)
    forms, flags = make_forms(population, names, keys, errors, stream(seed, "lung", chunk, "forms"))
    claims, persons = make_claims(
        population, first_person, first_patient, errors, stream(seed, "lung", chunk, "claims")
    )
    pairs = _pairs(names, first_patient + population.files, persons)
    pairs = pd.concat([pairs, wrong, flags], axis=1)
    truth = LungTruth(
        true_table(population, first_patient), pairs, persons, centres.drop(columns="weight")
    )
    return LungEarlyAccess(forms, claims, truth)


def _pairs(names: np.ndarray, patient: np.ndarray, persons: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame({"form_person": names, "patient": patient})
    for column, second in (("claims_person", False), ("other_claims_person", True)):
        rows = persons[persons["second_pseudonym"] == second]
        by = rows.set_index("patient")["claims_person"].astype("Int64")
        out[column] = by.reindex(patient).array
    out["duplicate_form"] = out["patient"].duplicated()
    return out
