"""From claims of simulated myeloma patients to the sequence that prolongs life."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import fiac_survival as fs

PEOPLE = 15_000
HORIZON = 84
DRAWS = 30
CALIBRATED = 100_000  # patients of the simulator whose figures are held against the published ones
SHAPED = 3_000  # patients written as SNDS and as OMOP files
SPLITS = 3
HORIZONS = (60, 96)
REFRACTORY_DAYS = 60  # the next line so soon after the last treatment: progression on treatment
SEVERITY = "N189"
RULES = ("imwg", "ohdsi", "gap60", "gap90", "gap180")
RULE = "imwg"
DEVIATIONS = ("regimen:line", "group:line")
OTHER = "bendamustine"
ADVICE = "Research use, not medical advice. Simulated data."
LABELS = {
    "naive": "As recorded",
    "weighted": "Weighted for severity",
    "external": "Weighted, external effects",
}
DAYS_PER_MONTH = 30.4375


@dataclass(frozen=True, eq=False)
class Data:
    """Lines of therapy under each rule set, and the truth."""

    person: pd.DataFrame
    lines: dict[str, pd.DataFrame]
    formulary: fs.sequence.Formulary
    truth: fs.sequence.SequenceModel
    found: Any
    whole: fs.sequence.Formulary
    profiles: list[str]
    share: np.ndarray

    def mean(self, by_profile: dict[str, float]) -> float:
        """Average over the patients' profiles."""
        return float(sum(s * by_profile[g] for g, s in zip(self.profiles, self.share, strict=True)))


@dataclass(frozen=True, eq=False)
class Analysis:
    """One way to estimate, its model and its optimum."""

    name: str
    kernels: fs.sequence.KernelEstimate
    effects: fs.sequence.RelativeEffects | None
    model: fs.sequence.SequenceModel
    solution: fs.sequence.Solution

    def best(self, profile: str) -> tuple[tuple[str, ...], float]:
        """Best fixed sequence of a profile, and what it promises."""
        found = self.model.best_sequences(1, profile, solution=self.solution)
        return found.sequences[0], float(found.table["value"].iloc[0])


def analyse(study: fs.study.StudyRun) -> None:
    data = read(study)
    description(study, data)
    shapes(study, data)
    analyses = {}
    for name in LABELS:
        with study.step(f"kernels: {LABELS[name]}"):
            analyses[name] = analysis_of(data, name)
    estimates(study, data, analyses)
    sequences(study, data, analyses)
    with study.step("bootstrap of the kernels"):
        models = list(draws_of(study, analyses["weighted"]))
    sure = uncertainty(study, data, models)
    explore(study, data, analyses["weighted"], models)
    policies(study, data, analyses)
    honest = split(study, data)
    realised = truth(study, data, analyses)
    tornado = sensitivity(study, data, analyses["weighted"], models)
    study.summary(in_words(data, realised, tornado, sure, honest))


# --- data ---------------------------------------------------------------------------------------


def read(study: fs.study.StudyRun, people: int = PEOPLE) -> Data:
    """Simulate the claims, find lines under every rule set, and what was recorded at their start."""
    sources = study.simulated(
        fs.simulate.myeloma_claims, parameters={"n": people}, sources={"claims": "linked"}
    )
    cohort = sources.cohorts["claims"]
    person = study.engine.collect(cohort.person, order_by=["person"])
    severe = severity(cohort, study.engine)
    lines = {}
    for rule in RULES:
        with study.step(f"lines of therapy: {rule}"):
            found = fs.cohort.lines_of_therapy(
                cohort.exposure, rule, follow_up=cohort.person, unknown="ignore"
            )
        lines[rule] = at_start(found.table, person, severe)
    whole = sources.found.truth.formulary
    f = with_horizon(whole, HORIZON)
    profiles = [g for g in f.groups if not g.endswith("early relapse")]
    counts = person["group"].value_counts()
    share = np.array([counts.get(g, 0) for g in profiles]) / len(person)
    return Data(person, lines, f, true_model(f), sources.found, whole, profiles, share)


def severity(cohort: fs.cohort.Cohort, engine: fs.cohort.Engine) -> pd.DataFrame:
    """Collect the days on which severity was recorded."""
    found = cohort.event.filter(cohort.event.code == SEVERITY).select("person", "date")
    table = engine.collect(found, order_by=["date", "person"])
    table["person"] = table["person"].astype("int64")
    table["date"] = table["date"].astype("datetime64[s]")
    return table.sort_values(["date", "person"], ignore_index=True)


def at_start(lines: pd.DataFrame, person: pd.DataFrame, severe: pd.DataFrame) -> pd.DataFrame:
    """Add the patient's group, and whether severity was recorded in the 30 days before the line."""
    table = lines.assign(group=lines["person"].map(person.set_index("person")["group"]))
    near = pd.merge_asof(
        table.sort_values("start", kind="stable"),
        severe.rename(columns={"date": "recorded"}),
        left_on="start",
        right_on="recorded",
        by="person",
        tolerance=pd.Timedelta(days=30),
    )
    near["severe"] = near.pop("recorded").notna().astype(int)
    return near.sort_values(["person", "line"], kind="stable", ignore_index=True)


def with_horizon(f: fs.sequence.Formulary, months: int) -> fs.sequence.Formulary:
    return fs.sequence.Formulary.model_validate(f.model_dump() | {"horizon_months": float(months)})


def true_model(f: fs.sequence.Formulary) -> fs.sequence.SequenceModel:
    """Cut the model that the patients follow to the horizon."""
    t, n = fs.simulate.myeloma_truth(), f.n_steps
    return f.model(
        t.next_prob[..., :n], t.death_prob[..., :n], t.salvage_death[:, :n], simulated=True
    )


# --- description --------------------------------------------------------------------------------


def description(study: fs.study.StudyRun, data: Data) -> None:
    study.section(
        "Patients and lines of therapy",
        f"{len(data.person)} simulated patients. Lines were found in dispensings under five rule sets; "
        "the main analysis takes the IMWG's, in which maintenance after a transplant belongs to line 1.",
    )
    rows = []
    for rule in RULES:
        accuracy = fs.cohort.line_accuracy(data.lines[rule], true_lines(data)).table
        found = data.lines[rule]
        known = accuracy.set_index("metric")["value"].to_dict()
        rows.append({"rule": rule, "lines": len(found), "main": rule == RULE} | known)
    study.table(
        "line_rules",
        pd.DataFrame(rows),
        title="Lines of therapy under each rule set, against the lines that were simulated",
        columns={
            "rule": "Rule set",
            "lines": "Lines",
            "line_count_kappa": "Kappa of the number of lines",
            "start_within_30": "Starts within 30 days",
            "regimen_f1": "F1 of regimens",
        },
        digits={"line_count_kappa": 3, "start_within_30": 3, "regimen_f1": 3},
    )
    lines = named(data, RULE)
    fates = pd.crosstab(lines["line"], lines["end_reason"])
    fates["next line"] = lines[lines["moved"]].groupby("line").size().reindex(fates.index).fillna(0)
    attrition = pd.DataFrame(
        {
            "line": fates.index,
            "started": lines.groupby("line").size().to_numpy(),
            "next_line": fates["next line"].astype(int).to_numpy(),
            "died": lines[lines["died"]].groupby("line").size().reindex(fates.index).fillna(0),
        }
    ).reset_index(drop=True)
    attrition["died"] = attrition["died"].astype(int)
    attrition["in_line"] = attrition["started"] - attrition["next_line"] - attrition["died"]
    study.table(
        "attrition",
        attrition,
        title="What became of those who started each line",
        columns={
            "line": "Line",
            "started": "Started",
            "next_line": "Next line",
            "died": "Died",
            "in_line": "Still in it at the end of follow-up",
        },
    )
    published(study, data)
    pathways(study, data, lines)


def published(study: fs.study.StudyRun, data: Data) -> None:
    """Fates in a line, time to next treatment and survival by line, against published figures."""
    study.prose(
        f"Published figures stand beside {CALIBRATED} patients of the simulator, of whom the study's are "
        "the first, so that chance does not decide whether a target is met; the study's own patients stand "
        "beside them. Targets are what the simulation was fitted to, context is not."
    )
    with study.step("published figures"):
        many = fs.simulate.myeloma_lines(CALIBRATED, seed=study.protocol.seed)
        table = fs.simulate.myeloma_calibration(many)
        curves = fs.simulate.myeloma_curves(many)
    study.seeds_used["calibration"] = study.protocol.seed
    here = fs.simulate.myeloma_calibration(data.found.truth)
    share = (table["published"] < 1) & ~table["figure"].str.startswith("hazard ratio")
    ratio = table["figure"].str.startswith("hazard ratio")
    panel = np.select([share, ratio], ["Share of patients", "Hazard ratio"], "Months")
    table = table.assign(study_patients=here["simulated"], panel=panel)
    table = study.table(
        "calibration",
        table.sort_values(["kind", "panel"], ascending=False, kind="stable"),
        title="The simulated patients against published figures",
        note="Error: of the simulated against the published figure. Targets are met within 10 %; a figure "
        "of the context was published for other patients, or for another end than the one beside it.",
        columns={
            "figure": "Figure",
            "published": "Published",
            "simulated": f"Simulated, {CALIBRATED} patients",
            "relative_error": "Error",
            "study_patients": "In this study",
            "source": "Source",
        },
        digits={"published": 3, "simulated": 3, "relative_error": 2, "study_patients": 3},
        group_by="kind",
    )
    study.figure(
        "published",
        "published",
        table.loc[table["kind"] == "target", ["panel", "figure", "published", "simulated"]],
        title="The simulated patients and the published figures",
        caption="Targets: what became of patients in a line, time to next treatment, survival, and what "
        "they depend on.",
        alt="Simulated figures lie within about ten per cent of the published ones.",
    )
    study.figure(
        "curves_by_line",
        "published_curves",
        curves,
        title="Time to next treatment and survival, with published medians",
        caption="Kaplan-Meier curves of the simulated patients, from the start of each line. A circle is a "
        "published median that the simulation was fitted to, a diamond one that was published for other "
        "patients, or (time to next treatment) for progression.",
        alt="Circles lie where the curves come down to one half; diamonds of trials lie to the right of "
        "them, of an American registry to the left.",
        note="Context: a French chart review (line 2), an American registry (lines 1 and 4), the trial of "
        "DRd against Rd. Time to next treatment counts death; trials count progression.",
    )


def shapes(study: fs.study.StudyRun, data: Data) -> None:
    """Find lines and the recommendation from SNDS files and from OMOP files of the same patients."""
    study.section(
        "The same patients in two shapes",
        f"The first {SHAPED} patients written as SNDS files and as OMOP files, and read back by the two "
        "readers: lines of therapy, and the sequence recommended.",
    )
    person = data.person[data.person["person"] < SHAPED]
    few = fs.simulate.myeloma_claims(SHAPED, seed=study.protocol.seed)
    years = range(2013, 2024)
    found, rows = {}, []
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(fs.cohort.connect("duckdb")) as engine,
    ):
        for shape in ("snds", "omop"):
            path = Path(folder) / shape
            with study.step(f"writing and reading {shape} files"):
                if shape == "snds":
                    fs.simulate.write_snds(few, path, years=years)
                    # Complete until the day on which the follow-up of all ends.
                    cohort = fs.cohort.from_snds(
                        path, years=years, extracted="2023-08-02", lag_days=213, engine=engine
                    )
                else:
                    fs.simulate.write_omop(few, path)
                    cohort = fs.cohort.from_omop(path, engine=engine)
                lines = fs.cohort.lines_of_therapy(
                    cohort.exposure, RULE, follow_up=cohort.person, unknown="ignore"
                ).table
                lines["person"] = lines["person"].astype("int64")
                found[shape] = at_start(lines, person, severity(cohort, engine))
                records = int(cohort.exposure.count().execute())
            rows.append({"shape": shape.upper(), "records": records})
    whole = data.lines[RULE]
    canonical = whole[whole["person"] < SHAPED].reset_index(drop=True)
    best = {}
    for row, (shape, lines) in zip(rows, found.items(), strict=True):
        with study.step(f"recommendation from {shape} files"):
            kernels = fs.sequence.estimate_kernels(
                lines,
                data.formulary,
                confounders=["severe"],
                deviations=DEVIATIONS,
                other=OTHER,
                simulated=True,
            )
            analysis = solved("weighted", kernels, min_ess=5.0)
            best[shape] = {g: analysis.best(g) for g in data.profiles}
        same = lines.astype(str).equals(canonical[lines.columns].astype(str))
        row |= {
            "patients": lines["person"].nunique(),
            "lines": len(lines),
            "lines_as_canonical": same,
            "months_promised": data.mean({g: analysis.solution.value(g) for g in data.profiles}),
        }
    study.table(
        "shapes",
        pd.DataFrame(rows),
        title="Lines from SNDS files and from OMOP files",
        note="Canonical: the tables that the other analyses of this study start from. Files of the SNDS "
        "have no period of observation: follow-up ends with the complete data. Support: 5 effective "
        "patients, as these are few.",
        columns={
            "shape": "Files",
            "records": "Records of treatment",
            "patients": "Patients",
            "lines": "Lines",
            "lines_as_canonical": "Lines, dates, regimens, severity all as in the canonical tables",
            "months_promised": "Months promised",
        },
        digits={"months_promised": 4},
    )
    table = pd.DataFrame(
        {
            "profile": data.profiles,
            "snds": [" \u2192 ".join(best["snds"][g][0]) for g in data.profiles],
            "omop": [" \u2192 ".join(best["omop"][g][0]) for g in data.profiles],
            "difference": [rounded(best["omop"][g][1] - best["snds"][g][1]) for g in data.profiles],
        }
    )
    study.table(
        "shapes_recommended",
        table,
        title="The sequence recommended from SNDS files and from OMOP files",
        note=ADVICE,
        columns={
            "profile": "Profile",
            "snds": "From SNDS files",
            "omop": "From OMOP files",
            "difference": "Difference of the months promised",
        },
        digits={"difference": 6},
    )


def true_lines(data: Data) -> pd.DataFrame:
    """Give the simulated lines dates, and regimens as drugs."""
    lines = data.found.truth.lines
    f = data.formulary
    drugs = {r.name: r.records[0] for r in f.regimens if r.records} | {"later": "cyclophosphamide"}
    first = data.found.truth.person.set_index("person")["diagnosis"]
    diagnosed = data.person.set_index("person")["diagnosis"]
    day = lines["start"] - lines["person"].map(first)
    start = lines["person"].map(diagnosed) + pd.to_timedelta(day, unit="D")
    regimen = lines["regimen"].map(drugs).fillna(lines["regimen"])
    return pd.DataFrame(
        {"person": lines["person"], "line": lines["line"], "regimen": regimen, "start": start}
    )


def named(data: Data, rule: str) -> pd.DataFrame:
    """Lines with regimens as the formulary calls them, and whether another line followed."""
    f = data.formulary
    names = {record: r.name for r in f.regimens for record in r.records}
    lines = data.lines[rule]
    regimen = lines["regimen"].map(names).fillna("not named")
    last = lines["person"] != lines["person"].shift(-1)
    return lines.assign(regimen=regimen, moved=~last)


def pathways(study: fs.study.StudyRun, data: Data, lines: pd.DataFrame) -> None:
    eligible = lines["group"].str.startswith("transplant")
    shown = {
        "Transplant": lines[eligible & (lines["line"] <= 4)],
        "No transplant": lines[~eligible & (lines["line"] <= 4)],
    }
    last = {
        name: part.assign(
            end_reason=np.where(
                part["died"], "death", np.where(part["moved"], "switch", "censored")
            )
        )
        for name, part in shown.items()
    }
    for name, label in (("transplant", "Transplant"), ("no_transplant", "No transplant")):
        study.figure(
            f"pathways_{name}",
            "alluvial",
            fs.report.pathway_flows({label: last[label]}),
            title=f"Lines of therapy as observed: {label.lower()}",
            caption="Regimens line by line; 'not named' is what the formulary does not have.",
            alt="Alluvial figure: half of the patients reach a second line, fewer each further line.",
        )
    start = (lines["start"] - lines.groupby("person")["start"].transform("min")).dt.days
    swim = lines[lines["line"] <= 5].assign(
        start=start / DAYS_PER_MONTH, end=(start + lines["ttnt"]) / DAYS_PER_MONTH
    )
    chosen = study.stream("swimmers").choice(len(data.person), 150, replace=False)
    swim = swim[swim["person"].isin(data.person["person"].to_numpy()[np.sort(chosen)])]
    swim["end_reason"] = np.where(
        swim["died"], "death", np.where(swim["moved"], "switch", "censored")
    )
    study.figure(
        "swimmers",
        "sequence_index",
        swim[["person", "line", "regimen", "start", "end", "end_reason"]],
        title="One bar a patient",
        caption="150 simulated patients drawn at random: each bar a patient, each colour a regimen.",
        alt="Bars of single simulated patients, coloured by regimen, sorted by first regimen.",
        tick=12,
    )


# --- estimates ----------------------------------------------------------------------------------


def together(f: fs.sequence.Formulary) -> dict[str, str]:
    """Early relapse is counted with its profile: the hazards have no regimen by group."""
    return {g: g.removesuffix(", early relapse") for g in f.groups if g.endswith("early relapse")}


def analysis_of(
    data: Data,
    name: str,
    *,
    rule: str = RULE,
    formulary: fs.sequence.Formulary | None = None,
    refractory: bool = False,
    **options: Any,
) -> Analysis:
    """Estimate kernels, and solve the model with the regimens that the data support."""
    lines = data.lines[rule]
    moved = lines["person"] == lines["person"].shift(-1)
    kernels = fs.sequence.estimate_kernels(
        lines.assign(progressed=moved & (lines["gap"] <= REFRACTORY_DAYS)),
        formulary or data.formulary,
        confounders=[] if name == "naive" else ["severe"],
        deviations=DEVIATIONS,
        other=OTHER,
        refractory="progressed" if refractory else None,
        simulated=True,
    )
    return solved(name, kernels, **options)


def external_effects(f: fs.sequence.Formulary) -> fs.sequence.RelativeEffects:
    """Ratios of the network meta-analysis that the formulary has, against what is given often."""
    references = {1: ["VRd + transplant", "VMP"], 2: "Vd", 3: "Vd", 4: "Vd"}
    return fs.sequence.RelativeEffects.from_formulary(f, references)


def solved(name: str, kernels: fs.sequence.KernelEstimate, *, min_ess: float = 20.0) -> Analysis:
    effects = external_effects(kernels.formulary) if name == "external" else None
    model = kernels.model(min_ess=min_ess, together=together(kernels.formulary))
    if effects is not None:
        fit = kernels.fit
        onward, death, _ = effects.apply(kernels.formulary, fit.next_prob, fit.death_prob, None)
        model = model.with_kernels(onward, death, fit.salvage_death)
    return Analysis(name, kernels, effects, model, model.solve())


def estimates(study: fs.study.StudyRun, data: Data, analyses: dict[str, Analysis]) -> None:
    study.section(
        "Kernels",
        "For each line, regimen, group and overlap with earlier classes: the monthly probabilities of "
        "moving on and of death. Severity confounds: the severe get antibodies against CD38 more often. "
        "The second analysis weights each line for it; the third takes relative effects from a network "
        "meta-analysis instead, on the weighted baseline.",
    )
    found = analyses["weighted"].kernels
    study.table(
        "support",
        found.table[found.table["patients"] > 0],
        title="Support of each cell",
        show=False,
    )
    _, excluded = found.supported(together=together(data.formulary))
    study.table("excluded", excluded, title="What the data do not support", show=False)
    study.table(
        "relative_effects",
        external_effects(data.formulary).table,
        title="External relative effects",
        note="Hazard ratios against the reference, from the ratios of both to the average mix; standard "
        "errors as if independent.",
        columns={
            "line": "Line",
            "regimen": "Regimen",
            "reference": "Reference",
            "hazard_ratio_next": "Next line",
            "hazard_ratio_death": "Death",
            "source": "Source",
        },
        digits={"hazard_ratio_next": 2, "hazard_ratio_death": 2},
    )
    study.table(
        "markov_check",
        found.markov_check(),
        title="Does the length of the line before still matter?",
        note="Odds ratio of each doubling of the previous line's length, given line, regimen, group and "
        "overlap: 1 if the state is sufficient. Unweighted for severity, as a test of the state.",
        columns={
            "outcome": "Outcome",
            "line": "Line",
            "odds_ratio": "Odds ratio",
            "lower": "Lower",
            "upper": "Upper",
            "p_value": "p",
        },
        digits={"odds_ratio": 3, "lower": 3, "upper": 3, "p_value": 3},
    )
    calibration = found.calibration()
    study.figure(
        "kernel_calibration",
        "calibration",
        calibration[(calibration["at_risk"] >= 30) & calibration["lower"].notna()],
        title="Observed and predicted, weighted analysis",
        tick=24,
        caption="Time to the next line or death, and survival, from the start of each line.",
        alt="Observed and predicted curves lie on each other in every line.",
    )


# --- sequences ----------------------------------------------------------------------------------


def sequences(study: fs.study.StudyRun, data: Data, analyses: dict[str, Analysis]) -> None:
    study.section(
        "Sequences",
        f"Months of life within {HORIZON}. For every profile the ten best fixed sequences, with the proof "
        f"that none was missed, and what adapting to the course adds. {ADVICE}",
    )
    rows, adaptive = [], []
    for name, analysis in analyses.items():
        for profile in data.profiles:
            with study.step(f"sequences, {LABELS[name]}: {profile}"):
                best = analysis.model.best_sequences(10, profile, solution=analysis.solution)
            certificate = best.certificate
            rows.append(
                best.table.assign(
                    analysis=name,
                    analysis_label=LABELS[name],
                    profile=profile,
                    true_value=fs.sequence.values_of(data.truth, best.sequences, profile),
                    proved=certificate["proved"],
                    prefixes_bounded=certificate["prefixes_bounded"],
                )
            )
            optimal, fixed = analysis.solution.value(profile), float(best.table["value"].iloc[0])
            adaptive.append(
                {
                    "analysis": name,
                    "analysis_label": LABELS[name],
                    "profile": profile,
                    "optimal": optimal,
                    "best_fixed": fixed,
                    "adaptivity": rounded(optimal - fixed),
                }
            )
    table = pd.concat(rows, ignore_index=True)
    study.table("best_sequences", table, title="Best sequences", show=False)
    first = table[table["rank"] == 1]
    study.table(
        "recommended",
        first,
        title="The best fixed sequence of each analysis, and what it gives in truth",
        note="Months within 84. The promise is the analysis' own estimate; the truth is that of the "
        "simulation. " + ADVICE,
        columns={
            "profile": "Profile",
            "sequence": "Sequence",
            "value": "Promised",
            "true_value": "In truth",
        },
        digits={"value": 1, "true_value": 1},
        group_by="analysis_label",
    )
    study.table(
        "adaptivity",
        pd.DataFrame(adaptive),
        title="What adapting to an early relapse and to the remaining time is worth",
        columns={
            "profile": "Profile",
            "optimal": "Optimal policy",
            "best_fixed": "Best fixed sequence",
            "adaptivity": "Difference, months",
        },
        digits={"optimal": 2, "best_fixed": 2, "adaptivity": 3},
        group_by="analysis_label",
    )
    study.figure(
        "policy_map",
        "policy_map",
        analyses["weighted"].solution.map().query("group == 'fit, standard risk'"),
        title="The optimal policy, weighted analysis",
        group="fit, standard risk",
        caption=f"Regimen for each line and each set of classes given before. {ADVICE}",
        alt="Grid of regimens by line and exposed classes: daratumumab with lenalidomide first.",
    )


def uncertainty(
    study: fs.study.StudyRun, data: Data, models: list[fs.sequence.SequenceModel]
) -> pd.DataFrame:
    study.section(
        "How sure",
        f"{DRAWS} draws of the Bayesian bootstrap of patients: weights, kernels and optimum anew in each.",
    )
    tables, summary = [], []
    for profile in data.profiles:
        with study.step(f"uncertainty: {profile}"):
            found = fs.sequence.uncertainty(models, group=profile, k=3)
        tables.append(found.table.assign(profile=profile))
        regret = found.regret.iloc[0]
        summary.append(
            {
                "profile": profile,
                "sequence": found.table["sequence"].iloc[0],
                "value": found.table["value"].iloc[0],
                "lower": found.table["lower"].iloc[0],
                "upper": found.table["upper"].iloc[0],
                "probability_best": found.table["probability"].iloc[0],
                "mean_regret": regret["mean"],
                "evpi": found.evpi,
                "evpi_error": found.evpi_error,
            }
        )
        if profile == "fit, standard risk":
            shown = found
    table = pd.concat(tables, ignore_index=True)
    study.table("uncertainty", table, title="Candidates in each profile", show=False)
    summary_table = study.table(
        "decision",
        pd.DataFrame(summary),
        title="The sequence that is best on average, and how sure that is",
        note="Intervals from the draws; expected value of perfect information about the kernels. "
        + ADVICE,
        columns={
            "profile": "Profile",
            "sequence": "Sequence",
            "value": "Months",
            "lower": "Lower",
            "upper": "Upper",
            "probability_best": "Probability best",
            "mean_regret": "Regret, months",
            "evpi": "Value of perfect information, months",
        },
        digits={
            "value": 1,
            "lower": 1,
            "upper": 1,
            "probability_best": 2,
            "mean_regret": 2,
            "evpi": 2,
        },
    )
    top = table.groupby("profile", sort=False).head(2)
    parts = [tuple(text.split(" \u2192 ")) for text in top["sequence"]]
    known = [
        data.truth.value_of(sequence, profile)
        for sequence, profile in zip(parts, top["profile"], strict=True)
    ]
    study.figure(
        "top_sequences",
        "sequence_values",
        top.assign(panel=top["profile"], truth=known)[
            ["panel", "sequence", "value", "lower", "upper", "truth"]
        ],
        title=f"The two best sequences of each profile: months of life within {HORIZON}",
        caption=f"Mean and 95 % interval over the draws, weighted analysis, and the truth. {ADVICE}",
        alt="Dots with intervals for two sequences in each of six profiles; true values lie close by.",
    )
    study.figure(
        "probability_best",
        "probability_best",
        shown.probabilities,
        title="Probability of being the best sequence (fit, standard risk)",
        caption=f"Over {DRAWS} draws, weighted analysis. {ADVICE}",
        alt="Bars of the probability that each sequence is the best one.",
    )
    study.figure(
        "regret",
        "regret",
        shown.regret,
        title="What choosing each sequence may lose (fit, standard risk)",
        caption=f"Regret against the best candidate of each of {DRAWS} draws, weighted analysis. {ADVICE}",
        alt="Bars of regret by sequence: the first loses least on average.",
    )
    return summary_table


def draws_of(study: fs.study.StudyRun, analysis: Analysis) -> fs.sequence.KernelDraws:
    study.seeds_used["bootstrap"] = study.protocol.seed
    return analysis.kernels.draws(DRAWS, seed=study.protocol.seed, model=analysis.model)


# --- page to explore ----------------------------------------------------------------------------


def explore(
    study: fs.study.StudyRun,
    data: Data,
    analysis: Analysis,
    models: list[fs.sequence.SequenceModel],
) -> None:
    """Every state of the policy: regimens, runner-up, intervals, support, survival."""
    f, model = data.formulary, analysis.model
    with study.step("values of every state"):
        values = fs.sequence.state_values(analysis.solution, models, analysis.kernels)
        curves = fs.sequence.state_survival(analysis.solution)
    values = study.table("explore_values", values, title="Every state", show=False)
    curves = study.table("explore_curves", curves, title="Survival from every state", show=False)
    given = {
        f"{line + 1}|{profile}": [
            name
            for a, name in enumerate(f.regimen_names)
            if model.usable[line, a, f.groups.index(profile)].any()
        ]
        for line in range(3)
        for profile in data.profiles
    }
    study.page(
        "explore",
        fs.report.explore_page(
            values,
            curves,
            title="What next? The policy of the myeloma study",
            profiles=data.profiles,
            learnt={g: f"{g}, early relapse" for g in data.profiles},
            learnt_label="First remission under 12 months",
            regimen_classes={r.name: r.classes for r in f.regimens},
            first_lines=given,
            horizon=HORIZON,
            simulated=study.protocol.simulated,
        ),
        title="A page to explore the policy, profile by profile",
    )


# --- policies -----------------------------------------------------------------------------------


def guideline(group: str, line: int, exposed: tuple[str, ...], remaining: float) -> str:
    """Follow a sequence in the spirit of the EHA-ESMO guideline, specified before any estimate."""
    if line == 1:
        return "VRd + transplant" if group.startswith("transplant") else "DRd"
    if line == 2:
        return "DVd" if "lenalidomide" in exposed else "DRd"
    return "Pd" if line == 3 else "BCMA"


def policies(study: fs.study.StudyRun, data: Data, analyses: dict[str, Analysis]) -> None:
    study.section(
        "Would it have worked in these patients?",
        "Three estimates of what policies would have achieved in the patients observed: from the model, "
        "from those treated as the policy says, and from both. Intervals are for policies specified "
        "beforehand: that of the optimal policy, chosen on the same patients, is optimistic.",
    )
    with study.step("evaluating policies"):
        found = fs.sequence.evaluate(
            data.lines[RULE],
            {"guideline": guideline, "optimal policy": analyses["weighted"].solution},
            formulary=data.formulary,
            confounders=["severe"],
            other=OTHER,
            draws=10,
            folds=2,
            seed=study.protocol.seed,
            simulated=True,
        )
    study.seeds_used["evaluation"] = study.protocol.seed
    true = {
        "guideline": data.mean(true_values(data, guideline)),
        "optimal policy": data.mean(true_values(data, analyses["weighted"].solution)),
    }
    table = found.table.assign(truth=found.table["policy"].map(true))
    study.table(
        "policies",
        table,
        title="Months of life within 84 under each policy",
        note=found.note,
        columns={
            "policy": "Policy",
            "method": "Estimator",
            "months": "Months",
            "lower": "Lower",
            "upper": "Upper",
            "truth": "In truth",
        },
        digits={"months": 1, "lower": 1, "upper": 1, "truth": 1},
    )
    study.table(
        "compliance",
        found.support,
        title="How many were treated as the policy says",
        columns={
            "policy": "Policy",
            "line": "Line",
            "started": "Started",
            "compliant": "Compliant",
            "ess": "Effective sample size",
            "largest_weight": "Largest weight",
        },
        digits={"ess": 0, "largest_weight": 3},
    )


def split(study: fs.study.StudyRun, data: Data) -> pd.DataFrame:
    """Choose a policy on half of the patients, and value it on the other half."""
    study.prose(
        "What an honest report of a chosen policy is: chosen on half of the patients, with support of "
        "10 effective patients, and valued on the other half by the doubly robust estimator. The median of "
        f"{SPLITS} splits, each both ways."
    )
    with study.step("choosing on one half, valuing on the other"):
        report = fs.sequence.split_report(
            fs.sequence.read_histories(
                data.lines[RULE], data.formulary, covariates=["severe"], other=OTHER
            ),
            confounders=["severe"],
            repeats=SPLITS,
            nuisance_folds=2,
            min_ess=10.0,
            together=together(data.formulary),
            deviations=DEVIATIONS,
            seed=study.protocol.seed,
            simulated=True,
        )
    study.seeds_used["split"] = study.protocol.seed
    known = [data.mean(true_values(data, chosen)) for chosen in report.policies]
    study.table(
        "splits",
        report.splits.assign(true_months=known),
        title="Each half of each split",
        note="Months within 84. Where few in the held-out half were treated as the policy says, the "
        "standard error says so, and the estimate is of no use: that is why the median is reported. "
        + ADVICE,
        columns={
            "split": "Split",
            "fold": "Half",
            "promised": "Promised",
            "reported": "Held out",
            "reported_error": "Standard error",
            "observed": "Care observed",
            "true_months": "In truth",
        },
        digits={"promised": 1, "reported": 1, "reported_error": 1, "observed": 1, "true_months": 1},
    )
    return study.table(
        "split_report",
        report.table,
        title="What was promised on one half, and what held on the other",
        note=report.note,
        columns={
            "quantity": "Quantity",
            "months": "Months within 84",
            "lower": "Lower",
            "upper": "Upper",
        },
        digits={"months": 1, "lower": 1, "upper": 1},
    )


# --- truth --------------------------------------------------------------------------------------


def true_values(
    data: Data,
    policy: fs.sequence.Solution | Callable[..., str],
    truth: fs.sequence.SequenceModel | None = None,
) -> dict[str, float]:
    """Months that a policy gives in truth, by profile."""
    model = truth or data.truth
    if isinstance(policy, fs.sequence.Solution):
        policy = fs.sequence.transferred(policy.actions, policy.model, model)
    value = fs.sequence.policy_value(model, policy)
    return {g: value.of_group(model.group_index(g)) for g in data.profiles}


def rounded(difference: float) -> float:
    """Leave out what is rounding error of a difference between equal numbers."""
    return round(float(difference), 8) + 0.0


def observed_months(data: Data) -> dict[str, float]:
    """Restricted mean of life under the care that was given, by profile."""
    first = data.lines[RULE].groupby("person")["start"].min()
    person = data.person.set_index("person")
    months = (person["follow_up_end"] - first).dt.days / DAYS_PER_MONTH
    outcome = fs.Outcome(months.clip(lower=0.03), person["death"].notna())
    table = fs.survival.rmst(outcome, tau=HORIZON, group=person["group"].to_numpy()).table
    return dict(zip(table["group"], table["rmst"], strict=True))


def truth(study: fs.study.StudyRun, data: Data, analyses: dict[str, Analysis]) -> pd.DataFrame:
    study.section(
        "And in truth?",
        "The patients are simulated, so the true optimum is known, and so is what each analysis would "
        "really have achieved. The gain is counted from the care observed.",
    )
    optimum = data.truth.solve()
    values = {"observed care": observed_months(data), "guideline": true_values(data, guideline)}
    values |= {name: true_values(data, a.solution) for name, a in analyses.items()}
    values["true optimum"] = {g: optimum.value(g) for g in data.profiles}
    labels = LABELS | {"observed care": "Care as observed", "guideline": "Guideline"}
    rows = []
    for name, by_profile in values.items():
        for profile, months in [*by_profile.items(), ("all", data.mean(by_profile))]:
            if profile not in (*data.profiles, "all"):
                continue
            base, top = (
                values[k].get(profile, data.mean(values[k]))
                for k in ("observed care", "true optimum")
            )
            rows.append(
                {
                    "profile": profile,
                    "analysis": name,
                    "analysis_label": labels.get(name, "True optimum"),
                    "months": months,
                    "gain": rounded(months - base),
                    "loss": rounded(top - months),
                    "share": rounded((months - base) / (top - base)),
                }
            )
    order = {p: i for i, p in enumerate(["all", *data.profiles])}
    table = pd.DataFrame(rows).sort_values(
        "profile", key=lambda c: c.map(order), kind="stable", ignore_index=True
    )
    overall = table[table["profile"] == "all"].set_index("analysis")
    steps = ["observed care", "naive", "weighted", "external", "true optimum"]
    study.figure(
        "gain",
        "gain_waterfall",
        pd.DataFrame(
            {
                "label": [overall.loc[name, "analysis_label"] for name in steps],
                "value": [overall.loc[name, "months"] for name in steps],
            }
        ),
        title=f"Months of life within {HORIZON}: what each analysis would really give",
        caption="True months under the optimal policy of each analysis, averaged over the patients.",
        alt="Columns from care as observed to the true optimum: weighting for severity gains most of "
        "what the naive analysis misses.",
    )
    return study.table(
        "realised",
        table,
        title="Months of life that each analysis would really have given",
        note="Share: of the gain from care as observed to the true optimum.",
        columns={
            "analysis_label": "Policy",
            "months": "Months within 84",
            "gain": "Gain",
            "loss": "Lost against the optimum",
            "share": "Share realised",
        },
        digits={"months": 1, "gain": 1, "loss": 2, "share": 2},
        group_by="profile",
    )


# --- sensitivity --------------------------------------------------------------------------------


@dataclass(eq=False)
class Variants:
    """Analyses with one choice changed, held against the main one and against the truth."""

    study: fs.study.StudyRun
    data: Data
    main: Analysis
    whole: fs.sequence.SequenceModel
    rows: list[dict[str, Any]]
    sequences: list[dict[str, Any]]

    def add(
        self,
        factor: str,
        choice: str,
        make: Callable[[], Analysis],
        truth: fs.sequence.SequenceModel | None = None,
    ) -> None:
        """Analyse anew; the truth is that of the main analysis unless it has another horizon or states."""
        data, main = self.data, self.main
        row: dict[str, Any] = {"factor": factor, "choice": choice, "refused": ""}
        row |= dict.fromkeys(("promised", "change", "true_loss", "same_sequence"), np.nan)
        self.rows.append(row)
        try:
            with self.study.step(f"sensitivity: {choice}"):
                analysis = make()
        except fs.errors.DataError as refusal:
            row["refused"] = refusal.rule
            return
        months = min(analysis.model.n_steps, HORIZON)
        promised = {
            g: (analysis.solution.value(g), analysis.solution.value(g, remaining=months))
            for g in data.profiles
        }
        model = truth or data.truth
        optimum, given = model.solve(), true_values(data, analysis.solution, model)
        best = {g: optimum.value(g) for g in data.profiles}
        row["promised"] = data.mean({g: both[0] for g, both in promised.items()})
        row["change"] = rounded(
            data.mean(
                {
                    g: both[1] - main.solution.value(g, remaining=months)
                    for g, both in promised.items()
                }
            )
        )
        row["true_loss"] = rounded(data.mean({g: best[g] - given[g] for g in data.profiles}))
        row["same_sequence"] = sum(
            self._sequence(factor, choice, g, analysis) for g in data.profiles
        )

    def _sequence(self, factor: str, choice: str, profile: str, analysis: Analysis) -> bool:
        """Note the best fixed sequence; whether it is the main analysis'."""
        ours, theirs = self.main.best(profile)[0], analysis.best(profile)[0]
        months, known = (
            fs.sequence.values_of(model, [ours, theirs], profile)
            for model in (self.whole, self.data.truth)
        )
        self.sequences.append(
            {
                "factor": factor,
                "choice": choice,
                "profile": profile,
                "sequence": " \u2192 ".join(theirs),
                "changed": ours != theirs,
                "months": months[1],
                "change": rounded(months[1] - months[0]),
                "true_months": known[1],
                "true_change": rounded(known[1] - known[0]),
            }
        )
        return ours == theirs


def sensitivity(
    study: fs.study.StudyRun,
    data: Data,
    main: Analysis,
    models: list[fs.sequence.SequenceModel],
) -> pd.DataFrame:
    study.section(
        "Sensitivity",
        "One choice at a time is changed, and the optimal policy found anew: what it promises, what it "
        "would give in truth, and in how many of the six profiles the best fixed sequence stays.",
    )
    whole = main.kernels.model(min_ess=None)
    tried = Variants(study, data, main, whole, [], [])
    tried.add("Main analysis", "IMWG lines, weighted, support 20, 84 months", lambda: main)
    for rule in RULES:
        if rule != RULE:
            tried.add("Line rule", rule, lambda rule=rule: analysis_of(data, "weighted", rule=rule))
    for months in HORIZONS:
        f = with_horizon(data.whole, months)
        tried.add(
            "Horizon",
            f"{months} months",
            lambda f=f: analysis_of(data, "weighted", formulary=f),
            true_model(f),
        )
    progression = f"progression within {REFRACTORY_DAYS} days"
    with study.step("refractory classes"):
        refractory = analysis_of(data, "weighted", refractory=True)
    tried.add(
        "Refractory after", progression, lambda: refractory, told_refractory(data, refractory)
    )
    for name, label in (("lenalidomide", "lenalidomide"), ("anti_cd38", "antibodies against CD38")):
        tried.add("Never given twice", label, lambda name=name: once_only(main, name))
    for least in (5.0, 10.0, 50.0):
        tried.add(
            "Support",
            f"at least {least:g} effective patients",
            lambda least=least: solved("weighted", main.kernels, min_ess=least),
        )
    tried.add("Confounding", "severity ignored", lambda: analysis_of(data, "naive"))
    tried.add("External effects", "network meta-analysis", lambda: analysis_of(data, "external"))
    tried.rows.append(robust(study, data, main, models))
    table = pd.DataFrame(tried.rows)
    drawn = table[(table["factor"] != "Main analysis") & table["promised"].notna()]
    study.figure(
        "sensitivity",
        "tornado",
        drawn.rename(columns={"true_loss": "loss"})[["factor", "choice", "change", "loss"]],
        title="One choice changed at a time",
        value_label="Change of the months promised",
        loss_label="Months lost in truth",
        note="Against the main analysis: IMWG lines, weighted for severity, at least 20 effective "
        "patients behind a regimen, 84 months. Horizons are compared within the shorter of both.",
        caption="What each choice does to the value that the analysis promises, and to the true value of "
        "the policy that it recommends.",
        alt="Tornado: never giving an antibody against CD38 twice, ignoring severity, and cutting lines by "
        "gaps lose more than a month each.",
    )
    sequences = pd.DataFrame(tried.sequences)
    study.table("sensitivity_sequences", sequences, title="Sequences under each choice", show=False)
    changed = sequences[sequences["changed"] & (sequences["factor"] != "Main analysis")]
    label = changed["factor"] + ": " + changed["choice"]
    study.table(
        "sensitivity_changed",
        changed.drop(columns="changed").assign(label=label),
        title="Where a choice changes the recommended sequence",
        note="Months within 84 of the fixed sequence, by the main analysis' kernels (whatever their "
        "support) and in truth, and what it gives up against the main analysis' own sequence. "
        + ADVICE,
        columns={
            "profile": "Profile",
            "sequence": "Sequence",
            "months": "Months",
            "change": "Change",
            "true_months": "In truth",
            "true_change": "Change in truth",
        },
        digits={"months": 1, "change": 2, "true_months": 1, "true_change": 2},
        group_by="label",
    )
    return study.table(
        "sensitivity",
        table,
        title="What each choice does",
        note="Months promised are within the choice's own horizon, the change within the shorter of both. "
        "Same sequence: profiles of six whose best fixed sequence is that of the main analysis; the robust "
        "policy adapts, and is compared as a policy only.",
        columns={
            "factor": "Choice",
            "choice": "Changed to",
            "promised": "Months promised",
            "change": "Change",
            "true_loss": "Lost in truth, months",
            "same_sequence": "Same sequence",
            "refused": "Refused because",
        },
        digits={"promised": 1, "change": 2, "true_loss": 2, "same_sequence": 0},
    )


def told_refractory(data: Data, analysis: Analysis) -> fs.sequence.SequenceModel:
    """Make the truth with states that tell refractory classes: kernels are the same in all of them."""
    t = data.truth
    return data.formulary.model(
        t.next_prob,
        t.death_prob,
        t.salvage_death,
        next_refractory=analysis.model.next_refractory,
        simulated=True,
    )


def once_only(main: Analysis, name: str) -> Analysis:
    """Forbid to give a class again, as if all who were given it were refractory."""
    kernels, rules = main.kernels, {"constraints": {"class_once": [name]}}
    f = fs.sequence.Formulary.model_validate(kernels.formulary.model_dump() | rules)
    model = f.model(
        kernels.fit.next_prob,
        kernels.fit.death_prob,
        kernels.fit.salvage_death,
        supported=main.model.supported,
        simulated=True,
    )
    return Analysis(main.name, kernels, None, model, model.solve())


def robust(
    study: fs.study.StudyRun,
    data: Data,
    main: Analysis,
    models: list[fs.sequence.SequenceModel],
) -> dict[str, Any]:
    """Find the policy with the best worst case, and what it costs if the estimates are right."""
    with study.step("robust policy"):
        radius = fs.sequence.l1_radius(models)
        found = fs.sequence.robust_policy(main.model, radius)
    given = fs.sequence.policy_value(
        data.truth, fs.sequence.transferred(found.actions, main.model, data.truth)
    )
    true = {g: given.of_group(data.truth.group_index(g)) for g in data.profiles}
    table = found.table.set_index("group").loc[data.profiles].reset_index()
    study.table(
        "robust",
        table.assign(true_months=table["group"].map(true)),
        title="The robust policy: best against the worst kernels",
        note="Each kernel may be as far from the estimate as 95 % of the draws of the bootstrap are, in "
        "the worst direction, all at once. Price: what the robust policy gives up if the estimates are "
        "right. " + ADVICE,
        columns={
            "group": "Profile",
            "regimen": "Line 1",
            "worst_case": "Worst case",
            "value": "Months",
            "optimal": "Optimal policy",
            "price": "Price",
            "true_months": "In truth",
        },
        digits={"worst_case": 1, "value": 1, "optimal": 1, "price": 2, "true_months": 1},
    )
    by = {c: dict(zip(table["group"], table[c], strict=True)) for c in ("value", "price")}
    optimum = data.truth.solve()
    loss = data.mean({g: optimum.value(g) - true[g] for g in data.profiles})
    return {
        "factor": "Robust policy",
        "choice": "worst case of the kernels' uncertainty",
        "refused": "",
        "promised": data.mean(by["value"]),
        "change": rounded(-data.mean(by["price"])),
        "true_loss": rounded(loss),
        "same_sequence": np.nan,
    }


def in_words(
    data: Data,
    realised: pd.DataFrame,
    tornado: pd.DataFrame,
    sure: pd.DataFrame,
    honest: pd.DataFrame,
) -> str:
    """Say in plain words what the study found."""
    over = realised[realised["profile"] == "all"].set_index("analysis")
    worst = tornado.sort_values("true_loss", na_position="first").iloc[-1]
    half = honest.set_index("quantity")
    held = half.loc["held out"]
    return (
        f"In {len(data.person)} simulated patients the best policy would give "
        f"{over.loc['true optimum', 'gain']:.1f} more months of life within {HORIZON} than care as "
        f"observed. The analysis that takes the records as they are is fooled by severity and loses "
        f"{over.loc['naive', 'loss']:.1f} of them; weighted for severity it loses "
        f"{over.loc['weighted', 'loss']:.1f}, with external effects {over.loc['external', 'loss']:.1f}. "
        f"A policy chosen on half of the patients promises {half.loc['promised', 'months']:.1f} months; "
        f"the other half values it at {held['months']:.1f} "
        f"({held['lower']:.1f} to {held['upper']:.1f}). "
        f"The most harmful choice examined is {worst['factor'].lower()} ({worst['choice']}): "
        f"{worst['true_loss']:.1f} months lost. The probability that the recommended sequence is the best "
        f"one lies between {sure['probability_best'].min():.2f} and {sure['probability_best'].max():.2f}. "
        f"{ADVICE}"
    )
