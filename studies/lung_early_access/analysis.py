"""Forms of an early-access programme beside claims of the same patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

import fiac_survival as fs
from fiac_survival.core.population import OutcomeDefinition
from fiac_survival.core.protocol import Estimand

MONTH = 30.4375
FILES = 457
FIGURE_END = 30.0
WINDOW, ENOUGH = 30.0, 0.8
DRUG = "durvalumab"
NEXT = ["docetaxel", "pemetrexed", "gemcitabine", "nivolumab", "pembrolizumab"]
BIRTH = ("sex", "birth_year", "birth_month")
PASSES = ((*BIRTH, "centre", "department"), (*BIRTH, "centre"), (*BIRTH, "department"))
CANDIDATES = [*BIRTH, "department", "centre", "first_treatment"]
TARGETS = {"rate": 0.75, "precision": 0.99}
OS_STEPS = ["time zero", "deaths recorded", "dates of death", "end of follow-up"]
TFST_STEPS = ["time zero", "next treatment for progression", "deaths", "end of follow-up"]
RULES = {
    "private": "forms alone",
    "public": "claims alone",
    "earliest": "either, earlier date",
    "latest": "either, later date",
    "union": "either, forms' date first",
    "confirmed": "both, within 30 days",
}
REPLICATES = 2000
# Points that were printed: event, group, months, share, patients of the curve where they were printed,
# and the printed interval of the share.
OS, PFS = "Alive", "Free of progression or death"
PACIFIC_R: list[tuple[str, str, float, float, int | None, tuple[float, float] | None]] = [
    (OS, "all", 36.0, 0.632, 1154, (0.603, 0.659)),
    (OS, "PD-L1 positive", 36.0, 0.670, None, None),
    (OS, "PD-L1 negative", 36.0, 0.544, None, None),
    (OS, "concurrent", 36.0, 0.648, None, None),
    (OS, "sequential", 36.0, 0.579, None, None),
    (PFS, "all", 21.7, 0.5, 1399, None),
    (PFS, "PD-L1 positive", 22.4, 0.5, None, None),
    (PFS, "PD-L1 negative", 15.6, 0.5, None, None),
    (PFS, "concurrent", 23.7, 0.5, None, None),
    (PFS, "sequential", 19.3, 0.5, None, None),
]
PACIFIC_R_SOURCE = {OS: "ESMO Open 2024, 103464", PFS: "PubMed 36307040"}
# The whole programme of 576 patients: Lung 2022, s00408-022-00511-8.
WHOLE_PROGRAMME = {
    "male": 0.729,
    "stage_iiib": 0.523,
    "pdl1_positive": 0.481,
    "pdl1_unknown": 0.193,
}
Run = Callable[[frozenset[str]], tuple[float, pd.Series]]


@dataclass(frozen=True, eq=False)
class Side:
    """One source: its cohort, the analysis table with baseline, and dates in days since 1970."""

    name: str
    label: str
    cohort: fs.cohort.Cohort
    analysis: Any
    table: pd.DataFrame
    outcome: fs.Outcome


def analyse(study: fs.study.StudyRun) -> None:
    made = study.simulated(
        fs.simulate.lung_early_access,
        parameters={"n": FILES},
        sources={"early_access": "forms", "claims": "claims"},
    )
    quality(study, made.cohorts)
    forms, claims = (side(study, name, cohort) for name, cohort in made.cohorts.items())
    population(study, forms, claims)
    linkage = link(study, forms, claims, truth_of(made.found))
    linked = linked_patients(forms, claims, linkage)
    weights = representativeness(study, forms, linkage, linked)
    survival = overall_survival(study, forms, claims, linked, weights)
    curves(study, linked)
    events = ascertainment(study, linked)
    integration(study, linked)
    gaps(study, forms, claims, linked)
    durations = treatment(study, linked)
    verdict = next_treatment(study, linked, events)
    contrast = bias(study, linked)
    packets(study, claims)
    beside_published(study, forms, linkage, linked, survival, durations, events, verdict)
    external(study, forms)
    study.summary(in_words(linkage, survival, durations, verdict, contrast))


# --- data ---------------------------------------------------------------------------------------


def quality(study: fs.study.StudyRun, cohorts: dict[str, fs.cohort.Cohort]) -> None:
    study.section(
        "Data", "Each source was checked where its tables lie; rules that block stop the study."
    )
    parts = []
    for name, cohort in cohorts.items():
        label = study.protocol.source(name).label
        with study.step(f"data quality of {label}"):
            found = fs.cohort.quality(cohort, cutoff=str(study.protocol.follow_up.cutoff))
        found.raise_if_blocked()
        parts.append(found.table.assign(source=name, source_label=label))
    table = pd.concat(parts, ignore_index=True)
    shown = ["source", "source_label", "rule", "table", "severity", "n", "total"]
    broken = study.table("quality", table[shown], title="Data quality", show=False)
    count = int((broken["n"] > 0).sum())
    study.prose(
        f"Of {len(broken)} checks, {count} found rows to look at and none found rows that block."
    )


def side(study: fs.study.StudyRun, name: str, cohort: fs.cohort.Cohort) -> Side:
    """Build the cohort of a source, and add the dates that further outcomes need."""
    label = study.protocol.source(name).label
    with study.step(f"cohort in {label}"):
        analysis = fs.cohort.build(cohort, study.protocol, source=name)
        table = analysis.table.copy()
        other = study.protocol.model_copy(update={"outcome": further_event(name)})
        found = fs.cohort.build(cohort, other, source=name).table.set_index("person")
        hit = table["person"].map(found["event"]) == 1
        after = table["person"].map(found["time"]).where(hit)
        table["first_event"] = days(table["time_zero"]) + after
        given = cohort.exposure.filter(cohort.exposure.drug == DRUG)
        table["stop"] = table["person"].map(last_day(study, given, name))
        table["activity"] = table["person"].map(last_record(study, cohort))
    table["zero"], table["death"] = days(table["time_zero"]), days(table["death"])
    table["last"] = np.minimum(days(table["follow_up_end"]), cutoff_day(study))
    table["cutoff"] = cutoff_day(study)
    return Side(name, label, cohort, analysis, baseline(table), analysis.outcome())


def further_event(name: str) -> OutcomeDefinition:
    """Define progression (forms) or next treatment (claims) as an outcome, death apart."""
    records = (
        {"table": "event", "events": ["progression"]}
        if name == "early_access"
        else {"table": "exposure", "drugs": NEXT}
    )
    return OutcomeDefinition.model_validate(
        {
            "name": "first_event",
            "label": "first event",
            "definition": "progression (forms) or next treatment (claims)",
            "time": "time",
            "event": "event",
            "events": [{"code": 1, "label": "event", "records": records}],
        }
    )


def last_day(study: fs.study.StudyRun, given: Any, name: str) -> pd.Series:
    """Last infusion: the form's date of the last administration, the last infusion in claims."""
    column = "end" if name == "early_access" else "date"
    rows = given.group_by("person").agg(day=given[column].max())
    frame = study.engine.collect(rows, order_by=["person"])
    return days(frame.set_index("person")["day"])


def last_record(study: fs.study.StudyRun, cohort: fs.cohort.Cohort) -> pd.Series:
    parts = [t.select(person=t.person, day=t.date) for t in (cohort.exposure, cohort.event)]
    rows = parts[0].union(parts[1])
    frame = study.engine.collect(
        rows.group_by("person").agg(day=rows.day.max()), order_by=["person"]
    )
    return days(frame.set_index("person")["day"])


def days(column: pd.Series) -> pd.Series:
    """Days since 1970, missing where there is no date."""
    moments = pd.to_datetime(column)
    return (moments - pd.Timestamp("1970-01-01")).dt.days.astype("float64")


def cutoff_day(study: fs.study.StudyRun) -> float:
    return float((pd.Timestamp(study.protocol.follow_up.cutoff) - pd.Timestamp("1970-01-01")).days)


def baseline(table: pd.DataFrame) -> pd.DataFrame:
    """Numeric covariates; what only the forms have is made where they have it."""
    table = table.assign(
        male=(table["sex"] == "male").astype(float), age=table["age"].astype(float)
    )
    if "stage" not in table:
        return table
    ecog = table["ecog"].astype("float64")
    return table.assign(
        stage_iiib=(table["stage"] == "IIIB").astype(float),
        stage_iiic=(table["stage"] == "IIIC").astype(float),
        pdl1=table["pdl1"].fillna("unknown"),
        pdl1_positive=(table["pdl1"] == "positive").astype(float),
        pdl1_unknown=(~table["pdl1"].isin(["positive", "negative"])).astype(float),
        sequential=(table["chemoradiation"] == "séquentielle").astype(float),
        ecog=ecog.fillna(ecog.median()),
        first_quarter=np.floor(
            (days(table["time_zero"]) - days(pd.Series(pd.to_datetime(["2017-10-01"]))).iloc[0])
            / 91.3125
        ),
    )


def population(study: fs.study.StudyRun, *sides: Side) -> None:
    attrition = pd.concat(
        [s.analysis.attrition.assign(source_label=s.label) for s in sides], ignore_index=True
    )
    study.table(
        "attrition",
        attrition,
        title="Attrition",
        columns={
            "label": "Step",
            "n_before": "Before",
            "n_excluded": "Excluded",
            "n_after": "After",
        },
        group_by="source_label",
    )
    flow = attrition[(attrition["n_excluded"] > 0) | (attrition["step"] == 0)]
    last = attrition.groupby("source_label", sort=False).tail(1)
    rows = [
        {
            "panel": r.source_label,
            "kind": "step",
            "label": r.label,
            "n": r.n_after,
            "n_excluded": r.n_excluded,
        }
        for r in flow.itertuples()
    ]
    order = {s.label: k for k, s in enumerate(sides)}
    rows += [
        {
            "panel": r.source_label,
            "kind": "step",
            "label": "Analysed",
            "n": r.n_after,
            "n_excluded": 0,
        }
        for r in last.itertuples()
    ]
    study.figure(
        "attrition",
        "attrition",
        pd.DataFrame(rows).sort_values("panel", key=lambda c: c.map(order), kind="stable"),
        title="From the sources to the patients analysed",
        caption="Patients in each source, step by step; steps that left nobody out are not drawn.",
        alt="Flow of patients from each source through the eligibility steps.",
    )


# --- linkage ------------------------------------------------------------------------------------


def truth_of(found: Any) -> pd.DataFrame | None:
    """Who is who, where the sources were simulated."""
    if found is None:
        return None
    pairs = found.truth.pairs.dropna(subset=["claims_person"]).drop_duplicates("claims_person")
    return pd.DataFrame(
        {
            "private": pairs["form_person"].to_numpy(),
            "public": pairs["claims_person"].to_numpy(dtype=np.int64),
        }
    )


def link(study: fs.study.StudyRun, forms: Side, claims: Side, truth: pd.DataFrame | None) -> Any:
    study.section(
        "Linkage",
        "No identifier is common to both sources. Patients are linked who agree, alone on either side, "
        "on sex, year and month of birth, with hospital, with department, or with both; a probabilistic "
        "model is held against that.",
    )
    keys = [
        study.engine.collect(s.cohort.linkage_key, order_by=["person"]) for s in (forms, claims)
    ]
    with study.step("linkage by passes"):
        found = fs.cohort.link(*keys, passes=PASSES, method="deterministic")
    with study.step("linkage by a model"):
        model = fs.cohort.link(*keys, method="probabilistic", seed=study.protocol.seed)
    study.table(
        "linkage", found.table, title="Linkage by passes", digits={"share": 3, "expected_false": 1}
    )
    study.figure(
        "linkage_flow",
        "linkage_flow",
        found.table,
        title="How programme patients were found in the claims",
        private_label="programme patients",
        public_label="claims",
        caption="Programme patients linked by each pass, and those left.",
        alt="Bars: most patients are linked by the strictest pass, about one in six by none.",
    )
    parts = []
    for label, one in (("passes", found), ("model", model)):
        if truth is not None:
            parts.append(one.quality(truth).table.assign(method_label=label, rate=one.rate))
        if label == "model":
            parts.append(one.quality().table.assign(method_label=label, rate=one.rate))
    study.table(
        "linkage_quality",
        pd.concat(parts, ignore_index=True),
        title="Quality of the linkage",
        note="Against the truth where the sources are simulated, and as the model estimates it, which is "
        "all that real data would give.",
        columns={
            "basis": "Against",
            "measure": "Measure",
            "estimate": "Estimate",
            "lower": "Lower",
            "upper": "Upper",
        },
        digits={"estimate": 3, "lower": 3, "upper": 3},
        group_by="method_label",
    )
    both = found.pairs.merge(model.pairs, on=["private", "public"])
    study.prose(
        f"Passes link {100 * found.rate:.1f} % of the programme patients, the model "
        f"{100 * model.rate:.1f} %; {len(both)} pairs are the same. What follows uses the passes."
    )
    minimum(study, keys, truth)
    return found


def minimum(study: fs.study.StudyRun, keys: list[pd.DataFrame], truth: pd.DataFrame | None) -> None:
    with study.step("minimum data set"):
        found = fs.cohort.minimum_data_set(
            *keys, candidates=CANDIDATES, targets=TARGETS, truth=truth
        )
    table = study.table("minimum_data_set", found.table, title="Subsets of identifiers", show=False)
    study.figure(
        "minimum_data_set",
        "minimum_data_set",
        table,
        title="How few identifiers link the two sources?",
        private_label="programme patients",
        rate_target=TARGETS["rate"],
        precision_target=TARGETS["precision"],
        precision_label="right links"
        if truth is not None
        else "links that all identifiers make too",
        caption="Every subset of six identifiers: share of programme patients linked in a single pass, and "
        "share of links that are right.",
        alt="Rate of linkage against the number of identifiers: three link few, four link most.",
    )
    best = found.smallest
    study.prose(
        f"The smallest sets that link {100 * TARGETS['rate']:.0f} % in one pass with "
        f"{100 * TARGETS['precision']:.0f} % of links right: "
        + ("; ".join(best["identifiers"].str.replace("_", " ")) if len(best) else "none does")
        + "."
    )


def linked_patients(forms: Side, claims: Side, linkage: Any) -> pd.DataFrame:
    """One row a linked pair, columns of the forms with _a, of the claims with _b."""
    pairs = linkage.pairs[["private", "public"]]
    eligible = pairs["private"].isin(forms.table["person"])
    eligible &= pairs["public"].isin(claims.table["person"])
    pairs = pairs[eligible].reset_index(drop=True)
    a = forms.table.set_index("person").loc[pairs["private"]].reset_index()
    b = claims.table.set_index("person").loc[pairs["public"]].reset_index()
    out = pd.concat([a.add_suffix("_a"), b.add_suffix("_b")], axis=1)
    out.insert(0, "id", [f"linked {k}" for k in range(len(out))])
    return out


def representativeness(
    study: fs.study.StudyRun, forms: Side, linkage: Any, linked: pd.DataFrame
) -> np.ndarray:
    """Linked against unlinked, and weights that make the linked stand for the programme."""
    kept = ["person", "age", "sex", "stage", "pdl1", "chemoradiation", "ecog", "histology"]
    kept += ["smoking", "first_quarter"]
    found = linkage.linked_vs_unlinked(forms.table[kept])
    table = found.table.assign(
        label=[
            study.protocol.label(r.covariate) + (f": {r.level}" if r.level else "")
            for r in found.table.itertuples()
        ]
    )
    study.table(
        "linked_against_unlinked",
        table,
        title="Linked against unlinked programme patients",
        note="Means or shares. A standardised difference above 0.1 in size is looked at.",
        columns={
            "label": "",
            "linked": "Linked",
            "unlinked": "Unlinked",
            "smd": "Standardised difference",
        },
        digits={"linked": 2, "unlinked": 2, "smd": 2},
    )
    weights = linkage.linkage_weights(
        forms.table, study.protocol.covariates["linkage"], stabilised=True
    )
    study.require_converged(weights)
    study.table(
        "linkage_weights",
        weights.balance.assign(
            label=[study.protocol.label(c) for c in weights.balance["covariate"]],
            ess=float(weights.table["ess"].iloc[0]),
            largest_weight=float(weights.table["largest_weight"].iloc[0]),
        ),
        title="The linked against the whole programme, before and after weighting for linkage",
        columns={
            "label": "",
            "all": "Programme",
            "linked": "Linked",
            "linked_weighted": "Linked, weighted",
            "smd_before": "Difference before",
            "smd_after": "after",
        },
        digits={"all": 2, "linked": 2, "linked_weighted": 2, "smd_before": 3, "smd_after": 3},
        note=f"Effective size {float(weights.table['ess'].iloc[0]):.0f} of {len(linked)} patients.",
    )
    by_person = weights.weights.set_index("person")["weight"]
    return np.asarray(by_person.loc[linked["person_a"]].to_numpy(dtype=np.float64))


# --- overall survival ---------------------------------------------------------------------------


def outcome_of(linked: pd.DataFrame, name: str) -> fs.Outcome:
    """Overall survival of the linked patients as a source has it, in months."""
    return fs.Outcome(linked[f"time_{name}"] / MONTH, linked[f"event_{name}"])


def overall_survival(
    study: fs.study.StudyRun, forms: Side, claims: Side, linked: pd.DataFrame, weights: np.ndarray
) -> pd.DataFrame:
    protocol = study.protocol
    level = 0.95
    study.section(
        "Overall survival",
        f"{len(linked)} linked patients are observed in both sources. What differs is compared within "
        "patients, and the covariance of the two estimates is taken into account.",
    )
    y = {name: outcome_of(linked, name) for name in "ab"}
    ids = linked["id"].to_numpy()
    everyone = [
        all_ids(s.table["person"], linked[["id", column]])
        for s, column in ((forms, "person_a"), (claims, "person_b"))
    ]
    rows, drawn, levels = [], [], []
    for estimand in protocol.estimands:
        paired = [one(y[name], estimand) for name in "ab"]
        weighted = [one(y[name], estimand, weights) for name in "ab"]
        whole = [one(s.outcome, estimand) for s in (forms, claims)]
        for label, pair, who in (
            ("Linked patients, paired", paired, (ids, ids)),
            ("Linked, as if they were strangers", paired, (None, None)),
            ("Linked, weighted to the programme", weighted, (ids, ids)),
            ("All patients of each source", whole, tuple(everyone)),
        ):
            found = fs.compare.agreement(
                *pair,
                margin=estimand.margin,
                level=level,
                patient_private=who[0],
                patient_public=who[1],
            )
            primary = label == "Linked patients, paired"
            values = dict(zip(found.table["quantity"], found.table["value"], strict=True))
            place = {
                "estimand": estimand.name,
                "estimand_label": estimand.label,
                "method_label": label,
                "primary": primary,
            }
            rows.append(place | {"private": pair[0].estimate, "public": pair[1].estimate} | values)
            drawn.append(difference_row(place, estimand, found, level))
            levels += [
                place | {"source_label": s.label} | e.table.iloc[0].to_dict()
                for s, e in zip((forms, claims), pair, strict=True)
                if label != "Linked, as if they were strangers"
            ]
    study.table(
        "estimates",
        pd.DataFrame(levels),
        title="Estimates in each source",
        columns={
            "method_label": "Patients",
            "source_label": "Source",
            "estimate": "Estimate",
            "lower": "Lower",
            "upper": "Upper",
            "n": "Patients",
            "n_event": "Deaths",
        },
        digits={"estimate": 3, "lower": 3, "upper": 3, "n": 0, "n_event": 0},
        group_by="estimand_label",
    )
    table = study.table(
        "agreement",
        pd.DataFrame(rows),
        title="Agreement of the claims with the forms",
        note="Forms minus claims. Treating linked patients as strangers makes the standard error too "
        "large, and real differences disappear in it.",
        columns={
            "method_label": "Patients",
            "private": "Forms",
            "public": "Claims",
            "difference": "Difference",
            "std_error": "Standard error",
            "smallest_margin": "Smallest margin",
            "p_equivalence": "p, equivalence",
        },
        digits=dict.fromkeys(
            ["private", "public", "difference", "std_error", "smallest_margin", "p_equivalence"], 3
        ),
        group_by="estimand_label",
    )
    study.figure(
        "agreement",
        "agreement",
        pd.DataFrame(drawn),
        title="Forms minus claims: is the difference within the margin?",
        note="Thin: 95 % interval. Thick: 90 % interval, which must lie inside the grey margin for "
        "equivalence\n(circle: it does; cross: it does not). Bold: the protocol's comparison.",
        ticks=4,
        caption="Differences between forms and claims with the equivalence margin, for linked patients "
        "as pairs, as strangers, weighted to the programme, and for all patients of each source.",
        alt="Paired intervals are several times narrower than those of strangers.",
    )
    return table


def one(y: fs.Outcome, estimand: Estimand, weights: np.ndarray | None = None) -> fs.compare.Effect:
    assert estimand.measure != "hazard_ratio"
    assert estimand.tau is not None
    return fs.compare.one_arm(y, measure=estimand.measure, tau=estimand.tau, weights=weights)


def all_ids(person: pd.Series, linked: pd.DataFrame) -> np.ndarray:
    """Name all patients of a source; linked ones by their pair."""
    by = dict(zip(linked.iloc[:, 1], linked["id"], strict=True))
    return np.array([by.get(p, f"{linked.columns[1]} {p}") for p in person], dtype=object)


def difference_row(
    place: dict[str, Any], estimand: Estimand, found: fs.compare.Agreement, level: float
) -> dict[str, Any]:
    lower, upper = found.interval(level)
    lower_equivalence, upper_equivalence = found.interval(2 * level - 1)
    return {
        "panel": estimand.label,
        "method_label": place["method_label"],
        "difference": found.difference,
        "lower": lower,
        "upper": upper,
        "lower_equivalence": lower_equivalence,
        "upper_equivalence": upper_equivalence,
        "margin": found.margin,
        "unit": "months" if estimand.measure == "rmst" else "probability",
        "equivalent": found.equivalent,
        "primary": place["primary"],
    }


def without(linked: pd.DataFrame, name: str) -> fs.Outcome:
    """Time without progression or death (forms), without next treatment or death (claims)."""
    ends = np.fmin(linked[f"first_event_{name}"], linked[f"death_{name}"])
    stop = linked[f"zero_{name}"] + linked[f"time_{name}"]
    hit = (ends <= stop).to_numpy()
    return fs.Outcome(
        np.maximum(np.where(hit, ends, stop) - linked[f"zero_{name}"], 0.5) / MONTH, hit
    )


def curves(study: fs.study.StudyRun, linked: pd.DataFrame) -> None:
    pairs = {
        "Overall survival": (
            (outcome_of(linked, "a"), outcome_of(linked, "b")),
            ("Forms", "Claims"),
        ),
        "Progression-free against untreated": (
            (without(linked, "a"), without(linked, "b")),
            ("Forms: no progression or death", "Claims: no next treatment or death"),
        ),
    }
    parts = []
    for panel, (outcomes, labels) in pairs.items():
        with study.step(f"paired curves, {panel.lower()}"):
            jumps = [y.time[(y.event > 0) & (y.time <= FIGURE_END)] for y in outcomes]
            times = np.concatenate([np.arange(0.0, FIGURE_END + 0.5), *jumps])
            found = fs.compare.paired_survival(*outcomes, times=times, seed=study.protocol.seed)
        parts.append(
            found.table.assign(
                panel=panel,
                private_label=labels[0],
                public_label=labels[1],
                margin=study.protocol.estimands[0].margin
                if panel.startswith("Overall")
                else study.protocol.further_outcome("tfst_against_pfs").margin,
                band_quantile=found.band_quantile,
            )
        )
    table = study.table("curves", pd.concat(parts, ignore_index=True), title="Curves", show=False)
    study.figure(
        "paired_curves",
        "paired_survival",
        table,
        title="The same patients in two sources",
        time_label="months since first durvalumab",
        survival_label="share of patients",
        tick=6,
        note="Below: forms minus claims, with its 95 % interval at each time (dark) and its band over all "
        "times (light), both within patients; dashed: the margin.",
        caption="Kaplan-Meier curves of linked patients in both sources, and their difference.",
        alt="Curves of overall survival lie on each other; those of progression and next treatment stay "
        "close and cross.",
    )


# --- events -------------------------------------------------------------------------------------


def event_tables(
    linked: pd.DataFrame, left: pd.Series, right: pd.Series
) -> tuple[pd.DataFrame, pd.DataFrame]:
    ids = linked["id"]
    return (
        pd.DataFrame({"person_id": ids, "date": left}),
        pd.DataFrame({"person_id": ids, "date": right}),
    )


def ascertainment(
    study: fs.study.StudyRun, linked: pd.DataFrame
) -> dict[str, fs.compare.Ascertainment]:
    study.section(
        "Events",
        f"Dates within {WINDOW:.0f} days of each other are one event. The forms are the reference by "
        "convention only.",
    )
    seen = linked["death_b"].where(linked["death_b"] <= linked["last_a"])
    pairs = {
        "Deaths": (linked["death_a"], linked["death_b"]),
        "Deaths up to the forms' last news": (linked["death_a"], seen),
        "Progression (forms), next treatment (claims)": (
            linked["first_event_a"],
            linked["first_event_b"],
        ),
    }
    found, rows, drawn = {}, [], []
    for panel, (left, right) in pairs.items():
        one = fs.compare.ascertainment(*event_tables(linked, left, right), window_days=WINDOW)
        found[panel] = one
        rows.append(one.table.assign(panel=panel))
        drawn += matrix_rows(panel, one)
    study.table(
        "ascertainment",
        pd.concat(rows, ignore_index=True),
        title="Agreement on events",
        columns={
            "measure": "Measure",
            "estimate": "Estimate",
            "lower": "Lower",
            "upper": "Upper",
            "n": "Of",
        },
        digits={"estimate": 3, "lower": 3, "upper": 3},
        group_by="panel",
    )
    study.figure(
        "ascertainment",
        "ascertainment",
        pd.DataFrame(drawn),
        title="Which events do the sources share?",
        private_label="forms",
        public_label="claims",
        note=f"Above: linked patients. Bar: events, matched within {WINDOW:.0f} days, shifted by more, "
        "missed by the claims, extra in the claims.",
        caption="Linked patients by what each source says, and events by class.",
        alt="Deaths agree in nearly all patients; progression and next treatment in about three of four.",
    )
    return found


def matrix_rows(panel: str, found: fs.compare.Ascertainment) -> list[dict[str, Any]]:
    names = {(True, True): "both", (True, False): "only private", (False, True): "only public"}
    rows = [
        (names.get((r.private, r.public), "neither"), "patients", r.patients, np.nan, np.nan)
        for r in found.patients.itertuples()
    ]
    rows += [
        (kind, "events", n, np.nan, np.nan)
        for kind, n in zip(found.counts["class"], found.counts["events"], strict=True)
    ]
    shown = {
        "kappa": "kappa",
        "sensitivity": "found by claims",
        "predictive_value": "known to forms",
    }
    rows += [
        (shown[r.measure], "measure", r.estimate, r.lower, r.upper)
        for r in found.table.itertuples()
        if r.measure in shown
    ]
    names_of = ["label", "part", "value", "lower", "upper"]
    return [{"panel": panel} | dict(zip(names_of, row, strict=True)) for row in rows]


# --- from one answer to the other -----------------------------------------------------------------


def integration(study: fs.study.StudyRun, linked: pd.DataFrame) -> None:
    """Estimate under all rules on the same patients, from the forms' time zero."""
    study.section(
        "Rules of integration",
        "Two sources on the same deaths have to be made one. Each rule is crossed with two ends of "
        "follow-up: the last activity that a source has, which loses those who are well and unseen, and "
        "the data cut-off, which keeps alive whoever died unseen.",
    )
    zero = linked["zero_a"]
    activity = np.fmax(linked["activity_b"], linked["death_b"])
    data = pd.DataFrame(
        {
            "private_event": linked["death_a"] - zero,
            "public_event": linked["death_b"] - zero,
            "private_last": linked["last_a"] - zero,
            "public_last": np.fmin(activity, linked["cutoff_b"]) - zero,
            "cutoff": linked["cutoff_a"] - zero,
        }
    )
    data = (data / MONTH).clip(lower=0.5 / MONTH)
    with study.step("ladder of integration rules"):
        found = fs.compare.ladder(data, tau=24.0, window=WINDOW / MONTH)
    table = found.table.assign(rule_label=found.table["rule"].map(RULES))
    shown = study.table(
        "ladder",
        table,
        title="Months alive of the first 24, by rule",
        columns={
            "rule_label": "Deaths of",
            "censoring": "Followed to",
            "n_event": "Deaths",
            "estimate": "Months",
            "lower": "Lower",
            "upper": "Upper",
            "difference": "Difference",
            "difference_lower": "Lower ",
            "difference_upper": "Upper ",
        },
        digits=dict.fromkeys(
            ["estimate", "lower", "upper", "difference", "difference_lower", "difference_upper"], 2
        ),
    )
    study.figure(
        "ladder",
        "ladder",
        shown,
        title="The rule of integration, and where follow-up ends",
        x_label="months alive of the first 24",
        difference_label="difference from the forms alone, months",
        caption="Restricted mean survival of the same linked patients under six rules and two ends of "
        "follow-up; differences within patients.",
        alt="The end of follow-up moves the estimate more than the rule does.",
    )


def steps_of(study: fs.study.StudyRun, linked: pd.DataFrame, progression: bool) -> Run:
    """Give months of the first 24 without the event, with some steps taken the claims' way."""
    a, b = linked["death_a"], linked["death_b"]
    # Whoever dies is followed to death; for the others each source has an end of its own.
    ends = {
        False: linked["last_a"].where(a.isna(), linked["cutoff_a"]),
        True: linked["last_b"].where(b.isna(), linked["cutoff_b"]),
    }

    def run(taken: frozenset[str]) -> tuple[float, pd.Series]:
        zero = linked["zero_b" if "time zero" in taken else "zero_a"]
        if progression:
            first = linked[f"first_event_{'b' if TFST_STEPS[1] in taken else 'a'}"]
            event = np.fmin(first, b if "deaths" in taken else a)
        else:
            status, dated = (b, a) if "deaths recorded" in taken else (a, b)
            own = "dates of death" in taken
            by_other = dated.where(dated.notna(), status)
            by_claims = status if "deaths recorded" in taken else by_other
            by_forms = by_other if "deaths recorded" in taken else status
            event = (by_claims if own else by_forms).where(status.notna())
        end = ends["end of follow-up" in taken]
        hit = (event <= end).to_numpy()
        time = np.maximum(np.where(hit, event, end) - zero, 0.5) / MONTH
        found = fs.compare.one_arm(fs.Outcome(time, hit), measure="rmst", tau=24.0)
        return found.estimate, pd.Series(found.influence, index=linked["id"])

    return run


def gaps(study: fs.study.StudyRun, forms: Side, claims: Side, linked: pd.DataFrame) -> None:
    study.section(
        "Where the gap comes from",
        "From the forms' answer on all their patients to the claims' on theirs, in months of the first "
        "24. Inner steps have their mean effect over all orders; they add to the gap exactly.",
    )
    rmst = study.protocol.estimands[-1]
    outer: list[Any] = []
    for s, column in ((forms, "person_a"), (claims, "person_b")):
        found = one(s.outcome, rmst)
        who = all_ids(s.table["person"], linked[["id", column]])
        outer.append((found.estimate, pd.Series(found.influence, index=who)))
    parts = []
    for name, panel, steps, progression in (
        ("decomposition_survival", "Overall survival", OS_STEPS, False),
        (
            "decomposition_next_treatment",
            "From no progression (forms) to no next treatment (claims), or death",
            TFST_STEPS,
            True,
        ),
    ):
        with study.step(f"decomposition, {panel.lower()}"):
            run = steps_of(study, linked, progression)
            private, public = (None, None) if progression else outer
            found = fs.compare.decompose(run, steps, private=private, public=public)
        parts.append(
            found.table.assign(panel=panel, start=found.start, end=found.end, gap=found.gap)
        )
        study.figure(
            name,
            "decomposition",
            waterfall_rows(panel, found),
            title="Where the gap between forms and claims comes from",
            y_label="months of the first 24",
            note="Line: 95 % interval of a contribution, within patients. Grey: its smallest and "
            "largest effect over the orders of steps.",
            caption=f"{panel}: contribution of each step to the gap between the two sources.",
            alt="Waterfall from the forms' estimate to the claims'.",
        )
    study.table(
        "decomposition",
        pd.concat(parts, ignore_index=True),
        title="Contributions to the gap, months",
        columns={
            "step": "Step",
            "contribution": "Contribution",
            "lower": "Lower",
            "upper": "Upper",
            "smallest": "Smallest over orders",
            "largest": "Largest",
        },
        digits=dict.fromkeys(["contribution", "lower", "upper", "smallest", "largest"], 3),
        group_by="panel",
    )


def waterfall_rows(panel: str, found: fs.compare.Decomposition) -> pd.DataFrame:
    names = {"private: all to linked patients": "to linked patients"}
    names |= {"public: linked to all patients": "to all patients in claims"}
    blank = dict.fromkeys(["lower", "upper", "smallest", "largest"], np.nan)
    rows = [{"kind": "level", "label": "forms", "value": found.start} | blank]
    rows += [
        {
            "kind": "step",
            "label": names.get(r.step, r.step),
            "value": r.contribution,
            "lower": r.lower,
            "upper": r.upper,
            "smallest": r.smallest,
            "largest": r.largest,
        }
        for r in found.table.itertuples()
    ]
    rows.append({"kind": "level", "label": "claims", "value": found.end} | blank)
    return pd.DataFrame([{"panel": panel} | row for row in rows])


# --- treatment and its sequel -----------------------------------------------------------------------


def treatment(study: fs.study.StudyRun, linked: pd.DataFrame) -> dict[str, float]:
    about = study.protocol.further_outcome("treatment_duration")
    study.section("Treatment", about.definition.capitalize() + ".")
    days_a, days_b = (linked[f"stop_{n}"] - linked[f"zero_{n}"] for n in "ab")
    complete = (days_a.notna() & days_b.notna()).to_numpy()
    x, y = days_a.to_numpy()[complete], days_b.to_numpy()[complete]
    found = fs.compare.paired_agreement(x, y)
    dates = linked["first_event_b"] - linked["first_event_a"]
    both = dates.notna().to_numpy()
    first = (linked["first_event_a"] - linked["zero_a"]).to_numpy()[both]
    second = (linked["first_event_b"] - linked["zero_a"]).to_numpy()[both]
    course = fs.compare.paired_agreement(first, second)
    rng = study.stream("treatment duration")
    drawn = rng.integers(0, x.size, (REPLICATES, x.size))
    gaps_ = np.median(x[drawn], axis=1) - np.median(y[drawn], axis=1)
    lower, upper = np.quantile(gaps_, [0.025, 0.975], method="inverted_cdf")
    low90, high90 = np.quantile(gaps_, [0.05, 0.95], method="inverted_cdf")
    margin = float(about.margin or 0.0)
    values = {
        "forms": float(np.median(x)),
        "claims": float(np.median(y)),
        "difference": float(np.median(x) - np.median(y)),
        "lower": float(lower),
        "upper": float(upper),
        "equivalent": float(-margin < low90 and high90 < margin),
        "icc": found.icc,
        "patients": float(x.size),
    }
    names = {
        "forms": "median in the forms, days",
        "claims": "median in the claims, days",
        "difference": "difference of medians, days",
        "lower": "its 95 % interval, lower (paired bootstrap)",
        "upper": "upper",
        "equivalent": f"shown to be within {margin:g} days (1 yes, 0 no)",
        "icc": "intraclass correlation",
        "patients": "patients with both",
    }
    rows = pd.concat(
        [
            pd.DataFrame(
                {"quantity": [names[k] for k in values], "estimate": list(values.values())}
            ),
            found.table.assign(quantity="claims minus forms, " + found.table["quantity"]),
        ],
        ignore_index=True,
    )
    study.table(
        "treatment_duration",
        rows,
        title="Treatment duration in both sources",
        columns={"quantity": "", "estimate": "Estimate", "lower": "Lower", "upper": "Upper"},
    )
    study.figure(
        "bland_altman",
        "bland_altman",
        pd.concat(
            [
                bland_altman_rows("Treatment duration", x, y, found),
                bland_altman_rows("Next treatment against progression", first, second, course),
            ],
            ignore_index=True,
        ),
        title="Claims minus forms, patient by patient",
        x_label="mean of both, days",
        y_label="claims minus forms, days",
        note="Lines: mean difference, and limits that hold 95 % of differences if they are normal; grey: "
        "their 95 % intervals.",
        caption="Bland-Altman plots of treatment duration, and of the days to next treatment (claims) "
        "against progression (forms) where both are dated.",
        alt="Treatment durations differ by weeks, dates of next treatment and progression by months.",
    )
    return values


def bland_altman_rows(
    panel: str, x: np.ndarray, y: np.ndarray, found: fs.compare.PairedAgreement
) -> pd.DataFrame:
    dots = pd.DataFrame({"kind": "patient", "label": "", "mean": (x + y) / 2, "difference": y - x})
    dots = dots.sort_values(["mean", "difference"], ignore_index=True)
    lines = found.table[found.table["quantity"] != "intraclass correlation"]
    drawn = pd.DataFrame(
        {
            "kind": "line",
            "label": lines["quantity"],
            "difference": lines["estimate"],
            "lower": lines["lower"],
            "upper": lines["upper"],
        }
    )
    out = pd.concat([dots, drawn], ignore_index=True).assign(panel=panel)
    return out[["panel", "kind", "label", "mean", "difference", "lower", "upper"]]


def next_treatment(
    study: fs.study.StudyRun, linked: pd.DataFrame, events: dict[str, fs.compare.Ascertainment]
) -> dict[str, Any]:
    """Ask whether next treatment in claims may stand for progression in forms."""
    about = study.protocol.further_outcome("tfst_against_pfs")
    study.section("Next treatment for progression?", about.definition + ".")
    y = [without(linked, name) for name in "ab"]
    ids = linked["id"].to_numpy()
    rows: list[dict[str, Any]] = []
    for tau in (12.0, 24.0):
        pair = [fs.compare.one_arm(one, measure="milestone", tau=tau) for one in y]
        found = fs.compare.agreement(
            *pair, margin=float(about.margin or 0.1), patient_private=ids, patient_public=ids
        )
        rows.append(
            {
                "quantity": f"free of the event at {tau:g} months",
                "forms": pair[0].estimate,
                "claims": pair[1].estimate,
                "difference": found.difference,
                "lower": found.interval()[0],
                "upper": found.interval()[1],
                "holds": found.equivalent,
            }
        )
    overall = bool(rows[-1]["holds"])
    by_patient = events["Progression (forms), next treatment (claims)"].table.set_index("measure")
    for measure, label in (
        ("sensitivity", "progressions with a next treatment within 30 days"),
        ("predictive_value", "next treatments with a progression within 30 days"),
    ):
        row = by_patient.loc[measure]
        rows.append(
            {
                "quantity": label,
                "forms": np.nan,
                "claims": row["estimate"],
                "difference": np.nan,
                "lower": row["lower"],
                "upper": row["upper"],
                "holds": bool(row["lower"] >= ENOUGH),
            }
        )
    single = all(row["holds"] for row in rows[-2:])
    study.table(
        "next_treatment",
        pd.DataFrame(rows),
        title="Next treatment (claims) against progression (forms)",
        columns={
            "quantity": "",
            "forms": "Forms",
            "claims": "Claims",
            "difference": "Difference",
            "lower": "Lower",
            "upper": "Upper",
            "holds": "Good enough",
        },
        digits=dict.fromkeys(["forms", "claims", "difference", "lower", "upper"], 3),
        note="Good enough: the difference is shown to lie within the margin; or the lower limit of the "
        f"share is at least {ENOUGH:g}.",
    )
    study.prose(
        "Overall the two "
        + ("agree" if overall else "are not shown to agree")
        + " at 24 months; patient by patient they "
        + ("agree" if single else "do not")
        + ". Time to next treatment may "
        + ("" if overall and single else "not ")
        + "stand for progression-free survival."
    )
    return {
        "forms": rows[1]["forms"],
        "claims": rows[1]["claims"],
        "overall": overall,
        "by_patient": single,
        "matched": float(by_patient.loc["sensitivity", "estimate"]),
    }


# --- bias ---------------------------------------------------------------------------------------


def known_pdl1(linked: pd.DataFrame) -> pd.DataFrame:
    return linked[linked["pdl1_a"].isin(["positive", "negative"])].reset_index(drop=True)


def bias(study: fs.study.StudyRun, linked: pd.DataFrame) -> dict[str, float]:
    """PD-L1, which claims do not have, and deaths of either source."""
    about = study.protocol.further_outcome("pdl1_hazard_ratio")
    study.section(
        "A contrast that only linkage gives",
        about.definition + ". Weights balance what the forms record; the E-value says how strong a "
        "confounder they do not record would have to be.",
    )
    part = known_pdl1(linked)
    positive = (part["pdl1_a"] == "positive").to_numpy()
    covariates = study.protocol.covariates["pdl1"]
    frame = part[[f"{c}_a" for c in covariates]].set_axis(covariates, axis=1)
    with study.step("weights for PD-L1"):
        weights = fs.compare.weights(frame, positive, stabilised=True)
    study.require_converged(weights)
    found, rows = {}, []
    for name, label in (("a", "Forms"), ("b", "Claims")):
        for method, w in (("unadjusted", None), ("weighted", weights)):
            effect = fs.compare.effect(
                outcome_of(part, name), positive, measure="hazard_ratio", weights=w
            )
            study.require_converged(effect)
            strength = fs.compare.e_value(effect, outcome="common")
            found[name, method] = effect
            rows.append(
                {
                    "source_label": label,
                    "method_label": method,
                    "hazard_ratio": effect.estimate,
                    "lower": effect.lower,
                    "upper": effect.upper,
                    "e_value": strength.estimate,
                    "e_value_limit": strength.limit,
                }
            )
    study.table(
        "pdl1",
        pd.DataFrame(rows),
        title="Hazard ratio of death, PD-L1 positive against negative",
        columns={
            "source_label": "Deaths of",
            "method_label": "Method",
            "hazard_ratio": "Hazard ratio",
            "lower": "Lower",
            "upper": "Upper",
            "e_value": "E-value",
            "e_value_limit": "of the limit",
        },
        digits=dict.fromkeys(["hazard_ratio", "lower", "upper", "e_value", "e_value_limit"], 2),
    )
    ids = part["id"].to_numpy()
    margin = float(about.margin or 1.25)
    rows = []
    for method in ("unadjusted", "weighted"):
        for label, who in (("paired", ids), ("as if strangers", None)):
            held = fs.compare.agreement(
                found["a", method],
                found["b", method],
                margin=margin,
                patient_private=who,
                patient_public=who,
            )
            values = dict(zip(held.table["quantity"], held.table["value"], strict=True))
            rows.append({"method_label": method, "patients": label} | values)
    table = study.table(
        "pdl1_agreement",
        pd.DataFrame(rows),
        title="Forms against claims: difference of log hazard ratios",
        columns={
            "method_label": "Method",
            "patients": "Patients",
            "difference": "Difference",
            "std_error": "Standard error",
            "smallest_margin": "Smallest margin",
            "p_equivalence": "p, equivalence",
        },
        digits=dict.fromkeys(["difference", "std_error", "smallest_margin", "p_equivalence"], 3),
    )
    wrong_deaths(study, part, positive)
    first = table.iloc[0]
    return {
        "forms": found["a", "unadjusted"].estimate,
        "claims": found["b", "unadjusted"].estimate,
        "smallest_margin": float(first["smallest_margin"]),
    }


def wrong_deaths(study: fs.study.StudyRun, part: pd.DataFrame, positive: np.ndarray) -> None:
    """Deaths within 24 months on the forms, corrected with the claims as validation."""
    horizon = 24 * MONTH
    in_forms = (part["death_a"] - part["zero_a"] <= horizon).to_numpy()
    in_claims = (part["death_b"] - part["zero_b"] <= horizon).to_numpy()
    correct = int(np.sum(in_forms & in_claims)), int(np.sum(~in_forms & ~in_claims))
    sensitivity = fs.compare.Validated(correct=correct[0], of=int(in_claims.sum()))
    specificity = fs.compare.Validated(correct=correct[1], of=int((~in_claims).sum()))
    found = fs.compare.misclassified_events(
        [int(in_forms[positive].sum()), int(in_forms[~positive].sum())],
        [int(positive.sum()), int((~positive).sum())],
        sensitivity=sensitivity,
        specificity=specificity,
        seed=study.protocol.seed,
    )
    held = in_claims[positive].mean() / in_claims[~positive].mean()
    table = pd.concat(
        [
            found.table,
            pd.DataFrame([{"analysis": "claims' own deaths", "estimate": float(held)}]),
        ],
        ignore_index=True,
    )
    study.table(
        "wrong_deaths",
        table,
        title="Risk ratio of death within 24 months by PD-L1: forms, corrected for unreported deaths",
        columns={"analysis": "", "estimate": "Risk ratio", "lower": "Lower", "upper": "Upper"},
        digits={"estimate": 3, "lower": 3, "upper": 3},
        note=f"With the claims as validation the forms have {correct[0]} of {sensitivity.of} deaths and "
        f"call {specificity.of - correct[1]} of {specificity.of} survivors dead.",
    )


def packets(study: fs.study.StudyRun, claims: Side) -> None:
    """Make the same estimates from two regions whose rows stay where they are."""
    study.section(
        "When rows may not leave",
        "All claims patients, aged 65 or more against younger, in two regions: each region sends a "
        "packet. Without disclosure control the packets give what the rows give. Under the rule of no "
        "count from 1 to 10 they give bounds, or are refused where too little happened in an arm.",
    )
    old = (claims.table["age"] >= 65).to_numpy()
    south = claims.table["department"].astype(str).to_numpy() >= "45"
    rows = []
    for profile in ("none", "snds"):
        release = study.protocol.release.model_copy(update={"profile": profile})
        protocol = study.protocol.model_copy(update={"release": release})
        said, pooled = "released", pd.DataFrame()
        try:
            made = [
                fs.compare.SitePacket.build(
                    claims.outcome.take(np.flatnonzero(here)),
                    old[here],
                    site=site,
                    role="public",
                    protocol=protocol,
                    protocol_sha256=fs.core.files.sha256_text(protocol.model_dump_json()),
                )
                for site, here in (("north", ~south), ("south", south))
            ]
            pooled = fs.compare.pool_packets(made, protocol).table.set_index("estimand")
        except (fs.errors.DisclosureError, fs.errors.DataError) as refusal:
            said = f"refused: {refusal.rule}"
        for estimand in study.protocol.estimands:
            own = fs.compare.effect(claims.outcome, old, measure=estimand.measure, tau=estimand.tau)
            row = {
                "profile": profile,
                "estimand": estimand.name,
                "estimand_label": estimand.label,
                "said": said,
                "rows": own.estimate,
                "rows_std_error": own.std_error,
            }
            for name in ("estimate", "std_error", "lowest", "highest"):
                row[name] = np.nan if pooled.empty else pooled.loc[estimand.name, name]
            rows.append(row)
    study.table(
        "packets",
        pd.DataFrame(rows),
        title="Two packets against the rows",
        columns={
            "estimand_label": "Difference in",
            "said": "Packets",
            "rows": "From rows",
            "estimate": "From packets",
            "lowest": "Lowest",
            "highest": "Highest",
        },
        digits=dict.fromkeys(["rows", "estimate", "lowest", "highest"], 4),
        group_by="profile",
    )


# --- beside what was published ------------------------------------------------------------------------


def beside_published(
    study: fs.study.StudyRun,
    forms: Side,
    linkage: Any,
    linked: pd.DataFrame,
    survival: pd.DataFrame,
    durations: dict[str, float],
    events: dict[str, fs.compare.Ascertainment],
    verdict: dict[str, Any],
) -> None:
    study.section(
        "Beside the published figures",
        "The simulation was fitted to most of these, so that nearness is no evidence; PACIFIC-R is another "
        "population and context only.",
    )
    used = linkage.passes[linkage.passes["used"]]["linked"].to_numpy(dtype=float)
    n = len(linkage.frames[0])
    paired = survival[survival["primary"]].set_index("estimand")
    first = fs.compare.paired_agreement(linked["zero_a"], linked["zero_b"])
    pfs = fs.survival.kaplan_meier(progression_free(forms))
    median = pfs.quantile(0.5).iloc[0]
    link_source = "abstract 11137"
    congress = "World Conference on Lung Cancer 2025, P1.17.57"
    rows = [
        ("linked on birth, sex and hospital", 0.810, used[:2].sum() / n, link_source),
        ("linked, department in its place too", 0.853, used.sum() / n, link_source),
        ("agreement on death, kappa (published: above)", 0.8, events["Deaths"].kappa, link_source),
        ("first infusion, intraclass correlation (published: above)", 0.9, first.icc, link_source),
        ("alive at 1 year, forms", 0.871, paired.loc["os_12", "private"], congress),
        ("alive at 1 year, claims", 0.871, paired.loc["os_12", "public"], congress),
        ("alive at 2 years, forms", 0.71, paired.loc["os_24", "private"], congress),
        ("alive at 2 years, claims", 0.71, paired.loc["os_24", "public"], congress),
        ("median treatment, days, forms", 328.5, durations["forms"], congress),
        ("median treatment, days, claims", 295.0, durations["claims"], congress),
        (
            "next treatment (claims) over progression (forms), free at 2 years (published: close)",
            1.0,
            verdict["claims"] / verdict["forms"],
            congress,
        ),
        (
            "median time to progression or death, months, forms (context)",
            21.7,
            median["quantile"],
            "PACIFIC-R, PubMed 36307040 (19.1-24.5)",
        ),
    ]
    table = pd.DataFrame(rows, columns=["figure", "published", "simulated", "source"])
    study.table(
        "published",
        table,
        title="Published and simulated",
        columns={
            "figure": "",
            "published": "Published",
            "simulated": "Simulated",
            "source": "Source of the published figure",
        },
        digits={"published": 3, "simulated": 3},
        note=f"In PACIFIC-R half had progressed or died at 21.7 months (19.1 to 24.5); among the simulated "
        f"forms at {median['quantile']:.1f} ({median['lower']:.1f} to {median['upper']:.1f}).",
    )


def external(study: fs.study.StudyRun, forms: Side) -> None:
    """Hold the forms against curves that are known from their publication alone."""
    about = study.protocol.further_outcome("external")
    study.section("A source known from its publication", about.definition + ".")
    table = forms.table
    group = {
        "all": np.ones(len(table), dtype=bool),
        "PD-L1 positive": (table["pdl1"] == "positive").to_numpy(),
        "PD-L1 negative": (table["pdl1"] == "negative").to_numpy(),
        "concurrent": (table["sequential"] == 0).to_numpy(),
        "sequential": (table["sequential"] == 1).to_numpy(),
    }
    weights = fs.compare.maic(table[list(WHOLE_PROGRAMME)].astype(float), WHOLE_PROGRAMME)
    study.require_converged(weights)
    outcomes = {OS: forms.outcome, PFS: progression_free(forms)}
    rows: list[dict[str, Any]] = []
    for event, who, month, share, n, printed in PACIFIC_R:
        here = np.flatnonzero(group[who])
        y = outcomes[event].take(here)
        followed = month <= y.time.max()
        own: dict[str, fs.compare.Effect | None] = {
            "as they are": fs.compare.one_arm(y, measure="milestone", tau=month)
            if followed
            else None
        }
        if who == "all" and followed:
            own["weighted to the whole programme"] = weighted_to(weights, y, month)
        for method, found in own.items():
            row: dict[str, Any] = {
                "event": event,
                "group": who,
                "month": month,
                "forms": method,
                "published": share,
                "published_lower": np.nan if printed is None else printed[0],
                "published_upper": np.nan if printed is None else printed[1],
                "estimate": np.nan if found is None else found.estimate,
                "lower": np.nan if found is None else found.lower,
                "upper": np.nan if found is None else found.upper,
                "n_risk": int(np.sum(y.time >= month)),
                "source": f"PACIFIC-R, {PACIFIC_R_SOURCE[event]}",
            }
            if n is not None and found is not None:
                curve = fs.compare.reconstruct_curve([month], [share], [0], [n])
                other = fs.compare.one_arm(curve.outcome, measure="milestone", tau=month)
                held = fs.compare.agreement(found, other, margin=float(about.margin or 0.1))
                low, high = held.interval()
                row |= {
                    "difference": held.difference,
                    "difference_lower": low,
                    "difference_upper": high,
                    "smallest_margin": held.smallest_margin,
                }
            rows.append(row)
    shown = ["published", "estimate", "lower", "upper"]
    shown += ["difference", "difference_lower", "difference_upper"]
    study.table(
        "external",
        pd.DataFrame(rows),
        title="The simulated forms beside PACIFIC-R",
        columns={
            "group": "Patients",
            "month": "Month",
            "forms": "Forms",
            "n_risk": "At risk",
            "published": "PACIFIC-R",
            "estimate": "Forms ",
            "lower": "Lower",
            "upper": "Upper",
            "difference": "Difference",
            "difference_lower": "Lower ",
            "difference_upper": "Upper ",
        },
        digits=dict.fromkeys(shown, 3) | {"month": 1},
        group_by="event",
        note="A share is missing where nobody is followed so long. Subgroups were printed without their "
        "numbers of patients, so that their differences have no interval. Weights: effective size "
        f"{weights.ess:.0f} of {len(table)} forms.",
    )
    whole = [r for r in rows if "difference" in r and r["forms"] == "as they are"]
    study.prose(
        "Differences from PACIFIC-R, in points of per cent: "
        + "; ".join(
            f"{r['event'].lower()} at {r['month']:g} months {100 * r['difference']:+.1f} "
            f"({100 * r['difference_lower']:+.1f} to {100 * r['difference_upper']:+.1f})"
            for r in whole
        )
        + ". A simulation is held against other patients here: the numbers show how such a comparison is "
        "made, and say nothing about either."
    )


def weighted_to(
    weights: fs.compare.MatchingAdjusted, y: fs.Outcome, month: float
) -> fs.compare.Effect:
    """Estimate with matching-adjusted weights, the uncertainty of the weights in it."""
    found = fs.compare.one_arm(y, measure="milestone", tau=month, weights=weights.weights)
    moved = found.influence + weights.correction(found.influence)
    error = float(np.sqrt(np.sum(moved**2)))
    low, high = fs.core.intervals.survival_interval(
        np.array([found.estimate]), np.array([error]), level=found.level
    )
    return replace(
        found,
        influence=moved,
        std_error=error,
        lower=float(low[0]),
        upper=float(high[0]),
        weight_variance="estimated",
    )


def progression_free(forms: Side) -> fs.Outcome:
    """Progression-free survival of all programme patients."""
    table = forms.table
    ends = np.fmin(table["first_event"], table["death"])
    stop = table["zero"] + table["time"]
    hit = (ends <= stop).to_numpy()
    return fs.Outcome(np.maximum(np.where(hit, ends, stop) - table["zero"], 0.5) / MONTH, hit)


def in_words(
    linkage: Any,
    survival: pd.DataFrame,
    durations: dict[str, float],
    verdict: dict[str, Any],
    contrast: dict[str, float],
) -> str:
    paired = survival[survival["primary"]].set_index("estimand")
    strangers = survival[survival["method_label"] == "Linked, as if they were strangers"]
    ratio = strangers.set_index("estimand")["std_error"] / paired["std_error"]
    equivalent = int(paired["equivalent"].sum())
    stands = "" if verdict["by_patient"] and verdict["overall"] else "not "
    return (
        f"Simulated data. {100 * linkage.rate:.1f} % of the programme patients were found in the "
        f"claims. Among them {100 * paired.loc['os_24', 'private']:.1f} % were alive at 24 months by the "
        f"forms and {100 * paired.loc['os_24', 'public']:.1f} % by the claims; {equivalent} of "
        f"{len(paired)} estimands of survival are equivalent within the protocol's margins. Within "
        f"patients the standard errors are {ratio.min():.1f} to {ratio.max():.1f} times smaller than for "
        f"strangers. Median treatment lasts {durations['forms']:.0f} days by the forms and "
        f"{durations['claims']:.0f} by the claims. At 24 months {100 * verdict['forms']:.1f} % are free of "
        f"progression and {100 * verdict['claims']:.1f} % of next treatment, yet only "
        f"{100 * verdict['matched']:.0f} % of progressions have a next treatment within 30 days: close "
        f"overall, and one may {stands}stand for the other. The hazard ratio by PD-L1, which the claims "
        f"alone could not give, is {contrast['forms']:.2f} with the forms' deaths and "
        f"{contrast['claims']:.2f} with the claims'."
    )
