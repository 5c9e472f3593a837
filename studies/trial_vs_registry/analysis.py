"""Hormone therapy and recurrence-free survival in a trial and in a registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

import fiac_survival as fs
from fiac_survival.core.protocol import Estimand, WeightingMethod

DAYS_PER_MONTH = 30.4375
FIGURE_END = 84
COMMON = ["id", "days", "event", "hormon", "age", "meno", "nodes", "grade", "pgr", "er"]
SHOWN = ("hazard_ratio", "rmst_60", "rfs_5_years")
AXES = {
    "hazard_ratio": {"null": 1.0, "low": 0.4, "high": 1.4, "ticks": "0.5;0.7;1;1.4", "digits": 2},
    "hazard_ratio_84": {
        "null": 1.0,
        "low": 0.4,
        "high": 1.4,
        "ticks": "0.5;0.7;1;1.4",
        "digits": 2,
    },
    "rmst_60": {"null": 0.0, "low": -3.0, "high": 12.0, "ticks": "0;5;10", "digits": 1},
    "rfs_5_years": {"null": 0.0, "low": -0.1, "high": 0.3, "ticks": "0;0.1;0.2;0.3", "digits": 2},
}


@dataclass(frozen=True, eq=False)
class Arm:
    """One source, ready for analysis."""

    name: str
    label: str
    frame: pd.DataFrame
    outcome: fs.Outcome
    treated: np.ndarray


def analyse(study: fs.study.StudyRun) -> None:
    protocol = study.protocol
    sources, attrition = {}, []
    for source in protocol.sources:
        sources[source.name], steps = eligible_patients(study, source.name)
        attrition.append(steps)
    population(study, sources, pd.concat(attrition, ignore_index=True))
    weights = weight(study, sources)
    effects = estimate(study, sources, weights)
    curves(study, sources, weights)
    compare(study, effects)


def site_rows(study: fs.study.StudyRun, source: str) -> fs.study.SiteRows:
    """One source by itself, for a packet."""
    mine, _ = eligible_patients(study, source)
    weights = {}
    for method in methods_of(study, source):
        with study.step(f"{method.label} in {mine.label}"):
            w = weights_of(study, mine, method)
        if w is not None:
            weights[method.name] = w
    primary = study.protocol.covariates["log_receptors"]
    return fs.study.SiteRows(mine.outcome, mine.treated, weights, mine.frame[primary])


# --- data ---------------------------------------------------------------------------------------


def eligible_patients(study: fs.study.StudyRun, name: str) -> tuple[Arm, pd.DataFrame]:
    """Load a source; its eligible patients and the count of every step."""
    label = study.protocol.source(name).label
    table = harmonise(study.source(name), name)
    with study.step(f"eligibility in {label}"):
        eligible, steps = fs.cohort.apply_eligibility(
            table, study.protocol.eligibility, source=name
        )
        frame = study.engine.collect(eligible, order_by=["id"])
    return prepare(name, label, frame), steps


def harmonise(table: Any, source: str) -> Any:
    """Give both sources the same columns; durations stay whole days."""
    if source == "gbsg":
        common = table.mutate(
            id=table.pid,
            days=table.rfstime,
            event=table.status == 1,
            size_20_50=(table["size"] > 20) & (table["size"] <= 50),
            size_over_50=table["size"] > 50,
        )
        kept = [*COMMON, "size_20_50", "size_over_50"]
    else:
        recurred, died = table.recur == 1, table.death == 1
        # A death after the end of follow-up for recurrence is censored when that follow-up ended.
        late_death = ~recurred & died & (table.rtime < table.dtime)
        common = table.mutate(
            id=table.pid,
            days=(recurred | late_death).ifelse(table.rtime, table.dtime),
            event=(recurred | died) & ~late_death,
            size_20_50=table["size"] == "20-50",
            size_over_50=table["size"] == ">50",
        )
        kept = [*COMMON, "size_20_50", "size_over_50", "chemo"]
    complete = common[kept[0]].notnull()
    for name in kept[1:]:
        complete &= common[name].notnull()
    return common.select(*kept).mutate(complete=complete)


def prepare(name: str, label: str, frame: pd.DataFrame) -> Arm:
    """Derive covariates and the outcome."""
    frame = frame.assign(
        grade3=(frame["grade"] == 3).astype(int),
        size_20_50=frame["size_20_50"].astype(int),
        size_over_50=frame["size_over_50"].astype(int),
        log_pgr=np.log(frame["pgr"] + 1.0),
        log_er=np.log(frame["er"] + 1.0),
    )
    outcome = fs.Outcome(frame["days"] / DAYS_PER_MONTH, frame["event"])
    return Arm(name, label, frame, outcome, frame["hormon"].to_numpy() == 1)


def cut(y: fs.Outcome, at: float | None) -> fs.Outcome:
    """End follow-up at a common time."""
    if at is None:
        return y
    return fs.Outcome(np.minimum(y.time, at), (y.event > 0) & (y.time <= at))


# --- population ---------------------------------------------------------------------------------


def population(study: fs.study.StudyRun, sources: dict[str, Arm], attrition: pd.DataFrame) -> None:
    protocol = study.protocol
    study.section("Patients", "Eligibility was applied where the data lie, step by step.")
    attrition["source_label"] = attrition["source"].map({n: s.label for n, s in sources.items()})
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
    labels = {s.value: s.label for s in protocol.strategies}
    flow = []
    for name, source in sources.items():
        steps = attrition[attrition["source"] == name]
        flow += [
            {
                "panel": source.label,
                "kind": "step",
                "label": r.label,
                "n": r.n_after,
                "n_excluded": r.n_excluded,
            }
            for r in steps.itertuples()
        ]
        flow += [
            {
                "panel": source.label,
                "kind": "arm",
                "label": labels[value],
                "n": int(np.sum(source.treated == bool(value))),
                "n_excluded": 0,
            }
            for value in (0, 1)
        ]
    study.figure(
        "attrition",
        "attrition",
        pd.DataFrame(flow),
        title="From the sources to the arms",
        caption="Patients in each source, step by step, and by treatment.",
        alt="Flow of patients from each source through the eligibility steps to the two arms.",
    )
    study.table(
        "characteristics",
        characteristics(study, sources),
        title="Characteristics by source and treatment",
        note="Mean (standard deviation), count (per cent), or median; follow-up is the reverse "
        "Kaplan-Meier median.",
        columns={
            "characteristic": "",
            "gbsg_0": "GBSG, no hormone therapy",
            "gbsg_1": "GBSG, hormone therapy",
            "rotterdam_0": "Rotterdam, no hormone therapy",
            "rotterdam_1": "Rotterdam, hormone therapy",
        },
    )


def characteristics(study: fs.study.StudyRun, sources: dict[str, Arm]) -> pd.DataFrame:
    rows: dict[str, dict[str, str]] = {}

    def put(row: str, column: str, text: str) -> None:
        rows.setdefault(row, {})[column] = text

    for name, source in sources.items():
        for arm in (0, 1):
            here = source.treated == bool(arm)
            frame, column = source.frame[here], f"{name}_{arm}"
            put("Patients", column, f"{len(frame)}")
            for covariate in ("age", "nodes", "pgr", "er"):
                values = frame[covariate]
                put(
                    study.protocol.label(covariate),
                    column,
                    f"{values.mean():.1f} ({values.std():.1f})",
                )
            for covariate in ("meno", "size_20_50", "size_over_50", "grade3", "chemo"):
                if covariate not in frame:
                    put(study.protocol.label(covariate), column, "not recorded")
                    continue
                count = int(frame[covariate].sum())
                put(
                    study.protocol.label(covariate),
                    column,
                    f"{count} ({100 * count / len(frame):.1f} %)",
                )
            y = source.outcome.take(here)
            put("Events", column, f"{int(y.event.sum())}")
            reverse = fs.survival.kaplan_meier(fs.Outcome(y.time, y.event == 0))
            median = float(reverse.quantile(0.5)["quantile"].iloc[0])
            put("Follow-up, months", column, f"{median:.1f}")
            median = float(fs.survival.kaplan_meier(y).quantile(0.5)["quantile"].iloc[0])
            put("Median recurrence-free survival, months", column, f"{median:.1f}")
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("characteristic").reset_index()


# --- weights ------------------------------------------------------------------------------------


def methods_of(study: fs.study.StudyRun, source: str) -> list[WeightingMethod]:
    return [m for m in study.protocol.methods if m.sources is None or source in m.sources]


def weight(
    study: fs.study.StudyRun, sources: dict[str, Arm]
) -> dict[tuple[str, str], fs.compare.Weights | None]:
    protocol = study.protocol
    study.section(
        "Balance",
        "Weights are estimated in each source by itself. Standardised mean differences divide by the "
        "spread before weighting; a covariate passes below 0.1.",
    )
    out: dict[tuple[str, str], fs.compare.Weights | None] = {}
    balance, gates, summary, love, overlap = [], [], [], [], []
    for name, source in sources.items():
        for method in methods_of(study, name):
            with study.step(f"{method.label} in {source.label}"):
                w = weights_of(study, source, method)
            out[name, method.name] = w
            if w is None or method.covariates is None:
                continue
            study.require_converged(w)
            covariates = protocol.covariates[method.covariates]
            found = fs.compare.balance(source.frame[covariates], source.treated, weights=w)
            place = {"source": name, "method": method.name}
            balance.append(found.table.assign(**place))
            gates.append(
                found.gates.assign(**place, method_label=method.label, source_label=source.label)
            )
            summary.append(w.table.assign(**place, scale=w.scale, truncated=w.truncated))
            love += love_rows(study, source, method, found.table)
            if method.name == protocol.comparison.public_method and w.propensity is not None:
                overlap += overlap_rows(study, source, w.propensity)
    study.table("balance", pd.concat(balance, ignore_index=True), title="Balance", show=False)
    study.table("weights", pd.concat(summary, ignore_index=True), title="Weights", show=False)
    study.table(
        "gates",
        gate_table(pd.concat(gates, ignore_index=True)),
        title="Gates: balance, effective sample size, equipoise",
        columns={
            "method_label": "Method",
            "largest_smd": "Largest |SMD|, at most 0.1",
            "ess_share": "Smallest share of effective patients, at least 0.5",
            "equipoise": "Share in equipoise, at least 0.5",
            "failed": "Failed",
        },
        digits={"largest_smd": 3, "ess_share": 3, "equipoise": 3},
        group_by="source_label",
        note="A gate that fails is shown, not hidden: the estimate is still reported below.",
    )
    study.figure(
        "balance",
        "love_plot",
        pd.DataFrame(love),
        title="Covariate balance before and after weighting",
        gate=0.1,
        limit=1.0,
        x_label="Standardised mean difference",
        caption="Standardised mean differences between hormone therapy and none; the band is ±0.1.",
        alt="Love plot: before weighting age and menopause differ by 0.7 to 0.9 standard deviations "
        "in the registry; after weighting most differences lie near the band of 0.1.",
    )
    study.figure(
        "overlap",
        "overlap",
        pd.DataFrame(overlap),
        title="Overlap of propensity scores",
        x_label="Propensity of hormone therapy",
        y_label="Share of the arm's patients",
        caption="Distribution of the estimated propensity of hormone therapy in each arm.",
        alt="Mirrored histograms of propensity scores by arm, one panel a source.",
    )
    return out


def gate_table(gates: pd.DataFrame) -> pd.DataFrame:
    """One row a source and method."""
    names = {
        "largest |SMD|": "largest_smd",
        "smallest share of effective patients in an arm": "ess_share",
        "share in equipoise": "equipoise",
    }
    words = {"largest_smd": "balance", "ess_share": "effective patients", "equipoise": "equipoise"}
    rows = []
    for (source, method), part in gates.groupby(["source", "method"], sort=False):
        row = {
            "source": source,
            "source_label": part["source_label"].iloc[0],
            "method": method,
            "method_label": part["method_label"].iloc[0],
        }
        row |= dict.fromkeys(names.values(), np.nan)
        row |= {names[r.gate]: r.value for r in part.itertuples()}
        failed = [words[names[r.gate]] for r in part.itertuples() if not r.passed]
        rows.append(row | {"failed": ", ".join(failed)})
    return pd.DataFrame(rows)


def weights_of(
    study: fs.study.StudyRun, source: Arm, method: WeightingMethod
) -> fs.compare.Weights | None:
    if method.method == "none" or method.covariates is None:
        return None
    truncate: Any = None
    if method.truncate is not None:
        low, high = method.truncate.quantiles
        truncate = {"on": method.truncate.on, "quantiles": (low, high)}
    return fs.compare.weights(
        source.frame[study.protocol.covariates[method.covariates]],
        source.treated,
        method=method.method,
        estimand=method.estimand,
        stabilised=method.stabilised,
        normalise=method.normalise,
        truncate=truncate,
    )


def love_rows(
    study: fs.study.StudyRun, source: Arm, method: WeightingMethod, table: pd.DataFrame
) -> list[dict[str, Any]]:
    """Rows of the love plot: the methods with the primary covariates, and the state before."""
    shown = {
        "iptw": "IPTW, stabilised",
        "iptw_weights_5_95": "IPTW, weights cut at 5–95 %",
        "overlap": "Overlap weights",
        "entropy": "Entropy balancing",
    }
    if method.name not in shown:
        return []
    rows = []
    for r in table.itertuples():
        place = {"panel": source.label, "covariate": study.protocol.label(r.covariate)}
        if method.name == "iptw":
            rows.append(place | {"method": "Before weighting", "smd": r.smd_before})
        rows.append(place | {"method": shown[method.name], "smd": r.smd_after})
    return rows


def overlap_rows(
    study: fs.study.StudyRun, source: Arm, propensity: np.ndarray
) -> list[dict[str, Any]]:
    edges = np.linspace(0.0, 1.0, 26)
    labels = {s.value: s.label for s in study.protocol.strategies}
    rows = []
    for arm in (0, 1):
        counts, _ = np.histogram(propensity[source.treated == bool(arm)], bins=edges)
        rows += [
            {
                "panel": source.label,
                "arm_label": labels[arm],
                "left": edges[k],
                "right": edges[k + 1],
                "share": counts[k] / counts.sum(),
            }
            for k in range(counts.size)
        ]
    return rows


# --- effects ------------------------------------------------------------------------------------


def estimate(
    study: fs.study.StudyRun,
    sources: dict[str, Arm],
    weights: dict[tuple[str, str], fs.compare.Weights | None],
) -> dict[tuple[str, str, str], fs.compare.Effect]:
    """Every estimand, in every source, under every method."""
    protocol = study.protocol
    study.section(
        "Effects",
        "Intervals carry the uncertainty of the estimated weights. Intervals that take weights as "
        "known, as most software does, are usually wider; both are in the table of effects.",
    )
    rows, out = [], {}
    for name, source in sources.items():
        for method in methods_of(study, name):
            with study.step(f"effects, {method.label} in {source.label}"):
                w = weights[name, method.name]
                for estimand in protocol.estimands:
                    kinds = ("estimated",) if w is None else ("estimated", "fixed")
                    for kind in kinds:
                        found = fs.compare.effect(
                            cut(source.outcome, estimand.censor_at),
                            source.treated,
                            measure=estimand.measure,
                            tau=estimand.tau,
                            weights=w,
                            weight_variance=kind,
                            level=protocol.comparison.level,
                        )
                        study.require_converged(found)
                        if kind == "estimated":
                            out[name, method.name, estimand.name] = found
                        rows.append(effect_row(source, method, estimand, found))
    effects = study.table("effects", pd.DataFrame(rows), title="Effects", show=False)
    conventional(study, sources, effects)
    hormone = {name: i for i, name in enumerate(["GBSG trial", "Rotterdam registry"])}
    shown = effects[
        effects["estimand"].isin(SHOWN) & effects["weight_variance"].isin(["none", "estimated"])
    ].copy()
    primary = {
        protocol.comparison.private: protocol.comparison.private_method,
        protocol.comparison.public: protocol.comparison.public_method,
    }
    shown["primary"] = [primary[r.source] == r.method for r in shown.itertuples()]
    shown["panel"] = shown["estimand_label"]
    shown["order"] = shown["source_label"].map(hormone)
    for column in ("null", "low", "high", "ticks", "digits"):
        shown[column] = [AXES[e][column] for e in shown["estimand"]]
    shown["position"] = shown["estimand"].map({e: i for i, e in enumerate(SHOWN)})
    shown = shown.sort_values(["position", "order"], kind="stable")
    columns = ["panel", "scale", "null", "low", "high", "ticks", "digits", "source_label"]
    columns += ["method_label", "estimate", "lower", "upper", "primary"]
    study.figure(
        "effects",
        "forest",
        shown[columns],
        title="Effect of hormone therapy: every source, every method",
        note="Shaded: the estimates that the protocol compares. Below 1, or above 0, favours hormone "
        "therapy. 95 % intervals with the uncertainty of the weights.",
        caption="Hazard ratio, restricted mean difference at 60 months and difference of 5-year "
        "recurrence-free survival, in both sources under every method.",
        alt="Forest plot: hazard ratios between 0.63 and 0.85; all methods favour hormone therapy in "
        "both sources.",
    )
    return out


def effect_row(
    source: Arm, method: WeightingMethod, estimand: Estimand, found: fs.compare.Effect
) -> dict[str, Any]:
    row = {
        "source": source.name,
        "source_label": source.label,
        "method": method.name,
        "method_label": method.label,
        "estimand": estimand.name,
        "estimand_label": estimand.label,
    }
    return row | found.table.iloc[0].to_dict()


def conventional(study: fs.study.StudyRun, sources: dict[str, Arm], effects: pd.DataFrame) -> None:
    """Hazard ratios with the variances that most software prints."""
    rows = []
    for name, source in sources.items():
        model = fs.survival.cox(
            source.outcome,
            pd.DataFrame({"hormon": source.treated.astype(float)}),
            level=study.protocol.comparison.level,
        )
        term = model.table.iloc[0]
        rows.append(
            {
                "source_label": source.label,
                "method_label": "Unadjusted",
                "variance": "model-based",
                "hazard_ratio": term["hazard_ratio"],
                "lower": term["lower"],
                "upper": term["upper"],
            }
        )
        fixed = effects[
            (effects["source"] == name)
            & (effects["estimand"] == "hazard_ratio")
            & (effects["weight_variance"] == "fixed")
        ]
        rows += [
            {
                "source_label": source.label,
                "method_label": r.method_label,
                "variance": "robust, weights as known",
                "hazard_ratio": r.estimate,
                "lower": r.lower,
                "upper": r.upper,
            }
            for r in fixed.itertuples()
        ]
    study.table(
        "hazard_ratios_conventional",
        pd.DataFrame(rows),
        title="Hazard ratios as most software gives them",
        note="How much the propensity specification, truncation and the target population move the "
        "registry's answer. Cutting the weights and cutting the propensity at the same quantiles are "
        "different things.",
        columns={
            "method_label": "Method",
            "variance": "Variance",
            "hazard_ratio": "Hazard ratio",
            "lower": "Lower",
            "upper": "Upper",
        },
        digits={"hazard_ratio": 3, "lower": 3, "upper": 3},
        group_by="source_label",
    )


# --- curves -------------------------------------------------------------------------------------


def curves(
    study: fs.study.StudyRun,
    sources: dict[str, Arm],
    weights: dict[tuple[str, str], fs.compare.Weights | None],
) -> None:
    comparison = study.protocol.comparison
    chosen = [
        (comparison.private, comparison.private_method),
        (comparison.public, comparison.public_method),
        (comparison.public, "unadjusted"),
    ]
    labels = {m.name: m.label for m in study.protocol.methods}
    parts = []
    for name, method in chosen:
        source = sources[name]
        with study.step(f"curves, {labels[method]} in {source.label}"):
            parts.append(curve_rows(study, source, labels[method], weights[name, method]))
    table = study.table("curves", pd.concat(parts, ignore_index=True), title="Curves", show=False)
    panels = list(dict.fromkeys(table["panel"]))
    texts = {
        "time_label": "Months",
        "survival_label": "Recurrence-free survival",
        "tick": 12,
    }
    study.figure(
        "recurrence_free_survival",
        "survival",
        table[table["panel"].isin(panels[:2])],
        title="Recurrence-free survival with and without hormone therapy",
        caption="Kaplan-Meier curves with pointwise 95 % intervals, of the two estimates that the "
        "protocol compares. Numbers are patients, whatever their weights; events and censorings are "
        "cumulated.",
        alt="Recurrence-free survival falls in both sources; the curve with hormone therapy lies above "
        "the one without throughout.",
        **texts,
    )
    study.figure(
        "registry_before_and_after",
        "survival",
        table[table["panel"].isin([panels[2], panels[1]])].sort_values(
            "panel", key=lambda c: c.map({panels[2]: 0, panels[1]: 1}), kind="stable"
        ),
        title="The registry before and after weighting",
        caption="The registry's curves as they are, and weighted for confounding.",
        alt="Weighting moves the registry's curves apart: the benefit of hormone therapy is larger "
        "after weighting.",
        **texts,
    )


def curve_rows(
    study: fs.study.StudyRun,
    source: Arm,
    method_label: str,
    w: fs.compare.Weights | None,
) -> pd.DataFrame:
    ticks = np.arange(0.0, FIGURE_END + 1.0, 12.0)
    inside = source.outcome.time[source.outcome.time <= FIGURE_END]
    table = fs.compare.weighted_curves(
        source.outcome,
        source.treated,
        times=np.concatenate([ticks, inside]),
        weights=w,
        level=study.protocol.comparison.level,
    )
    labels = {s.value: s.label for s in study.protocol.strategies}
    table.insert(0, "panel", f"{source.label}: {method_label}")
    table.insert(2, "arm_label", table["arm"].map(labels))
    return table


# --- agreement ----------------------------------------------------------------------------------


def compare(
    study: fs.study.StudyRun, effects: dict[tuple[str, str, str], fs.compare.Effect]
) -> None:
    comparison = study.protocol.comparison
    margins = {e.name: e for e in study.protocol.estimands}
    study.section(
        "Do the sources agree?",
        "The trial is the reference. A difference that is not significant is not agreement: "
        "equivalence asks whether the difference is shown to lie within the margin.",
    )
    rows, verdicts, drawn = [], [], []
    for method in methods_of(study, comparison.public):
        for name, estimand in margins.items():
            private = effects[comparison.private, comparison.private_method, name]
            public = effects[comparison.public, method.name, name]
            found = fs.compare.agreement(
                private, public, margin=estimand.margin, level=comparison.level
            )
            primary = method.name == comparison.public_method
            place = {
                "estimand": name,
                "estimand_label": estimand.label,
                "method": method.name,
                "method_label": method.label,
                "primary": primary,
            }
            rows.append(
                place
                | {"private": private.estimate, "public": public.estimate}
                | dict(zip(found.table["quantity"], found.table["value"], strict=True))
            )
            if primary:
                verdicts.append(found.verdicts.assign(**place))
            if name in SHOWN:
                drawn.append(difference_row(place, estimand, found, comparison.level))
    position = {name: i for i, name in enumerate(margins)}
    table = pd.DataFrame(rows).sort_values(
        "estimand", key=lambda c: c.map(position), kind="stable", ignore_index=True
    )
    study.table(
        "agreement",
        table,
        title="Agreement of each registry analysis with the trial",
        note="Trial: unadjusted. Differences and standard errors of hazard ratios are on the log scale; "
        "smallest margin: the smallest for which these data would show equivalence.",
        columns={
            "method_label": "Registry analysis",
            "private": "Trial",
            "public": "Registry",
            "standardised_difference": "Standardised difference",
            "smallest_margin": "Smallest margin",
            "minimum_detectable_difference": "Detectable difference",
            "p_equivalence": "p, equivalence",
        },
        digits={
            "private": 3,
            "public": 3,
            "standardised_difference": 2,
            "smallest_margin": 3,
            "minimum_detectable_difference": 3,
            "p_equivalence": 3,
        },
        group_by="estimand_label",
    )
    study.table(
        "verdicts",
        pd.concat(verdicts, ignore_index=True),
        title="Verdicts of the primary comparison",
        columns={"verdict": "Verdict", "holds": "Holds", "meaning": "What it means"},
        group_by="estimand_label",
    )
    order = {e: i for i, e in enumerate(SHOWN)}
    picture = pd.DataFrame(drawn)
    picture = picture.sort_values("estimand", key=lambda c: c.map(order), kind="stable")
    study.figure(
        "agreement",
        "agreement",
        picture.drop(columns="estimand"),
        title="Trial minus registry: is the difference within the margin?",
        note="Thin: 95 % interval of the difference. Thick: 90 % interval, which must lie inside the "
        "grey margin for equivalence\n(circle: it does; cross: it does not). Bold: the protocol's "
        "comparison. Hazard ratios: difference of logarithms.",
        caption="Difference between the trial's unadjusted effect and each analysis of the registry, "
        "with the equivalence margin.",
        alt="Differences between trial and registry with intervals; the margin is shown as a band.",
    )
    study.summary(in_words(table))


def difference_row(
    place: dict[str, Any], estimand: Estimand, found: fs.compare.Agreement, level: float
) -> dict[str, Any]:
    z, one_sided = float(ndtri(0.5 + level / 2)), float(ndtri(level))
    units = {"hazard_ratio": "log hazard ratio", "rmst": "months", "milestone": "probability"}
    return {
        "estimand": estimand.name,
        "panel": estimand.label,
        "method_label": place["method_label"],
        "difference": found.difference,
        "lower": found.difference - z * found.std_error,
        "upper": found.difference + z * found.std_error,
        "lower_equivalence": found.difference - one_sided * found.std_error,
        "upper_equivalence": found.difference + one_sided * found.std_error,
        "margin": found.margin,
        "unit": units[estimand.measure],
        "equivalent": found.equivalent,
        "primary": place["primary"],
    }


def in_words(table: pd.DataFrame) -> str:
    """Say in plain words what the primary comparison found."""
    first = table[table["primary"] & (table["estimand"] == "hazard_ratio")].iloc[0]
    span = table[table["estimand"] == "hazard_ratio"]["public"]
    inside = "lies inside" if first["estimate_agreement"] else "lies outside"
    shown = table[table["primary"]]
    equivalent = int(shown["equivalent"].sum())
    return (
        f"The trial's hazard ratio is {first['private']:.2f}, the registry's after "
        f"weighting {first['public']:.2f}; it {inside} the trial's interval, which two sources with the "
        f"same truth and this precision would do in {100 * first['expected_estimate_agreement']:.0f} % "
        f"of studies. Depending on the propensity specification and on truncation, the registry's "
        f"hazard ratio runs from {span.min():.2f} to {span.max():.2f}. Equivalence within the protocol's "
        f"margins is shown for {equivalent} of {len(shown)} estimands: these data can rule out a "
        f"hazard-ratio discrepancy beyond {first['smallest_margin']:.2f}, and would have detected one of "
        f"{np.exp(first['minimum_detectable_difference']):.2f} with 80 % power."
    )
