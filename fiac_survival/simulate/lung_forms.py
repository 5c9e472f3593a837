"""Early-access forms of the simulated lung cancer patients: four sections and canonical tables.

Simulated. Request, initiation, follow-up every three months and once at the cut-off, stop.
Follow-up forms go missing, patients are lost, deaths and progressions go unreported or get another
date, fields stay empty, some forms carry a line of free text. A patient whom no form says to be
dead is followed to the last form that came.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fiac_survival.simulate.lung_claims import expand, true_infusions
from fiac_survival.simulate.lung_course import NEVER, Flags, Ints, Population, dates
from fiac_survival.simulate.lung_parameters import LungErrors, lung_parameters

BETWEEN_VISITS = 91
FRENCH = {
    "male": "M",
    "female": "F",
    "positive": "positif",
    "negative": "négatif",
    "unknown": "inconnu",
    "squamous": "carcinome épidermoïde",
    "adenocarcinoma": "adénocarcinome",
    "other": "autre",
    "current": "fumeur actif",
    "former": "ancien fumeur",
    "never": "non-fumeur",
    "completed": "fin de traitement prévue",
    "progression": "progression",
    "adverse event": "effet indésirable",
    "death": "décès",
}
COMMENTS = np.array(
    [
        "bonne tolérance, poursuite du traitement",
        "asthénie grade 1",
        "toux sèche, scanner demandé",
        "pneumopathie grade 2, corticothérapie débutée",
        "hypothyroïdie substituée",
        "perfusion reportée d'une semaine",
        "patient suivi désormais dans un autre centre",
        "RCP prévue",
    ],
    dtype=object,
)


@dataclass(frozen=True, eq=False)
class LungForms:
    """Forms of simulated patients.

    Attributes
    ----------
    person, exposure, event, linkage_key : DataFrame
        Canonical tables of what the forms say.
    raw : dict of str to DataFrame
        The four sections with French headers: demande_acces, initiation, suivi, arret.
    """

    person: pd.DataFrame
    exposure: pd.DataFrame
    event: pd.DataFrame
    linkage_key: pd.DataFrame
    raw: dict[str, pd.DataFrame]


@dataclass(frozen=True, eq=False)
class _Reported:
    """What the forms know, a row a file; days, NEVER for nothing."""

    name: NDArray[np.object_]
    first: Ints
    stop: Ints
    death: Ints
    progression: Ints
    last: Ints
    visits: pd.DataFrame
    doses: Ints


def make_forms(
    population: Population,
    names: NDArray[np.object_],
    keys: pd.DataFrame,
    errors: LungErrors,
    rng: np.random.Generator,
) -> tuple[LungForms, pd.DataFrame]:
    """Make the forms of a chunk.

    Parameters
    ----------
    population : Population
        Patients.
    names : (files,) object
        Number of each file.
    keys : DataFrame
        What is typed of birth, sex, place and first infusion, a row a file.
    errors : LungErrors
        Rates.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    forms : LungForms
        Sections and canonical tables.
    flags : DataFrame
        A row a file: lost_to_follow_up, unreported_death, misdated_death, unreported_progression,
        misdated_progression, missing_stop.
    """
    p = population.patients.iloc[population.files].reset_index(drop=True)
    reported, flags = _report(p, names, keys, errors, rng)
    seen = _fields(p, errors, rng)
    return LungForms(
        _person(p, reported, keys, seen),
        _exposure(p, reported),
        _event(p, reported),
        _key(reported, keys),
        _sections(p, reported, keys, seen, rng),
    ), flags


def _report(
    p: pd.DataFrame,
    names: NDArray[np.object_],
    keys: pd.DataFrame,
    errors: LungErrors,
    rng: np.random.Generator,
) -> tuple[_Reported, pd.DataFrame]:
    n = len(p)
    _, _, cut = lung_parameters().days()
    start, death, stop, progression = (
        p[c].to_numpy() for c in ("start", "death", "stop", "progression")
    )
    yearly = errors.lost_to_follow_up
    rate = -np.log1p(-yearly) / 365.25 if yearly < 1 else np.inf
    wait = np.floor(rng.exponential(1.0, n) / rate) if rate > 0 else np.full(n, 1e6)
    lost = start + 1 + np.minimum(wait, 1e6).astype(np.int64)
    watched = np.minimum(cut, lost)  # the last day that a form may know of
    visits = _visits(start, death, watched, lost > cut, errors, rng)
    knowable = death <= watched
    no_death = knowable & (rng.random(n) < errors.unreported_death)
    no_stop = rng.random(n) < errors.missing_stop
    stopped = np.where((stop <= watched) & ~no_stop & ~(no_death & (stop == death)), stop, NEVER)
    could = progression <= np.minimum(watched, death)
    no_progression = could & (rng.random(n) < errors.unreported_progression)
    following = start + -(-(progression - start) // BETWEEN_VISITS) * BETWEEN_VISITS
    following = np.minimum(following, np.minimum(watched, death - 1))
    moved = could & ~no_progression & (rng.random(n) < errors.misdated_progression)
    moved &= (following > progression) & (progression < NEVER)
    progressed = np.where(moved, following, progression)
    progressed = np.where(could & ~no_progression, progressed, NEVER)
    latest = np.full(n, -1)
    np.maximum.at(latest, visits["file"].to_numpy(), visits["day"].to_numpy())
    floor = np.maximum.reduce(
        [latest, keys["first_treatment"].to_numpy(), _or_less(stopped), _or_less(progressed)]
    )
    off = rng.integers(1, 61, n) * rng.choice(np.array([-1, 1]), n)
    shifted = np.minimum(np.maximum(death + off, floor), cut)
    misdated = knowable & ~no_death & (rng.random(n) < errors.misdated_death) & (shifted != death)
    died = np.where(misdated, shifted, death)
    died = np.where(knowable & ~no_death, died, NEVER)
    died = np.where(died < NEVER, np.maximum(died, floor), NEVER)
    doses = np.bincount(true_infusions(p, rng)[0], minlength=n)
    flags = pd.DataFrame(
        {
            "lost_to_follow_up": lost <= np.minimum(cut, death),
            "unreported_death": no_death,
            "misdated_death": misdated,
            "unreported_progression": no_progression,
            "misdated_progression": moved,
            "missing_stop": no_stop & (stop <= watched),
        }
    )
    first = keys["first_treatment"].to_numpy()
    last = np.where(died < NEVER, died, floor)
    return _Reported(names, first, stopped, died, progressed, last, visits, doses), flags


def _or_less(day: Ints) -> Ints:
    return np.where(day < NEVER, day, -1)


def _visits(
    start: Ints,
    death: Ints,
    watched: Ints,
    stays: Flags,
    errors: LungErrors,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Follow-up forms that came: file, day, number."""
    until = np.minimum(death - 1, watched)
    row, turn = expand(((until - start) // BETWEEN_VISITS).clip(min=0))
    day = start[row] + BETWEEN_VISITS * (turn + 1)
    final = np.flatnonzero(stays & (death > watched))
    out = pd.DataFrame(
        {"file": np.concatenate([row, final]), "day": np.concatenate([day, watched[final]])}
    ).drop_duplicates()
    out = out.sort_values(["file", "day"], kind="stable").reset_index(drop=True)
    out["number"] = out.groupby("file").cumcount() + 1
    came = rng.random(len(out)) >= errors.missing_follow_up
    comment = COMMENTS[rng.integers(0, COMMENTS.size, len(out))]
    comment[rng.random(len(out)) >= errors.comment] = None
    out["comment"] = comment
    return out[came].reset_index(drop=True)


def _fields(p: pd.DataFrame, errors: LungErrors, rng: np.random.Generator) -> pd.DataFrame:
    """Fields before treatment, some of them empty."""
    out = p[["stage", "pdl1", "histology", "smoking"]].astype(object)
    for column in ("ecog", "weight"):
        out[column] = p[column].astype("Float64")
    out["chemoradiation"] = np.where(p["sequential"], "séquentielle", "concomitante").astype(object)
    for column in map(str, out.columns):
        if column not in {"stage", "pdl1"}:
            empty = rng.random(len(out)) < errors.missing_field
            out.loc[empty, column] = pd.NA if column in {"ecog", "weight"} else None
    return out


def _birth(keys: pd.DataFrame) -> NDArray[np.datetime64]:
    month = keys["birth_month"].fillna(1).to_numpy(dtype=np.int64)
    months = (keys["birth_year"].to_numpy() - 1970) * 12 + month - 1
    return np.asarray(months.astype("datetime64[M]").astype("datetime64[s]"))


def _person(p: pd.DataFrame, r: _Reported, keys: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    out = pd.DataFrame(
        {
            "person": r.name,
            "birth": _birth(keys),
            "sex": keys["sex"],
            "diagnosis": dates(p["diagnosis"].to_numpy()),
            "follow_up_start": dates(r.first),
            "follow_up_end": dates(r.last),
            "death": dates(r.death),
            "department": keys["department"],
        }
    )
    return pd.concat([out, seen], axis=1)


def _exposure(p: pd.DataFrame, r: _Reported) -> pd.DataFrame:
    about = lung_parameters().programme
    return pd.DataFrame(
        {
            "person": r.name,
            "date": dates(r.first),
            "end": dates(r.stop),
            "drug": about.drug,
            "kind": "drug",
            "atc": about.atc,
            "quantity": r.doses.astype(np.float64),
        }
    )


def _event(p: pd.DataFrame, r: _Reported) -> pd.DataFrame:
    reason = p["stop_reason"].to_numpy()
    rows = [
        pd.DataFrame({"person": r.name, "day": p["diagnosis"], "event": "diagnosis", "code": "C34"})
    ]
    for what, day, code in (
        ("progression", r.progression, np.full(len(p), None)),
        ("treatment stop", r.stop, reason),
        (
            "adverse event",
            np.where(reason == "adverse event", r.stop, NEVER),
            np.full(len(p), None),
        ),
    ):
        have = day < NEVER
        rows.append(
            pd.DataFrame(
                {"person": r.name[have], "day": day[have], "event": what, "code": code[have]}
            )
        )
    out = pd.concat([one for one in rows if len(one)], ignore_index=True)
    out = out.sort_values(["person", "day", "event"], kind="stable").reset_index(drop=True)
    out.insert(1, "date", dates(out.pop("day").to_numpy()))
    return out


def _key(r: _Reported, keys: pd.DataFrame) -> pd.DataFrame:
    out = keys.assign(first_treatment=dates(r.first), death=dates(r.death))
    out["drug"] = lung_parameters().programme.drug
    out.insert(0, "person", r.name)
    return out


def _french(values: pd.Series) -> pd.Series:
    return values.map(lambda one: FRENCH.get(one, one), na_action="ignore")


def _sections(
    p: pd.DataFrame, r: _Reported, keys: pd.DataFrame, seen: pd.DataFrame, rng: np.random.Generator
) -> dict[str, pd.DataFrame]:
    """Make the four sections as they are typed."""
    about = lung_parameters().programme
    asked = r.first - rng.integers(3, 21, len(p))
    letters = np.array(list("ABCDEFGHIJKLMNOPRSTV"), dtype=object)
    initials = letters[rng.integers(0, 20, len(p))] + letters[rng.integers(0, 20, len(p))]
    request = pd.DataFrame(
        {
            "numero_dossier": r.name,
            "date_demande": dates(asked),
            "initiales": initials,
            "mois_naissance": keys["birth_month"],
            "annee_naissance": keys["birth_year"],
            "sexe": _french(keys["sex"]),
            "departement": keys["department"],
            "finess": keys["centre"],
            "medicament": about.drug,
            "date_diagnostic": dates(p["diagnosis"].to_numpy()),
            "stade": seen["stage"],
            "histologie": _french(seen["histology"]),
            "pd_l1": _french(seen["pdl1"]),
            "tabagisme": _french(seen["smoking"]),
            "ecog": seen["ecog"],
            "chimioradiotherapie": seen["chemoradiation"],
        }
    )
    initiation = pd.DataFrame(
        {
            "numero_dossier": r.name,
            "date_premiere_administration": dates(r.first),
            "poids_kg": seen["weight"],
            "dose_mg": seen["weight"] * np.where(p["interval"] == 28, 20.0, 10.0),
            "intervalle_semaines": p["interval"] // 7,
        }
    )
    file, day = r.visits["file"].to_numpy(), r.visits["day"].to_numpy()
    known = r.progression[file] <= day
    answer = np.array(["réponse complète", "réponse partielle", "maladie stable"], dtype=object)
    follow_up = pd.DataFrame(
        {
            "numero_dossier": r.name[file],
            "numero_visite": r.visits["number"],
            "date_visite": dates(day),
            "statut_vital": "vivant",
            "reponse": np.where(
                known, "progression", answer[rng.choice(3, file.size, p=(0.1, 0.4, 0.5))]
            ),
            "date_progression": dates(np.where(known, r.progression[file], NEVER)),
            "traitement_en_cours": np.where(r.stop[file] > day, "oui", "non"),
            "commentaire": r.visits["comment"],
        }
    )
    return {
        "demande_acces": request,
        "initiation": initiation,
        "suivi": follow_up,
        "arret": _stop_section(p, r),
    }


def _stop_section(p: pd.DataFrame, r: _Reported) -> pd.DataFrame:
    """Make the section of stops, with deaths and progressions told after the last visit."""
    known = (r.stop < NEVER) | (r.death < NEVER) | (r.progression < NEVER)
    reason = _french(p["stop_reason"]).mask(r.stop == NEVER, None)
    return pd.DataFrame(
        {
            "numero_dossier": r.name,
            "date_arret": dates(r.stop),
            "motif_arret": reason,
            "nombre_administrations": r.doses,
            "date_progression": dates(r.progression),
            "statut_vital": np.where(r.death < NEVER, "décédé", "vivant"),
            "date_deces": dates(r.death),
            "date_dernieres_nouvelles": dates(r.last),
        }
    )[known].reset_index(drop=True)
