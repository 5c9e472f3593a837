"""From claims of simulated myeloma patients to the sequence that prolongs life."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import fiac_survival as fs
from fiac_survival.sequence.recommendation import action_values

PEOPLE = 15_000
HORIZON = 84
DRAWS = 30
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
# Network meta-analysis against the average mix: relapse and mortality with 95 % intervals.
NMA_SOURCE = "IHME vivarium_research, network meta-analysis"
NMA = {
    "newly diagnosed": {
        "IMiD": ((1.524, 1.069, 2.173), (1.282, 0.901, 1.825)),
        "PI+IMiD": ((1.062, 0.779, 1.447), (1.034, 0.751, 1.423)),
        "PI+IMiD+transplant": ((0.724, 0.517, 1.015), (1.029, 0.701, 1.511)),
        "chemotherapy+PI": ((1.204, 0.766, 1.892), (0.949, 0.665, 1.355)),
        "anti-CD38+IMiD": ((0.808, 0.510, 1.280), (0.872, 0.569, 1.338)),
        "anti-CD38+PI+IMiD+transplant": ((0.333, 0.138, 0.801), (0.473, 0.197, 1.134)),
    },
    "relapsed": {
        "IMiD": ((1.439, 1.045, 1.980), (1.196, 0.742, 1.929)),
        "PI": ((1.310, 1.152, 1.490), (1.336, 1.121, 1.591)),
        "PI+IMiD": ((0.968, 0.678, 1.382), (0.862, 0.512, 1.452)),
        "anti-CD38+PI": ((0.640, 0.491, 0.835), (0.761, 0.486, 1.192)),
        "anti-CD38+IMiD": ((0.489, 0.292, 0.818), (0.763, 0.429, 1.357)),
    },
}
# Line, regimen and its category, the observed regimen that it is compared with and its category.
COMPARED = [
    (1, "DVTd + transplant", "anti-CD38+PI+IMiD+transplant", "VRd + transplant", "PI+IMiD+transplant"),
    (1, "Rd", "IMiD", "VMP", "chemotherapy+PI"),
    (1, "VRd", "PI+IMiD", "VMP", "chemotherapy+PI"),
    (1, "DRd", "anti-CD38+IMiD", "VMP", "chemotherapy+PI"),
    *((line, "Rd", "IMiD", "Vd", "PI") for line in (2, 3)),
    *((line, "DRd", "anti-CD38+IMiD", "Vd", "PI") for line in (2, 3)),
    *((line, "KRd", "PI+IMiD", "Vd", "PI") for line in (2, 3)),
    *((line, "DVd", "anti-CD38+PI", "Vd", "PI") for line in (2, 3)),
    *((line, "IsaKd", "anti-CD38+PI", "Vd", "PI") for line in (2, 3, 4)),
    *((line, "Pd", "IMiD", "Vd", "PI") for line in (3, 4)),
    *((line, "IsaPd", "anti-CD38+IMiD", "Vd", "PI") for line in (3, 4)),
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Data:
    """Lines of therapy under each rule set, and the truth."""

    person: pd.DataFrame
    lines: dict[str, pd.DataFrame]
    formulary: fs.sequence.Formulary
    truth: fs.sequence.SequenceModel
    found: Any
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


def analyse(study: fs.study.StudyRun) -> None:
    data = read(study)
    description(study, data)
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
    realised = truth(study, data, analyses)
    tornado = sensitivity(study, data, analyses["weighted"])
    study.summary(in_words(data, realised, tornado, sure))


# --- data ---------------------------------------------------------------------------------------


def read(study: fs.study.StudyRun, people: int = PEOPLE) -> Data:
    """Simulate the claims, find lines under every rule set, and what was recorded at their start."""
    sources = study.simulated(
        fs.simulate.myeloma_claims, parameters={"n": people}, sources={"claims": "linked"}
    )
    cohort = sources.cohorts["claims"]
    person = study.engine.collect(cohort.person, order_by=["person"])
    severe = cohort.event.filter(cohort.event.code == SEVERITY)
    severe = study.engine.collect(severe.select("person", "date"), order_by=["date", "person"])
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
    return Data(person, lines, f, true_model(f), sources.found, profiles, share)


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
    table = fs.simulate.myeloma_calibration(data.found.truth)
    table = study.table(
        "calibration",
        table.assign(
            panel=np.where(table["published"] < 1, "Share of patients", "Months")
        ).sort_values("panel", ascending=False, kind="stable"),
        title="The simulated patients against published figures",
        columns={
            "figure": "Figure",
            "published": "Published",
            "simulated": "Simulated",
            "source": "Source",
        },
    )
    study.figure(
        "published",
        "published",
        table[["panel", "figure", "published", "simulated"]],
        title="The simulated patients and the published figures",
        caption="What became of patients in a line, time to next treatment and survival, against SNDS "
        "publications.",
        alt="Simulated figures lie within about ten per cent of the published ones.",
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


def relative_effects() -> fs.sequence.RelativeEffects:
    """Ratios of the meta-analysis between a regimen and one that is observed."""
    rows = []
    for line, regimen, category, reference, base in COMPARED:
        setting = NMA["newly diagnosed" if line == 1 else "relapsed"]
        row: dict[str, Any] = {"line": line, "regimen": regimen, "reference": reference}
        for kind, name in enumerate(("next", "death")):
            ours, theirs = setting[category][kind], setting[base][kind]
            errors = [np.log(x[2] / x[1]) / (2 * 1.959963985) for x in (ours, theirs)]
            row[f"hazard_ratio_{name}"] = ours[0] / theirs[0]
            row[f"log_se_{name}"] = float(np.hypot(*errors))
        rows.append(row | {"source": NMA_SOURCE})
    return fs.sequence.RelativeEffects(pd.DataFrame(rows))


def analysis_of(
    data: Data,
    name: str,
    *,
    rule: str = RULE,
    formulary: fs.sequence.Formulary | None = None,
    **options: Any,
) -> Analysis:
    """Estimate kernels, and solve the model with the regimens that the data support."""
    f = formulary or data.formulary
    kernels = fs.sequence.estimate_kernels(
        data.lines[rule],
        f,
        confounders=[] if name == "naive" else ["severe"],
        deviations=DEVIATIONS,
        other=OTHER,
        simulated=True,
    )
    return solved(name, kernels, **options)


def solved(name: str, kernels: fs.sequence.KernelEstimate, *, min_ess: float = 20.0) -> Analysis:
    effects = relative_effects() if name == "external" else None
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
        relative_effects().table,
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
        values = state_values(analysis, models)
        curves = state_curves(analysis)
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


def state_values(analysis: Analysis, models: list[fs.sequence.SequenceModel]) -> pd.DataFrame:
    """Value of each regimen in each state, with intervals of the differences over the draws."""
    solutions = [model.solve() for model in models]
    model, support = analysis.model, analysis.kernels.table
    patients = support.set_index(["line", "regimen", "group", "overlap"])["patients"]
    rows = []
    for line, states in enumerate(model.states.lines):
        for place, g in np.argwhere(states.reached):
            q = action_values(analysis.solution, line, g, place)[:, HORIZON]
            order = np.flatnonzero(np.isfinite(q))
            order = order[np.argsort(-np.round(q[order], 12), kind="stable")]
            drawn = np.array([action_values(s, line, g, place)[order, HORIZON] for s in solutions])
            apart = drawn - drawn[:, :1]
            best = drawn >= drawn.max(axis=1, keepdims=True) - 1e-12
            chance = (best / best.sum(axis=1, keepdims=True)).mean(axis=0)
            for k, a in enumerate(order):
                at = (line + 1, model.regimens[a], model.groups[g], int(states.level[place, a]))
                rows.append(
                    {
                        "group": model.groups[g],
                        "line": line + 1,
                        "exposed": " + ".join(model.class_names(int(states.exposed[place]))),
                        "regimen": model.regimens[a],
                        "value": q[a] * model.step_months,
                        "difference": (q[a] - q[order[0]]) * model.step_months,
                        "lower": float(np.quantile(apart[:, k], 0.025)) * model.step_months,
                        "upper": float(np.quantile(apart[:, k], 0.975)) * model.step_months,
                        "probability": chance[k],
                        "patients": int(patients.loc[at]),
                    }
                )
    return pd.DataFrame(rows)


def state_curves(analysis: Analysis) -> pd.DataFrame:
    """Survival from the start of each line in each state, under the policy for the whole horizon."""
    model, solution = analysis.model, analysis.solution
    rows = []
    for month in range(0, HORIZON + 1, 6):
        # With t steps gone of the horizon, the policy is the one for what then remains of it.
        later = [np.ascontiguousarray(a[:, :, HORIZON - month :]) for a in solution.actions]
        value = None
        if month:
            value = fs.sequence.policy_value(model, later, objective="milestone", at=float(month))
        for line, states in enumerate(model.states.lines):
            for place, g in np.argwhere(states.reached):
                alive = 1.0 if value is None else value.values[line][g, place, month]
                rows.append(
                    {
                        "group": model.groups[g],
                        "line": line + 1,
                        "exposed": " + ".join(model.class_names(int(states.exposed[place]))),
                        "month": month,
                        "survival": alive,
                    }
                )
    return pd.DataFrame(rows)


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


# --- truth --------------------------------------------------------------------------------------


def transferred(
    solution: fs.sequence.Solution, model: fs.sequence.SequenceModel
) -> list[np.ndarray]:
    """Put the policy of one model into the states of another."""
    actions = []
    for line, (ours, theirs) in enumerate(
        zip(model.states.lines, solution.model.states.lines, strict=True)
    ):
        place = {int(code): i for i, code in enumerate(theirs.exposed)}
        given = np.full((len(model.groups), ours.size, model.n_steps + 1), 255, dtype=np.uint8)
        for i, code in enumerate(ours.exposed):
            if int(code) in place:
                given[:, i] = solution.actions[line][:, place[int(code)]]
        actions.append(given)
    return actions


def true_values(data: Data, policy: fs.sequence.Solution | Callable[..., str]) -> dict[str, float]:
    """Months that a policy gives in truth, by profile."""
    if isinstance(policy, fs.sequence.Solution):
        policy = transferred(policy, data.truth)
    value = fs.sequence.policy_value(data.truth, policy)
    return {g: value.of_group(data.truth.group_index(g)) for g in data.profiles}


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


def sensitivity(study: fs.study.StudyRun, data: Data, main: Analysis) -> pd.DataFrame:
    study.section(
        "Sensitivity",
        "One choice at a time is changed, and the optimal policy found anew: what it promises, and what it "
        "would give in truth.",
    )
    optimum = data.truth.solve()
    best = {g: optimum.value(g) for g in data.profiles}
    rows = []

    def add(factor: str, choice: str, make: Callable[[], Analysis]) -> None:
        row: dict[str, Any] = {"factor": factor, "choice": choice, "refused": ""}
        try:
            with study.step(f"sensitivity: {choice}"):
                analysis = make()
        except fs.errors.DataError as refusal:
            row |= {"promised": np.nan, "true_loss": np.nan}
            row["refused"] = refusal.rule
        else:
            own = {g: analysis.solution.value(g) for g in data.profiles}
            given = true_values(data, analysis.solution)
            row["promised"] = data.mean(own)
            row["true_loss"] = rounded(data.mean({g: best[g] - given[g] for g in data.profiles}))
        rows.append(row)

    add("Main analysis", "IMWG lines, weighted, support 20", lambda: main)
    for rule in RULES:
        if rule != RULE:
            add("Line rule", rule, lambda rule=rule: analysis_of(data, "weighted", rule=rule))
    for least in (5.0, 10.0, 50.0):
        add(
            "Support",
            f"at least {least:g} effective patients",
            lambda least=least: solved("weighted", main.kernels, min_ess=least),
        )
    add("Confounding", "severity ignored", lambda: analysis_of(data, "naive"))
    add("External effects", "network meta-analysis", lambda: analysis_of(data, "external"))
    table = pd.DataFrame(rows)
    table["change"] = table["promised"] - table["promised"].iloc[0]
    drawn = table[(table["factor"] != "Main analysis") & table["promised"].notna()]
    study.figure(
        "sensitivity",
        "tornado",
        drawn.rename(columns={"true_loss": "loss"})[["factor", "choice", "change", "loss"]],
        title="One choice changed at a time",
        value_label="Change of the months promised",
        loss_label="Months lost in truth",
        note="Against the main analysis: IMWG lines, weighted for severity, at least 20 effective "
        "patients behind a regimen.",
        caption="What each choice does to the value that the analysis promises, and to the true value of "
        "the policy that it recommends.",
        alt="Tornado: ignoring severity and cutting lines by gaps lose more than a month each.",
    )
    return study.table(
        "sensitivity",
        table,
        title="What each choice does",
        columns={
            "factor": "Choice",
            "choice": "Changed to",
            "promised": "Months promised",
            "change": "Change",
            "true_loss": "Lost in truth, months",
            "refused": "Refused because",
        },
        digits={"promised": 1, "change": 2, "true_loss": 2},
    )


def in_words(data: Data, realised: pd.DataFrame, tornado: pd.DataFrame, sure: pd.DataFrame) -> str:
    """Say in plain words what the study found."""
    over = realised[realised["profile"] == "all"].set_index("analysis")
    worst = tornado.sort_values("true_loss", na_position="first").iloc[-1]
    return (
        f"In {len(data.person)} simulated patients the best policy would give "
        f"{over.loc['true optimum', 'gain']:.1f} more months of life within {HORIZON} than care as "
        f"observed. The analysis that takes the records as they are is fooled by severity and loses "
        f"{over.loc['naive', 'loss']:.1f} of them; weighted for severity it loses "
        f"{over.loc['weighted', 'loss']:.1f}, with external effects {over.loc['external', 'loss']:.1f}. "
        f"The most harmful choice examined is {worst['factor'].lower()} ({worst['choice']}): "
        f"{worst['true_loss']:.1f} months lost. The probability that the recommended sequence is the best "
        f"one lies between {sure['probability_best'].min():.2f} and {sure['probability_best'].max():.2f}. "
        f"{ADVICE}"
    )
