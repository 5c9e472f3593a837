"""The simulated lung cancer programme beside the published figures.

Forms and claims are linked as in the publication, without a look at the truth: first pass on sex, year and
month of birth, hospital and department, second without the department, and for the wider algorithm a third
with the department in place of the hospital. A pass links a file and a person whom nobody else on either
side equals in all of its keys. Endpoints are those of the pairs that the narrower algorithm links, wrong
pairs among them; times begin at the first infusion that each source has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fiac_survival.compare import ascertainment, paired_agreement
from fiac_survival.core.errors import DataError
from fiac_survival.core.outcome import Outcome
from fiac_survival.simulate.calibration import MONTH
from fiac_survival.simulate.lung import LungEarlyAccess
from fiac_survival.simulate.lung_course import NEXT
from fiac_survival.simulate.lung_parameters import lung_parameters
from fiac_survival.survival import SurvivalCurve, kaplan_meier

BIRTH = ["sex", "birth_year", "birth_month"]
NARROW = ([*BIRTH, "centre", "department"], [*BIRTH, "centre"])
COLUMNS = [
    "figure",
    "published",
    "simulated",
    "relative_error",
    "within_10_percent",
    "kind",
    "source",
]
WIDE = (*NARROW, [*BIRTH, "department"])


def lung_calibration(found: LungEarlyAccess | Sequence[LungEarlyAccess]) -> pd.DataFrame:
    """Compare simulated programmes with the published figures.

    Parameters
    ----------
    found : LungEarlyAccess or sequence of it
        Programmes. How many patients share their keys, and so how many can be linked, grows with a
        programme's size: take several of the published one, which are pooled.

    Returns
    -------
    DataFrame
        figure, published, simulated, relative_error, within_10_percent, kind ("target", "at least",
        "context"), source. A figure of the kind "at least" is a bound: it is met from there upwards.

    Raises
    ------
    DataError
        If there is no programme.

    Examples
    --------
    >>> import fiac_survival as fs
    >>> table = lung_calibration(fs.simulate.lung_early_access(seed=1))
    >>> table["kind"].value_counts().to_dict()
    {'target': 20, 'context': 4, 'at least': 2}
    """
    programmes = [found] if isinstance(found, LungEarlyAccess) else list(found)
    if not programmes:
        raise DataError("there must be a programme to compare", remedy="simulate one")
    pairs = pd.concat(
        [linked_pairs(one, NARROW).assign(programme=i) for i, one in enumerate(programmes)],
        ignore_index=True,
    )
    wide = sum(len(linked_pairs(one, WIDE)) for one in programmes)
    patients = _pooled([_form_patients(one) for one in programmes])
    matched = _matched(pairs, patients, _pooled([_claims_patients(one) for one in programmes]))
    n_files = sum(len(one.forms.person) for one in programmes)
    figures = {
        "eligible in claims per programme patient": sum(len(o.claims.person) for o in programmes)
        / n_files,
        "linked on sex, birth and hospital": len(pairs) / n_files,
        "linked on sex, birth and hospital or department": wide / n_files,
        "linked in the study of endpoints": len(pairs) / n_files,
        **_agreement(matched),
        **_endpoints(matched),
        **_characteristics(patients),
        **_context(patients, [one.truth.patients for one in programmes]),
    }
    rows = []
    for about in lung_parameters().figures:
        simulated = figures[about.figure]
        error = simulated / about.published - 1.0
        met = error >= 0 if about.kind == "at least" else abs(error) <= 0.10
        rows.append(
            (about.figure, about.published, simulated, error, met, about.kind, about.source)
        )
    return pd.DataFrame(rows, columns=COLUMNS)


def linked_pairs(found: LungEarlyAccess, passes: Sequence[list[str]] = NARROW) -> pd.DataFrame:
    """Link forms and claims deterministically, as the publication did.

    Parameters
    ----------
    found : LungEarlyAccess
        A programme.
    passes : sequence of list of str
        Keys of each pass.

    Returns
    -------
    DataFrame
        form_person, claims_person: pairs that are alone with their keys on both sides.
    """
    left = found.forms.linkage_key.rename(columns={"person": "form_person"})
    right = found.claims.linkage_key.rename(columns={"person": "claims_person"})
    pairs: list[pd.DataFrame] = []
    for keys in passes:
        sides = []
        for side in (left, right):
            known = side.dropna(subset=keys)
            sides.append(known[~known.duplicated(keys, keep=False)])
        new = sides[0].merge(sides[1], on=keys)[["form_person", "claims_person"]]
        left = left[~left["form_person"].isin(new["form_person"])]
        right = right[~right["claims_person"].isin(new["claims_person"])]
        pairs.append(new)
    return pd.concat(pairs, ignore_index=True)


def _pooled(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part.assign(programme=i) for i, part in enumerate(parts)], ignore_index=True)


def _form_patients(found: LungEarlyAccess) -> pd.DataFrame:
    """Collect what the forms say of each patient, a row a file."""
    forms = found.forms
    event = forms.event[forms.event["event"] == "progression"].set_index("person")["date"]
    stop = forms.event[forms.event["event"] == "treatment stop"].set_index("person")["code"]
    person = forms.person.merge(forms.exposure[["person", "date", "end"]], on="person")
    out = person.rename(columns={"person": "form_person", "date": "first", "end": "stop"})
    out["progression"] = out["form_person"].map(event)
    out["reason"] = out["form_person"].map(stop)
    return out


def _claims_patients(found: LungEarlyAccess) -> pd.DataFrame:
    """Collect what the claims say of each person."""
    claims, drug = found.claims, lung_parameters().programme.drug
    given = claims.exposure[claims.exposure["drug"] == drug].groupby("person")["date"]
    out = claims.person.rename(columns={"person": "claims_person"})
    out["first"] = out["claims_person"].map(given.min())
    out["stop"] = out["claims_person"].map(given.max())
    later = claims.exposure[claims.exposure["drug"].isin(NEXT)]
    later = later[later["date"] > later["person"].map(given.min())]
    out["next_treatment"] = out["claims_person"].map(later.groupby("person")["date"].min())
    return out


def _matched(pairs: pd.DataFrame, forms: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    out = pairs.merge(forms, on=["programme", "form_person"])
    out = out.merge(claims, on=["programme", "claims_person"], suffixes=("_forms", "_claims"))
    return out[out["first_claims"].notna()].reset_index(drop=True)


def _agreement(matched: pd.DataFrame) -> dict[str, float]:
    who = np.arange(len(matched))
    private, public = (
        pd.DataFrame({"person_id": who, "date": matched[f"death_{name}"]})
        for name in ("forms", "claims")
    )
    first = [matched[f"first_{name}"].to_numpy() for name in ("forms", "claims")]
    days = [one.astype("datetime64[D]").astype(np.float64) for one in first]
    return {
        "agreement on death, kappa": ascertainment(private, public).kappa,
        "agreement on the first infusion, intraclass correlation": paired_agreement(*days).icc,
    }


def _curve(first: pd.Series, *ends: pd.Series, until: pd.Series) -> SurvivalCurve:
    """Kaplan-Meier curve, in days, to the first of some events."""
    event = pd.concat(ends, axis=1).min(axis=1)
    days = (event.fillna(until) - first).dt.days.to_numpy(dtype=np.float64)
    return kaplan_meier(Outcome(np.maximum(days, 0.5), event.notna().to_numpy()))


def _alive(curve: SurvivalCurve, years: float) -> float:
    return float(curve.at([365.25 * years])["survival"].iloc[0])


def _median(curve: SurvivalCurve) -> float:
    return float(curve.quantile(0.5)["quantile"].iloc[0]) / MONTH


def _endpoints(m: pd.DataFrame) -> dict[str, float]:
    out = {}
    for name in ("forms", "claims"):
        first, death = m[f"first_{name}"], m[f"death_{name}"]
        curve = _curve(first, death, until=m[f"follow_up_end_{name}"])
        out[f"alive at 1 year, {name}"] = _alive(curve, 1.0)
        out[f"alive at 2 years, {name}"] = _alive(curve, 2.0)
        days = (m[f"stop_{name}"] - first).dt.days
        out[f"median treatment duration, days, {name}"] = float(days.median())
    free = _curve(
        m["first_forms"], m["progression"], m["death_forms"], until=m["follow_up_end_forms"]
    )
    untreated = _curve(
        m["first_claims"], m["next_treatment"], m["death_claims"], until=m["follow_up_end_claims"]
    )
    name = "without next treatment (claims) over without progression (forms), 2 years"
    return out | {name: _alive(untreated, 2.0) / _alive(free, 2.0)}


def _characteristics(p: pd.DataFrame) -> dict[str, float]:
    stopped = p["reason"].dropna()
    shares = {
        "men": p["sex"] == "male",
        "stage IIIB": p["stage"] == "IIIB",
        "PD-L1 positive": p["pdl1"] == "positive",
        "PD-L1 negative": p["pdl1"] == "negative",
        "PD-L1 unknown": p["pdl1"] == "unknown",
        "stopped: completed": stopped == "completed",
        "stopped: progression": stopped == "progression",
        "stopped: adverse event": stopped == "adverse event",
    }
    age = (p["first"] - p["birth"]).dt.days / 365.25
    return {"median age, years": float(age.median())} | {
        name: float(share.mean()) for name, share in shares.items()
    }


def _context(p: pd.DataFrame, truth: list[pd.DataFrame]) -> dict[str, float]:
    name, out = "median time to progression or death, months", {}
    for label, rows in (
        ("forms", p),
        ("PD-L1 positive", p[p["pdl1"] == "positive"]),
        ("PD-L1 negative", p[p["pdl1"] == "negative"]),
    ):
        curve = _curve(
            rows["first"], rows["progression"], rows["death"], until=rows["follow_up_end"]
        )
        out[f"{name}, {label}"] = _median(curve)
    lived = pd.concat(truth, ignore_index=True)
    cut = pd.Series(pd.Timestamp(lung_parameters().programme.cut_off), index=lived.index)
    out["alive at 3 years, truth"] = _alive(_curve(lived["start"], lived["death"], until=cut), 3.0)
    return out
